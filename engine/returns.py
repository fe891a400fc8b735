"""What a buyer may give back without asking anybody: a performance's policy, applied to an order.

Pure: a policy is a rule of a performance's settings, and counts until a while before it begins.
That a ticket was used is not known here: the refund finds out.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.orders import SOLD_STATES, LineState, Order, OrderLine
from engine.settings import Returns, ReturnWay


class Policy(NamedTuple):
    """A performance's policy, None for none, and when the performance begins (Unix ms)."""

    returns: Returns | None
    starts_ms: int


def returnable(
    order: Order, policies: Mapping[int, Policy], now_ms: int
) -> list[tuple[OrderLine, Returns]]:
    """The lines of an order that are taken back now, each with its policy."""
    if order.state not in SOLD_STATES:
        return []
    found = []
    for line in order.lines:
        returns, starts_ms = policies[line.performance]
        if returns is None or line.state is not LineState.SOLD:
            continue
        if now_ms < starts_ms - returns.before_ms:
            found.append((line, returns))
    return found


def kept(taken: Sequence[tuple[OrderLine, Returns]]) -> int:
    """What the house keeps of what these lines cost, in minor units: no more than each did."""
    return sum(min(returns.fee, line.price) for line, returns in taken)


def offers(taken: Sequence[tuple[OrderLine, Returns]], *, to_credit: bool) -> bool:
    """May the money of all of these lines go this way?"""
    other = ReturnWay.AS_PAID if to_credit else ReturnWay.CREDIT
    return all(returns.way is not other for _, returns in taken)
