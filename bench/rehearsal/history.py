"""What a rehearsal saw, in the order in which it saw it.

Owns the counting, and nothing that judges. Times are seconds since the rehearsal
began, on a clock that only goes forward.
"""

import time
from collections import Counter, deque
from typing import Final

from msgspec import Struct

RECENT_S: Final = 5.0
"""What the live view calls "now"."""
MAX_FAILURE_KINDS: Final = 100
"""Different failures counted apart; the rest are counted together."""


class Ticket(Struct, frozen=True):
    """A ticket as it was acknowledged. Seat or area is -1."""

    number: int
    seat: int
    area: int
    amount: int


class Sale(Struct, frozen=True):
    """An order that the server has said is confirmed. `bot` 0: sold before the bots came."""

    order: str
    bot: int
    tickets: tuple[Ticket, ...]
    at_s: float


class Turn(Struct):
    """A bot's time in the waiting room. `present` while it never left or lost its connection."""

    bot: int
    came_s: float
    number: int = 0
    place: int = -1
    admitted_s: float = -1.0
    present: bool = True


class Kill(Struct):
    """A fault as it was carried out; `good_s` is when a hold or a sale succeeded
    that was asked for after it."""

    victim: str
    pids: tuple[int, ...]
    at_s: float
    good_s: float = -1.0


class Weighing(Struct, frozen=True):
    """The resident memory of processes at a moment, in MiB by (what it is, pid)."""

    at_s: float
    mib: dict[tuple[str, int], float]


class Timing:
    """How long answers of one sort took, and when they came."""

    def __init__(self) -> None:
        self.answers: list[tuple[float, float]] = []
        self.recent: deque[tuple[float, float]] = deque()

    def add(self, at_s: float, took_s: float) -> None:
        self.answers.append((at_s, took_s))
        self.recent.append((at_s, took_s))
        while self.recent[0][0] < at_s - RECENT_S:
            self.recent.popleft()

    def now(self, at_s: float) -> list[float]:
        """Seconds of the answers of the last RECENT_S."""
        return [took for when, took in self.recent if when >= at_s - RECENT_S]


class Book:
    """Everything that was seen.

    Attributes:
        states: How many bots are where, by state.
        ends: How many visits ended how, by (kind, end).
        wanted, served: Honest buyers who went through with it and could have; who bought.
        holds, orders, scans: Timings of answers, of honest bots alone.
        held: When a hold succeeded.
        asked: Commands and orders sent, repeats left out.
        refusals, sheds, failures: By code, reason, kind of failure.
        repeats: Requests that had to be sent again.
        lags_s: How late the bots' own machine was.
        weighed: The memory of an own installation, over time.
        on_sale_s: When the sale begins.
    """

    def __init__(self) -> None:
        self._began_s = time.perf_counter()
        self.states: Counter[str] = Counter()
        self.ends: Counter[tuple[str, str]] = Counter()
        self.wanted = self.served = 0
        self.holds, self.orders, self.scans = Timing(), Timing(), Timing()
        self.held: list[float] = []
        self.asked = self.repeats = 0
        self.refusals: Counter[str] = Counter()
        self.sheds: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()
        self.surprises: Counter[str] = Counter()
        self.sales: list[Sale] = []
        self.admissions: list[tuple[int, float]] = []
        self.turns: list[Turn] = []
        self.kills: list[Kill] = []
        self.lags_s: list[float] = []
        self.waiting: list[tuple[float, int]] = []
        self.weighed: list[Weighing] = []
        self.on_sale_s = 0.0

    def begin(self) -> None:
        """The clock starts here."""
        self._began_s = time.perf_counter()

    @property
    def now_s(self) -> float:
        return time.perf_counter() - self._began_s

    def answered(self, timing: Timing, due_s: float, *, honest: bool) -> None:
        """An answer came; it counts from when its question was due."""
        if honest:
            now_s = self.now_s
            timing.add(now_s, now_s - due_s)

    def hold(self, due_s: float) -> None:
        """A hold succeeded that was asked for then."""
        self.held.append(self.now_s)
        self._good(due_s)

    def sell(self, order: str, bot: int, tickets: tuple[Ticket, ...], due_s: float = 0.0) -> None:
        """An order is confirmed whose payment was due then."""
        self.sales.append(Sale(order, bot, tickets, self.now_s))
        self._good(due_s)

    def _good(self, due_s: float) -> None:
        """Whatever was killed before this was asked for serves again."""
        now_s = self.now_s
        for kill in self.kills:
            if kill.good_s < 0 and due_s >= kill.at_s:
                kill.good_s = now_s

    def refused(self, code: str) -> None:
        self.refusals[code] += 1

    def failed(self, error: BaseException | str) -> None:
        """A connection or a request broke."""
        name = error if isinstance(error, str) else f"{type(error).__name__}: {error}"[:80]
        if name not in self.failures and len(self.failures) >= MAX_FAILURE_KINDS:
            name = "other"
        self.failures[name] += 1
