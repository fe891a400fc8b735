"""Definitions written out the slow and obvious way, for tests to compare with."""

from engine.plan import Plan


def slow_orphans(plan: Plan, free: set[int], chosen: set[int], own: set[int]) -> tuple[int, ...]:
    """The definition in `engine.orphans`, word for word, on neighbours and sets."""

    def beside(seat: int) -> list[int]:
        return [other for other in (plan.left[seat], plan.right[seat]) if other >= 0]

    def left_alone(by: set[int]) -> set[int]:
        after = free - by
        return {
            seat
            for seat in after
            if not any(other in after for other in beside(seat))
            and any(other in free for other in beside(seat))
        }

    def group_at(seat: int) -> set[int]:
        group: set[int] = set()
        todo = [seat]
        while todo:
            one = todo.pop()
            if one in chosen | own and one not in group:
                group.add(one)
                todo += beside(one)
        return group

    def better(group: set[int]) -> bool:
        categories = {plan.seat_categories[seat] for seat in group}
        for run in plan.runs:
            for first in range(len(run) - len(group) + 1):
                window = set(run[first : first + len(group)])
                if window <= free and {plan.seat_categories[seat] for seat in window} <= categories:
                    if not left_alone(window):
                        return True
        return False

    return tuple(
        seat
        for seat in sorted(left_alone(chosen))
        if any(better(group_at(other)) for other in beside(seat) if other in chosen | own)
    )
