"""A journal in memory that keeps what the real one promises, and fails when told to."""

import asyncio

import msgspec

from engine.commands import Event
from engine.journal import Append, Claimed, Succeeded, Written
from engine.plan import Plan
from engine.plan_io import dump_plan
from engine.settings import Settings


class CommitLost(Exception):
    """The connection broke during the commit: written or not, nobody knows."""


class MemoryJournal:
    """One performance's journal. `lose` breaks the next append before or after it is written."""

    def __init__(self, plan: Plan, settings: Settings) -> None:
        self.plan = dump_plan(plan)
        self._settings = msgspec.json.encode(settings)
        self.epoch = 0
        self.head_seq = 0
        self.batches: list[tuple[int, bytes]] = []
        self.snapshots: list[tuple[int, bytes]] = []
        self.lose = ""  # "before" | "after"
        self.down = False
        self.gate = asyncio.Event()
        self.gate.set()
        self.keeping = asyncio.Event()  # snapshots, as `gate` appends
        self.keeping.set()
        self.appends = 0

    @property
    def events(self) -> list[Event]:
        decode = msgspec.msgpack.Decoder(list[Event]).decode
        return [event for _, blob in self.batches for event in decode(blob)]

    async def claim(self, performance: int, since: int) -> Claimed:
        if self.down:
            raise ConnectionError("the database is down")
        if since and self.epoch != since:
            raise Succeeded
        self.epoch += 1
        return Claimed(
            performance=performance,
            epoch=self.epoch,
            head_seq=self.head_seq,
            starts_ms=0,
            plan_hash="",
            plan=self.plan,
            settings=self._settings,
            snapshot=self.snapshots[-1] if self.snapshots else None,
        )

    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]:
        return [batch for batch in self.batches if after_seq < batch[0] <= until_seq][:2]

    async def append(self, batch: Append) -> Written:
        self.appends += 1
        await self.gate.wait()
        if self.down:
            raise ConnectionError("the database is down")
        if batch.only_asks:
            return Written.WRITTEN if batch.epoch == self.epoch else Written.FENCED
        lose, self.lose = self.lose, ""
        if lose == "before":
            raise CommitLost
        if (batch.epoch, batch.prev_seq) != (self.epoch, self.head_seq):
            return Written.FENCED
        self.batches.append((batch.seq, batch.events))
        self.head_seq = batch.seq
        if lose == "after":
            raise CommitLost
        return Written.WRITTEN

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None:
        await self.keeping.wait()
        if self.down:
            raise ConnectionError("the database is down")
        if epoch == self.epoch:
            self.snapshots.append((seq, state))

    async def keep_packed(self, plan_hash: str, packed: bytes) -> None:
        if self.down:
            raise ConnectionError("the database is down")
        self.plan = packed
