"""Memory is weighed while the bots are there, and growth is told from the start of the sale."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from bench.rehearsal.faults import ACTORS
from bench.rehearsal.history import Book, Weighing
from bench.rehearsal.installation import Installation
from bench.rehearsal.memory import EVERY_S, grown, growth, largest, weigh
from bench.rehearsal.scenario import Victim

GATEWAY, JOURNAL, LATER = ("gateway", 1), ("journal", 2), ("journal", 3)


def book() -> Book:
    found = Book()
    found.on_sale_s = 2.0
    found.weighed = [
        Weighing(0.0, {GATEWAY: 10.0, JOURNAL: 50.0}),
        Weighing(2.1, {GATEWAY: 100.0, JOURNAL: 50.0}),
        Weighing(3.0, {GATEWAY: 150.0, JOURNAL: 60.0}),
        Weighing(4.0, {GATEWAY: 120.0, LATER: 20.0}),
        Weighing(5.0, {GATEWAY: 120.0, LATER: 90.0}),
    ]
    return found


def test_growth_is_over_the_start_of_the_sale_and_not_of_the_rehearsal() -> None:
    gateway, journal = grown(book())
    assert (gateway.process, gateway.pid) == GATEWAY
    assert (gateway.start_mib, gateway.most_mib, gateway.end_mib) == (100, 150, 120)
    assert journal.end_mib == 60, "what it held when it was seen last"
    assert growth(book()) == pytest.approx(1.5)


def test_nothing_weighed_is_no_growth() -> None:
    assert growth(Book()) is None
    early = book()
    early.on_sale_s = 60.0
    assert growth(early) is None


def test_the_largest_of_each_sort_is_drawn() -> None:
    assert largest(book().weighed[3:]) == {"gateway": 120, "journal": 90}
    assert largest([]) == {}


class Processes(Installation):
    """An installation of this process as its gateway, and a journal that ends."""

    def __init__(self, journal: psutil.Process) -> None:
        self._all = {Victim.GATEWAY: psutil.Process(os.getpid()), Victim.JOURNAL: journal}

    def processes(self, title: str) -> list[psutil.Process]:
        return [
            one for victim, one in self._all.items() if title == ACTORS[victim] and one.is_running()
        ]


@pytest.fixture
def journal() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as process:
        yield process
        process.kill()


async def test_who_is_there_is_weighed_and_who_was_killed_is_not(
    journal: subprocess.Popen[bytes],
) -> None:
    found = Book()
    there = Processes(psutil.Process(journal.pid))
    weighing = asyncio.create_task(weigh(there, found, lasts_s=1.0))
    await asyncio.sleep(0.5 * EVERY_S)
    journal.kill()
    journal.wait()
    await asyncio.sleep(1.5 * EVERY_S)
    weighing.cancel()
    first, last = found.weighed[0], found.weighed[-1]
    assert first.mib.keys() == {("gateway", os.getpid()), ("journal", journal.pid)}
    assert first.mib["gateway", os.getpid()] > 5 and last.mib.keys() == {("gateway", os.getpid())}
