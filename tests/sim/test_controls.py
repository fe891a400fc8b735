"""Each guard in turn is off, and the simulator finds it out: else whole worlds prove nothing."""

import pytest

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
