"""What came of a rehearsal, as JSON and as a table in a terminal. Invariants come first.

Owns the sentences and how values are written, for the page too (`bench.rehearsal.page`).
Judges nothing: findings are made by `bench.rehearsal.invariants` and
`bench.rehearsal.thresholds`.
"""

from collections import Counter
from typing import Any, Final

import msgspec
from msgspec import Struct
from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from bench.figures import QUANTILES, machine, quantiles_ms, rounded, shown
from bench.rehearsal.history import Book
from bench.rehearsal.invariants import Finding
from bench.rehearsal.live import bot_sales, ends_of
from bench.rehearsal.memory import Grown, grown
from bench.rehearsal.scenario import Scenario
from renderers.i18n import Translator

PASSED, FAILED = 0, 99
"""Exit codes."""
MAX_LAG_MS: Final = 50.0
"""Bots that are later than this measure their own machine as well."""
SHARES: Final = frozenset(
    {"unexplained_refusals", "shed_share", "unfinished_share", "honest_success"}
)
"""Figures that are written in percent."""
_FRENCH: Final = str.maketrans(",.", "\u202f,")


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
            for name, at in latencies(book).items()
        },
        "memory": [_grown(one) for one in grown(book)],
        "generator_lag_p99_ms": rounded(report.lag_ms),
        "format": msgspec.to_builtins(report.scenario),
        "machine": machine(),
    }


def _grown(one: Grown) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.to_builtins(one)
    return {
        key: rounded(value) if key.endswith(("_mib", "growth")) else value
        for key, value in told.items()
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
            rows.add_row(mark, words, value_of(finding, t), limit_of(finding, t))
    lines = [Text(line) for line in remarks(report, book, t)]
    return Group(rows, Text(""), *lines, Text(verdict(report, t), style="bold"))


def number(value: float, t: Translator) -> str:
    """To what it can carry, as the language writes numbers."""
    return _local(shown(value), t)


def _local(text: str, t: Translator) -> str:
    return text.translate(_FRENCH) if t.language == "fr" else text


def written(key: str, value: float, t: Translator) -> str:
    """A figure with its unit."""
    if key in SHARES:
        return f"{number(100 * value, t)} %"
    if key.endswith("_growth"):
        return f"{number(value, t)} ×"
    unit = "ms" if key.endswith("_ms") else "s" if key.endswith("_s") else ""
    return f"{number(value, t)} {unit}".rstrip()


def value_of(finding: Finding, t: Translator) -> str:
    if finding.value is None:
        return t("rehearse.report.not_measured")
    return written(finding.key, finding.value, t)


def limit_of(finding: Finding, t: Translator) -> str:
    sign = "≥" if finding.at_least else "≤" if finding.limit else "="
    return f"{sign} {written(finding.key, finding.limit, t)}"


def verdict(report: Report, t: Translator) -> str:
    findings = (*report.invariants, *report.thresholds)
    failed = sum(not one.passed for one in findings)
    if not failed:
        return t("rehearse.report.passed")
    return t.plural("rehearse.report.failed", failed, all=len(findings))


def remarks(report: Report, book: Book, t: Translator) -> list[str]:
    """What the figures alone do not say."""
    examples = [
        t(
            "rehearse.report.examples",
            judged=t(f"rehearse.judged.{finding.key}"),
            examples=", ".join(finding.examples),
        )
        for finding in report.invariants
        if not finding.passed and finding.examples
    ]
    ends = Counter({t(f"rehearse.end.{end}"): many for end, many in ends_of(book).items()})
    refusals = Counter(
        {code or t("rehearse.no_reason"): many for code, many in book.refusals.items()}
    )
    return [
        *examples,
        t("rehearse.report.ends", bots=report.scenario.bots, ends=_counted(ends)),
        t("rehearse.report.refusals", refusals=_counted(refusals)),
        t("rehearse.report.failures", failures=_counted(book.failures)),
        *killed(book, t),
        *notes(report, t),
    ]


def _counted(many: Counter[str]) -> str:
    return ", ".join(f"{name} {times}" for name, times in many.most_common()) or "–"


def killed(book: Book, t: Translator) -> list[str]:
    """What each fault did, in the order of `book.kills`."""
    found = []
    for kill in book.kills:
        after = _local(f"{kill.good_s - kill.at_s:.1f}", t)
        key = "rehearse.report.killed" if kill.good_s >= 0 else "rehearse.report.killed_for_good"
        if not kill.pids:
            key = "rehearse.report.not_there"
        victim, at = t(f"rehearse.victim.{kill.victim}"), _local(f"{kill.at_s:.1f}", t)
        found.append(t(key, victim=victim, at=at, after=after))
    return found


def notes(report: Report, t: Translator) -> list[str]:
    """How the figures are to be taken."""
    found = []
    if report.scenario.factor != 1:
        found.append(
            t(
                "rehearse.report.factor",
                factor=number(report.scenario.factor, t),
                real=number(report.scenario.lasts_s / 60, t),
                seconds=number(report.scenario.seconds, t),
            )
        )
    if report.lag_ms > MAX_LAG_MS:
        found.append(t("rehearse.report.lag", ms=number(report.lag_ms, t)))
    found.append(t(f"rehearse.report.evidence_{report.source}", performance=report.performance))
    return found


def latencies(book: Book) -> dict[str, tuple[float, ...]]:
    """Of each sort of answer that there was, in milliseconds at each of QUANTILES."""
    timings = {"holds": book.holds, "orders": book.orders, "scans": book.scans}
    return {
        name: quantiles_ms(took for _, took in timing.answers)
        for name, timing in timings.items()
        if timing.answers
    }


def tell(report: Report, book: Book, t: Translator) -> None:
    """To standard output."""
    Console().print(table(report, book, t))
