"""The one palette: ink, paper, one velvet red, one brass, and the colours of seats.

Owns every colour of the product and the shape that goes with each seat state, so
that colour is never the only sign. The page, the console, the pictures and the
ticket take their values from here. Plain values: no drawing, no imports beyond the
standard library, so that a terminal can have them at once.

Two themes: `LIGHT`, and `DARK`, the house with its lights down. Seat states keep
their Okabe-Ito colours in both.
"""

from dataclasses import dataclass, fields
from enum import IntEnum

INK = "#1f1a1c"
PAPER = "#faf6ee"
VELVET = "#7a1f2b"
BRASS = "#b08d4a"

# Okabe and Ito, "Color Universal Design" (2008): told apart with any colour vision.
BLUISH_GREEN = "#009e73"
YELLOW = "#f0e442"
VERMILION = "#d55e00"
GREY = "#999999"


class SeatState(IntEnum):
    """What a watcher sees of a seat: the seat status of the feed, and what is in my basket."""

    AVAILABLE = 0
    HELD = 1
    SOLD = 2
    BLOCKED = 3
    MINE = 4


@dataclass(frozen=True, slots=True)
class SeatLook:
    """How a seat state is shown.

    `fill` is its colour, `edge` and `on` the line and the text over that colour.
    `shape` is "circle", "diamond", "frame" (a hollow square), "square" or "cross";
    `glyph` the same in a terminal, `ascii` where even that is too much.
    """

    fill: str
    edge: str
    on: str
    shape: str
    glyph: str
    ascii: str


SEATS: dict[SeatState, SeatLook] = {
    SeatState.AVAILABLE: SeatLook(BLUISH_GREEN, "#00664a", "#000000", "circle", "○", "o"),
    SeatState.HELD: SeatLook(VERMILION, "#9a4400", "#000000", "frame", "□", "h"),
    SeatState.SOLD: SeatLook(VERMILION, "#9a4400", "#000000", "square", "■", "#"),
    SeatState.BLOCKED: SeatLook(GREY, "#6f6f6f", "#000000", "cross", "×", "x"),
    SeatState.MINE: SeatLook(YELLOW, "#5c5600", "#000000", "diamond", "◆", "*"),
}


@dataclass(frozen=True, slots=True)
class Theme:
    """The colours of one theme, all `#rrggbb`.

    `paper` is the page, `surface` a card on it, `floor` the floor of a house in a
    picture; `ink` and `muted` are text on any of the three; `line` is a hairline.
    `velvet` and `brass` are fills, with `on_velvet` and `on_brass` for text over
    them; `velvet_text` and `brass_text` are the same two as text on paper.
    `stage` and `on_stage` are what one looks at, and the words on it. `focus` is
    the ring around what has the keyboard.
    """

    name: str
    paper: str
    surface: str
    floor: str
    ink: str
    muted: str
    line: str
    velvet: str
    on_velvet: str
    velvet_text: str
    brass: str
    on_brass: str
    brass_text: str
    stage: str
    on_stage: str
    table: str
    on_table: str
    focus: str


LIGHT = Theme(
    name="light",
    paper=PAPER,
    surface="#ffffff",
    floor="#f3ecdf",
    ink=INK,
    muted="#665c56",
    line="#d8ccb8",
    velvet=VELVET,
    on_velvet="#fff6ea",
    velvet_text=VELVET,
    brass=BRASS,
    on_brass=INK,
    brass_text="#7a5c22",
    stage="#3a2a2a",
    on_stage="#f6e7c8",
    table="#e3d2b4",
    on_table="#4a3a20",
    focus="#0060a8",
)

DARK = Theme(
    name="dark",
    paper="#161113",
    surface="#2a2023",
    floor="#1c1517",
    ink="#f3ebdd",
    muted="#b3a698",
    line="#43373a",
    velvet="#8f2434",
    on_velvet="#fff1e2",
    velvet_text="#ea8590",
    brass="#c9a55c",
    on_brass="#1b1412",
    brass_text="#d9b976",
    stage="#f0d9a0",
    on_stage="#33230f",
    table="#4a3a2c",
    on_table="#f0e2c8",
    focus="#8ecbff",
)

THEMES = {theme.name: theme for theme in (LIGHT, DARK)}

TEXT_PAIRS = (
    ("ink", "paper"),
    ("ink", "surface"),
    ("ink", "floor"),
    ("muted", "paper"),
    ("muted", "surface"),
    ("muted", "floor"),
    ("velvet_text", "paper"),
    ("velvet_text", "surface"),
    ("brass_text", "paper"),
    ("brass_text", "surface"),
    ("on_velvet", "velvet"),
    ("on_brass", "brass"),
    ("on_stage", "stage"),
    ("on_table", "table"),
    ("focus", "paper"),
)
"""Which text goes on which ground: each pair reaches WCAG AA (4.5) in both themes."""

AA_TEXT = 4.5
AA_GRAPHICS = 3.0


ROLE_LOOKS = {
    "stage": ("stage", "brass", "on_stage"),
    "screen": ("stage", "brass", "on_stage"),
    "pitch": ("surface", "line", "muted"),
    "bar": ("table", "brass", "on_table"),
    "wall": ("line", "line", "ink"),
    "rail": ("brass", "", "ink"),
    "floor": ("surface", "line", "muted"),
    "label": ("", "", "muted"),
    "": ("surface", "line", "ink"),
}
"""Fill, edge and text of a drawn shape that brings no colours of its own, by its role."""


def custom_properties(theme: Theme) -> dict[str, str]:
    """The theme as CSS custom properties: `--brass-text`, `--seat-sold-fill`, ..."""
    found = {
        f"--{field.name.replace('_', '-')}": getattr(theme, field.name)
        for field in fields(theme)
        if field.name != "name"
    }
    for state, look in SEATS.items():
        head = f"--seat-{state.name.lower()}"
        found |= {f"{head}-fill": look.fill, f"{head}-edge": look.edge, f"{head}-on": look.on}
    return found


def stylesheet() -> str:
    """A style sheet with both themes: light, dark by the reader's wish or by `data-theme`."""

    def block(selector: str, theme: Theme) -> str:
        lines = [f"  {name}: {value};" for name, value in custom_properties(theme).items()]
        return "\n".join([f"{selector} {{", f"  color-scheme: {theme.name};", *lines, "}"])

    dark = block(':root:not([data-theme="light"])', DARK).replace("\n", "\n  ")
    return "\n".join(
        [
            block(":root", LIGHT),
            f"@media (prefers-color-scheme: dark) {{\n  {dark}\n}}",
            block(':root[data-theme="dark"]', DARK),
            "",
        ]
    )


def rgb(color: str) -> tuple[int, int, int]:
    """`#rrggbb` as three numbers of 0 to 255. Raises ValueError for anything else."""
    if len(color) != 7 or color[0] != "#":
        raise ValueError(f"not a #rrggbb colour: {color!r}")
    value = int(color[1:], 16)
    return value >> 16, value >> 8 & 255, value & 255


def mix(color: str, other: str, share: float) -> str:
    """`color` with a share (0 to 1) of `other` in it."""
    mixed = (round(a + (b - a) * share) for a, b in zip(rgb(color), rgb(other), strict=True))
    return "#{:02x}{:02x}{:02x}".format(*mixed)


def contrast(one: str, other: str) -> float:
    """The WCAG 2 contrast ratio of two colours, 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def readable(color: str, ground: str, least: float = AA_TEXT) -> str:
    """`color`, moved towards black or white until it stands out from `ground` by `least`."""
    target = max("#000000", "#ffffff", key=lambda end: contrast(end, ground))
    for step in range(11):
        found = mix(color, target, step / 10)
        if contrast(found, ground) >= least:
            return found
    return target


def _luminance(color: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (value / 255 for value in rgb(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
