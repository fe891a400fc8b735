"""Mails: which ones a changed order causes, and what becomes of one that waits to be sent.

Owns the kinds, the key under which a mail is there once only, whether a mail still tells the
truth when its turn comes, and how long is waited between two attempts. What a mail says is
`gateway.letters`', how it is kept `persistence.mails`'.

    MailError
    +-- Unreached    the server: nobody's mail can be handed over now
    +-- Deferred     this mail not now: the same way again later
    +-- Refused      this mail never: asking again will not help
    +-- Unknown      handed over, and the answer lost: perhaps it arrives
"""

import re
from collections.abc import Iterator
from enum import StrEnum
from hashlib import blake2b
from typing import Final

from msgspec import Struct

from engine.orders import GIVEN_UP, RESERVED_STATES, TICKETED_STATES, Order, OrderState

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS
WAITS_MS: Final = (
    *(MINUTE_MS, 5 * MINUTE_MS, 15 * MINUTE_MS, 30 * MINUTE_MS),
    *(HOUR_MS, 2 * HOUR_MS, 4 * HOUR_MS),
)
"""After the first attempt, the second...; the last is the pause between all that follow."""
GIVE_UP_MS: Final = 4 * DAY_MS
"""A mail that nobody took for this long is given up: RFC 5321, 4.5.4.1, asks for four days."""
KEPT_MS: Final = 180 * DAY_MS
"""That a mail was sent, or why not, can be looked up for this long."""
MAX_TRIES_KEPT: Final = 50
"""Attempts whose reasons are kept, the latest: more than there are in GIVE_UP_MS."""
MAX_REASON_CHARS: Final = 300
MAX_ADDRESS_CHARS: Final = 254


class MailKind(StrEnum):
    """What a mail tells. The last two go to the house, all others to the buyer."""

    PAID = "paid"  # with the tickets
    TICKETS = "tickets"  # the tickets once more, because somebody of the house said so
    REISSUED = "reissued"  # new tickets, and those before admit nobody any more
    EXCHANGED = "exchanged"  # all tickets as they are now; those that were given admit nobody
    RESERVED = "reserved"  # how to pay, and until when
    AWAITING_APPROVAL = "awaiting_approval"
    REMINDER = "reminder"
    CANCELLED = "cancelled"  # a reservation was given up
    EXPIRED = "expired"  # the terms of a reservation are over
    FAILED = "failed"  # nothing is sold; what was paid goes back
    REFUNDED = "refunded"  # what, how much, and by which way
    CALLED_OFF = "called_off"  # a performance is cancelled, and what goes back for it
    SALE = "sale"
    DIGEST = "digest"  # the sales of a day, by performance


WITH_TICKETS: Final = (MailKind.PAID, MailKind.TICKETS, MailKind.REISSUED, MailKind.EXCHANGED)
TO_HOUSE: Final = (MailKind.SALE, MailKind.DIGEST)


class MailState(StrEnum):
    """WAITING and SENDING are to be sent; the others are the end."""

    WAITING = "waiting"
    SENDING = "sending"  # somebody is at it, until its lease is over
    SENT = "sent"  # a server has taken it
    FAILED = "failed"  # refused, or given up
    DROPPED = "dropped"  # it was no longer true when its turn came


class Mail(Struct, frozen=True):
    """A mail to be sent. `cause` tells two of one kind and one order apart."""

    kind: MailKind
    cause: str = ""


class Due(Struct, frozen=True):
    """A mail whose turn it is. `order` is as it is stored now; None for a digest.

    `recipient` is "" for the order's buyer. `attempts` counts this one, `until_ms` is when its
    lease ends, which proves the claim. `again`: an earlier attempt ended nobody knows how.
    """

    id: int
    key: str
    kind: MailKind
    cause: str
    recipient: str
    order: Order | None
    attempts: int
    created_ms: int
    since_ms: int
    until_ms: int
    again: bool


class Try(Struct, array_like=True, frozen=True):
    """An attempt that did not end with a mail on its way: when, and why."""

    at_ms: int
    reason: str


class MailRow(Struct, frozen=True):
    """A mail as it is looked up. `recipient` is the address, "" where the order has none now.

    `due_ms` is when it is tried next, 0 for one that has ended; `order` is the order's id.
    """

    id: int
    kind: MailKind
    cause: str
    order_number: int
    order: str
    recipient: str
    state: MailState
    created_ms: int
    due_ms: int
    ended_ms: int
    attempts: int
    tries: tuple[Try, ...]


class Composed(Struct, frozen=True):
    """A mail ready for its server: the addresses of its envelope, and its bytes (CRLF)."""

    sender: str
    recipient: str
    message_id: str
    body: bytes


class MailError(Exception):
    """A mail was not handed over; the text says why, in the server's words where it has any."""


class Unreached(MailError):
    """The server was not reached, or does not want us: no mail can be handed over now."""


class Deferred(MailError):
    """Not now: the same mail may be handed over later."""


class Refused(MailError):
    """Never: the server says no for good, or there is nobody to send it to."""


class Unknown(MailError):
    """The server had the whole mail, and its answer was lost: perhaps it is delivered."""


# What a changed order causes -----------------------------------------------------


def mails_of(before: Order | None, after: Order) -> list[Mail]:
    """What the buyer and the house are to be told of a change of an order.

    A step that is saved twice, or told in two, causes the same mails: their keys are the same.
    To the buyer only where there is an address; an order that was never more than a basket ends
    without a word.
    """
    mails = list(_to_buyer(before, after)) if after.buyer.email.strip() else []
    if _became_sold(before, after):
        mails.append(Mail(MailKind.SALE))
    return mails


def _to_buyer(before: Order | None, after: Order) -> Iterator[Mail]:
    was = before.state if before is not None else None
    known = {one.id for one in before.refunds if one.done} if before is not None else set()
    refunds = [one for one in after.refunds if one.done and one.id not in known]
    if _became_sold(before, after):
        yield Mail(MailKind.PAID)
    if after.state is not was:
        if after.state is OrderState.AWAITING_APPROVAL:
            yield Mail(MailKind.AWAITING_APPROVAL)
        if after.state is OrderState.AWAITING_PAYMENT:
            yield Mail(MailKind.RESERVED)
        if after.state is OrderState.FAILED or (
            after.state is OrderState.EXPIRED and was is OrderState.SELLING
        ):
            yield Mail(MailKind.FAILED)
        elif (
            after.state in GIVEN_UP
            and was in RESERVED_STATES
            and not any(one.called_off for one in refunds)
        ):
            yield Mail(MailKind(after.state.value))
    reminders = _reminded(after)
    if after.state is OrderState.AWAITING_PAYMENT and reminders > _reminded(before):
        yield Mail(MailKind.REMINDER, str(reminders))
    for refund in refunds:
        if _gave_back(after, refund.id):
            kind = MailKind.CALLED_OFF if refund.called_off else MailKind.REFUNDED
            yield Mail(kind, refund.id)
    known = {one.id for one in before.reissues if one.done} if before is not None else set()
    for reissue in after.reissues:
        if reissue.done and reissue.id not in known and _versions(after) != _versions(before):
            yield Mail(MailKind.REISSUED, reissue.id)
    known = {one.id for one in before.exchanges if one.done} if before is not None else set()
    for exchange in after.exchanges:
        if exchange.done and exchange.id not in known and not exchange.refused:
            yield Mail(MailKind.EXCHANGED, exchange.id)


def _became_sold(before: Order | None, after: Order) -> bool:
    had_tickets = (*TICKETED_STATES, OrderState.REFUNDED)
    return after.state in TICKETED_STATES and (before is None or before.state not in had_tickets)


def _reminded(order: Order | None) -> int:
    return order.terms.reminded if order is not None and order.terms is not None else 0


def _versions(order: Order | None) -> dict[int, int]:
    return {line.number: line.version for line in order.lines} if order is not None else {}


def _gave_back(order: Order, refund: str) -> bool:
    """The refund ended places, or gives money or credit back."""
    if any(one.id == refund and one.undone for one in order.refunds):
        return True
    if any(one.refund == refund for one in order.charges):
        return True
    return any(back.key == refund for payment in order.payments for back in payment.refunds)


def still_true(mail: Mail, order: Order) -> bool:
    """A mail that had to wait is not sent when it has become wrong."""
    match mail.kind:
        case kind if kind in WITH_TICKETS:
            return order.state in TICKETED_STATES
        case MailKind.RESERVED | MailKind.REMINDER:
            return order.state is OrderState.AWAITING_PAYMENT
        case MailKind.AWAITING_APPROVAL:
            return order.state is OrderState.AWAITING_APPROVAL
        case MailKind.CANCELLED | MailKind.EXPIRED:
            # One that turned out to owe money back is FAILED: that mail says it all.
            return order.state in GIVEN_UP
    return True


# One mail ------------------------------------------------------------------------


def key_of(order: int, mail: Mail, recipient: str = "") -> str:
    """Under which it is kept, once."""
    return "/".join([str(order), mail.kind.value, mail.cause, recipient])


def message_id(due: Due, domain: str) -> str:
    """The same in every attempt, and in no other installation's mails: some mailboxes show the
    second mail of one Message-ID to nobody."""
    subject = due.order.id if due.order is not None else ""
    text = f"{subject}/{due.key}/{due.created_ms}".encode()
    return f"<{due.kind.value}.{blake2b(text, digest_size=16).hexdigest()}@{domain}>"


_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_ADDRESS: Final = re.compile(rf"{_ATOM}(\.{_ATOM})*@[\w-]+(\.[\w-]+)+")
"""RFC 5322's dot-atom, and a domain, perhaps with letters that IDNA encodes."""


def is_address(text: str) -> bool:
    """Could a mail be sent there? One plain address: no spaces, quotes, comments or lists."""
    return len(text) <= MAX_ADDRESS_CHARS and _ADDRESS.fullmatch(text) is not None


def wait_ms(attempts: int) -> int:
    """The pause after so many attempts."""
    return WAITS_MS[min(attempts, len(WAITS_MS)) - 1]
