"""A mail server that does what a test tells it, on loopback: aiosmtpd with a script."""

import asyncio
import email
import email.policy
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from typing import Any, Final

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

CUT: Final = "cut"
"""Instead of an answer: the connection is gone."""
HANG: Final = "hang"
"""Instead of an answer: nothing, for ever."""
USER, PASSWORD = "house", "p/w: é"


class SmtpServer:
    """Answers come from `script`, by command, one a time; else it agrees.

    `received` are the messages that it had whole, `accepted` those whose sender heard so.
    """

    def __init__(self) -> None:
        self.script: dict[str, list[str]] = {}
        self.received: list[EmailMessage] = []
        self.accepted: list[EmailMessage] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.logins: list[str] = []
        self.connections = 0
        self.changed = asyncio.Condition()
        self.port = 0

    async def until(self, received: int) -> None:
        """Returns once so many messages were received."""
        async with self.changed:
            await self.changed.wait_for(lambda: len(self.received) >= received)

    # aiosmtpd's hooks

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        envelope.mail_from = address
        return await self._answer("MAIL", server)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        said = await self._answer("RCPT", server)
        if said.startswith("2"):
            envelope.rcpt_tos.append(address)
        return said

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        assert isinstance(envelope.content, bytes) and envelope.mail_from is not None
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        async with self.changed:
            self.received.append(message)
            self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
            self.changed.notify_all()
        said = await self._answer("DATA", server)
        if said.startswith("2"):
            self.accepted.append(message)
        return said

    def authenticate(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append(data.login.decode())
        good = (data.login.decode(), data.password.decode()) == (USER, PASSWORD)
        return AuthResult(success=good, handled=False)

    async def _answer(self, command: str, server: SMTP) -> str:
        left = self.script.get(command)
        said = left.pop(0) if left else "250 OK"
        if said == HANG:
            await asyncio.Event().wait()
        if said == CUT:
            assert server.transport is not None
            server.transport.abort()
        return said


@asynccontextmanager
async def smtp_server(
    tls: ssl.SSLContext | None = None, *, start_tls: bool = False, login: bool = False
) -> AsyncIterator[SmtpServer]:
    """Serve until the block ends. `tls` from the first byte, or with `start_tls` when asked for."""
    fake, loop = SmtpServer(), asyncio.get_running_loop()

    def client() -> SMTP:
        fake.connections += 1
        with warnings.catch_warnings():
            # That a login needs no STARTTLS, which it has from the first byte.
            warnings.simplefilter("ignore")
            return SMTP(
                fake,
                hostname="mail.example",
                tls_context=tls if start_tls else None,
                require_starttls=start_tls,
                auth_required=login,
                auth_require_tls=start_tls,
                authenticator=fake.authenticate if login else None,
                loop=loop,
            )

    server = await loop.create_server(client, "127.0.0.1", 0, ssl=None if start_tls else tls)
    fake.port = server.sockets[0].getsockname()[1]
    try:
        yield fake
    finally:
        server.close()
        for task in asyncio.all_tasks():
            if "SMTP._handle_client" in repr(task.get_coro()):
                task.cancel()
