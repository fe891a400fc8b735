"""The embedded server: it comes back from every death, and says clearly why it cannot start."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from persistence import embedded
from persistence.embedded import EmbeddedError, EmbeddedPostgres, EmbeddedProblem
from persistence.url import connect

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def made() -> Iterator[Path]:
    """A data directory with a cluster in it: making one takes a second or more."""
    home = Path(tempfile.mkdtemp(prefix="strapontin-embedded-"))
    with EmbeddedPostgres(home / "data"):
        pass
    yield home / "data"
    shutil.rmtree(home)


@pytest.fixture
def server(made: Path) -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(made) as running:
        yield running


@pytest.fixture
def empty() -> Iterator[Path]:
    home = Path(tempfile.mkdtemp(prefix="strapontin-embedded-"))
    yield home
    shutil.rmtree(home)


def ask(url: str, query: str) -> Any:
    async def run() -> Any:
        connection = await connect(url)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(run())


def kill(pid: int | None) -> None:
    """kill -9, and wait until it is gone; a child of ours stays a zombie."""
    assert pid is not None
    process = psutil.Process(pid)
    process.kill()
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)


# Life ---------------------------------------------------------------------------


def test_it_serves_our_database_durably_and_to_its_own_user_only(server: EmbeddedPostgres) -> None:
    assert server.url.startswith("postgresql+asyncpg://")
    assert ask(server.url, "SELECT current_database()") == "strapontin"
    for setting, value in (
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("listen_addresses", ""),
        ("server_encoding", "UTF8"),
    ):
        assert ask(server.url, f"SHOW {setting}") == value
    sockets = list((server.data_dir / "postgres").glob(".s.PGSQL.5432"))
    assert [stat.S_IMODE(found.stat().st_mode) for found in sockets] == [0o700]
    assert ask(server.url, "SELECT lower('ÉLÉONORE')") == "éléonore"


def test_ctrl_c_at_the_terminal_does_not_reach_it(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    assert os.getsid(server.pid) != os.getsid(0)


def test_stopped_and_started_again_at_once_it_has_everything(made: Path) -> None:
    server = EmbeddedPostgres(made)
    server.start()
    ask(server.url, "CREATE TABLE kept AS SELECT 7 AS seat")
    for _ in range(2):
        server.stop()
        assert server.pid is None
        with pytest.raises((OSError, asyncpg.PostgresError)):
            ask(server.url, "SELECT 1")
        server.start()
    assert ask(server.url, "SELECT seat FROM kept") == 7
    ask(server.url, "DROP TABLE kept")
    server.stop()
    server.stop()  # does nothing


def test_killed_it_is_started_again_with_what_was_committed(server: EmbeddedPostgres) -> None:
    ask(server.url, "CREATE TABLE committed AS SELECT 7 AS seat")
    assert server.ensure_running() is False
    url, before = server.url, server.pid
    kill(before)
    assert server.pid is None
    assert server.ensure_running() is True
    assert server.pid not in (None, before)
    assert server.url == url
    assert ask(url, "SELECT seat FROM committed") == 7
    ask(url, "DROP TABLE committed")


def test_a_worker_that_outlives_the_killed_server_does_not_keep_it_down(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "KILL_TIMEOUT_S", 0.3)

    async def busy_when_killed() -> int:
        connection = await connect(server.url)
        pid: int = await connection.fetchval("SELECT pg_backend_pid()")
        # Frozen, it cannot notice that its server died, and keeps the shared memory.
        os.kill(pid, signal.SIGSTOP)
        kill(server.pid)
        connection.terminate()
        return pid

    worker = asyncio.run(busy_when_killed())
    assert server.ensure_running()
    assert ask(server.url, "SELECT 1") == 1
    assert not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie"


def test_a_pid_file_that_names_another_program_is_not_believed(made: Path) -> None:
    pid_file = made / "postgres" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{made}\n1\n5432\n\n\n  1234  5678\nready\n")
    if os.geteuid() == 0:
        shutil.chown(pid_file, embedded.SYSTEM_USER)
    with EmbeddedPostgres(made) as server:
        assert ask(server.url, "SELECT 1") == 1


def test_ensure_running_belongs_between_start_and_stop(made: Path) -> None:
    server = EmbeddedPostgres(made)
    with pytest.raises(RuntimeError):
        server.ensure_running()


def test_the_log_does_not_grow_from_run_to_run(made: Path) -> None:
    for _ in range(3):
        with EmbeddedPostgres(made):
            pass
    assert sorted(found.name for found in made.glob("postgres.log*")) == [
        "postgres.log",
        "postgres.log.1",
    ]
    assert (made / "postgres.log").read_text().count("ready to accept connections") == 1


# One owner ----------------------------------------------------------------------

OWNER = """
import sys, time
from pathlib import Path
from persistence.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""


def test_a_second_owner_is_told_who_the_first_is(server: EmbeddedPostgres) -> None:
    with pytest.raises(EmbeddedError, match=f"pid {os.getpid()}") as caught:
        EmbeddedPostgres(server.data_dir).start()
    assert caught.value.problem is EmbeddedProblem.IN_USE
    assert caught.value.path == server.data_dir
    assert ask(server.url, "SELECT 1") == 1


def test_the_server_of_a_killed_owner_is_taken_over(made: Path) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(made)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    orphan = int(owner.stdout.readline())
    with pytest.raises(EmbeddedError, match=f"pid {owner.pid}"):
        EmbeddedPostgres(made).start()
    owner.kill()
    owner.wait()
    owner.stdout.close()
    assert psutil.pid_exists(orphan)
    with EmbeddedPostgres(made) as server:
        assert server.pid not in (None, orphan)
        assert ask(server.url, "SELECT 1") == 1
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == "zombie"


# Odd places ---------------------------------------------------------------------


@pytest.mark.parametrize("name", ["x" * 100, "l'été, à 20 h"])
def test_paths_that_are_too_long_or_oddly_named_work(empty: Path, name: str) -> None:
    with EmbeddedPostgres(empty / name) as server:
        assert ask(server.url, "SELECT 1") == 1
        kill(server.pid)
        server.ensure_running()
        assert ask(server.url, "SELECT 1") == 1
        socket_dir = server._socket_dir()
        assert stat.S_IMODE(socket_dir.stat().st_mode) == 0o700
    assert not socket_dir.exists()


def test_a_socket_directory_made_by_somebody_else_is_refused(empty: Path) -> None:
    server = EmbeddedPostgres(empty / ("x" * 100))
    socket_dir = server._socket_dir()
    socket_dir.mkdir(mode=0o777)
    socket_dir.chmod(0o777)
    try:
        with pytest.raises(EmbeddedError, match="belongs to somebody else"):
            server.start()
    finally:
        socket_dir.rmdir()


def test_what_a_killed_first_start_left_behind_is_made_anew(empty: Path) -> None:
    half = empty / "data" / "postgres.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(empty / "data") as server:
        assert ask(server.url, "SELECT 1") == 1
    assert not half.exists()


# Refusals -----------------------------------------------------------------------


def refusal(server: EmbeddedPostgres) -> EmbeddedError:
    with pytest.raises(EmbeddedError) as caught:
        server.start()
    assert server.pid is None
    error = caught.value
    assert str(error) == f"{error.why} {error.way_out}"
    assert str(error.path) in error.why or error.problem is EmbeddedProblem.UNSUPPORTED
    assert "\n" not in str(error)
    return error


def test_a_directory_that_cannot_be_written_is_named(empty: Path) -> None:
    (empty / "file").write_text("")
    error = refusal(EmbeddedPostgres(empty / "file" / "data"))
    assert error.problem is EmbeddedProblem.NOT_WRITABLE


def test_a_full_disk_is_named_before_anything_is_written(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "MIN_FREE_BYTES", 2**62)
    server = EmbeddedPostgres(empty / "data")
    assert refusal(server).problem is EmbeddedProblem.DISK_FULL
    assert not (empty / "data" / "postgres").exists()
    monkeypatch.undo()
    with server:  # the lock was given back
        assert ask(server.url, "SELECT 1") == 1


def test_a_platform_without_binaries_is_told_of_the_way_out(
    empty: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda name: None)
    error = refusal(EmbeddedPostgres(empty / "data"))
    assert error.problem is EmbeddedProblem.UNSUPPORTED
    assert "--database-url" in error.way_out


def test_files_of_another_version_are_not_touched_and_postgres_is_quoted(made: Path) -> None:
    version = made / "postgres" / "PG_VERSION"
    ours = version.read_text()
    version.write_text("11\n")
    try:
        error = refusal(EmbeddedPostgres(made))
        assert error.problem is EmbeddedProblem.FAILED
        assert "incompatible" in error.why
    finally:
        version.write_text(ours)
    with EmbeddedPostgres(made) as server:
        assert ask(server.url, "SELECT 1") == 1
