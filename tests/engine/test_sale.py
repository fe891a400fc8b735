"""How a sale stands at a time, and when that changes."""

from typing import Any

import pytest

from engine.commands import Channel, Held, Refusal, Refused
from engine.sale import Outlook, Standing, prices_change_ms, sale_now, type_now
from engine.settings import Price, PriceType, SaleStatus, TypeStatus
from tests.engine.small import NOW_MS, Play, house, settings

HIDDEN, CLOSED, TILLS = Standing.HIDDEN, Standing.CLOSED, Standing.BOX_OFFICE
ON_SALE, ENDED = Standing.ON_SALE, Standing.ENDED
TILLS_FIRST = {"tills_open_ms": 10, "sale_opens_ms": 20, "sale_closes_ms": 30, "tills_close_ms": 40}
PLAN = house(["aaaaaaaaaa"])


@pytest.mark.parametrize(
    ("changes", "at_ms", "status", "changes_ms", "then"),
    [
        ({}, 5, ON_SALE, 0, ON_SALE),
        ({"status": SaleStatus.BOX_OFFICE}, 5, TILLS, 0, TILLS),
        *[({"status": SaleStatus(one)} | TILLS_FIRST, 25, one, 0, one)
          for one in (HIDDEN, CLOSED, ENDED, Standing.CANCELLED)],
        (TILLS_FIRST, 9, CLOSED, 10, TILLS),
        (TILLS_FIRST, 10, TILLS, 20, ON_SALE),
        (TILLS_FIRST, 19, TILLS, 20, ON_SALE),
        (TILLS_FIRST, 20, ON_SALE, 30, TILLS),
        (TILLS_FIRST, 29, ON_SALE, 30, TILLS),
        (TILLS_FIRST, 30, TILLS, 40, ENDED),
        (TILLS_FIRST, 40, ENDED, 0, ENDED),
        ({"status": SaleStatus.BOX_OFFICE} | TILLS_FIRST, 9, CLOSED, 10, TILLS),
        ({"status": SaleStatus.BOX_OFFICE} | TILLS_FIRST, 25, TILLS, 40, ENDED),
        ({"sale_opens_ms": 20}, 5, TILLS, 20, ON_SALE),
        ({"sale_opens_ms": 20, "tills_open_ms": 20}, 5, CLOSED, 20, ON_SALE),
        ({"sale_closes_ms": 20, "tills_open_ms": 30}, 25, CLOSED, 30, TILLS),
        ({"sale_closes_ms": 20, "tills_close_ms": 20}, 20, ENDED, 0, ENDED),
        ({"tills_close_ms": 3, "sale_opens_ms": 20}, 5, CLOSED, 20, ON_SALE),
    ],
)  # fmt: skip
def test_the_sale_stands(
    changes: dict[str, Any], at_ms: int, status: Standing, changes_ms: int, then: Standing
) -> None:
    assert sale_now(settings(**changes), at_ms) == Outlook(status, changes_ms, then)


def test_a_sale_with_nothing_left_is_sold_out_while_it_lasts() -> None:
    rules = settings(**TILLS_FIRST)
    assert sale_now(rules, 20, left=0) == Outlook(Standing.SOLD_OUT, 30, TILLS)
    assert sale_now(rules, 20, left=1).status is ON_SALE
    assert sale_now(rules, 30, left=0).status is TILLS
    assert sale_now(rules, 40, left=0).status is ENDED


@pytest.mark.parametrize(
    ("kind", "at_ms", "outlook"),
    [
        (PriceType("one", {}), 5, Outlook(ON_SALE, 0, ON_SALE)),
        (PriceType("one", {}, from_ms=6, until_ms=8), 5, Outlook(CLOSED, 6, ON_SALE)),
        (PriceType("one", {}, from_ms=6, until_ms=8), 6, Outlook(ON_SALE, 8, ENDED)),
        (PriceType("one", {}, from_ms=6, until_ms=8), 8, Outlook(ENDED, 0, ENDED)),
        (PriceType("one", {}, status=TypeStatus.CLOSED, until_ms=8), 9, Outlook(CLOSED, 0, CLOSED)),
        (PriceType("one", {}, status=TypeStatus.HIDDEN, from_ms=6), 5, Outlook(HIDDEN, 0, HIDDEN)),
    ],
)
def test_a_price_type_stands(kind: PriceType, at_ms: int, outlook: Outlook) -> None:
    assert type_now(kind, at_ms) == outlook


def test_prices_change_when_one_begins_or_ends() -> None:
    rules = settings(
        price_types=(PriceType("early", {}, until_ms=30), PriceType("full", {}, from_ms=10)),
        prices=(Price(0, "full", 900, until_ms=20), Price(0, "full", 1_000, from_ms=20)),
    )
    assert [prices_change_ms(rules, at_ms) for at_ms in (0, 9, 10, 20, 29, 30)] == [
        *(10, 10, 20, 30, 30, 0)
    ]
    assert prices_change_ms(settings(), 0) == 0


# In the engine ---------------------------------------------------------------------------

OPENS_MS, CLOSES_MS = NOW_MS + 1_000, NOW_MS + 2_000


@pytest.mark.parametrize("best", [False, True])
@pytest.mark.parametrize(
    ("channel", "bounds"),
    [
        (Channel.WEB, ("sale_opens_ms", "sale_closes_ms")),
        (Channel.RESELLER, ("sale_opens_ms", "sale_closes_ms")),
        (Channel.BOX_OFFICE, ("tills_open_ms", "tills_close_ms")),
        (Channel.PHONE, ("tills_open_ms", "tills_close_ms")),
    ],
)
def test_a_channel_sells_between_its_times(
    channel: Channel, bounds: tuple[str, str], best: bool
) -> None:
    rules = settings(**{bounds[0]: OPENS_MS, bounds[1]: CLOSES_MS})
    play = Play(PLAN, rules)
    other = Channel.PHONE if bounds[0] == "sale_opens_ms" else Channel.WEB
    assert isinstance(play.hold(8, 9, by="other", channel=other), Held), "it has no times"

    def ask(by: str) -> Any:
        if best:
            return play.best(2, by=by, channel=channel)
        seats = {"ann": (0, 1), "bob": (2, 3), "eve": (4, 5)}[by]
        return play.hold(*seats, by=by, channel=channel)

    early = Refused(Refusal.NOT_ON_SALE, (), str(OPENS_MS))
    assert ask("ann") == early
    play.at_ms = OPENS_MS - 1
    assert ask("ann") == early
    play.at_ms = OPENS_MS
    assert isinstance(ask("ann"), Held)
    play.at_ms = CLOSES_MS - 1
    assert isinstance(ask("bob"), Held)
    play.at_ms = CLOSES_MS
    for by in ("bob", "eve"):
        assert ask(by) == Refused(Refusal.NOT_ON_SALE)


def test_what_is_held_when_the_sale_closes_is_sold() -> None:
    play = Play(PLAN, settings(sale_closes_ms=CLOSES_MS))
    play.hold(0, 1)
    play.at_ms = CLOSES_MS
    assert not isinstance(play.checkout(), Refused)
    assert not isinstance(play.sell(), Refused)


def test_a_closed_sale_says_no_time() -> None:
    play = Play(PLAN, settings(status=SaleStatus.BOX_OFFICE, sale_opens_ms=OPENS_MS))
    assert play.hold(0, 1) == Refused(Refusal.NOT_ON_SALE)


def test_a_quoted_price_stays_when_it_ends() -> None:
    rules = settings(
        prices=(Price(0, "full", 900, until_ms=OPENS_MS), Price(0, "full", 1_000, OPENS_MS))
    )
    play = Play(PLAN, rules)
    play.hold(0, 1)
    play.hold(2, 3, by="bob")
    assert play.checkout().amounts == (900, 900)  # type: ignore[union-attr]
    play.at_ms = OPENS_MS
    assert [one.amount for one in play.sell().tickets] == [900, 900]  # type: ignore[union-attr]
    assert play.checkout(by="bob", order="o2").amounts == (1_000, 1_000)  # type: ignore[union-attr]
