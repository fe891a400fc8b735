"""The order desk: takes every order from its basket to its tickets, or its money back.

Delivery guarantees:
- Every call may be repeated with the same arguments; it is done once. ActorFault: repeat it.
- What was begun is gone on with by the desk itself, also after it died: it reads the
  unfinished orders when it starts, and comes back to each until it is finished.
- One desk runs at a time; the store refuses what a second one bases on an older state.

Owns the calls, what they refuse, and the clock; those about orders that are sold are in
`after_sale`. The steps are in `saga`, the rules in `engine.ordering`, the memory in `order_keeper`.
Knows no seat rule, no SQL and no Ray.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from engine.actors import ActorFault, NotReady
from engine.actors.after_sale import AfterSale, exchange_of, new_code, refuse, session_of
from engine.actors.order_keeper import MAX_OPEN_ORDERS, OrderKeeper, OrdersPort
from engine.actors.performance import now_ms
from engine.actors.saga import Ask, Saga, Shop, subject_of
from engine.commands import Quoted, Refusal
from engine.credit import CreditRefused, read_code
from engine.gift_cards import gift_amounts, payable_by_credit
from engine.ordering import (
    KEY,
    MAX_PAYMENTS_PER_ORDER,
    advance,
    approved,
    deposit,
    draw_up,
    look_ms,
    malformed,
    never_sold,
    payment_of,
    reminded,
    reminder_ms,
    terms_from,
    to_be_paid_by,
    to_reserve,
    with_payment_begun,
)
from engine.orders import (
    GIVEN_UP,
    SOLD_STATES,
    DeskRefusal,
    Order,
    OrderRefused,
    OrderState,
    PlaceOrder,
    Terms,
)
from engine.payments import (
    DECLINED,
    TILL_METHODS,
    CardReader,
    Payment,
    PaymentMethod,
    PaymentRefusal,
    PaymentRefused,
    PaymentUnavailable,
    ProviderEvent,
    ProviderEventKind,
    ProviderMismatchError,
    Standing,
    WebhookRejected,
    methods,
    pay_by_credit,
    pay_by_reference,
    pay_by_test_card,
    pay_cash,
    start_stripe,
    start_terminal,
)
from engine.tills import NO_TILL, AtTill, TillSessionClosed

__all__ = ["Ask", "OrderDesk", "OrdersPort", "Shop"]

if TYPE_CHECKING:
    from engine.actors.payments import StripeGateway

log = logging.getLogger(__name__)

SWEEP_S: Final = 1.0
"""Pause between two looks at the agenda."""
AT_ONCE: Final = "buy"
"""The attempt of a payment that is made with its order."""
LOOK_AGAIN_MS: Final = 30_000
"""So often the desk looks for unfinished orders that are not in its agenda: a desk that died may
have had one on its way to the database."""
MAX_SWEEPS: Final = 64
"""Orders gone on with at once, so that one that waits for somebody does not hold up the others;
fewer than calls to the payment provider, so that buyers still come through."""


class OrderDesk(AfterSale):
    """See the module. Construct inside a running event loop; unfinished orders resume at once."""

    def __init__(
        self,
        orders: OrdersPort,
        ask: Ask,
        stripe: "StripeGateway | None" = None,
        shop: Shop | None = None,
        clock_ms: Callable[[], int] = now_ms,
    ) -> None:
        assert (stripe is None) == (shop is None)
        keeper = OrderKeeper(orders, clock_ms)
        super().__init__(keeper, Saga(keeper, ask, stripe, shop), clock_ms)
        self._stripe = stripe
        self._slots = asyncio.Semaphore(MAX_SWEEPS)
        self._sweeps: set[asyncio.Task[None]] = set()
        self._sweeper = asyncio.create_task(self._sweep_forever())

    async def close(self) -> None:
        """Stop; what is not finished is the next desk's."""
        tasks = {self._sweeper, *self._sweeps}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._keeper.close()

    # Orders ----------------------------------------------------------------------

    async def place(self, request: PlaceOrder) -> Order | OrderRefused:
        """Price and lock the holds, and keep the order until it is paid or expires.

        One that costs nothing is paid by that, and answered once its seats are sold. The id of
        a refused request stays free; that of an order is its for good.
        """
        if problem := malformed(request):
            return refuse(Refusal.MALFORMED, problem)
        async with self._keeper.lock(request.id):
            known = await self._keeper.load(request.id)
            if known is not None:
                same = _same_order(known, request)
                return await self._sell_free(known) if same else refuse(Refusal.ID_REUSED)
            if self._keeper.open_orders >= MAX_OPEN_ORDERS:
                return refuse(Refusal.BUSY)
            quotes = await self._saga.check_out(request, subject_of(request.id, request))
            if isinstance(quotes, OrderRefused):
                return quotes
            order = await self._keeper.save(self._draw_up(request, quotes))
            return await self._sell_free(order)

    def _draw_up(self, request: PlaceOrder, quotes: Sequence[Quoted]) -> Order:
        codes = [new_code() for _ in request.gift_cards]
        return draw_up(request, quotes, self._clock_ms(), codes)

    async def _sell_free(self, order: Order) -> Order | OrderRefused:
        """The order as it is answered to whoever places it: of total 0, sold."""
        if order.total:
            return order
        order = await self._saga.settle(order)
        return refuse(DeskRefusal.SEATS_LOST) if never_sold(order) else order

    async def buy(
        self, request: PlaceOrder, given: int, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Claim what is not held yet, price it and sell it for cash: `place` and `pay` in one.

        `given` is what was handed over, in minor units. Refused, nothing is bought; what was
        claimed stays held.
        """
        if problem := malformed(request):
            return refuse(Refusal.MALFORMED, problem)
        async with self._keeper.lock(request.id):
            order = await self._keeper.load(request.id)
            payment_id = f"{request.id}-{AT_ONCE}"
            if order is None:
                found = await self._buy(request, payment_id, given, at_till)
            elif _same_sale(order, request, payment_id, given):
                found = await self._saga.settle(order)
            else:
                return refuse(Refusal.ID_REUSED)
            if isinstance(found, OrderRefused):
                return found
            answer = _answer(found, payment_of(found, payment_id), "", by_hand=True)
            return answer if isinstance(answer, OrderRefused) else answer[0]

    async def _buy(
        self, request: PlaceOrder, payment: str, given: int, at_till: AtTill
    ) -> Order | OrderRefused:
        if self._keeper.open_orders >= MAX_OPEN_ORDERS:
            return refuse(Refusal.BUSY)
        subject = subject_of(request.id, request, given, at_till)
        quotes = await self._saga.check_out(request, subject, claiming=True)
        if isinstance(quotes, OrderRefused):
            return quotes
        order = self._draw_up(request, quotes)
        if not order.total:
            return await self._saga.settle(await self._keeper.save(order))
        cash = PaymentMethod.CASH.value
        order = replace(order, unbooked=True)
        begun = await self._begin(order, cash, payment, given, "", request.operator, 0, at_till)
        if isinstance(begun, OrderRefused):
            await self._saga.unlock(request, subject)
        return begun

    async def get(self, order: str) -> Order | None:
        return await self._keeper.load(order)

    async def cancel(
        self, order: str, exchange: str = "", at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Give up an unpaid order; its holds can change again until they expire.

        With `exchange`: that one of an order that is sold, while it is under way. Repeated or
        late it ends no other.
        """
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            under_way = "" if found.exchange is None else found.exchange.id
            if found.waits and exchange == under_way:
                till = session_of(found, at_till)
                if till is None:
                    return refuse(DeskRefusal.TILL_CLOSED)
                try:
                    found = await self._saga.give_up(found, OrderState.CANCELLED, till)
                except TillSessionClosed:
                    return refuse(DeskRefusal.TILL_CLOSED)
            else:
                if found.state in GIVEN_UP and found.terms is None:
                    await self._saga.reopen(found)  # the first time may not have come that far
                found = await self._saga.settle(found)
            known = exchange_of(found, exchange)
            if known is not None and known.refused == OrderState.CANCELLED:
                return found
            gone = found.state in GIVEN_UP or (found.terms is not None and never_sold(found))
            if gone and not exchange:
                return found
            return refuse(DeskRefusal.ORDER_CLOSED, found.state.value)

    # Reservations ----------------------------------------------------------------

    async def reserve(self, order: str, terms: Terms, operator: str) -> Order | OrderRefused:
        """Keep the seats of an order that waits for its money, beyond its holds.

        The terms begin now. Without `operator` somebody has to approve it.
        """
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(await self._give_up_in_time(found))
            if found.terms is not None and found.terms.kind is terms.kind:
                return found
            if found.state is not OrderState.OPEN:
                return refuse(DeskRefusal.ORDER_CLOSED, found.state.value)
            found = await self._saga.close_pages(found)
            if found.state is OrderState.OPEN:
                begins = terms_from(terms, self._clock_ms(), approved=bool(operator))
                found = await self._saga.keep(found, to_reserve(found, begins))
                found = await self._saga.settle(found)
            return refuse(DeskRefusal.SEATS_LOST) if never_sold(found) else found

    async def approve(self, order: str) -> Order | OrderRefused:
        """Say yes to an order on invoice or on site: its terms begin."""
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(found)
            if found.state is OrderState.AWAITING_APPROVAL:
                found = await self._saga.keep(found, approved(found, self._clock_ms()))
            if found.terms is None or not found.terms.approved or found.state in GIVEN_UP:
                return refuse(DeskRefusal.ORDER_CLOSED, found.state.value)
            return found

    # Payments --------------------------------------------------------------------

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
        """Take a payment. Answers the order, and the page where the buyer pays ("" for none).

        `amount` is what is paid, in minor units, 0 for all that is due, or, of a credit, for all
        that is on it. A part is taken by hand, and reserves the seats until the rest is paid, or
        from a credit: that goes back to it when the order is given up. `at_till` is where by hand
        it is.

        An attempt by Stripe that is repeated looks at its page, or at its reader (`reference` is
        which), and so learns of a payment whose webhook was lost.
        """
        if not KEY.fullmatch(attempt):
            return refuse(Refusal.MALFORMED, "attempt: 1 to 64 letters, digits and dashes")
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(await self._give_up_in_time(found))
            id = f"{found.id}-{attempt}"
            known = payment_of(found, id)
            if known is not None and not _same_attempt(known, method, given, reference, amount):
                return refuse(Refusal.ID_REUSED, "attempt: it was made with other terms")
            if known is None and found.waits:
                begun = await self._begin(
                    found, method, id, given, reference, operator, amount, at_till
                )
                if isinstance(begun, OrderRefused):
                    return begun
                found = begun
            return await self._paid(found, id, method)

    async def _begin(
        self,
        order: Order,
        method: str,
        id: str,
        given: int,
        reference: str,
        operator: str,
        amount: int,
        at_till: AtTill,
    ) -> Order | OrderRefused:
        """The order with a new payment saved; it may turn out to be paid by an earlier one."""
        at_reader = method == PaymentMethod.STRIPE_TERMINAL
        by_hand = method in TILL_METHODS
        at_counter = by_hand or at_reader
        # What is reserved or sold may be paid for at any till, wherever it was ordered.
        is_kept = order.terms is not None or order.exchange is not None
        to_till = is_kept and (by_hand or (at_reader and self._stripe is not None))
        if method not in methods(order.channel, self._stripe is not None) and not to_till:
            return refuse(DeskRefusal.METHOD_NOT_OFFERED, method)
        if at_counter and not operator:
            return refuse(DeskRefusal.OPERATOR_MISSING)
        till = at_till.session_for(order.currency) if at_counter else ""
        if till is None:
            return refuse(DeskRefusal.TILL_CLOSED)
        if order.state is OrderState.AWAITING_APPROVAL and not at_counter:
            return refuse(DeskRefusal.NOT_APPROVED)
        if amount > order.due:
            return refuse(DeskRefusal.MORE_THAN_DUE, str(order.due))
        by_credit = method == PaymentMethod.STORE_CREDIT
        # An exchange is over soon: money that a person took could not go back by itself.
        in_parts = by_credit or at_reader or (by_hand and order.exchange is None)
        if 0 < amount < order.due and not in_parts:
            return refuse(DeskRefusal.PART_NOT_OFFERED, method)
        if len(order.payments) >= MAX_PAYMENTS_PER_ORDER:
            return refuse(DeskRefusal.TOO_MANY_PAYMENTS)
        order = await self._saga.close_pages(order)
        if not order.waits:
            return order
        changed = to_be_paid_by(order, PaymentMethod(method), id)
        part = amount or changed.due
        if by_credit:
            on_it = await self._on_credit(reference, order)
            if isinstance(on_it, OrderRefused):
                return on_it
            most = payable_by_credit(changed)
            if changed.gift_worth and max(amount, 1) > most:
                return refuse(DeskRefusal.CREDIT_BUYS_NO_CREDIT, str(max(0, most)))
            part = amount or min(most, on_it)
            reference = read_code(reference)
            if part > on_it or not part:
                return refuse(DeskRefusal.CREDIT_TOO_SMALL, str(on_it))
        begun = self._payment(changed, PaymentMethod(method), id, part, given, reference)
        if isinstance(begun, PaymentRefusal):
            return refuse(begun)
        changed = advance(with_payment_begun(changed, replace(begun, till=till)))
        if changed.state is OrderState.OPEN and begun.captured and by_hand:
            changed = to_reserve(changed, deposit(self._clock_ms()))
        try:
            order = await self._saga.keep(order, replace(changed, till=till))
        except CreditRefused:  # spent elsewhere since it was looked at
            return refuse(DeskRefusal.CREDIT_TOO_SMALL)
        except TillSessionClosed:
            return refuse(DeskRefusal.TILL_CLOSED)
        return await self._saga.go_on(order)

    async def _on_credit(self, text: str, order: Order) -> int | OrderRefused:
        """What is on a credit, in minor units."""
        code = read_code(text)
        credit = await self._keeper.credit(code, order.seller) if code else None
        if credit is None or credit.currency != order.currency:
            return refuse(DeskRefusal.CREDIT_UNKNOWN)
        return credit.balance

    def _payment(
        self,
        order: Order,
        method: PaymentMethod,
        id: str,
        amount: int,
        given: int,
        reference: str,
    ) -> Payment | PaymentRefusal:
        match method:
            case PaymentMethod.CASH:
                return pay_cash(id, order.id, amount, order.currency, given)
            case PaymentMethod.TEST_CARD:
                return pay_by_test_card(id, order.id, amount, order.currency, reference)
            case PaymentMethod.STORE_CREDIT:
                return pay_by_credit(id, order.id, amount, order.currency, reference)
            case PaymentMethod.STRIPE:
                number, now_ms = len(order.payments) + 1, self._clock_ms()
                return start_stripe(id, order.id, number, amount, order.currency, now_ms)
            case PaymentMethod.STRIPE_TERMINAL:
                number, now_ms = len(order.payments) + 1, self._clock_ms()
                return start_terminal(
                    id, order.id, number, amount, order.currency, now_ms, reference.strip()
                )
            case _:
                return pay_by_reference(id, order.id, method, amount, order.currency, reference)

    async def _paid(self, order: Order, id: str, method: str) -> tuple[Order, str] | OrderRefused:
        """The answer to a payment, which may be the page where it is still to be made."""
        url = ""
        payment = payment_of(order, id)
        if payment is not None and order.waits and not payment.captured:
            if payment.standing is Standing.CLOSED:
                return _over(payment)
            if self._stripe is None:
                return refuse(DeskRefusal.METHOD_NOT_OFFERED, method)
            if payment.at_reader:
                order = await self._saga.ask_readers(order, self._clock_ms())
                return _answer(order, payment_of(order, id), "", by_hand=False)
            try:
                order, url = await self._saga.open_page(order, payment)
            except PaymentRefused as error:
                return refuse(DeskRefusal.PAYMENT_REFUSED, error.code)
            payment = payment_of(order, id)
        return _answer(order, payment, url, by_hand=method in TILL_METHODS)

    async def stop(self, order: str, attempt: str) -> Order | OrderRefused:
        """Wait no longer for the card of an attempt; it may turn out to be paid."""
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            payment = payment_of(found, f"{found.id}-{attempt}")
            if payment is not None and payment.at_reader:
                return await self._saga.stop(found, payment)
            return await self._saga.settle(found)

    async def readers(self) -> list[CardReader] | OrderRefused:
        """The card readers of the provider's account."""
        if self._stripe is None:
            return refuse(DeskRefusal.METHOD_NOT_OFFERED, PaymentMethod.STRIPE_TERMINAL)
        try:
            return await self._stripe.readers()
        except PaymentRefused as error:
            return refuse(DeskRefusal.PAYMENT_REFUSED, error.code)
        except PaymentUnavailable as error:
            raise NotReady("the payment provider does not answer") from error

    async def present(self, reader: str, number: str) -> OrderRefused | None:
        """Present a card to a simulated reader, "" for one that pays."""
        if self._stripe is None:
            return refuse(DeskRefusal.METHOD_NOT_OFFERED, PaymentMethod.STRIPE_TERMINAL)
        try:
            await self._stripe.present(reader, number)
        except PaymentRefused as error:
            return refuse(DeskRefusal.PAYMENT_REFUSED, error.code)
        except PaymentUnavailable as error:
            raise NotReady("the payment provider does not answer") from error
        return None

    async def webhook(self, payload: bytes, signature: str) -> None:
        """A provider's event as received. Raises WebhookRejected.

        Once this returns, what the event says is saved.
        """
        if self._stripe is None:
            raise WebhookRejected("no payment provider is configured")
        event = self._stripe.parse_webhook(payload, signature, self._clock_ms() // 1_000)
        if event is None:
            return
        await self._keeper.note_provider_event("stripe", event.id, payload)
        order = event.payment.partition("-")[0]
        if not order and event.intent:
            order = await self._keeper.by_intent(event.intent)
        if not order:
            log.info("provider event %s names no payment of ours", event.id)
            return
        async with self._keeper.lock(order):
            await self._hear(order, event)

    async def _hear(self, id: str, event: ProviderEvent) -> None:
        order = await self._keeper.load(id)
        if order is None:
            log.warning("provider event %s names an unknown order", event.id)
            return
        try:
            order = await self._saga.learn(order, event)
        except ProviderMismatchError:
            # Sent again it would be as wrong: a person has to look at it.
            log.error(
                "order %d: provider event %s contradicts what is known: session %r, intent %r",
                *(order.number, event.id, event.session, event.intent),
            )
            return
        try:
            order = await self._saga.settle(order)
            if event.kind is ProviderEventKind.PROCESSING:
                await self._saga.ask_readers(order, self._clock_ms())
        except ActorFault as error:
            log.warning("order %d waits: %r", order.number, error)

    # Time ------------------------------------------------------------------------

    async def _sweep_forever(self) -> None:
        while True:
            try:
                await self._keeper.resume()
                break
            except ActorFault as error:
                log.warning("%s: %r", error, error.__cause__)
                await asyncio.sleep(SWEEP_S)
        again_ms = self._clock_ms() + LOOK_AGAIN_MS
        while True:
            if self._clock_ms() >= again_ms:
                again_ms = self._clock_ms() + LOOK_AGAIN_MS
                await self._look_again()
            for order in self._keeper.take_due():
                await self._slots.acquire()
                sweep = asyncio.create_task(self._sweep(order))
                self._sweeps.add(sweep)
                sweep.add_done_callback(self._swept)
            await asyncio.sleep(SWEEP_S)

    async def _look_again(self) -> None:
        try:
            await self._keeper.look_again()
        except ActorFault as error:
            log.warning("%s: %r", error, error.__cause__)

    def _swept(self, sweep: asyncio.Task[None]) -> None:
        self._sweeps.discard(sweep)
        self._slots.release()

    async def _sweep(self, id: str) -> None:
        """Go on with an order that is due, unless somebody is at it: then it comes up again."""
        if self._keeper.is_locked(id):
            return
        try:
            async with self._keeper.lock(id):
                order = await self._keeper.load(id)
                if order is None:
                    return
                order = await self._give_up_in_time(order)
                if self._clock_ms() >= reminder_ms(order):
                    order = await self._saga.keep(order, reminded(order))
                order = await self._saga.settle(order)
                if self._clock_ms() >= look_ms(order):
                    await self._saga.ask_readers(order, self._clock_ms())
        except ActorFault as error:
            log.warning("order %s... waits: %r", id[:8], error)
        except Exception:
            log.exception("order %s... cannot go on", id[:8])


def _same_order(known: Order, request: PlaceOrder) -> bool:
    same = known.holds == request.baskets and known.channel == request.channel
    return same and gift_amounts(known) == request.gift_cards


def _same_sale(order: Order, request: PlaceOrder, payment_id: str, given: int) -> bool:
    same = _same_order(order, request)
    payment = payment_of(order, payment_id)
    return same and (not order.total if payment is None else payment.given == given)


def _same_attempt(payment: Payment, method: str, given: int, reference: str, amount: int) -> bool:
    match payment.method:
        case PaymentMethod.CASH:
            terms = payment.given == given
        case (
            PaymentMethod.CARD_TERMINAL
            | PaymentMethod.CHEQUE
            | PaymentMethod.BANK_TRANSFER
            | PaymentMethod.STRIPE_TERMINAL
        ):
            terms = payment.reference == reference.strip()
        case PaymentMethod.STORE_CREDIT:
            terms = payment.reference == read_code(reference)
        case PaymentMethod.TEST_CARD:
            terms = payment.failed == (reference == DECLINED)
        case _:
            terms = True
    return terms and payment.method == method and amount in (0, payment.amount)


def _over(payment: Payment) -> OrderRefused:
    """The answer to an attempt that brought nothing."""
    if payment.why:
        return refuse(DeskRefusal.PAYMENT_REFUSED, payment.why)
    return refuse(DeskRefusal.ATTEMPT_OVER)


def _answer(
    order: Order, payment: Payment | None, url: str, by_hand: bool
) -> tuple[Order, str] | OrderRefused:
    """What a payment came to. `payment` is None where this attempt made none."""
    if payment is None:
        if never_sold(order) and not order.total:
            return refuse(DeskRefusal.SEATS_LOST)
        if order.state not in SOLD_STATES or (by_hand and order.total):
            # A person at the till must not take money for what is paid already.
            return refuse(DeskRefusal.ORDER_CLOSED, order.state.value)
        return order, ""
    lost_exchange = bool(order.exchanges) and bool(order.exchanges[-1].refused)
    if payment.standing is Standing.CLOSED and payment.captured and lost_exchange:
        return refuse(DeskRefusal.GIVE_MONEY_BACK if by_hand else DeskRefusal.SEATS_LOST)
    if payment.standing is Standing.CONFIRMED or order.state in SOLD_STATES:
        return order, ""
    if order.waits:
        return _over(payment) if payment.standing is Standing.CLOSED else (order, url)
    if never_sold(order) and payment.captured:
        return refuse(DeskRefusal.GIVE_MONEY_BACK if by_hand else DeskRefusal.SEATS_LOST)
    return refuse(DeskRefusal.ORDER_CLOSED, order.state.value)
