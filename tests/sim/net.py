"""What lies between processes: sockets, and calls to actors as Ray makes them.

Owns delays, cuts and losses, all drawn from the seed. A connection keeps its order and loses
nothing as long as it lives, as TCP does: what a cut holds up comes when the cut is over. A call
through Ray comes back with an answer, with the news that its actor died, or never.

Stands in for `ray` and for the sockets of asyncio alone: the lanes and what is said on them are
the product's own.
"""

import asyncio
from asyncio import events
from collections.abc import Callable
from typing import Any, Final

from ray.exceptions import RayActorError, RayTaskError

from tests.sim.loop import Process, Simulation

QUICK_S: Final = (0.0005,) * 7 + (0.002,)
"""How long a message takes when nothing is wrong."""
SLOW_S: Final = (0.02, 0.1, 0.4, 1.5)
NOTICED_S: Final = 0.02
"""After this long the others know of a death."""


class Net:
    """Every connection and every call of one world."""

    def __init__(self, simulation: Simulation, slow: float) -> None:
        self._simulation = simulation
        self.slow = slow  # the share of messages that take long
        self._cuts: dict[frozenset[Process], float] = {}
        self._servers: dict[int, _Server] = {}
        self._ports = 1000
        self.ends: dict[Process, list[_End]] = {}
        self.actors: dict[str, tuple[Process, Any]] = {}
        self.calls: dict[Process, dict[int, Callable[[Exception], None]]] = {}
        self._numbers = 0

    def delay(self, one: Process, other: Process) -> float:
        """How long a message from one to the other takes, if it is sent now."""
        draw = self._simulation.draw
        if draw() < self.slow:
            took = SLOW_S[int(draw() * 4)]
        else:
            took = QUICK_S[int(draw() * 8)]
        if self._cuts:
            until_s = self._cuts.get(frozenset((one, other)), 0.0)
            took += max(0.0, until_s - self._simulation.now_s)
        return took

    def cut(self, one: Process, other: Process, for_s: float) -> None:
        """Nothing gets from one to the other, or back, for so long."""
        self._cuts[frozenset((one, other))] = self._simulation.now_s + for_s

    def is_cut(self, one: Process, other: Process) -> bool:
        return self._cuts.get(frozenset((one, other)), 0.0) > self._simulation.now_s

    def heal(self) -> None:
        self._cuts.clear()
        self.slow = 0.0

    def bury(self, process: Process) -> None:
        """The process is dead: its connections break, and the calls to it fail."""
        for end in self.ends.pop(process, []):
            if end.peer is not None:
                self._simulation.after(NOTICED_S, end.peer.lost)
        for fail in self.calls.pop(process, {}).values():
            self._simulation.after(NOTICED_S, fail, RayActorError())

    # Sockets ----------------------------------------------------------------------

    def serve(self, process: Process, factory: Callable[[], Any]) -> "_Server":
        self._ports += 1
        server = self._servers[self._ports] = _Server(process, factory, self._ports)
        return server

    async def connect(self, process: Process, factory: Callable[[], Any], port: int) -> Any:
        server = self._servers[port]
        future = process.create_future()
        there = self.delay(process, server.process)
        self._simulation.after(there, self._accept, process, server, factory, future)
        return await future

    def _accept(self, process: Process, server: "_Server", factory: Any, future: Any) -> None:
        back = self.delay(server.process, process)
        at_s = self._simulation.now_s + back
        if server.process.dead:
            refused = ConnectionRefusedError("nobody listens")
            self._simulation.at(at_s, process, _fail, (future, refused))
            return
        near, far = _End(self, process), _End(self, server.process)
        near.peer, far.peer = far, near
        far.protocol = server.factory()
        server.process.call_soon(far.protocol.connection_made, far)
        self._simulation.at(at_s, process, self._connected, (near, factory, future))

    def _connected(self, near: "_End", factory: Any, future: Any) -> None:
        if future.done():
            near.abort()
            return
        near.protocol = factory()
        near.protocol.connection_made(near)
        future.set_result((near, near.protocol))

    # Calls through Ray --------------------------------------------------------------

    def ask(self, name: str, method: str, args: tuple[Any, ...]) -> "asyncio.Future[Any]":
        """Call a method of the actor of this name, whoever that is when the call arrives."""
        caller = events._get_running_loop()
        assert isinstance(caller, Process)
        future = caller.create_future()
        if caller.dead:
            return future
        there = self.delay(caller, self.actors[name][0] if name in self.actors else caller)
        self._simulation.after(there, self._arrive, caller, future, name, method, args)
        return future

    def _arrive(self, caller: Process, future: Any, name: str, method: str, args: Any) -> None:
        there = self.actors.get(name)
        if there is None or there[0].dead:
            at_s = self._simulation.now_s + NOTICED_S
            self._simulation.at(at_s, caller, _fail, (future, RayActorError()))
            return
        process, actor = there
        if self.is_cut(caller, process):
            return  # lost: the caller waits as long as it likes
        self._numbers += 1
        number = self._numbers
        calls = self.calls.setdefault(process, {})
        calls[number] = lambda error: caller.call_soon(_fail, future, error)

        async def run() -> None:
            try:
                settle, result = _succeed, await getattr(actor, method)(*args)
            except Exception as error:
                settle, result = _fail, RayTaskError(method, "", error)
            calls.pop(number, None)
            if not process.dead and not self.is_cut(caller, process):
                at_s = self._simulation.now_s + self.delay(process, caller)
                self._simulation.at(at_s, caller, settle, (future, result))

        process.begin(run)


def _succeed(future: Any, result: Any) -> None:
    if not future.done():
        future.set_result(result)


def _fail(future: Any, error: Exception) -> None:
    if not future.done():
        future.set_exception(error)


class _Server:
    """What `loop.create_server` gives: `sockets[0].getsockname()[1]` is the port."""

    def __init__(self, process: Process, factory: Callable[[], Any], port: int) -> None:
        self.process = process
        self.factory = factory
        self._port = port

    @property
    def sockets(self) -> "list[_Server]":
        return [self]

    def getsockname(self) -> tuple[str, int]:
        return "", self._port

    def close(self) -> None:
        pass


class _End:
    """One end of a connection: an asyncio transport, as far as lanes use one."""

    __slots__ = ("_last_s", "_net", "closed", "peer", "process", "protocol")

    def __init__(self, net: Net, process: Process) -> None:
        self._net = net
        self._last_s = 0.0
        self.process = process
        self.protocol: Any = None
        self.peer: _End | None = None
        self.closed = False
        net.ends.setdefault(process, []).append(self)

    def write(self, data: bytes) -> None:
        peer = self.peer
        if self.closed or peer is None or self.process.dead:
            return
        simulation = self.process.simulation
        at_s = simulation.now_s + self._net.delay(self.process, peer.process)
        if at_s <= self._last_s:
            at_s = self._last_s + 1e-7  # after what was written before
        self._last_s = at_s
        simulation.at(at_s, peer.process, peer.receive, (data,))

    def receive(self, data: bytes) -> None:
        if not self.closed:
            self.protocol.data_received(data)

    def is_closing(self) -> bool:
        return self.closed

    def abort(self) -> None:
        if self.closed or self.process.dead:
            return
        self.closed = True
        if self.peer is not None and not self.peer.process.dead:
            there = self._net.delay(self.process, self.peer.process)
            self.process.simulation.after(there, self.peer.lost)

    def lost(self) -> None:
        """The other side has hung up."""
        if not self.closed and not self.process.dead:
            self.closed = True
            if self.protocol is not None:
                self.process.call_soon(self.protocol.connection_lost, None)


class Handle:
    """An actor, as `ray.get_actor` gives it: `handle.method.remote(*args)`."""

    def __init__(self, net: Net, name: str) -> None:
        self._net = net
        self.name = name

    def __getattr__(self, method: str) -> "_Method":
        return _Method(self._net, self.name, method)


class _Method:
    __slots__ = ("_method", "_name", "_net")

    def __init__(self, net: Net, name: str, method: str) -> None:
        self._net = net
        self._name = name
        self._method = method

    def remote(self, *args: Any) -> "asyncio.Future[Any]":
        return self._net.ask(self._name, self._method, args)
