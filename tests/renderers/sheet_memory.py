"""A table of so many rows in a process of its own, and the memory that it took:

    python -m tests.renderers.sheet_memory csv|xlsx|whole ROWS

"whole" is the control: the same CSV, from rows that are all there before the first is written.
"""

import os
import sys
import tempfile
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from engine.commands import Channel
from engine.listing import Listed, ListedStatus
from renderers.ticket_sheet import Cells, CsvSheet, Showing, XlsxSheet


def page(first: int, count: int = 1_000) -> list[Listed]:
    return [
        Listed(
            order_number=at,
            line=1,
            performance=1,
            ticket=at + 1,
            seat=at % 160,
            area=-1,
            price_type="adult",
            amount=2_500,
            currency="EUR",
            status=ListedStatus.VALID,
            channel=Channel.WEB,
            operator="",
            buyer_name=f"Éléonore d'Aquitaine {at}",
            buyer_email=f"eleonore{at}@example.org",
            ordered_ms=1_790_000_000_000 + at,
            scanned_ms=0,
            inside=False,
        )
        for at in range(first, first + count)
    ]


def write(kind: str, rows: int) -> None:
    """Write so many rows."""
    cells = Cells("fr", "Europe/Paris")
    cells.learn({}, {1: Showing("Cyrano", 1, "plan")})
    kept: list[Listed] = []
    with tempfile.TemporaryDirectory() as folder:
        sheet = CsvSheet(cells) if kind != "xlsx" else XlsxSheet(cells, Path(folder), "x.xlsx")
        sheet.begin()
        for first in range(0, rows, 1_000):
            part = page(first)
            if kind == "whole":
                kept += part
            else:
                sheet.add(part)
        if kept:
            sheet.add(kept)
        sheet.end()


def main(kind: str, rows: int) -> None:
    """Say how many MiB it took.

    A process that was started by a large one counts that one's memory as its own, so it is a child
    of this one that writes.
    """
    child = os.fork()
    if child == 0:
        write(kind, rows)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    print(getrusage(RUSAGE_CHILDREN).ru_maxrss / 1_024)
    sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
