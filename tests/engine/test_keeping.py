"""Block, unblock and allocations."""

import msgspec
import pytest

from engine.commands import (
    Allocate,
    Allocated,
    AllocationUse,
    Blocked,
    Channel,
    Expired,
    Held,
    Refusal,
    Refused,
    Released,
    Sold,
    Unblocked,
)
from engine.performance import Performance
from engine.settings import Surplus
from tests.engine.small import NOW_MS, Play, house, settings

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


# Released by itself, in part, and told of --------------------------------------------------


def test_an_allocation_is_released_at_its_time_by_an_event_and_once(play: Play) -> None:
    play.allocate("guests", 0, 1, channels=[Channel.PHONE], release_ms=NOW_MS + 10)
    play.allocate("press", 4, channels=[Channel.PHONE], release_ms=NOW_MS + 10)
    play.allocate("later", 6, channels=[Channel.PHONE], release_ms=NOW_MS + 11)
    play.allocate("kept", 8, channels=[Channel.PHONE])
    play.hold(0, by="guest", channel=Channel.PHONE)
    play.at_ms += 9
    assert not play.live.due(play.at_ms) and play.expire() == Expired(())
    play.at_ms += 1
    assert play.live.due(play.at_ms)
    assert play.picture() == "hx..x.x.x."
    play.live.take()
    assert play.expire() == Expired((), ("guests", "press"))
    events, changes, _ = play.live.take()
    assert len(events) == 1 and sorted(change >> 2 for change in changes) == [1, 4]
    assert play.picture() == "h.....x.x."
    assert not play.live.due(play.at_ms) and play.expire() == Expired(())
    play.at_ms += 1
    assert play.expire() == Expired((), ("later",))


def test_a_time_of_release_outlives_a_restart(play: Play) -> None:
    play.allocate("guests", 0, channels=[Channel.PHONE], release_ms=NOW_MS + 10)
    play.live = Performance.restore(7, PLAN, play.live.snapshot())
    assert not play.live.due(NOW_MS + 9) and play.live.due(NOW_MS + 10)


def test_time_and_channels_are_changed_by_naming_the_seats_again(play: Play) -> None:
    play.allocate("guests", 0, 1, 2, channels=[Channel.PHONE], release_ms=NOW_MS + 10)
    play.buy(0, by="guest", channel=Channel.PHONE)
    told = play.allocate("guests", 0, 1, 3, channels=[Channel.WEB], release_ms=NOW_MS + 20)
    assert told == Allocated("guests", (0, 1, 3))
    assert play.picture() == "sxxx......"
    assert not play.live.due(NOW_MS + 19) and play.live.due(NOW_MS + 20)
    play.refund(1)
    assert isinstance(play.hold(0, 1, 2, 3), Held)


def test_a_part_of_an_allocation_is_given_back(play: Play) -> None:
    play.allocate("guests", 0, 1, 2, channels=[Channel.PHONE], release_ms=NOW_MS + 10)
    play.hold(0, by="guest", channel=Channel.PHONE)
    assert play.allocate("guests", 0, 1, back=True) == Allocated("guests", (0, 1))
    assert play.picture() == "h.x......."
    strange = play.allocate("guests", 2, 5, back=True)
    assert strange == Refused(Refusal.MALFORMED, (), "guests")
    assert play.live.due(NOW_MS + 10), "the rest keeps its time"
    assert play.allocate("guests", 2, back=True) == Allocated("guests", (2,))
    assert play.allocations().allocations == ()
    assert not play.live.due(NOW_MS + 10)
    assert play.allocate("", 3, back=True) == Refused(Refusal.MALFORMED, (), "")


def test_the_list_says_how_much_is_left(play: Play) -> None:
    play.allocate("b", 0, 1, 2, 3, channels=[Channel.PHONE], release_ms=NOW_MS + 10)
    play.allocate("a", 5, channels=[Channel.WEB])
    play.buy(0, by="guest", channel=Channel.PHONE)
    play.hold(1, by="other", channel=Channel.PHONE)
    play.block(2)
    play.live.take()
    told = play.allocations("b")
    assert told.allocations == (
        AllocationUse("a", (Channel.WEB,), 0, 1, 1, 0, 0),
        AllocationUse("b", (Channel.PHONE,), NOW_MS + 10, 4, 1, 1, 1, (0, 1, 2, 3)),
    )
    assert told.surplus == AllocationUse("", TILL, 0, 0, 0, 0, 0)
    assert told.areas == ()
    assert play.live.take()[0] == [], "it was a question"


def test_an_allocation_of_an_older_journal_is_read() -> None:
    old = ["allocate", b"i" * 16, "guests", ["phone"], [0, 1]]
    new = msgspec.msgpack.decode(msgspec.msgpack.encode(old), type=Allocate)
    assert new == Allocate(b"i" * 16, "guests", (Channel.PHONE,), (0, 1))
    expired = msgspec.msgpack.decode(msgspec.msgpack.encode(["expired", []]), type=Expired)
    assert expired == Expired(())


# The surplus -----------------------------------------------------------------------------

MIXED = house(["aaabbb"], areas=[(6, "c"), (4, "b")])


@pytest.fixture
def surplus() -> Play:
    return Play(MIXED, settings(surplus=Surplus((1,))))


def test_a_surplus_is_the_tills_and_is_not_shown_to_the_public(surplus: Play) -> None:
    assert surplus.picture() == "...xxx"
    assert surplus.live.areas_left() == [6, 0]
    assert surplus.hold(3, 4) == Refused(Refusal.SEAT_BLOCKED, (3, 4))
    refused = surplus.hold(areas=((1, 1),), channel=Channel.RESELLER)
    assert refused == Refused(Refusal.AREA_BLOCKED, (), "1")
    for channel, seat in zip(TILL, (3, 4), strict=True):
        assert isinstance(surplus.hold(seat, by=channel, channel=channel), Held)
    assert isinstance(surplus.hold(by="t", areas=((1, 1),), channel=Channel.PHONE), Held)
    _, changes, areas = surplus.live.take()
    assert changes == [3 << 2 | 1, 4 << 2 | 1]
    assert areas == [(1, 0)], "nothing of the area is the public's"
    told = surplus.allocations()
    assert told.surplus == AllocationUse("", TILL, 0, 3, 1, 2, 0)
    assert told.areas == ((1, 3),)


def test_what_always_was_so_is_no_news(surplus: Play) -> None:
    assert surplus.live.take() == ([], [], [])


def test_best_available_looks_there_for_tills_only(surplus: Play) -> None:
    web = surplus.best(3, by="web")
    assert isinstance(web, Held) and web.seats == (0, 1, 2)
    none = surplus.best(1, by="w2", area=1)
    assert none == Refused(Refusal.NONE_LEFT)
    assert isinstance(surplus.best(2, by="w3"), Held), "of the other area"
    till = surplus.best(2, by="till", channel=Channel.PHONE)
    assert isinstance(till, Held) and set(till.seats) <= {3, 4, 5}
    area = surplus.best(2, by="till", channel=Channel.PHONE, area=1)
    assert isinstance(area, Held) and area.areas == ((1, 2),)


def test_what_is_sold_of_a_surplus_comes_back_to_it(surplus: Play) -> None:
    surplus.buy(3, 4, 5, channel=Channel.BOX_OFFICE)
    surplus.refund(1)
    assert surplus.picture() == "...xss"
    assert isinstance(surplus.hold(3, by="t", channel=Channel.PHONE), Held)


def test_a_surplus_may_be_marked_and_freed_while_it_is_sold() -> None:
    play = Play(MIXED)
    play.hold(3, 4, 5)
    play.block(0)
    play.allocate("guests", 1, channels=[Channel.WEB])
    play.live.take()
    play.configure(surplus=Surplus((0, 1)))
    _, changes, areas = play.live.take()
    assert (changes, areas) == ([2 << 2 | 3], [(1, 0)])
    assert play.picture() == "xxxhhh"
    play.release()
    assert play.picture() == "xxxxxx"
    assert play.hold(2, by="web") == Refused(Refusal.SEAT_BLOCKED, (2,))
    assert isinstance(play.hold(1, by="web"), Held), "it is kept for the web"
    play.release(by="web")
    assert isinstance(play.hold(1, by="web"), Held), "and comes back there"
    play.allocate("guests")
    play.release(by="web")
    assert play.hold(1, by="web") == Refused(Refusal.SEAT_BLOCKED, (1,))
    play.unblock(0)
    restored = Performance.restore(7, MIXED, play.live.snapshot())
    assert restored.snapshot() == play.live.snapshot()
    for live in (play.live, restored):
        play.live = live
        play.configure()
        assert play.picture() == "......"
        assert live.areas_left() == [6, 4]


def test_nobody_allocates_what_is_surplus(surplus: Play) -> None:
    refused = surplus.allocate("guests", 2, 3, channels=[Channel.WEB])
    assert refused == Refused(Refusal.SEAT_BLOCKED, (3,))


def test_settings_that_came_later_make_the_same_state() -> None:
    """The database keeps the newest settings only: a replay begins with those."""
    play = Play(MIXED)
    play.hold(3, 4, 5)
    play.allocate("guests", 0, channels=[Channel.WEB])
    play.configure(surplus=Surplus((1,)))
    play.release()
    play.allocate("guests")
    facts, _, _ = play.live.take()
    replayed = Performance(7, MIXED, settings(surplus=Surplus((1,))))
    replayed.replay(facts)
    assert replayed.snapshot() == play.live.snapshot()
    assert (replayed.base, replayed.sights) == (play.live.base, play.live.sights)
