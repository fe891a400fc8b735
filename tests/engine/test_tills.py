"""What a drawer should hold, and what may be done with a till session."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.currency import CASH_STEPS, DENOMINATIONS, SMALLEST_NOTES, cash_rounded
from engine.payments import (
    TILL_METHODS,
    Payment,
    PaymentMethod,
    begin_refund,
    pay_by_reference,
    pay_by_test_card,
    pay_cash,
    start_stripe,
)
from engine.tills import (
    NO_TILL,
    AddEntry,
    AtTill,
    CloseTill,
    Closing,
    Entry,
    EntryKind,
    OpenTill,
    Repaid,
    Takings,
    TillRefusal,
    TillRefused,
    TillReport,
    TillSession,
    closed,
    entered,
    malformed_open,
    reckon,
)

SESSION = TillSession("a" * 32, 7, "Caisse 1", "ada", "CHF", 20_000, 1_000)
IN, OUT, COUNT = EntryKind


def report(session: TillSession = SESSION, *entries: Entry) -> TillReport:
    return reckon(session, entries, (), (), 0)


@pytest.mark.parametrize(
    ("at", "currency", "session"),
    [
        (NO_TILL, "CHF", ""),
        (AtTill(required=True), "CHF", None),
        (AtTill("s", "CHF"), "CHF", "s"),
        (AtTill("s", "CHF", required=True), "CHF", "s"),
        (AtTill("s", "CHF"), "EUR", ""),
        (AtTill("s", "CHF", required=True), "EUR", None),
    ],
)
def test_money_belongs_to_the_session_of_its_currency(
    at: AtTill, currency: str, session: str | None
) -> None:
    assert at.session_for(currency) == session


@pytest.mark.parametrize("currency", DENOMINATIONS)
def test_a_drawer_has_the_coins_and_notes_that_there_are(currency: str) -> None:
    kinds = DENOMINATIONS[currency]
    assert list(kinds) == sorted(kinds, reverse=True) and SMALLEST_NOTES[currency] in kinds
    assert kinds[-1] == CASH_STEPS.get(currency, 1), "every sum of coins can be counted"
    assert all(kind % kinds[-1] == 0 for kind in kinds)


OPEN = OpenTill("a" * 32, "Caisse 1", "CHF", 20_000, "ada")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, ""),
        ({"opening_float": 0}, ""),
        ({"id": "a" * 31}, "id:"),
        ({"id": "g" * 32}, "id:"),
        ({"till": "  "}, "till:"),
        ({"till": "x" * 41}, "till:"),
        ({"currency": "chf"}, "currency:"),
        ({"opening_float": -5}, "opening_float:"),
        ({"opening_float": 20_001}, "opening_float: no coins"),
        ({"opening_float": 10**12 + 5}, "opening_float: 0 to"),
    ],
)
def test_what_a_session_needs_to_be_opened(changes: dict[str, Any], problem: str) -> None:
    assert malformed_open(replace(OPEN, **changes)).startswith(problem)
    assert bool(problem) is bool(malformed_open(replace(OPEN, **changes)))


MOVE = AddEntry("m", IN, "ada", 500, "change")


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (replace(MOVE, id=""), TillRefusal.MALFORMED),
        (replace(MOVE, id="a_b"), TillRefusal.MALFORMED),
        (replace(MOVE, amount=0), TillRefusal.MALFORMED),
        (replace(MOVE, amount=-5), TillRefusal.MALFORMED),
        (replace(MOVE, amount=501), TillRefusal.MALFORMED),
        (replace(MOVE, reason=" "), TillRefusal.MALFORMED),
        (replace(MOVE, reason="x" * 5_000), TillRefusal.MALFORMED),
        (replace(MOVE, pieces=((5, 1),)), TillRefusal.MALFORMED),
        (AddEntry("c", COUNT, "ada", amount=500), TillRefusal.MALFORMED),
        (AddEntry("c", COUNT, "ada", reason="why"), TillRefusal.MALFORMED),
        (AddEntry("c", COUNT, "ada", pieces=((1, 1),)), TillRefusal.MALFORMED),
        (AddEntry("c", COUNT, "ada", pieces=((5, 1), (5, 2))), TillRefusal.MALFORMED),
        (AddEntry("c", COUNT, "ada", pieces=((5, -1),)), TillRefusal.MALFORMED),
        (AddEntry("c", COUNT, "ada", pieces=((5, 1_000_001),)), TillRefusal.MALFORMED),
    ],
)
def test_what_is_no_movement_and_no_count(wanted: AddEntry, code: TillRefusal) -> None:
    refused = entered(wanted, report(), 5)
    assert isinstance(refused, TillRefused) and refused.code is code


def test_a_session_holds_a_thousand_entries_and_says_then_that_it_is_full() -> None:
    many = [Entry(str(number), IN, 5, "ada", 1, "r") for number in range(1_000)]
    full = report(SESSION, *many)
    assert entered(MOVE, full, 5) == TillRefused(TillRefusal.TILL_FULL)
    assert entered(AddEntry("7", IN, "ada", 5, "r"), full, 5) == many[7], "asked again"


def test_currencies_whose_coins_are_not_known_are_counted_by_their_sum() -> None:
    sek = replace(SESSION, currency="SEK")
    entry = entered(AddEntry("c", COUNT, "ada", amount=20_100), report(sek), 5)
    assert isinstance(entry, Entry) and (entry.amount, entry.expected) == (20_100, 20_000)
    for wrong in (AddEntry("c", COUNT, "ada", amount=20_150),
                  AddEntry("c", COUNT, "ada", pieces=((100, 1),))):  # fmt: skip
        assert isinstance(entered(wrong, report(sek), 5), TillRefused)


def test_only_a_difference_needs_an_explanation() -> None:
    right = closed(CloseTill("x", "eve", pieces=((20_000, 1),)), report(), 5)
    assert right == Closing("x", 20_000, 20_000, 0, ((20_000, 1),), "", "eve", 5)
    for notes, difference in ((0, -20_000), (2, 20_000)):
        wanted = CloseTill("x", "eve", pieces=((20_000, notes),))
        refused = closed(wanted, report(), 5)
        assert refused == TillRefused(TillRefusal.DIFFERENCE_UNEXPLAINED, str(difference))
        told = closed(replace(wanted, explanation=" why "), report(), 5)
        assert isinstance(told, Closing)
        assert (told.difference, told.explanation) == (difference, "why")
    empty = closed(CloseTill("x", "eve", pieces=()), report(replace(SESSION, opening_float=0)), 5)
    assert isinstance(empty, Closing) and empty.pieces == (), "an empty drawer is counted too"


# Payments and refunds name the session ------------------------------------------------


def by(method: PaymentMethod, amount: int) -> Payment:
    made = {
        PaymentMethod.CASH: lambda: pay_cash("p", "o", amount, "CHF", cash_rounded(amount, "CHF")),
        PaymentMethod.TEST_CARD: lambda: pay_by_test_card("p", "o", amount, "CHF"),
        PaymentMethod.STRIPE: lambda: start_stripe("p", "o", 1, amount, "CHF", 0),
    }.get(method, lambda: pay_by_reference("p", "o", method, amount, "CHF", "r"))()
    assert isinstance(made, Payment)
    return replace(made, captured=amount)


@pytest.mark.parametrize("method", PaymentMethod)
def test_only_what_a_person_hands_back_leaves_a_drawer(method: PaymentMethod) -> None:
    back = begin_refund(by(method, 500), "r", 500, till="s")
    assert isinstance(back, Payment)
    assert back.refunds[0].till == ("s" if method in TILL_METHODS else "")


amounts = st.integers(1, 100_000)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("pay"), st.sampled_from(TILL_METHODS), amounts),
        st.tuples(st.just("back"), st.sampled_from(TILL_METHODS), amounts),
        st.tuples(st.sampled_from(("in", "out")), st.none(), amounts.map(lambda one: one * 5)),
    ),
    max_size=40,
)


@given(steps)
def test_the_expected_cash_is_what_a_purse_would_hold(
    steps: list[tuple[str, PaymentMethod | None, int]],
) -> None:
    """Every coin moved one by one, against the sums."""
    purse, entries, takings, repaid = SESSION.opening_float, [], [], []
    for number, (kind, method, amount) in enumerate(steps):
        coins = cash_rounded(amount, "CHF") if method is PaymentMethod.CASH else 0
        match kind:
            case "pay":
                takings.append(Takings(method.value, 1, amount, coins))
                purse += coins
            case "back":
                repaid.append(Repaid(method.value, amount))
                purse -= coins
            case _:
                entries.append(Entry(str(number), EntryKind(kind), amount, "ada", number, "r"))
                purse += amount if kind == "in" else -amount
    grouped = [
        Takings(
            method.value,
            len(ours),
            sum(one.amount for one in ours),
            sum(one.coins for one in ours),
        )
        for method in TILL_METHODS
        if (ours := [one for one in takings if one.method == method.value])
    ]
    told = reckon(SESSION, entries, grouped, repaid, len(takings))
    assert told.expected == purse
    assert sum(one.taken for one in told.methods) == sum(one.amount for one in takings)
    assert sum(one.handed_back for one in told.methods) == sum(one.amount for one in repaid)
    assert sum(one.payments for one in told.methods) == told.sales == len(takings)
    assert sum(one.refunds for one in told.methods) == told.refunds == len(repaid)
