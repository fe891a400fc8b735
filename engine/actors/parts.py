"""The parts that there is one of: how they are asked, and which process is that one.

On one machine each is an actor of a known name. In a cluster every node has them all, those of
the node that leads act, the others stand by with everything loaded. Who leads is heard from
this node's directory; a call that is under way when that changes fails at once, as its
answer may never come.

Owns the names and the following of the lead. Knows no rule and no SQL.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from typing import Any, Final, Protocol

import ray
from ray.actor import ActorHandle

from engine.actors import ActorFault, NotReady
from engine.actors.journal_handle import CALL_S, call
from engine.actors.lead import NOBODY, TOLD_S
from engine.actors.process import log_to_stderr, settle
from engine.lead import Led

log = logging.getLogger(__name__)

DIRECTORY, DESK, ROOMS, MAILER, GATEWAY = "directory", "desk", "rooms", "mailer", "gateway"
"""The names of the parts, beside the journal's."""
ASK_AGAIN_S: Final = 0.2
"""Between two questions to a directory that does not answer."""


def named(part: str, node: str) -> str:
    """The name of a part's actor; `node` is "" on a machine of its own."""
    return f"{part}@{node}" if node else part


class Part(Protocol):
    """Whoever acts as this part now."""

    async def ask(self, method: str, *args: Any, timeout_s: float = CALL_S) -> Any:
        """Raises what the actor raised, or NotReady where nobody knows."""
        ...


class OnePart:
    """`Part`, one actor for good."""

    def __init__(self, actor: ActorHandle) -> None:
        self._actor = actor

    async def ask(self, method: str, *args: Any, timeout_s: float = CALL_S) -> Any:
        return await call(getattr(self._actor, method).remote(*args), timeout_s)


class Following:
    """Who leads, as this node's directory says; `told` is called when that changes.

    Construct inside a running event loop.
    """

    def __init__(self, node: str) -> None:
        self.led = NOBODY
        self.told: Callable[[Led], None] = lambda led: None
        self._directory = named(DIRECTORY, node)
        self._changed = asyncio.Event()
        self._actors: dict[str, ActorHandle] = {}
        self._following = asyncio.create_task(self._follow_forever())

    def part(self, name: str) -> Part:
        """This part of the node that leads."""
        return _LedPart(self, name)

    async def ask(self, part: str, method: str, args: tuple[Any, ...], timeout_s: float) -> Any:
        actor = self._actor(part)
        asked = asyncio.ensure_future(call(getattr(actor, method).remote(*args), timeout_s))
        changed = asyncio.ensure_future(self._changed.wait())
        try:
            await asyncio.wait({asked, changed}, return_when=asyncio.FIRST_COMPLETED)
            if asked.done():
                return asked.result()
            raise NotReady(f"another node leads now: {self.led.node}")
        finally:
            asked.cancel()
            changed.cancel()

    def _actor(self, part: str) -> ActorHandle:
        if not self.led.node:
            raise NotReady("no node leads yet")
        if part not in self._actors:
            try:
                self._actors[part] = ray.get_actor(named(part, self.led.node))
            except ValueError as error:
                raise NotReady(str(error)) from error
        return self._actors[part]

    async def _follow_forever(self) -> None:
        while True:
            with contextlib.suppress(ActorFault, ValueError):
                directory = ray.get_actor(self._directory)
                asked = directory.leader.remote(self.led.node, self.led.term)
                self._take(Led(*await call(asked, 2 * TOLD_S)))
                continue
            await asyncio.sleep(ASK_AGAIN_S)

    def _take(self, led: Led) -> None:
        before, self.led = self.led, led
        if (before.node, before.term) != (led.node, led.term):
            self._actors.clear()
            self._changed.set()
            self._changed = asyncio.Event()
            self.told(led)


class _LedPart:
    def __init__(self, following: Following, name: str) -> None:
        self._following = following
        self._name = name

    async def ask(self, method: str, *args: Any, timeout_s: float = CALL_S) -> Any:
        return await self._following.ask(self._name, method, args, timeout_s)


class LedProcess:
    """A process that acts while its node leads, and else stands by with everything loaded.

    One that has acted and is told that another node leads, ends: Ray starts it anew, and
    what it had in memory is not trusted again.
    """

    def __init__(self, node: str) -> None:
        log_to_stderr()
        self._node = node
        self._acting: Any = None
        self._since: tuple[str, int] = ("", 0)
        if node:
            self.prepare()
            self._following = Following(node)
            self._following.told = self._follow
        else:
            self._acting = self.begin()
        settle()

    def prepare(self) -> None:
        """Load what `begin` will need."""

    def begin(self) -> Any:
        """Whoever answers from now on."""
        raise NotImplementedError

    async def ask(self, method: str, *args: Any) -> Any:
        """Call it. Raises NotReady while this node does not lead."""
        if self._acting is None:
            raise NotReady("this node does not lead")
        return await getattr(self._acting, method)(*args)

    def _follow(self, led: Led) -> None:
        if self._acting is not None and self._since != (led.node, led.term):
            log.warning("node %s leads: this process begins anew", led.node)
            os._exit(1)
        if led.node == self._node:
            self._acting, self._since = self.begin(), (led.node, led.term)
