"""A lane: one socket between two actors, for the calls that are made by the thousand.

Ray places the actors, watches over them and says where a lane begins; the hot
calls (batches of commands, feeds, appends) then go over it. A call through Ray
costs each side about a millisecond of processor time, a call over a lane about
a fortieth of that (docs/adr/0005).

Delivery guarantees: a call is answered once, or fails. One that failed may have
done its work all the same: repeat it with the same command ids. Calls begin in
the order in which they were made on one lane, and are answered in any order. A
lane that has broken never comes back; open another.

Frames, both ways: bytes that follow the head (4), number of the call (4), kind
(1), and the body. The kind is a method on the way there, a verdict on the way
back. A lane opens with its key, which only Ray's callers have been told.

Owns the framing and the faults' way across. Knows no Ray, no rule and no SQL.
"""

import asyncio
import contextlib
import hmac
import logging
import secrets
import struct
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Final, NamedTuple, cast

from engine.actors import ActorFault, NotReady, OutcomeUnknown, Stopped

log = logging.getLogger(__name__)

Method = Callable[[bytes], Awaitable[bytes]]

KEY_BYTES: Final = 32
MAX_BODY_BYTES: Final = 256 * 1024 * 1024
"""A frame that says it is longer ends the lane."""
MAX_CALLS: Final = 10_000
"""Calls under way on one lane; the edge sheds load long before."""
_HEAD: Final = struct.Struct("!IIB")

_ANSWER: Final = 0
_FAULTS: Final[dict[int, type[Exception]]] = {1: Stopped, 2: OutcomeUnknown, 3: NotReady}
_VERDICTS: Final = {fault: verdict for verdict, fault in _FAULTS.items()}
_CRASH: Final = 255


class LaneBroken(Exception):
    """The other side has gone, or never was there."""


class CallCrashed(ActorFault):
    """The other side raised what it should not have; the text is its own."""


class Address(NamedTuple):
    """Where a lane begins, and what opens it."""

    host: str
    port: int
    key: bytes


class _Framed(asyncio.Protocol):
    """Bytes into frames. Subclasses take them in `frame`, one by one and in order."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer
        buffer += data
        start, end = 0, len(buffer)
        while end - start >= _HEAD.size:
            length, number, kind = _HEAD.unpack_from(buffer, start)
            if length > MAX_BODY_BYTES:
                log.warning("a lane ends: a frame of %d bytes", length)
                self._transport.abort()
                return
            body = start + _HEAD.size
            if end - body < length:
                break
            start = body + length
            self.frame(number, kind, bytes(buffer[body:start]))
        del buffer[:start]

    def frame(self, number: int, kind: int, body: bytes) -> None:
        raise NotImplementedError

    def write(self, number: int, kind: int, body: bytes) -> None:
        self._transport.write(_HEAD.pack(len(body), number, kind) + body)


class Lane(_Framed):
    """The asking end. Make it with `Lane.open`."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = False
        self._numbers = count()
        self._waiting: dict[int, asyncio.Future[bytes]] = {}

    @classmethod
    async def open(cls, address: Address) -> "Lane":
        """Raises LaneBroken."""
        try:
            loop = asyncio.get_running_loop()
            _, lane = await loop.create_connection(cls, address.host, address.port)
        except OSError as error:
            raise LaneBroken(str(error)) from error
        lane._transport.write(address.key)
        return lane

    async def call(self, method: int, body: bytes) -> bytes:
        """Raises ActorFault as the other side did, or LaneBroken."""
        if self.broken:
            raise LaneBroken("the lane is closed")
        if len(self._waiting) >= MAX_CALLS:
            raise NotReady("too many calls under way")
        number = next(self._numbers) & 0xFFFF_FFFF
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            self.write(number, method, body)
            return await future
        finally:
            self._waiting.pop(number, None)

    @property
    def calls(self) -> int:
        """Calls under way."""
        return len(self._waiting)

    def close(self) -> None:
        """Give up: every call under way fails as LaneBroken."""
        self._transport.abort()
        self.connection_lost(None)

    def frame(self, number: int, kind: int, body: bytes) -> None:
        future = self._waiting.get(number)
        if future is None or future.done():
            return  # nobody waits for it any more
        if kind == _ANSWER:
            future.set_result(body)
        else:
            future.set_exception(_FAULTS.get(kind, CallCrashed)(body.decode()))

    def connection_lost(self, error: Exception | None) -> None:
        self.broken = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LaneBroken(str(error or "the other side hung up")))


class LaneServer:
    """The answering end: `methods` by their numbers. Serves from the first `address` on."""

    def __init__(self, host: str, methods: Mapping[int, Method]) -> None:
        self._host = host
        self._methods = methods
        self._key = secrets.token_bytes(KEY_BYTES)
        self._opening = asyncio.Lock()
        self._server: asyncio.Server | None = None

    async def address(self) -> Address:
        async with self._opening:
            if self._server is None:
                loop = asyncio.get_running_loop()
                self._server = await loop.create_server(
                    lambda: _Answering(self._methods, self._key), self._host, 0
                )
        return Address(self._host, self._server.sockets[0].getsockname()[1], self._key)

    async def close(self) -> None:
        """Take no new lanes; those that are open live as long as the process."""
        if self._server is not None:
            self._server.close()


class _Answering(_Framed):
    """One caller of a `LaneServer`."""

    def __init__(self, methods: Mapping[int, Method], key: bytes) -> None:
        super().__init__()
        self._methods = methods
        self._key = key
        self._greeting = b""
        self._greeted = False
        self._tasks: set[asyncio.Task[None]] = set()

    def data_received(self, data: bytes) -> None:
        if not self._greeted:
            self._greeting += data
            if len(self._greeting) < KEY_BYTES:
                return
            given, data = self._greeting[:KEY_BYTES], self._greeting[KEY_BYTES:]
            if not hmac.compare_digest(given, self._key):
                log.warning("somebody without the key tried a lane")
                self._transport.abort()
                return
            self._greeted = True
        super().data_received(data)

    def frame(self, number: int, kind: int, body: bytes) -> None:
        method = self._methods.get(kind)
        if method is None or len(self._tasks) >= MAX_CALLS:
            self.write(number, _CRASH, b"no such method, or too many calls under way")
            return
        task = asyncio.ensure_future(self._answer(number, method, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, method: Method, body: bytes) -> None:
        try:
            verdict, said = _ANSWER, await method(body)
        except Exception as error:
            verdict = _VERDICTS.get(type(error), _CRASH)
            if verdict == _CRASH:
                log.warning("a call crashed: %r", error)
            said = (str(error) if verdict != _CRASH else repr(error)).encode()
        if not self._transport.is_closing():
            with contextlib.suppress(OSError):
                self.write(number, verdict, said)
