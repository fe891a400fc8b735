"""A programme becomes rows, all of them or none, and a note of whom to tell."""

import asyncio
import secrets
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from msgspec.structs import replace

from engine.projection import Projection
from engine.season import (
    Changed,
    Flaw,
    PerformanceWanted,
    ProductionWanted,
    Programme,
    Reason,
    Unchanged,
    compare,
    fingerprint,
)
from engine.settings import SaleStatus
from persistence.store import Store
from tests.persistence.houses import NOW_MS, SETTINGS, Opened, batch, selling

DAY_MS = 86_400_000
DIGEST = b"d" * 32
CHEAPER = replace(SETTINGS, max_per_order=3)


def wanted(*days: int, key: str = "hamlet", plan: str = "cafe", **more: Any) -> Programme:
    """A production with a performance on each day, called after it."""
    values = {"settings": SETTINGS} | more
    return Programme(
        (
            ProductionWanted(
                key,
                {"fr": "Hamlet"},
                "EUR",
                performances=tuple(
                    PerformanceWanted(f"day {day}", NOW_MS + day * DAY_MS, plan, **values)
                    for day in days
                ),
            ),
        )
    )


async def apply(store: Store, programme: Programme, *, id: bytes = b"") -> Changed | Unchanged:
    """As it is compared with the house at this moment."""
    found = await store.season.named([one.key for one in programme.productions])
    return await store.season.apply(
        1,
        programme,
        id=id or secrets.token_bytes(16),
        compared_with=fingerprint(found),
        digest=DIGEST,
        now_ms=NOW_MS,
    )


async def sell(store: Store, performance: int, *seats: int) -> None:
    claimed = await store.journal.claim(performance, "a writer")
    assert await store.journal.append(
        [batch(claimed, claimed.head_seq, projection=selling(*seats))]
    )


async def configure(store: Store, performance: int, settings: bytes) -> None:
    """As an actor does that was told."""
    claimed = await store.journal.claim(performance, "a writer")
    told = Projection(settings=settings)
    assert await store.journal.append([batch(claimed, claimed.head_seq, projection=told)])


async def test_a_programme_is_made_once_and_is_no_difference_then(
    store: Store, opened: Opened
) -> None:
    programme = wanted(1, 2, 3)
    assert await apply(store, programme) == Changed(3, 0, 0)
    (found,) = await store.season.named(["hamlet"])
    assert [one.key for one in found.performances] == ["day 1", "day 2", "day 3"]
    assert {one.places for one in found.performances} == {300}
    assert compare(programme, [found], NOW_MS).is_empty
    assert await apply(store, programme) == Changed(0, 0, 0)
    assert len(await store.catalogue.list_performances()) == 5
    assert await store.season.pending() == []
    # A writer can serve what was made.
    assert (await store.journal.claim(found.performances[0].id, "w")).epoch == 1


async def test_what_was_made_by_hand_is_called_by_its_number_and_found_by_its_start(
    store: Store, opened: Opened
) -> None:
    (found,) = await store.season.coming(0)
    assert found.key == f"#{opened.production}"
    assert [one.key for one in found.performances] == [f"#{opened.first}", f"#{opened.second}"]
    programme = wanted(1, 2, key=found.key)
    assert await apply(store, programme) == Changed(0, 0, 0)
    moved = wanted(1, 4, key=found.key)
    assert await apply(store, moved) == Changed(1, 0, 1)


async def test_settings_of_who_never_served_change_here_and_others_are_noted(
    store: Store, opened: Opened
) -> None:
    await apply(store, wanted(1, 2))
    (found,) = await store.season.named(["hamlet"])
    cold, warm = (one.id for one in found.performances)
    await sell(store, warm, 5)
    assert await apply(store, wanted(1, 2, settings=CHEAPER)) == Changed(0, 2, 0)
    (found,) = await store.season.named(["hamlet"])
    assert [one.settings.max_per_order for one in found.performances] == [3, 10]
    (pending,) = await store.season.pending()
    assert [(one.performance, one.after) for one in pending.todo] == [(warm, CHEAPER)]
    # Who was told, or changed by somebody else since, is not told again.
    await configure(store, warm, msgspec.json.encode(CHEAPER))
    (pending,) = await store.season.pending()
    assert pending.todo == ()
    await store.season.told(pending.number)
    assert await store.season.pending() == []
    assert await apply(store, wanted(1, 2, settings=CHEAPER)) == Changed(0, 0, 0)
    assert (await store.journal.claim(cold, "w")).settings == msgspec.json.encode(CHEAPER)


async def test_taken_off_the_programme_and_on_again(store: Store, opened: Opened) -> None:
    await apply(store, wanted(1, 2, 3))
    (found,) = await store.season.named(["hamlet"])
    sold = found.performances[1].id
    await sell(store, sold, 1, 2)
    assert await apply(store, wanted(3)) == Changed(0, 0, 2)
    (found,) = await store.season.named(["hamlet"])
    assert [one.withdrawn for one in found.performances] == [True, True, False]
    assert found.performances[0].settings.status is SaleStatus.HIDDEN
    (pending,) = await store.season.pending()
    assert [(one.performance, one.after.status) for one in pending.todo] == [
        (sold, SaleStatus.CLOSED)
    ]
    await configure(store, sold, msgspec.json.encode(pending.todo[0].after))
    assert await apply(store, wanted(3)) == Changed(0, 0, 0)
    listed = [one.id for one in await store.catalogue.list_performances()]
    assert sold in listed and found.performances[0].id not in listed
    (coming,) = [one for one in await store.season.coming(0) if one.key == "hamlet"]
    assert [one.key for one in coming.performances] == ["day 3"]
    assert await apply(store, wanted(1, 2, 3)) == Changed(0, 2, 0)
    (found,) = await store.season.named(["hamlet"])
    assert not any(one.withdrawn for one in found.performances)


async def test_another_plan_takes_another_performance_and_none_that_is_sold(
    store: Store, opened: Opened
) -> None:
    await store.catalogue.add_plan(
        plan_hash="beef", name="New", seats=1, places=1, body=b"1", now_ms=NOW_MS
    )
    await apply(store, wanted(1))
    assert await apply(store, wanted(1, plan="beef")) == Changed(1, 0, 1)
    (found,) = await store.season.named(["hamlet"])
    assert [(one.key, one.plan, one.withdrawn) for one in found.performances] == [
        (f"#{found.performances[0].id}", "cafe", True),
        ("day 1", "beef", False),
    ]
    assert await apply(store, wanted(1, plan="beef")) == Changed(0, 0, 0)
    await sell(store, found.performances[1].id, 0)
    refused = await apply(store, wanted(1, plan="cafe"))
    assert isinstance(refused, Unchanged) and refused.reason is Reason.FAULTY
    assert [fault.flaw for fault in refused.faults] == [Flaw.PLAN_SOLD]
    unknown = await apply(store, wanted(1, 2, plan="dead"))
    assert isinstance(unknown, Unchanged)


async def test_a_plan_that_nobody_kept_changes_nothing(store: Store, opened: Opened) -> None:
    assert await apply(store, wanted(1, plan="dead")) == Unchanged(Reason.PLAN_UNKNOWN, plan="dead")
    assert await store.season.named(["hamlet"]) == []


async def test_a_house_that_changed_meanwhile_is_left_as_it_is(
    store: Store, opened: Opened
) -> None:
    await apply(store, wanted(1, 2))
    found = await store.season.named(["hamlet"])
    seen = fingerprint(found)
    await sell(store, found[0].performances[0].id, 3)
    stale = await store.season.apply(
        1, wanted(2), id=b"i" * 16, compared_with=seen, digest=DIGEST, now_ms=NOW_MS
    )
    assert stale == Unchanged(Reason.STALE)
    assert await store.season.named(["hamlet"]) != []
    seen = fingerprint(await store.season.named(["hamlet"]))
    done = await store.season.apply(
        1, wanted(2), id=b"i" * 16, compared_with=seen, digest=DIGEST, now_ms=NOW_MS
    )
    assert done == Changed(0, 0, 1)


async def test_the_same_id_is_applied_once(store: Store, opened: Opened) -> None:
    id = secrets.token_bytes(16)
    assert await apply(store, wanted(1), id=id) == Changed(1, 0, 0)
    assert await apply(store, wanted(1), id=id) == Changed(1, 0, 0, again=True)
    other = await store.season.apply(
        1, wanted(2), id=id, compared_with="", digest=b"e" * 32, now_ms=NOW_MS
    )
    assert other == Unchanged(Reason.OTHER_CONTENT)
    assert len(await store.catalogue.list_performances()) == 3


async def test_of_two_at_once_one_is_applied(store: Store, opened: Opened) -> None:
    outcomes = await asyncio.gather(
        *(
            store.season.apply(
                1,
                wanted(day),
                id=secrets.token_bytes(16),
                compared_with=fingerprint([]),
                digest=DIGEST,
                now_ms=NOW_MS,
            )
            for day in range(1, 6)
        )
    )
    assert sorted(type(one).__name__ for one in outcomes) == ["Changed", *["Unchanged"] * 4]
    assert len((await store.season.named(["hamlet"]))[0].performances) == 1


class Unplugged(Exception):
    pass


class Faulty:
    """The statement of this number fails, counted from here."""

    def __init__(self, number: int) -> None:
        self._left = number

    def __call__(self, *_: Any) -> None:
        self._left -= 1
        if self._left == 0:
            raise Unplugged


async def everything(store: Store) -> list[Any]:
    """All that a change may touch."""
    rows = []
    async with store._engine.connect() as connection:
        for table in ("productions", "performances", "writers", "season_changes"):
            found = await connection.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1"))
            rows.append([tuple(row) for row in found])
    return rows


async def test_a_fault_between_any_two_statements_changes_nothing(
    store: Store, opened: Opened
) -> None:
    """Each statement of the change fails once; then the same change is made, whole."""
    await apply(store, wanted(1, 2, 3))
    (found,) = await store.season.named(["hamlet"])
    await sell(store, found.performances[0].id, 7)
    programme = wanted(1, 3, 4, settings=CHEAPER)
    before = await everything(store)
    seen = fingerprint(await store.season.named(["hamlet"]))
    failed, done = 0, None
    while done is None:
        faulty = Faulty(failed + 1)
        sa.event.listen(store._engine.sync_engine, "before_cursor_execute", faulty)
        try:
            done = await store.season.apply(
                1, programme, id=b"i" * 16, compared_with=seen, digest=DIGEST, now_ms=NOW_MS
            )
        except Unplugged:
            failed += 1
        finally:
            sa.event.remove(store._engine.sync_engine, "before_cursor_execute", faulty)
        assert (await everything(store) == before) == (done is None)
    assert failed > 8 and done == Changed(1, 2, 1)
    (found,) = await store.season.named(["hamlet"])
    assert [(one.key, one.withdrawn) for one in found.performances] == [
        ("day 1", False),
        ("day 2", True),
        ("day 3", False),
        ("day 4", False),
    ]
    (pending,) = await store.season.pending()
    assert len(pending.todo) == 1


@pytest.mark.parametrize("flaw", [Flaw.SAME_KEY, Flaw.OTHER_CURRENCY])
async def test_a_faulty_programme_is_refused_as_a_whole(
    store: Store, opened: Opened, flaw: Flaw
) -> None:
    programme = (
        wanted(1, 1)
        if flaw is Flaw.SAME_KEY
        else wanted(1, settings=replace(SETTINGS, currency="CHF"))
    )
    refused = await apply(store, programme)
    assert isinstance(refused, Unchanged) and [one.flaw for one in refused.faults] == [flaw]
    assert await store.season.named(["hamlet"]) == []
