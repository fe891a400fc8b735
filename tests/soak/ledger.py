"""What clients were told, what was done to the house, and when it served again.

Owns the noting. Recovery is as users see it: from the moment of a fault (the end of one
that lasts) to the first good answer to a question that was asked after it, of the sort
that the fault stops: holds for most, a whole sale for the desk, an order over two performances
for what was hit in the middle of one, a place in the waiting room for its writer, readiness for
the directory.
"""

from typing import Any, Final

from msgspec import Struct, field

from bench.client import Frame
from bench.rehearsal.crowd import Crowd
from bench.rehearsal.history import Book, Ticket
from bench.rehearsal.line import Line
from tests.soak.schedule import Kind

HOLD, SALE, EVENING, PLACE, READY = "hold", "sale", "evening", "place", "ready"
SEEN_BY: Final = {
    Kind.DESK_KILLED: SALE,
    Kind.DESK_STRUCK: EVENING,
    Kind.EVENING_STRUCK: EVENING,
    Kind.ROOMS_KILLED: PLACE,
    Kind.DIRECTORY_KILLED: READY,
}
"""Which answer shows that it is over; a hold where nothing is said."""


class Done(Struct):
    """A fault as it was carried out. Times are on the book's clock.

    `over_s` is from when recovery counts, -1 while it lasts; `good_s` when a question of
    each sort was answered well again; `refused`, of a paused writer, whether the journal
    refused it when it woke; `paying`, how many orders over two performances were just being paid
    or exchanged, where that was the moment.
    """

    kind: Kind
    at_s: float
    over_s: float = -1.0
    good_s: dict[str, float] = field(default_factory=dict)
    note: str = ""
    refused: bool | None = None
    paying: int | None = None

    @property
    def recovered(self) -> bool:
        return SEEN_BY.get(self.kind, HOLD) in self.good_s

    def recovery_ms(self, sort: str = "") -> float | None:
        """Of the sort that it stops first, or of this one."""
        good_s = self.good_s.get(sort or SEEN_BY.get(self.kind, HOLD))
        return None if good_s is None else 1_000 * (good_s - self.over_s)


class Ledger(Book):
    """The book of a soak.

    Attributes:
        answers: The outcome of each command that was answered, by its id, as on the wire.
        differing: Ids that were answered in two ways.
        faults: As they were carried out; `absent` could not be, as nothing was there to hit.
    """

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[bytes, list[Any]] = {}
        self.differing: list[str] = []
        self.faults: list[Done] = []
        self.absent = 0

    def note(self, id: bytes, outcome: list[Any]) -> None:
        """A client was told this."""
        before = self.answers.setdefault(id, outcome)
        if before != outcome:
            self.differing.append(f"{id.hex()}: {before} and {outcome}")

    def good(self, sort: str, asked_s: float) -> None:
        """A question of this sort, asked then, has a good answer now."""
        for fault in self.faults:
            if 0 <= fault.over_s <= asked_s:
                fault.good_s.setdefault(sort, self.now_s)

    def hold(self, due_s: float) -> None:
        super().hold(due_s)
        self.good(HOLD, due_s)

    def sell(self, order: str, bot: int, tickets: tuple[Ticket, ...], due_s: float = 0.0) -> None:
        super().sell(order, bot, tickets, due_s)
        self.good(SALE, due_s)


class NotingLine(Line):
    """Writes down every outcome that a client is told, repeats too."""

    ledger: Ledger

    def _hear(self, frame: Frame) -> None:
        if frame[0] == "reply":
            self.ledger.note(frame[1], frame[2])
        super()._hear(frame)


class NotingCrowd(Crowd):
    """A rehearsal's crowd on such lines."""

    def line(self, token: str, *, watch: bool) -> Line:
        stage = self.stage
        line = NotingLine(
            stage.url, token, stage.performance, watch=watch, book=self.book, chance=self._chance
        )
        assert isinstance(self.book, Ledger)
        line.ledger = self.book
        return line
