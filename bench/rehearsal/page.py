"""The report of a rehearsal as one HTML page that needs nothing else.

Owns what is on the page and in which order: the verdict, what must hold, the figures that
matter, the limits, what became of everybody, and the course of it all. Its frame and look
are `bench.page`'s, its drawings `bench.plots`', its sentences `bench.rehearsal.report`'s.
"""

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Final

import msgspec

from bench.figures import QUANTILES, quantiles_ms
from bench.page import document, sign, verdict
from bench.plots import Mark, Plot, Values, bar, plot
from bench.rehearsal.history import Book, Timing, Weighing
from bench.rehearsal.invariants import Finding
from bench.rehearsal.live import ends_of
from bench.rehearsal.memory import largest
from bench.rehearsal.report import (
    PASSED,
    Report,
    as_json,
    killed,
    latencies,
    limit_of,
    notes,
    number,
    value_of,
    written,
)
from bench.rehearsal.report import verdict as sentence
from renderers.i18n import Translator

MAX_SLICES: Final = 240
"""Points of a line over time."""
MAX_ROWS: Final = 12
"""Reasons named apart in a table; the rest are counted together."""
_SLICES_S: Final = (1, 2, 5, 10, 20, 60, 120, 300, 600)
_PLOT_PX: Final = 160
"""The height of plots over time, which stand below each other."""


def html(report: Report, book: Book, t: Translator) -> str:
    """The whole page."""
    title = report.scenario.title.get(t.language, report.scenario.title["en"])
    passed = report.exit_code == PASSED
    word = t(f"rehearse.report.{'held' if passed else 'not_held'}")
    lead = t(
        "rehearse.report.lead",
        name=report.name,
        seed=report.seed,
        seconds=number(report.seconds, t),
        server=report.url,
    )
    remarks = "".join(f"<li>{escape(line)}" for line in notes(report, t))
    parts = [
        verdict(passed, word, sentence(report, t)),
        _musts(report.invariants, t),
        _tiles(report, book, t),
        f'<ul class="notes">{remarks}</ul>',
        f"<h2>{escape(t('rehearse.report.thresholds'))}</h2>",
        _limits(report.thresholds, t),
        _faults(book, t),
        _outcomes(book, t),
        _course(report, book, t),
    ]
    told = msgspec.to_builtins(as_json(report, book))
    heading = t("rehearse.report.title", title=title)
    return document(heading, lead, parts, language=t.language, told=told)


def _musts(findings: Sequence[Finding], t: Translator) -> str:
    """What must hold whatever happens, each with its shape and its word."""
    rows = []
    for one in findings:
        examples = "" if one.passed else ", ".join(one.examples)
        more = f"<small>{escape(examples)}</small>" if examples else ""
        rows.append(
            f"<li>{_sign(one, t, 'broken')}<span>{escape(t(f'rehearse.judged.{one.key}'))}</span>"
            f"<b>{escape(value_of(one, t))}</b>{more}"
        )
    heading = escape(t("rehearse.report.invariants"))
    return f'<section class="musts"><h2>{heading}</h2><ul>{"".join(rows)}</ul></section>'


def _sign(finding: Finding, t: Translator, otherwise: str) -> str:
    return sign(finding.passed, t(f"rehearse.report.{'met' if finding.passed else otherwise}"))


def _tiles(report: Report, book: Book, t: Translator) -> str:
    """The few figures that matter; what was not measured has none."""
    sold = sum(len(sale.tickets) for sale in book.sales if sale.bot)
    tiles = [("bots", number(report.scenario.bots, t))]
    if sold or not book.admissions:
        tiles.append(("sold", number(sold, t)))
    else:
        tiles.append(("admitted", number(len(book.admissions), t)))
    speeds = ("hold_p99_ms", "order_p99_ms") if sold else ("scan_p99_ms",)
    for key in (*speeds, "shed_share"):
        value = report.figures[key]
        if value is not None:
            tiles.append((key, written(key, value, t)))
    rows = []
    for key, text in tiles:
        figure, _, unit = text.partition(" ")
        small = f" <small>{unit}</small>" if unit else ""
        words = escape(t(f"rehearse.tile.{key}"))
        rows.append(f'<li class="tile"><b>{figure}{small}</b><span>{words}</span>')
    return f'<ul class="tiles">{"".join(rows)}</ul>'


def _limits(findings: Sequence[Finding], t: Translator) -> str:
    if not findings:
        return f"<p>{escape(t('rehearse.report.none'))}</p>"
    heads = "".join(
        f"<th{look}>{escape(t(f'rehearse.report.{key}'))}"
        for key, look in (
            ("judged", ""),
            ("value", ' class="n"'),
            ("limit", ' class="n"'),
            ("beside", ""),
        )
    )
    rows = [f"<tr>{heads}<th>"]
    for one in findings:
        value, limit = value_of(one, t), limit_of(one, t)
        drawing = ""
        if one.value is not None:
            drawing = bar(one.value, one.limit, f"{value}; {limit}", at_least=one.at_least)
        look = "" if one.passed else ' class="missed-row"'
        rows.append(
            f"<tr{look}><td>{escape(t(f'rehearse.judged.{one.key}'))}"
            f'<td class="n">{escape(value)}<td class="n soft">{escape(limit)}'
            f'<td class="drawn">{drawing}<td>{_sign(one, t, "missed")}'
        )
    key = escape(t("rehearse.report.bar"))
    return f'<table class="judged">{"".join(rows)}</table><p class="quiet">{key}</p>'


def _faults(book: Book, t: Translator) -> str:
    if not book.kills:
        return ""
    rows = "".join(f"<li>{escape(line)}" for line in killed(book, t))
    heading, key = escape(t("rehearse.report.faults")), escape(t("rehearse.report.shaded"))
    return f'<h2>{heading}</h2><ol>{rows}</ol><p class="quiet">{key}</p>'


# What became of everybody ------------------------------------------------------------


def _outcomes(book: Book, t: Translator) -> str:
    ends = Counter({t(f"rehearse.end.{end}"): many for end, many in ends_of(book).items()})
    tables = [
        _counts(t("rehearse.report.how_it_ended"), ends, t),
        _counts(t("rehearse.report.refused"), book.refusals, t, coded=True),
        _counts(t("rehearse.report.sheds"), book.sheds, t, coded=True),
        _counts(t("rehearse.report.failed_requests"), book.failures, t),
    ]
    heading = escape(t("rehearse.report.outcomes"))
    return f'<h2>{heading}</h2><div class="pair">{"".join(tables)}</div>'


def _counts(title: str, many: Counter[str], t: Translator, *, coded: bool = False) -> str:
    """How often what happened; nothing where nothing did."""
    if not many:
        return ""
    rows = []
    for name, times in many.most_common(MAX_ROWS):
        words = escape(name)
        if coded:
            words = f'{escape(_explained(name, t))}<span class="code">{words}</span>'
        rows.append((words, times))
    rest = many.total() - sum(times for _, times in rows)
    if rest:
        rows.append((escape(t("rehearse.report.others")), rest))
    cells = "".join(f'<tr><td>{words}<td class="n">{number(times, t)}' for words, times in rows)
    return f"<div><h3>{escape(title)}</h3><table>{cells}</table></div>"


def _explained(code: str, t: Translator) -> str:
    """A code in the words that people get for it."""
    for key in (f"refusal.{code}", f"outcome.scan_why.{code}"):
        if key in t:
            return t(key)
    return t("rehearse.no_reason")


# The course of it --------------------------------------------------------------------


def _course(report: Report, book: Book, t: Translator) -> str:
    """Answers by percentile, and everything over time with the moments that matter."""
    plots = [plot(_by_percentile(book, t)), *map(plot, _over_time(report, book, t))]
    drawn = "".join(plots) or f"<p>{escape(t('rehearse.plot.nothing'))}</p>"
    return f"<h2>{escape(t('rehearse.plot.course'))}</h2>{drawn}"


def _by_percentile(book: Book, t: Translator) -> Plot:
    return Plot(
        title=t("rehearse.plot.latency"),
        lines={t(f"rehearse.plot.{name}"): list(at) for name, at in latencies(book).items()},
        unit="ms",
        steps=t("rehearse.plot.percentile"),
        names=[f"p{number(100 * one, t)}" for one in QUANTILES],
        tenfold=True,
        number=lambda value: number(value, t),
    )


def _over_time(report: Report, book: Book, t: Translator) -> list[Plot]:
    lasts = max(report.seconds, 1.0)
    sales = [sale.at_s for sale in book.sales if sale.bot]
    scans = [at for at, _ in book.scans.answers]
    many = {
        "holds": _per_s(book.held, lasts),
        "sales": _per_s(sales, lasts),
        "scans": _per_s(scans, lasts),
    }
    slowest = {
        "hold_p99": _p99s(book.holds, lasts),
        "order_p99": _p99s(book.orders, lasts),
        "scan_p99": _p99s(book.scans, lasts),
    }
    queue = {"waiting": _queue(book, lasts)}
    weighed = _memory(book, lasts)
    names = [t(f"rehearse.plot.{key}") for key in (*many, *slowest)]
    room = max(map(len, (*names, *(t(f"rehearse.victim.{key}") for key in weighed))))
    told = (
        ("per_s", {key: values for key, values in many.items() if any(values)}, "/s"),
        ("waits", slowest, "ms"),
        ("queue", queue if any(queue["waiting"]) else {}, t("rehearse.plot.bots")),
    )
    drawn = [
        (name, {t(f"rehearse.plot.{key}"): values for key, values in lines.items()}, unit)
        for name, lines, unit in told
    ]
    processes = {t(f"rehearse.victim.{key}"): values for key, values in weighed.items()}
    return [
        Plot(
            title=t(f"rehearse.plot.{name}"),
            lines=lines,
            unit=unit,
            steps=t("rehearse.plot.since"),
            lasts=lasts,
            tenfold=unit == "ms",
            marks=_moments(report, book, t),
            height=_PLOT_PX,
            room=room,
            number=lambda value: number(value, t),
        )
        for name, lines, unit in (*drawn, ("memory", processes, "MiB"))
    ]


def _moments(report: Report, book: Book, t: Translator) -> list[Mark]:
    """When sale began, and each kill until the first hold or sale after it."""
    marks = []
    room = report.scenario.room
    if room is not None:
        at = room.on_sale * report.scenario.seconds
        marks.append(Mark(at, at, "▼", t("rehearse.plot.on_sale")))
    for count, kill in enumerate(book.kills, start=1):
        if kill.pids:
            ends = kill.good_s if kill.good_s >= 0 else report.seconds
            words = t("rehearse.plot.killed", victim=t(f"rehearse.victim.{kill.victim}"))
            marks.append(Mark(kill.at_s, ends, str(count), words))
    return [mark for mark in marks if mark.at <= report.seconds]


def _slices(lasts: float) -> tuple[int, float]:
    """How many slices a time is cut into, and the seconds of each."""
    least = lasts / MAX_SLICES
    slice_s = next((one for one in _SLICES_S if one >= least), least)
    many = max(1, round(lasts / slice_s))
    return many, lasts / many


def _per_s(moments: Sequence[float], lasts: float) -> list[float]:
    """How many a second, slice by slice."""
    many, slice_s = _slices(lasts)
    found = [0] * many
    for at in moments:
        found[_slice(at, slice_s, many)] += 1
    return [one / slice_s for one in found]


def _p99s(timing: Timing, lasts: float) -> Values:
    """The 99th percentile of each slice, in milliseconds; None where nothing was answered."""
    many, slice_s = _slices(lasts)
    slices: list[list[float]] = [[] for _ in range(many)]
    for at, took in timing.answers:
        slices[_slice(at, slice_s, many)].append(took)
    last = QUANTILES.index(0.99)
    return [quantiles_ms(taken)[last] if taken else None for taken in slices]


def _queue(book: Book, lasts: float) -> list[float]:
    """The longest queue of each slice."""
    many, slice_s = _slices(lasts)
    found = [0.0] * many
    for at, waiting in book.waiting:
        where = _slice(at, slice_s, many)
        found[where] = max(found[where], waiting)
    return found


def _memory(book: Book, lasts: float) -> dict[str, Values]:
    """What the largest process of each sort held in each slice; None where there was none."""
    many, slice_s = _slices(lasts)
    slices: list[list[Weighing]] = [[] for _ in range(many)]
    for one in book.weighed:
        slices[_slice(one.at_s, slice_s, many)].append(one)
    held = [largest(some) for some in slices]
    return {key: [one.get(key) for one in held] for key in largest(book.weighed)}


def _slice(at: float, slice_s: float, many: int) -> int:
    return max(0, min(int(at / slice_s), many - 1))
