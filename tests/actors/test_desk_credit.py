"""The order desk with store credit: many who want the same, and what an amount leaves."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.commands import Channel
from engine.credit import spaced
from engine.orders import DeskRefusal, OrderRefused, OrderState, RefundRequest
from tests.actors.desks import ADULT, World, paid, placed, request

TILL = Channel.BOX_OFFICE


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def credit_of(world: World, places: int = 1) -> str:
    """The code of a credit of this many places."""
    desk = world.desk()
    wanted = request(await world.hold(1, *range(places), channel=TILL), channel=TILL)
    order = placed(await desk.place(wanted))
    paid(await desk.pay(order.id, "cash", "a", places * ADULT, operator="ada"))
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", "ada", to_credit=True)))
    assert (back.state, back.paid, back.value) == (OrderState.REFUNDED, places * ADULT, 0)
    again = await desk.refund(order.id, RefundRequest("r", (), "", "ada", to_credit=True))
    assert again == back, "asked twice, there is one credit"
    other = await desk.refund(order.id, RefundRequest("r", (), "", "ada"))
    assert isinstance(other, OrderRefused) and other.code == "id_reused"
    return back.refunds[0].card


async def test_a_credit_pays_what_it_can_and_is_spent_to_the_cent(world: World) -> None:
    code = await credit_of(world)
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(2, 0, 1, 2))))
    part = paid(await desk.pay(order.id, "store_credit", "a", reference=spaced(code).lower()))
    assert (part.state, part.due) == (OrderState.OPEN, 2 * ADULT), "the rest is to come in time"
    assert world.orders.credits.balances == {code: 0}
    refused = await desk.pay(order.id, "store_credit", "b", reference=code)
    assert refused == OrderRefused(DeskRefusal.CREDIT_TOO_SMALL, "0")
    done = paid(await desk.pay(order.id, "test_card", "c"))
    assert (done.state, done.due, done.paid) == (OrderState.PAID, 0, 3 * ADULT)
    back = placed(await desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert (back.paid, world.orders.credits.balances) == (0, {code: ADULT}), "where it came from"
    assert await world.violations() == []


async def test_of_many_who_spend_one_credit_at_once_it_pays_for_one(world: World) -> None:
    """They share a transaction: who comes second is refused, and spoils nobody else's sale."""
    code = await credit_of(world)
    desk = world.desk()
    orders = [placed(await desk.place(request(await world.hold(2, seat)))) for seat in range(4)]
    cash = placed(await desk.place(request(await world.hold(1, 5, channel=TILL), channel=TILL)))
    answers = await asyncio.gather(
        *(desk.pay(order.id, "store_credit", "a", reference=code) for order in orders),
        desk.pay(cash.id, "cash", "a", ADULT, operator="ada"),
    )
    assert paid(answers.pop()).state is OrderState.PAID
    sold = [one for one in answers if isinstance(one, tuple)]
    refused = [one for one in answers if isinstance(one, OrderRefused)]
    assert [order.state for order, _ in sold] == [OrderState.PAID]
    assert {one.code for one in refused} == {DeskRefusal.CREDIT_TOO_SMALL} and len(refused) == 3
    shared = max(world.orders.saves, key=len)
    assert len(shared) > 1, "some were saved together"
    for order in orders:
        await desk.cancel(order.id)
    assert await world.violations() == []


async def test_an_amount_is_not_given_back_again_with_its_place(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 0, 1, channel=TILL), channel=TILL)))
    paid(await desk.pay(order.id, "cash", "a", 2 * ADULT, operator="ada"))
    part = placed(await desk.refund(order.id, RefundRequest("r1", (), "cold", "ada", 3_000)))
    assert (part.state, part.paid, part.value) == (OrderState.PART_REFUNDED, 1_000, 1_000)
    assert len(await world.tickets()) == 1, "the places stay sold"
    one = placed(await desk.refund(order.id, RefundRequest("r2", (1,), "", "ada")))
    assert (one.paid, one.value) == (0, 0)
    rest = placed(await desk.refund(order.id, RefundRequest("r3", (), "", "ada")))
    assert (rest.state, rest.paid) == (OrderState.REFUNDED, 0)
    assert await world.violations() == []
