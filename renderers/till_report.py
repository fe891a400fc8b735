"""The report of a till session on paper: A4, to be signed and kept with the day's accounts.

Owns the pages; the words and figures are `renderers.till_words`'s.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from engine.tills import TillReport
from renderers.house_style import HouseStyle
from renderers.i18n import Translator, translator
from renderers.till_words import Part, Row, report_parts, shift_of, title_of, when
from renderers.typeset import SANS, SANS_BOLD, SERIF, clean, draw_line, fit, text_width, wrap

WIDTH, HEIGHT = A4
MARGIN: Final = 18 * mm
RIGHT: Final = WIDTH - MARGIN
GAP: Final = 10 * mm
"""Between two columns, and above a part."""
LINE: Final = 6.2 * mm
FOOT: Final = 9 * mm
SIGNATURES: Final = 26 * mm
BODY_PT: Final = 10.0
SMALL_PT: Final = 8.0
COLUMN: Final = 27 * mm
"""Of a figure in a table of several."""
COUNT_COLUMN: Final = 17 * mm
_INK: Final = HexColor("#1d1a16")
_GREY: Final = HexColor("#5c5852")
_HAIR: Final = HexColor("#d8d2c8")


def till_report_pdf(
    report: TillReport, house: HouseStyle, timezone: str, lang: str, printed_ms: int
) -> bytes:
    """A4, as many pages as its movements need."""
    t = translator(lang)
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, pageCompression=1, lang=t.language)
    canvas.setTitle(t("till.report.document", number=report.session.number))
    canvas.setAuthor(house.name)
    canvas.setCreator("Strapontin")
    sheet = _Sheet(canvas, report, house, t, timezone, printed_ms)
    drawer, *rest = report_parts(report, t, timezone)
    beside = report.session.closing is not None and bool(report.session.closing.pieces)
    count = rest.pop(0) if beside else None
    sheet.two(drawer, count)
    for part in rest:
        sheet.part(part, MARGIN, RIGHT)
    sheet.signatures()
    sheet.end()
    canvas.save()
    return file.getvalue()


class _Sheet:
    """Pages filled from the top; `y` is where the next thing begins."""

    def __init__(
        self,
        canvas: Canvas,
        report: TillReport,
        house: HouseStyle,
        t: Translator,
        timezone: str,
        printed_ms: int,
    ) -> None:
        self.canvas, self.report, self.house, self.t = canvas, report, house, t
        self.timezone, self.printed_ms = timezone, printed_ms
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

    def part(self, part: Part, left: float, right: float) -> None:
        self._room(3 * LINE + GAP / 2)
        self.y -= GAP / 2
        self._heading(part, left, right)
        for row in part.rows:
            if self._room(LINE):
                self._heading(part, left, right)
            self._row(row, left, right)
        for note in part.notes:
            for line in wrap(clean(note), SANS, SMALL_PT + 1, right - left) or ():
                self._room(LINE)
                self.y -= LINE * 0.8
                self.canvas.setFillColor(_GREY)
                draw_line(self.canvas, line, left, self.y, SANS, SMALL_PT + 1)
        self.y -= GAP / 4

    def signatures(self) -> None:
        """Room for those who counted."""
        self._room(SIGNATURES)
        self.y -= SIGNATURES - 8 * mm
        middle = WIDTH / 2
        for key, left, right in (
            ("cashier", MARGIN, middle - GAP / 2),
            ("checked", middle + GAP / 2, RIGHT),
        ):
            self.canvas.setStrokeColor(_GREY)
            self.canvas.setLineWidth(0.6)
            self.canvas.line(left, self.y, right, self.y)
            self.canvas.setFillColor(_GREY)
            words = self.t(f"till.report.{key}")
            draw_line(self.canvas, words, left, self.y - 4 * mm, SANS, SMALL_PT)

    def end(self) -> None:
        printed = when(self.printed_ms, self.t, self.timezone)
        self.canvas.setFillColor(_GREY)
        words = self.t("till.report.printed", when=printed)
        draw_line(self.canvas, words, MARGIN, MARGIN - 4 * mm, SANS, SMALL_PT)
        page = self.t("till.report.page", page=self.page)
        draw_line(self.canvas, page, RIGHT, MARGIN - 4 * mm, SANS, SMALL_PT, "r")
        self.canvas.showPage()

    def _room(self, height: float) -> bool:
        """Whether a new page had to be begun for it."""
        if self.y - height >= MARGIN + FOOT:
            return False
        self.end()
        self._begin()
        return True

    def _begin(self) -> None:
        self.page += 1
        canvas, t, top = self.canvas, self.t, HEIGHT - MARGIN
        canvas.setFillColor(HexColor(self.house.accent))
        canvas.rect(MARGIN, top - 1.2 * mm, RIGHT - MARGIN, 1.2 * mm, stroke=0, fill=1)
        canvas.setFillColor(_GREY)
        draw_line(canvas, clean(self.house.name), MARGIN, top - 6.5 * mm, SANS_BOLD, SMALL_PT)
        heading = t("till.report.heading")
        draw_line(canvas, heading, RIGHT, top - 6.5 * mm, SANS_BOLD, SMALL_PT, "r")
        canvas.setFillColor(_INK)
        title = fit(title_of(self.report, t), SERIF, RIGHT - MARGIN, 10 * mm, 19)
        draw_line(canvas, title.lines[0], MARGIN, top - 15.5 * mm, SERIF, title.size)
        canvas.setFillColor(_GREY)
        shift = fit(shift_of(self.report, t, self.timezone), SANS, RIGHT - MARGIN, LINE, BODY_PT)
        draw_line(canvas, shift.lines[0], MARGIN, top - 21.5 * mm, SANS, shift.size)
        self.y = top - 23 * mm

    def _heading(self, part: Part, left: float, right: float) -> None:
        self.y -= LINE
        self.canvas.setFillColor(_INK)
        draw_line(self.canvas, part.title, left, self.y, SANS_BOLD, BODY_PT + 0.5)
        self.canvas.setFillColor(_GREY)
        for x, word in zip(_stops(len(part.head), right), part.head, strict=True):
            draw_line(self.canvas, word, x, self.y, SANS_BOLD, SMALL_PT - 0.5, "r")
        self.y -= 1.8 * mm

    def _row(self, row: Row, left: float, right: float) -> None:
        canvas, font = self.canvas, SANS_BOLD if row.strong else SANS
        canvas.setStrokeColor(_HAIR)
        canvas.setLineWidth(0.5)
        canvas.line(left, self.y, right, self.y)
        self.y -= LINE
        baseline = self.y + LINE / 2 - 0.34 * BODY_PT
        canvas.setFillColor(_INK)
        words, *figures = row.cells
        stops = _stops(len(figures), right)
        for x, figure in zip(stops, figures, strict=True):
            draw_line(canvas, figure, x, baseline, font, BODY_PT, "r")
        widest = text_width(figures[0], font, BODY_PT) if figures else 0.0
        room = (stops[0] if stops else right) - widest - 3 * mm - left
        draw_line(canvas, _cut(words, font, room), left, baseline, font, BODY_PT)


def _stops(figures: int, right: float) -> list[float]:
    """Where the figures of a row end: counts are narrow, sums are wide."""
    if figures <= 1:
        return [right] * figures
    widths = [COUNT_COLUMN if at % 2 == 0 and at < figures - 1 else COLUMN for at in range(figures)]
    return [right - sum(widths[at + 1 :]) for at in range(figures)]


def _cut(text: str, font: str, room: float) -> str:
    """What of a text fits in one line."""
    text = clean(text)
    if text_width(text, font, BODY_PT) <= room:
        return text
    while text and text_width(f"{text}…", font, BODY_PT) > room:
        text = text[:-1]
    return f"{text.rstrip()}…"
