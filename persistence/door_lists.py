"""What the doors of a performance must know when they are alone, read from the query tables.

Owns one read of tickets and scans in one snapshot of the database: what it tells is committed,
and belongs to the seq that it names.
"""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.commands import ScanMode, ScanOutcome, TicketState
from persistence.schema import scans, tickets, writers


class DoorRows(Struct, frozen=True):
    """One performance's tickets and their use, as of `seq`.

    `places` are of the tickets that were asked for, by number: the seat, or -1 - area. `used` is
    (number, first admission, its gate, inside) of what was scanned after the seq that was asked
    for; `unused` those of them that nobody went in with.
    """

    seq: int
    tickets: int
    states: dict[int, str]
    versions: dict[int, int]
    used: Sequence[tuple[int, int, str, bool]]
    unused: Sequence[int]
    places: Sequence[int]


class DoorLists:
    """Read only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def read(self, performance: int, *, since: int, first: int) -> DoorRows | None:
        """`since` is a seq (0: everything), `first` a ticket's number; None: no such performance.

        A seq that this performance never came to is as good as 0.
        """
        async with self._engine.connect() as connection:
            connection = await connection.execution_options(isolation_level="REPEATABLE READ")
            head = await connection.scalar(
                sa.select(writers.c.head_seq).where(writers.c.performance == performance)
            )
            if head is None:
                return None
            query = _used(performance, since if since <= head else 0)
            used = [tuple(row) for row in await connection.execute(query)]
            count, places = (await connection.execute(_places(performance, first))).one()
            marked = (await connection.execute(_marked(performance))).all()
        valid = TicketState.VALID.value
        return DoorRows(
            seq=head,
            tickets=count,
            states={row.number: row.state for row in marked if row.state != valid},
            versions={row.number: row.version for row in marked if row.version},
            used=[(number, at, gate, inside) for number, at, gate, inside in used if at],
            unused=[number for number, at, _, _ in used if not at],
            places=places or [],
        )


def _places(performance: int, first: int) -> sa.Select[*tuple[Any, ...]]:
    place = sa.case((tickets.c.seat >= 0, tickets.c.seat), else_=-1 - tickets.c.area)
    wanted = tickets.c.number >= first
    return sa.select(
        sa.func.coalesce(sa.func.max(tickets.c.number), 0),
        sa.func.array_agg(aggregate_order_by(place, tickets.c.number)).filter(wanted),
    ).where(tickets.c.performance == performance)


def _marked(performance: int) -> sa.Select[*tuple[Any, ...]]:
    """Tickets that a signature alone would let in wrongly."""
    return sa.select(tickets.c.number, tickets.c.state, tickets.c.version).where(
        tickets.c.performance == performance,
        sa.or_(tickets.c.state != TicketState.VALID.value, tickets.c.version > 0),
    )


def _used(performance: int, since: int) -> sa.Select[*tuple[Any, ...]]:
    """By ticket: its first entry that stands, and whether the last passage was one."""
    here = sa.and_(scans.c.performance == performance, scans.c.ticket > 0)
    entry = passes(ScanOutcome.ADMITTED, ScanMode.ADMIT, ScanMode.MARK)
    leave = passes(ScanOutcome.EXITED, ScanMode.EXIT)
    order = (scans.c.scanned_ms, scans.c.device, scans.c.sequence)
    backwards = [column.desc() for column in order]

    def first(column: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
        return sa.func.array_agg(aggregate_order_by(column, *order)).filter(entry)[1]

    inside = sa.func.array_agg(aggregate_order_by(entry, *backwards)).filter(sa.or_(entry, leave))[
        1
    ]
    query = sa.select(
        scans.c.ticket,
        sa.func.coalesce(first(scans.c.scanned_ms), 0),
        sa.func.coalesce(first(scans.c.gate), ""),
        sa.func.coalesce(inside, False),
    ).where(here)
    if since:
        # What was taken back says not at which seq: those few are told every time.
        news = sa.or_(scans.c.seq > since, scans.c.undone_ms > 0)
        query = query.where(scans.c.ticket.in_(sa.select(scans.c.ticket).where(here, news)))
    return query.group_by(scans.c.ticket)


def passes(result: ScanOutcome, *modes: ScanMode) -> sa.ColumnElement[bool]:
    """Who went through: by what the engine said, or by what a device showed that was alone."""
    kept = scans.c.sequence >= 0
    said = sa.case((kept, scans.c.shown), else_=scans.c.result)
    return sa.and_(
        scans.c.undone_ms == 0,
        scans.c.mode.in_([mode.value for mode in modes]),
        said == result.value,
    )
