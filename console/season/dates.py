"""Dates in a theatre's words: "tuesday to saturday 20:30, sunday 16:00", and what time that is.

Owns the words of recurring dates, in English and French, their expansion day by day, and the way
between a local time and an instant. A rule is about the clock on the wall: 20:30 stays 20:30 when
the clocks change. A local time that the clocks skip is refused; one that they show twice is the
first of the two, and the second is written with its offset.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from engine.limits import MAX_SEASON_PERFORMANCES

_DAYS: Final = {
    name: at
    for names in (
        "monday tuesday wednesday thursday friday saturday sunday",
        "mondays tuesdays wednesdays thursdays fridays saturdays sundays",
        "mon tue wed thu fri sat sun",
        "lundi mardi mercredi jeudi vendredi samedi dimanche",
        "lundis mardis mercredis jeudis vendredis samedis dimanches",
        "lun mar mer jeu ven sam dim",
    )
    for at, name in enumerate(names.split())
}
_ALL: Final = frozenset(("daily", "day", "days", "jour", "jours"))
_TO: Final = frozenset(("to", "a", "au", "-", "–"))
_AT: Final = frozenset(("a", "au"))
_FILLERS: Final = frozenset(
    "every each and at on the et le les du de tous toutes chaque from".split()
)
_TIME: Final = re.compile(r"([01]?\d|2[0-3])(?::([0-5]\d)|h([0-5]\d)?)")
_WORD: Final = re.compile(r"\d[\d:h]*|[^\W\d_]+|[-–]|\S")

Weekly = Mapping[int, tuple[time, ...]]
"""Times by day of the week, Monday 0."""


class NotUnderstood(ValueError):
    """The text is `word`, or what stands in its place."""

    def __init__(self, word: str) -> None:
        super().__init__(word)
        self.word = word


class SkippedTime(ValueError):
    """The clocks never show this local time."""


def weekly(text: str) -> Weekly:
    """The times of a week. Each group of days takes the times after it.

    Raises:
        NotUnderstood: naming the word; "" where the text ends too early.
    """
    times: dict[int, set[time]] = {}
    days: set[int] = set()
    last = -1
    ranging = timed = False
    for word in _words(text):
        at = _TIME.fullmatch(word)
        if at is not None and days and not ranging:
            for day in days:
                times.setdefault(day, set()).add(time(int(at[1]), int(at[2] or at[3] or 0)))
            timed = True
        elif word in _DAYS or word in _ALL:
            if timed:
                days, timed = set(), False
            if word in _ALL:
                days |= set(range(7))
            else:
                days |= _through(last if ranging else _DAYS[word], _DAYS[word])
            last, ranging = _DAYS.get(word, -1), False
        elif word in _TO and last >= 0 and not timed and not ranging:
            ranging = True
        else:
            raise NotUnderstood(word)
    if not timed:
        raise NotUnderstood("")
    return {day: tuple(sorted(of_day)) for day, of_day in times.items()}


def _words(text: str) -> list[str]:
    """Words that mean something. "à" and "au" before a time make no range."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    words = _WORD.findall("".join(sign for sign in plain if not unicodedata.combining(sign)))
    words = [word for word in words if word not in _FILLERS and word not in ",;.&+"]
    return [
        word
        for word, after in pairwise([*words, ""])
        if not (word in _AT and _TIME.fullmatch(after))
    ]


def _through(first: int, last: int) -> set[int]:
    """From a day to a day, over the end of the week where the last comes before the first."""
    return {(first + step) % 7 for step in range((last - first) % 7 + 1)}


def expanded(week: Weekly, first: date, last: date) -> list[datetime]:
    """Every local time of the rule from a date to a date, both included, in order."""
    found: list[datetime] = []
    day = first
    while day <= last and len(found) <= MAX_SEASON_PERFORMANCES:
        found += [datetime.combine(day, at) for at in week.get(day.weekday(), ())]
        day += timedelta(days=1)
    return found


def without(
    dates: Iterable[datetime], excepted: Iterable[date | datetime]
) -> tuple[list[datetime], list[date | datetime]]:
    """The dates that are left, and the exceptions that took none away."""
    left = list(dates)
    idle: list[date | datetime] = []
    for one in excepted:
        is_whole_day = not isinstance(one, datetime)
        kept = [at for at in left if (at.date() if is_whole_day else at) != one]
        if len(kept) == len(left):
            idle.append(one)
        left = kept
    return left, idle


# Local times and instants ---------------------------------------------------------------


def to_ms(at: datetime, zone: ZoneInfo) -> int:
    """The instant of a local time, or of one with an offset.

    Raises:
        SkippedTime: the clocks of the zone never show it.
    """
    if at.tzinfo is None:
        local = at.replace(tzinfo=zone, fold=0)
        back = local.astimezone(UTC).astimezone(zone)
        if back.replace(tzinfo=None, fold=0) != at.replace(fold=0):
            raise SkippedTime(at.isoformat(" ", "minutes"))
        at = local
    return round((at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(milliseconds=1))


def to_local(at_ms: int, zone: ZoneInfo) -> datetime:
    """The local time, without its zone; with its offset where that alone would mean another."""
    at = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)).astimezone(zone)
    if at.fold:
        offset = at.utcoffset()
        assert offset is not None
        return at.astimezone(timezone(offset))
    return at.replace(tzinfo=None)


def key_of(at_ms: int, zone: ZoneInfo) -> str:
    """What a performance is called that has no key of its own: its local start."""
    return to_local(at_ms, zone).isoformat("T", "minutes")
