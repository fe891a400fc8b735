"""Import of a CSV of seats: one line each, under a header naming the columns.

The columns are section, row, seat, x, y, category, in any order. Comma,
semicolon or tab separate them; with the last two a decimal comma is understood.
A CSV has no house around its seats: size, colours and ids are made here.
"""

import csv
import re
from collections.abc import Iterator
from math import isfinite

from engine.geometry import typical_pitch
from engine.limits import MAX_PLAN_UNITS, MAX_SEATS_PER_PLAN, MAX_TEXT_CHARS
from engine.plan import Category, Plan
from engine.plan_check import PLACES, Path, PlanError, Problems, cleaned, is_clean
from engine.plan_draft import Draft, DraftRow, DraftSeat, DraftSection, slug, unique
from engine.plan_json import CATEGORY_COLORS
from engine.plan_shapes import box

COLUMNS = ("section", "row", "seat", "x", "y", "category")
MARGIN_PITCHES = 2
"""Room left around the seats."""

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_MAY_BE_EMPTY = ("row",)


def looks_like_csv(text: str) -> bool:
    """The first line names at least the seat and its coordinates."""
    names = _header(text)[1]
    return {"seat", "x", "y"} <= set(names)


def read_csv(text: str, name: str, problems: Problems) -> Plan:
    """The plan in a CSV file, called `name`.

    Raises:
        PlanError: something was wrong with it.
    """
    draft = Draft(name=name or "Plan")
    sections: dict[str, DraftSection] = {}
    rows: dict[tuple[str, str], DraftRow] = {}
    categories: dict[str, int] = {}
    taken: set[str] = set()
    taken_sections: set[str] = set()
    for cells, path in _records(text, problems):
        section, label, number = cells["section"], cells["row"], cells["seat"]
        seat = DraftSeat(
            unique(f"{section}-{label}-{number}" if label else f"{section}-{number}", taken),
            number,
            round(float(cells["x"]), PLACES),
            round(float(cells["y"]), PLACES),
            categories.setdefault(cells["category"], len(categories)),
            path=path,
        )
        if section not in sections:
            section_id = unique(slug(section), taken_sections)
            sections[section] = DraftSection(section_id, section, path=path)
        if (section, label) not in rows:
            rows[section, label] = DraftRow(label, path=path)
            sections[section].rows.append(rows[section, label])
        rows[section, label].seats.append(seat)
    draft.sections += sections.values()
    draft.categories += [
        Category(category, CATEGORY_COLORS[number % len(CATEGORY_COLORS)])
        for category, number in categories.items()
    ]
    _build_house(draft)
    return draft.finish(problems, reorder=True)


def _build_house(draft: Draft) -> None:
    """A house just large enough; seats drawn left of or above zero are moved into it."""
    seats = [seat for _, _, seat in draft.seats()]
    if not seats:
        return
    rows = [[(seat.x, seat.y) for seat in row.seats] for s in draft.sections for row in s.rows]
    steps = [typical_pitch(row, [tuple(range(len(row)))]) for row in rows if len(row) > 1]
    margin = MARGIN_PITCHES * (sorted(steps)[len(steps) // 2] if steps else 1.0)
    left, top, right, bottom = box([(seat.x, seat.y) for seat in seats])
    dx = margin - left if left < 0 else 0.0
    dy = margin - top if top < 0 else 0.0
    for seat in seats:
        seat.x = round(seat.x + dx, PLACES)
        seat.y = round(seat.y + dy, PLACES)
    draft.width = round(right + dx + max(margin, left), PLACES)
    draft.height = round(bottom + dy + max(margin, top), PLACES)


def _header(text: str) -> tuple[str, list[str]]:
    """The separator and the column names of the first line."""
    line = text.split("\n", 1)[0].rstrip("\r")
    separator = max(",;\t", key=line.count)
    return separator, [name.strip().strip('"').lower() for name in line.split(separator)]


def _records(text: str, problems: Problems) -> Iterator[tuple[dict[str, str], Path]]:
    """The cells of each sound line, by column name, with its place."""
    separator, names = _header(text)
    for key in COLUMNS:
        if names.count(key) != 1:
            code = "missing-column" if key not in names else "double-column"
            problems.error(code, ("line", 1), column=key, columns=", ".join(COLUMNS))
    for name in dict.fromkeys(names):
        if name not in COLUMNS:
            problems.warning("unknown-key", ("line", 1), key=cleaned(name, MAX_TEXT_CHARS))
    if problems.errors:
        raise PlanError(problems.found())
    reader = csv.reader(text.splitlines(keepends=True), delimiter=separator)
    try:
        next(reader)
        for count, values in enumerate(reader):
            path: Path = ("line", reader.line_num)
            if not any(value.strip() for value in values):
                continue
            if count > MAX_SEATS_PER_PLAN:
                problems.error("too-many", path, what="seats", found=count, most=MAX_SEATS_PER_PLAN)
                return
            if len(values) != len(names):
                problems.error("cell-count", path, found=len(values), expected=len(names))
                continue
            cells = {key: value.strip() for key, value in zip(names, values, strict=True)}
            if separator != ",":
                cells |= {key: cells[key].replace(",", ".") for key in ("x", "y")}
            if _sound(cells, path, problems):
                yield cells, path
    except csv.Error:
        problems.error("not-csv", ("line", max(reader.line_num, 1)))


def _sound(cells: dict[str, str], path: Path, problems: Problems) -> bool:
    before = problems.errors
    for key in ("section", "row", "seat", "category"):
        value = cells[key]
        if not value and key not in _MAY_BE_EMPTY:
            problems.error("empty-cell", path, column=key)
        elif len(value) > MAX_TEXT_CHARS:
            problems.error("long-text", path, limit=MAX_TEXT_CHARS, found=len(value))
        elif not is_clean(value):
            problems.error("bad-text", path)
    for key in ("x", "y"):
        if not _NUMBER.fullmatch(cells[key]):
            problems.error("bad-number", path, column=key, found=cleaned(cells[key], 40))
        elif not isfinite(float(cells[key])) or abs(float(cells[key])) > MAX_PLAN_UNITS:
            found = cells[key][:40]
            least, most = -MAX_PLAN_UNITS, MAX_PLAN_UNITS
            problems.error("out-of-range", path, least=least, most=most, found=found)
    return problems.errors == before
