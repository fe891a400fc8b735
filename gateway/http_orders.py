"""Orders over HTTP: place, look, pay, give up, and their paper; Stripe's webhook.

Owns these routes, and who may use them: the order's id is the key to its page,
so whoever has it may look, pay by card and print; cash and card terminals are a
cashier's. Decides nothing: that is the order desk's.
"""

import re
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from engine.commands import Channel
from engine.limits import MAX_TEXT_CHARS
from engine.orders import Order, OrderRefused, OrderState, PlaceOrder
from engine.payments import PaymentMethod
from gateway.backend import SignatureInvalid
from gateway.http import EDGE, Edge, answer, operator, query_number, read_body, read_json, somebody
from gateway.paper import House, Showing, sold_lines
from gateway.problems import Problem, performance_unknown
from gateway.programme import style_of, summary
from gateway.session import Role, now_ms
from renderers import i18n

SELLERS: Final = (Role.CASHIER, Role.SUPERVISOR, Role.ADMIN)
_TILL_METHODS: Final = (PaymentMethod.CASH, PaymentMethod.CARD_TERMINAL)
_ID: Final = re.compile(r"[0-9a-f]{32}")
_REFUSAL_STATUS: Final = {"order_unknown": 404, "busy": 503, "malformed": 422}
"""HTTP status of refusals; 409 for all others."""

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]

routes = web.RouteTableDef()


class Pay(Struct, frozen=True):
    """`given` (minor units) for cash, `reference` for a card terminal."""

    method: PaymentMethod
    attempt: Annotated[str, Meta(min_length=1, max_length=64)]
    given: Annotated[int, Meta(ge=0, le=2**53)] = 0
    reference: Text = ""


@routes.post("/api/orders")
async def place(request: web.Request) -> web.Response:
    """Price and lock the holds; the channel and who asks come from the token."""
    edge = request.app[EDGE]
    principal = await somebody(request)
    if not principal.is_buyer:
        principal = await operator(request, *SELLERS)
    wanted = await read_json(request, PlaceOrder)
    _check(wanted)
    if principal.is_buyer:
        for basket in wanted.baskets:
            if not await edge.programme.is_public(basket.performance):
                raise performance_unknown(basket.performance)
    wanted = msgspec.structs.replace(
        wanted,
        channel=principal.channel,
        session=principal.who if principal.is_buyer else "",
        operator="" if principal.is_buyer else principal.who,
    )
    placed = decided(await edge.backend.desk.place(wanted))
    if not principal.is_buyer:
        edge.auditor.note(principal, "place_order", placed.number)
    return answer(await order_view(edge, placed), status=201)


@routes.get("/api/orders/{order}")
async def get_order(request: web.Request) -> web.Response:
    """The order, and once it is confirmed its tickets, to be shown on a telephone."""
    edge = request.app[EDGE]
    order = await _order(request)
    view = await order_view(edge, order)
    return answer(view | {"tickets": edge.paper.shown(order) if view["tickets_ready"] else []})


@routes.post("/api/orders/{order}/pay")
async def pay(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    wanted = await read_json(request, Pay)
    seller = None
    if wanted.method in _TILL_METHODS:
        seller = await operator(request, *SELLERS)
    paid = decided(
        await edge.backend.desk.pay(
            _order_id(request),
            wanted.method.value,
            wanted.attempt,
            wanted.given,
            wanted.reference,
            seller.who if seller else "",
        )
    )
    order, redirect_url = paid
    if seller is not None:
        edge.auditor.note(seller, "take_payment", order.number, method=wanted.method.value)
    view: dict[str, Any] = {"order": await order_view(edge, order)}
    return answer(view | ({"redirect_url": redirect_url} if redirect_url else {}))


@routes.post("/api/orders/{order}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Back to the basket: the holds can change again until they expire."""
    edge = request.app[EDGE]
    order = await _order(request)
    seller = await operator(request, *SELLERS) if order.channel is not Channel.WEB else None
    given_up = decided(await edge.backend.desk.cancel(order.id))
    if seller is not None:
        edge.auditor.note(seller, "cancel_order", order.number)
    return answer(await order_view(edge, given_up))


@routes.get("/api/orders/{order}/tickets.pdf")
async def tickets_pdf(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    order = await _order(request)
    line = query_number(request, "line", -1)
    body = await edge.paper.tickets(
        order, await _showings(edge, order), await _house(edge), _language(request, order), line
    )
    return _pdf(body, f"tickets-{order.number}.pdf")


@routes.get("/api/orders/{order}/receipt.pdf")
async def receipt_pdf(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    order = await _order(request)
    body = await edge.paper.receipt(
        order, await _showings(edge, order), await _house(edge), _language(request, order)
    )
    return _pdf(body, f"receipt-{order.number}.pdf")


@routes.post("/api/stripe/webhook")
async def stripe_webhook(request: web.Request) -> web.Response:
    """An event as Stripe sent it: only its raw bytes can be checked."""
    payload = await read_body(request)
    try:
        await request.app[EDGE].backend.desk.webhook(
            payload, request.headers.get("Stripe-Signature", "")
        )
    except SignatureInvalid as error:
        raise Problem("signature_invalid", str(error)) from None
    return answer({"received": True})


async def order_view(edge: Edge, order: Order) -> dict[str, Any]:
    """An order as its page and the tills see it."""
    at_ms = now_ms()
    performances = dict.fromkeys(hold.performance for hold in order.holds)
    view: dict[str, Any] = msgspec.to_builtins(order)
    # The buyer's session is nobody else's business, and the page knows its own.
    view["session"] = ""
    for told, payment in zip(view["payments"], order.payments, strict=True):
        told |= {"state": payment.state.value, "refunded": payment.refunded}
    return view | {
        "tickets_ready": order.state is OrderState.CONFIRMED and bool(sold_lines(order)),
        "paid": order.paid,
        "performances": [
            summary(await edge.programme.entry(number), at_ms) for number in performances
        ],
    }


def decided(found: Any) -> Any:
    """What the desk answered. Raises Problem with the code of its refusal."""
    if isinstance(found, OrderRefused):
        raise Problem(
            found.code,
            found.detail,
            status=_REFUSAL_STATUS.get(found.code, 409),
            performance=found.performance,
            seats=found.seats,
        )
    return found


def _order_id(request: web.Request) -> str:
    id = request.match_info["order"]
    if not _ID.fullmatch(id):
        raise Problem("order_unknown")
    return id


async def _order(request: web.Request) -> Order:
    order = await request.app[EDGE].backend.desk.get(_order_id(request))
    if order is None:
        raise Problem("order_unknown")
    return order


def _check(wanted: PlaceOrder) -> None:
    for at, basket in enumerate(wanted.baskets):
        if not 0 <= basket.performance < 2**31:
            field = f"$.baskets[{at}].performance"
            raise Problem("invalid", "no performance has this number", field=field)
    for name in ("name", "email", "language"):
        if len(getattr(wanted.buyer, name)) > MAX_TEXT_CHARS:
            detail = f"{MAX_TEXT_CHARS} characters at most"
            raise Problem("invalid", detail, field=f"$.buyer.{name}")


async def _showings(edge: Edge, order: Order) -> dict[int, Showing]:
    found = {}
    for performance in {line.performance for line in order.lines}:
        entry = await edge.programme.entry(performance)
        found[performance] = Showing(entry, await edge.plans.plan(entry.plan))
    return found


async def _house(edge: Edge) -> House:
    house = await edge.programme.house()
    return House(style_of(house), house.time_zone, house.settings.get("vat_bp"))


def _language(request: web.Request, order: Order) -> str:
    wanted = i18n.match(request.query.get("lang")) or i18n.match(order.buyer.language)
    return wanted or i18n.preferred(request.headers.get("Accept-Language"))


def _pdf(body: bytes, name: str) -> web.Response:
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'inline; filename="{name}"'}
    return web.Response(body=body, content_type="application/pdf", headers=headers)
