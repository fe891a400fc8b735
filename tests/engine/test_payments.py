"""Payments made by hand, refunds, and what is due: one row a case."""

from itertools import chain
from pathlib import Path

import pytest

from engine.commands import Channel
from engine.payments import (
    MAX_REFUNDS_PER_PAYMENT,
    MAX_SESSION_S,
    MIN_SESSION_S,
    TILL_METHODS,
    Action,
    ActionKind,
    PaymentMethod,
    PaymentRefusal,
    PaymentState,
    ProviderEvent,
    ProviderEventKind,
    ProviderMismatchError,
    RefundState,
    Standing,
    begin_refund,
    close,
    confirm,
    due_actions,
    fail_refund,
    methods,
    on_provider_event,
    pay_by_reference,
    pay_by_test_card,
    pay_cash,
    session_expiry_s,
    start_stripe,
    with_session,
)

P, ORDER = "p1", "o1"
CONFIRM = Action(ActionKind.CONFIRM_ORDER)


def cash(amount=5000):
    return pay_cash(P, ORDER, amount, "EUR", amount)


def stripe_paid(amount=5000, **event):
    payment = start_stripe(P, ORDER, 1, amount, "EUR", 1_000)
    paid = ProviderEvent(ProviderEventKind.PAID, "e1", "EUR", payment=P, amount=amount, **event)
    return on_provider_event(payment, paid)[0]


@pytest.mark.parametrize(
    ("amount", "currency", "given", "change"),
    [
        (4750, "EUR", 5000, 250),
        (4750, "EUR", 4750, 0),
        (4793, "CHF", 5000, 205),  # 47.95 is due
        (4792, "CHF", 4790, 0),  # 47.90 is due
        (4793, "CHF", 4795, 0),
        (19_900, "HUF", 20_000, 0),  # 199 forint is 200 in coins
    ],
)
def test_cash_pays_the_rounded_amount_and_gives_change(amount, currency, given, change):
    payment = pay_cash(P, ORDER, amount, currency, given)
    assert (payment.change, payment.given, payment.amount) == (change, given, amount)
    assert payment.state is PaymentState.PAID
    assert payment.captured == amount


@pytest.mark.parametrize(
    ("amount", "currency", "given", "refusal"),
    [
        (4750, "EUR", 4749, PaymentRefusal.GIVEN_TOO_LITTLE),
        (4793, "CHF", 4790, PaymentRefusal.GIVEN_TOO_LITTLE),
        (4793, "CHF", 4793, PaymentRefusal.GIVEN_NOT_COINS),
        (4750, "EUR", -1, PaymentRefusal.GIVEN_TOO_LITTLE),
        (0, "EUR", 100, PaymentRefusal.AMOUNT_NOT_POSITIVE),
    ],
)
def test_cash_that_does_not_pay_is_refused(amount, currency, given, refusal):
    assert pay_cash(P, ORDER, amount, currency, given) is refusal


@pytest.mark.parametrize(
    ("reference", "refusal"),
    [
        ("", PaymentRefusal.REFERENCE_MISSING),
        ("   ", PaymentRefusal.REFERENCE_MISSING),
        ("x" * 65, PaymentRefusal.REFERENCE_TOO_LONG),
    ],
)
def test_a_terminal_payment_needs_its_receipts_reference(reference, refusal):
    for method in (PaymentMethod.CARD_TERMINAL, PaymentMethod.CHEQUE, PaymentMethod.BANK_TRANSFER):
        assert pay_by_reference(P, ORDER, method, 5000, "EUR", reference) is refusal


def test_a_terminal_payment_keeps_the_reference_it_was_typed():
    payment = pay_by_reference(P, ORDER, PaymentMethod.CARD_TERMINAL, 5000, "EUR", " 004711 ")
    assert (payment.reference, payment.state) == ("004711", PaymentState.PAID)


@pytest.mark.parametrize("amount", [0, -1])
def test_nothing_is_not_a_payment(amount):
    for made in (
        pay_by_reference(P, ORDER, PaymentMethod.CARD_TERMINAL, amount, "EUR", "4711"),
        pay_by_test_card(P, ORDER, amount, "EUR"),
        start_stripe(P, ORDER, 1, amount, "EUR", 1_000),
    ):
        assert made is PaymentRefusal.AMOUNT_NOT_POSITIVE


@pytest.mark.parametrize(
    ("channel", "stripe_configured", "offered"),
    [
        (Channel.WEB, True, (PaymentMethod.STRIPE,)),
        (Channel.WEB, False, (PaymentMethod.TEST_CARD,)),
        (Channel.BOX_OFFICE, True, (*TILL_METHODS, PaymentMethod.STRIPE_TERMINAL)),
        (Channel.BOX_OFFICE, False, TILL_METHODS),
        (
            Channel.PHONE,
            True,
            (PaymentMethod.STRIPE, *TILL_METHODS, PaymentMethod.STRIPE_TERMINAL),
        ),
        (Channel.PHONE, False, (PaymentMethod.TEST_CARD, *TILL_METHODS)),
    ],
)
def test_a_test_card_is_offered_only_without_stripe(channel, stripe_configured, offered):
    assert methods(channel, stripe_configured) == (*offered, PaymentMethod.STORE_CREDIT)


@pytest.mark.parametrize(
    ("wanted_s", "expiry_s"),
    [
        (1_000 + 10 * 60, 1_000 + MIN_SESSION_S + 60),
        (1_000 + 45 * 60, 1_000 + 45 * 60),
        (1_000 + 25 * 3600, 1_000 + MAX_SESSION_S - 60),
    ],
)
def test_a_session_expires_as_near_to_the_hold_as_stripe_allows(wanted_s, expiry_s):
    assert session_expiry_s(wanted_s, started_s=1_000) == expiry_s


def test_a_payment_by_hand_makes_its_order_at_once():
    for payment in (cash(), pay_by_test_card(P, ORDER, 100, "EUR")):
        assert due_actions(payment) == (CONFIRM,)
        assert due_actions(confirm(payment)) == ()


def test_a_declined_test_card_fails_and_its_order_waits_for_another():
    payment = pay_by_test_card(P, ORDER, 100, "EUR", "declined")
    assert (payment.state, payment.captured) == (PaymentState.FAILED, 0)
    assert [action.kind for action in due_actions(payment)] == [ActionKind.RELEASE_ORDER]
    assert due_actions(close(payment)) == ()


def test_a_payment_by_hand_is_paid_back_at_once():
    payment = begin_refund(confirm(cash()), "r1", 2000)
    assert (payment.state, payment.refunded, payment.kept) == (PaymentState.PAID, 2000, 3000)
    payment = begin_refund(payment, "r2", 3000)
    assert (payment.state, payment.refunded, payment.kept) == (PaymentState.REFUNDED, 5000, 0)


def test_a_stripe_refund_waits_for_the_provider():
    payment = begin_refund(confirm(stripe_paid()), "r1", 2000)
    assert payment.state is PaymentState.REFUND_PENDING
    assert (payment.refunded, payment.refund_pending, payment.kept) == (0, 2000, 3000)


@pytest.mark.parametrize(
    ("payment", "key", "amount", "refusal"),
    [
        (start_stripe(P, ORDER, 1, 5000, "EUR", 1_000), "r1", 10, PaymentRefusal.NOT_PAID),
        (cash(), "r1", 0, PaymentRefusal.AMOUNT_NOT_POSITIVE),
        (cash(), "r1", -5, PaymentRefusal.AMOUNT_NOT_POSITIVE),
        (cash(), "r1", 5001, PaymentRefusal.REFUND_TOO_LARGE),
        (begin_refund(stripe_paid(), "r0", 4000), "r1", 1001, PaymentRefusal.REFUND_TOO_LARGE),
        (begin_refund(cash(), "r0", 4000), "r0", 500, PaymentRefusal.REFUND_KEY_REUSED),
    ],
)
def test_a_refund_that_cannot_be_begun(payment, key, amount, refusal):
    assert begin_refund(payment, key, amount) is refusal


def test_the_same_refund_again_changes_nothing():
    once = begin_refund(cash(), "r1", 5000)
    assert begin_refund(once, "r1", 5000) == once


def test_refunds_of_a_payment_are_bounded():
    payment = cash(MAX_REFUNDS_PER_PAYMENT + 1)
    for number in range(MAX_REFUNDS_PER_PAYMENT):
        payment = begin_refund(payment, f"r{number}", 1)
    assert begin_refund(payment, "one more", 1) is PaymentRefusal.TOO_MANY_REFUNDS


def test_a_refund_the_provider_refuses_stays_owed_and_is_told():
    payment = fail_refund(begin_refund(confirm(stripe_paid()), "r1", 2000), "r1")
    assert (payment.state, payment.kept) == (PaymentState.PAID, 5000)
    assert due_actions(payment) == (Action(ActionKind.REFUND_FAILED, amount=2000, refund="r1"),)


def test_failing_a_refund_that_was_never_begun_names_it():
    with pytest.raises(KeyError, match="p1 has no refund r9"):
        fail_refund(cash(), "r9")


def test_money_of_a_closed_payment_is_owed_back_once():
    payment = close(stripe_paid())
    assert due_actions(payment) == (Action(ActionKind.REFUND_LATE_PAYMENT, amount=5000),)
    payment = begin_refund(payment, "late", 5000)
    assert due_actions(payment) == ()
    # The bank sends it back: no second automatic refund, a person is told.
    bounced = fail_refund(payment, "late")
    assert due_actions(bounced) == (Action(ActionKind.REFUND_FAILED, amount=5000, refund="late"),)


def test_a_captured_sum_that_is_not_the_orders_goes_back():
    payment = start_stripe(P, ORDER, 1, 5000, "EUR", 1_000)
    less = ProviderEvent(ProviderEventKind.PAID, "e1", "EUR", payment=P, amount=4000)
    payment, actions = on_provider_event(payment, less)
    assert actions == (Action(ActionKind.RELEASE_ORDER),)
    assert due_actions(close(payment)) == (Action(ActionKind.REFUND_LATE_PAYMENT, amount=4000),)


@pytest.mark.parametrize(
    "wrong",
    [{"payment": "p2"}, {"currency": "CHF"}, {"session": "cs_2"}, {"intent": "pi_2"}],
)
def test_an_event_of_another_payment_is_not_applied(wrong):
    payment = with_session(stripe_paid(intent="pi_1"), "cs_1")
    named = {"payment": P, "currency": "EUR", "session": "cs_1", "intent": "pi_1"} | wrong
    event = ProviderEvent(ProviderEventKind.EXPIRED, "e2", **named)
    with pytest.raises(ProviderMismatchError, match=next(iter(wrong.values()))):
        on_provider_event(payment, event)


def test_a_refund_reported_with_another_amount_is_not_applied():
    payment = begin_refund(stripe_paid(), "r1", 2000)
    event = ProviderEvent(
        ProviderEventKind.REFUND,
        "e2",
        "EUR",
        amount=1999,
        refund="r1",
        refund_state=RefundState.SUCCEEDED,
    )
    with pytest.raises(ProviderMismatchError, match=r"r1 .* is of 2000, the provider reports 1999"):
        on_provider_event(payment, event)


def test_refunds_made_elsewhere_past_the_bound_count_through_the_charges_total():
    payment = stripe_paid(MAX_REFUNDS_PER_PAYMENT + 5)
    for number in range(MAX_REFUNDS_PER_PAYMENT + 5):
        total = ProviderEvent(
            ProviderEventKind.CHARGE_REFUNDED,
            f"t{number}",
            "EUR",
            amount=payment.amount,
            refunded=number + 1,
        )
        one = ProviderEvent(
            ProviderEventKind.REFUND,
            f"e{number}",
            "EUR",
            amount=1,
            refund=f"re_{number}",
            refund_state=RefundState.SUCCEEDED,
        )
        payment, _ = on_provider_event(on_provider_event(payment, one)[0], total)
    assert len(payment.refunds) == MAX_REFUNDS_PER_PAYMENT
    assert (payment.refunded, payment.state) == (payment.amount, PaymentState.REFUNDED)


def test_a_confirmed_payment_cannot_be_closed_nor_a_closed_one_confirmed():
    with pytest.raises(AssertionError):
        close(confirm(cash()))
    with pytest.raises(AssertionError):
        confirm(close(cash()))
    assert confirm(confirm(cash())).standing is Standing.CONFIRMED


def test_the_docs_name_every_method_state_action_and_refusal():
    docs = (Path(__file__).resolve().parents[2] / "docs" / "payments.md").read_text("utf-8")
    for word in chain(PaymentMethod, PaymentState, ActionKind, PaymentRefusal):
        assert f"`{word}`" in docs
