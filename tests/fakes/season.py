"""The programme as a whole, in memory, over the fake catalogue and the fake performances."""

from collections.abc import Sequence

import msgspec

from engine.plan_io import load_plan
from engine.season import (
    NUMBERED,
    Act,
    Changed,
    Pending,
    PerformanceFound,
    PerformanceWanted,
    ProductionFound,
    Programme,
    Reason,
    Todo,
    Unchanged,
    compare,
    fingerprint,
    settings_after,
)
from engine.settings import Settings
from tests.fakes.catalogue import FakeCatalogue, Production
from tests.fakes.performances import FakePerformances


class FakeSeason:
    """Implements `gateway.backend.Season`. Every performance counts as one with an actor."""

    def __init__(self, catalogue: FakeCatalogue, performances: FakePerformances) -> None:
        self._catalogue = catalogue
        self._performances = performances
        self._keys: dict[tuple[str, int], str] = {}
        self._withdrawn: set[int] = set()
        self._made: dict[bytes, tuple[bytes, Changed]] = {}
        self._todo: dict[int, tuple[bytes, tuple[Todo, ...]]] = {}

    async def named(self, keys: Sequence[str]) -> list[ProductionFound]:
        return [one for one in self._found() if one.key in keys]

    async def coming(self, from_ms: int) -> list[ProductionFound]:
        shown = [
            msgspec.structs.replace(
                one,
                performances=tuple(
                    each
                    for each in one.performances
                    if each.starts_ms >= from_ms and not each.withdrawn
                ),
            )
            for one in self._found()
        ]
        return [one for one in shown if one.performances]

    async def apply(
        self,
        organiser: int,
        programme: Programme,
        *,
        id: bytes,
        compared_with: str,
        digest: bytes,
        now_ms: int,
    ) -> Changed | Unchanged:
        if id in self._made:
            known, changed = self._made[id]
            if known != digest:
                return Unchanged(Reason.OTHER_CONTENT)
            return msgspec.structs.replace(changed, again=True)
        found = await self.named([one.key for one in programme.productions])
        if fingerprint(found) != compared_with:
            return Unchanged(Reason.STALE)
        difference = compare(programme, found, now_ms)
        if difference.faults:
            return Unchanged(Reason.FAULTY, difference.faults)
        for one in programme.productions:
            for each in one.performances:
                if each.plan not in self._catalogue.plans:
                    return Unchanged(Reason.PLAN_UNKNOWN, plan=each.plan)
        todo: list[Todo] = []
        acts: list[Act] = []
        for change in difference.productions:
            after = change.after
            number = change.before.id if change.before else len(self._catalogue.productions) + 1
            if not after.key.startswith(NUMBERED):
                self._keys["production", number] = after.key
            made = Production(number, organiser, after.titles, after.subtitles, after.currency, {})
            self._catalogue.productions[number] = made
            for entry in self._catalogue.performances.values():
                if entry.production.id == number:
                    entry.production = made
            for each in change.performances:
                acts.append(each.act)
                if each.before is not None:
                    todo.append(Todo(each.before.id, each.before.settings, settings_after(each)))
                    if each.act is Act.CHANGE:
                        self._withdrawn.discard(each.before.id)
                    else:
                        self._withdrawn.add(each.before.id)
                        self._keys.pop(("performance", each.before.id), None)
                if each.after is not None:
                    self._set(number, each.before if each.act is Act.CHANGE else None, each.after)
        added = sum(act in (Act.ADD, Act.REPLACE) for act in acts)
        gone = sum(act in (Act.WITHDRAW, Act.REPLACE) for act in acts)
        changed = Changed(added, acts.count(Act.CHANGE), gone)
        self._made[id] = (digest, changed)
        self._todo[len(self._made)] = (id, tuple(todo))
        return changed

    async def pending(self) -> list[Pending]:
        return [
            Pending(
                number,
                id,
                tuple(one for one in todo if self._settings(one.performance) == one.before),
            )
            for number, (id, todo) in self._todo.items()
        ]

    async def told(self, number: int) -> None:
        for todo in self._todo.pop(number)[1]:
            entry = self._catalogue.performances[todo.performance]
            entry.settings = msgspec.json.encode(self._settings(todo.performance))

    def _set(
        self, production: int, before: PerformanceFound | None, wanted: PerformanceWanted
    ) -> None:
        catalogue = self._catalogue
        if before is None:
            settings = msgspec.json.encode(wanted.settings)
            number = catalogue._keep(production, wanted.plan, wanted.starts_ms, settings)
            plan = load_plan(catalogue.plans[wanted.plan][1])
            self._performances.add(number, plan, wanted.settings)
        else:
            number = before.id
            catalogue.performances[number].starts_ms = wanted.starts_ms
        if not wanted.key.startswith(NUMBERED):
            self._keys["performance", number] = wanted.key

    def _settings(self, number: int) -> Settings:
        return self._performances.live[number].core.settings

    def _found(self) -> list[ProductionFound]:
        return [
            ProductionFound(
                one.id,
                self._keys.get(("production", one.id), f"{NUMBERED}{one.id}"),
                one.titles,
                one.subtitles,
                one.currency,
                tuple(
                    self._performance(entry.id)
                    for entry in sorted(
                        self._catalogue.performances.values(),
                        key=lambda entry: (entry.starts_ms, entry.id),
                    )
                    if entry.production.id == one.id
                ),
            )
            for one in self._catalogue.productions.values()
        ]

    def _performance(self, number: int) -> PerformanceFound:
        entry, core = self._catalogue.performances[number], self._performances.live[number].core
        gone = sum(state == "refunded" for state in core.ticket_states.values())
        return PerformanceFound(
            number,
            self._keys.get(("performance", number), f"{NUMBERED}{number}"),
            entry.starts_ms,
            entry.plan,
            core.settings,
            len(core.tickets) - gone,
            self._catalogue.plans[entry.plan][0].places,
            number in self._withdrawn,
        )
