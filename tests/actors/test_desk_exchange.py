"""Exchanges: other seats, another performance, dearer and cheaper, refused, given up and lost."""

from dataclasses import dataclass

import pytest
from msgspec.structs import replace

from engine.actors.desk import OrderDesk
from engine.commands import Channel, Checkout, Hold, Refused, Scan, ScanMode, Sell
from engine.ledger import FactKind, facts_of
from engine.mails import Mail, MailKind
from engine.orders import (
    ChargeKind,
    ExchangeRequest,
    LineState,
    Order,
    OrderHold,
    OrderRefused,
    OrderState,
    RefundRequest,
)
from engine.payments import PaymentMethod
from engine.performance import Performance
from engine.settings import Fee, FeeKind, FeePer, Price, Quota
from tests.actors.desks import ADULT, CHILD, PLAN, World, id_of, paid, placed, request, settings

TILL = Channel.BOX_OFFICE


@dataclass
class Counter:
    """A desk, and an order of two adults in performance 1 that was paid in cash."""

    world: World
    desk: OrderDesk
    order: Order

    async def exchange(
        self, hold: OrderHold, *lines: int, id: str = "x", **changes: object
    ) -> Order | OrderRefused:
        wanted = ExchangeRequest(id, lines, hold, "ada", **changes)  # type: ignore[arg-type]
        return await self.desk.exchange(self.order.id, wanted)

    async def now(self) -> Order:
        order = await self.desk.get(self.order.id)
        assert order is not None
        return order


async def bought(world: World, channel: Channel = TILL, kind: str = "adult") -> Counter:
    desk = world.desk()
    wanted = request(await world.hold(1, 0, 1, kind=kind, channel=channel), channel=channel)
    order = placed(await desk.place(wanted))
    method = "cash" if channel is TILL else "test_card"
    order = paid(await desk.pay(order.id, method, "a", 9_000 * (method == "cash"), "", "ada"))
    return Counter(world, desk, order)


def lines_of(order: Order) -> list[tuple[int, int, str, LineState]]:
    return [(line.performance, line.seat, line.price_type, line.state) for line in order.lines]


async def test_a_seat_for_another_of_the_same_price_is_exchanged_at_once(world: World) -> None:
    counter = await bought(world)
    order = placed(await counter.exchange(await world.hold(1, 5, channel=TILL), 2))
    assert order.state is OrderState.EXCHANGED
    assert lines_of(order) == [
        (1, 0, "adult", LineState.SOLD),
        (1, 1, "adult", LineState.REFUNDED),
        (1, 5, "adult", LineState.SOLD),
    ]
    assert (order.due, order.paid, order.total) == (0, 2 * ADULT, 2 * ADULT)
    # Asked again, it is answered alike; the seat that was given back is free.
    again = placed(await counter.desk.exchange(
        order.id, ExchangeRequest("x", (2,), order.exchanges[0].hold, "ada")
    ))  # fmt: skip
    assert again == order
    await world.hold(1, 1)


async def test_what_is_dearer_is_exchanged_when_the_difference_is_paid(world: World) -> None:
    counter = await bought(world, kind="child")
    order = placed(await counter.exchange(await world.hold(2, 3, channel=TILL), 1, fee=200))
    assert (order.state, order.due) == (OrderState.EXCHANGING, ADULT - CHILD + 200)
    # Until then everything that was sold is good, and nothing else is.
    live = (await world.tickets())[order.id]
    assert [(performance, seat) for performance, _, seat, _, _ in live] == [(1, 0), (1, 1)]
    refused = await counter.desk.refund(order.id, RefundRequest("r", (), "", "ada"))
    assert isinstance(refused, OrderRefused)
    order = paid(await counter.desk.pay(order.id, "cash", "b", 2_000, "", "ada"))
    assert order.state is OrderState.EXCHANGED
    assert order.payments[-1].captured == ADULT - CHILD + 200
    assert order.paid == order.worth == CHILD + ADULT + 200
    assert [one.kind for one in order.charges] == [ChargeKind.EXCHANGE]


async def test_what_is_cheaper_goes_back_less_the_fee(world: World) -> None:
    counter = await bought(world)
    hold = await world.hold(2, 3, kind="child", channel=TILL)
    order = placed(await counter.exchange(hold, 1, fee=200))
    assert order.state is OrderState.EXCHANGED
    assert order.payments[0].refunded == ADULT - CHILD - 200
    assert order.paid == order.worth


async def test_what_is_cheaper_goes_to_a_credit_where_that_is_asked(world: World) -> None:
    counter = await bought(world)
    hold = await world.hold(2, 3, kind="child", channel=TILL)
    order = placed(await counter.exchange(hold, 1, to_credit=True))
    [card] = {one.card for one in order.charges if one.card}
    assert world.orders.credits.balances == {card: ADULT - CHILD}
    assert order.payments[0].refunded == 0


async def test_several_places_are_given_for_fewer_and_for_more(world: World) -> None:
    counter = await bought(world)
    order = placed(await counter.exchange(await world.hold(2, 3, channel=TILL), 1, 2))
    assert (order.paid, order.state) == (ADULT, OrderState.EXCHANGED)
    hold = await world.hold(1, 6, places=2, channel=TILL)
    order = placed(await counter.exchange(hold, 3, id="y"))
    assert order.due == 2 * CHILD
    order = paid(await counter.desk.pay(order.id, "card_terminal", "b", 0, "4711", "ada"))
    assert [line.number for line in order.lines if line.state is LineState.SOLD] == [4, 5, 6]


async def test_a_credit_pays_a_part_of_the_difference_and_goes_back_when_it_is_given_up(
    world: World,
) -> None:
    counter = await bought(world)
    order = placed(await counter.desk.refund(
        counter.order.id, RefundRequest("r", (2,), "", "ada", to_credit=True)
    ))  # fmt: skip
    card = order.refunds[0].card
    hold = await world.hold(2, 2, 3, 4, channel=TILL)
    order = placed(await counter.exchange(hold, 1))
    told = (order.id, "store_credit", "b", 0, card)
    order = paid(await counter.desk.pay(*told))
    assert (order.state, order.due) == (OrderState.EXCHANGING, ADULT)
    assert world.orders.credits.balances == {card: 0}
    refused = await counter.desk.pay(order.id, "cash", "c", 500, "", "ada", 500)
    assert isinstance(refused, OrderRefused) and refused.code == "part_not_offered"
    for other in ("", "y"):  # neither the order nor another exchange is meant
        refused = await counter.desk.cancel(order.id, other)
        assert isinstance(refused, OrderRefused) and refused.code == "order_closed"
    order = placed(await counter.desk.cancel(order.id, "x"))
    assert order.state is OrderState.PART_REFUNDED
    assert world.orders.credits.balances == {card: ADULT}
    # The places may be had by others, and the order may be exchanged again.
    await counter.world.lose(order, hold, taken=False)
    order = placed(await counter.exchange(await world.hold(2, 2, 3, channel=TILL), 1, id="y"))
    # The first giving up comes once more, late: the second exchange goes on.
    assert placed(await counter.desk.cancel(order.id, "x")) == order
    placed(await counter.desk.cancel(order.id, "y"))


async def test_an_exchange_that_nobody_pays_is_given_up_by_time(world: World) -> None:
    counter = await bought(world, channel=Channel.WEB)
    order = placed(await counter.exchange(await world.hold(2, 3, 4), 1))
    assert order.exchange is not None and order.due == ADULT
    world.now_ms = order.exchange.expires_ms
    order = paid(await counter.desk.pay(order.id, "test_card", "b"))
    assert len(order.payments) == 1
    assert (order.state, order.exchanges[0].refused) == (OrderState.PAID, "expired")
    assert [line.state for line in order.lines[2:]] == [LineState.CANCELLED] * 2


async def test_a_ticket_that_was_used_is_not_exchanged(world: World) -> None:
    counter = await bought(world)
    await world.ask(1, Scan(id_of(8), "", "", 1, 1, 0, ScanMode.MARK))
    hold = await world.hold(2, 3, channel=TILL)
    refused = await counter.exchange(hold, 1)
    assert isinstance(refused, OrderRefused) and refused.code == "ticket_used"


async def test_a_ticket_used_while_the_difference_is_paid_stays_and_the_money_goes_back(
    world: World,
) -> None:
    counter = await bought(world)
    order = placed(await counter.exchange(await world.hold(2, 3, 4, channel=TILL), 1))
    await world.ask(1, Scan(id_of(8), "", "", 1, 1, 0, ScanMode.MARK))
    refused = await counter.desk.pay(order.id, "cash", "b", ADULT, "", "ada")
    assert isinstance(refused, OrderRefused) and refused.code == "give_money_back"
    order = await counter.now()
    assert (order.state, order.exchanges[0].refused) == (OrderState.PAID, "ticket_used")
    assert order.payments[1].refunded == ADULT
    await world.hold(2, 3, 4)


@pytest.mark.parametrize("taken", [True, False])
async def test_places_whose_hold_was_lost_are_held_anew_or_the_order_stays_as_it_was(
    world: World, taken: bool
) -> None:
    counter = await bought(world)
    hold = await world.hold(2, 3, 4, channel=TILL)
    order = placed(await counter.exchange(hold, 1))
    await world.lose(order, hold, taken=taken)
    answer = await counter.desk.pay(order.id, "cash", "b", ADULT, "", "ada")
    order = await counter.now()
    if taken:
        assert isinstance(answer, OrderRefused) and answer.code == "give_money_back"
        assert order.state is OrderState.PAID
    else:
        assert paid(answer).state is OrderState.EXCHANGED


async def test_places_that_cost_more_by_now_are_not_exchanged(world: World) -> None:
    counter = await bought(world)
    hold = await world.hold(2, 3, 4, channel=TILL)
    order = placed(await counter.exchange(hold, 1))
    await world.lose(order, hold, taken=False)
    world.cores[2].configure(settings(prices=(Price(0, "adult", ADULT + 1),)))
    answer = await counter.desk.pay(order.id, "cash", "b", ADULT, "", "ada")
    assert isinstance(answer, OrderRefused) and answer.code == "give_money_back"
    order = await counter.now()
    assert order.state is OrderState.PAID and order.exchanges[0].refused == "seats_lost"
    assert isinstance(await world.hold(2, 3, 4), OrderHold), "they are free"


async def test_what_may_not_be_exchanged_is_refused_with_its_reason(world: World) -> None:
    counter = await bought(world)
    other = await world.hold(2, 3, channel=TILL)
    rows = [
        (other, (3,), {}, "line_not_sold"),
        (other, (1, 1), {}, "line_not_sold"),
        (other, (), {}, "malformed"),
        (other, (1,), {"fee": -1}, "malformed"),
        (other, (1,), {"id": "no_underscores"}, "malformed"),
        (await world.hold(3, 3, channel=TILL), (1,), {}, "mixed_currencies"),
        (replace(other, token=id_of(7).hex()), (1,), {}, "hold_unknown"),
    ]
    for hold, lines, changes, code in rows:
        refused = await counter.exchange(hold, *lines, **changes)
        assert isinstance(refused, OrderRefused) and refused.code == code, (lines, refused)
    assert await counter.now() == counter.order
    # Nothing of it locked the seats that were named.
    placed(await counter.exchange(other, 1))
    taken = await counter.exchange(await world.hold(2, 5, channel=TILL), 2)
    assert isinstance(taken, OrderRefused) and taken.code == "id_reused"
    refund = await counter.desk.refund(counter.order.id, RefundRequest("x", (2,), "", "ada"))
    assert isinstance(refund, OrderRefused) and refund.code == "id_reused"


async def test_places_of_two_performances_are_not_given_at_once(world: World) -> None:
    desk = world.desk()
    holds = [await world.hold(number, 0, channel=TILL) for number in (1, 2)]
    order = placed(await desk.place(request(*holds, channel=TILL)))
    order = paid(await desk.pay(order.id, "cash", "a", 9_000, "", "ada"))
    counter = Counter(world, desk, order)
    refused = await counter.exchange(await world.hold(2, 3, channel=TILL), 1, 2)
    assert isinstance(refused, OrderRefused) and refused.code == "not_one_performance"


async def test_limits_of_buyers_and_quotas_leave_room_to_what_is_exchanged(world: World) -> None:
    """Otherwise whoever has as many as may be could never have others."""
    quota = Quota("all", {"en": "All"}, 2)
    world.cores[1] = Performance(1, PLAN, settings(max_per_buyer=2, quotas=(quota,)))
    counter = await bought(world, channel=Channel.WEB)
    hold = await world.hold(1, 4, 5)
    order = placed(await counter.exchange(hold, 1, 2))
    assert order.state is OrderState.EXCHANGED
    # Two are all that there are, as before.
    more = await world.hold(1, 6, channel=TILL)
    refused = await counter.desk.place(request(more, channel=TILL))
    assert isinstance(refused, OrderRefused) and refused.code == "quota_full"
    # Only tickets of the order leave room, and each once.
    stolen = Checkout(id_of(9), bytes.fromhex(more.token), "another", "", more.lines, (3, 4, 4))
    outcome = await world.ask(1, stolen)
    assert isinstance(outcome, Refused) and outcome.code == "quota_full"


async def test_fees_go_and_come_with_their_places(world: World) -> None:
    fees = (
        Fee("booking", {"en": "Booking"}, FeeKind.SERVICE, 100, refundable=False),
        Fee("order", {"en": "Order"}, FeeKind.SERVICE, 50, per=FeePer.ORDER),
        Fee("by card", {"en": "Card"}, FeeKind.PAYMENT, 30, per=FeePer.ORDER,
            ways=("card_terminal",)),
    )  # fmt: skip
    for number in (1, 2):
        world.cores[number] = Performance(number, PLAN, settings(fees=fees))
    counter = await bought(world)
    assert counter.order.total == 2 * ADULT + 2 * 100 + 50
    order = placed(await counter.exchange(await world.hold(2, 3, channel=TILL), 1))
    # The booking fee is kept of the one and charged for the other, that of the order once.
    assert order.due == 100
    order = paid(await counter.desk.pay(order.id, "card_terminal", "b", 0, "4711", "ada"))
    assert order.paid == order.worth == 2 * ADULT + 3 * 100 + 50


async def test_an_amount_that_went_back_does_not_go_back_again(world: World) -> None:
    counter = await bought(world)
    amount = RefundRequest("r", (), "rain", "ada", 2 * ADULT)
    placed(await counter.desk.refund(counter.order.id, amount))
    hold = await world.hold(2, 3, kind="child", channel=TILL)
    order = placed(await counter.exchange(hold, 1))
    assert (order.state, order.paid, order.worth) == (OrderState.EXCHANGED, 0, 0)


async def test_the_books_have_what_was_given_and_what_was_sold(world: World) -> None:
    counter = await bought(world)
    hold = await world.hold(2, 3, 4, channel=TILL)
    order = placed(await counter.exchange(hold, 2, fee=150))
    order = paid(await counter.desk.pay(order.id, "cash", "b", 9_000, "", "ada"))
    told = facts_of(counter.order, order)
    assert [(one.kind, one.amount, one.line, one.ref) for one in told if one.line] == [
        (FactKind.REFUND, -ADULT, 2, "x"),
        (FactKind.SALE, ADULT, 3, ""),
        (FactKind.SALE, ADULT, 4, ""),
    ]
    fees = [(one.kind, one.amount, one.ref) for one in told if one.kind is FactKind.FEE]
    assert fees == [(FactKind.FEE, 150, "x")]
    money = [one for one in told if one.method == PaymentMethod.CASH]
    assert sum(one.amount for one in money if one.kind is FactKind.PAYMENT) == ADULT + 150


async def test_the_buyer_is_told_of_the_new_tickets_once(world: World) -> None:
    counter = await bought(world, channel=Channel.WEB)
    order = placed(await counter.exchange(await world.hold(2, 3), 1))
    told = world.mails(order.id)
    assert told.count(Mail(MailKind.EXCHANGED, "x")) == 1
    assert told.count(Mail(MailKind.PAID)) == 1


async def test_the_new_tickets_admit_nobody_before_the_old_have_ended(world: World) -> None:
    counter = await bought(world)
    await counter.exchange(await world.hold(2, 3, channel=TILL), 1)
    steps = [
        (performance, command)
        for performance, command, _ in world.asked
        if not isinstance(command, Scan | Hold | Checkout)
    ][-3:]
    sale = steps[0][1]
    assert isinstance(sale, Sell) and not sale.paid
    assert [(performance, type(command).__name__) for performance, command in steps] == [
        (2, "Sell"),
        (1, "Refund"),
        (2, "SetTickets"),
    ]
