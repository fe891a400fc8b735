"""Who sits next to whom, from coordinates alone.

Owns the gap rule: which seats of a row are neighbours, where an aisle breaks a
row, and in which order one walks along it. Knows points and index ranges,
nothing of labels, prices or file formats.

The rule. A row's *pitch* is the typical distance from a seat to the nearest seat
of its row, kept honest by the pitch of its section (a row of two seats on both
sides of the house has no pitch of its own worth believing). Two seats of a row
are neighbours when the step between them is at most `GAP_RATIO` pitches and they
follow each other along the row. A row listed in walking order, the usual case,
needs one look at each step; any other row is chained from its shortest steps up,
so that a row listed as 1-2-3-4 and standing as 3-1-2-4 is walked as it stands.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import atan2, hypot, inf, radians
from statistics import median

GAP_RATIO = 1.5 + 1e-6
"""A step longer than this many pitches is an aisle. Half a seat too much is not."""

TRUSTED_ROW_SEATS = 4
"""A row of fewer seats takes no wider a pitch than its section has."""

TRUSTED_SPREAD = 2.0
"""No pitch is believed beyond this many times that of the next larger group."""

LISTED_PREFERENCE = 0.8
"""Between steps of nearly one length, the one that follows the list wins by this factor."""

UNLISTED_TURN_COS = 0.5
"""A step that does not follow the list turns by at most 60 degrees: rows run, they do not hook."""

MIN_RING_SEATS = 5
"""Four seats in a square are two pairs, one behind the other, unless a table is drawn there."""

RING_TURN = radians(12)
"""Seats listed at random stand round a table if the way round turns this much at each of them."""

Point = tuple[float, float]
Chain = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Chains:
    """Runs of neighbours, ordered by their lowest seat; `rings` numbers the closed ones."""

    runs: tuple[Chain, ...]
    rings: frozenset[int]


@dataclass(slots=True)
class _Row:
    section: int
    seats: Sequence[int]
    walked: bool
    """The list goes along the row without turning back."""
    pitch: float = 0.0


def chains(
    points: Sequence[Point],
    rows: Iterable[tuple[int, Sequence[int]]],
    tables: Iterable[Chain] = (),
) -> Chains:
    """Split rows of seats into runs of neighbours.

    Args:
        points: Coordinates by seat index.
        rows: (section, seat indices) of each row; seats at tables are passed over.
        tables: The seats of each table in ring order; three or more close a ring.
    """
    found = [(table, len(table) > 2) for table in tables if table]
    seated = {seat for table, _ in found for seat in table}
    work = []
    for section, listed in rows:
        seats = [seat for seat in listed if seat not in seated] if seated else listed
        if seats:
            work.append(_Row(section, seats, _is_walked(points, seats)))
    _set_pitches(points, work)
    for row in work:
        found.extend(_row_chains(points, row))
    found.sort(key=lambda item: min(item[0]))
    return Chains(
        tuple([run for run, _ in found]),
        frozenset([number for number, (_, ring) in enumerate(found) if ring]),
    )


def walking_order(points: Sequence[Point]) -> list[int]:
    """The order in which one walks along one row, as positions in `points`.

    A list already in walking order is left as it is.
    """
    seats = range(len(points))
    row = _Row(0, seats, _is_walked(points, seats))
    if row.walked:
        return list(seats)
    _set_pitches(points, [row])
    pieces = [run for run, _ in _row_chains(points, row)]
    start = points[pieces[0][0]]
    far = max(seats, key=lambda seat: (_between(start, points[seat]), -seat))
    axis = (points[far][0] - start[0], points[far][1] - start[1])
    # Left to right, or front to back where the row runs that way: the axis has no sign of its own.
    if axis[0] < 0 if abs(axis[0]) >= abs(axis[1]) else axis[1] < 0:
        axis = (-axis[0], -axis[1])

    def along(seat: int) -> float:
        return points[seat][0] * axis[0] + points[seat][1] * axis[1]

    pieces = [run if along(run[0]) <= along(run[-1]) else run[::-1] for run in pieces]
    pieces.sort(key=lambda run: sum(map(along, run)) / len(run))
    return [seat for run in pieces for seat in run]


def ring_order(points: Sequence[Point], centre: Point, size: tuple[float, float]) -> list[int]:
    """The order in which one walks around a table, as positions in `points`.

    Starts at the first seat and goes the way the list goes. `size` is the
    table's width and height: a long table is walked as if it were a square one.
    """
    width, height = (extent or 1.0 for extent in size)
    angles = [atan2((y - centre[1]) / height, (x - centre[0]) / width) for x, y in points]
    order = sorted(range(len(points)), key=lambda position: angles[position])
    if not order:
        return []
    start = order.index(0)
    order = order[start:] + order[:start]
    backwards = [0, *reversed(order[1:])]
    rises = sum(a < b for a, b in pairwise(order)) - sum(a < b for a, b in pairwise(backwards))
    return order if rises >= 0 else backwards


def typical_pitch(points: Sequence[Point], runs: Iterable[Chain]) -> float:
    """The median step inside runs; 1.0 when there is none."""
    steps = [_between(points[a], points[b]) for run in runs for a, b in pairwise(run)]
    return median(steps) if steps else 1.0


def _between(a: Point, b: Point) -> float:
    return hypot(a[0] - b[0], a[1] - b[1])


def _is_walked(points: Sequence[Point], seats: Sequence[int]) -> bool:
    """No step of the list goes back on the one before: it never turns by more than 90 degrees."""
    if len(seats) < 3:
        return True
    (x0, y0), (x1, y1) = points[seats[0]], points[seats[1]]
    dx, dy = x1 - x0, y1 - y0
    for seat in seats[2:]:
        x2, y2 = points[seat]
        ex, ey = x2 - x1, y2 - y1
        if dx * ex + dy * ey < -1e-9:
            return False
        dx, dy, x1, y1 = ex, ey, x2, y2
    return True


def _set_pitches(points: Sequence[Point], rows: list[_Row]) -> None:
    """Give each row its own pitch, bounded by its section's, bounded by the house's."""
    by_section: dict[int, list[_Row]] = {}
    for row in rows:
        row.pitch = _own_pitch(points, row)
        by_section.setdefault(row.section, []).append(row)
    sections = {section: _common_pitch(group) for section, group in by_section.items()}
    known = [pitch for pitch in sections.values() if pitch]
    house = median(known) if known else 0.0
    for section, group in by_section.items():
        common = min(sections[section], house * TRUSTED_SPREAD)
        for row in group:
            spread = TRUSTED_SPREAD if len(row.seats) >= TRUSTED_ROW_SEATS else 1.0
            row.pitch = min(row.pitch, common * spread)


def _common_pitch(rows: list[_Row]) -> float:
    trusted = [row.pitch for row in rows if len(row.seats) >= TRUSTED_ROW_SEATS]
    known = trusted or [row.pitch for row in rows if len(row.seats) > 1]
    return median(known) if known else 0.0


def _own_pitch(points: Sequence[Point], row: _Row) -> float:
    """The median distance from a seat to the nearest other seat of the row."""
    if len(row.seats) < 2:
        return 0.0
    if row.walked:
        steps = [_between(points[a], points[b]) for a, b in pairwise(row.seats)]
        nearest = [steps[0], *map(min, pairwise(steps)), steps[-1]]
    else:
        nearest = _nearest(points, row.seats)
    return median(nearest)


def _nearest(points: Sequence[Point], seats: Sequence[int]) -> list[float]:
    """Distance from each seat to the nearest other one, in no particular order."""
    swept = _swept(points, seats)
    best = [inf] * len(swept)
    for one, (along, position) in enumerate(swept):
        # Each looks both ways for itself: what is near enough for one may not be for the other.
        for others in (range(one + 1, len(swept)), range(one - 1, -1, -1)):
            for other in others:
                if abs(swept[other][0] - along) >= best[one]:
                    break
                distance = _between(points[seats[position]], points[seats[swept[other][1]]])
                best[one] = min(best[one], distance)
    return best


def _close_pairs(
    points: Sequence[Point], seats: Sequence[int], limit: float
) -> Iterator[tuple[float, int, int]]:
    """(distance, position, higher position) of all pairs at most `limit` apart."""
    swept = _swept(points, seats)
    for one, (along, first) in enumerate(swept):
        for other_along, second in swept[one + 1 :]:
            if other_along - along > limit:
                break
            distance = _between(points[seats[first]], points[seats[second]])
            if distance <= limit:
                yield distance, min(first, second), max(first, second)


def _swept(points: Sequence[Point], seats: Sequence[int]) -> list[tuple[float, int]]:
    """Positions sorted along the longer side of the row, so that close seats are close here."""
    extents = [
        max(points[seat][axis] for seat in seats) - min(points[seat][axis] for seat in seats)
        for axis in (0, 1)
    ]
    axis = 0 if extents[0] >= extents[1] else 1
    return sorted((points[seat][axis], position) for position, seat in enumerate(seats))


def _row_chains(points: Sequence[Point], row: _Row) -> list[tuple[Chain, bool]]:
    limit = row.pitch * GAP_RATIO
    ring = _ring(points, row, limit)
    if ring:
        return [(ring, True)]
    if not row.walked:
        return [(run, False) for run in _greedy_chains(points, row.seats, limit)]
    runs: list[tuple[Chain, bool]] = []
    first = 0
    for position, (a, b) in enumerate(pairwise(row.seats), start=1):
        if _between(points[a], points[b]) > limit:
            runs.append((tuple(row.seats[first:position]), False))
            first = position
    runs.append((tuple(row.seats[first:]), False))
    return runs


def _greedy_chains(points: Sequence[Point], seats: Sequence[int], limit: float) -> list[Chain]:
    """Chain seats from the shortest step up; nobody gets a third neighbour, no loop closes."""
    steps = sorted(
        (distance * (LISTED_PREFERENCE if second - first == 1 else 1.0), first, second)
        for distance, first, second in _close_pairs(points, seats, limit)
    )
    links: list[list[int]] = [[] for _ in seats]
    chain_of = list(range(len(seats)))
    members = [[position] for position in range(len(seats))]
    for _, first, second in steps:
        one, other = chain_of[first], chain_of[second]
        if one == other or len(links[first]) == 2 or len(links[second]) == 2:
            continue
        if second - first > 1 and _hooks(points, seats, links, first, second):
            continue
        links[first].append(second)
        links[second].append(first)
        for position in members[other]:
            chain_of[position] = one
        members[one] += members[other]
    return [
        tuple([seats[position] for position in _walk(links, chain)])
        for chain in _ends_first(points, seats, links)
    ]


def _hooks(
    points: Sequence[Point], seats: Sequence[int], links: list[list[int]], one: int, other: int
) -> bool:
    """The step between two positions turns off sharply from a step already there."""
    for near, far in ((one, other), (other, one)):
        (x, y), (fx, fy) = points[seats[near]], points[seats[far]]
        for before in links[near]:
            bx, by = points[seats[before]]
            onward = (x - bx) * (fx - x) + (y - by) * (fy - y)
            if onward < UNLISTED_TURN_COS * hypot(x - bx, y - by) * hypot(fx - x, fy - y):
                return True
    return False


def _ends_first(points: Sequence[Point], seats: Sequence[int], links: list[list[int]]) -> list[int]:
    """One end of every chain: so that most steps go up the list, else from left to right."""
    starts = []
    seen: set[int] = set()
    for position, neighbours in enumerate(links):
        if position in seen or len(neighbours) == 2:
            continue
        chain = _walk(links, position)
        seen.update(chain)
        up = sum(1 if a < b else -1 for a, b in pairwise(chain))
        first, last = chain[0], chain[-1]
        forward = up > 0 if up else points[seats[first]] <= points[seats[last]]
        starts.append(first if forward else last)
    return starts


def _walk(links: list[list[int]], start: int) -> list[int]:
    chain = [start]
    previous = -1
    while True:
        onward = [position for position in links[chain[-1]] if position != previous]
        if not onward:
            return chain
        previous = chain[-1]
        chain.append(onward[0])


def _ring(points: Sequence[Point], row: _Row, limit: float) -> Chain:
    """The seats in ring order when they stand around something, else nothing.

    Around means: a convex polygon without a side longer than a gap. A list that
    does not go round by itself must moreover turn at every seat, or two lines of
    seats side by side would pass for a table.
    """
    seats = row.seats
    if len(seats) < MIN_RING_SEATS:
        return ()
    if row.walked:
        ring, least_turn = list(seats), 0.0
    else:
        x = sum(points[seat][0] for seat in seats) / len(seats)
        y = sum(points[seat][1] for seat in seats) / len(seats)
        ring = sorted(seats, key=lambda seat: atan2(points[seat][1] - y, points[seat][0] - x))
        least_turn = RING_TURN
    if _between(points[ring[-1]], points[ring[0]]) > limit:
        return ()
    sides = [
        (points[b][0] - points[a][0], points[b][1] - points[a][1])
        for a, b in pairwise([*ring, ring[0]])
    ]
    if any(hypot(*side) > limit for side in sides):
        return ()
    turns = [
        atan2(dx * ey - dy * ex, dx * ex + dy * ey)
        for (dx, dy), (ex, ey) in pairwise([*sides, sides[0]])
    ]
    clockwise = 1 if sum(turns) > 0 else -1
    if min(turn * clockwise for turn in turns) < least_turn - 1e-9:
        return ()
    lowest = ring.index(min(ring))
    return tuple(ring[lowest:] + ring[:lowest])
