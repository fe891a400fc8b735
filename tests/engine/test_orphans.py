"""The orphan rule: by example, and against a slow reading of its definition."""

import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from engine.commands import Channel, Held, Refusal, Refused
from engine.house import House
from engine.orphans import leaves_alone, orphans
from tests.engine.slow import slow_orphans
from tests.engine.small import Play, house, settings


def taken(play: Play, pattern: str) -> Play:
    """Blocks the seats marked x."""
    play.block(*[seat for seat, mark in enumerate(pattern) if mark == "x"])
    return play


# (the row with x for seats that cannot be had, seats asked for, seats that would be left alone)
EXAMPLES: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = [
    ("......", (0, 1), ()),
    ("......", (1, 2), (0,)),
    ("......", (2, 3), ()),
    ("......", (0, 2), (1,)),
    ("......", (3, 4), (5,)),
    (".....x", (2, 3), (4,)),
    ("x.....", (2, 3), (1,)),
    ("......", (1, 4), (0, 5)),
    # Alone before: not this choice's doing.
    (".x....", (2, 3), ()),
    # No two seats side by side are left that would leave nobody alone.
    ("...xxx", (0, 1), ()),
    ("...xxx", (1,), (0, 2)),
    # A pair fits the gap of two better.
    ("...x..", (0, 1), (2,)),
    ("...x..", (4, 5), ()),
]


@pytest.mark.parametrize(("row", "seats", "alone"), EXAMPLES)
def test_a_row_of_six(row: str, seats: tuple[int, ...], alone: tuple[int, ...]) -> None:
    play = taken(Play(house(["aaaaaa"])), row)
    outcome = play.hold(*seats)
    if alone:
        assert outcome == Refused(Refusal.ORPHAN, alone)
    else:
        assert isinstance(outcome, Held)


def test_an_aisle_is_a_wall() -> None:
    play = Play(house(["aaa aaaa"]))
    assert play.hold(0, 1) == Refused(Refusal.ORPHAN, (2,))
    assert isinstance(play.hold(3, 4), Held)


def test_the_hold_counts_as_a_whole() -> None:
    play = Play(house(["aaaaaa", "aaaaaaa"]))
    play.hold(0, 1, 2)
    assert play.hold(3, 4) == Refused(Refusal.ORPHAN, (5,)), "five side by side are free behind"
    assert isinstance(play.hold(3, 4, 5), Held)


def test_a_larger_group_may_have_no_other_choice() -> None:
    play = Play(house(["aaaaaa", "aaa"]))
    play.hold(0, 1, 2)
    assert isinstance(play.hold(3, 4), Held), "no other five side by side"


def test_a_better_choice_is_of_the_same_category() -> None:
    assert isinstance(Play(house(["aaa", "bbbb"])).hold(0, 1), Held)
    refused = Play(house(["aaa", "aaaa"])).hold(0, 1)
    assert refused == Refused(Refusal.ORPHAN, (2,))
    mixed = Play(house(["aab", "bbbb"])).hold(0, 1)
    assert isinstance(mixed, Held), "of the pair's category there is no other"
    mixed = Play(house(["aba", "bbbb"])).hold(0, 1)
    assert mixed == Refused(Refusal.ORPHAN, (2,))


def test_a_better_choice_may_begin_at_any_seat() -> None:
    # At the first a the b beside it is left alone, at the third the last a: at the second nobody.
    play = Play(house(["aaa", "baaaaa"]))
    assert play.hold(0, 1) == Refused(Refusal.ORPHAN, (2,))


def test_nobody_is_alone_at_a_table() -> None:
    play = Play(house(["aaaa"], tables=[(4, False)]))
    assert isinstance(play.hold(4, 5, 6), Held)


@pytest.mark.parametrize("channel", list(Channel))
def test_it_binds_every_channel_unless_switched_off(channel: Channel) -> None:
    plan = house(["aaaaaa"])
    assert Play(plan).hold(1, 2, channel=channel) == Refused(Refusal.ORPHAN, (0,))
    # A whole table somewhere makes the engine take its long way.
    for other in (plan, house(["aaaaaa"], tables=[(4, True)])):
        free = Play(other, settings(orphan_rule=False))
        assert isinstance(free.hold(1, 2, channel=channel), Held)


def test_a_wheelchair_place_is_a_seat_like_another() -> None:
    assert Play(house(["aaaA", "aaaa"])).hold(1, 2) == Refused(Refusal.ORPHAN, (0, 3))


# Against the definition ------------------------------------------------------

drawings = st.lists(
    st.text(alphabet="aaab ", min_size=1, max_size=9), min_size=1, max_size=3
).filter(lambda rows: all(row.strip() for row in rows))


@checks(deadline=None)
@given(drawings, st.data())
def test_it_is_what_its_definition_says(rows: list[str], data: st.DataObject) -> None:
    plan = house(rows)
    laid = House(plan)
    seats = list(range(len(plan.seats)))
    kinds = data.draw(st.lists(st.sampled_from("fffcox"), min_size=len(seats), max_size=len(seats)))
    chosen = {seat for seat in seats if kinds[seat] == "c"}
    own = {seat for seat in seats if kinds[seat] == "o"}
    free = {seat for seat in seats if kinds[seat] in "fc"}
    view = laid.empty()
    for seat in seats:
        if seat not in free:
            view[laid.positions[seat]] = 1
    found = orphans(
        laid,
        view,
        [laid.positions[seat] for seat in chosen],
        [laid.positions[seat] for seat in own],
    )
    assert tuple(sorted(found)) == slow_orphans(plan, free, chosen, own)


@checks(deadline=None)
@given(st.lists(st.booleans(), min_size=1, max_size=12), st.data())
def test_a_slice_leaves_somebody_alone_just_when_the_rule_says(
    row: list[bool], data: st.DataObject
) -> None:
    plan = house(["a" * len(row)])
    laid = House(plan)
    view = laid.empty()
    for seat, gone in enumerate(row):
        view[laid.positions[seat]] = gone
    first = data.draw(st.integers(0, len(row) - 1))
    end = data.draw(st.integers(first + 1, len(row)))
    free = {seat for seat, gone in enumerate(row) if not gone}
    window = set(range(first, end))
    if not window <= free:
        return
    after = free - window
    alone = {
        seat
        for seat in (first - 1, end)
        if seat in after and seat - 1 not in after and seat + 1 not in after
    }
    position = laid.positions[first]
    assert leaves_alone(view, position, position + end - first) == bool(alone)


@checks(deadline=None)
@given(drawings, st.data())
def test_the_quick_way_to_hold_agrees_with_the_full_one(
    rows: list[str], data: st.DataObject
) -> None:
    plan = house(rows)
    quick, full = Play(plan), Play(plan)
    full.live.quick_places = -1
    gone = data.draw(st.sets(st.integers(0, len(plan.seats) - 1), max_size=len(plan.seats) - 1))
    kept = data.draw(st.booleans())
    for play in (quick, full):
        if kept and gone:
            play.allocate("kept", *sorted(gone), channels=[Channel.BOX_OFFICE])
        elif gone:
            play.block(*sorted(gone))
    for name in "abc":
        first = data.draw(st.integers(-1, len(plan.seats)))
        count = data.draw(st.integers(0, 5))
        channel = data.draw(st.sampled_from(Channel))
        asked = tuple(range(first, first + count))
        outcomes = [play.hold(*asked, by=name, channel=channel) for play in (quick, full)]
        assert outcomes[0] == outcomes[1]
        assert quick.picture() == full.picture()
