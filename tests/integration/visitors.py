"""People in a waiting room: they come back whatever dies, and buy when it is their turn.

Owns their connections and what each of them was told. Speaks the documented protocol.
"""

import asyncio
import contextlib
import os
from typing import Any

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.integration.server import ServedHouse

PAUSE_S = 0.2


class Visitor:
    """One session. `names` are the (visitor, number) and `places` those it heard of, each once;
    `id` is that of its hold."""

    def __init__(self, house: ServedHouse, performance: int, token: str) -> None:
        self.names: set[tuple[str, int]] = set()
        self.places: set[int] = set()
        self.admission = ""
        self.admitted = asyncio.Event()
        self.outcome: list[Any] = []
        self.connections = 0
        self._house = house
        self._performance = performance
        self._token = token
        self.id = os.urandom(16)
        self._hold = msgpack.packb(["best", self.id, performance, os.urandom(16), 1])
        self._task = asyncio.create_task(self._stay())

    async def leave(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _stay(self) -> None:
        while True:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with connected(self._house, self._token) as socket:
                    self.connections += 1
                    queue = ["queue", self._performance, self.admission]
                    await socket.send(msgpack.packb(queue))
                    while True:
                        await self._hear(socket, msgpack.unpackb(await socket.recv()))
            await asyncio.sleep(PAUSE_S)

    async def _hear(self, socket: ClientConnection, frame: list[Any]) -> None:
        match frame:
            case ["placed", _, visitor, number, place]:
                self.names.add((visitor, number))
                self.places.add(place)
            case ["admitted", _, admission, _]:
                self.admission = admission
                self.admitted.set()
                if not self.outcome:
                    await socket.send(self._hold)
            case ["shed", _, _, retry_ms]:
                await asyncio.sleep(retry_ms / 1000)
                await socket.send(self._hold)
            case ["reply", _, outcome]:
                self.outcome = outcome


@contextlib.asynccontextmanager
async def connected(house: ServedHouse, token: str):  # type: ignore[no-untyped-def]
    address = house.url.replace("http", "ws", 1) + "/ws"
    async with connect(address, compression=None, open_timeout=5) as socket:
        await socket.send(msgpack.packb(["hello", token, "en"]))
        assert msgpack.unpackb(await socket.recv())[0] == "welcome"
        yield socket


async def hold_straight(house: ServedHouse, performance: int, token: str) -> list[Any]:
    """The outcome of a hold by somebody who did not wait; asked again while it is shed."""
    frame = msgpack.packb(["hold", os.urandom(16), performance, os.urandom(16), [0]])
    async with connected(house, token) as socket:
        await socket.send(frame)
        while True:
            told = msgpack.unpackb(await asyncio.wait_for(socket.recv(), 20))
            if told[0] == "reply":
                return list(told[2])
            if told[0] == "shed":
                await asyncio.sleep(told[3] / 1000)
                await socket.send(frame)
