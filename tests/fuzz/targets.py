"""Every decoder of the product, as something that takes bytes and must not break.

A target answers a word for what became of the input (which tells new behaviour from old), lets
the exceptions through that its decoder documents, and asserts what holds for all inputs. What it
raises beside those is a bug. Owns the targets and which exceptions are right; the seeds are in
tests/fuzz/corpus, made by `tests.fuzz.seeds`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from engine.actors.lane import KEY_BYTES, Method, _Answering
from engine.commands import Command, Event, Outcome
from engine.feed import Applied, Replica
from engine.journal import Page
from engine.layout_packed import PACKED_HEAD, pack_layout, unpack_layout
from engine.performance import Performance
from engine.plan_check import PlanError
from engine.plan_io import dump_plan, load_plan
from engine.settings import Settings
from engine.snapshot import SnapshotError, load_snapshot
from engine.waiting import News, Report, RoomEvent
from engine.waiting_room import RoomEventInvalid, rebuild
from gateway import openapi, wire
from gateway.admissions import AdmissionTokens
from gateway.doors import FORGED, Secrets
from gateway.inbound import Peer
from gateway.session import BuyerTokens
from renderers import secret
from renderers.codes import UnreadablePictureError, decode, is_picture
from tests.actors.houses import settings, small_plan

KEY: Final = bytes(range(32))
AT_MS: Final = 1_800_000_000_000
PLAN: Final = small_plan("ABC", 10)
SETTINGS: Final = settings()
_BAD_MESSAGE: Final = (msgspec.MsgspecError, ValueError, RecursionError)
"""What the edge catches around its decoders."""

_encode = msgspec.msgpack.encode


class Target(NamedTuple):
    """`right` are exceptions that its decoder documents."""

    run: Callable[[bytes], str]
    right: tuple[type[Exception], ...] = ()


# The edge ----------------------------------------------------------------------------------


_client_frame = msgspec.msgpack.Decoder(wire.ClientFrame)
_hello = msgspec.msgpack.Decoder(wire.Hello)


def client_frame(data: bytes) -> str:
    frame = _client_frame.decode(data)
    assert _client_frame.decode(_encode(frame)) == frame
    return type(frame).__name__


def hello(data: bytes) -> str:
    return str(len(_hello.decode(data).token) > 0)


class _Listener(Peer):
    """A connection that only listens."""

    def __init__(self) -> None:
        super().__init__(_Nowhere(), _Loop())  # type: ignore[arg-type]
        self.messages: list[bytes] = []
        self.ended: list[str] = []

    def message(self, data: bytes) -> None:
        self.messages.append(data)

    def ends(self, why: str) -> None:
        self.ended.append(why)


class _Nowhere:
    """A transport that takes everything."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False

    def write(self, data: bytes) -> None:
        assert len(data) < 1_000_000
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None: ...

    resume_reading = pause_reading


class _Loop:
    """A loop in which nothing is ever late."""

    def call_soon(self, call: Callable[..., Any], *arguments: Any) -> None: ...

    def call_later(self, _after_s: float, call: Callable[..., Any], *arguments: Any) -> None: ...


def websocket_bytes(data: bytes) -> str:
    """Frames out of bytes: the same, however the bytes come in pieces, and never too many kept."""
    whole, pieces = _Listener(), _Listener()
    whole.data_received(data)
    step = 1 + (len(data) % 7)
    for at in range(0, len(data), step):
        pieces.data_received(data[at : at + step])
    assert whole.messages == pieces.messages and whole.ended == pieces.ended
    assert len(whole._buffer) <= len(data)
    assert "internal" not in whole.ended, "an exception of ours"
    return f"{min(len(whole.messages), 3)} {whole.ended[:1]}"


def session_token(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    known = BuyerTokens(KEY).check(text, AT_MS)
    if known is not None:
        # Only what was given out is accepted, in any spelling that base64 reads.
        assert known.who in ("00" * 16, "ab" * 16)
    admission = AdmissionTokens(KEY).check(text, 1, KEY, "session", AT_MS)
    assert admission in (0, AT_MS + 1_000)
    return f"{known is not None} {admission > 0}"


_secrets = Secrets(KEY)
ISSUED: Final = frozenset((1, ticket, version) for ticket in range(1, 4) for version in range(2))


def ticket_secret(data: bytes) -> str:
    text = data.decode("utf-8", "surrogateescape")
    claim = _secrets.claim(text)
    assert claim == FORGED or tuple(claim) in ISSUED, claim
    try:
        secret.read_claim(text)
    except secret.ForgedSecret:
        return f"{claim == FORGED} shapeless"
    return f"{claim == FORGED}"


_BODIES: Final = {
    name: msgspec.json.Decoder(operation.body)
    for name, operation in openapi.OPERATIONS.items()
    if operation.body is not None
}


def json_body(data: bytes) -> str:
    """A body for every route that reads one."""
    took = []
    for name, decoder in _BODIES.items():
        try:
            decoder.decode(data)
        except _BAD_MESSAGE:
            continue
        took.append(name)
    return " ".join(took)


# The engine --------------------------------------------------------------------------------


_commands = msgspec.msgpack.Decoder(list[Command])
_outcomes = msgspec.msgpack.Decoder(list[Outcome])


def engine_commands(data: bytes) -> str:
    """Whatever is asked: an outcome, which can be sent, journalled and replayed to the same."""
    commands = _commands.decode(data)
    live = Performance(1, PLAN, SETTINGS)
    outcomes = [live.apply(command, AT_MS + 1_000 * at) for at, command in enumerate(commands)]
    assert _outcomes.decode(_encode(outcomes)) == outcomes
    events, changes, _ = live.take()
    assert all(0 <= change >> 2 < len(PLAN.seats) for change in changes)
    again = Performance(1, PLAN, SETTINGS)
    again.replay(msgspec.msgpack.decode(_encode(events), type=list[Event]))
    state = live.snapshot()
    assert again.snapshot() == state, "replayed to another state"
    assert Performance.restore(1, PLAN, state).snapshot() == state
    return " ".join(
        sorted({f"{type(one).__name__}{getattr(one, 'code', '')}" for one in outcomes})
    )[:200]


def feed_frame(data: bytes) -> str:
    replica = Replica(1, len(PLAN.seats), 1)
    try:
        applied = replica.apply(data)
    finally:
        assert len(replica.statuses) == len(PLAN.seats) and len(replica.areas) == 1
        assert max(replica.statuses) <= 3
    if applied in (Applied.SNAPSHOT, Applied.DELTA):
        assert all(0 <= seat < len(PLAN.seats) for seat in replica.changed)
    return applied.value


def packed_layout(data: bytes) -> str:
    layout = unpack_layout(PACKED_HEAD + data)
    assert layout is not None
    # As bytes: a coordinate may be "not a number", which equals nothing, itself included.
    packed = pack_layout(layout)
    again = unpack_layout(packed)
    assert again is not None and pack_layout(again) == packed
    return "layout"


def plan_file(data: bytes) -> str:
    """JSON of ours, of pretix, or CSV: read whole, or not at all."""
    plan = load_plan(data)
    assert load_plan(dump_plan(plan)) == plan
    return f"plan {bool(plan.areas)} {bool(plan.tables)} {len(plan.sections)}"


def snapshot(data: bytes) -> str:
    return str(load_snapshot(data).format)


_page = msgspec.msgpack.Decoder(Page)
_events = msgspec.msgpack.Decoder(list[Event])


def journal_page(data: bytes) -> str:
    """A page as screens read it."""
    page = _page.decode(data)
    events = [event for batch in page.batches for event in _events.decode(batch.events)]
    return f"{min(len(page.batches), 3)} {min(len(events), 20)}"


_room_parts = [msgspec.msgpack.Decoder(kind) for kind in (Report, News, list[RoomEvent])]


def room_news(data: bytes) -> str:
    found = []
    for decoder in _room_parts:
        try:
            value = decoder.decode(data)
        except _BAD_MESSAGE:
            continue
        found.append(type(value).__name__)
        if isinstance(value, list):
            try:
                rebuild(value)
            except RoomEventInvalid:
                found.append("invalid")
    return " ".join(found)


def performance_settings(data: bytes) -> str:
    return msgspec.json.decode(data, type=Settings).status.value


# Pictures and lanes ------------------------------------------------------------------------


def picture(data: bytes) -> str:
    """A logo, or a photograph of a ticket."""
    drawable = is_picture(data)
    found = decode(data)
    return f"{drawable} {len(found)}"


def lane_bytes(data: bytes) -> str:
    """What anybody may send to a lane's port: without the key nothing is served."""
    served: list[bytes] = []

    async def method(body: bytes) -> bytes:
        served.append(body)
        return body

    async def all_of_it() -> str:
        methods: dict[int, Method] = {0: method}
        knows, guesses = _Answering(methods, KEY), _Answering(methods, KEY[::-1])
        for lane in (guesses, knows):
            transport = _Nowhere()
            lane.connection_made(transport)  # type: ignore[arg-type]
            assert len(KEY) == KEY_BYTES
            for at in range(0, len(data), 1_000):
                if not transport.closed:
                    lane.data_received(data[at : at + 1_000])
            await asyncio.sleep(0)
            assert lane is knows or data.startswith(KEY[::-1]) or not served
        return f"{min(len(served), 3)}"

    return asyncio.run(all_of_it())


TARGETS: Final[dict[str, Target]] = {
    "client_frame": Target(client_frame, _BAD_MESSAGE),
    "hello": Target(hello, _BAD_MESSAGE),
    "websocket_bytes": Target(websocket_bytes),
    "session_token": Target(session_token),
    "ticket_secret": Target(ticket_secret),
    "json_body": Target(json_body),
    "engine_commands": Target(engine_commands, _BAD_MESSAGE),
    "feed_frame": Target(feed_frame, (ValueError,)),
    "packed_layout": Target(packed_layout, _BAD_MESSAGE),
    "plan_file": Target(plan_file, (PlanError,)),
    "snapshot": Target(snapshot, (SnapshotError,)),
    "journal_page": Target(journal_page, _BAD_MESSAGE),
    "room_news": Target(room_news),
    "performance_settings": Target(performance_settings, _BAD_MESSAGE),
    "picture": Target(picture, (UnreadablePictureError,)),
    "lane_bytes": Target(lane_bytes),
}
