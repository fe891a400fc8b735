"""A seating plan laid out for speed: every row of neighbours is one slice of bytes.

Owns the *positions*: a dense numbering of the seats in which the seats of a run
follow each other and a wall stands between runs, so that the left neighbour of
a position is the one before it, a run is a slice, and "four free seats side by
side" is one `find`. Owns the codes that stand at the positions. Knows nothing
of holds, channels or prices, and never changes once built.

A chair at a table stands between two walls: round a table nobody sits alone, so
the rules about neighbours speak of rows only. Tables are listed apart.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, groupby
from typing import Final, Literal, NamedTuple, TypeVar

from msgspec import Struct, structs

from engine.commands import SeatStatus
from engine.plan import NO_TABLE, Plan, SeatFlag

AVAILABLE: Final = 0
HELD: Final = 1
SOLD: Final = 2
BLOCKED: Final = 3
FIRST_ALLOCATION: Final = 4
"""Codes from here up to LAST_ALLOCATION: free, but kept for the channels of one allocation."""
LAST_ALLOCATION: Final = 253
SURPLUS: Final = 254
"""Free, but sold at the tills alone."""
WALL: Final = 255

PUBLIC_STATUS: Final = bytes([0, 1, 2, 3] + [int(SeatStatus.BLOCKED)] * 252)
"""Translates codes into the feed's statuses: what is kept for somebody is not on sale."""

NO_SEAT: Final = -1
"""What stands at a wall, in place of a seat."""

SCATTERED: Final = -1
"""In place of the position of the first, for seats that do not stand side by side."""

_EDGE: Final = 2
"""Walls at both ends, so that looking two positions to either side never leaves the house."""

DISTANCE_UNITS: Final = 1_024
"""Distances are counted in this fraction of the plan's pitch."""

_WHEELCHAIR: Final = int(SeatFlag.WHEELCHAIR)

_T = TypeVar("_T")

_MAX_CHOICES: Final = 64
"""Filtered lists of stretches kept for the next question with the same filter."""


class Stretch(NamedTuple):
    """A slice of a run in which every seat passes a filter: positions; distance of its nearest."""

    first: int
    end: int
    section: int
    nearest: int
    walled: bool
    """Nothing but walls beside it: the run ends at both ends."""


class Piece(NamedTuple):
    """A slice of a run with one category throughout, and wheelchair places or none."""

    first: int
    end: int
    section: int
    nearest: int
    category: int
    wheelchair: bool


class Layout(Struct, array_like=True, frozen=True):
    """What a `House` is made of: worked out of a plan once (`lay_out`), and then only read.

    Columns are arrays of this machine's numbers, as bytes, by seat or by position.

    Attributes:
        outline: The plan without its rows, seats and drawing.
        categories, sections: Per seat, indices into the plan.
        points: Per seat its x and its y, in seat widths.
        seat_at, distance_sums, wheelchair_sums, runs, pieces: As in `House`.
    """

    outline: Plan
    categories: bytes  # i
    sections: bytes  # i
    points: bytes  # d
    seat_at: bytes  # i
    distance_sums: bytes  # q
    wheelchair_sums: bytes  # i
    runs: tuple[tuple[int, int], ...]
    pieces: tuple[Piece, ...]


def lay_out(plan: Plan) -> Layout:
    """Number the positions of a plan, and add up what is asked of slices of them.

    Raises:
        OverflowError: A seat is further away than an array's number can tell.
    """
    seat_at = [NO_SEAT] * _EDGE
    runs = []
    for run in _row_runs(plan):
        first = len(seat_at)
        # Most rows count up one way or the other; rules are fastest on those that do.
        seat_at += run if run[0] < run[-1] else run[::-1]
        runs.append((first, len(seat_at)))
        seat_at.append(NO_SEAT)
    for seat in sorted(chain.from_iterable([table.seats for table in plan.tables])):
        seat_at += (seat, NO_SEAT)
    seat_at += [NO_SEAT] * _EDGE
    pitch, seats, categories = plan.pitch, plan.seats, plan.seat_categories
    scale = DISTANCE_UNITS / pitch
    rounded = [round(distance * scale) for distance in plan.distances]
    distances = list(_laid(rounded, 0, seat_at))
    chairs = list(_laid([bool(seat.flags & _WHEELCHAIR) for seat in seats], False, seat_at))
    kinds = list(zip(_laid(categories, NO_SEAT, seat_at), chairs, strict=True))
    pieces = []
    for first, end in runs:
        section = plan.seat_sections[seat_at[first]]
        # Cut wherever the category or the kind of place changes.
        for kind, alike in groupby(kinds[first:end]):
            cut = first + len(list(alike))
            pieces.append(Piece(first, cut, section, min(distances[first:cut]), *kind))
            first = cut
    return Layout(
        structs.replace(plan, rows=(), seats=(), shapes=()),
        array("i", categories).tobytes(),
        array("i", plan.seat_sections).tobytes(),
        array("d", [part / pitch for seat in seats for part in (seat.x, seat.y)]).tobytes(),
        array("i", seat_at).tobytes(),
        array("q", accumulate(distances, initial=0)).tobytes(),
        array("i", accumulate(chairs, initial=0)).tobytes(),
        tuple(runs),
        tuple(pieces),
    )


class House:
    """The layout of one plan, laid out already or not.

    Attributes:
        outline: The plan without its rows, seats and drawing.
        seat_count, area_count: Sizes of the plan.
        positions: Per seat its position.
        seat_at: Per position its seat, or NO_SEAT for a wall.
        runs: (first, end) positions of each row of neighbours.
        categories, sections: Per seat, indices into the plan.
        distance_sums: Per position the sum of the distances to the focal point of
            the positions before it, so that a slice's sum is one subtraction. In
            1/DISTANCE_UNITS of a seat's width, whole numbers, so that ties are ties.
        wheelchair_sums: Per position how many wheelchair places stand before it.
        whole_tables: Per seat of a table sold as a whole, all the seats of that table.
    """

    __slots__ = (
        "_choices",
        "_pieces",
        "_points",
        "area_count",
        "categories",
        "distance_sums",
        "outline",
        "positions",
        "runs",
        "seat_at",
        "seat_count",
        "sections",
        "wheelchair_sums",
        "whole_tables",
    )

    def __init__(self, plan: Plan | Layout) -> None:
        layout = plan if isinstance(plan, Layout) else lay_out(plan)
        self.outline = outline = layout.outline
        self.categories = _numbers(layout.categories, "i")
        self.sections = _numbers(layout.sections, "i")
        self.seat_count = len(self.categories)
        self.area_count = len(outline.areas)
        # An array: its numbers lie close together, and a decision waits less for memory. A tuple:
        # its slices compare with the seats of a command.
        self.seat_at = _numbers(layout.seat_at, "i")
        self.positions = array("i", bytes(4 * self.seat_count))
        for position, seat in enumerate(self.seat_at):
            if seat != NO_SEAT:
                self.positions[seat] = position
        self.runs = layout.runs
        self.distance_sums = _numbers(layout.distance_sums, "q")
        self.wheelchair_sums = _numbers(layout.wheelchair_sums, "i")
        self._points: bytes | list[tuple[float, float]] = layout.points
        self._pieces = layout.pieces
        self._choices: dict[tuple[frozenset[int], frozenset[int], bool], tuple[Stretch, ...]] = {}
        self.whole_tables = {
            seat: table.seats for table in outline.tables if table.whole for seat in table.seats
        }

    @property
    def points(self) -> list[tuple[float, float]]:
        """Per position its (x, y) in seat widths: asked for parties that must be split, only."""
        if isinstance(self._points, bytes):
            parts = iter(memoryview(self._points).cast("d"))
            points = list(zip(parts, parts, strict=True))
            self._points = list(_laid(points, (0.0, 0.0), self.seat_at))
        return self._points

    def empty(self) -> bytearray:
        """One byte per position: walls, and every seat available."""
        return self.laid_out(bytes([AVAILABLE]) * self.seat_count)

    def laid_out(self, codes: bytes) -> bytearray:
        """Codes in the order of the plan's seats, at their positions: the way back of `by_seat`."""
        return bytearray(_laid(codes, WALL, self.seat_at))

    def distance(self, position: int) -> int:
        """To the focal point, in 1/DISTANCE_UNITS of a seat's width."""
        return self.distance_sums[position + 1] - self.distance_sums[position]

    def straight(self, seats: tuple[int, ...]) -> int:
        """The position of the first of seats side by side in this order, else SCATTERED.

        Any numbers may be given: those that are no seats do not stand side by side.
        """
        try:
            first = self.positions[seats[0]]
        except IndexError:
            return SCATTERED
        # A negative number counts from the end, and is then no seat that stands there.
        return first if self.seat_at[first : first + len(seats)] == seats else SCATTERED

    def by_seat(self, codes: bytearray) -> bytes:
        """What stands at the positions, in the order of the plan's seats."""
        return bytes([codes[position] for position in self.positions])

    def stretches(
        self,
        categories: frozenset[int],
        sections: frozenset[int] = frozenset(),
        wheelchairs: bool = True,
    ) -> tuple[Stretch, ...]:
        """The slices of rows that pass the filter, nearest to the focal point first.

        Args:
            categories: Those allowed.
            sections: Those allowed; empty for all.
            wheelchairs: False leaves out wheelchair places.
        """
        key = (categories, sections, wheelchairs)
        found = self._choices.get(key)
        if found is None:
            if len(self._choices) >= _MAX_CHOICES:
                self._choices.clear()
            found = self._choices[key] = tuple(self._choose(*key))
        return found

    def _choose(
        self, categories: frozenset[int], sections: frozenset[int], wheelchairs: bool
    ) -> list[Stretch]:
        chosen: list[Stretch] = []
        seat_at = self.seat_at
        for first, end, section, nearest, category, wheelchair in self._pieces:
            if category not in categories or (sections and section not in sections):
                continue
            if wheelchair and not wheelchairs:
                continue
            if chosen and chosen[-1].end == first:
                before = chosen.pop()
                first, nearest = before.first, min(before.nearest, nearest)
            walled = seat_at[first - 1] == NO_SEAT and seat_at[end] == NO_SEAT
            chosen.append(Stretch(first, end, section, nearest, walled))
        chosen.sort(key=lambda stretch: (stretch.nearest, stretch.first))
        return chosen


def _laid(by_seat: Iterable[_T], at_wall: _T, seat_at: Sequence[int]) -> Iterator[_T]:
    """Position by position what is said of its seat."""
    # NO_SEAT is the index of the last.
    return map((*by_seat, at_wall).__getitem__, seat_at)


def _numbers(column: bytes, kind: Literal["i", "q"]) -> tuple[int, ...]:
    return tuple(memoryview(column).cast(kind))


def _row_runs(plan: Plan) -> Iterator[tuple[int, ...]]:
    for run in plan.runs:
        if plan.seats[run[0]].table == NO_TABLE:
            yield run
