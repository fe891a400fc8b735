"""A machine that is alone says what the engine says, as far as it can know it."""

import random
from functools import partial

import pytest
from msgspec.structs import replace

from engine.commands import Scan, ScanMode, Scanned, ScanOutcome, TicketState
from engine.door_list import DoorGate, DoorList, Doors, Use
from engine.performance import Performance
from engine.settings import Gate, ReEntry
from tests.engine.small import NOW_MS, Play, house, settings

PLAN = house(["aaaa", "aaaa"], ["aaaa"], areas=[(5, "b")])
OPENS_MS, CLOSES_MS = NOW_MS + 1_000, NOW_MS + 100_000
GATES = (Gate("all", "All"), Gate("left", "Left", (0,)), Gate("right", "Right", (1,)))


RULES = partial(settings, gates=GATES, max_per_order=100, orphan_rule=False)


def listed(core: Performance, first: int = 1, **changes: object) -> DoorList:
    """What the edge would tell of this performance now."""
    settings, plan = core.settings, PLAN
    used: dict[int, Use | None] = {}
    for number, uses in core.ticket_uses.items():
        entries = [one for one in uses if one.entry]
        if entries:
            used[number] = Use(entries[0].at_ms, entries[0].gate, uses[-1].entry)
    tickets = core.tickets[first - 1 :]
    made = DoorList(
        performance=core.performance,
        public_key="",
        plan="",
        opens_ms=settings.doors_open_ms,
        closes_ms=settings.doors_close_ms,
        re_entry=settings.re_entry,
        gates=tuple(DoorGate(one.id, one.name, one.sections) for one in settings.gates),
        seq=1,
        tickets=len(core.tickets),
        states=dict(core.ticket_states),
        versions=dict(core.ticket_versions),
        used=used,
        whole=True,
        first=first,
        places=tuple(one.seat if one.seat >= 0 else -1 - one.area for one in tickets),
        sections=tuple(
            plan.rows[plan.seats[one.seat].row].section
            if one.seat >= 0
            else plan.areas[one.area].section
            for one in tickets
        ),
    )
    return replace(made, **changes)


@pytest.mark.parametrize("policy", ReEntry)
def test_a_machine_with_todays_list_says_what_the_engine_says(policy: ReEntry) -> None:
    chance = random.Random(f"doors {policy}")
    rules = RULES(re_entry=policy, doors_open_ms=OPENS_MS, doors_close_ms=CLOSES_MS)
    play = Play(PLAN, rules)
    play.buy(*range(10), areas=((0, 4),))
    play.buy(10, 11, order="unpaid")
    play.refund(11, 12)
    core = play.live
    seen: set[ScanOutcome] = set()
    alone = Doors(listed(core))
    for _ in range(1_500):
        if chance.random() < 0.05:
            state = chance.choice([one for one in TicketState if one is not TicketState.REFUNDED])
            play.set_tickets(chance.randint(1, 16), state=state)
            alone.update(listed(core))
        number = chance.randint(1, 16)
        version = max(0, core.ticket_versions.get(number, 0) - chance.choice((0, 0, 0, 1)))
        gate = chance.choice(("", "all", "left", "right", "none"))
        mode = chance.choice((ScanMode.ADMIT, ScanMode.ADMIT, ScanMode.LOOK_UP, ScanMode.EXIT))
        performance = chance.choice((core.performance,) * 20 + (-1, core.performance + 1))
        at_ms = chance.choice((NOW_MS, *(OPENS_MS + 5,) * 12, CLOSES_MS))
        mine = alone.judge(performance, number, version, gate, mode, at_ms)
        scan = Scan(chance.randbytes(16), gate, "door", performance, number, version, mode)
        engines = core.apply(scan, at_ms)
        assert isinstance(engines, Scanned)
        assert (mine.result, mine.ticket, mine.seat, mine.area) == (
            engines.result, engines.ticket, engines.seat, engines.area,
        )  # fmt: skip
        seen.add(mine.result)
        if mine.result is ScanOutcome.ADMITTED:
            assert (mine.used_at_ms, mine.used_gate) == (engines.used_at_ms, engines.used_gate)
        if mode is not ScanMode.LOOK_UP and mine.result in (
            ScanOutcome.ADMITTED, ScanOutcome.EXITED,
        ):  # fmt: skip
            alone.note(number, mine.result is ScanOutcome.ADMITTED, at_ms, gate)
    assert seen >= set(ScanOutcome) - {ScanOutcome.REFUNDED}


def test_one_that_is_newer_than_the_list_is_believed() -> None:
    play = Play(PLAN, RULES())
    play.buy(0)
    alone = Doors(listed(play.live))
    sold_since = alone.judge(play.live.performance, 99, 0, "right", ScanMode.ADMIT, NOW_MS)
    assert (sold_since.result, sold_since.seat) == (ScanOutcome.ADMITTED, -1)
    revoked = replace(listed(play.live), states={1: TicketState.REVOKED}, versions={1: 1})
    alone.update(revoked)
    judged = [
        alone.judge(play.live.performance, 1, version, "", ScanMode.ADMIT, NOW_MS).result
        for version in (0, 1, 2)
    ]
    assert judged == [ScanOutcome.REVOKED, ScanOutcome.REVOKED, ScanOutcome.ADMITTED]


def test_a_part_of_a_list_changes_what_it_names_only() -> None:
    play = Play(PLAN, RULES())
    play.buy(0, 1, 2)
    alone = Doors(listed(play.live, used={1: Use(5, "a", True), 2: Use(6, "a", True)}))
    alone.note(3, True, 7, "b")
    play.buy(4, order="o2")
    alone.update(
        listed(play.live, first=4, whole=False, used={1: None, 2: Use(6, "a", False)}, seq=9)
    )
    assert alone.used == {2: Use(6, "a", False), 3: Use(7, "b", True)}
    assert (alone.places, alone.listed.seq) == ([0, 1, 2, 4], 9)
    told = alone.whole_list()
    assert (told.used, told.places, told.whole, told.first) == (
        alone.used, (0, 1, 2, 4), True, 1,
    )  # fmt: skip
    assert Doors(told).used == alone.used
    # A whole list replaces what was known.
    alone.update(listed(play.live, used={}))
    assert alone.used == {}
