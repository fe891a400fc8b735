"""Best available: each rung by example, the filters, and the ladder against a slow search."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from msgspec.structs import replace

from engine.commands import Channel, Held, Refusal, Refused, Rung
from engine.demo_houses import club
from engine.limits import HOLD_MS, MAX_PLACES_PER_HOLD
from engine.plan import Plan, SeatFlag
from engine.settings import Price, PriceType
from tests.engine.small import NOW_MS, Play, house, settings, token

NONE_LEFT = Refused(Refusal.NONE_LEFT)


def marked(plan: Plan, *rows: str) -> Play:
    """A performance in which the seats marked x are blocked; aisles are left out of the marks."""
    play = Play(plan)
    play.block(*[seat for seat, mark in enumerate("".join(rows)) if mark == "x"])
    return play


def found(outcome: object) -> tuple[Rung | None, tuple[int, ...]]:
    assert isinstance(outcome, Held), outcome
    return outcome.rung, outcome.seats


def test_what_it_gives_is_a_hold_like_any_other() -> None:
    play = Play(house(["aaaaaaaa"]))
    ends_ms = NOW_MS + HOLD_MS
    assert play.best(2) == Held(token("ann"), (3, 4), (), ends_ms, Rung.ADJACENT)
    play.at_ms += 1_000
    more = play.best(1)
    assert isinstance(more, Held) and more.expires_ms == ends_ms


def test_as_many_as_a_hold_may_have_are_looked_for() -> None:
    play = Play(house(["aaaa"]))
    assert play.best(MAX_PLACES_PER_HOLD, channel=Channel.BOX_OFFICE) == NONE_LEFT


def test_of_equally_near_places_the_first_is_taken() -> None:
    assert found(Play(house(["aaaa"])).best(1)) == (Rung.ADJACENT, (0,))


@pytest.mark.parametrize(
    ("nearest", "rung", "seats"),
    [
        # In a row of five a pair may begin at the first place, the third or the fourth...
        (0.9, Rung.ADJACENT, (0, 1)),
        (1.4, Rung.ADJACENT, (0, 1)),  # ... not at the second
        (2.6, Rung.ADJACENT, (3, 4)),  # ... nor at the last but one
        (3.1, Rung.ADJACENT, (3, 4)),
    ],
)
def test_the_nearest_place_that_leaves_nobody_alone(
    nearest: float, rung: Rung, seats: tuple[int, ...]
) -> None:
    assert found(Play(house(["aaaaa"], focal=(nearest, -3.0))).best(2)) == (rung, seats)


@pytest.mark.parametrize(("nearest", "seats"), [(0.0, (0, 1)), (2.0, (1, 2))])
def test_of_two_places_that_leave_one_alone_the_nearer(
    nearest: float, seats: tuple[int, ...]
) -> None:
    play = Play(house(["aaa"], focal=(nearest, -3.0)))
    assert found(play.best(2)) == (Rung.ADJACENT_ORPHAN, seats)


def test_the_middle_of_the_first_row_comes_first() -> None:
    play = Play(house(["aaaaaaaa", "aaaaaaaa"]))
    assert found(play.best(2)) == (Rung.ADJACENT, (3, 4))
    assert play.picture() == "...hh..." + "........"


def test_a_nearer_choice_that_leaves_one_alone_comes_second() -> None:
    plan = house(["aaaaa", "aaaaaa"], focal=(1.9, -3.0))
    # Three of the first row's five in the middle would leave one on each side.
    assert found(Play(plan).best(3)) == (Rung.ADJACENT, (0, 1, 2))
    # Three of four free seats leave one alone: the second row is farther, but fine.
    assert found(marked(plan, "x....", "......").best(3)) == (Rung.ADJACENT, (5, 6, 7))
    assert found(marked(plan, "x....", "xx....").best(3)) == (Rung.ADJACENT_ORPHAN, (1, 2, 3))


def test_a_split_stays_in_one_section_with_nobody_alone() -> None:
    plan = house(["aaaaaa"], ["aaaaaa", "aaaaaa"], focal=(0.0, -3.0))
    near_alone, pairs = "..x.xx", ("..xx..", "xxx..x")
    rung, seats = found(marked(plan, near_alone, *pairs).best(4))
    assert (rung, seats) == (Rung.SPLIT_NEAR, (6, 7, 15, 16)), "close together, not along the row"


@pytest.mark.parametrize(("rows_between", "seats"), [(3, "behind"), (4, "along the row")])
def test_groups_are_near_to_each_other_as_the_house_is_drawn(rows_between: int, seats: str) -> None:
    """Two at the left of the first row, and two more: to the right, or some rows behind."""
    plan = house(["aaaaaaaa"] * (rows_between + 2), focal=(0.5, -3.0))
    play = marked(plan, "..xxxx..", *["xxxxxxxx"] * rows_between, "..xxxxxx")
    last = 8 * (rows_between + 1)
    ends = {"behind": (0, 1, last, last + 1), "along the row": (0, 1, 6, 7)}
    assert found(play.best(4)) == (Rung.SPLIT_NEAR, ends[seats])


@pytest.mark.parametrize(
    ("nearest", "seats"), [(0.0, (0, 1, 5, 6, 7, 8)), (4.0, (3, 4, 6, 7, 8, 9))]
)
def test_of_a_row_that_is_not_filled_the_nearest_part(
    nearest: float, seats: tuple[int, ...]
) -> None:
    """Two and four, since nobody sits alone; the two leave nobody alone beside them."""
    play = Play(house(["aaaaa", "aaaaa"], focal=(nearest, -3.0)))
    assert found(play.best(6)) == (Rung.SPLIT_NEAR, seats)


@pytest.mark.parametrize("nearest", [0.0, 4.0, 11.0])
def test_nobody_of_an_odd_party_shares_a_seat(nearest: float) -> None:
    """Gaps of two, three and two: the three is the one without which seven cannot be split."""
    play = Play(house(["aaaaaaaaaaaa"], focal=(nearest, -3.0)))
    play.block(2, 6, 7, 8, 9)
    assert found(play.best(7)) == (Rung.SPLIT_NEAR, (0, 1, 3, 4, 5, 10, 11))


def test_five_in_pairs_need_a_group_of_three() -> None:
    plan = house(["aaaaaaaaa"])
    assert found(marked(plan, "...x..x..").best(5)) == (Rung.SPLIT_NEAR, (0, 1, 2, 4, 5))
    rung, seats = found(marked(plan, "x..x..x..").best(5))
    assert rung is Rung.SPLIT_SECTIONS and len(seats) == 5, "one of them sits alone"


def test_a_split_over_sections_comes_after_one_section() -> None:
    plan = house(["aaa"], ["aaa"])
    assert found(marked(plan, "..x", "x..").best(4)) == (Rung.SPLIT_SECTIONS, (0, 1, 4, 5))


@pytest.mark.parametrize(
    ("marks", "size", "alone"),
    [("x.x.x.x", 2, 2), ("..x.x.x", 3, 1), (".x.x.x.", 4, 4), ("..x..x.", 5, 1)],
)
def test_as_few_as_can_be_sit_alone(marks: str, size: int, alone: int) -> None:
    rung, seats = found(marked(house(["aaaaaaa"]), marks).best(size))
    assert rung is Rung.SPLIT_SECTIONS
    single = [seat for seat in seats if seat - 1 not in seats and seat + 1 not in seats]
    assert len(single) == alone


def test_one_person_takes_any_seat() -> None:
    plan = house(["aaaaa"])
    assert found(marked(plan, "x.x.x").best(1))[0] is Rung.ADJACENT
    assert found(marked(plan, "xxx..").best(1)) == (Rung.ADJACENT_ORPHAN, (3,))
    assert Play(plan, settings(max_per_order=9)).best(6) == NONE_LEFT


# Tables and areas -------------------------------------------------------------


def test_a_house_of_tables_begins_at_the_tables() -> None:
    play = Play(house(tables=[(4, False), (6, False), (4, True)], focal=(10.0, 0.0)))
    assert found(play.best(3)) == (Rung.TABLE, (7, 8, 9)), "the nearest table, in one arc"
    assert found(play.best(4, by="b")) == (Rung.TABLE, (0, 1, 2, 3))
    assert found(play.best(2, by="c"))[0] is Rung.TABLE
    assert found(play.best(4, by="d")) == (Rung.TABLE, (10, 11, 12, 13)), "whole, for four"
    assert play.best(1, by="e")


def test_a_table_is_rather_filled_than_left_with_one_chair() -> None:
    play = Play(house(tables=[(4, False), (5, False)], focal=(0.0, 0.0)))
    rung, seats = found(play.best(3))
    assert rung is Rung.TABLE and set(seats) <= set(range(4, 9))


def test_a_whole_table_is_for_a_party_of_its_size() -> None:
    play = Play(house(tables=[(4, True)]))
    assert play.best(3) == NONE_LEFT
    assert play.best(5) == NONE_LEFT
    assert found(play.best(4))[0] is Rung.TABLE


def test_a_large_party_takes_tables_together() -> None:
    play = Play(house(tables=[(4, True), (4, False), (2, True), (3, True)]))
    rung, seats = found(play.best(6))
    assert rung is Rung.SPLIT_NEAR
    assert len(set(seats)) == 6
    # Whole tables are taken whole: 0-3, 8-9 and 10-12.
    for table in ({0, 1, 2, 3}, {8, 9}, {10, 11, 12}):
        assert table <= set(seats) or not table & set(seats)


def test_a_table_farther_along_the_list_may_be_nearer() -> None:
    play = Play(house(tables=[(5, False), (5, False)], focal=(10.0, 0.0)))
    rung, seats = found(play.best(3))
    assert rung is Rung.TABLE and set(seats) <= set(range(5, 10))


def test_people_at_a_table_sit_side_by_side_before_they_sit_near() -> None:
    play = Play(house(tables=[(6, False)], focal=(10.0, 40.0)))
    play.block(1)  # between the two nearest
    assert found(play.best(2)) == (Rung.TABLE, (2, 3))


def test_nobody_sits_alone_and_no_whole_table_is_broken_when_tables_are_split() -> None:
    play = Play(house(tables=[(4, False), (4, False), (2, False)]))
    play.block(6, 7, 9)  # four, two and one chair are free
    rung, seats = found(play.best(6))
    assert (rung, seats) == (Rung.SPLIT_NEAR, (0, 1, 2, 3, 4, 5))
    whole = Play(house(tables=[(4, True), (3, False)]))
    whole.block(0)
    assert whole.best(6) == NONE_LEFT


def test_of_tables_to_split_over_the_nearest_whatever_their_size() -> None:
    play = Play(house(tables=[(4, False), (4, False), (2, False)], focal=(0.0, 20.0)))
    rung, seats = found(play.best(6))
    assert rung is Rung.SPLIT_NEAR and set(seats) <= set(range(8))


def test_however_many_tables_there_are_the_nearest_are_seen_first() -> None:
    play = Play(house(tables=[(2, False)] * 20, focal=(190.0, 20.0)))
    assert found(play.best(4)) == (Rung.SPLIT_NEAR, (36, 37, 38, 39))


def test_a_wheelchair_place_at_a_table_is_for_those_who_ask() -> None:
    drawn = house(tables=[(4, False)], focal=(0.0, 0.0))
    seats = list(drawn.seats)
    seats[1] = replace(seats[1], flags=int(SeatFlag.WHEELCHAIR))  # the farthest of the four
    plan = replace(drawn, seats=tuple(seats))
    assert found(Play(plan).best(3)) == (Rung.TABLE, (0, 2, 3))
    assert Play(plan).best(4) == NONE_LEFT
    assert found(Play(plan).best(2, accessible=1)) == (Rung.TABLE, (0, 1))
    assert Play(plan).best(3, accessible=2) == NONE_LEFT


def test_rows_come_before_tables_and_tables_before_sitting_alone() -> None:
    plan = house(["aaaa"], tables=[(4, False)])
    assert found(Play(plan).best(2))[0] is Rung.ADJACENT
    assert found(marked(plan, "x.x.").best(2)) == (Rung.TABLE, (4, 7))


# Stools -----------------------------------------------------------------------

CLUB_PRICES = (5_800, 4_400, 3_200, 2_500, 2_000)


def at_the_bar(stools: str, *tables: tuple[int, bool], focal: tuple[float, float]) -> Plan:
    """One row of stools at y 0, and tables at y 20."""
    plan = house([stools], tables=tables, focal=focal)
    bar, *others = plan.sections
    return replace(plan, sections=(replace(bar, kind="bar"), *others))


NEAR_TABLES, NEAR_STOOLS = (0.0, 25.0), (3.0, -3.0)


@pytest.mark.parametrize("size", range(2, 7))
@pytest.mark.parametrize("stools", ["aaaaaaaa", "bbbbbbbb"])
def test_company_gets_a_nearer_table_before_stools(size: int, stools: str) -> None:
    play = Play(at_the_bar(stools, (6, False), (6, False), focal=NEAR_TABLES))
    rung, seats = found(play.best(size))
    assert rung is Rung.TABLE and set(seats) <= set(range(8, 14)), "the nearer of the two"


@pytest.mark.parametrize(
    ("stools", "rung"), [("aaaaaaaa", Rung.TABLE), ("bbbbbbbb", Rung.ADJACENT)]
)
def test_a_farther_table_goes_before_stools_of_its_own_category_only(
    stools: str, rung: Rung
) -> None:
    play = Play(at_the_bar(stools, (6, False), focal=NEAR_STOOLS))
    assert found(play.best(4))[0] is rung


def test_dearer_stools_are_not_given_up_for_a_cheaper_table() -> None:
    prices = (Price(0, "full", 1_000), Price(1, "full", 1_001))
    plan = at_the_bar("bbbbbbbb", (6, False), focal=NEAR_TABLES)
    assert found(Play(plan, settings(prices=prices)).best(4))[0] is Rung.ADJACENT
    assert found(Play(plan, settings(prices=prices[:1])).best(4))[0] is Rung.TABLE


def test_stools_are_for_one_alone_and_for_whom_no_table_takes() -> None:
    plan = at_the_bar("bbbbbbbb", (4, False), focal=NEAR_TABLES)
    assert found(Play(plan).best(1))[0] is Rung.ADJACENT
    assert found(Play(plan).best(5))[0] is Rung.ADJACENT
    assert found(Play(plan).best(4, categories=(1,)))[0] is Rung.ADJACENT
    assert found(Play(plan).best(4, max_amount=900))[0] is Rung.ADJACENT
    assert found(Play(plan).best(4, sections=(0,)))[0] is Rung.ADJACENT
    whole = at_the_bar("bbbbbbbb", (4, True), focal=NEAR_TABLES)
    assert found(Play(whole).best(3))[0] is Rung.ADJACENT
    assert found(Play(whole).best(4))[0] is Rung.TABLE


def test_a_table_also_goes_before_stools_apart() -> None:
    plan = at_the_bar("bbbbbbb", (4, False), focal=NEAR_TABLES)
    assert found(marked(plan, "..xxx..", "....").best(4))[0] is Rung.TABLE
    assert found(marked(plan, "..xxx..", "x...").best(4)) == (Rung.SPLIT_NEAR, (0, 1, 5, 6))


def test_a_table_that_is_too_far_does_not_hide_a_nearer_one() -> None:
    """The farther one would be filled, the nearer keeps a single chair."""
    tables = ((4, False), (6, True), (6, True), (3, False))
    plan = at_the_bar("bbbbbbbb", *tables, focal=(0.0, 17.0))
    rung, seats = found(Play(plan).best(3))
    assert rung is Rung.TABLE and set(seats) <= {8, 9, 10, 11}


@pytest.mark.parametrize("size", range(2, 7))
def test_in_the_demo_club_company_sits_at_tables_as_long_as_there_are_any(size: int) -> None:
    plan = club()
    prices = tuple(Price(number, "full", amount) for number, amount in enumerate(CLUB_PRICES))
    play = Play(plan, settings(prices=prices, orphan_rule=False))
    bar = {seat for seat in range(len(plan.seats)) if plan.seats[seat].category == 2}
    room = [one for one in plan.tables if not one.whole and one.section == 0]
    rungs = []
    for number in range(sum(len(one.seats) >= size for one in room)):
        rung, seats = found(play.best(size, by=f"party {number}"))
        rungs.append(rung)
        assert not bar & set(seats)
        assert len({plan.seats[seat].table for seat in seats}) == 1
    assert set(rungs) == {Rung.TABLE}


def test_areas_come_last_nearest_first() -> None:
    play = Play(house(["aa"], areas=[(3, "c"), (9, "d")]))
    assert found(play.best(2, by="a")) == (Rung.ADJACENT, (0, 1))
    held = play.best(3, by="b")
    assert isinstance(held, Held)
    assert (held.rung, held.seats, held.areas) == (Rung.AREA, (), ((0, 3),))
    held = play.best(1, by="c")
    assert isinstance(held, Held) and held.areas == ((1, 1),)


def test_an_area_asked_for_is_the_only_choice() -> None:
    play = Play(house(["aa"], areas=[(3, "c"), (9, "d")]))
    held = play.best(2, by="a", area=0)
    assert isinstance(held, Held) and held.areas == ((0, 2),)
    held = play.best(2, area=1)
    assert isinstance(held, Held) and held.areas == ((1, 2),)
    assert play.best(8, by="b", area=1) == NONE_LEFT
    assert play.best(4, by="b", area=0) == NONE_LEFT


def test_an_area_is_as_near_as_its_middle_and_a_livestream_nowhere() -> None:
    drawn = house(["aa"], areas=[(2, "c"), (2, "c"), (2, "c")], focal=(0.0, 0.0))
    stream, far, near = drawn.areas
    # The middles are at 60 and 30, whatever the number of corners.
    triangle = ((50.0, 60.0), (60.0, 50.0), (70.0, 70.0))
    octagon = ((20.0, 20.0), (40.0, 40.0)) * 4
    plan = replace(
        drawn,
        areas=(
            replace(stream, polygon=()),
            replace(far, polygon=triangle),
            replace(near, polygon=octagon),
        ),
    )
    play = Play(plan)
    for party, area in (("a", 2), ("b", 1), ("c", 0)):
        held = play.best(2, by=party, categories=(2,))
        assert isinstance(held, Held) and held.areas == ((area, 2),)


# Filters ----------------------------------------------------------------------


def test_filters_bind_every_rung() -> None:
    plan = house(["aaaabbbb"], ["aaaa"], tables=[(4, False)], areas=[(9, "c")])
    play = Play(plan)
    assert found(play.best(2, categories=(1,)))[1] == (6, 7)
    assert found(play.best(2, by="b", sections=(1,)))[1] in {(8, 9), (10, 11), (9, 10)}
    assert found(play.best(2, by="c", sections=(2,)))[0] is Rung.TABLE
    held = play.best(2, by="d", categories=(2,))
    assert isinstance(held, Held) and held.areas == ((0, 2),)
    assert play.best(2, by="e", categories=(3,)) == NONE_LEFT
    assert play.best(1, by="e", categories=(2,), sections=(1,)) == NONE_LEFT


def test_the_price_cap_looks_at_the_full_price() -> None:
    play = Play(house(["aaaabbbb"]))
    assert found(play.best(2, max_amount=900))[1] == (4, 5)
    assert play.best(2, by="b", max_amount=899) == NONE_LEFT, "half price does not count"
    assert play.best(2, by="b", max_amount=0) == NONE_LEFT, "nothing is given away"


def test_what_has_no_price_now_and_here_is_not_proposed() -> None:
    types = (PriceType("till", {}, box_office_only=True), PriceType("full", {}))
    prices = (Price(0, "till", 500), Price(1, "full", 900))
    play = Play(house(["aabb"]), settings(price_types=types, prices=prices))
    assert found(play.best(2))[1] == (2, 3)
    assert found(play.best(2, by="b", channel=Channel.BOX_OFFICE))[1] == (0, 1)


def test_neighbours_of_other_categories_still_count_as_left_alone() -> None:
    play = Play(house(["aaab", "aaab"]))
    rung, seats = found(play.best(3, categories=(0,)))
    assert (rung, seats) == (Rung.ADJACENT_ORPHAN, (0, 1, 2))
    # A neighbour of another category is no wall: nobody is alone beside them.
    assert found(Play(house(["baaa"])).best(2, categories=(0,))) == (Rung.ADJACENT, (2, 3))
    assert found(Play(house(["aaab"])).best(2, categories=(0,))) == (Rung.ADJACENT, (0, 1))


def test_wheelchair_places_are_for_those_who_ask() -> None:
    plan = house(["aaAaa", "aaaaa"])
    assert found(Play(plan).best(2))[1] in {(0, 1), (3, 4)}
    assert found(Play(plan).best(4)) == (Rung.ADJACENT_ORPHAN, (5, 6, 7, 8))
    rung, seats = found(Play(plan).best(3, accessible=1))
    assert rung is Rung.ADJACENT and 2 in seats
    assert Play(plan).best(2, accessible=2) == NONE_LEFT


@pytest.mark.parametrize(("nearest", "seats"), [(0.0, (2, 3)), (9.0, (6, 7))])
def test_of_the_wheelchair_places_the_nearest(nearest: float, seats: tuple[int, ...]) -> None:
    play = Play(house(["aaAaaaaAaa"], focal=(nearest, -3.0)))
    assert found(play.best(2, accessible=1)) == (Rung.ADJACENT, seats)


def test_beside_a_wheelchair_the_rung_says_whether_somebody_is_left_alone() -> None:
    assert found(Play(house(["AA"])).best(2, accessible=1)) == (Rung.ADJACENT, (0, 1))
    assert found(Play(house(["aaA"])).best(2, accessible=1)) == (Rung.ADJACENT_ORPHAN, (1, 2))


def test_no_more_wheelchair_places_are_taken_than_asked_for_if_possible() -> None:
    plan = house(["aaaAAaaa", "aaaAaaaa"])
    assert found(Play(plan).best(2, accessible=1))[1] in {(2, 3), (4, 5)}
    assert found(Play(plan).best(2, accessible=2)) == (Rung.ADJACENT, (3, 4))


def test_company_sits_near_the_wheelchair_when_not_beside_it() -> None:
    plan = house(["A aaaaaa", "aaaaaaaa"])
    rung, seats = found(Play(plan).best(2, accessible=1))
    assert (rung, seats) == (Rung.SPLIT_NEAR, (0, 7)), "right behind it"
    # Company takes further wheelchair places only when nothing else is left, the nearest.
    apart = Play(house(["A"], ["a"], ["A"], ["A"], focal=(0.0, -3.0)))
    assert found(apart.best(3, accessible=1)) == (Rung.SPLIT_SECTIONS, (0, 1, 2))
    assert found(Play(house(["aA", "a"])).best(3, accessible=1)) == (Rung.SPLIT_NEAR, (0, 1, 2))
    rung, seats = found(Play(house(["A"], ["aa"])).best(2, accessible=1))
    assert rung is Rung.SPLIT_SECTIONS


@pytest.mark.parametrize(
    ("row", "size", "seats"),
    [
        # A wheelchair place that is nearer to the stage, or to its company: both count.
        ("A  A a", 2, (1, 2)),
    ],
)
def test_the_party_around_a_wheelchair(row: str, size: int, seats: tuple[int, ...]) -> None:
    play = around_aisles(row, focal=(0.0, -3.0))
    assert found(play.best(size, accessible=1)) == (Rung.SPLIT_NEAR, seats)


def around_aisles(row: str, **more: tuple[float, float]) -> Play:
    """A row, and behind it one that nobody can have: by that one an aisle is seen to be wide."""
    play = Play(house([row, "aaaaaaaa"], **more))  # type: ignore[arg-type]
    first = len(row.replace(" ", ""))
    play.block(*range(first, first + 8))
    return play


def test_a_second_best_adds_to_the_hold() -> None:
    play = Play(house(["aaaaaaaa"]))
    play.best(2)
    play.best(2)
    assert len(play.live.holds) == 1
    assert play.picture().count("h") == 4


# Against a slow search ----------------------------------------------------------

drawings = st.lists(
    st.lists(
        st.text(alphabet="aaabA ", min_size=1, max_size=6).filter(str.strip), min_size=1, max_size=2
    ),
    min_size=1,
    max_size=2,
)


class Slow:
    """The ladder's rungs over rows, by trying everything."""

    def __init__(self, plan: Plan, free: set[int], size: int, allowed: set[int]) -> None:
        self.plan, self.free, self.size = plan, free, size
        self.proposed = {
            seat
            for seat in free
            if plan.seat_categories[seat] in allowed
            and not plan.seats[seat].flags & SeatFlag.WHEELCHAIR
        }

    def windows(self) -> list[tuple[int, ...]]:
        return [
            window
            for run in self.plan.runs
            for first in range(len(run) - self.size + 1)
            if set(window := run[first : first + self.size]) <= self.proposed
        ]

    def leaves_alone(self, seats: set[int]) -> bool:
        """Around a window; what was alone before does not count."""
        left = self.free - seats
        for seat in left:
            around = [self.plan.left[seat], self.plan.right[seat]]
            if any(one in seats for one in around) and not any(one in left for one in around):
                return True
        return False

    def distance(self, seats: tuple[int, ...]) -> float:
        return sum(self.plan.distances[seat] for seat in seats)

    def alone(self, seats: set[int]) -> int:
        plan = self.plan
        return sum(plan.left[one] not in seats and plan.right[one] not in seats for one in seats)

    def splits(self, pool: set[int]) -> bool:
        return any(not self.alone(set(seats)) for seats in combinations(sorted(pool), self.size))

    def fewest_alone(self) -> int:
        return min(
            self.alone(set(seats)) for seats in combinations(sorted(self.proposed), self.size)
        )

    def rung(self) -> Rung | None:
        windows = self.windows()
        if any(not self.leaves_alone(set(window)) for window in windows):
            return Rung.ADJACENT
        if windows:
            return Rung.ADJACENT_ORPHAN
        for section in range(len(self.plan.sections)):
            pool = {one for one in self.proposed if self.plan.seat_sections[one] == section}
            if self.splits(pool):
                return Rung.SPLIT_NEAR
        return Rung.SPLIT_SECTIONS if len(self.proposed) >= self.size else None


@checks(deadline=None, max_examples=150)
@given(drawings, st.integers(1, 6), st.data())
def test_the_ladder_is_climbed_rung_by_rung(
    sections: list[list[str]], size: int, data: st.DataObject
) -> None:
    plan = house(*sections)
    seats = range(len(plan.seats))
    gone = data.draw(st.sets(st.sampled_from(seats), max_size=len(seats)))
    allowed = data.draw(st.sets(st.sampled_from([0, 1]), min_size=1))
    play = Play(plan)
    if gone:
        play.block(*sorted(gone))
    slow = Slow(plan, set(seats) - gone, size, allowed)

    outcome = play.best(size, categories=tuple(sorted(allowed)))

    expected = slow.rung()
    if expected is None:
        assert outcome == NONE_LEFT
        return
    rung, chosen = found(outcome)
    assert rung is expected
    assert len(set(chosen)) == size and set(chosen) <= slow.proposed
    if rung in (Rung.ADJACENT, Rung.ADJACENT_ORPHAN):
        good = [
            window
            for window in slow.windows()
            if rung is Rung.ADJACENT_ORPHAN or not slow.leaves_alone(set(window))
        ]
        assert chosen in {tuple(sorted(window)) for window in good}
        nearest = min(map(slow.distance, good))
        assert slow.distance(chosen) <= nearest + 0.01 * size
    else:
        assert slow.alone(set(chosen)) == (
            0 if rung is Rung.SPLIT_NEAR or slow.splits(slow.proposed) else slow.fewest_alone()
        )
    if rung is Rung.SPLIT_NEAR:
        assert len({plan.seat_sections[seat] for seat in chosen}) == 1


@checks(deadline=None)
@given(drawings, st.integers(1, 4), st.data())
def test_what_best_available_gives_a_hold_by_hand_would_get(
    sections: list[list[str]], size: int, data: st.DataObject
) -> None:
    """One judgement: the orphan rule never refuses what the first rung proposes."""
    plan = house(*sections)
    gone = data.draw(st.sets(st.sampled_from(range(len(plan.seats)))))
    machine, hand = Play(plan), Play(plan)
    if gone:
        machine.block(*sorted(gone))
        hand.block(*sorted(gone))
    outcome = machine.best(size)
    if isinstance(outcome, Held) and outcome.rung in (Rung.ADJACENT, Rung.ADJACENT_ORPHAN):
        by_hand = hand.hold(*outcome.seats)
        if outcome.rung is Rung.ADJACENT:
            assert isinstance(by_hand, Held)
