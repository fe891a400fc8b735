"""The settlement of a period: what was sold in it, how it was paid, and what came of it.

Pure values over sums of the ledger. A period is a run of the house's days, or what of it concerns
one performance. Owns the sums that people ask for; the words are `renderers.settlement_words`'.

In every currency: what was earned (places and fees sold, less what was given back) is the money
that came, less what went back, less what is kept for buyers as credit or gift cards, less what
came for orders that are not sold yet, or is still owed (`Totals.open`). Of one performance there
is no money: payments are for orders, and an order may be for several.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import ClassVar, Final

from msgspec import Struct

from engine.ledger import FactKind
from engine.papers import PaperKind, Rate, Seller
from engine.vat import vat_in

SETTLEMENT_FORMAT: Final = "strapontin-settlement-1"
MAX_SETTLEMENT_ROWS: Final = 20_000
"""Sums in one settlement, of all that is told apart."""

PLACES: Final = (FactKind.SALE, FactKind.REFUND, FactKind.CANCELLATION)
EARNED: Final = (*PLACES, FactKind.FEE, FactKind.ALLOWANCE)
"""What of the ledger is turnover, and taxed."""
MONEY: Final = (FactKind.PAYMENT, FactKind.REPAYMENT)


class Sum(Struct, array_like=True, frozen=True, order=True):
    """Records that are alike, and of one sign: how many, and their amounts together in minor units.

    `price_type` is the fee's id where `kind` says so; `tax_bp` as in the ledger.
    """

    currency: str
    kind: FactKind
    performance: int
    price_type: str
    channel: str
    method: str
    tax_bp: int
    count: int
    amount: int


class Performed(Struct, frozen=True):
    """A performance of a settlement; `titles` by language."""

    number: int
    titles: dict[str, str]
    starts_ms: int


class Settlement(Struct, frozen=True, kw_only=True):
    """The days `from_day` to `to_day`, both included, or of them what concerns `performance`.

    `name` is "" while it has no number: then it may change. It covers the ledger's records `first`
    to `last` (`first - 1`: none), the last of hash `last_hash`; the days until `closed_to` are
    closed. `price_types` and `fees` are names by id and language.
    """

    format: str = SETTLEMENT_FORMAT
    name: str = ""
    at_ms: int
    time_zone: str
    seller: Seller
    from_day: str
    to_day: str
    closed_to: str
    performance: int = 0
    first: int
    last: int
    last_hash: str
    sums: tuple[Sum, ...]
    performances: tuple[Performed, ...]
    price_types: dict[str, dict[str, str]]
    fees: dict[str, dict[str, str]]

    kind: ClassVar = PaperKind.SETTLEMENT
    order: ClassVar = 0

    @property
    def currencies(self) -> tuple[str, ...]:
        return tuple(sorted({one.currency for one in self.sums}))

    @property
    def currency(self) -> str:
        """Of a settlement with one."""
        return self.currencies[0] if len(self.currencies) == 1 else ""

    @property
    def total(self) -> int:
        """What was earned, of a settlement in one currency."""
        return totals(self, self.currency).earned if self.currency else 0


class Tally(Struct, frozen=True):
    """How many places were sold and given back, and what all came to."""

    sold: int = 0
    sold_amount: int = 0
    back: int = 0
    back_amount: int = 0

    @property
    def net(self) -> int:
        return self.sold_amount + self.back_amount


class Totals(Struct, frozen=True):
    """A settlement in one currency; every amount is signed as the house sees it."""

    places: int
    fees: int
    allowances: int
    paid: int
    repaid: int
    credit: int
    rounding: int
    absorbed: int
    gift_cards: int

    @property
    def earned(self) -> int:
        return self.places + self.fees + self.allowances

    @property
    def money(self) -> int:
        return self.paid + self.repaid

    @property
    def open(self) -> int:
        """Money that is there for what is not sold yet; negative: sold, and not paid yet."""
        return self.money - self.earned - self.credit - self.gift_cards


def of_kinds(settlement: Settlement, currency: str, kinds: Iterable[FactKind]) -> Iterator[Sum]:
    """The sums of some kinds in one currency."""
    wanted = frozenset(kinds)
    return (one for one in settlement.sums if one.currency == currency and one.kind in wanted)


def totals(settlement: Settlement, currency: str) -> Totals:
    def of(*kinds: FactKind) -> int:
        return sum(one.amount for one in of_kinds(settlement, currency, kinds))

    return Totals(
        places=of(*PLACES),
        fees=of(FactKind.FEE),
        allowances=of(FactKind.ALLOWANCE),
        paid=of(FactKind.PAYMENT),
        repaid=of(FactKind.REPAYMENT),
        credit=of(FactKind.CREDIT),
        rounding=of(FactKind.ROUNDING),
        absorbed=of(FactKind.ABSORBED),
        gift_cards=of(FactKind.GIFT_CARD),
    )


def tallied(sums: Iterable[Sum], by: Callable[[Sum], object]) -> dict[object, Tally]:
    """What came and what went back of what `by` tells apart, in its order."""
    found: dict[object, Tally] = {}
    for one in sorted(sums):
        key = by(one)
        known = found.get(key, Tally())
        if one.amount > 0 or (one.amount == 0 and one.kind in (FactKind.SALE, FactKind.PAYMENT)):
            found[key] = Tally(
                known.sold + one.count,
                known.sold_amount + one.amount,
                known.back,
                known.back_amount,
            )
        else:
            found[key] = Tally(
                known.sold,
                known.sold_amount,
                known.back + one.count,
                known.back_amount + one.amount,
            )
    return found


def rates(settlement: Settlement, currency: str) -> tuple[Rate, ...]:
    """Net and VAT of what was earned, reckoned on what the period comes to at each rate."""
    gross: dict[int, int] = {}
    for one in of_kinds(settlement, currency, EARNED):
        gross[one.tax_bp] = gross.get(one.tax_bp, 0) + one.amount
    return tuple(
        Rate(tax_bp, amount - vat_in(amount, tax_bp), vat_in(amount, tax_bp))
        for tax_bp, amount in sorted(gross.items())
    )
