"""A running gateway over a backend in memory."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import pytest

from gateway import app as gateway_app
from gateway.config import Config
from gateway.http import EDGE
from tests.actors.houses import settings, small_plan
from tests.fakes.backend import FakeBackend
from tests.gateway.client import Socket

SESSION_KEY = b"k" * 32


class Running:
    """A served gateway, its backend, and an HTTP client for it."""

    def __init__(self, fake: FakeBackend, config: Config) -> None:
        self.fake = fake
        self.app = gateway_app.build(fake.backend, config)
        self.edge = self.app[EDGE]
        self.http: aiohttp.ClientSession
        self.server: gateway_app.Server
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        self.server = await gateway_app.serve(self.app, "127.0.0.1", 0)
        connector = aiohttp.TCPConnector(limit=0)  # as many sockets as a test wants
        self.http = aiohttp.ClientSession(self.url, connector=connector)

    async def stop(self) -> None:
        await self._stack.aclose()
        await self.http.close()
        await self.server.stop()
        await self.fake.close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def socket(self, token: str = "", **headers: str) -> Socket:
        """A connection that has said hello; without a token a new buyer's."""
        socket = await self.bare_socket(**headers)
        await socket.hello(token or self.buyer_token())
        return socket

    async def bare_socket(self, **headers: str) -> Socket:
        websocket = await self.http.ws_connect("/ws", headers=headers, max_msg_size=0)
        self._stack.push_async_callback(websocket.close)
        return Socket(websocket)

    def buyer_token(self) -> str:
        from gateway.session import now_ms

        return self.edge.buyers.new(now_ms())[0]

    async def json(
        self, method: str, path: str, body: Any = None, token: str = "", expect: int = 200
    ) -> Any:
        """The JSON of an answer with the expected status."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.http.request(method, path, json=body, headers=headers) as response:
            told = await response.json(content_type=None)
            assert response.status == expect, told
            if expect >= 400:
                assert response.content_type == "application/problem+json"
            return told


Start = Callable[..., Awaitable[Running]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Starts gateways; `start(idle_timeout_s=0.1)` changes the configuration."""
    running: list[Running] = []

    async def begin(**changes: Any) -> Running:
        fake = FakeBackend()
        values = {
            "session_key": SESSION_KEY,
            "ticket_key": fake.ticket_key,
            "retry_for_s": 1.0,
        } | changes
        gateway = Running(fake, Config(**values))
        running.append(gateway)
        await gateway.start()
        return gateway

    yield begin
    for gateway in running:
        await gateway.stop()


@pytest.fixture
async def gateway(start: Start) -> Running:
    """A gateway with one performance: number 1, rows A to H of 20 seats."""
    running = await start()
    assert running.fake.add_performance(small_plan(), settings()) == 1
    return running
