"""The books over HTTP: who may read them, page by page, and a period as a file."""

from typing import Any

import msgspec
import pytest

from engine.ledger import Fact, FactKind, Record
from engine.ledger_check import Fault, Place
from engine.ledger_export import check_export
from engine.ledger_periods import read_period
from gateway import http_ledger
from gateway.session import OPERATOR_ROLES
from tests.actors.houses import settings, small_plan
from tests.gateway.conftest import Running
from tests.persistence.test_ledger import signed

READING = ("/api/ledger/records", "/api/ledger/periods", "/api/ledger/periods/1/export",
           "/api/ledger/journals", "/api/ledger/journals/1")  # fmt: skip


@pytest.fixture
async def books(gateway: Running) -> Running:
    """Two closed days of three records each, and one record of today."""
    ledger = gateway.fake.ledger
    for _ in range(2):
        for amount in (1_000, 2_000, 3_000):
            ledger.add(Fact(FactKind.SALE, amount, "CHF", order=1_001, line=1, performance=1))
        await ledger.close(1, early=True)
    ledger.add(Fact(FactKind.REFUND, -1_000, "CHF", order=1_001, line=1, performance=1))
    return gateway


async def test_nobody_else_reads_the_books(books: Running) -> None:
    for role in OPERATOR_ROLES:
        token = await books.fake.operator_token(f"a {role}", role)
        may = role in ("admin", "report")
        for path in READING:
            headers = {"Authorization": f"Bearer {token}"}
            async with books.http.get(path, headers=headers) as response:
                assert response.status == (200 if may else 403), (role, path)
        expect = 200 if role == "admin" else 403
        await books.json("POST", "/api/ledger/close", {}, token, expect)
    device = await books.fake.device_token("door")
    for path in READING:
        await books.json("GET", path, expect=401)
        await books.json("GET", path, token=books.buyer_token(), expect=403)
        await books.json("GET", path, token=device, expect=403)
    await books.json("POST", "/api/ledger/close", {}, expect=401)


async def test_records_come_page_by_page_with_where_they_end(books: Running) -> None:
    token = await books.fake.operator_token("Rita", "report")
    after, told = 0, []
    while (
        page := await books.json("GET", f"/api/ledger/records?after={after}&limit=3", token=token)
    )["records"]:
        told += page["records"]
        after = told[-1][1]
    assert msgspec.convert(told, list[Record]) == books.fake.ledger.all
    assert page["head"]["number"] == 7 and page["head"]["hash"] == told[-1][-1]
    await books.json("GET", "/api/ledger/records?after=x", token=token, expect=422)
    await books.json("GET", "/api/ledger/records?limit=5001", token=token, expect=422)


async def test_there_are_books_before_anything_is_sold(gateway: Running) -> None:
    token = await gateway.fake.operator_token("Rita", "report")
    assert await gateway.json("GET", "/api/ledger/records", token=token) == {
        "head": None,
        "records": [],
    }
    assert (await gateway.json("GET", "/api/ledger/periods", token=token))["periods"] == []


async def test_closing_is_noted(books: Running) -> None:
    token = await books.fake.operator_token("Ada", "admin")
    assert await books.json("POST", "/api/ledger/close", {}, token) == {"periods": []}
    closed = await books.json("POST", "/api/ledger/close", {"early": True}, token)
    [period] = closed["periods"]
    assert read_period(period["body"]).label == "2026-11-22"
    await books.edge.auditor.stop(5.0)
    acts = [entry.act for entry in await books.fake.access.list_audit()]
    assert acts.count("close_ledger") == 1


async def exported(books: Running, period: int) -> bytes:
    token = await books.fake.operator_token(f"Rita {period}", "report")
    path = f"/api/ledger/periods/{period}/export"
    async with books.http.get(path, headers={"Authorization": f"Bearer {token}"}) as response:
        assert response.status == 200 and response.content_type == "application/x-ndjson"
        return await response.read()


async def test_an_export_is_checked_without_the_server(
    books: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_ledger, "MAX_LEDGER_RECORDS", 2)
    file = await exported(books, 2)
    result = check_export(iter(file.splitlines(keepends=True)), signed)
    assert result.findings.kept == [] and result.period is not None
    assert (result.period.first, result.period.last) == (4, 6)
    assert result.opening.house == "Théâtre du Test"
    token = await books.fake.operator_token("Ada", "admin")
    problem = await books.json("GET", "/api/ledger/periods/9/export", token=token, expect=404)
    assert problem["code"] == "period_unknown"


async def test_whatever_is_done_to_an_export_is_found(books: Running) -> None:
    lines = (await exported(books, 2)).splitlines(keepends=True)

    def found(*changed: bytes, key: str = "") -> list[tuple[Any, ...]]:
        result = check_export(iter(changed), signed, key)
        return [(one.place, one.number, one.fault) for one in result.findings.kept]

    opening, *records = lines
    assert found(*lines) == []
    assert found(opening, *records[:2]) == [(Place.RECORD, 6, Fault.MISSING)]
    assert found(opening, records[0], records[2]) == [(Place.RECORD, 5, Fault.MISSING)]
    assert found(opening) == [(Place.RECORD, 4, Fault.MISSING)]
    more = records[1].replace(b"2000", b"2001")
    assert found(opening, records[0], more, records[2]) == [(Place.RECORD, 5, Fault.CHANGED)]
    assert found(*lines, records[2]) == [(Place.RECORD, 6, Fault.INSERTED)]
    other = opening.replace(b'\\"amount', b'\\"amount').replace(b"6000", b"6001", 1)
    assert found(other, *records)[0] == (Place.PERIOD, 2, Fault.CHANGED)
    assert found(*lines, key="ab" * 32) == [(Place.PERIOD, 2, Fault.SIGNATURE)]


async def test_a_journals_chain_is_told(books: Running) -> None:
    token = await books.fake.operator_token("Rita", "report")
    path = "/api/ledger/journals/1?at=1&at=2"
    told = await books.json("GET", path, token=token)
    assert told["performance"] == 1 and told["faults"] == []
    books.fake.add_performance(small_plan(), settings())
    await books.json("GET", "/api/ledger/journals/1?at=x", token=token, expect=422)
    await books.json("GET", "/api/ledger/journals/77", token=token, expect=404)
