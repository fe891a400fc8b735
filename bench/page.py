"""A run's figures as one HTML page that needs nothing else: goals, peers, plots, the machine.

Owns the frame and the look of reports (`page.css`), and the words for what benches
measure. The drawings are made in `bench.plots`.
"""

import json
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.figures import (
    QUANTILES,
    SLICE_S,
    Figures,
    Goal,
    Series,
    coarser,
    rounded,
    shown,
)
from bench.gauges import EVERY_S
from bench.plots import HEIGHT, Plot, length, plot, strip
from renderers.palette import (
    AA_GRAPHICS,
    BLUISH_GREEN,
    DARK,
    GREY,
    LIGHT,
    VERMILION,
    YELLOW,
    Theme,
    custom_properties,
    mix,
    readable,
)

_STYLE: Final = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
_PANEL: Final = 110
"""Height of a plot among others of its kind, in pixels."""
_STEPS: Final = "s, the rounds one after the other"
_SEAT: Final = (
    '<svg viewBox="0 0 48 48" aria-hidden="true"><g fill="currentColor">'
    '<path d="M17 9h14a2.4 2.4 0 0 1 2.4 2.4v12.2A2.4 2.4 0 0 1 31 26H17a2.4 2.4 0 0 1-2.4-2.4'
    'V11.4A2.4 2.4 0 0 1 17 9z"/></g>'
    '<path d="M13.4 28.6h21.2a2 2 0 0 1 0 4.4H13.4a2 2 0 0 1 0-4.4z" fill="var(--brass)"/>'
    '<path d="M16.4 33v6M31.6 33v6" stroke="currentColor" stroke-width="2.2"/></svg>'
)
_HELD: Final = (
    '<circle class="sign-ground" cx="12" cy="12" r="11"/>'
    '<path class="sign-line" d="M6.8 12.6l3.6 3.6 6.8-8"/>'
)
_MISSED: Final = (
    '<path class="sign-ground" d="M12 0l12 12-12 12L0 12z"/>'
    '<path class="sign-line" d="M8.3 8.3l7.4 7.4m0-7.4l-7.4 7.4"/>'
)
_HATCH: Final = (
    '<svg width="0" height="0" style="position:absolute" aria-hidden="true"><defs>'
    '<pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse">'
    '<path d="M-1 1l2-2M0 6l6-6M5 7l2-2" stroke="var(--muted)" stroke-width="1"/>'
    "</pattern></defs></svg>"
)
_KEY: Final = (
    '<p class="quiet">A circle is a round, the band their spread, the red line their median,'
    " the tall line the goal.</p>"
)


class Told(NamedTuple):
    """A figure in words; `unit` comes after its value."""

    words: str
    unit: str = ""


WORDS: Final = {
    "core_decisions_per_s": Told("decisions of the core", "/s"),
    "durable_holds_per_s": Told("durable holds", "/s"),
    "best_available_p99_ms": Told("best available, 99th percentile", "ms"),
    "durable_holds_unchained_per_s": Told("durable holds without the journal's chain", "/s"),
    "chain_cost_percent": Told("what the journal's chain costs of durable holds", "%"),
    "order_saves_per_s": Told("orders saved, with the books", "/s"),
    "order_saves_without_books_per_s": Told("orders saved, without the books", "/s"),
    "books_us_per_save": Told("what the books add to an order's save", "µs"),
    "postgres_row_lock_per_s": Told("Postgres row locks", "/s"),
    "postgres_batched_per_s": Told("Postgres in batches", "/s"),
    "redis_lua_per_s": Told("Redis with a script", "/s"),
    "ray_per_command_per_s": Told("one Ray call a command", "/s"),
    "ratio_vs_postgres_row_lock": Told("durable holds over Postgres row locks", "×"),
    "ratio_vs_postgres_batched": Told("durable holds over Postgres in batches", "×"),
    "ratio_vs_redis_lua": Told("durable holds over Redis with a script", "×"),
    "ratio_vs_ray_per_command": Told("durable holds over one Ray call a command", "×"),
    "websocket_holds_per_s": Told("holds over websockets", "/s"),
    "websocket_p99_ms": Told("hold at 70 % of that rate, 99th percentile", "ms"),
    "paced_holds_per_s": Told("holds at 70 % of that", "/s"),
    "idle_ack_p50_ms": Told("one client alone, median", "ms"),
    "idle_holds_per_s": Told("one client alone", "/s"),
    "refusals_per_s": Told("refusals, house sold out", "/s"),
    "hold_p99_growth": Told("slowest holds beside 20 refused each, over without", "×"),
    "quiet_holds_per_s": Told("good holds alone", "/s"),
    "crowded_holds_per_s": Told("good holds among refused", "/s"),
    "delivery_p50_ms": Told("change to watcher, median", "ms"),
    "delivery_p99_ms": Told("change to watcher, 99th percentile", "ms"),
    "sends_per_s": Told("sends", "/s"),
    "server_us_per_send": Told("our server, a send", "µs"),
    "bare_us_per_send": Told("a bare loop, a send", "µs"),
    "cpu_vs_raw_send": Told("our server over a bare loop, a send", "×"),
    "kib_per_idle_watcher": Told("memory of a watcher who waits", "KiB"),
    "rss_growth": Told("memory with 1,000 who do not read, over without", "×"),
    "p99_growth": Told("delivery to the others meanwhile, over without", "×"),
    "snapshot_bytes": Told("picture of 80,000 seats", "bytes"),
    "bytes_per_change": Told("a changed seat on the wire", "bytes"),
    "scan_p50_ms": Told("scan during an on-sale, median", "ms"),
    "scan_p999_ms": Told("scan during an on-sale, 99.9th percentile", "ms"),
    "scans_per_s": Told("scans", "/s"),
    "hot_mib": Told("ten busy performances alone", "MiB"),
    "all_mib": Told("the ten among a thousand", "MiB"),
    "memory_ratio": Told("memory with a thousand, over ten alone", "×"),
    "activation_ms": Told("first answer of a cold performance", "ms"),
    "recovery_ms": Told("killed to first answer, 99th percentile", "ms"),
    "rebuild_ms": Told("told to serve to ready, 99th percentile", "ms"),
    "first_answer_ms": Told("killed to first answer, median", "ms"),
    "ready_ms": Told("told to serve to ready, median", "ms"),
    "without_spare_ms": Told("the same where no spare process is there", "ms"),
    "delivery": Told("change to watcher", "ms"),
    "delivery_beside_stalled": Told("among 1,000 who do not read", "ms"),
}
BESIDE: Final = {
    "durable_holds_per_s": {
        "postgres_row_lock_per_s": "ratio_vs_postgres_row_lock",
        "postgres_batched_per_s": "ratio_vs_postgres_batched",
        "redis_lua_per_s": "ratio_vs_redis_lua",
        "ray_per_command_per_s": "ratio_vs_ray_per_command",
    },
    "server_us_per_send": {"bare_us_per_send": "cpu_vs_raw_send"},
}
"""What stands beside a figure of ours: the same done by other means, and ours over it."""
WEIGHED: Final = ("hot_mib", "all_mib")
"""Figures that are compared, and of which none is better than the other."""
_SEEN: Final = {
    "watchers": "Watchers over time",
    "connected": "connected",
    "watching": "watching",
    "waiting": f"commands waiting at the gateway, read every {EVERY_S:g} s",
}
"""Words for what was seen over time."""
_MACHINE: Final = {
    "processor": ("processor", ""),
    "cores": ("cores", ""),
    "system": ("system", ""),
    "python": ("Python", ""),
    "commit_ms": ("a page forced to the disk", "ms"),
    "turn_ns": ("decoding one small message", "ns"),
    "turn_ns_rounds": ("the same, round by round", "ns"),
    "stolen_percent": ("processor time that the host gave to others", "%"),
    "stolen_percent_rounds": ("the same, round by round", "%"),
    "rounds": ("interleaved rounds", ""),
    "seconds": ("one measurement", "s"),
}


# The frame ---------------------------------------------------------------------------


def document(
    title: str, lead: str, parts: Iterable[str], *, language: str = "en", told: object = None
) -> str:
    """A page of these parts, which are HTML already; `told` is what a program would read."""
    raw = escape(json.dumps(told, indent=2, ensure_ascii=False))
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} – Strapontin</title>"
        f"<style>{colours()}{_STYLE}</style><body>{_HATCH}"
        f'<header class="top"><div><p class="brand">{_SEAT}Strapontin</p>'
        f"<h1>{escape(title)}</h1><p>{escape(lead)}</p></div></header>"
        f"<main>{''.join(parts)}"
        f"<details><summary>JSON</summary><pre>{raw}</pre></details></main></body></html>\n"
    )


def colours() -> str:
    """The house's colours as custom properties: light, and dark on a screen that asks for it."""
    return (
        f":root{{{_properties(LIGHT)}}}"
        f"@media screen and (prefers-color-scheme: dark){{:root{{{_properties(DARK)}}}}}"
    )


def _properties(theme: Theme) -> str:
    ground = theme.paper
    inks = (theme.ink, VERMILION, BLUISH_GREEN, YELLOW, GREY, theme.velvet_text)
    found = {key: value for key, value in custom_properties(theme).items() if "seat" not in key}
    found |= {f"--ink{at}": readable(one, ground, AA_GRAPHICS) for at, one in enumerate(inks)}
    found |= {
        "--good": readable(readable(BLUISH_GREEN, theme.paper), theme.surface),
        "--bad": readable(readable(VERMILION, theme.paper), theme.surface),
        "--found": readable(theme.brass, theme.floor, AA_GRAPHICS),
        "--track": mix(theme.surface, theme.line, 0.45),
        "--spread": mix(theme.surface, theme.brass, 0.55),
    }
    lines = "".join(f"{key}:{value};" for key, value in found.items())
    return f"color-scheme:{theme.name};{lines}"


def sign(passed: bool, words: str) -> str:
    """A disc with a tick or a diamond with a cross, and the word."""
    return f'<span class="{_look(passed)}">{_shape(passed)}{escape(words)}</span>'


def verdict(passed: bool, word: str, sentence: str) -> str:
    """The headline."""
    return (
        f'<div class="verdict {_look(passed)}">{_shape(passed)}'
        f"<div><strong>{escape(word)}</strong><span>{escape(sentence)}</span></div></div>"
    )


def _look(passed: bool) -> str:
    return "held" if passed else "missed"


def _shape(passed: bool) -> str:
    return f'<svg viewBox="0 0 24 24" aria-hidden="true">{_HELD if passed else _MISSED}</svg>'


# The page of a bench -----------------------------------------------------------------


def page(figures: Figures) -> str:
    """The whole page."""
    settings = figures.settings
    beside = {key for ours, theirs in BESIDE.items() for key in (ours, *theirs)} | {*WEIGHED}
    missing = [(key, figures.missing.get(key, "not measured")) for key in figures.goals]
    missing = [(key, why) for key, why in missing if key not in figures.values]
    rest = [key for key in figures.values if key not in figures.goals and key not in beside]
    many = f"{settings['rounds']:g} interleaved rounds" if settings["rounds"] > 1 else "One round"
    lead = f"{many} of {settings['seconds']:g} s for each measurement; medians count."
    parts = [
        _headline(figures),
        "<h2>Against the goals</h2>" if figures.goals else "",
        _table(figures, [key for key in figures.goals if key in figures.values], missing),
        _KEY if figures.values else "",
        *_peers(figures),
        *_weights(figures),
        f"<h2>Measured as well</h2>{_table(figures, rest, [])}" if rest else "",
        *_plots(figures),
        "" if figures.values else "<p>Nothing was measured.</p>",
        "<h2>The machine</h2>",
        _facts(figures.machine | settings),
    ]
    title = f"bench {figures.bench}, measured on this machine"
    return document(title, lead, parts, told=figures.as_json())


def told_of(key: str) -> Told:
    """The words for a figure; a key without any speaks for itself."""
    return WORDS.get(key) or Told(key.replace("_", " "))


def valued(key: str, value: float) -> str:
    """With its unit."""
    unit = told_of(key).unit
    return f"{shown(value)}{'' if unit in ('', '×', '/s') else ' '}{unit}"


def _headline(figures: Figures) -> str:
    goals = figures.goals
    if not goals:
        return ""
    met = sum(key in figures.values and goal.met(figures[key]) for key, goal in goals.items())
    word = "Goals met" if met == len(goals) else "Goals missed"
    sentence = f"{met} of {len(goals)} are met on this machine."
    return verdict(met == len(goals), word, sentence)


def _table(figures: Figures, keys: Sequence[str], missing: Sequence[tuple[str, str]]) -> str:
    heads = '<th>figure<th class="n">median<th class="n">goal<th>rounds, from zero<th>'
    rows = [f"<tr>{heads}", *(_row(figures, key) for key in keys)]
    for key, why in missing:
        goal = figures.goals[key]
        rows.append(
            f'<tr>{_named(key)}<td class="n">–<td class="n soft">{_wanted(key, goal)}'
            f'<td class="drawn">{escape(why)}<td>{sign(False, "not met")}'
        )
    if len(rows) == 1:
        return ""
    return f'<table class="judged">{"".join(rows)}</table>'


def _row(figures: Figures, key: str) -> str:
    values, middle, goal = figures.values[key], figures[key], figures.goals.get(key)
    words = f"rounds: {', '.join(valued(key, one) for one in values)}"
    drawing = strip(values, middle, goal.goal if goal else None, words)
    met = goal is None or goal.met(middle)
    judged = sign(met, "met" if met else "missed") if goal else ""
    return (
        f'<tr>{_named(key)}<td class="n">{valued(key, middle)}'
        f'<td class="n soft">{_wanted(key, goal) if goal else ""}'
        f'<td class="drawn">{drawing}<td>{judged}'
    )


def _named(key: str) -> str:
    return f"<td>{escape(told_of(key).words)}<code>{escape(key)}</code>"


def _wanted(key: str, goal: Goal) -> str:
    return f"{'≤' if goal.at_most else '≥'} {valued(key, goal.goal)}"


def _peers(figures: Figures) -> list[str]:
    """Ours first, then the others, on one scale."""
    parts = []
    for ours, theirs in BESIDE.items():
        there = [key for key in (ours, *theirs) if key in figures.values]
        gone = [key for key in theirs if key in figures.missing]
        if ours not in there or len(there) + len(gone) < 2:
            continue
        most = max(max(figures.values[key]) for key in there)
        rows = ['<tr><th>ours, and by other means<th class="n">median<th>from zero<th class="n">']
        rows += [_peer(figures, key, theirs.get(key, ""), most) for key in there]
        for key in gone:
            why = escape(figures.missing[key])
            rows.append(f'<tr>{_named(key)}<td class="n">–<td class="drawn">{why}<td>')
        parts.append(f'<h2>Beside its peers</h2><table class="judged">{"".join(rows)}</table>')
    if parts:
        parts.append('<p class="quiet">The thin line is the spread of the rounds.</p>')
    return parts


def _peer(figures: Figures, key: str, ratio: str, most: float) -> str:
    """A row; that of ours has no ratio."""
    values, middle = figures.values[key], figures[key]
    words = f"{told_of(key).words}: {valued(key, middle)}"
    drawing = length(middle, most, min(values), max(values), words, ours=not ratio)
    times = f"ours is {shown(figures[ratio])}×" if ratio in figures.values else ""
    return (
        f'<tr>{_named(key)}<td class="n">{valued(key, middle)}'
        f'<td class="drawn">{drawing}<td class="n soft">{times if ratio else "ours"}'
    )


def _weights(figures: Figures) -> list[str]:
    there = [key for key in WEIGHED if key in figures.values]
    if not there:
        return []
    most = max(max(figures.values[key]) for key in there)
    rows = []
    for key in there:
        values, middle = figures.values[key], figures[key]
        words = f"{told_of(key).words}: {valued(key, middle)}"
        drawing = length(middle, most, min(values), max(values), words, ours=key == there[-1])
        rows.append(
            f'<tr>{_named(key)}<td class="n">{valued(key, middle)}<td class="drawn">{drawing}'
        )
    heads = '<tr><th>memory<th class="n">median<th>from zero'
    return [f'<h2>Memory</h2><table class="judged">{heads}{"".join(rows)}</table>']


def _plots(figures: Figures) -> list[str]:
    latencies = Plot(
        title="How long answers took, median of the rounds",
        lines={told_of(key).words: at for key, at in figures.latencies_ms().items()},
        unit="ms",
        steps="percentile of the answers",
        names=[f"p{100 * one:g}" for one in QUANTILES],
        tenfold=True,
    )
    alone = [_seen(key, one) for key, one in figures.series.items() if not one.beside]
    panels = [f"<div>{''.join(_panel(figures, key))}</div>" for key in figures.rates]
    together = f'<div class="panels">{"".join(panels)}</div>'
    drawn = plot(latencies)
    return [
        f"<h2>Latency</h2>{drawn}" if drawn else "",
        f"<h2>Over time</h2>{''.join(alone)}" if any(alone) else "",
        f"<h2>Throughput over time</h2>{together}" if panels else "",
    ]


def _panel(figures: Figures, key: str) -> list[str]:
    """A rate over time, and below it what was seen meanwhile."""
    line = figures.throughput(key)
    drawn = Plot(
        title=told_of(key).words,
        lines={told_of(key).words: coarser(line)},
        unit="/s",
        steps=_STEPS,
        lasts=max(SLICE_S, len(line) * SLICE_S),
        height=_PANEL,
    )
    beside = [_seen(name, one) for name, one in figures.series.items() if one.beside == key]
    return [plot(drawn), *beside]


def _seen(key: str, series: Series) -> str:
    """What was seen over time: small beside a rate, else large."""
    lines = {_SEEN.get(name, name): coarser(line) for name, line in series.lines.items()}
    return plot(
        Plot(
            title=_SEEN.get(key, "") or ", ".join(lines),
            lines=lines,
            unit=series.unit,
            steps=_STEPS if series.beside else "s since the first came",
            lasts=max(SLICE_S, series.lasts_s),
            height=_PANEL if series.beside else HEIGHT,
        )
    )


def _facts(facts: dict[str, Any]) -> str:
    rows = []
    for key, value in facts.items():
        words, unit = _MACHINE.get(key, (key, ""))
        values = value if isinstance(value, list) else [value]
        numbers = [f"{rounded(one):g}" if isinstance(one, float) else str(one) for one in values]
        rows.append(f"<dt>{escape(words)}<dd>{escape(', '.join(numbers))} {unit}")
    return f'<dl class="facts">{"".join(rows)}</dl>'
