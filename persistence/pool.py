"""The pool of connections that all queries share, and what becomes of a connection that is lost.

A connection can be cut at any moment, and the driver tells so in a dozen ways: that it is
closed, that another operation is in progress (which the server's last words began), that it is
in the wrong state, not at all. All of them end alike: the connection is thrown away and never
lent again, whoever was using it hears of a sqlalchemy.exc.SQLAlchemyError or an OSError, and
the next one gets a connection that has just answered.

The journal, which has connections of its own, is not served here.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from persistence.url import (
    ABANDONED_MS,
    CONNECT_TIMEOUT_S,
    DRIVER_ERRORS,
    DatabaseUnavailable,
    answered,
    sqlalchemy_url,
)

POOL_WAIT_S: Final = 5.0
"""A query waits this long for a connection, then fails as sqlalchemy.exc.TimeoutError."""
STATEMENT_TIMEOUT_S: Final = 15.0
PING_S: Final = 2.0
"""A connection that is silent for this long before it is used is given up, and its pool."""


class Dialect(PGDialect_asyncpg):
    """As it is, but a connection that is lost while it is set up is told as any other."""

    supports_statement_cache = True

    async def setup_asyncpg_json_codec(self, conn: Any) -> None:
        await _set_up(super().setup_asyncpg_json_codec(conn))  # type: ignore[no-untyped-call]

    async def setup_asyncpg_jsonb_codec(self, conn: Any) -> None:
        await _set_up(super().setup_asyncpg_jsonb_codec(conn))  # type: ignore[no-untyped-call]


registry.register("postgresql.strapontin", __name__, Dialect.__name__)


def open_pool(url: str, connections: int, *, patient: bool = False) -> AsyncEngine:
    """At most so many connections, made when they are wanted.

    `patient` are those whose transactions lock nothing and may be silent for long.
    """
    engine = create_async_engine(
        sqlalchemy_url(url).set(drivername="postgresql+strapontin"),
        pool_size=connections,
        max_overflow=0,
        pool_timeout=POOL_WAIT_S,
        # What went wrong is logged, and buyers' names are none of it.
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_TIMEOUT_S,
            "command_timeout": STATEMENT_TIMEOUT_S,
            "server_settings": {
                "application_name": "strapontin",
                "synchronous_commit": "on",
                "idle_in_transaction_session_timeout": str(0 if patient else ABANDONED_MS),
            },
        },
    )
    sa.event.listen(engine.sync_engine, "checkout", _check)
    sa.event.listen(engine.sync_engine, "handle_error", _judge, retval=True)
    return engine


async def _set_up(setting: Any) -> None:
    try:
        await setting
    except DRIVER_ERRORS as error:
        raise _unavailable(error) from error


def _check(connection: Any, *_: object) -> None:
    """Before a connection is used: does anybody answer?

    A server that was restarted leaves dead connections behind, and a network that was cut
    leaves some that are silent for ever. Where one is, the others are not asked one by one.
    """
    try:
        connection.run_async(lambda own: own.fetchrow(";", timeout=PING_S))
    except DRIVER_ERRORS as error:
        connection.driver_connection.terminate()  # nobody is there to be polite to
        raise InvalidatePoolError(f"{type(error).__name__}: {error}") from error


def _judge(failed: ExceptionContext) -> BaseException | None:
    """Whose statement the server has not answered does not ask it for a rollback either."""
    raised = failed.original_exception
    error = getattr(raised, "driver_exception", None) or raised
    if not isinstance(error, DRIVER_ERRORS) or answered(error):
        return None
    failed.is_disconnect = True
    if failed.sqlalchemy_exception is None and not isinstance(error, OSError):
        return _unavailable(error)  # while rows were being fetched
    return None


def _unavailable(error: BaseException) -> DatabaseUnavailable:
    return DatabaseUnavailable(f"{type(error).__name__}: {error}")
