"""What is on record when the bots have gone: read from the database, or over HTTP.

Owns the queries and the wait until nothing moves any more. Judges nothing.
"""

import asyncio
import time
from random import Random
from typing import Any, Final

import msgspec

from bench.client import Frame
from bench.rehearsal.crowd import Stage
from bench.rehearsal.history import Book
from bench.rehearsal.installation import CannotBegin
from bench.rehearsal.invariants import Evidence, LiveTicket
from bench.rehearsal.line import Http, Line
from bench.rehearsal.stage import Theatre
from engine.commands import SeatStatus
from engine.feed import Replica

QUIET_S: Final = 30.0
"""How long orders may take that are between their money and their tickets."""
READ_S: Final = 180.0
"""The longest that reading the record may take, whatever happens."""
PAUSE_S: Final = 0.5
PICTURE_S: Final = 20.0
MAX_LOOKED_UP: Final = 200
"""Tickets whose scans are asked for one by one over HTTP."""
_MOVING: Final = ("selling", "failed")

_TICKETS: Final = (
    "SELECT number, order_id, seat, area, amount FROM tickets"
    " WHERE performance = $1 AND state <> 'refunded'"
)
_KEPT: Final = (
    "SELECT coalesce(sum(captured - refunded), 0)::bigint FROM payments WHERE order_number IN"
    " (SELECT order_number FROM order_lines WHERE performance = $1)"
)
_ADMITTED: Final = (
    "SELECT ticket, count(*) FROM scans"
    " WHERE performance = $1 AND result = 'ADMITTED' AND mode = 'admit' GROUP BY ticket"
)
_MOVING_ORDERS: Final = (
    "SELECT count(DISTINCT orders.number) FROM orders JOIN order_lines ON"
    " order_lines.order_number = orders.number"
    " WHERE performance = $1 AND orders.state IN ('selling', 'failed')"
)


async def read(
    theatre: Theatre, stage: Stage, http: Http, book: Book, database_url: str
) -> Evidence | str:
    """The record, from the database where there is an address; a line where there is none to read.

    An installation that does not answer any more has kept nothing that can be shown.
    """
    import asyncpg

    try:
        async with asyncio.timeout(READ_S):
            if database_url:
                return await from_database(database_url, stage, http, book)
            return await from_http(theatre, stage, http, book)
    except (CannotBegin, OSError, TimeoutError, asyncpg.PostgresError) as error:
        return f"{type(error).__name__}: {error}"


async def from_database(url: str, stage: Stage, http: Http, book: Book) -> Evidence:
    """The record of an own installation, past everything that serves it."""
    from persistence.url import connect

    connection = await connect(url)
    try:
        ends_s = time.monotonic() + QUIET_S
        while await connection.fetchval(_MOVING_ORDERS, stage.performance):
            if time.monotonic() > ends_s:
                break  # what is missing then is missing
            await asyncio.sleep(PAUSE_S)
        red = await _red(stage, http, book)
        tickets = await connection.fetch(_TICKETS, stage.performance)
        kept = await connection.fetchval(_KEPT, stage.performance)
        admitted = await connection.fetch(_ADMITTED, stage.performance)
    finally:
        await connection.close()
    return Evidence(
        "database",
        tuple(LiveTicket(*row) for row in tickets),
        kept,
        dict([tuple(row) for row in admitted]),
        red,
    )


async def from_http(theatre: Theatre, stage: Stage, http: Http, book: Book) -> Evidence:
    """The record of a running installation, as its own lists tell it."""
    ends_s = time.monotonic() + QUIET_S
    orders = await theatre.orders()
    while any(order["state"] in _MOVING for order in orders) and time.monotonic() < ends_s:
        await asyncio.sleep(PAUSE_S)
        orders = await theatre.orders()
    seen = sorted({ticket for ticket, _ in book.admissions})[:MAX_LOOKED_UP]
    scans = await asyncio.gather(*(theatre.scans(ticket) for ticket in seen))
    return Evidence(
        "http",
        _live(orders, stage.performance),
        sum(order["paid"] for order in orders) - _elsewhere(orders, stage.performance),
        {
            ticket: sum(scan["result"] == "ADMITTED" and scan["mode"] == "admit" for scan in told)
            for ticket, told in zip(seen, scans, strict=True)
        },
        await _red(stage, http, book),
    )


def _live(orders: list[dict[str, Any]], performance: int) -> tuple[LiveTicket, ...]:
    return tuple(
        LiveTicket(line["ticket"], order["id"], line["seat"], line["area"], line["amount"])
        for order in orders
        for line in order["lines"]
        if line["state"] == "sold" and line["performance"] == performance
    )


def _elsewhere(orders: list[dict[str, Any]], performance: int) -> int:
    """What was paid in these orders for other performances."""
    return sum(
        line["amount"]
        for order in orders
        for line in order["lines"]
        if line["state"] == "sold" and line["performance"] != performance
    )


async def _red(stage: Stage, http: Http, book: Book) -> frozenset[int]:
    """The seats that are SOLD to somebody who has just come."""
    replica = Replica(stage.performance, stage.seats, stage.areas)
    seen = asyncio.Event()

    def see(frame: Frame) -> None:
        if frame[0] in ("snapshot", "delta"):
            replica.apply(msgspec.msgpack.encode(frame))
            seen.set()

    _, session = await http.ask("POST", "/api/session", {})
    line = Line(
        stage.url, session["token"], stage.performance, watch=True, book=book, chance=Random()
    )
    line.also = see
    await line.open()
    try:
        async with asyncio.timeout(PICTURE_S):
            await seen.wait()
        await asyncio.sleep(PAUSE_S)  # what was committed last is shown a tick later
    finally:
        line.close()
    return frozenset(
        seat for seat, status in enumerate(replica.statuses) if status == SeatStatus.SOLD
    )
