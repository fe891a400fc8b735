"""Settings as a season file writes them: names for numbers, amounts, moments, lengths.

Owns the way between a value of `engine.settings` and a table, made from the types, so that a field
that is new there is a key here. What a key is called and how its value is written follow from the
field:

    doors_open_ms     doors_open, a moment (see moments)        hold_ms   hold, a length
    percent_bp        percent, with two decimals                names     name, texts by language
    amount, fee...    in units of the currency, with decimals
    category, sections, areas...                                by their names in the plan
    price_types, gates, quotas: whatever has an id              a table for each, under its id
    seats             in words (see seats)
    prices            prices.CATEGORY.PRICE_TYPE

A number that is none of these is written as it is.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from difflib import get_close_matches
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

import msgspec
from msgspec import inspect, structs

from console.season import moments
from console.season.dates import SkippedTime
from console.season.problems import Problems, joined
from console.season.seats import RowNames, nearest, read_seats, write_seats
from console.season.tables import Leaf, Node, Table, placed
from engine.currency import minor_digits
from engine.plan import Area, Category, Plan, Seat, Section
from engine.settings import Price, Settings
from engine.settings_check import first_flaw

S = TypeVar("S", bound=msgspec.Struct)

AMOUNTS: Final = frozenset(("amount", "fixed", "fee"))
LENGTHS: Final = frozenset(("hold_ms", "hold_cap_ms", "before_ms"))
PLACES: Final = {
    "category": "categories",
    "categories": "categories",
    "section": "sections",
    "sections": "sections",
    "area": "areas",
    "areas": "areas",
}
"""Fields that hold indices of a plan, and of which of its lists."""
ELSEWHERE: Final = frozenset(("currency",))
"""Of a performance's settings: said by its production."""
TYPES: Final = "price_types"
MAX_ROWS_SAID: Final = 10
"""Rows of a plan that are named where one is not found."""
_NUMBERED: Final = re.compile(r"#[0-9]{1,6}")


@dataclass(frozen=True, slots=True)
class PlanNames:
    """What a plan calls its parts, in the order of their indices."""

    hash: str
    name: str
    categories: Sequence[str]
    sections: Sequence[str]
    areas: Sequence[str]
    rows: Sequence[RowNames] = ()

    @property
    def sketch(self) -> Plan:
        """A plan whose seats are all alike, to judge settings by."""
        seats = max([row.first + len(row.seats) for row in self.rows], default=0)
        return Plan(
            id="",
            name=self.name,
            width=1,
            height=1,
            focal=(0, 0),
            categories=tuple([Category(one, "") for one in self.categories]),
            sections=tuple([Section("", one) for one in self.sections]),
            rows=(),
            seats=(Seat("", 0, "", 0, 0, 0),) * seats,
            areas=tuple([Area("", 0, one, 0, 0, ()) for one in self.areas]),
        )

    def part(self, name: str) -> Sequence[str]:
        part: Sequence[str] = getattr(self, name)
        return part


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a performance's settings are read and written by."""

    zone: ZoneInfo
    languages: Sequence[str]
    currency: str
    plan: PlanNames
    starts_ms: int


class Wrong(Exception):
    """A value that is not what it should be; `code` and `values` as of a Problem."""

    def __init__(self, code: str, **values: Any) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


def key_of(name: str, kind: inspect.Type) -> str:
    """What a field is called in a file."""
    if _entries(kind) is not None or name in ("names", "titles", "subtitles"):
        return name.removesuffix("s")
    return name.removesuffix("_ms").removesuffix("_bp")


def keys_of(kind: type[msgspec.Struct]) -> list[str]:
    """What may be said in the table of a struct."""
    return [
        key_of(one.name, _bare(inspect.type_info(one.type)))
        for one in structs.fields(kind)
        if one.name not in ELSEWHERE
    ]


# In -------------------------------------------------------------------------------------


def read_settings(
    table: Table, around: Surroundings, problems: Problems, path: str = ""
) -> Settings | None:
    """The settings that a merged table says; None where something of it is wrong.

    `path` is where the performance stands whose settings they are.
    """
    before = len(problems)
    values = _Reader(around, problems).struct(table, Settings, {"currency": around.currency})
    # What is inherited for a price type that was taken away goes with it.
    types = {one["id"] for one in values[TYPES]}
    values["prices"] = [one for one in values["prices"] if one["price_type"] in types]
    if len(problems) > before:
        return None
    settings = msgspec.convert(values, Settings)
    flaw = first_flaw(settings, around.plan.sketch)
    if flaw is not None:
        problems.add(path, "contradiction", field=flaw.field, why=flaw.why)
    return settings


class _Reader:
    def __init__(self, around: Surroundings, problems: Problems) -> None:
        self._around = around
        self._problems = problems

    def struct(
        self, table: Table, kind: type[msgspec.Struct], values: dict[str, Any]
    ) -> dict[str, Any]:
        """`values`, and what the table says of a struct's other fields, as plain values."""
        fields = {}
        for one in structs.fields(kind):
            if one.name not in values and one.name not in ELSEWHERE:
                bare = _bare(inspect.type_info(one.type))
                fields[key_of(one.name, bare)] = (one, bare)
        for key, node in table.items.items():
            if key not in fields:
                near = get_close_matches(key, fields, 1)
                near = near or sorted(fields)
                self._problems.add(node.path, "unknown_key", key=key, known=", ".join(near))
                continue
            one, bare = fields[key]
            may_go = isinstance(bare, inspect.StructType) or one.default is None
            if may_go and _is_taken_away(node):
                continue
            try:
                values[one.name] = self._value(one.name, bare, node)
            except Wrong as wrong:
                self._problems.add(node.path, wrong.code, **wrong.values)
        missing = [
            key
            for key, (one, _) in fields.items()
            if one.required and one.name not in values and key not in table.items
        ]
        if kind is Settings:
            # A performance that nobody may buy yet needs neither.
            values.setdefault(TYPES, [])
            values.setdefault("prices", [])
        elif missing:
            self._problems.add(table.path, "missing", keys=", ".join(missing))
        return values

    def _value(self, name: str, kind: inspect.Type, node: Node) -> Any:
        if name == "prices":
            return self._prices(node)
        entries = _entries(kind)
        if entries is not None:
            return self._entries(entries, node)
        if isinstance(kind, inspect.DictType):
            return self._texts(node)
        if isinstance(kind, inspect.StructType):
            return self.struct(_table(node), kind.cls, {})
        if not isinstance(node, Leaf):
            raise Wrong("no_table")
        if isinstance(kind, inspect.VarTupleType):
            return self._list(name, _bare(kind.item_type), node)
        return self._leaf(name, kind, node.value)

    def _entries(self, kind: type[msgspec.Struct], node: Node) -> list[dict[str, Any]]:
        """A table for each id; `false` takes away what is inherited."""
        found = []
        for id, one in _table(node).items.items():
            if isinstance(one, Table):
                found.append(self.struct(one, kind, {"id": id}))
            elif one.value is not False:
                self._problems.add(one.path, "table_or_false")
        return found

    def _prices(self, node: Node) -> list[dict[str, Any]]:
        """prices.CATEGORY.PRICE_TYPE: an amount, a table, several of either, or `false`."""
        found = []
        names = self._around.plan.categories
        for name, of_category in _table(node).items.items():
            if not isinstance(of_category, Table):
                if of_category.value is not False:
                    self._problems.add(of_category.path, "table_or_false")
                continue
            category = index_in(names, name)
            if category is None:
                # What is said for several plans may be of another one: `reading` judges that.
                continue
            for kind, one in of_category.items.items():
                for cell in _cells(one):
                    known = {"category": category, "price_type": kind}
                    if isinstance(cell, Table):
                        found.append(self.struct(cell, Price, known))
                        continue
                    try:
                        amount = self._amount(cell.value)
                    except Wrong as wrong:
                        self._problems.add(cell.path, wrong.code, **wrong.values)
                    else:
                        found.append({**known, "amount": amount})
        return found

    def _texts(self, node: Node) -> dict[str, str]:
        return texts(node, self._around.languages, self._problems)

    def _list(self, name: str, kind: inspect.Type, node: Leaf) -> list[Any]:
        if not isinstance(node.value, list):
            raise Wrong("list_wanted")
        if isinstance(kind, inspect.StructType):
            rows = [placed(one, f"{node.path}[{at}]") for at, one in enumerate(node.value, 1)]
            return [self.struct(_table(row), kind.cls, {}) for row in rows]
        if name == "seats":
            return sorted({seat for one in node.value for seat in self._seats(one)})
        return [self._leaf(name, kind, one) for one in node.value]

    def _leaf(self, name: str, kind: inspect.Type, value: Any) -> Any:
        if name in PLACES:
            return self._place(PLACES[name], value)
        if isinstance(kind, inspect.EnumType):
            known = [one.value for one in kind.cls]
            if value not in known:
                raise Wrong("not_one_of", value=value, known=", ".join(map(str, known)))
            return value
        if isinstance(kind, inspect.BoolType):
            return _of(value, bool, "truth_wanted")
        if isinstance(kind, inspect.StrType):
            return _of(value, str, "text_wanted")
        if not isinstance(kind, inspect.IntType):
            raise Wrong("not_here")
        number = self._number(name, value)
        least, most = kind.ge, kind.le
        if (least is not None and number < least) or (most is not None and number > most):
            raise Wrong("out_of_range", value=value)
        return number

    def _number(self, name: str, value: Any) -> int:
        if name in LENGTHS:
            try:
                return moments.read_length(value)
            except ValueError:
                raise Wrong("length_wanted", value=value) from None
        if name.endswith("_ms"):
            return self._moment(value)
        if name in AMOUNTS:
            return self._amount(value)
        if name.endswith("_bp"):
            return _scaled(value, 2, "percent_wanted")
        return int(_of(value, int, "number_wanted"))

    def _moment(self, value: Any) -> int:
        try:
            return moments.read_moment(value, self._around.starts_ms, self._around.zone)
        except SkippedTime as skipped:
            raise Wrong("skipped_time", time=skipped, zone=self._around.zone.key) from None
        except ValueError:
            raise Wrong("moment_wanted", value=value) from None

    def _amount(self, value: Any) -> int:
        return _scaled(value, minor_digits(self._around.currency), "amount_wanted")

    def _place(self, part: str, value: Any) -> int:
        names = self._around.plan.part(part)
        at = index_in(names, value)
        if at is None:
            known = get_close_matches(str(value), names, 3) or names
            raise Wrong("not_in_plan", value=value, plan=self._around.plan.name,
                        known=", ".join(known))  # fmt: skip
        return at

    def _seats(self, value: Any) -> list[int]:
        plan, text = self._around.plan, _of(value, str, "text_wanted")
        try:
            return read_seats(text, plan.rows)
        except ValueError:
            words = nearest(text, plan.rows)
            known = get_close_matches(text, words, 3) or words[:MAX_ROWS_SAID]
            raise Wrong("not_in_plan", value=text, plan=plan.name,
                        known=", ".join(known)) from None  # fmt: skip


def index_in(names: Sequence[str], value: Any) -> int | None:
    """Of a name; "#3" stands for what has no name, or one that is another's too."""
    if value in names:
        return names.index(value)
    return int(value[1:]) if isinstance(value, str) and _NUMBERED.fullmatch(value) else None


def texts(node: Node, languages: Sequence[str], problems: Problems) -> dict[str, str]:
    """Texts by language; one text alone is the same in all of the house's languages."""
    if isinstance(node, Leaf):
        value = _of(node.value, str, "texts_wanted")
        return dict.fromkeys(languages, value)
    found = {}
    for language, one in node.items.items():
        if isinstance(one, Leaf) and isinstance(one.value, str):
            found[language] = one.value
        else:
            problems.add(one.path, "text_wanted")
    return found


def _is_taken_away(node: Node) -> bool:
    return isinstance(node, Leaf) and node.value is False


def _table(node: Node) -> Table:
    if not isinstance(node, Table):
        raise Wrong("table_wanted")
    return node


def _cells(node: Node) -> list[Node]:
    """The prices in one place: none, one, or several with bounds of their own."""
    if isinstance(node, Table):
        return [node]
    if node.value is False:
        return []
    if isinstance(node.value, list):
        return [placed(one, f"{node.path}[{at}]") for at, one in enumerate(node.value, 1)]
    return [node]


def _of(value: Any, kind: type, code: str) -> Any:
    # TOML tells true from 1, and Python does not.
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise Wrong(code, value=value)
    return value


def _scaled(value: Any, digits: int, code: str) -> int:
    """A number of a file in units of its last decimal."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise Wrong(code, value=value)
    scaled = Decimal(value).scaleb(digits)
    if not scaled.is_finite() or scaled != int(scaled):
        raise Wrong("too_fine", value=value, digits=digits)
    return int(scaled)


# Out ------------------------------------------------------------------------------------


def write_settings(
    settings: Settings, around: Surroundings, *, relative: bool = False
) -> dict[str, Any]:
    """The table that says these settings, without what goes without saying.

    `relative`: moments are counted from the start, where that can be said.
    """
    written = _Writer(around, relative).struct(settings, ELSEWHERE)
    written.pop("prices", None)
    prices = _Writer(around, relative).prices(settings)
    return written | ({"prices": prices} if prices else {})


class _Writer:
    def __init__(self, around: Surroundings, relative: bool) -> None:
        self._around = around
        self._relative = relative

    def struct(self, value: msgspec.Struct, known: frozenset[str]) -> dict[str, Any]:
        """`known` fields are said elsewhere."""
        table: dict[str, Any] = {}
        for one in structs.fields(type(value)):
            of_it = getattr(value, one.name)
            if one.name in known or (not one.required and of_it == one.default):
                continue
            bare = _bare(inspect.type_info(one.type))
            table[key_of(one.name, bare)] = self._value(one.name, bare, of_it)
        return table

    def prices(self, settings: Settings) -> dict[str, Any]:
        known = frozenset(("category", "price_type"))
        cells: dict[str, dict[str, list[Any]]] = {}
        for price in settings.prices:
            told = self.struct(price, known)
            cell = told["amount"] if told.keys() == {"amount"} else told
            name = self._name("categories", price.category)
            cells.setdefault(name, {}).setdefault(price.price_type, []).append(cell)
        return {
            name: {kind: each[0] if len(each) == 1 else each for kind, each in row.items()}
            for name, row in cells.items()
        }

    def _value(self, name: str, kind: inspect.Type, value: Any) -> Any:
        entries = _entries(kind)
        if entries is not None:
            return {one.id: self.struct(one, frozenset(("id",))) for one in value}
        if isinstance(kind, inspect.VarTupleType):
            item = _bare(kind.item_type)
            if isinstance(item, inspect.StructType):
                return [self.struct(one, frozenset()) for one in value]
            if name == "seats":
                return write_seats(value, self._around.plan.rows)
            return [self._leaf(name, item, one) for one in value]
        if isinstance(kind, inspect.StructType):
            return self.struct(value, frozenset())
        return dict(value) if isinstance(value, Mapping) else self._leaf(name, kind, value)

    def _leaf(self, name: str, kind: inspect.Type, value: Any) -> Any:
        if name in PLACES:
            return self._name(PLACES[name], value)
        if isinstance(kind, inspect.EnumType):
            return value.value
        if not isinstance(kind, inspect.IntType):
            return value
        if name in LENGTHS:
            return moments.write_length(value)
        if name.endswith("_ms"):
            return self._moment(value)
        if name in AMOUNTS:
            digits = minor_digits(self._around.currency)
            return Decimal(value).scaleb(-digits) if digits else value
        if name.endswith("_bp"):
            return Decimal(value).scaleb(-2)
        return value

    def _moment(self, at_ms: int) -> Any:
        around = self._around
        told = moments.write_relative(at_ms, around.starts_ms, around.zone)
        if self._relative and told is not None:
            return told
        return moments.write_moment(at_ms, around.zone)

    def _name(self, part: str, index: int) -> str:
        names = self._around.plan.part(part)
        name = names[index] if 0 <= index < len(names) else ""
        return name if name and names.index(name) == index else f"#{index}"


# The types --------------------------------------------------------------------------------


def _bare(kind: inspect.Type) -> inspect.Type:
    """A type without what is said about it, and without None."""
    if isinstance(kind, inspect.Metadata):
        return _bare(kind.type)
    if isinstance(kind, inspect.UnionType):
        rest = [one for one in kind.types if not isinstance(one, inspect.NoneType)]
        if len(rest) == 1:
            return _bare(rest[0])
    return kind


def _entries(kind: inspect.Type) -> type[msgspec.Struct] | None:
    """The struct of a tuple of things that have an id."""
    item = _bare(kind.item_type) if isinstance(kind, inspect.VarTupleType) else None
    if isinstance(item, inspect.StructType) and "id" in item.cls.__struct_fields__:
        return item.cls
    return None


def flat(table: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """The values of nested tables by their paths."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping):
            found |= flat(value, joined(path, key))
        else:
            found[joined(path, key)] = value
    return found
