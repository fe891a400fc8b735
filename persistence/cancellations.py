"""Cancelled performances: what is to be done with whose order, and how far it is.

Owns two tables, and reading the orders of a performance by key, a page at a time. An order is
written down before anything is done about it, so that whoever goes on after a crash knows of it
though none of its places is left. What is done, and in which order, is not decided here.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.cancellation import Cancellation, CancelledOrder, Progress, Standing
from engine.mails import Mail
from engine.orders import Order
from persistence.clock import now_ms
from persistence.guests import LET_IN
from persistence.mails import queue
from persistence.schema import UNFINISHED_ORDERS, cancellations, cancelled_orders, orders, scans

MAX_GATHERED: Final = 1_000
"""Orders written down in one transaction."""
MAX_LISTED: Final = 500

_BEGIN: Final = sa.text("""
INSERT INTO cancellations (performance, operator, reason, asked_ms)
VALUES (:performance, :operator, :reason, :now_ms)
ON CONFLICT (performance) DO UPDATE SET ended_ms = 0
""")
_TRY_AGAIN: Final = sa.text("""
UPDATE cancelled_orders SET progress = 'todo' WHERE performance = :performance AND progress = 'left'
""")
_LIVE: Final = """
SELECT DISTINCT order_number FROM order_lines
WHERE performance = :performance AND order_number > :after
    AND state IN ('pending', 'reserved', 'sold')
ORDER BY order_number LIMIT :most
"""
_GATHER: Final = sa.text(f"""
WITH page AS ({_LIVE}), new AS (
    INSERT INTO cancelled_orders (performance, order_number, progress)
    SELECT CAST(:performance AS int4), order_number, 'todo' FROM page
    ON CONFLICT DO NOTHING RETURNING order_number
)
SELECT coalesce(max(order_number), 0) AS last, (SELECT count(*) FROM new) AS new FROM page
""")
_PAGE: Final = sa.text(f"""
SELECT CAST(o.body AS text) AS body, o.number, o.revision
FROM ({_LIVE}) AS l JOIN orders o ON o.number = l.order_number ORDER BY o.number
""")
_WORK: Final = sa.text(f"""
SELECT CAST(o.body AS text) AS body, o.number, o.revision
FROM cancelled_orders c JOIN orders o ON o.number = c.order_number
WHERE c.performance = :performance AND c.order_number > :after AND ({UNFINISHED_ORDERS})
ORDER BY c.order_number LIMIT :most
""")
_SETTLE: Final = sa.text("""
UPDATE cancelled_orders SET progress = :progress, why = :why, amount = :amount, told = :told
WHERE performance = :performance AND order_number = :number
""")
_END: Final = sa.text(f"""
UPDATE cancellations SET ended_ms = :now_ms WHERE performance = :performance AND NOT EXISTS (
    SELECT FROM cancelled_orders WHERE performance = :performance AND ({UNFINISHED_ORDERS}))
""")


class Cancellations:
    """Every method is one transaction, and raises what SQLAlchemy raises."""

    def __init__(self, engine: AsyncEngine, clock_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._decode = msgspec.json.Decoder(Order).decode

    async def begin(self, performance: int, operator: str, reason: str) -> None:
        """Ask for it. Asked again, what was left to a person is tried again; nothing is twice."""
        values = {
            "performance": performance,
            "operator": operator,
            "reason": reason,
            "now_ms": self._clock_ms(),
        }
        async with self._engine.begin() as connection:
            await connection.execute(_BEGIN, values)
            await connection.execute(_TRY_AGAIN, {"performance": performance})

    async def unfinished(self) -> list[tuple[int, str, str]]:
        """Those with something left to do: performance, who asked, and why; the first asked first.

        However many performances there are, few are cancelled at once.
        """
        table = cancellations
        query = (
            sa.select(table.c.performance, table.c.operator, table.c.reason)
            .where(table.c.ended_ms == 0)
            .order_by(table.c.asked_ms, table.c.performance)
        )
        async with self._engine.connect() as connection:
            return [(row[0], row[1], row[2]) for row in await connection.execute(query)]

    async def get(self, performance: int) -> Cancellation | None:
        """How far a performance's is; None for one that is not cancelled."""
        count = sa.select(
            cancelled_orders.c.progress,
            sa.func.count(),
            sa.cast(sa.func.sum(cancelled_orders.c.amount), sa.BigInteger),
            sa.func.count().filter(~cancelled_orders.c.told),
        ).where(cancelled_orders.c.performance == performance)
        async with self._engine.connect() as connection:
            query = sa.select(cancellations).where(cancellations.c.performance == performance)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            sums = (await connection.execute(count.group_by(cancelled_orders.c.progress))).all()
        counts = {one[0]: one[1] for one in sums}
        return Cancellation(
            row.performance,
            row.operator,
            row.reason,
            row.asked_ms,
            row.ended_ms,
            {one.value: counts.get(one.value, 0) for one in Progress},
            sum(one[2] for one in sums),
            sum(one[3] for one in sums),
        )

    async def to_people(self, performance: int, after: int = 0) -> list[CancelledOrder]:
        """Orders that a person has to see to, or to tell of it, a page by number."""
        table = cancelled_orders
        query = (
            sa.select(
                table.c.order_number,
                table.c.progress,
                table.c.why,
                table.c.amount,
                table.c.told,
                orders.c.buyer_name,
            )
            .join(orders, orders.c.number == table.c.order_number)
            .where(
                table.c.performance == performance,
                table.c.order_number > after,
                sa.or_(table.c.progress == Progress.LEFT.value, ~table.c.told),
            )
            .order_by(table.c.order_number)
            .limit(MAX_LISTED)
        )
        async with self._engine.connect() as connection:
            rows = await connection.execute(query)
            return [CancelledOrder(row[0], Progress(row[1]), *row[2:]) for row in rows]

    # The work ------------------------------------------------------------------------

    async def gather(self, performance: int) -> int:
        """Write down every order that has something there; how many are new."""
        after = new = 0
        while True:
            values = {"performance": performance, "after": after, "most": MAX_GATHERED}
            async with self._engine.begin() as connection:
                row = (await connection.execute(_GATHER, values)).one()
            if not row.last:
                return new
            after, new = row.last, new + row.new

    async def work(self, performance: int, after: int, most: int) -> list[Order]:
        """Orders of it that are not finished with, by number from the one after `after`."""
        return await self._orders(_WORK, performance, after, most)

    async def page(self, performance: int, after: int, most: int) -> list[Order]:
        """Orders that have something in a performance, whether or not it is cancelled."""
        return await self._orders(_PAGE, performance, after, most)

    async def used(self, performance: int, tickets: Iterable[int]) -> set[int]:
        """Those of the tickets that somebody came in with."""
        query = (
            sa.select(scans.c.ticket)
            .where(scans.c.performance == performance, scans.c.ticket.in_(list(tickets)), *LET_IN)
            .distinct()
        )
        async with self._engine.connect() as connection:
            return set(await connection.scalars(query))

    async def settle(
        self, performance: int, order: Order, standing: Standing, told: bool, mail: Mail | None
    ) -> None:
        """How far an order is now; a `mail` is queued with that, once."""
        values = {
            "performance": performance,
            "number": order.number,
            "progress": standing.progress.value,
            "why": standing.why,
            "amount": standing.amount,
            "told": told,
        }
        async with self._engine.begin() as connection:
            await connection.execute(_SETTLE, values)
            if mail is not None:
                await queue(connection, [(order, mail)], self._clock_ms())

    async def end(self, performance: int) -> None:
        """Nothing is left to do, unless there is."""
        values = {"performance": performance, "now_ms": self._clock_ms()}
        async with self._engine.begin() as connection:
            await connection.execute(_END, values)

    async def _orders(
        self, query: sa.TextClause, performance: int, after: int, most: int
    ) -> list[Order]:
        values: dict[str, Any] = {"performance": performance, "after": after, "most": most}
        async with self._engine.connect() as connection:
            rows: Sequence[Any] = (await connection.execute(query, values)).all()
        return [
            structs.replace(self._decode(row.body), number=row.number, revision=row.revision)
            for row in rows
        ]
