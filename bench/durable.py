"""Durable holds a second: one driver, batches, performance actor, journal actor, COMMIT.

Owns the load and its count. One hold is one seat for a holder of its own; holds
last a tenth of a second, so that seats come back by expiry while the run goes
on, and the expiries are part of the work. Only holds that were answered as
held, after their commit, are counted.
"""

import asyncio
import time
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from engine.commands import Channel, Hold

BATCH_COMMANDS: Final = 500
IN_FLIGHT: Final = 4
WARM_UP_S: Final = 1.0
HOLD_MS: Final = 100
_HELD: Final = b"\x96\xa4held"
"""How an encoded Held outcome begins: an array of six, its tag first."""


class Submits(Protocol):
    async def submit(self, performance: int, batch: bytes) -> bytes: ...


class Rate(Struct, frozen=True):
    """Holds answered as held per second, and the batches' latency in milliseconds."""

    per_s: float
    p50_ms: float
    p99_ms: float


async def durable_holds(
    performances: Submits, performance: int, seats: int, seconds: float, first_id: int
) -> Rate:
    """Drive one performance for `seconds` after a warm-up. `first_id` keeps ids apart."""
    loads = iter(_batches(seats, seconds, first_id))
    latencies_s: list[float] = []
    held = 0
    begins_s = time.perf_counter() + WARM_UP_S
    ends_s = begins_s + seconds

    async def drive() -> None:
        nonlocal held
        for batch in loads:
            sent_s = time.perf_counter()
            if sent_s > ends_s:
                return
            reply = await performances.submit(performance, batch)
            done_s = time.perf_counter()
            if begins_s <= done_s <= ends_s:
                held += reply.count(_HELD)
                latencies_s.append(done_s - sent_s)
        raise RuntimeError("the driver ran out of prepared batches")

    await asyncio.gather(*(drive() for _ in range(IN_FLIGHT)))
    latencies_s.sort()
    return Rate(
        held / seconds,
        latencies_s[len(latencies_s) // 2] * 1_000,
        latencies_s[int(len(latencies_s) * 0.99)] * 1_000,
    )


def _batches(seats: int, seconds: float, first_id: int) -> list[bytes]:
    """More than the run can use, encoded beforehand: the driver's own cost is not the subject."""
    encode = msgspec.msgpack.Encoder().encode
    count = int((seconds + WARM_UP_S) * 250_000 / BATCH_COMMANDS) + IN_FLIGHT
    batches = []
    number = first_id
    for _ in range(count):
        commands = []
        for _ in range(BATCH_COMMANDS):
            id = number.to_bytes(16, "big")
            commands.append(Hold(id, id, f"s{number}", Channel.BOX_OFFICE, (number % seats,)))
            number += 1
        batches.append(encode(commands))
    return batches
