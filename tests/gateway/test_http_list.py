"""The list of places over HTTP: filters and their refusals, pages, totals, and both files."""

import asyncio
import csv
import io
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import aiohttp
import msgspec
import openpyxl
import pytest

from engine.commands import Channel
from engine.listing import Listed, ListedStatus, ListFilter, ListTotals
from gateway import http_list
from gateway.limits import EXPORT_PAGE_ROWS, MAX_EXPORTS
from gateway.list_query import FILTERS
from renderers.i18n import translator
from renderers.ticket_sheet import COLUMNS
from tests.actors.houses import settings, small_plan
from tests.fakes.listing import meets
from tests.gateway.client import until
from tests.gateway.conftest import Running, Start
from tests.gateway.test_http_doors import acts, device, scanned, staff
from tests.gateway.test_http_orders import order_for, paid_order

PARIS = ZoneInfo("Europe/Paris")
SUMMER_MS = int(datetime(2026, 7, 1, 20, 30, 5, tzinfo=PARIS).timestamp() * 1_000)


@pytest.fixture
async def gateway(start: Start) -> Running:
    """Order 1001: seats 5 and 6, of which one was let in; 1002: seat 21, not paid."""
    running = await start()
    running.fake.add_performance(small_plan(), settings())
    await paid_order(running, 5, 6)
    body, token = await order_for(running, 21, buyer={"name": "=Grace Hopper"})
    await running.json("POST", "/api/orders", body, token, expect=201)
    assert await scanned(await device(running, gate=""), running, 1) == "ADMITTED"
    return running


async def reporter(gateway: Running) -> str:
    return (await staff(gateway, "report"))[1]


async def lines(gateway: Running, token: str, query: str = "") -> list[tuple[int, int]]:
    page = await gateway.json("GET", f"/api/ticket-list?{query}", token=token)
    return [(one["order"], one["line"]) for one in page["places"]]


async def test_a_place_says_whose_it_is_and_what_became_of_it(gateway: Running) -> None:
    token = await reporter(gateway)
    page = await gateway.json("GET", "/api/ticket-list", token=token)
    hopper, first, second = page["places"]
    assert (hopper["order"], hopper["status"], hopper["ticket"]) == (1002, "pending", 0)
    assert (first["order"], first["line"], first["ticket"]) == (1001, 1, 1)
    assert (first["label"], first["category"]) == ("Stalls, A, 6", "Stalls")
    assert (first["status"], first["amount"], first["currency"]) == ("valid", 2_000, "EUR")
    assert first["buyer_name"] == "Ada Lovelace" and first["channel"] == "web"
    assert first["inside"] and first["scanned_ms"] >= first["ordered_ms"] > 0
    assert (second["scanned_ms"], second["inside"]) == (0, False)
    assert page["next"] == ""
    (performance,) = page["performances"]
    assert (performance["id"], performance["title"]["en"]) == (1, "The Test")
    # An order's id opens its page.
    assert "id" not in first


async def test_pages_follow_each_other_to_the_end(gateway: Running) -> None:
    token = await reporter(gateway)
    found, query = [], "limit=1"
    while True:
        page = await gateway.json("GET", f"/api/ticket-list?{query}", token=token)
        found += [(one["order"], one["line"]) for one in page["places"]]
        if not page["next"]:
            break
        query = f"limit=1&next={page['next']}"
    assert found == [(1002, 1), (1001, 1), (1001, 2)]


async def test_totals_are_of_everything_that_meets_the_filter(gateway: Running) -> None:
    token = await reporter(gateway)
    told = await gateway.json("GET", "/api/ticket-list/totals", token=token)
    assert told == {
        "places": 3,
        "sold": 2,
        "paid": 2,
        "refunded": 0,
        "cancelled": 0,
        "scanned": 1,
        "inside": 1,
        "money": [{"currency": "EUR", "sold": 4_000, "paid": 4_000, "refunded": 0, "cancelled": 0}],
    }
    told = await gateway.json("GET", "/api/ticket-list/totals?used=no&status=valid", token=token)
    assert (told["places"], told["scanned"]) == (1, 0)


ADA = [(1001, 1), (1001, 2)]
HOPPER = [(1002, 1)]
FOUND = {
    "performance=1": HOPPER + ADA,
    "production=1": HOPPER + ADA,
    "production=1&performance=1": HOPPER + ADA,
    "ordered_from=2020-01-01": HOPPER + ADA,
    "ordered_until=2020-01-01": [],
    "ordered_from=2020-01-01T10:00&ordered_until=2199-12-31 23:59": HOPPER + ADA,
    "scanned_from=2020-01-01": ADA[:1],
    "scanned_until=2020-01-01": [],
    "channel=web": HOPPER + ADA,
    "channel=phone&channel=box_office": [],
    "kind=seat": HOPPER + ADA,
    "kind=area": [],
    "status=pending": HOPPER,
    "status=valid&status=pending": HOPPER + ADA,
    "used=yes": ADA[:1],
    "used=no": HOPPER + ADA[1:],
    "price_type=adult": HOPPER + ADA,
    "price_type=child": [],
    "price_from=20&price_to=20,00": HOPPER + ADA,
    "price_from=20.01": [],
    "category=stalls&performance=1": HOPPER + ADA,
    "operator=Ada": [],
    "q=lovelace": ADA,
    "q=1002": HOPPER,
    "q=1-2": ADA[1:],
    "q=2&performance=1": ADA[1:],
    "q=B 2&performance=1": HOPPER,
    "q=B 2": [],
    "q=": HOPPER + ADA,
    "used=no&status=valid&q=ada&channel=web": ADA[1:],
}


async def test_every_filter_alone_and_some_together(gateway: Running) -> None:
    token = await reporter(gateway)
    found = {query: await lines(gateway, token, query) for query in FOUND}
    assert found == FOUND
    assert {name for query in FOUND for name in FILTERS if f"{name}=" in query} == set(FILTERS)


WRONG = {
    "performance=x": "performance",
    "performance=9": "performance",
    "performance=99999999999": "performance",
    "production=9": "production",
    "production=1&performance=9": "performance",
    "ordered_from=yesterday": "ordered_from",
    "ordered_from=2026-02-30": "ordered_from",
    "ordered_until=2026-10-31T25:00": "ordered_until",
    "ordered_from=2026-10-31&ordered_until=2026-10-30": "ordered_until",
    "scanned_from=٢٠٢٦-10-31": "scanned_from",
    "scanned_until=9999-12-31": "scanned_until",
    "channel=fax": "channel",
    "kind=balcony": "kind",
    "kind=seat&kind=area": "kind",
    "status=sold": "status",
    "used=1": "used",
    "price_from=-1": "price_from",
    "price_to=cheap": "price_to",
    "price_from=10&price_to=9.99": "price_to",
    "category=Stalls": "category",
    "category=Circle&performance=1": "category",
    "operator=" + "x" * 1_000: "operator",
    "price_type=" + "&price_type=".join(map(str, range(51))): "price_type",
    "q=a&q=b": "q",
    "stauts=valid": "stauts",
    "next=1001": "next",
    "limit=0": "limit",
}


@pytest.mark.parametrize("query", WRONG)
async def test_a_wrong_value_is_refused_by_the_name_of_its_filter(
    gateway: Running, query: str
) -> None:
    token = await reporter(gateway)
    told = await gateway.json("GET", f"/api/ticket-list?{query}", token=token, expect=422)
    assert (told["code"], told["field"]) == ("invalid", WRONG[query])
    assert WRONG[query] in told["detail"]


async def test_a_category_that_is_not_there_is_told_with_those_that_are(gateway: Running) -> None:
    token = await reporter(gateway)
    query = "performance=1&category=Circle"
    told = await gateway.json("GET", f"/api/ticket-list?{query}", token=token, expect=422)
    assert "Stalls" in told["detail"]


async def test_a_date_is_the_houses_and_whole(gateway: Running) -> None:
    """An order of 1 July 2026, 00:30 in Paris, is one of 30 June to London and to UTC."""
    at = datetime(2026, 7, 1, 0, 30, tzinfo=PARIS)
    orders = gateway.fake.desk.orders.by_id
    for key, order in orders.items():
        orders[key] = msgspec.structs.replace(order, created_ms=int(at.timestamp() * 1_000))
    token = await reporter(gateway)
    for query, count in {
        "ordered_from=2026-07-01&ordered_until=2026-07-01": 3,
        "ordered_until=2026-06-30": 0,
        "ordered_until=2026-07-01T00:30": 0,
        "ordered_until=2026-07-01T00:31": 3,
        "ordered_from=2026-07-01T00:31": 0,
    }.items():
        assert len(await lines(gateway, token, query)) == count, query


# Files ------------------------------------------------------------------------------------


async def exported(gateway: Running, token: str, query: str) -> tuple[str, bytes]:
    headers = {"Authorization": f"Bearer {token}"}
    async with gateway.http.get(f"/api/ticket-list/export?{query}", headers=headers) as response:
        assert response.status == 200, await response.text()
        assert "attachment" in response.headers["Content-Disposition"]
        return response.headers["Content-Type"], await response.read()


def csv_rows(body: bytes, delimiter: str) -> list[list[str]]:
    assert body.startswith(b"\xef\xbb\xbf")
    text = body.decode("utf-8-sig")
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))


def xlsx_rows(body: bytes) -> list[tuple[Any, ...]]:
    book = openpyxl.load_workbook(io.BytesIO(body))
    return [tuple(cell.value for cell in row) for row in book.worksheets[0].iter_rows()]


def many(count: int) -> list[Listed]:
    """A list over two plans' worth of pages, with everything that a cell may have to say."""
    statuses = list(ListedStatus)
    return [
        Listed(
            order_number=count - at,
            line=1,
            performance=1,
            ticket=at + 1 if at % 3 else -1,
            seat=at % 160,
            area=-1,
            price_type="child" if at % 2 else "adult",
            amount=(at * 7) % 5_000,
            currency=("EUR", "JPY", "KWD")[at % 3],
            status=statuses[at % len(statuses)],
            channel=list(Channel)[at % 4],
            operator="Ada" if at % 4 else "",
            buyer_name=("=1+1", "Zoë", 'Ann "Nan" Lee;,', "a\r\nb")[at % 4],
            buyer_email=f"a{at}@example.org" if at % 5 else "",
            ordered_ms=SUMMER_MS + at * 3_600_000,
            scanned_ms=SUMMER_MS if at % 7 == 0 else 0,
            inside=False,
        )
        for at in range(count)
    ]


def holding(gateway: Running, monkeypatch: pytest.MonkeyPatch, rows: Sequence[Listed]) -> None:
    async def totals(wanted: ListFilter) -> ListTotals:
        return ListTotals(sum(meets(row, wanted) for row in rows))

    monkeypatch.setattr(gateway.fake.ticket_list, "_rows", lambda: rows)
    monkeypatch.setattr(gateway.fake.ticket_list, "totals", totals)


PAGES = EXPORT_PAGE_ROWS * 2 + 345


async def test_the_csv_is_the_list(gateway: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = many(PAGES)
    holding(gateway, monkeypatch, rows)
    token = await reporter(gateway)
    kind, body = await exported(gateway, token, "lang=fr")
    assert kind == "text/csv; charset=utf-8"
    head, *found = csv_rows(body, ";")
    t = translator("fr")
    assert head == [t(f"list.column.{column}") for column in COLUMNS]
    assert [row[0] for row in found] == [str(row.order_number) for row in rows]
    first, second, third = (dict(zip(COLUMNS, row, strict=True)) for row in found[:3])
    assert first["ordered"] == "2026-07-01 20:30:05" == first["scanned"]
    assert (first["section"], first["row"], first["seat"]) == ("Stalls", "A", "1")
    assert (first["price_type"], first["category"]) == ("Adulte", "Stalls")
    assert first["production"] == "The Test (fr)" and first["begins"]
    assert (first["buyer"], first["ticket"]) == ("'=1+1", "")
    assert (second["buyer"], second["ticket"]) == ("Zoë", "1-2")
    assert (first["price"], first["currency"]) == ("0,00", "EUR")
    assert (second["price"], second["currency"]) == ("7", "JPY")
    assert (third["price"], third["currency"]) == ("0,014", "KWD")
    assert third["buyer"] == 'Ann "Nan" Lee;,'
    assert {row[2] for row in found} == {t(f"list.status.{status}") for status in ListedStatus}
    # Whoever counts rows of a file on its way counts these.
    assert body.count(b"\r\n") == PAGES + 1
    kind, body = await exported(gateway, token, "lang=en&format=csv")
    assert csv_rows(body, ",")[3][11] == "0.014"


async def test_the_xlsx_is_the_list_with_numbers_and_times(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = many(PAGES)
    holding(gateway, monkeypatch, rows)
    _, body = await exported(gateway, await reporter(gateway), "format=xlsx&lang=en")
    head, *found = xlsx_rows(body)
    t = translator("en")
    assert head == tuple(t(f"list.column.{column}") for column in COLUMNS)
    told = [dict(zip(COLUMNS, row, strict=True)) for row in found]
    assert [row["order"] for row in told] == [row.order_number for row in rows]
    for row, shown in zip(rows, told, strict=True):
        local = datetime.fromtimestamp(row.ordered_ms / 1_000, PARIS).replace(tzinfo=None)
        assert shown["ordered"] == local
        digits = {"EUR": 2, "JPY": 0, "KWD": 3}[row.currency]
        assert shown["price"] == pytest.approx(row.amount / 10**digits)
        assert shown["buyer"] == row.buyer_name.replace("\r\n", " ")
        assert (shown["scanned"] is None) == (row.scanned_ms == 0)
        assert shown["status"] == t(f"list.status.{row.status}")
        assert shown["price_type"] == {"adult": "Adult", "child": "Child"}[row.price_type]
        assert (shown["email"] or "") == row.buyer_email
    sheet = openpyxl.load_workbook(io.BytesIO(body)).worksheets[0]
    assert sheet["L2"].number_format == "#,##0.00" and sheet["L3"].number_format == "#,##0"
    assert sheet["B2"].is_date and sheet["N2"].data_type == "s"


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
async def test_an_export_is_filtered_and_written_down(gateway: Running, kind: str) -> None:
    token = await reporter(gateway)
    _, body = await exported(gateway, token, f"format={kind}&q=lovelace&used=no&lang=en")
    rows = csv_rows(body, ",") if kind == "csv" else xlsx_rows(body)
    assert len(rows) == 2 and "1-2" in rows[1]
    [(who, detail)] = await acts(gateway, "export_list")
    assert who == "report"
    assert detail == {"filters": {"q": ["lovelace"], "used": ["no"]}}
    await gateway.json("GET", "/api/ticket-list/export?format=pdf", token=token, expect=422)
    await gateway.json("GET", "/api/ticket-list/export?used=2", token=token, expect=422)
    assert len(await acts(gateway, "export_list")) == 1
    assert gateway.edge.exports._processes == set()


async def test_an_xlsx_has_no_more_rows_than_its_format(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_list, "MAX_XLSX_ROWS", 2)
    token = await reporter(gateway)
    path = "/api/ticket-list/export?format=xlsx"
    told = await gateway.json("GET", path, token=token, expect=409)
    assert told["code"] == "too_many_rows"
    await exported(gateway, token, "format=xlsx&q=lovelace")


async def test_exports_are_bounded_and_end_with_who_asked(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Readers who take nothing hold a process each; when they hang up it is there for others."""
    holding(gateway, monkeypatch, many(EXPORT_PAGE_ROWS))
    page, asked = gateway.fake.ticket_list.page, asyncio.Semaphore(0)

    async def endless(wanted: Any, *, after: Any = None, limit: int = 0) -> Any:
        asked.release()
        return await page(wanted, limit=limit)

    monkeypatch.setattr(gateway.fake.ticket_list, "page", endless)
    token = await reporter(gateway)
    headers = {"Authorization": f"Bearer {token}"}
    readers = []
    for _ in range(MAX_EXPORTS):
        reader = await gateway.http.get("/api/ticket-list/export", headers=headers)
        assert reader.status == 200
        readers.append(reader)
    told = await gateway.json("GET", "/api/ticket-list/export", token=token, expect=503)
    assert told["code"] == "busy"
    for reader in readers:
        reader.close()
    await until(lambda: not gateway.edge.exports._processes)
    monkeypatch.setattr(gateway.fake.ticket_list, "page", page)
    await exported(gateway, token, "")


async def test_a_page_that_is_not_answered_is_asked_for_again(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = many(PAGES)
    holding(gateway, monkeypatch, rows)
    monkeypatch.setattr(http_list, "EXPORT_RETRY_PAUSES_S", (0.0, 0.0))
    page, failures = gateway.fake.ticket_list.page, [0, 2, 1]

    async def fails_at_times(wanted: Any, *, after: Any = None, limit: int = 0) -> Any:
        if failures[0]:
            failures[0] -= 1
            raise OSError("the connection was cut")
        failures[:] = [*failures[1:], 0]
        return await page(wanted, after=after, limit=limit)

    monkeypatch.setattr(gateway.fake.ticket_list, "page", fails_at_times)
    _, body = await exported(gateway, await reporter(gateway), "lang=en")
    found = [line[0] for line in csv_rows(body, ",")[1:]]
    assert found == [str(row.order_number) for row in rows]
    assert failures == [0, 0, 0]


async def test_a_csv_that_breaks_off_does_not_look_whole(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(gateway, monkeypatch, many(PAGES))
    monkeypatch.setattr(http_list, "EXPORT_RETRY_PAUSES_S", (0.0,))
    token = await reporter(gateway)
    page = gateway.fake.ticket_list.page

    async def fails_later(wanted: Any, *, after: Any = None, limit: int = 0) -> Any:
        if after is not None:
            raise OSError("the database is gone")
        return await page(wanted, limit=limit)

    monkeypatch.setattr(gateway.fake.ticket_list, "page", fails_later)
    with pytest.raises(aiohttp.ClientError):
        await exported(gateway, token, "")
    told = await gateway.json("GET", "/api/ticket-list/export?format=xlsx", token=token, expect=503)
    assert told["code"] == "unavailable"


async def test_a_process_that_dies_is_an_answer_and_not_a_silence(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    holding(gateway, monkeypatch, many(PAGES))
    token = await reporter(gateway)
    page = gateway.fake.ticket_list.page

    async def kills(wanted: Any, *, after: Any = None, limit: int = 0) -> Any:
        for process in gateway.edge.exports._processes:
            process.kill()
        return await page(wanted, after=after, limit=limit)

    monkeypatch.setattr(gateway.fake.ticket_list, "page", kills)
    told = await gateway.json("GET", "/api/ticket-list/export?format=xlsx", token=token, expect=503)
    assert told["code"] == "unavailable"


async def test_the_gateway_answers_others_while_a_list_is_written(
    gateway: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is formatted in the gateway's process: its modules for that are not even asked."""
    holding(gateway, monkeypatch, many(PAGES))

    def never(*_: object) -> None:
        raise AssertionError("a table was written here")

    monkeypatch.setattr("renderers.ticket_sheet.Cells.words", never)
    token = await reporter(gateway)
    _, body = await exported(gateway, token, "format=csv")
    assert body.count(b"\r\n") == PAGES + 1
