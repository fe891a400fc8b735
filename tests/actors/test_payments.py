"""Stripe's adapter and the real `stripe` package against the fake server, over loopback."""

import asyncio
import subprocess
import sys
import threading

import pytest
import stripe

from engine.actors import stripe_calls as adapter
from engine.actors.payments import StripeGateway
from engine.payments import (
    CheckoutLine,
    PaymentRefused,
    PaymentState,
    PaymentUnavailable,
    ProviderEventKind,
    RefundState,
    SessionStatus,
    begin_refund,
    on_provider_event,
    start_stripe,
    start_terminal,
    with_intent,
    with_session,
)
from tests.fakes.stripe_server import FakeStripe

STARTED_S = 1_800_000_000
LINES = (CheckoutLine("Parterre, plein tarif", 2500, 2),)


@pytest.fixture(autouse=True)
def quick_retries(monkeypatch):
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    monkeypatch.setattr("stripe._http_client.HTTPClient.MAX_DELAY", 0.01)


@pytest.fixture
async def server():
    async with FakeStripe(now_s=lambda: STARTED_S) as server:
        yield server


@pytest.fixture
async def gateway(server):
    gateway = StripeGateway(server.api_key, server.webhook_secret, server.url)
    yield gateway
    await gateway.close()


def payment(amount=5000, currency="EUR", attempt=1):
    return start_stripe("p1", "o1", attempt, amount, currency, 1_000)


def page(gateway, for_payment=None, lines=LINES, **changes):
    wanted = {
        "started_s": STARTED_S,
        "expires_s": STARTED_S + 600,
        "success_url": "http://127.0.0.1/o/o1?session={CHECKOUT_SESSION_ID}",
        "cancel_url": "http://127.0.0.1/o/o1",
        "language": "fr",
    }
    return gateway.create_checkout(for_payment or payment(), lines, **(wanted | changes))


async def paid(gateway, server, for_payment=None, lines=LINES):
    """A payment made on its page, and heard of."""
    for_payment = for_payment or payment()
    session = await page(gateway, for_payment, lines)
    server.pay(session.id)
    event = (await gateway.retrieve(session.id)).event()
    return on_provider_event(with_session(for_payment, session.id), event)[0]


async def test_a_page_says_what_is_bought_and_for_whom(gateway, server):
    session = await page(gateway)
    assert (session.status, session.paid) == (SessionStatus.OPEN, False)
    assert (session.amount, session.currency, session.payment) == (5000, "EUR", "p1")
    assert session.url == f"{server.url}/pay/{session.id}"
    assert session.event() is None
    form = server.sessions[session.id]["_form"]
    line = form["line_items"]["0"]
    assert (line["quantity"], line["price_data"]["unit_amount"]) == ("2", "2500")
    assert line["price_data"]["currency"] == "eur"
    assert line["price_data"]["product_data"]["name"] == "Parterre, plein tarif"
    assert form["locale"] == "fr"
    assert form["client_reference_id"] == "o1"
    assert form["adaptive_pricing"] == {"enabled": "false"}
    assert "sepa_debit" in form["excluded_payment_method_types"].values()


async def test_a_page_lives_as_long_as_stripe_demands(gateway):
    assert (await page(gateway)).expires_s == STARTED_S + 31 * 60


async def test_a_language_without_catalogue_is_left_to_the_browser(gateway, server):
    session = await page(gateway, language="br")
    assert server.sessions[session.id]["locale"] == "auto"


async def test_the_same_attempt_gets_the_same_page_and_the_next_another(gateway, server):
    first = await page(gateway)
    assert await page(gateway) == first
    second = await page(gateway, payment(attempt=2))
    assert second.id != first.id
    assert {key for _, _, key in server.requests} == {"checkout-o1-1", "checkout-o1-2"}


async def test_an_attempt_repeated_with_other_content_is_refused(gateway):
    await page(gateway)
    with pytest.raises(PaymentRefused) as refused:
        await page(gateway, success_url="http://127.0.0.1/elsewhere")
    assert refused.value.code == "idempotency"


async def test_lines_that_are_not_the_payment_never_reach_stripe(gateway, server):
    with pytest.raises(ValueError, match="order o1 add up to 2500, not to 5000"):
        await page(gateway, lines=(CheckoutLine("Parterre", 2500),))
    one_each = (CheckoutLine("Parterre", 100),) * 101
    with pytest.raises(ValueError, match=r"101 lines .* put equal places on one line"):
        await page(gateway, payment(10_100), one_each)
    assert server.requests == []


@pytest.mark.parametrize(
    ("currency", "amount", "sent"), [("ISK", 900, 90_000), ("UGX", 4000, 400_000), ("JPY", 80, 80)]
)
async def test_amounts_travel_in_stripes_units_and_come_back_in_ours(
    gateway, server, currency, amount, sent
):
    bought = (CheckoutLine("Parterre", amount),)
    made = await paid(gateway, server, payment(amount, currency), bought)
    assert server.sessions[made.reference]["amount_total"] == sent
    assert (made.captured, made.state) == (amount, PaymentState.PAID)
    refund = await gateway.refund(made, "r1", amount)
    assert (refund.amount, server.refunds[refund.refund_reference]["amount"]) == (amount, sent)


async def test_a_price_stripe_cannot_express_is_refused_before_asking(gateway, server):
    with pytest.raises(PaymentRefused, match=r"5124 .* KWD .* multiple of 10") as refused:
        await page(gateway, payment(5124, "KWD"), (CheckoutLine("Parterre", 5124),))
    assert refused.value.code == "amount_not_payable"
    assert server.requests == []


@pytest.mark.parametrize(
    ("currency", "amount", "units"),
    [("EUR", 1_500, 1_500), ("JPY", 1_500, 1_500), ("ISK", 1_500, 150_000), ("KWD", 1_510, 1_510)],
)
async def test_a_reader_is_asked_in_stripes_units_and_answers_in_ours(
    gateway, server, currency, amount, units
):
    reader = server.terminal.add_reader()
    payment = start_terminal("p1", "o1", 1, amount, currency, 1_000, reader)
    payment = with_intent(payment, await gateway.create_intent(payment))
    assert server.terminal.intents[payment.intent]["amount"] == units
    assert (await gateway.collect(payment)).kind is ProviderEventKind.PROCESSING
    server.terminal.present(reader)
    event = await gateway.collect(payment)
    assert (event.kind, event.amount, event.currency) == (ProviderEventKind.PAID, amount, currency)


async def test_a_reader_is_not_asked_for_what_stripe_cannot_express(gateway, server):
    payment = start_terminal("p1", "o1", 1, 1_511, "KWD", 1_000, "tmr_1")
    with pytest.raises(PaymentRefused) as refused:
        await gateway.create_intent(payment)
    assert refused.value.code == "amount_not_payable" and not server.requests


async def test_stripes_own_refusal_keeps_its_code(gateway):
    with pytest.raises(PaymentRefused) as refused:
        await page(gateway, payment(49), (CheckoutLine("Programme", 49),))
    assert refused.value.code == "amount_too_small"


async def test_a_paid_page_reports_its_payment(gateway, server):
    made = await paid(gateway, server)
    assert (made.state, made.captured, made.intent[:3]) == (PaymentState.PAID, 5000, "pi_")


async def test_a_page_with_a_slow_payment_is_not_paid_yet(gateway, server):
    session = await page(gateway)
    server.pay(session.id, settled=False)
    told = (await gateway.retrieve(session.id)).event()
    assert (told.kind, told.amount) == (ProviderEventKind.PROCESSING, 0)
    server.settle(session.id)
    assert (await gateway.retrieve(session.id)).event().kind is ProviderEventKind.PAID


async def test_an_expired_page_stays_expired(gateway):
    session = await page(gateway)
    for _ in range(2):
        ended = await gateway.expire(session.id)
        assert (ended.status, ended.url) == (SessionStatus.EXPIRED, "")
        assert ended.event().kind is ProviderEventKind.EXPIRED


async def test_expiring_a_page_that_was_paid_first_says_so(gateway, server):
    session = await page(gateway)
    server.pay(session.id)
    ended = await gateway.expire(session.id)
    assert (ended.status, ended.paid) == (SessionStatus.COMPLETE, True)
    assert ended.event().kind is ProviderEventKind.PAID


async def test_a_page_nobody_knows_is_refused(gateway):
    with pytest.raises(PaymentRefused) as refused:
        await gateway.expire("cs_test_unknown")
    assert refused.value.code == "resource_missing"


async def test_a_page_that_stripe_will_not_close_is_not_said_closed(gateway, server):
    session = await page(gateway)
    server.fail_next(400, path="/expire")
    with pytest.raises(PaymentRefused):
        await gateway.expire(session.id)


async def test_refunds_are_exact_and_made_once_per_key(gateway, server):
    made = await paid(gateway, server)
    for _ in range(2):
        event = await gateway.refund(made, "r1", 2000)
        assert (event.refund, event.amount) == ("r1", 2000)
        assert event.refund_state is RefundState.SUCCEEDED
    await gateway.refund(made, "r2", 3000)
    assert sorted(refund["amount"] for refund in server.refunds.values()) == [2000, 3000]


async def test_a_refund_is_not_made_again_after_stripe_forgot_its_key(gateway, server):
    made = await paid(gateway, server)
    first = await gateway.refund(made, "r1", 2000)
    server._answers.clear()  # a day has passed
    assert await gateway.refund(made, "r1", 2000) == first
    assert len(server.refunds) == 1


async def test_a_refund_follows_its_payment_through(gateway, server):
    server.refund_status = "pending"
    made = begin_refund(await paid(gateway, server), "r1", 5000)
    made, _ = on_provider_event(made, await gateway.refund(made, "r1", 5000))
    assert made.state is PaymentState.REFUND_PENDING
    server.move_refund(made.refunds[0].reference, "succeeded")
    made, _ = on_provider_event(made, await gateway.refund(made, "r1", 5000))
    assert (made.state, made.refunded) == (PaymentState.REFUNDED, 5000)


async def test_more_than_was_paid_is_refused(gateway, server):
    made = await paid(gateway, server)
    with pytest.raises(PaymentRefused, match="5001"):
        await gateway.refund(made, "r1", 5001)
    await gateway.refund(made, "r2", 5000)
    with pytest.raises(PaymentRefused) as refused:
        await gateway.refund(made, "r3", 1)
    assert refused.value.code == "charge_already_refunded"


async def test_a_payment_never_heard_of_cannot_be_refunded(gateway):
    with pytest.raises(ValueError, match="p1 has no PaymentIntent"):
        await gateway.refund(payment(), "r1", 100)


@pytest.mark.parametrize("status", [500, 503, 409, 429])
async def test_a_passing_fault_of_stripes_is_worth_asking_again(gateway, server, status):
    server.fail_next(status, times=1 + adapter.MAX_RETRIES)
    with pytest.raises(PaymentUnavailable):
        await page(gateway)
    server._faults.clear()  # 429 is not repeated by the package
    assert (await page(gateway)).status is SessionStatus.OPEN
    assert len(server.sessions) == 1


async def test_requests_are_repeated_a_bounded_number_of_times(gateway, server):
    server.fail_next(503, times=adapter.MAX_RETRIES)
    assert (await page(gateway)).status is SessionStatus.OPEN
    assert len(server.requests) == 1 + adapter.MAX_RETRIES


async def test_a_lost_answer_makes_no_second_page_and_no_second_refund(gateway, server):
    server.cut_next()
    made = await paid(gateway, server)
    assert len(server.sessions) == 1
    server.cut_next(path="/v1/refunds", times=2)  # one look, one refund
    await gateway.refund(made, "r1", 2000)
    assert len(server.refunds) == 1


async def test_when_every_answer_is_lost_asking_again_finds_what_was_made(gateway, server):
    made = await paid(gateway, server)
    await gateway.refund(made, "r0", 1)
    tries = 1 + adapter.MAX_RETRIES
    before = len(server.requests)
    server.cut_next(times=tries)
    with pytest.raises(PaymentUnavailable):
        await page(gateway, payment(attempt=2))
    assert len(server.requests) - before == tries
    assert (await page(gateway, payment(attempt=2))).status is SessionStatus.OPEN
    assert len(server.sessions) == 2


async def test_a_server_error_kept_under_the_key_ends_the_attempt(gateway, server):
    server.fail_next(500, stored=True)
    with pytest.raises(PaymentRefused) as refused:
        await page(gateway)
    assert refused.value.code == adapter.STUCK
    assert (await page(gateway, payment(attempt=2))).status is SessionStatus.OPEN


async def test_a_refund_that_left_before_stripes_error_is_found(gateway, server, monkeypatch):
    made = await paid(gateway, server)
    refund = server._refund

    def refund_then_break(*arguments):
        refund(*arguments)
        raise adapter_error

    server.fail_next(500, stored=True)
    adapter_error = server._faults.pop().error
    monkeypatch.setattr(server, "_refund", refund_then_break)
    event = await gateway.refund(made, "r1", 2000)
    assert (event.refund, event.refund_state) == ("r1", RefundState.SUCCEEDED)
    assert len(server.refunds) == 1


async def test_silence_is_bounded_per_request_and_in_all(server, monkeypatch):
    monkeypatch.setattr(adapter, "REQUEST_TIMEOUT_S", 0.05)
    gateway = StripeGateway(server.api_key, server.webhook_secret, server.url)
    server.hang_next(1, times=1 + adapter.MAX_RETRIES)
    with pytest.raises(PaymentUnavailable):
        await page(gateway)
    await gateway.close()
    patient = StripeGateway(server.api_key, server.webhook_secret, server.url)
    monkeypatch.setattr(patient._http, "_timeout", 5)
    monkeypatch.setattr(adapter, "CALL_TIMEOUT_S", 0.05)
    server.hang_next(1)
    with pytest.raises(PaymentUnavailable, match="did not answer in time"):
        await page(patient, payment(attempt=2))
    await patient.close()


async def test_an_answer_that_breaks_off_is_unavailable():
    async def half(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        writer.close()

    listener = await asyncio.start_server(half, "127.0.0.1", 0)
    host, port = listener.sockets[0].getsockname()
    gateway = StripeGateway("sk_test_fake", "whsec_fake", f"http://{host}:{port}")
    with pytest.raises(PaymentUnavailable, match="broke off"):
        await gateway.retrieve("cs_1")
    await gateway.close()
    listener.close()
    await listener.wait_closed()


async def test_nobody_listening_is_unavailable():
    gateway = StripeGateway("sk_test_x", "whsec_x", "http://127.0.0.1:9")
    with pytest.raises(PaymentUnavailable):
        await gateway.retrieve("cs_1")
    await gateway.close()


async def test_a_wrong_api_key_names_the_setting_and_not_the_key(server):
    gateway = StripeGateway("sk_test_mistyped", server.webhook_secret, server.url)
    with pytest.raises(PaymentRefused, match="configured API key") as refused:
        await gateway.retrieve("cs_1")
    assert "mistyped" not in str(refused.value)
    await gateway.close()


async def test_an_answer_that_is_not_stripes_is_unavailable(gateway, server):
    session = await page(gateway)
    server.sessions[session.id]["status"] = "unheard_of"
    with pytest.raises(PaymentUnavailable, match="unknown shape"):
        await gateway.retrieve(session.id)


async def test_calls_in_flight_are_bounded(gateway, server, monkeypatch):
    monkeypatch.setattr(adapter, "MAX_CALLS_IN_FLIGHT", 1)
    server.hang_next(0.2)
    first = asyncio.create_task(page(gateway))
    await asyncio.sleep(0.05)
    with pytest.raises(PaymentUnavailable, match="1 calls"):
        await page(gateway, payment(attempt=2))
    assert (await first).status is SessionStatus.OPEN
    assert (await page(gateway, payment(attempt=2))).status is SessionStatus.OPEN


async def test_the_loop_stays_free_and_no_thread_is_started_while_stripe_thinks(gateway, server):
    session = await page(gateway)
    threads = threading.active_count()
    server.hang_next(0.2)
    waiting = asyncio.create_task(gateway.retrieve(session.id))
    beats = 0
    while not waiting.done():
        await asyncio.sleep(0.01)
        beats += 1
        assert threading.active_count() == threads
    assert beats >= 10


def test_the_package_neither_reports_timings_nor_loads_ray():
    assert stripe.enable_telemetry is False
    code = "import sys, engine.actors.payments as p; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
