"""The desk's calls about orders that are sold: refunds, exchanges, prints, new tickets.

Each may be repeated with the same arguments and is done once, as all of the desk's; what was begun
is gone on with by the desk. Owns what these calls refuse. The steps are in `saga`, the rules in
`engine.order_changes`.
"""

import secrets
from collections.abc import Callable, Sequence

from msgspec.structs import replace

from engine.actors.order_keeper import OrderKeeper
from engine.actors.saga import Saga
from engine.commands import Refusal
from engine.credit import CODE_BYTES, CreditRefused, code_of
from engine.gift_cards import live_gift_cards
from engine.order_changes import (
    MAX_EXCHANGES_PER_ORDER,
    MAX_REFUNDS_PER_ORDER,
    MAX_REISSUES_PER_ORDER,
    exchange_asked,
    malformed_exchange,
    malformed_refund,
    printed,
)
from engine.ordering import (
    KEY,
    advance,
    over_ms,
    reserved_lines,
    sold_lines,
)
from engine.orders import (
    RESERVED_STATES,
    SOLD_STATES,
    DeskRefusal,
    ExchangeRequest,
    Order,
    OrderExchange,
    OrderRefund,
    OrderRefused,
    OrderReissue,
    OrderState,
    RefundRequest,
)
from engine.payments import (
    MAX_REFUNDS_PER_PAYMENT,
    TILL_METHODS,
    PaymentRefusal,
)
from engine.tills import NO_TILL, AtTill, TillSessionClosed


def new_code() -> str:
    """The code of a credit that is to be opened."""
    return code_of(secrets.token_bytes(CODE_BYTES))


def refuse(code: DeskRefusal | Refusal | PaymentRefusal, detail: str = "") -> OrderRefused:
    return OrderRefused(code.value, detail)


class AfterSale:
    """See the module: a part of `OrderDesk`."""

    def __init__(self, keeper: OrderKeeper, saga: Saga, clock_ms: Callable[[], int]) -> None:
        self._keeper = keeper
        self._saga = saga
        self._clock_ms = clock_ms

    async def refund(
        self, order: str, wanted: RefundRequest, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Refund whole lines (none named: all that are sold), seats back, or an amount.

        Refused as a whole when a ticket was used. Only where one is used in the very moment
        between the look and the refund, in an order over several performances, the other
        performances' lines are refunded alone: the order's refund then has `refused`.
        """
        if problem := malformed_refund(wanted):
            return refuse(Refusal.MALFORMED, problem)
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(found)
            if wanted.called_off and found.state in RESERVED_STATES:
                found = await self._saga.close_pages(found)
            known = next((one for one in found.refunds if one.id == wanted.id), None)
            if known is None and wanted.unprinted and found.prints:
                return refuse(DeskRefusal.PRINTED)
            if known is None and exchange_of(found, wanted.id) is not None:
                return refuse(Refusal.ID_REUSED, "refund: an exchange has this id")
            if known is None:
                lines, gift_cards = _wanted_back(found, wanted)
                refused = await self._refuse_refund(found, lines, gift_cards, wanted)
                if refused is not None:
                    return refused
                taken = await self._unspent(found, gift_cards, wanted)
                if isinstance(taken, OrderRefused):
                    return taken
                till = "" if wanted.to_credit else session_of(found, at_till)
                if till is None:
                    return refuse(DeskRefusal.TILL_CLOSED)
                intent = OrderRefund(
                    wanted.id,
                    lines,
                    wanted.reason,
                    wanted.operator,
                    self._clock_ms(),
                    amount=wanted.amount,
                    fee=wanted.fee,
                    card=new_code() if wanted.to_credit else "",
                    called_off=wanted.called_off,
                    gift_cards=taken,
                )
                changed = replace(found, refunds=(*found.refunds, intent), till=till)
                try:
                    found = await self._saga.keep(found, changed)
                except CreditRefused:  # spent since it was looked at
                    return refuse(DeskRefusal.GIFT_CARD_SPENT)
                except TillSessionClosed:
                    return refuse(DeskRefusal.TILL_CLOSED)
                found = await self._saga.settle(found)
            elif not _same_refund(known, wanted):
                return refuse(Refusal.ID_REUSED, "refund: it was of something else")
            done = next(one for one in found.refunds if one.id == wanted.id)
            if done.refused and not done.undone and not done.gift_cards:
                return OrderRefused(done.refused)
            return found

    async def _unspent(
        self, order: Order, numbers: Sequence[int], wanted: RefundRequest
    ) -> tuple[tuple[int, int], ...] | OrderRefused:
        """What a refund takes back of gift cards, as an `OrderRefund` has it."""
        cards = {one.number: one for one in live_gift_cards(order)}
        taken = []
        for number in numbers:
            card = cards[number]
            credit = await self._keeper.credit(card.code, order.seller)
            unspent = min(card.left, credit.balance) if credit is not None else 0
            if wanted.unprinted and unspent < card.amount:
                return refuse(DeskRefusal.GIFT_CARD_SPENT)
            if unspent:
                taken.append((number, unspent))
            elif wanted.gift_cards:
                return refuse(DeskRefusal.GIFT_CARD_SPENT)
        if numbers and not taken and not _wanted_back(order, wanted)[0]:
            return refuse(DeskRefusal.GIFT_CARD_SPENT)
        return tuple(taken)

    async def _refuse_refund(
        self,
        order: Order,
        lines: tuple[int, ...],
        gift_cards: tuple[int, ...],
        wanted: RefundRequest,
    ) -> OrderRefused | None:
        reserved = wanted.called_off and order.state in RESERVED_STATES
        if order.state not in SOLD_STATES and not reserved:
            return refuse(DeskRefusal.NOTHING_TO_REFUND, order.state.value)
        live = reserved_lines(order) if reserved else sold_lines(order)
        if len(set(lines)) != len(lines) or not set(lines).issubset(live):
            return refuse(DeskRefusal.LINE_NOT_SOLD)
        cards = {one.number for one in live_gift_cards(order)}
        if len(set(gift_cards)) != len(gift_cards) or not cards.issuperset(gift_cards):
            return refuse(DeskRefusal.LINE_NOT_SOLD)
        if not lines and not gift_cards and not wanted.amount:
            return refuse(DeskRefusal.NOTHING_TO_REFUND, order.state.value)
        if wanted.amount > order.value:
            return refuse(DeskRefusal.MORE_THAN_VALUE, str(order.value))
        if len(order.refunds) >= MAX_REFUNDS_PER_ORDER or _refunds_are_full(order):
            return refuse(PaymentRefusal.TOO_MANY_REFUNDS)
        return await self._saga.find_used(order, lines)

    async def exchange(
        self, order: str, wanted: ExchangeRequest, at_till: AtTill = NO_TILL
    ) -> Order | OrderRefused:
        """Give places of one performance for others, which are held, or for another price.

        What they cost more is paid as any order is, before they are exchanged; what they cost less
        goes back then. Until it is paid, `cancel` gives it up, and so does time.
        """
        if problem := malformed_exchange(wanted):
            return refuse(Refusal.MALFORMED, problem)
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(await self._give_up_in_time(found))
            known = exchange_of(found, wanted.id)
            if known is None:
                begun = await self._begin_exchange(found, wanted, at_till)
                if isinstance(begun, OrderRefused):
                    return begun
                found, known = begun, exchange_of(begun, wanted.id)
            elif not _same_exchange(known, wanted):
                return refuse(Refusal.ID_REUSED, "exchange: it was of something else")
            assert known is not None
            return OrderRefused(known.refused) if known.refused else found

    async def _begin_exchange(
        self, order: Order, wanted: ExchangeRequest, at_till: AtTill
    ) -> Order | OrderRefused:
        if order.state not in SOLD_STATES:
            return refuse(DeskRefusal.ORDER_CLOSED, order.state.value)
        if len(set(wanted.lines)) != len(wanted.lines):
            return refuse(DeskRefusal.LINE_NOT_SOLD)
        if not set(wanted.lines).issubset(sold_lines(order)):
            return refuse(DeskRefusal.LINE_NOT_SOLD)
        if len({one.performance for one in order.lines if one.number in wanted.lines}) > 1:
            return refuse(DeskRefusal.NOT_ONE_PERFORMANCE)
        if wanted.same_places and not _are_places(order, wanted):
            return refuse(Refusal.MALFORMED, "basket: without a token it names the lines' places")
        if len(order.exchanges) >= MAX_EXCHANGES_PER_ORDER or _refunds_are_full(order):
            return refuse(DeskRefusal.TOO_MANY_EXCHANGES)
        if any(refund.id == wanted.id for refund in order.refunds):
            return refuse(Refusal.ID_REUSED, "exchange: a refund has this id")
        till = "" if wanted.to_credit else session_of(order, at_till)
        if till is None:
            return refuse(DeskRefusal.TILL_CLOSED)
        used = await self._saga.find_used(order, wanted.lines)
        if used is not None:
            return used
        now_ms = self._clock_ms()
        quote = await self._saga.check_out_exchange(order, wanted, now_ms)
        if isinstance(quote, OrderRefused):
            return quote
        card = new_code() if wanted.to_credit else ""
        changed = exchange_asked(order, wanted, quote, card, now_ms)
        try:
            order = await self._saga.keep(order, advance(replace(changed, till=till)))
        except TillSessionClosed:
            return refuse(DeskRefusal.TILL_CLOSED)
        return await self._saga.settle(order)

    async def print_tickets(
        self, order: str, id: str, lines: tuple[int, ...], operator: str
    ) -> Order | OrderRefused:
        """Note that tickets (no line named: all, and gift cards) are printed; the same id again is
        the same print.

        Saved before anything is on paper, so that no sale is undone whose ticket somebody has.
        """
        if not KEY.fullmatch(id):
            return refuse(Refusal.MALFORMED, "print: 1 to 64 letters, digits and dashes")
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(found)
            if any(one.id == id for one in found.prints):
                return found
            wanted = tuple(sorted(lines)) or sold_lines(found)
            cards = () if lines else tuple(one.number for one in live_gift_cards(found))
            if not (wanted or cards) or not set(wanted).issubset(sold_lines(found)):
                return refuse(DeskRefusal.LINE_NOT_SOLD)
            changed = printed(found, id, wanted, cards, operator, self._clock_ms())
            return await self._saga.keep(found, changed)

    async def reissue(
        self, order: str, id: str, lines: tuple[int, ...], operator: str
    ) -> Order | OrderRefused:
        """New tickets for lines (none named: all that are sold): the old ones are void at once."""
        if not KEY.fullmatch(id):
            return refuse(Refusal.MALFORMED, "reissue: 1 to 64 letters, digits and dashes")
        async with self._keeper.lock(order):
            found = await self._keeper.load(order)
            if found is None:
                return refuse(DeskRefusal.ORDER_UNKNOWN)
            found = await self._saga.settle(found)
            known = next((one for one in found.reissues if one.id == id), None)
            if known is None:
                wanted = tuple(sorted(lines)) or sold_lines(found)
                if not wanted or not set(wanted).issubset(sold_lines(found)):
                    return refuse(DeskRefusal.LINE_NOT_SOLD)
                if len(found.reissues) >= MAX_REISSUES_PER_ORDER:
                    return refuse(DeskRefusal.TOO_MANY_REISSUES)
                intent = OrderReissue(id, wanted, operator, self._clock_ms())
                changed = replace(found, reissues=(*found.reissues, intent))
                found = await self._saga.settle(await self._saga.keep(found, changed))
                known = next(one for one in found.reissues if one.id == id)
            elif lines and tuple(sorted(lines)) != known.lines:
                return refuse(Refusal.ID_REUSED, "reissue: it was of other lines")
            return OrderRefused(known.refused) if known.refused else found

    async def _give_up_in_time(self, order: Order) -> Order:
        """The order, given up when its time is over."""
        if order.waits and self._clock_ms() >= over_ms(order):
            return await self._saga.give_up(order, OrderState.EXPIRED)
        return order


def _refunds_are_full(order: Order) -> bool:
    """A payment has as many refunds as are kept."""
    return any(len(one.refunds) >= MAX_REFUNDS_PER_PAYMENT for one in order.payments)


def exchange_of(order: Order, id: str) -> OrderExchange | None:
    return next((one for one in order.exchanges if one.id == id), None)


def _are_places(order: Order, wanted: ExchangeRequest) -> bool:
    """Does the basket name the places of the lines, in their order?"""
    lines = [line for line in order.lines if line.number in wanted.lines]
    hold = wanted.hold
    return [(line.performance, line.seat, line.area) for line in lines] == [
        (hold.performance, line.seat, line.area) for line in hold.lines
    ]


def _same_exchange(known: OrderExchange, wanted: ExchangeRequest) -> bool:
    same = tuple(sorted(wanted.lines)) == known.leaving and wanted.hold == known.hold
    return same and wanted.fee == known.fee and wanted.to_credit == bool(known.card)


def _wanted_back(order: Order, wanted: RefundRequest) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The lines, and the gift cards, that a refund is of."""
    if wanted.lines or wanted.gift_cards:
        return tuple(sorted(wanted.lines)), tuple(sorted(wanted.gift_cards))
    if wanted.amount:
        return (), ()
    cards = () if wanted.to_credit else tuple(one.number for one in live_gift_cards(order))
    return sold_lines(order), cards


def _same_refund(known: OrderRefund, wanted: RefundRequest) -> bool:
    lines, gift_cards = tuple(sorted(wanted.lines)), tuple(sorted(wanted.gift_cards))
    named = lines, gift_cards
    was = known.lines, tuple(number for number, _ in known.gift_cards)
    same = wanted.called_off == known.called_off and (named == was or not any(named))
    return same and wanted.amount == known.amount and wanted.to_credit == bool(known.card)


def session_of(order: Order, at_till: AtTill) -> str | None:
    """The till session that money of an order may be handed back in; None: in none."""
    by_hand = any(one.method in TILL_METHODS and one.kept for one in order.payments)
    return at_till.session_for(order.currency) if by_hand else ""
