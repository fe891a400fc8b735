"""The map on the screen: glyphs, colours, the cursor, and how little is painted again."""

import pytest
from rich.color import Color
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip

from console import looks
from console.looks import DENSITY, GLYPHS, Mark
from console.map_layout import Ground, Zoom
from console.seating import Seating
from console.widgets.seat_map import FULL_REPAINT_SEATS, SeatMap
from engine.commands import SeatStatus
from engine.feed import Replica
from renderers.palette import SEATS, SeatState, contrast
from tests.console.houses import theatre
from tests.console.test_seating import seating_of

SIZE = (120, 45)


class CountingMap(SeatMap):
    """Counts the lines it is asked to draw."""

    painted: list[int]

    def render_line(self, y: int) -> Strip:
        self.painted.append(y)
        return super().render_line(y)


class MapApp(App[None]):
    def __init__(self) -> None:
        super().__init__()
        for name in looks.THEMES:
            self.register_theme(looks.terminal_theme(name))
        self.theme = looks.DARK
        self.house = seating_of(theatre())
        self.replica = Replica(1, self.house.seat_count, 1)
        self.replica.areas = [60]
        self.chosen: list[int] = []

    def compose(self) -> ComposeResult:
        yield CountingMap()

    def on_seat_map_chosen(self, event: SeatMap.Chosen) -> None:
        self.chosen.append(event.spot)

    @property
    def map(self) -> CountingMap:
        return self.query_one(CountingMap)

    def cell(self, spot: int) -> tuple[str, Color | None, Color | None]:
        """Glyph, colour and ground of a spot as it is on the screen."""
        column, line = self.map._layout.cells[spot]
        strip = self.map.render_line(line - self.map._top)
        at = column - self.map._left
        for segment in strip.crop(at, at + 1):
            assert segment.style is not None
            return segment.text, segment.style.color, segment.style.bgcolor
        raise AssertionError("outside the view")


@pytest.fixture
async def pilot():  # type: ignore[no-untyped-def]
    app = MapApp()
    CountingMap.painted = []
    async with app.run_test(size=SIZE) as pilot:
        await pilot.pause()
        app.map.show(app.house, app.replica)
        app.map.focus()
        await pilot.pause()
        yield pilot


def of(pilot: Pilot[None]) -> MapApp:
    app = pilot.app
    assert isinstance(app, MapApp)
    return app


def seat(house: Seating, text: str) -> int:
    found = house.find(text)
    assert found is not None
    return found


# Looks ---------------------------------------------------------------------------


def test_no_two_states_share_a_glyph() -> None:
    assert len(set(GLYPHS.values())) == len(Mark)
    assert not set(GLYPHS.values()) & set(DENSITY)


@pytest.mark.parametrize("theme", looks.THEMES)
@pytest.mark.parametrize("ground", list(Ground))
def test_every_state_stands_out_from_every_ground(theme: str, ground: Ground) -> None:
    for mark in Mark:
        style = looks.seat_style(theme, mark, ground)
        assert style.color is not None and style.bgcolor is not None
        fore, back = style.color.get_truecolor().hex, style.bgcolor.get_truecolor().hex
        assert contrast(fore, back) >= 3, (mark, fore, back)


def test_colours_are_the_palettes() -> None:
    mine = looks.seat_style(looks.DARK, Mark.MINE, Ground.FLOOR)
    assert mine.bgcolor is not None
    assert mine.bgcolor.get_truecolor().hex == SEATS[SeatState.MINE].fill
    hues = {
        mark: looks.seat_style(looks.DARK, mark, Ground.FLOOR).color
        for mark in (Mark.FREE, Mark.SOLD, Mark.OFF)
    }
    red, green, blue = hues[Mark.FREE].get_truecolor()  # type: ignore[union-attr]
    assert green > red and green > blue
    red, green, blue = hues[Mark.SOLD].get_truecolor()  # type: ignore[union-attr]
    assert red > green > blue
    red, green, blue = hues[Mark.OFF].get_truecolor()  # type: ignore[union-attr]
    assert red == green == blue


@pytest.mark.parametrize("theme", looks.THEMES)
def test_the_line_of_keys_can_be_read(theme: str) -> None:
    colors = looks.terminal_theme(theme).variables
    for text in ("bar-key", "bar-text"):
        assert contrast(colors[text], colors["bar"]) >= 4.5


def test_styles_are_made_once() -> None:
    one = looks.seat_style(looks.DARK, Mark.FREE, Ground.FLOOR)
    assert looks.seat_style(looks.DARK, Mark.FREE, Ground.FLOOR) is one


# What is drawn -------------------------------------------------------------------


@pytest.mark.parametrize("zoom", [Zoom.ROWS, Zoom.CLOSE])
async def test_each_status_has_its_glyph_and_colour(pilot, zoom: Zoom) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    seats = app.house.find_seats("stalls c 11-15")
    for place, status in zip(seats, SeatStatus, strict=False):
        app.replica.statuses[place] = status
    app.map.own({seats[4]}, {})
    app.map.set_zoom(zoom)
    app.map.go_to(seat(app.house, "c 10"))
    shown = [app.cell(place) for place in seats]
    marks = [Mark.FREE, Mark.HELD, Mark.SOLD, Mark.OFF, Mark.MINE]
    assert [glyph for glyph, _, _ in shown] == [GLYPHS[mark] for mark in marks]
    for (_, color, ground), mark in zip(shown, marks, strict=True):
        style = looks.seat_style(looks.DARK, mark, Ground.FLOOR)
        assert (color, ground) == (style.color, style.bgcolor)


async def test_close_by_a_seat_shows_its_number(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    app.map.set_zoom(Zoom.CLOSE)
    app.map.go_to(seat(app.house, "d 12"))
    column, line = app.map._layout.cells[seat(app.house, "d 11")]
    text = app.map.render_line(line - app.map._top).text
    at = column - app.map._left
    assert text[at : at + 4].rstrip() == f"{GLYPHS[Mark.FREE]}11"


async def test_the_overview_shows_how_much_is_free(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    many = list(range(16))
    statuses = app.replica.statuses
    assert app.map.cell(many, dense=True) == ("█", Mark.FREE)
    statuses[0:8] = bytes([SeatStatus.SOLD]) * 8
    assert app.map.cell(many, dense=True) == ("▒", Mark.FREE)
    statuses[0:15] = bytes([SeatStatus.SOLD]) * 15
    assert app.map.cell(many, dense=True) == ("░", Mark.FREE)
    statuses[15] = SeatStatus.HELD
    assert app.map.cell(many, dense=True) == (GLYPHS[Mark.SOLD], Mark.SOLD)
    statuses[0:16] = bytes([SeatStatus.BLOCKED]) * 16
    assert app.map.cell(many, dense=True) == (GLYPHS[Mark.OFF], Mark.OFF)
    app.map.own({3}, {})
    assert app.map.cell(many, dense=True) == (GLYPHS[Mark.MINE], Mark.MINE)


async def test_a_sparse_overview_shows_seats_as_they_are(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    assert app.map.cell([3, 4], dense=False) == (GLYPHS[Mark.FREE], Mark.FREE)
    app.replica.statuses[3] = SeatStatus.SOLD
    assert app.map.cell([3, 4], dense=False) == ("▒", Mark.FREE)
    assert app.map.cell([3], dense=False) == (GLYPHS[Mark.SOLD], Mark.SOLD)
    assert app.map.cell([4], dense=True) == ("█", Mark.FREE)


async def test_a_price_category_is_set_apart(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    app.map.look_at(1)
    assert app.map.mark(seat(app.house, "stalls c 5")) is Mark.ASIDE
    assert app.map.mark(seat(app.house, "circle a 5")) is Mark.FREE
    app.map.look_at(-1)
    assert app.map.mark(seat(app.house, "stalls c 5")) is Mark.FREE


async def test_an_area_shows_its_free_places_and_mine(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    assert app.map.area_words(0) == (f"{GLYPHS[Mark.FREE]} 60", Mark.FREE)
    app.map.own((), {0: 4})
    assert app.map.area_words(0) == (f"{GLYPHS[Mark.MINE]}4 / 60", Mark.MINE)
    app.map.own((), {})
    app.replica.areas[0] = 0
    assert app.map.area_words(0)[1] is Mark.SOLD


async def test_a_small_house_opens_on_its_seats_a_large_one_on_the_whole(pilot) -> None:  # type: ignore[no-untyped-def]
    assert of(pilot).map.zoom is Zoom.ROWS
    small = MapApp()
    async with small.run_test(size=(54, 18)) as other:
        await other.pause()
        small.map.show(small.house, small.replica)
        assert small.map.zoom is Zoom.OVERVIEW


# Repainting ----------------------------------------------------------------------


async def painted_after(pilot: Pilot[None], seats: list[int], areas: bool = False) -> int:
    await pilot.pause()
    CountingMap.painted.clear()
    of(pilot).map.changed(seats, areas)
    await pilot.pause()
    return len(CountingMap.painted)


async def test_a_changed_seat_repaints_its_line_only(pilot) -> None:  # type: ignore[no-untyped-def]
    house = of(pilot).house
    assert await painted_after(pilot, [seat(house, "c 5")]) == 1
    assert await painted_after(pilot, house.find_seats("c 1-9")) == 1
    assert await painted_after(pilot, house.find_seats("c 5, d 5, e 5")) == 3
    assert await painted_after(pilot, []) == 0


async def test_many_changed_seats_are_one_full_repaint(pilot) -> None:  # type: ignore[no-untyped-def]
    assert await painted_after(pilot, list(range(FULL_REPAINT_SEATS))) < SIZE[1]
    assert await painted_after(pilot, list(range(FULL_REPAINT_SEATS + 1))) == SIZE[1]
    assert await painted_after(pilot, [], areas=True) == SIZE[1]


async def test_only_the_cells_of_the_seat_are_sent(pilot, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    sent: list[Region] = []
    monkeypatch.setattr(app.map, "refresh", lambda *regions, **_: sent.extend(regions))
    app.map.changed([seat(app.house, "c 5")])
    assert [(region.width, region.height) for region in sent] == [(3, 1)]


async def test_what_is_out_of_view_is_not_painted() -> None:
    app = MapApp()
    CountingMap.painted = []
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        app.map.show(app.house, app.replica)
        app.map.set_zoom(Zoom.CLOSE)
        app.map.go_to(seat(app.house, "stalls a 9"))
        assert await painted_after(pilot, [seat(app.house, "circle b 12")]) == 0


async def test_moving_the_cursor_repaints_two_lines_at_most(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    app.map.go_to(seat(app.house, "c 5"))
    await pilot.pause()
    CountingMap.painted.clear()
    await pilot.press("right")
    assert len(CountingMap.painted) == 1
    CountingMap.painted.clear()
    await pilot.press("up")
    assert len(CountingMap.painted) == 2


# The cursor ----------------------------------------------------------------------


async def test_the_cursor_is_seen_without_colour(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    here = seat(app.house, "c 5")
    app.map.go_to(here)
    column, line = app.map._layout.cells[here]
    text = app.map.render_line(line - app.map._top).text
    at = column - app.map._left
    assert text[at - 1 : at + 2] == f"[{GLYPHS[Mark.FREE]}]"


async def test_keys_move_zoom_and_choose(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    app.map.go_to(seat(app.house, "stalls c 5"))
    await pilot.press("right", "right", "up")
    assert app.house.short(app.map.cursor) == "D 7"
    await pilot.press("enter")
    assert app.chosen == [app.map.cursor]
    await pilot.press("plus", "plus")
    assert app.map.zoom is Zoom.CLOSE
    await pilot.press("minus", "minus", "minus")
    assert app.map.zoom is Zoom.OVERVIEW
    before = app.map.cursor
    await pilot.press("shift+up")
    assert app.house.spot_y[app.map.cursor] < app.house.spot_y[before] - 50


async def test_the_view_follows_the_cursor() -> None:
    app = MapApp()
    CountingMap.painted = []
    async with app.run_test(size=(40, 10)) as pilot:
        await pilot.pause()
        app.map.show(app.house, app.replica)
        app.map.focus()
        app.map.set_zoom(Zoom.CLOSE)
        for key in ["right"] * 6 + ["up"] * 8 + ["left"] * 12:
            await pilot.press(key)
            column, line = app.map._layout.cells[app.map.cursor]
            assert 0 <= column - app.map._left < 40 and 0 <= line - app.map._top < 10


async def test_a_click_chooses_the_seat_under_the_mouse(pilot) -> None:  # type: ignore[no-untyped-def]
    app = of(pilot)
    wanted = seat(app.house, "e 14")
    column, line = app.map._layout.cells[wanted]
    await pilot.click(CountingMap, offset=(column - app.map._left, line - app.map._top))
    assert app.chosen == [wanted]
