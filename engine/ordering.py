"""The rules of an order until it is sold or given up: how it is drawn up, and what each thing that
happens makes of it. What becomes of it afterwards is in `engine.order_changes`.

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
from engine.gift_cards import charges_for, malformed_amounts
from engine.limits import MAX_PLACES_PER_HOLD, MAX_TEXT_CHARS
from engine.orders import (
    GIVEN_UP,
    STANDING,
    Bought,
    Charge,
    ChargeKind,
    Delivery,
    LineFee,
    LineState,
    Order,
    OrderExchange,
    OrderHold,
    OrderLine,
    OrderState,
    PlaceOrder,
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
CLOSING_MS: Final = 20_000
"""An order is given up this long before its holds end: a payment page that is closed then may
turn out to be paid, and the seats must still be there to be sold."""
GIFT_CARDS_MS: Final = 30 * 60 * 1_000
"""An order of gift cards alone waits this long for its money: no hold ends it."""
LATE_REFUND: Final = "late"
"""Refund key of a payment that came for an order which went on without it."""
KEY: Final = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
"""Ids of payment attempts and of refunds. No underscore: those of the provider have one."""

GIFT_CARDS: Final = -1
"""In place of a performance's number on a payment page."""

_HEX_DIGITS: Final = string.hexdigits[:16]
_Asked = tuple[Payment, Refund]


# Placing -------------------------------------------------------------------------


def malformed(request: PlaceOrder) -> str:
    """What is wrong with the shape of a request, "" for nothing."""
    if not is_hex(request.id):
        return "id: 32 hexadecimal digits"
    if problem := malformed_amounts(request.gift_cards):
        return problem
    least = 0 if request.gift_cards else 1
    if not least <= len(request.baskets) <= MAX_BASKETS_PER_ORDER:
        return f"baskets: {least} to {MAX_BASKETS_PER_ORDER}"
    if not request.baskets and not (request.performance > 0 and request.currency):
        return "performance: gift cards alone are sold by the house of one"
    if len({hold.performance for hold in request.baskets}) != len(request.baskets):
        return "baskets: one for each performance"
    for hold in request.baskets:
        if problem := malformed_hold(hold):
            return problem
    buyer = request.buyer
    if max(len(buyer.name), len(buyer.email), len(buyer.language)) > MAX_TEXT_CHARS:
        return f"buyer: {MAX_TEXT_CHARS} characters each at most"
    return ""


def malformed_hold(hold: OrderHold) -> str:
    if not is_hex(hold.token):
        return "token: 32 hexadecimal digits"
    if not 1 <= len(hold.lines) <= MAX_PLACES_PER_HOLD:
        return f"lines: 1 to {MAX_PLACES_PER_HOLD}"
    if any(not 1 <= line.quantity <= MAX_PLACES_PER_HOLD for line in hold.lines):
        return f"quantity: 1 to {MAX_PLACES_PER_HOLD}"
    return ""


def is_hex(text: str) -> bool:
    return len(text) == 2 * ID_BYTES and not text.strip(_HEX_DIGITS)


def buyer_key(wanted: PlaceOrder | Order) -> str:
    """Whom limits per buyer count for."""
    return wanted.buyer.email.strip().lower() or wanted.session or wanted.id


def draw_up(
    request: PlaceOrder, quotes: Sequence[Quoted], now_ms: int, codes: Sequence[str] = ()
) -> Order:
    """The order of what was quoted, basket by basket: one line for each place.

    `codes` are those of its gift cards. It is OPEN, or SELLING when there is nothing to pay.
    """
    lines: list[OrderLine] = []
    for basket, quote in zip(request.baskets, quotes, strict=True):
        lines += lines_of(basket, quote, request.delivery, len(lines), request.tax_bp)
    fees = charges_of(request.baskets, quotes, request.delivery, request.tax_bp)
    ends_ms = [quote.expires_ms - CLOSING_MS for quote in quotes]
    order = Order(
        id=request.id,
        number=0,
        state=OrderState.OPEN,
        channel=request.channel,
        currency=quotes[0].currency if quotes else request.currency,
        total=0,
        created_ms=now_ms,
        expires_ms=min(ends_ms, default=now_ms + GIFT_CARDS_MS),
        buyer=request.buyer,
        operator=request.operator,
        session=request.session,
        holds=request.baskets,
        lines=tuple(lines),
        delivery=request.delivery,
        charges=(*fees, *charges_for(request.gift_cards, codes, len(fees))),
        way_fees=_way_fees(request, quotes),
        equal_places=request.equal_places,
        performance=request.performance if not lines else -1,
    )
    state = OrderState.OPEN if order.worth else OrderState.SELLING
    return replace(order, state=state, total=order.worth)


def lines_of(
    hold: OrderHold, quote: Quoted, delivery: Delivery, known: int, tax_bp: int | None
) -> list[OrderLine]:
    """One line for each place of a hold, numbered from after `known`.

    `tax_bp` is the VAT in what has no rate of its own.
    """
    lines: list[OrderLine] = []
    fees = [fee for fee in quote.fees if fee.line >= 0 and _is_charged(fee, delivery)]
    rates = quote.rates or (None,) * len(hold.lines)
    for at, (line, amount) in enumerate(zip(hold.lines, quote.amounts, strict=True)):
        own = tuple(
            LineFee(fee.fee, fee.amount, fee.absorbed, fee.refundable, _rate(fee.tax_bp, tax_bp))
            for fee in fees
            if fee.line == at
        )
        first = known + len(lines) + 1
        lines += [
            OrderLine(
                first + place,
                hold.performance,
                line.seat,
                line.area,
                line.price_type,
                amount,
                fees=own,
                tax_bp=_rate(rates[at], tax_bp),
            )
            for place in range(line.quantity)
        ]
    return lines


def _rate(own: int | None, houses: int | None) -> int | None:
    return houses if own is None else own


def _is_charged(fee: QuotedFee, delivery: Delivery) -> bool:
    """Whatever way is chosen to pay."""
    return fee.kind != FeeKind.PAYMENT and (not fee.ways or delivery.value in fee.ways)


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


def charges_of(
    holds: Sequence[OrderHold],
    quotes: Sequence[Quoted],
    delivery: Delivery,
    tax_bp: int | None,
) -> tuple[Charge, ...]:
    """What is charged once for all; `tax_bp` as of `lines_of`."""
    fees = _once(
        (hold.performance, fee)
        for hold, quote in zip(holds, quotes, strict=True)
        for fee in quote.fees
        if fee.line < 0 and _is_charged(fee, delivery)
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
            tax_bp=_rate(fee.tax_bp, tax_bp),
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
        WayFee(
            fee.fee,
            fee.amount,
            fee.ways,
            performance,
            fee.absorbed,
            fee.refundable,
            _rate(fee.tax_bp, request.tax_bp),
        )
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

    Payments that brought nothing yet are waited for no longer, and their fees are not due. An
    exchange costs no fee for the way in which it is paid.
    """
    payments = tuple(one if one.captured else closed(one) for one in order.payments)
    order = _without_stale_fees(replace(order, payments=payments))
    if order.exchange is not None:
        return order
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
            tax_bp=fee.tax_bp,
        )
        for at, fee in enumerate(fees, 1)
    )
    order = replace(order, charges=(*order.charges, *more))
    return replace(order, total=order.worth)


def _without_stale_fees(order: Order) -> Order:
    """Fees for a way to pay go with a payment that is waited for no longer."""
    if not order.charges:
        return order
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
    return replace(order, total=order.worth) if order.waits else order


def with_payment_begun(order: Order, payment: Payment) -> Order:
    """The order with one payment more."""
    return replace(order, payments=(*order.payments, payment))


def at_rest(order: Order) -> Order:
    """The order in no till session any more once no money of it can move by hand, and booked."""
    unbooked = order.unbooked and order.state is OrderState.SELLING
    till = order.till if order.till and order.moves_by_hand else ""
    if order.till == till and order.unbooked == unbooked:
        return order
    return replace(order, till=till, unbooked=unbooked)


def bought(order: Order) -> Bought:
    """What whoever bought at once is told of the order, which is sold."""
    tickets = tuple(
        (line.performance, line.ticket, line.seat, line.area, line.price_type, line.amount)
        for line in order.lines
        if line.state is LineState.SOLD
    )
    change = sum(payment.change for payment in order.payments)
    return Bought(order.number, order.total, change, tickets)


def has_page(payment: Payment) -> bool:
    """Somebody may still pay on this payment's page, or at its reader."""
    if payment.at_reader:
        return bool(payment.intent)
    ended = payment.captured or payment.failed or payment.expired
    return (
        payment.method is PaymentMethod.STRIPE
        and payment.standing is Standing.WAITING
        and bool(payment.reference)
        and not ended
    )


def page_amounts(order: Order, payment: Payment) -> list[tuple[int, int]]:
    """What a payment is for, by performance, as its page says it; together it is the payment.

    Fees of the order as a whole stand with its first performance, gift cards with that of number
    -1. A payment of a part, or of an exchange, is one sum.
    """
    amounts: dict[int, int] = {}
    for line in order.lines:
        if line.state in STANDING:
            amounts[line.performance] = amounts.get(line.performance, 0) + line.price
    if not amounts:
        return [(GIFT_CARDS, payment.amount)]
    first = order.exchange.hold.performance if order.exchange is not None else min(amounts)
    rest = payment.amount - sum(amounts.values())
    if order.exchange is not None or rest < 0:
        return [(first, payment.amount)]
    if gift_cards := min(rest, order.gift_worth):
        amounts[GIFT_CARDS] = gift_cards
    amounts[first] += rest - gift_cards
    return [pair for pair in sorted(amounts.items()) if pair[1]]


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

    The first payments that cover a waiting order together make it SELLING, or its exchange
    covered; every other one is closed, and money in a closed payment is asked back. Given to itself
    until nothing changes, it comes to an end.
    """
    payments: list[Payment] = []
    waits, left = order.waits, 0
    if waits or order.exchange is not None or order.state is OrderState.SELLING:
        left = order.worth - _confirmed(order)
    for payment in order.payments:
        if payment.captured <= left and _counts(payment, order):
            left -= payment.captured
        elif payment.standing is Standing.WAITING and due_actions(payment):
            payment = close(payment)
        payments.append(_with_late_refund(payment, order.till))
    order = _without_stale_fees(replace(order, payments=tuple(payments)))
    if waits and left <= 0:
        if order.exchange is not None:
            return with_exchange(order, replace(order.exchange, covered=True))
        return replace(order, state=OrderState.SELLING)
    if order.state in GIVEN_UP and order.has_money:
        return replace(order, state=OrderState.FAILED)
    if order.state is OrderState.FAILED and not order.has_money:
        return replace(order, state=OrderState.REFUNDED)
    return order


def _confirmed(order: Order) -> int:
    """The money that what is sold was sold with."""
    return sum(one.counted for one in order.payments if one.standing is Standing.CONFIRMED)


def _counts(payment: Payment, order: Order) -> bool:
    """This payment brought what was asked for."""
    if not order.waits:
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


def closed(payment: Payment) -> Payment:
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
    # A gift card has no ticket whose state tells that it waits.
    charges = tuple(
        replace(one, state=LineState.RESERVED) if one.kind == ChargeKind.GIFT_CARD else one
        for one in order.charges
    )
    waits = OrderState.AWAITING_PAYMENT if order.terms.approved else OrderState.AWAITING_APPROVAL
    return replace(order, state=waits, lines=lines, charges=charges)


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
    return paid_up(order, lines)


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
LOOK_MS: Final = 5_000
"""What waits at a card reader is looked at after this long, in case nobody tells of it."""
APPROVAL_MS: Final = 7 * 24 * 60 * 60 * 1_000
"""Seats are kept this long for somebody to approve."""


def over_ms(order: Order) -> int:
    """When a waiting order is given up by itself.

    Never while money is in it that a person took: nobody else can hand that back.
    """
    if order.state is OrderState.OPEN:
        return order.expires_ms
    if not order.waits:
        return NEVER_MS
    if order.exchange is not None:
        return order.exchange.expires_ms
    by_hand = any(one.method in TILL_METHODS and one.kept for one in order.payments)
    if by_hand or order.terms is None:
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


def look_ms(order: Order) -> int:
    """When the payments of a waiting order that a reader waits for are to be looked at."""
    asked = [one.started_ms for one in order.payments if one.at_reader]
    return min(asked, default=NEVER_MS - LOOK_MS) + LOOK_MS


def comes_up_ms(order: Order) -> int:
    """When an order that waits has something to be done."""
    return min(over_ms(order), reminder_ms(order), look_ms(order))


# The ends of an order ------------------------------------------------------------


def fits(lines: Sequence[OrderLine], tickets: Sequence[Ticket]) -> bool:
    """Are these tickets what the lines of a hold say, in their order?"""
    return [(one.seat, one.area, one.price_type, one.amount) for one in tickets] == [
        (line.seat, line.area, line.price_type, line.amount) for line in lines
    ]


def costs(lines: Sequence[OrderLine], hold: OrderHold, quote: Quoted) -> bool:
    """Is what is quoted for a hold what its lines cost, in their order?"""
    quoted = [
        amount
        for line, amount in zip(hold.lines, quote.amounts, strict=True)
        for _ in range(line.quantity)
    ]
    return quoted == [line.amount for line in lines]


def hold_now(order: Order, hold: OrderHold) -> OrderHold:
    """The hold that is to be sold for one of the order's: itself, or one of equal places."""
    return next((one for one in order.equal if one.performance == hold.performance), hold)


def with_equal(order: Order, hold: OrderHold, token: str, seats: Sequence[int]) -> Order:
    """The order with the hold `token` of equal seats, one for each of a hold that was lost."""
    instead = dict(zip([line.seat for line in hold.lines if line.seat >= 0], seats, strict=True))

    lines = tuple(
        replace(line, seat=instead[line.seat])
        if line.performance == hold.performance and line.seat >= 0
        else line
        for line in order.lines
    )
    places = tuple(
        replace(line, seat=instead[line.seat]) if line.seat >= 0 else line for line in hold.lines
    )
    equal = OrderHold(hold.performance, token, places)
    return replace(order, lines=lines, equal=(*order.equal, equal))


def sold(order: Order, tickets: Mapping[int, Sequence[Ticket]]) -> Order:
    """SELLING to PAID: every line has its ticket. `tickets` are by performance."""
    return paid_up(order, _ticketed(order, tickets, LineState.SOLD))


def _ticketed(
    order: Order, tickets: Mapping[int, Sequence[Ticket]], state: LineState
) -> tuple[OrderLine, ...]:
    rest = {performance: iter(each) for performance, each in tickets.items()}
    lines = []
    for line in order.lines:
        ticket = next(rest[line.performance])
        lines.append(replace(line, state=state, ticket=ticket.number, version=ticket.version))
    return tuple(lines)


def paid_up(
    order: Order, lines: tuple[OrderLine, ...], state: OrderState = OrderState.PAID
) -> Order:
    # `advance` has left no other payments waiting with money in them.
    payments = tuple(
        confirm(one) if one.captured and _counts(one, order) else one for one in order.payments
    )
    order = replace(order, charges=charges_now(order, LineState.RESERVED, LineState.SOLD))
    charges = charges_now(order, LineState.PENDING, LineState.SOLD)
    return replace(order, state=state, lines=lines, payments=payments, charges=charges)


def charges_now(order: Order, was: LineState, state: LineState) -> tuple[Charge, ...]:
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
    payments = tuple(closed(one) for one in order.payments)
    order = replace(order, charges=charges_now(order, LineState.RESERVED, LineState.CANCELLED))
    charges = charges_now(order, LineState.PENDING, LineState.CANCELLED)
    return replace(order, state=state, lines=lines, payments=payments, charges=charges)


def never_sold(order: Order) -> bool:
    """It came to nothing without anybody giving it up: its seats were lost."""
    ended = (OrderState.FAILED, OrderState.REFUNDED, OrderState.EXPIRED)
    return order.state in ended and all(line.state is LineState.CANCELLED for line in order.lines)


def sold_lines(order: Order) -> tuple[int, ...]:
    """The numbers of the lines that have a ticket now."""
    return tuple(line.number for line in order.lines if line.state is LineState.SOLD)


def reserved_lines(order: Order) -> tuple[int, ...]:
    """The numbers of the lines that have a ticket which is not paid."""
    return tuple(line.number for line in order.lines if line.state is LineState.RESERVED)


def with_exchange(order: Order, exchange: OrderExchange) -> Order:
    """The order with this instead of its last exchange."""
    return replace(order, exchanges=(*order.exchanges[:-1], exchange))
