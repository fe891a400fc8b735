"""What becomes of each order of a cancelled performance, and what that costs."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.cancellation import (
    Left,
    Plan,
    Preview,
    Progress,
    Standing,
    Step,
    cancelled,
    given_back,
    is_told,
    performance_of,
    plan_of,
    preview,
    refund_id,
    request_of,
    standing_of,
)
from engine.commands import (
    Channel,
    Configure,
    Configured,
    Expired,
    Refunded,
    Refusal,
    Refused,
    ScanOutcome,
)
from engine.order_changes import undone
from engine.ordering import advance
from engine.orders import (
    Buyer,
    Charge,
    LineFee,
    LineState,
    Order,
    OrderExchange,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderState,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState
from engine.payments import Standing as Confirmed
from engine.performance import Performance
from engine.settings import Returns, SaleStatus
from tests.engine.small import NOW_MS, Play, house, settings, token

SERVICE = LineFee("service", 150, refundable=False)
LINES = (
    OrderLine(1, 1, 3, -1, "full", 2_000, LineState.SOLD, 1, fees=(SERVICE,)),
    OrderLine(2, 1, 4, -1, "full", 2_000, LineState.SOLD, 2, fees=(SERVICE,)),
    OrderLine(3, 2, 4, -1, "full", 1_000, LineState.SOLD, 1, fees=(SERVICE,)),
)
OF_ORDER = Charge(1, "post", 300, "delivery", 1, LineState.SOLD, refundable=False)
OF_ALL = Charge(2, "file", 200, "service", -1, LineState.SOLD, refundable=False)
S, L = OrderState, LineState


def order(method: PaymentMethod = PaymentMethod.STRIPE, **changes: Any) -> Order:
    """Two places in performance 1 and one in 2, with fees that no other refund gives back."""
    made = Order(
        id="a" * 32,
        number=1_001,
        state=S.PAID,
        channel=Channel.WEB,
        currency="EUR",
        total=5_950,
        created_ms=0,
        expires_ms=900_000,
        buyer=Buyer("Ada", "ada@house.example", "fr"),
        operator="",
        session="s",
        holds=(OrderHold(1, "ab" * 16, ()), OrderHold(2, "cd" * 16, ())),
        lines=LINES,
        charges=(OF_ORDER, OF_ALL),
        payments=(
            Payment(
                "p",
                "a" * 32,
                method,
                5_950,
                "EUR",
                captured=5_950,
                standing=Confirmed.CONFIRMED,
            ),
        ),
    )
    return replace(made, **changes)


def of(state: LineState) -> tuple[OrderLine, ...]:
    return tuple(replace(line, state=state) for line in LINES)


def exchanging(to: int, *, covered: bool = False) -> Order:
    """Its last place is to be given for one in performance `to`."""
    coming = OrderLine(4, to, 9, -1, "full", 3_000)
    asked = OrderExchange(
        "x", (3,), (4,), OrderHold(to, "ef" * 16, ()), S.PAID, "ada", 1, 9, covered=covered
    )
    return order(state=S.EXCHANGING, lines=(*LINES, coming), exchanges=(asked,))


CASH = PaymentMethod.CASH
NOBODY = Buyer()
DONE = OrderRefund(refund_id(1), (1,), "", "ada", 1, True, (1,), called_off=True)
FREE = tuple(replace(line, amount=0, fees=()) for line in LINES[:2])


OF_THIRD = tuple(
    replace(one, amount=LINES[2].price, captured=LINES[2].price) for one in order(CASH).payments
)


@pytest.mark.parametrize(
    ("found", "used", "plan"),
    [
        (order(), (), Plan(Step.REFUND, (1, 2))),
        (order(state=S.PART_REFUNDED, lines=(replace(LINES[0], state=L.REFUNDED), *LINES[1:])),
         (), Plan(Step.REFUND, (2,))),
        (order(CASH), (), Plan(Step.CREDIT, (1, 2))),
        (order(CASH, buyer=NOBODY), (), Plan(Step.LEAVE, (), Left.BY_HAND)),
        (order(CASH, buyer=Buyer(email="no address")), (), Plan(Step.LEAVE, (), Left.BY_HAND)),
        (order(CASH, buyer=NOBODY, lines=(*FREE, LINES[2])), (),
         Plan(Step.LEAVE, (), Left.BY_HAND)),
        (order(CASH, buyer=NOBODY, lines=(*FREE, LINES[2]), charges=(), payments=OF_THIRD), (),
         Plan(Step.REFUND, (1, 2))),
        (order(PaymentMethod.STORE_CREDIT), (), Plan(Step.REFUND, (1, 2))),
        (order(), (2,), Plan(Step.REFUND, (1,))),
        (order(), (1, 2), Plan(Step.LEAVE, (), Left.TICKET_USED)),
        (order(refunds=(DONE,)), (), Plan(Step.LEAVE, (), Left.TICKET_USED)),
        (order(refunds=(replace(DONE, refused="ticket_state"),)), (),
         Plan(Step.LEAVE, (), "ticket_state")),
        (order(refunds=(replace(DONE, done=False),)), (), Plan(Step.REFUND, (1,))),
        (order(refunds=(replace(DONE, called_off=False),)), (), Plan(Step.REFUND, (1, 2))),
        (order(state=S.SELLING, lines=of(L.PENDING)), (), Plan(Step.WAIT)),
        (order(state=S.SELLING, lines=of(L.RESERVED)), (), Plan(Step.WAIT)),
        (order(state=S.OPEN, lines=of(L.PENDING), payments=()), (), Plan(Step.GIVE_UP)),
        (order(state=S.OPEN, lines=of(L.PENDING)[2:], payments=()), (), Plan(Step.NOTHING)),
        (order(state=S.AWAITING_PAYMENT, lines=of(L.RESERVED), payments=()), (),
         Plan(Step.REFUND, (1, 2))),
        (order(CASH, state=S.AWAITING_PAYMENT, lines=of(L.RESERVED)), (),
         Plan(Step.LEAVE, (), Left.DEPOSIT)),
        (exchanging(1), (), Plan(Step.GIVE_UP)),
        (exchanging(2), (), Plan(Step.WAIT)),
        (exchanging(1, covered=True), (), Plan(Step.WAIT)),
        (order(state=S.REFUNDED, lines=of(L.REFUNDED)), (), Plan(Step.NOTHING)),
        (order(state=S.EXPIRED, lines=of(L.CANCELLED)), (), Plan(Step.NOTHING)),
    ],
)  # fmt: skip
def test_what_is_to_be_done_with_an_order(found: Order, used: tuple[int, ...], plan: Plan) -> None:
    assert plan_of(found, 1, used) == plan


def carried_out(found: Order, plan: Plan) -> Order:
    """As the desk does it: what is asked for, saved, and done."""
    wanted = request_of(plan, 1, "ill", "ada")
    assert (wanted.id, wanted.called_off) == (refund_id(1), True)
    card = "the code" if wanted.to_credit else ""
    refund = OrderRefund(wanted.id, wanted.lines, "ill", "ada", 1, card=card, called_off=True)
    kept = replace(found, refunds=(*found.refunds, refund))
    return advance(undone(kept, refund, refund.lines, ""))


def test_every_fee_of_the_performance_goes_back_and_no_other() -> None:
    found = order()
    after = carried_out(found, plan_of(found, 1, ()))
    assert after.state is S.PART_REFUNDED
    assert [line.state for line in after.lines] == [L.REFUNDED, L.REFUNDED, L.SOLD]
    assert [one.state for one in after.charges] == [L.REFUNDED, L.SOLD], "nothing is kept"
    assert given_back(after, 1) == {"stripe": 2 * 2_150 + 300}
    assert after.due == 0
    # The other performance is cancelled too: now all of it is back.
    second = replace(OrderRefund(refund_id(2), (3,), "", "", 1), called_off=True)
    last = undone(replace(after, refunds=(*after.refunds, second)), second, (3,), "")
    assert (last.state, last.worth) == (S.REFUNDED, 0)
    assert sum(one.amount for one in last.payments[0].refunds) == 5_950


def test_what_an_earlier_refund_kept_stays_kept() -> None:
    first = OrderRefund("r1", (1,), "", "ada", 1, fee=100)
    found = undone(order(refunds=(first,)), first, (1,), "")
    kept = [one for one in found.charges if one.line or one.refund]
    assert len(kept) == 2
    after = carried_out(found, plan_of(found, 1, ()))
    assert [one.state for one in after.charges if one.line or one.refund] == [L.SOLD, L.SOLD]
    assert given_back(after, 1) == {"stripe": 2_150 + 300}


def test_a_reservation_waits_for_less_or_for_nothing() -> None:
    waiting = order(
        state=S.AWAITING_PAYMENT,
        lines=of(L.RESERVED),
        payments=(),
        charges=tuple(replace(one, state=L.PENDING) for one in (OF_ORDER, OF_ALL)),
    )
    after = carried_out(waiting, plan_of(waiting, 1, ()))
    assert (after.state, after.due, after.total) == (S.AWAITING_PAYMENT, 1_350, 1_350)
    assert [line.state for line in after.lines] == [L.CANCELLED, L.CANCELLED, L.RESERVED]
    alone = replace(waiting, lines=of(L.RESERVED)[:2])
    after = carried_out(alone, plan_of(alone, 1, ()))
    assert (after.state, after.worth, after.finished) == (S.CANCELLED, 0, True)
    # What a credit had paid of it returns there, and is told.
    [payment] = order(PaymentMethod.STORE_CREDIT).payments
    credit = replace(payment, amount=900, captured=900, standing=Confirmed.WAITING)
    in_part = replace(alone, payments=(credit,))
    after = carried_out(in_part, plan_of(in_part, 1, ()))
    assert (after.state, after.paid, after.finished) == (S.CANCELLED, 0, True)
    assert given_back(after, 1) == {"store_credit": 900}
    assert preview(Preview(1, "EUR"), [in_part], ()).back == {"store_credit": 900}
    # Its time passed while that was on its way: it stays what it became.
    expired = replace(alone, state=S.EXPIRED, lines=of(L.CANCELLED)[:2])
    assert carried_out(expired, Plan(Step.REFUND, (1, 2))).state is S.EXPIRED


@pytest.mark.parametrize(
    ("state", "progress"),
    [
        (RefundState.REQUESTED, Standing(Progress.WAITING, "", 500)),
        (RefundState.PENDING, Standing(Progress.DONE, "", 500)),
        (RefundState.SUCCEEDED, Standing(Progress.DONE, "", 500)),
        (RefundState.FAILED, Standing(Progress.LEFT, Left.REFUND_FAILED, 500)),
    ],
)
def test_an_order_is_done_when_the_provider_is_certain(
    state: RefundState, progress: Standing
) -> None:
    gone = (*(replace(line, state=L.REFUNDED) for line in LINES[:2]), LINES[2])
    [payment] = order().payments
    back = (Refund(refund_id(1), 500, state), Refund("r1", 70, RefundState.REQUESTED))
    found = order(lines=gone, refunds=(DONE,), payments=(replace(payment, refunds=back),))
    assert standing_of(found, 1) == progress
    assert standing_of(replace(found, lines=LINES), 1).progress is Progress.LEFT


def test_who_is_not_told() -> None:
    assert is_told(order(), 1)
    assert not is_told(order(buyer=NOBODY), 1)
    never = order(state=S.CANCELLED, lines=of(L.CANCELLED), buyer=NOBODY)
    assert is_told(never, 1), "nobody had a place"
    assert not is_told(replace(never, refunds=(DONE,)), 1)
    assert performance_of(refund_id(12)) == 12


def test_a_preview_sums_what_would_become_of_each_order() -> None:
    reserved = order(state=S.AWAITING_PAYMENT, lines=of(L.RESERVED), payments=())
    orders = [
        order(),
        order(CASH),
        order(CASH, buyer=NOBODY),
        order(lines=FREE, charges=(), payments=(), total=0, buyer=NOBODY),
        reserved,
        order(state=S.OPEN, lines=of(L.PENDING), payments=()),
        order(state=S.REFUNDED, lines=of(L.REFUNDED)),
    ]
    sums = Preview(1, "EUR")
    for one in orders:
        sums = preview(sums, [one], ())
    assert sums == preview(Preview(1, "EUR"), orders, ()), "page by page or at once"
    assert sums == Preview(
        1,
        "EUR",
        orders=6,
        places=10,
        free=2,
        reserved=1,
        open=1,
        back={"stripe": 4_600, "credit": 4_600},
        fees=2 * (2 * 150 + 300),
        left={Left.BY_HAND: 1},
        by_hand=4_300,
        untold=2,
    )
    assert preview(Preview(1, "EUR"), [exchanging(2)], ()) == preview(
        Preview(1, "EUR"), [order()], ()
    ), "as if it were not exchanged"
    used = preview(Preview(1, "EUR"), [order()], {1})
    assert (used.left, used.back) == ({Left.TICKET_USED: 1}, {"stripe": 2_150})


METHODS = st.sampled_from([PaymentMethod.STRIPE, CASH, PaymentMethod.TEST_CARD])


@given(st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 400), st.booleans(), st.booleans()),
                min_size=1, max_size=6), METHODS, st.booleans())  # fmt: skip
def test_a_preview_is_what_the_refund_then_gives_back(
    places: list[tuple[int, int, bool, bool]], method: PaymentMethod, also: bool
) -> None:
    lines = tuple(
        OrderLine(
            number,
            1 if here or not also else 2,
            number,
            -1,
            "full",
            amount,
            L.SOLD,
            number,
            fees=(LineFee("f", fee, refundable=back),),
        )
        for number, (amount, fee, back, here) in enumerate(places, 1)
    )
    found = order(method, lines=lines)
    [payment] = found.payments
    payment = replace(payment, amount=found.worth, captured=found.worth)
    found = replace(found, payments=(payment,))
    plan = plan_of(found, 1, ())
    sums = preview(Preview(1, "EUR"), [found], ())
    if plan.step is Step.NOTHING:
        assert not sums.orders
        return
    after = carried_out(found, plan)
    assert sums.back == dict(given_back(after, 1))
    assert after.due == 0
    assert sum(sums.back.values()) == found.worth - after.value


# The performance itself ------------------------------------------------------------------

PLAN = house(["aaaaaaaaaa"])


@pytest.fixture
def play() -> Play:
    """Two seats sold, two held, two in payment, two reserved."""
    policies = {"returns": Returns(), "exchanges": Returns()}
    made = Play(PLAN, settings(doors_open_ms=5, orphan_rule=False, **policies))
    made.buy(0, 1)
    made.hold(2, 3, by="bob")
    made.hold(4, 5, by="eve")
    made.checkout(by="eve", order="o2")
    made.hold(6, 7, by="kim")
    made.checkout(by="kim", order="o3")
    made.sell(by="kim", order="o3", paid=False)
    assert made.apply(Configure(made.id(), cancelled(made.live.settings, NOW_MS))) == Configured()
    return made


def test_holds_end_and_nothing_is_sold_any_more(play: Play) -> None:
    assert play.checkout(by="bob", order="o4") == Refused(Refusal.HOLD_UNKNOWN)
    assert play.sell(by="eve", order="o2") == Refused(Refusal.HOLD_UNKNOWN)
    for channel in Channel:
        assert play.hold(8, by="zoe", channel=channel) == Refused(Refusal.NOT_ON_SALE)
        best = play.best(1, by="zoe", channel=channel)
        assert best == Refused(Refusal.NOT_ON_SALE)
    assert play.live.due(play.at_ms), "the time of the holds is over"
    ended = play.expire()
    assert isinstance(ended, Expired) and set(ended.tokens) == {token("bob"), token("eve")}
    assert play.picture() == "ss....ss.."
    for reopened in (play.reopen(by="eve", order="o2"), play.release(by="bob")):
        assert reopened == Refused(Refusal.HOLD_UNKNOWN)


def test_tickets_are_refunded_and_doors_shut(play: Play) -> None:
    assert play.scan(1) == replace(play.scan(1), result=ScanOutcome.TOO_LATE)
    assert isinstance(play.refund(1, 2), Refunded)
    assert isinstance(play.refund(3, 4, order="o3"), Refunded), "reserved ones too"


def test_it_stays_so_after_a_restart_and_whatever_settings_say(play: Play) -> None:
    for _ in range(2):
        assert play.configure() == Refused(Refusal.NOT_ON_SALE)
        assert play.live.settings.status is SaleStatus.CANCELLED
        assert play.live.settings.returns is play.live.settings.exchanges is None
        play.live = Performance.restore(7, PLAN, play.live.snapshot())
    assert play.configure(status=SaleStatus.CANCELLED, max_per_order=3) == Configured()
    assert play.sell(by="eve", order="o2") == Refused(Refusal.HOLD_UNKNOWN)


def test_a_replay_ends_the_same_holds() -> None:
    live = Play(PLAN, settings(orphan_rule=False))
    live.hold(2, 3, by="bob")
    live.at_ms += 10
    live.apply(Configure(live.id(), cancelled(live.live.settings, live.at_ms)))
    events, _, _ = live.live.take()
    again = Performance(7, PLAN, settings(orphan_rule=False))
    again.replay(events)
    assert again.snapshot() == live.live.snapshot()
    assert again.due(live.at_ms) and live.live.due(live.at_ms)
