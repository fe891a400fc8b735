"""What measurements give: rates, figures with their goals, and the machine they were made on.

Owns the arithmetic (quantiles, medians, ratios), the table and the JSON. How
something is measured is told in its own module, how it looks on a page in
`bench.page`.
"""

import os
import platform
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, Final, NamedTuple

import msgspec
import psutil  # type: ignore[import-untyped]
from msgspec import Struct
from rich.table import Table

QUANTILES: Final = (0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
SLICE_S: Final = 0.1
"""The grain of throughput over time."""
MAX_POINTS: Final = 1_200
"""Of a line over time; neighbours of a longer one are told as their mean."""
_COMMIT_BYTES: Final = 8_192
_COMMIT_TRIES: Final = 100
_TURNS: Final = 20_000


class Rate(Struct, frozen=True):
    """What was answered well per second, and how long the answers took.

    Attributes:
        per_s: Of the measured time, warm-up left out.
        latencies_ms: At each of QUANTILES.
        timeline: Answers in each SLICE_S, in order.
        begins_s: When the measured time began, on `time.perf_counter`.
        lasts_s: How long it was.
    """

    per_s: float
    latencies_ms: tuple[float, ...]
    timeline: tuple[int, ...] = ()
    begins_s: float = 0.0
    lasts_s: float = 0.0

    @classmethod
    def of(
        cls, answers: Iterable[tuple[float, float, int]], begins_s: float, ends_s: float
    ) -> "Rate":
        """From (when answered, seconds it took, how many good answers) of each call.

        Raises:
            ValueError: Nothing was answered in the measured time.
        """
        slices = [0] * max(1, round((ends_s - begins_s) / SLICE_S))
        taken_s, good = [], 0
        for at_s, took_s, many in answers:
            if begins_s <= at_s < ends_s:
                good += many
                taken_s.append(took_s)
                slices[min(int((at_s - begins_s) / SLICE_S), len(slices) - 1)] += many
        if not taken_s:
            raise ValueError("nothing was answered in the measured time")
        lasts_s = ends_s - begins_s
        return cls(good / lasts_s, quantiles_ms(taken_s), tuple(slices), begins_s, lasts_s)

    def ms(self, quantile: float) -> float:
        """The latency at one of QUANTILES."""
        return self.latencies_ms[QUANTILES.index(quantile)]


def quantiles_ms(taken_s: Iterable[float]) -> tuple[float, ...]:
    """At each of QUANTILES, in milliseconds."""
    ordered = sorted(taken_s)
    last = len(ordered) - 1
    return tuple([1_000 * ordered[min(last, int(len(ordered) * one))] for one in QUANTILES])


class Series(Struct):
    """What was seen over time, the rounds one after the other.

    Attributes:
        unit: Of the values.
        lasts_s: All of it together.
        lines: By name, at equal steps; None where nothing was seen.
        beside: The key of a rate that was measured meanwhile, if one was.
    """

    unit: str
    lasts_s: float = 0.0
    lines: dict[str, list[float | None]] = msgspec.field(default_factory=dict)
    beside: str = ""


def coarser(values: Sequence[float | None]) -> list[float | None]:
    """No more than MAX_POINTS of them."""
    many = -(-len(values) // MAX_POINTS) or 1
    found: list[float | None] = []
    for at in range(0, len(values), many):
        known = [one for one in values[at : at + many] if one is not None]
        found.append(sum(known) / len(known) if known else None)
    return found


class Goal(NamedTuple):
    """A figure that is looked for. `at_most`: the smaller the better."""

    key: str
    goal: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        return value <= self.goal if self.at_most else value >= self.goal


class Figures:
    """The figures of one run, round by round. Those without a goal are shown without one."""

    def __init__(self, goals: Sequence[Goal], rounds: int, seconds: float, bench: str = "") -> None:
        self.bench = bench
        self.goals = {goal.key: goal for goal in goals}
        self.values: dict[str, list[float]] = {}
        self.rates: dict[str, list[Rate]] = {}
        self.series: dict[str, Series] = {}
        self._latencies: dict[str, list[tuple[float, ...]]] = {}
        self.missing: dict[str, str] = {}
        self.settings = {"rounds": rounds, "seconds": seconds}
        self.machine = machine()
        self._yardsticks: list[float] = []
        self._stolen: list[float] = []
        self._processors_s = _processors_s()

    def add(self, key: str, value: float) -> None:
        """One round's figure."""
        self.values.setdefault(key, []).append(value)

    def add_rate(self, key: str, rate: Rate) -> None:
        """One round's figure, with its latencies for the page."""
        self.add(key, rate.per_s)
        self.rates.setdefault(key, []).append(rate)
        self.add_latencies(key, rate.latencies_ms)

    def add_latencies(self, key: str, at_ms: tuple[float, ...]) -> None:
        """One round's latencies at each of QUANTILES, where no rate goes with them."""
        self._latencies.setdefault(key, []).append(at_ms)

    def add_series(
        self,
        key: str,
        unit: str,
        lasts_s: float,
        lines: Mapping[str, Sequence[float | None]],
        beside: str = "",
    ) -> None:
        """What was seen in one round, after what was seen in those before it."""
        series = self.series.setdefault(key, Series(unit, beside=beside))
        series.lasts_s += lasts_s
        for name, values in lines.items():
            series.lines.setdefault(name, []).extend(values)

    def add_ratio(self, key: str, ours: str, theirs: str) -> None:
        """This round's ratio, of figures that it has already."""
        if theirs in self.values and len(self.values[theirs]) == len(self.values[ours]):
            self.add(key, self.values[ours][-1] / self.values[theirs][-1])

    def lacks(self, key: str, why: str) -> None:
        """A row that could not be measured here."""
        self.missing[key] = why

    def end_round(self) -> None:
        """Measure the machine itself, so that runs of different days can be compared."""
        self._yardsticks.append(turn_ns())
        self.machine["turn_ns"] = round(median(self._yardsticks), 1)
        self.machine["turn_ns_rounds"] = [round(one, 1) for one in self._yardsticks]
        (stolen_s, all_s), before = _processors_s(), self._processors_s
        self._processors_s = stolen_s, all_s
        self._stolen.append(100 * (stolen_s - before[0]) / max(all_s - before[1], 1e-9))
        self.machine["stolen_percent"] = round(median(self._stolen), 1)
        self.machine["stolen_percent_rounds"] = [round(one, 1) for one in self._stolen]

    def __getitem__(self, key: str) -> float:
        return median(self.values[key])

    def as_json(self) -> dict[str, Any]:
        """The median of each key at the top; below, everything it was made of."""
        latencies = {
            key: {
                f"p{100 * one:g}_ms": rounded(value)
                for one, value in zip(QUANTILES, at, strict=True)
            }
            for key, at in self.latencies_ms().items()
        }
        return {
            **{key: rounded(median(values)) for key, values in self.values.items()},
            "goals": {
                key: {
                    "goal": goal.goal,
                    "at_most": goal.at_most,
                    "met": key in self.values and goal.met(self[key]),
                }
                for key, goal in self.goals.items()
            },
            "latencies": latencies,
            "throughput": {
                key: _line_json(len(line) * SLICE_S, line)
                for key, line in ((key, self.throughput(key)) for key in self.rates)
            },
            "series": {
                key: {
                    "unit": series.unit,
                    "beside": series.beside,
                    "lines": {
                        name: _line_json(series.lasts_s, values)
                        for name, values in series.lines.items()
                    },
                }
                for key, series in self.series.items()
            },
            "missing": self.missing,
            "rounds": {
                key: [rounded(one) for one in values] for key, values in self.values.items()
            },
            "settings": {"bench": self.bench, **self.settings},
            "machine": self.machine,
        }

    def latencies_ms(self) -> Mapping[str, tuple[float, ...]]:
        """Per key the median of its rounds at each of QUANTILES."""
        return {
            key: tuple(map(median, zip(*rounds, strict=True)))
            for key, rounds in self._latencies.items()
        }

    def throughput(self, key: str) -> list[float]:
        """Answers a second in each SLICE_S, the rounds one after the other."""
        return [many / SLICE_S for rate in self.rates[key] for many in rate.timeline]

    def table(self) -> Table:
        """For a terminal of 80 columns or more."""
        table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold underline")
        table.add_column("measured", no_wrap=True)
        for title in ("median", "lowest–highest", "goal", "", "p99 ms"):
            table.add_column(title, justify="right", no_wrap=True)
        latencies = self.latencies_ms()
        for key, values in self.values.items():
            goal = self.goals.get(key)
            wanted = met = ""
            if goal is not None:
                wanted = f"{'≤' if goal.at_most else '≥'} {shown(goal.goal)}"
                met = "met" if goal.met(self[key]) else "missed"
            p99 = shown(latencies[key][QUANTILES.index(0.99)]) if key in latencies else ""
            spread = f"{shown(min(values))}–{shown(max(values))}"
            table.add_row(key, shown(median(values)), spread, wanted, met, p99)
        table.caption = "\n".join(f"{key}: {why}" for key, why in self.missing.items()) or None
        return table


def _line_json(lasts_s: float, values: Sequence[float | None]) -> dict[str, Any]:
    told = coarser(values)
    return {
        "every_s": rounded(lasts_s / max(1, len(told))),
        "values": [None if one is None else rounded(one) for one in told],
    }


def rounded(value: float) -> float:
    """To what the measurement can carry: whole above 100, else four figures."""
    return round(value) if abs(value) >= 100 else float(f"{value:.4g}")


def shown(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def machine() -> dict[str, Any]:
    """What the figures were made on."""
    return {
        "cores": os.cpu_count(),
        "processor": _processor(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
    }


def _processor() -> str:
    with_names = Path("/proc/cpuinfo")
    if with_names.exists():
        for line in with_names.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _processors_s() -> tuple[float, float]:
    """(what the host of this machine gave to others, 0 where it does not tell; all)."""
    times = psutil.cpu_times()
    return getattr(times, "steal", 0.0), sum(times)


def turn_ns() -> float:
    """One turn of a loop that decodes a small message: the yardstick of this Python here."""
    message = msgspec.msgpack.encode({"id": bytes(16), "seats": [1, 2, 3]})
    decode = msgspec.msgpack.decode
    begins = time.perf_counter_ns()
    for _ in range(_TURNS):
        decode(message)
    return (time.perf_counter_ns() - begins) / _TURNS


def commit_ms(folder: Path) -> float:
    """The median time to write a page of a file and force it to the disk, as a commit does."""
    taken = []
    with (folder / "commit-time").open("wb") as file:
        for number in range(_COMMIT_TRIES):
            begins = time.perf_counter()
            os.pwrite(file.fileno(), bytes([number & 0xFF]) * _COMMIT_BYTES, 0)
            _force(file.fileno())
            taken.append(1_000 * (time.perf_counter() - begins))
    return median(taken)


_force = getattr(os, "fdatasync", os.fsync)
