"""The programme of a house as a whole: read to be compared, and changed in one transaction.

Owns how a programme becomes rows, all of them or none, and the note of what performance actors
have still to be told (`Configure`): it is written in the same transaction, so that whoever comes
next can tell them, however the first one ended. What nobody has ever served (its writer's epoch is
0) has no actor and no journal: its settings are changed here.

Locks are taken in this order: the house, the writers that never reigned, the performances. An
append locks a writer that reigned and then, for new settings, its performance: it never waits for
somebody here who waits for it.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.season import (
    NUMBERED,
    Act,
    Changed,
    Pending,
    PerformanceChange,
    PerformanceFound,
    PerformanceWanted,
    ProductionChange,
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
from persistence.schema import (
    JSONB,
    house,
    performances,
    plans,
    productions,
    season_changes,
    writers,
)

MAX_FOUND: Final = 5_000
"""Performances read at once."""

_decode_settings = msgspec.json.Decoder(Settings).decode
_encode = msgspec.json.Encoder().encode

_READ: Final = """
SELECT r.id AS production, coalesce(r.key, '#' || r.id) AS production_key, r.titles, r.subtitles,
    r.currency, p.id, coalesce(p.key, '#' || p.id) AS key, p.starts_ms, p.plan, p.settings,
    p.withdrawn, plans.places,
    (SELECT count(*) FROM tickets t WHERE t.performance = p.id AND t.state <> 'refunded') AS sold
FROM productions r LEFT JOIN performances p ON p.production = r.id
LEFT JOIN plans ON plans.hash = p.plan
WHERE {which} ORDER BY r.id, p.starts_ms, p.id LIMIT {limit}
"""
_NAMED: Final = "coalesce(r.key, '#' || r.id) = ANY(:keys)"
_TEXTS: Final[dict[str, Any]] = {"titles": JSONB, "subtitles": JSONB}
_READ_NAMED: Final = sa.text(_READ.format(which=_NAMED, limit=MAX_FOUND)).columns(**_TEXTS)
_READ_COMING: Final = sa.text(
    _READ.format(which="p.starts_ms >= :from_ms AND NOT p.withdrawn", limit=MAX_FOUND)
).columns(**_TEXTS)
_LOCK_COLD: Final = sa.text(f"""
SELECT w.performance FROM writers w JOIN performances p ON p.id = w.performance
JOIN productions r ON r.id = p.production
WHERE w.epoch = 0 AND {_NAMED} ORDER BY w.performance FOR UPDATE OF w
""")
_LOCK_PERFORMANCES: Final = sa.text(f"""
SELECT p.id FROM performances p JOIN productions r ON r.id = p.production
WHERE {_NAMED} ORDER BY p.id FOR NO KEY UPDATE OF p
""")


class Season:
    """Every method is one transaction."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def named(self, keys: Sequence[str]) -> list[ProductionFound]:
        """The productions of these keys, with all their performances, by number."""
        async with self._engine.connect() as connection:
            return await _named(connection, keys)

    async def coming(self, from_ms: int) -> list[ProductionFound]:
        """Productions with what they show from then on, without what was withdrawn."""
        async with self._engine.connect() as connection:
            return _found(await connection.execute(_READ_COMING, {"from_ms": from_ms}))

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
        """Make the house as the programme says: all rows, and the note of whom to tell.

        `compared_with` is the fingerprint of the productions that it names; `digest` stands for
        the request: the same id may be sent again with the same one.
        """
        keys = [production.key for production in programme.productions]
        async with self._engine.begin() as connection:
            await connection.execute(
                sa.select(house.c.id).where(house.c.id == organiser).with_for_update(key_share=True)
            )
            made = await _made(connection, id, digest)
            if made is not None:
                return made
            cold = set(await connection.scalars(_LOCK_COLD, {"keys": keys}))
            await connection.execute(_LOCK_PERFORMANCES, {"keys": keys})
            found = await _named(connection, keys)
            if fingerprint(found) != compared_with:
                return Unchanged(Reason.STALE)
            difference = compare(programme, found, now_ms)
            if difference.faults:
                return Unchanged(Reason.FAULTY, difference.faults)
            unknown = await _unknown_plan(connection, programme)
            if unknown:
                return Unchanged(Reason.PLAN_UNKNOWN, plan=unknown)
            # ---- nothing below refuses ----
            writing = _Writing(connection, organiser, cold, now_ms)
            for change in difference.productions:
                await writing.production(change)
            changed = Changed(writing.added, writing.changed, writing.withdrawn)
            await connection.execute(
                season_changes.insert().values(
                    change_id=id,
                    digest=digest,
                    at_ms=now_ms,
                    outcome=_encode(changed),
                    todo=_encode(writing.todo) if writing.todo else None,
                )
            )
        return changed

    async def pending(self) -> list[Pending]:
        """Changes whose actors were not all told, the oldest first, and whom to tell.

        Who has other settings by now than before the change was told, or by somebody else since.
        """
        async with self._engine.connect() as connection:
            rows = (
                await connection.execute(
                    sa.select(
                        season_changes.c.number, season_changes.c.change_id, season_changes.c.todo
                    )
                    .where(season_changes.c.todo.is_not(None))
                    .order_by(season_changes.c.number)
                )
            ).all()
            todos = [msgspec.json.decode(row.todo, type=tuple[Todo, ...]) for row in rows]
            numbers = sorted({one.performance for todo in todos for one in todo})
            now = {
                number: _decode_settings(settings)
                for number, settings in await connection.execute(
                    sa.select(performances.c.id, performances.c.settings).where(
                        performances.c.id.in_(numbers)
                    )
                )
            }
        return [
            Pending(
                row.number,
                row.change_id,
                tuple([one for one in todo if now.get(one.performance) == one.before]),
            )
            for row, todo in zip(rows, todos, strict=True)
        ]

    async def told(self, number: int) -> None:
        """Everybody was told of this change."""
        async with self._engine.begin() as connection:
            await connection.execute(
                season_changes.update().where(season_changes.c.number == number).values(todo=None)
            )


async def _made(
    connection: AsyncConnection, id: bytes, digest: bytes
) -> Changed | Unchanged | None:
    """What became of the change of this id, if it was made."""
    row = (
        await connection.execute(
            sa.select(season_changes.c.digest, season_changes.c.outcome).where(
                season_changes.c.change_id == id
            )
        )
    ).one_or_none()
    if row is None:
        return None
    if row.digest != digest:
        return Unchanged(Reason.OTHER_CONTENT)
    return msgspec.structs.replace(msgspec.json.decode(row.outcome, type=Changed), again=True)


async def _unknown_plan(connection: AsyncConnection, programme: Programme) -> str:
    """A plan of the programme that nobody has kept; "" when there is none."""
    wanted = {one.plan for production in programme.productions for one in production.performances}
    there = set(
        await connection.scalars(sa.select(plans.c.hash).where(plans.c.hash.in_(sorted(wanted))))
    )
    return min(wanted - there, default="")


class _Writing:
    """The rows of one change, inside its transaction."""

    def __init__(
        self, connection: AsyncConnection, organiser: int, cold: set[int], now_ms: int
    ) -> None:
        self._connection = connection
        self._organiser = organiser
        self._cold = cold
        self._now_ms = now_ms
        self.todo: list[Todo] = []
        self.added = self.changed = self.withdrawn = 0

    async def production(self, change: ProductionChange) -> None:
        wanted = change.after
        values = {
            "titles": wanted.titles,
            "subtitles": wanted.subtitles,
            "currency": wanted.currency,
        }
        if change.before is None:
            number: int = (
                await self._connection.execute(
                    productions.insert()
                    .values(
                        organiser=self._organiser,
                        key=wanted.key,
                        info={},
                        created_ms=self._now_ms,
                        **values,
                    )
                    .returning(productions.c.id)
                )
            ).scalar_one()
        else:
            number = change.before.id
            if change.is_shown_otherwise:
                await self._connection.execute(
                    productions.update().where(productions.c.id == number).values(**values)
                )
        for one in change.performances:
            await self._performance(number, one)

    async def _performance(self, production: int, change: PerformanceChange) -> None:
        before, after = change.before, change.after
        if before is not None and change.act in (Act.WITHDRAW, Act.REPLACE):
            values: dict[str, Any] = {"withdrawn": True}
            # Its key is free for what takes its place.
            await self._change(change, before, values | ({"key": None} if after else {}))
            self.withdrawn += 1
        if after is None:
            return
        if change.act is Act.CHANGE:
            assert before is not None, "what is changed was there"
            values = {"starts_ms": after.starts_ms, "withdrawn": False, "key": _kept_key(after)}
            await self._change(change, before, values)
            self.changed += 1
        else:
            await self._add(production, after)
            self.added += 1

    async def _change(
        self, change: PerformanceChange, before: PerformanceFound, values: dict[str, Any]
    ) -> None:
        settings = settings_after(change)
        if settings != before.settings:
            if before.id in self._cold:
                values = values | {"settings": _encode(settings)}
            else:
                self.todo.append(Todo(before.id, before.settings, settings))
        await self._connection.execute(
            performances.update().where(performances.c.id == before.id).values(**values)
        )

    async def _add(self, production: int, wanted: PerformanceWanted) -> None:
        number: int = (
            await self._connection.execute(
                performances.insert()
                .values(
                    production=production,
                    plan=wanted.plan,
                    starts_ms=wanted.starts_ms,
                    settings=_encode(wanted.settings),
                    key=_kept_key(wanted),
                    created_ms=self._now_ms,
                )
                .returning(performances.c.id)
            )
        ).scalar_one()
        await self._connection.execute(writers.insert().values(performance=number))


def _kept_key(wanted: PerformanceWanted) -> str | None:
    """The key of what is called by its number follows from that."""
    return None if wanted.key.startswith(NUMBERED) else wanted.key


async def _named(connection: AsyncConnection, keys: Sequence[str]) -> list[ProductionFound]:
    return _found(await connection.execute(_READ_NAMED, {"keys": list(keys)}))


def _found(rows: sa.CursorResult[Any]) -> list[ProductionFound]:
    found: dict[int, ProductionFound] = {}
    shown: dict[int, list[PerformanceFound]] = {}
    for row in rows:
        found.setdefault(
            row.production,
            ProductionFound(
                row.production, row.production_key, row.titles, row.subtitles, row.currency
            ),
        )
        of_it = shown.setdefault(row.production, [])
        if row.id is not None:
            of_it.append(
                PerformanceFound(
                    row.id,
                    row.key,
                    row.starts_ms,
                    row.plan,
                    _decode_settings(row.settings),
                    row.sold,
                    row.places,
                    row.withdrawn,
                )
            )
    return [
        msgspec.structs.replace(production, performances=tuple(shown[number]))
        for number, production in found.items()
    ]
