"""The list of places by plain Python: what the database's queries are compared with."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import Struct

from engine.currency import minor_digits
from engine.listing import (
    Among,
    Cursor,
    Listed,
    ListedMoney,
    ListedStatus,
    ListFilter,
    ListTotals,
    PlaceKind,
)
from engine.orders import LineState, Order, OrderLine


class Passages(NamedTuple):
    """Of one ticket, in milliseconds: when it let somebody in, and out."""

    entries: tuple[int, ...] = ()
    leaves: tuple[int, ...] = ()


def listed(
    orders: Iterable[Order],
    states: Mapping[tuple[int, int], str],
    passages: Mapping[tuple[int, int], Passages],
) -> list[Listed]:
    """All there is, in the list's order. Tickets are known by (performance, number)."""
    rows = []
    for order in sorted(orders, key=lambda one: -one.number):
        for line in sorted(order.lines, key=lambda one: one.number):
            ticket = (line.performance, line.ticket)
            seen = passages.get(ticket, Passages())
            first = min(seen.entries, default=0)
            inside = bool(first) and max(seen.entries) >= max(seen.leaves, default=0)
            rows.append(_row(order, line, states.get(ticket, ""), first, inside))
    return rows


def _row(order: Order, line: OrderLine, ticket: str, first_ms: int, inside: bool) -> Listed:
    return Listed(
        order_number=order.number,
        line=line.number,
        performance=line.performance,
        ticket=line.ticket,
        seat=line.seat,
        area=line.area,
        price_type=line.price_type,
        amount=line.amount,
        currency=order.currency,
        status=_status(line.state, ticket),
        channel=order.channel,
        operator=order.operator,
        buyer_name=order.buyer.name,
        buyer_email=order.buyer.email,
        ordered_ms=order.created_ms,
        scanned_ms=first_ms,
        inside=inside,
    )


def _status(line: LineState, ticket: str) -> ListedStatus:
    if line in (LineState.PENDING, LineState.REFUNDED, LineState.CANCELLED):
        return ListedStatus(line.value)
    if ticket in ("blocked", "revoked"):
        return ListedStatus(ticket)
    return ListedStatus.UNPAID if line is LineState.RESERVED else ListedStatus.VALID


def meets(row: Listed, wanted: ListFilter) -> bool:
    checks = (
        wanted.performances is None or row.performance in wanted.performances,
        _between(row.ordered_ms, wanted.ordered_from_ms, wanted.ordered_until_ms),
        (wanted.scanned_from_ms is None and wanted.scanned_until_ms is None)
        or (
            row.scanned_ms > 0
            and _between(row.scanned_ms, wanted.scanned_from_ms, wanted.scanned_until_ms)
        ),
        not wanted.channels or row.channel in wanted.channels,
        wanted.kind is None or (wanted.kind is PlaceKind.SEAT) == (row.seat >= 0),
        not wanted.statuses or row.status in wanted.statuses,
        wanted.used is None or wanted.used == (row.scanned_ms > 0),
        not wanted.price_types or row.price_type in wanted.price_types,
        wanted.price_from is None or _price(row) >= wanted.price_from,
        wanted.price_to is None or _price(row) <= wanted.price_to,
        not wanted.operators or (row.operator != "" and row.operator in wanted.operators),
        wanted.places is None or any(_among(row, places) for places in wanted.places),
        not wanted.text.strip() or _means(row, wanted),
    )
    return all(checks)


def _between(at_ms: int, from_ms: int | None, until_ms: int | None) -> bool:
    return (from_ms is None or at_ms >= from_ms) and (until_ms is None or at_ms < until_ms)


def _price(row: Listed) -> int:
    return int(row.amount * 10 ** (3 - minor_digits(row.currency)))


def _among(row: Listed, places: Among) -> bool:
    known = row.seat in places.seats if row.seat >= 0 else row.area in places.areas
    return row.performance in places.performances and known


def _means(row: Listed, wanted: ListFilter) -> bool:
    text = wanted.text.strip()
    buyer = f"{row.buyer_name} {row.buyer_email}".lower()
    words = [*buyer.split(), *re.findall(r"\w+", buyer)]
    named = all(any(word.startswith(one) for word in words) for one in text.lower().split())
    by_both = re.sub(r"\s*-\s*", "-", text)
    ticket = str(row.ticket) == text and row.performance in (wanted.performances or ())
    return (
        named
        or text in (str(row.order_number), f"#{row.order_number}")
        or (row.ticket > 0 and (ticket or by_both == f"{row.performance}-{row.ticket}"))
        or any(_among(row, places) for places in wanted.text_places)
    )


def totals_of(rows: Sequence[Listed], lines: Mapping[Cursor, LineState]) -> ListTotals:
    """What rows come to, when `lines` are as orders have them."""

    def count(*states: LineState) -> int:
        return sum(lines[row.cursor] in states for row in rows)

    def money(currency: str, *states: LineState) -> int:
        here = [row for row in rows if row.currency == currency]
        return sum(row.amount for row in here if lines[row.cursor] in states)

    kinds = (
        (LineState.RESERVED, LineState.SOLD),
        (LineState.SOLD,),
        (LineState.REFUNDED,),
        (LineState.CANCELLED,),
    )
    sold, paid, refunded, cancelled = (count(*kind) for kind in kinds)
    return ListTotals(
        places=len(rows),
        sold=sold,
        paid=paid,
        refunded=refunded,
        cancelled=cancelled,
        scanned=sum(row.scanned_ms > 0 for row in rows),
        inside=sum(row.inside for row in rows),
        money=tuple(
            ListedMoney(currency, *(money(currency, *kind) for kind in kinds))
            for currency in sorted({row.currency for row in rows})
        ),
    )


class Showing(Struct, frozen=True):
    plan: str
    titles: dict[str, str]
    starts_ms: int
    settings: bytes


class FakeTicketList:
    """Implements `gateway.backend.TicketList` over a desk's orders and what the doors know."""

    def __init__(self, orders: Any, performances: Any, catalogue: Any) -> None:
        self._orders = orders
        self._performances = performances
        self._catalogue = catalogue
        self.pages = 0

    async def page(
        self, wanted: ListFilter, *, after: Cursor | None = None, limit: int = 1_000
    ) -> list[Listed]:
        self.pages += 1
        rows = [row for row in self._rows() if meets(row, wanted)]
        if after is not None:
            position = (-after.order_number, after.line)
            rows = [row for row in rows if (-row.order_number, row.line) > position]
        return rows[:limit]

    async def totals(self, wanted: ListFilter) -> ListTotals:
        lines = {
            Cursor(order.number, line.number): line.state
            for order in self._orders.by_id.values()
            for line in order.lines
        }
        return totals_of([row for row in self._rows() if meets(row, wanted)], lines)

    async def showings(
        self, numbers: Sequence[int] = (), *, production: int | None = None
    ) -> dict[int, Showing]:
        return {
            one.id: Showing(one.plan, one.production.titles, one.starts_ms, one.settings)
            for one in self._catalogue.performances.values()
            if (one.production.id == production if production is not None else one.id in numbers)
        }

    def _rows(self) -> list[Listed]:
        live = {number: one.core for number, one in self._performances.live.items()}
        states = {
            (number, ticket): state.value
            for number, core in live.items()
            for ticket, state in core.ticket_states.items()
        }
        passages = {
            (number, ticket): Passages(
                tuple(one.at_ms for one in uses if one.entry),
                tuple(one.at_ms for one in uses if not one.entry),
            )
            for number, core in live.items()
            for ticket, uses in core.ticket_uses.items()
        }
        return listed(self._orders.by_id.values(), states, passages)
