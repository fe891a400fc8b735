"""Moments and lengths of time as a season file writes them.

    2027-01-12T20:30:00             the house's clock
    2027-10-31T02:30:00+01:00       with an offset, where the clock alone means two moments
    "45 min before", "4 h after"    counted from the performance's start
    "7 days before"                 at the same time of the clock, days earlier
    "1 day before 12:00"            at another one
    "none"                          no bound
    "15 min", "2 h"                 a length

Owns their reading and writing: what is written reads as the same millisecond.
"""

import re
from datetime import datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from console.season.dates import SkippedTime, to_local, to_ms

NONE: Final = "none"
_UNITS_MS: Final = {"ms": 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_DAY_MS: Final = 86_400_000
_NAMES: Final = {
    "ms": "ms",
    **dict.fromkeys(("s", "second", "seconds"), "s"),
    **dict.fromkeys(("min", "minute", "minutes"), "min"),
    **dict.fromkeys(("h", "hour", "hours"), "h"),
    **dict.fromkeys(("day", "days"), "day"),
    **dict.fromkeys(("week", "weeks"), "week"),
}
_LENGTH: Final = re.compile(r"(\d{1,12}) *([a-z]+)")
_RELATIVE: Final = re.compile(
    r"(\d{1,6}) *([a-z]+) (before|after)(?: (?:at )?([01]?\d|2[0-3]):([0-5]\d))?"
)


def read_moment(value: object, starts_ms: int, zone: ZoneInfo) -> int:
    """Unix milliseconds, 0 for none.

    Raises:
        SkippedTime: the clocks never show it.
        ValueError: it is nothing of the kind.
    """
    if isinstance(value, datetime):
        return to_ms(value, zone)
    if not isinstance(value, str):
        raise ValueError(value)
    text = " ".join(value.casefold().split())
    if text == NONE:
        return 0
    found = _RELATIVE.fullmatch(text)
    unit = _NAMES.get(found[2], "") if found else ""
    if found is None or not unit:
        raise ValueError(value)
    count = int(found[1]) * (-1 if found[3] == "before" else 1)
    if unit in _UNITS_MS:
        if found[4] is not None:
            raise ValueError(value)
        return starts_ms + count * _UNITS_MS[unit]
    start = to_local(starts_ms, zone).replace(tzinfo=None)
    try:
        at = start + timedelta(days=count * (7 if unit == "week" else 1))
    except OverflowError:
        raise ValueError(value) from None
    if found[4] is not None:
        at = datetime.combine(at.date(), time(int(found[4]), int(found[5])))
    return to_ms(at, zone)


def write_moment(at_ms: int, zone: ZoneInfo) -> datetime | str:
    return to_local(at_ms, zone) if at_ms else NONE


def write_relative(at_ms: int, starts_ms: int, zone: ZoneInfo) -> str | None:
    """Counted from the start; None where that cannot be said in these words."""
    offset = at_ms - starts_ms
    side = "before" if offset < 0 else "after"
    if not at_ms or offset % 60_000:
        return None
    if abs(offset) < _DAY_MS:
        unit = "h" if offset and offset % 3_600_000 == 0 else "min"
        text = f"{abs(offset) // _UNITS_MS[unit]} {unit} {side}"
    else:
        at, start = (to_local(ms, zone).replace(tzinfo=None) for ms in (at_ms, starts_ms))
        days = abs((at.date() - start.date()).days)
        text = f"{days} {'day' if days == 1 else 'days'} {side}"
        if at.time() != start.time():
            text += f" {at:%H:%M}"
    try:
        return text if read_moment(text, starts_ms, zone) == at_ms else None
    except SkippedTime:
        return None


def read_length(value: object) -> int:
    """Milliseconds. Raises ValueError."""
    text = " ".join(value.casefold().split()) if isinstance(value, str) else ""
    found = _LENGTH.fullmatch(text)
    unit = _NAMES.get(found[2], "") if found else ""
    if found is None or unit not in _UNITS_MS:
        raise ValueError(value)
    return int(found[1]) * _UNITS_MS[unit]


def write_length(ms: int) -> str:
    """In the largest unit that counts it in whole numbers."""
    return next(
        f"{ms // size} {unit}"
        for unit, size in sorted(_UNITS_MS.items(), key=lambda one: -one[1])
        if (ms and ms % size == 0) or size == 1
    )
