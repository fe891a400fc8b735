"""Papers of an order: what they say together is what stands of it, to the cent and at each rate."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from engine.commands import Channel, Line
from engine.ledger import NO_TAX
from engine.orders import (
    TICKETED_STATES,
    Buyer,
    Charge,
    ChargeKind,
    LineFee,
    LineState,
    Order,
    OrderExchange,
    OrderHold,
    OrderLine,
    OrderState,
)
from engine.papers import (
    Client,
    Issue,
    Item,
    Names,
    Paper,
    PaperKind,
    Rates,
    Seller,
    Shown,
    Wording,
    bill,
    by_rate,
    correction,
    follow,
    kind_of,
    may_be_billed,
    may_have_papers,
    name_of,
    rates_of,
    read_name,
    seller_of,
    standing,
)
from engine.vat import shared, vat_in

RATES = (NO_TAX, 0, 210, 260, 550, 2_000)
AT_MS = 1_795_172_400_000


def order_of(
    amounts: Sequence[int], state: OrderState = OrderState.PAID, fee: int = 0, delivery: int = 0
) -> Order:
    """One line for each amount, with a booking fee each, and a fee of the order."""
    fees = (LineFee("service", fee), LineFee("card", 30, absorbed=True)) if fee else ()
    charges = (Charge(1, "post", delivery, "delivery", 7, LineState.SOLD),) if delivery else ()
    return Order(
        id="0" * 32,
        number=1042,
        state=state,
        channel=Channel.WEB,
        currency="EUR",
        total=sum(amounts) + fee * len(amounts) + delivery,
        created_ms=AT_MS,
        expires_ms=AT_MS,
        buyer=Buyer("Éléonore", "e@example.org"),
        operator="",
        session="",
        holds=(OrderHold(7, "ab" * 16, (Line(3, -1, "full"),)),),
        lines=tuple(
            OrderLine(at, 7, at, -1, "full", amount, LineState.SOLD, at, fees=fees)
            for at, amount in enumerate(amounts, 1)
        ),
        charges=charges,
    )


NAMES = Names(
    (Shown(7, "The Test", AT_MS),),
    {"full": "Full"},
    {"service": "Booking fee", "post": "Postage", "way": "Card fee"},
)


def wording_of(order: Order) -> Wording:
    places = {line.number: ("Stalls", "A", str(line.seat)) for line in order.lines}
    return Wording("en", Client("Éléonore"), NAMES, places)


def issue(kind: PaperKind, number: int, rates: Rates) -> Issue:
    return Issue(name_of(kind, 2026, number), AT_MS, "Europe/Paris", Seller("House"), rates)


def billed(order: Order, rates: Rates) -> list[Paper]:
    return [bill(order, wording_of(order), issue(PaperKind.INVOICE, 1, rates))]


def followed(papers: list[Paper], order: Order, rates: Rates) -> list[Paper]:
    """The papers, with the one that a changed order makes."""
    items = correction(papers, order, rates)
    if not items:
        return papers
    return [*papers, follow(papers, items, order, issue(kind_of(items), len(papers), rates), NAMES)]


def refunded(order: Order, *lines: int) -> Order:
    """Lines taken back, and with the last the order's own charges."""
    after = structs.replace(
        order,
        lines=tuple(
            structs.replace(one, state=LineState.REFUNDED) if one.number in lines else one
            for one in order.lines
        ),
    )
    if any(one.state is LineState.SOLD for one in after.lines):
        return structs.replace(after, state=OrderState.PART_REFUNDED)
    charges = tuple(
        structs.replace(one, state=LineState.REFUNDED) if one.kind == "delivery" else one
        for one in after.charges
    )
    return structs.replace(after, state=OrderState.REFUNDED, charges=charges)


def charged(order: Order, kind: str, amount: int, **more: object) -> Order:
    number = len(order.charges) + 1
    charge = Charge(number, kind, amount, kind, state=LineState.SOLD, **more)  # type: ignore[arg-type]
    return structs.replace(order, charges=(*order.charges, charge))


# VAT -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gross", "tax_bp", "vat"),
    [
        (10_550, 550, 550),
        (2_500, 550, 130),  # 130.33
        (12_000, 2_000, 2_000),
        (10_000, NO_TAX, 0),
        (10_000, 0, 0),
        (-2_500, 550, -130),
        (3, 2_000, 1),  # half a cent, up
        (-3, 2_000, -1),
        (10_260, 260, 260),
    ],
)
def test_the_vat_in_an_amount(gross: int, tax_bp: int, vat: int) -> None:
    assert vat_in(gross, tax_bp) == vat


items_of = st.lists(
    st.builds(
        Item,
        st.uuids().map(str),
        st.just("place"),
        st.integers(-(10**7), 10**7),
        st.sampled_from(RATES),
    ),
    max_size=20,
)


@given(items_of, st.dictionaries(st.sampled_from(RATES), st.integers(-(10**7), 10**7)))
def test_net_and_vat_add_up_to_the_gross_whatever_was_billed_before(
    items: list[Item], before: dict[int, int]
) -> None:
    rates = rates_of(items, before)
    assert sum(rate.net + rate.vat for rate in rates) == sum(item.amount for item in items)
    assert {rate.tax_bp: rate.gross for rate in rates} == by_rate(items)


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.sampled_from(RATES))
def test_more_never_contains_less_vat_nor_less_net(one: int, more: int, tax_bp: int) -> None:
    vat = vat_in(one + more, tax_bp) - vat_in(one, tax_bp)
    assert 0 <= vat <= more


@given(st.data(), st.dictionaries(st.sampled_from(RATES), st.integers(0, 10**6), min_size=1))
def test_what_is_shared_is_whole_and_no_share_is_over_its_weight(
    data: st.DataObject, weights: dict[int, int]
) -> None:
    total = sum(weights.values())
    amount = data.draw(st.integers(-total, total))
    shares = shared(amount, weights)
    assert sum(shares.values()) == amount
    assert all(abs(share) <= weights.get(rate, 0) for rate, share in shares.items())


# Names ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(PaperKind))
def test_a_name_is_read_as_it_was_made(kind: PaperKind) -> None:
    assert read_name(name_of(kind, 2026, 123)) == (kind, 2026, 123)
    assert read_name(f" {name_of(kind, 2026, 123).lower()} ") == (kind, 2026, 123)


@pytest.mark.parametrize(
    "name", ["", "F2026-123", "X2026-000123", "F2026-0001234", "F２０２６-000123"]
)
def test_what_is_no_name_is_none(name: str) -> None:
    assert read_name(name) is None


def test_a_seller_is_what_the_house_says_of_itself() -> None:
    told = {
        "address": "1 rue A\n75000 Paris",
        "legal": ["RCS 1"],
        "accent": "#123456",
        "no_vat": "x",
    }
    assert seller_of("House", told) == Seller(
        "House", address=("1 rue A", "75000 Paris"), legal=("RCS 1",), no_vat="x"
    )


# What is billed ------------------------------------------------------------------------


def test_an_invoice_bills_places_fees_and_charges_but_not_what_the_house_bears() -> None:
    order = charged(order_of((2_000, 1_000), fee=150, delivery=350), ChargeKind.CREDIT, 500)
    order = charged(order, "way", 90, payment="p-1")
    [paper] = billed(order, Rates({(0, "post"): 2_000}, 550))
    assert [(item.label, item.amount, item.tax_bp) for item in paper.items] == [
        ("Full", 2_000, 550),
        ("Booking fee", 150, 550),
        ("Full", 1_000, 550),
        ("Booking fee", 150, 550),
        ("Postage", 350, 2_000),
        ("Card fee", 90, 550),
    ]
    assert paper.total == order.value
    assert (paper.items[0].section, paper.items[0].row, paper.items[0].seat) == ("Stalls", "A", "1")


@pytest.mark.parametrize("state", list(OrderState))
def test_only_what_is_sold_or_waits_for_money_alone_is_billed(state: OrderState) -> None:
    ready = (*TICKETED_STATES, OrderState.AWAITING_PAYMENT)
    assert may_be_billed(order_of((2_000,), state)) is (state in ready)


def test_a_fee_of_a_payment_that_has_not_come_is_not_billed() -> None:
    order = order_of((2_000,), OrderState.AWAITING_PAYMENT)
    waits = Charge(1, "way", 90, "payment", state=LineState.PENDING, payment="p-1")
    assert "c1" not in standing(structs.replace(order, charges=(waits,)))
    comes = structs.replace(waits, state=LineState.SOLD)
    assert standing(structs.replace(order, charges=(comes,)))["c1"].amount == 90


def test_most_saves_need_not_ask_for_papers() -> None:
    assert not may_have_papers(None)
    assert not may_have_papers(order_of((1,), OrderState.OPEN))
    assert not may_have_papers(order_of((1,), OrderState.SELLING))
    assert may_have_papers(order_of((1,), OrderState.PAID))
    assert may_have_papers(order_of((1,), OrderState.AWAITING_PAYMENT))


# What follows --------------------------------------------------------------------------


def test_a_refund_makes_a_credit_note_of_its_lines() -> None:
    order, rates = order_of((2_000, 1_000), fee=150), Rates({}, 550)
    papers = billed(order, rates)
    assert correction(papers, order, rates) == ()
    papers = followed(papers, refunded(order, 2), rates)
    note = papers[1]
    assert (note.kind, note.total, note.corrects) == ("credit_note", -1_150, papers[0].name)
    assert [(item.key, item.amount) for item in note.items] == [
        ("l2", -1_000),
        ("l2/service", -150),
    ]
    assert correction(papers, refunded(order, 2), rates) == ()


def test_an_order_given_up_is_credited_at_once_and_whole() -> None:
    order, rates = order_of((2_000, 1_000), OrderState.AWAITING_PAYMENT), Rates({}, 550)
    papers = billed(order, rates)
    # Its tickets are freed later.
    papers = followed(papers, structs.replace(order, state=OrderState.EXPIRED), rates)
    assert [paper.total for paper in papers] == [3_000, -3_000]
    gone = tuple(structs.replace(one, state=LineState.CANCELLED) for one in order.lines)
    after = structs.replace(order, state=OrderState.EXPIRED, lines=gone)
    assert correction(papers, after, rates) == ()


def test_a_fee_that_comes_after_the_invoice_is_billed_by_another() -> None:
    order, rates = order_of((2_000,)), Rates({}, 550)
    papers = followed(billed(order, rates), charged(order, "way", 90), rates)
    assert (papers[1].kind, papers[1].total, papers[1].items[0].label) == (
        "invoice",
        90,
        "Card fee",
    )


def test_a_fee_kept_of_a_refund_keeps_the_rate_of_its_sale() -> None:
    order = order_of((2_000, 2_000), fee=150)
    sold = Rates({(2, "service"): 2_000, (2, ""): 550}, 550)
    papers = billed(order, sold)
    after = charged(refunded(order, 2), "service", 150, line=2)
    [_, note] = followed(papers, after, structs.replace(sold, now=9_999))
    assert by_rate(note.items) == {550: -2_000, 2_000: 0}


def test_a_house_whose_rate_changed_credits_at_the_old_one() -> None:
    order = order_of((2_000,))
    papers = billed(order, Rates({}, 550))
    [_, note] = followed(papers, refunded(order, 1), Rates({}, 2_000))
    assert by_rate(note.items) == {550: -2_000}


def exchanging(order: Order, leaving: int, amount: int) -> Order:
    """A line to be given for one of another price in another performance, with a fee for that."""
    number = len(order.lines) + 1
    comes = OrderLine(number, 8, 1, -1, "full", amount, LineState.PENDING)
    fee = Charge(len(order.charges) + 1, "exchange", 200, "exchange", state=LineState.PENDING)
    of = OrderExchange("x", (leaving,), (number,), order.holds[0], order.state, "", 1, 1)
    return structs.replace(
        order,
        state=OrderState.EXCHANGING,
        lines=(*order.lines, comes),
        charges=(*order.charges, fee),
        exchanges=(of,),
    )


def exchanged(order: Order, leaving: int) -> Order:
    sold = {LineState.PENDING: LineState.SOLD}
    lines = tuple(
        structs.replace(one, state=sold.get(one.state, one.state), ticket=one.number)
        if one.number != leaving
        else structs.replace(one, state=LineState.REFUNDED)
        for one in order.lines
    )
    charges = tuple(structs.replace(one, state=LineState.SOLD) for one in order.charges)
    return structs.replace(order, state=OrderState.EXCHANGED, lines=lines, charges=charges)


@pytest.mark.parametrize(
    ("amount", "kind", "total"), [(3_000, "invoice", 1_200), (1_000, "credit_note", -800)]
)
def test_an_exchange_is_one_paper_once_it_is_done(amount: int, kind: str, total: int) -> None:
    order, rates = order_of((2_000, 2_000)), Rates({}, 550)
    papers = billed(order, rates)
    asked = exchanging(order, 2, amount)
    assert correction(papers, asked, rates) == ()
    [_, paper] = followed(papers, exchanged(asked, 2), rates)
    assert (paper.kind, paper.total) == (kind, total)
    assert [(item.key, item.amount) for item in paper.items] == [
        *(("l2", -2_000), ("l3", amount), ("c1", 200)),
    ]
    assert (paper.items[1].label, paper.items[1].ticket) == ("Full", 3)


def test_a_reduction_is_shared_by_rate_and_taken_back_as_it_was_given() -> None:
    order = order_of((3_000, 2_000))
    rates = Rates({(1, ""): 550, (2, ""): 2_000}, 2_000)
    papers = billed(order, rates)
    reduced = charged(order, ChargeKind.ALLOWANCE, -1_001)
    papers = followed(papers, reduced, rates)
    assert by_rate(papers[1].items) == {550: -601, 2_000: -400}
    # Of the place that is left is taken what the other's cannot bear any more.
    one_back = followed(papers, refunded(reduced, 1), rates)
    assert by_rate([*papers[0].items, *papers[1].items, *one_back[2].items]) == {550: 0, 2_000: 999}
    all_back = charged(refunded(reduced, 1, 2), ChargeKind.ALLOWANCE, 1_001)
    papers = followed(papers, all_back, rates)
    sums = Counter[int]()
    for paper in papers:
        sums.update(by_rate(paper.items))
    assert set(sums.values()) == {0}


step = st.one_of(
    st.tuples(st.just("refund"), st.sets(st.integers(1, 6), min_size=1)),
    st.tuples(st.just("reduce"), st.integers(1, 5_000)),
    st.tuples(st.just("keep"), st.integers(1, 500)),
)


@given(
    amounts=st.lists(st.integers(0, 50_000), min_size=1, max_size=6),
    fee=st.sampled_from((0, 1, 150)),
    delivery=st.sampled_from((0, 350)),
    line_rates=st.lists(st.sampled_from(RATES), min_size=6, max_size=6),
    now=st.sampled_from(RATES),
    steps=st.lists(step, max_size=8),
)
def test_the_papers_of_an_order_say_what_stands_of_it(
    amounts: list[int],
    fee: int,
    delivery: int,
    line_rates: list[int],
    now: int,
    steps: list[tuple[str, object]],
) -> None:
    """Whatever is given back, in parts, of places of several rates."""
    order = order_of(amounts, fee=fee, delivery=delivery)
    rates = Rates({(at, ""): rate for at, rate in enumerate(line_rates, 1)}, now)
    papers = billed(order, rates)
    kept = False
    for what, of in steps:
        if what == "refund":
            assert isinstance(of, set)
            order = refunded(order, *of)
            if order.value < 0:
                order = charged(order, ChargeKind.ALLOWANCE, -order.value)
        elif what == "reduce" and order.value > 0:
            assert isinstance(of, int)
            order = charged(order, ChargeKind.ALLOWANCE, -min(of, order.value))
        elif what == "keep":
            assert isinstance(of, int)
            order, kept = charged(order, ChargeKind.RETURN, of), True
        papers = followed(papers, order, rates)
        check(papers, order, kept=kept)
    order = refunded(order, *range(1, 7))
    if order.value < 0:
        order = charged(order, ChargeKind.ALLOWANCE, -order.value)
    papers = followed(papers, order, rates)
    check(papers, order, kept=kept)


def check(papers: list[Paper], order: Order, *, kept: bool) -> None:
    gross, vat = Counter[int](), Counter[int]()
    first = by_rate(papers[0].items)
    for paper in papers:
        assert sum(rate.net + rate.vat for rate in paper.rates) == paper.total
        assert {rate.tax_bp: rate.gross for rate in paper.rates} == by_rate(paper.items)
        assert (paper.total > 0) is (paper.kind is PaperKind.INVOICE) or paper is papers[0]
        gross.update(by_rate(paper.items))
        vat.update({rate.tax_bp: rate.vat for rate in paper.rates})
        for rate in gross:
            assert vat[rate] == vat_in(gross[rate], rate)
            if not kept:  # credit notes never take back more than there is, nor give more
                assert 0 <= gross[rate] <= first[rate]
    told = Counter[str]()
    for paper in papers:
        for item in paper.items:
            told[item.key] += item.amount
    stands = {key: item.amount for key, item in standing(order).items()}
    assert {key: amount for key, amount in told.items() if amount} == {
        key: amount for key, amount in stands.items() if amount
    }
    assert sum(gross.values()) == order.value
