"""Batches: one in flight, bounded, in order, sent again with the same ids, then shed."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.commands import Basket, Channel, Command, Hold, Scan, ScanMode
from engine.limits import MAX_BATCH_BYTES, MAX_BATCH_COMMANDS, MAX_WAITING_COMMANDS
from gateway import batcher as batcher_module
from gateway.backend import BackendUnavailable, PerformanceUnknown
from gateway.batcher import Batcher
from gateway.metrics import Metrics
from gateway.wire import outcome_name
from tests.actors.houses import settings, small_plan
from tests.fakes.performances import FakePerformances

encode = msgspec.msgpack.encode


class Asker:
    """A receiver that writes down what it hears."""

    def __init__(self) -> None:
        self.answers: list[tuple[bytes, str, str]] = []
        self.sheds: list[tuple[bytes, str]] = []
        self.retries_ms: list[int] = []
        self.heard = asyncio.Event()

    def answer(self, id: bytes, kind: str, outcome: str, raw: msgspec.Raw | bytes) -> None:
        assert outcome == outcome_name(raw)
        self.answers.append((id, kind, outcome))
        self.heard.set()

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None:
        assert retry_ms > 0
        self.retries_ms.append(retry_ms)
        self.sheds.append((id, reason))
        self.heard.set()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.answers) + len(self.sheds) < count:
                self.heard.clear()
                await self.heard.wait()


def named(number: int) -> bytes:
    return number.to_bytes(16, "big")


def hold(number: int, seat: int) -> bytes:
    return encode(Hold(named(number), named(number), f"holder {number}", Channel.WEB, (seat,)))


@pytest.fixture
async def performances() -> FakePerformances:
    fake = FakePerformances()
    fake.add(1, small_plan(), settings(max_per_order=100))
    return fake


@pytest.fixture
async def batcher(performances: FakePerformances) -> AsyncIterator[Batcher]:
    made = Batcher(performances, Metrics(), retry_for_s=0.5)
    yield made
    await made.stop(1.0)


async def test_one_batch_is_in_flight_while_the_next_fills(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.delay_s = 0.5
    asker = Asker()
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    await asyncio.sleep(0.01)
    for number in range(2, 12):
        batcher.offer(1, asker, named(number), "hold", hold(number, number))
        await asyncio.sleep(0)
    await asker.until(11)
    assert performances.batches == [1, 10]
    assert [id for id, _, _ in asker.answers] == [named(number) for number in range(1, 12)]
    assert {(kind, outcome) for _, kind, outcome in asker.answers} == {("hold", "held")}


async def test_batches_respect_both_bounds(
    performances: FakePerformances, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    submit = performances.submit

    async def measured(performance: int, batch: bytes) -> bytes:
        sizes.append(len(batch))
        return await submit(performance, batch)

    monkeypatch.setattr(performances, "submit", measured)
    asker = Asker()
    small = 2 * MAX_BATCH_COMMANDS + 7
    for number in range(small):
        batcher.offer(1, asker, named(number), "basket", encode(Basket(named(number), b"")))
    await asker.until(small)
    assert performances.batches == [MAX_BATCH_COMMANDS, MAX_BATCH_COMMANDS, 7]
    large = encode(Hold(named(0), named(0), "x" * 15_000, Channel.WEB, (1,)))
    performances.batches.clear()
    for number in range(20):
        batcher.offer(1, asker, named(number), "hold", large)
    await asker.until(small + 20)
    assert len(performances.batches) > 3
    assert max(sizes) <= MAX_BATCH_BYTES


async def test_no_crowd_of_buyers_stands_before_a_door(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.delay_s = 0.05
    buyers, door = Asker(), Asker()
    for number in range(MAX_WAITING_COMMANDS):
        batcher.offer(1, buyers, named(number), "basket", encode(Basket(named(number), b"")))
    batcher.offer(1, buyers, named(MAX_WAITING_COMMANDS), "basket", b"")
    assert [reason for _, reason in buyers.sheds] == ["busy"]
    ids = [named(1_000_000 + number) for number in range(3)]
    for id in ids:
        batcher.offer(1, door, id, "scan", encode(Scan(id, "", "door", 1, 1, 0, ScanMode.ADMIT)))
    await door.until(3)
    assert [id for id, _, _ in door.answers] == ids
    assert performances.batches[:2] == [MAX_BATCH_COMMANDS, 3], "beside the crowd's first batch"
    assert len(buyers.answers) <= 2 * MAX_BATCH_COMMANDS


async def test_a_command_larger_than_a_batch_still_goes(batcher: Batcher) -> None:
    asker = Asker()
    huge = encode(Hold(named(1), named(1), "x" * (MAX_BATCH_BYTES + 1), Channel.WEB, (1,)))
    batcher.offer(1, asker, named(1), "hold", huge)
    await asker.until(1)
    assert asker.answers


async def test_a_lost_answer_is_asked_for_again_with_the_same_ids(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.lose = 2
    asker = Asker()
    for number in range(5):
        batcher.offer(1, asker, named(number), "hold", hold(number, number))
    batcher.offer(1, asker, named(9), "hold", hold(9, 1))
    await asker.until(6)
    # Decided three times, with the outcomes of the first: nobody is refused his own seat.
    assert performances.batches == [6, 6, 6]
    assert [outcome for _, _, outcome in asker.answers] == ["held"] * 5 + ["seat_taken"]


async def test_an_outage_is_waited_out_in_order(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.down = True
    asker = Asker()
    batcher.offer(1, asker, named(0), "hold", hold(0, 0))
    await asyncio.sleep(0.02)
    for number in range(1, 5):
        batcher.offer(1, asker, named(number), "hold", hold(number, number))
    await asyncio.sleep(0.1)
    assert not asker.answers
    performances.down = False
    await asker.until(5)
    assert [id for id, _, _ in asker.answers] == [named(number) for number in range(5)]


async def test_after_a_long_outage_all_that_waits_is_shed(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.down = True
    asker = Asker()
    batcher.offer(1, asker, named(0), "hold", hold(0, 0))
    await asyncio.sleep(0.02)
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    await asker.until(2)
    assert asker.sheds == [(named(0), "unavailable"), (named(1), "unavailable")]
    performances.down = False
    batcher.offer(1, asker, named(0), "hold", hold(0, 0))
    await asker.until(3)
    assert asker.answers == [(named(0), "hold", "held")]


async def test_a_call_that_hangs_counts_as_failed(
    performances: FakePerformances, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batcher_module, "SUBMIT_TIMEOUT_S", 0.05)
    performances.delay_s = 60.0
    asker = Asker()
    batcher.offer(1, asker, named(0), "hold", hold(0, 0))
    await asyncio.sleep(0.07)
    performances.delay_s = 0.0
    await asker.until(1)
    assert asker.answers == [(named(0), "hold", "held")]


async def test_what_does_not_fit_is_shed_as_busy(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.delay_s = 0.05
    asker = Asker()
    command = encode(Basket(named(0), b""))
    for _ in range(MAX_WAITING_COMMANDS + 3):
        batcher.offer(1, asker, named(0), "basket", command)
    assert asker.sheds == [(named(0), "busy")] * 3
    performances.delay_s = 0.0


async def test_performances_do_not_wait_for_each_other(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.add(2, small_plan(), settings())
    slow = performances.live.pop(1)
    asker, other = Asker(), Asker()
    submit = performances.submit

    async def stuck(performance: int, batch: bytes) -> bytes:
        if performance == 1 and 1 not in performances.live:
            raise BackendUnavailable("1 is being moved")
        return await submit(performance, batch)

    performances.submit = stuck  # type: ignore[method-assign]
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    batcher.offer(2, other, named(2), "hold", hold(2, 2))
    await other.until(1)
    assert not asker.answers
    performances.live[1] = slow
    await asker.until(1)


async def test_an_unknown_performance_is_asked_about_once_in_a_while(
    performances: FakePerformances, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = 0

    async def unknown(performance: int, batch: bytes) -> bytes:
        nonlocal calls
        calls += 1
        raise PerformanceUnknown(performance)

    monkeypatch.setattr(performances, "submit", unknown)
    asker = Asker()
    for number in range(3):
        batcher.offer(7, asker, named(number), "hold", hold(number, 1))
        await asker.until(number + 1)
    assert calls == 1
    assert [outcome for _, _, outcome in asker.answers] == ["malformed"] * 3
    monkeypatch.setattr(batcher_module, "UNKNOWN_PERFORMANCE_S", 0.0)


async def test_a_broken_backend_sheds_and_goes_on(
    performances: FakePerformances, batcher: Batcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = performances.submit

    async def short(performance: int, batch: bytes) -> bytes:
        return encode([])

    monkeypatch.setattr(performances, "submit", short)
    asker = Asker()
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    await asker.until(1)
    assert asker.sheds == [(named(1), "unavailable")]
    monkeypatch.setattr(performances, "submit", submit)
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    await asker.until(2)
    assert asker.answers == [(named(1), "hold", "held")]


async def test_stopping_answers_what_is_under_way_and_sheds_the_rest(
    performances: FakePerformances,
) -> None:
    batcher = Batcher(performances, Metrics(), retry_for_s=30.0)
    performances.delay_s = 0.05
    asker, late = Asker(), Asker()
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    await asyncio.sleep(0.01)
    stopping = asyncio.create_task(batcher.stop(1.0))
    await asyncio.sleep(0.01)
    batcher.offer(1, late, named(2), "hold", hold(2, 2))
    await stopping
    assert asker.answers == [(named(1), "hold", "held")]
    assert late.sheds == [(named(2), "unavailable")]


async def test_stopping_does_not_wait_for_the_dead(performances: FakePerformances) -> None:
    batcher = Batcher(performances, Metrics(), retry_for_s=30.0)
    performances.delay_s = 60.0
    asker = Asker()
    batcher.offer(1, asker, named(1), "hold", hold(1, 1))
    await asyncio.sleep(0)
    await batcher.stop(0.05)
    assert asker.sheds == [(named(1), "unavailable")]


def test_a_batch_is_what_the_performance_decodes() -> None:
    asker = Asker.__new__(Asker)
    entries = [batcher_module.Waiting(asker, named(n), "hold", hold(n, n), 0.0) for n in range(20)]
    commands = msgspec.msgpack.decode(batcher_module.encode_batch(entries), type=list[Command])
    assert [command.id for command in commands] == [named(n) for n in range(20)]


async def test_a_crowd_of_newcomers_neither_delays_nor_turns_away_who_has_seats(
    performances: FakePerformances, batcher: Batcher
) -> None:
    performances.delay_s = 0.05
    newcomers, buyer = Asker(), Asker()
    for number in range(MAX_WAITING_COMMANDS + 50):
        question = encode(Basket(named(number), b""))
        batcher.offer(1, newcomers, named(number), "basket", question)
    assert [reason for _, reason in newcomers.sheds] == ["busy"] * 50
    assert len(set(newcomers.retries_ms)) > 1, "they do not come back at the same moment"
    id = named(1_000_000)
    batcher.offer(1, buyer, id, "basket", encode(Basket(id, b"")), engaged=True)
    await buyer.until(1)
    assert not buyer.sheds and len(newcomers.answers) < MAX_BATCH_COMMANDS, "in the first batch"
