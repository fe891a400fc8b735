"""A performance's whole state as bytes, and back.

Owns the snapshot format: one msgpack array, seats in the order of the plan (so
that how a `House` lays them out may change), everything that has no order of
its own sorted, so that equal states give equal bytes. What follows from other
values (counts, price tables, the expiry queue) is not kept but derived.
"""

from collections import Counter, deque
from itertools import islice
from typing import Final

import msgspec
from msgspec import Struct

from engine.commands import Event, Ticket, TicketState
from engine.limits import MAX_SNAPSHOT_ACCEPTED, MAX_SNAPSHOT_REFUSED
from engine.passages import NOT_KEPT, Passage
from engine.settings import Settings
from engine.state import HoldState, State, places_in
from engine.stock import Allocation

FORMAT: Final = 2
"""Raised with every change of shape; a snapshot of another format is refused, but for 1, which
knew of a ticket's use only when and at which gate it was first admitted."""
_READ: Final = (1, FORMAT)


class SnapshotError(ValueError):
    """These bytes are not a snapshot that this plan and this version can restore."""


class Snapshot(Struct, array_like=True):
    """What the bytes say, in the order in which they say it."""

    format: int
    settings: Settings
    codes: bytes
    home: bytes
    area_free: list[int]
    area_blocked: list[int]
    holds: list[HoldState]
    allocations: list[tuple[str, Allocation]]
    tickets: list[Ticket]
    ticket_sales: list[tuple[str, str]]
    ticket_states: list[tuple[int, TicketState]]
    ticket_versions: list[tuple[int, int]]
    first_uses: list[tuple[int, tuple[int, str]]]  # of format 1, empty since
    accepted: list[Event]
    refused: list[Event]
    ticket_uses: list[tuple[int, list[Passage]]] = []
    kept: list[tuple[str, list[tuple[int, int]]]] = []


def dump_state(state: State, accepted: deque[Event], refused: deque[Event]) -> bytes:
    """The state, and the newest of the facts whose ids are remembered, oldest first."""
    house = state.house
    return msgspec.msgpack.encode(
        (
            FORMAT,
            state.settings,
            house.by_seat(state.codes),
            house.by_seat(state.home),
            state.area_free,
            state.area_blocked,
            [state.holds[token] for token in sorted(state.holds)],
            sorted(state.allocations.items()),
            state.tickets,
            state.ticket_sales,
            sorted(state.ticket_states.items()),
            sorted(state.ticket_versions.items()),
            (),
            _newest(accepted, MAX_SNAPSHOT_ACCEPTED),
            _newest(refused, MAX_SNAPSHOT_REFUSED),
            sorted(state.ticket_uses.items()),
            [(device, sorted(scans.items())) for device, scans in sorted(state.kept.items())],
        )
    )


def _newest(facts: deque[Event], most: int) -> list[Event]:
    newest = list(islice(reversed(facts), most))
    newest.reverse()
    return newest


def load_snapshot(data: bytes) -> Snapshot:
    """Read a snapshot.

    Raises:
        SnapshotError: Not a snapshot, or of another format.
    """
    try:
        snapshot = msgspec.msgpack.decode(data, type=Snapshot)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SnapshotError(f"not a snapshot: {error}") from error
    if snapshot.format not in _READ:
        raise SnapshotError(f"snapshot format {snapshot.format}, this version reads {FORMAT}")
    return snapshot


def fill_state(state: State, snapshot: Snapshot) -> None:
    """Make a new state what the snapshot says.

    Raises:
        SnapshotError: It is of a plan of another size.
    """
    house = state.house
    sizes = len(snapshot.codes), len(snapshot.area_free)
    if sizes != (house.seat_count, house.area_count):
        raise SnapshotError(
            f"snapshot of {sizes[0]} seats and {sizes[1]} areas, "
            f"the plan has {house.seat_count} and {house.area_count}"
        )
    state.codes = house.laid_out(snapshot.codes)
    state.home = house.laid_out(snapshot.home)
    state.area_free = snapshot.area_free
    state.area_blocked = snapshot.area_blocked
    state.set_allocations(dict(snapshot.allocations))
    state.tickets = snapshot.tickets
    state.ticket_sales = snapshot.ticket_sales
    state.ticket_states = dict(snapshot.ticket_states)
    state.ticket_versions = dict(snapshot.ticket_versions)
    for number, (at_ms, gate) in snapshot.first_uses:
        state.remember_passages(number, [Passage(at_ms, "", NOT_KEPT, gate, True)])
    for number, passages in snapshot.ticket_uses:
        state.remember_passages(number, passages)
    for device, scans in snapshot.kept:
        for sequence, scanned_ms in scans:
            state.remember_kept(device, sequence, scanned_ms)
    for hold in snapshot.holds:
        # A position means something to the layout that wrote it only.
        hold.first = house.straight(hold.seats)
        state.open_hold(hold)
        if hold.paying is not None:
            state.count_buyer(hold.paying.buyer, places_in(hold.seats, hold.areas))
    for buyer, tickets in Counter([buyer for _, buyer in state.ticket_sales]).items():
        state.count_buyer(buyer, tickets)
    for number, ticket in state.ticket_states.items():
        if ticket is TicketState.REFUNDED:
            state.count_buyer(state.ticket_sales[number - 1][1], -1)
    state.recount_quotas()
