"""The rules of what is on sale at all: block, unblock, allocate, configure.

Pairs of a rule and its `do_*` as in `engine.holding`. These are the house's own
acts: no sale status, limit or orphan rule binds them.
"""

from engine.commands import (
    Allocate,
    Allocated,
    Block,
    Blocked,
    Configure,
    Configured,
    Outcome,
    Refusal,
    Refused,
    Unblock,
    Unblocked,
)
from engine.holding import BUSY, MALFORMED, malformed
from engine.house import BLOCKED, HELD, SCATTERED, SOLD
from engine.limits import MAX_ALLOCATIONS
from engine.state import State


def block(state: State, command: Block, at_ms: int) -> Outcome:
    """Take free seats and places off sale; seats kept by an allocation are free too."""
    seats, areas = command.seats, command.areas
    if malformed(state.house, seats, areas):
        return MALFORMED
    codes, positions = state.codes, state.house.positions
    taken = tuple([seat for seat in seats if HELD <= codes[positions[seat]] <= SOLD])
    if taken:
        return Refused(Refusal.SEAT_TAKEN, taken)
    blocked = tuple([seat for seat in seats if codes[positions[seat]] == BLOCKED])
    if blocked:
        return Refused(Refusal.SEAT_BLOCKED, blocked)
    for area, quantity in areas:
        if quantity > state.area_free[area]:
            return Refused(Refusal.AREA_FULL, (), str(area))
    outcome = Blocked(seats, areas)
    # ---- nothing below can refuse or fail ----
    do_block(state, command, outcome, at_ms)
    return outcome


def do_block(state: State, command: Block, outcome: Blocked, at_ms: int) -> None:
    """The seats and places are off sale."""
    state.put(outcome.seats, SCATTERED, BLOCKED)
    state.move_places(outcome.areas, -1)
    for area, quantity in outcome.areas:
        state.area_blocked[area] += quantity


def unblock(state: State, command: Unblock, at_ms: int) -> Outcome:
    """Put back what was blocked of what is named: the rest stays as it is."""
    seats, areas = command.seats, command.areas
    if malformed(state.house, seats, areas):
        return MALFORMED
    codes, positions = state.codes, state.house.positions
    outcome = Unblocked(
        tuple([seat for seat in seats if codes[positions[seat]] == BLOCKED]),
        tuple(
            [
                (area, min(quantity, state.area_blocked[area]))
                for area, quantity in areas
                if state.area_blocked[area]
            ]
        ),
    )
    # ---- nothing below can refuse or fail ----
    do_unblock(state, command, outcome, at_ms)
    return outcome


def do_unblock(state: State, command: Unblock, outcome: Unblocked, at_ms: int) -> None:
    """The seats and places are on sale again, or kept for their allocation again."""
    state.free(outcome.seats, SCATTERED)
    state.move_places(outcome.areas, +1)
    for area, quantity in outcome.areas:
        state.area_blocked[area] -= quantity


def allocate(state: State, command: Allocate, at_ms: int) -> Outcome:
    """Keep seats (all of them free for everybody) for channels, or end an allocation."""
    if command.seats:
        outcome = _keep(state, command)
    else:
        outcome = _end(state, command.name)
    # ---- nothing below can refuse or fail ----
    if type(outcome) is Allocated:
        do_allocate(state, command, outcome, at_ms)
    return outcome


def _keep(state: State, command: Allocate) -> Outcome:
    name, seats = command.name, command.seats
    if not name or not command.channels or malformed(state.house, seats, ()):
        return MALFORMED
    if name not in state.allocations and len(state.allocations) >= MAX_ALLOCATIONS:
        return BUSY
    codes, positions = state.codes, state.house.positions
    lost = [seat for seat in seats if codes[positions[seat]]]
    if lost:
        taken = any(HELD <= codes[positions[seat]] <= SOLD for seat in lost)
        return Refused(Refusal.SEAT_TAKEN if taken else Refusal.SEAT_BLOCKED, tuple(lost))
    return Allocated(name, seats)


def _end(state: State, name: str) -> Outcome:
    allocation = state.allocations.get(name)
    if allocation is None:
        return Refused(Refusal.MALFORMED, (), name)
    code, seat_at = allocation.code, state.house.seat_at
    kept = [seat_at[position] for position, home in enumerate(state.home) if home == code]
    return Allocated(name, tuple(sorted(kept)))


def do_allocate(state: State, command: Allocate, outcome: Allocated, at_ms: int) -> None:
    """The seats are kept for the channels, or no longer."""
    if command.seats:
        state.allocate(outcome.name, command.channels, outcome.seats)
    else:
        state.end_allocation(outcome.name)


def configure(state: State, command: Configure, at_ms: int) -> Outcome:
    """Settings are judged where they are made; here they are taken."""
    outcome = Configured()
    # ---- nothing below can refuse or fail ----
    do_configure(state, command, outcome, at_ms)
    return outcome


def do_configure(state: State, command: Configure, outcome: Configured, at_ms: int) -> None:
    """The settings hold from now on; holds made before keep their times."""
    state.configure(command.settings)
