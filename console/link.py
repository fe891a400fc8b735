"""One websocket to the server that outlives its connections.

Owns connecting, the first frame, watching again after a loss, sending
unanswered commands again with the same id, and waiting when the server sheds
load. Knows neither widgets nor what a command means: frames in, outcomes out.

A command given to `ask` is answered exactly once, however often the
connection was lost in between: its id makes the server repeat its answer.
"""

import asyncio
import random
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Final

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from console.client import reason_of, server_address
from engine.commands import Outcome
from gateway.wire import (
    AskBasket,
    AskBest,
    AskBlock,
    AskHold,
    AskKeptScan,
    AskRelease,
    AskScan,
    AskUnblock,
    AskUndoScan,
    ClientFrame,
    Error,
    Hello,
    Lost,
    Reply,
    ServerFrame,
    Shed,
    Unwatch,
    Watch,
    Welcome,
)

Ask = (
    AskHold
    | AskBest
    | AskRelease
    | AskBasket
    | AskBlock
    | AskUnblock
    | AskScan
    | AskUndoScan
    | AskKeptScan
)

MAX_UNANSWERED: Final = 64
"""Commands of one console or scanner waiting for their answer."""
BACKOFF_S: Final = (0.1, 0.3, 0.7, 1.5, 3.0)
"""Waits between attempts to connect; the last one repeats, all with jitter."""
PING_S: Final = 5.0
"""A connection silent for twice as long is given up."""
OPEN_TIMEOUT_S: Final = 5.0
MAX_FEED_FRAME_BYTES: Final = 4 * 1024 * 1024

_FEED_HEADS: Final = (b"\xa8snapshot", b"\xa5delta")
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[ServerFrame] = msgspec.msgpack.Decoder(ServerFrame)


class LinkState(Enum):
    """OPEN is after the server's welcome; LOST tries again by itself; REFUSED does not."""

    CONNECTING = "connecting"
    OPEN = "open"
    LOST = "lost"
    REFUSED = "refused"


class TooManyUnanswered(Exception):
    """Over MAX_UNANSWERED: the caller should have waited for answers."""


class NotServed(Exception):
    """The server will not serve this command from this token; `code` as in docs/protocol.md."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail or code)
        self.code = code
        self.detail = detail


class Link:
    """A connection that is kept up by `run`, which ends only when refused or cancelled.

    Args:
        server: address, as `console.client.server_address` takes it.
        token: of an operator, a device or a session.
        on_feed: gets every seat feed frame, untouched, in order of arrival.
        on_lost: gets the performance and token of a hold that ended by itself.
        on_state: gets the new state and, for LOST and REFUSED, why.
        context: what verifies an https server; None: as the system does.
    """

    def __init__(
        self,
        server: str,
        token: str,
        language: str = "en",
        *,
        on_feed: Callable[[bytes], None] = lambda frame: None,
        on_lost: Callable[[int, bytes], None] = lambda performance, token: None,
        on_state: Callable[[LinkState, str], None] = lambda state, why: None,
        backoff_s: tuple[float, ...] = BACKOFF_S,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._address = server_address(server).replace("http", "ws", 1) + "/ws"
        self._hello = Hello(token, language)
        self._on_feed = on_feed
        self._on_lost = on_lost
        self._on_state = on_state
        self._backoff_s = backoff_s
        secure = self._address.startswith("wss:")
        self._context = (context or True) if secure else None
        self._watched: dict[int, Callable[[], tuple[int, int]]] = {}
        self._unanswered: dict[bytes, tuple[Ask, asyncio.Future[Outcome]]] = {}
        self._connection: ClientConnection | None = None
        self._outbox: asyncio.Queue[ClientFrame] = asyncio.Queue()
        self.state = LinkState.CONNECTING
        self.welcome: Welcome | None = None

    async def ask(self, frame: Ask) -> Outcome:
        """Send a command and wait for its answer, through any number of connections.

        Raises:
            TooManyUnanswered: over MAX_UNANSWERED.
            NotServed: not allowed to this token, or not understood.
        """
        if len(self._unanswered) >= MAX_UNANSWERED:
            raise TooManyUnanswered
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._unanswered[frame.id] = (frame, answer)
        self._send(frame)
        try:
            return await answer
        finally:
            del self._unanswered[frame.id]

    def watch(self, performance: int, position: Callable[[], tuple[int, int]]) -> None:
        """Ask for a seat feed, now and after every loss, from the (epoch, seq) `position` tells."""
        self._watched[performance] = position
        self._send(Watch(performance, *position()))

    def unwatch(self, performance: int) -> None:
        if self._watched.pop(performance, None) is not None:
            self._send(Unwatch(performance))

    @property
    def unanswered(self) -> int:
        return len(self._unanswered)

    async def run(self) -> None:
        """Keep the connection up until the server refuses the token or the task is cancelled."""
        attempt = 0
        while True:
            try:
                why = await self._one_connection()
            except (OSError, WebSocketException, EOFError) as error:
                why = _why(error)
            if self.state is LinkState.REFUSED:
                self._on_state(LinkState.REFUSED, why)
                return
            if self.state is LinkState.OPEN:
                attempt = 0
            self._set_state(LinkState.LOST, why)
            wait_s = self._backoff_s[min(attempt, len(self._backoff_s) - 1)]
            attempt += 1
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.5))

    async def _one_connection(self) -> str:
        """Serve one connection to its end; returns why it ended."""
        async with connect(
            self._address,
            compression=None,
            proxy=None,
            ssl=self._context,
            open_timeout=OPEN_TIMEOUT_S,
            ping_interval=PING_S,
            ping_timeout=PING_S,
            close_timeout=1,
            max_size=MAX_FEED_FRAME_BYTES,
        ) as connection:
            await connection.send(_encoder.encode(self._hello))
            first = _decoder.decode(await _binary(connection))
            if isinstance(first, Error):
                self.state = LinkState.REFUSED
                return first.code
            if not isinstance(first, Welcome):
                return "no welcome"
            self.welcome = first
            self._connection = connection
            self._outbox = asyncio.Queue()
            for performance, position in self._watched.items():
                self._send(Watch(performance, *position()))
            for frame, _ in list(self._unanswered.values()):
                self._send(frame)
            self._set_state(LinkState.OPEN, "")
            writer = asyncio.create_task(self._write(connection))
            try:
                async for message in connection:
                    if isinstance(message, bytes):
                        self._receive(message)
                return connection.close_reason or "closed"
            except ValueError as error:
                # A feed that does not fit: nothing on this connection can be trusted.
                return str(error)
            finally:
                self._connection = None
                writer.cancel()

    async def _write(self, connection: ClientConnection) -> None:
        try:
            while True:
                await connection.send(_encoder.encode(await self._outbox.get()))
        except WebSocketException:
            pass  # The reader sees the same loss and reports it.

    def _send(self, frame: ClientFrame) -> None:
        """Send now if there is a connection; `_one_connection` catches up otherwise."""
        if self._connection is not None:
            self._outbox.put_nowait(frame)

    def _receive(self, message: bytes) -> None:
        if message[1:].startswith(_FEED_HEADS):
            self._on_feed(message)
            return
        try:
            frame = _decoder.decode(message)
        except msgspec.DecodeError as error:
            self._not_understood(message, str(error))
            return
        match frame:
            case Reply(id=id, outcome=outcome):
                waiting = self._unanswered.get(id)
                if waiting is not None and not waiting[1].done():
                    waiting[1].set_result(outcome)
            case Shed(id=id, retry_ms=retry_ms):
                loop = asyncio.get_running_loop()
                loop.call_later(retry_ms / 1000, self._again, id)
            case Error(id=id, code=code, detail=detail) if id in self._unanswered:
                answer = self._unanswered[id][1]
                if not answer.done():
                    answer.set_exception(NotServed(code, detail))
            case Lost(performance=performance, token=token):
                self._on_lost(performance, token)
            case _:
                pass

    def _not_understood(self, message: bytes, why: str) -> None:
        """A frame of a newer server. Whoever waits for it is told; the rest is ignored."""
        try:
            frame = msgspec.msgpack.decode(message)
        except msgspec.DecodeError:
            return
        id = frame[1] if isinstance(frame, list) and len(frame) > 1 else None
        waiting = self._unanswered.get(id) if isinstance(id, bytes) else None
        if waiting is not None and not waiting[1].done():
            waiting[1].set_exception(NotServed("unexpected", why))

    def _again(self, id: bytes) -> None:
        waiting = self._unanswered.get(id)
        if waiting is not None and not waiting[1].done():
            self._send(waiting[0])

    def _set_state(self, state: LinkState, why: str) -> None:
        self.state = state
        self._on_state(state, why)


async def _binary(connection: ClientConnection) -> bytes:
    message = await asyncio.wait_for(connection.recv(), OPEN_TIMEOUT_S)
    if isinstance(message, str):
        raise EOFError("a text frame where a welcome was expected")
    return message


def _why(error: BaseException) -> str:
    if isinstance(error, InvalidStatus):
        return f"HTTP {error.response.status_code}"
    if isinstance(error, InvalidHandshake):
        return "not a websocket"
    return reason_of(error)
