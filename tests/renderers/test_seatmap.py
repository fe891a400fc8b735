"""Pictures of plans: what is in the SVG, what colour the pixels are, what is refused."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from engine.demo_houses import club, italian_theatre
from engine.plan import Plan
from engine.plan_io import load_plan
from renderers import plan_scene, seatmap
from renderers.i18n import translator
from renderers.palette import DARK, LIGHT, SEATS, SeatState, rgb
from renderers.plan_marks import Disc, Panel, Polygon, Words

VENUES = Path(__file__).resolve().parents[3] / "shared" / "venues"
VENUE_FILES = sorted(VENUES.glob("*.json"))
SVG = "{http://www.w3.org/2000/svg}"


def scene(plan, statuses=None, theme=LIGHT, width=1200):
    return plan_scene.build_scene(plan, statuses, theme, "", width, translator("en"))


def hall(**extra) -> Plan:
    """Six seats in two rows, far enough apart to look at single pixels."""
    lines = ["section,row,seat,x,y,category"]
    lines += [f"S,{row},{n},{40 + 40 * n},{y},{'gold' if row == 'A' else 'red'}"
              for row, y in (("A", 60), ("B", 120)) for n in (1, 2, 3)]  # fmt: skip
    plan = load_plan("\n".join(lines).encode(), "Hall")
    return Plan(**{f: getattr(plan, f) for f in plan.__struct_fields__} | extra)


def pixel_at_seat(data, plan, index, width, dx=0.0):
    """The pixel in the middle of a seat, or beside it by `dx` of its radius."""
    image = Image.open(BytesIO(data)).convert("RGB")
    drawn = scene(plan, width=width)
    discs = [mark for mark in drawn.marks if isinstance(mark, Disc)]
    seats = sorted(discs[: len(plan.seats)], key=lambda disc: (disc.y, disc.x))
    seat = seats[index]
    return image.getpixel((round(seat.x + dx * seat.r), round(seat.y)))


def test_svg_is_well_formed_and_has_one_mark_a_seat_and_its_name():
    plan = hall(name='Salle <1> & "fils"')
    root = ET.fromstring(seatmap.svg(plan))
    assert root.find(f"{SVG}title").text == 'Salle <1> & "fils"'
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert 'Salle <1> & "fils"' in words
    circles = list(root.iter(f"{SVG}circle"))
    assert len(circles) == len(plan.seats) + len(plan.categories)  # the legend has its own


def test_the_legend_names_what_is_there_with_its_number():
    words = [mark.text for mark in scene(club()).marks if isinstance(mark, Words)]
    for text in ("Tables de scène", "20", "Debout", "160", "restricted view", "table sold whole"):
        assert text in words
    assert "wheelchair place" not in words
    live = [SeatState.SOLD] * 104
    words = [mark.text for mark in scene(club(), live).marks if isinstance(mark, Words)]
    assert "taken" in words
    assert "available" not in words


def test_categories_colour_the_seats():
    plan = hall()
    data = seatmap.png(plan, width_px=900)
    for index, category in ((0, 0), (5, 1)):
        found = pixel_at_seat(data, plan, index, 900, dx=-0.7)
        assert found == rgb(plan.categories[category].color)


def test_statuses_colour_the_seats():
    plan = hall()
    statuses = [SeatState.AVAILABLE, SeatState.SOLD, SeatState.MINE, SeatState.BLOCKED,
                SeatState.HELD, SeatState.AVAILABLE]  # fmt: skip
    data = seatmap.png(plan, statuses, width_px=900)
    for index in (0, 1, 2, 5):
        found = pixel_at_seat(data, plan, index, 900, dx=-0.65)
        assert found == rgb(SEATS[statuses[index]].fill)
    assert pixel_at_seat(data, plan, 3, 900) == rgb(SEATS[SeatState.BLOCKED].fill)
    assert pixel_at_seat(data, plan, 4, 900) == rgb(LIGHT.floor)  # a held seat is a hollow frame


def test_each_state_has_its_own_shape():
    kinds = set()
    for state in SeatState:
        plan = hall()
        marks = scene(plan, [state] * 6).marks
        shapes = Counter(
            (type(mark).__name__, len(getattr(mark, "points", ())), bool(mark.style.fill))
            for mark in marks
            if isinstance(mark, Disc | Polygon | Panel)
        )
        # Six seats and the legend's.
        kinds.add(next(kind for kind, count in shapes.items() if count >= 7))
    assert len(kinds) == len(SeatState)


def test_statuses_must_fit_the_plan():
    with pytest.raises(ValueError, match="5 statuses for 6 seats"):
        seatmap.svg(hall(), [0] * 5)
    with pytest.raises(ValueError, match="9 is not a valid SeatState"):
        seatmap.svg(hall(), [9] * 6)


def test_statuses_may_be_the_bytes_of_a_feed():
    plan = hall()
    assert seatmap.svg(plan, bytes([0, 1, 2, 3, 4, 0])) == seatmap.svg(plan, [0, 1, 2, 3, 4, 0])


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_png_has_the_width_asked_for_and_the_ground_of_the_theme(theme):
    image = Image.open(BytesIO(seatmap.png(italian_theatre(), theme=theme, width_px=700)))
    assert image.width == 700
    assert image.getpixel((2, 2)) == rgb(theme.paper)


@pytest.mark.parametrize("width", [0, 199, 8001, 10**9])
def test_png_widths_are_bounded(width):
    with pytest.raises(seatmap.PictureSizeError):
        seatmap.png(hall(), width_px=width)


def test_a_very_tall_house_is_bounded_too():
    tall = hall(height=hall().width * 500)
    with pytest.raises(seatmap.PictureSizeError) as refused:
        seatmap.png(tall, width_px=8000)
    assert refused.value.most_px < 1000


def test_names_in_any_script_are_drawn():
    image = seatmap.png(hall(name="Театр ім. Куліша 银幕 \U0001f3ad"), width_px=400)
    assert Image.open(BytesIO(image)).width == 400


def test_a_file_cannot_smuggle_markup_into_a_picture():
    plan = hall(name="<script>alert(1)</script>")
    assert "<script" not in seatmap.svg(plan)


def test_the_same_plan_gives_the_same_picture():
    assert seatmap.svg(italian_theatre()) == seatmap.svg(italian_theatre.__wrapped__())
    assert seatmap.png(club(), width_px=300) == seatmap.png(club.__wrapped__(), width_px=300)


def test_a_seat_is_where_the_plan_has_it():
    plan = italian_theatre()
    root = ET.fromstring(seatmap.svg(plan))
    drawn = {(float(c.get("cx")), float(c.get("cy"))) for c in root.iter(f"{SVG}circle")}
    scale = (seatmap.SVG_WIDTH_PX - 2 * plan_scene.PADDING_PX) / plan.width
    top = plan_scene.PADDING_PX + plan_scene.TITLE_BAND_PX
    plain = [seat for seat in plan.seats if not seat.flags]
    for seat in plain[::50]:
        x, y = plan_scene.PADDING_PX + seat.x * scale, top + seat.y * scale
        assert any(abs(cx - x) < 0.01 and abs(cy - y) < 0.01 for cx, cy in drawn)


def test_no_words_of_a_house_overlap_a_seat_of_its_rows():
    plan = italian_theatre()
    drawn = scene(plan)
    labels = {row.label for row in plan.rows if len(row.label) == 1 and row.label.isalpha()}
    discs = [mark for mark in drawn.marks if isinstance(mark, Disc)]
    for word in drawn.marks:
        if isinstance(word, Words) and word.text in labels:
            nearest = min(
                ((disc.x - word.x) ** 2 + (disc.y - word.y) ** 2) ** 0.5 - disc.r for disc in discs
            )
            assert nearest > 0


@pytest.mark.skipif(not VENUE_FILES, reason="the shared venue plans are not here")
@pytest.mark.parametrize("path", VENUE_FILES, ids=lambda path: path.stem)
def test_every_real_house_is_drawn_whole(path):
    plan = load_plan(path.read_bytes())
    text = seatmap.svg(plan, theme=DARK)
    root = ET.fromstring(text)
    assert len(list(root.iter(f"{SVG}circle"))) >= len(plan.seats)
    width, height = (float(root.get(key)) for key in ("width", "height"))
    for circle in root.iter(f"{SVG}circle"):
        assert 0 < float(circle.get("cx")) < width
        assert 0 < float(circle.get("cy")) < height
    assert not re.search(r"nan|inf\b", text)
    data = seatmap.png(plan, [SeatState.SOLD] * len(plan.seats), width_px=600)
    colors = Image.open(BytesIO(data)).convert("RGB").getcolors(1 << 24)
    assert rgb(SEATS[SeatState.SOLD].fill) in {color for _, color in colors}
