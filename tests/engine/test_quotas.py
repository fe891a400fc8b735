"""Quotas: what counts, from when on, and until when; in whatever order things happen."""

from collections.abc import Callable

import pytest

from engine.commands import Channel, Line, QuotaUse, Quoted, Refusal, Refused
from engine.performance import Performance
from engine.settings import Quota
from tests.engine.small import NOW_MS, Play, house, settings

PLAN = house(["aaaaaaaaaa", "bbbbbbbbbb"], areas=[(9, "c")])
STUDENTS = Quota("students", {"en": "Students"}, 3, price_types=("half",))
MIXED = Quota("mixed", {"en": "Circle"}, 2, categories=(1, 2), price_types=("half",))
HOUSE = Quota("house", {"en": "House"}, 8)


def used(play: Play) -> list[int]:
    told = play.quotas()
    assert [(one.id, one.limit) for one in told] == [
        (one.id, one.limit) for one in play.live.settings.quotas
    ]
    return [one.used for one in told]


def pay(play: Play, *seats: int, by: str, kind: str = "half", places: int = 0) -> object:
    play.hold(*seats, by=by, areas=((0, places),) if places else ())
    lines = [Line(seat, -1, kind) for seat in seats]
    lines += [Line(-1, 0, kind, places)] if places else []
    return play.checkout(*lines, by=by, order=by)


@pytest.fixture
def play() -> Play:
    return Play(PLAN, settings(quotas=(STUDENTS, MIXED, HOUSE), orphan_rule=False))


def test_places_count_from_the_checkout_on(play: Play) -> None:
    play.hold(0, 1, by="ann")
    assert used(play) == [0, 0, 0]
    play.checkout(Line(0, -1, "half"), Line(1, -1, "full"), by="ann", order="ann")
    assert used(play) == [1, 0, 2]
    play.sell(by="ann", order="ann")
    assert used(play) == [1, 0, 2]
    pay(play, 10, by="bob", places=1)
    assert used(play) == [3, 2, 4]


@pytest.mark.parametrize(
    ("seats", "places", "full"),
    [
        ((10,), 1, None),
        ((0, 1, 2), 0, None),
        ((0, 1, 2, 3), 0, "students: 3 left"),
        ((10, 11), 1, "mixed: 2 left"),
        ((), 3, "mixed: 2 left"),
    ],
)
def test_a_checkout_over_a_quota_is_refused_with_what_is_left(
    play: Play, seats: tuple[int, ...], places: int, full: str | None
) -> None:
    told = pay(play, *seats, by="ann", places=places)
    if full is None:
        assert isinstance(told, Quoted)
    else:
        assert told == Refused(Refusal.QUOTA_FULL, (), full)
        assert used(play) == [0, 0, 0]
        assert isinstance(pay(play, by="ann", kind="full"), Quoted), "the quota is of another type"


def test_a_place_of_an_area_is_of_the_areas_category() -> None:
    rules = settings(quotas=(Quota("floor", {}, 2, (2,)), Quota("rows", {}, 0, (1,))))
    play = Play(PLAN, rules)
    assert isinstance(pay(play, by="ann", places=2), Quoted)
    assert used(play) == [2, 0]
    assert pay(play, by="bob", places=1) == Refused(Refusal.QUOTA_FULL, (), "floor: 0 left")
    play.sell(by="ann", order="ann")
    play.refund(1, order="ann")
    assert used(play) == [1, 0]


def test_the_last_place_is_sold_once(play: Play) -> None:
    pay(play, 0, 1, by="ann")
    assert isinstance(pay(play, 10, by="bob"), Quoted)
    assert pay(play, 3, by="eve") == Refused(Refusal.QUOTA_FULL, (), "students: 0 left")


@pytest.mark.parametrize(
    "ends",
    [
        lambda p: p.reopen(by="ann", order="ann"),
        lambda p: (setattr(p, "at_ms", NOW_MS + 9_000_000), p.expire()),
        lambda p: (p.sell(by="ann", order="ann"), p.refund(1, 2, 3, order="ann")),
        lambda p: (p.reopen(by="ann", order="ann"), p.release(by="ann")),
    ],
    ids=["given up", "expired", "refunded", "released"],
)
def test_places_come_free_with_what_took_them(play: Play, ends: Callable[[Play], object]) -> None:
    pay(play, 10, by="ann", places=1)
    play.reopen(by="ann", order="ann")
    play.hold(0, by="ann")
    half = [Line(seat, -1, "half") for seat in (10, 0)]
    play.checkout(*half, Line(-1, 0, "half", 1), by="ann", order="ann")
    assert used(play) == [3, 2, 3]
    ends(play)
    assert used(play) == [0, 0, 0]


def test_a_checkout_asked_anew_does_not_stand_in_its_own_way(play: Play) -> None:
    pay(play, 0, 1, 2, by="ann")
    again = [Line(seat, -1, "half") for seat in (2, 1, 0)]
    assert isinstance(play.checkout(*again, by="ann", order="ann"), Quoted)
    assert used(play) == [3, 0, 3]
    less = [Line(0, -1, "half"), Line(1, -1, "full"), Line(2, -1, "full")]
    assert isinstance(play.checkout(*less, by="ann", order="ann"), Quoted)
    assert used(play) == [1, 0, 3]


def test_tills_are_bound_too(play: Play) -> None:
    play.hold(*range(9), by="till", channel=Channel.BOX_OFFICE)
    assert play.checkout(by="till") == Refused(Refusal.QUOTA_FULL, (), "house: 8 left")


def test_new_quotas_count_what_was_sold_before() -> None:
    play = Play(PLAN, settings(orphan_rule=False))
    play.buy(0, 1, 2, by="ann")
    play.refund(2)
    pay(play, 10, by="bob", places=2)
    assert play.quotas() == ()
    play.configure(
        quotas=(HOUSE, Quota("full", {}, 1, price_types=("full",)), MIXED), orphan_rule=False
    )
    assert used(play) == [5, 2, 3]
    assert pay(play, 4, by="eve", kind="full") == Refused(Refusal.QUOTA_FULL, (), "full: 0 left")
    assert isinstance(pay(play, 5, by="fay"), Quoted), "over another quota, which it is not of"


def test_a_restored_performance_counts_the_same(play: Play) -> None:
    play.buy(0, 1, by="ann")
    play.refund(1)
    pay(play, 10, by="bob", places=1)
    again, replayed = Play(PLAN), Play(PLAN, settings(quotas=(STUDENTS, MIXED, HOUSE)))
    again._ids = replayed._ids = 1_000
    again.live = Performance.restore(7, PLAN, play.live.snapshot())
    assert used(again) == used(play) == [2, 2, 3]
    replayed.live.replay(play.live.take()[0])
    assert used(replayed) == [2, 2, 3]


def test_a_question_leaves_no_fact(play: Play) -> None:
    assert play.quotas()[0] == QuotaUse("students", 3, 0)
    assert play.live.take()[0] == []
