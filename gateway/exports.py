"""Tables of any length on their way out, each written by a process of its own.

Owns those processes: how many there are, the messages to them, and their end, which comes with
whoever waits for the table. What is read from the database is handed on page by page; the next is
read while one is written, and nothing of it is kept here.
"""

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from engine.listing import Listed
from gateway.backend import BackendUnavailable
from gateway.limits import MAX_EXPORTS
from gateway.problems import Problem
from renderers import sheet_process
from renderers.sheet_process import Add, Begin, End, Message
from renderers.ticket_sheet import Showing

_ROOT = Path(sheet_process.__file__).parents[1]


class Sheet:
    """One process. Everything raises BackendUnavailable when it has died."""

    def __init__(self, process: "subprocess.Popen[bytes]", threads: ThreadPoolExecutor) -> None:
        self._process = process
        self._threads = threads
        self._encode = msgspec.msgpack.Encoder().encode

    async def begin(self, language: str, time_zone: str, file: Path | None = None) -> bytes:
        """`file` is where an XLSX is made; without one, what is answered is a CSV."""
        if file is None:
            return await self._ask(Begin(language, time_zone))
        return await self._ask(Begin(language, time_zone, str(file.parent), file.name))

    async def add(
        self, rows: list[Listed], plans: dict[str, bytes], showings: dict[int, Showing]
    ) -> bytes:
        return await self._ask(Add(rows, plans, showings))

    async def end(self) -> bytes:
        return await self._ask(End())

    async def _ask(self, message: Message) -> bytes:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._exchange, self._encode(message))

    def _exchange(self, content: bytes) -> bytes:
        inward, outward = self._process.stdin, self._process.stdout
        assert inward is not None and outward is not None
        try:
            sheet_process.send(inward, content)
            answered = sheet_process.receive(outward)
        except (OSError, ValueError):  # it has gone, or was ended here
            answered = None
        if answered is None:
            raise BackendUnavailable("the process that writes the table has died")
        return answered


class Exports:
    """Raises Problem("busy") where MAX_EXPORTS are under way."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(MAX_EXPORTS, "export")
        self._processes: set[subprocess.Popen[bytes]] = set()

    @contextlib.asynccontextmanager
    async def sheet(self) -> AsyncIterator[tuple[Sheet, Path]]:
        """A process that writes a table, and a folder for it; both are gone afterwards."""
        if len(self._processes) >= MAX_EXPORTS:
            raise Problem("busy", "too many exports at once", headers={"Retry-After": "20"})
        process = _started()
        self._processes.add(process)
        try:
            with tempfile.TemporaryDirectory(prefix="strapontin-export-") as folder:
                try:
                    yield Sheet(process, self._threads), Path(folder)
                finally:
                    # Before its folder: it must not write there any more.
                    process.kill()
                    await asyncio.to_thread(process.wait)
        finally:
            self._processes.discard(process)
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _started() -> "subprocess.Popen[bytes]":
    """It finds the product where this process did."""
    path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH", ""))))
    return subprocess.Popen(
        [sys.executable, "-m", sheet_process.__name__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path},
    )
