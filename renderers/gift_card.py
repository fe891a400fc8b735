"""The gift card to print at home: an A4 page, whose upper half is the card itself.

Owns the page, as `renderers.ticket` does, whose look it has. It shows the code in letters, as a
QR code and as a Code 128: whoever has one of them has the money.
"""

from collections.abc import Sequence
from functools import partial

from msgspec import Struct
from reportlab.lib.units import mm

from renderers import codes, money
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.palette import INK, PAPER
from renderers.ticket import (
    BLACK,
    MAIN_LEFT,
    MAIN_RIGHT,
    SOFT,
    STUB_INNER_LEFT,
    STUB_INNER_RIGHT,
    Page,
    TicketView,
    fill,
    from_top,
    pages_pdf,
    stroke,
)
from renderers.typeset import SANS, SANS_BOLD, SERIF, draw_fitted, draw_line

AMOUNT_PT = 60.0


class GiftCardView(Struct, frozen=True, kw_only=True):
    """One gift card as it is printed.

    ``code`` is what it is spent by, ``spaced`` the same as people read it. ``at_ms`` is when it
    was bought. ``mark`` says that it was printed before.
    """

    code: str
    spaced: str
    amount_minor: int
    currency: str
    order: str
    at_ms: int
    timezone: str
    mark: str = ""


def order_pdf(
    tickets: Sequence[TicketView], cards: Sequence[GiftCardView], house: HouseStyle, lang: str
) -> bytes:
    """The tickets and gift cards of an order as one PDF, a page each; there is one at least."""
    t = translator(lang)
    number = tickets[0].order if tickets else cards[0].order
    key = "ticket.document_title" if tickets else "gift_card.document_title"
    draw = [partial(Page.draw, ticket=one) for one in tickets]
    return pages_pdf(t(key, order=number), house, t, [*draw, *(partial(_draw, c) for c in cards)])


def _draw(card: GiftCardView, page: Page) -> None:
    page.band(page.t("gift_card.title"))
    _amount(card, page)
    _code(card, page)
    _stub(card, page)
    page.card_outline()
    page.fold()
    _below(page)
    page.house_column([page.t("gift_card.legal")])


def _amount(card: GiftCardView, page: Page) -> None:
    canvas, width = page.canvas, (MAIN_RIGHT - MAIN_LEFT) * mm
    words = money.format_money(card.amount_minor, card.currency, page.t.language)
    fill(canvas, INK)
    box = (MAIN_LEFT * mm, from_top(36), width, 26 * mm)
    draw_fitted(canvas, words, box, SERIF, AMOUNT_PT, valign="middle")
    fill(canvas, SOFT)
    box = (MAIN_LEFT * mm, from_top(65), width, 9 * mm)
    draw_fitted(canvas, page.t("gift_card.at"), box, SANS, 12)


def _code(card: GiftCardView, page: Page) -> None:
    """In the largest type that fits: it is read aloud and typed."""
    canvas, width = page.canvas, MAIN_RIGHT - MAIN_LEFT
    fill(canvas, PAPER)
    stroke(canvas, page.trim)
    canvas.setLineWidth(0.6)
    left, top, height = (MAIN_LEFT - 3) * mm, 81.5, 24.5
    canvas.roundRect(
        left, from_top(top + height), (width + 6) * mm, height * mm, 2 * mm, stroke=1, fill=1
    )
    box = (MAIN_LEFT, top + 1.5, width, 17.0)
    page.field("gift_card.code", card.spaced, box, 27, INK, valign="middle")
    if card.mark:
        fill(canvas, page.accent_ink)
        marked = (MAIN_LEFT * mm, from_top(top + height - 5), width * mm, 4.2 * mm)
        draw_fitted(canvas, card.mark, marked, SANS_BOLD, 9, valign="middle")
    fill(canvas, BLACK)
    codes.draw_code128(canvas, card.code, left, from_top(127), (width + 6) * mm, 14 * mm)
    fill(canvas, SOFT)
    middle = (MAIN_LEFT + width / 2) * mm
    draw_line(canvas, page.t("gift_card.money"), middle, from_top(132.5), SANS, 9, "c")


def _stub(card: GiftCardView, page: Page) -> None:
    canvas, t = page.canvas, page.t
    left, width = STUB_INNER_LEFT, STUB_INNER_RIGHT - STUB_INNER_LEFT
    fill(canvas, BLACK)
    codes.draw_qr(canvas, card.code, (left - 2) * mm, from_top(85), (width + 4) * mm)
    fill(canvas, SOFT)
    box = (left * mm, from_top(85.8), width * mm, 4.5 * mm)
    draw_fitted(canvas, t("gift_card.show_code"), box, SANS, 9, align="c")
    words = money.format_money(card.amount_minor, card.currency, t.language)
    page.field("gift_card.amount", words, (left, 94, width, 10), 14, page.accent_ink)
    page.field("ticket.order", card.order, (left, 106, width, 8.5), 11, INK)
    date = money.format_date(card.at_ms, card.timezone, t.language)
    page.field("gift_card.bought", date, (left, 117, width, 8.5), 11, INK)


def _below(page: Page) -> None:
    t = page.t
    page.heading(t("gift_card.how.title"), MAIN_LEFT)
    words = [t(f"gift_card.how.{key}") for key in ("where", "rest", "safe")]
    page.paragraphs(words, (MAIN_LEFT, 171, 103, 78), 10, INK)
