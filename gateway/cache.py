"""Answers kept for a moment, and asked for once however many want them.

Owns age and number of what is kept. Knows nothing of what it keeps.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Kept(Generic[K, V]):
    """At most `most` answers, each for `life_s` from when it was asked for."""

    def __init__(self, most: int, life_s: float) -> None:
        self._most = most
        self._life_s = life_s
        self._kept: OrderedDict[K, tuple[float, asyncio.Task[V]]] = OrderedDict()

    async def get(self, key: K, load: Callable[[], Awaitable[V]]) -> V:
        """The answer for `key`, from `load` when there is none; what `load` raises is not kept."""
        now_s = asyncio.get_running_loop().time()
        until_s, task = self._kept.get(key, (0.0, None))
        if task is None or now_s >= until_s:
            task = asyncio.ensure_future(load())
            self._kept[key] = (now_s + self._life_s, task)
            task.add_done_callback(lambda done: self._done(key, done))
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(key)
        # One caller that goes away must not take the answer from the others.
        return await asyncio.shield(task)

    def drop(self, key: K) -> None:
        self._kept.pop(key, None)

    def clear(self) -> None:
        self._kept.clear()

    def _done(self, key: K, task: "asyncio.Task[V]") -> None:
        failed = task.cancelled() or task.exception() is not None
        if failed and self._kept.get(key, (0.0, None))[1] is task:
            del self._kept[key]
