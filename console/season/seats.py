"""Seats as a season file names them: "Stalls C" is a row, "Stalls C 1-4, 7" are seats of it.

Owns the way between such texts and indices of a plan. What no words tell from others is "#12", by
its index. Knows no file and no setting.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby


@dataclass(frozen=True)
class RowNames:
    """A row of a plan: its section, its label, and its seats' labels from index `first` on."""

    section: str
    label: str
    first: int
    seats: tuple[str, ...]

    @cached_property
    def words(self) -> str:
        """What the row is called; with single spaces, as texts are read."""
        return " ".join(f"{self.section} {self.label}".split())


def read_seats(text: str, rows: Sequence[RowNames]) -> list[int]:
    """The seats that a text names, in the order of their row.

    Raises:
        ValueError: It names none, or may mean those of several rows.
    """
    text = " ".join(text.split())
    if text.startswith("#") and text[1:].isascii() and text[1:].isdigit():
        index = int(text[1:7])
        if len(text) <= 7 and any(row.first <= index < row.first + len(row.seats) for row in rows):
            return [index]
    # "Stalls 1 2" is seat 2 of row 1, also where a row without a label is called "Stalls".
    meant = [seats for row in rows if (seats := _of_row(text, row))]
    if len(meant) != 1:
        raise ValueError(text)
    return meant[0]


def write_seats(indices: Iterable[int], rows: Sequence[RowNames]) -> list[str]:
    """Texts that name these seats, one a row where words can."""
    wanted = set(indices)
    told = []
    for row in rows:
        seats = [at for at in range(row.first, row.first + len(row.seats)) if at in wanted]
        if seats:
            told += _row_words(seats, row, rows)
    return told


def nearest(text: str, rows: Sequence[RowNames]) -> list[str]:
    """Rows that may have been meant: those of the sections that a text begins with, or all."""
    of_section = [row.words for row in rows if row.section and text.startswith(row.section)]
    return list(dict.fromkeys(of_section or [row.words for row in rows]))


def _of_row(text: str, row: RowNames) -> list[int]:
    """The seats that a text means in this row, if it means any."""
    words = row.words
    if not text.startswith(words):
        return []
    if text == words:
        return list(range(row.first, row.first + len(row.seats)))
    if words and not text.startswith(f"{words} "):
        return []
    found: dict[int, None] = {}
    for part in text[len(words) :].split(","):
        seats = _of_labels(part.strip(), row.seats)
        if not seats:
            return []
        found |= dict.fromkeys(row.first + at for at in seats)
    return sorted(found)


def _of_labels(part: str, labels: Sequence[str]) -> range:
    if labels.count(part) == 1:
        at = labels.index(part)
        return range(at, at + 1)
    for cut in (at for at, sign in enumerate(part) if sign == "-"):
        ends = part[:cut].strip(), part[cut + 1 :].strip()
        if all(labels.count(end) == 1 for end in ends):
            first, last = sorted(map(labels.index, ends))
            return range(first, last + 1)
    return range(0)


def _row_words(seats: list[int], row: RowNames, rows: Sequence[RowNames]) -> list[str]:
    text = row.words
    if len(seats) < len(row.seats):
        text = f"{text} {', '.join(_runs(seats, row))}".strip()
    try:
        if read_seats(text, rows) == seats:
            return [text]
    except ValueError:
        pass
    return [f"#{seat}" for seat in seats]


def _runs(seats: Iterable[int], row: RowNames) -> Iterator[str]:
    """Seats side by side are one part."""
    for _, run in groupby(enumerate(seats), lambda pair: pair[1] - pair[0]):
        found = [row.seats[seat - row.first] for _, seat in run]
        yield found[0] if len(found) == 1 else f"{found[0]}-{found[-1]}"
