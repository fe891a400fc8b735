"""What travels between a performance's writer and its durable journal.

Pure values: the batch that is appended, and what a new writer gets to rebuild
from. Knows neither how they are stored nor how they are sent.
"""

from msgspec import Struct

from engine.projection import Projection


class Append(Struct, array_like=True, frozen=True):
    """One batch of one performance: `events` is msgpack list[Event], seqs prev_seq+1 .. seq."""

    performance: int
    epoch: int
    prev_seq: int
    seq: int
    at_ms: int
    events: bytes
    projection: Projection


class Claimed(Struct, array_like=True, frozen=True):
    """A new reign: its epoch, and the state as plan, settings, snapshot and journal tail.

    `plan` is the plan in its own JSON format, `settings` the JSON of
    `engine.settings.Settings` as they were when the performance was made or last
    configured, `snapshot` (seq, state) or None, `tail` (last seq, msgpack
    list[Event]) in order, everything after the snapshot.
    """

    epoch: int
    plan: bytes
    settings: bytes
    snapshot: tuple[int, bytes] | None
    tail: list[tuple[int, bytes]]
