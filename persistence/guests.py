"""The guest list: whose ticket it is, where they sit, whether they have come.

Owns that one query, by name or whole. A guest is the buyer of the order; the tickets
of a refunded line are nobody's. Knows no plan: a seat is an index here.
"""

from collections.abc import AsyncIterator
from typing import Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.commands import ScanMode, ScanOutcome, TicketState
from persistence.orders import by_words
from persistence.schema import orders, scans, tickets

PAGE_ROWS: Final = 500
"""Guests read at once; between pages others get their turn."""

LET_IN: Final = (
    scans.c.undone_ms == 0,
    scans.c.mode.in_((ScanMode.ADMIT.value, ScanMode.MARK.value)),
    sa.func.coalesce(sa.func.nullif(scans.c.shown, ""), scans.c.result)
    == ScanOutcome.ADMITTED.value,
)
"""Scans after which somebody was in, whatever is thought of it."""


class Guest(Struct, frozen=True):
    """One ticket. `arrived_ms` is when it first came in, 0 while it has not."""

    ticket: int
    version: int
    order_number: int
    name: str
    seat: int
    area: int
    price_type: str
    state: str
    arrived_ms: int


class Guests:
    """Read only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def guests(self, performance: int, *, text: str = "", limit: int) -> list[Guest]:
        """Sorted by name, then by order and ticket.

        `text` is the beginnings of words of the name, all of which must be there.
        """
        return [guest async for guest in self._read(performance, text, limit)]

    async def _read(self, performance: int, text: str, limit: int) -> AsyncIterator[Guest]:
        arrived = (
            sa.select(scans.c.ticket, sa.func.min(scans.c.scanned_ms).label("at_ms"))
            .where(scans.c.performance == performance, *LET_IN)
            .group_by(scans.c.ticket)
            .subquery()
        )
        name = sa.func.coalesce(orders.c.buyer_name, "")
        query = (
            sa.select(
                tickets.c.number,
                tickets.c.version,
                sa.func.coalesce(orders.c.number, 0),
                name,
                tickets.c.seat,
                tickets.c.area,
                tickets.c.price_type,
                tickets.c.state,
                sa.func.coalesce(arrived.c.at_ms, 0),
            )
            .join_from(tickets, orders, orders.c.id == tickets.c.order_id, isouter=True)
            .join(arrived, arrived.c.ticket == tickets.c.number, isouter=True)
            .where(
                tickets.c.performance == performance,
                tickets.c.state != TicketState.REFUNDED.value,
            )
            # Folded: without capitals and accents, as people look a name up. The nameless last.
            .order_by(name == "", orders.c.buyer_words, name, tickets.c.order_id, tickets.c.number)
            .limit(limit)
        )
        if text:
            wanted = by_words(text)
            if wanted is None:
                return
            query = query.where(wanted)
        async with self._engine.connect() as connection:
            rows = await connection.stream(query.execution_options(yield_per=PAGE_ROWS))
            async for row in rows:
                yield Guest(*row)
