"""`strapontin relay`: one machine at the venue that serves its doors when the internet is gone.

Owns the server of the local network: the scanner page, what the page asks for, and the websocket's
scan frames. What is said to a ticket is `console.alone`'s: passed on while the house answers, else
judged by one used list for all doors here, kept, and sent later. Knows no rule.

Devices show the tokens that the house gave them. Who was checked once while the house answered is
known here too, by the hash of the token, so that a device may come back while nobody answers; one
that the house has revoked is refused as soon as it can be asked.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from hashlib import sha256
from typing import Any, Final

import msgspec
from aiohttp import WSCloseCode, WSMsgType, hdrs, web
from msgspec import Struct
from msgspec.structs import replace
from yarl import URL

from console.alone import CannotTell, Desk
from console.client import Client, ClientError, Unreachable
from console.client import Problem as Refusal
from console.kept import CannotKeep, KeptScan, Memory
from console.link import NotServed
from console.scan import remembered
from engine.commands import Kept, Outcome, ScanMode
from engine.limits import MAX_FRAME_BYTES
from gateway import limits, wire
from gateway.addresses import Addresses
from gateway.http import add_safe_headers, number_in, query_number, read_json
from gateway.http_devices import Enrolment
from gateway.http_public import WORDS
from gateway.metrics import Metrics
from gateway.pages import Site
from gateway.problems import Problem, of_http_error
from gateway.serving import Listener
from renderers import i18n

MAX_DEVICES: Final = 500
"""Websockets of one relay."""
MAX_UNANSWERED: Final = 64
"""Scans of one device that wait for their answer."""
MAX_BODY_BYTES: Final = 64 * 1024
REVOCATION_CHECK_S: Final = 5.0
"""While the house answers, how often it is asked whether a device is still one."""
PATIENCE_S: Final = 1.5
"""Shorter than that of the devices: they hear from here before they go on alone themselves."""
_SCANNING: Final = frozenset({"device", "door", "supervisor", "admin"})
_MAY: Final = ("kept_scan", "ping", "scan", "undo_scan")

_decode = msgspec.msgpack.Decoder(wire.ClientFrame).decode
_encode = msgspec.msgpack.Encoder().encode
_Asked = tuple[Outcome, bool]


class Bearer(Struct, frozen=True):
    """Who shows a token, as the house said. Empty `performances`: any."""

    name: str
    roles: tuple[str, ...]
    gate: str
    performances: tuple[int, ...]

    def may_serve(self, performance: int) -> bool:
        return not self.performances or performance in self.performances


class Relay:
    """Serves `performances` to devices over `desk`. Make it, `start` it, `stop` it."""

    def __init__(
        self, client: Client, desk: Desk, memory: Memory, performances: tuple[int, ...]
    ) -> None:
        self._client = client
        self._desk = desk
        self._memory = memory
        self._performances = performances
        self._sockets: dict[web.WebSocketResponse, tuple[str, asyncio.Event]] = {}
        """Tokens, and what is set when the house knows them no more."""
        self._asked: dict[bytes, asyncio.Task[_Asked]] = {}
        self._runner: web.AppRunner | None = None
        self._checking: asyncio.Task[None] | None = None

    async def start(self, host: str, port: int, secure: ssl.SSLContext | None = None) -> int:
        """Serve; the real port. Raises OSError where the address is taken."""
        app = web.Application(middlewares=[_every_request])
        app.on_response_prepare.append(add_safe_headers)
        app.router.add_get("/ws", self._upgrade)
        app.router.add_get("/readyz", self._ready)
        app.router.add_post("/api/enrol", self._enrol)
        app.router.add_get("/api/messages/{language}", self._messages)
        app.router.add_get("/api/performances/{performance}/door-list", self._door_list)
        # Spelt out: what is passed on is asked with this relay's own token.
        for path in (
            "/api/house",
            "/api/performances",
            r"/api/performances/{performance:\d{1,9}}",
            "/api/plans/{plan:[0-9a-f]{64}}",
        ):
            app.router.add_get(path, self._pass_on)
        Site().add_to(app)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        # With the bounds of the house's own server: guests are on this network too.
        await Listener(self._runner, host, port, Addresses(), Metrics(), secure).start()
        self._checking = asyncio.create_task(self._check_tokens(), name="check tokens")
        real_port: int = self._runner.addresses[0][1]
        return real_port

    async def stop(self) -> None:
        if self._checking is not None:
            self._checking.cancel()
            await asyncio.gather(self._checking, return_exceptions=True)
        for socket in list(self._sockets):
            await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server_stops")
        if self._runner is not None:
            await self._runner.cleanup()

    # Who is there ------------------------------------------------------------------

    async def _identify(self, token: str) -> Bearer | None:
        """Whose token this is, by the house where it answers, else as it was known last."""
        key = f"bearer {sha256(token.encode()).hexdigest()}"
        if not token.startswith(("d.", "o.")):
            return None
        try:
            told = await self._client.as_another(token).ask(Bearer, "GET", "/api/me")
        except Refusal as problem:
            if problem.status != 401:
                return self._memory.note(key, Bearer)
            with contextlib.suppress(CannotKeep):
                self._memory.forget(key)
            return None
        except Unreachable:
            return self._memory.note(key, Bearer)
        with contextlib.suppress(CannotKeep):
            self._memory.write(key, told)
        return told if _SCANNING.intersection(told.roles) else None

    async def _bearer(self, request: web.Request) -> Bearer:
        scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        bearer = await self._identify(token.strip()) if scheme.lower() == "bearer" else None
        if bearer is None:
            raise Problem("unauthenticated", headers={"WWW-Authenticate": "Bearer"})
        return bearer

    async def _check_tokens(self) -> None:
        while True:
            await asyncio.sleep(REVOCATION_CHECK_S)
            for token, revoked in list(self._sockets.values()):
                if await self._identify(token) is None:
                    revoked.set()

    # HTTP ----------------------------------------------------------------------------

    async def _ready(self, request: web.Request) -> web.Response:
        """200 also while the house is away: this is what the relay is for."""
        upstream = "online" if self._desk.online else "away"
        return _json(msgspec.json.encode({"house": upstream, "kept": self._memory.kept_count}))

    async def _enrol(self, request: web.Request) -> web.Response:
        wanted = await read_json(request, Enrolment, MAX_BODY_BYTES)
        made = await self._client.as_another().enrol(wanted.token)
        await self._identify(made.token)  # from now on it is known here too
        return _json(msgspec.json.encode(made))

    async def _messages(self, request: web.Request) -> web.Response:
        language = i18n.match(request.match_info["language"])
        if language is None:
            raise Problem("not_found")
        return _json(msgspec.json.encode(i18n.export(language, *WORDS)))

    async def _pass_on(self, request: web.Request) -> web.Response:
        """What the house says, or said last."""
        path = request.path
        return _json(await remembered(self._memory, path, bytes, lambda: self._client.get(path)))

    async def _door_list(self, request: web.Request) -> web.Response:
        """All that is known here, what the doors of this relay let in included."""
        bearer = await self._bearer(request)
        performance = number_in(request, "performance")
        if not bearer.may_serve(performance):
            raise Problem("forbidden", f"this device does not serve performance {performance}")
        doors = self._desk.doors(performance)
        if doors is None:
            raise Problem("performance_unknown", f"this relay does not serve {performance}")
        first = query_number(request, "first", 1, least=1)
        told = doors.whole_list()
        told = replace(
            told,
            first=first,
            places=told.places[first - 1 :],
            sections=told.sections[first - 1 :],
        )
        return _json(await asyncio.to_thread(msgspec.json.encode, told))

    # The websocket ---------------------------------------------------------------------

    async def _upgrade(self, request: web.Request) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and URL(origin).authority != request.host:
            raise Problem("origin_not_allowed")
        if len(self._sockets) >= MAX_DEVICES:
            raise Problem("busy", "too many connections", headers={hdrs.RETRY_AFTER: "5"})
        socket = web.WebSocketResponse(
            heartbeat=limits.HEARTBEAT_S, compress=False, max_msg_size=MAX_FRAME_BYTES
        )
        await socket.prepare(request)
        bearer = await self._greet(socket)
        if bearer is None:
            return socket
        try:
            await self._converse(socket, bearer, self._sockets[socket][1])
        finally:
            # What was asked is decided all the same: the answer is kept under its id.
            self._sockets.pop(socket, None)
        return socket

    async def _converse(
        self, socket: web.WebSocketResponse, bearer: Bearer, revoked: asyncio.Event
    ) -> None:
        """Serve a device's frames until it leaves, or has to."""
        tasks: set[asyncio.Task[None]] = set()
        leaving = asyncio.create_task(revoked.wait())
        try:
            while True:
                receiving = asyncio.create_task(socket.receive())
                await asyncio.wait({receiving, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if leaving.done():
                    receiving.cancel()
                    await asyncio.gather(receiving, return_exceptions=True)
                    await _refuse(socket)
                    return
                message = receiving.result()
                if message.type is not WSMsgType.BINARY:
                    return
                if len(tasks) >= MAX_UNANSWERED:
                    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                task = asyncio.create_task(self._serve(socket, bearer, message.data))
                tasks.add(task)
                task.add_done_callback(tasks.discard)
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    async def _greet(self, socket: web.WebSocketResponse) -> Bearer | None:
        try:
            first = _decode(await asyncio.wait_for(socket.receive_bytes(), limits.HELLO_TIMEOUT_S))
        except (TimeoutError, TypeError, ValueError, msgspec.MsgspecError):
            first = None
        bearer = await self._identify(first.token) if isinstance(first, wire.Hello) else None
        if bearer is None or not isinstance(first, wire.Hello):
            await _refuse(socket)
            return None
        self._sockets[socket] = (first.token, asyncio.Event())
        welcome = wire.Welcome(wire.PROTOCOL_VERSION, bearer.name, _MAY, self._desk.now_ms())
        await socket.send_bytes(_encode(welcome))
        return bearer

    async def _serve(self, socket: web.WebSocketResponse, bearer: Bearer, data: bytes) -> None:
        try:
            frame = _decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            answer: Any = wire.Error("malformed", str(error))
        else:
            answer = await self._answer(bearer, frame)
        if not socket.closed:
            try:
                await socket.send_bytes(_encode(answer))
            except ConnectionError:
                pass  # The device asks again under the same id.

    async def _answer(self, bearer: Bearer, frame: wire.ClientFrame) -> wire.ServerFrame:
        if isinstance(frame, wire.Ping):
            return wire.Pong(frame.number, self._desk.now_ms())
        if not isinstance(frame, wire.AskScan | wire.AskKeptScan | wire.AskUndoScan):
            return wire.Error("forbidden", "a relay serves scans", getattr(frame, "id", b""))
        performance = frame.performance
        served = not self._performances or performance in self._performances
        if not served or not bearer.may_serve(performance):
            told = f"this device does not serve performance {performance} here"
            return wire.Error("forbidden", told, frame.id)
        is_special = isinstance(frame, wire.AskScan) and frame.reason
        if is_special or (not isinstance(frame, wire.AskUndoScan) and frame.mode is ScanMode.MARK):
            return wire.Error("forbidden", "ask the house itself", frame.id)
        try:
            outcome = await self._decided(frame, bearer.gate or frame.gate)
        except (CannotTell, CannotKeep):
            return wire.Shed(frame.id, "unavailable", limits.SHED_RETRY_MS)
        except NotServed as error:
            return wire.Error(error.code, error.detail, frame.id)
        return wire.Reply(frame.id, outcome)

    async def _decided(
        self, frame: wire.AskScan | wire.AskKeptScan | wire.AskUndoScan, gate: str
    ) -> Outcome:
        """Raises CannotTell, CannotKeep, NotServed."""
        if isinstance(frame, wire.AskKeptScan):
            return self._take_in(frame, gate)
        if isinstance(frame, wire.AskUndoScan):
            # What went on here while the house was away, it has not heard of: it alone takes back.
            return await self._desk.undo(replace(frame, gate=gate))
        outcome, _ = await self._present(frame, gate)
        return outcome

    async def _present(self, frame: wire.AskScan, gate: str) -> _Asked:
        """One decision for one id, however often and over whichever line it is asked at once."""
        asked = self._asked.get(frame.id)
        if asked is None:
            present = self._desk.present(
                frame.performance, frame.secret, gate, frame.mode, frame.id
            )
            asked = self._asked[frame.id] = asyncio.create_task(present)
            asked.add_done_callback(lambda _: self._asked.pop(frame.id, None))
        return await asyncio.shield(asked)

    def _take_in(self, frame: wire.AskKeptScan, gate: str) -> Kept:
        """A device was alone, without this relay too: keep what it says, to be sent on."""
        known = self._memory.scan_of(frame.id)
        if known is not None:
            return Kept(known.result, known.told.ticket, False, again=True)
        told, used_before = self._desk.look(
            frame.performance, frame.secret, gate, frame.mode, frame.scanned_ms
        )
        scan = KeptScan(
            frame.id, self._memory.next_sequence(), frame.performance, frame.secret, gate,
            frame.mode, frame.scanned_ms, frame.result, True, replace(told, result=frame.result),
        )  # fmt: skip
        self._desk.take_in(scan)
        conflict = used_before and frame.result == "ADMITTED" and told.result == "ALREADY_USED"
        return Kept(told.result, told.ticket, conflict)


async def _refuse(socket: web.WebSocketResponse) -> None:
    error = wire.Error("unauthenticated", "the token is unknown, expired or revoked")
    if not socket.closed:
        await socket.send_bytes(_encode(error))
    await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=b"unauthenticated")


def _json(body: bytes) -> web.Response:
    headers = {hdrs.CACHE_CONTROL: "no-store"}
    return web.Response(body=body, content_type="application/json", headers=headers)


@web.middleware
async def _every_request(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors in the form that the house's have."""
    try:
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except Refusal as refusal:
        return Problem(refusal.code, refusal.detail, status=refusal.status).response()
    except ClientError as error:
        return Problem("unavailable", str(error), headers={hdrs.RETRY_AFTER: "1"}).response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return of_http_error(error).response()
