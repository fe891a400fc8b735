"""`strapontin serve` as a process of its own, and the processes under it, to be killed.

Owns starting, finding and ending them. Every process it ends is a descendant of
the server that it started itself.
"""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import psutil

START_S = 90.0
STOP_S = 60.0
CHECKOUT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class ServedHouse:
    """A demo house, served from `data`; as a context manager it is stopped at the end.

    `module` serves it instead of the command, with one of its rules switched off.
    """

    def __init__(self, data: Path, *, module: str = "", start_s: float = START_S) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._module = module
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None
        self.log = data.with_suffix(".log")

    def __enter__(self) -> "ServedHouse":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Returns when the house answers; raises with the server's own words otherwise."""
        if self._module:
            command = [sys.executable, "-m", self._module, str(self.data), str(self.port)]
        else:
            serve = ["serve", "--data", str(self.data), "--port", str(self.port)]
            command = [str(Path(sys.executable).with_name("strapontin")), *serve]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                cwd=CHECKOUT,
                env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
                start_new_session=True,
            )
        ends_s = time.monotonic() + self._start_s
        while time.monotonic() < ends_s:
            if self._process.poll() is not None:
                break
            if self.answers():
                return
            time.sleep(0.2)
        self.stop()
        raise RuntimeError(f"the server did not start:\n{self.log.read_text()}")

    def stop(self) -> int:
        """Ctrl-C; the exit code. Whatever is left of it after that is killed."""
        process = self._process
        assert process is not None
        if process.poll() is None:
            below = psutil.Process(process.pid).children(recursive=True)
            process.send_signal(signal.SIGINT)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                for each in below:
                    _kill(each)
                process.kill()
                process.wait()
        return process.returncode

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as answer:
                return bool(json.load(answer)["ready"])
        except (OSError, ValueError):
            return False

    @property
    def logins(self) -> dict[str, str]:
        """Passwords by field of the demo's logins, and the scanner's token."""
        logins: dict[str, str] = json.loads((self.data / "demo-logins.json").read_text())
        return logins

    def processes(self, kind: str) -> list[psutil.Process]:
        """Those of an actor class ("PerformanceProcess"), or the "postgres" server."""
        assert self._process is not None
        below = psutil.Process(self._process.pid).children(recursive=True)
        if kind == "postgres":
            pid = int((self.data / "postgres" / "postmaster.pid").read_text().split()[0])
            return [psutil.Process(pid)]
        return [each for each in below if _title(each).startswith(f"ray::{kind}")]

    def kill(self, kind: str, number: int = signal.SIGKILL) -> int:
        """Send a signal (kill -9 unless told otherwise) to every such process; how many."""
        found = self.processes(kind)
        for each in found:
            each.send_signal(number)
        return len(found)

    def http(self, path: str, body: Any = None, token: str = "") -> Any:
        """JSON in, JSON out. Raises urllib.error.HTTPError, or OSError when nobody answers."""
        headers = {"Content-Type": "application/json"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, headers)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    async def ask(self, path: str, body: Any = None, token: str = "") -> Any:
        """`http`, in a thread."""
        return await asyncio.to_thread(self.http, path, body, token)


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def _kill(process: psutil.Process) -> None:
    try:
        process.kill()
    except psutil.Error:
        return
