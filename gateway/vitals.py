"""How the parts behind the edge are: asked once for all who want to know, and told to Prometheus.

Owns how long anybody waits for that and how old it may be, and the names of the families. A
part that does not answer has no families then, and `strapontin_backend_up` 0. Performances
that are not active have none either: that bounds their labels
(`engine.actors.directory.MAX_ACTIVE`).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

import structlog
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from engine.commands import SeatStatus
from engine.status import (
    DirectoryStatus,
    EngineStatus,
    JournalStatus,
    MailStatus,
    PerformanceStatus,
    Use,
)
from gateway.cache import Kept
from gateway.limits import STATUS_CACHE_S, STATUS_TIMEOUT_S
from gateway.metrics import histogram

log = structlog.get_logger("gateway.vitals")

_BY_PERFORMANCE: Final = ("performance",)
_BY_PROCESS: Final = ("actor", "performance")
_SEAT_STATUSES: Final = tuple(status.name.lower() for status in sorted(SeatStatus))


class Vitals:
    """What `Backend.status` says, at most STATUS_CACHE_S old."""

    def __init__(self, ask: Callable[[], Awaitable[EngineStatus]]) -> None:
        self._ask = ask
        self._kept: Kept[None, EngineStatus | None] = Kept(1, STATUS_CACHE_S)

    async def status(self) -> EngineStatus | None:
        """None when nothing answers within STATUS_TIMEOUT_S."""
        return await self._kept.get(None, self._asked)

    async def _asked(self) -> EngineStatus | None:
        try:
            async with asyncio.timeout(STATUS_TIMEOUT_S):
                return await self._ask()
        except Exception as error:  # whatever it is, there are no figures, and the sale goes on
            log.warning("no status", why=repr(error))
            return None


def families(status: EngineStatus | None) -> Iterator[Metric]:
    """What a status says, in Prometheus' terms."""
    up = GaugeMetricFamily(
        "strapontin_backend_up", "1 when this part answers in time", labels=("actor",)
    )
    for actor, answers in {"": False}.items() if status is None else status.up.items():
        up.add_metric((actor,), answers)
    yield up
    if status is None:
        return
    yield GaugeMetricFamily("strapontin_lanes", "Lanes open from here", value=status.lanes)
    yield GaugeMetricFamily(
        "strapontin_lane_calls", "Calls under way on lanes", value=status.lane_calls
    )
    performances: tuple[PerformanceStatus, ...] = ()
    if status.directory is not None:
        performances = status.directory.performances
        yield from _of_directory(status.directory)
    if status.journal is not None:
        yield from _of_journal(status.journal)
    if status.mail is not None:
        yield from _of_mail(status.mail)
    yield from _of_processes(status.uses, performances)


def _of_directory(directory: DirectoryStatus) -> Iterator[Metric]:
    told = directory.performances
    yield GaugeMetricFamily(
        "strapontin_performances_active", "Performances with an actor", value=directory.active
    )
    yield GaugeMetricFamily(
        "strapontin_performances_silent",
        "Of those, how many did not answer in time",
        value=directory.active - len(told),
    )
    for gauge, text, value in _GAUGES:
        family = GaugeMetricFamily(gauge, text, labels=_BY_PERFORMANCE)
        for one in told:
            family.add_metric((str(one.performance),), value(one))
        yield family
    for counter, text, value in _COUNTERS:
        counted = CounterMetricFamily(counter, text, labels=_BY_PERFORMANCE)
        for one in told:
            counted.add_metric((str(one.performance),), value(one))
        yield counted
    yield from _of_places([one for one in told if one.ready])


_Value = Callable[[PerformanceStatus], float]
_GAUGES: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("strapontin_performance_ready", "0 while it recovers", lambda one: one.ready),
    ("strapontin_performance_epoch", "The writer's reign", lambda one: one.epoch),
    (
        "strapontin_performance_uncommitted",
        "Events decided and not durable yet",
        lambda one: one.uncommitted,
    ),
    (
        "strapontin_performance_watchers",
        "Gateways that wait for its feed",
        lambda one: one.watchers,
    ),
    (
        "strapontin_performance_idle_seconds",
        "Since its last batch",
        lambda one: one.idle_ms / 1000,
    ),
)
_COUNTERS: Final[tuple[tuple[str, str, _Value], ...]] = (
    ("strapontin_performance_events", "Events in its journal: its seq", lambda one: one.seq),
    ("strapontin_performance_commits", "Batches that it had committed", lambda one: one.commits),
    (
        "strapontin_performance_recoveries",
        "Times that its actor rebuilt itself, its start included",
        lambda one: one.recoveries,
    ),
)


def _of_places(told: list[PerformanceStatus]) -> Iterator[Metric]:
    seats = GaugeMetricFamily(
        "strapontin_seats", "Seats by status", labels=("performance", "status")
    )
    left = GaugeMetricFamily(
        "strapontin_area_places_left", "Places left in areas", labels=_BY_PERFORMANCE
    )
    holds = GaugeMetricFamily("strapontin_holds", "Holds alive", labels=_BY_PERFORMANCE)
    recovery = GaugeMetricFamily(
        "strapontin_performance_recovery_seconds",
        "How long its last recovery took",
        labels=_BY_PERFORMANCE,
    )
    tickets = CounterMetricFamily(
        "strapontin_tickets_sold", "Tickets ever sold", labels=_BY_PERFORMANCE
    )
    for one in told:
        performance = str(one.performance)
        for status, count in zip(_SEAT_STATUSES, one.seats, strict=True):
            seats.add_metric((performance, status), count)
        left.add_metric((performance,), one.area_left)
        holds.add_metric((performance,), one.holds)
        recovery.add_metric((performance,), one.recovery_s)
        tickets.add_metric((performance,), one.tickets)
    yield from (seats, left, holds, tickets, recovery)


def _of_journal(journal: JournalStatus) -> Iterator[Metric]:
    yield histogram(
        "strapontin_journal_commit_seconds",
        "Time of one transaction of the journal",
        (),
        {(): journal.commit_s},
    )
    yield CounterMetricFamily(
        "strapontin_journal_batches", "Batches written", value=journal.batches
    )
    yield CounterMetricFamily(
        "strapontin_journal_failures",
        "Transactions whose result is unknown",
        value=journal.failed,
    )
    yield CounterMetricFamily(
        "strapontin_journal_fenced",
        "Batches of a writer that another has replaced, refused",
        value=journal.fenced,
    )
    yield GaugeMetricFamily(
        "strapontin_journal_waiting", "Batches waiting for a transaction", value=journal.waiting
    )


def _of_mail(mail: MailStatus) -> Iterator[Metric]:
    yield GaugeMetricFamily("strapontin_mails_waiting", "Mails to be sent", value=mail.waiting)
    yield GaugeMetricFamily(
        "strapontin_mails_oldest_seconds",
        "For how long the oldest of them has been",
        value=mail.oldest_s,
    )
    yield CounterMetricFamily("strapontin_mails_sent", "Mails that were sent", value=mail.sent)
    yield CounterMetricFamily(
        "strapontin_mails_failed", "Mails that were refused, or given up", value=mail.failed
    )
    yield GaugeMetricFamily(
        "strapontin_mail_server_up",
        "0 while the mail server was not reached the last time",
        value=mail.reached,
    )


def _of_processes(
    uses: dict[str, Use], performances: tuple[PerformanceStatus, ...]
) -> Iterator[Metric]:
    resident = GaugeMetricFamily(
        "strapontin_process_resident_bytes", "Memory of a process", labels=_BY_PROCESS
    )
    cpu = CounterMetricFamily(
        "strapontin_process_cpu_seconds", "Processor time of a process", labels=_BY_PROCESS
    )
    everybody = [((actor, ""), use) for actor, use in uses.items()]
    everybody += [(("performance", str(one.performance)), one.use) for one in performances]
    for labels, use in everybody:
        resident.add_metric(labels, use.resident_bytes)
        cpu.add_metric(labels, use.cpu_s)
    yield from (resident, cpu)
