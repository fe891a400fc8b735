"""What a buyer may give back by himself, and what the house keeps of it."""

import pytest
from msgspec.structs import replace

from engine.orders import LineState, Order, OrderState
from engine.payments import PaymentMethod
from engine.returns import Policy, kept, offers, returnable
from engine.settings import Returns, ReturnWay
from tests.engine.test_fees import SERVICE, drawn, paid

STARTS_MS = 100_000_000
HOUR_MS = 3_600_000
OPEN = Returns(before_ms=24 * HOUR_MS, fee=150)


def sold(method: PaymentMethod = PaymentMethod.TEST_CARD) -> Order:
    order = paid(drawn(SERVICE), PaymentMethod.CASH, 1)[-1]
    return replace(order, payments=(replace(order.payments[0], method=method),))


def numbers(order: Order, returns: Returns | None, before_ms: int) -> list[int]:
    found = returnable(order, {1: Policy(returns, STARTS_MS)}, STARTS_MS - before_ms)
    return [line.number for line, _ in found]


def test_places_are_taken_back_until_their_time_is_over() -> None:
    order = sold()
    everything = [line.number for line in order.lines]
    assert numbers(order, OPEN, 24 * HOUR_MS + 1) == everything
    assert numbers(order, OPEN, 24 * HOUR_MS) == []
    assert numbers(order, Returns(), 1) == everything
    assert numbers(order, Returns(), 0) == [], "it has begun"
    assert numbers(order, None, 10**9) == []


def test_what_is_not_sold_is_not_taken_back() -> None:
    order = sold()
    refunded = replace(order.lines[0], state=LineState.REFUNDED)
    part = replace(order, lines=(refunded, *order.lines[1:]), state=OrderState.PART_REFUNDED)
    assert numbers(part, OPEN, 10**8) == [line.number for line in order.lines[1:]]
    assert numbers(drawn(), OPEN, 10**8) == []


def test_no_more_is_kept_of_a_place_than_it_cost() -> None:
    order = sold()
    taken = [(line, OPEN) for line in order.lines]
    prices = [2_000 + 150, 0, 1_005, 1_005, 1_005]
    assert [line.price for line in order.lines] == prices
    assert kept(taken) == 4 * 150, "a free place costs nothing to give back"
    assert kept([(line, replace(OPEN, fee=10**6)) for line in order.lines]) == sum(prices)


def test_what_a_person_took_is_kept_as_credit_or_not_taken_back_here() -> None:
    order = sold(PaymentMethod.CASH)
    policies = {way: Policy(Returns(way=way), STARTS_MS) for way in ReturnWay}
    assert returnable(order, {1: policies[ReturnWay.AS_PAID]}, 0) == []
    for way in (ReturnWay.CREDIT, ReturnWay.EITHER):
        found = returnable(order, {1: policies[way]}, 0)
        assert {returns.way for _, returns in found} == {ReturnWay.CREDIT}
    by_card = returnable(sold(), {1: policies[ReturnWay.EITHER]}, 0)
    assert {returns.way for _, returns in by_card} == {ReturnWay.EITHER}


@pytest.mark.parametrize(
    ("ways", "as_paid", "credit"),
    [
        ([ReturnWay.EITHER], True, True),
        ([ReturnWay.AS_PAID], True, False),
        ([ReturnWay.CREDIT], False, True),
        ([ReturnWay.EITHER, ReturnWay.CREDIT], False, True),
        ([ReturnWay.AS_PAID, ReturnWay.CREDIT], False, False),
    ],
)
def test_money_goes_a_way_that_all_places_allow(
    ways: list[ReturnWay], as_paid: bool, credit: bool
) -> None:
    line = sold().lines[0]
    taken = [(line, Returns(way=way)) for way in ways]
    assert offers(taken, to_credit=False) is as_paid
    assert offers(taken, to_credit=True) is credit
