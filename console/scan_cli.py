"""`strapontin scan` and `strapontin relay`: who this machine is, before anything is scanned.

Owns the way from arguments to a client with a token and a memory, and its errors in one line.
"""

import asyncio
import os
import sqlite3
import sys
from pathlib import Path
from typing import Final, NamedTuple

from console.cli import DEFAULT_SERVER, fail, password
from console.client import Client, ClientError
from console.identity import Identity, WrongCertificate, enrol, known_identity, memory_path
from console.kept import Memory, MemoryInUse
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
        return Client(identity.server, identity.token, retry_waits_s=RETRY_WAITS_S), identity
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
    except (OSError, sqlite3.Error) as error:
        raise CannotBegin(t("cli.scan.no_memory", path=str(path), why=str(error))) from None
