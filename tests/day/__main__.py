"""A day in the life of a house: orders through every channel and method, and then the books.

    python -m tests.day [--orders 300] [--seed 1] [--json FILE]

Serves a house of its own with a payment provider beside it, lives through the day, cancels a
performance, closes the tills, and compares the books with sums over the raw tables, with the
provider's account, and with what cashiers were told. Exit code 1 when any of them differ.
"""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.day.books import Tables, figures, wrong
from tests.day.house import a_day


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.day", description=__doc__)
    parser.add_argument("--orders", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path)
    wanted = parser.parse_args()
    begun_s = time.monotonic()

    async def live() -> tuple[dict[str, object], list[str]]:
        with tempfile.TemporaryDirectory(prefix="strapontin-day-") as folder:
            os.chmod(folder, 0o755)  # Postgres runs as a user of its own
            async with a_day(Path(folder) / "data", wanted.orders, wanted.seed, say=print) as day:
                tables = await Tables.of(day)
                return figures(day, tables), wrong(day, tables)

    told, found = asyncio.run(live())
    told |= {"seed": wanted.seed, "seconds": round(time.monotonic() - begun_s, 1), "wrong": found}
    for name, value in told.items():
        print(f"{name}: {value}")
    if wanted.json:
        wanted.json.write_text(json.dumps(told, indent=2))
    print("The books are right." if not found else "The books are wrong.")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
