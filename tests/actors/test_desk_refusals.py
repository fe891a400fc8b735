"""Every refusal of the order desk, one case each; a refused call changes nothing."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from msgspec.structs import replace

from engine.actors import after_sale
from engine.actors import desk as desk_module
from engine.actors.desk import OrderDesk
from engine.actors.payments import StripeGateway
from engine.commands import Channel, Hold, Line, Refusal, Scan, ScanMode
from engine.order_changes import (
    MAX_EXCHANGES_PER_ORDER,
    MAX_REFUNDS_PER_ORDER,
    MAX_REISSUES_PER_ORDER,
)
from engine.ordering import MAX_BASKETS_PER_ORDER, MAX_PAYMENTS_PER_ORDER
from engine.orders import (
    Buyer,
    DeskRefusal,
    ExchangeRequest,
    Order,
    OrderHold,
    OrderRefused,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.payments import PaymentRefusal
from engine.tills import AtTill
from tests.actors.desks import ADULT, World, gift_cards, id_of, paid, placed, request
from tests.fakes.stripe_server import FakeStripe

TILL = Channel.BOX_OFFICE
NOBODY = "f" * 32


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


async def cash_order(world: World, desk: OrderDesk, *holds: OrderHold) -> Order:
    holds = holds or (await world.hold(1, 0, channel=TILL),)
    return placed(await desk.place(request(*holds, channel=TILL)))


async def sold_order(world: World, desk: OrderDesk, *holds: OrderHold) -> Order:
    order = await cash_order(world, desk, *holds)
    return paid(await desk.pay(order.id, "cash", "a", 100_000, operator="ada"))


async def order_unknown(world: World, desk: OrderDesk) -> object:
    return await desk.pay(NOBODY, "cash", "a", operator="ada")


async def order_closed(world: World, desk: OrderDesk) -> object:
    order = await cash_order(world, desk)
    placed(await desk.cancel(order.id))
    return await desk.pay(order.id, "cash", "a", ADULT, operator="ada")


async def mixed_currencies(world: World, desk: OrderDesk) -> object:
    return await desk.place(request(await world.hold(1, 0), await world.hold(3, 0)))


async def method_not_offered(world: World, desk: OrderDesk) -> object:
    order = placed(await desk.place(request(await world.hold(1, 0))))
    return await desk.pay(order.id, "cash", "a", ADULT, operator="ada")


async def part_not_offered(world: World, desk: OrderDesk) -> object:
    order = placed(await desk.place(request(await world.hold(1, 0))))
    return await desk.pay(order.id, "test_card", "a", amount=ADULT - 1)


async def more_than_due(world: World, desk: OrderDesk) -> object:
    order = await cash_order(world, desk)
    paid(await desk.pay(order.id, "cash", "b", 500, operator="ada", amount=500))
    return await desk.pay(order.id, "cheque", "c", 0, "77", "ada", ADULT - 499)


async def not_approved(world: World, desk: OrderDesk) -> object:
    order = placed(await desk.place(request(await world.hold(1, 0))))
    placed(await desk.reserve(order.id, Terms(TermsKind.ON_SITE), ""))
    return await desk.pay(order.id, "test_card", "a")


async def operator_missing(world: World, desk: OrderDesk) -> object:
    order = await cash_order(world, desk)
    return await desk.pay(order.id, "cash", "a", ADULT)


async def till_closed(world: World, desk: OrderDesk) -> object:
    order, nowhere = await cash_order(world, desk), AtTill(required=True)
    return await desk.pay(order.id, "cash", "a", ADULT, operator="ada", at_till=nowhere)


async def nothing_to_refund(world: World, desk: OrderDesk) -> object:
    order = await cash_order(world, desk)
    return await desk.refund(order.id, RefundRequest("r", (), "", "ada"))


async def line_not_sold(world: World, desk: OrderDesk) -> object:
    order = await sold_order(world, desk)
    return await desk.refund(order.id, RefundRequest("r", (2,), "", "ada"))


async def too_many_exchanges(world: World, desk: OrderDesk) -> object:
    order = await sold_order(world, desk)
    for number in range(MAX_EXCHANGES_PER_ORDER):
        hold = await world.hold(1, 1 - number % 2, channel=TILL)
        wanted = ExchangeRequest(f"x{number}", (number + 1,), hold, "ada")
        placed(await desk.exchange(order.id, wanted))
    hold = await world.hold(1, 1, channel=TILL)
    last = ExchangeRequest("one-too-many", (MAX_EXCHANGES_PER_ORDER + 1,), hold, "ada")
    return await desk.exchange(order.id, last)


async def not_one_performance(world: World, desk: OrderDesk) -> object:
    holds = [await world.hold(number, 0, channel=TILL) for number in (1, 2)]
    order = await sold_order(world, desk, *holds)
    hold = await world.hold(1, 1, channel=TILL)
    return await desk.exchange(order.id, ExchangeRequest("x", (1, 2), hold, "ada"))


async def printed(world: World, desk: OrderDesk) -> object:
    order = await sold_order(world, desk)
    placed(await desk.print_tickets(order.id, "p", (), "ada"))
    return await desk.refund(order.id, RefundRequest("u", (), "", "ada", unprinted=True))


async def too_many_reissues(world: World, desk: OrderDesk) -> object:
    order = await sold_order(world, desk)
    for number in range(MAX_REISSUES_PER_ORDER):
        placed(await desk.reissue(order.id, f"n{number}", (), "ada"))
    return await desk.reissue(order.id, "one-too-many", (), "ada")


async def more_than_value(world: World, desk: OrderDesk) -> object:
    order = await sold_order(world, desk)
    placed(await desk.refund(order.id, RefundRequest("r", operator="ada", amount=500)))
    return await desk.refund(order.id, RefundRequest("s", operator="ada", amount=ADULT - 499))


async def credit_of(world: World, desk: OrderDesk) -> str:
    """The code of a credit of ADULT, in euros."""
    order = await sold_order(world, desk, await world.hold(1, 7, channel=TILL))
    back = await desk.refund(order.id, RefundRequest("r", operator="ada", to_credit=True))
    return placed(back).refunds[0].card


async def credit_unknown(world: World, desk: OrderDesk) -> object:
    code = await credit_of(world, desk)
    order = await cash_order(world, desk, await world.hold(3, 0, channel=TILL))
    assert order.currency == "CHF"
    refused = await desk.pay(order.id, "store_credit", "a", reference=code)
    assert refused == await desk.pay(order.id, "store_credit", "b", reference="0" * 16)
    return refused


async def credit_too_small(world: World, desk: OrderDesk) -> object:
    code = await credit_of(world, desk)
    order = await cash_order(world, desk, await world.hold(1, 0, 1, channel=TILL))
    refused = await desk.pay(order.id, "store_credit", "a", reference=code, amount=ADULT + 1)
    assert refused == OrderRefused(DeskRefusal.CREDIT_TOO_SMALL, str(ADULT))
    return refused


async def credit_buys_no_credit(world: World, desk: OrderDesk) -> object:
    code = await credit_of(world, desk)
    hold = await world.hold(1, 0, channel=TILL)
    mixed = placed(await desk.place(gift_cards(5_000, baskets=(hold,))))
    more = await desk.pay(mixed.id, "store_credit", "a", reference=code, amount=ADULT + 1)
    assert more == OrderRefused(DeskRefusal.CREDIT_BUYS_NO_CREDIT, str(ADULT))
    await desk.cancel(mixed.id)
    order = placed(await desk.place(gift_cards(500)))
    return await desk.pay(order.id, "store_credit", "a", reference=code)


async def gift_card_spent(world: World, desk: OrderDesk) -> object:
    order = placed(await desk.place(gift_cards(ADULT)))
    order = paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada"))
    spent = await cash_order(world, desk)
    code = order.charges[0].card
    paid(await desk.pay(spent.id, "store_credit", "a", reference=code))
    undone = RefundRequest("u", (), "", "ada", unprinted=True)
    assert await desk.refund(order.id, undone) == OrderRefused(DeskRefusal.GIFT_CARD_SPENT)
    return await desk.refund(order.id, RefundRequest("r", (), "", "ada", gift_cards=(1,)))


async def give_money_back(world: World, desk: OrderDesk) -> object:
    order = await cash_order(world, desk)
    await world.lose(order, order.holds[0])
    return await desk.pay(order.id, "cash", "a", ADULT, operator="ada")


async def seats_lost(world: World, desk: OrderDesk) -> object:
    order = placed(await desk.place(request(await world.hold(1, 0))))
    await world.lose(order, order.holds[0])
    return await desk.pay(order.id, "test_card", "a")


CASES: dict[DeskRefusal, Callable[[World, OrderDesk], Awaitable[object]]] = {
    DeskRefusal.ORDER_UNKNOWN: order_unknown,
    DeskRefusal.ORDER_CLOSED: order_closed,
    DeskRefusal.MIXED_CURRENCIES: mixed_currencies,
    DeskRefusal.METHOD_NOT_OFFERED: method_not_offered,
    DeskRefusal.PART_NOT_OFFERED: part_not_offered,
    DeskRefusal.MORE_THAN_DUE: more_than_due,
    DeskRefusal.NOT_APPROVED: not_approved,
    DeskRefusal.OPERATOR_MISSING: operator_missing,
    DeskRefusal.TILL_CLOSED: till_closed,
    DeskRefusal.SEATS_LOST: seats_lost,
    DeskRefusal.GIVE_MONEY_BACK: give_money_back,
    DeskRefusal.NOTHING_TO_REFUND: nothing_to_refund,
    DeskRefusal.LINE_NOT_SOLD: line_not_sold,
    DeskRefusal.MORE_THAN_VALUE: more_than_value,
    DeskRefusal.TOO_MANY_EXCHANGES: too_many_exchanges,
    DeskRefusal.NOT_ONE_PERFORMANCE: not_one_performance,
    DeskRefusal.PRINTED: printed,
    DeskRefusal.TOO_MANY_REISSUES: too_many_reissues,
    DeskRefusal.CREDIT_UNKNOWN: credit_unknown,
    DeskRefusal.CREDIT_TOO_SMALL: credit_too_small,
    DeskRefusal.CREDIT_BUYS_NO_CREDIT: credit_buys_no_credit,
    DeskRefusal.GIFT_CARD_SPENT: gift_card_spent,
}
BY_STRIPE = {
    DeskRefusal.TOO_MANY_PAYMENTS,
    DeskRefusal.ATTEMPT_OVER,
    DeskRefusal.PAYMENT_REFUSED,
}
"""Tested below: they need the provider."""


def test_every_code_has_its_case_and_none_means_two_things() -> None:
    assert CASES.keys() | BY_STRIPE == set(DeskRefusal)
    codes = [code.value for each in (DeskRefusal, Refusal, PaymentRefusal) for code in each]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("code", CASES)
async def test_a_refusal_has_its_code_and_the_same_one_when_repeated(
    world: World, code: DeskRefusal
) -> None:
    desk = world.desk()
    refused = await CASES[code](world, desk)
    assert isinstance(refused, OrderRefused)
    assert refused.code == code.value
    for order in world.orders.all:
        if not order.waits:
            again = await desk.pay(order.id, "cash", "a", ADULT, operator="ada")
            if code in (DeskRefusal.GIVE_MONEY_BACK, DeskRefusal.ORDER_CLOSED):
                assert again == refused
    assert not [one for one in await world.violations() if "stuck" not in one]


async def test_refusals_by_the_provider(world: World) -> None:
    async with FakeStripe(now_s=lambda: world.now_ms // 1_000) as server:
        stripe = StripeGateway(server.api_key, server.webhook_secret, server.url)
        desk = world.desk(stripe=stripe)
        order = placed(await desk.place(request(await world.hold(1, 0))))
        server.fail_next(402, path="/v1/checkout/sessions", code="card_declined")
        refused = await desk.pay(order.id, "stripe", "a0")
        assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "card_declined")
        for number in range(1, MAX_PAYMENTS_PER_ORDER):
            opened = await desk.pay(order.id, "stripe", f"a{number}")
            assert isinstance(opened, tuple) and opened[1]
        refused = await desk.pay(order.id, "stripe", "one-too-many")
        assert refused == OrderRefused(DeskRefusal.TOO_MANY_PAYMENTS)
        refused = await desk.pay(order.id, "stripe", "a1")
        assert refused == OrderRefused(DeskRefusal.ATTEMPT_OVER)
        open_pages = [one for one in server.sessions.values() if one["status"] == "open"]
        assert len(open_pages) == 1, "a new attempt closes the page of the one before"
        await stripe.close()


# Codes of the engine and of payments, passed on --------------------------------------


async def test_a_request_of_no_sense_is_malformed_and_says_where(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0)
    line = hold.lines[0]
    good = request(hold)
    others = tuple(replace(hold, performance=each) for each in range(MAX_BASKETS_PER_ORDER + 1))
    for wrong, where in (
        (replace(good, id="short"), "id"),
        (replace(good, id=good.id[:-1] + "X"), "id"),
        (replace(good, id="/" * 32), "id"),
        (replace(good, baskets=()), "baskets"),
        (replace(good, baskets=(hold, hold)), "baskets"),
        (replace(good, baskets=others), "baskets"),
        (replace(good, baskets=(replace(hold, token="A" * 32),)), "token"),
        (replace(good, baskets=(replace(hold, lines=()),)), "lines"),
        (replace(good, baskets=(replace(hold, lines=(line,) * 101),)), "lines"),
        (replace(good, baskets=(replace(hold, lines=(Line(-1, 0, "child", 0),)),)), "quantity"),
        (replace(good, baskets=(replace(hold, lines=(Line(-1, 0, "child", 999),)),)), "quantity"),
        (replace(good, buyer=Buyer("Z" * 201)), "buyer"),
    ):
        refused = await desk.place(wrong)
        assert isinstance(refused, OrderRefused), wrong
        assert (refused.code, refused.detail.partition(":")[0]) == ("malformed", where)
    order = placed(await desk.place(good))
    for attempt in ("", "a" * 65, "é", "a b", "a_b", "١"):
        refused = await desk.pay(order.id, "test_card", attempt)
        assert isinstance(refused, OrderRefused) and refused.code == "malformed"
        refused = await desk.refund(order.id, RefundRequest(attempt, (), "", "ada"))
        assert isinstance(refused, OrderRefused) and refused.code == "malformed"
    refused = await desk.refund(order.id, RefundRequest("r", (), "r" * 201, "ada"))
    assert isinstance(refused, OrderRefused) and refused.code == "malformed"


async def test_an_id_stands_for_one_content(world: World) -> None:
    desk = world.desk()
    order = await sold_order(world, desk, await world.hold(1, 0, 1, channel=TILL))
    other = request(await world.hold(1, 2, channel=TILL), id=order.id, channel=TILL)
    for reused in (
        await desk.place(other),
        await desk.pay(order.id, "cash", "a", 1, operator="ada"),
        await desk.pay(order.id, "card_terminal", "a", reference="T1", operator="ada"),
    ):
        assert isinstance(reused, OrderRefused) and reused.code == "id_reused"
    placed(await desk.refund(order.id, RefundRequest("r", (1,), "", "ada")))
    reused = await desk.refund(order.id, RefundRequest("r", (2,), "", "ada"))
    assert isinstance(reused, OrderRefused) and reused.code == "id_reused"
    assert await world.violations() == []


async def test_the_engine_s_refusals_name_performance_and_seats(world: World) -> None:
    desk = world.desk()
    first, second = await world.hold(1, 0), await world.hold(2, 4)
    strange = replace(second, lines=(Line(5, -1, "adult"),))
    refused = await desk.place(request(first, strange))
    assert refused == OrderRefused("not_in_hold", "", 2, (5,))
    unsold = replace(second, lines=(Line(4, -1, "unheard-of"),))
    refused = await desk.place(request(first, unsold))
    assert refused == OrderRefused("no_price", "unheard-of", 2, (4,))
    assert world.orders.all == []
    freed = Hold(id_of(2**66), bytes.fromhex(first.token), "me", Channel.WEB, (1,))
    held = await world.ask(1, freed)
    assert type(held).__name__ == "Held", "the first hold is open again, not locked in payment"


@pytest.mark.parametrize(
    ("method", "given", "reference", "code"),
    [
        ("cash", ADULT - 1, "", PaymentRefusal.GIVEN_TOO_LITTLE),
        ("cash", -1, "", PaymentRefusal.GIVEN_TOO_LITTLE),
        ("card_terminal", 0, "  ", PaymentRefusal.REFERENCE_MISSING),
        ("card_terminal", 0, "R" * 65, PaymentRefusal.REFERENCE_TOO_LONG),
    ],
)
async def test_a_payment_that_cannot_be_is_refused_and_not_kept(
    world: World, method: str, given: int, reference: str, code: PaymentRefusal
) -> None:
    desk = world.desk()
    order = await cash_order(world, desk)
    refused = await desk.pay(order.id, method, "a", given, reference, "ada")
    assert refused == OrderRefused(code)
    assert await desk.get(order.id) == order
    paid(await desk.pay(order.id, "cash", "a", ADULT, operator="ada"))


async def test_too_many_orders_at_once_and_too_many_refunds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = world.desk()
    order = await sold_order(world, desk, await world.hold(1, 0, places=20, channel=TILL))
    waiting = placed(await desk.place(request(await world.hold(1, 1))))
    monkeypatch.setattr(desk_module, "MAX_OPEN_ORDERS", 1)
    assert await desk.place(request(await world.hold(1, 2))) == OrderRefused("busy")
    placed(await desk.cancel(waiting.id))
    placed(await desk.place(request(await world.hold(1, 3))))
    monkeypatch.setattr(after_sale, "MAX_REFUNDS_PER_ORDER", 2)
    assert MAX_REFUNDS_PER_ORDER > 2
    for number in (1, 2):
        placed(await desk.refund(order.id, RefundRequest(f"r{number}", (number,), "", "ada")))
    assert await desk.refund(order.id, RefundRequest("r3", (3,), "", "ada")) == OrderRefused(
        "too_many_refunds"
    )
    placed(await desk.refund(order.id, RefundRequest("r2", (), "", "ada")))


async def test_a_used_ticket_refuses_the_refund_of_every_performance(world: World) -> None:
    desk = world.desk()
    holds = (await world.hold(1, 0, channel=TILL), await world.hold(2, 3, 4, channel=TILL))
    order = await sold_order(world, desk, *holds)
    used = order.lines[2]
    await world.ask(2, Scan(id_of(2**64), "", "door", 2, used.ticket, 0, ScanMode.ADMIT))
    for lines in ((), (1, 3), (3,)):
        refused = await desk.refund(order.id, RefundRequest("r", lines, "", "ada"))
        assert refused == OrderRefused("ticket_used", str(used.ticket), 2, (used.seat,))
    assert await desk.get(order.id) == order, "nothing was undone, the first performance neither"
    placed(await desk.refund(order.id, RefundRequest("r2", (1, 2), "", "ada")))
    assert await world.violations() == []
