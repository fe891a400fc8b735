"""Is it alive, is it ready, and its figures: for supervisors and Prometheus.

Owns these three routes. They need no token and tell no secrets; a house that
does not want them public keeps them from its reverse proxy.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from itertools import chain

from aiohttp import web
from prometheus_client import Metric

from gateway.http import EDGE, answer
from gateway.limits import READY_TIMEOUT_S
from gateway.metrics import exposition
from gateway.vitals import families

routes = web.RouteTableDef()


@routes.get("/healthz")
async def healthz(request: web.Request) -> web.Response:
    """This process answers."""
    return answer({"alive": True})


@routes.get("/readyz")
async def readyz(request: web.Request) -> web.Response:
    """What this process needs answers too; 503 when something does not."""
    checks = request.app[EDGE].backend.checks
    found = await asyncio.gather(*(_passes(check) for check in checks.values()))
    passed = dict(zip(checks, found, strict=True))
    ready = all(passed.values()) and not request.app[EDGE].hub.stopping
    return answer({"ready": ready, "checks": passed}, status=200 if ready else 503)


@routes.get("/metrics")
async def metrics(request: web.Request) -> web.Response:
    """Figures of this process, and of the parts behind it that answer in time.

    With `?name[]=` only the families that are named, as Prometheus' own clients have it. Those
    of this process alone cost next to nothing then, also several times a second.
    """
    edge = request.app[EDGE]
    names = frozenset(request.query.getall("name[]", ()))
    if names:
        own = [family for family in edge.metrics.families() if family.name in names]
        if len(own) == len(names):
            return _exposed(exposition(own))
    status = await edge.vitals.status()
    # Of hundreds of performances it takes some ten milliseconds, and a sale goes on meanwhile.
    found: Iterable[Metric] = chain(edge.metrics.families(), families(status))
    if names:
        found = (family for family in found if family.name in names)
    return _exposed(await asyncio.to_thread(exposition, found))


def _exposed(body: bytes) -> web.Response:
    return web.Response(
        body=body, headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
    )


async def _passes(check: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(READY_TIMEOUT_S):
            await check()
    except Exception:  # whatever it is, it is not ready
        return False
    return True
