"""An order: what was bought, the money for it, and the states it may pass through.

Pure values and the transition table; the rules are in `engine.ordering`, and the
order desk drives them. An order may touch several performances, each through one
hold. Money is integer minor units.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

from engine.commands import Channel, Line
from engine.payments import ActionKind, Payment, RefundState, due_actions


class OrderState(StrEnum):
    """Where an order stands. `Payment.state` tells how far its money is."""

    PENDING = "pending"  # priced and locked, waits for money
    PAID = "paid"  # the money is there, or none is due; the seats are being sold
    CONFIRMED = "confirmed"  # sold: there are tickets
    CANCELLED = "cancelled"  # given up before any money came
    FAILED = "failed"  # nothing is sold, and money is owed back
    REFUNDED = "refunded"  # nothing is sold any more, the money is back or on its way


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

    `undone` are those of `lines` that it ended. Where a performance refused, `refused` is its
    code and its lines stay sold.
    """

    id: str
    lines: tuple[int, ...]
    reason: str
    operator: str
    at_ms: int
    done: bool = False
    undone: tuple[int, ...] = ()
    refused: str = ""


class Order(Struct, frozen=True):
    """An order as everyone sees it. `number` is for people, `id` is the key to the order page.

    `operator` is who placed it ("" for a buyer), and stays so whoever takes the money.
    `expires_ms` is when it is given up, a little before its holds end.
    """

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
        """Nothing more happens to this order unless somebody asks, or its provider reports."""
        if self.state in (OrderState.PENDING, OrderState.PAID):
            return False
        if any(not refund.done for refund in self.refunds):
            return False
        due = [action.kind for payment in self.payments for action in due_actions(payment)]
        if self.state is OrderState.FAILED and not due and not self.has_money:
            return False  # it becomes REFUNDED
        # A refund that failed for good is a person's work.
        return all(kind is ActionKind.REFUND_FAILED for kind in due) and not self.asks_back

    @property
    def asks_back(self) -> bool:
        """A refund was saved that the provider has not heard of yet."""
        return any(
            refund.state is RefundState.REQUESTED
            for payment in self.payments
            for refund in payment.refunds
        )

    @property
    def has_money(self) -> bool:
        """There is money here that is not on its way back, whether or not it has to be."""
        return self.asks_back or any(payment.kept for payment in self.payments)

    @property
    def paid(self) -> int:
        """Captured and not paid back, in minor units."""
        return sum(payment.captured - payment.refunded for payment in self.payments)


class DeskRefusal(StrEnum):
    """Why the order desk refused. Codes of `Refusal` and `PaymentRefusal` are passed on beside."""

    ORDER_UNKNOWN = "order_unknown"  # there is no such order
    ORDER_CLOSED = "order_closed"  # it no longer waits for money, `detail` is its state
    MIXED_CURRENCIES = "mixed_currencies"  # its performances are sold in different currencies
    METHOD_NOT_OFFERED = "method_not_offered"  # this channel does not take this payment method
    OPERATOR_MISSING = "operator_missing"  # cash and card terminals need to know who took the money
    TOO_MANY_PAYMENTS = "too_many_payments"  # begun for this order: place it anew
    ATTEMPT_OVER = "attempt_over"  # this payment attempt has ended: pay with a new one
    PAYMENT_REFUSED = "payment_refused"  # by the provider, `detail` is its code; nothing was taken
    SEATS_LOST = "seats_lost"  # the money came too late: nothing is sold, it goes back by itself
    GIVE_MONEY_BACK = "give_money_back"  # the same, and a person took the money: hand it back
    NOTHING_TO_REFUND = "nothing_to_refund"  # no ticket of it is sold now, `detail` is its state
    LINE_NOT_SOLD = "line_not_sold"  # a named line has no ticket now, or is named twice


class OrderRefused(Struct, frozen=True):
    """Nothing was done. `code` is a `DeskRefusal`, `Refusal` or `PaymentRefusal`."""

    code: str
    detail: str = ""
    performance: int = -1
    seats: tuple[int, ...] = ()
