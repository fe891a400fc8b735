"""A closed period as a file: everything needed to check it, for somebody who has nothing else.

The file is text, one JSON value a line. The first line is `Opening`; each further one is a
record of the period, in order, as an array in the order of the opening's `columns`. What is
signed is the period's `body`, to the letter.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec
from msgspec import Struct

from engine.ledger import Record
from engine.ledger_check import Fault, Findings, PeriodReader, Place, RecordReader, Signed
from engine.ledger_periods import Closed, Period, PeriodKind, read_period

EXPORT: Final = "strapontin-ledger-export-1"
MAX_LINE_BYTES: Final = 4 * 1024 * 1024
"""The opening's; a day's totals are some kilobytes."""


class ExportUnreadable(ValueError):
    """This is no export of a period, or one of another version."""


class Opening(Struct, frozen=True):
    """The first line: whose period it is, and the period as it was closed."""

    format: str
    house: str
    columns: tuple[str, ...]
    period: Closed


_encode = msgspec.json.Encoder().encode


def opening_line(house: str, period: Closed) -> bytes:
    return _encode(Opening(EXPORT, house, Record.__struct_fields__, period)) + b"\n"


def record_lines(records: Iterable[Record]) -> bytes:
    return b"".join(_encode(record) + b"\n" for record in records)


class Exported(Struct, frozen=True):
    """What a file turned out to be. `period` is None where its body is no period any more."""

    opening: Opening
    period: Period | None
    findings: Findings


def check_export(lines: Iterator[bytes], signed: Signed, key: str = "") -> Exported:
    """Read a file to its end. `key` is the public key to trust; empty trusts the file's own.

    Raises:
        ExportUnreadable
    """
    opening = _opening(next(lines, b""))
    findings = Findings()
    try:
        told = read_period(opening.period.body)
    except msgspec.DecodeError:
        findings.add(Place.PERIOD, opening.period.number, Fault.CHANGED)
        return Exported(opening, None, findings)
    reader = PeriodReader(
        findings, signed, key or told.key, after=opening.period.number - 1, before=told.prev
    )
    period = reader.read(opening.period)
    # A day has its own totals to answer for; a month's and a year's are judged the same way.
    whole = msgspec.structs.replace(told, kind=PeriodKind.DAY)
    records = RecordReader(findings, [whole], after=told.first - 1, before=told.before)
    decode = msgspec.json.Decoder(Record).decode
    for number, line in enumerate(lines, 2):
        try:
            records.read(decode(line))
        except msgspec.DecodeError as error:
            raise ExportUnreadable(f"line {number}: {error}") from error
    records.end_at(told.last, told.last_hash)
    return Exported(opening, period, findings)


def _opening(line: bytes) -> Opening:
    try:
        opening = msgspec.json.decode(line, type=Opening)
    except msgspec.DecodeError as error:
        raise ExportUnreadable(f"line 1: {error}") from error
    if opening.format != EXPORT or opening.columns != Record.__struct_fields__:
        raise ExportUnreadable(f"its format is {opening.format}, this version reads {EXPORT}")
    return opening
