"""Reading and writing plans: own format, pretix JSON, CSV, and what a round trip keeps."""

import json
import re
from functools import cache
from math import isclose
from pathlib import Path

import pytest

from engine.demo_houses import club, italian_theatre
from engine.plan import Plan, SeatFlag
from engine.plan_check import PlanError
from engine.plan_io import check_plan, dump_plan, dump_pretix, load_plan

ROOT = Path(__file__).resolve().parents[2]
VENUES = ROOT.parent / "shared" / "venues"
VENUE_FILES = sorted(VENUES.glob("*.json"))
load = cache(lambda path: load_plan(path.read_bytes()))

each_venue = pytest.mark.parametrize(
    "path",
    VENUE_FILES
    or [pytest.param(None, marks=pytest.mark.skip(reason="the shared venue plans are not here"))],
    ids=lambda path: path.stem if path else "none",
)


def documented_example() -> bytes:
    page = (ROOT / "docs" / "plan-format.md").read_text(encoding="utf-8")
    return re.search(r"```json\n(.*?)```", page, re.DOTALL)[1].encode()


def test_the_documented_example_is_canonical():
    data = documented_example()
    plan, problems = check_plan(data)
    assert problems == ()
    assert dump_plan(plan) == data


def test_the_documented_example_reads_as_the_page_says():
    plan = load_plan(documented_example())
    assert (plan.id, plan.name, plan.width, plan.height) == (
        "petite-salle", "Petite salle", 300.0, 240.0,
    )  # fmt: skip
    assert plan.focal == (150.0, 40.0)
    assert [section.kind for section in plan.sections] == ["stalls", "standing"]
    assert plan.seats[3].flags == SeatFlag.WHEELCHAIR
    assert plan.seats[2].flags == SeatFlag.COMPANION
    # The aisle between 1 and 2 breaks the row; the table is a ring.
    assert plan.runs == ((0, 1), (2, 3), (4, 5, 6, 7))
    assert plan.left[4] == 7
    assert plan.tables[0].whole
    assert plan.tables[0].seats == (4, 5, 6, 7)
    label = plan.seat_label(4)
    assert (label.section, label.row, label.seat) == ("Parterre", "Table 1", "1")
    (area,) = plan.areas
    assert (area.capacity, area.section, plan.categories[area.category].name) == (60, 1, "Debout")


def test_derived_values_of_a_plan():
    plan = load_plan(documented_example())
    assert plan.seat_index("parterre-A-2") == 2
    with pytest.raises(KeyError):
        plan.seat_index("parterre-A-9")
    assert plan.distance(0) == pytest.approx((64**2 + 40**2) ** 0.5)
    assert plan.seat_categories == (0,) * 8
    assert plan.seat_sections == (0,) * 8
    assert plan.pitch == pytest.approx(39.6, abs=0.01)  # the table's sides outnumber the row's


def test_the_hash_names_the_content():
    plan = load_plan(documented_example())
    again = load_plan(documented_example())
    assert plan.content_hash() == again.content_hash()
    assert re.fullmatch(r"[0-9a-f]{64}", plan.content_hash())
    other = load_plan(documented_example().replace(b'"x":86', b'"x":87'))
    assert other.content_hash() != plan.content_hash()
    spaced = json.dumps(json.loads(documented_example()), indent=3, sort_keys=True).encode()
    assert load_plan(spaced).content_hash() == plan.content_hash()


def test_a_plan_that_is_not_sorted_cannot_be_written():
    plan = load_plan(documented_example())
    rows = (plan.rows[1], plan.rows[0])
    wrong = Plan(**{f: getattr(plan, f) for f in plan.__struct_fields__} | {"rows": rows})
    with pytest.raises(ValueError, match="not sorted"):
        dump_plan(wrong)


@pytest.mark.parametrize("house", [italian_theatre, club])
def test_the_demo_houses_come_back_from_their_bytes(house):
    again = load_plan(dump_plan(house()))
    for part in again.__struct_fields__:
        assert getattr(again, part) == getattr(house(), part), part


@each_venue
def test_a_real_house_comes_back_from_our_format(path):
    plan = load(path)
    data = dump_plan(plan)
    again = load_plan(data)
    assert again == plan
    assert dump_plan(again) == data


def pretix_seats(raw):
    """guid -> (zone, row, number, category, absolute x, y)."""
    seats = {}
    for zone in raw["zones"]:
        for row in zone["rows"]:
            origins = [zone["position"], row.get("position", {"x": 0, "y": 0})]
            for seat in row["seats"]:
                x, y = (sum(o[a] for o in [*origins, seat["position"]]) for a in "xy")
                seats[seat["seat_guid"]] = (
                    (zone["name"], row["row_number"], seat["seat_number"], seat["category"]), x, y,
                )  # fmt: skip
    return seats


def pretix_drawing(raw):
    """Each drawn shape with its absolute position, in any order."""
    drawn = []
    for zone in raw["zones"]:
        for area in zone.get("areas", []):
            place = {a: round(zone["position"][a] + area["position"][a], 5) for a in "xy"}
            drawn.append(json.dumps(area | {"position": place}, sort_keys=True))
    return sorted(re.sub(r"(\d)\.0\b", r"\1", text) for text in drawn)


@each_venue
def test_pretix_to_ours_to_pretix_keeps_seats_and_drawing(path):
    raw = json.loads(path.read_bytes())
    data, _ = dump_pretix(load_plan(dump_plan(load(path))))
    back = json.loads(data)
    before, after = pretix_seats(raw), pretix_seats(back)
    assert before.keys() == after.keys()
    for guid, (words, x, y) in before.items():
        assert after[guid][0] == words
        assert isclose(after[guid][1], x, abs_tol=1e-6)
        assert isclose(after[guid][2], y, abs_tol=1e-6)
    assert pretix_drawing(back) == pretix_drawing(raw)
    assert back["categories"] == raw["categories"]
    assert back["size"] == raw["size"]
    assert back["name"] == raw["name"]


def tiny(**changes):
    """The tiny hall of the pretix format's description, with changes at the top level."""
    seats = [
        {"seat_guid": f"s{n}", "seat_number": str(n), "position": {"x": 25 * n, "y": 0},
         "category": "Stalls"} for n in range(1, 4)
    ]  # fmt: skip
    row = {"row_number": "A", "position": {"x": 0, "y": 0}, "seats": seats}
    zone = {"name": "Stalls", "zone_id": "st", "position": {"x": 40, "y": 60}, "rows": [row]}
    return {
        "name": "Tiny hall",
        "size": {"width": 200, "height": 120},
        "categories": [{"name": "Stalls", "color": "#7f3c8d"}],
        "zones": [zone],
    } | changes


def encoded(raw) -> bytes:
    return json.dumps(raw).encode()


def test_positions_nest():
    plan = load_plan(encoded(tiny()))
    assert [(seat.x, seat.y) for seat in plan.seats] == [(65, 60), (90, 60), (115, 60)]


def test_a_rotated_table_is_found_and_goes_back_where_it_was():
    raw = tiny()
    area = {"shape": "rectangle", "position": {"x": 60, "y": -20}, "rotation": 90,
            "rectangle": {"width": 40, "height": 20}, "color": "#f0e0c8",
            "text": {"text": "T1", "color": "#333333", "size": 12,
                     "position": {"x": 0, "y": 0}}}  # fmt: skip
    # About (60, -20) a quarter turn lays the table over x 40..60, y -20..20.
    places = [(50, -30), (70, 0), (50, 30), (30, 0)]
    seats = raw["zones"][0]["rows"][0]["seats"] + [{"seat_guid": "s4"}]
    for number, (seat, (x, y)) in enumerate(zip(seats, places, strict=True), start=1):
        seat |= {"seat_number": str(number), "position": {"x": x, "y": y}, "category": "Stalls"}
    raw["zones"][0]["rows"][0]["seats"] = seats
    raw["zones"][0]["areas"] = [area]
    plan = load_plan(encoded(raw))
    (table,) = plan.tables
    assert (table.x, table.y, table.label) == (40 + 50, 60 + 0, "T1")
    assert plan.left[0] == 3
    assert not plan.shapes
    back = json.loads(dump_pretix(plan)[0])
    assert pretix_drawing(back) == pretix_drawing(raw)


def test_a_stage_is_known_by_its_words_and_makes_the_focal_point():
    raw = tiny()
    stage = {"shape": "rectangle", "position": {"x": 0, "y": 0}, "rotation": 0,
             "rectangle": {"width": 100, "height": 20}, "color": "#dddddd",
             "text": {"text": "Bühne", "position": {"x": 0, "y": 0}}}  # fmt: skip
    raw["zones"].append({"name": "x", "position": {"x": 40, "y": 10}, "rows": [], "areas": [stage]})
    plan = load_plan(encoded(raw))
    assert plan.shapes[0].role == "stage"
    assert plan.focal == (90, 30)
    assert len(plan.sections) == 1


def test_without_anything_to_look_at_the_focal_point_is_the_middle_of_the_seats():
    assert load_plan(encoded(tiny())).focal == (90, 60)


def test_export_draws_what_the_format_has_not_and_warns():
    data, losses = dump_pretix(club())
    codes = {problem.code: problem.values.get("count") for problem in losses}
    assert codes == {"export-tables": 18, "export-whole": 2, "export-areas": 2, "export-flags": 4}
    back = load_plan(data)
    plan = club()
    assert {seat.id for seat in back.seats} == {seat.id for seat in plan.seats}
    assert len(back.tables) == len(plan.tables)
    assert not back.areas
    words = [shape.text for shape in back.shapes]
    assert "Debout, salle (120)" in words


CSV = """section,row,seat,x,y,category
Parterre,A,1,60,40,Carré d'or
Parterre,A,2,80,40,Carré d'or
Parterre,A,3,40,40,Série 1
Parterre,B,1,50,70,Série 1
Balcon,,1,50,170,Série 1
"""


def test_csv():
    plan = load_plan(CSV.encode(), "Salle")
    assert plan.name == "Salle"
    assert [section.name for section in plan.sections] == ["Parterre", "Balcon"]
    assert [category.name for category in plan.categories] == ["Carré d'or", "Série 1"]
    assert [(row.label, row.count) for row in plan.rows] == [("A", 3), ("B", 1), ("", 1)]
    # Row A stands as 3-1-2, and that is how one walks along it.
    assert [seat.label for seat in plan.seats[:3]] == ["3", "1", "2"]
    assert plan.runs[0] == (0, 1, 2)
    assert plan.seats[0].id == "Parterre-A-3"
    assert (plan.seats[0].x, plan.seats[0].y) == (40, 40)
    assert plan.width > 80
    assert plan.height > 170


def test_csv_in_another_order_with_semicolons_and_decimal_commas_is_the_same_plan():
    lines = [line.split(",") for line in CSV.replace("40,40", "40,40").splitlines()]
    turned = "\r\n".join(";".join(reversed(cells)) for cells in lines)
    turned = turned.replace("60;", "60,0;") + "\r\n\r\n"
    assert load_plan(b"\xef\xbb\xbf" + turned.encode(), "Salle") == load_plan(CSV.encode(), "Salle")


def test_csv_seats_left_of_zero_are_moved_into_the_house():
    plan = load_plan(b"section,row,seat,x,y,category\nA,1,1,-30,-5,c\nA,1,2,-10,-5,c\n")
    assert plan.seats[1].x - plan.seats[0].x == 20
    assert all(0 < seat.x < plan.width and 0 < seat.y < plan.height for seat in plan.seats)


def test_the_stadium_of_40_000_seats_is_read_in_time():
    path = VENUES / "stadium-metalist-39k.json"
    if not path.exists():
        pytest.skip("the shared venue plans are not here")
    import time

    data = path.read_bytes()
    started_s = time.process_time()
    plan = load_plan(data)
    _ = plan.runs
    assert len(plan.seats) == 39_616
    assert time.process_time() - started_s < 5


def test_a_bad_file_says_what_is_wrong_in_the_error_too():
    with pytest.raises(PlanError, match=r"missing-key at zones\[0\]"):
        load_plan(encoded(tiny(zones=[{"name": "x", "rows": []}])))
