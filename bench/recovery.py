"""How long a great house is away when the process of its performance is killed.

Owns the house as it stands in the middle of a sale (half of it sold, a fresh snapshot,
and as many events after that as there ever are before the next one) and the killing.
Two times are taken of each restart: from the kill to the first answer, as buyers see it,
and from the new process being told what to serve to its being ready.
"""

import asyncio
import time
import urllib.request
from collections.abc import Iterator
from itertools import islice
from typing import Final

import msgspec
import psutil  # type: ignore[import-untyped]

from bench.durable import Submits
from bench.throwaway import Ground
from engine.actors.performance import SNAPSHOT_EVERY_EVENTS
from engine.commands import Channel, Checkout, Command, Hold, Line, Release, Sell
from gateway.backend import BackendUnavailable

STADIUM_ROWS: Final = 200
"""A section: 80,000 seats in all."""
TITLE: Final = "ray::PerformanceProcess"
TAIL_EVENTS: Final = SNAPSHOT_EVERY_EVENTS - 5_000
"""Nearly as many as make the next snapshot due."""
REST_S: Final = 5.0
"""Between two kills: the next spare process has started by then, as it has in a sale."""
ASK_AGAIN_S: Final = 0.01
GIVE_UP_S: Final = 60.0
ANSWER_S: Final = 10.0
GAUGE: Final = "strapontin_performance_recovery_seconds"
_BATCH: Final = 500


async def sell_half(performances: Submits, ground: Ground, performance: int, seats: int) -> None:
    """Orders of two seats until half of the house is sold; then holds that come and go."""
    sales = _sales(seats // 2)
    decided = 0
    while decided < SNAPSHOT_EVERY_EVENTS or not await _has_snapshot(ground, performance):
        decided += await _submit(performances, performance, sales)
    tail = decided - await _snapshot_seq(ground, performance)
    while done := await _submit(performances, performance, sales):
        tail += done
    visits = _visits(seats)
    while tail < TAIL_EVENTS:
        tail += await _submit(performances, performance, visits)


async def restart(
    performances: Submits, performance: int, url: str, *, spare: bool = True
) -> tuple[float, float]:
    """Kill the writer, and the spare process too unless told otherwise.

    Returns:
        Milliseconds from the kill to the first answer, and of those how many the new
        process took from being told what to serve to its being ready.
    """
    victims = _processes()
    begins_s = time.perf_counter()
    for victim in victims[:1] if spare else victims:
        victim.kill()
    await answered(performances, performance)
    seen_ms = 1_000 * (time.perf_counter() - begins_s)
    await asyncio.sleep(REST_S)
    return seen_ms, 1_000 * await asyncio.to_thread(_recovery_s, url, performance)


async def answered(performances: Submits, performance: int) -> None:
    """Ask for nothing until it is answered, as a gateway does. Raises BackendUnavailable."""
    nothing = msgspec.msgpack.encode([])
    ends_s = time.perf_counter() + GIVE_UP_S
    while True:
        try:
            await performances.submit(performance, nothing)
            return
        except BackendUnavailable:
            if time.perf_counter() > ends_s:
                raise
            await asyncio.sleep(ASK_AGAIN_S)


def _processes() -> list[psutil.Process]:
    """The one that serves comes first: the spare one is always younger."""
    below = psutil.Process().children(recursive=True)
    found = [one for one in below if " ".join(one.cmdline()).startswith(TITLE)]
    return sorted(found, key=lambda one: one.create_time())


def _recovery_s(url: str, performance: int) -> float:
    """As the gateway's metrics tell it."""
    with urllib.request.urlopen(f"{url}/metrics?name[]={GAUGE}", timeout=ANSWER_S) as answer:
        text: str = answer.read().decode()
    label = f'{GAUGE}{{performance="{performance}"}} '
    return float(text.partition(label)[2].split()[0])


async def _submit(performances: Submits, performance: int, commands: Iterator[Command]) -> int:
    """The next batch; how many commands were in it."""
    batch = list(islice(commands, _BATCH))
    told = msgspec.msgpack.decode(
        await performances.submit(performance, msgspec.msgpack.encode(batch))
    )
    refused = [outcome for outcome in told if outcome[0] == "refused"]
    assert not refused, refused[:3]
    return len(batch)


def _sales(seats: int) -> Iterator[Command]:
    for number in range(seats // 2):
        token, order = number.to_bytes(16, "big"), f"{number:032x}"
        ids = [(1 << 96 | number << 2 | step).to_bytes(16, "big") for step in range(3)]
        pair = (2 * number, 2 * number + 1)
        lines = tuple([Line(seat, -1, "adult") for seat in pair])
        yield Hold(ids[0], token, f"s{number}", Channel.BOX_OFFICE, pair)
        yield Checkout(ids[1], token, order, "", lines)
        yield Sell(ids[2], token, order)


def _visits(seats: int) -> Iterator[Command]:
    """Somebody takes a seat and lets it go, without end."""
    number = 0
    while True:
        token = (1 << 97 | number).to_bytes(16, "big")
        ids = [(1 << 98 | number << 1 | step).to_bytes(16, "big") for step in range(2)]
        seat = seats // 2 + number % (seats // 2)
        yield Hold(ids[0], token, f"v{number}", Channel.BOX_OFFICE, (seat,))
        yield Release(ids[1], token)
        number += 1


async def _has_snapshot(ground: Ground, performance: int) -> bool:
    return bool(await _snapshot_seq(ground, performance))


async def _snapshot_seq(ground: Ground, performance: int) -> int:
    from persistence.url import connect

    connection = await connect(ground.database_url)
    try:
        newest = "SELECT coalesce(max(seq), 0) FROM snapshots WHERE performance = $1"
        seq: int = await connection.fetchval(newest, performance)
        return seq
    finally:
        await connection.close()
