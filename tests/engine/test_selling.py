"""Checkout, sale, refund and ticket states: what they do when they are not refused."""

import pytest

from engine.commands import (
    BasketIs,
    Channel,
    Checkout,
    Line,
    Quoted,
    Refunded,
    Refusal,
    Refused,
    Released,
    Reopened,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
)
from engine.limits import HOLD_MS, PAYMENT_HOLD_MS
from engine.settings import Price, PriceType
from tests.engine.small import NOW_MS, Play, house, settings, token

PLAN = house(["aaaaabbbbb"], areas=[(6, "c"), (9, "d")])
EXTENDED_MS = NOW_MS + PAYMENT_HOLD_MS


# A limit of any type makes the engine price the long way.
RULES = {
    "quick": settings(),
    "full": settings(
        price_types=(
            PriceType("full", {}),
            PriceType("half", {}),
            PriceType("rare", {}, max_per_order=1),
        )
    ),
}


@pytest.fixture(params=RULES)
def play(request: pytest.FixtureRequest) -> Play:
    return Play(PLAN, RULES[request.param])


def test_a_checkout_is_priced_per_place_and_summed(play: Play) -> None:
    play.hold(4, 5, areas=((0, 3),))
    quoted = play.checkout(
        Line(5, -1, "half"),
        Line(-1, 0, "full", 2),
        Line(4, -1, "full"),
        Line(-1, 0, "half", 1),
    )
    assert quoted == Quoted(
        "o1", (450, 800, 1_000, 400), 450 + 2 * 800 + 1_000 + 400, "EUR", EXTENDED_MS
    )
    assert play.basket() == BasketIs(token("ann"), (4, 5), ((0, 3),), EXTENDED_MS, "o1")


def test_the_same_order_is_quoted_again_with_other_lines(play: Play) -> None:
    play.hold(0, 1)
    play.checkout()
    again = play.checkout(Line(1, -1, "half"), Line(0, -1, "full"))
    assert again == Quoted("o1", (500, 1_000), 1_500, "EUR", EXTENDED_MS)
    sold = play.sell()
    assert sold == Sold("o1", (Ticket(1, 1, -1, "half", 500), Ticket(2, 0, -1, "full", 1_000)))


def test_a_refused_new_quote_leaves_the_old_one(play: Play) -> None:
    play.hold(0)
    play.checkout()
    assert isinstance(play.checkout(Line(0, -1, "giant")), Refused)
    assert play.sell() == Sold("o1", (Ticket(1, 0, -1, "full", 1_000),))


def test_a_reopened_hold_changes_and_is_sold_for_another_order(play: Play) -> None:
    play.hold(0, 1)
    play.checkout()
    assert play.reopen() == Reopened("o1")
    assert play.sell() == Refused(Refusal.WRONG_ORDER)
    assert isinstance(play.release(1), Released)
    play.checkout(order="o2")
    assert isinstance(play.sell(order="o2"), Sold)


def test_tickets_are_numbered_through_one_a_place(play: Play) -> None:
    assert isinstance(play.buy(0, 1), Sold)
    sold = play.buy(5, by="bob", order="o2", areas=((1, 2),))
    assert sold == Sold(
        "o2",
        (
            Ticket(3, 5, -1, "full", 900),
            Ticket(4, -1, 1, "full", 700),
            Ticket(5, -1, 1, "full", 700),
        ),
    )
    assert play.picture() == "ss...s...."
    assert play.live.area_free == [6, 7]


def test_the_quoted_amount_is_sold_whatever_prices_are_now(play: Play) -> None:
    play.hold(0)
    play.checkout()
    play.configure(prices=())
    assert play.sell() == Sold("o1", (Ticket(1, 0, -1, "full", 1_000),))


def test_an_unpaid_sale_makes_unpaid_tickets(play: Play) -> None:
    play.hold(0)
    play.checkout()
    sold = play.sell(paid=False)
    assert isinstance(sold, Sold) and sold.state is TicketState.UNPAID
    assert play.live.ticket_states == {1: TicketState.UNPAID}


def test_the_hold_channel_decides_what_is_sold() -> None:
    types = (PriceType("full", {}), PriceType("half", {}, box_office_only=True))
    play = Play(PLAN, settings(price_types=types))
    play.hold(0, channel=Channel.PHONE)
    assert isinstance(play.checkout(Line(0, -1, "half")), Quoted)


def test_an_early_bird_is_quoted_until_its_end() -> None:
    types = (PriceType("half", {}, until_ms=NOW_MS + 1), PriceType("full", {}))
    play = Play(PLAN, settings(price_types=types))
    play.hold(0)
    assert isinstance(play.checkout(Line(0, -1, "half")), Quoted)
    play.at_ms += 1
    assert play.checkout(Line(0, -1, "half")) == Refused(Refusal.NO_PRICE, (0,), "half")
    assert play.sell() == Sold("o1", (Ticket(1, 0, -1, "half", 500),)), "the quote holds"


def test_a_free_ticket_is_sold_for_nothing(play: Play) -> None:
    play.configure(prices=(Price(0, "full", 0),))
    play.hold(0)
    quoted = play.checkout()
    assert isinstance(quoted, Quoted) and (quoted.amounts, quoted.total) == ((0,), 0)


# Limits ----------------------------------------------------------------------


def test_a_buyer_has_places_again_after_refund_reopening_or_expiry() -> None:
    play = Play(PLAN, settings(max_per_buyer=2))
    play.hold(0, 1)
    play.checkout(buyer="x")
    play.hold(4, by="bob")
    assert play.checkout(by="bob", order="o2", buyer="x") == Refused(Refusal.TOO_MANY_FOR_BUYER)
    assert isinstance(play.checkout(buyer="x"), Quoted), "a hold is not in its own way"
    assert isinstance(play.checkout(by="bob", order="o2", buyer="y"), Quoted)
    play.reopen(by="bob", order="o2")
    play.sell()
    assert play.checkout(by="bob", order="o2", buyer="x") == Refused(Refusal.TOO_MANY_FOR_BUYER)
    play.refund(1)
    assert isinstance(play.checkout(by="bob", order="o2", buyer="x"), Quoted)
    play.at_ms += HOLD_MS + PAYMENT_HOLD_MS
    play.expire()
    play.hold(4, 5, by="carl")
    assert play.live.buyer_places == {"x": 1}


@pytest.mark.parametrize(
    "more", [{}, {"max_per_buyer": 2}, {"price_types": RULES["full"].price_types}]
)
def test_as_many_as_the_limits_say_are_sold(more: dict[str, object]) -> None:
    play = Play(PLAN, settings(max_per_order=2, **more))
    assert isinstance(play.buy(0, 1), Sold)


def test_nobody_in_particular_has_no_limit() -> None:
    play = Play(PLAN, settings(max_per_buyer=1))
    play.hold(0, 1)
    lines = (Line(0, -1, "full"), Line(1, -1, "full"))
    assert isinstance(play.apply(Checkout(play.id(), token("ann"), "o", "", lines)), Quoted)


def test_a_limit_of_a_type_counts_places_of_areas_and_binds_tills() -> None:
    types = (PriceType("full", {}), PriceType("half", {}, max_per_order=2))
    play = Play(PLAN, settings(price_types=types))
    play.hold(0, areas=((0, 2),), channel=Channel.BOX_OFFICE)
    refused = play.checkout(Line(0, -1, "half"), Line(-1, 0, "half", 2))
    assert refused == Refused(Refusal.TOO_MANY_OF_TYPE, (), "half")
    assert isinstance(play.checkout(Line(0, -1, "full"), Line(-1, 0, "half", 2)), Quoted)


# Refunds and states ----------------------------------------------------------


def test_a_refund_frees_the_places_and_sums_the_amounts(play: Play) -> None:
    play.buy(4, 5, areas=((0, 2),))
    assert play.refund(2, 3) == Refunded("o1", (2, 3), 900 + 800)
    assert play.picture() == "....s....."
    assert play.live.area_free == [5, 9]
    assert isinstance(play.buy(5, 6, by="bob", order="o2"), Sold)
    assert play.refund(1, 2) == Refused(Refusal.TICKET_STATE, (), "2"), "nothing of it"
    assert play.picture() == "....sss..."


def test_a_refund_is_counted_for_the_buyer_of_the_ticket(play: Play) -> None:
    play.buy(0, by="bob")
    play.buy(1, 2, order="o2")
    play.refund(2, order="o2")
    assert play.live.buyer_places == {"bob": 1, "ann": 1}


@pytest.mark.parametrize("state", [TicketState.UNPAID, TicketState.BLOCKED, TicketState.REVOKED])
def test_a_ticket_in_any_live_state_is_refunded(play: Play, state: TicketState) -> None:
    play.buy(0)
    play.set_tickets(1, state=state)
    assert play.refund(1) == Refunded("o1", (1,), 1_000)


def test_revoking_raises_the_version_each_time_and_nothing_else_does(play: Play) -> None:
    play.buy(0, 1)
    assert play.set_tickets(2, 1, state=TicketState.BLOCKED) == TicketsSet(
        ((2, 0), (1, 0)), TicketState.BLOCKED
    )
    assert play.set_tickets(1, state=TicketState.REVOKED) == TicketsSet(
        ((1, 1),), TicketState.REVOKED
    )
    assert play.set_tickets(1, state=TicketState.REVOKED) == TicketsSet(
        ((1, 2),), TicketState.REVOKED
    )
    assert play.set_tickets(1, 2, state=TicketState.VALID) == TicketsSet(
        ((1, 2), (2, 0)), TicketState.VALID
    )
    assert play.live.ticket_states == {}


def test_a_reissued_ticket_has_a_new_version_and_admits(play: Play) -> None:
    play.buy(0, 1)
    play.buy(2, by="bob", order="o2")
    assert play.reissue(2, 1) == TicketsSet(((2, 1), (1, 1)), TicketState.VALID)
    assert play.reissue(2) == TicketsSet(((2, 2),), TicketState.VALID)
    assert play.reissue(3) == Refused(Refusal.TICKET_UNKNOWN, (), "3"), "another's"
    for state in (TicketState.UNPAID, TicketState.BLOCKED, TicketState.REVOKED):
        play.set_tickets(1, state=state)
        assert play.reissue(2, 1) == Refused(Refusal.TICKET_STATE, (), "1"), "not made valid by it"
    assert play.live.ticket_versions[2] == 2
