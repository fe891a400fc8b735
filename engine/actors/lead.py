"""One node's part in the question who leads: it beats, and tells whoever waits for a change.

Delivery guarantees: `leads` may be true on two nodes for as long as a lease lasts, and longer
where a process was paused; nothing depends on it being one (`engine.lead`). While the database
is away nobody is succeeded, and the last answer stands.

Owns the beat and the waiting. Knows no SQL and no Ray.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from engine.lead import BEAT_S, LEASE_MS, Led

log = logging.getLogger(__name__)

TOLD_S: Final = 5.0
"""A long-poll with nothing to say answers after this long."""
NOBODY: Final = Led("", 0, ())


class Lead:
    """Construct inside a running event loop; the first beat is at once.

    `lost` is called when another node has taken the lead from this one: whoever acted as the
    leader must begin anew, as others have acted since.
    """

    def __init__(
        self, node: str, beat: Callable[[str], Awaitable[Led]], lost: Callable[[], None]
    ) -> None:
        self.node = node
        self.led = NOBODY
        self._beat = beat
        self._lost = lost
        self._changed = asyncio.Event()
        self._beating = asyncio.create_task(self._beat_forever())

    @property
    def leads(self) -> bool:
        return self.led.node == self.node

    async def other_than(self, node: str, term: int) -> Led:
        """Who leads, once that is not `node` in its `term` any more; at the latest after TOLD_S."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TOLD_S):
                while (self.led.node, self.led.term) == (node, term):
                    await self._changed.wait()
        return self.led

    def close(self) -> None:
        self._beating.cancel()

    async def _beat_forever(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LEASE_MS / 1_000):
                    self._take(await self._beat(self.node))
            except Exception as error:
                log.warning("no beat: %r", error)
            await asyncio.sleep(BEAT_S)

    def _take(self, led: Led) -> None:
        before, self.led = self.led, led
        if (before.node, before.term) == (led.node, led.term):
            return
        log.info("node %s leads, term %d", led.node, led.term)
        self._changed.set()
        self._changed = asyncio.Event()
        if before.node == self.node:
            self._lost()
