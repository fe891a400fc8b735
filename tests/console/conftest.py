"""A served house for the console's tests."""

import socket
from collections.abc import AsyncIterator, Callable

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
