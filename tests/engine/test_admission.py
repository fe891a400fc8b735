"""What the doors say, outcome by outcome, and in which order."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from engine.commands import ScanMode, Scanned, ScanOutcome, TicketState
from engine.settings import Gate
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

CASES: dict[ScanOutcome, list[Case]] = {
    ScanOutcome.UNKNOWN: [
        Case("forged", scan(performance=-1)),
        Case("never sold", scan(3)),
        Case("number nought", scan(0)),
        Case("a version never made", scan(version=1)),
    ],
    ScanOutcome.WRONG_PERFORMANCE: [Case("elsewhere", scan(performance=8))],
    ScanOutcome.REVOKED: [
        Case("revoked", scan(version=1), (REVOKED,)),
        Case("reissued, old secret", scan(), (REVOKED, VALID)),
        Case("old secret before refunded", scan(), (REVOKED, refunded)),
    ],
    ScanOutcome.REFUNDED: [Case("refunded", scan(), (refunded,))],
    ScanOutcome.UNPAID: [Case("unpaid", scan(), (UNPAID,))],
    ScanOutcome.BLOCKED: [
        Case("blocked", scan(), (BLOCKED,)),
        Case("blocked before used", scan(), (scan(), BLOCKED)),
    ],
    ScanOutcome.ALREADY_USED: [
        Case("used", scan(), (scan(),)),
        Case("used before wrong gate", scan(gate="south"), (scan(),)),
    ],
    ScanOutcome.WRONG_GATE: [
        Case("the other section's gate", scan(gate="south")),
        Case("a gate there is not", scan(gate="west")),
        Case("not an area's gate", scan(3, gate="south"), (place_bought,)),
        Case("wrong gate before too early", scan(gate="south"), (SOON,)),
    ],
    ScanOutcome.TOO_EARLY: [Case("too early", scan(), (SOON,))],
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
    ],
}
PARAMS = [pytest.param(told, case, id=case.name) for told, cases in CASES.items() for case in cases]


@pytest.mark.parametrize(("told", "case"), PARAMS)
def test_the_door_says(play: Play, told: ScanOutcome, case: Case) -> None:
    for step in case.before:
        step(play)
    assert result(case.asked(play)) is told


def test_every_outcome_of_today_is_tested() -> None:
    # Leaving and coming back is not judged yet.
    assert set(CASES) == set(ScanOutcome) - {ScanOutcome.EXITED}


def test_an_admission_tells_whose_ticket_it_is(play: Play) -> None:
    play.at_ms += 5
    assert play.scan(1, gate="north") == Scanned(
        ScanOutcome.ADMITTED, 1, 0, -1, "full", "o1", NOW_MS + 5, "north"
    )


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
