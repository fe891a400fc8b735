"""Sales at once: what a till sells for cash with one frame, on its way to the order desk.

Owns the sales of one gateway that are under way, and which till session the money of each belongs
to. Decides nothing: that is the desk's. Many are under way at once, and the desk saves together
what comes together; one whose connection is gone goes on.
"""

import asyncio
from time import monotonic
from typing import Protocol

import structlog
from msgspec.structs import astuple

from engine.orders import Bought, Buyer, OrderHold, PlaceOrder
from engine.tills import AtTill
from gateway import wire
from gateway.audit import Auditor
from gateway.backend import Backend, BackendUnavailable, Tills
from gateway.limits import MAX_SALES, SHED_RETRY_MS
from gateway.metrics import Metrics
from gateway.problems import Problem
from gateway.programme import Programme, vat_of
from gateway.session import Principal

log = structlog.get_logger("gateway.counter")


class Till(Protocol):
    """Who sells. Called once for each sale, from the event loop."""

    principal: Principal

    def sold(self, answer: wire.Bought | wire.NotBought) -> None: ...

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None: ...


async def till_of(programme: Programme, tills: Tills, operator: str) -> AtTill:
    """Where an operator takes money by hand, or hands it back, now.

    Raises Problem("unavailable") or one of `Backend.outages`.
    """
    house = await programme.house()
    required = bool(house.settings.get("till_sessions_required"))
    session = await tills.open_of(operator)
    if session is None:
        return AtTill(required=required)
    return AtTill(session.id, session.currency, required)


class Counter:
    """See the module. `stop` it inside its event loop."""

    def __init__(
        self, backend: Backend, programme: Programme, metrics: Metrics, auditor: Auditor
    ) -> None:
        self._desk = backend.desk
        self._tills = backend.tills
        self._not_there: tuple[type[Exception], ...] = (
            BackendUnavailable,
            Problem,
            *backend.outages,
        )
        self._programme = programme
        self._metrics = metrics
        self._auditor = auditor
        self._sales: set[asyncio.Task[None]] = set()
        self._stopping = False
        metrics.gauges["strapontin_sales_under_way"] = (
            "Sales at once that the order desk has not answered",
            lambda: len(self._sales),
        )

    def sell(self, till: Till, frame: wire.AskBuy) -> None:
        """Take a sale in; its till hears later, or at once when it is shed."""
        if self._stopping or len(self._sales) >= MAX_SALES:
            till.shed(frame.id, "unavailable" if self._stopping else "busy", SHED_RETRY_MS)
            return
        sale = asyncio.create_task(self._sell(till, frame))
        self._sales.add(sale)
        sale.add_done_callback(self._sales.discard)

    async def stop(self, within_s: float) -> None:
        """Take nothing more in, and wait for what is under way."""
        self._stopping = True
        if self._sales:
            _, late = await asyncio.wait(self._sales, timeout=within_s)
            for sale in late:
                sale.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def _sell(self, till: Till, frame: wire.AskBuy) -> None:
        since_s = monotonic()
        who = till.principal
        try:
            where = await till_of(self._programme, self._tills, who.who)
            rate = vat_of(await self._programme.house())
            found = await self._desk.buy(_request(who, frame, rate), frame.given, where)
        except self._not_there as error:
            log.warning("sale not decided", why=repr(error))
            till.shed(frame.id, "unavailable", SHED_RETRY_MS)
            return
        except asyncio.CancelledError:
            till.shed(frame.id, "unavailable", SHED_RETRY_MS)
            raise
        except Exception as error:
            log.exception("sale failed", why=str(error))
            till.shed(frame.id, "unavailable", SHED_RETRY_MS)
            return
        outcome = "bought" if isinstance(found, Bought) else found.code
        self._metrics.commands["buy", outcome] += 1
        self._metrics.latency["buy"].add(monotonic() - since_s)
        if isinstance(found, Bought):
            self._auditor.note(who, "sell", found.number, method="cash")
            till.sold(wire.Bought(frame.id, *astuple(found)))
        else:
            till.sold(wire.NotBought(frame.id, *astuple(found)))


def _request(who: Principal, frame: wire.AskBuy, tax_bp: int) -> PlaceOrder:
    return PlaceOrder(
        frame.id.hex(),
        tuple(
            OrderHold(basket.performance, basket.token.hex(), basket.lines)
            for basket in frame.baskets
        ),
        frame.channel or who.channel,
        operator=who.who,
        buyer=Buyer(frame.name, frame.email, frame.language),
        tax_bp=tax_bp,
    )
