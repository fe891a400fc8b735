"""How long people wait for the latest sales, for a search and for the list of places.

Owns what is asked, over HTTP and one after the other, of a house with very many orders, and the
query plans of what takes too long: the same is asked of the database again, and its statements
are explained.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import aiohttp
import msgspec
import psutil  # type: ignore[import-untyped]
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.sold import DAY_MS, OPERATORS, SEED, Sold
from bench.throwaway import Ground
from engine.commands import Channel
from engine.listing import ListedStatus, ListFilter
from engine.plan import Plan
from persistence.pool import open_pool
from persistence.sales import Sales
from persistence.ticket_list import AS_PLANNED, TicketList

TOO_LONG_MS: Final = 100.0
WARM_UP: Final = 3
"""Answers of each kind that are not counted: the first of all reads from the disk."""
PAUSE_S: Final = 0.02
"""Between two small questions while a list is on its way out."""
NAMES: Final = ("mar", "dup", "mart", "anne dup", "martin", "zoë sch", "bernard", "rou")


class Asked(NamedTuple):
    """One question: over HTTP, and of the database alone."""

    path: str
    of: Callable[["Queries"], Awaitable[Any]]


class Queries(NamedTuple):
    sales: Sales
    listed: TicketList


class Kind(NamedTuple):
    """Questions of one kind. `search`: what the figure of all searches is made of."""

    key: str
    ask: Callable[[Random], Asked]
    search: bool = True


def kinds(sold: Sold, performances: tuple[int, ...], plan: Plan) -> list[Kind]:
    """Everything that is asked."""

    def performance(random: Random) -> int:
        return random.choice(performances)

    def number(random: Random) -> int:
        return random.randrange(1, sold.last)

    def seat(random: Random) -> tuple[str, int]:
        index = random.randrange(len(plan.seats))
        label = plan.seat_label(index)
        return f"{label.section} {label.row} {label.seat}", index

    def address(random: Random) -> str:
        name = random.choice(("anne.martin", "jean.dupont", "marie.bernard"))
        return f"{name}{random.randrange(100)}"

    def sales(text: str, **more: Any) -> Asked:
        query = "".join(f"&{name}={value}" for name, value in more.items() if name != "seats")
        path = f"/api/sales?limit=50&q={text.replace('#', '%23')}{query}"
        if text:
            return Asked(path, lambda on: on.sales.search(text, **more))
        return Asked(path, lambda on: on.sales.latest(**more))

    def in_seat(random: Random) -> Asked:
        text, index = seat(random)
        return sales(text, performance=performance(random), seats=[index])

    return [
        Kind("latest_sales", lambda random: sales("")),
        Kind("latest_of_performance", lambda random: sales("", performance=performance(random))),
        Kind("latest_before", lambda random: sales("", before=number(random))),
        Kind("by_number", lambda random: sales(f"#{number(random)}")),
        Kind("by_name", lambda random: sales(random.choice(NAMES))),
        Kind("by_email", lambda random: sales(address(random))),
        Kind(
            "by_ticket", lambda random: sales(f"{performance(random)}-{random.randrange(1, 500)}")
        ),
        Kind("by_seat", in_seat),
        *_of_list(sold, performances),
    ]


def _of_list(sold: Sold, performances: tuple[int, ...]) -> list[Kind]:
    """First pages, and what all of it comes to."""

    def day(random: Random, days: int) -> tuple[int, int]:
        first = random.randrange(1, (sold.until_ms - sold.from_ms) // DAY_MS - days)
        from_ms = sold.from_ms - sold.from_ms % DAY_MS + first * DAY_MS
        return from_ms, from_ms + days * DAY_MS

    def listed(totals: bool, **wanted: Any) -> Asked:
        asked = ListFilter(**wanted)
        path = f"/api/ticket-list{'/totals' if totals else ''}?{_query(asked)}"
        if totals:
            return Asked(path, lambda on: on.listed.totals(asked))
        return Asked(path, lambda on: on.listed.page(asked, limit=50))

    def ordered(random: Random, days: int) -> dict[str, Any]:
        from_ms, until_ms = day(random, days)
        return {"ordered_from_ms": from_ms, "ordered_until_ms": until_ms}

    def scanned(random: Random) -> dict[str, Any]:
        from_ms, until_ms = day(random, 1)
        return {"scanned_from_ms": from_ms, "scanned_until_ms": until_ms}

    def of_one(random: Random) -> dict[str, Any]:
        return {"performances": (random.choice(performances),)}

    asked: dict[str, Callable[[Random], dict[str, Any]]] = {
        "all": lambda random: {},
        "performance": of_one,
        "refunded_of_performance": lambda random: (
            of_one(random) | {"statuses": (ListedStatus.REFUNDED,), "channels": (Channel.WEB,)}
        ),
        "ten_performances": lambda random: {"performances": tuple(random.sample(performances, 10))},
        "day": lambda random: ordered(random, 1),
        "month_of_operator": lambda random: (
            ordered(random, 30) | {"operators": (random.choice(OPERATORS),)}
        ),
        "scanned_day": scanned,
        "blocked": lambda random: {"statuses": (ListedStatus.BLOCKED,)},
        "unpaid": lambda random: {"statuses": (ListedStatus.UNPAID,)},
        "price": lambda random: {"price_from": 45_000, "channels": (Channel.PHONE,)},
        "name": lambda random: {"text": random.choice(NAMES)},
        "name_in_performance": lambda random: of_one(random) | {"text": random.choice(NAMES)},
    }
    broad = ("all", "price", "name", "unpaid")
    return [
        Kind(f"list_{name}", lambda random, make=make: listed(False, **make(random)))
        for name, make in asked.items()
    ] + [
        Kind(
            f"totals_{name}",
            lambda random, make=make: listed(True, **make(random)),
            search=name not in broad,
        )
        for name, make in asked.items()
    ]


def _query(wanted: ListFilter) -> str:
    """As a request has it; days are whole ones of UTC."""
    told: list[tuple[str, str]] = [("performance", str(one)) for one in wanted.performances or ()]
    for name in ("ordered", "scanned"):
        for end in ("from", "until"):
            at_ms = getattr(wanted, f"{name}_{end}_ms")
            if at_ms is not None:
                at = time.gmtime(at_ms / 1_000 - (60 if end == "until" else 0))
                told.append((f"{name}_{end}", time.strftime("%Y-%m-%d", at)))
    told += [("channel", one.value) for one in wanted.channels]
    told += [("status", one.value) for one in wanted.statuses]
    told += [("operator", one) for one in wanted.operators]
    if wanted.price_from is not None:
        told.append(("price_from", str(wanted.price_from // 1_000)))
    if wanted.text:
        told.append(("q", wanted.text))
    return "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in told)


async def measured(url: str, token: str, kind: Kind, answers: int) -> list[float]:
    """Seconds that each answer took."""
    random = Random(f"{SEED} {kind.key}")
    headers = {"Authorization": f"Bearer {token}"}
    taken = []
    async with aiohttp.ClientSession(url, headers=headers) as http:
        for at in range(WARM_UP + answers):
            path = kind.ask(random).path
            begun_s = time.perf_counter()
            async with http.get(path) as response:
                body = await response.read()
                if response.status != 200:
                    raise RuntimeError(f"{path} is answered {response.status}: {body[:200]!r}")
            if at >= WARM_UP:
                taken.append(time.perf_counter() - begun_s)
    return taken


class Export(NamedTuple):
    """A list on its way out, and how others were answered meanwhile."""

    rows_per_s: float
    others_s: list[float]
    more_mib: float
    """What the gateway's process had more at its largest, than before."""


async def exported(url: str, token: str, gateway: psutil.Process) -> Export:
    """The whole list as CSV, while somebody asks again and again for something small."""
    others_s: list[float] = []
    before = largest = gateway.memory_info().rss
    headers = {"Authorization": f"Bearer {token}"}
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(url, headers=headers, timeout=timeout) as http:

        async def ask() -> None:
            nonlocal largest
            while True:
                await asyncio.sleep(PAUSE_S)
                begun_s = time.perf_counter()
                async with http.get("/api/me") as response:
                    await response.read()
                others_s.append(time.perf_counter() - begun_s)
                largest = max(largest, gateway.memory_info().rss)

        asking = asyncio.create_task(ask())
        rows, begun_s = -1, time.perf_counter()
        async with http.get("/api/ticket-list/export?format=csv") as response:
            response.raise_for_status()
            async for part in response.content.iter_any():
                rows += part.count(b"\n")
        lasted_s = time.perf_counter() - begun_s
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    return Export(rows / lasted_s, others_s, (largest - before) / 2**20)


def gateway_of(ground: Ground) -> psutil.Process:
    """The process that answers at its port."""
    port = urlsplit(ground.url).port
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any(
                one.status == psutil.CONN_LISTEN and one.laddr.port == port
                for one in process.net_connections("tcp")
            ):
                return process
    raise RuntimeError(f"no process of ours listens at {ground.url}")


class Explained(msgspec.Struct, frozen=True):
    """A statement, its time and its plan."""

    statement: str
    took_ms: float
    plan: list[str]


async def explained(url: str, kind: Kind) -> list[Explained]:
    """What the database does for one question of a kind, statement by statement."""
    engine = open_pool(url, 1)
    statements: list[tuple[str, Any]] = []

    def note(_c: object, _u: object, statement: str, values: Any, *_: object) -> None:
        statements.append((statement, values))

    try:
        on = Queries(Sales(engine), TicketList(engine))
        sa.event.listen(engine.sync_engine, "before_cursor_execute", note)
        await kind.ask(Random(SEED)).of(on)
        sa.event.remove(engine.sync_engine, "before_cursor_execute", note)
        return [await _explain(engine, *one) for one in statements if one[0].startswith("SELECT")]
    finally:
        await engine.dispose()


async def _explain(engine: AsyncEngine, statement: str, values: Any) -> Explained:
    async with engine.connect() as connection:
        await connection.exec_driver_sql(AS_PLANNED)
        begun_s = time.perf_counter()
        await connection.exec_driver_sql(statement, values)
        took_ms = 1_000 * (time.perf_counter() - begun_s)
        rows = await connection.exec_driver_sql(f"EXPLAIN (ANALYZE, BUFFERS) {statement}", values)
        return Explained(statement, round(took_ms, 1), [row[0] for row in rows])


def keep_plans(file: Path, plans: dict[str, list[Explained]]) -> None:
    """As a text, one kind after the other."""
    with file.open("w", encoding="utf-8") as out:
        for key, statements in plans.items():
            for one in statements:
                plan = "\n".join(one.plan)
                out.write(f"-- {key}: {one.took_ms} ms\n{one.statement}\n\n{plan}\n\n")
