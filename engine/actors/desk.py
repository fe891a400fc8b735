"""The order desk: drives every order as a saga of idempotent commands.

Delivery guarantees:
- Every call may be repeated with the same arguments; it is done once.
- An order's next step is saved before the step is taken, and every step can be
  taken again: after a crash the desk reads the unfinished orders and goes on.
- Money and seats never part for good: a paid order whose seats were lost is
  paid back, a payment that comes too late is paid back.

One desk runs at a time, and the store's revision check refuses a second one.
Owns the saga and its clock. Knows no seat rule, no SQL, no Stripe and no Ray.
"""

import asyncio
import contextlib
import hashlib
import logging
import string
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final, Protocol

from msgspec import Struct
from msgspec.structs import replace

from engine.actors import ActorFault, NotReady
from engine.actors.payments import (
    CheckoutLine,
    PaymentError,
    PaymentRefused,
    PaymentUnavailable,
    StripeGateway,
    WebhookRejected,
)
from engine.actors.performance import now_ms
from engine.commands import (
    ID_BYTES,
    Checkout,
    Command,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Refused,
    Reopen,
    Sell,
    Sold,
)
from engine.orders import (
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderRefused,
    OrderState,
    PlaceOrder,
)
from engine.payments import (
    ActionKind,
    Payment,
    PaymentMethod,
    PaymentRefusal,
    ProviderEvent,
    RefundState,
    Standing,
    begin_refund,
    close,
    confirm,
    due_actions,
    fail_refund,
    methods,
    on_provider_event,
    pay_by_terminal,
    pay_by_test_card,
    pay_cash,
    start_stripe,
    with_session,
)

log = logging.getLogger(__name__)

MAX_BASKETS_PER_ORDER: Final = 8
MAX_ATTEMPTS_PER_ORDER: Final = 10
"""Payments begun for one order."""
MAX_REFUNDS_PER_ORDER: Final = 100
MAX_CACHED_ORDERS: Final = 10_000
SWEEP_S: Final = 1.0
MAX_OPEN_ORDERS: Final = 100_000
"""Unfinished orders in memory; beyond, new ones are refused as busy."""

Ask = Callable[[int, Command], Awaitable[Outcome]]
"""Sends a command to a performance until it is answered; raises ActorFault when it gives up."""


class OrdersPort(Protocol):
    """Where orders are kept. `save` gives the orders back as stored, with their numbers."""

    async def save(self, orders: Sequence[Order]) -> list[Order]: ...
    async def get(self, id: str) -> Order | None: ...
    async def by_intent(self, intent: str) -> Order | None: ...
    async def unfinished(self) -> list[Order]: ...


class Shop(Struct, frozen=True):
    """What a payment page needs beside the order: where to come back to, and what is bought."""

    public_url: str
    title: Callable[[int], Awaitable[str]]
    """The words for a performance on the page."""


class OrderDesk:
    """See the module. Construct inside a running event loop; unfinished orders resume at once."""

    def __init__(
        self,
        orders: OrdersPort,
        ask: Ask,
        stripe: StripeGateway | None = None,
        shop: Shop | None = None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        self._orders = orders
        self._ask = ask
        assert (stripe is None) == (shop is None)
        self._stripe = stripe
        self._shop = shop
        self._clock_ms = clock_ms
        self._known: OrderedDict[str, Order] = OrderedDict()
        self._open: set[str] = set()
        self._locks: dict[str, tuple[asyncio.Lock, list[None]]] = {}
        self._writer = _Writer(orders)
        self._sweeper = asyncio.create_task(self._sweep_forever())

    # Calls ---------------------------------------------------------------------

    async def place(self, request: PlaceOrder) -> Order | OrderRefused:
        """Price and lock the holds, and keep the order until it is paid or expires."""
        if problem := _malformed(request):
            return problem
        async with self._lock(request.id):
            known = await self._load(request.id)
            if known is not None:
                same = known.holds == request.baskets and known.channel == request.channel
                return known if same else OrderRefused("id_reused")
            if len(self._open) >= MAX_OPEN_ORDERS:
                return OrderRefused("busy")
            quotes = await self._check_out(request)
            if isinstance(quotes, OrderRefused):
                return quotes
            return await self._save(self._drawn_up(request, quotes))

    async def get(self, order: str) -> Order | None:
        return await self._load(order)

    async def pay(
        self,
        order: str,
        method: str,
        attempt: str,
        given: int = 0,
        reference: str = "",
        operator: str = "",
    ) -> tuple[Order, str] | OrderRefused:
        """Take a payment. Answers the order, and the page where the buyer pays ("" for none)."""
        async with self._lock(order):
            found = await self._load(order)
            if found is None:
                return OrderRefused("order_unknown")
            if found.state is OrderState.PAID:
                found = await self._settle(found)
            if found.state is OrderState.CONFIRMED:
                return found, ""
            if found.state is not OrderState.PENDING:
                return OrderRefused("order_closed", detail=found.state)
            if not attempt.isalnum() or len(attempt) > 32:
                return OrderRefused("malformed", detail="attempt: 1 to 32 letters and digits")
            if method not in methods(found.channel, self._stripe is not None):
                return OrderRefused("method_not_offered", detail=method)
            if found.total == 0:
                return await self._settle(
                    await self._save(replace(found, state=OrderState.PAID))
                ), ""
            payment_id = f"{found.id}-{attempt}"
            payment = next((p for p in found.payments if p.id == payment_id), None)
            if payment is None:
                if len(found.payments) >= MAX_ATTEMPTS_PER_ORDER:
                    return OrderRefused("too_many_attempts")
                begun = self._begin(found, method, payment_id, given, reference)
                if isinstance(begun, PaymentRefusal):
                    return OrderRefused(begun.value)
                payment = begun
                found = replace(found, payments=(*found.payments, payment), operator=operator)
                found = await self._save(found)
            if payment.method is PaymentMethod.STRIPE:
                return await self._open_page(found, payment)
            return await self._settle(found), ""

    async def cancel(self, order: str) -> Order | OrderRefused:
        """Give up an unpaid order; its holds can change again until they expire."""
        async with self._lock(order):
            found = await self._load(order)
            if found is None:
                return OrderRefused("order_unknown")
            return await self._give_up(found, reopen=True)

    async def refund(
        self, order: str, refund: str, lines: tuple[int, ...], reason: str, operator: str
    ) -> Order | OrderRefused:
        """Refund whole lines (none named: all that are sold): seats back, money back."""
        async with self._lock(order):
            found = await self._load(order)
            if found is None:
                return OrderRefused("order_unknown")
            known = next((r for r in found.refunds if r.id == refund), None)
            if known is None:
                sold = {line.number for line in found.lines if line.state is LineState.SOLD}
                wanted = tuple(lines) or tuple(sorted(sold))
                if found.state is not OrderState.CONFIRMED or not wanted:
                    return OrderRefused("nothing_to_refund", detail=found.state)
                if not sold.issuperset(wanted) or len(set(wanted)) != len(wanted):
                    return OrderRefused("line_not_sold")
                if len(found.refunds) >= MAX_REFUNDS_PER_ORDER:
                    return OrderRefused("too_many_refunds")
                intent = OrderRefund(refund, wanted, reason, operator, self._clock_ms())
                found = await self._save(replace(found, refunds=(*found.refunds, intent)))
            elif lines and tuple(lines) != known.lines:
                return OrderRefused("id_reused")
            found = await self._settle(found)
            done = next(r for r in found.refunds if r.id == refund)
            return OrderRefused(done.refused) if done.refused else found

    async def webhook(self, payload: bytes, signature: str) -> None:
        """A provider's event as received. Raises WebhookRejected."""
        if self._stripe is None:
            raise WebhookRejected("no payment provider is configured")
        event = self._stripe.parse_webhook(payload, signature, self._clock_ms() // 1_000)
        if event is None:
            return
        order_id = event.payment.rpartition("-")[0]
        if not order_id and event.intent:
            found = await self._orders.by_intent(event.intent)
            order_id = found.id if found else ""
        if not order_id:
            log.info("provider event %s names no payment of ours", event.id)
            return
        async with self._lock(order_id):
            order = await self._load(order_id)
            if order is None:
                log.warning("provider event %s names an unknown order", event.id)
                return
            await self._settle(await self._learn(order, event))

    # Placing ---------------------------------------------------------------------

    async def _check_out(self, request: PlaceOrder) -> list[Quoted] | OrderRefused:
        quotes: list[Quoted] = []
        buyer = request.buyer.email.strip().lower() or request.session or request.id
        refusal: OrderRefused | None = None
        for hold in request.baskets:
            name = _command_id(request.id, "checkout", hold.performance)
            token = bytes.fromhex(hold.token)
            outcome = await self._ask(
                hold.performance, Checkout(name, token, request.id, buyer, hold.lines)
            )
            if isinstance(outcome, Quoted):
                quotes.append(outcome)
                continue
            assert isinstance(outcome, Refused)
            refusal = OrderRefused(outcome.code, outcome.detail, hold.performance, outcome.seats)
            break
        if refusal is None and len({quote.currency for quote in quotes}) > 1:
            refusal = OrderRefused("mixed_currencies")
        if refusal is not None:
            await self._reopen(request.id, request.baskets[: len(quotes)])
            return refusal
        return quotes

    async def _reopen(self, order: str, holds: Sequence[OrderHold]) -> None:
        for hold in holds:
            name = _command_id(order, "reopen", hold.performance)
            await self._ask(hold.performance, Reopen(name, bytes.fromhex(hold.token), order))

    def _drawn_up(self, request: PlaceOrder, quotes: Sequence[Quoted]) -> Order:
        lines: list[OrderLine] = []
        for basket, quote in zip(request.baskets, quotes, strict=True):
            for line, amount in zip(basket.lines, quote.amounts, strict=True):
                lines.extend(
                    OrderLine(
                        len(lines) + place + 1,
                        basket.performance,
                        line.seat,
                        line.area,
                        line.price_type,
                        amount,
                    )
                    for place in range(line.quantity)
                )
        return Order(
            id=request.id,
            number=0,
            state=OrderState.PENDING,
            channel=request.channel,
            currency=quotes[0].currency,
            total=sum(quote.total for quote in quotes),
            created_ms=self._clock_ms(),
            expires_ms=min(quote.expires_ms for quote in quotes),
            buyer=request.buyer,
            operator=request.operator,
            session=request.session,
            holds=request.baskets,
            lines=tuple(lines),
        )

    # Paying ----------------------------------------------------------------------

    def _begin(
        self, order: Order, method: str, id: str, given: int, reference: str
    ) -> Payment | PaymentRefusal:
        match PaymentMethod(method):
            case PaymentMethod.CASH:
                return pay_cash(id, order.id, order.total, order.currency, given)
            case PaymentMethod.CARD_TERMINAL:
                return pay_by_terminal(id, order.id, order.total, order.currency, reference)
            case PaymentMethod.TEST_CARD:
                return pay_by_test_card(id, order.id, order.total, order.currency)
            case PaymentMethod.STRIPE:
                attempt = len(order.payments) + 1
                return start_stripe(
                    id, order.id, attempt, order.total, order.currency, self._clock_ms()
                )

    async def _open_page(self, order: Order, payment: Payment) -> tuple[Order, str] | OrderRefused:
        assert self._stripe is not None and self._shop is not None
        page = f"{self._shop.public_url}/o/{order.id}"
        lines = []
        for performance in sorted({line.performance for line in order.lines}):
            amount = sum(line.amount for line in order.lines if line.performance == performance)
            if amount:
                lines.append(CheckoutLine(await self._shop.title(performance), amount))
        try:
            session = await self._stripe.create_checkout(
                payment,
                tuple(lines),
                started_s=payment.started_ms // 1_000,
                expires_s=order.expires_ms // 1_000,
                success_url=page,
                cancel_url=f"{page}?cancelled=1",
                language=order.buyer.language,
            )
        except PaymentRefused as error:
            return OrderRefused("payment_refused", detail=error.code)
        except PaymentUnavailable as error:
            raise NotReady("the payment provider does not answer") from error
        if not payment.reference:
            order = await self._put(order, with_session(payment, session.id))
        event = session.event()
        if event is not None:
            order = await self._settle(await self._learn(order, event))
        return order, session.url

    async def _learn(self, order: Order, event: ProviderEvent) -> Order:
        """The order, saved, after what the provider says of one of its payments."""
        for payment in order.payments:
            if payment.id == event.payment or (event.intent and payment.intent == event.intent):
                learned, _ = on_provider_event(payment, event)
                return await self._put(order, learned) if learned != payment else order
        log.warning("order %s has no payment %s", order.id, event.payment)
        return order

    # Settling: whatever the order owes, in the order of what must be durable first ---

    async def _settle(self, order: Order) -> Order:
        """Take every step that is due, saving before each; may be called again at any time."""
        for payment in order.payments:
            if not any(a.kind is ActionKind.CONFIRM_ORDER for a in due_actions(payment)):
                continue
            if order.state is OrderState.PENDING:
                order = await self._save(replace(order, state=OrderState.PAID))
            if order.state is not OrderState.PAID:
                # Another payment made this order, or it was given up: this one goes back.
                order = await self._put(order, close(payment))
        if order.state is OrderState.PAID:
            order = await self._sell(order)
        for payment in order.payments:
            if any(a.kind is ActionKind.RELEASE_ORDER for a in due_actions(payment)):
                order = await self._put(order, close(payment))
        order = await self._undo_lines(order)
        return await self._pay_back(order)

    async def _sell(self, order: Order) -> Order:
        """PAID -> CONFIRMED, or FAILED when a hold was lost; then nothing stays sold."""
        sold: dict[int, Sold] = {}
        for hold in order.holds:
            name = _command_id(order.id, "sell", hold.performance)
            outcome = await self._ask(
                hold.performance, Sell(name, bytes.fromhex(hold.token), order.id)
            )
            if isinstance(outcome, Sold):
                sold[hold.performance] = outcome
                continue
            log.warning("order %s: performance %d: %r", order.id, hold.performance, outcome)
            return await self._fail(order, sold)
        tickets = {performance: iter(each.tickets) for performance, each in sold.items()}
        lines: list[OrderLine] = []
        for line in order.lines:
            ticket = next(tickets[line.performance])
            assert (ticket.seat, ticket.area) == (line.seat, line.area)
            lines.append(
                replace(line, state=LineState.SOLD, ticket=ticket.number, version=ticket.version)
            )
        # The first money that covers the order makes it; any other goes back.
        payments = list(order.payments)
        for index, payment in enumerate(payments):
            if any(a.kind is ActionKind.CONFIRM_ORDER for a in due_actions(payment)):
                payments[index] = confirm(payment)
                break
        return await self._save(
            replace(
                order,
                state=OrderState.CONFIRMED,
                lines=tuple(lines),
                payments=tuple(payments),
            )
        )

    async def _fail(self, order: Order, sold: dict[int, Sold]) -> Order:
        for performance, outcome in sold.items():
            numbers = tuple(ticket.number for ticket in outcome.tickets)
            name = _command_id(order.id, "unsell", performance)
            undone = await self._ask(performance, Refund(name, order.id, numbers))
            if not isinstance(undone, Refunded):
                # Somebody was admitted meanwhile: the ticket stays used, the money goes back.
                log.error("order %s: cannot take back %r: %r", order.id, numbers, undone)
        return await self._save(
            replace(
                order,
                state=OrderState.FAILED,
                lines=tuple(replace(line, state=LineState.CANCELLED) for line in order.lines),
                payments=tuple(
                    close(p) if p.standing is Standing.WAITING else p for p in order.payments
                ),
            )
        )

    async def _give_up(self, order: Order, *, reopen: bool) -> Order:
        """PENDING -> CANCELLED, unless a payment page says that the money is in."""
        if order.state is not OrderState.PENDING:
            return await self._settle(order)
        for payment in order.payments:
            if payment.method is PaymentMethod.STRIPE and not (payment.captured or payment.expired):
                order = await self._close_page(order, payment)
        order = await self._settle(order)
        if order.state is not OrderState.PENDING:
            return order
        if reopen:
            await self._reopen(order.id, order.holds)
        order = await self._save(
            replace(
                order,
                state=OrderState.CANCELLED,
                lines=tuple(replace(line, state=LineState.CANCELLED) for line in order.lines),
                payments=tuple(
                    close(p) if p.standing is Standing.WAITING else p for p in order.payments
                ),
            )
        )
        return await self._settle(order)

    async def _close_page(self, order: Order, payment: Payment) -> Order:
        """End a payment page; what it says in ending is learnt, maybe that it was paid."""
        assert self._stripe is not None
        if not payment.reference:
            return order  # never opened, as far as this side knows: nobody was sent there
        try:
            session = await self._stripe.expire(payment.reference)
        except PaymentError as error:
            raise NotReady(f"the payment page of order {order.id} cannot be closed") from error
        event = session.event()
        return await self._learn(order, event) if event is not None else order

    # Giving back -----------------------------------------------------------------

    async def _undo_lines(self, order: Order) -> Order:
        """Carry out the refunds that were asked for: tickets first, then the money is due."""
        for refund in order.refunds:
            if refund.done:
                continue
            wanted = [line for line in order.lines if line.number in refund.lines]
            undone: set[int] = set()
            refused = ""
            for performance in sorted({line.performance for line in wanted}):
                lines = [line for line in wanted if line.performance == performance]
                name = _command_id(f"{order.id}/{refund.id}", "refund", performance)
                outcome = await self._ask(
                    performance, Refund(name, order.id, tuple(line.ticket for line in lines))
                )
                if isinstance(outcome, Refunded):
                    undone |= {line.number for line in lines}
                else:
                    assert isinstance(outcome, Refused)
                    refused = outcome.code
            order = self._with_refund_done(
                order, replace(refund, done=True, refused=refused), undone
            )
            order = await self._save(order)
        return order

    def _with_refund_done(self, order: Order, refund: OrderRefund, undone: set[int]) -> Order:
        lines = tuple(
            replace(line, state=LineState.REFUNDED) if line.number in undone else line
            for line in order.lines
        )
        due = sum(line.amount for line in order.lines if line.number in undone)
        payments: list[Payment] = []
        for payment in order.payments:
            part = min(due, payment.kept) if payment.standing is Standing.CONFIRMED else 0
            if part:
                begun = begin_refund(payment, refund.id, part)
                assert isinstance(begun, Payment)
                payment, due = begun, due - part
            payments.append(payment)
        state = order.state
        if all(line.state is not LineState.SOLD for line in lines):
            state = OrderState.REFUNDED
        return replace(
            order,
            state=state,
            lines=lines,
            payments=tuple(payments),
            refunds=tuple(refund if r.id == refund.id else r for r in order.refunds),
        )

    async def _pay_back(self, order: Order) -> Order:
        """Start the refunds that are owed, and bring those begun to the provider."""
        for payment in order.payments:
            for action in due_actions(payment):
                if action.kind is ActionKind.REFUND_LATE_PAYMENT:
                    begun = begin_refund(payment, "late", action.amount)
                    assert isinstance(begun, Payment)
                    payment = begun
                    order = await self._put(order, payment)
            for refund in payment.refunds:
                if refund.state is RefundState.REQUESTED:
                    order = await self._ask_refund(order, payment, refund.key, refund.amount)
        owed = any(p.kept or p.refund_pending for p in order.payments)
        if order.state is OrderState.CANCELLED and any(p.captured for p in order.payments):
            order = await self._save(replace(order, state=OrderState.FAILED))
        if order.state is OrderState.FAILED and not owed:
            order = await self._save(replace(order, state=OrderState.REFUNDED))
        return order

    async def _ask_refund(self, order: Order, payment: Payment, key: str, amount: int) -> Order:
        assert self._stripe is not None
        try:
            event = await self._stripe.refund(payment, key, amount)
        except PaymentRefused as error:
            log.error("order %s: refund of %d refused: %s", order.id, amount, error)
            return await self._put(order, fail_refund(payment, key))
        except PaymentUnavailable as error:
            log.warning("order %s: refund not asked yet: %r", order.id, error)
            return order  # still REQUESTED: the sweeper asks again
        return await self._learn(order, event)

    # Time ------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        await self._resume()
        while True:
            await asyncio.sleep(SWEEP_S)
            for order in list(self._open):
                try:
                    await self._sweep(order)
                except ActorFault as error:
                    log.warning("order %s waits: %r", order, error)
                except Exception:
                    log.exception("order %s cannot go on", order)

    async def _resume(self) -> None:
        while True:
            try:
                unfinished = await self._orders.unfinished()
                break
            except Exception as error:
                log.warning("unfinished orders cannot be read yet: %r", error)
                await asyncio.sleep(SWEEP_S)
        self._open.update(order.id for order in unfinished)

    async def _sweep(self, id: str) -> None:
        known = self._known.get(id)
        now = self._clock_ms()
        waits = known is not None and known.state is OrderState.PENDING
        if waits and known is not None and now < known.expires_ms:
            return
        async with self._lock(id):
            order = await self._load(id)
            if order is None:
                self._open.discard(id)
            elif order.state is OrderState.PENDING and now >= order.expires_ms:
                await self._give_up(order, reopen=False)
            else:
                await self._settle(order)

    # Keeping ---------------------------------------------------------------------

    async def _load(self, id: str) -> Order | None:
        order = self._known.get(id)
        if order is None:
            order = await self._orders.get(id)
            if order is not None:
                self._remember(order)
        return order

    async def _save(self, order: Order) -> Order:
        try:
            saved = await self._writer.save(order)
        except Exception:
            self._known.pop(order.id, None)  # what is stored decides, read it again
            self._open.add(order.id)
            raise
        self._remember(saved)
        return saved

    async def _put(self, order: Order, payment: Payment) -> Order:
        payments = tuple(payment if p.id == payment.id else p for p in order.payments)
        return await self._save(replace(order, payments=payments))

    def _remember(self, order: Order) -> None:
        self._known[order.id] = order
        self._known.move_to_end(order.id)
        if len(self._known) > MAX_CACHED_ORDERS:
            self._known.popitem(last=False)
        if order.finished:
            self._open.discard(order.id)
        else:
            self._open.add(order.id)

    @contextlib.asynccontextmanager
    async def _lock(self, id: str) -> AsyncIterator[None]:
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


class _Writer:
    """Saves many orders in one transaction: one is in flight, the next fills meanwhile."""

    def __init__(self, orders: OrdersPort) -> None:
        self._orders = orders
        self._waiting: list[tuple[Order, asyncio.Future[Order]]] = []
        self._flight: asyncio.Task[None] | None = None

    async def save(self, order: Order) -> Order:
        future: asyncio.Future[Order] = asyncio.get_running_loop().create_future()
        self._waiting.append((order, future))
        if self._flight is None:
            self._flight = asyncio.create_task(self._fly())
        return await future

    async def _fly(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                try:
                    saved = await self._orders.save([order for order, _ in batch])
                except Exception as error:
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), order in zip(batch, saved, strict=True):
                    if not future.done():
                        future.set_result(order)
        finally:
            self._flight = None


def _malformed(request: PlaceOrder) -> OrderRefused | None:
    def refuse(detail: str) -> OrderRefused:
        return OrderRefused("malformed", detail)

    if not _is_hex(request.id, ID_BYTES):
        return refuse("id: 32 hexadecimal digits")
    if not 1 <= len(request.baskets) <= MAX_BASKETS_PER_ORDER:
        return refuse(f"baskets: 1 to {MAX_BASKETS_PER_ORDER}")
    if len({hold.performance for hold in request.baskets}) != len(request.baskets):
        return refuse("baskets: one for each performance")
    for hold in request.baskets:
        if not _is_hex(hold.token, ID_BYTES):
            return refuse("token: 32 hexadecimal digits")
        if not hold.lines or any(not 1 <= line.quantity <= 1_000 for line in hold.lines):
            return refuse("lines: at least one, with a quantity of 1 to 1000")
    return None


def _is_hex(text: str, size_bytes: int) -> bool:
    return len(text) == 2 * size_bytes and all(c in string.hexdigits.lower() for c in text)


def _command_id(subject: str, step: str, performance: int) -> bytes:
    """A step's command id, the same in every life of the desk."""
    text = f"{subject}/{step}/{performance}".encode()
    return hashlib.blake2b(text, digest_size=ID_BYTES).digest()
