"""What the parts behind the edge say of themselves: for the metrics and for who watches over them.

Pure shapes, and the one way of counting values by their size that all parts share. Counters
count from the start of the process that tells them; memory is in bytes, times are in seconds
unless their name says otherwise.
"""

from bisect import bisect_left
from typing import Final

from msgspec import Struct, field

COMMIT_EDGES_S: Final = (
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
)  # fmt: skip


class Buckets(Struct):
    """How many values were at most each of `edges` and above the one before; last, above all.

    Adding costs a bisection.
    """

    edges: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.edges) + 1)

    def add(self, value: float) -> None:
        self.counts[bisect_left(self.edges, value)] += 1
        self.total += value


class Use(Struct, frozen=True):
    """What a process costs: memory now, processor time since its start."""

    resident_bytes: int
    cpu_s: float


class PerformanceStatus(Struct, frozen=True):
    """One active performance.

    `seq` and `epoch` are the journal's; `uncommitted` events are decided and not durable yet.
    `watchers` are the gateways that wait for its feed now. `stopped` says why it will serve
    no more ("" while it does). While it recovers it is not `ready`, and tells no places.

    `seats` counts the seats by their public status, in the order of SeatStatus; `area_left` the
    places left in areas; `holds` those alive; `tickets` all that were ever sold. `recovery_s` is
    how long its last recovery took, from being told to serve to being ready.
    """

    performance: int
    epoch: int
    seq: int
    uncommitted: int
    idle_ms: int
    watchers: int
    commits: int
    recoveries: int
    stopped: str
    ready: bool
    use: Use
    seats: tuple[int, int, int, int] = (0, 0, 0, 0)
    area_left: int = 0
    holds: int = 0
    tickets: int = 0
    recovery_s: float = 0.0


class DirectoryStatus(Struct, frozen=True):
    """The performances that are active: how many, and those of them that answered in time."""

    active: int
    performances: tuple[PerformanceStatus, ...]
    use: Use


class JournalStatus(Struct, frozen=True):
    """The commits of all performances together.

    `commit_s` has one value for each transaction that ended, `failed` of which have an unknown
    result; `batches` were written by the others, `fenced` refused because another writer has
    claimed their performance; `waiting` stand behind the one under way.
    """

    commit_s: Buckets
    batches: int
    failed: int
    fenced: int
    waiting: int
    use: Use


class MailStatus(Struct, frozen=True):
    """The mails of the outbox.

    `waiting` are to be sent, the oldest for `oldest_s`; `sent` were taken by a server, `failed`
    refused or given up. `reached` is false while the server was not reached the last time.
    """

    waiting: int
    oldest_s: float
    sent: int
    failed: int
    reached: bool
    use: Use


class EngineStatus(Struct, frozen=True):
    """Everything behind one gateway, as it is seen from there.

    Attributes:
        up: Each part that there is one of, by name: did it answer in time?
        uses: What the process of each part costs that answered, the gateway's own among them.
        directory, journal, mail: None when they did not answer.
        lanes, lane_calls: Lanes that this gateway has open, and its calls under way on them.
    """

    up: dict[str, bool]
    uses: dict[str, Use]
    directory: DirectoryStatus | None
    journal: JournalStatus | None
    lanes: int
    lane_calls: int
    mail: MailStatus | None = None
