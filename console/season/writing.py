"""A season file of what is in the house: read again, it changes nothing.

Owns what is said once for a production and what of each performance alone: what most performances
of a production share stands above them, counted from the start where that makes it the same. What
was read back as something else than it was is said of each performance in full instead.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

import tomli_w

from console.season import dates
from console.season.problems import Problems
from console.season.reading import House
from console.season.tables import Table, placed
from console.season.terms import PlanNames, Surroundings, read_settings, write_settings
from engine.season import NUMBERED, PerformanceFound, ProductionFound, canonical

_MISSING: Final = object()

Path = tuple[str, ...]
"""The keys down to a value: names may hold any sign."""


def write_season(
    productions: Sequence[ProductionFound], plans: Mapping[str, PlanNames], house: House
) -> str:
    """The file, as text. `plans` by content hash has every plan of the productions."""
    used = dict.fromkeys(
        one.plan for each in productions for one in each.performances if not one.withdrawn
    )
    aliases = _aliases([plans[hash] for hash in used])
    writer = _Writer(plans, aliases, house)
    return tomli_w.dumps(
        {
            "time_zone": house.time_zone,
            "plan": {aliases[hash]: {"hash": hash} for hash in used},
            "production": {one.key: writer.production(one) for one in productions},
        }
    )


def _aliases(plans: Sequence[PlanNames]) -> dict[str, str]:
    """A short name for each plan, by its hash."""
    found: dict[str, str] = {}
    for plan in plans:
        plain = unicodedata.normalize("NFKD", plan.name.casefold())
        name = "-".join(re.findall(r"[a-z0-9]+", plain)) or "plan"
        alias, number = name, 2
        while alias in found.values():
            alias, number = f"{name}-{number}", number + 1
        found[plan.hash] = alias
    return found


class _Writer:
    def __init__(
        self, plans: Mapping[str, PlanNames], aliases: Mapping[str, str], house: House
    ) -> None:
        self._plans = plans
        self._aliases = aliases
        self._house = house
        self._zone = ZoneInfo(house.time_zone)

    def production(self, one: ProductionFound) -> dict[str, Any]:
        told: dict[str, Any] = {"title": one.titles}
        if one.subtitles:
            told["subtitle"] = one.subtitles
        told["currency"] = one.currency
        shown = [each for each in one.performances if not each.withdrawn]
        shared, own = self._shared(shown)
        merged = [self._read(each, shared, rest) for each, rest in zip(shown, own, strict=True)]
        if any(
            back is None or back != canonical(each.settings)
            for each, back in zip(shown, merged, strict=True)
        ):
            shared, own = {}, [self._flat(each, relative=False) for each in shown]
        told |= _nested(shared)
        plain: list[Any] = []
        rows: list[dict[str, Any]] = []
        keys = Counter(self._key(each, shown) for each in shown)
        for each, rest in zip(shown, own, strict=True):
            key = self._key(each, shown)
            start = dates.to_local(each.starts_ms, self._zone)
            if key == dates.key_of(each.starts_ms, self._zone) and keys[key] == 1:
                if not rest:
                    plain.append(start)
                    continue
                rows.append({"start": start, **_nested(rest)})
            else:
                rows.append({"key": key, "start": start, **_nested(rest)})
        if plain:
            told["dates"] = plain
        if rows:
            told["performance"] = rows
        return told

    def _key(self, one: PerformanceFound, shown: Sequence[PerformanceFound]) -> str:
        """One that was made without a key is known by its start where nothing else begins then."""
        key = dates.key_of(one.starts_ms, self._zone)
        alone = all(each is one or each.starts_ms != one.starts_ms for each in shown)
        taken = any(each.key == key for each in shown)
        return key if one.key.startswith(NUMBERED) and alone and not taken else one.key

    # What is shared -----------------------------------------------------------------

    def _shared(
        self, shown: Sequence[PerformanceFound]
    ) -> tuple[dict[Path, Any], list[dict[Path, Any]]]:
        """What stands above the performances, and what of each stands with it."""
        said = [self._flat(one, relative=False) for one in shown]
        counted = [self._flat(one, relative=True) for one in shown]
        shared: dict[Path, Any] = {}
        for path in said[0] if said else {}:
            if not all(path in one for one in said):
                continue
            values = [one[path] for one in said]
            # TOML's values are not all hashable, and 1 is not true.
            times, of_start = (
                Counter(map(repr, each)) for each in (values, [one[path] for one in counted])
            )
            if len(times) > 1 and len(of_start) == 1:
                shared[path] = counted[0][path]
                for one, other in zip(said, counted, strict=True):
                    one[path] = other[path]
            else:
                usual = times.most_common(1)[0][0]
                shared[path] = next(value for value in values if repr(value) == usual)
        own = [
            {
                path: value
                for path, value in one.items()
                if repr(shared.get(path, _MISSING)) != repr(value)
            }
            for one in said
        ]
        return shared, own

    def _flat(self, one: PerformanceFound, *, relative: bool) -> dict[Path, Any]:
        around = self._around(one)
        table = write_settings(canonical(one.settings), around, relative=relative)
        return {("plan",): self._aliases[one.plan]} | _flat(table)

    def _around(self, one: PerformanceFound) -> Surroundings:
        return Surroundings(
            self._zone,
            self._house.languages,
            one.settings.currency,
            self._plans[one.plan],
            one.starts_ms,
        )

    def _read(
        self, one: PerformanceFound, shared: Mapping[Path, Any], own: Mapping[Path, Any]
    ) -> Any:
        """The settings that these two would be read as, in canonical form."""
        below, above = (placed(_nested(each), "") for each in (shared, own))
        assert isinstance(below, Table) and isinstance(above, Table)
        table = above.over(below).without("plan")
        settings = read_settings(table, self._around(one), Problems())
        return None if settings is None else canonical(settings)


def _flat(table: Mapping[str, Any], above: Path = ()) -> dict[Path, Any]:
    """Values by their paths. An empty table is a value."""
    found: dict[Path, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, (*above, key))
        else:
            found[*above, key] = value
    return found


def _nested(flat: Mapping[Path, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path, value in flat.items():
        at = found
        for key in path[:-1]:
            at = at.setdefault(key, {})
        at[path[-1]] = value
    return found
