"""Parties that sit apart: who sits where, how far is looked, and that one is found if there is."""

from collections.abc import Iterable, Iterator
from math import hypot

import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from engine.house import DISTANCE_UNITS
from engine.plan import Table
from engine.splits import Gap, Parts, fill, nearest_split


def gap(places: int, x: float = 0.0, y: float = 0.0, whole: bool = False) -> Gap:
    """Free places in a row, or a table sold as a whole; the focal point is (0, 0)."""
    far = round(DISTANCE_UNITS * hypot(x, y))
    seats = tuple(range(places))
    table = Table("t", 0, "T", x, y, "round", 1.0, 1.0, seats=seats, whole=True)
    return Gap(range(places), 0, x, y, far, far, table if whole else None)


def sizes(parts: Parts | None) -> list[int] | None:
    return None if parts is None else [count for _, count in parts]


def middles(parts: Parts | None) -> list[float]:
    assert parts is not None
    return sorted(one.x for one, _ in parts)


@pytest.mark.parametrize(
    ("gaps", "size", "told"),
    [
        ([gap(3), gap(2)], 5, [3, 2]),
        ([gap(3), gap(3)], 4, [2, 2]),  # three and one would leave one alone
        ([gap(3), gap(2), gap(2)], 7, [3, 2, 2]),
        ([gap(9)], 4, [4]),
        ([gap(2), gap(2)], 3, None),
        ([gap(2)], 3, None),
        ([gap(2)], 0, []),
        ([gap(4, whole=True), gap(2)], 6, [4, 2]),
        ([gap(4, whole=True), gap(2)], 2, [2]),
        ([gap(4, whole=True), gap(3)], 5, None),
    ],
)
def test_a_party_fills_gaps_and_nobody_sits_alone(
    gaps: list[Gap], size: int, told: list[int] | None
) -> None:
    assert sizes(fill(gaps, size)) == told


def test_that_a_party_cannot_be_split_is_seen_at_once() -> None:
    assert fill([gap(3, whole=True)] * 60, 100) is None


@pytest.mark.parametrize(
    ("gaps", "size", "told"),
    [
        ([gap(3), gap(3)], 5, [3, 2]),
        ([gap(2), gap(2), gap(2)], 5, None),
        ([gap(4, whole=True), gap(4, whole=True)], 6, None),
        ([gap(6, whole=True)], 4, None),
        ([gap(4, whole=True)], 4, [4]),
    ],
)
def test_who_can_be_split(gaps: list[Gap], size: int, told: list[int] | None) -> None:
    assert sizes(nearest_split(gaps, size)) == told


def test_a_party_of_pairs_takes_as_many_as_it_needs() -> None:
    assert sizes(nearest_split([gap(2)] * 200, 400)) == [2] * 200


@pytest.mark.parametrize("size", [5, 9])
def test_an_odd_party_finds_its_three_however_long_ago_it_was_seen(size: int) -> None:
    gaps = [gap(3), *[gap(4, whole=True)] * 60, gap(2)]
    parts = nearest_split(gaps, size)
    assert parts is not None
    assert sorted(count for _, count in parts) == ([2, 3] if size == 5 else [2, 3, 4])


@pytest.mark.parametrize("away", [(100.0, 0.0), (0.0, 100.0)])
def test_groups_are_near_to_each_other(away: tuple[float, float]) -> None:
    """Two stand together; a third is as near to the stage, on its other side."""
    x, y = away
    one, beside, across = gap(2, x, y), gap(2, x + 1, y + 1), gap(2, -x, -y)
    parts = nearest_split([one, across, beside], 4)
    assert parts is not None and {id(part) for part, _ in parts} == {id(one), id(beside)}


def test_of_splits_as_good_the_first_is_taken() -> None:
    assert middles(nearest_split([gap(2, x) for x in (-5.0, 5.0, -6.0, 6.0)], 4)) == [-6.0, -5.0]


gap_lists = st.lists(
    st.builds(gap, st.integers(2, 5), st.integers(-9, 9), st.integers(0, 3), st.booleans()),
    max_size=8,
    unique_by=lambda one: (one.x, one.y),
)


@checks(deadline=None)
@given(gap_lists, st.integers(2, 15))
def test_a_split_is_found_just_when_there_is_one_and_no_gap_serves_twice(
    gaps: list[Gap], size: int
) -> None:
    sums = {0}
    for one in gaps:
        most = len(one.places)
        counts = [most] if one.table is not None else range(2, most + 1)
        sums |= {done + count for done in sums for count in counts}

    parts = nearest_split(sorted(gaps, key=lambda one: one.nearest), size)

    assert (parts is not None) == (size in sums)
    for one, count in parts or []:
        assert 2 <= count <= len(one.places)
        assert one.table is None or count == len(one.places)
    assert len({id(one) for one, _ in parts or []}) == len(parts or [])
    assert parts is None or sum(count for _, count in parts) == size


def counted(gaps: Iterable[Gap], read: list[Gap]) -> Iterator[Gap]:
    for one in gaps:
        read.append(one)
        yield one


def test_what_is_farther_than_the_split_that_was_found_is_not_looked_at() -> None:
    read: list[Gap] = []
    gaps = [gap(2, 1.0), gap(2, 2.0), gap(2, 50.0), gap(2, 51.0), gap(2, 52.0)]
    assert middles(nearest_split(counted(gaps, read), 4)) == [1.0, 2.0]
    assert len(read) == 3


def test_among_many_as_near_the_search_ends_soon() -> None:
    read: list[Gap] = []
    gaps = [gap(2, 50.0, y / 1_000) for y in range(1_000)]
    assert sizes(nearest_split(counted(gaps, read), 4)) == [2, 2]
    assert len(read) < 40
