"""The layout: runs are slices, walls between them, filters as stretches."""

from msgspec.structs import replace

from engine.house import AVAILABLE, DISTANCE_UNITS, WALL, House
from tests.engine.small import house

ALL = frozenset(range(4))


def drawn(laid: House) -> str:
    return "".join("|" if seat < 0 else chr(ord("a") + seat) for seat in laid.seat_at)


def test_runs_follow_each_other_between_walls() -> None:
    laid = House(house(["aaaa aa", "aaa"]))
    assert drawn(laid) == "||abcd|ef|ghi|||"
    assert laid.runs == ((2, 6), (7, 9), (10, 13))
    assert [laid.seat_at[position] for position in laid.positions] == list(range(9))


def test_a_table_chair_stands_between_walls() -> None:
    laid = House(house(["aa"], tables=[(3, True), (2, False)]))
    assert drawn(laid) == "||ab|c|d|e|f|g|||"
    assert laid.whole_tables == {2: (2, 3, 4), 3: (2, 3, 4), 4: (2, 3, 4)}


def test_an_empty_house_has_walls_and_available_seats() -> None:
    laid = House(house(["aa a"]))
    assert list(laid.empty()) == [
        WALL, WALL, AVAILABLE, AVAILABLE, WALL, AVAILABLE, WALL, WALL, WALL
    ]  # fmt: skip


def test_only_seats_side_by_side_and_counting_up_are_straight() -> None:
    laid = House(house(["aaaa aa", "aaa"]))
    assert laid.straight((1, 2, 3)) == 3
    assert laid.straight((4,)) == 7
    for seats in ((), (3, 4), (5, 6), (2, 1), (1, 1), (0, 2), (-1,), (-1, 0), (8, 9), (9,)):
        assert laid.straight(seats) == -1, seats


def test_stretches_come_nearest_first_and_pass_the_filter() -> None:
    laid = House(house(["aabb", "aaaa"], ["bbA"]))
    first, end = laid.positions[0], laid.positions[3] + 1
    assert laid.stretches(ALL)[0][:2] == (first, end)
    distances = [one.nearest for one in laid.stretches(ALL)]
    assert distances == sorted(distances)
    of_a = {(one.first, one.end) for one in laid.stretches(frozenset({0}))}
    assert of_a == {
        (laid.positions[0], laid.positions[1] + 1),
        (laid.positions[4], laid.positions[7] + 1),
        (laid.positions[10], laid.positions[10] + 1),
    }
    second = laid.stretches(ALL, frozenset({1}), False)
    assert [(one.first, one.end, one.section) for one in second] == [
        (laid.positions[8], laid.positions[9] + 1, 1)
    ]
    assert laid.stretches(frozenset()) == ()


def test_filters_kept_are_bounded() -> None:
    laid = House(house(["aabb"]))
    for number in range(300):
        laid.stretches(ALL, frozenset({number}))
        assert len(laid._choices) <= 64


def test_a_filter_used_again_is_not_worked_out_again() -> None:
    laid = House(house(["aabb"]))
    of_all = laid.stretches(ALL)
    laid.stretches(frozenset({0}))
    assert laid.stretches(ALL) is of_all


def test_a_row_that_begins_with_a_later_seat_than_it_ends_with_is_turned() -> None:
    plan = house(["aaaaa"])
    from_the_left = (4, 2, 0, 1, 3)
    seats = [replace(seat, x=float(from_the_left.index(n))) for n, seat in enumerate(plan.seats)]
    assert drawn(House(replace(plan, seats=tuple(seats)))) == "||dbace|||"


def test_everything_is_measured_in_seat_widths() -> None:
    plan = house(["aaaa", "aAaa"], tables=[(3, False)], focal=(1.0, -3.0))
    larger = replace(
        plan,
        focal=(2.0, -6.0),
        seats=tuple(replace(seat, x=2 * seat.x, y=2 * seat.y) for seat in plan.seats),
    )
    one, two = House(plan), House(larger)
    assert two.distance_sums == one.distance_sums
    assert two.points == one.points
    assert one.distance(one.positions[1]) == 3 * DISTANCE_UNITS
    assert one.points[one.positions[0]] == (0.0, 0.0) and one.points[one.positions[5]] == (1.0, 1.0)
    assert one.wheelchair_sums[-1] == 1
