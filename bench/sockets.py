"""Holds a second over the websocket: many clients, each one hold at a time, to COMMIT and back.

Owns the clients and their count. The clients are tills (the box office may send
more per second than a buyer) that speak the documented protocol, and share the
machine with the server: what they cost is missing from its figure. A client is
therefore a state machine on its transport, with no task, future or queue of its
own; the general-purpose client took a third of the machine here. Each picks ten
seats, one hold command after the other, then gives its basket back with one
release, and so on. A hold is counted when its "held" reply has arrived;
releases are not counted.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from itertools import count
from typing import Final, cast
from urllib.parse import urlsplit

import msgpack
from websockets.utils import accept_key, generate_key

from bench.durable import WARM_UP_S
from bench.figures import Rate

CLIENTS: Final = 200
SEATS_A_BASKET: Final = 10
CONNECT_S: Final = 1.0
"""Time to say hello, before the warm-up."""
ANSWER_S: Final = 30.0
"""Silence for this long after the end is a failure."""

_PING: Final = 0x9
_BINARY: Final = 0x2
_UNMASKED_KEY: Final = bytes(4)
"""A client's frames are masked for the sake of old proxies; this key leaves them as they are."""


class _Till(asyncio.Protocol):
    """One client: asks, and asks again when the answer is there, until `ends_s`."""

    def __init__(self, host: str, asks: Iterator[list[object]], token: str, ends_s: float) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.holds: list[tuple[float, float]] = []
        """(when answered, seconds since it was asked) of each hold, on `time.perf_counter`."""
        self._host = host
        self._asks = asks
        self._hello = ["hello", token, "en"]
        self._ends_s = ends_s
        self._key = generate_key()
        self._expected = ""
        self._sent_s = 0.0
        self._buffer = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(
            f"GET /ws HTTP/1.1\r\nHost: {self._host}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {self._key}\r\n"
            "Sec-WebSocket-Version: 13\r\n\r\n".encode()
        )

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(RuntimeError(f"the server hung up: {error}"))

    def data_received(self, data: bytes) -> None:
        try:
            self._buffer += data
            if not self._expected:
                self._finish_handshake()
            while self._expected and (frame := self._next_frame()) is not None:
                self._serve(*frame)
        except Exception as error:
            if not self.done.done():
                self.done.set_exception(error)
            self._transport.close()

    def _finish_handshake(self) -> None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 101") or accept_key(self._key).encode() not in head:
            raise RuntimeError(f"no websocket: {head!r}")
        self._buffer = rest
        self._ask(self._hello, "welcome")

    def _next_frame(self) -> tuple[int, bytes] | None:
        """(opcode, payload) of a whole frame, taken off the buffer."""
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        start, length = 2, buffer[1]
        if length == 126:
            start, length = 4, int.from_bytes(buffer[2:4], "big")
        assert length < 2**16, "the server's frames to a till are short and unmasked"
        if len(buffer) < start + length:
            return None
        self._buffer = buffer[start + length :]
        return buffer[0] & 0xF, buffer[start : start + length]

    def _serve(self, opcode: int, payload: bytes) -> None:
        now_s = time.perf_counter()
        if opcode == _PING:
            self._transport.write(b"\x8a\x80" + _UNMASKED_KEY)
            return
        reply = msgpack.unpackb(payload) if opcode == _BINARY else [opcode]
        told = reply[2][0] if reply[0] == "reply" else reply[0]
        if told != self._expected:
            raise RuntimeError(f"{self._expected!r} was expected, not {reply!r}")
        if told == "held":
            self.holds.append((now_s, now_s - self._sent_s))
        if now_s >= self._ends_s and told == "released":  # the next round finds every seat free
            self.done.set_result(None)
            self._transport.close()
            return
        ask = next(self._asks)
        self._sent_s = now_s
        self._ask(ask, "held" if ask[0] == "hold" else "released")

    def _ask(self, frame: list[object], expected: str) -> None:
        self._expected = expected
        payload = msgpack.packb(frame)
        size = len(payload)
        head = bytes((0x82, 0x80 | size)) if size < 126 else b"\x82\xfe" + size.to_bytes(2, "big")
        self._transport.write(head + _UNMASKED_KEY + payload)


def _asks(performance: int, first_seat: int, first_id: int) -> Iterator[list[object]]:
    ids = count(first_id)
    while True:
        basket = next(ids).to_bytes(16, "big")
        for seat in range(first_seat, first_seat + SEATS_A_BASKET):
            yield ["hold", next(ids).to_bytes(16, "big"), performance, basket, [seat], []]
        yield ["release", next(ids).to_bytes(16, "big"), performance, basket, [], []]


async def websocket_holds(
    url: str,
    token: str,
    performance: int,
    seats: int,
    seconds: float,
    first_id: int,
    clients: int = CLIENTS,
) -> Rate:
    """So many clients, closed loop, for `seconds` after a warm-up.

    Raises:
        RuntimeError: A hold was not answered as held, or a connection failed.
    """
    loop = asyncio.get_running_loop()
    server = urlsplit(url)
    begins_s = time.perf_counter() + WARM_UP_S + CONNECT_S
    ends_s = begins_s + seconds

    async def client(number: int) -> _Till:
        asks = _asks(performance, number * (seats // clients), first_id + number * 10_000_000)
        _, till = await loop.create_connection(
            lambda: _Till(server.netloc, asks, token, ends_s), server.hostname, server.port
        )
        async with asyncio.timeout_at(loop.time() + ends_s + ANSWER_S - time.perf_counter()):
            await till.done
        return till

    tills = await asyncio.gather(*(client(number) for number in range(clients)))
    answers = [(at_s, taken_s, 1) for till in tills for at_s, taken_s in till.holds]
    return Rate.of(answers, begins_s, ends_s)


def login(url: str, name: str, password: str) -> str:
    """An operator's token."""
    request = urllib.request.Request(
        f"{url}/api/login",
        json.dumps({"name": name, "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        token: str = json.load(answer)["token"]
        return token
