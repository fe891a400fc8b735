"""Orders as they are kept: the whole value, and its columns for those who search.

Owns saving with a revision check, and reading back. The saga that an order goes
through is the desk's. `orders.body` is the order; `order_lines` and `payments`
repeat it in columns and are never read back into an order. What a saved change means to the
ledger is recorded in the same transaction: neither is ever there without the other.
"""

import re
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import structs
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.credit import Credit
from engine.ledger import Fact, facts_of
from engine.mails import mails_of
from engine.orders import Order
from engine.tills import TillSessionClosed, tills_of
from persistence.clock import now_ms
from persistence.credit import Credits, move
from persistence.ledger import record
from persistence.mails import queue
from persistence.papers import correct
from persistence.schema import (
    orders,
    payments,
    provider_events,
    till_repayments,
    without_nul,
)
from persistence.together import Together

MAX_UNFINISHED: Final = 100_000
"""Unfinished orders in one answer; the desk refuses new orders at as many."""
MAX_BY_SESSION: Final = 50
MAX_SEARCH_WORDS: Final = 6
MAX_KNOWN: Final = 10_000
"""Orders saved here that need not be read again when they are next saved."""

_COLUMNS: Final = """
    unnest(CAST(:id AS text[]), CAST(:revision AS int4[]), CAST(:state AS text[]),
        CAST(:channel AS text[]), CAST(:currency AS text[]), CAST(:total AS int8[]),
        CAST(:created_ms AS int8[]), CAST(:expires_ms AS int8[]), CAST(:buyer_name AS text[]),
        CAST(:buyer_email AS text[]), CAST(:buyer_words AS text[]), CAST(:operator AS text[]),
        CAST(:session AS text[]), CAST(:unfinished AS bool[]), CAST(:body AS text[]))
    AS c (id, revision, state, channel, currency, total, created_ms, expires_ms, buyer_name,
        buyer_email, buyer_words, operator, session, unfinished, body)
"""
_INSERT: Final = sa.text(f"""
INSERT INTO orders (id, revision, state, channel, currency, total, created_ms, expires_ms,
    buyer_name, buyer_email, buyer_words, operator, session, unfinished, body)
SELECT id, 1, state, channel, currency, total, created_ms, expires_ms,
    buyer_name, buyer_email, string_to_array(buyer_words, ' '), operator, session, unfinished,
    body::jsonb
FROM {_COLUMNS}
ON CONFLICT (id) DO NOTHING
RETURNING id, number, revision, CAST(NULL AS text) AS before
""")
# What an order was placed as (channel, session, operator, currency) does not change.
_UPDATE: Final = sa.text(f"""
WITH changed AS (
    UPDATE orders o SET
        revision = o.revision + 1, state = c.state, total = c.total, expires_ms = c.expires_ms,
        buyer_name = c.buyer_name, buyer_email = c.buyer_email,
        buyer_words = string_to_array(c.buyer_words, ' '), unfinished = c.unfinished,
        body = c.body::jsonb
    FROM {_COLUMNS} JOIN orders old ON old.id = c.id AND old.revision = c.revision
    WHERE o.id = c.id AND o.revision = c.revision
    RETURNING o.id, o.number, o.revision, CAST(old.body AS text) AS before
), kept AS (
    INSERT INTO order_history (order_number, revision, until_ms, body)
    SELECT number, revision - 1, :now_ms, before FROM changed
)
SELECT id, number, revision,
    CASE WHEN id = ANY(CAST(:unknown AS text[])) THEN before END AS before
FROM changed
""")
_PUT_BACK: Final = sa.text(f"""
UPDATE orders o SET
    revision = c.revision, state = c.state, total = c.total, expires_ms = c.expires_ms,
    buyer_name = c.buyer_name, buyer_email = c.buyer_email,
    buyer_words = string_to_array(c.buyer_words, ' '), unfinished = c.unfinished,
    body = c.body::jsonb
FROM {_COLUMNS} WHERE o.id = c.id
""")
_UPSERT_LINES: Final = sa.text("""
INSERT INTO order_lines AS l (order_number, number, performance, seat, area, price_type, amount,
    state, ticket, currency)
SELECT * FROM unnest(CAST(:order_number AS int8[]), CAST(:number AS int4[]),
    CAST(:performance AS int4[]), CAST(:seat AS int4[]), CAST(:area AS int4[]),
    CAST(:price_type AS text[]), CAST(:amount AS int8[]), CAST(:state AS text[]),
    CAST(:ticket AS int4[]), CAST(:currency AS text[]))
ON CONFLICT (order_number, number) DO UPDATE SET
    seat = excluded.seat, amount = excluded.amount, state = excluded.state,
    ticket = excluded.ticket
WHERE (l.seat, l.amount, l.state, l.ticket) IS DISTINCT FROM
    (excluded.seat, excluded.amount, excluded.state, excluded.ticket)
""")
_UPSERT_PAYMENTS: Final = sa.text("""
INSERT INTO payments AS p (order_number, id, method, state, amount, captured, refunded, currency,
    reference, intent, till, given, change)
SELECT * FROM unnest(CAST(:order_number AS int8[]), CAST(:id AS text[]), CAST(:method AS text[]),
    CAST(:state AS text[]), CAST(:amount AS int8[]), CAST(:captured AS int8[]),
    CAST(:refunded AS int8[]), CAST(:currency AS text[]), CAST(:reference AS text[]),
    CAST(:intent AS text[]), CAST(:till AS text[]), CAST(:given AS int8[]),
    CAST(:change AS int8[]))
ON CONFLICT (order_number, id) DO UPDATE SET
    state = excluded.state, captured = excluded.captured, refunded = excluded.refunded,
    reference = excluded.reference, intent = excluded.intent
WHERE (p.state, p.captured, p.refunded, p.reference, p.intent) IS DISTINCT FROM
    (excluded.state, excluded.captured, excluded.refunded, excluded.reference, excluded.intent)
""")
_INSERT_REPAYMENTS: Final = sa.text("""
INSERT INTO till_repayments (order_number, payment, key, till, method, amount)
SELECT * FROM unnest(CAST(:order_number AS int8[]), CAST(:payment AS text[]),
    CAST(:key AS text[]), CAST(:till AS text[]), CAST(:method AS text[]), CAST(:amount AS int8[]))
ON CONFLICT DO NOTHING
""")
_BY_IDS: Final = sa.text("""
SELECT CAST(body AS text), number, revision FROM orders WHERE id = ANY(CAST(:ids AS text[]))
""")
# Shared: sales at one till do not wait for each other, and whoever closes it waits for them all.
_LOCK_TILLS: Final = sa.text("""
SELECT id FROM till_sessions WHERE id = ANY(:ids) AND closed_ms IS NULL ORDER BY id FOR SHARE
""")


_Change = tuple[Order | None, Order]


class OrderConflict(Exception):
    """Orders that somebody else saved since they were read. Nothing was saved; read again."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        super().__init__(f"saved by somebody else: {', '.join(self.ids)}")


class Orders:
    """Every method is one transaction."""

    def __init__(self, engine: AsyncEngine, clock_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock_ms = clock_ms
        self._decode = msgspec.json.Decoder(Order).decode
        self._credits = Credits(engine)
        self._reads = Together(self._by_ids)
        self._saved: OrderedDict[str, Order] = OrderedDict()

    async def save(self, changes: Sequence[Order]) -> list[Order]:
        """Keep orders, all or none; they come back with their numbers and new revisions.

        An order of revision 0 is new; any other must be of the revision that is stored.

        Raises:
            OrderConflict: Nothing was saved.
            CreditRefused: Nothing was saved.
            TillSessionClosed: Nothing was saved: money would move in a session that is closed.
            sqlalchemy.exc.DBAPIError: The database failed. When the connection was lost while
                committing, they may be saved: read again.
        """
        storable = [_storable(order) for order in changes]
        changes = [order for order, _ in storable]
        bodies = {order.id: body for order, body in storable}
        if len({order.id for order in changes}) != len(changes):
            raise ValueError("an order is saved once in a transaction")
        if not changes:
            return []
        saved: dict[str, tuple[int, int]] = {}
        before: dict[str, str] = {}
        now_ms = self._clock_ms()
        async with self._engine.begin() as connection:
            for statement, group in (
                (_INSERT, [order for order in changes if order.revision == 0]),
                (_UPDATE, [order for order in changes if order.revision > 0]),
            ):
                if group:
                    group.sort(key=lambda order: order.id)  # one lock order for everybody
                    values = order_columns(group, bodies) | {"now_ms": now_ms}
                    values["unknown"] = [one.id for one in group if self._known(one) is None]
                    rows = await connection.execute(statement, values)
                    for row in rows:
                        saved[row.id] = row.number, row.revision
                        if row.before is not None:
                            before[row.id] = row.before
            if len(saved) != len(changes):
                raise OrderConflict(order.id for order in changes if order.id not in saved)
            stored = [
                structs.replace(order, number=saved[order.id][0], revision=saved[order.id][1])
                for order in changes
            ]
            changed = self._changed(changes, stored, before)
            await _check_tills(connection, changed)
            await _save_parts(connection, stored)
            await move(connection, changed, now_ms)
            told = [(after, mail) for known, after in changed for mail in mails_of(known, after)]
            await queue(connection, told, now_ms)
            await correct(connection, changed, now_ms)
            # Last in its transaction: the ledger's lock, which all orders share, is held for as
            # short as can be.
            await record(connection, self._facts(changed), now_ms)
        for order in stored:
            self._saved[order.id] = order
            self._saved.move_to_end(order.id)
        while len(self._saved) > MAX_KNOWN:
            self._saved.popitem(last=False)
        return stored

    def _known(self, order: Order) -> Order | None:
        """What is stored of the order at its revision, where it was saved here."""
        known = self._saved.get(order.id)
        return known if known is not None and known.revision == order.revision else None

    def _changed(
        self, changes: Sequence[Order], stored: list[Order], before: dict[str, str]
    ) -> list[_Change]:
        """What each order was, None for a new one, and is."""
        return [
            (self._decode(before[order.id]) if order.id in before else self._known(asked), order)
            for asked, order in zip(changes, stored, strict=True)
        ]

    def _facts(self, changed: Iterable[_Change]) -> list[tuple[int, Fact]]:
        """What changed about money, each with the performance whose organiser it concerns."""
        # An order belongs to the organiser of what it buys first.
        return [
            (after.seller, fact) for before, after in changed for fact in facts_of(before, after)
        ]

    async def credit(self, code: str, performance: int) -> Credit | None:
        """The credit with this code, of the organiser of this performance."""
        return await self._credits.get(code, performance)

    async def get(self, order: str) -> Order | None:
        return await self._reads.get(order)

    async def _by_ids(self, ids: Sequence[str]) -> dict[str, Order]:
        async with self._engine.connect() as connection:
            rows = await connection.execute(_BY_IDS, {"ids": ids})
            return {order.id: order for order in self._read(rows)}

    async def among(self, ids: Sequence[str]) -> list[Order]:
        """Those of them that there are, newest first."""
        return await self._select(orders.c.id.in_(ids), len(ids))

    async def by_session(self, session: str) -> list[Order]:
        """A buyer's orders, newest first. The empty session has none."""
        return await self._select(
            (orders.c.session == session) & (orders.c.session != ""), MAX_BY_SESSION
        )

    async def by_intent(self, intent: str) -> Order | None:
        """The order with the payment that the provider calls `intent`."""
        holders = sa.select(payments.c.order_number).where(
            payments.c.intent == intent, payments.c.intent != ""
        )
        found = await self._select(orders.c.number.in_(holders), 1)
        return found[0] if found else None

    async def unfinished(self) -> list[Order]:
        """Orders whose saga has a step left, newest first."""
        return await self._select(orders.c.unfinished, MAX_UNFINISHED)

    async def unfinished_revisions(self) -> list[tuple[str, int]]:
        """The same, as (id, revision)."""
        query = sa.select(orders.c.id, orders.c.revision).where(orders.c.unfinished)
        async with self._engine.connect() as connection:
            rows = await connection.execute(query.limit(MAX_UNFINISHED))
            return [(id, revision) for id, revision in rows]

    async def provider_event(self, provider: str, id: str, payload: bytes, now_ms: int) -> bool:
        """Keep what a payment provider sent, for audit; False when it came before."""
        async with self._engine.begin() as connection:
            kept = await connection.execute(
                insert(provider_events)
                .values(provider=provider, id=id, payload=payload, received_ms=now_ms)
                .on_conflict_do_nothing()
                .returning(provider_events.c.id)
            )
            return kept.one_or_none() is not None

    async def _select(self, which: sa.ColumnElement[bool], limit: int) -> list[Order]:
        query = (
            # As text: decoding JSON twice, once to Python's types, would be for nothing.
            sa.select(sa.cast(orders.c.body, sa.Text), orders.c.number, orders.c.revision)
            .where(which)
            .order_by(orders.c.number.desc())
            .limit(limit)
        )
        async with self._engine.connect() as connection:
            return self._read(await connection.execute(query))

    def _read(self, rows: Iterable[Any]) -> list[Order]:
        return [
            structs.replace(self._decode(body), number=number, revision=revision)
            for body, number, revision in rows
        ]


async def _check_tills(connection: AsyncConnection, changed: list[_Change]) -> None:
    """Keep the till sessions that these orders bring money into open until they are saved."""
    wanted = {after.id: tills_of(after) - tills_of(before) for before, after in changed}
    tills = {till for each in wanted.values() for _, till in each}
    if not tills:
        return
    open_tills = set(await connection.scalars(_LOCK_TILLS, {"ids": sorted(tills)}))
    shut = [id for id, each in wanted.items() if any(till not in open_tills for _, till in each)]
    if shut:
        raise TillSessionClosed(shut)


async def put_back(connection: AsyncConnection, earlier: list[Order]) -> None:
    """Make orders what they were, in a database that nobody else writes."""
    await connection.execute(_PUT_BACK, order_columns(earlier))
    # An order begins payments and never forgets one: later ones are there too many.
    numbers = [order.number for order in earlier]
    await connection.execute(payments.delete().where(payments.c.order_number.in_(numbers)))
    await connection.execute(
        till_repayments.delete().where(till_repayments.c.order_number.in_(numbers))
    )
    await _save_parts(connection, earlier)


def words(text: str) -> list[str]:
    """The words by which a buyer is found: lower case, without accents, each once.

    An e-mail address gives itself and its parts.
    """
    found: dict[str, None] = {}
    for word in _plain(text).split():
        found[word] = None
        found.update(dict.fromkeys(part for part in re.split(r"[^\w]+", word) if part))
    return list(found)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", without_nul(text).casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char))


def by_words(text: str) -> sa.ColumnElement[bool] | None:
    """Orders whose buyer has words that begin with all those of `text`; None when it has none."""
    # Whoever has a word has its parts too: they need not be asked for, and are of very many.
    wanted = list(dict.fromkeys(_plain(text).split()))[:MAX_SEARCH_WORDS]
    if not wanted:
        return None
    query = " & ".join(f"{_quoted(word)}:*" for word in wanted)
    return sa.func.array_to_tsvector(orders.c.buyer_words).bool_op("@@")(
        sa.cast(query, sa.dialects.postgresql.TSQUERY)
    )


def _quoted(word: str) -> str:
    """As a lexeme of a tsquery."""
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _storable(order: Order) -> tuple[Order, str]:
    """The order without NUL characters, which Postgres cannot keep in a text, and as JSON."""
    body = msgspec.json.encode(order)
    if b"\\u0000" in body:
        order = msgspec.convert(without_nul(msgspec.to_builtins(order)), Order)
        body = msgspec.json.encode(order)
    return order, body.decode()


def order_columns(
    group: list[Order], bodies: Mapping[str, str] | None = None
) -> dict[str, list[Any]]:
    """The columns of orders; `bodies` are their JSON by id, where it was made already."""
    if bodies is None:
        bodies = {order.id: msgspec.json.encode(order).decode() for order in group}
    return {
        "id": [order.id for order in group],
        "revision": [order.revision for order in group],
        "state": [order.state.value for order in group],
        "channel": [order.channel.value for order in group],
        "currency": [order.currency for order in group],
        "total": [order.total for order in group],
        "created_ms": [order.created_ms for order in group],
        "expires_ms": [order.expires_ms for order in group],
        "buyer_name": [order.buyer.name for order in group],
        "buyer_email": [order.buyer.email for order in group],
        "buyer_words": [
            " ".join(words(f"{order.buyer.name} {order.buyer.email}")) for order in group
        ],
        "operator": [order.operator for order in group],
        "session": [order.session for order in group],
        "unfinished": [not order.finished for order in group],
        "body": [bodies[order.id] for order in group],
    }


async def _save_parts(connection: AsyncConnection, stored: list[Order]) -> None:
    lines = [(order, line) for order in stored for line in order.lines]
    if lines:
        await connection.execute(
            _UPSERT_LINES,
            {
                "order_number": [order.number for order, _ in lines],
                "currency": [order.currency for order, _ in lines],
                "state": [line.state.value for _, line in lines],
                **{
                    name: [getattr(line, name) for _, line in lines]
                    for name in (
                        *("number", "performance", "seat", "area"),
                        *("price_type", "amount", "ticket"),
                    )
                },
            },
        )
    money = [
        (order.number, payment)
        for order in stored
        for payment in order.payments
        if not order.unbooked
    ]
    if money:
        await connection.execute(
            _UPSERT_PAYMENTS,
            {
                "order_number": [number for number, _ in money],
                "method": [payment.method.value for _, payment in money],
                "state": [payment.state.value for _, payment in money],
                **{
                    name: [getattr(payment, name) for _, payment in money]
                    for name in (
                        *("id", "amount", "captured", "refunded"),
                        *("currency", "reference", "intent", "till", "given", "change"),
                    )
                },
            },
        )
    back = [(number, one, refund) for number, one in money for refund in one.refunds if refund.till]
    if back:
        await connection.execute(
            _INSERT_REPAYMENTS,
            {
                "order_number": [number for number, _, _ in back],
                "payment": [payment.id for _, payment, _ in back],
                "method": [payment.method.value for _, payment, _ in back],
                **{
                    name: [getattr(refund, name) for _, _, refund in back]
                    for name in ("key", "till", "amount")
                },
            },
        )
