"""Webhooks: which are believed, and what a stream of doubled, late and reordered ones comes to."""

import json
import random
import re
from pathlib import Path

import pytest
import stripe
from aiohttp import web

from engine.actors import payments as adapter
from engine.actors.payments import StripeGateway
from engine.payments import (
    ActionKind,
    CheckoutLine,
    PaymentState,
    ProviderEventKind,
    RefundState,
    Standing,
    WebhookRejected,
    begin_refund,
    close,
    confirm,
    on_provider_event,
    start_stripe,
    with_session,
)
from tests.fakes.stripe_server import FakeStripe

NOW_S = 1_800_000_000
SECRET = "whsec_fake"


@pytest.fixture
def gateway():
    return StripeGateway("sk_test_fake", SECRET)  # never sends anything


def body(type="checkout.session.completed", **changes):
    session = {
        "id": "cs_1",
        "object": "checkout.session",
        "currency": "eur",
        "amount_total": 5000,
        "status": "complete",
        "payment_status": "paid",
        "expires_at": NOW_S,
        "payment_intent": "pi_1",
        "url": None,
        "metadata": {"strapontin_payment": "p1", "colour": "blue"},
    }
    event = {
        "id": "evt_1",
        "object": "event",
        "type": type,
        "api_version": "2026-10-28.endive",
        "data": {"object": session | changes},
    }
    return json.dumps(event).encode()


AT_READER = {"strapontin_payment": "p1", "strapontin_reader": "tmr_1"}


def signed(payload, at_s=NOW_S, secret=SECRET):
    return stripe.WebhookSignature.generate_signature_header(payload.decode(), secret, at_s)


def parsed(gateway, payload):
    return gateway.parse_webhook(payload, signed(payload), NOW_S)


def test_a_signed_webhook_tells_what_happened_to_which_payment(gateway):
    event = parsed(gateway, body())
    assert (event.kind, event.payment, event.id) == (ProviderEventKind.PAID, "p1", "evt_1")
    assert (event.amount, event.currency) == (5000, "EUR")
    assert (event.session, event.intent) == ("cs_1", "pi_1")


@pytest.mark.parametrize("distance_s", [-301, 301, 86_400])
def test_an_old_or_future_signature_is_rejected(gateway, distance_s):
    payload = body()
    with pytest.raises(WebhookRejected, match=r"signed .* s from now"):
        gateway.parse_webhook(payload, signed(payload, NOW_S + distance_s), NOW_S)


@pytest.mark.parametrize("distance_s", [-300, 0, 300])
def test_a_signature_within_the_tolerance_is_accepted(gateway, distance_s):
    payload = body()
    assert gateway.parse_webhook(payload, signed(payload, NOW_S + distance_s), NOW_S)


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "v1=00",
        f"t={NOW_S}",
        f"t={NOW_S},v1=",
        f"t={NOW_S},v0=" + "0" * 64,
        f"t={NOW_S},v1=" + "0" * 64,
        "t=now,v1=" + "0" * 64,
        "complete nonsense",
        signed(body(), secret="whsec_of_another"),
        signed(body() + b" "),
    ],
)
def test_a_signature_that_is_not_ours_is_rejected(gateway, signature):
    with pytest.raises(WebhookRejected, match="not signed with the configured secret"):
        gateway.parse_webhook(body(), signature, NOW_S)


def test_any_valid_signature_of_several_is_enough_while_a_secret_is_rolled(gateway):
    both = signed(body(), secret="whsec_old") + "," + signed(body()).partition(",")[2]
    assert gateway.parse_webhook(body(), both, NOW_S)


def test_a_second_time_does_not_make_an_old_signature_young(gateway):
    old = signed(body(), NOW_S - 400)
    with pytest.raises(WebhookRejected, match="400 s from now"):
        gateway.parse_webhook(body(), f"{old},t={NOW_S}", NOW_S)
    with pytest.raises(WebhookRejected, match="not signed"):
        gateway.parse_webhook(body(), f"t={NOW_S},{old}", NOW_S)


def test_a_body_that_is_not_text_is_rejected(gateway):
    with pytest.raises(WebhookRejected):
        gateway.parse_webhook(b"\xff\xfe", f"t={NOW_S},v1=00", NOW_S)


def test_an_oversized_body_is_rejected_before_its_signature_is_computed(gateway):
    payload = b" " * (adapter.MAX_WEBHOOK_BYTES + 1)
    with pytest.raises(WebhookRejected, match="bytes, over"):
        gateway.parse_webhook(payload, signed(payload), NOW_S)


@pytest.mark.parametrize(
    "payload",
    [
        b"[]",
        b"{}",
        b"null",
        b"not json",
        body(amount_total="5000"),
        body(amount_total=50.5),
        body(currency="euros"),
        body(status="half"),
    ],
)
def test_a_signed_body_of_another_shape_is_rejected_with_the_reason(gateway, payload):
    with pytest.raises(WebhookRejected, match="cannot be read"):
        parsed(gateway, payload)


@pytest.mark.parametrize(
    ("payload", "kind", "amount"),
    [
        (body(payment_status="unpaid"), ProviderEventKind.PROCESSING, 0),
        (body("checkout.session.async_payment_succeeded"), ProviderEventKind.PAID, 5000),
        (
            body("checkout.session.async_payment_failed", payment_status="unpaid"),
            *(ProviderEventKind.FAILED, 0),
        ),
        (
            body("checkout.session.expired", status="expired", payment_status="unpaid"),
            *(ProviderEventKind.EXPIRED, 0),
        ),
    ],
)
def test_each_end_of_a_session_has_its_kind(gateway, payload, kind, amount):
    event = parsed(gateway, payload)
    assert (event.kind, event.amount) == (kind, amount)


@pytest.mark.parametrize(
    "payload",
    [
        body("invoice.paid"),
        body("a.type.of.tomorrow"),
        body(metadata={}),
        body(metadata=None),
        body("charge.refunded", amount_captured=1, amount_refunded=1, metadata={}),
        body("refund.created", amount=1, payment_intent=None),
        body("payment_intent.succeeded"),  # of a payment page, which tells it itself
        body("terminal.reader.action_failed", action=None),
        body("terminal.reader.action_succeeded", action={"status": "succeeded"}),
    ],
)
def test_what_is_no_concern_of_ours_is_ignored(gateway, payload):
    assert parsed(gateway, payload) is None


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", RefundState.PENDING),
        ("requires_action", RefundState.PENDING),
        ("succeeded", RefundState.SUCCEEDED),
        ("failed", RefundState.FAILED),
        ("canceled", RefundState.FAILED),
        (None, RefundState.PENDING),
        ("a_status_of_tomorrow", RefundState.PENDING),
    ],
)
def test_each_status_of_a_refund_has_its_state(gateway, status, state):
    payload = body("refund.updated", id="re_1", amount=100, status=status, metadata={})
    event = parsed(gateway, payload)
    assert (event.refund_state, event.refund, event.payment) == (state, "re_1", "")


def why(**error):
    return {"last_payment_error": {"type": "card_error"} | error}


@pytest.mark.parametrize(
    ("status", "facts", "kind", "reason"),
    [
        ("succeeded", {"amount_received": 5000}, ProviderEventKind.PAID, ""),
        ("canceled", {}, ProviderEventKind.EXPIRED, ""),
        ("canceled", why(), ProviderEventKind.FAILED, "declined"),
        ("canceled", why(code="expired_card"), ProviderEventKind.FAILED, "expired_card"),
        (
            "canceled",
            why(code="card_declined", decline_code="insufficient_funds"),
            *(ProviderEventKind.FAILED, "insufficient_funds"),
        ),
        ("requires_payment_method", why(code="expired_card"), ProviderEventKind.PROCESSING, ""),
        ("processing", {}, ProviderEventKind.PROCESSING, ""),
        ("a_status_of_tomorrow", {}, ProviderEventKind.PROCESSING, ""),
    ],
)
def test_each_status_of_a_payment_at_a_reader(gateway, status, facts, kind, reason):
    payload = body("payment_intent.canceled", id="pi_1", status=status, metadata=AT_READER, **facts)
    event = parsed(gateway, payload)
    assert (event.kind, event.why) == (kind, reason)
    assert (event.payment, event.intent, event.session) == ("p1", "pi_1", "")
    assert event.amount == (5000 if kind is ProviderEventKind.PAID else 0)


@pytest.mark.parametrize(
    ("currency", "units", "amount"), [("jpy", 5000, 5000), ("isk", 500_000, 5000), ("kwd", 50, 50)]
)
def test_what_a_reader_took_is_counted_as_the_provider_counts(gateway, currency, units, amount):
    facts = {"currency": currency, "amount_received": units, "metadata": AT_READER}
    event = parsed(gateway, body("payment_intent.succeeded", status="succeeded", **facts))
    assert event.amount == amount


@pytest.mark.parametrize("intent", ["pi_7", {"id": "pi_7", "status": "x", "currency": "eur"}])
def test_what_a_reader_tells_is_where_to_look(gateway, intent):
    action = {"status": "failed", "process_payment_intent": {"payment_intent": intent}}
    event = parsed(gateway, body("terminal.reader.action_failed", action=action))
    assert (event.kind, event.intent, event.payment) == (ProviderEventKind.PROCESSING, "pi_7", "")


def test_every_notice_that_the_docs_ask_for_is_heeded(gateway):
    docs = (Path(__file__).resolve().parents[2] / "docs" / "payments.md").read_text("utf-8")
    asked = re.findall(r"^- `([a-z_.]+)`$", docs, re.MULTILINE)
    assert len(asked) == 13
    facts = {"amount": 1, "amount_captured": 5000, "amount_refunded": 1, "metadata": AT_READER}
    facts["action"] = {"status": "failed", "process_payment_intent": {"payment_intent": "pi_1"}}
    for type in asked:
        assert parsed(gateway, body(type, **facts)), type


class Desk:
    """The receiving end: one payment, the order desk's part of its actions, a webhook route."""

    def __init__(self):
        self.payment = start_stripe("p1", "o1", 1, 5000, "EUR", 1_000)
        self.seats_held = True
        self.gateway = None  # set by the fixture
        self.late_refunds = 0
        self.away = 0  # notices to answer with an error first

    async def webhook(self, request):
        if self.away:
            self.away -= 1
            return web.Response(status=503)
        try:
            event = self.gateway.parse_webhook(
                await request.read(), request.headers.get("Stripe-Signature", ""), NOW_S
            )
        except WebhookRejected as rejected:
            return web.Response(status=400, text=str(rejected))
        if event is not None:
            await self.hear(event)
        return web.Response()

    async def hear(self, event):
        self.payment, actions = on_provider_event(self.payment, event)
        for action in actions:
            await self.act(action)

    async def act(self, action):
        if action.kind is ActionKind.CONFIRM_ORDER and self.seats_held:
            self.payment = confirm(self.payment)
        elif action.kind in (ActionKind.CONFIRM_ORDER, ActionKind.RELEASE_ORDER):
            await self.give_up()
        elif action.kind is ActionKind.REFUND_LATE_PAYMENT:
            await self.refund_late(action.amount)

    async def give_up(self):
        self.payment = close(self.payment)
        if self.payment.kept:
            await self.refund_late(self.payment.kept)

    async def refund_late(self, amount):
        self.late_refunds += 1
        self.payment = begin_refund(self.payment, "late", amount)
        await self.hear(await self.gateway.refund(self.payment, "late", amount))


@pytest.fixture
async def desk():
    desk = Desk()
    app = web.Application()
    app.router.add_post("/webhook", desk.webhook)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk.url = f"http://127.0.0.1:{runner.addresses[0][1]}/webhook"
    yield desk
    await runner.cleanup()


@pytest.fixture
async def server(desk):
    async with FakeStripe(webhook_url=desk.url, now_s=lambda: NOW_S) as server:
        desk.gateway = StripeGateway(server.api_key, server.webhook_secret, server.url)
        yield server
        await desk.gateway.close()


async def opened(desk):
    session = await desk.gateway.create_checkout(
        desk.payment,
        (CheckoutLine("Parterre", 5000),),
        started_s=NOW_S,
        expires_s=NOW_S + 900,
        success_url="http://127.0.0.1/o",
        cancel_url="http://127.0.0.1/o",
        language="fr",
    )
    desk.payment = with_session(desk.payment, session.id)
    return session.id


async def test_a_payment_makes_its_order_through_the_webhook(desk, server):
    server.pay(await opened(desk))
    await server.drained()
    assert desk.payment.standing is Standing.CONFIRMED
    assert server.deliveries == [("checkout.session.completed", 200)]


async def test_every_notice_three_times_and_late_makes_one_order_and_one_refund(desk, server):
    server.webhooks.copies, server.webhooks.delay_s = 3, 0.02
    session = await opened(desk)
    desk.seats_held = False
    server.pay(session)
    await server.drained()
    assert desk.late_refunds == 1
    assert len(server.refunds) == 1
    assert (desk.payment.state, desk.payment.refunded) == (PaymentState.REFUNDED, 5000)
    assert len(server.deliveries) == 3 * len(server.events)
    assert {status for _, status in server.deliveries} == {200}


async def test_a_hold_that_ends_expires_its_page_and_a_payment_just_before_goes_back(desk, server):
    session = await opened(desk)
    server.webhooks.held = True
    server.pay(session)  # the notice is on its way
    desk.seats_held = False
    await desk.give_up()
    await desk.hear((await desk.gateway.expire(session)).event())
    assert (desk.late_refunds, desk.payment.state) == (1, PaymentState.REFUNDED)
    server.webhooks.held = False
    server.release()
    await server.drained()
    assert (desk.late_refunds, desk.payment.refunded) == (1, 5000)


@pytest.mark.parametrize("seed", range(12))
async def test_a_whole_life_told_in_any_order_is_the_same_life(desk, server, seed):
    server.webhooks.held = True
    server.refund_status = "pending"
    session = await opened(desk)
    server.pay(session, settled=False)
    server.settle(session)
    desk.payment = begin_refund(await heard(desk, session), "r1", 2000)
    await desk.gateway.refund(desk.payment, "r1", 2000)  # the answer is lost on the way back
    server.move_refund(next(iter(server.refunds)), "succeeded")
    by_hand = server.refund_by_hand(session, 500)
    server.move_refund(by_hand, "succeeded")
    server.move_refund(by_hand, "failed")
    told = random.Random(seed)
    server.release(lambda events: told.sample(events * 2, len(events) * 2))
    await server.drained()
    after = desk.payment
    assert (after.state, after.captured) == (PaymentState.PAID, 5000)
    assert (after.refunded, after.refund_pending, after.kept) == (2000, 0, 3000)
    assert {status for _, status in server.deliveries} == {200}


async def heard(desk, session):
    """The payment confirmed from what the page says, before any webhook."""
    await desk.hear((await desk.gateway.retrieve(session)).event())
    return desk.payment


async def test_when_no_notice_ever_comes_the_page_itself_tells(desk, server):
    server.webhooks.dropped.add("checkout.session.completed")
    session = await opened(desk)
    server.pay(session)
    await server.drained()
    assert (server.deliveries, desk.payment.state) == ([], PaymentState.PENDING)
    assert (await heard(desk, session)).standing is Standing.CONFIRMED


async def test_a_notice_that_is_not_taken_is_sent_again(desk, server):
    desk.away = 2
    server.pay(await opened(desk))
    await server.drained()
    assert [status for _, status in server.deliveries] == [503, 503, 200]
    assert desk.payment.standing is Standing.CONFIRMED
