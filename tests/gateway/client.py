"""A websocket client for tests: msgpack arrays as they are, no types of ours."""

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import Any

import aiohttp
import msgpack

PATIENCE_S = 5.0


def new_id() -> bytes:
    return secrets.token_bytes(16)


class Closed(Exception):
    """The server closed the connection, with this code."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


class Socket:
    """Frames out, frames in. Feed frames and others wait in their own lists."""

    def __init__(self, websocket: aiohttp.ClientWebSocketResponse) -> None:
        self.websocket = websocket
        self.welcome: list[Any] = []
        self.kept: list[list[Any]] = []

    async def hello(self, token: str) -> None:
        await self.send("hello", token, "en")
        self.welcome = await self.next("welcome")

    async def send(self, *frame: Any) -> None:
        await self.websocket.send_bytes(msgpack.packb(list(frame)))

    async def receive(self) -> list[Any]:
        """The next frame. Raises Closed."""
        message = await asyncio.wait_for(self.websocket.receive(), PATIENCE_S)
        if message.type is not aiohttp.WSMsgType.BINARY:
            raise Closed(self.websocket.close_code)
        frame: list[Any] = msgpack.unpackb(message.data)
        return frame

    async def next(self, *tags: str) -> list[Any]:
        """The next frame with one of these tags; others are kept for later calls."""
        for place, frame in enumerate(self.kept):
            if frame[0] in tags:
                return self.kept.pop(place)
        while True:
            frame = await self.receive()
            if frame[0] in tags:
                return frame
            self.kept.append(frame)

    async def ask(self, kind: str, *rest: Any, id: bytes = b"") -> list[Any]:
        """A command's outcome, once it is answered."""
        id = id or new_id()
        await self.send(kind, id, *rest)
        reply = await self.next("reply")
        assert reply[1] == id
        outcome: list[Any] = reply[2]
        return outcome

    async def hold(self, performance: int, *seats: int, token: bytes = b"") -> list[Any]:
        return await self.ask("hold", performance, token or new_id(), list(seats))

    async def closed(self) -> int | None:
        """The close code, once the server has closed the connection."""
        for _ in itertools.repeat(None, 1000):
            try:
                self.kept.append(await self.receive())
            except Closed as end:
                return end.code
        raise AssertionError("the server goes on sending")


def seats_of(snapshot: list[Any], count: int) -> list[int]:
    """Statuses of a snapshot frame, read as docs/protocol.md says."""
    packed = snapshot[4]
    return [packed[seat // 4] >> 2 * (seat % 4) & 3 for seat in range(count)]


def changes_of(delta: list[Any]) -> dict[int, int]:
    """Seat -> status of a delta frame."""
    words = [int.from_bytes(delta[5][at : at + 4], "little") for at in range(0, len(delta[5]), 4)]
    return {word >> 2: word & 3 for word in words}


async def until(true: Callable[[], bool]) -> None:
    """Wait for the state of something that tells nobody when it changes."""
    for _ in range(int(PATIENCE_S / 0.01)):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")
