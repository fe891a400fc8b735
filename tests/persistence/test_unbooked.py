"""What is bought at once: kept first by itself, and booked when it is known how it ended."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import structs

from engine.commands import Channel, Ticket
from engine.ordering import advance, at_rest, lost, sold
from engine.orders import LineState, Order, OrderState
from engine.payments import pay_cash
from persistence.cancellations import Cancellations
from persistence.orders import Orders
from persistence.rewind import rewind
from tests.persistence.houses import Opened
from tests.persistence.test_ledger import Books
from tests.persistence.test_orders import new_order

TABLES = ("order_lines", "payments", "ledger", "order_history")


@pytest.fixture
async def books(database_url: str, opened: Opened) -> AsyncIterator[Books]:
    books = Books(database_url, opened)
    yield books
    await books.engine.dispose()


def begun(books: Books) -> Order:
    order = new_order(
        books.performance, 3, 4, channel=Channel.BOX_OFFICE, operator="ada", session=""
    )
    payment = pay_cash(f"{order.id}-buy", order.id, order.total, "EUR", 5_000)
    return structs.replace(
        order,
        state=OrderState.SELLING,
        payments=(payment,),
        unbooked=True,
        created_ms=books.clock.now_ms,
    )


def ended(order: Order) -> Order:
    tickets = tuple(
        Ticket(number, line.seat, -1, line.price_type, line.amount)
        for number, line in enumerate(order.lines, 1)
    )
    return at_rest(advance(sold(order, {order.lines[0].performance: tickets})))


async def counts(books: Books) -> list[Any]:
    async with books.engine.connect() as connection:
        return [await connection.scalar(sa.text(f"SELECT count(*) FROM {one}")) for one in TABLES]


async def kinds(books: Books) -> list[str]:
    async with books.engine.connect() as connection:
        rows = await connection.scalars(sa.text("SELECT kind FROM ledger ORDER BY number"))
        return list(rows)


@pytest.mark.parametrize("restarted", [False, True])
async def test_it_is_booked_once_it_is_sold(books: Books, restarted: bool) -> None:
    [first] = await books.orders.save([begun(books)])
    assert await counts(books) == [2, 0, 0, 0]
    assert await books.orders.unfinished() == [first]
    whoever_cancels = Cancellations(books.engine)
    assert await whoever_cancels.page(books.performance, 0, 10) == [first]
    # Another process has saved nothing itself, and is told by the database what was.
    orders = Orders(books.engine, books.clock) if restarted else books.orders
    [second] = await orders.save([ended(first)])
    assert not second.unbooked and second.state is OrderState.PAID
    assert await counts(books) == [2, 1, 3, 1]
    assert await kinds(books) == ["sale", "sale", "payment"]


async def test_what_was_lost_is_booked_with_the_money_that_went_back(books: Books) -> None:
    [first] = await books.orders.save([begun(books)])
    [failed] = await books.orders.save([at_rest(lost(first))])
    assert not failed.unbooked
    assert {line.state for line in failed.lines} == {LineState.CANCELLED}
    assert await kinds(books) == ["cancellation", "payment"]
    await books.orders.save([at_rest(advance(failed))])
    assert await kinds(books) == ["cancellation", "payment", "repayment"]


async def test_back_between_its_two_saves_it_is_gone_on_with(books: Books) -> None:
    [first] = await books.orders.save([begun(books)])
    between_ms = books.clock.now_ms + 500
    books.clock.now_ms += 1_000
    await books.orders.save([ended(first)])
    async with books.engine.begin() as connection:
        await rewind(connection, between_ms, lambda *_: None)
    assert await counts(books) == [2, 0, 0, 0]
    restored = Orders(books.engine, books.clock)
    assert await restored.unfinished() == [first]
    await restored.save([ended(first)])
    assert await kinds(books) == ["sale", "sale", "payment"]
