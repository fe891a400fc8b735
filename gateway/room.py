"""One open waiting room, as a gateway knows it: its line, and who of those in it is connected here.

Owns the replica, made of the same events as its writer's, and what there is to report about its
visitors. A report that nobody may have heard is taken back; an event that does not fit is
followed by everything anew. Asks nobody and tells nobody: that is `gateway.rooms`.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Protocol

import msgspec

from engine.limits import MAX_ARRIVALS_PER_REPORT
from engine.waiting import Admitted, Arrived, Drawn, Phase, RoomNews, RoomReport
from engine.waiting_room import RoomEventInvalid, WaitingRoom, rebuild
from gateway import wire
from gateway.outbound import Outbound, framed
from gateway.pace import Pace
from gateway.session import Principal, now_ms

_encode = msgspec.msgpack.Encoder().encode


class Guest(Protocol):
    """What a room needs of a connection.

    `queues` are the performances in whose rooms it stands, `admissions` the ends of its
    admissions by the room's commitment.
    """

    out: Outbound
    principal: Principal
    queues: tuple[int, ...]
    admissions: Mapping[bytes, int]

    def error(self, code: str, detail: str) -> None: ...


class Room:
    """One open room, and those of its visitors who are connected here."""

    def __init__(self, number: int, line: WaitingRoom) -> None:
        self.number = number
        self.line = line
        self.performance = line.opened.performance
        self.commitment = line.opened.commitment
        self.head = 0  # events that there are, as far as was heard
        self.phase = Phase.SCHEDULED
        self.per_min = 0
        self.available = -1
        self._life = b""
        self.pace = Pace()
        self.guests: dict[bytes, list[Guest]] = {}
        self._distrusted = False  # an event did not fit: begin again
        self._whole = True  # the writer does not know who is connected here
        self._arriving: dict[bytes, None] = {}  # connected, and not in the line yet
        self._moves: dict[bytes, bool] = {}  # in the line, and came (True) or left since
        self._holding: set[bytes] = set()  # got a first hold
        self._took: dict[bytes, int] = {}  # of these, who is not reported yet: places

    # Visitors ----------------------------------------------------------------------

    def admitted_until_ms(self, visitor: bytes) -> int:
        standing = self.line.standing(visitor)
        return standing.expires_ms if standing is not None else 0

    def join(self, visitor: bytes, guest: Guest) -> None:
        guests = self.guests.setdefault(visitor, [])
        if guest not in guests:
            guests.append(guest)
        if len(guests) == 1:
            self._moves[visitor] = True

    def wait(self, visitor: bytes) -> None:
        """A visitor who is connected wants to be in the line, and is not."""
        self._arriving[visitor] = None

    def leave(self, visitor: bytes, guest: Guest) -> None:
        guests = self.guests.get(visitor, [])
        if guest in guests:
            guests.remove(guest)
        if not guests and self.guests.pop(visitor, None) is not None:
            self._arriving.pop(visitor, None)
            # Also who is not in the line yet: an arrival may be on its way to the writer.
            self._moves[visitor] = False

    def note_held(self, visitor: bytes, places: Callable[[], int]) -> None:
        """A visitor's hold succeeded; `places` counts them, when it is the first."""
        if visitor not in self._holding:
            self._holding.add(visitor)
            self._took[visitor] = places()

    def waiting(self) -> int:
        """Of those connected here, how many wait for their turn."""
        return sum(1 for visitor in self.guests if not self.admitted_until_ms(visitor))

    @property
    def is_complete(self) -> bool:
        return not self._distrusted and self.line.seq >= self.head

    # To and from the writer -----------------------------------------------------------

    def report(self, available: int, held: int) -> RoomReport:
        """What is to be told. `unheard` takes it back when the writer did not hear it."""
        in_line = self.line.standing
        moves, self._moves = self._moves, {}
        if self._whole:
            moves = dict.fromkeys(self.guests, True)
        took, self._took = self._took, {}
        latency_ms, shed = self.pace.take()
        return RoomReport(
            self.performance,
            0 if self._distrusted else self.number,
            0 if self._distrusted else self.line.seq,
            self._arrivals(),
            tuple([visitor for visitor, here in moves.items() if here and in_line(visitor)]),
            tuple([visitor for visitor, here in moves.items() if not here]),
            self._whole,
            tuple(took),
            sum(took.values()),
            available,
            held,
            latency_ms,
            shed,
        )

    def _arrivals(self) -> tuple[bytes, ...]:
        # By the writer's clock, not by this machine's.
        if self.phase is Phase.SCHEDULED or self.line.full:
            return ()
        return tuple(islice(self._arriving, MAX_ARRIVALS_PER_REPORT))

    def heard(self, news: RoomNews) -> None:
        """The writer has heard the last report; in a new life it knows nobody any more."""
        self._whole = self._life not in (b"", news.life)
        self._life = news.life

    def unheard(self, report: RoomReport) -> None:
        """Nobody knows whether the writer has heard this report."""
        self._whole = True
        for visitor in report.took:
            self._took.setdefault(visitor, 0)
        if report.took:
            self._took[report.took[0]] += report.places

    def apply(self, news: RoomNews) -> tuple[list[bytes], list[bytes]]:
        """Take what is new; those connected here who were (placed, admitted) by it.

        Raises RoomEventInvalid; the next report then asks for everything.
        """
        self.head = news.head
        self.phase, self.per_min, self.available = news.phase, news.per_min, news.available
        placed: dict[bytes, None] = {}
        admitted: dict[bytes, None] = {}
        events = news.events
        was_distrusted, self._distrusted = self._distrusted, True
        if events and news.seq == 0:
            self.line, events = rebuild(events[:1]), events[1:]
        elif was_distrusted or news.seq != self.line.seq:
            raise RoomEventInvalid(f"{self.line.seq} events are known, not {news.seq}")
        for event in events:
            self.line.apply(event)
            match event:
                case Arrived():
                    here = self._here(event.visitors)
                    placed.update(here)
                    for visitor in here:
                        self._arriving.pop(visitor, None)
                        self._moves[visitor] = True
                case Drawn():
                    placed.update(dict.fromkeys(filter(self.line.waits, self.guests)))
                case Admitted():
                    admitted.update(self._here(event.visitors))
        self._distrusted = False
        return list(placed), list(admitted)

    def _here(self, visitors: Iterable[bytes]) -> dict[bytes, None]:
        return dict.fromkeys(filter(self.guests.__contains__, visitors))

    # As it is told ---------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """The room in the answers of the API."""
        return {
            "phase": self.phase.value,
            "opens_ms": self.line.opened.opens_ms,
            "on_sale_ms": self.line.opened.on_sale_ms,
            "commitment": self.commitment.hex(),
        }

    def frame(self, phase: Phase | None = None) -> bytes:
        """The framed "room" frame now."""
        line = self.line
        return framed(
            _encode(
                wire.Room(
                    self.performance,
                    (phase or self.phase).value,
                    now_ms(),
                    line.opened.opens_ms,
                    line.opened.on_sale_ms,
                    line.arrived,
                    line.front,
                    self.per_min,
                    self.available,
                )
            )
        )

    def placed_frame(self, visitor: bytes) -> bytes:
        standing = self.line.standing(visitor)
        assert standing is not None
        return framed(
            _encode(wire.Placed(self.performance, visitor.hex(), standing.number, standing.place))
        )
