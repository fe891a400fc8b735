"""Carries out the cancelling of performances, beside the order desk of the process that leads.

Delivery guarantees:
- What is to be done is a row of the database before anything is done, and stays until all of it
  is: whoever leads next goes on. Nothing is kept here but who is at it.
- First nothing is sold any more: the performance is told, and from its answer on it makes no
  ticket. An order that could have one by then is stored, and is found (`persistence.cancellations`
  writes all of them down). What is paid after that is the desk's: it finds no hold, and pays back.
- What is given back is a refund under one id for each performance. Asked for by two leaders at
  once, or again after a crash or a lost answer, it is the same refund.
- A provider that does not answer is asked again by the desk, under the same key; an order is done
  when the provider is certain, or else left to a person, by name.

Owns the order of these, and the pace. Knows no rule of orders and no SQL.
"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from engine.actors import ActorFault, NotReady
from engine.actors.performance import now_ms
from engine.actors.saga import Ask
from engine.cancellation import (
    Progress,
    Standing,
    Step,
    cancelled,
    has_address,
    is_told,
    plan_of,
    refund_id,
    request_of,
    standing_of,
)
from engine.commands import ID_BYTES, Configure, Configured, Refusal
from engine.mails import Mail, MailKind
from engine.orders import DeskRefusal, Order, OrderRefused, RefundRequest
from engine.settings import SaleStatus, Settings

log = logging.getLogger(__name__)

LOOK_S: Final = 2.0
"""Pause between two looks at what is to be done."""
PAGE: Final = 20
"""Orders read, and given back, at once..."""
PACE_S: Final = 1.0
"""...and no sooner than this after the last: 20 orders a second leave the desk to its buyers, and
stay below what a provider takes."""
LANES: Final = 4
"""Orders of a page that the desk has at a time."""
MAX_WAITING: Final = 100
"""While the provider has so many without an answer, no more are begun."""

_USED: Final = Refusal.TICKET_USED.value
_LATER: Final = (
    DeskRefusal.LINE_NOT_SOLD.value,
    DeskRefusal.NOTHING_TO_REFUND.value,
    DeskRefusal.ORDER_CLOSED.value,
    _USED,
    Refusal.BUSY.value,
)
"""The order is not any more what it was when it was read."""


class Book(Protocol):
    """`persistence.cancellations`. Raises anything when the database does not answer."""

    async def unfinished(self) -> list[tuple[int, str, str]]: ...

    async def gather(self, performance: int) -> int: ...

    async def work(self, performance: int, after: int, most: int) -> list[Order]: ...

    async def settle(
        self, performance: int, order: Order, standing: Standing, told: bool, mail: Mail | None
    ) -> None: ...

    async def end(self, performance: int) -> None: ...


class Desk(Protocol):
    """The order desk. Raises ActorFault: ask again."""

    async def cancel(self, order: str, exchange: str = "") -> Order | OrderRefused: ...

    async def refund(self, order: str, wanted: RefundRequest) -> Order | OrderRefused: ...


class Canceller:
    """See the module. Construct inside a running event loop."""

    def __init__(
        self,
        book: Book,
        desk: Desk,
        ask: Ask,
        settings: Callable[[int], Awaitable[Settings]],
        close_room: Callable[[int], Awaitable[bool]],
        clock_ms: Callable[[], int] = now_ms,
        look_s: float = LOOK_S,
        pace_s: float = PACE_S,
    ) -> None:
        self._book = book
        self._desk = desk
        self._ask = ask
        self._settings = settings
        self._close_room = close_room
        self._clock_ms = clock_ms
        self._look_s = look_s
        self._pace_s = pace_s
        self._lanes = asyncio.Semaphore(LANES)
        self._working = asyncio.create_task(self._work_forever())

    async def close(self) -> None:
        """Stop at once; what is not done is the next one's."""
        self._working.cancel()
        await asyncio.gather(self._working, return_exceptions=True)

    async def _work_forever(self) -> None:
        while True:
            try:
                asked = await self._book.unfinished()
            except Exception as error:
                log.warning("cancelled performances cannot be read: %r", error)
                asked = []
            for performance, operator, reason in asked:
                try:
                    await self._one(performance, operator, reason)
                except Exception as error:
                    log.warning("cancelled performance %d waits: %r", performance, error)
            await asyncio.sleep(self._look_s)

    async def _one(self, performance: int, operator: str, reason: str) -> None:
        """Go on with a performance; it has ended when nothing new turned up and nothing waits."""
        await self._end_sale(performance)
        is_closed = await self._end_waiting(performance)
        await self._book.gather(performance)
        if not await self._walk(performance, operator, reason) or not is_closed:
            return
        if not await self._book.gather(performance):
            await self._book.end(performance)

    async def _end_sale(self, performance: int) -> None:
        """From here on the performance makes no ticket."""
        settings = await self._settings(performance)
        if settings.status is SaleStatus.CANCELLED:
            return
        id = secrets.token_bytes(ID_BYTES)
        told = await self._ask(performance, Configure(id, cancelled(settings, self._clock_ms())))
        if not isinstance(told, Configured):
            raise NotReady(f"performance {performance}: {told}")
        log.info("performance %d is cancelled", performance)

    async def _end_waiting(self, performance: int) -> bool:
        """Nobody waits for what is not sold. Money does not wait for the rooms to answer."""
        try:
            if await self._close_room(performance):
                log.info("the waiting room of performance %d is closed", performance)
        except Exception as error:
            log.warning("the waiting room of performance %d stays open: %r", performance, error)
            return False
        return True

    async def _walk(self, performance: int, operator: str, reason: str) -> bool:
        """Every order that is not finished with, by number; whether none is left."""
        after = waiting = 0
        is_over = True
        while page := await self._book.work(performance, after, PAGE):
            ends = await asyncio.gather(
                *(self._settled(order, performance, operator, reason) for order in page)
            )
            is_over = is_over and not any(one in _UNFINISHED for one in ends)
            waiting += ends.count(Progress.WAITING)
            if waiting >= MAX_WAITING:
                return False
            after = page[-1].number
            await asyncio.sleep(self._pace_s)
        return is_over

    async def _settled(
        self, order: Order, performance: int, operator: str, reason: str
    ) -> Progress:
        """How far an order is, after what could be done for it."""
        try:
            async with self._lanes:
                answer = await self._carried_out(order, performance, operator, reason)
        except ActorFault as error:
            log.info("order %d of cancelled performance %d: %r", order.number, performance, error)
            return Progress.TODO
        if answer is None:
            return Progress.TODO
        order, standing = answer
        mail = None
        if standing.progress is Progress.LEFT and has_address(order):
            # What was given back has told its buyer; who has nothing yet hears that it is off.
            mail = Mail(MailKind.CALLED_OFF, refund_id(performance))
        await self._book.settle(performance, order, standing, is_told(order, performance), mail)
        return standing.progress

    async def _carried_out(
        self, order: Order, performance: int, operator: str, reason: str
    ) -> tuple[Order, Standing] | None:
        """The order and how far it is; None: it has to be looked at again."""
        used: set[int] = set()
        while True:
            plan = plan_of(order, performance, used)
            answer: Order | OrderRefused = order
            match plan.step:
                case Step.WAIT:
                    return None
                case Step.LEAVE:
                    amount = standing_of(order, performance).amount
                    return order, Standing(Progress.LEFT, plan.why, amount)
                case Step.GIVE_UP:
                    exchange = "" if order.exchange is None else order.exchange.id
                    answer = await self._desk.cancel(order.id, exchange)
                case Step.REFUND | Step.CREDIT:
                    wanted = request_of(plan, performance, reason, operator)
                    answer = await self._desk.refund(order.id, wanted)
            if not isinstance(answer, OrderRefused):
                if plan.step is Step.GIVE_UP:
                    order = answer  # of an exchange: what was there before is still
                    continue
                return answer, standing_of(answer, performance)
            if answer.code == _USED and answer.detail.isdecimal():
                # All of a refund is refused for one ticket: the others without it.
                used.add(int(answer.detail))
                continue
            if answer.code in _LATER:
                return None
            return order, Standing(Progress.LEFT, answer.code)


_UNFINISHED: Final = (Progress.TODO, Progress.WAITING)
