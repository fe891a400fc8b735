"""The journal: what a performance decided, durable before anybody hears of it.

Owns the hot path to Postgres: appending batches of events with the rows they
imply, claiming a performance, reading its snapshot and tail back. Events and
states are bytes here; what they mean is the engine's.

Delivery guarantees:
- A batch is written as a whole, with its rows, or not at all.
- A batch is written only while its epoch is the performance's, and only right
  after `prev_seq`. Both are checked in the statement that advances the head.
- Each batch is chained to the one before by a hash, in that statement too.
- After `claim` returns, nothing of an older epoch can be written any more, and a batch of no
  events is told so.

Errors::

    JournalError
    +-- JournalUnavailable    surely nothing was written
    +-- JournalUnknown        written or not: claim and read to find out
    +-- JournalCorrupt        the stored batches do not follow each other
    +-- PerformanceUnknown    there is no such performance
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha512
from typing import Any, Final

import asyncpg  # type: ignore[import-untyped]
from msgspec import structs

from engine.journal import Append, Claimed, Succeeded, Written
from engine.layout_packed import PACKED_HEAD
from persistence import url as address
from persistence.url import (
    ABANDONED_MS,
    DRIVER_ERRORS,
    Connection,
    Pool,
    PooledConnection,
    answered,
)

APPEND_TIMEOUT_S: Final = 10.0
"""A commit that takes longer is given up as unknown."""
READ_TIMEOUT_S: Final = 60.0
"""Snapshots and tail pages; a snapshot can be several megabytes."""
CLAIM_TIMEOUT_S: Final = 12.0
"""A claim is a moment's work once an append that is being committed has ended or been given up."""
PING_S: Final = 2.0
"""A reading connection that is silent for this long before it is used is given up."""
CLOSE_TIMEOUT_S: Final = 5.0
MAX_READERS: Final = 3
"""Connections for claims, snapshots and tail pages, apart from the one for appending."""
KEPT_SNAPSHOTS: Final = 2
MAX_TAIL_ROWS: Final = 1_024
MAX_TAIL_BYTES: Final = 8 * 1024 * 1024
"""One page of the tail: at least one batch, else no more than this."""

_log = logging.getLogger(__name__)


def _unnest(first: int, *types: str) -> str:
    """Parallel arrays, parameters from `first` on, as rows."""
    arrays = [f"${number}::{type_}[]" for number, type_ in enumerate(types, first)]
    return f"unnest({', '.join(arrays)})"


def batch_hash(row: str, before: str, digest: str) -> str:
    """SQL for a batch's hash: what was before it, its numbers in 8 bytes each, and the SHA-512 of
    its events, which is twice as fast as SHA-256 where processors have no instruction for that.

    The chain is reckoned by the statement that checks the epoch: one that writers carried along
    could be forked by a writer who is not fenced yet.
    """
    numbers = " || ".join(
        f"int8send({row}.{name})" for name in ("performance", "prev_seq", "seq", "epoch", "at_ms")
    )
    return f"sha256({before} || {numbers} || {digest})"


_BATCH: Final = ("int4", "int8", "int8", "int8", "int8", "bytea", "bytea")
_TICKET: Final = (
    *("int4", "int4", "text", "int4", "int4"),
    *("text", "int8", "text", "int4", "int8"),
)
_TICKET_COLUMNS: Final = (
    "performance, number, order_id, seat, area, price_type, amount, state, version, sold_ms"
)
_SCAN: Final = (
    *("int4", "int8", "int8", "text", "text", "text", "int4", "text"),
    *("text", "int8", "int8", "text"),
)
_SCAN_COLUMNS: Final = (
    "performance, seq, at_ms, gate, device, mode, ticket, result,"
    " reason, sequence, scanned_ms, shown"
)

_ADVANCING: Final = f"""
WITH batch AS (
    SELECT * FROM {_unnest(1, *_BATCH)}
        AS b (performance, epoch, prev_seq, seq, at_ms, events, digest)
), advanced AS (
    UPDATE writers w SET
        head_seq = b.seq,
        head_hash = {batch_hash("b", "w.head_hash", "b.digest")}
    FROM batch b
    WHERE w.performance = b.performance AND w.epoch = b.epoch AND w.head_seq = b.prev_seq
    RETURNING w.performance, w.head_hash
), written AS (
    INSERT INTO journal (performance, seq, prev_seq, epoch, at_ms, events, hash)
    SELECT b.performance, b.seq, b.prev_seq, b.epoch, b.at_ms, b.events, advanced.head_hash
    FROM batch b JOIN advanced USING (performance)
)"""
_ADVANCE: Final = f"{_ADVANCING} SELECT performance FROM advanced"
_STANDING: Final = f"""
SELECT performance, epoch
FROM {_unnest(1, "int4", "int8")} AS b (performance, epoch) JOIN writers USING (performance, epoch)
"""
# With its new tickets and scans, still in one statement: a sale takes one round trip.
_ADVANCE_WITH_ROWS: Final = f"""{_ADVANCING}, sold AS (
    INSERT INTO tickets ({_TICKET_COLUMNS})
    SELECT t.* FROM {_unnest(1 + len(_BATCH), *_TICKET)} AS t ({_TICKET_COLUMNS})
    JOIN advanced USING (performance)
), scanned AS (
    INSERT INTO scans ({_SCAN_COLUMNS}, undone_ms)
    SELECT s.*, 0 FROM {_unnest(1 + len(_BATCH) + len(_TICKET), *_SCAN)} AS s ({_SCAN_COLUMNS})
    JOIN advanced USING (performance)
)
SELECT performance FROM advanced
"""
# One after the other: a refund must free its seat before the same batch sells it again.
_SET_TICKETS: Final = f"""
UPDATE tickets t SET
    state = u.state,
    version = CASE WHEN u.version = -1 THEN t.version ELSE u.version END
FROM {_unnest(1, "int4", "int4", "text", "int4")} AS u (performance, number, state, version)
WHERE t.performance = u.performance AND t.number = u.number
"""
_REPRICE_TICKETS: Final = f"""
UPDATE tickets t SET price_type = u.price_type, amount = u.amount
FROM {_unnest(1, "int4", "int4", "text", "int8")} AS u (performance, number, price_type, amount)
WHERE t.performance = u.performance AND t.number = u.number
"""
_ADD_TICKETS: Final = (
    f"INSERT INTO tickets ({_TICKET_COLUMNS}) SELECT * FROM {_unnest(1, *_TICKET)}"
)
_ADD_SCANS: Final = (
    f"INSERT INTO scans ({_SCAN_COLUMNS}, undone_ms) SELECT *, 0 FROM {_unnest(1, *_SCAN)}"
)
# Of an UndoneRow. The engine has found out that there is such a scan, and that it is the ticket's
# last.
UNDO_SCAN: Final = """
UPDATE scans SET undone_ms = $3 WHERE performance = $1 AND seq = (
    SELECT max(seq) FROM scans
    WHERE performance = $1 AND seq < $2 AND ticket = $4 AND device = $5 AND sequence = $6
        AND undone_ms = 0 AND mode <> 'look_up'
        AND coalesce(nullif(shown, ''), result) IN ('ADMITTED', 'EXITED')
)
"""
_SET_SETTINGS: Final = """
UPDATE performances SET settings = $2, first_settings = coalesce(first_settings, settings)
WHERE id = $1
"""

_CLAIM: Final = """
UPDATE writers SET
    epoch = epoch + 1,
    serving = $2,
    claimed_ms = (extract(epoch FROM clock_timestamp()) * 1000)::int8
WHERE performance = $1 AND ($3 = 0 OR epoch = $3 OR serving = $2)
RETURNING epoch, head_seq
"""
_IS_KNOWN: Final = "SELECT true FROM writers WHERE performance = $1"
# What is replayed from the start begins with the settings of the start.
_READ_PERFORMANCE: Final = """
SELECT p.starts_ms, coalesce(p.first_settings, p.settings) AS settings, p.plan,
    CASE WHEN substring(plans.packed FROM 1 FOR octet_length($2::bytea)) = $2::bytea
        THEN plans.packed ELSE plans.body END AS body
FROM performances p JOIN plans ON plans.hash = p.plan
WHERE p.id = $1
"""
_READ_SNAPSHOT: Final = """
SELECT seq, state FROM snapshots WHERE performance = $1 AND seq <= $2 ORDER BY seq DESC LIMIT 1
"""
_READ_TAIL: Final = """
SELECT seq, prev_seq, events FROM (
    SELECT seq, prev_seq, events,
        sum(octet_length(events)) OVER (ORDER BY seq) - octet_length(events) AS bytes_before
    FROM journal WHERE performance = $1 AND seq > $2 AND seq <= $3
    ORDER BY seq LIMIT $4
) page
WHERE bytes_before < $5 ORDER BY seq
"""
_KEEP_PACKED: Final = "UPDATE plans SET packed = $2 WHERE hash = $1"
_SAVE_SNAPSHOT: Final = """
INSERT INTO snapshots (performance, seq, epoch, at_ms, state)
SELECT performance, $3, epoch, (extract(epoch FROM clock_timestamp()) * 1000)::int8, $4
FROM writers WHERE performance = $1 AND epoch = $2 AND head_seq >= $3
ON CONFLICT (performance, seq) DO UPDATE SET state = excluded.state
RETURNING seq
"""
_PRUNE_SNAPSHOTS: Final = """
DELETE FROM snapshots WHERE performance = $1 AND seq NOT IN (
    SELECT seq FROM snapshots WHERE performance = $1 ORDER BY seq DESC LIMIT $2)
"""
_SERVING: Final = "SELECT serving FROM writers WHERE performance = $1"


class JournalError(Exception):
    """The journal could not do what was asked."""


class JournalUnavailable(JournalError):
    """Surely nothing was written; the same call may be made again later."""


class JournalUnknown(JournalError):
    """The connection was lost while committing. Stop, claim, and read what is there."""


class JournalCorrupt(JournalError):
    """Batches that do not follow each other. Needs a person: nothing is repaired by itself."""


class PerformanceUnknown(JournalError):
    """There is no performance of that number."""


class Journal:
    """One connection for appending, a few for reading. Made lazily, replaced when lost."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._turn = asyncio.Lock()
        self._writer: Connection | None = None
        self._readers: Pool | None = None
        self._readers_turn = asyncio.Lock()

    async def close(self) -> None:
        """Give up every connection. The journal can be used again afterwards."""
        async with self._turn:
            self._drop_writer()
        readers, self._readers = self._readers, None
        if readers is not None:
            try:
                async with asyncio.timeout(CLOSE_TIMEOUT_S):
                    await readers.close()
            except TimeoutError:
                readers.terminate()

    # Appending ------------------------------------------------------------------

    async def append(self, batches: Sequence[Append]) -> list[Written]:
        """Write batches of any performances in one transaction; aligned with `batches`.

        Several batches of one performance must follow each other in the list. A batch that
        a constraint refuses does not take the others with it.

        Raises:
            JournalUnavailable: Nothing of it was written.
            JournalUnknown: All of it was written, or nothing.
        """
        asked = [batch for batch in batches if batch.only_asks]
        writing = [batch for batch in batches if not batch.only_asks] if asked else batches
        async with self._turn:
            standing = await self._standing(asked) if asked else frozenset()
            written = iter(await self._append_together(writing) if writing else ())
        return [
            next(written) if not batch.only_asks
            else Written.WRITTEN if (batch.performance, batch.epoch) in standing
            else Written.FENCED
            for batch in batches
        ]  # fmt: skip

    async def _standing(self, asked: Sequence[Append]) -> frozenset[tuple[int, int]]:
        """Which of these are their performance's epoch now, as (performance, epoch)."""
        connection = await self._connected()
        columns = [batch.performance for batch in asked], [batch.epoch for batch in asked]
        try:
            rows = await connection.fetch(_STANDING, *columns, timeout=APPEND_TIMEOUT_S)
        except BaseException as error:
            if not answered(error):
                self._drop_writer()
            if not isinstance(error, Exception):
                raise
            raise JournalUnavailable(f"{type(error).__name__}: {error}") from error
        return frozenset((row["performance"], row["epoch"]) for row in rows)

    async def _append_together(self, batches: Sequence[Append]) -> list[Written]:
        try:
            return await self._append(batches)
        except _Refused as refused:
            if len(batches) > 1:
                return await self._append_one_by_one(batches)
            return [refused.verdict()]

    async def _append_one_by_one(self, batches: Sequence[Append]) -> list[Written]:
        verdicts: list[Written] = []
        for batch in batches:
            try:
                verdicts += await self._append([batch])
            except _Refused as refused:
                verdicts.append(refused.verdict())
            except JournalError:
                # Some are written already: the rest is left to those who claim.
                verdicts += [Written.UNKNOWN] * (len(batches) - len(verdicts))
                break
        return verdicts

    async def _append(self, batches: Sequence[Append]) -> list[Written]:
        connection = await self._connected()
        rounds = _rounds(batches)
        alone = len(rounds) == 1 and not any(
            batch.projection.ticket_states
            or batch.projection.undone
            or batch.projection.settings is not None
            for batch in batches
        )
        committing = alone
        written: list[Append] = []
        try:
            if alone:  # one statement, which is its own transaction
                written = await _advance(connection, rounds[0], rows=True)
            else:
                async with asyncio.timeout(APPEND_TIMEOUT_S):
                    await connection.execute("BEGIN")
                    for group in rounds:
                        written += await _write(connection, group)
                    committing = True
                    await connection.execute("COMMIT")
        except BaseException as error:
            surely_not = not committing or answered(error)
            if not (alone and answered(error)):
                self._drop_writer()  # and with it the transaction that was begun
            if not isinstance(error, Exception):
                raise
            if isinstance(error, _MAY_BE_ONE_BATCH) and surely_not:
                raise _Refused(error) from error
            kind = JournalUnavailable if surely_not else JournalUnknown
            raise kind(f"{type(error).__name__}: {error}") from error
        # Each for itself: a writer whose reign is over and its successor may reach the same seq.
        durable = {id(batch) for batch in written}
        return [Written.WRITTEN if id(batch) in durable else Written.FENCED for batch in batches]

    async def _connected(self) -> Connection:
        if self._writer is None or self._writer.is_closed():
            try:
                self._writer = await address.connect(
                    self._url,
                    synchronous_commit="on",
                    idle_in_transaction_session_timeout=str(ABANDONED_MS),
                )
            except DRIVER_ERRORS as error:
                raise JournalUnavailable(f"no connection to the database: {error}") from error
        return self._writer

    def _drop_writer(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.terminate()

    # Claiming and reading -------------------------------------------------------

    async def claim(self, performance: int, serving: str, since: int = 0) -> Claimed:
        """Become the performance's only writer, or go on as its writer.

        Waits for an append that is being committed. When this raises JournalUnavailable the
        claim may have been made all the same: claiming again is harmless.

        Args:
            performance: Its number.
            serving: Who and where: read by people, and no other writer's name.
            since: The last epoch of a writer that goes on; 0 for one that takes over.

        Raises:
            Succeeded: Another writer has claimed it after `since`; nothing is claimed.
            PerformanceUnknown, JournalUnavailable
        """
        async with self._reading() as connection:
            asked = performance, serving, since
            claim = await connection.fetchrow(_CLAIM, *asked, timeout=CLAIM_TIMEOUT_S)
            if claim is None:
                if await connection.fetchval(_IS_KNOWN, performance):
                    raise Succeeded(f"performance {performance}: claimed since epoch {since}")
                raise PerformanceUnknown(f"there is no performance {performance}")
            # A later statement: it sees what the append that we waited for has changed.
            row = await connection.fetchrow(_READ_PERFORMANCE, performance, PACKED_HEAD)
            snapshot = await connection.fetchrow(_READ_SNAPSHOT, performance, claim["head_seq"])
        assert row is not None, "a writers row has a performance, and that has a plan"
        return Claimed(
            performance=performance,
            epoch=claim["epoch"],
            head_seq=claim["head_seq"],
            starts_ms=row["starts_ms"],
            plan_hash=row["plan"],
            plan=row["body"],
            settings=row["settings"],
            snapshot=None if snapshot is None else (snapshot["seq"], snapshot["state"]),
        )

    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]:
        """Batches after a seq as (seq, events), in order, up to MAX_TAIL_BYTES or so.

        Ask again after the last seq, until that is `until_seq` (the claim's `head_seq`).

        Raises:
            JournalCorrupt: A batch is missing, or `after_seq` is inside one.
            JournalUnavailable
        """
        async with self._reading() as connection:
            rows = await connection.fetch(
                _READ_TAIL, performance, after_seq, until_seq, MAX_TAIL_ROWS, MAX_TAIL_BYTES
            )
        expected = after_seq
        for row in rows:
            if row["prev_seq"] != expected:
                raise JournalCorrupt(
                    f"performance {performance}: after seq {expected} comes a batch that "
                    f"follows {row['prev_seq']}"
                )
            expected = row["seq"]
        if not rows and after_seq != until_seq:
            raise JournalCorrupt(f"performance {performance}: nothing after seq {after_seq}")
        return [(row["seq"], row["events"]) for row in rows]

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> bool:
        """Keep the state at `seq`, which must be the end of a written batch; prune older ones.

        False when the epoch is over or `seq` is not written.

        Raises:
            JournalUnavailable: Saving it again is harmless.
        """
        async with self._reading() as connection:
            saved = await connection.fetchval(_SAVE_SNAPSHOT, performance, epoch, seq, state)
            if saved is not None:
                await connection.execute(_PRUNE_SNAPSHOTS, performance, KEPT_SNAPSHOTS)
        return saved is not None

    async def keep_packed(self, plan_hash: str, packed: bytes) -> None:
        """Give this to the next claims instead of the plan's file.

        Raises:
            JournalUnavailable: Keeping it again is harmless.
        """
        async with self._reading() as connection:
            await connection.execute(_KEEP_PACKED, plan_hash, packed)

    async def serving(self, performance: int) -> str | None:
        """What the last claim said of itself, "" before the first; None: no such performance."""
        async with self._reading() as connection:
            name: str | None = await connection.fetchval(_SERVING, performance)
        return name

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[PooledConnection]:
        try:
            async with self._readers_turn:
                if self._readers is None:
                    self._readers = await address.pool(self._url, MAX_READERS, READ_TIMEOUT_S)
                readers = self._readers
            async with readers.acquire(timeout=READ_TIMEOUT_S) as connection:
                try:
                    await connection.fetchrow(";", timeout=PING_S)
                    yield connection
                except DRIVER_ERRORS as error:
                    if not answered(error):
                        # A network that was cut leaves connections that are silent for ever. To
                        # give it back politely takes as long again, and the others are no better.
                        connection.terminate()
                        await readers.expire_connections()
                    raise
        except DRIVER_ERRORS as error:
            raise JournalUnavailable(f"{type(error).__name__}: {error}") from error


class _Refused(Exception):
    """The database refused the statement for what is in it; the transaction is gone."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error

    def verdict(self) -> Written:
        """Of a batch that was alone. Raises JournalUnavailable when no constraint refused it."""
        if isinstance(self.error, asyncpg.IntegrityConstraintViolationError):
            _log.critical("a constraint refused a batch: %s (%s)", self.error, self.error.detail)
            return Written.SECOND_WALL
        raise JournalUnavailable(f"{type(self.error).__name__}: {self.error}") from self.error


_MAY_BE_ONE_BATCH: Final = (
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.DataError,
    asyncpg.DeadlockDetectedError,
)


def _rounds(batches: Sequence[Append]) -> list[list[Append]]:
    """The first batch of each performance, then the second of each, ...; lock order is fixed."""
    rounds: list[list[Append]] = []
    seen: dict[int, int] = {}
    for batch in batches:
        number = seen.get(batch.performance, 0)
        seen[batch.performance] = number + 1
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(batch)
    for group in rounds:
        group.sort(key=lambda batch: batch.performance)
    return rounds


async def _advance(connection: Connection, group: list[Append], rows: bool) -> list[Append]:
    """Journal one batch a performance; those accepted.

    `rows`: with the tickets and scans of the accepted, which is right where no ticket changes.
    """
    tickets, scans = (_tickets(group), _scans(group)) if rows else ([], [])
    arrays = [
        [batch.performance for batch in group],
        [batch.epoch for batch in group],
        [batch.prev_seq for batch in group],
        [batch.seq for batch in group],
        [batch.at_ms for batch in group],
        [batch.events for batch in group],
        [sha512(batch.events).digest() for batch in group],
    ]
    statement = _ADVANCE
    if tickets or scans:
        statement = _ADVANCE_WITH_ROWS
        arrays += [*_columns(tickets, len(_TICKET)), *_columns(scans, len(_SCAN))]
    accepted = await connection.fetch(statement, *arrays, timeout=APPEND_TIMEOUT_S)
    advanced = {row["performance"] for row in accepted}
    return [batch for batch in group if batch.performance in advanced]


async def _write(connection: Connection, group: list[Append]) -> list[Append]:
    """As `_advance`, statement by statement, whatever the batches change."""
    accepted = await _advance(connection, group, rows=False)
    states = [
        (batch.performance, *state)
        for batch in accepted
        for state in batch.projection.ticket_states
    ]
    if states:
        await connection.execute(_SET_TICKETS, *_columns(states, 4))
    repriced = [
        (batch.performance, *ticket) for batch in accepted for ticket in batch.projection.repriced
    ]
    if repriced:
        await connection.execute(_REPRICE_TICKETS, *_columns(repriced, 4))
    if tickets := _tickets(accepted):
        await connection.execute(_ADD_TICKETS, *_columns(tickets, len(_TICKET)))
    if scans := _scans(accepted):
        await connection.execute(_ADD_SCANS, *_columns(scans, len(_SCAN)))
    # One by one, in their order: each takes back what the one before it has left.
    undone = [
        (batch.performance, *structs.astuple(row))
        for batch in accepted
        for row in batch.projection.undone
    ]
    if undone:
        await connection.executemany(UNDO_SCAN, undone)
    for batch in accepted:
        if batch.projection.settings is not None:
            await connection.execute(_SET_SETTINGS, batch.performance, batch.projection.settings)
    return accepted


def _tickets(group: list[Append]) -> list[tuple[Any, ...]]:
    return [
        (batch.performance, *structs.astuple(row))
        for batch in group
        for row in batch.projection.tickets
    ]


def _scans(group: list[Append]) -> list[tuple[Any, ...]]:
    return [
        (batch.performance, *structs.astuple(row))
        for batch in group
        for row in batch.projection.scans
    ]


def _columns(rows: list[tuple[Any, ...]], width: int) -> list[list[Any]]:
    if not rows:
        return [[] for _ in range(width)]
    return [list(column) for column in zip(*rows, strict=True)]
