"""What the house shows: itself, its plans, productions and performances.

Rows in, values out; the plan's body and the settings are bytes, read by the
engine. A plan is immutable: the same hash is the same plan. A performance's
settings change through the journal only (the `Configure` command), so there is
no way to set them here.
"""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from persistence.schema import house, performances, plans, productions, tickets, writers

MAX_LISTED: Final = 500
"""Rows in one answer of any list here."""


class House(Struct, frozen=True):
    """An organiser. `ticket_seed` and `session_secret` are key material: never shown."""

    id: int
    name: str
    time_zone: str
    languages: tuple[str, ...]
    settings: dict[str, Any]
    ticket_seed: bytes
    session_secret: bytes


class PlanSummary(Struct, frozen=True):
    hash: str
    name: str
    seats: int
    places: int  # seats and the areas' capacities
    created_ms: int


class Production(Struct, frozen=True):
    """`titles` and `subtitles` by language code."""

    id: int
    organiser: int
    titles: dict[str, str]
    subtitles: dict[str, str]
    currency: str
    info: dict[str, Any]


class PerformanceEntry(Struct, frozen=True):
    """A performance and its production; `settings` is the JSON of engine.settings.Settings."""

    id: int
    production: Production
    plan: str
    starts_ms: int
    settings: bytes


class Catalogue:
    """Every method is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    # The house ------------------------------------------------------------------

    async def house(self) -> House | None:
        """The first organiser, or None in an empty database."""
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(sa.select(house).order_by(house.c.id).limit(1))
            ).one_or_none()
        return None if row is None else _house(row)

    async def create_house(
        self,
        *,
        name: str,
        time_zone: str,
        languages: tuple[str, ...],
        settings: Mapping[str, Any],
        ticket_seed: bytes,
        session_secret: bytes,
        now_ms: int,
    ) -> House:
        """Make the house unless there is one; answers the one that is there afterwards."""
        async with self._engine.begin() as connection:
            await connection.execute(sa.text("LOCK TABLE house IN SHARE ROW EXCLUSIVE MODE"))
            row = (
                await connection.execute(sa.select(house).order_by(house.c.id).limit(1))
            ).one_or_none()
            if row is None:
                row = (
                    await connection.execute(
                        house.insert()
                        .values(
                            name=name,
                            time_zone=time_zone,
                            languages=list(languages),
                            settings=dict(settings),
                            ticket_seed=ticket_seed,
                            session_secret=session_secret,
                            created_ms=now_ms,
                        )
                        .returning(house)
                    )
                ).one()
        return _house(row)

    async def change_house(
        self,
        organiser: int,
        *,
        name: str,
        time_zone: str,
        languages: tuple[str, ...],
        settings: Mapping[str, Any],
    ) -> None:
        """What people see of the house; its keys never change."""
        async with self._engine.begin() as connection:
            await connection.execute(
                house.update()
                .where(house.c.id == organiser)
                .values(
                    name=name,
                    time_zone=time_zone,
                    languages=list(languages),
                    settings=dict(settings),
                )
            )

    # Plans ----------------------------------------------------------------------

    async def add_plan(
        self, *, plan_hash: str, name: str, seats: int, places: int, body: bytes, now_ms: int
    ) -> bool:
        """Keep a plan; False when it was there already."""
        async with self._engine.begin() as connection:
            added = await connection.execute(
                insert(plans)
                .values(
                    hash=plan_hash,
                    name=name,
                    seats=seats,
                    places=places,
                    body=body,
                    created_ms=now_ms,
                )
                .on_conflict_do_nothing()
                .returning(plans.c.hash)
            )
            return added.one_or_none() is not None

    async def plan(self, plan_hash: str) -> bytes | None:
        """The plan's body in our own format."""
        async with self._engine.connect() as connection:
            body: bytes | None = await connection.scalar(
                sa.select(plans.c.body).where(plans.c.hash == plan_hash)
            )
        return body

    async def list_plans(self) -> list[PlanSummary]:
        """Newest first."""
        columns = [plans.c[name] for name in PlanSummary.__struct_fields__]
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(*columns)
                .order_by(plans.c.created_ms.desc(), plans.c.hash)
                .limit(MAX_LISTED)
            )
            return [PlanSummary(*row) for row in rows]

    # Productions ----------------------------------------------------------------

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
        async with self._engine.begin() as connection:
            row = (
                await connection.execute(
                    productions.insert()
                    .values(
                        organiser=organiser,
                        titles=dict(titles),
                        subtitles=dict(subtitles),
                        currency=currency,
                        info=dict(info),
                        created_ms=now_ms,
                    )
                    .returning(*_PRODUCTION)
                )
            ).one()
        return Production(*row)

    async def production(self, number: int) -> Production | None:
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(sa.select(*_PRODUCTION).where(productions.c.id == number))
            ).one_or_none()
        return None if row is None else Production(*row)

    async def list_productions(self) -> list[Production]:
        """Newest first."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                sa.select(*_PRODUCTION).order_by(productions.c.id.desc()).limit(MAX_LISTED)
            )
            return [Production(*row) for row in rows]

    # Performances ---------------------------------------------------------------

    async def create_performance(
        self, production: int, *, plan_hash: str, starts_ms: int, settings: bytes, now_ms: int
    ) -> int:
        """The new performance's number. Raises LookupError when production or plan are unknown."""
        async with self._engine.begin() as connection:
            known = await connection.scalar(
                sa.select(sa.literal(1))
                .select_from(productions.join(plans, plans.c.hash == plan_hash))
                .where(productions.c.id == production)
            )
            if known is None:
                raise LookupError(f"there is no production {production}, or no plan {plan_hash}")
            number: int = (
                await connection.execute(
                    performances.insert()
                    .values(
                        production=production,
                        plan=plan_hash,
                        starts_ms=starts_ms,
                        settings=settings,
                        created_ms=now_ms,
                    )
                    .returning(performances.c.id)
                )
            ).scalar_one()
            await connection.execute(writers.insert().values(performance=number))
        return number

    async def performance(self, number: int) -> PerformanceEntry | None:
        async with self._engine.connect() as connection:
            row = (
                await connection.execute(_SELECT_PERFORMANCES.where(performances.c.id == number))
            ).one_or_none()
        return None if row is None else _performance(row)

    async def list_performances(
        self, *, from_ms: int = 0, until_ms: int = 2**62, limit: int = MAX_LISTED
    ) -> list[PerformanceEntry]:
        """Those that start in [from_ms, until_ms), earliest first.

        What was withdrawn is among them where something was sold in it.
        """
        async with self._engine.connect() as connection:
            rows = await connection.execute(
                _SELECT_PERFORMANCES.where(
                    performances.c.starts_ms >= from_ms,
                    performances.c.starts_ms < until_ms,
                    _IS_SHOWN,
                )
                .order_by(performances.c.starts_ms, performances.c.id)
                .limit(min(limit, MAX_LISTED))
            )
            return [_performance(row) for row in rows]


_PRODUCTION: Final = [productions.c[name] for name in Production.__struct_fields__]
_IS_SHOWN: Final = sa.or_(
    ~performances.c.withdrawn,
    sa.exists().where(tickets.c.performance == performances.c.id),
)
_SELECT_PERFORMANCES: Final = sa.select(
    performances.c.id,
    performances.c.plan,
    performances.c.starts_ms,
    performances.c.settings,
    *[column.label(f"production_{column.name}") for column in _PRODUCTION],
).join_from(performances, productions)


def _house(row: sa.Row[*tuple[Any, ...]]) -> House:
    return House(
        id=row.id,
        name=row.name,
        time_zone=row.time_zone,
        languages=tuple(row.languages),
        settings=row.settings,
        ticket_seed=row.ticket_seed,
        session_secret=row.session_secret,
    )


def _performance(row: sa.Row[*tuple[Any, ...]]) -> PerformanceEntry:
    return PerformanceEntry(
        id=row.id,
        production=Production(*tuple(row)[4:]),
        plan=row.plan,
        starts_ms=row.starts_ms,
        settings=row.settings,
    )
