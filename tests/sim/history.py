"""What clients asked and were told, and what each of that means for one seat or one ticket.

Owns the record and its partition: every answered command becomes at most a few *actions*, each
on one seat or one ticket. The sequential models of those are in `tests.sim.sequential`.
"""

from collections.abc import Iterable
from math import inf
from typing import Any, NamedTuple

from engine.commands import (
    Allocated,
    Basket,
    BasketIs,
    Block,
    Blocked,
    Command,
    Held,
    Hold,
    HoldBest,
    HoldEqual,
    Kept,
    KeptScan,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Refusal,
    Refused,
    Reissue,
    Released,
    Reprice,
    Repriced,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    SetTickets,
    Sold,
    TicketsSet,
    Unblocked,
    Undone,
    UndoScan,
)

Key = tuple[int, str, int]
"""(performance, "seat" or "ticket", its number)."""
Action = tuple[Any, ...]


class Asked:
    """One command, from the moment it was first sent; `answered_s` is inf until it is answered."""

    __slots__ = ("answered_s", "client", "command", "invoked_s", "outcome", "performance", "raw")

    def __init__(self, client: str, performance: int, command: Command, invoked_s: float) -> None:
        self.client = client
        self.performance = performance
        self.command = command
        self.invoked_s = invoked_s
        self.answered_s = inf
        self.outcome: Outcome | None = None
        self.raw = b""

    @property
    def is_question(self) -> bool:
        """Answered by how things are when it is asked, each time anew, and not recorded."""
        command = self.command
        kind = type(command)
        if kind is KeptScan:
            return type(self.outcome) is Kept and self.outcome.again
        if kind is Reprice:
            return not command.amounts
        return kind is Basket or (kind is Scan and command.mode is ScanMode.LOOK_UP)


class Presented(NamedTuple):
    """How a ticket was shown; `forced`: the door was told to let it in all the same."""

    mode: ScanMode
    version: int
    device: str
    gate: str
    forced: bool = False


class Step(NamedTuple):
    """An action on one thing, somewhere between two moments."""

    invoked_s: float
    answered_s: float
    action: Action


_SEATS_WERE_FREE = frozenset(
    {Refusal.ORPHAN, Refusal.TOO_MANY_IN_ORDER, Refusal.WHOLE_TABLE, Refusal.AREA_FULL}
)
"""Refusals of a hold that come after its seats were looked at (precedence in `_refuse_hold`)."""


def seat_actions(command: Command, outcome: Outcome) -> Iterable[tuple[int, Action]]:
    """What it says of single seats: (seat, action); of a buyer ("by", channel, action)."""
    if isinstance(command, Hold | HoldBest | HoldEqual):
        told = _told_of_seats(command, outcome)
        return [(seat, ("by", command.channel, action)) for seat, action in told]
    return _told_of_seats(command, outcome)


def _told_of_seats(command: Command, outcome: Outcome) -> Iterable[tuple[int, Action]]:
    kind = type(outcome)
    if kind is Held:
        return [(seat, ("take", outcome.token, outcome.expires_ms)) for seat in outcome.seats]
    if kind is Released:
        return [(seat, ("give", outcome.token)) for seat in outcome.seats]
    if kind is Quoted and type(command) is not Reprice:
        ends_ms, token = outcome.expires_ms, command.token
        return [(line.seat, ("keep", token, ends_ms)) for line in command.lines if line.seat >= 0]
    if kind is Sold:
        token = command.token
        return [(one.seat, ("sell", token, one.number)) for one in outcome.tickets if one.seat >= 0]
    if kind is Allocated:
        kept = command.seats and not command.back
        of = command.channels, command.release_ms
        action = ("allocate", command.name, *of) if kept else ("given back", command.name)
        return [(seat, action) for seat in outcome.seats]
    if kind is Blocked:
        return [(seat, ("block",)) for seat in outcome.seats]
    if kind is BasketIs:
        return [(seat, ("held", outcome.token)) for seat in outcome.seats]
    if kind is Unblocked:
        return [
            (seat, ("unblock",) if seat in outcome.seats else ("not blocked",))
            for seat in command.seats
        ]
    if kind is Refused:
        return _refused_seats(command, outcome)
    return ()


def _refused_seats(command: Command, outcome: Refused) -> Iterable[tuple[int, Action]]:
    code, lost = outcome.code, outcome.seats
    if type(command) is Hold:
        if code is Refusal.SEAT_TAKEN or code is Refusal.SEAT_BLOCKED:
            blocked = code is Refusal.SEAT_BLOCKED
            gone: Action = ("blocked",) if blocked else ("not free",)
            return [(seat, gone if seat in lost else ("free",)) for seat in command.seats]
        if code in _SEATS_WERE_FREE:
            return [(seat, ("free",)) for seat in command.seats]
    elif type(command) is Block and code is Refusal.SEAT_TAKEN:
        return [(seat, ("taken",)) for seat in lost]
    return ()


def ticket_actions(command: Command, outcome: Outcome) -> Iterable[tuple[int, Action]]:
    """What it says of single tickets: (number, action)."""
    kind = type(outcome)
    if kind is Sold:
        return [(one.number, ("sold", outcome.state)) for one in outcome.tickets]
    if kind is Scanned:
        # A scan that admits says what it has written down, any other what it has found.
        used = outcome.used_at_ms, outcome.used_gate
        shown = Presented(*_presented(command), bool(command.reason))
        return [(command.ticket, ("scan", shown, outcome.result, used))]
    if kind is Kept:
        said = outcome.result, outcome.conflict, outcome.inside, outcome.again
        told = command.sequence, command.scanned_ms, _WENT.get(command.shown)
        return [(command.ticket, ("kept", Presented(*_presented(command)), *told, *said))]
    if kind is Undone:
        which = outcome.mode, outcome.inside, outcome.gate, outcome.device, outcome.sequence
        return [(command.ticket, ("undone", *which))]
    if kind is Refused and type(command) is UndoScan:
        return [(command.ticket, ("not undone", outcome.code, command.gate, command.device))]
    if kind is Refunded:
        return [(number, ("refund",)) for number in outcome.tickets]
    if kind is TicketsSet:
        done = "reissued" if type(command) is Reissue else "set"
        return [(number, (done, outcome.state, version)) for number, version in outcome.tickets]
    if kind is Repriced:
        return [(one.number, ("repriced", one.version)) for one in outcome.tickets]
    if kind is Refused and type(command) in (Refund, SetTickets) and len(command.tickets) == 1:
        return [(command.tickets[0], ("refused", outcome.code))]
    return ()


_WENT = {ScanOutcome.ADMITTED: True, ScanOutcome.EXITED: False}


def _presented(command: Scan | KeptScan) -> tuple[ScanMode, int, str, str]:
    return command.mode, command.version, command.device, command.gate


def partition(asked: Iterable[Asked]) -> dict[Key, list[Step]]:
    """The answered commands, as the history of every seat and every ticket."""
    found: dict[Key, list[Step]] = {}
    seat_of: dict[tuple[int, int], int] = {}
    refunds: list[Asked] = []
    kept: list[Asked] = []
    for one in asked:
        outcome = one.outcome
        if outcome is None:
            continue
        house, invoked_s, answered_s = one.performance, one.invoked_s, one.answered_s
        for seat, action in seat_actions(one.command, outcome):
            step = Step(invoked_s, answered_s, action)
            found.setdefault((house, "seat", seat), []).append(step)
        for number, action in ticket_actions(one.command, outcome):
            step = Step(invoked_s, answered_s, action)
            found.setdefault((house, "ticket", number), []).append(step)
        if type(outcome) is Sold:
            for ticket in outcome.tickets:
                seat_of[house, ticket.number] = ticket.seat
        elif type(outcome) is Refunded:
            refunds.append(one)
        elif type(outcome) is Allocated and one.command.seats and not one.command.back:
            kept.append(one)
    for one in kept:
        # Its channels and its time are those of all its seats from then on.
        command, seats = one.command, one.outcome.seats
        changed = "changed", command.name, command.channels, command.release_ms
        for (house, what, seat), history in found.items():
            if (house, what) == (one.performance, "seat") and seat not in seats:
                history.append(Step(one.invoked_s, one.answered_s, changed))
    for one in refunds:
        assert isinstance(one.outcome, Refunded)
        for number in one.outcome.tickets:
            seat = seat_of.get((one.performance, number), -1)
            if seat >= 0:
                step = Step(one.invoked_s, one.answered_s, ("back", number))
                found.setdefault((one.performance, "seat", seat), []).append(step)
    return found
