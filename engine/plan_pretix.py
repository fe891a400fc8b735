"""The pretix seating-plan JSON: import and export.

Owns what the keys of that format mean here. A zone with seats is a section, a
zone without is drawing; an `area` is drawing too, except a rectangle or a circle
with a row of seats all around it, which is a table. On the way out, tables and
standing areas are drawn, and what the format has no place for is warned of.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import atan2, cos, hypot, nan, pi, radians, sin
from typing import Any

import msgspec

from engine.geometry import Point, typical_pitch
from engine.plan import Area, Plan, Row, Shape, Table
from engine.plan_check import PLACES, Problem, Problems
from engine.plan_draft import Draft, DraftRow, DraftSeat, DraftSection, DraftTable, slug, unique
from engine.plan_json import Node, read_categories, read_category
from engine.plan_shapes import box, centroid, focal_point, off_table, table_axes

TABLE_REACH = 1.25
"""Seats at a table stand at most this many pitches off it."""
TABLE_OVERLAP = 0.6
"""They are drawn over its edge by at most this many pitches."""

_PLAIN_FILLS = {"floor": "#f7f3ea", "wall": "#d8ccb8", "rail": "#b08d4a"}
"""Of shapes whose look is left to the renderer: pretix would draw them in a dull grey."""

DEFAULT_TEXT_SIZE = 16
"""Where a file gives none, says the format."""

_ROLE_WORDS = {
    "stage": "stage scene scène bühne buhne сцена 舞台 escenario palco plateau estrade".split(),
    "screen": "screen écran ecran leinwand экран екран 银幕 屏幕 pantalla".split(),
    "pitch": "pitch field terrain pelouse spielfeld поле".split(),
    "bar": "bar бар".split(),
}
_SHAPES = ("polygon", "rectangle", "ellipse", "circle", "text")


def read_pretix(top: Node, problems: Problems) -> Plan:
    """The plan in a decoded pretix file.

    Raises:
        PlanError: something was wrong with it.
    """
    size = top.node("size")
    categories, index = read_categories(top)
    draft = Draft(
        name=top.text("name"),
        width=size.number("width", least=1e-3) if size else 0.0,
        height=size.number("height", least=1e-3) if size else 0.0,
        categories=categories,
    )
    taken: set[str] = set()
    for position, zone in enumerate(top.nodes("zones")):
        _read_zone(draft, zone, f"{position + 1}", index, taken)
    return draft.finish(problems, reorder=True)


def _read_zone(
    draft: Draft, zone: Node, fallback: str, index: dict[str, int], taken: set[str]
) -> None:
    zone_id = zone.text("zone_id", "", empty=True)
    name = zone.text("name", "", empty=True) or zone_id or fallback
    origin = zone.point("position")
    # Zone ids need not be unique in this format.
    section = DraftSection(unique(zone_id or slug(name), taken), name, path=zone.path)
    for node in zone.nodes("rows"):
        label = node.text("row_number", empty=True)
        x, y = node.point("position", (0.0, 0.0))
        seats = _read_seats(node, (origin[0] + x, origin[1] + y), index)
        if seats:
            section.rows.append(DraftRow(label, seats, node.path))
    number = len(draft.sections) if section.rows else -1
    for node in zone.nodes("areas", optional=True):
        shape = _read_shape(node, origin, name if number < 0 else "", number)
        row = next((row for row in section.rows if _stands_around(shape, row.seats)), None)
        if row is None:
            draft.shapes.append(shape)
        else:
            section.rows.remove(row)
            table_id = unique(f"{section.id}-{row.label}", {t.table.id for t in section.tables})
            section.tables.append(
                DraftTable(_table(shape, table_id), row.label, row.seats, row.path)
            )
    if number >= 0:
        draft.sections.append(section)


def _read_seats(row: Node, origin: Point, index: dict[str, int]) -> list[DraftSeat]:
    seats = []
    for node in row.nodes("seats"):
        x, y = node.point("position")
        placed = node.sound
        seats.append(
            DraftSeat(
                node.text("seat_guid"),
                node.text("seat_number"),
                round(origin[0] + x, PLACES) if placed else nan,
                round(origin[1] + y, PLACES) if placed else nan,
                read_category(node, index),
                path=node.path,
            )
        )
    return seats


def _read_shape(node: Node, origin: Point, zone_name: str, section: int) -> Shape:
    kind = node.choice("shape", _SHAPES)
    x, y = node.point("position", (0.0, 0.0))
    width, height = _read_size(node, kind)
    text = node.node("text") if node.has("text") else None
    words = text.text("text", empty=True) if text else ""
    text_x, text_y = text.point("position", (0.0, 0.0)) if text else (0.0, 0.0)
    polygon = node.node("polygon") if kind == "polygon" else None
    return Shape(
        kind=kind,
        x=round(origin[0] + x, PLACES),
        y=round(origin[1] + y, PLACES),
        width=width,
        height=height,
        rotation=node.number("rotation", 0.0),
        points=polygon.points("points") if polygon else (),
        fill=node.color("color"),
        border=node.color("border_color"),
        text=words,
        text_color=text.color("color") if text else "",
        text_size=text.number("size", 0.0, 0.0) if text else 0.0,
        text_x=text_x,
        text_y=text_y,
        role=_role(words) or _role(zone_name),
        section=section,
    )


def _read_size(node: Node, kind: str) -> Point:
    """Width and height, full extents, of the three kinds that have them."""
    inner = node.node(kind) if kind in ("rectangle", "circle", "ellipse") else None
    if inner is None:
        return 0.0, 0.0
    if kind == "rectangle":
        return inner.number("width", least=0.0), inner.number("height", least=0.0)
    if kind == "circle":
        diameter = inner.number("radius", least=0.0) * 2
        return diameter, diameter
    x, y = inner.point("radius")
    return abs(x) * 2, abs(y) * 2


def _role(words: str) -> str:
    """What a drawing stands for, by the words on it: files of this format do not say."""
    said = words.casefold().split()
    return next((role for role, known in _ROLE_WORDS.items() if set(said) & set(known)), "")


def _stands_around(shape: Shape, seats: Sequence[DraftSeat]) -> bool:
    """The seats stand on all sides of a rectangle, a circle or an ellipse, close to it."""
    if shape.kind not in ("rectangle", "circle", "ellipse") or len(seats) < 3 or shape.role:
        return False
    table = _table(shape, "")
    if not table.width or not table.height:
        return False
    points = [(seat.x, seat.y) for seat in seats]
    pitch = typical_pitch(points, [tuple(range(len(points)))])
    angles = []
    for x, y in points:
        u, v = table_axes(table, x, y)
        if not -TABLE_OVERLAP * pitch <= off_table(table, x, y) <= TABLE_REACH * pitch:
            return False
        angles.append(atan2(v / table.height, u / table.width))
    angles.sort()
    widest = max(b - a for a, b in pairwise([*angles, angles[0] + 2 * pi]))
    return widest < pi


def _table(shape: Shape, table_id: str) -> Table:
    """A table as it is drawn. Its x, y is the centre, a rectangle's is its first corner."""
    x, y = shape.x, shape.y
    if shape.kind == "rectangle":
        c, s = cos(radians(shape.rotation)), sin(radians(shape.rotation))
        x += c * shape.width / 2 - s * shape.height / 2
        y += s * shape.width / 2 + c * shape.height / 2
    return Table(
        id=table_id,
        section=0,
        label=shape.text,
        x=round(x, PLACES),
        y=round(y, PLACES),
        shape="rectangle" if shape.kind == "rectangle" else "round",
        width=shape.width,
        height=shape.height,
        rotation=shape.rotation,
        fill=shape.fill,
        border=shape.border,
        text_color=shape.text_color,
        text_size=shape.text_size,
        text_x=shape.text_x,
        text_y=shape.text_y,
    )


def dump_pretix(plan: Plan) -> tuple[bytes, tuple[Problem, ...]]:
    """A plan as pretix JSON, and warnings of what that format has no place for."""
    zones = [_zone(plan, number) for number in range(len(plan.sections))]
    loose = [shape for shape in plan.shapes if shape.section < 0]
    if loose:
        drawn = [_area_keys(shape, (0.0, 0.0)) for shape in loose]
        zone: dict[str, Any] = {"name": "Drawing", "zone_id": _drawing_id(plan)}
        zones.append(zone | {"position": _xy((0.0, 0.0)), "rows": [], "areas": drawn})
    file = {
        "name": plan.name,
        "size": {"width": _number(plan.width), "height": _number(plan.height)},
        "categories": [{"name": item.name, "color": item.color} for item in plan.categories],
        "zones": zones,
    }
    return msgspec.json.encode(file), _losses(plan)


def _losses(plan: Plan) -> tuple[Problem, ...]:
    problems = Problems()
    flagged = sum(1 for seat in plan.seats if seat.flags)
    whole = sum(1 for table in plan.tables if table.whole)
    places = [(seat.x, seat.y) for seat in plan.seats]
    for code, count in (
        ("export-tables", len(plan.tables)),
        ("export-whole", whole),
        ("export-areas", len(plan.areas)),
        ("export-flags", flagged),
    ):
        if count:
            problems.warning(code, (), count=count)
    guessed = focal_point(plan.shapes, places)
    if hypot(guessed[0] - plan.focal[0], guessed[1] - plan.focal[1]) > 1:
        problems.warning("export-focal", ())
    return problems.found()


def _drawing_id(plan: Plan) -> str:
    return unique("drawing", {section.id for section in plan.sections})


def _zone(plan: Plan, number: int) -> dict[str, Any]:
    """A section: at its top-left seat, each row at its first seat, as pretix itself writes it."""
    section = plan.sections[number]
    rows = [row for row in plan.rows if row.section == number]
    tables = [table for table in plan.tables if table.section == number]
    standing = [area for area in plan.areas if area.section == number]
    shapes = [shape for shape in plan.shapes if shape.section == number]
    points = [(seat.x, seat.y) for row in rows for seat in _seats(plan, row)]
    points += [point for area in standing for point in area.polygon]
    origin = box(points)[:2] if points else (0.0, 0.0)
    drawn = shapes + [_table_shape(table) for table in tables]
    drawn += [_standing_shape(plan, area) for area in standing]
    zone: dict[str, Any] = {
        "name": section.name,
        "zone_id": section.id,
        "position": _xy(origin),
        "rows": [_row_keys(plan, row, origin) for row in rows],
    }
    if drawn:
        zone["areas"] = [_area_keys(shape, origin) for shape in drawn]
    return zone


def _seats(plan: Plan, row: Row) -> Iterable[Any]:
    return plan.seats[row.first : row.first + row.count]


def _row_keys(plan: Plan, row: Row, origin: Point) -> dict[str, Any]:
    seats = list(_seats(plan, row))
    start = (seats[0].x, seats[0].y) if seats else origin
    return {
        "row_number": row.label,
        "position": _xy(start, origin),
        "seats": [
            {
                "seat_guid": seat.id,
                "seat_number": seat.label,
                "position": _xy((seat.x, seat.y), start),
                "category": plan.categories[seat.category].name,
            }
            for seat in seats
        ],
    }


def _table_shape(table: Table) -> Shape:
    """The drawing of a table, back from its centre to where a shape of its kind is anchored."""
    x, y = table.x, table.y
    if table.shape == "rectangle":
        c, s = cos(radians(table.rotation)), sin(radians(table.rotation))
        x -= c * table.width / 2 - s * table.height / 2
        y -= s * table.width / 2 + c * table.height / 2
    round_kind = "circle" if table.width == table.height else "ellipse"
    return Shape(
        kind="rectangle" if table.shape == "rectangle" else round_kind,
        x=x,
        y=y,
        width=table.width,
        height=table.height,
        rotation=table.rotation,
        fill=table.fill,
        border=table.border,
        text=table.label,
        text_color=table.text_color,
        text_size=table.text_size,
        text_x=table.text_x,
        text_y=table.text_y,
    )


def _standing_shape(plan: Plan, area: Area) -> Shape:
    x, y = area.polygon[0]
    middle_x, middle_y = centroid(area.polygon)
    return Shape(
        kind="polygon",
        x=x,
        y=y,
        points=tuple([(px - x, py - y) for px, py in area.polygon]),
        fill=plan.categories[area.category].color,
        text=f"{area.name} ({area.capacity})",
        text_x=middle_x - x,
        text_y=middle_y - y,
    )


def _area_keys(shape: Shape, origin: Point) -> dict[str, Any]:
    keys: dict[str, Any] = {
        "shape": shape.kind,
        "color": shape.fill or _PLAIN_FILLS.get(shape.role, ""),
        "border_color": shape.border,
        "rotation": _number(shape.rotation),
        "position": _xy((shape.x, shape.y), origin),
    }
    if shape.kind == "rectangle":
        keys["rectangle"] = {"width": _number(shape.width), "height": _number(shape.height)}
    elif shape.kind == "circle":
        keys["circle"] = {"radius": _number(shape.width / 2)}
    elif shape.kind == "ellipse":
        keys["ellipse"] = {"radius": _xy((shape.width / 2, shape.height / 2))}
    elif shape.kind == "polygon":
        keys["polygon"] = {"points": [_xy(point) for point in shape.points]}
    if shape.text:
        keys["text"] = {
            "text": shape.text,
            "color": shape.text_color or "#333333",
            "size": _number(shape.text_size or DEFAULT_TEXT_SIZE),
            "position": _xy((shape.text_x, shape.text_y)),
        }
    return {key: value for key, value in keys.items() if value != ""}


def _xy(point: Point, origin: Point = (0.0, 0.0)) -> dict[str, float]:
    return {"x": _number(point[0] - origin[0]), "y": _number(point[1] - origin[1])}


def _number(value: float) -> float:
    """Whole numbers without a point: the format wants some of them to be integers."""
    rounded = round(float(value), PLACES)
    return int(rounded) if rounded.is_integer() else rounded
