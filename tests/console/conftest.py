"""A served house for the console's tests."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest

from tests.console.server import House, Tangle, running_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with running_house() as running:
        yield running


@pytest.fixture
async def tangle(house: House) -> AsyncIterator[Tangle]:
    async with Tangle(house.url) as way:
        yield way


@pytest.fixture
def unused_port() -> Callable[[], int]:
    """A port that nobody listens on, just now."""

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """A house served by a loop of its own, as the commands have theirs."""
    ready: list[House] = []
    begun, end = threading.Event(), threading.Event()

    async def serve() -> None:
        async with running_house() as house:
            ready.append(house)
            begun.set()
            await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert begun.wait(20)
    monkeypatch.setenv("STRAPONTIN_PASSWORD", ready[0].password)
    yield ready[0]
    end.set()
    thread.join(20)
