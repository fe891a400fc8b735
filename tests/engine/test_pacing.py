"""How many are let in: what latency allows, and what the house can seat."""

import pytest

from engine.pacing import (
    FIRST_PER_TICK,
    GROWTH_PER_TICK,
    MAX_PER_TICK,
    MINUTE_MS,
    TARGET_LATENCY_MS,
    TICK_MS,
    UNDECIDED_MS,
    Pace,
)

PLENTY = 1_000_000
FAST_MS, SLOW_MS = TARGET_LATENCY_MS, TARGET_LATENCY_MS + 0.1


class Sale:
    """A pace, ticked; whoever may come in does."""

    def __init__(self) -> None:
        self.pace = Pace()
        self.now_ms = 1_000_000
        self._numbers = iter(range(10**9))

    def tick(
        self, *, latency_ms: float = FAST_MS, shed: int = 0, available: int = PLENTY, come: int = -1
    ) -> int:
        """How many were let in; `come` at most."""
        self.now_ms += TICK_MS
        count = self.pace.next(self.now_ms, latency_ms, shed, available)
        if come >= 0:
            count = min(count, come)
        self.last = tuple(next(self._numbers).to_bytes(16, "big") for _ in range(count))
        self.pace.admitted(self.last, self.now_ms)
        return count


@pytest.fixture
def sale() -> Sale:
    return Sale()


def test_the_rate_grows_while_answers_are_quick(sale: Sale) -> None:
    assert [sale.tick() for _ in range(3)] == [
        FIRST_PER_TICK,
        FIRST_PER_TICK + GROWTH_PER_TICK,
        FIRST_PER_TICK + 2 * GROWTH_PER_TICK,
    ]


@pytest.mark.parametrize("trouble", [{"latency_ms": SLOW_MS}, {"shed": 1}])
def test_the_rate_is_halved_when_they_are_not(sale: Sale, trouble: dict[str, float]) -> None:
    sale.tick()
    assert sale.tick(**trouble) == FIRST_PER_TICK // 2  # type: ignore[arg-type]
    assert sale.tick(**trouble) == FIRST_PER_TICK // 4  # type: ignore[arg-type]
    assert sale.tick() == int(FIRST_PER_TICK / 4 + GROWTH_PER_TICK)


def test_the_rate_is_bounded(sale: Sale) -> None:
    for _ in range(400):
        most = sale.tick()
    assert most == MAX_PER_TICK
    for _ in range(40):
        least = sale.tick(latency_ms=9_999.0)
    assert least == 1


def test_a_rate_that_nobody_reaches_does_not_grow(sale: Sale) -> None:
    for _ in range(50):
        sale.tick(come=5)
    assert sale.tick() == FIRST_PER_TICK


def test_a_tick_at_which_nobody_was_let_in_tries_nothing_out(sale: Sale) -> None:
    sale.tick()
    for _ in range(3):
        sale.pace.next(sale.now_ms, FAST_MS, 0, PLENTY)
    assert sale.pace.per_tick == FIRST_PER_TICK + GROWTH_PER_TICK


def test_who_is_let_in_again_has_as_long_again_to_decide(sale: Sale) -> None:
    ann, bob = b"a" * 16, b"b" * 16
    for after_ms, visitor in ((0, ann), (10, bob), (20, ann)):
        sale.pace.admitted([visitor], sale.now_ms + after_ms)
    assert sale.pace.undecided(sale.now_ms + UNDECIDED_MS + 9) == 2
    assert sale.pace.undecided(sale.now_ms + UNDECIDED_MS + 10) == 1


@pytest.mark.parametrize("available", [0, -1])
def test_nobody_is_let_in_without_a_free_place(sale: Sale, available: int) -> None:
    assert sale.tick(available=available) == 0
    assert sale.tick(available=1) == 1


def test_those_inside_who_hold_nothing_are_promised_two_places_each(sale: Sale) -> None:
    assert sale.tick(available=80) == 40
    assert sale.tick(available=82) == 1, "somebody is always let in while places are free"
    assert sale.tick(available=100) == 50 - 41


def test_a_first_hold_makes_room_for_the_next(sale: Sale) -> None:
    sale.tick(available=80)
    sale.pace.took(sale.last[:10], 20)
    sale.pace.took(sale.last[:10], 20)  # told twice
    assert sale.pace.undecided(sale.now_ms) == 30
    assert sale.tick(available=60) == 1
    assert sale.tick(available=80) == 40 - 31


def test_the_undecided_do_not_hold_others_back_for_ever(sale: Sale) -> None:
    assert sale.tick(available=20) == 10
    since_ms = sale.now_ms
    assert sale.pace.undecided(since_ms + UNDECIDED_MS - 1) == 10
    sale.now_ms = since_ms + UNDECIDED_MS - TICK_MS
    assert sale.tick(available=20) == 10


def test_places_of_a_hold_are_measured(sale: Sale) -> None:
    assert sale.pace.places_per_hold == 2.0
    for _ in range(20):
        sale.tick(latency_ms=FAST_MS)
        sale.pace.took(sale.last, 5 * len(sale.last))
    assert 4.8 < sale.pace.places_per_hold < 5.0
    assert sale.tick(available=100) == 20


def test_strange_numbers_of_places_are_bounded(sale: Sale) -> None:
    sale.tick()
    sale.pace.took(sale.last[:1], 10**9)
    sale.pace.took(sale.last[1:], 0)
    assert 1.0 <= sale.pace.places_per_hold < 10.0


def test_admissions_of_the_last_minute(sale: Sale) -> None:
    first = sale.tick(come=7)
    begun_ms = sale.now_ms
    sale.now_ms += MINUTE_MS // 2
    sale.tick(come=3)
    assert sale.pace.per_min(sale.now_ms) == first + 3
    assert sale.pace.per_min(begun_ms + MINUTE_MS - 1) == first + 3
    assert sale.pace.per_min(begun_ms + MINUTE_MS) == 3
    assert sale.pace.per_min(sale.now_ms + MINUTE_MS) == 0


@pytest.mark.parametrize("serves_per_tick", [15, 150, 1_500])
def test_the_rate_settles_where_the_engine_is_quick(sale: Sale, serves_per_tick: int) -> None:
    """An engine that answers late as soon as more than so many come in at a tick."""
    latency_ms, counts = 0.0, []
    for _ in range(600):
        counts.append(sale.tick(latency_ms=latency_ms))
        latency_ms = 300.0 if counts[-1] > serves_per_tick else 20.0
    settled = counts[-200:]
    assert 0.55 * serves_per_tick < sum(settled) / len(settled) <= serves_per_tick
    assert max(settled) <= serves_per_tick + GROWTH_PER_TICK


def test_a_house_is_filled_without_a_crowd_that_finds_nothing(sale: Sale) -> None:
    """Ten seconds to choose two places: nobody waits before a house that has places."""
    available, admitted = 1_000, 0
    choosing: list[tuple[int, tuple[bytes, ...]]] = []
    for _ in range(400):
        admitted += sale.tick(available=available)
        choosing.append((sale.now_ms, sale.last))
        while choosing and choosing[0][0] <= sale.now_ms - 10_000:
            visitors = choosing.pop(0)[1]
            buying = visitors[: available // 2]
            available -= 2 * len(buying)
            if buying:
                sale.pace.took(buying, 2 * len(buying))
    assert available == 0
    assert 500 <= admitted < 700, "about as many as found places"
