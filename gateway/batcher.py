"""Commands gathered into batches: one in flight per performance, the next one fills meanwhile.

Owns the queues: what waits for each performance, in the order it came, and the
sending again of a batch whose fate is unknown. What doors ask has a queue and batches of
its own: somebody with a ticket stands before a closed door, and no crowd of
buyers makes them wait. In the other queue who is in the middle of a purchase goes
before who has nothing yet, and each of the two has room of its own.

A performance actor that died is met by repeating the same commands with the same
ids until the directory has activated another; the engine answers a repeated id as
it did before. Knows neither sockets nor the meaning of a command: it carries bytes.
"""

import asyncio
from random import randrange
from time import monotonic
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from engine.commands import Refusal, Refused
from engine.limits import MAX_BATCH_BYTES, MAX_BATCH_COMMANDS, MAX_WAITING_COMMANDS
from gateway.backend import BackendUnavailable, Performances, PerformanceUnknown
from gateway.limits import (
    MAX_QUEUES,
    MAX_UNKNOWN_PERFORMANCES,
    RETRY_PAUSES_S,
    SHED_RETRY_MS,
    SUBMIT_TIMEOUT_S,
    UNKNOWN_PERFORMANCE_S,
)
from gateway.metrics import Metrics
from gateway.pace import Pace
from gateway.wire import outcome_name

log = structlog.get_logger("gateway.batcher")

_decode_outcomes = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.msgpack.Encoder().encode


DOOR_KINDS: Final = frozenset({"scan", "undo_scan", "kept_scan", "inside", "conflicts"})


class Receiver(Protocol):
    """Who asked. Called once for each command offered, from the event loop, never awaited."""

    def answer(self, id: bytes, kind: str, outcome: str, raw: msgspec.Raw | bytes) -> None:
        """`raw` is the encoded outcome, `outcome` its name (`wire.outcome_name`)."""

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None:
        """Not decided, as far as this gateway knows."""


class Waiting(NamedTuple):
    receiver: Receiver
    id: bytes
    kind: str
    command: bytes
    since_s: float


class Batcher:
    """The queues of one gateway."""

    def __init__(self, performances: Performances, metrics: Metrics, retry_for_s: float) -> None:
        self._performances = performances
        self._metrics = metrics
        self._retry_for_s = retry_for_s
        self._queues: dict[tuple[int, bool], _Queue] = {}  # (performance, at the doors)
        self._paces: dict[int, Pace] = {}
        self._unknown: dict[int, float] = {}
        self._stopping = False
        metrics.gauges["strapontin_commands_waiting"] = (
            "Commands waiting for a batch",
            lambda: sum(len(one.engaged) + len(one.waiting) for one in self._queues.values()),
        )

    def offer(
        self,
        performance: int,
        receiver: Receiver,
        id: bytes,
        kind: str,
        command: bytes,
        engaged: bool = False,
    ) -> None:
        """Take a command in; its receiver hears later, or at once when it is shed.

        `engaged` receivers have something to lose already, and are not made to wait behind
        newcomers. One that is not does not become so before everything of its is answered, or
        its commands could overtake each other.
        """
        at_the_doors = kind in DOOR_KINDS
        queue = self._queues.get((performance, at_the_doors))
        if queue is None:
            if self._is_unknown(performance):
                answer_unknown(receiver, id, kind, performance)
                return
            if len(self._queues) >= MAX_QUEUES:
                receiver.shed(id, "busy", SHED_RETRY_MS)
                return
            queue = _Queue(performance, at_the_doors)
            self._queues[queue.key] = queue
        if self._stopping:
            receiver.shed(id, "unavailable", SHED_RETRY_MS)
            return
        line = queue.engaged if engaged else queue.waiting
        if len(line) >= MAX_WAITING_COMMANDS:
            self._note_shed(performance, 1)
            # Not all at the same time again.
            receiver.shed(id, "busy", randrange(SHED_RETRY_MS, 2 * SHED_RETRY_MS))
        else:
            # Not the loop's clock: uvloop's ticks in whole milliseconds.
            line.append(Waiting(receiver, id, kind, command, monotonic()))
            if queue.task is None:
                queue.task = asyncio.create_task(self._run(queue), name=f"queue {performance}")

    def follow(self, performance: int, pace: Pace | None) -> None:
        """Tell `pace` of every command of this performance from now on; None: no longer."""
        if pace is None:
            self._paces.pop(performance, None)
        else:
            self._paces[performance] = pace

    async def stop(self, within_s: float) -> None:
        """Take nothing more in, and wait for what is under way."""
        self._stopping = True
        tasks = [queue.task for queue in self._queues.values() if queue.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=within_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _run(self, queue: "_Queue") -> None:
        try:
            while batch := queue.take():
                try:
                    await self._serve(queue, batch)
                except Exception as error:
                    log.exception("batch failed", performance=queue.performance, why=str(error))
                    self._shed(queue, batch)
                except asyncio.CancelledError:
                    self._shed(queue, batch + queue.take_all())
                    raise
        finally:
            queue.task = None
            self._queues.pop(queue.key, None)

    async def _serve(self, queue: "_Queue", batch: list[Waiting]) -> None:
        self._metrics.batch.add(len(batch))
        try:
            reply = await self._submit(queue.performance, encode_batch(batch))
        except PerformanceUnknown:
            self._note_unknown(queue.performance)
            for receiver, id, kind, _, _ in (*batch, *queue.take_all()):
                answer_unknown(receiver, id, kind, queue.performance)
            return
        except BackendUnavailable as error:
            log.warning("performance unavailable", performance=queue.performance, why=str(error))
            # What waits behind would wait as long again for the same silence.
            self._shed(queue, batch + queue.take_all())
            return
        outcomes = _decode_outcomes(reply)
        assert len(outcomes) == len(batch), f"{len(outcomes)} outcomes for {len(batch)} commands"
        self._answer(queue.performance, batch, outcomes)

    def _answer(self, performance: int, batch: list[Waiting], outcomes: list[msgspec.Raw]) -> None:
        now_s = monotonic()
        pace = self._paces.get(performance)
        if pace is not None:
            for entry in batch:
                pace.answered(now_s - entry.since_s)
        tally = self._metrics.commands
        latency = self._metrics.latency
        for (receiver, id, kind, _, since_s), raw in zip(batch, outcomes, strict=True):
            outcome = outcome_name(raw)
            tally[kind, outcome] += 1
            latency[kind].add(now_s - since_s)
            receiver.answer(id, kind, outcome, raw)

    async def _submit(self, performance: int, batch: bytes) -> bytes:
        """The reply to a batch, asked again for `retry_for_s` after its first failure."""
        give_up_s = 0.0
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(SUBMIT_TIMEOUT_S):
                    return await self._performances.submit(performance, batch)
            except (BackendUnavailable, TimeoutError) as error:
                # Counted from the first failure, not from the first try: a call that hung
                # and then failed still gets its second chance.
                give_up_s = give_up_s or monotonic() + self._retry_for_s
                pause_s = RETRY_PAUSES_S[min(attempt, len(RETRY_PAUSES_S) - 1)]
                if self._stopping or monotonic() + pause_s > give_up_s:
                    raise BackendUnavailable(f"given up after {attempt + 1} attempts") from error
            attempt += 1
            self._metrics.batch_retries += 1
            await asyncio.sleep(pause_s)

    def _shed(self, queue: "_Queue", batch: list[Waiting]) -> None:
        self._note_shed(queue.performance, len(batch))
        for receiver, id, _, _, _ in batch:
            receiver.shed(id, "unavailable", SHED_RETRY_MS)

    def _note_shed(self, performance: int, commands: int) -> None:
        pace = self._paces.get(performance)
        if pace is not None:
            pace.not_served(commands)

    def _is_unknown(self, performance: int) -> bool:
        until_s = self._unknown.get(performance)
        if until_s is None:
            return False
        if monotonic() < until_s:
            return True
        del self._unknown[performance]
        return False

    def _note_unknown(self, performance: int) -> None:
        if len(self._unknown) >= MAX_UNKNOWN_PERFORMANCES:
            self._unknown.clear()
        self._unknown[performance] = monotonic() + UNKNOWN_PERFORMANCE_S


class _Queue:
    """What waits for one performance, at the doors or else: two lines, each in its order."""

    __slots__ = ("engaged", "key", "performance", "task", "waiting")

    def __init__(self, performance: int, at_the_doors: bool) -> None:
        self.key = performance, at_the_doors
        self.performance = performance
        self.engaged: list[Waiting] = []
        self.waiting: list[Waiting] = []
        self.task: asyncio.Task[None] | None = None

    def take(self) -> list[Waiting]:
        """What fits into one batch, one command at least; nothing when nothing waits."""
        size = _ARRAY_HEAD_BYTES
        taken: list[Waiting] = []
        for line in (self.engaged, self.waiting):
            count = 0
            for entry in line[: MAX_BATCH_COMMANDS - len(taken)]:
                size += len(entry.command)
                if size > MAX_BATCH_BYTES and (taken or count):
                    break
                count += 1
            taken += line[:count]
            del line[:count]
        return taken

    def take_all(self) -> list[Waiting]:
        everything = self.engaged + self.waiting
        self.engaged.clear()
        self.waiting.clear()
        return everything


_ARRAY_HEAD_BYTES: Final = 3


def encode_batch(batch: list[Waiting]) -> bytes:
    """msgpack list of the already encoded commands."""
    head = b"\xdc" + len(batch).to_bytes(2, "big")
    return head + b"".join([entry.command for entry in batch])


def answer_unknown(receiver: Receiver, id: bytes, kind: str, performance: int) -> None:
    refused = Refused(Refusal.MALFORMED, (), f"there is no performance {performance}")
    receiver.answer(id, kind, Refusal.MALFORMED.value, _encode(refused))


assert MAX_BATCH_COMMANDS < 2**16, "a batch is encoded with a 16-bit length"
