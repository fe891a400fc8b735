"""Cancelling a performance over HTTP: what it would cost, doing it, and how far that is.

Owns these routes and their roles. What is asked for here is written down and answered at once; the
leading process carries it out (`engine.actors.canceller`), whoever asked, and whether or not
anybody looks. What it costs is counted from the orders, a page at a time.
"""

from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from engine.cancellation import Cancellation, CancelledOrder, Preview, live_lines, preview
from engine.limits import MAX_TEXT_CHARS
from gateway.http import EDGE, answer, number_in, operator, query_number, read_json
from gateway.problems import Problem
from gateway.session import Role

_READING: Final = (Role.ADMIN, Role.SUPERVISOR)
PAGE: Final = 200
"""Orders counted at once; between pages others get their turn."""

routes = web.RouteTableDef()


class CancelPerformance(Struct, frozen=True):
    """`reason` stands with every refund."""

    reason: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] = ""


class CancelledPage(Struct, frozen=True):
    """Orders for people; after the number `next` there may be more, 0: there are none."""

    orders: list[CancelledOrder]
    next: int


@routes.get("/api/performances/{performance}/cancellation/preview")
async def get_preview(request: web.Request) -> web.Response:
    """What cancelling it now would cost. Changes nothing."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    entry = await edge.programme.entry(number_in(request, "performance"))
    book, after = edge.backend.cancellations, 0
    sums = Preview(entry.id, entry.settings.currency)
    while page := await book.page(entry.id, after, PAGE):
        tickets = [line.ticket for one in page for line in live_lines(one, entry.id)]
        sums = preview(sums, page, await book.used(entry.id, tickets))
        after = page[-1].number
    return answer(sums)


@routes.post("/api/performances/{performance}/cancellation")
async def post_cancellation(request: web.Request) -> web.Response:
    """Cancel it, for good; asked again, what was left to people is tried again."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, CancelPerformance)
    entry = await edge.programme.entry(number_in(request, "performance"))
    await edge.backend.cancellations.begin(entry.id, principal.who, wanted.reason)
    edge.auditor.note(principal, "cancel_performance", entry.id, reason=wanted.reason)
    edge.programme.changed()
    return answer(await _cancellation(request), status=202)


@routes.get("/api/performances/{performance}/cancellation")
async def get_cancellation(request: web.Request) -> web.Response:
    """How far it is."""
    await operator(request, *_READING)
    return answer(await _cancellation(request))


@routes.get("/api/performances/{performance}/cancellation/orders")
async def get_orders(request: web.Request) -> web.Response:
    """Orders that a person has to see to, and those whose buyers nobody could write to."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    found = await _cancellation(request)
    after = query_number(request, "after", 0, most=2**53)
    orders = list(await edge.backend.cancellations.to_people(found.performance, after))
    return answer(CancelledPage(orders, orders[-1].number if orders else 0))


async def _cancellation(request: web.Request) -> Cancellation:
    edge = request.app[EDGE]
    entry = await edge.programme.entry(number_in(request, "performance"))
    found = await edge.backend.cancellations.get(entry.id)
    if found is None:
        raise Problem("not_found", f"performance {entry.id} is not cancelled")
    return found
