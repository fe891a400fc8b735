"""The resident memory of an own installation's processes while the bots are there.

Owns the weighing, and how growth is told from it. What is allowed is the scenario's.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import psutil
from msgspec import Struct

from bench.rehearsal.faults import ACTORS
from bench.rehearsal.history import Book, Weighing
from bench.rehearsal.installation import Installation
from bench.rehearsal.scenario import Victim

EVERY_S: Final = 0.5
MAX_WEIGHINGS: Final = 1_200
"""In a longer rehearsal there is more time between them."""
LOOK_EVERY_S: Final = 5.0
"""Processes that came meanwhile are looked for this often."""
WEIGHED: Final = (
    Victim.GATEWAY,
    Victim.PERFORMANCE,
    Victim.JOURNAL,
    Victim.ROOMS,
    Victim.DESK,
)


class Grown(Struct, frozen=True):
    """One process: resident MiB when the sale began, at the most from then on, and at the end.

    `growth` is the most over the start.
    """

    process: str
    pid: int
    start_mib: float
    most_mib: float
    end_mib: float
    growth: float


async def weigh(installation: Installation, book: Book, lasts_s: float) -> None:
    """Into the book, until cancelled. `lasts_s` is how long at the most."""
    every_s = max(EVERY_S, lasts_s / MAX_WEIGHINGS)
    there: dict[tuple[str, int], psutil.Process] = {}
    looked_s = float("-inf")
    while True:
        due_s = time.monotonic() + every_s
        if time.monotonic() - looked_s >= LOOK_EVERY_S:
            there = await asyncio.to_thread(_found, installation)
            looked_s = time.monotonic()
        mib = {}
        for name, process in list(there.items()):
            try:
                mib[name] = process.memory_info().rss / 2**20
            except psutil.Error:  # it was killed: who came in its place?
                del there[name]
                looked_s = float("-inf")
        book.weighed.append(Weighing(book.now_s, mib))
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))


def _found(installation: Installation) -> dict[tuple[str, int], psutil.Process]:
    return {
        (victim.value, process.pid): process
        for victim in WEIGHED
        for process in installation.processes(ACTORS[victim])
    }


def grown(book: Book) -> list[Grown]:
    """Every process that was there when the sale began."""
    after = [one for one in book.weighed if one.at_s >= book.on_sale_s]
    found = []
    for name, start in after[0].mib.items() if after else ():
        since = [one.mib[name] for one in after if name in one.mib]
        most = max(since)
        found.append(Grown(*name, start, most, since[-1], most / start))
    return found


def growth(book: Book) -> float | None:
    """Of the process that grew most; None where nothing was weighed."""
    return max((one.growth for one in grown(book)), default=None)


def largest(weighings: Sequence[Weighing]) -> dict[str, float]:
    """The most that one process of each sort held, in MiB."""
    found: dict[str, float] = {}
    for one in weighings:
        for (process, _), mib in one.mib.items():
            found[process] = max(found.get(process, 0.0), mib)
    return found
