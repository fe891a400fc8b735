"""From facts to rows: what the tables say follows from the journal alone."""

import msgspec
import pytest

from engine.commands import (
    Blocked,
    Channel,
    Configure,
    Configured,
    Event,
    Expire,
    Expired,
    Held,
    Hold,
    Kept,
    KeptScan,
    Refund,
    Refunded,
    Refusal,
    Refused,
    Reprice,
    Repriced,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
    SetTickets,
    Sold,
    Ticket,
    TicketsSet,
    TicketState,
    Undone,
    UndoScan,
)
from engine.projection import (
    KEEP_VERSION,
    NOTHING,
    Projection,
    ScanRow,
    TicketRow,
    UndoneRow,
    project,
)
from engine.settings import Settings

ID = bytes(16)
ORDER = "0" * 32
SETTINGS = Settings(currency="EUR", price_types=(), prices=())


def sold(*numbers: int, at_ms: int = 5, order: str = ORDER) -> Event:
    """Ticket n for seat n + 100."""
    tickets = tuple(Ticket(number, number + 100, -1, "full", 2_000) for number in numbers)
    return Event(at_ms, Sell(ID, ID, order), Sold(order, tickets))


def row(number: int, *, state: str = "valid", version: int = 0, at_ms: int = 5) -> TicketRow:
    return TicketRow(number, ORDER, number + 100, -1, "full", 2_000, state, version, at_ms)


def scan(gate: str, device: str, ticket: int, result: ScanOutcome) -> Event:
    command = Scan(ID, gate, device, 1, ticket, 0, ScanMode.ADMIT)
    return Event(9, command, Scanned(result, ticket))


def states(*numbers: int, state: TicketState, version: int) -> Event:
    outcome = TicketsSet(tuple((number, version) for number in numbers), state)
    return Event(7, SetTickets(ID, numbers, state, ""), outcome)


def refunded(*numbers: int) -> Event:
    return Event(8, Refund(ID, ORDER, numbers), Refunded(ORDER, numbers, 0))


def repriced(number: int, version: int, amount: int = 1_000) -> Event:
    ticket = Ticket(number, number + 100, -1, "half", amount, version)
    command = Reprice(ID, ORDER, Channel.WEB, ((number, "half"),), 5, (amount,))
    return Event(6, command, Repriced(ORDER, (ticket,)))


HELD = Event(1, Hold(ID, ID, "", Channel.WEB, (1,)), Held(ID, (1,), (), 9))


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([], NOTHING),
        ([HELD, Event(2, Expire(ID), Expired((ID,)))], NOTHING),
        ([Event(1, Sell(ID, ID, ORDER), Refused(Refusal.HOLD_UNKNOWN))], NOTHING),
        ([Event(1, Configure(ID, SETTINGS), Refused(Refusal.MALFORMED))], NOTHING),
        ([HELD, sold(1, 2)], Projection(tickets=(row(1), row(2)))),
        (
            [Event(5, Sell(ID, ID, ORDER, False), Sold(ORDER, (), TicketState.UNPAID))],
            NOTHING,
        ),
        ([refunded(4)], Projection(ticket_states=((4, "refunded", KEEP_VERSION),))),
        (
            [states(4, 5, state=TicketState.REVOKED, version=3)],
            Projection(ticket_states=((4, "revoked", 3), (5, "revoked", 3))),
        ),
        # Several changes of one ticket in one batch are one row, the last one.
        (
            [states(4, state=TicketState.REVOKED, version=3), refunded(4)],
            Projection(ticket_states=((4, "refunded", 3),)),
        ),
        (
            [sold(1, 2), states(1, state=TicketState.REVOKED, version=1), refunded(1)],
            Projection(tickets=(row(1, state="refunded", version=1), row(2))),
        ),
        (
            [repriced(4, 3), repriced(4, 4, amount=900)],
            Projection(
                ticket_states=((4, "valid", 4),),
                repriced=((4, "half", 900),),
            ),
        ),
        (
            [repriced(4, 3), refunded(4)],
            Projection(ticket_states=((4, "refunded", 3),), repriced=((4, "half", 1_000),)),
        ),
        (
            [sold(1), repriced(1, 1)],
            Projection(
                tickets=(
                    msgspec.structs.replace(row(1, version=1), price_type="half", amount=1_000),
                )
            ),
        ),
        # Sold, given back and sold again, all in one batch.
        (
            [sold(1), refunded(1), sold(2, at_ms=6)],
            Projection(tickets=(row(1, state="refunded"), row(2, at_ms=6))),
        ),
    ],
)
def test_rows_of_a_batch(events: list[Event], expected: Projection) -> None:
    assert project(1, events) == expected


def test_an_unpaid_sale_makes_unpaid_tickets() -> None:
    event = sold(1)
    assert isinstance(event.outcome, Sold)
    unpaid = msgspec.structs.replace(event.outcome, state=TicketState.UNPAID)
    assert project(1, [Event(event.at_ms, event.command, unpaid)]).tickets == (
        row(1, state="unpaid"),
    )


def test_every_scan_is_a_row_with_the_seq_of_its_event() -> None:
    events = [
        HELD,
        scan("north", "lane 1", 4, ScanOutcome.ADMITTED),
        scan("north", "lane 1", 4, ScanOutcome.ALREADY_USED),
        scan("north", "lane 1", 4_000_000_000, ScanOutcome.UNKNOWN),
        scan("no\0rth", "\0", 4, ScanOutcome.WRONG_PERFORMANCE),
    ]
    assert project(41, events).scans == (
        ScanRow(42, 9, "north", "lane 1", "admit", 4, "ADMITTED", scanned_ms=9),
        ScanRow(43, 9, "north", "lane 1", "admit", 4, "ALREADY_USED", scanned_ms=9),
        ScanRow(44, 9, "north", "lane 1", "admit", -1, "UNKNOWN", scanned_ms=9),
        ScanRow(45, 9, "north", "", "admit", -1, "WRONG_PERFORMANCE", scanned_ms=9),
    )


def test_the_last_settings_count() -> None:
    later = msgspec.structs.replace(SETTINGS, currency="CHF")
    settings = project(
        1,
        [
            Event(1, Configure(ID, SETTINGS), Configured()),
            Event(2, Configure(ID, later), Configured()),
        ],
    ).settings
    assert settings is not None
    assert msgspec.json.decode(settings, type=Settings) == later


def test_a_projection_survives_the_wire() -> None:
    projection = project(1, [sold(1), scan("", "", 1, ScanOutcome.ADMITTED), refunded(9)])
    data = msgspec.msgpack.encode(projection)
    assert msgspec.msgpack.decode(data, type=Projection) == projection
    blocked = Event(1, Expire(ID), Blocked((), ()))
    assert (
        msgspec.msgpack.decode(msgspec.msgpack.encode(project(1, [blocked])), type=Projection)
        == NOTHING
    )


def test_an_override_is_a_row_with_its_reason() -> None:
    command = Scan(ID, "north", "anna", 1, 4, 0, ScanMode.ADMIT, "lost th\0eir ticket")
    [row] = project(7, [Event(9, command, Scanned(ScanOutcome.ADMITTED, 4))]).scans
    assert row == ScanRow(
        7, 9, "north", "anna", "admit", 4, "ADMITTED", "lost their ticket", -1, 9, ""
    )


def test_a_kept_scan_is_a_row_with_what_was_shown_and_when() -> None:
    def event(ticket: int, kept: Kept) -> Event:
        shown = ScanOutcome.ADMITTED
        return Event(
            9, KeptScan(ID, "north", "lane\0", 1, ticket, 0, ScanMode.ADMIT, 12, 5, shown), kept
        )

    events = [
        event(4, Kept(ScanOutcome.ALREADY_USED, 4, True, True)),
        event(4_000_000_000, Kept(ScanOutcome.UNKNOWN, -1, False)),
    ]
    assert project(7, events).scans == (
        ScanRow(7, 9, "north", "lane", "admit", 4, "ALREADY_USED", "", 12, 5, "ADMITTED"),
        ScanRow(8, 9, "north", "lane", "admit", -1, "UNKNOWN", "", 12, 5, "ADMITTED"),
    )


def test_what_is_taken_back_names_the_scan_that_it_was() -> None:
    undone = Undone(4, ScanMode.ADMIT, False, "north", "lane", -1)
    projection = project(7, [Event(9, UndoScan(ID, 4, "north", "lane"), undone)])
    assert projection == Projection(undone=(UndoneRow(7, 9, 4, "lane", -1),))
    refused = Event(9, UndoScan(ID, 4, "", ""), Refused(Refusal.NOTHING_TO_UNDO))
    assert project(7, [refused]) == NOTHING
