"""A payment: one movement of money for an order, and what may become of it.

A payment keeps facts, and each fact only ever grows: money captured, session expired,
attempt failed, how far each refund has come. Its state is computed from the facts, never
stored beside them, so provider events that arrive twice, late or in the wrong order end in
the same payment. `due_actions` reads from the same facts what the order desk owes now: it
may be asked again after a crash, and each action names what makes it idempotent.

Owns payments, refunds and the meaning of provider events. Knows no provider's protocol
(`engine.actors.payments`) and no order: it only keeps, per payment, whether the order still
waits for it, because one order can have an abandoned attempt beside the one that paid.

Amounts are integer minor units of `Payment.currency`. What can become of asking a provider:

    PaymentError
    +-- PaymentUnavailable    ask again later, the same way: nothing is known to have happened
    +-- PaymentRefused        asking again will not help; `code` says why
    +-- WebhookRejected       a notice that Stripe did not send, or not now
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.commands import Channel
from engine.currency import cash_rounded, checked_currency

MAX_REFUNDS_PER_PAYMENT: Final = 100
"""Refunds kept one by one. Refunds made elsewhere past it count through the charge's total."""
MAX_REFERENCE_CHARS: Final = 64
"""A card terminal's receipt reference."""
DECLINED: Final = "declined"
"""The reference under which a test card is declined, so that a failed payment can be tried too."""
MIN_SESSION_S: Final = 30 * 60
MAX_SESSION_S: Final = 24 * 60 * 60
"""Stripe's window for a Checkout Session's life, counted from its creation."""
SESSION_MARGIN_S: Final = 60
"""Kept clear at both ends of the window, for clocks that differ and a retried request."""
READER_WAIT_MS: Final = 3 * 60 * 1_000
"""A card reader waits this long for a card."""
TIMED_OUT: Final = "timed_out"
"""Why a payment at a reader failed to which nobody came."""


class PaymentError(Exception):
    """Something with the payment provider; the message is fit for a log, not for a buyer."""


class PaymentUnavailable(PaymentError):
    """The provider cannot be reached or is not well. The same call may be made again."""


class PaymentRefused(PaymentError):
    """The provider says no. `code` is Stripe's error code or type, or one of ours."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{message} ({code})")
        self.code = code


class WebhookRejected(PaymentError):
    """Not a notice to act on: unsigned, signed by another, too old, too large or garbled."""


class CheckoutLine(Struct, frozen=True, gc=False):
    """A line of the payment page: `amount` minor units each, of the payment's currency."""

    name: str
    amount: int
    quantity: int = 1


class PaymentMethod(StrEnum):
    """TEST_CARD moves no money and says so; it exists only where Stripe is not configured.

    CARD_TERMINAL is a terminal of its own, whose receipt is noted; STRIPE_TERMINAL a card reader
    that Stripe drives.
    """

    CASH = "cash"
    CARD_TERMINAL = "card_terminal"
    CHEQUE = "cheque"
    BANK_TRANSFER = "bank_transfer"
    TEST_CARD = "test_card"
    STRIPE = "stripe"
    STRIPE_TERMINAL = "stripe_terminal"
    STORE_CREDIT = "store_credit"


class PaymentState(StrEnum):
    """PAID includes partly refunded: `Payment.refunded` has the exact amount."""

    PENDING = "pending"
    PAID = "paid"
    FAILED = "failed"
    EXPIRED = "expired"
    REFUND_PENDING = "refund_pending"
    REFUNDED = "refunded"


_HAS_MONEY: Final = (PaymentState.PAID, PaymentState.REFUND_PENDING, PaymentState.REFUNDED)

NEXT_STATES: Final[dict[PaymentState, frozenset[PaymentState]]] = {
    PaymentState.PENDING: frozenset({PaymentState.FAILED, PaymentState.EXPIRED, *_HAS_MONEY}),
    # Money outranks every report of failure: it may arrive after one, and must then be seen.
    PaymentState.EXPIRED: frozenset({PaymentState.FAILED, *_HAS_MONEY}),
    PaymentState.FAILED: frozenset(_HAS_MONEY),
    PaymentState.PAID: frozenset({PaymentState.REFUND_PENDING, PaymentState.REFUNDED}),
    # A refund can bounce, even days after it succeeded.
    PaymentState.REFUND_PENDING: frozenset({PaymentState.PAID, PaymentState.REFUNDED}),
    PaymentState.REFUNDED: frozenset({PaymentState.PAID, PaymentState.REFUND_PENDING}),
}


class RefundState(StrEnum):
    """Listed in the order a refund advances; a report of an earlier state is stale."""

    REQUESTED = "requested"  # saved here, the provider not heard of yet
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # refused or bounced: final, and a person has to pay it back


_REFUND_RANK: Final = {state: rank for rank, state in enumerate(RefundState)}


class Standing(StrEnum):
    """What the order makes of this payment."""

    WAITING = "waiting"  # the order confirms when this payment is made
    CONFIRMED = "confirmed"  # the order was confirmed with this money
    CLOSED = "closed"  # the order went on without it: any money that comes goes back


class Refund(Struct, frozen=True, gc=False):
    """Money going back. `key` is the caller's, or the provider's id when made elsewhere."""

    key: str
    amount: int
    state: RefundState
    reference: str = ""
    till: str = ""  # the till session whose drawer it was handed back from


class Payment(Struct, frozen=True, gc=False):
    """One movement of money. Make it with a `pay_*` or `start_*` function of this module.

    `started_ms` is when a page or a reader was first wanted, 0 for methods without one.
    `reference` is the card terminal's receipt, Stripe's session or card reader, or the code of a
    credit; `intent` is Stripe's PaymentIntent, which refunds name. `given` and `change` are cash
    alone: `given - change` is in the till, and differs from `amount` by the coins' rounding.
    `why` is the provider's code of a failure, "" for none known.
    """

    id: str
    order: str
    method: PaymentMethod
    amount: int
    currency: str
    attempt: int = 1
    started_ms: int = 0
    captured: int = 0
    given: int = 0
    change: int = 0
    reference: str = ""
    intent: str = ""
    failed: bool = False
    why: str = ""
    expired: bool = False
    standing: Standing = Standing.WAITING
    refunds: tuple[Refund, ...] = ()  # by key
    charge_refunded: int = 0  # largest refund total heard for the charge as a whole
    till: str = ""  # the till session that a person took it in

    @property
    def state(self) -> PaymentState:
        if not self.captured:
            if self.failed:
                return PaymentState.FAILED
            return PaymentState.EXPIRED if self.expired else PaymentState.PENDING
        if self.refund_pending:
            return PaymentState.REFUND_PENDING
        return PaymentState.REFUNDED if self.refunded >= self.captured else PaymentState.PAID

    @property
    def refunded(self) -> int:
        """Paid back for certain, refunds made elsewhere included."""
        if not self.refunds:
            return self.charge_refunded
        # A charge's total counts every refund made on it, those that bounced too; what it
        # has beyond the refunds known by name was made elsewhere and not yet reported.
        elsewhere = max(0, self.charge_refunded - sum(refund.amount for refund in self.refunds))
        return elsewhere + self._sum(RefundState.SUCCEEDED)

    @property
    def refund_pending(self) -> int:
        """Asked back and not yet certain."""
        return self._sum(RefundState.REQUESTED) + self._sum(RefundState.PENDING)

    @property
    def kept(self) -> int:
        """Captured, neither paid back nor on its way back: the most that can be refunded."""
        if not self.refunds and not self.charge_refunded:  # as nearly all are
            return self.captured
        return max(0, self.captured - self.refunded - self.refund_pending)

    @property
    def counted(self) -> int:
        """What it is worth to its order: what is kept, but for what a person has to hand back.

        That is what the provider refused or a bank returned, less what was given back elsewhere
        since. To ask for it once more would bounce again, or pay twice.
        """
        bounced = self._sum(RefundState.FAILED)
        if not bounced:
            return self.kept
        ours = self.refund_pending + sum(
            refund.amount
            for refund in self.refunds
            if refund.state is RefundState.SUCCEEDED and "_" not in refund.key
        )
        return min(self.kept, max(0, self.captured - ours - bounced))

    @property
    def at_reader(self) -> bool:
        """A card may still be presented for it at its reader."""
        ended = self.captured or self.failed or self.expired
        waits = self.standing is Standing.WAITING and not ended
        return waits and self.method is PaymentMethod.STRIPE_TERMINAL

    def _sum(self, state: RefundState) -> int:
        return sum(refund.amount for refund in self.refunds if refund.state is state)


class PaymentRefusal(StrEnum):
    """Why a payment or a refund was not begun. Nothing changed."""

    AMOUNT_NOT_POSITIVE = "amount_not_positive"
    GIVEN_TOO_LITTLE = "given_too_little"
    GIVEN_NOT_COINS = "given_not_coins"  # no coins make this sum
    REFERENCE_MISSING = "reference_missing"
    REFERENCE_TOO_LONG = "reference_too_long"
    NOT_PAID = "not_paid"
    REFUND_TOO_LARGE = "refund_too_large"  # over what is kept
    REFUND_KEY_REUSED = "refund_key_reused"  # known with another amount
    TOO_MANY_REFUNDS = "too_many_refunds"


class ActionKind(StrEnum):
    """What the order desk owes. Each may be repeated: the desk does it once per its subject."""

    CONFIRM_ORDER = "confirm_order"  # sell the seats; then `confirm`, or `close` if they are lost
    RELEASE_ORDER = "release_order"  # this payment will not make the order: `close` it
    REFUND_LATE_PAYMENT = "refund_late_payment"  # `begin_refund` of `amount`, then the provider
    REFUND_FAILED = "refund_failed"  # tell people: refund `refund` of `amount` was not paid


class Action(Struct, frozen=True, gc=False):
    kind: ActionKind
    amount: int = 0
    refund: str = ""


class ProviderEventKind(StrEnum):
    PAID = "paid"
    PROCESSING = "processing"  # accepted, the money to follow or not
    FAILED = "failed"
    EXPIRED = "expired"
    REFUND = "refund"  # how far one refund has come
    CHARGE_REFUNDED = "charge_refunded"  # the total refunded of the charge so far


class ProviderEvent(Struct, frozen=True, gc=False):
    """What a provider says of one payment.

    `payment` is our id, empty for a refund made in the provider's own pages: find the payment
    by `intent`, and so with what a card reader tells. `amount` is what was captured (PAID,
    CHARGE_REFUNDED) or what the refund is of (REFUND); `refunded` is the charge's total
    (CHARGE_REFUNDED). `why` is the provider's code of a failure (FAILED).
    """

    kind: ProviderEventKind
    id: str
    currency: str
    payment: str = ""
    session: str = ""
    intent: str = ""
    amount: int = 0
    refunded: int = 0
    refund: str = ""
    refund_state: RefundState = RefundState.REQUESTED
    refund_reference: str = ""
    why: str = ""


class ProviderMismatchError(ValueError):
    """An event that names another payment, session, intent or currency than the payment's."""


class SessionStatus(StrEnum):
    OPEN = "open"
    COMPLETE = "complete"
    EXPIRED = "expired"


class CheckoutSession(Struct, frozen=True, gc=False):
    """A provider's payment page for one payment. `url` is empty once it is not open."""

    id: str
    status: SessionStatus
    paid: bool
    payment: str
    amount: int
    currency: str
    intent: str
    url: str
    expires_s: int

    def event(self) -> ProviderEvent | None:
        """What the session says of its payment, as an event; None while it is open."""
        if self.status is SessionStatus.OPEN:
            return None
        if self.status is SessionStatus.EXPIRED:
            kind = ProviderEventKind.EXPIRED
        else:
            kind = ProviderEventKind.PAID if self.paid else ProviderEventKind.PROCESSING
        return ProviderEvent(
            kind=kind,
            id=self.id,
            currency=self.currency,
            payment=self.payment,
            session=self.id,
            intent=self.intent,
            amount=self.amount if kind is ProviderEventKind.PAID else 0,
        )


class CardReader(Struct, frozen=True, gc=False):
    """A card reader that Stripe drives. `device_type` says which, and whether it is simulated."""

    id: str
    label: str
    device_type: str
    is_online: bool


TILL_METHODS: Final = (
    PaymentMethod.CASH,
    PaymentMethod.CARD_TERMINAL,
    PaymentMethod.CHEQUE,
    PaymentMethod.BANK_TRANSFER,
)
"""A person takes the money, and can hand it back."""
PROVIDER_METHODS: Final = (PaymentMethod.STRIPE, PaymentMethod.STRIPE_TERMINAL)
"""The provider takes the money, and gives it back."""


def methods(channel: Channel, stripe_configured: bool) -> tuple[PaymentMethod, ...]:
    """The payment methods offered in a channel, the usual one first."""
    card = PaymentMethod.STRIPE if stripe_configured else PaymentMethod.TEST_CARD
    reader = (PaymentMethod.STRIPE_TERMINAL,) if stripe_configured else ()
    if channel is Channel.BOX_OFFICE:
        return (*TILL_METHODS, *reader, PaymentMethod.STORE_CREDIT)
    if channel is Channel.PHONE:
        return (card, *TILL_METHODS, *reader, PaymentMethod.STORE_CREDIT)
    return (card, PaymentMethod.STORE_CREDIT)


def session_expiry_s(wanted_s: int, started_s: int) -> int:
    """The nearest expiry to `wanted_s` that Stripe accepts, all in Unix seconds.

    `started_s` is when the attempt was saved, not when it is sent: a repeated request must
    carry the same expiry, or the provider refuses its idempotency key.
    """
    earliest_s = started_s + MIN_SESSION_S + SESSION_MARGIN_S
    latest_s = started_s + MAX_SESSION_S - SESSION_MARGIN_S
    return min(max(wanted_s, earliest_s), latest_s)


def pay_cash(
    id: str, order: str, amount: int, currency: str, given: int
) -> Payment | PaymentRefusal:
    """Cash handed over: `given` covers the amount rounded to coins, the rest is change."""
    if amount <= 0:
        return PaymentRefusal.AMOUNT_NOT_POSITIVE
    if cash_rounded(given, currency) != given:
        return PaymentRefusal.GIVEN_NOT_COINS
    change = given - cash_rounded(amount, currency)
    if change < 0:
        return PaymentRefusal.GIVEN_TOO_LITTLE
    return Payment(
        id=id,
        order=order,
        method=PaymentMethod.CASH,
        amount=amount,
        currency=currency,
        captured=amount,
        given=given,
        change=change,
    )


def pay_by_reference(
    id: str, order: str, method: PaymentMethod, amount: int, currency: str, reference: str
) -> Payment | PaymentRefusal:
    """Money that came elsewhere: `reference` is of the card terminal's receipt, the cheque's
    number, or what the bank says of the transfer."""
    reference = reference.strip()
    if amount <= 0:
        return PaymentRefusal.AMOUNT_NOT_POSITIVE
    if not reference:
        return PaymentRefusal.REFERENCE_MISSING
    if len(reference) > MAX_REFERENCE_CHARS:
        return PaymentRefusal.REFERENCE_TOO_LONG
    return Payment(
        id=id,
        order=order,
        method=method,
        amount=amount,
        currency=checked_currency(currency),
        captured=amount,
        reference=reference,
    )


def pay_by_credit(
    id: str, order: str, amount: int, currency: str, code: str
) -> Payment | PaymentRefusal:
    """Taken from a credit: saved, it is."""
    if amount <= 0:
        return PaymentRefusal.AMOUNT_NOT_POSITIVE
    return Payment(
        id=id,
        order=order,
        method=PaymentMethod.STORE_CREDIT,
        amount=amount,
        currency=checked_currency(currency),
        captured=amount,
        reference=code,
    )


def pay_by_test_card(
    id: str, order: str, amount: int, currency: str, reference: str = ""
) -> Payment | PaymentRefusal:
    """Pretend: the order goes on as if paid, and no money moves; DECLINED fails instead."""
    if amount <= 0:
        return PaymentRefusal.AMOUNT_NOT_POSITIVE
    declined = reference == DECLINED
    return Payment(
        id=id,
        order=order,
        method=PaymentMethod.TEST_CARD,
        amount=amount,
        currency=checked_currency(currency),
        captured=0 if declined else amount,
        failed=declined,
    )


def start_stripe(
    id: str, order: str, attempt: int, amount: int, currency: str, started_ms: int
) -> Payment | PaymentRefusal:
    """A payment still to be made on Stripe's page. Save it before asking for the page.

    `started_ms` is now: the page's life counts from it, whenever and however often it is asked for.
    """
    if amount <= 0:
        return PaymentRefusal.AMOUNT_NOT_POSITIVE
    return Payment(
        id=id,
        order=order,
        method=PaymentMethod.STRIPE,
        amount=amount,
        currency=checked_currency(currency),
        attempt=attempt,
        started_ms=started_ms,
    )


def start_terminal(
    id: str, order: str, attempt: int, amount: int, currency: str, started_ms: int, reader: str
) -> Payment | PaymentRefusal:
    """A payment still to be made at a card reader. Save it before asking the reader.

    `started_ms` is now: the reader waits from then on.
    """
    begun = start_stripe(id, order, attempt, amount, currency, started_ms)
    if isinstance(begun, PaymentRefusal):
        return begun
    if not reader:
        return PaymentRefusal.REFERENCE_MISSING
    if len(reader) > MAX_REFERENCE_CHARS:
        return PaymentRefusal.REFERENCE_TOO_LONG
    return replace(begun, method=PaymentMethod.STRIPE_TERMINAL, reference=reader)


def with_intent(payment: Payment, intent: str) -> Payment:
    """The payment, knowing its PaymentIntent.

    Raises:
        ProviderMismatchError: it has another one already.
    """
    return replace(payment, intent=_same(payment.intent, intent, "intent", payment))


def with_session(payment: Payment, session: str) -> Payment:
    """The payment, knowing its page.

    Raises:
        ProviderMismatchError: it has another page already.
    """
    return replace(payment, reference=_same(payment.reference, session, "session", payment))


def confirm(payment: Payment) -> Payment:
    """The order's seats are sold with this money."""
    assert payment.captured and payment.standing is not Standing.CLOSED
    return replace(payment, standing=Standing.CONFIRMED)


def close(payment: Payment) -> Payment:
    """The order goes on without this payment; whatever it captures is owed back."""
    assert payment.standing is not Standing.CONFIRMED
    return replace(payment, standing=Standing.CLOSED)


def begin_refund(
    payment: Payment, key: str, amount: int, reference: str = "", till: str = ""
) -> Payment | PaymentRefusal:
    """The payment with a refund under the caller's `key`; the same key again changes nothing.

    `till` is the till session of who hands it back, where a person does.

    Through Stripe the refund is REQUESTED until the provider reports it: save the payment,
    then ask. Every other method is paid back by hand, or to its credit, at once: it is SUCCEEDED.
    """
    for refund in payment.refunds:
        if refund.key == key:
            return payment if refund.amount == amount else PaymentRefusal.REFUND_KEY_REUSED
    if not payment.captured:
        return PaymentRefusal.NOT_PAID
    if amount <= 0:
        return PaymentRefusal.AMOUNT_NOT_POSITIVE
    if amount > payment.kept:
        return PaymentRefusal.REFUND_TOO_LARGE
    if len(payment.refunds) >= MAX_REFUNDS_PER_PAYMENT:
        return PaymentRefusal.TOO_MANY_REFUNDS
    by_provider = payment.method in PROVIDER_METHODS
    state = RefundState.REQUESTED if by_provider else RefundState.SUCCEEDED
    till = till if payment.method in TILL_METHODS else ""
    return _with_refund(payment, Refund(key, amount, state, reference, till))


def fail_refund(payment: Payment, key: str) -> Payment:
    """The provider refused the refund `key`.

    Raises:
        KeyError: no such refund.
    """
    for refund in payment.refunds:
        if refund.key == key:
            return _with_refund(payment, replace(refund, state=RefundState.FAILED))
    raise KeyError(f"payment {payment.id} has no refund {key}")


def due_actions(payment: Payment) -> tuple[Action, ...]:
    """What the desk owes as things stand. Asked after a crash, and empty when all is settled."""
    due: list[Action] = []
    failed = [refund for refund in payment.refunds if refund.state is RefundState.FAILED]
    if payment.standing is Standing.WAITING:
        # Another sum than the order's makes no order: the seats go, then the money goes back.
        if payment.captured == payment.amount == payment.kept:
            due.append(Action(ActionKind.CONFIRM_ORDER))
        elif payment.captured or payment.failed or payment.expired:
            due.append(Action(ActionKind.RELEASE_ORDER))
    elif payment.standing is Standing.CLOSED and payment.kept and not failed:
        # A refund that bounced would bounce again: from there on it is a person's work.
        due.append(Action(ActionKind.REFUND_LATE_PAYMENT, amount=payment.kept))
    due.extend(
        Action(ActionKind.REFUND_FAILED, amount=refund.amount, refund=refund.key)
        for refund in failed
    )
    return tuple(due)


def on_provider_event(payment: Payment, event: ProviderEvent) -> tuple[Payment, tuple[Action, ...]]:
    """The payment after the event, and what became due through it.

    Any number of the same events in any order give an equal payment; an event that says
    nothing new gives the payment itself and no action.

    Raises:
        ProviderMismatchError: the event is not about this payment.
    """
    updated = _learned(payment, event)
    if updated == payment:
        return payment, ()
    assert updated.state is payment.state or updated.state in NEXT_STATES[payment.state]
    known = due_actions(payment)
    return updated, tuple(action for action in due_actions(updated) if action not in known)


def _learned(payment: Payment, event: ProviderEvent) -> Payment:
    _same(payment.id, event.payment, "payment", payment)
    _same(payment.currency, event.currency, "currency", payment)
    payment = replace(
        payment,
        reference=_same(payment.reference, event.session, "session", payment),
        intent=_same(payment.intent, event.intent, "intent", payment),
    )
    match event.kind:
        case ProviderEventKind.PROCESSING:
            return payment
        case ProviderEventKind.PAID:
            return replace(payment, captured=max(payment.captured, event.amount))
        case ProviderEventKind.FAILED:
            # Of several codes the last in the alphabet: whichever is heard first.
            return replace(payment, failed=True, why=max(payment.why, event.why))
        case ProviderEventKind.EXPIRED:
            return replace(payment, expired=True)
        case ProviderEventKind.REFUND:
            heard = Refund(event.refund, event.amount, event.refund_state, event.refund_reference)
            return _with_refund(payment, heard)
        case ProviderEventKind.CHARGE_REFUNDED:
            return replace(
                payment,
                captured=max(payment.captured, event.amount),
                charge_refunded=max(payment.charge_refunded, event.refunded),
            )


def _with_refund(payment: Payment, heard: Refund) -> Payment:
    """The payment with the further advanced of what is known and what is heard of a refund."""
    others = tuple(refund for refund in payment.refunds if refund.key != heard.key)
    known = next((refund for refund in payment.refunds if refund.key == heard.key), None)
    if known is None and len(others) >= MAX_REFUNDS_PER_PAYMENT:
        return payment  # The charge's total still counts it.
    if known is not None:
        if known.amount != heard.amount:
            raise ProviderMismatchError(
                f"refund {heard.key} of payment {payment.id} is of {known.amount}, "
                f"the provider reports {heard.amount}"
            )
        further = max(known, heard, key=lambda refund: _REFUND_RANK[refund.state])
        heard = replace(further, reference=known.reference or heard.reference)
    return replace(payment, refunds=tuple(sorted((*others, heard), key=lambda refund: refund.key)))


def _same(known: str, heard: str, what: str, payment: Payment) -> str:
    """The value known or heard, where either may be silent."""
    if known and heard and known != heard:
        raise ProviderMismatchError(
            f"payment {payment.id} of order {payment.order} has {what} {known}, "
            f"the provider reports {heard}"
        )
    return known or heard
