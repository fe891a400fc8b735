"""Calls to Stripe: the connection, its limits, and what its errors mean.

Owns how one asks and how an answer is read. What is asked is `payments`' and `readers`'.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import aiohttp
import msgspec
import stripe

from engine.currency import AmountNotPayableError, to_stripe
from engine.payments import PaymentError, PaymentRefused, PaymentUnavailable

REQUEST_TIMEOUT_S: Final = 15
"""One try of one request."""
CALL_TIMEOUT_S: Final = 40
"""A whole call, retries and pauses included."""
MAX_RETRIES: Final = 2
"""Repetitions of a request after a lost connection, 409 or 5xx, under one idempotency key."""
MAX_CALLS_IN_FLIGHT: Final = 100
"""Beyond, a call is `PaymentUnavailable` at once instead of queueing."""

PAYMENT_KEY: Final = "strapontin_payment"
"""Metadata by which Stripe's objects name our payments."""
STUCK: Final = "failed_for_good"
"""Code of a request whose idempotency key Stripe answers with a server error for a day."""

# The package would otherwise write an identifier into the home directory and report timings.
stripe.enable_telemetry = False

_T = TypeVar("_T")


class StripeCalls:
    """The connection of one account. Call :meth:`close` at the end."""

    def __init__(self, api_key: str, api_base: str | None = None) -> None:
        # The package's own default, on httpx, posts in a way that httpx warns against.
        self._http = stripe.AIOHTTPClient(timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_S))
        self._stripe = stripe.StripeClient(
            api_key,
            http_client=self._http,
            max_network_retries=MAX_RETRIES,
            base_addresses={"api": api_base} if api_base else {},
        )
        self._in_flight = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close_async()  # type: ignore[no-untyped-call]

    async def _call(self, request: Coroutine[Any, Any, _T]) -> _T:
        if self._in_flight >= MAX_CALLS_IN_FLIGHT:
            request.close()
            raise PaymentUnavailable(f"{MAX_CALLS_IN_FLIGHT} calls to Stripe are under way")
        self._in_flight += 1
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                return await request
        except TimeoutError as error:
            raise PaymentUnavailable("Stripe did not answer in time") from error
        except aiohttp.ClientError as error:
            # The package wraps the errors of asking, and not those of reading the answer.
            raise PaymentUnavailable(f"Stripe's answer broke off: {error}") from error
        except stripe.StripeError as error:
            raise _translated(error) from error
        finally:
            self._in_flight -= 1


def _translated(error: stripe.StripeError) -> PaymentError:
    status = error.http_status or 0
    text = error.user_message or "Stripe gives no reason"
    if status >= 500 and (error.headers or {}).get("idempotent-replayed") == "true":
        # Stripe keeps this answer for a day: the same call will not be carried out.
        return PaymentRefused(STUCK, text)
    if isinstance(error, stripe.APIConnectionError | stripe.RateLimitError):
        return PaymentUnavailable(text)
    if isinstance(error, stripe.APIError) and not (400 <= status < 500 and status != 409):
        # 409: another request under the same key is being carried out. Below 400: garbled.
        return PaymentUnavailable(f"{text} (status {status})")
    if isinstance(error, stripe.AuthenticationError):
        return PaymentRefused("api_key", f"Stripe refuses the configured API key: {text}")
    if isinstance(error, stripe.IdempotencyError):
        return PaymentRefused("idempotency", text)
    return PaymentRefused(error.code or "refused", text)


def payable(amount: int, currency: str) -> int:
    """Minor units as Stripe counts them. Raises PaymentRefused where it has no such amount."""
    try:
        return to_stripe(amount, currency)
    except AmountNotPayableError as error:
        raise PaymentRefused("amount_not_payable", str(error)) from error


def read(values: dict[str, Any], shape: type[_T]) -> _T:
    """An answer of Stripe's. Raises PaymentUnavailable where it is none that we know."""
    try:
        return msgspec.convert(values, shape)
    except msgspec.ValidationError as error:
        raise PaymentUnavailable(f"Stripe answered with an unknown shape: {error}") from error
