"""The marks that a picture of a plan is made of, and type measured for it.

Values only: `renderers.plan_scene` decides where they go, `renderers.seatmap`
writes them as SVG or as pixels. Sizes are in pixels of the finished picture.
"""

from dataclasses import dataclass, field
from functools import lru_cache
from math import cos, pi, sin
from pathlib import Path
from typing import Literal, TypeAlias

from PIL import ImageFont

from engine.plan import SeatFlag
from renderers.palette import SEATS, SeatState, Theme, contrast, mix

Point: TypeAlias = tuple[float, float]
Face: TypeAlias = Literal["sans", "bold", "serif"]
Anchor: TypeAlias = Literal["start", "middle", "end"]

FONT_DIR = Path(__file__).parent / "fonts"
FONT_FILES: dict[Face, str] = {
    "sans": "SourceSans3-Regular.ttf",
    "bold": "SourceSans3-SemiBold.ttf",
    "serif": "SourceSerif4-SemiBold.ttf",
}
_MEASURED_PX = 100
"""Type is measured at this size and scaled."""


@dataclass(frozen=True, slots=True)
class Style:
    """Colours are "#rrggbb" or "" for none; `width` is the edge's."""

    fill: str = ""
    edge: str = ""
    width: float = 0.0


@dataclass(frozen=True, slots=True)
class Disc:
    x: float
    y: float
    r: float
    style: Style


@dataclass(frozen=True, slots=True)
class Polygon:
    points: tuple[Point, ...]
    style: Style


@dataclass(frozen=True, slots=True)
class Panel:
    """An upright rectangle with round corners."""

    x: float
    y: float
    width: float
    height: float
    radius: float
    style: Style


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text; `x`, `y` is its anchor and the middle of its capitals."""

    x: float
    y: float
    text: str
    size: float
    color: str
    face: Face = "sans"
    anchor: Anchor = "middle"
    rotation: float = 0.0


Mark: TypeAlias = Disc | Polygon | Panel | Words


@dataclass(slots=True)
class Scene:
    """Marks in drawing order, on `ground`."""

    width: float
    height: float
    ground: str
    title: str
    marks: list[Mark] = field(default_factory=list)


@lru_cache(maxsize=64)
def font(face: Face, size: int) -> ImageFont.FreeTypeFont:
    """One of the vendored fonts (Latin, Greek, Cyrillic) at a size in pixels."""
    return ImageFont.truetype(str(FONT_DIR / FONT_FILES[face]), size)


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, face: Face = "sans") -> float:
    """How wide a line of text is."""
    return font(face, _MEASURED_PX).getlength(text) * size / _MEASURED_PX


def fitted(text: str, width: float, height: float, largest: float, face: Face = "sans") -> float:
    """The largest size up to `largest` at which a line fits a box."""
    natural = text_width(text, 1.0, face)
    return min(largest, height, width / natural if natural else largest)


def state_marks(x: float, y: float, r: float, state: SeatState, theme: Theme) -> tuple[Mark, ...]:
    """A seat in a state, inside a circle of radius `r`: each state has its own shape."""
    style, frame = _state_styles(state, theme, round(r, 1))
    shape = SEATS[state].shape
    if shape == "circle":
        return (Disc(x, y, r, style),)
    if shape == "diamond":
        d = r * 1.2
        return (Polygon(((x, y - d), (x + d, y), (x, y + d), (x - d, y)), style),)
    if shape == "cross":
        return (_cross(x, y, r * 0.72, style),)
    h = r * 0.84
    if shape == "frame":
        h = r * 0.7
        return (Panel(x - h, y - h, 2 * h, 2 * h, r * 0.15, frame),)
    return (Panel(x - h, y - h, 2 * h, 2 * h, r * 0.2, style),)


def category_marks(
    x: float, y: float, r: float, color: str, flags: int, theme: Theme
) -> tuple[Mark, ...]:
    """A seat in its category's colour, with its accessibility and view marks."""
    plain, faded, on = _category_styles(color, theme, round(r, 1))
    if flags & SeatFlag.WHEELCHAIR:
        h = r * 0.98
        wheel = Disc(x, y, r * 0.46, Style("", on, max(r * 0.2, 0.5)))
        return (Panel(x - h, y - h, 2 * h, 2 * h, r * 0.42, plain), wheel)
    seat = Disc(x, y, r if not flags & SeatFlag.RESTRICTED_VIEW else r * 0.86, plain)
    if flags & SeatFlag.RESTRICTED_VIEW:
        seat = Disc(x, y, r * 0.86, faded)
    if flags & SeatFlag.COMPANION:
        return (seat, Disc(x, y, r * 0.36, Style(on)))
    return (seat,)


def on_color(color: str) -> str:
    """Black or white, whichever reads better on `color`."""
    return max("#ffffff", "#000000", key=lambda ink: contrast(ink, color))


@lru_cache(maxsize=256)
def _state_styles(state: SeatState, theme: Theme, r: float) -> tuple[Style, Style]:
    look = SEATS[state]
    edge = look.edge if theme.name == "light" or state is SeatState.MINE else look.fill
    return Style(look.fill, edge, max(r * 0.1, 0.3)), Style("", look.fill, max(r * 0.34, 0.6))


@lru_cache(maxsize=1024)
def _category_styles(color: str, theme: Theme, r: float) -> tuple[Style, Style, str]:
    plain = Style(color, mix(color, "#000000", 0.28), max(r * 0.08, 0.2))
    faded = Style(mix(color, theme.floor, 0.72), color, max(r * 0.26, 0.5))
    return plain, faded, on_color(color)


def _cross(x: float, y: float, reach: float, style: Style) -> Polygon:
    """An upright plus of twelve corners, turned by 45 degrees."""
    arm = reach * 0.22
    plus = [
        (arm, arm), (arm, reach), (-arm, reach), (-arm, arm), (-reach, arm), (-reach, -arm),
        (-arm, -arm), (-arm, -reach), (arm, -reach), (arm, -arm), (reach, -arm), (reach, arm),
    ]  # fmt: skip
    c, s = cos(pi / 4), sin(pi / 4)
    return Polygon(tuple([(x + c * u - s * v, y + s * u + c * v) for u, v in plus]), style)
