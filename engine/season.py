"""A programme as a season file wants it, and how it differs from what is in the house.

Owns the values that travel between whoever reads a season file, the edge and the database, when
two of them are the same, and what is to be done about a difference. Pure: knows no file, no time
zone and no SQL. A production is owned by the programme that names it: performances of it that the
programme does not name are withdrawn, unless they are over; productions that it does not name are
nobody's business here.

Keys name things for good. What the house made without one has "#" and its number for a key, and a
performance like that is also found by when it starts.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.currency import checked_currency
from engine.limits import MAX_SEASON_PERFORMANCES, MAX_SEASON_PRODUCTIONS, MAX_TEXT_CHARS
from engine.settings import Price, SaleStatus, Settings

NUMBERED: Final = "#"
"""Begins the key of what was made without one; its number follows."""

Key = Annotated[
    str, Meta(min_length=1, max_length=MAX_TEXT_CHARS, pattern=r"^(#[0-9]+|[\w][\w .:+/-]*)$")
]
_Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
_Texts = Annotated[dict[str, _Text], Meta(max_length=10)]


class PerformanceWanted(Struct, frozen=True):
    """One dated showing, on the plan of a content hash."""

    key: Key
    starts_ms: Annotated[int, Meta(ge=0, le=2**53)]
    plan: str
    settings: Settings


class ProductionWanted(Struct, frozen=True):
    """`titles` and `subtitles` by language code."""

    key: Key
    titles: Annotated[_Texts, Meta(min_length=1)]
    currency: str
    subtitles: _Texts = {}
    performances: Annotated[
        tuple[PerformanceWanted, ...], Meta(max_length=MAX_SEASON_PERFORMANCES)
    ] = ()


class Programme(Struct, frozen=True):
    """What a season file says, with nothing left to look up."""

    productions: Annotated[tuple[ProductionWanted, ...], Meta(max_length=MAX_SEASON_PRODUCTIONS)]


class PerformanceFound(Struct, frozen=True):
    """A performance of the house. `sold` counts tickets that are not refunded.

    `withdrawn`: taken off the programme; it is kept for what was sold and decided in it.
    """

    id: int
    key: str
    starts_ms: int
    plan: str
    settings: Settings
    sold: int = 0
    places: int = 0
    withdrawn: bool = False


class ProductionFound(Struct, frozen=True):
    id: int
    key: str
    titles: dict[str, str]
    subtitles: dict[str, str]
    currency: str
    performances: tuple[PerformanceFound, ...] = ()


class Act(StrEnum):
    """What becomes of a performance. REPLACE: another takes its place, on another plan."""

    ADD = "add"
    CHANGE = "change"
    REPLACE = "replace"
    WITHDRAW = "withdraw"


class PerformanceChange(Struct, frozen=True):
    """`before` is None for ADD, `after` for WITHDRAW."""

    act: Act
    before: PerformanceFound | None
    after: PerformanceWanted | None


class ProductionChange(Struct, frozen=True):
    """`before` is None for a new one. What it shows may be the same and its performances not."""

    before: ProductionFound | None
    after: ProductionWanted
    performances: tuple[PerformanceChange, ...]

    @property
    def is_shown_otherwise(self) -> bool:
        """Its own texts or currency are new."""
        before, after = self.before, self.after
        return before is None or (before.titles, before.subtitles, before.currency) != (
            after.titles,
            after.subtitles,
            after.currency,
        )


class Flaw(StrEnum):
    """Why a programme is refused. Each names a production, most a performance of it."""

    SAME_KEY = "same_key"
    SAME_PRODUCTION = "same_production"
    NO_SUCH_NUMBER = "no_such_number"
    BAD_CURRENCY = "bad_currency"
    OTHER_CURRENCY = "other_currency"
    CURRENCY_SOLD = "currency_sold"
    PLAN_SOLD = "plan_sold"
    CANCELLED = "cancelled"


class Fault(Struct, frozen=True):
    """`performance` is "" for what concerns all of a production; `what` is the thing at fault."""

    flaw: Flaw
    production: str
    performance: str = ""
    what: str = ""


class Difference(Struct, frozen=True):
    """Between a programme and the house; with faults nothing of it can be done."""

    productions: tuple[ProductionChange, ...]
    faults: tuple[Fault, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.productions and not self.faults


class Todo(Struct, frozen=True):
    """An actor that has to be told."""

    performance: int
    before: Settings
    after: Settings


class Pending(Struct, frozen=True):
    """A change that is written, and what is left to tell. `number` is in the order of changes."""

    number: int
    id: bytes
    todo: tuple[Todo, ...]


class Changed(Struct, frozen=True):
    """What an applied programme came to; `again`: it had been applied before, by the same id."""

    added: int
    changed: int
    withdrawn: int
    again: bool = False


class Reason(StrEnum):
    """Why a programme was not applied, in the order in which they are looked for.

    OTHER_CONTENT: a change of this id was made, and was another one. STALE: the house is not as it
    was when the programme was compared with it. FAULTY: the programme contradicts the house, or
    itself.
    """

    OTHER_CONTENT = "other_content"
    STALE = "stale"
    FAULTY = "faulty"
    PLAN_UNKNOWN = "plan_unknown"


class Unchanged(Struct, frozen=True):
    """Nothing was changed. `plan` is that of PLAN_UNKNOWN."""

    reason: Reason
    faults: tuple[Fault, ...] = ()
    plan: str = ""


def canonical(settings: Settings) -> Settings:
    """The same rules in the one order in which they are compared.

    The order of price types says which is the usual one, that of prices nothing, but that of
    several for the same the last one counts. That of allocations says who has a seat that two
    want, that of the seats in one nothing.
    """
    types = {kind.id: at for at, kind in enumerate(settings.price_types)}
    last = {msgspec.json.encode(replace(price, amount=0)): price for price in settings.prices}

    def place(price: Price) -> tuple[int, int, bytes]:
        return (
            types.get(price.price_type, len(types)),
            price.category,
            msgspec.json.encode(price),
        )

    allocations = tuple(
        [replace(one, seats=tuple(sorted(set(one.seats)))) for one in settings.allocations]
    )
    prices = tuple(sorted(last.values(), key=place))
    return replace(settings, prices=prices, allocations=allocations)


def fingerprint(found: Iterable[ProductionFound]) -> str:
    """Of all that a comparison depends on: how many were sold is not, whether any were is."""
    state = [
        replace(
            production,
            performances=tuple(
                replace(one, settings=canonical(one.settings), sold=min(one.sold, 1))
                for one in sorted(production.performances, key=lambda one: one.id)
            ),
        )
        for production in sorted(found, key=lambda production: production.id)
    ]
    return sha256(msgspec.json.encode(state, order="sorted")).hexdigest()


def faults_of(programme: Programme) -> list[Fault]:
    """What contradicts itself in a programme. `engine.settings_check` judges the settings."""
    faults: list[Fault] = []
    productions: set[str] = set()
    for production in programme.productions:
        if production.key in productions:
            faults.append(Fault(Flaw.SAME_PRODUCTION, production.key))
        productions.add(production.key)
        try:
            checked_currency(production.currency)
        except ValueError:
            faults.append(Fault(Flaw.BAD_CURRENCY, production.key, what=production.currency))
        keys: set[str] = set()
        for one in production.performances:
            if one.key in keys:
                faults.append(Fault(Flaw.SAME_KEY, production.key, one.key))
            keys.add(one.key)
            if one.settings.currency != production.currency:
                what = one.settings.currency
                faults.append(Fault(Flaw.OTHER_CURRENCY, production.key, one.key, what))
    return faults


def compare(programme: Programme, found: Sequence[ProductionFound], now_ms: int) -> Difference:
    """What is to be done so that the house is as the programme says."""
    faults = faults_of(programme)
    known = {production.key: production for production in found}
    changes: list[ProductionChange] = []
    for wanted in programme.productions:
        before = known.get(wanted.key)
        if before is None and wanted.key.startswith(NUMBERED):
            faults.append(Fault(Flaw.NO_SUCH_NUMBER, wanted.key))
            continue
        change = ProductionChange(before, wanted, _performances(wanted, before, faults, now_ms))
        if change.performances or change.is_shown_otherwise:
            changes.append(change)
    return Difference(tuple(changes), tuple(faults))


def _performances(
    wanted: ProductionWanted, before: ProductionFound | None, faults: list[Fault], now_ms: int
) -> tuple[PerformanceChange, ...]:
    there = before.performances if before is not None else ()
    matched = _matched(wanted, there)
    changes: list[PerformanceChange] = []
    for one in wanted.performances:
        old = matched.get(one.key)
        if _cancels(old, one):
            faults.append(Fault(Flaw.CANCELLED, wanted.key, one.key))
        elif old is None and one.key.startswith(NUMBERED):
            faults.append(Fault(Flaw.NO_SUCH_NUMBER, wanted.key, one.key))
        elif old is None:
            changes.append(PerformanceChange(Act.ADD, None, one))
        elif old.plan != one.plan and old.sold:
            faults.append(Fault(Flaw.PLAN_SOLD, wanted.key, one.key, str(old.sold)))
        elif old.plan != one.plan:
            changes.append(PerformanceChange(Act.REPLACE, old, one))
        elif _differs(old, kept := _staying(old, one)):
            changes.append(PerformanceChange(Act.CHANGE, old, kept))
    if before is not None and before.currency != wanted.currency:
        sold = sum(one.sold for one in there)
        if sold:
            faults.append(Fault(Flaw.CURRENCY_SOLD, wanted.key, what=str(sold)))
    stay = {old.id for old in matched.values()}
    changes += [
        PerformanceChange(Act.WITHDRAW, old, None)
        for old in there
        if old.id not in stay and not old.withdrawn and old.starts_ms > now_ms
    ]
    return tuple(changes)


def _matched(
    wanted: ProductionWanted, there: Sequence[PerformanceFound]
) -> dict[str, PerformanceFound]:
    """What is there already of what is wanted, by the key in the programme."""
    by_key = {one.key: one for one in there}
    matched = {one.key: by_key[one.key] for one in wanted.performances if one.key in by_key}
    taken = {old.id for old in matched.values()}
    by_start: dict[int, list[PerformanceFound]] = {}
    for old in there:
        if old.key.startswith(NUMBERED) and old.id not in taken and not old.withdrawn:
            by_start.setdefault(old.starts_ms, []).append(old)
    for one in wanted.performances:
        if one.key not in matched and by_start.get(one.starts_ms):
            matched[one.key] = by_start[one.starts_ms].pop(0)
    return matched


def _cancels(old: PerformanceFound | None, new: PerformanceWanted) -> bool:
    """A file may keep what is cancelled, and cancels nothing: that gives money back."""
    cancels = new.settings.status is SaleStatus.CANCELLED
    if old is None or old.plan != new.plan:
        return cancels
    return cancels and old.settings.status is not SaleStatus.CANCELLED


def _differs(old: PerformanceFound, new: PerformanceWanted) -> bool:
    return (
        old.withdrawn
        or old.starts_ms != new.starts_ms
        or canonical(old.settings) != canonical(new.settings)
    )


def _staying(old: PerformanceFound, new: PerformanceWanted) -> PerformanceWanted:
    """What is wanted; what is cancelled keeps its settings, whatever a file says of them."""
    cancelled = old.settings.status is SaleStatus.CANCELLED
    return replace(new, settings=old.settings) if cancelled else new


def settings_after(change: PerformanceChange) -> Settings:
    """The settings of what was there, once the change is made.

    Who is withdrawn sells nothing more: hidden where nothing was sold, else closed, because who
    has a ticket must find it. What is cancelled stays so.
    """
    before, after = change.before, change.after
    assert before is not None, "what is added was not there"
    if change.act is Act.CHANGE and after is not None:
        return after.settings
    if before.settings.status is SaleStatus.CANCELLED:
        return before.settings
    return replace(before.settings, status=SaleStatus.CLOSED if before.sold else SaleStatus.HIDDEN)
