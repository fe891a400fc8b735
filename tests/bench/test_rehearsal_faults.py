"""Faults are carried out when they are due, on the processes that are named, and noted."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from bench.rehearsal.faults import ACTORS, carry_out, found
from bench.rehearsal.history import Book
from bench.rehearsal.installation import Installation
from bench.rehearsal.scenario import Fault, Victim
from engine.actors import wiring


class Processes(Installation):
    """An installation whose journal is one sleeping process, and that has no desk."""

    def __init__(self, journal: subprocess.Popen[bytes]) -> None:
        self._journal = psutil.Process(journal.pid)

    def processes(self, title: str) -> list[psutil.Process]:
        return [self._journal] if title == ACTORS[Victim.JOURNAL] else []

    def database(self) -> list[psutil.Process]:
        return []


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    yield process
    process.kill()
    process.wait()


async def test_a_process_is_killed_in_its_turn_and_one_that_is_missing_is_noted(
    sleeper: subprocess.Popen[bytes],
) -> None:
    book = Book()
    faults = (Fault(0.2, Victim.DESK), Fault(0.05, Victim.JOURNAL), Fault(0.1, Victim.DATABASE))
    await carry_out(faults, 1.0, Processes(sleeper), book)
    assert await asyncio.to_thread(sleeper.wait, 10) == -signal.SIGKILL
    assert [(kill.victim, kill.pids) for kill in book.kills] == [
        ("journal", (sleeper.pid,)),
        ("database", ()),
        ("desk", ()),
    ]
    dues = (0.05, 0.1, 0.2)
    assert all(kill.at_s >= due for kill, due in zip(book.kills, dues, strict=True))


def test_every_victim_is_a_process_that_the_product_starts(
    sleeper: subprocess.Popen[bytes],
) -> None:
    assert set(ACTORS) == set(Victim) - {Victim.DATABASE}
    assert [name for name in ACTORS.values() if not hasattr(wiring, name)] == []
    assert [one.pid for one in found(Processes(sleeper), Victim.JOURNAL)] == [sleeper.pid]
