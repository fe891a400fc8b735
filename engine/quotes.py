"""What places would cost, before anybody holds them: prices, fees and VAT by the rules of checkout.

Owns the way from settings and a plan to the `Quoted` that a checkout of the same lines is answered
with. Nothing is judged but prices: whether the places are free, and how many may be bought, is
asked of the performance.
"""

from engine.commands import Channel, Line, Quoted, Refusal, Refused
from engine.fees import quote
from engine.plan import Plan
from engine.pricing import PriceList
from engine.settings import Settings


def quoted(
    settings: Settings, plan: Plan, lines: tuple[Line, ...], channel: Channel, at_ms: int
) -> Quoted | Refused:
    """Lines at their prices of this moment, in no order and for no time."""
    prices = PriceList(settings)
    amounts: list[int] = []
    rates: list[int | None] = []
    for line in lines:
        category = _category(plan, line)
        if category is None:
            return Refused(Refusal.MALFORMED, (), "lines: no such place")
        amount = prices.price(category, line.price_type, at_ms, channel)
        if amount is None:
            return Refused(
                Refusal.NO_PRICE, (line.seat,) if line.seat >= 0 else (), line.price_type
            )
        amounts.append(amount)
        rates.append(prices.vat_bp(category, line.price_type, at_ms))
    total = sum(line.quantity * amount for line, amount in zip(lines, amounts, strict=True))
    return Quoted(
        "",
        tuple(amounts),
        total,
        settings.currency,
        0,
        quote(settings.fees, lines, amounts, channel, settings.vat_bp),
        tuple(rates) if prices.is_taxed else (),
    )


def _category(plan: Plan, line: Line) -> int | None:
    """That of the line's place; None where the line is none of this plan."""
    if line.area < 0:
        is_seat = 0 <= line.seat < len(plan.seats) and line.quantity == 1
        return plan.seats[line.seat].category if is_seat else None
    is_area = line.seat < 0 and line.area < len(plan.areas) and line.quantity >= 1
    return plan.areas[line.area].category if is_area else None
