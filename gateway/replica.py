"""The seat feeds that this gateway serves: one long-poll per performance, many watchers.

Owns a replica of each watched performance, the fan-out of its frames (the same
bytes to everybody), the catching up of newcomers and of slow readers, and who
is told when a hold expires. A slow reader gets the latest picture, not a queue:
while it lags it is sent nothing, and then one snapshot. Knows what frames
contain only as far as `engine.feed` does.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, NamedTuple, Protocol

import msgspec
import structlog

from engine.commands import SeatStatus
from engine.feed import Applied, Replica, pack_statuses
from engine.limits import FEED_TICK_MS
from gateway.backend import BackendUnavailable, Performances, PerformanceUnknown
from gateway.limits import (
    CATCH_UP_TICK_S,
    FAN_OUT_CHUNK_SENDS,
    FAN_OUT_REST,
    FEED_LIVE_S,
    LAG_BYTES,
    MAX_FEEDS,
    MAX_RECENT_BYTES,
    PUBLIC_CHECK_S,
    PUBLIC_PATIENCE_S,
    RETRY_PAUSES_S,
    WATCH_TIMEOUT_S,
)
from gateway.metrics import Metrics
from gateway.outbound import Outbound, framed

log = structlog.get_logger("gateway.feeds")

_decode_watch = msgspec.msgpack.Decoder(tuple[bytes | None, list[bytes]]).decode
_decode_frame = msgspec.msgpack.Decoder().decode
_encode = msgspec.msgpack.Encoder().encode
_TICK_S: Final = FEED_TICK_MS / 1000


IsPublic = Callable[[int], Awaitable[bool]]
"""Whether anybody may know of a performance."""


class Watcher(Protocol):
    """What a feed needs of a connection."""

    out: Outbound
    watches: set[int]
    followed: dict[tuple[int, bytes], None]

    def lost(self, performance: int, token: bytes) -> None: ...

    def error(self, code: str, detail: str) -> None: ...


class Census(NamedTuple):
    """Seats by status, and the places left in areas."""

    available: int
    held: int
    sold: int
    area_left: int


class SeatFeed:
    """One performance as seen from here. `replica` is None until its first frame."""

    def __init__(self, performance: int, now_s: float) -> None:
        self.performance = performance
        self.replica: Replica | None = None
        self.watchers: dict[Watcher, None] = {}
        self.public: bool | None = None  # None: not known yet
        self.public_s = 0.0  # when that was asked
        self.counted = False  # by a waiting room
        self.outsiders: dict[Watcher, tuple[int, int] | None] = {}
        """Who may watch a public performance only: where from, until they are let in."""
        self.holds: dict[bytes, set[Watcher]] = {}
        self.heard_s = now_s
        self.wanted_s = now_s
        self.task: asyncio.Task[None] | None = None
        self._recent: deque[tuple[int, int, bytes]] = deque()  # (from_seq, seq, framed)
        self._recent_bytes = 0
        self._snapshot = b""

    @property
    def position(self) -> tuple[int, int]:
        return (self.replica.epoch, self.replica.seq) if self.replica else (0, 0)

    def apply(self, frame: bytes) -> Applied:
        """Take a frame from the performance. Raises ValueError when it does not fit."""
        if self.replica is None:
            # The plan's size is read off the first picture; the last byte may hold up to
            # three statuses more than there are seats, which stay AVAILABLE.
            kind, _, _, _, seats, areas = _decode_frame(frame)
            if kind != "snapshot":
                return Applied.GAP
            self.replica = Replica(self.performance, 4 * len(seats), len(areas))
        applied = self.replica.apply(frame)
        if applied is Applied.SNAPSHOT:
            self._recent.clear()
            self._recent_bytes = 0
            self._snapshot = framed(frame)
        elif applied is Applied.DELTA:
            self._snapshot = b""
            self._remember(frame)
        return applied

    def since(self, epoch: int, seq: int) -> list[bytes]:
        """The framed frames that bring a watcher at (epoch, seq) to now."""
        assert self.replica is not None
        if epoch == self.replica.epoch:
            if seq == self.replica.seq:
                return []
            missed = [entry for entry in self._recent if entry[1] > seq]
            if missed and missed[0][0] <= seq:
                return [frame for _, _, frame in missed]
        return [self.snapshot()]

    def snapshot(self) -> bytes:
        """The framed picture now, made once per change."""
        if not self._snapshot:
            now = self.replica
            assert now is not None
            seats = pack_statuses(now.statuses)
            picture = ("snapshot", self.performance, now.epoch, now.seq, seats, now.areas)
            self._snapshot = framed(_encode(picture))
        return self._snapshot

    def _remember(self, frame: bytes) -> None:
        from_seq, seq = _decode_frame(frame)[3:5]
        self._recent.append((from_seq, seq, framed(frame)))
        self._recent_bytes += len(frame)
        while self._recent_bytes > MAX_RECENT_BYTES:
            self._recent_bytes -= len(self._recent.popleft()[2])


class Feeds:
    """All feeds of one gateway."""

    def __init__(
        self,
        performances: Performances,
        metrics: Metrics,
        linger_s: float,
        is_public: IsPublic,
    ) -> None:
        self._performances = performances
        self._is_public = is_public
        self._metrics = metrics
        self._linger_s = linger_s
        self._feeds: dict[int, SeatFeed] = {}
        self._lagging: dict[tuple[SeatFeed, Watcher], None] = {}
        self._catching_up: asyncio.Task[None] | None = None
        metrics.gauges["strapontin_feeds"] = ("Seat feeds followed", lambda: len(self._feeds))
        metrics.gauges["strapontin_watchers"] = (
            "Connections watching, summed over feeds",
            lambda: sum(len(feed.watchers) for feed in self._feeds.values()),
        )
        metrics.gauges["strapontin_lagging_watchers"] = (
            "Watchers too slow for deltas",
            lambda: len(self._lagging),
        )

    # What connections ask --------------------------------------------------------

    def watch(
        self, watcher: Watcher, performance: int, epoch: int, seq: int, outsider: bool = False
    ) -> None:
        """Send this performance's colours from (epoch, seq) on; to an `outsider` if it is public.

        What is not known to be public is not shown: an outsider waits until it is.
        """
        feed = self._feed(performance)
        if feed is None:
            watcher.error("busy", "too many performances are watched")
            return
        if outsider and feed.public is False:
            self._turn_away(feed, watcher)
            return
        watcher.watches.add(performance)
        if outsider:
            waits = feed.public is None
            feed.outsiders[watcher] = (epoch, seq) if waits else None
            if waits:
                return
        self._let_in(feed, watcher, epoch, seq)

    def _let_in(self, feed: SeatFeed, watcher: Watcher, epoch: int, seq: int) -> None:
        feed.watchers[watcher] = None
        if feed.replica is not None:
            for frame in feed.since(epoch, seq):
                watcher.out.send_framed(frame)

    def unwatch(self, watcher: Watcher, performance: int) -> None:
        watcher.watches.discard(performance)
        feed = self._feeds.get(performance)
        if feed is not None:
            feed.watchers.pop(watcher, None)
            feed.outsiders.pop(watcher, None)
            self._lagging.pop((feed, watcher), None)

    def follow(self, watcher: Watcher, performance: int, token: bytes) -> None:
        """Tell this connection when the hold expires."""
        feed = self._feed(performance)
        if feed is not None:
            feed.holds.setdefault(token, set()).add(watcher)

    def unfollow(self, watcher: Watcher, performance: int, token: bytes) -> None:
        feed = self._feeds.get(performance)
        followers = feed.holds.get(token) if feed is not None else None
        if feed is not None and followers is not None:
            followers.discard(watcher)
            if not followers:
                del feed.holds[token]

    def forget(self, watcher: Watcher) -> None:
        """The connection has ended."""
        for performance in list(watcher.watches):
            self.unwatch(watcher, performance)
        for performance, token in watcher.followed:
            self.unfollow(watcher, performance, token)
        watcher.followed.clear()

    def sold_among(self, performance: int, seats: tuple[int, ...]) -> tuple[int, ...]:
        """Those of `seats` that are certainly sold; none when the feed is not live.

        Malformed lists, and what is not public, are the engine's to judge: for them the answer
        is none.
        """
        feed = self._feeds.get(performance)
        if feed is None or feed.replica is None or not feed.public:
            return ()
        statuses = feed.replica.statuses
        if max(seats) >= len(statuses) or min(seats) < 0:
            return ()
        sold = tuple([seat for seat in seats if statuses[seat] == SeatStatus.SOLD])
        if not sold or len(set(seats)) != len(seats):
            return ()
        live = monotonic() - feed.heard_s < FEED_LIVE_S
        return sold if live else ()

    def census(self, performance: int, seats: int) -> Census | None:
        """How many places have which status; None while there is no live picture.

        `seats` is how many the plan has. Asking keeps the feed for another linger time.
        """
        feed = self._feed(performance)
        if feed is None:
            return None
        now_s = monotonic()
        feed.wanted_s = now_s
        feed.counted = True
        if feed.replica is None or now_s - feed.heard_s >= FEED_LIVE_S:
            return None
        # A picture is whole bytes long: what is over the plan's size is no seat.
        count = feed.replica.statuses[:seats].count
        return Census(
            count(SeatStatus.AVAILABLE),
            count(SeatStatus.HELD),
            count(SeatStatus.SOLD),
            sum(feed.replica.areas),
        )

    def is_sold_out(self, performance: int, seats: int) -> bool:
        """Whether the picture that is here shows nothing free, and no seat that may come free.

        Asking begins no feed: without a live picture nobody says so.
        """
        feed = self._feeds.get(performance)
        if feed is None or feed.replica is None or monotonic() - feed.heard_s >= FEED_LIVE_S:
            return False
        statuses = feed.replica.statuses[:seats]
        may_come = SeatStatus.AVAILABLE in statuses or SeatStatus.HELD in statuses
        return not may_come and not any(feed.replica.areas)

    def is_hidden(self, performance: int) -> bool:
        """Whether it is known that the public must not know of it."""
        feed = self._feeds.get(performance)
        return feed is not None and feed.public is False

    async def stop(self) -> None:
        tasks = [feed.task for feed in self._feeds.values() if feed.task is not None]
        if self._catching_up is not None:
            tasks.append(self._catching_up)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # One feed ----------------------------------------------------------------------

    def _feed(self, performance: int) -> SeatFeed | None:
        """The feed, followed from now on; None when there are too many."""
        feed = self._feeds.get(performance)
        if feed is None:
            if len(self._feeds) >= MAX_FEEDS:
                return None
            feed = SeatFeed(performance, monotonic())
            self._feeds[performance] = feed
            feed.task = asyncio.create_task(self._run(feed), name=f"feed {performance}")
        return feed

    async def _run(self, feed: SeatFeed) -> None:
        failures = 0
        try:
            while self._wanted(feed, monotonic()):
                asked_s = monotonic()
                try:
                    await self._look(feed, asked_s)
                    if feed.public is False and not self._is_entitled(feed):
                        return  # whoever guesses a number starts nothing
                    fan_out_s = await self._poll(feed)
                    failures = 0
                    # With very many watchers: at least half the time is left for answers.
                    pause_s = max(asked_s + _TICK_S - monotonic(), fan_out_s * FAN_OUT_REST)
                except PerformanceUnknown:
                    self._refuse(feed)
                    return
                except (BackendUnavailable, TimeoutError, ValueError) as error:
                    log.warning("feed waits", performance=feed.performance, why=repr(error))
                    pause_s = RETRY_PAUSES_S[min(failures, len(RETRY_PAUSES_S) - 1)]
                    failures += 1
                except Exception as error:
                    # A bug, and its watchers are still there: say so, and go on slowly.
                    log.exception("feed fails", performance=feed.performance, why=repr(error))
                    pause_s = RETRY_PAUSES_S[-1]
                if pause_s > 0:
                    await asyncio.sleep(pause_s)
        finally:
            del self._feeds[feed.performance]

    def _is_entitled(self, feed: SeatFeed) -> bool:
        """Whether somebody is there who may see what is not public."""
        return bool(feed.watchers or feed.holds or feed.counted)

    async def _look(self, feed: SeatFeed, now_s: float) -> None:
        """Find out, now and then, whether outsiders may watch; let them in, or send them away."""
        if feed.public is not None and now_s - feed.public_s < PUBLIC_CHECK_S:
            return
        feed.public_s = now_s
        try:
            patience_s = WATCH_TIMEOUT_S if feed.public is None else PUBLIC_PATIENCE_S
            async with asyncio.timeout(patience_s):
                public = await self._is_public(feed.performance)
        except Exception as error:
            # What was known stays; nobody was let in on what was not.
            log.warning("not known to be public", performance=feed.performance, why=repr(error))
            return
        feed.public = public
        for watcher, position in list(feed.outsiders.items()):
            if not public:
                self.unwatch(watcher, feed.performance)
                self._turn_away(feed, watcher)
            elif position is not None:
                feed.outsiders[watcher] = None
                self._let_in(feed, watcher, *position)

    def _wanted(self, feed: SeatFeed, now_s: float) -> bool:
        if feed.watchers or feed.holds or feed.outsiders:
            feed.wanted_s = now_s
        return now_s - feed.wanted_s <= self._linger_s

    async def _poll(self, feed: SeatFeed) -> float:
        """Ask for what is new and pass it on; the seconds that passing it on took."""
        async with asyncio.timeout(WATCH_TIMEOUT_S):
            reply = await self._performances.watch(feed.performance, *feed.position)
        frame, tokens = _decode_watch(reply)
        feed.heard_s = monotonic()
        for token in tokens:
            for follower in feed.holds.pop(token, ()):
                follower.lost(feed.performance, token)
        if frame is None:
            return 0.0
        applied = feed.apply(frame)
        if applied in (Applied.SNAPSHOT, Applied.DELTA):
            begins_s = monotonic()
            await self._fan_out(feed, framed(frame))
            return monotonic() - begins_s
        # A frame that does not continue ours: start over from a snapshot, unhurried.
        if applied is Applied.GAP:
            feed.replica = None
        raise ValueError(f"a frame out of order: {applied.value}")

    async def _fan_out(self, feed: SeatFeed, frame: bytes) -> None:
        sent = skipped = 0
        for watcher in list(feed.watchers):
            if (feed, watcher) in self._lagging:
                skipped += 1
            elif not watcher.out.post(frame):
                skipped += 1
                self._lag(feed, watcher)
            else:
                sent += 1
                if sent % FAN_OUT_CHUNK_SENDS == 0:
                    # Replies to commands must not wait for ten thousand watchers.
                    await asyncio.sleep(0)
        self._metrics.feed_frames["sent"] += sent
        self._metrics.feed_frames["skipped"] += skipped

    def _refuse(self, feed: SeatFeed) -> None:
        for watcher in {**feed.watchers, **feed.outsiders}:
            watcher.watches.discard(feed.performance)
            self._turn_away(feed, watcher)

    def _turn_away(self, feed: SeatFeed, watcher: Watcher) -> None:
        watcher.error("performance_unknown", f"there is no performance {feed.performance}")

    # Slow readers --------------------------------------------------------------------

    def _lag(self, feed: SeatFeed, watcher: Watcher) -> None:
        self._lagging[feed, watcher] = None
        if self._catching_up is None:
            self._catching_up = asyncio.create_task(self._catch_up(), name="slow readers")

    async def _catch_up(self) -> None:
        while self._lagging:
            await asyncio.sleep(CATCH_UP_TICK_S)
            for feed, watcher in list(self._lagging):
                if watcher.out.unsent_bytes() <= LAG_BYTES // 2 and feed.replica is not None:
                    self._lagging.pop((feed, watcher), None)
                    watcher.out.send_framed(feed.snapshot())
        self._catching_up = None
