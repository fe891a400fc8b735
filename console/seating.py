"""A seating plan as the console knows it: the gateway's columns, and moving about in them.

Owns reading the columnar plan of `GET /api/plans/{hash}`, the words for a place, finding a
place by its words, and which place lies in a direction. Knows no status, no price and no
terminal cell.

A *spot* is what the cursor can stand on: seat indices first, then the areas, so that spot
`seat_count + a` is area `a`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import hypot
from typing import Final

import msgspec

from engine.plan import Category, Shape
from renderers.i18n import Translator

NO_SEAT: Final = -1
STRAIGHT: Final = 0.8
"""A neighbour in the row is the next seat in a direction when the cosine is at least this."""
CONE: Final = 0.5
"""Other spots must lie within 60 degrees of the direction."""


class SeatRow(msgspec.Struct, array_like=True, frozen=True):
    section: int
    label: str
    first: int
    count: int


class SeatTable(msgspec.Struct, array_like=True, frozen=True):
    section: int
    label: str
    x: float
    y: float
    shape: str
    width: float
    height: float
    rotation: float
    whole: bool
    seats: tuple[int, ...]


class PlanArea(msgspec.Struct, array_like=True, frozen=True):
    section: int
    name: str
    capacity: int
    category: int
    polygon: tuple[tuple[float, float], ...]


class PlanSection(msgspec.Struct, frozen=True):
    id: str
    name: str


class PlanColumns(msgspec.Struct, frozen=True):
    """The columnar plan, as it travels."""

    name: str
    width: float
    height: float
    focal: tuple[float, float]
    pitch: float
    categories: tuple[Category, ...]
    sections: tuple[PlanSection, ...]
    rows: tuple[SeatRow, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    label: tuple[str, ...]
    category: tuple[int, ...]
    flags: tuple[int, ...]
    table: tuple[int, ...]
    runs: tuple[tuple[int, ...], ...]
    tables: tuple[SeatTable, ...] = ()
    areas: tuple[PlanArea, ...] = ()
    shapes: tuple[Shape, ...] = ()


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Spots by square of the house, to look around a point without reading the whole house."""

    side: float
    spots: Mapping[tuple[int, int], Sequence[int]]


class Seating:
    """One plan, with what the console derives from it."""

    def __init__(self, plan: PlanColumns) -> None:
        self.plan = plan
        self.seat_count = len(plan.x)
        self.row_of = [0] * self.seat_count
        for number, row in enumerate(plan.rows):
            self.row_of[row.first : row.first + row.count] = [number] * row.count
        self.left = [NO_SEAT] * self.seat_count
        self.right = [NO_SEAT] * self.seat_count
        for run in plan.runs:
            for one, other in pairwise(run):
                self.right[one], self.left[other] = other, one
        centres = [_centre(area.polygon) for area in plan.areas]
        self.spot_x = [*plan.x, *(x for x, _ in centres)]
        self.spot_y = [*plan.y, *(y for _, y in centres)]
        self._buckets = self._bucketed(plan.pitch * 4)

    @property
    def spot_count(self) -> int:
        return len(self.spot_x)

    @property
    def place_count(self) -> int:
        """How many people the house has room for."""
        return self.seat_count + sum(area.capacity for area in self.plan.areas)

    def area_of(self, spot: int) -> int:
        """The area a spot is, or -1 for a seat."""
        return spot - self.seat_count if spot >= self.seat_count else -1

    def section_of(self, spot: int) -> int:
        area = self.area_of(spot)
        if area >= 0:
            return self.plan.areas[area].section
        return self.plan.rows[self.row_of[spot]].section

    def category_of(self, spot: int) -> int:
        area = self.area_of(spot)
        return self.plan.areas[area].category if area >= 0 else self.plan.category[spot]

    def sold_with(self, seat: int) -> tuple[int, ...]:
        """The seats that go together with this one: a whole table, or the seat alone."""
        table = self.plan.table[seat]
        if table >= 0 and self.plan.tables[table].whole:
            return self.plan.tables[table].seats
        return (seat,)

    # Words -------------------------------------------------------------------

    def words(self, spot: int, t: Translator) -> str:
        """A place in full: "Stalls, row C, seat 12"."""
        area = self.area_of(spot)
        if area >= 0:
            return self.plan.areas[area].name
        row = self.plan.rows[self.row_of[spot]]
        section = self.plan.sections[row.section].name
        label, table = self.plan.label[spot], self.plan.table[spot]
        if table >= 0:
            table_label = self.plan.tables[table].label
            return t("console.place.table", section=section, table=table_label, seat=label)
        if row.label:
            return t("console.place.seat", section=section, row=row.label, seat=label)
        return t("console.place.no_row", section=section, seat=label)

    def short(self, spot: int) -> str:
        """A place where columns are dear: "C 12", or the area's name."""
        area = self.area_of(spot)
        if area >= 0:
            return self.plan.areas[area].name
        table = self.plan.table[spot]
        row = self.plan.rows[self.row_of[spot]]
        label = self.plan.tables[table].label if table >= 0 else row.label
        return f"{label} {self.plan.label[spot]}".strip()

    def brief(self, spot: int) -> str:
        """A place with its section: "Stalls C 12"; an area's name says that by itself."""
        if self.area_of(spot) >= 0:
            return self.short(spot)
        return f"{self.plan.sections[self.section_of(spot)].name} {self.short(spot)}"

    def find(self, text: str, near: int = -1) -> int | None:
        """The spot that words like "C 12", "balcony c12" or an area's name mean, or None.

        The last word is the seat, the one before it the row or table, what stands before that
        the beginning of the section's name. Of several, one in section `near` is preferred.
        """
        words = _words(text)
        if not words:
            return None
        for number, area in enumerate(self.plan.areas):
            if area.name.casefold().startswith(" ".join(words)):
                return self.seat_count + number
        *section, row, seat = ["", *words] if len(words) == 1 else words
        found = self._labelled(" ".join(section), row, seat)
        return next(
            (spot for spot in found if self.section_of(spot) == near), next(iter(found), None)
        )

    def find_seats(self, text: str, near: int = -1) -> list[int]:
        """The seats that "C 12-20, D 4, D 6" names, each once.

        Raises:
            ValueError: a part that names no seat; the text of the error is that part.
        """
        seats: dict[int, None] = {}
        for part in text.split(","):
            first, dash, last = part.partition("-")
            spot = self.find(first, near)
            if spot is None or self.area_of(spot) >= 0:
                raise ValueError(part.strip())
            end = spot
            if dash:
                row = self.plan.rows[self.row_of[spot]]
                ends = [
                    seat
                    for seat in range(row.first, row.first + row.count)
                    if self.plan.label[seat].casefold() == last.strip().casefold()
                ]
                if not ends:
                    raise ValueError(part.strip())
                end = ends[0]
            seats |= dict.fromkeys(range(min(spot, end), max(spot, end) + 1))
        return list(seats)

    def _labelled(self, section: str, row: str, seat: str) -> list[int]:
        found = []
        for candidate in self.plan.rows:
            if not self.plan.sections[candidate.section].name.casefold().startswith(section):
                continue
            for spot in range(candidate.first, candidate.first + candidate.count):
                table = self.plan.table[spot]
                label = self.plan.tables[table].label if table >= 0 else candidate.label
                if self.plan.label[spot].casefold() == seat and (
                    not row or label.casefold() == row
                ):
                    found.append(spot)
        return found

    # Moving ------------------------------------------------------------------

    def start(self) -> int:
        """Where the cursor begins: the middle of what is nearest to the focal point."""
        fx, fy = self.plan.focal
        x, y = self.spot_x, self.spot_y
        return min(range(self.spot_count), key=lambda spot: hypot(x[spot] - fx, y[spot] - fy))

    def step(self, spot: int, dx: int, dy: int) -> int:
        """The next spot in the direction (dx, dy), each -1, 0 or 1; `spot` itself at the edge.

        Along a row the neighbour in the row is taken even where it lies a little aside;
        everywhere else it is the nearest spot, measured so that straight ahead is preferred.
        """
        if spot < self.seat_count:
            for other in (self.left[spot], self.right[spot]):
                if other != NO_SEAT and self._cosine(spot, other, dx, dy) >= STRAIGHT:
                    return other
        return self._nearest(spot, dx, dy)

    def jump(self, spot: int, dx: int, dy: int, reach: float) -> int:
        """The spot ahead that is nearest to the point `reach` units away; `spot` at the edge."""
        x, y = self.spot_x[spot], self.spot_y[spot]
        best, best_away = spot, float("inf")
        for other, (ox, oy) in enumerate(zip(self.spot_x, self.spot_y, strict=True)):
            ahead = (ox - x) * dx + (oy - y) * dy
            if ahead > self.plan.pitch / 2 and ahead >= CONE * hypot(ox - x, oy - y):
                away = hypot(ox - x - dx * reach, oy - y - dy * reach)
                if away < best_away:
                    best, best_away = other, away
        return best

    def at(self, x: float, y: float, within: float) -> int | None:
        """The spot nearest to a point, if one is within a distance; an area by its outline."""
        near = [
            spot
            for spot in self._around(x, y, within)
            if hypot(self.spot_x[spot] - x, self.spot_y[spot] - y) <= within
        ]
        if near:
            return min(near, key=lambda s: hypot(self.spot_x[s] - x, self.spot_y[s] - y))
        for number, area in enumerate(self.plan.areas):
            if inside(area.polygon, x, y):
                return self.seat_count + number
        return None

    def _cosine(self, spot: int, other: int, dx: int, dy: int) -> float:
        vx = self.spot_x[other] - self.spot_x[spot]
        vy = self.spot_y[other] - self.spot_y[spot]
        return (vx * dx + vy * dy) / (hypot(vx, vy) * hypot(dx, dy) or 1.0)

    def _nearest(self, spot: int, dx: int, dy: int) -> int:
        reach = self._buckets.side
        limit = hypot(self.plan.width, self.plan.height) + reach
        x, y = self.spot_x[spot], self.spot_y[spot]
        while True:
            best, best_cost = spot, float("inf")
            for other in self._around(x, y, reach):
                ahead = (self.spot_x[other] - x) * dx + (self.spot_y[other] - y) * dy
                if ahead <= 1e-6:
                    continue
                away = hypot(self.spot_x[other] - x, self.spot_y[other] - y)
                if ahead < CONE * away:
                    continue
                # Twice the sideways step: a seat half a pitch aside in the next row still
                # beats one straight ahead two rows on.
                cost = ahead + 2 * (away * away - ahead * ahead) ** 0.5
                if cost < best_cost:
                    best, best_cost = other, cost
            if (best != spot and best_cost <= reach) or reach > limit:
                return best
            reach *= 2

    def _around(self, x: float, y: float, reach: float) -> list[int]:
        side = self._buckets.side
        columns = range(int((x - reach) // side), int((x + reach) // side) + 1)
        lines = range(int((y - reach) // side), int((y + reach) // side) + 1)
        found = self._buckets.spots
        return [
            spot for line in lines for column in columns for spot in found.get((column, line), ())
        ]

    def _bucketed(self, side: float) -> _Bucket:
        spots: dict[tuple[int, int], list[int]] = {}
        for spot, (x, y) in enumerate(zip(self.spot_x, self.spot_y, strict=True)):
            spots.setdefault((int(x // side), int(y // side)), []).append(spot)
        return _Bucket(side, spots)


def inside(polygon: Sequence[tuple[float, float]], x: float, y: float) -> bool:
    """Whether a point lies in a polygon (even-odd rule)."""
    within = False
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
        if (y0 > y) != (y1 > y) and x < x0 + (y - y0) / (y1 - y0) * (x1 - x0):
            within = not within
    return within


def _words(text: str) -> list[str]:
    """Words in small letters; a seat written on to its row, "c12", counts as two."""
    *first, last = text.casefold().split() or [""]
    together = re.fullmatch(r"([^\W\d_]+)(\d+)", last)
    return [*first, *(together.groups() if together else filter(None, [last]))]


def _centre(polygon: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The middle of a polygon's extent."""
    xs, ys = [x for x, _ in polygon], [y for _, y in polygon]
    return (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
