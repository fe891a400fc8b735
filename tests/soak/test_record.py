"""What the record's judge excuses, and what it does not."""

import pytest

from tests.soak.record import _refused_twice

TAKEN = ["refused", "seat_taken", [4, 5, 6], ""]
HELD = ["held", [4, 5, 6], [], 1_000]


@pytest.mark.parametrize(
    ("told", "kept", "excused"),
    [
        (["refused", "seat_taken", [5], ""], TAKEN, True),
        (["refused", "seat_taken", [6], ""], TAKEN, False),  # which nobody bought
        (["refused", "seat_taken", [], ""], TAKEN, False),
        (["refused", "seat_taken", [5], ""], HELD, False),  # the seats were theirs
        (["refused", "too_many_in_order", [], ""], TAKEN, False),
        (HELD, TAKEN, False),
    ],
)
def test_a_refusal_may_be_told_anew_by_a_gateway_and_nothing_else(
    told: list[object], kept: list[object], excused: bool
) -> None:
    assert _refused_twice(told, kept, sold={4, 5}) is excused
