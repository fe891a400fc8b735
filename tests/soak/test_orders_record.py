"""Every wrong in the tables of orders over two performances would be noticed."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio
from msgspec import structs, to_builtins

from engine.commands import Channel
from engine.orders import (
    Buyer,
    LineState,
    Order,
    OrderExchange,
    OrderHold,
    OrderLine,
    OrderState,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState, Standing
from engine.tills import OpenTill
from persistence.embedded import EmbeddedPostgres
from persistence.store import Store
from persistence.url import Connection, connect
from tests.conftest import copy_of
from tests.persistence.houses import NOW_MS, Opened, open_house
from tests.soak.evenings import Visit
from tests.soak.orders_record import Record, judge

pytestmark = pytest.mark.asyncio(loop_scope="module")
TILL: Final = "f" * 32
PRICE: Final = 2_000
PAID, EXCHANGED, NOT_EXCHANGED, RESERVED, GIVEN_BACK, CANCELLED = (f"{n:032x}" for n in range(6))
House = tuple[Connection, tuple[int, int], list[Visit]]


@pytest.fixture(scope="module")
def soaked_url(postgres_server: EmbeddedPostgres, database_template: str) -> Iterator[str]:
    with copy_of(postgres_server.url, database_template) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(soaked_url: str) -> AsyncIterator[House]:
    """A database with two performances, and an order of each kind over both."""
    async with await Store.open(soaked_url) as store:
        opened = await open_house(store)
        await store.tills.open(OpenTill(TILL, "Soak", "EUR", 0, "ada"), NOW_MS)
        visits = [await _there(store, one, opened) for one in _orders(opened)]
    connection = await connect(soaked_url)
    try:
        for visit in visits:
            await _sell(connection, visit)
        yield connection, (opened.first, opened.second), visits
    finally:
        await connection.close()


def _orders(opened: Opened) -> list[Order]:
    sold = LineState.SOLD
    both = opened.first, opened.second
    refund = (Refund("r", 2 * PRICE, RefundState.SUCCEEDED, till=TILL),)
    exchange = OrderExchange(
        "x", (1,), (3,), OrderHold(opened.second, "ab" * 16, ()), OrderState.PAID, "ada",
        NOW_MS, NOW_MS, covered=True, done=True,
    )  # fmt: skip
    lost = structs.replace(exchange, refused="hold_unknown")
    places = {
        PAID: (OrderState.PAID, both, (sold, sold)),
        EXCHANGED: (
            OrderState.EXCHANGED, (*both, opened.second), (LineState.REFUNDED, sold, sold)
        ),
        NOT_EXCHANGED: (
            OrderState.PAID, (*both, opened.second), (sold, sold, LineState.CANCELLED)
        ),
        RESERVED: (OrderState.AWAITING_PAYMENT, both, (LineState.RESERVED,) * 2),
        GIVEN_BACK: (OrderState.REFUNDED, both, (LineState.REFUNDED,) * 2),
        CANCELLED: (OrderState.CANCELLED, both, (LineState.CANCELLED,) * 2),
    }  # fmt: skip
    found = []
    for order, (state, performances, states) in places.items():
        seat = 10 * int(order, 16)
        lines = tuple(
            OrderLine(
                at + 1, where, seat + at, -1, "full", PRICE, state=states[at],
                ticket=-1 if states[at] is LineState.CANCELLED else seat + at + 1,
            )
            for at, where in enumerate(performances)
        )  # fmt: skip
        paid = state not in (OrderState.CANCELLED, OrderState.AWAITING_PAYMENT)
        payment = Payment(
            f"{order}-1", order, PaymentMethod.CASH, 2 * PRICE, "EUR", captured=2 * PRICE,
            given=2 * PRICE, standing=Standing.CONFIRMED, till=TILL,
            refunds=refund if state is OrderState.REFUNDED else (),
        )  # fmt: skip
        exchanges = {EXCHANGED: (exchange,), NOT_EXCHANGED: (lost,)}.get(order, ())
        found.append(
            Order(
                id=order,
                number=0,
                state=state,
                channel=Channel.BOX_OFFICE,
                currency="EUR",
                total=2 * PRICE,
                created_ms=NOW_MS,
                expires_ms=NOW_MS + 900_000,
                buyer=Buyer(),
                operator="ada",
                session="",
                holds=(),
                lines=lines,
                payments=(payment,) if paid else (),
                exchanges=exchanges,
            )
        )
    return found


async def _there(store: Store, order: Order, opened: Opened) -> Visit:
    """Saved as it was placed, sold and changed; and as whoever bought it was told in the end."""
    coming = {number for one in order.exchanges for number in one.coming}
    placed = tuple(one for one in order.lines if one.number not in coming)
    pending = tuple(structs.replace(one, state=LineState.PENDING, ticket=-1) for one in placed)
    changes: dict[str, Any] = {"lines": pending, "payments": (), "exchanges": ()}
    [saved] = await store.orders.save([structs.replace(order, state=OrderState.OPEN, **changes)])
    if order.payments:
        sold = tuple(structs.replace(one, state=LineState.SOLD) for one in placed)
        payments = tuple(structs.replace(one, refunds=()) for one in order.payments)
        changes = {"state": OrderState.PAID, "lines": sold, "payments": payments}
        [saved] = await store.orders.save([structs.replace(saved, **changes)])
    changes = {"number": saved.number, "revision": saved.revision}
    [saved] = await store.orders.save([structs.replace(order, **changes)])
    return Visit(order.id, 2, to_builtins(saved), exchanges=len(order.exchanges))


async def _sell(connection: Connection, visit: Visit) -> None:
    assert visit.told is not None
    states = {"sold": "valid", "reserved": "unpaid", "refunded": "refunded"}
    for line in visit.told["lines"]:
        if line["state"] in states:
            await connection.execute(
                "INSERT INTO tickets (performance, number, order_id, seat, area, price_type,"
                " amount, state, version, sold_ms) VALUES ($1, $2, $3, $4, -1, 'full', $5, $6,"
                " 0, $7)",
                *(line["performance"], line["ticket"], visit.order, line["seat"], PRICE),
                *(states[line["state"]], NOW_MS),
            )


async def judged(house: House) -> dict[str, list[str]]:
    connection, performances, visits = house
    return judge(await Record.read(connection, performances, TILL), visits, 3 * 2 * PRICE)


async def test_what_is_right_is_found_right(house: House) -> None:
    assert {key: found for key, found in (await judged(house)).items() if found} == {}


def end(order: str, seat: int) -> str:
    seat += 10 * int(order, 16)
    return f"UPDATE tickets SET state = 'refunded' WHERE order_id = '{order}' AND seat = {seat}"


def sell(order: str, seat: int) -> str:
    seat += 10 * int(order, 16)
    return f"UPDATE tickets SET state = 'valid' WHERE order_id = '{order}' AND seat = {seat}"


def other(order: str, change: str) -> str:
    return (
        f"UPDATE tickets SET {change} WHERE order_id = '{order}' AND seat = {10 * int(order, 16)}"
    )


def line(order: str, number: int, state: str, ticket: int) -> str:
    """Where the tables of lines are wrong as well."""
    body = f"jsonb_set(jsonb_set(body, '{{lines,{number - 1},state}}', '\"{state}\"'),"
    body += f" '{{lines,{number - 1},ticket}}', '{ticket}')"
    return f"UPDATE orders SET body = {body} WHERE id = '{order}'"


COPY: Final = (
    "INSERT INTO tickets SELECT performance, 99, {order}, 99, area, price_type, amount, state,"
    " version, sold_ms FROM tickets WHERE order_id = '" + PAID + "' AND seat = 0"
)
WRONGS: Final = {
    "half a paid order": ("orders_half_sold", end(PAID, 1)),
    "half a reserved order": ("orders_half_sold", end(RESERVED, 0)),
    "a reserved order that admits": ("tickets_and_lines_differ", sell(RESERVED, 0)),
    "a paid order that does not": ("orders_half_sold", other(PAID, "state = 'unpaid'")),
    "half of what was given back": ("orders_half_sold", sell(GIVEN_BACK, 1)),
    "a place too many": ("orders_half_sold", COPY.format(order="order_id")),
    "a ticket of nobody": ("orders_half_sold", COPY.format(order="'" + "e" * 32 + "'")),
    "a ticket without a paid line": ("tickets_and_lines_differ", COPY.format(order="order_id")),
    "an order that was given up": (
        "orders_half_sold", f"UPDATE tickets SET order_id = '{CANCELLED}' WHERE order_id = '{PAID}'"
    ),
    "an exchange of which both are lost": ("exchanges_half_done", end(EXCHANGED, 2)),
    "an exchange of which both are had": ("exchanges_half_done", sell(EXCHANGED, 0)),
    "an exchange that came to nothing, with neither": (
        "exchanges_half_done", end(NOT_EXCHANGED, 0)
    ),
    "an exchange that came to nothing, with both": (
        "exchanges_half_done", line(NOT_EXCHANGED, 3, "sold", 22)
    ),
    "an exchange under way": (
        "exchanges_half_done",
        "UPDATE orders SET body = jsonb_set(body, '{exchanges,0,done}', 'false')"
        f" WHERE id = '{EXCHANGED}'",
    ),
    "other tickets than were told": ("orders_not_as_told", end(PAID, 0)),
    "an order that is not there": (
        "orders_not_as_told", f"UPDATE orders SET id = '{'d' * 32}' WHERE id = '{PAID}'"
    ),
    "money without tickets": (
        "paid_without_tickets",
        "UPDATE order_lines SET state = 'cancelled' WHERE state = 'sold' AND order_number ="
        f" (SELECT number FROM orders WHERE id = '{PAID}')",
    ),
    "tickets without money": (
        "paid_without_tickets",
        "UPDATE payments SET captured = 0 WHERE order_number ="
        f" (SELECT number FROM orders WHERE id = '{PAID}')",
    ),
    "an order on its way": (
        "paid_without_tickets", f"UPDATE orders SET state = 'selling' WHERE id = '{PAID}'"
    ),
    "a payment that the ledger has not": (
        "books_differ", "UPDATE payments SET captured = captured + 1"
    ),
    "a sale that the ledger has not": ("books_differ", "UPDATE order_lines SET amount = 1"),
    "a coin that the drawer has not": ("till_differs", "UPDATE payments SET given = given + 1"),
    "a coin that was not handed back": (
        "till_differs",
        "UPDATE orders SET body = jsonb_set(body, '{payments,0,refunds,0,amount}', '1')"
        f" WHERE id = '{GIVEN_BACK}'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONGS)
async def test_a_wrong_in_the_tables_is_noticed(house: House, what: str) -> None:
    key, wrong = WRONGS[what]
    transaction = house[0].transaction(isolation="repeatable_read")
    await transaction.start()
    try:
        changed = await house[0].execute(wrong)
        assert not changed.endswith(" 0")
        assert (await judged(house))[key]
    finally:
        await transaction.rollback()


async def test_what_is_not_known_is_not_compared(house: House) -> None:
    paid = next(one for one in house[2] if one.order == PAID)
    assert paid.tickets
    assert structs.replace(paid, asking=1).tickets is None
    assert structs.replace(paid, told={**(paid.told or {}), "state": "exchanging"}).tickets is None
