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
        self._waiting: dict[str, list[asyncio.Future[T | None]]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def get(self, key: str) -> T | None:
        """What there is for this key. Raises what `ask` raised."""
        future: asyncio.Future[T | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(future)
        if self._asking is None:
            self._asking = asyncio.create_task(self._run())
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                keys = list(self._waiting)[:MAX_TOGETHER]
                asked = [(key, future) for key in keys for future in self._waiting.pop(key)]
                try:
                    found = await self._ask(keys)
                except Exception as error:
                    for _, future in asked:
                        if not future.done():
                            future.set_exception(error)
                except BaseException:
                    for _, future in asked:
                        future.cancel()
                    raise
                else:
                    for key, future in asked:
                        if not future.done():  # whoever waited may have given up
                            future.set_result(found.get(key))
        finally:
            self._asking = None
