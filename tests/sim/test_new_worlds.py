"""Five hundred worlds that nobody has seen before; see `test_worlds`, beside which this runs."""

import os
from secrets import randbits

import pytest

from tests.sim.many import run_some
from tests.sim.test_worlds import WORLDS, check, check_orders

GIVEN = os.environ.get("SIMULATION_SEED")


@pytest.mark.parametrize("piece", "ab")
def test_new_worlds_stay_whole(piece: str) -> None:
    if GIVEN:
        pytest.skip("one seed is given, and test_worlds plays it")
    # Drawn here: the names of tests are the same in every process that collects them.
    check(run_some(randbits(32), WORLDS))


@pytest.mark.soak
def test_new_worlds_with_orders_stay_whole() -> None:
    if GIVEN:
        pytest.skip("one seed is given, and test_worlds plays it")
    check_orders(run_some(randbits(32), WORLDS, orders=True))
