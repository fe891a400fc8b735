"""A process that Ray starts, and that becomes the writer of a performance when it is told which.

Started before it is needed: the directory keeps one spare, and a cold performance does not wait
for an interpreter and its imports. Those are few here for the same reason.
"""

import gc
import logging
from typing import Final

import ray

from engine.actors.journal_handle import RayJournal, performance_lane
from engine.actors.lane import Address
from engine.actors.performance import PerformanceActor
from engine.masking import masked
from engine.status import PerformanceStatus

JOURNAL: Final = "journal"
"""The journal actor's name; every node of a cluster has one of its own."""


class Discreet(logging.Formatter):
    """Lines without secrets in them; what libraries log, and tracebacks, included."""

    def format(self, record: logging.LogRecord) -> str:
        return masked(super().format(record))


def log_to_stderr() -> None:
    """Ray keeps each process's stderr in a file of its own."""
    handler = logging.StreamHandler()
    handler.setFormatter(Discreet("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def settle() -> None:
    """Tell the collector that what is loaded by now stays: called when a process has started.

    Else every full collection walks through all modules: 50 to 120 ms in which a gateway serves
    nobody, every few seconds of an on-sale.
    """
    gc.collect()
    gc.freeze()


class PerformanceProcess:
    """See the module. Every method but `serve` and `ready` needs `serve` first."""

    writer: type[PerformanceActor] = PerformanceActor

    def __init__(self, name: str, journal: str) -> None:
        log_to_stderr()
        self._name = name
        # Now and not when it is told to serve: the first handle costs Ray imports of its own, the
        # better part of a second. A handle outlives the journal's restarts.
        self._journal = ray.get_actor(journal)
        self._actor: PerformanceActor
        settle()

    async def ready(self) -> None:
        """Returns: the process has started."""

    async def serve(self, performance: int) -> None:
        """Become its writer. Called once."""
        self._actor = self.writer(performance, RayJournal(self._journal, self._name))
        self._lane = performance_lane(ray.util.get_node_ip_address(), self._actor)

    async def lane(self) -> Address:
        return await self._lane.address()

    async def status(self) -> PerformanceStatus:
        return await self._actor.status()

    async def passivate(self) -> bool:
        return await self._actor.passivate()
