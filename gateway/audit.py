"""Who did what: operators' acts on their way to the audit log.

Owns a bounded queue and its one writer, so that an act on the websocket costs
its connection nothing. An act whose record cannot be written is kept and tried
again; what does not fit is logged as lost, with its act.
"""

import asyncio
import contextlib
from typing import Any

import structlog

from gateway.backend import Backend
from gateway.limits import AUDIT_RETRY_S, MAX_ACTS_AT_ONCE, MAX_WAITING_ACTS
from gateway.session import Principal, now_ms

log = structlog.get_logger("gateway.audit")


class Auditor:
    """Start it inside a running loop; `stop` writes what is left."""

    def __init__(self, backend: Backend) -> None:
        self._access = backend.access
        self._outages = backend.outages
        self._acts: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_WAITING_ACTS)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="audit")

    def note(self, principal: Principal, act: str, subject: object, **detail: Any) -> None:
        """Record an act, soon."""
        try:
            self._acts.put_nowait(
                {
                    "who": principal.who,
                    "act": act,
                    "subject": str(subject),
                    "detail": detail,
                    "at_ms": now_ms(),
                }
            )
        except asyncio.QueueFull:
            log.error("act not recorded", who=principal.who, act=act, subject=str(subject))

    async def stop(self, within_s: float) -> None:
        assert self._task is not None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._acts.join()
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            acts = [await self._acts.get()]
            while len(acts) < MAX_ACTS_AT_ONCE and not self._acts.empty():
                acts.append(self._acts.get_nowait())
            if not await self._write(acts) and len(acts) > 1:
                # One of them cannot be kept: not for that the others.
                for act in acts:
                    await self._write([act])
            for _ in acts:
                self._acts.task_done()

    async def _write(self, acts: list[dict[str, Any]]) -> bool:
        """Whether they are recorded; waits for a database that is away."""
        while True:
            try:
                await self._access.audit(acts)
                return True
            except self._outages as error:
                log.warning("audit log waits", why=repr(error))
                await asyncio.sleep(AUDIT_RETRY_S)
            except Exception as error:
                if len(acts) == 1:
                    log.exception("act not recorded", act=acts[0]["act"], why=str(error))
                return False
