"""The rules of what is on sale at all: block, unblock, allocate, configure.

Pairs of `decide_*` and `do_*` as in `engine.holding`. These are the house's own
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
from engine.house import BLOCKED, HELD, SOLD
from engine.limits import MAX_ALLOCATIONS
from engine.state import State


def decide_block(state: State, command: Block, at_ms: int) -> Outcome:
    """Judge taking free seats and places off sale; seats kept by an allocation are free too."""
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
    return Blocked(seats, areas)


def do_block(state: State, command: Block, outcome: Blocked, at_ms: int) -> None:
    """The seats and places are off sale."""
    state.put(outcome.seats, BLOCKED)
    state.move_places(outcome.areas, -1)
    for area, quantity in outcome.areas:
        state.area_blocked[area] += quantity


def decide_unblock(state: State, command: Unblock, at_ms: int) -> Outcome:
    """Name what was blocked of what is asked: the rest stays as it is."""
    seats, areas = command.seats, command.areas
    if malformed(state.house, seats, areas):
        return MALFORMED
    codes, positions = state.codes, state.house.positions
    return Unblocked(
        tuple([seat for seat in seats if codes[positions[seat]] == BLOCKED]),
        tuple(
            [
                (area, min(quantity, state.area_blocked[area]))
                for area, quantity in areas
                if state.area_blocked[area]
            ]
        ),
    )


def do_unblock(state: State, command: Unblock, outcome: Unblocked, at_ms: int) -> None:
    """The seats and places are on sale again, or kept for their allocation again."""
    state.free(outcome.seats)
    state.move_places(outcome.areas, +1)
    for area, quantity in outcome.areas:
        state.area_blocked[area] -= quantity


def decide_allocate(state: State, command: Allocate, at_ms: int) -> Outcome:
    """Judge keeping seats (all of them free for everybody), or ending an allocation."""
    name, seats = command.name, command.seats
    if not name:
        return MALFORMED
    if not seats:
        allocation = state.allocations.get(name)
        if allocation is None:
            return Refused(Refusal.MALFORMED, (), name)
        home, seat_at = state.home, state.house.seat_at
        code = allocation.code
        kept = [seat_at[place] for place, one in enumerate(home) if one == code]
        return Allocated(name, tuple(sorted(kept)))
    if not command.channels or malformed(state.house, seats, ()):
        return MALFORMED
    if name not in state.allocations and len(state.allocations) >= MAX_ALLOCATIONS:
        return BUSY
    codes, positions = state.codes, state.house.positions
    lost = [seat for seat in seats if codes[positions[seat]]]
    if lost:
        taken = any(HELD <= codes[positions[seat]] <= SOLD for seat in lost)
        return Refused(Refusal.SEAT_TAKEN if taken else Refusal.SEAT_BLOCKED, tuple(lost))
    return Allocated(name, seats)


def do_allocate(state: State, command: Allocate, outcome: Allocated, at_ms: int) -> None:
    """The seats are kept for the channels, or no longer."""
    if command.seats:
        state.allocate(outcome.name, command.channels, outcome.seats)
    else:
        state.end_allocation(outcome.name)


def decide_configure(state: State, command: Configure, at_ms: int) -> Outcome:
    """Settings are judged where they are made; here they are taken."""
    return Configured()


def do_configure(state: State, command: Configure, outcome: Configured, at_ms: int) -> None:
    """The settings hold from now on; holds made before keep their times."""
    state.configure(command.settings)
