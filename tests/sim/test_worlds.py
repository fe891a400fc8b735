"""Five hundred worlds: nothing acknowledged is lost, no seat sold twice, no ticket in twice.

The same each time; `test_new_worlds` has as many that are new. `SIMULATION_SEED=n` plays one
of them again, and `python -m tests.sim --seed n` tells it step by step.
"""

import os

import pytest

from tests.sim.many import Tally, run_some

GIVEN = os.environ.get("SIMULATION_SEED")
WORLDS = 250
EVERYTHING = {
    "answers lost", "clock jumps", "commits dropped", "cut", "kill directory", "kill gateway",
    "kill journal", "kill writer", "passivated", "pause other", "pause writer", "store is slow",
    "store refuses", "zombie",
}  # fmt: skip
IN_TRADE = {
    "called off", "cut desk", "desk clock jumps", "desk dies", "desk sleeps", "kill desk",
    "orders are slow", "orders dropped", "orders refused", "orders unanswered", "pause desk",
    "zombie desk",
}  # fmt: skip


def check(tally: Tally) -> None:
    assert not tally.broken, "seed {}: {}".format(*tally.broken[0])
    # Worlds in which nothing happens would prove nothing.
    assert tally.kinds == EVERYTHING
    assert tally.commands > 40 * tally.worlds
    assert tally.reigns > 1.5 * tally.worlds
    assert tally.fenced > tally.worlds / 50
    assert tally.pictures > 2 * tally.worlds


def check_orders(tally: Tally) -> None:
    assert not tally.broken, "seed {}: {}".format(*tally.broken[0])
    assert tally.kinds == EVERYTHING | IN_TRADE
    assert tally.orders > 4 * tally.worlds
    assert tally.desks > 2 * tally.worlds
    assert tally.conflicts > tally.worlds / 4


def test_worlds_with_quotas_times_and_allocations_stay_whole() -> None:
    """`python -m tests.sim --ruled --seed n` tells one of them."""
    check(run_some(0, WORLDS, ruled=True))


def test_worlds_with_orders_stay_whole() -> None:
    """`python -m tests.sim --orders --seed n` tells one of them."""
    check_orders(run_some(0, WORLDS, orders=True))


@pytest.mark.parametrize("first", [GIVEN] if GIVEN else range(0, 2 * WORLDS, WORLDS))
def test_worlds_stay_whole(first: int | str) -> None:
    if GIVEN:
        tally = run_some(int(first), 1)
        assert not tally.broken, tally.broken
    else:
        check(run_some(int(first), WORLDS))
