"""Ten thousand people look at one house while it is sold: how late they see it, at what cost.

Owns the watchers, the changes they are shown, and the peer: a bare loop that
writes the same bytes to as many sockets as often, with nothing else to do. A
change is late by the time from the moment its hold was asked for to the moment
a watcher has it. A hundred watchers read what they get; the others only take
it, as reading it would cost more than the server spends on sending.
"""

import asyncio
import multiprocessing
import resource
import time
import urllib.request
from array import array
from collections.abc import Iterator, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import psutil  # type: ignore[import-untyped]
import uvloop

from bench.client import Client, Frame, connect
from bench.durable import WARM_UP_S
from bench.figures import QUANTILES, Figures, quantiles_ms
from bench.gauges import Samples
from bench.sockets import Till, holding, pace
from engine.feed import Feed
from engine.limits import FEED_TICK_MS
from gateway.outbound import framed

READERS: Final = 100
CHANGERS: Final = 20
CHANGES_PER_S: Final = 1_000
STALLED: Final = 1_000
BARE_TICKS: Final = 20
"""Times that the peer sends to everybody."""
CONNECTING: Final = 100
"""Watchers that say hello at once."""
SETTLE_S: Final = 1.0
_HELD: Final = 1


class Here:
    """How many are there: `connected` since they were welcomed, `watching` since they see."""

    def __init__(self) -> None:
        self.connected = Samples()
        self.watching = Samples()
        self.welcomed = self.looking = 0

    async def note(self) -> None:
        """Every EVERY_S, until cancelled."""
        while True:
            now_s = time.perf_counter()
            self.connected.add(now_s, self.welcomed)
            self.watching.add(now_s, self.looking)
            await asyncio.sleep(self.connected.every_s)


class Watcher(Client):
    """Takes every frame; reads none."""

    def __init__(self, host: str, token: str, performance: int, here: Here) -> None:
        super().__init__(host, token)
        self._performance = performance
        self._here = here
        self.begun = False

    def watch(self) -> None:
        self.ask(["watch", self._performance, 0, 0])

    def answered(self, frame: Frame) -> None:
        if not self.begun:
            self.begun = True
            self._here.looking += 1

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self._here.welcomed -= self.ready.done()
        self._here.looking -= self.begun

    def data_received(self, data: bytes) -> None:
        if not self.begun:
            super().data_received(data)

    def stall(self) -> None:
        """Read no more: what is sent piles up, here and there."""
        self._transport.pause_reading()

    def resume(self) -> None:
        self._transport.resume_reading()


class Reader(Watcher):
    """Reads every frame, and notes how late each held seat is seen."""

    def __init__(
        self, host: str, token: str, performance: int, here: Here, asked_s: dict[int, float]
    ) -> None:
        super().__init__(host, token, performance, here)
        self.late_s: list[float] = []
        self._asked_s = asked_s

    def answered(self, frame: Frame) -> None:
        super().answered(frame)
        if frame[0] == "delta":
            now_s = time.perf_counter()
            for change in array("I", frame[5]):
                if change & 3 == _HELD:
                    self.late_s.append(now_s - self._asked_s[change >> 2])

    def data_received(self, data: bytes) -> None:
        Client.data_received(self, data)


def _noted(asks: Iterator[Frame], asked_s: dict[int, float]) -> Iterator[Frame]:
    for frame in asks:
        if frame[0] == "hold":
            asked_s[frame[4][0]] = time.perf_counter()
        yield frame


class Crowd:
    """The watchers of one performance, and a few tills that change its seats."""

    def __init__(self, url: str, token: str, performance: int, seats: int) -> None:
        self._url = url
        self._token = token
        self._performance = performance
        self._seats = seats
        self._asked_s: dict[int, float] = {}
        self._tills: list[Till] = []
        self.here = Here()
        self.readers: list[Reader] = []
        self.watchers: list[Watcher] = []

    async def come(self, watchers: int, told: Any) -> None:
        """Connect the watchers; `told` is called with how many are there."""
        allow_sockets()
        host = urlsplit(self._url).netloc
        self.readers = [
            Reader(host, self._token, self._performance, self.here, self._asked_s)
            for _ in range(READERS)
        ]
        self.watchers = [
            Watcher(host, self._token, self._performance, self.here)
            for _ in range(watchers - READERS)
        ]
        everybody: Sequence[Watcher] = (*self.readers, *self.watchers)
        for first in range(0, len(everybody), CONNECTING):
            some = everybody[first : first + CONNECTING]
            await asyncio.gather(*(connect(one, self._url) for one in some))
            self.here.welcomed += len(some)
            told(first + len(some))

    async def look(self) -> None:
        """Everybody watches."""
        for watcher in (*self.readers, *self.watchers):
            watcher.watch()
        await asyncio.sleep(SETTLE_S)

    async def changes(self, per_s: float, seconds: float) -> tuple[float, ...]:
        """Change so many seats a second; how late they were seen, at each of QUANTILES (ms)."""
        if not self._tills:
            host, each = urlsplit(self._url).netloc, self._seats // CHANGERS
            for number in range(CHANGERS):
                asks = holding(self._performance, number * each, (1 << 80) + (number << 40))
                till = Till(host, self._token, _noted(asks, self._asked_s), "held")
                await connect(till, self._url)
                self._tills.append(till)
        for watcher in (*self.readers, *self.watchers):
            # Who reads nothing does not see when the server asks whether anybody is there.
            watcher.show_life()
        holds_per_s = per_s / 2  # each seat that is held is also released
        await pace(self._tills, holds_per_s, time.perf_counter() + WARM_UP_S)
        for reader in self.readers:
            reader.late_s.clear()
        await pace(self._tills, holds_per_s, time.perf_counter() + seconds)
        await asyncio.gather(*(till.settled() for till in self._tills))
        await asyncio.sleep(SETTLE_S)
        return quantiles_ms([late for reader in self.readers for late in reader.late_s])

    def leave(self) -> None:
        for client in (*self._tills, *self.readers, *self.watchers):
            client.finish()


def allow_sockets() -> None:
    """As many open files as this process may have."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def snapshot_bytes(seats: int) -> int:
    """What a newcomer to a house is sent; any statuses take as much."""
    return len(framed(Feed(1, 1, bytes(seats), ()).snapshot_frame()))


def bytes_per_change(changes: int) -> float:
    """A delta of so many changed seats, by their number."""
    feed = Feed(1, 1, bytes(80_000), ())
    feed.publish([seat << 2 | _HELD for seat in range(0, 80_000, 80_000 // changes)][:changes])
    delta = feed.since(1, 0)
    assert delta is not None
    return len(framed(delta)) / changes


def sent_frames(url: str) -> int:
    """Frames that the gateway has sent to watchers."""
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("strapontin_feed_frames_total") and '"sent"' in line:
                return int(float(line.rsplit(" ", 1)[1]))
    return 0


def gateway() -> psutil.Process:
    """The gateway's process, among the descendants of this one."""
    for process in psutil.Process().children(recursive=True):
        if "".join(process.cmdline()).startswith("ray::GatewayProcess"):
            return process
    raise RuntimeError("no gateway runs under this process")


def cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


class Show:
    """The rounds of `bench fanout`, into `figures`."""

    def __init__(
        self, figures: Figures, url: str, token: str, performance: int, seats: int, seconds: float
    ) -> None:
        self._figures = figures
        self._url = url
        self._seconds = seconds
        self._gateway = gateway()
        self._crowd = Crowd(url, token, performance, seats)
        self._p99_ms = 0.0
        self._noting: asyncio.Task[None]

    async def open(self, watchers: int, told: Any) -> None:
        """Everybody comes, and is weighed while nothing happens."""
        self._noting = asyncio.create_task(self._crowd.here.note())
        before = self._gateway.memory_info().rss
        await self._crowd.come(watchers, told)
        await asyncio.sleep(SETTLE_S)
        grown = self._gateway.memory_info().rss - before
        self._figures.add("kib_per_idle_watcher", grown / 1024 / watchers)
        self._figures.add("snapshot_bytes", snapshot_bytes(80_000))
        self._figures.add(
            "bytes_per_change", bytes_per_change(CHANGES_PER_S * FEED_TICK_MS // 1000)
        )
        await self._crowd.look()

    async def changes(self) -> None:
        before_s, frames = cpu_s(self._gateway), sent_frames(self._url)
        late_ms = await self._crowd.changes(CHANGES_PER_S, self._seconds)
        frames = sent_frames(self._url) - frames
        spent_s = cpu_s(self._gateway) - before_s
        self._p99_ms = late_ms[QUANTILES.index(0.99)]
        self._figures.add_latencies("delivery", late_ms)
        self._figures.add("delivery_p50_ms", late_ms[QUANTILES.index(0.5)])
        self._figures.add("delivery_p99_ms", self._p99_ms)
        self._figures.add("sends_per_s", frames / (self._seconds + WARM_UP_S))
        self._figures.add("server_us_per_send", 1e6 * spent_s / frames)

    async def bare(self) -> None:
        tick_s = FEED_TICK_MS / 1000
        size = 30 + 4 * int(CHANGES_PER_S * tick_s)
        ticks = BARE_TICKS
        spent_s = await bare_send_s(len(self._crowd.watchers), size, ticks, tick_s)
        self._figures.add("bare_us_per_send", 1e6 * spent_s)
        self._figures.add_ratio("cpu_vs_raw_send", "server_us_per_send", "bare_us_per_send")

    async def stalled(self) -> None:
        lazy = self._crowd.watchers[:STALLED]
        for watcher in lazy:
            watcher.stall()
        before = self._gateway.memory_info().rss
        late_ms = await self._crowd.changes(CHANGES_PER_S, self._seconds)
        self._figures.add_latencies("delivery_beside_stalled", late_ms)
        self._figures.add("rss_growth", self._gateway.memory_info().rss / before)
        self._figures.add("p99_growth", late_ms[QUANTILES.index(0.99)] / self._p99_ms)
        for watcher in lazy:
            watcher.resume()
        await asyncio.sleep(SETTLE_S)

    def close(self) -> None:
        """Everybody leaves, and it is told who was there."""
        self._noting.cancel()
        here = self._crowd.here
        begins_s, ends_s = (here.connected.taken[at][0] for at in (0, -1))
        lines = {
            "connected": here.connected.steps(begins_s, ends_s),
            "watching": here.watching.steps(begins_s, ends_s),
        }
        self._figures.add_series("watchers", "watchers", ends_s - begins_s, lines)
        self._crowd.leave()


# The peer --------------------------------------------------------------------------


class _Bare(asyncio.Protocol):
    everyone: list[Any]
    expected: int
    complete: asyncio.Event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.everyone.append(transport)
        if len(self.everyone) == self.expected:
            self.complete.set()


def _serve_bare(sockets: int, size: int, ticks: int, tick_s: float, told: Any) -> None:
    async def serve() -> None:
        _Bare.everyone, _Bare.expected, _Bare.complete = [], sockets, asyncio.Event()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(_Bare, "127.0.0.1", 0, backlog=1024)
        told.put(server.sockets[0].getsockname()[1])
        await _Bare.complete.wait()
        frame = bytes(size)
        begins_s = time.process_time()
        for _ in range(ticks):
            tick_ends_s = loop.time() + tick_s
            for transport in _Bare.everyone:
                transport.write(frame)
            await asyncio.sleep(max(0.0, tick_ends_s - loop.time()))
        told.put((time.process_time() - begins_s) / (ticks * sockets))
        server.close()
        for transport in _Bare.everyone:
            transport.abort()

    allow_sockets()
    uvloop.run(serve())


def _take_everything(sockets: int, port: int) -> None:
    async def take() -> None:
        loop = asyncio.get_running_loop()
        for first in range(0, sockets, CONNECTING):
            many = min(CONNECTING, sockets - first)
            await asyncio.gather(
                *(loop.create_connection(asyncio.Protocol, "127.0.0.1", port) for _ in range(many))
            )
        await asyncio.Event().wait()

    allow_sockets()
    uvloop.run(take())


async def bare_send_s(sockets: int, size: int, ticks: int, tick_s: float) -> float:
    """Processor time that a bare loop in a process of its own spends on one send."""
    spawning = multiprocessing.get_context("spawn")
    told = spawning.Queue()
    serving = (sockets, size, ticks, tick_s, told)
    processes = [spawning.Process(target=_serve_bare, args=serving, daemon=True)]
    loop = asyncio.get_running_loop()

    async def next_told(within_s: float) -> float:
        answer: float = await loop.run_in_executor(None, told.get, True, within_s)
        return answer

    try:
        processes[0].start()
        port = await next_told(30.0)
        processes.append(
            spawning.Process(target=_take_everything, args=(sockets, port), daemon=True)
        )
        processes[1].start()
        return await next_told(120.0 + ticks * tick_s)
    finally:
        for process in processes:
            process.kill()
            process.join()
