"""Who sits next to whom, from coordinates alone.

Owns the gap rule: which seats of a row are neighbours, where an aisle breaks a
row, in which order one walks along it. Knows points and index ranges, nothing
of labels, prices or file formats.
"""

from collections.abc import Sequence
from itertools import pairwise
from math import hypot
from statistics import median

GAP_RATIO = 1.5
"""A step longer than this many pitches is an aisle."""

Point = tuple[float, float]


def chains(
    points: Sequence[Point],
    rows: Sequence[tuple[int, int, int]],
    tables: Sequence[tuple[int, ...]],
) -> tuple[tuple[tuple[int, ...], ...], frozenset[int]]:
    """Split rows of seats into runs of neighbours.

    `rows` holds (section, first, count); `tables` the seats of each table in
    ring order. Returns the runs in order of their lowest seat and the numbers
    of those runs that are rings.
    """
    seated = {seat for table in tables for seat in table}
    found: list[tuple[tuple[int, ...], bool]] = [
        (table, len(table) > 2) for table in tables if table
    ]
    for _section, first, count in rows:
        row = [seat for seat in range(first, first + count) if seat not in seated]
        steps = [_distance(points, a, b) for a, b in pairwise(row)]
        limit = GAP_RATIO * median(steps) if steps else 0.0
        run: list[int] = []
        for seat in row:
            if run and _distance(points, run[-1], seat) > limit:
                found.append((tuple(run), False))
                run = []
            run.append(seat)
        if run:
            found.append((tuple(run), False))
    found.sort(key=lambda item: min(item[0]))
    rings = frozenset(number for number, (_, ring) in enumerate(found) if ring)
    return tuple(run for run, _ in found), rings


def typical_pitch(points: Sequence[Point], runs: Sequence[Sequence[int]]) -> float:
    """The median step inside runs; 1.0 when there is none."""
    steps = [_distance(points, a, b) for run in runs for a, b in pairwise(run)]
    return median(steps) if steps else 1.0


def _distance(points: Sequence[Point], a: int, b: int) -> float:
    return hypot(points[a][0] - points[b][0], points[a][1] - points[b][1])
