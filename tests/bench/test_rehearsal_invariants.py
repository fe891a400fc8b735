"""Each invariant is fed a history that breaks it, and says so; the good history passes."""

import pytest
from msgspec.structs import replace

from bench.rehearsal.history import Sale, Ticket
from bench.rehearsal.invariants import INVARIANTS, Evidence, LiveTicket, judge, unproven

SALES = (
    Sale("a", 1, (Ticket(1, 10, -1, 2_000), Ticket(2, 11, -1, 2_000)), 1.0),
    Sale("b", 2, (Ticket(3, 12, -1, 3_000), Ticket(4, -1, 0, 1_000)), 2.0),
)
RECORD = Evidence(
    source="database",
    tickets=(
        LiveTicket(1, "a", 10, -1, 2_000),
        LiveTicket(2, "a", 11, -1, 2_000),
        LiveTicket(3, "b", 12, -1, 3_000),
        LiveTicket(4, "b", -1, 0, 1_000),
    ),
    kept=8_000,
    admitted={1: 1, 3: 1},
    red=frozenset({10, 11, 12}),
)


def failed(
    sales: tuple[Sale, ...] = SALES,
    admissions: tuple[int, ...] = (1, 3),
    surprises: dict[str, int] | None = None,
    record: Evidence = RECORD,
) -> dict[str, float | None]:
    findings = judge(sales, admissions, surprises or {}, record)
    assert [finding.key for finding in findings] == list(INVARIANTS)
    assert all(finding.passed == (finding.value == 0) for finding in findings)
    return {finding.key: finding.value for finding in findings if not finding.passed}


def test_a_good_history_passes() -> None:
    assert failed() == {}


def test_a_seat_with_two_live_tickets_is_sold_twice() -> None:
    record = replace(RECORD, tickets=(*RECORD.tickets, LiveTicket(9, "c", 10, -1, 500)), kept=8_500)
    assert failed(record=record) == {"seats_sold_twice": 1}


def test_a_seat_that_two_buyers_were_told_is_theirs_is_sold_twice() -> None:
    twice = (*SALES, Sale("c", 3, (Ticket(9, 12, -1, 3_000),), 3.0))
    assert failed(sales=twice) == {"seats_sold_twice": 1, "sales_lost": 1}


@pytest.mark.parametrize(
    "changed",
    [
        LiveTicket(3, "b", 13, -1, 3_000),  # another seat
        LiveTicket(3, "x", 12, -1, 3_000),  # another order's
        LiveTicket(7, "b", 12, -1, 3_000),  # another number
    ],
)
def test_a_sale_whose_ticket_is_on_record_otherwise_is_lost(changed: LiveTicket) -> None:
    tickets = (*RECORD.tickets[:2], changed, RECORD.tickets[3])
    assert failed(record=replace(RECORD, tickets=tickets)) == {"sales_lost": 1}


def test_a_sale_that_is_not_on_record_is_lost() -> None:
    record = replace(RECORD, tickets=RECORD.tickets[:2], kept=4_000)
    assert failed(record=record) == {"sales_lost": 1}


def test_a_sale_whose_seat_is_not_red_is_lost() -> None:
    assert failed(record=replace(RECORD, red=frozenset({10, 12}))) == {"sales_lost": 1}


def test_a_sale_that_was_acknowledged_without_a_ticket_is_lost() -> None:
    assert failed(sales=(*SALES, Sale("c", 3, (), 3.0))) == {"sales_lost": 1}


@pytest.mark.parametrize(("kept", "difference"), [(8_001, 1), (6_000, -2_000)])
def test_money_without_tickets_and_tickets_without_money(kept: int, difference: int) -> None:
    assert failed(record=replace(RECORD, kept=kept)) == {"money_without_tickets": difference}


def test_a_ticket_that_let_two_in_by_the_answers_at_the_doors() -> None:
    assert failed(admissions=(1, 3, 1)) == {"admitted_twice": 1}


def test_a_ticket_that_let_two_in_by_the_record_of_scans() -> None:
    assert failed(record=replace(RECORD, admitted={1: 2, 3: 3})) == {"admitted_twice": 2}


def test_what_a_bot_saw_that_must_not_happen() -> None:
    assert failed(surprises={"basket_changed": 2}) == {"surprises": 2}


def test_a_finding_names_some_of_what_it_found() -> None:
    many = tuple(LiveTicket(100 + n, "c", 10, -1, 0) for n in range(3))
    found = judge(SALES, (), {}, replace(RECORD, tickets=(*RECORD.tickets, *many)))
    assert found[0].examples == ("seat 10",)


def test_without_a_record_nothing_is_shown_to_hold() -> None:
    findings = unproven("gone")
    assert [finding.key for finding in findings] == list(INVARIANTS)
    assert {(one.value, one.passed, one.examples) for one in findings} == {(None, False, ("gone",))}
