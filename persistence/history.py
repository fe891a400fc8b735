"""The journal for those who only look: page by page, undecoded, from any position.

Owns one query. Its connections are apart from the journal's and from those of the
other queries, so that whoever replays a long sale stands in nobody's way.
"""

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.journal import Page, Recorded
from persistence.schema import journal, writers

MAX_PAGE_BYTES: Final = 1024 * 1024
"""Events in one page: at least one batch, else no more than this."""
MAX_PAGE_BATCHES: Final = 4_096


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
