"""A seating plan as a picture made of marks, at a width in pixels.

Owns what is drawn where and in which colour: title, house, stage, tables, seats,
row labels, legend. Knows nothing of SVG or of pixels.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import cos, floor, hypot, inf, radians, sin
from statistics import quantiles

from PIL import ImageColor

from engine.plan import Plan, Row, SeatFlag, Shape, Table
from engine.plan_shapes import box, centroid, off_table, shape_outline, table_outline
from renderers.i18n import Translator
from renderers.palette import AA_TEXT, ROLE_LOOKS, SEATS, SeatState, Theme, mix, readable, rgb
from renderers.plan_marks import (
    Disc,
    Face,
    Mark,
    Panel,
    Point,
    Polygon,
    Scene,
    Style,
    Words,
    category_marks,
    fitted,
    on_color,
    state_marks,
    text_width,
)

PADDING_PX = 28.0
TITLE_PX = 30.0
TITLE_BAND_PX = 58.0
LEGEND_PX = 15.0
LEGEND_LINE_PX = 28.0
LEGEND_SEAT_PX = 8.0
SMALLEST_TEXT_PX = 6.5
READABLE_TEXT_PX = 11.0
SEAT_NUMBER_RADIUS_PX = 7.0
"""Seats drawn smaller than this carry no number."""
SEAT_SHARE = 0.42
"""Radius of a seat, of the distance to the next."""
LARGEST_SEAT_PX = 20.0
SMALLEST_SEAT_PX = 0.6
"""Radii: a small house gets more floor around it, a stadium stays visible."""
SEEN = 1.9
"""Least contrast of a category's colour with the floor: it is the file's choice, not ours."""

WHOLE_TABLE = -1

LegendItem = tuple[SeatState | int | str, str, int]
"""A seat state, a mark (a `SeatFlag`, WHOLE_TABLE) or a colour; its words; how many there are."""


def build_scene(
    plan: Plan,
    statuses: Sequence[int] | None,
    theme: Theme,
    title: str,
    width_px: float,
    t: Translator,
) -> Scene:
    """The whole picture, `width_px` wide and as high as it needs.

    Raises:
        ValueError: `statuses` is not one `SeatState` for each seat.
    """
    if statuses is not None and len(statuses) != len(plan.seats):
        raise ValueError(f"{len(statuses)} statuses for {len(plan.seats)} seats")
    grid = _Grid([(seat.x, seat.y) for seat in plan.seats], plan.pitch)
    radii = _seat_radii(plan, grid)
    scale = (width_px - 2 * PADDING_PX) / plan.width
    if radii and max(radii) > 0:
        scale = min(scale, LARGEST_SEAT_PX / max(radii))
    top = PADDING_PX + TITLE_BAND_PX
    bottom = top + plan.height * scale
    house = _House(plan, grid, radii, scale, ((width_px - plan.width * scale) / 2, top), theme)
    scene = Scene(width_px, 0.0, theme.paper, title or plan.name)
    scene.marks += _title(plan, scene.title, width_px, theme, t)
    floor_style = Style(theme.floor, theme.line, 1.0)
    scene.marks.append(
        Panel(PADDING_PX, top, width_px - 2 * PADDING_PX, bottom - top, 14.0, floor_style)
    )
    scene.marks += house.drawing()
    scene.marks += house.areas(statuses is not None)
    scene.marks += house.row_labels()
    scene.marks += house.seats(statuses)
    items = _legend(plan, house, t) if statuses is None else _status_legend(statuses, t)
    marks, used = _set_legend(items, bottom + PADDING_PX, width_px, theme)
    scene.marks += marks
    scene.height = bottom + PADDING_PX + used + PADDING_PX * 0.5
    return scene


def _title(plan: Plan, title: str, width_px: float, theme: Theme, t: Translator) -> list[Mark]:
    places = len(plan.seats) + sum(area.capacity for area in plan.areas)
    count = t.plural("plan.picture.places", places, count=_number(places))
    room = width_px - 2 * PADDING_PX - text_width(count, LEGEND_PX) - 30
    size = max(fitted(title, room, TITLE_PX, TITLE_PX, "serif"), READABLE_TEXT_PX)
    y = PADDING_PX + TITLE_PX * 0.5
    return [
        Words(PADDING_PX, y, title, size, theme.ink, "serif", "start"),
        Words(width_px - PADDING_PX, y + 4, count, LEGEND_PX, theme.muted, "sans", "end"),
        Panel(PADDING_PX, y + TITLE_PX * 0.75, 56, 2.5, 1.2, Style(theme.brass)),
    ]


class _Grid:
    """Seats by the cell they stand in, to find those near a place."""

    def __init__(self, points: Sequence[Point], size: float) -> None:
        self._points = points
        self._size = size
        self._cells: dict[tuple[int, int], list[int]] = {}
        for seat, (x, y) in enumerate(points):
            self._cells.setdefault((floor(x / size), floor(y / size)), []).append(seat)

    def nearest(self, seat: int, reach: float) -> float:
        """Distance to the nearest other seat, `reach` when there is none within it."""
        x, y = self._points[seat]
        return min(reach, self._least(x, y, reach, seat))

    def is_free(self, x: float, y: float, reach: float) -> bool:
        return self._least(x, y, reach, -1) >= reach

    def _least(self, x: float, y: float, reach: float, besides: int) -> float:
        size, points = self._size, self._points
        least = inf
        for column in range(floor((x - reach) / size), floor((x + reach) / size) + 1):
            for line in range(floor((y - reach) / size), floor((y + reach) / size) + 1):
                for seat in self._cells.get((column, line), ()):
                    if seat != besides:
                        ox, oy = points[seat]
                        least = min(least, hypot(x - ox, y - oy))
        return least


class _House:
    """The plan at its place in the picture."""

    def __init__(
        self,
        plan: Plan,
        grid: _Grid,
        radii: Sequence[float],
        scale: float,
        origin: Point,
        theme: Theme,
    ) -> None:
        self.plan = plan
        self.grid = grid
        self.radii = [max(radius * scale, SMALLEST_SEAT_PX) for radius in radii]
        self.scale = scale
        self.origin = origin
        self.theme = theme
        self.pitch = plan.pitch * scale
        self.points = self.at([(seat.x, seat.y) for seat in plan.seats])
        self.colors = [readable(category.color, theme.floor, SEEN) for category in plan.categories]

    def at(self, points: Iterable[Point]) -> tuple[Point, ...]:
        dx, dy = self.origin
        return tuple([(dx + x * self.scale, dy + y * self.scale) for x, y in points])

    def drawing(self) -> list[Mark]:
        """Shapes in the order of the plan, then tables, then the words on all of them."""
        marks: list[Mark] = []
        words: list[Words] = []
        for shape in self.plan.shapes:
            fill, edge, ink = _shape_colors(shape, self.theme)
            outline = self.at(shape_outline(shape))
            if len(outline) > 2 and (fill or edge):
                marks.append(Polygon(outline, Style(fill, edge, 1.2 if edge else 0.0)))
            if shape.text:
                words += self._shape_words(shape, outline, ink)
        marks += [self._table(table, words) for table in self.plan.tables]
        return [*marks, *words]

    def _table(self, table: Table, words: list[Words]) -> Mark:
        fill_name, _, ink_name = ROLE_LOOKS["bar"]
        fill = _themed(table.fill, self.theme) or getattr(self.theme, fill_name)
        outline = self.at(table_outline(table))
        left, top, right, bottom = box(outline)
        size = fitted(table.label, (right - left) * 0.8, (bottom - top) * 0.5, 13.0, "bold")
        if table.label and size >= SMALLEST_TEXT_PX:
            x, y = centroid(outline)
            ink = readable(getattr(self.theme, ink_name), fill)
            words.append(Words(x, y, table.label, size, ink, "bold"))
        if table.whole:
            return Polygon(outline, Style(fill, self.theme.brass_text, 2.5))
        return Polygon(outline, Style(fill, mix(fill, self.theme.ink, 0.25), 1.0))

    def _shape_words(self, shape: Shape, outline: tuple[Point, ...], ink: str) -> Iterator[Words]:
        wanted = shape.text_size * self.scale
        size = self._size_on(shape, outline, wanted) if outline else wanted or self.pitch * 0.6
        if size < SMALLEST_TEXT_PX:
            return
        if outline and not shape.text_x and not shape.text_y:
            x, y = centroid(outline)
        else:
            c, s = cos(radians(shape.rotation)), sin(radians(shape.rotation))
            dx, dy = shape.text_x, shape.text_y
            ((x, y),) = self.at([(shape.x + c * dx - s * dy, shape.y + s * dx + c * dy)])
        face: Face = "serif" if shape.role in ("stage", "screen") else "sans"
        yield Words(x, y, shape.text, size, ink, face, rotation=shape.rotation)

    def _size_on(self, shape: Shape, outline: tuple[Point, ...], wanted: float) -> float:
        """The size asked for, larger where it would be too small to read, within the shape."""
        if shape.kind == "polygon":
            left, top, right, bottom = box(outline)
            width, height = right - left, bottom - top
        else:
            width, height = shape.width * self.scale, (shape.height or shape.width) * self.scale
        largest = wanted if wanted >= READABLE_TEXT_PX else 24.0 if shape.role else 13.0
        return fitted(shape.text, width * 0.86, height * 0.6, largest)

    def areas(self, pale: bool) -> Iterator[Mark]:
        """Standing areas: a wash of their category's colour, name and capacity."""
        for area in self.plan.areas:
            outline = self.at(area.polygon)
            color = self.colors[area.category]
            wash = mix(self.theme.floor, color, 0.1 if pale else 0.26)
            yield Polygon(outline, Style(wash, color, 1.5))
            left, top, right, bottom = box(outline)
            x, y = centroid(outline)
            size = fitted(area.name, (right - left) * 0.8, (bottom - top) * 0.24, 20.0, "bold")
            ink = readable(self.theme.ink, wash)
            if size >= SMALLEST_TEXT_PX:
                yield Words(x, y - size * 0.6, area.name, size, ink, "bold")
                yield Words(x, y + size * 0.6, str(area.capacity), size * 0.85, ink)

    def row_labels(self) -> Iterator[Mark]:
        """The label of each row at both its ends, where nothing stands in its way."""
        size = self.pitch * 0.52
        if size < SMALLEST_TEXT_PX:
            return
        set_down: list[Point] = []
        rows_of = Counter(row.section for row in self.plan.rows)
        for row in self.plan.rows:
            if row.count < 3 or not 0 < len(row.label) <= 3 or rows_of[row.section] == 1:
                continue
            if self.plan.sections[row.section].kind == "box" or self._at_table(row):
                continue
            for place in self._row_ends(row):
                pitch = self.plan.pitch
                clear = all(hypot(place[0] - x, place[1] - y) > pitch * 0.6 for x, y in set_down)
                if clear and self.grid.is_free(*place, pitch * 0.72):
                    set_down.append(place)
                    ((x, y),) = self.at([place])
                    yield Words(x, y, row.label, size, self.theme.muted)

    def _row_ends(self, row: Row) -> Iterator[Point]:
        """One seat further than the row goes, at both ends, in plan units."""
        first, last = row.first, row.first + row.count - 1
        for end, inner in ((first, first + 1), (last, last - 1)):
            seat, other = self.plan.seats[end], self.plan.seats[inner]
            dx, dy = seat.x - other.x, seat.y - other.y
            step = (hypot(dx, dy) or 1.0) / self.plan.pitch
            yield seat.x + dx / step, seat.y + dy / step

    def _at_table(self, row: Row) -> bool:
        return self.plan.seats[row.first].table >= 0

    def seats(self, statuses: Sequence[int] | None) -> Iterator[Mark]:
        """All seats, those of one look together, then their numbers."""
        groups: dict[tuple[type, Style], list[Mark]] = {}
        numbers: list[Words] = []
        for index, seat in enumerate(self.plan.seats):
            x, y = self.points[index]
            r = self.radii[self.plan.seat_sections[index]]
            marks: tuple[Mark, ...]
            if statuses is None:
                color = self.colors[seat.category]
                marks = category_marks(x, y, r, color, seat.flags, self.theme)
                ink, bare = on_color(color), bool(seat.flags)
            else:
                state = SeatState(statuses[index])
                marks = state_marks(x, y, r, state, self.theme)
                ink, bare = SEATS[state].on, state in (SeatState.BLOCKED, SeatState.HELD)
            for mark in marks:
                if not isinstance(mark, Words):
                    groups.setdefault((type(mark), mark.style), []).append(mark)
            if r >= SEAT_NUMBER_RADIUS_PX and not bare:
                size = fitted(seat.label, r * 1.5, r * 1.05, r * 1.05)
                if size >= SMALLEST_TEXT_PX:
                    numbers.append(Words(x, y, seat.label, size, ink))
        for group in groups.values():
            yield from group
        yield from numbers


def _seat_radii(plan: Plan, grid: _Grid) -> list[float]:
    """Seat radius by section, in plan units: as large as nearly all of its seats have room for.

    Chairs stay off the table they stand at, and no section's are far larger than the others'.
    """
    reach = plan.pitch * 1.3
    room = [_room(plan, grid, index, reach) for index in range(len(plan.seats))]
    most = _low(room, 5) * 1.25 if room else 0.0
    by_section: dict[int, list[float]] = {}
    for distance, section in zip(room, plan.seat_sections, strict=True):
        by_section.setdefault(section, []).append(distance)
    radii = [0.0] * len(plan.sections)
    for section, distances in by_section.items():
        radii[section] = min(_low(distances, 10), most) * SEAT_SHARE
    return radii


def _room(plan: Plan, grid: _Grid, index: int, reach: float) -> float:
    """How far a seat is from the next, or as if it were, where its table is closer."""
    seat = plan.seats[index]
    distance = grid.nearest(index, reach)
    off = off_table(plan.tables[seat.table], seat.x, seat.y) if seat.table >= 0 else 0.0
    return min(distance, off / SEAT_SHARE) if off > 0 else distance


def _low(values: list[float], part: int) -> float:
    """What all but the lowest `part`-th of some values exceed."""
    return quantiles(values, n=part)[0] if len(values) > 1 else values[0]


def _shape_colors(shape: Shape, theme: Theme) -> tuple[str, str, str]:
    """Fill, edge and text. A grey shape was coloured by nobody: it looks like its role."""
    names = ROLE_LOOKS[shape.role]
    fill, edge, ink = (getattr(theme, name) if name else "" for name in names)
    given = _themed(shape.fill, theme)
    if given and not _is_grey(shape.fill):
        fill = given
        edge = _themed(shape.border, theme)
        ink = _themed(shape.text_color, theme) or ink
    if shape.kind == "text":
        fill = edge = ""
        ink = _themed(shape.text_color, theme) or theme.muted
    return fill, edge, readable(ink, fill or theme.floor, AA_TEXT)


def _themed(color: str, theme: Theme) -> str:
    """A file's colour as the theme shows it: as it is by day, dimmed when the lights are down."""
    if not color or color.lower() in ("transparent", "none"):
        return ""
    plain = _hex(color)
    return plain if theme.name == "light" or not plain else mix(plain, theme.floor, 0.7)


def _hex(color: str) -> str:
    """`#rrggbb` of the colours a plan may carry; "" of a name that is none."""
    if color.startswith("#"):
        digits = color[1:]
        digits = "".join(d * 2 for d in digits[:3]) if len(digits) < 6 else digits[:6]
        return f"#{digits.lower()}"
    try:
        return "#{:02x}{:02x}{:02x}".format(*ImageColor.getrgb(color)[:3])
    except ValueError:
        return ""


def _is_grey(color: str) -> bool:
    parts = rgb(_hex(color))
    return max(parts) - min(parts) < 16


def _legend(plan: Plan, house: _House, t: Translator) -> list[LegendItem]:
    counts = Counter(seat.category for seat in plan.seats)
    for area in plan.areas:
        counts[area.category] += area.capacity
    items: list[LegendItem] = [
        (house.colors[number], category.name, counts[number])
        for number, category in enumerate(plan.categories)
        if counts[number]
    ]
    for flag, key in (
        (SeatFlag.WHEELCHAIR, "plan.mark.wheelchair"),
        (SeatFlag.COMPANION, "plan.mark.companion"),
        (SeatFlag.RESTRICTED_VIEW, "plan.mark.restricted_view"),
    ):
        count = sum(1 for seat in plan.seats if seat.flags & flag)
        if count:
            items.append((int(flag), t(key), count))
    whole = sum(1 for table in plan.tables if table.whole)
    if whole:
        items.append((WHOLE_TABLE, t("plan.mark.whole_table"), whole))
    return items


def _status_legend(statuses: Sequence[int], t: Translator) -> list[LegendItem]:
    counts = Counter(statuses)
    order = (
        SeatState.AVAILABLE,
        SeatState.MINE,
        SeatState.HELD,
        SeatState.SOLD,
        SeatState.BLOCKED,
    )
    return [
        (state, t(f"plan.state.{state.name.lower()}"), counts[state])
        for state in order
        if counts[state]
    ]


def _number(value: int) -> str:
    """Thousands parted by a thin space, which both languages read."""
    return f"{value:,}".replace(",", "\u202f")


def _set_legend(
    items: Sequence[LegendItem], top: float, width_px: float, theme: Theme
) -> tuple[list[Mark], float]:
    """The legend's marks in lines, and its height."""
    marks: list[Mark] = []
    x, y = PADDING_PX, top + LEGEND_SEAT_PX
    for key, words, count in items:
        number = _number(count)
        word_width = text_width(words, LEGEND_PX)
        width = 26 + word_width + 8 + text_width(number, LEGEND_PX) + 30
        if x > PADDING_PX and x + width - 30 > width_px - PADDING_PX:
            x, y = PADDING_PX, y + LEGEND_LINE_PX
        centre = x + LEGEND_SEAT_PX
        if isinstance(key, SeatState):
            marks += state_marks(centre, y, LEGEND_SEAT_PX, key, theme)
        elif key == WHOLE_TABLE:
            style = Style(theme.table, theme.brass_text, 2.5)
            marks.append(Disc(centre, y, LEGEND_SEAT_PX, style))
        elif isinstance(key, int):
            marks += category_marks(centre, y, LEGEND_SEAT_PX, theme.muted, key, theme)
        else:
            marks += category_marks(centre, y, LEGEND_SEAT_PX, key, 0, theme)
        marks.append(Words(x + 26, y, words, LEGEND_PX, theme.ink, "sans", "start"))
        at = x + 26 + word_width + 8
        marks.append(Words(at, y, number, LEGEND_PX, theme.muted, "sans", "start"))
        x += width
    return marks, y + LEGEND_SEAT_PX - top
