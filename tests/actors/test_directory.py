"""The directory's processes: a spare one is ready, and a bad one is not waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.actors import directory as directory_module
from engine.actors.directory import Directory
from engine.lead import Led
from engine.status import PerformanceStatus, Use


class Process:
    """An actor as a spawner sees it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.performance = 0
        self.silent = False
        self.killed = False

    async def answer(self) -> None:
        if self.killed:
            raise ConnectionError(self.name)
        if self.silent:
            await asyncio.Event().wait()


class Processes:
    """A spawner; `start_s` is how long a new process takes."""

    def __init__(self) -> None:
        self.made: list[Process] = []
        self.start_s = 0.0

    def spawn(self, name: str) -> Process:
        self.made.append(Process(name))
        return self.made[-1]

    async def ready(self, actor: Process) -> None:
        await asyncio.sleep(self.start_s)
        await actor.answer()

    async def serve(self, actor: Process, performance: int) -> None:
        await actor.answer()
        actor.performance = performance

    def find(self, name: str) -> Process | None:
        return None

    def kill(self, actor: Process) -> None:
        actor.killed = True

    async def status(self, actor: Process) -> PerformanceStatus:
        await actor.answer()
        return PerformanceStatus(actor.performance, 1, 0, 0, 0, 0, 0, 0, "", True, Use(0, 0.0))

    async def passivate(self, actor: Process) -> bool:
        return False

    async def borrow(self, node: str) -> tuple[str, Process]:
        raise ConnectionError(node)


class Known:
    async def serving(self, performance: int) -> str | None:
        return ""

    async def beat(self, node: str) -> Led:
        raise AssertionError("a machine of its own does not beat")


@pytest.fixture
def processes() -> Processes:
    return Processes()


@pytest.fixture
async def directory(processes: Processes) -> AsyncIterator[Directory]:
    made = Directory(processes, Known())
    yield made
    await made.close()


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_cold_performance_gets_the_process_that_has_started_already(
    directory: Directory, processes: Processes
) -> None:
    await settle()
    processes.start_s = 60.0  # whatever starts from now on is not there for long
    async with asyncio.timeout(1):
        _, actor = await directory.locate(7)
    assert actor is processes.made[0] and actor.performance == 7
    await settle()
    assert [process.performance for process in processes.made] == [7, 0], "and there is another"


async def test_performances_at_once_each_get_a_process(
    directory: Directory, processes: Processes
) -> None:
    found = await asyncio.gather(*map(directory.locate, range(1, 6)))
    await settle()
    assert [actor.performance for _, actor in found] == [1, 2, 3, 4, 5]
    assert len({id(actor) for _, actor in found}) == 5
    assert sum(not process.performance for process in processes.made) == 1, "one spare"


@pytest.mark.parametrize("fault", ["killed", "silent"])
async def test_a_spare_that_has_died_meanwhile_is_replaced(
    directory: Directory,
    processes: Processes,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(directory_module, "PING_S", 0.05)
    await settle()
    setattr(processes.made[0], fault, True)
    _, actor = await directory.locate(7)
    assert actor is processes.made[1] and actor.performance == 7
    assert processes.made[0].killed


async def test_a_process_that_does_not_start_is_ended_and_the_caller_told(
    directory: Directory, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "FIRST_PING_S", 0.05)
    await settle()
    processes.made[0].killed = True
    processes.start_s = 60.0
    with pytest.raises(TimeoutError):
        await directory.locate(7)
    assert processes.made[1].killed
    processes.start_s = 0.0
    _, actor = await directory.locate(7)
    assert actor.performance == 7
