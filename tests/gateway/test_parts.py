"""The small parts: problems, logs, caches, the sending half, the wire's short cuts."""

import asyncio
import io
import json

import msgspec
import pytest
import structlog

from engine.commands import Held, Outcome, Refusal, Refused, Rung, Scanned, ScanOutcome
from engine.masking import masked
from gateway import logs, outbound, wire
from gateway.cache import Kept
from gateway.limits import MAX_UNSENT_BYTES
from gateway.outbound import Outbound, framed
from gateway.problems import CODES, Problem, of_validation

encode = msgspec.msgpack.encode


# Problems ------------------------------------------------------------------------------


def test_a_problem_is_rfc_9457_with_a_stable_code() -> None:
    response = Problem("seat_taken", "A 12 is gone", status=409, seats=[12]).response()
    assert response.status == 409
    assert response.content_type == "application/problem+json"
    document = json.loads(response.body)
    assert document == {
        "type": "about:blank",
        "title": "The engine refused",
        "status": 409,
        "code": "seat_taken",
        "detail": "A 12 is gone",
        "seats": [12],
    }
    assert all(400 <= status < 600 and title for status, title in CODES.values())


def test_a_validation_error_names_the_field() -> None:
    class Shape(msgspec.Struct):
        lines: list[int]

    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.json.decode(b'{"lines": [1, "x"]}', type=Shape)
    problem = of_validation(wrong.value)
    assert problem.extra["field"] == "$.lines[1]"
    assert "Expected `int`" in problem.detail
    with pytest.raises(msgspec.ValidationError) as wrong:
        msgspec.json.decode(b"[]", type=Shape)
    assert of_validation(wrong.value).extra["field"] == "$"


# Logs ----------------------------------------------------------------------------------

SECRETS = {
    "buyer token": "b.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "operator token": "o.q1w2e3r4t5z6u7i8o9p0a-s_d",
    "device token": "d.q1w2e3r4t5z6u7i8o9p0a-s_d",
    "order id": "0123456789abcdef0123456789abcdef",
    "ticket secret": "ST1" + "0123456789ABCDEF" * 7,
    "e-mail": "ada@example.org",
}


@pytest.mark.parametrize("kind", SECRETS)
def test_nothing_that_opens_a_door_stays_in_a_log(kind: str) -> None:
    text = SECRETS[kind]
    shown = masked(f"request {text} failed")
    assert text not in shown and shown.startswith("request ") and shown.endswith(" failed")
    assert len(shown) < len(text) + 20


def test_a_log_line_is_json_and_masked_even_in_exceptions() -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    try:
        logs.configure(as_json=True, stream=stream)
        log = structlog.get_logger("test")
        log.info("login", name="Ada", password="correct horse", token="x", count=3)
        try:
            raise ValueError(SECRETS["order id"])
        except ValueError:
            log.exception("failed", path="/o/" + SECRETS["order id"])
    finally:
        structlog.configure(**before)
    first, second = stream.getvalue().splitlines()
    told = json.loads(first)
    assert (told["event"], told["name"], told["count"]) == ("login", "Ada", 3)
    assert "correct horse" not in first
    assert SECRETS["order id"] not in second and "ValueError" in second


def test_people_read_key_value() -> None:
    stream = io.StringIO()
    before = structlog.get_config()
    try:
        logs.configure(as_json=False, stream=stream)
        structlog.get_logger("test").info("serving", port=8000)
    finally:
        structlog.configure(**before)
    assert "event='serving' port=8000" in stream.getvalue()


# Caches --------------------------------------------------------------------------------


async def test_an_answer_is_asked_for_once_however_many_want_it() -> None:
    kept: Kept[str, int] = Kept(10, 0.05)
    asked = 0

    async def load() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0.01)
        return asked

    assert await asyncio.gather(*(kept.get("a", load) for _ in range(50))) == [1] * 50
    assert await kept.get("a", load) == 1
    await asyncio.sleep(0.06)
    assert await kept.get("a", load) == 2
    kept.drop("a")
    assert await kept.get("a", load) == 3


async def test_failures_are_not_kept_and_one_who_leaves_does_not_spoil_it() -> None:
    kept: Kept[str, int] = Kept(10, 60.0)
    release = asyncio.Event()

    async def fail() -> int:
        raise LookupError

    async def wait() -> int:
        await release.wait()
        return 7

    with pytest.raises(LookupError):
        await kept.get("a", fail)
    leaver = asyncio.create_task(kept.get("a", wait))
    stayer = asyncio.create_task(kept.get("a", wait))
    await asyncio.sleep(0)
    leaver.cancel()
    await asyncio.sleep(0)
    release.set()
    assert await stayer == 7


async def test_the_number_kept_is_bounded() -> None:
    kept: Kept[int, int] = Kept(3, 60.0)

    async def load() -> int:
        return 1

    for key in range(10):
        await kept.get(key, load)
    assert len(kept._kept) == 3


# The sending half ------------------------------------------------------------------------


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.unsent = 0
        self.closing = self.aborted = False

    def write(self, data: bytes) -> None:
        self.writes.append(data)

    def get_write_buffer_size(self) -> int:
        return self.unsent

    def is_closing(self) -> bool:
        return self.closing

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.closing = True


async def test_what_is_sent_in_one_turn_is_one_write() -> None:
    transport = Transport()
    out = Outbound(transport, asyncio.get_running_loop())
    for number in range(3):
        out.send(bytes([number]))
    assert transport.writes == []
    await asyncio.sleep(0)
    assert transport.writes == [b"\x82\x01\x00\x82\x01\x01\x82\x01\x02"]
    out.send(b"x")
    await asyncio.sleep(0)
    assert len(transport.writes) == 2


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 100_000])
def test_frames_are_headed_as_rfc_6455_says(size: int) -> None:
    frame = framed(bytes(size))
    assert frame[0] == 0x82
    short = frame[1]
    assert not short & 0x80, "a server does not mask"
    if size < 126:
        assert (short, len(frame)) == (size, size + 2)
    elif size < 65_536:
        assert (short, int.from_bytes(frame[2:4], "big"), len(frame)) == (126, size, size + 4)
    else:
        assert (short, int.from_bytes(frame[2:10], "big"), len(frame)) == (127, size, size + 10)


async def test_a_closed_sender_flushes_first_and_then_sends_nothing() -> None:
    transport = Transport()
    out = Outbound(transport, asyncio.get_running_loop())
    out.send(b"a")
    out.end()
    out.send(b"b")
    await asyncio.sleep(0)
    assert transport.writes == [framed(b"a")]


def test_a_close_frame_carries_its_code_and_reason() -> None:
    assert outbound.close_frame(1001, "server_stops") == b"\x88\x0e\x03\xe9server_stops"


async def test_a_closing_transport_is_not_written_to() -> None:
    transport = Transport()
    out = Outbound(transport, asyncio.get_running_loop())
    out.send(b"a")
    transport.closing = True
    await asyncio.sleep(0)
    assert transport.writes == []


async def test_a_peer_too_far_behind_is_dropped() -> None:
    transport = Transport()
    out = Outbound(transport, asyncio.get_running_loop())
    transport.unsent = MAX_UNSENT_BYTES + 1
    out.send(b"a")
    await asyncio.sleep(0)
    assert transport.aborted
    assert outbound.PING == b"\x89\x00"


# The wire's short cuts ---------------------------------------------------------------------

OUTCOMES: list[tuple[Outcome, str]] = [
    (Held(b"t" * 16, (1, 2), ((0, 3),), 1_800_000_000_000, Rung.ADJACENT), "held"),
    (Held(b"t" * 16, tuple(range(100)), (), 1), "held"),
    *((Refused(code, (1,), "x" * 300), code.value) for code in Refusal),
    *((Scanned(result, 5, 6), result.value) for result in ScanOutcome),
]


@pytest.mark.parametrize(("outcome", "name"), OUTCOMES)
def test_an_outcome_is_named_without_decoding_it(outcome: Outcome, name: str) -> None:
    raw = msgspec.msgpack.decode(encode([outcome]), type=list[msgspec.Raw])[0]
    assert wire.outcome_name(raw) == name
    assert wire.outcome_name(encode(outcome)) == name
    id = bytes(range(16))
    assert wire.reply_frame(id, raw) == encode(wire.Reply(id, outcome))
