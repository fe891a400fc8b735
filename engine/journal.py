"""What travels between a performance's writer and its durable journal.

Pure values: the batch that is appended, what became of it, and what a new
writer starts from. Knows neither how they are stored nor how they are sent.
"""

from enum import Enum

from msgspec import Struct

from engine.projection import NOTHING, Projection


class Succeeded(Exception):
    """Another writer has claimed the performance since: its last one has to stop."""


class Append(Struct, array_like=True, frozen=True):
    """One batch of a performance: seqs `prev_seq + 1` to `seq`, and the rows it implies.

    Of no events (`seq` is `prev_seq`) it asks only whether its epoch is still the performance's.
    """

    performance: int
    epoch: int
    prev_seq: int
    seq: int
    at_ms: int
    events: bytes  # msgpack list[Event]
    projection: Projection = NOTHING

    @property
    def only_asks(self) -> bool:
        return self.seq == self.prev_seq


class Written(Enum):
    """What became of one batch; true only when it is durable."""

    WRITTEN = "written"
    FENCED = "fenced"
    """Another writer has claimed the performance, or `prev_seq` is not its head: stop."""
    SECOND_WALL = "second_wall"
    """A constraint refused it (a seat sold twice): surely not written, and a bug to report."""
    UNKNOWN = "unknown"
    """Written or not: claim and read."""

    def __bool__(self) -> bool:
        return self is Written.WRITTEN


class Claimed(Struct, array_like=True, frozen=True):
    """A performance and the right to write it as `epoch`. Read the tail page by page."""

    performance: int
    epoch: int
    head_seq: int
    starts_ms: int
    plan_hash: str
    plan: bytes  # its file, or packed (engine.layout_packed)
    settings: bytes  # JSON; those that its journal begins with
    snapshot: tuple[int, bytes] | None  # (seq, state), seq <= head_seq

    @property
    def snapshot_seq(self) -> int:
        """Where the tail begins: pass it as the first `after_seq`."""
        return 0 if self.snapshot is None else self.snapshot[0]


class Recorded(Struct, array_like=True, frozen=True, gc=False):
    """A batch as it was written: seqs `prev_seq + 1` to `seq`, by the writer of `epoch`."""

    seq: int
    prev_seq: int
    epoch: int
    at_ms: int  # of the last event
    events: bytes  # msgpack list[Event]


class Page(Struct, array_like=True, frozen=True):
    """Batches that follow each other, for whoever reads the journal without writing it.

    `head_seq` is the journal's end; no batches mean that it was reached. `first_ms` and
    `last_ms` are the times of the journal's first and last batch, 0 while it is empty.
    """

    head_seq: int
    first_ms: int
    last_ms: int
    batches: tuple[Recorded, ...]


class JournalCheck(Struct, frozen=True):
    """How a journal's chain of hashes was found.

    `unchained` batches are older than the chain. `faults` are places, each a seq and the value of
    an `engine.ledger_check.Fault`; `hashes` are those at the seqs that were asked for, in hex.
    """

    performance: int
    head_seq: int
    batches: int
    unchained: int
    faults: tuple[tuple[int, str], ...]
    hashes: dict[int, str]
