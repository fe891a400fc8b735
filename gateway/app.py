"""The edge put together: one application, one port.

    app = build(backend, config)
    server = await serve(app, host, port)
    ...
    await server.stop()

Owns the composition and the order of starting and stopping. Knows no route's
doing. Runs in whatever event loop it is started in; uvloop is faster.
"""

import asyncio
import secrets
from pathlib import Path
from typing import Final

import structlog
from aiohttp import web

from gateway import (
    http_admin,
    http_cancellation,
    http_credits,
    http_devices,
    http_documents,
    http_doors,
    http_health,
    http_keeping,
    http_ledger,
    http_list,
    http_mails,
    http_operators,
    http_orders,
    http_papers,
    http_public,
    http_quotes,
    http_readers,
    http_rooms,
    http_season,
    http_supervisor,
    http_tills,
)
from gateway.addresses import Addresses, Allowance
from gateway.audit import Auditor
from gateway.backend import Backend
from gateway.config import Config
from gateway.counter import Counter
from gateway.doors import Secrets
from gateway.exports import Exports
from gateway.http import EDGE, Edge, add_safe_headers, every_request
from gateway.hub import Hub
from gateway.limits import (
    FREE_ENROLMENT_FAILURES_PER_ADDRESS,
    MAX_WARMED_PLANS,
    SESSIONS_PER_ADDRESS,
    SESSIONS_PER_ADDRESS_PER_S,
    STOP_S,
)
from gateway.login import Passwords, Throttle
from gateway.metrics import Metrics
from gateway.pages import WEB_DIR, Site
from gateway.paper import Paper
from gateway.plans import Plans
from gateway.programme import Programme
from gateway.room_log import RoomLogs
from gateway.serving import Listener
from gateway.session import BuyerTokens, Identities, now_ms
from gateway.vitals import Vitals

log = structlog.get_logger("gateway.app")

_WARMING: Final = web.AppKey("warming", asyncio.Task[None])
FINISHING: Final = web.AppKey("finishing", asyncio.Task[None])


def build(backend: Backend, config: Config, web_dir: Path = WEB_DIR) -> web.Application:
    """The application over a backend. Starts nothing until it is served."""
    metrics = Metrics()
    buyers = BuyerTokens(config.session_key)
    identities = Identities(backend.access, buyers)
    auditor = Auditor(backend)
    addresses = Addresses(config.trusted_proxies)
    programme = Programme(backend.catalogue, backend.sales)
    hub = Hub(
        backend,
        config,
        metrics,
        identities,
        auditor,
        Secrets(config.ticket_key),
        addresses,
        programme.is_public,
        Counter(backend, programme, metrics, auditor),
    )
    edge = Edge(
        backend=backend,
        config=config,
        metrics=metrics,
        buyers=buyers,
        identities=identities,
        passwords=Passwords(),
        auditor=auditor,
        hub=hub,
        programme=programme,
        plans=Plans(backend.catalogue),
        paper=Paper(config.ticket_key),
        exports=Exports(),
        vitals=Vitals(backend.status),
        room_logs=RoomLogs(backend),
        addresses=addresses,
        sessions=Allowance(SESSIONS_PER_ADDRESS, SESSIONS_PER_ADDRESS_PER_S),
        enrolments=Throttle(FREE_ENROLMENT_FAILURES_PER_ADDRESS),
    )
    app = web.Application(middlewares=[every_request])
    app[EDGE] = edge
    app[http_supervisor.NAME] = secrets.token_hex(8)
    app.on_response_prepare.append(add_safe_headers)
    app.on_startup.append(_start)
    app.on_shutdown.append(_stop)
    app.router.add_get("/ws", edge.hub.upgrade)
    for part in (
        http_public,
        http_orders,
        http_quotes,
        http_papers,
        http_operators,
        http_list,
        http_tills,
        http_readers,
        http_cancellation,
        http_doors,
        http_rooms,
        http_supervisor,
        http_ledger,
        http_keeping,
        http_credits,
        http_mails,
        http_admin,
        http_season,
        http_devices,
        http_health,
        http_documents,
    ):
        app.router.add_routes(part.routes)
    Site(web_dir).add_to(app)
    http_documents.describe(app)
    return app


class Server:
    """A served application. `port` is the real one where 0 was asked for."""

    def __init__(self, runner: web.AppRunner, port: int) -> None:
        self._runner: web.AppRunner | None = runner
        self.port = port

    async def stop(self) -> None:
        """Accept nothing more, let answers under way leave, close sockets as "going away"."""
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()


async def serve(app: web.Application, host: str, port: int) -> Server:
    """Serve on one address; returns once it listens.

    Raises:
        OSError: The address is in use, or not ours.
    """
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=STOP_S)
    await runner.setup()
    edge = app[EDGE]
    try:
        await Listener(runner, host, port, edge.addresses, edge.metrics).start()
    except BaseException:
        await runner.cleanup()
        raise
    real_port = runner.addresses[0][1]
    loop = type(asyncio.get_running_loop()).__module__
    log.info("serving", host=host, port=real_port, loop=loop)
    return Server(runner, real_port)


async def _start(app: web.Application) -> None:
    edge = app[EDGE]
    edge.auditor.start()
    await edge.hub.start()
    app[_WARMING] = asyncio.create_task(_warm(edge), name="warm the plans")
    app[FINISHING] = asyncio.create_task(http_season.finish_at_start(edge), name="finish changes")


async def _warm(edge: Edge) -> None:
    """Pack the plans of what is on, so that the first buyer does not wait for a stadium's."""
    try:
        coming = await edge.backend.catalogue.list_performances(from_ms=now_ms())
        for plan in list(dict.fromkeys(entry.plan for entry in coming))[:MAX_WARMED_PLANS]:
            await edge.plans.view(plan)
    except Exception as error:
        # Whoever asks for a plan loads it, or hears why that cannot be done.
        log.warning("plans not warmed", why=str(error))


async def _stop(app: web.Application) -> None:
    edge = app[EDGE]
    app[_WARMING].cancel()
    app[FINISHING].cancel()
    await edge.hub.stop()
    await edge.auditor.stop(STOP_S)
    edge.passwords.close()
    edge.paper.close()
    edge.exports.close()
