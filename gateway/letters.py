"""What each mail says: from an order, its performances and the house to a message ready to send.

Owns the words' choice, the tickets and the calendar that go with them, and whom an answer
reaches. Nothing is kept: a mail is made when its turn comes, from the order as it is then. The
look and the MIME are `renderers.mail`'s. Knows no SMTP and no outbox.

A buyer's name stands in no mail to the buyer: anybody may type a name and an address, and what
they type must not be what a stranger reads under the house's.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, Final, NamedTuple, Protocol

from msgspec.structs import replace

from engine.cancellation import live_lines, performance_of
from engine.credit import spaced
from engine.currency import cash_rounded
from engine.gift_cards import gift_cards_of, live_gift_cards
from engine.ledger_periods import Closed, read_period
from engine.mails import (
    TO_HOUSE,
    WITH_TICKETS,
    Composed,
    Due,
    MailKind,
    Refused,
    is_address,
    message_id,
)
from engine.orders import ChargeKind, Delivery, LineState, Order, OrderLine, TermsKind
from engine.payments import Payment, PaymentMethod, Refund, RefundState
from gateway.paper import House, Paper, Showing, rows_of, sold_lines
from gateway.plans import Plans
from gateway.programme import Programme, style_of, text_in, vat_of
from renderers import i18n
from renderers.calendar import CalendarEntry, calendar
from renderers.i18n import Translator, translator
from renderers.mail import Attachment, Block, Envelope, Letter, mime
from renderers.money import format_date, format_money, format_time

MAX_ATTACHED_BYTES: Final = 8 * 1024 * 1024
"""Tickets of more are fetched from the order's page: many mailboxes refuse over 10 MB, and MIME
adds a third."""


class Books(Protocol):
    """What a digest is read from; `persistence.ledger`."""

    async def period(self, organiser: int, number: int) -> Closed | None: ...

    async def by_performance(self, organiser: int, first: int, last: int) -> Sequence[Any]:
        """Rows: performance, currency, places, amount, places_back, back."""
        ...


class _Told(NamedTuple):
    """What every letter about an order needs."""

    order: Order
    showings: Mapping[int, Showing]
    house: House
    settings: Mapping[str, Any]
    t: Translator
    page: str

    def money(self, minor: int) -> str:
        return format_money(minor, self.order.currency, self.t.language)

    def when(self, ms: int) -> str:
        zone, language = self.house.time_zone, self.t.language
        return _when(ms, zone, language)

    def titles(self) -> str:
        found = (
            text_in(showing.entry.titles, self.t.language) for showing in self.showings.values()
        )
        gift_cards = [self.t("gift_card.title")] if gift_cards_of(self.order) else []
        return ", ".join(dict.fromkeys([*found, *gift_cards]))


class Letters:
    """See the module. `sender` is the address that mails come from."""

    def __init__(
        self,
        programme: Programme,
        plans: Plans,
        paper: Paper,
        books: Books,
        sender: str,
        public_url: str,
        clock_ms: Callable[[], int],
    ) -> None:
        self._programme = programme
        self._plans = plans
        self._paper = paper
        self._books = books
        self._sender = sender
        self._public_url = public_url
        self._clock_ms = clock_ms

    async def compose(self, due: Due) -> Composed:
        """The message.

        Raises:
            engine.mails.Refused: There is nobody to send it to, or nothing to tell.
            Exception: Whatever else; it may be asked for again.
        """
        house = await self._programme.house()
        recipient = due.recipient
        if due.order is not None and not recipient:
            recipient = due.order.buyer.email.strip()
        recipient = _ascii(recipient)
        attached: list[Attachment] = []
        if due.order is None:
            letter = await self._digest(due, house)
        else:
            told = await self._told(due, due.order, house)
            letter = _WRITERS[due.kind](told, due.cause)
            if due.kind in WITH_TICKETS:
                letter, attached = await self._with_tickets(told, letter)
        style = style_of(house)
        id = message_id(due, self._sender.rpartition("@")[2])
        envelope = Envelope(
            sender_name=house.name,
            sender=self._sender,
            recipient=recipient,
            reply_to=next((one for one in style.contact if is_address(one) and one.isascii()), ""),
            message_id=id,
            at_ms=self._clock_ms(),
        )
        return Composed(self._sender, recipient, id, mime(letter, style, envelope, attached))

    async def _told(self, due: Due, order: Order, house: Any) -> _Told:
        showings = {}
        for performance in dict.fromkeys(line.performance for line in order.lines):
            entry = await self._programme.entry(performance)
            showings[performance] = Showing(entry, await self._plans.plan(entry.plan))
        language = None if due.kind in TO_HOUSE else i18n.match(order.buyer.language)
        t = translator(language or house.languages[0])
        paper_house = House(style_of(house), house.time_zone, vat_of(house))
        page = f"{self._public_url}/o/{order.id}"
        return _Told(order, showings, paper_house, house.settings, t, page)

    async def _with_tickets(self, told: _Told, letter: Letter) -> tuple[Letter, list[Attachment]]:
        order, t = told.order, told.t
        lines = sold_lines(order)
        entries = [
            CalendarEntry(
                uid=f"{performance}-{_digest(order.id, performance)}@strapontin",
                starts_ms=showing.entry.starts_ms,
                title=text_in(showing.entry.titles, t.language),
                place=", ".join([_venue(showing, told.house), *told.house.style.address]),
                description="\n".join(_places(told, performance, lines)),
                url=told.page,
            )
            for performance, showing in told.showings.items()
            if any(line.performance == performance for line in lines)
        ]
        dates = calendar(entries, self._clock_ms()).encode()
        attached = []
        if entries:
            attached.append(Attachment(f"calendar-{order.number}.ics", "text/calendar", dates))
        if order.delivery is Delivery.E_TICKET and live_gift_cards(order):
            cards = await self._paper.gift_cards(order, told.house, t.language)
            name = f"gift-cards-{order.number}.pdf"
            attached.insert(0, Attachment(name, "application/pdf", cards))
        if order.delivery is Delivery.E_TICKET and lines:
            pdf = await self._paper.tickets(order, told.showings, told.house, t.language)
            if len(pdf) > MAX_ATTACHED_BYTES:
                words = t("mail.paid_order.too_large")
                return replace(letter, paragraphs=(words, *letter.paragraphs[1:])), attached
            attached.insert(0, Attachment(f"tickets-{order.number}.pdf", "application/pdf", pdf))
        return letter, attached

    async def _digest(self, due: Due, house: Any) -> Letter:
        """The sales of a closed day by performance."""
        t = translator(house.languages[0])
        closed = await self._books.period(house.id, int(due.cause))
        if closed is None:
            raise Refused(f"there is no closed day {due.cause}")
        day = read_period(closed.body)
        date = format_date(day.from_ms, house.time_zone, t.language)
        blocks = []
        for sold in await self._books.by_performance(house.id, day.first, day.last):
            entry = await self._programme.entry(sold.performance)

            def counted(key: str, count: int, amount: int, currency: str = sold.currency) -> str:
                return t.plural(key, count, amount=format_money(amount, currency, t.language))

            lines = [_when(entry.starts_ms, house.time_zone, t.language)]
            if sold.places:
                lines.append(counted("mail.digest.sold", sold.places, sold.amount))
            if sold.places_back:
                lines.append(counted("mail.digest.back", sold.places_back, sold.back))
            blocks.append(Block(text_in(entry.titles, t.language), tuple(lines)))
        return Letter(
            language=t.language,
            subject=t("mail.digest.subject", date=date),
            title=t("mail.digest.title", date=date),
            paragraphs=(t("mail.digest.text"),),
            blocks=tuple(blocks),
            footer=(t("mail.footer_house", house=house.name),),
        )


# To the buyer ---------------------------------------------------------------------


def _paid(told: _Told, cause: str) -> Letter:
    order, t = told.order, told.t
    words = [t(f"mail.paid_order.{order.delivery.value}")] if sold_lines(order) else []
    if live_gift_cards(order):
        words.append(t(f"mail.gift_cards.{order.delivery.value}"))
    if order.equal:
        words.append(t("mail.paid_order.equal"))
    if any(one.method is PaymentMethod.TEST_CARD and one.captured for one in order.payments):
        words.append(t("mail.test_card"))
    key = "paid_order" if sold_lines(order) else "gift_cards"
    return _letter(told, key, words, sold_lines(order), _rows(told))


def _tickets(told: _Told, cause: str) -> Letter:
    lines = sold_lines(told.order)
    if not lines:
        return _paid(told, cause)
    return _letter(told, "tickets", [told.t("mail.tickets.text")], lines, _rows(told))


def _reissued(told: _Told, cause: str) -> Letter:
    words = [told.t("mail.reissued.text")]
    return _letter(told, "reissued", words, sold_lines(told.order), _rows(told))


def _reserved(told: _Told, cause: str) -> Letter:
    words = _how_to_pay(told)
    return _letter(told, "reserved", words, _standing(told.order), _rows_to_pay(told))


def _reminder(told: _Told, cause: str) -> Letter:
    words = [told.t("mail.reminder.text"), *_how_to_pay(told)]
    return _letter(told, "reminder", words, _standing(told.order), _rows_to_pay(told))


def _awaiting_approval(told: _Told, cause: str) -> Letter:
    words = [told.t("mail.awaiting_approval.text")]
    return _letter(told, "awaiting_approval", words, _standing(told.order), _rows(told))


def _cancelled(told: _Told, cause: str) -> Letter:
    words = [told.t("mail.cancelled.text"), *_all_money_back(told)]
    return _letter(told, "cancelled", words, told.order.lines, _rows(told)[:1])


def _expired(told: _Told, cause: str) -> Letter:
    words = [told.t("mail.expired.text"), *_all_money_back(told)]
    return _letter(told, "expired", words, told.order.lines, _rows(told)[:1])


def _failed(told: _Told, cause: str) -> Letter:
    back = _all_money_back(told) or [told.t("mail.failed.no_money")]
    words = [told.t("mail.failed.text"), *back]
    return _letter(told, "failed", words, told.order.lines, _rows(told)[:1])


def _refunded(told: _Told, cause: str) -> Letter:
    t, lines = told.t, _undone(told.order, cause)
    words = [t("mail.refunded.text" if lines else "mail.refunded.money_only")]
    words += _given_back(told, cause) or [t("mail.refunded.nothing")]
    return _letter(told, "refunded", words, lines, _rows(told)[:1])


def _exchanged(told: _Told, cause: str) -> Letter:
    words = [told.t("mail.exchanged.text"), *_given_back(told, cause)]
    return _letter(told, "exchanged", words, sold_lines(told.order), _rows(told))


def _called_off(told: _Told, cause: str) -> Letter:
    """Of one performance alone, which is cancelled; a mail of its own for each."""
    order, t, performance = told.order, told.t, performance_of(cause)
    gone, left = _undone(order, cause), live_lines(order, performance)
    words = [t("mail.called_off.text")]
    if any(line.state is LineState.REFUNDED for line in gone):
        back = _given_back(told, cause)
        words += [t("mail.called_off.back"), *back] if back else [t("mail.called_off.free")]
    elif gone:
        words += [t("mail.called_off.reserved"), *_all_money_back(told)]
    if left:
        words.append(t("mail.called_off.left"))
    if any(live_lines(order, other) for other in told.showings if other != performance):
        words.append(t("mail.called_off.others"))
    told = told._replace(showings={performance: told.showings[performance]})
    return _letter(told, "called_off", words, [*gone, *left], _rows(told)[:1])


def _undone(order: Order, refund: str) -> list[OrderLine]:
    """The lines that a refund ended."""
    undone = {line for one in order.refunds if one.id == refund for line in one.undone}
    return [line for line in order.lines if line.number in undone]


def _given_back(told: _Told, cause: str) -> list[str]:
    """What a refund or an exchange gives back by which way, and what the house keeps of it."""
    back = _money_back(told, lambda refund: refund.key == cause)
    for one in told.order.charges:
        if one.refund == cause and one.kind == ChargeKind.CREDIT:
            code = spaced(one.card)
            back.append(told.t("mail.back.credit", amount=told.money(one.amount), code=code))
        if one.refund == cause and one.kind == ChargeKind.RETURN:
            back.append(told.t("mail.refunded.kept", amount=told.money(one.amount)))
    return back


def _how_to_pay(told: _Told) -> list[str]:
    terms, t = told.order.terms, told.t
    assert terms is not None, "what is reserved has terms"
    words = [t(f"mail.reserved.{terms.kind.value}")]
    bank = told.settings.get("bank_account", "")
    if terms.kind is TermsKind.INVOICE and bank:
        words.append(bank)
    if terms.until_ms:
        words.append(t("mail.reserved.given_up"))
    return [*words, t("mail.reserved.not_valid")]


def _money_back(told: _Told, which: Callable[[Refund], bool]) -> list[str]:
    """How much goes back by which way, one sentence each."""
    return [
        _way_back(told, payment, refund)
        for payment in told.order.payments
        for refund in payment.refunds
        if which(refund)
    ]


def _all_money_back(told: _Told) -> list[str]:
    """What of the order goes back, with a word before it; empty for nothing."""
    back = _money_back(told, lambda refund: True)
    return [told.t("mail.failed.money"), *back] if back else []


def _way_back(told: _Told, payment: Payment, refund: Refund) -> str:
    amount, way = refund.amount, payment.method.value
    if payment.method is PaymentMethod.CASH:
        amount = cash_rounded(amount, payment.currency)
    if refund.state is RefundState.FAILED or f"mail.back.{way}" not in told.t:
        way = "by_hand"
    code = spaced(payment.reference) if way == PaymentMethod.STORE_CREDIT else ""
    return told.t(f"mail.back.{way}", amount=told.money(amount), code=code)


# To the house ---------------------------------------------------------------------


def _sale(told: _Told, cause: str) -> Letter:
    order, t = told.order, told.t
    lines = [line for line in order.lines if line.state in (LineState.SOLD, LineState.REFUNDED)]
    total = told.money(order.total)
    words = [t(f"mail.sale.channel.{order.channel.value}", operator=order.operator)]
    rows = _rows(told)
    if order.buyer.name:
        rows.append((t("mail.sale.buyer"), order.buyer.name))
    letter = _letter(told, "sale", words, lines, rows, amount=total)
    footer = t("mail.footer_house", house=told.house.style.name)
    return replace(letter, link=None, footer=(footer,))


_WRITERS: Final[dict[MailKind, Callable[[_Told, str], Letter]]] = {
    MailKind.PAID: _paid,
    MailKind.TICKETS: _tickets,
    MailKind.REISSUED: _reissued,
    MailKind.EXCHANGED: _exchanged,
    MailKind.RESERVED: _reserved,
    MailKind.AWAITING_APPROVAL: _awaiting_approval,
    MailKind.REMINDER: _reminder,
    MailKind.CANCELLED: _cancelled,
    MailKind.EXPIRED: _expired,
    MailKind.FAILED: _failed,
    MailKind.REFUNDED: _refunded,
    MailKind.CALLED_OFF: _called_off,
    MailKind.SALE: _sale,
}


# Parts ----------------------------------------------------------------------------


def _letter(
    told: _Told,
    key: str,
    words: Iterable[str],
    lines: Sequence[OrderLine],
    rows: Sequence[tuple[str, str]],
    **values: object,
) -> Letter:
    order, t, style = told.order, told.t, told.house.style
    titles, number = told.titles(), order.number
    footer = t("mail.footer", house=style.name, number=number)
    return Letter(
        language=t.language,
        subject=t(f"mail.{key}.subject", title=titles, number=number, **values),
        title=t(f"mail.{key}.title"),
        paragraphs=tuple(words),
        blocks=tuple(
            _block(told, performance, lines)
            for performance in told.showings
            if any(line.performance == performance for line in lines)
        )
        + (_gift_card_blocks(told) if key in _WITH_GIFT_CARDS else ()),
        rows=tuple(rows),
        link=(t("mail.link"), told.page),
        footer=(footer, ", ".join((style.name, *style.address)), *style.contact),
    )


_WITH_GIFT_CARDS: Final = (
    *("paid_order", "tickets", "gift_cards", "sale"),
    *("reserved", "reminder", "awaiting_approval"),
)
"""Letters that tell all that there is of an order."""


def _gift_card_blocks(told: _Told) -> tuple[Block, ...]:
    """How many gift cards of which amounts; their codes are in what is attached, or handed over."""
    amounts = Counter(
        one.left
        for one in gift_cards_of(told.order)
        if one.left and one.state is not LineState.CANCELLED
    )
    lines = tuple(f"{many} × {told.money(amount)}" for amount, many in amounts.items())
    return (Block(told.t("gift_card.title"), lines),) if lines else ()


def _block(told: _Told, performance: int, lines: Sequence[OrderLine]) -> Block:
    showing, t = told.showings[performance], told.t
    entry = showing.entry
    doors_ms = entry.settings.doors_open_ms
    told_lines = [told.when(entry.starts_ms), _venue(showing, told.house)]
    if doors_ms:
        time = format_time(doors_ms, told.house.time_zone, t.language)
        told_lines.append(t("mail.doors", time=time))
    told_lines += _places(told, performance, lines)
    return Block(text_in(entry.titles, t.language), tuple(told_lines))


def _places(told: _Told, performance: int, lines: Sequence[OrderLine]) -> list[str]:
    here = [line for line in lines if line.performance == performance]
    return rows_of(told.showings[performance].plan, here, told.t)


def _rows(told: _Told) -> list[tuple[str, str]]:
    order, t = told.order, told.t
    return [(t("mail.order"), str(order.number)), (t("mail.total"), told.money(order.total))]


def _rows_to_pay(told: _Told) -> list[tuple[str, str]]:
    order, t = told.order, told.t
    rows = _rows(told)
    if order.paid:
        rows.append((t("mail.paid"), told.money(order.paid)))
    rows.append((t("mail.due"), told.money(max(0, order.due))))
    if order.terms is not None and order.terms.until_ms:
        rows.append((t("mail.until"), told.when(order.terms.until_ms)))
    return rows


def _standing(order: Order) -> list[OrderLine]:
    return [line for line in order.lines if line.state is not LineState.CANCELLED]


def _venue(showing: Showing, house: House) -> str:
    return showing.entry.venue or house.style.name


def _when(ms: int, zone: str, language: str) -> str:
    return f"{format_date(ms, zone, language)}, {format_time(ms, zone, language)}"


def _digest(order: str, performance: int) -> str:
    """Of an order, whose id opens its page and so stands in no calendar's key."""
    return blake2b(f"{order}/{performance}".encode(), digest_size=12).hexdigest()


def _ascii(address: str) -> str:
    """The address as SMTP has it. Raises Refused for what is none."""
    if not is_address(address):
        raise Refused("this is no address that a mail could be sent to")
    local, _, domain = address.partition("@")
    try:
        return f"{local}@{domain.encode('idna').decode()}"
    except UnicodeError:
        raise Refused("the domain of this address cannot be one") from None
