"""What clients were told of quotas, and the plain sequential model of one.

As `tests.sim.history` and `tests.sim.sequential`, of which this is the third thing: a quota counts
the places in payment and those sold, and what it has no room for is refused with what it has left.
"""

import re
from collections.abc import Iterable
from itertools import chain, combinations
from typing import Any, NamedTuple

from engine.commands import Checkout, Quoted, Refunded, Refusal, Refused, Reopened, Repriced, Sold
from engine.plan import Plan
from engine.settings import Quota as Rule
from engine.settings import Settings
from tests.sim.history import Action, Asked, Key, Step


def quota_histories(
    asked: Iterable[Asked], settings: Settings, plan: Plan
) -> dict[Key, list[Step]]:
    """The history of every quota, by (performance, "quota", its index)."""
    asked = [one for one in asked if one.outcome is not None]
    places = {
        (one.performance, ticket.number): ticket
        for one in asked
        if isinstance(one.outcome, Sold)
        for ticket in one.outcome.tickets
    }
    found: dict[Key, list[Step]] = {
        (number, "quota", index): []
        for number in {one.performance for one in asked}
        for index in range(len(settings.quotas))
    }
    for one in asked:
        for index, rule in enumerate(settings.quotas):
            action = _action(one, rule, plan, places)
            if action is not None:
                step = Step(one.invoked_s, one.answered_s, action)
                found[one.performance, "quota", index].append(step)
        if isinstance(one.outcome, Repriced):
            tickets = one.outcome.tickets
            places |= {(one.performance, ticket.number): ticket for ticket in tickets}
    return found


def _action(one: Asked, rule: Rule, plan: Plan, places: dict[Any, Any]) -> Action | None:
    command, outcome = one.command, one.outcome
    if isinstance(outcome, Reopened):
        return "given up", command.token  # type: ignore[union-attr]
    if isinstance(outcome, Sold):
        count = sum(_covers(rule, plan, ticket) for ticket in outcome.tickets)
        return "sold", command.token, count  # type: ignore[union-attr]
    if isinstance(outcome, Refunded):
        tickets = [places[one.performance, number] for number in outcome.tickets]
        return "refund", sum(_covers(rule, plan, ticket) for ticket in tickets)
    if isinstance(outcome, Repriced):
        before = [places[one.performance, ticket.number] for ticket in outcome.tickets]
        gone, come = (
            sum(_covers(rule, plan, ticket) for ticket in tickets)
            for tickets in (before, outcome.tickets)
        )
        return "repriced", gone, come
    if isinstance(command, Checkout):
        count = sum(line.quantity for line in command.lines if _covers(rule, plan, line))
        leaving = [places[one.performance, number] for number in command.instead]
        room = sum(_covers(rule, plan, ticket) for ticket in leaving)
        if isinstance(outcome, Quoted):
            return "pay", command.token, count, outcome.expires_ms, room
        if isinstance(outcome, Refused) and outcome.code is Refusal.QUOTA_FULL:
            named = re.fullmatch(r"(.*): (\d+) left", outcome.detail)
            if named and named[1] == rule.id:
                return "full", command.token, count, int(named[2]), room
    return None


def _covers(rule: Rule, plan: Plan, place: Any) -> bool:
    """A line of a checkout, or a ticket."""
    of = plan.seats[place.seat] if place.seat >= 0 else plan.areas[place.area]
    if rule.categories and of.category not in rule.categories:
        return False
    return not rule.price_types or place.price_type in rule.price_types


# The model ------------------------------------------------------------------------------


class Quota(NamedTuple):
    """Places in payment are (token, places, ends_ms); a payment's end by time is told to nobody.

    What is paid for in exchange may say last how many places leave their room to it.
    """

    limit: int
    sold: int = 0
    paying: frozenset[tuple[bytes, int, float]] = frozenset()


def quota_step(quota: Quota, action: Action, latest_ms: float) -> list[Quota]:
    over = [one for one in quota.paying if one[2] <= latest_ms]
    found = []
    for gone in chain.from_iterable(combinations(over, many) for many in range(len(over) + 1)):
        after = _quota_step(quota._replace(paying=quota.paying.difference(gone)), action)
        if after is not None and after not in found:
            found.append(after)
    return found


def _quota_step(quota: Quota, action: Action) -> Quota | None:
    kind, (limit, sold, paying) = action[0], quota
    if kind == "refund":
        return quota._replace(sold=sold - action[1]) if sold >= action[1] else None
    if kind == "repriced":
        _, gone, come = action
        used = sold + sum(one[1] for one in paying)
        if sold < gone or come > max(0, limit - used + gone):
            return None
        return quota._replace(sold=sold - gone + come)
    if kind == "is":
        return quota if sold + sum(one[1] for one in paying) == action[1] else None
    token = action[1]
    mine = [one for one in paying if one[0] == token]
    others = paying.difference(mine)
    used = sold + sum(one[1] for one in others)
    if kind == "pay":
        _, _, places, ends_ms, *room = action
        if places and used - sum(room) + places > limit:
            return None
        return quota._replace(paying=others | {(token, places, ends_ms)})
    if kind == "full":
        _, _, places, left, *room = action
        return quota if left == max(0, limit - used + sum(room)) and places > left else None
    if not mine:  # what follows ends a payment
        return None
    if kind == "given up":
        return quota._replace(paying=others)
    if kind == "sold":
        return Quota(limit, sold + mine[0][1], others) if action[2] == mine[0][1] else None
    raise ValueError(f"no action on a quota: {action}")
