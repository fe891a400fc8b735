"""Database addresses: any Postgres URL in, what SQLAlchemy and asyncpg want out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import make_url
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

Connection: TypeAlias = asyncpg.Connection
Pool: TypeAlias = asyncpg.Pool
PooledConnection: TypeAlias = asyncpg.pool.PoolConnectionProxy

ABANDONED_MS: Final = 3_000
"""The server ends a transaction whose client has been silent for this long. A network that was
cut tells it nothing, and until then nobody else can change what the transaction has changed: the
head of the ledger, which is every sale of the house, or who writes a performance."""

DRIVER_ERRORS: Final = (
    OSError,  # a TimeoutError is one
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    # A connection that was cut may be in a state that the driver has no other word for.
    asyncpg.InternalClientError,
)
"""Whatever asyncpg raises when something goes wrong."""

CONNECT_TIMEOUT_S: Final = 5.0
OLDEST_SERVER: Final = 14


class DatabaseUrlError(ValueError):
    """The address is not that of a Postgres database."""


class DatabaseUnavailable(ConnectionError):
    """The server does not answer, refuses us, or is of the wrong version. One line, no password."""


def answered(error: BaseException) -> bool:
    """Did the server refuse a statement (or the driver its values), and is still there?"""
    if isinstance(error, asyncpg.PostgresError):
        return not isinstance(error, asyncpg.PostgresConnectionError) and getattr(
            error, "severity_en", None
        ) not in ("FATAL", "PANIC")
    return isinstance(error, asyncpg.InterfaceError) and isinstance(error, ValueError)


@contextmanager
def reaching(url: str) -> Iterator[None]:
    """Turns whatever goes wrong at the database into DatabaseUnavailable."""
    try:
        yield
    except (*DRIVER_ERRORS, SQLAlchemyError) as error:
        parsed = sqlalchemy_url(url)
        place = parsed.query.get("host") or f"{parsed.host}:{parsed.port or 5432}"
        why = str(getattr(error, "orig", None) or error) or "no answer in time"
        raise DatabaseUnavailable(f"{parsed.database} at {place}: {why.splitlines()[0]}") from error


def sqlalchemy_url(url: str) -> URL:
    """Accepts postgres://, postgresql:// and postgresql+asyncpg://.

    The options `sslmode` (or `ssl`) and `host` (a socket's directory) are understood.

    Raises:
        DatabaseUrlError: Anything else; its text never repeats a password.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise DatabaseUrlError(
            "the database address is not a URL; expected postgresql://user:password@host/database"
        ) from error
    if parsed.drivername not in ("postgres", "postgresql", "postgresql+asyncpg"):
        raise DatabaseUrlError(
            f"{parsed.drivername} is not supported; expected postgresql://user:password@host/database"
        )
    query = dict(parsed.query)
    if "sslmode" in query:  # libpq's name for it, and everybody's
        query["ssl"] = query.pop("sslmode")
    unknown = sorted(query.keys() - {"host", "ssl"})
    if unknown:
        raise DatabaseUrlError(
            f"the database address has an option that is not supported: {unknown[0]}; leave it out"
        )
    return parsed.set(drivername="postgresql+asyncpg", query=query)


def _arguments(url: str) -> dict[str, Any]:
    parsed = sqlalchemy_url(url)
    query: dict[str, Any] = dict(parsed.query)
    return {
        "host": query.pop("host", None) or parsed.host,
        "port": parsed.port or 5432,
        "user": parsed.username,
        "password": parsed.password,
        "database": parsed.database,
        "timeout": CONNECT_TIMEOUT_S,
        **query,
    }


async def connect(url: str, **server_settings: str) -> Connection:
    """One asyncpg connection. Raises OSError or asyncpg.PostgresError when it cannot be had."""
    return await asyncpg.connect(
        **_arguments(url), server_settings={"application_name": "strapontin", **server_settings}
    )


async def pool(url: str, most: int, timeout_s: float) -> Pool:
    """A pool that connects when asked, at most `most` times; `timeout_s` bounds each statement."""
    return await asyncpg.create_pool(
        **_arguments(url),
        min_size=0,
        max_size=most,
        command_timeout=timeout_s,
        server_settings={"application_name": "strapontin"},
    )
