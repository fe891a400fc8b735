"""Each guard in turn is off, and the simulator finds it out: else whole worlds prove nothing."""

from collections.abc import Iterable

import pytest

from engine.performance import Performance
from engine.quotas import Counted, Quotas
from engine.stock import Stock
from tests.sim.installation import Guards
from tests.sim.many import first_found

SEEDS = 100
"""Within so many each must be found."""


@pytest.mark.parametrize(
    "guards",
    [
        Guards(waits_for_commit=False),
        Guards(fencing=False),
        Guards(remembers_ids=False),
        Guards(reads_tail=False),
        Guards(remembers_kept=False),
    ],
    ids=[
        "answers before commit",
        "no fencing",
        "forgets ids",
        "forgets the journal's tail",
        "forgets kept scans",
    ],
)
def test_a_guard_that_is_off_is_found_out(guards: Guards) -> None:
    assert first_found(guards, SEEDS) is not None


def test_the_second_wall_stands_alone() -> None:
    """It is there for a writer whose memory is wrong: with one, it alone keeps the tables right."""
    assert first_found(Guards(reads_tail=False), SEEDS, "sold twice") is None
    both_off = Guards(reads_tail=False, second_wall=False)
    assert first_found(both_off, SEEDS, "sold twice") is not None


@pytest.mark.parametrize(
    "guards",
    [
        Guards(waits_for_commit=False),
        Guards(remembers_ids=False),
        Guards(reads_tail=False, second_wall=False),
        Guards(remembers_kept=False),
    ],
    ids=[
        "answers before commit",
        "forgets ids",
        "forgets the journal's tail",
        "forgets kept scans",
    ],
)
def test_what_clients_were_told_gives_it_away(guards: Guards) -> None:
    """Without a look at the journal, by the checker of histories alone."""
    assert first_found(guards, SEEDS, "not linearizable", inside=False) is not None


def test_a_quota_that_is_not_kept_is_found_out_by_the_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Quotas, "refuse", lambda *_: None)
    found = first_found(Guards(), SEEDS, "not linearizable", inside=False, ruled=True)
    assert found is not None


def test_a_quota_that_counts_what_has_ended_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Quotas.count

    def forgetful(quotas: Quotas, places: Iterable[Counted], sign: int) -> None:
        if sign > 0:
            count(quotas, places, sign)

    monkeypatch.setattr(Quotas, "count", forgetful)
    found = first_found(Guards(), SEEDS, "not linearizable", inside=False, ruled=True)
    assert found is not None


def test_an_allocation_that_stays_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stock, "to_release", lambda *_: ())
    assert first_found(Guards(), SEEDS, "not released", ruled=True) is not None


def test_a_sale_outside_its_times_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    configure = Performance.configure

    def always_open(live: Performance, settings: object) -> None:
        configure(live, settings)  # type: ignore[arg-type]
        live.online_times = live.till_times = (0, 2**62)

    monkeypatch.setattr(Performance, "configure", always_open)
    assert first_found(Guards(), SEEDS, "sale times", ruled=True) is not None
