"""The sales receipt: a strip 80 mm wide, as long as it needs to be, for a till's printer or mail.

Owns the strip's layout and its one sum, the VAT contained in the total. All other amounts are
printed as they arrive; whether they agree with each other is the order desk's business.
Black on white only: most of these come out of a thermal printer.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from math import cos, pi, sin
from typing import NamedTuple

from msgspec import Struct
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas

from engine.vat import vat_in
from renderers import money
from renderers.house_style import HouseStyle, legal_mentions
from renderers.i18n import Translator, translator
from renderers.typeset import SANS, SANS_BOLD, SERIF, clean, draw_line, fit, text_width, wrap

MAX_LINES = 200
WIDTH = 80 * mm
MARGIN = 6 * mm
INNER = WIDTH - 2 * MARGIN
BODY_PT = 9.0
SMALL_PT = 7.5
TOTAL_PT = 15.0
LEADING = 1.3


class ReceiptLine(Struct, frozen=True, kw_only=True):
    """Places of one price: ``label`` is what they are, ``detail`` which ("Row F, seats 12-13")."""

    label: str
    quantity: int
    unit_minor: int
    detail: str = ""

    @property
    def amount_minor(self) -> int:
        return self.quantity * self.unit_minor


class ReceiptPerformance(Struct, frozen=True, kw_only=True):
    """The lines of one performance; ``timezone`` is its house's."""

    production: str
    starts_at_ms: int
    timezone: str
    lines: tuple[ReceiptLine, ...]


class ReceiptPayment(Struct, frozen=True, kw_only=True):
    """One movement of money. ``method`` is a value of ``engine.payments.PaymentMethod``.

    ``given_minor`` and ``change_minor`` are cash alone: what they differ from the amount by is
    the rounding of coins, and is printed.
    """

    method: str
    amount_minor: int
    given_minor: int = 0
    change_minor: int = 0
    reference: str = ""


class ReceiptView(Struct, frozen=True, kw_only=True):
    """One receipt. ``number`` is the order's, ``operator`` who sold.

    ``fees`` are charged with the whole; ``refunded_minor`` is what was paid back so far, and is
    printed below the payments. ``rates`` are what of the total has which VAT in it: pairs of the
    rate (as on a ticket) and the gross amount.
    """

    number: str
    at_ms: int
    timezone: str
    currency: str
    total_minor: int
    performances: tuple[ReceiptPerformance, ...]
    fees: tuple[ReceiptLine, ...] = ()
    payments: tuple[ReceiptPayment, ...] = ()
    refunded_minor: int = 0
    operator: str = ""
    buyer: str = ""
    rates: tuple[tuple[int, int], ...] = ()


class _Row(NamedTuple):
    """A piece of the strip: its height in points, and how to draw it from its upper edge."""

    height: float
    draw: Callable[[Canvas, float], None]


def receipt_pdf(receipt: ReceiptView, house: HouseStyle, lang: str) -> bytes:
    """The receipt as a PDF of one page, 80 mm wide.

    Raises:
        ValueError: more than ``MAX_LINES`` lines, or a text too long to print.
    """
    count = sum(len(performance.lines) for performance in receipt.performances)
    count += len(receipt.fees)
    if count > MAX_LINES:
        raise ValueError(f"a receipt holds at most {MAX_LINES} lines, not {count}")
    t = translator(lang)
    rows = _Strip(receipt, house, t).rows()
    height = sum(row.height for row in rows) + 2 * MARGIN
    file = BytesIO()
    canvas = Canvas(file, pagesize=(WIDTH, height), pageCompression=1, lang=t.language)
    canvas.setTitle(t("receipt.document_title", number=receipt.number))
    canvas.setAuthor(house.name)
    canvas.setCreator("Strapontin")
    y = height - MARGIN
    for row in rows:
        row.draw(canvas, y)
        y -= row.height
    canvas.showPage()
    canvas.save()
    return file.getvalue()


class _Strip:
    """Turns one receipt into the rows of its strip, top to bottom."""

    def __init__(self, receipt: ReceiptView, house: HouseStyle, t: Translator) -> None:
        self.receipt = receipt
        self.house = house
        self.t = t

    def rows(self) -> list[_Row]:
        return [
            *self._head(),
            *self._facts(),
            *(row for performance in self.receipt.performances for row in self._lines(performance)),
            *self._fees(),
            *self._total(),
            *self._payments(),
            *self._foot(),
        ]

    def _head(self) -> list[_Row]:
        name = fit(self.house.name, SERIF, INNER, 20 * mm, 17)
        rows = [_seats(), _gap(2)]
        rows += [_text(line, name.size, SERIF, "c", 1.15) for line in name.lines]
        rows.append(_gap(0.8))
        for line in (*self.house.address, *self.house.contact):
            rows += _block(line, SMALL_PT, align="c")
        return rows

    def _facts(self) -> list[_Row]:
        receipt, t = self.receipt, self.t
        date = money.format_date(receipt.at_ms, receipt.timezone, t.language, "long")
        when = f"{date}, {money.format_time(receipt.at_ms, receipt.timezone, t.language)}"
        rows = [_gap(3), _pair(t("receipt.number"), receipt.number, SANS_BOLD, 11)]
        rows.append(_pair(t("receipt.date"), when))
        if receipt.operator:
            rows.append(_pair(t("receipt.operator"), receipt.operator))
        if receipt.buyer:
            rows.append(_pair(t("receipt.buyer"), receipt.buyer))
        return rows

    def _lines(self, performance: ReceiptPerformance) -> list[_Row]:
        lang, at, zone = self.t.language, performance.starts_at_ms, performance.timezone
        when = f"{money.format_date(at, zone, lang)} · {money.format_time(at, zone, lang)}"
        rows = [_gap(2.5), _rule(), _gap(2.5), *_block(performance.production, 12, SERIF)]
        rows += [*_block(when[0].upper() + when[1:], SMALL_PT), _gap(1.5)]
        for line in performance.lines:
            rows += self._line(line)
        return rows

    def _fees(self) -> list[_Row]:
        rows = [_gap(2.5), _rule(), _gap(2.5)] if self.receipt.fees else []
        for line in self.receipt.fees:
            rows += self._line(line)
        return rows

    def _line(self, line: ReceiptLine) -> list[_Row]:
        label = f"{line.quantity} × {line.label}" if line.quantity != 1 else line.label
        rows = [_pair(label, self._money(line.amount_minor))]
        if line.quantity != 1:
            each = self.t("receipt.each", price=self._money(line.unit_minor))
            rows += _block(each, SMALL_PT)
        if line.detail:
            rows += _block(line.detail, SMALL_PT)
        return [*rows, _gap(1)]

    def _total(self) -> list[_Row]:
        total = self.receipt.total_minor
        rows = [_gap(1.5), _rule(), _gap(2)]
        rows.append(_pair(self.t("receipt.total"), self._money(total), SANS_BOLD, TOTAL_PT))
        for bp, gross in self.receipt.rates:
            rate = money.format_percent(bp, self.t.language)
            label = self.t("receipt.vat", rate=rate)
            if gross != total:
                label = self.t("receipt.vat_of", rate=rate, amount=self._money(gross))
            rows.append(_pair(label, self._money(vat_in(gross, bp)), size=SMALL_PT))
        return rows

    def _payments(self) -> list[_Row]:
        rows = [_gap(2)]
        for payment in self.receipt.payments:
            method = self.t(f"receipt.method.{payment.method}")
            rows.append(_pair(method, self._money(payment.amount_minor)))
            if payment.reference:
                rows += _block(self.t("receipt.reference", reference=payment.reference), SMALL_PT)
            if payment.given_minor:
                rows += self._cash(payment)
            if payment.method == "test_card":
                rows += _block(self.t("receipt.test_card"), SMALL_PT, SANS_BOLD)
        if self.receipt.refunded_minor:
            refunded = self._money(-self.receipt.refunded_minor)
            rows.append(_pair(self.t("receipt.refunded"), refunded, SANS_BOLD))
        return rows

    def _cash(self, payment: ReceiptPayment) -> list[_Row]:
        rounding = payment.given_minor - payment.change_minor - payment.amount_minor
        rows = []
        if rounding:
            rows.append(_pair(self.t("receipt.rounding"), self._money(rounding), size=SMALL_PT))
        rows.append(_pair(self.t("receipt.given"), self._money(payment.given_minor)))
        rows.append(_pair(self.t("receipt.change"), self._money(payment.change_minor), SANS_BOLD))
        return rows

    def _foot(self) -> list[_Row]:
        rows = [_gap(2.5), _rule(), _gap(3)]
        rows += _block(self.t("receipt.thanks"), 12, SERIF, "c")
        rows.append(_gap(1.5))
        # The first mention is the name and address, which stand at the head already.
        for mention in legal_mentions(self.house, self.t)[1:]:
            rows += _block(mention, SMALL_PT - 0.5, align="c")
        return rows

    def _money(self, minor: int) -> str:
        return money.format_money(minor, self.receipt.currency, self.t.language)


def _gap(height_mm: float) -> _Row:
    return _Row(height_mm * mm, lambda canvas, y: None)


def _rule() -> _Row:
    def draw(canvas: Canvas, y: float) -> None:
        canvas.setLineWidth(0.9)
        canvas.setLineCap(1)
        canvas.setDash(0.1, 2.6)
        canvas.line(MARGIN, y, WIDTH - MARGIN, y)
        canvas.setDash()

    return _Row(0, draw)


def _seats() -> _Row:
    """Three curved rows of seats: the house's sign at the head of the strip."""

    def draw(canvas: Canvas, y: float) -> None:
        for row in range(3):
            radius = (7 + 2.6 * row) * mm
            seats = 7 + 2 * row
            for seat in range(seats):
                angle = pi * (0.22 + 0.56 * seat / (seats - 1))
                x = WIDTH / 2 + radius * cos(angle)
                canvas.circle(x, y + 6.2 * mm - radius * sin(angle), 0.75 * mm, stroke=0, fill=1)

    return _Row(7.5 * mm, draw)


def _text(
    line: str, size: float, font: str = SANS, align: str = "l", leading: float = LEADING
) -> _Row:
    x = WIDTH / 2 if align == "c" else MARGIN

    def draw(canvas: Canvas, y: float) -> None:
        draw_line(canvas, line, x, y - size, font, size, align)

    return _Row(size * leading, draw)


def _block(text: str, size: float, font: str = SANS, align: str = "l") -> list[_Row]:
    """A text in as many lines as it takes."""
    return [_text(line, size, font, align) for line in wrap(clean(text), font, size, INNER) or ()]


def _pair(label: str, value: str, font: str = SANS, size: float = BODY_PT) -> _Row:
    """A label on the left and its value on the right; the label takes more lines if it must."""
    value_setting = fit(value, font, INNER * 0.62, size * LEADING * 3, size, LEADING)
    value_width = max(text_width(line, font, value_setting.size) for line in value_setting.lines)
    lines = wrap(clean(label), font, size, INNER - value_width - 2 * mm) or ()

    def draw(canvas: Canvas, y: float) -> None:
        for at, line in enumerate(lines):
            draw_line(canvas, line, MARGIN, y - size - at * size * LEADING, font, size)
        for at, line in enumerate(value_setting.lines):
            baseline = y - size - at * value_setting.leading
            draw_line(canvas, line, WIDTH - MARGIN, baseline, font, value_setting.size, "r")

    height = max(len(lines) * size * LEADING, len(value_setting.lines) * value_setting.leading)
    return _Row(height, draw)
