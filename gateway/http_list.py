"""The list of places over HTTP: a page, what all of it comes to, and all of it as a file.

Owns these routes and their roles. What may be asked is `gateway.list_query`'s. The list names
buyers: what leaves as a file is written to the audit log, with what was asked.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
from aiohttp import hdrs, web
from msgspec import Struct

from engine.listing import Cursor, Listed, ListFilter, ListTotals
from engine.plan import Plan
from engine.settings import Settings
from gateway.exports import Sheet
from gateway.http import EDGE, Edge, answer, operator, rows_wanted
from gateway.http_doors import place_label
from gateway.limits import (
    DEFAULT_ROWS_PER_PAGE,
    EXPORT_PAGE_ROWS,
    EXPORT_RETRY_PAUSES_S,
    FILE_PART_BYTES,
)
from gateway.list_query import FILTERS, cursor_of, list_filter
from gateway.problems import Problem
from gateway.programme import text_in
from gateway.session import Principal, Role
from renderers import i18n
from renderers.ticket_sheet import MAX_XLSX_ROWS, Showing

LIST_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR, Role.REPORT)
_FORMATS: Final = {
    "csv": "text/csv",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_decode_settings = msgspec.json.Decoder(Settings).decode

routes = web.RouteTableDef()


class ListedPlace(Struct, frozen=True):
    """A place of an order. `ticket` is 0 while there is none, `scanned_ms` until it let one in."""

    order: int
    line: int
    performance: int
    ticket: int
    label: str
    category: str
    price_type: str
    amount: int
    currency: str
    status: str
    channel: str
    operator: str
    buyer_name: str
    buyer_email: str
    ordered_ms: int
    scanned_ms: int
    inside: bool


class ListedPerformance(Struct, frozen=True):
    id: int
    title: dict[str, str]
    starts_ms: int


class ListPage(Struct, frozen=True):
    """`next` is what the next page is asked with, "" where this is the last one."""

    places: list[ListedPlace]
    performances: list[ListedPerformance]
    next: str


@routes.get("/api/ticket-list")
async def get_list(request: web.Request) -> web.Response:
    """A page of the places that meet the filters, the latest order first."""
    edge = request.app[EDGE]
    await operator(request, *LIST_ROLES)
    limit = rows_wanted(request, DEFAULT_ROWS_PER_PAGE)
    after = cursor_of(request)
    wanted = await list_filter(request, "limit", "next")
    queries = edge.backend.ticket_list
    found = await queries.page(wanted, after=after, limit=limit)
    showings = await queries.showings(sorted({one.performance for one in found}))
    plans = {one.plan: await edge.plans.plan(one.plan) for one in showings.values()}
    return answer(
        ListPage(
            [_shown(one, plans[showings[one.performance].plan]) for one in found],
            [ListedPerformance(number, *_told(one)) for number, one in showings.items()],
            _told_cursor(found[-1].cursor) if len(found) == limit else "",
        )
    )


@routes.get("/api/ticket-list/totals")
async def get_totals(request: web.Request) -> web.Response:
    """What all the places that meet the filters come to."""
    await operator(request, *LIST_ROLES)
    wanted = await list_filter(request)
    totals: ListTotals = await request.app[EDGE].backend.ticket_list.totals(wanted)
    return answer(totals)


@routes.get("/api/ticket-list/export")
async def get_export(request: web.Request) -> web.StreamResponse:
    """All the places that meet the filters as a file: CSV as it is read, XLSX when it is whole."""
    edge = request.app[EDGE]
    principal = await operator(request, *LIST_ROLES)
    kind = request.query.get("format", "csv")
    if kind not in _FORMATS:
        raise Problem("invalid", f"format: one of {', '.join(_FORMATS)}", field="format")
    wanted = await list_filter(request, "format", "lang")
    if kind == "xlsx":
        places = (await edge.backend.ticket_list.totals(wanted)).places
        if places > MAX_XLSX_ROWS:
            raise _too_many()
    language = (
        i18n.match(request.query.get("lang"))
        or i18n.match(principal.language)
        or i18n.preferred(request.headers.get("Accept-Language"))
    )
    time_zone = (await edge.programme.house()).time_zone
    async with edge.exports.sheet() as (sheet, folder):
        _note(edge, principal, request, kind)
        response = web.StreamResponse(
            headers={
                hdrs.CACHE_CONTROL: "no-store",
                hdrs.CONTENT_DISPOSITION: f'attachment; filename="tickets.{kind}"',
            }
        )
        response.content_type = _FORMATS[kind]
        if kind == "csv":
            response.charset = "utf-8"
            await _send_csv(request, response, sheet, language, time_zone, wanted)
        else:
            file = folder / "tickets.xlsx"
            await sheet.begin(language, time_zone, file)
            await _write_xlsx(request, sheet, language, wanted)
            await _send_file(request, response, file)
    return response


def _note(edge: Edge, principal: Principal, request: web.Request, kind: str) -> None:
    """Before the first row leaves: also what is broken off has left."""
    asked = {name: request.query.getall(name) for name in FILTERS if name in request.query}
    edge.auditor.note(principal, "export_list", kind, filters=asked)


async def _send_csv(
    request: web.Request,
    response: web.StreamResponse,
    sheet: Sheet,
    language: str,
    time_zone: str,
    wanted: ListFilter,
) -> None:
    opening = await sheet.begin(language, time_zone)
    await response.prepare(request)
    try:
        await response.write(opening)
        async for part in _written(request.app[EDGE], sheet, language, wanted):
            await response.write(part)
        await response.write_eof()
    except BaseException:
        # What has begun cannot be refused any more: it must not look whole.
        if request.transport is not None:
            request.transport.abort()
        raise


async def _write_xlsx(
    request: web.Request, sheet: Sheet, language: str, wanted: ListFilter
) -> None:
    async for _ in _written(request.app[EDGE], sheet, language, wanted, MAX_XLSX_ROWS):
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("nobody waits for this file any more")
    await sheet.end()


async def _send_file(request: web.Request, response: web.StreamResponse, path: Path) -> None:
    with path.open("rb") as file:
        response.content_length = os.fstat(file.fileno()).st_size
        await response.prepare(request)
        while part := await asyncio.to_thread(file.read, FILE_PART_BYTES):
            await response.write(part)
        await response.write_eof()


async def _written(
    edge: Edge, sheet: Sheet, language: str, wanted: ListFilter, most: int | None = None
) -> AsyncIterator[bytes]:
    """What the process answers to each page, while the next one is read."""
    known = _Known(edge, language)
    rows, count = await _page(edge, wanted, None), 0
    while rows:
        count += len(rows)
        if most is not None and count > most:
            raise _too_many()
        plans, showings = await known.news(rows)
        if len(rows) < EXPORT_PAGE_ROWS:
            yield await sheet.add(list(rows), plans, showings)
            return
        part, rows = await asyncio.gather(
            sheet.add(list(rows), plans, showings),
            _page(edge, wanted, rows[-1].cursor),
        )
        yield part


async def _page(edge: Edge, wanted: ListFilter, after: Cursor | None) -> Sequence[Listed]:
    """It begins where the one before ended, so it may be asked for again."""
    queries = edge.backend.ticket_list
    for pause_s in EXPORT_RETRY_PAUSES_S:
        try:
            return await queries.page(wanted, after=after, limit=EXPORT_PAGE_ROWS)
        except edge.backend.outages:
            await asyncio.sleep(pause_s)
    return await queries.page(wanted, after=after, limit=EXPORT_PAGE_ROWS)


class _Known:
    """What the process that writes a table was told already."""

    def __init__(self, edge: Edge, language: str) -> None:
        self._edge = edge
        self._language = language
        self._plans: set[str] = set()
        self._performances: set[int] = set()

    async def news(self, rows: Any) -> tuple[dict[str, bytes], dict[int, Showing]]:
        """Plans and performances of these rows that it has not heard of."""
        numbers = {row.performance for row in rows} - self._performances
        if not numbers:
            return {}, {}
        self._performances |= numbers
        found = await self._edge.backend.ticket_list.showings(sorted(numbers))
        plans: dict[str, bytes] = {}
        for plan_hash in {one.plan for one in found.values()} - self._plans:
            body = await self._edge.backend.catalogue.plan(plan_hash)
            if body is not None:
                plans[plan_hash] = body
        self._plans |= plans.keys()
        return plans, {number: self._showing(one) for number, one in found.items()}

    def _showing(self, found: Any) -> Showing:
        kinds = _decode_settings(found.settings).price_types
        names = {kind.id: text_in(kind.names, self._language) for kind in kinds}
        return Showing(text_in(found.titles, self._language), found.starts_ms, found.plan, names)


def _too_many() -> Problem:
    return Problem(
        "too_many_rows", f"xlsx has {MAX_XLSX_ROWS} rows at most: ask for less, or for csv"
    )


def _told(showing: Any) -> tuple[dict[str, str], int]:
    return showing.titles, showing.starts_ms


def _told_cursor(cursor: Cursor) -> str:
    return f"{cursor.order_number}-{cursor.line}"


def _shown(row: Listed, plan: Plan) -> ListedPlace:
    category = plan.areas[row.area].category if row.seat < 0 else plan.seats[row.seat].category
    return ListedPlace(
        order=row.order_number,
        line=row.line,
        performance=row.performance,
        ticket=max(row.ticket, 0),
        label=place_label(plan, row.seat, row.area),
        category=plan.categories[category].name,
        price_type=row.price_type,
        amount=row.amount,
        currency=row.currency,
        status=row.status.value,
        channel=row.channel.value,
        operator=row.operator,
        buyer_name=row.buyer_name,
        buyer_email=row.buyer_email,
        ordered_ms=row.ordered_ms,
        scanned_ms=row.scanned_ms,
        inside=row.inside,
    )
