"""The single writer of one performance: a shell around `engine.performance`.

Delivery guarantees:
- `submit` answers only after every event it led to, and every event decided
  before it, is committed; replies leave in the order of decisions.
- What led to no event (a look at a ticket, a basket) is answered only after the journal was
  asked, later than the decision, whether this reign still stands: a writer that slept while
  another took over would tell how things were.
- A command sent again with the same id gets the same outcome, also after the
  actor died. Any `ActorFault` means: send the same commands again.
- While one batch commits, the next is decided on top of it. When a commit's
  result is unknown, memory is thrown away and rebuilt under a new epoch.
- Colours are published after the commit, never before.

Owns the clock, the commit pipeline and the long-polls. Knows no rule, no SQL,
no socket and no Ray.
"""

import asyncio
import contextlib
import gc
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple, Protocol

import msgspec

from engine.actors import NotReady, OutcomeUnknown, Stopped
from engine.actors.use import own_use
from engine.commands import ID_BYTES, Command, Event, Expire, Expired, Outcome, Refusal, Refused
from engine.feed import Feed
from engine.house import Layout, lay_out
from engine.journal import Append, Claimed, Succeeded, Written
from engine.layout_packed import pack_layout, unpack_layout
from engine.limits import MAX_BATCH_COMMANDS, MAX_UNCOMMITTED_COMMANDS
from engine.performance import Performance
from engine.plan_io import load_plan
from engine.projection import project
from engine.settings import Settings
from engine.status import PerformanceStatus

log = logging.getLogger(__name__)

SNAPSHOT_EVERY_EVENTS: Final = 50_000
"""Events between two snapshots: bounds the tail that a recovery replays."""
SUCCEEDED: Final = "another writer has claimed it"
EXPIRY_TICK_S: Final = 0.25
WATCH_S: Final = 5.0
"""A long-poll with nothing to say answers after this long."""
READY_S: Final = 8.0
"""How long a call waits for a recovery before it is told to come back."""
RETRY_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)
"""Pauses between attempts to recover; the last one repeats."""
MAX_ENDED_HOLDS: Final = 10_000
"""Expired holds remembered for long-polls that have not been told yet."""


class JournalPort(Protocol):
    """The journal, as this actor sees it. Raises anything when the result is unknown."""

    async def claim(self, performance: int, since: int) -> Claimed: ...

    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]: ...

    async def append(self, batch: Append) -> Written: ...

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None: ...

    async def keep_packed(self, plan_hash: str, packed: bytes) -> None: ...


class SecondWallError(Exception):
    """The database refused a batch that this writer decided: memory is wrong."""


class Waiting(NamedTuple):
    """A reply that leaves with the answer to the append that is the `turn`-th of this reign."""

    turn: int
    reply: bytes
    future: asyncio.Future[bytes]


@contextlib.contextmanager
def _collector_resting() -> Iterator[None]:
    """While a house is rebuilt nothing becomes garbage, and what is built stays.

    Else the collector walks through half of it again and again, and through all of it at
    every full collection of the sale that follows.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
    gc.freeze()


def _replayed(core: Performance, page: list[tuple[int, bytes]]) -> Performance:
    decode = msgspec.msgpack.Decoder(list[Event]).decode
    for _, events in page:
        core.replay(decode(events))
    return core


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class PerformanceActor:
    """One live performance. Construct inside a running event loop; recovery starts at once."""

    def __init__(
        self, performance: int, journal: JournalPort, clock_ms: Callable[[], int] = now_ms
    ) -> None:
        self._performance = performance
        self._journal = journal
        self._clock_ms = clock_ms
        self._decode = msgspec.msgpack.Decoder(list[Command]).decode
        self._encode = msgspec.msgpack.Encoder().encode
        self._ready = asyncio.Event()
        self._wake = asyncio.Event()
        self._published = asyncio.Event()
        self._stopped = ""
        self._waiting: deque[Waiting] = deque()
        self._ended: deque[tuple[int, bytes]] = deque(maxlen=MAX_ENDED_HOLDS)
        self._last_used_ms = clock_ms()
        self._watchers = 0
        self._commits = 0
        self._recoveries = 0
        self._recovery_s = 0.0
        self._to_pack: Layout | None = None
        self._packing: asyncio.Task[None] | None = None
        self._saving: asyncio.Task[None] | None = None
        self._core: Performance
        self._feed: Feed
        self._epoch = 0
        self._decided_seq = 0  # events decided, in this reign's memory
        self._drained_seq = 0  # of which handed to the journal
        self._committed_seq = 0  # of which durable
        self._turn = 0  # appends begun
        self._snapshot_seq = 0
        self._tasks = [asyncio.create_task(self._write_loop()), asyncio.create_task(self._tick())]

    # Calls ---------------------------------------------------------------------

    async def submit(self, batch: bytes) -> bytes:
        """Decide and commit a batch: msgpack list[Command] -> msgpack list[Outcome].

        Raises ActorFault (send the same again) and msgspec.DecodeError (a bug in the caller).
        """
        await self._wait_ready()
        commands = self._decode(batch)
        if len(commands) > MAX_BATCH_COMMANDS:
            raise ValueError(f"{len(commands)} commands in a batch, {MAX_BATCH_COMMANDS} at most")
        self._last_used_ms = now = self._clock_ms()
        if self._decided_seq - self._committed_seq > MAX_UNCOMMITTED_COMMANDS:
            return self._encode([Refused(Refusal.BUSY)] * len(commands))
        self._expire_due(now)
        apply = self._core.apply
        outcomes: list[Outcome] = [apply(command, now) for command in commands]
        reply = self._encode(outcomes)
        self._decided_seq = self._drained_seq + len(self._core.events)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(self._turn + 1, reply, future))
        self._wake.set()
        return await future

    async def watch(self, epoch: int, seq: int) -> bytes:
        """Long-poll: msgpack [frame | nil, ended hold tokens] after the position (epoch, seq)."""
        await self._wait_ready()
        self._watchers += 1
        try:
            feed = self._feed
            if feed.epoch == epoch and feed.seq == seq:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._published.wait(), WATCH_S)
                await self._wait_ready()
        finally:
            self._watchers -= 1
        feed = self._feed
        same = feed.epoch == epoch
        if same and feed.seq == seq:
            return self._encode((None, ()))
        ended = [token for at, token in self._ended if not same or at > seq]
        return self._encode((feed.since(epoch, seq), ended))

    async def status(self) -> PerformanceStatus:
        """Liveness and figures for the directory and the metrics."""
        status = PerformanceStatus(
            performance=self._performance,
            epoch=self._epoch,
            seq=self._committed_seq,
            uncommitted=self._decided_seq - self._committed_seq,
            idle_ms=self._clock_ms() - self._last_used_ms,
            watchers=self._watchers,
            commits=self._commits,
            recoveries=self._recoveries,
            stopped=self._stopped,
            ready=self._ready.is_set() and not self._stopped,
            use=own_use(),
        )
        if not status.ready:
            return status
        return msgspec.structs.replace(
            status,
            seats=self._feed.counts(),
            area_left=self._feed.area_left,
            holds=len(self._core.holds),
            tickets=len(self._core.tickets),
            recovery_s=self._recovery_s,
        )

    async def passivate(self) -> bool:
        """Save a snapshot and stop, when nobody uses it; False when somebody does."""
        idle = self._ready.is_set() and self._decided_seq == self._committed_seq
        if self._stopped or not idle or self._watchers or self._waiting:
            return False
        # Stopping first closes the door: a command that arrives during the save is
        # refused as Stopped and finds the next activation.
        self._stop("passivated")
        seq, state = self._committed_seq, self._core.snapshot()
        await self._journal.save_snapshot(self._performance, self._epoch, seq, state)
        return True

    # Recovery --------------------------------------------------------------------

    async def _wait_ready(self) -> None:
        if self._stopped:
            raise Stopped(f"performance {self._performance}: {self._stopped}")
        if not self._ready.is_set():
            try:
                await asyncio.wait_for(self._ready.wait(), READY_S)
            except TimeoutError:
                raise NotReady(f"performance {self._performance} is recovering") from None
            if self._stopped:
                raise Stopped(f"performance {self._performance}: {self._stopped}")

    async def _recover(self) -> None:
        """Claim a new reign and rebuild from snapshot and tail, for as long as it takes.

        Not from a successor: a writer that comes back from a pause would take the performance
        away from it, and be refused by nothing.
        """
        attempt, since = 0, self._epoch
        begins_s = time.perf_counter()
        while not self._stopped:
            try:
                claimed = await self._journal.claim(self._performance, since)
                since = claimed.epoch
                with _collector_resting():
                    core = await self._rebuilt(claimed)
                break
            except Succeeded:
                self._stop(SUCCEEDED)
            except Exception as error:
                log.warning("performance %d: cannot recover yet: %r", self._performance, error)
                await asyncio.sleep(RETRY_S[min(attempt, len(RETRY_S) - 1)])
                attempt += 1
        else:
            return
        self._core, self._epoch = core, claimed.epoch
        self._decided_seq = self._drained_seq = self._committed_seq = claimed.head_seq
        self._snapshot_seq = claimed.snapshot_seq
        self._feed = Feed(self._performance, claimed.epoch, core.statuses(), core.areas_left())
        self._recoveries += 1
        self._recovery_s = time.perf_counter() - begins_s
        log.info(
            "performance %d: ready as epoch %d after %.3f s, %d events after its snapshot",
            *(self._performance, claimed.epoch, self._recovery_s),
            claimed.head_seq - claimed.snapshot_seq,
        )
        self._ready.set()
        # Watchers of the last reign see the new epoch and get a fresh snapshot.
        self._publish_to_watchers()

    async def _rebuilt(self, claimed: Claimed) -> Performance:
        """The state at the claim's head: its snapshot, then the tail, page by page.

        In a thread: who is asked whether it lives, and does not answer, is replaced, and
        the next one would take as long. Each page is read while what is before it is rebuilt.
        """
        head, seq = claimed.head_seq, claimed.snapshot_seq
        rebuilding = asyncio.create_task(asyncio.to_thread(self._restored, claimed))
        while seq < head:
            reading = asyncio.create_task(self._journal.tail_page(self._performance, seq, head))
            # Both, whichever fails: the next try shall not rebuild beside this one.
            await asyncio.wait((reading, rebuilding))
            page, core = reading.result(), rebuilding.result()
            rebuilding = asyncio.create_task(asyncio.to_thread(_replayed, core, page))
            seq = page[-1][0]
        core = await rebuilding
        if self._to_pack is not None:
            self._packing = asyncio.create_task(self._pack(claimed.plan_hash, self._to_pack))
            self._to_pack = None
        return core

    def _restored(self, claimed: Claimed) -> Performance:
        layout = unpack_layout(claimed.plan)
        if layout is None:
            self._to_pack = layout = lay_out(load_plan(claimed.plan))
        if claimed.snapshot is None:
            settings = msgspec.json.decode(claimed.settings, type=Settings)
            return Performance(self._performance, layout, settings)
        return Performance.restore(self._performance, layout, claimed.snapshot[1])

    async def _pack(self, plan_hash: str, layout: Layout) -> None:
        """The next activation of a performance on this plan need not read its file."""
        try:
            packed = await asyncio.to_thread(pack_layout, layout)
            await self._journal.keep_packed(plan_hash, packed)
        except Exception as error:
            log.warning("performance %d: plan not packed: %r", self._performance, error)

    def _stop(self, why: str) -> None:
        self._stopped = why
        self._ready.set()  # whoever waits is told at once
        self._publish_to_watchers()
        self._fail_waiting(Stopped(f"performance {self._performance}: {why}"))
        self._wake.set()

    def _fail_waiting(self, error: Exception) -> None:
        while self._waiting:
            future = self._waiting.popleft().future
            if not future.done():
                future.set_exception(error)

    # The commit pipeline ---------------------------------------------------------

    async def _write_loop(self) -> None:
        await self._recover()
        while not self._stopped:
            await self._wake.wait()
            self._wake.clear()
            while not self._stopped and (self._core.events or self._waiting):
                try:
                    await self._commit()
                except Exception as error:
                    # Never guess: what this reign decided may or may not be durable.
                    log.warning("performance %d: rebuilding: %r", self._performance, error)
                    self._ready.clear()
                    self._fail_waiting(OutcomeUnknown(f"performance {self._performance}"))
                    await self._recover()

    async def _commit(self) -> None:
        events, changes, areas = self._core.take()
        self._turn = turn = self._turn + 1
        prev_seq, seq = self._drained_seq, self._drained_seq + len(events)
        self._drained_seq = seq
        state = self._snapshot_due(seq)
        written = await self._journal.append(
            Append(
                self._performance,
                self._epoch,
                prev_seq,
                seq,
                events[-1].at_ms if events else 0,
                self._encode(events),
                project(prev_seq + 1, events),
            )
        )
        if written is Written.FENCED:
            self._stop(SUCCEEDED)
            return
        if written is Written.SECOND_WALL:
            raise SecondWallError(f"performance {self._performance}, seqs {prev_seq + 1} to {seq}")
        if written is Written.UNKNOWN:
            raise OutcomeUnknown(f"performance {self._performance}")
        self._committed_seq = seq
        self._commits += bool(events)
        self._feed.publish(changes, areas)
        for event in events:
            if isinstance(event.outcome, Expired):
                self._ended.extend((self._feed.seq, token) for token in event.outcome.tokens)
        if events:
            self._publish_to_watchers()
        waiting = self._waiting
        while waiting and waiting[0].turn <= turn:
            _, reply, future = waiting.popleft()
            if not future.done():
                future.set_result(reply)
        if state is not None:
            self._saving = asyncio.create_task(self._save(self._epoch, seq, state))

    def _snapshot_due(self, seq: int) -> bytes | None:
        """The state at `seq`: taken now, as the next decision changes it, saved once durable."""
        if seq - self._snapshot_seq < SNAPSHOT_EVERY_EVENTS:
            return None
        if self._saving is not None and not self._saving.done():
            return None
        self._snapshot_seq = seq
        return self._core.snapshot()

    async def _save(self, epoch: int, seq: int, state: bytes) -> None:
        """Beside the commits, which wait for nothing but the journal: some megabytes take a while.

        Without this snapshot a recovery replays from an older one.
        """
        try:
            await self._journal.save_snapshot(self._performance, epoch, seq, state)
        except Exception as error:
            log.warning("performance %d: no snapshot at %d: %r", self._performance, seq, error)

    def _publish_to_watchers(self) -> None:
        self._published.set()
        self._published = asyncio.Event()

    # Time ------------------------------------------------------------------------

    def _expire_due(self, now: int) -> None:
        if self._core.due(now):
            # Not to be guessed: a client that used this id first would stop every expiry.
            outcome = self._core.apply(Expire(secrets.token_bytes(ID_BYTES)), now)
            assert isinstance(outcome, Expired)
            self._decided_seq = self._drained_seq + len(self._core.events)

    async def _tick(self) -> None:
        while not self._stopped:
            await asyncio.sleep(EXPIRY_TICK_S)
            if self._ready.is_set() and not self._stopped:
                self._expire_due(self._clock_ms())
                if self._core.events:
                    self._wake.set()
