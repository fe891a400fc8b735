"""A world of order desks that is right when a test is over; some tests make one of their own."""

from collections.abc import AsyncIterator

import pytest

from tests.actors.desks import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    assert await world.violations() == []
    await world.close()
