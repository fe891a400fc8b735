"""Whose turn it is among those who are connected."""

import pytest

from engine.turns import Turns
from engine.waiting import Admitted, Arrived, Drawn, Opened
from engine.waiting_room import WaitingRoom, commitment_of

SEED = bytes(32)
ALL = [bytes([number]) * 16 for number in range(10)]
NORTH, SOUTH = b"north", b"south"


@pytest.fixture
def room() -> WaitingRoom:
    room = WaitingRoom(Opened(1, 1, 2, commitment_of(SEED)))
    room.apply(Arrived(1, tuple(ALL)))
    room.apply(Drawn(2, SEED))
    return room


@pytest.fixture
def line(room: WaitingRoom) -> list[bytes]:
    """Everybody, by place."""
    return sorted(ALL, key=room.place)


@pytest.fixture
def turns(room: WaitingRoom) -> Turns:
    return Turns(room)


def admit(room: WaitingRoom, *visitors: bytes) -> None:
    room.apply(Admitted(3, 4, visitors))


def test_the_next_are_those_in_front(turns: Turns, line: list[bytes]) -> None:
    turns.came(NORTH, ALL[:5])
    turns.came(SOUTH, ALL[5:])
    assert turns.take(4) == line[:4]
    assert turns.take(100) == line[4:], "who was taken is off the line"
    assert turns.take(1) == []


def test_who_is_away_is_passed_over_and_comes_back_in_front(
    turns: Turns, line: list[bytes]
) -> None:
    turns.came(NORTH, ALL)
    turns.left(NORTH, line[:2])
    assert turns.take(2) == line[2:4]
    turns.came(NORTH, [line[1]])
    assert turns.take(2) == [line[1], line[4]]


def test_a_second_connection_is_one_visitor(turns: Turns, line: list[bytes]) -> None:
    turns.came(NORTH, ALL)
    turns.came(SOUTH, ALL)
    turns.came(SOUTH, ALL)
    turns.left(NORTH, ALL)
    assert turns.take(3) == line[:3], "still connected to the other"
    turns.left(SOUTH, ALL)
    assert turns.take(10) == []


def test_coming_and_going_does_not_lengthen_the_line(turns: Turns, line: list[bytes]) -> None:
    for _ in range(3):
        turns.came(NORTH, ALL)
        turns.left(NORTH, ALL)
    turns.came(NORTH, ALL)
    assert turns.take(100) == line


def test_a_gateway_tells_everybody_anew(turns: Turns, line: list[bytes]) -> None:
    turns.came(NORTH, line[:5])
    turns.only(NORTH, line[3:7])
    assert turns.take(100) == line[3:7]


def test_a_gateway_that_is_gone_takes_its_connections_along(
    turns: Turns, line: list[bytes]
) -> None:
    turns.came(NORTH, ALL)
    turns.came(SOUTH, line[2:4])
    turns.forget(NORTH)
    turns.forget(NORTH)
    assert turns.take(100) == line[2:4]


def test_who_was_admitted_is_in_no_line(turns: Turns, room: WaitingRoom, line: list[bytes]) -> None:
    turns.came(NORTH, ALL)
    admit(room, *line[:2])
    assert turns.take(2) == line[2:4]
    turns.came(NORTH, line[:2])
    assert turns.take(100) == line[4:]


def test_who_was_taken_and_stayed_outside_is_in_line_again(
    turns: Turns, room: WaitingRoom, line: list[bytes]
) -> None:
    turns.came(NORTH, ALL[:5])
    turns.came(SOUTH, ALL[4:])
    turns.take(6)
    admit(room, *line[:3])
    turns.line_up_again()
    assert turns.take(100) == line[3:]


def test_nobody_has_a_turn_before_the_draw() -> None:
    room = WaitingRoom(Opened(1, 1, 2, commitment_of(SEED)))
    turns = Turns(room)
    room.apply(Arrived(1, tuple(ALL)))
    turns.came(NORTH, ALL)
    assert turns.take(10) == []
    turns.line_up_again()
    assert turns.take(10) == []
    room.apply(Drawn(2, SEED))
    turns.line_up_again()
    assert turns.take(10) == sorted(ALL, key=room.place)


@pytest.mark.parametrize("again", [False, True])
def test_who_comes_after_a_draw_without_anybody_has_a_turn(again: bool) -> None:
    room = WaitingRoom(Opened(1, 1, 2, commitment_of(SEED)))
    room.apply(Drawn(2, SEED))
    turns = Turns(room)
    if again:
        turns.came(NORTH, ALL[:1])
    room.apply(Arrived(3, (ALL[0],)))
    if again:
        turns.line_up_again()
    else:
        turns.came(NORTH, ALL[:1])
    assert turns.take(10) == [ALL[0]]


def test_late_arrivals_line_up_behind(turns: Turns, room: WaitingRoom, line: list[bytes]) -> None:
    late = b"late" * 4
    turns.came(NORTH, [late, line[9]])
    assert turns.take(0) == []
    room.apply(Arrived(3, (late,)))
    turns.line_up([late])
    assert turns.take(10) == [line[9], late]
