"""An order: what was bought, the money for it, and the states it may pass through.

Pure values and the transition table; the order desk drives them. An order may
touch several performances, each through one hold. Money is integer minor units.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from engine.commands import Channel, Line
from engine.payments import Payment, RefundState


class OrderState(StrEnum):
    """PENDING waits for money, PAID is being sold, FAILED owes the money back."""

    PENDING = "pending"
    PAID = "paid"
    CONFIRMED = "confirmed"
    CANCELLED = "cancelled"
    FAILED = "failed"
    REFUNDED = "refunded"


NEXT_STATES: Final[dict[OrderState, frozenset[OrderState]]] = {
    OrderState.PENDING: frozenset({OrderState.PAID, OrderState.CANCELLED}),
    OrderState.PAID: frozenset({OrderState.CONFIRMED, OrderState.FAILED}),
    OrderState.CONFIRMED: frozenset({OrderState.REFUNDED}),
    # Money that arrives after the order was given up makes it owe that money back.
    OrderState.CANCELLED: frozenset({OrderState.FAILED}),
    OrderState.FAILED: frozenset({OrderState.REFUNDED}),
    OrderState.REFUNDED: frozenset(),
}


class LineState(StrEnum):
    """CANCELLED was never sold, or was sold and taken back because the order failed."""

    PENDING = "pending"
    SOLD = "sold"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Buyer(Struct, frozen=True):
    name: str = ""
    email: str = ""
    language: str = "fr"


class OrderHold(Struct, frozen=True):
    """One hold to buy: its performance, its token (hex), and what each place is priced as."""

    performance: int
    token: str
    lines: tuple[Line, ...]


class PlaceOrder(Struct, frozen=True):
    """Ask for an order. `id` is 32 hex digits made by the caller, and the order's bearer key."""

    id: str
    baskets: tuple[OrderHold, ...]
    channel: Channel = Channel.WEB
    session: str = ""
    operator: str = ""
    buyer: Buyer = Buyer()


class OrderLine(Struct, frozen=True):
    """One place of an order: a seat, or one place of an area. `ticket` is -1 until sold."""

    number: int
    performance: int
    seat: int
    area: int
    price_type: str
    amount: int
    state: LineState = LineState.PENDING
    ticket: int = -1
    version: int = 0


class OrderRefund(Struct, frozen=True):
    """A refund of whole lines, saved before anything is undone.

    `refused` holds the code where a performance refused: those lines stay sold.
    """

    id: str
    lines: tuple[int, ...]
    reason: str
    operator: str
    at_ms: int
    done: bool = False
    refused: str = ""


class Order(Struct, frozen=True):
    """An order as everyone sees it. `number` is for people, `id` is the key to the order page."""

    id: str
    number: int
    state: OrderState
    channel: Channel
    currency: str
    total: int
    created_ms: int
    expires_ms: int
    buyer: Buyer
    operator: str
    session: str
    holds: tuple[OrderHold, ...]
    lines: tuple[OrderLine, ...]
    payments: tuple[Payment, ...] = ()
    refunds: tuple[OrderRefund, ...] = ()
    revision: int = 0  # of the stored order: a save that is not based on it is refused

    @property
    def finished(self) -> bool:
        """Nothing more happens to this order unless somebody asks."""
        if self.state in (OrderState.PENDING, OrderState.PAID, OrderState.FAILED):
            return False
        return all(refund.done for refund in self.refunds) and not any(
            refund.state is RefundState.REQUESTED
            for payment in self.payments
            for refund in payment.refunds
        )

    @property
    def paid(self) -> int:
        """Captured and not paid back, in minor units."""
        return sum(payment.captured - payment.refunded for payment in self.payments)


class OrderRefused(Struct, frozen=True):
    """Nothing was done. `code` is a `Refusal` value or one of the desk's own (docs/protocol.md)."""

    code: str
    detail: str = ""
    performance: int = -1
    seats: tuple[int, ...] = ()
