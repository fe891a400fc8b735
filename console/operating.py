"""What the commands of operators share: who asks, and how a failure ends.

Owns the exit codes: what the work returns, 1 the server refused, 2 could not begin.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from cyclopts import Parameter

from console.cli import DEFAULT_SERVER, Json, Login, Server, fail, password, t
from console.client import TIMEOUT_S, Client, ClientError, Problem
from console.words import error_words
from engine.orders import Order

REFUSED: Final = 1

Token = Annotated[str, Parameter(help=t("cli.operator_token"), env_var="STRAPONTIN_TOKEN")]


@Parameter(name="*")
@dataclass(frozen=True)
class Asker:
    """Who asks, where, and how the answer is printed."""

    server: Server = DEFAULT_SERVER
    login: Login = ""
    token: Token = ""
    json: Json = False


ASKER: Final = Asker()
"""Where none of it is said."""


class Failure(Exception):
    """Said in one line; the command could not begin."""


def run(work: Callable[[], Coroutine[Any, Any, int]]) -> int:
    """The exit code of a command; what is neither the server's nor a Failure is raised."""
    try:
        return asyncio.run(work())
    except Problem as problem:
        code = fail(error_words(t, problem))
        return REFUSED if problem.refused else code
    except ClientError as error:
        return fail(error_words(t, error))
    except Failure as failure:
        return fail(str(failure))


def print_json(value: object) -> None:
    """What `--json` asks for."""
    print(msgspec.json.encode(value).decode())


def moment(ms: int, zone: ZoneInfo) -> str:
    """A time (Unix milliseconds) to the second, as commands print it."""
    return datetime.fromtimestamp(ms / 1000, zone).isoformat(" ", "seconds")


async def house_zone(client: Client) -> ZoneInfo:
    """The house's time zone."""
    return ZoneInfo((await client.house()).time_zone)


async def operator(who: Asker, timeout_s: float = TIMEOUT_S, nobody: str = t("cli.who")) -> Client:
    """A client with the token, or logged in; `nobody` is told to whoever gave neither.

    Raises:
        Failure: Neither a token nor a name is given.
        ClientError: The login was refused, or nobody answered.
    """
    client = Client(who.server, who.token, timeout_s)
    if not who.token:
        if not who.login:
            raise Failure(nobody)
        await client.login(who.login, password(t))
    return client


async def order_of(client: Client, number: int) -> Order | None:
    """The order with this number; None where there is none."""
    found = await client.sales(-1, f"#{number}", 1)
    return found[0] if found and found[0].number == number else None
