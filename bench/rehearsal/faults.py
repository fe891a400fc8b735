"""`kill -9` in the middle of a rehearsal: the processes of its own installation, and no others.

Owns when and whom. What must have survived is `bench.rehearsal.invariants`.
"""

import asyncio
import signal
from collections.abc import Sequence
from typing import Final

import psutil

from bench.rehearsal.history import Book, Kill
from bench.rehearsal.installation import Installation
from bench.rehearsal.scenario import Fault, Victim

ACTORS: Final = {
    Victim.PERFORMANCE: "PerformanceProcess",
    Victim.JOURNAL: "JournalProcess",
    Victim.DESK: "DeskProcess",
    Victim.GATEWAY: "GatewayProcess",
    Victim.DIRECTORY: "DirectoryProcess",
    Victim.ROOMS: "RoomsProcess",
}
"""What the processes are called that each victim is."""


def found(installation: Installation, victim: Victim) -> list[psutil.Process]:
    """The processes that are this, now."""
    if victim is Victim.DATABASE:
        return installation.database()
    return installation.processes(ACTORS[victim])


async def carry_out(
    faults: Sequence[Fault], seconds: float, installation: Installation, book: Book
) -> None:
    """Kill each when its time has come; one that is not there is noted without a pid."""
    for fault in sorted(faults, key=lambda one: one.at):
        await asyncio.sleep(max(0.0, fault.at * seconds - book.now_s))
        pids = []
        for process in await asyncio.to_thread(found, installation, fault.kill):
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.NoSuchProcess:
                continue
            pids.append(process.pid)
        book.kills.append(Kill(fault.kill, tuple(pids), book.now_s))
