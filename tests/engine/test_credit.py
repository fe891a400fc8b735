"""Store credit: codes that people type, and what an order moves."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.credit import (
    ALPHABET,
    CODE_BYTES,
    CODE_CHARS,
    CreditMove,
    code_of,
    masked,
    moves_of,
    read_code,
    spaced,
)
from engine.orders import Charge, ChargeKind, LineState, Order, OrderState
from engine.payments import Payment, begin_refund, pay_by_credit, pay_cash
from tests.engine.test_fees import drawn

CODE = code_of(bytes(range(CODE_BYTES)))
drawn_codes = st.binary(min_size=CODE_BYTES, max_size=CODE_BYTES).map(code_of)


@given(drawn_codes)
def test_a_code_is_read_however_it_is_typed(code: str) -> None:
    assert len(code) == CODE_CHARS and set(code) <= set(ALPHABET)
    assert read_code(code) == read_code(spaced(code).lower()) == code
    assert read_code(f" {spaced(code).replace('-', ' ')}\n") == code
    mistaken = code.replace("0", "o").replace("1", "l")
    assert read_code(mistaken) == code
    assert masked(code).endswith(code[-4:]) and code[:-4] not in masked(code)


def test_codes_differ_where_what_is_drawn_differs() -> None:
    shifted = [(1 << bit).to_bytes(CODE_BYTES, "big") for bit in range(5, 8 * CODE_BYTES)]
    assert len({code_of(drawn) for drawn in shifted}) == 75


@given(drawn_codes, st.integers(0, CODE_CHARS - 2), st.sampled_from(ALPHABET))
def test_a_letter_that_is_wrong_is_seen(code: str, at: int, letter: str) -> None:
    wrong = code[:at] + letter + code[at + 1 :]
    alike = {letter, code[at]} == {"0", "Z"}  # 0 and 31, of which the check knows no difference
    assert read_code(wrong) == (wrong if wrong == code or alike else "")


@given(drawn_codes, st.integers(0, CODE_CHARS - 3))
def test_two_letters_that_changed_places_are_seen(code: str, at: int) -> None:
    one, other = code[at], code[at + 1]
    wrong = code[:at] + other + one + code[at + 2 :]
    alike = one == other or {one, other} == {"0", "Z"}
    assert read_code(wrong) == (wrong if alike else "")


@pytest.mark.parametrize("text", ["", "ABCD", CODE + "0", CODE[:-1] + "!", CODE[:-1] + "U"])
def test_what_is_no_code(text: str) -> None:
    assert read_code(text) == ""


# Moves -----------------------------------------------------------------------------


def with_payment(order: Order, payment: Payment) -> Order:
    payments = {one.id: one for one in order.payments} | {payment.id: payment}
    return replace(order, payments=tuple(payments.values()))


def test_a_payment_takes_and_what_it_gives_back_returns() -> None:
    order = drawn()
    taken = pay_by_credit(f"{order.id}-a", order.id, 700, "EUR", CODE)
    assert isinstance(taken, Payment)
    paid = with_payment(order, taken)
    assert moves_of(order, paid) == moves_of(None, paid) == [CreditMove(CODE, -700, "a")]
    back = begin_refund(taken, "r1", 300)
    assert isinstance(back, Payment)
    part = with_payment(paid, back)
    assert moves_of(paid, part) == [CreditMove(CODE, 300, "a")]
    assert moves_of(order, part) == [CreditMove(CODE, -400, "a")]
    assert moves_of(part, replace(part, state=OrderState.PART_REFUNDED)) == []
    cash = pay_cash(f"{order.id}-b", order.id, 100, "EUR", 100)
    assert isinstance(cash, Payment)
    assert moves_of(part, with_payment(part, cash)) == [], "other money is no credit"


def test_a_refund_to_credit_opens_one_once() -> None:
    order = drawn()
    charge = Charge(
        1, "", 500, ChargeKind.CREDIT.value, state=LineState.SOLD, refund="r1", card=CODE
    )
    after = replace(order, charges=(charge,))
    assert moves_of(order, after) == [CreditMove(CODE, 500, "r1", opens=True)]
    assert moves_of(after, replace(after, revision=9)) == []


def test_sums_do_not_depend_on_the_steps() -> None:
    order = drawn()
    states = [order]
    for number, amount in enumerate((300, 200), 1):
        payment = pay_by_credit(f"{order.id}-{number}", order.id, amount, "EUR", CODE)
        assert isinstance(payment, Payment)
        states.append(with_payment(states[-1], payment))
    stepwise = [
        one for before, after in itertools.pairwise(states) for one in moves_of(before, after)
    ]
    assert sorted(stepwise) == sorted(moves_of(None, states[-1]))
