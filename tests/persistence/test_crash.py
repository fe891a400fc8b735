"""kill -9 in the middle of a stream of sales: what was acknowledged is there, and whole."""

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.journal import Written
from persistence.embedded import EmbeddedPostgres
from persistence.journal import JournalError
from persistence.migrations import migrate
from persistence.store import Store
from persistence.url import connect
from tests.persistence.houses import batch, open_house, selling

SEATS_PER_BATCH = 4
BEFORE_THE_KILL = 25


@pytest.fixture
def server() -> Iterator[EmbeddedPostgres]:
    home = Path(tempfile.mkdtemp(prefix="strapontin-crash-"))
    with EmbeddedPostgres(home / "data") as running:
        yield running
    shutil.rmtree(home)


async def kill_the_server(server: EmbeddedPostgres) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)


async def kill_a_worker(server: EmbeddedPostgres) -> None:
    """Postgres then throws everybody out and recovers by itself."""
    connection = await connect(server.url)
    pid = await connection.fetchval("SELECT pg_backend_pid()")
    os.kill(pid, signal.SIGKILL)
    connection.terminate()


async def tail(store: Store, performance: int) -> list[tuple[int, bytes]]:
    claimed = await store.journal.claim(performance, "after")
    found, seq = list[tuple[int, bytes]](), 0
    while seq < claimed.head_seq:
        found += await store.journal.tail_page(performance, seq, claimed.head_seq)
        seq = found[-1][0]
    return found


@pytest.mark.parametrize("kill", [kill_the_server, kill_a_worker])
async def test_every_acknowledged_sale_survives(server: EmbeddedPostgres, kill) -> None:  # type: ignore[no-untyped-def]
    await migrate(server.url)
    async with await Store.open(server.url) as store:
        house = await open_house(store)
        claimed = await store.journal.claim(house.first, "before")
        acknowledged: list[tuple[int, bytes]] = []
        killing: asyncio.Task[None] | None = None
        with pytest.raises(JournalError):
            for number in range(100_000):
                first_seat = number * SEATS_PER_BATCH
                seats = range(first_seat, first_seat + SEATS_PER_BATCH)
                sale = batch(
                    claimed, 3 * number, projection=selling(*seats, first_number=first_seat)
                )
                assert await store.journal.append([sale]) == [Written.WRITTEN]
                acknowledged.append((sale.seq, sale.events))
                if number == BEFORE_THE_KILL:
                    killing = asyncio.create_task(kill(server))
        assert killing is not None
        await killing
        await asyncio.to_thread(server.ensure_running)

        found = await until_it_answers(store, house.first)
        assert found[: len(acknowledged)] == acknowledged
        assert len(found) - len(acknowledged) in (0, 1)  # the one whose result nobody heard
        totals = await store.sales.totals(house.first)
        assert totals.sold == len(found) * SEATS_PER_BATCH
        assert (await store.catalogue.house()) is not None  # the pool recovered too


async def until_it_answers(store: Store, performance: int) -> list[tuple[int, bytes]]:
    async with asyncio.timeout(30):
        while True:
            try:
                return await tail(store, performance)
            except JournalError:
                await asyncio.sleep(0.05)
