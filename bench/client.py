"""A websocket client that costs little: what a load generator takes, its server has not got.

Owns the opening handshake, the framing and the hello; what is asked and what
becomes of the answers is the subclass's. A client is a state machine on its
transport, with no task, future or queue of its own: on two cores the
general-purpose client took a third of the machine.
"""

import asyncio
from typing import Any, Final, cast
from urllib.parse import urlsplit

import msgpack
from websockets.utils import accept_key, generate_key

_PING: Final = 0x9
_BINARY: Final = 0x2
_NO_MASK: Final = bytes(4)
"""Clients mask their frames for the sake of old proxies; this key leaves the bytes as they are."""
_PONG: Final = b"\x8a\x80" + _NO_MASK

Frame = list[Any]


class Client(asyncio.Protocol):
    """One connection. `ready` is done after the welcome; `failed` when it broke."""

    def __init__(self, host: str, token: str) -> None:
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.over: asyncio.Future[None] = loop.create_future()
        """Done by `finish`; fails with whatever went wrong."""
        for future in (self.ready, self.over):
            # Whoever waits hears of a failure once; nobody has to wait for both.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._host = host
        self._token = token
        self._key = generate_key()
        self._upgraded = False
        self._buffer = b""
        self._transport: asyncio.Transport

    def answered(self, frame: Frame) -> None:
        """A frame has come, the welcome apart."""
        raise NotImplementedError

    def ask(self, frame: Frame) -> None:
        """Send a frame."""
        payload = msgpack.packb(frame)
        size = len(payload)
        head = bytes((0x82, 0x80 | size)) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
        self._transport.write(head + _NO_MASK + payload)

    def show_life(self) -> None:
        """Say that somebody is there, as the answer to a ping does."""
        self._transport.write(_PONG)

    def finish(self) -> None:
        """All is well, and over."""
        if not self.over.done():
            self.over.set_result(None)
        self._transport.close()

    def fail(self, error: Exception) -> None:
        for future in (self.ready, self.over):
            if not future.done():
                future.set_exception(error)
        self._transport.close()

    # The protocol --------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {self._key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.fail(RuntimeError(f"the server hung up: {error}"))

    def data_received(self, data: bytes) -> None:
        try:
            self._buffer += data
            if not self._upgraded:
                self._finish_handshake()
            while self._upgraded and (frame := self._next_frame()) is not None:
                self._serve(*frame)
        except Exception as error:
            self.fail(error)

    def _finish_handshake(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101") or accept_key(self._key).encode() not in head:
            raise RuntimeError(f"no websocket: {head!r}")
        self._buffer = rest
        self._upgraded = True
        self.ask(["hello", self._token, "en"])

    def _next_frame(self) -> tuple[int, bytes] | None:
        """(opcode, payload) of a whole frame, taken off the buffer."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        start, length = 2, buffer[1]
        if length == 126:
            start, length = 4, int.from_bytes(buffer[2:4], "big")
        elif length == 127:
            start, length = 10, int.from_bytes(buffer[2:10], "big")
        if len(buffer) < start + length:
            return None
        self._buffer = buffer[start + length :]
        return buffer[0] & 0xF, buffer[start : start + length]

    def _serve(self, opcode: int, payload: bytes) -> None:
        if opcode == _PING:
            self.show_life()
            return
        if opcode != _BINARY:
            raise RuntimeError(f"the server closes: {payload!r}")
        frame: Frame = msgpack.unpackb(payload)
        if self.ready.done():
            self.answered(frame)
        elif frame[0] == "welcome":
            self.ready.set_result(None)
        else:
            raise RuntimeError(f"no welcome but {frame!r}")


async def connect(client: Client, url: str) -> None:
    """Open the connection and wait for the welcome."""
    server = urlsplit(url)
    loop = asyncio.get_running_loop()
    await loop.create_connection(lambda: client, server.hostname, server.port)
    await client.ready
