"""Waiting rooms in Postgres: one successor for every event, whoever writes."""

import asyncio

import pytest
import sqlalchemy as sa

from engine.limits import MAX_VISITORS_PER_EVENT
from engine.waiting import Admitted, Arrived, Closed, Drawn, Opened, RoomEvent, StoredRoom
from engine.waiting_room import commitment_of
from persistence.rooms import RoomCorrupt
from persistence.store import Store
from persistence.url import connect
from tests.persistence.houses import NOW_MS
from tests.persistence.houses import Opened as House

SEED = bytes(range(32))
ANNA, BEN = b"a" * 16, b"b" * 16


def opening(performance: int, seed: bytes = SEED) -> Opened:
    return Opened(performance, NOW_MS, NOW_MS + 60_000, commitment_of(seed))


def a_sale() -> list[RoomEvent]:
    return [
        Arrived(NOW_MS, (BEN, ANNA)),
        Drawn(NOW_MS + 60_000, SEED),
        Admitted(NOW_MS + 60_001, NOW_MS + 660_001, (ANNA,)),
    ]


async def test_a_room_is_read_as_it_was_written(store: Store, opened: House) -> None:
    assert await store.rooms.add(opening(opened.first), SEED) == 1
    assert await store.rooms.append(opened.first, 1, 1, a_sale()[:1])
    assert await store.rooms.append(opened.first, 1, 2, a_sale()[1:])
    assert await store.rooms.events(opened.first, 1) == [opening(opened.first), *a_sale()]
    assert await store.rooms.events(opened.first, 1, 3) == a_sale()[2:]
    assert await store.rooms.open_rooms() == [StoredRoom(opened.first, 1, SEED)]


async def test_a_performance_has_one_open_room(store: Store, opened: House) -> None:
    assert await store.rooms.latest(opened.first) == 0
    assert await store.rooms.add(opening(opened.first), SEED) == 1
    assert await store.rooms.add(opening(opened.first, bytes(32)), bytes(32)) == 0
    assert await store.rooms.add(opening(opened.second), SEED) == 1
    assert await store.rooms.append(opened.first, 1, 1, [Closed(NOW_MS)])
    assert [room.performance for room in await store.rooms.open_rooms()] == [opened.second]
    assert await store.rooms.add(opening(opened.first, bytes(32)), bytes(32)) == 2
    assert await store.rooms.latest(opened.first) == 2
    assert await store.rooms.events(opened.first, 1) == [opening(opened.first), Closed(NOW_MS)]


async def test_two_who_open_at_once_open_one_room(store: Store, opened: House) -> None:
    seeds = [bytes([number]) * 32 for number in range(4)]
    numbers = await asyncio.gather(
        *(store.rooms.add(opening(opened.first, seed), seed) for seed in seeds)
    )
    assert sorted(number or 0 for number in numbers) == [0, 0, 0, 1]
    (kept,) = await store.rooms.open_rooms()
    assert kept.seed == seeds[numbers.index(1)]


async def test_a_performance_that_does_not_exist_has_no_room(store: Store, opened: House) -> None:
    assert await store.rooms.add(opening(opened.second + 1), SEED) is None
    assert await store.rooms.open_rooms() == []
    assert await store.rooms.events(opened.second + 1, 1) == []


async def test_an_event_has_one_successor(store: Store, opened: House) -> None:
    await store.rooms.add(opening(opened.first), SEED)
    writers = [[Arrived(NOW_MS, (bytes([number]) * 16,))] for number in range(6)]
    written = await asyncio.gather(
        *(store.rooms.append(opened.first, 1, 1, events) for events in writers)
    )
    assert written.count(True) == 1
    assert await store.rooms.events(opened.first, 1, 1) == writers[written.index(True)]


@pytest.mark.parametrize("after_seq", [0, 1, 3])
async def test_events_out_of_place_are_refused_whole(
    store: Store, opened: House, after_seq: int
) -> None:
    await store.rooms.add(opening(opened.first), SEED)
    await store.rooms.append(opened.first, 1, 1, a_sale()[:1])
    late = [Arrived(NOW_MS, (b"c" * 16,)), Closed(NOW_MS)]
    assert not await store.rooms.append(opened.first, 1, after_seq, late)
    assert await store.rooms.events(opened.first, 1, 1) == a_sale()[:1]
    assert len(await store.rooms.open_rooms()) == 1


async def test_a_missing_event_is_noticed(store: Store, opened: House, database_url: str) -> None:
    await store.rooms.add(opening(opened.first), SEED)
    await store.rooms.append(opened.first, 1, 1, a_sale())
    connection = await connect(database_url)
    await connection.execute("DELETE FROM room_events WHERE seq = 2")
    await connection.close()
    with pytest.raises(RoomCorrupt, match="event 2 is missing"):
        await store.rooms.events(opened.first, 1)


async def test_a_seed_that_was_exchanged_is_refused(
    store: Store, opened: House, database_url: str
) -> None:
    await store.rooms.add(opening(opened.first), SEED)
    with pytest.raises(sa.exc.IntegrityError):
        await store.rooms.add(opening(opened.second, bytes(32)), SEED)
    connection = await connect(database_url)
    with pytest.raises(Exception, match="commitment_of_the_seed"):
        await connection.execute("UPDATE rooms SET seed = $1", bytes(32))
    await connection.close()


async def test_a_full_event_fits_into_64_kilobytes(
    store: Store, opened: House, database_url: str
) -> None:
    visitors = tuple(number.to_bytes(16, "big") for number in range(MAX_VISITORS_PER_EVENT))
    await store.rooms.add(opening(opened.first), SEED)
    events: list[RoomEvent] = [Arrived(NOW_MS, visitors), Admitted(NOW_MS, NOW_MS + 1, visitors)]
    assert await store.rooms.append(opened.first, 1, 1, events)
    assert await store.rooms.events(opened.first, 1, 1) == events
    connection = await connect(database_url)
    assert await connection.fetchval("SELECT max(octet_length(event)) FROM room_events") < 65_536
    await connection.close()
