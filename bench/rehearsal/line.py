"""A bot's way to the server: one websocket that comes back, and HTTP that asks again.

Owns connections, repeats and their counting. A command is sent with the same id until
it is answered, over as many connections as it takes: what docs/protocol.md asks of
every client. Knows nothing of what is asked.
"""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Final
from urllib.parse import urlsplit

import aiohttp
import msgspec

from bench.client import Client, Frame, connect
from bench.rehearsal.history import Book

FIRST_PAUSE_S: Final = 0.1
MAX_PAUSE_S: Final = 2.0
"""Between two attempts to connect, or to have an HTTP request answered."""
CONNECT_TIMEOUT_S: Final = 10.0
HTTP_TIMEOUT_S: Final = 30.0
MAX_HTTP_CONNECTIONS: Final = 1_000

Hears = Callable[[Frame], None]


class _Socket(Client):
    def __init__(self, host: str, token: str, hears: Hears) -> None:
        super().__init__(host, token)
        self._hears = hears

    def answered(self, frame: Frame) -> None:
        self._hears(frame)

    def cut(self) -> None:
        """Gone without a word, as when a train enters a tunnel."""
        self._transport.abort()

    @property
    def usable(self) -> bool:
        return self.ready.done() and not self.over.done()


class Line:
    """One session's websocket, opened again whenever it is lost.

    `also` hears the frames that answer no command: feeds, rooms. `position` is where the
    seat feed stands, to resume from.
    """

    def __init__(
        self, url: str, token: str, performance: int, *, watch: bool, book: Book, chance: Random
    ) -> None:
        self._url = url
        self._token = token
        self._performance = performance
        self._watch = watch
        self._book = book
        self._chance = chance
        self._socket: _Socket | None = None
        self._asked: dict[bytes, tuple[Frame, asyncio.Future[list[Any]]]] = {}
        self._reopening: asyncio.Task[None] | None = None
        self._closed = False
        self.position = (0, 0)
        self.also: Hears = lambda frame: None
        self.opened: Callable[[], None] = lambda: None
        """Called after each connection, also the first."""

    async def open(self) -> None:
        """Returns when connected, however long it takes."""
        pause_s = FIRST_PAUSE_S
        while True:
            socket = _Socket(urlsplit(self._url).netloc, self._token, self._hear)
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await connect(socket, self._url)
                break
            except (OSError, TimeoutError, RuntimeError) as error:
                self._book.failed(f"connecting: {type(error).__name__}")
            await asyncio.sleep(pause_s * (0.5 + self._chance.random()))
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)
        self._socket = socket
        socket.over.add_done_callback(lambda _: self._lost(socket))
        if self._watch:
            socket.ask(["watch", self._performance, *self.position])
        self.opened()
        for frame, _ in list(self._asked.values()):
            self._book.repeats += 1
            socket.ask(frame)

    def close(self) -> None:
        self._closed = True
        if self._reopening is not None:
            self._reopening.cancel()
        for _, future in self._asked.values():
            future.cancel()
        if self._socket is not None and self._socket.usable:
            self._socket.finish()

    async def come_back(self) -> None:
        """Lose the connection and open another."""
        if self._socket is not None and self._socket.usable:
            self._socket.cut()
            await asyncio.wait((self._socket.over,))
        if self._reopening is not None:
            await asyncio.shield(self._reopening)

    def send(self, frame: Frame) -> None:
        """Say something that has no answer; lost with the connection."""
        if self._socket is not None and self._socket.usable:
            self._socket.ask(frame)

    async def ask(self, frame: Frame, *, twice: bool = False) -> list[Any]:
        """The outcome of a command, whose second element is its id; `twice` sends it twice."""
        future: asyncio.Future[list[Any]] = asyncio.get_running_loop().create_future()
        self._asked[frame[1]] = (frame, future)
        self._book.asked += 1
        for _ in range(2 if twice else 1):
            self.send(frame)
        try:
            return await future
        finally:
            self._asked.pop(frame[1], None)

    # What comes ------------------------------------------------------------------

    def _hear(self, frame: Frame) -> None:
        match frame[0]:
            case "reply":
                self._answer(frame[1], frame[2])
            case "shed":
                self._book.sheds[frame[2]] += 1
                asyncio.get_running_loop().call_later(frame[3] / 1_000, self._again, frame[1])
            case "error":
                self._book.failures[f"error frame: {frame[1]}"] += 1
                self._answer(frame[3] if len(frame) > 3 else b"", ["refused", frame[1], [], ""])
            case "snapshot":
                self.position = (frame[2], frame[3])
            case "delta":
                self.position = (frame[2], frame[4])
        self.also(frame)

    def _answer(self, id: bytes, outcome: list[Any]) -> None:
        _, future = self._asked.get(id, (None, None))
        if future is not None and not future.done():
            future.set_result(outcome)

    def _again(self, id: bytes) -> None:
        frame, _ = self._asked.get(id, (None, None))
        if frame is not None:
            self._book.repeats += 1
            self.send(frame)

    def _lost(self, socket: _Socket) -> None:
        if self._closed or socket is not self._socket:
            return
        self._reopening = asyncio.create_task(self.open())


class Http:
    """Requests of one crowd, asked again while the server is away or sheds them."""

    def __init__(self, url: str, book: Book) -> None:
        self._url = url
        self._book = book
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> "Http":
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=MAX_HTTP_CONNECTIONS),
            timeout=aiohttp.ClientTimeout(total=HTTP_TIMEOUT_S),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, Any]:
        """(status, JSON) of the first answer that decides: below 500, and not "too many".

        Safe to repeat by the ids in the body, or because nothing changes.
        """
        pause_s = FIRST_PAUSE_S
        self._book.asked += 1
        while True:
            try:
                status, found = await self.once(method, path, body, token)
                if status < 500 and status != 429:
                    return status, found
                if isinstance(found, dict) and found.get("code") in ("busy", "unavailable"):
                    self._book.sheds[found["code"]] += 1
                else:
                    self._book.failures[f"HTTP {status}"] += 1
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                self._book.failed(f"HTTP: {type(error).__name__}")
            self._book.repeats += 1
            await asyncio.sleep(pause_s)
            pause_s = min(MAX_PAUSE_S, 2 * pause_s)

    async def once(
        self, method: str, path: str, body: Any = None, token: str = ""
    ) -> tuple[int, Any]:
        """(status, JSON, or text where it is none). Raises aiohttp.ClientError, TimeoutError."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        data = None
        if body is not None:
            data = body if isinstance(body, bytes) else msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        async with self._session.request(
            method, self._url + path, data=data, headers=headers
        ) as answer:
            content = await answer.read()
            if "json" in answer.content_type:
                return answer.status, msgspec.json.decode(content)
            return answer.status, content
