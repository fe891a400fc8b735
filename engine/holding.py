"""The rules of claiming places for a while: hold, release, basket, expiry.

Each rule is a pair. The rule proper judges a command, all refusals first, in the
order of `Refusal`; below a marked line it makes the state agree with its answer
by its `do_*`, which cannot fail. Replay calls `do_*` alone, with the answer that
was recorded.

Who may hold. The sale status and its times decide by channel. `max_per_order` binds the
buyers' own channels (web, reseller): at the tills people who can be asked why
stand behind the sale, and only MAX_PLACES_PER_HOLD binds them.
"""

from typing import Final, TypeAlias

from engine.commands import (
    Basket,
    BasketIs,
    Channel,
    Expire,
    Expired,
    Held,
    Hold,
    HoldBest,
    HoldEqual,
    Outcome,
    Refusal,
    Refused,
    Release,
    Released,
)
from engine.house import AVAILABLE, BLOCKED, HELD, SCATTERED, House
from engine.limits import (
    MAX_EXPIRED_PER_COMMAND,
    MAX_HOLDS,
    MAX_HOLDS_PER_HOLDER,
    MAX_PLACES_PER_HOLD,
)
from engine.orphans import leaves_alone, orphans
from engine.pricing import is_till
from engine.state import HoldState, State, add_places, places_in
from engine.stock import FILLED, Places

# Members are bound to names once: reading them from their enum costs more than a decision may.
_WEB: Final = Channel.WEB
_RESELLER: Final = Channel.RESELLER
_FREE: Final = FILLED[AVAILABLE]
_HELD: Final = FILLED[HELD]

Claim: TypeAlias = Hold | HoldBest | HoldEqual
MALFORMED: Final = Refused(Refusal.MALFORMED)
BUSY: Final = Refused(Refusal.BUSY)
NOT_ON_SALE: Final = Refused(Refusal.NOT_ON_SALE)
HOLD_UNKNOWN: Final = Refused(Refusal.HOLD_UNKNOWN)
IN_PAYMENT: Final = Refused(Refusal.IN_PAYMENT)
TOO_MANY_IN_ORDER: Final = Refused(Refusal.TOO_MANY_IN_ORDER)
_NOT_IN_HOLD: Final = Refused(Refusal.NOT_IN_HOLD)
_SEAT_TAKEN: Final = Refusal.SEAT_TAKEN
_SEAT_BLOCKED: Final = Refusal.SEAT_BLOCKED


def malformed(house: House, seats: tuple[int, ...], areas: Places) -> bool:
    """Not what the plan could mean: unknown places, doubled ones, senseless quantities."""
    if seats:
        if len(set(seats)) != len(seats) or min(seats) < 0 or max(seats) >= house.seat_count:
            return True
    elif not areas:
        return True
    if areas:
        if len({area for area, _ in areas}) != len(areas):
            return True
        return any(not 0 <= area < house.area_count or many < 1 for area, many in areas)
    return False


def refuse_access(
    state: State, mine: HoldState | None, channel: Channel, holder: str, at_ms: int
) -> Refused | None:
    """Refusals that depend on who asks, whatever places are asked for; `mine` is the hold."""
    if mine is None:
        if len(state.holds) >= MAX_HOLDS:
            return BUSY
        if channel is _WEB and state.web_holds.get(holder, 0) >= MAX_HOLDS_PER_HOLDER:
            return BUSY
    refused = refuse_times(state, channel, at_ms)
    if refused is not None:
        return refused
    if mine is not None and mine.paying is not None:
        return IN_PAYMENT
    return None


def refuse_times(state: State, channel: Channel, at_ms: int) -> Refused | None:
    """Does this channel sell at that time?"""
    from_ms, until_ms = state.till_times if is_till(channel) else state.online_times
    if not from_ms <= at_ms < until_ms:
        return Refused(Refusal.NOT_ON_SALE, (), str(from_ms)) if at_ms < from_ms else NOT_ON_SALE
    return None


def refuse_number(
    state: State, mine: HoldState | None, channel: Channel, added: int
) -> Refused | None:
    """Would the hold grow over what one order may have?"""
    most = state.max_per_order
    if channel is not _WEB and channel is not _RESELLER:
        most = MAX_PLACES_PER_HOLD
    if mine is not None:
        added += places_in(mine.seats, mine.areas)
    return TOO_MANY_IN_ORDER if added > most else None


def hold(state: State, command: Hold, at_ms: int) -> Outcome:
    """Claim named seats and places: all or nothing."""
    seats, token = command.seats, command.token
    codes, holds = state.codes, state.holds
    count = len(seats)
    first = state.house.straight(seats)
    # The usual case, put so that it is quick to see and to do: a new hold of seats side by side
    # where no limit, sale status, time or allocation is near. All else is judged in full.
    if (
        first != SCATTERED
        and (
            count <= state.quick_places
            or (count <= state.timed_places and state.quick_from_ms <= at_ms < state.quick_until_ms)
        )
        and not command.areas
        and token not in holds
        and len(holds) < MAX_HOLDS
        and (not state.sights or state.sight(command.channel) is None)
    ):
        channel, holder = command.channel, command.holder
        already = 0
        if channel is _WEB:
            already = state.web_holds.get(holder, 0)
            if already >= MAX_HOLDS_PER_HOLDER:
                return BUSY
        if not codes.startswith(_FREE[count], first):
            return _lost(state, codes, seats)
        if not state.orphan_rule or not leaves_alone(codes, first, first + count):
            ends_ms = at_ms + state.hold_ms
            # ---- nothing below can refuse or fail: as `claim`, without the calls ----
            codes[first : first + count] = _HELD[count]
            state.touched.append(seats)
            holds[token] = HoldState(token, holder, channel, seats, (), at_ms, ends_ms, first)
            if channel is _WEB:
                state.web_holds[holder] = already + 1
            if ends_ms <= state.looked_to_ms:
                state.expect(token, ends_ms)
            return Held(token, seats, (), ends_ms)
    mine = holds.get(token)
    refused = _refuse_hold(state, command, mine, first, at_ms)
    if refused is not None:
        return refused
    ends_ms = at_ms + state.hold_ms if mine is None else mine.expires_ms
    outcome = Held(token, seats, command.areas, ends_ms)
    # ---- nothing below can refuse or fail ----
    claim(state, command, outcome, at_ms, first)
    return outcome


def _refuse_hold(
    state: State, command: Hold, mine: HoldState | None, first: int, at_ms: int
) -> Refused | None:
    seats, areas, channel = command.seats, command.areas, command.channel
    house = state.house
    places = len(seats)
    if first == SCATTERED or areas:
        # Seats that stand side by side are seats, and none is named twice.
        if malformed(house, seats, areas):
            return MALFORMED
        places = places_in(seats, areas)
    if places > MAX_PLACES_PER_HOLD:
        return MALFORMED
    return (
        refuse_access(state, mine, channel, command.holder, at_ms)
        or _refuse_lost(state, seats, areas, channel)
        or _refuse_part_of_table(house, seats)
        or refuse_number(state, mine, channel, places)
        or _refuse_orphans(state, seats, mine, channel)
    )


def _refuse_lost(
    state: State, seats: tuple[int, ...], areas: Places, channel: Channel
) -> Refused | None:
    view, positions = state.view(channel), state.house.positions
    for seat in seats:
        if view[positions[seat]]:
            return _lost(state, view, seats)
    if state.surplus_areas and not is_till(channel):
        for area, _ in areas:
            if area in state.surplus_areas:
                return Refused(Refusal.AREA_BLOCKED, (), str(area))
    for area, quantity in areas:
        if quantity > state.area_free[area]:
            return Refused(Refusal.AREA_FULL, (), str(area))
    return None


def _lost(state: State, view: bytearray, seats: tuple[int, ...]) -> Refused:
    """Name the seats that cannot be had; one that is taken decides the code."""
    positions = state.house.positions
    lost = tuple([seat for seat in seats if view[positions[seat]]])
    for seat in lost:
        if view[positions[seat]] < BLOCKED:
            return Refused(_SEAT_TAKEN, lost)
    return Refused(_SEAT_BLOCKED, lost)


def _refuse_part_of_table(house: House, seats: tuple[int, ...]) -> Refused | None:
    tables = house.whole_tables
    if not tables:
        return None
    missing = {other for seat in seats for other in tables.get(seat, ()) if other not in seats}
    return Refused(Refusal.WHOLE_TABLE, tuple(sorted(missing))) if missing else None


def _refuse_orphans(
    state: State, seats: tuple[int, ...], mine: HoldState | None, channel: Channel
) -> Refused | None:
    if not seats or not state.orphan_rule:
        return None
    positions = state.house.positions
    own = mine.seats if mine is not None else ()
    alone = orphans(
        state.house,
        state.view(channel),
        [positions[seat] for seat in seats],
        [positions[seat] for seat in own],
    )
    return Refused(Refusal.ORPHAN, alone) if alone else None


def claim(state: State, command: Claim, outcome: Held, at_ms: int, first: int) -> None:
    """The places are claimed; the hold is opened, or grows. `first` as in `HoldState`."""
    token, seats, areas = outcome.token, outcome.seats, outcome.areas
    state.put(seats, first, HELD)
    if areas:
        state.move_places(areas, -1)
        areas = add_places((), areas)
    mine = state.holds.get(token)
    if mine is None:
        holder, channel = command.holder, command.channel
        ends_ms = outcome.expires_ms
        state.open_hold(HoldState(token, holder, channel, seats, areas, at_ms, ends_ms, first))
    else:
        mine.seats += seats
        mine.areas = add_places(mine.areas, areas)
        mine.first = state.house.straight(mine.seats)


def do_hold(state: State, command: Claim, outcome: Held, at_ms: int) -> None:
    """The places are claimed; the hold is opened, or grows."""
    claim(state, command, outcome, at_ms, state.house.straight(outcome.seats))


def release(state: State, command: Release, at_ms: int) -> Outcome:
    """Give back part of a hold or all of it; a seat of a whole table takes the table with it."""
    seats, areas = command.seats, command.areas
    if (seats or areas) and malformed(state.house, seats, areas):
        return MALFORMED
    mine = state.holds.get(command.token)
    if mine is None:
        return HOLD_UNKNOWN
    if mine.paying is not None:
        return IN_PAYMENT
    if not seats and not areas:
        outcome = Released(command.token, mine.seats, mine.areas)
        # ---- nothing below can refuse or fail ----
        state.drop_hold(command.token)
        return outcome
    strangers = tuple([seat for seat in seats if seat not in mine.seats])
    if strangers:
        return Refused(Refusal.NOT_IN_HOLD, strangers)
    have = dict(mine.areas)
    if any(quantity > have.get(area, 0) for area, quantity in areas):
        return _NOT_IN_HOLD
    whole = state.house.whole_tables
    # dict.fromkeys keeps the order and drops the doubles.
    seats = tuple(dict.fromkeys([one for seat in seats for one in whole.get(seat, (seat,))]))
    outcome = Released(command.token, seats, areas)
    # ---- nothing below can refuse or fail ----
    do_release(state, command, outcome, at_ms)
    return outcome


def do_release(state: State, command: Release, outcome: Released, at_ms: int) -> None:
    """The places come free; a hold with nothing left ends."""
    token, seats, areas = outcome.token, outcome.seats, outcome.areas
    mine = state.holds[token]
    left = add_places(mine.areas, areas, -1)
    if len(seats) == len(mine.seats) and not left:
        state.drop_hold(token)
        return
    mine.seats = tuple([seat for seat in mine.seats if seat not in seats])
    mine.areas = left
    mine.first = state.house.straight(mine.seats)
    state.free(seats, SCATTERED)
    state.move_places(areas, +1)


def basket(state: State, command: Basket, at_ms: int) -> Outcome:
    """Say what the hold contains."""
    mine = state.holds.get(command.token)
    if mine is None:
        return HOLD_UNKNOWN
    order = "" if mine.paying is None else mine.paying.order
    return BasketIs(mine.token, mine.seats, mine.areas, mine.expires_ms, order)


def expire(state: State, command: Expire, at_ms: int) -> Expired:
    """End the holds whose time is over, in the order in which they ended, and allocations too.

    Of holds at most MAX_EXPIRED_PER_COMMAND at once, so that the recorded fact stays small.
    """
    outcome = Expired(state.expired(at_ms, MAX_EXPIRED_PER_COMMAND), state.to_release(at_ms))
    # ---- nothing below can refuse or fail ----
    do_expire(state, command, outcome, at_ms)
    return outcome


def do_expire(state: State, command: Expire, outcome: Expired, at_ms: int) -> None:
    """Those holds end, and all of theirs comes free; so do the allocations' seats."""
    for token in outcome.tokens:
        state.drop_hold(token)
    for name in outcome.allocations:
        state.give_back(name, state.kept_under(name))
