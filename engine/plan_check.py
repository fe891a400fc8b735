"""Problems of a plan file: what they are, where they stand, how they are collected.

Owns the vocabulary of problems. Knows no format and no words for people: a
problem is a code with a place and values, its sentence is in the catalogues under
`plan.problem.<code>`.
"""

import re
from enum import StrEnum
from typing import TypeAlias

from msgspec import Struct

from engine.limits import MAX_PLAN_PROBLEMS

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of a JSON file down; ("line", n) in a CSV file."""

Value: TypeAlias = str | int | float

PLACES = 6
"""Decimals kept of every coordinate."""

# Control characters break a picture (XML) and a terminal; lone surrogates have no UTF-8.
_BAD_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


class Severity(StrEnum):
    """An error keeps the whole file out; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Problem(Struct, frozen=True):
    """One thing wrong with a file.

    `path` is a JSON path ("zones[0].rows[2]"); `line` and `column` count from 1
    and are 0 where they say nothing. `values` fill the sentence of `code`.
    """

    code: str
    severity: Severity
    path: str = ""
    line: int = 0
    column: int = 0
    values: dict[str, Value] = {}


class PlanError(Exception):
    """A plan that was not read; `problems` lists everything found, errors and warnings."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        self.problems = problems
        errors = [problem for problem in problems if problem.severity is Severity.ERROR]
        shown = [f"{problem.code} at {place(problem)}" for problem in errors[:5]]
        more = [f"and {len(errors) - 5} more"] if len(errors) > 5 else []
        super().__init__("; ".join(shown + more))


class Problems:
    """Collects problems, up to a bound, and remembers whether there was an error."""

    def __init__(self) -> None:
        self._found: list[Problem] = []
        self.errors = 0

    def error(self, code: str, path: Path, **values: Value) -> None:
        self.errors += 1
        self._add(code, Severity.ERROR, path, values)

    def warning(self, code: str, path: Path, **values: Value) -> None:
        self._add(code, Severity.WARNING, path, values)

    def error_at(self, code: str, line: int, column: int, **values: Value) -> None:
        """An error in the text of a file rather than in what it says."""
        self.errors += 1
        if len(self._found) < MAX_PLAN_PROBLEMS:
            self._found.append(Problem(code, Severity.ERROR, "", line, column, values))

    def found(self) -> tuple[Problem, ...]:
        return tuple(self._found)

    def _add(self, code: str, severity: Severity, path: Path, values: dict[str, Value]) -> None:
        if len(self._found) >= MAX_PLAN_PROBLEMS:
            return
        if len(self._found) == MAX_PLAN_PROBLEMS - 1:
            code, severity, values = "more", Severity.ERROR, {"limit": MAX_PLAN_PROBLEMS}
            self.errors += 1
        if path and path[0] == "line":
            self._found.append(Problem(code, severity, "", int(path[1]), 0, values))
        else:
            self._found.append(Problem(code, severity, json_path(path), 0, 0, values))


def json_path(path: Path) -> str:
    """("zones", 0, "name") as "zones[0].name"; the file itself is "$"."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in path]
    return "".join(parts).lstrip(".") or "$"


def place(problem: Problem) -> str:
    """Where a problem is, without words: a JSON path, a line, or a line and a column."""
    if problem.column:
        return f"{problem.line}:{problem.column}"
    return str(problem.line) if problem.line else problem.path


def shown_path(path: Path) -> str:
    """A path as the value of another problem ("also at ...")."""
    return str(path[1]) if path and path[0] == "line" else json_path(path)


def is_clean(text: str) -> bool:
    """The text can be printed, drawn and sent."""
    return text.isprintable() or not _BAD_TEXT.search(text)


def cleaned(text: str, most: int) -> str:
    """A text from a file made fit to be shown as a value of a problem."""
    return _BAD_TEXT.sub("?", text)[:most]
