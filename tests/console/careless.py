"""`strapontin`, but a scan is answered before it is kept: what a test of crashes must notice."""

import asyncio

from console.cli import main
from console.kept import KeptScan, Memory
from engine.door_list import Use

LATER_S = 60.0
_keep = Memory.keep


def keep_later(memory: Memory, scan: KeptScan, use: Use | None) -> None:
    asyncio.get_running_loop().call_later(LATER_S, _keep, memory, scan, use)


if __name__ == "__main__":
    Memory.keep = keep_later  # type: ignore[method-assign]
    main()
