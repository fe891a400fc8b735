"""Nonsense on the websocket: answered or shown the door, never a crash, never a leak."""

import asyncio
import random
import secrets
from typing import Any

import aiohttp
import msgpack
import pytest

from gateway import socket as socket_module
from gateway.limits import MAX_MALFORMED_FRAMES
from tests.actors.houses import settings, small_plan
from tests.gateway.client import Closed, Socket, new_id, until
from tests.gateway.conftest import Running, Start

ALLOWED_CLOSES = {None, 1000, 1002, 1003, 1006, 1008, 1009}
TAGS = ["hello", "watch", "unwatch", "hold", "best", "release", "basket", "block", "unblock"]
TAGS += ["scan", "ping"]
HUGE = 2**63


@pytest.fixture
async def staffed(start: Start) -> Running:
    """A gateway with no rate to speak of, so that all nonsense is looked at."""
    running = await start(buyer_commands_per_s=1e6, staff_commands_per_s=1e6)
    running.fake.add_performance(small_plan(), settings())
    return running


def junk(dice: random.Random, depth: int = 0) -> Any:
    """Any msgpack value, leaning towards what the protocol nearly accepts."""
    kinds = 13 if depth < 3 else 9
    match dice.randrange(kinds):
        case 0:
            return dice.choice([0, 1, -1, 5, 159, 160, 2**31 - 1, 2**31, HUGE - 1, HUGE, -HUGE])
        case 1:
            return dice.randbytes(dice.choice([0, 1, 15, 16, 16, 16, 17, 300]))
        case 2:
            return "".join(dice.choices("aé\0\u2603😀'\"", k=dice.randrange(12)))
        case 3:
            return dice.choice([None, True, False])
        case 4:
            return dice.choice([0.5, float("nan"), float("inf"), -0.0])
        case 5:
            return dice.choice(TAGS)
        case 6:
            return "x" * dice.choice([100, 201, 5_000])
        case 7:
            return msgpack.ExtType(dice.randrange(128), dice.randbytes(4))
        case 8:
            return dice.randrange(200)
        case 9:
            return {str(key): junk(dice, depth + 1) for key in range(dice.randrange(3))}
        case _:
            return [junk(dice, depth + 1) for _ in range(dice.randrange(6))]


def almost(dice: random.Random) -> list[Any]:
    """A right frame with something wrong in it, or nothing."""
    id, token = dice.randbytes(16), dice.randbytes(16)
    seats = [dice.randrange(-2, 170) for _ in range(dice.randrange(6))]
    frame: list[Any] = dice.choice(
        [
            ["watch", 1, dice.randrange(3), dice.randrange(5)],
            ["unwatch", 1],
            ["hold", id, 1, token, seats, [[0, 1]] * dice.randrange(2)],
            ["best", id, 1, token, dice.randrange(-1, 120), [0], [0], dice.randrange(-1, 2)],
            ["release", id, 1, token, seats],
            ["basket", id, 1, token],
            ["block", id, 1, seats, [], "why"],
            ["unblock", id, 1, seats],
            ["scan", id, 1, "ST1" + "0" * 117, "gate", dice.choice(["admit", "look_up", "x"])],
            ["ping", 1],
        ]
    )
    for _ in range(dice.choice([0, 1, 1, 2])):
        place = dice.randrange(len(frame))
        match dice.randrange(3):
            case 0:
                frame[place] = junk(dice)
            case 1:
                del frame[place:]
                break
            case _:
                frame.insert(place, junk(dice))
    return frame


async def pelt(running: Running, token: str, payloads: list[bytes]) -> set[int | None]:
    """Send each payload, on a new connection whenever the last was closed; the close codes."""
    codes: set[int | None] = set()
    socket = await running.socket(token)
    for payload in payloads:
        try:
            await socket.websocket.send_bytes(payload)
            await socket.send("ping", 77)
            while (await socket.next("pong", "error"))[0] != "pong":
                pass
            socket.kept.clear()
        except (Closed, ConnectionResetError, aiohttp.ClientError) as end:
            codes.add(end.code if isinstance(end, Closed) else None)
            socket = await running.socket(token)
    return codes


async def is_well(running: Running, capsys: pytest.CaptureFixture[str]) -> None:
    """It serves, logged no exception, and kept nothing of who is gone."""
    buyer = await running.socket()
    held = await buyer.ask("best", 1, new_id(), 1)
    assert held[0] == "held" or held[:2] == ["refused", "none_left"], held
    shown = capsys.readouterr()
    assert "Traceback" not in shown.out + shown.err
    assert "batch failed" not in shown.out and "feed fails" not in shown.out


@pytest.mark.parametrize("seed", range(3))
async def test_frames_that_are_nearly_right(
    staffed: Running, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(seed)
    admin = await staffed.fake.operator_token("Ada", "admin")
    payloads = [msgpack.packb(almost(dice)) for _ in range(500)]
    assert await pelt(staffed, admin, payloads) <= ALLOWED_CLOSES
    await is_well(staffed, capsys)


@pytest.mark.parametrize("seed", range(2))
async def test_random_msgpack_and_random_bytes(
    staffed: Running, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(seed)
    payloads = [msgpack.packb(junk(dice)) for _ in range(150)]
    payloads += [dice.randbytes(dice.choice([0, 1, 5, 50, 1_000])) for _ in range(150)]
    payloads += [b"\x91" * 8_000, b"\xdd\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xc1"]
    codes = await pelt(staffed, staffed.buyer_token(), payloads)
    assert 1008 in codes and codes <= ALLOWED_CLOSES
    await is_well(staffed, capsys)


async def test_nonsense_instead_of_hello(
    staffed: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    dice = random.Random(0)
    for _ in range(60):
        socket = await staffed.bare_socket()
        await socket.websocket.send_bytes(
            dice.choice([dice.randbytes(20), msgpack.packb(junk(dice)), msgpack.packb(["hello"])])
        )
        assert await socket.closed() in ALLOWED_CLOSES
    await until(lambda: not staffed.edge.hub._arriving)
    await is_well(staffed, capsys)


async def test_broken_websocket_frames_end_their_connection_only(
    staffed: Running, capsys: pytest.CaptureFixture[str]
) -> None:
    """Reserved bits, unknown opcodes, unmasked frames, endless lengths, half a frame."""
    attacks = [
        b"\xf2\x81\x00\x00\x00\x00a",
        b"\x83\x81\x00\x00\x00\x00a",
        b"\x82\x05hello",
        b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"\x00" * 4,
        b"\x82\xfe\x40\x01\x00\x00\x00\x00" + bytes(16_385),
        b"\x89\xfe\x00\x7e\x00\x00\x00\x00" + bytes(126),
        b"\x80\x81\x00\x00\x00\x00a",
        b"\x82\x85\x00\x00",
        b"\x88\x81\x00\x00\x00\x00a",
        secrets.token_bytes(2_000),
    ]
    upgrade = (
        b"GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    hello = msgpack.packb(["hello", staffed.buyer_token()])
    masked = b"\x82" + bytes([0x80 | len(hello)]) + bytes(4) + hello
    assert len(hello) < 126
    for attack in attacks:
        for first in (attack, masked + attack):
            reader, writer = await asyncio.open_connection("127.0.0.1", staffed.server.port)
            writer.write(upgrade)
            assert b" 101 " in await reader.readline()
            writer.write(first)
            writer.write_eof()
            async with asyncio.timeout(10):
                await reader.read()
            writer.close()
    await is_well(staffed, capsys)


async def test_what_connections_leave_behind_is_nothing(staffed: Running) -> None:
    hub = staffed.edge.hub
    for _ in range(30):
        socket = await staffed.socket()
        await socket.send("watch", 1)
        await socket.next("snapshot")
        await socket.hold(1, 5)
        await socket.websocket.close()
    await until(lambda: not hub._connections and not hub._arriving)
    feed = hub.feeds._feeds[1]
    assert not feed.watchers and not feed.holds


async def test_the_id_of_a_malformed_frame_is_given_back_when_it_can_be_read() -> None:
    id = new_id()
    assert socket_module._id_in(msgpack.packb(["hold", id, "x"])) == id
    for data in (b"", b"\xc1", b"\x91" * 9_000, msgpack.packb({"a": 1}), msgpack.packb(["x", "y"])):
        assert socket_module._id_in(data) == b""
    assert MAX_MALFORMED_FRAMES > 1


async def test_the_test_itself_sees_a_crash(
    staffed: Running, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The positive control: a handler that raises is noticed by `is_well`."""

    def broken(performance: int, seats: tuple[int, ...]) -> tuple[int, ...]:
        raise RuntimeError("broken")

    monkeypatch.setattr(staffed.edge.hub.feeds, "sold_among", broken)
    socket: Socket = await staffed.socket()
    await socket.send("hold", new_id(), 1, new_id(), [5])
    assert await socket.closed() == 1011
    with pytest.raises(AssertionError):
        await is_well(staffed, capsys)
