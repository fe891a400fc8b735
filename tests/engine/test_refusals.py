"""Every refusal, by what brings it about, and which of two is given."""

from collections.abc import Callable
from typing import NamedTuple

import pytest

from engine.commands import (
    Channel,
    Checkout,
    Hold,
    Line,
    Outcome,
    Refusal,
    Refused,
    TicketState,
)
from engine.plan import Plan
from engine.settings import Price, PriceType, Quota, SaleStatus, Surplus, TypeStatus
from tests.engine.small import NOW_MS, Play, house, token


def plan(whole: bool) -> Plan:
    """Two rows of ten, tables of four (seats 20-23) and two (24, 25), two standing areas."""
    tables = [(4, whole), (2, False)]
    return house(["aaaaaaaaaa", "bbbbbbbbbb"], tables=tables, areas=[(6, "c"), (3, "d")])


# Without whole tables the engine may take its quick ways; with them it takes the long ones.
PLANS = {"quick": plan(False), "full": plan(True)}

Step = Callable[[Play], Outcome]


class Row(NamedTuple):
    name: str
    asked: Step
    before: tuple[Step, ...] = ()
    seats: tuple[int, ...] = ()


def till(play: Play, *seats: int, by: str = "till", **more: object) -> Outcome:
    return play.hold(*seats, by=by, channel=Channel.BOX_OFFICE, **more)  # type: ignore[arg-type]


def same_id_other_seat(play: Play) -> Outcome:
    command = Hold(token("id"), token("t"), "h", Channel.WEB, (0, 1))
    play.apply(command)
    return play.apply(Hold(token("id"), token("t"), "h", Channel.WEB, (0, 2)))


def four_holds(play: Play) -> Outcome:
    """Of bob's, on seats 0, 9, 10 and 19."""
    for seat in (0, 9, 10, 19):
        play.apply(Hold(play.id(), token(f"t{seat}"), "bob", Channel.WEB, (seat,)))
    return play.configure()


def in_payment(play: Play) -> Outcome:
    play.hold(0)
    return play.checkout()


def having(**changes: object) -> Step:
    return lambda play: play.configure(**changes)


def held(*seats: int, **more: object) -> Step:
    return lambda play: play.hold(*seats, **more)  # type: ignore[arg-type]


def bought(*seats: int) -> Step:
    return lambda play: play.buy(*seats)


def line(seat: int, kind: str = "full", area: int = -1, quantity: int = 1) -> Line:
    return Line(seat, area, kind, quantity)


def raw(make: Callable[[bytes], object]) -> Step:
    return lambda play: play.apply(make(play.id()))  # type: ignore[arg-type]


T = token("ann")
WEB = Channel.WEB

ROWS: dict[Refusal, list[Row]] = {
    Refusal.ID_REUSED: [
        Row("same id, other content", same_id_other_seat),
    ],
    Refusal.MALFORMED: [
        Row("hold nothing", lambda p: p.hold()),
        Row("hold a seat beyond the plan", lambda p: p.hold(26)),
        Row("hold a negative seat", lambda p: p.hold(-1)),
        Row("hold up to beyond the plan", lambda p: p.hold(25, 26)),
        Row("hold a seat twice", lambda p: p.hold(3, 3)),
        Row("hold an unknown area", lambda p: p.hold(areas=((2, 1),))),
        Row("hold a negative area", lambda p: p.hold(areas=((-1, 1),))),
        Row("hold no place of an area", lambda p: p.hold(areas=((0, 0),))),
        Row("hold an area twice", lambda p: p.hold(areas=((0, 1), (0, 1)))),
        Row("hold too much", lambda p: till(p, areas=((0, 101),))),
        Row("best for nobody", lambda p: p.best(0)),
        Row("best for too many", lambda p: p.best(101)),
        Row("best, unknown category", lambda p: p.best(1, categories=(4,))),
        Row("best, unknown section", lambda p: p.best(1, sections=(2,))),
        Row("best, negative category", lambda p: p.best(1, categories=(-1,))),
        Row("best, negative section", lambda p: p.best(1, sections=(-1,))),
        Row("best, unknown area", lambda p: p.best(1, area=2)),
        Row("best, fewer wheelchairs than none", lambda p: p.best(1, accessible=-1)),
        Row("best, more wheelchairs than people", lambda p: p.best(1, accessible=2)),
        Row("release a seat twice", lambda p: p.release(0, 0), (held(0),)),
        Row("checkout without lines", raw(lambda i: Checkout(i, T, "o1", "b", ())), (held(0),)),
        Row("checkout without order", lambda p: p.checkout(line(0), order=""), (held(0),)),
        Row("checkout a seat twice", lambda p: p.checkout(line(0), line(0)), (held(0, 1),)),
        Row("checkout none of one seat", lambda p: p.checkout(line(0, quantity=0)), (held(0),)),
        Row("checkout a seat beyond the plan", lambda p: p.checkout(line(26)), (held(0),)),
        Row("checkout an unknown area", lambda p: p.checkout(line(-1, area=2)), (held(0),)),
        Row("checkout two of one seat", lambda p: p.checkout(line(0, quantity=2)), (held(0),)),
        Row("checkout a seat of the area", lambda p: p.checkout(line(0, area=0)), (held(0),)),
        Row(
            "checkout no place",
            lambda p: p.checkout(line(-1, area=0), line(-1, "half", area=0, quantity=0)),
            (held(areas=((0, 1),)),),
        ),
        Row("checkout neither seat nor area", lambda p: p.checkout(line(-1)), (held(0),)),
        Row("checkout a part of the seats", lambda p: p.checkout(line(0)), (held(0, 1),), (1,)),
        Row(
            "checkout a part of the places",
            lambda p: p.checkout(line(-1, area=0)),
            (held(areas=((0, 2),)),),
        ),
        Row(
            "checkout the seats and not the places",
            lambda p: p.checkout(line(0)),
            (held(0, areas=((0, 2),)),),
        ),
        Row("refund no ticket", lambda p: p.refund(), (bought(0),)),
        Row("refund a ticket twice", lambda p: p.refund(1, 1), (bought(0),)),
        Row(
            "refund by state", lambda p: p.set_tickets(1, state=TicketState.REFUNDED), (bought(0),)
        ),
        Row("block nothing", lambda p: p.block()),
        Row("unblock nothing", lambda p: p.unblock()),
        Row("allocate without name", lambda p: p.allocate("", 0, channels=[WEB])),
        Row("allocate for nobody", lambda p: p.allocate("guests", 0)),
        Row("allocate an unknown seat", lambda p: p.allocate("guests", 99, channels=[WEB])),
        Row("end an unknown allocation", lambda p: p.allocate("guests")),
    ],
    Refusal.BUSY: [
        Row("a fifth hold of one session", lambda p: p.hold(1, by="bob"), (four_holds,)),
    ],
    Refusal.NOT_ON_SALE: [
        Row("web, hidden", lambda p: p.hold(0), (having(status=SaleStatus.HIDDEN),)),
        Row("till, closed", lambda p: till(p, 0), (having(status=SaleStatus.CLOSED),)),
        Row("till, ended", lambda p: till(p, 0), (having(status=SaleStatus.ENDED),)),
        Row("best, closed", lambda p: p.best(1), (having(status=SaleStatus.CLOSED),)),
        Row("web, box office only", lambda p: p.hold(0), (having(status=SaleStatus.BOX_OFFICE),)),
        Row(
            "reseller, box office only",
            lambda p: p.hold(0, channel=Channel.RESELLER),
            (having(status=SaleStatus.BOX_OFFICE),),
        ),
    ],
    Refusal.HOLD_UNKNOWN: [
        Row("release nothing known", lambda p: p.release()),
        Row("basket of nothing known", lambda p: p.basket()),
        Row("checkout of nothing known", lambda p: p.checkout(line(0))),
        Row("reopen nothing known", lambda p: p.reopen()),
        Row("sell nothing known", lambda p: p.sell()),
        Row("sell twice", lambda p: p.sell(), (bought(0),)),
    ],
    Refusal.IN_PAYMENT: [
        Row("add in payment", lambda p: p.hold(1), (in_payment,)),
        Row("best in payment", lambda p: p.best(1), (in_payment,)),
        Row("release in payment", lambda p: p.release(), (in_payment,)),
    ],
    Refusal.WRONG_ORDER: [
        Row("checkout for two orders", lambda p: p.checkout(order="o2"), (in_payment,)),
        Row("reopen for another order", lambda p: p.reopen(order="o2"), (in_payment,)),
        Row("reopen what is open", lambda p: p.reopen(), (held(0),)),
        Row("sell for another order", lambda p: p.sell(order="o2"), (in_payment,)),
        Row("sell without checkout", lambda p: p.sell(), (held(0),)),
        Row("sell no order", lambda p: p.sell(order=""), (held(0),)),
    ],
    Refusal.NOT_IN_HOLD: [
        Row("release a stranger's seat", lambda p: p.release(1), (held(0),), (1,)),
        Row(
            "release more places than held",
            lambda p: p.release(areas=((0, 2),)),
            (held(areas=((0, 1),)),),
        ),
        Row(
            "release a place of another area",
            lambda p: p.release(areas=((1, 1),)),
            (held(areas=((0, 1),)),),
        ),
        Row("checkout a stranger's seat", lambda p: p.checkout(line(0), line(1)), (held(0),), (1,)),
        Row("checkout a place too", lambda p: p.checkout(line(0), line(-1, area=0)), (held(0),)),
        Row(
            "checkout another area",
            lambda p: p.checkout(line(-1, area=1)),
            (held(areas=((0, 1),)),),
        ),
        Row(
            "checkout more places than held",
            lambda p: p.checkout(line(-1, area=0, quantity=2)),
            (held(areas=((0, 1),)),),
        ),
    ],
    Refusal.SEAT_TAKEN: [
        Row("a held seat", lambda p: p.hold(1, 2, by="bob"), (held(0, 1),), (1,)),
        Row("a sold seat", lambda p: p.hold(0, 1, 2, by="bob"), (bought(0, 1),), (0, 1)),
        Row("one's own seat", lambda p: p.hold(1), (held(0, 1),), (1,)),
        Row(
            "taken and blocked",
            lambda p: p.hold(2, 1, 0, by="bob"),
            (
                lambda p: p.hold(0),
                lambda p: p.block(2),
            ),
            (2, 0),
        ),
        Row("block a held seat", lambda p: p.block(0, 1), (held(0),), (0,)),
        Row("block a sold seat", lambda p: p.block(0, 1), (bought(0),), (0,)),
        Row(
            "allocate a sold seat",
            lambda p: p.allocate("x", 0, 1, channels=[WEB]),
            (bought(0),),
            (0,),
        ),
        Row(
            "allocate a held seat",
            lambda p: p.allocate("x", 0, 1, channels=[WEB]),
            (held(0),),
            (0,),
        ),
    ],
    Refusal.SEAT_BLOCKED: [
        Row("a blocked seat", lambda p: p.hold(4, 5), (lambda p: p.block(4),), (4,)),
        Row(
            "kept for the till",
            lambda p: p.hold(5),
            (lambda p: p.allocate("till", 5, channels=[Channel.BOX_OFFICE]),),
            (5,),
        ),
        Row("block twice", lambda p: p.block(0, 1), (lambda p: p.block(0),), (0,)),
        Row(
            "allocate twice",
            lambda p: p.allocate("y", 0, channels=[WEB]),
            (lambda p: p.allocate("x", 0, channels=[WEB]),),
            (0,),
        ),
    ],
    Refusal.AREA_BLOCKED: [
        Row(
            "an area for tills",
            lambda p: p.hold(areas=((1, 1),)),
            (having(surplus=Surplus(areas=(1,))),),
        ),
        Row(
            "an area of a category for tills",
            lambda p: p.hold(areas=((0, 1),)),
            (lambda p: p.configure(surplus=Surplus((p.plan.areas[0].category,))),),
        ),
    ],
    Refusal.AREA_FULL: [
        Row("a full area", lambda p: p.hold(by="bob", areas=((0, 3),)), (held(areas=((0, 4),)),)),
        Row(
            "block more than is left", lambda p: p.block(areas=((0, 3),)), (held(areas=((0, 4),)),)
        ),
    ],
    Refusal.WHOLE_TABLE: [
        Row("a chair of a whole table", lambda p: p.hold(20), (), (21, 22, 23)),
    ],
    Refusal.TOO_MANY_IN_ORDER: [
        Row("eleven seats online", lambda p: p.hold(*range(10), 10)),
        Row("ten and one online", lambda p: p.hold(areas=((0, 1),)), (held(*range(10)),)),
        Row("best, eleven online", lambda p: p.best(11)),
        Row(
            "the limit fell since",
            lambda p: p.checkout(),
            (
                lambda p: p.hold(0, 1, 2),
                having(max_per_order=2),
            ),
        ),
    ],
    Refusal.TOO_MANY_FOR_BUYER: [
        Row(
            "per buyer, sold before",
            lambda p: p.checkout(order="o2"),
            (
                having(max_per_buyer=3),
                lambda p: p.buy(0, 1),
                lambda p: p.hold(4, 5),
            ),
        ),
        Row(
            "per buyer, at once",
            lambda p: p.checkout(),
            (having(max_per_buyer=1), lambda p: p.hold(0, 1)),
        ),
        Row(
            "per buyer, in payment",
            lambda p: p.checkout(by="bob", order="o2", buyer="x"),
            (
                having(max_per_buyer=3),
                lambda p: p.hold(0, 1),
                lambda p: p.checkout(buyer="x"),
                lambda p: p.hold(4, 5, by="bob"),
            ),
        ),
    ],
    Refusal.TOO_MANY_OF_TYPE: [
        Row(
            "per type",
            lambda p: p.checkout(line(0, "half"), line(1, "half")),
            (
                having(price_types=(PriceType("full", {}), PriceType("half", {}, max_per_order=1))),
                lambda p: till(p, 0, 1, by="ann"),
            ),
        ),
    ],
    Refusal.QUOTA_FULL: [
        Row(
            "one over",
            lambda p: p.checkout(),
            (having(quotas=(Quota("all", {}, 1),)), held(0, 1)),
        ),
    ],
    Refusal.NO_PRICE: [
        Row("an unknown price type", lambda p: p.checkout(line(0, "giant")), (held(0),), (0,)),
        Row(
            "a category without price",
            lambda p: p.checkout(),
            (
                having(prices=(Price(0, "full", 1),)),
                lambda p: p.hold(8, 9, 10),
            ),
            (10,),
        ),
        Row(
            "an early bird's end",
            lambda p: p.checkout(),
            (
                having(price_types=(PriceType("full", {}, until_ms=NOW_MS),)),
                lambda p: p.hold(0),
            ),
            (0,),
        ),
        Row(
            "a till's price online",
            lambda p: p.checkout(),
            (
                having(price_types=(PriceType("full", {}, box_office_only=True),)),
                lambda p: p.hold(0),
            ),
            (0,),
        ),
        Row(
            "a price type before its time",
            lambda p: p.checkout(),
            (having(price_types=(PriceType("full", {}, from_ms=NOW_MS + 1),)), held(0)),
            (0,),
        ),
        Row(
            "a price type that is closed",
            lambda p: p.checkout(),
            (having(price_types=(PriceType("full", {}, status=TypeStatus.CLOSED),)), held(0)),
            (0,),
        ),
        Row(
            "a price that is over",
            lambda p: p.checkout(),
            (having(prices=(Price(0, "full", 1, until_ms=NOW_MS),)), held(0)),
            (0,),
        ),
        Row(
            "an area without price",
            lambda p: p.checkout(),
            (
                having(prices=(Price(0, "full", 1),)),
                lambda p: p.hold(areas=((0, 1),)),
            ),
        ),
    ],
    Refusal.ORPHAN: [
        Row("leaving the first seat alone", lambda p: p.hold(1, 2), (), (0,)),
        Row("leaving one on each side", lambda p: p.hold(1, 2), (held(4, by="bob"),), (0, 3)),
    ],
    Refusal.NONE_LEFT: [
        Row("best in a full area", lambda p: p.best(1, by="bob", area=1), (held(areas=((1, 3),)),)),
        Row("best below any price", lambda p: p.best(1, max_amount=100)),
        Row("best for the wheelchairs there are not", lambda p: p.best(2, accessible=1)),
    ],
    Refusal.TICKET_UNKNOWN: [
        Row("refund what was never sold", lambda p: p.refund(1)),
        Row("refund number nought", lambda p: p.refund(0), (bought(0),)),
        Row(
            "block number nought",
            lambda p: p.set_tickets(0, state=TicketState.BLOCKED),
            (bought(0),),
        ),
        Row("refund a ticket of another order", lambda p: p.refund(1, order="o2"), (bought(0),)),
        Row("block what was never sold", lambda p: p.set_tickets(1, state=TicketState.BLOCKED)),
    ],
    Refusal.TICKET_USED: [
        Row(
            "refund a used ticket",
            lambda p: p.refund(1),
            (
                bought(0),
                lambda p: p.scan(1),
            ),
        ),
    ],
    Refusal.NOTHING_TO_UNDO: [Row("undo of nothing", lambda p: p.undo(1), (bought(0),))],
    Refusal.SCANNED_ELSEWHERE: [
        Row(
            "undo by another door",
            lambda p: p.undo(1, device="other"),
            (bought(0), lambda p: p.scan(1)),
        )
    ],
    Refusal.UNDO_TOO_LATE: [
        Row(
            "undo of an hour ago",
            lambda p: p.undo(1),
            (bought(0), lambda p: p.kept(1, 1, NOW_MS - 3_600_000, device="device")),
        )
    ],
    Refusal.TICKET_STATE: [
        Row(
            "refund twice",
            lambda p: p.refund(1),
            (
                bought(0),
                lambda p: p.refund(1),
            ),
        ),
        Row(
            "revive a refunded ticket",
            lambda p: p.set_tickets(1, state=TicketState.VALID),
            (
                bought(0),
                lambda p: p.refund(1),
            ),
        ),
    ],
}


CASES = [
    pytest.param(code, row, PLANS[way], id=f"{row.name}-{way}")
    for code, rows in ROWS.items()
    for row in rows
    for way in PLANS
    if way == "full" or code is not Refusal.WHOLE_TABLE
]


@pytest.mark.parametrize(("code", "row", "plan"), CASES)
def test_it_is_refused_and_nothing_changes(code: Refusal, row: Row, plan: Plan) -> None:
    play = Play(plan)
    for step in row.before:
        outcome = step(play)
        assert not isinstance(outcome, Refused), outcome
    picture, holds = play.picture(), len(play.live.holds)

    refused = row.asked(play)

    assert isinstance(refused, Refused)
    assert (refused.code, refused.seats) == (code, row.seats)
    if code is not Refusal.ID_REUSED:
        assert play.picture() == picture
        assert len(play.live.holds) == holds


def test_every_refusal_has_a_row() -> None:
    # Who is not admitted is turned away at the edge, before the engine hears of it.
    assert set(ROWS) == set(Refusal) - {Refusal.NOT_ADMITTED}


PRECEDENCE: list[tuple[str, list[Step], Step, Refusal]] = [
    ("malformed before busy", [four_holds], lambda p: p.hold(99, by="bob"), Refusal.MALFORMED),
    ("busy before taken", [four_holds], lambda p: p.hold(0, by="bob"), Refusal.BUSY),
    (
        "not on sale before in payment",
        [lambda p: p.hold(0), lambda p: p.checkout(), having(status=SaleStatus.CLOSED)],
        lambda p: p.hold(1),
        Refusal.NOT_ON_SALE,
    ),
    ("in payment before taken", [in_payment], lambda p: p.hold(0), Refusal.IN_PAYMENT),
    (
        "taken before area full",
        [held(0)],
        lambda p: p.hold(0, by="bob", areas=((0, 7),)),
        Refusal.SEAT_TAKEN,
    ),
    (
        "area blocked before area full",
        [having(surplus=Surplus(areas=(1,)))],
        lambda p: p.hold(areas=((0, 7), (1, 1))),
        Refusal.AREA_BLOCKED,
    ),
    (
        "quota before no price",
        [lambda p: p.hold(0, 1), having(quotas=(Quota("all", {}, 1),))],
        lambda p: p.checkout(line(0, "giant"), line(1)),
        Refusal.QUOTA_FULL,
    ),
    ("area full before whole table", [], lambda p: p.hold(20, areas=((0, 7),)), Refusal.AREA_FULL),
    ("whole table before too many", [], lambda p: p.hold(*range(10), 20), Refusal.WHOLE_TABLE),
    (
        "too many before orphan",
        [having(max_per_order=1)],
        lambda p: p.hold(1, 2),
        Refusal.TOO_MANY_IN_ORDER,
    ),
    (
        "wrong order before not in hold",
        [in_payment],
        lambda p: p.checkout(line(1), order="o2"),
        Refusal.WRONG_ORDER,
    ),
    (
        "too many before no price",
        [lambda p: p.hold(0, 1), having(max_per_order=1)],
        lambda p: p.checkout(line(0, "giant"), line(1)),
        Refusal.TOO_MANY_IN_ORDER,
    ),
    (
        "unknown ticket before used",
        [bought(0), lambda p: p.scan(1)],
        lambda p: p.refund(1, 2),
        Refusal.TICKET_UNKNOWN,
    ),
]


@pytest.mark.parametrize("case", PRECEDENCE, ids=lambda case: case[0])
def test_the_first_that_applies_is_given(case: tuple[str, list[Step], Step, Refusal]) -> None:
    _, before, asked, code = case
    play = Play(PLANS["full"])
    for step in before:
        assert not isinstance(step(play), Refused)
    refused = asked(play)
    assert isinstance(refused, Refused) and refused.code is code


def test_too_many_holds_in_one_performance_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.holding.MAX_HOLDS", 2)
    play = Play(PLANS["quick"])
    for number in (0, 1):
        assert not isinstance(till(play, number, by=f"t{number}"), Refused)
    refused = till(play, 2, by="t2")
    assert isinstance(refused, Refused) and refused.code is Refusal.BUSY
    assert not isinstance(till(play, 2, by="t1"), Refused), "an existing hold may grow"


def test_too_many_allocations_is_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.keeping.MAX_ALLOCATIONS", 1)
    play = Play(PLANS["quick"])
    play.allocate("one", 0, channels=[WEB])
    refused = play.allocate("two", 1, channels=[WEB])
    assert isinstance(refused, Refused) and refused.code is Refusal.BUSY
    assert not isinstance(play.allocate("one", 1, channels=[WEB]), Refused)


def test_a_refusal_is_a_fact_too() -> None:
    play = Play(PLANS["quick"])
    refused = play.hold(99)
    events, changes, areas = play.live.take()
    assert [event.outcome for event in events] == [refused]
    assert (changes, areas) == ([], [])
