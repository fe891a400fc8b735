"""kill -9 of every process, each in the middle of a stream of sales; `make soak` goes on longer.

What must hold: no acknowledged sale lost, no seat sold twice, money equals
tickets, clients go on. The same stream against a server whose commit rule is
switched off loses sales, which proves that these tests can see it.
"""

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgpack
import psutil
import pytest
from websockets.asyncio.client import connect

from engine.feed import Replica
from persistence.embedded import EmbeddedPostgres
from persistence.url import connect as connect_database
from tests.integration.buyers import Buyers, Sale
from tests.integration.careless_writer import COMMIT_DELAY_S
from tests.integration.server import ServedHouse

pytestmark = [pytest.mark.timeout(300)]

PERFORMANCE = 1
BUYERS = 6
SALES_BETWEEN = 6
TARGETS = (
    "PerformanceProcess",
    "JournalProcess",
    "GatewayProcess",
    "postgres",
    "DeskProcess",
    "DirectoryProcess",
)


@pytest.fixture
def data() -> Iterator[Path]:
    # Not under pytest's own folder, which it closes to the user that Postgres runs as.
    with tempfile.TemporaryDirectory(prefix="strapontin-test-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder) / "data"


async def rows(data: Path, query: str) -> list[Any]:
    connection = await connect_database(EmbeddedPostgres(data).url)
    try:
        return list(await connection.fetch(query))
    finally:
        await connection.close()


async def lost_sales(data: Path, sales: list[Sale]) -> list[Sale]:
    """Acknowledged sales with a ticket that the database does not know as sold."""
    found = {
        (row["number"], row["seat"], row["order_id"])
        for row in await rows(data, "SELECT * FROM tickets WHERE state = 'valid'")
    }
    return [
        sale
        for sale in sales
        if any((number, seat, sale.order) not in found for number, seat in sale.tickets)
    ]


async def seats_sold_twice(data: Path) -> list[Any]:
    return await rows(
        data,
        "SELECT performance, seat, count(*) FROM tickets WHERE seat >= 0 AND state <> 'refunded'"
        " GROUP BY 1, 2 HAVING count(*) > 1",
    )


async def money(data: Path) -> tuple[int, int]:
    """(kept by the house, price of the live tickets), in minor units."""
    kept = await rows(data, "SELECT coalesce(sum(captured - refunded), 0)::int FROM payments")
    sold = await rows(
        data, "SELECT coalesce(sum(amount), 0)::int FROM tickets WHERE state = 'valid'"
    )
    return kept[0][0], sold[0][0]


async def colours(house: ServedHouse) -> Replica:
    """The seat feed's picture, as a client that has just come sees it."""
    session = await house.ask("/api/session", {})
    plan = (await house.ask(f"/api/performances/{PERFORMANCE}"))["plan"]
    view = await house.ask(f"/api/plans/{plan}")
    replica = Replica(PERFORMANCE, len(view["label"]), len(view["areas"]))
    async with connect(house.url.replace("http", "ws", 1) + "/ws", compression=None) as socket:
        await socket.send(msgpack.packb(["hello", session["token"], "en"]))
        await socket.recv()
        await socket.send(msgpack.packb(["watch", PERFORMANCE, 0, 0]))
        async with asyncio.timeout(20):
            while not replica.seq and not replica.epoch:
                frame = await socket.recv()
                assert isinstance(frame, bytes)
                if msgpack.unpackb(frame)[0] == "snapshot":
                    replica.apply(frame)
    return replica


async def test_no_acknowledged_sale_is_lost_whatever_is_killed_or_paused(data: Path) -> None:
    with ServedHouse(data) as house:
        buyers = Buyers(house, PERFORMANCE, BUYERS)
        await buyers.until(SALES_BETWEEN, 60)
        for target in TARGETS:
            before = len(buyers.sales)
            assert house.kill(target) >= 1, f"no {target} to kill"
            await buyers.until(before + SALES_BETWEEN, 90)
        paused = house.processes("PerformanceProcess")
        assert house.kill("PerformanceProcess", signal.SIGSTOP) >= 1, "the spare one is paused too"
        await buyers.until(len(buyers.sales) + SALES_BETWEEN, 90)
        for process in paused:
            with contextlib.suppress(psutil.NoSuchProcess):  # the spare one may have been ended
                process.send_signal(signal.SIGCONT)
        await buyers.until(len(buyers.sales) + SALES_BETWEEN, 60)
        await buyers.stop()
        assert buyers.reconnects > 0, "the gateway's death was noticed"
        assert await lost_sales(data, buyers.sales) == []
        assert await seats_sold_twice(data) == []
        kept, sold = await money(data)
        assert kept == sold > 0
    with ServedHouse(data) as house:
        replica = await colours(house)
        seats = [seat for sale in buyers.sales for _, seat in sale.tickets]
        assert len(seats) == len(set(seats)) >= SALES_BETWEEN * (len(TARGETS) + 3)
        assert {replica.statuses[seat] for seat in seats} == {2}, "sold, after a full restart"


@pytest.mark.soak
async def test_without_the_commit_rule_the_same_kill_loses_sales(data: Path) -> None:
    """The positive control."""
    with ServedHouse(data, module="tests.integration.careless_server") as house:
        buyers = Buyers(house, PERFORMANCE, BUYERS)
        await buyers.until(SALES_BETWEEN, 60)
        for _ in range(2):
            assert house.kill("PerformanceProcess") >= 1
            await buyers.until(len(buyers.sales) + SALES_BETWEEN, 90)
        await buyers.stop()
        await asyncio.sleep(2 * COMMIT_DELAY_S)  # what is only late is not lost
        assert await lost_sales(data, buyers.sales), "acknowledged before the commit, and lost"
