"""Till sessions: opened, moved in, counted and closed, each command once; and what they come to.

Owns the queries, and that two sessions are never open at one till or of one operator. What may
be done with a session is `engine.tills`'s to say. Every method is one transaction. Those that
change a session lock its row, and the store of orders locks it too (`persistence.orders`): a
payment is there before the session is reckoned for the last time, or it is refused.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy import Text
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.tills import (
    AddEntry,
    CloseTill,
    Entry,
    OpenTill,
    Repaid,
    Takings,
    TillRefusal,
    TillRefused,
    TillReport,
    TillSession,
    closed,
    entered,
    malformed_open,
    reckon,
    till_key,
)
from persistence.schema import orders, payments, till_entries, till_repayments, till_sessions
from persistence.together import Together

MAX_SESSIONS: Final = 200
"""In one page of sessions."""
OPENING_TRIES: Final = 5
"""A session in the way may be closed while one looks whose it is."""

_SESSION: Final = [till_sessions.c[name] for name in TillSession.__struct_fields__]
_ENTRY: Final = [till_entries.c[name] for name in Entry.__struct_fields__]
_IS_OPEN: Final = till_sessions.c.closed_ms.is_(None)
_OPEN_OF: Final = sa.select(*_SESSION).where(
    _IS_OPEN, till_sessions.c.operator == sa.func.any(sa.bindparam("operators", type_=ARRAY(Text)))
)


class Tills:
    """See the module."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._opened = Together(self._open_of)

    async def open(self, wanted: OpenTill, now_ms: int) -> TillReport | TillRefused:
        if problem := malformed_open(wanted):
            return TillRefused(TillRefusal.MALFORMED, problem)
        wanted = msgspec.structs.replace(wanted, till=wanted.till.strip())
        asked = msgspec.structs.asdict(wanted)
        key = till_key(wanted.till)  # not by SQL: what `lower` knows depends on the server
        made = insert(till_sessions).values(**asked, till_key=key, opened_ms=now_ms)
        mine = _IS_OPEN & (till_sessions.c.operator == wanted.operator)
        there = _IS_OPEN & (till_sessions.c.till_key == key)
        async with self._engine.begin() as connection:
            for _ in range(OPENING_TRIES):
                await connection.execute(made.on_conflict_do_nothing())
                session = await _session(connection, till_sessions.c.id == wanted.id)
                if session is not None:
                    if any(getattr(session, name) != value for name, value in asked.items()):
                        return TillRefused(TillRefusal.ID_REUSED)
                    return await _report(connection, session)
                if own := await _session(connection, mine):
                    return TillRefused(TillRefusal.TILL_OPEN, own.till)
                if other := await _session(connection, there):
                    return TillRefused(TillRefusal.TILL_TAKEN, other.operator)
        return TillRefused(TillRefusal.TILL_TAKEN)

    async def enter(self, session: str, wanted: AddEntry, now_ms: int) -> TillReport | TillRefused:
        """Move cash in an open session, or count it."""
        async with self._engine.begin() as connection:
            report = await _locked(connection, session)
            if isinstance(report, TillRefused):
                return report
            entry = entered(wanted, report, now_ms)
            if isinstance(entry, TillRefused):
                return entry
            if entry not in report.entries:
                row = msgspec.to_builtins(entry)
                row |= {"session": session, "place": len(report.entries)}
                await connection.execute(till_entries.insert().values(row))
            return await _report(connection, report.session)

    async def close(self, session: str, wanted: CloseTill, now_ms: int) -> TillReport | TillRefused:
        """Close it for good, unless an order that moves money in it has not come to rest."""
        async with self._engine.begin() as connection:
            report = await _locked(connection, session)
            if isinstance(report, TillRefused):
                return report
            closing = closed(wanted, report, now_ms)
            if isinstance(closing, TillRefused):
                return closing
            if report.session.closing is not None:
                return report
            busy = await connection.scalar(
                sa.select(orders.c.number)
                .where(orders.c.unfinished, orders.c.body["till"].astext == session)
                .limit(1)
            )
            if busy is not None:
                return TillRefused(TillRefusal.TILL_BUSY, str(busy))
            await connection.execute(
                till_sessions.update()
                .where(till_sessions.c.id == session, _IS_OPEN)
                .values(closed_ms=now_ms, closing=msgspec.to_builtins(closing))
            )
            ended = msgspec.structs.replace(report.session, closing=closing)
            return msgspec.structs.replace(report, session=ended)

    async def open_of(self, operator: str) -> TillSession | None:
        """The operator's open session."""
        return await self._opened.get(operator)

    async def _open_of(self, operators: Sequence[str]) -> dict[str, TillSession]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_OPEN_OF, {"operators": operators})
            found = [_read(row) for row in rows]
        return {session.operator: session for session in found}

    async def report(self, session: str) -> TillReport | None:
        """As of one moment; a closed session's is the same for good."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            found = await _session(connection, till_sessions.c.id == session)
            return None if found is None else await _report(connection, found)

    async def list(
        self, *, operator: str = "", open_only: bool = False, before: int = 0, limit: int = 50
    ) -> Sequence[TillSession]:
        """Newest first. `before` is the number of the last session of the page before."""
        query = sa.select(*_SESSION)
        if operator:
            query = query.where(till_sessions.c.operator == operator)
        if open_only:
            query = query.where(_IS_OPEN)
        if before:
            query = query.where(till_sessions.c.number < before)
        query = query.order_by(till_sessions.c.number.desc()).limit(min(limit, MAX_SESSIONS))
        async with self._engine.connect() as connection:
            return [_read(row) for row in await connection.execute(query)]


async def _session(
    connection: AsyncConnection, which: sa.ColumnElement[bool]
) -> TillSession | None:
    row = (await connection.execute(sa.select(*_SESSION).where(which))).one_or_none()
    return None if row is None else _read(row)


async def _locked(connection: AsyncConnection, session: str) -> TillReport | TillRefused:
    """The session as nobody can change it until this transaction ends."""
    query = sa.select(*_SESSION).where(till_sessions.c.id == session).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return TillRefused(TillRefusal.TILL_UNKNOWN)
    return await _report(connection, _read(row))


async def _report(connection: AsyncConnection, session: TillSession) -> TillReport:
    entries = await connection.execute(
        sa.select(*_ENTRY)
        .where(till_entries.c.session == session.id)
        .order_by(till_entries.c.place)
    )
    taken = payments.c
    ours = (taken.till == session.id) & (taken.captured > 0)
    amount, coins = sa.func.sum(taken.captured), sa.func.sum(taken.given - taken.change)
    takings = await connection.execute(
        sa.select(
            taken.method,
            sa.func.count(),
            sa.cast(amount, sa.BigInteger),
            sa.cast(coins, sa.BigInteger),
        )
        .where(ours)
        .group_by(taken.method)
    )
    sales = await connection.scalar(
        sa.select(sa.func.count(taken.order_number.distinct())).where(ours)
    )
    back = till_repayments.c
    repaid = await connection.execute(
        sa.select(back.method, back.amount).where(back.till == session.id)
    )
    return reckon(
        session,
        [_read_entry(row) for row in entries],
        [Takings(*row) for row in takings],
        [Repaid(*row) for row in repaid],
        sales or 0,
    )


def _read(row: sa.Row[*tuple[Any, ...]]) -> TillSession:
    return msgspec.convert(dict(zip(TillSession.__struct_fields__, row, strict=True)), TillSession)


def _read_entry(row: sa.Row[*tuple[Any, ...]]) -> Entry:
    return msgspec.convert(dict(zip(Entry.__struct_fields__, row, strict=True)), Entry)
