"""Waiting for what happens elsewhere, with an end to the patience."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

PATIENCE_S = 20.0


async def until(true: Callable[[], bool]) -> None:
    """Return once `true()` is. Raises TimeoutError after PATIENCE_S."""
    async with asyncio.timeout(PATIENCE_S):
        while not true():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0.01)


def last_json(out: str) -> Any:
    """What a command printed last as JSON; a server in this process may log after it."""
    lines = [line for line in out.splitlines() if line.startswith(("{", "["))]
    return json.loads(lines[-1])
