"""What a buyer is told along the way of a whole order, from a real desk."""

from collections.abc import AsyncIterator

import pytest

from engine.commands import Channel
from engine.mails import MailKind
from engine.orders import Buyer, Order, OrderState, RefundRequest, Terms, TermsKind
from engine.payments import PaymentMethod
from tests.actors.desks import ADULT, World, paid, placed, request
from tests.console.waiting import until

DAY_MS = 86_400_000
ZOE = Buyer("Zoé", "zoe@example.org", "fr")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World()
    yield made
    assert await made.violations() == []
    await made.close()


def told(world: World, order: Order) -> list[str]:
    mails = world.mails(order.id)
    return [f"{one.kind}{one.cause and ' '}{one.cause}" for one in mails]


async def reserved(world: World, terms: Terms, operator: str) -> Order:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 1), buyer=ZOE)))
    kept = placed(await desk.reserve(order.id, terms, operator))
    await desk.close()  # one desk runs at a time
    return kept


INVOICE = Terms(TermsKind.INVOICE, first_ms=10 * DAY_MS, interval_ms=5 * DAY_MS, reminders=2)


async def test_an_invoice_is_asked_for_approved_reminded_of_and_paid(world: World) -> None:
    order = await reserved(world, INVOICE, "")
    assert told(world, order) == ["awaiting_approval"]
    desk = world.desk()
    placed(await desk.approve(order.id))
    for days in (10, 5):
        world.pass_s(days * 86_400)
        reminders = [MailKind.REMINDER] * (1 if days == 10 else 2)
        await until(
            lambda wanted=reminders: (
                [one.kind for one in world.mails(order.id) if one.kind is MailKind.REMINDER]
                == wanted
            )
        )
    paid(await desk.pay(order.id, "bank_transfer", "a", 0, "R 1", "ada"))
    assert told(world, order) == [
        *("awaiting_approval", "reserved", "reminder 1", "reminder 2", "paid", "sale"),
    ]


async def test_a_reservation_that_is_not_paid_is_over(world: World) -> None:
    order = await reserved(world, INVOICE, "ada")
    world.desk()
    world.pass_s(21 * 86_400)
    ends = (OrderState.EXPIRED,)
    await until(lambda: world.orders.all[0].state in ends and world.orders.all[0].finished)
    assert told(world, order)[0] == "reserved" and told(world, order)[-1] == "expired"


async def test_a_deposit_that_goes_back_is_told_with_the_end(world: World) -> None:
    desk = world.desk()
    wanted = request(await world.hold(1, 1), channel=Channel.PHONE, buyer=ZOE)
    order = placed(await desk.place(wanted))
    cash = PaymentMethod.CASH.value
    paid(await desk.pay(order.id, cash, "a", 500, "", "ada", amount=500))
    placed(await desk.cancel(order.id))
    assert told(world, order) == ["reserved", "cancelled"]


async def test_refunds_are_told_one_by_one(world: World) -> None:
    desk = world.desk()
    order = placed(await desk.place(request(await world.hold(1, 1, 2), buyer=ZOE)))
    paid(await desk.pay(order.id, "test_card", "a"))
    placed(await desk.refund(order.id, RefundRequest("r1", (1,), "ill", "ada")))
    placed(await desk.refund(order.id, RefundRequest("r2", (), "", "ada", amount=ADULT // 4)))
    placed(await desk.refund(order.id, RefundRequest("r2", (), "", "ada", amount=ADULT // 4)))
    assert told(world, order) == ["paid", "sale", "refunded r1", "refunded r2"]
