"""Figures on a screen: a curve in blocks, a house as a bar, and panels of labelled numbers.

Owns their drawing. What they say is given to them, in words and numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from textual.content import Content
from textual.widget import Widget

RISING: Final = " ▁▂▃▄▅▆▇█"
"""From nothing to a whole cell, upwards."""
GROWING: Final = " ▏▎▍▌▋▊▉█"
"""The same, to the right."""
MIN_BAR_COLUMNS: Final = 6
"""A bar shorter than this says nothing: the panel is too narrow for bars."""

Part = tuple[str, str]
"""A text and its style."""


def line(parts: Sequence[Part], width: int) -> Content:
    """Parts side by side, cut to a width."""
    return Content.assemble(*parts).truncate(width, ellipsis=True)


def grow(share: float, width: int) -> str:
    """A bar that fills this share of `width` cells; anything above nothing can be seen."""
    eighths = round(min(max(share, 0.0), 1.0) * width * 8)
    if share > 0:
        eighths = max(eighths, 1)
    whole, rest = divmod(eighths, 8)
    return ("█" * whole + (GROWING[rest] if rest else "")).ljust(width)


def track(share: float, width: int) -> list[Part]:
    """How far something is, on a line that shows the rest of the way."""
    done = grow(share, width).rstrip()
    return [(done, "$brass-text"), ("─" * (width - len(done)), "$line")]


def spark(values: Sequence[float], width: int) -> str:
    """The last `width` values as one line of blocks, the highest of them a whole cell."""
    shown = list(values)[-width:] if width > 0 else []
    top = max(shown, default=0.0)
    if top <= 0:
        return RISING[1] * len(shown)
    return "".join(RISING[max(1, round(8 * value / top))] for value in shown)


def columns_of(counts: Sequence[int], rows: int, top: int) -> list[str]:
    """A plot: `rows` lines, the highest first, one cell a count; `top` fills all of them."""
    heights = [
        max(1, round(8 * rows * count / top)) if count > 0 and top > 0 else 0 for count in counts
    ]
    return [
        "".join(RISING[min(max(height - 8 * row, 0), 8)] for height in heights)
        for row in range(rows - 1, -1, -1)
    ]


def rule(title: str, width: int, after: str = "") -> Content:
    """A heading and a hairline to its right; `after` stands at the line's end."""
    room = max(width - len(title) - len(after) - (2 if after else 1), 0)
    tail = f" {after}" if after else ""
    return line([(title, "bold $brass-text"), (f" {'─' * room}", "$line"), (tail, "$muted")], width)


class Curve(Widget):
    """Counts over time as columns of blocks, with their scale and their times."""

    DEFAULT_CSS = "Curve { width: 1fr; height: 1fr; }"

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self._title = self._after = self._empty = ""
        self._counts: tuple[int, ...] = ()
        self._times: tuple[str, str, str] = ("", "", "")

    AXIS_COLUMNS: Final = 7

    @property
    def room(self) -> int:
        """Cells for columns."""
        return max(self.size.width - self.AXIS_COLUMNS, 1)

    def say(
        self,
        title: str,
        after: str,
        counts: Sequence[int],
        times: tuple[str, str, str],
        empty: str,
    ) -> None:
        """`times` stand below the begin, the middle and the end; `empty` in place of no curve."""
        self._title, self._after, self._counts = title, after, tuple(counts)
        self._times, self._empty = times, empty
        self.refresh()

    def render(self) -> Content:
        width, rows = self.size.width, max(self.size.height - 2, 1)
        lines = [rule(self._title, width, self._after)]
        peak = max(self._counts, default=0)
        top = _round_up(peak)
        wide = stretched(self._counts, self.room)
        for number, cells in enumerate(columns_of(wide, rows, top)):
            mark = ""
            if peak:
                mark = {0: str(top), rows // 2: str(top * (rows - rows // 2) // rows)}.get(
                    number, ""
                )
            parts = [(f"{mark:>5} ", "$muted"), ("│", "$line")]
            if not peak and number == rows // 2:
                parts.append((f"  {self._empty}", "$muted"))
            else:
                parts.append((cells, "$brass-text"))
            lines.append(line(parts, width))
        first, middle, last = self._times
        span = len(wide)
        below = first.ljust(max(span // 2 - len(middle) // 2, len(first) + 1)) + middle
        below = below.ljust(max(span - len(last), len(below) + 1)) + last
        lines.append(line([(" " * self.AXIS_COLUMNS + below, "$muted")], width))
        return Content("\n").join(lines[: max(self.size.height, 1)])


def stretched(counts: Sequence[int], columns: int) -> list[int]:
    """The counts over all columns; where they do not come out even, some are a cell wider."""
    if not counts:
        return []
    return [counts[column * len(counts) // columns] for column in range(columns)]


def _round_up(peak: int) -> int:
    """A scale that people read easily: 1, 2 or 5 and zeros, at least the peak."""
    step = 1
    while True:
        for digit in (1, 2, 4, 5, 8):
            if digit * step >= peak:
                return digit * step
        step *= 10


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of the house: its places, their name, their sign and what fills their cells."""

    places: int
    name: str
    glyph: str
    fill: str
    style: str


class HouseBar(Widget):
    """The whole house as one bar, and what its parts are."""

    DEFAULT_CSS = "HouseBar { height: 2; padding: 0 1; }"

    def __init__(self) -> None:
        super().__init__()
        self._slices: tuple[Slice, ...] = ()

    def say(self, slices: Sequence[Slice]) -> None:
        self._slices = tuple(slices)
        self.refresh()

    def render(self) -> Content:
        width = self.content_size.width
        places = [one.places for one in self._slices]
        cells = shared_out(places, width)
        bar = [
            (one.fill * count, one.style) for one, count in zip(self._slices, cells, strict=True)
        ]
        words: list[Part] = []
        for one in self._slices:
            words += [(f"{one.glyph} ", one.style), (f"{one.name}   ", "")]
        return Content("\n").join([line(bar, width), line(words, width)])


def shared_out(amounts: Sequence[int], cells: int) -> list[int]:
    """`cells` among amounts, in proportion; whoever has something gets one where that can be."""
    total = sum(amounts)
    if total <= 0 or cells <= 0:
        return [0] * len(amounts)
    shares = [max(amount * cells // total, 1 if amount > 0 else 0) for amount in amounts]
    while sum(shares) != cells:
        # What rounding left over, or the small ones took, is the largest one's.
        largest = max(range(len(shares)), key=lambda at: (shares[at], amounts[at]))
        shares[largest] += 1 if sum(shares) < cells else -1
    return shares


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a panel. `share` (0 to 1) is drawn as a bar where there is room for it."""

    label: str
    value: str
    share: float | None = None
    style: str = ""


class Panel(Widget):
    """A heading and lines of labels and values; those that do not fit are left out below."""

    DEFAULT_CSS = "Panel { height: 1fr; padding: 0 1; }"

    def __init__(self, id: str) -> None:
        super().__init__(id=id)
        self.title = self._after = ""
        self.rows: tuple[Row, ...] = ()

    def say(self, title: str, rows: Sequence[Row], after: str = "") -> None:
        self.title, self.rows, self._after = title, tuple(rows), after
        self.refresh()

    def render(self) -> Content:
        width, height = self.content_size.width, self.content_size.height
        shown = self.rows[: max(height - 1, 0)]
        lines = [rule(self.title, width, self._after)]
        label_columns = max((len(row.label) for row in shown if row.share is not None), default=0)
        value_columns = max((len(row.value) for row in shown if row.share is not None), default=0)
        bar_columns = width - label_columns - value_columns - 2
        for row in shown:
            if row.share is not None and bar_columns >= MIN_BAR_COLUMNS:
                bar = grow(row.share, bar_columns)
                parts = [
                    (row.label.ljust(label_columns), row.style),
                    (f" {bar} ", "$brass-text"),
                    (row.value.rjust(value_columns), "bold"),
                ]
            else:
                room = max(width - len(row.value) - 1, 0)
                label = row.label if len(row.label) <= room else f"{row.label[: room - 1]}…"
                gap = " " * max(width - len(label) - len(row.value), 1 if row.value else 0)
                parts = [(label, row.style), (gap, ""), (row.value, f"bold {row.style}".strip())]
            lines.append(line(parts, width))
        return Content("\n").join(lines)
