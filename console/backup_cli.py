"""`strapontin backup` and `strapontin restore`: a house into a file, and a house out of it.

Owns what the person at the terminal sees, which database is meant, and that a data folder
appears whole or not at all. These commands go to the database themselves, as serve does: a copy
must be possible when nothing else works any more.
"""

import asyncio
import contextlib
import shutil
import sys
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from renderers.i18n import Translator

if TYPE_CHECKING:
    from persistence.restore import Restored

REFUSED: Final = 1
COULD_NOT_BEGIN: Final = 2
MEGABYTE: Final = 1_000_000


class _Failure(Exception):
    """Said in one line; nothing was changed."""


def backup(
    file: Path, data: Path | None, database_url: str | None, as_json: bool, t: Translator
) -> int:
    """Copy a house that runs, or one that does not. The exit code: 0 done, 2 could not."""
    from persistence.backup import BackupFile, back_up

    def work() -> int:
        told = _Progress(t, as_json)
        with _running(data, database_url, t) as url:
            manifest = asyncio.run(back_up(url, file, told.table))
        with BackupFile(file) as copy:
            copy.check(lambda table, rows: None)
        if as_json:
            _print_json({"file": str(file), "manifest": manifest})
            return 0
        at = datetime.fromtimestamp(manifest.taken_ms / 1_000).astimezone()
        print(
            t(
                "backup.done",
                file=file,
                rows=manifest.rows,
                tables=len(manifest.tables),
                at=at.isoformat(" ", "seconds"),
                megabytes=f"{file.stat().st_size / MEGABYTE:.1f}",
            )
        )
        print(t("backup.checked"))
        return 0

    return _run(work, t)


def restore(
    file: Path,
    data: Path | None,
    database_url: str | None,
    until: str,
    as_json: bool,
    t: Translator,
) -> int:
    """Make a house from a copy. The exit code: 0 done, 2 could not, and then nothing is there."""
    from persistence.backup import BackupFile
    from persistence.restore import restore as run

    def work() -> int:
        told = _Progress(t, as_json)
        at_most = _time(until, t)
        with BackupFile(file) as copy:
            copy.check(lambda table, rows: None)

            async def fill(url: str) -> "Restored":
                return await run(url, copy, at_most, told.table, told.rewound)

            if database_url is not None:
                done, where = asyncio.run(fill(database_url)), "--database-url ..."
            elif data is not None:
                done, where = _into_folder(data, fill), f"--data {data}"
            else:
                raise _Failure(t("backup.where"))
        _tell_restored(done, where, as_json, t)
        return 0

    return _run(work, t)


def _tell_restored(done: "Restored", where: str, as_json: bool, t: Translator) -> None:
    if as_json:
        _print_json({"at_ms": int(done.at.timestamp() * 1_000), "rows": done.rows})
        return
    print(t("backup.restored", rows=done.rows, at=done.at.isoformat(" ", "seconds")))
    print(t("backup.serve", where=where))


def _run(work: Callable[[], int], t: Translator) -> int:
    from persistence.backup import BackupError
    from persistence.embedded import EmbeddedError
    from persistence.url import DatabaseUnavailable, DatabaseUrlError

    try:
        return work()
    except _Failure as failure:
        text = str(failure)
    except BackupError as error:
        text = t(f"backup.problem.{error.problem}", **error.values)
    except EmbeddedError as error:
        text = t("serve.no_postgres", why=error.why, way_out=error.way_out)
    except (DatabaseUnavailable, DatabaseUrlError) as error:
        text = t("serve.no_database", reason=str(error))
    print(f"strapontin: {text}", file=sys.stderr)
    return COULD_NOT_BEGIN


class _Progress:
    """What is done, line by line; for a program, nothing but the result."""

    def __init__(self, t: Translator, quiet: bool) -> None:
        self._t = t
        self._quiet = quiet

    def table(self, table: str, rows: int) -> None:
        if rows and not self._quiet:
            print(self._t("backup.table", table=table, rows=rows), flush=True)

    def rewound(self, performance: int, count: int, total: int) -> None:
        if not self._quiet:
            words = self._t("backup.rewinding", performance=performance, count=count, total=total)
            print(words, flush=True)


# Which database --------------------------------------------------------------------------


@contextlib.contextmanager
def _running(data: Path | None, database_url: str | None, t: Translator) -> Iterator[str]:
    """The address of a house's database. The embedded server is started where nobody has it."""
    from persistence.backup import BackupError, BackupProblem
    from persistence.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedProblem

    if database_url is not None:
        yield database_url
        return
    if data is None:
        raise _Failure(t("backup.where"))
    if not (data / "postgres" / "PG_VERSION").exists():
        raise BackupError(BackupProblem.NO_HOUSE, path=data)
    server = EmbeddedPostgres(data)
    try:
        server.start()
    except EmbeddedError as error:
        if error.problem is not EmbeddedProblem.IN_USE:
            raise
        yield server.url  # of whoever has it
        return
    try:
        yield server.url
    finally:
        server.stop()


def _into_folder(data: Path, fill: "Callable[[str], Coroutine[Any, Any, Restored]]") -> "Restored":
    """Fill a cluster beside its place, and move it there when it is whole and at rest."""
    from persistence.backup import BackupError, BackupProblem
    from persistence.embedded import EmbeddedPostgres

    data = data.expanduser().resolve()
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise BackupError(BackupProblem.NOT_EMPTY, target=data)
    beside = data.with_name(f".{data.name}.restoring")
    if beside.exists():
        # Left by a restoration that was killed: its server is ended, unless it still works.
        with EmbeddedPostgres(beside):
            pass
        shutil.rmtree(beside)
    try:
        with EmbeddedPostgres(beside) as server:
            done = asyncio.run(fill(server.url))
        with contextlib.suppress(FileNotFoundError):
            data.rmdir()
        beside.rename(data)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return done


def _time(text: str, t: Translator) -> datetime | None:
    if not text:
        return None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise _Failure(t("backup.bad_time", text=text)) from None


def _print_json(value: Any) -> None:
    print(msgspec.json.encode(value).decode())
