"""The house that sold: every kind of question about it has an answer."""

from collections.abc import Iterator
from random import Random
from typing import Any

import sqlalchemy as sa

from bench.core import large_house
from bench.search import Queries, kinds
from bench.sold import made, sell
from engine.listing import Cursor, ListFilter
from engine.ordering import over_ms
from engine.orders import OrderState
from persistence.orders import Orders
from persistence.pool import open_pool
from persistence.sales import Sales
from persistence.store import Store
from persistence.ticket_list import TicketList
from tests.persistence.houses import NOW_MS, open_house

RARE = {"list_blocked", "totals_blocked", "by_ticket"}
"""What a house that sold so little may have none of."""


def test_no_desk_finds_anything_to_do_in_it() -> None:
    """It once paid a million orders back while it was measured."""
    orders = [order for group in made(4_000, (1, 2), 10_000, NOW_MS) for order, _ in group]
    for order in orders:
        waits = order.state is OrderState.AWAITING_PAYMENT
        assert order.finished is not waits, order
        assert waits or order.due == 0, order
        assert not waits or over_ms(order) > NOW_MS, order
    assert {order.state for order in orders} >= {OrderState.AWAITING_PAYMENT, OrderState.REFUNDED}


async def test_every_kind_of_question_is_answered(database_url: str) -> None:
    plan = large_house(5)
    async with await Store.open(database_url) as store:
        opened = await open_house(store)
    performances = (opened.first, opened.second) * 5
    sold = await sell(
        database_url, 400, (opened.first, opened.second), len(plan.seats), NOW_MS, lambda _: None
    )
    assert sold.orders == 400 and sold.tickets > 400
    engine = open_pool(database_url, 1)
    try:
        on = Queries(Sales(engine), TicketList(engine))
        for kind in kinds(sold, performances, plan):
            random = Random(kind.key)
            answers = [await kind.ask(random).of(on) for _ in range(30)]
            assert any(found(answer) for answer in answers) or kind.key in RARE, kind.key
        # Read as the desk reads them.
        newest = (await Sales(engine).latest(limit=1))[0]
        order = await Orders(engine).get(newest.id)
        assert order is not None and order.number == newest.number and order.lines
    finally:
        await engine.dispose()


async def test_a_page_passes_over_no_order_before_it(database_url: str) -> None:
    """A million places were read out in pages that each began with the newest order."""
    plan = large_house(5)
    async with await Store.open(database_url) as store:
        opened = await open_house(store)
    await sell(
        database_url, 400, (opened.first, opened.second), len(plan.seats), NOW_MS, lambda _: None
    )
    engine = open_pool(database_url, 1)
    asked: list[tuple[str, Any]] = []
    try:
        sa.event.listen(
            engine.sync_engine,
            "before_cursor_execute",
            lambda _c, _u, statement, values, *_: asked.append((statement, values)),
        )
        await TicketList(engine).page(ListFilter(), after=Cursor(50, 1), limit=20)
        statement, values = asked[-1]
        async with engine.connect() as connection:
            # As in a house so large that its tables are read side by side, by their indexes.
            for way in ("seqscan", "nestloop", "hashjoin", "bitmapscan"):
                await connection.exec_driver_sql(f"SET LOCAL enable_{way} = off")
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            told = (await connection.exec_driver_sql(explain, values)).scalar_one()
    finally:
        await engine.dispose()
    rows = dict(read_rows(told[0]["Plan"]))
    assert 10 <= rows["orders"] <= 50 and rows["order_lines"] >= 20


def read_rows(node: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """Tables that a query plan has, and how many rows it read of each."""
    if "Relation Name" in node:
        yield node["Relation Name"], node["Actual Rows"]
    for below in node.get("Plans", ()):
        yield from read_rows(below)


def found(answer: object) -> bool:
    """Sales or places that there are, or a sum of some."""
    return bool(answer) if isinstance(answer, list) else bool(answer.places)
