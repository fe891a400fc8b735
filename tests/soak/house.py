"""The installation that is broken: served as an operator serves it, its network in our hands.

Owns the database (on a small disk where one can be had), the paths between the parts,
and finding processes. Every process that it ends is one that it started, or below one.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path as Folder
from typing import Final

import psutil

from bench.rehearsal.installation import Installation
from persistence.embedded import EmbeddedError, EmbeddedPostgres
from tests.faults.disk import NoSmallDisk, SmallDisk, small_disk
from tests.faults.proxy import Path
from tests.soak.server import CONTROL

WATCH_S: Final = 0.3
"""How soon a killed database is noticed and started again, as `serve` does with its own."""
SOCKET: Final = ".s.PGSQL.5432"


class _Served(Installation):
    def __init__(self, data: Folder, database_url: str, without: str) -> None:
        super().__init__(data)
        self._database_url = database_url
        self._without = without

    def command(self, port: str) -> list[str]:
        served = ["-m", "tests.soak.server", str(self.data), port, self._database_url]
        return [sys.executable, *served, self._without]


class House:
    """See `soak_house`.

    Attributes:
        url: Where clients find it, through `clients`.
        database_url: Past every fault, for whoever reads the record.
        clients, database, lanes, journal: The paths from clients to the gateway, from all
            parts to the database, from gateway and desk to performances, and from those to
            the journal.
        disk: Under the database; None with the reason in `no_disk`.
        writers: The process that was last told to serve each performance.
    """

    def __init__(self, postgres: EmbeddedPostgres, disk: SmallDisk | None, no_disk: str) -> None:
        self.clients, self.database, self.lanes, self.journal = Path(), Path(), Path(), Path()
        self.disk, self.no_disk = disk, no_disk
        self.postgres = postgres
        self.database_url = postgres.url
        self.url = ""
        self.writers: dict[int, int] = {}
        self.served: Installation

    def database_processes(self) -> list[psutil.Process]:
        pid = self.postgres.pid
        with contextlib.suppress(psutil.Error):
            return [] if pid is None else [psutil.Process(pid)]
        return []

    def writer(self, performance: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            pid = self.writers.get(performance, 0)
            return [psutil.Process(pid)] if pid else []
        return []

    async def told(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A line from an actor: what it serves, or a lane to be led through a path."""
        match (await reader.readline()).decode().split():
            case ["serves", performance, pid]:
                self.writers[int(performance)] = int(pid)
                writer.write(b"\n")
            case ["forward", kind, port]:
                path = self.journal if kind == "journal" else self.lanes
                writer.write(b"%d\n" % await path.forward(("127.0.0.1", int(port))))
        await writer.drain()
        writer.close()

    async def keep_database(self) -> None:
        """Start it again whenever it has died."""
        while True:
            try:
                await asyncio.to_thread(self.postgres.ensure_running)
            except EmbeddedError:
                await asyncio.sleep(1.0)
            await asyncio.sleep(WATCH_S)


@contextlib.asynccontextmanager
async def soak_house(folder: Folder, without: str) -> AsyncIterator[House]:
    """Served for as long as the block; `without` is a rule of the product, or ""."""
    async with contextlib.AsyncExitStack() as stack:
        disk, no_disk = None, ""
        try:
            disk = stack.enter_context(small_disk(folder))
        except NoSmallDisk as reason:
            no_disk = str(reason)
        postgres = EmbeddedPostgres((disk.folder if disk else folder) / "database")
        await asyncio.to_thread(postgres.start)
        stack.callback(postgres.stop)
        house = House(postgres, disk, no_disk)
        for path in (house.clients, house.database, house.lanes, house.journal):
            stack.callback(path.close)
        keeper = asyncio.create_task(house.keep_database())
        stack.push_async_callback(_end, keeper)
        control = await asyncio.start_server(house.told, "127.0.0.1", 0)
        stack.callback(control.close)
        os.environ[CONTROL] = str(control.sockets[0].getsockname()[1])
        port = await house.database.forward(_socket_of(house.database_url))
        url = f"postgresql://postgres@127.0.0.1:{port}/strapontin"
        house.served = served = _Served(folder / "data", url, without)
        stack.push_async_callback(asyncio.to_thread, served.stop)
        await asyncio.to_thread(served.start)
        house.url = await _led_through(house.clients, served.url)
        yield house


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def _socket_of(url: str) -> str:
    from persistence.url import sqlalchemy_url

    return str(Folder(str(sqlalchemy_url(url).query["host"])) / SOCKET)


async def _led_through(path: Path, url: str) -> str:
    port = await path.forward(("127.0.0.1", int(url.rpartition(":")[2])))
    return f"http://127.0.0.1:{port}"
