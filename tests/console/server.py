"""A running gateway over a backend in memory, a cashier who may use it, and faults on the way."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from engine.plan import Plan
from engine.settings import Settings
from gateway import app as gateway_app
from gateway.config import Config
from tests.console.houses import settings, theatre
from tests.fakes.backend import PASSWORD, FakeBackend

CASHIER = "marie"


class House:
    """A theatre on sale as performance 1, served on loopback."""

    def __init__(self, fake: FakeBackend, server: gateway_app.Server) -> None:
        self.fake = fake
        self._server = server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def password(self) -> str:
        return PASSWORD

    async def operator(self, name: str, *roles: str) -> str:
        return await self.fake.operator_token(name, *roles)


@asynccontextmanager
async def running_house(
    plan: Plan | None = None, rules: Settings | None = None, title: str = "Cyrano"
) -> AsyncIterator[House]:
    fake = FakeBackend()
    assert fake.add_performance(plan or theatre(), rules or settings(), title) == 1
    config = Config(session_key=b"k" * 32, ticket_key=fake.ticket_key, retry_for_s=1.0)
    server = await gateway_app.serve(gateway_app.build(fake.backend, config), "127.0.0.1", 0)
    house = House(fake, server)
    await house.operator(CASHIER, "admin", "cashier", "door", "refund")
    try:
        yield house
    finally:
        await server.stop()
        await fake.close()


class Tangle:
    """A TCP way to the server that can be cut, at a chosen moment, in a chosen direction."""

    def __init__(self, url: str) -> None:
        self._target = int(url.rsplit(":", 1)[1])
        self._server: asyncio.Server
        self._open: set[asyncio.StreamWriter] = set()
        self.accepting = True
        self.drop_answer_after: bytes | None = None
        """Once a request that contains this went through, its answer is lost."""
        self.drop_answer_to_scan = False
        """Once a websocket's first frame after its hello went through, its answer is lost."""
        self.websockets = 0

    async def __aenter__(self) -> "Tangle":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.cut()
        self._server.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection there is."""
        for writer in list(self._open):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.accepting:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        self._open |= {writer, far_writer}
        lossy = asyncio.Event()
        with contextlib.suppress(OSError):
            await asyncio.gather(
                self._copy(reader, far_writer, None, lossy),
                self._copy(far_reader, writer, lossy, lossy),
            )
        for end in (writer, far_writer):
            end.transport.abort()
        self._open -= {writer, far_writer}

    async def _copy(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        lost: asyncio.Event | None,
        lossy: asyncio.Event,
    ) -> None:
        chunks, websocket = 0, False
        while data := await reader.read(65536):
            if lost is None and chunks == 0 and data.startswith(b"GET /ws"):
                websocket = True
                self.websockets += 1
            # Chunks of a websocket: the request, the hello, the first frame after it.
            if websocket and chunks == 2 and self.drop_answer_to_scan:
                self.drop_answer_to_scan = False
                lossy.set()
            chunks += 1
            if lost is None and self.drop_answer_after and self.drop_answer_after in data:
                self.drop_answer_after = None
                lossy.set()
            if lost is not None and lost.is_set():
                # The request arrived and was served; its answer never comes.
                self.cut()
                return
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            with contextlib.suppress(OSError):
                writer.write_eof()
