"""Amounts, dates and times as people of each language write them."""

from __future__ import annotations

import pytest

from renderers import money

NBSP = "\u00a0"
THIN = "\u202f"
# Friday 11 December 2026, 19:00 UTC.
EVENING_MS = 1_797_015_600_000


@pytest.mark.parametrize(
    ("minor", "currency", "lang", "text"),
    [
        (1250, "EUR", "en", "€12.50"),
        (1250, "EUR", "fr", f"12,50{NBSP}€"),
        (1250, "CHF", "en", f"CHF{NBSP}12.50"),
        (1250, "CHF", "fr", f"12,50{NBSP}CHF"),
        (1250, "CHF", "fr-CH", f"12,50{NBSP}CHF"),
        (0, "EUR", "en", "€0.00"),
        (-5, "EUR", "en", "-€0.05"),
        (123456789, "EUR", "fr", f"1{THIN}234{THIN}567,89{NBSP}€"),
        (1250, "JPY", "fr", f"1{THIN}250{NBSP}JPY"),
        (1250, "KWD", "en", f"KWD{NBSP}1.250"),
        (1250, "IQD", "en", f"IQD{NBSP}1.250"),
        (1250, "EUR", "xx", "€12.50"),
    ],
)
def test_money(minor: int, currency: str, lang: str, text: str) -> None:
    assert money.format_money(minor, currency, lang) == text


def test_money_in_no_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="ISO 4217"):
        money.format_money(1, "euro", "fr")
    with pytest.raises(ValueError, match="ISO 4217"):
        money.parse_money("1", "€")


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("20", "EUR", 2000),
        ("12.5", "EUR", 1250),
        ("12,50", "EUR", 1250),
        (" 1 250,00 ", "EUR", 125000),
        ("1'250.05", "CHF", 125005),
        (f"1{THIN}250", "JPY", 1250),
        (".5", "EUR", 50),
        ("5.", "EUR", 500),
        ("0", "EUR", 0),
        ("1.250", "KWD", 1250),
    ],
)
def test_an_amount_is_read_as_a_cashier_types_it(text: str, currency: str, minor: int) -> None:
    assert money.parse_money(text, currency) == minor


@pytest.mark.parametrize("text", ["", ".", ",", "-5", "1.2.3", "1,250.00", "12 €", "1e5", "٣",
                                  "9" * 13])  # fmt: skip
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        money.parse_money(text, "EUR")


def test_an_amount_finer_than_the_currency_is_refused() -> None:
    with pytest.raises(ValueError, match="finer than EUR"):
        money.parse_money("1.005", "EUR")
    with pytest.raises(ValueError, match="finer than EUR"):
        money.parse_money("1.250", "EUR")
    with pytest.raises(ValueError, match="finer than JPY"):
        money.parse_money("1.5", "JPY")


def test_what_is_written_is_read_back_in_french() -> None:
    for minor in (0, 5, 1250, 123456789):
        text = money.format_money(minor, "EUR", "fr").removesuffix(f"{NBSP}€")
        assert money.parse_money(text, "EUR") == minor


@pytest.mark.parametrize(
    ("lang", "timezone", "date", "time", "short"),
    [
        ("en", "Europe/Paris", "Friday, 11 December 2026", "20:00", "Fri 11 Dec"),
        ("fr", "Europe/Paris", "vendredi 11 décembre 2026", "20:00", "ven. 11 déc."),
        ("fr", "UTC", "vendredi 11 décembre 2026", "19:00", "ven. 11 déc."),
        ("fr", "Asia/Tokyo", "samedi 12 décembre 2026", "04:00", "sam. 12 déc."),
    ],
)
def test_dates_and_times_are_the_houses(
    lang: str, timezone: str, date: str, time: str, short: str
) -> None:
    assert money.format_date(EVENING_MS, timezone, lang) == date
    assert money.format_time(EVENING_MS, timezone, lang) == time
    assert money.format_weekday_date(EVENING_MS, timezone, lang) == short


def test_numbers_and_rates() -> None:
    assert money.format_number(39616, "en") == "39,616"
    assert money.format_number(39616, "fr") == f"39{THIN}616"
    assert money.format_percent(550, "en") == "5.5%"
    assert money.format_percent(210, "fr") == f"2,1{NBSP}%"
    assert money.format_percent(2000, "fr") == f"20{NBSP}%"
