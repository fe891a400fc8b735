"""What is wrong with a performance's settings, before anything is done by them.

Pure. Whoever takes settings from people asks here; the engine itself takes them as they are, since
what was recorded must be told again, and makes the best of what contradicts itself.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from engine.commands import Channel
from engine.limits import MAX_KEPT, MAX_QUOTAS, MAX_SEATS_NAMED, MAX_TEXT_CHARS
from engine.plan import Plan
from engine.sale import FOREVER
from engine.settings import Price, Settings


class Flaw(NamedTuple):
    """`field` is where, as "prices[2].until_ms"; `why` is for people."""

    field: str
    why: str


def first_flaw(settings: Settings, plan: Plan) -> Flaw | None:
    """The first thing that contradicts the plan or itself; None when all is well."""
    for flaws in (_of_times, _of_prices, _of_quotas, _of_surplus, _of_allocations):
        for flaw in flaws(settings, plan):
            return flaw
    return None


def _of_times(settings: Settings, plan: Plan) -> Iterator[Flaw]:
    if _ends_first(settings.sale_opens_ms, settings.sale_closes_ms):
        yield Flaw("sale_closes_ms", "the sale closes before it opens")
    if _ends_first(settings.tills_open_ms, settings.tills_close_ms):
        yield Flaw("tills_close_ms", "the tills close before they open")
    for index, kind in enumerate(settings.price_types):
        if _ends_first(kind.from_ms, kind.until_ms):
            yield Flaw(f"price_types[{index}].until_ms", f"{kind.id} ends before it begins")
    yield from _doubled("price_types", [kind.id for kind in settings.price_types])


def _of_prices(settings: Settings, plan: Plan) -> Iterator[Flaw]:
    known = {kind.id for kind in settings.price_types}
    by_pair: dict[tuple[int, str], list[tuple[int, int, int]]] = {}
    for index, price in enumerate(settings.prices):
        if price.price_type not in known:
            yield Flaw(f"prices[{index}].price_type", f"there is no price type {price.price_type}")
        elif not 0 <= price.category < len(plan.categories):
            yield Flaw(f"prices[{index}].category", f"there is no category {price.category}")
        elif price.amount < 0:
            yield Flaw(f"prices[{index}].amount", "a price is not below zero")
        elif _ends_first(price.from_ms, price.until_ms):
            yield Flaw(f"prices[{index}].until_ms", "it ends before it begins")
        else:
            pair = by_pair.setdefault((price.category, price.price_type), [])
            pair.append((price.from_ms, price.until_ms or FOREVER, index))
    for pair in by_pair.values():
        for (_, until_ms, one), (from_ms, _, other) in pairwise(sorted(pair)):
            if from_ms < until_ms:
                yield _overlap(settings.prices, one, other, plan)


def _overlap(prices: Sequence[Price], one: int, other: int, plan: Plan) -> Flaw:
    first, second = sorted((one, other))
    price = prices[second]
    what = f"{price.price_type} in {plan.categories[price.category].name}"
    at = max(prices[one].from_ms, prices[other].from_ms)
    when = f"at {at}" if at else "at the same time"
    return Flaw(f"prices[{second}]", f"it and prices[{first}] are both the price of {what} {when}")


def _of_quotas(settings: Settings, plan: Plan) -> Iterator[Flaw]:
    if len(settings.quotas) > MAX_QUOTAS:
        yield Flaw("quotas", f"more than {MAX_QUOTAS} quotas")
    yield from _doubled("quotas", [quota.id for quota in settings.quotas])
    known = {kind.id for kind in settings.price_types}
    for index, quota in enumerate(settings.quotas):
        yield from _unknown(f"quotas[{index}].categories", quota.categories, len(plan.categories))
        for kind in quota.price_types:
            if kind not in known:
                yield Flaw(f"quotas[{index}].price_types", f"there is no price type {kind}")


def _of_surplus(settings: Settings, plan: Plan) -> Iterator[Flaw]:
    surplus = settings.surplus
    yield from _unknown("surplus.categories", surplus.categories, len(plan.categories))
    yield from _unknown("surplus.areas", surplus.areas, len(plan.areas))


def _of_allocations(settings: Settings, plan: Plan) -> Iterator[Flaw]:
    allocations = settings.allocations
    if len(allocations) > MAX_KEPT:
        yield Flaw("allocations", f"more than {MAX_KEPT} allocations")
    if sum(len(one.seats) for one in allocations) > MAX_SEATS_NAMED:
        why = f"more than {MAX_SEATS_NAMED} seats one by one: name sections or categories"
        yield Flaw("allocations", why)
    yield from _doubled("allocations", [one.id for one in allocations])
    known = [channel.value for channel in Channel]
    for index, one in enumerate(allocations):
        field = f"allocations[{index}]"
        if len(one.id) > MAX_TEXT_CHARS:
            yield Flaw(f"{field}.id", f"{MAX_TEXT_CHARS} characters at most")
        if not one.channels:
            yield Flaw(f"{field}.channels", "it is for no channel")
        for channel in one.channels:
            if channel not in known:
                yield Flaw(f"{field}.channels", f"{channel} is none of {', '.join(known)}")
        if not (one.categories or one.sections or one.seats):
            yield Flaw(field, "it keeps nothing: no categories, sections or seats")
        yield from _unknown(f"{field}.categories", one.categories, len(plan.categories))
        yield from _unknown(f"{field}.sections", one.sections, len(plan.sections))
        yield from _unknown(f"{field}.seats", one.seats, len(plan.seats))


def _ends_first(from_ms: int, until_ms: int) -> bool:
    return bool(until_ms) and until_ms <= from_ms


def _doubled(field: str, ids: Sequence[str]) -> Iterator[Flaw]:
    for index, one in enumerate(ids):
        if not one:
            yield Flaw(f"{field}[{index}].id", "an id is not empty")
        elif one in ids[:index]:
            yield Flaw(f"{field}[{index}].id", f"{one} is the id of another")


def _unknown(field: str, indices: Sequence[int], count: int) -> Iterator[Flaw]:
    for index in indices:
        if not 0 <= index < count:
            yield Flaw(field, f"{index} is not in the plan, which has {count}")
