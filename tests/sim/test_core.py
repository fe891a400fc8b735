"""Worlds that crash: nothing acknowledged is lost, nothing is sold twice.

Another seed each time; `SIMULATION_SEED=n` plays one again.
"""

import os
from secrets import randbits

import pytest

from engine.commands import Refunded, Scanned, Sold
from tests.sim.core import Broken, Faults, run

GIVEN = os.environ.get("SIMULATION_SEED")
WORLDS = [GIVEN] if GIVEN else ["1", "2", "3", *(f"new {number}" for number in range(1, 6))]
STEPS = 250


@pytest.mark.parametrize("world_of", WORLDS)
def test_a_world_that_crashes_stays_whole(world_of: str) -> None:
    # Drawn here: the names of tests are the same in every process that collects them.
    seed = int(world_of) if world_of.isdigit() else randbits(32)
    print(f"SIMULATION_SEED={seed}")
    world = run(seed, STEPS)
    outcomes = [event.outcome for event in world.journal]
    assert world.crashes >= 5
    for kind in (Sold, Refunded, Scanned):
        assert any(isinstance(outcome, kind) for outcome in outcomes), kind


@pytest.mark.parametrize(
    "faults",
    [
        Faults(answers_before_commit=True),
        Faults(forgets_the_tail=True),
        Faults(forgets_ids=True),
    ],
    ids=["answers before commit", "forgets the journal's tail", "forgets ids"],
)
def test_a_world_with_a_fault_is_found_out(faults: Faults) -> None:
    """The positive control: without it the tests above would prove nothing."""
    for seed in range(3):
        with pytest.raises(Broken, match=f"seed {seed}: "):
            run(seed, STEPS, faults)


def test_a_seed_is_a_world() -> None:
    one, other = run(11, 60), run(11, 60)
    assert one.live.snapshot() == other.live.snapshot()
    assert one.journal == other.journal
