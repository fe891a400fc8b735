"""How the console looks: the palette's colours and glyphs as terminal styles, one object each.

Owns the three themes of the console and which style each cell of the map has. Every state has
a glyph of its own, so that colour is never the only sign. Styles are made once and kept: a map
line is made of a few hundred of them, ten times a second.
"""

from enum import IntEnum
from functools import cache
from typing import Final

from rich.style import Style
from textual.theme import Theme

from console.map_layout import Ground
from renderers import palette
from renderers.palette import AA_GRAPHICS, SEATS, SeatState, contrast, mix, readable


class Mark(IntEnum):
    """What a seat is to this till: the palette's states, and one more."""

    FREE = SeatState.AVAILABLE
    HELD = SeatState.HELD
    SOLD = SeatState.SOLD
    OFF = SeatState.BLOCKED
    MINE = SeatState.MINE
    ASIDE = 5  # free, but outside the price category that is being looked at


GLYPHS: Final = {Mark(state): look.glyph for state, look in SEATS.items()} | {Mark.ASIDE: "·"}
DENSITY: Final = "░▒▓█"
"""The overview's cells: how much of what stands there is free."""

DARK: Final = "strapontin"
LIGHT: Final = "strapontin-light"
CONTRAST: Final = "strapontin-contrast"

STAGE_LIGHT: Final = 0.3
BLACK: Final = "#000000"
WHITE: Final = "#ffffff"
GOOD: Final = palette.BLUISH_GREEN
WARN: Final = palette.YELLOW
BAD: Final = palette.VERMILION
LOOK: Final = "#0072b2"
"""Okabe and Ito's blue: the door's look-up mode, where nothing is burnt."""

_CONTRAST_PALETTE: Final = palette.Theme(
    name=CONTRAST,
    paper=BLACK,
    surface=BLACK,
    floor=BLACK,
    ink=WHITE,
    muted=WHITE,
    line="#8a8a8a",
    velvet="#b3001e",
    on_velvet=WHITE,
    velvet_text="#ff9aa5",
    brass="#ffd866",
    on_brass=BLACK,
    brass_text="#ffd866",
    stage=WHITE,
    on_stage=BLACK,
    table="#303030",
    on_table=WHITE,
    focus="#5ad1ff",
)
_PALETTES: Final = {DARK: palette.DARK, LIGHT: palette.LIGHT, CONTRAST: _CONTRAST_PALETTE}
THEMES: Final = tuple(_PALETTES)
BAR_SHARE: Final = {DARK: 1.0, LIGHT: 1.0, CONTRAST: 0.2}
"""How much of the line's colour the line of keys has."""


def terminal_theme(name: str) -> Theme:
    """One of THEMES for Textual."""
    colors = _PALETTES[name]
    dark = contrast(colors.paper, WHITE) > contrast(colors.paper, BLACK)
    good, warn, bad = (
        readable(color, colors.paper) for color in (GOOD, WARN if dark else colors.brass_text, BAD)
    )
    bar = mix(colors.paper, colors.line, BAR_SHARE[name])
    return Theme(
        name=name,
        primary=colors.velvet,
        secondary=colors.brass,
        accent=colors.brass_text,
        foreground=colors.ink,
        background=colors.paper,
        surface=colors.surface,
        panel=colors.line,
        success=good,
        warning=warn,
        error=bad,
        dark=dark,
        variables={
            "muted": colors.muted,
            "focus": colors.focus,
            "on-velvet": colors.on_velvet,
            "brass-text": colors.brass_text,
            "brass": colors.brass,
            "on-brass": colors.on_brass,
            "velvet": colors.velvet,
            "line": colors.line,
            "bar": bar,
            "bar-key": readable(colors.brass_text, bar),
            "bar-text": readable(colors.ink, bar),
            "border": colors.focus,
            "block-cursor-background": colors.brass,
            "block-cursor-foreground": colors.on_brass,
            "block-cursor-text-style": "bold",
            "input-cursor-background": colors.ink,
            "input-cursor-foreground": colors.paper,
        },
    )


@cache
def ground_color(theme: str, ground: Ground) -> str:
    colors = _PALETTES[theme]
    return {
        Ground.FLOOR: colors.paper,
        # A stage in full light would outshine the seats.
        Ground.STAGE: mix(colors.paper, colors.stage, STAGE_LIGHT),
        Ground.WALL: mix(colors.paper, colors.line, 0.5),
        Ground.TABLE: colors.table,
        Ground.AREA: mix(colors.paper, GOOD, 0.18),
    }[ground]


@cache
def seat_style(theme: str, mark: Mark, ground: Ground, cursor: bool = False) -> Style:
    """A seat's glyph. Mine is ink on yellow: the one thing a cashier must never look for."""
    colors, under = _PALETTES[theme], ground_color(theme, ground)
    if cursor:
        return Style(color=colors.paper, bgcolor=colors.focus, bold=True)
    mine = SEATS[SeatState.MINE]
    if mark is Mark.MINE:
        return Style(color=mine.on, bgcolor=mine.fill, bold=True)
    if mark is Mark.ASIDE:
        return Style(color=readable(colors.muted, under, AA_GRAPHICS), bgcolor=under)
    color = readable(SEATS[SeatState(mark)].fill, under)
    return Style(color=color, bgcolor=under, bold=mark is Mark.FREE)


@cache
def cursor_style(theme: str, ground: Ground) -> Style:
    """The brackets around the place the cursor stands on."""
    under = ground_color(theme, ground)
    return Style(color=readable(_PALETTES[theme].focus, under), bgcolor=under, bold=True)


@cache
def words_style(theme: str, ground: Ground, strong: bool) -> Style:
    colors, under = _PALETTES[theme], ground_color(theme, ground)
    wanted = colors.brass_text if strong else colors.muted
    if ground is Ground.TABLE:
        wanted = colors.on_table
    return Style(color=readable(wanted, under), bgcolor=under, bold=strong)


@cache
def ground_style(theme: str, ground: Ground) -> Style:
    return Style(bgcolor=ground_color(theme, ground))
