"""Who serves which performance: finds, activates, replaces and passivates writers.

Delivery guarantees: `locate` answers with an actor that answered a ping or was
just made; two actors for one performance may live for a moment, and the epoch
in the journal lets one of them write. The directory keeps nothing that cannot
be asked again: killed, it comes back and finds the actors by the names that the
database keeps.

Why the directory makes new actors instead of letting Ray restart them: one
decider means that a replaced writer never comes back to life and claims the
reign again. And it keeps a spare process that has started already: a cold
performance, or one whose writer died, does not wait for an interpreter.

In a cluster every node has a directory: the leading node's is the one described here, and
takes processes from all of them, so that the performances are spread. The others keep a spare
process ready and stand by. A node that was not seen for as long as a lease lasts counts as
gone with all its writers: nobody waits for what it might still answer (docs/adr/0008).

Owns the life of the actors. Knows no rule, no SQL and no Ray: `Spawner` does.
"""

import asyncio
import logging
import time
import uuid
from collections import Counter
from collections.abc import Awaitable
from typing import Any, Final, Protocol

from engine.actors import NotReady
from engine.actors.lead import Lead
from engine.actors.use import own_use
from engine.lead import Led
from engine.status import DirectoryStatus, PerformanceStatus

log = logging.getLogger(__name__)

PING_S: Final = 1.0
"""A writer that does not answer within this is replaced; fencing makes that safe."""
FIRST_PING_S: Final = 15.0
"""A new process may take this long to start on a busy machine."""
IDLE_MS: Final = 10 * 60_000
"""Nobody asks and nobody watches for this long: the performance is passivated."""
PATROL_S: Final = 5.0
MAX_ACTIVE: Final = 200
"""Live performances: each costs a process of 100 MB or more."""


class UnknownPerformance(Exception):
    """No performance has this number."""


class Spawner(Protocol):
    """Makes, finds and ends performance actors; `actor` is opaque here."""

    def spawn(self, name: str) -> Any: ...
    def ready(self, actor: Any) -> Awaitable[None]: ...
    def serve(self, actor: Any, performance: int) -> Awaitable[None]: ...
    def find(self, name: str) -> Any | None: ...
    def kill(self, actor: Any) -> None: ...
    def status(self, actor: Any) -> Awaitable[PerformanceStatus]: ...
    def passivate(self, actor: Any) -> Awaitable[bool]: ...
    def borrow(self, node: str) -> Awaitable[tuple[str, Any]]:
        """A process that has started, of another node's directory (`Directory.lend`)."""
        ...


class Register(Protocol):
    """The directory's durable half: the name of the actor that last claimed a performance."""

    async def serving(self, performance: int) -> str | None:
        """Its name, "" when none ever served; None when there is no such performance."""
        ...

    async def beat(self, node: str) -> Led:
        """This node is there: who leads (`persistence.lead`)."""
        ...


def node_of(name: str) -> str:
    """The node in an actor's name, "" on a machine of its own."""
    return name.partition("@")[2]


class Directory:
    """See the module. Construct inside a running event loop. `node` is "" without a cluster."""

    def __init__(self, spawner: Spawner, register: Register, node: str = "") -> None:
        self._spawner = spawner
        self._register = register
        self._node = node
        self._lead = Lead(node, register.beat, self._forget) if node else None
        self._active: dict[int, tuple[str, Any]] = {}
        self._lent: dict[str, tuple[float, Any]] = {}
        self._locks: dict[int, asyncio.Lock] = {}
        self._spare: asyncio.Task[tuple[str, Any]] | None = asyncio.create_task(self._start())
        self._patrol = asyncio.create_task(self._patrol_forever())

    async def locate(self, performance: int, suspect: str = "") -> tuple[str, Any]:
        """The (name, actor) that serves; `suspect` names one that failed its caller.

        Raises UnknownPerformance, or NotReady: another directory leads.
        """
        self._check_lead()
        active = self._active.get(performance)
        if active is not None and active[0] != suspect:
            return active
        async with self._locks.setdefault(performance, asyncio.Lock()):
            active = self._active.get(performance)
            if active is not None and active[0] != suspect:
                return active
            if active is None:
                active = await self._find(performance)
            if active is not None and not await self._alive(*active):
                log.warning("performance %d: %s does not answer", performance, active[0])
                self._spawner.kill(active[1])
                active = None
            if active is None:
                active = await self._activate(performance)
            self._check_lead()
            self._active[performance] = active
            return active

    async def leader(self, node: str, term: int) -> Led:
        """Who leads, as soon as that is not `node` in its `term`; see `Lead.other_than`."""
        assert self._lead is not None, "a machine of its own is not asked who leads"
        return await self._lead.other_than(node, term)

    async def lend(self) -> tuple[str, Any]:
        """A process of this node that has started, for the directory that leads."""
        name, actor = await self._take_spare()
        self._lent[name] = (time.monotonic(), actor)
        self._keep_spare_soon()
        return name, actor

    async def status(self) -> DirectoryStatus:
        """What every active performance says of itself; silent ones are left out."""
        self._check_lead()
        active = list(self._active.values())
        answers = await asyncio.gather(
            *(asyncio.wait_for(self._spawner.status(actor), PING_S) for _, actor in active),
            return_exceptions=True,
        )
        told = tuple([one for one in answers if not isinstance(one, BaseException)])
        return DirectoryStatus(len(active), told, own_use())

    async def close(self) -> None:
        """Save and stop every writer that is idle, for a quick start next time."""
        self._patrol.cancel()
        if self._lead is not None:
            self._lead.close()
        await asyncio.gather(
            *(
                asyncio.wait_for(self._spawner.passivate(actor), PING_S)
                for name, actor in self._active.values()
                if node_of(name) == self._node
            ),
            return_exceptions=True,
        )

    # The lead --------------------------------------------------------------------

    def _check_lead(self) -> None:
        if self._lead is not None and not self._lead.leads:
            raise NotReady("another node's directory leads")

    def _forget(self) -> None:
        """Another node leads: what is served where is its to say. Processes of here live on."""
        for name, actor in self._active.values():
            if node_of(name) == self._node:
                self._lent.setdefault(name, (time.monotonic(), actor))
        self._active.clear()

    def _is_gone(self, name: str) -> bool:
        """Was the node of this actor not seen for as long as a lease lasts?"""
        return self._lead is not None and node_of(name) not in self._lead.led.nodes

    def _emptiest(self) -> str:
        """The node with the fewest writers; this one where that is undecided."""
        if self._lead is None:
            return self._node
        writers = Counter(node_of(name) for name, _ in self._active.values())
        nodes = self._lead.led.nodes
        return min(nodes, key=lambda node: (writers[node], node != self._node), default=self._node)

    # Processes -------------------------------------------------------------------

    async def _find(self, performance: int) -> tuple[str, Any] | None:
        """The actor that the database names, where it still lives: after the directory's death."""
        name = await self._register.serving(performance)
        if name is None:
            raise UnknownPerformance(performance)
        actor = self._spawner.find(name) if name and not self._is_gone(name) else None
        return (name, actor) if actor is not None else None

    async def _activate(self, performance: int) -> tuple[str, Any]:
        if len(self._active) >= MAX_ACTIVE:
            await self._passivate_idle(0)
        node = self._emptiest()
        try:
            taking = self._take_spare() if node == self._node else self._borrow(node)
            name, actor = await taking
            await self._serve(actor, performance, PING_S)
        except Exception as error:
            log.warning("performance %d: the spare process does not serve: %r", performance, error)
            name, actor = await self._start()
            await self._serve(actor, performance, FIRST_PING_S)
        self._keep_spare_soon()
        log.info("performance %d is served by %s", performance, name)
        return name, actor

    async def _borrow(self, node: str) -> tuple[str, Any]:
        try:
            async with asyncio.timeout(PING_S):
                return await self._spawner.borrow(node)
        except Exception as error:
            log.warning("node %s lends nothing: %r", node, error)
            return await self._take_spare()

    async def _take_spare(self) -> tuple[str, Any]:
        """The process that has started already; `_keep_spare_soon` makes another."""
        spare, self._spare = self._spare or asyncio.create_task(self._start()), None
        return await spare

    def _keep_spare_soon(self) -> None:
        """Not at once: a start takes the processor for a second, which a house that is being
        rebuilt needs: a stadium took a fifth longer."""
        asyncio.get_running_loop().call_later(PING_S, self._keep_spare)

    def _keep_spare(self) -> None:
        if self._spare is None:
            self._spare = asyncio.create_task(self._start())

    async def _start(self) -> tuple[str, Any]:
        """A process that serves nothing yet."""
        name = f"writer-{uuid.uuid4().hex[:8]}"
        if self._node:
            name = f"{name}@{self._node}"
        actor = self._spawner.spawn(name)
        await self._or_end(actor, self._spawner.ready(actor), FIRST_PING_S)
        return name, actor

    async def _serve(self, actor: Any, performance: int, within_s: float) -> None:
        await self._or_end(actor, self._spawner.serve(actor, performance), within_s)

    async def _or_end(self, actor: Any, answer: Awaitable[None], within_s: float) -> None:
        """Wait for the answer; a process that does not give it in time is ended."""
        try:
            await asyncio.wait_for(answer, within_s)
        except BaseException:
            self._spawner.kill(actor)
            raise

    async def _alive(self, name: str, actor: Any) -> bool:
        if self._is_gone(name):
            return False
        try:
            status = await asyncio.wait_for(self._spawner.status(actor), PING_S)
        except Exception:
            return False
        return not status.stopped

    async def _patrol_forever(self) -> None:
        while True:
            await asyncio.sleep(PATROL_S)
            try:
                await self._passivate_idle(IDLE_MS)
                await self._end_stopped()
            except Exception:
                log.exception("patrol")

    async def _end_stopped(self) -> None:
        """End processes lent to other directories that serve no more: fenced, or passivated."""
        for name, (since_s, actor) in list(self._lent.items()):
            # One that was lent a moment ago may not have been told yet what to serve.
            if time.monotonic() - since_s > FIRST_PING_S and not await self._alive(name, actor):
                log.info("%s serves no more", name)
                self._lent.pop(name, None)
                self._spawner.kill(actor)

    async def _passivate_idle(self, idle_ms: int) -> None:
        """Rest those that nobody uses, and replace those that do not answer."""
        for performance, (name, actor) in list(self._active.items()):
            try:
                status = await asyncio.wait_for(self._spawner.status(actor), PING_S)
                idle = status.idle_ms >= idle_ms and not status.watchers
                if not idle or not await self._spawner.passivate(actor):
                    continue
            except Exception as error:
                log.warning("performance %d: %s: %r", performance, name, error)
                await self.locate(performance, name)
                continue
            if self._active.get(performance) == (name, actor):
                del self._active[performance]
            self._spawner.kill(actor)
            log.info("performance %d is idle and passivated", performance)
