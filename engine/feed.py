"""The seat feed of one performance: a picture, then every change to it, gapless.

Owns the frames that watchers get, the order in which they may be applied, and
how far back a watcher may resume. Knows statuses and numbers of places, nothing
of holds, and publishes only what its caller says is committed.

Frames are msgpack arrays:

    ["snapshot", performance, epoch, seq, seats, areas]
        seats: two bits a seat, seat i at bits 2 * (i % 4) of byte i // 4
        areas: places left, one number an area
    ["delta", performance, epoch, from_seq, seq, seats, areas]
        seats: little-endian u32 each, index << 2 | status
        areas: [[area, places left], ...]

A watcher at (epoch, n) applies a delta of its epoch when from_seq <= n < seq:
a delta says where things stand at `seq`, for all that changed after `from_seq`,
so one that starts earlier than needed does no harm. Everything else is dropped,
and from_seq > n is a gap: the watcher asks again. The epoch is the writer's
reign; a frame of an older reign never overwrites a newer one.
"""

import sys
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from enum import Enum
from typing import Any, Final

import msgspec

from engine.limits import MAX_FEED_DELTAS

_encode = msgspec.msgpack.encode
_U32: Final = "I"
assert array(_U32).itemsize == 4

# Four statuses a byte: unpacked by table, packed by shifting.
_UNPACKED: Final = tuple(
    bytes([byte & 3, byte >> 2 & 3, byte >> 4 & 3, byte >> 6]) for byte in range(256)
)


def pack_statuses(statuses: bytes | bytearray) -> bytes:
    """One status a byte to four a byte."""
    padded = bytes(statuses) + bytes(-len(statuses) % 4)
    return bytes(
        [
            a | b << 2 | c << 4 | d << 6
            for a, b, c, d in zip(
                padded[::4], padded[1::4], padded[2::4], padded[3::4], strict=True
            )
        ]
    )


def unpack_statuses(packed: bytes, count: int) -> bytearray:
    """Four statuses a byte to one a byte, `count` of them.

    Raises:
        ValueError: There are not as many bytes as `count` statuses need.
    """
    if len(packed) != (count + 3) // 4:
        raise ValueError(f"{len(packed)} bytes of statuses for {count} seats")
    return bytearray(b"".join([_UNPACKED[byte] for byte in packed])[:count])


class Feed:
    """The server's side: what is published, and the deltas to resume from.

    Args:
        performance, epoch: Named in every frame.
        statuses: One byte a seat at seq 0.
        areas: Places left, one number an area.
    """

    def __init__(self, performance: int, epoch: int, statuses: bytes, areas: Sequence[int]) -> None:
        self.performance = performance
        self.epoch = epoch
        self.seq = 0
        self._statuses = bytearray(statuses)
        self._areas = list(areas)
        self._deltas: deque[tuple[Sequence[int], Sequence[tuple[int, int]]]] = deque(
            maxlen=MAX_FEED_DELTAS
        )
        self._frames: dict[int, bytes] = {}

    def publish(self, changes: Sequence[int], areas: Sequence[tuple[int, int]] = ()) -> bool:
        """Show these committed changes, each `seat << 2 | status`, as one step; none: no step."""
        if not changes and not areas:
            return False
        statuses = self._statuses
        for change in changes:
            statuses[change >> 2] = change & 3
        for area, left in areas:
            self._areas[area] = left
        self._deltas.append((changes, areas))
        self.seq += 1
        self._frames.clear()
        return True

    def counts(self) -> tuple[int, int, int, int]:
        """Seats by status, in the order of SeatStatus."""
        statuses = self._statuses
        held, sold, blocked = statuses.count(1), statuses.count(2), statuses.count(3)
        return len(statuses) - held - sold - blocked, held, sold, blocked

    @property
    def area_left(self) -> int:
        """Places left in all areas together."""
        return sum(self._areas)

    def snapshot_frame(self) -> bytes:
        """The whole picture now."""
        return self._frame(-1)

    def since(self, epoch: int, seq: int) -> bytes | None:
        """The one frame that brings a watcher at (epoch, seq) to now; None when it is there.

        Many deltas become one, the last status of a seat winning. Too far behind,
        ahead, or of another epoch: a snapshot. Frames are made once per step and
        shared by all who ask from the same place.
        """
        if epoch != self.epoch or not self.seq - len(self._deltas) <= seq <= self.seq:
            return self.snapshot_frame()
        return None if seq == self.seq else self._frame(seq)

    def _frame(self, seq: int) -> bytes:
        frame = self._frames.get(seq)
        if frame is None:
            frame = self._frames[seq] = self._snapshot() if seq < 0 else self._delta(seq)
        return frame

    def _snapshot(self) -> bytes:
        seats = pack_statuses(self._statuses)
        return _encode(("snapshot", self.performance, self.epoch, self.seq, seats, self._areas))

    def _delta(self, seq: int) -> bytes:
        missed = list(self._deltas)[seq - self.seq :]
        statuses, left = self._statuses, self._areas
        # Where a seat stands now is its last status: only which ones changed is to be found out.
        seats = sorted({change >> 2 for changes, _ in missed for change in changes})
        areas = sorted({area for _, areas in missed for area, _ in areas})
        packed = _words([seat << 2 | statuses[seat] for seat in seats])
        return _encode(
            (
                "delta",
                self.performance,
                self.epoch,
                seq,
                self.seq,
                packed,
                [(area, left[area]) for area in areas],
            )
        )


def _words(numbers: Iterable[int]) -> bytes:
    words = array(_U32, numbers)
    if sys.byteorder == "big":
        words.byteswap()
    return words.tobytes()


def _numbers(words: bytes) -> "array[int]":
    numbers = array(_U32)
    numbers.frombytes(words)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


class Applied(Enum):
    """What a frame did to a replica."""

    SNAPSHOT = "snapshot"  # the picture was replaced: draw everything
    DELTA = "delta"  # `changed` and `changed_areas` name what is new
    OLD = "old"  # behind what is known, of another performance or of an older reign: dropped
    GAP = "gap"  # something is missing before it: ask again from (epoch, seq)


class Replica:
    """The watcher's side: one performance's picture, kept by frames in whatever order they come.

    Attributes:
        epoch, seq: Where the picture stands; ask to resume from here. (0, 0) before any frame.
        statuses: One byte a seat.
        areas: Places left, one number an area.
        changed, changed_areas: Seats and areas that the last applied delta named.
    """

    def __init__(self, performance: int, seat_count: int, area_count: int) -> None:
        self.performance = performance
        self.epoch = 0
        self.seq = 0
        self.statuses = bytearray(seat_count)
        self.areas = [0] * area_count
        self.changed: list[int] = []
        self.changed_areas: list[int] = []

    def apply(self, frame: bytes) -> Applied:
        """Take one frame.

        Raises:
            ValueError: Not a feed frame, or one that does not fit the plan.
        """
        try:
            return self._apply(msgspec.msgpack.decode(frame))
        except (msgspec.DecodeError, TypeError, IndexError, RecursionError) as error:
            raise ValueError(f"not a feed frame of this plan: {error}") from error

    def _apply(self, frame: Any) -> Applied:
        kind, performance, epoch, *rest = frame
        if performance != self.performance or epoch < self.epoch:
            return Applied.OLD
        if kind == "snapshot":
            seq, packed, areas = rest
            if epoch == self.epoch and seq < self.seq:
                return Applied.OLD
            statuses = unpack_statuses(packed, len(self.statuses))
            if len(areas) != len(self.areas):
                raise ValueError(f"{len(areas)} areas for {len(self.areas)}")
            self.statuses, self.areas = statuses, areas
            self.epoch, self.seq = epoch, seq
            return Applied.SNAPSHOT
        if kind != "delta":
            raise ValueError(f"no feed frame: {kind!r}")
        from_seq, seq, packed, areas = rest
        if epoch > self.epoch or from_seq > self.seq:
            return Applied.GAP
        if seq <= self.seq:
            return Applied.OLD
        numbers = _numbers(packed)
        if numbers and max(numbers) >> 2 >= len(self.statuses):
            raise ValueError("a delta names a seat outside the plan")
        for number in numbers:
            self.statuses[number >> 2] = number & 3
        for area, left in areas:
            self.areas[area] = left
        self.changed = [number >> 2 for number in numbers]
        self.changed_areas = [area for area, _ in areas]
        self.seq = seq
        return Applied.DELTA
