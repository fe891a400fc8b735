"""What devices kept while they were alone: recorded once, judged again, and who has won."""

from itertools import permutations
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import settings as checks
from hypothesis import strategies as st

from engine.commands import (
    DoubleEntry,
    Event,
    Kept,
    KeptScan,
    Refusal,
    Refused,
    ScanMode,
    ScanOutcome,
    TicketState,
)
from engine.limits import MAX_CONFLICTS, MAX_KEPT_SCANS
from engine.performance import Performance
from engine.settings import Gate, ReEntry
from tests.engine.small import NOW_MS, Play, house, settings

PLAN = house(["aaaa"], ["bbbb"])
GATES = (Gate("north", "North", (0,)), Gate("any", "Any"))
ADMITTED, EXITED, ALREADY_USED = (
    ScanOutcome.ADMITTED,
    ScanOutcome.EXITED,
    ScanOutcome.ALREADY_USED,
)


def doors(re_entry: ReEntry = ReEntry.NONE) -> Play:
    """Tickets 1 to 3 for seats 0, 1 and 4; it is an hour after NOW_MS."""
    play = Play(PLAN, settings(gates=GATES, re_entry=re_entry, orphan_rule=False))
    play.buy(0, 1, 4)
    play.live.take()
    play.at_ms += 3_600_000
    return play


@pytest.fixture
def play() -> Play:
    return doors()


# Judged again ---------------------------------------------------------------------


def test_a_kept_admission_burns_the_ticket_when_it_was_made(play: Play) -> None:
    assert play.kept(1, 1, NOW_MS, gate="north") == Kept(ADMITTED, 1, False, True)
    told = play.scan(1, gate="any")
    assert (told.result, told.used_at_ms, told.used_gate) == (ALREADY_USED, NOW_MS, "north")  # type: ignore[union-attr]
    assert play.inside().total == 1


def test_the_time_that_counts_is_the_devices(play: Play) -> None:
    play.configure(gates=GATES, doors_open_ms=NOW_MS, doors_close_ms=NOW_MS + 10)
    shown = ScanOutcome.TOO_LATE
    results = [
        play.kept(2, number, NOW_MS + after, shown).result  # type: ignore[union-attr]
        for number, after in enumerate((-1, 0, 9, 10))
    ]
    assert results == [ScanOutcome.TOO_EARLY, ADMITTED, ADMITTED, ScanOutcome.TOO_LATE]
    assert play.live.ticket_uses == {}


AGAIN: list[tuple[str, ScanOutcome, dict[str, Any]]] = [
    ("forged", ScanOutcome.UNKNOWN, {"ticket": 1, "performance": -1}),
    ("never sold", ScanOutcome.UNKNOWN, {"ticket": 9}),
    ("a version never made", ScanOutcome.UNKNOWN, {"ticket": 1, "version": 1}),
    ("another evening's", ScanOutcome.WRONG_PERFORMANCE, {"ticket": 1, "performance": 8}),
    ("refunded since the device heard", ScanOutcome.REFUNDED, {"ticket": 2}),
    ("wrong gate", ScanOutcome.WRONG_GATE, {"ticket": 3, "gate": "north"}),
]


@pytest.mark.parametrize(("told", "how"), [pytest.param(*row[1:], id=row[0]) for row in AGAIN])
def test_who_was_let_in_wrongly_is_recorded_with_what_is_thought_of_it_now(
    play: Play, told: ScanOutcome, how: dict[str, Any]
) -> None:
    play.refund(2)
    play.live.take()
    ours = told not in (ScanOutcome.UNKNOWN, ScanOutcome.WRONG_PERFORMANCE)
    outcome = play.kept(sequence=1, **how)
    assert outcome == Kept(told, how["ticket"] if ours else -1, False, ours)
    # Who went in is inside, whatever is thought of it.
    assert play.inside().total == int(ours)
    [event] = play.live.take()[0]
    assert isinstance(event.command, KeptScan) and event.outcome == outcome


def test_who_was_turned_away_changes_nothing(play: Play) -> None:
    before = play.inside()
    assert play.kept(1, 1, shown=ALREADY_USED) == Kept(ADMITTED, 1, False)
    assert play.kept(1, 2, shown=ADMITTED, mode=ScanMode.LOOK_UP) == Kept(ADMITTED, 1, False)
    assert play.inside() == before and play.live.ticket_uses == {}
    assert len(play.live.take()[0]) == 2


def test_a_kept_exit_checks_out_even_who_is_not_known_to_have_come(play: Play) -> None:
    play.scan(1)
    assert play.kept(1, 1, play.at_ms + 1, EXITED) == Kept(EXITED, 1, False, False)
    assert play.inside().total == 0
    assert play.kept(2, 2, shown=EXITED) == Kept(ScanOutcome.TOO_EARLY, 2, False, False)
    # Its admission is told later: it was before.
    assert play.kept(2, 3, play.at_ms - 9) == Kept(ADMITTED, 2, False, False)
    assert play.inside().total == 0


# Exactly once ---------------------------------------------------------------------


def again(play: Play, outcome: Kept) -> Kept:
    return msgspec.structs.replace(outcome, again=True)


def test_a_kept_scan_that_is_told_again_counts_once(play: Play) -> None:
    first = play.kept(1, 7, NOW_MS)
    play.live.take()
    state = play.live.snapshot()
    assert play.kept(1, 7, NOW_MS) == again(play, first)  # under another id
    assert play.live.take()[0] == [] and play.live.snapshot() == state


def test_it_counts_once_after_its_id_was_forgotten(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.snapshot.MAX_SNAPSHOT_ACCEPTED", 0)
    command = KeptScan(
        b"id of lane and 7", "north", "lane", 7, 1, 0, ScanMode.ADMIT, 7, NOW_MS, ADMITTED
    )
    first = play.apply(command)
    play.live = Performance.restore(7, PLAN, play.live.snapshot())
    assert play.apply(command) == again(play, first)  # type: ignore[arg-type]
    assert play.live.take()[0] == []
    assert play.conflicts().conflicts == () and play.inside().total == 1


def test_the_number_of_another_scan_is_refused_and_nothing_is_lost(play: Play) -> None:
    """A device that lost its memory and counts from one again."""
    play.kept(1, 1, NOW_MS)
    assert play.kept(2, 1, NOW_MS + 5) == Refused(Refusal.ID_REUSED, (), "1")
    assert play.kept(2, 2, NOW_MS + 5) == Kept(ADMITTED, 2, False, True)
    assert play.kept(3, 1, NOW_MS, device="other") == Kept(ADMITTED, 3, False, True)


def test_too_many_kept_scans_are_refused_and_can_be_told_later(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_KEPT_SCANS >= 500_000
    monkeypatch.setattr("engine.kept.MAX_KEPT_SCANS", 2)
    first = play.kept(1, 1)
    assert isinstance(play.kept(3, 3), Kept)
    play.live.take()
    command = KeptScan(b"x" * 16, "", "lane", 7, 2, 0, ScanMode.ADMIT, 2, NOW_MS, ADMITTED)
    refused = play.apply(command)
    assert isinstance(refused, Refused) and refused.code is Refusal.BUSY
    assert play.live.take()[0] == []
    assert play.kept(1, 1) == again(play, first)  # type: ignore[arg-type]
    monkeypatch.undo()
    assert play.apply(command) == Kept(ADMITTED, 2, False, True)


# Who has won -----------------------------------------------------------------------


def winners(play: Play) -> list[list[tuple[str, int, int]]]:
    """(device, after NOW_MS, sequence) of each double admission, the winner first."""
    return [
        [(device, at_ms - NOW_MS, sequence) for device, _, at_ms, sequence in one.entries]
        for one in play.conflicts().conflicts
    ]


def test_two_devices_that_let_one_ticket_in_are_a_conflict_that_the_earlier_has_won(
    play: Play,
) -> None:
    assert play.kept(1, 4, NOW_MS + 20, device="b", gate="any") == Kept(ADMITTED, 1, False, True)
    assert play.conflicts().conflicts == ()
    # Told later, and earlier at the door: it is the one that was right.
    assert play.kept(1, 9, NOW_MS + 10, device="a", gate="north") == Kept(ADMITTED, 1, True, True)
    assert play.conflicts().conflicts == (
        DoubleEntry(1, 0, -1, (("a", "north", NOW_MS + 10, 9), ("b", "any", NOW_MS + 20, 4))),
    )
    assert play.inside().total == 1


def test_a_device_that_was_alone_and_the_engine_can_conflict_either_way(play: Play) -> None:
    play.at_ms = NOW_MS + 100
    play.scan(1, device="online")
    play.at_ms += 1_000
    assert play.kept(1, 1, NOW_MS + 50).result is ADMITTED  # type: ignore[union-attr]
    assert winners(play) == [[("lane", 50, 1), ("online", 100, -1)]]
    assert play.kept(1, 2, NOW_MS + 200).result is ALREADY_USED  # type: ignore[union-attr]
    assert winners(play) == [[("lane", 50, 1), ("online", 100, -1), ("lane", 200, 2)]]


def test_a_tie_goes_to_the_device_then_to_its_own_order(play: Play) -> None:
    for device, sequence in (("b", 1), ("a", 5), ("a", 3)):
        play.kept(1, sequence, NOW_MS, device=device)
    assert winners(play) == [[("a", 0, 3), ("a", 0, 5), ("b", 0, 1)]]


def test_what_the_house_allowed_is_no_conflict() -> None:
    play = doors(ReEntry.AFTER_EXIT)
    play.kept(1, 1, NOW_MS)
    play.kept(1, 2, NOW_MS + 5, EXITED)
    play.kept(1, 3, NOW_MS + 9)
    assert winners(play) == []
    play.kept(1, 4, NOW_MS + 12, device="b")
    assert winners(play) == [[("lane", 9, 3), ("b", 12, 4)]]
    # An override is let in knowingly; so is whoever comes in while nobody counts.
    play.kept(2, 5, NOW_MS)
    play.scan(2, reason="lost their ticket")
    assert len(winners(play)) == 1
    play.configure(gates=GATES, re_entry=ReEntry.UNLIMITED)
    assert winners(play) == []


def test_a_conflict_ends_when_its_second_admission_is_taken_back(play: Play) -> None:
    play.kept(1, 1, play.at_ms - 2_000, device="a")
    assert play.live.disputed == set()
    play.kept(1, 1, play.at_ms - 1_000, device="b")
    assert len(winners(play)) == 1 and play.live.disputed == {1}
    play.undo(1, device="b")
    assert winners(play) == [] and play.live.disputed == set()
    assert play.kept(1, 1, play.at_ms - 1_000, device="b").again  # type: ignore[union-attr]
    assert winners(play) == []  # what was taken back does not come back


def test_more_conflicts_than_are_told_at_once_are_told_page_by_page(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert MAX_CONFLICTS >= 100
    monkeypatch.setattr("engine.kept.MAX_CONFLICTS", 2)
    play = doors(ReEntry.AFTER_EXIT)
    for number in (1, 2, 3):
        play.kept(number, 2 * number)
        play.kept(number, 2 * number + 1, device="b")
    # Ticket 2 came in twice again after it had left: a page ends between tickets, never in one.
    play.kept(2, 20, play.at_ms + 10, EXITED)
    play.kept(2, 21, play.at_ms + 20)
    play.kept(2, 22, play.at_ms + 30, device="b")
    pages = [play.conflicts(after) for after in (0, 1, 2, 3)]
    assert [[one.ticket for one in page.conflicts] for page in pages] == [
        [1, 2, 2], [2, 2], [3], [],
    ]  # fmt: skip
    assert [page.more for page in pages] == [True, True, False, False]


def test_what_the_engine_alone_decided_is_not_looked_through_for_conflicts() -> None:
    play = doors(ReEntry.UNLIMITED)
    play.scan(1)
    play.scan(1)
    assert play.live.disputed == set()


def test_a_device_whose_clock_is_ahead_keeps_nobody_in() -> None:
    play = doors(ReEntry.AFTER_EXIT)
    play.kept(1, 1, play.at_ms + 86_400_000)
    assert play.scan(1, mode=ScanMode.EXIT).result is EXITED  # type: ignore[union-attr]
    assert play.inside().total == 0
    assert play.scan(1).result is ADMITTED  # type: ignore[union-attr]


def test_what_the_engine_decides_comes_directly_after_all_that_it_knows() -> None:
    play = doors(ReEntry.AFTER_EXIT)
    play.kept(1, 1, NOW_MS)
    play.kept(1, 2, play.at_ms + 86_400_000, EXITED)  # its clock was set to tomorrow
    assert play.scan(1).result is ADMITTED  # type: ignore[union-attr]
    assert play.inside().total == 1
    assert [one.at_ms - play.at_ms for one in play.live.ticket_uses[1]] == [
        -3_600_000,
        86_400_000,
        86_400_001,
    ]


def test_who_was_let_in_by_override_can_be_doubled_by_a_device_alone() -> None:
    play = doors(ReEntry.AFTER_EXIT)
    play.scan(1)
    play.scan(1, mode=ScanMode.EXIT)
    play.at_ms += 1_000
    play.scan(1, reason="the director says so")
    play.kept(1, 1, play.at_ms + 5)
    assert winners(play) == [[("device", 3_601_000, -1), ("lane", 3_601_005, 1)]]


def test_a_ticket_kept_in_and_out_without_end_is_recorded_up_to_the_limit(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.kept.MAX_PASSAGES_PER_TICKET", 2)
    for sequence in range(3):
        told = play.kept(1, sequence, NOW_MS + sequence)
        assert isinstance(told, Kept) and told.inside
    assert len(play.live.ticket_uses[1]) == 2 and len(play.live.kept["lane"]) == 3


# Whatever the order of arrival ------------------------------------------------------


class Told(NamedTuple):
    device: str
    sequence: int
    ticket: int
    after_ms: int
    shown: ScanOutcome
    mode: ScanMode = ScanMode.ADMIT

    def to(self, play: Play) -> Any:
        return play.kept(
            self.ticket, self.sequence, NOW_MS + self.after_ms, self.shown, self.device,
            "north" if self.device < "b" else "any", self.mode,
        )  # fmt: skip


def door(play: Play) -> tuple[Any, ...]:
    """Everything that the doors know, and what they say of it."""
    live = play.live
    return (
        live.ticket_uses,
        live.kept,
        live.disputed,
        live.inside_gates,
        {section: many for section, many in live.inside_sections.items() if many},
        play.inside(),
        play.conflicts(),
        [play.scan(number, mode=ScanMode.LOOK_UP) for number in (1, 2, 3)],
    )


shows = st.sampled_from([(ADMITTED, ScanMode.ADMIT), (EXITED, ScanMode.EXIT)] * 3 + [
    (ALREADY_USED, ScanMode.ADMIT), (ADMITTED, ScanMode.LOOK_UP)])  # fmt: skip
kept_scans = st.builds(
    lambda device, sequence, ticket, after_ms, show: Told(
        device, sequence, ticket, after_ms, *show
    ),
    st.sampled_from("abc"),
    st.integers(0, 9),
    st.sampled_from([1, 1, 2, 9]),
    st.integers(0, 4).map(lambda tick: 100 * tick),
    shows,
)


def assert_is_rebuilt(play: Play, events: list[Event], policy: ReEntry) -> None:
    """From what was recorded, and from a snapshot."""
    replayed = doors(policy)
    replayed._ids = 10_000
    encoded = msgspec.msgpack.encode(events)
    replayed.live.replay(msgspec.msgpack.decode(encoded, type=list[Event]))
    replayed.at_ms = play.at_ms
    assert door(replayed) == door(play)
    replayed.live = Performance.restore(7, PLAN, play.live.snapshot())
    assert door(replayed) == door(play)


@given(
    st.lists(kept_scans, min_size=2, max_size=4, unique_by=lambda one: one[:2]),
    st.lists(st.tuples(st.sampled_from([1, 2]), st.sampled_from([150, 350])), max_size=2),
    st.sampled_from(ReEntry),
)
@example([Told("a", 1, 1, 0, ADMITTED), Told("b", 1, 1, 0, ADMITTED)], [(1, 150)], ReEntry.NONE)
@checks(deadline=None, max_examples=60)
def test_every_order_of_arrival_gives_the_same_winner_and_the_same_state(
    told: list[Told], live: list[tuple[int, int]], policy: ReEntry
) -> None:
    """Some scans the engine answered itself; every order in which the kept ones can arrive."""
    seen = []
    for order in permutations(told):
        play = doors(policy)
        for number, after_ms in sorted(live, key=lambda one: one[1]):
            play.at_ms = NOW_MS + after_ms
            play.scan(number, device="online")
        play.at_ms = NOW_MS + 3_600_000
        for one in order:
            one.to(play)
        events, _, _ = play.live.take()
        assert sum(isinstance(one.command, KeptScan) for one in events) == len(told)
        seen.append(door(play))
        if len(seen) == 1:
            assert_is_rebuilt(play, events, policy)
    assert all(one == seen[0] for one in seen)


def test_a_ticket_whose_state_changed_is_judged_as_it_is_now(play: Play) -> None:
    play.set_tickets(1, state=TicketState.BLOCKED)
    assert play.kept(1, 1).result is ScanOutcome.BLOCKED  # type: ignore[union-attr]
    play.set_tickets(1, state=TicketState.VALID)
    assert play.scan(1).result is ALREADY_USED  # type: ignore[union-attr]
    assert play.refund(1) == Refused(Refusal.TICKET_USED, (), "1")


# With the guards off ----------------------------------------------------------------


def test_without_the_memory_of_numbers_a_scan_would_count_twice(play: Play) -> None:
    play.kept(1, 7, NOW_MS)
    play.live.kept.clear()
    play.kept(1, 7, NOW_MS)
    assert len(play.live.ticket_uses[1]) == 2 and winners(play)


def test_without_the_order_at_the_door_the_first_heard_of_would_win(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("engine.state.insert", lambda passages, one: passages.append(one))
    told = [Told("a", 1, 1, 0, ADMITTED), Told("b", 1, 1, 100, ADMITTED)]
    won = []
    for order in (told, told[::-1]):
        play = doors()
        for one in order:
            one.to(play)
        won.append(winners(play)[0][0][0])
    assert won == ["a", "b"]
