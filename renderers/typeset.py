"""Type on a page: the vendored fonts, and texts fitted into boxes without losing a letter.

Owns fonts, measuring, wrapping and shrinking. Knows nothing of tickets or receipts. The fonts
(Source Sans 3 and Source Serif 4, SIL Open Font License, see ``fonts/``) cover Latin, Greek,
Cyrillic and Vietnamese; a character of another script is drawn as the font's empty box, and
can still be searched for and copied out of the page.
Sizes and widths are in points.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from reportlab import rl_config
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

FONT_DIR = Path(__file__).parent / "fonts"
SANS = "SourceSans3-Regular"
SANS_BOLD = "SourceSans3-SemiBold"
SERIF = "SourceSerif4-SemiBold"

# Under this size a word is rather broken in two than printed smaller.
SMALLEST_READABLE_PT = 6.0
SIZE_STEP_PT = 0.25
LEADING = 1.15
PARAGRAPH_LEADING = 1.35
MAX_TEXT_CHARS = 2_000


_ALIGN = {"l": 0.0, "c": 0.5, "r": 1.0}


class Setting(NamedTuple):
    """Lines of text at a size; ``leading`` is the distance from one line to the next."""

    lines: tuple[str, ...]
    size: float
    leading: float


def clean(text: str) -> str:
    """One line of composed characters: what the fonts can draw.

    Raises:
        ValueError: longer than ``MAX_TEXT_CHARS``.
    """
    if len(text) > MAX_TEXT_CHARS:
        raise ValueError(f"a printed text has at most {MAX_TEXT_CHARS} characters: {text[:40]!r}…")
    # The serif has no no-break hyphen; lines are broken at spaces only, so a plain one serves.
    composed = unicodedata.normalize("NFC", text).replace("\u2011", "-")
    # White space but the no-break spaces, which str.split would break at.
    spaced = "".join(" " if c in "\t\n\r\x0b\x0c\u2028\u2029" else c for c in composed)
    return " ".join(part for part in spaced.split(" ") if part)


@lru_cache(maxsize=4096)
def fit(
    text: str, font: str, width: float, height: float, largest: float, leading: float = LEADING
) -> Setting:
    """``text`` in the largest size up to ``largest`` at which it fits the box, wrapped at spaces.

    Words stay whole down to ``SMALLEST_READABLE_PT``; from there they are broken if need be.

    Raises:
        ValueError: not even dust would fit, or the text is too long.
    """
    text = clean(text)

    for whole_words, smallest in ((True, SMALLEST_READABLE_PT), (False, SIZE_STEP_PT)):

        def lines_at(size: float, whole_words: bool = whole_words) -> tuple[str, ...] | None:
            lines = wrap(text, font, size, width, whole_words=whole_words)
            fits = lines is not None and len(lines) * size * leading <= height + 1e-6
            return lines if fits else None

        size = _largest_size(largest, smallest, lines_at)
        if size is not None:
            return Setting(lines_at(size) or (), size, size * leading)
    raise ValueError(f"no room for {text!r} in a box of {width:.0f} by {height:.0f} points")


def _largest_size(
    largest: float, smallest: float, lines_at: Callable[[float], tuple[str, ...] | None]
) -> float | None:
    """By halving: a text that fits at a size fits at every smaller one, but for a hair."""
    if lines_at(largest) is not None:
        return largest
    low, high = round(smallest / SIZE_STEP_PT), int(largest / SIZE_STEP_PT)
    best = None
    while low <= high:
        middle = (low + high) // 2
        if lines_at(middle * SIZE_STEP_PT) is not None:
            best, low = middle * SIZE_STEP_PT, middle + 1
        else:
            high = middle - 1
    return best


def wrap(
    text: str, font: str, size: float, width: float, *, whole_words: bool = False
) -> tuple[str, ...] | None:
    """``text`` in lines of at most ``width``; None if a word is wider and must stay whole."""
    space = text_width(" ", font, size)
    lines: list[str] = []
    line, used = "", 0.0
    for word in text.split(" "):
        wide = text_width(word, font, size)
        if line and used + space + wide <= width:
            line, used = f"{line} {word}", used + space + wide
            continue
        if line:
            lines.append(line)
        while wide > width:
            cut = _letters_that_fit(word, font, size, width)
            if whole_words or cut == 0:
                return None
            lines.append(word[:cut])
            word = word[cut:]
            wide = text_width(word, font, size)
        line, used = word, wide
    return (*lines, line) if line else tuple(lines)


def text_width(text: str, font: str, size: float) -> float:
    """The width of one line, as :func:`draw_line` draws it."""
    return float(pdfmetrics.stringWidth(text, font, size))


def draw_line(
    canvas: Canvas, text: str, x: float, baseline: float, font: str, size: float, align: str = "l"
) -> None:
    """One line of cleaned text; ``align`` "l", "c" or "r" says what of it stands at ``x``."""
    if align != "l":
        x -= text_width(text, font, size) * (0.5 if align == "c" else 1)
    canvas.setFont(font, size)
    canvas.drawString(x, baseline, text)


def balanced(setting: Setting, text: str, font: str, width: float) -> Setting:
    """The same size and number of lines, made as even in length as can be: no lone last word."""
    narrowest, lines = width / max(1, len(setting.lines)), setting.lines
    low, high = narrowest, width
    while high - low > 1.0:
        middle = (low + high) / 2
        tried = wrap(clean(text), font, setting.size, middle, whole_words=True)
        if tried is not None and len(tried) <= len(setting.lines):
            lines, high = tried, middle
        else:
            low = middle
    return setting._replace(lines=lines)


def draw_fitted(
    canvas: Canvas,
    text: str,
    box: tuple[float, float, float, float],
    font: str,
    largest: float,
    *,
    align: str = "l",
    valign: str = "top",
    leading: float = LEADING,
) -> float:
    """``text`` inside the box (left, top, width, height), y upwards, shrunk until it fits.

    ``valign`` is "top", "middle", or "baseline": the last line stands on the box's lower edge,
    so that neighbours of different sizes stand on one line. Returns the y below the last line.
    """
    left, top, width, height = box
    setting = fit(text, font, width, height, largest, leading)
    slack = height - len(setting.lines) * setting.leading
    offset = {"top": 0.0, "middle": slack / 2, "baseline": slack}[valign]
    if valign == "baseline":
        offset += setting.leading - _drop(setting, font)
    draw_setting(canvas, setting, left + width * _ALIGN[align], top - offset, font, align)
    return top - offset - len(setting.lines) * setting.leading


def draw_setting(
    canvas: Canvas, setting: Setting, x: float, top: float, font: str, align: str = "l"
) -> None:
    """The lines of a setting, the upper edge of the first at ``top``."""
    baseline = top - _drop(setting, font)
    for line in setting.lines:
        draw_line(canvas, line, x, baseline, font, setting.size, align)
        baseline -= setting.leading


def _drop(setting: Setting, font: str) -> float:
    """From the upper edge of a line to its baseline: letters stand in the middle of a line."""
    face = pdfmetrics.getFont(font).face
    return float(setting.leading + (face.ascent + face.descent) / 1000 * setting.size) / 2


def draw_paragraphs(
    canvas: Canvas,
    texts: Sequence[str],
    box: tuple[float, float, float, float],
    font: str,
    largest: float,
    *,
    gap: float = 0.5,
) -> None:
    """Paragraphs one under the other in the box (left, top, width, height), all of one size.

    ``gap`` is the room between two paragraphs, in lines.
    """
    left, top, width, height = box
    cleaned = [clean(text) for text in texts]

    def lines_at(size: float) -> tuple[str, ...] | None:
        wrapped = [wrap(text, font, size, width) for text in cleaned]
        if None in wrapped:
            return None
        count = sum(len(lines or ()) for lines in wrapped) + gap * (len(wrapped) - 1)
        return () if count * size * PARAGRAPH_LEADING <= height else None

    size = _largest_size(largest, SIZE_STEP_PT, lines_at)
    if size is None:
        raise ValueError(f"no room for {len(texts)} paragraphs in {width:.0f} by {height:.0f}")
    leading = size * PARAGRAPH_LEADING
    y = top - size
    for text in cleaned:
        for line in wrap(text, font, size, width) or ():
            draw_line(canvas, line, left, y, font, size)
            y -= leading
        y -= gap * leading


def _letters_that_fit(text: str, font: str, size: float, width: float) -> int:
    used = 0.0
    for fits, letter in enumerate(text):
        used += text_width(letter, font, size)
        if used > width:
            return fits
    return len(text)


def _set_up_reportlab() -> None:
    """Makes the three fonts known; called once, when this module is imported."""
    # Streams as bytes: text-only PDFs are for mail of the last century, larger and twice as slow.
    rl_config.useA85 = 0
    for name in (SANS, SANS_BOLD, SERIF):
        pdfmetrics.registerFont(TTFont(name, FONT_DIR / f"{name}.ttf"))


_set_up_reportlab()
