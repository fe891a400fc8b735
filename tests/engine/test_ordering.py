"""The rules of an order, in every combination of what its payments may be; and their page."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.commands import Channel, Line, Quoted, Ticket
from engine.limits import MAX_PLACES_PER_HOLD, MAX_TEXT_CHARS
from engine.order_changes import undone
from engine.ordering import (
    APPROVAL_MS,
    CLOSING_MS,
    MAX_BASKETS_PER_ORDER,
    MAX_PAYMENTS_PER_ORDER,
    NEVER_MS,
    activated,
    advance,
    approved,
    asked_back,
    buyer_key,
    comes_up_ms,
    draw_up,
    fits,
    freed,
    given_up,
    has_page,
    lost,
    malformed,
    never_sold,
    over_ms,
    payment_of,
    reminded,
    reminder_ms,
    reserved,
    sold,
    sold_lines,
    to_be_paid_by,
    to_reserve,
    told_of,
    with_payment_begun,
)
from engine.orders import (
    GIVEN_UP,
    NEXT_STATES,
    TRANSITIONS,
    Buyer,
    DeskRefusal,
    LineState,
    Order,
    OrderHold,
    OrderRefund,
    OrderState,
    PlaceOrder,
    Terms,
    TermsKind,
)
from engine.payments import (
    ActionKind,
    Payment,
    PaymentMethod,
    ProviderEvent,
    ProviderEventKind,
    Refund,
    RefundState,
    Standing,
    due_actions,
    start_stripe,
)
from tests.engine import order_states

DOCS = Path(__file__).resolve().parents[2] / "docs" / "orders.md"
TOTAL = 5_000


def an_order(state: OrderState = OrderState.OPEN, *payments: Payment) -> Order:
    line = Line(3, -1, "adult")
    request = PlaceOrder("a" * 32, (OrderHold(1, "b" * 32, (line,)),))
    order = draw_up(request, [Quoted(request.id, (TOTAL,), TOTAL, "EUR", 100_000)], 1_000)
    lines = tuple(
        replace(one, state=LineState.SOLD if state is OrderState.PAID else LineState.PENDING)
        for one in order.lines
    )
    return replace(order, state=state, lines=lines, payments=payments)


def a_payment(
    number: int, method: PaymentMethod = PaymentMethod.STRIPE, **facts: object
) -> Payment:
    started = start_stripe(f"p{number}", "a" * 32, number, TOTAL, "EUR", 1_000)
    assert isinstance(started, Payment)
    return replace(started, method=method, intent=f"pi_{number}", **facts)


def lives_of(number: int) -> Iterator[Payment]:
    """A payment in every combination of facts that an order may meet."""
    for method in (PaymentMethod.STRIPE, PaymentMethod.CASH):
        for captured, ended in itertools.product((0, TOTAL - 1, TOTAL), (False, True)):
            for standing in (Standing.WAITING, Standing.CLOSED):
                payment = a_payment(
                    number, method, captured=captured, expired=ended, standing=standing
                )
                yield payment
                if captured:
                    for state in RefundState:
                        part = Refund("re_elsewhere", 100, state)
                        yield replace(payment, refunds=(part,))


STATES = (OrderState.OPEN, OrderState.SELLING, *GIVEN_UP, OrderState.FAILED)


def test_whatever_the_payments_are_the_order_comes_to_rest_by_legal_steps() -> None:
    lives = list(lives_of(1))
    others = [replace(one, id="p2", intent="pi_2", attempt=2) for one in lives[::3]]
    for state, one, other in itertools.product(STATES, lives, others):
        order = an_order(state, one, other)
        steps = 0
        while (ahead := advance(order)) != order:
            assert ahead.state is order.state or ahead.state in NEXT_STATES[order.state]
            order, steps = ahead, steps + 1
            assert steps <= 3
        waiting = [p for p in order.payments if p.standing is Standing.WAITING and p.captured]
        most = 1 if order.state is OrderState.SELLING else 0
        assert len(waiting) <= most, "money waits for nothing but its own order's sale"
        for payment in order.payments:
            kinds = {action.kind for action in due_actions(payment)}
            assert kinds <= {ActionKind.CONFIRM_ORDER, ActionKind.RELEASE_ORDER} or (
                ActionKind.REFUND_FAILED in kinds
            )
        assert order.finished == (
            order.state not in (OrderState.OPEN, OrderState.SELLING) and not order.asks_back
        )


@pytest.mark.parametrize(
    ("state", "facts", "becomes", "standing"),
    [
        (OrderState.OPEN, {"captured": TOTAL}, OrderState.SELLING, Standing.WAITING),
        (OrderState.OPEN, {"captured": TOTAL - 1}, OrderState.OPEN, Standing.CLOSED),
        (OrderState.OPEN, {"captured": TOTAL + 1}, OrderState.OPEN, Standing.CLOSED),
        (OrderState.OPEN, {"expired": True}, OrderState.OPEN, Standing.CLOSED),
        (OrderState.OPEN, {}, OrderState.OPEN, Standing.WAITING),
        (OrderState.PAID, {"captured": TOTAL}, OrderState.PAID, Standing.CLOSED),
        (OrderState.CANCELLED, {"captured": TOTAL}, OrderState.FAILED, Standing.CLOSED),
        (OrderState.EXPIRED, {"captured": TOTAL}, OrderState.FAILED, Standing.CLOSED),
        (OrderState.REFUNDED, {"captured": TOTAL}, OrderState.REFUNDED, Standing.CLOSED),
    ],
)
def test_what_one_payment_makes_of_an_order(
    state: OrderState, facts: dict[str, object], becomes: OrderState, standing: Standing
) -> None:
    order = advance(an_order(state, a_payment(1, **facts)))
    assert (order.state, order.payments[0].standing) == (becomes, standing)
    goes_back = standing is Standing.CLOSED and "captured" in facts
    assert order.asks_back == goes_back
    if goes_back:
        assert order.payments[0].refunds[0].amount == facts["captured"]
        assert not order.finished


def test_of_two_payments_the_first_makes_the_order() -> None:
    order = advance(
        an_order(OrderState.OPEN, a_payment(1, captured=TOTAL), a_payment(2, captured=TOTAL))
    )
    assert order.state is OrderState.SELLING
    ticket = Ticket(1, 3, -1, "adult", TOTAL)
    order = advance(sold(order, {1: [ticket]}))
    assert [one.standing for one in order.payments] == [Standing.CONFIRMED, Standing.CLOSED]
    assert [one.kept for one in order.payments] == [TOTAL, 0]
    assert (order.lines[0].ticket, order.lines[0].state) == (1, LineState.SOLD)


def test_a_refund_elsewhere_while_the_seats_are_sold_keeps_the_order() -> None:
    order = advance(an_order(OrderState.OPEN, a_payment(1, captured=TOTAL)))
    part = Refund("re_1", 100, RefundState.SUCCEEDED)
    order = replace(order, payments=(replace(order.payments[0], refunds=(part,)),))
    assert advance(order) == order
    order = sold(order, {1: [Ticket(1, 3, -1, "adult", TOTAL)]})
    assert (order.state, order.payments[0].standing) == (OrderState.PAID, Standing.CONFIRMED)
    refund = OrderRefund("r", (1,), "", "ada", 2_000)
    order = undone(replace(order, refunds=(refund,)), refund, [1], "")
    rest = Refund("r", TOTAL - 100, RefundState.REQUESTED)
    assert order.payments[0].refunds == (rest, part)


def test_money_taken_by_hand_is_back_as_soon_as_the_order_has_failed() -> None:
    cash = a_payment(1, PaymentMethod.CASH, captured=TOTAL)
    order = lost(advance(an_order(OrderState.OPEN, cash)))
    assert (order.state, order.paid, order.finished) == (OrderState.FAILED, TOTAL, False)
    order = advance(order)
    assert (order.state, order.paid, order.finished) == (OrderState.REFUNDED, 0, True)


def test_a_new_attempt_ends_the_ones_before() -> None:
    order = to_be_paid_by(an_order(OrderState.OPEN, a_payment(1)), PaymentMethod.STRIPE, "p2")
    order = with_payment_begun(order, a_payment(2))
    assert [one.standing for one in order.payments] == [Standing.CLOSED, Standing.WAITING]


def test_a_refund_that_was_refused_by_all_changes_no_line() -> None:
    refund = OrderRefund("r", (1,), "", "ada", 2_000)
    order = an_order(OrderState.PAID, a_payment(1, captured=TOTAL))
    after = undone(replace(order, refunds=(refund,)), refund, [], "ticket_used")
    assert (after.state, after.lines, after.payments) == (order.state, order.lines, order.payments)
    assert after.refunds == (replace(refund, done=True, refused="ticket_used"),)


HOLD = OrderHold(1, "b" * 32, (Line(7, -1, "adult"),))
REQUEST = PlaceOrder("0123456789abcdef" * 2, (HOLD,))


def basket(performance: int = 1, token: str = HOLD.token, *quantities: int) -> OrderHold:
    return OrderHold(
        performance, token, tuple(Line(-1, 0, "adult", many) for many in quantities or (1,))
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, ""),
        ({"id": "a" * 31}, "id"),
        ({"id": "a" * 33}, "id"),
        ({"id": "A" * 32}, "id"),
        ({"id": "g" * 32}, "id"),
        ({"baskets": ()}, "baskets: 1 to"),
        ({"baskets": tuple(map(basket, range(MAX_BASKETS_PER_ORDER)))}, ""),
        ({"baskets": tuple(map(basket, range(MAX_BASKETS_PER_ORDER + 1)))}, "baskets: 1 to"),
        ({"baskets": (HOLD, HOLD)}, "baskets: one for each"),
        ({"baskets": (HOLD, basket(2, "token"))}, "token"),
        ({"baskets": (replace(HOLD, lines=()),)}, "lines"),
        ({"baskets": (basket(1, HOLD.token, *[1] * MAX_PLACES_PER_HOLD),)}, ""),
        ({"baskets": (basket(1, HOLD.token, *[1] * (MAX_PLACES_PER_HOLD + 1)),)}, "lines"),
        ({"baskets": (basket(1, HOLD.token, 1, MAX_PLACES_PER_HOLD),)}, ""),
        ({"baskets": (basket(1, HOLD.token, 1, 0),)}, "quantity"),
        ({"baskets": (basket(1, HOLD.token, 1, MAX_PLACES_PER_HOLD + 1),)}, "quantity"),
        ({"buyer": Buyer(name="n" * MAX_TEXT_CHARS)}, ""),
        ({"buyer": Buyer(email="e" * (MAX_TEXT_CHARS + 1))}, "buyer"),
    ],
)
def test_what_is_wrong_with_a_request_is_named(changed: dict[str, Any], said: str) -> None:
    told = malformed(replace(REQUEST, **changed))
    assert told.startswith(said) and bool(told) == bool(said)


def test_a_payment_is_found_by_its_id_or_by_what_the_provider_calls_it() -> None:
    first, second = a_payment(1), a_payment(2)
    order = an_order(OrderState.OPEN, first, second)

    def told(**names: str) -> Payment | None:
        return told_of(order, ProviderEvent(ProviderEventKind.PAID, "evt", "EUR", **names))

    assert (payment_of(order, "p2"), payment_of(order, "p3")) == (second, None)
    assert told(payment="p2") is second
    assert told(intent="pi_2") is second
    assert told(payment="p9", intent="pi_9") is None
    nameless = replace(order, payments=(replace(first, intent=""),))
    assert told_of(nameless, ProviderEvent(ProviderEventKind.PAID, "evt", "EUR")) is None


@pytest.mark.parametrize(
    ("facts", "open_page"),
    [
        ({"reference": "cs_1"}, True),
        ({}, False),
        ({"reference": "cs_1", "captured": TOTAL}, False),
        ({"reference": "cs_1", "failed": True}, False),
        ({"reference": "cs_1", "expired": True}, False),
        ({"reference": "cs_1", "standing": Standing.CLOSED}, False),
        ({"reference": "receipt", "method": PaymentMethod.CARD_TERMINAL}, False),
    ],
)
def test_somebody_may_pay_on_a_page_that_is_open(facts: dict[str, Any], open_page: bool) -> None:
    assert has_page(a_payment(1, **facts)) is open_page


PARTS = st.lists(
    st.tuples(
        st.integers(1, TOTAL + 1),
        st.sampled_from(["asked", "all", "short"]),
        st.sampled_from([PaymentMethod.CASH, PaymentMethod.STRIPE]),
    ),
    max_size=5,
)


@given(st.sampled_from([OrderState.OPEN, OrderState.AWAITING_PAYMENT]), PARTS)
def test_parts_make_an_order_when_together_they_are_its_total(
    state: OrderState, parts: list[tuple[int, str, PaymentMethod]]
) -> None:
    brought = {
        "asked": lambda _: 0,
        "all": lambda amount: amount,
        "short": lambda amount: amount - 1,
    }
    payments = [
        replace(
            a_payment(number),
            amount=amount,
            captured=brought[how](amount),
            method=method,
            intent="",
        )
        for number, (amount, how, method) in enumerate(parts, 1)
    ]
    order = an_order(state, *payments)
    while (ahead := advance(order)) != order:
        order = ahead
    counted = [p for p in order.payments if p.standing is Standing.WAITING]
    came = sum(payment.captured for payment in counted)
    assert came <= TOTAL and order.due == TOTAL - came
    assert (order.state is OrderState.SELLING) == (came == TOTAL)
    assert all(payment.captured in (0, payment.amount) for payment in counted)
    assert not any(p.kept for p in order.payments if p.standing is Standing.CLOSED)
    # Nobody is turned away whose part would have fitted.
    for payment in order.payments:
        if payment.standing is Standing.CLOSED and payment.captured == payment.amount:
            assert payment.captured > TOTAL - came or order.state is OrderState.SELLING


def test_a_new_attempt_leaves_the_parts_that_came() -> None:
    came = a_payment(1, amount=500, captured=500)
    order = an_order(OrderState.OPEN, came, a_payment(2))
    order = to_be_paid_by(order, PaymentMethod.STRIPE, "p3")
    order = with_payment_begun(order, a_payment(3))
    standings = [payment.standing for payment in order.payments]
    assert standings == [Standing.WAITING, Standing.CLOSED, Standing.WAITING]


# Reservations ----------------------------------------------------------------------


def reserved_order(terms: Terms, *payments: Payment) -> Order:
    order = to_reserve(an_order(OrderState.OPEN, *payments), terms)
    assert order.state is OrderState.SELLING and order.terms == terms
    return reserved(order, {1: [Ticket(9, 3, -1, "adult", TOTAL, 2)]})


def test_a_reserved_order_has_tickets_and_waits() -> None:
    order = reserved_order(Terms(TermsKind.PICK_UP))
    assert order.state is OrderState.AWAITING_PAYMENT and not order.finished
    (line,) = order.lines
    assert (line.state, line.ticket, line.version) == (LineState.RESERVED, 9, 2)
    waits = reserved_order(Terms(TermsKind.INVOICE, approved=False))
    assert waits.state is OrderState.AWAITING_APPROVAL
    assert approved(waits, 5_000).state is OrderState.AWAITING_PAYMENT


def test_what_was_reserved_is_sold_by_the_money_or_freed() -> None:
    order = reserved_order(Terms(TermsKind.PICK_UP), a_payment(1, captured=TOTAL))
    paid = activated(advance(order))
    assert paid.state is OrderState.PAID and paid.finished
    assert sold_lines(paid) == (1,)
    assert [payment.standing for payment in paid.payments] == [Standing.CONFIRMED]
    over = given_up(order, OrderState.EXPIRED)
    assert over.has_reserved and not over.finished, "its ticket has to end first"
    assert [line.state for line in freed(over).lines] == [LineState.CANCELLED]


DAY = 24 * 60 * 60 * 1_000


def test_terms_begin_with_the_approval_and_end_after_the_last_reminder() -> None:
    terms = Terms(
        TermsKind.INVOICE, approved=False, since_ms=1, first_ms=10 * DAY, interval_ms=5 * DAY,
        reminders=2,
    )  # fmt: skip
    order = reserved_order(terms)
    assert (over_ms(order), reminder_ms(order)) == (1 + APPROVAL_MS, NEVER_MS)
    order = approved(order, 3 * DAY)
    assert (over_ms(order), reminder_ms(order)) == (23 * DAY, 13 * DAY)
    assert comes_up_ms(order) == 13 * DAY
    order = reminded(order)
    assert (reminder_ms(order), comes_up_ms(order)) == (18 * DAY, 18 * DAY)
    order = reminded(order)
    assert (reminder_ms(order), comes_up_ms(order)) == (NEVER_MS, 23 * DAY)


@pytest.mark.parametrize(
    ("order", "over"),
    [
        (an_order(OrderState.OPEN), 80_000),
        (an_order(OrderState.PAID), NEVER_MS),
        (reserved_order(Terms(TermsKind.PICK_UP)), NEVER_MS),
        (reserved_order(Terms(TermsKind.PICK_UP, until_ms=7)), 7),
        (reserved_order(Terms(TermsKind.PICK_UP, until_ms=7), a_payment(1)), 7),
        # Money that came over Stripe goes back by itself.
        (reserved_order(Terms(TermsKind.PICK_UP, until_ms=7), a_payment(1, captured=9)), 7),
        (
            reserved_order(
                Terms(TermsKind.PICK_UP, until_ms=7),
                a_payment(1, amount=9, captured=9, method=PaymentMethod.CHEQUE),
            ),
            NEVER_MS,
        ),
    ],
)
def test_money_that_a_person_took_keeps_an_order(order: Order, over: int) -> None:
    assert over_ms(order) == over


def test_what_the_provider_has_not_heard_of_is_asked_back() -> None:
    asked, heard = Refund("a", 1, RefundState.REQUESTED), Refund("b", 2, RefundState.SUCCEEDED)
    payment = a_payment(1, captured=TOTAL, refunds=(asked, heard))
    assert asked_back(an_order(OrderState.FAILED, payment)) == [(payment, asked)]


def test_an_order_that_money_came_for_too_late_was_never_sold() -> None:
    pending = an_order()
    assert pending.number == 0, "numbered when it is saved"
    cancelled = given_up(pending, OrderState.CANCELLED)
    assert cancelled.state is OrderState.CANCELLED
    assert given_up(pending, OrderState.EXPIRED) == replace(cancelled, state=OrderState.EXPIRED)
    assert [line.state for line in cancelled.lines] == [LineState.CANCELLED]
    assert not never_sold(pending) and not never_sold(cancelled)
    assert never_sold(lost(replace(pending, state=OrderState.SELLING)))
    confirmed = an_order(OrderState.PAID)
    assert not never_sold(replace(confirmed, state=OrderState.REFUNDED))


def test_an_order_is_drawn_up_place_by_place() -> None:
    baskets = (
        OrderHold(2, "b" * 32, (Line(7, -1, "adult"), Line(-1, 0, "child", 2))),
        OrderHold(1, "c" * 32, (Line(1, -1, "adult"),)),
    )
    request = PlaceOrder("a" * 32, baskets, Channel.BOX_OFFICE, "", "ada")
    quotes = [
        Quoted(request.id, (2_000, 1_000), 4_000, "EUR", 90_000),
        Quoted(request.id, (500,), 500, "EUR", 80_000),
    ]
    order = draw_up(request, quotes, 1_000)
    assert [
        (one.number, one.performance, one.seat, one.area, one.amount) for one in order.lines
    ] == [
        (1, 2, 7, -1, 2_000),
        (2, 2, -1, 0, 1_000),
        (3, 2, -1, 0, 1_000),
        (4, 1, 1, -1, 500),
    ]
    assert (order.total, order.expires_ms) == (4_500, 80_000 - CLOSING_MS)
    assert (order.operator, order.channel) == ("ada", Channel.BOX_OFFICE)
    tickets = [Ticket(9, 7, -1, "adult", 2_000)] + [
        Ticket(number, -1, 0, "child", 1_000) for number in (10, 11)
    ]
    first = [line for line in order.lines if line.performance == 2]
    assert fits(first, tickets)
    for wrong in (tickets[:2], tickets[::-1], [*tickets[:2], replace(tickets[2], amount=999)]):
        assert not fits(first, wrong)


@pytest.mark.parametrize(("total", "state"), [(0, OrderState.SELLING), (1, OrderState.OPEN)])
def test_what_costs_nothing_waits_for_no_money(total: int, state: OrderState) -> None:
    request = PlaceOrder("a" * 32, (OrderHold(1, "b" * 32, (Line(7, -1, "adult"),)),))
    order = draw_up(request, [Quoted(request.id, (total,), total, "EUR", 90_000)], 1_000)
    assert (order.state, order.payments, order.finished) == (state, (), False)
    assert advance(order) == order


def test_limits_per_buyer_count_for_the_address_then_the_session() -> None:
    request = PlaceOrder("a" * 32, (), session="s", buyer=Buyer(email=" Zoe@Example.org "))
    assert buyer_key(request) == "zoe@example.org"
    assert buyer_key(replace(request, buyer=Buyer())) == "s"
    assert buyer_key(replace(request, buyer=Buyer(), session="")) == "a" * 32


# The page --------------------------------------------------------------------------


def test_the_page_draws_the_transitions() -> None:
    assert order_states.drawn(DOCS.read_text("utf-8")) == order_states.diagram()
    assert len(set(TRANSITIONS)) == len(TRANSITIONS)


def test_no_state_is_out_of_reach_and_each_comes_to_an_end() -> None:
    reached = {one.end for one in TRANSITIONS if one.start is None}
    while more := set().union(*(NEXT_STATES[state] for state in reached)) - reached:
        reached |= more
    assert reached == set(OrderState)


def rows(text: str, heading: str) -> dict[str, str]:
    """The first table under a heading: first column to second."""
    part = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"^\| `(\w+)` \| ([^|]+) \|", part, re.MULTILINE))


def test_the_page_tells_every_state_and_every_refusal() -> None:
    text = DOCS.read_text("utf-8")
    assert rows(text, "States").keys() == {state.value for state in OrderState}
    told = rows(text, "Refusals")
    assert told.keys() == {code.value for code in DeskRefusal}
    assert all(told.values())


def test_the_page_has_the_figures_of_the_code() -> None:
    text = DOCS.read_text("utf-8")
    assert f"up to {MAX_BASKETS_PER_ORDER} performances" in text
    assert f"{CLOSING_MS // 1_000} seconds before its holds end" in text
    assert f"{MAX_PAYMENTS_PER_ORDER} were begun" in text
