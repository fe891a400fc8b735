"""Is there an order in which all of this could have happened, one after the other?

A checker of linearizability for the history of one thing, after Wing and Gong, with a memory of
what led nowhere: it looks for an order of the steps that respects real time (a step that ended
before another began comes first) and that a sequential model allows. Knows no seats.
"""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from tests.sim.history import Step

Model = Callable[[Any, Any, float], Sequence[Hashable]]
"""(state, action, the latest moment at which it happened) -> the states that may follow."""


def linearizable(
    history: Sequence[Step], start: Hashable, model: Model, latest_of: Callable[[float], float]
) -> bool:
    """Could the steps have happened one after the other, each between its two moments?

    Args:
        history: In any order.
        start: The state before all of them.
        model: What may follow what.
        latest_of: What the model is told of the moment by which a step has happened.
    """
    steps = sorted(history, key=_answered)
    latest = [latest_of(step.answered_s) for step in steps]
    everything = (1 << len(steps)) - 1
    seen: set[tuple[int, Hashable]] = set()
    # What is left to be explored: the steps that have happened, as bits, and the state then.
    open_ends: list[tuple[int, Hashable]] = [(0, start)]
    while open_ends:
        happened, state = open_ends.pop()
        if happened == everything:
            return True
        found = []
        # The first that is left ended first of all: only what began before may come before it.
        left = ~happened & everything
        index = (left & -left).bit_length() - 1
        first_ends_s = steps[index].answered_s
        left >>= index
        while left:
            if left & 1:
                step = steps[index]
                if step.invoked_s <= first_ends_s:
                    with_it = happened | 1 << index
                    found += [(with_it, one) for one in model(state, step.action, latest[index])]
            left >>= 1
            index += 1
        # Explored first is what ended first: nearly always that is how it was.
        for end in reversed(found):
            if end not in seen:
                seen.add(end)
                open_ends.append(end)
    return False


def _answered(step: Step) -> float:
    return step.answered_s
