"""Card readers that Stripe drives: asked for a card, looked at, stopped.

What became of a payment is asked of its PaymentIntent alone: a reader that lost its connection
knows less than Stripe, and what it tells is only a reason to look. A payment has failed once its
PaymentIntent is cancelled, and not before: from then on no card can be charged for it.

Owns Stripe's requests and shapes for readers. Keeps no state: every method may be called again
with the same arguments, by the next desk too.
"""

import contextlib
import logging
from typing import Final

import msgspec
import stripe
from msgspec import Struct
from msgspec.structs import replace

from engine.actors.stripe_calls import PAYMENT_KEY, StripeCalls, payable, read
from engine.currency import from_stripe
from engine.payments import (
    CardReader,
    Payment,
    PaymentError,
    PaymentRefused,
    ProviderEvent,
    ProviderEventKind,
)

log = logging.getLogger(__name__)

READER_KEY: Final = "strapontin_reader"
"""Metadata of the PaymentIntents that are made for a reader: a payment page has some too."""
INTENT_EVENTS: Final = (
    "payment_intent.succeeded",
    "payment_intent.canceled",
    "payment_intent.payment_failed",
)
READER_EVENTS: Final = ("terminal.reader.action_succeeded", "terminal.reader.action_failed")
BUSY: Final = "terminal_reader_busy"
"""Code of a reader where somebody else pays."""
MAX_READERS: Final = 100
"""Stripe's longest page of a list."""


class _Why(Struct):
    code: str | None = None
    decline_code: str | None = None

    def __str__(self) -> str:
        return self.decline_code or self.code or "declined"


class _Intent(Struct):
    """Of a PaymentIntent, what we read."""

    id: str
    status: str
    currency: str
    amount_received: int = 0
    last_payment_error: _Why | None = None
    metadata: dict[str, str] | None = None

    def event(self) -> ProviderEvent:
        """What it says of its payment: PROCESSING while a card may still be presented."""
        currency = self.currency.upper()
        told = ProviderEvent(
            ProviderEventKind.PROCESSING,
            self.id,
            currency,
            payment=(self.metadata or {}).get(PAYMENT_KEY, ""),
            intent=self.id,
        )
        if self.status == "succeeded":
            amount = from_stripe(self.amount_received, currency)
            return replace(told, kind=ProviderEventKind.PAID, amount=amount)
        if self.status != "canceled":
            return told
        if self.last_payment_error is None:
            return replace(told, kind=ProviderEventKind.EXPIRED)
        return replace(told, kind=ProviderEventKind.FAILED, why=str(self.last_payment_error))


class _Process(Struct):
    payment_intent: str | _Intent

    @property
    def intent(self) -> str:
        told = self.payment_intent
        return told if isinstance(told, str) else told.id


class _Action(Struct):
    """What a reader does or did last."""

    status: str
    failure_code: str | None = None
    process_payment_intent: _Process | None = None

    def is_of(self, payment: Payment) -> bool:
        asked = self.process_payment_intent
        return asked is not None and asked.intent == payment.intent


class _Reader(Struct):
    id: str
    label: str = ""
    device_type: str = ""
    status: str | None = None
    action: _Action | None = None


class StripeReaders(StripeCalls):
    """The readers of one account; see the module. All raise PaymentUnavailable too."""

    async def readers(self) -> list[CardReader]:
        """The first MAX_READERS of the account.

        Raises:
            PaymentRefused.
        """
        found = await self._call(
            self._stripe.v1.terminal.readers.list_async({"limit": MAX_READERS})
        )
        readers = [read(one.to_dict(), _Reader) for one in found.data]
        return [
            CardReader(one.id, one.label, one.device_type, one.status == "online")
            for one in readers
        ]

    async def present(self, reader: str, number: str) -> None:
        """Present a card to a simulated reader: the one of this number, "" for one that pays.

        Raises:
            PaymentRefused: it waits for none, or is not simulated.
        """
        helpers = self._stripe.v1.test_helpers.terminal.readers
        wanted: stripe.params.test_helpers.terminal.ReaderPresentPaymentMethodParams = {}
        if number:
            wanted = {"type": "card_present", "card_present": {"number": number}}
        await self._call(helpers.present_payment_method_async(reader, wanted))

    async def create_intent(self, payment: Payment) -> str:
        """The PaymentIntent of a payment at a reader, once: save it before the reader is asked.

        Raises:
            PaymentRefused: there is none.
        """
        made = await self._call(
            self._stripe.v1.payment_intents.create_async(
                {
                    "amount": payable(payment.amount, payment.currency),
                    "currency": payment.currency.lower(),
                    "payment_method_types": ["card_present"],
                    # At once: what is only authorised would have to be watched after the sale.
                    "capture_method": "automatic",
                    "metadata": {PAYMENT_KEY: payment.id, READER_KEY: payment.reference},
                },
                {"idempotency_key": f"terminal-{payment.order}-{payment.attempt}"},
            )
        )
        return read(made.to_dict(), _Intent).id

    async def collect(self, payment: Payment) -> ProviderEvent:
        """Have the payment's reader ask for a card, or see how far it has come.

        PROCESSING while it waits. What is declined, or cannot be asked, is stopped: FAILED.

        Raises:
            PaymentRefused: it can neither go on nor be stopped.
        """
        intent = await self._intent(payment.intent)
        event = intent.event()
        if event.kind is ProviderEventKind.PROCESSING:
            declined = intent.last_payment_error
            why = str(declined) if declined is not None else await self._ask_for_card(payment)
            return await self.stop(payment, why) if why else event
        if event.kind is not ProviderEventKind.PAID:
            await self._clear(payment)
        return event

    async def stop(self, payment: Payment, why: str = "") -> ProviderEvent:
        """Let nobody pay it any more. How it ended: EXPIRED, FAILED for a reason, maybe PAID.

        Raises:
            PaymentRefused: it can be neither stopped nor found ended.
        """
        try:
            cancelled = await self._call(
                self._stripe.v1.payment_intents.cancel_async(payment.intent)
            )
            intent = read(cancelled.to_dict(), _Intent)
        except PaymentRefused:
            intent = await self._intent(payment.intent)
            if intent.event().kind is ProviderEventKind.PROCESSING:
                raise
        event = intent.event()
        if event.kind is ProviderEventKind.PAID:
            return event
        await self._clear(payment)
        if event.kind is ProviderEventKind.EXPIRED and why:
            return replace(event, kind=ProviderEventKind.FAILED, why=why)
        return event

    async def _ask_for_card(self, payment: Payment) -> str:
        """Have the reader ask, unless it does. Why it cannot, "" where it waits for a card."""
        readers = self._stripe.v1.terminal.readers
        try:
            action = (await self._reader(payment)).action
            if action is not None and action.is_of(payment):
                failed = action.status == "failed"
                return (action.failure_code or "declined") if failed else ""
            if action is not None and action.status == "in_progress":
                # Stripe would let go of the other payment, and show this one.
                if not await self._is_over(action):
                    return BUSY
                await self._call(readers.cancel_action_async(payment.reference))
            await self._call(
                readers.process_payment_intent_async(
                    payment.reference,
                    {
                        "payment_intent": payment.intent,
                        "process_config": {
                            "enable_customer_cancellation": True,
                            # What is paid is what was asked.
                            "skip_tipping": True,
                        },
                    },
                    {"idempotency_key": f"process-{payment.id}"},
                )
            )
        except PaymentRefused as refused:
            return refused.code
        return ""

    async def _is_over(self, action: _Action) -> bool:
        """Can nobody pay any more what a reader shows? It lost its connection in the middle."""
        asked = action.process_payment_intent
        if asked is None:
            return False
        return (await self._intent(asked.intent)).event().kind is not ProviderEventKind.PROCESSING

    async def _clear(self, payment: Payment) -> None:
        """Take a payment that ended off its reader's display, where it still is."""
        with contextlib.suppress(PaymentError):
            action = (await self._reader(payment)).action
            if action is not None and action.is_of(payment) and action.status == "in_progress":
                await self._call(
                    self._stripe.v1.terminal.readers.cancel_action_async(payment.reference)
                )

    async def _intent(self, intent: str) -> _Intent:
        found = await self._call(self._stripe.v1.payment_intents.retrieve_async(intent))
        return read(found.to_dict(), _Intent)

    async def _reader(self, payment: Payment) -> _Reader:
        found = await self._call(self._stripe.v1.terminal.readers.retrieve_async(payment.reference))
        return read(found.to_dict(), _Reader)


def intent_event(body: msgspec.Raw) -> ProviderEvent | None:
    """What a notice about a PaymentIntent says; None for one that no reader was asked for.

    Of one that was declined nothing yet: that is a reason to look.
    """
    intent = msgspec.json.decode(body, type=_Intent)
    return intent.event() if READER_KEY in (intent.metadata or {}) else None


def reader_event(body: msgspec.Raw) -> ProviderEvent | None:
    """Which PaymentIntent a reader is through with: a reason to look."""
    action = msgspec.json.decode(body, type=_Reader).action
    if action is None or action.process_payment_intent is None:
        return None
    intent = action.process_payment_intent.intent
    return ProviderEvent(ProviderEventKind.PROCESSING, intent, "", intent=intent)
