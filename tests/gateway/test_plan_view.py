"""The plan as the pages read it: every column the plan's own, small, and always the same bytes."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from engine.demo_houses import club, italian_theatre
from engine.plan import Area, Category, Plan, Row, Seat, Section, Shape, Table
from engine.plan_io import load_plan
from gateway.plan_view import plan_view

VENUES = Path(__file__).resolve().parents[3] / "shared" / "venues"

TINY = Plan(
    id="tiny",
    name="Petite salle",
    width=200.0,
    height=120.5,
    focal=(100.0, 0.333333),
    categories=(Category("Parterre", "#7f3c8d"), Category("Debout", "#11a579")),
    sections=(Section("st", "Parterre"), Section("tb", "Tables")),
    rows=(Row(0, "A", 0, 2), Row(1, "", 2, 2)),
    seats=(
        Seat("st-A-1", 0, "1", 40.0, 40.123456, 0),
        Seat("st-A-2", 0, "2", 65.005, 40.0, 0, flags=5),
        Seat("tb-1", 1, "1", 40.0, 90.0, 0, table=0),
        Seat("tb-2", 1, "2", 60.0, 90.0, 0, table=0),
    ),
    tables=(Table("t1", 1, "7", 50.0, 90.0, "round", 12.0, 12.0, 30.0, (2, 3), whole=True),),
    areas=(Area("ar", 1, "Fosse", 120, 1, ((100.0, 60.0), (190.0, 60.0), (190.0, 110.0))),),
    shapes=(
        Shape("rectangle", 50.0, 0.0, width=100.0, height=20.0, text="Scène", role="stage"),
        Shape("polygon", 0.0, 0.0, points=((0.0, 0.0), (1.25, 2.0), (3.0, 0.0))),
    ),
)


def view_of(plan: Plan) -> dict[str, Any]:
    return json.loads(plan_view(plan))


def test_a_small_house_column_by_column() -> None:
    view = view_of(TINY)
    pitch = view.pop("pitch")
    assert pitch == pytest.approx(TINY.pitch, abs=0.005)
    assert view == {
        "name": "Petite salle",
        "width": 200,
        "height": 120.5,
        "focal": [100, 0.33],
        "categories": [
            {"name": "Parterre", "color": "#7f3c8d"},
            {"name": "Debout", "color": "#11a579"},
        ],
        "sections": [{"id": "st", "name": "Parterre"}, {"id": "tb", "name": "Tables"}],
        "rows": [[0, "A", 0, 2], [1, "", 2, 2]],
        "tables": [[1, "7", 50, 90, "round", 12, 12, 30, True, [2, 3]]],
        "areas": [[1, "Fosse", 120, 1, [[100, 60], [190, 60], [190, 110]]]],
        "shapes": [
            {
                "kind": "rectangle",
                "x": 50,
                "y": 0,
                "width": 100,
                "height": 20,
                "text": "Scène",
                "role": "stage",
            },
            {"kind": "polygon", "x": 0, "y": 0, "points": [[0, 0], [1.25, 2], [3, 0]]},
        ],
        "x": [40, 65, 40, 60],
        "y": [40.12, 40, 90, 90],
        "label": ["1", "2", "1", "2"],
        "category": [0, 0, 0, 0],
        "flags": [0, 5, 0, 0],
        "table": [-1, -1, 0, 0],
        "runs": [[0, 1], [2, 3]],
    }


@pytest.mark.parametrize("make", [italian_theatre, club])
def test_what_the_page_reads_is_what_the_plan_says(make: Any) -> None:
    plan: Plan = make()
    view = view_of(plan)
    for index, seat in enumerate(plan.seats):
        row = next(row for row in view["rows"] if row[2] <= index < row[2] + row[3])
        label = plan.seat_label(index)
        assert view["sections"][row[0]]["name"] == label.section
        assert (row[1], view["label"][index]) == (label.row, label.seat)
        assert view["x"][index] == pytest.approx(seat.x, abs=0.0051)
        assert view["y"][index] == pytest.approx(seat.y, abs=0.0051)
        assert view["categories"][view["category"][index]]["name"] == (
            plan.categories[seat.category].name
        )
    assert sorted(seat for run in view["runs"] for seat in run) == list(range(len(plan.seats)))


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert plan_view(italian_theatre()) == plan_view(italian_theatre())


def test_a_stadium_stays_small() -> None:
    path = VENUES / "stadium-metalist-39k.json"
    if not path.exists():
        pytest.skip(f"{path.name} is not there: the size of a large plan is not tried")
    plan = load_plan(path.read_bytes())
    body = plan_view(plan)
    assert len(json.loads(body)["x"]) == 39_616
    assert len(gzip.compress(body, 6)) < 400_000
