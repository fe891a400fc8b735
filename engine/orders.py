"""An order: what was bought, the money for it, and the states it may pass through.

Pure values and the transition table; the rules are in `engine.ordering`, and the
order desk drives them. An order may touch several performances, each through one
hold. Money is integer minor units.

These values cannot hold each other in a circle, so the collector need not follow them
(`gc=False`): the desk remembers ten thousand orders.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from msgspec import Struct

from engine.commands import Channel, Line
from engine.payments import (
    TILL_METHODS,
    ActionKind,
    Payment,
    RefundState,
    Standing,
    due_actions,
)


class OrderState(StrEnum):
    """Where an order stands. `Payment.state` tells how far its money is."""

    OPEN = "open"  # priced and locked, waits for money
    AWAITING_APPROVAL = "awaiting_approval"  # reserved, somebody has to say yes
    AWAITING_PAYMENT = "awaiting_payment"  # reserved, the money is to come until its terms end
    SELLING = "selling"  # nothing is waited for any more: the seats are being sold, or reserved
    PAID = "paid"  # sold: there are tickets
    PART_REFUNDED = "part_refunded"  # sold, and some of it is refunded
    EXCHANGING = "exchanging"  # sold, and some places are to be given for others
    EXCHANGED = "exchanged"  # sold, and some places were given for others
    REFUNDED = "refunded"  # nothing is sold any more, the money is back or on its way
    CANCELLED = "cancelled"  # somebody gave it up before any money came
    EXPIRED = "expired"  # its time was over before any money came
    FAILED = "failed"  # nothing is sold, and money is owed back


class Transition(NamedTuple):
    """A step between two states, and what makes it. `start` None: there was no order before."""

    start: OrderState | None
    end: OrderState
    why: str


TRANSITIONS: Final = (
    Transition(None, OrderState.OPEN, "placed"),
    Transition(None, OrderState.SELLING, "placed and paid at once, or nothing to pay"),
    Transition(OrderState.OPEN, OrderState.SELLING, "the money is there"),
    Transition(OrderState.OPEN, OrderState.SELLING, "to be reserved"),
    Transition(OrderState.OPEN, OrderState.CANCELLED, "given up"),
    Transition(OrderState.OPEN, OrderState.EXPIRED, "its time is over"),
    Transition(OrderState.SELLING, OrderState.PAID, "every hold is sold"),
    Transition(OrderState.SELLING, OrderState.AWAITING_APPROVAL, "every hold is reserved"),
    Transition(OrderState.SELLING, OrderState.AWAITING_PAYMENT, "every hold is reserved"),
    Transition(OrderState.SELLING, OrderState.FAILED, "a hold was lost, money is owed back"),
    Transition(OrderState.SELLING, OrderState.EXPIRED, "a hold was lost, no money came"),
    Transition(OrderState.AWAITING_APPROVAL, OrderState.AWAITING_PAYMENT, "approved"),
    Transition(OrderState.AWAITING_APPROVAL, OrderState.SELLING, "the money is there"),
    Transition(OrderState.AWAITING_APPROVAL, OrderState.CANCELLED, "declined, or given up"),
    Transition(OrderState.AWAITING_APPROVAL, OrderState.EXPIRED, "nobody approved it in time"),
    Transition(OrderState.AWAITING_PAYMENT, OrderState.SELLING, "the money is there"),
    Transition(OrderState.AWAITING_PAYMENT, OrderState.CANCELLED, "given up"),
    Transition(OrderState.AWAITING_PAYMENT, OrderState.EXPIRED, "its terms are over"),
    Transition(OrderState.PAID, OrderState.PART_REFUNDED, "a line or an amount is refunded"),
    Transition(OrderState.PAID, OrderState.REFUNDED, "all lines are refunded"),
    Transition(OrderState.PART_REFUNDED, OrderState.REFUNDED, "the last line is refunded"),
    Transition(OrderState.PAID, OrderState.EXCHANGING, "places are to be exchanged"),
    Transition(OrderState.PART_REFUNDED, OrderState.EXCHANGING, "places are to be exchanged"),
    Transition(OrderState.EXCHANGED, OrderState.EXCHANGING, "places are to be exchanged"),
    Transition(OrderState.EXCHANGING, OrderState.EXCHANGED, "they are, their money is there"),
    Transition(OrderState.EXCHANGING, OrderState.PAID, "they are not: given up, or lost"),
    Transition(OrderState.EXCHANGING, OrderState.PART_REFUNDED, "they are not: given up, or lost"),
    Transition(OrderState.EXCHANGED, OrderState.PART_REFUNDED, "a line or an amount is refunded"),
    Transition(OrderState.EXCHANGED, OrderState.REFUNDED, "all lines are refunded"),
    # Money that arrives after the order was given up makes it owe that money back.
    Transition(OrderState.CANCELLED, OrderState.FAILED, "money comes after all"),
    Transition(OrderState.EXPIRED, OrderState.FAILED, "money comes after all"),
    Transition(OrderState.FAILED, OrderState.REFUNDED, "the money is back, or on its way"),
)
"""All there are: `docs/orders.md` draws them."""

NEXT_STATES: Final[dict[OrderState, frozenset[OrderState]]] = {
    state: frozenset(one.end for one in TRANSITIONS if one.start is state) for state in OrderState
}
RESERVED_STATES: Final = (OrderState.AWAITING_APPROVAL, OrderState.AWAITING_PAYMENT)
"""Its seats are kept as tickets that are not paid."""
SOLD_STATES: Final = (OrderState.PAID, OrderState.PART_REFUNDED, OrderState.EXCHANGED)
"""There are tickets, and nothing is under way."""
TICKETED_STATES: Final = (*SOLD_STATES, OrderState.EXCHANGING)
"""There are tickets."""
UNSOLD_STATES: Final = (OrderState.CANCELLED, OrderState.EXPIRED, OrderState.FAILED)
"""It ended, and nothing is sold."""
GIVEN_UP: Final = (OrderState.CANCELLED, OrderState.EXPIRED)


class LineState(StrEnum):
    """CANCELLED was never sold, or was sold and taken back because the order failed."""

    PENDING = "pending"
    RESERVED = "reserved"  # it has a ticket, which admits nobody before it is paid
    SOLD = "sold"
    REFUNDED = "refunded"
    CANCELLED = "cancelled"


class Delivery(StrEnum):
    """How tickets come to their buyer."""

    E_TICKET = "e_ticket"
    BOX_OFFICE = "box_office"  # fetched, or handed over at once
    POST = "post"


class Buyer(Struct, frozen=True, gc=False):
    name: str = ""
    email: str = ""
    language: str = "fr"


class OrderHold(Struct, frozen=True, gc=False):
    """One hold to buy: its performance, its token (hex), and what each place is priced as."""

    performance: int
    token: str
    lines: tuple[Line, ...]


STANDING: Final = (LineState.PENDING, LineState.RESERVED, LineState.SOLD)
"""It costs what it costs."""


class TermsKind(StrEnum):
    """Why an order's seats are kept without all of its money."""

    PICK_UP = "pick_up"  # ordered by phone or at the till, paid when the tickets are fetched
    DEPOSIT = "deposit"  # a part of the money was taken by hand
    INVOICE = "invoice"  # to be paid by bank after an invoice
    ON_SITE = "on_site"  # the buyer pays at the box office before the performance


class Terms(Struct, frozen=True, gc=False):
    """How long an order is reserved. Durations in milliseconds, 0 for none.

    Its reminders are due `first_ms` after `since_ms`, and then every `interval_ms`. `until_ms` is
    when it is given up, 0 for never; while somebody has to approve, nothing is due.
    """

    kind: TermsKind
    approved: bool = True
    since_ms: int = 0
    until_ms: int = 0
    first_ms: int = 0
    interval_ms: int = 0
    reminders: int = 0
    reminded: int = 0  # how many have been


class PlaceOrder(Struct, frozen=True, gc=False):
    """Ask for an order. `id` is 32 hex digits made by the caller, and the order's bearer key.

    `tax_bp` is the VAT in what has no rate of its own: the house's. Lines, fees and charges keep
    the rate at which they are sold, in hundredths of a percent (`engine.ledger.NO_TAX`: without
    VAT); None: nobody said, and the ledger takes the house's. With `equal_places` the buyer takes
    others as good (`engine.equal`) where these are lost when the money comes.

    `gift_cards` are amounts in minor units. Without a basket the order belongs to the house of
    `performance`, and is in its `currency`, which the edge fills in.
    """

    id: str
    baskets: tuple[OrderHold, ...]
    channel: Channel = Channel.WEB
    session: str = ""
    operator: str = ""
    buyer: Buyer = Buyer()
    delivery: Delivery = Delivery.E_TICKET
    tax_bp: int | None = None
    equal_places: bool = False
    gift_cards: tuple[int, ...] = ()
    performance: int = -1
    currency: str = ""


class LineFee(Struct, array_like=True, frozen=True, gc=False):
    """What is charged with a place: `fee` is the id in its performance's settings."""

    fee: str
    amount: int
    absorbed: bool = False  # by the house: it is not the buyer's to pay
    refundable: bool = True
    tax_bp: int | None = None


class ChargeKind(StrEnum):
    """What is charged beside the fees of `engine.settings.FeeKind`, by what people decide."""

    ALLOWANCE = "allowance"  # an amount given back while its places stay sold: negative
    RETURN = "return"  # kept of what is given back
    CREDIT = "credit"  # kept for the buyer, who may spend it
    EXCHANGE = "exchange"  # for places that were given for others
    GIFT_CARD = "gift_card"  # bought: kept for whoever has its code; negative: taken back


KEPT_KINDS: Final = (ChargeKind.CREDIT, ChargeKind.GIFT_CARD)
"""Money that stays somebody's: the house has it, and has not earned it."""


class Charge(Struct, frozen=True, gc=False):
    """What is charged with an order as a whole, as `LineFee`. `performance` -1: of no one alone.

    `payment` is the payment that a fee for a way to pay belongs to; `line` the refunded line whose
    fee the house keeps (0: none); `refund` the refund that it comes from; `card` the code of the
    credit that it opens, or takes money back from.
    """

    number: int
    fee: str
    amount: int
    kind: str  # of engine.settings.FeeKind, or a ChargeKind
    performance: int = -1
    state: LineState = LineState.PENDING
    absorbed: bool = False
    refundable: bool = True
    payment: str = ""
    line: int = 0
    refund: str = ""
    card: str = ""
    tax_bp: int | None = None


class WayFee(Struct, array_like=True, frozen=True, gc=False):
    """What a way to pay costs, once it is chosen."""

    fee: str
    amount: int
    ways: tuple[str, ...]
    performance: int = -1
    absorbed: bool = False
    refundable: bool = True
    tax_bp: int | None = None


class OrderLine(Struct, frozen=True, gc=False):
    """One place of an order: a seat, or one place of an area.

    `ticket` is -1 until sold, and again once another line has it at another price.
    """

    number: int
    performance: int
    seat: int
    area: int
    price_type: str
    amount: int
    state: LineState = LineState.PENDING
    ticket: int = -1
    version: int = 0
    fees: tuple[LineFee, ...] = ()
    tax_bp: int | None = None

    @property
    def price(self) -> int:
        """What the buyer pays for it, with its fees."""
        if not self.fees:
            return self.amount
        return self.amount + sum(fee.amount for fee in self.fees if not fee.absorbed)


class OrderRefund(Struct, frozen=True, gc=False):
    """A refund of whole lines or of an amount, saved before anything is undone.

    `undone` are those of `lines` that it ended. Where a performance refused, `refused` is its
    code and its lines stay sold. `amount` minor units are given back while the places stay sold,
    0 for lines. `fee` is the most that the house keeps of what is given back. What is given back
    goes to the credit `card`, or, "", to where it came from. `called_off`: the performance is
    cancelled, so that every fee goes back, and reserved places too (`engine.cancellation`).
    `gift_cards` are (number of the charge, minor units) each: what it takes back of gift cards,
    which is off their credits from the moment that this is saved.
    """

    id: str
    lines: tuple[int, ...]
    reason: str
    operator: str
    at_ms: int
    done: bool = False
    undone: tuple[int, ...] = ()
    refused: str = ""
    amount: int = 0
    fee: int = 0
    card: str = ""
    called_off: bool = False
    gift_cards: tuple[tuple[int, int], ...] = ()


class OrderReissue(Struct, frozen=True, gc=False):
    """New tickets for lines whose tickets were lost, saved before they are made.

    Where a performance refused, `refused` is its code.
    """

    id: str
    lines: tuple[int, ...]
    operator: str
    at_ms: int
    done: bool = False
    refused: str = ""


class OrderPrint(Struct, frozen=True, gc=False):
    """Tickets that the house printed: (line number, version of its ticket) each.

    `gift_cards` are the numbers of their charges.
    """

    id: str
    tickets: tuple[tuple[int, int], ...]
    operator: str
    at_ms: int
    gift_cards: tuple[int, ...] = ()


class OrderExchange(Struct, frozen=True, gc=False):
    """Places of one performance that are given for others, saved before any of it is done.

    The lines `leaving` go, and `coming` come from `hold`: they are lines of the order too, pending
    until then. A `hold` without a token is those places themselves, at other price types, as
    `channel` sells them: their tickets stay. It is given up at `expires_ms`, unless it is
    `covered`: its money is there, or it costs none, and it is being carried out. `before` is the
    order's state without it. One that came to nothing says why: `refused` is a code. What is given
    back goes to the credit `card`, or, "", to where it came from.
    """

    id: str
    leaving: tuple[int, ...]
    coming: tuple[int, ...]
    hold: OrderHold
    before: OrderState
    operator: str
    at_ms: int
    expires_ms: int
    fee: int = 0
    card: str = ""
    covered: bool = False
    done: bool = False
    refused: str = ""
    channel: Channel = Channel.BOX_OFFICE

    @property
    def same_places(self) -> bool:
        """They get another price, and nothing else."""
        return not self.hold.token


class ExchangeRequest(Struct, frozen=True, gc=False):
    """Ask for an exchange, as an `OrderExchange`: `lines` for what `hold` holds.

    Without a token `hold` names the places of `lines` themselves, one by one in the order of the
    lines' numbers, each with its new price type.

    `id` is made by the caller: one exchange has one.
    """

    id: str
    lines: tuple[int, ...]
    hold: OrderHold
    operator: str = ""
    fee: int = 0
    to_credit: bool = False
    tax_bp: int | None = None  # as of a PlaceOrder
    channel: Channel = Channel.BOX_OFFICE

    @property
    def same_places(self) -> bool:
        """They get another price, and nothing else."""
        return not self.hold.token


class RefundRequest(Struct, frozen=True, gc=False):
    """Ask for a refund, as an `OrderRefund`. `id` is made by the caller: one refund has one.

    `gift_cards` are numbers of charges: what is not spent of them is given back. Neither lines,
    gift cards nor an amount: all that is sold, but no gift card is made a credit. `unprinted`:
    only while nothing was printed, and nothing of a gift card spent.
    """

    id: str
    lines: tuple[int, ...] = ()
    reason: str = ""
    operator: str = ""
    amount: int = 0
    fee: int = 0
    to_credit: bool = False
    called_off: bool = False
    unprinted: bool = False
    gift_cards: tuple[int, ...] = ()


class Order(Struct, frozen=True, gc=False):
    """An order as everyone sees it. `number` is for people, `id` is the key to the order page.

    `operator` is who placed it ("" for a buyer), and stays so whoever takes the money.
    `expires_ms` is when it is given up, a little before its holds end.

    `equal` are the holds of places as good as those that were lost, one for each performance where
    that was so; the lines name these places then.

    `performance`: of one without a place, that by whose house it was sold.

    `unbooked`: it was first saved on its way to be sold, with its money, which stands in no book
    and no drawer until it is known how that ended.
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
    terms: Terms | None = None  # it is, or was, reserved
    delivery: Delivery = Delivery.E_TICKET
    charges: tuple[Charge, ...] = ()
    way_fees: tuple[WayFee, ...] = ()  # what ways to pay would cost
    reissues: tuple[OrderReissue, ...] = ()
    exchanges: tuple[OrderExchange, ...] = ()
    prints: tuple[OrderPrint, ...] = ()
    till: str = ""  # the till session that money of it is moving in now, by hand
    unbooked: bool = False
    equal_places: bool = False  # as of the PlaceOrder
    equal: tuple[OrderHold, ...] = ()
    performance: int = -1
    revision: int = 0  # of the stored order: a save that is not based on it is refused

    @property
    def seller(self) -> int:
        """The performance to whose house the order belongs: of what it buys first."""
        return self.lines[0].performance if self.lines else self.performance

    @property
    def finished(self) -> bool:
        """Nothing more happens to this order unless somebody asks, or its provider reports."""
        if self.state in (OrderState.SELLING, OrderState.EXCHANGING) or self.waits:
            return False
        if self.has_reserved:
            return False
        if any(not refund.done for refund in self.refunds):
            return False
        if any(not reissue.done for reissue in self.reissues):
            return False
        due = [action.kind for payment in self.payments for action in due_actions(payment)]
        if self.state is OrderState.FAILED and not due and not self.has_money:
            return False  # it becomes REFUNDED
        # A refund that failed for good is a person's work.
        return all(kind is ActionKind.REFUND_FAILED for kind in due) and not self.asks_back

    @property
    def waits(self) -> bool:
        """It may be paid, and given up: of an exchange, that alone."""
        if self.exchange is not None:
            return not self.exchange.covered
        return self.state is OrderState.OPEN or self.state in RESERVED_STATES

    @property
    def exchange(self) -> OrderExchange | None:
        """The one that is under way."""
        if self.state is not OrderState.EXCHANGING:
            return None
        return self.exchanges[-1]

    @property
    def has_reserved(self) -> bool:
        """Some of its lines have tickets that are not paid, or it waits for a gift card's money."""
        reserved = LineState.RESERVED
        if any(line.state is reserved for line in self.lines):
            return True
        return any(one.state is reserved for one in self.charges)

    @property
    def due(self) -> int:
        """What is still to be paid, in minor units; negative: owed back."""
        came = sum(one.counted for one in self.payments if one.standing is not Standing.CLOSED)
        return self.worth - came

    @property
    def worth(self) -> int:
        """What its lines and charges that stand cost the buyer, in minor units.

        With an exchange under way: what they will.
        """
        leaving = self.exchange.leaving if self.exchange is not None else ()
        lines = sum(
            line.price
            for line in self.lines
            if line.state in STANDING and line.number not in leaving
        )
        return lines + sum(
            one.amount for one in self.charges if one.state in STANDING and not one.absorbed
        )

    @property
    def value(self) -> int:
        """What of it is worth something yet: its worth, but for what is kept as credit."""
        kept = (one.amount for one in self.charges if one.kind == ChargeKind.CREDIT)
        return self.worth - sum(kept) - self.gift_worth

    @property
    def gift_worth(self) -> int:
        """What its gift cards cost, without what was taken back of them, in minor units."""
        return sum(
            one.amount
            for one in self.charges
            if one.kind == ChargeKind.GIFT_CARD and one.state in STANDING
        )

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
    def moves_by_hand(self) -> bool:
        """Money may still come in at a till, or what a person took may have to be handed back."""
        if any(one.at_reader for one in self.payments):
            return True
        if self.state is OrderState.SELLING or any(not refund.done for refund in self.refunds):
            return True
        if self.exchange is not None and self.exchange.covered:
            return True
        if self.waits and self.due < 0:
            return True  # a part that was paid is more than what is still reserved costs
        return any(
            one.kept and one.standing is Standing.CLOSED and one.method in TILL_METHODS
            for one in self.payments
        )

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
    PART_NOT_OFFERED = "part_not_offered"  # this method pays all that is due, and not a part
    MORE_THAN_DUE = "more_than_due"  # less is to be paid, `detail` is how much
    NOT_APPROVED = "not_approved"  # somebody has to approve the order before it is paid
    TILL_CLOSED = "till_closed"  # whoever takes or hands back money has no till session open
    OPERATOR_MISSING = "operator_missing"  # cash and card terminals need to know who took the money
    TOO_MANY_PAYMENTS = "too_many_payments"  # begun for this order: place it anew
    ATTEMPT_OVER = "attempt_over"  # this payment attempt has ended: pay with a new one
    PAYMENT_REFUSED = "payment_refused"  # by the provider, `detail` is its code; nothing was taken
    SEATS_LOST = "seats_lost"  # the money came too late: nothing is sold, it goes back by itself
    GIVE_MONEY_BACK = "give_money_back"  # the same, and a person took the money: hand it back
    NOTHING_TO_REFUND = "nothing_to_refund"  # no ticket of it is sold now, `detail` is its state
    LINE_NOT_SOLD = "line_not_sold"  # a named line has no ticket now, or is named twice
    TOO_MANY_EXCHANGES = "too_many_exchanges"  # of this order: refund it and sell its places anew
    NOT_ONE_PERFORMANCE = "not_one_performance"  # an exchange is of places of one performance
    PRINTED = "printed"  # a ticket of it is on paper: it is refunded, and not undone
    TOO_MANY_REISSUES = "too_many_reissues"  # of this order: refund it and sell its places anew
    MORE_THAN_VALUE = "more_than_value"  # what is sold is worth less, `detail` is how much
    CREDIT_UNKNOWN = "credit_unknown"  # there is no credit with this code in this currency
    CREDIT_TOO_SMALL = "credit_too_small"  # there is less on it, `detail` is how much
    CREDIT_BUYS_NO_CREDIT = "credit_buys_no_credit"  # gift cards are paid with other money
    GIFT_CARD_SPENT = "gift_card_spent"  # there is nothing on it, or less than the whole is undone


class Bought(Struct, array_like=True, frozen=True, gc=False):
    """What a sale at once came to, in minor units; `number` is the order's.

    Each ticket is (performance, number, seat, area, price type, amount without fees).
    """

    number: int
    total: int
    change: int
    tickets: tuple[tuple[int, int, int, int, str, int], ...]


class OrderRefused(Struct, frozen=True, gc=False):
    """Nothing was done. `code` is a `DeskRefusal`, `Refusal` or `PaymentRefusal`."""

    code: str
    detail: str = ""
    performance: int = -1
    seats: tuple[int, ...] = ()
