"""Allocations that the settings say: laid, changed, taken back, and what people did in between."""

import pytest
from msgspec.structs import replace

from engine.commands import (
    Channel,
    Configure,
    Configured,
    Held,
    Refused,
    SeatStatus,
)
from engine.limits import MAX_KEPT, MAX_SEATS_NAMED
from engine.performance import Performance
from engine.settings import KeptSeats, Settings
from engine.settings_check import first_flaw
from tests.engine.small import NOW_MS, Play, house, settings

PLAN = house(["aaaab", "aaabb"], ["cccc"])
PRESS = KeptSeats("press", ("phone",), seats=(0, 1))
AGENCIES = KeptSeats("agencies", ("reseller", "phone"), categories=(1,), sections=(1,))
"""Seats 4, 8 and 9 by their category, 10 to 13 by their section."""


def play(*kept: KeptSeats) -> Play:
    return Play(PLAN, said(*kept))


def said(*kept: KeptSeats) -> Settings:
    return settings(allocations=kept)


def configure(play: Play, *kept: KeptSeats) -> None:
    assert play.configure(allocations=kept) == Configured()


def kept(play: Play) -> dict[str, tuple[int, ...]]:
    """Seats by the allocation whose they are, whatever became of them."""
    names = [one.name for one in play.allocations().allocations]
    return {name: play.allocations(name).allocations[at].named for at, name in enumerate(names)}


def may_hold(play: Play, seat: int, channel: Channel) -> bool:
    answer = play.hold(seat, by=f"{seat} {channel}", channel=channel)
    assert isinstance(answer, Held | Refused)
    return isinstance(answer, Held)


@pytest.mark.parametrize(
    ("seat", "channel", "may"),
    [
        (0, Channel.PHONE, True), (0, Channel.BOX_OFFICE, False), (0, Channel.WEB, False),
        (4, Channel.RESELLER, True), (4, Channel.PHONE, True), (4, Channel.WEB, False),
        (10, Channel.RESELLER, True), (10, Channel.BOX_OFFICE, False), (5, Channel.WEB, True),
    ],
)  # fmt: skip
def test_what_is_kept_is_for_its_channels(seat: int, channel: Channel, may: bool) -> None:
    for one in (play(PRESS, AGENCIES), play()):
        configure(one, PRESS, AGENCIES)
        assert kept(one) == {"agencies": (4, 8, 9, 10, 11, 12, 13), "press": (0, 1)}
        assert may_hold(one, seat, channel) is may


def test_of_two_that_want_a_seat_the_first_has_it() -> None:
    more = KeptSeats("more", ("web",), seats=(1, 2))
    assert kept(play(PRESS, more)) == {"press": (0, 1), "more": (2,)}
    assert kept(play(PRESS, replace(more, seats=(1,)))) == {"press": (0, 1)}


def test_a_seat_that_is_taken_is_kept_when_it_comes_free() -> None:
    one = play()
    assert may_hold(one, 0, Channel.WEB)
    configure(one, PRESS)
    assert kept(one) == {"press": (0, 1)}
    one.release(by=f"0 {Channel.WEB}")
    assert not may_hold(one, 0, Channel.WEB) and may_hold(one, 0, Channel.PHONE)


def test_what_is_said_no_longer_is_on_sale_again() -> None:
    one = play(PRESS, AGENCIES)
    configure(one, replace(PRESS, seats=(1, 2)))
    assert kept(one) == {"press": (1, 2)}
    assert may_hold(one, 0, Channel.WEB) and may_hold(one, 10, Channel.WEB)
    configure(one)
    assert kept(one) == {} and may_hold(one, 1, Channel.WEB)


def test_what_people_did_stays_until_it_is_said_otherwise() -> None:
    one = play(PRESS)
    one.allocate("press")
    one.allocate("guests", 5, 6, channels=(Channel.PHONE,))
    configure(one, PRESS, AGENCIES)
    assert kept(one).keys() == {"agencies", "guests"}, "it was released by hand"
    configure(one, replace(PRESS, seats=(1, 5)), AGENCIES)
    assert kept(one)["press"] == (1,) and kept(one)["guests"] == (5, 6)


def test_it_is_released_by_itself_and_not_kept_anew() -> None:
    ends = replace(PRESS, release_ms=NOW_MS + 1_000)
    one = play(ends)
    assert not may_hold(one, 0, Channel.WEB)
    one.at_ms = NOW_MS + 1_000
    one.expire()
    assert kept(one) == {} and may_hold(one, 0, Channel.WEB)
    configure(one, ends, AGENCIES)
    assert kept(one).keys() == {"agencies"}


def test_watchers_are_told() -> None:
    one = play()
    one.live.take()
    configure(one, PRESS)
    _, changes, _ = one.live.take()
    assert changes == [0 << 2 | SeatStatus.BLOCKED, 1 << 2 | SeatStatus.BLOCKED]
    assert one.live.statuses()[:3] == bytes([SeatStatus.BLOCKED] * 2 + [SeatStatus.AVAILABLE])


def test_what_is_rebuilt_keeps_the_same_from_the_journal_and_from_a_snapshot() -> None:
    one = play(PRESS)
    one.hold(4, by="ann")
    one.allocate("press", 0, back=True)
    configure(one, replace(PRESS, release_ms=NOW_MS + 9), AGENCIES)
    one.allocate("agencies")
    one.release(by="ann")
    configure(one, replace(PRESS, seats=(0, 1, 2)))
    events, _, _ = one.live.take()
    again = Performance(7, PLAN, said(PRESS))
    again.replay(events)
    assert again.snapshot() == one.live.snapshot()
    copy = Performance.restore(7, PLAN, one.live.snapshot())
    assert copy.snapshot() == one.live.snapshot()
    for each in (one.live, again, copy):
        each.apply(Configure(b"last" * 4, said(AGENCIES)), NOW_MS)
    assert again.snapshot() == copy.snapshot() == one.live.snapshot()


@pytest.mark.parametrize(
    ("one", "field"),
    [
        (replace(PRESS, channels=()), "allocations[0].channels"),
        (replace(PRESS, channels=("kiosk",)), "allocations[0].channels"),
        (replace(PRESS, seats=()), "allocations[0]"),
        (replace(PRESS, seats=(14,)), "allocations[0].seats"),
        (replace(PRESS, sections=(2,)), "allocations[0].sections"),
        (replace(PRESS, categories=(9,)), "allocations[0].categories"),
        (replace(PRESS, id=""), "allocations[0].id"),
        (replace(PRESS, seats=(0,) * (MAX_SEATS_NAMED + 1)), "allocations"),
    ],
)
def test_what_contradicts_the_plan_is_told(one: KeptSeats, field: str) -> None:
    flaw = first_flaw(said(one), PLAN)
    assert flaw is not None and flaw.field == field


def test_they_are_bounded_and_each_has_a_name() -> None:
    many = [replace(PRESS, id=str(number)) for number in range(MAX_KEPT + 1)]
    flaw = first_flaw(said(*many), PLAN)
    assert flaw is not None and flaw.field == "allocations"
    flaw = first_flaw(said(PRESS, PRESS), PLAN)
    assert flaw is not None and flaw.field == "allocations[1].id"
    assert first_flaw(said(PRESS, AGENCIES), PLAN) is None
