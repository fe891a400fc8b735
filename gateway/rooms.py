"""The waiting rooms as this gateway knows them, and who of its visitors stands in which.

Owns the exchange with their writer, of whose rooms each is followed by a replica
(`gateway.room`), and what each visitor is told. Whether a session may hold is answered from
memory. A writer that dies takes nothing along: what is known here stays, and what happened
meanwhile is told when it is back. Knows neither how many are admitted nor when: that is the
writer's. Before it was heard once, nobody knows who may buy, and nobody is let through.
"""

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Final, TypeVar

import msgspec
import structlog

from engine.commands import Held
from engine.limits import EXCHANGE_MS, IDLE_EXCHANGE_MS
from engine.waiting import News, Phase, Report, RoomNews, RoomReport
from engine.waiting_room import RoomEventInvalid, rebuild, visitor_of
from gateway import wire
from gateway.admissions import AdmissionTokens
from gateway.backend import Backend
from gateway.batcher import Batcher
from gateway.limits import (
    EXCHANGE_TIMEOUT_S,
    FAN_OUT_CHUNK_SENDS,
    FIRST_EXCHANGE_S,
    MAX_QUEUES_PER_SOCKET,
    RETRY_PAUSES_S,
    ROOM_TICK_S,
)
from gateway.metrics import Metrics
from gateway.replica import Feeds
from gateway.room import Guest, Room
from gateway.session import now_ms
from gateway.vacancies import Vacancies

T = TypeVar("T")
log = structlog.get_logger("gateway.rooms")

_encode = msgspec.msgpack.Encoder().encode
_decode_held = msgspec.msgpack.Decoder(Held).decode

NOWHERE: Final[Mapping[bytes, int]] = MappingProxyType({})
"""The admissions of a connection that has none, shared by all of them."""


class Unheard:
    """In place of a room, while nobody knows whether there is one."""


UNHEARD: Final = Unheard()


def _nobody_knows(performance: int) -> Unheard:
    return UNHEARD


_FIGURES: Final[dict[str, tuple[str, Callable[[Room], float]]]] = {
    "strapontin_room_arrived": ("Visitors who ever came", lambda room: room.line.arrived),
    "strapontin_room_front": (
        "The first place that is not admitted yet",
        lambda room: room.line.front,
    ),
    "strapontin_room_admitted_per_minute": (
        "Visitors admitted in the last minute",
        lambda room: room.per_min,
    ),
    "strapontin_room_available": (
        "Places that are free, as admission sees it; -1 while it is not known",
        lambda room: room.available,
    ),
}


class Rooms:
    """All rooms of one gateway. `start` and `stop` it inside its event loop.

    Attributes:
        gate: The room that stands before a performance's sale, UNHEARD before anything is
            known, None for none. Asked for every hold: one look into a dict.
    """

    def __init__(
        self, backend: Backend, batcher: Batcher, feeds: Feeds, metrics: Metrics, key: bytes
    ) -> None:
        self._backend = backend
        self._batcher = batcher
        self._vacancies = Vacancies(backend, feeds)
        self._tokens = AdmissionTokens(key)
        self._name = secrets.token_bytes(16)
        self._open: dict[int, Room] = {}
        self._early: dict[tuple[Guest, int], str] = {}  # came before anything was known
        self._nudge = asyncio.Event()
        self._awaited: list[asyncio.Future[None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._is_answered = True  # the writer, when it was last asked
        self.gate: Callable[[int], Room | Unheard | None] = _nobody_knows
        metrics.gauges["strapontin_rooms"] = ("Open waiting rooms", lambda: len(self._open))
        metrics.gauges["strapontin_room_waiting"] = (
            "Visitors connected here who wait for their turn",
            lambda: sum(room.waiting() for room in self._open.values()),
        )
        metrics.gauges["strapontin_room_admitted"] = (
            "Visitors connected here who were admitted",
            lambda: sum(len(room.guests) - room.waiting() for room in self._open.values()),
        )
        for name, (text, read) in _FIGURES.items():
            metrics.gauges_by[name] = (text, "performance", partial(self._figures, read))

    def _figures(self, read: Callable[[Room], float]) -> dict[str, float]:
        return {str(number): read(room) for number, room in self._open.items()}

    async def start(self) -> None:
        """Hear what rooms there are, for a moment; go on hearing."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_EXCHANGE_S):
                while not self.is_heard:
                    await self._exchange()
                    if not self._nudge.is_set():
                        await asyncio.sleep(RETRY_PAUSES_S[0])
                    self._nudge.clear()
        self._tasks = [
            asyncio.create_task(self._run(), name="exchange with the rooms"),
            asyncio.create_task(self._tell_everybody(), name="tell the rooms"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._vacancies.stop()

    @property
    def is_heard(self) -> bool:
        """Every open room is known: once this is so, it stays so."""
        return self.gate is not _nobody_knows

    def room(self, performance: int) -> Room | None:
        """The open room of a performance."""
        return self._open.get(performance)

    async def refresh(self) -> None:
        """Returns when the writer was asked once more, or does not answer."""
        done = asyncio.get_running_loop().create_future()
        self._awaited.append(done)
        self._nudge.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(done, EXCHANGE_TIMEOUT_S)

    # What connections ask --------------------------------------------------------------

    def enter(self, guest: Guest, performance: int, admission: str) -> None:
        """Let a session into the line, or back to its place in it, and tell it where it is."""
        if performance not in guest.queues and len(guest.queues) >= MAX_QUEUES_PER_SOCKET:
            guest.error("too_many_queues", f"{MAX_QUEUES_PER_SOCKET} at most")
            return
        if not self.is_heard:
            guest.queues = _with(guest.queues, performance)
            self._early[guest, performance] = admission
            return
        room = self._open.get(performance)
        if room is None:
            none = wire.Room(performance, Phase.CLOSED.value, now_ms(), 0, 0, 0, 0, 0, -1)
            guest.out.send(_encode(none))
            return
        session, at_ms = guest.principal.who, now_ms()
        visitor = visitor_of(performance, session)
        standing = room.line.standing(visitor)
        if standing is None and room.line.full:
            guest.error("busy", "this waiting room takes nobody more")
            return
        guest.queues = _with(guest.queues, performance)
        room.join(visitor, guest)
        guest.out.send_framed(room.frame())
        if standing is not None:
            guest.out.send_framed(room.placed_frame(visitor))
        expires_ms = max(
            standing.expires_ms if standing is not None else 0,
            self._tokens.check(admission, performance, room.commitment, session, at_ms),
        )
        if expires_ms > at_ms:
            self._admit(room, guest, expires_ms)
        elif standing is None or standing.expires_ms:
            room.wait(visitor)

    def lets_hold(self, room: Room, guest: Guest) -> bool:
        """Whether this session was admitted, and that is not over."""
        at_ms = now_ms()
        if guest.admissions.get(room.commitment, 0) > at_ms:
            return True
        # It may have been let in on another connection.
        return room.line.may_buy(visitor_of(room.performance, guest.principal.who), at_ms)

    def note_held(self, performance: int, guest: Guest, outcome: msgspec.Raw | bytes) -> None:
        """A buyer's hold succeeded."""
        room = self._open.get(performance)
        if room is not None:
            visitor = visitor_of(performance, guest.principal.who)
            room.note_held(visitor, lambda: _places_in(outcome))

    def forget(self, guest: Guest) -> None:
        """The connection has ended."""
        for performance in guest.queues:
            self._early.pop((guest, performance), None)
            room = self._open.get(performance)
            if room is not None:
                room.leave(visitor_of(performance, guest.principal.who), guest)
        guest.queues = ()

    # The exchange ----------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            pause_ms = EXCHANGE_MS if self._open or not self.is_heard else IDLE_EXCHANGE_MS
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nudge.wait(), pause_ms / 1000)
            self._nudge.clear()
            await self._exchange()

    async def _exchange(self) -> None:
        """Ask once; on failure everything goes on as it was known."""
        awaited, self._awaited = self._awaited, []
        report = Report(self._name, tuple([self._report(room) for room in self._open.values()]))
        try:
            async with asyncio.timeout(EXCHANGE_TIMEOUT_S):
                news = await self._backend.rooms.exchange(report)
            await self._take(news, {told.performance for told in report.rooms})
            self._note_answered("")
        except Exception as error:
            # The writer is away, or what it says does not fit: ask again, for everything.
            self._note_answered(repr(error))
            self._take_back(report)
        except asyncio.CancelledError:
            self._take_back(report)
            raise
        finally:
            for done in awaited:
                if not done.done():
                    done.set_result(None)

    def _report(self, room: Room) -> RoomReport:
        return room.report(*self._vacancies.of(room.performance))

    def _note_answered(self, why_not: str) -> None:
        """Say when the writer is lost and when it is back, not at every question between."""
        if why_not and self._is_answered:
            log.warning("rooms wait", why=why_not)
        elif not why_not and not self._is_answered:
            log.info("rooms answer")
        self._is_answered = not why_not

    def _take_back(self, report: Report) -> None:
        for told in report.rooms:
            room = self._open.get(told.performance)
            if room is not None:
                room.unheard(told)

    async def _take(self, news: News, reported: set[int]) -> None:
        """Make our rooms what the writer's are, and tell whom it concerns."""
        numbers = {told.performance: told.room for told in news.rooms}
        for room in list(self._open.values()):
            if numbers.get(room.performance) != room.number:
                await self._close(room)
                reported.discard(room.performance)
        for told in news.rooms:
            ours = self._open.get(told.performance) or self._begin(told)
            if ours is not None:
                if told.performance in reported:
                    ours.heard(told)
                await self._follow(ours, told)
        complete = all(
            told.performance in self._open and self._open[told.performance].is_complete
            for told in news.rooms
        )
        if not complete:
            self._nudge.set()
        elif not self.is_heard:
            self._be_heard()

    def _begin(self, told: RoomNews) -> Room | None:
        """A room that is new here; None when nothing of it is told yet."""
        if not told.events:
            return None
        room = Room(told.room, rebuild(told.events[:1]))
        self._open[room.performance] = room
        self._batcher.follow(room.performance, room.pace)
        return room

    async def _follow(self, room: Room, told: RoomNews) -> None:
        before = room.phase
        try:
            placed, admitted = room.apply(told)
        except RoomEventInvalid:
            log.exception("room begins again", performance=room.performance)
            return
        if room.line.closed:
            await self._close(room)
            return
        if room.phase is not before:
            await self._tell(room)
        await self._tell_places(room, placed)
        await self._tell_admissions(room, admitted)

    def _be_heard(self) -> None:
        self.gate = self._open.get
        early, self._early = self._early, {}
        for (guest, performance), admission in early.items():
            guest.queues = _without_queue(guest.queues, performance)
            self.enter(guest, performance, admission)

    async def _close(self, room: Room) -> None:
        """The room is over: whoever comes may buy."""
        del self._open[room.performance]
        self._batcher.follow(room.performance, None)
        frame = room.frame(Phase.CLOSED)
        async for guests in _in_turns(list(room.guests.values())):
            for guest in guests:
                guest.queues = _without_queue(guest.queues, room.performance)
                guest.admissions = _without(guest.admissions, room.commitment)
                guest.out.send_framed(frame)

    # Telling ---------------------------------------------------------------------------

    async def _tell_everybody(self) -> None:
        while True:
            await asyncio.sleep(ROOM_TICK_S)
            for room in list(self._open.values()):
                await self._tell(room)

    async def _tell(self, room: Room) -> None:
        """How the room stands: the same bytes to everybody in it."""
        frame = room.frame()
        async for guests in _in_turns(list(room.guests.values())):
            for guest in guests:
                # A slow reader misses this one: the next comes in a second.
                guest.out.post(frame)

    async def _tell_places(self, room: Room, visitors: list[bytes]) -> None:
        async for visitor in _in_turns(visitors):
            frame = room.placed_frame(visitor)
            for guest in room.guests.get(visitor, ()):
                guest.out.send_framed(frame)

    async def _tell_admissions(self, room: Room, visitors: list[bytes]) -> None:
        async for visitor in _in_turns(visitors):
            expires_ms = room.admitted_until_ms(visitor)
            for guest in room.guests.get(visitor, ()):
                self._admit(room, guest, expires_ms)

    def _admit(self, room: Room, guest: Guest, expires_ms: int) -> None:
        session = guest.principal.who
        guest.admissions = {**guest.admissions, room.commitment: expires_ms}
        token = self._tokens.token(room.performance, room.commitment, session, expires_ms)
        guest.out.send(_encode(wire.Admitted(room.performance, token, expires_ms)))


async def _in_turns(many: Iterable[T]) -> AsyncIterator[T]:
    """All of them, one by one, with a turn for other work after every FAN_OUT_CHUNK_SENDS."""
    for number, one in enumerate(many, 1):
        yield one
        if number % FAN_OUT_CHUNK_SENDS == 0:
            await asyncio.sleep(0)


def _with(queues: tuple[int, ...], performance: int) -> tuple[int, ...]:
    return queues if performance in queues else (*queues, performance)


def _without_queue(queues: tuple[int, ...], performance: int) -> tuple[int, ...]:
    return tuple(one for one in queues if one != performance)


def _without(admissions: Mapping[bytes, int], commitment: bytes) -> Mapping[bytes, int]:
    left = {key: end for key, end in admissions.items() if key != commitment}
    return left or NOWHERE


def _places_in(outcome: msgspec.Raw | bytes) -> int:
    held = _decode_held(outcome)
    return len(held.seats) + sum(quantity for _, quantity in held.areas)
