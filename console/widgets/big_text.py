"""Letters and signs to be read from two metres: words drawn in blocks, as large as they fit.

Owns the block alphabet and the choice of size. Knows no meaning: words, a sign, two colours in.
"""

from collections.abc import Sequence
from typing import Final

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

_LETTERS: Final = {
    "A": "###/#.#/###/#.#/#.#", "B": "##./#.#/##./#.#/##.", "C": "###/#../#../#../###",
    "D": "##./#.#/#.#/#.#/##.", "E": "###/#../##./#../###", "F": "###/#../##./#../#..",
    "G": "###/#../#.#/#.#/###", "H": "#.#/#.#/###/#.#/#.#", "I": "#/#/#/#/#",
    "J": "..#/..#/..#/#.#/###", "K": "#.#/#.#/##./#.#/#.#", "L": "#../#../#../#../###",
    "M": "#...#/##.##/#.#.#/#...#/#...#", "N": "#..#/##.#/#.##/#..#/#..#",
    "O": "###/#.#/#.#/#.#/###", "P": "###/#.#/###/#../#..", "Q": "###./#.#./#.#./#.#./####",
    "R": "###/#.#/##./#.#/#.#", "S": "###/#../###/..#/###", "T": "###/.#./.#./.#./.#.",
    "U": "#.#/#.#/#.#/#.#/###", "V": "#.#/#.#/#.#/#.#/.#.", "W": "#...#/#...#/#.#.#/##.##/#...#",
    "X": "#.#/#.#/.#./#.#/#.#", "Y": "#.#/#.#/.#./.#./.#.", "Z": "###/..#/.#./#../###",
    "0": "###/#.#/#.#/#.#/###", "1": ".#/##/.#/.#/.#", "2": "###/..#/###/#../###",
    "3": "###/..#/.##/..#/###", "4": "#.#/#.#/###/..#/..#", "5": "###/#../###/..#/###",
    "6": "###/#../###/#.#/###", "7": "###/..#/..#/.#./.#.", "8": "###/#.#/###/#.#/###",
    "9": "###/#.#/###/..#/###", ".": "././././#", ",": "./././#/#", "-": "../../##/../..",
    "'": "#/#/././.", ":": "./#/./#/.", "!": "#/#/#/./#", "?": "###/..#/.#./.../.#.",
    " ": "../../../../..", "€": ".##/#../##./#../.##", "£": ".##/#../##./#../###",
    "/": "..#/..#/.#./#../#..", "%": "#.#/..#/.#./#../#.#", "+": ".../.#./###/.#./...",
}  # fmt: skip
_ACCENTS: Final = {
    "É": ("E", "..#/.#."), "È": ("E", "#../.#."), "Ê": ("E", ".#./#.#"), "Ë": ("E", "#.#/..."),
    "À": ("A", "#../.#."), "Â": ("A", ".#./#.#"), "Ô": ("O", ".#./#.#"), "Û": ("U", ".#./#.#"),
    "Ù": ("U", "#../.#."), "Î": ("I", "#/."), "Ç": ("C", ".../..."),
}  # fmt: skip
SIGNS: Final = {
    "good": "........#/.......##/......##./##...##../.##.##.../..###..../...#.....",
    "warn": "....#..../...###.../...#.#.../..##.##../..##.##../.#######./.###.###./#########",
    "bad": "##...##/.##.##./..###../..###../.##.##./##...##",
    "look": ".####.../#....#../#....#../#....#../.####.../....##../.....##./......##",
}
"""A tick, a warning triangle, a cross, a magnifying glass: shapes that need no colour."""
LETTER_LINES: Final = 5
ACCENT_LINES: Final = 2
SCALES: Final = (6, 5, 4, 3, 2, 1)
"""Sizes tried, largest first: lines per pixel; a pixel is twice as many columns."""

Picture = list[list[bool]]


def word_picture(word: str) -> Picture:
    """A word in pixels, with room above for accents if it has any. Unknown letters are blanks."""
    accented = any(letter in _ACCENTS for letter in word.upper())
    lines: Picture = [[] for _ in range(LETTER_LINES + (ACCENT_LINES if accented else 0))]
    for letter in word.upper():
        base, accent = _ACCENTS.get(letter, (letter, ""))
        rows = _rows(_LETTERS.get(base, _LETTERS[" "]))
        if accented:
            above = _rows(accent) if accent else [[False] * len(rows[0])] * ACCENT_LINES
            rows = [*above, *rows]
        for line, row in zip(lines, rows, strict=True):
            line += [*([False] if line else []), *row]
    return lines


def beside(left: Picture, right: Picture, gap: int) -> Picture:
    """Two pictures side by side, their middles level."""
    height = max(len(left), len(right))
    return [
        [*one, *[False] * gap, *other]
        for one, other in zip(_padded(left, height), _padded(right, height), strict=True)
    ]


def below(upper: Picture, lower: Picture, gap: int) -> Picture:
    """One picture over the other, their middles in line."""
    width = max(_width(upper), _width(lower))
    blank = [[False] * width for _ in range(gap)]
    return [*_centred(upper, width), *blank, *_centred(lower, width)]


def compose(text: str, sign: str, columns: int, lines: int) -> tuple[Picture, int]:
    """The largest arrangement of a sign and words that fits, and its scale.

    Words may stand on one line or on one line each, the sign beside or above them. Where
    nothing fits, the smallest arrangement is returned and will be cut.
    """
    words = [word_picture(word) for word in text.split()]
    stacked = words[0] if words else [[False]]
    for word in words[1:]:
        stacked = below(stacked, word, 1)
    arrangements = [word_picture(text), stacked]
    if sign:
        picture = _rows(SIGNS[sign])
        arrangements = [
            whole
            for block in arrangements
            for whole in (beside(picture, block, 2), below(picture, block, 1))
        ]
    for scale in SCALES:
        for picture in arrangements:
            if _width(picture) * 2 * scale <= columns and len(picture) * scale <= lines:
                return picture, scale
    return min(arrangements, key=lambda picture: (_width(picture), len(picture))), 1


class BigText(Widget):
    """Words and a sign in blocks, centred. `say` changes them."""

    DEFAULT_CSS = """
    BigText { width: 1fr; height: 1fr; }
    """

    def __init__(self, text: str = "", sign: str = "", id: str | None = None) -> None:
        super().__init__(id=id)
        self.text = text
        self.sign = sign
        self._drawn: tuple[Picture, int] = ([], 1)
        self._drawn_for: tuple[object, ...] = ()

    def say(self, text: str, sign: str = "") -> None:
        self.text, self.sign = text, sign
        self.refresh()

    def render_line(self, y: int) -> Strip:
        wanted = (self.text, self.sign, self.size)
        if wanted != self._drawn_for:
            self._drawn = compose(self.text, self.sign, self.size.width, self.size.height)
            self._drawn_for = wanted
        picture, scale = self._drawn
        style = self.visual_style.rich_style
        top = max(0, (self.size.height - len(picture) * scale) // 2)
        if not self.text or not top <= y < top + len(picture) * scale:
            return Strip.blank(self.size.width, style)
        return _strip(picture[(y - top) // scale], scale * 2, self.size.width, style)


def _strip(row: Sequence[bool], columns: int, width: int, style: Style) -> Strip:
    left = max(0, (width - len(row) * columns) // 2)
    text = " " * left + "".join(("█" if dot else " ") * columns for dot in row)
    return Strip([Segment(text[:width].ljust(width), style)], width)


def _rows(drawing: str) -> Picture:
    return [[dot == "#" for dot in row] for row in drawing.split("/")]


def _width(picture: Picture) -> int:
    return max((len(row) for row in picture), default=0)


def _padded(picture: Picture, height: int) -> Picture:
    above = (height - len(picture)) // 2
    blank = [False] * _width(picture)
    return [*[blank] * above, *picture, *[blank] * (height - len(picture) - above)]


def _centred(picture: Picture, width: int) -> Picture:
    left = (width - _width(picture)) // 2
    return [[*[False] * left, *row, *[False] * (width - left - len(row))] for row in picture]
