"""Feeds: one poll for all, the same bytes to all, the latest picture for who is slow."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.commands import Channel, Hold, Release
from engine.feed import Applied, Replica
from gateway import replica as replica_module
from gateway.limits import LAG_BYTES, MAX_RECENT_BYTES
from gateway.metrics import Metrics
from gateway.outbound import framed
from gateway.replica import Feeds, SeatFeed
from tests.actors.houses import settings, small_plan
from tests.fakes.performances import FakePerformances
from tests.gateway.client import new_id

SEATS = 160


class Pipe:
    """An `Outbound` that keeps what it is given; `unsent` is what a slow peer leaves."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.unsent = 0
        self.told = asyncio.Event()

    def send_framed(self, frame: bytes) -> None:
        self.frames.append(frame)
        self.told.set()

    def post(self, frame: bytes) -> bool:
        if self.unsent > LAG_BYTES:
            return False
        self.send_framed(frame)
        return True

    def unsent_bytes(self) -> int:
        return self.unsent


class Watcher:
    """A connection as feeds see it, with a replica fed as a client would."""

    def __init__(self, performance: int = 1) -> None:
        self.out = Pipe()
        self.watches: set[int] = set()
        self.followed: dict[tuple[int, bytes], None] = {}
        self.replica = Replica(performance, SEATS, 0)
        self.errors: list[str] = []
        self.ended: list[bytes] = []
        self.read = 0

    def lost(self, performance: int, token: bytes) -> None:
        self.ended.append(token)

    def error(self, code: str, detail: str) -> None:
        self.errors.append(code)

    def catch_up(self) -> list[Applied]:
        """Apply what has come since the last time."""
        new = self.out.frames[self.read :]
        self.read += len(new)
        return [self.replica.apply(payload_of(frame)) for frame in new]

    async def until(self, seq: int, epoch: int = 1) -> None:
        async with asyncio.timeout(20):
            while (self.replica.epoch, self.replica.seq) < (epoch, seq):
                self.out.told.clear()
                if not self.catch_up():
                    await self.out.told.wait()


def payload_of(frame: bytes) -> bytes:
    assert frame[0] == 0x82
    head = {126: 4, 127: 10}.get(frame[1], 2)
    assert framed(frame[head:]) == frame
    return frame[head:]


async def take(performances: FakePerformances, *seats: int) -> bytes:
    token = new_id()
    held = await performances.ask(1, Hold(new_id(), token, token.hex(), Channel.WEB, seats))
    assert held.seats == seats
    return token


@pytest.fixture
async def performances() -> FakePerformances:
    fake = FakePerformances()
    fake.add(1, small_plan(), settings(max_per_order=100))
    return fake


async def everything_is_public(_performance: int) -> bool:
    return True


@pytest.fixture
async def feeds(performances: FakePerformances) -> AsyncIterator[Feeds]:
    made = Feeds(performances, Metrics(), linger_s=0.2, is_public=everything_is_public)
    yield made
    await made.stop()


async def test_a_hundred_watchers_cost_one_poll_and_get_the_same_bytes(
    performances: FakePerformances, feeds: Feeds
) -> None:
    watchers = [Watcher() for _ in range(100)]
    for watcher in watchers:
        feeds.watch(watcher, 1, 0, 0)
    await watchers[0].until(0)
    for seat in range(5):
        await take(performances, seat)
        await asyncio.sleep(0.05)
    for watcher in watchers:
        await watcher.until(5)
        assert watcher.replica.statuses[:6] == bytes([1, 1, 1, 1, 1, 0])
    assert performances.polls < 20
    assert len({id(watcher.out.frames[-1]) for watcher in watchers}) == 1


async def test_a_newcomer_gets_the_picture_at_once(
    performances: FakePerformances, feeds: Feeds
) -> None:
    first = Watcher()
    feeds.watch(first, 1, 0, 0)
    await take(performances, 7)
    await first.until(1)
    late = Watcher()
    feeds.watch(late, 1, 0, 0)
    assert late.catch_up() == [Applied.SNAPSHOT]
    assert late.replica.statuses[:SEATS] == first.replica.statuses[:SEATS]
    assert (late.replica.epoch, late.replica.seq) == (1, 1)


async def test_who_comes_back_gets_what_was_missed(
    performances: FakePerformances, feeds: Feeds
) -> None:
    stays, leaves = Watcher(), Watcher()
    feeds.watch(stays, 1, 0, 0)
    feeds.watch(leaves, 1, 0, 0)
    await take(performances, 1)
    await leaves.until(1)
    feeds.forget(leaves)
    for seat in (2, 3):
        await take(performances, seat)
        await stays.until(seat)
    feeds.watch(leaves, 1, leaves.replica.epoch, leaves.replica.seq)
    assert set(leaves.catch_up()) == {Applied.DELTA}
    assert leaves.replica.statuses == stays.replica.statuses
    feeds.watch(leaves, 1, leaves.replica.epoch, leaves.replica.seq)
    assert leaves.catch_up() == []


@pytest.mark.parametrize("position", [(1, 999), (1, -5), (9, 1), (2**62, 2**62), (-1, -1)])
async def test_a_position_that_never_was_gets_a_snapshot(
    performances: FakePerformances, feeds: Feeds, position: tuple[int, int]
) -> None:
    watcher = Watcher()
    feeds.watch(watcher, 1, 0, 0)
    await take(performances, 1)
    await watcher.until(1)
    lost = Watcher()
    feeds.watch(lost, 1, *position)
    assert lost.catch_up() == [Applied.SNAPSHOT]


async def test_a_new_reign_starts_over_for_everybody(
    performances: FakePerformances, feeds: Feeds
) -> None:
    watcher = Watcher()
    feeds.watch(watcher, 1, 0, 0)
    await take(performances, 1)
    await watcher.until(1)
    performances.restart(1)
    await watcher.until(0, epoch=2)
    await take(performances, 2)
    await watcher.until(1, epoch=2)
    assert watcher.replica.statuses[:3] == bytes([0, 1, 1])


async def test_an_outage_ends_no_watch(performances: FakePerformances, feeds: Feeds) -> None:
    watcher = Watcher()
    feeds.watch(watcher, 1, 0, 0)
    await watcher.until(0)
    performances.down = True
    performances.wake()
    await asyncio.sleep(0.1)
    performances.down = False
    await take(performances, 4)
    await watcher.until(1)
    assert watcher.replica.statuses[4] == 1


async def test_a_slow_reader_gets_one_snapshot_when_it_has_caught_up(
    performances: FakePerformances, feeds: Feeds
) -> None:
    slow, fast = Watcher(), Watcher()
    feeds.watch(slow, 1, 0, 0)
    feeds.watch(fast, 1, 0, 0)
    await slow.until(0)
    sent = len(slow.out.frames)
    slow.out.unsent = LAG_BYTES + 1
    for seat in range(6):
        await take(performances, seat)
        await fast.until(seat + 1)
    await asyncio.sleep(0.15)
    assert len(slow.out.frames) == sent
    slow.out.unsent = 0
    await slow.until(6)
    assert len(slow.out.frames) == sent + 1
    assert slow.replica.statuses == fast.replica.statuses
    await take(performances, 30)
    await slow.until(7)


async def test_a_slow_reader_that_goes_away_is_forgotten(
    performances: FakePerformances, feeds: Feeds
) -> None:
    slow, fast = Watcher(), Watcher()
    feeds.watch(slow, 1, 0, 0)
    feeds.watch(fast, 1, 0, 0)
    await slow.until(0)
    slow.out.unsent = LAG_BYTES + 1
    await take(performances, 1)
    await fast.until(1)
    feeds.forget(slow)
    sent = len(slow.out.frames)
    slow.out.unsent = 0
    await asyncio.sleep(0.15)
    assert len(slow.out.frames) == sent


async def test_nobody_watching_ends_the_poll(performances: FakePerformances, feeds: Feeds) -> None:
    watcher = Watcher()
    feeds.watch(watcher, 1, 0, 0)
    await watcher.until(0)
    feeds.forget(watcher)
    await asyncio.sleep(1.2)
    polls = performances.polls
    performances.wake()
    await asyncio.sleep(0.1)
    assert performances.polls == polls
    assert not feeds._feeds
    feeds.watch(watcher, 1, 0, 0)
    await take(performances, 1)
    await watcher.until(1)


async def test_holds_that_expire_are_told_to_who_follows_them(
    performances: FakePerformances, feeds: Feeds
) -> None:
    mine, other = Watcher(), Watcher()
    token = await take(performances, 1)
    kept = await take(performances, 2)
    for watcher, followed in ((mine, token), (other, kept)):
        feeds.follow(watcher, 1, followed)
    await asyncio.sleep(0.05)
    await performances.ask(1, Release(new_id(), kept))
    performances.ahead_ms = 16 * 60_000
    performances.wake()
    await asyncio.sleep(0.2)
    assert (mine.ended, other.ended) == ([token], [])


async def test_what_is_no_longer_followed_is_not_told(
    performances: FakePerformances, feeds: Feeds
) -> None:
    watcher = Watcher()
    token = await take(performances, 1)
    feeds.follow(watcher, 1, token)
    watcher.followed[1, token] = None
    await asyncio.sleep(0.05)
    feeds.forget(watcher)
    performances.ahead_ms = 16 * 60_000
    performances.wake()
    await asyncio.sleep(0.1)
    assert watcher.ended == []
    assert not feeds._feeds[1].holds


async def test_an_unknown_performance_is_told_and_forgotten(feeds: Feeds) -> None:
    watcher = Watcher()
    feeds.watch(watcher, 99, 0, 0)
    await asyncio.sleep(0.05)
    assert watcher.errors == ["performance_unknown"]
    assert not watcher.watches and not feeds._feeds


async def test_frames_that_make_no_sense_start_the_picture_over(
    performances: FakePerformances, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    watcher = Watcher()
    feeds.watch(watcher, 1, 0, 0)
    await watcher.until(0)
    watch = performances.watch
    answers = [
        b"\xc1",
        msgspec.msgpack.encode((b"\xc1", ())),
        msgspec.msgpack.encode((msgspec.msgpack.encode(("delta", 1, 1, 50, 51, b"", [])), ())),
    ]

    async def confused(performance: int, epoch: int, seq: int) -> bytes:
        return answers.pop(0) if answers else await watch(performance, epoch, seq)

    monkeypatch.setattr(performances, "watch", confused)
    await take(performances, 1)
    await watcher.until(1)
    assert not answers


async def test_sold_seats_are_known_only_while_the_feed_is_live(
    performances: FakePerformances, feeds: Feeds, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert feeds.sold_among(1, (1,)) == ()
    watcher = Watcher()
    feeds.watch(watcher, 1, 0, 0)
    assert feeds.sold_among(1, (1,)) == ()
    await watcher.until(0)
    feeds._feeds[1].replica.statuses[3] = 2
    assert feeds.sold_among(1, (1, 3)) == (3,)
    assert feeds.sold_among(1, (1, 2)) == ()
    for malformed in ((3, 3), (3, SEATS), (-1, 3), (3, 2**63)):
        assert feeds.sold_among(1, malformed) == ()
    monkeypatch.setattr(replica_module, "FEED_LIVE_S", -1.0)
    assert feeds.sold_among(1, (3,)) == ()


def test_what_is_kept_for_those_who_return_is_bounded() -> None:
    feed = SeatFeed(1, 0.0)
    encode = msgspec.msgpack.encode
    assert feed.apply(encode(("snapshot", 1, 1, 0, bytes(25_000), []))) is Applied.SNAPSHOT
    for seq in range(100):
        seats = b"".join((seat << 2 | 1).to_bytes(4, "little") for seat in range(1_000))
        assert feed.apply(encode(("delta", 1, 1, seq, seq + 1, seats, []))) is Applied.DELTA
    kept = feed.since(1, 90)
    assert len(kept) == 10
    assert sum(len(frame) for _, _, frame in feed._recent) <= MAX_RECENT_BYTES + 4_096
    far_behind = feed.since(1, 1)
    assert len(far_behind) == 1 and payload_of(far_behind[0])[1:10] == b"\xa8snapshot"
