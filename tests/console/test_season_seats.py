"""Seats in the words of a season file: read, refused, and written so that they are read again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.season.seats import RowNames, read_seats, write_seats

ROWS = (
    RowNames("Stalls", "A", 0, ("1", "2", "3", "4")),
    RowNames("Stalls", "A 1", 4, ("1", "2")),
    RowNames("Circle", "B", 6, ("1", "1", "12-14", "15")),
    RowNames("", "K", 10, ("1", "3", "2")),
    RowNames("Box", "", 13, ("left", "right")),
    RowNames("Twin", "A", 15, ("1", "2")),
    RowNames("Twin", "A", 17, ("1", "2")),
)
"""Rows whose names are parts of others, labels with signs, twins."""


@pytest.mark.parametrize(
    ("text", "seats"),
    [
        ("Stalls A", [0, 1, 2, 3]), ("Stalls A 2", [1]), ("Stalls A 2-4", [1, 2, 3]),
        ("Stalls A 4-2, 1", [0, 1, 2, 3]), ("Stalls  A  1,3", [0, 2]), ("Stalls A 1 2", [5]),
        ("Circle B 12-14", [8]), ("Circle B 12-14-15", [8, 9]), ("K 1-2", [10, 11, 12]),
        ("Box", [13, 14]), ("Box right", [14]), ("#16", [16]),
    ],
)  # fmt: skip
def test_seats_are_read_in_words(text: str, seats: list[int]) -> None:
    assert read_seats(text, ROWS) == seats


@pytest.mark.parametrize(
    "text",
    ["", "Stalls", "Stalls B", "Stalls A 9", "Stalls A 1-9", "Stalls A 1,", "Stalls A 1", "#19",
     "Circle B 1", "Twin A", "Twin A 1", "#", "#1234567", "#²"],
)  # fmt: skip
def test_what_names_no_seats_or_those_of_several_rows_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        read_seats(text, ROWS)


@given(st.sets(st.integers(0, 18)))
def test_what_seats_are_called_means_them(seats: set[int]) -> None:
    told = write_seats(seats, ROWS)
    assert sorted(seat for text in told for seat in read_seats(text, ROWS)) == sorted(seats)
