"""The record of orders, judged: all or nothing over two performances, and the books.

Owns its queries, which read the raw tables with nothing of the product. Everything is read in one
look, when no order is between two steps any more.
"""

import json
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final, NamedTuple

from persistence.url import Connection
from tests.day.books import Tables, books_of, money_of, tickets_of
from tests.soak.evenings import Visit

_ORDERS: Final = (
    "SELECT id, state, body FROM orders WHERE number IN"
    " (SELECT order_number FROM order_lines WHERE performance = ANY($1))"
)
_LIVE: Final = (
    "SELECT order_id, performance, number, state FROM tickets"
    " WHERE performance = ANY($1) AND state <> 'refunded'"
)
_CASH: Final = """
SELECT s.opening_float + coalesce((SELECT sum(p.given - p.change) FROM payments p
        WHERE p.till = s.id AND p.method = 'cash' AND p.captured > 0), 0)
    - coalesce((SELECT sum((back->>'amount')::bigint) FROM orders o,
        jsonb_array_elements(o.body->'payments') p, jsonb_array_elements(p->'refunds') back
        WHERE p->>'method' = 'cash' AND back->>'till' = s.id), 0)
FROM till_sessions s WHERE s.id = $1
"""
_WITH_TICKETS: Final = ("paid", "part_refunded", "exchanged")
_RESERVED: Final = ("awaiting_payment", "awaiting_approval")
Place = tuple[int, int]
"""A performance and a ticket there."""


class Bought(NamedTuple):
    """An order at rest: its lines and exchanges as it says, and the live tickets that there are.

    `live` says of each whether it is paid.
    """

    id: str
    state: str
    lines: dict[int, dict[str, Any]]
    exchanges: list[dict[str, Any]]
    live: dict[Place, bool]

    def has(self, lines: Iterable[int]) -> int:
        """How many of these have a live ticket."""
        return sum(self._place(number) in self.live for number in lines)

    def _place(self, number: int) -> Place:
        line = self.lines[number]
        return line["performance"], line.get("ticket", -1)


class Record(NamedTuple):
    """What there is in the end. `cash` is by the raw tables in the drawer of the soak's till."""

    orders: dict[str, Bought]
    strangers: list[str]
    tables: Tables
    cash: int

    @classmethod
    async def read(
        cls, connection: Connection, performances: Collection[int], till: str
    ) -> "Record":
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            rows = await connection.fetch(_ORDERS, list(performances))
            tickets = await connection.fetch(_LIVE, list(performances))
            tables = await Tables.read(connection)
            cash = await connection.fetchval(_CASH, till) or 0
        live: dict[str, dict[Place, bool]] = {}
        for order, performance, number, state in tickets:
            live.setdefault(order, {})[performance, number] = state != "unpaid"
        orders = {row["id"]: _bought(row, live.pop(row["id"], {})) for row in rows}
        return cls(
            orders, [f"order {order}: {there}" for order, there in live.items()], tables, cash
        )


def _bought(row: Any, live: dict[Place, bool]) -> Bought:
    body = json.loads(row["body"])
    lines = {line["number"]: line for line in body["lines"]}
    return Bought(row["id"], row["state"], lines, body.get("exchanges", []), live)


def judge(record: Record, visits: Iterable[Visit], drawer: int) -> dict[str, list[str]]:
    """What is wrong, by what must hold; `drawer` is what the till's report expects in cash."""
    visits = list(visits)
    counted = record.cash != drawer
    return {
        "orders_half_sold": [*_half(record, visits), *record.strangers],
        "exchanges_half_done": list(_exchanges(record)),
        "orders_not_as_told": list(_otherwise(record, visits)),
        "tickets_and_lines_differ": tickets_of(record.tables),
        "paid_without_tickets": money_of(record.tables),
        "books_differ": books_of(record.tables),
        "till_differs": [f"{record.cash} by the orders, {drawer} by the report"] * counted,
    }


def _half(record: Record, visits: list[Visit]) -> Iterator[str]:
    """A live ticket for every place that was ordered, in both performances, or none at all.

    Exchanges here are of one place for one, and so the number stays.
    """
    for visit in visits:
        order = record.orders.get(visit.order)
        if order is None:
            continue  # it was refused, or its answer is waited for: see `_otherwise`
        wanted = visit.places if order.state in (*_WITH_TICKETS, *_RESERVED) else 0
        unpaid = [place for place, paid in order.live.items() if not paid]
        if len(order.live) != wanted:
            yield f"order {order.id} is {order.state}: {len(order.live)} of {wanted} tickets"
        elif unpaid and order.state not in _RESERVED:
            yield f"order {order.id} is {order.state}: {unpaid} are not paid"
        elif wanted and not visit.exchanges and len({place[0] for place in order.live}) != 2:
            yield f"order {order.id} is {order.state}: {sorted(order.live)} in one performance"


def _exchanges(record: Record) -> Iterator[str]:
    """What goes or what comes has tickets: never both, and never neither, but for what ended."""
    for order in record.orders.values():
        for one in order.exchanges:
            told = f"order {order.id} is {order.state}: {one}"
            if not one.get("done"):
                yield f"{told} is under way"
                continue
            gone, come = order.has(one["leaving"]), order.has(one["coming"])
            ended = order.state not in _WITH_TICKETS
            lost = bool(one.get("refused"))
            if (come and lost) or (gone and not lost):
                yield f"{told}: what ended has tickets"
            if not ended and gone + come != (len(one["leaving"] if lost else one["coming"])):
                yield f"{told}: {gone} and {come} tickets"


def _otherwise(record: Record, visits: list[Visit]) -> Iterator[str]:
    """What a customer was told at last is what there is."""
    for visit in visits:
        tickets = visit.tickets
        if tickets is None:
            continue
        order = record.orders.get(visit.order)
        live = set(order.live) if order is not None else None
        if tickets != live:
            yield f"order {visit.order}: told {sorted(tickets)}, and there are {live}"
