"""Back in time, what was taken back at the doors stands again, and only that."""

import msgspec
import pytest

from engine.commands import Event
from engine.plan_io import dump_plan
from engine.projection import project
from persistence.rewind import rewind
from persistence.store import Store
from tests.engine.small import Play, house, settings
from tests.persistence.houses import NOW_MS, Opened, batch

PLAN = house(["aaaa"])


@pytest.fixture
async def performance(store: Store, opened: Opened) -> int:
    await store.catalogue.add_plan(
        plan_hash="beef", name="Small", seats=4, places=4, body=dump_plan(PLAN), now_ms=NOW_MS
    )
    return await store.catalogue.create_performance(
        opened.production,
        plan_hash="beef",
        starts_ms=NOW_MS,
        settings=msgspec.json.encode(settings()),
        now_ms=NOW_MS,
    )


async def test_an_undoing_that_is_cut_off_did_not_happen(store: Store, performance: int) -> None:
    claimed = await store.journal.claim(performance, "")
    play, seq = Play(PLAN, settings(), performance), 0

    async def keep() -> None:
        nonlocal seq
        events: list[Event] = play.live.take()[0]
        written = batch(
            claimed,
            seq,
            events=len(events),
            blob=msgspec.msgpack.encode(events),
            projection=project(seq + 1, events),
        )
        assert all(await store.journal.append([msgspec.structs.replace(written, at_ms=play.at_ms)]))
        seq += len(events)
        play.at_ms += 1_000

    play.buy(0, 1)
    play.scan(1, performance=performance)
    play.scan(2, performance=performance)
    await keep()
    play.undo(1)
    await keep()
    play.undo(2)
    await keep()

    async def undone() -> list[bool]:
        found = [await store.sales.ticket(performance, number) for number in (1, 2)]
        return [scan.undone_ms > 0 for one in found if one is not None for scan in one[1]]

    assert await undone() == [True, True]
    async with store._engine.begin() as connection:
        await rewind(connection, play.at_ms - 1_500, lambda *_: None)
    assert await undone() == [True, False]
