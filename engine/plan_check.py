"""Problems of a plan file: what they are, where they stand, how they are collected.

Owns the vocabulary of problems and the reader that takes typed values out of
decoded JSON while noting everything that is wrong with them. Knows no format and
no words for people: a problem is a code with a place and values, its sentence is
in the catalogues under `plan.problem.<code>`.
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from math import isfinite
from typing import Any, TypeAlias

from msgspec import Struct

from engine.limits import (
    MAX_PLAN_PROBLEMS,
    MAX_PLAN_UNITS,
    MAX_POINTS_PER_POLYGON,
    MAX_TEXT_CHARS,
)

Path: TypeAlias = tuple[str | int, ...]
"""Keys and list positions from the top of a JSON file down; ("line", n) in a CSV file."""

Value: TypeAlias = str | int | float

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})|[a-zA-Z]{3,30}")
_CATEGORY_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
# Control characters break a picture (XML) and a terminal; lone surrogates have no UTF-8.
_BAD_TEXT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_PLACES = 6
"""Decimals kept of every coordinate."""


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


class Node:
    """A JSON object being read. Every getter notes what is wrong and returns a usable value.

    `sound` turns False at the first error, so that a caller can leave a broken
    thing out of the checks that compare it with others.
    """

    __slots__ = ("_problems", "_raw", "path", "sound")

    def __init__(self, problems: Problems, raw: object, path: Path) -> None:
        self._problems = problems
        self.path = path
        self.sound = True
        if isinstance(raw, dict):
            self._raw: dict[str, Any] = raw
        else:
            self._raw = {}
            self._fail("bad-type", (), expected="object", found=_kind(raw))

    def has(self, key: str) -> bool:
        return self._raw.get(key) is not None

    def text(self, key: str, default: str | None = None, *, empty: bool = False) -> str:
        """A text; required when there is no `default`, not empty unless `empty`."""
        value = self._raw.get(key)
        if value is None:
            return self._default(key, default, "")
        if not isinstance(value, str):
            self._fail("bad-type", (key,), expected="text", found=_kind(value))
            return ""
        if (not value or value.isspace()) and not empty:
            self._fail("empty-text", (key,))
        elif len(value) > MAX_TEXT_CHARS:
            self._fail("long-text", (key,), limit=MAX_TEXT_CHARS, found=len(value))
        elif not value.isprintable() and _BAD_TEXT.search(value):
            self._fail("bad-text", (key,))
            return ""
        return value

    def number(
        self,
        key: str,
        default: float | None = None,
        least: float = -MAX_PLAN_UNITS,
        most: float = MAX_PLAN_UNITS,
    ) -> float:
        """A finite number within bounds, rounded to the precision of plans."""
        value = self._raw.get(key)
        if value is None:
            return self._default(key, default, 0.0)
        return self._checked_number(value, (key,), least, most)

    def integer(self, key: str, least: int, most: int) -> int:
        value = self._raw.get(key)
        if value is None:
            return self._default(key, None, 0)
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self._fail("bad-type", (key,), expected="integer", found=_kind(value))
            return 0
        if not least <= value <= most:
            self._fail("out-of-range", (key,), least=least, most=most, found=_shown(value))
            return 0
        return value

    def switch(self, key: str) -> bool:
        """True or false; absent is false."""
        value = self._raw.get(key)
        if value is None or isinstance(value, bool):
            return bool(value)
        self._fail("bad-type", (key,), expected="boolean", found=_kind(value))
        return False

    def choice(self, key: str, choices: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(key, default, empty=default == "")
        if self.has(key) and value and value not in choices:
            self._fail("unknown-choice", (key,), found=value, choices=", ".join(choices))
            return choices[0]
        return value or default or choices[0]

    def color(self, key: str) -> str:
        """A colour of the drawing, "" when there is none."""
        value = self.text(key, "", empty=True)
        if value and not _COLOR.fullmatch(value):
            self._fail("bad-color", (key,), found=value)
            return ""
        return value

    def category_color(self, key: str, default: str) -> str:
        value = self.text(key, default)
        if value and not _CATEGORY_COLOR.fullmatch(value):
            self._fail("bad-color", (key,), found=value)
            return default
        return value

    def point(self, key: str, default: tuple[float, float] | None = None) -> tuple[float, float]:
        """`{"x": ..., "y": ...}`."""
        if not self.has(key) and default is not None:
            return default
        inner = self.node(key)
        value = (inner.number("x"), inner.number("y")) if inner.present else (0.0, 0.0)
        self.sound = self.sound and inner.sound
        return value

    def points(self, key: str) -> tuple[tuple[float, float], ...]:
        """`[[x, y], ...]` or `[{"x": ..., "y": ...}, ...]`, three at least."""
        found: list[tuple[float, float]] = []
        for raw, path in self.items(key):
            pair = [raw.get("x"), raw.get("y")] if isinstance(raw, dict) else raw
            if not isinstance(pair, list) or len(pair) != 2:
                self._fail("bad-type", path[len(self.path) :], expected="point", found=_kind(raw))
                continue
            x, y = (
                self._checked_number(value, path[len(self.path) :], -MAX_PLAN_UNITS, MAX_PLAN_UNITS)
                for value in pair
            )
            found.append((x, y))
        if self.has(key) and self.sound and not 3 <= len(found) <= MAX_POINTS_PER_POLYGON:
            self._fail(
                "out-of-range", (key,), least=3, most=MAX_POINTS_PER_POLYGON, found=len(found)
            )
        return tuple(found)

    def items(self, key: str, *, optional: bool = False) -> Iterator[tuple[Any, Path]]:
        """The members of a list with their paths."""
        value = self._raw.get(key)
        if value is None:
            self._default(key, [] if optional else None, [])
        elif not isinstance(value, list):
            self._fail("bad-type", (key,), expected="list", found=_kind(value))
        else:
            head = (*self.path, key)
            for position, raw in enumerate(value):
                yield raw, (*head, position)

    def nodes(self, key: str, *, optional: bool = False) -> Iterator["Node"]:
        """The members of a list of objects; what is no object is noted and left out."""
        for raw, path in self.items(key, optional=optional):
            node = Node(self._problems, raw, path)
            if node.sound:
                yield node

    def node(self, key: str) -> "Node":
        """A required inner object, empty (and not `present`) when it is missing or none."""
        value = self._raw.get(key)
        if value is None:
            self._default(key, None, None)
            inner = Node(self._problems, {}, (*self.path, key))
            inner.sound = False
            return inner
        inner = Node(self._problems, value, (*self.path, key))
        self.sound = self.sound and inner.sound
        return inner

    @property
    def present(self) -> bool:
        """There is an object with something in it, or nothing was wrong with it so far."""
        return bool(self._raw) or self.sound

    def known(self, *keys: str) -> None:
        """Warn of keys that mean nothing here: a slip of the pen is not lost silently."""
        for key in self._raw:
            if key not in keys:
                shown = _BAD_TEXT.sub("?", key)[:MAX_TEXT_CHARS]
                self._problems.warning("unknown-key", self.path, key=shown)

    def fail(self, code: str, key: str, **values: Value) -> None:
        """Note an error of this object's `key`."""
        self._fail(code, (key,), **values)

    def _checked_number(self, value: object, key: Path, least: float, most: float) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fail("bad-type", key, expected="number", found=_kind(value))
            return 0.0
        if isinstance(value, float) and not isfinite(value):
            self._fail("not-finite", key, found=str(value))
            return 0.0
        if not least <= value <= most:
            self._fail("out-of-range", key, least=least, most=most, found=_shown(value))
            return 0.0
        return round(float(value), _PLACES)

    def _default(self, key: str, default: Any, empty: Any) -> Any:
        if default is not None:
            return default
        self._fail("missing-key", (), key=key)
        return empty

    def _fail(self, code: str, key: Path, **values: Value) -> None:
        self.sound = False
        self._problems.error(code, (*self.path, *key), **values)


def _shown(value: float) -> Value:
    """A number that fits a sentence: a JSON integer may have thousands of digits."""
    return value if abs(value) < 10**15 else "1e15"


def _kind(value: object) -> str:
    """The JSON name of a decoded value's type."""
    for kind, name in (
        (bool, "boolean"),
        (str, "text"),
        (int | float, "number"),
        (list, "list"),
        (dict, "object"),
    ):
        if isinstance(value, kind):
            return name
    return "null"
