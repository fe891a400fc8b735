"""Faults carried out: each as a task of its own, so that one may fall into another.

Owns how each is done and when it counts as over. When what was to be hit is not there
(it is just being started) it waits for it a while.
"""

import asyncio
import contextlib
import signal
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from random import Random
from typing import Final

import psutil

from persistence.url import DRIVER_ERRORS, connect
from tests.soak.evenings import Evenings
from tests.soak.house import House
from tests.soak.ledger import Done, Ledger
from tests.soak.schedule import Fault, Kind

THERE_S: Final = 15.0
"""How long something may take to be there to be hit."""
SUCCESSOR_S: Final = 60.0
"""How long a paused writer waits for its successor."""
STRIKES_S: Final = 0.08
"""Somebody who pays is struck this long after at most: a quiet desk needs a third of it."""
MOMENT_S: Final = 30.0
"""How long nobody may pay for two evenings: while all is broken nobody does."""
REFUSED_S: Final = 10.0
"""How soon a woken writer tries to write, and is refused."""
POLL_S: Final = 0.1
SLOW_S: Final = (0.01, 0.2)
"""What a slow database takes longer, each way."""
COUNTER: Final = "strapontin_journal_fenced_total"

_KILLED: Final = {
    Kind.PERFORMANCES_KILLED: "Performance",
    Kind.JOURNAL_KILLED: "Journal",
    Kind.GATEWAY_KILLED: "Gateway",
    Kind.DESK_KILLED: "Desk",
    Kind.ROOMS_KILLED: "Rooms",
    Kind.DIRECTORY_KILLED: "Directory",
}


class Saboteur:
    """Carries out a schedule on a house whose hot performance is this."""

    def __init__(
        self,
        house: House,
        performance: int,
        evenings: Evenings,
        ledger: Ledger,
        chance: Random,
    ) -> None:
        self._house = house
        self._performance = performance
        self._evenings = evenings
        self._ledger = ledger
        self._chance = chance
        self._pausing = asyncio.Lock()

    async def carry_out(self, faults: Sequence[Fault]) -> None:
        """Returns when the last is over."""
        async with asyncio.TaskGroup() as under_way:
            for fault in faults:
                await asyncio.sleep(max(0.0, fault.at_s - self._ledger.now_s))
                under_way.create_task(self._do(fault))

    async def _do(self, fault: Fault) -> None:
        ledger, kind = self._ledger, fault.kind
        done = Done(kind, ledger.now_s)
        if kind is Kind.PERFORMANCE_PAUSED:
            async with self._pausing:  # two at once would be the same writer
                await self._pause(done)
        elif kind is Kind.PERFORMANCE_KILLED:
            await self._kill(done, lambda: self._house.writer(self._performance))
        elif kind is Kind.DATABASE_KILLED:
            await self._kill(done, self._house.database_processes)
        elif kind is Kind.DESK_STRUCK:
            await self._strike(done, lambda: self._actors("Desk"))
        elif kind is Kind.EVENING_STRUCK:
            evening = self._chance.choice(self._evenings.performances)
            await self._strike(done, lambda: self._house.writer(evening))
        elif kind in _KILLED:
            await self._kill(done, lambda: self._actors(_KILLED[kind]))
        else:
            await self._trouble(done, fault.lasts_s)

    # Processes -------------------------------------------------------------------------

    def _actors(self, part: str) -> list[psutil.Process]:
        served = self._house.served
        titles = (f"{part}Process", f"Soak{part}", f"Careless{part}", f"Unfenced{part}")
        return [one for title in titles for one in served.processes(title)]

    async def _found(self, find: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
        for _ in range(round(THERE_S / POLL_S)):
            there = [one for one in await asyncio.to_thread(find) if _runs(one)]
            if there:
                return there
            await asyncio.sleep(POLL_S)
        self._ledger.absent += 1
        return []

    async def _kill(self, done: Done, find: Callable[[], list[psutil.Process]]) -> None:
        victims = await self._found(find)
        if victims:
            # Noted first: what is asked while they die counts as asked afterwards.
            done.at_s = done.over_s = self._ledger.now_s
            self._ledger.faults.append(done)
        for victim in victims:
            _send(victim, signal.SIGKILL)

    async def _strike(self, done: Done, find: Callable[[], list[psutil.Process]]) -> None:
        """Kill it a moment after somebody began to pay for two evenings."""
        victims = await self._found(find)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MOMENT_S):
                await self._evenings.moment()
        await asyncio.sleep(self._chance.uniform(0, STRIKES_S))
        victims = [one for one in victims if _runs(one)]
        if victims:
            done.at_s = done.over_s = self._ledger.now_s
            done.paying = self._evenings.paying
            done.note = f"{done.paying} were paying"
            self._ledger.faults.append(done)
        else:
            self._ledger.absent += 1
        for victim in victims:
            _send(victim, signal.SIGKILL)

    async def _pause(self, done: Done) -> None:
        """Stop the writer until another has claimed its performance, and see what it does then."""
        victims = await self._found(lambda: self._house.writer(self._performance))
        if not victims:
            return
        (zombie,) = victims
        epoch = await self._epoch()
        done.at_s = done.over_s = self._ledger.now_s
        self._ledger.faults.append(done)
        _send(zombie, signal.SIGSTOP)
        try:
            async with asyncio.timeout(SUCCESSOR_S):
                while True:
                    if await self._epoch() != epoch:
                        break
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            done.note = "no successor"
        fenced = await self._fenced()
        _send(zombie, signal.SIGCONT)
        done.refused = await self._rises(fenced)
        if not _runs(zombie):
            done.note = "killed by another fault before it wrote"
            done.refused = done.refused or None
        _send(zombie, signal.SIGKILL)

    async def _epoch(self) -> int:
        """Of the hot performance, asked past every fault, for as long as it takes."""
        while True:
            try:
                connection = await connect(self._house.database_url)
                try:
                    found: int = await connection.fetchval(
                        "SELECT epoch FROM writers WHERE performance = $1", self._performance
                    )
                    return found
                finally:
                    connection.terminate()
            except DRIVER_ERRORS:
                await asyncio.sleep(POLL_S)

    async def _rises(self, before: float) -> bool:
        """Has the journal refused an append? One that was restarted counts from 0 again."""
        for _ in range(round(REFUSED_S / POLL_S / 5)):
            now = await self._fenced()
            if now > before:
                return True
            before = min(before, now)
            await asyncio.sleep(5 * POLL_S)
        return False

    async def _fenced(self) -> float:
        """The counter, asked of the gateway past the clients' path; 0 while there is none."""
        text = await asyncio.to_thread(_metrics, self._house.served.url)
        for line in text.splitlines():
            if line.startswith(COUNTER):
                return float(line.rpartition(" ")[2])
        return 0.0

    # Network and disk --------------------------------------------------------------------

    async def _trouble(self, done: Done, lasts_s: float) -> None:
        house = self._house
        paths = {
            "database": house.database,
            "clients": house.clients,
            "lanes": house.lanes,
            "journal": house.journal,
        }
        self._ledger.faults.append(done)
        part, _, what = done.kind.partition("_")
        if what == "cut":
            done.over_s = self._ledger.now_s
            done.note = f"{paths[part].cut()} connections"
            return
        if done.kind is Kind.DISK_FULL:
            assert house.disk is not None
            trouble = house.disk.full()
        elif what == "slow":
            trouble = paths[part].slow(self._chance.uniform(*SLOW_S))
        elif what == "lost":
            # What a phone's network forgot is reset; a database's keep-alive takes a minute.
            trouble = paths[part].lose(resets=part == "clients")
        else:
            trouble = paths[part].refuse()
        with trouble:
            await asyncio.sleep(lasts_s)
        done.note = f"{lasts_s:.1f} s"
        done.over_s = self._ledger.now_s


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _send(process: psutil.Process, number: int) -> None:
    try:
        process.send_signal(number)
    except psutil.NoSuchProcess:
        pass


def _metrics(url: str) -> str:
    try:
        with urllib.request.urlopen(
            f"{url}/metrics?name[]={COUNTER.removesuffix('_total')}", timeout=5
        ) as answer:
            text: str = answer.read().decode()
            return text
    except (OSError, ValueError, urllib.error.URLError):
        return ""
