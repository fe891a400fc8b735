"""Orders at the till, by test card and for nothing, against the real engine."""

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from engine.actors import NotReady, order_keeper
from engine.actors import desk as desk_module
from engine.commands import (
    Channel,
    Checkout,
    Command,
    Held,
    Hold,
    Line,
    Outcome,
    Refund,
    Refusal,
    Refused,
    Release,
    Released,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
)
from engine.ordering import CLOSING_MS
from engine.orders import (
    NEXT_STATES,
    DeskRefusal,
    LineState,
    Order,
    OrderHold,
    OrderRefused,
    OrderState,
    RefundRequest,
)
from engine.payments import PaymentState
from engine.settings import Price
from tests.actors.desks import ADULT, CHILD, World, id_of, paid, placed, request, settings

TILL = Channel.BOX_OFFICE


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "SWEEP_S", 0.005)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()
    for order in world.orders.all:
        states = [one.state for one in world.orders.history(order.id)]
        for before, after in itertools.pairwise(states):
            assert after is before or after in NEXT_STATES[before], states


async def until(world: World, id: str, *states: OrderState) -> Order:
    """The stored order once it is in one of these states."""
    async with asyncio.timeout(20):
        while True:
            order = await world.orders.get(id)
            assert order is not None
            if order.state in states:
                return order
            await asyncio.sleep(0.002)


async def test_cash_with_change_over_two_performances(world: World) -> None:
    desk = world.desk()
    holds = (
        await world.hold(1, 0, 1, channel=TILL),
        await world.hold(2, 5, places=2, channel=TILL),
    )
    order = placed(await desk.place(request(*holds, channel=TILL)))
    total = 3 * ADULT + 2 * CHILD
    assert (order.state, order.total, order.number) == (OrderState.OPEN, total, 1001)
    assert [line.number for line in order.lines] == [1, 2, 3, 4, 5]
    order = paid(await desk.pay(order.id, "cash", "a", 10_000, operator="ada"))
    assert order.state is OrderState.PAID
    assert (order.payments[0].given, order.payments[0].change) == (10_000, 10_000 - total)
    assert [(line.seat, line.area, line.ticket) for line in order.lines] == [
        *((0, -1, 1), (1, -1, 2)),
        *((5, -1, 1), (-1, 0, 2), (-1, 0, 3)),
    ]
    assert len(world.orders.saves) == 3, "placed, paid, sold: a commit each and no more"
    assert await world.violations() == []


async def test_a_card_terminal_keeps_its_reference_and_the_order_its_seller(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(request(hold, channel=TILL)))
    order = paid(await desk.pay(order.id, "card_terminal", "a", reference=" T-77 ", operator="bob"))
    assert order.payments[0].reference == "T-77"
    assert order.operator == "ada", "who placed it sold it, whoever took the money"


@pytest.mark.parametrize("channel", [Channel.WEB, Channel.PHONE])
async def test_a_test_card_and_every_call_twice(world: World, channel: Channel) -> None:
    desk = world.desk()
    wanted = request(await world.hold(1, 0, channel=channel), channel=channel)
    order = placed(await desk.place(wanted))
    assert await desk.place(wanted) == order
    order = paid(await desk.pay(order.id, "test_card", "a"))
    assert order.operator == wanted.operator
    saves = len(world.orders.saves)
    assert paid(await desk.pay(order.id, "test_card", "a")) == order
    assert paid(await desk.pay(order.id, "test_card", "b")) == order, "another window, one sale"
    assert await desk.place(wanted) == order == await desk.get(order.id)
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "ill", "ada")))
    assert await desk.refund(order.id, RefundRequest("r", (), "ill", "ada")) == back
    assert await desk.refund(order.id, RefundRequest("r", (1,), "ill", "ada")) == back
    assert (back.state, back.payments[0].state) == (OrderState.REFUNDED, PaymentState.REFUNDED)
    assert paid(await desk.pay(order.id, "test_card", "a")) == back, "it was paid, and still was"
    assert len(world.orders.saves) == saves + 2
    assert await world.violations() == []


async def test_a_declined_test_card_takes_nothing_and_another_one_pays(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 0))))
    for _ in range(2):
        refused = await desk.pay(order.id, "test_card", "a", reference="declined")
        assert refused == OrderRefused(DeskRefusal.ATTEMPT_OVER)
    refused = await desk.pay(order.id, "test_card", "a")
    assert isinstance(refused, OrderRefused) and refused.code == Refusal.ID_REUSED
    stored = placed(await desk.get(order.id))
    assert (stored.state, stored.paid) == (OrderState.OPEN, 0)
    assert stored.payments[0].state is PaymentState.FAILED
    order = paid(await desk.pay(order.id, "test_card", "b"))
    assert (order.state, order.paid) == (OrderState.PAID, order.total)
    assert await world.violations() == []


async def test_the_till_takes_no_money_for_what_is_paid(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 0, channel=TILL), channel=TILL)))
    paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada"))
    refused = await desk.pay(order.id, "cash", "b", ADULT, operator="bob")
    assert refused == OrderRefused(DeskRefusal.ORDER_CLOSED, "paid")


@pytest.mark.parametrize(("channel", "method"), [(Channel.WEB, "test_card"), (TILL, "cash")])
async def test_what_costs_nothing_is_sold_by_placing_it(
    world: World, channel: Channel, method: str
) -> None:
    desk = world.desk()
    holds = [await world.hold(number, 0, 1, kind="guest", channel=channel) for number in (1, 2)]
    wanted = request(*holds, channel=channel)
    order = placed(await desk.place(wanted))
    assert (order.total, order.state, order.payments) == (0, OrderState.PAID, ())
    assert [line.ticket for line in order.lines] == [1, 2, 1, 2]
    assert len(world.orders.saves) == 2, "nothing to wait for: about to be sold, and sold"
    assert await desk.place(wanted) == order
    assert paid(await desk.pay(order.id, method, "a", operator="ada")) == order, "as was asked for"
    assert await desk.cancel(order.id) == OrderRefused(DeskRefusal.ORDER_CLOSED, "paid")
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert (back.state, back.payments) == (OrderState.REFUNDED, ())
    assert await desk.place(wanted) == back
    assert await world.violations() == []


async def test_one_free_place_does_not_make_the_others_free(world: World) -> None:
    desk = world.desk()
    holds = (await world.hold(1, 0, kind="guest"), await world.hold(2, 0))
    order = placed(await desk.place(request(*holds)))
    assert (order.state, order.total) == (OrderState.OPEN, ADULT)


async def test_what_costs_nothing_can_be_lost_too(world: World) -> None:
    """The second of two holds ends between its price and its sale."""
    holds = [await world.hold(number, 0, kind="guest") for number in (1, 2)]
    wanted = request(*holds)

    lost: list[Order] = []

    async def ask(performance: int, command: Command) -> Outcome:
        if isinstance(command, Sell) and performance == 2 and not lost:
            lost.append(placed(await world.orders.get(wanted.id)))
            await world.lose(lost[0], holds[1])
        return await world.ask(performance, command)

    desk = world.desk(ask=ask)
    for _ in range(2):
        assert await desk.place(wanted) == OrderRefused(DeskRefusal.SEATS_LOST)
    refused = await desk.pay(wanted.id, "test_card", "a")
    assert refused == OrderRefused(DeskRefusal.SEATS_LOST)
    assert placed(await desk.get(wanted.id)).state is OrderState.EXPIRED
    assert await world.violations() == []


async def test_what_costs_nothing_is_sold_though_nobody_asks_again(world: World) -> None:
    """Whoever placed it went away while the performance did not answer."""
    wanted = request(await world.hold(1, 0, kind="guest"))

    async def ask(performance: int, command: Command) -> Outcome:
        if isinstance(command, Sell):
            raise NotReady("down")
        return await world.ask(performance, command)

    first = world.desk(ask=ask)
    with pytest.raises(NotReady):
        await first.place(wanted)
    await first.close()
    world.desk()
    order = await until(world, wanted.id, OrderState.PAID)
    assert order.lines[0].ticket == 1
    assert await world.violations() == []


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_one_hold_lost_of_three_sells_nothing_and_the_money_is_handed_back(
    world: World, lost: int
) -> None:
    world.cores[3].configure(world.cores[1].settings)
    desk = world.desk()
    holds = [await world.hold(number, 4, channel=TILL) for number in (1, 2, 3)]
    order = placed(await desk.place(request(*holds, channel=TILL)))
    await world.lose(order, holds[lost])
    for _ in range(2):
        refused = await desk.pay(order.id, "cash", "a", 6_000, operator="ada")
        assert refused == OrderRefused(DeskRefusal.GIVE_MONEY_BACK)
    stored = await desk.get(order.id)
    assert stored is not None and stored.state is OrderState.REFUNDED
    assert stored.payments[0].refunded == 6_000, "on record: taken, and given back"
    assert {line.state for line in stored.lines} == {LineState.CANCELLED}
    again = [
        await world.ask(each.performance, Release(id_of(2**67), bytes.fromhex(each.token)))
        for each in holds[lost + 1 :]
    ]
    assert all(isinstance(one, Released) for one in again), "holds not sold are open again"
    assert await world.violations() == []


async def test_an_order_ends_before_its_holds_and_takes_no_money_then(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(request(hold, channel=TILL)))
    world.now_ms = order.expires_ms
    refused = await desk.pay(order.id, "cash", "a", ADULT, operator="ada")
    assert refused == OrderRefused(DeskRefusal.ORDER_CLOSED, "expired")
    stored = await desk.get(order.id)
    assert stored is not None and stored.payments == (), "nothing was recorded"
    token = bytes.fromhex(hold.token)
    more = await world.ask(1, Hold(id_of(2**64), token, token.hex(), TILL, (1,)))
    assert isinstance(more, Held) and more.expires_ms == order.expires_ms + CLOSING_MS


async def test_the_desk_gives_up_by_itself_what_nobody_pays(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 0), await world.hold(2, 1))))
    world.now_ms = order.expires_ms - 1
    await asyncio.sleep(0.05)
    assert (await desk.get(order.id)) == order
    world.pass_s(0.001)
    given_up = await until(world, order.id, OrderState.EXPIRED)
    assert {line.state for line in given_up.lines} == {LineState.CANCELLED}
    for hold in order.holds:
        token = bytes.fromhex(hold.token)
        released = await world.ask(hold.performance, Release(id_of(2**64), token))
        assert isinstance(released, Released)


async def test_a_cancelled_order_gives_its_basket_back(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0)
    order = placed(await desk.place(request(hold)))
    token = bytes.fromhex(hold.token)
    locked = await world.ask(1, Release(id_of(2**64), token))
    assert locked == Refused(Refusal.IN_PAYMENT)
    cancelled = placed(await desk.cancel(order.id))
    assert cancelled.state is OrderState.CANCELLED
    assert await desk.cancel(order.id) == cancelled
    again = placed(await desk.place(request(hold)))
    assert await desk.cancel(order.id) == cancelled, "and the new order keeps the hold"
    order = paid(await desk.pay(again.id, "test_card", "a"))
    assert await desk.cancel(order.id) == OrderRefused(DeskRefusal.ORDER_CLOSED, "paid")
    assert await desk.cancel("0" * 32) == OrderRefused(DeskRefusal.ORDER_UNKNOWN)
    assert await desk.get("0" * 32) is None
    assert await world.violations() == []


async def test_a_request_changed_under_its_id_is_decided_again(world: World) -> None:
    """The order's id is only used up by an order: a caller need not make a new one."""
    desk = world.desk()
    first, second = await world.hold(1, 0), await world.hold(2, 4)
    wrong = request(first, replace(second, lines=(Line(4, -1, "unheard-of"),)))
    refused = await desk.place(wrong)
    assert isinstance(refused, OrderRefused)
    assert await desk.place(wrong) == refused
    order = placed(await desk.place(replace(wrong, baskets=(first, second))))
    order = paid(await desk.pay(order.id, "test_card", "a"))
    assert order.state is OrderState.PAID
    assert await world.violations() == []


async def test_a_request_cut_off_can_be_changed_too(world: World) -> None:
    """The first hold is locked for an order that nobody keeps; it must not stay so."""
    calls = 0

    async def ask(performance: int, command: Command) -> Outcome:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise NotReady("nobody answers")
        return await world.ask(performance, command)

    desk = world.desk(ask=ask)
    first, second = await world.hold(1, 0), await world.hold(2, 4)
    wanted = request(first, second)
    with pytest.raises(NotReady):
        await desk.place(wanted)
    changed = replace(wanted, baskets=(replace(first, lines=(Line(0, -1, "unheard-of"),)),))
    refused = await desk.place(changed)
    assert isinstance(refused, OrderRefused) and refused.code == "no_price"
    elsewhere = placed(await desk.place(request(first)))
    assert paid(await desk.pay(elsewhere.id, "test_card", "a"))


async def test_a_busy_performance_is_asked_again_and_loses_no_order(world: World) -> None:
    busy: list[type[Command]] = []

    async def ask(performance: int, command: Command) -> Outcome:
        if type(command) in busy:
            return Refused(Refusal.BUSY)
        return await world.ask(performance, command)

    desk = world.desk(ask=ask)
    wanted = request(await world.hold(1, 0))
    busy = [Checkout]
    with pytest.raises(NotReady):
        await desk.place(wanted)
    busy = [Sell]
    order = placed(await desk.place(wanted))
    with pytest.raises(NotReady):
        await desk.pay(order.id, "test_card", "a")
    stored = await desk.get(order.id)
    assert stored is not None and stored.state is OrderState.SELLING
    busy = [Refund]
    world.pass_s(order_keeper.PATIENCE_MS / 1_000)
    await until(world, order.id, OrderState.PAID)
    with pytest.raises(NotReady):
        await desk.refund(order.id, RefundRequest("r", (), "", "ada"))
    busy = []
    world.pass_s(order_keeper.PATIENCE_MS / 1_000)
    await until(world, order.id, OrderState.REFUNDED)
    assert await world.violations() == []


async def test_tickets_that_differ_from_the_order_are_not_sold(world: World) -> None:
    """The hold was checked out anew for the same order, at another price: nobody may pay that."""
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 0))))
    token = bytes.fromhex(order.holds[0].token)
    lines = (Line(0, -1, "child"),)
    await world.ask(1, Checkout(id_of(2**64), token, order.id, "", lines))
    refused = await desk.pay(order.id, "test_card", "a")
    assert refused == OrderRefused(DeskRefusal.SEATS_LOST)
    assert await world.violations() == []


async def test_refunds_line_by_line(world: World) -> None:
    desk = world.desk()
    holds = (
        await world.hold(1, 0, places=1, channel=TILL),
        await world.hold(2, 1, 2, channel=TILL),
    )
    order = placed(await desk.place(request(*holds, channel=TILL)))
    paid(await desk.pay(order.id, "cash", "a", 10_000, operator="ada"))
    one = placed(await desk.refund(order.id, RefundRequest("r1", (4, 2), "fell ill", "bob")))
    assert (one.state, one.paid) == (OrderState.PART_REFUNDED, 2 * ADULT)
    refund = one.refunds[0]
    assert (refund.lines, refund.undone, refund.operator) == ((2, 4), (2, 4), "bob")
    free = await world.ask(2, Hold(id_of(2**64), id_of(2**64), "next", TILL, (2,)))
    assert isinstance(free, Held), "the seat is on sale again"
    for lines in ((2,), (1, 1), (9,)):
        refused = await desk.refund(order.id, RefundRequest("r2", lines, "", "bob"))
        assert refused == OrderRefused(DeskRefusal.LINE_NOT_SOLD)
    rest = placed(await desk.refund(order.id, RefundRequest("r2", (), "", "bob")))
    assert (rest.state, rest.paid, rest.refunds[1].lines) == (OrderState.REFUNDED, 0, (1, 3))
    refused = await desk.refund(order.id, RefundRequest("r3", (), "", "bob"))
    assert refused == OrderRefused(DeskRefusal.NOTHING_TO_REFUND, "refunded")
    assert await world.violations() == []


async def test_a_ticket_used_while_its_refund_is_under_way_stays_sold(world: World) -> None:
    async def ask(performance: int, command: Command) -> Outcome:
        if isinstance(command, Refund) and performance == 2:
            number = command.tickets[0]
            scan = Scan(id_of(2**64 + number), "", "door", 2, number, 0, ScanMode.ADMIT)
            seen = await world.ask(2, scan)
            assert isinstance(seen, Scanned)
            assert seen.result in (ScanOutcome.ADMITTED, ScanOutcome.ALREADY_USED)
        return await world.ask(performance, command)

    desk = world.desk(ask=ask)
    order = placed(await desk.place(request(await world.hold(1, 0), await world.hold(2, 1, 2))))
    paid(await desk.pay(order.id, "test_card", "a"))
    part = placed(await desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert (part.state, part.paid) == (OrderState.PART_REFUNDED, 2 * ADULT)
    assert (part.refunds[0].undone, part.refunds[0].refused) == ((1,), "ticket_used")
    assert await desk.refund(order.id, RefundRequest("r", (), "", "ada")) == part
    alone = placed(await desk.place(request(await world.hold(2, 4))))
    paid(await desk.pay(alone.id, "test_card", "a"))
    refused = await desk.refund(alone.id, RefundRequest("r", (), "", "ada"))
    assert (
        refused
        == OrderRefused("ticket_used")
        == await desk.refund(alone.id, RefundRequest("r", (), "", "a"))
    )
    assert await world.violations() == []


async def test_the_next_desk_goes_on_with_what_this_one_left(world: World) -> None:
    async def silent(performance: int, command: Command) -> Outcome:
        if isinstance(command, Sell):
            raise NotReady("nobody answers")
        return await world.ask(performance, command)

    desk = world.desk(ask=silent)
    left = placed(await desk.place(request(await world.hold(1, 0))))
    waiting = placed(await desk.place(request(await world.hold(1, 1))))
    with pytest.raises(NotReady):
        await desk.pay(left.id, "test_card", "a")
    await desk.close()
    world.orders.down = True
    successor = world.desk()
    await asyncio.sleep(0.02)
    world.orders.down = False
    await until(world, left.id, OrderState.PAID)
    world.now_ms = waiting.expires_ms
    await until(world, waiting.id, OrderState.EXPIRED)
    assert (await successor.get(waiting.id)) == world.orders.all[1]
    assert await world.violations() == []


async def test_two_desks_at_once_sell_once(world: World) -> None:
    """The second finds its order changed, reads it again, and has nothing left to do."""
    one, other = world.desk(), world.desk()
    order = placed(await one.place(request(await world.hold(1, 0))))
    assert await other.get(order.id) == order
    paid(await one.pay(order.id, "test_card", "a"))
    with pytest.raises(NotReady):
        await other.pay(order.id, "test_card", "b")
    stored = paid(await other.pay(order.id, "test_card", "b"))
    assert len(stored.payments) == 1
    assert await world.violations() == []


async def test_a_database_that_is_away_delays_and_loses_nothing(world: World) -> None:
    desk = world.desk()
    wanted = request(await world.hold(1, 0))
    world.orders.down = True
    for call in (desk.place(wanted), desk.get(wanted.id), desk.pay(wanted.id, "test_card", "a")):
        with pytest.raises(NotReady):
            await call
    world.orders.down = False
    order = placed(await desk.place(wanted))
    world.orders.down = True
    with pytest.raises(NotReady):
        await desk.pay(order.id, "test_card", "a")
    world.orders.down = False
    assert paid(await desk.pay(order.id, "test_card", "a")).state is OrderState.PAID
    assert await world.violations() == []


async def test_two_windows_pay_at_once(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 0))))
    answers = await asyncio.gather(
        *(desk.pay(order.id, "test_card", f"a{number}") for number in range(5)),
        desk.cancel(order.id),
    )
    assert answers[-1] == OrderRefused(DeskRefusal.ORDER_CLOSED, "paid")
    assert len({paid(one).revision for one in answers[:-1]}) == 1
    assert await world.violations() == []


# A hold that was lost ----------------------------------------------------------------


async def test_places_whose_hold_was_lost_are_sold_where_they_are_free(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 3, 4, places=2)
    order = placed(await desk.place(request(hold)))
    await world.lose(order, hold, taken=False)
    sold = paid(await desk.pay(order.id, "test_card", "a"))
    assert sold.state is OrderState.PAID and sold.paid == sold.total
    assert await world.violations() == []


async def test_what_costs_more_by_now_is_not_sold_and_nothing_stays_held(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 3, channel=TILL)
    order = placed(await desk.place(request(hold, channel=TILL)))
    await world.lose(order, hold, taken=False)
    world.cores[1].configure(settings(prices=(Price(0, "adult", ADULT + 1),)))
    refused = await desk.pay(order.id, "cash", "a", ADULT, operator="ada")
    assert refused == OrderRefused(DeskRefusal.GIVE_MONEY_BACK)
    assert isinstance(await world.hold(1, 3), OrderHold), "its place is free"
    assert await world.violations() == []
