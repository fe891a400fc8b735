"""A house that sells without Ray and without an edge: real actors, real desk, real Postgres."""

import asyncio
import random
import secrets
from types import TracebackType
from typing import Self

import msgspec

from engine.actors.desk import OrderDesk
from engine.actors.performance import PerformanceActor
from engine.commands import Channel, Command, Event, Held, Hold, Line, Outcome, TicketState
from engine.journal import Append, Claimed, Written
from engine.orders import LineState, Order, OrderHold, OrderState, PlaceOrder, RefundRequest
from engine.performance import Performance
from engine.plan_io import dump_plan
from engine.settings import Settings
from persistence.store import Store
from tests.actors.houses import settings, small_plan

PLAN = small_plan()


class Port:
    """`PerformanceActor`'s journal, without a journal actor between."""

    def __init__(self, store: Store) -> None:
        self._journal = store.journal
        self.tail_page = self._journal.tail_page
        self.keep_packed = self._journal.keep_packed

    async def claim(self, performance: int, since: int) -> Claimed:
        return await self._journal.claim(performance, "a test", since)

    async def append(self, batch: Append) -> Written:
        return (await self._journal.append([batch]))[0]

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> None:
        await self._journal.save_snapshot(performance, epoch, seq, state)


class Sellers:
    """A house at an address: its desk, and an actor for each performance.

    Attributes:
        sold, refunded: Orders as they were acknowledged, by id.
    """

    def __init__(self, url: str) -> None:
        self.store = Store(url)
        self.performances: list[int] = []
        self.sold: dict[str, Order] = {}
        self.refunded: dict[str, Order] = {}
        self._sale = asyncio.Event()
        self._chance = random.Random(7)
        self._actors: dict[int, PerformanceActor] = {}

    async def __aenter__(self) -> Self:
        entries = await self.store.catalogue.list_performances()
        self.performances = [entry.id for entry in entries]
        for performance in self.performances:
            self._actors[performance] = PerformanceActor(performance, Port(self.store))
        self.desk = OrderDesk(self.store.orders, self.ask)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.desk.close()
        tasks = [task for actor in self._actors.values() for task in actor._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.store.close()

    async def ask(self, performance: int, command: Command) -> Outcome:
        batch = msgspec.msgpack.encode([command])
        reply = await self._actors[performance].submit(batch)
        return msgspec.msgpack.decode(reply, type=list[Outcome])[0]

    async def hold(self, performance: int, *seats: int) -> OrderHold | None:
        token = secrets.token_bytes(16)
        held = await self.ask(
            performance, Hold(token, token, token.hex(), Channel.BOX_OFFICE, seats)
        )
        if not isinstance(held, Held):
            return None
        lines = tuple(Line(seat, -1, "adult") for seat in seats)
        return OrderHold(performance, token.hex(), lines)

    async def sell(self, performance: int, *seats: int) -> Order | None:
        """One order of these seats, paid in cash; None when they are not free."""
        hold = await self.hold(performance, *seats)
        if hold is None:
            return None
        request = PlaceOrder(
            secrets.token_hex(16), (hold,), channel=Channel.BOX_OFFICE, operator="ada"
        )
        order = await self.desk.place(request)
        assert isinstance(order, Order), order
        answer = await self.desk.pay(order.id, "cash", "1", given=order.total, operator="ada")
        assert isinstance(answer, tuple), answer
        self.sold[order.id] = answer[0]
        self._sale.set()
        return answer[0]

    async def until_sold(self, count: int) -> None:
        while len(self.sold) < count:
            self._sale.clear()
            await self._sale.wait()

    async def until_settled(self) -> None:
        """What was begun is gone on with by the desk itself; orders that wait for money stay."""
        async with asyncio.timeout(20):
            while any(  # noqa: ASYNC110 - the desk's steps are not ours to signal
                order.state is not OrderState.OPEN for order in await self.store.orders.unfinished()
            ):
                await asyncio.sleep(0.1)

    async def refund(self, order: Order) -> None:
        answer = await self.desk.refund(
            order.id, RefundRequest("r1", (order.lines[0].number,), "", "ada")
        )
        assert isinstance(answer, Order), answer
        self.refunded[order.id] = answer

    async def sell_until(self, ended: asyncio.Event) -> None:
        """Sales of one or two seats, and a refund now and then, as fast as it goes."""
        seats = list(range(len(PLAN.seats) - 1))
        while not ended.is_set():
            performance = self._chance.choice(self.performances)
            seat = self._chance.choice(seats)
            order = await self.sell(performance, *(seat, seat + 1)[: self._chance.randint(1, 2)])
            if order is not None and self._chance.random() < 0.5:
                await self.refund(order)


async def open_house(url: str) -> None:
    """Two performances of 160 seats."""
    async with Store(url) as store:
        house = await store.catalogue.create_house(
            name="House",
            time_zone="Europe/Paris",
            languages=("fr", "en"),
            settings={"vat_bp": 550},
            ticket_seed=secrets.token_bytes(32),
            session_secret=secrets.token_bytes(32),
            now_ms=0,
        )
        await store.catalogue.add_plan(
            plan_hash=PLAN.content_hash(),
            name=PLAN.name,
            seats=len(PLAN.seats),
            places=len(PLAN.seats),
            body=dump_plan(PLAN),
            now_ms=0,
        )
        production = await store.catalogue.create_production(
            house.id, titles={"en": "Play"}, subtitles={}, currency="EUR", info={}, now_ms=0
        )
        for _ in range(2):
            await store.catalogue.create_performance(
                production.id,
                plan_hash=PLAN.content_hash(),
                starts_ms=1_900_000_000_000,
                settings=msgspec.json.encode(settings()),
                now_ms=0,
            )


async def rebuilt(store: Store, performance: int) -> tuple[Claimed, Performance]:
    """A performance as its snapshot and journal have it; whoever looks claims it."""
    claimed = await store.journal.claim(performance, "who looks")
    if claimed.snapshot is None:
        rules = msgspec.json.decode(claimed.settings, type=Settings)
        core = Performance(performance, PLAN, rules)
    else:
        core = Performance.restore(performance, PLAN, claimed.snapshot[1])
    seq = claimed.snapshot_seq
    while seq < claimed.head_seq:
        page = await store.journal.tail_page(performance, seq, claimed.head_seq)
        for seq, events in page:  # noqa: B007 - the last is where the next page begins
            core.replay(msgspec.msgpack.decode(events, type=list[Event]))
    return claimed, core


def seats_of(core: Performance) -> dict[int, str]:
    """The live tickets of a performance: the order by seat."""
    live = {}
    for number, ticket in enumerate(core.tickets, 1):
        if core.ticket_states.get(number) is not TicketState.REFUNDED:
            live[ticket.seat] = core.ticket_sales[number - 1][0]
    return live


def sold_seats(order: Order) -> set[tuple[int, int]]:
    return {(line.performance, line.seat) for line in order.lines if line.state is LineState.SOLD}
