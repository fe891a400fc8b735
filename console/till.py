"""The till's work without its screen: holding, placing, paying, and going on after a crash.

Owns the order of things that makes a sale safe: write down, then ask, then believe only the
answer. Every id is made here and saved before it is sent, so that asking again, from this
process or the next, cannot sell twice. Knows no widget; failures leave as the exceptions of
`console.client` and `console.link`, refusals as outcomes.
"""

import asyncio
import secrets
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from msgspec.structs import replace

from console.client import Client, ClientError, Problem
from console.link import Link
from console.programme import Performance
from console.sale import Sale
from console.seating import Seating
from console.slip import Exchange, Payment, Slip, SlipFile
from engine.commands import (
    ID_BYTES,
    BasketIs,
    Blocked,
    Channel,
    Held,
    Outcome,
    Refused,
    Released,
    Unblocked,
)
from engine.feed import Applied, Replica
from engine.orders import (
    SOLD_STATES,
    Buyer,
    Order,
    OrderHold,
    OrderState,
    PlaceOrder,
    TermsKind,
)
from engine.payments import PaymentMethod
from gateway.wire import AskBasket, AskBest, AskBlock, AskHold, AskRelease, AskUnblock

CONFIRM_POLL_S: Final = 0.3
CONFIRM_POLLS: Final = 60
"""A paid order is asked after this often until its tickets are sold; then the cashier is told."""


def new_id() -> bytes:
    """An id or token that nobody else makes."""
    return secrets.token_bytes(ID_BYTES)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class NotSaved(ClientError):
    """The slip cannot be written: the disk is full, or its directory is gone."""


class SaleInProgress(Exception):
    """This till has another sale to finish first."""


class Resumed(Enum):
    """What became of the sale that a console left behind."""

    NOTHING = "nothing"
    BASKET = "basket"  # the hold is alive: go on choosing
    TO_PAY = "to_pay"  # the order waits for its money
    SOLD = "sold"  # it was paid: the tickets are left to print
    GONE = "gone"  # the hold ran out, or the order was given up


@dataclass
class Dirt:
    """What changed in the house since the screen was last painted."""

    seats: set[int] = field(default_factory=set)
    areas: bool = False
    all: bool = False

    def take(self) -> "Dirt":
        """Hand over and start clean."""
        taken = Dirt(self.seats, self.areas, self.all)
        self.seats, self.areas, self.all = set(), False, False
        return taken


class House:
    """The performance on the till's screen: its seats, their statuses, the sale on them."""

    def __init__(self, performance: Performance, seating: Seating) -> None:
        self.performance = performance
        self.seating = seating
        self.replica = Replica(performance.id, seating.seat_count, len(seating.plan.areas))
        self.sale = Sale(performance, seating, new_id())
        self.dirt = Dirt()

    def position(self) -> tuple[int, int]:
        return self.replica.epoch, self.replica.seq


class Till:
    """One operator's sales, one at a time."""

    def __init__(self, client: Client, link: Link, slips: SlipFile) -> None:
        self.client = client
        self.link = link
        self.slips = slips
        self.house: House | None = None
        self.order: Order | None = None
        self.slip: Slip | None = None
        self.exchange: Exchange | None = None
        """What the next sale is given for, until it is done or given up."""
        self._seatings: dict[str, Seating] = {}

    # The performance ---------------------------------------------------------

    async def open(self, performance_id: int) -> House:
        """Show a performance: fetch it and its plan, and watch its seats."""
        found = await self.client.performance(performance_id)
        if found.plan not in self._seatings:
            # One house at a time is worked on; plans are large.
            plan = await self.client.plan(found.plan)
            self._seatings = {found.plan: Seating(plan)}
        self.close()
        self.house = House(found, self._seatings[found.plan])
        self.link.watch(performance_id, self.house.position)
        return self.house

    def close(self) -> None:
        """Stop watching. The hold, if any, was given back or is on the slip."""
        if self.house is not None:
            self.link.unwatch(self.house.performance.id)
        self.house = None

    def feed(self, frame: bytes) -> None:
        """Take a feed frame into the house's picture; ask again where frames are missing.

        Raises:
            ValueError: a frame that does not fit the plan.
        """
        house = self.house
        if house is None:
            return
        match house.replica.apply(frame):
            case Applied.SNAPSHOT:
                house.dirt.all = True
            case Applied.DELTA:
                house.dirt.seats.update(house.replica.changed)
                house.dirt.areas |= bool(house.replica.changed_areas)
            case Applied.GAP:
                self.link.watch(house.performance.id, house.position)
            case Applied.OLD:
                pass

    # Choosing seats ----------------------------------------------------------

    async def hold(self, seats: Collection[int], places: Collection[tuple[int, int]]) -> Outcome:
        """Add seats and (area, quantity) to the basket."""
        house, sale = self._at_work()
        self._write_down(sale)
        number, token = house.performance.id, sale.token
        ask = AskHold(new_id(), number, token, tuple(seats), tuple(places), sale.channel)
        return self._taken(await self.link.ask(ask))

    async def best(
        self, size: int, categories: tuple[int, ...], sections: tuple[int, ...], accessible: int
    ) -> Outcome:
        """Add the best places there are."""
        house, sale = self._at_work()
        self._write_down(sale)
        ask = AskBest(
            new_id(),
            house.performance.id,
            sale.token,
            size,
            categories=categories,
            sections=sections,
            accessible=accessible,
            channel=sale.channel,
        )
        return self._taken(await self.link.ask(ask))

    async def release(
        self, seats: Collection[int] = (), places: Collection[tuple[int, int]] = ()
    ) -> Outcome:
        """Give back seats and places; nothing named: the whole basket."""
        house, sale = self._at_work()
        ask = AskRelease(new_id(), house.performance.id, sale.token, tuple(seats), tuple(places))
        outcome = self._taken(await self.link.ask(ask))
        if not sale.size:
            sale.clear(new_id())
            self.forget()
        return outcome

    async def refresh_basket(self) -> Outcome:
        """Ask what the hold really is: after a lost connection, or when told that it ended."""
        house, sale = self._at_work()
        return self._taken(
            await self.link.ask(AskBasket(new_id(), house.performance.id, sale.token))
        )

    def details_changed(self) -> None:
        """Keep the chosen price types and the buyer's name, should this console die."""
        _, sale = self._at_work()
        self._write_down(sale)

    async def block(self, seats: Collection[int], reason: str) -> Blocked | Refused:
        house, _ = self._at_work()
        ask = AskBlock(new_id(), house.performance.id, tuple(seats), (), reason)
        outcome = await self.link.ask(ask)
        assert isinstance(outcome, Blocked | Refused)
        return outcome

    async def unblock(self, seats: Collection[int]) -> Unblocked | Refused:
        house, _ = self._at_work()
        outcome = await self.link.ask(AskUnblock(new_id(), house.performance.id, tuple(seats)))
        assert isinstance(outcome, Unblocked | Refused)
        return outcome

    # Money -------------------------------------------------------------------

    def begin_exchange(self, order: Order, lines: Collection[int], fee: int) -> None:
        """What is sold next is given for these lines of an order, and is no sale of its own.

        Raises:
            SaleInProgress: There is one, or a basket.
        """
        if self.slip is not None:
            raise SaleInProgress
        worth = sum(line.price for line in order.lines if line.number in lines)
        self.exchange = Exchange(
            secrets.token_hex(ID_BYTES),
            order.id,
            order.number,
            tuple(lines),
            worth,
            fee,
            len(order.payments),
        )

    def end_exchange(self) -> None:
        """What is sold next is a sale again."""
        self.exchange = None

    @property
    def has_lost_exchange(self) -> bool:
        """The exchange came to nothing: the order is what it was."""
        return self.exchange is not None and not any(
            one.id == self.exchange.id and not one.refused
            for one in (self.order.exchanges if self.order is not None else ())
        )

    @property
    def costs_nothing(self) -> bool:
        """By the price list there is nothing to pay for what is in the basket."""
        _, sale = self._at_work()
        if self.exchange is None:
            return sale.is_free
        return bool(sale.size) and sale.total + self.exchange.fee <= self.exchange.worth

    async def place(self, language: str) -> Order:
        """Make the basket an order: priced by the server, locked, waiting for money.

        One that costs nothing is sold by that. An exchange is asked of the order that is sold.
        """
        _, sale = self._at_work()
        if self.exchange is not None:
            return await self._exchange(sale, self.exchange)
        if self.slip is None or not self.slip.order:
            self._save(
                Slip(
                    sale.performance.id,
                    sale.token.hex(),
                    sale.order_lines(),
                    order=secrets.token_hex(ID_BYTES),
                    buyer=sale.buyer,
                    by_phone=sale.by_phone,
                )
            )
        assert self.slip is not None
        try:
            self.order = await self.client.place(sale.order(self.slip.order, language))
        except Problem as problem:
            if problem.refused:
                # The server knows no such order; the next attempt is another one.
                self._save(replace(self.slip, order=""))
            raise
        sale.expires_ms = self.order.expires_ms
        return await self._until_sold()

    async def _exchange(self, sale: Sale, exchange: Exchange) -> Order:
        hold = OrderHold(sale.performance.id, sale.token.hex(), sale.order_lines())
        self._save(
            Slip(
                hold.performance,
                hold.token,
                hold.lines,
                order=exchange.order,
                buyer=sale.buyer,
                exchange=exchange,
            )
        )
        try:
            self.order = await self.client.exchange(
                exchange.order, exchange.id, exchange.lines, hold, exchange.fee
            )
        except Problem as problem:
            if problem.refused:
                self._ask_anew()
            raise
        if self.order.exchange is not None:
            sale.expires_ms = self.order.exchange.expires_ms
        return await self._until_sold()

    def _ask_anew(self) -> None:
        """The order knows no more of this exchange; the next attempt is another one."""
        assert self.slip is not None and self.exchange is not None
        self.exchange = replace(self.exchange, id=secrets.token_hex(ID_BYTES))
        self._save(replace(self.slip, order="", payment=None, exchange=self.exchange))

    async def _exchange_back(self, exchange: Exchange) -> None:
        """Give the exchange up, if it was ever heard of."""
        order = await self.client.order(exchange.order)
        if any(one.id == exchange.id for one in order.exchanges):
            await self.client.cancel(exchange.order, exchange.id)
        self._ask_anew()

    async def back_to_basket(self) -> None:
        """Give the order up, whether or not the server ever heard of it; the seats stay held.

        Raises:
            Problem: the order is past that: it was paid meanwhile, or ended.
        """
        if self.slip is not None and self.in_payment and self.exchange is not None:
            await self._exchange_back(self.exchange)
        elif self.slip is not None and self.in_payment:
            try:
                await self.client.cancel(self.slip.order)
            except Problem as problem:
                if problem.status != 404:
                    raise
            self._save(replace(self.slip, order="", payment=None))
        self.order = None

    async def look_up_order(self) -> Order | None:
        """The order in progress as the server has it now, also when its answer was lost."""
        if self.slip is not None and self.in_payment:
            self.order = await self.client.order(self.slip.order)
        return self.order

    async def reserve(self, until_ms: int) -> Order:
        """Keep the order's seats without its money, until somebody comes for them."""
        assert self.order is not None
        self.order = await self.client.reserve(self.order.id, TermsKind.PICK_UP.value, until_ms)
        return await self._until_sold()

    def take_up(self, order: Order) -> None:
        """Go on with an order that waits for its money.

        Raises:
            SaleInProgress: Another one is not over.
        """
        if self.slip is not None and self.slip.order != order.id:
            raise SaleInProgress
        self.order = order
        # Gift cards alone have no hold: a token that nothing is held under does as well.
        token = order.holds[0].token if order.holds else new_id().hex()
        self._save(Slip(order.seller, token, order=order.id, buyer=order.buyer.name))

    async def place_gift_cards(self, amounts: Sequence[int], buyer: str, language: str) -> Order:
        """An order of gift cards alone (minor units each), taken up to be paid.

        Raises:
            SaleInProgress: There is a basket, or an order that is not over.
        """
        house, sale = self._at_work()
        if self.slip is not None or self.exchange is not None or sale.size:
            raise SaleInProgress
        wanted = PlaceOrder(
            secrets.token_hex(ID_BYTES),
            (),
            sale.channel or Channel.BOX_OFFICE,
            buyer=Buyer(buyer, language=language),
            gift_cards=tuple(amounts),
            performance=house.performance.id,
        )
        order = await self.client.place(wanted)
        self.take_up(order)
        return order

    def take_up_exchange(self, before: Order, order: Order) -> None:
        """Go on with an order whose places get another price, once the difference is paid.

        Raises:
            SaleInProgress: Another one is not over.
        """
        assert order.exchange is not None
        self.begin_exchange(before, order.exchange.leaving, order.exchange.fee)
        assert self.exchange is not None
        self.exchange = replace(self.exchange, id=order.exchange.id)
        self.order, hold = order, order.holds[0]
        self._save(
            Slip(
                order.exchange.hold.performance,
                hold.token,
                order=order.id,
                buyer=order.buyer.name,
                exchange=self.exchange,
            )
        )

    async def pay(
        self, method: PaymentMethod, given: int, reference: str, amount: int = 0
    ) -> Order:
        """Record a payment (of a part: `amount`), and where it was the last wait for the tickets.

        The same attempt is sent again until it is answered, by the next console if need be.
        """
        assert self.slip is not None and self.order is not None
        known = self.slip.payment
        payment = Payment(method.value, secrets.token_hex(ID_BYTES), given, reference, amount)
        if known is not None and payment == replace(known, attempt=payment.attempt):
            payment = known
        self._save(replace(self.slip, payment=payment))
        try:
            self.order = await self.client.pay(
                self.order.id,
                payment.method,
                payment.attempt,
                payment.given if method is PaymentMethod.CASH else None,
                payment.reference,
                payment.amount,
            )
        except Problem as problem:
            if problem.refused:
                self._save(replace(self.slip, payment=None))
            raise
        return await self._taken_in()

    async def stop_reader(self) -> Order:
        """Wait no longer for a card at the reader; it may turn out to be paid."""
        assert self.slip is not None and self.order is not None
        if self.slip.payment is not None:
            attempt = self.slip.payment.attempt
            self.order = await self.client.stop_payment(self.order.id, attempt)
        return await self._taken_in()

    @property
    def waits(self) -> bool:
        """Whether the order's money is still to come."""
        return self.order is not None and self.order.waits

    @property
    def at_reader(self) -> bool:
        """Whether a card reader waits for the order's money."""
        return self.order is not None and any(one.at_reader for one in self.order.payments)

    async def _taken_in(self) -> Order:
        """The order after a payment was answered; its attempt is over unless a reader waits."""
        assert self.slip is not None
        if self.waits and not self.at_reader:
            self._save(replace(self.slip, payment=None))
        return await self._until_sold()

    async def _until_sold(self) -> Order:
        assert self.slip is not None and self.order is not None
        for _ in range(CONFIRM_POLLS):
            exchange = self.order.exchange
            if self.order.state is not OrderState.SELLING and not (exchange and exchange.covered):
                break
            await asyncio.sleep(CONFIRM_POLL_S)
            self.order = await self.client.order(self.order.id)
        if self.order.state in SOLD_STATES:
            self._save(replace(self.slip, paid=True))
        return self.order

    def next_sale(self) -> None:
        """The sale is over: start with an empty basket."""
        self.order = self.exchange = None
        self.forget()
        if self.house is not None:
            self.house.sale.clear(new_id())
            self.house.dirt.all = True

    # After a crash -----------------------------------------------------------

    async def resume(self) -> Resumed:
        """Pick up the sale on the slip, from wherever its console left it."""
        slip = self.slips.load()
        if slip is None:
            return Resumed.NOTHING
        self.slip, self.exchange = slip, slip.exchange
        try:
            house = await self.open(slip.performance)
        except Problem as problem:
            if problem.status != 404:
                raise
            self.forget()
            return Resumed.GONE
        house.sale.token, house.sale.buyer = bytes.fromhex(slip.token), slip.buyer
        house.sale.by_phone = slip.by_phone
        if slip.order:
            try:
                self.order = await self.client.order(slip.order)
            except Problem as problem:
                if problem.status != 404:
                    raise
                self._save(replace(slip, order="", payment=None))
        if self.exchange is not None and self.order is not None:
            known = next((one for one in self.order.exchanges if one.id == self.exchange.id), None)
            if known is None:  # it was never asked for
                self.order = None
                self._save(replace(slip, order="", payment=None))
            elif known.refused:
                self.next_sale()
                return Resumed.GONE
        if self.order is not None:
            return await self._resume_order(self.order)
        outcome = await self.refresh_basket()
        if not isinstance(outcome, BasketIs):
            self.next_sale()
            return Resumed.GONE
        house.sale.price(slip.lines)
        return Resumed.BASKET

    async def _resume_order(self, order: Order) -> Resumed:
        assert self.slip is not None
        if order.state is OrderState.AWAITING_PAYMENT:
            return Resumed.TO_PAY
        if order.state in (OrderState.OPEN, OrderState.EXCHANGING):
            outcome = await self.refresh_basket()
            if isinstance(outcome, BasketIs) and self.house is not None:
                self.house.sale.price(self.slip.lines)
            return Resumed.TO_PAY
        if order.state in (OrderState.SELLING, *SOLD_STATES):
            await self._until_sold()
            return Resumed.SOLD
        self.next_sale()
        return Resumed.GONE

    # -------------------------------------------------------------------------

    def lost(self, performance_id: int, token: bytes) -> bool:
        """A hold ended by itself; returns whether it was this sale's."""
        house = self.house
        if house is None or performance_id != house.performance.id or token != house.sale.token:
            return False
        if self.in_payment:
            # Whether the money came in time is for the order to say.
            return False
        self.next_sale()
        return True

    @property
    def in_payment(self) -> bool:
        """Whether there is an order, or may be one that the server has not confirmed yet."""
        return self.slip is not None and bool(self.slip.order)

    def forget(self) -> None:
        """Nothing is in progress any more."""
        self.slip = None
        self.slips.clear()

    def _at_work(self) -> tuple[House, Sale]:
        assert self.house is not None, "no performance is open"
        return self.house, self.house.sale

    def _write_down(self, sale: Sale) -> None:
        self._save(
            Slip(
                sale.performance.id,
                sale.token.hex(),
                sale.order_lines(),
                buyer=sale.buyer,
                exchange=self.exchange,
                by_phone=sale.by_phone,
            )
        )

    def _save(self, slip: Slip) -> None:
        if slip == self.slip:
            return
        try:
            self.slips.save(slip)
        except OSError as error:
            # What cannot be written down is not asked: a crash would lose it.
            raise NotSaved(str(error)) from error
        self.slip = slip

    def _taken(self, outcome: Outcome) -> Outcome:
        """Make the basket agree with an answer."""
        house, sale = self._at_work()
        before = set(sale.seats)
        match outcome:
            case Held() if outcome.token == sale.token:
                sale.held(outcome, now_ms())
                self._write_down(sale)
            case Released() if outcome.token == sale.token:
                sale.released(outcome)
            case BasketIs() if outcome.token == sale.token:
                sale.is_now(outcome, now_ms())
        house.dirt.seats.update(before ^ set(sale.seats))
        house.dirt.areas = True
        return outcome
