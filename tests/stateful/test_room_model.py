"""A waiting room against lists, visitor by visitor, with crashes in between.

The model keeps one list, the line, and says in plain words who stands where. What it shares
with the engine are the events' shapes and the bounds' names.
"""

from dataclasses import dataclass
from hashlib import sha256

from hypothesis import HealthCheck
from hypothesis import settings as checks
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.limits import ADMISSION_MS
from engine.turns import Turns
from engine.waiting import Closed, Drawn, Opened, Phase, RoomEvent
from engine.waiting_room import RoomEventInvalid, WaitingRoom, rebuild, verify

SEED = bytes(range(32))
OPENS_MS, SALE_MS = 10_000, 20_000
OPENED = Opened(3, OPENS_MS, SALE_MS, sha256(SEED).digest())
GATEWAYS = [b"north", b"south"]

people = st.sampled_from([sha256(bytes([number])).digest()[:16] for number in range(12)])
crowds = st.lists(people, max_size=6)
gateways = st.sampled_from(GATEWAYS)


@dataclass
class Person:
    """One arrival."""

    name: bytes
    number: int
    until_ms: int = 0  # of the admission


class RoomMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.now_ms = 9_000
        self.log: list[RoomEvent] = [OPENED]
        self.room = WaitingRoom(OPENED)
        self.turns = Turns(self.room)
        self.arrivals: list[Person] = []
        self.line: list[Person] | None = None  # since the draw
        self.there: dict[bytes, set[bytes]] = {gateway: set() for gateway in GATEWAYS}
        self.closed = False

    # What the model says ----------------------------------------------------------

    def latest(self, name: bytes) -> Person | None:
        return next((one for one in reversed(self.arrivals) if one.name == name), None)

    def may_arrive(self, name: bytes) -> bool:
        one = self.latest(name)
        over = one is None or 0 < one.until_ms <= self.now_ms
        return over and self.now_ms >= OPENS_MS and not self.closed

    def present(self) -> set[bytes]:
        return set().union(*self.there.values())

    def commit(self, *events: RoomEvent) -> None:
        for event in events:
            self.room.apply(event)
            self.log.append(event)

    # What happens -------------------------------------------------------------------

    @rule(ms=st.sampled_from([1, 700, 6_000, ADMISSION_MS]))
    def time_passes(self, ms: int) -> None:
        self.now_ms += ms

    @rule(gateway=gateways, crowd=crowds)
    def some_come(self, gateway: bytes, crowd: list[bytes]) -> None:
        self.there[gateway].update(crowd)
        self.turns.came(gateway, crowd)

    @rule(gateway=gateways, crowd=crowds)
    def some_leave(self, gateway: bytes, crowd: list[bytes]) -> None:
        self.there[gateway].difference_update(crowd)
        self.turns.left(gateway, crowd)

    @rule(gateway=gateways)
    def a_gateway_dies(self, gateway: bytes) -> None:
        self.there[gateway] = set()
        self.turns.forget(gateway)

    @rule(gateway=gateways, crowd=crowds)
    def a_gateway_tells_everybody(self, gateway: bytes, crowd: list[bytes]) -> None:
        self.there[gateway] = set(crowd)
        self.turns.only(gateway, crowd)

    @rule(crowd=crowds)
    def some_arrive(self, crowd: list[bytes]) -> None:
        events = self.room.arrive(crowd, self.now_ms)
        told = [name for event in events for name in event.visitors]
        expected = [name for name in dict.fromkeys(crowd) if self.may_arrive(name)]
        assert told == expected
        self.commit(*events)
        for name in told:
            person = Person(name, len(self.arrivals) + 1)
            self.arrivals.append(person)
            if self.line is not None:
                self.line.append(person)
        self.turns.line_up(filter(self.turns.is_there, told))

    @precondition(lambda self: self.line is None and not self.closed)
    @rule()
    def the_draw(self) -> None:
        event = Drawn(self.now_ms, SEED)
        if self.now_ms < SALE_MS:
            try:
                self.room.apply(event)
            except RoomEventInvalid:
                return
            raise AssertionError("drawn before the sale")
        self.commit(event)
        names = b"".join(person.name for person in self.arrivals)
        key = sha256(SEED + sha256(names).digest()).digest()
        self.line = sorted(self.arrivals, key=lambda one: sha256(key + one.name).digest())
        self.turns.line_up_again()

    @precondition(lambda self: self.line is not None and not self.closed)
    @rule(count=st.integers(0, 5), lost=st.booleans())
    def some_are_let_in(self, count: int, lost: bool) -> None:
        assert self.line is not None
        present = self.present()
        waiting = [one for one in self.line if not one.until_ms and one.name in present]
        events = self.room.admit(self.turns.take(count), self.now_ms)
        told = [name for event in events for name in event.visitors]
        assert told == [one.name for one in waiting[:count]], "nobody overtakes who is there"
        if lost:  # the commit failed: they are asked in again later
            self.turns.line_up_again()
            return
        self.commit(*events)
        for one in waiting[:count]:
            one.until_ms = self.now_ms + ADMISSION_MS

    @precondition(lambda self: len(self.log) > 4 and not self.closed)
    @rule()
    def the_room_is_closed(self) -> None:
        self.commit(Closed(self.now_ms))
        self.closed = True

    @rule()
    def the_writer_crashes(self) -> None:
        self.room = rebuild(self.log)
        self.turns = Turns(self.room)
        for gateway, there in self.there.items():
            self.turns.only(gateway, there)

    # What always holds ----------------------------------------------------------------

    @invariant()
    def everybody_stands_where_the_model_says(self) -> None:
        for name in {person.name for person in self.arrivals}:
            one = self.latest(name)
            standing = self.room.standing(name)
            assert one is not None and standing is not None
            place = -1 if self.line is None else self.line.index(one)
            told = (standing.number, standing.place, standing.expires_ms)
            assert told == (one.number, place, one.until_ms)
            assert self.room.waits(name) == (not one.until_ms)
            assert self.room.may_buy(name, self.now_ms) == (
                self.closed or one.until_ms > self.now_ms
            )

    @invariant()
    def the_counts_agree(self) -> None:
        line = self.line or []
        inside = [place for place, one in enumerate(line) if one.until_ms]
        assert self.room.arrived == len(self.arrivals)
        assert self.room.admitted == len(inside)
        assert self.room.front == (inside[-1] + 1 if inside else 0)
        assert (self.room.phase(self.now_ms) is Phase.CLOSED) == self.closed

    @invariant()
    def the_log_tells_the_same_to_everybody(self) -> None:
        assert verify(self.log) == []
        again = rebuild(self.log)
        assert (again.seq, again.front, again.arrived) == (
            self.room.seq,
            self.room.front,
            self.room.arrived,
        )


RoomMachine.TestCase.settings = checks(
    deadline=None,
    max_examples=100,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestRoom = RoomMachine.TestCase
