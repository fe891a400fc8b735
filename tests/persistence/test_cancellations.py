"""Cancelled performances in the database: by key, once, and to the cent in the books."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
import sqlalchemy as sa
from msgspec import structs

from engine.actors import desk as desk_module
from engine.actors.canceller import Canceller
from engine.cancellation import Left, Progress, Standing, refund_id
from engine.commands import Scan, ScanMode, Scanned
from engine.ledger import FactKind
from engine.mails import MailKind
from engine.orders import Buyer, LineState, Order, OrderState
from engine.performance import Performance
from engine.settings import Fee, FeePer, Settings
from persistence import cancellations as module
from persistence.cancellations import Cancellations
from persistence.rewind import rewind
from persistence.schema import scans as table
from persistence.store import Store
from tests.actors.desks import ADULT, PLAN, World, paid, placed, request
from tests.actors.desks import settings as rules
from tests.fakes.cancellations import check_cancellations
from tests.persistence.houses import NOW_MS, Opened
from tests.persistence.test_ledger import Books
from tests.persistence.test_orders import new_order


async def sold(store: Store, performance: int, *seats: int, **changes: object) -> Order:
    order = new_order(performance, *seats, **changes)
    lines = tuple(structs.replace(line, state=LineState.SOLD, ticket=1) for line in order.lines)
    state = changes.pop("state", OrderState.PAID)
    [saved] = await store.orders.save([structs.replace(order, lines=lines, state=state)])  # type: ignore[arg-type]
    return saved


async def test_it_keeps_the_contract(store: Store, opened: Opened) -> None:
    orders = [await sold(store, opened.first, seat) for seat in (1, 2, 3)]
    await sold(store, opened.second, 1)
    queued: set[str] = set()
    book = store.cancellations
    settle = book.settle

    async def settled(*given: object) -> None:
        await settle(*given)  # type: ignore[arg-type]
        rows = await store.mails.list()
        queued.update(str(row.id) for row in rows if row.kind is MailKind.CALLED_OFF)

    book.settle = settled  # type: ignore[method-assign, assignment]
    await check_cancellations(book, opened.first, orders, lambda: queued)  # type: ignore[arg-type]
    assert await book.get(opened.second) is None


async def test_orders_are_gathered_page_by_page_and_once(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_GATHERED", 2)
    for seat in range(5):
        await sold(store, opened.first, seat, seat + 50)
    book = store.cancellations
    await book.begin(opened.first, "ada", "")
    assert await book.gather(opened.first) == 5
    late = await sold(store, opened.first, 9)
    gone = new_order(opened.first, 10, state=OrderState.EXPIRED)
    await store.orders.save(
        [structs.replace(gone, lines=(structs.replace(gone.lines[0], state=LineState.CANCELLED),))]
    )
    assert await book.gather(opened.first) == 1, "one came late, one came to nothing"
    assert (await book.work(opened.first, late.number - 1, 9)) == [late]


async def test_back_in_time_what_was_done_since_is_to_be_done_again(
    store: Store, opened: Opened
) -> None:
    at_ms = NOW_MS + 10_000
    book = Cancellations(store._engine, lambda: at_ms)
    before = await sold(store, opened.first, 1, created_ms=NOW_MS)
    await book.begin(opened.first, "ada", "")
    await book.gather(opened.first)
    at_ms += 10_000
    late = await sold(store, opened.first, 2, created_ms=at_ms)
    await book.gather(opened.first)
    for order in (before, late):
        await book.settle(opened.first, order, Standing(Progress.DONE), True, None)
    await book.end(opened.first)
    await book.begin(opened.second, "ada", "")
    async with store._engine.begin() as connection:
        await rewind(connection, at_ms - 5_000, lambda *_: None)
    assert [one[0] for one in await book.unfinished()] == [opened.first]
    assert [one.number for one in await book.work(opened.first, 0, 9)] == [before.number]
    assert await book.get(opened.second) is None


# The whole of it -------------------------------------------------------------------------

FEES = (
    Fee("service", {"en": "Service"}, fixed=150, refundable=False),
    Fee("file", {"en": "File"}, fixed=300, per=FeePer.ORDER, refundable=False),
)


class House(World):
    """Performances of the database, its orders and its outbox, around real desks."""

    def __init__(self, store: Store, opened: Opened) -> None:
        super().__init__()
        self.store = store
        self.orders = store.orders  # type: ignore[assignment]
        self.first, self.second = opened.first, opened.second
        self.cores = {
            number: Performance(number, PLAN, rules(fees=FEES))
            for number in (opened.first, opened.second)
        }

    async def rules(self, performance: int) -> Settings:
        return self.cores[performance].settings

    async def no_room(self, performance: int) -> bool:
        return False

    def leader(self) -> AsyncExitStack:
        """A desk, and who cancels beside it; both end with the stack."""
        book, desk, stack = self.store.cancellations, self.desk(), AsyncExitStack()
        canceller = Canceller(book, desk, self.ask, self.rules, self.no_room, look_s=0.01, pace_s=0)
        stack.push_async_callback(desk.close)
        stack.push_async_callback(canceller.close)
        return stack


@pytest.fixture
async def house(
    store: Store, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    monkeypatch.setattr(desk_module, "SWEEP_S", 0.01)
    made = House(store, opened)
    yield made
    await made.close()


async def buy(house: House, seat: int, method: str, buyer: Buyer) -> Order:
    desk = house.desk()
    holds = (await house.hold(house.first, seat), await house.hold(house.second, seat))
    order = placed(await desk.place(request(*holds, buyer=buyer)))
    order = paid(await desk.pay(order.id, method, "a"))
    await desk.close()
    return order


async def ended(house: House) -> None:
    async with asyncio.timeout(30):
        while True:
            found = await house.store.cancellations.get(house.first)
            if found is not None and found.ended_ms:
                return
            await asyncio.sleep(0.02)
            house.pass_s(1)


async def test_leaders_that_die_and_meet_give_everything_back_once(
    house: House, store: Store, database_url: str, opened: Opened
) -> None:
    """Two at once, cut off again and again; then the books are read as an auditor reads them."""
    orders = [
        await buy(house, seat, "test_card", Buyer("Ada", f"ada{seat}@house.example", "fr"))
        for seat in range(8)
    ]
    each = 2 * (ADULT + 150) + 300
    assert {order.total for order in orders} == {each}
    await store.cancellations.begin(house.first, "ada", "ill")
    for lives in range(1, 8):
        async with house.leader(), house.leader():
            await asyncio.sleep(0.004 * lives)
    async with house.leader(), house.leader():
        await ended(house)

    found = await store.cancellations.get(house.first)
    assert found is not None
    assert found.orders == {"todo": 0, "waiting": 0, "done": 8, "left": 0}
    assert found.amount == 8 * (ADULT + 150)
    for order in orders:
        stored = await store.orders.get(order.id)
        assert stored is not None and stored.state is OrderState.PART_REFUNDED
        assert [one.id for one in stored.refunds] == [refund_id(house.first)]
        assert stored.paid == each - (ADULT + 150) == stored.value
        kinds = [row.kind for row in await store.mails.list(order=order.number)]
        assert kinds.count(MailKind.CALLED_OFF) == 1 and MailKind.REFUNDED not in kinds

    books = Books(database_url, opened)
    try:
        verified = await books.verify()
        assert not verified.count, verified.kept
        records = await books.records()
    finally:
        await books.engine.dispose()
    back = [one for one in records if one.kind == FactKind.REPAYMENT]
    assert [one.amount for one in back] == [-(ADULT + 150)] * 8
    earned = (FactKind.SALE, FactKind.REFUND, FactKind.FEE)
    moved = (FactKind.PAYMENT, FactKind.REPAYMENT)
    assert sum(one.amount for one in records if one.kind in earned) == sum(
        one.amount for one in records if one.kind in moved
    )


async def test_who_is_left_to_people_hears_of_it_once(house: House, store: Store) -> None:
    """A used ticket: its buyer gets nothing back, and is told all the same."""
    order = await buy(house, 0, "test_card", Buyer("Ada", "ada@house.example", "fr"))
    scan = Scan(bytes(16), "", "", house.first, order.lines[0].ticket, 0, ScanMode.ADMIT)
    assert isinstance(await house.ask(house.first, scan), Scanned)
    async with house.leader():
        for _ in range(2):
            await store.cancellations.begin(house.first, "ada", "ill")
            await ended(house)
            [left] = await store.cancellations.to_people(house.first)
            assert (left.number, left.why, left.told) == (order.number, Left.TICKET_USED, True)
    rows = await store.mails.list(order=order.number)
    assert [row.kind for row in rows].count(MailKind.CALLED_OFF) == 1


async def test_a_table_of_used_tickets(store: Store, opened: Opened) -> None:
    row = {
        "performance": opened.first, "at_ms": 1, "gate": "", "device": "d", "mode": "admit",
        "result": "ADMITTED", "reason": "", "sequence": -1, "scanned_ms": 1, "shown": "",
        "undone_ms": 0,
    }  # fmt: skip
    scans = [
        row | {"seq": 1, "ticket": 1},
        row | {"seq": 2, "ticket": 2, "undone_ms": 5},
        row | {"seq": 3, "ticket": 3, "result": "TOO_LATE"},
        row | {"seq": 4, "ticket": 4, "result": "REFUNDED", "shown": "ADMITTED", "sequence": 7},
    ]
    async with store._engine.begin() as connection:
        await connection.execute(sa.insert(table), scans)
    assert await store.cancellations.used(opened.first, range(1, 9)) == {1, 4}
    assert await store.cancellations.used(opened.first, ()) == set()
