"""Gift cards: credits that somebody buys, for somebody else perhaps.

Owns what may be bought, and what a gift card is of an order: a charge of its own, whose code opens
a credit once the order is paid, and never before. Money for one is kept for whoever has the code:
the house earns it, and owes VAT for it, when it is spent. What is spent is `engine.credit`'s.
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.ledger import NO_TAX
from engine.orders import Charge, ChargeKind, LineState, Order
from engine.payments import PaymentMethod, Standing

MIN_AMOUNT: Final = 500
MAX_AMOUNT: Final = 100_000
"""Minor units: 5 to 1,000 of a currency with cents."""
MAX_PER_ORDER: Final = 20


class GiftCard(Struct, frozen=True):
    """One that an order has. `number` is that of its charge, `left` what was not taken back.

    Whether anything was spent of it only its credit knows.
    """

    number: int
    code: str
    amount: int
    left: int
    state: LineState


def malformed_amounts(amounts: Sequence[int]) -> str:
    """What is wrong with gift cards that are asked for, "" for nothing."""
    if len(amounts) > MAX_PER_ORDER:
        return f"gift_cards: {MAX_PER_ORDER} at most"
    if any(not MIN_AMOUNT <= amount <= MAX_AMOUNT for amount in amounts):
        return f"gift_cards: {MIN_AMOUNT} to {MAX_AMOUNT} minor units each"
    return ""


def charges_for(amounts: Sequence[int], codes: Sequence[str], known: int) -> tuple[Charge, ...]:
    """What an order is charged for gift cards, numbered from after `known`."""
    kind = ChargeKind.GIFT_CARD.value
    return tuple(
        Charge(number, kind, amount, kind, refundable=False, card=code, tax_bp=NO_TAX)
        for number, (amount, code) in enumerate(zip(amounts, codes, strict=True), known + 1)
    )


def gift_cards_of(order: Order) -> list[GiftCard]:
    """The gift cards of an order, however far it is."""
    taken: dict[str, int] = {}
    for one in order.charges:
        if one.kind == ChargeKind.GIFT_CARD and one.amount < 0:
            taken[one.card] = taken.get(one.card, 0) - one.amount
    return [
        GiftCard(one.number, one.card, one.amount, one.amount - taken.get(one.card, 0), one.state)
        for one in order.charges
        if one.kind == ChargeKind.GIFT_CARD and one.amount > 0
    ]


def live_gift_cards(order: Order) -> list[GiftCard]:
    """Those that are paid, and were not taken back whole."""
    return [one for one in gift_cards_of(order) if one.state is LineState.SOLD and one.left]


def gift_amounts(order: Order) -> tuple[int, ...]:
    """What was asked for."""
    return tuple(one.amount for one in gift_cards_of(order))


def payable_by_credit(order: Order) -> int:
    """What of an order that waits may be paid from a credit: a gift card buys no gift card."""
    kept = sum(
        one.kept
        for one in order.payments
        if one.method is PaymentMethod.STORE_CREDIT and one.standing is not Standing.CLOSED
    )
    return min(order.due, order.worth - order.gift_worth - kept)
