"""A house made again from its copy, whole or not at all.

Everything happens in one transaction of an empty database: tables as they were when the copy
was made, its rows, today's tables, and if so wanted the way back to an earlier moment
(`persistence.rewind`). Whatever goes wrong, the database is as empty as before.

A restored house must not be written by anybody who wrote the old one. Every performance's
epoch is raised by more reigns than there can have been since the copy, so that whoever still
holds one is refused. Mails that waited when the copy was made are not sent by it: the old house
has, or a person decides.
"""

import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from typing import Final, NamedTuple
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from sqlalchemy.pool import NullPool

from persistence.backup import BackupError, BackupFile, BackupProblem, Told
from persistence.ledger import record_restore
from persistence.mails import stop_all
from persistence.migrations import known_revisions, upgrade
from persistence.rewind import RewindTold, rewind
from persistence.url import reaching, sqlalchemy_url

RESTORE_EPOCHS: Final = 1_000_000
"""Reigns that a performance can have had between a copy and its restoration."""


class Restored(NamedTuple):
    """`at` is the moment whose picture the house has now, in its time zone."""

    at: datetime
    rows: int
    """How many there are: those of the copy, less what the way back has taken away."""


async def restore(
    url: str,
    backup: BackupFile,
    until: datetime | None,
    told: Told,
    rewound: RewindTold,
) -> Restored:
    """Fill an empty database.

    A time without an offset is the house's.

    Raises:
        BackupError: DAMAGED, NEWER, NOT_EMPTY, TOO_LATE. The database is empty as it was.
        DatabaseUrlError, DatabaseUnavailable: See persistence.url.
    """
    manifest = backup.manifest
    if manifest.revision not in known_revisions():
        raise BackupError(BackupProblem.NEWER, file=backup.file, version=manifest.version)
    engine = create_async_engine(sqlalchemy_url(url), poolclass=NullPool)
    try:
        with reaching(url):
            async with engine.begin() as connection:
                await _must_be_empty(connection)
                await connection.run_sync(upgrade, manifest.revision)
                await _fill(connection, backup, told)
                await connection.run_sync(upgrade, "head")
                zone = await _zone(connection)
                at = datetime.fromtimestamp(manifest.taken_ms / 1_000, zone)
                if until is not None:
                    until = until if until.tzinfo is not None else until.replace(tzinfo=zone)
                    at = await _go_back(connection, until.astimezone(zone), at, rewound)
                rows = manifest.rows if until is None else await _rows(connection, backup)
                await _begin_anew(connection, at, manifest.taken_ms)
    finally:
        await engine.dispose()
    return Restored(at, rows)


async def _must_be_empty(connection: AsyncConnection) -> None:
    names = list(
        await connection.scalars(
            sa.text(
                "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                "AND relkind IN ('r', 'p', 'v') ORDER BY 1 LIMIT 1"
            )
        )
    )
    if names:
        raise BackupError(BackupProblem.NOT_EMPTY, target=f"public.{names[0]}")


async def _fill(connection: AsyncConnection, backup: BackupFile, told: Told) -> None:
    raw = (await connection.get_raw_connection()).driver_connection
    assert raw is not None
    for table in backup.manifest.tables:
        status = await raw.copy_to_table(
            table.name,
            source=_asynchronous(backup.parts(table)),
            columns=table.columns,
            format="binary",
        )
        if int(status.rpartition(" ")[2]) != table.rows:
            raise BackupError(BackupProblem.DAMAGED, file=backup.file, what=table.name)
        told(table.name, table.rows)
    for name, value in backup.manifest.sequences.items():
        table_name, _, column = name.partition(".")
        await connection.execute(
            sa.text("SELECT setval(pg_get_serial_sequence(:table, :column), :value)"),
            {"table": table_name, "column": column, "value": value},
        )


async def _rows(connection: AsyncConnection, backup: BackupFile) -> int:
    counts = [
        await connection.scalar(sa.select(sa.func.count()).select_from(sa.table(table.name)))
        for table in backup.manifest.tables
    ]
    return sum(count or 0 for count in counts)


async def _asynchronous(parts: Iterator[bytes]) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def _zone(connection: AsyncConnection) -> ZoneInfo:
    name = await connection.scalar(sa.text("SELECT time_zone FROM house ORDER BY id LIMIT 1"))
    return ZoneInfo(name or "UTC")


async def _go_back(
    connection: AsyncConnection, until: datetime, taken: datetime, rewound: RewindTold
) -> datetime:
    if until > taken:
        raise BackupError(BackupProblem.TOO_LATE, until=_plain(until), taken=_plain(taken))
    await rewind(connection, int(until.timestamp() * 1_000), rewound)
    return until


def _plain(at: datetime) -> str:
    return at.isoformat(" ", "seconds")


async def _begin_anew(connection: AsyncConnection, at: datetime, taken_ms: int) -> None:
    await stop_all(connection, "restored from a copy: the old house may have sent it")
    await connection.execute(
        sa.text("UPDATE writers SET epoch = epoch + :reigns, serving = ''"),
        {"reigns": RESTORE_EPOCHS},
    )
    taken = datetime.fromtimestamp(taken_ms / 1_000, UTC)
    ref = f"{at.astimezone(UTC).isoformat()} of a copy of {taken.isoformat()}"
    await record_restore(connection, ref, time.time_ns() // 1_000_000)
