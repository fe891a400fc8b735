"""The values of a waiting room: what is recorded of it, and what gateways and its writer say.

Pure shapes; the rules are in `engine.waiting_room`. A visitor is 16 bytes, a digest of the
session and the performance: it names a place in the line without giving the session away, and
may be published. Places count from 0 in the order of admission; times are Unix milliseconds.

The events of a room, in order, are the room: its writer, every gateway and whoever verifies
the draw rebuild it from them.
"""

from enum import StrEnum
from typing import Final

from msgspec import Struct

VISITOR_BYTES: Final = 16
SEED_BYTES: Final = 32


class Phase(StrEnum):
    """Where a room stands. FULL: everything is sold or held, and holds may come back."""

    SCHEDULED = "scheduled"
    GATHERING = "gathering"
    ADMITTING = "admitting"
    FULL = "full"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"


class _Event(Struct, array_like=True, frozen=True):
    pass


class Opened(_Event, tag="opened", frozen=True):
    """A room is announced. `commitment` is SHA-256 of the seed of its draw.

    Arrivals are taken from `opens_ms` on and drawn at `on_sale_ms`.
    """

    performance: int
    opens_ms: int
    on_sale_ms: int
    commitment: bytes


class Arrived(_Event, tag="arrived", frozen=True):
    """Visitors who were not there before, in the order in which they came."""

    at_ms: int
    visitors: tuple[bytes, ...]


class Drawn(_Event, tag="drawn", frozen=True):
    """Everybody who arrived before this is shuffled by `seed`; who comes later stands behind."""

    at_ms: int
    seed: bytes


class Admitted(_Event, tag="admitted", frozen=True):
    """Visitors who may hold and buy until `expires_ms`."""

    at_ms: int
    expires_ms: int
    visitors: tuple[bytes, ...]


class Closed(_Event, tag="closed", frozen=True):
    """The room is over: whoever comes may buy."""

    at_ms: int


RoomEvent = Opened | Arrived | Drawn | Admitted | Closed


class RoomReport(Struct, array_like=True, frozen=True):
    """What one gateway knows of one room, since its last report where a span is meant.

    `seq` is how many of the room's events it has. `arrivals` are visitors connected to it
    whom the room's events do not name yet; `came` and `left` are those who are named and whose
    first connection opened, or whose last one closed. `whole` says that `came` lists everybody
    connected, as after a restart of either side. `took` are admitted visitors who got their
    first hold, `places` how many seats and places those holds have. `available` and `held`
    are -1 while the gateway has no live picture of the house. `latency_ms` is the 95th
    percentile of the time to answer a command of this performance (0: none), `shed` how many
    were not served.
    """

    performance: int
    seq: int
    arrivals: tuple[bytes, ...] = ()
    came: tuple[bytes, ...] = ()
    left: tuple[bytes, ...] = ()
    whole: bool = False
    took: tuple[bytes, ...] = ()
    places: int = 0
    available: int = -1
    held: int = -1
    latency_ms: float = 0.0
    shed: int = 0


class Report(Struct, array_like=True, frozen=True):
    """One gateway to the writer of the rooms, every EXCHANGE_MS. `gateway` names the sender."""

    gateway: bytes
    rooms: tuple[RoomReport, ...] = ()


class RoomNews(Struct, array_like=True, frozen=True):
    """What a gateway does not know yet of one room.

    `events` continue from the report's `seq`, at most MAX_NEWS_EVENTS; the rest comes with the
    next exchange. `life` changes when the writer was restarted and has forgotten who is
    connected. `per_min` is how many were admitted in the last minute.
    """

    performance: int
    seq: int
    events: tuple[RoomEvent, ...]
    phase: Phase
    life: bytes
    per_min: int = 0
    available: int = -1


class News(Struct, array_like=True, frozen=True):
    """The answer to a `Report`: every room that is not closed, and what is new of each."""

    rooms: tuple[RoomNews, ...] = ()
