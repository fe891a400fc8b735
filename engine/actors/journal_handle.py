"""What a performance's process and the journal's need of Ray: a call, a lane, the journal.

Apart from the other handles because of what those import: a performance's process starts while
somebody waits for it, and its first second goes into imports.
"""

import asyncio
from typing import Any, Final

import msgspec
from ray.actor import ActorHandle
from ray.exceptions import RayError, RayTaskError

from engine.actors import NotReady
from engine.actors.journal import JournalActor
from engine.actors.lane import Address, Lane, LaneBroken, LaneServer
from engine.actors.performance import PerformanceActor
from engine.journal import Append, Claimed, Succeeded, Written

CALL_S: Final = 10.0
"""A call that takes longer counts as failed."""


async def call(reference: Any, timeout_s: float = CALL_S) -> Any:
    """Await a Ray call. Raises what the actor raised, or NotReady where nobody knows."""
    try:
        async with asyncio.timeout(timeout_s):
            return await reference
    except RayTaskError as error:
        if isinstance(error.cause, RayError):
            # Whoever was asked asked somebody else, and that one has died.
            raise NotReady(repr(error.cause)) from error
        raise error.as_instanceof_cause() from None
    except (RayError, TimeoutError) as error:
        raise NotReady(repr(error)) from error


SUBMIT, WATCH = 1, 2
"""The methods of a performance's lane."""
APPEND = 1
"""The method of the journal's lane."""


def performance_lane(host: str, actor: PerformanceActor) -> LaneServer:
    """What a performance answers without Ray: `RayPerformances` is the other end."""

    async def watch(body: bytes) -> bytes:
        return await actor.watch(*msgspec.msgpack.decode(body, type=tuple[int, int]))

    return LaneServer(host, {SUBMIT: actor.submit, WATCH: watch})


def journal_lane(host: str, actor: JournalActor) -> LaneServer:
    """What the journal answers without Ray: `RayJournal` is the other end."""

    async def append(body: bytes) -> bytes:
        return (await actor.append(body)).value.encode()

    return LaneServer(host, {APPEND: append})


async def open_lane(actor: ActorHandle) -> Lane:
    """Raises ActorFault, LaneBroken, TimeoutError."""
    address = Address(*await call(actor.lane.remote()))
    async with asyncio.timeout(CALL_S):
        return await Lane.open(address)


class RayJournal:
    """The journal, as a performance actor sees it."""

    def __init__(self, journal: ActorHandle, serving: str) -> None:
        self._journal = journal
        self._serving = serving
        self._lane: Lane | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._claimed = msgspec.msgpack.Decoder(Claimed | None).decode

    async def claim(self, performance: int, since: int) -> Claimed:
        asked = self._journal.claim.remote(performance, self._serving, since)
        claimed = self._claimed(await call(asked, 4 * CALL_S))
        if claimed is None:
            raise Succeeded(f"performance {performance}: claimed since epoch {since}")
        return claimed

    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]:
        page: list[tuple[int, bytes]] = await call(
            self._journal.tail_page.remote(performance, after_seq, until_seq), 4 * CALL_S
        )
        return page

    async def append(self, batch: Append) -> Written:
        try:
            if self._lane is None or self._lane.broken:
                self._lane = await open_lane(self._journal)
            async with asyncio.timeout(CALL_S):
                return Written((await self._lane.call(APPEND, self._encode(batch))).decode())
        except (LaneBroken, TimeoutError) as error:
            if self._lane is not None:
                self._lane.close()
            raise NotReady(repr(error)) from error

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None:
        await call(self._journal.save_snapshot.remote(performance, epoch, seq, state))

    async def keep_packed(self, plan_hash: str, packed: bytes) -> None:
        await call(self._journal.keep_packed.remote(plan_hash, packed))
