"""A report on A4: a heading on every page, tables that go on overleaf, pages that are counted.

Owns the page; what stands on it is `renderers.parts`' words, given by whoever reports.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Final, NamedTuple

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from renderers.house_style import HouseStyle
from renderers.i18n import Translator
from renderers.parts import Part, Row
from renderers.typeset import SANS, SANS_BOLD, SERIF, clean, draw_line, fit, text_width, wrap

WIDTH, HEIGHT = A4
MARGIN: Final = 18 * mm
RIGHT: Final = WIDTH - MARGIN
GAP: Final = 10 * mm
"""Between two columns, and above a part."""
LINE: Final = 6.2 * mm
TIGHT: Final = 4.4 * mm
"""Between the lines of one text; SMALL of a small one."""
SMALL: Final = 3.6 * mm
FOOT: Final = 9 * mm
BODY_PT: Final = 10.0
SMALL_PT: Final = 8.0
MENTION_PT: Final = 7.0
MENTION: Final = 3 * mm
MAX_MENTION_LINES: Final = 20
COLUMN: Final = 27 * mm
"""Of a figure in a table of several."""
COUNT_COLUMN: Final = 17 * mm
INK: Final = HexColor("#1d1a16")
GREY: Final = HexColor("#5c5852")
HAIR: Final = HexColor("#d8d2c8")


class Frame(NamedTuple):
    """What every page says: `document` is the file's title, `foot` stands below on the left, and
    `mentions` above that, each a paragraph."""

    document: str
    heading: str
    title: str
    subtitle: str
    foot: str
    mentions: tuple[str, ...] = ()


def sheet_pdf(
    frame: Frame, house: HouseStyle, t: Translator, draw: Callable[[Sheet], None]
) -> bytes:
    """What `draw` puts on as many pages as it takes; drawn twice, to know how many."""
    pages = 0
    for _ in range(2):
        file = BytesIO()
        canvas = Canvas(file, pagesize=A4, pageCompression=1, lang=t.language)
        canvas.setTitle(frame.document)
        canvas.setAuthor(house.name)
        canvas.setCreator("Strapontin")
        sheet = Sheet(canvas, frame, house, t, pages)
        draw(sheet)
        sheet.end()
        pages = sheet.page
    canvas.save()
    return file.getvalue()


class Sheet:
    """Pages filled from the top; `y` is where the next thing begins."""

    def __init__(
        self, canvas: Canvas, frame: Frame, house: HouseStyle, t: Translator, pages: int
    ) -> None:
        self.canvas, self.frame, self.house, self.t = canvas, frame, house, t
        self._pages = pages
        self._mentions = [
            line
            for text in frame.mentions
            for line in wrap(_long(text), SANS, MENTION_PT, RIGHT - MARGIN) or ()
        ][:MAX_MENTION_LINES]
        self.page = 0
        self.y = 0.0
        self._begin()

    def two(self, left: Part, right: Part | None) -> None:
        """Beside each other, where there is a second."""
        middle = WIDTH / 2
        top = self.y
        self.part(left, MARGIN, middle - GAP / 2 if right else RIGHT)
        lowest = self.y
        if right is not None:
            self.y = top
            self.part(right, middle + GAP / 2, RIGHT)
        self.y = min(self.y, lowest)

    def part(self, part: Part, left: float = MARGIN, right: float = RIGHT) -> None:
        # Of a short one, all on one page.
        self.room((2 + min(len(part.rows), 4) + len(part.notes)) * LINE + GAP / 2)
        self.y -= GAP / 2
        self._heading(part, left, right)
        for row in part.rows:
            self._row(part, row, left, right)
        for note in part.notes:
            self.paragraph(note, left, right)
        self.y -= GAP / 4

    def paragraph(self, text: str, left: float = MARGIN, right: float = RIGHT) -> None:
        for line in wrap(clean(text), SANS, SMALL_PT + 1, right - left) or ():
            self.room(LINE)
            self.y -= LINE * 0.8
            self.canvas.setFillColor(GREY)
            draw_line(self.canvas, line, left, self.y, SANS, SMALL_PT + 1)

    def block(self, title: str, lines: Sequence[str], left: float, right: float) -> float:
        """A heading and lines below it, from `y` on; where they end. Moves nothing."""
        self.canvas.setFillColor(GREY)
        draw_line(self.canvas, clean(title), left, self.y - SMALL_PT, SANS_BOLD, SMALL_PT)
        y: float = self.y - SMALL_PT - 1.5 * mm
        self.canvas.setFillColor(INK)
        for at, text in enumerate(lines):
            font = SANS if at else SANS_BOLD
            for line in wrap(clean(text), font, BODY_PT, right - left) or ():
                y -= TIGHT
                draw_line(self.canvas, line, left, y, font, BODY_PT)
        return y

    def room(self, height: float) -> bool:
        """Whether a new page had to be begun for it."""
        if self.y - height >= MARGIN + FOOT + len(self._mentions) * MENTION:
            return False
        self.end()
        self._begin()
        return True

    def end(self) -> None:
        """Finish the page."""
        self.canvas.setFillColor(GREY)
        y = MARGIN + len(self._mentions) * MENTION
        for line in self._mentions:
            draw_line(self.canvas, line, MARGIN, y, SANS, MENTION_PT)
            y -= MENTION
        baseline = MARGIN - 4 * mm
        draw_line(self.canvas, clean(self.frame.foot), MARGIN, baseline, SANS, SMALL_PT)
        page = self.t("sheet.page", page=self.page, pages=self._pages)
        draw_line(self.canvas, page, RIGHT, baseline, SANS, SMALL_PT, "r")
        self.canvas.showPage()

    def _begin(self) -> None:
        self.page += 1
        canvas, frame, top = self.canvas, self.frame, HEIGHT - MARGIN
        canvas.setFillColor(HexColor(self.house.accent))
        canvas.rect(MARGIN, top - 1.2 * mm, RIGHT - MARGIN, 1.2 * mm, stroke=0, fill=1)
        canvas.setFillColor(GREY)
        draw_line(canvas, clean(self.house.name), MARGIN, top - 6.5 * mm, SANS_BOLD, SMALL_PT)
        draw_line(canvas, frame.heading, RIGHT, top - 6.5 * mm, SANS_BOLD, SMALL_PT, "r")
        canvas.setFillColor(INK)
        title = fit(frame.title, SERIF, RIGHT - MARGIN, 10 * mm, 19)
        draw_line(canvas, title.lines[0], MARGIN, top - 15.5 * mm, SERIF, title.size)
        canvas.setFillColor(GREY)
        subtitle = fit(frame.subtitle, SANS, RIGHT - MARGIN, LINE, BODY_PT)
        for line in subtitle.lines[:1]:
            draw_line(canvas, line, MARGIN, top - 21.5 * mm, SANS, subtitle.size)
        self.y = top - 23 * mm

    def _heading(self, part: Part, left: float, right: float) -> None:
        stops, size = _stops(part, len(part.head), right), BODY_PT + 0.5
        title, room = clean(part.title), right - left
        if stops:
            room = stops[0] - text_width(part.head[0], SANS_BOLD, SMALL_PT - 0.5) - 3 * mm - left
        if text_width(title, SANS_BOLD, size) > room:  # above the columns' names
            title_lines: Sequence[str] = (*(wrap(title, SANS_BOLD, size, right - left) or ()), "")
        else:
            title_lines = (title,)
        self.canvas.setFillColor(INK)
        self.y -= LINE - TIGHT
        for line in title_lines:
            self.y -= TIGHT
            draw_line(self.canvas, line, left, self.y, SANS_BOLD, size)
        self.canvas.setFillColor(GREY)
        for x, word in zip(stops, part.head, strict=True):
            draw_line(self.canvas, word, x, self.y, SANS_BOLD, SMALL_PT - 0.5, "r")
        self.y -= 1.8 * mm

    def _row(self, part: Part, row: Row, left: float, right: float) -> None:
        font = SANS_BOLD if row.strong else SANS
        words, *figures = row.cells
        stops = _stops(part, len(figures), right)
        widest = text_width(figures[0], font, BODY_PT) if figures else 0.0
        room = (stops[0] if stops else right) - widest - 3 * mm - left
        lines: Sequence[str] = (_cut(words, font, room),)
        if row.whole:
            lines = wrap(clean(words), font, BODY_PT, room) or ("",)
        details = wrap(_long(row.detail), SANS, SMALL_PT, right - left) or ()
        more = (len(lines) - 1) * TIGHT
        if self.room(LINE + more + min(len(details), 3) * SMALL):
            self._heading(part, left, right)
        self.canvas.setStrokeColor(HAIR)
        self.canvas.setLineWidth(0.5)
        self.canvas.line(left, self.y, right, self.y)
        self.y -= LINE
        baseline = self.y + LINE / 2 - 0.34 * BODY_PT
        self.canvas.setFillColor(INK)
        for x, figure in zip(stops, figures, strict=True):
            draw_line(self.canvas, figure, x, baseline, font, BODY_PT, "r")
        for at, line in enumerate(lines):
            draw_line(self.canvas, line, left, baseline - at * TIGHT, font, BODY_PT)
        self.y -= more
        self._details(part, details, left, right)

    def _details(self, part: Part, details: Sequence[str], left: float, right: float) -> None:
        for line in details:
            if self.room(SMALL):
                self._heading(part, left, right)
            self.y -= SMALL
            self.canvas.setFillColor(GREY)
            draw_line(self.canvas, line, left, self.y + 0.45 * SMALL, SANS, SMALL_PT)


def _stops(part: Part, figures: int, right: float) -> list[float]:
    """Where the figures of a row end: counts are narrow, sums are wide."""
    if figures <= 1:
        return [right] * figures
    widths = [
        COUNT_COLUMN if at % 2 == 0 and at < figures - 1 and not part.amounts else COLUMN
        for at in range(figures)
    ]
    return [right - sum(widths[at + 1 :]) for at in range(figures)]


def _long(text: str) -> str:
    """What `clean` makes of a text, of any length."""
    return " ".join(part for part in map(clean, text.split(" ")) if part)


def _cut(text: str, font: str, room: float) -> str:
    """What of a text fits in one line."""
    text = clean(text)
    if text_width(text, font, BODY_PT) <= room:
        return text
    while text and text_width(f"{text}…", font, BODY_PT) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"
