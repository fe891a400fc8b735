"""An installation of the rehearsal's own: `strapontin serve` in a folder that is gone afterwards.

Owns starting it, finding its processes and ending it. It is served as an operator
serves it, by a process of its own, so that any of its processes may be killed. Only
descendants of the process that was started here are ever touched.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psutil

START_S: Final = 90.0
STOP_S: Final = 60.0
POLL_S: Final = 0.2
ADMIN: Final = "admin"
_NOT_OURS: Final = ("DATABASE_URL", "STRAPONTIN_STRIPE_KEY", "STRAPONTIN_PUBLIC_URL")
"""Settings of the operator's own house, which a throw-away one must not have."""


class CannotBegin(Exception):
    """One line: what is wrong, and the way out."""


class Installation:
    """A served house. `data` is its folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.url = f"http://127.0.0.1:{_free_port()}"
        self._log = data.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers. Raises CannotBegin with the last words of the server."""
        environ = {key: value for key, value in os.environ.items() if key not in _NOT_OURS}
        root = str(Path(__file__).parents[2])
        known = [part for part in (root, environ.get("PYTHONPATH", "")) if part]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(self.url.rpartition(":")[2]),
                stdout=log,
                stderr=log,
                env=environ | {"PYTHONPATH": os.pathsep.join(known)},
                start_new_session=True,
            )
        ends_s = time.monotonic() + START_S
        process = self._process
        while time.monotonic() < ends_s and process.poll() is None:
            if self._answers():
                return
            time.sleep(POLL_S)
        self.stop()
        words = self._log.read_text(errors="replace").strip().splitlines()[-5:]
        raise CannotBegin("the throw-away installation did not start: " + " / ".join(words))

    def command(self, port: str) -> list[str]:
        """What serves it."""
        serve = ["serve", "--data", str(self.data), "--port", port]
        return [sys.executable, "-m", "console", *serve]

    def stop(self) -> None:
        """As Ctrl-C does; whatever is left after that is killed."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        below = self._below()
        process.send_signal(signal.SIGINT)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for each in below:
            with contextlib.suppress(psutil.Error):
                each.kill()

    @property
    def password(self) -> str:
        """The administrator's."""
        found: str = json.loads((self.data / "demo-logins.json").read_text())[ADMIN]
        return found

    @property
    def database_url(self) -> str:
        from persistence.embedded import EmbeddedPostgres

        return EmbeddedPostgres(self.data).url

    def processes(self, title: str) -> list[psutil.Process]:
        """Those of an actor class, running under this installation."""
        return [each for each in self._below() if _title(each).startswith(f"ray::{title}")]

    def database(self) -> list[psutil.Process]:
        """The embedded server's first process."""
        file = self.data / "postgres" / "postmaster.pid"
        with contextlib.suppress(OSError, ValueError, psutil.Error):
            return [psutil.Process(int(file.read_text().split()[0]))]
        return []

    def _below(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            if self._process is not None:
                below: list[psutil.Process] = psutil.Process(self._process.pid).children(True)
                return below
        return []

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(json.load(answer)["ready"])
        except (OSError, ValueError):
            return False


@contextlib.contextmanager
def own() -> Iterator[Installation]:
    """An installation that is there for as long as the block, also when that is terminated.

    Raises:
        CannotBegin: It does not start.
    """
    # SIGTERM would end this process and leave the installation behind: it becomes a Ctrl-C.
    before = signal.signal(signal.SIGTERM, _interrupt)
    with tempfile.TemporaryDirectory(prefix="strapontin-rehearsal-") as folder:
        Path(folder).chmod(0o755)  # Postgres may run as another user
        installation = Installation(Path(folder) / "data")
        try:
            installation.start()
            yield installation
        finally:
            installation.stop()
            signal.signal(signal.SIGTERM, before)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
