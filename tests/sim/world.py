"""One world from its seed: an installation, a crowd, what goes wrong, and the judgement.

Owns the drawing of a world and what goes wrong in it (`Trouble`). Everything follows from the
seed and the guards that are off; nothing from the machine on which it runs.
"""

from random import Random
from typing import Final, NamedTuple
from zlib import crc32

import msgspec

from engine.house import lay_out
from engine.layout_packed import pack_layout
from engine.settings import Quota, ReEntry, Settings, Surplus
from tests.engine.small import NOW_MS, house, settings
from tests.sim.clients import Buyer, Client, Crowd, Door, House, Luck
from tests.sim.history import Asked
from tests.sim.installation import GATEWAYS, Guards, Installation
from tests.sim.judge import Broken, End, judge_from_inside, judge_from_outside, told_again
from tests.sim.loop import Process, Simulation, Stuck
from tests.sim.net import Net
from tests.sim.store import House as StoredHouse
from tests.sim.store import Store
from tests.sim.surroundings import run_in
from tests.sim.trade import Trade, dearer, with_prices
from tests.sim.watching import Browser

PLAN: Final = house(["aaaa", "bb"], tables=[(2, True)], areas=[(3, "c")])
RULES: Final = {
    policy: settings(hold_ms=2_500, hold_cap_ms=6_000, max_per_order=6, re_entry=policy)
    for policy in ReEntry
}
_PACKED: Final = pack_layout(lay_out(PLAN))
_POLICIES: Final = (ReEntry.NONE, ReEntry.AFTER_EXIT, ReEntry.AFTER_EXIT, ReEntry.UNLIMITED)
_SEATS: Final = len(PLAN.seats)

LIVES_S: Final = 120.0
"""By then everybody has an answer, whatever went wrong."""
TROUBLE_S: Final = 2.0
"""What goes wrong begins within this time, and ends when the clients have had their say."""
SAYS_S: Final = 9.0


class Report(NamedTuple):
    """What a world was like; `digest` is the same whenever the seed is played again."""

    seed: int
    digest: int
    commands: int
    answered: int
    commits: int
    reigns: int
    fenced: int
    pictures: int
    lived_s: float
    happened: int
    kinds: frozenset[str]
    """Of what went wrong."""
    orders: int = 0
    desks: int = 0
    conflicts: int = 0
    """Saves that were not based on what was stored."""


class World:
    """`tells` keeps what happened, for people; `inside` False judges by the clients alone.

    `ruled`: it has quotas, times of sale and allocations too. What these are is drawn apart, so
    that a seed without them stays the world that it was before they were thought of. `orders`: the
    places are sold by orders over several performances (`tests.sim.trade`).
    """

    def __init__(
        self,
        seed: int,
        guards: Guards | None = None,
        tells: bool = False,
        inside: bool = True,
        ruled: bool = False,
        orders: bool = False,
    ) -> None:
        guards = guards or Guards()
        self.seed = seed
        self._inside = inside
        self.simulation = simulation = Simulation(seed)
        draw = simulation.draw
        run_in(simulation, 5 + int(draw() * 30))
        self.store = Store(guards.fencing, guards.second_wall)
        self.rules = RULES[_POLICIES[int(draw() * 4)]]
        self._ruled = ruled
        if ruled:
            self.rules = with_rules(self.rules, Random(seed))
        performances = [7] if draw() < 0.8 else [7, 8]
        if orders:
            self.rules, performances = with_prices(self.rules, Random(seed)), [7, 8, 9]
        for number in performances:
            self.store.houses[number] = StoredHouse(_PACKED, msgspec.json.encode(self.rules))
        rough = draw() < 0.85
        self.net = Net(simulation, 0.03 if rough and draw() < 0.5 else 0.0)
        self.installation = Installation(simulation, self.net, self.store, guards)
        self.luck = Luck(0.06 * draw(), 0.2 * draw(), 0.15 * draw()) if rough else Luck(0, 0, 0)
        outside = Process(simulation, self.net, "outside")
        self.crowd = Crowd(outside, self.net, self.luck, performances)
        self.crowd.note = self._note
        self.told: list[str] | None = [] if tells else None
        self._digest = seed & 0xFFFF_FFFF
        self.browsers: list[Browser] = []
        if draw() < 0.3:
            size = performances[0], _SEATS, len(PLAN.areas)
            stored = self.store.houses[performances[0]]
            self.browsers.append(Browser(simulation, self.net, self.luck, stored, size))
        self.trouble = Trouble(self)
        self.trade = Trade(self.installation, self.crowd, rough) if orders else None
        if self.trade is not None:
            self.trade.tell = self.tell
        self._let_in(outside)

    def _let_in(self, outside: Process) -> None:
        draw, crowd = self.simulation.draw, self.crowd
        buyers = 4 + int(draw() * 4) if self.trade is None else 1
        clients: list[Client] = [
            Buyer(crowd, f"b{number}", 6 + int(draw() * 6), draw() < 0.08, _SEATS)
            for number in range(buyers)
        ]
        clients += [Door(crowd, f"d{number}", 9, draw() < 0.05) for number in range(2)]
        many = 12 if self._ruled else 7
        house = House(crowd, "house", many, _SEATS, self.rules, keeps=self._ruled)
        clients.append(house)
        if self.trade is not None:
            house.others = self.rules, dearer(self.rules)
            clients += self.trade.customers()
        for client in clients:
            outside.begin(client.live)

    def _note(self, asked: Asked) -> None:
        """An answer has arrived."""
        self._digest = crc32(asked.raw, self._digest)
        self.tell(f"{asked.client} hears {asked.outcome}")

    def tell(self, what: str) -> None:
        if self.told is not None:
            self.told.append(f"{self.simulation.now_s:9.4f}  {what}")

    def live(self) -> Report:
        """Let it live, and judge it.

        Raises:
            Broken: Something happened that must never happen.
        """
        simulation, crowd = self.simulation, self.crowd

        def everybody_is_done() -> bool:
            return not crowd.busy

        try:
            if not simulation.run_until(everybody_is_done, SAYS_S):
                self.trouble.ends()
                if not simulation.run_until(everybody_is_done, LIVES_S):
                    why = simulation.unexpected[:1] or "nobody knows why"
                    waits = f"{crowd.busy} clients still wait at {LIVES_S} s"
                    raise Broken("unanswered", f"{waits}: {why}")
            self.trouble.ends()
            if self.trade is not None:
                self.trade.comes_to_rest()
            for browser in self.browsers:
                browser.stopped = True
            # Whoever was paused or out of reach has its say: its time is over.
            simulation.run_until(lambda: False, simulation.now_s + 0.5)
        except Stuck as stuck:
            raise Broken("stuck", str(stuck)) from stuck
        finally:
            simulation.end()
        self._judge()
        return self._report()

    def _judge(self) -> None:
        wrong = self.simulation.unexpected + self.crowd.broken
        wrong += [one for browser in self.browsers for one in browser.broken]
        if wrong and self._inside:
            raise Broken("unexpected", wrong[0])
        now_s, fastest_ms = self.simulation.now_s, self.trouble.fastest_ms
        houses = self.store.houses.items()
        end = End(self.crowd.asked, self.store, self.browsers, PLAN, self.rules, now_s, fastest_ms)
        if self._inside:
            judge_from_inside(end)
        judge_from_outside(end._replace(asked=self._known_rules()))
        if self.trade is not None:
            self.trade.judge({number: told_again(number, one, end) for number, one in houses})

    def _known_rules(self) -> list[Asked]:
        """What was asked where the plain models know the rules: not of a cancelled performance,
        whose holds end and whose doors are closed for everybody from one moment on."""
        cancelled = self.trade.cancelled if self.trade is not None else 0
        return [one for one in self.crowd.asked if one.performance != cancelled]

    def _report(self) -> Report:
        houses = self.store.houses.values()
        digest = self._digest
        for one in houses:
            for batch in one.journal:
                digest = crc32(batch.events, digest)
        digest = crc32(self.simulation.random.randbytes(8), digest)
        kinds = self.trouble.kinds
        trade: tuple[int, int, int] = 0, 0, 0
        if self.trade is not None:
            kinds, trade = kinds + self.trade.kinds, self.trade.counts
            digest = crc32(self.trade.digest, digest)
        return Report(
            self.seed,
            digest,
            len(self.crowd.asked),
            self.crowd.answers,
            sum(len(one.journal) for one in houses),
            sum(one.epoch for one in houses),
            self.store.fenced,
            sum(len(one.pictures) for one in self.browsers),
            self.simulation.now_s,
            self.simulation.happened,
            frozenset(kinds),
            *trade,
        )


class Trouble:
    """What goes wrong: a few things, at moments of the seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._all = world.installation
        self._simulation = world.simulation
        self._over = False
        self.fastest_ms = 0
        self.kinds: list[str] = []
        draw = self._simulation.draw
        self._all.kills_miss = 0.5 if draw() < 0.5 else 0.0
        for _ in range(int(draw() * 5)):
            what = _TROUBLES[int(draw() * len(_TROUBLES))]
            self._simulation.after(0.3 + draw() * TROUBLE_S, self._strike, what)

    def _strike(self, what: str) -> None:
        if not self._over:
            self.kinds.append(what)
            self._world.tell(f"trouble: {what}")
            getattr(self, "_" + what.replace(" ", "_"))()

    def ends(self) -> None:
        """From now on nothing goes wrong, and what was wrong is right again."""
        self._over = True
        if self._world.trade is not None:
            self._world.trade.ends()
        self._world.luck.settle()
        self._world.net.heal()
        weather = self._all.weather
        weather.refuses_until_s = weather.slow_until_s = 0.0
        weather.answers_lost = weather.commits_dropped = 0
        self._all.kills_miss = 0.0
        for process in self._simulation.processes:
            process.resume()

    def _writer(self) -> Process | None:
        writers = self._all.live_writers()
        return writers[int(self._simulation.draw() * len(writers))] if writers else None

    def _some_s(self) -> float:
        draw = self._simulation.draw
        return (0.03, 0.5, 1.5, 5.0)[int(draw() * 4)] * (0.5 + draw())

    def _kill_writer(self) -> None:
        writer = self._writer()
        if writer is not None:
            self._all.kill(writer.name)

    def _kill_journal(self) -> None:
        self._all.kill("journal")

    def _kill_directory(self) -> None:
        self._all.kill("directory")

    def _kill_gateway(self) -> None:
        self._all.kill(GATEWAYS[int(self._simulation.draw() * 2)])

    def _pause_writer(self) -> None:
        writer = self._writer()
        if writer is not None:
            writer.pause(self._some_s())

    def _zombie(self) -> None:
        """It sleeps until a successor has claimed, is not to be killed, and then goes on."""
        self._all.kills_miss = 1.0
        writer = self._writer()
        if writer is not None:
            writer.pause(4.0 + 4.0 * self._simulation.draw())

    def _pause_other(self) -> None:
        name = ("journal", "directory", *GATEWAYS)[int(self._simulation.draw() * 4)]
        process = self._all.alive(name)
        if process is not None:
            process.pause(self._some_s())

    def _cut(self) -> None:
        """Nothing passes between two processes, and nobody is told."""
        processes = [
            one for one in map(self._all.alive, ("journal", "directory", *GATEWAYS)) if one
        ]
        writer = self._writer()
        if writer is not None and processes:
            other = processes[int(self._simulation.draw() * len(processes))]
            self._world.net.cut(writer, other, self._some_s())

    def _answers_lost(self) -> None:
        self._all.weather.answers_lost = 1 + int(self._simulation.draw() * 2)

    def _commits_dropped(self) -> None:
        self._all.weather.commits_dropped = 1 + int(self._simulation.draw() * 2)

    def _store_refuses(self) -> None:
        self._all.weather.refuses_until_s = self._simulation.now_s + self._some_s()

    def _store_is_slow(self) -> None:
        self._all.weather.slow_until_s = self._simulation.now_s + self._some_s()

    def _clock_jumps(self) -> None:
        writer = self._writer()
        if writer is not None:
            writer.skew_ms += int((self._simulation.draw() * 2 - 0.7) * 4_000)
            self.fastest_ms = max(self.fastest_ms, writer.skew_ms)

    def _passivated(self) -> None:
        """The directory thought that nobody needed it any more."""
        writer = self._writer()
        if writer is not None:
            process, host = self._all.net.actors[writer.name]
            if host.actor is not None:
                process.begin(host.passivate)


_TROUBLES: Final = (
    "kill writer",
    "kill writer",
    "kill journal",
    "kill directory",
    "kill gateway",
    "pause writer",
    "zombie",
    "pause other",
    "cut",
    "answers lost",
    "answers lost",
    "commits dropped",
    "store refuses",
    "store is slow",
    "clock jumps",
    "passivated",
)


def with_rules(settings: Settings, random: Random) -> Settings:
    """These settings with quotas that are reached and times that pass in the world's seconds."""
    quotas = [
        Quota("all", {}, random.randint(3, 8)),
        Quota("front", {}, random.randint(1, 3), categories=(0,)),
        Quota("full", {}, random.randint(2, 6), (0, 1, 2), ("full",)),
    ]
    opens_ms = NOW_MS + random.choice((0, 0, 1_000, 2_500))
    closes_ms = random.choice((0, 0, NOW_MS + 4_000, NOW_MS + 7_000))
    tills_ms = NOW_MS + random.choice((0, 0, 800))
    return msgspec.structs.replace(
        settings,
        quotas=tuple(random.sample(quotas, random.randint(1, 2))),
        sale_opens_ms=opens_ms,
        sale_closes_ms=closes_ms,
        tills_open_ms=tills_ms,
        surplus=Surplus((1,)) if random.random() < 0.3 else Surplus(),
    )


def run(
    seed: int,
    guards: Guards | None = None,
    inside: bool = True,
    ruled: bool = False,
    orders: bool = False,
) -> Report:
    """A world of this seed, inside `surroundings.simulated()`. Raises Broken."""
    return World(seed, guards, inside=inside, ruled=ruled, orders=orders).live()
