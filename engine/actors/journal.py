"""Group commit: many performances' batches in one transaction, the next fills meanwhile.

Delivery guarantees: `append` answers WRITTEN only when its batch is committed,
FENCED when another writer has claimed the performance, and raises when nobody
knows. A batch is written whole or not at all. The actor keeps no state of its
own: killed, it comes back empty, and the writers rebuild.

Owns the grouping. The SQL is the store's; knows no rule and no Ray.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from engine.actors import NotReady
from engine.actors.use import own_use
from engine.journal import Append, Claimed, Succeeded, Written
from engine.status import COMMIT_EDGES_S, Buckets, JournalStatus

log = logging.getLogger(__name__)

MAX_GROUP: Final = 64
"""Batches in one transaction."""
MAX_WAITING_BATCHES: Final = 4_096
"""One batch a performance is in flight: this bounds the hot performances of one journal."""


class JournalStore(Protocol):
    """Where batches are committed together (`persistence.journal`). Raises: result unknown."""

    async def append(self, batches: Sequence[Append]) -> Sequence[Written]: ...
    async def claim(self, performance: int, serving: str, since: int) -> Claimed: ...
    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]: ...
    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> bool: ...
    async def keep_packed(self, plan_hash: str, packed: bytes) -> None: ...


class JournalActor:
    """See the module. Takes and gives msgpack: one call is one frame."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._decode = msgspec.msgpack.Decoder(Append).decode
        self._waiting: list[tuple[Append, asyncio.Future[Written]]] = []
        self._flight: asyncio.Task[None] | None = None
        self._commit_s = Buckets(COMMIT_EDGES_S)
        self._batches = 0
        self._failed = 0
        self._fenced = 0

    async def append(self, batch: bytes) -> Written:
        """Commit msgpack `Append`. Raises what the store raises: the result is unknown."""
        if len(self._waiting) >= MAX_WAITING_BATCHES:
            raise NotReady("the journal has too many batches waiting")
        future: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._decode(batch), future))
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())
        return await future

    async def claim(self, performance: int, serving: str, since: int) -> bytes:
        """Begin a new reign; msgpack `Claimed`, or nil when another has begun one `since`."""
        try:
            claimed = await self._store.claim(performance, serving, since)
        except Succeeded:
            self._fenced += 1
            log.warning(
                "performance %d: %s is back, and another writes it by now", performance, serving
            )
            return msgspec.msgpack.encode(None)
        return msgspec.msgpack.encode(claimed)

    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]:
        return await self._store.tail_page(performance, after_seq, until_seq)

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None:
        await self._store.save_snapshot(performance, epoch, seq, state)

    async def keep_packed(self, plan_hash: str, packed: bytes) -> None:
        await self._store.keep_packed(plan_hash, packed)

    async def status(self) -> JournalStatus:
        """Figures for the metrics."""
        return JournalStatus(
            self._commit_s,
            self._batches,
            self._failed,
            self._fenced,
            len(self._waiting),
            own_use(),
        )

    async def _fly(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                begins_s = time.perf_counter()
                try:
                    results = await self._store.append([batch for batch, _ in group])
                except Exception as error:
                    self._failed += 1
                    for _, future in group:
                        if not future.done():
                            future.set_exception(error)
                    continue
                finally:
                    if not all(batch.only_asks for batch, _ in group):
                        self._commit_s.add(time.perf_counter() - begins_s)
                for (batch, future), result in zip(group, results, strict=True):
                    if result is Written.FENCED:
                        self._refuse(batch)
                    elif result and not batch.only_asks:
                        self._batches += 1
                    if not future.done():
                        future.set_result(result)
        finally:
            self._flight = None

    def _refuse(self, batch: Append) -> None:
        """Note a stale writer: it was paused or cut off, and another has its performance now."""
        self._fenced += 1
        log.warning(
            "performance %d: refused seqs after %d up to %d of epoch %d: another has claimed it",
            batch.performance,
            batch.prev_seq,
            batch.seq,
            batch.epoch,
        )
