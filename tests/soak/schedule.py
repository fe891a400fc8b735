"""Which faults, when and for how long: pure, and the same for the same seed.

Owns the mix. Faults come in bags that have every kind in them, at moments drawn evenly
over the run, so that some come together and some while another lasts.
"""

from enum import StrEnum
from random import Random
from typing import Final, NamedTuple

EVERY_S: Final = 4.5
"""A fault, on average: 333 in 25 minutes."""
QUIET_S: Final = 10.0
"""At the beginning; the caches are filled and sales are under way."""


class Kind(StrEnum):
    """What is done. The words before the first underscore say to whom."""

    PERFORMANCE_KILLED = "performance_killed"
    PERFORMANCES_KILLED = "performances_killed"  # all of them, the spare one too
    PERFORMANCE_PAUSED = "performance_paused"  # until a successor has taken over; then it wakes
    JOURNAL_KILLED = "journal_killed"
    GATEWAY_KILLED = "gateway_killed"
    DESK_KILLED = "desk_killed"
    # In the middle of an order over two performances: the desk, or the writer of one of them.
    DESK_STRUCK = "desk_struck"
    EVENING_STRUCK = "evening_struck"
    ROOMS_KILLED = "rooms_killed"
    DIRECTORY_KILLED = "directory_killed"
    DATABASE_KILLED = "database_killed"
    DATABASE_SLOW = "database_slow"
    DATABASE_REFUSING = "database_refusing"
    DATABASE_CUT = "database_cut"
    DATABASE_LOST = "database_lost"
    DISK_FULL = "disk_full"
    CLIENTS_CUT = "clients_cut"
    CLIENTS_REFUSED = "clients_refused"
    CLIENTS_LOST = "clients_lost"
    LANES_CUT = "lanes_cut"  # of gateway and desk to the performances
    LANES_LOST = "lanes_lost"
    JOURNAL_CUT = "journal_cut"  # of the performances to the journal
    JOURNAL_LOST = "journal_lost"


_MIX: Final[dict[Kind, tuple[int, float, float]]] = {
    # how many in a bag, and how long each lasts, in seconds
    Kind.PERFORMANCE_KILLED: (4, 0, 0),
    Kind.PERFORMANCES_KILLED: (1, 0, 0),
    Kind.PERFORMANCE_PAUSED: (2, 0, 0),
    Kind.JOURNAL_KILLED: (2, 0, 0),
    Kind.GATEWAY_KILLED: (2, 0, 0),
    Kind.DESK_KILLED: (1, 0, 0),
    Kind.DESK_STRUCK: (3, 0, 0),
    Kind.EVENING_STRUCK: (3, 0, 0),
    Kind.ROOMS_KILLED: (1, 0, 0),
    Kind.DIRECTORY_KILLED: (1, 0, 0),
    Kind.DATABASE_KILLED: (2, 0, 0),
    Kind.DATABASE_SLOW: (2, 2, 8),
    Kind.DATABASE_REFUSING: (1, 0.5, 4),
    Kind.DATABASE_CUT: (2, 0, 0),
    Kind.DATABASE_LOST: (1, 0.5, 4),
    Kind.DISK_FULL: (1, 2, 6),
    Kind.CLIENTS_CUT: (2, 0, 0),
    Kind.CLIENTS_REFUSED: (1, 0.5, 3),
    Kind.CLIENTS_LOST: (1, 1, 4),
    Kind.LANES_CUT: (2, 0, 0),
    Kind.LANES_LOST: (1, 1, 4),
    Kind.JOURNAL_CUT: (1, 0, 0),
    Kind.JOURNAL_LOST: (1, 1, 4),
}


class Fault(NamedTuple):
    """`at_s` since the clients began; `lasts_s` 0 for what happens in a moment."""

    at_s: float
    kind: Kind
    lasts_s: float


def schedule(seed: int, seconds: float, without: frozenset[Kind] = frozenset()) -> list[Fault]:
    """The faults of a run in their order; `without` those that cannot be done here."""
    chance = Random(f"{seed}/faults")
    count = max(1, round(seconds / EVERY_S))
    moments = sorted(chance.uniform(QUIET_S, max(QUIET_S, seconds)) for _ in range(count))
    faults: list[Fault] = []
    bag: list[Kind] = []
    for at_s in moments:
        if not bag:
            bag = [kind for kind, (many, _, _) in _MIX.items() for _ in range(many)]
            bag = [kind for kind in bag if kind not in without]
            chance.shuffle(bag)
        kind = bag.pop()
        _, shortest_s, longest_s = _MIX[kind]
        faults.append(Fault(at_s, kind, chance.uniform(shortest_s, longest_s)))
    return faults
