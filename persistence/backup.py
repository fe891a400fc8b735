"""A copy of a whole house in one file, made while it runs.

Owns the file's format, writing it from one moment of the database, and finding out whether a
file is whole. Making a house of it again is `persistence.restore`'s.

The file is a ZIP. Each table is a member `tables/NAME` in Postgres's binary COPY format, which
every server from our oldest on reads and writes alike; `manifest.json` says which columns, how
many rows and which SHA-256 each has, and the archive's comment is the manifest's SHA-256. So
the tools of any system can look into it, and a flipped bit anywhere is found.

The file holds the house's keys: it is made readable by its owner alone.
"""

import asyncio
import os
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from enum import StrEnum
from hashlib import sha256
from importlib import metadata as packages
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from persistence.migrations import head_revision
from persistence.schema import metadata
from persistence.url import Connection, connect, reaching

FORMAT: Final = "strapontin-backup-1"
MANIFEST: Final = "manifest.json"
PART_BYTES: Final = 1024 * 1024
"""Read at once from a member."""
MAX_MANIFEST_BYTES: Final = 4 * 1024 * 1024


_UNREADABLE: Final = (
    *(zipfile.BadZipFile, zlib.error, OSError, EOFError, KeyError, ValueError),
    *(RuntimeError, NotImplementedError),  # what a flipped bit makes zipfile say
)


class BackupProblem(StrEnum):
    """Why a copy cannot be made, or not be used. Nothing was changed."""

    FILE_EXISTS = "file_exists"
    UNUSABLE_FILE = "unusable_file"  # the system's own word for it
    NO_HOUSE = "no_house"  # there is no database where one was said to be
    OTHER_TABLES = "other_tables"  # the database is of another version of this program
    NOT_A_BACKUP = "not_a_backup"
    DAMAGED = "damaged"
    NEWER = "newer"  # made by a newer version of this program
    NOT_EMPTY = "not_empty"
    TOO_LATE = "too_late"  # a time after the copy was made


class BackupError(Exception):
    """`values` complete the sentence for `problem`."""

    def __init__(self, problem: BackupProblem, **values: object) -> None:
        super().__init__(f"{problem}: {values}")
        self.problem = problem
        self.values = values


class TableCopy(Struct, frozen=True):
    name: str
    columns: tuple[str, ...]
    rows: int
    bytes: int
    sha256: str


class Manifest(Struct, frozen=True):
    """What is in the file. `sequences` are the last numbers given, by table and column."""

    format: str
    version: str
    revision: str
    server: str
    taken_ms: int
    tables: tuple[TableCopy, ...]
    sequences: dict[str, int]

    @property
    def rows(self) -> int:
        return sum(table.rows for table in self.tables)


Told = Callable[[str, int], None]
"""Progress: a table and its rows."""


async def back_up(url: str, file: Path, told: Told) -> Manifest:
    """Copy every table as of one moment; whoever works in the house notices nothing.

    Raises:
        BackupError: FILE_EXISTS, UNUSABLE_FILE, OTHER_TABLES.
        DatabaseUrlError, DatabaseUnavailable: See persistence.url.
    """
    partial = _partial(file)
    try:
        try:
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "wb") as opened:
                with zipfile.ZipFile(opened, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                    manifest = await _write(url, archive, told)
                opened.flush()
                os.fsync(opened.fileno())
            partial.replace(file)
        except OSError as error:
            if isinstance(error, ConnectionError):
                raise
            why = error.strerror or str(error)
            raise BackupError(BackupProblem.UNUSABLE_FILE, file=file, why=why) from error
    finally:
        partial.unlink(missing_ok=True)
    return manifest


def _partial(file: Path) -> Path:
    if file.exists():
        raise BackupError(BackupProblem.FILE_EXISTS, file=file)
    return file.with_name(f"{file.name}.part")


async def _write(url: str, archive: zipfile.ZipFile, told: Told) -> Manifest:
    with reaching(url):
        connection = await connect(url)
        try:
            async with connection.transaction(isolation="repeatable_read", readonly=True):
                revision = await _revision(connection)
                if revision != head_revision():
                    raise BackupError(
                        BackupProblem.OTHER_TABLES, found=revision, known=head_revision()
                    )
                server = await connection.fetchval("SELECT current_setting('server_version')")
                taken_ms = time.time_ns() // 1_000_000
                tables = []
                for table in metadata.sorted_tables:
                    columns = tuple(str(column.name) for column in table.columns)
                    tables.append(await _copy(connection, archive, str(table.name), columns))
                    told(table.name, tables[-1].rows)
                sequences = await _sequences(connection)
        finally:
            await asyncio.shield(connection.close())
    manifest = Manifest(FORMAT, _version(), revision, server, taken_ms, tuple(tables), sequences)
    body = msgspec.json.format(msgspec.json.encode(manifest))
    archive.writestr(MANIFEST, body)
    archive.comment = sha256(body).hexdigest().encode()
    return manifest


async def _revision(connection: Connection) -> str:
    if await connection.fetchval("SELECT to_regclass('alembic_version')") is None:
        raise BackupError(BackupProblem.OTHER_TABLES, found="-", known=head_revision())
    revision: str | None = await connection.fetchval("SELECT version_num FROM alembic_version")
    return revision or "-"


async def _copy(
    connection: Connection, archive: zipfile.ZipFile, name: str, columns: tuple[str, ...]
) -> TableCopy:
    digest, size = sha256(), 0
    with archive.open(f"tables/{name}", "w", force_zip64=True) as member:

        async def keep(part: bytes) -> None:
            nonlocal size
            digest.update(part)
            size += len(part)
            member.write(part)

        status = await connection.copy_from_table(
            name, columns=columns, output=keep, format="binary"
        )
    return TableCopy(name, columns, int(status.rpartition(" ")[2]), size, digest.hexdigest())


async def _sequences(connection: Connection) -> dict[str, int]:
    """Sequences know no moments: what they gave meanwhile is higher, which does no harm."""
    last: dict[str, int] = {}
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.identity is not None:
                sequence = await connection.fetchval(
                    "SELECT pg_get_serial_sequence($1, $2)", table.name, column.name
                )
                value = await connection.fetchval(
                    "SELECT pg_sequence_last_value($1::regclass)", sequence
                )
                if value is not None:
                    last[f"{table.name}.{column.name}"] = value
    return last


def _version() -> str:
    try:
        return packages.version("strapontin")
    except packages.PackageNotFoundError:
        return "?"


class BackupFile:
    """A copy, opened and found whole: as a context manager it is closed at the end."""

    def __init__(self, file: Path) -> None:
        """Raises BackupError: UNUSABLE_FILE, NOT_A_BACKUP, DAMAGED."""
        self.file = file
        try:
            self._archive = zipfile.ZipFile(file)
        except OSError as error:
            why = error.strerror or str(error)
            raise BackupError(BackupProblem.UNUSABLE_FILE, file=file, why=why) from error
        except zipfile.BadZipFile as error:
            raise BackupError(BackupProblem.NOT_A_BACKUP, file=file) from error
        try:
            self.manifest = self._read_manifest()
        except BaseException:
            self._archive.close()
            raise

    def __enter__(self) -> "BackupFile":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def check(self, told: Told) -> None:
        """Read all of it. Raises BackupError: DAMAGED, at the first table that is not whole."""
        for table in self.manifest.tables:
            digest = sha256()
            for part in self.parts(table):
                digest.update(part)
            if digest.hexdigest() != table.sha256:
                raise BackupError(BackupProblem.DAMAGED, file=self.file, what=table.name)
            told(table.name, table.rows)

    def parts(self, table: TableCopy) -> Iterator[bytes]:
        """A table's rows as COPY wrote them. Raises BackupError: DAMAGED."""
        try:
            with self._archive.open(f"tables/{table.name}") as member:
                while part := member.read(PART_BYTES):
                    yield part
        except _UNREADABLE as error:
            raise BackupError(BackupProblem.DAMAGED, file=self.file, what=table.name) from error

    def _read_manifest(self) -> Manifest:
        damaged = BackupError(BackupProblem.DAMAGED, file=self.file, what=MANIFEST)
        try:
            if self._archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
                raise damaged
            body = self._archive.read(MANIFEST)
        except KeyError as error:
            raise BackupError(BackupProblem.NOT_A_BACKUP, file=self.file) from error
        except _UNREADABLE as error:
            raise damaged from error
        if sha256(body).hexdigest().encode() != self._archive.comment:
            raise damaged
        told: Any = msgspec.json.decode(body)
        if not isinstance(told, dict) or told.get("format") != FORMAT:
            raise BackupError(BackupProblem.NOT_A_BACKUP, file=self.file)
        return msgspec.convert(told, Manifest)
