"""A model of the fenced store: what `persistence.journal` promises, and no more.

A batch is written whole or not at all; only while its epoch is the performance's, only right
after its `prev_seq`, and only when no seat has two live tickets after it. Owns what is durable:
it outlives every process. `Database` puts it behind a connection that is slow, refuses, or loses
the answer to a commit.
"""

import asyncio
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

from engine.commands import Event
from engine.journal import Append, Claimed, Succeeded, Written
from engine.projection import KEEP_VERSION, Projection, ScanRow
from persistence.journal import (
    APPEND_TIMEOUT_S,
    READ_TIMEOUT_S,
    JournalCorrupt,
    JournalUnavailable,
    JournalUnknown,
    PerformanceUnknown,
)
from tests.sim.loop import Process, Simulation

decode_events = msgspec.msgpack.Decoder(list[Event]).decode

SLOW_COMMITS_S: Final = (0.05, 0.3, 1.0, 12.0)


class StoredTicket(NamedTuple):
    order: str
    seat: int
    state: str
    version: int


class Batch(NamedTuple):
    prev_seq: int
    seq: int
    epoch: int
    events: bytes
    at_s: float


class House:
    """What is durable of one performance."""

    def __init__(self, plan: bytes, settings: bytes) -> None:
        self.plan = plan
        self.settings = settings
        self.epoch = 0
        self.head_seq = 0
        self.serving = ""
        self.journal: list[Batch] = []
        self.snapshots: list[tuple[int, bytes]] = []
        self.tickets: dict[int, StoredTicket] = {}
        self.scans: dict[int, ScanRow] = {}  # by seq
        self.undone: set[int] = set()  # their seqs

    def events(self) -> list[Event]:
        return [event for batch in self.journal for event in decode_events(batch.events)]


class Store:
    """The tables. `fencing` and `second_wall` are its guards: a control switches them off."""

    def __init__(self, fencing: bool = True, second_wall: bool = True) -> None:
        self.houses: dict[int, House] = {}
        self._fencing = fencing
        self._second_wall = second_wall
        self.fenced = 0
        self.walls = 0
        self.sold_twice = 0

    def append(self, batches: Sequence[Append], at_s: float = 0.0) -> list[Written]:
        return [self._append(batch, at_s) for batch in batches]

    def _append(self, batch: Append, at_s: float) -> Written:
        house = self.houses[batch.performance]
        if batch.only_asks:
            stands = batch.epoch == house.epoch or not self._fencing
            return Written.WRITTEN if stands else Written.FENCED
        right = batch.epoch == house.epoch and batch.prev_seq == house.head_seq
        if not right:
            self.fenced += 1
            if self._fencing:
                return Written.FENCED
        projection = batch.projection
        tickets = house.tickets
        if projection.tickets or projection.ticket_states:
            tickets = dict(tickets)
            if not _write_rows(tickets, projection):
                if self._second_wall:
                    self.walls += 1
                    return Written.SECOND_WALL
                self.sold_twice += 1
        house.tickets = tickets
        for scan in projection.scans:
            house.scans[scan.seq] = scan
        for undone in projection.undone:
            house.undone.add(
                max(
                    seq
                    for seq, scan in house.scans.items()
                    if seq < undone.seq
                    and seq not in house.undone
                    and scan.mode != "look_up"
                    and (scan.ticket, scan.device) == (undone.ticket, undone.device)
                    and scan.sequence == undone.sequence
                    and (scan.shown or scan.result) in ("ADMITTED", "EXITED")
                )
            )
        if projection.settings is not None:
            house.settings = projection.settings
        house.journal.append(Batch(batch.prev_seq, batch.seq, batch.epoch, batch.events, at_s))
        house.head_seq = batch.seq
        return Written.WRITTEN

    def claim(self, performance: int, serving: str, since: int = 0) -> Claimed:
        house = self.houses.get(performance)
        if house is None:
            raise PerformanceUnknown(f"there is no performance {performance}")
        if since and house.epoch != since and house.serving != serving and self._fencing:
            raise Succeeded
        house.epoch += 1
        house.serving = serving
        snapshot = house.snapshots[-1] if house.snapshots else None
        return Claimed(
            performance, house.epoch, house.head_seq, 0, "", house.plan, house.settings, snapshot
        )

    def tail_page(
        self, performance: int, after_seq: int, until_seq: int, rows: int
    ) -> list[tuple[int, bytes]]:
        page: list[tuple[int, bytes]] = []
        expected = after_seq
        for batch in self.houses[performance].journal:
            if after_seq < batch.seq <= until_seq and len(page) < rows:
                if batch.prev_seq != expected and self._fencing:
                    raise JournalCorrupt(f"after seq {expected} comes one after {batch.prev_seq}")
                expected = batch.seq
                page.append((batch.seq, batch.events))
        if not page and after_seq != until_seq:
            raise JournalCorrupt(f"nothing after seq {after_seq}")
        return page

    def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> bool:
        house = self.houses[performance]
        if epoch != house.epoch or house.head_seq < seq:
            return False
        house.snapshots = sorted({**dict(house.snapshots), seq: state}.items())[-2:]
        return True

    def serving(self, performance: int) -> str | None:
        house = self.houses.get(performance)
        return None if house is None else house.serving


def _write_rows(tickets: dict[int, StoredTicket], projection: Projection) -> bool:
    """As the statements of a batch do; False when a constraint would refuse them."""
    for number, state, version in projection.ticket_states:
        row = tickets.get(number)
        if row is not None:
            kept = row.version if version == KEEP_VERSION else version
            tickets[number] = StoredTicket(row.order, row.seat, state, kept)
    whole = True
    live = {row.seat for row in tickets.values() if row.seat >= 0 and row.state != "refunded"}
    for new in projection.tickets:
        if new.number in tickets or (new.state != "refunded" and new.seat in live):
            whole = False
        if new.seat >= 0 and new.state != "refunded":
            live.add(new.seat)
        tickets[new.number] = StoredTicket(new.order, new.seat, new.state, new.version)
    return whole


class Weather:
    """How the database is just now, for every connection to it."""

    def __init__(self) -> None:
        self.refuses_until_s = 0.0
        self.slow_until_s = 0.0
        self.answers_lost = 0  # of the next commits
        self.commits_dropped = 0  # of the next: the connection broke before


class Database:
    """The store as the journal's process reaches it: `engine.actors.journal.JournalStore`."""

    def __init__(
        self, simulation: Simulation, process: Process, store: Store, weather: Weather
    ) -> None:
        self._simulation = simulation
        self._process = process
        self._store = store
        self._weather = weather

    async def append(self, batches: Sequence[Append]) -> Sequence[Written]:
        weather, draw = self._weather, self._simulation.draw
        if weather.commits_dropped:
            weather.commits_dropped -= 1
            await asyncio.sleep(0.001)
            raise JournalUnavailable("the connection broke before the commit")
        lost = bool(weather.answers_lost)
        if lost:
            weather.answers_lost -= 1
        future = self._process.create_future()
        there_s = 0.001 + draw() * 0.002
        if weather.slow_until_s > self._simulation.now_s:
            there_s += SLOW_COMMITS_S[int(draw() * 4)]

        def commit() -> None:
            # The database does it, whatever has become of who asked.
            verdicts = self._store.append(batches, self._simulation.now_s)
            self._simulation.at(
                self._simulation.now_s + 0.0005, self._process, _answer, (future, verdicts, lost)
            )

        if self._refuses():
            raise JournalUnavailable("no connection to the database")
        self._simulation.after(there_s, commit)
        try:
            async with asyncio.timeout(APPEND_TIMEOUT_S):
                verdicts: Sequence[Written] = await future
                return verdicts
        except TimeoutError as error:
            raise JournalUnknown("no answer to the commit") from error

    def _refuses(self) -> bool:
        return self._weather.refuses_until_s > self._simulation.now_s

    async def _ask(self, method: Any, *args: Any) -> Any:
        """A read, or a write that may be made twice: its answer may be lost as well."""
        if self._refuses():
            await asyncio.sleep(0.001)
            raise JournalUnavailable("no connection to the database")
        await asyncio.sleep(self._slowness())
        result = method(*args)
        await asyncio.sleep(self._slowness())
        if self._refuses():
            raise JournalUnavailable("the connection broke")
        return result

    def _slowness(self) -> float:
        if self._weather.slow_until_s > self._simulation.now_s:
            return min(SLOW_COMMITS_S[int(self._simulation.draw() * 4)], READ_TIMEOUT_S)
        return 0.001

    async def claim(self, performance: int, serving: str, since: int) -> Claimed:
        claimed: Claimed = await self._ask(self._store.claim, performance, serving, since)
        return claimed

    async def tail_page(
        self, performance: int, after_seq: int, until_seq: int
    ) -> list[tuple[int, bytes]]:
        rows = 1 + int(self._simulation.draw() * 20)
        page: list[tuple[int, bytes]] = await self._ask(
            self._store.tail_page, performance, after_seq, until_seq, rows
        )
        return page

    async def save_snapshot(self, performance: int, epoch: int, seq: int, state: bytes) -> bool:
        saved: bool = await self._ask(self._store.save_snapshot, performance, epoch, seq, state)
        return saved

    async def keep_packed(self, plan_hash: str, packed: bytes) -> None:
        await asyncio.sleep(0.001)

    async def serving(self, performance: int) -> str | None:
        name: str | None = await self._ask(self._store.serving, performance)
        return name


def _answer(future: Any, verdicts: list[Written], lost: bool) -> None:
    if not future.done():
        if lost:
            future.set_exception(JournalUnknown("the connection broke during the commit"))
        else:
            future.set_result(verdicts)
