"""`strapontin scan` and `strapontin relay`: who this machine is, before anything is scanned.

Owns the way from arguments to a client with a token and a memory, and its errors in one line.
"""

import asyncio
import os
import signal
import sqlite3
import ssl
import sys
from pathlib import Path
from typing import Final, NamedTuple

from console.cli import DEFAULT_SERVER, fail, password
from console.client import Client, ClientError, performance_numbers
from console.identity import Identity, WrongCertificate, enrol, known_identity, memory_path
from console.kept import CannotKeep, KeptScan, Memory, MemoryInUse
from console.scan import ScanError, run_scanner
from console.slip import state_directory
from console.words import error_words
from engine.commands import ScanMode
from renderers.enrolment import BadLink
from renderers.i18n import Translator

RETRY_WAITS_S: Final = (0.2,)
"""Who can go on without the house does not wait long for it."""


class Scanning(NamedTuple):
    """The arguments of a scanner."""

    pictures: tuple[Path, ...]
    server: str
    token: str
    login: str
    enrol: str
    performance: int
    gate: str
    look_up: bool
    exit: bool


class CannotBegin(Exception):
    """Said in one line."""


def scan(wanted: Scanning, memory: Path | None, json: bool, t: Translator) -> int:
    mode = ScanMode.LOOK_UP if wanted.look_up else ScanMode.EXIT if wanted.exit else ScanMode.ADMIT

    async def run() -> int:
        client, identity = await who(wanted.server, wanted.token, wanted.login, wanted.enrol, t)
        performance = wanted.performance
        if performance < 0 and identity is not None and len(identity.performances) == 1:
            performance = identity.performances[0]
        gate = wanted.gate or (identity.gate if identity else "")
        kept = open_memory(memory, client, t)
        try:
            return await run_scanner(
                client, t, performance, gate, mode, wanted.pictures, json, sys.stdin, kept
            )
        finally:
            kept.close()

    try:
        return asyncio.run(run())
    except ClientError as error:
        return fail(error_words(t, error))
    except (ScanError, CannotBegin) as error:
        return fail(str(error))


async def who(
    server: str, token: str, login: str, link: str, t: Translator
) -> tuple[Client, Identity | None]:
    """A client with a token: given, logged in, enrolled by a link now, or once before.

    Raises:
        CannotBegin, ClientError.
    """
    state = state_directory(os.environ)
    identity = None
    if link:
        try:
            identity = await enrol(link, state)
        except BadLink:
            raise CannotBegin(t("cli.scan.bad_link")) from None
        except WrongCertificate as error:
            raise CannotBegin(t("cli.scan.wrong_certificate", server=str(error))) from None
    elif not token and not login:
        identity = known_identity(state)
        if identity is None or (server and Client(server).server != identity.server):
            raise CannotBegin(t("cli.scan.no_token"))
    if identity is not None:
        client = Client(
            identity.server,
            identity.token,
            retry_waits_s=RETRY_WAITS_S,
            certificate=identity.certificate,
        )
        return client, identity
    client = Client(server or DEFAULT_SERVER, token, retry_waits_s=RETRY_WAITS_S)
    if not token:
        await client.login(login, password(t))
    return client, None


def open_memory(path: Path | None, client: Client, t: Translator) -> Memory:
    """Raises CannotBegin."""
    path = path or memory_path(state_directory(os.environ), client.server, client.token)
    try:
        return Memory(path)
    except MemoryInUse:
        raise CannotBegin(t("cli.scan.memory_in_use", path=str(path))) from None
    except (OSError, sqlite3.Error, CannotKeep) as error:
        raise CannotBegin(t("cli.scan.no_memory", path=str(path), why=str(error))) from None


class Serving(NamedTuple):
    """The arguments of a relay."""

    server: str
    token: str
    enrol: str
    performances: str
    host: str
    port: int
    certificate: Path | None
    key: Path | None


def relay(wanted: Serving, memory: Path | None, t: Translator) -> int:
    """Serve until Ctrl-C or SIGTERM. The exit code: 0 stopped as asked, 2 could not begin."""
    try:
        return asyncio.run(_relay(wanted, memory, t))
    except ClientError as error:
        return fail(error_words(t, error))
    except CannotBegin as error:
        return fail(str(error))


async def _relay(wanted: Serving, path: Path | None, t: Translator) -> int:
    from console.alone import Desk
    from console.link import Link, LinkState
    from console.relay import PATIENCE_S, Relay

    client, identity = await who(wanted.server, wanted.token, "", wanted.enrol, t)
    try:
        performances = performance_numbers(wanted.performances)
    except ValueError:
        raise CannotBegin(t("device.cli.bad_performances", text=wanted.performances)) from None
    performances = performances or (identity.performances if identity else ())
    if not performances:
        raise CannotBegin(t("relay.which_performances"))
    secure = _secure(wanted, t)
    memory = open_memory(path, client, t)
    stop, refused = asyncio.Event(), asyncio.Event()

    def state_changed(state: LinkState, why: str) -> None:
        desk.link_changed(state)
        if state is LinkState.REFUSED:
            refused.set()
            stop.set()
        else:
            print(t(f"relay.{state.value}", why=why), flush=True)

    def conflict(scan: KeptScan) -> None:
        print(t("relay.conflict", ticket=scan.told.ticket, gate=scan.gate), flush=True)

    link = Link(
        client.server, client.token, t.language, on_state=state_changed, context=client.context
    )
    desk = Desk(link, client, memory, patience_s=PATIENCE_S, on_conflict=conflict)
    serving = Relay(client, desk, memory, performances)
    tasks = [asyncio.create_task(link.run()), asyncio.create_task(desk.keep_in_step(*performances))]
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        await desk.asked_around.wait()
        try:
            port = await serving.start(wanted.host, wanted.port, secure)
        except OSError as error:
            raise CannotBegin(f"{wanted.host}:{wanted.port}: {error.strerror}") from None
        scheme = "https" if secure else "http"
        print(t("relay.ready", url=f"{scheme}://{wanted.host}:{port}"), flush=True)
        if secure is None:
            print(t("relay.insecure"), flush=True)
        await stop.wait()
        if refused.is_set():
            raise CannotBegin(t("refusal.unauthenticated"))
        return 0
    finally:
        await serving.stop()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await desk.stop()
        memory.close()


def _secure(wanted: Serving, t: Translator) -> ssl.SSLContext | None:
    """Raises CannotBegin."""
    if wanted.certificate is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(wanted.certificate, wanted.key)
    except OSError as error:
        why = error.strerror or str(error)
        raise CannotBegin(t("relay.bad_certificate", why=why)) from None
    return context
