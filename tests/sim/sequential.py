"""The plain sequential models: what one seat, and one ticket, can do when nothing happens at once.

Each is a function from a state and an action to the states that may follow; none means that the
action cannot happen there. Owns no concurrency (`linear` does) and shares no code with the
engine: it is written from what the product promises.

A hold ends by itself when its time is over. Nobody is told, so a held seat may be found free by
whoever comes late enough: `latest_ms` is the latest that any clock may have shown by then.
"""

from engine.commands import Refusal, ScanMode, ScanOutcome, TicketState
from tests.sim.history import Action

FREE = ("free",)
BLOCKED = ("blocked",)
Seat = tuple[object, ...]
"""FREE | BLOCKED | ("held", token, ends_ms) | ("sold", ticket)."""


def seat_step(seat: Seat, action: Action, latest_ms: float) -> list[Seat]:
    after = _seat_step(seat, action)
    found = [] if after is None else [after]
    if seat[0] == "held" and seat[2] <= latest_ms:  # type: ignore[operator]
        after = _seat_step(FREE, action)
        if after is not None and after not in found:
            found.append(after)
    return found


def _seat_step(seat: Seat, action: Action) -> Seat | None:
    kind, now = action[0], seat[0]
    if kind == "take":
        return ("held", action[1], action[2]) if now == "free" else None
    if kind == "free":
        return seat if now == "free" else None
    if kind == "not free":
        return seat if now != "free" else None
    if kind == "taken":
        return seat if now in ("held", "sold") else None
    if kind == "blocked":
        return seat if now == "blocked" else None
    if kind == "not blocked":
        return seat if now != "blocked" else None
    if kind == "block":
        return BLOCKED if now == "free" else None
    if kind == "unblock":
        return FREE if now == "blocked" else None
    if kind == "back":
        return FREE if seat == ("sold", action[1]) else None
    if kind == "is sold":
        return seat if seat == ("sold", action[1]) else None
    if now != "held" or seat[1] != action[1]:  # what follows is about this hold
        return None
    if kind == "held":
        return seat
    if kind == "keep":
        return ("held", action[1], action[2])
    if kind == "give":
        return FREE
    if kind == "sell":
        return ("sold", action[2])
    raise ValueError(f"no action on a seat: {action}")


UNSOLD = (None, 0, (0, ""))
Ticket = tuple[TicketState | None, int, tuple[int, str]]
"""(state, version, when and where it was used)."""
_NOT_USED = (0, "")
_OF_STATE = {
    TicketState.REVOKED: ScanOutcome.REVOKED,
    TicketState.REFUNDED: ScanOutcome.REFUNDED,
    TicketState.UNPAID: ScanOutcome.UNPAID,
    TicketState.BLOCKED: ScanOutcome.BLOCKED,
}


def ticket_step(ticket: Ticket, action: Action, latest_ms: float) -> list[Ticket]:
    after = _ticket_step(ticket, action)
    return [] if after is None else [after]


def _ticket_step(ticket: Ticket, action: Action) -> Ticket | None:
    state, version, used = ticket
    kind = action[0]
    if kind == "sold":
        return (action[1], 0, _NOT_USED) if state is None else None
    if kind == "scan":
        return _scan(ticket, action)
    if kind == "is":
        return ticket if (state, version) == action[1:] else None
    if kind == "refused":
        return ticket if _may_refuse(ticket, action[1]) else None
    if state is None or state is TicketState.REFUNDED:
        return None
    if kind == "refund":
        return (TicketState.REFUNDED, version, used) if used == _NOT_USED else None
    if kind == "set":
        raised = version + (action[1] is TicketState.REVOKED)
        return (action[1], raised, used) if action[2] == raised else None
    raise ValueError(f"no action on a ticket: {action}")


def _scan(ticket: Ticket, action: Action) -> Ticket | None:
    state, version, used = ticket
    _, mode, shown, result, told = action
    if state is None or shown > version:
        right = ScanOutcome.UNKNOWN
    elif shown < version:
        right = ScanOutcome.REVOKED
    elif state is not TicketState.VALID:
        right = _OF_STATE[state]
    elif used != _NOT_USED:
        right = ScanOutcome.ALREADY_USED
    else:
        right = ScanOutcome.ADMITTED
    if result is not right:
        return None
    if right is ScanOutcome.ADMITTED and mode is ScanMode.ADMIT:
        return (state, version, told) if told != _NOT_USED else None
    return ticket if told == used or right is ScanOutcome.UNKNOWN else None


def _may_refuse(ticket: Ticket, code: Refusal) -> bool:
    """Would a refund, or a change of state, be refused so?"""
    state, _, used = ticket
    if code is Refusal.TICKET_UNKNOWN:
        return state is None
    if code is Refusal.TICKET_USED:
        return state is not None and used != _NOT_USED
    if code is Refusal.TICKET_STATE:
        return state is TicketState.REFUNDED
    return True
