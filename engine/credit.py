"""Store credit: money that a house keeps for whoever has its code.

Owns codes and what a changed order moves on a credit: a refund to credit opens one, and so does a
gift card that is paid; a payment takes from one, money that such a payment gives back returns to
it, and a gift card that is given back takes its own again. Who keeps the balances is
`persistence.credit`'s, in the transaction that saves the order: no order is ever paid with
credit that is not there, and no credit is given twice.

A code is a bearer's: 16 letters and digits without those that are mistaken for others, of which
75 bits are drawn and the last letter checks the others.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from msgspec import Struct

from engine.orders import ChargeKind, LineState, Order
from engine.payments import Payment, PaymentMethod

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Douglas Crockford's base 32 (crockford.com/base32.html): no I, L, O, U."""
CODE_CHARS: Final = 16
CODE_BYTES: Final = 10
"""Random bytes that a code is made of; of its 80 bits the last five give way to the check."""
SHOWN_CHARS: Final = 4
"""The end of a code, by which people may tell credits apart without being able to spend them."""

_VALUES: Final = {letter: value for value, letter in enumerate(ALPHABET)} | {
    "I": 1,
    "L": 1,
    "O": 0,
}
_PRIME: Final = 31


GIFT_CARD: Final = ChargeKind.GIFT_CARD.value


class Credit(Struct, frozen=True):
    """What is there: `balance` in minor units. `order` is the number of the one that opened it."""

    code: str
    currency: str
    balance: int
    order: int = 0
    opened_ms: int = 0


class CreditMove(NamedTuple):
    """Money that comes to a credit (+) or is taken from it (-), in minor units.

    `opens`: the credit is made by this. `ref` says why: the refund, the payment attempt, or
    GIFT_CARD.
    """

    code: str
    amount: int
    ref: str
    opens: bool = False


class MoveRow(Struct, frozen=True):
    """A move as it is kept. `order` is a number, `amount` minor units."""

    order: int
    amount: int
    ref: str
    at_ms: int


class CreditView(Struct, frozen=True):
    """A credit and its latest moves, the last first."""

    credit: Credit
    moves: tuple[MoveRow, ...]


class CreditRefused(Exception):
    """Orders that would take more from a credit than there is. Nothing was saved."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(f"credit is too small for orders {', '.join(id[:8] for id in ids)}")
        self.ids = tuple(ids)


# Codes ---------------------------------------------------------------------------


def code_of(drawn: bytes) -> str:
    """The code that these CODE_BYTES random bytes make."""
    bits = int.from_bytes(drawn, "big") >> 5
    letters = [ALPHABET[bits >> shift & 31] for shift in range(70, -1, -5)]
    return "".join(letters) + _check(letters)


def read_code(text: str) -> str:
    """The code that somebody typed, however they spaced it; "" when it is none."""
    letters = []
    for char in text.upper():
        if char.isspace() or char == "-":
            continue
        value = _VALUES.get(char)
        if value is None:
            return ""
        letters.append(ALPHABET[value])
    if len(letters) != CODE_CHARS or _check(letters[:-1]) != letters[-1]:
        return ""
    return "".join(letters)


def spaced(code: str) -> str:
    """As people read it."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))


def masked(code: str) -> str:
    """What may be shown to whoever need not spend it."""
    return f"…{code[-SHOWN_CHARS:]}"


def _check(letters: Sequence[str]) -> str:
    # With weights below a prime that is no divisor of them, one wrong letter (but for those two
    # whose values are alike in it) and two that changed places are seen.
    total = sum(weight * _VALUES[letter] for weight, letter in enumerate(letters, 1))
    return ALPHABET[total % _PRIME]


def credits_of(order: Order) -> list[tuple[str, int]]:
    """The credits that an order opened: their codes, and what was on each, in minor units."""
    return [(one.card, one.amount) for one in order.charges if one.kind == ChargeKind.CREDIT]


# What a changed order moves ------------------------------------------------------


def moves_of(before: Order | None, after: Order) -> list[CreditMove]:
    """What happened to credits between two states of an order.

    As with `engine.ledger.facts_of`, the sums are the same however the order came there.
    """
    return [*_opened(before, after), *_taken_back(before, after), *_paid(before, after)]


def _opened(before: Order | None, after: Order) -> Iterator[CreditMove]:
    known = {one.number: one.state for one in before.charges} if before is not None else {}
    for one in after.charges:
        if one.state is not LineState.SOLD or known.get(one.number) is LineState.SOLD:
            continue
        if one.kind == ChargeKind.CREDIT:
            yield CreditMove(one.card, one.amount, one.refund, opens=True)
        elif one.kind == ChargeKind.GIFT_CARD and one.amount > 0:
            yield CreditMove(one.card, one.amount, GIFT_CARD, opens=True)


def _taken_back(before: Order | None, after: Order) -> Iterator[CreditMove]:
    """With the wish for a refund, before it is carried out: what is to be given back cannot be
    spent meanwhile, and a refund of what was spent is refused."""
    known = {one.id for one in before.refunds} if before is not None else set()
    codes = {one.number: one.card for one in after.charges}
    for refund in after.refunds:
        if refund.id not in known:
            for number, amount in refund.gift_cards:
                yield CreditMove(codes[number], -amount, refund.id)


def _paid(before: Order | None, after: Order) -> Iterator[CreditMove]:
    known = {one.id: one for one in before.payments} if before is not None else {}
    for one in after.payments:
        if one.method is not PaymentMethod.STORE_CREDIT:
            continue
        was = known.get(one.id)
        taken = _taken(one) - (0 if was is None else _taken(was))
        if taken:
            yield CreditMove(one.reference, -taken, one.id.rpartition("-")[2])


def _taken(payment: Payment) -> int:
    return payment.captured - payment.refunded
