"""What cashiers and doors look up is found, and only that."""

import pytest
from msgspec import structs

from engine.orders import Buyer, LineState, Order, OrderState, Terms, TermsKind
from engine.projection import KEEP_VERSION, Projection, ScanRow
from persistence.store import Store
from tests.persistence.houses import NOW_MS, Opened, batch, selling
from tests.persistence.test_orders import new_order

PEOPLE = (
    Buyer("Éléonore d'Aquitaine", "eleonore@poitiers.example"),
    Buyer("Bernard Dupont", "b.dupont@example.org"),
    Buyer("Zoë O'Neill", "zoe@example.org"),
    Buyer("Bernadette Dupond", ""),
)


@pytest.fixture
async def sold(store: Store, opened: Opened) -> list[Order]:
    """Four orders, 1001 to 1004: seat n for buyer n; the last one is for both performances."""
    orders = []
    for seat, buyer in enumerate(PEOPLE):
        order = new_order(opened.first, seat, buyer=buyer, operator="ada" if seat else "")
        if seat == 3:
            second = structs.replace(order.lines[0], number=2, performance=opened.second)
            order = structs.replace(order, lines=(*order.lines, second))
        orders += await store.orders.save([order])
    claimed = await store.journal.claim(opened.first, "")
    for seat, order in enumerate(orders):
        tickets = selling(seat, first_number=seat + 1, order=order.id)
        assert await store.journal.append([batch(claimed, 3 * seat, projection=tickets)])
    return orders


async def numbers(
    store: Store, text: str, opened: Opened | None = None, **more: object
) -> list[int]:
    performance = None if opened is None else opened.first
    found = await store.sales.search(text, performance=performance, **more)  # type: ignore[arg-type]
    return [sale.number for sale in found]


async def test_the_latest_sales_come_page_by_page(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    sales = store.sales
    page = await sales.latest(limit=3)
    assert [sale.number for sale in page] == [1004, 1003, 1002]
    rest = await sales.latest(limit=3, before=page[-1].number)
    assert [sale.number for sale in rest] == [1001]
    assert [sale.number for sale in await sales.latest(performance=opened.second)] == [1004]
    page = await sales.latest(performance=opened.first, limit=2)
    assert [sale.number for sale in page] == [1004, 1003]
    page = await sales.latest(performance=opened.first, limit=2, before=1003)
    assert [sale.number for sale in page] == [1002, 1001]
    assert await sales.latest(performance=99) == []


async def test_somebodys_own_sales_are_found_alone(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    who = {order.operator for order in sold}
    assert who == {"", "ada"}
    mine = [order.number for order in reversed(sold) if order.operator == "ada"]
    sales = store.sales
    assert [one.number for one in await sales.latest(operator="ada")] == mine
    assert [one.number for one in await sales.latest(operator="ada", before=mine[0])] == mine[1:]
    assert await sales.latest(operator="eve") == []
    there = await sales.latest(operator="ada", performance=opened.second)
    assert [one.number for one in there] == [1004]
    waits = await sales.latest(operator="ada", state=OrderState.AWAITING_APPROVAL)
    assert waits == []
    assert {one.number for one in await sales.search("1004", operator="ada")} == {1004}
    assert await sales.search("1004", operator="eve") == []
    assert await sales.search("dupon", operator="eve") == []


async def test_those_that_wait_are_listed_alone(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    terms = Terms(TermsKind.INVOICE)
    for order, state in zip(
        sold, (OrderState.AWAITING_APPROVAL, OrderState.AWAITING_PAYMENT) * 2, strict=True
    ):
        await store.orders.save([structs.replace(order, state=state, terms=terms)])
    sales, wanted = store.sales, OrderState.AWAITING_APPROVAL
    assert [sale.number for sale in await sales.latest(state=wanted)] == [1003, 1001]
    assert [sale.number for sale in await sales.latest(state=wanted, before=1003)] == [1001]
    there = await sales.latest(state=OrderState.AWAITING_PAYMENT, performance=opened.second)
    assert [sale.number for sale in there] == [1004]


async def test_a_sale_says_what_a_cashier_needs(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    order = sold[3]
    lines = (structs.replace(order.lines[0], state=LineState.REFUNDED), order.lines[1])
    await store.orders.save([structs.replace(order, state=OrderState.SELLING, lines=lines)])
    [sale] = await store.sales.latest(limit=1)
    assert (sale.number, sale.id, sale.state, sale.channel) == (1004, order.id, "selling", "web")
    assert (sale.currency, sale.total, sale.created_ms) == ("EUR", 2_000, NOW_MS)
    assert (sale.buyer_name, sale.buyer_email, sale.operator) == ("Bernadette Dupond", "", "ada")
    assert (sale.places, sale.live) == (2, 1)
    assert sale.performances == (opened.first, opened.second)


MEANINGS = {
    "1002": [1002],
    "#1002": [1002],
    " 1002 ": [1002],
    "99999999999999999999999": [],
    "dupon": [1004, 1002],
    "DUPONT": [1002],
    "bern dupond": [1004],
    "dupond bern": [1004],
    "eleonore": [1001],
    "ÉLÉONORE": [1001],
    "aquit": [1001],
    "b.dupont@example.org": [1002],
    "b.dup": [1002],
    "example": [1003, 1002, 1001],
    "o'neill": [1003],
    "neill": [1003],
    "upont": [],
    "dup\0ont": [1002],
    "\0": [],
    "": [],
    "  ": [],
    "' & ! | :* \\ (": [],
    "%": [],
    "\\": [],
}


async def test_search_by_number_and_by_the_beginnings_of_words(
    store: Store, sold: list[Order]
) -> None:
    assert {text: await numbers(store, text) for text in MEANINGS} == MEANINGS


async def test_search_by_ticket_and_by_seat(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    assert await numbers(store, f"{opened.first}-3") == [1003]
    assert await numbers(store, f" {opened.first} - 3") == [1003]
    assert await numbers(store, f"{opened.second}-3") == []
    assert await numbers(store, f"{opened.first}-99999999999") == []
    assert await numbers(store, "B 2", opened, seats=[2]) == [1003]
    assert await numbers(store, "B", opened, seats=[0, 2]) == [1004, 1003, 1002, 1001]
    assert await numbers(store, "nothing", seats=[2]) == []  # a seat of which performance?


async def test_search_stays_in_its_performance_and_comes_page_by_page(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    found = await store.sales.search("b", performance=opened.second)
    assert [sale.number for sale in found] == [1004]
    assert await numbers(store, "example", limit=2) == [1003, 1002]
    assert await numbers(store, "example", limit=2, before=1002) == [1001]


async def test_tickets_are_found_with_who_bought_them(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    find = store.sales.tickets
    everything = await find(opened.first)
    assert [ticket.number for ticket in everything] == [4, 3, 2, 1]
    assert [(t.order_number, t.buyer_name) for t in everything[:1]] == [(1004, "Bernadette Dupond")]
    assert [t.number for t in await find(opened.first, numbers=[2, 9])] == [2]
    assert [t.number for t in await find(opened.first, seats=[2], numbers=[1])] == [3, 1]
    assert [t.number for t in await find(opened.first, order=sold[0].id)] == [1]
    assert await find(opened.second) == []
    assert [t.number for t in await find(opened.first, limit=1)] == [4]


async def test_a_ticket_tells_its_scans_the_latest_first(
    store: Store, opened: Opened, sold: list[Order]
) -> None:
    claimed = await store.journal.claim(opened.first, "")
    scans = tuple(
        ScanRow(12 + n, NOW_MS + n, "north", "lane 1", "admit", ticket, result)
        for n, (ticket, result) in enumerate(
            [(1, "ADMITTED"), (2, "ADMITTED"), (1, "ALREADY_USED"), (-1, "UNKNOWN")]
        )
    )
    assert await store.journal.append([batch(claimed, 12, projection=Projection(scans=scans))])
    found = await store.sales.ticket(opened.first, 1)
    assert found is not None
    ticket, history = found
    assert (ticket.number, ticket.order_number) == (1, 1001)
    assert [(scan.at_ms - NOW_MS, scan.result) for scan in history] == [
        (2, "ALREADY_USED"),
        (0, "ADMITTED"),
    ]
    assert await store.sales.ticket(opened.first, 77) is None
    assert await store.sales.ticket(opened.second, 1) is None


async def test_totals_count_what_is_live(store: Store, opened: Opened, sold: list[Order]) -> None:
    claimed = await store.journal.claim(opened.first, "")
    changes = Projection(
        ticket_states=((1, "refunded", KEEP_VERSION), (2, "revoked", 1)),
        scans=(
            ScanRow(13, NOW_MS, "", "", "admit", 2, "ADMITTED"),
            ScanRow(14, NOW_MS, "", "", "admit", 2, "ADMITTED"),
            ScanRow(15, NOW_MS, "", "", "look_up", 3, "ADMITTED"),
        ),
    )
    assert await store.journal.append([batch(claimed, 12, projection=changes)])
    totals = await store.sales.totals(opened.first)
    assert (totals.sold, totals.amount) == (3, 6_000)
    assert (totals.refunded, totals.refunded_amount) == (1, 2_000)
    assert totals.admitted == 1
    both = (opened.first, opened.second)
    assert await store.sales.counts(both) == {opened.first: 3}
    assert await store.sales.counts(()) == {}
    nothing = await store.sales.totals(opened.second)
    assert (nothing.sold, nothing.amount, nothing.refunded, nothing.admitted) == (0, 0, 0, 0)
