"""Durable holds a second: one driver, batches, performance actor, journal actor, COMMIT.

Owns the load and its count. One hold is one seat for a holder of its own; holds
last a tenth of a second, so that seats come back by expiry while the run goes
on, and the expiries are part of the work. Only holds that were answered as
held, after their commit, are counted.
"""

import asyncio
import time
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from bench.figures import Rate
from engine.commands import Channel, Hold

BATCH_COMMANDS: Final = 500
IN_FLIGHT: Final = 4
WARM_UP_S: Final = 1.0
HOLD_MS: Final = 100
HELD: Final = b"\x96\xa4held"
"""How an encoded Held outcome begins: an array of six, its tag first."""


class Submits(Protocol):
    async def submit(self, performance: int, batch: bytes) -> bytes: ...


async def durable_holds(
    performances: Submits, performance: int, seats: int, seconds: float, first_id: int
) -> Rate:
    """Drive one performance for `seconds` after a warm-up. `first_id` keeps ids apart."""
    loads = iter(_batches(seats, seconds, first_id))
    answers: list[tuple[float, float, int]] = []
    begins_s = time.perf_counter() + WARM_UP_S
    ends_s = begins_s + seconds

    async def drive() -> None:
        for batch in loads:
            sent_s = time.perf_counter()
            if sent_s > ends_s:
                return
            reply = await performances.submit(performance, batch)
            done_s = time.perf_counter()
            answers.append((done_s, done_s - sent_s, reply.count(HELD)))
        raise RuntimeError("the driver ran out of prepared batches")

    await asyncio.gather(*(drive() for _ in range(IN_FLIGHT)))
    return Rate.of(answers, begins_s, ends_s)


def batches(seats: int, size: int, first_id: int) -> Iterator[bytes]:
    """Without end: encoded batches of holds of one seat, one seat after the other."""
    encode = msgspec.msgpack.Encoder().encode
    number = first_id
    while True:
        commands = []
        for _ in range(size):
            id = number.to_bytes(16, "big")
            commands.append(Hold(id, id, f"s{number}", Channel.BOX_OFFICE, (number % seats,)))
            number += 1
        yield encode(commands)


def _batches(seats: int, seconds: float, first_id: int) -> list[bytes]:
    """More than the run can use, encoded beforehand: the driver's own cost is not the subject."""
    count = int((seconds + WARM_UP_S) * 250_000 / BATCH_COMMANDS) + IN_FLIGHT
    source = batches(seats, BATCH_COMMANDS, first_id)
    return [next(source) for _ in range(count)]
