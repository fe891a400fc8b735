"""Every mail as its reader has it: parsed back from its bytes, with what is attached."""

import email
import email.policy
from email.message import EmailMessage
from types import SimpleNamespace
from typing import Any

import pytest
from icalendar import Calendar
from msgspec import structs
from pypdfium2 import PdfDocument

from engine.commands import Channel, Line
from engine.credit import CODE_BYTES, code_of, spaced
from engine.ledger_periods import Closed, Period, PeriodKind, body_of
from engine.mails import Due, MailKind, Refused
from engine.orders import (
    Buyer,
    Charge,
    Delivery,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderState,
    Terms,
    TermsKind,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState, Standing
from gateway import letters
from gateway.letters import Letters
from gateway.paper import Paper
from gateway.plans import Plans
from gateway.programme import Programme
from tests.actors.houses import settings, small_plan
from tests.fakes.catalogue import FakeCatalogue
from tests.fakes.desk import FakeSales
from tests.fakes.orders import MemoryOrders
from tests.renderers import paper as pages

EVENING_MS = 1_797_015_600_000  # 2026-12-11 19:00 UTC, 20:00 in Paris
NOW_MS = 1_790_000_000_000
ID = "ab" * 16
EVIL = "Ada\r\nBcc: eve@evil.example\r\n\r\n<script>alert('x')</script> \u202eelbmuh"
PAYMENT = Payment(f"{ID}-1", ID, PaymentMethod.STRIPE, 4_000, "EUR", captured=4_000)


class Books:
    async def period(self, organiser: int, number: int) -> Closed | None:
        if number != 7:
            return None
        period = Period(
            organiser=1,
            number=7,
            kind=PeriodKind.DAY,
            label="2026-12-10",
            time_zone="Europe/Paris",
            from_ms=EVENING_MS - 44 * 3_600_000,
            until_ms=EVENING_MS - 20 * 3_600_000,
            closed_ms=NOW_MS,
            first=3,
            last=9,
            before="",
            last_hash="",
            totals=(),
            perpetual=(),
            prev="",
            key="",
        )
        return Closed(7, body_of(period), "", "")

    async def by_performance(self, organiser: int, first: int, last: int) -> list[Any]:
        assert (organiser, first, last) == (1, 3, 9)
        row = {"currency": "EUR", "places": 1, "amount": 2_000, "places_back": 0, "back": 0}
        return [
            SimpleNamespace(performance=1, **row),
            SimpleNamespace(
                performance=2, **row | {"places": 12, "places_back": 2, "back": -4_000}
            ),
        ]


@pytest.fixture
def catalogue() -> FakeCatalogue:
    made = FakeCatalogue()
    made.add(small_plan(), settings(doors_open_ms=EVENING_MS - 3_600_000), EVENING_MS, "The Miser")
    made.add(small_plan(), settings(), EVENING_MS + 86_400_000, "Tartuffe")
    assert made.the_house is not None
    contact = {"contact": ["04 00 00 00 00", "box@house.example"]}
    made.the_house = structs.replace(made.the_house, settings=made.the_house.settings | contact)
    return made


@pytest.fixture
def writer(catalogue: FakeCatalogue) -> Letters:
    return Letters(
        Programme(catalogue, FakeSales(MemoryOrders())),
        Plans(catalogue),
        Paper(bytes(32)),
        Books(),
        "tickets@house.example",
        "https://house.example",
        lambda: NOW_MS,
    )


def order(**changes: Any) -> Order:
    made = Order(
        id=ID,
        number=1_001,
        state=OrderState.PAID,
        channel=Channel.WEB,
        currency="EUR",
        total=4_000,
        created_ms=NOW_MS,
        expires_ms=NOW_MS + 900_000,
        buyer=Buyer("Ada Lovelace", "ada@house.example", "en"),
        operator="",
        session="s",
        holds=(OrderHold(1, "ab" * 16, ()), OrderHold(2, "cd" * 16, ())),
        lines=(
            OrderLine(1, 1, 3, -1, "adult", 2_000, LineState.SOLD, 1),
            OrderLine(2, 2, 4, -1, "adult", 2_000, LineState.SOLD, 1),
        ),
        payments=(structs.replace(PAYMENT, standing=Standing.CONFIRMED),),
    )
    return structs.replace(made, **changes)


def due(kind: MailKind, of: Order | None, cause: str = "", recipient: str = "") -> Due:
    return Due(1, f"1001/{kind.value}/{cause}/", kind, cause, recipient, of, 1, NOW_MS, 0, 0, False)


async def read(writer: Letters, wanted: Due) -> EmailMessage:
    composed = await writer.compose(wanted)
    assert b"\n" not in composed.body.replace(b"\r\n", b"")
    assert composed.body.isascii()
    assert max(map(len, composed.body.split(b"\r\n"))) <= 998
    message = email.message_from_bytes(composed.body, policy=email.policy.default)
    assert isinstance(message, EmailMessage) and not message.defects
    assert message["Message-ID"] == composed.message_id
    return message


def words(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part is not None
    return str(part.get_content())


def lines(words: LineState) -> tuple[OrderLine, ...]:
    return tuple(structs.replace(line, state=words) for line in order().lines)


INVOICE = Terms(TermsKind.INVOICE, until_ms=EVENING_MS - 86_400_000)
RESERVED = order(
    state=OrderState.AWAITING_PAYMENT,
    terms=INVOICE,
    lines=lines(LineState.RESERVED),
    payments=(),
)
BACK = structs.replace(PAYMENT, refunds=(Refund("r1", 2_000, RefundState.REQUESTED),))
CASH_BACK = structs.replace(
    PAYMENT, method=PaymentMethod.CASH, refunds=(Refund("r1", 500, RefundState.SUCCEEDED),)
)
PART = order(
    state=OrderState.PART_REFUNDED,
    lines=(structs.replace(order().lines[0], state=LineState.REFUNDED), order().lines[1]),
    payments=(BACK, CASH_BACK),
    refunds=(OrderRefund("r1", (1,), "ill", "caisse", NOW_MS, True, (1,)),),
)
ENDED = order(state=OrderState.FAILED, lines=lines(LineState.CANCELLED), payments=(BACK,))
_CANCELLED = OrderRefund("cancelled-1", (1,), "ill", "ada", NOW_MS, True, (1,), called_off=True)
CALLED_OFF = structs.replace(
    PART,
    payments=(
        structs.replace(PAYMENT, refunds=(Refund("cancelled-1", 2_000, RefundState.REQUESTED),)),
    ),
    refunds=(_CANCELLED,),
)
EVERY_KIND = {
    MailKind.PAID: (order(), ""),
    MailKind.TICKETS: (order(), "x1"),
    MailKind.REISSUED: (order(), "n1"),
    MailKind.EXCHANGED: (order(state=OrderState.EXCHANGED), "x1"),
    MailKind.RESERVED: (RESERVED, ""),
    MailKind.AWAITING_APPROVAL: (RESERVED, ""),
    MailKind.REMINDER: (RESERVED, "1"),
    MailKind.CANCELLED: (structs.replace(ENDED, payments=()), ""),
    MailKind.EXPIRED: (structs.replace(ENDED, payments=()), ""),
    MailKind.FAILED: (ENDED, ""),
    MailKind.REFUNDED: (PART, "r1"),
    MailKind.CALLED_OFF: (CALLED_OFF, "cancelled-1"),
    MailKind.SALE: (order(), ""),
}


async def test_who_has_equal_places_for_lost_ones_is_told_so(writer: Letters) -> None:
    equal = (OrderHold(1, "ef" * 16, (Line(3, -1, "adult"),)),)
    told = words(await read(writer, due(MailKind.PAID, order(equal=equal))))
    assert "others as good" in told
    assert "others as good" not in words(await read(writer, due(MailKind.PAID, order())))


@pytest.mark.parametrize("language", ["fr", "en"])
@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_every_mail_says_the_same_in_text_and_html(
    writer: Letters, kind: MailKind, language: str
) -> None:
    of, cause = EVERY_KIND[kind]
    buyer = Buyer("Ada Lovelace", "ada@house.example", language)
    to = "sales@house.example" if kind is MailKind.SALE else ""
    message = await read(writer, due(kind, structs.replace(of, buyer=buyer), cause, to))
    # The house reads in its own language, the buyer in theirs.
    language = "fr" if kind is MailKind.SALE else language
    assert message["Content-Language"] == language
    assert message["From"].addresses[0].display_name == "Théâtre du Test"
    assert message["From"].addresses[0].addr_spec == "tickets@house.example"
    assert message["To"] == (to or "ada@house.example")
    assert message["Reply-To"] == "box@house.example"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Date"].datetime.timestamp() * 1_000 == NOW_MS
    assert "1001" in message["Subject"]
    title = {"fr": "The Miser (fr)", "en": "The Miser"}[language]
    for said in (words(message), words(message, "html")):
        assert title in said and "1001" in said
    if kind is not MailKind.SALE:
        page = f"https://house.example/o/{ID}"
        assert page in words(message) and f'href="{page}"' in words(message, "html")
        assert "Ada" not in words(message)


async def test_a_paid_order_brings_its_tickets_and_its_dates(writer: Letters) -> None:
    message = await read(writer, due(MailKind.PAID, order()))
    dates, tickets = sorted(message.iter_attachments(), key=lambda one: str(one.get_filename()))
    assert tickets.get_content_type() == "application/pdf"
    assert tickets.get_filename() == "tickets-1001.pdf"
    assert len(PdfDocument(tickets.get_content())) == 2
    assert "TheMiser" in pages.letters(tickets.get_content())
    assert dates.get_content_type() == "text/calendar"
    assert dates.get_param("method") == "PUBLISH"
    found = Calendar.from_ical(dates.get_content())
    first, second = found.walk("VEVENT")
    assert first.decoded("dtstart").timestamp() * 1_000 == EVENING_MS
    assert str(first.decoded("dtstart").tzinfo) == "UTC"
    assert first["summary"] == "The Miser" and second["summary"] == "Tartuffe"
    assert first["location"] == "Hall, 1 rue des Essais, 75000 Paris"
    assert first["url"] == f"https://house.example/o/{ID}"
    assert first["uid"] != second["uid"] and ID not in first["uid"]
    assert "20:00" in words(message) and "19:00" in words(message)  # begin, and doors


def with_gift_card(**changes: Any) -> Order:
    card = Charge(
        1, "gift_card", 5_000, "gift_card", state=LineState.SOLD, card=code_of(bytes(CODE_BYTES))
    )
    return order(charges=(card,), **changes)


async def test_a_gift_card_is_attached_and_told_without_its_code(writer: Letters) -> None:
    """A mail is read over shoulders: the code is in the document alone."""
    alone = with_gift_card(lines=(), holds=(), performance=1, total=5_000)
    message = await read(writer, due(MailKind.PAID, alone))
    assert message["Subject"] == "Your gift card (order 1001)"
    [attached] = message.iter_attachments()
    assert attached.get_filename() == "gift-cards-1001.pdf"
    assert attached.get_content().startswith(b"%PDF")
    told = words(message)
    assert "1 × €50.00" in told and "tickets" not in told
    assert spaced(alone.charges[0].card) not in told and alone.charges[0].card not in told
    both = await read(writer, due(MailKind.PAID, with_gift_card(total=9_000)))
    names = [one.get_filename() for one in both.iter_attachments()]
    assert names == ["tickets-1001.pdf", "gift-cards-1001.pdf", "calendar-1001.ics"]
    fetched = with_gift_card(lines=(), delivery=Delivery.BOX_OFFICE)
    assert not list((await read(writer, due(MailKind.PAID, fetched))).iter_attachments())


async def test_tickets_that_come_another_way_are_not_attached(writer: Letters) -> None:
    for delivery, said in ((Delivery.POST, "by post"), (Delivery.BOX_OFFICE, "box office")):
        message = await read(writer, due(MailKind.PAID, order(delivery=delivery)))
        assert [one.get_content_type() for one in message.iter_attachments()] == ["text/calendar"]
        assert said in words(message)


async def test_tickets_too_large_for_a_mailbox_are_fetched(
    writer: Letters, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "MAX_ATTACHED_BYTES", 1_000)
    message = await read(writer, due(MailKind.PAID, order()))
    assert [one.get_content_type() for one in message.iter_attachments()] == ["text/calendar"]
    assert "fetch them" in words(message)


async def test_a_reservation_says_how_and_until_when_to_pay(
    writer: Letters, catalogue: FakeCatalogue
) -> None:
    house = catalogue.the_house
    assert house is not None
    bank = {"bank_account": "IBAN FR76 3000 6000 0112 3456 7890 189"}
    catalogue.the_house = structs.replace(house, settings=house.settings | bank)
    deposit = structs.replace(PAYMENT, captured=1_000, amount=1_000)
    said = words(
        await read(writer, due(MailKind.RESERVED, structs.replace(RESERVED, payments=(deposit,))))
    )
    assert "To pay: €30.00" in said and "Paid: €10.00" in said
    assert "10 December 2026" in said and "20:00" in said
    assert "bank transfer" in said and bank["bank_account"] in said
    pick_up = structs.replace(RESERVED, terms=Terms(TermsKind.PICK_UP, until_ms=EVENING_MS))
    said = words(await read(writer, due(MailKind.REMINDER, pick_up, "1")))
    assert "box office" in said and bank["bank_account"] not in said


async def test_a_refund_says_what_how_much_and_which_way(writer: Letters) -> None:
    said = words(await read(writer, due(MailKind.REFUNDED, PART, "r1")))
    assert "The Miser" in said
    assert "Tartuffe" not in said.partition("\n")[2].partition("Order:")[0]
    assert "€20.00 to the card or account" in said and "€5.00 in cash" in said
    failed = structs.replace(PAYMENT, refunds=(Refund("r1", 2_000, RefundState.FAILED),))
    said = words(await read(writer, due(MailKind.REFUNDED, order(payments=(failed,)), "r1")))
    assert "Your tickets stay as they are" in said and "contacts you" in said
    card = "ABCDEFGHJKLMNPQR"
    credit = Charge(1, "credit", 1_500, "credit", state=LineState.SOLD, refund="r1", card=card)
    kept = structs.replace(credit, kind="return", amount=500, card="")
    told = due(MailKind.REFUNDED, structs.replace(PART, payments=(), charges=(credit, kept)), "r1")
    said = words(await read(writer, told))
    assert "€15.00 as a credit" in said and spaced(card) in said and "€5.00 is kept" in said
    deposit = structs.replace(ENDED, state=OrderState.CANCELLED, payments=(CASH_BACK,))
    said = words(await read(writer, due(MailKind.CANCELLED, deposit)))
    assert "cancelled" in said and "€5.00 in cash" in said
    said = words(await read(writer, due(MailKind.FAILED, structs.replace(ENDED, payments=()))))
    assert "You have paid nothing" in said


async def test_a_cancelled_performance_is_told_alone_with_what_goes_back(writer: Letters) -> None:
    async def said(of: Order) -> str:
        return words(await read(writer, due(MailKind.CALLED_OFF, of, "cancelled-1")))

    back = await said(CALLED_OFF)
    assert "will not take place" in back and "fees included" in back
    assert "€20.00 to the card or account" in back
    assert "The Miser" in back and "Tartuffe" not in back
    assert "other performances stay" in back
    free = structs.replace(CALLED_OFF, payments=())
    assert "nothing to pay back" in await said(free)
    card = "ABCDEFGHJKLMNPQR"
    credit = Charge(
        1, "credit", 1_500, "credit", state=LineState.SOLD, refund="cancelled-1", card=card
    )
    credited = structs.replace(free, charges=(credit,))
    assert "€15.00 as a credit" in await said(credited) and spaced(card) in await said(credited)
    reserved = structs.replace(
        RESERVED,
        lines=(structs.replace(RESERVED.lines[0], state=LineState.CANCELLED), RESERVED.lines[1]),
        refunds=(_CANCELLED,),
    )
    assert "reservation for it is cancelled" in await said(reserved)
    left = await said(structs.replace(order(), refunds=()))
    assert "ask the box office" in left and "admit nobody" not in left


async def test_a_digest_sums_a_day_by_performance(writer: Letters) -> None:
    message = await read(writer, due(MailKind.DIGEST, None, "7", "sales@house.example"))
    assert message["To"] == "sales@house.example"
    said = words(message)
    assert "10 décembre 2026" in said and "The Miser (fr)" in said and "Tartuffe (fr)" in said
    assert "1 place, 20,00" in said and "12 places, 20,00" in said
    assert "2 places rendues, -40,00" in said
    with pytest.raises(Refused, match="no closed day 8"):
        await writer.compose(due(MailKind.DIGEST, None, "8", "sales@house.example"))


# What somebody typed --------------------------------------------------------------


@pytest.mark.parametrize("kind", EVERY_KIND)
async def test_names_and_titles_stay_where_they_are_put(
    writer: Letters, catalogue: FakeCatalogue, kind: MailKind
) -> None:
    assert catalogue.the_house is not None
    catalogue.the_house = structs.replace(catalogue.the_house, name=EVIL)
    production = catalogue.productions[1]
    evil = structs.replace(production, titles={"fr": EVIL, "en": EVIL})
    for entry in catalogue.performances.values():
        entry.production = evil
    of, cause = EVERY_KIND[kind]
    of = structs.replace(of, buyer=Buyer(EVIL, "ada@house.example", "fr"))
    message = await read(writer, due(kind, of, cause))
    assert message["Bcc"] is None
    for name, value in message.items():
        assert "\n" not in value and "\u202e" not in value, name
    assert len(message["Subject"]) <= 120
    assert "<script" not in words(message, "html")
    for one in message.iter_attachments():
        if one.get_content_type() == "text/calendar":
            for event in Calendar.from_ical(one.get_content()).walk("VEVENT"):
                assert set(event) == {
                    *("UID", "DTSTAMP", "DTSTART", "SUMMARY", "LOCATION", "DESCRIPTION", "URL")
                }


@pytest.mark.parametrize(
    "address",
    ["ada", "ada@house.example\r\nBcc: eve@evil.example", "ada@house.example, eve@x.example"],
)
async def test_what_is_no_address_is_refused_for_good(writer: Letters, address: str) -> None:
    of = order(buyer=Buyer("Ada", address, "en"))
    with pytest.raises(Refused):
        await writer.compose(due(MailKind.PAID, of))


async def test_a_domain_in_other_letters_is_encoded(writer: Letters) -> None:
    of = order(buyer=Buyer("Ada", " ada@théâtre.example ", "en"))
    composed = await writer.compose(due(MailKind.PAID, of))
    assert composed.recipient.isascii()
    domain = composed.recipient.removeprefix("ada@")
    assert domain.encode().decode("idna") == "théâtre.example"


async def test_the_installation_joins_what_writes_mails(catalogue: FakeCatalogue) -> None:
    from engine.actors.wiring import Settings, _letters

    class Catalogue(FakeCatalogue):
        async def house(self) -> Any:
            made = structs.asdict(catalogue.the_house)  # type: ignore[arg-type]
            return SimpleNamespace(**made, ticket_seed=bytes(32))

    kept = Catalogue()
    kept.__dict__ |= catalogue.__dict__
    store: Any = SimpleNamespace(catalogue=kept, sales=FakeSales(MemoryOrders()), ledger=Books())
    told = Settings("", "", 0, "https://house.example", mail_from="tickets@house.example")
    composed = await _letters(store, told)(due(MailKind.PAID, order()))
    assert composed.sender == "tickets@house.example"
    assert f"https://house.example/o/{ID}".encode() in composed.body.replace(b"=\r\n", b"")
