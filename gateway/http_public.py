"""What anybody may ask: the house, its words, what is on, the plans, a session.

Owns these routes and their caching. Nothing here changes anything.
"""

import gzip
from typing import Final

from aiohttp import hdrs, web
from msgspec import Struct

from gateway.http import EDGE, answer, bearer, number_in, read_json, who
from gateway.problems import Problem
from gateway.programme import details, house_view, summary
from gateway.session import now_ms
from renderers import i18n

IMMUTABLE: Final = "public, max-age=31536000, immutable"
WORDS: Final = ("web", "outcome", "refusal")
"""The parts of the catalogues that pages may read."""

routes = web.RouteTableDef()


class SessionRequest(Struct, frozen=True):
    token: str = ""


@routes.get("/api/house")
async def get_house(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    house = await edge.programme.house()
    view = house_view(house, edge.config.payment_methods)
    return answer(view, headers={hdrs.CACHE_CONTROL: "no-cache"})


@routes.get("/api/messages/{language}")
async def get_messages(request: web.Request) -> web.Response:
    language = i18n.match(request.match_info["language"])
    if language is None:
        known = ", ".join(i18n.languages())
        raise Problem("not_found", f"the languages are {known}")
    words = i18n.export(language, *WORDS)
    return answer(words, headers={hdrs.CACHE_CONTROL: "public, max-age=300"})


@routes.post("/api/session")
async def post_session(request: web.Request) -> web.Response:
    """A token for a new anonymous buyer, or the given one while it is good."""
    buyers = request.app[EDGE].buyers
    known = bearer(request)
    if not known and request.can_read_body:
        known = (await read_json(request, SessionRequest)).token
    at_ms = now_ms()
    token, buyer = (buyers.renewed(known, at_ms) if known else None) or buyers.new(at_ms)
    return answer({"token": token, "session": buyer.who, "expires_ms": buyer.expires_ms})


@routes.get("/api/performances")
async def get_performances(request: web.Request) -> web.Response:
    principal = await who(request)
    staff = principal is not None and not principal.is_buyer
    entries = await request.app[EDGE].programme.entries(staff=staff)
    at_ms = now_ms()
    return answer([summary(entry, at_ms) for entry in entries])


@routes.get("/api/performances/{performance}")
async def get_performance(request: web.Request) -> web.Response:
    principal = await who(request)
    staff = principal is not None and not principal.is_buyer
    entry = await request.app[EDGE].programme.entry(number_in(request, "performance"))
    if not staff and not entry.is_public:
        raise Problem("performance_unknown", f"there is no performance {entry.id}")
    room = request.app[EDGE].hub.rooms.room(entry.id)
    told = details(entry, now_ms(), staff=staff)
    return answer(told | {"room": None if room is None else room.summary()})


@routes.get("/api/plans/{hash}")
async def get_plan(request: web.Request) -> web.Response:
    """The columnar plan: the same bytes for ever under the same hash."""
    plan_hash = request.match_info["hash"]
    etag = f'"{plan_hash}"'
    headers = {hdrs.CACHE_CONTROL: IMMUTABLE, hdrs.ETAG: etag, hdrs.VARY: "Accept-Encoding"}
    body = await request.app[EDGE].plans.view(plan_hash)
    if request.headers.get(hdrs.IF_NONE_MATCH) == etag:
        return web.Response(status=304, headers=headers)
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    else:
        body = gzip.decompress(body)
    return web.Response(body=body, content_type="application/json", headers=headers)
