"""Settings that contradict themselves or their plan are refused by name."""

from typing import Any

import pytest

from engine.limits import MAX_QUOTAS
from engine.settings import Price, PriceType, Quota, Surplus
from engine.settings_check import Flaw, first_flaw
from tests.engine.small import house, settings

PLAN = house(["ab"], areas=[(3, "a")])
FULL = PriceType("full", {})


def full(*times: tuple[int, int], category: int = 0) -> tuple[Price, ...]:
    return tuple(Price(category, "full", 100, *pair) for pair in times)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"sale_opens_ms": 5, "sale_closes_ms": 6, "tills_open_ms": 1, "tills_close_ms": 7},
        {"sale_opens_ms": 5, "tills_open_ms": 9, "sale_closes_ms": 0},
        {"prices": full((0, 10), (10, 20), (20, 0))},
        {"prices": full((20, 0), (0, 10))},
        {"prices": (Price(0, "full", 0),)},
        {"prices": (*full((0, 0)), *full((0, 0), category=1), Price(0, "half", 1))},
        {"quotas": (Quota("a", {}, 0, (0, 1), ("full", "half")), Quota("b", {}, 1))},
        {"quotas": tuple(Quota(f"q{number}", {}, 1) for number in range(MAX_QUOTAS))},
        {"surplus": Surplus((1,), (0,))},
    ],
)
def test_these_are_well(changes: dict[str, Any]) -> None:
    assert first_flaw(settings(**changes), PLAN) is None


def both(one: int, other: int, when: str = "at the same time") -> Flaw:
    name = PLAN.categories[0].name
    why = f"it and prices[{one}] are both the price of full in {name} {when}"
    return Flaw(f"prices[{other}]", why)


@pytest.mark.parametrize(
    ("changes", "flaw"),
    [
        ({"sale_opens_ms": 5, "sale_closes_ms": 5}, "sale_closes_ms"),
        ({"tills_open_ms": 5, "tills_close_ms": 4}, "tills_close_ms"),
        ({"price_types": (FULL, PriceType("half", {}, from_ms=2, until_ms=2))},
         Flaw("price_types[1].until_ms", "half ends before it begins")),
        ({"price_types": (FULL, PriceType("half", {}), FULL)},
         Flaw("price_types[2].id", "full is the id of another")),
        ({"price_types": (PriceType("", {}),), "prices": ()}, "price_types[0].id"),
        ({"prices": (Price(0, "giant", 1),)},
         Flaw("prices[0].price_type", "there is no price type giant")),
        ({"prices": (Price(-1, "full", 1),)}, "prices[0].category"),
        ({"prices": (Price(len(PLAN.categories), "full", 1),)}, "prices[0].category"),
        ({"prices": (Price(0, "full", -1),)}, "prices[0].amount"),
        ({"prices": full((3, 3))}, "prices[0].until_ms"),
        ({"prices": full((0, 0), (0, 0))}, both(0, 1)),
        ({"prices": full((0, 11), (10, 20))}, both(0, 1, "at 10")),
        ({"prices": full((10, 0), (20, 0))}, both(0, 1, "at 20")),
        ({"prices": full((30, 0), (0, 10), (5, 30))}, both(1, 2, "at 5")),
        ({"prices": full((0, 100), (200, 300), (50, 60))}, both(0, 2, "at 50")),
        ({"quotas": (Quota("a", {}, 1), Quota("a", {}, 2))}, "quotas[1].id"),
        ({"quotas": (Quota("a", {}, 1, (0, 9)),)},
         Flaw("quotas[0].categories", f"9 is not in the plan, which has {len(PLAN.categories)}")),
        ({"quotas": (Quota("a", {}, 1, (), ("full", "giant")),)},
         Flaw("quotas[0].price_types", "there is no price type giant")),
        ({"quotas": tuple(Quota(f"q{number}", {}, 1) for number in range(MAX_QUOTAS + 1))},
         Flaw("quotas", f"more than {MAX_QUOTAS} quotas")),
        ({"surplus": Surplus((-1,))}, "surplus.categories"),
        ({"surplus": Surplus((), (1,))},
         Flaw("surplus.areas", "1 is not in the plan, which has 1")),
    ],
)  # fmt: skip
def test_a_flaw_is_named(changes: dict[str, Any], flaw: Flaw | str) -> None:
    found = first_flaw(settings(**changes), PLAN)
    assert found is not None
    assert flaw == (found.field if isinstance(flaw, str) else found)
