"""Many seeded worlds, up to the first broken one: `python -m tests.sim --seeds 1000000`.

One seed alone is told step by step: `python -m tests.sim --seed 42`.
"""

import argparse
import subprocess
import sys
import time
from datetime import UTC, datetime
from random import SystemRandom

from tests.sim.many import Tally, run_many
from tests.sim.surroundings import simulated
from tests.sim.world import Broken, World

SAY_EVERY_S = 5.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.sim")
    parser.add_argument("--seeds", type=int, default=0, help="how many worlds (1,000)")
    parser.add_argument("--seed", type=int, default=None, help="the first one (drawn)")
    parser.add_argument("--processes", type=int, default=1, help="that share the work")
    parser.add_argument("--ruled", action="store_true", help="with quotas, times and allocations")
    parser.add_argument("--orders", action="store_true", help="with orders over performances")
    given = parser.parse_args()
    if given.seed is not None and given.seeds <= 1:
        return tell_one(given.seed, given.ruled, given.orders)
    first = SystemRandom().randrange(2**32) if given.seed is None else given.seed
    return run_all(first, given.seeds or 1_000, given.processes, given.ruled, given.orders)


def tell_one(seed: int, ruled: bool, orders: bool) -> int:
    """Play one world and tell what happened in it."""
    with simulated():
        world = World(seed, tells=True, ruled=ruled, orders=orders)
        try:
            report = world.live()
        except Broken as broken:
            print(*world.told or (), f"seed {seed}: {broken}", sep="\n")
            return 1
    print(*world.told or (), report, sep="\n")
    return 0


def run_all(first: int, seeds: int, processes: int, ruled: bool, orders: bool) -> int:
    began_s = said_s = time.monotonic()
    total = Tally()
    again = "--ruled " * ruled + "--orders " * orders + "--seed"
    for tally in run_many(first, seeds, processes, ruled, orders):
        total = total.plus(tally)
        if total.broken:
            seed, why = min(total.broken)
            print(f"seed {seed}: {why}\n\nPlay it again: python -m tests.sim {again} {seed}")
            return 1
        now_s = time.monotonic()
        if now_s - said_s > SAY_EVERY_S:
            said_s = now_s
            per_s = total.worlds / (now_s - began_s)
            left_s = (seeds - total.worlds) / per_s
            print(
                f"{total.worlds:,} of {seeds:,} worlds whole, {per_s:,.0f} a second, "
                f"{left_s / 60:,.0f} minutes left",
                flush=True,
            )
    took_s = time.monotonic() - began_s
    print(
        f"{seeds:,} worlds whole, seeds {first} to {first + seeds - 1}, in {took_s:,.0f} s: "
        f"{total.commands:,} commands, {total.commits:,} commits, {total.reigns:,} reigns, "
        f"{total.fenced:,} batches of writers whose reign was over refused"
    )
    # A line for docs/simulation.md.
    line = (
        f"| {datetime.now(UTC):%Y-%m-%d} | {_commit()} | {first} to {first + seeds - 1} "
        f"| {total.commands:,} | {total.reigns:,} | {total.fenced:,} |"
    )
    if orders:
        line += f" {total.orders:,} | {total.desks:,} | {total.conflicts:,} |"
    print(f"{line} 0 |")
    return 0


def _commit() -> str:
    asked = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
