"""A difference between a season file and the house, for people and for programs.

Owns what is said of each change: the keys of the file with the value before and after, the
performances that change in the same way together, and a warning where somebody has bought already.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct, structs

from console.programme import text_in
from console.season.dates import key_of, to_ms
from console.season.reading import House
from console.season.terms import AMOUNTS, PlanNames, Surroundings, flat, write_settings
from engine.currency import minor_digits
from engine.season import (
    NUMBERED,
    Act,
    Difference,
    Fault,
    PerformanceChange,
    ProductionChange,
    ProductionFound,
    canonical,
)
from engine.settings import Settings
from renderers.i18n import Translator
from renderers.money import format_money, format_percent, format_time, format_weekday_date

COLUMNS: Final = 3
"""Dates side by side in a list of many."""


class Said(Struct, frozen=True):
    """One key of the file; None: it is not there."""

    key: str
    old: Any
    new: Any


class PerformanceSaid(Struct, frozen=True):
    """`starts_ms` is the new start, `from_ms` the one before, where that is another."""

    act: Act
    key: str
    number: int
    starts_ms: int
    from_ms: int
    sold: int
    back: bool
    """It had been withdrawn, and is on again."""
    plan: str
    changes: tuple[Said, ...]
    counted: tuple[Said, ...]
    """The same with moments counted from the start, where they can be."""


class ProductionSaid(Struct, frozen=True):
    """`new`: the house does not have it yet. `currency` is the new one."""

    key: str
    new: bool
    title: dict[str, str]
    currency: str
    changes: tuple[Said, ...]
    performances: tuple[PerformanceSaid, ...]


def explain(
    difference: Difference, plans: Mapping[str, PlanNames], house: House
) -> list[ProductionSaid]:
    """What changes, in the terms of the file. `plans` has all that are named, by hash."""
    return [_production(change, plans, house) for change in difference.productions]


def _production(
    change: ProductionChange, plans: Mapping[str, PlanNames], house: House
) -> ProductionSaid:
    before, after = change.before, change.after
    old = {} if before is None else _texts(before.titles, before.subtitles, before.currency)
    new = _texts(after.titles, after.subtitles, after.currency)
    return ProductionSaid(
        after.key,
        before is None,
        after.titles,
        after.currency,
        () if before is None else _said(old, new),
        tuple([_performance(one, plans, house, after.currency) for one in change.performances]),
    )


def _texts(titles: Any, subtitles: Any, currency: str) -> dict[str, Any]:
    return flat({"title": titles, "subtitle": subtitles, "currency": currency})


def _performance(
    change: PerformanceChange, plans: Mapping[str, PlanNames], house: House, currency: str
) -> PerformanceSaid:
    before, after = change.before, change.after
    shown = after or before
    assert shown is not None, "a change is of something"
    moved = before is not None and after is not None and before.starts_ms != after.starts_ms
    return PerformanceSaid(
        change.act,
        shown.key,
        0 if before is None else before.id,
        shown.starts_ms,
        before.starts_ms if before is not None and moved else 0,
        0 if before is None else before.sold,
        change.act is Act.CHANGE and before is not None and before.withdrawn,
        plans[shown.plan].name,
        _terms(change, plans, house, relative=False),
        _terms(change, plans, house, relative=True),
    )


def _terms(
    change: PerformanceChange, plans: Mapping[str, PlanNames], house: House, *, relative: bool
) -> tuple[Said, ...]:
    """What is said otherwise of a performance than before; of a new one, all."""
    before, after = change.before, change.after
    if after is None:
        return ()
    new = _table(after.settings, plans[after.plan], after.starts_ms, house, relative)
    if before is None:
        return _said({}, new)
    old = _table(before.settings, plans[before.plan], before.starts_ms, house, relative)
    names = [plans[one].name for one in (before.plan, after.plan)]
    if before.plan != after.plan and names[0] == names[1]:
        # Two versions of one plan.
        names = [f"{plans[one].name} ({one[:8]})" for one in (before.plan, after.plan)]
    return _said({"plan": names[0]} | old, {"plan": names[1]} | new)


def _table(
    settings: Settings, plan: PlanNames, starts_ms: int, house: House, relative: bool
) -> dict[str, Any]:
    zone = ZoneInfo(house.time_zone)
    around = Surroundings(zone, house.languages, settings.currency, plan, starts_ms)
    table = write_settings(canonical(settings), around, relative=relative)
    told = flat(table)
    # What goes without saying in a file is worth a word where it changes, and so is an order.
    told.setdefault("status", settings.status.value)
    return told | {
        key: list(value)
        for key, value in table.items()
        if key != "prices" and isinstance(value, Mapping) and _are_entries(value)
    }


def _are_entries(table: Mapping[str, Any]) -> bool:
    return all(isinstance(one, Mapping) for one in table.values())


def _said(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Said, ...]:
    keys = dict.fromkeys([*old, *new])
    return tuple(
        [Said(key, old.get(key), new.get(key)) for key in keys if old.get(key) != new.get(key)]
    )


# In words -------------------------------------------------------------------------------


def lines(said: Iterable[ProductionSaid], house: House, t: Translator) -> list[str]:
    """The difference as lines of text."""
    speaker = _Speaker(house, t)
    return [line for one in said for line in speaker.production(one)]


def fault_words(fault: Fault, places: Mapping[tuple[str, str], str], t: Translator) -> str:
    """Why a programme is refused, with its place in the file."""
    place = places.get((fault.production, fault.performance))
    place = place or places.get((fault.production, ""), fault.production)
    name = fault.performance or fault.production
    return f"{place}: {t(f'season.fault.{fault.flaw}', key=name, what=fault.what)}"


def as_json(said: Sequence[ProductionSaid]) -> Any:
    """For programs: amounts are texts with their decimals, times are ISO 8601."""
    return msgspec.to_builtins(said)


class _Speaker:
    def __init__(self, house: House, t: Translator) -> None:
        self._zone = ZoneInfo(house.time_zone)
        self._t = t

    def production(self, one: ProductionSaid) -> list[str]:
        t = self._t
        title = text_in(one.title, t.language)
        head = t("season.diff.new_production" if one.new else "season.diff.production",
                 title=title, key=one.key)  # fmt: skip
        told = [head, *(f"  ~ {self._change(each, one.currency)}" for each in one.changes)]
        for group in self._grouped(one):
            told += self._group(group, one.currency)
        added = any(each.act is Act.ADD for each in one.performances)
        gone = any(each.act is Act.WITHDRAW for each in one.performances)
        if added and gone:
            told.append(f"  {t('season.diff.moved_hint')}")
        return told

    def _grouped(self, one: ProductionSaid) -> list[list[PerformanceSaid]]:
        """Performances that change in the same way, together."""
        counted = _counted_keys(one.performances)
        groups: dict[tuple[str, ...], list[PerformanceSaid]] = {}
        for each in one.performances:
            each = structs.replace(
                each,
                changes=tuple(
                    [
                        next((said for said in each.counted if said.key == change.key), change)
                        if change.key in counted
                        else change
                        for change in each.changes
                    ]
                ),
            )
            # Tickets that lose their time or their performance are looked at one by one.
            touched = each.from_ms or (each.sold and each.act is Act.WITHDRAW)
            alike = (
                self._in_short(each, one.currency)
                if each.act is Act.ADD
                else [repr(said) for said in each.changes]
            )
            alone = str(each.number) if touched else ""
            key = (alone, each.act.value, each.plan, str(each.back), *alike)
            groups.setdefault(key, []).append(each)
        return [sorted(group, key=lambda one: one.starts_ms) for group in groups.values()]

    def _group(self, group: list[PerformanceSaid], currency: str) -> list[str]:
        t, first, count = self._t, group[0], len(group)
        sign = {Act.ADD: "+", Act.WITHDRAW: "-"}.get(first.act, "~")
        act = "restore" if first.back else first.act.value
        told = []
        if count == 1:
            what = t(f"season.diff.{act}_one", when=self.when(first.starts_ms), plan=first.plan)
        else:
            what = t(f"season.diff.{act}_many", count=count, plan=first.plan)
        sold = sum(one.sold for one in group)
        told.append(
            f"  {sign} {what}" + (f" ({t.plural('season.diff.sold', sold)})" if sold else "")
        )
        if count > 1:
            whens = [self.when(one.starts_ms) for one in group]
            wide = max(map(len, whens))
            for at in range(0, count, COLUMNS):
                row = "   ".join(f"{one:<{wide}}" for one in whens[at : at + COLUMNS])
                told.append(f"      {row.rstrip()}")
        if first.from_ms:
            told.append(f"      start: {self.when(first.from_ms)} → {self.when(first.starts_ms)}")
        if first.act is Act.ADD:
            told += [f"      {one}" for one in self._in_short(first, currency)]
        else:
            told += [f"      {self._change(one, currency)}" for one in first.changes]
        if first.from_ms and first.sold:
            told.append(f"      ! {t.plural('season.diff.moved_sold', first.sold)}")
        if first.act is Act.WITHDRAW and first.sold:
            told.append(f"      ! {t.plural('season.diff.closed', first.sold)}")
        return told

    def _in_short(self, one: PerformanceSaid, currency: str) -> list[str]:
        """What is new, in short: everything of it stands in the file."""
        amounts = [
            amount
            for each in one.changes
            if each.key.startswith("prices.") and not each.key.endswith(".vat")
            for amount in _amounts(each.new)
        ]
        status = next((each.new for each in one.changes if each.key == "status"), "")
        edges = dict.fromkeys((min(amounts), max(amounts)) if amounts else ())
        said = self.value("status", status, currency)
        from_to = " – ".join([self.value("prices.", edge, currency) for edge in edges])
        return [f"{said} · {from_to}" if from_to else said]

    def _change(self, one: Said, currency: str) -> str:
        old, new = (self.value(one.key, value, currency) for value in (one.old, one.new))
        return f"{one.key}: {old} → {new}"

    def value(self, key: str, value: Any, currency: str) -> str:
        t, last = self._t, key.rpartition(".")[2]
        if value is None:
            return t("season.diff.nothing")
        if isinstance(value, bool):
            return t("season.diff.yes" if value else "season.diff.no")
        if isinstance(value, list):
            return ", ".join(self.value(key, one, currency) for one in value) or "[]"
        if isinstance(value, Mapping):
            told = [
                (each, self.value(f"{key}.{each}", one, currency)) for each, one in value.items()
            ]
            return " ".join(one if each == "amount" else f"{each} {one}" for each, one in told)
        if isinstance(value, datetime):
            return self.when(to_ms(value, self._zone))
        if key == "status" and f"console.sale_status.{value}" in t:
            return t(f"console.sale_status.{value}")
        if isinstance(value, int | Decimal) and last in ("percent", "vat"):
            return format_percent(int(Decimal(value) * 100), t.language)
        is_amount = key.startswith("prices.") or last in AMOUNTS
        if isinstance(value, int | Decimal) and is_amount:
            minor = int(Decimal(value).scaleb(minor_digits(currency)))
            return format_money(minor, currency, t.language)
        return str(value) if value != "" else '""'

    def when(self, at_ms: int) -> str:
        zone, language = self._zone.key, self._t.language
        year = datetime.fromtimestamp(at_ms / 1000, self._zone).year
        day, time = format_weekday_date(at_ms, zone, language), format_time(at_ms, zone, language)
        return f"{day} {year} {time}"

    def key(self, starts_ms: int) -> str:
        return key_of(starts_ms, self._zone)


def _amounts(value: Any) -> list[Decimal | int]:
    """Of a price, or of several that follow each other."""
    if isinstance(value, list):
        return [one["amount"] for one in value]
    return [value] if isinstance(value, Decimal | int) else []


def _counted_keys(performances: Sequence[PerformanceSaid]) -> set[str]:
    """The moments that more performances share when they are counted from the start."""
    plain: dict[str, set[str]] = {}
    counted: dict[str, set[str]] = {}
    for one in performances:
        for found, changes in ((plain, one.changes), (counted, one.counted)):
            for said in changes:
                found.setdefault(said.key, set()).add(repr(said))
    return {key for key in counted if len(counted[key]) < len(plain.get(key, ()))}


def listed(productions: Sequence[ProductionFound], house: House, t: Translator) -> list[str]:
    """What is on: each production, and its dates with what is sold."""
    speaker = _Speaker(house, t)
    told = []
    for one in productions:
        told.append(t("season.diff.production", title=text_in(one.titles, t.language), key=one.key))
        for each in one.performances:
            status = speaker.value("status", each.settings.status.value, one.currency)
            sold = t("season.list.sold", sold=each.sold, places=each.places)
            told_by_start = each.key == speaker.key(each.starts_ms)
            name = "" if told_by_start or each.key.startswith(NUMBERED) else f"  {each.key}"
            told.append(f"{each.id:>6}  {speaker.when(each.starts_ms)}  {sold}  {status}{name}")
    return told
