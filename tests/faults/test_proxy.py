"""The faults are what they say: a soak that breaks nothing would pass."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from tests.faults import proxy
from tests.faults.proxy import End, Path

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Echo:
    """A server that sends back what comes; `ended` counts the connections that it saw end."""

    def __init__(self) -> None:
        self.heard = b""
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(100):
                self.heard += data
                writer.write(data)
        except ConnectionError:
            pass
        self.ended += 1
        writer.close()


@pytest.fixture
async def echo() -> Echo:
    return Echo()


@pytest.fixture
async def port(echo: Echo, path: Path) -> AsyncIterator[int]:
    async with await asyncio.start_server(echo.serve, "127.0.0.1", 0) as server:
        yield await path.forward(server.sockets[0].getsockname()[:2])


async def said(streams: Streams, word: bytes, within_s: float = 2.0) -> bytes:
    streams[1].write(word)
    async with asyncio.timeout(within_s):
        return await streams[0].read(100)


async def here(port: int) -> Streams:
    return await asyncio.open_connection("127.0.0.1", port)


async def until(condition, within_s: float = 2.0) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(within_s):
        while True:
            if condition():
                return
            await asyncio.sleep(0.01)


async def test_bytes_and_ends_pass(echo: Echo, path: Path, port: int) -> None:
    one, other = await here(port), await here(port)
    assert await said(one, b"one") == b"one" and await said(other, b"other") == b"other"
    assert path.connections == 2
    one[1].close()
    await until(lambda: echo.ended == 1 and path.connections == 1)
    assert await said(other, b"still") == b"still"
    other[1].close()


async def test_slow_takes_longer_each_way(path: Path, port: int) -> None:
    streams = await here(port)
    with path.slow(0.1), path.slow(0.02):
        begun_s = time.monotonic()
        assert await said(streams, b"x") == b"x"
        assert time.monotonic() - begun_s >= 0.2
    begun_s = time.monotonic()
    assert await said(streams, b"x") == b"x"
    assert time.monotonic() - begun_s < 0.1
    streams[1].close()


async def test_refuse_resets_and_lets_nobody_in_until_it_is_over(path: Path, port: int) -> None:
    streams = await here(port)
    await said(streams, b"x")
    with path.refuse():
        with pytest.raises(ConnectionError):
            await said(streams, b"y")
        with path.refuse():
            pass
        for _ in range(3):
            with pytest.raises(ConnectionRefusedError):
                await here(port)
    again = await here(port)
    assert await said(again, b"z") == b"z"
    again[1].close()
    streams[1].close()


async def test_cut_resets_both_sides_once(echo: Echo, path: Path, port: int) -> None:
    streams = await here(port)
    await said(streams, b"x")
    assert path.cut() == 1
    with pytest.raises(ConnectionError):
        await said(streams, b"y")
    await until(lambda: echo.ended == 1)
    again = await here(port)
    assert await said(again, b"z") == b"z"
    again[1].close()
    streams[1].close()


async def test_lose_tells_neither_side_and_does_not_heal(
    echo: Echo, path: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proxy, "FORGET_S", 1.0)
    streams = await here(port)
    await said(streams, b"before")
    with path.lose():
        during = await here(port)
        for one in (streams, during):
            with pytest.raises(TimeoutError):
                await said(one, b"x", 0.2)
    with pytest.raises(TimeoutError):
        await said(streams, b"y", 0.2)
    assert echo.heard == b"before"
    streams[1].close()
    during[1].close()
    await asyncio.sleep(0.1)
    assert echo.ended == 0, "the server does not hear that its client has gone"
    again = await here(port)
    assert await said(again, b"z") == b"z"
    await until(lambda: echo.ended == 2)  # forgotten at last
    again[1].close()


async def test_lose_can_end_with_a_reset(path: Path, port: int) -> None:
    streams = await here(port)
    await said(streams, b"x")
    with path.lose(resets=True):
        pass
    with pytest.raises(ConnectionError):
        await said(streams, b"y")
    streams[1].close()


@pytest.mark.parametrize("how", [End.RESET, End.CLOSED])
async def test_a_connection_ends_at_a_certain_byte(
    echo: Echo, path: Path, port: int, how: End
) -> None:
    streams = await here(port)
    assert await said(streams, b"x") == b"x"
    assert path.carried == 2
    path.end_after(7, how)
    try:
        heard = await said(streams, b"12345")
        heard += await said(streams, b"")
    except ConnectionError:
        heard = b"12"
        assert how is End.RESET
    assert heard in (b"", b"12") and echo.heard == b"x12345"
    await until(lambda: echo.ended == 1)
    path.end_after(1, how)
    path.never_mind()
    again = await here(port)
    assert await said(again, b"z") == b"z"
    again[1].close()
    streams[1].close()


async def test_a_connection_is_silent_from_a_certain_byte_on(
    echo: Echo, path: Path, port: int
) -> None:
    streams = await here(port)
    path.end_after(3, End.SILENT)
    with pytest.raises(TimeoutError):
        await said(streams, b"12345", 0.2)
    assert (echo.heard, echo.ended) == (b"123", 0)
    streams[1].close()


async def test_that_a_server_has_hung_up_is_not_told(path: Path) -> None:
    async def farewell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"farewell")
        writer.close()

    async with await asyncio.start_server(farewell, "127.0.0.1", 0) as server:
        port = await path.forward(server.sockets[0].getsockname()[:2])
        with path.keep_open():
            streams = await here(port)
            assert await said(streams, b"") == b"farewell"
            with pytest.raises(TimeoutError):
                await said(streams, b"", 0.2)
        streams[1].close()
