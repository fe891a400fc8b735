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
from gateway.limits import AUDIT_RETRY_S, MAX_WAITING_ACTS
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
                    "now_ms": now_ms(),
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
            act = await self._acts.get()
            written = False
            while not written:
                written = await self._write(act)
            self._acts.task_done()

    async def _write(self, act: dict[str, Any]) -> bool:
        """Whether this act is done with; False, after a pause, to try again."""
        try:
            await self._access.audit(**act)
        except self._outages as error:
            log.warning("audit log waits", why=repr(error))
            await asyncio.sleep(AUDIT_RETRY_S)
            return False
        except Exception as error:
            log.exception("act not recorded", act=act["act"], why=str(error))
        return True
