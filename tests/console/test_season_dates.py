"""A theatre's words for dates, against an enumeration that asks every minute of the clock."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import settings as bounds
from hypothesis import strategies as st

from console.season import moments
from console.season.dates import (
    NotUnderstood,
    SkippedTime,
    expanded,
    key_of,
    to_local,
    to_ms,
    weekly,
    without,
)

PARIS = ZoneInfo("Europe/Paris")
ZONES = st.sampled_from([PARIS, ZoneInfo("Europe/Zurich"), ZoneInfo("America/New_York")])
EVENING, MATINEE = time(20, 30), time(16)
NAMES = "monday tuesday wednesday thursday friday saturday sunday".split()
JOURS = "lundi mardi mercredi jeudi vendredi samedi dimanche".split()


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("tuesday 20:30", {1: (EVENING,)}),
        ("every Tuesday to Thursday 20:30 and Sunday 16:00",
         {1: (EVENING,), 2: (EVENING,), 3: (EVENING,), 6: (MATINEE,)}),
        ("mardi à jeudi à 20h30, dimanche à 16h",
         {1: (EVENING,), 2: (EVENING,), 3: (EVENING,), 6: (MATINEE,)}),
        ("Mon, Wed 20:30", {0: (EVENING,), 2: (EVENING,)}),
        ("les samedis et dimanches 16:00 20:30", {5: (MATINEE, EVENING), 6: (MATINEE, EVENING)}),
        ("sat to mon 16h00", {5: (MATINEE,), 6: (MATINEE,), 0: (MATINEE,)}),
        ("friday–sunday 20:30", {4: (EVENING,), 5: (EVENING,), 6: (EVENING,)}),
        ("tous les jours 20h30", dict.fromkeys(range(7), (EVENING,))),
        ("every day 20:30, sunday 16:00",
         {**dict.fromkeys(range(6), (EVENING,)), 6: (MATINEE, EVENING)}),
    ],
)  # fmt: skip
def test_days_and_times_in_words(text: str, days: dict[int, tuple[time, ...]]) -> None:
    assert weekly(text) == days


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("tuesday", ""),
        ("", ""),
        ("20:30", "20:30"),
        ("tuesday 25:00", "25:00"),
        ("tuesday 20:60", "20:60"),
        ("tuesday to 20:30", "20:30"),
        ("to tuesday 20:30", "to"),
        ("tuesday to to friday 20:30", "to"),
        ("tuesday 20:30 to", "to"),
        ("tuesday 20:30 saturday", ""),
        ("every other tuesday 20:30", "other"),
        ("tuesday 20", "20"),
    ],
)
def test_what_is_not_understood_is_named(text: str, word: str) -> None:
    with pytest.raises(NotUnderstood) as caught:
        weekly(text)
    assert caught.value.word == word


def slowly(wanted: dict[int, set[time]], first: date, last: date, zone: ZoneInfo) -> list[int]:
    """Every quarter of an hour that there is, in order: those that the clock shows as wanted.

    An hour that the clock shows twice counts when it is shown first.
    """
    found, seen = [], set()
    at = datetime.combine(first, time(), zone).astimezone(UTC)
    while (local := at.astimezone(zone)).date() <= last:
        shown = local.replace(tzinfo=None, fold=0)
        if local.time() in wanted.get(local.weekday(), ()) and shown not in seen:
            found.append(int(at.timestamp()) * 1000)
            seen.add(shown)
        at += timedelta(minutes=15)
    return found


QUARTERS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
AROUND_CHANGES = st.sampled_from(
    [date(2027, 3, 14), date(2027, 3, 28), date(2027, 10, 31), date(2027, 11, 7), date(2028, 2, 29)]
)


@bounds(deadline=None)
@given(
    zone=ZONES,
    week=st.dictionaries(st.integers(0, 6), st.sets(QUARTERS, min_size=1), min_size=1),
    change=AROUND_CHANGES,
    before=st.integers(0, 20),
    length=st.integers(0, 40),
    names=st.sampled_from([NAMES, JOURS]),
)
def test_a_rule_is_every_time_that_the_clock_shows_it(
    zone: ZoneInfo,
    week: dict[int, set[time]],
    change: date,
    before: int,
    length: int,
    names: list[str],
) -> None:
    text = ", ".join(
        f"{names[day]} {' '.join(f'{at:%H:%M}' for at in times)}" for day, times in week.items()
    )
    first = change - timedelta(days=before)
    last = first + timedelta(days=length)
    found, skipped = [], 0
    for at in expanded(weekly(text), first, last):
        try:
            found.append(to_ms(at, zone))
        except SkippedTime:
            skipped += 1
    assert found == slowly(week, first, last, zone)
    every = sum(
        len(week.get((first + timedelta(days=day)).weekday(), ())) for day in range(length + 1)
    )
    assert len(found) + skipped == every


def test_exceptions_take_days_or_single_times_and_must_take_something() -> None:
    all_days = expanded(weekly("every day 16:00 20:30"), date(2027, 2, 1), date(2027, 2, 3))
    left, idle = without(
        all_days,
        [date(2027, 2, 2), datetime(2027, 2, 3, 16), date(2027, 3, 1), datetime(2027, 2, 1, 17)],
    )
    assert left == [datetime(2027, 2, 1, 16), datetime(2027, 2, 1, 20, 30),
                    datetime(2027, 2, 3, 20, 30)]  # fmt: skip
    assert idle == [date(2027, 3, 1), datetime(2027, 2, 1, 17)]


def test_clocks_that_change() -> None:
    # The night of 28 March has no 02:30, that of 31 October has two.
    with pytest.raises(SkippedTime):
        to_ms(datetime(2027, 3, 28, 2, 30), PARIS)
    first = to_ms(datetime(2027, 10, 31, 2, 30), PARIS)
    second = to_ms(datetime.fromisoformat("2027-10-31T02:30:00+01:00"), PARIS)
    assert second - first == 3_600_000
    assert key_of(first, PARIS) == "2027-10-31T02:30"
    assert key_of(second, PARIS) == "2027-10-31T02:30+01:00"
    winter, summer = (to_ms(datetime(2027, 3, day, 20, 30), PARIS) for day in (27, 28))
    assert summer - winter == 23 * 3_600_000


@bounds(deadline=None)
@given(st.integers(0, 2_200_000_000_000), ZONES)
def test_a_local_time_comes_back_as_the_same_instant(at_ms: int, zone: ZoneInfo) -> None:
    assert to_ms(to_local(at_ms, zone), zone) == at_ms


# Moments and lengths ------------------------------------------------------------------------

START = to_ms(datetime(2027, 3, 30, 20, 30), PARIS)
"""Two days after the clocks were put forward."""


@pytest.mark.parametrize(
    ("said", "local"),
    [
        ("45 min before", datetime(2027, 3, 30, 19, 45)),
        ("4 h after", datetime(2027, 3, 31, 0, 30)),
        ("7 days before", datetime(2027, 3, 23, 20, 30)),
        ("1 week before", datetime(2027, 3, 23, 20, 30)),
        ("168 h before", datetime(2027, 3, 23, 19, 30)),
        ("1 day before at 12:00", datetime(2027, 3, 29, 12)),
        ("0 min after", datetime(2027, 3, 30, 20, 30)),
        (datetime(2027, 1, 1, 10), datetime(2027, 1, 1, 10)),
    ],
)
def test_moments_are_counted_from_the_start(said: object, local: datetime) -> None:
    assert moments.read_moment(said, START, PARIS) == to_ms(local, PARIS)


@pytest.mark.parametrize(
    "said",
    ["soon", "", 5, "45 min", "2 h before 12:00", "-1 h before", "3 moons before",
     "1 day before 24:00", date(2027, 1, 1), True, "999999 days before"],
)  # fmt: skip
def test_what_is_no_moment_is_refused(said: object) -> None:
    with pytest.raises(ValueError):
        moments.read_moment(said, START, PARIS)


def test_a_moment_that_the_clocks_skip_is_refused_too() -> None:
    with pytest.raises(SkippedTime):
        moments.read_moment("2 days before 02:30", START, PARIS)


@bounds(deadline=None)
@given(
    start=st.integers(1_790_000_000, 1_850_000_000),
    offset=st.one_of(
        st.integers(-200 * 1440, 200 * 1440).map(lambda minutes: minutes * 60),
        st.integers(-100_000, 100_000),
    ),
    zone=ZONES,
)
def test_what_is_written_reads_as_the_same_moment(start: int, offset: int, zone: ZoneInfo) -> None:
    starts_ms, at_ms = start // 60 * 60_000, (start // 60 * 60 + offset) * 1000
    told = moments.write_relative(at_ms, starts_ms, zone)
    assert told is None or moments.read_moment(told, starts_ms, zone) == at_ms
    assert moments.read_moment(moments.write_moment(at_ms, zone), starts_ms, zone) == at_ms
    assert told is not None or offset % 60 or abs(offset) >= 86_400
    assert moments.read_moment(moments.write_moment(0, zone), starts_ms, zone) == 0


@bounds(deadline=None)
@given(st.integers(0, 10**9))
def test_lengths_come_back(ms: int) -> None:
    assert moments.read_length(moments.write_length(ms)) == ms


@pytest.mark.parametrize(("said", "ms"), [("15 min", 900_000), ("2h", 7_200_000), ("1 day", -1)])
def test_lengths(said: str, ms: int) -> None:
    if ms >= 0:
        assert moments.read_length(said) == ms
    else:
        with pytest.raises(ValueError):
            moments.read_length(said)
