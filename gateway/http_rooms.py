"""Waiting rooms over HTTP: opened and closed by the house, looked at and verified by anybody.

Owns these routes. The log is all that there is to the order of
admission: whoever has it can draw again.
"""

import asyncio
import gzip
from typing import Annotated, Any, Final

from aiohttp import hdrs, web
from msgspec import Meta, Struct

from gateway.http import EDGE, Edge, answer, number_in, operator, read_json, shown_entry, who
from gateway.problems import Problem
from gateway.room_log import no_room
from gateway.session import Role

_SUPERVISING: Final = (Role.ADMIN, Role.SUPERVISOR)
Time = Annotated[int, Meta(ge=0, le=2**53)]

routes = web.RouteTableDef()


class NewRoom(Struct, frozen=True):
    """Arrivals are taken from `opens_ms` on and drawn at `on_sale_ms`."""

    opens_ms: Time
    on_sale_ms: Time


@routes.get("/api/performances/{performance}/queue")
async def get_room(request: web.Request) -> web.Response:
    entry = await shown_entry(request, await who(request))
    return answer(_room(request.app[EDGE], entry.id))


@routes.post("/api/performances/{performance}/queue")
async def post_room(request: web.Request) -> web.Response:
    """Announce a room. Asking again with the same times changes nothing."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *_SUPERVISING)
    wanted = await read_json(request, NewRoom)
    refusal = await edge.backend.rooms.open(performance, wanted.opens_ms, wanted.on_sale_ms)
    if refusal:
        raise Problem(refusal, _WHY.get(refusal, ""))
    edge.auditor.note(
        principal, "open_room", performance, opens_ms=wanted.opens_ms, on_sale_ms=wanted.on_sale_ms
    )
    await edge.hub.rooms.refresh()
    return answer(_room(edge, performance), 201)


@routes.delete("/api/performances/{performance}/queue")
async def delete_room(request: web.Request) -> web.Response:
    """Close the room: from now on everybody may buy."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *_SUPERVISING)
    if not await edge.backend.rooms.close(performance):
        raise no_room(performance)
    edge.auditor.note(principal, "close_room", performance)
    await edge.hub.rooms.refresh()
    return answer({})


@routes.get("/api/performances/{performance}/queue/log")
async def get_room_log(request: web.Request) -> web.Response:
    """The public log of the performance's latest room."""
    entry = await shown_entry(request, await who(request))
    packed = await request.app[EDGE].room_logs.packed(entry.id)
    headers = {hdrs.CACHE_CONTROL: "no-cache", hdrs.VARY: "Accept-Encoding"}
    if "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, ""):
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    else:
        packed = await asyncio.to_thread(gzip.decompress, packed)
    return web.Response(body=packed, content_type="application/json", headers=headers)


_WHY: Final = {
    "room_open": "its times are others: close it first",
    "room_times": "the sale must begin in the future, and after the room opens",
    "too_many_rooms": "close one first",
}


def _room(edge: Edge, performance: int) -> dict[str, Any]:
    rooms = edge.hub.rooms
    room = rooms.room(performance)
    if room is None:
        if not rooms.is_heard:
            raise Problem("unavailable", headers={hdrs.RETRY_AFTER: "1"})
        raise no_room(performance)
    return room.summary() | {
        "arrived": room.line.arrived,
        "front": room.line.front,
        "available": room.available,
    }
