"""Faults hit the processes that are named, in their turn; an own installation leaves nothing."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from bench.rehearsal.faults import ACTORS, carry_out, found
from bench.rehearsal.history import Book
from bench.rehearsal.installation import CannotBegin, Installation, own
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


def test_a_terminated_rehearsal_leaves_no_installation_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stopped = []
    monkeypatch.setattr(Installation, "start", lambda self: self.data.mkdir())
    monkeypatch.setattr(Installation, "stop", lambda self: stopped.append(self.data.is_dir()))
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), own() as installation:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.sigtimedwait([], 5)  # a moment for the signal to come
    assert stopped == [True] and not installation.data.parent.exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_an_installation_that_does_not_start_says_its_last_words(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/echo")
    with pytest.raises(CannotBegin, match="-m console serve"), own():
        raise AssertionError("it began")


def test_only_processes_below_the_installation_are_found(
    sleeper: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    installation = Installation(tmp_path / "data")
    assert installation.processes("") == [] == installation.database()
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c',"
        " 'import time; time.sleep(60)', 'ray::JournalProcess'])"
    )
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        installation._process = parent
        ends_s = time.monotonic() + 20
        while not (below := installation._below()) and time.monotonic() < ends_s:
            time.sleep(0.05)
        assert [one.ppid() for one in below] == [parent.pid]
        assert sleeper.pid not in [one.pid for one in below]
    finally:
        for one in installation._below():
            one.kill()
        parent.wait(10)
