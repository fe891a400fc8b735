"""The ledger in Postgres: records appended with what they record, periods closed and signed.

Owns `record`, which runs in the transaction that saves the orders, the closing of days with
the months and years that they complete, and reading back. What a record says and what a
period comes to is the engine's (`engine.ledger`, `engine.ledger_periods`).

- The row of `ledgers` is locked by whoever appends or closes. So records and periods have no
  gaps, no record is younger than one with a higher number, and no record is written into a
  period that is closed: its time is at least that of the latest closing, whatever the clock says.
- A transaction that is rolled back leaves no number behind, one that is committed no fact.
"""

import secrets
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final
from zoneinfo import ZoneInfo

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import Struct, structs
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.ledger import NO_TAX, Fact, FactKind, Head, Record, write
from engine.ledger_periods import (
    Closed,
    JournalMark,
    OpenDay,
    Period,
    Standing,
    Total,
    body_hash,
    body_of,
    close_day,
    close_longer,
    read_period,
    standing_of,
    summed,
)
from persistence.clock import now_ms
from persistence.ledger_days import begin_ms, day_after, day_of
from persistence.mails import queue_digests
from persistence.schema import ledger, ledger_periods

MAX_RECORDS_READ: Final = 5_000
MAX_PERIODS_READ: Final = 400
"""In one answer. More than the days, months and year of one year."""
MAX_DAYS_PER_CLOSING: Final = 31
"""Closed in one transaction, during which no order is saved; the next goes on."""

_LOCK: Final = sa.text("""
SELECT p.id AS performance, l.organiser, l.number, l.hash, l.at_ms, l.closed_until_ms,
    h.settings ->> 'vat_bp' AS vat_bp
FROM performances p
JOIN productions r ON r.id = p.production
JOIN house h ON h.id = r.organiser
JOIN ledgers l ON l.organiser = h.id
WHERE p.id = ANY(CAST(:performances AS int4[]))
ORDER BY l.organiser FOR UPDATE OF l
""")
_BEGIN: Final = sa.text("""
INSERT INTO ledgers (organiser, seed)
SELECT id, :seed FROM house WHERE id = ANY (
    SELECT r.organiser FROM performances p JOIN productions r ON r.id = p.production
    WHERE p.id = ANY(CAST(:performances AS int4[])))
    AND NOT EXISTS (SELECT FROM ledgers WHERE organiser = house.id)
ORDER BY id LIMIT 1
ON CONFLICT DO NOTHING
""")
_SOLD_AT: Final = sa.text("""
SELECT order_number, line, CASE WHEN kind = 'fee' THEN price_type ELSE '' END AS fee, tax_bp
FROM ledger
WHERE kind IN ('sale', 'fee') AND amount >= 0 AND order_number = ANY(CAST(:orders AS int8[]))
""")
_COLUMNS: Final = {
    **{"organiser": "int4", "number": "int8", "at_ms": "int8", "kind": "text"},
    **{"order_number": "int8", "line": "int4", "performance": "int4", "ticket": "int4"},
    **{"price_type": "text", "amount": "int8", "currency": "text", "tax_bp": "int4"},
    **{"method": "text", "channel": "text", "operator": "text", "ref": "text", "hash": "bytea"},
}
_ARRAYS: Final = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in _COLUMNS.items())
_APPEND: Final = sa.text(f"""
WITH written AS (
    INSERT INTO ledger ({", ".join(_COLUMNS)}) SELECT * FROM unnest({_ARRAYS})
)
UPDATE ledgers l SET number = h.number, hash = h.hash, at_ms = h.at_ms
FROM unnest(CAST(:heads AS int4[]), CAST(:numbers AS int8[]), CAST(:hashes AS bytea[]),
    CAST(:times AS int8[])) AS h (organiser, number, hash, at_ms)
WHERE l.organiser = h.organiser
""")
_HEAD: Final = """
SELECT l.organiser, l.number, l.hash, l.at_ms, l.closed_until_ms, l.period, l.period_hash,
    l.seed, h.time_zone
FROM ledgers l JOIN house h ON h.id = l.organiser
"""
# When the day that is open began, or the first was: before that there is nothing to close.
_OPEN_SINCE: Final = sa.text("""
SELECT l.organiser, h.time_zone,
    CASE WHEN l.closed_until_ms > 0 THEN l.closed_until_ms ELSE r.at_ms END AS since_ms
FROM ledgers l
JOIN house h ON h.id = l.organiser
JOIN ledger r ON r.organiser = l.organiser AND r.number = 1
ORDER BY l.organiser
""")
_ALL_HEADS: Final = sa.text(f"{_HEAD} ORDER BY l.organiser FOR UPDATE OF l")
_READ_HEAD: Final = sa.text(f"{_HEAD} WHERE l.organiser = :organiser")
_LOCK_HEAD: Final = sa.text(f"{_HEAD} WHERE l.organiser = :organiser FOR UPDATE OF l")
_LAST_BEFORE: Final = sa.text("""
SELECT number, hash FROM ledger
WHERE organiser = :organiser AND number >= :first AND at_ms < :until_ms
ORDER BY number DESC LIMIT 1
""")
_TOTALS: Final = sa.text("""
SELECT currency, kind, method, price_type, tax_bp, count(*), CAST(sum(amount) AS int8)
FROM ledger WHERE organiser = :organiser AND number BETWEEN :first AND :last
GROUP BY currency, kind, method, price_type, tax_bp
""")
_BY_PERFORMANCE: Final = sa.text("""
SELECT performance, currency,
    count(*) FILTER (WHERE kind = 'sale'),
    CAST(coalesce(sum(amount) FILTER (WHERE kind = 'sale'), 0) AS int8),
    count(*) FILTER (WHERE kind <> 'sale'),
    CAST(coalesce(sum(amount) FILTER (WHERE kind <> 'sale'), 0) AS int8)
FROM ledger
WHERE organiser = :organiser AND number BETWEEN :first AND :last
    AND kind IN ('sale', 'refund', 'cancellation') AND line > 0
GROUP BY performance, currency ORDER BY performance, currency
""")
_MARKS: Final = sa.text("""
SELECT w.performance, w.head_seq, encode(w.head_hash, 'hex')
FROM writers w
JOIN journal j ON j.performance = w.performance AND j.seq = w.head_seq
JOIN performances p ON p.id = w.performance
JOIN productions r ON r.id = p.production
WHERE r.organiser = :organiser AND j.at_ms >= :from_ms AND w.head_hash <> ''
ORDER BY w.performance
""")
_CLOSE: Final = sa.text("""
UPDATE ledgers SET period = :period, period_hash = :hash, closed_until_ms = :until_ms
WHERE organiser = :organiser
""")


class Sold(Struct, frozen=True):
    """Places of a performance sold and given back, without their fees; `back` is negative."""

    performance: int
    currency: str
    places: int
    amount: int
    places_back: int
    back: int


# Appending -----------------------------------------------------------------------


async def record(
    connection: AsyncConnection, facts: Sequence[tuple[int, Fact]], at_ms: int
) -> None:
    """Append facts, each with a performance of the organiser whose it is, to their ledgers.

    Raises:
        LookupError: There is no such performance.
    """
    if not facts:
        return
    heads = await _locked(connection, sorted({performance for performance, _ in facts}))
    taxes = await _taxes(connection, facts)
    by_organiser: dict[int, list[tuple[Fact, int]]] = {}
    for performance, fact in facts:
        head = heads[performance]
        tax_bp = NO_TAX
        if fact.kind in _TAXED_ALONE or (fact.line and fact.kind is not FactKind.ABSORBED):
            known = taxes.get(_taxed(fact)) if fact.tax_bp is None else fact.tax_bp
            tax_bp = _rate(head.vat_bp) if known is None else known
        by_organiser.setdefault(head.organiser, []).append((fact, tax_bp))
    ends = {head.organiser: head for head in heads.values()}
    records: list[Record] = []
    lasts: list[Record] = []
    for organiser, its_facts in by_organiser.items():
        end = ends[organiser]
        since_ms = max(at_ms, end.at_ms, end.closed_until_ms)
        records += write(organiser, end.number, end.hash.hex(), since_ms, its_facts)
        lasts.append(records[-1])
    await connection.execute(_APPEND, _append_arguments(records, lasts))


async def record_restore(connection: AsyncConnection, ref: str, at_ms: int) -> None:
    """Note in every ledger that what follows was written after a restoration."""
    for head in list(await connection.execute(_ALL_HEADS)):
        since_ms = max(at_ms, head.at_ms, head.closed_until_ms)
        fact = Fact(FactKind.RESTORE, ref=ref)
        records = write(head.organiser, head.number, head.hash.hex(), since_ms, [(fact, NO_TAX)])
        await connection.execute(_APPEND, _append_arguments(records, records))


async def _locked(
    connection: AsyncConnection, performances: list[int]
) -> dict[int, sa.Row[*tuple[Any, ...]]]:
    """The ledgers' ends by performance, for this transaction alone."""
    while True:
        rows = await connection.execute(_LOCK, {"performances": performances})
        heads = {row.performance: row for row in rows}
        if len(heads) == len(performances):
            return heads
        begun = await connection.execute(
            _BEGIN, {"performances": performances, "seed": secrets.token_bytes(32)}
        )
        if not begun.rowcount:
            rows = await connection.execute(_LOCK, {"performances": performances})
            heads = {row.performance: row for row in rows}
            if len(heads) == len(performances):
                return heads
            unknown = sorted(set(performances) - heads.keys())
            raise LookupError(f"there is no performance {unknown[0]}")


_TAXED_ALONE: Final = (FactKind.FEE, FactKind.ALLOWANCE)
"""They change what was earned, also where they belong to no line."""


def _taxed(fact: Fact) -> tuple[int, int, str]:
    """What a rate belongs to: a line of an order, or one of its fees."""
    return fact.order, fact.line, fact.price_type if fact.kind is FactKind.FEE else ""


async def _taxes(
    connection: AsyncConnection, facts: Sequence[tuple[int, Fact]]
) -> dict[tuple[int, int, str], int]:
    """The rates at which what is given back was sold, where its order does not say."""
    orders = {
        fact.order
        for _, fact in facts
        if fact.tax_bp is None
        and (
            (fact.line and fact.kind in (FactKind.REFUND, FactKind.CANCELLATION))
            or (fact.kind is FactKind.FEE and fact.amount < 0)
        )
    }
    return await sold_at(connection, orders)


async def sold_at(
    connection: AsyncConnection, orders: Iterable[int]
) -> dict[tuple[int, int, str], int]:
    """The rates at which orders were sold: by order, line, and fee or "" for the line itself."""
    wanted = sorted(orders)
    if not wanted:
        return {}
    rows = await connection.execute(_SOLD_AT, {"orders": wanted})
    return {(row.order_number, row.line, row.fee): row.tax_bp for row in rows}


def _rate(text: str | None) -> int:
    return int(text) if text is not None and text.isdigit() else NO_TAX


def _append_arguments(records: list[Record], lasts: list[Record]) -> dict[str, list[Any]]:
    columns = [list(column) for column in zip(*map(structs.astuple, records), strict=True)]
    columns[-1] = [bytes.fromhex(one.hash) for one in records]
    return {
        **dict(zip(_COLUMNS, columns, strict=True)),
        "heads": [one.organiser for one in lasts],
        "numbers": [one.number for one in lasts],
        "hashes": [bytes.fromhex(one.hash) for one in lasts],
        "times": [one.at_ms for one in lasts],
    }


# Closing and reading -------------------------------------------------------------


class Ledger:
    """The ledgers of a database's houses. Every method is one transaction, or one for each
    MAX_DAYS_PER_CLOSING days."""

    def __init__(self, engine: AsyncEngine, clock_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock_ms = clock_ms

    async def close_due(self) -> int:
        """Close every day that is over, of every house; how many periods were closed."""
        async with self._engine.connect() as connection:
            rows = list(await connection.execute(_OPEN_SINCE))
        closed = 0
        for row in rows:
            zone = ZoneInfo(row.time_zone)
            if day_of(row.since_ms, zone) < day_of(self._clock_ms(), zone):
                closed += len(await self.close(row.organiser))
        return closed

    async def close(self, organiser: int, *, early: bool = False) -> list[Closed]:
        """Close the days that are over, and `early` the one that is not: what comes later today
        then belongs to tomorrow's books. Oldest first; none when there is nothing to close."""
        closed: list[Closed] = []
        while True:
            async with self._engine.begin() as connection:
                some, more = await self._close_some(connection, organiser, early)
            closed += some
            if not more:
                return closed

    async def _close_some(
        self, connection: AsyncConnection, organiser: int, early: bool
    ) -> tuple[list[Closed], bool]:
        """Some of the closings that are due, and whether there may be more."""
        head = (await connection.execute(_LOCK_HEAD, {"organiser": organiser})).one_or_none()
        if head is None or not head.number:
            return [], False
        zone, now = ZoneInfo(head.time_zone), max(self._clock_ms(), head.at_ms)
        key = Ed25519PrivateKey.from_private_bytes(head.seed)
        public = key.public_key().public_bytes_raw().hex()
        standing = await _standing(connection, organiser)
        closed: list[Closed] = []
        days: list[Period] = []
        more = False
        for turn in range(MAX_DAYS_PER_CLOSING + 1):
            label, from_ms = await _open_day(connection, organiser, standing, zone)
            until_ms = max(begin_ms(day_after(label), zone), from_ms)
            if until_ms > now:
                if not early or label > day_of(now, zone):
                    break
                early, until_ms = False, now + 1
            if turn == MAX_DAYS_PER_CLOSING:
                more = True
                break
            day = await _day(connection, organiser, standing, label, zone.key, from_ms, until_ms)
            period: Period | None = close_day(organiser, standing, day, now, public)
            if period is not None:
                days.append(period)
            while period is not None:
                body = body_of(period)
                hash = body_hash(body)
                signature = key.sign(bytes.fromhex(hash)).hex()
                closed.append(Closed(period.number, body, hash, signature))
                standing = standing.after(period, hash)
                period = close_longer(standing, day_after(label), now, public)
        if closed:
            await _keep(connection, organiser, closed, standing)
            await queue_digests(connection, organiser, days, now)
        return closed, more

    async def head(self, organiser: int) -> Head | None:
        """The ledger's end; None before its first record."""
        async with self._engine.connect() as connection:
            return await _head(connection, organiser)

    async def records(
        self, organiser: int, after: int, limit: int = MAX_RECORDS_READ
    ) -> tuple[Head | None, list[Record]]:
        """The records after a number, in order, and where the ledger ended in that moment."""
        query = (
            sa.select(*[ledger.c[name] for name in _COLUMNS])
            .where(ledger.c.organiser == organiser, ledger.c.number > after)
            .order_by(ledger.c.number)
            .limit(min(limit, MAX_RECORDS_READ))
        )
        async with self._one_moment() as connection:
            head = await _head(connection, organiser)
            rows = await connection.execute(query)
            return head, [Record(*[*row[:-1], row.hash.hex()]) for row in rows]

    async def periods(
        self, organiser: int, after: int, limit: int = MAX_PERIODS_READ
    ) -> tuple[Head | None, list[Closed]]:
        """The closed periods after a number, in order, and where the ledger ended then."""
        query = (
            _select_periods(organiser)
            .where(ledger_periods.c.number > after)
            .order_by(ledger_periods.c.number)
            .limit(min(limit, MAX_PERIODS_READ))
        )
        async with self._one_moment() as connection:
            head = await _head(connection, organiser)
            return head, [_closed(row) for row in await connection.execute(query)]

    async def period(self, organiser: int, number: int) -> Closed | None:
        query = _select_periods(organiser).where(ledger_periods.c.number == number)
        async with self._engine.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _closed(row)

    async def by_performance(self, organiser: int, first: int, last: int) -> list[Sold]:
        """What some records say of the sales of each performance, in their order."""
        values = {"organiser": organiser, "first": first, "last": last}
        async with self._engine.connect() as connection:
            return [Sold(*row) for row in await connection.execute(_BY_PERFORMANCE, values)]

    @asynccontextmanager
    async def _one_moment(self) -> AsyncIterator[AsyncConnection]:
        """A connection whose statements all see the same moment."""
        async with self._engine.connect() as connection:
            yield await connection.execution_options(isolation_level="REPEATABLE READ")


async def _head(connection: AsyncConnection, organiser: int) -> Head | None:
    row = (await connection.execute(_READ_HEAD, {"organiser": organiser})).one_or_none()
    if row is None:
        return None
    key = Ed25519PrivateKey.from_private_bytes(row.seed).public_key()
    return Head(
        organiser=organiser,
        number=row.number,
        hash=row.hash.hex(),
        at_ms=row.at_ms,
        closed_until_ms=row.closed_until_ms,
        period=row.period,
        period_hash=row.period_hash.hex(),
        key=key.public_bytes_raw().hex(),
    )


def _select_periods(organiser: int) -> sa.Select[*tuple[Any, ...]]:
    columns = ("number", "body", "hash", "signature")
    return sa.select(*[ledger_periods.c[name] for name in columns]).where(
        ledger_periods.c.organiser == organiser
    )


def _closed(row: sa.Row[*tuple[Any, ...]]) -> Closed:
    return Closed(row.number, row.body, row.hash.hex(), row.signature.hex())


async def _standing(connection: AsyncConnection, organiser: int) -> Standing:
    latest = (
        _select_periods(organiser).order_by(ledger_periods.c.number.desc()).limit(MAX_PERIODS_READ)
    )
    rows = list(await connection.execute(latest))
    return standing_of([(read_period(row.body), row.hash.hex()) for row in reversed(rows)])


async def _open_day(
    connection: AsyncConnection, organiser: int, standing: Standing, zone: ZoneInfo
) -> tuple[str, int]:
    """The name of the day after the one that was closed last, and when it begins."""
    if standing.day is not None:
        return day_after(standing.day.label), standing.day.until_ms
    first_ms = await connection.scalar(
        sa.select(ledger.c.at_ms).where(ledger.c.organiser == organiser, ledger.c.number == 1)
    )
    assert first_ms is not None, f"ledger {organiser} has no record 1"
    label = day_of(first_ms, zone)
    return label, begin_ms(label, zone)


async def _day(
    connection: AsyncConnection,
    organiser: int,
    standing: Standing,
    label: str,
    time_zone: str,
    from_ms: int,
    until_ms: int,
) -> OpenDay:
    """What is in the day that follows the last one."""
    before = standing.day
    first = 1 if before is None else before.last + 1
    found = (
        await connection.execute(
            _LAST_BEFORE, {"organiser": organiser, "first": first, "until_ms": until_ms}
        )
    ).one_or_none()
    totals: tuple[Total, ...] = ()
    if found is None:
        assert before is not None, "the first day has a record"
        last, last_hash = before.last, before.last_hash
    else:
        last, last_hash = found.number, found.hash.hex()
        rows = await connection.execute(
            _TOTALS, {"organiser": organiser, "first": first, "last": last}
        )
        totals = summed(Total(*row) for row in rows)
    marks = await connection.execute(_MARKS, {"organiser": organiser, "from_ms": from_ms})
    journals = tuple(JournalMark(*row) for row in marks)
    return OpenDay(label, time_zone, from_ms, until_ms, last, last_hash, totals, journals)


async def _keep(
    connection: AsyncConnection, organiser: int, closed: list[Closed], standing: Standing
) -> None:
    await connection.execute(
        ledger_periods.insert(),
        [
            {
                "organiser": organiser,
                "number": one.number,
                "body": one.body,
                "hash": bytes.fromhex(one.hash),
                "signature": bytes.fromhex(one.signature),
            }
            for one in closed
        ],
    )
    assert standing.day is not None
    await connection.execute(
        _CLOSE,
        {
            "organiser": organiser,
            "period": standing.number,
            "hash": bytes.fromhex(standing.hash),
            "until_ms": standing.day.until_ms,
        },
    )
