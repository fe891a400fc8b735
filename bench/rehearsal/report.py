"""What came of a rehearsal: a table, JSON, and a page with plots. Invariants come first.

Owns the look of the result. Judges nothing: findings are made by
`bench.rehearsal.invariants` and `bench.rehearsal.thresholds`.
"""

from collections.abc import Sequence
from html import escape
from typing import Any, Final

import msgspec
from msgspec import Struct
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bench.figures import QUANTILES, machine, quantiles_ms, rounded, shown
from bench.page import document, plot
from bench.rehearsal.history import Book, Timing
from bench.rehearsal.invariants import Finding
from bench.rehearsal.live import bot_sales, ends_of
from bench.rehearsal.scenario import Scenario
from renderers.i18n import Translator

PASSED, FAILED = 0, 99
"""Exit codes."""
MAX_LAG_MS: Final = 50.0
"""Bots that are later than this measure their own machine as well."""
MARKS: Final = 8
"""Moments named below a plot over time, about."""
SLICE_S: Final = 1.0
"""The grain of the plots over time."""


class Report(Struct, frozen=True):
    """A rehearsal that is over. `seconds` is how long it took, `lag_ms` the bots' own lateness."""

    scenario: Scenario
    name: str
    seed: int
    seconds: float
    url: str
    performance: int
    source: str
    invariants: tuple[Finding, ...]
    thresholds: tuple[Finding, ...]
    figures: dict[str, float | None]
    lag_ms: float

    @property
    def exit_code(self) -> int:
        findings = (*self.invariants, *self.thresholds)
        return PASSED if all(finding.passed for finding in findings) else FAILED


def lag_ms(book: Book) -> float:
    """How late the machine of the bots was, at its 99th percentile."""
    if not book.lags_s:
        return 0.0
    return quantiles_ms(book.lags_s)[QUANTILES.index(0.99)]


def as_json(report: Report, book: Book) -> dict[str, Any]:
    """Everything, invariants first."""
    return {
        "passed": report.exit_code == PASSED,
        "invariants": [_finding(one) for one in report.invariants],
        "thresholds": [_finding(one) for one in report.thresholds],
        "figures": {
            key: None if value is None else rounded(value) for key, value in report.figures.items()
        },
        "scenario": report.name,
        "seed": report.seed,
        "bots": report.scenario.bots,
        "seconds": report.scenario.seconds,
        "took_s": rounded(report.seconds),
        "time_factor": rounded(report.scenario.factor),
        "server": report.url,
        "performance": report.performance,
        "evidence": report.source,
        "sales": len(bot_sales(book)),
        "sold_before": len(book.sales) - len(bot_sales(book)),
        "admitted": len(book.admissions),
        "asked": book.asked,
        "repeats": book.repeats,
        "ends": [
            {"kind": kind, "end": end, "bots": many}
            for (kind, end), many in sorted(book.ends.items())
        ],
        "refusals": dict(book.refusals.most_common()),
        "sheds": dict(book.sheds.most_common()),
        "failures": dict(book.failures.most_common()),
        "kills": [msgspec.to_builtins(kill) for kill in book.kills],
        "latencies": {
            name: {
                f"p{100 * one:g}_ms": rounded(value)
                for one, value in zip(QUANTILES, at, strict=True)
            }
            for name, at in _latencies(book).items()
        },
        "generator_lag_p99_ms": rounded(report.lag_ms),
        "format": msgspec.to_builtins(report.scenario),
        "machine": machine(),
    }


def _finding(finding: Finding) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(finding)
    if finding.value is not None:
        found["value"] = rounded(finding.value)
    return found


def table(report: Report, book: Book, t: Translator) -> Group:
    """For a terminal."""
    rows = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    rows.add_column("")
    for key in ("judged", "value", "limit"):
        rows.add_column(t(f"rehearse.report.{key}"), justify="left" if key == "judged" else "right")
    for findings in (report.invariants, report.thresholds):
        for finding in findings:
            mark = Text("✓", style="green") if finding.passed else Text("✗", style="bold red")
            words = t(f"rehearse.judged.{finding.key}")
            rows.add_row(mark, words, value_of(finding, t), limit_of(finding))
    lines = [Text(line) for line in remarks(report, book, t)]
    return Group(rows, Text(""), *lines, Text(verdict(report, t), style="bold"))


def value_of(finding: Finding, t: Translator) -> str:
    return t("rehearse.report.not_measured") if finding.value is None else shown(finding.value)


def limit_of(finding: Finding) -> str:
    return f"{'≥' if finding.at_least else '≤' if finding.limit else '='} {shown(finding.limit)}"


def verdict(report: Report, t: Translator) -> str:
    failed = sum(not one.passed for one in (*report.invariants, *report.thresholds))
    return t.plural("rehearse.report.failed", failed) if failed else t("rehearse.report.passed")


def remarks(report: Report, book: Book, t: Translator) -> list[str]:
    """What the figures alone do not say."""
    found = [
        t(
            "rehearse.report.examples",
            judged=t(f"rehearse.judged.{finding.key}"),
            examples=", ".join(finding.examples),
        )
        for finding in report.invariants
        if not finding.passed and finding.examples
    ]
    ends = ", ".join(
        f"{t(f'rehearse.end.{end}')} {many}" for end, many in ends_of(book).most_common()
    )
    found.append(t("rehearse.report.ends", bots=report.scenario.bots, ends=ends))
    refusals = ", ".join(
        f"{code or t('rehearse.no_reason')} {many}" for code, many in book.refusals.most_common()
    )
    found.append(t("rehearse.report.refusals", refusals=refusals or "–"))
    failures = ", ".join(f"{name} {many}" for name, many in book.failures.most_common())
    found.append(t("rehearse.report.failures", failures=failures or "–"))
    for kill in book.kills:
        key = "rehearse.report.killed" if kill.pids else "rehearse.report.not_there"
        after = "–" if kill.good_s < 0 else f"{kill.good_s - kill.at_s:.1f}"
        victim = t(f"rehearse.victim.{kill.victim}")
        found.append(t(key, victim=victim, at=f"{kill.at_s:.1f}", after=after))
    if report.scenario.factor != 1:
        found.append(
            t(
                "rehearse.report.factor",
                factor=shown(report.scenario.factor),
                real=shown(report.scenario.lasts_s / 60),
                seconds=shown(report.scenario.seconds),
            )
        )
    if report.lag_ms > MAX_LAG_MS:
        found.append(t("rehearse.report.lag", ms=shown(report.lag_ms)))
    found.append(t(f"rehearse.report.evidence_{report.source}", performance=report.performance))
    return found


def _latencies(book: Book) -> dict[str, tuple[float, ...]]:
    timings = {"holds": book.holds, "orders": book.orders, "scans": book.scans}
    return {
        name: quantiles_ms(took for _, took in timing.answers)
        for name, timing in timings.items()
        if timing.answers
    }


# The page ----------------------------------------------------------------------------


def html(report: Report, book: Book, t: Translator) -> str:
    """The page, which needs nothing else."""
    title = report.scenario.title.get(t.language, report.scenario.title["en"])
    latencies = {t(f"rehearse.plot.{name}"): list(at) for name, at in _latencies(book).items()}
    names = [f"p{100 * one:g}" for one in QUANTILES]
    sale_times = [sale.at_s for sale in book.sales if sale.bot]
    over_time = {
        t("rehearse.plot.holds"): _timeline(book.held, report.seconds),
        t("rehearse.plot.sales"): _timeline(sale_times, report.seconds),
        t("rehearse.plot.scans"): _timeline(
            [at for at, _ in book.scans.answers] if book.scans.answers else [], report.seconds
        ),
    }
    waits = {
        t("rehearse.plot.hold_p99"): _p99s(book.holds, report.seconds),
        t("rehearse.plot.order_p99"): _p99s(book.orders, report.seconds),
        t("rehearse.plot.scan_p99"): _p99s(book.scans, report.seconds),
    }
    queue = _queue(book, report.seconds)
    step = max(1, len(queue) // MARKS)
    seconds = [f"{at * SLICE_S:g} s" if at % step == 0 else "" for at in range(len(queue))]
    parts = [
        f"<p>{escape(verdict(report, t))}</p>",
        f"<h2>{escape(t('rehearse.report.invariants'))}</h2>",
        _rows(report.invariants, t),
        f"<h2>{escape(t('rehearse.report.thresholds'))}</h2>",
        _rows(report.thresholds, t),
        "<ul>",
        *(f"<li>{escape(line)}" for line in remarks(report, book, t)),
        "</ul>",
        f"<h2>{escape(t('rehearse.plot.latency'))}</h2>",
        plot(latencies, names),
        f"<h2>{escape(t('rehearse.plot.per_s'))}</h2>",
        plot({key: values for key, values in over_time.items() if any(values)}, seconds),
        f"<h2>{escape(t('rehearse.plot.waits'))}</h2>",
        plot({key: values for key, values in waits.items() if any(values)}, seconds),
    ]
    if any(queue):
        parts += [
            f"<h2>{escape(t('rehearse.plot.queue'))}</h2>",
            plot({t("rehearse.state.waiting"): queue}, seconds),
        ]
    told = msgspec.json.format(msgspec.json.encode(as_json(report, book)), indent=2).decode()
    parts.append(f"<details><summary>JSON</summary><pre>{escape(told)}</pre></details>")
    return document(t("rehearse.report.title", title=title), parts, t.language)


def _rows(findings: Sequence[Finding], t: Translator) -> str:
    if not findings:
        return f"<p>{escape(t('rehearse.report.none'))}</p>"
    heads = "".join(
        f"<th>{escape(t(f'rehearse.report.{key}'))}" for key in ("judged", "value", "limit")
    )
    rows = [f"<tr>{heads}<th>"]
    for one in findings:
        word = "met" if one.passed else "missed"
        cells = f"<td>{escape(value_of(one, t))}<td>{escape(limit_of(one))}"
        words = escape(t(f"rehearse.judged.{one.key}"))
        rows.append(f'<tr><td>{words}{cells}<td class="{word}">{t(f"rehearse.report.{word}")}')
    return f"<table>{''.join(rows)}</table>"


def _timeline(moments: Sequence[float], seconds: float) -> list[float]:
    """How many a second, slice by slice."""
    slices = [0.0] * max(1, round(seconds / SLICE_S))
    for at in moments:
        if 0 <= at < seconds:
            slices[min(int(at / SLICE_S), len(slices) - 1)] += 1 / SLICE_S
    return slices


def _p99s(timing: Timing, seconds: float) -> list[float]:
    """The 99th percentile of each slice, in milliseconds; 0 where nothing was answered."""
    slices: list[list[float]] = [[] for _ in range(max(1, round(seconds / SLICE_S)))]
    for at, took in timing.answers:
        slices[max(0, min(int(at / SLICE_S), len(slices) - 1))].append(took)
    last = QUANTILES.index(0.99)
    return [quantiles_ms(taken)[last] if taken else 0.0 for taken in slices]


def _queue(book: Book, seconds: float) -> list[float]:
    """The longest queue of each slice."""
    slices = [0.0] * max(1, round(seconds / SLICE_S))
    for at, many in book.waiting:
        where = max(0, min(int(at / SLICE_S), len(slices) - 1))
        slices[where] = max(slices[where], many)
    return slices


def tell(report: Report, book: Book, t: Translator) -> None:
    """To standard output."""
    Console().print(table(report, book, t))
