"""What the edge counts, in Prometheus' terms.

Owns the names and the counting. The hot path adds to plain integers; the
families are made from them when somebody asks. One registry per gateway, so
that two in one process (tests) do not mix.
"""

from bisect import bisect_left
from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

LATENCY_EDGES_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0,
)  # fmt: skip
BATCH_EDGES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)


class Buckets:
    """A histogram that costs a bisection to add to."""

    __slots__ = ("_counts", "_edges", "_total")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self._edges = edges
        self._counts = [0] * (len(edges) + 1)
        self._total = 0.0

    def add(self, value: float) -> None:
        self._counts[bisect_left(self._edges, value)] += 1
        self._total += value

    def family(self, name: str, text: str) -> HistogramMetricFamily:
        names = [*(str(float(edge)) for edge in self._edges), "+Inf"]
        counts = zip(names, map(float, accumulate(self._counts)), strict=True)
        return HistogramMetricFamily(name, text, buckets=list(counts), sum_value=self._total)


class Metrics:
    """Everything one gateway counts. `gauges` are asked when the metrics are read."""

    def __init__(self) -> None:
        self.commands: Tally[tuple[str, str]] = Tally()  # (kind, outcome)
        self.frames_refused: Tally[str] = Tally()  # by error code
        self.feed_frames: Tally[str] = Tally()  # "sent" | "skipped"
        self.closed: Tally[str] = Tally()  # connections, by why the server closed them
        self.batch_retries = 0
        self.latency = Buckets(LATENCY_EDGES_S)
        self.batch = Buckets(BATCH_EDGES)
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        self.http = Counter(
            "strapontin_http_requests",
            "HTTP requests by method, route and status",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self.http_seconds = Histogram(
            "strapontin_http_seconds",
            "Time to answer an HTTP request",
            ("route",),
            registry=self._registry,
        )

    def exposition(self) -> bytes:
        """The text format that Prometheus reads."""
        return generate_latest(self._registry)

    def collect(self) -> Iterable[Metric]:
        yield _counter(
            "strapontin_commands", "Commands answered", ("kind", "outcome"), self.commands
        )
        for name, text, label, tally in (
            ("strapontin_frames_refused", "Frames answered by an error", "code",
             self.frames_refused),
            ("strapontin_feed_frames", "Feed frames to watchers", "fate", self.feed_frames),
            ("strapontin_sockets_closed", "Connections closed by the server", "why", self.closed),
        ):  # fmt: skip
            yield _counter(name, text, (label,), {(key,): value for key, value in tally.items()})
        retries = CounterMetricFamily("strapontin_batch_retries", "Batches sent again")
        retries.add_metric((), self.batch_retries)
        yield retries
        yield self.latency.family(
            "strapontin_command_seconds", "From a command's arrival to its reply"
        )
        yield self.batch.family("strapontin_batch_commands", "Commands in a batch")
        for name, (text, read) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=read())


def _counter(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family
