"""How a desk keeps its orders, and what it relies on in the place where they are kept."""

import asyncio
from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from engine.actors import NotReady, order_keeper
from engine.actors.order_keeper import PATIENCE_MS, OrderKeeper
from engine.commands import Channel, Line
from engine.orders import Buyer, LineState, Order, OrderHold, OrderLine, OrderState
from engine.payments import start_stripe
from persistence.store import Store
from tests.fakes.orders import MemoryOrders, check_orders

NOW_MS = 1_800_000_000_000


def an_order(number: int, **changes: object) -> Order:
    id = f"{number:032x}"
    order = Order(
        id=id,
        number=0,
        state=OrderState.OPEN,
        channel=Channel.WEB,
        currency="EUR",
        total=2_000,
        created_ms=NOW_MS,
        expires_ms=NOW_MS + 60_000,
        buyer=Buyer("Zoé", "zoe@example.org"),
        operator="",
        session="a session",
        holds=(OrderHold(1, f"{number:032x}", (Line(number, -1, "adult"),)),),
        lines=(OrderLine(1, 1, number, -1, "adult", 2_000),),
    )
    return replace(order, **changes)


def finished(order: Order) -> Order:
    lines = tuple(replace(line, state=LineState.CANCELLED) for line in order.lines)
    return replace(order, state=OrderState.CANCELLED, lines=lines)


class SlowOrders(MemoryOrders):
    """Saves wait at the gate; `broken` are the ids that cannot be saved."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()
        self.gate.set()
        self.under_way = 0

    async def save(self, orders: Sequence[Order]) -> list[Order]:
        self.under_way += 1
        try:
            await self.gate.wait()
        finally:
            self.under_way -= 1
        return await super().save(orders)


class Clock:
    def __init__(self) -> None:
        self.ms = NOW_MS

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def orders() -> SlowOrders:
    return SlowOrders()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keeper(orders: SlowOrders, clock: Clock) -> OrderKeeper:
    return OrderKeeper(orders, clock)


async def test_the_memory_keeps_the_promises_of_the_database() -> None:
    payment = start_stripe("p", "o", 1, 2_000, "EUR", NOW_MS)
    second = an_order(2, payments=(replace(payment, intent="pi_1"),))
    await check_orders(MemoryOrders(), an_order(1), second)


async def test_the_database_keeps_them_too(database_url: str) -> None:
    payment = start_stripe("p", "o", 1, 2_000, "EUR", NOW_MS)
    second = an_order(2, payments=(replace(payment, intent="pi_1"),))
    async with await Store.open(database_url) as store:
        await check_orders(store.orders, an_order(1), second)  # type: ignore[arg-type]


async def test_one_transaction_is_in_flight_and_the_next_fills(
    keeper: OrderKeeper, orders: SlowOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_keeper, "MAX_ORDERS_PER_SAVE", 3)
    orders.gate.clear()
    saves = [asyncio.create_task(keeper.save(an_order(1)))]
    await asyncio.sleep(0.005)
    saves += [asyncio.create_task(keeper.save(an_order(number))) for number in range(2, 7)]
    await asyncio.sleep(0.005)
    assert orders.under_way == 1
    orders.gate.set()
    stored = await asyncio.gather(*saves)
    assert [len(saved) for saved in orders.saves] == [1, 3, 2]
    assert [order.id for order in stored] == [an_order(number).id for number in range(1, 7)]


async def test_a_failed_save_is_not_ready_and_forgotten(
    keeper: OrderKeeper, orders: SlowOrders
) -> None:
    order = await keeper.save(an_order(1))
    orders.down = True
    with pytest.raises(NotReady):
        await keeper.save(finished(order))
    with pytest.raises(NotReady):
        await keeper.load(order.id)
    orders.down = False
    assert await keeper.load(order.id) == order
    stale = replace(order, revision=order.revision - 1)
    with pytest.raises(NotReady):
        await keeper.save(stale)


async def test_a_caller_who_left_spoils_nothing(keeper: OrderKeeper, orders: SlowOrders) -> None:
    """Its order is saved or not; a later save of it, and those of others, are not harmed."""
    order, other = await keeper.save(an_order(1)), await keeper.save(an_order(2))
    orders.saves.clear()
    orders.gate.clear()
    flying = asyncio.create_task(keeper.save(replace(other, total=3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    left = asyncio.create_task(keeper.save(replace(order, total=1)))
    await asyncio.sleep(0)
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    later = asyncio.create_task(keeper.save(replace(order, total=2)))
    await asyncio.sleep(0)
    orders.gate.set()
    assert (await later).total == 2
    assert (await flying).total == 3
    assert [[one.total for one in saved] for saved in orders.saves] == [[3], [2]]


async def test_new_orders_wait_for_no_changed_ones(keeper: OrderKeeper, orders: SlowOrders) -> None:
    """Two transactions may be in flight: one of new orders, and one of changed ones."""
    known = [await keeper.save(an_order(number)) for number in (1, 2)]
    orders.saves.clear()
    orders.gate.clear()
    saves = [asyncio.create_task(keeper.save(replace(one, total=1))) for one in known]
    await asyncio.sleep(0)
    saves += [asyncio.create_task(keeper.save(an_order(number))) for number in (3, 4)]
    await asyncio.sleep(0.005)
    assert orders.under_way == 2
    await keeper.close()
    assert orders.under_way == 0, "closing ends both"
    orders.gate.set()
    for one in saves:
        one.cancel()
    await asyncio.gather(*saves, return_exceptions=True)


async def test_what_is_read_does_not_replace_what_was_saved_meanwhile(
    keeper: OrderKeeper, orders: SlowOrders, clock: Clock
) -> None:
    [order] = await orders.save([an_order(1)])
    read, was_read, may_go_on = orders.get, asyncio.Event(), asyncio.Event()

    async def slowly(id: str) -> Order | None:
        found = await read(id)
        was_read.set()
        await may_go_on.wait()
        return found

    orders.get = slowly  # type: ignore[method-assign]
    reading = asyncio.create_task(keeper.load(order.id))
    await was_read.wait()
    saved = await keeper.save(finished(order))
    may_go_on.set()
    assert await reading == saved == await keeper.load(order.id)


async def test_the_agenda_has_what_is_not_finished(
    keeper: OrderKeeper, orders: SlowOrders, clock: Clock
) -> None:
    waiting = await keeper.save(an_order(1))
    begun = await keeper.save(an_order(2, state=OrderState.SELLING))
    await keeper.save(finished(await keeper.save(an_order(3))))
    assert keeper.open_orders == 2
    assert keeper.take_due() == []
    clock.ms += PATIENCE_MS
    assert keeper.take_due() == [begun.id]
    assert keeper.take_due() == [], "whoever took it has its time"
    clock.ms = waiting.expires_ms
    assert set(keeper.take_due()) == {waiting.id, begun.id}
    await keeper.save(finished(waiting))
    clock.ms += PATIENCE_MS
    assert keeper.take_due() == [begun.id]

    clock.ms = NOW_MS
    successor = OrderKeeper(orders, clock)
    await successor.resume()
    assert successor.take_due() == [begun.id], "begun is due at once, waiting when it expires"
    assert successor.open_orders == 1


async def test_what_another_desk_saved_late_is_taken_up(
    keeper: OrderKeeper, orders: SlowOrders, clock: Clock
) -> None:
    """A desk died, and its last transactions were written after this one had looked."""
    known = await keeper.save(an_order(1))
    over = await keeper.save(finished(await keeper.save(an_order(2))))
    [waiting] = await orders.save([an_order(4)])
    await keeper.resume()
    await orders.save([an_order(3)])
    [paid] = await orders.save([replace(waiting, state=OrderState.SELLING)])
    [begun] = await orders.save([replace(over, state=OrderState.SELLING)])
    clock.ms += 10 * PATIENCE_MS
    late = {an_order(3).id, begun.id, paid.id}
    assert not late.intersection(keeper.take_due())

    await keeper.look_again()
    assert set(keeper.take_due()) >= late
    assert await keeper.load(begun.id) == begun, "what is stored, not what was remembered"
    assert keeper.open_orders == 4
    clock.ms += PATIENCE_MS
    await keeper.look_again()
    assert known.id not in keeper.take_due(), "it waits until it expires"
    async with keeper.lock(known.id):
        await orders.save([finished(known)])
        await keeper.look_again()
        assert await keeper.load(known.id) == known, "somebody is at it, and will find out"
    orders.down = True
    with pytest.raises(NotReady):
        await keeper.look_again()


async def test_an_order_that_is_not_there_leaves_the_agenda(
    keeper: OrderKeeper, orders: SlowOrders, clock: Clock
) -> None:
    orders.down = True
    with pytest.raises(NotReady):
        await keeper.save(an_order(1))
    assert keeper.open_orders == 1, "it may be there"
    orders.down = False
    assert await keeper.load(an_order(1).id) is None
    assert keeper.open_orders == 0


async def test_memory_is_bounded_and_the_agenda_is_not_forgotten(
    keeper: OrderKeeper, orders: SlowOrders, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(order_keeper, "MAX_REMEMBERED_ORDERS", 3)
    for number in range(1, 8):
        await keeper.save(an_order(number))
    assert len(keeper._known) == 3
    assert keeper.open_orders == 7
    assert (await keeper.load(an_order(1).id)) == orders.all[0]


async def test_a_lock_is_one_order_s_and_lives_while_it_is_wanted(keeper: OrderKeeper) -> None:
    inside: list[int] = []

    async def stay(number: int) -> None:
        async with keeper.lock("one"):
            inside.append(number)
            assert keeper.is_locked("one")
            await asyncio.sleep(0.002)
            assert inside[-1] == number, "nobody else came in"

    async with keeper.lock("other"):
        await asyncio.gather(*map(stay, range(4)))
    assert not keeper.is_locked("one") and not keeper._locks
