"""What somebody asks of the list of places, read from the query of a request.

Owns the names of the filters, their words and their refusals: each names the filter, and one that
is not known is refused too, because a list that is longer than somebody meant leaves the house all
the same. Whoever asks for a time means the house's clock.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from aiohttp import web

from engine.commands import Channel
from engine.limits import MAX_TEXT_CHARS
from engine.listing import PRICE_PARTS, Among, Cursor, ListedStatus, ListFilter, PlaceKind
from engine.plan import Plan
from gateway.http import EDGE, Edge
from gateway.limits import MAX_CACHED_PLANS, MAX_FILTER_VALUES, MAX_FILTERED_PERFORMANCES
from gateway.plans import find_seats
from gateway.problems import Problem

Words = TypeVar("Words", bound=StrEnum)

FILTERS: Final = (
    *("performance", "production", "ordered_from", "ordered_until", "scanned_from"),
    *("scanned_until", "channel", "kind", "status", "used", "price_type", "price_from"),
    *("price_to", "category", "operator", "q"),
)
"""A filter that is named several times means any of its values; different ones are met together."""
_SEVERAL: Final = frozenset({"performance", "channel", "status", "price_type", "category"}) | {
    "operator"
}
_USED: Final = {"yes": True, "no": False}
DATE: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
TIME: Final = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}$"
PRICE: Final = r"^[0-9]{1,9}([.,][0-9]{1,3})?$"
_CURSOR: Final = re.compile(r"([0-9]{1,18})-([0-9]{1,9})")
_MOST: Final = 2**31 - 1


async def list_filter(request: web.Request, *beside: str) -> ListFilter:
    """The filter of a request whose query may have other names `beside`.

    Raises Problem("invalid") naming the filter that cannot be met as it stands.
    """
    edge, asked = request.app[EDGE], _asked(request, beside)
    zone = ZoneInfo((await edge.programme.house()).time_zone)
    showings = await _showings(edge, asked)
    text = asked["q"][0].strip() if asked["q"] else ""
    ordered = _span(asked, "ordered", zone)
    scanned = _span(asked, "scanned", zone)
    prices = _prices(asked)
    by_plan = _by_plan(showings or {})
    return ListFilter(
        performances=None if showings is None else tuple(showings),
        ordered_from_ms=ordered[0],
        ordered_until_ms=ordered[1],
        scanned_from_ms=scanned[0],
        scanned_until_ms=scanned[1],
        channels=_words(asked, "channel", Channel),
        kind=next(iter(_words(asked, "kind", PlaceKind)), None),
        statuses=_words(asked, "status", ListedStatus),
        used=_used(asked),
        price_types=tuple(asked["price_type"]),
        price_from=prices[0],
        price_to=prices[1],
        operators=tuple(asked["operator"]),
        places=await _of_category(edge, asked, by_plan),
        text=text,
        text_places=await _of_text(edge, text, by_plan),
    )


def cursor_of(request: web.Request) -> Cursor | None:
    """Where the page before ended, as it was told: "1042-2"."""
    text = request.query.get("next", "")
    if not text:
        return None
    if not (match := _CURSOR.fullmatch(text)):
        raise _wrong("next", "what the page before ended with, as 1042-2")
    return Cursor(int(match[1]), int(match[2]))


def _asked(request: web.Request, beside: Iterable[str]) -> dict[str, list[str]]:
    """The values of each filter, none where it is empty."""
    query = request.query
    for name in query:
        if name not in FILTERS and name not in beside:
            raise _wrong(name, f"there is no such filter; there are {', '.join(FILTERS)}")
    asked = {name: [one for one in query.getall(name, []) if one.strip()] for name in FILTERS}
    for name, values in asked.items():
        most = MAX_FILTER_VALUES if name in _SEVERAL else 1
        if name == "performance":
            most = MAX_FILTERED_PERFORMANCES
        if len(values) > most:
            raise _wrong(name, "once only" if most == 1 else f"{most} values at most")
        if any(len(value) > MAX_TEXT_CHARS or "\0" in value for value in values):
            raise _wrong(name, f"{MAX_TEXT_CHARS} characters at most, none of them a zero")
    return asked


async def _showings(edge: Edge, asked: Mapping[str, list[str]]) -> dict[int, Any] | None:
    """The performances that are asked for; None: all."""
    numbers = [_number("performance", one) for one in asked["performance"]]
    queries = edge.backend.ticket_list
    if not asked["production"]:
        if not numbers:
            return None
        found = dict(await queries.showings(numbers))
        for number in numbers:
            if number not in found:
                raise _wrong("performance", f"there is no performance {number}")
        return found
    production = _number("production", asked["production"][0])
    found = dict(await queries.showings(production=production))
    if not found and await edge.backend.catalogue.production(production) is None:
        raise _wrong("production", f"there is no production {production}")
    if len(found) > MAX_FILTERED_PERFORMANCES:
        raise _wrong("production", "it has too many performances: ask for some of them")
    for number in numbers:
        if number not in found:
            raise _wrong("performance", f"{number} is not one of production {production}")
    return {number: found[number] for number in numbers} if numbers else found


def _by_plan(showings: Mapping[int, Any]) -> dict[str, tuple[int, ...]]:
    found: dict[str, list[int]] = {}
    for number, showing in showings.items():
        found.setdefault(showing.plan, []).append(number)
    return {plan: tuple(numbers) for plan, numbers in found.items()}


async def _of_category(
    edge: Edge, asked: Mapping[str, list[str]], by_plan: Mapping[str, tuple[int, ...]]
) -> tuple[Among, ...] | None:
    wanted = {name.strip().casefold() for name in asked["category"]}
    if not wanted:
        return None
    plans = await _plans(edge, "category", by_plan)
    known = {category.name for plan, _ in plans for category in plan.categories}
    for name in asked["category"]:
        if name.strip().casefold() not in {one.casefold() for one in known}:
            raise _wrong("category", f"{name!r} is none of theirs: {', '.join(sorted(known))}")
    return tuple([_priced(plan, wanted, numbers) for plan, numbers in plans])


def _priced(plan: Plan, wanted: set[str], performances: tuple[int, ...]) -> Among:
    meant = {at for at, one in enumerate(plan.categories) if one.name.casefold() in wanted}
    return Among(
        performances,
        tuple([at for at, seat in enumerate(plan.seats) if seat.category in meant]),
        tuple([at for at, area in enumerate(plan.areas) if area.category in meant]),
    )


async def _of_text(
    edge: Edge, text: str, by_plan: Mapping[str, tuple[int, ...]]
) -> tuple[Among, ...]:
    """The seats that a text may mean, where it is known of which plans."""
    if not text or len(by_plan) > MAX_CACHED_PLANS:
        return ()
    found = []
    for plan_hash, numbers in by_plan.items():
        seats = find_seats(await edge.plans.plan(plan_hash), text)
        if seats:
            found.append(Among(numbers, tuple(seats)))
    return tuple(found)


async def _plans(
    edge: Edge, name: str, by_plan: Mapping[str, tuple[int, ...]]
) -> list[tuple[Plan, tuple[int, ...]]]:
    if not by_plan:
        raise _wrong(name, "of which plan? Ask for performances or a production too")
    if len(by_plan) > MAX_CACHED_PLANS:
        raise _wrong(name, f"these performances have more than {MAX_CACHED_PLANS} plans")
    return [(await edge.plans.plan(plan), numbers) for plan, numbers in by_plan.items()]


# Words, numbers, times ----------------------------------------------------------------------


def _words(
    asked: Mapping[str, list[str]], name: str, words: Callable[[str], Words]
) -> tuple[Words, ...]:
    try:
        return tuple([words(value) for value in asked[name]])
    except ValueError:
        known = ", ".join(words.__members__.values())  # type: ignore[attr-defined]
        raise _wrong(name, f"one of {known}") from None


def _used(asked: Mapping[str, list[str]]) -> bool | None:
    if not asked["used"]:
        return None
    if asked["used"][0] not in _USED:
        raise _wrong("used", f"one of {', '.join(_USED)}")
    return _USED[asked["used"][0]]


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text[:20]) > _MOST:
        raise _wrong(name, f"a number up to {_MOST}")
    return int(text)


def _prices(asked: Mapping[str, list[str]]) -> tuple[int | None, int | None]:
    first, last = (_price(asked, name) for name in ("price_from", "price_to"))
    if first is not None and last is not None and first > last:
        raise _wrong("price_to", "it is below price_from")
    return first, last


def _price(asked: Mapping[str, list[str]], name: str) -> int | None:
    if not asked[name]:
        return None
    text = asked[name][0].strip()
    if not re.fullmatch(PRICE, text):
        raise _wrong(name, "an amount such as 25 or 12.50")
    return int(Decimal(text.replace(",", ".")) * PRICE_PARTS)


def _span(
    asked: Mapping[str, list[str]], name: str, zone: ZoneInfo
) -> tuple[int | None, int | None]:
    """From the first moment to the one after the last, in Unix milliseconds."""
    first = _moment(asked, f"{name}_from", zone, ends=False)
    last = _moment(asked, f"{name}_until", zone, ends=True)
    if first is not None and last is not None and first >= last:
        raise _wrong(f"{name}_until", f"it is not after {name}_from")
    return first, last


def _moment(asked: Mapping[str, list[str]], name: str, zone: ZoneInfo, *, ends: bool) -> int | None:
    """In the house's time. A date alone is all of that day, also as an end."""
    if not asked[name]:
        return None
    text = asked[name][0].strip()
    day = bool(re.fullmatch(DATE, text))
    try:
        if not (day or re.fullmatch(TIME, text)):
            raise ValueError(text)
        local = datetime.fromisoformat(text)
        if day and ends:
            local += timedelta(days=1)
        return int(local.replace(tzinfo=zone).timestamp() * 1_000)
    except (ValueError, OverflowError):
        raise _wrong(name, "a date such as 2026-10-31, or 2026-10-31T18:30") from None


def _wrong(name: str, why: str) -> Problem:
    return Problem("invalid", f"{name}: {why}", field=name)
