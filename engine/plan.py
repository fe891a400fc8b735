"""The seating plan of a venue: an immutable value with true coordinates.

Owns the geometry of a house (sections, rows, seats, tables, areas, drawing) and
what follows from it: who sits next to whom, how far a seat is from the stage,
what a seat is called, and which version of the plan this is. Refuses to know
prices, performances and seat statuses, and how plans are read and written.

A seat's *index* is its dense position in `Plan.seats`; it is valid for one
plan version only. A seat's *id* is stable across versions. Coordinates are
plan units, y grows downwards, the house lies in (0, 0)..(width, height).
"""

from enum import IntFlag
from functools import cached_property
from hashlib import sha256
from itertools import pairwise
from math import hypot

import msgspec

from engine import geometry

NO_SEAT = -1
"""In `Plan.left` and `Plan.right`: there is an aisle, a wall or nothing on that side."""

NO_TABLE = -1
"""In `Seat.table`: the seat does not stand at a table."""


class SeatFlag(IntFlag):
    """Accessibility and view marks of a seat."""

    WHEELCHAIR = 1
    COMPANION = 2
    RESTRICTED_VIEW = 4


class Category(msgspec.Struct, frozen=True, gc=False):
    """A price category (what the seat is); `color` is `#rrggbb`."""

    name: str
    color: str


class Section(msgspec.Struct, frozen=True, gc=False):
    """A named part of the house; `kind` is free ("stalls", "box", "circle", ...)."""

    id: str
    name: str
    kind: str = ""


class Row(msgspec.Struct, frozen=True, gc=False):
    """Seats `first` to `first + count - 1`, in walking order; `section` is an index."""

    section: int
    label: str
    first: int
    count: int


class Seat(msgspec.Struct, frozen=True, gc=False):
    """One numbered place. `row`, `category` and `table` are indices into the plan."""

    id: str
    row: int
    label: str
    x: float
    y: float
    category: int
    table: int = NO_TABLE
    flags: int = 0


class Table(msgspec.Struct, frozen=True):
    """A table and its seats in ring order; `whole` tables are sold only as a whole.

    `x`, `y` is the centre, `rotation` is in degrees clockwise about it, `shape`
    is "round" or "rectangle". The look is as in `Shape`: empty colours and a text
    size of 0 leave it to the renderer, `text_x`, `text_y` is the middle of the
    label relative to the top-left corner (rectangle) or the centre (round), both
    0 meaning the middle of the table.
    """

    id: str
    section: int
    label: str
    x: float
    y: float
    shape: str
    width: float
    height: float
    rotation: float = 0.0
    seats: tuple[int, ...] = ()
    whole: bool = False
    fill: str = ""
    border: str = ""
    text_color: str = ""
    text_size: float = 0.0
    text_x: float = 0.0
    text_y: float = 0.0


class Area(msgspec.Struct, frozen=True):
    """Unnumbered places (standing room): `capacity` people inside `polygon`."""

    id: str
    section: int
    name: str
    capacity: int
    category: int
    polygon: tuple[tuple[float, float], ...]


class Shape(msgspec.Struct, frozen=True):
    """Drawing only: stage, screen, pitch, bar, walls, words.

    `kind` is "rectangle", "circle", "ellipse", "polygon" or "text"; `role` says
    what it stands for: "stage", "screen", "pitch", "bar", "wall", "rail",
    "floor" (of a tier), "label" or "".
    `x`, `y` is the top-left corner of a rectangle, the centre of a circle or an
    ellipse, the origin of `points` of a polygon and the middle of a text; the
    shape is turned about it by `rotation` degrees clockwise. `width` and `height`
    are full extents (a circle's diameter). `text_x`, `text_y` is the middle of the
    text relative to `x`, `y`; both 0 means the middle of the shape. Empty colours
    and a text size of 0 leave the look to the renderer. `section` is an index or
    -1: which part of the house the drawing belongs to.
    """

    kind: str
    x: float
    y: float
    width: float = 0.0
    height: float = 0.0
    rotation: float = 0.0
    points: tuple[tuple[float, float], ...] = ()
    fill: str = ""
    border: str = ""
    text: str = ""
    text_color: str = ""
    text_size: float = 0.0
    text_x: float = 0.0
    text_y: float = 0.0
    role: str = ""
    section: int = -1


class SeatLabel(msgspec.Struct, frozen=True, gc=False):
    """What a ticket prints: the words for section, row and seat (row may be empty)."""

    section: str
    row: str
    seat: str


class Plan(msgspec.Struct, frozen=True, dict=True):
    """One version of one house. Seats are sorted by section, then row, then walk.

    Everything derived is computed at first use and kept: `left`, `right`,
    `runs`, `distances`, `seat_categories`, `seat_sections`, `content_hash()`.
    """

    id: str
    name: str
    width: float
    height: float
    focal: tuple[float, float]
    categories: tuple[Category, ...]
    sections: tuple[Section, ...]
    rows: tuple[Row, ...]
    seats: tuple[Seat, ...]
    tables: tuple[Table, ...] = ()
    areas: tuple[Area, ...] = ()
    shapes: tuple[Shape, ...] = ()

    @cached_property
    def runs(self) -> tuple[tuple[int, ...], ...]:
        """Maximal chains of neighbours in physical order; every seat is in exactly one.

        A run is a ring (a table) when `left[run[0]] == run[-1]` and it has
        three seats or more.
        """
        return self._chains.runs

    @cached_property
    def left(self) -> tuple[int, ...]:
        """Per seat the index of the seat before it in its run, or NO_SEAT."""
        return self._links[0]

    @cached_property
    def right(self) -> tuple[int, ...]:
        """Per seat the index of the seat after it in its run, or NO_SEAT."""
        return self._links[1]

    @cached_property
    def seat_categories(self) -> tuple[int, ...]:
        """Per seat its category index."""
        return tuple([seat.category for seat in self.seats])

    @cached_property
    def seat_sections(self) -> tuple[int, ...]:
        """Per seat its section index."""
        rows = self.rows
        return tuple([rows[seat.row].section for seat in self.seats])

    @cached_property
    def distances(self) -> tuple[float, ...]:
        """Per seat its distance to the focal point, in plan units."""
        fx, fy = self.focal
        return tuple([hypot(seat.x - fx, seat.y - fy) for seat in self.seats])

    @cached_property
    def pitch(self) -> float:
        """Typical distance between neighbours, in plan units; 1.0 for a plan without any."""
        return geometry.typical_pitch(self._points, [run for run in self.runs if len(run) > 1])

    def distance(self, index: int) -> float:
        """Distance of a seat to the focal point, in plan units."""
        return self.distances[index]

    def seat_label(self, index: int) -> SeatLabel:
        """The words for a seat. Raises IndexError for an index outside the plan."""
        seat = self.seats[index]
        row = self.rows[seat.row]
        return SeatLabel(self.sections[row.section].name, row.label, seat.label)

    def seat_index(self, seat_id: str) -> int:
        """The index of a seat id. Raises KeyError when the plan has no such seat."""
        return self._index_by_id[seat_id]

    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical own-format bytes: the identity of this version."""
        return self._content_hash

    @cached_property
    def _content_hash(self) -> str:
        from engine.plan_io import dump_plan  # plan_io builds Plans: a cycle at import time

        return sha256(dump_plan(self)).hexdigest()

    @cached_property
    def _index_by_id(self) -> dict[str, int]:
        return {seat.id: index for index, seat in enumerate(self.seats)}

    @cached_property
    def _points(self) -> list[tuple[float, float]]:
        return [(seat.x, seat.y) for seat in self.seats]

    @cached_property
    def _chains(self) -> geometry.Chains:
        return geometry.chains(
            self._points,
            [(row.section, range(row.first, row.first + row.count)) for row in self.rows],
            [table.seats for table in self.tables],
        )

    @cached_property
    def _links(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        left = [NO_SEAT] * len(self.seats)
        right = [NO_SEAT] * len(self.seats)
        for number, run in enumerate(self.runs):
            for one, other in pairwise(run):
                right[one] = other
                left[other] = one
            if number in self._chains.rings:
                right[run[-1]] = run[0]
                left[run[0]] = run[-1]
        return tuple(left), tuple(right)
