"""What a buyer may give back, or exchange, without asking anybody: a performance's policy, applied
to an order.

Pure: a policy is a rule of a performance's settings, and counts until a while before it begins.
That a ticket was used is not known here: the refund finds out.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from engine.orders import SOLD_STATES, LineState, Order, OrderLine
from engine.payments import TILL_METHODS
from engine.settings import Returns, ReturnWay


class Policy(NamedTuple):
    """A performance's policy, None for none, and when the performance begins (Unix ms)."""

    returns: Returns | None
    starts_ms: int


def returnable(
    order: Order, policies: Mapping[int, Policy], now_ms: int
) -> list[tuple[OrderLine, Returns]]:
    """The lines of an order that are taken back now, each with its policy.

    What a person took only a person can hand back: such money is kept as a credit, where the
    policy lets it.
    """
    if order.state not in SOLD_STATES:
        return []
    by_hand = any(one.method in TILL_METHODS and one.kept for one in order.payments)
    found = []
    for line in order.lines:
        returns, starts_ms = policies[line.performance]
        if returns is None or line.state is not LineState.SOLD:
            continue
        if by_hand and returns.way is ReturnWay.AS_PAID:
            continue
        if now_ms < starts_ms - returns.before_ms:
            found.append((line, replace(returns, way=ReturnWay.CREDIT) if by_hand else returns))
    return found


def kept(taken: Sequence[tuple[OrderLine, Returns]]) -> int:
    """What the house keeps of what these lines cost, in minor units: no more than each did."""
    return sum(min(returns.fee, line.price) for line, returns in taken)


def offers(taken: Sequence[tuple[OrderLine, Returns]], *, to_credit: bool) -> bool:
    """May the money of all of these lines go this way?"""
    other = ReturnWay.AS_PAID if to_credit else ReturnWay.CREDIT
    return all(returns.way is not other for _, returns in taken)
