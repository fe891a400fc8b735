"""What places would cost is what they cost: a quote and a checkout of the same lines agree."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.commands import Channel, Checkout, Held, Line, Quoted, Refusal, Refused
from engine.quotes import quoted
from engine.settings import Fee, FeeKind, FeePer, Price, PriceType, TypeStatus
from tests.engine.small import NOW_MS, Play, house, settings, token

PLAN = house(["aabb"], areas=[(9, "c")])
KINDS = (
    PriceType("full", {}),
    PriceType("staff", {}, box_office_only=True),
    PriceType("early", {}, until_ms=NOW_MS),
    PriceType("shut", {}, status=TypeStatus.CLOSED),
)
LINES = (Line(1, -1, "full"), Line(2, -1, "full"), Line(-1, 0, "full", 3))
channels = st.sampled_from(list(Channel))
rates = st.sampled_from([None, 0, 210, 2_000])
fees = st.lists(
    st.builds(
        Fee,
        st.sampled_from("abcd"),
        st.just({}),
        st.sampled_from(FeeKind),
        st.integers(0, 500),
        st.integers(0, 2_000),
        st.sampled_from(FeePer),
        st.lists(st.sampled_from([one.value for one in Channel]), max_size=2).map(tuple),
        st.sampled_from([(), ("post",), ("cash",)]),
        st.booleans(),
        vat_bp=rates,
    ),
    max_size=4,
    unique_by=lambda fee: fee.id,
)


@given(
    fees=fees,
    kinds=st.tuples(*[st.sampled_from([kind.id for kind in KINDS])] * 3),
    amounts=st.lists(st.integers(0, 9_999), min_size=3, max_size=3),
    vat_bp=rates,
    own_bp=rates,
    held_in=st.sampled_from([Channel.BOX_OFFICE, Channel.PHONE]),
    sold_in=channels,
)
def test_a_quote_is_what_a_checkout_is_answered(
    fees: list[Fee],
    kinds: tuple[str, str, str],
    amounts: list[int],
    vat_bp: int | None,
    own_bp: int | None,
    held_in: Channel,
    sold_in: Channel,
) -> None:
    """In the channel that it is sold in, whatever it was held in."""
    prices = tuple(
        Price(at, kind.id, amount, vat_bp=own_bp if at else None)
        for at, amount in enumerate(amounts)
        for kind in KINDS
    )
    rules = settings(
        price_types=KINDS, prices=prices, fees=tuple(fees), vat_bp=vat_bp, orphan_rule=False
    )
    lines = tuple(replace(line, price_type=kind) for line, kind in zip(LINES, kinds, strict=True))
    play = Play(PLAN, rules)
    held = play.hold(1, 2, areas=((0, 3),), channel=held_in)
    assert isinstance(held, Held)
    answer = play.apply(Checkout(play.id(), token("ann"), "o", "ann", lines, (), sold_in))
    quote = quoted(rules, PLAN, lines, sold_in, NOW_MS)
    if isinstance(answer, Refused):
        assert isinstance(quote, Refused) and (quote.code, quote.seats) == (
            answer.code,
            answer.seats,
        )
    else:
        assert isinstance(answer, Quoted)
        assert quote == replace(answer, order="", expires_ms=0)


@pytest.mark.parametrize(
    "line",
    [
        Line(4, -1, "full"), Line(-1, -1, "full"), Line(0, -1, "full", 2), Line(-1, 1, "full"),
        Line(-1, 0, "full", 0), Line(0, 0, "full"),
    ],
)  # fmt: skip
def test_a_line_that_is_none_is_refused(line: Line) -> None:
    answer = quoted(settings(), PLAN, (line,), Channel.WEB, NOW_MS)
    assert isinstance(answer, Refused) and answer.code is Refusal.MALFORMED
