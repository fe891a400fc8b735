"""The rule of the doors: what a gate says to a ticket.

A pair of a rule and its `do_scan` as in `engine.holding`. The shell has
verified the secret; who forged one names performance -1. Knows no device and
no signature.

A version older than the ticket's is REVOKED (it was reissued); a newer one was
never issued, so it is UNKNOWN. A gate with sections admits those only; the gate
"" stands for no gate in particular and admits all sections, as does every gate
of a performance without gates. A gate that the performance does not have is
WRONG_GATE. Doors are open from `doors_open_ms` until just before `doors_close_ms`.
"""

from typing import Final

from engine.commands import (
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Ticket,
    TicketState,
)
from engine.state import State

_STATE_OUTCOMES: Final = {
    TicketState.REVOKED.value: ScanOutcome.REVOKED,
    TicketState.REFUNDED.value: ScanOutcome.REFUNDED,
    TicketState.UNPAID.value: ScanOutcome.UNPAID,
    TicketState.BLOCKED.value: ScanOutcome.BLOCKED,
}
_ADMITTED: Final = ScanOutcome.ADMITTED
_ALREADY_USED: Final = ScanOutcome.ALREADY_USED
_VALID: Final = TicketState.VALID
_ADMIT: Final = ScanMode.ADMIT


def scan(state: State, command: Scan, at_ms: int) -> Scanned:
    """Judge one presentation of a ticket, in the order of precedence of `ScanOutcome`."""
    number = command.ticket
    if command.performance < 0:
        return Scanned(ScanOutcome.UNKNOWN)
    if command.performance != state.performance:
        return Scanned(ScanOutcome.WRONG_PERFORMANCE, number)
    version = state.ticket_versions.get(number, 0)
    if not 0 < number <= len(state.tickets) or command.version > version:
        return Scanned(ScanOutcome.UNKNOWN, number)
    ticket = state.tickets[number - 1]
    used_at_ms, used_gate = state.ticket_uses.get(number, (0, ""))
    result = _judge(state, command, ticket, version, at_ms)
    if result is _ADMITTED and command.mode is _ADMIT:
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
    if command.mode is _ADMIT:
        do_scan(state, command, outcome, at_ms)
    return outcome


def _judge(state: State, command: Scan, ticket: Ticket, version: int, at_ms: int) -> ScanOutcome:
    if command.version < version:
        return ScanOutcome.REVOKED
    ticket_state = state.ticket_states.get(command.ticket, _VALID)
    if ticket_state is not _VALID:
        return _STATE_OUTCOMES[ticket_state.value]
    if command.ticket in state.ticket_uses:
        return _ALREADY_USED
    if not _is_right_gate(state, command.gate, ticket):
        return ScanOutcome.WRONG_GATE
    settings = state.settings
    if at_ms < settings.doors_open_ms:
        return ScanOutcome.TOO_EARLY
    if settings.doors_close_ms and at_ms >= settings.doors_close_ms:
        return ScanOutcome.TOO_LATE
    return _ADMITTED


def _is_right_gate(state: State, gate: str, ticket: Ticket) -> bool:
    if not gate or not state.gates:
        return True
    sections = state.gates.get(gate)
    if sections is None:
        return False
    if not sections:
        return True
    if ticket.seat >= 0:
        return state.house.sections[ticket.seat] in sections
    return state.house.plan.areas[ticket.area].section in sections


def do_scan(state: State, command: Scan, outcome: Scanned, at_ms: int) -> None:
    """An admission is written down; a refused presentation changes nothing."""
    if outcome.result is _ADMITTED:
        state.ticket_uses[outcome.ticket] = (outcome.used_at_ms, outcome.used_gate)
