"""Store credit over HTTP: what is left on one, for whoever sells.

Owns this route and its roles. Credits are opened, spent and filled again by orders alone.
"""

from aiohttp import web

from engine.credit import read_code
from gateway.http import EDGE, answer, operator
from gateway.http_orders import SELLERS
from gateway.problems import Problem

routes = web.RouteTableDef()


@routes.get("/api/credits/{code}")
async def get_credit(request: web.Request) -> web.Response:
    """A credit with its latest moves; the code may be spaced as people type it."""
    await operator(request, *SELLERS)
    code = read_code(request.match_info["code"])
    found = await request.app[EDGE].backend.credits.view(code) if code else None
    if found is None:
        raise Problem("credit_unknown", status=404)
    return answer(found)
