"""What is on: performances, their prices and gates, as `GET /api/performances` tells them.

Owns the shapes and the choice of a price. Knows no seat status and no widget.
"""

from collections.abc import Mapping

import msgspec


class PriceChoice(msgspec.Struct, frozen=True):
    """Who pays. It is `status` (of engine.sale.Standing) until `changes_ms`, if that is not 0."""

    id: str
    names: dict[str, str]
    max_per_order: int = 0
    status: str = "on_sale"
    changes_ms: int = 0
    then: str = ""

    def is_sold(self, at_ms: int) -> bool:
        changed = 0 < self.changes_ms <= at_ms
        return (self.then if changed else self.status) == "on_sale"


class GateName(msgspec.Struct, frozen=True):
    id: str
    name: str


class FeeName(msgspec.Struct, frozen=True):
    id: str
    names: dict[str, str]


class Performance(msgspec.Struct, frozen=True):
    """One dated showing. `prices` are (plan category, price type id, minor units).

    Its sale is `status` for the public until `changes_ms`, where that is not 0, and `then` after.
    `sold` of `places` are told to operators, in the list.
    """

    id: int
    title: dict[str, str]
    starts_ms: int
    plan: str
    currency: str
    venue: str = ""
    status: str = ""
    changes_ms: int = 0
    then: str = ""
    doors_ms: int = 0
    subtitle: dict[str, str] = {}
    price_from: int | None = None
    price_types: tuple[PriceChoice, ...] = ()
    prices: tuple[tuple[int, str, int], ...] = ()
    max_per_order: int = 0
    gates: tuple[GateName, ...] = ()
    sold: int | None = None
    places: int = 0
    fees: tuple[FeeName, ...] = ()

    def choices(self, category: int, now_ms: int) -> list[tuple[PriceChoice, int]]:
        """Price types sold for a category now, with their amounts, the usual one first."""
        amounts = {kind: amount for place, kind, amount in self.prices if place == category}
        return [
            (choice, amounts[choice.id])
            for choice in self.price_types
            if choice.id in amounts and choice.is_sold(now_ms)
        ]

    def amount(self, category: int, price_type: str) -> int | None:
        """Minor units, or None where this price type is not sold for the category."""
        for place, kind, amount in self.prices:
            if place == category and kind == price_type:
                return amount
        return None

    def price_name(self, price_type: str, language: str) -> str:
        for choice in self.price_types:
            if choice.id == price_type:
                return text_in(choice.names, language)
        return price_type


def text_in(texts: Mapping[str, str], language: str) -> str:
    """The text in a language, else in any: a title given in one language only is shown as is."""
    return texts.get(language) or next(iter(texts.values()), "")
