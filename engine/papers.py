"""Invoices and credit notes: what an order was billed for, and what of that was taken back.

Owns what a paper says, and the VAT in it. A paper keeps its facts, not its looks: it is never
changed once it has its number, and drawing it again says the same. What the papers of an order
say together is what stands of the order, item by item: whatever changes after the invoice makes
another paper, a credit note where less is owed than before.

Prices contain their VAT. It is reckoned for each rate on what all papers of an order come to so
far, half a minor unit up, and a paper says by how much that changed. So net and VAT add up to the
gross to the cent, papers that take everything back leave nothing, and no credit notes together
take back more VAT than the invoice had.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from engine.gift_cards import gift_cards_of
from engine.ledger import NO_TAX
from engine.orders import (
    RESERVED_STATES,
    STANDING,
    TICKETED_STATES,
    UNSOLD_STATES,
    ChargeKind,
    LineState,
    Order,
    OrderState,
)
from engine.payments import PaymentMethod
from engine.vat import shared, vat_in

FORMAT: Final = "strapontin-paper-1"
MAX_ADDRESS_LINES: Final = 8
MAX_NUMBER: Final = 999_999
"""Of a year's series; a name has six digits."""
PAPER_NAME: Final = "^[FAD][0-9]{4}-[0-9]{6}$"


class PaperKind(StrEnum):
    """Each kind has a series of numbers of its own for each year."""

    INVOICE = "invoice"
    CREDIT_NOTE = "credit_note"
    SETTLEMENT = "settlement"


LETTERS: Final = {
    PaperKind.INVOICE: "F",
    PaperKind.CREDIT_NOTE: "A",
    PaperKind.SETTLEMENT: "D",
}
"""What a name begins with: *facture*, *avoir*, *décompte*."""


class PaperRefusal(StrEnum):
    """Why no paper was issued."""

    ORDER_UNKNOWN = "order_unknown"
    INVOICE_NOT_READY = "invoice_not_ready"  # nothing of it stands; the detail is its state
    PERIOD_OPEN = "period_open"  # a day of it is not closed; the detail is the last that is
    PERIOD_TOO_LARGE = "period_too_large"  # it has too many rows


class PaperRefused(Struct, frozen=True):
    code: PaperRefusal
    detail: str = ""


class Seller(Struct, frozen=True, omit_defaults=True):
    """The house as it was when the paper was issued; what is empty is not printed.

    `no_vat` is why it charges none, `late_payment` what a professional owes who pays late.
    """

    name: str
    legal_name: str = ""
    address: tuple[str, ...] = ()
    contact: tuple[str, ...] = ()
    country: str = "FR"
    licences: tuple[str, ...] = ()
    business_id: str = ""
    vat_number: str = ""
    legal: tuple[str, ...] = ()
    no_vat: str = ""
    late_payment: str = ""
    bank_account: str = ""


class Client(Struct, frozen=True, omit_defaults=True):
    """Whom a paper is for, as they gave themselves."""

    name: str = ""
    address: tuple[str, ...] = ()
    email: str = ""


class Item(Struct, frozen=True, omit_defaults=True):
    """One thing billed, or taken back: `amount` is signed, and contains its VAT.

    `key` is what it is in the order: papers that speak of one thing have one key. `kind` is
    "place", or that of a charge; `label` the price type or the fee in the paper's language. A place
    that came after the invoice is called by its `ticket` alone.
    """

    key: str
    kind: str
    amount: int
    tax_bp: int = NO_TAX
    label: str = ""
    performance: int = -1
    section: str = ""
    row: str = ""
    seat: str = ""
    ticket: int = -1


_TICKETED: Final = (LineState.RESERVED, LineState.SOLD)
PLACE: Final = "place"
REDUCTION: Final = ChargeKind.ALLOWANCE.value
GIFT_CARD: Final = ChargeKind.GIFT_CARD.value
"""What was given back while its places stay sold, all of it together; also its key."""


class Shown(Struct, frozen=True):
    """A performance that a paper speaks of."""

    number: int
    title: str
    starts_ms: int


class Rate(Struct, frozen=True):
    """What of a paper is taxed at a rate (hundredths of a percent; NO_TAX: not at all)."""

    tax_bp: int
    net: int
    vat: int

    @property
    def gross(self) -> int:
        return self.net + self.vat


class Received(Struct, frozen=True):
    """What had come by a payment method when the paper was issued."""

    method: PaymentMethod
    amount: int


class Paper(Struct, frozen=True, kw_only=True):
    """An invoice or a credit note. `corrects` names the invoice that it belongs to, issued at
    `corrects_ms`. `due_ms` is until when what is open is to be paid, 0 for no such time."""

    format: str = FORMAT
    kind: PaperKind
    name: str
    at_ms: int
    time_zone: str
    language: str
    seller: Seller
    client: Client
    order: int
    currency: str
    items: tuple[Item, ...]
    performances: tuple[Shown, ...]
    rates: tuple[Rate, ...]
    received: tuple[Received, ...] = ()
    due_ms: int = 0
    corrects: str = ""
    corrects_ms: int = 0

    @property
    def total(self) -> int:
        return sum(item.amount for item in self.items)


class PaperRow(Struct, frozen=True):
    """A paper in a list. `order` is the order's number, 0 for none; of a settlement's several
    currencies there is no total, and `currency` is ""."""

    name: str
    kind: PaperKind
    at_ms: int
    order: int
    currency: str
    total: int


class Names(Struct, frozen=True):
    """How things are called in a paper's language: price types and fees by their ids."""

    performances: tuple[Shown, ...] = ()
    price_types: Mapping[str, str] = {}
    fees: Mapping[str, str] = {}

    def of(self, item: Item) -> Item:
        known = self.price_types if item.kind == PLACE else self.fees
        return replace(item, label=known.get(item.label, item.label))


class Wording(Struct, frozen=True):
    """What the one who asks for an invoice knows: its language, whom it is for, and the words.

    `places` are section, row and seat by line number.
    """

    language: str
    client: Client
    names: Names
    places: Mapping[int, tuple[str, str, str]]


class Rates(Struct, frozen=True):
    """At which rates things are taxed, in hundredths of a percent, NO_TAX for not at all.

    `known` are those at which lines (their number and "") and fees (their line, 0 for none, and
    id) were sold whose order does not say; `now` is the house's, for all else.
    """

    known: Mapping[tuple[int, str], int]
    now: int

    def of(self, line: int, fee: str = "") -> int:
        return self.known.get((line, fee), self.now)


class Issue(Struct, frozen=True):
    """What a paper gets by being issued: its number and time, and the house as it is then."""

    name: str
    at_ms: int
    time_zone: str
    seller: Seller
    rates: Rates


# Names ---------------------------------------------------------------------------


def name_of(kind: PaperKind, year: int, number: int) -> str:
    """As people write it: F2026-000123."""
    assert number <= MAX_NUMBER, f"{kind} {year} has no number left"
    return f"{LETTERS[kind]}{year:04}-{number:06}"


def read_name(name: str) -> tuple[PaperKind, int, int] | None:
    """Kind, year and number of a name; None for what is none."""
    name = name.strip().upper()
    if re.fullmatch(PAPER_NAME, name) is None:
        return None
    kind = next(one for one, letter in LETTERS.items() if letter == name[0])
    return kind, int(name[1:5]), int(name[6:])


def seller_of(name: str, settings: Mapping[str, Any]) -> Seller:
    """The house, from its name and settings."""
    told = {
        field: settings[field]
        for field in Seller.__struct_fields__
        if field != "name" and settings.get(field)
    }
    for field in ("address", "contact", "licences", "legal"):
        value = told.get(field, ())
        told[field] = tuple(value.splitlines() if isinstance(value, str) else value)
    return Seller(name, **told)


# VAT -----------------------------------------------------------------------------


def by_rate(items: Iterable[Item]) -> dict[int, int]:
    """Gross amounts by rate."""
    sums: dict[int, int] = {}
    for item in items:
        sums[item.tax_bp] = sums.get(item.tax_bp, 0) + item.amount
    return sums


def rates_of(items: Iterable[Item], before: Mapping[int, int]) -> tuple[Rate, ...]:
    """Net and VAT of a paper's items; `before` is what the order's papers come to without it."""
    rates = []
    for tax_bp, gross in sorted(by_rate(items).items()):
        told = before.get(tax_bp, 0)
        vat = vat_in(told + gross, tax_bp) - vat_in(told, tax_bp)
        rates.append(Rate(tax_bp, gross - vat, vat))
    return tuple(rates)


# What stands of an order ---------------------------------------------------------


def standing(order: Order) -> dict[str, Item]:
    """What an order is to be billed for now, without rates and words: labels are ids.

    Neither what the house bears nor what it keeps for the buyer as credit is billed. A fee for a
    way to pay is once the money has come. A gift card is billed without VAT, which is owed for what
    it buys.
    """
    if order.state in UNSOLD_STATES:
        return {}
    items = []
    unpaid = order.state is OrderState.SELLING or order.state in RESERVED_STATES
    for line in order.lines:
        if line.state not in _TICKETED:  # those that an exchange may bring are not there yet
            continue
        place = line.performance
        items.append(
            Item(
                f"l{line.number}",
                PLACE,
                line.amount,
                label=line.price_type,
                performance=place,
                ticket=line.ticket,
            )
        )
        items += [
            Item(f"l{line.number}/{fee.fee}", "service", fee.amount, NO_TAX, fee.fee, place)
            for fee in line.fees
            if not fee.absorbed
        ]
    for one in order.charges:
        waits = unpaid and one.state in STANDING and not one.payment
        stands = one.state is LineState.SOLD or waits
        beside = (ChargeKind.CREDIT, ChargeKind.GIFT_CARD, REDUCTION)
        if stands and not one.absorbed and one.kind not in beside:
            key = f"c{one.number}"
            items.append(Item(key, one.kind, one.amount, NO_TAX, one.fee, one.performance))
    items += [
        Item(f"c{one.number}", GIFT_CARD, one.left, NO_TAX, GIFT_CARD)
        for one in gift_cards_of(order)
        if one.state in STANDING and one.left
    ]
    given = sum(
        one.amount for one in order.charges if one.kind == REDUCTION and one.state is LineState.SOLD
    )
    if given:
        items.append(Item(REDUCTION, REDUCTION, given))
    return {item.key: item for item in items}


def may_be_billed(order: Order) -> bool:
    """There is something to write an invoice of: it is sold, or waits for its money alone."""
    billable = order.state in TICKETED_STATES or order.state is OrderState.AWAITING_PAYMENT
    return billable and bool(standing(order))


def may_have_papers(before: Order | None) -> bool:
    """Whether an order that was so may have been billed: most that are saved were not yet."""
    if before is None or before.state is OrderState.OPEN:
        return False
    return before.state is not OrderState.SELLING or before.terms is not None


def rates_at_once(order: Order, now: int) -> dict[int, int]:
    """What an order's total is made of, by rate, as a receipt says it; `now` is the house's.

    What went back since is in it, as it is in the total, but for what went with an exchange.
    """
    left = {
        number for one in order.exchanges if one.done and not one.refused for number in one.leaving
    }
    swaps = {one.id for one in order.exchanges}
    sums: dict[int, int] = {}

    def add(tax_bp: int | None, amount: int) -> None:
        rate = now if tax_bp is None else tax_bp
        sums[rate] = sums.get(rate, 0) + amount

    for line in order.lines:
        if line.state is not LineState.CANCELLED and line.number not in left:
            add(line.tax_bp, line.amount)
            for fee in line.fees:
                add(fee.tax_bp, 0 if fee.absorbed else fee.amount)
    for one in order.charges:
        by_refund = bool(one.refund) and one.refund not in swaps
        of_refund = bool(one.line) and one.line not in left
        stood = one.state is not LineState.CANCELLED and one.kind != ChargeKind.CREDIT
        if stood and not (one.absorbed or by_refund or of_refund):
            add(one.tax_bp, one.amount)
    return shared(order.total, sums)


def bill(order: Order, wording: Wording, issue: Issue) -> Paper:
    """The invoice of what stands of an order."""
    terms = order.terms if order.state is OrderState.AWAITING_PAYMENT else None
    billed = tuple(_worded(item, wording) for item in _changes((), order, issue.rates))
    return Paper(
        kind=PaperKind.INVOICE,
        name=issue.name,
        at_ms=issue.at_ms,
        time_zone=issue.time_zone,
        language=wording.language,
        seller=issue.seller,
        client=wording.client,
        order=order.number,
        currency=order.currency,
        items=billed,
        performances=wording.names.performances,
        rates=rates_of(billed, {}),
        received=received(order),
        due_ms=terms.until_ms if terms is not None else 0,
    )


def follow(
    papers: Sequence[Paper], items: Sequence[Item], order: Order, issue: Issue, names: Names
) -> Paper:
    """The paper that says what changed since the others: a credit note, or one more invoice.

    `names` are for what no paper has named yet.
    """
    first, billed = papers[0], [item for paper in papers for item in paper.items]
    known, before = {item.key for item in billed}, by_rate(billed)
    items = tuple(item if item.key in known else names.of(item) for item in items)
    shown = {one.number: one for paper in papers for one in paper.performances}
    more = [one for one in names.performances if one.number not in shown]
    return replace(
        first,
        kind=kind_of(items),
        name=issue.name,
        at_ms=issue.at_ms,
        time_zone=issue.time_zone,
        seller=issue.seller,
        items=items,
        performances=(*shown.values(), *more),
        rates=rates_of(items, before),
        received=(),
        due_ms=0,
        corrects=first.name,
        corrects_ms=first.at_ms,
    )


def correction(papers: Sequence[Paper], order: Order, rates: Rates) -> tuple[Item, ...]:
    """What is to be added to an order's papers so that they say what stands of it now."""
    return _changes([item for paper in papers for item in paper.items], order, rates)


def _changes(billed: Sequence[Item], order: Order, rates: Rates) -> tuple[Item, ...]:
    """What makes of the items that were billed those that stand; labels of new ones are ids."""
    known: dict[str, Item] = {}
    told: dict[str, dict[int, int]] = {}
    for item in billed:
        known.setdefault(item.key, item)
        parts = told.setdefault(item.key, {})
        parts[item.tax_bp] = parts.get(item.tax_bp, 0) + item.amount
    reduced = told.pop(REDUCTION, {})
    wanted = standing(order)
    reduction = wanted.pop(REDUCTION, Item(REDUCTION, REDUCTION, 0))
    items = []
    for key, parts in told.items():
        difference = (wanted[key].amount if key in wanted else 0) - sum(parts.values())
        if difference:  # a thing has one rate
            rate = next(iter(parts))
            items.append(replace(known[key], amount=difference, tax_bp=rate))
    for key, item in wanted.items():
        if key not in told and (item.amount or not billed):
            items.append(replace(item, tax_bp=_rate_of(item, order, rates)))
    # Nothing is ever given back of gift cards as an amount.
    plain = [item for item in (*billed, *items) if item.kind not in (REDUCTION, GIFT_CARD)]
    shares = _reduced(order)
    if shares is None:
        shares = _shares(reduction.amount, reduced, by_rate(plain))
    for rate in sorted(reduced.keys() | shares.keys()):
        change = shares.get(rate, 0) - reduced.get(rate, 0)
        if change:
            items.append(replace(reduction, amount=change, tax_bp=rate))
    return tuple(items)


def _rate_of(item: Item, order: Order, rates: Rates) -> int:
    name, _, fee = item.key.partition("/")
    number = int(name[1:])
    if name[0] == "c":
        charge = next(one for one in order.charges if one.number == number)
        own, of, fee = charge.tax_bp, charge.line, charge.fee
    else:
        line = next(one for one in order.lines if one.number == number)
        of, own = number, line.tax_bp
        if fee:
            own = next(one for one in line.fees if one.fee == fee).tax_bp
    return rates.of(of, fee) if own is None else own


def _reduced(order: Order) -> dict[int, int] | None:
    """What was given back while its places stay sold, by rate; None where it does not say."""
    shares: dict[int, int] = {}
    for one in order.charges:
        if one.kind == REDUCTION and one.state is LineState.SOLD:
            if one.tax_bp is None:
                return None
            shares[one.tax_bp] = shares.get(one.tax_bp, 0) + one.amount
    return shares


def _shares(amount: int, reduced: Mapping[int, int], gross: Mapping[int, int]) -> dict[int, int]:
    """A reduction by rate: those that were told, with what is new of it.

    They are shared anew where one would be larger than what is left at its rate.
    """
    shares = dict(reduced)
    more = amount - sum(reduced.values())
    left = {rate: gross.get(rate, 0) + reduced.get(rate, 0) for rate in gross.keys() | reduced}
    weights = left if more < 0 else {rate: -share for rate, share in reduced.items()}
    for rate, part in (shared(more, weights) or {NO_TAX: more}).items():
        shares[rate] = shares.get(rate, 0) + part
    if any(share < -gross.get(rate, 0) for rate, share in shares.items()):
        return shared(amount, gross) or {NO_TAX: amount}
    return shares


def kind_of(items: Iterable[Item]) -> PaperKind:
    """Of a paper that follows an invoice: more to be paid, or not."""
    more = sum(item.amount for item in items) > 0
    return PaperKind.INVOICE if more else PaperKind.CREDIT_NOTE


def received(order: Order) -> tuple[Received, ...]:
    """What came for an order and was not given back, by payment method."""
    sums: dict[PaymentMethod, int] = {}
    for payment in order.payments:
        if payment.kept:
            sums[payment.method] = sums.get(payment.method, 0) + payment.kept
    return tuple(Received(method, amount) for method, amount in sums.items())


def _worded(item: Item, wording: Wording) -> Item:
    item = wording.names.of(item)
    if item.kind != PLACE:
        return item
    section, row, seat = wording.places[int(item.key[1:])]
    return replace(item, section=section, row=row, seat=seat)
