"""The rule of giving sold tickets another price type: somebody brings a student card.

The place, the number and the order of a ticket stay; its price type, its amount and its version
change. There is nothing to hold and nothing to lock: what was quoted is judged once more when it
is done, so that no quota is over its limit because somebody was slow to pay. Prices are those of
the time when it was quoted, as the settings tell them now.
"""

from collections import Counter

from engine.commands import (
    Line,
    Outcome,
    Quoted,
    Refusal,
    Refused,
    Reprice,
    Repriced,
    Ticket,
    TicketState,
)
from engine.fees import quote
from engine.holding import MALFORMED, refuse_times
from engine.limits import MAX_PLACES_PER_HOLD, PAYMENT_HOLD_MS
from engine.selling import rates
from engine.state import State


def reprice(state: State, command: Reprice, at_ms: int) -> Outcome:
    """Judge other price types for valid tickets of one order that nobody came in with."""
    if _malformed(command):
        return MALFORMED
    refused = refuse_times(state, command.channel, command.priced_ms)
    if refused is not None:
        return refused
    old = _tickets(state, command)
    if isinstance(old, Refused):
        return old
    lines = [
        Line(ticket.seat, ticket.area, kind)
        for ticket, (_, kind) in zip(old, command.tickets, strict=True)
    ]
    if any(one.price_type == line.price_type for one, line in zip(old, lines, strict=True)):
        return Refused(Refusal.MALFORMED, (), "a place has this price type already")
    amounts = _refuse_limits(state, command, old, lines) or _amounts(state, command, lines)
    if isinstance(amounts, Refused):
        return amounts
    for ticket in old:
        if ticket.number in state.ticket_uses:
            return Refused(Refusal.TICKET_USED, (), str(ticket.number))
    for ticket in old:
        if ticket.number in state.ticket_states:
            return Refused(Refusal.TICKET_STATE, (), str(ticket.number))
    if not command.amounts:
        settings = state.settings
        return Quoted(
            command.order,
            tuple(amounts),
            sum(amounts),
            state.prices.currency,
            command.priced_ms + min(PAYMENT_HOLD_MS, settings.hold_cap_ms),
            quote(settings.fees, lines, amounts, command.channel, settings.vat_bp),
            rates(state, lines, command.priced_ms) if state.prices.is_taxed else (),
        )
    versions = state.ticket_versions
    new = [
        Ticket(
            one.number,
            one.seat,
            one.area,
            line.price_type,
            amount,
            versions.get(one.number, 0) + 1,
        )
        for one, line, amount in zip(old, lines, amounts, strict=True)
    ]
    outcome = Repriced(command.order, tuple(new))
    # ---- nothing below can refuse or fail ----
    do_reprice(state, command, outcome, at_ms)
    return outcome


def _malformed(command: Reprice) -> bool:
    numbers = {number for number, _ in command.tickets}
    if not 0 < len(command.tickets) <= MAX_PLACES_PER_HOLD or len(numbers) != len(command.tickets):
        return True
    return bool(command.amounts) and len(command.amounts) != len(command.tickets)


def _tickets(state: State, command: Reprice) -> list[Ticket] | Refused:
    sales = state.ticket_sales
    for number, _ in command.tickets:
        if not 0 < number <= len(sales) or sales[number - 1][0] != command.order:
            return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    return [state.tickets[number - 1] for number, _ in command.tickets]


def _refuse_limits(
    state: State, command: Reprice, old: list[Ticket], lines: list[Line]
) -> Refused | None:
    """Quotas, and limits of types over all that the order has; the tickets leave their room."""
    if state.limited_types:
        leaving = {ticket.number for ticket in old}
        has = Counter(
            [
                ticket.price_type
                for ticket, (order, _) in zip(state.tickets, state.ticket_sales, strict=True)
                if order == command.order
                and ticket.number not in leaving
                and state.ticket_states.get(ticket.number) is not TicketState.REFUNDED
            ]
        )
        more = Counter([line.price_type for line in lines])
        for kind in state.limited_types:
            if more[kind.id] and has[kind.id] + more[kind.id] > kind.max_per_order:
                return Refused(Refusal.TOO_MANY_OF_TYPE, (), kind.id)
    if state.quotas is None:
        return None
    own = [state.counted_ticket(ticket) for ticket in old]
    return state.quotas.refuse(state.counted(lines), own)


def _amounts(state: State, command: Reprice, lines: list[Line]) -> list[int] | Refused:
    """What each ticket costs by its new price type, which is what was quoted if it was."""
    amounts = []
    for at, line in enumerate(lines):
        [(category, _, _)] = state.counted((line,))
        amount = state.prices.price(category, line.price_type, command.priced_ms, command.channel)
        if amount is None or (command.amounts and amount != command.amounts[at]):
            seats = (line.seat,) if line.seat >= 0 else ()
            return Refused(Refusal.NO_PRICE, seats, line.price_type)
        amounts.append(amount)
    return amounts


def do_reprice(state: State, command: Reprice, outcome: Repriced, at_ms: int) -> None:
    """The tickets have these price types, amounts and versions."""
    for ticket in outcome.tickets:
        number = ticket.number
        if state.quotas is not None:
            state.quotas.count((state.counted_ticket(state.tickets[number - 1]),), -1)
            state.quotas.count((state.counted_ticket(ticket),), +1)
        # Without its version, which stands among the versions alone.
        state.tickets[number - 1] = Ticket(
            number, ticket.seat, ticket.area, ticket.price_type, ticket.amount
        )
        state.ticket_versions[number] = ticket.version
