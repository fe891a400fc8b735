"""The actors of the soak: the product's, on a network that fails, with zombies that are let live.

Each change is small and said here:

- An actor's lane is reached through a forward of the soak, so that it can be cut.
- A writer that is paused when the directory replaces it is not ended by Ray: it is on a
  machine that nobody reaches, and will wake up. Fencing alone has to hold it.
- A writer says which process it is, so that the right one is hit.
- Positive controls: one rule of the product may be switched off.
"""

import asyncio
import os
from typing import Any

import psutil

from engine.actors import wiring
from engine.actors.handles import RaySpawner
from engine.actors.lane import Address
from engine.actors.process import PerformanceProcess
from tests.integration.careless_writer import CarelessWriter
from tests.soak.server import CONTROL


async def _tell(words: str) -> str:
    """One line to the soak, one line back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(os.environ[CONTROL]))
    writer.write(words.encode() + b"\n")
    answer = await reader.readline()
    writer.close()
    return answer.decode()


async def _through(kind: str, address: Address) -> Address:
    return Address("127.0.0.1", int(await _tell(f"forward {kind} {address.port}")), address.key)


class SoakPerformance(PerformanceProcess):
    async def serve(self, performance: int) -> None:
        await _tell(f"serves {performance} {os.getpid()}")
        await super().serve(performance)

    async def lane(self) -> Address:
        return await _through("performance", await super().lane())

    async def pid(self) -> int:
        return os.getpid()


class CarelessPerformance(SoakPerformance):
    writer = CarelessWriter


class SoakJournal(wiring.JournalProcess):
    async def lane(self) -> Address:
        return await _through("journal", await super().lane())


class UnfencedJournal(SoakJournal):
    def __init__(self, url: str) -> None:
        take_fencing_off()
        super().__init__(url)


def take_fencing_off() -> None:
    """In this process the journal takes what anybody writes, wherever it says it belongs."""
    from persistence import journal

    check = "AND w.epoch = b.epoch AND w.head_seq = b.prev_seq"
    for statement in ("_ADVANCE", "_ADVANCE_WITH_ROWS"):
        sql = getattr(journal, statement)
        assert check in sql
        setattr(journal, statement, sql.replace(check, ""))
    check = "AND ($3 = 0 OR epoch = $3 OR serving = $2)"
    assert check in journal._CLAIM
    # The parameter stays: it is bound all the same.
    journal._CLAIM = journal._CLAIM.replace(check, "AND $3 >= 0")


class ZombieSpawner(RaySpawner):
    """Ends no process that is paused, and keeps its handle, without which Ray would end it."""

    def __init__(self, make: Any) -> None:
        super().__init__(make)
        self._pids: dict[Any, int] = {}

    async def ready(self, actor: Any) -> None:
        await super().ready(actor)
        self._pids[actor] = await actor.pid.remote()

    def kill(self, actor: Any) -> None:
        pid = self._pids.get(actor, 0)
        try:
            paused = pid and psutil.Process(pid).status() == psutil.STATUS_STOPPED
        except psutil.NoSuchProcess:
            paused = False
        if not paused:
            super().kill(actor)


class SoakDirectory(wiring.DirectoryProcess):
    performance_process = SoakPerformance

    def __init__(self, node: str) -> None:
        super().__init__(node)
        self._spawner = ZombieSpawner(self._spawner._make)


class CarelessDirectory(SoakDirectory):
    performance_process = CarelessPerformance


def put_in_place(without: str) -> None:
    """Called between the start of Ray and that of the actors; `without` is a rule, or ""."""
    wiring.JournalProcess = UnfencedJournal if without == "fencing" else SoakJournal
    directory = CarelessDirectory if without == "commit" else SoakDirectory
    wiring.Installation.directory_process = directory
