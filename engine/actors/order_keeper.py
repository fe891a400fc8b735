"""How the order desk keeps its orders: what it remembers, what it saves, what it must come back to.

- `save` returns once an order is stored; orders that come together share one transaction.
- After a failed save nobody knows: the order is forgotten here and read again when it is next
  wanted. The store's revision check refuses a save that was not based on what is stored.
- Every order that is not finished is in the agenda, and comes up when it is due.

Owns the locks, the memory, the writer and the agenda. Knows no rule of orders and no SQL.
"""

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final, Protocol

from engine.actors import NotReady
from engine.credit import Credit, CreditRefused
from engine.ordering import comes_up_ms
from engine.orders import Order
from engine.tills import TillSessionClosed

MAX_REMEMBERED_ORDERS: Final = 10_000
MAX_OPEN_ORDERS: Final = 100_000
"""Unfinished orders in the agenda; beyond, new ones are refused as busy."""
MAX_ORDERS_PER_SAVE: Final = 500
_Waiting = tuple[Order, asyncio.Future[Order]]
PATIENCE_MS: Final = 5_000
"""An order between two steps comes up after this long, in case nobody else is at it."""


class OrdersPort(Protocol):
    """Where orders are kept. Raises anything when the result is unknown."""

    async def save(self, orders: Sequence[Order]) -> list[Order]:
        """Keep them, all or none, when each is based on the stored revision (0: it is new).

        They come back as stored, with their numbers and revisions.

        Raises:
            CreditRefused, TillSessionClosed: nothing was saved, because of the orders that it
                names.
        """
        ...

    async def credit(self, code: str, performance: int) -> Credit | None:
        """The credit with this code, where the organiser of this performance gave it."""
        ...

    async def get(self, id: str) -> Order | None: ...

    async def by_intent(self, intent: str) -> Order | None:
        """The order with the payment that the provider calls so."""
        ...

    async def unfinished(self) -> list[Order]: ...

    async def unfinished_revisions(self) -> list[tuple[str, int]]:
        """The same, as (id, revision)."""
        ...

    async def provider_event(self, provider: str, id: str, payload: bytes, now_ms: int) -> bool:
        """Keep what a payment provider sent; False when it came before."""
        ...


class OrderKeeper:
    """The desk's orders. Every method raises NotReady when the store does not answer."""

    def __init__(self, orders: OrdersPort, clock_ms: Callable[[], int]) -> None:
        self._orders = orders
        self._clock_ms = clock_ms
        self._known: OrderedDict[str, Order] = OrderedDict()
        self._due_ms: dict[str, int] = {}
        self._looked: dict[str, int] = {}  # the unfinished and their revisions, at the last look
        self._locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}
        # New orders wait for no books: what is told of the others is written one after the other.
        self._new, self._changed = _Line(), _Line()

    @contextlib.asynccontextmanager
    async def lock(self, id: str) -> AsyncIterator[None]:
        """One call at a time for one order; the lock lives while somebody wants it."""
        lock, users = self._locks.setdefault(id, (asyncio.Lock(), []))
        users.append(None)
        try:
            async with lock:
                yield
        finally:
            users.pop()
            if not users:
                self._locks.pop(id, None)

    def is_locked(self, id: str) -> bool:
        """Is somebody at this order?"""
        return id in self._locks

    async def load(self, id: str) -> Order | None:
        """The order as last saved."""
        known = self._known.get(id)
        if known is not None:
            self._known.move_to_end(id)
            return known
        try:
            order = await self._orders.get(id)
        except Exception as error:
            raise NotReady(f"order {id[:8]}... cannot be read") from error
        if order is None:
            self._due_ms.pop(id, None)
            return None
        return self._remember(order)

    async def by_intent(self, intent: str) -> str:
        """The id of the order with the payment that the provider calls so; "" for none."""
        try:
            order = await self._orders.by_intent(intent)
        except Exception as error:
            raise NotReady("orders cannot be read") from error
        return order.id if order is not None else ""

    async def credit(self, code: str, performance: int) -> Credit | None:
        """The credit with this code, where the organiser of this performance gave it."""
        try:
            return await self._orders.credit(code, performance)
        except Exception as error:
            raise NotReady("credits cannot be read") from error

    async def note_provider_event(self, provider: str, id: str, payload: bytes) -> None:
        """Keep what a payment provider sent."""
        try:
            await self._orders.provider_event(provider, id, payload, self._clock_ms())
        except Exception as error:
            raise NotReady(f"event {id} cannot be kept") from error

    async def save(self, order: Order) -> Order:
        """Store the order; call with its lock held.

        Raises:
            CreditRefused: it would take more from a credit than there is.
            TillSessionClosed: the session that it takes money in is; nothing was saved.
        """
        future: asyncio.Future[Order] = asyncio.get_running_loop().create_future()
        line = self._changed if order.revision else self._new
        # One that waits under this id belongs to a call that was given up: this one replaces it.
        line.waiting[order.id] = (order, future)
        if line.flight is None:
            line.flight = asyncio.create_task(self._fly(line))
        try:
            saved = await future
        except BaseException as error:
            self._known.pop(order.id, None)
            # Perhaps it was saved, and has a step to take: what was due before is out of date.
            soon_ms = self._clock_ms() + PATIENCE_MS
            self._due_ms[order.id] = min(self._due_ms.get(order.id, soon_ms), soon_ms)
            if isinstance(error, CreditRefused | TillSessionClosed):
                raise
            if isinstance(error, Exception):
                raise NotReady(f"order {order.number} is not known to be saved") from error
            raise
        self._due_ms.pop(order.id, None)
        return self._remember(saved)

    # The agenda ------------------------------------------------------------------

    @property
    def open_orders(self) -> int:
        """How many orders are not finished."""
        return len(self._due_ms)

    async def resume(self) -> None:
        """Put the unfinished orders into the agenda."""
        try:
            unfinished = await self._orders.unfinished()
        except Exception as error:
            raise NotReady("unfinished orders cannot be read") from error
        self._looked = {order.id: order.revision for order in unfinished}
        for order in unfinished:
            self._due_ms.setdefault(order.id, comes_up_ms(order) if order.waits else 0)

    async def look_again(self) -> None:
        """Take up what another desk saved after this one began: it may have died over it."""
        try:
            stored = await self._orders.unfinished_revisions()
        except Exception as error:
            raise NotReady("unfinished orders cannot be read") from error
        looked = {}
        for id, revision in stored:
            if self.is_locked(id):
                continue  # whoever is at it finds out; else it is looked at next time
            looked[id] = revision
            known = self._known.get(id)
            is_news = known is None or known.revision < revision
            if is_news and self._looked.get(id) != revision:
                self._known.pop(id, None)
                self._due_ms[id] = 0
        self._looked = looked

    def take_due(self) -> list[str]:
        """The orders that are due now. Each comes up again later, until it is finished."""
        now_ms = self._clock_ms()
        due = [id for id, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for id in due:
            self._due_ms[id] = now_ms + PATIENCE_MS
        return due

    async def close(self) -> None:
        """End the flights; what waits to be saved is not."""
        flights = [one.flight for one in (self._new, self._changed) if one.flight is not None]
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)

    # -----------------------------------------------------------------------------

    def _remember(self, order: Order) -> Order:
        known = self._known.get(order.id)
        if known is not None and known.revision > order.revision:
            return known  # saved while this one was being read
        self._known[order.id] = order
        self._known.move_to_end(order.id)
        if len(self._known) > MAX_REMEMBERED_ORDERS:
            self._known.popitem(last=False)
        if order.finished:
            self._due_ms.pop(order.id, None)
        else:
            due_ms = comes_up_ms(order) if order.waits else self._clock_ms() + PATIENCE_MS
            self._due_ms.setdefault(order.id, due_ms)
        return order

    async def _fly(self, line: "_Line") -> None:
        """One transaction is in flight, the next fills meanwhile."""
        try:
            while line.waiting:
                ids = list(line.waiting)[:MAX_ORDERS_PER_SAVE]
                batch = [line.waiting.pop(id) for id in ids]
                try:
                    await self._store(batch)
                except Exception as error:
                    _fail(batch, error)
        finally:
            line.flight = None

    async def _store(self, batch: list[_Waiting]) -> None:
        """Save a batch. Those that are refused are told, and the rest saved."""
        while batch:
            try:
                saved = await self._orders.save([order for order, _ in batch])
            except (CreditRefused, TillSessionClosed) as error:
                refused = [one for one in batch if one[0].id in error.ids]
                if not refused:
                    raise
                _fail(refused, error)
                batch = [one for one in batch if one not in refused]
                continue
            for (_, future), order in zip(batch, saved, strict=True):
                if not future.done():
                    future.set_result(order)
            return


class _Line:
    """Orders that wait to be saved, by id, and the transaction before theirs."""

    def __init__(self) -> None:
        self.waiting: dict[str, _Waiting] = {}
        self.flight: asyncio.Task[None] | None = None


def _fail(batch: Sequence[_Waiting], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
