"""The guest list of a performance: for spreadsheets, for paper with a box to tick.

Owns the three formats and their common columns. The rows come sorted. A list that leaves the
house is opened by programs that take a cell for a formula when it looks like one: names are what
strangers typed, so the CSV disarms them, and the XLSX says of each cell that it is a text.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Final

import xlsxwriter
from msgspec import Struct
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from renderers import money
from renderers.cells import plain_cell
from renderers.house_style import HouseStyle
from renderers.i18n import Translator, translator
from renderers.typeset import SANS, SANS_BOLD, SERIF, clean, draw_line, fit, text_width

COLUMNS: Final = ("name", "place", "ticket", "price_type", "order", "state", "arrived")
"""The keys of the headings, under `guests.column.`."""

WIDTH, HEIGHT = A4
MARGIN: Final = 14 * mm
HEAD: Final = 30 * mm
"""From the upper margin to the first line."""
FOOT: Final = 9 * mm
LINE: Final = 8 * mm
BOX: Final = 4.2 * mm
LINES_PER_PAGE: Final = int((HEIGHT - 2 * MARGIN - HEAD - FOOT) / LINE)
BODY_PT: Final = 9.5
SMALL_PT: Final = 8.0
_GREY: Final = HexColor("#5c5852")
_HAIR: Final = HexColor("#d8d2c8")


class GuestRow(Struct, frozen=True, kw_only=True):
    """One ticket. `state` is "" for a good one, `arrived_ms` 0 while nobody came with it."""

    name: str
    place: str
    ticket: int
    price_type: str
    order: int
    state: str = ""
    arrived_ms: int = 0


class GuestList(Struct, frozen=True, kw_only=True):
    """The list with what stands at its head; `timezone` is the house's."""

    production: str
    starts_at_ms: int
    timezone: str
    rows: tuple[GuestRow, ...]


def guests_csv(guests: GuestList, lang: str) -> bytes:
    """Comma separated, UTF-8 with a byte order mark, without which spreadsheets guess."""
    t = translator(lang)
    file = StringIO()
    lines = csv.writer(file)
    lines.writerow(_headings(t))
    for row in guests.rows:
        cells = _cells(row, guests, t)
        lines.writerow([plain_cell(cell) if isinstance(cell, str) else cell for cell in cells])
    return file.getvalue().encode("utf-8-sig")


def guests_xlsx(guests: GuestList, lang: str) -> bytes:
    t = translator(lang)
    file = BytesIO()
    # Row by row to a temporary file: a stadium's list need not stand in memory.
    book = xlsxwriter.Workbook(file, {"constant_memory": True})
    sheet = book.add_worksheet(t("guests.sheet"))
    bold = book.add_format({"bold": True, "bottom": 1})
    sheet.freeze_panes(1, 0)
    for column, width in enumerate((32, 34, 10, 18, 10, 12, 10)):
        sheet.set_column(column, column, width)
    for column, heading in enumerate(_headings(t)):
        sheet.write_string(0, column, heading, bold)
    for number, row in enumerate(guests.rows, start=1):
        for column, cell in enumerate(_cells(row, guests, t)):
            if isinstance(cell, int):
                sheet.write_number(number, column, cell)
            else:
                sheet.write_string(number, column, cell)
    sheet.autofilter(0, 0, len(guests.rows), len(COLUMNS) - 1)
    book.close()
    return file.getvalue()


def guests_pdf(guests: GuestList, house: HouseStyle, lang: str) -> bytes:
    """A4, LINES_PER_PAGE guests a page, each with a box; who has come is ticked."""
    t = translator(lang)
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, pageCompression=1, lang=t.language)
    canvas.setTitle(t("guests.title", production=guests.production))
    canvas.setAuthor(house.name)
    canvas.setCreator("Strapontin")
    pages = [
        guests.rows[first : first + LINES_PER_PAGE]
        for first in range(0, len(guests.rows), LINES_PER_PAGE)
    ] or [()]
    for number, rows in enumerate(pages, start=1):
        _page(canvas, guests, house, t, rows)
        _foot(canvas, guests, t, number, len(pages))
        canvas.showPage()
    canvas.save()
    return file.getvalue()


def _headings(t: Translator) -> list[str]:
    return [t(f"guests.column.{column}") for column in COLUMNS]


def _cells(row: GuestRow, guests: GuestList, t: Translator) -> tuple[str | int, ...]:
    state = t(f"guests.state.{row.state}") if row.state else ""
    arrived = _arrived(row, guests, t)
    return row.name, row.place, row.ticket, row.price_type, row.order, state, arrived


def _arrived(row: GuestRow, guests: GuestList, t: Translator) -> str:
    return money.format_time(row.arrived_ms, guests.timezone, t.language) if row.arrived_ms else ""


# On paper ---------------------------------------------------------------------------------

_NAME: Final = MARGIN + BOX + 3 * mm
_PLACE: Final = MARGIN + 70 * mm
_TICKET: Final = MARGIN + 137 * mm
_KIND: Final = MARGIN + 141 * mm
_RIGHT: Final = WIDTH - MARGIN


def _page(
    canvas: Canvas, guests: GuestList, house: HouseStyle, t: Translator, rows: Sequence[GuestRow]
) -> None:
    top = HEIGHT - MARGIN
    canvas.setFillColor(HexColor(house.accent))
    canvas.rect(MARGIN, top - 1.2 * mm, _RIGHT - MARGIN, 1.2 * mm, stroke=0, fill=1)
    canvas.setFillColor(_GREY)
    draw_line(canvas, clean(house.name), MARGIN, top - 6.5 * mm, SANS_BOLD, SMALL_PT)
    draw_line(canvas, t("guests.heading"), _RIGHT, top - 6.5 * mm, SANS_BOLD, SMALL_PT, "r")
    canvas.setFillColor(HexColor("#1d1a16"))
    title = fit(guests.production, SERIF, _RIGHT - MARGIN, 9 * mm, 17)
    draw_line(canvas, title.lines[0], MARGIN, top - 14.5 * mm, SERIF, title.size)
    canvas.setFillColor(_GREY)
    date = money.format_date(guests.starts_at_ms, guests.timezone, t.language, "long")
    time = money.format_time(guests.starts_at_ms, guests.timezone, t.language)
    when = f"{date}, {time}"
    draw_line(canvas, when[0].upper() + when[1:], MARGIN, top - 20 * mm, SANS, BODY_PT)
    baseline = top - HEAD + 2 * mm
    for key, x, align in (
        ("name", _NAME, "l"),
        ("place", _PLACE, "l"),
        ("ticket", _TICKET, "r"),
        ("price_type", _KIND, "l"),
        ("arrived", _RIGHT, "r"),
    ):
        heading = t(f"guests.column.{key}")
        draw_line(canvas, heading, x, baseline, SANS_BOLD, SMALL_PT - 0.5, align)
    for line, row in enumerate(rows):
        _line(canvas, guests, t, row, top - HEAD - line * LINE)


def _line(canvas: Canvas, guests: GuestList, t: Translator, row: GuestRow, top: float) -> None:
    canvas.setStrokeColor(_HAIR)
    canvas.setLineWidth(0.5)
    canvas.line(MARGIN, top, _RIGHT, top)
    baseline = top - LINE / 2 - 0.34 * BODY_PT
    arrived = _arrived(row, guests, t)
    _box(canvas, top - LINE / 2, ticked=bool(arrived))
    canvas.setFillColor(HexColor("#1d1a16"))
    _in_one_line(canvas, row.name, _NAME, _PLACE - 3 * mm, baseline, SANS_BOLD)
    _in_one_line(canvas, row.place, _PLACE, _TICKET - 12 * mm, baseline)
    draw_line(canvas, str(row.ticket), _TICKET, baseline, SANS, BODY_PT, "r")
    canvas.setFillColor(_GREY)
    last = arrived or (t(f"guests.state.{row.state}") if row.state else "")
    room = text_width(last, SANS_BOLD, BODY_PT) + 2 * mm if last else 0
    _in_one_line(canvas, row.price_type, _KIND, _RIGHT - room, baseline)
    if last:
        draw_line(canvas, last, _RIGHT, baseline, SANS_BOLD, BODY_PT, "r")


def _box(canvas: Canvas, middle: float, ticked: bool) -> None:
    canvas.setStrokeColor(HexColor("#1d1a16"))
    canvas.setLineWidth(0.9)
    canvas.rect(MARGIN, middle - BOX / 2, BOX, BOX, stroke=1, fill=0)
    if ticked:
        canvas.setLineWidth(1.4)
        canvas.line(MARGIN + 0.9 * mm, middle, MARGIN + 1.8 * mm, middle - 1.1 * mm)
        canvas.line(MARGIN + 1.8 * mm, middle - 1.1 * mm, MARGIN + 3.5 * mm, middle + 1.3 * mm)


def _in_one_line(
    canvas: Canvas, text: str, left: float, right: float, baseline: float, font: str = SANS
) -> None:
    """In the largest size at which it fits, and cut off where no size does."""
    text, width = clean(text), right - left
    size = BODY_PT
    while size > 6.5 and text_width(text, font, size) > width:
        size -= 0.5
    if text_width(text, font, size) > width:
        while text and text_width(f"{text}…", font, size) > width:
            text = text[:-1]
        text = f"{text.rstrip()}…"
    draw_line(canvas, text, left, baseline, font, size)


def _foot(canvas: Canvas, guests: GuestList, t: Translator, page: int, pages: int) -> None:
    canvas.setFillColor(_GREY)
    count = t.plural("guests.count", len(guests.rows))
    draw_line(canvas, count, MARGIN, MARGIN, SANS, SMALL_PT)
    draw_line(canvas, t("guests.page", page=page, pages=pages), _RIGHT, MARGIN, SANS, SMALL_PT, "r")
