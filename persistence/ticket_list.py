"""The list of places with every filter, a page at a time, and what all of it comes to.

Owns these queries over orders, their lines, tickets and scans. Knows no plan and no time zone:
whoever asks for a category or for "last Friday" has looked up what that means.

A page is found first, and only for its lines are the doors asked. Nothing is kept between pages:
who reads a million lines holds no transaction open meanwhile, and a line is as it was when its
page was read.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import sqlalchemy as sa
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.sql.util import find_tables

from engine.commands import ScanMode, ScanOutcome
from engine.currency import ISO_DIGITS
from engine.listing import (
    PRICE_PARTS,
    SOLD_LINES,
    STOPPED,
    Among,
    Cursor,
    Listed,
    ListedMoney,
    ListedStatus,
    ListFilter,
    ListTotals,
    PlaceKind,
)
from engine.orders import LineState
from persistence.door_lists import passes
from persistence.orders import by_words
from persistence.schema import (
    STOPPED_TICKETS,
    order_lines,
    orders,
    performances,
    productions,
    scans,
    tickets,
)

MAX_LISTED: Final = 1_000
"""Lines in one page."""
FEW_PERFORMANCES: Final = 10
"""Of so many or fewer, every order is looked at for the words of its buyer."""
AS_PLANNED: Final = """
SELECT set_config('plan_cache_mode', 'force_custom_plan', true),
    set_config('work_mem', '32MB', true)
"""
"""For one transaction. What fits one house, or one day, fits no other: a plan is made for what is
asked. And with the usual 4 MB the bitmap of a frequent name forgets which rows it is of."""
_INT4_MAX: Final = 2**31 - 1
_INT8_MAX: Final = 2**63 - 1
_ENTRY: Final = passes(ScanOutcome.ADMITTED, ScanMode.ADMIT, ScanMode.MARK)
MAX_LOOKED_UP: Final = 20_000
"""Orders that wait; with more of them, such lines are frequent enough to be come across."""
_NUMBERS: Final = sa.dialects.postgresql.ARRAY(sa.BigInteger)
_UNDER_WAY: Final = {ListedStatus.PENDING, ListedStatus.UNPAID}
_LEAVE: Final = passes(ScanOutcome.EXITED, ScanMode.EXIT)

_NOBODY: Final[sa.ColumnElement[str]] = sa.literal_column("''")
"""Written as it stands: the index of operators is of those that are somebody."""

Condition = sa.ColumnElement[bool]


class Showing(Struct, frozen=True):
    """What the list says of a performance. `plan` is a hash, `settings` the settings' JSON."""

    plan: str
    titles: dict[str, str]
    starts_ms: int
    settings: bytes


class _Named(Struct, frozen=True):
    """What a text names exactly; 0 for nothing. A `ticket` without `performance`: of any asked."""

    order: int = 0
    performance: int = 0
    ticket: int = 0


class TicketList:
    """Read only."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def showings(
        self, numbers: Sequence[int] = (), *, production: int | None = None
    ) -> dict[int, Showing]:
        """Those of the performances that there are, or all of a production, by number."""
        query = sa.select(
            performances.c.id,
            performances.c.plan,
            productions.c.titles,
            performances.c.starts_ms,
            performances.c.settings,
        ).join_from(performances, productions)
        if production is None:
            query = query.where(performances.c.id.in_(numbers))
        else:
            query = query.where(performances.c.production == production)
        async with self._engine.connect() as connection:
            return {row.id: Showing(*row[1:]) for row in await connection.execute(query)}

    async def page(
        self, wanted: ListFilter, *, after: Cursor | None = None, limit: int = MAX_LISTED
    ) -> list[Listed]:
        """The lines after a position, at most MAX_LISTED; fewer than `limit`: there are no more."""
        async with self._engine.connect() as connection:
            which = await _prepared(connection, wanted)
            if which is None:
                return []
            if after is not None:
                # One condition for each table's index, else all orders before are passed over for
                # each page; and one for the lines of the last order.
                which += [
                    order_lines.c.order_number <= after.order_number,
                    orders.c.number <= after.order_number,
                    sa.or_(
                        order_lines.c.order_number < after.order_number,
                        order_lines.c.number > after.line,
                    ),
                ]
            rows = await connection.execute(_page(wanted, which, min(limit, MAX_LISTED)))
            return [msgspec.convert(tuple(row), Listed) for row in rows]

    async def totals(self, wanted: ListFilter) -> ListTotals:
        async with self._engine.connect() as connection:
            which = await _prepared(connection, wanted)
            rows = [] if which is None else (await connection.execute(_sums(which))).all()
        places, sold, paid, refunded, cancelled, scanned, inside = (
            sum(row[column] for row in rows) for column in range(1, 8)
        )
        money = tuple([ListedMoney(row[0], *row[8:]) for row in rows])
        return ListTotals(places, sold, paid, refunded, cancelled, scanned, inside, money)


# What is meant ------------------------------------------------------------------------------


async def _prepared(connection: AsyncConnection, wanted: ListFilter) -> list[Condition] | None:
    """The filter as conditions on lines, orders and tickets; None: nothing can meet it."""
    await connection.exec_driver_sql(AS_PLANNED)
    which = [*_of_lines(wanted), *_of_orders(wanted), *_of_tickets(wanted), *_of_doors(wanted)]
    if wanted.ordered_from_ms is not None or wanted.ordered_until_ms is not None:
        span = await _numbers_of(connection, wanted)
        if span is None:
            return None
        which += [order_lines.c.order_number.between(*span), orders.c.number.between(*span)]
    if wanted.statuses and set(wanted.statuses) <= _UNDER_WAY:
        # Few in a million too: an order is unfinished for as long as a line of it waits. Its number
        # is looked up first, as nothing tells the planner that such lines are in such orders.
        numbers = sa.select(orders.c.number).where(orders.c.unfinished).limit(MAX_LOOKED_UP + 1)
        waiting = (await connection.scalars(numbers)).all()
        if len(waiting) <= MAX_LOOKED_UP:
            which.append(order_lines.c.order_number == sa.any_(sa.literal(waiting, _NUMBERS)))
    if wanted.text.strip():
        meant = await _of_text(connection, wanted)
        if not meant:
            return None
        which += meant
    return which


def _of_lines(wanted: ListFilter) -> list[Condition]:
    which: list[Condition] = []
    if wanted.performances is not None:
        which.append(order_lines.c.performance.in_(wanted.performances))
    if wanted.kind is not None:
        is_seat = order_lines.c.seat >= 0
        which.append(is_seat if wanted.kind is PlaceKind.SEAT else ~is_seat)
    if wanted.price_types:
        which.append(order_lines.c.price_type.in_(wanted.price_types))
    if wanted.places is not None:
        which.append(sa.or_(sa.false(), *map(_among, wanted.places)))
    return which


def _among(places: Among) -> Condition:
    return sa.and_(
        order_lines.c.performance.in_(places.performances),
        sa.or_(order_lines.c.seat.in_(places.seats), order_lines.c.area.in_(places.areas)),
    )


def _of_orders(wanted: ListFilter) -> list[Condition]:
    which: list[Condition] = []
    if wanted.ordered_from_ms is not None:
        which.append(orders.c.created_ms >= wanted.ordered_from_ms)
    if wanted.ordered_until_ms is not None:
        which.append(orders.c.created_ms < wanted.ordered_until_ms)
    if wanted.channels:
        which.append(orders.c.channel.in_([channel.value for channel in wanted.channels]))
    if wanted.operators:
        which += [orders.c.operator.in_(wanted.operators), orders.c.operator != _NOBODY]
    if wanted.price_from is not None:
        which.append(_PRICE >= wanted.price_from)
    if wanted.price_to is not None:
        which.append(_PRICE <= wanted.price_to)
    return which


def _of_tickets(wanted: ListFilter) -> list[Condition]:
    if not wanted.statuses:
        return []
    has_it = _status(order_lines.c.state).in_([status.value for status in wanted.statuses])
    if set(wanted.statuses) <= _UNDER_WAY:
        # Among orders that wait: half, the planner takes it to be so, and not one in two hundred.
        return [sa.case((has_it, sa.true()), else_=sa.false())]
    which: list[Condition] = [has_it]
    if set(wanted.statuses) <= set(STOPPED):
        # Few in a million, and found by an index of their own.
        stopped = sa.literal_column(f"({STOPPED_TICKETS})", sa.Boolean)
        which += [stopped, tickets.c.order_id == orders.c.id]
    return which


def _of_doors(wanted: ListFilter) -> list[Condition]:
    which: list[Condition] = []
    if wanted.used is not None:
        let_in = _let_in()
        which.append(let_in if wanted.used else ~let_in)
    if wanted.scanned_from_ms is None and wanted.scanned_until_ms is None:
        return which
    at = []
    if wanted.scanned_from_ms is not None:
        at.append(scans.c.scanned_ms >= wanted.scanned_from_ms)
        which.append(~_let_in(scans.c.scanned_ms < wanted.scanned_from_ms))
    if wanted.scanned_until_ms is not None:
        at.append(scans.c.scanned_ms < wanted.scanned_until_ms)
    # Said of tickets too, which are found by their scans; lines are not.
    passed = sa.select(scans.c.performance, scans.c.ticket).where(_ENTRY, *at)
    which += [
        sa.tuple_(tickets.c.performance, tickets.c.number).in_(passed),
        tickets.c.order_id == orders.c.id,
    ]
    return which


def _let_in(*more: Condition) -> sa.Exists:
    return (
        sa.exists()
        .where(scans.c.performance == order_lines.c.performance)
        .where(scans.c.ticket == order_lines.c.ticket, scans.c.ticket > 0)
        .where(_ENTRY, *more)
        .correlate(order_lines)
    )


async def _numbers_of(connection: AsyncConnection, wanted: ListFilter) -> tuple[int, int] | None:
    """The first and last number of the orders of a time: where the list has them."""
    # Reckoned, so that no index of numbers is walked to find their least and greatest.
    number = orders.c.number + 0
    query = sa.select(sa.func.min(number), sa.func.max(number)).where(
        orders.c.created_ms >= (0 if wanted.ordered_from_ms is None else wanted.ordered_from_ms),
        orders.c.created_ms
        < (_INT8_MAX if wanted.ordered_until_ms is None else wanted.ordered_until_ms),
    )
    first, last = (await connection.execute(query)).one()
    return None if first is None else (first, last)


async def _of_text(connection: AsyncConnection, wanted: ListFilter) -> list[Condition]:
    """Lines that the text may mean; none: it means nothing."""
    meanings: list[Condition] = []
    known: set[int] = set()
    named = _named(wanted.text)
    if named.order:
        meanings.append(order_lines.c.order_number == named.order)
        known.add(named.order)
    performance = (
        tickets.c.performance == named.performance
        if named.performance
        else tickets.c.performance.in_(wanted.performances or ())
    )
    if named.ticket and (named.performance or wanted.performances):
        found = (
            sa.select(orders.c.number, tickets.c.performance)
            .join_from(tickets, orders, orders.c.id == tickets.c.order_id)
            .where(performance, tickets.c.number == named.ticket)
        )
        of = (await connection.execute(found)).all()
        known.update(row.number for row in of)
        here = order_lines.c.performance.in_([row.performance for row in of])
        meanings.append(sa.and_(here, order_lines.c.ticket == named.ticket))
    for places in wanted.text_places:
        meanings.append(_among(places))
        known.update(
            await connection.scalars(sa.select(order_lines.c.order_number).where(_among(places)))
        )
    words = by_words(wanted.text)
    if words is not None:
        if wanted.performances is not None and len(wanted.performances) <= FEW_PERFORMANCES:
            # Their lines are found first: not by the index of all names there are.
            words = sa.func.coalesce(words, sa.false())
        if not meanings:
            return [words]
        meanings.append(words)
    if not meanings:
        return []
    # Each of these is of one table, and so has an index; the meanings together have none.
    where = [orders.c.number.in_(known)] if known else []
    return [sa.or_(*where, *([] if words is None else [words]), sa.false()), sa.or_(*meanings)]


def _named(text: str) -> _Named:
    text = text.strip()
    if match := re.fullmatch(r"(\d{1,10})\s*-\s*(\d{1,10})", text, re.ASCII):
        performance, ticket = int(match[1]), int(match[2])
        known = performance <= _INT4_MAX and ticket <= _INT4_MAX
        return _Named(performance=performance, ticket=ticket) if known else _Named()
    if match := re.fullmatch(r"(#?)(\d{1,18})", text, re.ASCII):
        number = int(match[2])
        return _Named(order=number, ticket=0 if match[1] or number > _INT4_MAX else number)
    return _Named()


# The queries --------------------------------------------------------------------------------

_PRICE: Final = order_lines.c.amount * sa.case(
    (
        order_lines.c.currency.in_([code for code, digits in ISO_DIGITS.items() if digits == 0]),
        1_000,
    ),
    (order_lines.c.currency.in_([code for code, digits in ISO_DIGITS.items() if digits == 3]), 1),
    else_=PRICE_PARTS // 100,
)


def _status(line: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """By the state of a line, and that of its ticket."""
    return sa.case(
        (line.in_(("pending", "refunded", "cancelled")), line),
        (tickets.c.state.in_([status.value for status in STOPPED]), tickets.c.state),
        (line == LineState.RESERVED.value, ListedStatus.UNPAID.value),
        else_=ListedStatus.VALID.value,
    )


def _with_tickets(lines: Any, to: Any) -> sa.Join:
    """`lines`, which may be a part of what they are joined `to`, each with its ticket if any."""
    ticket = sa.and_(tickets.c.performance == lines.performance, tickets.c.number == lines.ticket)
    return sa.outerjoin(to, tickets, ticket)


_LINES: Final = order_lines.join(orders, orders.c.number == order_lines.c.order_number)


def _from(which: Sequence[Condition], lines: sa.FromClause = _LINES) -> sa.FromClause:
    """Lines with their orders, and with their tickets where these decide."""
    return _with_tickets(order_lines.c, lines) if tickets in _decide(which) else lines


def _decide(which: Sequence[Condition]) -> set[Any]:
    """The tables that conditions are about."""
    return {table for one in which for table in find_tables(one, check_columns=True)}


def _page(
    wanted: ListFilter, which: Sequence[Condition], limit: int
) -> sa.Select[*tuple[Any, ...]]:
    found = (
        sa.select(
            order_lines.c.order_number,
            order_lines.c.number,
            *(order_lines.c[name] for name in ("performance", "ticket", "seat", "area")),
            *(order_lines.c[name] for name in ("price_type", "amount", "currency", "state")),
            *(orders.c[name] for name in ("channel", "operator", "buyer_name", "buyer_email")),
            orders.c.created_ms,
        )
        .select_from(_from(which))
        .where(*which)
        .order_by(order_lines.c.order_number.desc(), order_lines.c.number)
        .limit(limit)
    )
    numbers = set(wanted.performances or ())
    if 1 < len(numbers) <= FEW_PERFORMANCES:
        # The newest of each, by its index; the newest of all of them have none.
        each = [found.where(order_lines.c.performance == number) for number in sorted(numbers)]
        every = sa.union_all(*each).subquery()
        newest = every.c.order_number.desc(), every.c.number
        lines = sa.select(every).order_by(*newest).limit(limit).subquery()
    else:
        lines = found.subquery()
    door = (
        sa.select(
            sa.func.min(scans.c.scanned_ms).filter(_ENTRY).label("first_ms"),
            _INSIDE.label("inside"),
        )
        .where(scans.c.performance == lines.c.performance, scans.c.ticket == lines.c.ticket)
        .where(lines.c.ticket > 0)
        .lateral()
    )
    told = [_status(column) if column.name == "state" else column for column in lines.c]
    return (
        sa.select(
            *told, sa.func.coalesce(door.c.first_ms, 0), sa.func.coalesce(door.c.inside, False)
        )
        .select_from(_with_tickets(lines.c, lines).join(door, sa.true()))
        .order_by(lines.c.order_number.desc(), lines.c.number)
    )


_INSIDE: Final = sa.func.max(scans.c.scanned_ms).filter(_ENTRY) >= sa.func.coalesce(
    sa.func.max(scans.c.scanned_ms).filter(_LEAVE), 0
)


def _sums(which: Sequence[Condition]) -> sa.Select[*tuple[Any, ...]]:
    # Each line with its scans, and not with what its ticket's scans come to: few lines ask an
    # index for theirs, and very many are joined with all there are.
    bare = order_lines if orders not in _decide(which) else _LINES
    lines = (
        sa.select(
            order_lines.c.currency,
            order_lines.c.state,
            order_lines.c.amount,
            sa.func.coalesce(sa.func.bool_or(_ENTRY), False).label("scanned"),
            sa.func.coalesce(_INSIDE, False).label("inside"),
        )
        .select_from(
            _from(which, bare).outerjoin(
                scans,
                sa.and_(
                    scans.c.performance == order_lines.c.performance,
                    scans.c.ticket == order_lines.c.ticket,
                    scans.c.ticket > 0,
                ),
            )
        )
        .where(*which)
        .group_by(order_lines.c.order_number, order_lines.c.number)
        .subquery()
    )
    sold = lines.c.state.in_([one.value for one in SOLD_LINES])
    kinds = (
        sold,
        lines.c.state == LineState.SOLD.value,
        lines.c.state == LineState.REFUNDED.value,
        lines.c.state == LineState.CANCELLED.value,
    )
    return (
        sa.select(
            lines.c.currency,
            sa.func.count(),
            *(sa.func.count().filter(kind) for kind in kinds),
            sa.func.count().filter(lines.c.scanned),
            sa.func.count().filter(lines.c.inside),
            *(
                sa.cast(
                    sa.func.coalesce(sa.func.sum(lines.c.amount).filter(kind), 0), sa.BigInteger
                )
                for kind in kinds
            ),
        )
        .group_by(lines.c.currency)
        .order_by(lines.c.currency)
    )
