"""Looks at a PDF as a reader would: its picture, its words, and whether any of them collide."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

import pypdfium2 as pdfium
from PIL import Image


class Glyph(NamedTuple):
    """One printed character and the tight box of its ink, in points from the lower left."""

    letter: str
    left: float
    bottom: float
    right: float
    top: float


def pages(pdf: bytes) -> int:
    document = pdfium.PdfDocument(pdf)
    try:
        return len(document)
    finally:
        document.close()


def picture(pdf: bytes, page: int = 0, dpi: float = 150) -> Image.Image:
    """A page in grey levels, as a scanner or a phone's camera would have it."""
    document = pdfium.PdfDocument(pdf)
    try:
        bitmap = document[page].render(scale=dpi / 72)
        return bitmap.to_pil().convert("L")
    finally:
        document.close()


def size(pdf: bytes, page: int = 0) -> tuple[float, float]:
    document = pdfium.PdfDocument(pdf)
    try:
        width, height = document[page].get_size()
        return float(width), float(height)
    finally:
        document.close()


def glyphs(pdf: bytes, page: int = 0) -> list[Glyph]:
    document = pdfium.PdfDocument(pdf)
    try:
        words = document[page].get_textpage()
        found = []
        for at in range(words.count_chars()):
            # A hyphen at the end of a line is reported as a soft one.
            letter = words.get_text_range(at, 1).replace("\ufffe", "-")
            if letter.strip():
                found.append(Glyph(letter, *words.get_charbox(at)))
        return found
    finally:
        document.close()


def letters(pdf: bytes, page: int = 0) -> str:
    """Every printed character in the order of printing, without spaces: lines may break words."""
    return "".join(glyph.letter for glyph in glyphs(pdf, page))


def squeezed(text: str) -> str:
    return re.sub(r"\s", "", text)


def collisions(found: list[Glyph], hair: float = 0.4) -> list[tuple[Glyph, Glyph]]:
    """Pairs of characters whose ink overlaps by more than a hair, in points, both ways.

    Neighbours of one word may touch: an "f" leans over an "i".
    """
    neighbours = {frozenset((id(one), id(other))) for one, other in pairwise(found)}
    found = sorted(found, key=lambda glyph: glyph.left)
    pairs = []
    for at, one in enumerate(found):
        for other in found[at + 1 :]:
            if other.left > one.right - hair:
                break
            deep = min(one.top, other.top) - max(one.bottom, other.bottom)
            wide = min(one.right, other.right) - other.left
            if deep > hair and wide > hair and frozenset((id(one), id(other))) not in neighbours:
                pairs.append((one, other))
    return pairs
