"""A performance watched: its journal folded as it grows, or as it once grew.

Live and replay are one thing. The journal is read from its beginning and counted by
`engine.tally`; live, everything is due at once and the end is asked for again every second; in
a replay events are due when the replay's clock reaches them. What no journal has comes from
the gateway's status, whose counters `Pulse` turns into rates and percentiles.

Knows no widget, no word and no clock: seconds are handed in.
"""

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from typing import Final

import msgspec

from console.client import Problem
from engine.commands import Event
from engine.journal import Page, Recorded
from engine.status import EngineStatus
from engine.tally import Minute, Tally

POLL_S: Final = 1.0
"""How often the journal's end, and the status, are asked for."""
MAX_EVENTS_PER_STEP: Final = 1_000
"""Events folded before keys and screen get their turn: some 20 ms."""
SPEEDS: Final = (1.0, 10.0, 60.0, 600.0, inf)
"""Of a replay; the last one is as fast as it can be read."""
MAX_REIGNS: Final = 20
"""Changes of the writer that are remembered, the newest."""
MAX_GATEWAYS: Final = 16
"""Gateways whose last counters are remembered; polls of one address may reach several."""
WINDOW_POLLS: Final = 10
"""Polls whose answers make up the percentiles."""
EDGE_REFUSALS: Final = ("seat_taken_from_feed", "not_admitted")
"""Outcomes that a gateway makes by itself: no journal has them."""
MAX_SAMPLES: Final = 240
"""Points of a line over time."""

_decode = msgspec.msgpack.Decoder(list[Event]).decode


@dataclass(frozen=True, slots=True)
class Reign:
    """A writer of the journal: from which event on, and when that was."""

    epoch: int
    seq: int
    at_ms: int


class Watching:
    """One performance's journal, folded as far as it is due.

    Attributes:
        tally: The figures so far.
        seq, head_seq: How far it is folded, and how long it is.
        first_ms, last_ms: When it begins and ends; 0 while that is not known.
        clock_ms: The moment that is shown, in a replay.
        speed: One of SPEEDS.
    """

    def __init__(
        self, ask: Callable[[int], Awaitable[Page]], *, replay: bool = False, speed: float = 60.0
    ) -> None:
        self._ask = ask
        self.replay = replay
        self.speed = speed
        self.paused = False
        self.head_seq = self.first_ms = self.last_ms = 0
        self.clock_ms = 0.0
        self._target_ms: float | None = None
        self._stepped_s: float | None = None
        self._asked_s = -inf
        self._begin()

    def _begin(self) -> None:
        self.tally = Tally()
        self.reigns: deque[Reign] = deque(maxlen=MAX_REIGNS)
        self.seq = 0
        self._read_seq = 0
        self._batches: deque[Recorded] = deque()
        self._events: deque[Event] = deque()

    # Where it stands -----------------------------------------------------------------

    @property
    def known(self) -> bool:
        """Has the server said anything yet?"""
        return self._asked_s > -inf

    @property
    def at_end(self) -> bool:
        return self.known and self.seq == self.head_seq

    @property
    def catching_up(self) -> bool:
        """On the way to the end (live) or to a moment that was asked for."""
        return self._target_ms is not None or not (self.replay or self.at_end)

    @property
    def progress(self) -> float:
        """How much of the journal is folded, 0 to 1."""
        return self.seq / self.head_seq if self.head_seq else float(self.known)

    @property
    def time_progress(self) -> float:
        """How much of the recorded time has passed, 0 to 1."""
        span_ms = self.last_ms - self.first_ms
        if span_ms <= 0:
            return float(self.known)
        return min(1.0, max(0.0, (self.clock_ms - self.first_ms) / span_ms))

    # Where it goes --------------------------------------------------------------------

    def go_live(self) -> None:
        """From here on, everything as soon as it is known."""
        self.replay = self.paused = False
        self._target_ms = None

    def play_again(self) -> None:
        """A replay from the beginning."""
        self.seek(self.first_ms)
        self.paused = False

    def seek(self, at_ms: float) -> None:
        """Show a moment of the past. Time that was passed already is folded once more."""
        if not self.replay:
            self.replay, self.paused = True, True
        at_ms = min(max(at_ms, self.first_ms), self.last_ms)
        if at_ms < self.tally.last_ms:
            self._begin()
        self._target_ms = self.clock_ms = at_ms

    # Step by step ----------------------------------------------------------------------

    async def step(self, now_s: float) -> bool:
        """Fold what is due, or read one page; True when there is more to do at once.

        Raises:
            ClientError: The journal cannot be read now; the next step tries again.
        """
        elapsed_ms = 0.0 if self._stepped_s is None else 1_000 * (now_s - self._stepped_s)
        self._stepped_s = now_s
        due_ms = self._due_ms(elapsed_ms)
        if self._fold(due_ms):
            return True
        if not self._events and (self._read_seq < self.head_seq or self._wants_news(now_s)):
            self._asked_s = now_s
            folding = self.tally
            page = await self._ask(self._read_seq)
            if self.tally is not folding:
                return True  # sent back meanwhile: this page does not follow the beginning
            self._take(page)
            if self._batches:
                return True
        self._arrive()
        return False

    def _wants_news(self, now_s: float) -> bool:
        if not self.known:
            return True
        return not self.replay and not self.paused and now_s - self._asked_s >= POLL_S

    def _due_ms(self, elapsed_ms: float) -> float:
        if self._target_ms is not None:
            return self._target_ms
        if self.paused:
            return -inf
        if not self.replay:
            return inf
        if self.speed == inf or not self.known:
            self.clock_ms = max(self.first_ms, self.tally.last_ms)
            return inf
        self.clock_ms = max(self.clock_ms, self.first_ms) + elapsed_ms * self.speed
        self.clock_ms = min(self.clock_ms, self.last_ms)
        return self.clock_ms

    def _fold(self, due_ms: float) -> bool:
        """Fold what is due of what was read; True when it is too much for one step."""
        events, fold = self._events, self.tally.fold
        for _ in range(MAX_EVENTS_PER_STEP):
            if not events and not self._open_batch():
                return False
            if events[0].at_ms > due_ms:
                return False
            fold(events.popleft())
            self.seq += 1
        return True

    def _open_batch(self) -> bool:
        if not self._batches:
            return False
        batch = self._batches.popleft()
        try:
            self._events.extend(_decode(batch.events))
        except (msgspec.MsgspecError, ValueError) as error:
            raise Problem(200, "unexpected", f"event {batch.prev_seq + 1}: {error}") from error
        if not self.reigns or self.reigns[-1].epoch != batch.epoch:
            begun_ms = self._events[0].at_ms if self._events else batch.at_ms
            self.reigns.append(Reign(batch.epoch, batch.prev_seq + 1, begun_ms))
        return bool(self._events)

    def _take(self, page: Page) -> None:
        for batch in page.batches:
            if batch.prev_seq != self._read_seq:
                detail = f"after event {self._read_seq} come those after {batch.prev_seq}"
                raise Problem(200, "unexpected", detail)
            self._read_seq = batch.seq
            self._batches.append(batch)
        self.head_seq = page.head_seq
        self.first_ms, self.last_ms = page.first_ms, page.last_ms

    def _arrive(self) -> None:
        """Nothing more is due: the moment that was asked for is reached."""
        self._target_ms = None
        if not self.replay or self.at_end:
            self.clock_ms = self.tally.last_ms


# What no journal has ------------------------------------------------------------------


class Latency(msgspec.Struct, frozen=True):
    """Answering times since the gateway's start, counted between edges."""

    edges_s: tuple[float, ...]
    counts: tuple[int, ...]


class Room(msgspec.Struct, frozen=True):
    """A waiting room, as one gateway knows it; `available` is -1 while that is not known."""

    phase: str
    opens_ms: int
    on_sale_ms: int
    arrived: int
    front: int
    per_min: int
    available: int
    waiting_here: int


class Status(msgspec.Struct, frozen=True):
    """`GET /api/status`: counters of one gateway, and what the parts behind it say."""

    gateway: str
    at_ms: int
    now: dict[str, float]
    outcomes: dict[str, int]
    sheds: dict[str, int]
    frames_refused: dict[str, int]
    batch_retries: int
    latency: Latency
    room: Room | None = None
    engine: EngineStatus | None = None


class Pulse:
    """The status over time.

    Attributes:
        status: The last one, None before the first.
        per_s: Commands answered a second, between the last two of the same gateway.
        turned_back: What the gateways refused or shed by themselves since this began to look,
            by reason.
        p95_ms: The 95th percentile at each poll that had answers to count, the newest last.
    """

    def __init__(self) -> None:
        self.status: Status | None = None
        self.per_s = 0.0
        self.turned_back: Counter[str] = Counter()
        self.p95_ms: deque[float] = deque(maxlen=MAX_SAMPLES)
        self._before: dict[str, Status] = {}
        self._windows: deque[list[int]] = deque(maxlen=WINDOW_POLLS)

    def take(self, status: Status) -> None:
        """A new status. The first of each gateway only says where its counters begin."""
        before = self._before.pop(status.gateway, None)
        if len(self._before) >= MAX_GATEWAYS:
            del self._before[next(iter(self._before))]
        self._before[status.gateway] = self.status = status
        if before is None or status.at_ms <= before.at_ms:
            return
        span_s = (status.at_ms - before.at_ms) / 1_000
        self.per_s = (sum(status.outcomes.values()) - sum(before.outcomes.values())) / span_s
        self.turned_back += _turned_back(status) - _turned_back(before)
        window = [
            now - then
            for now, then in zip(status.latency.counts, before.latency.counts, strict=True)
        ]
        self._windows.append(window)
        if sum(window):
            p95_s = percentile_s(status.latency.edges_s, window, 0.95)
            assert p95_s is not None
            self.p95_ms.append(1_000 * p95_s)

    def percentile_ms(self, share: float) -> float | None:
        """Over the last WINDOW_POLLS; None when nothing was answered in them."""
        if self.status is None or not self._windows:
            return None
        counts = [sum(column) for column in zip(*self._windows, strict=True)]
        found = percentile_s(self.status.latency.edges_s, counts, share)
        return None if found is None else 1_000 * found


def _turned_back(status: Status) -> Counter[str]:
    made_here = {name: status.outcomes.get(name, 0) for name in EDGE_REFUSALS}
    return Counter(status.sheds) + Counter(status.frames_refused) + Counter(made_here)


def percentile_s(edges_s: Sequence[float], counts: Sequence[int], share: float) -> float | None:
    """Below which time this share of the values is, even spread within each bucket assumed.

    `counts` has one more than `edges_s`: what is over the last edge counts as that.
    """
    total = sum(counts)
    if not total:
        return None
    wanted = share * total
    sums = list(accumulate(counts))
    bucket = bisect_left(sums, wanted)
    if bucket >= len(edges_s):
        return edges_s[-1]
    below = sums[bucket - 1] if bucket else 0
    low = edges_s[bucket - 1] if bucket else 0.0
    part = (wanted - below) / counts[bucket] if counts[bucket] else 1.0
    return low + part * (edges_s[bucket] - low)


# For the plot -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Curve:
    """Tickets sold over time: `counts` of `width_ms` each, from `start_ms` on."""

    start_ms: int
    width_ms: int
    counts: tuple[int, ...]

    @property
    def peak(self) -> int:
        return max(self.counts, default=0)

    @property
    def end_ms(self) -> int:
        return self.start_ms + self.width_ms * len(self.counts)


MINUTE_MS: Final = 60_000


def last_minutes(tally: Tally, until_ms: int, minutes: int) -> Curve:
    """The minutes that end with the one `until_ms` is in."""
    told: list[Minute] = tally.last_minutes(until_ms, minutes)
    start_ms = (until_ms // MINUTE_MS - minutes + 1) * MINUTE_MS
    return Curve(start_ms, MINUTE_MS, tuple([minute.sold for minute in told]))


def whole_sale(tally: Tally, until_ms: int, columns: int) -> Curve:
    """From the first sale to `until_ms`, in `columns` stretches at most."""
    series = tally.sales
    counts = list(series.counts)
    if not counts:
        return Curve(until_ms, MINUTE_MS, ())
    quiet = (until_ms - series.start_ms) // series.width_ms + 1 - len(counts)
    # A sale that ended long ago is shown up to its end, with a little of the quiet after it.
    counts += [0] * min(max(quiet, 0), len(counts) // 10 + 1)
    together = -(-len(counts) // max(columns, 1))
    summed = [sum(counts[at : at + together]) for at in range(0, len(counts), together)]
    return Curve(series.start_ms, series.width_ms * together, tuple(summed))
