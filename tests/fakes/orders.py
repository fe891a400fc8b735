"""Orders in memory, keeping the promises of `persistence.orders.Orders` that the desk relies on.

What it keeps is the encoded order, so that nothing survives that the database would not keep.
`check_orders` is the contract, for this one and for the real one.
"""

from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from engine.credit import Credit
from engine.orders import Order
from persistence.orders import OrderConflict
from tests.fakes.credits import MemoryCredits

FIRST_NUMBER = 1001


class MemoryOrders:
    """Implements `engine.actors.order_keeper.OrdersPort`.

    Attributes:
        saves: What was stored, transaction by transaction.
        down: While set, every call fails.
        events: What providers sent, by (provider, id).
        credits: What is kept for buyers.
    """

    def __init__(self) -> None:
        self.saves: list[list[Order]] = []
        self.events: dict[tuple[str, str], bytes] = {}
        self.down = False
        self.credits = MemoryCredits()
        self._bodies: dict[str, bytes] = {}
        self._keys: dict[str, tuple[int, int]] = {}  # number, revision
        self._decode = msgspec.json.Decoder(Order).decode

    @property
    def all(self) -> list[Order]:
        """Every order as stored, by number."""
        return sorted((self._read(id) for id in self._bodies), key=lambda order: order.number)

    def history(self, id: str) -> list[Order]:
        """Every state of one order that was ever stored."""
        return [order for saved in self.saves for order in saved if order.id == id]

    async def save(self, orders: Sequence[Order]) -> list[Order]:
        self._answer()
        if len({order.id for order in orders}) != len(orders):
            raise ValueError("an order is saved once in a transaction")
        stale = [one.id for one in orders if one.revision != self._keys.get(one.id, (0, 0))[1]]
        if stale:
            raise OrderConflict(stale)
        known = [self._read(one.id) if one.id in self._bodies else None for one in orders]
        self.credits.move(list(zip(known, orders, strict=True)))
        for order in orders:
            number, revision = self._keys.get(order.id, (FIRST_NUMBER + len(self._keys), 0))
            self._keys[order.id] = (number, revision + 1)
            self._bodies[order.id] = msgspec.json.encode(order)
        saved = [self._read(order.id) for order in orders]
        if saved:
            self.saves.append(saved)
        return saved

    async def get(self, id: str) -> Order | None:
        self._answer()
        return self._read(id) if id in self._bodies else None

    async def by_intent(self, intent: str) -> Order | None:
        self._answer()
        for order in self.all:
            if intent and any(payment.intent == intent for payment in order.payments):
                return order
        return None

    async def unfinished(self) -> list[Order]:
        self._answer()
        return [order for order in reversed(self.all) if not order.finished]

    async def unfinished_revisions(self) -> list[tuple[str, int]]:
        self._answer()
        return [(order.id, order.revision) for order in self.all if not order.finished]

    async def provider_event(self, provider: str, id: str, payload: bytes, now_ms: int) -> bool:
        self._answer()
        new = (provider, id) not in self.events
        self.events.setdefault((provider, id), payload)
        return new

    async def credit(self, code: str, performance: int) -> Credit | None:
        self._answer()
        return self.credits.get(code)

    def _read(self, id: str) -> Order:
        number, revision = self._keys[id]
        return replace(self._decode(self._bodies[id]), number=number, revision=revision)

    def _answer(self) -> None:
        if self.down:
            raise ConnectionError("the database is down")


async def check_orders(orders: "MemoryOrders", first: Order, second: Order) -> None:
    """What a desk relies on, of any store; `first` and `second` are orders that it has not seen."""
    [saved] = await orders.save([first])
    assert saved == replace(first, number=saved.number, revision=1)
    assert await orders.get(first.id) == saved
    assert await orders.get(second.id) is None

    for wrong in (first, replace(saved, revision=2)):
        await _is_refused(orders, [replace(wrong, total=1), second])
    assert await orders.get(first.id) == saved, "nothing of a refused save is kept"
    assert await orders.get(second.id) is None, "not even what was good"

    changed = replace(saved, payments=second.payments)
    again, other = await orders.save([changed, second])
    assert again == replace(changed, revision=2)
    assert other.number != again.number == saved.number, "a number is given once"
    await _is_refused(orders, [changed])

    assert {order.id for order in await orders.unfinished()} >= {
        order.id for order in (again, other) if not order.finished
    }
    assert sorted(await orders.unfinished_revisions()) == sorted(
        (order.id, order.revision) for order in await orders.unfinished()
    )
    assert await orders.by_intent("no such intent") is None
    assert await orders.by_intent("") is None
    for payment in second.payments:
        found = await orders.by_intent(payment.intent)
        assert found is not None and found.id in (first.id, second.id)
    assert await orders.provider_event("stripe", f"evt_{first.id}", b"{}", 1)
    assert not await orders.provider_event("stripe", f"evt_{first.id}", b"{}", 2)


async def _is_refused(orders: "MemoryOrders", changes: list[Order]) -> None:
    try:
        await orders.save(changes)
    except OrderConflict:
        return
    raise AssertionError("a save that is not based on what is stored must be refused")
