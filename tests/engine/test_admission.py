"""What the doors say, outcome by outcome, and in which order."""

from collections.abc import Callable
from typing import NamedTuple

import msgspec
import pytest

from engine.commands import (
    Alarm,
    Event,
    GateInside,
    Refusal,
    Refused,
    ScanMode,
    Scanned,
    ScanOutcome,
    TicketState,
    Undone,
)
from engine.limits import MAX_PASSAGES_PER_TICKET, UNDO_MS
from engine.performance import Performance
from engine.settings import Gate, ReEntry
from tests.engine.small import NOW_MS, Play, house, settings

PLAN = house(["aaaa"], ["bbbb"], areas=[(5, "c")])
GATES = (Gate("north", "North", (0,)), Gate("south", "South", (1,)), Gate("any", "Any"))

Step = Callable[[Play], object]


@pytest.fixture
def play() -> Play:
    """Ticket 1 is for seat 0 in section 0, ticket 2 for seat 4 in section 1."""
    play = Play(PLAN, settings(gates=GATES, orphan_rule=False))
    play.buy(0, 4)
    return play


def result(outcome: object) -> ScanOutcome:
    assert isinstance(outcome, Scanned)
    return outcome.result


def state(state: TicketState) -> Step:
    return lambda play: play.set_tickets(1, state=state)


class Case(NamedTuple):
    name: str
    asked: Step
    before: tuple[Step, ...] = ()


def scan(ticket: int = 1, **more: object) -> Step:
    return lambda play: play.scan(ticket, **more)  # type: ignore[arg-type]


def leave(ticket: int = 1, **more: object) -> Step:
    return scan(ticket, mode=ScanMode.EXIT, **more)


def mark(ticket: int = 1, **more: object) -> Step:
    return scan(ticket, mode=ScanMode.MARK, **more)


def forced(ticket: int = 1, **more: object) -> Step:
    return scan(ticket, reason="the director says so", **more)


def having(**changes: object) -> Step:
    return lambda play: play.configure(gates=GATES, **changes)


def refunded(play: Play) -> None:
    play.refund(1)


def place_bought(play: Play) -> None:
    play.buy(by="bob", order="o2", areas=((0, 1),))


REVOKED, UNPAID, BLOCKED, VALID = (
    state(one)
    for one in (TicketState.REVOKED, TicketState.UNPAID, TicketState.BLOCKED, TicketState.VALID)
)
SOON = having(doors_open_ms=NOW_MS + 1)
OVER = having(doors_close_ms=NOW_MS)
AFTER_EXIT, UNLIMITED = having(re_entry=ReEntry.AFTER_EXIT), having(re_entry=ReEntry.UNLIMITED)


def undo(play: Play) -> object:
    return play.undo(1)


CASES: dict[ScanOutcome, list[Case]] = {
    ScanOutcome.UNKNOWN: [
        Case("forged", scan(performance=-1)),
        Case("no override of a forged one", forced(performance=-1)),
        Case("leaves with a forged one", leave(performance=-1)),
        Case("never sold, by its number", mark(3)),
        Case("never sold", scan(3)),
        Case("number nought", scan(0)),
        Case("a version never made", scan(version=1)),
    ],
    ScanOutcome.WRONG_PERFORMANCE: [
        Case("elsewhere", scan(performance=8)),
        Case("no override of another evening's", forced(performance=8)),
    ],
    ScanOutcome.REVOKED: [
        Case("revoked", scan(version=1), (REVOKED,)),
        Case("reissued, old secret", scan(), (REVOKED, VALID)),
        Case("old secret before refunded", scan(), (REVOKED, refunded)),
        Case("no override of a revoked ticket", forced(), (REVOKED,)),
        Case("no override of an old secret", forced(), (REVOKED, VALID)),
        Case("revoked, by its number", mark(), (REVOKED,)),
    ],
    ScanOutcome.REFUNDED: [
        Case("refunded", scan(), (refunded,)),
        Case("no override of a refunded ticket", forced(), (refunded,)),
        Case("refunded, by its number", mark(), (refunded,)),
    ],
    ScanOutcome.UNPAID: [
        Case("unpaid", scan(), (UNPAID,)),
        Case("unpaid, by its number", mark(), (UNPAID,)),
    ],
    ScanOutcome.BLOCKED: [
        Case("blocked", scan(), (BLOCKED,)),
        Case("blocked before used", scan(), (scan(), BLOCKED)),
    ],
    ScanOutcome.ALREADY_USED: [
        Case("used", scan(), (scan(),)),
        Case("used before wrong gate", scan(gate="south"), (scan(),)),
        Case("went out, and no re-entry", scan(), (scan(), leave())),
        Case("inside, re-entry after exit", scan(), (AFTER_EXIT, scan())),
        Case("came back, re-entry after exit", scan(), (AFTER_EXIT, scan(), leave(), scan())),
        Case("left twice", leave(), (scan(), leave())),
        Case("ticked off twice", mark(), (mark(),)),
        Case("ticked off twice, re-entry unlimited", mark(), (UNLIMITED, mark())),
    ],
    ScanOutcome.WRONG_GATE: [
        Case("the other section's gate", scan(gate="south")),
        Case("a gate there is not", scan(gate="west")),
        Case("not an area's gate", scan(3, gate="south"), (place_bought,)),
        Case("wrong gate before too early", scan(gate="south"), (SOON,)),
    ],
    ScanOutcome.TOO_EARLY: [
        Case("too early", scan(), (SOON,)),
        Case("leaves without having come", leave()),
        Case("leaves after the admission was undone", leave(), (scan(), undo)),
    ],
    ScanOutcome.TOO_LATE: [Case("too late", scan(), (having(doors_close_ms=NOW_MS),))],
    ScanOutcome.ADMITTED: [
        Case("doors open now", scan(), (having(doors_open_ms=NOW_MS),)),
        Case("reissued, new secret", scan(version=1), (REVOKED, VALID)),
        Case("paid since", scan(), (UNPAID, VALID)),
        Case("the right gate", scan(2, gate="south")),
        Case("an area's gate", scan(3, gate="north"), (place_bought,)),
        Case("a gate for all", scan(2, gate="any")),
        Case("no gate in particular", scan()),
        Case("no gates at all", scan(gate="door"), (lambda play: play.configure(gates=()),)),
        Case("came out before", scan(), (AFTER_EXIT, scan(), leave())),
        Case("inside, re-entry unlimited", scan(), (UNLIMITED, scan())),
        Case("undone", scan(), (scan(), undo)),
        Case("overridden: used", forced(), (scan(),)),
        Case("overridden: unpaid", forced(), (UNPAID,)),
        Case("overridden: blocked", forced(), (BLOCKED,)),
        Case("overridden: wrong gate", forced(gate="south")),
        Case("overridden: too early", forced(), (SOON,)),
        Case("overridden: too late", forced(), (OVER,)),
        Case("by its number, at any time and gate", mark(gate="south"), (OVER,)),
        Case("reissued, by its number", mark(), (REVOKED, VALID)),
    ],
    ScanOutcome.EXITED: [
        Case("leaves", leave(), (scan(),)),
        Case("leaves by another gate", leave(gate="west"), (scan(gate="north"),)),
        Case("leaves after the doors closed", leave(), (scan(), OVER)),
        Case("leaves with a ticket blocked since", leave(), (scan(), BLOCKED)),
        Case("leaves with the old secret", leave(), (scan(), REVOKED, VALID)),
        Case("leaves again", leave(), (AFTER_EXIT, scan(), leave(), scan())),
        Case("leaves once, came in twice", leave(), (UNLIMITED, scan(), scan())),
        Case("the exit was undone", leave(), (scan(), leave(), undo)),
    ],
}
PARAMS = [pytest.param(told, case, id=case.name) for told, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("told", "case"), PARAMS)
def test_the_door_says(play: Play, told: ScanOutcome, case: Case) -> None:
    for step in case.before:
        step(play)
    assert result(case.asked(play)) is told


def test_every_outcome_is_tested() -> None:
    assert set(CASES) == set(ScanOutcome)


def test_an_admission_tells_whose_ticket_it_is(play: Play) -> None:
    play.at_ms += 5
    assert play.scan(1, gate="north") == Scanned(
        ScanOutcome.ADMITTED, 1, 0, -1, "full", "o1", NOW_MS + 5, "north"
    )


def test_a_ticket_tells_its_own_order(play: Play) -> None:
    play.buy(1, by="bob", order="o2")
    orders = [play.scan(number).order for number in (1, 2, 3)]  # type: ignore[union-attr]
    assert orders == ["o1", "o1", "o2"]


def test_a_stranger_is_told_its_number_unless_it_is_forged(play: Play) -> None:
    assert play.scan(3) == Scanned(ScanOutcome.UNKNOWN, 3)
    for other in (0, 8):
        assert play.scan(1, performance=other) == Scanned(ScanOutcome.WRONG_PERFORMANCE, 1)
    assert play.scan(1, performance=-1) == Scanned(ScanOutcome.UNKNOWN)


def test_a_used_ticket_tells_when_and_where_it_was_admitted_first(play: Play) -> None:
    play.scan(1, gate="north")
    play.at_ms += 60_000
    for _ in range(2):
        assert play.scan(1, gate="any") == Scanned(
            ScanOutcome.ALREADY_USED, 1, 0, -1, "full", "o1", NOW_MS, "north"
        )


def test_a_look_up_burns_nothing_and_leaves_no_trace(play: Play) -> None:
    play.live.take()
    before = play.live.snapshot()
    for _ in range(2):
        seen = play.scan(1, mode=ScanMode.LOOK_UP)
        assert seen == Scanned(ScanOutcome.ADMITTED, 1, 0, -1, "full", "o1")
    assert play.live.snapshot() == before
    assert play.live.take() == ([], [], [])
    play.scan(1, gate="north")
    seen = play.scan(1, mode=ScanMode.LOOK_UP)
    assert seen == Scanned(ScanOutcome.ALREADY_USED, 1, 0, -1, "full", "o1", NOW_MS, "north")


def test_a_refused_scan_is_recorded_and_burns_nothing(play: Play) -> None:
    play.live.take()
    play.scan(1, gate="south")
    play.scan(1, performance=-1)
    events, _, _ = play.live.take()
    assert [result(event.outcome) for event in events] == [
        ScanOutcome.WRONG_GATE,
        ScanOutcome.UNKNOWN,
    ]
    assert result(play.scan(1, gate="north")) is ScanOutcome.ADMITTED


def test_who_comes_back_is_told_when_they_came_first(play: Play) -> None:
    play.configure(gates=GATES, re_entry=ReEntry.AFTER_EXIT)
    play.scan(1, gate="north")
    play.at_ms += 1_000
    play.scan(1, gate="any", mode=ScanMode.EXIT)
    play.at_ms += 1_000
    again = play.scan(1, gate="any", mode=ScanMode.EXIT)
    assert isinstance(again, Scanned)
    assert (again.used_at_ms, again.used_gate) == (NOW_MS + 1_000, "any")  # the exit
    back = play.scan(1, gate="any")
    assert isinstance(back, Scanned)
    assert (back.result, back.used_at_ms) == (ScanOutcome.ADMITTED, NOW_MS)


def test_a_clock_that_went_back_changes_nothing_of_the_order(play: Play) -> None:
    play.configure(gates=GATES, re_entry=ReEntry.AFTER_EXIT)
    play.scan(1)
    play.at_ms -= 60_000
    assert result(play.scan(1, mode=ScanMode.EXIT)) is ScanOutcome.EXITED
    assert result(play.scan(1, mode=ScanMode.EXIT)) is ScanOutcome.ALREADY_USED
    assert result(play.scan(1)) is ScanOutcome.ADMITTED
    assert play.inside().total == 1


def test_out_in_the_millisecond_of_the_admission_is_told_with_its_time(play: Play) -> None:
    play.scan(1)
    for told in (ScanOutcome.EXITED, ScanOutcome.ALREADY_USED):
        left = play.scan(1, mode=ScanMode.EXIT)
        assert isinstance(left, Scanned)
        assert (left.result, left.used_at_ms) == (told, NOW_MS)


def test_a_ticket_that_goes_in_and_out_without_end_is_stopped(
    play: Play, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert MAX_PASSAGES_PER_TICKET >= 1_000
    monkeypatch.setattr("engine.admission.MAX_PASSAGES_PER_TICKET", 3)
    play.configure(gates=GATES, re_entry=ReEntry.UNLIMITED)
    for _ in range(3):
        assert result(play.scan(1)) is ScanOutcome.ADMITTED
    refused = play.scan(1)
    assert isinstance(refused, Refused) and refused.code is Refusal.BUSY
    assert result(play.scan(1, mode=ScanMode.LOOK_UP)) is ScanOutcome.ADMITTED


# Taking back ---------------------------------------------------------------------


def test_an_admission_is_taken_back_and_the_ticket_is_as_new(play: Play) -> None:
    play.live.take()
    before = play.inside()
    play.scan(1, gate="north")
    assert play.undo(1) == Undone(1, ScanMode.ADMIT, False, "north", "device", -1)
    assert play.inside() == before
    assert play.live.ticket_uses == {}
    assert result(play.scan(1, gate="north")) is ScanOutcome.ADMITTED
    play.scan(1, gate="any", mode=ScanMode.EXIT)
    assert play.undo(1) == Undone(1, ScanMode.EXIT, True, "any", "device", -1)
    assert play.inside().total == 1


UNDO_REFUSED = [
    pytest.param(Refusal.TICKET_UNKNOWN, (), lambda play: play.undo(3), id="never sold"),
    pytest.param(Refusal.NOTHING_TO_UNDO, (), lambda play: play.undo(1), id="not used"),
    pytest.param(Refusal.NOTHING_TO_UNDO, (scan(), undo), lambda play: play.undo(1), id="twice"),
    pytest.param(
        Refusal.SCANNED_ELSEWHERE,
        (scan(gate="north"),),
        lambda play: play.undo(1, "any", "other"),
        id="another gate and device",
    ),
    pytest.param(
        Refusal.SCANNED_ELSEWHERE,
        (scan(),),
        lambda play: play.undo(1, "", "other"),
        id="no gate is no gate in common",
    ),
]


@pytest.mark.parametrize(("code", "before", "asked"), UNDO_REFUSED)
def test_what_cannot_be_taken_back(
    play: Play, code: Refusal, before: tuple[Step, ...], asked: Step
) -> None:
    for step in before:
        step(play)
    state = play.live.ticket_uses.copy()
    assert asked(play) == Refused(code, (), "3" if code is Refusal.TICKET_UNKNOWN else "1")
    assert play.live.ticket_uses == state


def test_there_is_no_ticket_number_nought_to_take_back(play: Play) -> None:
    assert play.undo(0) == Refused(Refusal.TICKET_UNKNOWN, (), "0")


@pytest.mark.parametrize(
    "here", [{"gate": "north", "device": "other"}, {"device": "device"}, {"anywhere": True}]
)
def test_the_gate_the_device_or_a_supervisor_may_take_back(
    play: Play, here: dict[str, object]
) -> None:
    play.scan(1, gate="north")
    undone = play.undo(1, **({"device": "nobody"} | here))  # type: ignore[arg-type]
    assert isinstance(undone, Undone)


def test_after_a_while_nothing_can_be_taken_back_not_even_by_a_supervisor(play: Play) -> None:
    play.scan(1)
    play.at_ms += UNDO_MS
    assert play.undo(1, anywhere=True) == Refused(Refusal.UNDO_TOO_LATE, (), "1")
    play.at_ms -= 1
    assert isinstance(play.undo(1, anywhere=True), Undone)


# How many are inside --------------------------------------------------------------


def at(play: Play, gate: str) -> GateInside:
    return {one.gate: one for one in play.inside().gates}[gate]


def test_who_is_inside_is_counted_by_gate_and_by_zone(play: Play) -> None:
    play.buy(1, 2, 3, by="bob", order="o2", areas=((0, 1),))  # tickets 3 to 6, section 0
    play.scan(1, gate="north")
    play.scan(2, gate="any")
    play.scan(3, gate="any")
    told = play.inside()
    assert (told.total, told.sections) == (3, ((0, 2), (1, 1)))
    assert at(play, "north") == GateInside("north", 1, 2, 0, Alarm.NONE)
    assert at(play, "south") == GateInside("south", 0, 1, 0, Alarm.NONE)
    assert at(play, "any") == GateInside("any", 2, 3, 0, Alarm.NONE)
    play.scan(1, gate="any", mode=ScanMode.EXIT)  # leaves the gate that it came in by
    assert (at(play, "north").inside, at(play, "any").inside) == (0, 2)
    assert play.inside().total == 2


def test_a_ticket_inside_counts_once_however_often_it_came(play: Play) -> None:
    play.configure(gates=GATES, re_entry=ReEntry.UNLIMITED)
    for gate in ("north", "any", "north", "any"):
        play.scan(1, gate=gate)
    assert play.inside().total == 1
    assert (at(play, "north").inside, at(play, "any").inside) == (0, 1)


def test_gates_are_forgotten_when_nobody_is_inside_by_them(play: Play) -> None:
    """They may be any text, and there may be any number of them."""
    play.configure(gates=())
    play.scan(1, gate="a door that was in no plan")
    play.scan(1, mode=ScanMode.EXIT)
    assert list(play.live.inside_gates) == []


def test_a_zone_of_which_a_part_is_empty_counts_the_others(play: Play) -> None:
    play.configure(gates=(Gate("both", "Both", (0, 1)),))
    play.scan(2)
    assert at(play, "both").zone == 1


@pytest.mark.parametrize(("capacity", "near"), [(10, 9), (19, 18)])
def test_a_capacity_warns_before_it_is_reached_and_refuses_nobody(capacity: int, near: int) -> None:
    many = capacity + 2
    gate = Gate("north", "North", (0,), capacity=capacity)
    play = Play(house(["a" * many]), settings(gates=(gate,), max_per_order=many))
    play.buy(*range(many))
    told = []
    for number in range(1, many + 1):
        assert result(play.scan(number, gate="north")) is ScanOutcome.ADMITTED
        told.append(at(play, "north").alarm)
    before = [Alarm.NONE] * (near - 1)
    assert told == before + [Alarm.NEAR] * (capacity - near) + [Alarm.FULL] * 3


def test_an_old_snapshot_and_an_old_scan_are_still_read(play: Play) -> None:
    """As they were written before there were exits: when and where it was first admitted."""
    data = msgspec.msgpack.decode(play.live.snapshot())
    assert data[0] == 2
    old = [1, *data[1:12], [[1, [NOW_MS - 5, "north"]]], [], []]
    restored = Performance.restore(7, PLAN, msgspec.msgpack.encode(old))
    play.live = restored
    told = play.scan(1, gate="any")
    assert isinstance(told, Scanned)
    assert (told.result, told.used_at_ms, told.used_gate) == (
        ScanOutcome.ALREADY_USED,
        NOW_MS - 5,
        "north",
    )
    assert play.inside().total == 1
    written = ["scan", b"i" * 16, "north", "lane", 7, 2, 0, "admit"]
    answered = ["scanned", "ADMITTED", 2, 4, -1, "full", "o1", NOW_MS, "north"]
    events = msgspec.msgpack.encode([[NOW_MS, written, answered]])
    play.live.replay(msgspec.msgpack.decode(events, type=list[Event]))
    assert play.inside().total == 2
