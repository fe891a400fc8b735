"""What must hold whatever happens, judged from what bots were told and what is on record.

Pure. The record comes from the database of an own installation, or over HTTP from one
that runs (`bench.rehearsal.evidence`); what bots were told is in the book.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

from bench.rehearsal.history import Sale

MAX_EXAMPLES: Final = 5
INVARIANTS: Final = (
    "seats_sold_twice",
    "sales_lost",
    "money_without_tickets",
    "admitted_twice",
    "surprises",
)


class LiveTicket(Struct, frozen=True):
    """A ticket that is on record and was not given back. Seat or area is -1."""

    number: int
    order: str
    seat: int
    area: int
    amount: int


class Evidence(Struct, frozen=True):
    """The record of one performance when all is quiet.

    Attributes:
        source: "database" or "http".
        tickets: Those that are sold now.
        kept: Payments less refunds, in minor units.
        admitted: How often each ticket was let in.
        red: Seats that the seat feed shows as SOLD.
    """

    source: str
    tickets: tuple[LiveTicket, ...]
    kept: int
    admitted: Mapping[int, int]
    red: frozenset[int]


class Finding(Struct, frozen=True):
    """One thing that was judged. `value` None: nothing was measured, which is no success."""

    key: str
    value: float | None
    limit: float
    passed: bool
    examples: tuple[str, ...] = ()
    at_least: bool = False


def judge(
    sales: Sequence[Sale],
    admissions: Iterable[int],
    surprises: Mapping[str, int],
    evidence: Evidence,
) -> list[Finding]:
    """The invariants, in the order in which they matter. All are limits of 0."""
    return [
        _finding("seats_sold_twice", sold_twice(sales, evidence)),
        _finding("sales_lost", lost(sales, evidence)),
        _money(evidence),
        _finding("admitted_twice", admitted_twice(admissions, evidence)),
        _finding(
            "surprises", [name for name, many in sorted(surprises.items()) for _ in range(many)]
        ),
    ]


def unproven(why: str) -> list[Finding]:
    """Where there is no record nothing is shown to hold."""
    return [Finding(key, None, 0, False, (why,)) for key in INVARIANTS]


def sold_twice(sales: Sequence[Sale], evidence: Evidence) -> list[str]:
    """Seats with two live tickets, and seats that two buyers were told are theirs."""
    live = Counter(ticket.seat for ticket in evidence.tickets if ticket.seat >= 0)
    told: dict[int, set[str]] = {}
    for sale in sales:
        for ticket in sale.tickets:
            if ticket.seat >= 0:
                told.setdefault(ticket.seat, set()).add(sale.order)
    twice = {seat for seat, many in live.items() if many > 1}
    twice |= {seat for seat, orders in told.items() if len(orders) > 1}
    return [f"seat {seat}" for seat in sorted(twice)]


def lost(sales: Sequence[Sale], evidence: Evidence) -> list[str]:
    """Acknowledged sales whose tickets are not on record as they were told, or not red."""
    known = {(one.number, one.order, one.seat, one.area, one.amount) for one in evidence.tickets}
    found = []
    for sale in sales:
        gone = [
            ticket.number
            for ticket in sale.tickets
            if (ticket.number, sale.order, ticket.seat, ticket.area, ticket.amount) not in known
            or (ticket.seat >= 0 and ticket.seat not in evidence.red)
        ]
        if gone or not sale.tickets:
            found.append(f"order {sale.order}: tickets {gone}")
    return found


def admitted_twice(admissions: Iterable[int], evidence: Evidence) -> list[str]:
    """Tickets that let two in, by the answers at the doors or by the record of scans."""
    told = Counter(admissions)
    twice = {ticket for ticket, many in told.items() if many > 1}
    twice |= {ticket for ticket, many in evidence.admitted.items() if many > 1}
    return [f"ticket {ticket}" for ticket in sorted(twice)]


def _money(evidence: Evidence) -> Finding:
    owed = sum(ticket.amount for ticket in evidence.tickets)
    difference = evidence.kept - owed
    examples = (f"{evidence.kept} kept, {owed} sold",)
    return Finding("money_without_tickets", difference, 0, difference == 0, examples)


def _finding(key: str, found: Sequence[str]) -> Finding:
    return Finding(key, len(found), 0, not found, tuple(found[:MAX_EXAMPLES]))
