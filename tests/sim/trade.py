"""A world's trade: customers, the order desk, the payment provider, and what goes wrong there.

Owns what `tests.sim.world` adds to a world in which orders are placed, and drives it to its rest.
"""

from random import Random
from typing import Any, Final

import msgspec

from engine.actors.parts import DESK
from engine.performance import Performance
from engine.settings import Fee, FeeKind, FeePer, Price, PriceType, Settings
from tests.sim.books import Books, judge_orders
from tests.sim.clients import Crowd
from tests.sim.customers import Counter, Customer
from tests.sim.desk import Desks
from tests.sim.installation import GATEWAYS, Installation
from tests.sim.judge import Broken
from tests.sim.provider import Account
from tests.sim.shifts import Shifts

RESTS_S: Final = 240.0
"""So long after the last customer has left every order has come to rest."""
TROUBLE_S: Final = 9.0
CALLED_OFF: Final = 0.25
"""The share of worlds in which the last performance is cancelled."""
SAID_S: Final = 3.0
"""Whatever is on its way has arrived by then."""


class Trade:
    """See the module. Made once the installation runs; `let_in` opens the doors."""

    def __init__(self, installation: Installation, crowd: Crowd, rough: bool) -> None:
        self._all = installation
        self._crowd = crowd
        crowd.shown = []  # by customers: nobody but the desk gives their tickets back
        self._simulation = simulation = installation.simulation
        self._kinds: list[str] = []
        self.tell: Any = lambda _: None
        self.account = Account(simulation, rough)
        perils = int(simulation.draw() * 6) if rough else 0
        self.desks = Desks(installation, self.account, crowd.asked, perils)
        # Drawn apart: what cashiers do is no matter of what goes wrong.
        chance = Random(simulation.random.getrandbits(32))
        self.shifts = Shifts(self.desks.tables, simulation, chance)
        self.shifts.begin()
        self.counter = Counter(crowd, self.account, self.shifts)
        self.counter.tell = self.shifts.tell = lambda what: self.tell(what)
        self.account.deliver = self.counter.deliver
        self._over = False
        if simulation.draw() < CALLED_OFF:
            self._kinds.append("called off")
            at_s = 0.5 + simulation.draw() * TROUBLE_S
            simulation.after(at_s, self.desks.calling_off.begin, crowd.performances[-1])
        for _ in range(int(simulation.draw() * 4) if rough else 0):
            what = _TROUBLES[int(simulation.draw() * len(_TROUBLES))]
            simulation.after(0.3 + simulation.draw() * TROUBLE_S, self._strike, what)

    def customers(self) -> list[Customer]:
        draw = self._simulation.draw
        return [
            Customer(self._crowd, self.counter, f"c{number}", draw() < 0.12)
            for number in range(3 + int(draw() * 3))
        ]

    # What goes wrong -------------------------------------------------------------------

    def _strike(self, what: str) -> None:
        if not self._over:
            self._kinds.append(what)
            self.tell(f"trouble: {what}")
            getattr(self, "_" + what.replace(" ", "_"))()

    def ends(self) -> None:
        """From now on nothing goes wrong here."""
        self._over = True
        self.desks.perils = 0
        self.account.moods.settle()
        weather = self.desks.weather
        weather.refuses_until_s = weather.slow_until_s = 0.0
        weather.answers_lost = weather.commits_dropped = 0

    def _some_s(self) -> float:
        draw = self._simulation.draw
        return (0.03, 0.5, 1.5, 5.0)[int(draw() * 4)] * (0.5 + draw())

    def _kill_desk(self) -> None:
        self._all.kill(DESK)

    def _zombie_desk(self) -> None:
        self.desks.sleep()

    def _pause_desk(self) -> None:
        process = self._all.alive(DESK)
        if process is not None:
            process.pause(self._some_s())

    def _cut_desk(self) -> None:
        """Nothing passes between it and a gateway or a writer."""
        desk = self._all.alive(DESK)
        others = [*self._all.live_writers(), *filter(None, map(self._all.alive, GATEWAYS))]
        if desk is not None and others:
            other = others[int(self._simulation.draw() * len(others))]
            self._all.net.cut(desk, other, self._some_s())

    def _desk_clock_jumps(self) -> None:
        process = self._all.alive(DESK)
        if process is not None:
            process.skew_ms += int((self._simulation.draw() * 2 - 0.7) * 8_000)

    def _orders_unanswered(self) -> None:
        self.desks.weather.answers_lost = 1 + int(self._simulation.draw() * 2)

    def _orders_dropped(self) -> None:
        self.desks.weather.commits_dropped = 1 + int(self._simulation.draw() * 2)

    def _orders_refused(self) -> None:
        self.desks.weather.refuses_until_s = self._simulation.now_s + self._some_s()

    def _orders_are_slow(self) -> None:
        self.desks.weather.slow_until_s = self._simulation.now_s + self._some_s()

    # The end ---------------------------------------------------------------------------

    def comes_to_rest(self) -> None:
        """Until nothing happens any more by itself; then what was done is asked for once more."""
        self._rest()
        self.account.is_visited = False
        for call in self.counter.calls[:]:
            if call.is_done and call.method != "get":
                again = self.counter.begin("again", call.operator, call.method, *call.args)
                self._crowd.outside.begin(self.counter.ask, again)
        self._simulation.run_until(lambda: False, self._simulation.now_s + SAID_S)
        self._rest()
        self.shifts.ends()

    def _rest(self) -> None:
        until_s = self._simulation.now_s + RESTS_S
        if not self._simulation.run_until(self._rests, until_s):
            orders = list(self.desks.tables.moving.values())
            why = f"{self.counter.busy} wait, {self.account.under_way} notices are under way"
            raise Broken("stuck", f"{why}: {orders}")

    def _rests(self) -> bool:
        under_way = self.desks.tables.moving or self.account.under_way or self.counter.busy
        return not under_way and self.desks.calling_off.is_over

    def judge(self, houses: dict[int, Performance]) -> None:
        """`houses` are what the journals say. Raises Broken."""
        if self.desks.broken:
            raise Broken("unexpected", self.desks.broken[0])
        books = Books(self.desks.tables, self.account, self.counter.calls, houses)
        judge_orders(books)
        self.shifts.judge(books.histories.values())
        self.desks.calling_off.judge(self.desks.tables.all)

    @property
    def cancelled(self) -> int:
        """The performance that was cancelled, 0 for none."""
        return self.desks.calling_off.performance

    @property
    def kinds(self) -> list[str]:
        return self._kinds + self.desks.ends

    @property
    def counts(self) -> tuple[int, int, int]:
        """Orders, desks that began, and saves that were refused as out of date."""
        tables = self.desks.tables
        return len(tables.bodies), self.desks.began, tables.refused

    @property
    def digest(self) -> bytes:
        """What became of every order."""
        return b"".join(self.desks.tables.bodies.values())


_TROUBLES: Final = (
    "kill desk",
    "kill desk",
    "zombie desk",
    "zombie desk",
    "pause desk",
    "cut desk",
    "desk clock jumps",
    "orders unanswered",
    "orders dropped",
    "orders refused",
    "orders are slow",
)


def with_prices(settings: Settings, random: Random) -> Settings:
    """These settings with free places, fees, and holds that end while their order is paid."""
    fees = (
        Fee("service", {}, FeeKind.SERVICE, 100, refundable=random.random() < 0.5),
        Fee("card", {}, FeeKind.PAYMENT, 30, 150, FeePer.ORDER, ways=("stripe",)),
        Fee("post", {}, FeeKind.DELIVERY, 250, per=FeePer.ORDER, ways=("post",)),
        Fee("house", {}, FeeKind.SERVICE, 50, absorbed=True),
    )
    return msgspec.structs.replace(
        settings,
        price_types=(*settings.price_types, PriceType("guest", {"en": "Guest"})),
        prices=(*settings.prices, *(Price(category, "guest", 0) for category in range(4))),
        fees=tuple(random.sample(fees, random.randint(0, 3))),
        hold_cap_ms=random.choice((23_000, 26_000, 32_000)),
        orphan_rule=False,
    )


def dearer(settings: Settings) -> Settings:
    """Other prices for the same places."""
    prices = tuple(msgspec.structs.replace(one, amount=one.amount * 2) for one in settings.prices)
    return msgspec.structs.replace(settings, prices=prices)
