"""Money, numbers, dates and times written for people, by Babel's rules for their language.

Owns the words' shape only: amounts arrive as integer minor units of a currency and leave as
text, times arrive as milliseconds since the epoch with the house's time zone. Knows no price
and no total; the currency's digits are ``engine.currency``'s. English is written as in Great
Britain: day before month, 24-hour clock, as European houses print it.
"""

from __future__ import annotations

import re
from copy import copy
from datetime import datetime
from decimal import Decimal
from functools import cache
from zoneinfo import ZoneInfo

from babel import Locale, UnknownLocaleError
from babel.dates import format_date as babel_date
from babel.dates import format_skeleton
from babel.dates import format_time as babel_time
from babel.numbers import NumberPattern, format_decimal, get_currency_symbol

from engine.currency import minor_digits

# What the territory of a bare language is. A tag with a territory ("fr-CH") keeps it.
_TERRITORY = {"en": "en_GB", "fr": "fr_FR"}

_NO_BREAK_SPACE = "\u00a0"


def format_money(minor: int, currency: str, lang: str) -> str:
    """``1250, "EUR"`` as "€12.50" or "12,50 €"; Swiss francs as "CHF 12.50" or "12,50 CHF".

    Raises:
        ValueError: ``currency`` is not an ISO 4217 code.
    """
    locale = _locale(lang)
    digits = minor_digits(currency)
    pattern = _currency_pattern(locale, digits)
    text: str = pattern.apply(
        Decimal(minor).scaleb(-digits), locale, currency=currency, currency_digits=False
    )
    symbol = get_currency_symbol(currency, locale=locale)
    # CLDR keeps a letter symbol off the digits; Babel leaves that rule out.
    if symbol[-1].isalpha():
        text = re.sub(f"{re.escape(symbol)}(?=\\d)", symbol + _NO_BREAK_SPACE, text)
    return text


def parse_money(text: str, currency: str) -> int:
    """Minor units of an amount as a cashier types it: "20", "12.5", "12,50", "1 250,00".

    The last dot or comma is the decimal sign; spaces and apostrophes group thousands.

    Raises:
        ValueError: not an amount, negative, or more decimals than the currency has.
    """
    digits = minor_digits(currency)
    plain = re.sub(r"[\s'\u2019]", "", text).replace(",", ".")
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]*)?|\.[0-9]+", plain):
        raise ValueError(f"{text!r} is not an amount such as 20 or 12.50")
    # "1.250" could mean twelve hundred: better refused than taken for one and a quarter.
    if len(plain.partition(".")[2]) > digits:
        raise ValueError(f"{text!r} is finer than {currency} allows: {digits} decimals")
    return int(Decimal(plain).scaleb(digits))


def format_number(number: int, lang: str) -> str:
    """A count with the language's thousands sign: "39,616", "39 616"."""
    return str(format_decimal(number, locale=_locale(lang)))


def format_percent(basis_points: int, lang: str) -> str:
    """A rate in hundredths of a percent: 550 as "5.5%" or "5,5 %"."""
    number = format_decimal(Decimal(basis_points) / 100, locale=_locale(lang))
    return f"{number}{_NO_BREAK_SPACE}%" if _locale(lang).language == "fr" else f"{number}%"


def format_date(at_ms: int, timezone: str, lang: str, length: str = "full") -> str:
    """The date in the house's zone; ``length`` is Babel's: "full", "long", "medium", "short".

    Raises:
        LookupError: no such time zone.
    """
    return babel_date(_local(at_ms, timezone), length, locale=_locale(lang))


def format_time(at_ms: int, timezone: str, lang: str) -> str:
    """The time of day in the house's zone, to the minute: "20:00"."""
    return babel_time(_local(at_ms, timezone), "short", locale=_locale(lang))


def format_weekday_date(at_ms: int, timezone: str, lang: str) -> str:
    """A short date with its weekday for lists: "Fri 11 Dec", "ven. 11 déc."."""
    return format_skeleton("MMMEd", _local(at_ms, timezone), locale=_locale(lang))


@cache
def _currency_pattern(locale: Locale, digits: int) -> NumberPattern:
    """The language's pattern with the currency's own digits: CLDR drops those rarely written."""
    pattern: NumberPattern = copy(locale.currency_formats["standard"])
    pattern.frac_prec = (digits, digits)
    return pattern


def _local(at_ms: int, timezone: str) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, ZoneInfo(timezone))


@cache
def _locale(lang: str) -> Locale:
    tag = lang.replace("-", "_")
    try:
        return Locale.parse(_TERRITORY.get(tag, tag))
    except (UnknownLocaleError, ValueError):
        return Locale.parse(_TERRITORY["en"])
