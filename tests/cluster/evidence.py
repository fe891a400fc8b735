"""What must hold after anything, asked of the database that outlived it."""

from tests.cluster.nodes import Cluster
from tests.integration.buyers import Sale

_TWICE = """
SELECT performance, seat, count(*) FROM tickets WHERE seat >= 0 AND state <> 'refunded'
GROUP BY 1, 2 HAVING count(*) > 1
"""
_KEPT = "SELECT coalesce(sum(captured - refunded), 0)::int AS sum FROM payments"
_SOLD = "SELECT coalesce(sum(amount), 0)::int AS sum FROM tickets WHERE state = 'valid'"


async def prove_nothing_lost(cluster: Cluster, sales: list[Sale]) -> None:
    """Every acknowledged ticket is there, no seat twice, and money equals tickets."""
    found = {
        (row["number"], row["seat"], row["order_id"])
        for row in await cluster.rows("SELECT * FROM tickets WHERE state = 'valid'")
    }
    told = {(number, seat, sale.order) for sale in sales for number, seat in sale.tickets}
    assert told - found == set(), "acknowledged, and lost"
    assert await cluster.rows(_TWICE) == []
    (kept,), (sold,) = await cluster.rows(_KEPT), await cluster.rows(_SOLD)
    assert kept["sum"] == sold["sum"] > 0
