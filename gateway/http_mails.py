"""The mails over HTTP: what was sent and what was not, once more, and an order's tickets again.

Owns these routes and their roles. Sends nothing: what is to be sent is the outbox's.
"""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from engine.mails import MailState, is_address
from engine.orders import TICKETED_STATES
from gateway.http import (
    EDGE,
    answer,
    number_in,
    operator,
    query_number,
    read_json,
    rows_wanted,
)
from gateway.http_orders import SELLERS, wanted_order
from gateway.limits import DEFAULT_ROWS_PER_PAGE
from gateway.problems import Problem

_MOST: Final = 2**53

routes = web.RouteTableDef()


class SendTickets(Struct, frozen=True):
    """`id` is made by the caller: the same asked twice is one mail."""

    id: Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9-]+$")]


@routes.get("/api/mails")
async def get_mails(request: web.Request) -> web.Response:
    """Mails, the latest first; of one order (its number) and in one state where they are named."""
    edge = request.app[EDGE]
    await operator(request, *SELLERS)
    state = request.query.get("state", "")
    if state and state not in tuple(MailState):
        raise Problem("invalid", f"state: one of {', '.join(MailState)}", field="state")
    rows = await edge.backend.mails.list(
        order=query_number(request, "order", 0, most=_MOST),
        state=state,
        before=query_number(request, "before", 0, most=2**62) or None,
        limit=rows_wanted(request, DEFAULT_ROWS_PER_PAGE),
    )
    return answer(rows)


@routes.get("/api/mails/{mail}")
async def get_mail(request: web.Request) -> web.Response:
    """A mail, and why it is not sent yet."""
    await operator(request, *SELLERS)
    row = await request.app[EDGE].backend.mails.get(number_in(request, "mail"))
    if row is None:
        raise Problem("mail_unknown")
    return answer(row)


@routes.post("/api/mails/{mail}/retry")
async def post_retry(request: web.Request) -> web.Response:
    """Send a mail that failed, or waits, as soon as can be."""
    edge = request.app[EDGE]
    principal = await operator(request, *SELLERS)
    number = number_in(request, "mail")
    retried = await edge.backend.mails.retry(number)
    row = await edge.backend.mails.get(number)
    if row is None:
        raise Problem("mail_unknown")
    if not retried:
        raise Problem("mail_not_retried", f"it is {row.state}")
    edge.auditor.note(principal, "retry_mail", number)
    return answer(row)


@routes.post("/api/orders/{order}/mail")
async def post_order_mail(request: web.Request) -> web.Response:
    """Send the tickets of an order to its buyer once more."""
    edge = request.app[EDGE]
    principal = await operator(request, *SELLERS)
    wanted = await read_json(request, SendTickets)
    order = await wanted_order(request)
    if order.state not in TICKETED_STATES:
        raise Problem("tickets_not_ready", f"order {order.number} is {order.state}")
    if not is_address(order.buyer.email.strip()):
        raise Problem("no_address", f"order {order.number} has no e-mail address")
    row = await edge.backend.mails.send_tickets(order, wanted.id)
    edge.auditor.note(principal, "send_tickets", order.number)
    return answer(row)
