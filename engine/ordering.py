"""The rules of an order: how it is drawn up, and what each thing that happens makes of it.

Every function gives a new order; none saves or asks anybody. The order desk saves what comes
out, and only then takes the next step. The desk's part in this is told in `docs/orders.md`.

Each function takes an order over one transition of `NEXT_STATES` at most, so that whoever
reads the saved orders sees every state.
"""

import re
import string
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from engine.commands import ID_BYTES, Quoted, QuotedFee, Ticket
from engine.limits import MAX_PLACES_PER_HOLD, MAX_TEXT_CHARS
from engine.orders import (
    GIVEN_UP,
    STANDING,
    WAITING_STATES,
    Charge,
    ChargeKind,
    LineFee,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderReissue,
    OrderState,
    PlaceOrder,
    RefundRequest,
    Terms,
    TermsKind,
    WayFee,
)
from engine.payments import (
    TILL_METHODS,
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
from engine.settings import FeeKind

MAX_BASKETS_PER_ORDER: Final = 8
MAX_PAYMENTS_PER_ORDER: Final = 10
MAX_REISSUES_PER_ORDER: Final = 50
MAX_REFUNDS_PER_ORDER: Final = 90
"""Leaves room below MAX_REFUNDS_PER_PAYMENT for refunds made in the provider's own pages."""
CLOSING_MS: Final = 20_000
"""An order is given up this long before its holds end: a payment page that is closed then may
turn out to be paid, and the seats must still be there to be sold."""
LATE_REFUND: Final = "late"
"""Refund key of a payment that came for an order which went on without it."""
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


def malformed_refund(wanted: RefundRequest) -> str:
    """What is wrong with the shape of a refund that is asked for, "" for nothing."""
    if not KEY.fullmatch(wanted.id):
        return "refund: 1 to 64 letters, digits and dashes"
    if len(wanted.reason) > MAX_TEXT_CHARS:
        return f"reason: {MAX_TEXT_CHARS} characters at most"
    if wanted.amount < 0 or wanted.fee < 0:
        return "amount, fee: not negative"
    if wanted.amount and wanted.lines:
        return "refund: of lines or of an amount"
    return ""


def _is_hex(text: str) -> bool:
    return len(text) == 2 * ID_BYTES and all(digit in string.hexdigits[:16] for digit in text)


def buyer_key(wanted: PlaceOrder | Order) -> str:
    """Whom limits per buyer count for."""
    return wanted.buyer.email.strip().lower() or wanted.session or wanted.id


def draw_up(request: PlaceOrder, quotes: Sequence[Quoted], now_ms: int) -> Order:
    """The order of what was quoted, basket by basket: one line for each place.

    It is OPEN, or SELLING when there is nothing to pay.
    """
    lines: list[OrderLine] = []
    for basket, quote in zip(request.baskets, quotes, strict=True):
        fees = [fee for fee in quote.fees if fee.line >= 0 and _is_charged(fee, request)]
        for at, (line, amount) in enumerate(zip(basket.lines, quote.amounts, strict=True)):
            own = tuple(
                LineFee(fee.fee, fee.amount, fee.absorbed, fee.refundable)
                for fee in fees
                if fee.line == at
            )
            lines += [
                OrderLine(
                    len(lines) + place + 1,
                    basket.performance,
                    line.seat,
                    line.area,
                    line.price_type,
                    amount,
                    fees=own,
                )
                for place in range(line.quantity)
            ]
    order = Order(
        id=request.id,
        number=0,
        state=OrderState.OPEN,
        channel=request.channel,
        currency=quotes[0].currency,
        total=0,
        created_ms=now_ms,
        expires_ms=min(quote.expires_ms for quote in quotes) - CLOSING_MS,
        buyer=request.buyer,
        operator=request.operator,
        session=request.session,
        holds=request.baskets,
        lines=tuple(lines),
        delivery=request.delivery,
        charges=_charges(request, quotes),
        way_fees=_way_fees(request, quotes),
    )
    state = OrderState.OPEN if order.worth else OrderState.SELLING
    return replace(order, state=state, total=order.worth)


def _is_charged(fee: QuotedFee, request: PlaceOrder) -> bool:
    """Whatever way is chosen to pay."""
    return fee.kind != FeeKind.PAYMENT and (not fee.ways or request.delivery.value in fee.ways)


def _once(fees: Iterable[tuple[int, QuotedFee]]) -> Iterator[tuple[int, QuotedFee]]:
    """Fees of several performances: of one id, the fixed part is charged once."""
    found: dict[str, tuple[int, QuotedFee]] = {}
    for performance, fee in fees:
        known = found.get(fee.fee)
        if known is None:
            found[fee.fee] = performance, fee
        else:
            fixed = max(known[1].fixed, fee.fixed)
            shares = known[1].amount - known[1].fixed + fee.amount - fee.fixed
            found[fee.fee] = -1, replace(known[1], amount=fixed + shares, fixed=fixed)
    yield from found.values()


def _charges(request: PlaceOrder, quotes: Sequence[Quoted]) -> tuple[Charge, ...]:
    fees = _once(
        (basket.performance, fee)
        for basket, quote in zip(request.baskets, quotes, strict=True)
        for fee in quote.fees
        if fee.line < 0 and _is_charged(fee, request)
    )
    return tuple(
        Charge(
            number,
            fee.fee,
            fee.amount,
            fee.kind,
            performance,
            absorbed=fee.absorbed,
            refundable=fee.refundable,
        )
        for number, (performance, fee) in enumerate(fees, 1)
    )


def _way_fees(request: PlaceOrder, quotes: Sequence[Quoted]) -> tuple[WayFee, ...]:
    """Payment fees of the whole order; those per place are summed over its places."""
    found: list[tuple[int, QuotedFee]] = []
    for basket, quote in zip(request.baskets, quotes, strict=True):
        for fee in quote.fees:
            if fee.kind != FeeKind.PAYMENT:
                continue
            if fee.line >= 0:
                amount = fee.amount * basket.lines[fee.line].quantity
                fee = replace(fee, amount=amount, fixed=0)
            found.append((basket.performance, fee))
    return tuple(
        WayFee(fee.fee, fee.amount, fee.ways, performance, fee.absorbed, fee.refundable)
        for performance, fee in _once(found)
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


def to_be_paid_by(order: Order, method: PaymentMethod, payment: str) -> Order:
    """The order as it costs when it is paid this way.

    Payments that brought nothing yet are waited for no longer, and their fees are not due.
    """
    payments = tuple(one if one.captured else _closed(one) for one in order.payments)
    order = _without_stale_fees(replace(order, payments=payments))
    charged = {one.fee for one in order.charges if one.state in STANDING}
    number = len(order.charges)
    fees = [fee for fee in order.way_fees if method.value in fee.ways and fee.fee not in charged]
    more = tuple(
        Charge(
            number + at,
            fee.fee,
            fee.amount,
            FeeKind.PAYMENT.value,
            fee.performance,
            absorbed=fee.absorbed,
            refundable=fee.refundable,
            payment=payment,
        )
        for at, fee in enumerate(fees, 1)
    )
    order = replace(order, charges=(*order.charges, *more))
    return replace(order, total=order.worth)


def _without_stale_fees(order: Order) -> Order:
    """Fees for a way to pay go with a payment that is waited for no longer."""
    closed = {one.id for one in order.payments if one.standing is Standing.CLOSED}
    if not any(one.payment in closed and one.state is LineState.PENDING for one in order.charges):
        return order
    charges = tuple(
        replace(one, state=LineState.CANCELLED)
        if one.payment in closed and one.state is LineState.PENDING
        else one
        for one in order.charges
    )
    order = replace(order, charges=charges)
    return replace(order, total=order.worth) if order.state in WAITING_STATES else order


def with_payment_begun(order: Order, payment: Payment) -> Order:
    """The order with one payment more."""
    return replace(order, payments=(*order.payments, payment))


def at_rest(order: Order) -> Order:
    """The order in no till session any more once no money of it can move by hand."""
    return order if order.moves_by_hand or not order.till else replace(order, till="")


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

    The first payments that cover a waiting order together make it SELLING, every other one is
    closed, and money in a closed payment is asked back. Given to itself until nothing changes, it
    comes to an end.
    """
    payments: list[Payment] = []
    waits = order.state in WAITING_STATES
    left = order.worth if waits or order.state is OrderState.SELLING else 0
    for payment in order.payments:
        if payment.captured <= left and _counts(payment, order.state):
            left -= payment.captured
        elif payment.standing is Standing.WAITING and due_actions(payment):
            payment = close(payment)
        payments.append(_with_late_refund(payment, order.till))
    order = _without_stale_fees(replace(order, payments=tuple(payments)))
    if waits and not left:
        return replace(order, state=OrderState.SELLING)
    if order.state in GIVEN_UP and order.has_money:
        return replace(order, state=OrderState.FAILED)
    if order.state is OrderState.FAILED and not order.has_money:
        return replace(order, state=OrderState.REFUNDED)
    return order


def _counts(payment: Payment, state: OrderState) -> bool:
    """This payment brought what was asked for."""
    if state is OrderState.SELLING:
        # It did when the order was found paid; a refund made elsewhere since is another matter.
        return payment.standing is Standing.WAITING and payment.captured == payment.amount
    return any(action.kind is ActionKind.CONFIRM_ORDER for action in due_actions(payment))


def _with_late_refund(payment: Payment, till: str) -> Payment:
    for action in due_actions(payment):
        if action.kind is ActionKind.REFUND_LATE_PAYMENT:
            begun = begin_refund(payment, LATE_REFUND, action.amount, till=till)
            # Refused only when it was begun before, and refunds made elsewhere, which are not
            # reported one by one yet, make it look too small. Then their reports are awaited.
            return begun if isinstance(begun, Payment) else payment
    return payment


def _closed(payment: Payment) -> Payment:
    return close(payment) if payment.standing is Standing.WAITING else payment


# Reservations --------------------------------------------------------------------


def to_reserve(order: Order, terms: Terms) -> Order:
    """OPEN to SELLING: its seats are to be kept without all of the money."""
    return replace(order, state=OrderState.SELLING, terms=terms)


def deposit(now_ms: int) -> Terms:
    """The terms of an order that somebody took a part of the money for."""
    return Terms(TermsKind.DEPOSIT, since_ms=now_ms)


def reserved(order: Order, tickets: Mapping[int, Sequence[Ticket]]) -> Order:
    """SELLING to AWAITING_APPROVAL or AWAITING_PAYMENT: every line has a ticket, unpaid."""
    assert order.terms is not None
    lines = _ticketed(order, tickets, LineState.RESERVED)
    waits = OrderState.AWAITING_PAYMENT if order.terms.approved else OrderState.AWAITING_APPROVAL
    return replace(order, state=waits, lines=lines)


def terms_from(terms: Terms, now_ms: int, *, approved: bool) -> Terms:
    """Terms from now on: with reminders they end an interval after the last."""
    until_ms = terms.until_ms
    if terms.first_ms:
        until_ms = now_ms + terms.first_ms + terms.reminders * terms.interval_ms
    return replace(terms, approved=approved, since_ms=now_ms, until_ms=until_ms)


def approved(order: Order, now_ms: int) -> Order:
    """AWAITING_APPROVAL to AWAITING_PAYMENT. Its terms begin."""
    assert order.terms is not None
    terms = terms_from(order.terms, now_ms, approved=True)
    return replace(order, state=OrderState.AWAITING_PAYMENT, terms=terms)


def activated(order: Order) -> Order:
    """SELLING to PAID: the tickets that were reserved are paid."""
    lines = tuple(
        replace(line, state=LineState.SOLD) if line.state is LineState.RESERVED else line
        for line in order.lines
    )
    return _paid(order, lines)


def freed(order: Order) -> Order:
    """The tickets that were reserved for an order that was given up have ended."""
    lines = tuple(
        replace(line, state=LineState.CANCELLED) if line.state is LineState.RESERVED else line
        for line in order.lines
    )
    return replace(order, lines=lines)


def reminded(order: Order) -> Order:
    """One reminder more was sent."""
    assert order.terms is not None
    return replace(order, terms=replace(order.terms, reminded=order.terms.reminded + 1))


# Time ----------------------------------------------------------------------------

NEVER_MS: Final = 2**62
APPROVAL_MS: Final = 7 * 24 * 60 * 60 * 1_000
"""Seats are kept this long for somebody to approve."""


def over_ms(order: Order) -> int:
    """When a waiting order is given up by itself.

    Never while money is in it that a person took: nobody else can hand that back.
    """
    if order.state is OrderState.OPEN:
        return order.expires_ms
    by_hand = any(one.method in TILL_METHODS and one.kept for one in order.payments)
    if order.state not in WAITING_STATES or by_hand or order.terms is None:
        return NEVER_MS
    if order.state is OrderState.AWAITING_APPROVAL:
        return order.terms.since_ms + APPROVAL_MS
    return order.terms.until_ms or NEVER_MS


def reminder_ms(order: Order) -> int:
    """When the buyer is to be reminded next."""
    terms = order.terms
    if order.state is not OrderState.AWAITING_PAYMENT or terms is None:
        return NEVER_MS
    if not terms.first_ms or terms.reminded >= terms.reminders:
        return NEVER_MS
    return terms.since_ms + terms.first_ms + terms.reminded * terms.interval_ms


def comes_up_ms(order: Order) -> int:
    """When an order that waits has something to be done."""
    return min(over_ms(order), reminder_ms(order))


# The ends of an order ------------------------------------------------------------


def fits(order: Order, performance: int, tickets: Sequence[Ticket]) -> bool:
    """Are these tickets what the order's lines say, in their order?"""
    return [(one.seat, one.area, one.price_type, one.amount) for one in tickets] == [
        (line.seat, line.area, line.price_type, line.amount)
        for line in order.lines
        if line.performance == performance
    ]


def costs(order: Order, performance: int, hold: OrderHold, quote: Quoted) -> bool:
    """Is what is quoted for a hold what the order's lines there cost, in their order?"""
    quoted = [
        amount
        for line, amount in zip(hold.lines, quote.amounts, strict=True)
        for _ in range(line.quantity)
    ]
    return quoted == [line.amount for line in order.lines if line.performance == performance]


def sold(order: Order, tickets: Mapping[int, Sequence[Ticket]]) -> Order:
    """SELLING to PAID: every line has its ticket. `tickets` are by performance."""
    return _paid(order, _ticketed(order, tickets, LineState.SOLD))


def _ticketed(
    order: Order, tickets: Mapping[int, Sequence[Ticket]], state: LineState
) -> tuple[OrderLine, ...]:
    rest = {performance: iter(each) for performance, each in tickets.items()}
    lines = []
    for line in order.lines:
        ticket = next(rest[line.performance])
        lines.append(replace(line, state=state, ticket=ticket.number, version=ticket.version))
    return tuple(lines)


def _paid(order: Order, lines: tuple[OrderLine, ...]) -> Order:
    # `advance` has left no other payments waiting with money in them.
    payments = tuple(
        confirm(one) if one.captured and _counts(one, order.state) else one
        for one in order.payments
    )
    charges = _charges_now(order, LineState.PENDING, LineState.SOLD)
    return replace(order, state=OrderState.PAID, lines=lines, payments=payments, charges=charges)


def _charges_now(order: Order, was: LineState, state: LineState) -> tuple[Charge, ...]:
    """The charges of an order, those in one state brought to another."""
    return tuple(replace(one, state=state) if one.state is was else one for one in order.charges)


def lost(order: Order) -> Order:
    """SELLING to FAILED, or to EXPIRED when there is no money: there is nothing to sell."""
    return _ended(order, OrderState.FAILED if order.has_money else OrderState.EXPIRED)


def given_up(order: Order, state: OrderState) -> Order:
    """To CANCELLED or EXPIRED: not all of the money came."""
    return _ended(order, state)


def _ended(order: Order, state: OrderState) -> Order:
    # What is reserved stays so until its tickets have ended.
    lines = tuple(
        line if line.state is LineState.RESERVED else replace(line, state=LineState.CANCELLED)
        for line in order.lines
    )
    payments = tuple(_closed(one) for one in order.payments)
    charges = _charges_now(order, LineState.PENDING, LineState.CANCELLED)
    return replace(order, state=state, lines=lines, payments=payments, charges=charges)


def never_sold(order: Order) -> bool:
    """It came to nothing without anybody giving it up: its seats were lost."""
    ended = (OrderState.FAILED, OrderState.REFUNDED, OrderState.EXPIRED)
    return order.state in ended and all(line.state is LineState.CANCELLED for line in order.lines)


def sold_lines(order: Order) -> tuple[int, ...]:
    """The numbers of the lines that have a ticket now."""
    return tuple(line.number for line in order.lines if line.state is LineState.SOLD)


def undone(order: Order, refund: OrderRefund, lines: Sequence[int], refused: str) -> Order:
    """The refund is carried out: these lines' tickets have ended, and their money is due.

    Fees go back with their places where they are refundable; those of the order as a whole with
    its last place. `refused` is the code of the performances that refused, "" for none. Money
    that went back in the provider's own pages before is not given a second time. A refund of an
    amount has no lines.
    """
    done = replace(refund, done=True, undone=tuple(sorted(lines)), refused=refused)
    refunds = tuple(done if one.id == done.id else one for one in order.refunds)
    order = replace(order, refunds=refunds)
    if refund.amount:
        order = _with_charge(order, refund, ChargeKind.ALLOWANCE, -refund.amount)
    elif lines:
        order = _without_lines(order, lines)
    else:
        return order
    # What was given back as an amount is not given back again with the place it was given for.
    if order.value < 0:
        order = _with_charge(order, refund, ChargeKind.ALLOWANCE, -order.value)
    state = OrderState.PART_REFUNDED if sold_lines(order) else OrderState.REFUNDED
    order = replace(order, state=state)
    order = _with_charge(order, refund, ChargeKind.RETURN, min(refund.fee, -order.due))
    if refund.card:
        order = _with_charge(order, refund, ChargeKind.CREDIT, -order.due, refund.card)
    return _paid_back(order, refund.id)


def reissued(
    order: Order, reissue: OrderReissue, versions: Mapping[int, int], refused: str
) -> Order:
    """The tickets of these lines (each with its new version) are new; what was printed is void."""
    done = replace(reissue, done=True, refused=refused)
    lines = tuple(
        replace(line, version=versions.get(line.number, line.version)) for line in order.lines
    )
    reissues = tuple(done if one.id == done.id else one for one in order.reissues)
    return replace(order, lines=lines, reissues=reissues)


def _without_lines(order: Order, lines: Sequence[int]) -> Order:
    kept = _kept_fees(order, lines)
    order = replace(
        order,
        lines=tuple(
            replace(line, state=LineState.REFUNDED) if line.number in lines else line
            for line in order.lines
        ),
        charges=(*order.charges, *kept),
    )
    if sold_lines(order):
        return order
    charges = tuple(
        replace(one, state=LineState.REFUNDED)
        if one.state is LineState.SOLD and one.refundable
        else one
        for one in order.charges
    )
    return replace(order, charges=charges)


def _with_charge(
    order: Order, refund: OrderRefund, kind: ChargeKind, amount: int, card: str = ""
) -> Order:
    """The order with what a refund charges, if that is anything; it is never given back."""
    if not amount or (amount < 0 and kind is not ChargeKind.ALLOWANCE):
        return order
    charge = Charge(
        len(order.charges) + 1,
        kind.value,
        amount,
        kind.value,
        state=LineState.SOLD,
        refundable=False,
        refund=refund.id,
        card=card,
    )
    return replace(order, charges=(*order.charges, charge))


def _kept_fees(order: Order, lines: Sequence[int]) -> list[Charge]:
    """What the house keeps of the fees of lines that are refunded."""
    kept: list[Charge] = []
    for line in order.lines:
        for fee in line.fees if line.number in lines else ():
            if not fee.refundable:
                number = len(order.charges) + len(kept) + 1
                kept.append(
                    Charge(
                        number,
                        fee.fee,
                        fee.amount,
                        FeeKind.SERVICE.value,
                        line.performance,
                        LineState.SOLD,
                        fee.absorbed,
                        refundable=False,
                        line=line.number,
                    )
                )
    return kept


def _paid_back(order: Order, key: str) -> Order:
    """The order with what it has too much asked back from the payments that made it."""
    due = -order.due
    payments = []
    for payment in order.payments:
        part = min(due, payment.kept) if payment.standing is Standing.CONFIRMED else 0
        if part > 0:
            begun = begin_refund(payment, key, part, till=order.till)
            assert isinstance(begun, Payment), f"refund {key}: {begun}"
            payment, due = begun, due - part
        payments.append(payment)
    return replace(order, payments=tuple(payments))
