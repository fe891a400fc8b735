"""What the edge counts, in Prometheus' terms.

Owns the names and the counting. The hot path adds to plain integers; the
families are made from them when somebody asks. One registry per gateway, so
that two in one process (tests) do not mix.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Mapping
from itertools import accumulate
from typing import Any, Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

from engine.commands import Refusal, ScanOutcome
from engine.orders import DeskRefusal
from engine.payments import PaymentRefusal
from engine.status import Buckets

# Otherwise each counter and histogram of the library has a second family that says when it began.
disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_EDGES_S: Final = (
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0,
)  # fmt: skip
BATCH_EDGES: Final = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000)
FROM_FEED: Final = "seat_taken_from_feed"
"""The outcome of a hold that the gateway refused by itself: its feed showed the seat as sold."""
_LET_THROUGH: Final = (ScanOutcome.ADMITTED, ScanOutcome.EXITED)
_REFUSED: Final = frozenset(
    {
        FROM_FEED,
        *Refusal,
        *DeskRefusal,
        *PaymentRefusal,
        *set(ScanOutcome).difference(_LET_THROUGH),
    }
)


class Latency(dict[str, Buckets]):
    """Seconds from a command's arrival to its reply, by the kind of the command."""

    def __missing__(self, kind: str) -> Buckets:
        buckets = self[kind] = Buckets(LATENCY_EDGES_S)
        return buckets

    @property
    def counts(self) -> list[int]:
        """Of all kinds together, between LATENCY_EDGES_S."""
        none = [0] * (len(LATENCY_EDGES_S) + 1)
        counts = (one.counts for one in self.values())
        return [sum(column) for column in zip(none, *counts, strict=True)]


class Metrics:
    """Everything one gateway counts.

    `gauges` are asked when the metrics are read; so are `gauges_by`, which answer a value for
    each of a few values of one label.
    """

    def __init__(self) -> None:
        self.commands: Tally[tuple[str, str]] = Tally()  # (kind, outcome)
        self.sheds: Tally[str] = Tally()  # by reason
        self.frames_refused: Tally[str] = Tally()  # by error code
        self.feed_frames: Tally[str] = Tally()  # "sent" | "skipped"
        self.closed: Tally[str] = Tally()  # connections, by why the server closed them
        self.batch_retries = 0
        self.latency = Latency()
        self.batch = Buckets(BATCH_EDGES)
        self.gauges: dict[str, tuple[str, Callable[[], float]]] = {}
        self.gauges_by: dict[str, tuple[str, str, Callable[[], Mapping[str, float]]]] = {}
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

    def families(self) -> list[Metric]:
        """Everything as it is now."""
        return list(self._registry.collect())

    def collect(self) -> Iterable[Metric]:
        yield _counter(
            "strapontin_commands",
            "Commands answered",
            ("kind", "outcome", "verdict"),
            {
                (kind, outcome, "refused" if outcome in _REFUSED else "accepted"): count
                for (kind, outcome), count in self.commands.items()
            },
        )
        for name, text, label, tally in (
            ("strapontin_sheds", "Commands not decided: ask again", "reason", self.sheds),
            ("strapontin_frames_refused", "Frames answered by an error", "code",
             self.frames_refused),
            ("strapontin_feed_frames", "Feed frames to watchers", "fate", self.feed_frames),
            ("strapontin_sockets_closed", "Connections closed by the server", "why", self.closed),
        ):  # fmt: skip
            yield _counter(name, text, (label,), {(key,): value for key, value in tally.items()})
        retries = CounterMetricFamily("strapontin_batch_retries", "Batches sent again")
        retries.add_metric((), self.batch_retries)
        yield retries
        yield histogram(
            "strapontin_command_seconds",
            "From a command's arrival to its reply",
            ("kind",),
            {(kind,): buckets for kind, buckets in self.latency.items()},
        )
        yield histogram("strapontin_batch_commands", "Commands in a batch", (), {(): self.batch})
        for name, (text, read) in self.gauges.items():
            yield GaugeMetricFamily(name, text, value=read())
        for name, (text, label, read_by) in self.gauges_by.items():
            family = GaugeMetricFamily(name, text, labels=(label,))
            for value, number in sorted(read_by().items()):
                family.add_metric((value,), number)
            yield family


class _Families(list[Metric]):
    def collect(self) -> Iterable[Metric]:
        return self


def exposition(families: Iterable[Metric]) -> bytes:
    """The text that Prometheus reads. Takes its time: call it in a thread."""
    return generate_latest(_Families(families))


def histogram(
    name: str,
    text: str,
    labels: tuple[str, ...],
    values: Mapping[tuple[str, ...], Buckets],
) -> HistogramMetricFamily:
    """A family of histograms, each with its values of `labels`."""
    family = HistogramMetricFamily(name, text, labels=labels)
    for key, buckets in sorted(values.items()):
        edges = [*(str(float(edge)) for edge in buckets.edges), "+Inf"]
        counts = map(float, accumulate(buckets.counts))
        family.add_metric(key, list(zip(edges, counts, strict=True)), buckets.total)
    return family


def _counter(
    name: str, text: str, labels: tuple[str, ...], values: Mapping[Any, int]
) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=labels)
    for key, value in sorted(values.items()):
        family.add_metric(key, value)
    return family
