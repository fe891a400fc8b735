"""The rule of claiming seats as good as others: for whoever paid for seats that are lost.

As good is: of the same category, as many, as many wheelchair places among them, and side by side,
or at one table, where those were. Which of them, `engine.best` finds. Places of an area are all
alike, so there are none as good as those of an area that is full.
"""

from engine.best import Filter, find_seats
from engine.commands import Held, HoldEqual, Outcome, Refusal, Refused, Rung
from engine.holding import MALFORMED, do_hold, malformed, refuse_access, refuse_number
from engine.house import SCATTERED, House
from engine.state import State

_TOGETHER = (Rung.ADJACENT, Rung.ADJACENT_ORPHAN, Rung.TABLE)
_NONE_LEFT = Refused(Refusal.NONE_LEFT)


def equal(state: State, command: HoldEqual, at_ms: int) -> Outcome:
    """Claim seats as good as these, all or nothing. `engine.holding.do_hold` serves."""
    seats = command.seats
    if malformed(state.house, seats, ()):
        return MALFORMED
    mine = state.holds.get(command.token)
    refused = refuse_access(state, mine, command.channel, command.holder, at_ms)
    refused = refused or refuse_number(state, mine, command.channel, len(seats))
    if refused is not None:
        return refused
    found = _search(state, command, at_ms)
    if found is None:
        return _NONE_LEFT
    expires_ms = at_ms + state.hold_ms if mine is None else mine.expires_ms
    outcome = Held(command.token, found, (), expires_ms)
    # ---- nothing below can refuse or fail ----
    do_hold(state, command, outcome, at_ms)
    return outcome


def _search(state: State, command: HoldEqual, at_ms: int) -> tuple[int, ...] | None:
    house, seats = state.house, command.seats
    by_category: dict[int, list[int]] = {}
    for seat in seats:
        by_category.setdefault(house.categories[seat], []).append(seat)
    together = _are_together(house, seats)
    if together and len(by_category) > 1:
        return None  # each category is looked for by itself
    full = state.prices.full_prices(at_ms, command.channel)
    view = state.view(command.channel)
    instead: dict[int, int] = {}
    for category, group in by_category.items():
        if category not in full:
            return None
        chairs = house.wheelchair_sums
        places = [house.positions[seat] for seat in group]
        accessible = sum([chairs[place + 1] - chairs[place] for place in places])
        wanted = Filter(frozenset((category,)), frozenset(), accessible, full)
        found = find_seats(house, view, wanted, len(group))
        if found is None or (together and found[0] not in _TOGETHER):
            return None
        new = [house.seat_at[place] for place in sorted(found[1])]
        instead |= zip(sorted(group, key=house.positions.__getitem__), new, strict=True)
    return tuple([instead[seat] for seat in seats])


def _are_together(house: House, seats: tuple[int, ...]) -> bool:
    """Side by side in a row, or at one table."""
    if len(seats) == 1:
        return False
    in_order = tuple(sorted(seats, key=house.positions.__getitem__))
    if house.straight(in_order) != SCATTERED:
        return True
    return any(set(seats) <= set(table.seats) for table in house.outline.tables)
