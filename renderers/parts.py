"""Tables in words: what a report says, before it is a page, a screen or a terminal's lines."""

from typing import NamedTuple


class Row(NamedTuple):
    """Cells from left to right: the first is words, the others are figures.

    `whole` words take more lines rather than be cut. `detail` stands below the row.
    """

    cells: tuple[str, ...]
    strong: bool = False
    whole: bool = False
    detail: str = ""


class Part(NamedTuple):
    """A piece of a report. `head` names the columns after the first; empty: they need no name.

    Figures are counts and amounts in turn, and the last is an amount; or they are all `amounts`.
    """

    title: str
    rows: tuple[Row, ...]
    head: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    amounts: bool = False
