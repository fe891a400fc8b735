"""The ledger: every fact that concerns money, numbered without gaps, each chained to the last.

Owns what a fact is, which facts a changed order makes, and how a record is encoded and
hashed. Who writes them down, and when, is `persistence.ledger`'s; closed periods are
`engine.ledger_periods`, and finding what was tampered with is `engine.ledger_check`.

A record's hash is SHA-256 over a JSON array in UTF-8, without spaces and with nothing escaped
that need not be: the format's name, the hash before (hex; GENESIS for record 1), then the
record's fields in their order without its hash. Anybody can compute it again in ten lines.

A record names no buyer: whoever audits the money need not know who came, and erasing a
person's data touches no record. It names no order's id either, which opens the order's page.
"""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct, structs

from engine.credit import SHOWN_CHARS
from engine.orders import (
    UNSOLD_STATES,
    ChargeKind,
    LineState,
    Order,
    OrderExchange,
    OrderLine,
    OrderRefund,
)
from engine.payments import Payment, PaymentMethod, RefundState

FORMAT: Final = "strapontin-ledger-1"
GENESIS: Final = "0" * 64
"""What the first record and the first period follow."""
NO_TAX: Final = -1
"""`tax_bp` of a record without a tax rate: none is set, or the fact is no sale."""


class FactKind(StrEnum):
    """What happened. Amounts are signed as the house sees them."""

    SALE = "sale"  # a place was sold: + its price
    REFUND = "refund"  # a sold place was given back: - its price
    CANCELLATION = "cancellation"  # an order ended unsold: 0; with a line, a sale taken back: -
    FEE = "fee"  # a fee was charged with a sale: +; it was given back with it: -
    ALLOWANCE = "allowance"  # an amount was given back for places that stay sold: -
    CREDIT = "credit"  # money that is kept for a buyer, who may pay with it: +
    GIFT_CARD = "gift_card"  # one was bought, which the house owes: +; was given back: -
    ABSORBED = "absorbed"  # a fee that the house bears: +, no money of anybody; taken back: -
    PAYMENT = "payment"  # money came: +
    REPAYMENT = "repayment"  # money went back: -; a repayment that bounced: +
    ROUNDING = "rounding"  # cash given beyond (+) or short of (-) the price, for want of coins
    RESTORE = "restore"  # this database was restored from a copy; `ref` says from when


class Fact(Struct, frozen=True, gc=False):
    """What is to be recorded. `line` and `order` are numbers, 0 for none.

    `price_type` is that of the place; of a fee, which one it is. `tax_bp` None: the rate at which
    it was sold before, or the house's.
    """

    kind: FactKind
    amount: int = 0
    currency: str = ""
    order: int = 0
    line: int = 0
    performance: int = -1
    ticket: int = -1
    price_type: str = ""
    method: str = ""
    channel: str = ""
    operator: str = ""
    ref: str = ""
    tax_bp: int | None = None


class Record(Struct, array_like=True, frozen=True, gc=False):
    """A fact in its place. `tax_bp` is the rate contained in the amount, in hundredths of a
    percent. `hash` is hex."""

    organiser: int
    number: int
    at_ms: int
    kind: str
    order: int
    line: int
    performance: int
    ticket: int
    price_type: str
    amount: int
    currency: str
    tax_bp: int
    method: str
    channel: str
    operator: str
    ref: str
    hash: str = ""


class Head(Struct, frozen=True):
    """Where a ledger ends. `key` is the public key of the house's closings, hex."""

    organiser: int
    number: int
    hash: str
    at_ms: int
    closed_until_ms: int
    period: int
    period_hash: str
    key: str


_encode = msgspec.json.Encoder(order="sorted").encode


def canonical(value: object) -> bytes:
    """JSON that has one form only: sorted keys, no spaces, characters as they are."""
    return _encode(value)


def record_hash(before: str, record: Record) -> str:
    """The hash that a record has after `before`."""
    return sha256(canonical([FORMAT, before, *structs.astuple(record)[:-1]])).hexdigest()


def write(
    organiser: int,
    number: int,
    before: str,
    at_ms: int,
    facts: Sequence[tuple[Fact, int]],
) -> list[Record]:
    """Records of facts (each with its tax rate) after the record `number` with hash `before`."""
    records = []
    for fact, tax_bp in facts:
        number += 1
        record = Record(
            organiser,
            number,
            at_ms,
            fact.kind.value,
            fact.order,
            fact.line,
            fact.performance,
            fact.ticket,
            fact.price_type,
            fact.amount,
            fact.currency,
            tax_bp,
            fact.method,
            fact.channel,
            fact.operator,
            fact.ref,
        )
        before = record_hash(before, record)
        records.append(structs.replace(record, hash=before))
    return records


# What a changed order makes ------------------------------------------------------

_HAD_A_TICKET: Final = (LineState.SOLD, LineState.REFUNDED)


def facts_of(before: Order | None, after: Order) -> list[Fact]:
    """What happened to an order's money and places between two of its states.

    However an order came from one to the other, the sums of its facts are the same: nothing
    is told twice, and nothing that was saved is left out. What is not booked yet is told when it
    is, as if it had just come.
    """
    if after.unbooked:
        return []
    if before is not None and before.unbooked:
        before = None
    return [
        *_sales(before, after),
        *_charges(before, after),
        *_ending(before, after),
        *_movements(before, after),
    ]


def _sales(before: Order | None, after: Order) -> Iterator[Fact]:
    known = {line.number: line.state for line in before.lines} if before is not None else {}
    for line in after.lines:
        was = known.get(line.number, LineState.PENDING)
        if line.state in _HAD_A_TICKET and was not in _HAD_A_TICKET:
            yield _of_line(FactKind.SALE, after, line, line.amount, after.operator, "")
            yield from _fees(after, line, +1, after.operator, "")
        if line.state is LineState.REFUNDED and was is not LineState.REFUNDED:
            operator, ref = _refund_of(after, line.number)
            yield _of_line(FactKind.REFUND, after, line, -line.amount, operator, ref)
            yield from _fees(after, line, -1, operator, ref)
        if line.state is LineState.CANCELLED and was is LineState.SOLD:
            yield _of_line(FactKind.CANCELLATION, after, line, -line.amount, after.operator, "")
            yield from _fees(after, line, -1, after.operator, "")


def _fees(order: Order, line: OrderLine, sign: int, operator: str, ref: str) -> Iterator[Fact]:
    for fee in line.fees:
        kind = FactKind.ABSORBED if fee.absorbed else FactKind.FEE
        fact = _of_line(kind, order, line, sign * fee.amount, operator, ref)
        yield structs.replace(fact, price_type=fee.fee, tax_bp=fee.tax_bp)


def _charges(before: Order | None, after: Order) -> Iterator[Fact]:
    known = {one.number: one.state for one in before.charges} if before is not None else {}
    for one in after.charges:
        is_sold, was_sold = (
            state is LineState.SOLD for state in (one.state, known.get(one.number))
        )
        if is_sold is not was_sold:
            causes: list[OrderRefund | OrderExchange] = [*after.refunds, *after.exchanges]
            cause = next((each for each in causes if each.id == one.refund), None)
            yield Fact(
                _OWN_KINDS.get(one.kind, FactKind.ABSORBED if one.absorbed else FactKind.FEE),
                one.amount if is_sold else -one.amount,
                after.currency,
                after.number,
                one.line,
                one.performance,
                price_type=one.fee,
                channel=after.channel.value,
                operator=cause.operator if cause is not None else after.operator,
                ref=one.refund,
                tax_bp=one.tax_bp,
            )


_OWN_KINDS: Final[dict[str, FactKind]] = {
    ChargeKind.ALLOWANCE: FactKind.ALLOWANCE,
    ChargeKind.CREDIT: FactKind.CREDIT,
    ChargeKind.GIFT_CARD: FactKind.GIFT_CARD,
}


def _of_line(
    kind: FactKind, order: Order, line: OrderLine, amount: int, operator: str, ref: str
) -> Fact:
    return Fact(
        kind,
        amount,
        order.currency,
        order.number,
        line.number,
        line.performance,
        line.ticket,
        line.price_type,
        channel=order.channel.value,
        operator=operator,
        ref=ref,
        tax_bp=line.tax_bp,
    )


def _refund_of(order: Order, line: int) -> tuple[str, str]:
    """Who refunded or exchanged a line, and under which id."""
    for refund in order.refunds:
        if line in refund.undone:
            return refund.operator, refund.id
    for exchange in order.exchanges:
        if line in exchange.leaving and not exchange.refused:
            return exchange.operator, exchange.id
    return order.operator, ""


def _ending(before: Order | None, after: Order) -> Iterator[Fact]:
    ended_before = before is not None and before.state in UNSOLD_STATES
    if after.state in UNSOLD_STATES and not ended_before:
        yield Fact(
            FactKind.CANCELLATION,
            currency=after.currency,
            order=after.number,
            channel=after.channel.value,
            operator=after.operator,
            ref=after.state.value,
        )


def _movements(before: Order | None, after: Order) -> Iterator[Fact]:
    known = {payment.id: payment for payment in before.payments} if before is not None else {}
    for payment in after.payments:
        was = known.get(payment.id)
        came = payment.captured - (was.captured if was is not None else 0)
        back = payment.refunded - (was.refunded if was is not None else 0)
        if came:
            yield _of_payment(FactKind.PAYMENT, after, payment, came, _reference(payment))
            coins = payment.given - payment.change - payment.amount
            if payment.method is PaymentMethod.CASH and coins:
                yield _of_payment(FactKind.ROUNDING, after, payment, coins, _reference(payment))
        if back:
            settled = _settled(payment) ^ (_settled(was) if was is not None else set())
            ref = ",".join(sorted(settled)[:MAX_REFS])
            yield _of_payment(FactKind.REPAYMENT, after, payment, -back, ref)


MAX_REFS: Final = 4
"""Refunds named by one repayment; beyond, the amount alone tells."""


def _of_payment(kind: FactKind, order: Order, payment: Payment, amount: int, ref: str) -> Fact:
    return Fact(
        kind,
        amount,
        payment.currency,
        order.number,
        method=payment.method.value,
        channel=order.channel.value,
        operator=order.operator,
        ref=ref,
    )


def _reference(payment: Payment) -> str:
    """The provider's or the terminal's reference, else which attempt of the order it was."""
    if payment.method is PaymentMethod.STORE_CREDIT:
        return payment.reference[-SHOWN_CHARS:]  # the whole code is money
    if payment.method is PaymentMethod.STRIPE_TERMINAL:
        return payment.intent  # a reader takes many
    return payment.reference or payment.id.rpartition("-")[2]


def _settled(payment: Payment) -> set[str]:
    return {one.key for one in payment.refunds if one.state is RefundState.SUCCEEDED}
