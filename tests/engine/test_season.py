"""What is to be done so that a house is as a programme says."""

from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from engine.season import (
    Act,
    Flaw,
    PerformanceFound,
    PerformanceWanted,
    ProductionFound,
    ProductionWanted,
    Programme,
    canonical,
    compare,
    fingerprint,
    settings_after,
)
from engine.settings import Price, PriceType, SaleStatus, Settings

NOW_MS = 1_790_000_000_000
SETTINGS = Settings("EUR", (PriceType("full", {"fr": "P"}),), (Price(0, "full", 100),))
DAY_MS = 86_400_000


@dataclass
class Case:
    """A production of one performance: what is there, what is wanted, what is to be done."""

    name: str
    there: dict[str, Any] | None
    want: dict[str, Any] | None
    act: Act | Flaw | None


def found_one(**values: Any) -> PerformanceFound:
    base = {"id": 7, "key": "a", "starts_ms": NOW_MS + DAY_MS, "plan": "p", "settings": SETTINGS}
    return PerformanceFound(**(base | values))


def wanted_one(**values: Any) -> PerformanceWanted:
    base = {"key": "a", "starts_ms": NOW_MS + DAY_MS, "plan": "p", "settings": SETTINGS}
    return PerformanceWanted(**(base | values))


OTHER = replace(SETTINGS, max_per_order=2)
CANCELLED = replace(SETTINGS, status=SaleStatus.CANCELLED)
TWICE = replace(SETTINGS, prices=(Price(0, "full", 5), Price(0, "full", 100)))


@pytest.mark.parametrize(
    "case",
    [
        Case("the same", {}, {}, None),
        Case("new", None, {}, Act.ADD),
        Case("other settings", {}, {"settings": OTHER}, Act.CHANGE),
        Case("the last of two prices counts", {"settings": TWICE}, {}, None),
        Case("another time", {}, {"starts_ms": NOW_MS + 1}, Act.CHANGE),
        Case("another time, sold", {"sold": 1}, {"starts_ms": NOW_MS + 1}, Act.CHANGE),
        Case("another plan", {}, {"plan": "q"}, Act.REPLACE),
        Case("another plan, sold", {"sold": 1}, {"plan": "q"}, Flaw.PLAN_SOLD),
        Case("gone", {}, None, Act.WITHDRAW),
        Case("gone, sold", {"sold": 3}, None, Act.WITHDRAW),
        Case("gone and over", {"starts_ms": NOW_MS - 1}, None, None),
        Case("gone before", {"withdrawn": True}, None, None),
        Case("on again", {"withdrawn": True}, {}, Act.CHANGE),
        Case("made by hand, at that time", {"key": "#7"}, {}, None),
        Case("made by hand, at another", {"key": "#7", "starts_ms": NOW_MS + 5}, {}, Act.ADD),
        Case("by its number", {"key": "#7"}, {"key": "#7", "settings": OTHER}, Act.CHANGE),
        Case("no such number", {}, {"key": "#8"}, Flaw.NO_SUCH_NUMBER),
        Case("a file that cancels", {}, {"settings": CANCELLED}, Flaw.CANCELLED),
        Case("a new one, cancelled", None, {"settings": CANCELLED}, Flaw.CANCELLED),
        Case("cancelled already", {"settings": CANCELLED}, {"settings": OTHER}, None),
        Case("cancelled, at another time", {"settings": CANCELLED}, {"starts_ms": NOW_MS + 1},
             Act.CHANGE),
        Case("other currency", {}, {"settings": replace(SETTINGS, currency="CHF")},
             Flaw.OTHER_CURRENCY),
    ],
    ids=lambda case: case.name,
)  # fmt: skip
def test_what_is_to_be_done(case: Case) -> None:
    there = () if case.there is None else (found_one(**case.there),)
    wanted = () if case.want is None else (wanted_one(**case.want),)
    found = [ProductionFound(1, "p", {"fr": "P"}, {}, "EUR", there)]
    programme = Programme((ProductionWanted("p", {"fr": "P"}, "EUR", {}, wanted),))
    difference = compare(programme, found, NOW_MS)
    if isinstance(case.act, Flaw):
        assert case.act in {fault.flaw for fault in difference.faults}
        return
    assert difference.faults == ()
    acts = [one.act for each in difference.productions for one in each.performances]
    assert acts[:1] == ([] if case.act is None else [case.act])


@pytest.mark.parametrize(("sold", "status"), [(0, SaleStatus.HIDDEN), (1, SaleStatus.CLOSED)])
def test_who_is_taken_off_sells_nothing_more(sold: int, status: SaleStatus) -> None:
    found = [ProductionFound(1, "p", {"fr": "P"}, {}, "EUR", (found_one(sold=sold),))]
    programme = Programme((ProductionWanted("p", {"fr": "P"}, "EUR"),))
    ((change,),) = [each.performances for each in compare(programme, found, NOW_MS).productions]
    assert settings_after(change) == replace(SETTINGS, status=status)


@pytest.mark.parametrize("wanted", [(), (wanted_one(starts_ms=NOW_MS + 1, settings=OTHER),)])
def test_what_is_cancelled_keeps_its_settings(wanted: tuple[PerformanceWanted, ...]) -> None:
    there = (found_one(sold=1, settings=CANCELLED),)
    found = [ProductionFound(1, "p", {"fr": "P"}, {}, "EUR", there)]
    programme = Programme((ProductionWanted("p", {"fr": "P"}, "EUR", {}, wanted),))
    ((change,),) = [each.performances for each in compare(programme, found, NOW_MS).productions]
    assert settings_after(change) == CANCELLED


def test_a_currency_stays_once_something_is_sold() -> None:
    programme = Programme((ProductionWanted("p", {"fr": "P"}, "CHF"),))
    for sold, flaws in ((0, []), (2, [Flaw.CURRENCY_SOLD])):
        found = [ProductionFound(1, "p", {"fr": "P"}, {}, "EUR", (found_one(sold=sold),))]
        faults = compare(programme, found, NOW_MS).faults
        assert [fault.flaw for fault in faults] == flaws


def test_the_same_production_twice_and_a_bad_currency_are_refused() -> None:
    programme = Programme((ProductionWanted("p", {"fr": "P"}, "x"),) * 2)
    flaws = [fault.flaw for fault in compare(programme, [], NOW_MS).faults]
    assert flaws == [Flaw.BAD_CURRENCY, Flaw.SAME_PRODUCTION, Flaw.BAD_CURRENCY]


def test_a_fingerprint_sees_what_a_comparison_depends_on() -> None:
    def of(**values: Any) -> str:
        return fingerprint(
            [ProductionFound(1, "p", {"fr": "P"}, {}, "EUR", (found_one(**values),))]
        )

    assert of(sold=1) == of(sold=2) and of() == of(settings=TWICE)
    others = [{"sold": 1}, {"withdrawn": True}, {"starts_ms": 1}, {"plan": "q"}, {"key": "b"},
              {"settings": OTHER}, {"id": 8}]  # fmt: skip
    assert len({of(), *(of(**each) for each in others)}) == len(others) + 1


def test_one_order_is_canonical() -> None:
    assert canonical(canonical(TWICE)) == canonical(TWICE) == canonical(SETTINGS)
