"""Orders paid on Stripe's page: every way in which its news can be late, lost, doubled or bad."""

import asyncio
import json
import random
from collections.abc import AsyncIterator

import pytest

from engine.actors import NotReady, order_keeper
from engine.actors import desk as desk_module
from engine.commands import Command, Outcome, Sell
from engine.orders import (
    DeskRefusal,
    ExchangeRequest,
    OrderRefused,
    OrderState,
    RefundRequest,
)
from engine.payments import PaymentState, RefundState, Standing, WebhookRejected
from engine.performance import Performance
from engine.settings import Fee, FeeKind, FeePer
from tests.actors.desks import ADULT, PLAN, World, paid, placed, request, settings
from tests.actors.shops import Shop, shop_of
from tests.fakes.stripe_server import FakeStripe

PATIENCE_S = order_keeper.PATIENCE_MS / 1_000


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "SWEEP_S", 0.005)
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    monkeypatch.setattr("stripe._http_client.HTTPClient.MAX_DELAY", 0.01)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


@pytest.fixture
async def shop(world: World) -> AsyncIterator[Shop]:
    async with shop_of(world, Shop) as shop:
        yield shop


# Paying ----------------------------------------------------------------------------


async def test_a_page_is_paid_and_told_three_times_and_late(world: World, shop: Shop) -> None:
    shop.server.webhooks.copies, shop.server.webhooks.delay_s = 3, 0.01
    order, session = await shop.bought(0, 1)
    page = shop.server.sessions[session]
    assert page["success_url"] == f"http://127.0.0.1:8080/o/{order.id}"
    assert (page["amount_total"], page["locale"]) == (2 * ADULT, "fr")
    assert shop.kept(session) == 2 * ADULT
    assert order.payments[0].standing is Standing.CONFIRMED
    assert {status for _, status in shop.server.deliveries} == {200}
    assert len(world.orders.events) == 1, "each notice is kept once"
    assert paid(await shop.desk.pay(order.id, "stripe", "a")) == order


async def test_the_same_attempt_leads_to_the_same_page(shop: Shop) -> None:
    order = await shop.order()
    assert await shop.page(order) == await shop.page(order)
    assert len(shop.server.sessions) == 1
    placed(await shop.desk.cancel(order.id))


async def test_an_answer_that_was_lost_is_asked_again_in_the_same_words(shop: Shop) -> None:
    order = await shop.order()
    shop.server.cut_next(path="/v1/checkout/sessions", times=3)
    with pytest.raises(NotReady):
        await shop.desk.pay(order.id, "stripe", "a")
    shop.world.pass_s(60)
    session = await shop.page(order)
    assert list(shop.server.sessions) == [session]
    placed(await shop.desk.cancel(order.id))


async def test_words_that_changed_meanwhile_need_another_attempt(world: World, shop: Shop) -> None:
    """The title of a performance is part of what was asked."""
    order = await shop.order()
    shop.server.cut_next(path="/v1/checkout/sessions", times=3)
    with pytest.raises(NotReady):
        await shop.desk.pay(order.id, "stripe", "a")

    async def renamed(performance: int) -> str:
        return "Another title"

    world.title = renamed  # type: ignore[method-assign]
    await shop.restart()
    refused = await shop.desk.pay(order.id, "stripe", "a")
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "idempotency")
    shop.server.pay(await shop.page(order, "b"))
    await shop.until(order, OrderState.PAID)


async def test_a_title_that_cannot_be_read_delays(world: World, shop: Shop) -> None:
    async def away(performance: int) -> str:
        raise ConnectionError("the database is down")

    title, world.title = world.title, away  # type: ignore[method-assign]
    await shop.restart()
    order = await shop.order()
    with pytest.raises(NotReady):
        await shop.desk.pay(order.id, "stripe", "a")
    world.title = title  # type: ignore[method-assign]
    await shop.restart()
    placed(await shop.desk.cancel((await shop.until(order, OrderState.OPEN)).id))


async def test_a_lost_webhook_is_made_up_for_by_asking_for_the_page(shop: Shop) -> None:
    shop.server.webhooks.url = None
    order = await shop.order()
    shop.server.pay(await shop.page(order))
    assert paid(await shop.desk.pay(order.id, "stripe", "a")).state is OrderState.PAID


async def test_a_lost_webhook_is_found_out_when_the_order_ends(world: World, shop: Shop) -> None:
    """The page is closed a little before the holds end, so that what was paid can be sold."""
    shop.server.webhooks.url = None
    order = await shop.order()
    session = await shop.page(order)
    world.now_ms = order.expires_ms - 1_000
    shop.server.pay(session)
    world.now_ms = order.expires_ms
    await shop.until(order, OrderState.PAID)
    assert shop.kept(session) == ADULT


async def test_a_page_that_nobody_pays_ends_with_its_order(world: World, shop: Shop) -> None:
    order = await shop.order()
    session = await shop.page(order)
    world.now_ms = order.expires_ms
    await shop.until(order, OrderState.EXPIRED)
    assert shop.server.sessions[session]["status"] == "expired"


async def test_a_page_that_ended_needs_another_attempt(shop: Shop) -> None:
    order = await shop.order()
    shop.server.webhooks.url = None
    shop.server.time_out(await shop.page(order))
    for _ in range(2):
        refused = await shop.desk.pay(order.id, "stripe", "a")
        assert refused == OrderRefused(DeskRefusal.ATTEMPT_OVER)
    shop.server.pay(await shop.page(order, "b"))
    assert paid(await shop.desk.pay(order.id, "stripe", "b"))


async def test_seats_lost_while_the_buyer_paid(world: World, shop: Shop) -> None:
    order = await shop.order()
    session = await shop.page(order)
    await world.lose(order, order.holds[0])
    shop.server.pay(session)
    await shop.until(order, OrderState.REFUNDED)
    assert shop.kept(session) == 0
    refused = await shop.desk.pay(order.id, "stripe", "a")
    assert refused == OrderRefused(DeskRefusal.SEATS_LOST)


async def test_another_sum_than_asked_goes_back_and_the_order_waits_on(shop: Shop) -> None:
    order = await shop.order()
    session = await shop.page(order)
    shop.server.sessions[session]["amount_total"] = ADULT - 100
    shop.server.pay(session)
    await shop.server.drained()
    assert shop.kept(session) == 0
    assert (await shop.until(order, OrderState.OPEN)).paid == 0
    shop.server.pay(await shop.page(order, "b"))
    await shop.until(order, OrderState.PAID)


async def test_a_new_attempt_that_finds_the_last_one_paid(shop: Shop) -> None:
    shop.server.webhooks.url = None
    order = await shop.order()
    shop.server.pay(await shop.page(order))
    sold = paid(await shop.desk.pay(order.id, "stripe", "b"))
    assert (sold.state, len(sold.payments)) == (OrderState.PAID, 1)


def refuse_to_expire(server: FakeStripe) -> None:
    """Stripe can neither close the page nor tell us that it ended."""
    server.fail_next(400, path="/expire", code="strange")


@pytest.mark.parametrize("first", [0, 1])
async def test_two_pages_both_paid_sell_once_and_pay_one_back(shop: Shop, first: int) -> None:
    order = await shop.order()
    sessions = [await shop.page(order, "a")]
    refuse_to_expire(shop.server)
    sessions.append(await shop.page(order, "b"))
    shop.server.webhooks.held = True
    for session in sessions:
        shop.server.pay(session)
    shop.server.release(lambda events: events[::-1] if first else events)
    shop.server.webhooks.held = False
    await shop.server.drained()
    await shop.until(order, OrderState.PAID)
    assert [shop.kept(session) for session in sessions] == [0, ADULT]


# Giving up -------------------------------------------------------------------------


async def test_a_cancel_that_comes_after_the_payment_is_refused(shop: Shop) -> None:
    shop.server.webhooks.held = True
    order = await shop.order()
    shop.server.pay(await shop.page(order))
    refused = await shop.desk.cancel(order.id)
    assert refused == OrderRefused(DeskRefusal.ORDER_CLOSED, "paid")
    shop.server.release()


async def test_a_cancel_that_comes_first_leaves_nothing_to_pay(shop: Shop) -> None:
    order = await shop.order()
    session = await shop.page(order)
    assert placed(await shop.desk.cancel(order.id)).state is OrderState.CANCELLED
    with pytest.raises(ValueError, match="expired"):
        shop.server.pay(session)


@pytest.mark.parametrize("seed", range(4))
async def test_cancel_and_payment_at_once_come_to_one_end(shop: Shop, seed: int) -> None:
    order = await shop.order()
    session = await shop.page(order)
    shop.server.pay(session)
    steps = [
        shop.desk.cancel(order.id),
        shop.desk.pay(order.id, "stripe", "a"),
        shop.desk.pay(order.id, "stripe", "b"),
    ]
    random.Random(seed).shuffle(steps)
    await asyncio.gather(*steps)
    await shop.server.drained()
    await shop.until(order, OrderState.PAID)


async def test_stripe_away_delays_the_cancel(world: World, shop: Shop) -> None:
    order = await shop.order()
    await shop.page(order)
    shop.server.fail_next(500, path="/expire", times=3)
    with pytest.raises(NotReady):
        await shop.desk.cancel(order.id)
    assert (await shop.desk.get(order.id)) == await shop.until(order, OrderState.OPEN)
    placed(await shop.desk.cancel(order.id))


async def test_money_for_an_order_that_was_given_up_goes_back(shop: Shop) -> None:
    order = await shop.order()
    session = await shop.page(order)
    refuse_to_expire(shop.server)
    assert placed(await shop.desk.cancel(order.id)).state is OrderState.CANCELLED
    shop.server.pay(session)
    await shop.until(order, OrderState.REFUNDED)
    assert shop.kept(session) == 0
    states = [one.state.value for one in shop.world.orders.history(order.id)]
    assert list(dict.fromkeys(states)) == ["open", "cancelled", "failed", "refunded"]


async def test_a_house_that_has_taken_stripe_away_lets_its_orders_end(
    world: World, shop: Shop
) -> None:
    order = await shop.order()
    session = await shop.page(order)
    other, _ = await shop.bought(1)
    await shop.restart(stripe=None)
    refused = await shop.desk.pay(order.id, "stripe", "a")
    assert refused == OrderRefused(DeskRefusal.METHOD_NOT_OFFERED, "stripe")
    back = placed(await shop.desk.refund(other.id, RefundRequest("r", (), "", "ada")))
    assert back.payments[0].state is PaymentState.REFUND_PENDING
    shop.server.pay(session)
    await shop.server.drained()
    world.now_ms = order.expires_ms
    await shop.until(order, OrderState.EXPIRED)
    await shop.restart()
    await shop.desk.webhook(*told(shop))
    await shop.until(order, OrderState.REFUNDED)
    world.pass_s(PATIENCE_S)
    await shop.until(other, OrderState.REFUNDED, finished=True)


# Refunds ---------------------------------------------------------------------------


async def test_a_refund_of_a_line_and_of_the_rest(shop: Shop) -> None:
    order, session = await shop.bought(0, 1, 2)
    part = placed(await shop.desk.refund(order.id, RefundRequest("r1", (2,), "ill", "ada")))
    assert (part.state, part.paid, shop.kept(session)) == (
        *(OrderState.PART_REFUNDED, 2 * ADULT),
        2 * ADULT,
    )
    rest = placed(await shop.desk.refund(order.id, RefundRequest("r2", (), "ill", "ada")))
    assert (rest.state, rest.paid, shop.kept(session)) == (OrderState.REFUNDED, 0, 0)
    again = placed(await shop.desk.refund(order.id, RefundRequest("r1", (2,), "ill", "ada")))
    assert again.refunds == rest.refunds
    assert len(shop.server.refunds) == 2


@pytest.mark.parametrize("fault", ["away", "cut"])
async def test_a_refund_that_stripe_does_not_answer_is_asked_again(
    world: World, shop: Shop, fault: str
) -> None:
    order, session = await shop.bought()
    if fault == "cut":
        shop.server.cut_next(path="/v1/refunds", times=6)
    else:
        shop.server.fail_next(503, path="/v1/refunds", times=6)
    back = placed(await shop.desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert back.state is OrderState.REFUNDED, "the tickets have ended; the money follows"
    assert back.payments[0].state is PaymentState.REFUND_PENDING
    assert not back.finished
    for _ in range(3):
        world.pass_s(PATIENCE_S)
        await asyncio.sleep(0.2)
    stored = await world.orders.get(order.id)
    assert stored is not None and stored.payments[0].state is PaymentState.REFUNDED
    assert (shop.kept(session), len(shop.server.refunds)) == (0, 1)


async def test_a_refund_that_takes_days_and_comes_back(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order, session = await shop.bought()
    shop.server.refund_status = "pending"
    back = placed(await shop.desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert back.payments[0].refunds[0].state is RefundState.PENDING
    assert back.finished, "what is left is the bank's"
    [refund] = shop.server.refunds
    shop.server.move_refund(refund, "failed")
    await shop.server.drained()
    assert "pay it by hand" in caplog.text
    stored = await shop.world.orders.get(order.id)
    assert stored is not None
    assert (stored.state, stored.paid) == (OrderState.REFUNDED, ADULT)
    shop.server.refund_status = "succeeded"
    shop.server.refund_by_hand(session, ADULT)  # somebody heeds the log


async def test_a_refund_that_is_refused_is_told_to_people(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order, session = await shop.bought()
    shop.server.fail_next(400, path="/v1/refunds", code="expired_card")
    back = placed(await shop.desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert back.payments[0].refunds[0].state is RefundState.FAILED
    assert "pay it back by hand" in caplog.text
    assert back.finished
    shop.server.refund_by_hand(session, ADULT)


async def test_what_bounced_is_not_sent_again_with_the_next_refund(shop: Shop) -> None:
    """A person was told to hand it back: with the next refund it would go back twice."""
    order, session = await shop.bought(0, 1, 2)
    placed(await shop.desk.refund(order.id, RefundRequest("r1", (1,), "", "ada")))
    [refund] = shop.server.refunds
    shop.server.move_refund(refund, "failed")  # the bank returns it days later
    await shop.server.drained()
    back = placed(await shop.desk.refund(order.id, RefundRequest("r2", (2,), "", "ada", fee=100)))
    assert [(one.key, one.amount) for one in back.payments[0].refunds] == [
        ("r1", ADULT),
        ("r2", ADULT - 100),
    ]
    # Nor does it become a credit, or pay for an exchange.
    kept = placed(
        await shop.desk.refund(order.id, RefundRequest("r3", (), "", "ada", 500, to_credit=True))
    )
    [credit] = [one.amount for one in kept.charges if one.card]
    assert credit == 500
    hold = await shop.world.hold(1, 5, 6)
    asked = ExchangeRequest("x", (3,), hold)
    waits = placed(await shop.desk.exchange(order.id, asked))
    assert waits.due == ADULT
    placed(await shop.desk.cancel(order.id, "x"))
    shop.server.refund_by_hand(session, ADULT)  # somebody heeds the log
    await shop.server.drained()
    stored = placed(await shop.desk.get(order.id))
    assert (stored.paid, stored.due) == (ADULT + 100, 0)


async def test_a_late_payment_that_cannot_go_back_waits_for_a_person(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order = await shop.order()
    session = await shop.page(order)
    refuse_to_expire(shop.server)
    placed(await shop.desk.cancel(order.id))
    shop.server.fail_next(400, path="/v1/refunds", code="expired_card")
    shop.server.pay(session)
    stored = await shop.until(order, OrderState.FAILED)
    await shop.server.drained()
    assert "pay it back by hand" in caplog.text
    stored = await shop.until(order, OrderState.FAILED)
    assert stored.finished and stored.paid == ADULT
    shop.server.refund_by_hand(session, ADULT)
    await shop.until(order, OrderState.REFUNDED)


async def test_a_refund_in_stripe_s_own_pages_keeps_the_tickets(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order, session = await shop.bought(0, 1)
    shop.server.refund_by_hand(session, 500)
    await shop.server.drained()
    stored = await shop.until(order, OrderState.PAID)
    assert (stored.paid, len(stored.lines)) == (2 * ADULT - 500, 2)
    assert "its tickets stay valid until they are refunded here" in caplog.text
    back = placed(await shop.desk.refund(order.id, RefundRequest("r", (), "", "ada")))
    assert (back.paid, shop.kept(session)) == (0, 0), "no cent is given twice"


@pytest.mark.parametrize("seed", range(6))
async def test_a_whole_life_told_in_any_order_ends_the_same(shop: Shop, seed: int) -> None:
    shop.server.webhooks.held = True
    shop.server.refund_status = "pending"
    order = await shop.order(0, 1)
    session = await shop.page(order)
    shop.server.pay(session)
    paid(await shop.desk.pay(order.id, "stripe", "a"))
    placed(await shop.desk.refund(order.id, RefundRequest("r", (1,), "", "ada")))
    [refund] = shop.server.refunds
    shop.server.move_refund(refund, "succeeded")
    by_hand = shop.server.refund_by_hand(session, 300)
    shop.server.move_refund(by_hand, "failed")
    told = random.Random(seed)
    shop.server.release(lambda events: told.sample(events * 2, len(events) * 2))
    await shop.server.drained()
    stored = await shop.until(order, OrderState.PART_REFUNDED)
    assert stored.paid == ADULT == shop.kept(session)
    assert {status for _, status in shop.server.deliveries} == {200}


# Webhooks --------------------------------------------------------------------------


async def test_what_stripe_did_not_sign_is_rejected(world: World, shop: Shop) -> None:
    with pytest.raises(WebhookRejected):
        await shop.desk.webhook(b"{}", "t=1,v1=00")
    with pytest.raises(WebhookRejected, match="no payment provider"):
        await (await shop.restart(stripe=None)).webhook(b"{}", "")
    assert world.orders.events == {}


def told(shop: Shop, **changes: object) -> tuple[bytes, str]:
    """A signed notice like the last one, with some of its facts changed."""
    event = json.loads(json.dumps(shop.server.events[-1]))
    event["id"] = "evt_changed"
    event["data"]["object"] |= changes
    payload = json.dumps(event).encode()
    return payload, shop.server.sign(payload)


async def test_notices_of_no_use_are_taken_and_change_nothing(
    world: World, shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    order, _ = await shop.bought()
    stranger = {"strapontin_payment": f"{'e' * 32}-a"}
    await shop.desk.webhook(*told(shop, metadata=stranger))
    assert "unknown order" in caplog.text
    another = {"strapontin_payment": f"{order.id}-z"}
    await shop.desk.webhook(*told(shop, metadata=another, payment_intent="pi_of_another"))
    assert "no payment for provider event" in caplog.text
    await shop.desk.webhook(*told(shop, id="cs_of_another"))
    assert "contradicts what is known" in caplog.text
    assert await shop.desk.get(order.id) == order


async def test_a_notice_is_only_taken_once_it_is_saved(world: World, shop: Shop) -> None:
    order = await shop.order()
    session = await shop.page(order)
    world.orders.down = True
    shop.server.pay(session)
    await asyncio.sleep(0.05)
    world.orders.down = False
    await shop.server.drained()
    statuses = [status for _, status in shop.server.deliveries]
    assert statuses[0] == 503 and statuses[-1] == 200
    await shop.until(order, OrderState.PAID)


async def test_a_notice_is_taken_though_the_seats_cannot_be_sold_yet(
    world: World, shop: Shop
) -> None:
    silent = True

    async def ask(performance: int, command: Command) -> Outcome:
        if silent and isinstance(command, Sell):
            raise NotReady("nobody answers")
        return await world.ask(performance, command)

    await shop.restart(ask=ask)
    order = await shop.order()
    shop.server.pay(await shop.page(order))
    await shop.server.drained()
    assert shop.server.deliveries == [("checkout.session.completed", 200)]
    await shop.until(order, OrderState.SELLING)
    silent = False
    world.pass_s(PATIENCE_S)
    await shop.until(order, OrderState.PAID)


def amounts(shop: Shop, session: str) -> list[int]:
    """What the page of a session says each of its lines costs."""
    lines = shop.server.sessions[session]["_form"]["line_items"].values()
    return [int(line["price_data"]["unit_amount"]) for line in lines]


async def test_a_page_is_of_what_is_due_with_fees_and_after_a_credit(shop: Shop) -> None:
    fees = (
        Fee("seat", {"en": "Seat"}, FeeKind.SERVICE, 150),
        Fee("order", {"en": "Order"}, FeeKind.SERVICE, 99, per=FeePer.ORDER),
        Fee("borne", {"en": "Borne"}, FeeKind.SERVICE, 30, absorbed=True),
    )
    for number in (1, 2):
        shop.world.cores[number] = Performance(number, PLAN, settings(fees=fees))
    holds = (await shop.world.hold(1, 0), await shop.world.hold(2, 1, 2))
    order = placed(await shop.desk.place(request(*holds)))
    session = await shop.page(order)
    assert amounts(shop, session) == [ADULT + 150 + 99, 2 * (ADULT + 150)]
    other, _ = await shop.bought(7)
    to_credit = RefundRequest("r", (), "", "ada", to_credit=True)
    code = placed(await shop.desk.refund(other.id, to_credit)).refunds[0].card
    part = paid(await shop.desk.pay(order.id, "store_credit", "c", 0, code))
    session = await shop.page(part, "b")
    assert amounts(shop, session) == [part.due] == [order.total - other.total]
    shop.server.pay(session)
    await shop.server.drained()
    whole = await shop.until(order, OrderState.PAID)
    # A dearer place of the other performance: the difference alone.
    wanted = ExchangeRequest("x", (1,), await shop.world.hold(2, 5, 6))
    asked = placed(await shop.desk.exchange(whole.id, wanted))
    session = await shop.page(asked, "d")
    assert amounts(shop, session) == [asked.due] == [ADULT + 150]
    shop.server.pay(session)
    await shop.server.drained()
    await shop.until(order, OrderState.EXCHANGED)
