"""How many places of a performance are free, and how many are held and may come back.

Owns what of this the seat feed cannot tell: how many seats the plan has, and, where
places have no seats, how many of those gone are sold. Both are asked of the database,
in the background. Knows no waiting room: `gateway.rooms` is told two numbers.
"""

import asyncio
from typing import Any, Final

import structlog

from gateway.backend import Backend
from gateway.limits import CENSUS_S, MAX_CACHED_PERFORMANCES
from gateway.replica import Feeds

log = structlog.get_logger("gateway.vacancies")

UNKNOWN: Final = (-1, -1)


class Vacancies:
    """What is free now in the performances that are asked about."""

    def __init__(self, backend: Backend, feeds: Feeds) -> None:
        self._backend = backend
        self._feeds = feeds
        self._houses: dict[int, _House] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def of(self, performance: int) -> tuple[int, int]:
        """(available, held) places; UNKNOWN without a live picture. Ask often: it keeps one."""
        house = self._houses.get(performance)
        if house is None:
            if len(self._houses) >= MAX_CACHED_PERFORMANCES:
                self._houses.clear()
            house = self._houses[performance] = _House()
        now_s = asyncio.get_running_loop().time()
        if house.seats < 0:
            self._look_up(house, now_s, self._measure(performance, house))
            return UNKNOWN
        census = self._feeds.census(performance, house.seats)
        if census is None:
            return UNKNOWN
        available, held = census.available + census.area_left, census.held
        if available or held or not house.area_places:
            return available, held
        # Nothing is left, and the feed does not say whether areas are sold or merely held.
        self._look_up(house, now_s, self._count(performance, house))
        if house.tickets < 0:
            return UNKNOWN
        return 0, max(0, house.area_places - (house.tickets - census.sold))

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _look_up(self, house: "_House", now_s: float, work: Any) -> None:
        """Run `work` unless it was begun less than CENSUS_S ago."""
        if now_s < house.next_s:
            work.close()
            return
        house.next_s = now_s + CENSUS_S
        task = asyncio.create_task(self._quietly(work), name="vacancies")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _quietly(self, work: Any) -> None:
        try:
            await work
        except Exception as error:
            log.warning("vacancies not counted", why=repr(error))

    async def _measure(self, performance: int, house: "_House") -> None:
        entry = await self._backend.catalogue.performance(performance)
        if entry is not None:
            for plan in await self._backend.catalogue.list_plans():
                if plan.hash == entry.plan:
                    house.area_places = plan.places - plan.seats
                    house.seats = plan.seats
                    house.next_s = 0.0

    async def _count(self, performance: int, house: "_House") -> None:
        house.tickets = (await self._backend.sales.totals(performance)).sold


class _House:
    """`seats` and `tickets` are -1 until they are known."""

    __slots__ = ("area_places", "next_s", "seats", "tickets")

    def __init__(self) -> None:
        self.seats = -1
        self.area_places = 0
        self.tickets = -1
        self.next_s = 0.0
