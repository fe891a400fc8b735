"""What operators ask beside selling: login, latest sales, ticket search, refunds.

Owns these routes and their roles. Searches take what people type; what a text
may mean (an order, a ticket, a seat, a name) is found out here and in the
database's queries.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import asdict

from engine.limits import MAX_TEXT_CHARS
from engine.order_changes import copies, gift_card_copies
from engine.orders import RESERVED_STATES, OrderState, RefundRequest
from gateway.http import (
    EDGE,
    Edge,
    address_of,
    answer,
    bearer,
    operator,
    query_number,
    read_json,
    rows_wanted,
    somebody,
)
from gateway.http_orders import (
    SELLERS,
    decided,
    may_refund,
    order_view,
    tickets_as_pdf,
    wanted_order,
)
from gateway.http_tills import at_till
from gateway.limits import DEFAULT_ROWS_PER_PAGE, MAX_PASSWORD_CHARS, OPERATOR_LIFE_S
from gateway.login import NOBODY
from gateway.plans import find_seats
from gateway.problems import Problem
from gateway.session import Principal, Role, digest_of, new_token, now_ms

SALES_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR, Role.CASHIER, Role.REFUND)
REFUND_ROLES: Final = (Role.ADMIN, Role.REFUND)
MAX_ORDERS_FOR_TICKETS: Final = 10
"""Orders found by a name whose tickets one ticket search shows."""

_TICKET: Final = re.compile(r"\s*#?(?:(\d{1,9})\s*-\s*)?(\d{1,9})(?:\s*-.*)?")

routes = web.RouteTableDef()


class NewTickets(Struct, frozen=True):
    """`id` is made by the caller; no `lines`: all that are sold."""

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    lines: tuple[int, ...] = ()


class Login(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
    password: Annotated[str, Meta(max_length=MAX_PASSWORD_CHARS)]


class GiveBack(Struct, frozen=True):
    """`id` is made by the caller: the same refund asked twice is done once.

    `amount` minor units instead of lines: the places stay sold. `to_credit`: what is given back
    is kept as a credit, whose code the order then tells. `gift_cards` are numbers of charges: what
    is not spent of them goes back.
    """

    id: Annotated[str, Meta(min_length=1, max_length=64)]
    lines: tuple[int, ...] = ()
    reason: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] = ""
    amount: Annotated[int, Meta(ge=0, le=2**53)] = 0
    to_credit: bool = False
    gift_cards: tuple[int, ...] = ()


# Who is there ----------------------------------------------------------------------


@routes.post("/api/login")
async def login(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    wanted = await read_json(request, Login)
    address = address_of(request)
    key = edge.addresses.key(address)
    found = await edge.backend.access.operator_by_name(wanted.name)
    person, password_hash = found if found else (None, NOBODY)
    if not await edge.passwords.check(wanted.name, key, password_hash, wanted.password):
        raise Problem("login_failed")
    assert person is not None, "nobody has the password of NOBODY"
    at_ms = now_ms()
    expires_ms = at_ms + OPERATOR_LIFE_S * 1000
    token = new_token("o")
    await edge.backend.access.open_session(
        person.id, token_hash=digest_of(token), expires_ms=expires_ms, now_ms=at_ms
    )
    principal = await edge.identities.identify(token)
    if principal is None:
        raise Problem("login_failed")
    edge.auditor.note(principal, "login", person.name, address=address)
    return answer({"token": token, "operator": _person(principal), "expires_ms": expires_ms})


@routes.post("/api/logout")
async def logout(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    principal = await operator(request)
    await edge.backend.access.end_session(digest_of(bearer(request)))
    edge.identities.forget(principal.digest)
    edge.hub.sign_out(principal.digest)
    edge.auditor.note(principal, "logout", principal.who)
    return answer({})


@routes.get("/api/me")
async def me(request: web.Request) -> web.Response:
    return answer(_person(await somebody(request)))


def _person(principal: Principal) -> dict[str, Any]:
    return {
        "name": principal.who,
        "roles": sorted(principal.roles),
        "language": principal.language,
        "gate": principal.gate,
        "performances": sorted(principal.performances),
        "expires_ms": principal.expires_ms,
    }


# Looking for things ----------------------------------------------------------------


@routes.get("/api/sales")
async def sales(request: web.Request) -> web.Response:
    """Orders, the latest first; `q` is whatever the cashier has to go by. A reseller's own."""
    edge = request.app[EDGE]
    principal = await operator(request, *SALES_ROLES, Role.RESELLER)
    by = principal.who if principal.is_reseller else ""
    performance = query_number(request, "performance", 0) or None
    before = query_number(request, "before", 0, most=2**62) or None
    limit = rows_wanted(request, DEFAULT_ROWS_PER_PAGE)
    text = request.query.get("q", "").strip()[:MAX_TEXT_CHARS]
    queries = edge.backend.sales
    if text:
        seats = await _seats_meant(edge, performance, text)
        found = await queries.search(
            text, performance=performance, seats=seats, operator=by, before=before, limit=limit
        )
    else:
        found = await queries.latest(
            performance=performance,
            state=_waiting(request),
            operator=by,
            before=before,
            limit=limit,
        )
    orders = await queries.orders([sale.id for sale in found])
    # Side by side, for the views: sales of long ago are of many performances.
    shown = {line.performance for order in orders for line in order.lines}
    await asyncio.gather(*map(edge.programme.entry, shown))
    return answer([await order_view(edge, order) for order in orders])


def _waiting(request: web.Request) -> OrderState | None:
    """Which reserved orders are wanted alone. Raises Problem for any other state."""
    text = request.query.get("state", "")
    if text not in ("", *RESERVED_STATES):
        raise Problem("invalid", f"state: {' or '.join(RESERVED_STATES)}", field="state")
    return OrderState(text) if text else None


@routes.get("/api/tickets")
async def tickets(request: web.Request) -> web.Response:
    """Tickets of one performance; a single one comes with its scans."""
    edge = request.app[EDGE]
    principal = await somebody(request)
    if principal.is_outsider:
        raise Problem("forbidden", "this is for operators and devices of the house")
    performance = query_number(request, "performance", 0)
    text = request.query.get("q", "").strip()[:MAX_TEXT_CHARS]
    limit = rows_wanted(request, DEFAULT_ROWS_PER_PAGE)
    numbers: tuple[int, ...] = ()
    if named := _TICKET.fullmatch(text):
        # A ticket's readable number says its performance too.
        performance = int(named[1]) if named[1] else performance
        numbers = (int(named[2]),)
    if not performance:
        raise Problem("invalid", "which performance?", field="performance")
    if not principal.may_serve(performance):
        raise Problem("forbidden", f"this device does not serve performance {performance}")
    found = await _tickets(edge, performance, text, numbers, limit)
    scans = []
    if len(found) == 1:
        whole = await edge.backend.sales.ticket(performance, found[0].number)
        scans = [asdict(scan) for scan in whole[1]] if whole else []
    # An order's id opens its page; at a door nobody needs that.
    seller = principal.has(*SALES_ROLES)
    rows = [
        {name: value for name, value in asdict(row).items() if seller or name != "order"}
        for row in found
    ]
    return answer({"tickets": rows, "scans": scans})


async def _tickets(
    edge: Edge, performance: int, text: str, numbers: tuple[int, ...], limit: int
) -> Sequence[Any]:
    queries = edge.backend.sales
    if not text:
        return await queries.tickets(performance, limit=limit)
    seats = await _seats_meant(edge, performance, text)
    if numbers or seats:
        found = await queries.tickets(performance, numbers=numbers, seats=seats, limit=limit)
        if found:
            return found
    rows: list[Any] = []
    for sale in await queries.search(text, performance=performance, limit=MAX_ORDERS_FOR_TICKETS):
        rows += await queries.tickets(performance, order=sale.id, limit=limit)
    return rows[:limit]


async def _seats_meant(edge: Edge, performance: int | None, text: str) -> list[int]:
    if performance is None:
        return []
    entry = await edge.programme.entry(performance)
    return find_seats(await edge.plans.plan(entry.plan), text)


# Money back --------------------------------------------------------------------------


@routes.post("/api/orders/{order}/refund")
async def refund(request: web.Request) -> web.Response:
    """Lines, all, or an amount, by whom `may_refund` says."""
    edge = request.app[EDGE]
    principal = await operator(request, *REFUND_ROLES)
    wanted = await read_json(request, GiveBack)
    order = await edge.backend.desk.get(request.match_info["order"])
    if order is None:
        raise Problem("order_unknown")
    if not await may_refund(edge, principal, order):
        raise Problem("forbidden", "the refund role is for sales of one's own, and of one's till")
    asked = RefundRequest(
        wanted.id,
        wanted.lines,
        wanted.reason,
        principal.who,
        wanted.amount,
        to_credit=wanted.to_credit,
        gift_cards=wanted.gift_cards,
    )
    where = await at_till(edge, principal)
    refunded = decided(await edge.backend.desk.refund(order.id, asked, where))
    edge.auditor.note(
        principal,
        "refund",
        order.number,
        lines=list(wanted.lines),
        reason=wanted.reason,
        amount=wanted.amount,
        to_credit=wanted.to_credit,
        gift_cards=list(wanted.gift_cards),
    )
    return answer(await order_view(edge, refunded))


@routes.post("/api/orders/{order}/undo")
async def undo(request: web.Request) -> web.Response:
    """Take one's own sale back, while none of its tickets is printed."""
    edge = request.app[EDGE]
    principal = await operator(request, *SELLERS)
    wanted = await read_json(request, NewTickets)
    order = await wanted_order(request)
    if not principal.has(Role.ADMIN) and order.operator != principal.who:
        raise Problem("forbidden", "a sale is undone by whoever made it")
    asked = RefundRequest(wanted.id, (), "undone", principal.who, unprinted=True)
    where = await at_till(edge, principal)
    undone = decided(await edge.backend.desk.refund(order.id, asked, where))
    edge.auditor.note(principal, "undo_sale", order.number)
    return answer(await order_view(edge, undone))


@routes.post("/api/orders/{order}/print")
async def print_tickets(request: web.Request) -> web.Response:
    """Tickets to be printed by the house, as a PDF: what was printed before is marked as a copy."""
    edge = request.app[EDGE]
    principal = await operator(request, *SELLERS)
    wanted = await read_json(request, NewTickets)
    order = await wanted_order(request)
    noted = decided(
        await edge.backend.desk.print_tickets(order.id, wanted.id, wanted.lines, principal.who)
    )
    edge.auditor.note(principal, "print_tickets", order.number, lines=list(wanted.lines))
    before = copies(noted, wanted.id)
    cards = gift_card_copies(noted, wanted.id)
    return await tickets_as_pdf(request, noted, set(before), before, cards)


@routes.post("/api/orders/{order}/reissue")
async def reissue(request: web.Request) -> web.Response:
    """New tickets in place of lost ones, which are refused at the door from now on."""
    edge = request.app[EDGE]
    principal = await operator(request, *SELLERS)
    wanted = await read_json(request, NewTickets)
    id = request.match_info["order"]
    renewed = decided(await edge.backend.desk.reissue(id, wanted.id, wanted.lines, principal.who))
    edge.auditor.note(principal, "reissue", renewed.number, lines=list(wanted.lines))
    return answer(await order_view(edge, renewed))
