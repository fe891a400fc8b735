"""Calls to actors, through Ray or over a lane, behind the ports that the plain classes know.

The one place that knows what a failed call means: an actor that died or
did not answer may have done its work all the same, so every failure becomes
"ask again with the same ids", and the directory is told whom to suspect.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import msgspec
import ray
from ray.actor import ActorHandle
from ray.exceptions import RayTaskError

from engine.actors import ActorFault, NotReady, Stopped
from engine.actors.directory import UnknownPerformance, node_of
from engine.actors.journal_handle import CALL_S, SUBMIT, WATCH, call, open_lane
from engine.actors.lane import Address, Lane, LaneBroken, LaneServer
from engine.actors.parts import DIRECTORY, Part, named
from engine.actors.use import own_use
from engine.commands import Command, Outcome
from engine.lead import Led
from engine.ordering import bought
from engine.orders import (
    Bought,
    ExchangeRequest,
    Order,
    OrderRefused,
    PlaceOrder,
    RefundRequest,
    Terms,
)
from engine.payments import CardReader, WebhookRejected
from engine.status import EngineStatus, MailStatus, PerformanceStatus
from engine.tills import NO_TILL, AtTill
from engine.waiting import News, Report, RoomEvent
from gateway.backend import BackendUnavailable, PerformanceUnknown, SignatureInvalid
from gateway.batcher import Batcher
from gateway.metrics import Metrics

log = logging.getLogger(__name__)

SUBMIT_CALL_S: Final = 3.0
"""A batch unanswered for this long: the directory looks after its performance. Shorter than a
gateway waits for a batch (`gateway.limits.SUBMIT_TIMEOUT_S`), or nobody would ever be suspected."""
WATCH_CALL_S: Final = 8.0
"""A long-poll answers within 5 s when its actor lives."""
LOCATE_S: Final = 20.0
STATUS_CALL_S: Final = 1.5
"""Longer than the directory waits for a performance that is silent (`directory.PING_S`)."""
ASK_FOR_S: Final = 15.0
"""The desk asks a performance for this long before it leaves the step to its sweeper."""


class RayPerformances:
    """The performance actors, found through the directory, called over lanes.

    Belongs to one event loop.
    """

    def __init__(self, directory: Part) -> None:
        self._directory = directory
        self._known: dict[int, tuple[str, Lane]] = {}
        self._locating: dict[int, asyncio.Lock] = {}

    async def submit(self, performance: int, batch: bytes) -> bytes:
        return await self._ask(performance, SUBMIT, SUBMIT_CALL_S, batch)

    async def watch(self, performance: int, epoch: int, seq: int) -> bytes:
        body = msgspec.msgpack.encode((epoch, seq))
        return await self._ask(performance, WATCH, WATCH_CALL_S, body)

    def lanes(self) -> tuple[int, int]:
        """Lanes that are open, and the calls under way on them."""
        lanes = [lane for _, lane in self._known.values() if not lane.broken]
        return len(lanes), sum(lane.calls for lane in lanes)

    def leave_lost_nodes(self, led: Led) -> None:
        """Another node leads: of writers on nodes that are not there no answer is waited for."""
        for name, lane in self._known.values():
            if node_of(name) not in led.nodes:
                lane.close()

    def close(self) -> None:
        """Close every lane: whoever outlives this must not wait on them."""
        for _, lane in self._known.values():
            lane.close()
        self._known.clear()

    async def _ask(self, performance: int, method: int, timeout_s: float, body: bytes) -> bytes:
        known = self._known.get(performance)
        if known is None or known[1].broken:
            known = await self._locate(performance, known)
        try:
            async with asyncio.timeout(timeout_s):
                return await known[1].call(method, body)
        except (LaneBroken, TimeoutError, Stopped) as error:
            # Dead, silent or out of its reign: the next attempt finds another.
            known[1].close()
            await self._locate(performance, known)
            raise BackendUnavailable(repr(error)) from error
        except ActorFault as error:
            raise BackendUnavailable(repr(error)) from error

    async def _locate(self, performance: int, failed: tuple[str, Lane] | None) -> tuple[str, Lane]:
        async with self._locating.setdefault(performance, asyncio.Lock()):
            known = self._known.get(performance)
            if known is not None and known is not failed and not known[1].broken:
                return known  # somebody else has found it meanwhile
            suspect = "" if failed is None else failed[0]
            try:
                name, lane = await self._found(performance, suspect)
            except UnknownPerformance:
                raise PerformanceUnknown(performance) from None
            except (ActorFault, LaneBroken, TimeoutError) as error:
                raise BackendUnavailable(repr(error)) from error
            self._known[performance] = name, lane
            return name, lane

    async def _found(self, performance: int, suspect: str) -> tuple[str, Lane]:
        """Whoever serves, and a lane there; one that gives no lane is suspected in turn."""
        name, actor = await self._directory.ask("locate", performance, suspect, timeout_s=LOCATE_S)
        try:
            return name, await open_lane(actor)
        except (ActorFault, LaneBroken, TimeoutError):
            name, actor = await self._directory.ask("locate", performance, name, timeout_s=LOCATE_S)
            return name, await open_lane(actor)


class Asker:
    """One command to one performance, batched with whatever else goes there."""

    def __init__(self, performances: RayPerformances) -> None:
        self._batcher = Batcher(performances, Metrics(), ASK_FOR_S)
        self._encode = msgspec.msgpack.Encoder().encode

    def ask(self, performance: int, command: Command) -> asyncio.Future[Outcome]:
        """Fails with ActorFault when the performance could not be asked.

        What is asked one after the other is decided one after the other, also before the first
        answer is awaited.
        """
        receiver = _Answer(asyncio.get_running_loop().create_future())
        kind = type(command).__name__
        self._batcher.offer(performance, receiver, command.id, kind, self._encode(command))
        return receiver.future


class _Answer:
    _decode = msgspec.msgpack.Decoder(Outcome).decode

    def __init__(self, future: asyncio.Future[Outcome]) -> None:
        self.future = future

    def answer(self, id: bytes, kind: str, outcome: str, raw: msgspec.Raw | bytes) -> None:
        if not self.future.done():
            self.future.set_result(self._decode(raw))

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None:
        if not self.future.done():
            self.future.set_exception(NotReady(f"the performance is {reason}"))


class RegisterInJournal:
    """`directory.Register`, asked of the journal actor, which has the database."""

    def __init__(self, journal: ActorHandle) -> None:
        self._journal = journal

    async def serving(self, performance: int) -> str | None:
        """Raises NotReady: the journal cannot read its database just now."""
        try:
            name: str | None = await call(self._journal.serving.remote(performance))
        except RayTaskError as error:
            # Else whoever locates takes an outage for a bug, and gives up instead of asking again.
            raise NotReady(repr(error)) from error
        return name

    async def beat(self, node: str) -> Led:
        return Led(*await call(self._journal.beat.remote(node)))


BUY: Final = 1
"""The method of the desk's lane: a till sells by the thousand."""
_Sale = tuple[PlaceOrder, int, AtTill]
_Told = tuple[Bought | None, OrderRefused | None]


def desk_lane(host: str, ask: Callable[..., Awaitable[Any]]) -> LaneServer:
    """What the desk answers without Ray; `ask` calls a method of it by its name."""
    decode = msgspec.msgpack.Decoder(_Sale).decode
    encode = msgspec.msgpack.Encoder().encode

    async def buy(body: bytes) -> bytes:
        found = await ask("buy", *decode(body))
        return encode((bought(found), None) if isinstance(found, Order) else (None, found))

    return LaneServer(host, {BUY: buy})


class RayDesk:
    """The order desk, as a gateway sees it."""

    def __init__(self, desk: Part) -> None:
        self._desk = desk
        self._lane: Lane | None = None
        self._opening = asyncio.Lock()
        self._encode = msgspec.msgpack.Encoder().encode
        self._told = msgspec.msgpack.Decoder(_Told).decode

    def leave(self) -> None:
        """Close the lane: of the desk that was, no answer is waited for."""
        if self._lane is not None:
            self._lane.close()

    async def _opened(self) -> Lane:
        async with self._opening:
            if self._lane is None or self._lane.broken:
                address = Address(*await self._desk.ask("lane"))
                async with asyncio.timeout(CALL_S):
                    self._lane = await Lane.open(address)
            return self._lane

    async def buy(
        self, request: PlaceOrder, given: int, at_till: AtTill = NO_TILL
    ) -> Bought | OrderRefused:
        lane = self._lane
        try:
            if lane is None or lane.broken:
                lane = await self._opened()
            async with asyncio.timeout(ASK_FOR_S + CALL_S):
                told = await lane.call(BUY, self._encode((request, given, at_till)))
            sold, refused = self._told(told)
        except (ActorFault, LaneBroken, TimeoutError) as error:
            if lane is not None and not isinstance(error, ActorFault):
                lane.close()
            raise BackendUnavailable(repr(error)) from error
        found = sold or refused
        assert found is not None, "the desk answers one of the two"
        return found

    async def _ask(self, method: str, *args: Any) -> Any:
        try:
            return await self._desk.ask("ask", method, *args, timeout_s=ASK_FOR_S + CALL_S)
        except WebhookRejected as error:
            # What comes through Ray prints as its whole traceback; the cause is the message.
            raise SignatureInvalid(str(getattr(error, "cause", error))) from None
        except ActorFault as error:
            raise BackendUnavailable(repr(error)) from error

    async def place(self, request: PlaceOrder) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("place", request)
        return answer

    async def get(self, order: str) -> Order | None:
        answer: Order | None = await self._ask("get", order)
        return answer

    async def pay(
        self,
        order: str,
        method: str,
        attempt: str,
        given: int = 0,
        reference: str = "",
        operator: str = "",
        amount: int = 0,
        at_till: AtTill = NO_TILL,
    ) -> tuple[Order, str] | OrderRefused:
        answer: tuple[Order, str] | OrderRefused = await self._ask(
            "pay", order, method, attempt, given, reference, operator, amount, at_till
        )
        return answer

    async def reserve(self, order: str, terms: Terms, operator: str) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("reserve", order, terms, operator)
        return answer

    async def approve(self, order: str) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("approve", order)
        return answer

    async def cancel(
        self, order: str, exchange: str = "", at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("cancel", order, exchange, at_till)
        return answer

    async def refund(
        self, order: str, wanted: RefundRequest, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("refund", order, wanted, at_till)
        return answer

    async def print_tickets(
        self, order: str, id: str, lines: tuple[int, ...], operator: str
    ) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("print_tickets", order, id, lines, operator)
        return answer

    async def reissue(
        self, order: str, id: str, lines: tuple[int, ...], operator: str
    ) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("reissue", order, id, lines, operator)
        return answer

    async def exchange(
        self, order: str, wanted: ExchangeRequest, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("exchange", order, wanted, at_till)
        return answer

    async def stop(self, order: str, attempt: str) -> Order | OrderRefused:
        answer: Order | OrderRefused = await self._ask("stop", order, attempt)
        return answer

    async def readers(self) -> list[CardReader] | OrderRefused:
        answer: list[CardReader] | OrderRefused = await self._ask("readers")
        return answer

    async def present(self, reader: str, number: str) -> OrderRefused | None:
        answer: OrderRefused | None = await self._ask("present", reader, number)
        return answer

    async def webhook(self, payload: bytes, signature: str) -> None:
        await self._ask("webhook", payload, signature)


class RayRooms:
    """The waiting rooms' writer, as a gateway sees it. Packed: a report may name thousands."""

    def __init__(self, rooms: Part) -> None:
        self._rooms = rooms
        self._encode = msgspec.msgpack.Encoder().encode
        self._news = msgspec.msgpack.Decoder(News).decode
        self._events = msgspec.msgpack.Decoder(tuple[RoomEvent, ...]).decode

    async def _ask(self, method: str, *args: Any) -> Any:
        try:
            return await self._rooms.ask("ask", method, *args)
        except ActorFault as error:
            raise BackendUnavailable(repr(error)) from error

    async def exchange(self, report: Report) -> News:
        return self._news(await self._ask("exchange_packed", self._encode(report)))

    async def open(self, performance: int, opens_ms: int, on_sale_ms: int) -> str:
        refusal: str = await self._ask("open", performance, opens_ms, on_sale_ms)
        return refusal

    async def close(self, performance: int) -> bool:
        closed: bool = await self._ask("close", performance)
        return closed

    async def events(self, performance: int) -> tuple[RoomEvent, ...]:
        return self._events(await self._ask("events_packed", performance))


class RayStatus:
    """What the parts behind a gateway say of themselves; by the parts' names.

    All are asked at once, each for STATUS_CALL_S at most. Runs in the gateway's process.
    """

    def __init__(self, performances: RayPerformances, parts: Mapping[str, Part]) -> None:
        self._performances = performances
        self._parts = parts

    async def status(self) -> EngineStatus:
        asked = await asyncio.gather(*(self._ask(part) for part in self._parts.values()))
        told = dict(zip(self._parts, asked, strict=True))
        directory, journal, mail = told.get("directory"), told.get("journal"), told.get("mailer")
        uses = {name: getattr(one, "use", one) for name, one in told.items() if one is not None}
        return EngineStatus(
            {name: one is not None for name, one in told.items()},
            {"gateway": own_use(), **uses},
            directory,
            journal,
            *self._performances.lanes(),
            mail=mail if isinstance(mail, MailStatus) else None,  # its node leads
        )

    async def _ask(self, part: Part) -> Any:
        """Its status, or the Use of one that has nothing else to tell; None without an answer."""
        try:
            return await part.ask("status", timeout_s=STATUS_CALL_S)
        except Exception as error:
            log.warning("no status: %r", error)
            return None


class RaySpawner:
    """Performance actors as Ray actors; the directory decides, this carries out."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def spawn(self, name: str) -> ActorHandle:
        return self._make(name)

    async def ready(self, actor: ActorHandle) -> None:
        await actor.ready.remote()

    async def serve(self, actor: ActorHandle, performance: int) -> None:
        await actor.serve.remote(performance)

    def find(self, name: str) -> ActorHandle | None:
        try:
            return ray.get_actor(name)
        except ValueError:
            return None

    def kill(self, actor: ActorHandle) -> None:
        ray.kill(actor, no_restart=True)

    async def status(self, actor: ActorHandle) -> PerformanceStatus:
        status: PerformanceStatus = await actor.status.remote()
        return status

    async def borrow(self, node: str) -> tuple[str, ActorHandle]:
        lent: tuple[str, ActorHandle] = await ray.get_actor(named(DIRECTORY, node)).lend.remote()
        return lent

    async def passivate(self, actor: ActorHandle) -> bool:
        passive: bool = await actor.passivate.remote()
        return passive
