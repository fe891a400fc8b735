"""Sums of the ledger for the settlement of a period.

Owns which records are in a period: those of its closed days are the days' own, as they were
signed; those after the last closed day go by their times. So a settlement of closed days is what
the closings say, for good.
"""

from collections.abc import Iterable
from typing import Any, Final, Protocol
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.ledger import GENESIS, FactKind
from engine.papers import seller_of
from engine.settings import Settings
from engine.settlement import MAX_SETTLEMENT_ROWS, Performed, Settlement, Sum
from persistence.clock import now_ms
from persistence.ledger_days import begin_ms, day_after, day_before

_CLOSED: Final = sa.text("""
SELECT day ->> 'label' AS label, CAST(day ->> 'last' AS int8) AS last, day ->> 'last_hash' AS hash
FROM (
    SELECT number, CAST(body AS jsonb) AS day FROM ledger_periods WHERE organiser = :organiser
) AS closed
WHERE day ->> 'kind' = 'day' AND day ->> 'label' <= :day
ORDER BY number DESC LIMIT 1
""")
_LAST_BEFORE: Final = sa.text("""
SELECT number, encode(hash, 'hex') AS hash FROM ledger
WHERE organiser = :organiser AND number > :after AND at_ms < :until_ms
ORDER BY number DESC LIMIT 1
""")
_SUMS: Final = sa.text(f"""
SELECT currency, kind, performance, price_type, channel, method, tax_bp, count(*) AS count,
    CAST(sum(amount) AS int8) AS amount
FROM ledger
WHERE organiser = :organiser AND number BETWEEN :first AND :last AND currency <> ''
    AND NOT (kind = 'cancellation' AND line = 0)
    AND (:performance = 0 OR performance = :performance)
GROUP BY currency, kind, performance, price_type, channel, method, tax_bp, amount < 0
LIMIT {MAX_SETTLEMENT_ROWS + 1}
""")
_SHOWN: Final = sa.text("""
SELECT p.id, r.titles, p.starts_ms, p.settings
FROM performances p JOIN productions r ON r.id = p.production
WHERE p.id = ANY(CAST(:numbers AS int4[])) ORDER BY p.starts_ms, p.id
""")
_LAST_DAY: Final = "9999-12-31"
_settings: Final = msgspec.json.Decoder(Settings).decode


class Owner(Protocol):
    """Of whom it is: as the house is kept."""

    @property
    def id(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def time_zone(self) -> str: ...
    @property
    def settings(self) -> dict[str, Any]: ...


async def settle(
    connection: AsyncConnection, owner: Owner, from_day: str, to_day: str, performance: int
) -> tuple[Settlement | None, str]:
    """The settlement, without a number, and what it is of; "" while a day of it is not closed.

    None where it has too many rows.
    """
    zone = ZoneInfo(owner.time_zone)
    closed_to, closed_last, _ = await _closed(connection, owner.id, _LAST_DAY)
    ends = []
    # Of closed days the day before the first has the last record that is not in the period.
    for day, until_ms in (
        (day_before(from_day), begin_ms(from_day, zone)),
        (to_day, begin_ms(day_after(to_day), zone)),
    ):
        _, number, hash = await _closed(connection, owner.id, day)
        if day > closed_to:
            values = {"organiser": owner.id, "after": closed_last, "until_ms": until_ms}
            found = (await connection.execute(_LAST_BEFORE, values)).one_or_none()
            number, hash = (found.number, found.hash) if found is not None else (number, hash)
        ends.append((number, hash))
    (before, _), (last, last_hash) = ends
    span = {"organiser": owner.id, "first": before + 1, "last": last, "performance": performance}
    rows = list(await connection.execute(_SUMS, span))
    if len(rows) > MAX_SETTLEMENT_ROWS:
        return None, ""
    sums = tuple(sorted(Sum(row.currency, FactKind(row.kind), *row[2:]) for row in rows))
    numbers = {one.performance for one in sums if one.performance > 0} | {performance}
    shown, price_types, fees = await named(connection, numbers - {0})
    settlement = Settlement(
        at_ms=now_ms(),
        time_zone=owner.time_zone,
        seller=seller_of(owner.name, owner.settings),
        from_day=from_day,
        to_day=to_day,
        closed_to=closed_to,
        performance=performance,
        first=before + 1,
        last=last,
        last_hash=last_hash,
        sums=sums,
        performances=shown,
        price_types=price_types,
        fees=fees,
    )
    cause = f"{from_day}/{to_day}/{performance}/{last_hash}" if to_day <= closed_to else ""
    return settlement, cause


async def _closed(connection: AsyncConnection, organiser: int, day: str) -> tuple[str, int, str]:
    """The last closed day until a day: its name, its last record and that one's hash."""
    row = (await connection.execute(_CLOSED, {"organiser": organiser, "day": day})).one_or_none()
    return ("", 0, GENESIS) if row is None else (row.label, row.last, row.hash)


async def named(
    connection: AsyncConnection, numbers: Iterable[int]
) -> tuple[tuple[Performed, ...], dict[str, dict[str, str]], dict[str, dict[str, str]]]:
    """The performances, and the names of their price types and fees."""
    shown: list[Performed] = []
    price_types: dict[str, dict[str, str]] = {}
    fees: dict[str, dict[str, str]] = {}
    for row in await connection.execute(_SHOWN, {"numbers": sorted(numbers)}):
        settings = _settings(row.settings)
        shown.append(Performed(row.id, row.titles, row.starts_ms))
        price_types |= {one.id: one.names for one in settings.price_types}
        fees |= {one.id: one.names for one in settings.fees}
    return tuple(shown), price_types, fees
