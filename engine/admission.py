"""The rule of the doors: what a gate says to a ticket, and what can be taken back.

Pairs of a rule and its `do_*` as in `engine.holding`. The shell has verified
the secret; who forged one names performance -1. Knows no device and no
signature; that an override or an undo anywhere is for some only, the edge knows.

A version older than the ticket's is REVOKED (it was reissued); a newer one was
never issued, so it is UNKNOWN. A gate with sections admits those only; the gate
"" stands for no gate in particular and admits all sections, as does every gate
of a performance without gates. A gate that the performance does not have is
WRONG_GATE. Doors are open from `doors_open_ms` until just before `doors_close_ms`.

Nobody is kept in: whoever is inside may leave by any gate, at any time, in any
state of the ticket. Who leaves without having come in is told TOO_EARLY, who leaves
twice ALREADY_USED. An override admits in spite of what is the house's to decide
(UNPAID, BLOCKED, ALREADY_USED, WRONG_GATE, TOO_EARLY, TOO_LATE), never what is no
ticket of this performance any more.
"""

from collections.abc import Sequence
from typing import Final

from engine.commands import (
    KeptScan,
    Refusal,
    Refused,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Ticket,
    TicketState,
    Undone,
    UndoScan,
)
from engine.limits import MAX_PASSAGES_PER_TICKET, UNDO_MS
from engine.passages import NOT_KEPT, Passage, is_inside
from engine.settings import ReEntry
from engine.state import State

_STATE_OUTCOMES: Final = {
    TicketState.REVOKED.value: ScanOutcome.REVOKED,
    TicketState.REFUNDED.value: ScanOutcome.REFUNDED,
    TicketState.UNPAID.value: ScanOutcome.UNPAID,
    TicketState.BLOCKED.value: ScanOutcome.BLOCKED,
}
_NOT_OVERRIDDEN: Final = frozenset({TicketState.REVOKED, TicketState.REFUNDED})
_ADMITTED: Final = ScanOutcome.ADMITTED
_EXITED: Final = ScanOutcome.EXITED
_ALREADY_USED: Final = ScanOutcome.ALREADY_USED
_VALID: Final = TicketState.VALID
_ADMIT: Final = ScanMode.ADMIT
_LOOK_UP: Final = ScanMode.LOOK_UP
_EXIT: Final = ScanMode.EXIT
_MARK: Final = ScanMode.MARK
_NOTHING: Final[tuple[Passage, ...]] = ()


def scan(state: State, command: Scan, at_ms: int) -> Scanned | Refused:
    """Judge one presentation of a ticket, in the order of precedence of `ScanOutcome`."""
    number = command.ticket
    stranger = strange(state, command)
    if stranger is not None:
        named = command.performance >= 0
        return Scanned(stranger, number) if named else Scanned(stranger)
    ticket = state.tickets[number - 1]
    uses = state.ticket_uses.get(number, _NOTHING)
    result = judge(state, command, uses, at_ms, bool(command.reason))
    passes = command.mode is not _LOOK_UP and (result is _ADMITTED or result is _EXITED)
    if passes and len(uses) >= MAX_PASSAGES_PER_TICKET:
        return Refused(Refusal.BUSY, (), f"ticket {number} went in and out {len(uses)} times")
    used_at_ms, used_gate = _used(command, uses, result)
    if passes and result is _ADMITTED and not used_at_ms:
        used_at_ms, used_gate = at_ms, command.gate
    outcome = Scanned(
        result,
        number,
        ticket.seat,
        ticket.area,
        ticket.price_type,
        state.ticket_sales[number - 1][0],
        used_at_ms,
        used_gate,
    )
    # ---- nothing below can refuse or fail ----
    if passes:
        do_scan(state, command, outcome, at_ms)
    return outcome


def _used(command: Scan, uses: Sequence[Passage], result: ScanOutcome) -> tuple[int, str]:
    """When and where the ticket was used first; left last, for who leaves once more."""
    if command.mode is _EXIT and result is _ALREADY_USED:
        return uses[-1].at_ms, uses[-1].gate
    for one in uses:
        if one.entry:
            return one.at_ms, one.gate
    return 0, ""


def strange(state: State, command: Scan | KeptScan) -> ScanOutcome | None:
    """Why this is none of the performance's tickets; None when it is one."""
    if command.performance < 0:
        return ScanOutcome.UNKNOWN
    if command.performance != state.performance:
        return ScanOutcome.WRONG_PERFORMANCE
    number = command.ticket
    version = state.ticket_versions.get(number, 0)
    if not 0 < number <= len(state.tickets) or command.version > version:
        return ScanOutcome.UNKNOWN
    return None


def judge(
    state: State,
    command: Scan | KeptScan,
    uses: Sequence[Passage],
    at_ms: int,
    forced: bool = False,
) -> ScanOutcome:
    """What the gate says to a ticket that was used like this before."""
    mode, number = command.mode, command.ticket
    if mode is _EXIT:
        if not uses:
            return ScanOutcome.TOO_EARLY
        return _EXITED if is_inside(uses) else _ALREADY_USED
    if command.version < state.ticket_versions.get(number, 0) and mode is not _MARK:
        return ScanOutcome.REVOKED
    ticket_state = state.ticket_states.get(number, _VALID)
    if ticket_state is not _VALID and (not forced or ticket_state in _NOT_OVERRIDDEN):
        return _STATE_OUTCOMES[ticket_state.value]
    if forced:
        return _ADMITTED
    if uses and not _may_come_again(state.settings.re_entry, uses, mode):
        return _ALREADY_USED
    if mode is _MARK:
        return _ADMITTED
    if not _is_right_gate(state, command.gate, state.tickets[number - 1]):
        return ScanOutcome.WRONG_GATE
    settings = state.settings
    if at_ms < settings.doors_open_ms:
        return ScanOutcome.TOO_EARLY
    if settings.doors_close_ms and at_ms >= settings.doors_close_ms:
        return ScanOutcome.TOO_LATE
    return _ADMITTED


def _may_come_again(policy: ReEntry, uses: Sequence[Passage], mode: ScanMode) -> bool:
    if mode is _MARK:
        return False  # ticked off already
    if policy is ReEntry.AFTER_EXIT:
        return not is_inside(uses)
    return policy is ReEntry.UNLIMITED


def _is_right_gate(state: State, gate: str, ticket: Ticket) -> bool:
    if not gate or not state.gates:
        return True
    sections = state.gates.get(gate)
    if sections is None:
        return False
    return not sections or state.section_of(ticket.number) in sections


def do_scan(state: State, command: Scan, outcome: Scanned, at_ms: int) -> None:
    """Who went in or out is written down; a refused presentation changes nothing."""
    entry = outcome.result is _ADMITTED
    if entry or outcome.result is _EXITED:
        forced = entry and bool(command.reason)
        passage = Passage(at_ms, command.device, NOT_KEPT, command.gate, entry, forced)
        state.pass_through(outcome.ticket, passage)


def undo(state: State, command: UndoScan, at_ms: int) -> Undone | Refused:
    """Judge taking the last passage back: known, here, and not long ago."""
    number = command.ticket
    if not 0 < number <= len(state.tickets):
        return Refused(Refusal.TICKET_UNKNOWN, (), str(number))
    uses = state.ticket_uses.get(number)
    if not uses:
        return Refused(Refusal.NOTHING_TO_UNDO, (), str(number))
    last = uses[-1]
    here = last.device == command.device or (bool(command.gate) and last.gate == command.gate)
    if not (here or command.anywhere):
        return Refused(Refusal.SCANNED_ELSEWHERE, (), str(number))
    if at_ms - last.at_ms >= UNDO_MS:
        return Refused(Refusal.UNDO_TOO_LATE, (), str(number))
    mode = _ADMIT if last.entry else _EXIT
    inside = is_inside(uses[:-1])
    outcome = Undone(number, mode, inside, last.gate, last.device, last.sequence)
    # ---- nothing below can refuse or fail ----
    do_undo(state, command, outcome, at_ms)
    return outcome


def do_undo(state: State, command: UndoScan, outcome: Undone, at_ms: int) -> None:
    """The ticket stands as before its last passage."""
    state.take_back(outcome.ticket)
