"""The proof of the doors in short, and that it would find a ticket that lets two people in."""

import pytest

from renderers import secret
from tests.doors_proof import DUPLICATES_PERCENT, checked, prove

MOST_TIMES = 1.3
SLOW_ROUNDS = 40
"""Of reading a secret: more than half of what a signature takes."""


def test_no_ticket_lets_two_people_in() -> None:
    proof = prove(20_000)
    assert (proof.twice, proof.lost, proof.wrong) == (0, 0, 0)
    assert proof.refused == proof.scans * DUPLICATES_PERCENT // 100
    assert proof.admitted == proof.tickets == proof.scans - proof.refused


def test_with_the_guard_off_it_is_found_out() -> None:
    control = prove(5_000, forget_every=500)
    assert control.twice > 0 and not control.holds


def test_a_check_is_little_more_than_its_signature() -> None:
    """Parsing and the rest; the microseconds themselves are measured by `tests.doors_proof`."""
    assert checked(rounds=5).times < MOST_TIMES


def test_a_check_that_costs_more_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def careful(public: bytes, text: str) -> secret.Claim:
        """Takes half as much again, in what is no signature."""
        for _ in range(SLOW_ROUNDS):
            secret.read_claim(text)
        return verify(public, text)

    verify = secret.verify
    monkeypatch.setattr(secret, "verify", careful)
    assert checked(rounds=5).times > MOST_TIMES
