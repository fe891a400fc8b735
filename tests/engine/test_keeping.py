"""Block, unblock and allocations."""

import pytest

from engine.commands import (
    Allocated,
    Blocked,
    Channel,
    Held,
    Refusal,
    Refused,
    Released,
    Sold,
    Unblocked,
)
from engine.performance import Performance
from tests.engine.small import Play, house

PLAN = house(["aaaaaaaaaa"], areas=[(6, "c")])
TILL = (Channel.BOX_OFFICE, Channel.PHONE)


@pytest.fixture
def play() -> Play:
    return Play(PLAN)


def test_blocked_seats_and_places_are_off_sale_until_put_back(play: Play) -> None:
    assert play.block(0, 5, areas=((0, 4),)) == Blocked((0, 5), ((0, 4),))
    assert play.picture() == "x....x...."
    assert play.live.area_free == [2]
    assert play.unblock(5, 6, areas=((0, 9),)) == Unblocked((5,), ((0, 4),))
    assert play.picture() == "x........."
    assert play.live.area_free == [6]
    assert play.unblock(5, areas=((0, 1),)) == Unblocked((), ()), (
        "there is nothing left to put back"
    )


def test_all_that_is_left_of_an_area_is_blocked(play: Play) -> None:
    play.hold(areas=((0, 2),))
    assert play.block(areas=((0, 4),)) == Blocked((), ((0, 4),))
    assert play.live.area_free == [0]


def test_unblocking_touches_neither_held_nor_sold_seats(play: Play) -> None:
    play.buy(0, 1)
    play.hold(2, by="bob")
    assert play.unblock(0, 2) == Unblocked((), ())
    assert play.picture() == "ssh......."


def test_the_house_may_leave_a_seat_alone(play: Play) -> None:
    assert isinstance(play.block(1), Blocked)


def test_kept_seats_show_as_blocked_and_are_sold_to_their_channels(play: Play) -> None:
    assert play.allocate("till", 0, 1, 2, channels=TILL) == Allocated("till", (0, 1, 2))
    assert play.picture() == "xxx......."
    assert play.hold(2, 3) == Refused(Refusal.SEAT_BLOCKED, (2,))
    for channel, seat in zip(TILL, (0, 1), strict=True):
        held = play.hold(seat, by=channel, channel=channel)
        assert isinstance(held, Held), held
    assert play.picture() == "hhx......."


def test_kept_seats_are_kept_for_the_same_channels_after_a_restart(play: Play) -> None:
    play.allocate("till", 0, 1, channels=TILL)
    play.live = Performance.restore(7, PLAN, play.live.snapshot())
    assert play.hold(0) == Refused(Refusal.SEAT_BLOCKED, (0,))
    assert isinstance(play.hold(0, by="till", channel=Channel.PHONE), Held)


def test_a_kept_seat_comes_back_to_its_allocation(play: Play) -> None:
    play.allocate("till", 0, 1, 2, 3, channels=TILL)
    play.buy(0, 1, channel=Channel.BOX_OFFICE)
    play.hold(2, 3, by="bob", channel=Channel.PHONE)
    play.refund(1)
    assert isinstance(play.release(2, 3, by="bob"), Released)
    assert play.picture() == "xsxx......"
    assert isinstance(play.hold(0, by="carl", channel=Channel.PHONE), Held)


def test_ending_an_allocation_puts_what_it_keeps_on_sale(play: Play) -> None:
    play.allocate("till", 0, 1, 2, 3, channels=TILL)
    play.hold(0, channel=Channel.BOX_OFFICE)
    play.block(1)
    assert play.allocate("till") == Allocated("till", (0, 1, 2, 3))
    assert play.picture() == "hx........"
    play.release()
    play.unblock(1)
    assert play.picture() == ".........."
    assert play.allocate("till") == Refused(Refusal.MALFORMED, (), "till")


def test_an_allocation_grows_and_changes_its_channels(play: Play) -> None:
    play.allocate("guests", 0, channels=[Channel.PHONE])
    assert isinstance(play.allocate("guests", 1, channels=[Channel.WEB]), Allocated)
    assert isinstance(play.hold(0, 1), Held)
    assert play.hold(0, by="bob", channel=Channel.PHONE) == Refused(Refusal.SEAT_TAKEN, (0,))


def test_allocations_stay_apart_when_codes_are_used_again(play: Play) -> None:
    play.allocate("one", 0, channels=[Channel.WEB])
    play.allocate("two", 2, channels=[Channel.PHONE])
    play.allocate("one")
    play.allocate("three", 4, channels=[Channel.RESELLER])
    assert play.picture() == "..x.x....."
    play.allocate("two")
    assert play.picture() == "....x....."
    assert play.hold(4, by="w") == Refused(Refusal.SEAT_BLOCKED, (4,))


def test_blocking_a_kept_seat_and_back(play: Play) -> None:
    play.allocate("till", 0, channels=TILL)
    play.block(0)
    refused = play.hold(0, channel=Channel.BOX_OFFICE)
    assert refused == Refused(Refusal.SEAT_BLOCKED, (0,))
    play.unblock(0)
    assert play.picture() == "x........."
    assert isinstance(play.hold(0, channel=Channel.BOX_OFFICE), Held)


def test_the_orphan_rule_looks_with_the_eyes_of_the_channel(play: Play) -> None:
    # Seat 0 is the till's: for the web seat 1 stands at a wall, for the till it does not.
    play.allocate("till", 0, channels=TILL)
    assert isinstance(play.hold(1, 2, by="web"), Held)
    assert isinstance(play.hold(0, by="till", channel=Channel.BOX_OFFICE), Held)
    again = Play(PLAN)
    again.allocate("till", 0, channels=TILL)
    refused = again.hold(1, 2, by="till", channel=Channel.BOX_OFFICE)
    assert refused == Refused(Refusal.ORPHAN, (0,))


def test_best_available_takes_kept_seats_for_their_channel(play: Play) -> None:
    play.allocate("till", 4, 5, channels=TILL)
    web = play.best(2, by="web")
    assert isinstance(web, Held) and not {4, 5} & set(web.seats)
    till = play.best(2, by="till", channel=Channel.BOX_OFFICE)
    assert isinstance(till, Held) and till.seats == (4, 5)
    play.checkout(by="till")
    assert isinstance(play.sell(by="till"), Sold)
