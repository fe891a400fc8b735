"""The report of a till session on paper: A4, to be signed and kept with the day's accounts.

The page is `renderers.sheet`'s, the words and figures are `renderers.till_words`'s.
"""

from __future__ import annotations

from typing import Final

from reportlab.lib.units import mm

from engine.tills import TillReport
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.sheet import GAP, GREY, MARGIN, RIGHT, SMALL_PT, WIDTH, Frame, Sheet, sheet_pdf
from renderers.till_words import report_parts, shift_of, title_of, when
from renderers.typeset import SANS, draw_line

SIGNATURES: Final = 26 * mm


def till_report_pdf(
    report: TillReport, house: HouseStyle, timezone: str, lang: str, printed_ms: int
) -> bytes:
    """A4, as many pages as its movements need."""
    t = translator(lang)
    frame = Frame(
        document=t("till.report.document", number=report.session.number),
        heading=t("till.report.heading"),
        title=title_of(report, t),
        subtitle=shift_of(report, t, timezone),
        foot=t("till.report.printed", when=when(printed_ms, t, timezone)),
    )
    drawer, *rest = report_parts(report, t, timezone)
    beside = report.session.closing is not None and bool(report.session.closing.pieces)
    count = rest.pop(0) if beside else None

    def draw(sheet: Sheet) -> None:
        sheet.two(drawer, count)
        for part in rest:
            sheet.part(part)
        _signatures(sheet)

    return sheet_pdf(frame, house, t, draw)


def _signatures(sheet: Sheet) -> None:
    """Room for those who counted."""
    sheet.room(SIGNATURES)
    sheet.y -= SIGNATURES - 8 * mm
    middle = WIDTH / 2
    for key, left, right in (
        ("cashier", MARGIN, middle - GAP / 2),
        ("checked", middle + GAP / 2, RIGHT),
    ):
        sheet.canvas.setStrokeColor(GREY)
        sheet.canvas.setLineWidth(0.6)
        sheet.canvas.line(left, sheet.y, right, sheet.y)
        sheet.canvas.setFillColor(GREY)
        words = sheet.t(f"till.report.{key}")
        draw_line(sheet.canvas, words, left, sheet.y - 4 * mm, SANS, SMALL_PT)
