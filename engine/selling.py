"""The rules of money and tickets: checkout, reopen, sell, refund, and a ticket's state.

Pairs of a rule and its `do_*` as in `engine.holding`. Knows what is owed for
what, never how it is paid: that is the order desk's.

Limits. `max_per_order` and `max_per_buyer` bind the buyers' own channels (web,
reseller); a price type's own limit binds everybody. A buyer's places are the
live tickets and what is in payment under that name, wherever bought, so two
checkouts at once cannot slip past the limit together. So do quotas (`engine.quotas`).
Tickets that are exchanged for what is checked out leave their room to it.
"""

from collections.abc import Sequence
from typing import Final

from engine.commands import (
    Channel,
    Checkout,
    Line,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Refusal,
    Refused,
    Reissue,
    Reopen,
    Reopened,
    Sell,
    SetTickets,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
)
from engine.fees import quote
from engine.holding import HOLD_UNKNOWN, MALFORMED, TOO_MANY_IN_ORDER
from engine.house import SCATTERED, SOLD
from engine.limits import PAYMENT_HOLD_MS
from engine.pricing import is_till
from engine.state import HoldState, State, places_in
from engine.stock import FILLED

_WRONG_ORDER: Final = Refused(Refusal.WRONG_ORDER)
_TOO_MANY_FOR_BUYER: Final = Refused(Refusal.TOO_MANY_FOR_BUYER)
_SOLD: Final = FILLED[SOLD]
_VALID: Final = TicketState.VALID
_UNPAID: Final = TicketState.UNPAID
_REVOKED: Final = TicketState.REVOKED
_REFUNDED: Final = TicketState.REFUNDED


def checkout(state: State, command: Checkout, at_ms: int) -> Outcome:
    """Price the hold line by line; the lines must name each of its places exactly once."""
    lines, order = command.lines, command.order
    mine = state.holds.get(command.token)
    # The usual case is quick to price. Whatever is not plain is judged in full.
    amounts = None
    if mine is not None and mine.paying is None and order:
        amounts = _plain_amounts(state, mine, lines)
    if amounts is None:
        refused = _refuse_checkout(state, command, mine)
        if refused is not None:
            return refused
        assert mine is not None
        priced = _amounts(state, command.channel or mine.channel, lines, at_ms)
        if isinstance(priced, Refused):
            return priced
        amounts = priced
    assert mine is not None, "without a hold there are no amounts"
    total = sum(amounts)
    if mine.areas:
        total = sum([line.quantity * one for line, one in zip(lines, amounts, strict=True)])
    ends_ms = mine.expires_ms
    if not mine.extended:
        if ends_ms < at_ms + PAYMENT_HOLD_MS:
            ends_ms = at_ms + PAYMENT_HOLD_MS
        if ends_ms > mine.first_ms + state.settings.hold_cap_ms:
            ends_ms = mine.first_ms + state.settings.hold_cap_ms
    fees, vat_bp = state.settings.fees, state.settings.vat_bp
    outcome = Quoted(
        order,
        tuple(amounts),
        total,
        state.prices.currency,
        ends_ms,
        quote(fees, lines, amounts, command.channel or mine.channel, vat_bp) if fees else (),
        rates(state, lines, at_ms) if state.prices.is_taxed else (),
    )
    # ---- nothing below can refuse or fail ----
    do_checkout(state, command, outcome, at_ms)
    return outcome


def _refuse_checkout(state: State, command: Checkout, mine: HoldState | None) -> Refused | None:
    if not command.order or _malformed_lines(state, command.lines):
        return MALFORMED
    if mine is None or state.cancelled:
        return HOLD_UNKNOWN
    if mine.paying is not None and mine.paying.order != command.order:
        return _WRONG_ORDER
    return _refuse_cover(mine, command.lines) or _refuse_limits(state, mine, command)


def _plain_amounts(state: State, mine: HoldState, lines: tuple[Line, ...]) -> list[int] | None:
    """The amounts, when there is one line a seat in the order of the hold and no limit is near.

    None says nothing but that this is not plain to see.
    """
    seats = mine.seats
    if len(lines) > state.quick_lines or len(lines) != len(seats) or mine.areas:
        return None
    prices, categories = state.prices.plain, state.house.categories
    amounts = []
    try:
        for line, seat in zip(lines, seats):  # noqa: B905 - of one length, and a keyword costs
            if line.seat != seat or line.quantity != 1 or line.area >= 0:
                return None
            amounts.append(prices[line.price_type][categories[seat]])
    except KeyError:
        return None
    return amounts


def _amounts(
    state: State, channel: Channel, lines: tuple[Line, ...], at_ms: int
) -> list[int] | Refused:
    """The amount of one place of each line."""
    amounts = []
    for line in lines:
        seat = line.seat
        category = _category(state, line)
        amount = state.prices.price(category, line.price_type, at_ms, channel)
        if amount is None:
            return Refused(Refusal.NO_PRICE, (seat,) if seat >= 0 else (), line.price_type)
        amounts.append(amount)
    return amounts


def rates(state: State, lines: Sequence[Line], at_ms: int) -> tuple[int | None, ...]:
    """The VAT in one place of each line."""
    prices = state.prices
    return tuple([prices.vat_bp(_category(state, line), line.price_type, at_ms) for line in lines])


def _category(state: State, line: Line) -> int:
    if line.seat >= 0:
        return state.house.categories[line.seat]
    return state.house.outline.areas[line.area].category


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


def _refuse_cover(mine: HoldState, lines: tuple[Line, ...]) -> Refused | None:
    """The lines must cover the hold: nothing else, and nothing left out."""
    named = [line.seat for line in lines if line.area < 0]
    strangers = tuple([seat for seat in named if seat not in mine.seats])
    if strangers:
        return Refused(Refusal.NOT_IN_HOLD, strangers)
    if len(named) != len(lines) or mine.areas:
        left = dict(mine.areas)
        for line in lines:
            if line.area >= 0:
                left[line.area] = left.get(line.area, 0) - line.quantity
        if any(quantity < 0 for quantity in left.values()):
            return Refused(Refusal.NOT_IN_HOLD)
        if any(left.values()):
            return Refused(Refusal.MALFORMED, (), "places of the hold are left out")
    if len(named) != len(mine.seats):
        missing = tuple([seat for seat in mine.seats if seat not in named])
        return Refused(Refusal.MALFORMED, missing, "seats of the hold are left out")
    return None


def _refuse_limits(state: State, mine: HoldState, command: Checkout) -> Refused | None:
    places = places_in(mine.seats, mine.areas)
    if not is_till(command.channel or mine.channel):
        if places > state.max_per_order:
            return TOO_MANY_IN_ORDER
        most = state.settings.max_per_buyer
        if most and command.buyer:
            others = state.buyer_places.get(command.buyer, 0)
            if mine.paying is not None and mine.paying.buyer == command.buyer:
                others -= places
            sales = state.ticket_sales
            leaving = [sales[ticket.number - 1][1] for ticket in _exchanged(state, command)]
            others -= leaving.count(command.buyer)
            if others + places > most:
                return _TOO_MANY_FOR_BUYER
    for kind in state.limited_types:
        of_type = sum([line.quantity for line in command.lines if line.price_type == kind.id])
        if of_type > kind.max_per_order:
            return Refused(Refusal.TOO_MANY_OF_TYPE, (), kind.id)
    if state.quotas is not None:
        own = [] if mine.paying is None else state.counted(mine.paying.lines)
        own += [state.counted_ticket(ticket) for ticket in _exchanged(state, command)]
        return state.quotas.refuse(state.counted(command.lines), own)
    return None


def _exchanged(state: State, command: Checkout) -> list[Ticket]:
    """The tickets of the order that its checkout is instead of, those that stand."""
    return [
        state.tickets[number - 1]
        for number in set(command.instead)
        if 0 < number <= len(state.tickets)
        and state.ticket_sales[number - 1][0] == command.order
        and state.ticket_states.get(number) is not _REFUNDED
    ]


def do_checkout(state: State, command: Checkout, outcome: Quoted, at_ms: int) -> None:
    """The hold is in payment for this order, at these amounts."""
    mine = state.holds[command.token]
    buyer, ends_ms = command.buyer, outcome.expires_ms
    places = places_in(mine.seats, mine.areas) if mine.areas else len(mine.seats)
    if mine.paying is not None:
        state.count_buyer(mine.paying.buyer, -places)
    if buyer:
        state.buyer_places[buyer] = state.buyer_places.get(buyer, 0) + places
    if state.quotas is not None:
        state.count_quotas(mine.paying, -1)
        state.count_quotas(command, +1)
    mine.paying = command
    mine.amounts = outcome.amounts
    mine.extended = True
    if mine.expires_ms != ends_ms:
        mine.expires_ms = ends_ms
        if ends_ms <= state.looked_to_ms:
            state.expect(mine.token, ends_ms)


def reopen(state: State, command: Reopen, at_ms: int) -> Outcome:
    """Judge giving up the payment."""
    mine = state.holds.get(command.token)
    if mine is None:
        return HOLD_UNKNOWN
    if mine.paying is None or mine.paying.order != command.order:
        return _WRONG_ORDER
    outcome = Reopened(command.order)
    # ---- nothing below can refuse or fail ----
    do_reopen(state, command, outcome, at_ms)
    return outcome


def do_reopen(state: State, command: Reopen, outcome: Reopened, at_ms: int) -> None:
    """The hold can change again."""
    mine = state.holds[command.token]
    if mine.paying is not None:
        state.count_buyer(mine.paying.buyer, -places_in(mine.seats, mine.areas))
        state.count_quotas(mine.paying, -1)
    mine.paying, mine.amounts = None, ()


def sell(state: State, command: Sell, at_ms: int) -> Outcome:
    """Make the tickets of what was quoted: one a seat, one a place."""
    order = command.order
    mine = state.holds.get(command.token)
    if mine is None or state.cancelled:
        return HOLD_UNKNOWN
    paying = mine.paying
    if paying is None or paying.order != order:
        return _WRONG_ORDER
    number = len(state.tickets)
    tickets = []
    for line, amount in zip(paying.lines, mine.amounts):  # noqa: B905 - as above
        number += 1
        tickets.append(Ticket(number, line.seat, line.area, line.price_type, amount))
        if line.quantity > 1:
            for _ in range(line.quantity - 1):
                number += 1
                tickets.append(Ticket(number, -1, line.area, line.price_type, amount))
    outcome = Sold(order, tuple(tickets), _VALID if command.paid else _UNPAID)
    # ---- nothing below can refuse or fail ----
    do_sell(state, command, outcome, at_ms)
    return outcome


def do_sell(state: State, command: Sell, outcome: Sold, at_ms: int) -> None:
    """The hold is tickets now. The buyer's places and the quotas' were counted at checkout."""
    mine = state.end_hold(command.token)
    assert mine.paying is not None
    tickets = outcome.tickets
    seats, first = mine.seats, mine.first
    if first != SCATTERED:
        # As `State.put`, without the call.
        state.codes[first : first + len(seats)] = _SOLD[len(seats)]
        state.touched.append(seats)
    elif seats:
        state.put(seats, first, SOLD)
    state.tickets += tickets
    state.ticket_sales += [(outcome.order, mine.paying.buyer)] * len(tickets)
    if outcome.state is not _VALID:
        for ticket in tickets:
            state.ticket_states[ticket.number] = outcome.state


def refund(state: State, command: Refund, at_ms: int) -> Outcome:
    """Judge ending tickets of one order: known, not used, not refunded before."""
    numbers = command.tickets
    if not numbers or len(set(numbers)) != len(numbers):
        return MALFORMED
    sales = state.ticket_sales
    for number in numbers:
        if not 0 < number <= len(sales) or sales[number - 1][0] != command.order:
            return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    for number in numbers:
        if number in state.ticket_uses:
            return Refused(Refusal.TICKET_USED, (), str(number))
    for number in numbers:
        if state.ticket_states.get(number) is _REFUNDED:
            return Refused(Refusal.TICKET_STATE, (), str(number))
    amount = sum([state.tickets[number - 1].amount for number in numbers])
    outcome = Refunded(command.order, numbers, amount)
    # ---- nothing below can refuse or fail ----
    do_refund(state, command, outcome, at_ms)
    return outcome


def do_refund(state: State, command: Refund, outcome: Refunded, at_ms: int) -> None:
    """The tickets end, and their places come free."""
    for number in outcome.tickets:
        ticket = state.tickets[number - 1]
        state.ticket_states[number] = _REFUNDED
        if ticket.seat >= 0:
            state.free((ticket.seat,), SCATTERED)
        else:
            state.move_places(((ticket.area, 1),), +1)
        state.count_buyer(state.ticket_sales[number - 1][1], -1)
        if state.quotas is not None:
            state.quotas.count((state.counted_ticket(ticket),), -1)


def reissue(state: State, command: Reissue, at_ms: int) -> Outcome:
    """Judge new secrets for tickets of one order, used or not, that admit."""
    numbers = command.tickets
    if not numbers or len(set(numbers)) != len(numbers):
        return MALFORMED
    sales = state.ticket_sales
    for number in numbers:
        if not 0 < number <= len(sales) or sales[number - 1][0] != command.order:
            return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    for number in numbers:
        if number in state.ticket_states:
            return Refused(Refusal.TICKET_STATE, (), str(number))
    versions = state.ticket_versions
    set_to = tuple([(number, versions.get(number, 0) + 1) for number in numbers])
    outcome = TicketsSet(set_to, _VALID)
    # ---- nothing below can refuse or fail ----
    do_set_tickets(state, command, outcome, at_ms)
    return outcome


def set_tickets(state: State, command: SetTickets, at_ms: int) -> Outcome:
    """Judge a change of state; a refunded ticket has none to change, and refunds are `Refund`'s."""
    numbers = command.tickets
    if not numbers or len(set(numbers)) != len(numbers) or command.state is _REFUNDED:
        return MALFORMED
    for number in numbers:
        if not 0 < number <= len(state.tickets):
            return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    for number in numbers:
        if state.ticket_states.get(number) is _REFUNDED:
            return Refused(Refusal.TICKET_STATE, (), str(number))
    raised = 1 if command.state is _REVOKED else 0
    versions = state.ticket_versions
    set_to = tuple([(number, versions.get(number, 0) + raised) for number in numbers])
    outcome = TicketsSet(set_to, command.state)
    # ---- nothing below can refuse or fail ----
    do_set_tickets(state, command, outcome, at_ms)
    return outcome


def do_set_tickets(
    state: State, command: SetTickets | Reissue, outcome: TicketsSet, at_ms: int
) -> None:
    """The tickets have this state and these versions."""
    for number, version in outcome.tickets:
        if outcome.state is _VALID:
            state.ticket_states.pop(number, None)
        else:
            state.ticket_states[number] = outcome.state
        if version:
            state.ticket_versions[number] = version
