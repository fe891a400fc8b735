"""A small theatre with everything a map can show: curves, an aisle, boxes, tables, standing."""

from math import cos, pi, radians, sin

from engine.plan import Area, Category, Plan, Row, Seat, SeatFlag, Section, Shape, Table
from engine.settings import Gate, Price, PriceType, SaleStatus, Settings

STALLS_ROWS = "ABCDEFGH"
STALLS_HALF = 9
"""Seats on each side of the aisle."""


def theatre() -> Plan:
    """200 numbered seats and 60 standing places; the stage is at the bottom."""
    seats: list[Seat] = []
    rows: list[Row] = []
    tables: list[Table] = []

    def row(section: int, label: str, places: list[tuple[float, float]]) -> None:
        first, number = len(seats), len(rows)
        for at, (x, y) in enumerate(places, 1):
            flags = SeatFlag.WHEELCHAIR if section == 0 and label == "H" and at == 1 else 0
            seats.append(
                Seat(f"{section}-{label}-{at}", number, str(at), x, y, section % 3, flags=flags)
            )
        rows.append(Row(section, label, first, len(places)))

    for depth, label in enumerate(STALLS_ROWS):
        y = 340 - 25 * depth
        left = [(280 - 25 * n, y) for n in range(STALLS_HALF - 1, -1, -1)]
        right = [(355 + 25 * n, y) for n in range(STALLS_HALF)]
        row(0, label, left + right)
    for depth, label in enumerate("AB"):
        radius = 300 + 28 * depth
        turns = [radians(200 + 140 * n / 23) for n in range(24)]
        row(1, label, [(318 + radius * cos(a), 340 + radius * sin(a) * 0.9) for a in turns])
    for number, x in enumerate((65.0, 571.0)):
        first, y = len(seats), 390.0
        ring = [(x + 22 * cos(pi * n / 2), y + 22 * sin(pi * n / 2)) for n in range(4)]
        for at, (sx, sy) in enumerate(ring, 1):
            seats.append(Seat(f"t-{number}-{at}", len(rows), str(at), sx, sy, 2, table=number))
        rows.append(Row(2, f"T{number + 1}", first, 4))
        chairs = tuple(range(first, first + 4))
        label, whole = f"T{number + 1}", number == 0
        tables.append(
            Table(f"t{number}", 2, label, x, y, "round", 26, 26, 0.0, chairs, whole=whole)
        )
    corners = ((180.0, 90.0), (456.0, 90.0), (456.0, 140.0), (180.0, 140.0))
    return Plan(
        id="test-theatre",
        name="Test Theatre",
        width=640,
        height=470,
        focal=(318.0, 390.0),
        categories=(
            Category("First", "#7f3c8d"),
            Category("Second", "#11a579"),
            Category("Third", "#3969ac"),
        ),
        sections=(
            Section("stalls", "Stalls", "stalls"),
            Section("circle", "Circle", "circle"),
            Section("tables", "Tables", "tables"),
            Section("promenade", "Promenade", "standing"),
        ),
        rows=tuple(rows),
        seats=tuple(seats),
        tables=tuple(tables),
        areas=(Area("standing", 3, "Promenade", 60, 2, corners),),
        shapes=(Shape("rectangle", 168, 385, 300, 60, text="STAGE", role="stage"),),
    )


def settings(**changes: object) -> Settings:
    """Three categories, three price types, Swiss francs."""
    prices = {
        "full": (4_800, 3_200, 2_010),
        "child": (2_400, 1_600, 1_000),
        "senior": (4_000, 2_800, 1_800),
    }
    values: dict[str, object] = {
        "currency": "CHF",
        "price_types": (
            PriceType("full", {"en": "Full", "fr": "Plein"}),
            PriceType("child", {"en": "Child", "fr": "Enfant"}),
            PriceType("senior", {"en": "Senior", "fr": "Senior"}, box_office_only=True),
        ),
        "prices": tuple(
            Price(category, kind, amount)
            for kind, amounts in prices.items()
            for category, amount in enumerate(amounts)
        ),
        "status": SaleStatus.ON_SALE,
        "orphan_rule": True,
        "gates": (Gate("main", "Main door"), Gate("side", "Side door", (1,))),
    } | changes
    return Settings(**values)  # type: ignore[arg-type]
