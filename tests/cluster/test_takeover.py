"""The node that leads and owns the hot performance loses its power: the other one takes over.

The clients know both nodes' addresses and move by themselves. Five seconds from the power cut to
the first sale that is acknowledged again, and nothing lost. What the machine gave to other programs
meanwhile is no part of the five seconds: tests run beside each other.
"""

import asyncio
import time

import pytest

from tests.cluster.burden import Others
from tests.cluster.evidence import prove_nothing_lost
from tests.cluster.nodes import Cluster, Crowd, Node, cluster

pytestmark = [pytest.mark.timeout(300)]

PERFORMANCE = 1
BUYERS = 4
SALES_BETWEEN = 10
TAKEOVER_S = 5.0
CUTS = 2
"""One may be unlucky: a machine that also does other things is not even."""
UNDER_WAY_S = 0.3
"""What is acknowledged this soon after a kill was under way before: nobody can have taken over."""


async def power_cut(
    cluster: Cluster, buyers: Crowd, performance: int = PERFORMANCE, within_s: float = 60.0
) -> tuple[Node, float]:
    """Kill the node with the hot performance; (that node, seconds until the next new sale)."""
    node = await cluster.writer(performance)
    others = Others(cluster)
    begun_s = time.monotonic()
    node.kill()
    await asyncio.sleep(UNDER_WAY_S)
    await buyers.until(len(buyers.sales) + 1, within_s)
    took_s = time.monotonic() - begun_s
    taken_s = others.taken_s()
    print(f"sold again after {took_s:.2f} s, of which others took {taken_s:.2f} s")
    return node, took_s - taken_s


async def sell_through_a_power_cut(cluster: Cluster) -> float:
    buyers = Crowd(cluster.nodes, PERFORMANCE, BUYERS)
    await buyers.until(SALES_BETWEEN, 60)
    assert await cluster.writer(PERFORMANCE) is await cluster.leader(), "the worst of both"
    dead, took_s = await power_cut(cluster, buyers)
    await buyers.until(len(buyers.sales) + SALES_BETWEEN, 60)
    await buyers.stop()
    assert await cluster.writer(PERFORMANCE) is not dead
    await prove_nothing_lost(cluster, buyers.sales)
    if took_s >= TAKEOVER_S:
        await asyncio.to_thread(dead.restart)
    return took_s


def test_another_node_takes_over_within_five_seconds() -> None:
    took: list[float] = []
    with cluster() as made:
        while len(took) < CUTS and (not took or took[-1] >= TAKEOVER_S):
            took.append(asyncio.run(sell_through_a_power_cut(made)))
    assert took[-1] < TAKEOVER_S, took
