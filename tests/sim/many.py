"""Many worlds one after the other, in one process or in several."""

import gc
import multiprocessing
from collections.abc import Iterator
from typing import NamedTuple

from tests.sim.installation import Guards
from tests.sim.surroundings import simulated
from tests.sim.world import Broken, run

WORLDS_AT_ONCE = 250
"""A piece of work. Between two the collector has its turn."""


class Tally(NamedTuple):
    """What some worlds came to; `broken` are (seed, why)."""

    worlds: int = 0
    commands: int = 0
    commits: int = 0
    reigns: int = 0
    fenced: int = 0
    pictures: int = 0
    kinds: frozenset[str] = frozenset()
    orders: int = 0
    desks: int = 0
    conflicts: int = 0
    broken: tuple[tuple[int, str], ...] = ()

    def plus(self, other: "Tally") -> "Tally":
        return Tally(
            self.worlds + other.worlds,
            self.commands + other.commands,
            self.commits + other.commits,
            self.reigns + other.reigns,
            self.fenced + other.fenced,
            self.pictures + other.pictures,
            self.kinds | other.kinds,
            self.orders + other.orders,
            self.desks + other.desks,
            self.conflicts + other.conflicts,
            self.broken + other.broken,
        )


def run_some(first: int, seeds: int, ruled: bool = False, orders: bool = False) -> Tally:
    """These worlds, up to the first that is broken."""
    total = Tally()
    with simulated():
        for seed in range(first, first + seeds):
            try:
                one = run(seed, ruled=ruled, orders=orders)
            except Broken as broken:
                return total.plus(Tally(broken=((seed, str(broken)),)))
            except Exception as error:
                return total.plus(Tally(broken=((seed, repr(error)),)))
            counts = one.commands, one.commits, one.reigns, one.fenced, one.pictures
            trade = one.orders, one.desks, one.conflicts
            total = total.plus(Tally(1, *counts, one.kinds, *trade))
    gc.collect()
    return total


def run_many(
    first: int, seeds: int, processes: int, ruled: bool = False, orders: bool = False
) -> Iterator[Tally]:
    """The same, piece by piece as they are done; after a broken one the rest is the caller's."""
    pieces = [
        (start, min(WORLDS_AT_ONCE, first + seeds - start), ruled, orders)
        for start in range(first, first + seeds, WORLDS_AT_ONCE)
    ]
    if processes == 1:
        for piece in pieces:
            yield run_some(*piece)
        return
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        yield from pool.imap_unordered(_run_piece, pieces)


def _run_piece(piece: tuple[int, int, bool, bool]) -> Tally:
    return run_some(*piece)


def first_found(
    guards: Guards,
    seeds: int,
    kind: str = "",
    inside: bool = True,
    ruled: bool = False,
    orders: bool = False,
) -> int | None:
    """The first seed whose world is broken (in this way) with these guards off."""
    with simulated():
        for seed in range(seeds):
            try:
                run(seed, guards, inside, ruled, orders)
            except Broken as broken:
                if kind in ("", broken.kind):
                    return seed
    return None
