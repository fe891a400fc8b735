"""The real order desk over orders in memory, and the queries over those orders."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from engine.actors import ActorFault
from engine.actors.desk import OrderDesk, Shop
from engine.actors.payments import StripeGateway
from engine.commands import TicketState
from engine.credit import Credit
from engine.ordering import bought
from engine.orders import Bought, LineState, Order, OrderRefused, OrderState, PlaceOrder
from engine.payments import CardReader
from gateway.backend import BackendUnavailable, SignatureInvalid
from tests.fakes.credits import MemoryCredits
from tests.fakes.performances import FakePerformances

GOOD_SIGNATURE = "signed"


class MemoryOrders:
    """Implements the desk's OrdersPort."""

    def __init__(self) -> None:
        self.by_id: dict[str, Order] = {}
        self.events: set[str] = set()
        self.credits = MemoryCredits()

    async def save(self, orders: Sequence[Order]) -> list[Order]:
        saved = []
        self.credits.move([(self.by_id.get(order.id), order) for order in orders])
        for order in orders:
            known = self.by_id.get(order.id)
            number = known.number if known else 1001 + len(self.by_id)
            self.by_id[order.id] = replace(order, number=number, revision=order.revision + 1)
            saved.append(self.by_id[order.id])
        return saved

    async def get(self, id: str) -> Order | None:
        return self.by_id.get(id)

    async def by_intent(self, intent: str) -> Order | None:
        found = [
            order
            for order in self.by_id.values()
            if any(payment.intent == intent for payment in order.payments)
        ]
        return found[0] if found else None

    async def unfinished(self) -> list[Order]:
        return [order for order in self.by_id.values() if not order.finished]

    async def unfinished_revisions(self) -> list[tuple[str, int]]:
        return [(order.id, order.revision) for order in await self.unfinished()]

    async def credit(self, code: str, performance: int) -> Credit | None:
        return self.credits.get(code)

    async def provider_event(self, provider: str, id: str, payload: bytes, now_ms: int) -> bool:
        new = id not in self.events
        self.events.add(id)
        return new


class FakeDesk:
    """Implements `gateway.backend.Desk` with the real desk. While `down` is set, calls fail."""

    def __init__(self, performances: FakePerformances) -> None:
        self.orders = MemoryOrders()
        self.down = False
        self.events: list[bytes] = []
        self._performances = performances
        self._stripe: StripeGateway | None = None
        self._desk = OrderDesk(self.orders, performances.ask, clock_ms=performances.clock_ms)

    async def take_cards(self, stripe: StripeGateway, shop: Shop) -> None:
        """From now on it is paid by Stripe, and webhooks are really checked."""
        await self.close()
        self._stripe = stripe
        self._desk = OrderDesk(
            self.orders, self._performances.ask, stripe, shop, self._performances.clock_ms
        )

    async def place(self, request: PlaceOrder) -> Order | OrderRefused:
        return await self._ask("place", request)

    async def buy(self, *arguments: object) -> Bought | OrderRefused:
        found = await self._ask("buy", *arguments)
        return bought(found) if isinstance(found, Order) else found

    async def get(self, order: str) -> Order | None:
        return await self._ask("get", order)

    async def pay(self, *arguments: object) -> tuple[Order, str] | OrderRefused:
        return await self._ask("pay", *arguments)

    async def reserve(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("reserve", *arguments)

    async def approve(self, order: str) -> Order | OrderRefused:
        return await self._ask("approve", order)

    async def cancel(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("cancel", *arguments)

    async def refund(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("refund", *arguments)

    async def exchange(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("exchange", *arguments)

    async def print_tickets(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("print_tickets", *arguments)

    async def reissue(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("reissue", *arguments)

    async def stop(self, *arguments: object) -> Order | OrderRefused:
        return await self._ask("stop", *arguments)

    async def readers(self) -> list[CardReader] | OrderRefused:
        return await self._ask("readers")

    async def present(self, *arguments: object) -> OrderRefused | None:
        return await self._ask("present", *arguments)

    async def webhook(self, payload: bytes, signature: str) -> None:
        if self._stripe is not None:
            await self._desk.webhook(payload, signature)
        elif signature != GOOD_SIGNATURE:
            raise SignatureInvalid("no payment provider signed this")
        self.events.append(payload)

    async def close(self) -> None:
        self._desk._sweeper.cancel()
        await asyncio.gather(self._desk._sweeper, return_exceptions=True)
        if self._stripe is not None:
            await self._stripe.close()

    async def _ask(self, method, *arguments):  # type: ignore[no-untyped-def]
        if self.down:
            raise BackendUnavailable("the desk is down")
        try:
            return await getattr(self._desk, method)(*arguments)
        except ActorFault as error:
            raise BackendUnavailable(repr(error)) from error


class Sale(Struct, frozen=True):
    id: str
    number: int


class TicketEntry(Struct, frozen=True):
    performance: int
    number: int
    order: str
    order_number: int
    buyer_name: str
    seat: int
    area: int
    price_type: str
    amount: int
    state: str
    version: int
    sold_ms: int


class FakeSales:
    """Implements `gateway.backend.Sales` over a desk's orders."""

    def __init__(self, orders: MemoryOrders) -> None:
        self._orders = orders

    async def orders(self, ids: Sequence[str]) -> list[Order]:
        found = [self._orders.by_id[one] for one in ids if one in self._orders.by_id]
        return sorted(found, key=lambda order: -order.number)

    async def latest(
        self,
        *,
        performance: int | None = None,
        state: OrderState | None = None,
        operator: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> list[Sale]:
        def means(order: Order) -> bool:
            return state in (None, order.state) and operator in ("", order.operator)

        return self._sales(means, performance, before, limit)

    async def search(
        self,
        text: str,
        *,
        performance: int | None = None,
        seats: Sequence[int] = (),
        operator: str = "",
        before: int | None = None,
        limit: int = 50,
    ) -> list[Sale]:
        def means(order: Order) -> bool:
            if operator not in ("", order.operator):
                return False
            buyer = f"{order.buyer.name} {order.buyer.email}".lower()
            seated = any(
                line.performance == performance and line.seat in seats for line in order.lines
            )
            return text.strip("# ") == str(order.number) or text.lower() in buyer or seated

        return self._sales(means, performance, before, limit)

    async def tickets(
        self,
        performance: int,
        *,
        numbers: Sequence[int] = (),
        seats: Sequence[int] = (),
        order: str = "",
        limit: int = 500,
    ) -> list[TicketEntry]:
        found = [
            TicketEntry(
                performance,
                line.ticket,
                one.id,
                one.number,
                one.buyer.name,
                line.seat,
                line.area,
                line.price_type,
                line.amount,
                "valid" if line.state is LineState.SOLD else line.state.value,
                line.version,
                one.created_ms,
            )
            for one in self._orders.by_id.values()
            for line in one.lines
            if line.performance == performance
            and line.ticket > 0
            and (
                not (numbers or seats or order)
                or line.ticket in numbers
                or line.seat in seats
                or one.id == order
            )
        ]
        return sorted(found, key=lambda ticket: -ticket.number)[:limit]

    async def ticket(
        self, performance: int, number: int
    ) -> tuple[TicketEntry, list[Struct]] | None:
        found = await self.tickets(performance, numbers=[number])
        return (found[0], []) if found else None

    async def counts(self, performances: Sequence[int]) -> dict[int, int]:
        sold = Counter(
            line.performance
            for order in self._orders.by_id.values()
            for line in order.lines
            if line.ticket > 0
            and line.state is not LineState.REFUNDED
            and line.performance in performances
        )
        return dict(sold)

    def _sales(self, means, performance, before, limit):  # type: ignore[no-untyped-def]
        orders = sorted(self._orders.by_id.values(), key=lambda order: -order.number)
        return [
            Sale(order.id, order.number)
            for order in orders
            if means(order)
            and (before is None or order.number < before)
            and (performance is None or performance in {one.performance for one in order.lines})
        ][:limit]


class Guest(Struct, frozen=True):
    ticket: int
    version: int
    order_number: int
    name: str
    seat: int
    area: int
    price_type: str
    state: str
    arrived_ms: int


class FakeGuests:
    """Implements `gateway.backend.Guests` over a desk's orders and what the doors know."""

    def __init__(self, orders: MemoryOrders, performances: FakePerformances) -> None:
        self._orders = orders
        self._performances = performances

    async def guests(self, performance: int, *, text: str = "", limit: int) -> list[Guest]:
        live = self._performances.live[performance].core
        found = [
            Guest(
                line.ticket,
                line.version,
                order.number,
                order.buyer.name,
                line.seat,
                line.area,
                line.price_type,
                live.ticket_states.get(line.ticket, TicketState.VALID).value,
                next((one.at_ms for one in live.ticket_uses.get(line.ticket, ()) if one.entry), 0),
            )
            for order in self._orders.by_id.values()
            for line in order.lines
            if line.performance == performance and line.state is LineState.SOLD
            if all(word in order.buyer.name.lower() for word in text.lower().split())
        ]
        return sorted(found, key=lambda one: (one.name == "", one.name.lower(), one.ticket))[:limit]
