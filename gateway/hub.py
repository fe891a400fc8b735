"""Everyone who is connected, and what they share: batcher, feeds, rooms, identities, audit.

Owns the upgrade of GET /ws (origin, room, hello) and the sweeps over open
connections: the idle, the expired and the revoked are closed. Owns the orderly
end too. Knows no frame after the hello: that is `gateway.socket`.
"""

import asyncio
import contextlib
from collections import Counter
from typing import Any

import msgspec
import structlog
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from yarl import URL

from engine.limits import MAX_FRAME_BYTES
from gateway import wire
from gateway.audit import Auditor
from gateway.backend import Backend
from gateway.batcher import Batcher
from gateway.config import Config
from gateway.doors import Secrets
from gateway.limits import (
    BUYER_BURST_COMMANDS,
    BUYER_COMMANDS_PER_S,
    CLOSE_S,
    MAX_SOCKETS,
    SILENCE_TICK_S,
    STAFF_BURST_COMMANDS,
    STAFF_COMMANDS_PER_S,
    STOP_S,
)
from gateway.metrics import Metrics
from gateway.outbound import Outbound
from gateway.problems import Problem
from gateway.replica import Feeds
from gateway.rooms import Rooms
from gateway.session import Identities, Principal, now_ms
from gateway.socket import TAGS, Connection

log = structlog.get_logger("gateway.hub")

_decode_hello = msgspec.msgpack.Decoder(wire.Hello).decode
_encode = msgspec.msgpack.Encoder().encode


class Hub:
    """The websocket side of one gateway. `start` and `stop` it inside its event loop."""

    def __init__(
        self,
        backend: Backend,
        config: Config,
        metrics: Metrics,
        identities: Identities,
        auditor: Auditor,
        secrets: Secrets,
    ) -> None:
        self.metrics = metrics
        self.secrets = secrets
        self.loop: asyncio.AbstractEventLoop
        self.batcher = Batcher(backend.performances, metrics, config.retry_for_s)
        self.feeds = Feeds(backend.performances, metrics, config.feed_linger_s)
        self.rooms = Rooms(backend, self.batcher, self.feeds, metrics, config.session_key)
        self._outages = backend.outages
        self._config = config
        self._identities = identities
        self._auditor = auditor
        self._connections: set[Connection] = set()
        self._clients: Counter[str] = Counter(buyer=0, device=0, operator=0)
        self._empty = asyncio.Event()
        self._arriving: set[web.WebSocketResponse] = set()
        self.stopping = False
        self._tasks: list[asyncio.Task[None]] = []
        metrics.gauges["strapontin_sockets"] = (
            "Open websocket connections",
            lambda: len(self._connections),
        )
        metrics.gauges_by["strapontin_clients"] = (
            "Open websocket connections by kind of client",
            "client",
            lambda: self._clients,
        )

    async def start(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self.rooms.start()
        self._tasks = [
            asyncio.create_task(self._close_silent(), name="close silent connections"),
            asyncio.create_task(self._close_revoked(), name="close revoked connections"),
        ]

    async def stop(self) -> None:
        """Let answers under way leave, then close every connection as "going away"."""
        self.stopping = True
        await self.batcher.stop(STOP_S)
        await self.rooms.stop()
        await self.feeds.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._connections:
            connection.close(WSCloseCode.GOING_AWAY, "server_stops")
        arriving = [one for one in self._arriving if one.prepared]
        await asyncio.gather(
            *(self._close(one, WSCloseCode.GOING_AWAY, "server_stops") for one in arriving)
        )
        if self._connections:
            self._empty.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._empty.wait(), STOP_S)

    def rate_of(self, principal: Principal) -> tuple[float, float]:
        """(frames a second, burst) for this kind of client."""
        if principal.is_buyer:
            per_s = self._config.buyer_commands_per_s
            return per_s, per_s * BUYER_BURST_COMMANDS / BUYER_COMMANDS_PER_S
        per_s = self._config.staff_commands_per_s
        return per_s, per_s * STAFF_BURST_COMMANDS / STAFF_COMMANDS_PER_S

    def audit(self, principal: Principal, act: str, subject: object, **detail: Any) -> None:
        self._auditor.note(principal, act, subject, **detail)

    def sign_out(self, digest: bytes) -> None:
        """Close the connections of a token that is good no longer."""
        for connection in list(self._connections):
            if connection.principal.digest == digest:
                self._sign_out(connection)

    async def check_tokens_now(self) -> None:
        """Somebody was revoked: do not wait for the next sweep. Raises `Backend.outages`."""
        self._identities.forget_all()
        await self._check_tokens()

    # A connection's beginning ------------------------------------------------------

    async def upgrade(self, request: web.Request) -> web.WebSocketResponse:
        """GET /ws: serve a websocket until it ends."""
        self._check_origin(request)
        if self.stopping:
            raise Problem("unavailable", "this gateway is stopping")
        if len(self._connections) + len(self._arriving) >= MAX_SOCKETS:
            raise Problem("busy", "too many connections", headers={hdrs.RETRY_AFTER: "5"})
        websocket = web.WebSocketResponse(
            timeout=CLOSE_S,
            autoclose=False,
            autoping=False,  # aiohttp's own heartbeat sets a timer for every frame received
            compress=False,
            max_msg_size=MAX_FRAME_BYTES,
        )
        if not websocket.can_prepare(request):
            raise Problem("bad_request", "this address speaks websocket only")
        self._arriving.add(websocket)
        try:
            await websocket.prepare(request)
            principal = await self._hello(websocket)
        finally:
            self._arriving.discard(websocket)
        if principal is not None and request.transport is not None:
            await self._serve(websocket, request.transport, principal)
        return websocket

    async def _serve(
        self, websocket: web.WebSocketResponse, transport: asyncio.Transport, principal: Principal
    ) -> None:
        connection = Connection(self, websocket, Outbound(transport, self.loop), principal)
        self._connections.add(connection)
        self._clients[principal.kind] += 1
        may = tuple(sorted(TAGS[kind] for kind in principal.frames))
        welcome = wire.Welcome(wire.PROTOCOL_VERSION, principal.who, may, now_ms())
        connection.out.send(_encode(welcome))
        try:
            if self.stopping:
                connection.close(WSCloseCode.GOING_AWAY, "server_stops")
            # In a task of its own: each frame then wakes one coroutine, not the whole stack of
            # middlewares above it.
            await asyncio.create_task(connection.run(), name="connection")
        except Exception:
            log.exception("connection failed")
            connection.out.end()
            await self._close(websocket, WSCloseCode.INTERNAL_ERROR, "internal")
        finally:
            connection.closing = True
            connection.out.end()
            self._connections.discard(connection)
            self._clients[principal.kind] -= 1
            if not self._connections:
                self._empty.set()
            self.feeds.forget(connection)
            self.rooms.forget(connection)

    async def _hello(self, websocket: web.WebSocketResponse) -> Principal | None:
        """Who is there; None after the connection was refused."""
        try:
            async with asyncio.timeout(self._config.hello_timeout_s):
                while (message := await websocket.receive()).type is WSMsgType.PING:
                    await websocket.pong(message.data)
        except TimeoutError:
            await self._refuse(websocket, "hello_missing", "no hello came in time")
            return None
        if message.type is WSMsgType.TEXT:
            await self._close(websocket, WSCloseCode.UNSUPPORTED_DATA, "binary_frames_only")
            return None
        if message.type is not WSMsgType.BINARY:
            return None
        try:
            hello = _decode_hello(message.data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            await self._refuse(websocket, "hello_missing", "the first frame is hello")
            return None
        try:
            principal = await self._identities.identify(hello.token)
        except self._outages:
            await self._close(websocket, WSCloseCode.TRY_AGAIN_LATER, "unavailable")
            return None
        if principal is None:
            detail = "the token is unknown, expired or revoked"
            await self._refuse(websocket, "unauthenticated", detail)
        return principal

    async def _refuse(self, websocket: web.WebSocketResponse, code: str, detail: str) -> None:
        self.metrics.frames_refused[code] += 1
        await websocket.send_bytes(_encode(wire.Error(code, detail)))
        await self._close(websocket, WSCloseCode.POLICY_VIOLATION, code)

    async def _close(self, websocket: web.WebSocketResponse, code: int, why: str) -> None:
        self.metrics.closed[why] += 1
        await websocket.close(code=code, message=why.encode())

    def _check_origin(self, request: web.Request) -> None:
        """A page of another site must not act with what its visitor's browser may reach."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or origin in self._config.origins:
            return
        try:
            own = URL(origin).authority == request.host
        except ValueError:
            own = False
        if not own:
            raise Problem("origin_not_allowed", f"pages of {origin[:200]} may not connect")

    # Sweeps --------------------------------------------------------------------------

    async def _close_silent(self) -> None:
        """Ping who is silent, drop who does not answer, and close buyers who only sit there."""
        beat_s, idle_s = self._config.heartbeat_s, self._config.idle_timeout_s
        while True:
            await asyncio.sleep(min(SILENCE_TICK_S, beat_s / 4, idle_s / 4))
            now_s = self.loop.time()
            for connection in list(self._connections):
                silent_s = now_s - connection.heard_s
                if silent_s > 1.5 * beat_s:
                    connection.cut_off("silent")
                elif connection.principal.is_buyer and now_s - connection.asked_s > idle_s:
                    # A scanner or a till may rest for hours; its heartbeat says it is there.
                    connection.close(WSCloseCode.POLICY_VIOLATION, "idle")
                elif silent_s > beat_s:
                    connection.ping()

    async def _close_revoked(self) -> None:
        while True:
            await asyncio.sleep(self._config.revocation_check_s)
            try:
                await self._check_tokens()
            except self._outages:
                # Without the database nobody can revoke either; commands fail by themselves.
                continue
            except Exception as error:
                log.exception("tokens not checked", why=str(error))

    async def _check_tokens(self) -> None:
        present = {connection.principal for connection in self._connections}
        gone = present - await self._identities.still_valid(present)
        for connection in list(self._connections):
            if connection.principal in gone:
                self._sign_out(connection)

    def _sign_out(self, connection: Connection) -> None:
        connection.error("unauthenticated", "the token has expired or was revoked")
        connection.close(WSCloseCode.POLICY_VIOLATION, "unauthenticated")
