"""Seating plans for the edge: their JSON for maps, and themselves for words.

Owns the loading of plans (in a thread: a stadium takes a second) and how many
are kept. A plan never changes under its hash, so what is kept is never stale.
"""

import asyncio
import gzip
import re
import unicodedata
from typing import Final

from engine.plan import Plan
from engine.plan_io import load_plan
from gateway.backend import Catalogue
from gateway.cache import Kept
from gateway.limits import (
    MAX_CACHED_PLAN_VIEWS,
    MAX_CACHED_PLANS,
    MAX_PLAN_LOADS,
    MAX_SEATS_FOUND,
)
from gateway.plan_view import plan_view
from gateway.problems import Problem

_FOREVER_S: Final = 1e9
_WORDS: Final = re.compile(r"[^\W\d_]+|\d+")
_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Plans:
    """Plans by content hash. Both answers raise Problem("plan_unknown")."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._plans: Kept[str, Plan] = Kept(MAX_CACHED_PLANS, _FOREVER_S)
        self._views: Kept[str, bytes] = Kept(MAX_CACHED_PLAN_VIEWS, _FOREVER_S)
        self._loading = asyncio.Semaphore(MAX_PLAN_LOADS)

    async def plan(self, plan_hash: str) -> Plan:
        return await self._plans.get(plan_hash, lambda: self._load(plan_hash))

    async def view(self, plan_hash: str) -> bytes:
        """The columnar JSON of GET /api/plans/{hash}, compressed with gzip once."""
        return await self._views.get(plan_hash, lambda: self._compress(plan_hash))

    async def _load(self, plan_hash: str) -> Plan:
        if not _HASH.fullmatch(plan_hash):
            raise Problem("plan_unknown")
        body = await self._catalogue.plan(plan_hash)
        if body is None:
            raise Problem("plan_unknown", f"there is no plan {plan_hash}")
        async with self._loading:
            return await asyncio.to_thread(load_plan, body)

    async def _compress(self, plan_hash: str) -> bytes:
        plan = await self.plan(plan_hash)
        async with self._loading:
            return await asyncio.to_thread(lambda: gzip.compress(plan_view(plan), 6, mtime=0))


def find_seats(plan: Plan, text: str) -> list[int]:
    """The seats that "B 12", "b12" or "circle B 12" may mean, at most MAX_SEATS_FOUND."""
    wanted = _words(text)
    if len(wanted) < 2:
        return []
    *place, seat_word = wanted
    found: list[int] = []
    for row in plan.rows:
        row_words = _words(row.label)
        known = {*row_words, *_words(plan.sections[row.section].name)}
        # The word before the seat is its row's, where the row has a name at all.
        if row_words and place[-1] not in row_words:
            continue
        for seat in range(row.first, row.first + row.count):
            label = _words(plan.seats[seat].label)
            if label and label[-1] == seat_word and known.union(label).issuperset(place):
                found.append(seat)
                if len(found) == MAX_SEATS_FOUND:
                    return found
    return found


def _words(text: str) -> list[str]:
    """Words and numbers, lower case and without accents; "B12" is two."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return _WORDS.findall("".join(c for c in decomposed if not unicodedata.combining(c)))
