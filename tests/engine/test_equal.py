"""Seats as good as others: of the same category, as many, and together where those were."""

import pytest

from engine.commands import Channel, Held, HoldEqual, Outcome, Refusal, Refused
from engine.performance import Performance
from engine.settings import SaleStatus
from tests.engine.small import Play, house, settings, token

# Rows of eight: 0-7 of a, 8-15 of a, 16-23 of b.
ROWS = ["aaaaaaaa", "aaaaaaaa", "bbbbbbbb"]
NONE_LEFT = Refused(Refusal.NONE_LEFT)


@pytest.fixture
def play() -> Play:
    return Play(house(ROWS), settings(orphan_rule=False))


def asked(play: Play, *seats: int, by: str = "late") -> Outcome:
    return play.apply(HoldEqual(play.id(), token(by), by, Channel.WEB, seats))


def found(play: Play, *seats: int) -> tuple[int, ...]:
    outcome = asked(play, *seats)
    assert isinstance(outcome, Held), outcome
    return outcome.seats


def test_as_many_of_the_same_category_in_the_order_of_what_was_lost(play: Play) -> None:
    play.hold(3, 16, by="other")
    new = found(play, 16, 3)
    categories = play.live.house.categories
    assert [categories[seat] for seat in new] == [categories[16], categories[3]]
    assert not set(new) & {3, 16}
    assert play.live.holds[token("late")].seats == new


def test_side_by_side_where_they_were_and_never_otherwise(play: Play) -> None:
    play.hold(3, 4, 5, by="other")
    new = sorted(found(play, 4, 5, 3))
    assert new == list(range(new[0], new[0] + 3))
    # Of two rows nothing is left but single seats: not good enough for two who sat together.
    play = Play(house(ROWS), settings(orphan_rule=False))
    play.block(*(seat for seat in range(16) if seat % 2))
    assert asked(play, 0, 1) == NONE_LEFT
    # For two who did not, it is.
    assert len(found(play, 1, 5)) == 2


def test_what_is_still_free_of_them_may_be_among_those_that_are_found(play: Play) -> None:
    play.block(*range(8), *(seat for seat in range(8, 16) if seat not in (9, 10)))
    assert found(play, 10, 7) in ((9, 10), (10, 9))


def test_one_category_does_not_make_up_for_another(play: Play) -> None:
    play.block(*range(16, 24))
    assert asked(play, 16) == NONE_LEFT
    # Nor is a row of two categories found again, side by side.
    mixed = Play(house(["aabb", "aabb"]), settings(orphan_rule=False))
    assert asked(mixed, 1, 2) == NONE_LEFT


def test_a_table_is_found_for_a_table() -> None:
    play = Play(house(["a"], tables=[(4, True), (4, True)]), settings(orphan_rule=False))
    play.block(1, 2, 3, 4)
    assert sorted(found(play, 1, 2, 3, 4)) == [5, 6, 7, 8]


def test_wheelchair_places_are_for_who_had_some_and_for_nobody_else() -> None:
    play = Play(house(["Aaaaa", "Aaaaa"]), settings(orphan_rule=False))
    play.hold(0, by="other")
    assert found(play, 0) == (5,)
    assert asked(play, 0, by="later") == NONE_LEFT
    play.release(by="late")
    assert not set(found(play, 1, 3)) & {0, 5}


def test_refusals_and_replay(play: Play) -> None:
    for seats in ((), (0, 0), (-1,), (99,)):
        assert asked(play, *seats) == Refused(Refusal.MALFORMED)
    command = HoldEqual(play.id(), token("x"), "x", Channel.WEB, (0, 1))
    outcome = play.apply(command)
    assert isinstance(outcome, Held) and play.apply(command) == outcome
    again = Performance(7, play.plan, settings(orphan_rule=False))
    again.replay(play.live.events)
    assert again.snapshot() == play.live.snapshot()
    play.configure(status=SaleStatus.CLOSED)
    assert asked(play, 0) == Refused(Refusal.NOT_ON_SALE)
