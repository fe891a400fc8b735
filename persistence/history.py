"""The journal for those who only look: page by page, undecoded, from any position.

Owns that query, and the one that checks a journal's chain of hashes where it lies. Its connections
are apart from the journal's and from those of the other queries, so that whoever replays a long
sale stands in nobody's way.
"""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.journal import JournalCheck, Page, Recorded
from engine.ledger_check import Fault
from persistence.journal import batch_hash
from persistence.schema import journal, writers

MAX_PAGE_BYTES: Final = 1024 * 1024
"""Events in one page: at least one batch, else no more than this."""
MAX_PAGE_BATCHES: Final = 4_096
MAX_FAULTS: Final = 100
"""Places where a journal's chain is broken, told one by one."""
MAX_JOURNALS: Final = 1_000


class History:
    """Read only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def page(self, performance: int, after_seq: int) -> Page | None:
        """The batches that begin after a seq, which is 0 or the end of a batch.

        None when there is no such performance. A seq inside a batch skips the rest of it,
        which the reader sees by `Recorded.prev_seq`.
        """
        here = journal.c.performance == performance
        async with self._engine.connect() as connection:
            # The head is asked for last: it is never before the page's end.
            batches = tuple(
                Recorded(*row)
                for row in await connection.execute(_page(here, after_seq, MAX_PAGE_BYTES))
            )
            first_ms = await connection.scalar(_at_ms(here, journal.c.seq.asc()))
            last_ms = await connection.scalar(_at_ms(here, journal.c.seq.desc()))
            head_seq = await connection.scalar(
                sa.select(writers.c.head_seq).where(writers.c.performance == performance)
            )
        if head_seq is None:
            return None
        return Page(head_seq, first_ms or 0, last_ms or 0, batches)

    async def check(self, performance: int, seqs: Sequence[int] = ()) -> JournalCheck | None:
        """Reckon the chain of a journal again, and tell its hashes at these ends of batches.

        None when there is no such performance. The database does the work: the events are read
        there and sent nowhere.
        """
        async with self._engine.connect() as connection:
            # One statement is one moment: a batch that is written meanwhile is not half there.
            rows = list(await connection.execute(_CHECK, {"performance": performance}))
            marks = await connection.execute(
                _HASHES_AT, {"performance": performance, "seqs": list(seqs)}
            )
            hashes = {row.seq: row.hash for row in marks}
        if not rows:
            return None
        head = rows[0]
        faults = [
            (row.seq, Fault.MISSING if row.missing else Fault.CHANGED)
            for row in rows
            if row.seq is not None
        ][:MAX_FAULTS]
        if head.last_seq != head.head_seq or (not faults and head.last_hash != head.head_hash):
            fault = Fault.MISSING if head.last_seq < head.head_seq else Fault.HEAD
            faults.append((max(head.head_seq, 1), fault))
        return JournalCheck(
            performance, head.head_seq, head.batches, head.unchained, tuple(faults), hashes
        )

    async def journals(self, after: int) -> list[int]:
        """The performances after a number that have a journal, in order, a page of them."""
        query = (
            sa.select(writers.c.performance)
            .where(writers.c.performance > after, writers.c.head_seq > 0)
            .order_by(writers.c.performance)
            .limit(MAX_JOURNALS)
        )
        async with self._engine.connect() as connection:
            return list(await connection.scalars(query))


_CHECK: Final = sa.text(f"""
WITH batch AS (
    SELECT j.*, lag(seq, 1, 0::int8) OVER w AS before_seq, lag(hash, 1, ''::bytea) OVER w AS before
    FROM journal j WHERE performance = :performance WINDOW w AS (ORDER BY seq)
), told AS (
    SELECT b.seq, b.prev_seq, b.before_seq, b.hash,
        b.prev_seq <> b.before_seq AS missing,
        CASE WHEN b.hash = '' THEN b.before <> ''
            ELSE b.hash <> {batch_hash("b", "b.before", "sha512(b.events)")} END AS wrong
    FROM batch b
), wrong AS (
    SELECT seq, prev_seq, before_seq, missing FROM told WHERE missing OR wrong
    ORDER BY seq LIMIT {MAX_FAULTS}
), whole AS (
    SELECT count(*) AS batches, count(*) FILTER (WHERE hash = '') AS unchained,
        coalesce(max(seq), 0) AS last_seq FROM told
)
SELECT w.head_seq, w.head_hash, whole.batches, whole.unchained, whole.last_seq,
    coalesce((SELECT hash FROM journal WHERE performance = :performance AND seq = whole.last_seq),
        '') AS last_hash,
    CASE WHEN wrong.missing THEN wrong.before_seq + 1 ELSE wrong.seq END AS seq, wrong.missing
FROM writers w CROSS JOIN whole LEFT JOIN wrong ON true
WHERE w.performance = :performance
ORDER BY wrong.seq
""")
_HASHES_AT: Final = sa.text("""
SELECT seq, encode(hash, 'hex') AS hash FROM journal
WHERE performance = :performance AND seq = ANY(CAST(:seqs AS int8[]))
""")


def _page(
    here: sa.ColumnElement[bool], after_seq: int, most_bytes: int
) -> sa.Select[*tuple[Any, ...]]:
    size = sa.func.octet_length(journal.c.events)
    before = (sa.func.sum(size).over(order_by=journal.c.seq) - size).label("bytes_before")
    near = (
        sa.select(*[journal.c[name] for name in Recorded.__struct_fields__], before)
        .where(here, journal.c.seq > after_seq)
        .order_by(journal.c.seq)
        .limit(MAX_PAGE_BATCHES)
        .subquery()
    )
    return (
        sa.select(*[near.c[name] for name in Recorded.__struct_fields__])
        .where(near.c.bytes_before < most_bytes)
        .order_by(near.c.seq)
    )


def _at_ms(here: sa.ColumnElement[bool], order: sa.UnaryExpression[Any]) -> sa.Select[int]:
    return sa.select(journal.c.at_ms).where(here).order_by(order).limit(1)
