"""The plan as the till knows it: words for places, finding them, moving over them."""

from collections import deque
from pathlib import Path

import msgspec
import pytest

from console.seating import PlanColumns, Seating, inside
from engine.demo_houses import club, italian_theatre
from engine.plan import Plan
from engine.plan_io import load_plan
from gateway.plan_view import plan_view
from renderers.i18n import translator
from tests.console.houses import theatre

VENUES = Path(__file__).resolve().parents[3] / "shared" / "venues"
EN, FR = translator("en"), translator("fr")


def seating_of(plan: Plan) -> Seating:
    return Seating(msgspec.json.decode(plan_view(plan), type=PlanColumns))


@pytest.fixture(scope="module")
def house() -> Seating:
    return seating_of(theatre())


def seat(house: Seating, text: str) -> int:
    found = house.find(text)
    assert found is not None, text
    return found


def test_a_place_has_words_in_both_languages(house: Seating) -> None:
    assert house.words(seat(house, "stalls c 5"), EN) == "Stalls, row C, seat 5"
    assert house.words(seat(house, "stalls c 5"), FR) == "Stalls, rang C, place 5"
    assert house.words(seat(house, "t2 3"), EN) == "Tables, table T2, seat 3"
    assert house.words(house.seat_count, EN) == "Promenade"
    assert house.short(seat(house, "circle b 20")) == "B 20"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("C 5", "Stalls, row C, seat 5"),
        ("c5", "Stalls, row C, seat 5"),
        ("  circle   B 20 ", "Circle, row B, seat 20"),
        ("cir a 1", "Circle, row A, seat 1"),
        ("t1 4", "Tables, table T1, seat 4"),
        ("prom", "Promenade"),
    ],
)
def test_a_place_is_found_by_the_words_people_type(house: Seating, text: str, place: str) -> None:
    assert house.words(seat(house, text), EN) == place


@pytest.mark.parametrize("text", ["", "Z 1", "C 99", "gods A 1", "stalls"])
def test_what_does_not_exist_is_not_found(house: Seating, text: str) -> None:
    assert house.find(text) is None


def test_of_several_places_the_one_in_this_section_is_meant(house: Seating) -> None:
    circle = house.section_of(seat(house, "circle a 1"))
    assert house.words(seat(house, "a 1"), EN).startswith("Stalls")
    found = house.find("a 1", near=circle)
    assert found is not None and house.words(found, EN).startswith("Circle")


def test_ranges_of_seats_are_found_in_walking_order(house: Seating) -> None:
    seats = house.find_seats("C 3-6, D 9, c 5")
    assert [house.short(seat) for seat in seats] == ["C 3", "C 4", "C 5", "C 6", "D 9"]
    assert house.find_seats("c 6-3") == house.find_seats("c 3-6")


@pytest.mark.parametrize(
    ("text", "part"), [("C 3-99", "C 3-99"), ("C 1, Z 2", "Z 2"), ("prom", "prom")]
)
def test_a_range_that_is_not_there_names_its_part(house: Seating, text: str, part: str) -> None:
    with pytest.raises(ValueError, match=f"^{part}$"):
        house.find_seats(text)


def test_arrows_follow_the_row_and_cross_the_aisle(house: Seating) -> None:
    start = seat(house, "stalls d 9")  # beside the aisle
    assert house.short(house.step(start, -1, 0)) == "D 8"
    assert house.short(house.step(start, 1, 0)) == "D 10"
    assert house.short(house.step(start, 0, -1)) == "E 9"  # rows go up, away from the stage
    assert house.short(house.step(start, 0, 1)) == "C 9"


def test_at_the_edge_of_the_house_the_cursor_stays(house: Seating) -> None:
    edge = seat(house, "t1 3")
    for _ in range(50):
        edge = house.step(edge, -1, 0)
    assert house.step(edge, -1, 0) == edge


def test_along_a_curved_row_the_cursor_keeps_to_the_row(house: Seating) -> None:
    here = seat(house, "circle b 6")
    for number in range(7, 20):
        here = house.step(here, 1, 0)
        assert house.short(here) == f"B {number}"


def reachable(house: Seating) -> set[int]:
    seen = {house.start()}
    waiting = deque(seen)
    while waiting:
        here = waiting.popleft()
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            there = house.step(here, dx, dy)
            if there not in seen:
                seen.add(there)
                waiting.append(there)
    return seen


@pytest.mark.parametrize("plan", [theatre, italian_theatre, club], ids=lambda f: f.__name__)
def test_every_place_can_be_reached_with_four_keys(plan) -> None:  # type: ignore[no-untyped-def]
    house = seating_of(plan())
    assert reachable(house) == set(range(house.spot_count))


@pytest.mark.parametrize(
    "name", ["kulish-kherson", "gala-28-tables", "opera-bishkek", "club-dancefloor"]
)
def test_every_place_of_a_real_house_can_be_reached(name: str) -> None:
    path = VENUES / f"{name}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    house = seating_of(load_plan(path.read_bytes()))
    missing = set(range(house.spot_count)) - reachable(house)
    assert not missing, [house.words(spot, EN) for spot in sorted(missing)[:5]]


def test_a_leap_goes_far_and_in_its_direction(house: Seating) -> None:
    here = seat(house, "stalls d 4")
    there = house.jump(here, 1, 0, reach=150)
    assert house.spot_x[there] - house.spot_x[here] > 75
    assert house.jump(house.find("t2 1") or 0, 1, 0, reach=500) == house.find("t2 1")


def test_a_whole_table_goes_together_and_a_chair_alone(house: Seating) -> None:
    first, second = seat(house, "t1 1"), seat(house, "t2 1")
    assert len(house.sold_with(first)) == 4
    assert house.sold_with(second) == (second,)
    assert house.sold_with(seat(house, "c 5")) == (seat(house, "c 5"),)


def test_a_point_finds_its_seat_or_its_area(house: Seating) -> None:
    c5 = seat(house, "c 5")
    assert house.at(house.spot_x[c5] + 4, house.spot_y[c5] - 4, within=12) == c5
    assert house.at(240, 105, within=12) == house.seat_count
    assert house.at(-500, -500, within=12) is None


def test_inside_a_polygon() -> None:
    square = ((0.0, 0.0), (2.0, 0.0), (2.0, 2.0), (0.0, 2.0))
    assert inside(square, 1, 1)
    assert not inside(square, 3, 1)
    assert not inside(square, 1, -1)
