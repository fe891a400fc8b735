"""Pictures of a seating plan: SVG text and PNG bytes.

Coloured by category, or by live status when statuses are given, with the shapes
that go with them. Owns the two ways of writing marks down; what is drawn is in
`renderers.plan_scene`. Pure: a plan in, bytes out.
"""

from collections.abc import Iterator, Sequence
from html import escape
from io import BytesIO
from itertools import groupby

from PIL import Image, ImageDraw

from engine.plan import Plan
from renderers.i18n import translator
from renderers.palette import LIGHT, Theme
from renderers.plan_marks import (
    Disc,
    Mark,
    Panel,
    Polygon,
    Scene,
    Style,
    Words,
    font,
)
from renderers.plan_scene import build_scene

SVG_WIDTH_PX = 1200
PNG_WIDTH_PX = 1600
LEAST_WIDTH_PX = 200
MOST_WIDTH_PX = 8_000
MOST_PIXELS = 120_000_000
"""Drawn before scaling down; smoothness gives way to this bound."""
SMOOTHNESS = 3
"""A PNG is drawn this many times larger and scaled down."""

_CAP_HEIGHT = 0.66
"""Of the fonts' size: words are set on the middle of their capitals."""
_FAMILIES = {
    "sans": ("'Source Sans 3','Helvetica Neue',Arial,sans-serif", 400),
    "bold": ("'Source Sans 3','Helvetica Neue',Arial,sans-serif", 600),
    "serif": ("'Source Serif 4',Georgia,'Times New Roman',serif", 600),
}


class PictureSizeError(ValueError):
    """The width asked for cannot be drawn; `least_px` to `most_px` can."""

    def __init__(self, width_px: int, most_px: int) -> None:
        super().__init__(f"{width_px} px: this picture is {LEAST_WIDTH_PX} to {most_px} px wide")
        self.least_px = LEAST_WIDTH_PX
        self.most_px = most_px


def svg(
    plan: Plan,
    statuses: Sequence[int] | None = None,
    *,
    theme: Theme = LIGHT,
    title: str = "",
    lang: str = "en",
) -> str:
    """The plan as one SVG document.

    Args:
        plan: What to draw.
        statuses: A `SeatState` for each seat; None colours by category.
        title: Printed above; the plan's name when empty.
        lang: Language of the legend.

    Raises:
        ValueError: `statuses` is not one `SeatState` for each seat.
    """
    scene = build_scene(plan, statuses, theme, title, SVG_WIDTH_PX, translator(lang))
    width, height = _px(scene.width), _px(scene.height)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" height="{height}"'
        f' viewBox="0 0 {width} {height}">'
    )
    lines = [
        head,
        f"<title>{escape(scene.title)}</title>",
        f'<rect width="{width}" height="{height}" fill="{scene.ground}"/>',
        *_svg_marks(scene.marks),
        "</svg>",
        "",
    ]
    return "\n".join(lines)


def png(
    plan: Plan,
    statuses: Sequence[int] | None = None,
    *,
    theme: Theme = LIGHT,
    title: str = "",
    width_px: int = PNG_WIDTH_PX,
    lang: str = "en",
) -> bytes:
    """The plan as a PNG of `width_px`; the other arguments are those of `svg`.

    Raises:
        PictureSizeError: a width out of bounds.
        ValueError: `statuses` is not one `SeatState` for each seat.
    """
    tallest = max(plan.height / plan.width, 0.1)
    most_px = min(MOST_WIDTH_PX, max(int((MOST_PIXELS / tallest / 2) ** 0.5), LEAST_WIDTH_PX))
    if not LEAST_WIDTH_PX <= width_px <= most_px:
        raise PictureSizeError(width_px, most_px)
    scene = build_scene(plan, statuses, theme, title, width_px, translator(lang))
    height_px = round(scene.height)
    smooth = SMOOTHNESS
    while smooth > 1 and width_px * height_px * smooth**2 > MOST_PIXELS:
        smooth -= 1
    image = Image.new("RGB", (width_px * smooth, height_px * smooth), scene.ground)
    _draw(scene, image, smooth)
    if smooth > 1:
        image = image.resize((width_px, height_px), Image.Resampling.BOX)
    out = BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _px(value: float) -> str:
    """A coordinate, two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _svg_marks(marks: Sequence[Mark]) -> Iterator[str]:
    """Marks that follow each other in one style share a group, which keeps a stadium small."""
    for style, group in groupby(marks, lambda mark: getattr(mark, "style", None)):
        if style is None:
            yield from (_svg_words(mark) for mark in group if isinstance(mark, Words))
        else:
            body = "".join(_svg_shape(mark) for mark in group)
            yield f"<g {_svg_style(style)}>{body}</g>"


def _svg_style(style: Style) -> str:
    found = f'fill="{style.fill or "none"}"'
    if style.edge and style.width:
        found += f' stroke="{style.edge}" stroke-width="{_px(style.width)}"'
    return found


def _svg_shape(mark: Mark) -> str:
    if isinstance(mark, Disc):
        return f'<circle cx="{_px(mark.x)}" cy="{_px(mark.y)}" r="{_px(mark.r)}"/>'
    if isinstance(mark, Panel):
        return (
            f'<rect x="{_px(mark.x)}" y="{_px(mark.y)}" width="{_px(mark.width)}"'
            f' height="{_px(mark.height)}" rx="{_px(mark.radius)}"/>'
        )
    assert isinstance(mark, Polygon)
    points = " ".join(f"{_px(x)},{_px(y)}" for x, y in mark.points)
    return f'<polygon points="{points}"/>'


def _svg_words(words: Words) -> str:
    family, weight = _FAMILIES[words.face]
    # Not every reader knows dominant-baseline: the baseline is set by hand.
    x, y = _px(words.x), _px(words.y + words.size * _CAP_HEIGHT / 2)
    turn = ""
    if words.rotation:
        turn = f' transform="rotate({_px(words.rotation)} {x} {_px(words.y)})"'
    anchor = "" if words.anchor == "start" else f' text-anchor="{words.anchor}"'
    return (
        f'<text x="{x}" y="{y}" font-family="{family}" font-weight="{weight}"'
        f' font-size="{_px(words.size)}" fill="{words.color}"{anchor}{turn}>'
        f"{escape(words.text)}</text>"
    )


def _draw(scene: Scene, image: Image.Image, k: int) -> None:
    draw = ImageDraw.Draw(image)
    for mark in scene.marks:
        if isinstance(mark, Words):
            _draw_words(mark, image, draw, k)
            continue
        fill, edge = mark.style.fill or None, mark.style.edge or None
        width = max(round(mark.style.width * k), 1) if edge and mark.style.width else 0
        outline = edge if width else None
        if isinstance(mark, Disc):
            x, y, r = mark.x * k, mark.y * k, mark.r * k
            draw.ellipse((x - r, y - r, x + r, y + r), fill, outline, width)
        elif isinstance(mark, Panel):
            corners = (
                mark.x * k,
                mark.y * k,
                (mark.x + mark.width) * k,
                (mark.y + mark.height) * k,
            )
            draw.rounded_rectangle(corners, mark.radius * k, fill, outline, width)
        else:
            points = [(x * k, y * k) for x, y in mark.points]
            draw.polygon(points, fill)
            if outline:
                draw.line([*points, points[0], points[1]], outline, width, joint="curve")


def _draw_words(words: Words, image: Image.Image, draw: ImageDraw.ImageDraw, k: int) -> None:
    face = font(words.face, max(round(words.size * k), 1))
    anchor = {"start": "ls", "middle": "ms", "end": "rs"}[words.anchor]
    down = words.size * k * _CAP_HEIGHT / 2
    x, y = words.x * k, words.y * k
    if not words.rotation:
        draw.text((x, y + down), words.text, words.color, face, anchor)
        return
    # Turned words are set on a square of their own, which is turned and laid on the picture.
    half = round(face.getlength(words.text) / 2 + words.size * k)
    stamp = Image.new("L", (2 * half, 2 * half), 0)
    ImageDraw.Draw(stamp).text((half, half + down), words.text, 255, face, anchor)
    stamp = stamp.rotate(-words.rotation, Image.Resampling.BICUBIC)
    image.paste(words.color, (round(x) - half, round(y) - half), stamp)
