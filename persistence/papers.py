"""Papers that were issued: numbered without gaps, and never changed.

Owns the series of numbers, `correct`, which runs in the transaction that saves orders, and
reading back. What a paper says is the engine's (`engine.papers`, `engine.settlement`).

- The row of a series is locked by whoever takes its next number, until the paper is kept: a
  transaction that is rolled back, or dies, leaves no number behind. A second wall keeps one
  paper for each cause.
- An order's row is locked while its invoice is written: a refund saved at the same time comes
  before it, and is not billed, or after it, and makes a credit note.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.ledger import NO_TAX
from engine.orders import Order
from engine.papers import (
    Issue,
    Item,
    Names,
    Paper,
    PaperKind,
    PaperRefusal,
    PaperRefused,
    PaperRow,
    Rates,
    Shown,
    Wording,
    bill,
    correction,
    follow,
    kind_of,
    may_be_billed,
    may_have_papers,
    name_of,
    read_name,
    seller_of,
    standing,
)
from engine.settlement import Settlement
from persistence.clock import now_ms
from persistence.ledger import sold_at
from persistence.schema import house, orders, paper_series, papers, performances, productions
from persistence.settlement import named, settle

MAX_ROWS: Final = 1_000
"""In one page of papers."""
MAX_OF_ORDER: Final = 400
"""Papers of one order: more than an order can be refunded."""

_ROW: Final = [papers.c[name] for name in ("kind", "year", "number", "at_ms", "order_number")]
_decode: Final = msgspec.json.Decoder(Paper).decode
_decode_settlement: Final = msgspec.json.Decoder(Settlement).decode
_decode_order: Final = msgspec.json.Decoder(Order).decode


class House(Struct, frozen=True):
    id: int
    name: str
    time_zone: str
    settings: dict[str, Any]

    @property
    def tax_bp(self) -> int:
        rate = self.settings.get("vat_bp")
        return rate if isinstance(rate, int) else NO_TAX


class Papers:
    """Every method is one transaction."""

    def __init__(self, engine: AsyncEngine, clock_ms: Callable[[], int] = now_ms) -> None:
        self._engine = engine
        self._clock_ms = clock_ms

    async def invoice(self, order: str, wording: Wording) -> PaperRow | PaperRefused:
        """The order's invoice: the one that there is, or a new one."""
        body = sa.cast(orders.c.body, sa.Text)
        locked = (
            sa.select(body, orders.c.number, orders.c.revision)
            .where(orders.c.id == order)
            .with_for_update(key_share=True)
        )
        async with self._engine.begin() as connection:
            found = (await connection.execute(locked)).one_or_none()
            if found is None:
                return PaperRefused(PaperRefusal.ORDER_UNKNOWN)
            first = (papers.c.kind == PaperKind.INVOICE.value) & (papers.c.cause == "")
            if known := await _rows(connection, first & _of_order(found.number), 1):
                return known[0]
            kept = msgspec.structs.replace(_decode_order(found[0]), number=found.number)
            if not may_be_billed(kept):
                return PaperRefused(PaperRefusal.INVOICE_NOT_READY, kept.state.value)
            owner = await _house_of(connection, kept.seller)
            rates = await _rates(connection, [kept.number])
            series = _Series(connection, owner, self._clock_ms())
            issue = await series.next(PaperKind.INVOICE, rates.get(kept.number, {}))
            return await series.keep(bill(kept, wording, issue), "")

    async def of_order(self, order: int) -> list[PaperRow]:
        """The papers of an order by its number, the first first."""
        async with self._engine.connect() as connection:
            return await _rows(connection, _of_order(order), MAX_OF_ORDER)

    async def issued(
        self,
        organiser: int,
        *,
        kind: PaperKind | None = None,
        after: str = "",
        limit: int = MAX_ROWS,
    ) -> list[PaperRow]:
        """A page of a house's papers, as they were issued, after the one of a name."""
        which = papers.c.organiser == organiser
        if kind is not None:
            which &= papers.c.kind == kind.value
        if parts := read_name(after):
            last = sa.select(papers.c.id).where(_is(organiser, parts)).scalar_subquery()
            which &= papers.c.id > last
        async with self._engine.connect() as connection:
            return await _rows(connection, which, min(limit, MAX_ROWS))

    async def get(self, organiser: int, name: str) -> Paper | Settlement | None:
        """The paper of a name."""
        parts = read_name(name)
        if parts is None:
            return None
        query = sa.select(papers.c.body).where(_is(organiser, parts))
        async with self._engine.connect() as connection:
            body = await connection.scalar(query)
        if body is None:
            return None
        return _decode_settlement(body) if parts[0] is PaperKind.SETTLEMENT else _decode(body)

    async def settlement(
        self, organiser: int, from_day: str, to_day: str, performance: int = 0
    ) -> Settlement | PaperRefused:
        """What a period comes to, as it stands: no paper, but for one that was issued of it."""
        async with self._engine.connect() as connection:
            await connection.execution_options(isolation_level="REPEATABLE READ")
            owner = await _house(connection, house.c.id == organiser)
            found, cause = await settle(connection, owner, from_day, to_day, performance)
            if found is None:
                return PaperRefused(PaperRefusal.PERIOD_TOO_LARGE)
            known = (papers.c.kind == PaperKind.SETTLEMENT.value) & (papers.c.cause == cause)
            query = sa.select(papers.c.body).where(known, papers.c.organiser == organiser)
            body = await connection.scalar(query) if cause else None
            return found if body is None else _decode_settlement(body)

    async def issue_settlement(
        self, organiser: int, from_day: str, to_day: str, performance: int = 0
    ) -> PaperRow | PaperRefused:
        """The settlement of a period whose days are all closed: the one there is, or a new one."""
        async with self._engine.begin() as connection:
            owner = await _house(connection, house.c.id == organiser)
            series = _Series(connection, owner, self._clock_ms())
            await series.lock(PaperKind.SETTLEMENT)
            found, cause = await settle(connection, owner, from_day, to_day, performance)
            if found is None:
                return PaperRefused(PaperRefusal.PERIOD_TOO_LARGE)
            if not cause:
                return PaperRefused(PaperRefusal.PERIOD_OPEN, found.closed_to)
            of_it = (papers.c.organiser == organiser) & (papers.c.cause == cause)
            which = of_it & (papers.c.kind == PaperKind.SETTLEMENT.value)
            if known := await _rows(connection, which, 1):
                return known[0]
            issue = await series.next(PaperKind.SETTLEMENT, {})
            numbered = msgspec.structs.replace(found, name=issue.name, at_ms=issue.at_ms)
            return await series.keep(numbered, cause)


async def correct(
    connection: AsyncConnection, changed: Sequence[tuple[Order | None, Order]], now_ms: int
) -> None:
    """Issue what follows from changes of orders that were billed, in the order of their numbers."""
    touched = {
        after.number: after
        for before, after in changed
        if may_have_papers(before) and before is not None and standing(before) != standing(after)
    }
    if not touched:
        return
    query = (
        sa.select(papers.c.organiser, papers.c.order_number, papers.c.body)
        .where(papers.c.order_number.in_(touched))
        .order_by(papers.c.id)
    )
    issued: dict[int, list[Paper]] = {}
    owners: dict[int, int] = {}
    for row in await connection.execute(query):
        issued.setdefault(row.order_number, []).append(_decode(row.body))
        owners[row.order_number] = row.organiser
    rates = await _rates(connection, issued)
    due = []
    for number in sorted(issued):
        owner = await _house(connection, house.c.id == owners[number])
        known = Rates(rates.get(number, {}), owner.tax_bp)
        items = correction(issued[number], touched[number], known)
        if items:
            due.append((kind_of(items), owner.id, number, owner, items))
    # One order in which series are locked, for everybody.
    for kind, _, number, owner, items in sorted(due, key=lambda one: one[:3]):
        series = _Series(connection, owner, now_ms)
        issue = await series.next(kind, rates.get(number, {}))
        names = await _names(connection, issued[number], items)
        paper = follow(issued[number], items, touched[number], issue, names)
        await series.keep(paper, str(len(issued[number])))


async def _names(
    connection: AsyncConnection, issued: Sequence[Paper], items: Sequence[Item]
) -> Names:
    """What things are called that no paper has named yet, in the language of the first."""
    known = {item.key for paper in issued for item in paper.items}
    new = [item for item in items if item.key not in known]
    if not new:
        return Names()
    shown = {one.number for paper in issued for one in paper.performances}
    numbers = shown | {item.performance for item in new if item.performance > 0}
    performed, price_types, fees = await named(connection, numbers)

    def words(texts: dict[str, str]) -> str:
        return texts.get(issued[0].language) or next(iter(texts.values()), "")

    return Names(
        tuple(Shown(one.number, words(one.titles), one.starts_ms) for one in performed),
        {id: words(texts) for id, texts in price_types.items()},
        {id: words(texts) for id, texts in fees.items()},
    )


class _Series:
    """A house's series of numbers, for one transaction."""

    def __init__(self, connection: AsyncConnection, owner: House, at_ms: int) -> None:
        self._connection = connection
        self._owner = owner
        self._at_ms = at_ms

    async def lock(self, kind: PaperKind) -> None:
        """Wait until nobody else is at this year's series, and keep them away."""
        await self._connection.execute(self._step(kind, 0))

    async def next(self, kind: PaperKind, known: dict[tuple[int, str], int]) -> Issue:
        """The next number, and a time that is not before the last one's."""
        row = (await self._connection.execute(self._step(kind, 1))).one()
        owner = self._owner
        return Issue(
            name_of(kind, row.year, row.number),
            row.at_ms,
            owner.time_zone,
            seller_of(owner.name, owner.settings),
            Rates(known, owner.tax_bp),
        )

    async def keep(self, paper: Paper | Settlement, cause: str) -> PaperRow:
        parts = read_name(paper.name)
        assert parts is not None, f"{paper.name} is no name"
        kind, year, number = parts
        await self._connection.execute(
            papers.insert().values(
                organiser=self._owner.id,
                kind=kind.value,
                year=year,
                number=number,
                order_number=paper.order,
                cause=cause,
                at_ms=paper.at_ms,
                currency=paper.currency,
                total=paper.total,
                body=msgspec.json.encode(paper).decode(),
            )
        )
        return PaperRow(paper.name, kind, paper.at_ms, paper.order, paper.currency, paper.total)

    def _step(self, kind: PaperKind, by: int) -> sa.Executable:
        zone = ZoneInfo(self._owner.time_zone)
        begun = insert(paper_series).values(
            organiser=self._owner.id,
            kind=kind.value,
            year=datetime.fromtimestamp(self._at_ms / 1_000, zone).year,
            number=by,
            at_ms=self._at_ms,
        )
        series = paper_series.c
        return begun.on_conflict_do_update(
            index_elements=[series.organiser, series.kind, series.year],
            set_={
                "number": series.number + by,
                "at_ms": sa.func.greatest(series.at_ms, begun.excluded.at_ms),
            },
        ).returning(series.year, series.number, series.at_ms)


def _of_order(number: int) -> sa.ColumnElement[bool]:
    return papers.c.order_number == number


def _is(organiser: int, name: tuple[PaperKind, int, int]) -> sa.ColumnElement[bool]:
    kind, year, number = name
    return sa.and_(
        papers.c.organiser == organiser,
        papers.c.kind == kind.value,
        papers.c.year == year,
        papers.c.number == number,
    )


async def _rows(
    connection: AsyncConnection, which: sa.ColumnElement[bool], limit: int
) -> list[PaperRow]:
    query = (
        sa.select(*_ROW, papers.c.currency, papers.c.total)
        .where(which)
        .order_by(papers.c.id)
        .limit(limit)
    )
    return [
        PaperRow(
            name_of(PaperKind(row.kind), row.year, row.number),
            PaperKind(row.kind),
            row.at_ms,
            row.order_number,
            row.currency,
            row.total,
        )
        for row in await connection.execute(query)
    ]


async def _house(connection: AsyncConnection, which: sa.ColumnElement[bool]) -> House:
    columns = [house.c[name] for name in ("id", "name", "time_zone", "settings")]
    row = (await connection.execute(sa.select(*columns).where(which))).one()
    return House(*row)


async def _house_of(connection: AsyncConnection, performance: int) -> House:
    its = sa.select(productions.c.organiser).join(performances)
    owner = its.where(performances.c.id == performance).scalar_subquery()
    return await _house(connection, house.c.id == owner)


async def _rates(
    connection: AsyncConnection, numbers: Iterable[int]
) -> dict[int, dict[tuple[int, str], int]]:
    """The rates at which the lines and fees of orders were sold."""
    found: dict[int, dict[tuple[int, str], int]] = {}
    for (number, line, fee), tax_bp in (await sold_at(connection, numbers)).items():
        found.setdefault(number, {})[line, fee] = tax_bp
    return found
