"""A house that has sold for three years: as many orders as asked for, as `Orders.save` writes them.

Owns the made-up orders and their way into the tables, by COPY: orders with their bodies, lines,
payments, tickets, and the scans of what was played. Seeded: the same number is the same house.
"""

import itertools
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final, NamedTuple

import asyncpg

from engine.commands import Channel, Line
from engine.orders import (
    Buyer,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderState,
    Terms,
    TermsKind,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState, Standing
from persistence.orders import order_columns
from persistence.schema import metadata
from persistence.url import connect

SEED: Final = 20_261_122
DAY_MS: Final = 86_400_000
YEARS_MS: Final = 3 * 365 * DAY_MS
ORDERS_AT_ONCE: Final = 10_000
AT_THE_SAME_TIME: Final = 40
"""Performances that are on sale at once."""
LINES: Final = (1, 2, 2, 2, 2, 3, 4)
_FIRST: Final = (
    "Anne Marie Jean Pierre Paul Louise Camille Éléonore Zoë Hugo Emma Léa Noé Chloé Inès Lucas "
    "Martin Sofia Nina Adam Jules Alice Rose Louis Arthur Gabriel Raphaël Mila Ambre Tom"
).split()
_BEGINNINGS: Final = (
    "Mar Dup Ber Lam Rou Gir Mor Bon Fon Cha Per Bla Gau Leg Gar Fau Mer Del Col Vin Car Rol Per "
    "Sch Aub Bar Bou Cor Dub Fer"
).split()
_ENDINGS: Final = "tin ont nard bert ssel aud eau net taine pentier rin nc thier rand nier".split()
_HOSTS: Final = ("example.org", "example.com", "mail.example", "post.example")
OPERATORS: Final = tuple(f"operator {number}" for number in range(1, 13))
_STATES: Final = (
    *[(OrderState.PAID, LineState.SOLD)] * 930,
    *[(OrderState.PART_REFUNDED, LineState.SOLD)] * 20,
    *[(OrderState.REFUNDED, LineState.REFUNDED)] * 20,
    *[(OrderState.CANCELLED, LineState.CANCELLED)] * 15,
    *[(OrderState.EXPIRED, LineState.CANCELLED)] * 10,
    *[(OrderState.AWAITING_PAYMENT, LineState.RESERVED)] * 5,
)


class Sold(NamedTuple):
    """What was made: `last` is the last order's number."""

    orders: int
    tickets: int
    last: int
    from_ms: int
    until_ms: int


class _House:
    """Which seats and ticket numbers of each performance are next."""

    def __init__(self, performances: tuple[int, ...], seats: int) -> None:
        self._performances = performances
        self._seats = seats
        self._next = [0] * len(performances)

    def take(self, near: int, count: int) -> tuple[int, int]:
        """(performance, first seat) of so many places side by side, on sale about then."""
        for at in itertools.chain(range(near, len(self._next)), range(near)):
            if self._next[at] + count <= self._seats:
                first = self._next[at]
                self._next[at] += count
                return self._performances[at], first
        raise ValueError("more is sold than there is room for")


def performances_for(orders: int, seats: int) -> int:
    """How many houses of so many seats these orders fill, with some room."""
    mean = sum(LINES) / len(LINES)
    return int(orders * mean / (0.9 * seats)) + 2


def made(
    orders: int, performances: tuple[int, ...], seats: int, until_ms: int
) -> Iterator[list[tuple[Order, list[str]]]]:
    """Orders with their tickets' states, in the order of their numbers, many at a time."""
    random = Random(SEED)
    house = _House(performances, seats)
    begins_ms = until_ms - YEARS_MS
    for first in range(0, orders, ORDERS_AT_ONCE):
        group = []
        for at in range(first, min(orders, first + ORDERS_AT_ONCE)):
            count = random.choice(LINES)
            near = at * (len(performances) - 1) // orders
            near = max(0, min(len(performances) - 1, near + random.randrange(AT_THE_SAME_TIME)))
            performance, seat = house.take(near, count)
            created_ms = begins_ms + at * YEARS_MS // orders
            # What is reserved stays so while it is measured: nobody's time is over.
            kept_until_ms = until_ms + 30 * DAY_MS
            group.append(
                _order(random, at + 1, performance, seat, count, created_ms, kept_until_ms)
            )
        yield group


def _order(
    random: Random,
    number: int,
    performance: int,
    seat: int,
    count: int,
    created_ms: int,
    kept_until_ms: int,
) -> tuple[Order, list[str]]:
    state, line_state = _STATES[random.randrange(len(_STATES))]
    if state is OrderState.PART_REFUNDED and count == 1:
        state, line_state = OrderState.REFUNDED, LineState.REFUNDED
    draw = random.random()
    by_hand = draw > 0.7
    channel = Channel.WEB if not by_hand else Channel.PHONE if draw > 0.95 else Channel.BOX_OFFICE
    amount = random.choice((1_500, 2_500, 3_500, 4_500))
    kind = random.choice(("adult", "adult", "adult", "child"))
    ticketed = line_state is not LineState.CANCELLED
    lines = tuple(
        OrderLine(
            number=at + 1,
            performance=performance,
            seat=seat + at,
            area=-1,
            price_type=kind,
            amount=amount,
            state=(
                LineState.REFUNDED if state is OrderState.PART_REFUNDED and at == 0 else line_state
            ),
            ticket=seat + at + 1 if ticketed else -1,
        )
        for at in range(count)
    )
    id = f"{random.getrandbits(128):032x}"
    total = amount * count
    paid = state in (OrderState.PAID, OrderState.PART_REFUNDED, OrderState.REFUNDED)
    back = sum(line.amount for line in lines if line.state is LineState.REFUNDED)
    payment = Payment(
        id=f"{id}-1",
        order=id,
        method=PaymentMethod.CARD_TERMINAL if by_hand else PaymentMethod.TEST_CARD,
        amount=total,
        currency="EUR",
        captured=total,
        standing=Standing.CONFIRMED,
        refunds=(Refund("refund", back, RefundState.SUCCEEDED),) if back else (),
    )
    order = Order(
        id=id,
        number=number,
        revision=3,
        state=state,
        channel=channel,
        currency="EUR",
        total=total,
        created_ms=created_ms,
        expires_ms=created_ms + 900_000,
        buyer=_buyer(random),
        operator=random.choice(OPERATORS) if by_hand else "",
        session="" if by_hand else f"{random.getrandbits(128):032x}",
        holds=(
            OrderHold(
                performance,
                f"{random.getrandbits(128):032x}",
                tuple(Line(line.seat, -1, kind) for line in lines),
            ),
        ),
        lines=lines,
        payments=(payment,) if paid else (),
        terms=(
            Terms(TermsKind.PICK_UP, since_ms=created_ms, until_ms=kept_until_ms)
            if state is OrderState.AWAITING_PAYMENT
            else None
        ),
    )
    return order, [_ticket_state(random, line.state) for line in lines]


def _ticket_state(random: Random, line: LineState) -> str:
    if line is LineState.REFUNDED:
        return "refunded"
    if random.random() < 0.000_1:
        return "blocked"
    return "unpaid" if line is LineState.RESERVED else "valid"


def _buyer(random: Random) -> Buyer:
    # Few names are frequent and many are not, as in a telephone book.
    first = _FIRST[int(len(_FIRST) * random.random() ** 2)]
    last = _BEGINNINGS[int(len(_BEGINNINGS) * random.random() ** 2)] + random.choice(_ENDINGS)
    host = random.choice(_HOSTS)
    address = f"{first}.{last}{random.randrange(10_000)}@{host}".lower()
    return Buyer(f"{first} {last}", address, "fr")


async def sell(
    url: str,
    orders: int,
    performances: tuple[int, ...],
    seats: int,
    until_ms: int,
    progress: Callable[[int], None],
) -> Sold:
    """Fill a fresh house's tables; `progress` hears how many orders are there."""
    connection = await connect(url)
    count = tickets = 0
    seq = itertools.count(1)
    try:
        for group in made(orders, performances, seats, until_ms):
            tickets += await _copy(connection, group, seq, until_ms)
            count += len(group)
            progress(count)
        await connection.execute(
            "SELECT setval(pg_get_serial_sequence('orders', 'number'), $1)", orders
        )
        # As autovacuum leaves a house that was not filled in two minutes.
        for table in ("orders", "order_lines", "payments", "tickets", "scans"):
            await connection.execute(f"VACUUM ANALYZE {table}", timeout=600)
    finally:
        await connection.close()
    return Sold(orders, tickets, orders, until_ms - YEARS_MS, until_ms)


async def _copy(
    connection: asyncpg.Connection,
    group: list[tuple[Order, list[str]]],
    seq: Iterator[int],
    until_ms: int,
) -> int:
    """Many orders and what belongs to them; how many tickets those were."""
    sold = [order for order, _ in group]
    columns = order_columns(sold)
    columns["number"] = [order.number for order in sold]
    columns["revision"] = [order.revision for order in sold]
    columns["buyer_words"] = [words.split(" ") for words in columns["buyer_words"]]
    lines = [
        (order, line, state)
        for order, states in group
        for line, state in zip(order.lines, states, strict=True)
    ]
    tickets = [one for one in lines if one[1].ticket > 0]
    # What was bought long enough ago was played, and most came.
    played = [
        (order, line)
        for order, line, state in tickets
        if order.created_ms < until_ms - 30 * DAY_MS and state == "valid" and line.ticket % 10
    ]
    rows: dict[str, list[tuple[Any, ...]]] = {
        "orders": list(zip(*columns.values(), strict=True)),
        "order_lines": [
            (
                *(order.number, line.number, line.performance, line.seat, line.area),
                *(line.price_type, line.amount, line.state.value, line.ticket, order.currency),
            )
            for order, line, _ in lines
        ],
        "payments": [
            (
                *(order.number, one.id, one.method.value, one.state.value, one.amount),
                *(one.captured, one.refunded, one.currency, one.reference, one.intent),
                *(one.till, one.given, one.change),
            )
            for order in sold
            for one in order.payments
        ],
        "tickets": [
            (
                *(line.performance, line.ticket, order.id, line.seat, line.area),
                *(line.price_type, line.amount, state, 0, order.created_ms),
            )
            for order, line, state in tickets
        ],
        "scans": [
            (
                *(line.performance, next(seq), at_ms, "", "lane 1", "admit", line.ticket),
                *("ADMITTED", "", -1, at_ms, "", 0),
            )
            for order, line in played
            for at_ms in [order.created_ms + 20 * DAY_MS]
        ],
    }
    for table, records in rows.items():
        names = list(columns) if table == "orders" else [*metadata.tables[table].columns.keys()]
        await connection.copy_records_to_table(table, records=records, columns=names, timeout=600)
    return len(tickets)
