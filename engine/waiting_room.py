"""A waiting room as its events make it: who came, in which order they are let in, who was.

Owns the order of the draw and every rule that the public log can be held against. Its writer
decides events, everybody applies them: the same events make the same room in the writer, in
each gateway and at home with `strapontin queue verify`. Knows nothing of who is connected, of
how many are let in at once, nor of the clock.

The draw. `Opened` publishes SHA-256 of a seed. At the draw the seed is published too, and

    key   = SHA-256(seed + SHA-256(all visitors who arrived before, in their order))
    order = those visitors, sorted by SHA-256(key + visitor)

The arrivals are part of the key, so that who knows the seed beforehand cannot pick a visitor
name that comes out first: every further arrival shuffles everybody again.

One arrival is one place in the line. Who was admitted and let the admission pass may arrive
again, behind everybody else.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Final

from msgspec import Struct

from engine.limits import ADMISSION_MS, MAX_ARRIVALS_PER_ROOM, MAX_VISITORS_PER_EVENT
from engine.waiting import (
    SEED_BYTES,
    VISITOR_BYTES,
    Admitted,
    Arrived,
    Closed,
    Drawn,
    Opened,
    Phase,
    RoomEvent,
)

MAX_NAMED: Final = 10
"""Visitors named when an event is refused; there may be more."""


class RoomEventInvalid(ValueError):
    """An event that cannot follow the events before it; nothing was changed."""


class Standing(Struct, frozen=True):
    """Where a visitor stands.

    `number` counts arrivals from 1; `place` counts from 0 in the order of admission, -1 until
    the draw; `expires_ms` is the end of the admission, 0 while waiting.
    """

    number: int
    place: int
    expires_ms: int


def visitor_of(performance: int, session: str) -> bytes:
    """The name of a session in this performance's rooms, which does not give the session away."""
    text = f"strapontin visitor\0{performance}\0{session}"
    return sha256(text.encode()).digest()[:VISITOR_BYTES]


def commitment_of(seed: bytes) -> bytes:
    """What is published of a seed before the draw."""
    return sha256(seed).digest()


def draw(seed: bytes, visitors: Sequence[bytes]) -> list[int]:
    """The order of the draw, as indexes into `visitors`."""
    key = sha256(seed + sha256(b"".join(visitors)).digest()).digest()
    lots = [sha256(key + visitor).digest() for visitor in visitors]
    return sorted(range(len(visitors)), key=lots.__getitem__)


class WaitingRoom:
    """One room. `apply` is the only way to change it.

    Attributes:
        opened: Its first event: the performance, the times, the commitment.
        seq: How many events were applied, `opened` included.
        at_ms: When the last of them was; the next must not be earlier.
        seed: Public from the draw on, empty before.
        drawn: How many took part in the draw; -1 before it.
        front: The first place that is neither admitted nor was passed over while away.
        admitted: Admissions so far.
        closed: Everybody may buy.
    """

    def __init__(self, opened: Opened) -> None:
        self.opened = opened
        self.seq = 1
        self.at_ms = 0
        self.seed = b""
        self.drawn = -1
        self.front = 0
        self.admitted = 0
        self.closed = False
        self._visitors: list[bytes] = []  # by number, from 0
        self._numbers: dict[bytes, int] = {}  # of the latest arrival
        self._places = array("I")  # by number, for those who were drawn
        self._expires: dict[bytes, int] = {}  # of the latest arrival, once admitted

    # Looking ----------------------------------------------------------------------

    @property
    def arrived(self) -> int:
        """How many ever came, those who came back behind everybody counted again."""
        return len(self._visitors)

    @property
    def full(self) -> bool:
        """No further arrival is taken."""
        return self.arrived >= MAX_ARRIVALS_PER_ROOM

    def phase(self, now_ms: int, available: int = -1, held: int = -1) -> Phase:
        """What is told to those who wait; places of -1 are not known."""
        if self.closed:
            return Phase.CLOSED
        if self.drawn < 0:
            return Phase.SCHEDULED if now_ms < self.opened.opens_ms else Phase.GATHERING
        if available == 0 and held >= 0:
            return Phase.FULL if held > 0 else Phase.SOLD_OUT
        return Phase.ADMITTING

    def place(self, visitor: bytes) -> int:
        """In the order of admission, from 0; -1 before the draw and for whom nobody knows."""
        number = self._numbers.get(visitor, -1)
        return -1 if number < 0 or self.drawn < 0 else self._place(number)

    def standing(self, visitor: bytes) -> Standing | None:
        """None: never came."""
        number = self._numbers.get(visitor)
        if number is None:
            return None
        return Standing(number + 1, self.place(visitor), self._expires.get(visitor, 0))

    def waits(self, visitor: bytes) -> bool:
        """Came, and was not admitted since."""
        return visitor in self._numbers and visitor not in self._expires

    def may_buy(self, visitor: bytes, now_ms: int) -> bool:
        return self.closed or self._expires.get(visitor, 0) > now_ms

    def may_arrive(self, visitor: bytes, now_ms: int) -> bool:
        """True for who never came, and for who was admitted and let it pass."""
        if self.closed or self.full or now_ms < self.opened.opens_ms:
            return False
        if visitor not in self._numbers:
            return True
        expires_ms = self._expires.get(visitor)
        return expires_ms is not None and expires_ms <= now_ms

    def _place(self, number: int) -> int:
        return self._places[number] if number < self.drawn else number

    # Deciding ---------------------------------------------------------------------

    def arrive(self, visitors: Iterable[bytes], at_ms: int) -> list[Arrived]:
        """Those of them who may arrive, once each, in events of a bounded size."""
        new = [visitor for visitor in dict.fromkeys(visitors) if self.may_arrive(visitor, at_ms)]
        del new[MAX_ARRIVALS_PER_ROOM - self.arrived :]
        return [Arrived(at_ms, chunk) for chunk in _chunks(new)]

    def admit(self, visitors: Iterable[bytes], at_ms: int) -> list[Admitted]:
        """Let in those of them who wait, in the order of their places. Only after the draw."""
        waiting = sorted(filter(self.waits, dict.fromkeys(visitors)), key=self.place)
        return [Admitted(at_ms, at_ms + ADMISSION_MS, chunk) for chunk in _chunks(waiting)]

    # Changing ---------------------------------------------------------------------

    def apply(self, event: RoomEvent) -> None:
        """Take the next event. Raises RoomEventInvalid."""
        wrong = self.disagreements(event)
        if wrong:
            raise RoomEventInvalid(f"event {self.seq + 1}: {'; '.join(wrong)}")
        # Nothing below this line can fail.
        self.seq += 1
        match event:
            case Arrived():
                for visitor in event.visitors:
                    self._numbers[visitor] = len(self._visitors)
                    self._visitors.append(visitor)
                    self._expires.pop(visitor, None)
            case Drawn():
                self._draw(event.seed)
            case Admitted():
                for visitor in event.visitors:
                    self._expires[visitor] = event.expires_ms
                last = self._place(self._numbers[event.visitors[-1]])
                self.front = max(self.front, last + 1)
                self.admitted += len(event.visitors)
            case Closed():
                self.closed = True
        if not isinstance(event, Opened):
            self.at_ms = event.at_ms

    def _draw(self, seed: bytes) -> None:
        self.seed = seed
        self.drawn = len(self._visitors)
        self._places = array("I", bytes(4 * self.drawn))
        for place, number in enumerate(draw(seed, self._visitors)):
            self._places[number] = place

    def disagreements(self, event: RoomEvent) -> list[str]:
        """Why this cannot be the next event; empty when it can."""
        if isinstance(event, Opened):
            return ["a room is opened once"]
        if self.closed:
            return ["the room was closed before"]
        wrong = []
        if event.at_ms < self.at_ms:
            wrong.append(f"it is of {event.at_ms}, before what came before it ({self.at_ms})")
        match event:
            case Arrived():
                wrong += self._wrong_arrivals(event)
            case Drawn():
                wrong += self._wrong_draw(event)
            case Admitted():
                wrong += self._wrong_admissions(event)
        return wrong

    def _wrong_arrivals(self, event: Arrived) -> Iterator[str]:
        yield from _wrong_list(event.visitors)
        if self.arrived + len(event.visitors) > MAX_ARRIVALS_PER_ROOM:
            yield f"more than {MAX_ARRIVALS_PER_ROOM} arrivals"
        early = (name for name in event.visitors if not self.may_arrive(name, event.at_ms))
        for _, visitor in zip(range(MAX_NAMED), early, strict=False):
            yield f"{visitor.hex()} may not arrive: too early, or it has a place"

    def _wrong_draw(self, event: Drawn) -> Iterator[str]:
        if self.drawn >= 0:
            yield "there was a draw before"
        if event.at_ms < self.opened.on_sale_ms:
            yield f"it was drawn at {event.at_ms}, before the sale ({self.opened.on_sale_ms})"
        if len(event.seed) != SEED_BYTES or commitment_of(event.seed) != self.opened.commitment:
            yield "the seed is not the one whose SHA-256 was published"

    def _wrong_admissions(self, event: Admitted) -> Iterator[str]:
        if self.drawn < 0:
            yield "there was no draw yet"
            return
        yield from _wrong_list(event.visitors)
        if event.expires_ms <= event.at_ms:
            yield "the admission is over before it begins"
        strangers = (name for name in event.visitors if not self.waits(name))
        for _, visitor in zip(range(MAX_NAMED), strangers, strict=False):
            yield f"{visitor.hex()} was not waiting"
        places = [self.place(visitor) for visitor in event.visitors]
        if any(later < earlier for earlier, later in pairwise(places)):
            yield "they are not admitted in the order of their places"


def rebuild(events: Iterable[RoomEvent]) -> WaitingRoom:
    """The room that these events make. Raises RoomEventInvalid."""
    following = iter(events)
    room = _first(next(following, None))
    for event in following:
        room.apply(event)
    return room


def verify(events: Iterable[RoomEvent]) -> list[str]:
    """What does not agree in a public log; empty when commitment, draw and order do.

    Nothing is said of what comes after the first event that does not agree. That somebody was
    passed over because they were away is not in the log: `WaitingRoom.front` less `admitted` is
    how many were, and whoever was there knows their place.
    """
    try:
        rebuild(events)
    except RoomEventInvalid as error:
        return [str(error)]
    return []


def _first(event: RoomEvent | None) -> WaitingRoom:
    if not isinstance(event, Opened):
        raise RoomEventInvalid("event 1: a room begins with its opening")
    if len(event.commitment) != sha256().digest_size:
        raise RoomEventInvalid("event 1: the commitment is not a SHA-256")
    if event.opens_ms >= event.on_sale_ms:
        raise RoomEventInvalid("event 1: the sale does not begin after the room opens")
    return WaitingRoom(event)


def _wrong_list(visitors: tuple[bytes, ...]) -> Iterator[str]:
    if not 0 < len(visitors) <= MAX_VISITORS_PER_EVENT:
        yield f"it names {len(visitors)} visitors; 1 to {MAX_VISITORS_PER_EVENT} are allowed"
    if any(len(visitor) != VISITOR_BYTES for visitor in visitors):
        yield f"a visitor is not {VISITOR_BYTES} bytes"
    if len(set(visitors)) != len(visitors):
        yield "a visitor is named twice"


def _chunks(visitors: list[bytes]) -> Iterator[tuple[bytes, ...]]:
    for begin in range(0, len(visitors), MAX_VISITORS_PER_EVENT):
        yield tuple(visitors[begin : begin + MAX_VISITORS_PER_EVENT])
