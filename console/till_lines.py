"""Reports as lines of a terminal of 80 columns: that of a till session, and tables of others."""

from typing import Final, NamedTuple

from engine.tills import TillReport
from renderers.i18n import Translator
from renderers.parts import Part
from renderers.till_words import report_parts

COLUMNS: Final = 72
FIGURE: Final = 16
TABLE: Final = (15, 9, 13, 7, 14, 14)
"""Widths of a table's columns, the words' first."""
AMOUNTS: Final = (30, 14, 14, 14)
"""Those of one that has amounts alone."""


class Line(NamedTuple):
    """`kind` is "title", "strong", "note" or "" for a plain one."""

    text: str
    kind: str = ""


def report_lines(report: TillReport, t: Translator, timezone: str) -> list[Line]:
    """Its parts one under the other, with an empty line between."""
    lines: list[Line] = []
    for part in report_parts(report, t, timezone):
        lines += [Line("")] if lines else []
        lines += table_lines(part)
    return lines


def table_lines(part: Part) -> list[Line]:
    widths = AMOUNTS if part.amounts else TABLE if part.head else (COLUMNS - FIGURE, FIGURE)
    lines = [Line(part.title, "title")]
    if part.head:
        lines.append(Line(_row(("", *part.head), widths), "note"))
    for row in part.rows:
        kind = "strong" if row.strong else ""
        words, *figures = row.cells
        if row.whole and len(words) >= widths[0]:  # on a line of its own, rather than cut
            lines.append(Line(words, kind))
            words = ""
        lines.append(Line(_row((words, *figures), widths), kind))
    return lines + [Line(note, "note") for note in part.notes]


def _row(cells: tuple[str, ...], widths: tuple[int, ...]) -> str:
    words, *figures = cells
    width = widths[0]
    if not figures:
        return words
    if len(words) > width:
        words = f"{words[: width - 1]}…"
    told = "".join(f"{cell:>{room}}" for cell, room in zip(figures, widths[1:], strict=True))
    return f"{words:<{width}}{told}"
