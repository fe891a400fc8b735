"""What a bot wants and does next, given what it hears: pure, and the same for the same seed.

Owns the behaviour. A bot is a generator: it yields actions and is sent what came of
each. It has no clock, no socket and no ids: it names a hold or an order by a number
of its own, and `bench.rehearsal.crowd` makes the real ids, waits, and speaks. Every
choice comes from a `Random` of the bot's own, seeded by the scenario's seed and the
bot's number, so that nobody's luck depends on who was served first.
"""

from collections.abc import Generator, Sequence
from enum import StrEnum
from math import hypot
from random import Random
from typing import Final

from msgspec import Struct

from bench.rehearsal.scenario import Kind, Scenario, Shape, Wants
from engine.commands import SeatStatus

LATE_MS: Final = 1_500
"""Who pays late comes this long after the time is over."""
MAX_DECLINES: Final = 3
MAX_MOMENTS: Final = 5
"""Reloads or reconnections one after the other."""
_PROBES: Final = 64


class End(StrEnum):
    """How a bot's visit ended."""

    BOUGHT = "bought"
    ABANDONED = "abandoned"  # walked away with seats in the basket
    TOO_LATE = "too_late"  # came to pay when the time was over, as it meant to
    NOT_PAID = "not_paid"  # its card was declined for good, as it meant to be
    SOLD_OUT = "sold_out"
    GAVE_UP = "gave_up"  # refused too often
    ASKED = "asked"  # a bot that only asks for what is sold
    ENTERED = "entered"
    TURNED_AWAY = "turned_away"  # at the doors, with a good ticket
    UNFINISHED = "unfinished"  # still there when the rehearsal was over


MEANT: Final = frozenset({End.ABANDONED, End.TOO_LATE, End.NOT_PAID, End.ASKED})
"""Ends that say nothing of how well a buyer was served."""


class Clicks(StrEnum):
    """ONCE; TWICE with the same id; or twice, AGAIN with another id."""

    ONCE = "once"
    TWICE = "twice"
    AGAIN = "again"


# What a bot may do -------------------------------------------------------------------


class Think(Struct, frozen=True):
    """Take one's time, in people's seconds."""

    seconds: float


class StayUntil(Struct, frozen=True):
    """Wait for a moment of the server's clock."""

    at_ms: int


class Queue(Struct, frozen=True):
    """Go through the waiting room: heard "admitted" or "sold_out".

    `losses` are people's seconds between lost connections while waiting.
    """

    losses: tuple[float, ...] = ()


class Look(Struct, frozen=True):
    """See the house: heard "seen"."""


class Choose(Struct, frozen=True):
    """Hold these seats: heard "held" or "refused"."""

    hold: int
    seats: tuple[int, ...]
    clicks: Clicks = Clicks.ONCE


class TakeBest(Struct, frozen=True):
    """Hold the best places there are: heard "held" or "refused"."""

    hold: int
    size: int
    clicks: Clicks = Clicks.ONCE


class Release(Struct, frozen=True):
    """Give everything back: heard "released" or "refused"."""

    hold: int


class Basket(Struct, frozen=True):
    """Look at the hold: heard "basket" or "refused"."""

    hold: int


class Reload(Struct, frozen=True):
    """Load the page again, and connect anew: heard "here"."""


class Reconnect(Struct, frozen=True):
    """Lose the connection, and come back: heard "here"."""


class Place(Struct, frozen=True):
    """Order what the hold has: heard "placed" or "refused"."""

    order: int
    hold: int
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...]


class Pay(Struct, frozen=True):
    """Pay by card: heard "sold" or "refused"."""

    order: int
    attempt: int
    declined: bool = False
    clicks: Clicks = Clicks.ONCE


class Enter(Struct, frozen=True):
    """Present tickets at the doors: heard "scanned", `admitted` of them with success.

    `order` -1: the ticket that this bot was given beforehand. `copies` are presented at
    the same moment at different gates.
    """

    order: int
    copies: int


Action = (
    Think
    | StayUntil
    | Queue
    | Look
    | Choose
    | TakeBest
    | Release
    | Basket
    | Reload
    | Reconnect
    | Place
    | Pay
    | Enter
)


class Heard(Struct, frozen=True):
    """What came of an action. `at_ms` is when, by the server's clock."""

    what: str
    code: str = ""
    seats: tuple[int, ...] = ()
    areas: tuple[tuple[int, int], ...] = ()
    expires_ms: int = 0
    at_ms: int = 0
    statuses: bytes | bytearray = b""
    admitted: int = 0


Script = Generator[Action, Heard, End]


class Hall:
    """What bots know of a seating plan. `runs` are neighbours side by side, the nearest first."""

    def __init__(
        self,
        runs: Sequence[Sequence[int]],
        x: Sequence[float],
        y: Sequence[float],
        focal: tuple[float, float],
    ) -> None:
        def far(run: Sequence[int]) -> float:
            middle = run[len(run) // 2]
            return hypot(x[middle] - focal[0], y[middle] - focal[1])

        self.runs = sorted((tuple(run) for run in runs if run), key=far)

    def places(
        self, statuses: bytes | bytearray, size: int, chance: Random
    ) -> tuple[int, ...] | None:
        """Free seats side by side, rather near the stage; None where there are none."""
        if not self.runs:
            return None
        first = int(len(self.runs) * chance.random() ** 2)
        spare: tuple[int, ...] | None = None
        for step in range(len(self.runs)):
            run = self.runs[(first + step) % len(self.runs)]
            at = 0
            while at < len(run):
                if statuses[run[at]] != SeatStatus.AVAILABLE:
                    at += 1
                    continue
                end = at
                while end < len(run) and statuses[run[end]] == SeatStatus.AVAILABLE:
                    end += 1
                if end - at == size or end - at > size + 1:
                    return run[at : at + size]
                if end - at > size and spare is None:
                    spare = run[at : at + size]
                at = end
        return spare

    def sold(self, statuses: bytes | bytearray, chance: Random) -> int:
        """A seat that is sold; -1 where none is found quickly."""
        for _ in range(_PROBES):
            seat = chance.randrange(len(statuses))
            if statuses[seat] == SeatStatus.SOLD:
                return seat
        return -1


class Bot:
    """One visitor. `due` is when it comes, as a share of the rehearsal.

    `surprises` are things that must not happen, noticed by the bot itself.
    """

    def __init__(self, number: int, kind: Kind, due: float, seed: int, queues: bool) -> None:
        self.number = number
        self.kind = kind
        self.due = due
        self.chance = Random(f"{seed}/{number}")
        self.size = self.chance.choice(kind.party)
        self.abandons = self._happens(kind.abandon)
        self.late = self.chance.choice(("order", "pay")) if self._happens(kind.pay_late) else ""
        self.declines = (
            self.chance.randint(1, MAX_DECLINES) if self._happens(kind.fail_to_pay) else 0
        )
        self.pays_in_the_end = not self.declines or self._happens(0.5)
        self.surprises: list[str] = []
        self._queues = queues
        self._hold = 0
        self._seats: tuple[int, ...] = ()
        self._areas: tuple[tuple[int, int], ...] = ()
        self._expires_ms = 0

    @property
    def means_to_buy(self) -> bool:
        """An honest buyer who goes through with it: whether it could is the house's doing."""
        meant = not self.abandons and not self.late and self.pays_in_the_end
        return self.kind.honest and meant and self.kind.wants in (Wants.SEATS, Wants.BEST)

    def visit(self, hall: Hall) -> Script:
        """The whole visit; what is returned is how it ended."""
        match self.kind.wants:
            case Wants.SOLD:
                return self._ask_for_sold(hall)
            case Wants.ENTER:
                return self._come_in()
            case _:
                return self._buy(hall)

    # Buying ----------------------------------------------------------------------

    def _buy(self, hall: Hall) -> Script:
        yield from self._moments()
        if self._queues:
            heard = yield Queue(self._losses())
            if heard.what != "admitted":
                return End.SOLD_OUT
        if (ended := (yield from self._take(hall))) is not None:
            return ended
        if self._happens(self.kind.change_mind):
            yield self._thought()
            yield Release(self._hold)
            if (ended := (yield from self._take(hall))) is not None:
                return ended
        yield from self._moments()
        yield self._thought()
        if self.abandons:
            return End.ABANDONED
        return (yield from self._check_out())

    def _take(self, hall: Hall) -> Generator[Action, Heard, End | None]:
        """Seats in the basket; how it ended where there are none."""
        self._hold += 1
        for _ in range(self.kind.tries):
            yield self._thought()
            clicks = self._clicks()
            if self.kind.wants is Wants.BEST:
                heard = yield TakeBest(self._hold, self.size, clicks)
            else:
                seen = yield Look()
                seats = hall.places(seen.statuses, self.size, self.chance)
                if seats is not None:
                    heard = yield Choose(self._hold, seats, clicks)
                elif SeatStatus.AVAILABLE in seen.statuses:
                    heard = yield TakeBest(self._hold, self.size, clicks)
                else:
                    return End.SOLD_OUT
            if heard.what == "held":
                self._seats, self._areas = heard.seats, heard.areas
                self._expires_ms = heard.expires_ms
                return None
            if heard.code == "none_left":
                return End.SOLD_OUT
            if heard.code == "not_admitted" and self._queues:
                heard = yield Queue()
                if heard.what != "admitted":
                    return End.SOLD_OUT
        return End.GAVE_UP

    def _check_out(self) -> Script:
        if self.late == "order":
            yield StayUntil(self._expires_ms + LATE_MS)
        placed = yield Place(1, self._hold, self._seats, self._areas)
        if placed.what != "placed":
            if self.late or placed.at_ms > self._expires_ms:
                return End.TOO_LATE
            return End.GAVE_UP
        if self.late == "order":
            self.surprises.append("sold_after_the_hold_ended")
        if self.late == "pay":
            yield StayUntil(placed.expires_ms + LATE_MS)
        for attempt in range(1, self.declines + 1):
            heard = yield Pay(1, attempt, declined=True)
            if heard.what == "sold":
                self.surprises.append("sold_by_a_declined_card")
            yield self._thought()
        if not self.pays_in_the_end:
            return End.NOT_PAID
        heard = yield Pay(1, self.declines + 1, clicks=self._clicks())
        if heard.what != "sold":
            if self.late or heard.at_ms > placed.expires_ms:
                return End.TOO_LATE
            return End.GAVE_UP
        if self.late == "pay":
            self.surprises.append("sold_after_the_order_ended")
        if self._happens(self.kind.enter):
            yield self._thought()
            yield from self._present(1)
        return End.BOUGHT

    def _moments(self) -> Generator[Action, Heard, None]:
        """Reloads and lost connections; a basket must be there afterwards as before."""
        happened = False
        for chance, action in (
            (self.kind.reload, Reload()),
            (self.kind.reconnect, Reconnect()),
        ):
            for _ in range(MAX_MOMENTS):
                if not self._happens(chance):
                    break
                yield self._thought()
                yield action
                happened = True
        if happened and self._hold:
            heard = yield Basket(self._hold)
            same = sorted(heard.seats) == sorted(self._seats)
            if not same and heard.at_ms < self._expires_ms:
                self.surprises.append("basket_changed")

    # Others ----------------------------------------------------------------------

    def _ask_for_sold(self, hall: Hall) -> Script:
        for _ in range(self.kind.asks):
            yield self._thought()
            seen = yield Look()
            seat = hall.sold(seen.statuses, self.chance)
            if seat >= 0:
                self._hold += 1
                heard = yield Choose(self._hold, (seat,))
                if heard.what == "held":
                    self.surprises.append("held_what_was_sold")
        return End.ASKED

    def _come_in(self) -> Script:
        yield self._thought()
        return (yield from self._present(-1))

    def _present(self, order: int) -> Script:
        copies = 2 if self._happens(self.kind.copied) else 1
        heard = yield Enter(order, copies)
        return End.ENTERED if heard.admitted else End.TURNED_AWAY

    # Chance ----------------------------------------------------------------------

    def _happens(self, chance: float) -> bool:
        return self.chance.random() < chance

    def _losses(self) -> tuple[float, ...]:
        """When the connection is lost in the waiting room, by bad luck or by pressing reload."""
        found: list[float] = []
        chance = max(self.kind.reload, self.kind.reconnect)
        while len(found) < MAX_MOMENTS and self._happens(chance):
            found.append(self._thought().seconds)
        return tuple(found)

    def _thought(self) -> Think:
        return Think(self.chance.uniform(*self.kind.think_s))

    def _clicks(self) -> Clicks:
        if not self._happens(self.kind.double_click):
            return Clicks.ONCE
        return self.chance.choice((Clicks.TWICE, Clicks.AGAIN))


def cast(scenario: Scenario, seed: int, queues: bool) -> list[Bot]:
    """All bots of a scenario in the order in which they come, numbered from 1."""
    chance = Random(f"{seed}/arrivals")
    dues = sorted(_due(scenario, chance) for _ in range(scenario.bots))
    kinds: list[Kind] = []
    for kind in scenario.kinds:
        kinds += [kind] * round(kind.share * scenario.bots)
    kinds = (kinds + [scenario.kinds[0]] * scenario.bots)[: scenario.bots]
    chance.shuffle(kinds)
    return [
        Bot(number, kind, due, seed, queues)
        for number, (kind, due) in enumerate(zip(kinds, dues, strict=True), 1)
    ]


def _due(scenario: Scenario, chance: Random) -> float:
    """A moment of arrival, as a share of the rehearsal."""
    at = chance.random()
    match scenario.arrivals.shape:
        case Shape.BURST:
            at = at**2
        case Shape.EVEN:
            pass
        case Shape.WAVE:
            # The mean of two: most in the middle, few at both ends, as people come to an evening.
            at = (at + chance.random()) / 2
    return at * scenario.arrivals.over
