"""What a thousand performances on sale cost when ten of them are busy.

Owns the two installations that are weighed, one after the other: ten busy
performances alone, and the same ten among a thousand. Memory is what the
processes of the installation hold for themselves (unique set size), Postgres
and Ray included. Then cold performances are used for the first time.
"""

import asyncio
import time
from statistics import median
from typing import Final

import msgspec
import psutil  # type: ignore[import-untyped]

from bench.durable import Submits, batches
from bench.throwaway import Ground

HOT: Final = 10
ACTIVATED: Final = 10
REST_S: Final = 4.0
"""Between two cold performances."""
_BATCH: Final = 200


def memory_mib(ground: Ground) -> float:
    """Of every process below this one, and of the database's."""
    mine = psutil.Process()
    seen = {process.pid: process for process in mine.children(recursive=True)}
    for process in psutil.process_iter(["cmdline"]):
        if str(ground.folder) in " ".join(process.info["cmdline"] or ()):
            for one in (process, *process.children(recursive=True)):
                seen[one.pid] = one
    total = 0
    for process in seen.values():
        try:
            total += process.memory_full_info().uss
        except psutil.Error:  # it has ended meanwhile
            continue
    return total / 2**20


async def busy(performances: Submits, numbers: tuple[int, ...], seats: int, seconds: float) -> None:
    """Holds to each of these, for a while."""
    # One after the other: ten processes that start at once take longer than a call waits.
    for number in numbers:
        await performances.submit(number, msgspec.msgpack.encode([]))
    ends_s = time.perf_counter() + seconds

    async def one(number: int) -> None:
        source = batches(seats, _BATCH, number << 64)
        while time.perf_counter() < ends_s:
            await performances.submit(number, next(source))

    await asyncio.gather(*map(one, numbers))


async def activation_ms(performances: Submits, cold: tuple[int, ...]) -> float:
    """The median time of the first answer of performances that nobody has used yet.

    REST_S apart: one that follows at once also waits for the next process to start.
    """
    taken = []
    for number in cold:
        await asyncio.sleep(REST_S)
        begins_s = time.perf_counter()
        await performances.submit(number, msgspec.msgpack.encode([]))
        taken.append(1_000 * (time.perf_counter() - begins_s))
    return median(taken)
