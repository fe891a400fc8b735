"""Virtual time, and processes that are event loops of our own: one seed decides who runs when.

A `Process` is what the code under test takes for its asyncio event loop. As in a real one its
callbacks run in the order in which they were asked for. Between processes nothing is promised:
they share nothing but messages, these take times that the seed draws, and what comes at the same
moment comes in an order that the seed draws. No real time passes, no thread runs, no socket is
opened.

A process can be paused (it runs nothing, and finds all that arrived meanwhile when it goes on)
and killed (it runs nothing ever again; whatever it still tries to do has no effect).
"""

import asyncio
from asyncio import events
from collections import deque
from collections.abc import Callable, Coroutine
from heapq import heappop, heappush
from random import Random
from typing import Any, Final

from tests.engine.small import NOW_MS

_set_running_loop = events._set_running_loop  # type: ignore[attr-defined]


_Future, _Task = asyncio.Future, asyncio.Task

THREAD_S: Final = 0.01
MAX_TURNS: Final = 100_000
"""A process that runs so many callbacks in no time at all is caught in a loop."""


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

    def run(self) -> None:
        if self.callback is not None:
            self.callback(*self.args)


_NEVER: Final = Handle(None, ())


class Simulation:
    """The clock of a world, and what will happen in it."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.draw = self.random.random
        self.now_s = 0.0
        self.happened = 0
        self._ahead: list[tuple[float, float, int, Any, tuple[Any, ...], Process | None]] = []
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
    ) -> None:
        """Have this happen then: in a process, or (None) in the world between them."""
        self._number += 1
        # What is to happen at the same moment happens in an order of the seed.
        heappush(self._ahead, (when_s, self.draw(), self._number, callback, args, process))

    def after(self, delay_s: float, callback: Callable[..., object], *args: Any) -> None:
        """Have this happen in the world between the processes."""
        self._number += 1
        when_s = self.now_s + delay_s
        heappush(self._ahead, (when_s, self.draw(), self._number, callback, args, None))

    def run_until(self, done: Callable[[], bool], until_s: float) -> bool:
        """Let things happen until `done()`; False when `until_s` came first.

        Raises:
            Stuck: Nothing will ever happen again.
        """
        ahead, waiting = self._ahead, self._runnable
        while True:
            while waiting:
                waiting.pop().serve()
            if done():
                return True
            if not ahead:
                raise Stuck("nothing will ever happen again")
            when_s = ahead[0][0]
            if when_s > until_s:
                self.now_s = until_s
                return False
            self.now_s = when_s
            # What comes at one moment is ready together, as after one look at many sockets.
            while ahead and ahead[0][0] == when_s:
                _, _, _, callback, args, owner = heappop(ahead)
                self.happened += 1
                if owner is None:
                    callback(*args)
                elif not owner.dead:
                    owner._ready.append((callback, args))
                    if not owner._queued:
                        owner._queued = True
                        waiting.append(owner)

    def end(self) -> None:
        """Nothing happens any more: every process is dead."""
        for process in self.processes:
            process.die()
        _set_running_loop(None)
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
        self._ready: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._queued = False
        self._paused_until_s = 0.0
        simulation.processes.append(self)

    def __repr__(self) -> str:
        return f"<{self.name}>"

    def begin(self, doing: Callable[..., Coroutine[Any, Any, Any]], *args: Any) -> None:
        """Have it do this, as a task of its own."""
        self.call_soon(lambda: self.create_task(doing(*args)))

    # What the world does with it ----------------------------------------------------

    def serve(self) -> None:
        """Run until nothing is ready. It takes no time: what others do meanwhile comes later."""
        simulation = self.simulation
        if self.dead:
            return
        if self._paused_until_s > simulation.now_s:
            simulation.at(self._paused_until_s, None, self._go_on, ())
            return
        ready = self._ready
        next_ready = ready.popleft
        _set_running_loop(self)
        turns = 0
        try:
            while ready:
                callback, args = next_ready()
                callback(*args)
                turns += 1
                if turns > MAX_TURNS:
                    raise Stuck(f"{self.name} never rests")
        except Exception as error:
            simulation.unexpected.append(f"{self.name}: {error!r}")
        self._queued = False

    def _go_on(self) -> None:
        self.simulation._runnable.append(self)

    def pause(self, for_s: float) -> None:
        self._paused_until_s = max(self._paused_until_s, self.simulation.now_s + for_s)

    def resume(self) -> None:
        """End a pause now. Its turn was put off to the pause's end: it is called earlier."""
        if self.paused:
            self._paused_until_s = 0.0
            if self._queued:
                self.simulation.at(self.simulation.now_s, None, self._go_on, ())

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

    # Threads: what would be done in one takes a while, and is done at once when it is over ---

    async def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]  # fmt: skip
        await asyncio.sleep(THREAD_S * self.simulation.draw())
        return func(*args)

    # What asyncio asks of a loop ------------------------------------------------------

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
        if self.dead:
            return _NEVER
        if not self._queued:
            self._queued = True
            self.simulation._runnable.append(self)
        if context is not None:
            # A task or a future asks: those never cancel it, and there are very many.
            self._ready.append((callback, args))
            return _NEVER
        handle = Handle(callback, args)
        self._ready.append((handle.run, ()))
        return handle

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
        if self.dead:
            return _NEVER
        handle = Handle(callback, args)
        handle.when_s = when
        self.simulation.at(when, self, handle.run, ())
        return handle

    def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
        return self.call_at(self.simulation.now_s + delay, callback, *args)

    def time(self) -> float:
        return self.simulation.now_s

    def create_future(self) -> "asyncio.Future[Any]":
        return _Future(loop=self)

    def create_task(self, coro: Any, *, name: Any = None, context: Any = None) -> Any:
        task: Any = _Task(coro, loop=self, name="")
        task.add_done_callback(self._look_at)
        return task

    def _look_at(self, task: Any) -> None:
        """A call may fail; a bug ends a task that nobody waits for, and nobody would know."""
        if not task.cancelled():
            error = task.exception()
            if isinstance(error, _BUGS):
                self.simulation.unexpected.append(f"{self.name}: a task has failed: {error!r}")

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return not self.dead

    def is_closed(self) -> bool:
        return self.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Told when the collector comes by: too late to matter. See `_look_at`."""


_BUGS = (AssertionError, TypeError, AttributeError, LookupError, ValueError, ArithmeticError)
