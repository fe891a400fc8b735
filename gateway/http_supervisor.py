"""What supervisors watch: a performance's journal, page by page, and this edge's own figures.

Owns these two routes and their roles. The journal is passed on as it is stored: whoever asks
decodes and counts it (`engine.tally`), so that a screen that is looked at costs the sale next
to nothing. What no journal has (connections, waiting times, what was shed, the waiting room,
the actors) is in GET /api/status. Its counters count from this gateway's start: whoever asks
takes the differences, per `gateway`.
"""

from collections import Counter
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web

from gateway.http import EDGE, Edge, answer, number_in, operator, query_number
from gateway.metrics import LATENCY_EDGES_S
from gateway.problems import Problem
from gateway.session import Role, now_ms

WATCHING_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR)
NAME: Final = web.AppKey("name", str)
"""A name of this gateway's own, until it ends."""
_PREFIX: Final = "strapontin_"

routes = web.RouteTableDef()


@routes.get("/api/status")
async def status(request: web.Request) -> web.Response:
    """This gateway now, the waiting room of `?performance=`, and the parts behind the edge."""
    edge = request.app[EDGE]
    await operator(request, *WATCHING_ROLES)
    performance = query_number(request, "performance", 0)
    metrics = edge.metrics
    outcomes: Counter[str] = Counter()
    for (_, outcome), count in metrics.commands.items():
        outcomes[outcome] += count
    told = {
        "gateway": request.app[NAME],
        "at_ms": now_ms(),
        "now": {name.removeprefix(_PREFIX): read() for name, (_, read) in metrics.gauges.items()},
        "outcomes": outcomes,
        "sheds": metrics.sheds,
        "frames_refused": metrics.frames_refused,
        "sockets_closed": metrics.closed,
        "feed_frames": metrics.feed_frames,
        "batch_retries": metrics.batch_retries,
        "latency": {"edges_s": LATENCY_EDGES_S, "counts": metrics.latency.counts},
        "room": _room(edge, performance),
        "engine": await edge.vitals.status(),
    }
    return answer(told)


def _room(edge: Edge, performance: int) -> dict[str, Any] | None:
    """An open waiting room as this gateway knows it."""
    room = edge.hub.rooms.room(performance)
    if room is None:
        return None
    return {
        **room.summary(),
        "arrived": room.line.arrived,
        "front": room.line.front,
        "per_min": room.per_min,
        "available": room.available,
        "waiting_here": room.waiting(),
    }


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
