"""VAT at several rates in one order: kept as it was sold, and to the cent through all changes."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.commands import Line, Quoted, QuotedFee
from engine.ledger import NO_TAX, FactKind, facts_of
from engine.order_changes import undone
from engine.ordering import draw_up, sold_lines
from engine.orders import Delivery, LineState, Order, OrderHold, OrderRefund, OrderState, PlaceOrder
from engine.papers import (
    Client,
    Issue,
    Names,
    Paper,
    PaperKind,
    Rates,
    Seller,
    Wording,
    bill,
    by_rate,
    correction,
    follow,
    kind_of,
    may_be_billed,
    name_of,
    rates_at_once,
)
from engine.payments import PaymentMethod
from engine.settings import Fee, FeePer, Price
from engine.vat import vat_in
from tests.engine.small import Play, house, settings
from tests.engine.test_fees import (
    CARD,
    HOUSE_BP,
    Exchange,
    exchange,
    fee_quotes,
    paid,
    quoted,
    request,
)

RATES = (None, NO_TAX, 0, 210, 260, 550, 810, 2_000)
TAXED = (
    *(FactKind.SALE, FactKind.REFUND, FactKind.CANCELLATION),
    *(FactKind.FEE, FactKind.ALLOWANCE),
)

# Said -----------------------------------------------------------------------------------

PLAN = house(["ab"], areas=[(6, "c")])


@pytest.mark.parametrize(
    ("of_performance", "of_price", "told"),
    [
        (None, None, ()),
        (None, 210, (210, None)),
        (550, None, (550, 550)),
        (550, 0, (0, 550)),
        (0, 2_000, (2_000, 0)),
    ],
)
def test_a_price_has_its_own_rate_or_that_of_its_performance(
    of_performance: int | None, of_price: int | None, told: tuple[int | None, ...]
) -> None:
    prices = (Price(0, "full", 1_000, vat_bp=of_price), Price(1, "full", 900))
    play = Play(PLAN, settings(prices=prices, vat_bp=of_performance))
    play.hold(0, 1)
    answer = play.checkout(Line(0, -1, "full"), Line(1, -1, "full"))
    assert isinstance(answer, Quoted)
    assert (answer.amounts, answer.rates) == ((1_000, 900), told)


def test_prices_that_follow_each_other_have_rates_of_their_own() -> None:
    now_ms = 1_800_000_000_000
    prices = (
        Price(2, "full", 1_000, until_ms=now_ms, vat_bp=210),
        Price(2, "full", 1_000, from_ms=now_ms, vat_bp=550),
    )
    play = Play(PLAN, settings(prices=prices))
    play.hold(areas=((0, 2),))
    answer = play.checkout(Line(-1, 0, "full", 2))
    assert isinstance(answer, Quoted) and answer.rates == (550,)


@pytest.mark.parametrize(
    ("of_performance", "own", "told"),
    [(None, None, None), (550, None, 550), (550, 2_000, 2_000), (None, 0, 0)],
)
def test_a_fee_has_its_own_rate_or_that_of_its_performance(
    of_performance: int | None, own: int | None, told: int | None
) -> None:
    fees = (
        Fee("s", {}, fixed=100, vat_bp=own),
        Fee("o", {}, fixed=5, per=FeePer.ORDER, vat_bp=own),
    )
    play = Play(PLAN, settings(fees=fees, vat_bp=of_performance))
    play.hold(0)
    answer = play.checkout(Line(0, -1, "full"))
    assert isinstance(answer, Quoted)
    assert [fee.tax_bp for fee in answer.fees] == [told, told]


def test_an_order_keeps_the_rates_that_it_was_quoted_at_and_the_houses_for_the_rest() -> None:
    found = (
        QuotedFee("s", "service", 150, 150, 0, tax_bp=2_000),
        QuotedFee("post", "delivery", 500, 500, -1, ("post",)),
        QuotedFee("card", "payment", 80, 0, -1, ("cash",), tax_bp=0),
    )
    asked = replace(request(delivery=Delivery.POST), tax_bp=HOUSE_BP)
    order = draw_up(asked, [replace(quoted(*found), rates=(210, None, 0))], 1_000)
    assert [line.tax_bp for line in order.lines] == [210, HOUSE_BP, 0, 0, 0]
    assert [fee.tax_bp for fee in order.lines[0].fees] == [2_000]
    assert [one.tax_bp for one in order.charges] == [HOUSE_BP]
    done = paid(order, PaymentMethod.CASH, 1)[-1]
    assert [one.tax_bp for one in done.charges] == [HOUSE_BP, 0]
    told = {(one.kind, one.line, one.price_type): one.tax_bp for one in facts_of(None, done)}
    assert told[FactKind.SALE, 1, "adult"] == 210 and told[FactKind.FEE, 1, "s"] == 2_000
    assert told[FactKind.FEE, 0, "card"] == 0 and told[FactKind.FEE, 0, "post"] == HOUSE_BP


def test_an_order_of_a_caller_who_says_no_rate_leaves_it_to_the_ledger() -> None:
    order = draw_up(request(), [quoted()], 1_000)
    assert {line.tax_bp for line in order.lines} == {None}


# Kept -----------------------------------------------------------------------------------


def sold_at(*lines: tuple[int, int]) -> Order:
    """An order with a place for each amount, at its rate."""
    seats = tuple(Line(at, -1, "adult") for at in range(len(lines)))
    amounts, rates = zip(*lines, strict=True)
    asked = PlaceOrder("a" * 32, (OrderHold(1, "b" * 32, seats),), tax_bp=HOUSE_BP)
    quote = Quoted(asked.id, amounts, sum(amounts), "EUR", 100_000, (), rates)
    return paid(draw_up(asked, [quote], 1_000), PaymentMethod.CASH, 1)[-1]


def refunded(order: Order, *lines: int, amount: int = 0, fee: int = 0, card: str = "") -> Order:
    id = f"r{len(order.refunds)}"
    refund = OrderRefund(id, lines, "", "ada", 1, amount=amount, fee=fee, card=card)
    return undone(replace(order, refunds=(*order.refunds, refund)), refund, lines, "")


def charged(order: Order) -> list[tuple[str, int, int | None]]:
    return [(one.kind, one.amount, one.tax_bp) for one in order.charges]


def test_an_amount_given_back_is_shared_by_what_stands_at_each_rate() -> None:
    order = refunded(sold_at((3_000, 550), (1_000, 2_000)), amount=1_001)
    assert charged(order) == [("allowance", -751, 550), ("allowance", -250, 2_000)]


def test_what_a_place_takes_with_it_goes_over_to_the_other_rate() -> None:
    order = refunded(sold_at((3_000, 550), (1_000, 2_000)), amount=1_000)
    one_back = refunded(order, 1)
    assert charged(one_back)[2:] == [("allowance", 750, 550), ("allowance", -750, 2_000)]
    assert one_back.value == 0
    all_back = refunded(one_back, 2)
    assert charged(all_back)[4:] == [("allowance", 1_000, 2_000)]


def test_what_is_kept_of_a_return_is_taxed_as_what_is_returned() -> None:
    order = refunded(sold_at((3_000, 550), (1_000, 2_000), (500, 0)), 1, 2, fee=400)
    assert charged(order) == [("return", 300, 550), ("return", 100, 2_000)]


def test_a_credit_has_no_rate_yet() -> None:
    order = refunded(sold_at((3_000, 550)), 1, card=CARD)
    assert charged(order) == [("credit", 3_000, None)]


# Told -----------------------------------------------------------------------------------


def rated(found: list[QuotedFee], rates: list[int | None]) -> list[QuotedFee]:
    return [replace(fee, tax_bp=rates[at % len(rates)]) for at, fee in enumerate(found)]


def issued(papers: list[Paper], order: Order) -> list[Paper]:
    """The papers with the one that what the order is now makes."""
    rates = Rates({}, HOUSE_BP)

    def issue(kind: PaperKind) -> Issue:
        return Issue(name_of(kind, 2026, 1 + len(papers)), 1, "Europe/Paris", Seller("H"), rates)

    if not papers:
        places = {line.number: ("", "", "") for line in order.lines}
        wording = Wording("fr", Client(), Names(), places)
        return [bill(order, wording, issue(PaperKind.INVOICE))] if may_be_billed(order) else []
    items = correction(papers, order, rates)
    if not items:
        return papers
    return [*papers, follow(papers, items, order, issue(kind_of(items)), Names())]


def nonzero(sums: Counter[int]) -> dict[int, int]:
    return {rate: amount for rate, amount in sums.items() if amount}


step = st.tuples(
    st.one_of(
        st.sets(st.integers(1, 5), min_size=1),
        st.integers(1, 3_000),
        st.builds(
            Exchange,
            st.sets(st.integers(1, 5), min_size=1),
            fee_quotes(),
            st.integers(0, 3_000),
            st.booleans(),
            st.sampled_from(RATES),
        ),
    ),
    st.sampled_from([0, 0, 70, 3_000]),
    st.sampled_from(["", CARD]),
)


@given(
    fee_quotes(),
    st.lists(st.sampled_from(RATES), min_size=3, max_size=3),
    st.integers(1, 2),
    st.lists(step, max_size=5),
)
def test_ledger_and_papers_say_the_same_at_each_rate_whatever_follows(
    found: list[QuotedFee],
    rates: list[int | None],
    parts: int,
    steps: list[tuple["set[int] | int | Exchange", int, str]],
) -> None:
    asked = replace(request(), tax_bp=HOUSE_BP)
    quote = replace(quoted(*rated(found, rates)), rates=tuple(rates))
    states = paid(draw_up(asked, [quote], 1_000), PaymentMethod.CARD_TERMINAL, parts)
    papers: list[Paper] = issued([], states[-1])
    assert rates_at_once(states[-1], HOUSE_BP) == nonzero(Counter(by_rate(papers[0].items)))
    told = Counter[int]()
    seen: Order | None = None
    everything: tuple[set[int] | int | Exchange, int, str] = (set(range(1, 20)), 0, "")
    for wanted, fee, card in [*steps, everything]:
        order = states[-1]
        if isinstance(wanted, Exchange):
            once = {(fee.fee, min(fee.line, 0)): fee for fee in wanted.fees}
            wanted = wanted._replace(fees=rated(list(once.values()), rates))
            states += exchange(order, wanted, f"x{len(states)}", fee, card)
        elif isinstance(wanted, int):
            if sold_lines(order) and wanted <= order.value:
                states.append(refunded(order, amount=wanted, card=card))
        elif lines := sorted(wanted & set(sold_lines(order))):
            states.append(refunded(order, *lines, fee=fee, card=card))
        for state in states if seen is None else states[states.index(seen) + 1 :]:
            for fact in facts_of(seen, state):
                if fact.kind in TAXED:
                    assert fact.tax_bp is not None, "it was frozen"
                    told[fact.tax_bp] += fact.amount
            seen = state
        papers = issued(papers, states[-1])
        assert sum(told.values()) == states[-1].value
        assert min(told.values(), default=0) >= 0, "no rate gives more back than it had"
        gross, vat = Counter[int](), Counter[int]()
        for paper in papers:
            assert sum(rate.net + rate.vat for rate in paper.rates) == paper.total
            for rate in paper.rates:
                gross[rate.tax_bp] += rate.gross
                vat[rate.tax_bp] += rate.vat
        assert nonzero(gross) == nonzero(told), "papers and ledger agree"
        assert nonzero(vat) == nonzero(
            Counter({rate: vat_in(amount, rate) for rate, amount in told.items()})
        )
    if not any(
        one.state is LineState.SOLD for one in states[-1].charges if one.kind != "allowance"
    ):
        assert states[-1].state is OrderState.REFUNDED
        assert nonzero(told) == {}, "papers of what went back whole come to nothing"
