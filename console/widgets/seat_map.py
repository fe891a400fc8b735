"""The live seat map: a house drawn in cells, with a cursor that moves by geometry.

Owns what is visible, the cursor and the repainting of as little as possible. Reads the
statuses it was given and never changes them; asks for nothing, it only says which place was
chosen. Drawn by the Line API: a changed seat costs its own cells, not the widget.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from console import looks
from console.looks import DENSITY, GLYPHS, Mark
from console.map_layout import AREA_COLUMNS, SEAT_COLUMNS, Ground, Line, MapLayout, Zoom, lay_out
from console.seating import Seating
from engine.feed import Replica

FULL_REPAINT_SEATS: Final = 40
"""From this many changed seats on, one full repaint is cheaper than many small ones."""
MIN_OVERVIEW_COLUMNS: Final = 20
MIN_OVERVIEW_LINES: Final = 8


class SeatMap(Widget, can_focus=True):
    """Shows one house. Call `show` once, then `changed` for every batch of new statuses."""

    DEFAULT_CSS = """
    SeatMap { width: 1fr; height: 1fr; }
    """
    BINDINGS: ClassVar = [
        Binding("left", "move(-1, 0)", "console.key.move", key_display="← ↑ ↓ →"),
        Binding("right", "move(1, 0)", show=False),
        Binding("up", "move(0, -1)", show=False),
        Binding("down", "move(0, 1)", show=False),
        Binding("shift+left,home", "leap(-1, 0)", show=False),
        Binding("shift+right,end", "leap(1, 0)", show=False),
        Binding("shift+up,pageup", "leap(0, -1)", show=False),
        Binding("shift+down,pagedown", "leap(0, 1)", show=False),
        Binding("plus,equals_sign", "zoom(1)", "console.key.zoom", key_display="+ -"),
        Binding("minus", "zoom(-1)", show=False),
        Binding("enter,space", "choose", "console.key.choose", key_display="⏎"),
    ]

    class CursorMoved(Message):
        """The cursor stands on another spot."""

        def __init__(self, spot: int) -> None:
            super().__init__()
            self.spot = spot

    class Chosen(Message):
        """Enter, space or a click on a spot."""

        def __init__(self, spot: int) -> None:
            super().__init__()
            self.spot = spot

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._seating: Seating | None = None
        self._replica: Replica | None = None
        self._mine: frozenset[int] = frozenset()
        self._my_places: Mapping[int, int] = {}
        self._aside: bytes = b""  # per seat ASIDE, or 0
        self._layouts: dict[tuple[Zoom, int, int], MapLayout] = {}
        self._left = self._top = 0
        self.zoom = Zoom.OVERVIEW
        self.cursor = 0

    # What is shown -----------------------------------------------------------

    def show(self, seating: Seating, replica: Replica) -> None:
        """Draw a house; the replica is read again at every repaint."""
        self._seating, self._replica = seating, replica
        self._aside = bytes(seating.seat_count)
        self._layouts.clear()
        self.zoom = next(filter(self._fits, (Zoom.CLOSE, Zoom.ROWS)), Zoom.OVERVIEW)
        self.cursor = seating.start()
        self._follow(centre=True)
        self.post_message(self.CursorMoved(self.cursor))
        self.refresh()

    def own(self, seats: Collection[int], places: Mapping[int, int]) -> None:
        """What is in the till's basket: seats, and places by area."""
        changed = self._mine ^ frozenset(seats)
        areas = self._my_places != places
        self._mine, self._my_places = frozenset(seats), dict(places)
        self.changed(changed, areas)

    def look_at(self, category: int) -> None:
        """Set a price category apart, or none (-1)."""
        assert self._seating is not None
        if category < 0:
            self._aside = bytes(self._seating.seat_count)
        else:
            self._aside = bytes(
                [Mark.ASIDE * (found != category) for found in self._seating.plan.category]
            )
        self.refresh()

    def changed(self, seats: Collection[int], areas: bool = False) -> None:
        """Repaint these seats' cells, or everything when they are many."""
        if self._seating is None or not self.size:
            return
        if areas or len(seats) > FULL_REPAINT_SEATS:
            self.refresh()
            return
        regions = list(self._regions(seats))
        if regions:
            self.refresh(*regions)

    def go_to(self, spot: int) -> None:
        """Put the cursor on a spot and bring it into view."""
        if spot == self.cursor:
            return
        before = self.cursor
        self.cursor = spot
        if self._follow():
            self.refresh()
        else:
            self.refresh(*self._regions((before, spot)))
        self.post_message(self.CursorMoved(spot))

    def set_zoom(self, zoom: Zoom) -> None:
        if zoom is self.zoom:
            return
        self.zoom = zoom
        self._follow(centre=True)
        self.refresh()

    # Keys and mouse ----------------------------------------------------------

    def action_move(self, dx: int, dy: int) -> None:
        if self._seating is None:
            return
        there = self._seating.step(self.cursor, dx, dy)
        if self.zoom is Zoom.OVERVIEW:
            # Several seats share a cell there: go on until the cursor visibly moves.
            cells, start = self._layout.cells, self._layout.cells[self.cursor]
            before = self.cursor
            while there != before and cells[there] == start:
                before, there = there, self._seating.step(there, dx, dy)
        self.go_to(there)

    def action_leap(self, dx: int, dy: int) -> None:
        if self._seating is None:
            return
        columns, lines = self._layout.scale
        reach = self.size.width / 3 / columns if dx else self.size.height / 2 / lines
        self.go_to(self._seating.jump(self.cursor, dx, dy, reach))

    def action_zoom(self, step: int) -> None:
        if self._seating is not None:
            self.set_zoom(Zoom(min(max(self.zoom + step, Zoom.OVERVIEW), Zoom.CLOSE)))

    def action_choose(self) -> None:
        if self._seating is not None:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: events.Click) -> None:
        if self._seating is None:
            return
        layout = self._layout
        column, line = event.x + self._left, event.y + self._top
        x, y = layout.point(column - (SEAT_COLUMNS[self.zoom] - 1) / 2, line)
        within = max(self._seating.plan.pitch, 1.5 / layout.scale[0])
        spot = self._seating.at(x, y, within)
        if spot is None:
            return
        self.go_to(spot)
        if self.zoom is Zoom.OVERVIEW and self._seating.area_of(spot) < 0:
            self.action_zoom(1)
        else:
            self.post_message(self.Chosen(spot))

    def on_mouse_scroll_up(self) -> None:
        self.action_zoom(1)

    def on_mouse_scroll_down(self) -> None:
        self.action_zoom(-1)

    def on_resize(self) -> None:
        self._follow(centre=True)
        self.refresh()

    # Where things are --------------------------------------------------------

    @property
    def _layout(self) -> MapLayout:
        assert self._seating is not None
        columns = lines = 0
        if self.zoom is Zoom.OVERVIEW:
            columns = max(self.size.width, MIN_OVERVIEW_COLUMNS)
            lines = max(self.size.height, MIN_OVERVIEW_LINES)
        key = (self.zoom, columns, lines)
        if key not in self._layouts:
            # One overview is kept, that of the present size.
            for old in [old for old in self._layouts if old[0] is self.zoom]:
                del self._layouts[old]
            self._layouts[key] = lay_out(self._seating, self.zoom, columns, lines)
        return self._layouts[key]

    def _fits(self, zoom: Zoom) -> bool:
        before, self.zoom = self.zoom, zoom
        layout = self._layout
        self.zoom = before
        return layout.columns <= self.size.width and len(layout.lines) <= self.size.height

    def _follow(self, centre: bool = False) -> bool:
        """Scroll so that the cursor is well inside; returns whether anything moved."""
        if self._seating is None or not self.size:
            return False
        layout = self._layout
        column, line = layout.cells[self.cursor]
        left = _scrolled(self._left, column, self.size.width, layout.columns, centre)
        top = _scrolled(self._top, line, self.size.height, len(layout.lines), centre)
        moved = (left, top) != (self._left, self._top)
        self._left, self._top = left, top
        return moved

    def _regions(self, spots: Iterable[int]) -> Iterable[Region]:
        """The visible cells of spots, the cursor's brackets included."""
        assert self._seating is not None
        layout, width = self._layout, SEAT_COLUMNS[self.zoom]
        for spot in spots:
            column, line = layout.cells[spot]
            around = (width, 1) if self._seating.area_of(spot) < 0 else (AREA_COLUMNS, 5)
            region = Region(
                column - self._left - around[1], line - self._top, around[0] + 2 * around[1], 1
            ).intersection(self.size.region)
            if region:
                yield region

    # Drawing -----------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        theme = self.app.theme if self.app.theme in looks.THEMES else looks.DARK
        width = self.size.width
        floor = looks.ground_style(theme, Ground.FLOOR)
        if self._seating is None:
            return Strip.blank(width, floor)
        layout, number = self._layout, y + self._top
        if not 0 <= number < len(layout.lines):
            return Strip.blank(width, floor)
        painter = _LinePainter(self, layout.lines[number], theme, width)
        return painter.paint(layout.cells[self.cursor] if self._on(number) else None)

    def _on(self, line: int) -> bool:
        return self._layout.cells[self.cursor][1] == line

    def mark(self, seat: int) -> Mark:
        """What a seat is to this till."""
        if seat in self._mine:
            return Mark.MINE
        assert self._replica is not None
        return Mark(self._replica.statuses[seat] or self._aside[seat])

    def cell(self, seats: Sequence[int], dense: bool) -> tuple[str, Mark]:
        """Glyph and mark of a cell: of its seat, or of the many that share it in the overview."""
        if len(seats) == 1 and not dense:
            mark = self.mark(seats[0])
            return GLYPHS[mark], mark
        if self._mine and not self._mine.isdisjoint(seats):
            return GLYPHS[Mark.MINE], Mark.MINE
        assert self._replica is not None
        statuses, aside = self._replica.statuses, self._aside
        # FREE is 0. A stadium has fifty seats in a cell, and a thousand such cells.
        marks = bytes([statuses[seat] or aside[seat] for seat in seats])
        free = marks.count(Mark.FREE)
        if free == len(marks) and not dense:
            return GLYPHS[Mark.FREE], Mark.FREE
        if free:
            return DENSITY[(free * 4 - 1) // len(marks)], Mark.FREE
        for mark in (Mark.ASIDE, Mark.SOLD, Mark.HELD):
            if mark in marks:
                return GLYPHS[mark], mark
        return GLYPHS[Mark.OFF], Mark.OFF

    def area_words(self, area: int) -> tuple[str, Mark]:
        """What stands in the middle of an area: mine and free places."""
        assert self._replica is not None
        free = self._replica.areas[area]
        mine = self._my_places.get(area, 0)
        if mine:
            return f"{GLYPHS[Mark.MINE]}{mine} / {free}", Mark.MINE
        if free:
            return f"{GLYPHS[Mark.FREE]} {free}", Mark.FREE
        return f"{GLYPHS[Mark.SOLD]} 0", Mark.SOLD


class _LinePainter:
    """Paints one line of the map: ground, words, seats, areas and the cursor, in that order."""

    def __init__(self, seat_map: SeatMap, line: Line, theme: str, width: int) -> None:
        self.map = seat_map
        self.line = line
        self.theme = theme
        self.width = width
        self.left = seat_map._left
        self.dense = seat_map._layout.dense
        self.grounds = [Ground.FLOOR] * width
        for span in line.spans:
            start, end = max(0, span.start - self.left), min(width, span.end - self.left)
            if end > start:
                self.grounds[start:end] = [span.ground] * (end - start)
        self.texts = [" "] * width
        self.styles: list[Style] = [looks.ground_style(theme, ground) for ground in self.grounds]

    def paint(self, cursor: tuple[int, int] | None) -> Strip:
        for words in self.line.words:
            for step, letter in enumerate(words.text):
                self._put(words.column + step, letter, strong=words.strong)
        for column, seats in self.line.seats.items():
            if -SEAT_COLUMNS[Zoom.CLOSE] < column - self.left < self.width:
                self._seat(column, seats)
        for area in self.line.areas:
            self._area(area)
        if cursor is not None:
            self._cursor(cursor[0])
        return self._strip()

    def _put(self, column: int, letter: str, strong: bool) -> None:
        at = column - self.left
        if 0 <= at < self.width:
            self.texts[at] = letter
            self.styles[at] = looks.words_style(self.theme, self.grounds[at], strong)

    def _write(self, column: int, text: str, mark: Mark) -> None:
        for step, letter in enumerate(text):
            at = column + step - self.left
            if 0 <= at < self.width:
                self.texts[at] = letter
                self.styles[at] = looks.seat_style(self.theme, mark, self.grounds[at])

    def _seat(self, column: int, seats: Sequence[int]) -> None:
        glyph, mark = self.map.cell(seats, self.dense)
        if self.map.zoom is Zoom.CLOSE:
            assert self.map._seating is not None
            glyph += self.map._seating.plan.label[seats[0]][:3].ljust(3)
        self._write(column, glyph, mark)

    def _area(self, area: int) -> None:
        text, mark = self.map.area_words(area)
        assert self.map._seating is not None
        column, _ = self.map._layout.cells[self.map._seating.seat_count + area]
        self._write(column - len(text) // 2, text, mark)

    def _cursor(self, column: int) -> None:
        assert self.map._seating is not None
        area = self.map._seating.area_of(self.map.cursor)
        if area >= 0:
            text, mark = self.map.area_words(area)
            start, length = column - len(text) // 2, len(text)
        else:
            seats = self.line.seats.get(column, [self.map.cursor])
            _, mark = self.map.cell(seats, self.dense)
            start, length = column, SEAT_COLUMNS[self.map.zoom]
        for at in range(start - self.left, start - self.left + length):
            if 0 <= at < self.width:
                self.styles[at] = looks.seat_style(self.theme, mark, self.grounds[at], cursor=True)
        for at, bracket in ((start - 1 - self.left, "["), (start + length - self.left, "]")):
            if 0 <= at < self.width and self.texts[at] == " ":
                self.texts[at] = bracket
                self.styles[at] = looks.cursor_style(self.theme, self.grounds[at])

    def _strip(self) -> Strip:
        """Neighbouring cells of one style become one segment: less to send over a slow line."""
        segments, start = [], 0
        for at in range(1, self.width + 1):
            if at == self.width or self.styles[at] is not self.styles[start]:
                segments.append(Segment("".join(self.texts[start:at]), self.styles[start]))
                start = at
        return Strip(segments, self.width)


def _scrolled(now: int, at: int, visible: int, whole: int, centre: bool) -> int:
    """The first visible column or line that keeps `at` in view.

    A map smaller than the view stands in its middle, which makes the result negative.
    """
    if whole <= visible:
        return -((visible - whole) // 2)
    margin = visible // 5
    if centre or not now <= at < now + visible:
        now = at - visible // 2
    elif at < now + margin:
        now = at - margin
    elif at >= now + visible - margin:
        now = at - visible + margin + 1
    return min(max(now, 0), whole - visible)
