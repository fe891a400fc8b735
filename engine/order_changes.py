"""What becomes of an order once it has tickets: refunds, new tickets, prints, exchanges.

Every function gives a new order, as in `engine.ordering`, whose rules these go on with.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from msgspec.structs import replace

from engine.commands import Quoted, Ticket
from engine.gift_cards import gift_cards_of
from engine.ledger import NO_TAX
from engine.limits import MAX_PLACES_PER_HOLD, MAX_TEXT_CHARS
from engine.ordering import (
    CLOSING_MS,
    KEY,
    charges_now,
    charges_of,
    closed,
    given_up,
    lines_of,
    malformed_hold,
    paid_up,
    sold_lines,
    with_exchange,
)
from engine.orders import (
    KEPT_KINDS,
    RESERVED_STATES,
    STANDING,
    UNSOLD_STATES,
    Charge,
    ChargeKind,
    ExchangeRequest,
    LineState,
    Order,
    OrderExchange,
    OrderLine,
    OrderPrint,
    OrderRefund,
    OrderReissue,
    OrderState,
    RefundRequest,
)
from engine.payments import Payment, Standing, begin_refund
from engine.settings import FeeKind
from engine.vat import shared

MAX_REISSUES_PER_ORDER: Final = 50
MAX_EXCHANGES_PER_ORDER: Final = 20
MAX_PRINTS_PER_ORDER: Final = 100
"""The latest; those before are forgotten."""
MAX_REFUNDS_PER_ORDER: Final = 90
"""Leaves room below MAX_REFUNDS_PER_PAYMENT for refunds made in the provider's own pages."""


def malformed_refund(wanted: RefundRequest) -> str:
    """What is wrong with the shape of a refund that is asked for, "" for nothing."""
    if not KEY.fullmatch(wanted.id):
        return "refund: 1 to 64 letters, digits and dashes"
    if len(wanted.reason) > MAX_TEXT_CHARS:
        return f"reason: {MAX_TEXT_CHARS} characters at most"
    if wanted.amount < 0 or wanted.fee < 0:
        return "amount, fee: not negative"
    if wanted.amount and (wanted.lines or wanted.gift_cards):
        return "refund: of lines or of an amount"
    if wanted.to_credit and wanted.gift_cards:
        return "gift_cards: they are a credit already"
    return ""


def malformed_exchange(wanted: ExchangeRequest) -> str:
    """What is wrong with the shape of an exchange that is asked for, "" for nothing."""
    if not KEY.fullmatch(wanted.id):
        return "exchange: 1 to 64 letters, digits and dashes"
    if not 1 <= len(wanted.lines) <= MAX_PLACES_PER_HOLD:
        return f"lines: 1 to {MAX_PLACES_PER_HOLD}"
    if wanted.fee < 0:
        return "fee: not negative"
    if not wanted.same_places:
        return malformed_hold(wanted.hold)
    if [line.quantity for line in wanted.hold.lines] != [1] * len(wanted.lines):
        return "basket: without a token it names each place of the lines"
    return ""


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
    if refund.called_off and order.state in (*RESERVED_STATES, *UNSOLD_STATES):
        return _unreserved(order, lines)
    if refund.amount:
        order = _with_charge(
            order, refund.id, ChargeKind.ALLOWANCE, -refund.amount, _standing(order)
        )
    elif lines or refund.gift_cards:
        order = _without_lines(order, lines, every_fee=refund.called_off) if lines else order
        order = _without_gift_cards(order, refund)
    else:
        return order
    order = _evened(order, refund.id)
    stands = sold_lines(order) or order.gift_worth
    order = replace(order, state=OrderState.PART_REFUNDED if stands else OrderState.REFUNDED)
    fee = min(refund.fee, -order.due)
    order = _with_charge(order, refund.id, ChargeKind.RETURN, fee, _prices(order, lines))
    if refund.card:
        order = _with_charge(order, refund.id, ChargeKind.CREDIT, -order.due, card=refund.card)
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


def printed(
    order: Order,
    id: str,
    lines: Sequence[int],
    gift_cards: Sequence[int],
    operator: str,
    now_ms: int,
) -> Order:
    """The tickets of these lines, and gift cards, are on paper, once more perhaps."""
    tickets = tuple((line.number, line.version) for line in order.lines if line.number in lines)
    one = OrderPrint(id, tickets, operator, now_ms, tuple(gift_cards))
    return replace(order, prints=(*order.prints, one)[-MAX_PRINTS_PER_ORDER:])


def copies(order: Order, id: str) -> dict[int, int]:
    """For each line that a print has: how often its ticket was printed before."""
    before = [one.id for one in order.prints].index(id)
    return {
        ticket[0]: sum(ticket in one.tickets for one in order.prints[:before])
        for ticket in order.prints[before].tickets
    }


def gift_card_copies(order: Order, id: str) -> dict[int, int]:
    """For each gift card that a print has: how often it was printed before."""
    before = [one.id for one in order.prints].index(id)
    return {
        number: sum(number in one.gift_cards for one in order.prints[:before])
        for number in order.prints[before].gift_cards
    }


def exchange_asked(
    order: Order, wanted: ExchangeRequest, quote: Quoted, card: str, now_ms: int
) -> Order:
    """SOLD_STATES to EXCHANGING: what is to come is pending, priced as it was quoted.

    What goes is given back as by a refund, and what the order is charged for once already is not
    charged anew.
    """
    coming = lines_of(wanted.hold, quote, order.delivery, len(order.lines), wanted.tax_bp)
    exchange = OrderExchange(
        wanted.id,
        tuple(sorted(wanted.lines)),
        tuple(line.number for line in coming),
        wanted.hold,
        order.state,
        wanted.operator,
        now_ms,
        quote.expires_ms - CLOSING_MS,
        wanted.fee,
        card,
        channel=wanted.channel,
    )
    pending = LineState.PENDING
    # A place that stays has its fees once, at its new price.
    leaves = () if wanted.same_places else exchange.leaving
    charges = (*order.charges, *_kept_fees(order, leaves, pending))
    charged = {one.fee for one in charges if one.state in STANDING}
    more = [
        one
        for one in charges_of((wanted.hold,), (quote,), order.delivery, wanted.tax_bp)
        if one.fee not in charged
    ]
    charges += tuple(replace(one, number=len(charges) + at) for at, one in enumerate(more, 1))
    order = replace(
        order,
        state=OrderState.EXCHANGING,
        lines=(*order.lines, *coming),
        charges=charges,
        exchanges=(*order.exchanges, exchange),
    )
    order = _evened(order, wanted.id, pending)
    taken = _prices(order, exchange.leaving)
    order = _with_charge(order, wanted.id, ChargeKind.EXCHANGE, wanted.fee, taken, state=pending)
    return replace(order, total=order.worth)


def exchanged(order: Order, tickets: Sequence[Ticket]) -> Order:
    """EXCHANGING to EXCHANGED: `tickets` are those of the lines that come, and what is too much
    goes back."""
    exchange = order.exchange
    assert exchange is not None
    made = dict(zip(exchange.coming, tickets, strict=True))
    gone = _ended_lines(order, exchange.leaving)
    if exchange.same_places:  # their tickets go on, as those of the lines that come
        gone = tuple(
            replace(line, ticket=-1, version=0) if line.number in exchange.leaving else line
            for line in gone
        )
    lines = tuple(
        replace(
            line,
            state=LineState.SOLD,
            ticket=made[line.number].number,
            version=made[line.number].version,
        )
        if line.number in made
        else line
        for line in gone
    )
    # Its payments count for as long as it is under way.
    order = paid_up(order, lines, OrderState.EXCHANGING)
    done = replace(exchange, done=True)
    order = replace(with_exchange(order, done), state=OrderState.EXCHANGED)
    if exchange.card:
        order = _with_charge(order, exchange.id, ChargeKind.CREDIT, -order.due, card=exchange.card)
    return _paid_back(order, exchange.id)


def not_exchanged(order: Order, why: str) -> Order:
    """EXCHANGING to what it was: what came for the exchange alone goes back."""
    exchange = order.exchange
    assert exchange is not None
    lines = tuple(
        replace(line, state=LineState.CANCELLED) if line.number in exchange.coming else line
        for line in order.lines
    )
    order = replace(
        with_exchange(order, replace(exchange, done=True, refused=why)),
        state=exchange.before,
        lines=lines,
        payments=tuple(closed(one) for one in order.payments),
        charges=charges_now(order, LineState.PENDING, LineState.CANCELLED),
    )
    return replace(order, total=order.worth)


def _unreserved(order: Order, lines: Sequence[int]) -> Order:
    """Without these reserved places: it waits for less, or, with none left, for nothing."""
    order = replace(
        order,
        lines=tuple(
            replace(line, state=LineState.CANCELLED) if line.number in lines else line
            for line in order.lines
        ),
    )
    if order.state not in RESERVED_STATES:
        return order  # given up meanwhile
    if not order.has_reserved:
        return given_up(order, OrderState.CANCELLED)
    left = {line.performance for line in order.lines if line.state is LineState.RESERVED}
    charges = tuple(
        replace(one, state=LineState.CANCELLED)
        if one.state is LineState.PENDING and one.performance not in (-1, *left)
        else one
        for one in order.charges
    )
    order = replace(order, charges=charges)
    return replace(order, total=order.worth)


def _without_lines(order: Order, lines: Sequence[int], *, every_fee: bool) -> Order:
    kept = [] if every_fee else _kept_fees(order, lines)
    order = replace(order, lines=_ended_lines(order, lines), charges=(*order.charges, *kept))
    left = {line.performance for line in order.lines if line.state is LineState.SOLD}
    if left and not every_fee:
        return order
    charges = tuple(
        replace(one, state=LineState.REFUNDED) if _goes_back(one, left, every_fee) else one
        for one in order.charges
    )
    return replace(order, charges=charges)


def _without_gift_cards(order: Order, refund: OrderRefund) -> Order:
    """What is taken back of gift cards is no longer worth anything; their credits had it."""
    codes = {one.number: one.code for one in gift_cards_of(order)}
    for number, amount in refund.gift_cards:
        order = _with_charge(
            order, refund.id, ChargeKind.GIFT_CARD, -amount, {NO_TAX: 1}, card=codes[number]
        )
    return order


def _goes_back(charge: Charge, left: Collection[int], every_fee: bool) -> bool:
    """A charge of an order that has places in the performances `left` only."""
    if charge.state is not LineState.SOLD:
        return False
    if not every_fee:
        return charge.refundable
    # What an earlier refund kept, or made, stays.
    own = not charge.refund and not charge.line and charge.kind != ChargeKind.GIFT_CARD
    return own and (not left or charge.performance not in (-1, *left))


def _with_charge(
    order: Order,
    cause: str,
    kind: ChargeKind,
    amount: int,
    by_rate: Mapping[int | None, int] = MappingProxyType({}),
    *,
    card: str = "",
    state: LineState = LineState.SOLD,
) -> Order:
    """The order with what a refund or an exchange charges, if that is anything; it is never given
    back. It is taxed as what it is charged for: `by_rate` is what that comes to at each rate."""
    may_be_negative = kind in (ChargeKind.ALLOWANCE, ChargeKind.GIFT_CARD)
    if not amount or (amount < 0 and not may_be_negative):
        return order
    first = len(order.charges) + 1
    shares = shared(amount, by_rate) or {next(iter(by_rate), None): amount}
    more = tuple(
        Charge(
            number,
            kind.value,
            share,
            kind.value,
            state=state,
            refundable=False,
            refund=cause,
            card=card,
            tax_bp=tax_bp,
        )
        for number, (tax_bp, share) in enumerate(shares.items(), first)
    )
    return replace(order, charges=(*order.charges, *more))


def _evened(order: Order, cause: str, state: LineState = LineState.SOLD) -> Order:
    """What was given back as an amount is not given back again with the place it was given for.

    Nor does it stand at a rate at which less is left: it goes over to the others, and what they
    cannot bear either is given back no longer.
    """
    left = _standing(order)
    below = {rate: -worth for rate, worth in left.items() if worth < 0}
    over = -sum(below.values()) - min(0, sum(left.values()))
    for rate, amount in (below | shared(over, left)).items():
        order = _with_charge(order, cause, ChargeKind.ALLOWANCE, amount, {rate: 1}, state=state)
    return order


def _standing(order: Order) -> dict[int | None, int]:
    """What of an order is worth something yet, by rate: `Order.value` altogether."""
    leaving = order.exchange.leaving if order.exchange is not None else ()
    sums: Counter[int | None] = Counter()
    for line in order.lines:
        if line.state in STANDING and line.number not in leaving:
            sums[line.tax_bp] += line.amount
            for fee in line.fees:
                sums[fee.tax_bp] += 0 if fee.absorbed else fee.amount
    for one in order.charges:
        if one.state in STANDING and not one.absorbed and one.kind not in KEPT_KINDS:
            sums[one.tax_bp] += one.amount
    return dict(sums)


def _prices(order: Order, lines: Collection[int]) -> dict[int | None, int]:
    """What the places of these lines cost, by rate."""
    sums: Counter[int | None] = Counter()
    for line in order.lines:
        if line.number in lines:
            sums[line.tax_bp] += line.amount
    return dict(sums)


def _ended_lines(order: Order, lines: Sequence[int]) -> tuple[OrderLine, ...]:
    return tuple(
        replace(line, state=LineState.REFUNDED) if line.number in lines else line
        for line in order.lines
    )


def _kept_fees(
    order: Order, lines: Sequence[int], state: LineState = LineState.SOLD
) -> list[Charge]:
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
                        state,
                        fee.absorbed,
                        refundable=False,
                        line=line.number,
                        tax_bp=fee.tax_bp,
                    )
                )
    return kept


def _paid_back(order: Order, key: str) -> Order:
    """The order with what it has too much asked back from the payments that made it."""
    due = -order.due
    payments = []
    for payment in order.payments:
        part = min(due, payment.counted) if payment.standing is Standing.CONFIRMED else 0
        if part > 0:
            begun = begin_refund(payment, key, part, till=order.till)
            assert isinstance(begun, Payment), f"refund {key}: {begun}"
            payment, due = begun, due - part
        payments.append(payment)
    return replace(order, payments=tuple(payments))
