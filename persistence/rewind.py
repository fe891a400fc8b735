"""The way back in time: a house's seats, tickets, orders and books as they were at a moment.

Runs in a database that is being restored and that nobody else sees. What is cut off is whole
batches of the journals, because a batch is what was acknowledged: each performance is replayed
from the snapshot before, or from its beginning, to the last batch of that time, and its query
tables are made of its events again. Orders come back from their history, the books end with
the last record of that time, and tills that were closed since are open again.

Not taken back: the house, its plans and programme, people and devices, the audit log, waiting
rooms, and what payment providers told. Money that moved since has moved. Papers that were issued
are in other people's hands, and their numbers are not given again: the next change of their order
makes the paper that sets them right.
"""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.commands import Event
from engine.orders import Order
from engine.performance import Performance
from engine.plan_io import load_plan
from engine.projection import KEEP_VERSION, Projection, TicketRow, project
from engine.settings import Settings
from persistence.journal import UNDO_SCAN
from persistence.orders import put_back
from persistence.schema import tickets

PAGE_BATCHES: Final = 500
PAGE_ORDERS: Final = 500

RewindTold = Callable[[int, int, int], None]
"""Progress: a performance, how many are done with it, of how many."""

_CUT: Final = sa.text("""
WITH late AS (
    SELECT performance, min(seq) AS seq FROM journal WHERE at_ms > :until_ms GROUP BY performance
), cut AS (
    DELETE FROM journal j USING late
    WHERE j.performance = late.performance AND j.seq >= late.seq
)
SELECT performance FROM late ORDER BY performance
""")
_SET_HEAD: Final = sa.text("""
UPDATE writers w SET
    head_seq = coalesce((SELECT max(seq) FROM journal WHERE performance = :performance), 0),
    head_hash = coalesce((SELECT hash FROM journal WHERE performance = :performance
        ORDER BY seq DESC LIMIT 1), '')
WHERE performance = :performance
RETURNING head_seq, epoch
""")
_PERFORMANCE: Final = sa.text("""
SELECT coalesce(p.first_settings, p.settings) AS settings, plans.body
FROM performances p JOIN plans ON plans.hash = p.plan WHERE p.id = :performance
""")
_DROP_LATER: Final = (
    "DELETE FROM snapshots WHERE performance = :performance AND seq > :head_seq",
    "DELETE FROM scans WHERE performance = :performance AND seq > :head_seq",
    "UPDATE scans SET undone_ms = 0 WHERE performance = :performance AND undone_ms > 0",
    "DELETE FROM tickets WHERE performance = :performance",
)
_SNAPSHOT: Final = sa.text("""
SELECT seq, state FROM snapshots WHERE performance = :performance ORDER BY seq DESC LIMIT 1
""")
_BATCHES: Final = sa.text(f"""
SELECT seq, prev_seq, at_ms, events FROM journal
WHERE performance = :performance AND seq > :after ORDER BY seq LIMIT {PAGE_BATCHES}
""")
_UNDO: Final = sa.text(re.sub(r"\$(\d)", r":v\1", UNDO_SCAN))
_KEEP_STATE: Final = sa.text("""
INSERT INTO snapshots (performance, seq, epoch, at_ms, state)
VALUES (:performance, :seq, :epoch, :at_ms, :state)
ON CONFLICT (performance, seq) DO UPDATE SET state = excluded.state
""")
_KEEP_SETTINGS: Final = sa.text("UPDATE performances SET settings = :settings WHERE id = :id")
_LATER_ORDERS: Final = (
    # What caused them has not happened; when it happens again, they are to be sent again.
    "DELETE FROM mails WHERE created_ms > :until_ms",
    "DELETE FROM cancelled_orders c USING cancellations a, orders o "
    "WHERE a.performance = c.performance AND o.number = c.order_number "
    "AND (a.asked_ms > :until_ms OR o.created_ms > :until_ms)",
    "DELETE FROM cancellations WHERE asked_ms > :until_ms",
    # What was done since is done again: nobody is given back twice.
    "UPDATE cancellations SET ended_ms = 0 WHERE ended_ms > :until_ms",
    "UPDATE cancelled_orders c SET progress = 'todo' FROM cancellations a "
    "WHERE a.performance = c.performance AND a.ended_ms = 0 AND a.asked_ms <= :until_ms",
    "DELETE FROM order_lines l USING orders o "
    "WHERE o.number = l.order_number AND o.created_ms > :until_ms",
    "DELETE FROM payments p USING orders o "
    "WHERE o.number = p.order_number AND o.created_ms > :until_ms",
    "DELETE FROM till_repayments r USING orders o "
    "WHERE o.number = r.order_number AND o.created_ms > :until_ms",
    "DELETE FROM order_history h USING orders o "
    "WHERE o.number = h.order_number AND o.created_ms > :until_ms",
    "DELETE FROM orders WHERE created_ms > :until_ms",
)
_EARLIER: Final = sa.text(f"""
SELECT DISTINCT ON (order_number) order_number, revision, body FROM order_history
WHERE until_ms > :until_ms AND order_number > :after
ORDER BY order_number, revision LIMIT {PAGE_ORDERS}
""")
_LEDGER: Final = (
    "DELETE FROM order_history WHERE until_ms > :until_ms",
    "DELETE FROM ledger WHERE at_ms > :until_ms",
    "DELETE FROM ledger_periods "
    "WHERE CAST(CAST(body AS jsonb) ->> 'closed_ms' AS int8) > :until_ms",
)
_CREDITS: Final = (
    "DELETE FROM credit_moves WHERE at_ms > :until_ms",
    "DELETE FROM credits WHERE opened_ms > :until_ms",
    "UPDATE credits SET balance = "
    "(SELECT sum(amount) FROM credit_moves m WHERE m.code = credits.code)",
)
_TILLS: Final = (
    "DELETE FROM till_entries e USING till_sessions s "
    "WHERE s.id = e.session AND (e.at_ms > :until_ms OR s.opened_ms > :until_ms)",
    "DELETE FROM till_sessions WHERE opened_ms > :until_ms",
    "UPDATE till_sessions SET closed_ms = NULL, closing = NULL WHERE closed_ms > :until_ms",
)
_SET_LEDGERS: Final = sa.text("""
    UPDATE ledgers l SET
        number = coalesce(r.number, 0),
        hash = coalesce(r.hash, decode(repeat('00', 32), 'hex')),
        at_ms = coalesce(r.at_ms, 0),
        period = coalesce(p.number, 0),
        period_hash = coalesce(p.hash, decode(repeat('00', 32), 'hex')),
        closed_until_ms = coalesce((SELECT max(CAST(CAST(d.body AS jsonb) ->> 'until_ms' AS int8))
            FROM ledger_periods d WHERE d.organiser = l.organiser), 0)
    FROM house h
    LEFT JOIN LATERAL (SELECT * FROM ledger WHERE organiser = h.id
        ORDER BY number DESC LIMIT 1) r ON true
    LEFT JOIN LATERAL (SELECT * FROM ledger_periods WHERE organiser = h.id
        ORDER BY number DESC LIMIT 1) p ON true
    WHERE h.id = l.organiser
""")


async def rewind(connection: AsyncConnection, until_ms: int, told: RewindTold) -> None:
    """Take back what happened after a moment."""
    late = list(await connection.scalars(_CUT, {"until_ms": until_ms}))
    for count, performance in enumerate(late, 1):
        await _rewind_performance(connection, performance)
        told(performance, count, len(late))
    await _rewind_orders(connection, until_ms)
    for statement in (*_LEDGER, *_CREDITS, *_TILLS):
        values = {"until_ms": until_ms} if ":until_ms" in statement else {}
        await connection.execute(sa.text(statement), values)
    await connection.execute(_SET_LEDGERS)


async def _rewind_performance(connection: AsyncConnection, performance: int) -> None:
    here = {"performance": performance}
    head = (await connection.execute(_SET_HEAD, here)).one()
    for statement in _DROP_LATER:
        values = here | ({"head_seq": head.head_seq} if ":head_seq" in statement else {})
        await connection.execute(sa.text(statement), values)
    core, snapshot_seq = await _core(connection, performance)
    rows: dict[int, TicketRow] = {}
    at_ms = 0
    async for seq, prev_seq, batch_ms, events in _batches(connection, performance):
        at_ms = batch_ms
        projection = project(prev_seq + 1, events)
        _project(rows, projection)
        for undone in projection.undone:
            parts = (performance, *structs.astuple(undone))
            await connection.execute(_UNDO, {f"v{n}": part for n, part in enumerate(parts, 1)})
        if seq > snapshot_seq:
            core.replay(events)
    if rows:
        await connection.execute(
            tickets.insert(),
            [{"performance": performance, **_columns(row)} for row in rows.values()],
        )
    settings = msgspec.json.encode(core.settings)
    await connection.execute(_KEEP_SETTINGS, {"settings": settings, "id": performance})
    if head.head_seq:
        state = {"seq": head.head_seq, "epoch": head.epoch, "at_ms": at_ms}
        await connection.execute(_KEEP_STATE, here | state | {"state": core.snapshot()})


async def _core(connection: AsyncConnection, performance: int) -> tuple[Performance, int]:
    """The performance where its replay begins, and the seq of that."""
    row = (await connection.execute(_PERFORMANCE, {"performance": performance})).one()
    plan = load_plan(row.body)
    found = (await connection.execute(_SNAPSHOT, {"performance": performance})).one_or_none()
    if found is None:
        settings = msgspec.json.decode(row.settings, type=Settings)
        return Performance(performance, plan, settings), 0
    return Performance.restore(performance, plan, found.state), found.seq


async def _batches(
    connection: AsyncConnection, performance: int
) -> AsyncIterator[tuple[int, int, int, list[Event]]]:
    decode = msgspec.msgpack.Decoder(list[Event]).decode
    after = 0
    while True:
        page = list(
            await connection.execute(_BATCHES, {"performance": performance, "after": after})
        )
        for row in page:
            yield row.seq, row.prev_seq, row.at_ms, decode(row.events)
        if len(page) < PAGE_BATCHES:
            return
        after = page[-1].seq


def _project(rows: dict[int, TicketRow], projection: Projection) -> None:
    """The tickets after one more batch, as the journal would have written them."""
    for number, state, version in projection.ticket_states:
        row = rows[number]
        version = row.version if version == KEEP_VERSION else version
        rows[number] = structs.replace(row, state=state, version=version)
    for number, price_type, amount in projection.repriced:
        rows[number] = structs.replace(rows[number], price_type=price_type, amount=amount)
    for row in projection.tickets:
        rows[row.number] = row


def _columns(row: TicketRow) -> dict[str, Any]:
    values = structs.asdict(row)
    values["order_id"] = values.pop("order")
    return values


async def _rewind_orders(connection: AsyncConnection, until_ms: int) -> None:
    decode = msgspec.json.Decoder(Order).decode
    for statement in _LATER_ORDERS:
        await connection.execute(sa.text(statement), {"until_ms": until_ms})
    after = 0
    while True:
        page = list(await connection.execute(_EARLIER, {"until_ms": until_ms, "after": after}))
        if not page:
            return
        await put_back(
            connection,
            [
                structs.replace(
                    decode(row.body),
                    number=row.order_number,
                    revision=row.revision,
                )
                for row in page
            ],
        )
        after = page[-1].order_number
