"""Outlines of what is drawn in a plan, and what people look at in it.

Owns where shapes and tables stand as polygons, for pictures and for guesses, and
the focal point of a house that does not name one. Knows no colours.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from math import cos, hypot, pi, radians, sin

from engine.geometry import Point
from engine.plan import Shape, Table

STAGE_ROLES = ("stage", "screen", "pitch")
"""What people look at, in order of precedence."""

ROLES = (*STAGE_ROLES, "bar", "wall", "rail", "floor", "label")
SHAPE_KINDS = ("rectangle", "circle", "ellipse", "polygon", "text")
TABLE_SHAPES = ("round", "rectangle")

_ROUND_CORNERS = 48


def shape_outline(shape: Shape) -> tuple[Point, ...]:
    """The corners of a shape in plan coordinates; a text has none."""
    if shape.kind == "rectangle":
        corners = [(0.0, 0.0), (shape.width, 0.0), (shape.width, shape.height), (0.0, shape.height)]
    elif shape.kind == "polygon":
        corners = list(shape.points)
    elif shape.kind in ("circle", "ellipse"):
        corners = _ellipse(shape.width, shape.height or shape.width)
    else:
        corners = []
    return _placed(corners, shape.x, shape.y, shape.rotation)


def table_outline(table: Table) -> tuple[Point, ...]:
    """The corners of a table in plan coordinates."""
    if table.shape == "round":
        corners = _ellipse(table.width, table.height)
    else:
        w, h = table.width / 2, table.height / 2
        corners = [(-w, -h), (w, -h), (w, h), (-w, h)]
    return _placed(corners, table.x, table.y, table.rotation)


def table_axes(table: Table, x: float, y: float) -> Point:
    """A point of the plan as seen from a table's centre, along its own sides."""
    c, s = cos(radians(-table.rotation)), sin(radians(-table.rotation))
    dx, dy = x - table.x, y - table.y
    return c * dx - s * dy, s * dx + c * dy


def off_table(table: Table, x: float, y: float) -> float:
    """How far a point of the plan is from a table's edge, negative inside."""
    u, v = table_axes(table, x, y)
    if table.shape == "round":
        off = hypot(u / table.width, v / table.height) * 2 - 1
        return off * min(table.width, table.height) / 2
    du, dv = abs(u) - table.width / 2, abs(v) - table.height / 2
    return hypot(du, dv) if du > 0 and dv > 0 else max(du, dv)


def middle(points: Sequence[Point]) -> Point:
    """The mean of some points; (0, 0) of none."""
    count = len(points) or 1
    return sum(x for x, _ in points) / count, sum(y for _, y in points) / count


def centroid(outline: Sequence[Point]) -> Point:
    """The centre of gravity of a polygon; of a line, the mean of its corners."""
    area = x = y = 0.0
    for (ax, ay), (bx, by) in pairwise([*outline, outline[0]]):
        cross = ax * by - bx * ay
        area += cross
        x += (ax + bx) * cross
        y += (ay + by) * cross
    return (x / (3 * area), y / (3 * area)) if area else middle(outline)


def box(points: Iterable[Point]) -> tuple[float, float, float, float]:
    """The least x, least y, greatest x and greatest y of some points."""
    xs, ys = zip(*points, strict=True)
    return min(xs), min(ys), max(xs), max(ys)


def focal_point(shapes: Sequence[Shape], places: Sequence[Point]) -> Point:
    """Where the people on `places` look.

    The middle of the stage's or the screen's edge towards them, else the middle
    of the pitch, else the middle of the places themselves.
    """
    audience = middle(places)
    for role in STAGE_ROLES:
        outlines = [shape_outline(shape) for shape in shapes if shape.role == role]
        outlines = [outline for outline in outlines if len(outline) > 2]
        if outlines:
            outline = max(outlines, key=_extent)
            left, top, right, bottom = box(outline)
            centre = (left + right) / 2, (top + bottom) / 2
            return centre if role == "pitch" else _front(outline, centre, audience)
    return audience


def _front(outline: Sequence[Point], centre: Point, audience: Point) -> Point:
    """Where the line from the stage's centre to the audience leaves the stage.

    Of a long straight edge it is the edge's middle: seats to one side do not
    move the middle of a stage.
    """
    for (ax, ay), (bx, by) in pairwise([*outline, outline[0]]):
        dx, dy = audience[0] - centre[0], audience[1] - centre[1]
        ex, ey = bx - ax, by - ay
        cross = dx * ey - dy * ex
        if not cross:
            continue
        along = ((ax - centre[0]) * ey - (ay - centre[1]) * ex) / cross
        across = ((ax - centre[0]) * dy - (ay - centre[1]) * dx) / cross
        if 0 < along <= 1 and 0 <= across <= 1:
            if len(outline) <= 4:
                return (ax + bx) / 2, (ay + by) / 2
            return centre[0] + along * dx, centre[1] + along * dy
    return centre


def _extent(outline: Sequence[Point]) -> float:
    left, top, right, bottom = box(outline)
    return (right - left) * (bottom - top)


def _ellipse(width: float, height: float) -> list[Point]:
    steps = [2 * pi * step / _ROUND_CORNERS for step in range(_ROUND_CORNERS)]
    return [(cos(angle) * width / 2, sin(angle) * height / 2) for angle in steps]


def _placed(corners: Sequence[Point], x: float, y: float, rotation: float) -> tuple[Point, ...]:
    c, s = cos(radians(rotation)), sin(radians(rotation))
    return tuple([(x + c * dx - s * dy, y + s * dx + c * dy) for dx, dy in corners])
