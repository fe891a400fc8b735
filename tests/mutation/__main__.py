"""How good are the tests of the core's decisions? `python -m tests.mutation`.

Prints, module by module, how many mutants the tests killed, and those that live. What is
listed in equivalent.toml is known to be no wrong at all, and does not count; when a test kills
such a one, or the list names what is no longer there, the list is wrong and this fails.
"""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tests.mutation.run import ROOT, Verdict, judge

MODULES = (
    "holding", "selling", "pricing", "keeping", "orphans", "best", "splits", "house",
    "admission", "kept", "passages", "performance", "state", "waiting_room", "turns", "pacing",
    "ordering", "sale", "quotas", "stock", "settings_check",
)  # fmt: skip
GOAL_PERCENT = 90.0
EQUIVALENT = Path(__file__).with_name("equivalent.toml")


def equivalent() -> dict[str, str]:
    """The mutants that are no wrong, and why."""
    listed: dict[str, str] = tomllib.loads(EQUIVALENT.read_text())
    return listed


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation")
    parser.add_argument("modules", nargs="*", default=MODULES, help=", ".join(MODULES))
    parser.add_argument("--only", default="", help="mutants whose name contains this")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    paths = [ROOT / "engine" / f"{name}.py" for name in given.modules]
    return report(judge(paths, given.only, given.processes), whole=not given.only)


def report(verdicts: Sequence[Verdict], whole: bool) -> int:
    known = equivalent()
    names = {one.mutant.name for one in verdicts}
    wrong = [f"listed as equivalent, and killed: {one.mutant.name}" for one in verdicts
             if one.killed and one.mutant.name in known]  # fmt: skip
    modules = sorted({one.source.path.stem for one in verdicts})
    if whole:
        stale = [name for name in known if name.split(".")[0] in modules and name not in names]
        wrong += [f"listed as equivalent, and no mutant: {name}" for name in stale]
    living = [one for one in verdicts if not one.killed and one.mutant.name not in known]
    for one in living:
        print(f"lives  {one.source.path.relative_to(ROOT)}:{one.mutant.line}  {one.mutant.name}")
    print(
        f"\n{'module':14}{'mutants':>9}{'equivalent':>12}{'killed':>8}{'live':>6}{'killed %':>10}"
    )
    for module in [*modules, ""]:
        mine = [one for one in verdicts if module in ("", one.source.path.stem)]
        same = sum(one.mutant.name in known for one in mine)
        live = sum(one in living for one in mine)
        real = len(mine) - same
        share = 100.0 * (real - live) / real if real else 100.0
        print(f"{module or 'all':14}{len(mine):9}{same:12}{real - live:8}{live:6}{share:9.1f}")
    print(*wrong, sep="\n")
    return 1 if wrong or share < GOAL_PERCENT else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
