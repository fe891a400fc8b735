"""Waiting for what happens elsewhere, with an end to the patience."""

import asyncio
from collections.abc import Callable

PATIENCE_S = 20.0


async def until(true: Callable[[], bool]) -> None:
    """Return once `true()` is. Raises TimeoutError after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0.01)
