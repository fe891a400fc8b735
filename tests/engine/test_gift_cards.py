"""Gift cards in an order: what they are worth, what moves on their credits, what the books say."""

import itertools
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.cancellation import Plan, Step, plan_of
from engine.commands import Line, Quoted, QuotedFee
from engine.credit import CODE_BYTES, code_of, moves_of
from engine.gift_cards import MAX_AMOUNT, MIN_AMOUNT, gift_cards_of, live_gift_cards
from engine.ledger import NO_TAX, FactKind, facts_of
from engine.order_changes import undone
from engine.ordering import draw_up, given_up, sold_lines
from engine.orders import Buyer, Order, OrderHold, OrderRefund, OrderState
from engine.papers import Rates, correction, standing
from engine.payments import PaymentMethod
from engine.settlement import PLACES
from tests.engine.test_fees import paid, quoted, request
from tests.engine.test_papers import billed

CODES = tuple(code_of(bytes([number] * CODE_BYTES)) for number in range(3))
RATES = Rates({}, 550)
AMOUNTS = st.integers(MIN_AMOUNT, MAX_AMOUNT)


def drawn(*amounts: int, alone: bool = False) -> Order:
    wanted = replace(request(), gift_cards=amounts)
    codes = CODES[: len(amounts)]
    if alone:
        wanted = replace(wanted, baskets=(), performance=1, currency="EUR")
        return draw_up(wanted, [], 1_000, codes)
    return draw_up(wanted, [quoted()], 1_000, codes)


def given_back(order: Order, id: str, lines: set[int], cards: dict[int, int]) -> list[Order]:
    """The states of an order through a refund of those of these that it has."""
    live = {one.number: one.left for one in live_gift_cards(order)}
    wanted = tuple((number, min(cards[number], live[number])) for number in live.keys() & cards)
    mine = tuple(sorted(lines & set(sold_lines(order))))
    if not mine and not wanted:
        return []
    refund = OrderRefund(id, mine, "", "ada", 1, gift_cards=tuple(sorted(wanted)))
    asked = replace(order, refunds=(*order.refunds, refund))
    return [asked, undone(asked, refund, mine, "")]


@given(
    st.lists(AMOUNTS, min_size=1, max_size=3),
    st.booleans(),
    st.sampled_from([PaymentMethod.CASH, PaymentMethod.CARD_TERMINAL]),
    st.integers(1, 3),
    st.lists(
        st.tuples(
            st.sets(st.integers(1, 5)),
            st.dictionaries(st.integers(1, 3), AMOUNTS, max_size=3),
        ),
        max_size=4,
    ),
)
def test_money_is_what_places_and_cards_are_worth_and_is_on_the_cards(
    amounts: list[int],
    alone: bool,
    method: PaymentMethod,
    parts: int,
    refunds: list[tuple[set[int], dict[int, int]]],
) -> None:
    states = paid(drawn(*amounts, alone=alone), method, parts)
    for number, (lines, cards) in enumerate(refunds):
        states += given_back(states[-1], f"r{number}", lines, cards)
        assert states[-1].due == 0 and states[-1].value >= 0
    told: Counter[str] = Counter()
    balances: Counter[str] = Counter()
    opened: Counter[str] = Counter()
    for before, after in itertools.pairwise([None, *states]):
        for fact in facts_of(before, after):
            told[fact.kind] += fact.amount
        for move in moves_of(before, after):
            balances[move.code] += move.amount
            opened[move.code] += move.opens
    last = states[-1]
    left = {one.code: one.left for one in gift_cards_of(last)}
    assert +balances == +Counter(left) and set(opened.values()) == {1}
    assert told[FactKind.GIFT_CARD] == sum(left.values()) == last.gift_worth
    assert sum(told[kind] for kind in PLACES) == last.value
    assert told[FactKind.PAYMENT] + told[FactKind.REPAYMENT] == last.worth == last.paid
    assert last.state is not OrderState.REFUNDED or not last.worth
    assert (last.state is OrderState.REFUNDED) is (not sold_lines(last) and not last.gift_worth)


def test_given_up_or_not_paid_yet_nothing_is_opened() -> None:
    order = drawn(5_000, alone=True)
    assert order.state is OrderState.OPEN and moves_of(None, order) == []
    over = given_up(order, OrderState.EXPIRED)
    assert moves_of(order, over) == [] and over.worth == 0
    assert [one.amount for one in facts_of(order, over)] == [0]


def test_a_card_has_no_vat_on_any_paper_and_goes_back_by_a_credit_note() -> None:
    """That is owed for what it buys: what it is spent on is taxed then."""
    order = paid(drawn(5_000, alone=True), PaymentMethod.CASH, 1)[-1]
    [invoice] = billed(order, RATES)
    [rate] = invoice.rates
    assert (rate.tax_bp, rate.net, rate.vat, invoice.total) == (NO_TAX, 5_000, 0, 5_000)
    part = given_back(order, "r", set(), {1: 2_000})[-1]
    [item] = correction([invoice], part, RATES)
    assert (item.key, item.amount, item.tax_bp) == (invoice.items[0].key, -2_000, NO_TAX)
    rest = given_back(part, "s", set(), {1: 3_000})[-1]
    assert rest.state is OrderState.REFUNDED and standing(rest) == {}


def test_a_reduction_of_places_takes_nothing_off_the_cards() -> None:
    order = paid(drawn(5_000), PaymentMethod.CASH, 1)[-1]
    refund = OrderRefund("r", (), "", "ada", 1, amount=1_000)
    reduced = undone(replace(order, refunds=(refund,)), refund, (), "")
    [invoice] = billed(reduced, RATES)
    assert {item.tax_bp for item in invoice.items if item.kind == "allowance"} == {550}


def test_free_places_of_a_cancelled_performance_give_a_fee_back_as_credit() -> None:
    """What a person took for the gift card and the fee is in a drawer: no other hand gives it."""
    hold = OrderHold(1, "b" * 32, (Line(2, -1, "guest"),))
    fee = QuotedFee("post", "delivery", 250, 250, -1, ("e_ticket",))
    quote = Quoted("a" * 32, (0,), 0, "EUR", 100_000, (fee,))
    wanted = replace(request(), baskets=(hold,), gift_cards=(5_000,))
    order = paid(draw_up(wanted, [quote], 1_000, CODES[:1]), PaymentMethod.CASH, 1)[-1]
    assert order.paid == 5_250
    assert plan_of(order, 1, ()).step is Step.LEAVE
    told = replace(order, buyer=Buyer("", "ada@example.org"))
    assert plan_of(told, 1, ()) == Plan(Step.CREDIT, (1,))
    drawn_free = draw_up(wanted, [replace(quote, fees=())], 1_000, CODES[:1])
    free = paid(drawn_free, PaymentMethod.CASH, 1)[-1]
    assert plan_of(free, 1, ()) == Plan(Step.REFUND, (1,)), "nothing goes back"
