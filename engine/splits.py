"""A party that finds no place together: groups of two or more, near each other and the stage.

Owns the search over *gaps*, free places that stand together. Knows no channel,
price or ladder, and not how gaps are found.

The cost of a split is the mean over the people of their group's distance to the
focal point and to the party's first group. The search takes gaps nearest first
and tries each as the first group, with gaps seen shortly before it. By the
triangle inequality no split costs less than its first group is far: there the
search stops, or after `_TRIES` once it has a split, so that it is always quick.
It does not find the cheapest of all splits, but it finds one whenever there is one.
"""

from collections.abc import Callable, Iterable, Sequence
from math import hypot
from typing import Final, NamedTuple

from engine.house import DISTANCE_UNITS
from engine.plan import Table

_TRIES: Final = 16
"""First groups tried after a split was found."""
_BEFORE: Final = 32
"""Gaps seen before a first group that are tried with it, besides those that pairs would need."""


class Gap(NamedTuple):
    """Free places that stand together: side by side in a row, or at one table."""

    places: Sequence[int]
    """Positions."""
    section: int
    x: float
    y: float
    distance: int
    """Mean over the places."""
    nearest: int
    """No place of this gap, or of those that follow it, is nearer than this."""
    table: Table | None = None


Parts = list[tuple[Gap, int]]
"""How many people sit in which gap."""


class _Party:
    """The gaps of one section, or of all: as many as were read."""

    __slots__ = ("gaps", "large", "places")

    def __init__(self) -> None:
        self.gaps: list[Gap] = []
        self.large: Gap | None = None
        """The last one that takes an odd number: without one an odd party cannot be split."""
        self.places = 0

    def add(self, gap: Gap) -> None:
        self.gaps.append(gap)
        self.places += len(gap.places)
        if len(gap.places) > 2 and not (_is_whole(gap) and len(gap.places) % 2 == 0):
            self.large = gap

    def around(self, first: Gap, size: int) -> list[Gap] | None:
        """Gaps to combine with the last one added; None when all cannot make up the number."""
        if self.places < size or (size % 2 and self.large is None):
            return None
        before = self.gaps[-_BEFORE - size // 2 : -1]
        if size % 2 and self.large is not None and self.large not in (first, *before):
            before.append(self.large)
        return before


def _all(gap: Gap) -> None:
    """All gaps may be combined."""


def nearest_split(
    gaps: Iterable[Gap], size: int, party_of: Callable[[Gap], int | None] = _all
) -> Parts | None:
    """The best split found; None when `size` people cannot sit in groups of two or more.

    Args:
        gaps: In order of `Gap.nearest`; read only as far as needed.
        size: People.
        party_of: Only gaps with the same answer here are combined.
    """
    parties: dict[int | None, _Party] = {}
    best: Parts | None = None
    best_cost = 0.0
    tries = 0
    for gap in gaps:
        if best is not None and (gap.nearest >= best_cost or tries == _TRIES):
            break
        if _is_whole(gap) and len(gap.places) > size:
            continue
        number = party_of(gap)
        party = parties.get(number)
        if party is None:
            party = parties[number] = _Party()
        party.add(gap)
        if best is not None and gap.distance >= best_cost:
            continue
        others = party.around(gap, size)
        if others is None:
            continue
        tries += best is not None
        parts, cost = _around(gap, others, size)
        if parts is not None and (best is None or cost < best_cost):
            best, best_cost = parts, cost
    return best


def _is_whole(gap: Gap) -> bool:
    return gap.table is not None and gap.table.whole


def _around(first: Gap, others: Sequence[Gap], size: int) -> tuple[Parts | None, float]:
    """The party around this first group, those gaps first that cost least per person."""
    x, y = first.x, first.y
    costs = [gap.distance + DISTANCE_UNITS * hypot(gap.x - x, gap.y - y) for gap in others]
    order = sorted(range(len(others)), key=costs.__getitem__)
    parts = fill([first, *[others[index] for index in order]], size)
    if parts is None:
        return None, 0.0
    cost = sum(
        [
            count * (gap.distance + DISTANCE_UNITS * hypot(gap.x - x, gap.y - y))
            for gap, count in parts
        ]
    )
    return parts, cost / size


def fill(gaps: Sequence[Gap], size: int) -> Parts | None:
    """Seat `size` people in these gaps, earlier gaps first, nobody alone; None if it cannot be.

    A table sold as a whole is filled or left.
    """
    dead: set[tuple[int, int]] = set()

    def rest(index: int, left: int) -> Parts | None:
        if not left:
            return []
        if left == 1 or index == len(gaps) or (index, left) in dead:
            return None
        gap = gaps[index]
        most = len(gap.places)
        fewest = most if _is_whole(gap) else 2
        for count in range(min(most, left), fewest - 1, -1):
            parts = rest(index + 1, left - count)
            if parts is not None:
                return [(gap, count), *parts]
        parts = rest(index + 1, left)
        if parts is None:
            dead.add((index, left))
        return parts

    return rest(0, size)
