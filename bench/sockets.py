"""Commands a second over the websocket, to COMMIT and back, and how long an answer takes.

Owns the clients' behaviour and the count. The clients are tills (the box office
may send more per second than a buyer) that speak the documented protocol, and
share the machine with the server. Holding clients pick ten seats, one hold
command after the other, then give their basket back with one release, and so
on; a hold is counted when its "held" reply has arrived, releases are not
counted.

A closed loop asks again when the answer is there: it finds the most that can be
had. An open loop asks at a given rate whatever comes back, and counts an
answer's time from when the question was due: it finds how long people wait.
"""

import asyncio
import gc
import json
import time
import urllib.request
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Final
from urllib.parse import urlsplit

from bench.client import Client, Frame, connect
from bench.durable import WARM_UP_S
from bench.figures import Rate

CLIENTS: Final = 200
SEATS_A_BASKET: Final = 10
ANSWER_S: Final = 30.0
"""Silence for this long is a failure."""
WATCH_S: Final = 0.5
"""Time for the first picture of a house."""
_PACE_S: Final = 0.001
"""An open loop sends what has fallen due this often."""


def holding(performance: int, first_seat: int, first_id: int) -> Iterator[Frame]:
    """Without end: ten holds, then their release."""
    ids = count(first_id)
    while True:
        basket = next(ids).to_bytes(16, "big")
        for seat in range(first_seat, first_seat + SEATS_A_BASKET):
            yield ["hold", next(ids).to_bytes(16, "big"), performance, basket, [seat], []]
        yield ["release", next(ids).to_bytes(16, "big"), performance, basket, [], []]


def doomed(performance: int, sold: Sequence[int], first_id: int) -> Iterator[Frame]:
    """Without end: holds of seats that are sold."""
    for number in count(first_id):
        id = number.to_bytes(16, "big")
        yield ["hold", id, performance, id, [sold[number % len(sold)]], []]


class Till(Client):
    """Asks what `asks` gives, each answered as `good`, and notes when and how fast."""

    def __init__(self, host: str, token: str, asks: Iterator[Frame], good: str) -> None:
        super().__init__(host, token)
        self.answers: list[tuple[float, float, int]] = []
        """(when, seconds since it was due, 1) of each good answer, on `time.perf_counter`."""
        self._asks = asks
        self._good = good
        self._due_s: dict[bytes, float] = {}
        self._ends_s = 0.0
        self._settling: asyncio.Future[None] | None = None

    def ask_next(self, due_s: float) -> str:
        """Ask one thing, which was due then; its kind."""
        frame = next(self._asks)
        self._due_s[frame[1]] = due_s
        self.ask(frame)
        kind: str = frame[0]
        return kind

    def is_good(self, outcome: list[object]) -> bool:
        return outcome[0] == self._good

    async def give_back(self) -> None:
        """Ask until the basket is released: the next measurement finds every seat free."""
        while self.ask_next(time.perf_counter()) != "release":
            pass
        await self.settled()

    def begin(self, ends_s: float) -> None:
        """Closed loop from now on, to the first release (or answer, without baskets) after it."""
        self._ends_s = ends_s
        self.ask_next(time.perf_counter())

    async def settled(self) -> None:
        """Everything that was asked is answered. Raises TimeoutError, and what broke."""
        self._settling = asyncio.get_running_loop().create_future()
        if self._due_s:
            async with asyncio.timeout(ANSWER_S):
                await asyncio.wait((self._settling, self.over), return_when=asyncio.FIRST_COMPLETED)
        if self.over.done():
            await self.over

    def answered(self, frame: Frame) -> None:
        if frame[0] in ("snapshot", "delta", "lost"):
            return
        if frame[0] != "reply":
            raise RuntimeError(f"no reply but {frame!r}")
        now_s = time.perf_counter()
        took_s = now_s - self._due_s.pop(frame[1])
        told = frame[2][0]
        if self.is_good(frame[2]):
            self.answers.append((now_s, took_s, 1))
        elif told != "released":
            raise RuntimeError(f"{self._good!r} was expected, not {frame!r}")
        if self._settling is not None and not self._due_s and not self._settling.done():
            self._settling.set_result(None)
        if self._ends_s:
            if now_s < self._ends_s or (told == "held"):
                self.ask_next(now_s)
            else:
                self.finish()


async def _tills(url: str, token: str, scripts: Sequence[Iterator[Frame]], good: str) -> list[Till]:
    host = urlsplit(url).netloc
    tills = [Till(host, token, asks, good) for asks in scripts]
    await asyncio.gather(*(connect(till, url) for till in tills))
    gc.collect()
    gc.freeze()  # as the server does: its clients' answers are not to wait for a collection
    return tills


async def closed_loop(
    url: str,
    token: str,
    scripts: Sequence[Iterator[Frame]],
    seconds: float,
    good: str = "held",
    watching: int = 0,
) -> Rate:
    """One client a script, for `seconds` after a warm-up; the first may watch a performance.

    Raises:
        RuntimeError: An answer was not `good`, or a connection failed.
        TimeoutError: No answer for ANSWER_S.
    """
    tills = await _tills(url, token, scripts, good)
    if watching:
        tills[0].ask(["watch", watching, 0, 0])
        await asyncio.sleep(WATCH_S)
    begins_s = time.perf_counter() + WARM_UP_S
    for till in tills:
        till.begin(begins_s + seconds)
    async with asyncio.timeout(WARM_UP_S + seconds + ANSWER_S):
        await asyncio.gather(*(till.over for till in tills))
    answers = [answer for till in tills for answer in till.answers]
    return Rate.of(answers, begins_s, begins_s + seconds)


async def open_loop(
    url: str,
    token: str,
    scripts: Sequence[Iterator[Frame]],
    seconds: float,
    per_s: float,
    beside: Sequence[Iterator[Frame]] = (),
    beside_per_s: float = 0.0,
) -> Rate:
    """Holds that fall due at `per_s`, spread over one client a script; the rate of these.

    `beside` are doomed requests at a rate of their own, each to be refused.

    Raises:
        RuntimeError, TimeoutError: As `closed_loop`.
    """
    tills = await _tills(url, token, scripts, "held")
    others = await _tills(url, token, beside, "refused")
    begins_s = time.perf_counter() + WARM_UP_S
    ends_s = begins_s + seconds
    await asyncio.gather(pace(tills, per_s, ends_s), pace(others, beside_per_s, ends_s))
    await asyncio.gather(*(till.settled() for till in (*tills, *others)))
    await asyncio.gather(*(till.give_back() for till in tills))
    for till in (*tills, *others):
        till.finish()
    answers = [answer for till in tills for answer in till.answers]
    return Rate.of(answers, begins_s, ends_s)


async def pace(tills: Sequence[Till], per_s: float, ends_s: float) -> None:
    if not tills:
        return
    starts_s = time.perf_counter()
    asked = 0
    while (now_s := time.perf_counter()) < ends_s:
        due = 1 + int((now_s - starts_s) * per_s)  # the first at once
        while asked < due:
            till = tills[asked % len(tills)]
            if till.over.done():
                await till.over
            kind = till.ask_next(starts_s + asked / per_s)
            if kind == "release":  # it is not one of those that are due
                till.ask_next(starts_s + asked / per_s)
            asked += 1
        await asyncio.sleep(_PACE_S)


def spread(performance: int, seats: range, clients: int, first_id: int) -> list[Iterator[Frame]]:
    """Scripts of holding clients, each with seats and ids of its own."""
    each = len(seats) // clients
    return [
        holding(performance, seats[number * each], first_id + number * 10_000_000)
        for number in range(clients)
    ]


def login(url: str, name: str, password: str) -> str:
    """An operator's token."""
    request = urllib.request.Request(
        f"{url}/api/login",
        json.dumps({"name": name, "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        token: str = json.load(answer)["token"]
        return token
