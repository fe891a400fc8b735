"""Hold, release, basket and expiry: what they do when they are not refused."""

import pytest

from engine.commands import (
    BasketIs,
    Channel,
    Configured,
    Expired,
    Held,
    Hold,
    Quoted,
    Refusal,
    Refused,
    Released,
    Sold,
)
from engine.limits import HOLD_MS, PAYMENT_HOLD_MS
from engine.plan import Plan
from engine.settings import SaleStatus
from tests.engine.small import NOW_MS, Play, house, settings, token

PLANS = {
    # Without whole tables the engine may take its quick way to hold; with them the long one.
    name: house(["aaaaaaaaaa"], tables=[(4, whole), (2, False)], areas=[(6, "c")])
    for name, whole in (("quick", False), ("full", True))
}
ANN = token("ann")
ENDS_MS = NOW_MS + HOLD_MS


@pytest.fixture(params=PLANS)
def plan(request: pytest.FixtureRequest) -> Plan:
    return PLANS[request.param]


@pytest.fixture
def play(plan: Plan) -> Play:
    return Play(plan)


def test_a_hold_claims_seats_and_places_in_the_order_named(play: Play) -> None:
    assert play.hold(2, 1, 0, areas=((0, 2),)) == Held(ANN, (2, 1, 0), ((0, 2),), ENDS_MS)
    assert play.picture() == "hhh............."
    assert play.live.area_free == [4]


def test_a_hold_grows_and_keeps_its_end(play: Play) -> None:
    play.hold(0, 1)
    play.at_ms += 60_000
    assert play.hold(2, areas=((0, 1),)) == Held(ANN, (2,), ((0, 1),), ENDS_MS)
    assert play.hold(3, areas=((0, 1),)) == Held(ANN, (3,), ((0, 1),), ENDS_MS)
    assert play.basket() == BasketIs(ANN, (0, 1, 2, 3), ((0, 2),), ENDS_MS)


def test_a_hold_is_all_or_nothing(play: Play) -> None:
    play.hold(4, 5, by="bob")
    assert isinstance(play.hold(3, 4, by="ann", areas=((0, 1),)), Refused)
    assert play.picture() == "....hh.........."
    assert play.live.area_free == [6]
    assert play.basket() == Refused(Refusal.HOLD_UNKNOWN)


def test_a_whole_table_is_held_and_released_as_one() -> None:
    play = Play(PLANS["full"])
    assert isinstance(play.hold(13, 12, 11, 10, by="ann"), Held)
    play.hold(14)
    assert play.release(12, 14) == Released(ANN, (10, 11, 12, 13, 14), ())
    assert play.picture() == "." * 16
    assert play.basket() == Refused(Refusal.HOLD_UNKNOWN), "nothing is left of it"


def test_a_chair_of_a_common_table_is_held_alone(play: Play) -> None:
    assert isinstance(play.hold(14), Held)


def test_part_of_a_hold_is_released(play: Play) -> None:
    play.hold(0, 1, 2, areas=((0, 3),))
    assert play.release(1, areas=((0, 1),)) == Released(ANN, (1,), ((0, 1),))
    assert play.basket() == BasketIs(ANN, (0, 2), ((0, 2),), ENDS_MS)
    assert play.picture() == "h.h............."
    assert play.live.area_free == [4]


def test_a_release_may_leave_a_seat_alone(play: Play) -> None:
    play.hold(0, 1, 2)
    assert play.release(1) == Released(ANN, (1,), ())


@pytest.mark.parametrize("end", ["release", "expire", "sell"])
def test_a_hold_of_scattered_seats_ends_seat_by_seat(play: Play, end: str) -> None:
    """However it came to be: what it never had, or gave back, is not touched."""
    play.hold(0, 1)
    play.hold(6, 7)
    play.hold(2, 3, 4, 5, by="bob")
    play.release(4, by="bob")
    play.hold(8, 9, by="carl")
    assert play.picture() == "hhhh.hhhhh......"
    for name in ("ann", "bob"):
        if end == "release":
            play.release(by=name)
        elif end == "sell":
            play.checkout(by=name)
            play.sell(by=name)
    if end == "expire":
        play.release(by="carl")
        play.at_ms = ENDS_MS
        play.expire()
    ends = {"release": "........hh", "sell": "ssss.ssshh", "expire": ".........."}
    assert play.picture() == ends[end] + "......"


def test_naming_nothing_releases_everything(play: Play) -> None:
    play.hold(0, 1, areas=((0, 3),))
    assert play.release() == Released(ANN, (0, 1), ((0, 3),))
    assert play.picture() == "." * 16
    assert play.live.area_free == [6]
    assert play.release() == Refused(Refusal.HOLD_UNKNOWN)


def test_releasing_all_by_name_ends_the_hold_whatever_the_order() -> None:
    play = Play(house(["aaaa"], areas=[(5, "c"), (5, "c")]))
    play.hold(0, areas=((1, 1), (0, 1)))
    play.release(0, areas=((0, 1), (1, 1)))
    assert play.basket() == Refused(Refusal.HOLD_UNKNOWN)
    assert play.live.area_free == [5, 5]


@pytest.mark.parametrize("channel", [Channel.BOX_OFFICE, Channel.PHONE])
def test_tills_sell_when_only_the_box_office_is_open(plan: Plan, channel: Channel) -> None:
    play = Play(plan, settings(status=SaleStatus.BOX_OFFICE))
    assert isinstance(play.hold(0, channel=channel), Held)
    assert isinstance(play.best(1, by="bob", channel=channel), Held)


def test_tills_are_not_bound_by_the_online_limit(plan: Plan) -> None:
    play = Play(plan, settings(max_per_order=2))
    assert isinstance(play.hold(0, 1, 2, channel=Channel.BOX_OFFICE), Held)
    assert isinstance(play.checkout(), Quoted)
    refused = play.hold(3, 4, 5, by="bob", channel=Channel.RESELLER)
    assert refused == Refused(Refusal.TOO_MANY_IN_ORDER)


def test_a_hold_made_before_the_sale_closed_is_still_sold(play: Play) -> None:
    play.hold(0, 1)
    assert play.configure(status=SaleStatus.CLOSED) == Configured()
    assert isinstance(play.checkout(), Quoted)
    assert isinstance(play.sell(), Sold)


def test_the_holds_of_a_session_are_counted_while_they_live(play: Play) -> None:

    def bob(name: str, *seats: int) -> object:
        return play.apply(Hold(play.id(), token(name), "bob", Channel.WEB, seats))

    for seat, name in enumerate("abcd"):
        assert isinstance(bob(name, seat), Held)
    assert bob("e", 4) == Refused(Refusal.BUSY)
    play.release(by="a")
    play.checkout(by="b")
    play.sell(by="b")
    for seat, name in enumerate("ef", 4):
        assert isinstance(bob(name, seat), Held)
    assert bob("g", 6) == Refused(Refusal.BUSY)
    play.at_ms = ENDS_MS
    play.expire()
    assert play.live.web_holds == {}


# Expiry ----------------------------------------------------------------------


def test_a_hold_lives_until_an_expiry_is_applied(play: Play) -> None:
    play.hold(0, 1)
    play.at_ms = ENDS_MS - 1
    assert not play.live.due(play.at_ms)
    assert play.expire() == Expired(())
    play.at_ms = ENDS_MS + 1
    assert play.live.due(play.at_ms)
    assert isinstance(play.basket(), BasketIs)
    assert play.expire() == Expired((ANN,))
    assert play.picture() == "." * 16
    assert not play.live.due(play.at_ms)
    assert play.expire() == Expired(())


def test_expiries_come_in_order_of_time_then_token(play: Play) -> None:
    play.hold(0, by="z")
    play.hold(areas=((0, 1),), by="y")
    play.at_ms += 1
    play.hold(areas=((0, 2),), by="a")
    play.at_ms = ENDS_MS
    assert play.expire() == Expired((token("y"), token("z")))
    play.at_ms += 1
    assert play.expire() == Expired((token("a"),))
    assert play.live.area_free == [6]


def test_an_expiry_ends_so_many_holds_and_the_next_one_the_rest(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.holding.MAX_EXPIRED_PER_COMMAND", 2)
    for name in "abc":
        play.hold(areas=((0, 1),), by=name)
    play.at_ms = ENDS_MS
    assert play.expire() == Expired((token("a"), token("b")))
    assert play.live.due(play.at_ms)
    assert play.expire() == Expired((token("c"),))


def test_a_token_used_again_at_once_expires_once(play: Play) -> None:
    play.live.due(ENDS_MS - 1_000)
    play.hold(areas=((0, 1),), by="al")
    play.hold(0)
    play.release()
    play.hold(0)
    play.at_ms = ENDS_MS
    assert play.expire() == Expired((token("al"), ANN))
    assert play.expire() == Expired(())


def test_short_and_long_holds_expire_when_their_time_comes(play: Play) -> None:
    for hold_ms, name in ((60_000, "slow"), (10, "quick"), (7_000, "middling")):
        play.configure(hold_ms=hold_ms)
        play.hold(areas=((0, 1),), by=name)
        assert not play.live.due(NOW_MS)
    for after_ms, name in ((10, "quick"), (7_000, "middling"), (60_000, "slow")):
        play.at_ms = NOW_MS + after_ms - 1
        assert not play.live.due(play.at_ms)
        play.at_ms += 1
        assert play.live.due(play.at_ms)
        assert play.expire() == Expired((token(name),))


def test_holds_made_in_any_order_expire_in_the_order_of_their_ends(play: Play) -> None:
    assert not play.live.due(NOW_MS)
    for hold_ms, name in ((3_000, "slow"), (10, "quick"), (2_000, "middling")):
        play.configure(hold_ms=hold_ms)
        play.hold(areas=((0, 1),), by=name)
    for after_ms, name in ((10, "quick"), (2_000, "middling"), (3_000, "slow")):
        play.at_ms = NOW_MS + after_ms
        assert play.expire() == Expired((token(name),))


@pytest.mark.parametrize("hold_ms", [1, 4_999, 5_000, 5_001])
@pytest.mark.parametrize("looked", ["before it was made", "since"])
def test_a_hold_is_due_in_its_millisecond(plan: Plan, hold_ms: int, looked: str) -> None:
    """Holds are queued when they are near their end: 5 s are looked ahead."""
    play = Play(plan, settings(hold_ms=hold_ms))
    if looked != "since":
        assert not play.live.due(NOW_MS)
    play.hold(0)
    assert not play.live.due(NOW_MS)
    assert not play.live.due(NOW_MS + hold_ms - 1)
    assert play.live.due(NOW_MS + hold_ms)


def test_what_was_released_is_not_due(plan: Plan) -> None:
    play = Play(plan, settings(hold_ms=1_000))
    assert not play.live.due(NOW_MS)
    play.hold(0)
    play.release()
    assert not play.live.due(NOW_MS + 1_000)


def test_payment_extends_a_hold_once(play: Play) -> None:
    play.hold(0, 1)
    play.at_ms += 60_000
    extended_ms = play.at_ms + PAYMENT_HOLD_MS
    quoted = play.checkout()
    assert isinstance(quoted, Quoted) and quoted.expires_ms == extended_ms
    play.at_ms += 60_000
    for _ in range(2):
        play.reopen()
        again = play.checkout(order="o2")
        assert isinstance(again, Quoted) and again.expires_ms == extended_ms
    play.at_ms = ENDS_MS
    assert not play.live.due(play.at_ms)
    play.at_ms = extended_ms
    assert play.expire() == Expired((ANN,))
    assert play.sell(order="o2") == Refused(Refusal.HOLD_UNKNOWN)


@pytest.mark.parametrize("cap_ms", [3_000, 5_000])
def test_an_extension_that_ends_soon_is_not_overlooked(plan: Plan, cap_ms: int) -> None:
    play = Play(plan, settings(hold_ms=1_000, hold_cap_ms=cap_ms))
    play.hold(0)
    assert not play.live.due(NOW_MS)
    play.checkout()
    assert not play.live.due(NOW_MS + cap_ms - 1)
    assert play.live.due(NOW_MS + cap_ms)


def test_no_hold_outlives_the_cap(plan: Plan) -> None:
    play = Play(plan, settings(hold_ms=60_000, hold_cap_ms=600_000))
    play.hold(0, 1)
    play.at_ms += 59_000
    quoted = play.checkout()
    assert isinstance(quoted, Quoted) and quoted.expires_ms == NOW_MS + 600_000
    short = Play(plan, settings(hold_ms=60_000, hold_cap_ms=30_000))
    held = short.hold(0)
    assert isinstance(held, Held) and held.expires_ms == NOW_MS + 30_000


def test_payment_never_shortens_a_hold(plan: Plan) -> None:
    play = Play(plan, settings(hold_ms=3_600_000))
    play.hold(0)
    quoted = play.checkout()
    assert isinstance(quoted, Quoted) and quoted.expires_ms == NOW_MS + 3_600_000
