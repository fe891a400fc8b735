"""The public log of a waiting room, as JSON: what anybody can verify the draw with.

Owns the log's shape and its writing out away from the event loop, for each room at most
once every few seconds however many ask.
"""

import asyncio
import gzip
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.waiting import Admitted, Arrived, Closed, Drawn, Opened, RoomEvent
from gateway.backend import Backend
from gateway.cache import Kept
from gateway.limits import MAX_CACHED_ROOM_LOGS, MAX_ROOM_LOG_LOADS, ROOM_LOG_CACHE_S
from gateway.problems import Problem


class RoomLogs:
    """The logs of one house's rooms, compressed."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._kept: Kept[int, bytes] = Kept(MAX_CACHED_ROOM_LOGS, ROOM_LOG_CACHE_S)
        self._turn = asyncio.Semaphore(MAX_ROOM_LOG_LOADS)

    async def packed(self, performance: int) -> bytes:
        """gzip of the latest room's log. Raises Problem("no_room")."""
        return await self._kept.get(performance, lambda: self._load(performance))

    async def _load(self, performance: int) -> bytes:
        async with self._turn:
            events = await self._backend.rooms.events(performance)
            if not events:
                raise no_room(performance)
            return await asyncio.to_thread(_pack, events)


def no_room(performance: int) -> Problem:
    return Problem("no_room", f"performance {performance} has no waiting room")


def public_log(events: Sequence[RoomEvent]) -> dict[str, Any]:
    """A room's events as they are published; bytes in hexadecimal digits."""
    opened = events[0]
    assert isinstance(opened, Opened)
    seeds = [event.seed.hex() for event in events if isinstance(event, Drawn)]
    return {
        "performance": opened.performance,
        "opens_ms": opened.opens_ms,
        "on_sale_ms": opened.on_sale_ms,
        "commitment": opened.commitment.hex(),
        "seed": seeds[0] if seeds else None,
        "events": [_row(event) for event in events[1:]],
    }


def _row(event: RoomEvent) -> list[Any]:
    match event:
        case Arrived():
            return ["arrived", event.at_ms, [visitor.hex() for visitor in event.visitors]]
        case Drawn():
            return ["drawn", event.at_ms, event.seed.hex()]
        case Admitted():
            visitors = [visitor.hex() for visitor in event.visitors]
            return ["admitted", event.at_ms, event.expires_ms, visitors]
        case Closed():
            return ["closed", event.at_ms]
    raise AssertionError(f"{event!r} comes first alone")


def _pack(events: Sequence[RoomEvent]) -> bytes:
    # Digests are noise: trying harder than this saves nothing.
    return gzip.compress(msgspec.json.encode(public_log(events)), 1)
