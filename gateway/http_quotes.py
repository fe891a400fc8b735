"""What a basket would cost, with the fees of its delivery and of every way to pay.

Owns this route. It asks no performance and changes nothing: prices and fees are reckoned from the
settings by the engine's own rules, and the order is drawn up as the desk would, and not kept.
"""

from collections import Counter
from typing import Annotated, Any

from aiohttp import web
from msgspec import Meta, Struct

from engine.commands import Channel, Line, Quoted, Refused
from engine.limits import MAX_PLACES_PER_HOLD
from engine.ordering import MAX_BASKETS_PER_ORDER, draw_up, to_be_paid_by
from engine.orders import STANDING, Delivery, Order, OrderHold, PlaceOrder
from engine.payments import PaymentMethod, methods
from engine.quotes import quoted
from gateway.http import EDGE, answer, may_see, operator, read_json, somebody
from gateway.http_orders import PLACERS
from gateway.problems import Problem, performance_unknown
from gateway.session import now_ms

routes = web.RouteTableDef()


class QuotedBasket(Struct, frozen=True):
    """Places of a performance. Each line is [seat, area, price type, quantity], as in an order."""

    performance: Annotated[int, Meta(ge=0, le=2**31 - 1)]
    lines: Annotated[tuple[Line, ...], Meta(min_length=1, max_length=MAX_PLACES_PER_HOLD)]


class AskQuote(Struct, frozen=True):
    """What would be ordered. `channel`: "phone" of the house's people; else it is one's own."""

    baskets: Annotated[
        tuple[QuotedBasket, ...], Meta(min_length=1, max_length=MAX_BASKETS_PER_ORDER)
    ]
    delivery: Delivery = Delivery.E_TICKET
    channel: Channel | None = None


@routes.post("/api/quote")
async def post_quote(request: web.Request) -> web.Response:
    """The total and the fees of a basket, and the same for each way to pay that costs more."""
    edge = request.app[EDGE]
    principal = await somebody(request)
    if not principal.is_buyer:
        principal = await operator(request, *PLACERS)
    wanted = await read_json(request, AskQuote)
    channel = wanted.channel or principal.channel
    if not principal.may_sell_in(channel):
        raise Problem("forbidden", f"{channel} is not your channel")
    places = sum(max(0, line.quantity) for basket in wanted.baskets for line in basket.lines)
    if places > MAX_PLACES_PER_HOLD * len(wanted.baskets):
        raise Problem(
            "invalid", f"{MAX_PLACES_PER_HOLD} places a basket at most", field="$.baskets"
        )
    quotes: list[Quoted] = []
    names: dict[str, dict[str, str]] = {}
    for basket in wanted.baskets:
        entry = await edge.programme.entry(basket.performance)
        if not may_see(principal, entry):
            raise performance_unknown(basket.performance)
        plan = await edge.plans.plan(entry.plan)
        found = quoted(entry.settings, plan, basket.lines, channel, now_ms())
        if isinstance(found, Refused):
            status = 422 if found.code == "malformed" else 409
            raise Problem(
                found.code, found.detail, status=status, performance=entry.id, seats=found.seats
            )
        quotes.append(found)
        names |= {fee.id: fee.names for fee in entry.settings.fees}
    if len({quote.currency for quote in quotes}) > 1:
        raise Problem("mixed_currencies", status=409)
    holds = tuple(OrderHold(one.performance, "", one.lines) for one in wanted.baskets)
    order = draw_up(PlaceOrder("", holds, channel, delivery=wanted.delivery), quotes, 0)
    offered = methods(channel, PaymentMethod.STRIPE in edge.config.payment_methods)
    ways = {way: to_be_paid_by(order, way, way.value) for way in offered}
    return answer(
        {
            "currency": order.currency,
            "total": order.total,
            "fees": _fees(order, names),
            "ways": [
                {"method": way, "total": one.total, "fees": _fees(one, names)}
                for way, one in ways.items()
            ],
        }
    )


def _fees(order: Order, names: dict[str, dict[str, str]]) -> list[dict[str, Any]]:
    """What the buyer is charged beside the places, by fee."""
    sums: Counter[str] = Counter()
    for line in order.lines:
        sums.update({fee.fee: fee.amount for fee in line.fees if not fee.absorbed})
    for one in order.charges:
        if one.state in STANDING and not one.absorbed:
            sums[one.fee] += one.amount
    return [
        {"fee": fee, "names": names.get(fee, {}), "amount": amount} for fee, amount in sums.items()
    ]
