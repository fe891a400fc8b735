"""One websocket connection: rights, rate, and the translation of frames into commands.

Owns the conversation with one client that said who it is. What it asks goes to
the batcher as an encoded engine command and comes back through `answer`;
colours come from the feeds. Nothing here waits for a decision: a client may
send many commands without waiting, and replies leave as they come. Knows
nothing of HTTP nor of bytes: the upgrade and the hello are `gateway.arrival`'s, the framing is
`gateway.inbound`'s.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec
from aiohttp import WSCloseCode

from engine.commands import (
    ID_BYTES,
    Basket,
    Block,
    Command,
    Hold,
    HoldBest,
    KeptScan,
    Refusal,
    Refused,
    Release,
    Scan,
    ScanMode,
    Unblock,
    UndoScan,
)
from gateway import wire
from gateway.batcher import answer_unknown
from gateway.inbound import Peer
from gateway.limits import (
    MAX_HOLDS_PER_SOCKET,
    MAX_MALFORMED_FRAMES,
    MAX_RATE_DEBT_COMMANDS,
    MAX_STALL_S,
    MAX_UNANSWERED_PER_SOCKET,
    MAX_WATCHES_PER_SOCKET,
    PAUSE_BYTES,
    SHED_RETRY_MS,
)
from gateway.metrics import FROM_FEED
from gateway.outbound import PING
from gateway.room import Room
from gateway.rooms import NOWHERE, Unheard
from gateway.session import OVERRIDE_ROLES, Principal, now_ms

if TYPE_CHECKING:
    from gateway.hub import Hub

_decode = msgspec.msgpack.Decoder(wire.ClientFrame).decode
_encode = msgspec.msgpack.Encoder().encode

_NOT_ADMITTED: Final = _encode(Refused(Refusal.NOT_ADMITTED))
_NO_HOLD: Final = (-1, b"")
_HOLDS: Final = frozenset({"held", "basket_is"})

TAGS: Final = {frame: str(frame.__struct_config__.tag) for frame in wire.ClientFrame.__args__}


class Connection(Peer):
    """A client that said who it is."""

    # Ten thousand of them watch an on-sale: what each one carries counts.
    __slots__ = (
        "_allowed",
        "_asked",
        "_burst",
        "_channel",
        "_engaged",
        "_holder",
        "_hub",
        "_malformed",
        "_per_s",
        "_refilled_s",
        "_stalled",
        "_tokens",
        "admissions",
        "asked_s",
        "followed",
        "heard_s",
        "principal",
        "queues",
        "watches",
    )

    def __init__(self, hub: Hub, transport: asyncio.Transport, principal: Principal) -> None:
        super().__init__(transport, hub.loop)
        transport.set_write_buffer_limits(high=PAUSE_BYTES)
        self.principal = principal
        self.watches: set[int] = set()
        self.followed: dict[tuple[int, bytes], None] = {}  # holds: (performance, token)
        self.queues: tuple[int, ...] = ()
        self.admissions = NOWHERE
        self.heard_s = hub.loop.time()  # anything at all
        self.asked_s = self.heard_s  # a frame of ours
        self._hub = hub
        self._stalled: asyncio.TimerHandle | None = None
        self._asked: dict[bytes, tuple[int, bytes]] = {}  # id -> (performance, hold token)
        self._malformed = 0
        self._per_s, self._burst = hub.rate_of(principal)
        self._tokens = self._burst
        self._refilled_s = self.heard_s
        self._engaged = False  # in the middle of a purchase, or staff
        self._holder = principal.holder
        self._channel = principal.channel
        self._allowed = principal.frames

    # The connection ------------------------------------------------------------

    def heard(self) -> None:
        self.heard_s = now_s = self._hub.loop.time()
        # A ping costs a pong.
        if self._spend(now_s) < -MAX_RATE_DEBT_COMMANDS:
            self.close(WSCloseCode.POLICY_VIOLATION, "rate")

    def ends(self, why: str) -> None:
        self._hub.metrics.closed[why] += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        self.resume_writing()
        self.out.end()
        self._hub.left(self)

    def pause_writing(self) -> None:
        """The peer asks more than it reads: it is not read from until it caught up."""
        if self._stalled is None and not self.closing:
            self.halt()
            self._stalled = self._hub.loop.call_later(MAX_STALL_S, self.cut_off, "does_not_read")

    def resume_writing(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None
            if not self.closing:
                self.go_on()

    def cut_off(self, why: str) -> None:
        """Drop a peer that a close frame would not reach."""
        self.closing = True
        self._hub.metrics.closed[why] += 1
        self.out.abort()

    def ping(self) -> None:
        """Ask a silent peer whether it is there."""
        self.out.send_framed(PING)

    # Frames --------------------------------------------------------------------

    def message(self, data: bytes) -> None:
        """Serve one frame: exactly one of an error, a shed, or its handler's doing."""
        self.heard_s = self.asked_s = now_s = self._hub.loop.time()
        try:
            frame = _decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            self._on_malformed(str(error), _id_in(data))
            return
        tokens = self._spend(now_s)
        kind = type(frame)
        if tokens < 0.0:
            self._over_rate(frame, -tokens)
        elif kind in self._allowed or kind is wire.Hello:
            _HANDLERS[kind](self, frame)
        else:
            self.error("forbidden", f"this token may not send {TAGS[kind]}", _id_of(frame))

    def _spend(self, now_s: float) -> float:
        """One frame's worth of the rate; what is left of it, a debt where it is negative."""
        refilled = self._tokens + (now_s - self._refilled_s) * self._per_s
        self._tokens = left = min(refilled, self._burst) - 1.0
        self._refilled_s = now_s
        return left

    def error(self, code: str, detail: str, id: bytes = b"") -> None:
        self._hub.metrics.frames_refused[code] += 1
        self.out.send(_encode(wire.Error(code, detail, id)))

    def _on_malformed(self, detail: str, id: bytes = b"") -> None:
        self.error("malformed", detail, id)
        self._malformed += 1
        if self._malformed >= MAX_MALFORMED_FRAMES:
            self.close(WSCloseCode.POLICY_VIOLATION, "malformed")

    def _over_rate(self, frame: wire.ClientFrame, debt: float) -> None:
        if debt > MAX_RATE_DEBT_COMMANDS:
            self.close(WSCloseCode.POLICY_VIOLATION, "rate")
            return
        id = _id_of(frame)
        if id:
            self.shed(id, "rate", int(1000 * debt / self._per_s) + 1)
        else:
            self.error("rate", f"more than {self._per_s:g} frames a second")

    # Receiver (see gateway.batcher) ----------------------------------------------

    def answer(self, id: bytes, kind: str, outcome: str, raw: msgspec.Raw | bytes) -> None:
        asked = self._asked.pop(id, None)
        if self.closing:
            return
        self.out.send(wire.reply_frame(id, raw))
        if outcome in _HOLDS and asked is not None:
            self._follow(asked)
            room = self._hub.rooms.gate(asked[0])
            if room is not None and outcome == "held" and self.principal.is_buyer:
                self._hub.rooms.note_held(asked[0], self, raw)

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None:
        self._asked.pop(id, None)
        self._hub.metrics.sheds[reason] += 1
        self.out.send(_encode(wire.Shed(id, reason, retry_ms)))

    def lost(self, performance: int, token: bytes) -> None:
        """A hold that this connection made or asked for has expired."""
        self.followed.pop((performance, token), None)
        self.out.send(_encode(wire.Lost(performance, token)))

    def _follow(self, hold: tuple[int, bytes]) -> None:
        followed = self.followed
        if hold not in followed:
            if len(followed) >= MAX_HOLDS_PER_SOCKET:
                oldest = next(iter(followed))
                del followed[oldest]
                self._hub.feeds.unfollow(self, *oldest)
            followed[hold] = None
            self._hub.feeds.follow(self, *hold)

    # One frame each --------------------------------------------------------------

    def _ask(self, kind: str, performance: int, command: Command, token: bytes = b"") -> None:
        if len(self._asked) >= MAX_UNANSWERED_PER_SOCKET:
            self.shed(command.id, "busy", SHED_RETRY_MS)
            return
        if not self._asked:
            self._engaged = bool(self.followed) or self._holder != self.principal.who
        self._asked[command.id] = (performance, token)
        encoded = _encode(command)
        if not self.principal.is_outsider:
            self._hub.batcher.offer(performance, self, command.id, kind, encoded, self._engaged)
            return
        offer = partial(self._offer, performance, command.id, kind, encoded, self._engaged)
        self._hub.shown.ask(performance, offer)

    def _offer(
        self,
        performance: int,
        id: bytes,
        kind: str,
        command: bytes,
        engaged: bool,
        public: bool | None,
    ) -> None:
        """Ask for an outsider, who learns of what is hidden what is learnt of what is not there."""
        if public:
            self._hub.batcher.offer(performance, self, id, kind, command, engaged)
        elif public is None:
            self.shed(id, "unavailable", SHED_RETRY_MS)
        else:
            answer_unknown(self, id, kind, performance)

    def _is_held_back(self, gate: Room | Unheard, kind: str, id: bytes) -> bool:
        """Whether a waiting room keeps this hold from being asked; then it is answered."""
        if not self.principal.is_buyer:
            return False
        if isinstance(gate, Unheard):
            self.shed(id, "unavailable", SHED_RETRY_MS)
            return True
        if self._hub.rooms.lets_hold(gate, self):
            return False
        self._hub.metrics.commands[kind, Refusal.NOT_ADMITTED.value] += 1
        self.out.send(wire.reply_frame(id, _NOT_ADMITTED))
        return True

    def _on_hello(self, frame: wire.Hello) -> None:
        self._on_malformed("hello comes once, as the first frame")

    def _on_ping(self, frame: wire.Ping) -> None:
        self.out.send(_encode(wire.Pong(frame.number, now_ms())))

    def _on_watch(self, frame: wire.Watch) -> None:
        if len(self.watches) >= MAX_WATCHES_PER_SOCKET and frame.performance not in self.watches:
            self.error("too_many_watches", f"{MAX_WATCHES_PER_SOCKET} at most")
        elif self._may_serve(frame.performance):
            feeds = self._hub.feeds
            outsider = self.principal.is_outsider
            feeds.watch(self, frame.performance, frame.epoch, frame.seq, outsider)

    def _on_unwatch(self, frame: wire.Unwatch) -> None:
        self._hub.feeds.unwatch(self, frame.performance)

    def _sells_in(self, frame: wire.AskHold | wire.AskBest | wire.AskBuy) -> bool:
        """Whether the channel of a frame is theirs; else it is answered."""
        if frame.channel is None or self.principal.may_sell_in(frame.channel):
            return True
        self.error("forbidden", f"{frame.channel} is not your channel", frame.id)
        return False

    def _on_hold(self, frame: wire.AskHold) -> None:
        if not self._sells_in(frame):
            return
        gate = self._hub.rooms.gate(frame.performance)
        if gate is not None and self._is_held_back(gate, "hold", frame.id):
            return
        seats = frame.seats
        sold = self._hub.feeds.sold_among(frame.performance, seats) if seats else ()
        if sold:
            # A seat is sold for good, or nearly: the answer of most holds of a sold-out
            # house costs no call.
            self._hub.metrics.commands["hold", FROM_FEED] += 1
            refused = _encode(Refused(Refusal.SEAT_TAKEN, sold))
            self.out.send(wire.reply_frame(frame.id, refused))
            return
        channel = frame.channel or self._channel
        hold = Hold(frame.id, frame.token, self._holder, channel, seats, frame.areas)
        self._ask("hold", frame.performance, hold, frame.token)

    def _on_best(self, frame: wire.AskBest) -> None:
        if not self._sells_in(frame):
            return
        gate = self._hub.rooms.gate(frame.performance)
        if gate is not None and self._is_held_back(gate, "best", frame.id):
            return
        best = HoldBest(
            frame.id,
            frame.token,
            self._holder,
            frame.channel or self._channel,
            frame.size,
            frame.categories,
            frame.sections,
            frame.area,
            frame.accessible,
            frame.max_amount,
        )
        self._ask("best", frame.performance, best, frame.token)

    def _on_release(self, frame: wire.AskRelease) -> None:
        release = Release(frame.id, frame.token, frame.seats, frame.areas)
        self._ask("release", frame.performance, release, frame.token)

    def _on_basket(self, frame: wire.AskBasket) -> None:
        self._ask("basket", frame.performance, Basket(frame.id, frame.token), frame.token)

    def _on_buy(self, frame: wire.AskBuy) -> None:
        if not self._sells_in(frame):
            return
        if len(self._asked) >= MAX_UNANSWERED_PER_SOCKET:
            self.shed(frame.id, "busy", SHED_RETRY_MS)
            return
        self._asked[frame.id] = _NO_HOLD
        self._hub.counter.sell(self, frame)

    def sold(self, answer: wire.Bought | wire.NotBought) -> None:
        """What became of a sale at once (see gateway.counter)."""
        self._asked.pop(answer.id, None)
        if not self.closing:
            self.out.send(_encode(answer))

    def _on_block(self, frame: wire.AskBlock) -> None:
        block = Block(frame.id, frame.seats, frame.areas, frame.reason)
        self._ask("block", frame.performance, block)
        self._hub.audit(self.principal, "block", frame.performance, reason=frame.reason)

    def _on_unblock(self, frame: wire.AskUnblock) -> None:
        self._ask("unblock", frame.performance, Unblock(frame.id, frame.seats, frame.areas))
        self._hub.audit(self.principal, "unblock", frame.performance)

    def _on_queue(self, frame: wire.AskQueue) -> None:
        if self._hub.feeds.is_hidden(frame.performance):
            self.error("performance_unknown", f"there is no performance {frame.performance}")
            return
        self._hub.rooms.enter(self, frame.performance, frame.admission)

    def _on_scan(self, frame: wire.AskScan) -> None:
        if not self._may_serve(frame.performance, frame.id):
            return
        if frame.mode is ScanMode.MARK:
            self.error(
                "forbidden", "a guest is marked by POST /api/performances/.../mark", frame.id
            )
            return
        if frame.reason and not self.principal.has(*OVERRIDE_ROLES):
            wanted = " or ".join(OVERRIDE_ROLES)
            self.error("forbidden", f"an override is for a {wanted}", frame.id)
            return
        performance, ticket, version = self._hub.secrets.claim(frame.secret)
        gate = self._gate(frame.gate)
        scan = Scan(
            frame.id,
            gate,
            self.principal.who,
            performance,
            ticket,
            version,
            frame.mode,
            frame.reason,
        )
        self._ask("scan", frame.performance, scan)
        if frame.reason:
            told = {"ticket": ticket, "gate": gate, "reason": frame.reason}
            self._hub.audit(self.principal, "override", frame.performance, **told)

    def _on_undo_scan(self, frame: wire.AskUndoScan) -> None:
        if not self._may_serve(frame.performance, frame.id):
            return
        gate, who = self._gate(frame.gate), self.principal.who
        anywhere = self.principal.has(*OVERRIDE_ROLES)
        undo = UndoScan(frame.id, frame.ticket, gate, who, anywhere)
        self._ask("undo_scan", frame.performance, undo)
        told = {"ticket": frame.ticket, "gate": gate}
        self._hub.audit(self.principal, "undo_scan", frame.performance, **told)

    def _on_kept_scan(self, frame: wire.AskKeptScan) -> None:
        if not self._may_serve(frame.performance, frame.id):
            return
        if frame.mode is ScanMode.MARK:
            self.error("forbidden", "guests are marked by number, over HTTP", frame.id)
            return
        performance, ticket, version = self._hub.secrets.claim(frame.secret)
        kept = KeptScan(
            frame.id,
            self._gate(frame.gate),
            self.principal.who,
            performance,
            ticket,
            version,
            frame.mode,
            frame.sequence,
            frame.scanned_ms,
            frame.result,
        )
        self._ask("kept_scan", frame.performance, kept)

    def _gate(self, said: str) -> str:
        """A device stands at its own gate, whatever it says."""
        return self.principal.gate or said

    def _may_serve(self, performance: int, id: bytes = b"") -> bool:
        if self.principal.may_serve(performance):
            return True
        self.error("forbidden", f"this device does not serve performance {performance}", id)
        return False


_HANDLERS: Final[dict[type, Callable[[Connection, Any], None]]] = {
    wire.Hello: Connection._on_hello,
    wire.Watch: Connection._on_watch,
    wire.Unwatch: Connection._on_unwatch,
    wire.AskHold: Connection._on_hold,
    wire.AskBest: Connection._on_best,
    wire.AskRelease: Connection._on_release,
    wire.AskBasket: Connection._on_basket,
    wire.AskBuy: Connection._on_buy,
    wire.AskBlock: Connection._on_block,
    wire.AskUnblock: Connection._on_unblock,
    wire.AskScan: Connection._on_scan,
    wire.AskUndoScan: Connection._on_undo_scan,
    wire.AskKeptScan: Connection._on_kept_scan,
    wire.AskQueue: Connection._on_queue,
    wire.Ping: Connection._on_ping,
}


def _id_of(frame: wire.ClientFrame) -> bytes:
    return getattr(frame, "id", b"")


def _id_in(data: bytes) -> bytes:
    """The id of a frame that is msgpack at least, so that its sender can match the error."""
    try:
        frame = msgspec.msgpack.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return b""
    if isinstance(frame, list) and len(frame) > 1:
        id = frame[1]
        if isinstance(id, bytes) and len(id) == ID_BYTES:
            return id
    return b""
