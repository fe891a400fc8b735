"""Where each seat, label and drawing of a house lies in a terminal, at three zooms.

Owns the way from plan units to cells: scale, one cell for one seat, room for the words
between seats, and the background of stage and areas. Knows no status, colour or widget; a
layout is made once per plan, zoom and (for the overview) size, and only read afterwards.

A cell is taken to be twice as high as wide, so one line is worth two columns and the house
keeps its proportions. Lines and columns count from the top left of the layout.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from math import cos, floor, pi, radians, sin
from typing import Final

from console.seating import Seating
from engine.plan import Shape

MARGIN_COLUMNS: Final = 4
MARGIN_LINES: Final = 1
ELLIPSE_CORNERS: Final = 24
DENSE_SEATS_PER_CELL: Final = 2
AREA_COLUMNS: Final = 9
"""Kept free in the middle of an area for its number of free places."""
MAX_NUDGE: Final = 12
"""Cells a seat may be moved aside when another stands where it should."""


class Zoom(IntEnum):
    """OVERVIEW shows the whole house, ROWS one cell a seat, CLOSE each seat with its number."""

    OVERVIEW = 0
    ROWS = 1
    CLOSE = 2


SEAT_COLUMNS: Final = {Zoom.OVERVIEW: 1, Zoom.ROWS: 1, Zoom.CLOSE: 4}
"""Columns drawn for one seat: its glyph, and at CLOSE its number beside it."""
PITCH_COLUMNS: Final = {Zoom.ROWS: 2.0, Zoom.CLOSE: 5.0}
PITCH_LINES: Final = {Zoom.ROWS: 1.0, Zoom.CLOSE: 2.0}


class Ground(IntEnum):
    """What lies under the seats."""

    FLOOR = 0
    STAGE = 1
    WALL = 2
    TABLE = 3
    AREA = 4


STRETCHES: Final = (1.05, 1.1, 1.2, 1.35, 1.5)
"""Rows closer than seats would share lines: such houses are drawn a little taller."""
BEARABLE_CROWDING: Final = 0.005
"""Share of seats that may fall on another's cell before a house is drawn taller."""
CROWDING_SAMPLE: Final = 3_000
"""Seats looked at for that, from the first on: whole neighbouring rows."""


@dataclass(frozen=True, slots=True)
class Words:
    """Text in the map: a row's name, a section's, the stage's."""

    column: int
    text: str
    strong: bool


@dataclass(frozen=True, slots=True)
class Span:
    """Columns `start` to `end` - 1 of one line; `area` is an index, or -1."""

    start: int
    end: int
    ground: Ground
    area: int = -1


@dataclass(slots=True)
class Line:
    """One line of the map: seats by the column of their glyph, words, the ground, areas."""

    seats: dict[int, list[int]] = field(default_factory=dict)
    words: list[Words] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)


@dataclass(slots=True)
class MapLayout:
    """A house in cells. `cells` holds (column, line) per spot, areas after the seats.

    `dense` is set where most cells hold several seats, so that single seats are not told apart.
    """

    zoom: Zoom
    columns: int
    lines: list[Line]
    cells: list[tuple[int, int]]
    origin: tuple[float, float]
    scale: tuple[float, float]
    dense: bool = False

    def point(self, column: float, line: float) -> tuple[float, float]:
        """The plan's coordinates of the middle of a cell."""
        (left, top), (sx, sy) = self.origin, self.scale
        return (column - MARGIN_COLUMNS) / sx + left, (line - MARGIN_LINES) / sy + top


def lay_out(seating: Seating, zoom: Zoom, columns: int, lines: int) -> MapLayout:
    """The layout of a plan; `columns` by `lines` is the room that the overview must fit in."""
    left, top, right, bottom = extent(seating)
    sx, sy = _scale(seating, zoom, right - left, bottom - top, columns, lines)
    maker = _Maker(seating, zoom, (left, top), (sx, sy), right - left, bottom - top)
    return maker.make()


def extent(seating: Seating) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of everything drawn: a plan's own size may have wide borders."""
    xs = list(seating.plan.x)
    ys = list(seating.plan.y)
    for polygon in (
        *(area.polygon for area in seating.plan.areas),
        *(outline(shape) for shape in seating.plan.shapes if shape.kind != "text"),
    ):
        xs += [x for x, _ in polygon]
        ys += [y for _, y in polygon]
    return min(xs), min(ys), max(xs), max(ys)


def outline(shape: Shape) -> list[tuple[float, float]]:
    """The corners of a drawing in plan units; a text has none."""
    if shape.kind == "rectangle":
        corners = [(0.0, 0.0), (shape.width, 0.0), (shape.width, shape.height), (0.0, shape.height)]
    elif shape.kind in ("circle", "ellipse"):
        rx, ry = shape.width / 2, (shape.height or shape.width) / 2
        turns = [2 * pi * corner / ELLIPSE_CORNERS for corner in range(ELLIPSE_CORNERS)]
        corners = [(rx * cos(turn), ry * sin(turn)) for turn in turns]
    else:
        corners = [(x, y) for x, y in shape.points]
    turn = radians(shape.rotation)
    return [
        (shape.x + x * cos(turn) - y * sin(turn), shape.y + x * sin(turn) + y * cos(turn))
        for x, y in corners
    ]


def _scale(
    seating: Seating, zoom: Zoom, width: float, height: float, columns: int, lines: int
) -> tuple[float, float]:
    """Columns and lines per plan unit."""
    pitch = seating.plan.pitch
    finest = PITCH_COLUMNS[Zoom.ROWS] / pitch
    if zoom is not Zoom.OVERVIEW:
        sx, sy = PITCH_COLUMNS[zoom] / pitch, PITCH_LINES[zoom] / pitch
        crowded = {1.0: _crowding(seating, sx, sy, SEAT_COLUMNS[zoom])}
        for stretch in STRETCHES:
            if min(crowded.values()) <= BEARABLE_CROWDING:
                break
            crowded[stretch] = _crowding(seating, sx, sy * stretch, SEAT_COLUMNS[zoom])
        return sx, sy * min(crowded, key=lambda stretch: (crowded[stretch], stretch))
    sx = min(
        (columns - 2 * MARGIN_COLUMNS - 1) / (width or 1.0),
        2 * (lines - 2 * MARGIN_LINES - 1) / (height or 1.0),
        finest,
    )
    return max(sx, 1e-9), max(sx, 1e-9) / 2


def _crowding(seating: Seating, sx: float, sy: float, width: int) -> float:
    """Which share of the seats would fall on another at this scale."""
    xs, ys = seating.plan.x[:CROWDING_SAMPLE], seating.plan.y[:CROWDING_SAMPLE]
    cells = {
        (floor(x * sx / width + 0.5), floor(y * sy + 0.5)) for x, y in zip(xs, ys, strict=True)
    }
    return 1 - len(cells) / (len(xs) or 1)


class _Maker:
    """Fills one layout, in order of importance: ground, seats, then words where room is left."""

    def __init__(
        self,
        seating: Seating,
        zoom: Zoom,
        origin: tuple[float, float],
        scale: tuple[float, float],
        width: float,
        height: float,
    ) -> None:
        self.seating = seating
        self.zoom = zoom
        self.seat_columns = SEAT_COLUMNS[zoom]
        self.origin = origin
        self.scale = scale
        self.taken: set[tuple[int, int]] = set()
        columns = floor(width * scale[0] + 0.5) + self.seat_columns + 2 * MARGIN_COLUMNS
        lines = floor(height * scale[1] + 0.5) + 1 + 2 * MARGIN_LINES
        self.layout = MapLayout(zoom, columns, [Line() for _ in range(lines)], [], origin, scale)

    def make(self) -> MapLayout:
        plan = self.seating.plan
        for shape in plan.shapes:
            self._ground(outline(shape), _ground_of(shape))
        for number, area in enumerate(plan.areas):
            self._ground(area.polygon, Ground.AREA, number)
        self._seats()
        for spot in range(self.seating.seat_count, self.seating.spot_count):
            self.layout.cells.append(
                self._cell(self.seating.spot_x[spot], self.seating.spot_y[spot])
            )
        for number, area in enumerate(plan.areas):
            self._area_name(self.seating.seat_count + number, area.name)
        for table in plan.tables:
            if self.zoom is not Zoom.OVERVIEW:
                self._words(*self._cell(table.x, table.y), table.label, strong=False)
        for shape in plan.shapes:
            self._shape_words(shape)
        if self.zoom is not Zoom.OVERVIEW:
            self._row_names()
        self._section_names()
        used = sum(len(line.seats) for line in self.layout.lines)
        self.layout.dense = self.seating.seat_count >= DENSE_SEATS_PER_CELL * used > 0
        return self.layout

    def _cell(self, x: float, y: float) -> tuple[int, int]:
        (left, top), (sx, sy) = self.origin, self.scale
        return (
            MARGIN_COLUMNS + floor((x - left) * sx + 0.5),
            MARGIN_LINES + floor((y - top) * sy + 0.5),
        )

    # Seats -------------------------------------------------------------------

    def _seats(self) -> None:
        plan, cells = self.seating.plan, self.layout.cells
        for seat in range(self.seating.seat_count):
            column, line = self._cell(plan.x[seat], plan.y[seat])
            if self.zoom is not Zoom.OVERVIEW:
                column, line = self._free_near(column, line)
            cells.append((column, line))
            self._take(column, line, self.seat_columns)
            self.layout.lines[line].seats.setdefault(column, []).append(seat)

    def _free_near(self, column: int, line: int) -> tuple[int, int]:
        """The free cell nearest to where a seat should be; lines count double, as they look."""
        for dc, dl in _NUDGES:
            there = column + dc, line + dl
            if 0 <= there[1] < len(self.layout.lines) and self._is_free(*there, self.seat_columns):
                return there
        return column, line

    def _is_free(self, column: int, line: int, width: int) -> bool:
        if column < 0 or not 0 <= line < len(self.layout.lines):
            return False
        if column + width > self.layout.columns:
            return False
        return all((column + step, line) not in self.taken for step in range(width))

    def _take(self, column: int, line: int, width: int) -> None:
        self.taken.update((column + step, line) for step in range(width))

    # Ground ------------------------------------------------------------------

    def _ground(
        self, polygon: Sequence[tuple[float, float]], ground: Ground, area: int = -1
    ) -> None:
        if ground is Ground.FLOOR or len(polygon) < 3:
            return
        (left, top), (sx, sy) = self.origin, self.scale
        points = [
            (MARGIN_COLUMNS + (x - left) * sx, MARGIN_LINES + (y - top) * sy) for x, y in polygon
        ]
        for number, line in enumerate(self.layout.lines):
            for start, end in _crossings(points, number):
                if round(end) > round(start):
                    line.spans.append(Span(max(0, round(start)), round(end), ground, area))

    # Words -------------------------------------------------------------------

    def _words(self, column: int, line: int, text: str, strong: bool) -> bool:
        """Write centred on a cell if nothing stands there."""
        text = text.strip()
        start = column - len(text) // 2
        if not text or not self._is_free(start - 1, line, len(text) + 2):
            return False
        self._take(start, line, len(text))
        self.layout.lines[line].words.append(Words(start, text, strong))
        return True

    def _area_name(self, spot: int, name: str) -> None:
        column, line = self.layout.cells[spot]
        self.layout.lines[line].areas.append(spot - self.seating.seat_count)
        # The cursor and the number of free places stand in the middle, the name above them.
        self._take(column - AREA_COLUMNS // 2, line, AREA_COLUMNS)
        self._words(column, line - 1, name, strong=True)

    def _shape_words(self, shape: Shape) -> None:
        if not shape.text:
            return
        corners = outline(shape)
        if shape.text_x or shape.text_y or not corners:
            x, y = shape.x + shape.text_x, shape.y + shape.text_y
        else:
            xs, ys = [x for x, _ in corners], [y for _, y in corners]
            x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
        self._words(*self._cell(x, y), shape.text, strong=True)

    def _row_names(self) -> None:
        """In every aisle, so that a row can be read wherever the view stands."""
        plan, cells = self.seating.plan, self.layout.cells
        for run in plan.runs:
            label = plan.rows[self.seating.row_of[run[0]]].label
            if not label or plan.table[run[0]] >= 0:
                continue
            column, line = min(cells[seat] for seat in run)
            if not self._row_name(column - 1 - len(label), line, label):
                column, line = max(cells[seat] for seat in run)
                self._row_name(column + self.seat_columns + 1, line, label)

    def _row_name(self, start: int, line: int, label: str) -> bool:
        if not self._is_free(start - 1, line, len(label) + 2):
            # One free column between a seat and its row's name, none needed further on.
            return False
        self._take(start, line, len(label))
        self.layout.lines[line].words.append(Words(start, label, strong=False))
        return True

    def _section_names(self) -> None:
        """Above a section's seats, or where there is room around them."""
        if len(self.seating.plan.sections) < 2:
            return
        for number, section in enumerate(self.seating.plan.sections):
            cells = [
                self.layout.cells[seat]
                for row in self.seating.plan.rows
                if row.section == number
                for seat in range(row.first, row.first + row.count)
            ]
            if cells:
                self._section_name(cells, section.name)

    def _section_name(self, cells: Iterable[tuple[int, int]], name: str) -> None:
        columns, lines = zip(*cells, strict=True)
        middle, half = (min(columns) + max(columns)) // 2, len(name) // 2 + 2
        for column, line in (
            (middle, min(lines) - 1),
            (middle, max(lines) + 1),
            (min(columns) - half, (min(lines) + max(lines)) // 2),
            (max(columns) + half + self.seat_columns, (min(lines) + max(lines)) // 2),
        ):
            if self._is_floor(line, column - half, column + half) and self._words(
                column, line, name, strong=True
            ):
                return

    def _is_floor(self, line: int, start: int, end: int) -> bool:
        """Whether nothing is drawn under these columns: a section's name has no place on stage."""
        if not 0 <= line < len(self.layout.lines):
            return False
        spans = self.layout.lines[line].spans
        return all(span.end <= start or span.start >= end for span in spans)


def _ground_of(shape: Shape) -> Ground:
    if shape.kind == "text" or shape.role == "label":
        return Ground.FLOOR
    if shape.role in ("stage", "screen", "pitch"):
        return Ground.STAGE
    return Ground.WALL


def _crossings(points: Sequence[tuple[float, float]], line: float) -> Iterator[tuple[float, float]]:
    """Where a polygon lies on a line of cells, as (start, end) columns."""
    found = []
    for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True):
        if (y0 > line) != (y1 > line):
            found.append(x0 + (line - y0) / (y1 - y0) * (x1 - x0))
    found.sort()
    yield from zip(found[::2], found[1::2], strict=True)


_NUDGES: Final = sorted(
    (
        (dc, dl)
        for dc in range(-MAX_NUDGE, MAX_NUDGE + 1)
        for dl in range(-MAX_NUDGE // 2, MAX_NUDGE // 2 + 1)
    ),
    key=lambda step: (step[0] ** 2 + 4 * step[1] ** 2, abs(step[1]), step),
)
