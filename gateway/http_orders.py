"""Orders over HTTP: place, look, pay, give up, and their paper; Stripe's webhook.

Owns these routes, and who may use them: the order's id is the key to its page,
so whoever has it may look, pay by card and print; cash and card terminals are a
cashier's. Decides nothing: that is the order desk's.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated, Any, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from engine.commands import Channel
from engine.credit import masked
from engine.limits import MAX_TEXT_CHARS
from engine.ordering import to_be_paid_by
from engine.orders import (
    TICKETED_STATES,
    ExchangeRequest,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderRefused,
    PlaceOrder,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.payments import TILL_METHODS, PaymentMethod
from engine.returns import Policy, kept, offers, returnable
from engine.settings import Returns
from engine.tills import NO_TILL, till_key
from gateway.backend import SignatureInvalid
from gateway.http import EDGE, Edge, answer, operator, query_numbers, read_body, read_json, somebody
from gateway.http_tills import at_till
from gateway.paper import House, Showing, sold_lines
from gateway.problems import Problem, performance_unknown
from gateway.programme import OfferedTerms, style_of, summary, vat_of
from gateway.session import Principal, Role, now_ms
from renderers import i18n

SELLERS: Final = (Role.CASHIER, Role.SUPERVISOR, Role.ADMIN)
PLACERS: Final = (*SELLERS, Role.RESELLER)
"""Of operators: who may place orders, and give up their own."""
_DAY_MS: Final = 24 * 60 * 60 * 1_000
_ID: Final = re.compile(r"[0-9a-f]{32}")
_REFUSAL_STATUS: Final = {"order_unknown": 404, "busy": 503, "malformed": 422}
"""HTTP status of refusals; 409 for all others."""

MAX_LINES_RETURNED: Final = 1_000
"""In one request: more than an order has."""

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]

routes = web.RouteTableDef()


class Pay(Struct, frozen=True):
    """`given` (minor units) is cash handed over, `reference` what the other methods at a till have,
    or which card reader.

    `amount` is the part that is paid, 0 for all that is due.
    """

    method: PaymentMethod
    attempt: Annotated[str, Meta(min_length=1, max_length=64)]
    given: Annotated[int, Meta(ge=0, le=2**53)] = 0
    reference: Text = ""
    amount: Annotated[int, Meta(ge=0, le=2**53)] = 0


class Return(Struct, frozen=True):
    """`id` is made by the caller: the same return asked twice is done once."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    lines: Annotated[tuple[int, ...], Meta(min_length=1, max_length=MAX_LINES_RETURNED)]
    to_credit: bool = False


class Exchange(Struct, frozen=True):
    """`lines` are given for what `basket` holds. `id` is made by the caller, as that of a return.

    With an empty token `basket` names the places of `lines` themselves, in the order of the lines'
    numbers, each with its new price type.
    `fee` (minor units) is what an operator charges for it; a buyer pays the performance's own.
    """

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    lines: Annotated[tuple[int, ...], Meta(min_length=1, max_length=MAX_LINES_RETURNED)]
    basket: OrderHold
    fee: Annotated[int, Meta(ge=0, le=10**9)] = 0
    to_credit: bool = False


class Reserve(Struct, frozen=True):
    """`until_ms` ends an order for pick-up; the house's own terms end the others."""

    kind: TermsKind
    until_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0


@routes.post("/api/orders")
async def place(request: web.Request) -> web.Response:
    """Price and lock the holds; who asks comes from the token, and the channel with it: of the
    house's people it is the box office, or the phone where they say so."""
    edge = request.app[EDGE]
    principal = await somebody(request)
    if not principal.is_buyer:
        principal = await operator(request, *PLACERS)
    wanted = await read_json(request, PlaceOrder)
    _check(wanted)
    by_phone = wanted.channel is Channel.PHONE
    if by_phone and not principal.may_sell_in(Channel.PHONE):
        raise Problem("forbidden", "orders by phone are taken by the house's people")
    if principal.is_reseller and wanted.gift_cards:
        raise Problem("forbidden", "gift cards are the house's own to sell")
    alone = bool(wanted.gift_cards) and not wanted.baskets
    if principal.is_outsider:
        asked = [wanted.performance] if alone else []
        for performance in (*asked, *(basket.performance for basket in wanted.baskets)):
            if not await edge.programme.is_public(performance):
                raise performance_unknown(performance)
    currency = (await edge.programme.entry(wanted.performance)).settings.currency if alone else ""
    wanted = msgspec.structs.replace(
        wanted,
        channel=Channel.PHONE if by_phone else principal.channel,
        session=principal.who if principal.is_buyer else "",
        operator="" if principal.is_buyer else principal.who,
        tax_bp=vat_of(await edge.programme.house()),
        currency=currency,
    )
    placed = decided(await edge.backend.desk.place(wanted))
    if not principal.is_buyer:
        edge.auditor.note(principal, "place_order", placed.number)
    return answer(await order_view(edge, placed), status=201)


@routes.get("/api/orders/{order}")
async def get_order(request: web.Request) -> web.Response:
    """The order, and once it is confirmed its tickets, to be shown on a telephone."""
    edge = request.app[EDGE]
    order = await wanted_order(request)
    view = await order_view(edge, order)
    return answer(view | {"tickets": edge.paper.shown(order) if view["tickets_ready"] else []})


@routes.post("/api/orders/{order}/pay")
async def pay(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    wanted = await read_json(request, Pay)
    seller, where = None, NO_TILL
    if wanted.method in TILL_METHODS or wanted.method is PaymentMethod.STRIPE_TERMINAL:
        seller = await operator(request, *SELLERS)
        where = await at_till(edge, seller)
    paid = decided(
        await edge.backend.desk.pay(
            order_id(request),
            wanted.method.value,
            wanted.attempt,
            wanted.given,
            wanted.reference,
            seller.who if seller else "",
            wanted.amount,
            where,
        )
    )
    order, redirect_url = paid
    if seller is not None:
        edge.auditor.note(seller, "take_payment", order.number, method=wanted.method.value)
    view: dict[str, Any] = {"order": await order_view(edge, order)}
    return answer(view | ({"redirect_url": redirect_url} if redirect_url else {}))


@routes.post("/api/orders/{order}/reserve")
async def reserve(request: web.Request) -> web.Response:
    """Keep the seats without the money: a buyer on the house's terms, once somebody approves."""
    edge = request.app[EDGE]
    wanted = await read_json(request, Reserve)
    by_house = wanted.kind in (TermsKind.INVOICE, TermsKind.ON_SITE)
    principal = await somebody(request) if by_house else await operator(request, *SELLERS)
    if not principal.is_buyer:
        principal = await operator(request, *(PLACERS if by_house else SELLERS))
    if principal.is_reseller:
        await own_order(request, principal)
    terms = _terms(wanted, await edge.programme.house())
    who = "" if principal.is_outsider else principal.who
    reserved = decided(await edge.backend.desk.reserve(order_id(request), terms, who))
    if who:
        edge.auditor.note(principal, "reserve_order", reserved.number, kind=wanted.kind.value)
    return answer(await order_view(edge, reserved))


@routes.post("/api/orders/{order}/approve")
async def approve(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    principal = await operator(request, Role.SUPERVISOR, Role.ADMIN)
    approved = decided(await edge.backend.desk.approve(order_id(request)))
    edge.auditor.note(principal, "approve_order", approved.number)
    return answer(await order_view(edge, approved))


@routes.post("/api/orders/{order}/cancel")
async def cancel(request: web.Request) -> web.Response:
    """Back to the basket: the holds can change again until they expire. Of an order that is sold:
    the exchange that is named, while it is under way."""
    edge = request.app[EDGE]
    exchange = request.query.get("exchange", "")[:MAX_TEXT_CHARS]
    order = await wanted_order(request)
    ours = order.channel is not Channel.WEB or any(
        one.method in TILL_METHODS for one in order.payments
    )
    if order.exchange is not None:
        ours = bool(order.exchange.operator)
    seller = await operator(request, *PLACERS) if ours else None
    if seller is not None and seller.is_reseller:
        await own_order(request, seller)
    where = await at_till(edge, seller) if seller is not None else NO_TILL
    given_up = decided(await edge.backend.desk.cancel(order.id, exchange, where))
    if seller is not None:
        edge.auditor.note(seller, "cancel_order", order.number)
    return answer(await order_view(edge, given_up))


@routes.post("/api/orders/{order}/return")
async def give_back(request: web.Request) -> web.Response:
    """The buyer gives places back, as their performances' policies say."""
    edge = request.app[EDGE]
    wanted = await read_json(request, Return)
    order = await wanted_order(request)
    if not any(refund.id == wanted.id for refund in order.refunds):
        taken = await _taken(edge, order, "returns", wanted.lines)
        if not taken:
            raise Problem("not_returnable", "the time to give them back is over, or there is none")
        if not offers(taken, to_credit=wanted.to_credit):
            raise Problem("not_returnable", "the money goes another way", field="$.to_credit")
        fee = kept(taken)
    else:
        fee = 0  # it was asked before, and is answered as then
    asked = RefundRequest(wanted.id, wanted.lines, fee=fee, to_credit=wanted.to_credit)
    refunded = decided(await edge.backend.desk.refund(order.id, asked))
    return answer(await order_view(edge, refunded))


@routes.post("/api/orders/{order}/exchange")
async def exchange(request: web.Request) -> web.Response:
    """Places for others that are held, or for another price: by an operator any, by a buyer as the
    policy says."""
    edge = request.app[EDGE]
    principal = await somebody(request)
    if not principal.is_buyer:
        principal = await operator(request, *SELLERS)
    wanted = await read_json(request, Exchange)
    _check_hold(wanted.basket, "$.basket")
    order = await wanted_order(request)
    who = "" if principal.is_buyer else principal.who
    fee, to_credit, where = wanted.fee, wanted.to_credit, NO_TILL
    known = next((one for one in order.exchanges if one.id == wanted.id), None)
    if known is not None:
        fee, to_credit = known.fee, bool(known.card)  # it was asked before, and is answered as then
    elif principal.is_buyer:
        fee, to_credit = await _exchange_terms(edge, order, wanted)
    else:
        to_credit = to_credit or not await may_refund(edge, principal, order)
        where = await at_till(edge, principal)
    rate = vat_of(await edge.programme.house())
    asked = ExchangeRequest(
        wanted.id, wanted.lines, wanted.basket, who, fee, to_credit, rate, principal.channel
    )
    changed = decided(await edge.backend.desk.exchange(order.id, asked, where))
    if who:
        edge.auditor.note(principal, "exchange", order.number, lines=list(wanted.lines), fee=fee)
    return answer(await order_view(edge, changed))


async def _exchange_terms(edge: Edge, order: Order, wanted: Exchange) -> tuple[int, bool]:
    """What a buyer pays for an exchange, and whether what is left over becomes a credit."""
    performance = wanted.basket.performance
    if not await edge.programme.is_public(performance):
        raise performance_unknown(performance)
    taken = await _taken(edge, order, "exchanges", wanted.lines)
    if not taken:
        raise Problem("not_exchangeable", "the time to exchange them is over, or there is none")
    return kept(taken), not offers(taken, to_credit=False)


async def may_refund(edge: Edge, principal: Principal, order: Order) -> bool:
    """May this operator give money of this order back? An admin of any; the refund role of one's
    own sales, and of those that were paid at the till where one has a session open."""
    if principal.has(Role.ADMIN):
        return True
    if not principal.has(Role.REFUND):
        return False
    if order.operator == principal.who:
        return True
    mine = await edge.backend.tills.open_of(principal.who)
    sessions = {payment.till for payment in order.payments if payment.till}
    if mine is None or not sessions:
        return False
    reports = [await edge.backend.tills.report(session) for session in sorted(sessions)]
    there = {till_key(one.session.till) for one in reports if one is not None}
    return till_key(mine.till) in there


async def _taken(
    edge: Edge, order: Order, what: str, lines: Sequence[int]
) -> list[tuple[OrderLine, Returns]]:
    """These lines with their policies; none where one of them is not open to it now."""
    found = {line.number: (line, policy) for line, policy in await _open(edge, order, what)}
    taken = [found[number] for number in lines if number in found]
    return taken if len(taken) == len(set(lines)) else []


async def _open(edge: Edge, order: Order, what: str) -> list[tuple[OrderLine, Returns]]:
    """The lines that the buyer may give back ("returns") or exchange ("exchanges") now."""
    policies = {}
    for number in {line.performance for line in order.lines}:
        entry = await edge.programme.entry(number)
        policies[number] = Policy(getattr(entry.settings, what), entry.starts_ms)
    return returnable(order, policies, now_ms())


@routes.get("/api/orders/{order}/tickets.pdf")
async def tickets_pdf(request: web.Request) -> web.Response:
    order = await wanted_order(request)
    return await tickets_as_pdf(request, order, query_numbers(request, "line"))


async def tickets_as_pdf(
    request: web.Request,
    order: Order,
    lines: Collection[int],
    copies: Mapping[int, int] = MappingProxyType({}),
    gift_cards: Mapping[int, int] = MappingProxyType({}),
) -> web.Response:
    """The tickets of lines, or of all where none is named, as `Paper.tickets` draws them."""
    edge = request.app[EDGE]
    body = await edge.paper.tickets(
        order,
        await showings(edge, order),
        await _house(edge),
        language(request, order),
        lines,
        copies,
        gift_cards,
    )
    return pdf(body, f"tickets-{order.number}.pdf")


@routes.get("/api/orders/{order}/gift-cards.pdf")
async def gift_cards_pdf(request: web.Request) -> web.Response:
    """The gift cards of an order that is paid."""
    edge = request.app[EDGE]
    order = await wanted_order(request)
    body = await edge.paper.gift_cards(order, await _house(edge), language(request, order))
    return pdf(body, f"gift-cards-{order.number}.pdf")


@routes.get("/api/orders/{order}/receipt.pdf")
async def receipt_pdf(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    order = await wanted_order(request)
    body = await edge.paper.receipt(
        order, await showings(edge, order), await _house(edge), language(request, order)
    )
    return pdf(body, f"receipt-{order.number}.pdf")


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


def _terms(wanted: Reserve, house: Any) -> Terms:
    """The terms of a reservation. Raises Problem where the house offers none of this kind."""
    if wanted.kind is TermsKind.PICK_UP:
        if wanted.until_ms <= now_ms():
            raise Problem("invalid", "the time to pick it up is over", field="$.until_ms")
        return Terms(wanted.kind, until_ms=wanted.until_ms)
    told = house.settings.get(wanted.kind.value)
    if told is None:
        raise Problem("terms_not_offered", wanted.kind.value, status=409)
    offered = msgspec.convert(told, OfferedTerms)
    return Terms(
        wanted.kind,
        first_ms=offered.first_days * _DAY_MS,
        interval_ms=offered.interval_days * _DAY_MS,
        reminders=offered.reminders,
    )


async def order_view(edge: Edge, order: Order) -> dict[str, Any]:
    """An order as its page and the tills see it."""
    at_ms = now_ms()
    performances = dict.fromkeys(line.performance for line in order.lines)
    view: dict[str, Any] = msgspec.to_builtins(order)
    # The buyer's session is nobody else's business, and the page knows its own.
    view["session"] = ""
    for told, payment in zip(view["payments"], order.payments, strict=True):
        told |= {"state": payment.state.value, "refunded": payment.refunded}
        if payment.method is PaymentMethod.STORE_CREDIT:
            told["reference"] = masked(payment.reference)  # the whole code is money
    for told, charge in zip(view["charges"], order.charges, strict=True):
        if charge.state is not LineState.SOLD:
            told["card"] = ""  # of a gift card that is not paid
    return view | {
        "tickets_ready": order.state in TICKETED_STATES and bool(sold_lines(order)),
        "paid": order.paid,
        "returnable": [
            {"line": line.number, "fee": min(returns.fee, line.price), "way": returns.way}
            for line, returns in await _open(edge, order, "returns")
        ],
        "exchangeable": [
            {"line": line.number, "fee": min(policy.fee, line.price)}
            for line, policy in await _open(edge, order, "exchanges")
        ],
        "due": max(0, order.due) if order.waits else 0,
        "ways": _ways(order),
        "performances": [
            summary(await edge.programme.entry(number), at_ms) for number in performances
        ],
    }


def _ways(order: Order) -> list[dict[str, Any]]:
    """What is due with the fees of each way to pay that has some."""
    if not order.waits or not order.way_fees:
        return []
    told = []
    for method in PaymentMethod:
        paid_so = to_be_paid_by(order, method, method.value)
        more = paid_so.charges[len(order.charges) :]
        fees = [{"fee": one.fee, "amount": one.amount} for one in more if not one.absorbed]
        if fees:
            due = max(0, paid_so.due)
            told.append({"method": method, "total": paid_so.total, "due": due, "fees": fees})
    return told


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


def order_id(request: web.Request) -> str:
    id = request.match_info["order"]
    if not _ID.fullmatch(id):
        raise Problem("order_unknown")
    return id


async def wanted_order(request: web.Request) -> Order:
    """The order of the path. Raises Problem("order_unknown")."""
    order = await request.app[EDGE].backend.desk.get(order_id(request))
    if order is None:
        raise Problem("order_unknown")
    return order


async def own_order(request: web.Request, principal: Principal) -> Order:
    """The order of the path. Raises Problem where this operator did not place it."""
    order = await wanted_order(request)
    if order.operator != principal.who:
        raise Problem("forbidden", "another placed this order")
    return order


def _check(wanted: PlaceOrder) -> None:
    for at, basket in enumerate(wanted.baskets):
        _check_hold(basket, f"$.baskets[{at}]")
    for name in ("name", "email", "language"):
        if len(getattr(wanted.buyer, name)) > MAX_TEXT_CHARS:
            detail = f"{MAX_TEXT_CHARS} characters at most"
            raise Problem("invalid", detail, field=f"$.buyer.{name}")


def _check_hold(hold: OrderHold, field: str) -> None:
    if not 0 <= hold.performance < 2**31:
        raise Problem("invalid", "no performance has this number", field=f"{field}.performance")


async def showings(edge: Edge, order: Order) -> dict[int, Showing]:
    """The performances of an order, by number."""
    found = {}
    for performance in {line.performance for line in order.lines}:
        entry = await edge.programme.entry(performance)
        found[performance] = Showing(entry, await edge.plans.plan(entry.plan))
    return found


async def _house(edge: Edge) -> House:
    house = await edge.programme.house()
    return House(style_of(house), house.time_zone, vat_of(house))


def language(request: web.Request, order: Order) -> str:
    """That of the order's paper: as asked for, else the buyer's."""
    wanted = i18n.match(request.query.get("lang")) or i18n.match(order.buyer.language)
    return wanted or i18n.preferred(request.headers.get("Accept-Language"))


def pdf(body: bytes, name: str) -> web.Response:
    """A PDF to be looked at, kept by nobody on its way."""
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'inline; filename="{name}"'}
    return web.Response(body=body, content_type="application/pdf", headers=headers)
