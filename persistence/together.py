"""Questions that come while one is under way, asked together next.

Owns the gathering: what many ask one by one becomes one statement. Knows no SQL. What is told was
read after it was asked for.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

T = TypeVar("T")

MAX_TOGETHER: Final = 500
"""Keys of one question."""


class Together(Generic[T]):
    """`ask` finds what there is for some keys; raises for all of them or for none."""

    def __init__(self, ask: Callable[[Sequence[str]], Awaitable[Mapping[str, T]]]) -> None:
        self._ask = ask
        self._waiting: dict[str, asyncio.Future[T | None]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key: str) -> T | None:
        """What there is for this key. Raises what `ask` raised."""
        future = self._waiting.get(key)
        if future is None:
            future = self._waiting[key] = asyncio.get_running_loop().create_future()
            # Perhaps everybody who waits gives up.
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
        if self._asking is None:
            self._asking = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:MAX_TOGETHER]
                futures = {key: self._waiting.pop(key) for key in keys}
                try:
                    found = await self._ask(keys)
                except BaseException as error:
                    for future in futures.values():
                        if isinstance(error, Exception):
                            future.set_exception(error)
                        else:
                            future.cancel()
                    if not isinstance(error, Exception):
                        raise
                else:
                    for key, future in futures.items():
                        future.set_result(found.get(key))
        finally:
            self._asking = None
