"""kill -9 at the doors while the house is away: what was answered is known, and told once.

The same stories with a program that answers before it keeps show that they would notice.
"""

import asyncio
import contextlib
import json
import os
import random
import secrets
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from engine.commands import Channel, Checkout, Hold, Line, Sell
from renderers import secret
from tests.console.server import House, Tangle
from tests.console.test_scan import ROOT
from tests.console.test_scan_alone import admissions
from tests.gateway.client import Closed, Socket

TICKETS = 18
DOORS = 4
KILLS = 2
BEGUN_WITHIN_S = 30.0


@pytest.fixture
def port(unused_port: Callable[[], int]) -> int:
    return unused_port()


def sell(house: House) -> list[str]:
    """The secrets of new tickets."""
    core, at_ms = house.fake.performances.live[1].core, house.fake.performances.clock_ms()
    core.orphan_rule = False
    for first in range(0, TICKETS, 6):
        seats = tuple(range(first, first + 6))
        token, order = secrets.token_bytes(16), f"order {first}"
        lines = tuple(Line(seat, -1, "full") for seat in seats)
        core.apply(Hold(secrets.token_bytes(16), token, "a", Channel.BOX_OFFICE, seats), at_ms)
        core.apply(Checkout(secrets.token_bytes(16), token, order, "", lines), at_ms)
        core.apply(Sell(secrets.token_bytes(16), token, order), at_ms)
    assert len(core.tickets) == TICKETS
    key = house.fake.ticket_key
    return [secret.sign(key, 1, number, 0) for number in range(1, TICKETS + 1)]


class Program:
    """`strapontin relay` or `strapontin scan` as a process that can die at any moment."""

    def __init__(self, program: str, *arguments: str) -> None:
        self._arguments = (sys.executable, "-m", program, *arguments)
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self.process = await asyncio.create_subprocess_exec(
            *self._arguments, cwd=ROOT, env=os.environ | {"LC_ALL": "en_GB.UTF-8"},
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    async def line(self) -> str:
        assert self.process is not None and self.process.stdout is not None
        return (await asyncio.wait_for(self.process.stdout.readline(), BEGUN_WITHIN_S)).decode()

    async def type(self, text: str) -> None:
        assert self.process is not None and self.process.stdin is not None
        self.process.stdin.write(f"{text}\n".encode())
        await self.process.stdin.drain()

    async def kill(self) -> None:
        assert self.process is not None
        if self.process.returncode is None:
            self.process.send_signal(signal.SIGKILL)
        await self.process.communicate()


@asynccontextmanager
async def running(program: Program) -> AsyncIterator[Program]:
    await program.start()
    try:
        yield program
    finally:
        await program.kill()


class Lane:
    """A device at a door: asks one ticket after another, each under one id until it is told."""

    def __init__(self, http: aiohttp.ClientSession, url: str, token: str) -> None:
        self._http, self._url, self._token = http, url, token
        self._socket: Socket | None = None

    async def scan(self, text: str) -> str:
        id = secrets.token_bytes(16)
        async with asyncio.timeout(BEGUN_WITHIN_S):
            while True:
                with contextlib.suppress(Closed, TimeoutError, OSError, aiohttp.ClientError):
                    if self._socket is None:
                        self._socket = Socket(await self._http.ws_connect(f"{self._url}/ws"))
                        await self._socket.hello(self._token)
                    return str((await self._socket.ask("scan", 1, text, id=id))[1])
                # One that failed while it sent is not closed by itself.
                if self._socket is not None:
                    await self._socket.websocket.close()
                self._socket = None
                await asyncio.sleep(0.05)


async def kept_nothing(http: aiohttp.ClientSession, url: str) -> None:
    """The relay has told the house everything."""
    async with asyncio.timeout(BEGUN_WITHIN_S):
        while True:
            async with http.get(f"{url}/readyz") as answer:
                if await answer.json() == {"house": "online", "kept": 0}:
                    return
            await asyncio.sleep(0.05)


async def an_evening_at_a_relay(
    house: House, tangle: Tangle, port: int, program: str, folder: Path
) -> list[str]:
    """What went wrong at a relay that is killed again and again while the internet is gone."""
    tickets = sell(house)
    core, chance = house.fake.performances.live[1].core, random.Random("killed")
    url = f"http://127.0.0.1:{port}"
    relay = Program(
        program, "relay", "--server", tangle.url, "--token", await house.fake.device_token("relay"),
        "--performances", "1", "--port", str(port), "--memory", str(folder / "relay.db"),
    )  # fmt: skip
    # Every ticket is shown at two doors, in any order.
    shown = [ticket for ticket in tickets for _ in range(2)]
    chance.shuffle(shown)
    answers: list[tuple[str, str]] = []
    answered = asyncio.Semaphore(0)

    async def serve(lane: Lane) -> None:
        while shown:
            ticket = shown.pop()
            answers.append((ticket, await lane.scan(ticket)))
            answered.release()

    async with aiohttp.ClientSession() as http, running(relay):
        lanes = [
            Lane(http, url, await house.fake.device_token(f"door {one}")) for one in range(DOORS)
        ]
        # With the house: who they are is known here from now on.
        for lane in lanes:
            await lane.scan("ST1UNKNOWN")
        tangle.accepting = False
        tangle.cut()
        at_work = [asyncio.create_task(serve(lane)) for lane in lanes]
        for _ in range(KILLS):
            for _ in range(len(tickets) * 2 // (KILLS + 2)):
                await answered.acquire()
            await relay.kill()
            await relay.start()
        await asyncio.gather(*at_work)
        tangle.accepting = True
        await kept_nothing(http, url)
    wrong = []
    let_in = Counter(ticket for ticket, result in answers if result == "ADMITTED")
    for number, ticket in enumerate(tickets, 1):
        known = len(admissions(house, number))
        if let_in[ticket] != 1 or known != 1:
            wrong.append(f"{number} came in {let_in[ticket]} times, the house knows of {known}")
    if core.kept_scans != len(answers):
        wrong.append(f"{len(answers)} were answered, {core.kept_scans} were told")
    return wrong + [f"{number} is disputed" for number in core.disputed]


async def test_a_relay_killed_in_the_middle_of_the_evening_loses_no_scan(
    house: House, tangle: Tangle, port: int, tmp_path: Path
) -> None:
    assert await an_evening_at_a_relay(house, tangle, port, "console", tmp_path) == []


async def test_a_relay_that_answers_before_it_keeps_would_be_noticed(
    house: House, tangle: Tangle, port: int, tmp_path: Path
) -> None:
    wrong = await an_evening_at_a_relay(house, tangle, port, "tests.console.careless", tmp_path)
    assert any("came in 2 times" in told for told in wrong), wrong
    assert any("were answered" in told for told in wrong), wrong


async def an_evening_with_a_scanner(
    house: House, tangle: Tangle, program: str, folder: Path
) -> list[str]:
    """What went wrong with `strapontin scan` that is killed between two tickets."""
    tickets = sell(house)[:3]
    scanner = Program(
        program, "scan", "--server", tangle.url, "--token", await house.fake.device_token("door"),
        "--performance", "1", "--json", "--memory", str(folder / "door.db"),
    )  # fmt: skip

    async def scan(ticket: str) -> str:
        await scanner.type(ticket)
        return str(json.loads(await scanner.line())["result"])

    async with running(scanner):
        results = [await scan(tickets[0])]
        tangle.accepting = False
        tangle.cut()
        results.append(await scan(tickets[1]))
        await scanner.kill()
        await scanner.start()
        results += [await scan(ticket) for ticket in tickets]
        await scanner.kill()
    tangle.accepting = True
    async with running(scanner):
        assert scanner.process is not None and scanner.process.stdin is not None
        scanner.process.stdin.close()
        await asyncio.wait_for(scanner.process.wait(), BEGUN_WITHIN_S)
    known = [len(admissions(house, number)) for number in (1, 2, 3)]
    kept = house.fake.performances.live[1].core.kept_scans
    right = ["ADMITTED"] * 2 + ["ALREADY_USED"] * 2 + ["ADMITTED"]
    wrong = [] if results == right else [f"said {results}"]
    return wrong + ([] if (known, kept) == ([1] * 3, 4) else [f"known {known}, {kept} told"])


async def test_a_scanner_killed_between_two_tickets_loses_no_scan(
    house: House, tangle: Tangle, tmp_path: Path
) -> None:
    assert await an_evening_with_a_scanner(house, tangle, "console", tmp_path) == []


@pytest.mark.soak
async def test_a_scanner_that_answers_before_it_keeps_would_be_noticed(
    house: House, tangle: Tangle, tmp_path: Path
) -> None:
    wrong = await an_evening_with_a_scanner(house, tangle, "tests.console.careless", tmp_path)
    assert len(wrong) == 2, wrong
