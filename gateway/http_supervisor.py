"""What supervisors watch: a performance's journal, page by page.

Owns the route and its roles. The journal is passed on as it is stored: whoever asks decodes
and counts it (`engine.tally`), so that a screen that is looked at costs the sale next to
nothing.
"""

from typing import Final

import msgspec
from aiohttp import hdrs, web

from gateway.http import EDGE, number_in, operator, query_number
from gateway.problems import Problem
from gateway.session import Role

WATCHING_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR)

routes = web.RouteTableDef()


@routes.get("/api/performances/{performance}/journal")
async def journal(request: web.Request) -> web.Response:
    """One page of a journal: msgpack of `engine.journal.Page`."""
    await operator(request, *WATCHING_ROLES)
    performance = number_in(request, "performance")
    after_seq = query_number(request, "after", 0, most=2**53)
    page = await request.app[EDGE].backend.history.page(performance, after_seq)
    if page is None:
        raise Problem("performance_unknown", f"there is no performance {performance}")
    return web.Response(
        body=msgspec.msgpack.encode(page),
        content_type="application/msgpack",
        headers={hdrs.CACHE_CONTROL: "no-store"},
    )
