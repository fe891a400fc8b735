"""Finding what was changed, left out or put into a ledger, and where.

Owns the two readings, of periods and of records, each from its beginning to its end in order;
periods first, because they say what the records must come to. The same reading serves a whole
ledger and one exported period, and needs nothing but what it is shown: neither a database nor
the word of whoever keeps one.

What a chain alone cannot tell is told by the signatures: who can write to the database could
chain everything anew from some record on, but not sign the period in which it is.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

import msgspec
from msgspec import Struct

from engine.ledger import GENESIS, Head, Record, record_hash
from engine.ledger_periods import (
    Closed,
    Period,
    PeriodKind,
    Total,
    body_hash,
    read_period,
    summed,
)

Signed = Callable[[str, bytes, bytes], bool]
"""Whether the signature (third) over a message (second) is by a public key in hex (first)."""
MAX_GUESSES: Final = 8
"""Hashes that the record after a changed one may follow: we cannot know which half of the
changed one is true."""
MAX_FINDINGS: Final = 1_000
"""More than these are counted and not kept."""


class Fault(StrEnum):
    """What is wrong at a place."""

    CHANGED = "changed"  # it is not what its hash says, or does not follow the one before
    MISSING = "missing"  # nothing is there
    INSERTED = "inserted"  # it has a number that is taken, or lies beyond the end
    OUT_OF_TIME = "out_of_time"  # it is earlier than the one before, or outside of its period
    REWRITTEN = "rewritten"  # the records of this period are not those that were signed
    TOTALS = "totals"  # they are not those of what is in the period
    SIGNATURE = "signature"  # it is not by the house's key
    HEAD = "head"  # what the ledger says of its own end is not its end


class Place(StrEnum):
    RECORD = "record"
    PERIOD = "period"
    JOURNAL = "journal"


class Finding(Struct, frozen=True):
    """`number` is of the record or period, or the seq in the journal of `performance`; `until`
    is the last of a run."""

    place: Place
    number: int
    fault: Fault
    until: int = 0
    performance: int = -1


class Findings:
    """The first MAX_FINDINGS, and how many there were."""

    def __init__(self) -> None:
        self.kept: list[Finding] = []
        self.count = 0

    def add(self, place: Place, number: int, fault: Fault, until: int = 0) -> None:
        self.note(Finding(place, number, fault, until or number))

    def note(self, finding: Finding) -> None:
        self.count += 1
        if len(self.kept) < MAX_FINDINGS:
            self.kept.append(finding)


class PeriodReader:
    """Periods, one after the other. `days` are those that the records have to agree with."""

    def __init__(
        self, found: Findings, signed: Signed, key: str, *, after: int = 0, before: str = GENESIS
    ) -> None:
        self.days: list[Period] = []
        self.number = after
        self._found = found
        self._signed = signed
        self._key = key
        self._may_follow = [before]
        self._blamed = False
        self._closed_until_ms: int | None = None if after else 0
        self._open_days: list[Period] = []
        self._open_months: list[Period] = []

    def read(self, closed: Closed) -> Period | None:
        """The period, None where nothing can be made of it."""
        if closed.number <= self.number:
            self._found.add(Place.PERIOD, closed.number, Fault.INSERTED)
            return None
        if closed.number > self.number + 1:
            self._found.add(Place.PERIOD, self.number + 1, Fault.MISSING, closed.number - 1)
            self._may_follow = []
            self._open_days, self._open_months = [], []
        self.number = closed.number
        period, fault = self._judged(closed)
        if fault is not None:
            self._found.add(Place.PERIOD, closed.number, fault)
            # What it was part of cannot be added up any more.
            self._open_days, self._open_months = [], []
            self._closed_until_ms = None
        self._blamed = fault is not None
        if period is not None and fault is None:
            self._keep(period)
        return period

    def _judged(self, closed: Closed) -> tuple[Period | None, Fault | None]:
        computed = body_hash(closed.body)
        allowed, self._may_follow = self._may_follow, list({closed.hash, computed})
        try:
            period = read_period(closed.body)
        except msgspec.DecodeError:
            return None, Fault.CHANGED
        if computed != closed.hash or period.number != closed.number:
            return None, Fault.CHANGED
        if period.key != self._key or not self._signed(
            self._key, bytes.fromhex(computed), _bytes(closed.signature)
        ):
            return None, Fault.SIGNATURE
        if allowed and period.prev not in allowed and not self._blamed:
            return period, Fault.CHANGED
        return period, None if self._adds_up(period) else Fault.TOTALS

    def _adds_up(self, period: Period) -> bool:
        """A month is the sum of its days, a year of its months, where all of them were read."""
        if period.kind is PeriodKind.DAY:
            return True
        parts = self._open_days if period.kind is PeriodKind.MONTH else self._open_months
        if not parts or parts[0].from_ms != period.from_ms:
            return True  # not all of them were shown
        whole = summed(total for part in parts for total in part.totals)
        return whole == period.totals and parts[-1].last_hash == period.last_hash

    def _keep(self, period: Period) -> None:
        if period.kind is PeriodKind.DAY:
            self._closed_until_ms = period.until_ms
            self.days.append(period)
            self._open_days.append(period)
        elif period.kind is PeriodKind.MONTH:
            self._open_days = []
            self._open_months.append(period)
        else:
            self._open_months = []

    def end(self, head: Head) -> None:
        """No more periods are shown, and the ledger says of itself that it ends so."""
        if self.number < head.period:
            self._found.add(Place.PERIOD, self.number + 1, Fault.MISSING, head.period)
        elif self.number > head.period:
            self._found.add(Place.PERIOD, head.period + 1, Fault.INSERTED, self.number)
        elif (self._may_follow and head.period_hash not in self._may_follow) or (
            self._closed_until_ms not in (None, head.closed_until_ms)
        ):
            self._found.add(Place.PERIOD, head.period, Fault.HEAD)


class RecordReader:
    """Records, one after the other, against the periods in which they are."""

    def __init__(
        self,
        found: Findings,
        periods: Iterable[Period] = (),
        *,
        after: int = 0,
        before: str = GENESIS,
    ) -> None:
        self.number = after
        self._found = found
        self._may_follow = [before]
        self._at_ms = 0
        self._last_ms: int | None = 0 if not after else None
        self._periods = sorted(
            (period for period in periods if period.last >= period.first and period.last > after),
            key=lambda period: period.last,
        )
        self._next = 0
        self._begin_period()

    def read(self, record: Record) -> None:
        if record.number <= self.number:
            self._found.add(Place.RECORD, record.number, Fault.INSERTED)
            return
        if record.number > self.number + 1:
            self._lack(self.number + 1, record.number - 1)
        elif not self._follows(record):
            self._found.add(Place.RECORD, record.number, Fault.CHANGED)
            self.number = record.number
            self._last_ms = None
            self._pass_over(record.number)
            return  # nothing that it says counts
        elif record.at_ms < self._at_ms:
            self._found.add(Place.RECORD, record.number, Fault.OUT_OF_TIME)
        self.number = record.number
        self._at_ms = max(self._at_ms, record.at_ms)
        self._last_ms = record.at_ms
        self._count(record)

    def _follows(self, record: Record) -> bool:
        expected = [record_hash(before, record) for before in self._may_follow]
        if not expected or record.hash in expected:
            self._may_follow = [record.hash]
            return True
        self._may_follow = [record.hash, *expected][:MAX_GUESSES]
        return False

    def _lack(self, first: int, last: int) -> None:
        """Nothing is there from `first` to `last`."""
        self._found.add(Place.RECORD, first, Fault.MISSING, last)
        self._may_follow = []
        self._pass_over(last)

    def _pass_over(self, last: int) -> None:
        """The records up to here do not count: nor does what their period comes to."""
        while self._next < len(self._periods) and self._periods[self._next].last <= last:
            self._next += 1
            self._begin_period()
        if self._next < len(self._periods) and self._periods[self._next].first <= last:
            self._sound = False

    def _begin_period(self) -> None:
        self._sound = True
        self._totals: list[Total] = []

    def _count(self, record: Record) -> None:
        if self._next >= len(self._periods):
            return
        period = self._periods[self._next]
        if record.number < period.first:
            return
        if not period.from_ms <= record.at_ms < period.until_ms and self._sound:
            self._found.add(Place.RECORD, record.number, Fault.OUT_OF_TIME)
            self._sound = False
        self._totals.append(
            Total(
                record.currency,
                record.kind,
                record.method,
                record.price_type,
                record.tax_bp,
                1,
                record.amount,
            )
        )
        if len(self._totals) > _FOLD_TOTALS:
            self._totals = list(summed(self._totals))
        if record.number < period.last:
            return
        if self._sound and record.hash != period.last_hash:
            self._found.add(Place.PERIOD, period.number, Fault.REWRITTEN)
        elif self._sound and summed(self._totals) != period.totals:
            self._found.add(Place.PERIOD, period.number, Fault.TOTALS)
        self._next += 1
        self._begin_period()

    def end(self, head: Head) -> None:
        """No more records are shown, and the ledger says of itself that it ends so."""
        self.end_at(head.number, head.hash)
        if self.number == head.number and self._last_ms not in (None, head.at_ms):
            self._found.add(Place.RECORD, head.number, Fault.HEAD)

    def end_at(self, number: int, hash: str) -> None:
        """No more records are shown, and the last is said to be this one."""
        signed = max((period.last for period in self._periods), default=0)
        if self.number < max(number, signed):
            self._lack(self.number + 1, max(number, signed))
        elif self.number > number:
            self._found.add(Place.RECORD, number + 1, Fault.INSERTED, self.number)
        elif self._may_follow and hash not in self._may_follow:
            self._found.add(Place.RECORD, number, Fault.HEAD)


_FOLD_TOTALS: Final = 10_000
"""Records whose totals wait to be added up."""


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
