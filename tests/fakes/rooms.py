"""Waiting rooms in memory: the real writer over a store that keeps what the real one promises."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from msgspec.structs import replace

from engine.actors import ActorFault
from engine.actors.performance import now_ms
from engine.actors.rooms import RoomsActor
from engine.waiting import Closed, News, Opened, Report, RoomEvent, StoredRoom
from gateway.backend import BackendUnavailable

T = TypeVar("T")


class CommitLost(Exception):
    """The connection broke during the commit: written or not, nobody knows."""


class MemoryRooms:
    """What `persistence.rooms` keeps. `lose` breaks the next append before or after it is written.

    Without `guarded` the primary key is missing: writers overwrite each other.
    """

    def __init__(self, performances: Sequence[int] | None = None) -> None:
        self.rooms: dict[tuple[int, int], StoredRoom] = {}
        self.log: dict[tuple[int, int], list[RoomEvent]] = {}
        self.performances = performances  # None: any number is a performance
        self.lose = ""  # "before" | "after"
        self.down = False
        self.guarded = True
        self.appends = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def open_rooms(self) -> list[StoredRoom]:
        await self._answer()
        return [room for key, room in self.rooms.items() if not self._closed(key)]

    async def add(self, opened: Opened, seed: bytes) -> int | None:
        await self._answer()
        if self.performances is not None and opened.performance not in self.performances:
            return None
        number = await self.latest(opened.performance)
        if number and not self._closed((opened.performance, number)):
            return 0
        key = opened.performance, number + 1
        self.rooms[key] = StoredRoom(*key, seed)
        self.log[key] = [opened]
        return number + 1

    async def append(
        self, performance: int, number: int, after_seq: int, events: Sequence[RoomEvent]
    ) -> bool:
        self.appends += 1
        await self._answer()
        lose, self.lose = self.lose, ""
        if lose == "before":
            raise CommitLost
        log = self.log[performance, number]
        if len(log) != after_seq and self.guarded:
            return False
        log[after_seq:] = events
        if lose == "after":
            raise CommitLost
        return True

    async def events(self, performance: int, number: int, after_seq: int = 0) -> list[RoomEvent]:
        await self._answer()
        return self.log.get((performance, number), [])[after_seq:]

    async def latest(self, performance: int) -> int:
        await self._answer()
        return max((number for key, number in self.rooms if key == performance), default=0)

    def _closed(self, key: tuple[int, int]) -> bool:
        return isinstance(self.log[key][-1], Closed)

    async def _answer(self) -> None:
        await self.gate.wait()
        if self.down:
            raise ConnectionError("the database is down")


class FakeRooms:
    """`gateway.backend.Rooms`. Make it inside a running loop, and `close` it.

    To drive it: `clock_ms` runs `offset_ms` ahead of the real time; `places` (available, held)
    and `latency_ms` stand for what gateways report when they are set; `unavailable` is an
    outage, and `restart` the writer's death, from which it comes back with what was committed.
    """

    def __init__(self, tick_s: float = 0.02) -> None:
        self.store = MemoryRooms()
        self.places: tuple[int, int] | None = None
        self.latency_ms: float | None = None
        self.offset_ms = 0
        self.unavailable = False
        self.reports: list[Report] = []  # the latest 100
        self._tick_s = tick_s
        self._actor = self._start()

    def clock_ms(self) -> int:
        return now_ms() + self.offset_ms

    def advance(self, ms: int) -> None:
        """Let time pass for the writer: for the opening of a room, or of its sale."""
        self.offset_ms += ms

    async def tick(self) -> None:
        """Decide now what would be decided within the next moments."""
        await self._actor.tick()

    async def restart(self) -> None:
        """The writer dies, wherever it is, and another one starts."""
        await self.aclose()
        self._actor = self._start()

    async def aclose(self) -> None:
        await end(self._actor)

    # gateway.backend.Rooms ----------------------------------------------------------

    async def exchange(self, report: Report) -> News:
        self.reports = [*self.reports[-99:], report]
        return await self._ask(self._actor.exchange(self._as_driven(report)))

    async def open(self, performance: int, opens_ms: int, on_sale_ms: int) -> str:
        return await self._ask(self._actor.open(performance, opens_ms, on_sale_ms))

    async def close(self, performance: int) -> bool:
        return await self._ask(self._actor.close(performance))

    async def events(self, performance: int) -> Sequence[RoomEvent]:
        return await self._ask(self._actor.events(performance))

    def _start(self) -> RoomsActor:
        return RoomsActor(self.store, self.clock_ms, self._tick_s)

    def _as_driven(self, report: Report) -> Report:
        rooms = report.rooms
        if self.places is not None:
            available, held = self.places
            rooms = tuple(replace(room, available=available, held=held) for room in rooms)
        if self.latency_ms is not None:
            rooms = tuple(replace(room, latency_ms=self.latency_ms) for room in rooms)
        return Report(report.gateway, rooms)

    async def _ask(self, work: Coroutine[Any, Any, T]) -> T:
        if self.unavailable:
            work.close()
            raise BackendUnavailable("an outage of the waiting rooms")
        try:
            return await work
        except ActorFault as error:
            raise BackendUnavailable(repr(error)) from error


async def end(actor: RoomsActor) -> None:
    """What a process's death does to its task."""
    actor._loop.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await actor._loop
