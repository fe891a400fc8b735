"""Group commit: many performances' batches in one transaction, the next fills meanwhile.

Delivery guarantees: `append` answers True only when its batch is committed,
False when another writer has claimed the performance, and raises when nobody
knows. A batch is written whole or not at all. The actor keeps no state of its
own: killed, it comes back empty, and the writers rebuild.

Owns the grouping. The SQL is the store's; knows no rule and no Ray.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from engine.actors import NotReady
from engine.journal import Append, Claimed

MAX_GROUP: Final = 64
"""Batches in one transaction."""
MAX_WAITING_BATCHES: Final = 4_096
"""One batch a performance is in flight: this bounds the hot performances of one journal."""


class JournalStore(Protocol):
    """Where batches are committed together: for each True, False (fenced) or its own error."""

    async def append(self, batches: Sequence[Append]) -> Sequence[bool | Exception]: ...
    async def claim(self, performance: int, serving: str) -> Claimed: ...
    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None: ...


class JournalActor:
    """See the module. Takes and gives msgpack so that one call is one `bytes` argument."""

    def __init__(self, store: JournalStore) -> None:
        self._store = store
        self._decode = msgspec.msgpack.Decoder(Append).decode
        self._waiting: list[tuple[Append, asyncio.Future[bool]]] = []
        self._flight: asyncio.Task[None] | None = None

    async def append(self, batch: bytes) -> bool:
        """Commit msgpack `Append`. Raises what the store raises: the result is unknown."""
        if len(self._waiting) >= MAX_WAITING_BATCHES:
            raise NotReady("the journal has too many batches waiting")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._decode(batch), future))
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())
        return await future

    async def claim(self, performance: int, serving: str) -> bytes:
        """Begin a new reign; msgpack `Claimed`."""
        return msgspec.msgpack.encode(await self._store.claim(performance, serving))

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None:
        await self._store.save_snapshot(performance, epoch, seq, state)

    async def _fly(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting[:MAX_GROUP], self._waiting[MAX_GROUP:]
                results: Sequence[bool | Exception]
                try:
                    results = await self._store.append([batch for batch, _ in group])
                except Exception as error:
                    results = [error] * len(group)
                for (_, future), result in zip(group, results, strict=True):
                    if future.done():
                        continue
                    if isinstance(result, Exception):
                        future.set_exception(result)
                    else:
                        future.set_result(result)
        finally:
            self._flight = None
