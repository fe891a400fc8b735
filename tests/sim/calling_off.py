"""A performance that is cancelled while people buy: `engine.actors.canceller` beside the desk.

The book is the fake that keeps the contract of `persistence.cancellations`, over the world's tables
of orders and behind the desk's own connection to the database, so that the canceller dies, sleeps
and goes on with its desk.
"""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from engine.actors.canceller import Canceller
from engine.actors.saga import Ask
from engine.cancellation import (
    Left,
    Progress,
    Standing,
    live_lines,
    refund_id,
    standing_of,
)
from engine.mails import Mail
from engine.orders import Order
from engine.settings import SaleStatus, Settings
from tests.fakes.cancellations import FakeCancellations
from tests.sim.judge import Broken
from tests.sim.store import Store

Reach = Callable[..., Coroutine[Any, Any, Any]]
"""How a process asks the database: a method, its arguments, and `commits`."""


class CallingOff:
    """What is cancelled in a world; `performance` is 0 for nothing."""

    def __init__(self, orders: Callable[[], list[Order]], store: Store) -> None:
        self.book = FakeCancellations(orders)
        self.performance = 0
        self._store = store

    def begin(self, performance: int) -> None:
        """Somebody of the house says so."""
        self.performance = performance
        without_waiting(self.book.begin(performance, "eve", "the singer is ill"))

    @property
    def is_over(self) -> bool:
        return not self.performance or self.book.asked[self.performance].ended_ms > 0

    def canceller(
        self, reach: Reach, desk: Any, ask: Ask, clock_ms: Callable[[], int]
    ) -> Canceller:
        """In the process of a desk. Construct inside it."""

        async def settings(performance: int) -> Settings:
            stored: Settings = await reach(self._settings, performance)
            return stored

        async def no_room(performance: int) -> bool:
            return False

        return Canceller(_Book(self.book, reach), desk, ask, settings, no_room, clock_ms)

    async def _settings(self, performance: int) -> Settings:
        return msgspec.json.decode(self._store.houses[performance].settings, type=Settings)

    def judge(self, orders: list[Order]) -> None:
        """Nothing is left of it that nobody knows of, and each order gave back once.

        Raises Broken.
        """
        number = self.performance
        if not number:
            return
        settings = msgspec.json.decode(self._store.houses[number].settings, type=Settings)
        if settings.status is not SaleStatus.CANCELLED:
            raise Broken("called off", f"performance {number} is {settings.status}")
        rows = self.book.rows[number]
        for order in orders:
            told = f"order {order.number} of cancelled performance {number}: {order}"
            row = rows.get(order.number)
            if live_lines(order, number) and (row is None or row.progress is not Progress.LEFT):
                raise Broken("called off", f"{told} is at {row}")
            refunds = [one for one in order.refunds if one.id == refund_id(number)]
            if len(refunds) > 1:
                raise Broken("called off", f"{told} gave back twice")
            if row is None:
                continue
            if row.progress is Progress.DONE:
                now = standing_of(order, number)
                # A bank may return a refund after it was done: then the order says so.
                if now.progress is not Progress.DONE and now.why != Left.REFUND_FAILED:
                    raise Broken("called off", f"{told} is done, and stands at {now}")
            if not row.told and order.buyer.email and row.progress is Progress.DONE:
                raise Broken("called off", f"{told} was not told")


class _Book:
    """`canceller.Book`, as one process reaches it."""

    def __init__(self, book: FakeCancellations, reach: Reach) -> None:
        self._book = book
        self._reach = reach

    async def unfinished(self) -> list[tuple[int, str, str]]:
        found: list[tuple[int, str, str]] = await self._reach(self._book.unfinished)
        return found

    async def gather(self, performance: int) -> int:
        many: int = await self._reach(self._book.gather, performance, commits=True)
        return many

    async def work(self, performance: int, after: int, most: int) -> list[Order]:
        found: list[Order] = await self._reach(self._book.work, performance, after, most)
        return found

    async def settle(
        self, performance: int, order: Order, standing: Standing, told: bool, mail: Mail | None
    ) -> None:
        args = performance, order, standing, told, mail
        await self._reach(self._book.settle, *args, commits=True)

    async def end(self, performance: int) -> None:
        await self._reach(self._book.end, performance, commits=True)


def without_waiting(doing: Coroutine[Any, Any, Any]) -> Any:
    """What comes of a coroutine that waits for nothing: one transaction."""
    try:
        doing.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")
