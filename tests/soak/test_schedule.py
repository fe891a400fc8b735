"""The faults of a soak: enough of them, of every kind, and the same for the same seed."""

from collections import Counter

from tests.soak.schedule import QUIET_S, Kind, schedule

RECORDED_S = 25 * 60


def test_the_recorded_run_has_three_hundred_faults_of_every_kind() -> None:
    faults = schedule(1, RECORDED_S)
    kinds = Counter(fault.kind for fault in faults)
    assert len(faults) >= 300
    assert set(kinds) == set(Kind) and min(kinds.values()) >= 8
    assert all(QUIET_S <= fault.at_s <= RECORDED_S for fault in faults)
    assert faults == sorted(faults, key=lambda fault: fault.at_s)


def test_some_faults_fall_into_others() -> None:
    faults = schedule(1, RECORDED_S)
    ends_s, inside = 0.0, 0
    for fault in faults:
        inside += fault.at_s < ends_s
        ends_s = max(ends_s, fault.at_s + fault.lasts_s)
    assert inside > 30


def test_a_seed_is_a_schedule() -> None:
    assert schedule(7, 300) == schedule(7, 300) != schedule(8, 300)


def test_what_cannot_be_done_here_is_left_out_and_nothing_less_is_done() -> None:
    faults = schedule(1, RECORDED_S, frozenset({Kind.DISK_FULL}))
    assert len(faults) == len(schedule(1, RECORDED_S))
    assert Kind.DISK_FULL not in {fault.kind for fault in faults}
