"""How many places each quota has left: a limit over any mix of categories and price types.

Owns the counts. A place counts from the checkout that puts it in payment until that is given up,
its hold ends unsold, or its ticket is refunded: a place that is only held has no price type yet.
What a quota covers is judged and counted in the same step, so that no two checkouts can both
take its last place.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from engine.commands import QuotaUse, Refusal, Refused
from engine.settings import Quota

Counted: TypeAlias = tuple[int, str, int]
"""(category, price type, places)."""


class Quotas:
    """The quotas of one performance that has some."""

    __slots__ = ("_covering", "_quotas", "_used")

    def __init__(self, quotas: Sequence[Quota]) -> None:
        self._quotas = quotas
        self._used = [0] * len(quotas)
        self._covering: dict[tuple[int, str], tuple[int, ...]] = {}

    def count(self, places: Iterable[Counted], sign: int) -> None:
        """These places count from now on, or with `sign` -1 no longer."""
        for category, price_type, many in places:
            for index in self._of(category, price_type):
                self._used[index] += sign * many

    def refuse(self, wanted: Iterable[Counted], own: Iterable[Counted]) -> Refused | None:
        """QUOTA_FULL for the first quota without room for them; `own` count already, and go."""
        more, mine = self._sum(wanted), self._sum(own)
        for quota, used, added, counted in zip(self._quotas, self._used, more, mine, strict=True):
            left = max(0, quota.limit - used + counted)
            if added > left:
                return Refused(Refusal.QUOTA_FULL, (), f"{quota.id}: {left} left")
        return None

    def uses(self) -> tuple[QuotaUse, ...]:
        """All of them, in the order of the settings."""
        pairs = zip(self._quotas, self._used, strict=True)
        return tuple([QuotaUse(quota.id, quota.limit, used) for quota, used in pairs])

    def _sum(self, places: Iterable[Counted]) -> list[int]:
        total = [0] * len(self._quotas)
        for category, price_type, many in places:
            for index in self._of(category, price_type):
                total[index] += many
        return total

    def _of(self, category: int, price_type: str) -> tuple[int, ...]:
        found = self._covering.get((category, price_type))
        if found is None:
            found = self._covering[category, price_type] = tuple(
                [
                    index
                    for index, quota in enumerate(self._quotas)
                    if (not quota.categories or category in quota.categories)
                    and (not quota.price_types or price_type in quota.price_types)
                ]
            )
        return found
