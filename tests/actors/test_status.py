"""What the actors say of themselves, and that nobody waits long for one that says nothing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
import psutil
import pytest

from engine.actors import directory as directory_module
from engine.actors import handles
from engine.actors.directory import Directory
from engine.actors.handles import RayPerformances, RayStatus
from engine.actors.journal import JournalActor
from engine.actors.parts import OnePart
from engine.actors.use import own_use
from engine.journal import Append, Claimed, Succeeded, Written
from engine.status import COMMIT_EDGES_S, Buckets, JournalStatus, PerformanceStatus, Use

USE = Use(1, 1.0)


def test_a_process_knows_what_it_costs() -> None:
    before = own_use()
    kept = bytearray(b"x" * 40_000_000)
    after = own_use()
    assert after.resident_bytes - before.resident_bytes > 30_000_000
    assert after.resident_bytes == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
    assert after.cpu_s >= before.cpu_s > 0
    del kept


# The journal ---------------------------------------------------------------------------


class Store:
    """Commits in a moment, or as it is told."""

    def __init__(self) -> None:
        self.next: Written | Exception = Written.WRITTEN
        self.gate = asyncio.Event()
        self.gate.set()

    async def append(self, batches: Sequence[Append]) -> Sequence[Written]:
        await self.gate.wait()
        await asyncio.sleep(0.003)
        if isinstance(self.next, Exception):
            raise self.next
        return [self.next] * len(batches)


def batch(performance: int) -> bytes:
    return msgspec.msgpack.encode(Append(performance, 1, 0, 1, 0, b""))


async def test_the_journal_counts_commits_batches_and_failures() -> None:
    store = Store()
    journal = JournalActor(store)  # type: ignore[arg-type]
    await asyncio.gather(*(journal.append(batch(number)) for number in range(5)))
    status = await journal.status()
    commits = sum(status.commit_s.counts)
    assert (status.batches, status.failed, status.waiting) == (5, 0, 0)
    assert 1 <= commits <= 2
    assert status.commit_s.total >= 0.003 * commits
    store.next = Written.FENCED
    await journal.append(batch(1))
    store.next = ConnectionError("lost")
    with pytest.raises(ConnectionError):
        await journal.append(batch(1))
    status = await journal.status()
    assert (status.batches, status.failed, sum(status.commit_s.counts)) == (5, 1, commits + 2)


async def test_the_journal_counts_and_logs_the_writers_that_it_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    store = Store()
    journal = JournalActor(store)  # type: ignore[arg-type]
    await journal.append(batch(1))
    assert (await journal.status()).fenced == 0
    store.next = Written.FENCED
    await asyncio.gather(journal.append(batch(7)), journal.append(batch(8)))
    status = await journal.status()
    assert (status.fenced, status.batches, status.failed) == (2, 1, 0)
    assert [text.split(":")[0] for text in caplog.messages] == ["performance 7", "performance 8"]


async def test_a_writer_that_comes_back_to_its_successors_reign_is_counted_and_logged_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Taken(Store):
        async def claim(self, performance: int, serving: str, since: int) -> Claimed:
            raise Succeeded

    journal = JournalActor(Taken())  # type: ignore[arg-type]
    assert msgspec.msgpack.decode(await journal.claim(7, "old", 3)) is None
    assert (await journal.status()).fenced == 1
    assert [text.split(" is")[0] for text in caplog.messages] == ["performance 7: old"]


async def test_the_journal_tells_what_stands_behind_a_commit() -> None:
    store = Store()
    store.gate.clear()
    journal = JournalActor(store)  # type: ignore[arg-type]
    first = asyncio.create_task(journal.append(batch(1)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    behind = [asyncio.create_task(journal.append(batch(number))) for number in (2, 3)]
    await asyncio.sleep(0)
    assert (await journal.status()).waiting == 2
    store.gate.set()
    await asyncio.gather(first, *behind)
    assert (await journal.status()).waiting == 0


# The directory -------------------------------------------------------------------------


class Spawner:
    """Actors are lists of the one performance that they serve; those in `silent` do not answer."""

    def __init__(self) -> None:
        self.silent: set[int] = set()

    def spawn(self, name: str) -> list[int]:
        return []

    async def ready(self, actor: list[int]) -> None:
        pass

    async def serve(self, actor: list[int], performance: int) -> None:
        actor.append(performance)

    def find(self, name: str) -> None:
        return None

    def kill(self, actor: list[int]) -> None:
        pass

    async def status(self, actor: list[int]) -> PerformanceStatus:
        if self.silent.intersection(actor):
            await asyncio.Event().wait()
        return PerformanceStatus(actor[0], 1, 0, 0, 0, 0, 0, 1, "", True, USE)

    async def passivate(self, actor: list[int]) -> bool:
        return True


class Register:
    async def serving(self, performance: int) -> str:
        return ""


@pytest.fixture
async def directory(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Directory, Spawner]]:
    monkeypatch.setattr(directory_module, "PING_S", 0.05)
    spawner = Spawner()
    made = Directory(spawner, Register())
    yield made, spawner
    await made.close()


async def test_the_directory_leaves_out_who_is_silent(
    directory: tuple[Directory, Spawner],
) -> None:
    asked, spawner = directory
    for number in (1, 2, 3):
        await asked.locate(number)
    spawner.silent.add(2)
    async with asyncio.timeout(1):
        status = await asked.status()
    assert status.active == 3
    assert [one.performance for one in status.performances] == [1, 3]


# All of them, from a gateway ---------------------------------------------------------------


class Handle:
    """An actor's handle whose `status` answers `says`, raises it, or never ends (None)."""

    def __init__(self, says: Any) -> None:
        self._says = says
        self.status = self

    def remote(self) -> Any:
        return self._answer()

    async def _answer(self) -> Any:
        if self._says is None:
            await asyncio.Event().wait()
        if isinstance(self._says, Exception):
            raise self._says
        return self._says


async def test_the_parts_that_do_not_answer_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "STATUS_CALL_S", 0.05)
    journal = JournalStatus(Buckets(COMMIT_EDGES_S), 7, 0, 0, 0, USE)
    says: dict[str, Any] = {
        "directory": None,
        "journal": journal,
        "desk": USE,
        "rooms": RuntimeError("a bug"),
    }
    parts = {name: OnePart(Handle(one)) for name, one in says.items()}
    asked = RayStatus(RayPerformances(parts["directory"]), parts)
    async with asyncio.timeout(1):
        status = await asked.status()
    assert status.up == {"directory": False, "journal": True, "desk": True, "rooms": False}
    assert set(status.uses) == {"gateway", "journal", "desk"}
    assert status.directory is None and status.journal is journal
    assert (status.lanes, status.lane_calls) == (0, 0)
