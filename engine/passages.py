"""Who went in and out with one ticket, in the order in which it happened.

Owns that order, and which admissions of a ticket stand against each other. The
order is that of the clocks (the engine's, or that of a device that was alone),
then of the devices' names and of their own numbering: it does not depend on when
anything was heard of. Pure lists of values: knows no ticket and no state.
"""

from bisect import bisect_left, insort
from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.settings import ReEntry

NOT_KEPT: Final = -1
"""The sequence of a scan that the engine itself answered."""


class Passage(Struct, array_like=True, frozen=True, gc=False):
    """Somebody went in, or out. `forced`: let in by an override."""

    at_ms: int
    device: str
    sequence: int  # the device's own numbering of what it kept, else NOT_KEPT
    gate: str
    entry: bool
    forced: bool = False

    @property
    def kept(self) -> bool:
        """Decided by a device that was alone."""
        return self.sequence != NOT_KEPT


def order(passage: Passage) -> tuple[int, str, int]:
    """What passages are sorted by; no two kept ones are equal in it."""
    return passage.at_ms, passage.device, passage.sequence


def before(passages: Sequence[Passage], place: tuple[int, str, int]) -> Sequence[Passage]:
    """Those that came earlier than what has this place in the order."""
    return passages[: bisect_left(passages, place, key=order)]


def is_inside(passages: Sequence[Passage]) -> bool:
    return bool(passages) and passages[-1].entry


def insert(passages: list[Passage], one: Passage) -> None:
    """Put a passage where it belongs.

    One that the engine decided itself comes after all that it knew, whatever the clocks say.
    """
    if not one.kept and passages and order(passages[-1]) > order(one):
        one = replace(one, at_ms=passages[-1].at_ms + 1)
    insort(passages, one, key=order)


def double_entries(passages: Sequence[Passage], policy: ReEntry) -> list[list[Passage]]:
    """The admissions that stand against each other, group by group; a group's first has won.

    Only where a device was alone: what the engine admitted knowingly (a policy of its time, an
    override) is no conflict.
    """
    if policy is ReEntry.UNLIMITED:
        return []
    groups: list[list[Passage]] = [[]]
    for one in passages:
        if not one.entry:
            if policy is ReEntry.AFTER_EXIT:
                groups.append([])
        elif not (one.forced and groups[-1]):
            groups[-1].append(one)
    return [group for group in groups if len(group) > 1 and any(one.kept for one in group)]
