"""Closes the books when a day is over, at the process that writes them.

Owns the rhythm and nothing else: which days are over, and what a closing says, is the
ledger's, which also lets nobody append meanwhile. A closing that fails is tried again at the
next look; one that succeeded twice closes nothing the second time.
"""

import asyncio
import logging
from typing import Final, Protocol

log = logging.getLogger(__name__)

LOOK_S: Final = 20.0
"""Pause between two looks at the clock: a day is closed this long after it ends."""


class LedgerPort(Protocol):
    async def close_due(self) -> int:
        """Close every day that is over; how many periods were closed. Raises anything."""
        ...


class Closer:
    """Construct inside a running event loop."""

    def __init__(self, ledger: LedgerPort, look_s: float = LOOK_S) -> None:
        self._ledger = ledger
        self._look_s = look_s
        self._looking = asyncio.create_task(self._look_forever())

    async def close(self) -> None:
        self._looking.cancel()
        await asyncio.gather(self._looking, return_exceptions=True)

    async def _look_forever(self) -> None:
        while True:
            try:
                if closed := await self._ledger.close_due():
                    log.info("closed %d periods of the ledger", closed)
            except Exception as error:
                log.warning("the ledger's day is not closed yet: %r", error)
            await asyncio.sleep(self._look_s)
