"""What anybody may ask: the house, its words, what is on, the plans, a session.

Owns these routes and their caching. Nothing here changes anything.
"""

import asyncio
import gzip
from typing import Any, Final

from aiohttp import hdrs, web
from msgspec import Struct

from gateway.http import (
    EDGE,
    Edge,
    address_key,
    answer,
    bearer,
    may_see,
    read_json,
    shown_entry,
    who,
)
from gateway.problems import Problem, too_many
from gateway.programme import Entry, details, house_view, summary
from gateway.session import Principal, now_ms
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
    kept = buyers.renewed(known, at_ms) if known else None
    token, buyer = kept or _new_session(request, at_ms)
    return answer({"token": token, "session": buyer.who, "expires_ms": buyer.expires_ms})


def _new_session(request: web.Request, at_ms: int) -> tuple[str, Principal]:
    """Raises Problem for an address that had too many: each session may hold places."""
    edge = request.app[EDGE]
    key, now_s = address_key(request), asyncio.get_running_loop().time()
    wait_s = edge.sessions.wait_s(key, now_s)
    if wait_s > 0:
        raise too_many(wait_s, "new sessions from this address")
    edge.sessions.take(key, now_s)
    return edge.buyers.new(at_ms)


@routes.get("/api/performances")
async def get_performances(request: web.Request) -> web.Response:
    principal = await who(request)
    staff = principal is not None and not principal.is_outsider
    edge, at_ms = request.app[EDGE], now_ms()
    entries = await edge.programme.entries(staff=staff)
    told = [
        summary(entry, at_ms, sold_out=_is_sold_out(edge, entry)) | {"room": _room(edge, entry.id)}
        for entry in entries
        if may_see(principal, entry)
    ]
    if staff and principal is not None and principal.is_operator:
        sold, places = await edge.programme.sold(), {entry.id: entry.places for entry in entries}
        for one in told:
            one |= {"sold": sold.get(one["id"], 0), "places": places[one["id"]]}
    return answer(told)


@routes.get("/api/performances/{performance}")
async def get_performance(request: web.Request) -> web.Response:
    principal = await who(request)
    entry = await shown_entry(request, principal)
    edge, staff = request.app[EDGE], principal is not None and not principal.is_outsider
    told = details(entry, now_ms(), staff=staff, sold_out=_is_sold_out(edge, entry))
    return answer(told | {"room": _room(edge, entry.id)})


def _is_sold_out(edge: Edge, entry: Entry) -> bool:
    return edge.hub.feeds.is_sold_out(entry.id, entry.seats)


def _room(edge: Edge, performance: int) -> dict[str, Any] | None:
    room = edge.hub.rooms.room(performance)
    return None if room is None else room.summary()


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
