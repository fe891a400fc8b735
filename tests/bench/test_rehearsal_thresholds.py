"""Each threshold is fed a rehearsal that misses it, and one that does not."""

import pytest

from bench.rehearsal.bots import End
from bench.rehearsal.history import Book, Kill, Turn, Weighing
from bench.rehearsal.scenario import Thresholds
from bench.rehearsal.thresholds import fairness, figures, judge, overtaken

WORDS = frozenset({"seat_taken"})


def book() -> Book:
    found = Book()
    for number in range(100):
        found.holds.add(number / 10, 0.010)
        found.orders.add(number / 10, 0.020)
        found.scans.add(number / 10, 0.005)
    found.asked = 100
    found.refusals["seat_taken"] = 10
    found.ends["buyer", End.BOUGHT] = 95
    found.ends["buyer", End.GAVE_UP] = 5
    found.wanted, found.served = 100, 95
    found.turns = [Turn(n, 0.0, n, n, float(n)) for n in range(10)]
    found.kills = [Kill("desk", (1,), 3.0, 5.0)]
    found.weighed = [Weighing(at, {("gateway", 7): 100.0 + at}) for at in (0.0, 10.0)]
    return found


def slow(found: Book) -> None:
    for timing in (found.holds, found.orders, found.scans):
        timing.answers += [(50.0, 2.0)] * 101


def unexplained(found: Book) -> None:
    found.refusals[""] += 10


def shed(found: Book) -> None:
    found.sheds["busy"] += 20


def unfinished(found: Book) -> None:
    found.ends["buyer", End.UNFINISHED] += 100


def unserved(found: Book) -> None:
    found.served = 50


def unfair(found: Book) -> None:
    for turn in found.turns:
        turn.admitted_s = 100.0 - 3 * turn.place


def down(found: Book) -> None:
    found.kills.append(Kill("journal", (2,), 4.0, 64.0))


def leaking(found: Book) -> None:
    found.weighed.append(Weighing(5.0, {("gateway", 7): 300.0}))


def not_there(found: Book) -> None:
    found.kills.append(Kill("journal", (), 4.0, 4.1))


@pytest.mark.parametrize(
    ("key", "limit", "spoil"),
    [
        ("hold_p50_ms", 50, slow),
        ("hold_p99_ms", 50, slow),
        ("order_p50_ms", 50, slow),
        ("order_p99_ms", 50, slow),
        ("scan_p99_ms", 50, slow),
        ("unexplained_refusals", 0, unexplained),
        ("shed_share", 0.1, shed),
        ("unfinished_share", 0.2, unfinished),
        ("honest_success", 0.9, unserved),
        ("fairness", 0.9, unfair),
        ("overtaken", 0, unfair),
        ("recovery_s", 10, down),
        ("recovery_s", 10, not_there),
        ("memory_growth", 1.5, leaking),
    ],
)
def test_a_threshold_is_held_and_can_be_missed(key: str, limit: float, spoil: object) -> None:
    thresholds = Thresholds(**{key: limit})
    good, bad = book(), book()
    spoil(bad)  # type: ignore[operator]
    [held] = judge(thresholds, figures(good, WORDS))
    [missed] = judge(thresholds, figures(bad, WORDS))
    assert (held.key, held.passed, missed.passed) == (key, True, False)


def test_every_threshold_of_the_format_is_measured() -> None:
    assert set(figures(book(), WORDS)) == set(Thresholds.__struct_fields__)


def test_what_was_not_measured_is_missed_and_what_is_not_asked_is_not_judged() -> None:
    measured = figures(Book(), WORDS)
    found = judge(Thresholds(hold_p99_ms=10, fairness=0.5, recovery_s=1), measured)
    assert [(one.value, one.passed) for one in found] == [(None, False)] * 3
    assert judge(Thresholds(), measured) == []


def line(*admitted_s: float) -> list[Turn]:
    """Turns by place, admitted at these moments (-1: never)."""
    return [Turn(n, 0.0, n, n, at) for n, at in enumerate(admitted_s)]


def test_fairness_is_rank_correlation_and_ignores_the_order_within_a_tick() -> None:
    assert fairness(line(0, 5, 10, 15)) == pytest.approx(1)
    assert fairness(line(15, 10, 5, 0)) == pytest.approx(-1)
    assert fairness(line(0.2, 0.1, 0.0, 0.3)) == 1, "all let in at once"
    assert fairness(line(0.2, 0.0, 5.1, 5.0)) == 1
    assert fairness(line(5, 0, 5, 0)) == pytest.approx(0)
    assert fairness(line(1.0)) is None


def test_who_is_let_in_after_somebody_behind_is_overtaken() -> None:
    assert overtaken(line(0, 5, 10)) == 0
    assert overtaken(line(0, 0.9, 0.1)) == 0, "within a tick"
    assert overtaken(line(0, 9, 5)) == 1
    assert overtaken(line(9, 9, 5)) == 2
    assert overtaken(line(0, -1, 5)) == 1, "never let in, and somebody behind was"
    assert overtaken(line(0, 5, -1, -1)) == 0, "the end of the line of a full house"


def test_recovery_counts_from_the_kill_to_what_was_asked_for_after_it() -> None:
    found = Book()
    found.kills.append(Kill("desk", (1,), found.now_s))
    found.hold(found.kills[0].at_s - 0.1)
    assert found.kills[0].good_s < 0, "that was under way before"
    found.hold(found.kills[0].at_s + 0.0001)
    assert found.kills[0].good_s >= found.kills[0].at_s
