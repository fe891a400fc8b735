"""Paid orders a second: two seats each, cash at a till, durable when they are answered.

Owns two loads. Ours: tills on websockets, each of which sells two seats after the other with one
frame an order, through gateway, desk, performance, journal and books to COMMIT and back. The
other: what a good engineer would write by hand on the same server, one transaction an order, asked
by as many clients over a pool of connections: seats taken where they are free, the order, its
lines, its payment, its tickets, and three records of a ledger, chained by SHA-256 as ours.

What is written by hand has no websocket, no rights, no rules, no seat feed, no mails, no
till sessions, no history of orders, no search, no idempotence, and nothing to go on with after a
crash, because its transaction is all or nothing in one performance.
"""

import asyncio
import gc
import json
import time
import urllib.request
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

from bench.client import Client, Frame, connect
from bench.core import SEATS_A_ROW, SECTIONS
from bench.durable import WARM_UP_S
from bench.figures import Rate
from persistence.url import connect as connect_database

CLIENTS: Final = 500
CONNECTIONS: Final = 16
SEATS_AN_ORDER: Final = 2
PRICE: Final = 3_000
GIVEN: Final = 10_000
ANSWER_S: Final = 30.0
"""Silence for this long is a failure."""
MOST_PER_S: Final = 5_000
"""No round sells more: houses have seats for as many."""


def rows_for(seconds: float) -> int:
    """In each section of a large house that one round cannot sell out."""
    return int((WARM_UP_S + seconds) * MOST_PER_S * SEATS_AN_ORDER / (SECTIONS * SEATS_A_ROW)) + 1


def sales(performance: int, seats: range, first_id: int) -> Iterator[Frame]:
    """Two seats after the other, each pair sold once."""
    ids = count(first_id)
    for seat in seats[: len(seats) - 1 : SEATS_AN_ORDER]:
        lines = [[each, -1, "adult", 1] for each in range(seat, seat + SEATS_AN_ORDER)]
        token = next(ids).to_bytes(16, "big")
        id = next(ids).to_bytes(16, "big")
        yield ["buy", id, [[performance, token, lines]], GIVEN]


class Cashier(Client):
    """Sells, one order after the other, and notes when and how fast each was answered."""

    def __init__(self, host: str, token: str, asks: Iterator[Frame]) -> None:
        super().__init__(host, token)
        self.answers: list[tuple[float, float, int]] = []
        """(when, seconds it took, 1) of each order, on `time.perf_counter`."""
        self._asks = asks
        self._sent_s = 0.0
        self._ends_s = 0.0

    def begin(self, ends_s: float) -> None:
        """Closed loop from now on, to the first answer after it."""
        self._ends_s = ends_s
        self._sell()

    def _sell(self) -> None:
        frame = next(self._asks, None)
        if frame is None:
            self.fail(RuntimeError("the house is sold out before the time is over"))
            return
        self._sent_s = time.perf_counter()
        self.ask(frame)

    def answered(self, frame: Frame) -> None:
        if frame[0] != "bought":
            raise RuntimeError(f"an order was expected, not {frame!r}")
        now_s = time.perf_counter()
        self.answers.append((now_s, now_s - self._sent_s, 1))
        if now_s < self._ends_s:
            self._sell()
        else:
            self.finish()


async def paid_orders(
    url: str, token: str, performance: int, seats: int, seconds: float, first_id: int
) -> tuple[Rate, int]:
    """Sell for `seconds` after a warm-up; the rate, and how many orders there were in all.

    Raises:
        RuntimeError: An order was not sold, or a connection failed.
        TimeoutError: No answer for ANSWER_S.
    """
    host, each = urlsplit(url).netloc, seats // CLIENTS & ~1
    cashiers = [
        Cashier(
            host,
            token,
            sales(performance, range(at * each, (at + 1) * each), first_id + at * 10_000_000),
        )
        for at in range(CLIENTS)
    ]
    await asyncio.gather(*(connect(cashier, url) for cashier in cashiers))
    gc.collect()
    gc.freeze()
    begins_s = time.perf_counter() + WARM_UP_S
    for cashier in cashiers:
        cashier.begin(begins_s + seconds)
    async with asyncio.timeout(WARM_UP_S + seconds + ANSWER_S):
        await asyncio.gather(*(cashier.over for cashier in cashiers))
    answers = [answer for cashier in cashiers for answer in cashier.answers]
    return Rate.of(answers, begins_s, begins_s + seconds), len(answers)


def open_till(url: str, token: str, id: int) -> None:
    """A till session for whoever this token is."""
    wanted = {"id": f"{id:032x}", "till": "Bench", "currency": "EUR", "opening_float": 0}
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}
    request = urllib.request.Request(f"{url}/api/tills", json.dumps(wanted).encode(), headers)
    with urllib.request.urlopen(request, timeout=10):
        pass


_PAID: Final = """
SELECT (SELECT count(*) FROM orders WHERE state = 'paid'),
    (SELECT count(*) FROM payments WHERE state = 'paid' AND till <> ''),
    (SELECT count(*) FROM tickets), (SELECT count(*) FROM ledger)
"""


async def check_paid(url: str, orders: int) -> None:
    """Everything that was answered is in the tables. Raises RuntimeError."""
    connection = await connect_database(url)
    try:
        found = tuple(await connection.fetchrow(_PAID))
    finally:
        await connection.close()
    wanted = (orders, orders, SEATS_AN_ORDER * orders, (SEATS_AN_ORDER + 1) * orders)
    if found != wanted:
        raise RuntimeError(
            f"{orders} orders were answered; orders, payments, tickets, records {found}"
        )


# By hand -------------------------------------------------------------------------

_TABLES: Final = """
DROP TABLE IF EXISTS hand_seats, hand_orders, hand_lines, hand_payments, hand_tickets, hand_ledger,
    hand_head;
CREATE TABLE hand_seats (
    performance int4, seat int4, taken bool NOT NULL, PRIMARY KEY (performance, seat)
) WITH (fillfactor = 70);
CREATE TABLE hand_orders (
    number int8 GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text NOT NULL UNIQUE,
    state text NOT NULL, currency text NOT NULL, total int8 NOT NULL, operator text NOT NULL,
    buyer_name text NOT NULL, buyer_email text NOT NULL, created_ms int8 NOT NULL
);
CREATE TABLE hand_lines (
    order_number int8 REFERENCES hand_orders, number int4, performance int4 NOT NULL,
    seat int4 NOT NULL, price_type text NOT NULL, amount int8 NOT NULL,
    PRIMARY KEY (order_number, number)
);
CREATE TABLE hand_payments (
    order_number int8 REFERENCES hand_orders, attempt int4, method text NOT NULL,
    amount int8 NOT NULL, given int8 NOT NULL, change int8 NOT NULL,
    PRIMARY KEY (order_number, attempt)
);
CREATE TABLE hand_tickets (
    performance int4, number int8 GENERATED ALWAYS AS IDENTITY, order_number int8 NOT NULL,
    seat int4 NOT NULL, price_type text NOT NULL, amount int8 NOT NULL, state text NOT NULL,
    PRIMARY KEY (performance, number), UNIQUE (performance, seat)
);
CREATE TABLE hand_ledger (
    number int8 PRIMARY KEY, at_ms int8 NOT NULL, kind text NOT NULL, order_number int8 NOT NULL,
    line int4 NOT NULL, amount int8 NOT NULL, currency text NOT NULL, method text NOT NULL,
    operator text NOT NULL, hash bytea NOT NULL
);
CREATE TABLE hand_head (number int8 NOT NULL, hash bytea NOT NULL);
INSERT INTO hand_head VALUES (0, '');
"""
_FILL: Final = """
INSERT INTO hand_seats SELECT 1, seat, false FROM generate_series(0, {} - 1) AS seat
"""
_TAKE: Final = """
UPDATE hand_seats SET taken = true
WHERE performance = $1 AND seat = ANY($2::int4[]) AND NOT taken RETURNING seat
"""
_ORDER: Final = """
WITH placed AS (
    INSERT INTO hand_orders (id, state, currency, total, operator, buyer_name, buyer_email,
        created_ms)
    VALUES ($1, 'paid', 'EUR', $2, $3, '', '', $4) RETURNING number
), lines AS (
    INSERT INTO hand_lines
    SELECT placed.number, line.at, $5, line.seat, 'adult', $7
    FROM placed, unnest($6::int4[]) WITH ORDINALITY AS line (seat, at)
), paid AS (
    INSERT INTO hand_payments SELECT number, 1, 'cash', $2, $8, $8 - $2 FROM placed
), sold AS (
    INSERT INTO hand_tickets (performance, order_number, seat, price_type, amount, state)
    SELECT $5, placed.number, seat, 'adult', $7, 'valid' FROM placed, unnest($6::int4[]) AS seat
)
SELECT number FROM placed
"""
_HEAD: Final = "SELECT number, hash FROM hand_head FOR UPDATE"
_RECORD: Final = """
WITH written AS (
    INSERT INTO hand_ledger SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::int8[],
        $5::int4[], $6::int8[], $7::text[], $8::text[], $9::text[], $10::bytea[])
)
UPDATE hand_head SET number = $11, hash = $12
"""


async def by_hand(url: str, seats: int, seconds: float) -> Rate:
    """The same orders, one transaction each; its tables are made anew."""
    opened = [await connect_database(url, synchronous_commit="on") for _ in range(CONNECTIONS)]
    free: asyncio.Queue[Any] = asyncio.Queue()
    answers: list[tuple[float, float, int]] = []
    pairs = iter(range(0, seats - 1, SEATS_AN_ORDER))
    try:
        await opened[0].execute(_TABLES)
        await opened[0].execute(_FILL.format(seats))
        await opened[0].execute("VACUUM ANALYZE hand_seats")
        for connection in opened:
            free.put_nowait(connection)
        begins_s = time.perf_counter() + WARM_UP_S
        ends_s = begins_s + seconds

        async def client() -> None:
            while (sent_s := time.perf_counter()) < ends_s:
                seat = next(pairs)
                connection = await free.get()
                async with connection.transaction():
                    await _sell(connection, [seat, seat + 1])
                free.put_nowait(connection)
                done_s = time.perf_counter()
                answers.append((done_s, done_s - sent_s, 1))

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    finally:
        for connection in opened:
            await connection.close()
    return Rate.of(answers, begins_s, ends_s)


async def _sell(connection: Any, seats: list[int]) -> None:
    """In its transaction. The ledger's row, which all share, is locked last."""
    now_ms, total = time.time_ns() // 1_000_000, PRICE * len(seats)
    taken = await connection.fetch(_TAKE, 1, seats)
    if len(taken) != len(seats):
        raise RuntimeError("a seat was sold twice")
    id = f"{time.time_ns():032x}"[:16] + f"{seats[0]:016x}"
    number = await connection.fetchval(_ORDER, id, total, "bench", now_ms, 1, seats, PRICE, GIVEN)
    last, before = await connection.fetchrow(_HEAD)
    records: list[tuple[Any, ...]] = []
    facts = [("payment", 0, total, "cash")]
    facts += [("sale", line, PRICE, "") for line in range(1, len(seats) + 1)]
    for kind, line, amount, method in facts:
        last += 1
        row = (last, now_ms, kind, number, line, amount, "EUR", method, "bench")
        before = sha256(before + json.dumps(row, separators=(",", ":")).encode()).digest()
        records.append((*row, before))
    columns = [list(column) for column in zip(*records, strict=True)]
    await connection.execute(_RECORD, *columns, last, before)
