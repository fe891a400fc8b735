"""The rules of what is on sale at all: block, unblock, allocate, configure; and two questions.

Pairs of a rule and its `do_*` as in `engine.holding`. These are the house's own
acts: no sale status, limit or orphan rule binds them.
"""

from collections import Counter

from engine.commands import (
    Allocate,
    Allocated,
    AllocationsAre,
    AllocationUse,
    Block,
    Blocked,
    Channel,
    Configure,
    Configured,
    CountQuotas,
    ListAllocations,
    Outcome,
    QuotasAre,
    Refusal,
    Refused,
    Unblock,
    Unblocked,
)
from engine.holding import BUSY, MALFORMED, NOT_ON_SALE, malformed
from engine.house import BLOCKED, HELD, SCATTERED, SOLD, SURPLUS
from engine.limits import MAX_ALLOCATIONS
from engine.pricing import is_till
from engine.settings import SaleStatus
from engine.state import State
from engine.stock import Allocation


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
    """Keep seats (free for everybody, or kept so already) for channels, or release some or all."""
    if command.seats and not command.back:
        outcome = _keep(state, command)
    else:
        outcome = _give_back(state, command)
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
    already = state.kept_under(name)
    lost = [seat for seat in seats if codes[positions[seat]] and seat not in already]
    if lost:
        taken = any(HELD <= codes[positions[seat]] <= SOLD for seat in lost)
        return Refused(Refusal.SEAT_TAKEN if taken else Refusal.SEAT_BLOCKED, tuple(lost))
    return Allocated(name, seats)


def _give_back(state: State, command: Allocate) -> Outcome:
    kept = state.kept_under(command.name)
    if command.name not in state.allocations or not kept.issuperset(command.seats):
        return Refused(Refusal.MALFORMED, (), command.name)
    return Allocated(command.name, command.seats or tuple(sorted(kept)))


def do_allocate(state: State, command: Allocate, outcome: Allocated, at_ms: int) -> None:
    """The seats are kept for the channels, or no longer."""
    if command.seats and not command.back:
        state.allocate(outcome.name, command.channels, outcome.seats, command.release_ms)
    else:
        state.give_back(outcome.name, outcome.seats)


def list_allocations(state: State, command: ListAllocations, at_ms: int) -> AllocationsAre:
    """What is kept, and how much of it is left."""
    counts = Counter(zip(state.home, state.codes, strict=True))

    def use(name: str, one: Allocation) -> AllocationUse:
        seats = {code: many for (home, code), many in counts.items() if home == one.code}
        named = tuple(sorted(state.kept_under(name))) if name and name == command.name else ()
        left, held, sold = [seats.get(code, 0) for code in (one.code, HELD, SOLD)]
        total = sum(seats.values())
        return AllocationUse(name, one.channels, one.release_ms, total, left, held, sold, named)

    tills = tuple([channel for channel in Channel if is_till(channel)])
    return AllocationsAre(
        tuple([use(*pair) for pair in sorted(state.allocations.items())]),
        use("", Allocation(SURPLUS, tills)),
        tuple([(area, state.area_free[area]) for area in sorted(state.surplus_areas)]),
    )


def count_quotas(state: State, command: CountQuotas, at_ms: int) -> QuotasAre:
    """How many places count for each quota."""
    return QuotasAre(() if state.quotas is None else state.quotas.uses())


def configure(state: State, command: Configure, at_ms: int) -> Outcome:
    """Settings are judged where they are made; here they are taken. What is cancelled stays so."""
    if state.cancelled and command.settings.status is not SaleStatus.CANCELLED:
        return NOT_ON_SALE
    outcome = Configured()
    # ---- nothing below can refuse or fail ----
    do_configure(state, command, outcome, at_ms)
    return outcome


def do_configure(state: State, command: Configure, outcome: Configured, at_ms: int) -> None:
    """The settings hold from now on; holds made before keep their times, unless it is cancelled."""
    state.configure(command.settings)
    if state.cancelled:
        state.end_all_holds(at_ms)
