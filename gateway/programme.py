"""What is on: the house and its performances, as the API shows them.

Owns the JSON of performances and of the house, what of it the public may see,
and keeping both for a second, so that ten thousand open pages are one query.
Knows neither plans' geometry nor seats: those are `gateway.plans` and the feed.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from engine.ledger import NO_TAX
from engine.sale import Outlook, Standing, holds_at, prices_change_ms, sale_now, type_now
from engine.settings import Price, PriceType, SaleStatus, Settings
from gateway.backend import Catalogue, Sales
from gateway.cache import Kept
from gateway.limits import (
    CATALOGUE_CACHE_S,
    HOUSE_CACHE_S,
    MAX_CACHED_PERFORMANCES,
    PUBLIC_PAST_S,
    SOLD_CACHE_S,
    STAFF_PAST_S,
)
from gateway.problems import Problem, performance_unknown
from gateway.session import now_ms
from renderers import palette
from renderers.house_style import HouseStyle
from renderers.i18n import languages

_decode_settings = msgspec.json.Decoder(Settings).decode


def vat_of(house: Any) -> int:
    """The rate of VAT in what the house sells, as `engine.orders.PlaceOrder.tax_bp`."""
    rate = house.settings.get("vat_bp")
    return NO_TAX if rate is None else int(rate)


class Entry(Struct, frozen=True):
    """A performance with its production and settings; `venue`, `seats`, `places` are its plan's."""

    id: int
    titles: dict[str, str]
    subtitles: dict[str, str]
    starts_ms: int
    plan: str
    venue: str
    seats: int
    places: int
    settings: Settings

    @property
    def is_public(self) -> bool:
        return self.settings.status is not SaleStatus.HIDDEN


class Programme:
    """The house and its performances, read through a short-lived cache."""

    def __init__(self, catalogue: Catalogue, sales: Sales) -> None:
        self._catalogue = catalogue
        self._sales = sales
        self._house: Kept[str, Any] = Kept(1, HOUSE_CACHE_S)
        self._lists: Kept[bool, list[Entry]] = Kept(2, CATALOGUE_CACHE_S)
        self._entries: Kept[int, Entry | None] = Kept(MAX_CACHED_PERFORMANCES, CATALOGUE_CACHE_S)
        self._sold: Kept[str, Mapping[int, int]] = Kept(1, SOLD_CACHE_S)
        self._plans: dict[str, tuple[str, int, int]] = {}

    async def house(self) -> Any:
        """The house. Raises Problem("unavailable") while there is none."""
        house = await self._house.get("", self._catalogue.house)
        if house is None:
            self._house.clear()
            raise Problem("unavailable", "no house is set up yet")
        return house

    async def house_style(self) -> HouseStyle:
        return style_of(await self.house())

    async def entries(self, *, staff: bool) -> list[Entry]:
        """Coming performances, earliest first; staff see hidden and recent ones too."""
        return await self._lists.get(staff, lambda: self._list(staff))

    async def sold(self) -> Mapping[int, int]:
        """Places sold of each performance that staff see; of one that is missing, none."""
        numbers = [entry.id for entry in await self.entries(staff=True)]
        return await self._sold.get("", lambda: self._sales.counts(numbers))

    async def entry(self, performance: int) -> Entry:
        """Raises Problem("performance_unknown")."""
        entry = await self._entries.get(performance, lambda: self._load(performance))
        if entry is None:
            raise performance_unknown(performance)
        return entry

    async def is_public(self, performance: int) -> bool:
        """Whether anybody may know of it. Raises `Backend.outages`."""
        entry = await self._entries.get(performance, lambda: self._load(performance))
        return entry is not None and entry.is_public

    def changed(self) -> None:
        """Something was added or set here: forget what was kept."""
        self._lists.clear()
        self._entries.clear()

    def house_changed(self) -> None:
        """The house looks otherwise now: forget what was kept of it."""
        self._house.clear()

    async def _list(self, staff: bool) -> list[Entry]:
        past_s = STAFF_PAST_S if staff else PUBLIC_PAST_S
        rows = await self._catalogue.list_performances(from_ms=now_ms() - past_s * 1000)
        entries = await self._entries_of(rows)
        return [entry for entry in entries if staff or entry.is_public]

    async def _load(self, performance: int) -> Entry | None:
        row = await self._catalogue.performance(performance)
        return None if row is None else (await self._entries_of([row]))[0]

    async def _entries_of(self, rows: Sequence[Any]) -> list[Entry]:
        if not all(row.plan in self._plans for row in rows):
            # A plan never changes, so what is told of it is kept for good.
            plans = await self._catalogue.list_plans()
            self._plans = {plan.hash: (plan.name, plan.seats, plan.places) for plan in plans}
        return [
            Entry(
                row.id,
                row.production.titles,
                row.production.subtitles,
                row.starts_ms,
                row.plan,
                *self._plans.get(row.plan, ("", 0, 0)),
                _decode_settings(row.settings),
            )
            for row in rows
        ]


# As JSON --------------------------------------------------------------------------


def summary(entry: Entry, at_ms: int, *, sold_out: bool = False) -> dict[str, Any]:
    """A performance in a list."""
    settings = entry.settings
    outlook = sale_now(settings, at_ms, left=0 if sold_out else None)
    sold = {kind.id for kind in settings.price_types if _is_public(kind, at_ms)}
    amounts = [price.amount for price in prices_now(settings, at_ms) if price.price_type in sold]
    return {
        "id": entry.id,
        "title": entry.titles,
        "subtitle": entry.subtitles,
        "starts_ms": entry.starts_ms,
        "doors_ms": settings.doors_open_ms,
        "venue": entry.venue,
        **_told(outlook),
        "currency": settings.currency,
        "price_from": min(amounts, default=None),
        "plan": entry.plan,
    }


def details(entry: Entry, at_ms: int, *, staff: bool, sold_out: bool = False) -> dict[str, Any]:
    """A performance with the prices that hold now; those of the box office for staff only."""
    settings = entry.settings
    kinds = [
        kind
        for kind in settings.price_types
        if type_now(kind, at_ms).status is not Standing.HIDDEN
        and (staff or not kind.box_office_only)
    ]
    shown = {kind.id for kind in kinds}
    return summary(entry, at_ms, sold_out=sold_out) | {
        "price_types": [
            {
                "id": kind.id,
                "names": kind.names,
                **_told(type_now(kind, at_ms)),
                "until_ms": kind.until_ms,
                "max_per_order": kind.max_per_order,
            }
            for kind in kinds
        ],
        "prices": [
            (price.category, price.price_type, price.amount)
            for price in prices_now(settings, at_ms)
            if price.price_type in shown
        ],
        "prices_change_ms": prices_change_ms(settings, at_ms),
        "quotas": [{"id": quota.id, "names": quota.names} for quota in settings.quotas],
        "fees": [{"id": fee.id, "names": fee.names} for fee in settings.fees if not fee.absorbed],
        "max_per_order": settings.max_per_order,
        "gates": [{"id": gate.id, "name": gate.name} for gate in settings.gates],
    }


def prices_now(settings: Settings, at_ms: int) -> list[Price]:
    """Those that hold at this time."""
    return [price for price in settings.prices if holds_at(price.from_ms, price.until_ms, at_ms)]


def _is_public(kind: PriceType, at_ms: int) -> bool:
    return not kind.box_office_only and type_now(kind, at_ms).status is Standing.ON_SALE


def _told(outlook: Outlook) -> dict[str, Any]:
    return outlook._asdict()


def house_view(house: Any, payment_methods: Sequence[str]) -> dict[str, Any]:
    """The house, for pages and consoles: never its keys."""
    style = style_of(house)
    known = languages()
    return {
        "name": house.name,
        "languages": [language for language in house.languages if language in known] or [*known],
        "time_zone": house.time_zone,
        "address": style.address,
        "contact": style.contact,
        "payment_methods": list(payment_methods),
        "till_sessions_required": bool(house.settings.get("till_sessions_required")),
        "terms": [kind for kind in ("invoice", "on_site") if house.settings.get(kind)],
        "palette": PALETTE,
        "style": {"accent": style.accent, "trim": style.trim},
    }


class OfferedTerms(Struct, frozen=True):
    """How a house lets people pay later: reminders, in days, and how many before it gives up."""

    first_days: Annotated[int, Meta(ge=1, le=365)]
    interval_days: Annotated[int, Meta(ge=1, le=365)]
    reminders: Annotated[int, Meta(ge=0, le=10)]


class SalesMailWhen(StrEnum):
    AT_ONCE = "at_once"  # a mail for each order
    DAILY = "daily"  # one when the day is closed, by performance


class SalesMail(Struct, frozen=True):
    """Who of the house is told of its sales, and when. Without it nobody is."""

    to: Annotated[tuple[str, ...], Meta(min_length=1, max_length=10)]
    when: SalesMailWhen = SalesMailWhen.DAILY


PALETTE: Final = {
    "themes": {name: palette.custom_properties(theme) for name, theme in palette.THEMES.items()},
    "seats": {
        state.name.lower(): {
            "fill": look.fill,
            "edge": look.edge,
            "on": look.on,
            "shape": look.shape,
        }
        for state, look in palette.SEATS.items()
    },
}


def style_of(house: Any) -> HouseStyle:
    """The organiser on paper, from the house's settings."""
    told = {
        name: value
        for name, value in house.settings.items()
        if name in HouseStyle.__struct_fields__ and name != "name"
    }
    for name in ("address", "contact", "licences", "legal", "practical"):
        if isinstance(told.get(name), str):
            told[name] = told[name].splitlines()
    return msgspec.convert(told | {"name": house.name}, HouseStyle)


def text_in(texts: dict[str, str], language: str) -> str:
    """The text in a language, else in any."""
    return texts.get(language) or next(iter(texts.values()), "")
