"""What a house decides about one performance: prices, limits, hold times, doors.

Pure values, kept in the database with the performance and changed only by the
`Configure` command, so that a running sale sees every change in order.
"""

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from engine.limits import HOLD_CAP_MS, HOLD_MS

Moment = Annotated[int, Meta(ge=0, le=2**53)]
"""Unix milliseconds; 0 for "no bound"."""
VatRate = Annotated[int, Meta(ge=0, le=10_000)]
"""Hundredths of a percent, contained in the amount; 0 where no VAT is charged."""


class SaleStatus(StrEnum):
    """What the house wants. HIDDEN, CLOSED and ENDED sell nothing; BOX_OFFICE at tills only.

    What may be sold is sold at its times: `engine.sale` tells what that comes to. CANCELLED is for
    good: it ends every hold, and what was sold goes back (`engine.cancellation`).
    """

    HIDDEN = "hidden"
    CLOSED = "closed"
    BOX_OFFICE = "box_office"
    ON_SALE = "on_sale"
    ENDED = "ended"
    CANCELLED = "cancelled"


class TypeStatus(StrEnum):
    """HIDDEN is neither shown nor sold, CLOSED is shown and not sold."""

    HIDDEN = "hidden"
    CLOSED = "closed"
    ON_SALE = "on_sale"


class ReEntry(StrEnum):
    """Who was admitted may come in again: never, after having been checked out, or always."""

    NONE = "none"
    AFTER_EXIT = "after_exit"
    UNLIMITED = "unlimited"


class PriceType(Struct, frozen=True):
    """Who pays. `names` by language code; sold from `from_ms` until just before `until_ms`."""

    id: str
    names: dict[str, str]
    until_ms: Moment = 0
    max_per_order: int = 0  # 0: no limit of its own
    box_office_only: bool = False
    from_ms: Moment = 0
    status: TypeStatus = TypeStatus.ON_SALE


class Price(Struct, frozen=True):
    """What a place of this plan category costs for this price type, in minor units.

    It is the price from `from_ms` until just before `until_ms`: several of one pair may follow
    each other. `vat_bp` is its own rate of VAT, None for the performance's.
    """

    category: int
    price_type: str
    amount: int
    from_ms: Moment = 0
    until_ms: Moment = 0
    vat_bp: VatRate | None = None


class Quota(Struct, frozen=True):
    """No more than `limit` places of these categories at these price types, empty for all.

    Every place counts that is in payment or has a ticket that was not refunded, whatever the
    channel. `names` by language code.
    """

    id: str
    names: dict[str, str]
    limit: Annotated[int, Meta(ge=0, le=10_000_000)]
    categories: tuple[int, ...] = ()
    price_types: tuple[str, ...] = ()


class KeptSeats(Struct, frozen=True):
    """An allocation: seats for these sales channels alone, until `release_ms`.

    All seats of these plan categories and sections, and these seats, by their index. Of two that
    want a seat the first has it.
    """

    id: str
    channels: tuple[str, ...]
    categories: tuple[int, ...] = ()
    sections: tuple[int, ...] = ()
    seats: tuple[int, ...] = ()
    release_ms: Moment = 0


class Surplus(Struct, frozen=True):
    """Places that the public is not shown, and that tills alone sell: last-minute places.

    Seats and areas of these plan categories, and these areas, by their index.
    """

    categories: tuple[int, ...] = ()
    areas: tuple[int, ...] = ()


class FeeKind(StrEnum):
    """What a fee is for."""

    SERVICE = "service"
    DELIVERY = "delivery"
    PAYMENT = "payment"


class FeePer(StrEnum):
    """What a fee is charged for: each place, or the order as a whole."""

    PLACE = "place"
    ORDER = "order"


class Fee(Struct, frozen=True):
    """What is charged beside the prices. `names` by language code.

    It comes to `fixed` minor units and `percent_bp` hundredths of a percent of what it is charged
    for. `channels`: where it is charged, empty for everywhere. `ways`: of a delivery or payment
    fee the ways to deliver or the methods to pay that cost it. `absorbed`: the house bears it, it
    is in its books and not in the buyer's total. `refundable`: it goes back with its place.
    `vat_bp` is its own rate of VAT, None for the performance's.
    """

    id: str
    names: dict[str, str]
    kind: FeeKind = FeeKind.SERVICE
    fixed: Annotated[int, Meta(ge=0, le=10**9)] = 0
    percent_bp: Annotated[int, Meta(ge=0, le=10_000)] = 0
    per: FeePer = FeePer.PLACE
    channels: tuple[str, ...] = ()
    ways: tuple[str, ...] = ()
    absorbed: bool = False
    refundable: bool = True
    vat_bp: VatRate | None = None


class ReturnWay(StrEnum):
    """Where the money of what a buyer gives back goes."""

    AS_PAID = "as_paid"
    CREDIT = "credit"
    EITHER = "either"  # the buyer says


class Returns(Struct, frozen=True):
    """Buyers give places back, or exchange them, until `before_ms` before the performance begins.

    `fee` minor units of each place's price are kept.
    """

    before_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0
    fee: Annotated[int, Meta(ge=0, le=10**9)] = 0
    way: ReturnWay = ReturnWay.CREDIT


class Gate(Struct, frozen=True):
    """An entrance; `sections` are plan section indices admitted there, empty for all.

    `capacity` is how many may be inside its sections together: nobody is refused for it, but
    everybody is warned. 0: not watched.
    """

    id: str
    name: str
    sections: tuple[int, ...] = ()
    capacity: Annotated[int, Meta(ge=0, le=10_000_000)] = 0


class Settings(Struct, frozen=True):
    """All of a performance's rules. Times in Unix milliseconds, 0 for "no bound".

    `sale_*` bound the sale on the web and by resellers, `tills_*` that at the box office and by
    phone: it opens at the one and is over at the other. `vat_bp` is the rate of VAT in its prices
    and fees that have none of their own, None for the house's.
    """

    currency: str
    price_types: tuple[PriceType, ...]
    prices: tuple[Price, ...]
    status: SaleStatus = SaleStatus.ON_SALE
    hold_ms: int = HOLD_MS
    hold_cap_ms: int = HOLD_CAP_MS
    max_per_order: int = 10
    max_per_buyer: int = 0
    orphan_rule: bool = True
    doors_open_ms: int = 0
    doors_close_ms: int = 0
    gates: tuple[Gate, ...] = ()
    fees: tuple[Fee, ...] = ()
    re_entry: ReEntry = ReEntry.NONE
    sale_opens_ms: Moment = 0
    sale_closes_ms: Moment = 0
    tills_open_ms: Moment = 0
    tills_close_ms: Moment = 0
    quotas: tuple[Quota, ...] = ()
    surplus: Surplus = Surplus()
    returns: Returns | None = None
    exchanges: Returns | None = None
    vat_bp: VatRate | None = None
    allocations: tuple[KeptSeats, ...] = ()
