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

    `room` and `seq` say which room it has and how many of its events; 0 and 0: none yet.

    `arrivals` are visitors connected to it who may arrive (`WaitingRoom.may_arrive`), in the
    order in which they came, at most MAX_ARRIVALS_PER_REPORT; they are told again until an
    event names them. `came` are visitors with a number whose first connection here opened,
    `left` those told of before, as arrivals too, whose last one closed. `whole` says that
    `came` and `arrivals` are everybody connected here: in the first report of a room, after a
    failed exchange, and when `RoomNews.life` has changed.

    `took` are admitted visitors who got their first hold, `places` how many seats and places
    those holds have. `available` and `held` are -1 while the gateway has no live picture of
    the house. `latency_ms` is the 95th percentile of the time to answer a command of this
    performance (0: none), `shed` how many were not served.
    """

    performance: int
    room: int = 0
    seq: int = 0
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

    `room` numbers the rooms of a performance from 1. `events` begin after the first `seq`
    events; where `room` is not the report's they begin at the beginning, `seq` is 0, and the
    gateway makes a new `WaitingRoom` of them. `head` is how many there are; what is more than
    MAX_NEWS_EVENTS, or names more than MAX_NEWS_VISITORS, comes with the next exchanges.

    `life` changes when the writer has forgotten who is connected to this gateway. `per_min`
    is how many were admitted in the last minute, `available` as the reports say, -1: not known.
    """

    performance: int
    room: int
    seq: int
    head: int
    events: tuple[RoomEvent, ...]
    phase: Phase
    life: bytes
    per_min: int = 0
    available: int = -1


class News(Struct, array_like=True, frozen=True):
    """The answer to a `Report`: every room that is not closed, and what is new of each.

    A room that is not among them is over: everybody may buy.
    """

    rooms: tuple[RoomNews, ...] = ()


class StoredRoom(Struct, frozen=True):
    """A room as it is kept. The seed is secret until the draw."""

    performance: int
    number: int
    seed: bytes
