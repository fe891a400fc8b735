"""The plain sequential models: what one seat, and one ticket, can do when nothing happens at once.

Each is a function from a state and an action to the states that may follow; none means that the
action cannot happen there. Owns no concurrency (`linear` does) and shares no code with the
engine: it is written from what the product promises.

A hold ends by itself when its time is over. Nobody is told, so a held seat may be found free by
whoever comes late enough: `latest_ms` is the latest that any clock may have shown by then.

Of a ticket's passages only the first entry's time is ever told. Where a scan that a device kept
belongs among passages of unknown time is therefore open: several states may follow.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from engine.commands import Refusal, ScanMode, ScanOutcome, TicketState
from engine.settings import ReEntry
from tests.sim.history import Action, Presented

FREE = ("free",)
BLOCKED = ("blocked",)
Seat = tuple[Any, ...]
"""FREE | BLOCKED | ("held", token, ends_ms) | ("sold", ticket), or one of these in an allocation:
("kept", name, channels, release_ms, seat)."""


def seat_step(seat: Seat, action: Action, latest_ms: float) -> list[Seat]:
    """What an action can lead to; a buyer's is ("by", channel, action)."""
    kind = action[0]
    if seat[0] == "kept":
        return _kept_step(seat, action, latest_ms)
    if kind == "allocate":
        return [("kept", *action[1:], one) for one in _bare_step(seat, ("free",), latest_ms)]
    if kind in ("given back", "is kept"):
        return []
    if kind == "changed":
        return [seat]  # it is of another allocation's seats, or of none
    return _bare_step(seat, action[2] if kind == "by" else action, latest_ms)


def _kept_step(seat: Seat, action: Action, latest_ms: float) -> list[Seat]:
    """Of a seat in an allocation; when its time is over it may be in none, and nobody is told."""
    _, name, channels, release_ms, inner = seat
    kind = action[0]
    found: list[Seat] = []
    if kind == "allocate":
        found = [("kept", *action[1:], inner)] if action[1] == name else []
    elif kind == "changed":
        found = [("kept", *action[1:], inner) if action[1] == name else seat]
    elif kind == "given back":
        found = [inner] if action[1] == name else []
    elif kind == "is kept":
        free = FREE in (inner, *_ended(inner, latest_ms))
        found = [("kept", *seat[1:4], FREE)] if action[1] == name and free else []
    elif kind == "by" and action[1] not in channels:
        found = [("kept", *seat[1:4], one) for one in _shut_step(inner, action[2], latest_ms)]
    else:
        plain = action[2] if kind == "by" else action
        found = [("kept", *seat[1:4], one) for one in _bare_step(inner, plain, latest_ms)]
    if 0 < release_ms <= latest_ms:
        found += seat_step(inner, action, latest_ms)
    return list(dict.fromkeys(found))


def _shut_step(seat: Seat, action: Action, latest_ms: float) -> Iterator[Seat]:
    """For a channel that the seat is not kept for: what is free is blocked."""
    for one in (seat, *_ended(seat, latest_ms)):
        if one != FREE:
            after = _seat_step(one, action)
            if after is not None:
                yield after
        elif action[0] in ("blocked", "not free"):
            yield FREE


def _ended(seat: Seat, latest_ms: float) -> list[Seat]:
    return [FREE] if seat[0] == "held" and seat[2] <= latest_ms else []


def _bare_step(seat: Seat, action: Action, latest_ms: float) -> list[Seat]:
    after = _seat_step(seat, action)
    found = [] if after is None else [after]
    for ended in _ended(seat, latest_ms):
        after = _seat_step(ended, action)
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


class Passed(NamedTuple):
    """Somebody went in (`entry`), or out. `at_ms` is None where nobody was told."""

    at_ms: int | None
    device: str
    sequence: int  # of a scan that its device kept, else -1
    gate: str
    entry: bool
    forced: bool = False


class Ticket(NamedTuple):
    """`kept` are the numbers, by device, of the scans that devices kept and have told of."""

    policy: ReEntry
    state: TicketState | None = None
    version: int = 0
    passed: tuple[Passed, ...] = ()
    kept: frozenset[tuple[str, int]] = frozenset()


_OF_STATE = {
    TicketState.REVOKED: ScanOutcome.REVOKED,
    TicketState.REFUNDED: ScanOutcome.REFUNDED,
    TicketState.UNPAID: ScanOutcome.UNPAID,
    TicketState.BLOCKED: ScanOutcome.BLOCKED,
}
_FORGIVEN = frozenset({TicketState.UNPAID, TicketState.BLOCKED})
"""What an override lets in all the same."""


def ticket_step(ticket: Ticket, action: Action, latest_ms: float) -> list[Ticket]:
    kind = action[0]
    if kind == "kept":
        return list(_kept(ticket, *action[1:]))
    after = _scan(ticket, *action[1:]) if kind == "scan" else _ticket_step(ticket, action)
    return [] if after is None else [after]


def _ticket_step(ticket: Ticket, action: Action) -> Ticket | None:
    state, version = ticket.state, ticket.version
    kind = action[0]
    if kind == "sold":
        return ticket._replace(state=action[1]) if state is None else None
    if kind == "is":
        return ticket if _is(ticket, *action[1:]) else None
    if kind == "undone":
        return _undone(ticket, *action[1:])
    if kind == "refused":
        return ticket if _may_refuse(ticket, action[1]) else None
    if kind == "not undone":
        return ticket if _may_not_undo(ticket, *action[1:]) else None
    if state is None or state is TicketState.REFUNDED:
        return None
    if kind == "refund":
        return None if ticket.passed else ticket._replace(state=TicketState.REFUNDED)
    if kind == "repriced":
        may_be = state is TicketState.VALID and not ticket.passed and action[1] == version + 1
        return ticket._replace(version=action[1]) if may_be else None
    if kind == "reissued":
        was_valid = state is action[1] is TicketState.VALID
        return (
            ticket._replace(version=action[2]) if was_valid and action[2] == version + 1 else None
        )
    if kind == "set":
        raised = version + (action[1] is TicketState.REVOKED)
        return ticket._replace(state=action[1], version=raised) if action[2] == raised else None
    raise ValueError(f"no action on a ticket: {action}")


def _is(ticket: Ticket, state: TicketState, version: int, passed: list[tuple[str, int]]) -> bool:
    """At the end: so it is, and these have passed, by (device, number) in their order."""
    mine = [(one.device, one.sequence) for one in ticket.passed]
    return (ticket.state, ticket.version, mine) == (state, version, passed)


def _right(ticket: Ticket, shown: Presented, passed: tuple[Passed, ...]) -> ScanOutcome:
    """What a door should say, when these have passed."""
    state, version = ticket.state, ticket.version
    if state is None or shown.version > version:
        return ScanOutcome.UNKNOWN
    inside = bool(passed) and passed[-1].entry
    if shown.mode is ScanMode.EXIT:
        if not passed:
            return ScanOutcome.TOO_EARLY
        return ScanOutcome.EXITED if inside else ScanOutcome.ALREADY_USED
    if shown.version < version:
        return ScanOutcome.REVOKED
    if state is not TicketState.VALID and not (shown.forced and state in _FORGIVEN):
        return _OF_STATE[state]
    comes_again = ticket.policy is ReEntry.UNLIMITED or (
        ticket.policy is ReEntry.AFTER_EXIT and not inside
    )
    if passed and not comes_again and not shown.forced:
        return ScanOutcome.ALREADY_USED
    return ScanOutcome.ADMITTED


def _scan(
    ticket: Ticket, shown: Presented, result: ScanOutcome, told: tuple[int, str]
) -> Ticket | None:
    if result is not _right(ticket, shown, ticket.passed):
        return None
    if result is ScanOutcome.UNKNOWN:
        return ticket
    passed = ticket.passed
    goes = result in (ScanOutcome.ADMITTED, ScanOutcome.EXITED)
    if goes and shown.mode is not ScanMode.LOOK_UP:
        # It comes after all that is known, so behind others its time may be moved.
        entry = result is ScanOutcome.ADMITTED
        at_ms = None if passed else told[0]
        forced = entry and shown.forced
        passed = (*passed, Passed(at_ms, shown.device, -1, shown.gate, entry, forced))
        if entry and not any(one.entry for one in ticket.passed):
            right = told[0] > 0 and told[1] == shown.gate
            return ticket._replace(passed=passed) if right else None
    if shown.mode is ScanMode.EXIT and result is ScanOutcome.ALREADY_USED:
        told_of = len(passed) - 1
    else:
        told_of = next((at for at, one in enumerate(passed) if one.entry), -1)
    if told_of < 0:
        return ticket._replace(passed=passed) if told == (0, "") else None
    one = passed[told_of]
    if told[1] != one.gate or told[0] <= 0 or one.at_ms not in (None, told[0]):
        return None
    known = one._replace(at_ms=told[0])
    return ticket._replace(passed=(*passed[:told_of], known, *passed[told_of + 1 :]))


def _undone(
    ticket: Ticket, mode: ScanMode, inside: bool, gate: str, device: str, sequence: int
) -> Ticket | None:
    *before, last = ticket.passed or (None,)
    if last is None or last.entry is not (mode is ScanMode.ADMIT):
        return None
    if (last.gate, last.device, last.sequence) != (gate, device, sequence):
        return None
    if inside is not (bool(before) and before[-1].entry):
        return None
    return ticket._replace(passed=tuple(before))


def _may_not_undo(ticket: Ticket, code: Refusal, gate: str, device: str) -> bool:
    if code is Refusal.TICKET_UNKNOWN:
        return ticket.state is None
    if code is Refusal.NOTHING_TO_UNDO:
        return ticket.state is not None and not ticket.passed
    if code is Refusal.SCANNED_ELSEWHERE:
        last = ticket.passed[-1] if ticket.passed else None
        return last is not None and last.device != device and (not gate or last.gate != gate)
    return code is Refusal.UNDO_TOO_LATE and bool(ticket.passed)


def _kept(
    ticket: Ticket,
    shown: Presented,
    sequence: int,
    scanned_ms: int,
    went: bool | None,
    result: ScanOutcome,
    conflict: bool,
    inside: bool,
    again: bool,
) -> Iterator[Ticket]:
    """`went`: the device let somebody in (True), out (False), or nobody."""
    number = shown.device, sequence
    if again is not (number in ticket.kept):
        return
    after = ticket._replace(kept=ticket.kept | {number})
    if ticket.state is None or shown.version > ticket.version:
        if (result, conflict, inside) == (ScanOutcome.UNKNOWN, False, False):
            yield after
        return
    one = Passed(scanned_ms, shown.device, sequence, shown.gate, bool(went))
    there = [at for at, other in enumerate(ticket.passed) if other[1:3] == number]
    for at in there or _places(ticket.passed, one):
        if result is not _right(ticket, shown, ticket.passed[:at]):
            continue
        passed = ticket.passed
        if went is not None and not again:
            passed = (*passed[:at], one, *passed[at:])
        disputed = went is True and (bool(there) or not again) and _is_double(ticket, passed, at)
        if (conflict, inside) == (disputed, bool(passed) and passed[-1].entry):
            yield after._replace(passed=passed)


def _places(passed: tuple[Passed, ...], one: Passed) -> list[int]:
    """Where it may stand by the clocks, as far as these are known."""
    lowest, highest = 0, len(passed)
    for at, other in enumerate(passed):
        if other.at_ms is None:
            continue
        if (other.at_ms, other.device, other.sequence) < (one.at_ms, one.device, one.sequence):
            lowest = at + 1
        else:
            highest = min(highest, at)
    return list(range(lowest, highest + 1))


def _is_double(ticket: Ticket, passed: tuple[Passed, ...], at: int) -> bool:
    """Did somebody else come in on the same ticket, while only a device that was alone saw it?"""
    if ticket.policy is ReEntry.UNLIMITED:
        return False
    stay, number = [], 0
    for other_at, other in enumerate(passed):
        if other.entry:
            stay.append((number, other_at))
        elif ticket.policy is ReEntry.AFTER_EXIT:
            number += 1
    mine = next(number for number, other_at in stay if other_at == at)
    others = [passed[other_at] for number, other_at in stay if number == mine]
    # An override that came behind somebody was meant to let a second one in.
    others = [other for first, other in enumerate(others) if not (first and other.forced)]
    return len(others) > 1


def _may_refuse(ticket: Ticket, code: Refusal) -> bool:
    """Would a refund, or a change of state, be refused so?"""
    if code is Refusal.TICKET_UNKNOWN:
        return ticket.state is None
    if code is Refusal.TICKET_USED:
        return ticket.state is not None and bool(ticket.passed)
    if code is Refusal.TICKET_STATE:
        return ticket.state is TicketState.REFUNDED
    return True
