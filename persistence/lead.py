"""The lease by which one node of a cluster leads, and the nodes that are there.

Owns the two tables: every node says every now and then that it is there, and takes the lead
where nobody holds it or who held it let its lease run out. Time is the database's alone, so
that the nodes' clocks do not matter. Nothing is safe because of it: it says who should act,
and the epoch of each performance says whose acts count.
"""

import asyncio
from typing import Final

from engine.lead import LEASE_MS, Led
from persistence import url as address
from persistence.url import Connection

FORGET_NODES_AFTER_MS: Final = 60_000
"""A node that was not seen for this long leaves the table."""
BEAT_TIMEOUT_S: Final = LEASE_MS / 1_000

_NOW: Final = "WITH now AS (SELECT (extract(epoch FROM clock_timestamp()) * 1000)::int8 AS ms)"
_LEAD: Final = f"""
{_NOW}
INSERT INTO lead (node, term, until_ms) SELECT $1, 1, now.ms + {LEASE_MS} FROM now
ON CONFLICT (single) DO UPDATE SET
    node = excluded.node,
    until_ms = excluded.until_ms,
    term = lead.term + (lead.node <> excluded.node)::int
WHERE lead.node = excluded.node OR lead.until_ms < excluded.until_ms - {LEASE_MS}
"""
_BE_SEEN: Final = f"""
{_NOW}, gone AS (
    DELETE FROM nodes USING now WHERE seen_ms < now.ms - {FORGET_NODES_AFTER_MS} AND name <> $1
)
INSERT INTO nodes (name, seen_ms) SELECT $1, now.ms FROM now
ON CONFLICT (name) DO UPDATE SET seen_ms = excluded.seen_ms
"""
_READ: Final = f"""
{_NOW}
SELECT node, term, ARRAY(
    SELECT name FROM nodes, now WHERE seen_ms > now.ms - {LEASE_MS} ORDER BY name
) AS nodes FROM lead
"""
_GIVE_UP: Final = "UPDATE lead SET until_ms = 0 WHERE node = $1"
_LEAVE: Final = "DELETE FROM nodes WHERE name = $1"


class Leads:
    """One connection, made lazily and replaced when lost.

    Every method raises what the connection raises when the database fails.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = asyncio.Lock()
        self._connection: Connection | None = None

    async def close(self) -> None:
        async with self._turn:
            self._drop()

    async def beat(self, node: str) -> Led:
        """This node is there: who leads now, which is this node where the lead was free."""
        async with self._turn:
            try:
                async with asyncio.timeout(BEAT_TIMEOUT_S):
                    connection = await self._connected()
                    await connection.execute(_LEAD, node)
                    await connection.execute(_BE_SEEN, node)
                    row = await connection.fetchrow(_READ)
            except BaseException:
                self._drop()
                raise
        assert row is not None, "a beat leaves a row behind"
        return Led(row["node"], row["term"], tuple(row["nodes"]))

    async def leave(self, node: str) -> None:
        """This node stops: whoever beats next may lead."""
        async with self._turn:
            try:
                async with asyncio.timeout(BEAT_TIMEOUT_S):
                    connection = await self._connected()
                    await connection.execute(_GIVE_UP, node)
                    await connection.execute(_LEAVE, node)
            except BaseException:
                self._drop()
                raise

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            # Four times a second for each node, and forgotten in two seconds: no flush for that.
            self._connection = await address.connect(self._url, synchronous_commit="off")
        return self._connection

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()
