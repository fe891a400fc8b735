"""Closed periods of the ledger: the days, months and years of a house, totalled and chained.

A day is a run of records; days follow each other without a gap. A month is the days that bear
its name, a year its months, so a fact is in exactly one of each. What was closed is never
opened: a fact that comes late has the time at which it was recorded, and belongs to the day
that is open then.

Owns the totals, what a period's body says, and which periods a closed day completes. Time
zones and signatures are the caller's: bounds and labels come as arguments.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum
from hashlib import sha256
from typing import Final

import msgspec
from msgspec import Struct

from engine.ledger import GENESIS, Record, canonical

PERIOD_FORMAT: Final = "strapontin-period-1"


class PeriodKind(StrEnum):
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


class Total(Struct, array_like=True, frozen=True, order=True):
    """`count` records that are alike in everything but their sum, and `amount` in minor units."""

    currency: str
    kind: str
    method: str
    price_type: str
    tax_bp: int
    count: int
    amount: int


class JournalMark(Struct, array_like=True, frozen=True):
    """How far a performance's journal was when the day was closed, and its hash there."""

    performance: int
    seq: int
    hash: str


class Period(Struct, frozen=True, kw_only=True):
    """What a closing says.

    It covers the records `first` to `last` (`first - 1`: none), from the one that follows the
    hash `before` to the one whose hash is `last_hash`. `perpetual` are the totals since the
    ledger began, by currency and kind; `prev` is the hash of the period before.
    """

    format: str = PERIOD_FORMAT
    organiser: int
    number: int
    kind: PeriodKind
    label: str  # 2026-11-21, 2026-11 or 2026
    time_zone: str
    from_ms: int
    until_ms: int
    closed_ms: int
    first: int
    last: int
    before: str
    last_hash: str
    totals: tuple[Total, ...]
    perpetual: tuple[Total, ...]
    journals: tuple[JournalMark, ...] = ()
    prev: str
    key: str


class Closed(Struct, frozen=True):
    """A period as it is kept: its body to the letter, the body's SHA-256, and a signature over
    that hash's 32 bytes, all but the body in hex."""

    number: int
    body: str
    hash: str
    signature: str


def body_of(period: Period) -> str:
    return canonical(msgspec.to_builtins(period)).decode()


def body_hash(body: str) -> str:
    return sha256(body.encode()).hexdigest()


_period = msgspec.json.Decoder(Period).decode


def read_period(body: str) -> Period:
    """Raises msgspec.DecodeError for what is not a period."""
    return _period(body)


# Totals --------------------------------------------------------------------------


def totals_of(records: Iterable[Record]) -> tuple[Total, ...]:
    return summed(
        Total(one.currency, one.kind, one.method, one.price_type, one.tax_bp, 1, one.amount)
        for one in records
    )


def summed(totals: Iterable[Total]) -> tuple[Total, ...]:
    """One total for each of those that are alike, sorted."""
    sums: dict[tuple[str, str, str, str, int], tuple[int, int]] = {}
    for one in totals:
        key = (one.currency, one.kind, one.method, one.price_type, one.tax_bp)
        count, amount = sums.get(key, (0, 0))
        sums[key] = count + one.count, amount + one.amount
    return tuple(sorted(Total(*key, *values) for key, values in sums.items()))


def by_kind(totals: Iterable[Total], tax_bp: int = -1) -> tuple[Total, ...]:
    """The totals with nothing but currency and kind told apart."""
    return summed(
        Total(one.currency, one.kind, "", "", tax_bp, one.count, one.amount) for one in totals
    )


# Closing -------------------------------------------------------------------------


class OpenDay(Struct, frozen=True):
    """The day to be closed: its name and bounds, and the records in it."""

    label: str
    time_zone: str
    from_ms: int
    until_ms: int
    last: int
    last_hash: str
    totals: tuple[Total, ...]
    journals: tuple[JournalMark, ...] = ()


class Standing(Struct, frozen=True):
    """What was closed so far: the latest period, the latest day, the days of the month that is
    open and the months of the year that is."""

    number: int = 0
    hash: str = GENESIS
    day: Period | None = None
    days: tuple[Period, ...] = ()
    months: tuple[Period, ...] = ()

    def after(self, period: Period, hash: str) -> "Standing":
        """The standing once this period is closed as well."""
        day, days, months = self.day, self.days, self.months
        if period.kind is PeriodKind.DAY:
            day, days = period, (*days, period)
        elif period.kind is PeriodKind.MONTH:
            days, months = (), (*months, period)
        else:
            months = ()
        return Standing(period.number, hash, day, days, months)


def standing_of(latest: Sequence[tuple[Period, str]]) -> Standing:
    """From the latest periods with their hashes, oldest first: at least those since the last
    year was closed, or all that there are."""
    standing = Standing()
    for period, hash in latest:
        standing = standing.after(period, hash)
    return standing


def close_day(organiser: int, standing: Standing, day: OpenDay, closed_ms: int, key: str) -> Period:
    before = standing.day
    return Period(
        organiser=organiser,
        number=standing.number + 1,
        kind=PeriodKind.DAY,
        label=day.label,
        time_zone=day.time_zone,
        from_ms=day.from_ms,
        until_ms=day.until_ms,
        closed_ms=closed_ms,
        first=1 if before is None else before.last + 1,
        last=day.last,
        before=GENESIS if before is None else before.last_hash,
        last_hash=day.last_hash,
        totals=day.totals,
        perpetual=by_kind([*(before.perpetual if before is not None else ()), *day.totals]),
        journals=day.journals,
        prev=standing.hash,
        key=key,
    )


def close_longer(standing: Standing, next_label: str, closed_ms: int, key: str) -> Period | None:
    """The month or year that is complete when `next_label` is the next day; None for neither."""
    if standing.days and not next_label.startswith(standing.days[0].label[:7]):
        parts, kind, letters = standing.days, PeriodKind.MONTH, 7
    elif (
        not standing.days
        and standing.months
        and not next_label.startswith(standing.months[0].label[:4])
    ):
        parts, kind, letters = standing.months, PeriodKind.YEAR, 4
    else:
        return None
    first, last = parts[0], parts[-1]
    return Period(
        organiser=last.organiser,
        number=standing.number + 1,
        kind=kind,
        label=last.label[:letters],
        time_zone=last.time_zone,
        from_ms=first.from_ms,
        until_ms=last.until_ms,
        closed_ms=closed_ms,
        first=first.first,
        last=last.last,
        before=first.before,
        last_hash=last.last_hash,
        totals=summed(one for part in parts for one in part.totals),
        perpetual=last.perpetual,
        prev=standing.hash,
        key=key,
    )
