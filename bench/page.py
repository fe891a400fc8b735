"""A run's figures as one HTML page that needs nothing else: tables and drawn plots.

Owns the look. The plots are plain SVG: latency by percentile and throughput
over time, one line per rate.
"""

import json
from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final

from bench.figures import QUANTILES, SLICE_S, Figures, shown

WIDTH: Final = 720
HEIGHT: Final = 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 16, 16, 40
# Told apart without colour too: each line has its own dashes.
_INKS: Final = ("#7a1f2b", "#1d5c8a", "#3b7a3a", "#8a5a00", "#5b3f8c", "#444444")
_DASHES: Final = ("", "8 4", "2 3", "10 3 2 3", "4 4", "1 5")
_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 1rem 0; }
th, td { padding: .25rem .75rem; border-bottom: 1px solid #8886; text-align: right; }
th:first-child, td:first-child { text-align: left; font-family: ui-monospace, monospace; }
.met::before { content: "✓ "; } .missed::before { content: "✗ "; }
svg { width: 100%; height: auto; } svg text { fill: currentColor; font-size: 12px; }
.grid { stroke: #8885; } pre { overflow-x: auto; }
"""


def page(figures: Figures) -> str:
    """The whole page."""
    latencies = figures.latencies_ms()
    timelines = {
        key: [many / SLICE_S for rate in rates for many in rate.timeline]
        for key, rates in figures.rates.items()
    }
    names = [f"p{100 * one:g}" for one in QUANTILES]
    parts = [
        _table(figures),
        "<h2>Latency by percentile, ms</h2>",
        plot({key: list(at) for key, at in latencies.items()}, names),
        "<h2>Throughput over time, per second, the rounds one after the other</h2>",
        plot(timelines, []),
        "<h2>The machine</h2>",
        f"<pre>{escape(json.dumps(figures.machine | figures.settings, indent=2))}</pre>",
    ]
    return document("Strapontin, measured", parts)


def document(title: str, parts: Sequence[str], language: str = "en") -> str:
    """A page of these parts, which are HTML already; its title is their heading too."""
    return (
        f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style><body><h1>{escape(title)}</h1>{''.join(parts)}</body></html>\n"
    )


def _table(figures: Figures) -> str:
    rows = ["<tr><th>measured<th>median<th>lowest<th>highest<th>goal<th>"]
    for key, values in figures.values.items():
        goal = figures.goals.get(key)
        wanted = "<td><td>"
        if goal is not None:
            word = "met" if goal.met(figures[key]) else "missed"
            sign = "≤" if goal.at_most else "≥"
            wanted = f'<td>{sign} {shown(goal.goal)}<td class="{word}">{word}'
        cells = "".join(f"<td>{shown(one)}" for one in (figures[key], min(values), max(values)))
        rows.append(f"<tr><td>{escape(key)}{cells}{wanted}")
    for key, why in figures.missing.items():
        rows.append(f'<tr><td>{escape(key)}<td colspan="5">{escape(why)}')
    return f"<table>{''.join(rows)}</table>"


def _tenfold(power: int) -> str:
    return f"{10.0**power:,.0f}" if power >= 0 else f"{10.0**power:g}"


def plot(lines: dict[str, list[float]], names: Sequence[str]) -> str:
    """Lines over equal steps; `names` label the steps. Values on a scale of tenfold steps."""
    drawn = {key: values for key, values in lines.items() if values}
    positive = [value for values in drawn.values() for value in values if value > 0]
    if not positive:
        return "<p>Nothing to draw.</p>"
    low, high = floor(log10(min(positive))), ceil(log10(max(positive)))
    high = max(high, low + 1)

    def y_of(value: float) -> float:
        share = (log10(max(value, 10.0**low)) - low) / (high - low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def x_of(step: int, steps: int) -> float:
        return _LEFT + step / max(1, steps - 1) * (WIDTH - _LEFT - _RIGHT)

    marks = []
    for power in range(low, high + 1):
        y = y_of(10.0**power)
        marks.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>')
        marks.append(
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{_tenfold(power)}</text>'
        )
    for step, name in enumerate(names):
        x, y = x_of(step, len(names)), HEIGHT - _BOTTOM + 18
        marks.append(f'<text x="{x}" y="{y}" text-anchor="middle">{name}</text>')
    legend = []
    for number, (key, values) in enumerate(drawn.items()):
        ink, dash = _INKS[number % len(_INKS)], _DASHES[number % len(_DASHES)]
        points = " ".join(
            f"{x_of(step, len(values)):.1f},{y_of(value):.1f}" for step, value in enumerate(values)
        )
        look = f'fill="none" stroke="{ink}" stroke-width="2" stroke-dasharray="{dash}"'
        marks.append(f'<polyline points="{points}" {look}/>')
        line = f'<line x1="0" x2="36" y1="6" y2="6" {look}/>'
        sample = f'<svg style="width:36px;height:12px" viewBox="0 0 36 12">{line}</svg>'
        legend.append(f"<li>{sample} {escape(key)}</li>")
    drawing = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{"".join(marks)}</svg>'
    return f'{drawing}<ul style="list-style:none;padding:0">{"".join(legend)}</ul>'
