"""The node that leads and owns the hot performance loses its power: the other one takes over.

The clients know both nodes' addresses and move by themselves. Five seconds from the power cut to
the first sale that is acknowledged again, and nothing lost.
"""

import asyncio
import time

import pytest

from tests.cluster.evidence import prove_nothing_lost
from tests.cluster.nodes import Cluster, Crowd, Node, cluster

pytestmark = [pytest.mark.timeout(300)]

PERFORMANCE = 1
BUYERS = 4
SALES_BETWEEN = 10
TAKEOVER_S = 5.0
UNDER_WAY_S = 0.3
"""What is acknowledged this soon after a kill was under way before: nobody can have taken over."""


async def power_cut(
    cluster: Cluster, buyers: Crowd, performance: int = PERFORMANCE, within_s: float = 60.0
) -> tuple[Node, float]:
    """Kill the node with the hot performance; (that node, seconds until the next new sale)."""
    node = await cluster.writer(performance)
    begun_s = time.monotonic()
    node.kill()
    await asyncio.sleep(UNDER_WAY_S)
    await buyers.until(len(buyers.sales) + 1, within_s)
    return node, time.monotonic() - begun_s


async def sell_through_a_power_cut(cluster: Cluster) -> None:
    buyers = Crowd(cluster.nodes, PERFORMANCE, BUYERS)
    await buyers.until(SALES_BETWEEN, 60)
    assert await cluster.writer(PERFORMANCE) is await cluster.leader(), "the worst of both"
    dead, took_s = await power_cut(cluster, buyers)
    print(f"sold again after {took_s:.2f} s")
    await buyers.until(len(buyers.sales) + SALES_BETWEEN, 60)
    await buyers.stop()
    assert took_s < TAKEOVER_S
    assert await cluster.writer(PERFORMANCE) is not dead
    await prove_nothing_lost(cluster, buyers.sales)


def test_another_node_takes_over_within_five_seconds() -> None:
    with cluster() as made:
        asyncio.run(sell_through_a_power_cut(made))
