"""A seating plan as the pages read it: columnar JSON, made once per plan version.

Owns the shape of ``GET /api/plans/{hash}``: what a map, a list of seats and a basket need to
draw and to name every place of a house, in columns so that forty thousand seats stay small and
parse fast. Knows no performance, price or status, and nothing of HTTP.

Every index in the answer is the plan's own: ``x[i]``, ``label[i]``... describe seat ``i`` of the
commands and of the seat feed. Coordinates are plan units rounded to 0.01, y grows downwards.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from engine.plan import Plan, Shape

DECIMALS: Final = 2
"""A hundredth of a plan unit is finer than any screen shows, and short to write."""

_SHAPE_DEFAULTS: Final = {
    field.name: field.default
    for field in msgspec.structs.fields(Shape)
    if field.default is not msgspec.NODEFAULT
}


def plan_view(plan: Plan) -> bytes:
    """The plan as JSON (UTF-8): see the module's docstring and docs/protocol.md.

    The same plan always gives the same bytes, so that they can be cached for ever under its
    content hash.
    """
    return msgspec.json.encode(
        {
            "name": plan.name,
            "width": _rounded(plan.width),
            "height": _rounded(plan.height),
            "focal": [_rounded(value) for value in plan.focal],
            "pitch": _rounded(plan.pitch),
            "categories": [{"name": one.name, "color": one.color} for one in plan.categories],
            "sections": [{"id": one.id, "name": one.name} for one in plan.sections],
            "rows": [[row.section, row.label, row.first, row.count] for row in plan.rows],
            "tables": _tables(plan),
            "areas": [
                [area.section, area.name, area.capacity, area.category, _points(area.polygon)]
                for area in plan.areas
            ],
            "shapes": [_shape(shape) for shape in plan.shapes],
            "x": [_rounded(seat.x) for seat in plan.seats],
            "y": [_rounded(seat.y) for seat in plan.seats],
            "label": [seat.label for seat in plan.seats],
            "category": [seat.category for seat in plan.seats],
            "flags": [seat.flags for seat in plan.seats],
            "table": [seat.table for seat in plan.seats],
            "runs": plan.runs,
        }
    )


def _tables(plan: Plan) -> list[list[Any]]:
    return [
        [
            table.section,
            table.label,
            _rounded(table.x),
            _rounded(table.y),
            table.shape,
            _rounded(table.width),
            _rounded(table.height),
            _rounded(table.rotation),
            table.whole,
            table.seats,
        ]
        for table in plan.tables
    ]


def _shape(shape: Shape) -> dict[str, Any]:
    """The fields of a drawing that say something; the rest have their documented defaults."""
    told: dict[str, Any] = {}
    for name in shape.__struct_fields__:
        value = getattr(shape, name)
        if name in _SHAPE_DEFAULTS and value == _SHAPE_DEFAULTS[name]:
            continue
        if name == "points":
            value = _points(value)
        told[name] = _rounded(value) if isinstance(value, float) else value
    return told


def _points(points: tuple[tuple[float, float], ...]) -> list[list[float | int]]:
    return [[_rounded(x), _rounded(y)] for x, y in points]


def _rounded(value: float) -> float | int:
    """Without a fraction where there is none: "120" is half as long as "120.0"."""
    rounded = round(value, DECIMALS)
    return int(rounded) if rounded == int(rounded) else rounded
