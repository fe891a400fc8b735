"""A lane between two ends in one loop: answers, faults, and what breaks it."""

import asyncio
import os
import struct
from collections.abc import AsyncIterator

import pytest

from engine.actors import NotReady, OutcomeUnknown, Stopped, lane
from engine.actors.lane import Address, CallCrashed, Lane, LaneBroken, LaneServer

ECHO, FAIL, WAIT = 1, 2, 3
FAULTS = {b"stopped": Stopped, b"unknown": OutcomeUnknown, b"not ready": NotReady}


class Ends:
    """A server whose WAIT calls are answered when `gate` opens, and what it was asked."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.begun: list[bytes] = []
        self.server = LaneServer(
            "127.0.0.1", {ECHO: self._echo, FAIL: self._fail, WAIT: self._wait}
        )

    async def _echo(self, body: bytes) -> bytes:
        self.begun.append(body)
        return body

    async def _fail(self, body: bytes) -> bytes:
        raise FAULTS.get(body, ZeroDivisionError)(body.decode())

    async def _wait(self, body: bytes) -> bytes:
        self.begun.append(body)
        await self.gate.wait()
        return body


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    both = Ends()
    yield both
    await both.server.close()


@pytest.fixture
async def asking(ends: Ends) -> AsyncIterator[Lane]:
    opened = await Lane.open(await ends.server.address())
    yield opened
    opened.close()
    await asyncio.sleep(0.01)  # the answering end sees it


@pytest.mark.parametrize("size", [0, 1, 8, 9, 65_536, 3_000_000])
async def test_what_is_sent_arrives(asking: Lane, size: int) -> None:
    body = os.urandom(size)
    assert await asking.call(ECHO, body) == body


async def test_calls_begin_in_order_and_are_answered_in_any(asking: Lane, ends: Ends) -> None:
    slow = [asyncio.ensure_future(asking.call(WAIT, bytes([one]))) for one in range(50)]
    await asyncio.sleep(0)  # a call begins when its task does
    assert await asking.call(ECHO, b"quick") == b"quick"
    assert ends.begun == [bytes([one]) for one in range(50)] + [b"quick"]
    ends.gate.set()
    assert await asyncio.gather(*slow) == ends.begun[:50]


@pytest.mark.parametrize(("said", "fault"), FAULTS.items())
async def test_a_fault_crosses_as_itself(asking: Lane, said: bytes, fault: type) -> None:
    with pytest.raises(fault, match=said.decode()) as raised:
        await asking.call(FAIL, said)
    assert type(raised.value) is fault
    assert await asking.call(ECHO, b"on") == b"on"


async def test_a_bug_crosses_with_its_own_words(asking: Lane) -> None:
    with pytest.raises(CallCrashed, match=r"ZeroDivisionError\('surprise'\)"):
        await asking.call(FAIL, b"surprise")
    with pytest.raises(CallCrashed, match="no such method"):
        await asking.call(99, b"")


async def test_a_caller_that_gives_up_leaves_the_lane_usable(asking: Lane, ends: Ends) -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await asking.call(WAIT, b"late")
    ends.gate.set()
    assert await asking.call(ECHO, b"next") == b"next"


async def test_a_closed_lane_fails_what_is_under_way_and_what_comes(
    asking: Lane, ends: Ends
) -> None:
    under_way = asyncio.ensure_future(asking.call(WAIT, b"never"))
    await asyncio.sleep(0)
    assert await asking.call(ECHO, b"after it") == b"after it"
    asking.close()
    with pytest.raises(LaneBroken):
        await under_way
    assert ends.begun == [b"never", b"after it"]
    assert asking.broken
    with pytest.raises(LaneBroken):
        await asking.call(ECHO, b"")


async def _hangs_up_on(address: Address, data: bytes) -> bool:
    """Does the server end a connection that begins so, without an answer?"""
    reader, writer = await asyncio.open_connection(address.host, address.port)
    writer.write(data)
    try:
        async with asyncio.timeout(5):
            return await reader.read(100) == b""
    except ConnectionResetError:
        return True
    finally:
        writer.close()


async def test_without_the_key_nothing_is_answered(ends: Ends) -> None:
    address = await ends.server.address()
    stranger = await Lane.open(address._replace(key=os.urandom(32)))
    with pytest.raises(LaneBroken):
        await stranger.call(ECHO, b"let me in")
    assert ends.begun == []
    for _ in range(20):
        assert await _hangs_up_on(address, os.urandom(64))


async def test_a_frame_over_the_bound_ends_the_lane(
    ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "MAX_BODY_BYTES", 100)
    address = await ends.server.address()
    head = struct.pack("!IIB", 101, 0, ECHO)
    assert await _hangs_up_on(address, address.key + head)


async def test_calls_over_the_bound_are_not_taken(
    asking: Lane, ends: Ends, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "MAX_CALLS", 2)
    waiting = [asyncio.ensure_future(asking.call(WAIT, b"")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(NotReady):
        await asking.call(ECHO, b"")
    ends.gate.set()
    await asyncio.gather(*waiting)


async def test_nobody_there_is_a_broken_lane(ends: Ends) -> None:
    address = await ends.server.address()
    await ends.server.close()
    with pytest.raises(LaneBroken):
        await Lane.open(address)
