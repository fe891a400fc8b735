"""What a house decides about one performance: prices, limits, hold times, doors.

Pure values, kept in the database with the performance and changed only by the
`Configure` command, so that a running sale sees every change in order.
"""

from enum import StrEnum

from msgspec import Struct

from engine.limits import HOLD_CAP_MS, HOLD_MS


class SaleStatus(StrEnum):
    """HIDDEN and CLOSED sell nothing; BOX_OFFICE sells at tills only."""

    HIDDEN = "hidden"
    CLOSED = "closed"
    BOX_OFFICE = "box_office"
    ON_SALE = "on_sale"
    ENDED = "ended"


class PriceType(Struct, frozen=True):
    """Who pays. `names` by language code; `until_ms` ends an early bird (0: never)."""

    id: str
    names: dict[str, str]
    until_ms: int = 0
    max_per_order: int = 0  # 0: no limit of its own
    box_office_only: bool = False


class Price(Struct, frozen=True):
    """What a place of this plan category costs for this price type, in minor units."""

    category: int
    price_type: str
    amount: int


class Gate(Struct, frozen=True):
    """An entrance; `sections` are plan section indices admitted there, empty for all."""

    id: str
    name: str
    sections: tuple[int, ...] = ()


class Settings(Struct, frozen=True):
    """All of a performance's rules. Times in Unix milliseconds, 0 for "no bound"."""

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
