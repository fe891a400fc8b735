"""What it costs that nothing can be taken back: the chain of the journals, and the books.

Owns two comparisons, each of the product with itself less one thing:

- durable holds with their batches chained by hashes, and without;
- saving orders with what concerns money written into the ledger, and without.

An order is saved as the desk saves it: placed, paid, confirmed, many together in a transaction.
"""

import itertools
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from msgspec import structs

from bench.figures import Rate
from bench.peers import called_through_ray
from engine.commands import Channel, Line
from engine.journal import Append
from engine.ledger import Fact
from engine.orders import Buyer, LineState, Order, OrderHold, OrderLine, OrderState
from engine.payments import Payment, PaymentMethod
from persistence.orders import Orders
from persistence.pool import open_pool

if TYPE_CHECKING:
    from engine.actors.wiring import Installation

WARM_UP_S: Final = 0.5
ORDERS_TOGETHER: Final = 50
AMOUNT: Final = 2_000
_numbers = itertools.count(1)


def half_chained(unchained: int) -> "Callable[[], type[Installation]]":
    """An installation whose journal chains every performance but this one.

    And whose performances may be called through Ray, see `bench.peers`.
    """

    def kind() -> "type[Installation]":
        from engine.actors import wiring

        class HalfChained(wiring.JournalProcess):
            def __init__(self, url: str) -> None:
                _leave_out(unchained)
                super().__init__(url)

        wiring.JournalProcess = HalfChained  # type: ignore[misc]
        return called_through_ray()

    return kind


def _leave_out(unchained: int) -> None:
    """In this process: no hash is reckoned, neither here nor in the statement."""
    from persistence import journal

    reckoned = journal.batch_hash("b", "w.head_hash", "b.digest")
    chained = (journal._ADVANCE, journal._ADVANCE_WITH_ROWS, journal.sha512)
    plain = (*(sql.replace(reckoned, "''::bytea") for sql in chained[:2]), _NoDigest)
    assert chained[0] != plain[0]
    advance = journal._advance

    async def half(connection: Any, group: list[Append], rows: bool) -> list[Append]:
        alone = all(batch.performance == unchained for batch in group)
        # Nobody else comes between this and their use.
        names = ("_ADVANCE", "_ADVANCE_WITH_ROWS", "sha512")
        for name, value in zip(names, plain if alone else chained, strict=True):
            setattr(journal, name, value)
        return await advance(connection, group, rows)

    journal._advance = half


class _NoDigest:
    def __init__(self, events: bytes) -> None: ...

    def digest(self) -> bytes:
        return b""


class WithoutBooks(Orders):
    """Nothing that an order changes concerns money."""

    def _facts(self, changed: Iterable[tuple[Order | None, Order]]) -> list[tuple[int, Fact]]:
        return []


async def saves(url: str, performance: int, seconds: float, *, books: bool) -> Rate:
    """Saves of orders a second, three for each order, one group after the other."""
    engine = open_pool(url, 1)
    orders = Orders(engine) if books else WithoutBooks(engine)
    answers: list[tuple[float, float, int]] = []
    begins_s = time.perf_counter() + WARM_UP_S
    ends_s = begins_s + seconds
    try:
        while time.perf_counter() < ends_s:
            group = [_placed(performance) for _ in range(ORDERS_TOGETHER)]
            for step in (lambda order: order, _paid, _confirmed):
                sent_s = time.perf_counter()
                group = await orders.save([step(order) for order in group])
                done_s = time.perf_counter()
                answers.append((done_s, done_s - sent_s, len(group)))
    finally:
        await engine.dispose()
    return Rate.of(answers, begins_s, ends_s)


def _placed(performance: int) -> Order:
    number = next(_numbers)
    return Order(
        id=f"{time.time_ns():016x}{number:016x}",
        number=0,
        state=OrderState.OPEN,
        channel=Channel.WEB,
        currency="EUR",
        total=2 * AMOUNT,
        created_ms=time.time_ns() // 1_000_000,
        expires_ms=time.time_ns() // 1_000_000 + 900_000,
        buyer=Buyer("Éléonore d'Aquitaine", "eleonore@poitiers.example", "fr"),
        operator="",
        session=f"session {number}",
        holds=(OrderHold(performance, f"{number:032x}", (Line(0, -1, "adult"),)),),
        lines=tuple(
            OrderLine(line, performance, 2 * number + line, -1, "adult", AMOUNT) for line in (1, 2)
        ),
    )


def _paid(order: Order) -> Order:
    payment = Payment(
        id=f"{order.id}-1",
        order=order.id,
        method=PaymentMethod.TEST_CARD,
        amount=order.total,
        currency=order.currency,
        captured=order.total,
    )
    return structs.replace(order, state=OrderState.SELLING, payments=(payment,))


def _confirmed(order: Order) -> Order:
    lines = tuple(
        structs.replace(line, state=LineState.SOLD, ticket=2 * order.number + line.number)
        for line in order.lines
    )
    return structs.replace(order, state=OrderState.PAID, lines=lines)
