"""The order desk of a world: its process, its database, and its deaths between any two steps.

Real here: the desk, its saga and its keeper, the canceller beside it, the conversation with the
payment provider, and what carries the desk's commands to performances. Ours: the tables of orders
(`tests.fakes.orders`, which keeps what `persistence.orders` promises) behind a connection that
is slow, refuses, or loses the answer to a commit; the provider (`tests.sim.provider`); and the
process.

A desk passes a *step* before and after whatever it asks of others, and while that is on its way.
At one of them, which the seed draws, it dies, or sleeps while a successor takes over and then
goes on: a zombie.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, Final

from engine.actors import ActorFault
from engine.actors.canceller import Canceller
from engine.actors.desk import OrderDesk, Shop
from engine.actors.handles import Asker, RayPerformances, desk_lane
from engine.actors.lane import Address
from engine.actors.parts import DESK, DIRECTORY, OnePart
from engine.commands import Command, Outcome
from engine.credit import Credit, CreditRefused
from engine.ordering import over_ms
from engine.orders import Order
from engine.payments import WebhookRejected
from engine.tills import TillSessionClosed, tills_of
from persistence.orders import OrderConflict
from persistence.pool import STATEMENT_TIMEOUT_S
from tests.engine.small import NOW_MS
from tests.fakes.orders import MemoryOrders
from tests.sim.calling_off import CallingOff
from tests.sim.history import Asked
from tests.sim.installation import GATEWAYS, RESTARTS_S, Installation
from tests.sim.loop import Process
from tests.sim.net import Handle
from tests.sim.provider import Account, Connection, SimulatedGateway
from tests.sim.store import SLOW_COMMITS_S, Weather

Step = Callable[[], Awaitable[None]]
WORLD_MS: Final = 1_000_000
LATE_COMMITS: Final = 0.05
"""The share of the database's answers that take up to a second in any weather."""


class Tables(MemoryOrders):
    """Without `fencing` they keep whatever comes last, whatever it is based on."""

    def __init__(self, fencing: bool) -> None:
        super().__init__()
        self._fencing = fencing
        self.refused = 0
        self.moving: dict[str, Order] = {}
        """The orders to which something will happen by itself before long."""
        self.writer: Process | None = None
        """The desk that is asked now, and the one that is saving."""
        self.at_work: Process | None = None
        self.is_open: Callable[[str], bool] = lambda _: True
        """Whether money may move in a till session."""
        self.by_zombies: set[str] = set()
        """The orders that were saved by a desk which had a successor, on what was stored."""

    @property
    def bodies(self) -> dict[str, bytes]:
        return self._bodies

    async def save(self, orders: Sequence[Order]) -> list[Order]:
        if not self._fencing:
            for order in orders:
                if order.id in self._keys:
                    self._keys[order.id] = self._keys[order.id][0], order.revision
        shut = self._shut(orders)
        if shut:
            raise TillSessionClosed(shut)
        try:
            saved = await super().save(orders)
        except OrderConflict:
            self.refused += 1
            raise
        for order in saved:
            if self.at_work is not self.writer:
                self.by_zombies.add(order.id)
            self.moving[order.id] = order
            if rests(order):
                del self.moving[order.id]
        return saved

    def _shut(self, orders: Sequence[Order]) -> list[str]:
        """Those that would bring money into a till session that is closed, or out of it."""
        shut = []
        for order in orders:
            revision = self._keys.get(order.id, (0, 0))[1]
            if order.revision == revision and (named := tills_of(order)):
                before = self._read(order.id) if revision else None
                if not all(self.is_open(till) for _, till in named - tills_of(before)):
                    shut.append(order.id)
        return shut


def rests(order: Order) -> bool:
    """Nothing happens to it as long as a world lasts, unless somebody asks."""
    if order.waits:
        at_reader = any(one.at_reader for one in order.payments)  # for two minutes at most
        return not at_reader and over_ms(order) > NOW_MS + WORLD_MS
    return order.finished


class OrderDatabase:
    """The tables as one desk's process reaches them: `engine.actors.order_keeper.OrdersPort`."""

    def __init__(self, process: Process, tables: Tables, weather: Weather, step: Step):
        self._simulation = process.simulation
        self._process = process
        self._tables = tables
        self._weather = weather
        self._step = step

    async def save(self, orders: Sequence[Order]) -> list[Order]:
        saved: list[Order] = await self.ask(self._tables.save, orders, commits=True)
        return saved

    async def provider_event(self, provider: str, id: str, payload: bytes, now_ms: int) -> bool:
        args = provider, id, payload, now_ms
        new: bool = await self.ask(self._tables.provider_event, *args, commits=True)
        return new

    async def get(self, id: str) -> Order | None:
        order: Order | None = await self.ask(self._tables.get, id)
        return order

    async def by_intent(self, intent: str) -> Order | None:
        order: Order | None = await self.ask(self._tables.by_intent, intent)
        return order

    async def unfinished(self) -> list[Order]:
        orders: list[Order] = await self.ask(self._tables.unfinished)
        return orders

    async def unfinished_revisions(self) -> list[tuple[str, int]]:
        found: list[tuple[str, int]] = await self.ask(self._tables.unfinished_revisions)
        return found

    async def credit(self, code: str, performance: int) -> Credit | None:
        credit: Credit | None = await self.ask(self._tables.credit, code, performance)
        return credit

    async def ask(
        self, method: Callable[..., Coroutine[Any, Any, Any]], *args: Any, commits: bool = False
    ) -> Any:
        await self._step()
        weather, simulation = self._weather, self._simulation
        if weather.refuses_until_s > simulation.now_s:
            await asyncio.sleep(0.001)
            raise ConnectionError("no connection to the database")
        dropped = commits and weather.commits_dropped > 0
        weather.commits_dropped -= dropped
        lost = commits and not dropped and weather.answers_lost > 0
        weather.answers_lost -= lost
        future = self._process.create_future()

        def there() -> None:
            # The database does it, whatever has become of who asked.
            settle, answer = _fail, None
            self._tables.at_work = self._process
            if not dropped:
                settle, answer = at_once(method(*args))
            if dropped or lost:
                settle, answer = _fail, ConnectionError("the connection broke")
            at_s = simulation.now_s + 0.0005
            simulation.at(at_s, self._process, settle, (future, answer))

        simulation.after(self._slowness_s(), there)
        await self._step()
        try:
            async with asyncio.timeout(STATEMENT_TIMEOUT_S):
                answer = await future
        except TimeoutError as error:
            raise ConnectionError("no answer from the database") from error
        await self._step()
        return answer

    def _slowness_s(self) -> float:
        draw = self._simulation.draw
        there_s = 0.001 + draw() * 0.002
        if draw() < LATE_COMMITS:
            there_s += draw()  # it waits for a lock, or a disk
        if self._weather.slow_until_s > self._simulation.now_s:
            there_s += SLOW_COMMITS_S[int(draw() * 4)]
        return there_s


def at_once(doing: Coroutine[Any, Any, Any]) -> tuple[Callable[[Any, Any], None], Any]:
    """What comes of a coroutine that waits for nothing: how to settle who waits, and with what."""
    try:
        doing.send(None)
    except StopIteration as done:
        return _succeed, done.value
    except (OrderConflict, CreditRefused, TillSessionClosed) as refused:
        return _fail, refused
    raise AssertionError("the tables are in memory")


def _succeed(future: Any, answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


def _fail(future: Any, error: Any) -> None:
    if not future.done():
        future.set_exception(error)


class DeskProcess:
    """As `wiring.DeskProcess`: a call that fails by a bug is told of."""

    def __init__(self, desk: OrderDesk, canceller: Canceller, process: Process) -> None:
        self._desk = desk
        self._canceller = canceller  # it is kept alive by nobody else
        self._process = process
        self._lane = desk_lane("", self.ask)

    async def lane(self) -> Address:
        return await self._lane.address()

    async def ask(self, method: str, *args: Any) -> Any:
        try:
            return await getattr(self._desk, method)(*args)
        except (ActorFault, WebhookRejected):
            raise
        except Exception as error:
            self._process.simulation.unexpected.append(f"desk.{method}: {error!r}")
            raise


class Desks:
    """The desks of one world, one after the other, and what they share."""

    def __init__(
        self, installation: Installation, account: Account, asked: list[Asked], perils: int
    ) -> None:
        self._all = installation
        self.simulation = installation.simulation
        self.weather = Weather()
        self.tables = Tables(installation.guards.desk_fencing)
        self.calling_off = CallingOff(lambda: self.tables.all, installation.store)
        self.kind: Callable[..., OrderDesk] = OrderDesk
        self.perils = perils
        """How many more desks end in the middle of something."""
        self.began = 0
        self.ends: list[str] = []
        self.broken: list[str] = []
        self._account = account
        self._asked = asked
        self._by_id: dict[tuple[int, bytes], Asked] = {}
        installation.restarts[DESK] = self.start
        self.start()

    def start(self) -> None:
        """A desk in a process of its own; who asks for the desk from now on asks it."""
        self.began += 1
        process = self.tables.writer = self._all.process(DESK)
        step = self._steps(process)

        def begin() -> None:
            directory = OnePart(Handle(self._all.net, DIRECTORY))  # type: ignore[arg-type]
            asker = Asker(RayPerformances(directory))

            async def ask(performance: int, command: Command) -> Outcome:
                await step()
                outcome = await self._note(asker, performance, command)
                await step()
                return outcome

            database = OrderDatabase(process, self.tables, self.weather, step)
            desk = self.kind(
                database,
                ask,
                SimulatedGateway(Connection(self._account, process, step)),
                Shop("https://shop", _title),
                process.wall_ms,
            )
            canceller = self.calling_off.canceller(database.ask, desk, ask, process.wall_ms)
            self._all.net.actors[DESK] = process, DeskProcess(desk, canceller, process)

        process.call_soon(begin)

    async def _note(self, asker: Asker, performance: int, command: Command) -> Outcome:
        """Ask, and keep it for the judges: repeated by a successor it is the same command."""
        asked = self._by_id.get((performance, command.id))
        if asked is None or asked.is_question:
            asked = Asked(DESK, performance, command, self.simulation.now_s)
            self._by_id[performance, command.id] = asked
            self._asked.append(asked)
        elif asked.command != command:
            self.broken.append(f"one id, two commands: {asked.command} and {command}")
        outcome = await asker.ask(performance, command)
        if asked.outcome is None:
            asked.outcome, asked.answered_s = outcome, self.simulation.now_s
        elif outcome != asked.outcome:
            self.broken.append(f"one id, two answers: {command} is {asked.outcome} and {outcome}")
        return outcome

    # Deaths ----------------------------------------------------------------------------

    def _steps(self, process: Process) -> Step:
        draw = self.simulation.draw
        ends_at = 0
        if self.perils:
            self.perils -= 1
            ends_at = 1 + int(60 * draw() ** 2)
        sleeps = draw() < 0.4
        passed = 0

        async def step() -> None:
            nonlocal passed
            passed += 1
            if passed == ends_at and self._is_the_desk(process):
                if sleeps:
                    self.sleep()
                    await asyncio.sleep(0.001)
                else:
                    self.ends.append("desk dies")
                    self.simulation.after(0.0, self._all.kill, DESK)
                    await process.create_future()

        return step

    def _is_the_desk(self, process: Process) -> bool:
        return self._all.alive(DESK) is process

    def sleep(self) -> None:
        """It sleeps, is succeeded, goes on as if nothing were, and is ended after a while."""
        process = self._all.alive(DESK)
        if process is None:
            return
        draw, after = self.simulation.draw, self.simulation.after
        self.ends.append("desk sleeps")
        sleeps_s = 1.0 + 4.0 * draw()
        process.pause(sleeps_s)
        after(RESTARTS_S * (0.5 + draw()), self._succeed, process)
        after(sleeps_s + 5.0 * draw(), self._end, process)

    def _succeed(self, before: Process) -> None:
        if self._is_the_desk(before):
            self.start()
            for name in GATEWAYS:
                self.simulation.after(self.simulation.draw(), self._leave, name)

    def _leave(self, name: str) -> None:
        """A gateway hears that there is another desk, as from `parts.Following`."""
        process = self._all.alive(name)
        if process is not None:
            process.call_soon(self._all.net.actors[name][1].desk.leave)

    def _end(self, process: Process) -> None:
        process.die()
        self._all.net.bury(process)


async def _title(performance: int) -> str:
    return f"Performance {performance}"
