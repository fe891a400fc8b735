"""Virtual time, and processes that are event loops of our own: one seed decides who runs when.

A `Process` is what the code under test takes for its asyncio event loop. As in a real one its
callbacks run in the order in which they were asked for; between processes nothing is promised,
so whatever is ready at one moment in several of them runs in an order that the seed draws. No
real time passes, no thread runs, no socket is opened.

A process can be paused (it runs nothing, and finds all that arrived meanwhile when it goes on)
and killed (it runs nothing ever again; whatever it still tries to do has no effect).
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from random import Random
from typing import Any

from tests.engine.small import NOW_MS

_set_running_loop = events._set_running_loop  # type: ignore[attr-defined]


class Stuck(Exception):
    """Nothing is left to happen, or too much has happened already."""


class Handle:
    """A callback that will run, unless it is cancelled."""

    __slots__ = ("args", "callback", "when_s")

    def __init__(self, callback: Callable[..., object] | None, args: tuple[Any, ...]) -> None:
        self.callback = callback
        self.args = args
        self.when_s = 0.0

    def cancel(self) -> None:
        self.callback = None

    def cancelled(self) -> bool:
        return self.callback is None

    def when(self) -> float:
        return self.when_s


class Simulation:
    """The clock of a world, and what will happen in it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.draw = self.random.random
        self.now_s = 0.0
        self.happened = 0
        self._ahead: list[tuple[float, float, int, Handle, Process | None]] = []
        self._number = 0
        self._runnable: list[Process] = []
        self.unexpected: list[str] = []
        self.processes: list[Process] = []

    def at(
        self,
        when_s: float,
        process: "Process | None",
        callback: Callable[..., object],
        args: tuple[Any, ...],
    ) -> Handle:
        """Have this happen then: in a process, or (None) in the world between them."""
        handle = Handle(callback, args)
        handle.when_s = when_s
        self._number += 1
        # What is to happen at the same moment happens in an order of the seed.
        heappush(self._ahead, (when_s, self.draw(), self._number, handle, process))
        return handle

    def after(self, delay_s: float, callback: Callable[..., object], *args: Any) -> Handle:
        """Have this happen in the world between the processes."""
        return self.at(self.now_s + delay_s, None, callback, args)

    def runnable(self, process: "Process") -> None:
        self._runnable.append(process)

    def run_until(self, done: Callable[[], bool], until_s: float) -> bool:
        """Let things happen until `done()`; False when `until_s` came first.

        Raises:
            Stuck: Nothing will ever happen again.
        """
        ahead, waiting = self._ahead, self._runnable
        while not done():
            if waiting:
                count = len(waiting)
                process = waiting.pop(int(self.draw() * count) if count > 1 else 0)
                process.serve()
                continue
            if not ahead:
                raise Stuck("nothing will ever happen again")
            when_s = ahead[0][0]
            if when_s > until_s:
                self.now_s = until_s
                return False
            if when_s > self.now_s:
                self.now_s = when_s
            _, _, _, handle, owner = heappop(ahead)
            if handle.callback is None:
                continue
            self.happened += 1
            if owner is None:
                handle.callback(*handle.args)
            elif not owner.dead:
                owner.take(handle)
        return True

    def end(self) -> None:
        """Nothing happens any more: every process is dead."""
        for process in self.processes:
            process.die()
        self._ahead.clear()
        self._runnable.clear()


class Process(asyncio.AbstractEventLoop):
    """See the module. `skew_ms` is how far its wall clock is from everybody's time."""

    def __init__(self, simulation: Simulation, net: Any, name: str) -> None:
        self.simulation = simulation
        self.net = net
        self.name = name
        self.dead = False
        self.skew_ms = 0
        self._ready: deque[Handle] = deque()
        self._queued = False
        self._paused_until_s = 0.0
        simulation.processes.append(self)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    # What the world does with it ----------------------------------------------------

    def take(self, handle: Handle) -> None:
        self._ready.append(handle)
        if not self._queued:
            self._queued = True
            self.simulation._runnable.append(self)

    def serve(self) -> None:
        """One turn: what was ready when it began."""
        simulation = self.simulation
        if self.dead:
            return
        if self._paused_until_s > simulation.now_s:
            simulation.at(self._paused_until_s, None, self._go_on, ())
            return
        ready = self._ready
        _set_running_loop(self)
        try:
            for _ in range(len(ready)):
                handle = ready.popleft()
                if handle.callback is not None:
                    handle.callback(*handle.args)
                    if self.dead:
                        return
        except Exception as error:
            simulation.unexpected.append(f"{self.name}: {error!r}")
        finally:
            _set_running_loop(None)
        if ready:
            simulation._runnable.append(self)
        else:
            self._queued = False

    def _go_on(self) -> None:
        if not self.dead:
            self.simulation._runnable.append(self)

    def pause(self, for_s: float) -> None:
        self._paused_until_s = max(self._paused_until_s, self.simulation.now_s + for_s)

    def resume(self) -> None:
        """End a pause now. Its turn was put off to the pause's end: it is called earlier."""
        if self.paused:
            self._paused_until_s = 0.0
            if self._queued:
                # Two turns are one too many only in name: the second finds nothing to do.
                self.simulation._runnable.append(self)

    @property
    def paused(self) -> bool:
        return self._paused_until_s > self.simulation.now_s

    def die(self) -> None:
        self.dead = True
        self._ready.clear()

    def wall_ms(self) -> int:
        """What its clock says, in Unix milliseconds."""
        return NOW_MS + int(self.simulation.now_s * 1000) + self.skew_ms

    # Sockets: `net` carries what is said -----------------------------------------------

    async def create_connection(self, factory: Any, host: Any = None, port: Any = None) -> Any:  # type: ignore[override]  # fmt: skip
        return await self.net.connect(self, factory, port)

    async def create_server(self, factory: Any, host: Any = None, port: Any = None) -> Any:  # type: ignore[override]  # fmt: skip
        return self.net.serve(self, factory)

    # What asyncio asks of a loop ------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        handle = Handle(callback, args)
        if not self.dead:
            self.take(handle)
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if self.dead:
            return Handle(None, ())
        return self.simulation.at(when, self, callback, args)

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.simulation.now_s + delay, callback, *args)

    def time(self) -> float:
        return self.simulation.now_s

    def create_future(self) -> "asyncio.Future[Any]":
        return asyncio.Future(loop=self)

    def create_task(self, coro: Coroutine[Any, Any, Any], *, name: Any = None, context: Any = None) -> Any:  # type: ignore[override]  # fmt: skip
        return asyncio.Task(coro, loop=self, name="")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """A task that nobody waits for has failed: unless it says that a call failed, a bug."""
        error = context.get("exception")
        if not self.dead and isinstance(error, _BUGS):
            self.simulation.unexpected.append(f"{self.name}: {context['message']}: {error!r}")


_BUGS = (AssertionError, TypeError, AttributeError, LookupError, ValueError, ArithmeticError)
