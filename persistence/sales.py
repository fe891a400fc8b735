"""What cashiers and doors look up: latest sales, searches, tickets with their scans, totals.

Owns the queries over orders, tickets and scans. Knows no plan: a seat is an
index here, and whoever asks for "B 12" has looked the index up.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.commands import TicketState
from engine.orders import Order, OrderState
from persistence.guests import LET_IN
from persistence.orders import Orders, by_words
from persistence.schema import order_lines, orders, scans, tickets

MAX_SALES: Final = 200
"""Orders in one page of sales."""
MAX_TICKETS: Final = 500
MAX_SCANS_PER_TICKET: Final = 100
_INT4_MAX: Final = 2**31 - 1
_INT8_MAX: Final = 2**63 - 1


class Sale(Struct, frozen=True):
    """One line of a list of sales. `places` counts all its places, `live` those not given back."""

    number: int
    id: str
    state: str
    channel: str
    currency: str
    total: int
    created_ms: int
    buyer_name: str
    buyer_email: str
    operator: str
    places: int
    live: int
    performances: tuple[int, ...]


class TicketEntry(Struct, frozen=True):
    """A ticket as it is now. `order_number` is 0 when the order is unknown here."""

    performance: int
    number: int
    order: str
    order_number: int
    buyer_name: str
    seat: int
    area: int
    price_type: str
    amount: int
    state: str
    version: int
    sold_ms: int


class ScanEntry(Struct, frozen=True):
    """One presentation of a ticket at a gate, refused ones too; see the table for its columns."""

    at_ms: int
    gate: str
    device: str
    mode: str
    result: str
    reason: str
    sequence: int
    scanned_ms: int
    shown: str
    undone_ms: int


class Totals(Struct, frozen=True):
    """A performance in figures. Amounts in minor units; `sold` and `amount` leave refunds out."""

    sold: int
    amount: int
    refunded: int
    refunded_amount: int
    admitted: int


class Sales:
    """Read only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._orders = Orders(engine)

    async def orders(self, ids: Sequence[str]) -> list[Order]:
        """The whole orders, newest first."""
        return await self._orders.among(ids)

    async def latest(
        self,
        *,
        performance: int | None = None,
        state: OrderState | None = None,
        operator: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> list[Sale]:
        """Newest orders first. `before` is the number of the last order of the page before.

        `state` is one of RESERVED_STATES: of those there are few among very many orders.
        `operator`: of whom alone they are, "" for everybody's.
        """
        which = _placed_by(operator)
        if state is not None or operator:
            if state is not None:
                which &= orders.c.unfinished & (orders.c.state == state.value)
            if performance is not None:
                there = sa.select(order_lines.c.order_number).where(
                    order_lines.c.order_number == orders.c.number,
                    order_lines.c.performance == performance,
                )
                which &= there.exists()
            return await self._sales(which, before, limit)
        if performance is None:
            return await self._sales(sa.true(), before, limit)
        page = sa.select(order_lines.c.order_number).where(order_lines.c.performance == performance)
        if before is not None:
            page = page.where(order_lines.c.order_number < before)
        page = page.distinct().order_by(order_lines.c.order_number.desc()).limit(limit)
        return await self._sales(orders.c.number.in_(page), before, limit)

    async def search(
        self,
        text: str,
        *,
        performance: int | None = None,
        seats: Sequence[int] = (),
        operator: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> list[Sale]:
        """Orders that `text` may mean, newest first, every page after `before`.

        It may be an order's number, a ticket's ("performance-number"), or the beginnings of
        words of the buyer's name or e-mail, all of which must be there. `seats` are the
        seats that the caller found for it, and count within `performance` only. `operator` as
        of `latest`.
        """
        meanings: list[sa.ColumnElement[bool]] = []
        known = await self._order_numbers(text, performance, seats, before)
        if known:
            meanings.append(orders.c.number.in_(known))
        named = by_words(text)
        if named is not None:
            meanings.append(named)
        if not meanings:
            return []
        which = sa.or_(*meanings) & _placed_by(operator)
        if performance is not None:
            which &= (
                sa.exists()
                .where(order_lines.c.order_number == orders.c.number)
                .where(order_lines.c.performance == performance)
            )
        return await self._sales(which, before, limit)

    async def _order_numbers(
        self, text: str, performance: int | None, seats: Sequence[int], before: int | None
    ) -> set[int]:
        """Orders that are named exactly: by their number, a ticket's or a seat.

        Asked one by one and first: a single query that may mean all of it reads every order.
        """
        found: set[int] = set()
        number = _number(text.strip(), _INT8_MAX)
        if number is not None:
            found.add(number)
        queries: list[sa.Select[int]] = []
        named = _ticket(text)
        if named is not None:
            queries.append(
                sa.select(orders.c.number)
                .join_from(tickets, orders, orders.c.id == tickets.c.order_id)
                .where(tickets.c.performance == named[0], tickets.c.number == named[1])
            )
        if seats and performance is not None:
            queries.append(
                sa.select(order_lines.c.order_number)
                .where(
                    order_lines.c.performance == performance,
                    order_lines.c.seat.in_(seats),
                    order_lines.c.order_number < (_INT8_MAX if before is None else before),
                )
                .order_by(order_lines.c.order_number.desc())
                .limit(MAX_SALES)
            )
        if queries:
            async with self._engine.connect() as connection:
                for query in queries:
                    found.update(await connection.scalars(query))
        return found

    async def tickets(
        self,
        performance: int,
        *,
        numbers: Sequence[int] = (),
        seats: Sequence[int] = (),
        order: str = "",
        limit: int = MAX_TICKETS,
    ) -> list[TicketEntry]:
        """The performance's tickets that have one of the numbers or seats, or are the order's.

        Newest first, refunded ones too. Nothing named: the newest of all.
        """
        meanings: list[sa.ColumnElement[bool]] = []
        if numbers:
            meanings.append(tickets.c.number.in_(numbers))
        if seats:
            meanings.append(tickets.c.seat.in_(seats))
        if order:
            meanings.append(tickets.c.order_id == order)
        query = _TICKETS.where(tickets.c.performance == performance)
        if meanings:
            query = query.where(sa.or_(*meanings))
        query = query.order_by(tickets.c.number.desc()).limit(min(limit, MAX_TICKETS))
        async with self._engine.connect() as connection:
            return [TicketEntry(*tuple(row)) for row in await connection.execute(query)]

    async def ticket(
        self, performance: int, number: int
    ) -> tuple[TicketEntry, list[ScanEntry]] | None:
        """A ticket and its scans, the latest first."""
        history = (
            sa.select(*[scans.c[name] for name in ScanEntry.__struct_fields__])
            .where(scans.c.performance == performance, scans.c.ticket == number)
            .order_by(scans.c.seq.desc())
            .limit(MAX_SCANS_PER_TICKET)
        )
        found = await self.tickets(performance, numbers=[number])
        if not found:
            return None
        async with self._engine.connect() as connection:
            return found[0], [ScanEntry(*row) for row in await connection.execute(history)]

    async def totals(self, performance: int) -> Totals:
        refunded = tickets.c.state == TicketState.REFUNDED.value
        amount = sa.func.coalesce(sa.func.sum(tickets.c.amount).filter(~refunded), 0)
        returned = sa.func.coalesce(sa.func.sum(tickets.c.amount).filter(refunded), 0)
        sold = sa.select(
            sa.func.count().filter(~refunded),
            sa.cast(amount, sa.BigInteger),
            sa.func.count().filter(refunded),
            sa.cast(returned, sa.BigInteger),
        ).where(tickets.c.performance == performance)
        admitted = sa.select(sa.func.count(scans.c.ticket.distinct())).where(
            scans.c.performance == performance, *LET_IN
        )
        async with self._engine.connect() as connection:
            row = (await connection.execute(sold)).one()
            return Totals(*row, admitted=(await connection.execute(admitted)).scalar_one())

    async def counts(self, performances: Sequence[int]) -> dict[int, int]:
        """Tickets that are not refunded, of each performance that has some."""
        sold = (
            sa.select(tickets.c.performance, sa.func.count())
            .where(
                tickets.c.performance.in_(performances),
                tickets.c.state != TicketState.REFUNDED.value,
            )
            .group_by(tickets.c.performance)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(sold)).all()
        return {row[0]: row[1] for row in rows}

    async def _sales(
        self, which: sa.ColumnElement[bool], before: int | None, limit: int
    ) -> list[Sale]:
        query = sa.select(*_SALE).where(which)
        if before is not None:
            query = query.where(orders.c.number < before)
        query = query.order_by(orders.c.number.desc()).limit(min(limit, MAX_SALES))
        async with self._engine.connect() as connection:
            return [_sale(row) for row in await connection.execute(query)]


def _placed_by(operator: str) -> sa.ColumnElement[bool]:
    return orders.c.operator == operator if operator else sa.true()


def _sale(row: sa.Row[*tuple[Any, ...]]) -> Sale:
    return Sale(**{**row._mapping, "performances": tuple(row.performances or ())})


def _lines(what: sa.ColumnElement[Any], *which: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
    return (
        sa.select(what)
        .where(order_lines.c.order_number == orders.c.number, *which)
        .correlate(orders)
        .scalar_subquery()
    )


_SALE: Final[list[sa.ColumnElement[Any]]] = [
    *[orders.c[name] for name in Sale.__struct_fields__[:10]],
    _lines(sa.func.count()).label("places"),
    _lines(sa.func.count(), order_lines.c.state.in_(("pending", "reserved", "sold"))).label("live"),
    _lines(sa.func.array_agg(order_lines.c.performance.distinct())).label("performances"),
]
_TICKETS: Final = sa.select(
    tickets.c.performance,
    tickets.c.number,
    tickets.c.order_id,
    sa.func.coalesce(orders.c.number, 0),
    sa.func.coalesce(orders.c.buyer_name, ""),
    tickets.c.seat,
    tickets.c.area,
    tickets.c.price_type,
    tickets.c.amount,
    tickets.c.state,
    tickets.c.version,
    tickets.c.sold_ms,
).join_from(tickets, orders, orders.c.id == tickets.c.order_id, isouter=True)


def _number(text: str, most: int) -> int | None:
    digits = text.removeprefix("#")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 19 or int(digits) > most:
        return None
    return int(digits)


def _ticket(text: str) -> tuple[int, int] | None:
    match = re.fullmatch(r"\s*(\d+)\s*-\s*(\d+)\s*", text, re.ASCII)
    if match is None:
        return None
    performance, number = _number(match[1], _INT4_MAX), _number(match[2], _INT4_MAX)
    return None if performance is None or number is None else (performance, number)
