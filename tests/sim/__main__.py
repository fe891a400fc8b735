"""Many seeded worlds in a row, up to the first broken one: `python -m tests.sim --worlds 1000`."""

import argparse
import sys
import time
from random import SystemRandom

from tests.sim.core import Broken, run

STEPS = 400
SAY_EVERY_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--worlds", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    given = parser.parse_args()
    said_s = time.monotonic()
    for number in range(given.worlds):
        try:
            run(given.seed + number, STEPS)
        except Broken as broken:
            print(broken)
            return 1
        if time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            print(f"{number + 1} of {given.worlds} worlds whole", flush=True)
    print(f"{given.worlds} worlds whole, seeds {given.seed} to {given.seed + given.worlds - 1}")
    return 0


sys.exit(main())
