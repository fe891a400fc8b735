"""Bytes into websocket frames, as a client may send them: whole, in pieces, in parts, or wrong."""

import asyncio
import random
import time
from collections.abc import Iterator
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from engine.limits import MAX_FRAME_BYTES
from gateway.inbound import Peer


class Transport:
    """The calls that a peer makes of its transport."""

    def __init__(self) -> None:
        self.written = b""
        self.reading = True
        self.closed = self.aborted = False
        self.protocol: Any = None

    def write(self, data: bytes) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed or self.aborted

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def set_protocol(self, protocol: Any) -> None:
        self.protocol = protocol

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = True


class Noting(Peer):
    """Writes down what it hears; halts after the message that is given."""

    __slots__ = ("ended", "halts_after", "messages", "sights")

    def __init__(self, transport: Any, halts_after: bytes = b"never") -> None:
        super().__init__(transport, asyncio.get_running_loop())
        self.messages: list[bytes] = []
        self.sights = 0
        self.ended: list[str] = []
        self.halts_after = halts_after

    def message(self, data: bytes) -> None:
        self.messages.append(data)
        if data == b"crash":
            raise RuntimeError("as asked")
        if data == self.halts_after:
            self.halt()

    def heard(self) -> None:
        self.sights += 1

    def ends(self, why: str) -> None:
        self.ended.append(why)


def frame(opcode: Opcode, data: bytes, fin: bool = True, mask: bool = True) -> bytes:
    """As another implementation writes it."""
    return Frame(opcode, data, fin).serialize(mask=mask)


def binary(data: bytes, fin: bool = True) -> bytes:
    return frame(Opcode.BINARY, data, fin)


def close_code(transport: Transport) -> int:
    """Of the close frame, which is the last thing written."""
    at = transport.written.rindex(b"\x88")
    return int.from_bytes(transport.written[at + 2 : at + 4])


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
async def peer(transport: Transport) -> Noting:
    return Noting(transport)


def pieces(data: bytes, dice: random.Random) -> Iterator[bytes]:
    at = 0
    while at < len(data):
        size = dice.choice((1, 1, 2, 5, 40, 1_000, 9_000))
        yield data[at : at + size]
        at += size


SIZES = (0, 1, 3, 4, 5, 125, 126, 127, 1_000, MAX_FRAME_BYTES)


@pytest.mark.parametrize("seed", range(20))
async def test_frames_come_out_as_they_went_in_wherever_the_bytes_are_cut(
    peer: Noting, transport: Transport, seed: int
) -> None:
    dice = random.Random(seed)
    sent, stream = [], b""
    for _ in range(30):
        data = dice.randbytes(dice.choice(SIZES))
        cut = dice.randrange(len(data) + 1)
        match dice.randrange(4):
            case 0 if len(data) + 3 < MAX_FRAME_BYTES:
                stream += binary(data[:cut], fin=False) + frame(Opcode.PING, b"now")
                stream += frame(Opcode.CONT, b"", fin=False) + frame(Opcode.CONT, data[cut:])
            case _:
                stream += binary(data)
        sent.append(data)
    for piece in pieces(stream, dice):
        peer.data_received(piece)
    await asyncio.sleep(0)
    assert peer.messages == sent
    assert not peer.ended
    assert transport.written == b"\x8a\x03now" * peer.sights


async def test_pings_are_answered_and_pongs_are_heard(peer: Noting, transport: Transport) -> None:
    peer.data_received(frame(Opcode.PING, b"there?") + frame(Opcode.PONG, b""))
    await asyncio.sleep(0)
    assert peer.sights == 2
    assert transport.written == b"\x8a\x06there?"


async def test_a_peer_that_says_goodbye_is_answered(peer: Noting, transport: Transport) -> None:
    peer.data_received(frame(Opcode.CLOSE, b"\x03\xe8bye") + binary(b"too late"))
    assert close_code(transport) == 1000
    assert transport.closed and peer.closing
    assert peer.messages == peer.ended == []


async def test_after_our_close_only_the_answer_to_it_counts(
    peer: Noting, transport: Transport
) -> None:
    peer.close(1008, "idle")
    peer.close(1011, "internal")
    peer.data_received(binary(b"more") + frame(Opcode.PING, b""))
    assert close_code(transport) == 1008
    assert not transport.closed and peer.messages == []
    peer.data_received(frame(Opcode.CLOSE, b"\x03\xf0"))
    assert transport.closed and peer.ended == ["idle"]
    assert transport.written.count(b"\x88") == 1


WRONG = {
    "not masked": (frame(Opcode.BINARY, b"x", mask=False), 1002),
    "reserved bits": (b"\xc2\x80abcd", 1002),
    "an opcode that is none": (b"\x83\x80abcd", 1002),
    "a control opcode that is none": (b"\x8b\x80abcd", 1002),
    "a control frame in parts": (b"\x09\x80abcd", 1002),
    "a large control frame": (b"\x89\xfe\x00\x7eabcd" + bytes(126), 1002),
    "a part of nothing": (frame(Opcode.CONT, b"x"), 1002),
    "a message inside another": (binary(b"a", fin=False) + binary(b"b"), 1002),
    "too large": (b"\x82\xff" + (MAX_FRAME_BYTES + 1).to_bytes(8) + b"abcd", 1009),
    "a size beyond all bounds": (b"\x82\xff" + b"\xff" * 8 + b"abcd", 1009),
    "too large in parts": (
        binary(bytes(MAX_FRAME_BYTES - 10), fin=False) + frame(Opcode.CONT, bytes(11)),
        1009,
    ),
    "too many empty parts": (
        binary(b"", fin=False) + frame(Opcode.CONT, b"", fin=False) * MAX_FRAME_BYTES,
        1009,
    ),
    "a text": (frame(Opcode.TEXT, "é".encode()), 1003),
    "a text in parts": (
        frame(Opcode.TEXT, b"a", fin=False) + frame(Opcode.CONT, b"b"),
        1003,
    ),
    "what makes us stumble": (binary(b"crash"), 1011),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_what_is_no_frame_of_ours_ends_the_connection(
    peer: Noting, transport: Transport, wrong: str
) -> None:
    stream, code = WRONG[wrong]
    peer.data_received(stream)
    peer.data_received(binary(b"and more"))
    assert close_code(transport) == code
    assert len(peer.ended) == 1
    assert peer.messages in ([], [b"crash"])


async def test_nothing_is_kept_of_what_comes_after_the_end(peer: Noting) -> None:
    peer.data_received(WRONG["not masked"][0])
    for _ in range(100):
        peer.data_received(bytes(65_536))
    assert peer._buffer == b""


async def test_a_halted_peer_reads_on_where_it_stopped(transport: Transport) -> None:
    peer = Noting(transport, halts_after=b"2")
    peer.data_received(binary(b"1") + binary(b"2") + binary(b"3") + binary(b"4")[:4])
    peer.data_received(binary(b"4")[:0])
    assert peer.messages == [b"1", b"2"] and not transport.reading
    peer.go_on()
    assert peer.messages == [b"1", b"2", b"3"] and transport.reading


async def test_another_reads_on_from_the_first_frame_that_was_not_served(
    transport: Transport,
) -> None:
    first, second = Noting(transport, halts_after=b"hello"), Noting(transport)
    last = binary(b"last")
    first.data_received(binary(b"hello") + binary(b"next") + last[:3])
    first.hand_over(second)
    assert transport.protocol is second
    second.data_received(last[3:])
    assert (first.messages, second.messages) == ([b"hello"], [b"next", b"last"])


async def test_many_parts_cost_no_more_than_their_number() -> None:
    """Sixteen times as many are not 256 times the work: 100 kB would keep everybody waiting."""
    seconds = []
    for parts in (MAX_FRAME_BYTES // 16, MAX_FRAME_BYTES - 1):
        data = b"\x02" + frame(Opcode.CONT, b"")[1:] + b"\x00\x80abcd" * (parts - 1)
        tries = []
        for _ in range(5):
            peer = Noting(Transport())
            begun_s = time.process_time()
            peer.data_received(data)
            tries.append(time.process_time() - begun_s)
            assert not peer.ended
        seconds.append(min(tries))
    assert seconds[1] < 64 * seconds[0]
