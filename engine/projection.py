"""What the journal's events mean to the tables that people query.

Owns the row shapes of tickets and scans, and the reading of events into such
rows. Pure: it knows no database. The rows of a batch are written in the same
transaction as the batch itself, so the tables never disagree with the journal.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from engine.commands import (
    Command,
    Configure,
    Configured,
    Event,
    Kept,
    KeptScan,
    Refunded,
    Repriced,
    Scan,
    Scanned,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
    Undone,
)
from engine.kept import NOT_OURS
from engine.passages import NOT_KEPT

KEEP_VERSION = -1
"""In `Projection.ticket_states`: the ticket's version stays as it is."""


class TicketRow(Struct, array_like=True, frozen=True, gc=False):
    """A ticket as sold. `seat` is -1 for a place in `area`, `area` is -1 for a seat."""

    number: int
    order: str
    seat: int
    area: int
    price_type: str
    amount: int  # minor units
    state: str  # a TicketState value
    version: int
    sold_ms: int


class ScanRow(Struct, array_like=True, frozen=True, gc=False):
    """One presentation at a gate, refused ones too; `ticket` is -1 for none of this performance.

    A `reason` made it an override. A kept scan has the `sequence` that its device gave it, when
    that was by the device's clock, and what was `shown` there; `result` came afterwards.
    """

    seq: int  # of the event
    at_ms: int
    gate: str
    device: str
    mode: str  # a ScanMode value
    ticket: int
    result: str  # a ScanOutcome value
    reason: str = ""
    sequence: int = NOT_KEPT
    scanned_ms: int = 0  # `at_ms` where nothing was kept
    shown: str = ""  # a ScanOutcome value, "" where nothing was kept


class UndoneRow(Struct, array_like=True, frozen=True, gc=False):
    """The last scan before `seq` that let this ticket pass at this device did not happen."""

    seq: int  # of the undoing
    at_ms: int
    ticket: int
    device: str
    sequence: int


class Projection(Struct, array_like=True, frozen=True):
    """What one batch of events changes in the query tables.

    `ticket_states` holds (number, TicketState value, version or KEEP_VERSION), at
    most one entry a ticket, and never a ticket that is in `tickets`. `settings` is
    the JSON of the new settings, or None when they did not change. `repriced` holds (number,
    price type, minor units), at most one entry a ticket, and never one that is in `tickets`.
    """

    tickets: tuple[TicketRow, ...] = ()
    ticket_states: tuple[tuple[int, str, int], ...] = ()
    scans: tuple[ScanRow, ...] = ()
    settings: bytes | None = None
    undone: tuple[UndoneRow, ...] = ()
    repriced: tuple[tuple[int, str, int], ...] = ()


NOTHING = Projection()
"""The projection of a batch that only moves holds and blocks."""


_MATTER = frozenset({Sold, Refunded, TicketsSet, Repriced, Scanned, Undone, Kept, Configured})


def project(first_seq: int, events: Sequence[Event]) -> Projection:
    """The rows that events add or change, the first being `first_seq`."""
    tickets: dict[int, TicketRow] = {}
    states: dict[int, tuple[int, str, int]] = {}
    repriced: dict[int, tuple[int, str, int]] = {}
    scans: list[ScanRow] = []
    undone: list[UndoneRow] = []
    settings: bytes | None = None
    for seq, event in enumerate(events, first_seq):
        outcome = event.outcome
        if type(outcome) not in _MATTER:
            continue
        at_ms, command = event.at_ms, event.command
        if isinstance(outcome, Sold):
            for row in _rows(at_ms, outcome):
                tickets[row.number] = row
        elif isinstance(outcome, Refunded):
            for number in outcome.tickets:
                _set(tickets, states, number, TicketState.REFUNDED, KEEP_VERSION)
        elif isinstance(outcome, TicketsSet):
            for number, version in outcome.tickets:
                _set(tickets, states, number, outcome.state, version)
        elif isinstance(outcome, Repriced):
            for ticket in outcome.tickets:
                _set(tickets, states, ticket.number, TicketState.VALID, ticket.version)
                _reprice(tickets, repriced, ticket)
        elif isinstance(outcome, Scanned):
            scans.append(_scan(seq, at_ms, command, outcome))
        elif isinstance(outcome, Kept):
            scans.append(_kept(seq, at_ms, command, outcome))
        elif isinstance(outcome, Undone):
            device = _plain(outcome.device)
            undone.append(UndoneRow(seq, at_ms, outcome.ticket, device, outcome.sequence))
        elif isinstance(command, Configure):
            settings = msgspec.json.encode(command.settings)
    if not (tickets or states or scans or settings or undone):
        return NOTHING
    return Projection(
        tuple(tickets.values()),
        tuple(states.values()),
        tuple(scans),
        settings,
        tuple(undone),
        tuple(repriced.values()),
    )


def _rows(at_ms: int, sold: Sold) -> list[TicketRow]:
    return [
        TicketRow(
            number=ticket.number,
            order=sold.order,
            seat=ticket.seat,
            area=ticket.area,
            price_type=_plain(ticket.price_type),
            amount=ticket.amount,
            state=sold.state.value,
            version=ticket.version,
            sold_ms=at_ms,
        )
        for ticket in sold.tickets
    ]


def _set(
    tickets: dict[int, TicketRow],
    states: dict[int, tuple[int, str, int]],
    number: int,
    state: TicketState,
    version: int,
) -> None:
    """Note a ticket's new state; a ticket sold in this same batch changes in its own row."""
    row = tickets.get(number)
    if row is not None:
        new_version = row.version if version == KEEP_VERSION else version
        tickets[number] = msgspec.structs.replace(row, state=state.value, version=new_version)
        return
    if version == KEEP_VERSION and number in states:
        version = states[number][2]
    states[number] = (number, state.value, version)


def _reprice(
    tickets: dict[int, TicketRow], repriced: dict[int, tuple[int, str, int]], ticket: Ticket
) -> None:
    """Note a ticket's new price, as `_set` its state."""
    number, price_type, amount = ticket.number, _plain(ticket.price_type), ticket.amount
    row = tickets.get(number)
    if row is not None:
        tickets[number] = msgspec.structs.replace(row, price_type=price_type, amount=amount)
    else:
        repriced[number] = (number, price_type, amount)


def _plain(text: str) -> str:
    """Without NUL, which Postgres cannot keep in a text: a batch must not fail on it."""
    return text.replace("\0", "")


def _scan(seq: int, at_ms: int, command: Command, scanned: Scanned) -> ScanRow:
    assert isinstance(command, Scan), "only a scan is answered by Scanned"
    return ScanRow(
        seq=seq,
        at_ms=at_ms,
        gate=_plain(command.gate),
        device=_plain(command.device),
        mode=command.mode.value,
        # The number that these name is another performance's ticket, or nobody's.
        ticket=-1 if scanned.result in NOT_OURS else scanned.ticket,
        result=scanned.result.value,
        reason=_plain(command.reason),
        scanned_ms=at_ms,
    )


def _kept(seq: int, at_ms: int, command: Command, kept: Kept) -> ScanRow:
    assert isinstance(command, KeptScan), "only a kept scan is answered by Kept"
    return ScanRow(
        seq=seq,
        at_ms=at_ms,
        gate=_plain(command.gate),
        device=_plain(command.device),
        mode=command.mode.value,
        ticket=kept.ticket,
        result=kept.result.value,
        sequence=command.sequence,
        scanned_ms=command.scanned_ms,
        shown=command.shown.value,
    )
