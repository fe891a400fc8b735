"""What the parts behind the edge say of themselves, without any: told of the fakes in memory."""

import asyncio

from engine.status import (
    COMMIT_EDGES_S,
    Buckets,
    DirectoryStatus,
    EngineStatus,
    JournalStatus,
    MailStatus,
    PerformanceStatus,
    Use,
)
from tests.fakes.performances import FakePerformances

USE = Use(resident_bytes=50_000_000, cpu_s=1.5)


class FakeStatus:
    """Implements `gateway.backend.Backend.status`.

    Attributes:
        silent: Parts that do not answer.
        recovering: Performances that are not ready.
        hangs: While set, nobody answers at all.
        asked: How often it was asked.
    """

    def __init__(self, performances: FakePerformances) -> None:
        self._performances = performances
        self.silent: set[str] = set()
        self.recovering: set[int] = set()
        self.hangs = False
        self.asked = 0

    async def status(self) -> EngineStatus:
        self.asked += 1
        if self.hangs:
            await asyncio.Event().wait()
        up = {name: name not in self.silent for name in ("directory", "journal", "desk")}
        return EngineStatus(
            up=up,
            uses={"gateway": USE, **{name: USE for name, answers in up.items() if answers}},
            directory=self._directory() if up["directory"] else None,
            journal=self._journal() if up["journal"] else None,
            lanes=len(self._performances.live),
            lane_calls=0,
            mail=MailStatus(2, 7.0, 40, 1, True, USE),
        )

    def _directory(self) -> DirectoryStatus:
        told = tuple(
            PerformanceStatus(
                performance=number,
                epoch=live.feed.epoch,
                seq=live.feed.seq,
                uncommitted=0,
                idle_ms=0,
                watchers=0,
                commits=live.feed.seq,
                recoveries=live.feed.epoch,
                stopped="",
                ready=number not in self.recovering,
                use=USE,
                seats=live.feed.counts(),
                area_left=live.feed.area_left,
                holds=len(live.core.holds),
                tickets=len(live.core.tickets),
            )
            for number, live in self._performances.live.items()
        )
        return DirectoryStatus(len(told), told, USE)

    def _journal(self) -> JournalStatus:
        commit_s = Buckets(COMMIT_EDGES_S)
        for _ in self._performances.batches:
            commit_s.add(0.002)
        return JournalStatus(commit_s, len(self._performances.batches), 0, 0, 0, USE)
