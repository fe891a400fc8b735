"""The settlement of a period on A4, for the day's or the month's accounts."""

from __future__ import annotations

from engine.settlement import Settlement
from renderers.house_style import HouseStyle
from renderers.i18n import translator
from renderers.invoice import seller_mentions
from renderers.settlement_words import notes_of, settlement_parts, subtitle_of, title_of
from renderers.sheet import Frame, Sheet, sheet_pdf
from renderers.till_words import when


def settlement_pdf(settlement: Settlement, house: HouseStyle, lang: str) -> bytes:
    """A4, as many pages as there is to tell."""
    t = translator(lang)
    at = when(settlement.at_ms, t, settlement.time_zone)
    frame = Frame(
        document=title_of(settlement, t),
        heading=t("settlement.heading"),
        title=title_of(settlement, t),
        subtitle=subtitle_of(settlement, t),
        foot=t("settlement.issued" if settlement.name else "settlement.looked_up", when=at),
        mentions=(seller_mentions(settlement.seller, t),),
    )

    def draw(sheet: Sheet) -> None:
        for part in settlement_parts(settlement, t):
            sheet.part(part)
        for note in notes_of(settlement, t):
            sheet.paragraph(note)

    return sheet_pdf(frame, house, t, draw)
