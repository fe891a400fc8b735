"""The proof of the doors in short, and that it would find a ticket that lets two people in."""

import pytest

from tests.doors_proof import DUPLICATES_PERCENT, check_us, prove


def test_no_ticket_lets_two_people_in() -> None:
    proof = prove(20_000)
    assert (proof.twice, proof.lost, proof.wrong) == (0, 0, 0)
    assert proof.refused == proof.scans * DUPLICATES_PERCENT // 100
    assert proof.admitted == proof.tickets == proof.scans - proof.refused


def test_with_the_guard_off_it_is_found_out() -> None:
    control = prove(5_000, forget_every=500)
    assert control.twice > 0 and not control.holds


@pytest.mark.soak
def test_a_signature_is_checked_in_far_less_than_a_millisecond() -> None:
    """A bound that a busy machine keeps; the figure itself is measured by `tests.doors_proof`."""
    check, bare = check_us(rounds=4)
    assert bare < check < 1_000
