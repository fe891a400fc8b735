"""Drawings of measurements: lines, bars and strips, as SVG that needs nothing else.

Owns scales, ticks and shapes. A drawing takes the width it is given and keeps the size of
its letters; its colours are custom properties of the page (`bench.page`). What was not
measured is a gap: no scale draws it as a number. Says nothing of its own: every word is
the caller's.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Final, NamedTuple

from msgspec import Struct

from bench.figures import shown

HEIGHT: Final = 220
"""Of the ground between the axes, in pixels."""
INKS: Final = 6
DASHES: Final = ("", "9 4", "2 4", "12 4 2 4", "5 3")
"""One fewer than the inks, so that thirty lines are told apart; the first is whole."""
MAX_NAME: Final = 24
"""Letters of a name that still fits beside the end of its line."""
_WIDE: Final = 1_000
_LETTER_PX: Final = 7.8
_SAMPLE_PX: Final = 30
_ROW_PX: Final = 18
_STEPS: Final = (1.0, 2.0, 5.0)
_FINEST_FIRST: Final = (_STEPS, (1.0, 5.0), (1.0,))
"""The ticks within a tenfold step, where there is room for them."""

Values = Sequence[float | None]


class Mark(NamedTuple):
    """A moment on the ground, and until when it lasted. `sign` is short, `words` say it."""

    at: float
    until: float
    sign: str
    words: str


class Plot(Struct, frozen=True, kw_only=True):
    """Lines over equal steps.

    Attributes:
        title: Said above, and to those who do not see the lines.
        lines: By name; None is a gap.
        unit: Of the values, above their axis.
        steps: What the steps are, below their axis.
        names: A name for each step; without them the steps are points in time.
        lasts: How many units of time the steps take together.
        tenfold: A scale of tenfold steps; zeros are gaps on it. Otherwise from zero.
        height: Of the ground, in pixels.
        room: Letters beside the ends of the lines for which there is room anyhow, so that
            plots below each other are as wide.
        number: How a value is written.
    """

    title: str
    lines: Mapping[str, Values]
    unit: str
    steps: str
    names: Sequence[str] = ()
    lasts: float = 1.0
    tenfold: bool = False
    marks: Sequence[Mark] = ()
    height: int = HEIGHT
    room: int = 0
    number: Callable[[float], str] = shown


class Scale(NamedTuple):
    """From a value to its share of the axis, 0 to 1, with the ticks that fit."""

    low: float
    high: float
    ticks: tuple[float, ...]
    tenfold: bool = False

    def share(self, value: float) -> float:
        if not self.tenfold:
            return (value - self.low) / (self.high - self.low)
        return (log10(value) - log10(self.low)) / (log10(self.high) - log10(self.low))


def from_zero(most: float, ticks: int = 5) -> Scale:
    """A scale from zero to a round number that `most` fits under."""
    if most <= 0:
        return Scale(0.0, 1.0, (0.0, 1.0))
    power = 10.0 ** floor(log10(most / ticks))
    step = next(one * power for one in (*_STEPS, 10.0) if ceil(most / (one * power)) <= ticks)
    many = ceil(most / step)
    return Scale(0.0, many * step, tuple(step * at for at in range(many + 1)))


def of_tens(values: Sequence[float], most_ticks: int = 12) -> Scale:
    """A scale of tenfold steps that just holds these, which are above zero."""
    for steps in _FINEST_FIRST:
        ticks = _ticks(min(values), max(values), steps)
        if len(ticks) <= most_ticks:
            break
    return Scale(ticks[0], ticks[-1], ticks, tenfold=True)


def _ticks(least: float, most: float, steps: Sequence[float]) -> tuple[float, ...]:
    """From the last that is not above the least to the first that is not below the most."""
    powers = range(floor(log10(least)), ceil(log10(most)) + 2)
    every = [one * 10.0**power for power in powers for one in steps]
    first = max(at for at, tick in enumerate(every) if tick <= least * (1 + 1e-9))
    last = min(at for at, tick in enumerate(every) if tick >= most * (1 - 1e-9))
    return tuple(every[first : max(last, first + 1) + 1])


def plot(drawn: Plot) -> str:
    """The figure with its title, or nothing where nothing was measured."""
    lines = {
        name: [None if one is None or (drawn.tenfold and one <= 0) else one for one in values]
        for name, values in drawn.lines.items()
    }
    lines = {name: values for name, values in lines.items() if known(values)}
    if not lines:
        return ""
    everything = [one for values in lines.values() for one in known(values)]
    scale = from_zero(max(everything))
    if drawn.tenfold:
        scale = of_tens(everything, drawn.height // _ROW_PX)
    beside = len(lines) > 1 and all(len(name) <= MAX_NAME for name in lines)
    letters = max(drawn.room, max(map(len, lines)) if beside else 0)
    width = min(letters, MAX_NAME) * _LETTER_PX + _SAMPLE_PX + 8 if letters else 12
    parts = [
        f"<title>{escape(drawn.title)}</title><desc>{escape(_told(drawn, lines))}</desc>",
        *_upright(drawn, scale),
        *_along(drawn),
        *_stretched(drawn, lines, scale),
        *(_ends(lines, scale, drawn.height) if beside else []),
    ]
    return (
        f'<figure class="plot{" beside" if beside else ""}">'
        f"<figcaption>{escape(drawn.title)}</figcaption>"
        f'<div class="ground" style="--ends:{width:.0f}px">'
        f'<svg role="img" height="{drawn.height}">{"".join(parts)}</svg></div>'
        f"{_legend(list(lines))}{_key(drawn.marks)}</figure>"
    )


def known(values: Values) -> list[float]:
    """Those that were measured."""
    return [one for one in values if one is not None]


def _told(drawn: Plot, lines: Mapping[str, Values]) -> str:
    """In a line what the lines show."""
    spans = [
        f"{name}: {drawn.number(min(known(values)))}–{drawn.number(max(known(values)))}"
        f" {drawn.unit}"
        for name, values in lines.items()
    ]
    return "; ".join([*spans, *(f"{mark.sign}: {mark.words}" for mark in drawn.marks)])


def _upright(drawn: Plot, scale: Scale) -> list[str]:
    """The axis of the values, with a thin line across for each tick."""
    parts = [f'<text class="axis" x="-8" y="-14" text-anchor="end">{escape(drawn.unit)}</text>']
    for tick in scale.ticks:
        y = drawn.height * (1 - scale.share(tick))
        base = " base" if tick == scale.low else ""
        parts.append(f'<line class="grid{base}" x2="100%" y1="{y:.1f}" y2="{y:.1f}"/>')
        text = escape(drawn.number(tick))
        parts.append(f'<text x="-8" y="{y + 4:.1f}" text-anchor="end">{text}</text>')
    return parts


def _along(drawn: Plot) -> list[str]:
    """The axis of the steps."""
    y = drawn.height + 18
    if drawn.names:
        last = max(1, len(drawn.names) - 1)
        places = [(at / last, name) for at, name in enumerate(drawn.names)]
    else:
        ticks = from_zero(drawn.lasts, 6).ticks
        places = [(at / drawn.lasts, drawn.number(at)) for at in ticks if at <= drawn.lasts * 1.001]
    parts = [
        f'<text x="{100 * share:.2f}%" y="{y}" text-anchor="middle">{escape(text)}</text>'
        for share, text in places
    ]
    title = f'<text class="axis" x="100%" y="{y + 20}" text-anchor="end">{escape(drawn.steps)}'
    return [*parts, title + "</text>"]


def _stretched(drawn: Plot, lines: Mapping[str, Values], scale: Scale) -> list[str]:
    """Lines and moments, on a ground that is as wide as there is room."""
    high = drawn.height
    parts = []
    for mark in drawn.marks:
        x, ends = _WIDE * mark.at / drawn.lasts, _WIDE * mark.until / drawn.lasts
        width = max(0.0, min(ends, _WIDE) - x)
        parts.append(f'<rect class="span" x="{x:.1f}" width="{width:.1f}" height="{high}"/>')
        parts.append(f'<path class="moment" d="M{x:.1f} 0V{high}"/>')
    for number, values in enumerate(lines.values()):
        step = _step(drawn, len(values))
        dash = DASHES[number % len(DASHES)]
        look = f'class="line ink{number % INKS}"'
        for run in _runs(values):
            points = [f"{step(at):.1f} {high * (1 - scale.share(value)):.1f}" for at, value in run]
            if len(points) == 1:
                parts.append(f'<path {look} d="M{points[0]}h0.01" style="stroke-width:6"/>')
            else:
                dashes = f' stroke-dasharray="{dash}"' if dash else ""
                parts.append(f'<path {look}{dashes} d="M{"L".join(points)}"/>')
    ground = (
        f'<svg width="100%" height="{high}" viewBox="0 0 {_WIDE} {high}"'
        f' preserveAspectRatio="none">{"".join(parts)}</svg>'
    )
    signs = [
        f'<text class="sign" x="{100 * mark.at / drawn.lasts:.2f}%" y="-5" text-anchor="middle">'
        f"{escape(mark.sign)}</text>"
        for mark in drawn.marks
    ]
    return [ground, *signs]


def _step(drawn: Plot, many: int) -> Callable[[int], float]:
    """Where a step is: at its name, or in the middle of its slice of time."""
    if drawn.names:
        return lambda at: _WIDE * at / max(1, many - 1)
    return lambda at: _WIDE * (at + 0.5) / many


def _runs(values: Values) -> list[list[tuple[int, float]]]:
    """What was measured without a gap, with the number of each step."""
    runs: list[list[tuple[int, float]]] = [[]]
    for at, value in enumerate(values):
        if value is not None:
            runs[-1].append((at, value))
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _ends(lines: Mapping[str, Values], scale: Scale, height: int) -> list[str]:
    """The names beside the ends of their lines, kept apart from each other."""
    wanted = [
        (height * (1 - scale.share(known(values)[-1])), -max(known(values)), number, name)
        for number, (name, values) in enumerate(lines.items())
    ]
    wanted.sort()
    places: list[float] = []
    for y, *_ in wanted:
        places.append(max(y, places[-1] + _ROW_PX) if places else y)
    limit = float(height)
    for at in reversed(range(len(places))):
        places[at] = min(places[at], limit)
        limit = places[at] - _ROW_PX
    return [
        f'<svg class="end" x="100%" y="{place - 6:.1f}" overflow="visible">'
        f'<g transform="translate(8 0)">{_sample(number)}</g>'
        f'<text class="name" x="{_SAMPLE_PX + 8}" y="10">{escape(name)}</text></svg>'
        for place, (_, _, number, name) in zip(places, wanted, strict=True)
    ]


def _sample(number: int) -> str:
    dash = DASHES[number % len(DASHES)]
    dashes = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<path class="line ink{number % INKS}"{dashes} d="M0 6H{_SAMPLE_PX - 6}"/>'


def _legend(names: Sequence[str]) -> str:
    """Where names do not fit beside the ends, below."""
    if len(names) < 2:
        return ""
    rows = [
        f'<li><svg width="{_SAMPLE_PX}" height="12" aria-hidden="true">{_sample(number)}</svg>'
        f"{escape(name)}</li>"
        for number, name in enumerate(names)
    ]
    return f'<ul class="legend">{"".join(rows)}</ul>'


def _key(marks: Sequence[Mark]) -> str:
    rows = [f"<li><b>{escape(mark.sign)}</b> {escape(mark.words)}</li>" for mark in marks]
    return f'<ul class="key">{"".join(rows)}</ul>' if rows else ""


# Small ones, within a line of a table --------------------------------------------------


def bar(value: float, limit: float, words: str, *, at_least: bool) -> str:
    """What was found, from zero, against a limit; the side that is not wanted is hatched."""
    span = max(value, limit) * (1.05 if at_least else 1.25) or 1.0
    found, edge = 100 * max(0.0, value) / span, 100 * max(0.0, limit) / span
    low, high = (0.0, edge) if at_least else (edge, 100.0)
    return (
        f'<svg class="bar" role="img"><title>{escape(words)}</title>'
        '<rect class="track" y="6" width="100%" height="10" rx="2"/>'
        f'<rect class="unwanted" x="{low:.1f}%" y="6" width="{high - low:.1f}%" height="10"/>'
        f'<rect class="found" y="6" width="{found:.1f}%" height="10" rx="2"/>'
        f'<line class="limit" x1="{edge:.1f}%" x2="{edge:.1f}%" y1="1" y2="21"/></svg>'
    )


def strip(values: Sequence[float], middle: float, goal: float | None, words: str) -> str:
    """The rounds of a figure from zero: a dot each, their spread, their median and the goal."""
    span = max(*values, goal or 0.0) * 1.05 or 1.0
    low, high, half = (100 * one / span for one in (min(values), max(values), middle))
    dots = "".join(
        f'<circle class="round" cx="{100 * one / span:.1f}%" cy="11" r="3"/>' for one in values
    )
    flag = ""
    if goal is not None:
        x = f"{100 * goal / span:.1f}%"
        flag = f'<line class="limit" x1="{x}" x2="{x}" y1="1" y2="21"/>'
    return (
        f'<svg class="bar" role="img"><title>{escape(words)}</title>'
        '<line class="grid" x2="100%" y1="11" y2="11"/>'
        f'<rect class="spread" x="{low:.1f}%" width="{high - low:.1f}%" y="7" height="8" rx="2"/>'
        f'<line class="median" x1="{half:.1f}%" x2="{half:.1f}%" y1="4" y2="18"/>{dots}{flag}</svg>'
    )


def length(value: float, most: float, low: float, high: float, words: str, *, ours: bool) -> str:
    """A bar from zero to be compared with its neighbours, with the spread of its rounds."""
    full, begins, ends = (100 * one / (most or 1.0) for one in (value, low, high))
    look = "ours" if ours else "theirs"
    return (
        f'<svg class="bar wide" role="img"><title>{escape(words)}</title>'
        f'<rect class="{look}" y="3" width="{full:.2f}%" height="16" rx="2"/>'
        f'<line class="whisker" x1="{begins:.2f}%" x2="{ends:.2f}%" y1="11" y2="11"/></svg>'
    )
