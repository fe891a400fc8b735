"""The list of places that orders are about: what may be asked of it, and what it says of each.

Pure values. A line of the list is one place of an order, from the moment it is asked for until long
after it is refunded; where it has a ticket, also what that ticket's doors have seen.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from engine.commands import Channel
from engine.orders import LineState

PRICE_PARTS: Final = 1_000
"""Bounds of prices count in thousandths of a currency's unit: one bound is good for all."""


class ListedStatus(StrEnum):
    """What became of a place."""

    PENDING = "pending"  # in an order that waits for its money, without a ticket
    UNPAID = "unpaid"  # reserved: its ticket admits nobody before it is paid
    VALID = "valid"  # sold
    BLOCKED = "blocked"  # sold or reserved, and its ticket stopped for now
    REVOKED = "revoked"  # sold or reserved, and its ticket stopped for good
    REFUNDED = "refunded"
    CANCELLED = "cancelled"  # never sold, or taken back because its order failed


STOPPED: Final = (ListedStatus.BLOCKED, ListedStatus.REVOKED)
SOLD_LINES: Final = (LineState.RESERVED, LineState.SOLD)
"""There is a ticket, paid or not."""


class PlaceKind(StrEnum):
    SEAT = "seat"
    AREA = "area"


class Among(Struct, frozen=True):
    """These seats and areas, by their indices, of these performances, which have one plan."""

    performances: tuple[int, ...]
    seats: tuple[int, ...] = ()
    areas: tuple[int, ...] = ()


class ListFilter(Struct, frozen=True):
    """Which places are listed: those that meet all of it. What is empty, or None, asks nothing.

    Times are Unix milliseconds, from the first to before the last. `text` may be the beginnings of
    words of the buyer's name or e-mail, all of which must be there, an order's number, or a
    ticket's ("performance-number", or its number alone among `performances`); `text_places` are the
    places that it may mean.
    """

    performances: tuple[int, ...] | None = None
    ordered_from_ms: int | None = None
    ordered_until_ms: int | None = None
    scanned_from_ms: int | None = None  # of the first admission
    scanned_until_ms: int | None = None
    channels: tuple[Channel, ...] = ()
    kind: PlaceKind | None = None
    statuses: tuple[ListedStatus, ...] = ()
    used: bool | None = None  # it let somebody in
    price_types: tuple[str, ...] = ()
    price_from: int | None = None  # in PRICE_PARTS
    price_to: int | None = None  # in PRICE_PARTS, itself included
    operators: tuple[str, ...] = ()
    places: tuple[Among, ...] | None = None
    text: str = ""
    text_places: tuple[Among, ...] = ()


class Cursor(Struct, frozen=True, order=True):
    """A line's position in the list, whose order is the latest order first and lines as they are.

    Orders that are made while somebody reads on come before what was read.
    """

    order_number: int
    line: int


class Listed(Struct, array_like=True, frozen=True, gc=False):
    """A line of the list. Amounts in minor units and without fees; -1 and 0 where there is none.

    `ordered_ms` is when the order was placed, `scanned_ms` when its ticket first let somebody in,
    `inside` that the last passage was an entry.
    """

    order_number: int
    line: int
    performance: int
    ticket: int
    seat: int
    area: int
    price_type: str
    amount: int
    currency: str
    status: ListedStatus
    channel: Channel
    operator: str
    buyer_name: str
    buyer_email: str
    ordered_ms: int
    scanned_ms: int
    inside: bool

    @property
    def cursor(self) -> Cursor:
        return Cursor(self.order_number, self.line)


class ListedMoney(Struct, frozen=True):
    """What the listed places of one currency cost, in minor units, as `ListTotals` counts them."""

    currency: str
    sold: int
    paid: int
    refunded: int
    cancelled: int


class ListTotals(Struct, frozen=True):
    """Of all that is listed, whatever page is looked at.

    `sold` have a ticket that stands, `paid` of these are not only reserved; what is blocked is sold
    all the same. `scanned` let somebody in, `inside` of these have not left since.
    """

    places: int = 0
    sold: int = 0
    paid: int = 0
    refunded: int = 0
    cancelled: int = 0
    scanned: int = 0
    inside: int = 0
    money: tuple[ListedMoney, ...] = ()
