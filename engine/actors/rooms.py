"""The writer of all waiting rooms: hears who is there, decides who is let in, and records it.

Delivery guarantees:
- Nobody hears of an event before it is committed: a place that was told is never lost.
- An event follows the ones before it: its number is the primary key of its row. A second
  writer, or one that slept, has its event refused, reads what it missed, and decides anew.
- When nobody knows whether a commit was made, the next decision waits until that was read.
- Killed, it comes back with every event; who is connected, the gateways tell again.
- Every call may be repeated.

Owns the ticks, presence as gateways tell it, and the commits. Knows no rule (`engine.waiting_room`,
`engine.pacing`), no SQL and no Ray. Nothing runs while there is no room.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol, TypeVar

from engine.actors import NotReady
from engine.actors.performance import now_ms
from engine.limits import (
    MAX_ARRIVALS_PER_REPORT,
    MAX_ARRIVALS_PER_ROOM,
    MAX_NEWS_EVENTS,
    MAX_NEWS_VISITORS,
    MAX_ROOMS,
)
from engine.pacing import TICK_MS, UNDECIDED_MS, Pace
from engine.turns import Turns
from engine.waiting import (
    SEED_BYTES,
    Admitted,
    Arrived,
    Closed,
    Drawn,
    News,
    Opened,
    Report,
    RoomEvent,
    RoomNews,
    RoomReport,
    StoredRoom,
)
from engine.waiting_room import WaitingRoom, commitment_of, rebuild

T = TypeVar("T")
log = logging.getLogger(__name__)

SILENT_GATEWAY_S: Final = 5.0
"""Whoever was connected to a gateway that is silent for this long is away."""
PLACES_LIVE_S: Final = 3.0
"""How long a report's picture of the house is believed."""
LIFE_BYTES: Final = 8


class RoomStore(Protocol):
    """Where rooms are kept (`persistence.rooms`). Raises anything when the result is unknown."""

    async def open_rooms(self) -> Sequence[StoredRoom]:
        """Those that are not closed."""
        ...

    async def add(self, opened: Opened, seed: bytes) -> int | None:
        """Its number; 0 when the performance has an open room, None: no such performance."""
        ...

    async def append(
        self, performance: int, number: int, after_seq: int, events: Sequence[RoomEvent]
    ) -> bool:
        """All of them, right after the first `after_seq`, or none: False, others are there."""
        ...

    async def events(
        self, performance: int, number: int, after_seq: int = 0
    ) -> Sequence[RoomEvent]: ...

    async def latest(self, performance: int) -> int:
        """The number of the performance's latest room, 0: there was none."""
        ...


class _Room:
    """One open room in memory: what is committed of it, who is there, how fast they get in."""

    def __init__(self, stored: StoredRoom, events: Sequence[RoomEvent], at_ms: int) -> None:
        self.stored = stored
        self.state: WaitingRoom = rebuild(events)
        self.events = list(events)
        self.turns = Turns(self.state)
        self.pace = Pace()
        for event in events:
            # Who got a hold since is not known any more: for a while they count as undecided.
            if isinstance(event, Admitted) and event.at_ms > at_ms - UNDECIDED_MS:
                self.pace.admitted(event.visitors, event.at_ms)
        self.doubtful = False  # more may be committed than is known here
        self._arriving: dict[bytes, None] = {}
        self._latency_ms = 0.0
        self._shed = 0
        self._places = (-1, -1)
        self._places_until_s = 0.0

    def hear(self, gateway: bytes, report: RoomReport, at_ms: int, at_s: float) -> None:
        """Take in what a gateway tells."""
        there = report.came + report.arrivals
        if report.whole:
            self.turns.only(gateway, there)
        else:
            self.turns.came(gateway, there)
        self.turns.left(gateway, report.left)
        for visitor in report.arrivals[:MAX_ARRIVALS_PER_REPORT]:
            if len(self._arriving) + self.state.arrived >= MAX_ARRIVALS_PER_ROOM:
                break
            if self.state.may_arrive(visitor, at_ms):
                self._arriving[visitor] = None
        self.pace.took(report.took, report.places)
        self._latency_ms = max(self._latency_ms, report.latency_ms)
        self._shed += report.shed
        if report.available >= 0:
            self._places = report.available, report.held
            self._places_until_s = at_s + PLACES_LIVE_S
        if report.room == self.stored.number and report.seq > self.state.seq:
            self.doubtful = True  # another writer was here

    def places(self, at_s: float) -> tuple[int, int]:
        """(available, held); -1, -1 when no gateway has a live picture."""
        return self._places if at_s < self._places_until_s else (-1, -1)

    def decide(self, at_ms: int, at_s: float) -> list[RoomEvent]:
        """What should happen now. Nothing has until `take` is told that it is committed."""
        at_ms = max(at_ms, self.state.at_ms)  # the clock may have been put back
        latency_ms, shed = self._latency_ms, self._shed
        self._latency_ms, self._shed = 0.0, 0
        events: list[RoomEvent] = [*self.state.arrive(self._arriving, at_ms)]
        if self.state.drawn >= 0:
            count = self.pace.next(at_ms, latency_ms, shed, self.places(at_s)[0])
            events += self.state.admit(self.turns.take(count), at_ms)
        elif at_ms >= self.state.opened.on_sale_ms:
            events.append(Drawn(at_ms, self.stored.seed))
        return events

    def take(self, events: Sequence[RoomEvent]) -> None:
        """These are committed."""
        for event in events:
            self.state.apply(event)
            self.events.append(event)
            match event:
                case Arrived():
                    for visitor in event.visitors:
                        self._arriving.pop(visitor, None)  # by another writer, perhaps
                    self.turns.line_up(filter(self.turns.is_there, event.visitors))
                case Drawn():
                    self.turns.line_up_again()
                case Admitted():
                    self.pace.admitted(event.visitors, event.at_ms)

    def news(
        self, report: RoomReport, life: bytes, room_for: list[int], at_ms: int, at_s: float
    ) -> RoomNews:
        """What the report's sender misses, taken off `room_for` [events, visitors]."""
        begin = end = report.seq if report.room == self.stored.number else 0
        while end < len(self.events) and min(room_for) > 0:
            event = self.events[end]
            room_for[0] -= 1
            room_for[1] -= len(event.visitors) if isinstance(event, Arrived | Admitted) else 0
            end += 1
        available, held = self.places(at_s)
        return RoomNews(
            performance=self.stored.performance,
            room=self.stored.number,
            seq=begin,
            head=self.state.seq,
            events=tuple(self.events[begin:end]),
            phase=self.state.phase(at_ms, available, held),
            life=life,
            per_min=self.pace.per_min(at_ms),
            available=available,
        )


class _Gateway:
    def __init__(self, at_s: float) -> None:
        self.life = secrets.token_bytes(LIFE_BYTES)
        self.heard_s = at_s


class RoomsActor:
    """See the module. Construct inside a running event loop; reading the rooms starts at once."""

    def __init__(
        self,
        store: RoomStore,
        clock_ms: Callable[[], int] = now_ms,
        tick_s: float = TICK_MS / 1_000,
    ) -> None:
        self._store = store
        self._clock_ms = clock_ms
        self._tick_s = tick_s
        self._now_s = asyncio.get_running_loop().time
        self._rooms: dict[int, _Room] = {}
        self._gateways: dict[bytes, _Gateway] = {}
        self._ready = False
        self._unread = True  # the store may have open rooms that are not known here
        self._turn = asyncio.Lock()  # one decision and its commit at a time
        self._stirred = asyncio.Event()
        self._loop = asyncio.create_task(self._tick_forever())

    # Calls ------------------------------------------------------------------------

    async def exchange(self, report: Report) -> News:
        """Hear a gateway; tell it every open room. Raises NotReady."""
        self._check_ready()
        at_ms, at_s = self._clock_ms(), self._now_s()
        gateway = self._gateways.get(report.gateway)
        if gateway is None:
            gateway = self._gateways[report.gateway] = _Gateway(at_s)
        gateway.heard_s = at_s
        reports = {each.performance: each for each in report.rooms}
        if any(map(self._is_strange, report.rooms)):
            # Closed, or opened by another writer: who is not told of a room opens the doors.
            async with self._turn:
                await self._reach(self._read())
        room_for = [MAX_NEWS_EVENTS, MAX_NEWS_VISITORS]
        news = []
        for performance, room in self._rooms.items():
            told = reports.get(performance)
            if told is not None:
                room.hear(report.gateway, told, at_ms, at_s)
            known = told or RoomReport(performance)
            news.append(room.news(known, gateway.life, room_for, at_ms, at_s))
        return News(tuple(news))

    async def open(self, performance: int, opens_ms: int, on_sale_ms: int) -> str:
        """Announce a room; "" or why not. Raises NotReady: it may have been announced.

        "performance_unknown", "room_open" (with other times), "room_times" (the sale must begin
        in the future, and after the room opens), "too_many_rooms".
        """
        self._check_ready()
        async with self._turn:
            seed = secrets.token_bytes(SEED_BYTES)
            opened = Opened(performance, opens_ms, on_sale_ms, commitment_of(seed))
            if performance not in self._rooms:
                if not max(opens_ms, self._clock_ms()) < on_sale_ms:
                    return "room_times"
                if len(self._rooms) >= MAX_ROOMS:
                    return "too_many_rooms"
                number = await self._reach(self._store.add(opened, seed))
                if number is None:
                    return "performance_unknown"
                await self._reach(self._read())
            room = self._rooms.get(performance)
            if room is None:
                raise NotReady(f"the room of performance {performance} was closed meanwhile")
            there = room.state.opened
            same = (there.opens_ms, there.on_sale_ms) == (opens_ms, on_sale_ms)
            return "" if same else "room_open"

    async def close(self, performance: int) -> bool:
        """End the performance's open room; False when there is none. Raises NotReady."""
        self._check_ready()
        async with self._turn:
            room = self._rooms.get(performance)
            if room is None:
                return False
            if room.doubtful:
                await self._reach(self._catch_up(room))
            if not room.state.closed:
                at_ms = max(self._clock_ms(), room.state.at_ms)
                await self._reach(self._commit(room, [Closed(at_ms)]))
            del self._rooms[performance]
            return True

    async def events(self, performance: int) -> tuple[RoomEvent, ...]:
        """The events of the performance's latest room; none: there is none. Raises NotReady."""
        self._check_ready()
        room = self._rooms.get(performance)
        if room is not None:
            return tuple(room.events)
        number = await self._reach(self._store.latest(performance))
        return tuple(await self._reach(self._store.events(performance, number)))

    # Ticks ------------------------------------------------------------------------

    async def tick(self) -> None:
        """Decide and commit what is due in every room."""
        async with self._turn:
            for name, gateway in list(self._gateways.items()):
                if gateway.heard_s < self._now_s() - SILENT_GATEWAY_S:
                    self._forget(name)
            if self._unread:
                try:
                    await self._read()
                except Exception as error:
                    log.warning("the waiting rooms cannot be read yet: %r", error)
            for performance, room in list(self._rooms.items()):
                try:
                    await self._step(room)
                except Exception as error:
                    log.warning("the room of performance %d: %r", performance, error)

    async def _tick_forever(self) -> None:
        while True:
            await self.tick()
            if not self._rooms and not self._unread:
                await self._stirred.wait()
            self._stirred.clear()
            await asyncio.sleep(self._tick_s)

    async def _step(self, room: _Room) -> None:
        if room.doubtful:
            await self._catch_up(room)
        if room.state.closed:
            del self._rooms[room.stored.performance]
            return
        events = room.decide(self._clock_ms(), self._now_s())
        if events:
            await self._commit(room, events)

    async def _commit(self, room: _Room, events: Sequence[RoomEvent]) -> None:
        """Raises anything when it may not be committed; the room is in doubt then."""
        stored = room.stored
        room.doubtful = True
        if not await self._store.append(stored.performance, stored.number, room.state.seq, events):
            raise NotReady("another writer was faster; what it wrote is read first")
        room.doubtful = False
        room.take(events)

    async def _catch_up(self, room: _Room) -> None:
        stored = room.stored
        missed = await self._store.events(stored.performance, stored.number, room.state.seq)
        room.take(missed)
        # Some were taken off the line for an event that was not written.
        room.turns.line_up_again()
        room.doubtful = False

    async def _read(self) -> None:
        """Take up the open rooms that are not known here."""
        self._unread = False
        try:
            for stored in await self._store.open_rooms():
                known = self._rooms.get(stored.performance)
                if known is None or known.stored.number != stored.number:
                    events = await self._store.events(stored.performance, stored.number)
                    self._rooms[stored.performance] = _Room(stored, events, self._clock_ms())
        except BaseException:
            self._unread = True
            raise
        self._ready = True
        if self._rooms:
            self._stirred.set()

    def _is_strange(self, report: RoomReport) -> bool:
        room = self._rooms.get(report.performance)
        return room is None or report.room > room.stored.number

    def _look(self) -> None:
        self._unread = True
        self._stirred.set()

    def _forget(self, gateway: bytes) -> None:
        del self._gateways[gateway]
        for room in self._rooms.values():
            room.turns.forget(gateway)

    def _check_ready(self) -> None:
        if not self._ready:
            raise NotReady("the waiting rooms are being read")

    async def _reach(self, work: Awaitable[T]) -> T:
        """What the store answers. Raises NotReady, and reads again later."""
        try:
            return await work
        except Exception as error:
            self._look()
            raise NotReady(repr(error)) from error
