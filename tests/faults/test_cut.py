"""A database connection may be cut at any byte and at any moment: it is thrown away and replaced,
and whoever was using it is told what the code's contract says, and nothing else."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import asyncpg
import pytest
from msgspec import structs
from sqlalchemy.exc import SQLAlchemyError

from engine.journal import Append, Claimed, Written
from engine.orders import OrderState
from engine.projection import KEEP_VERSION, Projection
from engine.waiting import Arrived
from engine.waiting import Opened as RoomOpened
from engine.waiting_room import commitment_of
from persistence import journal as journal_module
from persistence import pool as pool_module
from persistence.journal import JournalUnavailable, JournalUnknown
from persistence.lead import Leads
from persistence.store import POOL_CONNECTIONS, Store
from persistence.url import DRIVER_ERRORS, connect
from tests.faults.proxy import End, Path
from tests.persistence.houses import NOW_MS, Opened, batch, selling
from tests.persistence.test_orders import new_order

SOON_S = 8.0
OF_THE_POOL = (SQLAlchemyError, OSError)
OF_THE_JOURNAL = (JournalUnavailable, JournalUnknown)


@dataclass
class Ground:
    """What is used, through the path, and two who come to the database another way."""

    path: Path
    store: Store
    leads: Leads
    opened: Opened
    sql: asyncpg.Connection
    killer: asyncpg.Connection
    dice: random.Random
    claimed: Claimed | None = None
    seats: "itertools.count[int]" = field(default_factory=itertools.count)

    async def kill(self) -> None:
        await self.killer.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid() AND pid <> $1",
            self.sql.get_server_pid(),
        )

    async def head(self) -> int:
        head: int = await self.sql.fetchval(
            "SELECT head_seq FROM writers WHERE performance = $1", self.opened.first
        )
        return head


@pytest.fixture
async def ground(
    path: Path, through: str, database_url: str, opened: Opened
) -> AsyncIterator[Ground]:
    sql, killer = await connect(database_url), await connect(database_url)
    leads = Leads(through)
    async with await Store.open(through) as store:
        yield Ground(path, store, leads, opened, sql, killer, random.Random(7))
        await leads.close()
    await sql.close()
    await killer.close()


# What is done with connections ----------------------------------------------------


async def places_and_pays(on: Ground) -> None:
    """All that an order is, or nothing of it."""
    orders = on.store.orders
    order = new_order(on.opened.first, next(on.seats))
    for state in (OrderState.OPEN, OrderState.SELLING):
        wanted = structs.replace(order, state=state)
        try:
            [order] = await orders.save([wanted])
        except OF_THE_POOL:
            row = await on.sql.fetchrow(
                "SELECT revision, (SELECT count(*) FROM order_lines WHERE order_number = o.number)"
                " FROM orders o WHERE id = $1",
                order.id,
            )
            known = (order.revision, 1) if order.revision else None
            assert row is None or tuple(row) in (known, (order.revision + 1, 1))
            raise


async def reads_orders(on: Ground) -> None:
    await on.store.orders.unfinished()
    await on.store.orders.get("no such order")


async def streams_guests(on: Ground) -> None:
    """More of them than come at once."""
    if on.claimed is None:
        on.claimed = await on.store.journal.claim(on.opened.first, "here")
        await on.store.journal.append([batch(on.claimed, 0, projection=selling(*range(300)))])
    assert len(await on.store.guests.guests(on.opened.first, limit=1_000)) == 300


async def opens_a_session(on: Ground) -> None:
    access = on.store.access
    name = f"op {next(on.seats)}"
    operator = await access.create_operator(
        on.opened.organiser, name=name, password_hash="x", roles=(), language="en", now_ms=NOW_MS
    )
    assert operator in await access.list_operators()


async def looks_around(on: Ground) -> None:
    store, number = on.store, on.opened.first
    await store.catalogue.house()
    await store.catalogue.performance(number)
    await store.sales.totals(number)
    await store.sales.tickets(number)
    await store.history.page(number, 0)
    await store.health()


async def keeps_books(on: Ground) -> None:
    await on.store.ledger.close_due()
    await on.store.ledger.head(on.opened.organiser)


async def queues(on: Ground) -> None:
    rooms, number = on.store.rooms, on.opened.first
    seed = bytes(32)
    await rooms.add(RoomOpened(number, NOW_MS, NOW_MS, commitment_of(seed)), seed)
    room = await rooms.latest(number)
    after = len(await rooms.events(number, room))
    assert await rooms.append(number, room, after, [Arrived(NOW_MS, (on.dice.randbytes(16),))])


async def journals(on: Ground) -> None:
    """One statement, which is its own transaction."""
    await _append(on, Projection())


async def journals_refunds(on: Ground) -> None:
    """BEGIN, statements, COMMIT."""
    first = next(on.seats) + 1
    sold = selling(first, first_number=first).tickets
    await _append(on, Projection(sold, ticket_states=((first, "refunded", KEEP_VERSION),)))


async def _append(on: Ground, projection: Projection) -> None:
    journal = on.store.journal
    if on.claimed is None:
        on.claimed = await journal.claim(on.opened.first, "here")
    before = await on.head()
    wanted: Append = batch(on.claimed, before, projection=projection)
    try:
        assert await journal.append([wanted]) == [Written.WRITTEN]
    except JournalUnavailable:
        assert await on.head() == before
        raise
    except JournalUnknown:
        assert await on.head() in (before, wanted.seq)
        raise
    assert await on.head() == wanted.seq


async def claims_and_reads(on: Ground) -> None:
    journal = on.store.journal
    on.claimed = claimed = await journal.claim(on.opened.second, "here")
    assert await journal.serving(on.opened.second) == "here"
    assert await journal.save_snapshot(on.opened.second, claimed.epoch, 0, bytes(10_000))
    await journal.tail_page(on.opened.second, 0, 0)


async def leads(on: Ground) -> None:
    assert (await on.leads.beat("a")).node == "a"


Use = Callable[[Ground], Awaitable[None]]
USES: dict[Use, tuple[type[BaseException], ...]] = {
    **dict.fromkeys(
        (
            *(places_and_pays, reads_orders, streams_guests, opens_a_session),
            *(looks_around, keeps_books, queues),
        ),
        OF_THE_POOL,
    ),
    **dict.fromkeys((journals, journals_refunds, claims_and_reads), OF_THE_JOURNAL),
    leads: DRIVER_ERRORS,
}
uses = pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
few_uses = pytest.mark.parametrize(
    "use",
    [
        use
        if use in (places_and_pays, claims_and_reads)
        else pytest.param(use, marks=pytest.mark.soak)
        for use in USES
    ],
    ids=lambda use: use.__name__,
)
rounds = pytest.mark.parametrize("rounds", [2, pytest.param(10, marks=pytest.mark.soak)])


# How it goes ----------------------------------------------------------------------


async def tried(use: Use, on: Ground) -> bool:
    """Did it work? When it did not, its users were told as they have been promised."""
    begun_s = time.monotonic()
    try:
        await use(on)
    except USES[use]:
        return False
    finally:
        assert time.monotonic() - begun_s < SOON_S
    return True


async def recovers(use: Use, on: Ground) -> None:
    """Who reads the journal may be told once more that it is not there; nobody is told twice."""
    if not await tried(use, on):
        assert USES[use] is not OF_THE_POOL, "a lost connection was lent again"
        await use(on)


async def carried(use: Use, on: Ground) -> int:
    before = on.path.carried
    await use(on)
    return on.path.carried - before


@rounds
@uses
async def test_cut_at_any_byte(use: Use, rounds: int, ground: Ground) -> None:
    path, dice = ground.path, ground.dice
    for connected in (True, False) * rounds:
        await use(ground)
        whole = await carried(use, ground)
        if not connected:
            path.cut()
            await asyncio.sleep(0.001)  # what is reset is known to be
            whole += 2_000  # to connect anew
        path.end_after(dice.randint(1, whole), dice.choice((End.RESET, End.CLOSED)))
        await tried(use, ground)
        path.never_mind()
        await recovers(use, ground)
    await serves_everybody(ground)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in (
        (pool_module, ("PING_S", "STATEMENT_TIMEOUT_S")),
        (journal_module, ("PING_S", "READ_TIMEOUT_S", "CLAIM_TIMEOUT_S", "APPEND_TIMEOUT_S")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, 0.5)
    monkeypatch.setattr(journal_module, "ABANDONED_MS", 500)


@pytest.mark.usefixtures("impatient")
@rounds
@few_uses
@pytest.mark.parametrize("told", [True, False], ids=["hung_up", "kept_open"])
async def test_ended_by_the_server_at_any_moment(
    use: Use, told: bool, rounds: int, ground: Ground
) -> None:
    """Its last words come with the end of the connection, before it, or alone."""
    dice = ground.dice
    await use(ground)
    begun_s = time.monotonic()
    await use(ground)
    took_s = time.monotonic() - begun_s
    with contextlib.nullcontext() if told else ground.path.keep_open():
        for _ in range(rounds):
            await asyncio.gather(
                tried(use, ground), _after(dice.uniform(0, took_s * 1.5), ground.kill)
            )
            await recovers(use, ground)
            await ground.kill()
            await asyncio.sleep(dice.choice((0, 0.0005, 0.002)))
            await recovers(use, ground)
        await serves_everybody(ground)


async def _after(delay_s: float, then: Callable[[], Awaitable[None]]) -> None:
    await asyncio.sleep(delay_s)
    await then()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("rounds", [1, pytest.param(4, marks=pytest.mark.soak)])
@few_uses
async def test_silent_from_any_byte_on(use: Use, rounds: int, ground: Ground) -> None:
    path, dice = ground.path, ground.dice
    for _ in range(rounds):
        await use(ground)
        path.end_after(dice.randint(1, await carried(use, ground)), End.SILENT)
        await tried(use, ground)
        path.never_mind()
        await recovers(use, ground)
    await serves_everybody(ground)


async def serves_everybody(on: Ground) -> None:
    """Nothing is left behind that somebody would be lent, or wait for."""
    async with asyncio.timeout(SOON_S):
        await asyncio.gather(*(on.store.catalogue.house() for _ in range(3 * POOL_CONNECTIONS)))


@pytest.mark.parametrize("use", [reads_orders, claims_and_reads])
async def test_without_the_driver_s_own_error_its_users_would_be_told_something_else(
    use: Use, ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: the server's last words have come, the end of the connection has not."""
    fewer = tuple(kind for kind in DRIVER_ERRORS if kind is not asyncpg.InternalClientError)
    for guarded in (True, False):
        if not guarded:
            monkeypatch.setattr(pool_module, "DRIVER_ERRORS", fewer)
            monkeypatch.setattr(journal_module, "DRIVER_ERRORS", fewer)
        await use(ground)
        with ground.path.keep_open():
            await ground.kill()
            await asyncio.sleep(0.05)
            if guarded:
                await recovers(use, ground)
                continue
            with pytest.raises(asyncpg.InternalClientError):
                await use(ground)
