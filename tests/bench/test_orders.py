"""The load that sells, on a gateway in memory, and the same by hand on a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest
from msgspec.structs import replace

from bench import orders as orders_module
from bench.core import SETTINGS, large_house
from bench.orders import PRICE, by_hand, check_paid, open_till, paid_orders, rows_for
from engine.orders import OrderState
from gateway.config import Config
from persistence.url import connect
from renderers.secret import generate_key
from tests.fakes.backend import FakeBackend
from tests.gateway.conftest import SESSION_KEY, Running

PLAN = large_house(20)
SEATS = len(PLAN.seats)


@pytest.fixture(autouse=True)
def few_and_no_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders_module, "WARM_UP_S", 0.0)
    monkeypatch.setattr(orders_module, "CLIENTS", 4)
    monkeypatch.setattr(orders_module, "CONNECTIONS", 2)


@pytest.fixture
async def gateway() -> AsyncIterator[Running]:
    fake = FakeBackend()
    fake.add_performance(PLAN, replace(SETTINGS, orphan_rule=False))
    config = Config(session_key=SESSION_KEY, ticket_key=generate_key(), staff_commands_per_s=1e6)
    running = Running(fake, config)
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def token(gateway: Running) -> str:
    return await gateway.fake.operator_token("Ada", "cashier")


async def test_every_order_that_is_counted_is_paid_in_the_till_session(
    gateway: Running, token: str
) -> None:
    await asyncio.to_thread(open_till, gateway.url, token, 7)
    rate, orders = await paid_orders(gateway.url, token, 1, SEATS, 0.5, 1 << 64)
    kept = list(gateway.fake.desk.orders.by_id.values())
    assert rate.per_s > 0 and orders == len(kept) >= 4
    assert {order.state for order in kept} == {OrderState.PAID}
    assert {order.payments[0].till for order in kept} == {f"{7:032x}"}
    seats = [line.seat for order in kept for line in order.lines]
    assert len(set(seats)) == len(seats) == 2 * orders


async def test_a_house_that_is_sold_out_stops_the_run(gateway: Running, token: str) -> None:
    with pytest.raises(RuntimeError, match="sold out"):
        await paid_orders(gateway.url, token, 1, 16, 30.0, 1 << 64)


async def test_an_order_that_is_refused_stops_the_run(gateway: Running, token: str) -> None:
    await paid_orders(gateway.url, token, 1, SEATS, 0.5, 1 << 64)
    with pytest.raises(RuntimeError, match="seat_taken"):
        await paid_orders(gateway.url, token, 1, SEATS, 0.5, 2 << 64)


def test_a_house_has_seats_for_the_fastest_round() -> None:
    assert rows_for(3.0) * 400 >= 3.0 * orders_module.MOST_PER_S * 2


async def test_by_hand_seats_money_and_books_agree(database_url: str) -> None:
    rate = await by_hand(database_url, 40_000, 1.5)
    assert rate.per_s > 0
    connection = await connect(database_url)
    try:
        counts = await connection.fetchrow(
            """
            SELECT (SELECT count(*) FROM hand_orders), (SELECT count(*) FROM hand_payments),
                (SELECT count(*) FROM hand_lines) / 2, (SELECT count(*) FROM hand_tickets) / 2,
                (SELECT count(*) FROM hand_seats WHERE taken) / 2,
                (SELECT count(*) FROM hand_ledger) / 3, (SELECT number FROM hand_head) / 3,
                (SELECT sum(amount) FROM hand_payments) / (2 * $1),
                (SELECT sum(amount) FROM hand_ledger WHERE kind = 'sale') / (2 * $1)
            """,
            PRICE,
        )
        assert len(set(map(int, counts))) == 1 and counts[0] > 0, counts
        before = b""
        for row in await connection.fetch("SELECT * FROM hand_ledger ORDER BY number"):
            *told, hash_ = row
            before = sha256(before + json.dumps(told, separators=(",", ":")).encode()).digest()
            assert before == hash_
    finally:
        await connection.close()


async def test_an_order_that_was_answered_and_is_not_there_is_told(database_url: str) -> None:
    await check_paid(database_url, 0)
    with pytest.raises(RuntimeError, match="1 orders were answered"):
        await check_paid(database_url, 1)
