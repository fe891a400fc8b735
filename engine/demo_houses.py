"""Two houses drawn by ourselves, for demonstrations and tests: a theatre and a club.

Owns their drawing. `italian_theatre` is a horseshoe house as the nineteenth century
built them: stalls, a ring of boxes, two circles around them. `club` has round tables,
a bar with stools, room to stand and a mezzanine. A plan unit is about 2.5 cm.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from math import cos, hypot, pi, radians, sin

from engine.geometry import Point
from engine.plan import Area, Category, Plan, SeatFlag, Shape, Table
from engine.plan_draft import Draft, DraftRow, DraftSeat, DraftSection, DraftTable
from engine.plan_shapes import box

ROW_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
"""Without I and O, which read like numbers."""

# The theatre's horseshoe: a round about a centre, and straight legs on towards the stage.
CENTRE_X, CENTRE_Y = 690.0, 650.0
BEND = radians(101)
"""The round goes this far to either side of the back."""
LEG = 300.0
SEAT_PITCH = 22.0

# Radii, from the inside out.
STALLS_RIM = 340.0
BOX_FRONT, BOX_BACK, BOX_WIDTH = 362.0, 432.0, 60.0
FIRST_CIRCLE = (450.0, (470.0, 502.0), 522.0)
SECOND_CIRCLE = (544.0, (564.0, 596.0), 616.0)
UPPER_ROW, UPPER_BACK, UPPER_BEND = 630.0, 650.0, radians(44)

GOLD, FIRST, SECOND, THIRD, FOURTH = range(5)


@cache
def italian_theatre() -> Plan:
    """A theatre "à l'italienne" of about 900 seats; odd numbers on the left, even on the right."""
    draft = Draft(
        id="theatre-du-grand-lustre",
        name="Théâtre du Grand Lustre",
        width=2 * CENTRE_X,
        height=CENTRE_Y + UPPER_BACK + 44,
        categories=[
            Category("Carré d’or", "#c29a3c"),
            Category("1re catégorie", "#8c1c2f"),
            Category("2e catégorie", "#3d6b8f"),
            Category("3e catégorie", "#5f8a62"),
            Category("4e catégorie", "#8b7568"),
        ],
    )
    draft.shapes += _theatre_shapes()
    draft.sections += [_stalls(), _boxes(), _first_circle(), _second_circle()]
    return draft.finish()


def _around(s: float, r: float) -> Point:
    """The point of the horseshoe of radius `r` at arc length `s` from its back, left negative."""
    side = 1 if s >= 0 else -1
    angle = min(abs(s) / r, BEND)
    beyond = max(abs(s) - r * BEND, 0.0)
    x = r * sin(angle) + beyond * cos(BEND)
    y = r * cos(angle) - beyond * sin(BEND)
    return CENTRE_X + side * x, CENTRE_Y + y


def _end(r: float) -> float:
    """The arc length at which a horseshoe of radius `r` ends."""
    return r * BEND + LEG


def _is_within(x: float, y: float, r: float) -> bool:
    """The point lies inside the horseshoe of radius `r`."""
    dx, dy = abs(x - CENTRE_X), y - CENTRE_Y
    if dy >= hypot(dx, dy) * cos(BEND):
        return hypot(dx, dy) <= r
    return dx * sin(BEND) + dy * cos(BEND) <= r


def _band(
    inner: float, outer: float, end: float = BEND, leg: float = LEG + 14
) -> tuple[Point, ...]:
    """The outline of a tier between two radii."""
    steps = range(-40, 41)
    front = [_around(step / 40 * (inner * end + leg), inner) for step in steps]
    back = [_around(step / 40 * (outer * end + leg), outer) for step in steps]
    return tuple(_rounded([*front, *reversed(back)]))


def _rounded(points: Sequence[Point]) -> list[Point]:
    return [(round(x, 2), round(y, 2)) for x, y in points]


def _theatre_shapes() -> Iterator[Shape]:
    """From the outside in: floors, partitions, rails, stage, words."""
    yield _polygon(_band(SECOND_CIRCLE[0], SECOND_CIRCLE[2]), "floor")
    yield _polygon(_band(SECOND_CIRCLE[2], UPPER_BACK, UPPER_BEND + 0.03, 0.0), "floor")
    yield _polygon(_band(FIRST_CIRCLE[0], FIRST_CIRCLE[2]), "floor")
    yield _polygon(_band(BOX_FRONT, BOX_BACK), "floor")
    yield _polygon(_band(STALLS_RIM + 10, STALLS_RIM + 10)[:81], "floor")
    yield from _box_walls()
    for front in (BOX_FRONT, FIRST_CIRCLE[0], SECOND_CIRCLE[0]):
        yield _polygon(_band(front - 4, front), "rail")
    yield from _proscenium()
    yield from _theatre_words()


def _polygon(points: Sequence[Point], role: str, text: str = "", size: float = 0.0) -> Shape:
    """A shape in plan coordinates, its words in its middle."""
    points = _rounded(points)
    left, top, right, bottom = box(points)
    return Shape(
        "polygon",
        left,
        top,
        points=tuple(_rounded([(x - left, y - top) for x, y in points])),
        role=role,
        text=text,
        text_size=size,
        text_x=round((right - left) / 2, 2) if text else 0.0,
        text_y=round((bottom - top) / 2, 2) if text else 0.0,
    )


def _proscenium() -> Iterator[Shape]:
    """Stage, apron and orchestra pit, and the wall that parts them from the house."""
    x, top, front, half = CENTRE_X, 40.0, 214.0, 262.0
    angles = [pi * n / 24 for n in range(25)]
    apron = [(x + half * cos(a), front + 38 * sin(a)) for a in angles]
    stage = [(x - 200, top), (x + 200, top), *apron]
    pit_top = [(x + 214 * cos(a), front + 26 + 24 * sin(a)) for a in angles]
    pit_bottom = [(x - 214 * cos(a), front + 44 + 56 * sin(a)) for a in angles]
    yield _polygon([*pit_top, *pit_bottom], "wall", "Fosse d’orchestre", 13)
    yield _polygon(stage, "stage", "Scène", 30)
    for side in (-1, 1):
        end_x, end_y = _around(side * _end(SECOND_CIRCLE[2]), SECOND_CIRCLE[2])
        start = x + side * (half + 6)
        wall = [(start, front - 8), (end_x, end_y - 18), (end_x, end_y - 10), (start, front)]
        yield _polygon(wall, "wall")


def _theatre_words() -> Iterator[Shape]:
    for text, r in (
        ("Parterre", STALLS_RIM - 6),
        ("Loges", (BOX_BACK + FIRST_CIRCLE[0]) / 2),
        ("Corbeille", (FIRST_CIRCLE[2] + SECOND_CIRCLE[0]) / 2 - 2),
        ("Galerie", UPPER_BACK + 16),
    ):
        yield Shape("text", CENTRE_X, CENTRE_Y + r, role="label", text=text.upper(), text_size=12.0)
    for side, text in ((-1, "Côté jardin · impairs"), (1, "Côté cour · pairs")):
        yield Shape("text", CENTRE_X + side * 420, 120.0, role="label", text=text, text_size=16.0)


def _ray(s: float, r: float, reference: float) -> Point:
    """The point at radius `r` straight behind arc length `s` of the horseshoe `reference`."""
    bend = reference * BEND
    if abs(s) <= bend:
        return _around(s * r / reference, r)
    return _around((1 if s > 0 else -1) * (r * BEND + abs(s) - bend), r)


def _stalls() -> DraftSection:
    """Curved rows with a centre aisle and two side aisles; wheelchair places in the last."""
    section = DraftSection("parterre", "Parterre", "stalls")
    curve_y, first_y, row_pitch, rows = -260.0, 356.0, 34.0, 16
    middle = [30 + SEAT_PITCH * n for n in range(9)]
    sides = [middle[-1] + 56 + SEAT_PITCH * n for n in range(6)]
    for number in range(rows):
        r = first_y + row_pitch * number - curve_y
        places = []
        for block, offsets in ((0, middle), (1, sides)):
            for s in offsets:
                x, y = CENTRE_X + r * sin(s / r), curve_y + r * cos(s / r)
                if _is_within(x, y, STALLS_RIM - 20):
                    places.append((x, y, _stalls_category(number, block), 0))
        section.rows.append(_mirrored("parterre", ROW_LETTERS[number], places))
    r = first_y + row_pitch * rows + 8 - curve_y
    marks = ((44.0, SeatFlag.WHEELCHAIR), (76.0, SeatFlag.COMPANION)) * 2
    places = []
    for place, (offset, flag) in enumerate(marks):
        s = offset + 76 * (place // 2)
        x, y = CENTRE_X + r * sin(s / r), curve_y + r * cos(s / r)
        places.append((x, y, SECOND, int(flag)))
    section.rows.append(_mirrored("parterre", ROW_LETTERS[rows], places))
    return section


def _stalls_category(row: int, block: int) -> int:
    if block:
        return SECOND if row < 10 else THIRD
    if 3 <= row <= 10:
        return GOLD
    return FIRST if row <= 13 else SECOND


def _mirrored(prefix: str, label: str, places: list[tuple[float, float, int, int]]) -> DraftRow:
    """A row from its right half (x, y, category, flags), from the middle outwards."""
    right = [
        _seat(prefix, label, 2 * n + 2, x, y, category, flags)
        for n, (x, y, category, flags) in enumerate(places)
    ]
    left = [
        _seat(prefix, label, 2 * n + 1, 2 * CENTRE_X - x, y, category, flags)
        for n, (x, y, category, flags) in enumerate(places)
    ]
    return DraftRow(label, [*reversed(left), *right])


def _seat(
    prefix: str, row: str, number: int, x: float, y: float, category: int, flags: int = 0
) -> DraftSeat:
    return DraftSeat(
        f"{prefix}-{row}-{number}", str(number), round(x, 2), round(y, 2), category, int(flags)
    )


def _box_places() -> Iterator[tuple[int, float]]:
    """Number and middle (arc length) of each box: odd ones left, even ones right."""
    reference = (BOX_FRONT + BOX_BACK) / 2
    count = int((_end(reference) - 34) // BOX_WIDTH)
    for n in range(count):
        middle = 34 + BOX_WIDTH * (n + 0.5)
        yield 2 * n + 1, -middle
        yield 2 * n + 2, middle


def _boxes() -> DraftSection:
    """Boxes of four chairs, two in front and two behind, side by side around the stalls."""
    section = DraftSection("loges", "Loges", "box")
    reference = (BOX_FRONT + BOX_BACK) / 2
    round_end = reference * BEND
    for number, middle in sorted(_box_places()):
        row = DraftRow(str(number))
        at_side = abs(middle) > round_end * 0.72
        chairs = (
            (-12, BOX_FRONT + 17),
            (12, BOX_FRONT + 17),
            (13, BOX_BACK - 26),
            (-13, BOX_BACK - 26),
        )
        for chair, (offset, r) in enumerate(chairs, start=1):
            x, y = _ray(middle + offset, r, reference)
            behind = chair > 2
            category = THIRD if at_side else FIRST
            row.seats.append(
                _seat(
                    "loge",
                    str(number),
                    chair,
                    x,
                    y,
                    min(category + 1, FOURTH) if behind else category,
                    SeatFlag.RESTRICTED_VIEW if behind and at_side else 0,
                )
            )
        section.rows.append(row)
    return section


def _box_walls() -> Iterator[Shape]:
    reference = (BOX_FRONT + BOX_BACK) / 2
    edges = {middle + side * BOX_WIDTH / 2 for _, middle in _box_places() for side in (-1, 1)}
    for s in sorted(edges):
        corners = [
            _ray(s + d, r, reference)
            for d, r in ((-1, BOX_FRONT), (1, BOX_FRONT), (1, BOX_BACK), (-1, BOX_BACK))
        ]
        yield _polygon(corners, "wall")
    for number, middle in _box_places():
        x, y = _ray(middle, BOX_BACK - 8, reference)
        yield Shape("text", round(x, 2), round(y, 2), role="label", text=str(number), text_size=9.0)


def _first_circle() -> DraftSection:
    section = DraftSection("corbeille", "Corbeille", "circle")
    categories = ((GOLD, FIRST, SECOND, FOURTH), (FIRST, SECOND, THIRD, FOURTH))
    for label, r, bands in zip("AB", FIRST_CIRCLE[1], categories, strict=True):
        places = _circle_places(r, FIRST_CIRCLE[1][0], bands)
        section.rows.append(_mirrored("corbeille", label, places))
    return section


def _second_circle() -> DraftSection:
    section = DraftSection("galerie", "Galerie", "circle")
    front = SECOND_CIRCLE[1][0]
    categories = ((SECOND, SECOND, THIRD, FOURTH), (THIRD, THIRD, THIRD, FOURTH))
    for label, r, bands in zip("AB", SECOND_CIRCLE[1], categories, strict=True):
        section.rows.append(_mirrored("galerie", label, _circle_places(r, front, bands)))
    upper = _circle_places(UPPER_ROW, front, (FOURTH, FOURTH), UPPER_BEND)
    section.rows.append(_mirrored("galerie", "C", upper))
    return section


def _circle_places(
    r: float, reference: float, categories: Sequence[int], end: float = 0.0
) -> list[tuple[float, float, int, int]]:
    """The right half of a circle's row: blocks between radial aisles, then the leg.

    `categories` are those of the blocks from the middle outwards; nobody sees
    the whole stage from the leg. `end` cuts a shorter row, without a leg, at an angle.
    """
    aisle = 23.0
    angles = [0.0, radians(30), radians(64), BEND]
    bounds = [angle * reference for angle in angles] + [reference * BEND + LEG + aisle - 14]
    if end:
        bounds = [0.0, angles[1] * reference, end * reference + aisle - 14]
    places = []
    for block, category in enumerate(categories):
        is_leg = block == 3
        shrink = 1.0 if is_leg else r / reference
        start, stop = bounds[block] * shrink, bounds[block + 1] * shrink
        if is_leg:
            start, stop = r * BEND, r * BEND + LEG + aisle - 14
        start += SEAT_PITCH / 2 if block == 0 else aisle
        stop -= aisle
        count = int((stop - start) / SEAT_PITCH + 1e-9) + 1
        slack = (stop - start - (count - 1) * SEAT_PITCH) if block else 0.0
        for n in range(count):
            x, y = _around(start + slack / 2 + n * SEAT_PITCH, r)
            places.append((x, y, category, int(SeatFlag.RESTRICTED_VIEW) if is_leg else 0))
    return places


# The club.
STAGE_FRONT, TABLES, BAR, MEZZANINE, STANDING = range(5)
ROOM_WIDTH, ROOM_HEIGHT = 1240.0, 900.0


@cache
def club() -> Plan:
    """A club of about 100 chairs and 160 standing: round tables, a bar, a mezzanine."""
    draft = Draft(
        id="la-sourdine",
        name="La Sourdine",
        width=ROOM_WIDTH,
        height=ROOM_HEIGHT,
        categories=[
            Category("Tables de scène", "#c29a3c"),
            Category("Tables de salle", "#8c1c2f"),
            Category("Comptoir", "#3d6b8f"),
            Category("Mezzanine", "#5f8a62"),
            Category("Debout", "#7a5c8e"),
        ],
    )
    draft.shapes += _club_shapes()
    draft.sections += [_club_tables(), _bar_stools(), _standing(), _mezzanine()]
    return draft.finish()


def _club_shapes() -> Iterator[Shape]:
    left, top, right, bottom = 40.0, 40.0, ROOM_WIDTH - 40, ROOM_HEIGHT - 40
    room = [(left + 70, top), (right, top), (right, bottom), (left, bottom), (left, top + 70)]
    yield _polygon(room, "floor")
    yield _polygon([(left, 700), (right, 700), (right, bottom), (left, bottom)], "floor")
    yield _polygon([(left, 700), (right - 216, 700), (right - 216, 707), (left, 707)], "rail")
    for step in range(4):  # the stairs up to the mezzanine
        x = right - 200 + step * 50
        yield _polygon([(x, 702), (x + 44, 702), (x + 44, 730), (x, 730)], "wall")
    apron = [(420 + 260 * cos(pi * n / 24), 160 + 48 * sin(pi * n / 24)) for n in range(25)]
    yield _polygon([(160, top), (680, top), *apron], "stage", "Scène", 30)
    yield from _piano()
    counter = [(right - 56, 120), (right, 120), (right, 626), (right - 250, 626),
               (right - 250, 574), (right - 56, 574)]  # fmt: skip
    yield _polygon(counter, "bar")
    for x, y, turn, words, size in (
        (right - 28, 350.0, 90.0, "Bar", 24.0),
        (right - 110, 74.0, 0.0, "Entrée", 15.0),
        (left + 76, 730.0, 0.0, "MEZZANINE", 13.0),
    ):
        yield Shape("text", x, y, rotation=turn, role="label", text=words, text_size=size)


def _piano() -> Iterator[Shape]:
    """A grand piano on the left of the stage, and its stool."""
    tail = [(300 + 17 * sin(pi * n / 12), 103 - 17 * cos(pi * n / 12)) for n in range(13)]
    lid = [(228.0, 86.0), *tail, (276.0, 121.0), (262.0, 128.0), (254.0, 140.0), (252.0, 152.0)]
    lid.append((228.0, 152.0))
    yield _polygon(lid, "wall")
    yield Shape("circle", 208.0, 120.0, 18.0, 18.0, role="wall")


def _club_tables() -> DraftSection:
    """Tables of four along the stage, more behind, then tables of six; one is sold whole."""
    section = DraftSection("salle", "Salle", "tables")
    front = [(130, 300), (275, 322), (420, 330), (565, 322), (710, 300)]
    second = [(202, 430), (347, 446), (493, 446), (638, 430)]
    last = [(130, 574), (275, 590), (420, 594), (565, 590), (710, 574)]
    for number, (x, y) in enumerate(front + second + last, start=1):
        of_six = number > len(front + second)
        section.tables.append(
            _round_table(
                str(number),
                (x, y),
                radius=40 if of_six else 28,
                chairs=6 if of_six else 4,
                category=STAGE_FRONT if number <= len(front) else TABLES,
                whole=number in (3, 12),
            )
        )
    return section


def _round_table(
    label: str, centre: Point, *, radius: float, chairs: int, category: int, whole: bool
) -> DraftTable:
    """Chairs all around, nobody's head right between a table and the stage."""
    x, y = centre
    table = Table(
        id=f"salle-{label}",
        section=0,
        label=label,
        x=x,
        y=y,
        shape="round",
        width=2 * radius,
        height=2 * radius,
        whole=whole,
    )
    seats = []
    for chair in range(chairs):
        angle = 2 * pi * (chair + 0.5) / chairs
        seat_x, seat_y = x + (radius + 14) * sin(angle), y - (radius + 14) * cos(angle)
        seats.append(_seat("salle", label, chair + 1, seat_x, seat_y, category))
    return DraftTable(table, label, seats)


def _bar_stools() -> DraftSection:
    """High stools along the two sides of the counter; the far side sees the stage from behind."""
    along = [(ROOM_WIDTH - 122.0, 150.0 + 38 * n) for n in range(10)]
    across = [(ROOM_WIDTH - 150.0 - 38 * n, 548.0) for n in range(4)]
    row = DraftRow("Bar")
    for number, (x, y) in enumerate(along + across, start=1):
        flags = SeatFlag.RESTRICTED_VIEW if number > len(along) else SeatFlag(0)
        row.seats.append(_seat("bar", "tabouret", number, x, y, BAR, flags))
    return DraftSection("comptoir", "Comptoir", "bar", [row])


def _standing() -> DraftSection:
    floor = ((800.0, 120.0), (1060.0, 120.0), (1060.0, 500.0), (850.0, 500.0), (800.0, 440.0))
    gallery = ((860.0, 740.0), (1180.0, 740.0), (1180.0, 840.0), (860.0, 840.0))
    section = DraftSection("debout", "Debout", "standing")
    section.areas = [
        (Area("fosse", 0, "Debout, salle", 120, STANDING, floor), ()),
        (Area("coursive", 0, "Debout, mezzanine", 40, STANDING, gallery), ()),
    ]
    return section


def _mezzanine() -> DraftSection:
    """Long tables of six upstairs, at the rail."""
    section = DraftSection("mezzanine", "Mezzanine", "tables")
    for number, x in enumerate((150.0, 340.0, 530.0, 720.0), start=20):
        label = str(number)
        table = Table(
            id=f"mezzanine-{label}",
            section=0,
            label=label,
            x=x,
            y=790.0,
            shape="rectangle",
            width=116.0,
            height=34.0,
        )
        front = [(dx, -32.0) for dx in (-40.0, 0.0, 40.0)]
        back = [(dx, 32.0) for dx in (40.0, 0.0, -40.0)]
        seats = [
            _seat("mezzanine", label, chair, x + dx, 790 + dy, MEZZANINE)
            for chair, (dx, dy) in enumerate(front + back, start=1)
        ]
        section.tables.append(DraftTable(table, label, seats))
    return section
