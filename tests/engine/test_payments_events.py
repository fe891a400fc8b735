"""Provider events in every order, with and without a desk acting on them in between."""

from itertools import permutations
from pathlib import Path

import pytest

from engine.payments import (
    NEXT_STATES,
    ActionKind,
    PaymentState,
    ProviderEvent,
    ProviderEventKind,
    RefundState,
    Standing,
    begin_refund,
    close,
    confirm,
    due_actions,
    on_provider_event,
    start_stripe,
    start_terminal,
)

DOCS = Path(__file__).resolve().parents[2] / "docs" / "payments.md"
AMOUNT = 5000


def event(kind, **fields):
    name = "-".join(str(part) for part in (kind, *fields.values()))
    return ProviderEvent(kind, f"evt-{name}", "EUR", payment="p1", **fields)


def refund(key, amount, state):
    return event(ProviderEventKind.REFUND, refund=key, amount=amount, refund_state=state)


def total(refunded):
    return event(ProviderEventKind.CHARGE_REFUNDED, amount=AMOUNT, refunded=refunded)


COMPLETED = event(ProviderEventKind.PAID, amount=AMOUNT, session="cs_1", intent="pi_1")
PROCESSING = event(ProviderEventKind.PROCESSING, session="cs_1", intent="pi_1")
ASYNC_SUCCEEDED = event(ProviderEventKind.PAID, amount=AMOUNT, session="cs_1")
FAILED = event(ProviderEventKind.FAILED, session="cs_1")
EXPIRED = event(ProviderEventKind.EXPIRED, session="cs_1")
PENDING, SUCCEEDED, BOUNCED = RefundState.PENDING, RefundState.SUCCEEDED, RefundState.FAILED
PART_PENDING, PART_BACK = refund("r1", 2000, PENDING), refund("r1", 2000, SUCCEEDED)
REST_PENDING, REST_BACK = refund("r2", 3000, PENDING), refund("r2", 3000, SUCCEEDED)
ALL_PENDING, ALL_BACK = refund("r1", AMOUNT, PENDING), refund("r1", AMOUNT, SUCCEEDED)
ALL_BOUNCED = refund("r1", AMOUNT, BOUNCED)
AGAIN_PENDING, AGAIN_BACK = refund("re_2", AMOUNT, PENDING), refund("re_2", AMOUNT, SUCCEEDED)

# At a card reader. What the reader tells is no more than that there is something to look at.
READ = event(ProviderEventKind.PAID, amount=AMOUNT, intent="pi_1")
READER_DONE = event(ProviderEventKind.PROCESSING, intent="pi_1")
STOPPED = event(ProviderEventKind.EXPIRED, intent="pi_1")
DECLINED = event(ProviderEventKind.FAILED, intent="pi_1", why="insufficient_funds")
LOST = event(ProviderEventKind.FAILED, intent="pi_1", why="connection_error")

# The events, then the end: state, captured, refunded, refund pending, kept.
PAID = (PaymentState.PAID, AMOUNT, 0, 0, AMOUNT)
REFUNDED = (PaymentState.REFUNDED, AMOUNT, AMOUNT, 0, 0)
HISTORIES = {
    "paid": ([COMPLETED], PAID),
    "left": ([EXPIRED], (PaymentState.EXPIRED, 0, 0, 0, 0)),
    "paid by a slow bank": ([PROCESSING, ASYNC_SUCCEEDED], PAID),
    "refused by a slow bank": ([PROCESSING, FAILED], (PaymentState.FAILED, 0, 0, 0, 0)),
    "failed and expired": ([PROCESSING, FAILED, EXPIRED], (PaymentState.FAILED, 0, 0, 0, 0)),
    "every end at once, money wins": (
        [PROCESSING, FAILED, EXPIRED, COMPLETED, ASYNC_SUCCEEDED],
        PAID,
    ),
    "refund on its way": (
        [COMPLETED, PART_PENDING, total(2000)],
        (PaymentState.REFUND_PENDING, AMOUNT, 0, 2000, 3000),
    ),
    "refunded in part": (
        [COMPLETED, PART_PENDING, PART_BACK, total(2000)],
        (PaymentState.PAID, AMOUNT, 2000, 0, 3000),
    ),
    "refunded whole in two": (
        [COMPLETED, PART_BACK, total(2000), REST_PENDING, REST_BACK, total(AMOUNT)],
        REFUNDED,
    ),
    "refund bounced after it succeeded": (
        [COMPLETED, ALL_PENDING, ALL_BACK, ALL_BOUNCED, total(AMOUNT)],
        PAID,
    ),
    "refunded elsewhere, told by the total alone": (
        [COMPLETED, total(1500), total(AMOUNT)],
        REFUNDED,
    ),
    "bounced, then paid back in another way": (
        [COMPLETED, ALL_BOUNCED, total(AMOUNT), AGAIN_PENDING, AGAIN_BACK],
        REFUNDED,
    ),
    "two captured sums reported, the larger counts": (
        [COMPLETED, event(ProviderEventKind.PAID, amount=4000), EXPIRED],
        PAID,
    ),
    "completed never heard of, the charge tells it": (
        [total(1500)],
        (PaymentState.PAID, AMOUNT, 1500, 0, 3500),
    ),
    "at a reader: paid": ([READ, READER_DONE], PAID),
    "at a reader: declined": (
        [READER_DONE, DECLINED, STOPPED],
        (PaymentState.FAILED, 0, 0, 0, 0),
    ),
    "at a reader: stopped": ([READER_DONE, STOPPED], (PaymentState.EXPIRED, 0, 0, 0, 0)),
    "at a reader: failed for two reasons": (
        [DECLINED, LOST, STOPPED],
        (PaymentState.FAILED, 0, 0, 0, 0),
    ),
    "at a reader: said lost, and charged all the same": ([READER_DONE, LOST, STOPPED, READ], PAID),
    "at a reader: paid and a part refunded": (
        [READER_DONE, READ, PART_PENDING, PART_BACK, total(2000)],
        (PaymentState.PAID, AMOUNT, 2000, 0, 3000),
    ),
    "at a reader: paid and refunded in two": (
        [READ, PART_BACK, total(2000), REST_PENDING, REST_BACK, total(AMOUNT)],
        REFUNDED,
    ),
}


def started(name=""):
    if name.startswith("at a reader"):
        return start_terminal("p1", "o1", 1, AMOUNT, "EUR", 1_000, "tmr_1")
    return start_stripe("p1", "o1", 1, AMOUNT, "EUR", 1_000)


def told(payment, events):
    for one in events:
        payment, _ = on_provider_event(payment, one)
    return payment


@pytest.mark.parametrize("name", HISTORIES)
def test_every_order_of_events_ends_in_the_same_payment(name):
    events, end = HISTORIES[name]
    first = told(started(name), events)
    assert (first.state, first.captured, first.refunded, first.refund_pending, first.kept) == end
    for order in permutations(events):
        assert told(started(name), order) == first


@pytest.mark.parametrize("name", HISTORIES)
def test_events_told_again_say_nothing_new(name):
    events, _ = HISTORIES[name]
    for order in permutations(events):
        payment = told(started(name), order)
        for again in order:
            assert on_provider_event(payment, again) == (payment, ())


@pytest.mark.parametrize("name", HISTORIES)
def test_a_duplicate_in_the_middle_changes_nothing(name):
    events, _ = HISTORIES[name]
    for order in permutations(events):
        doubled = [order[0]]
        for one in order[1:]:
            doubled += [one, order[0]]
        assert told(started(name), doubled) == told(started(name), events)


@pytest.mark.parametrize("name", HISTORIES)
def test_no_event_leaves_the_transition_table(name):
    events, _ = HISTORIES[name]
    for order in permutations(events):
        payment = started(name)
        for one in order:
            after, _ = on_provider_event(payment, one)
            assert after.state is payment.state or after.state in NEXT_STATES[payment.state]
            payment = after


def test_an_event_asks_only_for_what_was_not_due_already():
    payment, actions = on_provider_event(started(), EXPIRED)
    assert [action.kind for action in actions] == [ActionKind.RELEASE_ORDER]
    payment, actions = on_provider_event(payment, FAILED)
    assert (payment.state, actions) == (PaymentState.FAILED, ())
    assert [action.kind for action in due_actions(payment)] == [ActionKind.RELEASE_ORDER]


class Desk:
    """An order desk reduced to its promise: seats sold with the money kept, or neither."""

    def __init__(self, name=""):
        self.payment = started(name)
        self.seats_held = True
        self.asked_back = []  # refunds sent to the provider

    def hear(self, one):
        self.payment, actions = on_provider_event(self.payment, one)
        self.act(actions)

    def lose_hold(self):
        self.seats_held = False
        if self.payment.standing is Standing.WAITING:
            self.payment = close(self.payment)
            self.act(due_actions(self.payment))

    def act(self, actions):
        for action in actions:
            if action.kind is ActionKind.CONFIRM_ORDER and self.seats_held:
                self.payment = confirm(self.payment)
            elif action.kind in (ActionKind.CONFIRM_ORDER, ActionKind.RELEASE_ORDER):
                self.payment = close(self.payment)
                self.act(due_actions(self.payment))
            elif action.kind is ActionKind.REFUND_LATE_PAYMENT:
                self.payment = begin_refund(self.payment, "late", action.amount)
                self.asked_back.append(action.amount)


HOLD_LOST = "hold lost"


def run(desk, steps):
    for step in steps:
        if step is HOLD_LOST:
            desk.lose_hold()
        else:
            desk.hear(step)
        # Acting has left nothing due: a desk that crashes here owes nothing when it comes back.
        assert due_actions(desk.payment) == ()


@pytest.mark.parametrize(
    "events",
    [
        [COMPLETED],
        [PROCESSING, ASYNC_SUCCEEDED],
        [PROCESSING, ASYNC_SUCCEEDED, COMPLETED],
    ],
)
def test_money_is_kept_exactly_when_it_came_before_the_hold_was_lost(events):
    for steps in permutations([*events, HOLD_LOST]):
        desk = Desk()
        run(desk, steps)
        lost = steps.index(HOLD_LOST)
        in_time = any(one.amount for one in steps[:lost])
        assert desk.payment.standing is (Standing.CONFIRMED if in_time else Standing.CLOSED)
        assert desk.asked_back == ([] if in_time else [AMOUNT])
        assert desk.payment.kept == (AMOUNT if in_time else 0)


def test_a_card_that_a_reader_lost_sight_of_is_charged_once_or_given_back():
    for steps in permutations([READER_DONE, READ, LOST, STOPPED, HOLD_LOST]):
        desk = Desk("at a reader")
        run(desk, [*steps, *steps])
        assert desk.payment.captured == AMOUNT
        if desk.payment.standing is Standing.CONFIRMED:
            assert (desk.payment.kept, desk.asked_back) == (AMOUNT, [])
        else:
            assert (desk.payment.kept, desk.asked_back) == (0, [AMOUNT])


def test_seats_and_money_never_part_even_when_reports_contradict_each_other():
    events = [PROCESSING, FAILED, EXPIRED, COMPLETED, ASYNC_SUCCEEDED, HOLD_LOST]
    for steps in permutations(events):
        desk = Desk()
        run(desk, [*steps, *steps])
        assert desk.payment.captured == AMOUNT
        if desk.payment.standing is Standing.CONFIRMED:
            assert (desk.payment.kept, desk.asked_back) == (AMOUNT, [])
        else:
            assert (desk.payment.kept, desk.asked_back) == (0, [AMOUNT])


def test_an_unpaid_session_frees_the_order_once():
    for steps in permutations([EXPIRED, HOLD_LOST, EXPIRED]):
        desk = Desk()
        run(desk, steps)
        assert desk.payment.standing is Standing.CLOSED
        assert (desk.payment.state, desk.asked_back) == (PaymentState.EXPIRED, [])


def test_the_late_refund_is_asked_once_whatever_the_provider_reports_of_it_when():
    reports = [refund("late", AMOUNT, PENDING), refund("late", AMOUNT, SUCCEEDED), total(AMOUNT)]
    for order in permutations([COMPLETED, EXPIRED, *reports]):
        desk = Desk()
        desk.lose_hold()
        run(desk, [COMPLETED, *order, *reports])
        assert desk.asked_back == [AMOUNT]
        assert (desk.payment.state, desk.payment.refunded) == (PaymentState.REFUNDED, AMOUNT)


def test_the_docs_draw_exactly_the_transition_table():
    drawn = {
        tuple(line.split(" --> "))
        for line in map(str.strip, DOCS.read_text(encoding="utf-8").splitlines())
        if " --> " in line and "[*]" not in line
    }
    assert drawn == {
        (str(state), str(after)) for state in NEXT_STATES for after in NEXT_STATES[state]
    }
