"""Ids, facts, replay, snapshots, and what the feed is told."""

from typing import get_args

import msgspec
import pytest

from engine import performance as module
from engine.commands import (
    Basket,
    Channel,
    Command,
    CountInside,
    CountQuotas,
    Event,
    Expire,
    Held,
    Hold,
    ListAllocations,
    ListConflicts,
    Refusal,
    Refused,
    Release,
    TicketState,
)
from engine.feed import Feed, Replica
from engine.performance import Performance
from engine.plan import Plan
from engine.settings import Quota, SaleStatus, Surplus
from engine.snapshot import SnapshotError
from tests.engine.small import NOW_MS, Play, house, settings, token

PLAN, QUICK = (
    # Without whole tables the engine may take its quick ways.
    house(["aaaaaaaaaa", "bbbbb"], tables=[(3, whole)], areas=[(6, "c")])
    for whole in (True, False)
)
both = pytest.mark.parametrize("plan", [PLAN, QUICK], ids=["full", "quick"])


def busy(play: Play) -> None:
    """A bit of everything that can happen."""
    play.buy(0, 1, 2, areas=((0, 2),))
    play.refund(1, 4)
    play.set_tickets(2, state=TicketState.REVOKED)
    play.set_tickets(2, state=TicketState.VALID)
    play.set_tickets(3, state=TicketState.BLOCKED)
    play.scan(2, version=1)
    play.scan(2, version=1)
    play.scan(5, gate="nowhere")
    play.hold(8, 9, by="bob")
    play.hold(8, by="eve")
    play.checkout(by="bob", order="o2", buyer="mail")
    play.hold(15, 16, 17, by="carl", areas=((0, 1),))
    play.best(2, by="dora")
    play.best(99, by="dora")
    play.release(by="dora")
    play.reopen(by="bob", order="o2")
    play.checkout(by="bob", order="o3", buyer="mail")
    play.block(14, areas=((0, 1),))
    play.allocate("till", 10, 11, channels=[Channel.BOX_OFFICE])
    play.allocate("gone", 12, channels=[Channel.PHONE])
    play.allocate("gone")
    play.allocate("soon", 12, channels=[Channel.RESELLER], release_ms=NOW_MS + 10)
    play.hold(10, 11, by="till", channel=Channel.BOX_OFFICE)
    play.unblock(14)
    play.configure(
        status=SaleStatus.BOX_OFFICE,
        hold_ms=50_000,
        surplus=Surplus((1,)),
        quotas=(Quota("all", {}, 9),),
    )
    play.at_ms += 10
    play.expire()
    play.hold(12, by="late", channel=Channel.PHONE)
    play.at_ms += 50_000
    play.expire()


def test_every_command_has_its_rule_and_effect() -> None:
    assert set(module._RULES) == set(get_args(Command))
    questions = {Basket, CountInside, ListConflicts, ListAllocations, CountQuotas}
    assert set(module._EFFECTS) == set(get_args(Command)) - questions


# Ids -------------------------------------------------------------------------


def test_the_same_command_again_gets_the_same_outcome_and_does_nothing() -> None:
    play = Play(PLAN)
    command = Hold(play.id(), token("ann"), "ann", Channel.WEB, (0, 1))
    first = play.apply(command)
    play.release(0, 1)
    play.live.take()
    copied = msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=Command)
    assert play.apply(copied) is first
    assert play.live.take() == ([], [], [])
    assert play.picture().startswith("..")


def test_a_refusal_is_remembered_too() -> None:
    play = Play(PLAN)
    play.hold(0, by="bob")
    command = Hold(play.id(), token("ann"), "ann", Channel.WEB, (0,))
    refused = play.apply(command)
    play.release(by="bob")
    assert play.apply(command) is refused
    assert isinstance(refused, Refused)


def test_an_id_with_other_content_is_refused_and_keeps_its_outcome() -> None:
    play = Play(PLAN)
    command = Hold(token("id"), token("ann"), "ann", Channel.WEB, (0, 1))
    first = play.apply(command)
    play.live.take()
    other = Release(token("id"), token("ann"))
    assert play.apply(other) == Refused(Refusal.ID_REUSED)
    assert play.live.take() == ([], [], [])
    assert play.apply(command) is first


def test_questions_are_neither_recorded_nor_remembered() -> None:
    play = Play(PLAN)
    question = Basket(token("id"), token("ann"))
    assert play.apply(question) == Refused(Refusal.HOLD_UNKNOWN)
    assert play.apply(Expire(token("expire"))).tokens == ()  # type: ignore[union-attr]
    play.hold(0)
    assert play.apply(question).seats == (0,)  # type: ignore[union-attr]
    assert len(play.live.take()[0]) == 1
    assert isinstance(play.apply(Hold(token("id"), token("x"), "x", Channel.WEB, (9,))), Held)


def test_ids_are_remembered_first_in_first_out_refused_apart(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "MAX_REMEMBERED_ACCEPTED", 2)
    monkeypatch.setattr(module, "MAX_REMEMBERED_REFUSED", 1)
    play = Play(PLAN, settings(orphan_rule=False))
    accepted = [Hold(play.id(), token(f"{n}"), f"{n}", Channel.WEB, (n,)) for n in range(3)]
    refused = [Hold(play.id(), token(f"r{n}"), "r", Channel.WEB, (99,)) for n in range(2)]
    for command in (*accepted, *refused):
        play.apply(command)
    facts, _, _ = play.live.take()
    assert len(play.live._known) == 3
    for live in (play.live, Performance.restore(7, PLAN, play.live.snapshot())):
        assert set(live._known) == {accepted[1].id, accepted[2].id, refused[1].id}
    replayed = Performance(7, PLAN, settings(orphan_rule=False))
    replayed.replay(facts)
    assert set(replayed._known) == set(play.live._known)
    assert isinstance(play.apply(accepted[0]), Refused), "forgotten, so decided again"


# Facts, replay, snapshots ------------------------------------------------------


def test_facts_are_encoded_as_events() -> None:
    play = Play(PLAN)
    busy(play)
    facts, _, _ = play.live.take()
    encoded = msgspec.msgpack.encode(facts)
    events = msgspec.msgpack.decode(encoded, type=list[Event])
    assert events == facts
    assert msgspec.msgpack.encode(events) == encoded


@both
@pytest.mark.parametrize("cut", [0, 1, 7, 16, 99])
def test_a_snapshot_and_the_facts_since_make_the_same_state(plan: Plan, cut: int) -> None:
    play = Play(plan)
    busy(play)
    facts, _, _ = play.live.take()
    early = Performance(7, plan, settings())
    early.replay(facts[:cut])
    late = Performance.restore(7, plan, early.snapshot())
    late.replay(facts[cut:])
    assert late.snapshot() == play.live.snapshot()
    assert late.statuses() == play.live.statuses()
    same = "buyer_places", "web_holds", "area_free", "holds", "quick_places", "gates", "sights"
    for name in same:
        assert getattr(late, name) == getattr(play.live, name), name
    for live in (late, play.live):
        live.take()
        assert live.apply(Expire(token("last")), NOW_MS + 9_000_000).tokens  # type: ignore[union-attr]
    assert late.snapshot() == play.live.snapshot()


def test_a_restored_performance_knows_how_many_places_each_buyer_has() -> None:
    play = Play(PLAN, settings(orphan_rule=False))
    for buyer, seats in {"ann": (0, 1), "bob": (3,)}.items():
        play.hold(*seats, by=buyer)
        play.checkout(by=buyer, order=f"o{buyer}", buyer=buyer)
        play.sell(by=buyer, order=f"o{buyer}")
    play.refund(2, order="oann")
    play.refund(3, order="obob")
    restored = Performance.restore(7, PLAN, play.live.snapshot())
    assert restored.buyer_places == play.live.buyer_places == {"ann": 1}


def test_a_snapshot_between_two_facts_changes_nothing() -> None:
    """Neither before they are handed over nor after: each id is remembered once, in its order."""
    play, same = Play(PLAN), Play(PLAN)
    play.hold(0, 1)
    play.live.snapshot()
    play.hold(3, 4, by="bob")
    play.live.snapshot()
    facts = play.live.take()[0]
    play.hold(6, 7, by="eve")
    play.hold(6, 7, by="fred")
    same.live.replay([*facts, *play.live.events])
    assert play.live.snapshot() == same.live.snapshot()


def test_a_restored_performance_answers_a_repeated_command() -> None:
    play = Play(PLAN)
    command = Hold(play.id(), token("ann"), "ann", Channel.WEB, (0, 1))
    outcome = play.apply(command)
    restored = Performance.restore(7, PLAN, play.live.snapshot())
    assert restored.apply(command, NOW_MS + 1) == outcome
    assert restored.apply(Release(command.id, token("ann")), NOW_MS) == Refused(Refusal.ID_REUSED)


def test_a_snapshot_carries_the_newest_ids_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.snapshot.MAX_SNAPSHOT_ACCEPTED", 2)
    monkeypatch.setattr("engine.snapshot.MAX_SNAPSHOT_REFUSED", 1)
    play = Play(PLAN)
    for number in range(4):
        play.hold(by=f"{number}", areas=((0, 1),))
    for _ in range(2):
        play.hold(99)
    restored = Performance.restore(7, PLAN, play.live.snapshot())
    assert [int.from_bytes(known, "big") for known in restored._known] == [3, 4, 6]
    assert restored.snapshot() == play.live.snapshot()


def test_a_snapshot_written_by_another_layout_is_restored() -> None:
    play = Play(PLAN)
    play.hold(0, 1)
    other = msgspec.msgpack.decode(play.live.snapshot())
    [hold] = other[6]
    assert hold[7] == play.live.house.positions[0]
    hold[7] += 3
    restored = Performance.restore(7, PLAN, msgspec.msgpack.encode(other))
    restored.apply(Release(play.id(), token("ann")), NOW_MS)
    assert restored.statuses() == bytes(len(PLAN.seats))


def test_a_snapshot_of_something_else_is_refused() -> None:
    data = Play(PLAN).live.snapshot()
    with pytest.raises(SnapshotError, match="18 seats and 1 areas, the plan has 3 and 0"):
        Performance.restore(7, house(["aaa"]), data)
    with pytest.raises(SnapshotError, match="not a snapshot"):
        Performance.restore(7, PLAN, data[:-1])
    other = msgspec.msgpack.decode(data)
    other[0] = 99
    with pytest.raises(SnapshotError, match="format 99"):
        Performance.restore(7, PLAN, msgspec.msgpack.encode(other))


# The feed ----------------------------------------------------------------------


@both
def test_the_feed_is_told_of_every_change(plan: Plan) -> None:
    play = Play(plan)
    feed = Feed(7, 1, play.live.statuses(), play.live.area_free)
    replica = Replica(7, len(plan.seats), 1)
    apply = play.apply

    def and_publish(command: Command) -> object:
        outcome = apply(command)
        _, changes, areas = play.live.take()
        feed.publish(changes, areas)
        frame = feed.since(replica.epoch, replica.seq)
        if frame is not None:
            replica.apply(frame)
        assert bytes(replica.statuses) == play.live.statuses(), command
        assert replica.areas == play.live.area_free, command
        return outcome

    play.apply = and_publish  # type: ignore[method-assign, assignment]
    busy(play)
    assert feed.seq > 12


def test_what_was_told_is_not_told_again() -> None:
    play = Play(PLAN)
    play.hold(0, 1, areas=((0, 2),))
    assert play.live.take()[2] == [(0, 4)]
    play.hold(4, 5, by="bob")
    _, changes, areas = play.live.take()
    assert [change >> 2 for change in changes] == [4, 5]
    assert areas == []


def test_a_seat_taken_and_given_back_between_two_takes_is_told_once() -> None:
    play = Play(PLAN)
    play.hold(3, 4)
    play.release(3)
    _, changes, _ = play.live.take()
    assert changes == [3 << 2, 4 << 2 | 1]


def test_replayed_facts_are_no_news() -> None:
    play = Play(PLAN)
    play.hold(0, areas=((0, 1),))
    replayed = Performance(7, PLAN, settings())
    replayed.replay(play.live.take()[0])
    assert replayed.take() == ([], [], [])
