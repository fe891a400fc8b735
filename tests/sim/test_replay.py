"""A seed is a world: played again, in another process, with other hashes, it is the same."""

import os
import subprocess
import sys

from tests.sim.surroundings import simulated
from tests.sim.world import World, run

SEEDS = range(900, 912)


def digests() -> list[int]:
    with simulated():
        plain = [run(seed).digest for seed in SEEDS]
        return plain + [run(seed, orders=True).digest for seed in SEEDS[:4]]


def test_a_seed_played_again_is_the_same_world() -> None:
    once = digests()
    assert digests() == once
    assert len(set(once)) == len(once)
    for hash_seed in ("1", "2"):
        program = "from tests.sim.test_replay import digests; print(digests())"
        played = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": os.getcwd()},
            capture_output=True,
            text=True,
            check=True,
        )
        assert played.stdout.strip() == str(once)


def test_telling_a_world_does_not_change_it() -> None:
    with simulated():
        world = World(905, tells=True)
        report = world.live()
        assert report == run(905)
    assert world.told
    assert len(world.told) >= report.answered
