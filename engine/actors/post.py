"""Handing mails over: to an SMTP server, or as files into a folder where there is none.

Owns the conversation and the meaning of its answers. Who decides what happens next is the
mailer's. A 5xx about a recipient or a message is final for that mail; about the login or the
sender it is the house's configuration, and nobody's mail is lost by it.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable
from pathlib import Path
from typing import Final

import aiosmtplib
from aiosmtplib import SMTP

from engine.mail_server import MailServer
from engine.mails import Composed, Deferred, MailError, Refused, Unknown, Unreached

CONNECT_S: Final = 20.0
REPLY_S: Final = 60.0
"""To each command; to the message itself it is DATA_S."""
DATA_S: Final = 120.0
MAX_MAILS_PER_CONNECTION: Final = 50
"""Servers end a connection after some; better before they do."""
MAX_IDLE: Final = 4
MAX_FILES: Final = 1_000
"""Mails kept in a folder, the latest."""
_BROKEN: Final = (aiosmtplib.SMTPException, OSError, TimeoutError, ValueError)


class SmtpPost:
    """`mailer.Post` over SMTP. Connections are kept while there is something to send."""

    def __init__(self, server: MailServer, tls: ssl.SSLContext | None = None) -> None:
        self._server = server
        self._tls = tls or ssl.create_default_context()
        self._idle: list[tuple[SMTP, int]] = []

    async def send(self, mail: Composed) -> None:
        client, sent = await self._connection()
        try:
            await self._hand_over(client, mail)
        except BaseException:
            client.close()
            raise
        if sent + 1 < MAX_MAILS_PER_CONNECTION and len(self._idle) < MAX_IDLE:
            self._idle.append((client, sent + 1))
        else:
            await _leave(client)

    async def rest(self) -> None:
        idle, self._idle = self._idle, []
        await asyncio.gather(*(_leave(client) for client, _ in idle))

    async def _connection(self) -> tuple[SMTP, int]:
        """One that was kept and still answers, else a new one."""
        while self._idle:
            client, sent = self._idle.pop()
            try:
                await client.rset(timeout=CONNECT_S)
                return client, sent
            except _BROKEN:
                client.close()
        server = self._server
        client = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            timeout=CONNECT_S,
            use_tls=server.scheme == "smtps",
            start_tls=server.scheme == "smtp",
            tls_context=None if server.scheme == "smtp+plain" else self._tls,
        )
        try:
            await client.connect()
        except _BROKEN as error:
            client.close()
            raise Unreached(f"{server.place}: {_said(error)}") from error
        except BaseException:
            client.close()
            raise
        return client, 0

    async def _hand_over(self, client: SMTP, mail: Composed) -> None:
        await _step(Unreached, client.mail(mail.sender, timeout=REPLY_S))
        await _step(Refused, client.rcpt(mail.recipient, timeout=REPLY_S))
        await _step(Refused, client.data(mail.body, timeout=DATA_S), lost=Unknown)


async def _step(
    refused: type[MailError], asked: Awaitable[object], lost: type[MailError] = Deferred
) -> None:
    """One command. `refused` is what a 5xx means; `lost` what no answer means."""
    try:
        await asked
    except aiosmtplib.SMTPRecipientsRefused as error:
        raise Refused(_said(error)) from error
    except aiosmtplib.SMTPResponseException as error:
        if 500 <= error.code < 600:
            raise refused(_said(error)) from error
        if 400 <= error.code < 500:
            raise Deferred(_said(error)) from error
        raise lost(_said(error)) from error
    except _BROKEN as error:
        raise lost(_said(error)) from error


def _said(error: BaseException) -> str:
    """In the server's own words where there are any."""
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return f"{error.code} {error.message}"
    return str(error) or type(error).__name__


async def _leave(client: SMTP) -> None:
    try:
        await client.quit(timeout=1.0)
    except _BROKEN:
        client.close()


class FolderPost:
    """`mailer.Post` for a house without a mail server: one .eml file a mail, to be looked at.

    A mail that is sent twice is one file.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail: Composed) -> None:
        try:
            await asyncio.to_thread(self._write, mail)
        except OSError as error:
            raise Unreached(f"{self._folder}: {error.strerror or error}") from error

    async def rest(self) -> None:
        """Nothing is held open."""

    def _write(self, mail: Composed) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self._folder / f"{mail.message_id.strip('<>').partition('@')[0]}.eml"
        partial = file.with_suffix(".part")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(mail.body)
        partial.replace(file)
        files = sorted(self._folder.glob("*.eml"), key=lambda one: one.stat().st_mtime)
        for old in files[:-MAX_FILES]:
            old.unlink(missing_ok=True)
