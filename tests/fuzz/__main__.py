"""All decoders for some minutes: `python -m tests.fuzz --minutes 10 [--seed N] [--target NAME]`.

An input that breaks one is printed, kept among the seeds, and the exit code is 1.
"""

import argparse
import base64
import logging
import sys
import time
from random import SystemRandom

from tests.fuzz.run import Broken, fuzz
from tests.fuzz.seeds import keep
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--minutes", type=float, default=1.0, help="for all targets together")
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--target", choices=sorted(TARGETS), action="append")
    given = parser.parse_args()
    # What a lane says of each stranger is right, and a great deal of it.
    logging.disable(logging.ERROR)
    chosen = given.target or list(TARGETS)
    each_s = 60 * given.minutes / len(chosen)
    broken = total = 0
    for name in chosen:
        ends_s = time.monotonic() + each_s
        try:
            fed = fuzz(name, given.seed, lambda _fed, ends_s=ends_s: time.monotonic() < ends_s)
        except Broken as found:
            broken += 1
            keep(name, found.data)
            print(
                f"BROKEN {found}\n  input: {base64.b64encode(found.data[:300]).decode()}, kept",
                flush=True,
            )
            continue
        total += fed.inputs
        print(
            f"{name:<22} {fed.inputs:>9,} inputs, {len(fed.words):>4} behaviours,"
            f" {fed.refused:>9,} refused",
            flush=True,
        )
    print(f"seed {given.seed}: {total:,} inputs, {broken} of {len(chosen)} decoders broken")
    return 1 if broken else 0


sys.exit(main())
