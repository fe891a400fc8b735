"""The rules of an order: how it is drawn up, and what each thing that happens makes of it.

Every function gives a new order; none saves or asks anybody. The order desk saves what comes
out, and only then takes the next step. The desk's part in this is told in `docs/orders.md`.

Each function takes an order over one transition of `NEXT_STATES` at most, so that whoever
reads the saved orders sees every state.
"""

import re
import string
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from engine.commands import ID_BYTES, Quoted, Ticket
from engine.limits import MAX_PLACES_PER_HOLD, MAX_TEXT_CHARS
from engine.orders import (
    LineState,
    Order,
    OrderLine,
    OrderRefund,
    OrderState,
    PlaceOrder,
)
from engine.payments import (
    ActionKind,
    Payment,
    PaymentMethod,
    ProviderEvent,
    Refund,
    RefundState,
    Standing,
    begin_refund,
    close,
    confirm,
    due_actions,
)

MAX_BASKETS_PER_ORDER: Final = 8
MAX_PAYMENTS_PER_ORDER: Final = 10
MAX_REFUNDS_PER_ORDER: Final = 90
"""Leaves room below MAX_REFUNDS_PER_PAYMENT for refunds made in the provider's own pages."""
CLOSING_MS: Final = 20_000
"""An order is given up this long before its holds end: a payment page that is closed then may
turn out to be paid, and the seats must still be there to be sold."""
LATE_REFUND: Final = "late"
"""Refund key of a payment that came for an order which went on without it."""
TILL_METHODS: Final = (PaymentMethod.CASH, PaymentMethod.CARD_TERMINAL)
"""A person takes the money, and can hand it back."""

KEY: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
"""Ids of payment attempts and of refunds. No underscore: those of the provider have one."""

_Asked = tuple[Payment, Refund]


# Placing -------------------------------------------------------------------------


def malformed(request: PlaceOrder) -> str:
    """What is wrong with the shape of a request, "" for nothing."""
    if not _is_hex(request.id):
        return "id: 32 hexadecimal digits"
    if not 1 <= len(request.baskets) <= MAX_BASKETS_PER_ORDER:
        return f"baskets: 1 to {MAX_BASKETS_PER_ORDER}"
    if len({hold.performance for hold in request.baskets}) != len(request.baskets):
        return "baskets: one for each performance"
    for hold in request.baskets:
        if not _is_hex(hold.token):
            return "token: 32 hexadecimal digits"
        if not 1 <= len(hold.lines) <= MAX_PLACES_PER_HOLD:
            return f"lines: 1 to {MAX_PLACES_PER_HOLD}"
        if any(not 1 <= line.quantity <= MAX_PLACES_PER_HOLD for line in hold.lines):
            return f"quantity: 1 to {MAX_PLACES_PER_HOLD}"
    buyer = request.buyer
    if max(len(buyer.name), len(buyer.email), len(buyer.language)) > MAX_TEXT_CHARS:
        return f"buyer: {MAX_TEXT_CHARS} characters each at most"
    return ""


def _is_hex(text: str) -> bool:
    return len(text) == 2 * ID_BYTES and all(digit in string.hexdigits[:16] for digit in text)


def buyer_key(request: PlaceOrder) -> str:
    """Whom limits per buyer count for."""
    return request.buyer.email.strip().lower() or request.session or request.id


def draw_up(request: PlaceOrder, quotes: Sequence[Quoted], now_ms: int) -> Order:
    """The order of what was quoted, basket by basket: one line for each place.

    It is PENDING, or PAID when there is nothing to pay.
    """
    lines: list[OrderLine] = []
    for basket, quote in zip(request.baskets, quotes, strict=True):
        for line, amount in zip(basket.lines, quote.amounts, strict=True):
            lines += [
                OrderLine(
                    len(lines) + place + 1,
                    basket.performance,
                    line.seat,
                    line.area,
                    line.price_type,
                    amount,
                )
                for place in range(line.quantity)
            ]
    total = sum(quote.total for quote in quotes)
    return Order(
        id=request.id,
        number=0,
        state=OrderState.PENDING if total else OrderState.PAID,
        channel=request.channel,
        currency=quotes[0].currency,
        total=total,
        created_ms=now_ms,
        expires_ms=min(quote.expires_ms for quote in quotes) - CLOSING_MS,
        buyer=request.buyer,
        operator=request.operator,
        session=request.session,
        holds=request.baskets,
        lines=tuple(lines),
    )


# Payments ------------------------------------------------------------------------


def payment_of(order: Order, id: str) -> Payment | None:
    """The order's payment of this id."""
    return next((payment for payment in order.payments if payment.id == id), None)


def told_of(order: Order, event: ProviderEvent) -> Payment | None:
    """The payment that a provider's event is about."""
    for payment in order.payments:
        if payment.id == event.payment or (event.intent and payment.intent == event.intent):
            return payment
    return None


def with_payment(order: Order, payment: Payment) -> Order:
    """The order with this payment instead of the one that has its id."""
    payments = tuple(payment if one.id == payment.id else one for one in order.payments)
    return replace(order, payments=payments)


def with_attempt(order: Order, payment: Payment) -> Order:
    """The order with one more payment; those that still wait wait no longer."""
    return replace(order, payments=(*_closed(order.payments), payment))


def has_page(payment: Payment) -> bool:
    """Somebody may still pay on this payment's page."""
    ended = payment.captured or payment.failed or payment.expired
    return (
        payment.method is PaymentMethod.STRIPE
        and payment.standing is Standing.WAITING
        and bool(payment.reference)
        and not ended
    )


def asked_back(order: Order) -> list[_Asked]:
    """The refunds that the provider has not heard of yet, each with its payment."""
    return [
        (payment, refund)
        for payment in order.payments
        for refund in payment.refunds
        if refund.state is RefundState.REQUESTED
    ]


def advance(order: Order) -> Order:
    """All that follows from the order's payments without asking anybody.

    The first payment that covers a waiting order makes it PAID, every other one is closed, and
    money in a closed payment is asked back. Given to itself until nothing changes, it comes to
    an end.
    """
    payments: list[Payment] = []
    paid = order.state not in (OrderState.PENDING, OrderState.PAID)
    for payment in order.payments:
        if not paid and _covers(payment, order.state):
            paid = True
        elif payment.standing is Standing.WAITING and due_actions(payment):
            payment = close(payment)
        payments.append(_with_late_refund(payment))
    order = replace(order, payments=tuple(payments))
    if order.state is OrderState.PENDING and paid:
        return replace(order, state=OrderState.PAID)
    if order.state is OrderState.CANCELLED and order.has_money:
        return replace(order, state=OrderState.FAILED)
    if order.state is OrderState.FAILED and not order.has_money:
        return replace(order, state=OrderState.REFUNDED)
    return order


def _covers(payment: Payment, state: OrderState) -> bool:
    if state is OrderState.PAID:
        # It did when the order became PAID; a refund made elsewhere since is another matter.
        return payment.standing is Standing.WAITING and payment.captured == payment.amount
    return any(action.kind is ActionKind.CONFIRM_ORDER for action in due_actions(payment))


def _with_late_refund(payment: Payment) -> Payment:
    for action in due_actions(payment):
        if action.kind is ActionKind.REFUND_LATE_PAYMENT:
            begun = begin_refund(payment, LATE_REFUND, action.amount)
            # Refused only when it was begun before, and refunds made elsewhere, which are not
            # reported one by one yet, make it look too small. Then their reports are awaited.
            return begun if isinstance(begun, Payment) else payment
    return payment


def _closed(payments: Sequence[Payment]) -> tuple[Payment, ...]:
    return tuple(
        close(payment) if payment.standing is Standing.WAITING else payment for payment in payments
    )


# The ends of an order ------------------------------------------------------------


def fits(order: Order, performance: int, tickets: Sequence[Ticket]) -> bool:
    """Are these tickets what the order's lines say, in their order?"""
    return [(one.seat, one.area, one.price_type, one.amount) for one in tickets] == [
        (line.seat, line.area, line.price_type, line.amount)
        for line in order.lines
        if line.performance == performance
    ]


def sold(order: Order, tickets: Mapping[int, Sequence[Ticket]]) -> Order:
    """PAID to CONFIRMED: every line has its ticket. `tickets` are by performance."""
    rest = {performance: iter(each) for performance, each in tickets.items()}
    lines = []
    for line in order.lines:
        ticket = next(rest[line.performance])
        lines.append(
            replace(line, state=LineState.SOLD, ticket=ticket.number, version=ticket.version)
        )
    maker = next((one for one in order.payments if _covers(one, order.state)), None)
    if maker is not None:
        order = with_payment(order, confirm(maker))
    return replace(order, state=OrderState.CONFIRMED, lines=tuple(lines))


def lost(order: Order) -> Order:
    """PAID to FAILED: there is nothing to sell, the money is owed back."""
    return _ended(order, OrderState.FAILED)


def given_up(order: Order) -> Order:
    """PENDING to CANCELLED: no money came."""
    return _ended(order, OrderState.CANCELLED)


def _ended(order: Order, state: OrderState) -> Order:
    lines = tuple(replace(line, state=LineState.CANCELLED) for line in order.lines)
    return replace(order, state=state, lines=lines, payments=_closed(order.payments))


def never_sold(order: Order) -> bool:
    """Money came for this order, and its seats were lost."""
    return order.state in (OrderState.FAILED, OrderState.REFUNDED) and all(
        line.state is LineState.CANCELLED for line in order.lines
    )


def sold_lines(order: Order) -> tuple[int, ...]:
    """The numbers of the lines that have a ticket now."""
    return tuple(line.number for line in order.lines if line.state is LineState.SOLD)


def undone(order: Order, refund: OrderRefund, lines: Sequence[int], refused: str) -> Order:
    """The refund is carried out: these lines' tickets have ended, and their money is due.

    `refused` is the code of the performances that refused, "" for none. Money that went back
    in the provider's own pages before is not given a second time.
    """
    done = replace(refund, done=True, undone=tuple(sorted(lines)), refused=refused)
    due = sum(line.amount for line in order.lines if line.number in lines)
    payments = []
    for payment in order.payments:
        part = min(due, payment.kept) if payment.standing is Standing.CONFIRMED else 0
        if part:
            begun = begin_refund(payment, refund.id, part)
            assert isinstance(begun, Payment), f"refund {refund.id}: {begun}"
            payment, due = begun, due - part
        payments.append(payment)
    order = replace(
        order,
        lines=tuple(
            replace(line, state=LineState.REFUNDED) if line.number in lines else line
            for line in order.lines
        ),
        payments=tuple(payments),
        refunds=tuple(done if one.id == done.id else one for one in order.refunds),
    )
    return order if sold_lines(order) else replace(order, state=OrderState.REFUNDED)
