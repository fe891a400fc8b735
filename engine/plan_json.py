"""Typed values out of decoded JSON, noting everything that is wrong with them.

Owns the reader that plan formats in JSON share. Knows no format: which keys there
are is the business of `engine.plan_own` and `engine.plan_pretix`.
"""

import json
import re
from collections.abc import Iterator
from math import isfinite
from typing import Any

import msgspec

from engine.limits import MAX_PLAN_UNITS, MAX_POINTS_PER_POLYGON, MAX_TEXT_CHARS
from engine.plan import Category
from engine.plan_check import PLACES, Path, PlanError, Problems, Value, cleaned, is_clean

_COLOR = re.compile(r"#(?:[0-9a-fA-F]{3,4}|[0-9a-fA-F]{6}|[0-9a-fA-F]{8})|[a-zA-Z]{3,30}")
_CATEGORY_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_SHORT_COLOR = re.compile(r"#[0-9a-fA-F]{3}")

CATEGORY_COLORS = (
    "#8c1c2f",
    "#b8893b",
    "#2f6f8f",
    "#5b7f4d",
    "#7a4f8c",
    "#c4683a",
    "#3d5a80",
    "#9a6f5d",
)
"""Given in turn to categories that come without a colour."""


def parse(text: str, problems: Problems) -> Any:
    """Decoded JSON. NaN and infinities pass: the reader says where they stand.

    Raises:
        PlanError: this is not JSON.
    """
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        pass
    try:  # slower, but knows line and column
        return json.loads(text)
    except json.JSONDecodeError as error:
        problems.error_at("not-json", error.lineno, error.colno)
    except RecursionError:
        problems.error("too-deep", ())
    except ValueError:  # Python reads no integer of thousands of digits
        problems.error("long-number", ())
    raise PlanError(problems.found())


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
        # The usual case, first.
        if type(value) is str and len(value) <= MAX_TEXT_CHARS and value.isprintable():
            if not empty and not value.strip():
                self._fail("empty-text", (key,))
            return value
        if value is None:
            if default is None:
                self._missing(key)
            return default or ""
        if not isinstance(value, str):
            self._fail("bad-type", (key,), expected="text", found=_kind(value))
            return ""
        if (not value or value.isspace()) and not empty:
            self._fail("empty-text", (key,))
        elif len(value) > MAX_TEXT_CHARS:
            self._fail("long-text", (key,), limit=MAX_TEXT_CHARS, found=len(value))
        elif not is_clean(value):
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
            if default is None:
                self._missing(key)
            return default or 0.0
        return self._checked_number(value, (key,), least, most)

    def integer(self, key: str, least: int, most: int) -> int:
        value = self._raw.get(key)
        if value is None:
            self._missing(key)
            return 0
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
        """One of `choices`, or the default; required when there is no default."""
        value = self.text(key, default, empty=default == "")
        if value in choices or value == default:
            return value
        if value:
            self._fail("unknown-choice", (key,), found=value, choices=", ".join(choices))
        return choices[0]

    def color(self, key: str) -> str:
        """A colour of the drawing, "" when there is none."""
        value = self.text(key, "", empty=True)
        if value and not _COLOR.fullmatch(value):
            self._fail("bad-color", (key,), found=value)
            return ""
        return value

    def category_color(self, key: str, default: str) -> str:
        """`#rrggbb`, also from `#rgb`: pages, terminals and pictures all read it."""
        value = self.text(key, default)
        if _SHORT_COLOR.fullmatch(value):
            return "#" + "".join(digit * 2 for digit in value[1:])
        if value and not _CATEGORY_COLOR.fullmatch(value):
            self._fail("bad-color", (key,), found=value)
        return value

    def point(self, key: str, default: tuple[float, float] | None = None) -> tuple[float, float]:
        """`{"x": ..., "y": ...}`."""
        raw = self._raw.get(key)
        if type(raw) is dict:  # the usual case, first: a stadium has forty thousand of them
            x, y = raw.get("x"), raw.get("y")
            if type(x) is float and type(y) is float:
                most = MAX_PLAN_UNITS
                if -most <= x <= most and -most <= y <= most:
                    return round(x, PLACES), round(y, PLACES)
        if default is not None and not self.has(key):
            return default
        inner = self.node(key)
        if inner is None:
            return (0.0, 0.0)
        value = (inner.number("x"), inner.number("y"))
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
            if not optional:
                self._missing(key)
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

    def node(self, key: str) -> "Node | None":
        """A required inner object; None, and noted, when there is none."""
        value = self._raw.get(key)
        if value is None:
            self._missing(key)
            return None
        inner = Node(self._problems, value, (*self.path, key))
        self.sound = self.sound and inner.sound
        return inner if inner.sound else None

    def known(self, *keys: str) -> None:
        """Warn of keys that mean nothing here: a slip of the pen is not lost silently."""
        for key in self._raw:
            if key not in keys:
                self._problems.warning("unknown-key", self.path, key=cleaned(key, MAX_TEXT_CHARS))

    def fail(self, code: str, key: str, **values: Value) -> None:
        """Note an error of this object's `key`."""
        self._fail(code, (key,), **values)

    def _checked_number(self, value: object, key: Path, least: float, most: float) -> float:
        if type(value) is float and least <= value <= most:  # the usual case, first
            return round(value, PLACES)
        if isinstance(value, bool) or not isinstance(value, int | float):
            self._fail("bad-type", key, expected="number", found=_kind(value))
            return 0.0
        if isinstance(value, float) and not isfinite(value):
            self._fail("not-finite", key, found=str(value))
            return 0.0
        if not least <= value <= most:
            self._fail("out-of-range", key, least=least, most=most, found=_shown(value))
            return 0.0
        return round(float(value), PLACES)

    def _missing(self, key: str) -> None:
        self.sound = False
        self._problems.error("missing-key", self.path, key=key)

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


def read_categories(top: Node) -> tuple[list[Category], dict[str, int]]:
    """The categories of a file and their index by name."""
    found: list[Category] = []
    index: dict[str, int] = {}
    for node in top.nodes("categories"):
        color = CATEGORY_COLORS[len(found) % len(CATEGORY_COLORS)]
        category = Category(node.text("name"), node.category_color("color", color))
        if category.name in index:
            node.fail("duplicate-category", "name", name=category.name)
        elif category.name:
            index[category.name] = len(found)
        found.append(category)
    return found, index


def read_category(node: Node, index: dict[str, int]) -> int:
    """The category that a seat or an area names."""
    name = node.text("category")
    found = index.get(name)
    if found is not None:
        return found
    if name:
        node.fail("unknown-category", "category", name=name)
    return 0
