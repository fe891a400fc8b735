"""The performance actor's promises, without Ray: commit before reply, recovery, fencing."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.actors import NotReady, OutcomeUnknown, Stopped
from engine.actors import performance as shell
from engine.actors.performance import PerformanceActor
from engine.commands import (
    Allocate,
    Basket,
    BasketIs,
    Channel,
    Command,
    Held,
    Hold,
    ListAllocations,
    Outcome,
    Refusal,
    Refused,
    Release,
)
from engine.feed import Replica
from engine.journal import Claimed
from engine.layout_packed import PACKED_HEAD
from tests.actors.houses import settings, small_plan
from tests.fakes.journal import MemoryJournal
from tests.gateway.client import until

PLAN = small_plan()
encode = msgspec.msgpack.encode
decode = msgspec.msgpack.Decoder(list[Outcome]).decode


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def journal() -> MemoryJournal:
    return MemoryJournal(PLAN, settings())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def actor(journal: MemoryJournal, clock: Clock) -> AsyncIterator[PerformanceActor]:
    actor = PerformanceActor(1, journal, clock)
    yield actor
    await end(actor)


async def end(actor: PerformanceActor) -> None:
    """What a process's death does to its tasks."""
    for task in actor._tasks:
        task.cancel()
    await asyncio.gather(*actor._tasks, return_exceptions=True)


def hold(number: int, *seats: int) -> Hold:
    return Hold(id_of(number), id_of(number), f"s{number}", Channel.WEB, seats)


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


async def ask(actor: PerformanceActor, *commands: Command) -> list[Outcome]:
    return decode(await actor.submit(encode(commands)))


async def test_a_reply_waits_for_its_commit(
    actor: PerformanceActor, journal: MemoryJournal
) -> None:
    journal.gate.clear()
    reply = asyncio.create_task(ask(actor, hold(1, 0)))
    await asyncio.sleep(0.05)
    assert not reply.done() and journal.appends == 1
    assert decode_frame(await actor.watch(0, 0)).statuses[0] == 0, "colours wait too"
    journal.gate.set()
    assert isinstance((await reply)[0], Held)
    assert decode_frame(await actor.watch(0, 0)).statuses[0] == 1


def decode_frame(answer: bytes) -> Replica:
    frame, _ = msgspec.msgpack.decode(answer)
    replica = Replica(1, len(PLAN.seats), 0)
    replica.apply(frame)
    return replica


async def test_the_next_batch_is_decided_while_one_commits_and_replies_keep_their_order(
    actor: PerformanceActor, journal: MemoryJournal
) -> None:
    await ask(actor, hold(1, 0))
    journal.gate.clear()
    order: list[int] = []

    async def one(number: int, seat: int) -> Outcome:
        outcome = (await ask(actor, hold(number, seat)))[0]
        order.append(number)
        return outcome

    tasks = [asyncio.create_task(one(2, 1))]
    await asyncio.sleep(0.02)
    tasks += [asyncio.create_task(one(n, s)) for n, s in ((3, 1), (4, 2))]
    await asyncio.sleep(0.02)
    journal.gate.set()
    first, second, third = await asyncio.gather(*tasks)
    assert isinstance(first, Held) and isinstance(third, Held)
    assert second == Refused(Refusal.SEAT_TAKEN, (1,)), "decided on top of what was not committed"
    assert order == [2, 3, 4]
    assert journal.appends == 3, "one in flight, the rest together"


@pytest.mark.parametrize("lose", ["before", "after"])
async def test_an_unknown_commit_rebuilds_and_the_same_ids_get_one_outcome(
    actor: PerformanceActor, journal: MemoryJournal, lose: str
) -> None:
    journal.lose = lose
    with pytest.raises(OutcomeUnknown):
        await ask(actor, hold(1, 0, 1))
    again = await ask(actor, hold(1, 0, 1))
    assert isinstance(again[0], Held)
    assert (await ask(actor, hold(2, 0)))[0] == Refused(Refusal.SEAT_TAKEN, (0,))
    held = [event for event in journal.events if isinstance(event.outcome, Held)]
    assert len(held) == 1, "held once, whichever way the commit went"
    assert journal.epoch == 2


async def test_a_refusal_is_the_same_after_a_crash(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    await ask(actor, hold(1, 0))
    refused = await ask(actor, hold(2, 0))
    await end(actor)
    clock.ms += 60 * 60_000
    successor = PerformanceActor(1, journal, clock)
    try:
        assert await ask(successor, hold(2, 0)) == refused, "though seat 0 is free by now"
        assert isinstance((await ask(successor, hold(3, 0)))[0], Held)
    finally:
        await end(successor)


async def test_a_stale_writer_is_fenced_and_stops(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    await ask(actor, hold(1, 0))
    successor = PerformanceActor(1, journal, clock)
    try:
        assert isinstance((await ask(successor, hold(2, 1)))[0], Held)
        with pytest.raises(Stopped):
            await ask(actor, hold(3, 1))
        with pytest.raises(Stopped):
            await actor.watch(0, 0)
        assert (await actor.status()).stopped
        assert (await ask(successor, hold(4, 1)))[0] == Refused(Refusal.SEAT_TAKEN, (1,))
    finally:
        await end(successor)


async def return_from_a_pause(journal: MemoryJournal, clock: Clock) -> PerformanceActor:
    """A writer that was away during a commit, whose answer nobody will ever know, is back.

    Its successor has claimed the performance, and is returned.
    """
    old = PerformanceActor(1, journal, clock)
    await ask(old, hold(1, 0))
    journal.gate.clear()
    asking = asyncio.create_task(ask(old, hold(2, 1)))
    await until(lambda: journal.appends == 2)
    successor = PerformanceActor(1, journal, clock)
    await until(lambda: journal.epoch == 2)
    journal.lose = "before"
    journal.gate.set()
    with pytest.raises((OutcomeUnknown, Stopped)):
        await asking
    with contextlib.suppress(Stopped):
        await ask(old, hold(3, 2))
    await end(old)
    return successor


async def test_a_writer_back_from_a_pause_does_not_take_the_reign_from_its_successor(
    journal: MemoryJournal, clock: Clock
) -> None:
    successor = await return_from_a_pause(journal, clock)
    try:
        assert journal.epoch == 2
        assert isinstance((await ask(successor, hold(4, 2)))[0], Held)
    finally:
        await end(successor)


async def test_with_nothing_asked_about_its_last_reign_it_takes_it(clock: Clock) -> None:
    """The positive control."""

    class Unasked(MemoryJournal):
        async def claim(self, performance: int, since: int) -> Claimed:
            return await super().claim(performance, 0)

    journal = Unasked(PLAN, settings())
    successor = await return_from_a_pause(journal, clock)
    try:
        assert journal.epoch == 3
        with pytest.raises(Stopped):
            await ask(successor, hold(4, 2))
    finally:
        await end(successor)


async def test_without_the_fence_a_stale_writer_sells_the_same_seat(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    """The positive control: what the test above would look like if nobody checked the epoch."""
    await ask(actor, hold(1, 0))
    successor = PerformanceActor(1, journal, clock)
    try:
        await ask(successor, hold(2, 1))
        journal.epoch, journal.head_seq = 1, 1  # the stale writer's reign, restored
        assert isinstance((await ask(actor, hold(3, 1)))[0], Held)
        holders = [e.command.id for e in journal.events if 1 in e.command.seats]
        assert holders == [id_of(2), id_of(3)]
    finally:
        await end(successor)


async def test_a_stale_writer_does_not_tell_how_things_were(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    held = (await ask(actor, hold(1, 0)))[0]
    assert isinstance(held, Held)
    question = Basket(id_of(9), held.token)
    assert isinstance((await ask(actor, question))[0], BasketIs)
    appended = len(journal.batches)
    successor = PerformanceActor(1, journal, clock)
    try:
        await ask(successor, Release(id_of(2), held.token))
        # The positive control: this is what it would tell.
        assert isinstance(actor._core.apply(question, clock()), BasketIs)
        with pytest.raises(Stopped):
            await ask(actor, question)
        assert (await ask(successor, question))[0] == Refused(Refusal.HOLD_UNKNOWN)
        assert len(journal.batches) == appended + 1, "questions leave nothing behind"
    finally:
        await end(successor)


async def test_a_question_is_answered_by_what_was_asked_of_the_journal_after_it(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    held = (await ask(actor, hold(1, 0)))[0]
    assert isinstance(held, Held)
    journal.gate.clear()
    selling = asyncio.create_task(ask(actor, hold(2, 1)))
    await asyncio.sleep(0.02)
    question = asyncio.create_task(ask(actor, Basket(id_of(9), held.token)))
    await asyncio.sleep(0.02)
    # What was in the air when it was asked, and nothing after it.
    journal.gate.set()
    journal.gate.clear()
    await selling
    assert not question.done()
    journal.epoch += 1
    journal.gate.set()
    with pytest.raises(Stopped):
        await question


async def test_a_silent_database_delays_and_loses_nothing(
    actor: PerformanceActor, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ask(actor, hold(1, 0))
    monkeypatch.setattr(shell, "READY_S", 0.2)
    journal.down = True
    with pytest.raises(OutcomeUnknown):
        await ask(actor, hold(2, 1))
    with pytest.raises(NotReady):
        await ask(actor, hold(2, 1))
    journal.down = False
    monkeypatch.setattr(shell, "READY_S", 5.0)
    assert isinstance((await ask(actor, hold(2, 1)))[0], Held)
    assert (await ask(actor, hold(1, 0)))[0] == Held(id_of(1), (0,), (), 1_000_000 + 900_000)


async def test_holds_expire_by_themselves_and_watchers_are_told(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    await ask(actor, hold(1, 0, 1))
    frame, _ = msgspec.msgpack.decode(await actor.watch(0, 0))
    _, _, epoch, seq, *_ = msgspec.msgpack.decode(frame)
    clock.ms += 15 * 60_000 + 1
    frame, ended = msgspec.msgpack.decode(await asyncio.wait_for(actor.watch(epoch, seq), 3))
    assert ended == [id_of(1)]
    kind, _, _, from_seq, _, packed, _ = msgspec.msgpack.decode(frame)
    assert (kind, from_seq) == ("delta", seq)
    assert packed == (0 << 2).to_bytes(4, "little") + (1 << 2).to_bytes(4, "little")


async def test_an_allocation_is_released_by_itself_once_and_watchers_are_told(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock
) -> None:
    await ask(actor, Allocate(id_of(1), "press", (Channel.PHONE,), (0, 1), clock.ms + 60_000))
    frame, _ = msgspec.msgpack.decode(await actor.watch(0, 0))
    _, _, epoch, seq, *_ = msgspec.msgpack.decode(frame)
    clock.ms += 60_000
    frame, ended = msgspec.msgpack.decode(await asyncio.wait_for(actor.watch(epoch, seq), 30))
    packed = msgspec.msgpack.decode(frame)[5]
    assert (ended, packed) == ([], (0 << 2).to_bytes(4, "little") + (1 << 2).to_bytes(4, "little"))
    assert isinstance((await ask(actor, hold(2, 0, 1)))[0], Held)
    await end(actor)
    successor = PerformanceActor(1, journal, clock)
    told = (await ask(successor, ListAllocations(id_of(3))))[0]
    assert told.allocations == ()  # type: ignore[union-attr]
    await end(successor)


async def test_no_client_can_take_the_ids_that_expiry_needs(
    actor: PerformanceActor, clock: Clock
) -> None:
    for number in range(1, 60):
        id = (1 << 64 | number).to_bytes(16, "big")
        await ask(actor, Hold(id, id_of(7), "s", Channel.BOX_OFFICE, (number,)))
    clock.ms += 15 * 60_000 + 1
    assert isinstance((await ask(actor, hold(1, 1, 2, 3)))[0], Held), "the first hold has ended"


async def test_snapshots_bound_the_tail_and_keep_every_outcome(
    actor: PerformanceActor,
    journal: MemoryJournal,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shell, "SNAPSHOT_EVERY_EVENTS", 5)
    outcomes = [(await ask(actor, hold(n, n)))[0] for n in range(1, 18)]
    assert len(journal.snapshots) >= 3
    await end(actor)
    successor = PerformanceActor(1, journal, clock)
    try:
        assert [(await ask(successor, hold(n, n)))[0] for n in range(1, 18)] == outcomes
        assert journal.head_seq == 17, "nothing was decided again"
    finally:
        await end(successor)


async def test_sales_go_on_while_a_snapshot_is_saved_and_when_it_cannot_be(
    actor: PerformanceActor, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "SNAPSHOT_EVERY_EVENTS", 5)
    journal.keeping.clear()
    for number in range(1, 18):
        [held] = await asyncio.wait_for(ask(actor, hold(number, number)), 3)
        assert isinstance(held, Held)
    assert journal.snapshots == []
    journal.keeping.set()
    await ask(actor, hold(18, 18))
    assert [seq for seq, _ in journal.snapshots] == [5], "one at a time, of when it was due"
    await asyncio.sleep(0.01)
    journal.keeping.clear()
    await ask(actor, hold(19, 19))
    journal.down = True
    journal.keeping.set()
    await asyncio.sleep(0.01)
    journal.down = False
    assert isinstance((await ask(actor, hold(20, 20)))[0], Held)
    assert (journal.epoch, actor._recoveries) == (1, 1), "no snapshot is no reason to rebuild"


async def test_passivation_saves_a_snapshot_and_refuses_what_comes_after(
    actor: PerformanceActor, journal: MemoryJournal
) -> None:
    await ask(actor, hold(1, 0))
    watching = asyncio.create_task(actor.watch(1, 1))
    await asyncio.sleep(0.01)
    assert not await actor.passivate(), "somebody watches"
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    assert await actor.passivate()
    assert journal.snapshots[-1][0] == 1
    with pytest.raises(Stopped):
        await ask(actor, hold(2, 1))


async def test_a_plan_is_read_from_its_file_once(
    actor: PerformanceActor, journal: MemoryJournal, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    [held] = await ask(actor, hold(1, 5))
    assert isinstance(held, Held)
    assert actor._packing is not None
    await actor._packing
    assert journal.plan.startswith(PACKED_HEAD)
    monkeypatch.setattr(shell, "load_plan", None)
    successor = PerformanceActor(1, journal, clock)
    [refused] = await ask(successor, hold(2, 5))
    assert isinstance(refused, Refused) and refused.code is Refusal.SEAT_TAKEN
    await end(successor)
