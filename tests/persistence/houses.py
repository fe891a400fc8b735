"""A small house in the database, and the batches that its performances write."""

from dataclasses import dataclass

import msgspec

from engine.journal import Append, Claimed
from engine.projection import NOTHING, Projection, TicketRow
from engine.settings import Price, PriceType, Settings
from persistence.store import Store

SETTINGS = Settings(
    currency="EUR",
    price_types=(PriceType("full", {"en": "Full price"}),),
    prices=(Price(0, "full", 2_000),),
)
NOW_MS = 1_790_000_000_000


@dataclass(frozen=True)
class Opened:
    organiser: int
    production: int
    first: int
    second: int


async def open_house(store: Store) -> Opened:
    catalogue = store.catalogue
    house = await catalogue.create_house(
        name="Théâtre",
        time_zone="Europe/Paris",
        languages=("fr", "en"),
        settings={"address": "1, place du Strapontin"},
        ticket_seed=bytes(range(32)),
        session_secret=bytes(32),
        now_ms=NOW_MS,
    )
    await catalogue.add_plan(
        plan_hash="cafe", name="Hall", seats=100, places=300, body=b"the plan", now_ms=NOW_MS
    )
    production = await catalogue.create_production(
        house.id,
        titles={"fr": "Le Misanthrope"},
        subtitles={},
        currency="EUR",
        info={},
        now_ms=NOW_MS,
    )
    first, second = [
        await catalogue.create_performance(
            production.id,
            plan_hash="cafe",
            starts_ms=NOW_MS + day * 86_400_000,
            settings=msgspec.json.encode(SETTINGS),
            now_ms=NOW_MS,
        )
        for day in (1, 2)
    ]
    return Opened(house.id, production.id, first, second)


def batch(
    claimed: Claimed,
    after_seq: int,
    *,
    events: int = 3,
    blob: bytes = b"",
    projection: Projection = NOTHING,
) -> Append:
    """A batch of `events` events right after `after_seq`; its bytes name its place."""
    return Append(
        performance=claimed.performance,
        epoch=claimed.epoch,
        prev_seq=after_seq,
        seq=after_seq + events,
        at_ms=NOW_MS,
        events=blob or f"{claimed.epoch}:{after_seq}".encode(),
        projection=projection,
    )


def ticket(number: int, seat: int, *, state: str = "valid", order: str = "0" * 32) -> TicketRow:
    return TicketRow(
        number=number,
        order=order,
        seat=seat,
        area=-1,
        price_type="full",
        amount=2_000,
        state=state,
        version=0,
        sold_ms=NOW_MS,
    )


def selling(*seats: int, first_number: int = 1, order: str = "0" * 32) -> Projection:
    """Tickets numbered from `first_number` for these seats."""
    return Projection(
        tickets=tuple(
            ticket(number, seat, order=order) for number, seat in enumerate(seats, first_number)
        )
    )
