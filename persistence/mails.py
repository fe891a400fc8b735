"""The outbox: mails that are to be sent, and what became of those that were.

Owns queueing in the transaction of the change that causes a mail, the claim by which two senders
never hold one mail at once, and the looking up. What is sent, and how, it does not know.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.ledger_periods import Period, PeriodKind
from engine.mails import (
    KEPT_MS,
    MAX_REASON_CHARS,
    MAX_TRIES_KEPT,
    TO_HOUSE,
    Due,
    Mail,
    MailKind,
    MailRow,
    MailState,
    Try,
    key_of,
)
from engine.orders import Order
from persistence.clock import now_ms
from persistence.schema import mails, orders, without_nul

LEASE_MS: Final = 10 * 60_000
"""A mail that is being sent is nobody else's for this long: longer than its sending may take."""
MAX_LISTED: Final = 500
PRUNED_AT_ONCE: Final = 1_000

_WAITS: Final = "(state = 'waiting' OR state = 'sending')"
_QUEUE: Final = sa.text("""
INSERT INTO mails (key, order_number, kind, cause, recipient, state, created_ms, since_ms, due_ms)
SELECT w.key, w.order_number, w.kind, w.cause, '', 'waiting', :now_ms, :now_ms, :now_ms
FROM unnest(CAST(:key AS text[]), CAST(:order_number AS int8[]), CAST(:kind AS text[]),
    CAST(:cause AS text[])) WITH ORDINALITY AS w (key, order_number, kind, cause, place)
ORDER BY place
ON CONFLICT (key) DO NOTHING
""")
_ADDRESSES: Final = """
CROSS JOIN LATERAL jsonb_array_elements_text(
    CASE WHEN h.settings #>> '{sales_mail,when}' = :when THEN h.settings #> '{sales_mail,to}' END
) AS a (address)
"""
# To whoever of the house wants to hear of each sale: mostly nobody.
_QUEUE_SALES: Final = sa.text(f"""
INSERT INTO mails (key, order_number, kind, cause, recipient, state, created_ms, since_ms, due_ms)
SELECT w.key || a.address, w.order_number, :kind, '', a.address, 'waiting',
    :now_ms, :now_ms, :now_ms
FROM unnest(CAST(:key AS text[]), CAST(:order_number AS int8[]), CAST(:performance AS int4[]))
    AS w (key, order_number, performance)
JOIN performances p ON p.id = w.performance
JOIN productions r ON r.id = p.production
JOIN house h ON h.id = r.organiser
{_ADDRESSES}
ON CONFLICT (key) DO NOTHING
""")
_QUEUE_DIGEST: Final = sa.text(f"""
INSERT INTO mails (key, order_number, kind, cause, recipient, state, created_ms, since_ms, due_ms)
SELECT :key || a.address, 0, :kind, :cause, a.address, 'waiting', :now_ms, :now_ms, :now_ms
FROM house h
{_ADDRESSES}
WHERE h.id = :organiser
ON CONFLICT (key) DO NOTHING
""")
_CLAIM: Final = sa.text(f"""
WITH picked AS (
    SELECT id, state FROM mails WHERE {_WAITS} AND due_ms <= :now_ms
    ORDER BY due_ms, id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE mails m SET state = 'sending', attempts = m.attempts + 1, due_ms = :until_ms
FROM picked WHERE m.id = picked.id
RETURNING m.id, m.key, m.order_number, m.kind, m.cause, m.recipient, m.attempts, m.created_ms,
    m.since_ms, m.due_ms, picked.state = 'sending' AS again
""")
# A claim is its lease: whoever lost it changes nothing any more.
_SETTLE: Final = sa.text("""
UPDATE mails SET state = :state, due_ms = :due_ms, ended_ms = :ended_ms, attempts = :attempts,
    tries = (SELECT coalesce(jsonb_agg(one ORDER BY place), '[]') FROM (
        SELECT one, place FROM jsonb_array_elements(tries || CAST(:told AS jsonb))
            WITH ORDINALITY AS t (one, place)
        ORDER BY place DESC LIMIT :most) AS latest)
WHERE id = :id AND state = 'sending' AND due_ms = :until_ms
""")
_RETRY: Final = sa.text("""
UPDATE mails SET state = 'waiting', since_ms = :now_ms, due_ms = :now_ms, ended_ms = 0
WHERE id = :id AND (state = 'failed' OR state = 'waiting')
""")
_PRUNE: Final = sa.text(f"""
DELETE FROM mails WHERE NOT {_WAITS} AND created_ms < :before_ms
    AND id IN (SELECT id FROM mails ORDER BY id LIMIT :most)
""")
_STOP: Final = sa.text(f"""
UPDATE mails SET state = 'failed', ended_ms = :now_ms, tries = tries || CAST(:told AS jsonb)
WHERE {_WAITS}
""")
_WAITING: Final = sa.text(f"SELECT count(*), min(since_ms) FROM mails WHERE {_WAITS}")


async def queue(
    connection: AsyncConnection, wanted: Sequence[tuple[Order, Mail]], at_ms: int
) -> None:
    """Keep the mails of changed orders; one that is there stays as it is."""
    to_buyers = [(order, mail) for order, mail in wanted if mail.kind not in TO_HOUSE]
    if to_buyers:
        await connection.execute(
            _QUEUE,
            {
                "key": [key_of(order.number, mail) for order, mail in to_buyers],
                "order_number": [order.number for order, _ in to_buyers],
                "kind": [mail.kind.value for _, mail in to_buyers],
                "cause": [mail.cause for _, mail in to_buyers],
                "now_ms": at_ms,
            },
        )
    sales = [(order, mail) for order, mail in wanted if mail.kind is MailKind.SALE]
    if sales:
        await connection.execute(
            _QUEUE_SALES,
            {
                "key": [key_of(order.number, mail) for order, mail in sales],
                "order_number": [order.number for order, _ in sales],
                # An order belongs to the organiser of what it buys first.
                "performance": [order.seller for order, _ in sales],
                "kind": MailKind.SALE.value,
                "when": "at_once",
                "now_ms": at_ms,
            },
        )


async def queue_digests(
    connection: AsyncConnection, organiser: int, periods: Sequence[Period], at_ms: int
) -> None:
    """Keep a digest of each closed day on which something was sold, where the house wants it."""
    for period in periods:
        if period.kind is PeriodKind.DAY and any(one.kind == "sale" for one in period.totals):
            mail = Mail(MailKind.DIGEST, str(period.number))
            await connection.execute(
                _QUEUE_DIGEST,
                {
                    "key": key_of(0, mail),
                    "kind": mail.kind.value,
                    "cause": mail.cause,
                    "organiser": organiser,
                    "when": "daily",
                    "now_ms": at_ms,
                },
            )


async def stop_all(connection: AsyncConnection, reason: str) -> None:
    """Leave what waits to a person, in a database that nobody else writes."""
    told = msgspec.json.encode([Try(now_ms(), reason)]).decode()
    await connection.execute(_STOP, {"told": told, "now_ms": now_ms()})


class Mails:
    """Every method is one transaction."""

    def __init__(self, engine: AsyncEngine, clock_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._decode = msgspec.json.Decoder(Order).decode

    # Sending ---------------------------------------------------------------------

    async def claim(self) -> Due | None:
        """The mail that is due for longest, which is nobody else's until its lease is over."""
        at_ms = self._clock_ms()
        async with self._engine.begin() as connection:
            row = (
                await connection.execute(_CLAIM, {"now_ms": at_ms, "until_ms": at_ms + LEASE_MS})
            ).one_or_none()
            if row is None:
                return None
            order = await self._order(connection, row.order_number)
        return Due(
            id=row.id,
            key=row.key,
            kind=MailKind(row.kind),
            cause=row.cause,
            recipient=row.recipient,
            order=order,
            attempts=row.attempts,
            created_ms=row.created_ms,
            since_ms=row.since_ms,
            until_ms=row.due_ms,
            again=row.again,
        )

    async def settle(
        self, due: Due, state: MailState, wait_ms: int, reason: str, attempts: int
    ) -> bool:
        """What became of a claimed mail; False when the claim was somebody else's by then.

        One that is WAITING is due in `wait_ms`. `reason` is "" for one that was sent. `attempts`
        is how many there were.
        """
        at_ms = self._clock_ms()
        waits = state is MailState.WAITING
        told = [Try(at_ms, reason[:MAX_REASON_CHARS])] if reason else []
        async with self._engine.begin() as connection:
            done = await connection.execute(
                _SETTLE,
                {
                    "id": due.id,
                    "until_ms": due.until_ms,
                    "attempts": attempts,
                    "state": state.value,
                    "due_ms": at_ms + wait_ms if waits else 0,
                    "ended_ms": 0 if waits else at_ms,
                    "told": msgspec.json.encode(without_nul(msgspec.to_builtins(told))).decode(),
                    "most": MAX_TRIES_KEPT,
                },
            )
        return bool(done.rowcount)

    async def waiting(self) -> tuple[int, int]:
        """How many are to be sent, and since when the oldest is, 0 for none."""
        async with self._engine.connect() as connection:
            count, since_ms = (await connection.execute(_WAITING)).one()
        return count, since_ms or 0

    async def prune(self) -> int:
        """Forget the oldest that ended long ago, some at once; how many."""
        values = {"before_ms": self._clock_ms() - KEPT_MS, "most": PRUNED_AT_ONCE}
        async with self._engine.begin() as connection:
            return (await connection.execute(_PRUNE, values)).rowcount

    # Looking up ------------------------------------------------------------------

    async def list(
        self, *, order: int = 0, state: str = "", before: int | None = None, limit: int = 50
    ) -> list[MailRow]:
        """The latest first; of one order and in one state where they are named."""
        query = _rows().order_by(mails.c.id.desc()).limit(min(limit, MAX_LISTED))
        if order:
            query = query.where(mails.c.order_number == order)
        if state:
            query = query.where(mails.c.state == state)
        if before is not None:
            query = query.where(mails.c.id < before)
        async with self._engine.connect() as connection:
            return [_row(row) for row in await connection.execute(query)]

    async def get(self, mail: int) -> MailRow | None:
        async with self._engine.connect() as connection:
            row = (await connection.execute(_rows().where(mails.c.id == mail))).one_or_none()
        return None if row is None else _row(row)

    async def retry(self, mail: int) -> bool:
        """Send one that failed, or waits, now; False for one that is neither."""
        async with self._engine.begin() as connection:
            done = await connection.execute(_RETRY, {"id": mail, "now_ms": self._clock_ms()})
        return bool(done.rowcount)

    async def send_tickets(self, order: Order, cause: str) -> MailRow:
        """The order's tickets once more; the same `cause` is the same mail."""
        mail = Mail(MailKind.TICKETS, cause)
        async with self._engine.begin() as connection:
            await queue(connection, [(order, mail)], self._clock_ms())
            where = mails.c.key == key_of(order.number, mail)
            return _row((await connection.execute(_rows().where(where))).one())

    async def _order(self, connection: AsyncConnection, number: int) -> Order | None:
        found = await connection.execute(
            sa.select(sa.cast(orders.c.body, sa.Text), orders.c.revision).where(
                orders.c.number == number
            )
        )
        row = found.one_or_none()
        if row is None:
            return None
        return structs.replace(self._decode(row[0]), number=number, revision=row[1])


def _rows() -> sa.Select[*tuple[Any, ...]]:
    joined = mails.outerjoin(orders, orders.c.number == mails.c.order_number)
    return sa.select(mails, orders.c.id.label("order_id"), orders.c.buyer_email).select_from(joined)


def _row(row: sa.Row[*tuple[Any, ...]]) -> MailRow:
    ended = row.state not in (MailState.WAITING.value, MailState.SENDING.value)
    return MailRow(
        id=row.id,
        kind=MailKind(row.kind),
        cause=row.cause,
        order_number=row.order_number,
        order=row.order_id or "",
        recipient=row.recipient or row.buyer_email or "",
        state=MailState(row.state),
        created_ms=row.created_ms,
        due_ms=0 if ended else row.due_ms,
        ended_ms=row.ended_ms,
        attempts=row.attempts,
        tries=msgspec.convert(row.tries, tuple[Try, ...]),
    )
