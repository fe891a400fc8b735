"""The directory's processes: a spare one is ready, and a bad one is not waited for."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.actors import NotReady, lead
from engine.actors import directory as directory_module
from engine.actors.directory import Directory, node_of
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
    directory: Directory, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "PING_S", 0.05)
    await settle()
    processes.start_s = 60.0  # whatever starts from now on is not there for long
    async with asyncio.timeout(1):
        _, actor = await directory.locate(7)
    assert actor is processes.made[0] and actor.performance == 7
    await settle()
    assert len(processes.made) == 1, "the house is being rebuilt: nothing starts beside that"
    await asyncio.sleep(0.1)
    assert [process.performance for process in processes.made] == [7, 0], "and there is another"


async def test_performances_at_once_each_get_a_process(
    directory: Directory, processes: Processes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "PING_S", 0.05)
    found = await asyncio.gather(*map(directory.locate, range(1, 6)))
    await asyncio.sleep(0.1)
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


# In a cluster --------------------------------------------------------------------


class Nodes:
    """The register of a cluster: who leads, who is there, and who served last."""

    def __init__(self) -> None:
        self.led = Led("a", 1, ("a", "b"))
        self.serves: dict[int, str] = {}

    async def serving(self, performance: int) -> str | None:
        return self.serves.get(performance, "")

    async def beat(self, node: str) -> Led:
        return self.led


class Neighbourly(Processes):
    """A spawner of node "a", whose neighbour lends."""

    def __init__(self) -> None:
        super().__init__()
        self.living: dict[str, Process] = {}

    async def borrow(self, node: str) -> tuple[str, Process]:
        name = f"writer-{len(self.made)}@{node}"
        return name, self.spawn(name)

    def find(self, name: str) -> Process | None:
        return self.living.get(name)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> Nodes:
    monkeypatch.setattr(lead, "BEAT_S", 0.01)
    return Nodes()


@pytest.fixture
def neighbourly() -> Neighbourly:
    return Neighbourly()


@pytest.fixture
async def clustered(neighbourly: Neighbourly, nodes: Nodes) -> AsyncIterator[Directory]:
    made = Directory(neighbourly, nodes, "a")
    await settle()
    yield made
    await made.close()


async def until_heard(directory: Directory, nodes: Nodes) -> None:
    """Until the directory has heard of `nodes.led`."""
    for _ in range(100):
        if await directory.leader("", 0) == nodes.led:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("never heard")


async def test_the_performances_are_spread_over_the_nodes(clustered: Directory) -> None:
    found = [await clustered.locate(performance) for performance in range(1, 5)]
    assert sorted(node_of(name) for name, _ in found) == ["a", "a", "b", "b"]
    assert node_of(found[0][0]) == "a", "the first stays at home"


async def test_who_does_not_lead_sends_its_callers_away(clustered: Directory, nodes: Nodes) -> None:
    _, actor = await clustered.locate(1)
    nodes.led = Led("b", 2, ("a", "b"))
    await until_heard(clustered, nodes)
    with pytest.raises(NotReady):
        await clustered.locate(1)
    assert not actor.killed, "whoever leads now may go on with it"


async def test_a_leader_goes_on_with_the_writers_that_live(
    clustered: Directory, neighbourly: Neighbourly, nodes: Nodes
) -> None:
    there = neighbourly.living["writer-old@b"] = neighbourly.spawn("writer-old@b")
    nodes.serves[1] = "writer-old@b"
    assert await clustered.locate(1) == ("writer-old@b", there)


async def test_the_writers_of_a_lost_node_are_replaced_without_waiting_for_them(
    clustered: Directory, neighbourly: Neighbourly, nodes: Nodes
) -> None:
    await clustered.locate(1)
    name, silent = await clustered.locate(2)
    assert node_of(name) == "b"
    silent.silent = True
    nodes.led = Led("a", 1, ("a",))
    await until_heard(clustered, nodes)
    async with asyncio.timeout(directory_module.PING_S / 2):
        name, actor = await clustered.locate(2, name)
    assert node_of(name) == "a" and actor.performance == 2


async def test_a_neighbour_that_lends_nothing_is_done_without(
    clustered: Directory, neighbourly: Neighbourly, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(node: str) -> tuple[str, Process]:
        raise ConnectionError(node)

    monkeypatch.setattr(neighbourly, "borrow", nothing)
    found = [await clustered.locate(performance) for performance in (1, 2)]
    assert [node_of(name) for name, _ in found] == ["a", "a"]


async def test_what_was_lent_and_serves_no_more_is_ended(
    clustered: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_module, "PING_S", 0.05)
    _, fenced = await clustered.lend()
    await asyncio.sleep(0.06)  # its successor starts a little later
    _, serving = await clustered.lend()
    fenced.silent = True
    monkeypatch.setattr(directory_module, "FIRST_PING_S", 0.0)
    await clustered._end_stopped()
    assert fenced.killed and not serving.killed
