"""A small plan and its settings, for tests of the shells."""

from msgspec.json import encode

from engine.plan import Plan
from engine.plan_io import load_plan
from engine.settings import Price, PriceType, Settings

ROWS = "ABCDEFGH"
SEATS_PER_ROW = 20


def small_plan(rows: str = ROWS, seats: int = SEATS_PER_ROW) -> Plan:
    """Straight rows of adjacent seats, one category."""
    pretix = {
        "name": "Hall",
        "size": {"width": 30 * seats + 60, "height": 40 * len(rows) + 60},
        "categories": [{"name": "Stalls", "color": "#7f3c8d"}],
        "zones": [
            {
                "name": "Stalls",
                "zone_id": "st",
                "position": {"x": 30, "y": 30},
                "rows": [
                    {
                        "row_number": row,
                        "row_label": f"Row {row}",
                        "seat_label": "Seat %s",
                        "position": {"x": 0, "y": 40 * number},
                        "seats": [
                            {
                                "seat_guid": f"{row}{seat + 1}",
                                "seat_number": str(seat + 1),
                                "position": {"x": 30 * seat, "y": 0},
                                "category": "Stalls",
                            }
                            for seat in range(seats)
                        ],
                    }
                    for number, row in enumerate(rows)
                ],
            }
        ],
    }
    return load_plan(encode(pretix))


def settings(**changes: object) -> Settings:
    """Adults at 20.00 and children at 10.00 euros; no orphan rule unless asked for."""
    values: dict[str, object] = {
        "currency": "EUR",
        "price_types": (
            PriceType("adult", {"en": "Adult", "fr": "Adulte"}),
            PriceType("child", {"en": "Child", "fr": "Enfant"}),
        ),
        "prices": (Price(0, "adult", 2_000), Price(0, "child", 1_000)),
        "orphan_rule": False,
    } | changes
    return Settings(**values)  # type: ignore[arg-type]
