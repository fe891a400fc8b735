"""Which mails a step of an order causes: one row a step."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.commands import Channel
from engine.mail_server import MailServer, parse_mail_server
from engine.mails import (
    GIVE_UP_MS,
    MAX_TRIES_KEPT,
    WAITS_MS,
    Due,
    Mail,
    MailKind,
    is_address,
    key_of,
    mails_of,
    message_id,
    still_true,
    wait_ms,
)
from engine.orders import (
    TRANSITIONS,
    Buyer,
    Charge,
    LineState,
    Order,
    OrderExchange,
    OrderHold,
    OrderLine,
    OrderRefund,
    OrderReissue,
    OrderState,
    Terms,
    TermsKind,
)
from engine.payments import Payment, PaymentMethod, Refund, RefundState, Standing

ORDER = Order(
    id="a" * 32,
    number=1_001,
    state=OrderState.OPEN,
    channel=Channel.WEB,
    currency="EUR",
    total=2_000,
    created_ms=0,
    expires_ms=900_000,
    buyer=Buyer("Ada", "ada@house.example", "fr"),
    operator="",
    session="s",
    holds=(OrderHold(1, "ab" * 16, ()),),
    lines=(OrderLine(1, 1, 3, -1, "full", 2_000),),
)
S = OrderState
PAID, SALE = Mail(MailKind.PAID), Mail(MailKind.SALE)
FAILED = Mail(MailKind.FAILED)
MONEY = Payment("p", ORDER.id, PaymentMethod.CASH, 2_000, "EUR", captured=2_000)


EXCHANGE = OrderExchange("x1", (1,), (2,), ORDER.holds[0], S.PAID, "", 1, 2)


def at(state: OrderState, **changes: Any) -> Order:
    return structs.replace(ORDER, state=state, **changes)


def waiting(reminded: int = 0) -> Order:
    return at(S.AWAITING_PAYMENT, terms=Terms(TermsKind.INVOICE, reminders=3, reminded=reminded))


STEPS: list[tuple[str, Order | None, Order, list[Mail]]] = [
    ("placed", None, at(S.OPEN), []),
    ("placed and paid at once, or nothing to pay", None, at(S.SELLING), []),
    ("sold at once", None, at(S.PAID), [PAID, SALE]),
    ("paid", at(S.OPEN), at(S.SELLING), []),
    ("sold", at(S.SELLING), at(S.PAID), [PAID, SALE]),
    ("saved again", at(S.PAID), at(S.PAID), []),
    ("a basket given up", at(S.OPEN), at(S.CANCELLED), []),
    ("a basket's time over", at(S.OPEN), at(S.EXPIRED), []),
    ("reserved", at(S.SELLING), waiting(), [Mail(MailKind.RESERVED)]),
    ("to be approved", at(S.SELLING), at(S.AWAITING_APPROVAL), [Mail(MailKind.AWAITING_APPROVAL)]),
    ("approved", at(S.AWAITING_APPROVAL), waiting(), [Mail(MailKind.RESERVED)]),
    ("declined", at(S.AWAITING_APPROVAL), at(S.CANCELLED), [Mail(MailKind.CANCELLED)]),
    ("not approved in time", at(S.AWAITING_APPROVAL), at(S.EXPIRED), [Mail(MailKind.EXPIRED)]),
    ("reminded", waiting(), waiting(1), [Mail(MailKind.REMINDER, "1")]),
    ("reminded again", waiting(1), waiting(2), [Mail(MailKind.REMINDER, "2")]),
    ("a part paid", waiting(1), structs.replace(waiting(1), payments=(MONEY,)), []),
    ("reservation given up", waiting(), at(S.CANCELLED), [Mail(MailKind.CANCELLED)]),
    ("terms over", waiting(), at(S.EXPIRED), [Mail(MailKind.EXPIRED)]),
    (
        "given up with money in it",
        waiting(),
        at(S.CANCELLED, payments=(MONEY,)),
        [Mail(MailKind.CANCELLED)],
    ),
    ("which goes back", at(S.CANCELLED, payments=(MONEY,)), at(S.FAILED), [FAILED]),
    ("money after the end", at(S.EXPIRED), at(S.FAILED), [FAILED]),
    ("the reserved one paid", waiting(), at(S.SELLING), []),
    ("seats lost, money back", at(S.SELLING), at(S.FAILED), [FAILED]),
    ("seats lost, no money", at(S.SELLING), at(S.EXPIRED), [FAILED]),
    ("the money is back", at(S.FAILED), at(S.REFUNDED), []),
    *[
        (f"to be exchanged, {state}", at(state), at(S.EXCHANGING, exchanges=(EXCHANGE,)), [])
        for state in (S.PAID, S.PART_REFUNDED, S.EXCHANGED)
    ],
    (
        "exchanged",
        at(S.EXCHANGING, exchanges=(EXCHANGE,)),
        at(S.EXCHANGED, exchanges=(structs.replace(EXCHANGE, done=True),)),
        [Mail(MailKind.EXCHANGED, "x1")],
    ),
    *[
        (
            f"not exchanged, {state}",
            at(S.EXCHANGING, exchanges=(EXCHANGE,)),
            at(state, exchanges=(structs.replace(EXCHANGE, done=True, refused="expired"),)),
            [],
        )
        for state in (S.PAID, S.PART_REFUNDED)
    ],
]


@pytest.mark.parametrize(
    ("before", "after", "mails"), [row[1:] for row in STEPS], ids=[row[0] for row in STEPS]
)
def test_a_step_causes_its_mails(before: Order | None, after: Order, mails: list[Mail]) -> None:
    assert mails_of(before, after) == mails
    # Whoever left no address is told nothing; the house is told all the same.
    nobody = structs.replace(after, buyer=Buyer("Ada", " "))
    assert mails_of(before, nobody) == [mail for mail in mails if mail.kind is MailKind.SALE]


def test_the_table_has_every_transition_of_an_order() -> None:
    known = {(before.state if before else None, after.state) for _, before, after, _ in STEPS}
    refunds = {S.PART_REFUNDED, S.REFUNDED}  # below
    missing = [
        one
        for one in TRANSITIONS
        if (one.start, one.end) not in known
        and one.end not in refunds
        and (one.start, one.end) not in {(S.AWAITING_APPROVAL, S.SELLING), (S.OPEN, S.SELLING)}
    ]
    assert [one for one in missing if (one.start, one.end) != (S.CANCELLED, S.FAILED)] == []


def refund(id: str, *lines: int, done: bool = True, refused: str = "") -> OrderRefund:
    undone = () if refused or not done else lines
    return OrderRefund(id, lines, "ill", "ada", 1, done, undone, refused)


def paid_back(*keys: str) -> Payment:
    back = tuple(Refund(key, 500, RefundState.REQUESTED) for key in keys)
    return structs.replace(MONEY, standing=Standing.CONFIRMED, refunds=back)


@pytest.mark.parametrize(
    ("before", "after", "causes"),
    [
        ((), (refund("r1", 1, done=False),), []),
        ((refund("r1", 1, done=False),), (refund("r1", 1),), ["r1"]),
        ((refund("r1", 1),), (refund("r1", 1),), []),
        ((refund("r1", 1),), (refund("r1", 1), refund("r2", 2)), ["r2"]),
        ((), (refund("r1", 1, refused="ticket_used"),), []),
    ],
)
def test_each_refund_is_told_once_when_it_is_done(
    before: tuple[OrderRefund, ...], after: tuple[OrderRefund, ...], causes: list[str]
) -> None:
    told = mails_of(at(S.PAID, refunds=before), at(S.PART_REFUNDED, refunds=after))
    assert told == [Mail(MailKind.REFUNDED, cause) for cause in causes]


def test_a_cancelled_performance_is_told_instead_of_its_refund_or_the_end() -> None:
    asked = structs.replace(refund("cancelled-1", 1, done=False), called_off=True)
    done = structs.replace(refund("cancelled-1", 1), called_off=True)
    told = [Mail(MailKind.CALLED_OFF, "cancelled-1")]
    before, after = at(S.PAID, refunds=(asked,)), at(S.REFUNDED, refunds=(done,))
    assert mails_of(before, after) == told
    assert mails_of(after, after) == []
    before = structs.replace(waiting(), refunds=(asked,))
    assert mails_of(before, at(S.CANCELLED, refunds=(done,))) == told
    nobody = structs.replace(after, buyer=Buyer())
    assert mails_of(at(S.PAID), nobody) == []


def test_new_tickets_are_told_once_when_there_are_some() -> None:
    asked = OrderReissue("n1", (1,), "ada", 1)
    before = at(S.PAID, reissues=(asked,))
    lines = (structs.replace(ORDER.lines[0], version=1),)
    after = at(S.PAID, lines=lines, reissues=(structs.replace(asked, done=True),))
    assert mails_of(at(S.PAID), before) == []
    assert mails_of(before, after) == [Mail(MailKind.REISSUED, "n1")]
    assert mails_of(after, after) == []
    refused = structs.replace(before, reissues=(structs.replace(asked, done=True, refused="x"),))
    assert mails_of(before, refused) == []


def test_a_refund_of_money_alone_is_told_too() -> None:
    before = at(S.PAID)
    after = at(S.PAID, refunds=(refund("r1"),), payments=(paid_back("r1"),))
    assert mails_of(before, after) == [Mail(MailKind.REFUNDED, "r1")]
    credit = Charge(1, "credit", 500, "credit", state=LineState.SOLD, refund="r1", card="c")
    after = at(S.PART_REFUNDED, refunds=(refund("r1"),), charges=(credit,))
    assert mails_of(before, after) == [Mail(MailKind.REFUNDED, "r1")]


def test_steps_that_are_saved_as_one_lose_no_ticket_and_no_refund() -> None:
    line = structs.replace(ORDER.lines[0], state=LineState.SOLD)
    after = at(S.PART_REFUNDED, lines=(line,), refunds=(refund("r1", 2),))
    assert mails_of(at(S.SELLING), after) == [PAID, Mail(MailKind.REFUNDED, "r1"), SALE]


WITH_TICKETS = {S.PAID, S.PART_REFUNDED, S.EXCHANGING, S.EXCHANGED}


@pytest.mark.parametrize(
    ("kind", "states"),
    [
        (MailKind.PAID, WITH_TICKETS),
        (MailKind.TICKETS, WITH_TICKETS),
        (MailKind.REISSUED, WITH_TICKETS),
        (MailKind.EXCHANGED, WITH_TICKETS),
        (MailKind.RESERVED, {S.AWAITING_PAYMENT}),
        (MailKind.REMINDER, {S.AWAITING_PAYMENT}),
        (MailKind.AWAITING_APPROVAL, {S.AWAITING_APPROVAL}),
        (MailKind.CANCELLED, {S.CANCELLED, S.EXPIRED}),
        (MailKind.EXPIRED, {S.CANCELLED, S.EXPIRED}),
        (MailKind.FAILED, set(S)),
        (MailKind.REFUNDED, set(S)),
        (MailKind.CALLED_OFF, set(S)),
        (MailKind.SALE, set(S)),
        (MailKind.DIGEST, set(S)),
    ],
)
def test_a_mail_that_waited_is_sent_while_it_is_true(kind: MailKind, states: set[S]) -> None:
    assert {state for state in S if still_true(Mail(kind), at(state))} == states


# One mail ------------------------------------------------------------------------


def test_keys_tell_mails_apart() -> None:
    keys = {
        key_of(number, Mail(kind, cause), recipient)
        for number in (1, 11)
        for kind in MailKind
        for cause in ("", "1", "1/1")
        for recipient in ("", "1")
    }
    assert len(keys) == 2 * len(MailKind) * 3 * 2


def test_the_message_id_is_that_of_the_mail_and_of_no_other_house() -> None:
    due = Due(7, "1001/paid//", MailKind.PAID, "", "", ORDER, 1, 5, 5, 9, False)
    later = structs.replace(due, attempts=4, since_ms=9, until_ms=20, again=True)
    assert message_id(due, "house.example") == message_id(later, "house.example")
    elsewhere = structs.replace(due, order=structs.replace(ORDER, id="b" * 32))
    after_a_way_back = structs.replace(due, created_ms=6)
    others = {message_id(one, "house.example") for one in (due, elsewhere, after_a_way_back)}
    assert len(others) == 3
    # The order's id opens its page: it is in no header.
    assert ORDER.id not in message_id(due, "house.example")


@pytest.mark.parametrize(
    "text",
    ["ada@house.example", "a.b+c@sub.house.example", "o'neil@house.example", "ada@théâtre.example"],
)
def test_addresses(text: str) -> None:
    assert is_address(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "ada", "ada@", "@house.example", "ada@house", "a da@house.example"),
        *("ada@house..example", ".ada@house.example", "ada.@house.example", "a..b@house.example"),
        *("ada@.example", "ada@house.example\n", "ada@house.example\r\nBcc: eve@evil.example"),
        *("a@b.example, c@d.example", "Ada <ada@house.example>", '"a b"@house.example'),
        *("ada@[127.0.0.1]", "élise@house.example", "a" * 250 + "@house.example"),
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert not is_address(text)


@given(st.text() | st.text("a@.\r\n<>, "))
def test_an_address_is_one_line_and_one_address(text: str) -> None:
    if is_address(text):
        assert text.count("@") == 1 and len(text.splitlines()) == 1
        assert not set(text) & set(' ,;<>"()\r\n')


def test_attempts_come_ever_more_slowly_and_all_their_reasons_are_kept() -> None:
    waits = [wait_ms(attempts) for attempts in range(1, 40)]
    assert waits == sorted(waits) and waits[0] == 60_000 and waits[-1] == WAITS_MS[-1]
    total, attempts = 0, 0
    while total <= GIVE_UP_MS:
        attempts += 1
        total += wait_ms(attempts)
    assert attempts < MAX_TRIES_KEPT


# The server's address ------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("smtp://mail.example", MailServer("smtp", "mail.example", 587)),
        ("smtps://mail.example", MailServer("smtps", "mail.example", 465)),
        ("smtp+plain://relay:1025", MailServer("smtp+plain", "relay", 1025)),
        ("smtp+plain://relay", MailServer("smtp+plain", "relay", 25)),
        (
            "smtp://me%40house.example:p%2Fw%3A@mail.example:2525/",
            MailServer("smtp", "mail.example", 2525, "me@house.example", "p/w:"),
        ),
    ],
)
def test_server_addresses(url: str, server: MailServer) -> None:
    assert parse_mail_server(url) == server


@pytest.mark.parametrize(
    "url",
    [
        *("", "mail.example", "http://mail.example", "smtp://", "smtp://mail.example:port"),
        *("smtp://mail.example:70000", "smtp://me@mail.example", "smtp://mail.example/path"),
        *("smtp+plain://me:pw@relay", "smtp://mail.example?tls=never"),
    ],
)
def test_what_is_no_server_address_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError) as caught:
        parse_mail_server(url)
    assert "pw" not in str(caught.value)
