"""Two thousand worlds: nothing acknowledged is lost, no seat sold twice, no ticket in twice.

Half of the seeds are new each time; `SIMULATION_SEED=n` plays one of them again, and
`python -m tests.sim --seed n` tells it step by step.
"""

import os
from secrets import randbits

import pytest

from tests.sim.many import Tally, run_some

GIVEN = os.environ.get("SIMULATION_SEED")
WORLDS = 250
PIECES = [GIVEN] if GIVEN else [*(str(WORLDS * piece) for piece in range(4)), *"abcd"]
EVERYTHING = (
    "answers lost", "clock jumps", "commits dropped", "cut", "kill directory", "kill gateway",
    "kill journal", "kill writer", "passivated", "pause other", "pause writer", "store is slow",
    "store refuses", "zombie",
)  # fmt: skip


def check(tally: Tally) -> None:
    assert not tally.broken, "seed {}: {}".format(*tally.broken[0])


@pytest.mark.parametrize("piece", PIECES)
def test_worlds_stay_whole(piece: str) -> None:
    # Drawn here: the names of tests are the same in every process that collects them.
    seed = int(piece) if piece.isdigit() else randbits(32)
    tally = run_some(seed, 1 if GIVEN else WORLDS)
    check(tally)
    if not GIVEN:
        # Worlds in which nothing happens would prove nothing.
        assert tally.kinds == set(EVERYTHING)
        assert tally.commands > 40 * WORLDS
        assert tally.reigns > 1.5 * WORLDS
        assert tally.fenced > WORLDS / 50
