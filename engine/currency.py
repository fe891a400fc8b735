"""How many digits a currency counts in, how its coins round, and how Stripe counts it.

Money is integer minor units everywhere; this module says what one unit is. Owns the
tables and the integer arithmetic on them. Knows no exchange rate, no formatting and no
payment: those who show money ask Babel for the look and this module for the unit.
"""

import re
from typing import Final

_CODE: Final = re.compile(r"[A-Z]{3}")

DEFAULT_DIGITS: Final = 2
ISO_DIGITS: Final[dict[str, int]] = {
    **dict.fromkeys(
        "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(),
        0,
    ),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
}
"""ISO 4217 minor unit digits, where they are not two. CLDR's (and so Babel's) differ for some
currencies, because CLDR says how many digits people write, not how many the currency has."""

STRIPE_DIGITS: Final[dict[str, int]] = {"ISK": 2, "UGX": 2, "MGA": 0}
"""Where Stripe's API counts in other digits than ISO 4217 (docs.stripe.com/currencies):
krona and shilling are written with two decimals that must be 00, the ariary with none."""

CASH_STEPS: Final[dict[str, int]] = {
    "AUD": 5,
    "CAD": 5,
    "CHF": 5,
    "CZK": 100,
    "DKK": 50,
    "HUF": 500,
    "NOK": 100,
    "NZD": 10,
    "SEK": 100,
}
"""Smallest coin in minor units, where it is not one unit. The euro's countries differ among
themselves, so it is not rounded."""

DENOMINATIONS: Final[dict[str, tuple[int, ...]]] = {
    "EUR": (50_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1),
    "CHF": (100_000, 20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5),
}
"""The notes and coins that a drawer may hold, the largest first, in minor units."""
SMALLEST_NOTES: Final = {"EUR": 500, "CHF": 1_000}
"""What is less is a coin."""


class AmountNotPayableError(ValueError):
    """An amount that the provider cannot express in this currency."""


def checked_currency(currency: str) -> str:
    """The code itself.

    Raises:
        ValueError: it is not three capital letters.
    """
    if _CODE.fullmatch(currency) is None:
        raise ValueError(f"currency {currency!r} is not an ISO 4217 code such as EUR")
    return currency


def minor_digits(currency: str) -> int:
    """Decimals of one major unit: 2 for EUR, 0 for JPY, 3 for KWD."""
    return ISO_DIGITS.get(checked_currency(currency), DEFAULT_DIGITS)


def cash_rounded(amount: int, currency: str) -> int:
    """What coins can pay of ``amount``, both in minor units: the nearest step, half away from zero.

    47.93 CHF is paid with 47.95; the difference is the house's, never the buyer's debt.
    """
    step = CASH_STEPS.get(checked_currency(currency), 1)
    rounded = (2 * abs(amount) + step) // (2 * step) * step
    return rounded if amount >= 0 else -rounded


def to_stripe(amount: int, currency: str) -> int:
    """``amount`` minor units as Stripe's API counts them.

    Raises:
        AmountNotPayableError: Stripe has no such amount (a fifth of an ariary, one fils).
    """
    up, down = _stripe_scale(currency)
    # Card networks take three-decimal currencies in steps of ten only.
    step = 10 if minor_digits(currency) == 3 else down
    if amount % step:
        raise AmountNotPayableError(
            f"{amount} minor units of {currency} cannot be charged through Stripe: "
            f"round the price to a multiple of {step}"
        )
    return amount * up // down


def from_stripe(units: int, currency: str) -> int:
    """Stripe's amount as minor units: the inverse of :func:`to_stripe`.

    Raises:
        AmountNotPayableError: a fraction of the currency's smallest unit.
    """
    up, down = _stripe_scale(currency)
    amount, rest = divmod(units * down, up)
    if rest:
        raise AmountNotPayableError(
            f"Stripe reports {units} of {currency}, which is not whole minor units"
        )
    return amount


def _stripe_scale(currency: str) -> tuple[int, int]:
    """Factor and divisor from minor units to Stripe's."""
    digits = minor_digits(currency)
    up: int = 10 ** max(0, STRIPE_DIGITS.get(currency, digits) - digits)
    down: int = 10 ** max(0, digits - STRIPE_DIGITS.get(currency, digits))
    return up, down
