"""A house in cells: every seat has its own, rows keep their order, words cover nothing."""

from itertools import pairwise

import pytest

from console.map_layout import (
    MARGIN_COLUMNS,
    SEAT_COLUMNS,
    Ground,
    MapLayout,
    Zoom,
    lay_out,
    outline,
)
from console.seating import Seating
from engine.demo_houses import club, italian_theatre
from engine.plan import Shape
from engine.plan_io import load_plan
from tests.console.houses import theatre
from tests.console.test_seating import VENUES, seating_of

OWN = {plan.__name__: plan for plan in (theatre, italian_theatre, club)}
REAL = ("kulish-kherson", "gala-28-tables", "opera-bishkek", "odk-mykolaiv", "stadium-16k")


@pytest.fixture(scope="module", params=[*OWN, *REAL])
def house(request: pytest.FixtureRequest) -> Seating:
    if request.param in OWN:
        return seating_of(OWN[request.param]())
    path = VENUES / f"{request.param}.json"
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return seating_of(load_plan(path.read_bytes()))


def taken_cells(layout: MapLayout, house: Seating) -> list[tuple[int, int]]:
    width = SEAT_COLUMNS[layout.zoom]
    return [
        (column + step, line)
        for column, line in layout.cells[: house.seat_count]
        for step in range(width)
    ]


@pytest.mark.parametrize("zoom", [Zoom.ROWS, Zoom.CLOSE])
def test_every_seat_has_cells_of_its_own(house: Seating, zoom: Zoom) -> None:
    layout = lay_out(house, zoom, 0, 0)
    cells = taken_cells(layout, house)
    assert len(set(cells)) == len(cells)
    assert all(0 <= c < layout.columns and 0 <= n < len(layout.lines) for c, n in cells)


@pytest.mark.parametrize("zoom", list(Zoom))
def test_words_stand_where_no_seat_and_no_other_word_is(house: Seating, zoom: Zoom) -> None:
    layout = lay_out(house, zoom, 54, 18)
    written = [
        (words.column + step, number)
        for number, line in enumerate(layout.lines)
        for words in line.words
        for step in range(len(words.text))
    ]
    assert len(set(written)) == len(written)
    assert not set(written) & set(taken_cells(layout, house))


@pytest.mark.parametrize(("columns", "lines"), [(54, 18), (96, 39), (30, 10)])
def test_the_overview_fits_the_room_it_is_given(house: Seating, columns: int, lines: int) -> None:
    layout = lay_out(house, Zoom.OVERVIEW, columns, lines)
    assert layout.columns <= columns
    assert len(layout.lines) <= lines
    assert sum(len(s) for line in layout.lines for s in line.seats.values()) == house.seat_count


def test_the_house_keeps_its_proportions() -> None:
    house = seating_of(theatre())
    layout = lay_out(house, Zoom.OVERVIEW, 96, 39)
    sx, sy = layout.scale
    assert sx == pytest.approx(2 * sy)  # a line is as high as two columns are wide


def test_a_row_keeps_its_order_and_its_aisle() -> None:
    house = seating_of(theatre())
    layout = lay_out(house, Zoom.ROWS, 0, 0)
    row = house.find_seats("stalls d 1-18")
    columns = [layout.cells[seat][0] for seat in row]
    assert len({layout.cells[seat][1] for seat in row}) == 1
    steps = [b - a for a, b in pairwise(columns)]
    assert steps[8] > 4
    assert set(steps[:8] + steps[9:]) == {2}


def test_a_point_of_the_map_is_the_place_it_shows() -> None:
    house = seating_of(theatre())
    for zoom in Zoom:
        layout = lay_out(house, zoom, 54, 18)
        for seat in range(0, house.seat_count, 7):
            x, y = layout.point(*layout.cells[seat])
            assert abs(x - house.spot_x[seat]) * layout.scale[0] <= 2.5
            assert abs(y - house.spot_y[seat]) * layout.scale[1] <= 1.51


def test_stage_and_area_lie_under_the_map() -> None:
    house = seating_of(theatre())
    layout = lay_out(house, Zoom.ROWS, 0, 0)
    grounds = {span.ground for line in layout.lines for span in line.spans}
    assert grounds == {Ground.STAGE, Ground.AREA}
    column, line = layout.cells[house.seat_count]
    assert layout.lines[line].areas == [0]
    assert any(s.start <= column < s.end and s.area == 0 for s in layout.lines[line].spans)
    names = {words.text for line in layout.lines for words in line.words}
    assert {"STAGE", "Promenade", "Stalls", "Circle", "A", "H"} <= names


def test_a_turned_rectangle_has_turned_corners() -> None:
    corners = outline(Shape("rectangle", 10, 10, 4, 2, 90))
    assert [(round(x), round(y)) for x, y in corners] == [(10, 10), (10, 14), (8, 14), (8, 10)]


def test_seats_in_one_spot_are_laid_beside_each_other() -> None:
    house = seating_of(load_plan(_two_in_one_spot(), "close"))
    layout = lay_out(house, Zoom.ROWS, 0, 0)
    assert len(set(layout.cells)) == 4
    assert min(column for column, _ in layout.cells) >= MARGIN_COLUMNS - 2


def _two_in_one_spot() -> bytes:
    lines = ["section,row,seat,x,y,category"]
    lines += [f"S,A,{n},{20 * n},10,C" for n in (1, 2)]
    # Half a pitch in front of row A: the same line of cells.
    lines += [f"S,B,{n},{20 * n},14,C" for n in (1, 2)]
    return "\n".join(lines).encode()
