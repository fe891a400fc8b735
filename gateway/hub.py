"""Everyone who is connected, and what they share: batcher, feeds, rooms, identities, audit.

Owns the upgrade of GET /ws (origin, room, hello) and the sweeps over open
connections: the idle, the expired and the revoked are closed. Owns the orderly
end too. Knows no frame after the hello: that is `gateway.socket`.
"""

import asyncio
import contextlib
from collections import Counter as Tally
from typing import Any

import msgspec
import structlog
from aiohttp import WSCloseCode, hdrs, web
from yarl import URL

from gateway import wire
from gateway.addresses import Addresses, Crowd
from gateway.arrival import Arrival, Upgrade, take_over
from gateway.audit import Auditor
from gateway.backend import Backend
from gateway.batcher import Batcher
from gateway.config import Config
from gateway.counter import Counter
from gateway.doors import Secrets
from gateway.limits import (
    BUYER_BURST_COMMANDS,
    BUYER_COMMANDS_PER_S,
    CROWD_LOG_S,
    MAX_SOCKETS,
    MAX_SOCKETS_PER_ADDRESS,
    SILENCE_TICK_S,
    STAFF_BURST_COMMANDS,
    STAFF_COMMANDS_PER_S,
    STOP_S,
)
from gateway.metrics import Metrics
from gateway.problems import Problem
from gateway.replica import Feeds, IsPublic
from gateway.rooms import Rooms
from gateway.session import Identities, Principal, now_ms
from gateway.shown import Shown
from gateway.socket import TAGS, Connection

log = structlog.get_logger("gateway.hub")

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
        addresses: Addresses,
        is_public: IsPublic,
        counter: Counter,
    ) -> None:
        self.metrics = metrics
        self.counter = counter
        self.secrets = secrets
        self.loop: asyncio.AbstractEventLoop
        self.batcher = Batcher(backend.performances, metrics, config.retry_for_s)
        self.feeds = Feeds(backend.performances, metrics, config.feed_linger_s, is_public)
        self.shown = Shown(is_public)
        self.rooms = Rooms(backend, self.batcher, self.feeds, metrics, config.session_key)
        self._addresses = addresses
        self._crowd = Crowd(MAX_SOCKETS_PER_ADDRESS)
        self._access = backend.access
        self._outages = backend.outages
        self._config = config
        self._identities = identities
        self._auditor = auditor
        self._connections: set[Connection] = set()
        self._clients: Tally[str] = Tally(buyer=0, device=0, operator=0)
        self._empty = asyncio.Event()
        self._arriving: dict[Arrival, asyncio.Task[None] | None] = {}
        """Who has not said who it is, and the look for whose token it is."""
        self.stopping = False
        self._crowd_told_s = 0.0
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
        await asyncio.gather(self.batcher.stop(STOP_S), self.counter.stop(STOP_S))
        await self.rooms.stop()
        await self.feeds.stop()
        await self.shown.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in self._connections:
            connection.close(WSCloseCode.GOING_AWAY, "server_stops")
        for arrival in list(self._arriving):
            arrival.close(WSCloseCode.GOING_AWAY, "server_stops")
        if self._connections or self._arriving:
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

    async def upgrade(self, request: web.Request) -> web.StreamResponse:
        """GET /ws: begin a websocket, which then lives without this request."""
        self._check_origin(request)
        if self.stopping:
            raise Problem("unavailable", "this gateway is stopping")
        if len(self._connections) + len(self._arriving) >= MAX_SOCKETS:
            raise Problem("busy", "too many connections", headers={hdrs.RETRY_AFTER: "5"})
        upgrade = Upgrade(request)
        address = self._addresses.key(self._addresses.of(request))
        if not self._crowd.enter(address):
            self._tell_of_a_crowd(address)
            raise Problem(
                "busy", "too many connections from this address", headers={hdrs.RETRY_AFTER: "5"}
            )
        transport = None
        try:
            await upgrade.prepare(request)
            transport = take_over(request)
        finally:
            if transport is None:
                self._crowd.leave(address)
        if transport is not None:
            within_s = self._config.hello_timeout_s
            arrival = Arrival(
                transport, self.loop, self.metrics, within_s, self._on_hello, self._left_early
            )
            arrival.address = address
            self._arriving[arrival] = None
        return upgrade

    def _tell_of_a_crowd(self, address: str) -> None:
        """Once in a while: this may be an attack, or a proxy that nobody told us of."""
        now_s = self.loop.time()
        if now_s >= self._crowd_told_s:
            self._crowd_told_s = now_s + CROWD_LOG_S
            log.warning("too many connections from one address", address=address)

    def _on_hello(self, arrival: Arrival, token: str) -> None:
        looking = self._look_up(arrival, token)
        self._arriving[arrival] = asyncio.create_task(looking, name="who is there")

    async def _look_up(self, arrival: Arrival, token: str) -> None:
        try:
            principal = await self._identities.identify(token, arrival.address)
        except Problem as problem:
            arrival.refuse("rate", problem.detail)
            return
        except self._outages:
            arrival.close(WSCloseCode.TRY_AGAIN_LATER, "unavailable")
            return
        except Exception:
            log.exception("nobody knows who is there")
            arrival.close(WSCloseCode.INTERNAL_ERROR, "internal")
            return
        if principal is None:
            arrival.refuse("unauthenticated", "the token is unknown, expired or revoked")
        elif not arrival.closing:
            self._serve(arrival, principal)
            if principal.kind == "device":
                with contextlib.suppress(*self._outages):
                    await self._access.device_seen(
                        principal.digest, now_ms=now_ms(), kept_scans=None
                    )

    def _serve(self, arrival: Arrival, principal: Principal) -> None:
        del self._arriving[arrival]
        connection = Connection(self, arrival.transport, principal)
        connection.address = arrival.address
        self._connections.add(connection)
        self._clients[principal.kind] += 1
        may = tuple(sorted(TAGS[kind] for kind in principal.frames))
        welcome = wire.Welcome(wire.PROTOCOL_VERSION, principal.who, may, now_ms())
        connection.out.send(_encode(welcome))
        arrival.hand_over(connection)

    def _left_early(self, arrival: Arrival) -> None:
        self._arriving.pop(arrival, None)
        self._crowd.leave(arrival.address)
        self._note_empty()

    def left(self, connection: Connection) -> None:
        """A connection is over."""
        self._connections.discard(connection)
        self._crowd.leave(connection.address)
        self._clients[connection.principal.kind] -= 1
        self.feeds.forget(connection)
        self.rooms.forget(connection)
        self._note_empty()

    def _note_empty(self) -> None:
        if not self._connections and not self._arriving:
            self._empty.set()

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
                elif now_s - connection.asked_s > idle_s and _may_not_rest(connection):
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


def _may_not_rest(connection: Connection) -> bool:
    """Whether a long silence ends it: not a till's or a scanner's, nor that of who waits a turn."""
    # They may rest for hours: the heartbeat says that they are there.
    return connection.principal.is_buyer and not connection.queues
