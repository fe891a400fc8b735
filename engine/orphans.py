"""The orphan rule: no choice of seats may leave a single seat alone, if another choice would not.

Owns the one judgement that buyer page, console and rehearsal share. Knows a
*view* (one byte per position of a `House`, 0 exactly where the buyer's channel
could take the seat; everything else, the buyer's own seats included, is a wall)
and nothing of holds or channels.

The rule, precisely. A seat is *left alone* when the buyer could take it, both
its neighbours could not be taken after this choice, and one of them could
before. The choice is refused for that seat unless the buyer has no better one:
that is, unless nowhere in the house there are as many seats side by side, of the
categories of the group that touches the lonely seat, whose taking would leave
nobody alone. The group is the buyer's seats that stand side by side, those held
before included.
"""

from collections.abc import Iterable, Sequence

from engine.house import House

View = bytes | bytearray


def leaves_alone(view: View, first: int, end: int) -> bool:
    """Would taking the free positions `first` to `end` leave a single seat beside them?"""
    if not view[first - 1] and view[first - 2]:
        return True
    return not view[end] and bool(view[end + 1])


def orphans(house: House, view: View, chosen: Iterable[int], own: Iterable[int]) -> tuple[int, ...]:
    """The seats that this choice must not leave alone, in order; empty: the choice stands.

    Args:
        house: The layout.
        view: Before the choice.
        chosen: Positions asked for now, all free in `view`.
        own: Positions that the same hold has already.
    """
    chosen = set(chosen)
    # A seat has two neighbours: it is left alone when the one beside the choice goes and the
    # other was gone before, or goes as well.
    lonely = [
        beside
        for place in chosen
        for beside, beyond in ((place - 1, place - 2), (place + 1, place + 2))
        if not view[beside] and beside not in chosen and (view[beyond] or beyond in chosen)
    ]
    if not lonely:
        return ()
    mine = chosen.union(own)
    kept = [
        position
        for position in sorted(set(lonely))
        if any(
            _better_exists(house, view, group)
            for group in (_group(mine, position, -1), _group(mine, position, +1))
            if group
        )
    ]
    return tuple([house.seat_at[position] for position in kept])


def _group(mine: set[int], position: int, step: int) -> list[int]:
    """The positions of the buyer's seats that touch this one on one side."""
    group = []
    while (position := position + step) in mine:
        group.append(position)
    return group


def _better_exists(house: House, view: View, group: Sequence[int]) -> bool:
    size = len(group)
    wanted = bytes(size)
    seat_at, categories = house.seat_at, house.categories
    allowed = frozenset([categories[seat_at[position]] for position in group])
    for stretch in house.stretches(allowed):
        first = view.find(wanted, stretch.first, stretch.end)
        while first >= 0:
            if not leaves_alone(view, first, first + size):
                return True
            first = view.find(wanted, first + 1, stretch.end)
    return False
