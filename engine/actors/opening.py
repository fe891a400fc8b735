"""The first start: a demo house in an empty database, with logins of its own.

Owns what the demo house plays and for how much. Passwords are made up for each
installation and kept beside its data, readable by its owner only, so that a
demo that is left running on a network is not open to everybody who has read
the manual. A house that exists is left alone.
"""

import json
import os
import secrets
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from engine.actors.performance import now_ms
from engine.demo_houses import club, italian_theatre
from engine.plan import Plan
from engine.plan_io import dump_plan
from engine.settings import Gate, Price, PriceType, Settings

if TYPE_CHECKING:
    from persistence.store import Store

OPENING_LOCK: Final = 0x5374_7262
"""Advisory lock: nodes that start at once open one house."""
LOGINS_FILE: Final = "demo-logins.json"
TIME_ZONE: Final = "Europe/Paris"
DAY_MS: Final = 24 * 60 * 60_000
HOUR_MS: Final = 60 * 60_000
_WORDS: Final = "brass velvet curtain lantern foyer gallery encore prompt scene balcony stalls"


class Logins(Struct, frozen=True):
    """The demo house's operators with their passwords, and a scanner's token."""

    admin: str
    cashier: str
    door: str
    scanner: str


OPERATORS: Final = {
    "admin": ("admin", ("admin", "cashier", "refund")),
    "caisse": ("cashier", ("cashier", "refund")),
    "porte": ("door", ("door",)),
}
"""Login name: (field of `Logins`, roles)."""

HOUSE: Final[dict[str, Any]] = {
    "country": "FR",
    "address": ["12, place du Strapontin", "69001 Lyon"],
    "contact": ["billetterie@strapontin.example"],
    "licences": ["PLATESV-D-2026-000000"],
    "demo": True,
}


class Play(Struct, frozen=True):
    """A production of the demo house: its evenings are days from now, at `hour`."""

    titles: dict[str, str]
    subtitles: dict[str, str]
    hall: str
    currency: str
    full_prices: tuple[int, ...]
    evenings: tuple[int, ...]
    hour: int


PROGRAMME: Final = (
    Play(
        {"fr": "Le Bourgeois gentilhomme", "en": "The Would-be Gentleman"},
        {"fr": "Comédie-ballet de Molière et Lully", "en": "A comedy-ballet by Molière and Lully"},
        "theatre",
        "EUR",
        (6_800, 5_200, 3_900, 2_600, 1_400),
        (6, 7, 13),
        20,
    ),
    Play(
        {"fr": "La Traviata", "en": "La Traviata"},
        {"fr": "Opéra de Verdi, version de concert", "en": "Verdi's opera, in concert"},
        "theatre",
        "EUR",
        (9_500, 7_400, 5_600, 3_800, 1_900),
        (20,),
        19,
    ),
    Play(
        {"fr": "Quartet de minuit", "en": "Midnight Quartet"},
        {"fr": "Jazz, tables et places debout", "en": "Jazz, tables and standing room"},
        "club",
        "CHF",
        (5_800, 4_400, 3_200, 2_500, 2_000),
        (9, 10),
        21,
    ),
)


async def open_house(url: str, data: Path) -> Logins | None:
    """Make the demo house in an empty database; its logins, None for a house of one's own."""
    from persistence.store import Store
    from persistence.url import connect

    async with await Store.open(url) as store:
        # The lock belongs to the connection, and ends with it, however that ends.
        alone = await connect(url)
        try:
            await alone.execute("SELECT pg_advisory_lock($1)", OPENING_LOCK)
            return await _open_house(store, data)
        finally:
            await alone.close()


async def _open_house(store: "Store", data: Path) -> Logins | None:
    house = await store.catalogue.house()
    if house is not None and not house.settings.get("demo"):
        return None
    logins = _logins(data, may_make=house is None)
    if house is None and logins is not None:
        house = await store.catalogue.create_house(
            name="Théâtre du Strapontin",
            time_zone=TIME_ZONE,
            languages=("fr", "en"),
            settings=HOUSE,
            ticket_seed=secrets.token_bytes(32),
            session_secret=secrets.token_bytes(32),
            now_ms=now_ms(),
        )
    assert house is not None
    if logins is not None and not await store.access.list_operators():
        await _add_people(store, house.id, logins)
    if not await store.catalogue.list_productions():
        await _add_programme(store, house.id)
    return logins


def _logins(data: Path, *, may_make: bool) -> Logins | None:
    path = data / LOGINS_FILE
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=Logins)
    if not may_make:
        return None
    from gateway.session import new_token

    words = _WORDS.split()
    passwords = [f"{secrets.choice(words)}-{secrets.token_hex(4)}" for _ in OPERATORS]
    logins = Logins(*passwords, new_token("d"))
    data.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(msgspec.to_builtins(logins), file, indent=2)
    return logins


async def _add_people(store: "Store", house: int, logins: Logins) -> None:
    from gateway.login import hash_password
    from gateway.session import digest_of

    await store.access.create_device(
        house,
        name="scanner-1",
        token_hash=digest_of(logins.scanner),
        gate="main",
        now_ms=now_ms(),
    )
    for name, (field, roles) in OPERATORS.items():
        await store.access.create_operator(
            house,
            name=name,
            password_hash=hash_password(getattr(logins, field)),
            roles=roles,
            language="fr",
            now_ms=now_ms(),
        )


async def _add_programme(store: "Store", house: int) -> None:
    halls = {"theatre": italian_theatre(), "club": club()}
    for plan in halls.values():
        await store.catalogue.add_plan(
            plan_hash=plan.content_hash(),
            name=plan.name,
            seats=len(plan.seats),
            places=len(plan.seats) + sum(area.capacity for area in plan.areas),
            body=dump_plan(plan),
            now_ms=now_ms(),
        )
    for play in PROGRAMME:
        plan = halls[play.hall]
        production = await store.catalogue.create_production(
            house,
            titles=play.titles,
            subtitles=play.subtitles,
            currency=play.currency,
            info={},
            now_ms=now_ms(),
        )
        for days in play.evenings:
            starts_ms = _evening_ms(days, play.hour)
            await store.catalogue.create_performance(
                production.id,
                plan_hash=plan.content_hash(),
                starts_ms=starts_ms,
                settings=msgspec.json.encode(_settings(play, plan, starts_ms)),
                now_ms=now_ms(),
            )


def _evening_ms(days: int, hour: int) -> int:
    evening = datetime.now(ZoneInfo(TIME_ZONE)) + timedelta(days=days)
    return int(evening.replace(hour=hour, minute=0, second=0, microsecond=0).timestamp()) * 1_000


def _settings(play: Play, plan: Plan, starts_ms: int) -> Settings:
    """Full price by category, reduced by a quarter, children half, early birds a tenth less."""
    kinds = (
        PriceType("adult", {"fr": "Plein tarif", "en": "Adult"}),
        PriceType("reduced", {"fr": "Tarif réduit", "en": "Concession"}),
        PriceType("child", {"fr": "Moins de 12 ans", "en": "Under 12"}),
        PriceType(
            "early",
            {"fr": "Réservation anticipée", "en": "Early bird"},
            until_ms=starts_ms - 7 * DAY_MS,
            max_per_order=4,
        ),
    )
    share = {"adult": 100, "reduced": 75, "child": 50, "early": 90}
    prices = []
    for category in range(len(plan.categories)):
        full = play.full_prices[min(category, len(play.full_prices) - 1)]
        for kind in kinds:
            amount = full * share[kind.id] // 100
            # Round to 50 cents, which both currencies pay in coins.
            prices.append(Price(category, kind.id, amount // 50 * 50))
    return Settings(
        currency=play.currency,
        price_types=kinds,
        prices=tuple(prices),
        # No opening time: a ticket bought in the demo can be scanned at once.
        doors_close_ms=starts_ms + 4 * HOUR_MS,
        gates=(Gate("main", "Entrée principale"),),
    )
