"""Sales at once: claimed, priced, placed and paid in one call."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from engine.actors.desk import OrderDesk
from engine.commands import Channel, Checkout, Command, Hold, Line, Outcome, Sell
from engine.ordering import bought
from engine.orders import Order, OrderHold, OrderRefused, OrderState, PlaceOrder
from engine.tills import AtTill
from tests.actors.desks import ADULT, CHILD, World, id_of, placed, request

TILL = Channel.BOX_OFFICE
ADA = AtTill("ada's", "EUR", required=True)
_tokens = iter(range(1_000_000, 2_000_000))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()
    assert await world.violations() == []


@pytest.fixture
async def desk(world: World) -> OrderDesk:
    return world.desk()


def basket(performance: int, *seats: int, places: int = 0, kind: str = "adult") -> OrderHold:
    """What nobody holds yet."""
    lines = [Line(seat, -1, kind) for seat in seats]
    lines += [Line(-1, 0, "child", places)] if places else []
    return OrderHold(performance, id_of(next(_tokens)).hex(), tuple(lines))


def sale(*holds: OrderHold, **changes: object) -> PlaceOrder:
    return request(*holds, channel=TILL, **changes)


def refused(answer: object) -> str:
    assert isinstance(answer, OrderRefused), answer
    return answer.code


async def test_seats_and_places_are_claimed_and_sold_in_two_saves(
    world: World, desk: OrderDesk
) -> None:
    wanted = sale(basket(1, 0, 1, places=2))
    total = 2 * ADULT + 2 * CHILD
    order = placed(await desk.buy(wanted, 10_000, ADA))
    assert [one.state for one in world.orders.history(order.id)] == [
        OrderState.SELLING,
        OrderState.PAID,
    ]
    told = bought(order)
    assert (told.number, told.total, told.change) == (order.number, total, 10_000 - total)
    assert [(seat, area, kind) for _, _, seat, area, kind, _ in told.tickets] == [
        (0, -1, "adult"),
        (1, -1, "adult"),
        (-1, 0, "child"),
        (-1, 0, "child"),
    ]
    assert (order.payments[0].till, order.till) == ("ada's", "")


async def test_what_is_held_already_is_sold(world: World, desk: OrderDesk) -> None:
    hold = await world.hold(1, 0, 1, channel=TILL)
    assert placed(await desk.buy(sale(hold), 2 * ADULT)).state is OrderState.PAID


async def test_over_two_performances(world: World, desk: OrderDesk) -> None:
    order = placed(await desk.buy(sale(basket(1, 0), basket(2, 3)), 2 * ADULT))
    assert [ticket[0] for ticket in bought(order).tickets] == [1, 2]


async def test_what_costs_nothing_has_no_payment(world: World, desk: OrderDesk) -> None:
    wanted = sale(basket(1, 0, kind="guest"))
    order = placed(await desk.buy(wanted, 0))
    assert (order.state, order.payments) == (OrderState.PAID, ())
    assert placed(await desk.buy(wanted, 0)) == order


async def test_the_same_again_is_done_once_by_the_next_desk_too(world: World) -> None:
    wanted = sale(basket(1, 0))
    order = placed(await world.desk().buy(wanted, ADULT, ADA))
    saves = len(world.orders.saves)
    desk = world.desk()
    assert await desk.buy(wanted, ADULT, ADA) == order
    assert refused(await desk.buy(wanted, ADULT + 500, ADA)) == "id_reused"
    other = replace(wanted, baskets=(basket(1, 5),))
    assert refused(await desk.buy(other, ADULT, ADA)) == "id_reused"
    assert len(world.orders.saves) == saves


async def test_an_order_that_was_placed_is_not_bought(world: World, desk: OrderDesk) -> None:
    wanted = sale(await world.hold(1, 0, channel=TILL))
    placed(await desk.place(wanted))
    assert refused(await desk.buy(wanted, ADULT)) == "id_reused"
    await desk.cancel(wanted.id)


@pytest.mark.parametrize(
    ("changes", "given", "at_till", "code"),
    [
        ({"id": "short"}, ADULT, ADA, "malformed"),
        ({}, ADULT - 100, ADA, "given_too_little"),
        ({}, ADULT, AtTill(required=True), "till_closed"),
        ({}, ADULT, replace(ADA, currency="CHF"), "till_closed"),
        ({"operator": ""}, ADULT, ADA, "operator_missing"),
        ({"channel": Channel.WEB, "session": "a buyer"}, ADULT, ADA, "method_not_offered"),
    ],
)
async def test_who_is_refused_may_sell_the_same_seats_after(
    world: World,
    desk: OrderDesk,
    changes: dict[str, object],
    given: int,
    at_till: AtTill,
    code: str,
) -> None:
    hold = basket(1, 0)
    wanted = replace(sale(hold), **changes)
    assert refused(await desk.buy(wanted, given, at_till)) == code
    assert world.orders.all == []
    assert refused(await desk.buy(wanted, given, at_till)) == code, "asked again, the same"
    again = replace(sale(hold), id=wanted.id if code != "malformed" else f"{77:032x}")
    assert placed(await desk.buy(again, ADULT, ADA)).state is OrderState.PAID


async def test_a_till_that_was_opened_meanwhile_sells_under_the_same_id(
    world: World, desk: OrderDesk
) -> None:
    """What was refused for want of a session was unlocked; the repeat must not believe its lock."""
    wanted = sale(basket(1, 0))
    assert refused(await desk.buy(wanted, ADULT, AtTill(required=True))) == "till_closed"
    assert placed(await desk.buy(wanted, ADULT, ADA)).state is OrderState.PAID


async def test_the_refusal_says_what_is_in_the_way(world: World, desk: OrderDesk) -> None:
    await world.hold(2, 3)
    answer = await desk.buy(sale(basket(1, 0), basket(2, 3)), 2 * ADULT)
    assert answer == OrderRefused("seat_taken", "", 2, (3,))
    hold = await world.hold(1, 4, 5, channel=TILL)
    half = replace(hold, lines=hold.lines[:1])
    assert refused(await desk.buy(sale(half), ADULT)) == "malformed", "a seat is left out"
    strange = replace(hold, lines=tuple(replace(one, price_type="dog") for one in hold.lines))
    assert refused(await desk.buy(sale(strange), ADULT)) == "no_price"
    assert placed(await desk.buy(sale(hold), 2 * ADULT)).state is OrderState.PAID


async def test_a_seat_lost_after_the_money_goes_back_to_hand(world: World) -> None:
    """The hold ends between its price and its sale, and somebody else has the seat."""

    async def ask(performance: int, command: Command) -> Outcome:
        if isinstance(command, Sell):
            [order] = world.orders.all
            if order.state is OrderState.SELLING:
                await world.lose(order, order.holds[0])
        return await world.ask(performance, command)

    desk = world.desk(ask=ask)
    assert refused(await desk.buy(sale(basket(1, 0)), ADULT, ADA)) == "give_money_back"
    [order] = world.orders.all
    assert (order.paid, order.state) == (0, OrderState.REFUNDED)


async def test_a_claim_and_its_price_are_asked_together(world: World) -> None:
    """Neither waits for the other's commit; the first is decided first."""
    asked: list[type] = []
    both = asyncio.Event()

    async def ask(performance: int, command: Command) -> Outcome:
        asked.append(type(command))
        outcome = await world.ask(performance, command)
        if len(asked) >= 2:
            both.set()
        await both.wait()
        return outcome

    order = placed(await world.desk(ask=ask).buy(sale(basket(1, 0)), ADULT))
    assert asked == [Hold, Checkout, Sell]
    assert isinstance(order, Order)
