"""Tickets and receipts of an order as PDF: values gathered here, drawn by `renderers` in threads.

Owns the way from an order, its plans and its performances to what a ticket and a
receipt show, and the bound on how many are drawn at once. Knows no HTTP.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import MappingProxyType
from typing import NamedTuple

from msgspec.structs import replace

from engine.credit import spaced
from engine.gift_cards import gift_cards_of, live_gift_cards
from engine.ledger import NO_TAX
from engine.orders import TICKETED_STATES, ChargeKind, LineState, Order, OrderLine, OrderState
from engine.papers import rates_at_once
from engine.payments import TILL_METHODS
from engine.plan import Plan, SeatFlag
from gateway.limits import MAX_WAITING_PDFS, PDF_THREADS
from gateway.problems import Problem
from gateway.programme import Entry, text_in
from renderers import secret
from renderers.gift_card import GiftCardView, order_pdf
from renderers.house_style import HouseStyle
from renderers.i18n import Translator, translator
from renderers.places import rows_words
from renderers.receipt import (
    ReceiptLine,
    ReceiptPayment,
    ReceiptPerformance,
    ReceiptView,
    receipt_pdf,
)
from renderers.ticket import TicketView

_WITH_RECEIPT = (OrderState.SELLING, *TICKETED_STATES, OrderState.REFUNDED)
_MARKS = (
    (SeatFlag.WHEELCHAIR, "paper.mark.wheelchair"),
    (SeatFlag.COMPANION, "paper.mark.companion"),
    (SeatFlag.RESTRICTED_VIEW, "paper.mark.restricted_view"),
)


class Showing(NamedTuple):
    """A performance that an order touches, with its plan."""

    entry: Entry
    plan: Plan


class House(NamedTuple):
    """What paper says of the house. `tax_bp` is the rate in what was sold without one."""

    style: HouseStyle
    time_zone: str
    tax_bp: int


class Paper:
    """Draws PDFs in a few threads. Raises Problem("busy") when too many wait."""

    def __init__(self, ticket_key: bytes) -> None:
        self._key = ticket_key
        self._threads = ThreadPoolExecutor(PDF_THREADS, "pdf")
        self._waiting = 0

    async def tickets(
        self,
        order: Order,
        showings: Mapping[int, Showing],
        house: House,
        lang: str,
        only: Collection[int] = (),
        copies: Mapping[int, int] = MappingProxyType({}),
        gift_cards: Mapping[int, int] = MappingProxyType({}),
    ) -> bytes:
        """The tickets of the sold lines; of these line numbers alone where some are given.

        `copies` is how often a line's ticket was printed before: what is a copy says so.
        `gift_cards` are the numbers of those that go with them, each with how often it was printed.
        """
        lines = [one for one in sold_lines(order) if not only or one.number in only]
        if gift_cards and not only:
            lines = []
        if not lines and not gift_cards:
            raise Problem("tickets_not_ready", f"order {order.number} is {order.state}")
        t = translator(lang)
        views = []
        for one in lines:
            view = self._ticket(order, one, showings[one.performance], house, t)
            if before := copies.get(one.number, 0):
                view = replace(view, marks=(t("paper.mark.copy", number=before), *view.marks))
            views.append(view)
        cards = _gift_cards(order, gift_cards, house, t)
        return await self.draw(lambda: order_pdf(views, cards, house.style, t.language))

    async def gift_cards(self, order: Order, house: House, lang: str) -> bytes:
        """The gift cards of an order that is paid."""
        numbers = {one.number: 0 for one in live_gift_cards(order)}
        if not numbers:
            raise Problem("tickets_not_ready", f"order {order.number} is {order.state}")
        t = translator(lang)
        views = _gift_cards(order, numbers, house, t)
        return await self.draw(lambda: order_pdf([], views, house.style, t.language))

    async def receipt(
        self, order: Order, showings: Mapping[int, Showing], house: House, lang: str
    ) -> bytes:
        """The receipt of an order that was paid."""
        if order.state not in _WITH_RECEIPT:
            raise Problem("receipt_not_ready", f"order {order.number} is {order.state}")
        t = translator(lang)
        view = receipt_view(order, showings, house, t)
        return await self.draw(lambda: receipt_pdf(view, house.style, t.language))

    def shown(self, order: Order) -> list[dict[str, object]]:
        """The order's tickets with what proves them: the QR's text and the readable number."""
        return [
            {
                "line": line.number,
                "performance": line.performance,
                "number": secret.short_code(*self._identity(line)),
                "secret": secret.sign(*self._identity(line)),
            }
            for line in sold_lines(order)
        ]

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def draw(self, draw: Callable[[], bytes]) -> bytes:
        """What `draw` gives, drawn in a thread."""
        if self._waiting >= MAX_WAITING_PDFS:
            raise Problem("busy", "too many documents at once", headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, draw)
        finally:
            self._waiting -= 1

    def _identity(self, line: OrderLine) -> tuple[bytes, int, int, int]:
        return self._key, line.performance, line.ticket, line.version

    def _ticket(
        self, order: Order, line: OrderLine, showing: Showing, house: House, t: Translator
    ) -> TicketView:
        entry, plan = showing
        identity = self._identity(line)
        section, row, seat = place_words(plan, line)
        return TicketView(
            secret=secret.sign(*identity),
            short_code=secret.short_code(*identity),
            order=str(order.number),
            production=text_in(entry.titles, t.language),
            subtitle=text_in(entry.subtitles, t.language),
            starts_at_ms=entry.starts_ms,
            doors_at_ms=entry.settings.doors_open_ms or None,
            timezone=house.time_zone,
            venue=entry.venue or house.style.name,
            venue_address=", ".join(house.style.address),
            section=section,
            row=row,
            seat=seat,
            category=plan.categories[_category(plan, line)].name,
            entrance=_entrance(entry, _section(plan, line)),
            price_type=_price_name(entry, line.price_type, t.language),
            price_minor=line.amount,
            currency=order.currency,
            holder=order.buyer.name,
            marks=tuple(t(key) for flag, key in _MARKS if _flags(plan, line) & flag),
            vat_bp=_shown_rate(house.tax_bp if line.tax_bp is None else line.tax_bp),
        )


def _shown_rate(tax_bp: int) -> int | None:
    return None if tax_bp == NO_TAX else tax_bp


def _gift_cards(
    order: Order, copies: Mapping[int, int], house: House, t: Translator
) -> list[GiftCardView]:
    """Gift cards of an order by their numbers, each with how often it was printed before."""
    return [
        GiftCardView(
            code=one.code,
            spaced=spaced(one.code),
            amount_minor=one.left,
            currency=order.currency,
            order=str(order.number),
            at_ms=order.created_ms,
            timezone=house.time_zone,
            mark=t("paper.mark.copy", number=copies[one.number]) if copies[one.number] else "",
        )
        for one in live_gift_cards(order)
        if one.number in copies
    ]


def sold_lines(order: Order) -> list[OrderLine]:
    """The lines that have a ticket now."""
    return [line for line in order.lines if line.state is LineState.SOLD]


def receipt_view(
    order: Order, showings: Mapping[int, Showing], house: House, t: Translator
) -> ReceiptView:
    """What a receipt says of an order; lines never sold are not on it."""
    by_performance: dict[int, list[OrderLine]] = {}
    for line in order.lines:
        if line.state is not LineState.CANCELLED:
            by_performance.setdefault(line.performance, []).append(line)
    return ReceiptView(
        number=str(order.number),
        at_ms=order.created_ms,
        timezone=house.time_zone,
        currency=order.currency,
        total_minor=order.total,
        performances=tuple(
            ReceiptPerformance(
                production=text_in(showings[performance].entry.titles, t.language),
                starts_at_ms=showings[performance].entry.starts_ms,
                timezone=house.time_zone,
                lines=_receipt_lines(showings[performance], lines, t),
            )
            for performance, lines in by_performance.items()
        ),
        fees=(*_fee_lines(order, showings, t), *_gift_card_lines(order, t)),
        payments=tuple(
            ReceiptPayment(
                method=payment.method,
                amount_minor=payment.captured,
                given_minor=payment.given,
                change_minor=payment.change,
                reference=payment.reference if payment.method in TILL_METHODS else "",
            )
            for payment in order.payments
            if payment.captured
        ),
        refunded_minor=sum(payment.refunded for payment in order.payments),
        operator=order.operator,
        buyer=order.buyer.name,
        rates=tuple(
            (rate, gross)
            for rate, gross in sorted(rates_at_once(order, house.tax_bp).items())
            if rate != NO_TAX
        ),
    )


def _fee_lines(
    order: Order, showings: Mapping[int, Showing], t: Translator
) -> tuple[ReceiptLine, ...]:
    """One receipt line for all charges of one fee and amount; what the house bears is on none."""
    names = {
        fee.id: text_in(fee.names, t.language)
        for showing in showings.values()
        for fee in showing.entry.settings.fees
    }
    charged: Counter[tuple[str, int]] = Counter()
    for line in order.lines:
        if line.state is not LineState.CANCELLED:
            charged.update((fee.fee, fee.amount) for fee in line.fees if not fee.absorbed)
    for one in order.charges:
        # What is kept of a refunded line stands there as the line's.
        if one.refund or one.kind == ChargeKind.GIFT_CARD:
            continue  # what refunds did is told as refunded
        if one.state is not LineState.CANCELLED and not one.absorbed and not one.line:
            charged[(one.fee, one.amount)] += 1
    return tuple(
        ReceiptLine(label=names.get(fee, fee), quantity=quantity, unit_minor=amount)
        for (fee, amount), quantity in charged.items()
    )


def _gift_card_lines(order: Order, t: Translator) -> tuple[ReceiptLine, ...]:
    cards = (one for one in gift_cards_of(order) if one.state is not LineState.CANCELLED)
    return tuple(
        ReceiptLine(label=t("gift_card.title"), quantity=quantity, unit_minor=amount)
        for amount, quantity in Counter(one.amount for one in cards).items()
    )


def _receipt_lines(
    showing: Showing, lines: Sequence[OrderLine], t: Translator
) -> tuple[ReceiptLine, ...]:
    """One receipt line for all places of one price."""
    by_price: dict[tuple[str, int], list[OrderLine]] = {}
    for line in lines:
        by_price.setdefault((line.price_type, line.amount), []).append(line)
    return tuple(
        ReceiptLine(
            label=_price_name(showing.entry, price_type, t.language),
            quantity=len(places),
            unit_minor=amount,
            detail="; ".join(rows_of(showing.plan, places, t)),
        )
        for (price_type, amount), places in by_price.items()
    )


def rows_of(plan: Plan, lines: Sequence[OrderLine], t: Translator) -> list[str]:
    """ "Circle, row B, seats 12, 13", one text a row."""
    return rows_words([place_words(plan, line) for line in lines], t)


def place_words(plan: Plan, line: OrderLine) -> tuple[str, str, str]:
    """Section, row and seat as printed; a place of an area has its area's name alone."""
    if line.seat < 0:
        return plan.areas[line.area].name, "", ""
    label = plan.seat_label(line.seat)
    return label.section, label.row, label.seat


def _section(plan: Plan, line: OrderLine) -> int:
    return plan.areas[line.area].section if line.seat < 0 else plan.seat_sections[line.seat]


def _category(plan: Plan, line: OrderLine) -> int:
    return plan.areas[line.area].category if line.seat < 0 else plan.seats[line.seat].category


def _flags(plan: Plan, line: OrderLine) -> int:
    return 0 if line.seat < 0 else plan.seats[line.seat].flags


def _entrance(entry: Entry, section: int) -> str:
    """The gates that admit a section, by name."""
    gates = entry.settings.gates
    return ", ".join(gate.name for gate in gates if not gate.sections or section in gate.sections)


def _price_name(entry: Entry, price_type: str, language: str) -> str:
    for kind in entry.settings.price_types:
        if kind.id == price_type:
            return text_in(kind.names, language)
    return price_type
