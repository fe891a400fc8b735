"""What is sold when: what a performance's settings come to at a time.

Pure functions of settings and a time, for the engine's rules and for whoever shows how a sale
stands. Knows no seat: how many places are left is the caller's to say. A time is from its first
millisecond until just before its last bound; 0 is no bound.
"""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final, NamedTuple

from engine.settings import PriceType, SaleStatus, Settings, TypeStatus

FOREVER: Final = 2**62
NEVER: Final = (0, 0)


class Standing(StrEnum):
    """How a sale, or the sale of a price type, stands for the public."""

    HIDDEN = "hidden"
    CLOSED = "closed"  # not now
    BOX_OFFICE = "box_office"  # at tills only, now
    ON_SALE = "on_sale"
    SOLD_OUT = "sold_out"
    ENDED = "ended"
    CANCELLED = "cancelled"  # it will not take place


class Outlook(NamedTuple):
    """How it stands, and what it becomes at `changes_ms`; 0 when time alone changes nothing."""

    status: Standing
    changes_ms: int
    then: Standing


_SHUT: Final = {
    SaleStatus.HIDDEN: Standing.HIDDEN,
    SaleStatus.CLOSED: Standing.CLOSED,
    SaleStatus.ENDED: Standing.ENDED,
    SaleStatus.CANCELLED: Standing.CANCELLED,
}


def holds_at(from_ms: int, until_ms: int, at_ms: int) -> bool:
    """Is this time between the two?"""
    return from_ms <= at_ms and (not until_ms or at_ms < until_ms)


def opening(settings: Settings, *, tills: bool) -> tuple[int, int]:
    """From when until when is sold at the tills, or by buyers' own channels; NEVER if it is not."""
    if settings.status in _SHUT or (settings.status is SaleStatus.BOX_OFFICE and not tills):
        return NEVER
    if tills:
        return settings.tills_open_ms, settings.tills_close_ms or FOREVER
    return settings.sale_opens_ms, settings.sale_closes_ms or FOREVER


def sale_now(settings: Settings, at_ms: int, left: int | None = None) -> Outlook:
    """How the sale stands for the public. `left`: places that are free or may come free."""
    online, tills = opening(settings, tills=False), opening(settings, tills=True)

    def standing(moment_ms: int) -> Standing:
        if settings.status in _SHUT:
            return _SHUT[settings.status]
        if online[0] <= moment_ms < online[1]:
            return Standing.ON_SALE
        if tills[0] <= moment_ms < tills[1]:
            return Standing.BOX_OFFICE
        to_come = moment_ms < max(tills[0], online[0])
        return Standing.CLOSED if to_come else Standing.ENDED

    outlook = _outlook(standing, (*online, *tills), at_ms)
    if outlook.status is Standing.ON_SALE and left == 0:
        return outlook._replace(status=Standing.SOLD_OUT)
    return outlook


def type_now(kind: PriceType, at_ms: int) -> Outlook:
    """How the sale of a price type stands, where the performance is on sale."""

    def standing(moment_ms: int) -> Standing:
        if kind.status is TypeStatus.HIDDEN:
            return Standing.HIDDEN
        if kind.status is TypeStatus.CLOSED or moment_ms < kind.from_ms:
            return Standing.CLOSED
        return Standing.ON_SALE if holds_at(0, kind.until_ms, moment_ms) else Standing.ENDED

    return _outlook(standing, (kind.from_ms, kind.until_ms), at_ms)


def prices_change_ms(settings: Settings, at_ms: int) -> int:
    """When something else is sold next, or at another price; 0: never."""
    moments = [moment for kind in settings.price_types for moment in (kind.from_ms, kind.until_ms)]
    moments += [moment for price in settings.prices for moment in (price.from_ms, price.until_ms)]
    return min([moment for moment in moments if moment > at_ms], default=0)


def _outlook(standing: Callable[[int], Standing], moments: Iterable[int], at_ms: int) -> Outlook:
    status = standing(at_ms)
    for moment in sorted(moments):
        if at_ms < moment < FOREVER and standing(moment) is not status:
            return Outlook(status, moment, standing(moment))
    return Outlook(status, 0, status)
