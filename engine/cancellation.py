"""A cancelled performance: what becomes of each order in it, what that costs, and how far it is.

Pure. Cancelling is a row of its own (`persistence.cancellations`) and work in the background
(`engine.actors.canceller`); what is given back is a refund of the order desk under one id for each
performance, so that it is given back once, whoever asks and however often.

Money goes back the way it came, with every fee. What a person took only a person could hand back:
it becomes a credit, whose code the buyer is told; without an address nobody could be, and the
order is left to a person. So are places that were used, and reservations that a part was paid of by
hand.
"""

from collections import Counter
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from engine.mails import is_address
from engine.order_changes import not_exchanged, undone
from engine.ordering import LATE_REFUND, advance
from engine.orders import (
    RESERVED_STATES,
    SOLD_STATES,
    UNSOLD_STATES,
    ChargeKind,
    LineState,
    Order,
    OrderLine,
    OrderRefund,
    OrderState,
    RefundRequest,
)
from engine.payments import TILL_METHODS, Refund, RefundState
from engine.settings import SaleStatus, Settings

_LIVE: Final = (LineState.RESERVED, LineState.SOLD)
CREDIT: Final = "credit"
"""Among the ways back: a credit that is opened."""


class Step(StrEnum):
    """What is to be done with an order."""

    NOTHING = "nothing"
    WAIT = "wait"  # its seats are being sold, or its refund is being settled
    GIVE_UP = "give_up"  # nothing was paid, for the order or for its exchange
    REFUND = "refund"  # the way it was paid, or nothing for what is free or reserved
    CREDIT = "credit"
    LEAVE = "leave"  # to a person


class Left(StrEnum):
    """Why a person has to see to an order. Codes of the order desk stand beside these."""

    BY_HAND = "by_hand"  # a person took the money, and there is no address to send a credit to
    DEPOSIT = "deposit"  # reserved, and a part of the money was taken by hand
    TICKET_USED = "ticket_used"
    REFUND_FAILED = "refund_failed"  # the provider refused it, or a bank returned it


class Progress(StrEnum):
    """How far one order is."""

    TODO = "todo"
    WAITING = "waiting"  # given back, and the provider has not answered yet
    DONE = "done"
    LEFT = "left"  # to a person


class Plan(NamedTuple):
    """What is to be done with an order: with these lines, and why a person has to, if so."""

    step: Step
    lines: tuple[int, ...] = ()
    why: str = ""


class Standing(NamedTuple):
    """How far an order is, and what was given back for the performance, in minor units."""

    progress: Progress
    why: str = ""
    amount: int = 0


class CancelledOrder(Struct, frozen=True):
    """An order of a cancelled performance. `told`: its buyer was sent a mail, or needs none."""

    number: int
    progress: Progress
    why: str
    amount: int
    told: bool
    buyer: str = ""


class Cancellation(Struct, frozen=True):
    """A performance that is cancelled, and how far that is. `ended_ms` is 0 while it is not.

    `orders` by `Progress`; `amount` minor units were given back; of `untold` the buyers have no
    address that a mail could be sent to.
    """

    performance: int
    operator: str
    reason: str
    asked_ms: int
    ended_ms: int
    orders: dict[str, int]
    amount: int
    untold: int


class Preview(Struct, frozen=True):
    """What cancelling a performance costs, in minor units of its currency.

    `back` is what goes back by way (a payment method, or "credit"), `fees` what of it are fees that
    any other refund keeps. `reserved` and `open` are orders that nothing was paid of and that are
    given up; `left` and `by_hand` those that a person has to see to, by reason, and the money in
    them that a person took.
    """

    performance: int
    currency: str
    orders: int = 0
    places: int = 0
    free: int = 0
    reserved: int = 0
    open: int = 0
    back: dict[str, int] = {}
    fees: int = 0
    left: dict[str, int] = {}
    by_hand: int = 0
    untold: int = 0


def refund_id(performance: int) -> str:
    """Under which every order gives its places of a performance back."""
    return f"cancelled-{performance}"


def performance_of(refund: str) -> int:
    """The performance of such an id."""
    return int(refund.rpartition("-")[2])


def cancelled(settings: Settings, at_ms: int) -> Settings:
    """The settings of a performance that will not take place: its doors are closed from now on.

    Nor do buyers give places back or exchange them by themselves, for less than all.
    """
    return replace(
        settings,
        status=SaleStatus.CANCELLED,
        doors_open_ms=0,
        doors_close_ms=at_ms,
        returns=None,
        exchanges=None,
    )


def live_lines(order: Order, performance: int) -> list[OrderLine]:
    """The lines of an order that have a ticket for the performance."""
    return [line for line in order.lines if line.performance == performance and line.state in _LIVE]


def plan_of(order: Order, performance: int, used: Collection[int]) -> Plan:
    """What is to be done with an order now. `used` has numbers of tickets that were used."""
    known = _refund(order, performance)
    if known is not None and not known.done:
        return Plan(Step.REFUND, known.lines)  # it is gone on with
    if order.state is OrderState.SELLING:
        return Plan(Step.WAIT)
    if order.exchange is not None:
        # What it is for cannot be had here any more; any other is over soon, one way or the other.
        vain = order.exchange.hold.performance == performance and order.waits
        return Plan(Step.GIVE_UP if vain else Step.WAIT)
    if order.state is OrderState.OPEN:
        here = any(line.performance == performance for line in order.lines)
        return Plan(Step.GIVE_UP if here else Step.NOTHING)
    live = live_lines(order, performance)
    if not live or order.state not in (*SOLD_STATES, *RESERVED_STATES):
        return Plan(Step.NOTHING)
    if known is not None:
        return Plan(Step.LEAVE, why=known.refused or Left.TICKET_USED)
    lines = tuple(line.number for line in live if line.ticket not in used)
    if not lines:
        return Plan(Step.LEAVE, why=Left.TICKET_USED)
    if not any(one.method in TILL_METHODS and one.kept for one in order.payments):
        return Plan(Step.REFUND, lines)
    if order.state in RESERVED_STATES:
        return Plan(Step.LEAVE, why=Left.DEPOSIT)
    nothing = Plan(Step.REFUND, lines)
    # Also places that were free may give back what the order as a whole was charged.
    if not any(given_back(_as_if(order, nothing, performance), performance).values()):
        return nothing
    if not has_address(order):
        return Plan(Step.LEAVE, why=Left.BY_HAND)
    return Plan(Step.CREDIT, lines)


def request_of(plan: Plan, performance: int, reason: str, operator: str) -> RefundRequest:
    """What the order desk is asked for."""
    return RefundRequest(
        refund_id(performance),
        plan.lines,
        reason,
        operator,
        to_credit=plan.step is Step.CREDIT,
        called_off=True,
    )


def standing_of(order: Order, performance: int) -> Standing:
    """How far an order is for which there is nothing to be asked of the desk."""
    amount = sum(given_back(order, performance).values())
    states = {refund.state for refund in _money_back(order, performance)}
    if RefundState.FAILED in states:
        return Standing(Progress.LEFT, Left.REFUND_FAILED, amount)
    if live_lines(order, performance):
        known = _refund(order, performance)
        refused = known.refused if known is not None else ""
        return Standing(Progress.LEFT, refused or Left.TICKET_USED, amount)
    waits = RefundState.REQUESTED in states
    return Standing(Progress.WAITING if waits else Progress.DONE, "", amount)


def given_back(order: Order, performance: int) -> Counter[str]:
    """What was given back for the performance, in minor units by way.

    Of a reservation that came to nothing by it: the part that a credit had paid.
    """
    back: Counter[str] = Counter()
    id = refund_id(performance)
    ended = order.state in UNSOLD_STATES and _refund(order, performance) is not None
    for payment in order.payments:
        for refund in payment.refunds:
            if refund.key == id or (ended and refund.key == LATE_REFUND):
                back[payment.method.value] += refund.amount
    for charge in order.charges:
        if charge.refund == id and charge.kind == ChargeKind.CREDIT:
            back[CREDIT] += charge.amount
    return back


def is_told(order: Order, performance: int) -> bool:
    """Its buyer is sent a mail about the performance, or never had a place in it."""
    known = _refund(order, performance)
    had = bool(live_lines(order, performance)) or (known is not None and bool(known.undone))
    return not had or has_address(order)


def has_address(order: Order) -> bool:
    """Can its buyer be written to?"""
    return is_address(order.buyer.email.strip())


def _refund(order: Order, performance: int) -> OrderRefund | None:
    # Buyers make ids of their own, and may make this one.
    id = refund_id(performance)
    return next((one for one in order.refunds if one.id == id and one.called_off), None)


def _money_back(order: Order, performance: int) -> list[Refund]:
    id = refund_id(performance)
    return [one for payment in order.payments for one in payment.refunds if one.key == id]


# What it costs -------------------------------------------------------------------


def preview(sums: Preview, orders: Iterable[Order], used: Collection[int]) -> Preview:
    """The sums with more orders in them. Each is carried out in thought, by the desk's rules."""
    back, left = Counter(sums.back), Counter(sums.left)
    for found in orders:
        order = found if found.exchange is None else not_exchanged(found, "")
        plan = plan_of(order, sums.performance, used)
        if plan.step is Step.NOTHING:
            continue
        here = live_lines(order, sums.performance)
        sums = replace(
            sums,
            currency=order.currency,
            orders=sums.orders + 1,
            places=sums.places + len(here),
            free=sums.free + sum(not line.price for line in here),
            reserved=sums.reserved + (order.state in RESERVED_STATES),
            open=sums.open + (order.state in (OrderState.OPEN, OrderState.SELLING)),
            untold=sums.untold + (bool(here) and not has_address(order)),
        )
        if plan.step is Step.LEAVE or len(plan.lines) < len(here):
            left[plan.why or Left.TICKET_USED] += 1
        if plan.step is Step.LEAVE:
            hands = (one.kept for one in order.payments if one.method in TILL_METHODS)
            worth = sum(line.price for line in here)
            sums = replace(sums, by_hand=sums.by_hand + min(sum(hands), worth))
        elif plan.step in (Step.REFUND, Step.CREDIT):
            after = _as_if(order, plan, sums.performance)
            back += given_back(after, sums.performance)
            sums = replace(sums, fees=sums.fees + _fees(order, after))
    return replace(sums, back=dict(back), left=dict(left))


def _as_if(order: Order, plan: Plan, performance: int) -> Order:
    """The order once its refund is carried out."""
    id = refund_id(performance)
    card = CREDIT if plan.step is Step.CREDIT else ""
    intent = OrderRefund(id, plan.lines, "", "", 0, card=card, called_off=True)
    others = tuple(one for one in order.refunds if one.id != id)
    return advance(undone(replace(order, refunds=(*others, intent)), intent, plan.lines, ""))


def _fees(before: Order, after: Order) -> int:
    """Fees that go back though no other refund gives them back."""
    gone = {
        line.number
        for was, line in zip(before.lines, after.lines, strict=True)
        if line.state is LineState.REFUNDED and was.state is LineState.SOLD
    }
    of_lines = (
        fee.amount
        for line in before.lines
        for fee in line.fees
        if line.number in gone and not fee.refundable and not fee.absorbed
    )
    of_order = (
        charge.amount
        for was, charge in zip(before.charges, after.charges, strict=False)
        if was.state is LineState.SOLD
        and charge.state is LineState.REFUNDED
        and not charge.refundable
        and not charge.absorbed
    )
    return sum(of_lines) + sum(of_order)
