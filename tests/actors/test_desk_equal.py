"""Money that comes for a lost hold: the same places, equal ones where that was agreed, or back."""

import pytest

from engine import equal
from engine.actors.desk import OrderDesk
from engine.commands import Channel, HoldEqual, Sell
from engine.ordering import NEVER_MS
from engine.orders import LineState, Order, OrderHold, OrderRefused, OrderState
from engine.performance import Performance
from engine.settings import Price, SaleStatus
from tests.actors.desks import ADULT, PLAN, World, paid, placed, request, settings

TILL = Channel.BOX_OFFICE


async def ordered(world: World, desk: OrderDesk, *holds: OrderHold, agreed: bool = True) -> Order:
    wanted = request(*holds, channel=TILL, equal_places=agreed)
    return placed(await desk.place(wanted))


async def pay(desk: OrderDesk, order: Order) -> object:
    return await desk.pay(order.id, "cash", "a", 50_000, "", "ada")


async def test_equal_places_are_sold_where_the_buyer_agreed(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 1, 2, places=2, channel=TILL)
    order = await ordered(world, desk, hold)
    await world.lose(order, hold)
    sold = paid(await pay(desk, order))
    assert sold.state is OrderState.PAID
    first, second, *area = [line.seat for line in sold.lines]
    assert second == first + 1 and not {first, second} & {1, 2}
    assert area == [-1, -1] and [line.area for line in sold.lines[2:]] == [0, 0]
    [equal_hold] = sold.equal
    assert [line.seat for line in equal_hold.lines] == [first, second, -1]
    assert sold.holds == order.holds, "what was asked for stays known"
    # Asked again, by the buyer and by another desk, it is the same sale.
    assert paid(await pay(desk, order)) == sold
    assert placed(await world.desk().get(order.id)) == sold
    assert placed(await desk.place(request(hold, channel=TILL, id=order.id))) == sold
    sales = [one for _, one, answer in world.asked if isinstance(one, Sell)]
    assert len({one.id for one in sales}) == 2, "the lost hold, and the equal places once"


async def test_the_same_places_come_first(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 1, 2, channel=TILL)
    order = await ordered(world, desk, hold)
    await world.lose(order, hold, taken=False)
    sold = paid(await pay(desk, order))
    assert [line.seat for line in sold.lines] == [1, 2] and not sold.equal


async def test_without_an_agreement_the_money_goes_back(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 1, 2, channel=TILL)
    order = await ordered(world, desk, hold, agreed=False)
    await world.lose(order, hold)
    refused = await pay(desk, order)
    assert isinstance(refused, OrderRefused) and refused.code == "give_money_back"
    assert not any(isinstance(one, HoldEqual) for _, one, _ in world.asked)


@pytest.mark.parametrize("left", ["none together", "dearer", "closed"])
async def test_where_nothing_is_as_good_the_money_goes_back(world: World, left: str) -> None:
    desk = world.desk()
    hold = await world.hold(1, 1, 2, channel=TILL)
    order = await ordered(world, desk, hold)
    if left == "none together":
        await world.hold(1, 4, 6)
        await world.hold(1, 0)
    await world.lose(order, hold)
    if left == "dearer":
        world.cores[1].configure(settings(prices=(Price(0, "adult", ADULT + 1),)))
    if left == "closed":
        world.cores[1].configure(settings(status=SaleStatus.CLOSED))
    free = world.cores[1].statuses().count(0)
    refused = await pay(desk, order)
    assert isinstance(refused, OrderRefused) and refused.code == "give_money_back"
    found = placed(await desk.get(order.id))
    assert found.state is OrderState.REFUNDED and found.paid == 0
    assert world.cores[1].statuses().count(0) == free, "nothing stays held for it"


async def test_all_or_nothing_also_with_equal_places(world: World) -> None:
    """They are found in the first performance, and in the second there are none."""
    desk = world.desk()
    holds = [await world.hold(number, 1, 2, channel=TILL) for number in (1, 2)]
    await world.hold(2, 0, 3, 4, 5, 6, 7)
    order = await ordered(world, desk, *holds)
    for hold in holds:
        await world.lose(order, hold)
    refused = await pay(desk, order)
    assert isinstance(refused, OrderRefused)
    found = placed(await desk.get(order.id))
    assert all(line.state is LineState.CANCELLED for line in found.lines)
    assert world.cores[1].statuses().count(0) == 6, "all but those that somebody else has"


async def crowd(world: World) -> tuple[int, int]:
    """Four orders of two lose their seats to two others, and then all pay: sold and paid back."""
    desk = world.desk()
    holds = [await world.hold(1, first, first + 1, channel=TILL) for first in (0, 2, 4, 6)]
    orders = [await ordered(world, desk, hold) for hold in holds]
    for order, hold in zip(orders, holds, strict=True):
        await world.lose(order, hold, taken=False)
    await world.hold(1, 0, 1)
    await world.hold(1, 4, 5)
    answers = [await pay(desk, order) for order in orders]
    sold = sum(isinstance(answer, tuple) for answer in answers)
    return sold, len(answers) - sold


async def test_never_is_a_seat_sold_twice_however_many_pay_late(world: World) -> None:
    world.cores[1] = Performance(1, PLAN, settings(hold_ms=NEVER_MS // 2**20))
    assert await crowd(world) == (2, 2)
    assert world.cores[1].statuses().count(2) == 4


async def test_equal_places_that_are_not_free_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The positive control: a search that looks at nothing must be found to sell seats twice."""
    monkeypatch.setattr(equal, "_search", lambda state, command, at_ms: (2, 3))
    world = World()
    await crowd(world)
    found = await world.violations()
    await world.close()
    assert any("sold twice" in one for one in found), found
