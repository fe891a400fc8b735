"""The line of a waiting room: what its events make of it, and what no log may contain."""

import time
from collections import Counter
from hashlib import sha256

import pytest
from msgspec import structs

from engine import waiting_room
from engine.limits import ADMISSION_MS, MAX_VISITORS_PER_EVENT
from engine.waiting import Admitted, Arrived, Closed, Drawn, Opened, Phase, RoomEvent
from engine.waiting_room import (
    RoomEventInvalid,
    Standing,
    WaitingRoom,
    commitment_of,
    draw,
    rebuild,
    verify,
    visitor_of,
)

SEED = bytes(range(32))
OPENS_MS, SALE_MS = 1_000, 2_000
OPENED = Opened(7, OPENS_MS, SALE_MS, commitment_of(SEED))


def name(number: int) -> bytes:
    return number.to_bytes(16, "big")


def names(*numbers: int) -> tuple[bytes, ...]:
    return tuple(name(number) for number in numbers)


def room_with(*events: RoomEvent) -> WaitingRoom:
    return rebuild([OPENED, *events])


def drawn(count: int) -> WaitingRoom:
    return room_with(Arrived(OPENS_MS, names(*range(count))), Drawn(SALE_MS, SEED))


def in_order(room: WaitingRoom, count: int) -> list[bytes]:
    return sorted(names(*range(count)), key=room.place)


# The draw ---------------------------------------------------------------------


def test_the_draw_is_what_was_published() -> None:
    """Whoever has checked an old log must be able to check it again: this never changes."""
    visitors = [bytes([letter]) * 16 for letter in b"abcdefgh"]
    assert draw(SEED, visitors) == [5, 7, 1, 6, 0, 2, 3, 4]


def test_the_draw_by_its_description() -> None:
    visitors = [sha256(bytes([number])).digest()[:16] for number in range(100)]
    key = sha256(SEED + sha256(b"".join(visitors)).digest()).digest()
    by_lot = sorted(visitors, key=lambda visitor: sha256(key + visitor).hexdigest())
    room = room_with(Arrived(OPENS_MS, tuple(visitors)), Drawn(SALE_MS, SEED))
    assert sorted(visitors, key=room.place) == by_lot


def test_every_order_is_as_likely() -> None:
    rounds = 6_000
    orders = Counter(
        tuple(draw(sha256(seed.to_bytes(4, "big")).digest(), names(1, 2, 3)))
        for seed in range(rounds)
    )
    assert len(orders) == 6
    # Five degrees of freedom: over 20.5 happens once in a thousand, and these seeds are fixed.
    expected = rounds / 6
    assert sum((count - expected) ** 2 / expected for count in orders.values()) < 20.5


def test_who_knows_the_seed_cannot_prepare_a_place() -> None:
    before = names(*range(50))
    orders = set()
    for stranger in range(100, 110):
        order = draw(SEED, [*before, name(stranger)])
        orders.add(tuple(number for number in order if number < 50))
    assert len(orders) == 10, "one more arrival shuffles all the others"


def test_a_hundred_thousand_are_drawn_at_once() -> None:
    room = WaitingRoom(OPENED)
    for event in room.arrive((sha256(name(n)).digest()[:16] for n in range(100_000)), OPENS_MS):
        assert len(event.visitors) <= MAX_VISITORS_PER_EVENT
        room.apply(event)
    begun_s = time.process_time()
    room.apply(Drawn(SALE_MS, SEED))
    assert time.process_time() - begun_s < 1.0
    assert (room.arrived, room.drawn) == (100_000, 100_000)


# The line ---------------------------------------------------------------------


def test_places_before_and_after_the_draw() -> None:
    room = room_with(Arrived(OPENS_MS, names(1, 2)), Arrived(OPENS_MS + 5, names(3)))
    assert room.standing(name(2)) == Standing(number=2, place=-1, expires_ms=0)
    assert room.standing(name(9)) is None
    room.apply(Drawn(SALE_MS, SEED))
    room.apply(Arrived(SALE_MS + 1, names(8, 7)))
    assert sorted(room.place(name(number)) for number in (1, 2, 3)) == [0, 1, 2]
    assert room.standing(name(8)) == Standing(number=4, place=3, expires_ms=0)
    assert room.standing(name(7)) == Standing(number=5, place=4, expires_ms=0)
    assert room.place(name(9)) == -1


def test_a_draw_without_anybody_is_a_draw() -> None:
    room = room_with(Drawn(SALE_MS, SEED), Arrived(SALE_MS + 1, names(5)))
    assert room.phase(SALE_MS) is Phase.ADMITTING
    assert room.place(name(5)) == 0
    assert "a draw before" in room.disagreements(Drawn(SALE_MS + 1, SEED))[0]
    for event in room.admit(names(5), SALE_MS + 1):
        room.apply(event)
    assert (room.front, room.admitted) == (1, 1)


def test_the_seed_is_public_from_the_draw_on() -> None:
    room = room_with(Arrived(OPENS_MS, names(1)))
    assert (room.seed, room.front) == (b"", 0)
    room.apply(Drawn(SALE_MS, SEED))
    assert (room.seed, room.front) == (SEED, 0)


def test_arriving_twice_changes_nothing() -> None:
    room = room_with(Arrived(OPENS_MS, names(1, 2)))
    assert room.arrive(names(2, 3, 3, 1), OPENS_MS) == [Arrived(OPENS_MS, names(3))]
    assert room.arrive(names(2, 1), OPENS_MS) == []


@pytest.mark.parametrize(("at_ms", "takes"), [(OPENS_MS - 1, False), (OPENS_MS, True)])
def test_nobody_arrives_before_the_room_opens(at_ms: int, takes: bool) -> None:
    room = WaitingRoom(OPENED)
    assert room.may_arrive(name(1), at_ms) is takes
    assert bool(room.arrive(names(1), at_ms)) is takes


def test_an_admission_lets_buy_until_it_expires_and_then_arrive_again() -> None:
    room = drawn(3)
    first = in_order(room, 3)[0]
    assert room.waits(first) and not room.may_buy(first, SALE_MS)
    (event,) = room.admit([first], SALE_MS + 1)
    ends_ms = SALE_MS + 1 + ADMISSION_MS
    assert event == Admitted(SALE_MS + 1, ends_ms, (first,))
    room.apply(event)
    assert not room.waits(first)
    assert room.standing(first) == Standing(room.standing(first).number, 0, ends_ms)  # type: ignore[union-attr]
    assert room.may_buy(first, ends_ms - 1) and not room.may_buy(first, ends_ms)
    assert not room.may_arrive(first, ends_ms - 1) and room.may_arrive(first, ends_ms)
    room.apply(Arrived(ends_ms, (first,)))
    assert room.standing(first) == Standing(number=4, place=3, expires_ms=0)
    assert room.waits(first) and not room.may_buy(first, ends_ms)
    assert (room.arrived, room.admitted) == (4, 1)


def test_those_who_were_away_are_passed_over_and_keep_their_turn() -> None:
    room = drawn(5)
    order = in_order(room, 5)
    for event in room.admit([order[3], order[1]], SALE_MS):
        assert event.visitors == (order[1], order[3]), "by place, whoever asks"
        room.apply(event)
    assert (room.front, room.admitted) == (4, 2)
    for event in room.admit([order[0]], SALE_MS):
        room.apply(event)
    assert (room.front, room.admitted) == (4, 3), "the front does not go back"


def test_only_those_who_wait_are_admitted() -> None:
    room = drawn(2)
    first = in_order(room, 2)[0]
    for event in room.admit([first, first, name(77)], SALE_MS):
        room.apply(event)
    assert room.admitted == 1
    assert room.admit([first], SALE_MS) == []


def test_a_room_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting_room, "MAX_ARRIVALS_PER_ROOM", 3)
    room = room_with(Arrived(OPENS_MS, names(1)))
    assert room.arrive(names(2, 3, 4), OPENS_MS) == [Arrived(OPENS_MS, names(2, 3))]
    with pytest.raises(RoomEventInvalid, match="more than 3 arrivals"):
        room.apply(Arrived(OPENS_MS, names(2, 3, 4)))
    room.apply(Arrived(OPENS_MS, names(2, 3)))
    assert room.full and not room.may_arrive(name(4), OPENS_MS)
    assert room.arrive(names(4), OPENS_MS) == []


def test_a_closed_room_keeps_nobody_out() -> None:
    room = room_with(Arrived(OPENS_MS, names(1)), Closed(OPENS_MS))
    assert room.may_buy(name(1), OPENS_MS) and room.may_buy(name(2), OPENS_MS)
    assert not room.may_arrive(name(2), OPENS_MS)


def test_a_room_may_be_closed_before_it_opens() -> None:
    assert room_with(Closed(OPENS_MS - 500)).closed


GATHERING = Arrived(OPENS_MS, names(1))


@pytest.mark.parametrize(
    ("events", "at_ms", "places", "phase"),
    [
        ((), OPENS_MS - 1, (10, 0), Phase.SCHEDULED),
        ((), OPENS_MS, (10, 0), Phase.GATHERING),
        ((GATHERING,), SALE_MS + 5, (10, 0), Phase.GATHERING),  # not drawn yet
        ((GATHERING, Drawn(SALE_MS, SEED)), SALE_MS, (1, 9), Phase.ADMITTING),
        ((GATHERING, Drawn(SALE_MS, SEED)), SALE_MS, (-1, -1), Phase.ADMITTING),
        ((GATHERING, Drawn(SALE_MS, SEED)), SALE_MS, (0, -1), Phase.ADMITTING),
        ((GATHERING, Drawn(SALE_MS, SEED)), SALE_MS, (0, 1), Phase.FULL),
        ((GATHERING, Drawn(SALE_MS, SEED)), SALE_MS, (0, 0), Phase.SOLD_OUT),
        ((GATHERING, Closed(SALE_MS)), SALE_MS, (0, 0), Phase.CLOSED),
    ],
)
def test_phases(
    events: tuple[RoomEvent, ...], at_ms: int, places: tuple[int, int], phase: Phase
) -> None:
    assert room_with(*events).phase(at_ms, *places) is phase


def test_a_visitor_is_one_session_in_one_performance() -> None:
    # In public logs, which are checked again: this never changes.
    assert visitor_of(7, "s1").hex() == "4e1ecc0cd83400e9496ad9cdfd81f734"
    assert len({visitor_of(7, "s1"), visitor_of(7, "s2"), visitor_of(8, "s1")}) == 3
    assert visitor_of(1, "1s") != visitor_of(11, "s")


# What no log may contain ----------------------------------------------------------

AFTER_DRAW = (Arrived(OPENS_MS, names(0, 1, 2)), Drawn(SALE_MS, SEED))
FIRST, SECOND, THIRD = in_order(drawn(3), 3)
LATER_MS = SALE_MS + 1


@pytest.mark.parametrize(
    ("before", "event", "why"),
    [
        ((), OPENED, "opened once"),
        ((), Arrived(OPENS_MS - 1, names(1)), "may not arrive: too early"),
        ((), Arrived(OPENS_MS, ()), "names 0 visitors"),
        ((), Arrived(OPENS_MS, names(*range(MAX_VISITORS_PER_EVENT + 1))), "names 3501 visitors"),
        ((), Arrived(OPENS_MS, names(1, 1)), "named twice"),
        ((), Arrived(OPENS_MS, (b"short",)), "not 16 bytes"),
        ((GATHERING,), Arrived(OPENS_MS, names(2, 1)), f"{name(1).hex()} may not arrive"),
        ((GATHERING,), Closed(OPENS_MS - 1), "before what came before it"),
        ((GATHERING,), Drawn(SALE_MS - 1, SEED), "before the sale"),
        ((GATHERING,), Drawn(SALE_MS, bytes(32)), "not the one whose SHA-256"),
        ((GATHERING,), Drawn(SALE_MS, SEED[:-1]), "not the one whose SHA-256"),
        (AFTER_DRAW, Drawn(SALE_MS, SEED), "a draw before"),
        ((GATHERING,), Admitted(LATER_MS, LATER_MS + 1, names(1)), "no draw yet"),
        (AFTER_DRAW, Admitted(LATER_MS, LATER_MS + 1, ()), "names 0 visitors"),
        (AFTER_DRAW, Admitted(LATER_MS, LATER_MS, (FIRST,)), "over before it begins"),
        (AFTER_DRAW, Admitted(LATER_MS, LATER_MS + 1, names(9)), "was not waiting"),
        (AFTER_DRAW, Admitted(LATER_MS, LATER_MS + 1, (FIRST, FIRST)), "named twice"),
        (AFTER_DRAW, Admitted(LATER_MS, LATER_MS + 1, (SECOND, FIRST)), "order of their places"),
        (
            (*AFTER_DRAW, Admitted(SALE_MS, SALE_MS + 9, (FIRST,))),
            Admitted(LATER_MS, LATER_MS + 1, (FIRST,)),
            "was not waiting",
        ),
        ((Closed(OPENS_MS),), Arrived(OPENS_MS, names(1)), "was closed before"),
    ],
)
def test_an_event_that_cannot_follow(
    before: tuple[RoomEvent, ...], event: RoomEvent, why: str
) -> None:
    room = room_with(*before)
    seq, arrived, admitted, at_ms = room.seq, room.arrived, room.admitted, room.at_ms
    with pytest.raises(RoomEventInvalid, match=why):
        room.apply(event)
    assert (room.seq, room.arrived, room.admitted, room.at_ms) == (seq, arrived, admitted, at_ms)
    assert verify([OPENED, *before]) == []
    (told,) = verify([OPENED, *before, event])
    assert why in told and f"event {len(before) + 2}" in told


@pytest.mark.parametrize(
    ("first", "why"),
    [
        (None, "begins with its opening"),
        (GATHERING, "begins with its opening"),
        (structs.replace(OPENED, commitment=b"x"), "commitment is not a SHA-256"),
        (structs.replace(OPENED, opens_ms=SALE_MS), "does not begin after"),
    ],
)
def test_a_log_that_cannot_begin(first: RoomEvent | None, why: str) -> None:
    (told,) = verify([first] if first is not None else [])
    assert why in told


def a_sale() -> list[RoomEvent]:
    """Forty who came before the draw, ten after it, all of them let in by tens."""
    room = WaitingRoom(OPENED)
    events: list[RoomEvent] = [OPENED]

    def add(*new: RoomEvent) -> None:
        for event in new:
            room.apply(event)
            events.append(event)

    add(Arrived(OPENS_MS, names(*range(25))), Arrived(OPENS_MS + 9, names(*range(25, 40))))
    add(Drawn(SALE_MS, SEED), Arrived(SALE_MS + 3, names(*range(40, 50))))
    order = in_order(room, 50)
    for ten in range(0, 50, 10):
        add(*room.admit(order[ten : ten + 10], SALE_MS + 4 + ten))
    add(Closed(SALE_MS + 100))
    return events


def without(events: list[RoomEvent], at: int, visitor: bytes) -> list[RoomEvent]:
    event = events[at]
    assert isinstance(event, Arrived)
    kept = tuple(one for one in event.visitors if one != visitor)
    return [*events[:at], structs.replace(event, visitors=kept), *events[at + 1 :]]


def test_an_honest_log_agrees() -> None:
    assert verify(a_sale()) == []


def test_a_friend_who_is_put_into_the_draw_afterwards_is_noticed() -> None:
    events = a_sale()
    arrived = events[1]
    assert isinstance(arrived, Arrived)
    events[1] = structs.replace(arrived, visitors=(*arrived.visitors, name(99)))
    assert verify(events)


def test_an_arrival_that_is_left_out_is_noticed() -> None:
    events = a_sale()
    # Of somebody who was not let in yet, so that the order of the others alone can tell.
    log, waiting = events[:8], events[8]
    assert isinstance(waiting, Admitted)
    early = [visitor for visitor in waiting.visitors if visitor in names(*range(25))]
    assert early and verify(log) == []
    for visitor in early:
        assert "order of their places" in verify(without(log, 1, visitor))[0]


def test_arrivals_in_another_order_are_noticed() -> None:
    events = a_sale()
    arrived = events[1]
    assert isinstance(arrived, Arrived)
    first, second, *others = arrived.visitors
    events[1] = structs.replace(arrived, visitors=(second, first, *others))
    assert verify(events)


def test_another_seed_is_noticed_whatever_was_promised() -> None:
    events = a_sale()
    other = bytes(32)
    events[3] = Drawn(SALE_MS, other)
    assert "not the one whose SHA-256" in verify(events)[0]
    events[0] = structs.replace(OPENED, commitment=commitment_of(other))
    assert "order of their places" in verify(events)[0]


def test_a_favour_is_noticed() -> None:
    events = a_sale()
    first, last = events[5], events[-2]
    assert isinstance(first, Admitted) and isinstance(last, Admitted)
    events[5] = structs.replace(first, visitors=(last.visitors[0], *first.visitors[1:]))
    assert verify(events)
