"""The real thing, broken for a while: `python -m tests.soak --minutes 25 --seed 1 --json FILE`.

Exit code 0: everything held; 1: it did not; 2: it could not begin.
"""

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from random import SystemRandom

from bench.rehearsal.installation import CannotBegin
from tests.soak import report
from tests.soak.play import Run, soak


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak")
    parser.add_argument("--minutes", type=float, default=25.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    parser.add_argument("--json", type=Path, dest="json_file", help="write the report here too")
    parser.add_argument(
        "--without",
        choices=("fencing", "commit"),
        default="",
        help="switch a rule of the product off; then this must fail",
    )
    parser.add_argument("--logs", type=Path, help="keep the server's log here")
    given = parser.parse_args()
    run = Run(60 * given.minutes, given.seed, given.without)
    with tempfile.TemporaryDirectory(prefix="strapontin-soak-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # Postgres may run as another user
        try:
            outcome = asyncio.run(soak(run, folder, lambda text: print(text, flush=True)))
        except CannotBegin as error:
            print(error, file=sys.stderr)
            return 2
        finally:
            if given.logs is not None and (folder / "data.log").exists():
                given.logs.write_bytes((folder / "data.log").read_bytes())
    print(report.as_text(outcome))
    if given.json_file is not None:
        given.json_file.write_text(json.dumps(report.as_json(outcome), indent=2) + "\n")
    return 0 if report.passed(outcome) else 1


if __name__ == "__main__":
    sys.exit(main())
