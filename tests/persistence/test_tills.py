"""Till sessions in Postgres: each command once, and no payment between the count and the close."""

import asyncio
import itertools
import random

import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from engine.actors.desk import OrderDesk
from engine.commands import Channel
from engine.currency import cash_rounded
from engine.ledger import FactKind
from engine.ordering import at_rest
from engine.orders import Order, OrderState, RefundRequest
from engine.payments import (
    Payment,
    PaymentMethod,
    Standing,
    begin_refund,
    pay_cash,
    start_terminal,
)
from engine.tills import (
    AddEntry,
    AtTill,
    CloseTill,
    EntryKind,
    TillRefusal,
    TillRefused,
    TillReport,
    TillSessionClosed,
)
from persistence.rewind import rewind
from persistence.schema import till_sessions
from persistence.store import Store
from tests.actors.desks import ADULT, World, paid, placed, request
from tests.fakes.tills import check_tills, code_of, decided, opening
from tests.persistence.houses import NOW_MS, Opened
from tests.persistence.test_orders import new_order

EMPTY = CloseTill("x", "ada", explanation="counted nothing")


async def opened_till(store: Store, number: int = 1, operator: str = "ada") -> TillReport:
    wanted = opening(number, f"Till {number}", operator, currency="EUR")
    return decided(await store.tills.open(wanted, NOW_MS))


def sold(performance: int, till: str, amount: int = 2_000, **changes: object) -> Order:
    """An order whose cash was just taken: its seats are being sold."""
    order = new_order(performance, 1)
    payment = pay_cash(f"{order.id}-1", order.id, amount, "EUR", amount + 500)
    assert isinstance(payment, Payment)
    payment = replace(payment, till=till)
    return replace(order, state=OrderState.SELLING, payments=(payment,), till=till, **changes)


def settled(order: Order) -> Order:
    """Its seats are sold."""
    payments = tuple(replace(one, standing=Standing.CONFIRMED) for one in order.payments)
    return replace(order, state=OrderState.PAID, payments=payments, till="")


async def test_the_store_keeps_the_contract(store: Store) -> None:
    await check_tills(store.tills)  # type: ignore[arg-type]


async def test_one_session_is_open_at_a_till_and_of_an_operator_however_many_ask(
    store: Store,
) -> None:
    asked = [
        *(opening(number, "Caisse 1", f"op {number}") for number in range(1, 5)),
        *(opening(number, f"Caisse {number}", "ada") for number in range(5, 9)),
        *(opening(9, "Caisse 9", "bob") for _ in range(4)),
    ]
    found = await asyncio.gather(*(store.tills.open(one, NOW_MS) for one in asked))
    codes = [one.code if isinstance(one, TillRefused) else "" for one in found]
    assert sorted(codes[:4]) == ["", *["till_taken"] * 3]
    assert sorted(codes[4:8]) == ["", *["till_open"] * 3]
    assert codes[8:] == [""] * 4, "the same one"
    assert len(await store.tills.list(open_only=True)) == 3


async def test_a_sale_is_in_its_session_and_its_refund_in_another(
    store: Store, opened: Opened
) -> None:
    ada, bob = await opened_till(store, 1), await opened_till(store, 2, "bob")
    [order] = await store.orders.save([sold(opened.first, ada.session.id)])
    report = decided(await store.tills.report(ada.session.id))
    assert (report.sales, report.cash_taken, report.expected) == (1, 2_000, 17_000)
    [order] = await store.orders.save([settled(order)])
    back = begin_refund(order.payments[0], "r", 500, till=bob.session.id)
    assert isinstance(back, Payment)
    [order] = await store.orders.save([replace(order, payments=(back,))])
    await store.orders.save([replace(order, total=1)])  # saved again, told once
    assert await store.tills.report(ada.session.id) == report
    other = decided(await store.tills.report(bob.session.id))
    assert (other.refunds, other.cash_back, other.expected) == (1, 500, 14_500)
    await store.orders.save([sold(opened.first, "")])
    assert await store.tills.report(ada.session.id) == report, "money outside of any session"


async def test_a_session_is_not_closed_over_an_order_that_moves(
    store: Store, opened: Opened
) -> None:
    ada = (await opened_till(store)).session
    [order] = await store.orders.save([sold(opened.first, ada.id)])
    assert await store.tills.close(ada.id, EMPTY, NOW_MS) == TillRefused(
        TillRefusal.TILL_BUSY, str(order.number)
    )
    await store.orders.save([settled(order)])
    report = decided(await store.tills.close(ada.id, EMPTY, NOW_MS))
    assert report.session.closing is not None and report.session.closing.expected == 17_000


async def test_a_session_is_not_closed_while_a_reader_waits_for_a_card(
    store: Store, opened: Opened
) -> None:
    """What the card brings belongs to it, and is in the books by its PaymentIntent."""
    ada = (await opened_till(store)).session
    order = new_order(opened.first, 1)
    payment = start_terminal(f"{order.id}-1", order.id, 1, 2_000, "EUR", NOW_MS, "tmr_1")
    assert isinstance(payment, Payment)
    payment = replace(payment, till=ada.id, intent="pi_1")
    [order] = await store.orders.save([at_rest(replace(order, payments=(payment,), till=ada.id))])
    assert await store.tills.close(ada.id, EMPTY, NOW_MS) == TillRefused(
        TillRefusal.TILL_BUSY, str(order.number)
    )
    report = decided(await store.tills.report(ada.id))
    assert (report.sales, report.methods) == (0, ()), "nothing was taken yet"
    read = replace(payment, captured=2_000)
    [order] = await store.orders.save([settled(replace(order, payments=(read,)))])
    report = decided(await store.tills.close(ada.id, EMPTY, NOW_MS))
    [taken] = report.methods
    assert (taken.method, taken.taken, report.expected) == ("stripe_terminal", 2_000, 15_000)
    _, records = await store.ledger.records(opened.organiser, 0)
    told = [one.ref for one in records if one.kind == FactKind.PAYMENT]
    assert told == ["pi_1"]


async def test_no_money_comes_into_a_closed_session_or_out_of_it(
    store: Store, opened: Opened
) -> None:
    ada, bob = (await opened_till(store)).session, (await opened_till(store, 2, "bob")).session
    [order] = await store.orders.save([sold(opened.first, ada.id)])
    [order] = await store.orders.save([settled(order)])
    [other] = await store.orders.save([new_order(opened.first, 2)])
    ended = decided(await store.tills.close(ada.id, EMPTY, NOW_MS))
    back = begin_refund(order.payments[0], "r", 500, till=ada.id)
    assert isinstance(back, Payment)
    late = sold(opened.first, ada.id)
    for wrong in (
        late,
        replace(order, payments=(back,)),
        replace(order, till=ada.id),
        replace(order, payments=(*order.payments, *late.payments)),
    ):
        good = replace(other, total=other.total + 1)
        with pytest.raises(TillSessionClosed) as caught:
            await store.orders.save([good, wrong])
        assert caught.value.ids == {wrong.id}
    assert await store.orders.get(other.id) == other, "nothing of the group was saved"
    assert await store.orders.get(order.id) == order
    assert await store.orders.get(late.id) is None
    # What is there already does not keep an order from going on, in another session too.
    elsewhere = begin_refund(order.payments[0], "r", 500, till=bob.id)
    assert isinstance(elsewhere, Payment)
    await store.orders.save([replace(order, payments=(elsewhere,))])
    assert await store.tills.report(ada.id) == ended
    assert code_of(await store.tills.close(ada.id, replace(EMPTY, id="y"), 5)) == "till_closed"


@pytest.mark.parametrize("first", ["sale", "close"])
async def test_a_sale_races_the_close_and_is_in_the_report_or_refused(
    store: Store, opened: Opened, first: str
) -> None:
    """Both orders of the locks, made certain by a transaction that is held open."""
    ada = (await opened_till(store)).session
    order = settled(sold(opened.first, ada.id))

    async def sell() -> bool:
        try:
            await store.orders.save([order])
        except TillSessionClosed:
            return False
        return True

    lock = sa.select(till_sessions.c.id).where(till_sessions.c.id == ada.id)
    lock = lock.with_for_update(read=first == "sale")
    async with store._engine.begin() as connection:
        await connection.execute(lock)
        waiting = asyncio.create_task(
            store.tills.close(ada.id, EMPTY, NOW_MS)  # type: ignore[arg-type]
            if first == "sale"
            else sell()
        )
        await _somebody_waits(store)
        if first == "sale":
            assert await sell(), "whoever sells does not wait for who sells"
        else:
            values = {"closed_ms": NOW_MS, "closing": {}}
            await connection.execute(till_sessions.update().values(values))
    answer = await waiting
    if first == "sale":
        assert decided(answer).session.closing.expected == 17_000, "counted with the late sale"
    else:
        assert answer is False and await store.orders.get(order.id) is None


async def _somebody_waits(store: Store) -> None:
    """Until a statement waits for a lock."""
    waits = sa.text("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    async with asyncio.timeout(60):
        while True:
            async with store._engine.connect() as connection:
                if await connection.scalar(waits):
                    return


async def test_sales_and_closings_in_any_order_lose_no_coin(store: Store, opened: Opened) -> None:
    """Cashiers sell while others close their drawers: every payment saved is in one report."""
    shifts = [(await opened_till(store, number, f"op {number}")).session for number in range(1, 5)]

    async def sell(till: str) -> int:
        try:
            await store.orders.save([settled(sold(opened.first, till))])
        except TillSessionClosed:
            return 0
        return 1

    async def work(till: str, before: int) -> tuple[int, TillReport]:
        sales = [asyncio.create_task(sell(till)) for _ in range(before)]
        closing = asyncio.create_task(store.tills.close(till, EMPTY, NOW_MS))
        sales += [asyncio.create_task(sell(till)) for _ in range(6)]
        return sum(await asyncio.gather(*sales)), decided(await closing)

    for kept, report in await asyncio.gather(
        *(work(one.id, number) for number, one in enumerate(shifts))
    ):
        assert report.session.closing is not None
        assert report.session.closing.expected == 15_000 + 2_000 * kept == report.expected
        assert await store.tills.report(report.session.id) == report


@pytest.mark.parametrize("seed", range(3))
async def test_what_a_drawer_should_hold_is_what_a_purse_holds(
    store: Store, opened: Opened, seed: int
) -> None:
    """The real desk over the real store, any sequence, against coins moved one by one."""
    chance = random.Random(seed)
    world = World()
    desk = OrderDesk(store.orders, world.ask, clock_ms=world.clock_ms)
    operators = ("ada", "bob")
    shifts = {
        name: (await opened_till(store, number, name)).session
        for number, name in enumerate(operators, 1)
    }
    purse = dict.fromkeys(operators, 15_000)
    free, orders, names = list(range(8)), [], itertools.count(1)
    try:
        for _ in range(40):
            who = chance.choice(operators)
            at = AtTill(shifts[who].id, "EUR", True)
            match chance.choice(("sell", "sell", "refund", "move", "count")):
                case "sell" if free:
                    seat = free.pop()
                    hold = await world.hold(1, seat, channel=Channel.BOX_OFFICE)
                    order = placed(
                        await desk.place(request(hold, channel=Channel.BOX_OFFICE, operator=who))
                    )
                    method = chance.choice(("cash", "cash", "card_terminal"))
                    given = ADULT + chance.choice((0, 500)) if method == "cash" else 0
                    order = paid(await desk.pay(order.id, method, "a", given, "T", who, at_till=at))
                    orders.append((order, seat))
                    purse[who] += ADULT if method == "cash" else 0
                case "refund" if orders:
                    order, seat = orders.pop(chance.randrange(len(orders)))
                    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", who), at))
                    assert back.state is OrderState.REFUNDED
                    free.append(seat)
                    if order.payments[0].method is PaymentMethod.CASH:
                        purse[who] -= cash_rounded(ADULT, "EUR")
                case "move":
                    kind = chance.choice((EntryKind.IN, EntryKind.OUT))
                    amount = chance.randrange(1, 5_000)
                    entry = AddEntry(f"m{next(names)}", kind, who, amount, "why")
                    for _ in range(2):  # the answer was lost, the movement was not
                        await store.tills.enter(shifts[who].id, entry, NOW_MS)
                    purse[who] += amount if kind is EntryKind.IN else -amount
                case "count":
                    entry = AddEntry(f"c{next(names)}", EntryKind.COUNT, who)
                    counted = decided(await store.tills.enter(shifts[who].id, entry, NOW_MS))
                    assert counted.entries[-1].expected == purse[who]
            for name in operators:
                found = decided(await store.tills.report(shifts[name].id))
                assert found.expected == purse[name]
    finally:
        await desk.close()
        await world.close()


async def test_back_in_time_a_drawer_is_open_again(store: Store, opened: Opened) -> None:
    ada = (await opened_till(store)).session
    move = AddEntry("m", EntryKind.IN, "ada", 500, "change")
    moved = decided(await store.tills.enter(ada.id, move, NOW_MS + 10))
    await store.tills.enter(ada.id, replace(move, id="n"), NOW_MS + 30)
    await store.tills.close(ada.id, EMPTY, NOW_MS + 40)
    other = opening(2, "Till 1", "ada", currency="EUR")
    await store.tills.open(other, NOW_MS + 50)
    async with store._engine.begin() as connection:
        await rewind(connection, NOW_MS + 20, lambda *_: None)
    assert await store.tills.report(ada.id) == moved
    assert await store.tills.report(other.id) is None
    assert await store.tills.open_of("ada") == ada
