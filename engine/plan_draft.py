"""A plan being put together: from a file of any format, or drawn in code.

Owns the checks that compare things with each other (labels, ids, places, the
size of the house), the guesses that a file may leave to us (walking order, focal
point) and the making of the immutable `Plan`. Knows no file format.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from math import floor, hypot, isnan
from statistics import median

from msgspec import structs

from engine import geometry, limits
from engine.plan import NO_TABLE, Area, Category, Plan, Row, Seat, Section, Shape, Table
from engine.plan_check import PLACES, Path, PlanError, Problems, shown_path
from engine.plan_shapes import focal_point

SPOT_RATIO = 0.04
"""Two seats closer than this many pitches stand in one spot."""


SPOTS_PER_CELL = 20
"""Cells much larger than a spot: most seats then look into one cell only, and find few there."""


@dataclass(slots=True)
class DraftSeat:
    """A seat and where the file speaks of it.

    What could not be read, which is an error of its own, is "" or NaN: checks pass over it.
    """

    id: str
    label: str
    x: float
    y: float
    category: int
    flags: int = 0
    path: Path = ()


@dataclass(slots=True)
class DraftRow:
    label: str
    seats: list[DraftSeat] = field(default_factory=list)
    path: Path = ()


@dataclass(slots=True)
class DraftTable:
    """A table and its row; `table` is complete but for its `section` and `seats`."""

    table: Table
    row: str
    seats: list[DraftSeat] = field(default_factory=list)
    path: Path = ()


@dataclass(slots=True)
class DraftSection:
    """`areas` and `tables` hold their values complete but for their `section`."""

    id: str
    name: str
    kind: str = ""
    rows: list[DraftRow] = field(default_factory=list)
    tables: list[DraftTable] = field(default_factory=list)
    areas: list[tuple[Area, Path]] = field(default_factory=list)
    path: Path = ()


@dataclass(slots=True)
class Draft:
    """The parts of a house. `finish` makes the plan, or says why not."""

    id: str = ""
    name: str = ""
    width: float = 0.0
    height: float = 0.0
    focal: tuple[float, float] | None = None
    categories: list[Category] = field(default_factory=list)
    sections: list[DraftSection] = field(default_factory=list)
    shapes: list[Shape] = field(default_factory=list)

    def finish(self, problems: Problems | None = None, *, reorder: bool = False) -> Plan:
        """Check everything, then make the plan.

        Args:
            problems: What reading found so far; an error in it keeps the plan from being made.
            reorder: Put the seats of each row in walking order and those of each
                table in ring order; otherwise the order given is kept.

        Raises:
            PlanError: there were errors, here or before.
        """
        problems = problems or Problems()
        _check(self, problems)
        if problems.errors:
            raise PlanError(problems.found())
        return self._plan(reorder)

    def seats(self) -> Iterator[tuple[DraftSection, str, DraftSeat]]:
        """Every seat with its section and the label of its row."""
        for section in self.sections:
            for row in section.rows:
                for seat in row.seats:
                    yield section, row.label, seat
            for table in section.tables:
                for seat in table.seats:
                    yield section, table.row, seat

    def _plan(self, reorder: bool) -> Plan:
        rows: list[Row] = []
        seats: list[Seat] = []
        tables: list[Table] = []
        areas: list[Area] = []
        for number, section in enumerate(self.sections):
            for row in section.rows:
                ordered = _walked(row.seats) if reorder else row.seats
                _append(rows, seats, number, row.label, ordered, NO_TABLE)
            for draft in section.tables:
                ordered = _around(draft.table, draft.seats) if reorder else draft.seats
                first = len(seats)
                if ordered:
                    _append(rows, seats, number, draft.row, ordered, len(tables))
                ring = tuple(range(first, len(seats)))
                tables.append(structs.replace(draft.table, section=number, seats=ring))
            areas += [structs.replace(area, section=number) for area, _ in section.areas]
        focal = self.focal or focal_point(
            self.shapes,
            [(seat.x, seat.y) for seat in seats]
            or [point for area in areas for point in area.polygon],
        )
        return Plan(
            id=self.id or slug(self.name),
            name=self.name,
            width=self.width,
            height=self.height,
            focal=(round(focal[0], PLACES), round(focal[1], PLACES)),
            categories=tuple(self.categories),
            sections=tuple([Section(item.id, item.name, item.kind) for item in self.sections]),
            rows=tuple(rows),
            seats=tuple(seats),
            tables=tuple(tables),
            areas=tuple(areas),
            shapes=tuple(self.shapes),
        )


def slug(name: str) -> str:
    """A short plain id out of a name: "Théâtre de l'Atelier" gives "theatre-de-l-atelier"."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:60] or "plan"


def unique(wanted: str, taken: set[str]) -> str:
    """`wanted`, numbered if it is taken already; takes it."""
    found, number = wanted, 1
    while found in taken:
        number += 1
        found = f"{wanted}-{number}"
    taken.add(found)
    return found


def _append(
    rows: list[Row],
    seats: list[Seat],
    section: int,
    label: str,
    drafts: list[DraftSeat],
    table: int,
) -> None:
    row = len(rows)
    rows.append(Row(section, label, len(seats), len(drafts)))
    seats.extend(
        Seat(item.id, row, item.label, item.x, item.y, item.category, table, item.flags)
        for item in drafts
    )


def _walked(seats: list[DraftSeat]) -> list[DraftSeat]:
    order = geometry.walking_order([(seat.x, seat.y) for seat in seats])
    return [seats[position] for position in order]


def _around(table: Table, seats: list[DraftSeat]) -> list[DraftSeat]:
    points = [(seat.x, seat.y) for seat in seats]
    order = geometry.ring_order(points, (table.x, table.y), (table.width, table.height))
    return [seats[position] for position in order]


def _check(draft: Draft, problems: Problems) -> None:
    """Everything that takes more than one thing, or the whole, to be wrong."""
    seats = list(draft.seats())
    areas = [item for section in draft.sections for item in section.areas]
    tables = [item for section in draft.sections for item in section.tables]
    if not seats and not areas and not problems.errors:
        problems.error("empty-plan", ())
    for what, found, most in (
        ("seats", len(seats), limits.MAX_SEATS_PER_PLAN),
        ("areas", len(areas), limits.MAX_AREAS_PER_PLAN),
        ("sections", len(draft.sections), limits.MAX_SECTIONS_PER_PLAN),
        ("categories", len(draft.categories), limits.MAX_CATEGORIES_PER_PLAN),
        ("shapes", len(draft.shapes), limits.MAX_SHAPES_PER_PLAN),
    ):
        if found > most:
            problems.error("too-many", (), what=what, found=found, most=most)
    for section in draft.sections:
        for row in section.rows:
            found = len(row.seats)
            if found > limits.MAX_SEATS_PER_ROW:
                most = limits.MAX_SEATS_PER_ROW
                problems.error("too-many", row.path, what="seats", found=found, most=most)
    _check_unique(problems, "section", [(item.id, item.path) for item in draft.sections])
    _check_unique(problems, "table", [(item.table.id, item.path) for item in tables])
    _check_unique(problems, "area", [(area.id, path) for area, path in areas])
    _check_unique(problems, "seat", [(seat.id, seat.path) for _, _, seat in seats])
    _check_labels(problems, seats)
    _check_spots(problems, [seat for _, _, seat in seats], _seat_pitch(draft))
    _check_inside(draft, problems, seats, areas)


def _check_unique(problems: Problems, what: str, ids: list[tuple[str, Path]]) -> None:
    first: dict[str, Path] = {}
    for item_id, path in ids:
        if not item_id:  # missing, which has been noted
            continue
        if item_id in first:
            other = shown_path(first[item_id])
            problems.error("duplicate-id", path, what=what, id=item_id, other=other)
        first.setdefault(item_id, path)


def _check_labels(problems: Problems, seats: list[tuple[DraftSection, str, DraftSeat]]) -> None:
    """Two seats whose tickets would read the same."""
    first: dict[tuple[str, str, str], Path] = {}
    for section, row, seat in seats:
        label = (section.name, row, seat.label)
        if not seat.label:
            continue
        if label in first:
            problems.error(
                "duplicate-label",
                seat.path,
                section=section.name,
                row=row,
                seat=seat.label,
                other=shown_path(first[label]),
            )
        else:
            first[label] = seat.path


def _seat_pitch(draft: Draft) -> float:
    groups = [row.seats for section in draft.sections for row in section.rows]
    groups += [table.seats for section in draft.sections for table in section.tables]
    steps = [
        step
        for group in groups
        for one, other in pairwise(group)
        if (step := hypot(one.x - other.x, one.y - other.y)) > 0
    ]
    return median(steps) if steps else 0.0


def _check_spots(problems: Problems, seats: list[DraftSeat], pitch: float) -> None:
    """Two seats in one spot. The house is cut into cells so that only close seats are compared."""
    spot = max(pitch * SPOT_RATIO, 10.0**-PLACES)
    size = spot * SPOTS_PER_CELL
    cells: dict[tuple[int, int], list[DraftSeat]] = {}
    for seat in seats:
        if isnan(seat.x):
            continue
        other = _seat_within(cells, size, seat.x, seat.y, spot)
        if other is None:
            cells.setdefault((floor(seat.x / size), floor(seat.y / size)), []).append(seat)
        else:
            where = shown_path(other.path)
            problems.error("same-spot", seat.path, x=seat.x, y=seat.y, other=where)


def _seat_within(
    cells: dict[tuple[int, int], list[DraftSeat]], size: float, x: float, y: float, reach: float
) -> DraftSeat | None:
    left, right = floor((x - reach) / size), floor((x + reach) / size)
    top, bottom = floor((y - reach) / size), floor((y + reach) / size)
    for column in range(left, right + 1):
        for line in range(top, bottom + 1):
            for other in cells.get((column, line), ()):
                if hypot(x - other.x, y - other.y) < reach:
                    return other
    return None


def _check_inside(
    draft: Draft,
    problems: Problems,
    seats: list[tuple[DraftSection, str, DraftSeat]],
    areas: list[tuple[Area, Path]],
) -> None:
    width, height = draft.width, draft.height
    if not width or not height:  # already an error of its own
        return
    for _, _, seat in seats:
        if not ((0 <= seat.x <= width and 0 <= seat.y <= height) or isnan(seat.x)):
            problems.error("outside", seat.path, x=seat.x, y=seat.y, width=width, height=height)
    for area, path in areas:
        for x, y in area.polygon:
            if not (0 <= x <= width and 0 <= y <= height):
                problems.error("outside", path, x=x, y=y, width=width, height=height)
                break
