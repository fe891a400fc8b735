"""The gap rule: who sits next to whom, on drawn rows and on real houses."""

import json
import random
from functools import cache
from itertools import pairwise
from math import cos, dist, pi, radians, sin
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from engine import geometry
from engine.plan_io import load_plan

VENUES = Path(__file__).resolve().parents[3] / "shared" / "venues"
VENUE_FILES = sorted(VENUES.glob("*.json"))

load = cache(lambda path: load_plan(path.read_bytes()))

needs_venues = pytest.mark.skipif(not VENUE_FILES, reason="the shared venue plans are not here")


def chained(*rows, tables=()):
    """Chains of rows given as lists of points; every row in one section."""
    points = [point for row in rows for point in row]
    spans, first = [], 0
    for row in rows:
        spans.append((0, range(first, first + len(row))))
        first += len(row)
    return geometry.chains(points, spans, tables)


def line(xs, y=0.0):
    return [(float(x), y) for x in xs]


@pytest.mark.parametrize(
    ("row", "runs"),
    [
        pytest.param(line([0, 20, 40, 60]), [(0, 1, 2, 3)], id="straight"),
        pytest.param(line([0, 20, 40, 90, 110, 130]), [(0, 1, 2), (3, 4, 5)], id="aisle"),
        pytest.param(line([0, 20, 40, 80, 100]), [(0, 1, 2), (3, 4)], id="one seat missing"),
        pytest.param(line([0, 20, 40, 70, 90]), [(0, 1, 2, 3, 4)], id="half a seat is no aisle"),
        pytest.param(line([0, 20, 40, 900]), [(0, 1, 2), (3,)], id="a wing across the house"),
        pytest.param(line([0]), [(0,)], id="one seat"),
        pytest.param(
            [(0, 0), (20, 10), (40, 0), (60, 10), (80, 0)], [(0, 1, 2, 3, 4)], id="half-seat steps"
        ),
        pytest.param(
            [(0, 0), (20, 0), (40, 0), (40, 20), (40, 40), (40, 60)],
            [(0, 1, 2, 3, 4, 5)],
            id="round a corner",
        ),
        pytest.param(
            [(20, 5), (0, 0), (-5, 25), (15, 30), (10, 55), (-10, 50)],
            [(0, 1, 2, 3, 4, 5)],
            id="a box of two columns, listed to and fro",
        ),
        pytest.param(
            [(0, 0), (20, 0), (0, 30), (20, 30)],
            [(0, 1), (2, 3)],
            id="two pairs, one behind the other",
        ),
    ],
)
def test_a_row_falls_into_runs_at_its_gaps(row, runs):
    assert list(chained(row).runs) == runs


def test_a_row_is_walked_as_it_stands_whatever_its_numbers_say():
    # 1-2-3-4-5 in the list, 5-3-1-2-4 in the room.
    found = chained(line([40, 60, 20, 80, 0]))
    assert found.runs == ((4, 2, 0, 1, 3),)


def test_an_aisle_is_found_in_a_row_listed_out_of_order():
    # Odd numbers left, even ones right of a centre aisle; listed 1, 2, 3, 4, 5, 6.
    found = chained(line([40, 100, 20, 120, 0, 140]))
    assert {frozenset(run) for run in found.runs} == {frozenset({0, 2, 4}), frozenset({1, 3, 5})}


def test_two_seats_on_both_sides_of_the_house_take_the_pitch_of_their_section():
    rows = [line(range(0, 200, 20), y) for y in (0.0, 30.0)]
    found = chained(*rows, line([0, 180], 60.0))
    assert (20,) in found.runs
    assert (21,) in found.runs


def test_rows_of_different_density_keep_their_own_pitch():
    found = chained(line(range(0, 200, 20)), line(range(0, 200, 30), 30.0))
    assert [len(run) for run in found.runs] == [10, 7]


def test_seats_of_another_row_are_never_neighbours():
    found = chained(line([0, 20]), line([40, 60]))
    assert found.runs == ((0, 1), (2, 3))


def test_a_curved_row_that_bends_beyond_a_half_circle_is_one_run():
    angles = [radians(a) for a in range(-110, 111, 5)]
    row = [(300 * sin(a), 300 * cos(a)) for a in angles]
    found = chained(row)
    assert found.runs == (tuple(range(len(row))),)
    assert not found.rings


def circle(count, radius=50.0):
    return [
        (radius * cos(2 * pi * n / count), radius * sin(2 * pi * n / count)) for n in range(count)
    ]


def test_a_table_is_a_ring_even_where_its_head_is_wide():
    sides = [(0.0, y) for y in (0.0, 20.0, 40.0)] + [(90.0, y) for y in (40.0, 20.0, 0.0)]
    found = chained(sides, tables=[(0, 1, 2, 3, 4, 5)])
    assert found.runs == ((0, 1, 2, 3, 4, 5),)
    assert found.rings == {0}


def test_two_seats_at_a_table_are_a_pair_and_no_ring():
    found = chained(line([0, 40]), tables=[(0, 1)])
    assert found.runs == ((0, 1),)
    assert not found.rings


@pytest.mark.parametrize("count", [5, 6, 8, 10])
def test_chairs_in_a_circle_are_a_ring_without_a_table_too(count):
    found = chained(circle(count))
    assert len(found.runs) == 1
    assert found.rings == {0}


def test_chairs_in_a_circle_listed_at_random_are_the_same_ring():
    points = circle(8)
    order = [3, 0, 6, 1, 7, 4, 2, 5]
    found = chained([points[n] for n in order])
    assert found.rings == {0}
    walked = [order[seat] for seat in found.runs[0]]
    assert {(b - a) % 8 for a, b in pairwise([*walked, walked[0]])} in ({1}, {7})


def test_two_lines_side_by_side_are_no_ring():
    block = [(20.0 * x, 25.0 * y) for x in range(6) for y in range(2)]
    random.Random(4).shuffle(block)
    assert not chained(block).rings


@example(steps=[20.0, 20.0, 70.0, 70.0], angle=0.0, seed=0)
@given(
    steps=st.lists(st.sampled_from([20.0, 20.0, 20.0, 70.0]), min_size=1, max_size=20),
    angle=st.floats(0, 360),
    seed=st.integers(0, 1000),
)
def test_neither_turning_nor_shuffling_a_row_changes_who_sits_together(steps, angle, seed):
    if steps.count(20.0) < len(steps) / 2:  # most seats stand alone: the row has no pitch
        return
    x, row = 0.0, [(0.0, 0.0)]
    for step in steps:
        x += step
        row.append((x, 0.0))
    expected = {
        frozenset((one, other))
        for one, (a, b) in enumerate(pairwise(row))
        for other in [one + 1]
        if b[0] - a[0] < 30
    }
    if len(row) < geometry.TRUSTED_ROW_SEATS:
        return
    c, s = cos(radians(angle)), sin(radians(angle))
    turned = [(c * x - s * y, s * x + c * y) for x, y in row]
    order = list(range(len(row)))
    random.Random(seed).shuffle(order)
    found = chained([turned[n] for n in order])
    links = {frozenset((order[a], order[b])) for run in found.runs for a, b in pairwise(run)}
    assert links == expected
    assert sorted(seat for run in found.runs for seat in run) == list(range(len(row)))


def test_walking_order_leaves_a_walked_row_alone_and_sorts_another_from_left_to_right():
    assert geometry.walking_order(line([60, 40, 20, 0])) == [0, 1, 2, 3]
    assert geometry.walking_order(line([40, 60, 20, 80, 0])) == [4, 2, 0, 1, 3]
    assert geometry.walking_order(line([0, 120, 20, 140, 40])) == [0, 2, 4, 1, 3]


def test_ring_order_goes_the_way_the_list_goes():
    around = [(0, -10), (10, 0), (0, 10), (-10, 0)]
    assert geometry.ring_order(around, (0, 0), (10, 10)) == [0, 1, 2, 3]
    assert geometry.ring_order(around[::-1], (0, 0), (10, 10)) == [0, 1, 2, 3]
    assert geometry.ring_order([around[n] for n in (0, 2, 1, 3)], (0, 0), (10, 10)) == [0, 2, 1, 3]


def listed_neighbours(raw):
    """What a file's own lists say: list neighbours, but not across a clear gap.

    In all of these plans no step is between 1.45 and 1.95 median steps of its row,
    except around the tables of the gala hall, so that 1.7 parts them without doubt.
    """
    links = set()
    for zone in raw["zones"]:
        for row in zone["rows"]:
            seats = row["seats"]
            points = [(seat["position"]["x"], seat["position"]["y"]) for seat in seats]
            steps = sorted(dist(a, b) for a, b in pairwise(points))
            middle = steps[len(steps) // 2] if steps else 0.0
            links |= {
                frozenset((a["seat_guid"], b["seat_guid"]))
                for (a, p), (b, q) in pairwise(zip(seats, points, strict=True))
                if dist(p, q) < 1.7 * middle
            }
    return links


def plan_links(plan):
    return {
        frozenset((seat.id, plan.seats[other].id))
        for seat, other in zip(plan.seats, plan.right, strict=True)
        if other >= 0
    }


@needs_venues
@pytest.mark.parametrize("path", VENUE_FILES, ids=lambda path: path.stem)
def test_the_real_houses_have_the_neighbours_their_lists_say(path):
    plan = load(path)
    links = plan_links(plan)
    if path.stem == "gala-28-tables":
        assert len(links) == len(plan.seats)  # 28 rings
        return
    assert links == listed_neighbours(json.loads(path.read_bytes()))


@needs_venues
def test_the_gala_tables_are_rings_in_the_order_of_the_file():
    path = VENUES / "gala-28-tables.json"
    plan = load(path)
    assert len(plan.tables) == 28
    for zone in json.loads(path.read_bytes())["zones"]:
        for row in zone["rows"]:
            ids = [seat["seat_guid"] for seat in row["seats"]]
            ring = {frozenset(pair) for pair in pairwise([*ids, ids[0]])}
            assert ring <= plan_links(plan)


@needs_venues
@pytest.mark.parametrize("path", VENUE_FILES, ids=lambda path: path.stem)
def test_left_and_right_mirror_each_other_and_runs_hold_every_seat_once(path):
    plan = load(path)
    for seat, other in enumerate(plan.right):
        assert other == -1 or plan.left[other] == seat
    assert sorted(seat for run in plan.runs for seat in run) == list(range(len(plan.seats)))
    for run in plan.runs:
        assert [plan.right[seat] for seat in run[:-1]] == list(run[1:])
        rows = {plan.seats[seat].row for seat in run}
        assert len(rows) == 1
