"""Money by hand names the till session of whoever moves it, at the desk and after its death."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from engine.actors import NotReady
from engine.actors import desk as desk_module
from engine.commands import Channel, Command, Outcome, Refund, Sell
from engine.orders import (
    DeskRefusal,
    Order,
    OrderRefused,
    OrderState,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.tills import AtTill, TillSessionClosed
from tests.actors.desks import ADULT, World, paid, placed, request
from tests.actors.test_desk import until

TILL = Channel.BOX_OFFICE
ADA = AtTill("ada's", "EUR", required=True)
BOB = AtTill("bob's", "EUR", required=True)
NOWHERE = AtTill(required=True)
CLOSED = OrderRefused(DeskRefusal.TILL_CLOSED)


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "SWEEP_S", 0.005)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()
    assert [order.till for order in world.orders.all if order.finished and order.till] == []


async def order_at(world: World, desk, *seats: int, channel: Channel = TILL) -> Order:  # type: ignore[no-untyped-def]
    hold = await world.hold(1, *seats, channel=channel)
    return placed(await desk.place(request(hold, channel=channel)))


async def test_a_sale_is_of_who_took_the_money_and_a_refund_of_who_hands_it_back(
    world: World,
) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0, 1)
    saves = len(world.orders.saves)
    order = paid(await desk.pay(order.id, "cash", "a", 5_000, operator="ada", at_till=ADA))
    assert (order.payments[0].till, order.till) == ("ada's", "")
    selling = world.orders.history(order.id)[-2]
    assert (selling.state, selling.till) == (OrderState.SELLING, "ada's")
    back = placed(await desk.refund(order.id, RefundRequest("r", (1,), "ill", "bob"), BOB))
    assert [one.till for one in back.payments[0].refunds] == ["bob's"]
    assert (back.payments[0].till, back.till) == ("ada's", "")
    assert len(world.orders.saves) == saves + 4, "a session costs no commit more"


@pytest.mark.parametrize("method", ["card_terminal", "cheque", "bank_transfer"])
async def test_every_way_by_hand_belongs_to_the_session(world: World, method: str) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0)
    order = paid(await desk.pay(order.id, method, "a", 0, "T-1", "ada", 0, ADA))
    assert order.payments[0].till == "ada's"


async def test_what_no_hand_moves_belongs_to_no_session(world: World) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0, channel=Channel.PHONE)
    order = paid(await desk.pay(order.id, "test_card", "a", at_till=ADA))
    assert (order.payments[0].till, order.till) == ("", "")
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", "bob"), NOWHERE))
    assert back.payments[0].refunds[0].till == ""


async def test_where_sessions_are_required_nothing_moves_without_one(world: World) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0)
    assert await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=NOWHERE) == CLOSED
    francs = replace(ADA, currency="CHF")
    assert await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=francs) == CLOSED
    assert await world.orders.get(order.id) == order, "nothing was recorded"
    order = paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=ADA))
    again = await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=NOWHERE)
    assert paid(again) == order, "what was answered is answered again, whoever closed since"
    assert await desk.refund(order.id, RefundRequest("r", (), "", "bob"), NOWHERE) == CLOSED
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", "bob"), BOB))
    assert placed(await desk.refund(order.id, RefundRequest("r", (), "", "bob"), NOWHERE)) == back


async def test_where_they_are_not_required_sales_go_on_without_one(world: World) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0)
    francs = AtTill("s", "CHF")
    order = paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=francs))
    assert (order.payments[0].till, order.till) == ("", ""), "another currency's drawer"


async def test_parts_are_of_their_sessions_and_go_back_in_the_last(world: World) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0, 1)
    order = paid(await desk.pay(order.id, "cash", "a", 1_000, operator="ada", amount=1_000,
                                at_till=ADA))  # fmt: skip
    assert (order.state, order.till) == (OrderState.AWAITING_PAYMENT, "")
    order = paid(await desk.pay(order.id, "cash", "b", 500, operator="bob", amount=500,
                                at_till=BOB))  # fmt: skip
    assert [one.till for one in order.payments] == ["ada's", "bob's"]
    assert await desk.cancel(order.id, at_till=NOWHERE) == CLOSED
    assert (await desk.get(order.id)) == order
    given_up = placed(await desk.cancel(order.id, at_till=BOB))
    assert [one.refunds[0].till for one in given_up.payments] == ["bob's", "bob's"]
    assert given_up.till == ""


async def test_giving_up_what_no_hand_has_paid_needs_no_session(world: World) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0)
    assert placed(await desk.cancel(order.id, at_till=NOWHERE)).state is OrderState.CANCELLED
    order = await order_at(world, desk, 2)
    terms = Terms(TermsKind.PICK_UP, until_ms=world.now_ms + 10**9)
    order = placed(await desk.reserve(order.id, terms, "ada"))
    assert placed(await desk.cancel(order.id, at_till=NOWHERE)).state is OrderState.CANCELLED


async def test_money_for_lost_seats_goes_back_where_it_came_in(world: World) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 4)
    await world.lose(order, order.holds[0])
    refused = await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=ADA)
    assert refused == OrderRefused(DeskRefusal.GIVE_MONEY_BACK)
    order = placed(await desk.get(order.id))
    assert (order.payments[0].till, order.payments[0].refunds[0].till) == ("ada's", "ada's")
    assert order.till == ""


@pytest.mark.parametrize("lost", [False, True])
async def test_the_next_desk_knows_the_session_too(world: World, lost: bool) -> None:
    """The desk dies between the money and the seats."""

    async def ask(performance: int, command: Command) -> Outcome:
        if isinstance(command, Sell):
            raise NotReady("down")
        return await world.ask(performance, command)

    first = world.desk(ask=ask)
    order = await order_at(world, first, 4)
    with pytest.raises(NotReady):
        await first.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=ADA)
    await first.close()
    stored = placed(await world.orders.get(order.id))
    assert (stored.state, stored.till) == (OrderState.SELLING, "ada's"), "it keeps her drawer open"
    if lost:
        await world.lose(order, order.holds[0])
    world.desk()
    order = await until(world, order.id, OrderState.REFUNDED if lost else OrderState.PAID)
    assert (order.payments[0].till, order.till) == ("ada's", "")
    assert [one.till for one in order.payments[0].refunds] == ["ada's"] * lost


async def test_a_refund_that_waits_keeps_the_session_of_who_asked_for_it(world: World) -> None:
    down = True

    async def ask(performance: int, command: Command) -> Outcome:
        if isinstance(command, Refund) and down:
            raise NotReady("down")
        return await world.ask(performance, command)

    desk = world.desk(ask=ask)
    order = await order_at(world, desk, 0)
    order = paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=ADA))
    with pytest.raises(NotReady):
        await desk.refund(order.id, RefundRequest("r", (), "", "bob"), BOB)
    assert placed(await world.orders.get(order.id)).till == "bob's"
    down = False
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", "bob"), NOWHERE))
    assert back.payments[0].refunds[0].till == "bob's"


async def test_an_amount_handed_back_is_of_the_session_and_a_credit_is_of_none(
    world: World,
) -> None:
    desk = world.desk()
    order = await order_at(world, desk, 0)
    order = paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=ADA))
    amount = RefundRequest("r", (), "", "bob", amount=500)
    assert await desk.refund(order.id, amount, NOWHERE) == CLOSED
    back = placed(await desk.refund(order.id, amount, BOB))
    assert [(one.amount, one.till) for one in back.payments[0].refunds] == [(500, "bob's")]
    credit = RefundRequest("c", (), "", "bob", to_credit=True)
    back = placed(await desk.refund(order.id, credit, NOWHERE))
    assert len(back.payments[0].refunds) == 1, "nothing left a drawer for it"
    assert back.till == ""


async def test_a_session_closed_in_the_last_moment_refuses_its_own_sale_alone(
    world: World,
) -> None:
    """The store says so, of one order of the several that it is given at once."""
    desk = world.desk()
    orders = [await order_at(world, desk, seat) for seat in (0, 2, 4)]
    save = world.orders.save
    tried: list[int] = []

    async def refusing(changes: list[Order]) -> list[Order]:
        tried.append(len(changes))
        shut = [one.id for one in changes if one.till == "ada's"]
        if shut:
            raise TillSessionClosed(shut)
        return await save(changes)

    world.orders.save = refusing  # type: ignore[method-assign]
    answers = await asyncio.gather(
        *(
            desk.pay(order.id, "cash", "a", ADULT, operator="x", at_till=at)
            for order, at in zip(orders, (BOB, ADA, BOB), strict=True)
        )
    )
    assert answers[1] == CLOSED
    assert [paid(answers[at]).state for at in (0, 2)] == [OrderState.PAID] * 2
    assert max(tried) > 1, "they came together"
    assert placed(await desk.get(orders[1].id)).payments == ()
    world.orders.save = save  # type: ignore[method-assign]
    again = paid(await desk.pay(orders[1].id, "cash", "a", ADULT, operator="x", at_till=BOB))
    assert again.state is OrderState.PAID
    assert await world.violations() == []


async def test_a_part_that_is_too_much_by_now_goes_back_at_the_till_where_that_came_to_be(
    world: World,
) -> None:
    """Half of what is reserved is called off: the part that was paid is more than the rest."""
    desk = world.desk()
    baskets = [await world.hold(number, 0, channel=TILL) for number in (1, 2)]
    order = placed(await desk.place(request(*baskets, channel=TILL)))
    terms = Terms(TermsKind.PICK_UP, until_ms=world.now_ms + 9_000_000)
    order = placed(await desk.reserve(order.id, terms, "ada"))
    order = paid(await desk.pay(order.id, "cheque", "a", 0, "T", "ada", ADULT + 300, ADA))
    assert (order.state, order.till) == (OrderState.AWAITING_PAYMENT, "")
    called_off = RefundRequest("r", (1,), "called off", "bob", called_off=True)
    order = placed(await desk.refund(order.id, called_off, BOB))
    assert [one.till for one in order.payments[0].refunds] == ["bob's"]
    assert (order.due, order.till) == (ADULT, "")
