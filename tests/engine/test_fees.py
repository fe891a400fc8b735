"""Fees: what they come to, who bears them, and what becomes of them with their places."""

import itertools
from collections import Counter
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine import fees
from engine.commands import Channel, Line, Quoted, QuotedFee, Ticket
from engine.credit import CODE_BYTES, code_of, moves_of
from engine.ledger import FactKind, facts_of
from engine.order_changes import exchange_asked, exchanged, not_exchanged, undone
from engine.ordering import (
    advance,
    draw_up,
    given_up,
    sold,
    sold_lines,
    to_be_paid_by,
    with_payment_begun,
)
from engine.orders import (
    Delivery,
    ExchangeRequest,
    LineFee,
    LineState,
    Order,
    OrderHold,
    OrderRefund,
    OrderState,
    PlaceOrder,
)
from engine.payments import (
    Payment,
    PaymentMethod,
    Standing,
    pay_by_reference,
    pay_cash,
    start_stripe,
)
from engine.settings import Fee, FeeKind, FeePer

WEB, TILL = Channel.WEB, Channel.BOX_OFFICE
SEATS = (Line(1, -1, "adult"), Line(2, -1, "guest"), Line(-1, 0, "child", 3))
AMOUNTS = (2_000, 0, 1_005)  # 5,015 in all


def fee(**changes: object) -> Fee:
    return Fee("f", {"en": "Fee"}, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rule", "channel", "amounts"),
    [
        (fee(fixed=150), WEB, [(0, 150), (2, 150)]),  # and none for the free place
        (fee(percent_bp=250), WEB, [(0, 50), (2, 25)]),  # 25.125
        (fee(percent_bp=1_000), WEB, [(0, 200), (2, 101)]),  # 100.5, half up
        (fee(fixed=100, percent_bp=1_000), WEB, [(0, 300), (2, 201)]),
        (fee(fixed=90, per=FeePer.ORDER), WEB, [(-1, 90)]),
        (fee(percent_bp=1_000, per=FeePer.ORDER), WEB, [(-1, 502)]),  # 501.5
        (fee(fixed=90, channels=("web",)), WEB, [(0, 90), (2, 90)]),
        (fee(fixed=90, channels=("web",)), TILL, []),
        (fee(), WEB, []),
    ],
)
def test_what_a_fee_comes_to(rule: Fee, channel: Channel, amounts: list[tuple[int, int]]) -> None:
    quoted = fees.quote([rule], SEATS, AMOUNTS, channel)
    assert [(one.line, one.amount) for one in quoted] == amounts


def test_what_is_free_costs_no_fee() -> None:
    for per in FeePer:
        assert fees.quote([fee(fixed=90, per=per)], SEATS[1:2], (0,), WEB) == ()


@given(st.integers(0, 10**9), st.integers(0, 10_000))
def test_a_share_is_the_nearest_minor_unit(amount: int, basis_points: int) -> None:
    share = fees.rounded_share(amount, basis_points)
    assert abs(share * 10_000 - amount * basis_points) <= 5_000
    assert 0 <= share <= amount


# Drawing up ------------------------------------------------------------------------


def quoted(*found: QuotedFee, lines: tuple[Line, ...] = SEATS) -> Quoted:
    amounts = AMOUNTS[: len(lines)]
    total = sum(line.quantity * one for line, one in zip(lines, amounts, strict=True))
    return Quoted("a" * 32, amounts, total, "EUR", 100_000, found)


def request(performances: int = 1, delivery: Delivery = Delivery.E_TICKET) -> PlaceOrder:
    holds = tuple(OrderHold(number, "b" * 32, SEATS) for number in range(1, performances + 1))
    return PlaceOrder("a" * 32, holds, delivery=delivery)


def drawn(*found: QuotedFee, delivery: Delivery = Delivery.E_TICKET) -> Order:
    return draw_up(request(1, delivery), [quoted(*found)], 1_000)


SERVICE = QuotedFee("s", "service", 150, 150, 0)
POST = QuotedFee("post", "delivery", 500, 500, -1, ("post",))
BY_CARD = QuotedFee("card", "payment", 80, 0, -1, ("stripe", "card_terminal"))
BORNE = QuotedFee("b", "service", 30, 30, 2, (), True)


def test_a_fee_stands_with_its_place_and_is_part_of_the_total() -> None:
    order = drawn(SERVICE, BORNE)
    assert [line.fees for line in order.lines] == [
        (LineFee("s", 150),), (), *[(LineFee("b", 30, absorbed=True),)] * 3,
    ]  # fmt: skip
    assert order.total == order.worth == order.due == 5_015 + 150
    assert [line.price for line in order.lines] == [2_150, 0, 1_005, 1_005, 1_005]


def test_a_delivery_fee_is_for_who_chose_that_delivery() -> None:
    assert drawn(POST).total == 5_015
    order = drawn(POST, delivery=Delivery.POST)
    assert order.total == 5_515 and [one.fee for one in order.charges] == ["post"]


def test_of_one_fee_for_several_performances_the_fixed_part_is_charged_once() -> None:
    both = QuotedFee("o", "service", 600, 500, -1)
    other = QuotedFee("o", "service", 440, 400, -1)
    order = draw_up(request(2), [quoted(both), quoted(other)], 1_000)
    (charge,) = order.charges
    assert (charge.amount, charge.performance) == (500 + 100 + 40, -1)
    alone = draw_up(request(2), [quoted(both), quoted()], 1_000)
    assert (alone.charges[0].amount, alone.charges[0].performance) == (600, 1)


def test_a_payment_fee_comes_with_the_payment_and_goes_with_it() -> None:
    order = drawn(BY_CARD)
    assert (order.total, order.charges) == (5_015, ())
    by_card = to_be_paid_by(order, PaymentMethod.STRIPE, "p1")
    assert (by_card.total, by_card.due) == (5_095, 5_095)
    begun = start_stripe("p1", order.id, 1, by_card.due, "EUR", 1_000)
    assert isinstance(begun, Payment)
    waits = advance(with_payment_begun(by_card, begun))
    assert waits.state is OrderState.OPEN
    # The page is left, and the order is paid in cash.
    in_cash = to_be_paid_by(waits, PaymentMethod.CASH, "p2")
    assert (in_cash.total, in_cash.due) == (5_015, 5_015)
    assert [one.state for one in in_cash.charges] == [LineState.CANCELLED]
    # Or with a card after all: it is charged once, anew.
    again = to_be_paid_by(waits, PaymentMethod.CARD_TERMINAL, "p3")
    assert again.due == 5_095 and [one.payment for one in again.charges] == ["p1", "p3"]
    # And the money of the first page, should it come, goes back.
    late = replace(begun, captured=begun.amount, intent="pi", standing=Standing.CLOSED)
    late_order = advance(replace(in_cash, payments=(late,)))
    assert late_order.state is OrderState.OPEN and late_order.asks_back


CARD = code_of(bytes(CODE_BYTES))
HOUSE_BP = 550

# Books -----------------------------------------------------------------------------

KINDS = (
    *(FactKind.SALE, FactKind.REFUND, FactKind.CANCELLATION),
    *(FactKind.FEE, FactKind.ALLOWANCE, FactKind.CREDIT),
)


def paid(order: Order, method: PaymentMethod, parts: int) -> list[Order]:
    """The states of an order that is paid in parts, up to its tickets."""
    states = [order]
    for part in range(1, parts + 1):
        id = f"{order.id}-{part}"
        order = to_be_paid_by(order, method, id)
        amount = order.due if part == parts else min(order.due - 1, 1 + order.due // 3)
        if method is PaymentMethod.CASH:
            payment = pay_cash(id, order.id, amount, "EUR", amount)
        else:
            payment = pay_by_reference(id, order.id, method, amount, "EUR", "r")
        assert isinstance(payment, Payment)
        order = advance(with_payment_begun(order, payment))
        states.append(order)
    assert order.state is OrderState.SELLING
    numbers = itertools.count(1)
    tickets = [
        Ticket(next(numbers), line.seat, line.area, line.price_type, line.amount)
        for line in order.lines
    ]
    return [*states, sold(order, {1: tickets})]


class Exchange(NamedTuple):
    """Lines for one place at `price`, which is given up before it is paid, or not.

    `tax_bp` is the VAT in that price.
    """

    lines: set[int]
    fees: list[QuotedFee]
    price: int
    given_up: bool
    tax_bp: int | None = None


def exchange(order: Order, wanted: Exchange, id: str, fee: int, card: str) -> list[Order]:
    """The states of an order through an exchange of those of the lines that it has."""
    lines = tuple(sorted(wanted.lines & set(sold_lines(order))))
    if not lines:
        return []
    hold = OrderHold(1, "c" * 32, (Line(99, -1, "adult"),))
    fees = tuple(replace(one, line=min(one.line, 0)) for one in wanted.fees)
    rates = (wanted.tax_bp,)
    quote = Quoted(order.id, (wanted.price,), wanted.price, "EUR", 10**12, fees, rates)
    request = ExchangeRequest(id, lines, hold, "ada", fee, tax_bp=HOUSE_BP)
    states = [order, advance(exchange_asked(order, request, quote, card, 1))]
    asked = states[-1]
    if asked.waits and wanted.given_up:
        return [*states, not_exchanged(asked, "expired")]
    if asked.waits:
        payment = pay_cash(f"{order.id}-{id}", order.id, asked.due, "EUR", asked.due)
        assert isinstance(payment, Payment)
        begun = with_payment_begun(to_be_paid_by(asked, PaymentMethod.CASH, payment.id), payment)
        states.append(advance(begun))
    assert states[-1].exchange is not None and states[-1].exchange.covered
    ticket = Ticket(100 + len(order.lines), 99, -1, "adult", wanted.price)
    return [*states[1:], exchanged(states[-1], [ticket])]


def fee_quotes() -> st.SearchStrategy[list[QuotedFee]]:
    one = st.builds(
        lambda number, kind, amount, line, absorbed, refundable: QuotedFee(
            f"f{number}",
            kind.value,
            amount,
            amount // 2,
            line,
            ("card_terminal",) if kind is FeeKind.PAYMENT else (),
            absorbed,
            refundable,
        ),
        st.integers(0, 4),
        st.sampled_from([FeeKind.SERVICE, FeeKind.PAYMENT]),
        st.integers(1, 400),
        st.integers(-1, 2),
        st.booleans(),
        st.booleans(),
    )
    return st.lists(one, max_size=5, unique_by=lambda fee: (fee.fee, fee.line))


@given(
    fee_quotes(),
    st.sampled_from([PaymentMethod.CASH, PaymentMethod.CARD_TERMINAL]),
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.one_of(
                st.sets(st.integers(1, 5), min_size=1),
                st.integers(1, 3_000),
                st.builds(
                    Exchange,
                    st.sets(st.integers(1, 5), min_size=1),
                    fee_quotes(),
                    st.integers(0, 3_000),
                    st.booleans(),
                ),
            ),
            st.sampled_from([0, 0, 70, 3_000]),
            st.sampled_from(["", CARD]),
        ),
        max_size=4,
    ),
)
def test_payments_less_refunds_are_what_tickets_and_fees_are_worth(
    found: list[QuotedFee],
    method: PaymentMethod,
    parts: int,
    refunds: list[tuple["set[int] | int | Exchange", int, str]],
) -> None:
    states = paid(drawn(*found), method, parts)
    for number, (wanted, kept_fee, card) in enumerate(refunds):
        order = states[-1]
        if isinstance(wanted, Exchange):
            states += exchange(order, wanted, f"x{number}", kept_fee, card)
            assert states[-1].due == 0 and states[-1].value >= 0
            continue
        lines: tuple[int, ...] = ()
        amount = 0
        if isinstance(wanted, int):
            amount = wanted if sold_lines(order) and wanted <= order.value else 0
        else:
            lines = tuple(sorted(wanted & set(sold_lines(order))))
        refund = OrderRefund(
            f"r{number}", lines, "", "ada", 1, amount=amount, fee=kept_fee, card=card
        )
        order = replace(order, refunds=(*order.refunds, refund))
        if lines or amount:
            order = undone(order, refund, lines, "")
        states.append(order)
        assert order.due == 0, "what is kept is what stands"
        assert order.value >= 0, "nothing is given back twice"
    told: Counter[str] = Counter()
    for before, after in itertools.pairwise([None, *states]):
        for fact in facts_of(before, after):
            told[fact.kind] += fact.amount
        # What a credit is of is in the books, and on the credit.
        on_card = sum(one.amount for one in moves_of(None, after))
        assert told[FactKind.CREDIT] == on_card
    last = states[-1]
    assert sum(told[kind] for kind in KINDS) == last.worth
    assert told[FactKind.PAYMENT] + told[FactKind.REPAYMENT] == last.worth == last.paid
    borne = [one for line in last.lines for one in line.fees if line.state is LineState.SOLD]
    borne_by_order = [one for one in last.charges if one.state is LineState.SOLD]
    assert told[FactKind.ABSORBED] == sum(
        one.amount for one in (*borne, *borne_by_order) if one.absorbed
    )
    if not sold_lines(last):
        assert last.state is OrderState.REFUNDED
        kept = [*(fee for line in last.lines for fee in line.fees), *last.charges]
        assert last.worth == 0 or any(not one.refundable for one in kept)


def test_an_order_that_is_given_up_charges_nothing() -> None:
    order = drawn(SERVICE, replace(POST, ways=()))
    over = given_up(order, OrderState.EXPIRED)
    assert over.worth == 0 and over.total == order.total
    assert {one.state for one in over.charges} == {LineState.CANCELLED}
    assert [fact.amount for fact in facts_of(order, over)] == [0]
