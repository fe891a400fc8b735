"""Prices by category, type, time and channel."""

import pytest

from engine.commands import Channel
from engine.pricing import PriceList, is_till
from engine.settings import Price, PriceType, TypeStatus
from tests.engine.small import NOW_MS, settings

PRICES = PriceList(
    settings(
        price_types=(
            PriceType("early", {}, until_ms=NOW_MS),
            PriceType("staff", {}, box_office_only=True),
            PriceType("full", {}),
        ),
        prices=(
            Price(0, "early", 700),
            Price(0, "staff", 100),
            Price(0, "full", 1_000),
            Price(1, "full", 900),
            Price(1, "full", 800),
            Price(2, "staff", 0),
            Price(3, "nobody", 5),
        ),
    )
)


@pytest.mark.parametrize(
    ("category", "price_type", "at_ms", "channel", "amount"),
    [
        (0, "full", NOW_MS, Channel.WEB, 1_000),
        (1, "full", NOW_MS, Channel.WEB, 800),  # the last of several
        (2, "full", NOW_MS, Channel.WEB, None),
        (0, "early", NOW_MS - 1, Channel.WEB, 700),
        (0, "early", NOW_MS, Channel.WEB, None),
        (0, "staff", NOW_MS, Channel.WEB, None),
        (0, "staff", NOW_MS, Channel.RESELLER, None),
        (0, "staff", NOW_MS, Channel.BOX_OFFICE, 100),
        (2, "staff", NOW_MS, Channel.PHONE, 0),
        (3, "nobody", NOW_MS, Channel.WEB, None),
        (-1, "full", NOW_MS, Channel.WEB, None),
    ],
)
def test_a_place_costs(
    category: int, price_type: str, at_ms: int, channel: Channel, amount: int | None
) -> None:
    assert PRICES.price(category, price_type, at_ms, channel) == amount


def test_the_full_price_is_that_of_the_first_type_sold_now_and_here() -> None:
    assert PRICES.full_prices(NOW_MS - 1, Channel.WEB) == {0: 700, 1: 800}
    assert PRICES.full_prices(NOW_MS, Channel.WEB) == {0: 1_000, 1: 800}
    assert PRICES.full_prices(NOW_MS, Channel.BOX_OFFICE) == {0: 100, 1: 800, 2: 0}


def test_tills_are_the_box_office_and_the_phone() -> None:
    assert {channel for channel in Channel if is_till(channel)} == {
        Channel.BOX_OFFICE,
        Channel.PHONE,
    }


TIMED = PriceList(
    settings(
        price_types=(
            PriceType("early", {}, from_ms=10, until_ms=20),
            PriceType("full", {}),
            PriceType("shut", {}, status=TypeStatus.CLOSED),
            PriceType("secret", {}, status=TypeStatus.HIDDEN),
        ),
        prices=(
            Price(0, "early", 500),
            Price(0, "full", 900, until_ms=15),
            Price(0, "full", 1_000, from_ms=15, until_ms=30),
            Price(1, "full", 700, from_ms=20),
            Price(2, "full", 300),
            Price(0, "shut", 1),
            Price(0, "secret", 2),
        ),
    )
)


def test_of_several_prices_the_one_counts_that_is_valid_then() -> None:
    web = Channel.WEB
    expected = {
        9: {0: 900, 2: 300},
        10: {0: 500, 2: 300},
        14: {0: 500, 2: 300},
        20: {0: 1_000, 1: 700, 2: 300},
        29: {0: 1_000, 1: 700, 2: 300},
        30: {1: 700, 2: 300},
    }
    # In any order: a clock may go back.
    for at_ms in (9, 10, 14, 20, 29, 30, 14, 9, 30, 20):
        assert TIMED.full_prices(at_ms, web) == expected[at_ms]
    moments = (14, 15, 29, 30)
    assert [TIMED.price(0, "full", at, web) for at in moments] == [900, 1_000, 1_000, None]
    assert [TIMED.price(0, kind, 12, web) for kind in ("shut", "secret")] == [None, None]
    assert TIMED.plain == {}
