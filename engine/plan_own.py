"""The own plan format, strapontin-plan/1 (docs/plan-format.md): reading and writing.

Owns the keys of the format and its canonical bytes, from which a plan version
takes its identity. The checks that hold for every format are in `engine.plan_draft`.
"""

from collections.abc import Iterable
from math import nan
from typing import Any

import msgspec

from engine.limits import MAX_AREA_CAPACITY
from engine.plan import Area, Plan, Row, Seat, SeatFlag, Shape, Table
from engine.plan_check import PLACES, Problems
from engine.plan_draft import Draft, DraftRow, DraftSeat, DraftSection, DraftTable
from engine.plan_json import Node, read_categories, read_category
from engine.plan_shapes import ROLES, SHAPE_KINDS, TABLE_SHAPES

FORMAT = "strapontin-plan/1"

_FLAGS = {
    "wheelchair": SeatFlag.WHEELCHAIR,
    "companion": SeatFlag.COMPANION,
    "restricted-view": SeatFlag.RESTRICTED_VIEW,
}
_LOOK = ("fill", "border", "text_color", "text_size", "text_x", "text_y")
_TOP = ("format", "id", "name", "width", "height", "focal", "categories", "sections", "shapes")
_TABLE = ("id", "label", "shape", "x", "y", "width", "height", "rotation", "whole")
_SHAPE = ("kind", "role", "section", "x", "y", "width", "height", "rotation", "points", "text")
_LEAST_SIZE = 1e-3


def read_own(top: Node, problems: Problems) -> Plan:
    """The plan in a decoded file of the own format.

    Raises:
        PlanError: something was wrong with it.
    """
    top.known(*_TOP)
    found = top.text("format")
    if found and found != FORMAT:
        top.fail("unknown-choice", "format", found=found, choices=FORMAT)
    categories, index = read_categories(top)
    draft = Draft(
        id=top.text("id", ""),
        name=top.text("name"),
        width=top.number("width", least=_LEAST_SIZE),
        height=top.number("height", least=_LEAST_SIZE),
        focal=top.point("focal") if top.has("focal") else None,
        categories=categories,
    )
    draft.sections += [_read_section(node, index) for node in top.nodes("sections")]
    numbers = {section.id: number for number, section in enumerate(draft.sections)}
    draft.shapes += [_read_shape(node, numbers) for node in top.nodes("shapes", optional=True)]
    return draft.finish(problems)


def dump_plan(plan: Plan) -> bytes:
    """The canonical bytes: the same plan always gives the same, one seat a line.

    Raises:
        ValueError: the seats are not sorted by section, rows before tables.
    """
    _expect_sorted(plan)
    head = {
        "format": FORMAT,
        "id": plan.id,
        "name": plan.name,
        "width": _plain(plan.width),
        "height": _plain(plan.height),
        "focal": {"x": _plain(plan.focal[0]), "y": _plain(plan.focal[1])},
    }
    lines = [f'"{key}":{_json(value)}' for key, value in head.items()]
    lines.append(
        _list("categories", [_json({"name": c.name, "color": c.color}) for c in plan.categories])
    )
    lines.append(_list("sections", [_section_text(plan, n) for n in range(len(plan.sections))]))
    lines.append(_list("shapes", [_json(_shape_keys(plan, shape)) for shape in plan.shapes]))
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def _read_section(node: Node, index: dict[str, int]) -> DraftSection:
    node.known("id", "name", "kind", "rows", "tables", "areas")
    section = DraftSection(
        node.text("id"), node.text("name"), node.text("kind", "", empty=True), path=node.path
    )
    for inner in node.nodes("rows", optional=True):
        inner.known("label", "seats")
        label = inner.text("label", "", empty=True)
        section.rows.append(DraftRow(label, _read_seats(inner, index), inner.path))
    for inner in node.nodes("tables", optional=True):
        section.tables.append(_read_table(inner, index))
    for inner in node.nodes("areas", optional=True):
        inner.known("id", "name", "capacity", "category", "polygon")
        area = Area(
            id=inner.text("id"),
            section=0,
            name=inner.text("name"),
            capacity=inner.integer("capacity", 1, MAX_AREA_CAPACITY),
            category=read_category(inner, index),
            polygon=inner.points("polygon"),
        )
        section.areas.append((area, inner.path))
    return section


def _read_seats(node: Node, index: dict[str, int]) -> list[DraftSeat]:
    """The seats of a row or a table, those with something wrong too: it has been noted."""
    seats = []
    for inner in node.nodes("seats"):
        inner.known("id", "label", "x", "y", "category", "flags")
        x, y = inner.number("x"), inner.number("y")
        placed = inner.sound
        seats.append(
            DraftSeat(
                inner.text("id"),
                inner.text("label"),
                x if placed else nan,
                y if placed else nan,
                read_category(inner, index),
                _read_flags(inner) if inner.has("flags") else 0,
                inner.path,
            )
        )
    return seats


def _read_flags(node: Node) -> int:
    flags = SeatFlag(0)
    for raw, _ in node.items("flags"):
        if isinstance(raw, str) and raw in _FLAGS:
            flags |= _FLAGS[raw]
        else:
            node.fail("unknown-choice", "flags", found=str(raw)[:40], choices=", ".join(_FLAGS))
    return int(flags)


def _read_table(node: Node, index: dict[str, int]) -> DraftTable:
    node.known(*_TABLE, *_LOOK, "row", "seats")
    table = Table(
        id=node.text("id"),
        section=0,
        label=node.text("label", empty=True),
        shape=node.choice("shape", TABLE_SHAPES),
        x=node.number("x"),
        y=node.number("y"),
        width=node.number("width", least=_LEAST_SIZE),
        height=node.number("height", least=_LEAST_SIZE),
        rotation=node.number("rotation", 0.0),
        whole=node.switch("whole"),
        **_read_look(node),
    )
    row = node.text("row", table.label, empty=True)
    return DraftTable(table, row, _read_seats(node, index), node.path)


def _read_shape(node: Node, sections: dict[str, int]) -> Shape:
    node.known(*_SHAPE, *_LOOK)
    kind = node.choice("kind", SHAPE_KINDS)
    sized = kind in ("rectangle", "circle", "ellipse")
    section = node.text("section", "")
    if section and section not in sections:
        node.fail("unknown-section", "section", id=section)
    return Shape(
        kind=kind,
        role=node.choice("role", ROLES, ""),
        section=sections.get(section, -1),
        x=node.number("x"),
        y=node.number("y"),
        width=node.number("width", None if sized else 0.0, 0.0),
        height=node.number("height", None if sized and kind != "circle" else 0.0, 0.0),
        rotation=node.number("rotation", 0.0),
        points=node.points("points") if kind == "polygon" else (),
        text=node.text("text", None if kind == "text" else ""),
        **_read_look(node),
    )


def _read_look(node: Node) -> dict[str, Any]:
    return {
        "fill": node.color("fill"),
        "border": node.color("border"),
        "text_color": node.color("text_color"),
        "text_size": node.number("text_size", 0.0, 0.0),
        "text_x": node.number("text_x", 0.0),
        "text_y": node.number("text_y", 0.0),
    }


def _expect_sorted(plan: Plan) -> None:
    """The format nests seats in sections: only a sorted plan comes back with the same indices."""
    at_table = [row.count > 0 and plan.seats[row.first].table >= 0 for row in plan.rows]
    order = [(row.section, table) for row, table in zip(plan.rows, at_table, strict=True)]
    firsts = [row.first for row in plan.rows]
    if order != sorted(order) or firsts != sorted(firsts):
        raise ValueError("the seats of the plan are not sorted by section, rows before tables")


def _section_text(plan: Plan, number: int) -> str:
    section = plan.sections[number]
    keys: dict[str, Any] = {"id": section.id, "name": section.name}
    if section.kind:
        keys["kind"] = section.kind
    tables = [table for table in plan.tables if table.section == number]
    seated = {seat for table in tables for seat in table.seats}
    rows = [
        row
        for row in plan.rows
        if row.section == number and not (row.count and row.first in seated)
    ]
    areas = [area for area in plan.areas if area.section == number]
    lists = [
        _list("rows", [_row_text(plan, row) for row in rows]),
        _list("tables", [_table_text(plan, table) for table in tables]),
        _list("areas", [_json(_area_keys(plan, area)) for area in areas]),
    ]
    filled = [text for text, found in zip(lists, (rows, tables, areas), strict=True) if found]
    return ",\n".join([_json(keys)[:-1], *filled]) + "}"


def _row_text(plan: Plan, row: Row) -> str:
    seats = range(row.first, row.first + row.count)
    label = _json({"label": row.label})[:-1]
    return f"{label},{_list('seats', _seat_texts(plan, seats))}}}"


def _table_text(plan: Plan, table: Table) -> str:
    keys = {key: getattr(table, key) for key in _TABLE} | _look_keys(table)
    keys = {key: value for key, value in keys.items() if value or key not in ("rotation", "whole")}
    row = plan.rows[plan.seats[table.seats[0]].row].label if table.seats else table.label
    if row != table.label:
        keys["row"] = row
    return f"{_json(keys)[:-1]},{_list('seats', _seat_texts(plan, table.seats))}}}"


def _seat_texts(plan: Plan, seats: Iterable[int]) -> list[str]:
    return [_json(_seat_keys(plan, plan.seats[seat])) for seat in seats]


def _seat_keys(plan: Plan, seat: Seat) -> dict[str, Any]:
    keys = {
        "id": seat.id,
        "label": seat.label,
        "x": _plain(seat.x),
        "y": _plain(seat.y),
        "category": plan.categories[seat.category].name,
    }
    if seat.flags:
        keys["flags"] = [name for name, flag in _FLAGS.items() if seat.flags & flag]
    return keys


def _area_keys(plan: Plan, area: Area) -> dict[str, Any]:
    return {
        "id": area.id,
        "name": area.name,
        "capacity": area.capacity,
        "category": plan.categories[area.category].name,
        "polygon": _plain(area.polygon),
    }


def _shape_keys(plan: Plan, shape: Shape) -> dict[str, Any]:
    keys: dict[str, Any] = {"kind": shape.kind}
    if shape.role:
        keys["role"] = shape.role
    if shape.section >= 0:
        keys["section"] = plan.sections[shape.section].id
    keys |= {"x": shape.x, "y": shape.y}
    if shape.kind in ("rectangle", "circle", "ellipse"):
        keys |= {"width": shape.width, "height": shape.height}
    optional = {"rotation": shape.rotation, "points": shape.points, "text": shape.text}
    return keys | {key: value for key, value in optional.items() if value} | _look_keys(shape)


def _look_keys(thing: Table | Shape) -> dict[str, Any]:
    return {key: value for key in _LOOK if (value := getattr(thing, key))}


def _list(key: str, members: list[str]) -> str:
    return f'"{key}":[\n' + ",\n".join(members) + "\n]" if members else f'"{key}":[]'


def _json(value: object) -> str:
    return msgspec.json.encode(_plain(value)).decode()


def _plain(value: Any) -> Any:
    """Whole numbers without a point, so that 40 and 40.0 are the same bytes."""
    if isinstance(value, float):
        rounded = round(value, PLACES)
        return int(rounded) if rounded.is_integer() else rounded
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
