"""The figures of a performance: they agree with its state, however its journal is read."""

from collections import Counter
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st

from engine import tally as module
from engine.commands import (
    Channel,
    Event,
    Kept,
    Line,
    Refused,
    ScanMode,
    Scanned,
    ScanOutcome,
    SeatStatus,
    TicketState,
)
from engine.state import places_in
from engine.tally import MINUTE_MS, OTHER, Share, Tally
from tests.engine.small import NOW_MS, Play, house, settings, token

PLAN = house(["aaaaaaaa", "bbbbbbbb"], tables=[(3, True)], areas=[(6, "c")])
CAPACITY = len(PLAN.seats) + 6


def recorded(play: Play) -> list[Event]:
    """What the journal would give back of what was played since the last time."""
    facts, _, _ = play.live.take()
    return msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=list[Event])


def folded(events: list[Event]) -> Tally:
    tally = Tally()
    for event in events:
        tally.fold(event)
    return tally


def played() -> Play:
    return Play(PLAN, settings(orphan_rule=False, hold_ms=30_000))


# One story -----------------------------------------------------------------------


def test_a_sale_is_counted_by_price_type_and_by_the_channel_of_its_hold() -> None:
    play = played()
    play.hold(0, 1, by="ann")
    play.checkout(Line(0, -1, "full"), Line(1, -1, "half"), by="ann", order="o1")
    play.sell(by="ann", order="o1")
    play.buy(2, by="bob", order="o2", channel=Channel.BOX_OFFICE, areas=((0, 2),))
    figures = folded(recorded(play)).figures()
    # Categories a and c cost 10.00 and 8.00, half of it for "half".
    assert figures.total == Share(5, 1_000 + 500 + 1_000 + 2 * 800)
    assert figures.price_types == {"full": Share(4, 3_600), "half": Share(1, 500)}
    assert figures.channels == {"web": Share(2, 1_500), "box_office": Share(3, 2_600)}
    assert (figures.holds.alive, figures.holds.sold, figures.holds.opened) == (0, 2, 2)


def test_money_that_went_back_leaves_the_figures_it_was_counted_in() -> None:
    play = played()
    play.buy(0, 1, by="ann", order="o1")
    play.buy(2, by="bob", order="o2", channel=Channel.PHONE)
    play.refund(2, order="o1")
    figures = folded(recorded(play)).figures()
    assert figures.total == Share(2, 2_000, 1, 1_000)
    assert figures.price_types["full"] == figures.total
    assert figures.channels == {"web": Share(1, 1_000, 1, 1_000), "phone": Share(1, 1_000)}


def test_another_price_moves_a_ticket_and_its_money_to_another_type() -> None:
    play = played()
    play.buy(0, 1, by="ann", order="o1")
    play.buy(2, by="bob", order="o2", channel=Channel.PHONE)
    play.reprice((2, "half"))
    play.reprice((3, "half"), order="o2")
    play.refund(2)
    figures = folded(recorded(play)).figures()
    assert figures.total == Share(2, 1_500, 1, 500)
    assert figures.price_types == {"full": Share(1, 1_000), "half": Share(1, 500, 1, 500)}
    assert figures.channels == {"web": Share(1, 1_000, 1, 500), "phone": Share(1, 500)}


def test_holds_are_alive_until_they_are_sold_released_or_expired() -> None:
    play, tally = played(), Tally()

    def holds() -> tuple[int, ...]:
        for event in recorded(play):
            tally.fold(event)
        return msgspec.structs.astuple(tally.figures().holds)

    # (alive, places, in payment, opened, sold, released, expired)
    play.hold(0, 1, by="ann")
    play.hold(2, by="ann")
    play.hold(8, by="bob", areas=((0, 3),))
    assert holds() == (2, 7, 0, 2, 0, 0, 0)
    play.checkout(by="ann")
    assert holds() == (2, 7, 1, 2, 0, 0, 0)
    play.reopen(by="ann")
    play.release(1, by="ann")
    assert holds() == (2, 6, 0, 2, 0, 0, 0)
    play.release(by="ann")
    assert holds() == (1, 4, 0, 2, 0, 1, 0)
    play.hold(0, by="ann")
    play.checkout(by="ann")
    play.sell(by="ann")
    play.at_ms += 31_000
    play.expire()
    assert holds() == (0, 0, 0, 3, 1, 1, 1)


def test_refusals_are_counted_by_reason_and_gates_by_outcome() -> None:
    play = played()
    play.buy(0, 1, by="ann")
    play.hold(0, by="bob")
    play.hold(1, by="bob")
    play.hold(99, by="bob")
    play.scan(1, gate="north")
    play.scan(1, gate="south")
    play.scan(2, gate="north", performance=8)
    play.scan(2, gate="north")
    figures = folded(recorded(play)).figures()
    assert figures.refusals == {"seat_taken": 2, "malformed": 1}
    assert figures.gates == {
        "north": {"ADMITTED": 2, "WRONG_PERFORMANCE": 1},
        "south": {"ALREADY_USED": 1},
    }
    assert (figures.admitted, figures.turned_away) == (2, 2)


def test_what_happens_is_told_minute_by_minute() -> None:
    play = played()
    play.buy(0, 1, by="ann", order="o1")
    play.at_ms += 2 * MINUTE_MS
    play.buy(2, by="bob", order="o2")
    play.hold(2, by="eve")
    play.refund(1, order="o1")
    play.scan(2)
    tally = folded(recorded(play))
    first, quiet, third = tally.last_minutes(play.at_ms, 3)
    assert (first.sold, first.amount, first.held, first.refunded) == (2, 2_000, 1, 0)
    assert msgspec.structs.astuple(quiet) == (0, 0, 0, 0, 0, 0)
    assert msgspec.structs.astuple(third) == (1, 1_000, 1, 1, 1, 1)
    figures = tally.figures()
    assert (figures.peak_sold, figures.peak_minute_ms) == (2, NOW_MS - NOW_MS % MINUTE_MS)
    assert (figures.first_ms, figures.last_ms) == (NOW_MS, play.at_ms)
    assert tally.sales.counts == [2, 0, 1]


# Bounds --------------------------------------------------------------------------


def test_old_minutes_are_forgotten_and_the_newest_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MINUTES", 5)
    play, tally = played(), Tally()
    for _ in range(12):
        play.hold(0, by="ann")
        play.release(by="ann")
        for event in recorded(play):
            tally.fold(event)
        assert len(tally.minutes) <= 5
        play.at_ms += MINUTE_MS
    assert [minute.held for minute in tally.last_minutes(play.at_ms, 8)] == [0, 0, 1, 1, 1, 1, 1, 0]
    # A clock that stepped back between two reigns, further than is kept, adds nothing.
    play.at_ms -= 100 * MINUTE_MS
    play.hold(0, by="ann")
    tally.fold(recorded(play)[0])
    assert len(tally.minutes) <= 5


@given(st.lists(st.tuples(st.integers(0, 400 * 24 * 60), st.integers(0, 9)), min_size=1))
def test_a_sale_of_any_length_fits_its_stretches(sales: list[tuple[int, int]]) -> None:
    series = module.Series()
    for minute, count in sales:
        series.add(NOW_MS + minute * MINUTE_MS, count)
    assert sum(series.counts) == sum(count for _, count in sales)
    assert len(series.counts) <= module.MAX_STRETCHES
    span_ms = (max(minute for minute, _ in sales) + 1) * MINUTE_MS
    assert series.width_ms <= max(MINUTE_MS, 2 * span_ms // module.MAX_STRETCHES)


def test_sales_stand_in_the_stretch_they_were_made_in() -> None:
    series = module.Series()
    for minute in range(module.MAX_STRETCHES):
        series.add(NOW_MS + minute * MINUTE_MS, minute % 2)
    assert series.counts[:4] == [0, 1, 0, 1]
    series.add(NOW_MS + module.MAX_STRETCHES * MINUTE_MS, 7)
    assert series.width_ms == 2 * MINUTE_MS
    assert series.counts == [1] * (module.MAX_STRETCHES // 2) + [7]


def test_names_without_end_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_NAMES", 2)
    play = played()
    for gate in ("north", "south", "east", "west", "north"):
        play.scan(1, gate=gate)
    figures = folded(recorded(play)).figures()
    assert {gate: sum(found.values()) for gate, found in figures.gates.items()} == {
        "north": 2,
        "south": 1,
        OTHER: 2,
    }


# Against the performance itself ------------------------------------------------------

people = st.sampled_from("abcd")
seats = st.lists(st.integers(0, len(PLAN.seats)), max_size=3, unique=True).map(tuple)
places = st.sampled_from([(), (), ((0, 1),), ((0, 2),)])
acts = st.one_of(
    st.tuples(st.just("hold"), people, seats, places, st.sampled_from(Channel)),
    st.tuples(st.just("best"), people, st.integers(1, 4), st.sampled_from(Channel)),
    st.tuples(st.just("release"), people, seats, places),
    st.tuples(st.just("checkout"), people, st.sampled_from(["full", "half"])),
    st.tuples(st.just("reopen"), people),
    st.tuples(st.just("sell"), people, st.booleans()),
    st.tuples(st.just("refund"), people, st.lists(st.integers(1, 9), max_size=2).map(tuple)),
    st.tuples(st.just("reprice"), people, st.integers(1, 9), st.sampled_from(["full", "half"])),
    st.tuples(st.just("set"), st.integers(1, 9), st.sampled_from(TicketState)),
    st.tuples(st.just("block"), seats, places),
    st.tuples(st.just("unblock"), seats, places),
    st.tuples(
        st.just("scan"),
        st.integers(0, 9),
        st.sampled_from(["", "north", "south"]),
        st.sampled_from([ScanMode.ADMIT, ScanMode.EXIT]),
    ),
    st.tuples(st.just("undo"), st.integers(0, 9)),
    st.tuples(
        st.just("kept"),
        st.integers(0, 9),
        st.integers(-5, 9_000),
        st.sampled_from([ScanOutcome.ADMITTED, ScanOutcome.EXITED, ScanOutcome.ALREADY_USED]),
    ),
    st.tuples(st.just("wait"), st.integers(0, 25_000)),
)


def act(play: Play, what: str, *how: Any) -> None:
    if what == "hold":
        who, seats, areas, channel = how
        play.hold(*seats, by=who, channel=channel, areas=areas)
    elif what == "best":
        who, size, channel = how
        play.best(size, by=who, channel=channel)
    elif what == "release":
        play.release(*how[1], by=how[0], areas=how[2])
    elif what == "checkout":
        who, kind = how
        mine = play.live.holds.get(token(who))
        if mine is not None:
            lines = [Line(seat, -1, kind) for seat in mine.seats]
            lines += [Line(-1, area, kind, quantity) for area, quantity in mine.areas]
            play.checkout(*lines, by=who, order=f"of-{who}")
    elif what == "reopen":
        play.reopen(by=how[0], order=f"of-{how[0]}")
    elif what == "sell":
        play.sell(by=how[0], order=f"of-{how[0]}", paid=how[1])
    elif what == "refund":
        play.refund(*how[1], order=f"of-{how[0]}")
    elif what == "reprice":
        play.reprice(how[1:], order=f"of-{how[0]}")
    elif what == "set":
        play.set_tickets(how[0], state=how[1])
    elif what == "block":
        play.block(*how[0], areas=how[1])
    elif what == "unblock":
        play.unblock(*how[0], areas=how[1])
    elif what == "scan":
        play.scan(how[0], gate=how[1], mode=how[2])
    elif what == "undo":
        play.undo(how[0], anywhere=True)
    elif what == "kept":
        play.kept(how[0], play.live.kept_scans, play.at_ms - how[1], how[2], gate="north")
    else:
        play.at_ms += how[0]
        play.expire()


@given(st.lists(acts, max_size=60))
@checks(deadline=None)
def test_the_figures_agree_with_the_state(story: list[Any]) -> None:
    play = played()
    for one in story:
        act(play, *one)
    events = recorded(play)
    figures, live = folded(events).figures(), play.live
    # Holds and the house.
    alive = live.holds.values()
    assert figures.holds.alive == len(alive)
    assert figures.holds.places == sum(places_in(one.seats, one.areas) for one in alive)
    assert figures.holds.in_payment == sum(one.paying is not None for one in alive)
    ended = figures.holds.sold + figures.holds.released + figures.holds.expired
    assert figures.holds.opened == figures.holds.alive + ended
    blocked = live.statuses().count(SeatStatus.BLOCKED) + sum(live.area_blocked)
    assert figures.blocked == blocked
    free = live.statuses().count(SeatStatus.AVAILABLE) + sum(live.area_free)
    assert figures.total.sold + figures.holds.places + blocked + free == CAPACITY
    # Tickets, by what they are and by where their hold was begun.
    sold, money, back = Counter[str](), Counter[str](), Counter[str]()
    for ticket in live.tickets:
        if live.ticket_states.get(ticket.number) is TicketState.REFUNDED:
            back[ticket.price_type] += ticket.amount
        else:
            sold[ticket.price_type] += 1
            money[ticket.price_type] += ticket.amount
    by_type = figures.price_types
    assert {name: share.sold for name, share in by_type.items() if share.sold} == dict(sold)
    assert sum(share.amount for share in by_type.values()) == money.total() == figures.total.amount
    assert figures.total.refunded_amount == back.total()
    assert sum(share.sold for share in figures.channels.values()) == len(live.tickets) - sum(
        state is TicketState.REFUNDED for state in live.ticket_states.values()
    )
    # Doors and refusals.
    inside = [number for number, uses in live.ticket_uses.items() if uses[-1].entry]
    assert figures.inside == len(inside) == play.inside().total
    passages = [one for uses in live.ticket_uses.values() for one in uses]
    admissions = Counter(one.gate for one in passages if one.entry)
    admitted = {gate: found.get("ADMITTED", 0) for gate, found in figures.gates.items()}
    assert {gate: count for gate, count in admitted.items() if count} == dict(admissions)
    assert figures.admitted == admissions.total()
    scans = [one.outcome.result for one in events if isinstance(one.outcome, Scanned)]
    scans += [
        one.outcome.result if one.outcome.ticket < 0 else one.command.shown  # type: ignore[union-attr]
        for one in events
        if isinstance(one.outcome, Kept)
    ]
    through = (ScanOutcome.ADMITTED, ScanOutcome.EXITED)
    turned_away = [result for result in scans if result not in through]
    assert figures.turned_away == len(turned_away)
    refusals = Counter(one.outcome.code for one in events if isinstance(one.outcome, Refused))
    assert figures.refusals == refusals
    assert figures.events == len(events)


@given(st.lists(acts, max_size=40), st.randoms(use_true_random=False))
@checks(deadline=None)
def test_every_way_to_page_the_journal_gives_the_same_figures(story: list[Any], cut: Any) -> None:
    play = played()
    pages: list[bytes] = []
    for one in story:
        act(play, *one)
        if cut.random() < 0.3:
            pages.append(msgspec.msgpack.encode(play.live.take()[0]))
    pages.append(msgspec.msgpack.encode(play.live.take()[0]))
    whole = [event for page in pages for event in msgspec.msgpack.decode(page, type=list[Event])]
    at_once, paged = folded(whole), Tally()
    for page in pages:
        for event in msgspec.msgpack.decode(page, type=list[Event]):
            paged.fold(event)
        paged.figures()  # looking changes nothing
    assert paged.figures() == at_once.figures()
    assert paged.minutes == at_once.minutes
    assert (paged.sales.counts, paged.sales.width_ms) == (
        at_once.sales.counts,
        at_once.sales.width_ms,
    )


def test_figures_are_values_of_their_own() -> None:
    play = played()
    play.buy(0, by="ann", order="o1")
    tally = folded(recorded(play))
    before = tally.figures()
    play.refund(1, order="o1")
    play.scan(1, gate="north")
    play.hold(1, by="bob")
    play.hold(1, by="eve")
    for event in recorded(play):
        tally.fold(event)
    assert before.total == Share(1, 1_000)
    assert before.gates == {} and before.refusals == {} and before.holds.alive == 0
