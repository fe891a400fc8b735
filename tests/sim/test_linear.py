"""The checker of histories, on histories known to be good or bad."""

from collections.abc import Sequence
from math import inf

import pytest

from engine.commands import Refusal, ScanMode, ScanOutcome, TicketState
from engine.settings import ReEntry
from tests.sim.history import Presented, Step
from tests.sim.linear import linearizable
from tests.sim.quotas import Quota, quota_step
from tests.sim.sequential import FREE, Ticket, seat_step, ticket_step

ANN, BEN = b"a" * 16, b"b" * 16
LATER_MS = 1_000_000
USED = (5_000, "door")
NOT_USED = (0, "")
VALID, REFUNDED = TicketState.VALID, TicketState.REFUNDED


ADMITTED, ALREADY_USED = ScanOutcome.ADMITTED, ScanOutcome.ALREADY_USED
EXITED = ScanOutcome.EXITED
LEAVES = Presented(ScanMode.EXIT, 0, "d1", "door")
FORCED = Presented(ScanMode.ADMIT, 0, "d2", "door", forced=True)
FIRST = ("d1", -1)


def scan(result: ScanOutcome, used: tuple[int, str], mode: ScanMode = ScanMode.ADMIT) -> tuple:  # type: ignore[type-arg]
    return ("scan", Presented(mode, 0, "d1", used[1] or "door"), result, used)


def kept(
    result: ScanOutcome,
    conflict: bool = False,
    inside: bool = True,
    again: bool = False,
    device: str = "d2",
    at_ms: int = 6_000,
) -> tuple:  # type: ignore[type-arg]
    """A device that was alone let somebody in, and tells of it."""
    shown = Presented(ScanMode.ADMIT, 0, device, "door")
    return ("kept", shown, 0, at_ms, True, result, conflict, inside, again)


KEEP = ("allocate", "press", ("phone",), 7_000)
SEAT_GOOD = {
    "one after the other": [
        (0, 1, ("take", ANN, LATER_MS)),
        (2, 3, ("keep", ANN, LATER_MS)),
        (4, 5, ("sell", ANN, 1)),
        (6, 7, ("back", 1)),
        (8, 9, ("take", BEN, LATER_MS)),
    ],
    "who answered later was first": [
        (0, 9, ("take", ANN, LATER_MS)),
        (1, 2, ("not free",)),
        (3, 4, ("not free",)),
    ],
    "given back while another asks": [
        (0, 1, ("take", ANN, LATER_MS)),
        (2, 9, ("give", ANN)),
        (3, 8, ("take", BEN, LATER_MS)),
        (4, 5, ("not free",)),
    ],
    "a hold ends by itself": [
        (0, 1, ("take", ANN, 1_500)),
        (2, 3, ("take", BEN, LATER_MS)),
    ],
    "never answered, and done": [
        (0, inf, ("take", ANN, LATER_MS)),
        (1, 2, ("free",)),
        (5, 6, ("not free",)),
    ],
    "kept for one channel, and released by itself": [
        (0, 1, KEEP),
        (2, 3, ("by", "web", ("blocked",))),
        (3, 4, ("by", "phone", ("take", ANN, 1_500))),
        (3.5, 4.5, ("by", "web", ("not free",))),
        (5, 6, ("by", "web", ("blocked",))),
        (8, 9, ("by", "web", ("take", BEN, LATER_MS))),
    ],
    "kept for another channel by now": [
        (0, 1, KEEP),
        (2, 3, ("changed", "press", ("web",), 0)),
        (4, 5, ("by", "web", ("take", BEN, LATER_MS))),
        (6, 7, ("give", BEN)),
        (8, 9, ("by", "phone", ("blocked",))),
        (10, 11, ("given back", "press")),
        (12, inf, ("free",)),
    ],
    "blocked and put back": [(0, 1, ("block",)), (2, 3, ("blocked",)), (4, 5, ("unblock",))],
}
SEAT_BAD = {
    "kept, and sold to another channel": [(0, 1, KEEP), (2, 3, ("by", "web", ("free",)))],
    "kept, and refused to its own channel": [(0, 1, KEEP), (2, 3, ("by", "phone", ("blocked",)))],
    "kept from who had it": [
        (0, 1, ("by", "web", ("take", ANN, LATER_MS))),
        (2, 3, KEEP),
    ],
    "released before its time": [(0, 1, KEEP), (6, 6.9, ("by", "web", ("free",)))],
    "given back and still kept": [
        (0, 1, KEEP),
        (2, 3, ("given back", "press")),
        (4, 5, ("by", "web", ("blocked",))),
    ],
    "a stale read": [
        (0, 1, ("take", ANN, LATER_MS)),
        (2, 3, ("free",)),
    ],
    "an acknowledged hold is lost": [
        (0, 1, ("take", ANN, LATER_MS)),
        (2, 3, ("take", BEN, LATER_MS)),
    ],
    "an acknowledged sale is lost": [
        (0, 1, ("take", ANN, LATER_MS)),
        (2, 3, ("sell", ANN, 1)),
        (4, inf, ("free",)),
    ],
    "sold twice": [
        (0, 1, ("take", ANN, LATER_MS)),
        (0, 1, ("take", BEN, LATER_MS)),
        (2, 3, ("sell", ANN, 1)),
        (2, 3, ("sell", BEN, 2)),
    ],
    "sold again before the money came back": [
        (0, 1, ("take", ANN, 1_500)),
        (2, 3, ("sell", ANN, 1)),
        (4, 5, ("take", BEN, LATER_MS)),
        (6, 7, ("back", 1)),
    ],
    "sold after the hold was given back": [
        (0, 1, ("take", ANN, LATER_MS)),
        (2, 3, ("give", ANN)),
        (4, 5, ("sell", ANN, 1)),
    ],
    "ended before its time": [
        (0, 1, ("take", ANN, 5_000)),
        (2, 3, ("take", BEN, LATER_MS)),
        (6, 7, ("sell", BEN, 1)),
    ],
    "taken, and nobody has it": [(0, 1, ("not free",)), (2, 3, ("take", ANN, LATER_MS))],
}
TICKET_GOOD = {
    "admitted once": [
        (0, 1, ("sold", VALID)),
        (2, 9, scan(ScanOutcome.ADMITTED, USED)),
        (3, 4, scan(ScanOutcome.ALREADY_USED, USED)),
        (5, 6, ("refused", "ticket_used")),
    ],
    "looked at before": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ScanOutcome.ADMITTED, NOT_USED, ScanMode.LOOK_UP)),
        (4, 5, scan(ScanOutcome.ADMITTED, USED)),
    ],
    "shown at the door while it is bought": [
        (0, 5, ("sold", VALID)),
        (1, 2, scan(ScanOutcome.UNKNOWN, NOT_USED)),
        (3, 4, scan(ScanOutcome.ADMITTED, USED)),
    ],
    "refunded, then shown": [
        (0, 1, ("sold", VALID)),
        (2, 3, ("refund",)),
        (4, 5, scan(ScanOutcome.REFUNDED, NOT_USED)),
    ],
}
TICKET_GOOD |= {
    "out and in again": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, ("scan", LEAVES, EXITED, USED)),
        (6, 7, scan(ADMITTED, USED)),
        (8, inf, ("is", VALID, 0, [FIRST, FIRST, FIRST])),
    ],
    "taken back, then another door": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, ("undone", ScanMode.ADMIT, False, "door", *FIRST)),
        (6, 7, ("refund",)),
    ],
    "let in all the same": [
        (0, 1, ("sold", TicketState.UNPAID)),
        (2, 3, ("scan", FORCED, ADMITTED, USED)),
        (4, 5, ("scan", FORCED, ADMITTED, USED)),
    ],
    "two let in, and told in either order": [
        (0, 1, ("sold", VALID)),
        (2, 9, kept(ADMITTED, inside=True)),
        (2, 9, kept(ALREADY_USED, conflict=True, device="d3", at_ms=6_500)),
        (10, 11, kept(ADMITTED, conflict=True, again=True)),
        (12, inf, ("is", VALID, 0, [("d2", 0), ("d3", 0)])),
    ],
    "the earlier by the clock has won": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, kept(ADMITTED, conflict=True, at_ms=4_000)),
        (6, inf, ("is", VALID, 0, [("d2", 0), FIRST])),
    ],
}
TICKET_BAD = {
    "admitted twice": [
        (0, 1, ("sold", VALID)),
        (2, 5, scan(ScanOutcome.ADMITTED, USED)),
        (3, 4, scan(ScanOutcome.ADMITTED, (5_001, "other door"))),
    ],
    "risen after a refund": [
        (0, 1, ("sold", VALID)),
        (2, 3, ("refund",)),
        (4, 5, scan(ScanOutcome.ADMITTED, USED)),
    ],
    "refunded twice": [(0, 1, ("sold", VALID)), (2, 3, ("refund",)), (2, 3, ("refund",))],
    "money back after admission": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ScanOutcome.ADMITTED, USED)),
        (4, 5, ("refund",)),
    ],
    "used, says the door, and nobody was admitted": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ScanOutcome.ALREADY_USED, USED)),
    ],
    "the sale is lost": [(0, 1, ("sold", VALID)), (2, 3, scan(ScanOutcome.UNKNOWN, NOT_USED))],
    "the refund is lost at the end": [
        (0, 1, ("sold", VALID)),
        (2, 3, ("refund",)),
        (4, inf, ("is", VALID, 0, [])),
    ],
    "the admission is lost at the end": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, inf, ("is", VALID, 0, [])),
    ],
    "back in without having left": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, scan(ADMITTED, USED)),
    ],
    "left before anybody came": [
        (0, 1, ("sold", VALID)),
        (2, 3, ("scan", LEAVES, EXITED, USED)),
    ],
    "taken back, and still inside": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, ("undone", ScanMode.ADMIT, False, "door", *FIRST)),
        (6, 7, scan(ALREADY_USED, USED)),
    ],
    "taken back twice": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, ("undone", ScanMode.ADMIT, False, "door", *FIRST)),
        (6, 7, ("undone", ScanMode.ADMIT, False, "door", *FIRST)),
    ],
    "nothing to take back, says the door, and somebody is inside": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, ("not undone", Refusal.NOTHING_TO_UNDO, "door", "d1")),
    ],
    "a kept scan counts twice": [
        (0, 1, ("sold", VALID)),
        (2, 3, kept(ADMITTED)),
        (4, 5, kept(ADMITTED)),
    ],
    "a kept scan was told before, and never was": [
        (0, 1, ("sold", VALID)),
        (2, 3, kept(ADMITTED, again=True)),
    ],
    "a kept scan is lost at the end": [
        (0, 1, ("sold", VALID)),
        (2, 3, kept(ADMITTED)),
        (4, inf, ("is", VALID, 0, [])),
    ],
    "two are inside, and no conflict": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, kept(ALREADY_USED)),
    ],
    "the later by the clock has won": [
        (0, 1, ("sold", VALID)),
        (2, 3, scan(ADMITTED, USED)),
        (4, 5, kept(ADMITTED, conflict=True)),
    ],
    "no override brings the money back": [
        (0, 1, ("sold", VALID)),
        (2, 3, ("refund",)),
        (4, 5, ("scan", FORCED, ADMITTED, USED)),
    ],
    "a revoked secret is good again": [
        (0, 1, ("sold", VALID)),
        (2, 3, ("set", TicketState.REVOKED, 1)),
        (4, 5, ("set", VALID, 0)),
    ],
}


def possible(history: Sequence[tuple[float, float, tuple]], seat: bool) -> bool:  # type: ignore[type-arg]
    steps = [Step(*one) for one in history]

    def latest_ms(at_s: float) -> float:
        return 1000 * at_s

    verdicts = {
        linearizable(
            order,
            *((FREE, seat_step) if seat else (Ticket(ReEntry.AFTER_EXIT), ticket_step)),
            latest_ms,
        )
        for order in (steps, steps[::-1])
    }
    assert len(verdicts) == 1, "the order of the record does not matter"
    return verdicts.pop()


@pytest.mark.parametrize("history", SEAT_GOOD.values(), ids=SEAT_GOOD)
def test_good_seats(history: list) -> None:  # type: ignore[type-arg]
    assert possible(history, seat=True)


@pytest.mark.parametrize("history", SEAT_BAD.values(), ids=SEAT_BAD)
def test_bad_seats(history: list) -> None:  # type: ignore[type-arg]
    assert not possible(history, seat=True)


@pytest.mark.parametrize("history", TICKET_GOOD.values(), ids=TICKET_GOOD)
def test_good_tickets(history: list) -> None:  # type: ignore[type-arg]
    assert possible(history, seat=False)


@pytest.mark.parametrize("history", TICKET_BAD.values(), ids=TICKET_BAD)
def test_bad_tickets(history: list) -> None:  # type: ignore[type-arg]
    assert not possible(history, seat=False)


QUOTA_GOOD = {
    "paid, sold and given back": [
        (0, 1, ("pay", ANN, 2, LATER_MS)),
        (2, 3, ("full", BEN, 2, 1)),
        (4, 5, ("sold", ANN, 2)),
        (6, 7, ("refund", 1)),
        (8, 9, ("pay", BEN, 2, LATER_MS)),
        (10, 11, ("given up", BEN)),
        (12, inf, ("is", 1)),
    ],
    "who is in payment asks anew": [
        (0, 1, ("pay", ANN, 3, LATER_MS)),
        (2, 3, ("pay", ANN, 2, LATER_MS)),
        (4, 5, ("pay", BEN, 1, LATER_MS)),
    ],
    "over by itself": [
        (0, 1, ("pay", ANN, 3, 4_000)),
        (2, 3, ("full", BEN, 1, 0)),
        (4, 5, ("pay", BEN, 1, LATER_MS)),
        (6, inf, ("is", 1)),
    ],
    "the last place for one of two": [
        (0, 1, ("pay", ANN, 2, LATER_MS)),
        (2, 9, ("pay", b"c" * 16, 1, LATER_MS)),
        (3, 8, ("full", BEN, 1, 0)),
    ],
}
QUOTA_BAD = {
    "one too many": [(0, 1, ("pay", ANN, 2, LATER_MS)), (2, 3, ("pay", BEN, 2, LATER_MS))],
    "full with room": [(0, 1, ("pay", ANN, 2, LATER_MS)), (2, 3, ("full", BEN, 1, 1))],
    "full, and wrong by one": [(0, 1, ("pay", ANN, 2, LATER_MS)), (2, 3, ("full", BEN, 2, 0))],
    "ended too soon": [(0, 1, ("pay", ANN, 3, 4_000)), (2, 3, ("pay", BEN, 1, LATER_MS))],
    "sold, and not counted": [
        (0, 1, ("pay", ANN, 3, LATER_MS)),
        (2, 3, ("sold", ANN, 3)),
        (4, 5, ("pay", BEN, 1, LATER_MS)),
    ],
    "sold to nobody": [(0, 1, ("sold", ANN, 1))],
    "other than counted": [(0, 1, ("pay", ANN, 2, LATER_MS)), (2, inf, ("is", 1))],
}


def quota_possible(history: list) -> bool:  # type: ignore[type-arg]
    steps = [Step(*step) for step in history]
    return linearizable(steps, Quota(3), quota_step, lambda at_s: 1000 * at_s)


@pytest.mark.parametrize("history", QUOTA_GOOD.values(), ids=QUOTA_GOOD)
def test_good_quotas(history: list) -> None:  # type: ignore[type-arg]
    assert quota_possible(history)


@pytest.mark.parametrize("history", QUOTA_BAD.values(), ids=QUOTA_BAD)
def test_bad_quotas(history: list) -> None:  # type: ignore[type-arg]
    assert not quota_possible(history)


def test_an_order_exists_just_where_trying_all_orders_finds_one() -> None:
    """Small histories, drawn at random, against the definition itself."""
    from itertools import permutations
    from random import Random

    random = Random(4)
    actions = [("take", ANN, inf), ("take", BEN, inf), ("give", ANN), ("free",), ("not free",)]
    found = 0
    for _ in range(400):
        steps = []
        for _ in range(random.randint(2, 5)):
            began = random.randint(0, 9)
            steps.append(Step(began, began + random.randint(0, 6), random.choice(actions)))
        by_trying = any(_is_one(order) for order in permutations(steps))
        assert linearizable(steps, FREE, seat_step, lambda at_s: 0.0) == by_trying, steps
        found += by_trying
    assert 40 < found < 360


def _is_one(order: Sequence[Step]) -> bool:
    state: object = FREE
    for number, step in enumerate(order):
        if any(later.answered_s < step.invoked_s for later in order[number + 1 :]):
            return False
        after = seat_step(state, step.action, 0.0)  # type: ignore[arg-type]
        if not after:
            return False
        state = after[0]
    return True
