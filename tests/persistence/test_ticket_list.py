"""The list of places: each filter alone and all of them together against plain Python, in pages
that meet every row once, with totals that are the sum of the rows."""

import asyncio
import itertools
from typing import Any, Final, NamedTuple
from unittest import mock

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs

from engine.commands import Channel
from engine.listing import (
    Among,
    Cursor,
    Listed,
    ListedStatus,
    ListFilter,
    ListTotals,
    PlaceKind,
)
from engine.orders import Buyer, LineState, Order, OrderLine
from persistence import pool
from persistence.store import Store
from persistence.url import connect
from tests.fakes.listing import Passages, listed, meets, totals_of
from tests.persistence.houses import NOW_MS, Opened, open_house
from tests.persistence.test_orders import new_order

DAY_MS: Final = 86_400_000
TIMES: Final = [NOW_MS + day * DAY_MS for day in range(4)]
BUYERS: Final = (
    Buyer("Anne Dupont", "anne.dupont@example.org"),
    Buyer("Annette Durand", ""),
    Buyer("", "till@example.net"),
    Buyer("", ""),
)
OPERATORS: Final = ("", "ada", "grace")
CURRENCIES: Final = ("EUR", "JPY", "KWD")
TYPES: Final = ("full", "child")
AMOUNTS: Final = (0, 10, 2_000, 20_000)
FIRST, SECOND = 1, 2
"""The performances of a new house."""


class World(NamedTuple):
    """Orders whose lines name their tickets; tickets and passages by (performance, number)."""

    orders: list[Order]
    states: dict[tuple[int, int], str]
    passages: dict[tuple[int, int], Passages]


@st.composite
def worlds(draw: st.DrawFn) -> World:
    numbers = {FIRST: itertools.count(1), SECOND: itertools.count(1)}
    orders, states, passages = [], {}, {}
    for _ in range(draw(st.integers(1, 12))):
        lines = []
        for number in range(1, draw(st.integers(1, 3)) + 1):
            performance = draw(st.sampled_from((FIRST, SECOND)))
            state = draw(st.sampled_from(list(LineState)))
            place = next(numbers[performance])
            seat, area = (place, -1) if draw(st.booleans()) else (-1, place % 2)
            ticket = -1
            if state in (LineState.RESERVED, LineState.SOLD, LineState.REFUNDED):
                ticket = place
                states[performance, ticket] = draw(_ticket_state(state))
                times = st.lists(st.sampled_from(TIMES), max_size=2).map(tuple)
                passages[performance, ticket] = Passages(draw(times), draw(times))
            kind, amount = draw(st.sampled_from(TYPES)), draw(st.sampled_from(AMOUNTS))
            lines.append(OrderLine(number, performance, seat, area, kind, amount, state, ticket))
        orders.append(
            new_order(
                FIRST,
                lines=tuple(lines),
                channel=draw(st.sampled_from(Channel)),
                currency=draw(st.sampled_from(CURRENCIES)),
                operator=draw(st.sampled_from(OPERATORS)),
                buyer=draw(st.sampled_from(BUYERS)),
                created_ms=draw(st.sampled_from(TIMES)),
            )
        )
    return World(orders, states, passages)


def _ticket_state(line: LineState) -> st.SearchStrategy[str]:
    if line is LineState.REFUNDED:
        return st.just("refunded")
    usual = "valid" if line is LineState.SOLD else "unpaid"
    return st.sampled_from((usual, usual, "blocked", "revoked"))


def some(*values: Any) -> st.SearchStrategy[Any]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


PLACES: Final = st.builds(
    Among,
    st.sampled_from(((FIRST,), (FIRST, SECOND), ())),
    st.lists(st.integers(0, 9), max_size=5).map(tuple),
    some(0, 1),
)
TIME: Final = st.none() | st.sampled_from(TIMES)
PRICE: Final = st.none() | st.sampled_from((0, 99, 100, 10_000, 20_000, 200_000))
TEXTS: Final = (
    *("", "ann", "dup", "ANNE dup", "durand anne", "anne.dup", "example", "nobody", "till@"),
    *("1001", "#1001", "1003", "3", "#3", "1-2", "2 - 1", "9-9", "99999999999999999999", "  "),
)
ASKED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "performances": st.none() | some(FIRST, SECOND, 99),
    "ordered_from_ms": TIME,
    "ordered_until_ms": TIME,
    "scanned_from_ms": TIME,
    "scanned_until_ms": TIME,
    "channels": some(*Channel),
    "kind": st.none() | st.sampled_from(PlaceKind),
    "statuses": some(*ListedStatus),
    "used": st.none() | st.booleans(),
    "price_types": some(*TYPES, "senior"),
    "price_from": PRICE,
    "price_to": PRICE,
    "operators": some(*OPERATORS, "nobody"),
    "places": st.none() | st.lists(PLACES, max_size=2).map(tuple),
    "text": st.sampled_from(TEXTS),
    "text_places": st.lists(PLACES, max_size=1).map(tuple),
}


@st.composite
def filters(draw: st.DrawFn) -> ListFilter:
    """Of a few fields: one that asks for everything finds nothing."""
    names = draw(st.lists(st.sampled_from(sorted(ASKED)), max_size=4, unique=True))
    return ListFilter(**{name: draw(ASKED[name]) for name in names})


def test_every_filter_has_its_values_here() -> None:
    assert set(ASKED) == set(ListFilter.__struct_fields__)


class House:
    """A store, and the loop that it lives in. What is in it is replaced by `fill`."""

    def __init__(self, url: str) -> None:
        self.runner = asyncio.Runner()
        self._url = url
        # While an example is thought of, a connection may be silent for long.
        with mock.patch.object(pool, "ABANDONED_MS", 120_000):
            self.store = self.runner.run(Store.open(url))
        self.opened = self.runner.run(open_house(self.store))

    def close(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()

    def fill(self, world: World) -> list[Order]:
        return self.runner.run(self._fill(world))

    async def _fill(self, world: World) -> list[Order]:
        await put(self._url, world, fresh=True)
        saved = []
        for order in world.orders:
            saved += await self.store.orders.save([order])
        return saved

    def whole(self, wanted: ListFilter, limit: int) -> list[Listed]:
        return self.runner.run(read_whole(self.store, wanted, limit))

    def totals(self, wanted: ListFilter) -> ListTotals:
        return self.runner.run(self.store.ticket_list.totals(wanted))


async def put(url: str, world: World, *, fresh: bool) -> None:
    """The tickets and scans of a world, and scans that let nobody pass."""
    owners = {
        (line.performance, line.ticket): (order, line)
        for order in world.orders
        for line in order.lines
        if line.ticket > 0
    }
    tickets = [
        (*key, order.id, line.seat, line.area, line.price_type, line.amount, state, 0, NOW_MS)
        for key, state in world.states.items()
        for order, line in [owners[key]]
    ]
    passed = [
        (performance, ticket, at_ms, *how)
        for (performance, ticket), seen in world.passages.items()
        for times, how in ((seen.entries, ENTRY), (seen.leaves, LEAVE))
        for at_ms in times
    ]
    passed += [
        (performance, ticket, TIMES[0] - DAY_MS, *how)
        for performance, ticket in world.passages
        for how in NOT_PASSED
    ]
    scans = [
        (performance, seq, at_ms, "", "", mode, ticket, result, "", -1, at_ms, "", undone_ms)
        for seq, (performance, ticket, at_ms, mode, result, undone_ms) in enumerate(passed, 1)
    ]
    connection = await connect(url)
    try:
        if fresh:
            await connection.execute(
                "TRUNCATE orders, order_lines, payments, tickets, scans, ledger "
                "RESTART IDENTITY CASCADE"
            )
        await connection.copy_records_to_table("tickets", records=tickets)
        await connection.copy_records_to_table("scans", records=scans)
    finally:
        await connection.close()


ENTRY: Final = ("admit", "ADMITTED", 0)
LEAVE: Final = ("exit", "EXITED", 0)
NOT_PASSED: Final = (
    ("look_up", "ADMITTED", 0),
    ("admit", "ALREADY_USED", 0),
    ("admit", "ADMITTED", NOW_MS),
)


async def read_whole(store: Store, wanted: ListFilter, limit: int) -> list[Listed]:
    """All pages, one after the other."""
    found: list[Listed] = []
    after: Cursor | None = None
    while True:
        page = await store.ticket_list.page(wanted, after=after, limit=limit)
        found += page
        if len(page) < limit:
            return found
        after = page[-1].cursor


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(world=worlds(), wanted=st.lists(filters(), min_size=8, max_size=8), limit=st.integers(1, 9))
def matches(house: House, world: World, wanted: list[ListFilter], limit: int) -> None:
    saved = house.fill(world)
    everything = listed(saved, world.states, world.passages)
    lines = {
        Cursor(order.number, line.number): line.state for order in saved for line in order.lines
    }
    assert house.whole(ListFilter(), limit) == everything
    for one in wanted:
        meant = [row for row in everything if meets(row, one)]
        assert house.whole(one, limit) == meant, one
        assert house.totals(one) == totals_of(meant, lines), one


@pytest.mark.timeout(600)
def test_the_list_is_what_plain_python_finds(database_url: str) -> None:
    house = House(database_url)
    try:
        matches(house)
    finally:
        house.close()


async def test_each_row_comes_once_while_sales_go_on(store: Store, opened: Opened) -> None:
    before = []
    for seat in range(40):
        before += await store.orders.save([new_order(opened.first, seat, seat + 100)])
    wanted = ListFilter(performances=(opened.first,))
    found: list[Listed] = []
    after: Cursor | None = None
    sold = itertools.count(1_000)
    while page := await store.ticket_list.page(wanted, after=after, limit=7):
        found += page
        after = page[-1].cursor
        await store.orders.save([new_order(opened.first, next(sold), next(sold))])
        cancelled = structs.replace(before[0], lines=before[0].lines)
        before[0] = (await store.orders.save([cancelled]))[0]
    assert [(row.order_number, row.line) for row in found] == [
        (order.number, line.number) for order in reversed(before) for line in order.lines
    ]


async def test_a_page_has_a_bound(store: Store, opened: Opened) -> None:
    many = new_order(opened.first, *range(1_100))
    await store.orders.save([many])
    assert len(await store.ticket_list.page(ListFilter(), limit=5_000)) == 1_000
    assert len(await read_whole(store, ListFilter(), 1_000)) == 1_100


async def test_showings_are_those_that_there_are(store: Store, opened: Opened) -> None:
    queries = store.ticket_list
    found = await queries.showings([opened.second, 99])
    assert list(found) == [opened.second]
    assert found[opened.second].plan == "cafe"
    assert found[opened.second].titles == {"fr": "Le Misanthrope"}
    assert found[opened.second].starts_ms == NOW_MS + 2 * DAY_MS
    both = await queries.showings(production=opened.production)
    assert set(both) == {opened.first, opened.second}
    assert await queries.showings(production=99) == {}
