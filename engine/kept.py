"""Scans that a device decided while it was alone, and what the doors add up to.

A pair of a rule and its `do_*` as in `engine.holding`, and two questions.

A kept scan has happened: nothing of it can be refused, it is recorded and judged
again, at the time by the device's clock and by what is known to have been before.
Whoever the device let through did go in or out, so that counts whatever is thought
of it now. All this depends on what was kept, not on when or in which order it was
heard of. The pair (device, sequence) makes it count once; an id would be forgotten.
"""

from collections.abc import Sequence
from typing import Final

from engine.admission import judge, strange
from engine.commands import (
    Alarm,
    ConflictsAre,
    CountInside,
    DoubleEntry,
    GateInside,
    InsideIs,
    Kept,
    KeptScan,
    ListConflicts,
    Refusal,
    Refused,
    ScanMode,
    ScanOutcome,
)
from engine.limits import (
    CAPACITY_NEAR_PERCENT,
    MAX_CONFLICTS,
    MAX_KEPT_SCANS,
    MAX_PASSAGES_PER_TICKET,
)
from engine.passages import Passage, before, double_entries, insert, is_inside
from engine.settings import Gate
from engine.state import State

_LET_THROUGH: Final = {
    (ScanMode.ADMIT, ScanOutcome.ADMITTED): True,
    (ScanMode.EXIT, ScanOutcome.EXITED): False,
}
"""What a device showed to whom it let in, or out."""
NOT_OURS: Final = frozenset({ScanOutcome.UNKNOWN, ScanOutcome.WRONG_PERFORMANCE})


def keep(state: State, command: KeptScan, at_ms: int) -> Kept | Refused:
    """Judge a kept scan again. Refused: its number is taken, or there are too many."""
    recorded_ms = state.kept.get(command.device, {}).get(command.sequence)
    if recorded_ms is not None and recorded_ms != command.scanned_ms:
        return Refused(Refusal.ID_REUSED, (), str(command.sequence))
    if recorded_ms is None and state.kept_scans >= MAX_KEPT_SCANS:
        return Refused(Refusal.BUSY, (), f"{MAX_KEPT_SCANS} scans are kept already")
    outcome = _judge(state, command, again=recorded_ms is not None)
    # ---- nothing below can refuse or fail ----
    if recorded_ms is None:
        do_keep(state, command, outcome, at_ms)
    return outcome


def _judge(state: State, command: KeptScan, again: bool) -> Kept:
    stranger = strange(state, command)
    if stranger is not None:
        return Kept(stranger, -1, False, False, again)
    uses = state.ticket_uses.get(command.ticket, [])
    place = command.scanned_ms, command.device, command.sequence
    result = judge(state, command, before(uses, place), command.scanned_ms)
    passage = _passage(command, uses)
    if passage is None:
        return Kept(result, command.ticket, False, is_inside(uses), again)
    if not again:
        uses = [*uses]
        insert(uses, passage)
    return Kept(result, command.ticket, _is_double(state, uses, passage), is_inside(uses), again)


def _passage(command: KeptScan, uses: Sequence[Passage]) -> Passage | None:
    """Who went in or out, if somebody did."""
    entry = _LET_THROUGH.get((command.mode, command.shown))
    if entry is None or len(uses) >= MAX_PASSAGES_PER_TICKET:
        return None
    return Passage(command.scanned_ms, command.device, command.sequence, command.gate, entry)


def _is_double(state: State, uses: Sequence[Passage], one: Passage) -> bool:
    return any(one in group for group in double_entries(uses, state.settings.re_entry))


def do_keep(state: State, command: KeptScan, outcome: Kept, at_ms: int) -> None:
    """The scan is recorded, and who was let through went in or out."""
    state.remember_kept(command.device, command.sequence, command.scanned_ms)
    if outcome.result not in NOT_OURS:
        passage = _passage(command, state.ticket_uses.get(command.ticket, ()))
        if passage is not None:
            state.pass_through(command.ticket, passage)


def list_conflicts(state: State, command: ListConflicts, at_ms: int) -> ConflictsAre:
    """Tickets that let two people in, because a device was alone."""
    found: list[DoubleEntry] = []
    for number in sorted(state.disputed):
        if number <= command.after:
            continue
        ticket = state.tickets[number - 1]
        groups = double_entries(state.ticket_uses[number], state.settings.re_entry)
        if groups and len(found) >= MAX_CONFLICTS:
            return ConflictsAre(tuple(found), True)
        for group in groups:
            entries = [(one.device, one.gate, one.at_ms, one.sequence) for one in group]
            found.append(DoubleEntry(number, ticket.seat, ticket.area, tuple(entries)))
    return ConflictsAre(tuple(found))


def count_inside(state: State, command: CountInside, at_ms: int) -> InsideIs:
    """How many are inside, and how near each gate's capacity is."""
    sections = {section: count for section, count in state.inside_sections.items() if count}
    total = sum(sections.values())
    gates = tuple([_at_gate(state, gate, sections, total) for gate in state.settings.gates])
    return InsideIs(total, gates, tuple(sorted(sections.items())))


def _at_gate(state: State, gate: Gate, sections: dict[int, int], total: int) -> GateInside:
    zone = sum([sections.get(one, 0) for one in set(gate.sections)]) if gate.sections else total
    alarm = Alarm.NONE
    if gate.capacity and zone >= gate.capacity:
        alarm = Alarm.FULL
    elif gate.capacity and 100 * zone >= CAPACITY_NEAR_PERCENT * gate.capacity:
        alarm = Alarm.NEAR
    return GateInside(gate.id, state.inside_gates[gate.id], zone, gate.capacity, alarm)
