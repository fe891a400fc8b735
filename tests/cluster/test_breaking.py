"""A cluster under sale is broken in every way that one machine can show. Minutes: `make soak`."""

import asyncio
import contextlib
import signal
import time

import msgpack
import pytest
from websockets.asyncio.client import connect

from tests.cluster.evidence import prove_nothing_lost
from tests.cluster.nodes import Cluster, Doors, cluster
from tests.cluster.test_takeover import (
    BUYERS,
    PERFORMANCE,
    SALES_BETWEEN,
    TAKEOVER_S,
    UNDER_WAY_S,
    power_cut,
)
from tests.integration.buyers import Buyers

pytestmark = [pytest.mark.soak, pytest.mark.timeout(900)]

POWER_CUTS = 4
WAKES_S = 60.0


def crowd(cluster: Cluster) -> Buyers:
    return Buyers(Doors(cluster.nodes), PERFORMANCE, BUYERS)  # type: ignore[arg-type]


async def cut_by_turns(cluster: Cluster) -> list[float]:
    buyers = crowd(cluster)
    await buyers.until(SALES_BETWEEN, 60)
    took: list[float] = []
    for _ in range(POWER_CUTS):
        dead, took_s = await power_cut(cluster, buyers)
        took.append(took_s)
        print(f"sold again after {took_s:.2f} s")
        await asyncio.to_thread(dead.restart)
        assert dead.answers(), "a node that is new has a gateway"
        await buyers.until(len(buyers.sales) + SALES_BETWEEN, 60)
    await buyers.stop()
    await prove_nothing_lost(cluster, buyers.sales)
    return took


def test_nodes_die_by_turns_and_come_back() -> None:
    with cluster() as made:
        took = asyncio.run(cut_by_turns(made))
    assert max(took) < TAKEOVER_S, took


async def sleep_and_wake(cluster: Cluster) -> None:
    buyers = crowd(cluster)
    await buyers.until(SALES_BETWEEN, 60)
    asleep = await cluster.writer(PERFORMANCE)
    session = (await Doors([asleep]).ask("/api/session", {}))["token"]
    async with connect(f"ws://{asleep.url[7:]}/ws", compression=None) as socket:
        await socket.send(msgpack.packb(["hello", session, "en"]))
        await socket.recv()
        begun_s = time.monotonic()
        asleep.signal(signal.SIGSTOP)
        await asyncio.sleep(UNDER_WAY_S)
        await buyers.until(len(buyers.sales) + 1, 60)
        took_s = time.monotonic() - begun_s
        await buyers.until(len(buyers.sales) + SALES_BETWEEN, 60)
        # Asked of the sleeping gateway, which will believe in its own writer when it wakes.
        await socket.send(msgpack.packb(["best", b"i" * 16, PERFORMANCE, b"t" * 16, 1]))
        asleep.signal(signal.SIGCONT)
        async with asyncio.timeout(WAKES_S):
            while (reply := msgpack.unpackb(await socket.recv()))[0] != "reply":
                pass
        assert reply[1] == b"i" * 16 and reply[2][0] == "held"
    assert "another writer has claimed it" in await asyncio.to_thread(cluster.logs, asleep)
    assert await cluster.leader() is not asleep
    assert await cluster.writer(PERFORMANCE) is not asleep
    await buyers.until(len(buyers.sales) + SALES_BETWEEN, 60)
    await buyers.stop()
    await prove_nothing_lost(cluster, buyers.sales)
    print(f"sold again after {took_s:.2f} s")


def test_a_node_that_slept_wakes_and_its_writer_is_refused() -> None:
    with cluster() as made:
        asyncio.run(sleep_and_wake(made))


async def survive_the_head(cluster: Cluster) -> None:
    """What is not survived without Redis: the nodes go on for a while, then Ray gives them up."""
    buyers = crowd(cluster)
    await buyers.until(SALES_BETWEEN, 60)
    cluster.head.kill()
    await asyncio.sleep(UNDER_WAY_S)
    await buyers.until(len(buyers.sales) + SALES_BETWEEN, 30)
    await buyers.stop()
    await prove_nothing_lost(cluster, buyers.sales)
    for node in (*cluster.nodes, cluster.head):
        await asyncio.to_thread(node.kill)
    await asyncio.to_thread(cluster.start)
    buyers.sales += await more(cluster)
    await prove_nothing_lost(cluster, buyers.sales)


async def more(cluster: Cluster):  # type: ignore[no-untyped-def]
    buyers = crowd(cluster)
    await buyers.until(SALES_BETWEEN, 60)
    await buyers.stop()
    return buyers.sales


def test_without_the_head_sales_go_on_for_a_while_and_a_new_start_has_them_all() -> None:
    with cluster() as made:
        asyncio.run(survive_the_head(made))


async def never_taken_over(cluster: Cluster) -> None:
    buyers = crowd(cluster)
    await buyers.until(SALES_BETWEEN, 60)
    with contextlib.suppress(TimeoutError):
        _, took_s = await power_cut(cluster, buyers, 2 * TAKEOVER_S)
        raise AssertionError(f"sold again after {took_s:.1f} s without anybody taking over")


def test_without_the_end_of_a_lease_nobody_takes_over() -> None:
    """The positive control."""
    with cluster(module="tests.cluster.lasting_lead") as made:
        asyncio.run(never_taken_over(made))
