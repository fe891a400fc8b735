"""The rules of claiming places for a while: hold, release, basket, expiry.

Each rule is a pair. `decide_*` reads the state and answers, refusals first, in
the order of `Refusal`, and changes nothing. `do_*` makes the state agree with
an accepted answer; it cannot fail, and replay uses it as it is.

Who may hold. The sale status decides by channel. `max_per_order` binds the
buyers' own channels (web, reseller): at the tills people who can be asked why
stand behind the sale, and only MAX_PLACES_PER_HOLD binds them.
"""

from typing import Final

from engine.commands import (
    Basket,
    BasketIs,
    Channel,
    Expire,
    Expired,
    Held,
    Hold,
    HoldBest,
    Outcome,
    Refusal,
    Refused,
    Release,
    Released,
)
from engine.house import AVAILABLE, HELD, SOLD, House
from engine.limits import (
    MAX_EXPIRED_PER_COMMAND,
    MAX_HOLDS,
    MAX_HOLDS_PER_HOLDER,
    MAX_PLACES_PER_HOLD,
)
from engine.orphans import leaves_alone, orphans
from engine.state import FILLED, HoldState, Places, State, add_places, places_in

# Members are bound to names once: reading them from their enum costs more than a decision may.
_WEB: Final = Channel.WEB
_RESELLER: Final = Channel.RESELLER
_FREE: Final = FILLED[AVAILABLE]

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
    state: State, hold: HoldState | None, channel: Channel, holder: str
) -> Refused | None:
    """Refusals that depend on who asks, whatever places are asked for."""
    if hold is None and (
        len(state.holds) >= MAX_HOLDS
        or (channel is _WEB and state.web_holds.get(holder, 0) >= MAX_HOLDS_PER_HOLDER)
    ):
        return BUSY
    if channel is _WEB or channel is _RESELLER:
        if not state.open_online:
            return NOT_ON_SALE
    elif not state.open_at_tills:
        return NOT_ON_SALE
    if hold is not None and hold.order:
        return IN_PAYMENT
    return None


def refuse_number(
    state: State, hold: HoldState | None, channel: Channel, added: int
) -> Refused | None:
    """Would the hold grow over what one order may have?"""
    total = added if hold is None else added + places_in(hold.seats, hold.areas)
    most = MAX_PLACES_PER_HOLD
    if channel is _WEB or channel is _RESELLER:
        most = state.max_per_order
    return TOO_MANY_IN_ORDER if total > most else None


def decide_hold(state: State, command: Hold, at_ms: int) -> Outcome:
    """Judge a claim to named seats and places: all or nothing."""
    token, channel = command.token, command.channel
    seats, areas = command.seats, command.areas
    house = state.house
    count = len(seats)
    # The usual case: seats named in the order in which they stand side by side, so that the
    # rules become comparisons of slices. Anything else takes the long way to the same answers.
    first = -1
    if 0 < count <= MAX_PLACES_PER_HOLD and not areas and 0 <= seats[0] < house.seat_count:
        first = house.positions[seats[0]]
        if house.seat_at[first : first + count] != seats:
            first = -1
    if first < 0 and (
        malformed(house, seats, areas) or places_in(seats, areas) > MAX_PLACES_PER_HOLD
    ):
        return MALFORMED
    hold = state.holds.get(token)
    refused = refuse_access(state, hold, channel, command.holder)
    if refused is not None:
        return refused
    # What stands there and two positions to either side, as the channel sees it.
    near = state.codes[first - 2 : first + count + 2]
    sight = state.sight(channel)
    if sight is not None:
        near = near.translate(sight)
    if first < 0 or near[2:-2] != _FREE[count]:
        refused = _refuse_lost(state, channel, seats, areas)
        if refused is not None:
            return refused
    if house.whole_tables:
        refused = _refuse_part_of_table(house, seats)
        if refused is not None:
            return refused
    refused = refuse_number(state, hold, channel, places_in(seats, areas))
    if refused is not None:
        return refused
    if state.orphan_rule and seats and (first < 0 or leaves_alone(near, 2, count + 2)):
        positions = house.positions
        alone = orphans(
            house,
            state.view(channel),
            [positions[seat] for seat in seats],
            [positions[seat] for seat in hold.seats] if hold is not None else (),
        )
        if alone:
            return Refused(Refusal.ORPHAN, alone)
    return Held(token, seats, areas, at_ms + state.hold_ms if hold is None else hold.expires_ms)


def _refuse_lost(
    state: State, channel: Channel, seats: tuple[int, ...], areas: Places
) -> Refused | None:
    view, positions = state.view(channel), state.house.positions
    lost = [seat for seat in seats if view[positions[seat]]]
    if lost:
        taken = any(HELD <= view[positions[seat]] <= SOLD for seat in lost)
        return Refused(_SEAT_TAKEN if taken else _SEAT_BLOCKED, tuple(lost))
    for area, quantity in areas:
        if quantity > state.area_free[area]:
            return Refused(Refusal.AREA_FULL, (), str(area))
    return None


def _refuse_part_of_table(house: House, seats: tuple[int, ...]) -> Refused | None:
    missing = {
        other for seat in seats for other in house.whole_tables.get(seat, ()) if other not in seats
    }
    return Refused(Refusal.WHOLE_TABLE, tuple(sorted(missing))) if missing else None


def do_hold(state: State, command: Hold | HoldBest, outcome: Held, at_ms: int) -> None:
    """The places are claimed; the hold is opened, or grows."""
    seats, areas = outcome.seats, outcome.areas
    state.put(seats, HELD)
    if areas:
        state.move_places(areas, -1)
    hold = state.holds.get(outcome.token)
    if hold is None:
        state.open_hold(
            HoldState(
                outcome.token,
                command.holder,
                command.channel,
                seats,
                areas,
                at_ms,
                outcome.expires_ms,
            )
        )
    else:
        hold.seats += seats
        hold.areas = add_places(hold.areas, areas)


def decide_release(state: State, command: Release, at_ms: int) -> Outcome:
    """Judge giving back; a seat of a whole table takes the table with it."""
    seats, areas = command.seats, command.areas
    if (seats or areas) and malformed(state.house, seats, areas):
        return MALFORMED
    hold = state.holds.get(command.token)
    if hold is None:
        return HOLD_UNKNOWN
    if hold.order:
        return IN_PAYMENT
    if not seats and not areas:
        return Released(command.token, hold.seats, hold.areas)
    strangers = tuple([seat for seat in seats if seat not in hold.seats])
    if strangers:
        return Refused(Refusal.NOT_IN_HOLD, strangers)
    if areas:
        have = dict(hold.areas)
        if any(quantity > have.get(area, 0) for area, quantity in areas):
            return _NOT_IN_HOLD
    whole = state.house.whole_tables
    if whole:
        # dict.fromkeys keeps the order and drops the doubles.
        seats = tuple(dict.fromkeys([one for seat in seats for one in whole.get(seat, (seat,))]))
    return Released(command.token, seats, areas)


def do_release(state: State, command: Release, outcome: Released, at_ms: int) -> None:
    """The places come free; a hold with nothing left ends."""
    hold = state.holds[outcome.token]
    left = add_places(hold.areas, outcome.areas, -1)
    if len(outcome.seats) == len(hold.seats) and not left:
        state.drop_hold(outcome.token)
        return
    hold.seats = tuple([seat for seat in hold.seats if seat not in outcome.seats])
    hold.areas = left
    state.free(outcome.seats)
    state.move_places(outcome.areas, +1)


def decide_basket(state: State, command: Basket, at_ms: int) -> Outcome:
    """Say what the hold contains."""
    hold = state.holds.get(command.token)
    if hold is None:
        return HOLD_UNKNOWN
    return BasketIs(hold.token, hold.seats, hold.areas, hold.expires_ms, hold.order)


def decide_expire(state: State, command: Expire, at_ms: int) -> Expired:
    """Name the holds whose time is over, in the order in which they ended.

    At most MAX_EXPIRED_PER_COMMAND at once, so that the recorded fact stays small.
    """
    return Expired(state.expired(at_ms, MAX_EXPIRED_PER_COMMAND))


def do_expire(state: State, command: Expire, outcome: Expired, at_ms: int) -> None:
    """Those holds end, and all of theirs comes free."""
    for token in outcome.tokens:
        state.drop_hold(token)
