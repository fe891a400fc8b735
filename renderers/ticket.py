"""The print-at-home ticket: one A4 page a ticket, its upper half the ticket itself.

Owns the page: what stands where and how large. Everything on it arrives as a value; nothing is
looked up, and whether a ticket may be printed at all (paid, not refunded) was decided before.

The page, in millimetres from its top left corner::

    12 +------------------------------------------+--------------+
       | house (band in the organiser's colour, rows of seats)    |
       | title, subtitle                          :  QR code      |
       | date, time, doors; venue                 :               |
       | [ section      row      seat ]           :  order,       |
       | price type, price, name                  :  ticket, ...  |
       | Code 128 and the readable number         :               |
   137 +------------------------------------------+--------------+
   148 - - - - - - - - - - - - fold - - - - - - - - - - - - - - - -
       before you come                 your house, legal mentions
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from io import BytesIO
from math import cos, pi, sin

from msgspec import Struct
from PIL import Image, UnidentifiedImageError
from reportlab.lib.colors import Color
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from renderers import codes, money
from renderers.house_style import HouseStyle, legal_mentions
from renderers.i18n import Translator, translator
from renderers.palette import INK, PAPER, contrast, mix, readable, rgb
from renderers.typeset import (
    LEADING,
    SANS,
    SANS_BOLD,
    SERIF,
    Setting,
    balanced,
    clean,
    draw_fitted,
    draw_line,
    draw_paragraphs,
    draw_setting,
    fit,
    text_width,
)

MAX_TICKETS_PER_DOCUMENT = 2_000
MAX_LOGO_BYTES = 1_000_000

PAGE_WIDTH, PAGE_HEIGHT = A4

# Millimetres from the page's left or top edge.
CARD_LEFT, CARD_TOP, CARD_RIGHT, CARD_BOTTOM = 12.0, 12.0, 198.0, 137.0
STUB_LEFT = 139.0
BAND_BOTTOM = 29.0
MAIN_LEFT, MAIN_RIGHT = 19.0, 132.0
STUB_INNER_LEFT, STUB_INNER_RIGHT = 143.5, 193.5
FOLD_TOP = 148.5

LABEL_PT = 6.8
WHITE, BLACK = "#ffffff", "#000000"
SOFT = mix(INK, WHITE, 0.38)
HAIRLINE = mix(INK, WHITE, 0.75)

TITLE_PT = 34.0
ONE_LINE_TITLE_PT = 24.0
BAND_ROWS = 18


class TicketView(Struct, frozen=True, kw_only=True):
    """One ticket as it is printed. Empty texts are left out, with their labels.

    ``secret`` and ``short_code`` come from :mod:`renderers.secret`. A place without a number
    (standing, livestream) has an empty ``seat``, and ``section`` names its area. Times are
    milliseconds since the epoch, shown in ``timezone``. ``vat_bp`` is the VAT rate included in
    the price, in hundredths of a percent. ``marks`` are what the buyer must know of the place
    ("Restricted view"), in the language of the page.
    """

    secret: str
    short_code: str
    order: str
    production: str
    starts_at_ms: int
    timezone: str
    venue: str
    section: str
    price_type: str
    price_minor: int
    currency: str
    subtitle: str = ""
    doors_at_ms: int | None = None
    venue_address: str = ""
    row: str = ""
    seat: str = ""
    category: str = ""
    entrance: str = ""
    holder: str = ""
    marks: tuple[str, ...] = ()
    vat_bp: int | None = None

    @property
    def number(self) -> str:
        """The ticket's number, "12-000345": the readable number without its proof."""
        return self.short_code.rpartition("-")[0]


def ticket_pdf(tickets: Sequence[TicketView], house: HouseStyle, lang: str) -> bytes:
    """The tickets as one PDF, a page each, in the order given.

    Raises:
        ValueError: no ticket, more than ``MAX_TICKETS_PER_DOCUMENT``, a text longer than
            ``typeset.MAX_TEXT_CHARS``, or a logo that is no picture.
    """
    if not 1 <= len(tickets) <= MAX_TICKETS_PER_DOCUMENT:
        raise ValueError(
            f"{len(tickets)} tickets: one document holds 1 to {MAX_TICKETS_PER_DOCUMENT}"
        )
    t = translator(lang)
    title = t("ticket.document_title", order=tickets[0].order)
    return pages_pdf(title, house, t, [partial(Page.draw, ticket=one) for one in tickets])


def pages_pdf(
    title: str, house: HouseStyle, t: Translator, draw: Sequence[Callable[[Page], None]]
) -> bytes:
    """A document of pages that look alike, each drawn by one of `draw`."""
    file = BytesIO()
    canvas = Canvas(file, pagesize=A4, pageCompression=1, lang=t.language)
    canvas.setTitle(title)
    canvas.setAuthor(house.name)
    canvas.setCreator("Strapontin")
    page = Page(canvas, house, t)
    for one in draw:
        one(page)
        canvas.showPage()
    canvas.save()
    return file.getvalue()


class Page:
    """Draws pages of one document: what its tickets share is prepared once."""

    def __init__(self, canvas: Canvas, house: HouseStyle, t: Translator) -> None:
        self.canvas = canvas
        self.house = house
        self.t = t
        self.accent, self.trim = house.accent, house.trim
        self.on_accent = max(PAPER, INK, key=lambda colour: contrast(colour, house.accent))
        # The accent as text: an organiser's yellow is darkened until it can be read.
        self.accent_ink = readable(house.accent, PAPER)
        self.logo = _logo(house.logo)
        self._define_band()

    def draw(self, ticket: TicketView) -> None:
        self.band(self.t("ticket.title"))
        self._headline(ticket)
        self._place(ticket)
        self._details(ticket)
        self._code128(ticket)
        self._stub(ticket)
        self.card_outline()
        self.fold()
        self._before(ticket)
        policy = self.house.policy or self.t("ticket.legal.policy")
        self.house_column([*self._price_mentions(ticket), policy])

    # The ticket itself.

    def _define_band(self) -> None:
        """The coloured band with its rows of seats, drawn once and stamped on every page."""
        canvas = self.canvas
        canvas.beginForm("band", 0, 0, PAGE_WIDTH, PAGE_HEIGHT)
        canvas.saveState()
        clip = canvas.beginPath()
        left, width = CARD_LEFT * mm, (CARD_RIGHT - CARD_LEFT) * mm
        clip.roundRect(left, from_top(CARD_BOTTOM), width, (CARD_BOTTOM - CARD_TOP) * mm, 4 * mm)
        canvas.clipPath(clip, stroke=0, fill=0)
        fill(canvas, self.accent)
        canvas.rect(
            left, from_top(BAND_BOTTOM), width, (BAND_BOTTOM - CARD_TOP) * mm, stroke=0, fill=1
        )
        band = canvas.beginPath()
        band.rect(left, from_top(BAND_BOTTOM), width, (BAND_BOTTOM - CARD_TOP) * mm)
        canvas.clipPath(band, stroke=0, fill=0)
        self._rows_of_seats()
        canvas.restoreState()
        fill(canvas, self.trim)
        canvas.rect(left, from_top(BAND_BOTTOM + 0.7), width, 0.7 * mm, stroke=0, fill=1)
        canvas.endForm()

    def _rows_of_seats(self) -> None:
        """Curved rows of seats around the card's upper notch, which is their stage."""
        canvas = self.canvas
        # A seat is the round cap of a line of no length: a tenth of the curves of a circle.
        canvas.setLineCap(1)
        canvas.setLineWidth(1.6 * mm)
        for row in range(BAND_ROWS):
            radius = 6.5 + 3.1 * row
            seats = int(pi * radius / 2.5)
            strength = 0.34 * (1 - row / BAND_ROWS) + 0.02
            stroke(canvas, mix(self.accent, self.on_accent, strength))
            path = canvas.beginPath()
            for seat in range(seats):
                angle = pi * (seat + 0.5) / seats
                x, y = STUB_LEFT + radius * cos(angle), CARD_TOP + radius * sin(angle)
                if y < BAND_BOTTOM + 1 and x < CARD_RIGHT + 1:
                    path.moveTo(x * mm, from_top(y))
                    path.lineTo(x * mm + 0.01, from_top(y))
            canvas.drawPath(path, stroke=1, fill=0)

    def band(self, title: str) -> None:
        """The band, with the house's name and what the page is."""
        self.canvas.doForm("band")
        left = MAIN_LEFT
        if self.logo is not None:
            left = self._logo_chip() + 4
        fill(self.canvas, self.on_accent)
        box = (left * mm, from_top(CARD_TOP + 2), (STUB_LEFT - 4 - left) * mm, 13 * mm)
        draw_fitted(self.canvas, self.house.name, box, SERIF, 19, valign="middle")
        box = (STUB_INNER_LEFT * mm, from_top(CARD_TOP + 2), 50 * mm, 13 * mm)
        draw_fitted(self.canvas, title, box, SERIF, 19, align="r", valign="middle")

    def _logo_chip(self) -> float:
        """The logo on a white chip, so that any colours stand on any band; returns its right."""
        assert self.logo is not None
        width_px, height_px = self.logo.getSize()
        height = 10.0
        width = min(height * width_px / height_px, 38.0)
        height = min(height, width * height_px / width_px)
        top = CARD_TOP + (BAND_BOTTOM - CARD_TOP - height) / 2
        fill(self.canvas, WHITE)
        self.canvas.roundRect(
            (MAIN_LEFT - 1.5) * mm,
            from_top(top + height + 1.5),
            (width + 3) * mm,
            (height + 3) * mm,
            1.5 * mm,
            stroke=0,
            fill=1,
        )
        self.canvas.drawImage(
            self.logo,
            MAIN_LEFT * mm,
            from_top(top + height),
            width * mm,
            height * mm,
            mask="auto",
        )
        return float(MAIN_LEFT + width + 1.5)

    def _headline(self, ticket: TicketView) -> None:
        canvas, lang = self.canvas, self.t.language
        width = (MAIN_RIGHT - MAIN_LEFT) * mm
        subtitle_height = 6 * mm if clean(ticket.subtitle) else 0.0
        title_height = 28 * mm - subtitle_height
        title = self._title(ticket.production, width, title_height)
        block = len(title.lines) * title.leading
        top = from_top(32) - (title_height - block) / 2
        fill(canvas, INK)
        draw_setting(canvas, title, MAIN_LEFT * mm, top, SERIF)
        if subtitle_height:
            fill(canvas, SOFT)
            box = (MAIN_LEFT * mm, top - block - 0.8 * mm, width, 5.5 * mm)
            draw_fitted(canvas, ticket.subtitle, box, SANS, 10.5)
        at, zone = ticket.starts_at_ms, ticket.timezone
        date = money.format_date(at, zone, lang)
        self.field(
            "ticket.date", date[0].upper() + date[1:], (MAIN_LEFT, 62, 69, 9.5), 14, self.accent_ink
        )
        self.field(
            "ticket.starts",
            money.format_time(at, zone, lang),
            (90, 62, 20, 9.5),
            14,
            self.accent_ink,
        )
        if ticket.doors_at_ms is not None:
            doors = money.format_time(ticket.doors_at_ms, zone, lang)
            self.field("ticket.doors", doors, (112, 62, 20, 9.5), 14, INK)
        fill(canvas, INK)
        venue = clean(", ".join(filter(None, (ticket.venue, ticket.venue_address))))
        draw_fitted(canvas, venue, (MAIN_LEFT * mm, from_top(72.8), width, 7.5 * mm), SANS, 10)

    def _title(self, words: str, width: float, height: float) -> Setting:
        """One line if it can be a large one, else as many as fit, evenly broken."""
        one_line = fit(words, SERIF, width, TITLE_PT * LEADING, TITLE_PT)
        if len(one_line.lines) == 1 and one_line.size >= ONE_LINE_TITLE_PT:
            return one_line
        return balanced(fit(words, SERIF, width, height, TITLE_PT), words, SERIF, width)

    def _place(self, ticket: TicketView) -> None:
        """Section, row and seat in the largest type of the page: it is read in the dark."""
        left, top, width, height = MAIN_LEFT - 3, 81.5, MAIN_RIGHT - MAIN_LEFT + 6, 24.5
        fill(self.canvas, PAPER)
        stroke(self.canvas, self.trim)
        self.canvas.setLineWidth(0.6)
        self.canvas.roundRect(
            left * mm, from_top(top + height), width * mm, height * mm, 2 * mm, stroke=1, fill=1
        )
        columns = [("section", ticket.section, 62.0)]
        if ticket.seat:
            columns += [("row", ticket.row, 24.0)] if ticket.row else []
            columns += [("seat", ticket.seat, 24.0)]
        else:
            columns += [("seat", self.t("ticket.unnumbered"), 36.0)]
        marks = clean(" · ".join(ticket.marks))
        field_height = height - (8.5 if marks else 6.5)
        spare = (MAIN_RIGHT - MAIN_LEFT) - sum(wide for _, _, wide in columns)
        x = MAIN_LEFT
        for at, (label, value, wide) in enumerate(columns):
            wide += spare if at == 0 else 0
            largest = 27 if label == "section" else 44 if ticket.seat else 18
            box = (x, top + 1.5, wide - 3, field_height)
            self.field(
                f"ticket.{label}",
                value,
                box,
                largest,
                INK,
                font=SERIF,
                valign="baseline",
                leading=1.1,
            )
            x += wide
        if marks:
            fill(self.canvas, self.accent_ink)
            box = (
                MAIN_LEFT * mm,
                from_top(top + height - 5),
                (MAIN_RIGHT - MAIN_LEFT) * mm,
                4.2 * mm,
            )
            draw_fitted(self.canvas, marks, box, SANS_BOLD, 9, valign="middle")

    def _details(self, ticket: TicketView) -> None:
        price_type = " · ".join(filter(None, (ticket.price_type, ticket.category)))
        self.field("ticket.price_type", price_type, (MAIN_LEFT, 108.5, 49, 9.5), 11, INK)
        self.field("ticket.price", self._price(ticket), (71, 108.5, 22, 9.5), 11, INK)
        if ticket.holder:
            self.field("ticket.holder", ticket.holder, (96, 108.5, 36, 9.5), 11, INK)

    def _code128(self, ticket: TicketView) -> None:
        fill(self.canvas, BLACK)
        width = MAIN_RIGHT - MAIN_LEFT
        codes.draw_code128(
            self.canvas,
            ticket.short_code,
            (MAIN_LEFT - 3) * mm,
            from_top(129.5),
            (width + 6) * mm,
            8.5 * mm,
        )
        fill(self.canvas, INK)
        middle = (MAIN_LEFT + width / 2) * mm
        draw_line(self.canvas, ticket.short_code, middle, from_top(133.8), SANS_BOLD, 10.5, "c")

    def _stub(self, ticket: TicketView) -> None:
        canvas, lang = self.canvas, self.t.language
        left, width = STUB_INNER_LEFT, STUB_INNER_RIGHT - STUB_INNER_LEFT
        fill(canvas, BLACK)
        codes.draw_qr(canvas, ticket.secret, (left - 2) * mm, from_top(85), (width + 4) * mm)
        fill(canvas, SOFT)
        box = (left * mm, from_top(85.8), width * mm, 4.5 * mm)
        draw_fitted(canvas, self.t("ticket.show_code"), box, SANS, 9, align="c")
        half = width / 2
        self.field("ticket.order", ticket.order, (left, 91.5, half - 2, 8.5), 11, INK)
        self.field("ticket.number", ticket.number, (left + half, 91.5, half, 8.5), 11, INK)
        at, zone = ticket.starts_at_ms, ticket.timezone
        when = f"{money.format_weekday_date(at, zone, lang)} · {money.format_time(at, zone, lang)}"
        self.field("ticket.date", when[0].upper() + when[1:], (left, 101.5, width, 8.5), 11, INK)
        self.field("ticket.seat", self._place_in_a_line(ticket), (left, 111.5, width, 10), 11, INK)
        if ticket.entrance:
            self.field(
                "ticket.entrance", ticket.entrance, (left, 123, width, 11), 14, self.accent_ink
            )

    def _place_in_a_line(self, ticket: TicketView) -> str:
        if not ticket.seat:
            return f"{ticket.section} · {self.t('ticket.unnumbered')}"
        row = f"{self.t('ticket.row')} {ticket.row}" if ticket.row else ""
        seat = f"{self.t('ticket.seat')} {ticket.seat}"
        return " · ".join(filter(None, (ticket.section, row, seat)))

    def card_outline(self) -> None:
        """The card's edge, with the notches of a ticket where the stub would be torn off."""
        canvas = self.canvas
        stroke(canvas, HAIRLINE)
        canvas.setLineWidth(0.6)
        left, right = CARD_LEFT * mm, CARD_RIGHT * mm
        canvas.roundRect(
            left, from_top(CARD_BOTTOM), right - left, (CARD_BOTTOM - CARD_TOP) * mm, 4 * mm, fill=0
        )
        fill(canvas, WHITE)
        x, notch = STUB_LEFT * mm, 2.6 * mm
        for y, start in ((from_top(CARD_TOP), 180), (from_top(CARD_BOTTOM), 0)):
            canvas.circle(x, y, notch, stroke=0, fill=1)
            canvas.arc(x - notch, y - notch, x + notch, y + notch, start, 180)
        canvas.setDash(0.4, 3.2)
        canvas.setLineCap(1)
        canvas.setLineWidth(1)
        canvas.line(x, from_top(BAND_BOTTOM + 2.5), x, from_top(CARD_BOTTOM - 4.5))
        canvas.setDash()
        canvas.setLineCap(0)

    # Below the fold.

    def fold(self) -> None:
        canvas = self.canvas
        words = self.t("ticket.fold")
        half = text_width(words, SANS, 7) / 2 + 2 * mm
        stroke(canvas, HAIRLINE)
        canvas.setLineWidth(0.5)
        canvas.setDash(3, 3)
        middle, y = PAGE_WIDTH / 2, from_top(FOLD_TOP)
        canvas.line(6 * mm, y, middle - half, y)
        canvas.line(middle + half, y, PAGE_WIDTH - 6 * mm, y)
        canvas.setDash()
        fill(canvas, SOFT)
        draw_line(canvas, words, middle, y - 2.2, SANS, 7, "c")

    def _before(self, ticket: TicketView) -> None:
        t, lang = self.t, self.t.language
        starts = money.format_time(ticket.starts_at_ms, ticket.timezone, lang)
        if ticket.doors_at_ms is None:
            first = t("ticket.before.starts", starts=starts)
        else:
            doors = money.format_time(ticket.doors_at_ms, ticket.timezone, lang)
            first = t("ticket.before.doors", time=doors, starts=starts)
        paragraphs = (
            first,
            t("ticket.before.print"),
            t("ticket.before.once"),
            *self.house.practical,
        )
        self.heading(self.t("ticket.before.title"), MAIN_LEFT)
        self.paragraphs(paragraphs, (MAIN_LEFT, 171, 103, 78), 10, INK)

    def house_column(self, more: Sequence[str]) -> None:
        """The house, and what the law asks for, with what it asks of this page."""
        left, width = 130.0, STUB_INNER_RIGHT - 130.0
        self.heading(self.t("ticket.house.title"), left)
        lines = (self.house.name, *self.house.address, *self.house.contact)
        self.paragraphs(lines, (left, 171, width, 78), 10, INK, gap=0.15)
        text = " — ".join([*legal_mentions(self.house, self.t), *more])
        full = STUB_INNER_RIGHT - MAIN_LEFT
        stroke(self.canvas, self.trim)
        self.canvas.setLineWidth(0.6)
        self.canvas.line(MAIN_LEFT * mm, from_top(257), (MAIN_LEFT + full) * mm, from_top(257))
        self._label(self.t("ticket.legal.title"), MAIN_LEFT, 261)
        self.paragraphs((text,), (MAIN_LEFT, 263, full, 21), 7.5, SOFT)

    # Pieces.

    def _price(self, ticket: TicketView) -> str:
        if ticket.price_minor == 0:
            return self.t("ticket.free")
        return money.format_money(ticket.price_minor, ticket.currency, self.t.language)

    def _price_mentions(self, ticket: TicketView) -> list[str]:
        if ticket.vat_bp is None or ticket.price_minor == 0:
            return []
        rate = money.format_percent(ticket.vat_bp, self.t.language)
        return [self.t("ticket.legal.price", price=self._price(ticket), rate=rate)]

    def _label(self, words: str, left: float, baseline: float) -> None:
        fill(self.canvas, SOFT)
        draw_line(self.canvas, words.upper(), left * mm, from_top(baseline), SANS, LABEL_PT)

    def heading(self, words: str, left: float) -> None:
        fill(self.canvas, self.trim)
        self.canvas.rect(left * mm, from_top(158.5), 9 * mm, 0.7 * mm, stroke=0, fill=1)
        fill(self.canvas, INK)
        draw_line(self.canvas, words, left * mm, from_top(165.5), SERIF, 15)

    def field(
        self,
        key: str,
        value: str,
        box: tuple[float, float, float, float],
        largest: float,
        colour: str,
        font: str = SANS_BOLD,
        valign: str = "top",
        leading: float = LEADING,
    ) -> None:
        """A small label and its value below it, in a box (left, top, width, height) in mm."""
        left, top, width, height = box
        self._label(self.t(key), left, top + 2.4)
        fill(self.canvas, colour)
        value_box = (left * mm, from_top(top + 3.1), width * mm, (height - 3.1) * mm)
        draw_fitted(self.canvas, value, value_box, font, largest, valign=valign, leading=leading)

    def paragraphs(
        self,
        texts: Sequence[str],
        box: tuple[float, float, float, float],
        largest: float,
        colour: str,
        gap: float = 0.5,
    ) -> None:
        left, top, width, height = box
        fill(self.canvas, colour)
        points = (left * mm, from_top(top), width * mm, height * mm)
        draw_paragraphs(self.canvas, texts, points, SANS, largest, gap=gap)


def fill(canvas: Canvas, colour: str) -> None:
    canvas.setFillColor(_colour(colour))


def stroke(canvas: Canvas, colour: str) -> None:
    canvas.setStrokeColor(_colour(colour))


@cache
def _colour(colour: str) -> Color:
    return Color(*(part / 255 for part in rgb(colour)))


def from_top(from_top_mm: float) -> float:
    """Page coordinates of a distance from the top edge."""
    return float(PAGE_HEIGHT - from_top_mm * mm)


def _logo(picture: bytes) -> ImageReader | None:
    if not picture:
        return None
    if len(picture) > MAX_LOGO_BYTES:
        raise ValueError(f"the logo has {len(picture):,} bytes: at most {MAX_LOGO_BYTES:,}")
    try:
        with Image.open(BytesIO(picture)) as image:
            image.thumbnail((800, 800))
            return ImageReader(image.copy())
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError("the logo is not a PNG or JPEG picture") from error
