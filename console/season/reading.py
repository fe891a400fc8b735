"""A season file, read whole: productions, their dates, and the settings of each.

Owns the keys that are not settings, the order in which what is shared is laid under what is said
of one performance (defaults, production, rule, performance), and the keys of performances. Asks
nobody: who calls brings the plans that the file names.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from console.season import dates
from console.season.problems import Problem, Problems, SeasonError, joined
from console.season.tables import Leaf, Node, Table, placed
from console.season.terms import (
    PlanNames,
    Surroundings,
    Wrong,
    index_in,
    read_settings,
    texts,
)
from engine.currency import checked_currency
from engine.limits import MAX_SEASON_PERFORMANCES, MAX_SEASON_PRODUCTIONS
from engine.season import PerformanceWanted, ProductionWanted, Programme

MAX_FILE_BYTES: Final = 4 * 1024 * 1024

_KEY: Final = re.compile(r"#[0-9]+|[\w][\w .:+/-]{0,199}")
_TOP: Final = ("time_zone", "plan", "defaults", "production")
_SHARED: Final = ("plan", "currency")
_OF_PRODUCTION: Final = ("title", "subtitle", "dates", "rule", "performance")
_OF_RULE: Final = ("every", "from", "to", "except", "plus")
_OF_PERFORMANCE: Final = ("key", "start")


class House(Struct, frozen=True):
    """What the house decides of how a file is read."""

    time_zone: str
    languages: tuple[str, ...]


class PlanSource(Struct, frozen=True):
    """Where a plan of the file comes from: another file, or the house by its content hash."""

    path: str
    file: str = ""
    hash: str = ""


class Season(Struct, frozen=True):
    """What a file says, and where it says it, by (production, performance or "")."""

    programme: Programme
    places: dict[tuple[str, str], str]


@dataclass(slots=True)
class _Date:
    """A performance before its settings are read; `layers` lie over the production's table."""

    path: str
    at: datetime
    layers: list[Table] = field(default_factory=list)


def parse(data: bytes) -> Table:
    """The tables of a file. Raises SeasonError."""
    if len(data) > MAX_FILE_BYTES:
        raise SeasonError((Problem("", "too_large", (("most", str(MAX_FILE_BYTES)),)),))
    try:
        document = tomllib.loads(data.decode("utf-8-sig"), parse_float=Decimal)
    except (ValueError, RecursionError) as error:
        raise SeasonError((Problem("", "not_toml", (("why", str(error)),)),)) from None
    top = placed(document, "")
    assert isinstance(top, Table)
    return top


def plan_sources(top: Table, problems: Problems) -> dict[str, PlanSource]:
    """The plans of a file by the names that it gives them."""
    found: dict[str, PlanSource] = {}
    for name, node in _tables(top, "plan", problems).items():
        _only(node, ("file", "hash"), problems)
        said = {
            key: leaf.value
            for key, leaf in node.items.items()
            if isinstance(leaf, Leaf) and isinstance(leaf.value, str) and leaf.value
        }
        if len(said) != 1:
            problems.add(node.path, "file_or_hash")
        else:
            found[name] = PlanSource(node.path, said.get("file", ""), said.get("hash", ""))
    return found


def read_season(
    top: Table, plans: Mapping[str, PlanNames | None], house: House, problems: Problems
) -> Season:
    """The programme of a file. `plans` by their names in it, None for those that are no good.

    Raises:
        SeasonError: something is wrong with it, or `problems` were found before; it has them all.
    """
    reader = _Reader(plans, house, problems)
    productions = reader.read(top)
    if len(problems):
        raise SeasonError(problems.found())
    return Season(Programme(productions), reader.places)


class _Reader:
    def __init__(
        self, plans: Mapping[str, PlanNames | None], house: House, problems: Problems
    ) -> None:
        self._plans = plans
        self._house = house
        self._zone = ZoneInfo(house.time_zone)
        self._problems = problems
        self.places: dict[tuple[str, str], str] = {}

    def read(self, top: Table) -> tuple[ProductionWanted, ...]:
        _only(top, _TOP, self._problems)
        zone = top.items.get("time_zone")
        if isinstance(zone, Leaf) and zone.value != self._house.time_zone:
            # Whoever wrote the dates meant another clock.
            self._problems.add(zone.path, "other_zone", zone=zone.value,
                               house=self._house.time_zone)  # fmt: skip
        defaults = top.items.get("defaults", Table("defaults"))
        if not isinstance(defaults, Table):
            self._problems.add(defaults.path, "table_wanted")
            defaults = Table("defaults")
        used: dict[str, PlanNames] = {}
        found = [
            self._production(key, table, defaults, used)
            for key, table in _tables(top, "production", self._problems).items()
        ]
        self._check_categories(defaults, used.values())
        if len(found) > MAX_SEASON_PRODUCTIONS:
            self._problems.add("production", "too_many", most=MAX_SEASON_PRODUCTIONS)
        return tuple([one for one in found if one is not None])

    # Productions ------------------------------------------------------------------

    def _production(
        self, key: str, table: Table, defaults: Table, used: dict[str, PlanNames]
    ) -> ProductionWanted | None:
        problems = self._problems
        if not _KEY.fullmatch(key):
            problems.add(table.path, "bad_key", key=key)
        self.places[key, ""] = table.path
        shared = table.without(*_OF_PRODUCTION).over(defaults)
        titles = self._texts(table, "title")
        if not titles:
            problems.add(table.path, "missing", keys="title")
        currency = self._currency(shared, table.path)
        performances: list[PerformanceWanted] = []
        plans: dict[str, PlanNames] = {}
        for name, one in self._dates(key, table).items():
            self.places[key, name] = one.path
            wanted = self._performance(name, one, shared, currency, plans)
            if wanted is not None:
                performances.append(wanted)
        self._check_categories(table, plans.values())
        used |= plans
        if len(performances) > MAX_SEASON_PERFORMANCES:
            problems.add(table.path, "too_many", most=MAX_SEASON_PERFORMANCES)
        if not titles or not currency:
            return None
        subtitles = self._texts(table, "subtitle")
        return ProductionWanted(key, titles, currency, subtitles, tuple(performances))

    def _texts(self, table: Table, key: str) -> dict[str, str]:
        node = table.items.get(key)
        if node is None:
            return {}
        try:
            return texts(node, self._house.languages, self._problems)
        except Wrong as wrong:
            self._problems.add(node.path, wrong.code, **wrong.values)
            return {}

    def _currency(self, shared: Table, path: str) -> str:
        node = shared.items.get("currency")
        if not isinstance(node, Leaf):
            self._problems.add(node.path if node else path, "missing", keys="currency")
            return ""
        try:
            return checked_currency(node.value)
        except (TypeError, ValueError):
            self._problems.add(node.path, "bad_currency", value=node.value)
            return ""

    # Performances -----------------------------------------------------------------

    def _performance(
        self,
        key: str,
        one: _Date,
        shared: Table,
        currency: str,
        used: dict[str, PlanNames],
    ) -> PerformanceWanted | None:
        table = shared
        for layer in one.layers:
            table = layer.without(*_OF_RULE, *_OF_PERFORMANCE).over(table)
        starts_ms = self._to_ms(one.at, one.path)
        plan = self._plan(table, one.path)
        if starts_ms is None or plan is None or not currency:
            return None
        used[plan.hash] = plan
        for layer in one.layers:
            self._check_categories(layer, (plan,))
        around = Surroundings(self._zone, self._house.languages, currency, plan, starts_ms)
        settings = read_settings(table.without(*_SHARED), around, self._problems, one.path)
        self._check_types(table)
        if settings is None:
            return None
        return PerformanceWanted(key, starts_ms, plan.hash, settings)

    def _plan(self, table: Table, path: str) -> PlanNames | None:
        """None where there is none, which is told here, or one that is no good."""
        node = table.items.get("plan")
        if node is None:
            self._problems.add(path, "missing", keys="plan")
            return None
        name = node.value if isinstance(node, Leaf) else None
        if not isinstance(name, str) or name not in self._plans:
            known = ", ".join(self._plans)
            self._problems.add(node.path, "no_such_plan", value=name, known=known)
            return None
        return self._plans[name]

    def _check_categories(self, table: Table, plans: Any) -> None:
        """A price for a category that none of the plans has is a mistake."""
        prices = table.items.get("prices")
        houses = list(plans)
        if not isinstance(prices, Table) or not houses:
            return
        for name, node in prices.items.items():
            if all(index_in(one.categories, name) is None for one in houses):
                known = {each: None for one in houses for each in one.categories}
                names = ", ".join({one.name: None for one in houses})
                self._problems.add(node.path, "not_in_plan", value=name, plan=names,
                                   known=", ".join(known))  # fmt: skip

    def _check_types(self, table: Table) -> None:
        """Prices are for price types that the same performance has."""
        prices, types = table.items.get("prices"), table.items.get("price_type")
        there = types.items if isinstance(types, Table) else {}
        known = [name for name, one in there.items() if isinstance(one, Table)]
        if not isinstance(prices, Table):
            return
        for of_category in prices.items.values():
            cells = of_category.items if isinstance(of_category, Table) else {}
            for name, cell in cells.items():
                gone = name in there or (isinstance(cell, Leaf) and cell.value is False)
                if name not in known and not gone:
                    self._problems.add(cell.path, "price_type_unknown", value=name,
                                       known=", ".join(known))  # fmt: skip

    # Dates ------------------------------------------------------------------------

    def _dates(self, production: str, table: Table) -> dict[str, _Date]:
        """The performances of a production by their keys, in the order of the file."""
        found: dict[str, _Date] = {}
        listed = table.items.get("dates")
        for path, at in self._times(listed):
            self._put(found, _Date(path, at))
        for rule in self._rows(table, "rule"):
            for one in self._rule(rule):
                self._put(found, one)
        named: set[str] = set()
        for row in self._rows(table, "performance"):
            self._explicit(row, found, named)
        return found

    def _put(self, found: dict[str, _Date], one: _Date) -> None:
        """One that has no key of its own."""
        ms = self._to_ms(one.at, one.path)
        if ms is None:
            return
        key = dates.key_of(ms, self._zone)
        if key in found:
            self._problems.add(one.path, "twice", key=key, other=found[key].path)
        else:
            found[key] = one

    def _explicit(self, row: Table, found: dict[str, _Date], named: set[str]) -> None:
        start, said = row.items.get("start"), row.items.get("key")
        at = ms = None
        if start is not None:
            at = self._time(start.value if isinstance(start, Leaf) else None, start.path)
            ms = None if at is None else self._to_ms(at, start.path)
            if ms is None:
                return
        if said is not None:
            key = said.value if isinstance(said, Leaf) else None
            if not isinstance(key, str) or not _KEY.fullmatch(key):
                self._problems.add(said.path, "bad_key", key=key)
                return
        elif ms is None:
            self._problems.add(row.path, "missing", keys="start")
            return
        else:
            key = dates.key_of(ms, self._zone)
        if key in named:
            self._problems.add(row.path, "twice", key=key, other=found[key].path)
            return
        named.add(key)
        below = found.get(key)
        if below is not None:
            found[key] = _Date(row.path, at or below.at, [*below.layers, row])
        elif at is None:
            self._problems.add(row.path, "missing", keys="start")
        else:
            found[key] = _Date(row.path, at, [row])

    def _rule(self, rule: Table) -> list[_Date]:
        problems, items = self._problems, rule.items
        week = self._week(items.get("every"), rule.path)
        bounds = [self._date(items.get(name), rule.path, name) for name in ("from", "to")]
        first, last = bounds
        if week is None or first is None or last is None:
            return []
        if last < first:
            problems.add(rule.path, "ends_before", first=first, last=last)
            return []
        every = dates.expanded(week, first, last)
        left, idle = dates.without(every, self._exceptions(items.get("except")))
        for exception in idle:
            problems.add(joined(rule.path, "except"), "no_such_date", date=exception)
        found = [_Date(rule.path, at, [rule]) for at in left]
        return found + [_Date(path, at, [rule]) for path, at in self._times(items.get("plus"))]

    def _week(self, node: Node | None, path: str) -> dates.Weekly | None:
        if node is None:
            self._problems.add(path, "missing", keys="every")
            return None
        value = node.value if isinstance(node, Leaf) else None
        said = value if isinstance(value, list) else [value]
        merged: dict[int, tuple[Any, ...]] = {}
        for text in said:
            try:
                if not isinstance(text, str):
                    raise dates.NotUnderstood(str(text))
                for day, times in dates.weekly(text).items():
                    merged[day] = tuple(sorted({*merged.get(day, ()), *times}))
            except dates.NotUnderstood as error:
                code = "rule_word" if error.word else "rule_ends"
                self._problems.add(node.path, code, text=text, word=error.word)
                return None
        return merged

    def _exceptions(self, node: Node | None) -> list[date | datetime]:
        """Whole days, or single times of the house's clock."""
        found: list[date | datetime] = []
        for path, value in self._list(node):
            if isinstance(value, date) and not isinstance(value, datetime):
                found.append(value)
            else:
                at = self._time(value, path)
                if at is not None:
                    found.append(
                        at.astimezone(self._zone).replace(tzinfo=None) if at.tzinfo else at
                    )
        return found

    def _times(self, node: Node | None) -> list[tuple[str, datetime]]:
        told = [(path, self._time(value, path)) for path, value in self._list(node)]
        return [(path, at) for path, at in told if at is not None]

    def _list(self, node: Node | None) -> list[tuple[str, Any]]:
        if node is None:
            return []
        if not isinstance(node, Leaf) or not isinstance(node.value, list):
            self._problems.add(node.path, "list_wanted")
            return []
        return [(f"{node.path}[{at}]", value) for at, value in enumerate(node.value, 1)]

    def _rows(self, table: Table, key: str) -> Sequence[Table]:
        """The tables of [[...]]."""
        rows = [placed(value, path) for path, value in self._list(table.items.get(key))]
        for row in rows:
            if not isinstance(row, Table):
                self._problems.add(row.path, "table_wanted")
        return [row for row in rows if isinstance(row, Table)]

    def _time(self, value: Any, path: str) -> datetime | None:
        if isinstance(value, datetime):
            return value
        self._problems.add(path, "time_wanted", value=value)
        return None

    def _date(self, node: Node | None, path: str, key: str) -> date | None:
        value = node.value if isinstance(node, Leaf) else None
        if isinstance(value, date) and not isinstance(value, datetime):
            return value
        if node is None:
            self._problems.add(path, "missing", keys=key)
        else:
            self._problems.add(node.path, "date_wanted", value=value)
        return None

    def _to_ms(self, at: datetime, path: str) -> int | None:
        try:
            return dates.to_ms(at, self._zone)
        except dates.SkippedTime as skipped:
            zone = self._house.time_zone
            self._problems.add(path, "skipped_time", time=skipped, zone=zone)
            return None


def _tables(top: Table, key: str, problems: Problems) -> dict[str, Table]:
    node = top.items.get(key, Table(key))
    if not isinstance(node, Table):
        problems.add(node.path, "table_wanted")
        return {}
    for one in node.items.values():
        if not isinstance(one, Table):
            problems.add(one.path, "table_wanted")
    return {name: one for name, one in node.items.items() if isinstance(one, Table)}


def _only(table: Table, known: Sequence[str], problems: Problems) -> None:
    for key, node in table.items.items():
        if key not in known:
            problems.add(node.path, "unknown_key", key=key, known=", ".join(known))
