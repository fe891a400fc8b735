"""How long best available takes in a large house that is nearly sold.

Owns the question: a party of four, in a house of 20,000 seats of which four
fifths are sold. What is found is given back, so every question is asked of the
same house.
"""

import time
from random import Random
from typing import Final

from bench.core import FILLED, START_MS, Script, large_house
from bench.figures import quantiles_ms
from engine.commands import Channel, Held, HoldBest, Release

PARTY: Final = 4


def best_available_ms(seconds: float, seed: int) -> tuple[float, ...]:
    """At each of `figures.QUANTILES`, the time of one decision."""
    house = Script(large_house(), seed)
    house.write()
    live = house.live
    assert len(live.tickets) >= FILLED * live.house.seat_count
    random = Random(f"{seed}: the asking")  # other ids than those of the sales
    taken_s = []
    ends_s = time.perf_counter() + seconds
    while time.perf_counter() < ends_s:
        token = random.randbytes(16)
        ask = HoldBest(random.randbytes(16), token, token.hex(), Channel.WEB, PARTY)
        begins_s = time.perf_counter()
        found = live.apply(ask, START_MS)
        taken_s.append(time.perf_counter() - begins_s)
        assert isinstance(found, Held) and len(found.seats) == PARTY, found
        live.apply(Release(random.randbytes(16), token), START_MS)
        live.take()
    return quantiles_ms(taken_s)
