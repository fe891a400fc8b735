"""The demo houses: what a visitor would count in them."""

from collections import Counter
from itertools import pairwise
from math import dist

import pytest

from engine.demo_houses import club, italian_theatre
from engine.plan import Plan, SeatFlag

HOUSES = pytest.mark.parametrize("house", [italian_theatre, club])


def flagged(plan: Plan, flag: SeatFlag) -> list[int]:
    return [index for index, seat in enumerate(plan.seats) if seat.flags & flag]


def test_the_theatre_has_about_900_seats_in_five_categories_on_four_tiers():
    plan = italian_theatre()
    assert 850 <= len(plan.seats) <= 950
    assert [section.name for section in plan.sections] == [
        "Parterre", "Loges", "Corbeille", "Galerie",
    ]  # fmt: skip
    assert len({seat.category for seat in plan.seats}) == len(plan.categories) == 5


def test_odd_seats_are_on_the_left_and_even_ones_on_the_right():
    plan = italian_theatre()
    for index, seat in enumerate(plan.seats):
        if plan.sections[plan.seat_sections[index]].name != "Loges":
            assert (int(seat.label) % 2 == 1) == (seat.x < plan.focal[0])


def test_the_centre_aisle_parts_1_from_2_in_the_stalls_but_not_in_the_circles():
    plan = italian_theatre()
    stalls = plan.seat_index("parterre-F-1")
    assert plan.right[stalls] == -1
    assert plan.seats[plan.left[stalls]].label == "3"
    circle = plan.seat_index("corbeille-A-1")
    assert plan.seats[plan.right[circle]].id == "corbeille-A-2"


def test_the_side_aisles_of_the_stalls_part_18_from_20():
    plan = italian_theatre()
    assert plan.right[plan.seat_index("parterre-F-18")] == -1
    assert plan.left[plan.seat_index("parterre-F-20")] == -1


def test_a_box_is_four_chairs_of_its_own():
    plan = italian_theatre()
    boxes = [row for row in plan.rows if plan.sections[row.section].name == "Loges"]
    assert len(boxes) == 32
    for row in boxes:
        assert row.count == 4
        (run,) = [run for run in plan.runs if row.first in run]
        assert sorted(run) == list(range(row.first, row.first + 4))


def test_each_wheelchair_place_has_a_companion_next_to_it():
    plan = italian_theatre()
    places = flagged(plan, SeatFlag.WHEELCHAIR)
    assert len(places) == 4
    for place in places:
        beside = {plan.left[place], plan.right[place]} - {-1}
        assert any(plan.seats[other].flags & SeatFlag.COMPANION for other in beside)


def test_restricted_view_is_at_the_sides():
    plan = italian_theatre()
    restricted = flagged(plan, SeatFlag.RESTRICTED_VIEW)
    assert restricted
    assert all(abs(plan.seats[index].x - plan.focal[0]) > 250 for index in restricted)


@HOUSES
def test_no_two_seats_overlap(house):
    plan = house()
    by_place = sorted((seat.x, seat.y) for seat in plan.seats)
    for first, a in enumerate(by_place):
        for b in by_place[first + 1 :]:
            if b[0] - a[0] > 20:
                break
            assert dist(a, b) > 19


@HOUSES
def test_what_one_looks_at_is_the_front_of_the_stage(house):
    plan = house()
    (stage,) = [shape for shape in plan.shapes if shape.role == "stage"]
    left = stage.x + min(x for x, _ in stage.points)
    right = stage.x + max(x for x, _ in stage.points)
    bottom = stage.y + max(y for _, y in stage.points)
    assert left < plan.focal[0] < right
    assert plan.focal[1] == pytest.approx(bottom, abs=3)


@HOUSES
def test_drawing_one_twice_gives_the_same_version(house):
    again = house.__wrapped__()
    assert again.content_hash() == house().content_hash()


def test_the_club_has_tables_stools_and_room_to_stand():
    plan = club()
    chairs = Counter(len(table.seats) for table in plan.tables)
    assert chairs[4] >= 8
    assert chairs[6] >= 8
    assert {table.shape for table in plan.tables} == {"round", "rectangle"}
    assert sum(table.whole for table in plan.tables) == 2
    assert sum(area.capacity for area in plan.areas) == 160
    stools = [row for row in plan.rows if plan.sections[row.section].name == "Comptoir"]
    assert [row.count for row in stools] == [14]


def test_a_club_table_is_a_ring():
    plan = club()
    for table in plan.tables:
        for one, other in pairwise([*table.seats, table.seats[0]]):
            assert plan.right[one] == other
