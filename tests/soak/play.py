"""A soak from beginning to end: the house is served, people come, it is broken, the record is read.

Owns the order of things and the clients that a rehearsal has not: a probe that asks for a
seat several times a second, one that asks whether all is ready, and visitors of a waiting
room, one after the other.
"""

import asyncio
import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Final

import aiohttp
import msgspec
from msgspec import Struct

from bench.rehearsal.bots import cast
from bench.rehearsal.crowd import Stage, tickets_of
from bench.rehearsal.installation import CannotBegin
from bench.rehearsal.line import Http, Line
from bench.rehearsal.scenario import Arrivals, Doors, Kind, Scenario
from bench.rehearsal.scenario import House as Hall
from bench.rehearsal.stage import CURRENCY, Theatre
from tests.integration.visitors import Visitor
from tests.soak import record
from tests.soak.evenings import Evenings, Visit
from tests.soak.faults import Saboteur
from tests.soak.house import House, soak_house
from tests.soak.ledger import PLACE, READY, Ledger, NotingCrowd
from tests.soak.record import Finding
from tests.soak.schedule import Kind as Fault
from tests.soak.schedule import schedule

BUYERS_PER_S: Final = 2.0
OPEN_S: Final = 60.0
GRACE_S: Final = 90.0
"""For those who are still there when the faults are over."""
SERVES_AGAIN_S: Final = 60.0
PROBE_S: Final = 0.1
MAX_PROBES: Final = 60
"""Holds of the probe without an answer yet."""
BUY_S: Final = 1.0
READY_S: Final = 0.25
VISIT_S: Final = 1.0
SAY_S: Final = 5.0
ROOM_OPENS_MS: Final = 4_000

SALE: Final = Scenario(
    title={"en": "Soak", "fr": "Endurance"},
    house=Hall(plan="large", hold_s=20, hold_cap_s=45),
    arrivals=Arrivals(over=1.0),
    doors=Doors(scanners=4),
    grace_s=GRACE_S,
    kinds=(
        Kind(
            name="buyer",
            think_s=(0.2, 2.0),
            party=(1, 2, 2, 2, 3, 4),
            abandon=0.1,
            double_click=0.15,
            change_mind=0.1,
            fail_to_pay=0.1,
            reload=0.05,
            reconnect=0.05,
            enter=0.6,
            copied=0.5,
        ),
    ),
)


class Run(Struct, frozen=True):
    """What is asked for; `without` is a rule of the product that is switched off, or ""."""

    seconds: float
    seed: int
    without: str = ""


class Outcome(Struct, frozen=True):
    """What a soak came to."""

    run: Run
    ledger: Ledger
    findings: tuple[Finding, ...]
    seconds: float
    skipped: str
    visits: list[Visit]


async def soak(run: Run, folder: Path, say: Callable[[str], None]) -> Outcome:
    """Raises CannotBegin."""
    ledger = Ledger()
    say("serving a house to break")
    async with soak_house(folder, run.without) as house, Http(house.url, ledger) as http:
        theatre = await _theatre(house, http, ledger)
        room = await _theatre(house, http, ledger)
        seconds = run.seconds
        scenario = _sized(seconds)
        bots = cast(scenario, run.seed, queues=False)
        stage = await theatre.dress(scenario, bots, run.seed, secrets.token_bytes(16))
        crowd = NotingCrowd(stage, list(bots), ledger, http, 1.0, scenario.doors.scanners)
        async with asyncio.timeout(OPEN_S):
            await crowd.open()
        now_ms = time.time_ns() // 1_000_000
        await room.open_room(now_ms, now_ms + ROOM_OPENS_MS)
        evenings = await _evenings(house, http, ledger, crowd, run.seed)
        till = await _open_till(http, stage.operator)
        without = frozenset() if house.disk else frozenset({Fault.DISK_FULL})
        faults = schedule(run.seed, seconds, without)
        minutes = seconds / 60
        say(f"{len(faults)} faults, {len(bots)} buyers, {minutes:.1f} minutes, seed {run.seed}")
        ledger.begin()
        line = crowd.line(stage.operator, watch=False)
        await line.open()
        visitors: list[Visitor] = []
        chance = Random(f"{run.seed}/how")
        saboteur = Saboteur(house, stage.performance, evenings, ledger, chance)
        async with _beside(
            lambda: _probe(line, stage, ledger),
            lambda: _buy(line, stage, http, ledger),
            lambda: _ask_ready(house, http, ledger),
            lambda: _visit(house, room.performance, http, ledger, visitors),
            evenings.play,
            lambda: _tell(ledger, len(faults), say),
        ):
            async with asyncio.TaskGroup() as both:
                both.create_task(saboteur.carry_out(faults))
                both.create_task(crowd.play(seconds, scenario.grace_s))
            say("the last fault is over, and the last buyer has gone")
            await _serves_again(ledger)
            await evenings.leave()
        for visitor in visitors:
            await visitor.leave()
            if visitor.outcome:
                ledger.note(visitor.id, visitor.outcome)
        line.close()
        say("reading the record")
        seen = record.Seen(stage, room.performance, ledger, visitors, evenings, till)
        findings = await record.judge(house, http, seen)
        crowd.close()
        seconds = ledger.now_s
        return Outcome(run, ledger, tuple(findings), seconds, house.no_disk, evenings.visits)


def _sized(seconds: float) -> Scenario:
    bots = max(10, round(seconds * BUYERS_PER_S))
    return msgspec.structs.replace(SALE, seconds=seconds, bots=bots)


async def _theatre(house: House, http: Http, ledger: Ledger) -> Theatre:
    theatre = Theatre(house.url, http, ledger)
    await theatre.log_in("admin", house.served.password)
    await theatre.create(SALE.house, SALE.title, Path())
    return theatre


async def _evenings(
    house: House, http: Http, ledger: Ledger, crowd: NotingCrowd, seed: int
) -> Evenings:
    """Two performances to be bought together."""
    first, second = [
        await (await _theatre(house, http, ledger)).dress(SALE, [], seed, secrets.token_bytes(16))
        for _ in range(2)
    ]
    evenings = Evenings(crowd, (first, second), ledger, seed)
    await evenings.open()
    return evenings


async def _open_till(http: Http, operator: str) -> str:
    """The till session of all cash of the soak."""
    id = secrets.token_hex(16)
    shift = {"id": id, "till": "Soak", "currency": CURRENCY, "opening_float": 0}
    status, told = await http.ask("POST", "/api/tills", shift, operator)
    if status != 201:
        raise CannotBegin(f"no till: {told}")
    return id


async def _serves_again(ledger: Ledger) -> None:
    """Until every fault is recovered from, or nobody would wait any longer."""
    for _ in range(round(SERVES_AGAIN_S / PROBE_S)):
        if all(fault.recovered for fault in ledger.faults):
            return
        await asyncio.sleep(PROBE_S)


async def _until(holds: Callable[[], bool]) -> None:
    while True:
        if holds():
            return
        await asyncio.sleep(PROBE_S / 2)


# Beside the buyers -------------------------------------------------------------------------


async def _probe(line: Line, stage: Stage, ledger: Ledger) -> None:
    """A seat, several times a second, given back when it was had."""

    async def ask() -> None:
        asked_s, token = ledger.now_s, secrets.token_bytes(16)
        best = ["best", secrets.token_bytes(16), stage.performance, token, 1]
        if (await line.ask(best))[0] == "held":
            ledger.hold(asked_s)
            await line.ask(["release", secrets.token_bytes(16), stage.performance, token])

    async with asyncio.TaskGroup() as asking:
        under_way: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(PROBE_S)
            if len(under_way) < MAX_PROBES:
                task = asking.create_task(ask())
                under_way.add(task)
                task.add_done_callback(under_way.discard)


async def _buy(line: Line, stage: Stage, http: Http, ledger: Ledger) -> None:
    """A seat bought at the till, every second."""

    async def buy() -> None:
        asked_s = ledger.now_s
        token, id = secrets.token_bytes(16), secrets.token_hex(16)
        best = ["best", secrets.token_bytes(16), stage.performance, token, 1]
        outcome = await line.ask(best)
        if outcome[0] != "held":
            return
        (seat,) = outcome[2]
        lines = [[seat, -1, stage.price_types[stage.categories[seat]], 1]]
        basket = {"performance": stage.performance, "token": token.hex(), "lines": lines}
        body = {"id": id, "baskets": [basket]}
        status, order = await http.ask("POST", "/api/orders", body, stage.operator)
        if status != 201:
            return  # the hold was over
        pay = {"method": "cash", "given": order["total"], "attempt": "1"}
        while True:
            status, paid = await http.ask("POST", f"/api/orders/{id}/pay", pay, stage.operator)
            if status != 200:
                return
            if paid["order"]["state"] == "paid":
                break
            await asyncio.sleep(PROBE_S)
        ledger.sell(id, 0, tickets_of(paid["order"]), asked_s)

    async with asyncio.TaskGroup() as buying:
        while True:
            await asyncio.sleep(BUY_S)
            buying.create_task(buy())


async def _ask_ready(house: House, http: Http, ledger: Ledger) -> None:
    while True:
        await asyncio.sleep(READY_S)
        asked_s = ledger.now_s
        with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
            async with asyncio.timeout(5):
                status, _ = await http.once("GET", "/readyz")
            if status == 200:
                ledger.good(READY, asked_s)


async def _visit(
    house: House, performance: int, http: Http, ledger: Ledger, visitors: list[Visitor]
) -> None:
    """Somebody comes to the waiting room every second, and goes when their turn is over."""

    async def stay() -> None:
        _, session = await http.ask("POST", "/api/session", {})
        asked_s = ledger.now_s
        visitor = Visitor(house, performance, session["token"])  # type: ignore[arg-type]
        visitors.append(visitor)
        await _until(lambda: bool(visitor.names))
        ledger.good(PLACE, asked_s)
        await _until(lambda: bool(visitor.outcome))
        await visitor.leave()

    async with asyncio.TaskGroup() as staying:
        while True:
            await asyncio.sleep(VISIT_S)
            staying.create_task(stay())


async def _tell(ledger: Ledger, faults: int, say: Callable[[str], None]) -> None:
    while True:
        await asyncio.sleep(SAY_S)
        open_faults = [fault.kind.value for fault in ledger.faults if not fault.recovered]
        say(
            f"{ledger.now_s:6.0f} s  {len(ledger.faults)} of {faults} faults"
            f"  {len(ledger.sales)} sales  {len(ledger.admissions)} admitted"
            f"  {len(ledger.answers)} answers  {ledger.repeats} repeats"
            + (f"  now: {', '.join(open_faults)}" if open_faults else "")
        )


@contextlib.asynccontextmanager
async def _beside(*jobs: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Run these while the block runs; what went wrong in them is raised afterwards."""
    tasks = [asyncio.ensure_future(job()) for job in jobs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for done in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(done, Exception):
                raise done
