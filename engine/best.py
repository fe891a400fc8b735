"""Best available: the ladder that finds places for a party, and says which rung it used.

Owns the search. Reads a *view* of the house (see `engine.orphans`) and changes
nothing. "Near" is near to the focal point; distances are means over the seats,
so that parties of all sizes compare.

The ladder, first rung that holds:

1. ADJACENT: side by side in one row, nearest, leaving no single seat alone.
2. ADJACENT_ORPHAN: side by side in one row, nearest.
3. SPLIT_NEAR: rows of one section, in groups of two or more, near to the focal
   point and to each other (`engine.splits`).
4. SPLIT_SECTIONS: the same, over all sections.
5. TABLE: at one table, rather not leaving a single chair, nearest. A table sold
   as a whole is for a party of its size.
6. SPLIT_NEAR, then SPLIT_SECTIONS over tables, in groups of two or more.
7. SPLIT_SECTIONS in rows with as few people alone as can be.
8. AREA: unnumbered places of the nearest area with enough left.

A plan of tables only begins at rung 5 by itself, since rungs 1 to 4 are about
rows. Stools are rows too, in a section of kind "bar", where company sits with its
back to each other: two or more who would get stools on rungs 1 to 4 get one table
instead, when there is one of the same category, or nearer to the focal point, that
is not cheaper than the stools. A wheelchair place is never proposed to a party that
did not ask for one (it can still be chosen by hand); a party that asks gets at
least that many, side by side with its company where possible, else (SPLIT_NEAR,
SPLIT_SECTIONS) the nearest places to the wheelchair. Filters bind every rung.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from heapq import nsmallest
from math import dist, inf
from typing import Final, NamedTuple

from engine.commands import Held, HoldBest, Outcome, Refusal, Refused, Rung
from engine.holding import MALFORMED, do_hold, refuse_access, refuse_number
from engine.house import AVAILABLE, DISTANCE_UNITS, House, Stretch
from engine.limits import MAX_PLACES_PER_HOLD
from engine.orphans import View, leaves_alone
from engine.plan import Area, Plan, Table
from engine.pricing import is_till
from engine.splits import Gap, Parts, nearest_split
from engine.state import State

Found = tuple[Rung, list[int]]
"""A rung, and the positions that it gives."""

_GAP: Final = re.compile(rb"\0\0+")
_FREE: Final = re.compile(rb"\0")
_NOWHERE: Final = -1
"""What `find` says."""
_BAR: Final = "bar"
"""Kind of the sections whose rows are stools."""
_ANCHORS: Final = 8
"""Wheelchair places around which company is tried to be gathered."""

_NONE_LEFT: Final = Refused(Refusal.NONE_LEFT)


class Filter(NamedTuple):
    """What a command accepts, resolved: categories within the price cap; empty sections: all.

    `amounts` are the full prices of the categories that are sold, in minor units.
    """

    categories: frozenset[int]
    sections: frozenset[int]
    wheelchairs: int
    amounts: Mapping[int, int]


def best(state: State, command: HoldBest, at_ms: int) -> Outcome:
    """Claim the best places for a party. A rule as in `engine.holding`; its `do_hold` serves."""
    if _malformed(state.house, command):
        return MALFORMED
    mine = state.holds.get(command.token)
    refused = refuse_access(state, mine, command.channel, command.holder, at_ms)
    refused = refused or refuse_number(state, mine, command.channel, command.size)
    if refused is not None:
        return refused
    expires_ms = at_ms + state.hold_ms if mine is None else mine.expires_ms
    outcome = _search(state, command, at_ms, expires_ms)
    if outcome is None:
        return _NONE_LEFT
    # ---- nothing below can refuse or fail ----
    do_hold(state, command, outcome, at_ms)
    return outcome


def _search(state: State, command: HoldBest, at_ms: int, expires_ms: int) -> Held | None:
    wanted = _resolve(state, command, at_ms)
    house = state.house
    if command.area < 0:
        found = find_seats(house, state.view(command.channel), wanted, command.size)
        if found is not None:
            rung, positions = found
            seats = tuple([house.seat_at[position] for position in sorted(positions)])
            assert len(set(seats)) == command.size, "everybody has a seat of their own"
            return Held(command.token, seats, (), expires_ms, rung)
    area = _find_area(state, command, wanted)
    if area is None:
        return None
    return Held(command.token, (), ((area, command.size),), expires_ms, Rung.AREA)


def _malformed(house: House, command: HoldBest) -> bool:
    plan = house.outline
    return not (
        0 < command.size <= MAX_PLACES_PER_HOLD
        and 0 <= command.accessible <= command.size
        and command.area < house.area_count
        and all(0 <= category < len(plan.categories) for category in command.categories)
        and all(0 <= section < len(plan.sections) for section in command.sections)
    )


def _resolve(state: State, command: HoldBest, at_ms: int) -> Filter:
    """What has no price now and here is not proposed; the cap looks at the full price."""
    full = state.prices.full_prices(at_ms, command.channel)
    cap = command.max_amount
    categories = frozenset(
        [category for category, price in full.items() if cap < 0 or price <= cap]
    )
    if command.categories:
        categories &= frozenset(command.categories)
    return Filter(categories, frozenset(command.sections), command.accessible, full)


def find_seats(house: House, view: View, wanted: Filter, size: int) -> Found | None:
    """Climb the ladder over rows and tables; positions in no order."""
    if view.count(AVAILABLE) < size:
        return None
    stretches = house.stretches(wanted.categories, wanted.sections, wanted.wheelchairs > 0)
    if wanted.wheelchairs:
        return (
            _beside_wheelchairs(house, view, stretches, size, wanted.wheelchairs)
            or _at_table(house, view, wanted, size)
            or _around_wheelchairs(house, view, stretches, wanted, size)
        )
    in_rows = _side_by_side(house, view, stretches, size) or _split(
        house, view, partial(_row_gaps, house, view, stretches), size
    )
    if in_rows is not None:
        return _rather_at_table(house, view, wanted, in_rows)
    return (
        _at_table(house, view, wanted, size)
        or _split(house, view, partial(_table_gaps, house, view, wanted), size)
        or _split_with_singles(house, view, stretches, size)
    )


# Rows ------------------------------------------------------------------------


def _side_by_side(
    house: House, view: View, stretches: Iterable[Stretch], size: int
) -> Found | None:
    """Rungs 1 and 2 in one pass. Stretches come nearest first: stop when none can be better."""
    sums, wanted = house.distance_sums, bytes(size)
    if wanted not in view:
        return None
    best: int | None = None
    best_alone: int | None = None
    total = total_alone = inf
    for stretch in stretches:
        if stretch.nearest * size >= total:
            break
        if view.find(wanted, stretch.first, stretch.end) == _NOWHERE:
            continue
        for first in _clean_starts(view, size, stretch):
            cost = sums[first + size] - sums[first]
            if cost < total:
                best, total = first, cost
        if best is None:
            for first in _starts(view, size, stretch):
                cost = sums[first + size] - sums[first]
                if cost < total_alone:
                    best_alone, total_alone = first, cost
    if best is not None:
        return Rung.ADJACENT, list(range(best, best + size))
    if best_alone is not None:
        return Rung.ADJACENT_ORPHAN, list(range(best_alone, best_alone + size))
    return None


def _starts(view: View, size: int, stretch: Stretch) -> Iterator[int]:
    """Where `size` free places side by side begin."""
    wanted, stop = bytes(size), stretch.end
    first = view.find(wanted, stretch.first, stop)
    while first != _NOWHERE:
        yield first
        first = view.find(wanted, first + 1, stop)


def _clean_starts(view: View, size: int, stretch: Stretch) -> Iterator[int]:
    """Those of them that leave nobody alone."""
    if not stretch.walled:
        for first in _starts(view, size, stretch):
            if not leaves_alone(view, first, first + size):
                yield first
        return
    # Between walls a free slice of just the size is clean, one place more never is, and in a
    # longer one all starts but the second and the last but one are.
    for match in _clean_pattern(size).finditer(view, stretch.first, stretch.end):
        first, last = match.start(), match.end() - size
        for start in range(first, last + 1):
            if start != first + 1 and start != last - 1:
                yield start


@cache
def _clean_pattern(size: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?<!\0)(?:\0{%d}(?!\0)|\0{%d,})" % (size, size + 2))


def _beside_wheelchairs(
    house: House, view: View, stretches: Iterable[Stretch], size: int, wheelchairs: int
) -> Found | None:
    """Rungs 1 and 2 with wheelchair places: rather none more than asked for, then nearest."""
    sums, chairs = house.distance_sums, house.wheelchair_sums
    best: tuple[bool, int, int, int] | None = None
    for stretch in stretches:
        for first in _starts(view, size, stretch):
            end = first + size
            surplus = chairs[end] - chairs[first] - wheelchairs
            if surplus >= 0:
                key = leaves_alone(view, first, end), surplus, sums[end] - sums[first], first
                best = key if best is None else min(best, key)
    if best is None:
        return None
    rung = Rung.ADJACENT_ORPHAN if best[0] else Rung.ADJACENT
    return rung, list(range(best[3], best[3] + size))


def _row_gaps(house: House, view: View, stretches: Iterable[Stretch]) -> Iterator[Gap]:
    """The free slices of two or more, in order of their stretches."""
    points, sums = house.points, house.distance_sums
    for begin, stop, section, nearest, _ in stretches:
        for match in _GAP.finditer(view, begin, stop):
            first, end = match.span()
            (x0, y0), (x1, y1) = points[first], points[end - 1]
            distance = (sums[end] - sums[first]) // (end - first)
            x, y = (x0 + x1) / 2, (y0 + y1) / 2
            yield Gap(range(first, end), section, x, y, distance, nearest)


def _split(house: House, view: View, gaps: Callable[[], Iterable[Gap]], size: int) -> Found | None:
    """Rungs 3 and 4: one section if any can take the party, all of them together otherwise."""
    if size < 4:
        return None  # somebody would sit alone
    rung, parts = Rung.SPLIT_NEAR, nearest_split(gaps(), size, lambda gap: gap.section)
    if parts is None:
        rung, parts = Rung.SPLIT_SECTIONS, nearest_split(gaps(), size)
    return None if parts is None else (rung, _places(house, view, parts))


def _places(house: House, view: View, parts: Parts) -> list[int]:
    return [place for gap, count in parts for place in _part(house, view, gap, count)]


def _part(house: House, view: View, gap: Gap, count: int) -> Sequence[int]:
    """`count` places of a gap: of a row the nearest slice, rather leaving none alone."""
    places, sums = gap.places, house.distance_sums
    if gap.table is not None:
        return _chairs(house, gap.table, places, count) or ()
    first = min(
        range(places[0], places[-1] - count + 2),
        key=lambda one: (leaves_alone(view, one, one + count), sums[one + count] - sums[one]),
    )
    return range(first, first + count)


def _split_with_singles(
    house: House, view: View, stretches: Iterable[Stretch], size: int
) -> Found | None:
    """Rung 7: as few people alone as can be, near to the rest of the party."""
    free = _free_places(view, stretches)
    if len(free) < size:
        return None
    gaps = list(_row_gaps(house, view, stretches))
    in_gaps = sum([len(gap.places) for gap in gaps])
    # Enough places in gaps and yet no split: pairs only, and an odd party.
    alone = 1 if in_gaps >= size else size - in_gaps
    parts = nearest_split(gaps, size - alone) if size > alone else []
    if parts is None:
        return None
    grouped = _places(house, view, parts)
    taken, points = set(grouped), house.points
    rest = [place for place in free if place not in taken]
    middle = points[grouped[0] if grouped else min(rest, key=house.distance)]
    singles = nsmallest(alone, rest, key=lambda one: dist(points[one], middle))
    return Rung.SPLIT_SECTIONS, [*grouped, *singles]


def _free_places(view: View, stretches: Iterable[Stretch]) -> list[int]:
    return [
        match.start()
        for stretch in stretches
        for match in _FREE.finditer(view, stretch.first, stretch.end)
    ]


def _around_wheelchairs(
    house: House, view: View, stretches: Iterable[Stretch], wanted: Filter, size: int
) -> Found | None:
    """The wheelchair places nearest to one of them, and the company as near as can be."""
    chairs, points, seat_at = house.wheelchair_sums, house.points, house.seat_at
    free = _free_places(view, stretches)
    wheelchairs = [place for place in free if chairs[place + 1] > chairs[place]]
    others = [place for place in free if chairs[place + 1] == chairs[place]]
    company = size - wanted.wheelchairs
    if len(wheelchairs) < wanted.wheelchairs or len(free) < size:
        return None
    best: tuple[bool, float, list[int]] | None = None
    for anchor in nsmallest(_ANCHORS, wheelchairs, key=house.distance):

        def apart(place: int, anchor: int = anchor) -> float:
            return dist(points[place], points[anchor])

        chosen = nsmallest(wanted.wheelchairs, wheelchairs, key=apart)
        chosen += nsmallest(company, others, key=apart)
        # Company takes wheelchair places only when nothing else is left.
        spare = [place for place in wheelchairs if place not in chosen]
        chosen += nsmallest(size - len(chosen), spare, key=apart)
        scattered = len({house.sections[seat_at[place]] for place in chosen}) > 1
        cost = sum([house.distance(place) + DISTANCE_UNITS * apart(place) for place in chosen])
        if best is None or (scattered, cost) < best[:2]:
            best = (scattered, cost, chosen)
    assert best is not None
    return (Rung.SPLIT_SECTIONS if best[0] else Rung.SPLIT_NEAR), best[2]


# Tables ----------------------------------------------------------------------


def _free_chairs(house: House, view: View, wanted: Filter, table: Table) -> list[int]:
    """Positions of the chairs that pass the filter, in ring order."""
    if wanted.sections and table.section not in wanted.sections:
        return []
    places = [house.positions[seat] for seat in table.seats]
    chairs = house.wheelchair_sums
    return [
        place
        for place, seat in zip(places, table.seats, strict=True)
        if not view[place]
        and house.categories[seat] in wanted.categories
        and (wanted.wheelchairs or chairs[place + 1] == chairs[place])
    ]


def _rather_at_table(house: House, view: View, wanted: Filter, in_rows: Found) -> Found:
    """What was found in rows, or one table instead where it is stools: see the module."""
    stools, seat_at = in_rows[1], house.seat_at
    if len(stools) < 2 or not house.outline.tables:
        return in_rows
    if not any(
        house.outline.sections[house.sections[seat_at[place]]].kind == _BAR for place in stools
    ):
        return in_rows

    def look(places: Sequence[int]) -> tuple[set[int], int, int]:
        categories = [house.categories[seat_at[place]] for place in places]
        amount = sum([wanted.amounts[category] for category in categories])
        return set(categories), amount, sum([house.distance(place) for place in places])

    kinds, amount, distance = look(stools)

    def serves(chairs: Sequence[int]) -> bool:
        their_kinds, their_amount, their_distance = look(chairs)
        return their_amount >= amount and (their_kinds <= kinds or their_distance < distance)

    return _at_table(house, view, wanted, len(stools), serves) or in_rows


def _at_table(
    house: House,
    view: View,
    wanted: Filter,
    size: int,
    serves: Callable[[Sequence[int]], bool] | None = None,
) -> Found | None:
    """Rung 5; of the tables whose chairs serve."""
    best: tuple[bool, int, list[int]] | None = None
    for table in house.outline.tables:
        free = _free_chairs(house, view, wanted, table)
        if len(free) < size or (table.whole and not size == len(free) == len(table.seats)):
            continue
        leaves_one = len(free) == size + 1
        least = size * min([house.distance(place) for place in free])
        if best is not None and (leaves_one, least) >= best[:2]:
            continue
        chosen = _chairs(house, table, free, size, wanted.wheelchairs)
        if chosen is None or (serves is not None and not serves(chosen)):
            continue
        key = leaves_one, sum([house.distance(place) for place in chosen])
        if best is None or key < best[:2]:
            best = (*key, chosen)
    return None if best is None else (Rung.TABLE, best[2])


def _chairs(
    house: House, table: Table, free: Sequence[int], count: int, wheelchairs: int = 0
) -> list[int] | None:
    """`count` free chairs of a table, in the shortest arc, then nearest, wheelchairs enough."""
    chairs = house.wheelchair_sums
    ring = [house.positions[seat] for seat in table.seats]
    best: tuple[int, int, list[int]] | None = None
    for start in range(len(ring)):
        walk = ring[start:] + ring[:start]
        chosen = [place for place in walk if place in free][:count]
        if sum([chairs[place + 1] - chairs[place] for place in chosen]) < wheelchairs:
            continue
        arc = walk.index(chosen[-1])
        key = (arc, sum([house.distance(place) for place in chosen]))
        if best is None or key < best[:2]:
            best = (*key, chosen)
    return None if best is None else best[2]


def _table_gaps(house: House, view: View, wanted: Filter) -> list[Gap]:
    """The tables with two free chairs or more; of whole tables those entirely free."""
    gaps = []
    for table in house.outline.tables:
        free = _free_chairs(house, view, wanted, table)
        if len(free) < 2 or (table.whole and len(free) < len(table.seats)):
            continue
        x, y = house.points[free[0]]
        distance = sum([house.distance(place) for place in free]) // len(free)
        nearest = min([house.distance(place) for place in free])
        gaps.append(Gap(free, table.section, x, y, distance, nearest, table))
    gaps.sort(key=lambda gap: gap.nearest)
    return gaps


# Areas -----------------------------------------------------------------------


def _find_area(state: State, command: HoldBest, wanted: Filter) -> int | None:
    """Rung 8: the nearest area with places enough; or the one asked for, if it has them."""
    plan = state.house.outline
    best: tuple[float, int] | None = None
    for index, area in enumerate(plan.areas):
        if command.area >= 0 and index != command.area:
            continue
        if area.category not in wanted.categories or state.area_free[index] < command.size:
            continue
        if index in state.surplus_areas and not is_till(command.channel):
            continue
        # Areas have no marked wheelchair places to promise.
        if wanted.wheelchairs or (wanted.sections and area.section not in wanted.sections):
            continue
        key = (_distance_of_area(plan, area), index)
        if best is None or key < best:
            best = key
    return None if best is None else best[1]


def _distance_of_area(plan: Plan, area: Area) -> float:
    """In plan units; an area that is nowhere in the house (a livestream) comes last."""
    if not area.polygon:
        return inf
    xs, ys = zip(*area.polygon, strict=True)
    return dist((sum(xs) / len(xs), sum(ys) / len(ys)), plan.focal)
