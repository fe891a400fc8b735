"""Minor units, coins and Stripe's own counting, one row a currency."""

import pytest

from engine.currency import (
    AmountNotPayableError,
    cash_rounded,
    from_stripe,
    minor_digits,
    to_stripe,
)


@pytest.mark.parametrize(
    ("currency", "digits"),
    [
        ("EUR", 2),
        ("CHF", 2),
        ("JPY", 0),
        ("ISK", 0),
        ("UGX", 0),
        ("KWD", 3),
        ("MGA", 2),
        # CLDR writes dinars without decimals; the currency has them all the same.
        ("RSD", 2),
    ],
)
def test_digits_of_a_currency(currency, digits):
    assert minor_digits(currency) == digits


@pytest.mark.parametrize("code", ["", "eur", "EURO", "E1R", "€"])
def test_a_word_that_is_no_currency_is_named(code):
    with pytest.raises(ValueError, match="is not an ISO 4217 code"):
        minor_digits(code)


@pytest.mark.parametrize(
    ("amount", "currency", "rounded"),
    [
        (4792, "CHF", 4790),
        (4793, "CHF", 4795),
        (4797, "CHF", 4795),
        (4798, "CHF", 4800),
        (2, "CHF", 0),
        (-4793, "CHF", -4795),
        (4793, "EUR", 4793),
        (150, "SEK", 200),
        (149, "SEK", 100),
        (1225, "DKK", 1250),
        (1224, "DKK", 1200),
        (1299_200, "HUF", 1299_000),
        (1299_300, "HUF", 1299_500),
        (7, "JPY", 7),
    ],
)
def test_coins_round_to_the_nearest_step(amount, currency, rounded):
    assert cash_rounded(amount, currency) == rounded


@pytest.mark.parametrize(
    ("amount", "currency", "units"),
    [
        (2500, "EUR", 2500),
        (500, "JPY", 500),
        (5, "ISK", 500),
        (12_000, "UGX", 1_200_000),
        (500_000, "MGA", 5_000),
        (5_120, "KWD", 5_120),
    ],
)
def test_what_stripe_counts_comes_back_the_same(amount, currency, units):
    assert to_stripe(amount, currency) == units
    assert from_stripe(units, currency) == amount


@pytest.mark.parametrize(
    ("amount", "currency", "step"), [(5_124, "KWD", 10), (500_020, "MGA", 100)]
)
def test_an_amount_stripe_cannot_take_is_refused_with_the_way_out(amount, currency, step):
    with pytest.raises(AmountNotPayableError, match=f"{amount} .*{currency}.*multiple of {step}"):
        to_stripe(amount, currency)


def test_a_fraction_of_a_krona_is_not_swallowed():
    with pytest.raises(AmountNotPayableError, match="150 of ISK"):
        from_stripe(150, "ISK")
