"""How fast one performance answers just now: what the waiting room's admission follows.

Owns a coarse histogram of the last moments. The hot path adds to integers; a percentile is
read off a few times a second.
"""

from bisect import bisect_left
from collections import deque
from itertools import accumulate
from typing import Final

from engine.status import Buckets
from gateway.limits import LATENCY_WINDOWS

EDGES_MS: Final = tuple(0.5 * 1.2**step for step in range(60))
"""Upper edges, each a fifth above the one before: half a millisecond to 23 seconds."""
_PERCENTILE: Final = 0.95


class Pace:
    """Answering times and commands not served. A window is what came between two `take`s."""

    __slots__ = ("_past", "_shed", "_window")

    def __init__(self) -> None:
        self._window = Buckets(EDGES_MS)
        self._past: deque[list[int]] = deque(maxlen=LATENCY_WINDOWS - 1)
        self._shed = 0

    def answered(self, latency_s: float) -> None:
        self._window.add(1000 * latency_s)

    def not_served(self, commands: int) -> None:
        self._shed += commands

    def take(self) -> tuple[float, int]:
        """(95th percentile in ms over the last LATENCY_WINDOWS, 0 for none; sheds of this one)."""
        window, self._window = self._window.counts, Buckets(EDGES_MS)
        counts = [sum(column) for column in zip(window, *self._past, strict=True)]
        self._past.append(window)
        shed, self._shed = self._shed, 0
        total = sum(counts)
        if not total:
            return 0.0, shed
        rank = bisect_left(list(accumulate(counts)), _PERCENTILE * total)
        return EDGES_MS[min(rank, len(EDGES_MS) - 1)], shed
