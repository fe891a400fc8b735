"""A scenario: who comes, when, what they do, what goes wrong meanwhile, and what must hold.

Owns the TOML format, its limits and the words about a file that is wrong: every
error names the file, the line and the key, and the way out. Knows no bot and no
server. docs/rehearsal.md describes every key; a test holds it to that.

Points in time are shares of the rehearsal's length, so that a scenario can be made
longer or shorter as a whole. What people take their time for is in real seconds and
is divided by the scenario's factor, `lasts_s` over `seconds`; what machines do (the
life of a hold, the length of a retry) is never compressed.
"""

import difflib
import re
import tomllib
from enum import StrEnum
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

from engine.limits import MAX_PLACES_PER_HOLD

SHIPPED: Final = Path(__file__).parent / "scenarios"
MAX_BOTS: Final = 20_000
MAX_SECONDS: Final = 24 * 3600.0
MAX_SCANNERS: Final = 200
MAX_DOOMED_ASKS: Final = 1_000
MAX_TRIES: Final = 100
MAX_SCENARIO_BYTES: Final = 256 * 1024

Share = Annotated[float, Meta(ge=0, le=1)]
Seconds = Annotated[float, Meta(ge=0, le=MAX_SECONDS)]
Count = Annotated[int, Meta(ge=0, le=10**9)]
Most = Annotated[float, Meta(ge=0)]


class ScenarioError(Exception):
    """A scenario that cannot be played; the text says which, where, what and the way out."""


class _Table(Struct, frozen=True, forbid_unknown_fields=True):
    pass


class Shape(StrEnum):
    """How arrivals are spread: most at the beginning, evenly, or most in the middle."""

    BURST = "burst"
    EVEN = "even"
    WAVE = "wave"


class Wants(StrEnum):
    """What a bot is there for."""

    SEATS = "seats"  # chooses on the map, near the stage
    BEST = "best"  # takes what best available gives
    SOLD = "sold"  # asks for seats that are sold, again and again
    ENTER = "enter"  # has a ticket, and presents it at the doors


class Victim(StrEnum):
    """What `kill -9` is sent to."""

    PERFORMANCE = "performance"
    JOURNAL = "journal"
    DESK = "desk"
    GATEWAY = "gateway"
    DIRECTORY = "directory"
    ROOMS = "rooms"
    DATABASE = "database"


class House(_Table, frozen=True):
    """The performance that a rehearsal creates; unused where one is named."""

    plan: Annotated[str, Meta(min_length=1)] = "theatre"
    sold: Share = 0.0
    hold_s: Annotated[float, Meta(ge=1, le=3600)] = 60.0
    hold_cap_s: Annotated[float, Meta(ge=1, le=7200)] = 180.0
    max_per_order: Annotated[int, Meta(ge=1, le=MAX_PLACES_PER_HOLD)] = 10
    max_per_buyer: Annotated[int, Meta(ge=0)] = 0
    orphan_rule: bool = True


class Room(_Table, frozen=True):
    """A waiting room: it opens at the beginning, and sale begins at `on_sale`."""

    on_sale: Share = 0.2


class Arrivals(_Table, frozen=True):
    """When bots come: spread as `shape` says over the first `over` of the rehearsal."""

    shape: Shape = Shape.BURST
    over: Share = 0.02


class Doors(_Table, frozen=True):
    """Those who enter, and what they meet."""

    scanners: Annotated[int, Meta(ge=1, le=MAX_SCANNERS)] = 8


class Kind(_Table, frozen=True):
    """Bots that are alike. `share` is of all bots; the rest are chances and counts per bot."""

    name: Annotated[str, Meta(min_length=1, max_length=40)]
    share: Annotated[float, Meta(gt=0, le=1)] = 1.0
    honest: bool = True
    wants: Wants = Wants.SEATS
    party: Annotated[tuple[Annotated[int, Meta(ge=1, le=20)], ...], Meta(min_length=1)] = (1, 2, 2)
    think_s: tuple[Seconds, Seconds] = (0.5, 3.0)
    tries: Annotated[int, Meta(ge=1, le=MAX_TRIES)] = 10
    asks: Annotated[int, Meta(ge=1, le=MAX_DOOMED_ASKS)] = 20
    watch: bool = True
    abandon: Share = 0.0
    double_click: Share = 0.0
    change_mind: Share = 0.0
    pay_late: Share = 0.0
    fail_to_pay: Share = 0.0
    reload: Share = 0.0
    reconnect: Share = 0.0
    enter: Share = 0.0
    copied: Share = 0.0


class Fault(_Table, frozen=True):
    """At this share of the rehearsal, every process of this kind is killed."""

    at: Share
    kill: Victim


class Thresholds(_Table, frozen=True):
    """What must not be passed; a key that is left out is not judged."""

    hold_p50_ms: Most | None = None
    hold_p99_ms: Most | None = None
    order_p50_ms: Most | None = None
    order_p99_ms: Most | None = None
    scan_p99_ms: Most | None = None
    unexplained_refusals: Share | None = None
    shed_share: Share | None = None
    unfinished_share: Share | None = None
    honest_success: Share | None = None
    fairness: Annotated[float, Meta(ge=-1, le=1)] | None = None
    overtaken: Count | None = None
    recovery_s: Most | None = None
    memory_growth: Most | None = None


AT_LEAST: Final = frozenset({"honest_success", "fairness"})
"""Thresholds that are passed from below; all others are not to be exceeded."""


class Scenario(_Table, frozen=True, kw_only=True):
    """What is rehearsed."""

    title: dict[str, str]
    seed: int = 1
    bots: Annotated[int, Meta(ge=1, le=MAX_BOTS)] = 200
    seconds: Annotated[float, Meta(ge=1, le=MAX_SECONDS)] = 30.0
    lasts_s: Annotated[float, Meta(ge=0, le=30 * MAX_SECONDS)] = 0.0
    grace_s: Annotated[float, Meta(ge=0, le=3600)] = 30.0
    house: House = House()
    room: Room | None = None
    arrivals: Arrivals = Arrivals()
    doors: Doors = Doors()
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1)]
    faults: tuple[Fault, ...] = ()
    thresholds: Thresholds = Thresholds()

    @property
    def factor(self) -> float:
        """How many seconds of people's time pass in one second."""
        return self.lasts_s / self.seconds if self.lasts_s else 1.0


def shipped() -> list[str]:
    """The names of the scenarios that come with the product."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def find(name: str) -> Path:
    """The file of a scenario: one of ours by its name, else a path.

    Raises:
        ScenarioError: There is neither.
    """
    if name in shipped():
        return SHIPPED / f"{name}.toml"
    path = Path(name)
    if path.is_file():
        return path
    known = ", ".join(shipped())
    raise ScenarioError(
        f"{name}: no such scenario and no such file; there are {known}"
        " (strapontin rehearse --copy NAME FILE makes one of your own)"
    )


def load(path: Path) -> Scenario:
    """Read a file.

    Raises:
        ScenarioError: It cannot be read, is not TOML, or is no scenario.
    """
    try:
        text = path.read_bytes()[: MAX_SCENARIO_BYTES + 1].decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ScenarioError(f"{path}: cannot be read: {error}") from None
    if len(text) > MAX_SCENARIO_BYTES:
        raise ScenarioError(f"{path}: larger than {MAX_SCENARIO_BYTES:,} bytes: is it a scenario?")
    return parse(text, str(path))


def parse(text: str, name: str) -> Scenario:
    """A scenario from TOML; `name` stands for it in errors.

    Raises:
        ScenarioError: See `load`.
    """
    try:
        found = msgspec.convert(tomllib.loads(text), Scenario)
    except tomllib.TOMLDecodeError as error:
        raise ScenarioError(f"{name}: not TOML: {error}") from None
    except msgspec.ValidationError as error:
        raise ScenarioError(f"{name}{_explained(text, str(error))}") from None
    _check(found, name, text)
    return found


def _check(scenario: Scenario, name: str, text: str) -> None:
    """What the types do not say."""
    wrong = ""
    total = sum(kind.share for kind in scenario.kinds)
    names = [kind.name for kind in scenario.kinds]
    where = "kinds"
    if abs(total - 1) > 1e-6:
        wrong = f"the shares add up to {total:g}: make them add up to 1"
    elif len(set(names)) != len(names):
        wrong = "two kinds have the same name: rename one"
    elif any(kind.think_s[0] > kind.think_s[1] for kind in scenario.kinds):
        where, wrong = "think_s", "the shortest comes first: [shortest, longest]"
    elif scenario.house.hold_cap_s < scenario.house.hold_s:
        where, wrong = "hold_cap_s", "no hold may live longer than its cap: raise it to hold_s"
    elif any(kind.wants is Wants.SOLD for kind in scenario.kinds) and not scenario.house.sold:
        where, wrong = "wants", 'bots that want what is "sold" need [house] sold above 0'
    elif "en" not in scenario.title:
        where, wrong = "title", 'needs at least an English text: title.en = "..."'
    if wrong:
        raise ScenarioError(f"{name}{_line(text, where)}: {where}: {wrong}")


def _explained(text: str, message: str) -> str:
    """msgspec's words with the line of the key, and the keys there are where one is unknown."""
    what, _, path = message.partition(" - at ")
    keys = re.findall(r"[a-z][a-z0-9_]*|\[\d+\]", path.strip("`$"))
    table = _table_at([key for key in keys if not key.startswith("[")])
    unknown = re.search(r"unknown field `([^`]+)`", what)
    if unknown:
        key = unknown[1]
        there = list(table.__struct_fields__) if table else []
        near = difflib.get_close_matches(key, there, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(there)}"
        return f"{_line(text, key, _at(keys))}: {key}: no such key here; {hint}"
    missing = re.search(r"missing required field `([^`]+)`", what)
    if missing:
        return f"{_line(text, *_last(keys))}: {missing[1]}: it is missing: add it"
    last = _last(keys)
    what = what.replace("`", "").replace("Expected", "it must be:").replace(", got", ", not")
    what = what.replace(" <=", ", at most").replace(" >=", ", at least").replace(" >", ", over")
    if what.startswith("Invalid enum value"):
        words = _words_of(last[0], table)
        what = f"{what.removeprefix('Invalid enum value ')} is none of {', '.join(words)}"
    return f"{_line(text, *last)}: {last[0] or 'the scenario'}: {what}"


def _words_of(key: str, table: type[Struct] | None) -> list[str]:
    """The words that a key may have."""
    hint = get_type_hints(table).get(key) if table else None
    return list(hint) if isinstance(hint, type) and issubclass(hint, StrEnum) else []


def _last(keys: list[str]) -> tuple[str, tuple[str, int]]:
    named = [key for key in keys if not key.startswith("[")]
    return (named[-1] if named else ""), _at(keys)


def _at(keys: list[str]) -> tuple[str, int]:
    """The array of tables a path goes through, and which of them; ("", 0) for none."""
    if len(keys) > 1 and keys[1].startswith("[") and keys[0] in ("kinds", "faults"):
        return keys[0], int(keys[1][1:-1])
    return (keys[0], 0) if keys else ("", 0)


def _line(text: str, key: str, at: tuple[str, int] = ("", 0)) -> str:
    """ ":12", the line where a key is set, looked for from its table's head on."""
    lines = text.splitlines()
    table, number = at
    heads = [
        index for index, line in enumerate(lines) if re.match(rf"\s*\[+\s*{table}\s*\]+", line)
    ]
    start = heads[min(number, len(heads) - 1)] if table and heads else 0
    for index in range(start, len(lines)):
        if key and re.match(rf"\s*(\[+\s*)?{re.escape(key)}\b", lines[index]):
            return f":{index + 1}"
    return f":{start + 1}" if table and heads else ""


def _table_at(keys: list[str]) -> type[Struct] | None:
    """The table that a path of keys leads to."""
    table: Any = Scenario
    for key in keys:
        hint = get_type_hints(table).get(key) if hasattr(table, "__struct_fields__") else None
        inner = _struct_in(hint)
        if inner is None:
            break
        table = inner
    return table  # type: ignore[no-any-return]


def _struct_in(hint: Any) -> type[Struct] | None:
    if isinstance(hint, type) and issubclass(hint, Struct):
        return hint
    if get_origin(hint) in (tuple, Union, UnionType, Annotated):
        for part in get_args(hint):
            if (found := _struct_in(part)) is not None:
                return found
    return None
