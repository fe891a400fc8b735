"""A writer with its commit rule switched off: replies leave before the commit.

For positive controls. The commit is also slow, as a busy disk makes it, so that the
gap between word and deed is wide enough to fall into.
"""

import asyncio

import msgspec

from engine.actors.performance import PerformanceActor
from engine.commands import Outcome

COMMIT_DELAY_S = 3.0


class CarelessWriter(PerformanceActor):
    async def submit(self, batch: bytes) -> bytes:
        await self._wait_ready()
        now = self._clock_ms()
        outcomes: list[Outcome] = [
            self._core.apply(command, now) for command in self._decode(batch)
        ]
        self._decided_seq = self._drained_seq + len(self._core.events)
        self._wake.set()
        return msgspec.msgpack.encode(outcomes)

    async def _commit(self) -> None:
        await asyncio.sleep(COMMIT_DELAY_S)
        await super()._commit()
