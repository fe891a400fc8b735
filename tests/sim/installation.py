"""The processes of one world, as `engine.actors.wiring` joins them, with Ray and Postgres replaced.

Real here: the batcher, the callers of performances and their lanes, the directory, the
performance's writer, the journal and its lane, and the core behind them. Ours: what starts and
ends processes, and the database (`store`). Each part runs in a `Process` of its own.
"""

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from engine.actors.directory import Directory
from engine.actors.handles import RayDesk, RayPerformances, RegisterInJournal
from engine.actors.journal import JournalActor
from engine.actors.journal_handle import RayJournal, journal_lane, performance_lane
from engine.actors.lane import Address
from engine.actors.parts import DESK, OnePart
from engine.actors.performance import PerformanceActor
from engine.journal import Claimed
from engine.performance import Performance
from engine.status import PerformanceStatus
from gateway.batcher import Batcher
from gateway.limits import FEED_LINGER_S, RETRY_FOR_S
from gateway.replica import Feeds
from tests.sim.loop import Process, Simulation
from tests.sim.net import Handle, Net
from tests.sim.store import Database, Store, Weather
from tests.sim.surroundings import METRICS

RESTARTS_S = 0.3
"""Ray starts a dead actor again within about this time."""
GATEWAYS = ("gateway 0", "gateway 1")
STARTS_S = 0.15
"""A new process takes about this long."""


class Guards:
    """What keeps the promise. A control switches one off, and must be found out."""

    def __init__(
        self,
        waits_for_commit: bool = True,
        fencing: bool = True,
        remembers_ids: bool = True,
        reads_tail: bool = True,
        second_wall: bool = True,
        remembers_kept: bool = True,
        desk_fencing: bool = True,
    ) -> None:
        self.waits_for_commit = waits_for_commit
        self.fencing = fencing
        self.remembers_ids = remembers_ids
        self.reads_tail = reads_tail
        self.second_wall = second_wall
        self.remembers_kept = remembers_kept
        self.desk_fencing = desk_fencing


class JournalProcess(JournalActor):
    """As `wiring.JournalProcess`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        super().__init__(database)
        self._lane = journal_lane("", self)

    async def lane(self) -> Address:
        return await self._lane.address()

    async def serving(self, performance: int) -> str | None:
        return await self._database.serving(performance)


class PerformanceProcess:
    """As `engine.actors.process.PerformanceProcess`; its clock is its machine's."""

    def __init__(self, process: Process, net: Net, name: str, writer: type[PerformanceActor]):
        self._process = process
        self._net = net
        self._name = name
        self._writer = writer
        self.actor: PerformanceActor | None = None

    async def ready(self) -> None:
        pass

    async def serve(self, performance: int) -> None:
        journal = RayJournal(Handle(self._net, "journal"), self._name)  # type: ignore[arg-type]
        self.actor = self._writer(performance, journal, self._process.wall_ms)
        self._lane = performance_lane("", self.actor)

    async def lane(self) -> Address:
        return await self._lane.address()

    async def status(self) -> PerformanceStatus:
        assert self.actor is not None
        return await self.actor.status()

    async def passivate(self) -> bool:
        assert self.actor is not None
        return await self.actor.passivate()


class GatewayProcess:
    """The edge behind its sockets: the queues of commands, and the replicas of the feeds."""

    def __init__(self, net: Net) -> None:
        performances = RayPerformances(OnePart(Handle(net, "directory")))  # type: ignore[arg-type]
        self.batcher = Batcher(performances, METRICS, RETRY_FOR_S)
        self.feeds = Feeds(performances, METRICS, FEED_LINGER_S, _is_public)
        self.desk = RayDesk(OnePart(Handle(net, DESK)))  # type: ignore[arg-type]


async def _is_public(performance: int) -> bool:
    return True


class Installation:
    """Everything that runs, and what kills and starts it."""

    def __init__(self, simulation: Simulation, net: Net, store: Store, guards: Guards) -> None:
        self.simulation = simulation
        self.net = net
        self.store = store
        self.guards = guards
        self.weather = Weather()
        self.writer = writer_of(guards)
        self.kills_miss = 0.0
        self.writers: list[str] = []
        self.zombies = 0
        self.restarts: dict[str, Callable[[], None]] = {
            "journal": self.start_journal,
            "directory": self.start_directory,
            **{name: partial(self.start_gateway, name) for name in GATEWAYS},
        }
        for start in self.restarts.values():
            start()

    # Processes --------------------------------------------------------------------

    def process(self, name: str) -> Process:
        return Process(self.simulation, self.net, name)

    def start_journal(self) -> None:
        process = self.process("journal")
        database = Database(self.simulation, process, self.store, self.weather)
        self.net.actors["journal"] = process, JournalProcess(database)

    def start_directory(self) -> None:
        process = self.process("directory")

        def start() -> None:
            register = RegisterInJournal(Handle(self.net, "journal"))  # type: ignore[arg-type]
            directory = Directory(_Spawner(self, process), register)
            self.net.actors["directory"] = process, directory

        process.call_soon(start)

    def start_gateway(self, name: str) -> None:
        process = self.process(name)

        def start() -> None:
            self.net.actors[name] = process, GatewayProcess(self.net)

        process.call_soon(start)

    def start_writer(self, name: str) -> None:
        process = self.process(name)
        self.net.actors[name] = process, PerformanceProcess(process, self.net, name, self.writer)
        self.writers.append(name)
        process.pause(STARTS_S * (0.5 + self.simulation.draw()))

    def kill(self, name: str) -> None:
        """As kill -9. What Ray restarts comes back after a while."""
        entry = self.net.actors.get(name)
        if entry is None or entry[0].dead:
            return
        process = entry[0]
        process.die()
        self.net.bury(process)
        again_s = RESTARTS_S * (0.5 + self.simulation.draw())
        if name in self.restarts:
            self.simulation.after(again_s, self.restarts[name])

    def alive(self, name: str) -> Process | None:
        entry = self.net.actors.get(name)
        return None if entry is None or entry[0].dead else entry[0]

    def live_writers(self) -> list[Process]:
        return [one for one in map(self.alive, self.writers) if one is not None]


class _Spawner:
    """`directory.Spawner`, without Ray. `owner` is the directory's process."""

    def __init__(self, installation: Installation, owner: Process) -> None:
        self._all = installation
        self._owner = owner

    def spawn(self, name: str) -> Handle:
        if not self._owner.dead:
            self._all.start_writer(name)
        return Handle(self._all.net, name)

    def ready(self, actor: Handle) -> Awaitable[None]:
        return actor.ready.remote()

    def serve(self, actor: Handle, performance: int) -> Awaitable[None]:
        return actor.serve.remote(performance)

    def find(self, name: str) -> Handle | None:
        return Handle(self._all.net, name) if self._all.alive(name) is not None else None

    def kill(self, actor: Handle) -> None:
        """It may not get there: the process goes on, and nobody knows."""
        if self._owner.dead:
            return
        simulation = self._all.simulation
        if simulation.draw() < self._all.kills_miss:
            self._all.zombies += 1
        else:
            simulation.after(0.001, self._all.kill, actor.name)

    def status(self, actor: Handle) -> Awaitable[PerformanceStatus]:
        return actor.status.remote()

    def passivate(self, actor: Handle) -> Awaitable[bool]:
        return actor.passivate.remote()


# Writers whose guard is off -----------------------------------------------------------


def writer_of(guards: Guards) -> type[PerformanceActor]:
    if not guards.waits_for_commit:
        return _AnswersBeforeCommit
    if not guards.remembers_ids:
        return _ForgetsIds
    if not guards.reads_tail:
        return _ForgetsTail
    if not guards.remembers_kept:
        return _ForgetsKept
    return PerformanceActor


class _AnswersBeforeCommit(PerformanceActor):
    async def submit(self, batch: bytes) -> bytes:
        await self._wait_ready()
        now = self._clock_ms()
        self._expire_due(now)
        outcomes = [self._core.apply(command, now) for command in self._decode(batch)]
        self._decided_seq = self._drained_seq + len(self._core.events)
        self._wake.set()
        return msgspec.msgpack.encode(outcomes)


class _ForgetsIds(PerformanceActor):
    async def _rebuilt(self, claimed: Claimed) -> Performance:
        core = await super()._rebuilt(claimed)
        for memory in (core._known, core._accepted, core._refused):
            memory.clear()
        return core


class _ForgetsTail(PerformanceActor):
    async def _rebuilt(self, claimed: Claimed) -> Performance:
        return await super()._rebuilt(
            msgspec.structs.replace(claimed, head_seq=claimed.snapshot_seq)
        )


class _ForgetsKept(PerformanceActor):
    """Which numbers of which devices have been told."""

    async def _rebuilt(self, claimed: Claimed) -> Performance:
        core = await super()._rebuilt(claimed)
        core.kept.clear()
        return core
