"""The house, its plans, productions and performances in memory."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from engine.plan import Plan
from engine.plan_io import dump_plan
from engine.settings import Settings
from gateway.backend import BackendUnavailable


class House(Struct, frozen=True):
    id: int
    name: str
    time_zone: str
    languages: tuple[str, ...]
    settings: dict[str, Any]


class PlanSummary(Struct, frozen=True):
    hash: str
    name: str
    seats: int
    places: int
    created_ms: int


class Production(Struct, frozen=True):
    id: int
    organiser: int
    titles: dict[str, str]
    subtitles: dict[str, str]
    currency: str
    info: dict[str, Any]


class PerformanceEntry(Struct):
    id: int
    production: Production
    plan: str
    starts_ms: int
    settings: bytes


class FakeCatalogue:
    """Implements `gateway.backend.Catalogue`. While `down` is set, every call fails."""

    def __init__(self) -> None:
        self.the_house: House | None = House(
            1,
            "Théâtre du Test",
            "Europe/Paris",
            ("fr", "en"),
            {"address": ["1 rue des Essais", "75000 Paris"], "vat_bp": 550, "accent": "#7a1f2b"},
        )
        self.plans: dict[str, tuple[PlanSummary, bytes]] = {}
        self.productions: dict[int, Production] = {}
        self.performances: dict[int, PerformanceEntry] = {}
        self.down = False
        self.calls = 0

    def add(self, plan: Plan, settings: Settings, starts_ms: int, title: str = "The Test") -> int:
        """A plan, a production and a performance of it at once; answers its number."""
        plan_hash = plan.content_hash()
        places = len(plan.seats) + sum(area.capacity for area in plan.areas)
        summary = PlanSummary(plan_hash, plan.name, len(plan.seats), places, 0)
        self.plans[plan_hash] = (summary, dump_plan(plan))
        number = len(self.productions) + 1
        texts = {"en": title, "fr": f"{title} (fr)"}
        self.productions[number] = Production(number, 1, texts, {}, settings.currency, {})
        return self._keep(number, plan_hash, starts_ms, msgspec.json.encode(settings))

    async def change_house(
        self,
        organiser: int,
        *,
        name: str,
        time_zone: str,
        languages: tuple[str, ...],
        settings: Mapping[str, Any],
    ) -> None:
        self._reach()
        assert self.the_house is not None and self.the_house.id == organiser
        self.the_house = House(organiser, name, time_zone, languages, dict(settings))

    async def house(self) -> House | None:
        self._reach()
        return self.the_house

    async def plan(self, plan_hash: str) -> bytes | None:
        self._reach()
        return self.plans[plan_hash][1] if plan_hash in self.plans else None

    async def list_plans(self) -> list[PlanSummary]:
        self._reach()
        return [summary for summary, _ in self.plans.values()]

    async def add_plan(
        self, *, plan_hash: str, name: str, seats: int, places: int, body: bytes, now_ms: int
    ) -> bool:
        self._reach()
        if plan_hash in self.plans:
            return False
        self.plans[plan_hash] = (PlanSummary(plan_hash, name, seats, places, now_ms), body)
        return True

    async def create_production(
        self,
        organiser: int,
        *,
        titles: Mapping[str, str],
        subtitles: Mapping[str, str],
        currency: str,
        info: Mapping[str, Any],
        now_ms: int,
    ) -> Production:
        self._reach()
        number = len(self.productions) + 1
        made = Production(number, organiser, dict(titles), dict(subtitles), currency, dict(info))
        self.productions[number] = made
        return made

    async def list_productions(self) -> list[Production]:
        self._reach()
        return list(self.productions.values())

    async def production(self, number: int) -> Production | None:
        self._reach()
        return self.productions.get(number)

    async def create_performance(
        self, production: int, *, plan_hash: str, starts_ms: int, settings: bytes, now_ms: int
    ) -> int:
        self._reach()
        if production not in self.productions or plan_hash not in self.plans:
            raise LookupError(f"there is no production {production}, or no plan {plan_hash}")
        return self._keep(production, plan_hash, starts_ms, settings)

    async def performance(self, number: int) -> PerformanceEntry | None:
        self._reach()
        return self.performances.get(number)

    async def list_performances(
        self, *, from_ms: int = 0, until_ms: int = 2**62, limit: int = 500
    ) -> list[PerformanceEntry]:
        self._reach()
        found = [one for one in self.performances.values() if from_ms <= one.starts_ms < until_ms]
        return sorted(found, key=lambda one: (one.starts_ms, one.id))[:limit]

    def _keep(self, production: int, plan_hash: str, starts_ms: int, settings: bytes) -> int:
        number = len(self.performances) + 1
        self.performances[number] = PerformanceEntry(
            number, self.productions[production], plan_hash, starts_ms, settings
        )
        return number

    def _reach(self) -> None:
        self.calls += 1
        if self.down:
            raise BackendUnavailable("the database is down")
