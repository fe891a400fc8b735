"""The steps of an order: what the desk asks performances and the payment provider to do.

Delivery guarantees:
- The step that comes next is saved before it is taken, and every step may be taken again:
  commands carry ids made of the order, payments and refunds carry keys. `settle` may be
  called at any time, by the next desk too, and goes on from what was saved.
- Money and seats never part for good: a paid order whose seats were lost is paid back, and so
  is a payment that comes too late, a second one, and one of another sum.

Call every method with the order's lock held. NotReady: somebody did not answer; what was saved
stands, and the rest is taken up again by `settle`.

Owns the order of the steps. What each makes of an order is in `engine.ordering`. The log names
orders by number: the id opens the order's page.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import msgspec
from msgspec import Struct, structs

from engine.actors import ActorFault, NotReady
from engine.actors.order_keeper import OrderKeeper
from engine.commands import (
    ID_BYTES,
    Checkout,
    Command,
    Held,
    Hold,
    HoldEqual,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Refusal,
    Refused,
    Reissue,
    Release,
    Reopen,
    Reprice,
    Repriced,
    Scan,
    ScanMode,
    Scanned,
    Sell,
    SetTickets,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
)
from engine.holding import HOLD_UNKNOWN
from engine.order_changes import exchanged, not_exchanged, reissued, undone
from engine.ordering import (
    activated,
    advance,
    asked_back,
    at_rest,
    buyer_key,
    costs,
    fits,
    freed,
    given_up,
    has_page,
    hold_now,
    lost,
    over_ms,
    page_amounts,
    payment_of,
    reserved,
    reserved_lines,
    sold,
    told_of,
    with_equal,
    with_payment,
)
from engine.orders import (
    SOLD_STATES,
    DeskRefusal,
    ExchangeRequest,
    Order,
    OrderExchange,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderRefused,
    OrderReissue,
    OrderState,
    PlaceOrder,
)
from engine.payments import (
    READER_WAIT_MS,
    TIMED_OUT,
    Action,
    ActionKind,
    CheckoutLine,
    CheckoutSession,
    Payment,
    PaymentMethod,
    PaymentRefused,
    PaymentUnavailable,
    ProviderEvent,
    ProviderEventKind,
    Standing,
    close,
    fail_refund,
    on_provider_event,
    with_intent,
    with_session,
)
from engine.payments import Refund as MoneyBack

if TYPE_CHECKING:
    # Stripe's package and what it speaks through take a fifth of a second to import, in every
    # process that knows orders; only an order desk with a key needs them.
    from engine.actors.payments import StripeGateway

log = logging.getLogger(__name__)

Ask = Callable[[int, Command], Awaitable[Outcome]]
"""Sends a command to a performance until it is answered; raises ActorFault when it gives up."""


class Shop(Struct, frozen=True):
    """What a payment page needs beside the order: where to come back to, and what is bought."""

    public_url: str
    title: Callable[[int], Awaitable[str]]
    """The words for a performance on the page; GIFT_CARDS for those."""


class Saga:
    """See the module."""

    def __init__(
        self,
        keeper: OrderKeeper,
        ask: Ask,
        stripe: "StripeGateway | None",
        shop: Shop | None,
    ) -> None:
        self._keeper = keeper
        self._ask_performance = ask
        self._stripe = stripe
        self._shop = shop

    # Checkout --------------------------------------------------------------------

    async def check_out(
        self, request: PlaceOrder, subject: str, *, claiming: bool = False
    ) -> list[Quoted] | OrderRefused:
        """Price and lock every hold of a request, or none of them.

        The ids are made of `subject`, see `subject_of`. When `claiming`, what is not held yet is
        claimed first; it stays held when the answer is a refusal.
        """
        quotes: list[Quoted] = []
        refusal: OrderRefused | None = None
        for hold in request.baskets:
            outcome = await self._check_out(request, hold, subject, claiming)
            if isinstance(outcome, Refused):
                refusal = OrderRefused(
                    outcome.code.value, outcome.detail, hold.performance, outcome.seats
                )
                break
            assert isinstance(outcome, Quoted), outcome
            quotes.append(outcome)
        if refusal is None and len({quote.currency for quote in quotes}) > 1:
            refusal = OrderRefused(DeskRefusal.MIXED_CURRENCIES.value)
        if refusal is None:
            return quotes
        # All of them: an earlier request under this id may have locked more than this one.
        await self.unlock(request, subject)
        return refusal

    async def check_out_exchange(
        self, order: Order, wanted: ExchangeRequest, now_ms: int
    ) -> Quoted | OrderRefused:
        """Price and lock what places of an order are to be exchanged for.

        The same places at another price are quoted at `now_ms`; nothing is locked for them.
        """
        hold, subject = wanted.hold, subject_of(order.id, wanted)
        leaving = [line for line in order.lines if line.number in wanted.lines]
        tickets = tuple(one.ticket for one in leaving if one.performance == hold.performance)
        if wanted.same_places:
            name = step_id(subject, "quote", hold.performance)
            kinds = tuple(
                (number, line.price_type) for number, line in zip(tickets, hold.lines, strict=True)
            )
            ask: Command = Reprice(name, order.id, wanted.channel, kinds, now_ms)
        else:
            name, token = step_id(subject, "checkout", hold.performance), bytes.fromhex(hold.token)
            ask = Checkout(name, token, order.id, buyer_key(order), hold.lines, tickets)
        outcome = await self._ask(hold.performance, ask)
        if isinstance(outcome, Refused):
            return OrderRefused(outcome.code.value, outcome.detail, hold.performance, outcome.seats)
        assert isinstance(outcome, Quoted), outcome
        if outcome.currency != order.currency:
            await self._reopen(subject, order.id, (hold,))
            return OrderRefused(DeskRefusal.MIXED_CURRENCIES.value)
        return outcome

    async def _check_out(
        self, request: PlaceOrder, hold: OrderHold, subject: str, claiming: bool
    ) -> Outcome:
        performance, token = hold.performance, bytes.fromhex(hold.token)

        def pricing(step: str) -> Checkout:
            name = step_id(subject, step, performance)
            buyer = buyer_key(request)
            return Checkout(name, token, request.id, buyer, hold.lines, channel=request.channel)

        if not claiming:
            return await self._ask(performance, pricing("checkout"))
        name = step_id(subject, "claim", performance)
        holder = request.session or f"operator:{request.operator}"
        seats, areas = _wanted(hold)
        # One after the other in one batch: the second is refused by itself where the first was.
        claim = Hold(name, token, holder, request.channel, seats, areas)
        ask = self._ask_performance
        both = ask(performance, claim), ask(performance, pricing("checkout"))
        held, outcome = [_decided(performance, one) for one in await asyncio.gather(*both)]
        not_held = (Refusal.HOLD_UNKNOWN, Refusal.NOT_IN_HOLD)
        if isinstance(outcome, Refused) and outcome.code in not_held:
            # A claim that was not decided the first time leaves a refusal that is remembered.
            if isinstance(held, Refused):
                return held
            return await self._ask(performance, pricing("checkout once claimed"))
        return outcome

    async def unlock(self, request: PlaceOrder, subject: str) -> None:
        """Let the holds of a request that came to no order change again."""
        await self._reopen(subject, request.id, request.baskets)

    async def reopen(self, order: Order) -> None:
        """Let the holds of an order that was given up change again."""
        await self._reopen(order.id, order.id, order.holds)

    async def _reopen(self, subject: str, order: str, holds: Sequence[OrderHold]) -> None:
        for hold in holds:
            if not hold.token:  # nothing was locked
                continue
            name = step_id(subject, "reopen", hold.performance)
            # Refused when the hold has ended, or was never locked: then there is nothing to do.
            await self._ask(hold.performance, Reopen(name, bytes.fromhex(hold.token), order))

    # Settling --------------------------------------------------------------------

    async def settle(self, order: Order) -> Order:
        """Take every step that is due."""
        return await self.go_on(await self.keep(order, advance(order)))

    async def go_on(self, order: Order) -> Order:
        """Take every step that is due of an order that was just kept."""
        if order.state is OrderState.SELLING:
            order = await self._sell(order)
            if order.state is OrderState.SELLING:  # the money was there when it was reserved
                order = await self._sell(order)
        if order.has_reserved and not order.waits:
            order = await self._free(order)
        if order.exchange is not None and order.exchange.covered:
            carry_out = self._reprice if order.exchange.same_places else self._swap
            order = await carry_out(order, order.exchange)
        for refund in order.refunds:
            if not refund.done:
                order = await self._undo(order, refund)
        for reissue in order.reissues:
            if not reissue.done:
                order = await self._renew(order, reissue)
        for payment, back in asked_back(order):
            order = await self._give_back(order, payment.id, back)
        return order

    async def keep(self, order: Order, changed: Order) -> Order:
        """Save what an order has become, and all that follows from it."""
        while changed != order:
            order = await self._keeper.save(at_rest(changed))
            changed = advance(order)
        return order

    async def _sell(self, order: Order) -> Order:
        """Every hold becomes tickets, or the order fails and nothing stays sold."""
        if order.has_reserved:
            return await self._activate(order)
        paid = order.terms is None
        tickets: dict[int, tuple[Ticket, ...]] = {}
        for placed in order.holds:
            hold = hold_now(order, placed)
            subject = order.id if hold is placed else f"{order.id}/equal"
            name = step_id(subject, "sell", hold.performance)
            lines = [line for line in order.lines if line.performance == hold.performance]
            outcome = await self._ask(
                hold.performance, Sell(name, bytes.fromhex(hold.token), order.id, paid)
            )
            if outcome == HOLD_UNKNOWN:
                outcome = await self._sell_again(order, subject, hold, lines, paid)
                if isinstance(outcome, Refused) and order.equal_places and hold is placed:
                    equal = await self._find_equal(order, hold, lines)
                    if equal is not None:
                        # Saved before it is sold: whoever goes on sells these and no others.
                        return await self._sell(await self.keep(order, equal))
            if isinstance(outcome, Sold):
                tickets[hold.performance] = outcome.tickets
                if fits(lines, outcome.tickets):
                    continue
            why = outcome if isinstance(outcome, Refused) else "other tickets than ordered"
            log.warning("order %d: performance %d: %r", order.number, hold.performance, why)
            return await self._fail(order, tickets)
        made = sold(order, tickets) if paid else reserved(order, tickets)
        return await self.keep(order, advance(made))

    async def _sell_again(
        self, order: Order, subject: str, hold: OrderHold, lines: Sequence[OrderLine], paid: bool
    ) -> Outcome:
        """Sell places whose hold was lost, where they are still free and cost the same."""
        performance = hold.performance
        token = step_id(subject, "late", performance)
        seats, areas = _places(lines)
        holder = order.session or order.operator or order.id
        name = step_id(subject, "hold again", performance)
        outcome = await self._ask(
            performance, Hold(name, token, holder, order.channel, seats, areas)
        )
        if isinstance(outcome, Held):
            name = step_id(subject, "check out again", performance)
            outcome = await self._ask(
                performance, Checkout(name, token, order.id, buyer_key(order), hold.lines)
            )
        if isinstance(outcome, Quoted) and costs(lines, hold, outcome):
            name = step_id(subject, "sell again", performance)
            outcome = await self._ask(performance, Sell(name, token, order.id, paid))
        if isinstance(outcome, Sold):
            log.info("order %d: its hold in %d was lost, not its places", order.number, performance)
        else:
            await self._let_go(order, subject, performance, token)
        return outcome

    async def _find_equal(
        self, order: Order, hold: OrderHold, lines: Sequence[OrderLine]
    ) -> Order | None:
        """The order with places as good as those of a hold that was lost, held and priced."""
        performance, subject = hold.performance, f"{order.id}/equal"
        token = step_id(subject, "late", performance)
        seats, areas = _places(lines)
        holder = order.session or order.operator or order.id
        who = token, holder, order.channel
        name = step_id(subject, "hold", performance)
        outcome = await self._ask(performance, HoldEqual(name, *who, seats))
        if not isinstance(outcome, Held):
            return None
        equal = with_equal(order, hold, token.hex(), outcome.seats)
        if areas:
            name = step_id(subject, "hold places", performance)
            outcome = await self._ask(performance, Hold(name, *who, (), areas))
        if isinstance(outcome, Held):
            name = step_id(subject, "check out", performance)
            places = hold_now(equal, hold).lines
            outcome = await self._ask(
                performance, Checkout(name, token, order.id, buyer_key(order), places)
            )
        if isinstance(outcome, Quoted) and costs(lines, hold, outcome):
            log.info("order %d: it takes equal places in %d", order.number, performance)
            return equal
        await self._let_go(order, subject, performance, token)
        return None

    async def _let_go(self, order: Order, subject: str, performance: int, token: bytes) -> None:
        """Free what was held again in vain; where nothing is held, nothing is done."""
        name = step_id(subject, "reopen again", performance)
        await self._ask(performance, Reopen(name, token, order.id))
        await self._ask(performance, Release(step_id(subject, "let go", performance), token))

    async def _activate(self, order: Order) -> Order:
        """The tickets that were reserved admit from now on."""
        for performance, lines in _by_performance(order, reserved_lines(order)).items():
            name = step_id(order.id, "activate", performance)
            numbers = tuple(line.ticket for line in lines)
            outcome = await self._ask(
                performance, SetTickets(name, numbers, TicketState.VALID, "paid")
            )
            assert isinstance(outcome, TicketsSet), f"order {order.number}: {outcome}"
        return await self.keep(order, advance(activated(order)))

    async def _free(self, order: Order) -> Order:
        """End the tickets that were reserved for an order which came to nothing."""
        for performance, lines in _by_performance(order, reserved_lines(order)).items():
            name = step_id(order.id, "free", performance)
            numbers = tuple(line.ticket for line in lines)
            outcome = await self._ask(performance, Refund(name, order.id, numbers))
            if not isinstance(outcome, Refunded):
                log.error("order %d: tickets %r stay: %r", order.number, numbers, outcome)
        return await self.keep(order, freed(order))

    async def _fail(self, order: Order, tickets: dict[int, tuple[Ticket, ...]]) -> Order:
        for performance, each in tickets.items():
            name = step_id(order.id, "unsell", performance)
            numbers = tuple(ticket.number for ticket in each)
            outcome = await self._ask(performance, Refund(name, order.id, numbers))
            if not isinstance(outcome, Refunded):
                log.error("order %d: tickets %r stay sold: %r", order.number, numbers, outcome)
        order = await self.keep(order, lost(order))
        with contextlib.suppress(ActorFault):  # holds end by themselves in a while
            await self.reopen(order)
            for hold in order.equal:  # of these the buyer knows nothing
                token = bytes.fromhex(hold.token)
                await self._let_go(order, f"{order.id}/equal", hold.performance, token)
        return order

    async def _swap(self, order: Order, exchange: OrderExchange) -> Order:
        """Carry out an exchange: what comes is reserved, what goes ends, what came is good.

        Until the old tickets end the new ones admit nobody, and where one of the old was used
        meanwhile the new ones end: the buyer has always one of the two, and never both.
        """
        subject, hold = f"{order.id}/{exchange.id}", exchange.hold
        name = step_id(subject, "sell", hold.performance)
        lines = [line for line in order.lines if line.number in exchange.coming]
        coming = await self._ask(
            hold.performance, Sell(name, bytes.fromhex(hold.token), order.id, paid=False)
        )
        if coming == HOLD_UNKNOWN:
            coming = await self._sell_again(order, subject, hold, lines, paid=False)
        if not isinstance(coming, Sold):
            # Held and priced again, it costs another sum.
            lost = DeskRefusal.SEATS_LOST if isinstance(coming, Quoted) else None
            assert lost or isinstance(coming, Refused), coming
            return await self.drop_exchange(order, (lost or coming.code).value)
        numbers = tuple(ticket.number for ticket in coming.tickets)
        why = "" if fits(lines, coming.tickets) else DeskRefusal.SEATS_LOST.value
        if not why:
            [(performance, going)] = _by_performance(order, exchange.leaving).items()
            name = step_id(subject, "refund", performance)
            gone = await self._ask(
                performance, Refund(name, order.id, tuple(line.ticket for line in going))
            )
            why = gone.code.value if isinstance(gone, Refused) else ""
        if why:
            name = step_id(subject, "free", hold.performance)
            freed = await self._ask(hold.performance, Refund(name, order.id, numbers))
            assert isinstance(freed, Refunded), f"order {order.number}: {freed}"
            return await self.drop_exchange(order, why)
        name = step_id(subject, "activate", hold.performance)
        outcome = await self._ask(
            hold.performance, SetTickets(name, numbers, TicketState.VALID, "exchanged")
        )
        assert isinstance(outcome, TicketsSet), f"order {order.number}: {outcome}"
        return await self.keep(order, exchanged(order, coming.tickets))

    async def _reprice(self, order: Order, exchange: OrderExchange) -> Order:
        """Carry out an exchange that is of the price alone: one command, which is done or not."""
        performance = exchange.hold.performance
        tickets = [line.ticket for line in order.lines if line.number in exchange.leaving]
        coming = [line for line in order.lines if line.number in exchange.coming]
        kinds = [line.price_type for line in coming]
        outcome = await self._ask(
            performance,
            Reprice(
                step_id(f"{order.id}/{exchange.id}", "reprice", performance),
                order.id,
                exchange.channel,
                tuple(zip(tickets, kinds, strict=True)),
                exchange.at_ms,
                tuple(line.amount for line in coming),
            ),
        )
        if isinstance(outcome, Refused):
            return await self.drop_exchange(order, outcome.code.value)
        assert isinstance(outcome, Repriced), f"order {order.number}: {outcome}"
        return await self.keep(order, exchanged(order, outcome.tickets))

    async def drop_exchange(self, order: Order, why: str) -> Order:
        """The exchange that is under way comes to nothing; the order stays what it was."""
        assert order.exchange is not None
        exchange = order.exchange
        order = await self.keep(order, not_exchanged(order, why))
        with contextlib.suppress(ActorFault):  # holds end by themselves in a while
            await self._reopen(f"{order.id}/{exchange.id}", order.id, (exchange.hold,))
        return order

    async def _undo(self, order: Order, refund: OrderRefund) -> Order:
        """Carry out a refund that was asked for: the tickets end, and their money is due."""
        ended: list[int] = []
        refused = ""
        for performance, lines in _by_performance(order, refund.lines).items():
            name = step_id(f"{order.id}/{refund.id}", "refund", performance)
            numbers = tuple(line.ticket for line in lines)
            outcome = await self._ask(performance, Refund(name, order.id, numbers))
            if isinstance(outcome, Refused):
                log.warning("order %d: refund %s: %r", order.number, refund.id, outcome)
                refused = outcome.code.value
            else:
                ended += [line.number for line in lines]
        return await self.keep(order, undone(order, refund, ended, refused))

    async def _renew(self, order: Order, reissue: OrderReissue) -> Order:
        """Carry out a reissue that was asked for."""
        versions: dict[int, int] = {}
        refused = ""
        for performance, lines in _by_performance(order, reissue.lines).items():
            name = step_id(f"{order.id}/{reissue.id}", "reissue", performance)
            numbers = tuple(line.ticket for line in lines)
            outcome = await self._ask(performance, Reissue(name, order.id, numbers))
            if isinstance(outcome, TicketsSet):
                new = dict(outcome.tickets)
                versions |= {line.number: new[line.ticket] for line in lines}
            else:
                assert isinstance(outcome, Refused), outcome
                refused = outcome.code.value
        return await self.keep(order, reissued(order, reissue, versions, refused))

    async def find_used(self, order: Order, lines: Sequence[int]) -> OrderRefused | None:
        """The refusal of a refund where one of its tickets was used, which it names.

        What one performance ends cannot be brought back when the next refuses, so they are
        looked at before.
        """
        wanted = [line for line in order.lines if line.number in lines]
        looks = (self._ask(line.performance, _look_up(order, line)) for line in wanted)
        for line, seen in zip(wanted, await asyncio.gather(*looks), strict=True):
            if isinstance(seen, Scanned) and seen.used_at_ms:
                seats = (line.seat,) if line.seat >= 0 else ()
                detail = str(line.ticket)
                return OrderRefused(Refusal.TICKET_USED.value, detail, line.performance, seats)
        return None

    # The payment provider --------------------------------------------------------

    async def learn(self, order: Order, event: ProviderEvent) -> Order:
        """Save what the provider says of one of the order's payments.

        Raises:
            ProviderMismatchError: it contradicts what is known.
        """
        payment = told_of(order, event)
        if payment is None:
            log.warning("order %d has no payment for provider event %s", order.number, event.id)
            return order
        learned, actions = on_provider_event(payment, event)
        _report(order, payment, event, actions)
        return await self.keep(order, advance(with_payment(order, learned)))

    async def open_page(self, order: Order, payment: Payment) -> tuple[Order, str]:
        """The page of a payment that was saved, as it is now; its address is "" once it ended.

        Raises:
            PaymentRefused: the provider refuses this payment.
        """
        assert self._stripe is not None
        try:
            if payment.reference:
                session = await self._stripe.retrieve(payment.reference)
            else:
                session = await self._create_page(order, payment)
        except PaymentUnavailable as error:
            raise NotReady("the payment provider does not answer") from error
        # Saved before anybody is sent there: a page that nobody here knows cannot be closed.
        order = await self.keep(order, with_payment(order, with_session(payment, session.id)))
        event = session.event()
        if event is not None:
            order = await self.settle(await self.learn(order, event))
        return order, session.url

    async def _create_page(self, order: Order, payment: Payment) -> CheckoutSession:
        """Asked again after a lost answer, this must be asked with the same words."""
        assert self._stripe is not None and self._shop is not None
        page = f"{self._shop.public_url}/o/{order.id}"
        lines = [
            CheckoutLine(await self._title(performance), amount)
            for performance, amount in page_amounts(order, payment)
        ]
        return await self._stripe.create_checkout(
            payment,
            tuple(lines),
            started_s=payment.started_ms // 1_000,
            # Of a reservation: as long as a page may live.
            expires_s=over_ms(order) // 1_000,
            success_url=page,
            # Back among the seats, which are still held.
            cancel_url=page
            if order.exchange is not None
            else f"{self._shop.public_url}/p/{order.seller}#checkout",
            language=order.buyer.language,
        )

    async def _title(self, performance: int) -> str:
        assert self._shop is not None
        try:
            return await self._shop.title(performance)
        except Exception as error:
            raise NotReady(f"the title of performance {performance} cannot be read") from error

    async def ask_readers(self, order: Order, now_ms: int) -> Order:
        """Have readers ask for the cards that a waiting order waits for, or see what came of it.

        One that nobody came to in READER_WAIT_MS is stopped.
        """
        for payment in order.payments:
            if payment.at_reader and order.waits:
                order = await self._ask_reader(order, payment, now_ms)
        return order

    async def _ask_reader(self, order: Order, payment: Payment, now_ms: int) -> Order:
        try:
            if self._stripe is None:
                raise PaymentUnavailable("no payment provider is configured")
            if not payment.intent:
                try:
                    payment = with_intent(payment, await self._stripe.create_intent(payment))
                except PaymentRefused as error:
                    failed = structs.replace(payment, failed=True, why=error.code)
                    return await self.settle(await self.keep(order, with_payment(order, failed)))
                # Saved before the reader is asked: what nobody here knows cannot be stopped.
                order = await self.keep(order, with_payment(order, payment))
            if now_ms >= payment.started_ms + READER_WAIT_MS:
                event = await self._stripe.stop(payment, TIMED_OUT)
            else:
                event = await self._stripe.collect(payment)
        except PaymentRefused as error:
            log.error("order %d: its reader waits on: %s", order.number, error)
            return order
        except PaymentUnavailable as error:
            raise NotReady("the payment provider does not answer") from error
        return await self.settle(await self.learn(order, event))

    async def stop(self, order: Order, payment: Payment) -> Order:
        """Wait no longer for a payment at a reader, unless it turns out to be made."""
        order = await self._close_page(order, payment)
        left = payment_of(order, payment.id)
        if left is not None and left.at_reader:
            order = await self.keep(order, with_payment(order, close(left)))
        return await self.settle(order)

    async def close_pages(self, order: Order) -> Order:
        """End every page where somebody may still pay; what it says in ending is settled."""
        for payment in order.payments:
            if has_page(payment) or payment.at_reader:
                order = await self._close_page(order, payment)
        return await self.settle(order) if order.payments else order

    async def _close_page(self, order: Order, payment: Payment) -> Order:
        if not has_page(payment):  # its reader was never asked
            return await self.keep(order, with_payment(order, close(payment)))
        try:
            if self._stripe is None:
                raise PaymentRefused("not_configured", "no payment provider is configured")
            if payment.method is PaymentMethod.STRIPE_TERMINAL:
                event: ProviderEvent | None = await self._stripe.stop(payment)
            else:
                event = (await self._stripe.expire(payment.reference)).event()
        except PaymentRefused as error:
            # The order does not wait for it; whatever it may still bring goes back.
            log.error("order %d: page %s stays open: %s", order.number, payment.reference, error)
            return order
        except PaymentUnavailable as error:
            raise NotReady(f"the payment page of order {order.number} cannot be closed") from error
        return await self.learn(order, event) if event is not None else order

    async def _give_back(self, order: Order, payment_id: str, refund: MoneyBack) -> Order:
        """Ask the provider for a refund that was saved."""
        payment = payment_of(order, payment_id)
        assert payment is not None
        try:
            if self._stripe is None:
                raise PaymentUnavailable("no payment provider is configured")
            event = await self._stripe.refund(payment, refund.key, refund.amount)
        except PaymentRefused as error:
            log.error(
                "order %d: refund %s of %d is refused, pay it back by hand: %s",
                *(order.number, refund.key, refund.amount, error),
            )
            failed = with_payment(order, fail_refund(payment, refund.key))
            return await self.keep(order, advance(failed))
        except PaymentUnavailable as error:
            # It stays REQUESTED, and is asked for again when the order comes up.
            log.warning("order %d: refund %s waits: %s", order.number, refund.key, error)
            return order
        return await self.learn(order, event)

    # Giving up -------------------------------------------------------------------

    async def give_up(self, order: Order, state: OrderState, till: str = "") -> Order:
        """End a waiting order (CANCELLED or EXPIRED) and give its seats back, unless it is paid.

        Money that a person took of it is handed back in the till session `till`.
        """
        order = await self.close_pages(order)
        if not order.waits:
            return order
        if order.exchange is not None:
            order = structs.replace(order, till=till)
            return await self.settle(await self.drop_exchange(order, state.value))
        was_held = order.state is OrderState.OPEN
        order = await self.keep(order, structs.replace(given_up(order, state), till=till))
        if was_held:
            await self.reopen(order)
        return await self.settle(order)

    async def _ask(self, performance: int, command: Command) -> Outcome:
        return _decided(performance, await self._ask_performance(performance, command))


def _decided(performance: int, outcome: Outcome) -> Outcome:
    if isinstance(outcome, Refused) and outcome.code is Refusal.BUSY:
        raise NotReady(f"performance {performance} is busy")
    return outcome


def step_id(subject: str, step: str, performance: int) -> bytes:
    """A step's command id, the same in every life of the desk."""
    text = f"{subject}/{step}/{performance}".encode()
    return hashlib.blake2b(text, digest_size=ID_BYTES).digest()


def subject_of(id: str, *asked: object) -> str:
    """What the ids of a request's commands are made of.

    It covers the whole request: changed and sent again, it is decided again.
    """
    digest = hashlib.blake2b(msgspec.msgpack.encode(asked), digest_size=ID_BYTES).hexdigest()
    return f"{id}/{digest}"


def _wanted(hold: OrderHold) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The seats that a basket names, and how many places of which areas."""
    areas: Counter[int] = Counter()
    for line in hold.lines:
        if line.area >= 0:
            areas[line.area] += line.quantity
    return tuple(line.seat for line in hold.lines if line.area < 0), tuple(areas.items())


def _places(lines: Sequence[OrderLine]) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
    """The seats of lines of one performance, and how many places of which areas."""
    areas = Counter(line.area for line in lines if line.area >= 0)
    return tuple(line.seat for line in lines if line.seat >= 0), tuple(areas.items())


def _look_up(order: Order, line: OrderLine) -> Scan:
    name = step_id(order.id, f"look up {line.ticket}", line.performance)
    return Scan(name, "", "", line.performance, line.ticket, line.version, ScanMode.LOOK_UP)


def _by_performance(order: Order, lines: Sequence[int]) -> dict[int, list[OrderLine]]:
    found: dict[int, list[OrderLine]] = {}
    for line in order.lines:
        if line.number in lines:
            found.setdefault(line.performance, []).append(line)
    return found


def _report(
    order: Order, payment: Payment, event: ProviderEvent, actions: Sequence[Action]
) -> None:
    """Tell people what only they can mend."""
    for action in actions:
        if action.kind is ActionKind.REFUND_FAILED:
            log.error(
                "order %d: refund %s of %d came back, pay it by hand",
                *(order.number, action.refund, action.amount),
            )
    ours = {refund.id for refund in order.refunds}
    stands = order.state in SOLD_STATES and payment.standing is Standing.CONFIRMED
    if stands and event.kind is ProviderEventKind.REFUND and event.refund not in ours:
        log.warning(
            "order %d: %d was refunded at the provider; its tickets stay valid until they are "
            "refunded here",
            *(order.number, event.amount),
        )
