"""The rules of money and tickets: checkout, reopen, sell, refund, and a ticket's state.

Pairs of `decide_*` and `do_*` as in `engine.holding`. Knows what is owed for
what, never how it is paid: that is the order desk's.

Limits. `max_per_order` and `max_per_buyer` bind the buyers' own channels (web,
reseller); a price type's own limit binds everybody. A buyer's places are the
live tickets and what is in payment under that name, wherever bought, so two
checkouts at once cannot slip past the limit together.
"""

from typing import Final

from engine.commands import (
    Checkout,
    Line,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Refusal,
    Refused,
    Reopen,
    Reopened,
    Sell,
    SetTickets,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
)
from engine.holding import HOLD_UNKNOWN, MALFORMED, TOO_MANY_IN_ORDER
from engine.house import SOLD
from engine.limits import PAYMENT_HOLD_MS
from engine.pricing import is_till
from engine.state import HoldState, State, places_in

_WRONG_ORDER: Final = Refused(Refusal.WRONG_ORDER)
_TOO_MANY_FOR_BUYER: Final = Refused(Refusal.TOO_MANY_FOR_BUYER)
_VALID: Final = TicketState.VALID
_UNPAID: Final = TicketState.UNPAID
_REVOKED: Final = TicketState.REVOKED
_REFUNDED: Final = TicketState.REFUNDED


def decide_checkout(state: State, command: Checkout, at_ms: int) -> Outcome:
    """Price the hold line by line; the lines must name each of its places exactly once."""
    lines = command.lines
    if not command.order or _malformed_lines(state, lines):
        return MALFORMED
    hold = state.holds.get(command.token)
    if hold is None:
        return HOLD_UNKNOWN
    if hold.order and hold.order != command.order:
        return _WRONG_ORDER
    refused = _refuse_cover(hold, lines) or _refuse_limits(state, hold, command)
    if refused is not None:
        return refused
    amounts = []
    total = 0
    categories, areas, prices = state.house.categories, state.house.plan.areas, state.prices
    channel = hold.channel
    for line in lines:
        seat = line.seat
        category = categories[seat] if seat >= 0 else areas[line.area].category
        amount = prices.price(category, line.price_type, at_ms, channel)
        if amount is None:
            return Refused(Refusal.NO_PRICE, (seat,) if seat >= 0 else (), line.price_type)
        amounts.append(amount)
        total += amount * line.quantity
    expires_ms = hold.expires_ms
    if not hold.extended:
        cap_ms = hold.first_ms + state.settings.hold_cap_ms
        expires_ms = min(max(expires_ms, at_ms + PAYMENT_HOLD_MS), cap_ms)
    return Quoted(command.order, tuple(amounts), total, prices.currency, expires_ms)


def _malformed_lines(state: State, lines: tuple[Line, ...]) -> bool:
    if not lines:
        return True
    seat_count, area_count = state.house.seat_count, state.house.area_count
    seen = set()
    for line in lines:
        seat, area = line.seat, line.area
        if area < 0:
            if not 0 <= seat < seat_count or line.quantity != 1 or seat in seen:
                return True
            seen.add(seat)
        elif seat >= 0 or area >= area_count or line.quantity < 1:
            return True
    return False


def _refuse_cover(hold: HoldState, lines: tuple[Line, ...]) -> Refused | None:
    """The lines must cover the hold: nothing else, and nothing left out."""
    named = [line.seat for line in lines if line.area < 0]
    strangers = tuple([seat for seat in named if seat not in hold.seats])
    if strangers:
        return Refused(Refusal.NOT_IN_HOLD, strangers)
    if len(named) != len(lines) or hold.areas:
        left = dict(hold.areas)
        for line in lines:
            if line.area >= 0:
                left[line.area] = left.get(line.area, 0) - line.quantity
        if any(quantity < 0 for quantity in left.values()):
            return Refused(Refusal.NOT_IN_HOLD)
        if any(left.values()):
            return Refused(Refusal.MALFORMED, (), "places of the hold are left out")
    if len(named) != len(hold.seats):
        missing = tuple([seat for seat in hold.seats if seat not in named])
        return Refused(Refusal.MALFORMED, missing, "seats of the hold are left out")
    return None


def _refuse_limits(state: State, hold: HoldState, command: Checkout) -> Refused | None:
    online = not is_till(hold.channel)
    places = places_in(hold.seats, hold.areas)
    if online and places > state.max_per_order:
        return TOO_MANY_IN_ORDER
    most = state.settings.max_per_buyer
    if online and most and command.buyer:
        others = state.buyer_places.get(command.buyer, 0)
        if hold.order and hold.buyer == command.buyer:
            others -= places
        if others + places > most:
            return _TOO_MANY_FOR_BUYER
    for kind in state.limited_types:
        of_type = sum([line.quantity for line in command.lines if line.price_type == kind.id])
        if of_type > kind.max_per_order:
            return Refused(Refusal.TOO_MANY_OF_TYPE, (), kind.id)
    return None


def do_checkout(state: State, command: Checkout, outcome: Quoted, at_ms: int) -> None:
    """The hold is in payment for this order, at these amounts."""
    hold = state.holds[command.token]
    places = places_in(hold.seats, hold.areas)
    if hold.order:
        state.count_buyer(hold.buyer, -places)
    state.count_buyer(command.buyer, places)
    hold.order, hold.buyer = command.order, command.buyer
    hold.lines, hold.amounts = command.lines, outcome.amounts
    hold.extended = True
    if hold.expires_ms != outcome.expires_ms:
        hold.expires_ms = outcome.expires_ms
        state.expect_end(hold)


def decide_reopen(state: State, command: Reopen, at_ms: int) -> Outcome:
    """Judge giving up the payment."""
    hold = state.holds.get(command.token)
    if hold is None:
        return HOLD_UNKNOWN
    if not hold.order or hold.order != command.order:
        return _WRONG_ORDER
    return Reopened(command.order)


def do_reopen(state: State, command: Reopen, outcome: Reopened, at_ms: int) -> None:
    """The hold can change again."""
    hold = state.holds[command.token]
    state.count_buyer(hold.buyer, -places_in(hold.seats, hold.areas))
    hold.order = hold.buyer = ""
    hold.lines = hold.amounts = ()


def decide_sell(state: State, command: Sell, at_ms: int) -> Outcome:
    """Make the tickets of what was quoted: one a seat, one a place."""
    order = command.order
    hold = state.holds.get(command.token)
    if hold is None:
        return HOLD_UNKNOWN
    if not hold.order or hold.order != order:
        return _WRONG_ORDER
    number = len(state.tickets)
    tickets = []
    for line, amount in zip(hold.lines, hold.amounts, strict=True):
        for _ in range(line.quantity):
            number += 1
            tickets.append(Ticket(number, line.seat, line.area, line.price_type, amount))
    return Sold(order, tuple(tickets), _VALID if command.paid else _UNPAID)


def do_sell(state: State, command: Sell, outcome: Sold, at_ms: int) -> None:
    """The hold is tickets now. The buyer's places were counted at checkout."""
    hold = state.end_hold(command.token)
    count = len(outcome.tickets)
    state.put(hold.seats, SOLD)
    state.tickets += outcome.tickets
    state.ticket_orders += [outcome.order] * count
    state.ticket_buyers += [hold.buyer] * count
    state.ticket_states += [outcome.state] * count


def decide_refund(state: State, command: Refund, at_ms: int) -> Outcome:
    """Judge ending tickets of one order: known, not used, not refunded before."""
    numbers = command.tickets
    if not numbers or len(set(numbers)) != len(numbers):
        return MALFORMED
    orders = state.ticket_orders
    for number in numbers:
        if not 0 < number <= len(orders) or orders[number - 1] != command.order:
            return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    for number in numbers:
        if number in state.ticket_uses:
            return Refused(Refusal.TICKET_USED, (), str(number))
    for number in numbers:
        if state.ticket_states[number - 1] is _REFUNDED:
            return Refused(Refusal.TICKET_STATE, (), str(number))
    amount = sum([state.tickets[number - 1].amount for number in numbers])
    return Refunded(command.order, numbers, amount)


def do_refund(state: State, command: Refund, outcome: Refunded, at_ms: int) -> None:
    """The tickets end, and their places come free."""
    for number in outcome.tickets:
        ticket = state.tickets[number - 1]
        state.ticket_states[number - 1] = _REFUNDED
        if ticket.seat >= 0:
            state.free((ticket.seat,))
        else:
            state.move_places(((ticket.area, 1),), +1)
        state.count_buyer(state.ticket_buyers[number - 1], -1)


def decide_set_tickets(state: State, command: SetTickets, at_ms: int) -> Outcome:
    """Judge a change of state; a refunded ticket has none to change, and refunds are `Refund`'s."""
    numbers = command.tickets
    if not numbers or len(set(numbers)) != len(numbers) or command.state is _REFUNDED:
        return MALFORMED
    for number in numbers:
        if not 0 < number <= len(state.tickets):
            return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    for number in numbers:
        if state.ticket_states[number - 1] is _REFUNDED:
            return Refused(Refusal.TICKET_STATE, (), str(number))
    raised = 1 if command.state is _REVOKED else 0
    versions = state.ticket_versions
    return TicketsSet(
        tuple([(number, versions.get(number, 0) + raised) for number in numbers]), command.state
    )


def do_set_tickets(state: State, command: SetTickets, outcome: TicketsSet, at_ms: int) -> None:
    """The tickets have this state and these versions."""
    for number, version in outcome.tickets:
        state.ticket_states[number - 1] = outcome.state
        if version:
            state.ticket_versions[number] = version
