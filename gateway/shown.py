"""Which performances outsiders may ask anything about: those that the house does not hide.

Owns the knowledge, a few seconds old at most where the database answers, and the order of what
waits for it. A command for a performance that is hidden goes no further, so that a guessed number
starts no process and is told nothing that one of no performance is not. Knows no command.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from time import monotonic

import structlog
from msgspec import Struct

from gateway.limits import MAX_CACHED_PERFORMANCES, PUBLIC_CHECK_S
from gateway.replica import IsPublic

log = structlog.get_logger("gateway.shown")

Then = Callable[[bool | None], None]
"""Is told whether it is public; None when nobody could say."""


class _Known(Struct):
    asked_s: float
    public: bool | None = None  # None: not known yet
    asking: asyncio.Task[None] | None = None
    waiting: list[Then] = []


class Shown:
    """For one gateway; remembers MAX_CACHED_PERFORMANCES."""

    def __init__(self, is_public: IsPublic) -> None:
        self._is_public = is_public
        self._known: OrderedDict[int, _Known] = OrderedDict()

    def ask(self, performance: int, then: Then) -> None:
        """Call `then`, now where it is known. What is asked of one performance keeps its order."""
        now_s = monotonic()
        known = self._known.get(performance)
        if known is None:
            known = self._known[performance] = _Known(now_s)
            if len(self._known) > MAX_CACHED_PERFORMANCES:
                self._forget_one()
        if known.asking is None and (
            known.public is None or now_s - known.asked_s >= PUBLIC_CHECK_S
        ):
            known.asked_s = now_s
            known.asking = asyncio.create_task(
                self._look(performance, known), name=f"is {performance} public"
            )
        if known.public is None:
            known.waiting.append(then)
        else:
            then(known.public)

    async def stop(self) -> None:
        tasks = [known.asking for known in self._known.values() if known.asking is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _look(self, performance: int, known: _Known) -> None:
        try:
            known.public = await self._is_public(performance)
        except Exception as error:
            # What was known stays.
            log.warning("not known to be public", performance=performance, why=repr(error))
        finally:
            known.asking = None
            waiting, known.waiting = known.waiting, []
            for then in waiting:
                then(known.public)

    def _forget_one(self) -> None:
        """The first that nobody waits for."""
        for performance, known in self._known.items():
            if known.asking is None:
                del self._known[performance]
                return
