"""Best available: the ladder that finds places for a party, and says which rung it used.

Owns the search. Reads a *view* of the house (see `engine.orphans`) and changes
nothing. "Near" is near to the focal point; distances are means over the seats,
so that parties of all sizes compare.

The ladder, first rung that holds:

1. ADJACENT: side by side in one row, nearest, leaving no single seat alone.
2. ADJACENT_ORPHAN: side by side in one row, nearest.
3. SPLIT_NEAR: rows of one section, in groups of two or more: as few groups as
   found, then near to the focal point and to each other.
4. SPLIT_SECTIONS: the same, over all sections.
5. TABLE: at one table, rather not leaving a single chair, nearest. A table sold
   as a whole is for a party of its size.
6. SPLIT_NEAR, then SPLIT_SECTIONS over tables, in groups of two or more.
7. SPLIT_SECTIONS in rows with as few people alone as can be.
8. AREA: unnumbered places of the nearest area with enough left.

A plan of tables only begins at rung 5 by itself, since rungs 1 to 4 are about
rows. A wheelchair place is never proposed to a party that did not ask for one
(it can still be chosen by hand); a party that asks gets at least that many, side
by side with its company where possible, else (SPLIT_NEAR, SPLIT_SECTIONS) the
nearest places to the wheelchair. Filters bind every rung.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from heapq import nlargest, nsmallest
from math import dist, hypot, inf
from typing import Final, NamedTuple

from engine.commands import Held, HoldBest, Outcome, Refusal, Refused, Rung
from engine.holding import MALFORMED, do_hold, refuse_access, refuse_number
from engine.house import DISTANCE_UNITS, House, Stretch
from engine.limits import MAX_PLACES_PER_HOLD
from engine.orphans import View, leaves_alone
from engine.plan import Area, Plan, Table
from engine.state import State

Found = tuple[Rung, list[int]]
"""A rung, and the positions that it gives."""

_GAP: Final = re.compile(rb"\0\0+")
_ANCHORS: Final = 8
"""Places around which a split party is tried to be gathered, per section."""
_SPARE_GAPS: Final = 8
"""Gaps near an anchor looked at beyond those that the party could fill in pairs."""

_NONE_LEFT: Final = Refused(Refusal.NONE_LEFT)


class Gap(NamedTuple):
    """Free places that stand together: side by side in a row, or at one table."""

    places: Sequence[int]
    section: int
    x: float
    y: float
    distance: int
    """Mean over the places."""
    table: Table | None = None


class Filter(NamedTuple):
    """What a command accepts, resolved: categories within the price cap; empty sections: all."""

    categories: frozenset[int]
    sections: frozenset[int]
    wheelchairs: int


def best(state: State, command: HoldBest, at_ms: int) -> Outcome:
    """Claim the best places for a party. A rule as in `engine.holding`; its `do_hold` serves."""
    if _malformed(state.house, command):
        return MALFORMED
    mine = state.holds.get(command.token)
    refused = refuse_access(state, mine, command.channel, command.holder)
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
            return Held(command.token, seats, (), expires_ms, rung)
    area = _find_area(state, command, wanted)
    if area is None:
        return None
    return Held(command.token, (), ((area, command.size),), expires_ms, Rung.AREA)


def _malformed(house: House, command: HoldBest) -> bool:
    plan = house.plan
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
    return Filter(categories, frozenset(command.sections), command.accessible)


def find_seats(house: House, view: View, wanted: Filter, size: int) -> Found | None:
    """Climb the ladder over rows and tables; positions in no order."""
    stretches = house.stretches(wanted.categories, wanted.sections, wanted.wheelchairs > 0)
    found = _side_by_side(house, view, stretches, size, wanted.wheelchairs)
    if found is not None:
        return found
    if wanted.wheelchairs:
        return _at_table(house, view, wanted, size) or _around_wheelchairs(
            house, view, stretches, wanted, size
        )
    gaps = _row_gaps(house, view, stretches)
    return (
        _split(house, view, gaps, size)
        or _at_table(house, view, wanted, size)
        or _split(house, view, _table_gaps(house, view, wanted), size)
        or _split_with_singles(house, view, stretches, gaps, size)
    )


# Rows ------------------------------------------------------------------------


def _side_by_side(
    house: House, view: View, stretches: Iterable[Stretch], size: int, wheelchairs: int
) -> Found | None:
    """Rungs 1 and 2 in one pass. Stretches come nearest first: stop when none can be better."""
    sums, chairs, wanted = house.distance_sums, house.wheelchair_sums, bytes(size)
    find = view.find
    best = best_alone = -1
    # With wheelchairs asked for, a place too many of them costs more than any distance.
    surplus_cost = sums[-1] if wheelchairs else 0
    total = total_alone = sums[-1] * (size + 2) + 1
    for begin, stop, _, nearest in stretches:
        if nearest * size >= total:
            break
        first = find(wanted, begin, stop)
        while first >= 0:
            end = first + size
            cost = sums[end] - sums[first]
            surplus = chairs[end] - chairs[first] - wheelchairs
            if surplus >= 0 and cost + surplus * surplus_cost < total:
                cost += surplus * surplus_cost
                if not leaves_alone(view, first, end):
                    best, total = first, cost
                elif cost < total_alone:
                    best_alone, total_alone = first, cost
            first = find(wanted, first + 1, stop)
    if best >= 0:
        return Rung.ADJACENT, list(range(best, best + size))
    if best_alone >= 0:
        return Rung.ADJACENT_ORPHAN, list(range(best_alone, best_alone + size))
    return None


def _row_gaps(house: House, view: View, stretches: Iterable[Stretch]) -> list[Gap]:
    """The free slices of two or more."""
    gaps = []
    points, sums = house.points, house.distance_sums
    for begin, stop, section, _ in stretches:
        for match in _GAP.finditer(view, begin, stop):
            first, end = match.span()
            (x0, y0), (x1, y1) = points[first], points[end - 1]
            distance = (sums[end] - sums[first]) // (end - first)
            gaps.append(Gap(range(first, end), section, (x0 + x1) / 2, (y0 + y1) / 2, distance))
    return gaps


def _split(house: House, view: View, gaps: list[Gap], size: int) -> Found | None:
    """Rungs 3 and 4: one section if any can take the party, all of them together otherwise."""
    by_section: dict[int, list[Gap]] = {}
    for gap in gaps:
        by_section.setdefault(gap.section, []).append(gap)
    found = _nearest_split(house, view, by_section.values(), size)
    if found is not None:
        return Rung.SPLIT_NEAR, found
    if len(by_section) > 1:
        found = _nearest_split(house, view, [gaps], size)
        if found is not None:
            return Rung.SPLIT_SECTIONS, found
    return None


def _nearest_split(
    house: House, view: View, groups_of_gaps: Iterable[list[Gap]], size: int
) -> list[int] | None:
    """The party in groups of two or more, out of one of these lists of gaps."""
    best: list[int] | None = None
    best_key = (size, 0.0)
    for every in groups_of_gaps:
        gaps = [
            gap for gap in every if gap.table is None or not gap.table.whole or _size(gap) <= size
        ]
        if sum(map(_size, gaps)) < size:
            continue
        for anchor in nsmallest(_ANCHORS, gaps, key=_distance):
            # Two groups are the fewest, and no party is nearer than its anchor on average.
            if best is not None and best_key <= (2, anchor.distance):
                break
            near = nsmallest(size // 2 + _SPARE_GAPS, gaps, key=_apart_from(anchor))
            parts = _fill(near, size)
            if parts is None:
                continue
            key = (len(parts), _split_cost(parts, size))
            if best is None or key < best_key:
                best_key = key
                best = _places(house, view, parts)
        if best is None:
            # Only gaps far apart make up the number: the largest ones are sure to, if any do.
            parts = _fill(nlargest(size // 2 + _SPARE_GAPS, gaps, key=_size), size)
            if parts is not None:
                best_key = (len(parts), _split_cost(parts, size))
                best = _places(house, view, parts)
    return best


def _size(gap: Gap) -> int:
    return len(gap.places)


def _places(house: House, view: View, parts: Iterable[tuple[Gap, int]]) -> list[int]:
    return [place for gap, count in parts for place in _part(house, view, gap, count)]


def _distance(gap: Gap) -> int:
    return gap.distance


def _apart_from(anchor: Gap) -> Callable[[Gap], float]:
    x, y = anchor.x, anchor.y

    def apart(gap: Gap) -> float:
        return hypot(gap.x - x, gap.y - y)

    return apart


def _fill(gaps: Sequence[Gap], size: int) -> list[tuple[Gap, int]] | None:
    """Seat `size` people in these gaps, earlier gaps first, nobody alone; None if it cannot be."""
    dead: set[tuple[int, int]] = set()

    def fill(index: int, left: int) -> list[tuple[Gap, int]] | None:
        if not left:
            return []
        if index == len(gaps) or (index, left) in dead:
            return None
        gap = gaps[index]
        most = len(gap.places)
        for count in range(min(most, left), 1, -1):
            if count < most and gap.table is not None and gap.table.whole:
                break
            rest = fill(index + 1, left - count)
            if rest is not None:
                return [(gap, count), *rest]
        rest = fill(index + 1, left)
        if rest is None:
            dead.add((index, left))
        return rest

    return fill(0, size)


def _split_cost(parts: Sequence[tuple[Gap, int]], size: int) -> float:
    """Mean distance to the focal point, and to the first group, of everybody."""
    (anchor, _), *_ = parts
    apart = _apart_from(anchor)
    return (
        sum([count * (gap.distance + DISTANCE_UNITS * apart(gap)) for gap, count in parts]) / size
    )


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
    house: House, view: View, stretches: Iterable[Stretch], gaps: list[Gap], size: int
) -> Found | None:
    """Rung 7: as few people alone as can be, near to the rest of the party."""
    free = [
        place for begin, stop, _, _ in stretches for place in range(begin, stop) if not view[place]
    ]
    in_pairs = sum([len(gap.places) for gap in gaps])
    # Enough places in gaps and yet no split: pairs only, and an odd party.
    alone = 1 if in_pairs >= size else size - in_pairs
    if len(free) < size:
        return None
    grouped = _nearest_split(house, view, [gaps], size - alone) if size > alone else []
    if grouped is None:
        return None
    taken = set(grouped)
    rest = [place for place in free if place not in taken]
    points = house.points
    middle = grouped[0] if grouped else min(rest, key=house.distance)
    singles = nsmallest(alone, rest, key=lambda one: dist(points[one], points[middle]))
    return Rung.SPLIT_SECTIONS, [*grouped, *singles]


def _around_wheelchairs(
    house: House, view: View, stretches: Iterable[Stretch], wanted: Filter, size: int
) -> Found | None:
    """The wheelchair places nearest to one of them, and the company as near as can be."""
    chairs, points, seat_at = house.wheelchair_sums, house.points, house.seat_at
    free = [
        place for begin, stop, _, _ in stretches for place in range(begin, stop) if not view[place]
    ]
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


def _at_table(house: House, view: View, wanted: Filter, size: int) -> Found | None:
    """Rung 5."""
    best: tuple[bool, int, list[int]] | None = None
    for table in house.plan.tables:
        free = _free_chairs(house, view, wanted, table)
        if len(free) < size or (table.whole and not size == len(free) == len(table.seats)):
            continue
        chosen = _chairs(house, table, free, size, wanted.wheelchairs)
        if chosen is None:
            continue
        key = (len(free) == size + 1, sum([house.distance(place) for place in chosen]))
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
    for table in house.plan.tables:
        free = _free_chairs(house, view, wanted, table)
        if len(free) < 2 or (table.whole and len(free) < len(table.seats)):
            continue
        x, y = house.points[free[0]]
        distance = sum([house.distance(place) for place in free]) // len(free)
        gaps.append(Gap(free, table.section, x, y, distance, table))
    return gaps


# Areas -----------------------------------------------------------------------


def _find_area(state: State, command: HoldBest, wanted: Filter) -> int | None:
    """Rung 8: the nearest area with places enough; or the one asked for, if it has them."""
    plan = state.house.plan
    best: tuple[float, int] | None = None
    for index, area in enumerate(plan.areas):
        if command.area >= 0 and index != command.area:
            continue
        if area.category not in wanted.categories or state.area_free[index] < command.size:
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
