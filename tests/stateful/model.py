"""A performance as anyone would write it who has all the time in the world.

Dictionaries, sets and the rules one after the other, on the plan's own
neighbours. Shares nothing with the engine but commands, outcomes and limits,
and the slow orphan rule with its test.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.commands import (
    Allocate,
    Allocated,
    Block,
    Blocked,
    Channel,
    Checkout,
    Configure,
    Configured,
    Expire,
    Expired,
    Held,
    Hold,
    HoldBest,
    Kept,
    KeptScan,
    Line,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Refusal,
    Refused,
    Reissue,
    Release,
    Released,
    Reopen,
    Reopened,
    Reprice,
    Repriced,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
    SetTickets,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
    Unblock,
    Unblocked,
    Undone,
    UndoScan,
)
from engine.limits import MAX_HOLDS_PER_HOLDER, MAX_PLACES_PER_HOLD, PAYMENT_HOLD_MS, UNDO_MS
from engine.plan import Plan
from engine.settings import Quota, ReEntry, SaleStatus, Settings, TypeStatus
from tests.engine.slow import slow_orphans

Pairs = tuple[tuple[int, int], ...]
TILLS = (Channel.BOX_OFFICE, Channel.PHONE)


@dataclass
class Basket:
    holder: str
    channel: Channel
    since_ms: int
    until_ms: int
    seats: list[int] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)
    order: str = ""
    buyer: str = ""
    lines: tuple[Any, ...] = ()
    amounts: tuple[int, ...] = ()
    extended: bool = False

    def size(self) -> int:
        return len(self.seats) + sum(self.places.values())


@dataclass
class Way:
    """Somebody went in or out with a ticket; `number` is None where the engine itself said so."""

    at_ms: int
    device: str
    number: int | None
    gate: str
    entry: bool
    forced: bool

    def key(self) -> tuple[int, str, int]:
        return self.at_ms, self.device, -1 if self.number is None else self.number


@dataclass
class Sale:
    ticket: Ticket
    order: str
    buyer: str
    state: TicketState
    version: int = 0
    through: list["Way"] = field(default_factory=list)


class No(Exception):
    def __init__(self, code: Refusal, seats: tuple[int, ...] = (), detail: str = "") -> None:
        self.outcome = Refused(code, tuple(seats), detail)


class Model:
    def __init__(self, performance: int, plan: Plan, settings: Settings) -> None:
        self.performance, self.plan, self.settings = performance, plan, settings
        self.baskets: dict[bytes, Basket] = {}
        self.sales: dict[int, Sale] = {}
        self.blocked: set[int] = set()
        self.blocked_places: dict[int, int] = dict.fromkeys(range(len(plan.areas)), 0)
        self.kept: dict[str, tuple[tuple[Channel, ...], set[int], int]] = {}
        self.known: dict[bytes, tuple[Any, Outcome]] = {}
        self.told: dict[tuple[str, int], int] = {}

    # What can be seen ---------------------------------------------------------

    def held(self) -> set[int]:
        return {seat for basket in self.baskets.values() for seat in basket.seats}

    def sold(self) -> set[int]:
        live = [sale for sale in self.sales.values() if sale.state is not TicketState.REFUNDED]
        return {sale.ticket.seat for sale in live if sale.ticket.seat >= 0}

    def kept_from(self, channel: Channel | None) -> set[int]:
        """What is kept for others; for None, what is kept at all."""
        off = set()
        if channel not in TILLS:
            categories = self.settings.surplus.categories
            off = {one for one, seat in enumerate(self.plan.seats) if seat.category in categories}
        for channels, seats, _ in self.kept.values():
            off = off - seats if channel in channels else off | seats
        return off

    def for_tills(self, area: int) -> bool:
        surplus = self.settings.surplus
        return area in surplus.areas or self.plan.areas[area].category in surplus.categories

    def public_left(self) -> list[int]:
        areas = range(len(self.plan.areas))
        return [0 if self.for_tills(area) else self.left(area) for area in areas]

    def statuses(self) -> bytes:
        held, sold, off = self.held(), self.sold(), self.blocked | self.kept_from(None)
        return bytes(
            2 if seat in sold else 1 if seat in held else 3 if seat in off else 0
            for seat in range(len(self.plan.seats))
        )

    def left(self, area: int) -> int:
        return (
            self.plan.areas[area].capacity
            - self.blocked_places[area]
            - sum(basket.places.get(area, 0) for basket in self.baskets.values())
            - sum(
                sale.ticket.area == area and sale.state is not TicketState.REFUNDED
                for sale in self.sales.values()
            )
        )

    def buyers_places(self, buyer: str) -> int:
        return sum(
            basket.size()
            for basket in self.baskets.values()
            if basket.order and basket.buyer == buyer
        ) + sum(
            sale.buyer == buyer and sale.state is not TicketState.REFUNDED
            for sale in self.sales.values()
        )

    # Commands -----------------------------------------------------------------

    def play(self, command: Any, at_ms: int, outcome: Outcome | None = None) -> Outcome:
        """The outcome that a command should have; that of a best-available search is given."""
        if command.id in self.known:
            before, remembered = self.known[command.id]
            return remembered if before == command else Refused(Refusal.ID_REUSED)
        try:
            if isinstance(command, HoldBest):
                result = self.follow_best(command, at_ms, outcome)
            else:
                name = type(command).__name__.lower()
                result = getattr(self, name)(command, at_ms)
        except No as no:
            result = no.outcome
        nothing = result == Expired(()) or (isinstance(command, Reprice) and not command.amounts)
        if isinstance(command, KeptScan):
            nothing = isinstance(result, Refused) or result.again  # type: ignore[union-attr]
        if not nothing:
            self.known[command.id] = command, result
        return result

    def well_formed(self, seats: tuple[int, ...], places: Pairs) -> None:
        good = (
            (seats or places)
            and len(set(seats)) == len(seats)
            and all(0 <= seat < len(self.plan.seats) for seat in seats)
            and len({area for area, _ in places}) == len(places)
            and all(0 <= area < len(self.plan.areas) and many > 0 for area, many in places)
        )
        if not good:
            raise No(Refusal.MALFORMED)

    def may_ask(self, command: Hold | HoldBest, size: int, at_ms: int) -> Basket | None:
        basket = self.baskets.get(command.token)
        if basket is None and command.channel is Channel.WEB:
            mine = [
                one
                for one in self.baskets.values()
                if one.channel is Channel.WEB and one.holder == command.holder
            ]
            if len(mine) >= MAX_HOLDS_PER_HOLDER:
                raise No(Refusal.BUSY)
        self.on_sale(command.channel, at_ms)
        if basket is not None and basket.order:
            raise No(Refusal.IN_PAYMENT)
        return basket

    def on_sale(self, channel: Channel, at_ms: int) -> None:
        rules, allowed = self.settings, [SaleStatus.ON_SALE]
        opens_ms, closes_ms = rules.sale_opens_ms, rules.sale_closes_ms
        if channel in TILLS:
            allowed.append(SaleStatus.BOX_OFFICE)
            opens_ms, closes_ms = rules.tills_open_ms, rules.tills_close_ms
        if rules.status not in allowed or (closes_ms and at_ms >= closes_ms):
            raise No(Refusal.NOT_ON_SALE)
        if at_ms < opens_ms:
            raise No(Refusal.NOT_ON_SALE, detail=str(opens_ms))

    def not_too_many(self, command: Hold | HoldBest, basket: Basket | None, size: int) -> None:
        most = MAX_PLACES_PER_HOLD
        if command.channel in (Channel.WEB, Channel.RESELLER):
            most = self.settings.max_per_order
        if size + (basket.size() if basket else 0) > most:
            raise No(Refusal.TOO_MANY_IN_ORDER)

    def hold(self, command: Hold, at_ms: int) -> Outcome:
        seats, size = command.seats, len(command.seats) + sum(many for _, many in command.areas)
        self.well_formed(seats, command.areas)
        if size > MAX_PLACES_PER_HOLD:
            raise No(Refusal.MALFORMED)
        basket = self.may_ask(command, size, at_ms)
        taken = self.held() | self.sold()
        off = self.blocked | self.kept_from(command.channel)
        lost = tuple(seat for seat in seats if seat in taken | off)
        if lost:
            raise No(Refusal.SEAT_TAKEN if taken & set(lost) else Refusal.SEAT_BLOCKED, lost)
        for area, _ in command.areas:
            if self.for_tills(area) and command.channel not in TILLS:
                raise No(Refusal.AREA_BLOCKED, detail=str(area))
        for area, many in command.areas:
            if many > self.left(area):
                raise No(Refusal.AREA_FULL, detail=str(area))
        missing = {
            other
            for table in self.plan.tables
            if table.whole and set(table.seats) & set(seats)
            for other in table.seats
            if other not in seats
        }
        if missing:
            raise No(Refusal.WHOLE_TABLE, tuple(sorted(missing)))
        self.not_too_many(command, basket, size)
        if self.settings.orphan_rule:
            rows = {one for one, seat in enumerate(self.plan.seats) if seat.table < 0}
            free = rows - taken - off
            own = set(basket.seats) & rows if basket else set()
            alone = slow_orphans(self.plan, free, set(seats) & rows, own)
            if alone:
                raise No(Refusal.ORPHAN, alone)
        return self.claim(command, seats, command.areas, at_ms)

    def claim(
        self, command: Hold | HoldBest, seats: tuple[int, ...], places: Pairs, at_ms: int
    ) -> Held:
        rules = self.settings
        until_ms = at_ms + min(rules.hold_ms, rules.hold_cap_ms)
        basket = self.baskets.setdefault(
            command.token, Basket(command.holder, command.channel, at_ms, until_ms)
        )
        basket.seats += seats
        for area, many in places:
            basket.places[area] = basket.places.get(area, 0) + many
        return Held(command.token, seats, places, basket.until_ms)

    def follow_best(self, command: HoldBest, at_ms: int, outcome: Outcome | None) -> Outcome:
        basket = self.may_ask(command, command.size, at_ms)
        self.not_too_many(command, basket, command.size)
        if isinstance(outcome, Refused):
            assert outcome.code is Refusal.NONE_LEFT
            return outcome
        assert isinstance(outcome, Held)
        free = set(range(len(self.plan.seats))) - self.held() - self.sold() - self.blocked
        assert set(outcome.seats) <= free - self.kept_from(command.channel)
        assert all(many <= self.left(area) for area, many in outcome.areas)
        if command.channel not in TILLS:
            assert not any(self.for_tills(area) for area, _ in outcome.areas)
        assert len(outcome.seats) + sum(many for _, many in outcome.areas) == command.size
        for table in self.plan.tables:
            if table.whole and set(table.seats) & set(outcome.seats):
                assert set(table.seats) <= set(outcome.seats)
        claimed = self.claim(command, outcome.seats, outcome.areas, at_ms)
        assert claimed.expires_ms == outcome.expires_ms
        return outcome

    def mine(self, token: bytes) -> Basket:
        if token not in self.baskets:
            raise No(Refusal.HOLD_UNKNOWN)
        return self.baskets[token]

    def release(self, command: Release, at_ms: int) -> Outcome:
        if command.seats or command.areas:
            self.well_formed(command.seats, command.areas)
        basket = self.mine(command.token)
        if basket.order:
            raise No(Refusal.IN_PAYMENT)
        seats, places = command.seats, command.areas
        if not seats and not places:
            del self.baskets[command.token]
            return Released(
                command.token, tuple(basket.seats), tuple(sorted(basket.places.items()))
            )
        strangers = tuple(seat for seat in seats if seat not in basket.seats)
        if strangers or any(many > basket.places.get(area, 0) for area, many in places):
            raise No(Refusal.NOT_IN_HOLD, strangers)
        given: list[int] = []
        for seat in seats:
            whole = [one for one in self.plan.tables if one.whole and seat in one.seats]
            for one in whole[0].seats if whole else (seat,):
                if one not in given:
                    given.append(one)
        basket.seats = [seat for seat in basket.seats if seat not in given]
        for area, many in places:
            basket.places[area] -= many
            if not basket.places[area]:
                del basket.places[area]
        if not basket.size():
            del self.baskets[command.token]
        return Released(command.token, tuple(given), places)

    def checkout(self, command: Checkout, at_ms: int) -> Outcome:
        self.well_formed_lines(command)
        basket = self.mine(command.token)
        if basket.order not in ("", command.order):
            raise No(Refusal.WRONG_ORDER)
        seats = [line.seat for line in command.lines if line.area < 0]
        strangers = tuple(seat for seat in seats if seat not in basket.seats)
        if strangers:
            raise No(Refusal.NOT_IN_HOLD, strangers)
        places: dict[int, int] = {}
        for line in command.lines:
            if line.area >= 0:
                places[line.area] = places.get(line.area, 0) + line.quantity
        if any(many > basket.places.get(area, 0) for area, many in places.items()):
            raise No(Refusal.NOT_IN_HOLD)
        if places != basket.places:
            raise No(Refusal.MALFORMED, (), "places of the hold are left out")
        missing = tuple(seat for seat in basket.seats if seat not in seats)
        if missing:
            raise No(Refusal.MALFORMED, missing, "seats of the hold are left out")
        self.within_limits(command, basket)
        amounts = tuple(self.price(line, basket.channel, at_ms) for line in command.lines)
        total = sum(one * line.quantity for one, line in zip(amounts, command.lines, strict=True))
        if not basket.extended:
            until_ms = max(basket.until_ms, at_ms + PAYMENT_HOLD_MS)
            basket.until_ms = min(until_ms, basket.since_ms + self.settings.hold_cap_ms)
        basket.extended = True
        basket.order, basket.buyer = command.order, command.buyer
        basket.lines, basket.amounts = command.lines, amounts
        return Quoted(command.order, amounts, total, self.settings.currency, basket.until_ms)

    def well_formed_lines(self, command: Checkout) -> None:
        seats = [line.seat for line in command.lines if line.area < 0]
        good = (
            command.order
            and command.lines
            and len(set(seats)) == len(seats)
            and all(
                0 <= line.seat < len(self.plan.seats) and line.quantity == 1
                if line.area < 0
                else line.seat < 0 and line.area < len(self.plan.areas) and line.quantity > 0
                for line in command.lines
            )
        )
        if not good:
            raise No(Refusal.MALFORMED)

    def within_limits(self, command: Checkout, basket: Basket) -> None:
        if basket.channel in (Channel.WEB, Channel.RESELLER):
            if basket.size() > self.settings.max_per_order:
                raise No(Refusal.TOO_MANY_IN_ORDER)
            most = self.settings.max_per_buyer
            already = self.buyers_places(command.buyer)
            if basket.order and basket.buyer == command.buyer:
                already -= basket.size()
            if most and command.buyer and already + basket.size() > most:
                raise No(Refusal.TOO_MANY_FOR_BUYER)
        for kind in self.settings.price_types:
            many = sum(line.quantity for line in command.lines if line.price_type == kind.id)
            if kind.max_per_order and many > kind.max_per_order:
                raise No(Refusal.TOO_MANY_OF_TYPE, (), kind.id)
        self.within_quotas(command.lines, self.baskets[command.token])

    def within_quotas(
        self, lines: Any, mine: Basket | None = None, leaving: Sequence[int] = ()
    ) -> None:
        for quota in self.settings.quotas:
            left = max(0, quota.limit - self.counted(quota, mine, leaving))
            wanted = sum(
                line.quantity
                for line in lines
                if self.covers(quota, self.category(line), line.price_type)
            )
            if wanted > left:
                raise No(Refusal.QUOTA_FULL, (), f"{quota.id}: {left} left")

    def category(self, place: Any) -> int:
        """Of a line or a ticket."""
        plan = self.plan
        return (
            plan.seats[place.seat].category if place.area < 0 else plan.areas[place.area].category
        )

    def covers(self, quota: Quota, category: int, price_type: str) -> bool:
        categories, types = quota.categories, quota.price_types
        return category in (categories or [category]) and price_type in (types or [price_type])

    def counted(self, quota: Quota, but: Basket | None = None, leaving: Sequence[int] = ()) -> int:
        places = [
            (line, line.quantity)
            for basket in self.baskets.values()
            if basket.order and basket is not but
            for line in basket.lines
        ]
        places += [
            (sale.ticket, 1)
            for number, sale in self.sales.items()
            if sale.state is not TicketState.REFUNDED and number not in leaving
        ]
        return sum(
            many for one, many in places if self.covers(quota, self.category(one), one.price_type)
        )

    def price(self, line: Any, channel: Channel, at_ms: int) -> int:
        category = self.category(line)
        for kind in self.settings.price_types:
            if kind.id != line.price_type:
                continue
            if kind.status is not TypeStatus.ON_SALE or at_ms < kind.from_ms:
                break
            if kind.until_ms and at_ms >= kind.until_ms:
                break
            if kind.box_office_only and channel not in TILLS:
                break
            for price in self.settings.prices:
                if (price.category, price.price_type) == (category, kind.id):
                    if price.from_ms <= at_ms < (price.until_ms or 2**62):
                        return price.amount
        raise No(Refusal.NO_PRICE, (line.seat,) if line.area < 0 else (), line.price_type)

    def in_payment(self, token: bytes, order: str) -> Basket:
        basket = self.mine(token)
        if not basket.order or basket.order != order:
            raise No(Refusal.WRONG_ORDER)
        return basket

    def reopen(self, command: Reopen, at_ms: int) -> Outcome:
        basket = self.in_payment(command.token, command.order)
        basket.order = basket.buyer = ""
        return Reopened(command.order)

    def sell(self, command: Sell, at_ms: int) -> Outcome:
        basket = self.in_payment(command.token, command.order)
        state = TicketState.VALID if command.paid else TicketState.UNPAID
        made = []
        for line, amount in zip(basket.lines, basket.amounts, strict=True):
            for _ in range(line.quantity):
                number = len(self.sales) + 1
                ticket = Ticket(number, line.seat, line.area, line.price_type, amount)
                self.sales[number] = Sale(ticket, command.order, basket.buyer, state)
                made.append(ticket)
        del self.baskets[command.token]
        return Sold(command.order, tuple(made), state)

    def refund(self, command: Refund, at_ms: int) -> Outcome:
        numbers = command.tickets
        if not numbers or len(set(numbers)) != len(numbers):
            raise No(Refusal.MALFORMED)
        for number in numbers:
            if number not in self.sales or self.sales[number].order != command.order:
                raise No(Refusal.TICKET_UNKNOWN, (), str(number))
        for number in numbers:
            if self.sales[number].through:
                raise No(Refusal.TICKET_USED, (), str(number))
        self.none_refunded(numbers)
        for number in numbers:
            self.sales[number].state = TicketState.REFUNDED
        amount = sum(self.sales[number].ticket.amount for number in numbers)
        return Refunded(command.order, numbers, amount)

    def none_refunded(self, numbers: tuple[int, ...]) -> None:
        for number in numbers:
            if self.sales[number].state is TicketState.REFUNDED:
                raise No(Refusal.TICKET_STATE, (), str(number))

    def settickets(self, command: SetTickets, at_ms: int) -> Outcome:
        numbers = command.tickets
        if not numbers or len(set(numbers)) != len(numbers):
            raise No(Refusal.MALFORMED)
        if command.state is TicketState.REFUNDED:
            raise No(Refusal.MALFORMED)
        for number in numbers:
            if number not in self.sales:
                raise No(Refusal.TICKET_UNKNOWN, (), str(number))
        self.none_refunded(numbers)
        for number in numbers:
            self.sales[number].state = command.state
            self.sales[number].version += command.state is TicketState.REVOKED
        versions = tuple((number, self.sales[number].version) for number in numbers)
        return TicketsSet(versions, command.state)

    def reissue(self, command: Reissue, at_ms: int) -> Outcome:
        numbers = command.tickets
        if not numbers or len(set(numbers)) != len(numbers):
            raise No(Refusal.MALFORMED)
        for number in numbers:
            if number not in self.sales or self.sales[number].order != command.order:
                raise No(Refusal.TICKET_UNKNOWN, (), str(number))
        for number in numbers:
            if self.sales[number].state is not TicketState.VALID:
                raise No(Refusal.TICKET_STATE, (), str(number))
        for number in numbers:
            self.sales[number].version += 1
        versions = tuple((number, self.sales[number].version) for number in numbers)
        return TicketsSet(versions, TicketState.VALID)

    def reprice(self, command: Reprice, at_ms: int) -> Outcome:
        numbers = [number for number, _ in command.tickets]
        if not numbers or len(set(numbers)) != len(numbers):
            raise No(Refusal.MALFORMED)
        if command.amounts and len(command.amounts) != len(numbers):
            raise No(Refusal.MALFORMED)
        self.on_sale(command.channel, command.priced_ms)
        for number in numbers:
            if number not in self.sales or self.sales[number].order != command.order:
                raise No(Refusal.TICKET_UNKNOWN, (), str(number))
        sales = [self.sales[number] for number in numbers]
        lines = [
            Line(sale.ticket.seat, sale.ticket.area, kind)
            for sale, (_, kind) in zip(sales, command.tickets, strict=True)
        ]
        for sale, line in zip(sales, lines, strict=True):
            if sale.ticket.price_type == line.price_type:
                raise No(Refusal.MALFORMED, (), "a place has this price type already")
        for kind in self.settings.price_types:
            more = sum(line.price_type == kind.id for line in lines)
            stay = sum(
                sale.order == command.order
                and sale.state is not TicketState.REFUNDED
                and sale.ticket.price_type == kind.id
                for number, sale in self.sales.items()
                if number not in numbers
            )
            if kind.max_per_order and more and more + stay > kind.max_per_order:
                raise No(Refusal.TOO_MANY_OF_TYPE, (), kind.id)
        self.within_quotas(lines, leaving=numbers)
        amounts = []
        for at, line in enumerate(lines):
            amount = self.price(line, command.channel, command.priced_ms)
            if command.amounts and command.amounts[at] != amount:
                raise No(Refusal.NO_PRICE, (line.seat,) if line.area < 0 else (), line.price_type)
            amounts.append(amount)
        for number in numbers:
            if self.sales[number].through:
                raise No(Refusal.TICKET_USED, (), str(number))
        for number in numbers:
            if self.sales[number].state is not TicketState.VALID:
                raise No(Refusal.TICKET_STATE, (), str(number))
        if not command.amounts:
            until_ms = command.priced_ms + min(PAYMENT_HOLD_MS, self.settings.hold_cap_ms)
            currency = self.settings.currency
            return Quoted(command.order, tuple(amounts), sum(amounts), currency, until_ms)
        told = []
        for sale, line, amount in zip(sales, lines, amounts, strict=True):
            place = sale.ticket.number, line.seat, line.area, line.price_type, amount
            sale.ticket, sale.version = Ticket(*place), sale.version + 1
            told.append(Ticket(*place, sale.version))
        return Repriced(command.order, tuple(told))

    def block(self, command: Block, at_ms: int) -> Outcome:
        self.well_formed(command.seats, command.areas)
        taken = tuple(seat for seat in command.seats if seat in self.held() | self.sold())
        if taken:
            raise No(Refusal.SEAT_TAKEN, taken)
        blocked = tuple(seat for seat in command.seats if seat in self.blocked)
        if blocked:
            raise No(Refusal.SEAT_BLOCKED, blocked)
        for area, many in command.areas:
            if many > self.left(area):
                raise No(Refusal.AREA_FULL, detail=str(area))
        self.blocked |= set(command.seats)
        for area, many in command.areas:
            self.blocked_places[area] += many
        return Blocked(command.seats, command.areas)

    def unblock(self, command: Unblock, at_ms: int) -> Outcome:
        self.well_formed(command.seats, command.areas)
        seats = tuple(seat for seat in command.seats if seat in self.blocked)
        places = tuple(
            (area, min(many, self.blocked_places[area]))
            for area, many in command.areas
            if self.blocked_places[area]
        )
        self.blocked -= set(seats)
        for area, many in places:
            self.blocked_places[area] -= many
        return Unblocked(seats, places)

    def allocate(self, command: Allocate, at_ms: int) -> Outcome:
        name, seats = command.name, command.seats
        if not seats or command.back:
            if name not in self.kept or not set(seats) <= self.kept[name][1]:
                raise No(Refusal.MALFORMED, (), name)
            seats = seats or tuple(sorted(self.kept[name][1]))
            self.kept[name][1].difference_update(seats)
            if not self.kept[name][1]:
                del self.kept[name]
            return Allocated(name, seats)
        if not name or not command.channels:
            raise No(Refusal.MALFORMED)
        self.well_formed(seats, ())
        before = self.kept[name][1] if name in self.kept else set()
        taken, off = self.held() | self.sold(), self.blocked | self.kept_from(None)
        lost = tuple(seat for seat in seats if seat in (taken | off) - before)
        if lost:
            raise No(Refusal.SEAT_TAKEN if taken & set(lost) else Refusal.SEAT_BLOCKED, lost)
        self.kept[name] = command.channels, before | set(seats), command.release_ms
        return Allocated(name, seats)

    def configure(self, command: Configure, at_ms: int) -> Outcome:
        self.settings = command.settings
        return Configured()

    # Doors ----------------------------------------------------------------------

    def stranger(self, command: Scan | KeptScan) -> ScanOutcome | None:
        if command.performance == -1:
            return ScanOutcome.UNKNOWN
        if command.performance != self.performance:
            return ScanOutcome.WRONG_PERFORMANCE
        sale = self.sales.get(command.ticket)
        if sale is None or command.version > sale.version:
            return ScanOutcome.UNKNOWN
        return None

    def scan(self, command: Scan, at_ms: int) -> Outcome:
        stranger = self.stranger(command)
        if stranger is not None:
            return Scanned(stranger, -1 if command.performance == -1 else command.ticket)
        sale = self.sales[command.ticket]
        result = self.door(command, sale, sale.through, at_ms, bool(command.reason))
        told = next(((one.at_ms, one.gate) for one in sale.through if one.entry), (0, ""))
        if command.mode is ScanMode.EXIT and result is ScanOutcome.ALREADY_USED:
            told = sale.through[-1].at_ms, sale.through[-1].gate
        if result is ScanOutcome.ADMITTED and told == (0, ""):
            told = at_ms, command.gate
        if result in (ScanOutcome.ADMITTED, ScanOutcome.EXITED):
            entry = result is ScanOutcome.ADMITTED
            way = Way(at_ms, command.device, None, command.gate, entry, bool(command.reason))
            if sale.through and sale.through[-1].key() > way.key():
                way.at_ms = sale.through[-1].at_ms + 1
            sale.through.append(way)
        ticket = sale.ticket
        return Scanned(
            result,
            ticket.number,
            ticket.seat,
            ticket.area,
            ticket.price_type,
            sale.order,
            *told,
        )

    def door(
        self,
        command: Scan | KeptScan,
        sale: Sale,
        through: list[Way],
        at_ms: int,
        forced: bool = False,
    ) -> ScanOutcome:
        inside = bool(through) and through[-1].entry
        if command.mode is ScanMode.EXIT:
            if not through:
                return ScanOutcome.TOO_EARLY
            return ScanOutcome.EXITED if inside else ScanOutcome.ALREADY_USED
        if command.version < sale.version and command.mode is not ScanMode.MARK:
            return ScanOutcome.REVOKED
        gone = (TicketState.REVOKED, TicketState.REFUNDED)
        if sale.state in gone or (sale.state is not TicketState.VALID and not forced):
            return ScanOutcome[sale.state.name]
        if forced:
            return ScanOutcome.ADMITTED
        shut = {
            ReEntry.NONE: bool(through),
            ReEntry.AFTER_EXIT: inside,
            ReEntry.UNLIMITED: False,
        }[self.settings.re_entry]
        if command.mode is ScanMode.MARK:
            return ScanOutcome.ALREADY_USED if through else ScanOutcome.ADMITTED
        if shut:
            return ScanOutcome.ALREADY_USED
        return self.gate(command, sale, at_ms)

    def gate(self, command: Scan | KeptScan, sale: Sale, at_ms: int) -> ScanOutcome:
        if command.gate and self.settings.gates:
            gates = {gate.id: gate.sections for gate in self.settings.gates}
            if command.gate not in gates:
                return ScanOutcome.WRONG_GATE
            if gates[command.gate] and self.section(sale) not in gates[command.gate]:
                return ScanOutcome.WRONG_GATE
        if at_ms < self.settings.doors_open_ms:
            return ScanOutcome.TOO_EARLY
        if self.settings.doors_close_ms and at_ms >= self.settings.doors_close_ms:
            return ScanOutcome.TOO_LATE
        return ScanOutcome.ADMITTED

    def section(self, sale: Sale) -> int:
        seat, area = sale.ticket.seat, sale.ticket.area
        plan = self.plan
        return plan.areas[area].section if seat < 0 else plan.rows[plan.seats[seat].row].section

    def undoscan(self, command: UndoScan, at_ms: int) -> Outcome:
        name = str(command.ticket)
        if command.ticket not in self.sales:
            raise No(Refusal.TICKET_UNKNOWN, (), name)
        through = self.sales[command.ticket].through
        if not through:
            raise No(Refusal.NOTHING_TO_UNDO, (), name)
        last = through[-1]
        same_gate = command.gate != "" and command.gate == last.gate
        if not (command.anywhere or same_gate or command.device == last.device):
            raise No(Refusal.SCANNED_ELSEWHERE, (), name)
        if at_ms - last.at_ms >= UNDO_MS:
            raise No(Refusal.UNDO_TOO_LATE, (), name)
        through.pop()
        inside = bool(through) and through[-1].entry
        mode = ScanMode.ADMIT if last.entry else ScanMode.EXIT
        return Undone(command.ticket, mode, inside, last.gate, last.device, last.key()[2])

    def keptscan(self, command: KeptScan, at_ms: int) -> Outcome:
        name = command.device, command.sequence
        again = name in self.told
        if again and self.told[name] != command.scanned_ms:
            raise No(Refusal.ID_REUSED, (), str(command.sequence))
        self.told[name] = command.scanned_ms
        stranger = self.stranger(command)
        if stranger is not None:
            return Kept(stranger, -1, False, False, again)
        sale = self.sales[command.ticket]
        pair = command.mode.value, command.shown.value
        way = Way(command.scanned_ms, *name, command.gate, pair == ("admit", "ADMITTED"), False)
        through = sale.through
        earlier = [one for one in through if one.key() < way.key()]
        result = self.door(command, sale, earlier, command.scanned_ms)
        passed = pair in (("admit", "ADMITTED"), ("exit", "EXITED"))
        if passed and not again:
            sale.through.append(way)
            sale.through.sort(key=Way.key)
        double = passed and any(way in group for group in self.doubles(sale))
        return Kept(result, command.ticket, double, bool(through) and through[-1].entry, again)

    def doubles(self, sale: Sale) -> list[list[Way]]:
        """Each admission that the policy forbids, behind the one that was there before it."""
        groups: list[list[Way]] = []
        standing: list[Way] = []
        for way in sale.through:
            if not way.entry:
                if self.settings.re_entry is ReEntry.AFTER_EXIT:
                    standing = []
            elif not standing:
                standing = [way]
                groups.append(standing)
            elif not way.forced:
                standing.append(way)
        if self.settings.re_entry is ReEntry.UNLIMITED:
            return []
        return [
            group
            for group in groups
            if len(group) > 1 and any(way.number is not None for way in group)
        ]

    def inside(self) -> dict[int, str]:
        """The tickets inside, and where each came in."""
        return {
            number: sale.through[-1].gate
            for number, sale in self.sales.items()
            if sale.through and sale.through[-1].entry
        }

    def expire(self, command: Expire, at_ms: int) -> Outcome:
        over = sorted(
            (basket.until_ms, token)
            for token, basket in self.baskets.items()
            if basket.until_ms <= at_ms
        )
        for _, token in over:
            del self.baskets[token]
        due = tuple(sorted(name for name, one in self.kept.items() if 0 < one[2] <= at_ms))
        for name in due:
            del self.kept[name]
        return Expired(tuple(token for _, token in over), due)
