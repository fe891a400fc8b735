"""The conversation with Stripe: payment pages, refunds, webhooks.

Owns Stripe's requests and shapes, beside those of card readers (`readers`), and says what comes of
them in the words of `engine.payments`. Knows no order and keeps no state: whoever calls saves
first, and may call again with the same arguments after any failure that is not `PaymentRefused`.
"""

from typing import Any, Final

import msgspec
import stripe
from msgspec import Struct
from msgspec.structs import replace

from engine.actors.readers import (
    INTENT_EVENTS,
    READER_EVENTS,
    StripeReaders,
    intent_event,
    reader_event,
)
from engine.actors.stripe_calls import PAYMENT_KEY, STUCK, payable, read
from engine.currency import from_stripe
from engine.payments import (
    CheckoutLine,
    CheckoutSession,
    Payment,
    PaymentRefused,
    ProviderEvent,
    ProviderEventKind,
    RefundState,
    SessionStatus,
    WebhookRejected,
    session_expiry_s,
)

WEBHOOK_TOLERANCE_S: Final = 300
"""How far a webhook's signed time may be from ours."""
MAX_WEBHOOK_BYTES: Final = 256 * 1024
MAX_CHECKOUT_LINES: Final = 100
"""Stripe's own limit of lines on a payment page."""
MAX_LINE_NAME_CHARS: Final = 200
LIST_PAGE: Final = 100
"""Stripe's longest page of a list."""

REFUND_KEY: Final = "strapontin_refund"
"""Metadata by which Stripe's objects name ours."""
# Confirmed days after the buyer left: no hold lasts that long.
_DELAYED_METHODS: Final = (
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "boleto",
    "customer_balance",
    "konbini",
    "multibanco",
    "nz_bank_account",
    "oxxo",
    "sepa_debit",
    "us_bank_account",
)

_LOCALES: Final = frozenset({"en", "fr"})

_REFUND_STATES: Final = {
    "pending": RefundState.PENDING,
    "requires_action": RefundState.PENDING,
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}


class _Session(Struct):
    """Of a Checkout Session, what we read."""

    id: str
    currency: str
    amount_total: int
    status: SessionStatus
    payment_status: str
    expires_at: int
    payment_intent: str | None = None
    url: str | None = None
    metadata: dict[str, str] | None = None


class _Refund(Struct):
    id: str
    currency: str
    amount: int
    status: str | None
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


class _Charge(Struct):
    id: str
    currency: str
    amount_captured: int
    amount_refunded: int
    payment_intent: str | None = None
    metadata: dict[str, str] | None = None


class _Data(Struct):
    object: msgspec.Raw


class _Event(Struct):
    id: str
    type: str
    data: _Data


class StripeGateway(StripeReaders):
    """Stripe for one account. `api_base` (`http://127.0.0.1:12111`) is for tests.

    Every method is safe to repeat: the idempotency key is made of the caller's ids, and refunds
    are looked up before they are made. Call :meth:`close` at the end.
    """

    def __init__(self, api_key: str, webhook_secret: str, api_base: str | None = None) -> None:
        super().__init__(api_key, api_base)
        self._webhook_secret = webhook_secret

    async def create_checkout(
        self,
        payment: Payment,
        lines: tuple[CheckoutLine, ...],
        *,
        started_s: int,
        expires_s: int,
        success_url: str,
        cancel_url: str,
        language: str,
    ) -> CheckoutSession:
        """The payment page for `payment`; called again, the same page as it was when made.

        Called again it must be given the same: `started_s` is when the payment was saved,
        `expires_s` when its hold ends, both Unix seconds. The page may live longer than
        `expires_s` (`session_expiry_s`): :meth:`expire` it when the hold ends. Stripe replaces
        `{CHECKOUT_SESSION_ID}` in the success URL.

        Raises:
            ValueError: the lines do not add up to the payment, or are too many.
            PaymentRefused, PaymentUnavailable.
        """
        total = sum(line.amount * line.quantity for line in lines)
        if total != payment.amount:
            raise ValueError(
                f"the lines of order {payment.order} add up to {total}, not to {payment.amount}"
            )
        if not 1 <= len(lines) <= MAX_CHECKOUT_LINES:
            raise ValueError(
                f"order {payment.order} has {len(lines)} lines for its payment page, which takes "
                f"1 to {MAX_CHECKOUT_LINES}: put equal places on one line"
            )
        metadata = {PAYMENT_KEY: payment.id}
        session = await self._call(
            self._stripe.v1.checkout.sessions.create_async(
                {
                    "mode": "payment",
                    "line_items": [_line_item(line, payment.currency) for line in lines],
                    "client_reference_id": payment.order,
                    "metadata": metadata,
                    # Copied by Stripe to the charge, so that its events name the payment too.
                    "payment_intent_data": {"metadata": metadata},
                    "expires_at": session_expiry_s(expires_s, started_s),
                    "success_url": success_url,
                    "cancel_url": cancel_url,
                    "locale": language if language in _LOCALES else "auto",
                    "adaptive_pricing": {"enabled": False},
                    "excluded_payment_method_types": list(_DELAYED_METHODS),
                },
                {"idempotency_key": f"checkout-{payment.order}-{payment.attempt}"},
            )
        )
        return _session(session)

    async def retrieve(self, session: str) -> CheckoutSession:
        """The payment page as it is now.

        Raises:
            PaymentRefused, PaymentUnavailable.
        """
        return _session(await self._call(self._stripe.v1.checkout.sessions.retrieve_async(session)))

    async def expire(self, session: str) -> CheckoutSession:
        """Close the payment page. Of one that ended already, how it ended: maybe paid.

        Raises:
            PaymentRefused: it can be neither closed nor found ended.
            PaymentUnavailable.
        """
        try:
            return _session(
                await self._call(self._stripe.v1.checkout.sessions.expire_async(session))
            )
        except PaymentRefused:
            ended = await self.retrieve(session)
            if ended.status is SessionStatus.OPEN:
                raise
            return ended

    async def refund(self, payment: Payment, key: str, amount: int) -> ProviderEvent:
        """Give `amount` back, once per `key`; how far that has come, for `on_provider_event`.

        Raises:
            ValueError: the payment was never heard to be paid, so there is nothing to name.
            PaymentRefused: nothing was given back under this key.
            PaymentUnavailable.
        """
        if not payment.intent:
            raise ValueError(f"payment {payment.id} has no PaymentIntent to refund")
        # Stripe forgets idempotency keys after a day; the refunds themselves it keeps.
        made = await self._made_refund(payment, key)
        if made is not None:
            return made
        try:
            created = await self._call(
                self._stripe.v1.refunds.create_async(
                    {
                        "payment_intent": payment.intent,
                        "amount": payable(amount, payment.currency),
                        "metadata": {PAYMENT_KEY: payment.id, REFUND_KEY: key},
                        "reason": "requested_by_customer",
                    },
                    {"idempotency_key": f"refund-{payment.id}-{key}"},
                )
            )
        except PaymentRefused as refused:
            # An error of theirs may have come after the money left.
            made = await self._made_refund(payment, key) if refused.code == STUCK else None
            if made is None:
                raise
            return made
        return _refund_event(read(created.to_dict(), _Refund))

    async def _made_refund(self, payment: Payment, key: str) -> ProviderEvent | None:
        refunds = await self._call(
            self._stripe.v1.refunds.list_async(
                {"payment_intent": payment.intent, "limit": LIST_PAGE}
            )
        )
        events = (_refund_event(read(refund.to_dict(), _Refund)) for refund in refunds.data)
        return next((event for event in events if event.refund == key), None)

    def parse_webhook(self, payload: bytes, signature: str, now_s: int) -> ProviderEvent | None:
        """What a webhook says of a payment, or None if it is no concern of ours.

        Args:
            payload: the request's body, untouched.
            signature: its `Stripe-Signature` header, "" when absent.
            now_s: Unix seconds.

        Raises:
            WebhookRejected: answer 400 and change nothing.
        """
        self._check_signature(payload, signature, now_s)
        try:
            event = msgspec.json.decode(payload, type=_Event)
            return _webhook_event(event)
        except (msgspec.MsgspecError, ValueError) as error:
            raise WebhookRejected(f"a signed webhook cannot be read: {error}") from error

    def _check_signature(self, payload: bytes, signature: str, now_s: int) -> None:
        if len(payload) > MAX_WEBHOOK_BYTES:
            raise WebhookRejected(f"webhook of {len(payload)} bytes, over {MAX_WEBHOOK_BYTES}")
        try:
            # Without a tolerance, or the package would read the clock itself.
            stripe.WebhookSignature.verify_header(payload, signature, self._webhook_secret, None)
        except (stripe.SignatureVerificationError, UnicodeError) as error:
            raise WebhookRejected(
                "webhook not signed with the configured secret: if it came from Stripe, compare "
                "the endpoint's signing secret (whsec_...) with the setting"
            ) from error
        # The first time given is the one that the signature covers.
        items = (item.partition("=") for item in signature.split(","))
        signed_s = next(int(value) for name, _, value in items if name == "t")
        if abs(now_s - signed_s) > WEBHOOK_TOLERANCE_S:
            raise WebhookRejected(
                f"webhook signed {abs(now_s - signed_s)} s from now, over {WEBHOOK_TOLERANCE_S} s: "
                "if it came from Stripe, this machine's clock is wrong"
            )


def _line_item(line: CheckoutLine, currency: str) -> Any:
    return {
        "quantity": line.quantity,
        "price_data": {
            "currency": currency.lower(),
            "unit_amount": payable(line.amount, currency),
            "product_data": {"name": line.name[:MAX_LINE_NAME_CHARS]},
        },
    }


def _session(answer: stripe.checkout.Session) -> CheckoutSession:
    return _checkout_session(read(answer.to_dict(), _Session))


def _checkout_session(session: _Session) -> CheckoutSession:
    currency = session.currency.upper()
    return CheckoutSession(
        id=session.id,
        status=session.status,
        paid=session.payment_status == "paid",
        payment=(session.metadata or {}).get(PAYMENT_KEY, ""),
        amount=from_stripe(session.amount_total, currency),
        currency=currency,
        intent=session.payment_intent or "",
        url=session.url or "",
        expires_s=session.expires_at,
    )


def _webhook_event(event: _Event) -> ProviderEvent | None:
    match event.type:
        case (
            "checkout.session.completed"
            | "checkout.session.expired"
            | "checkout.session.async_payment_succeeded"
            | "checkout.session.async_payment_failed"
        ):
            return _session_event(event)
        case "refund.created" | "refund.updated" | "refund.failed":
            refund = msgspec.json.decode(event.data.object, type=_Refund)
            return replace(_refund_event(refund), id=event.id) if refund.payment_intent else None
        case "charge.refunded":
            return _charge_event(event)
        case type if type in INTENT_EVENTS:
            told = intent_event(event.data.object)
            return told and replace(told, id=event.id)
        case type if type in READER_EVENTS:
            told = reader_event(event.data.object)
            return told and replace(told, id=event.id)
        case _:
            return None


def _session_event(event: _Event) -> ProviderEvent | None:
    session = _checkout_session(msgspec.json.decode(event.data.object, type=_Session))
    told = session.event()
    if told is None or not told.payment:
        return None  # Another shop's on the same account.
    if event.type == "checkout.session.async_payment_failed":
        told = replace(told, kind=ProviderEventKind.FAILED, amount=0)
    return replace(told, id=event.id)


def _refund_event(refund: _Refund) -> ProviderEvent:
    metadata = refund.metadata or {}
    currency = refund.currency.upper()
    return ProviderEvent(
        kind=ProviderEventKind.REFUND,
        id=refund.id,
        currency=currency,
        payment=metadata.get(PAYMENT_KEY, ""),
        intent=refund.payment_intent or "",
        amount=from_stripe(refund.amount, currency),
        refund=metadata.get(REFUND_KEY, refund.id),
        # A status that we do not know is not certain yet.
        refund_state=_REFUND_STATES.get(refund.status or "", RefundState.PENDING),
        refund_reference=refund.id,
    )


def _charge_event(event: _Event) -> ProviderEvent | None:
    charge = msgspec.json.decode(event.data.object, type=_Charge)
    payment = (charge.metadata or {}).get(PAYMENT_KEY, "")
    currency = charge.currency.upper()
    if not payment:
        return None
    return ProviderEvent(
        kind=ProviderEventKind.CHARGE_REFUNDED,
        id=event.id,
        currency=currency,
        payment=payment,
        intent=charge.payment_intent or "",
        amount=from_stripe(charge.amount_captured, currency),
        refunded=from_stripe(charge.amount_refunded, currency),
    )
