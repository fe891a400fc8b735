"""The HTTP server below the application: how many connections there are, and how long they dawdle.

Owns what aiohttp does not bound by itself: the connections of all and of one address, and a
peer that asks and does not read; and the answer to what is no request at all. (A request whose
head does not come ends after KEEPALIVE_S, by aiohttp; one whose body does not come, after
BODY_TIMEOUT_S, by `gateway.http`.) A connection that becomes a websocket is counted by
`gateway.hub` from then on. Knows no route.
"""

import asyncio
import ssl
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from gateway.addresses import Addresses, Crowd
from gateway.http import make_safe
from gateway.limits import (
    KEEPALIVE_S,
    MAX_HTTP_CONNECTIONS,
    MAX_HTTP_CONNECTIONS_PER_ADDRESS,
    MAX_STALL_S,
)
from gateway.metrics import Metrics
from gateway.problems import Problem

log = structlog.get_logger("gateway.serving")


class Listener(web.BaseSite):
    """One listening address; its connections are `_Client`s."""

    __slots__ = ("_crowd", "_secure", "_where", "addresses", "manager", "metrics")

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        addresses: Addresses,
        metrics: Metrics,
        secure: ssl.SSLContext | None = None,
    ) -> None:
        super().__init__(runner, backlog=1024)
        self.addresses = addresses
        self.metrics = metrics
        self.manager = cast("web.Server", runner.server)
        self._crowd = Crowd(MAX_HTTP_CONNECTIONS_PER_ADDRESS)
        self._where = (host, port)
        self._secure = secure

    @property
    def name(self) -> str:
        host, port = self._where
        return f"http://{host}:{port}"

    async def start(self) -> None:
        await super().start()
        loop = asyncio.get_running_loop()
        host, port = self._where
        self._server = await loop.create_server(
            lambda: _Client(self, loop), host, port, backlog=self._backlog, ssl=self._secure
        )

    def admits(self, key: str) -> bool:
        """Whether there is room for one more; then it is counted."""
        return len(self.manager.connections) < MAX_HTTP_CONNECTIONS and self._crowd.enter(key)

    def left(self, key: str) -> None:
        self._crowd.leave(key)


class _Client(RequestHandler):
    """One HTTP connection."""

    __slots__ = ("_key", "_listener", "_stalled")

    def __init__(self, listener: Listener, loop: asyncio.AbstractEventLoop) -> None:
        options: dict[str, Any] = {
            "access_log": None,  # gateway.http logs requests, by route and not by path
            "keepalive_timeout": KEEPALIVE_S,
            # Nobody needs to send us compressed bodies; a bomb is a few bytes of them.
            "auto_decompress": False,
        }
        super().__init__(listener.manager, loop=loop, **options)
        self._listener = listener
        self._key: str | None = None
        self._stalled: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        listener = self._listener
        peer = transport.get_extra_info("peername")
        key = listener.addresses.key(peer[0] if isinstance(peer, tuple) else "")
        if not listener.admits(key):
            listener.metrics.closed["too_many_connections"] += 1
            cast("asyncio.Transport", transport).abort()
            return
        self._key = key
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._key is not None:
            self._listener.left(self._key)
            self._key = None
        self._no_longer_stalled()
        super().connection_lost(exc)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no request to aiohttp is answered as every other fault: without an echo of it.

        One line in the log, or a stranger's nonsense would fill it with tracebacks.
        """
        if status >= 500:
            log.error("not answered", exc_info=exc)
        else:
            log.info("no request", why=type(exc).__name__, address=request.remote)
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer has left: there cannot be another")
        response = Problem("internal" if status >= 500 else "bad_request").response()
        make_safe(response)
        response.force_close()
        return response

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stalled = self._loop.call_later(MAX_STALL_S, self._cut_off)

    def resume_writing(self) -> None:
        self._no_longer_stalled()
        super().resume_writing()

    def _no_longer_stalled(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def _cut_off(self) -> None:
        """The peer does not read its answer; closing would wait for it to."""
        self._stalled = None
        if self.transport is not None:
            self._listener.metrics.closed["does_not_read"] += 1
            self.transport.abort()
