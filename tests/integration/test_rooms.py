"""The real writer of the waiting rooms, killed: its own process, real Ray, real Postgres."""

import asyncio
import os
import signal
from collections.abc import Iterator

import psutil
import pytest

from engine.actors import local_ray
from engine.actors.performance import now_ms
from engine.waiting import News, Phase, Report, RoomReport
from engine.waiting_room import rebuild, verify
from gateway.backend import BackendUnavailable, Rooms
from persistence.embedded import EmbeddedPostgres
from persistence.migrations import migrate
from persistence.store import Store
from tests.conftest import copy_of
from tests.persistence.houses import open_house

pytestmark = [pytest.mark.timeout(180)]

SALE_AFTER_MS = 3_000
GUESTS = tuple(bytes([number]) * 16 for number in range(40))


@pytest.fixture(scope="module")
def writer(
    postgres_server: EmbeddedPostgres, database_template: str
) -> Iterator[tuple[Rooms, str, int]]:
    """The rooms of a house, written by a process of Ray's; its database, a performance."""
    with copy_of(postgres_server.url, database_template) as url:

        async def prepare() -> int:
            await migrate(url)
            async with Store(url) as store:
                return (await open_house(store)).first

        performance = asyncio.run(prepare())
        local_ray.start()
        from engine.actors import wiring

        actor = wiring._remote(wiring.RoomsProcess, wiring.ROOMS, -1, url)
        try:
            yield wiring.RayRooms(actor), url, performance
        finally:
            local_ray.stop()


async def heard(rooms: Rooms, report: Report) -> News:
    """As a gateway does: ask again until somebody answers."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await rooms.exchange(report)
            except BackendUnavailable:
                await asyncio.sleep(0.1)


async def until(rooms: Rooms, report: Report, seq: int) -> News:
    """News that go as far as `seq` at least."""
    async with asyncio.timeout(60):
        while True:
            news = await heard(rooms, report)
            if news.rooms[0].head >= seq:
                return news
            await asyncio.sleep(0.05)


def kill_writer() -> None:
    below = psutil.Process(os.getpid()).children(recursive=True)
    (process,) = [each for each in below if " ".join(each.cmdline()).startswith("ray::RoomsProc")]
    process.send_signal(signal.SIGKILL)
    process.wait(10)


async def test_a_killed_writer_loses_no_place(writer: tuple[Rooms, str, int]) -> None:
    rooms, url, performance = writer
    await heard(rooms, Report(b"g"))
    opens_ms = now_ms()
    sale_ms = opens_ms + SALE_AFTER_MS
    assert await rooms.open(performance + 9, opens_ms, sale_ms) == "performance_unknown"
    assert await rooms.open(performance, opens_ms, sale_ms) == ""
    arriving = RoomReport(performance, whole=True, arrivals=GUESTS)
    told = (await until(rooms, Report(b"g", (arriving,)), 2)).rooms[0]
    before = rebuild(told.events)
    assert before.arrived == len(GUESTS)

    kill_writer()
    here = RoomReport(performance, 1, 2, whole=True, came=GUESTS, available=20, held=0)
    news = (await until(rooms, Report(b"g", (here,)), 4)).rooms[0]
    assert (news.seq, news.phase) == (2, Phase.ADMITTING) and news.life != told.life
    room = rebuild(told.events + news.events)
    for one in GUESTS:
        was, now = before.standing(one), room.standing(one)
        assert was is not None and now is not None and was.number == now.number
    assert room.drawn == len(GUESTS) and room.admitted >= 10

    kill_writer()
    await heard(rooms, Report(b"g"))
    assert await rooms.close(performance) is True
    log = await rooms.events(performance)
    assert verify(log) == [] and rebuild(log).closed
    async with Store(url) as store:
        assert tuple(await store.rooms.events(performance, 1)) == log
        assert await store.rooms.open_rooms() == []
