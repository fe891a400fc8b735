"""How many are let in at each tick: as many as the engine serves quickly, and the house can seat.

Owns the two measures that admission follows. The rate grows a little while commands are
answered in time and is halved when they are not (additive increase, multiplicative decrease),
so that it settles where the machine's own limit is. The places left bound how many may be inside
without a hold: whoever is let in should find something. Knows no visitor's place and no clock.
"""

from collections import OrderedDict, deque
from collections.abc import Iterable
from typing import Final

from engine.limits import MAX_PLACES_PER_HOLD

TICK_MS: Final = 500
TARGET_LATENCY_MS: Final = 100.0
"""The 95th percentile of answering a command: below, nobody feels that they wait."""
FIRST_PER_TICK: Final = 50.0
MIN_PER_TICK: Final = 1.0
"""While places are free somebody is always let in: this many are no load at all."""
MAX_PER_TICK: Final = 2_500.0
GROWTH_PER_TICK: Final = 10.0
UNDECIDED_MS: Final = 90_000
"""Who was let in longer ago and holds nothing does not hold others back any more."""
EXPECTED_PLACES_PER_HOLD: Final = 2.0
EXPECTED_WEIGHT_HOLDS: Final = 20
"""Holds that the expectation counts for beside the measured ones."""
MINUTE_MS: Final = 60_000


class Pace:
    """The admissions of one room. Times are Unix milliseconds and do not go back."""

    def __init__(self) -> None:
        self._per_tick = FIRST_PER_TICK
        self._rate_was_used = False
        # Since when, the oldest first. A dict would look for its first entry ever longer.
        self._undecided: OrderedDict[bytes, int] = OrderedDict()
        self._holds = EXPECTED_WEIGHT_HOLDS
        self._places = EXPECTED_WEIGHT_HOLDS * EXPECTED_PLACES_PER_HOLD
        self._minute: deque[tuple[int, int]] = deque()  # (when, how many)

    @property
    def per_tick(self) -> float:
        """What the latency allows."""
        return self._per_tick

    @property
    def places_per_hold(self) -> float:
        """Mean places of a first hold."""
        return self._places / self._holds

    def undecided(self, now_ms: int) -> int:
        """People inside who hold nothing yet, and were let in lately."""
        while self._undecided:
            visitor, since_ms = next(iter(self._undecided.items()))
            if since_ms > now_ms - UNDECIDED_MS:
                break
            del self._undecided[visitor]
        return len(self._undecided)

    def per_min(self, now_ms: int) -> int:
        """How many were let in during the last minute."""
        while self._minute and self._minute[0][0] <= now_ms - MINUTE_MS:
            self._minute.popleft()
        return sum(count for _, count in self._minute)

    def next(self, now_ms: int, latency_ms: float, shed: int, available: int) -> int:
        """How many may be let in at this tick.

        `latency_ms` (0: nothing was asked) and `shed` were measured since the tick before;
        `available` places are free, -1: not known, and then nobody is let in.
        """
        self._adapt(latency_ms, shed)
        if available <= 0:
            return 0
        undecided = self.undecided(now_ms)
        seats_for = int(available / self.places_per_hold) - undecided
        return max(int(MIN_PER_TICK), min(int(self._per_tick), seats_for))

    def admitted(self, visitors: Iterable[bytes], at_ms: int) -> None:
        """They were let in."""
        count = 0
        for visitor in visitors:
            self._undecided.pop(visitor, None)
            self._undecided[visitor] = at_ms
            count += 1
        self._rate_was_used = count >= int(self._per_tick)
        self._minute.append((at_ms, count))

    def took(self, visitors: tuple[bytes, ...], places: int) -> None:
        """They got their first holds, of so many places together; may be told twice."""
        new = [visitor for visitor in visitors if self._undecided.pop(visitor, None) is not None]
        if new:
            mean = min(places / len(visitors), MAX_PLACES_PER_HOLD)
            self._holds += len(new)
            self._places += max(mean, 1.0) * len(new)

    def _adapt(self, latency_ms: float, shed: int) -> None:
        if latency_ms > TARGET_LATENCY_MS or shed:
            self._per_tick = max(MIN_PER_TICK, self._per_tick / 2)
        elif self._rate_was_used:
            # A rate that was not reached was not tried out: it says nothing of a higher one.
            self._per_tick = min(MAX_PER_TICK, self._per_tick + GROWTH_PER_TICK)
        self._rate_was_used = False
