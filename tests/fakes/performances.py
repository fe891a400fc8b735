"""The performance actors without actors: the real engine in memory, and failures on demand."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from engine.commands import ID_BYTES, Command, Expire, Outcome
from engine.feed import Feed
from engine.journal import JournalCheck, Page, Recorded
from engine.performance import Performance
from engine.plan import Plan
from engine.settings import Settings
from gateway.backend import BackendUnavailable, PerformanceUnknown

WATCH_S = 0.5


@dataclass(frozen=True)
class DoorRows:
    seq: int
    tickets: int
    states: dict[int, str]
    versions: dict[int, int]
    used: list[tuple[int, int, str, bool]]
    unused: list[int]
    places: list[int]


class FakePerformances:
    """Implements `gateway.backend.Performances`, and `History` and `DoorLists` with what they did.

    Attributes:
        clock_ms: The time of every decision; tests put it forward.
        delay_s: How long a batch takes to commit.
        down: While set, every call fails.
        lose: The next so many batches are decided, and their answer is lost.
        batches: Sizes of the batches that were decided.
        page_batches: Batches in a page of a journal.
        broken_at: Where the chain of every journal is said to be broken.
    """

    def __init__(self) -> None:
        self.live: dict[int, _Live] = {}
        self.ahead_ms = 0
        self.delay_s = 0.0
        self.down = False
        self.lose = 0
        self.batches: list[int] = []
        self.polls = 0
        self.page_batches = 100
        self.broken_at = 0
        self._decode = msgspec.msgpack.Decoder(list[Command]).decode
        self._encode = msgspec.msgpack.Encoder().encode

    def clock_ms(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms

    def add(self, performance: int, plan: Plan, settings: Settings) -> Performance:
        core = Performance(performance, plan, settings)
        self.live[performance] = _Live(core)
        return core

    def restart(self, performance: int) -> None:
        """A new reign: what the actor remembers stays, its feed starts over."""
        self.live[performance].reign(self.live[performance].feed.epoch + 1)

    async def submit(self, performance: int, batch: bytes) -> bytes:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        live = self._live(performance)
        commands = self._decode(batch)
        self.batches.append(len(commands))
        outcomes = [self._apply(live, command) for command in commands]
        if self.lose:
            self.lose -= 1
            raise BackendUnavailable("the answer was lost")
        return self._encode(outcomes)

    async def ask(self, performance: int, command: Command) -> Outcome:
        """One command, as the order desk asks it."""
        outcomes = msgspec.msgpack.decode(
            await self.submit(performance, self._encode([command])), type=list[Outcome]
        )
        return outcomes[0]

    async def watch(self, performance: int, epoch: int, seq: int) -> bytes:
        self.polls += 1
        live = self._live(performance)
        self._expire(live)
        if (live.feed.epoch, live.feed.seq) == (epoch, seq):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(live.published.wait(), WATCH_S)
            self._live(performance)
            self._expire(live)
        feed = live.feed
        ended = [token for at, token in live.ended if feed.epoch != epoch or at > seq]
        return self._encode((feed.since(epoch, seq), ended))

    async def page(self, performance: int, after_seq: int) -> Page | None:
        live = self.live.get(performance)
        if live is None:
            return None
        journal = live.journal
        first_ms, last_ms = (journal[0].at_ms, journal[-1].at_ms) if journal else (0, 0)
        batches = [batch for batch in journal if batch.seq > after_seq][: self.page_batches]
        return Page(live.seq, first_ms, last_ms, tuple(batches))

    async def check(self, performance: int, seqs: Sequence[int] = ()) -> JournalCheck | None:
        """A chain of its own making: nobody but the database knows the real one."""
        live = self.live.get(performance)
        if live is None:
            return None
        ends = [batch.seq for batch in live.journal]
        faults = ((self.broken_at, "changed"),) if self.broken_at else ()
        hashes = {seq: f"{seq:064x}" for seq in seqs if seq in ends}
        return JournalCheck(performance, live.seq, len(ends), 0, faults, hashes)

    async def journals(self, after: int) -> list[int]:
        return sorted(number for number, live in self.live.items() if number > after and live.seq)

    async def read(self, performance: int, *, since: int, first: int) -> DoorRows | None:
        """As `gateway.backend.DoorLists`, from what the engine has in memory; always whole."""
        live = self.live.get(performance)
        if live is None:
            return None
        core = live.core
        numbers = range(1, len(core.tickets) + 1)
        used = []
        for number, uses in core.ticket_uses.items():
            entries = [one for one in uses if one.entry]
            if entries:
                used.append((number, entries[0].at_ms, entries[0].gate, uses[-1].entry))
        known = {number for number, *_ in used}
        states = {number: str(core.ticket_states.get(number, "valid")) for number in numbers}
        return DoorRows(
            seq=live.seq,
            tickets=len(core.tickets),
            states={number: state for number, state in states.items() if state != "valid"},
            versions={number: core.ticket_versions.get(number, 0) for number in numbers},
            used=used,
            unused=[number for number in numbers if number not in known] if since else [],
            places=[one.seat if one.seat >= 0 else -1 - one.area for one in core.tickets][
                first - 1 :
            ],
        )

    def wake(self) -> None:
        """Answer every long-poll now."""
        for live in self.live.values():
            live.tell()

    def _live(self, performance: int) -> "_Live":
        if self.down:
            raise BackendUnavailable("nobody serves it now")
        if performance not in self.live:
            raise PerformanceUnknown(performance)
        return self.live[performance]

    def _apply(self, live: "_Live", command: Command) -> Outcome:
        self._expire(live)
        outcome = live.core.apply(command, self.clock_ms())
        live.publish()
        return outcome

    def _expire(self, live: "_Live") -> None:
        now_ms = self.clock_ms()
        if live.core.due(now_ms):
            live.expiries += 1
            expired = live.core.apply(Expire(live.expiries.to_bytes(ID_BYTES, "big")), now_ms)
            live.publish()
            live.ended.extend((live.feed.seq, token) for token in expired.tokens)


class _Live:
    def __init__(self, core: Performance) -> None:
        self.core = core
        self.expiries = 0
        self.ended: deque[tuple[int, bytes]] = deque(maxlen=1_000)
        self.journal: list[Recorded] = []
        self.seq = 0
        self.published = asyncio.Event()
        self.reign(1)

    def reign(self, epoch: int) -> None:
        self.feed = Feed(self.core.performance, epoch, self.core.statuses(), self.core.area_free)
        self.ended.clear()
        self.tell()

    def publish(self) -> None:
        events, changes, areas = self.core.take()
        if events:
            before, self.seq = self.seq, self.seq + len(events)
            encoded = msgspec.msgpack.encode(events)
            epoch, at_ms = self.feed.epoch, events[-1].at_ms
            self.journal.append(Recorded(self.seq, before, epoch, at_ms, encoded))
        if self.feed.publish(changes, areas):
            self.tell()

    def tell(self) -> None:
        self.published.set()
        self.published = asyncio.Event()
