"""The record as it is read: from real tables, and from the lists of a server."""

import re
from collections import Counter
from typing import Any

import pytest

from bench.rehearsal import evidence
from bench.rehearsal.bots import Hall
from bench.rehearsal.crowd import Stage, admissions_of
from bench.rehearsal.history import Book
from bench.rehearsal.installation import CannotBegin
from bench.rehearsal.invariants import Evidence, LiveTicket
from bench.rehearsal.line import Http
from bench.rehearsal.scenario import Scenario, find, load
from bench.rehearsal.stage import Theatre
from persistence.url import connect
from renderers.secret import short_code

HERE, ELSEWHERE = 4, 5
RED = frozenset({1, 2})


@pytest.fixture(autouse=True)
def picture(monkeypatch: pytest.MonkeyPatch) -> None:
    async def red(*_: object) -> frozenset[int]:
        return RED

    monkeypatch.setattr(evidence, "_red", red)
    monkeypatch.setattr(evidence, "PAUSE_S", 0.001)
    monkeypatch.setattr(evidence, "QUIET_S", 0.2)


def stage() -> Stage:
    hall = Hall([], [], [], (0.0, 0.0))
    return Stage("", HERE, hall, 10, 0, (0,) * 10, (), {0: "adult"}, "", b"")


async def given(url: str) -> None:
    """One order of two seats here, one of them refunded, and an order elsewhere."""
    connection = await connect(url)
    try:
        await connection.execute(
            "INSERT INTO tickets (performance, number, order_id, seat, area, price_type, amount,"
            " state, version, sold_ms) VALUES"
            " (4, 1, 'a', 1, -1, 'adult', 500, 'valid', 0, 0),"
            " (4, 2, 'a', 3, -1, 'adult', 500, 'refunded', 0, 0),"
            " (5, 1, 'b', 1, -1, 'adult', 900, 'valid', 0, 0)"
        )
        await connection.execute(
            "INSERT INTO orders (id, number, revision, state, channel, currency, total,"
            " created_ms, expires_ms, buyer_name, buyer_email, buyer_words, operator, session,"
            " unfinished, body) OVERRIDING SYSTEM VALUE"
            " SELECT id, number, 1, 'paid', 'web', 'EUR', 1000, 0, 0, '', '', '{}', '', '',"
            " false, '{}' FROM (VALUES ('a', 1), ('b', 2)) AS made (id, number)"
        )
        await connection.execute(
            "INSERT INTO order_lines (order_number, number, performance, seat, area, price_type,"
            " amount, state, ticket, currency)"
            " VALUES (1, 1, 4, 1, -1, 'adult', 500, 'sold', 1, 'EUR'),"
            " (1, 2, 4, 3, -1, 'adult', 500, 'refunded', 2, 'EUR'),"
            " (2, 1, 5, 1, -1, 'adult', 900, 'sold', 1, 'EUR')"
        )
        await connection.execute(
            "INSERT INTO payments (order_number, id, method, state, amount, captured, refunded,"
            " currency, reference, intent) VALUES"
            " (1, 'p', 'test_card', 'paid', 1000, 1000, 500, 'EUR', '', ''),"
            " (2, 'q', 'test_card', 'paid', 900, 900, 0, 'EUR', '', '')"
        )
        await connection.execute(
            "INSERT INTO scans (performance, seq, at_ms, gate, device, mode, ticket, result,"
            " reason, sequence, scanned_ms, shown, undone_ms) VALUES"
            " (4, 1, 0, '', '', 'admit', 1, 'ADMITTED', '', -1, 0, '', 0),"
            " (4, 2, 0, '', '', 'look_up', 1, 'ADMITTED', '', -1, 0, '', 0),"
            " (4, 3, 0, '', '', 'admit', 1, 'ALREADY_USED', '', -1, 0, '', 0),"
            " (5, 1, 0, '', '', 'admit', 1, 'ADMITTED', '', -1, 0, '', 0)"
        )
    finally:
        await connection.close()


async def test_the_database_is_read_for_one_performance(database_url: str) -> None:
    await given(database_url)
    async with Http("", Book()) as http:
        found = await evidence.from_database(database_url, stage(), http, Book())
    assert found == Evidence(
        "database", (LiveTicket(1, "a", 1, -1, 500),), kept=500, admitted={1: 1}, red=RED
    )


async def test_an_order_between_money_and_tickets_is_waited_for_but_not_for_ever(
    database_url: str,
) -> None:
    await given(database_url)
    connection = await connect(database_url)
    await connection.execute("UPDATE orders SET state = 'paid' WHERE number = 1")
    await connection.close()
    async with Http("", Book()) as http:
        found = await evidence.from_database(database_url, stage(), http, Book())
    assert len(found.tickets) == 1


def line(performance: int, ticket: int, seat: int, amount: int, state: str) -> dict[str, Any]:
    return {
        "performance": performance,
        "ticket": ticket,
        "seat": seat,
        "area": -1,
        "amount": amount,
        "state": state,
    }


class Lists(Theatre):
    """A server's lists: an order here and elsewhere, one that is settled when asked again."""

    def __init__(self) -> None:
        self.asked = 0

    async def orders(self) -> list[dict[str, Any]]:
        self.asked += 1
        both = [line(HERE, 1, 1, 500, "sold"), line(ELSEWHERE, 1, 1, 900, "sold")]
        back = [line(HERE, 2, 3, 500, "refunded")]
        state = "selling" if self.asked == 1 else "paid"
        return [
            {"id": "a", "state": state, "paid": 1_400, "lines": both},
            {"id": "b", "state": "refunded", "paid": 0, "lines": back},
        ]

    async def scans(self, ticket: int) -> list[dict[str, Any]]:
        told = Counter({("admit", "ADMITTED"): 2, ("look_up", "ADMITTED"): 1})
        return [{"mode": mode, "result": result} for mode, result in told.elements()]


async def test_the_lists_are_read_for_one_performance_when_all_is_quiet() -> None:
    lists, book = Lists(), Book()
    book.admissions = [(1, 0.5)]
    async with Http("", book) as http:
        found = await evidence.from_http(lists, stage(), http, book)
    assert lists.asked == 2
    assert found == Evidence(
        "http", (LiveTicket(1, "a", 1, -1, 500),), kept=500, admitted={1: 2}, red=RED
    )


class Asked(Theatre):
    """A server that has one ticket of each number, and one scan of it."""

    def __init__(self) -> None:
        self.performance = HERE

    async def _do(self, method: str, path: str, body: Any = None) -> Any:
        [(here, ticket)] = re.findall(r"&q=(\d+)-(\d+)$", path)
        assert (method, int(here)) == ("GET", HERE)
        return {"scans": [{"ticket": int(ticket)}]}


async def test_the_scans_of_a_ticket_that_was_shown_are_those_that_are_asked_for() -> None:
    """What is shown is the number for people, which begins with the performance's."""
    shown = [
        {"number": short_code(bytes(32), HERE, ticket, 0), "secret": f"s{ticket}"}
        for ticket in (17, 2)
    ]
    hand = admissions_of({"tickets": shown})
    assert [(ticket.number, ticket.secret) for ticket in hand] == [(17, "s17"), (2, "s2")]
    assert await Asked().scans(hand[0].number) == [{"ticket": 17}]


async def test_a_server_that_is_gone_leaves_no_record(monkeypatch: pytest.MonkeyPatch) -> None:
    async def gone(*_: object) -> Evidence:
        raise CannotBegin("it does not answer")

    monkeypatch.setattr(evidence, "from_http", gone)
    async with Http("", Book()) as http:
        found = await evidence.read(Lists(), stage(), http, Book(), "")
    assert found == "CannotBegin: it does not answer"


# Rights ----------------------------------------------------------------------------------


def changed(name: str) -> Scenario:
    return load(find(name))


@pytest.mark.parametrize(
    ("roles", "name", "creates", "lacks"),
    [
        ({"admin"}, "spike", True, ""),
        ({"cashier"}, "herd", False, ""),
        ({"cashier"}, "herd", True, "--performance"),
        ({"door"}, "herd", False, "read the sales"),
        ({"cashier"}, "storm", False, "waiting room"),
        ({"cashier"}, "doors", False, "scan"),
        ({"refund", "door"}, "doors", False, "sell"),
        ({"cashier", "door"}, "doors", False, ""),
        ({"supervisor"}, "spike", False, ""),
    ],
)
def test_an_operator_without_the_right_is_told_which(
    roles: set[str], name: str, creates: bool, lacks: str
) -> None:
    theatre = Theatre("", Http("", Book()), Book())
    theatre._roles = frozenset(roles)
    if lacks:
        with pytest.raises(CannotBegin, match=lacks):
            theatre.check_rights(changed(name), creates=creates)
    else:
        theatre.check_rights(changed(name), creates=creates)
