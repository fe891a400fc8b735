"""The house, its plans that never change, its productions and performances."""

import asyncio

import pytest

from persistence.store import Store
from tests.persistence.houses import NOW_MS, SETTINGS, Opened, open_house


async def test_an_empty_database_has_no_house(store: Store) -> None:
    assert await store.catalogue.house() is None
    assert await store.catalogue.list_performances() == []
    assert await store.catalogue.list_plans() == []
    assert await store.catalogue.list_productions() == []


async def test_a_house_is_made_once_with_its_keys(store: Store) -> None:
    def make(number: int) -> object:
        return store.catalogue.create_house(
            name=f"House {number}",
            time_zone="Europe/Zurich",
            languages=("fr", "en"),
            settings={"address": {"city": "Genève"}},
            ticket_seed=bytes([number]) * 32,
            session_secret=bytes([number]),
            now_ms=NOW_MS,
        )

    houses = await asyncio.gather(*(make(number) for number in range(5)))  # type: ignore[call-overload]
    assert len(set(map(str, houses))) == 1
    house = await store.catalogue.house()
    assert house == houses[0]
    assert house is not None
    assert house.languages == ("fr", "en")
    assert house.settings == {"address": {"city": "Genève"}}


async def test_a_house_changes_its_look_and_keeps_its_keys(store: Store, opened: Opened) -> None:
    catalogue = store.catalogue
    before = await catalogue.house()
    assert before is not None
    await catalogue.change_house(
        before.id, name="New", time_zone="Europe/Zurich", languages=("fr",), settings={"a": 1}
    )
    after = await catalogue.house()
    assert after is not None
    assert (after.name, after.time_zone, after.languages) == ("New", "Europe/Zurich", ("fr",))
    assert after.settings == {"a": 1}
    assert (after.ticket_seed, after.session_secret) == (before.ticket_seed, before.session_secret)


async def test_a_plan_is_kept_once_and_never_changed(store: Store) -> None:
    add = store.catalogue.add_plan
    assert await add(plan_hash="aa", name="Hall", seats=2, places=5, body=b"1", now_ms=NOW_MS)
    assert not await add(plan_hash="aa", name="Other", seats=9, places=9, body=b"2", now_ms=NOW_MS)
    assert await add(plan_hash="bb", name="Club", seats=1, places=1, body=b"3", now_ms=NOW_MS + 1)
    assert await store.catalogue.plan("aa") == b"1"
    assert await store.catalogue.plan("cc") is None
    listed = [
        (plan.hash, plan.name, plan.seats, plan.places)
        for plan in await store.catalogue.list_plans()
    ]
    assert listed == [("bb", "Club", 1, 1), ("aa", "Hall", 2, 5)]


async def test_performances_are_listed_by_their_start(store: Store) -> None:
    opened = await open_house(store)
    first, second = await store.catalogue.list_performances()
    assert (first.id, second.id) == (opened.first, opened.second)
    assert first.production.titles == {"fr": "Le Misanthrope"}
    assert first.production.currency == "EUR"
    assert first.plan == "cafe"
    assert SETTINGS.currency.encode() in first.settings
    later = await store.catalogue.list_performances(from_ms=second.starts_ms)
    assert later == [second]
    assert await store.catalogue.list_performances(until_ms=second.starts_ms) == [first]
    assert await store.catalogue.list_performances(limit=1) == [first]
    assert await store.catalogue.performance(opened.second) == second
    assert await store.catalogue.performance(99) is None
    assert await store.catalogue.production(opened.production) == first.production
    assert await store.catalogue.production(99) is None
    assert await store.catalogue.list_productions() == [first.production]


@pytest.mark.parametrize(("production", "plan"), [(99, "cafe"), (1, "beef")])
async def test_a_performance_needs_a_production_and_a_plan(
    store: Store, opened: Opened, production: int, plan: str
) -> None:
    with pytest.raises(LookupError, match=f"{production}.*{plan}"):
        await store.catalogue.create_performance(
            production, plan_hash=plan, starts_ms=NOW_MS, settings=b"{}", now_ms=NOW_MS
        )


async def test_health_is_a_commit_that_reached_the_disk(store: Store) -> None:
    health = await store.health()
    assert health.commit_ms > 0
    assert health.synchronous_commit == "on"
    assert int(health.server.split(".")[0]) >= 14
