"""Cancelled performances in memory, for whoever asks and for whoever does the work.

`check_cancellations` is the contract, for these and for `persistence.cancellations`.
"""

from collections.abc import Callable, Iterable

from msgspec.structs import replace

from engine.cancellation import (
    Cancellation,
    CancelledOrder,
    Progress,
    Standing,
    refund_id,
)
from engine.mails import Mail, MailKind
from engine.orders import LineState, Order

UNFINISHED = (Progress.TODO, Progress.WAITING)
LIVE = (LineState.PENDING, LineState.RESERVED, LineState.SOLD)
AT_MS = 1_795_172_400_000


class FakeCancellations:
    """Implements `gateway.backend.Cancellations` and `engine.actors.canceller.Book`.

    Attributes:
        rows: How far each order is, by performance and number.
        mails: What was queued, by order's number: once each, as by its key.
        came_in: Numbers of used tickets, by performance.
    """

    def __init__(self, orders: Callable[[], Iterable[Order]]) -> None:
        self._orders = orders
        self.asked: dict[int, Cancellation] = {}
        self.rows: dict[int, dict[int, CancelledOrder]] = {}
        self.mails: dict[int, set[Mail]] = {}
        self.came_in: dict[int, set[int]] = {}

    async def begin(self, performance: int, operator: str, reason: str) -> None:
        new = Cancellation(performance, operator, reason, AT_MS, 0, {}, 0, 0)
        self.asked[performance] = replace(self.asked.get(performance, new), ended_ms=0)
        rows = self.rows.setdefault(performance, {})
        for number, row in rows.items():
            if row.progress is Progress.LEFT:
                rows[number] = replace(row, progress=Progress.TODO)

    async def get(self, performance: int) -> Cancellation | None:
        found = self.asked.get(performance)
        if found is None:
            return None
        rows = self.rows[performance].values()
        counts = {one.value: sum(row.progress is one for row in rows) for one in Progress}
        amount = sum(row.amount for row in rows)
        untold = sum(not row.told for row in rows)
        return replace(found, orders=counts, amount=amount, untold=untold)

    async def to_people(self, performance: int, after: int = 0) -> list[CancelledOrder]:
        return [
            row
            for number, row in sorted(self.rows[performance].items())
            if number > after and (row.progress is Progress.LEFT or not row.told)
        ]

    async def unfinished(self) -> list[tuple[int, str, str]]:
        return [
            (one.performance, one.operator, one.reason)
            for one in self.asked.values()
            if not one.ended_ms
        ]

    async def gather(self, performance: int) -> int:
        rows, new = self.rows[performance], 0
        for order in await self.page(performance, 0, 10_000):
            if order.number not in rows:
                buyer = order.buyer.name
                rows[order.number] = CancelledOrder(order.number, Progress.TODO, "", 0, True, buyer)
                new += 1
        return new

    async def work(self, performance: int, after: int, most: int) -> list[Order]:
        rows = self.rows[performance]
        return [
            order
            for order in self._sorted()
            if order.number > after
            and order.number in rows
            and rows[order.number].progress in UNFINISHED
        ][:most]

    async def page(self, performance: int, after: int, most: int) -> list[Order]:
        return [
            order
            for order in self._sorted()
            if order.number > after
            and any(line.performance == performance and line.state in LIVE for line in order.lines)
        ][:most]

    async def used(self, performance: int, tickets: Iterable[int]) -> set[int]:
        return self.came_in.get(performance, set()).intersection(tickets)

    async def settle(
        self, performance: int, order: Order, standing: Standing, told: bool, mail: Mail | None
    ) -> None:
        rows = self.rows[performance]
        rows[order.number] = replace(
            rows[order.number],
            progress=standing.progress,
            why=standing.why,
            amount=standing.amount,
            told=told,
        )
        if mail is not None:
            self.mails.setdefault(order.number, set()).add(mail)

    async def end(self, performance: int) -> None:
        if all(row.progress not in UNFINISHED for row in self.rows[performance].values()):
            self.asked[performance] = replace(self.asked[performance], ended_ms=AT_MS + 1)

    def _sorted(self) -> list[Order]:
        return sorted(self._orders(), key=lambda order: order.number)


async def check_cancellations(
    book: FakeCancellations, performance: int, orders: list[Order], queued: Callable[[], set[str]]
) -> None:
    """What is relied on, of any; `orders` are three with places there, and nothing else is.

    `queued` are the keys of the mails that wait.
    """
    first, second, third = sorted(orders, key=lambda order: order.number)
    assert await book.get(performance) is None
    assert [one.number for one in await book.page(performance, 0, 2)] == [
        first.number,
        second.number,
    ]
    assert [one.number for one in await book.page(performance, second.number, 2)] == [third.number]
    await book.begin(performance, "ada", "ill")
    assert await book.unfinished() == [(performance, "ada", "ill")]
    assert await book.gather(performance) == 3
    assert await book.gather(performance) == 0, "written down once"
    assert await book.work(performance, 0, 2) == [first, second]

    told = Mail(MailKind.CALLED_OFF, refund_id(performance))
    await book.settle(performance, first, Standing(Progress.DONE, "", 700), True, None)
    for _ in range(2):
        left = Standing(Progress.LEFT, "by_hand", 5)
        await book.settle(performance, second, left, False, told)
    await book.settle(performance, third, Standing(Progress.WAITING, "", 20), True, None)
    assert await book.work(performance, 0, 9) == [third]
    await book.end(performance)
    found = await book.get(performance)
    assert found is not None and found.ended_ms == 0, "one waits"
    assert found.orders == {"todo": 0, "waiting": 1, "done": 1, "left": 1}
    assert (found.amount, found.untold, found.operator) == (725, 1, "ada")
    [person] = await book.to_people(performance)
    assert (person.number, person.progress, person.why) == (second.number, Progress.LEFT, "by_hand")
    assert await book.to_people(performance, second.number) == []
    assert len(queued()) == 1

    await book.settle(performance, third, Standing(Progress.DONE, "", 20), True, None)
    await book.end(performance)
    found = await book.get(performance)
    assert found is not None and found.ended_ms and await book.unfinished() == []
    await book.begin(performance, "eve", "again")
    assert await book.work(performance, 0, 9) == [second], "what was left is tried again"
    found = await book.get(performance)
    assert found is not None and (found.operator, found.reason) == ("ada", "ill")
