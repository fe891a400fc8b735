"""Papers over HTTP: an order's invoice and credit notes, what was issued, settlements.

Owns these routes, and who may use them: an order's id is the key to its papers, those of the
whole house are for whoever reads the books. Which words an invoice is written in is gathered here;
what it says is the store's and the engine's.
"""

import re
from datetime import date
from typing import Annotated, Final

from aiohttp import web
from msgspec import Meta, Struct

from engine.limits import MAX_TEXT_CHARS
from engine.orders import Order
from engine.papers import (
    MAX_ADDRESS_LINES,
    Client,
    Names,
    Paper,
    PaperKind,
    PaperRefused,
    PaperRow,
    Shown,
    Wording,
    read_name,
)
from engine.settlement import Settlement
from gateway.http import EDGE, Edge, answer, operator, query_number, read_json, rows_wanted
from gateway.http_orders import language, pdf, showings, wanted_order
from gateway.limits import DEFAULT_ROWS_PER_PAGE
from gateway.list_query import DATE
from gateway.paper import place_words
from gateway.problems import Problem
from gateway.programme import text_in
from gateway.session import Role
from renderers import i18n
from renderers.invoice import invoice_pdf
from renderers.settlement import settlement_pdf
from renderers.settlement_words import settlement_csv

_READING: Final = (Role.ADMIN, Role.REPORT)
_FIRST_DAY, _LAST_DAY = "1970-01-01", "9000-12-31"

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Day = Annotated[str, Meta(pattern=DATE)]

routes = web.RouteTableDef()


class NewInvoice(Struct, frozen=True):
    """Whom it is for, where that is not the order's buyer, and the billing address in lines."""

    name: Text = ""
    address: Annotated[tuple[Text, ...], Meta(max_length=MAX_ADDRESS_LINES)] = ()


class NewSettlement(Struct, frozen=True):
    """The days from `from_day` to `to_day`, both included; of one performance, or 0 for all."""

    from_day: Day
    to_day: Day
    performance: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


# Of an order -----------------------------------------------------------------------------


@routes.get("/api/orders/{order}/papers")
async def get_order_papers(request: web.Request) -> web.Response:
    """The invoice and the credit notes of an order, the first first."""
    order = await wanted_order(request)
    return answer(await request.app[EDGE].backend.papers.of_order(order.number))


@routes.post("/api/orders/{order}/invoice")
async def post_invoice(request: web.Request) -> web.Response:
    """The order's invoice: issued when it is first asked for, and never changed."""
    edge = request.app[EDGE]
    order = await wanted_order(request)
    wanted = await read_json(request, NewInvoice)
    wording = await _wording(edge, order, language(request, order), wanted)
    return answer(_issued(await edge.backend.papers.invoice(order.id, wording)))


@routes.get("/api/orders/{order}/papers/{paper}")
async def get_order_paper(request: web.Request) -> web.Response:
    """One of the order's papers as a PDF."""
    edge = request.app[EDGE]
    order = await wanted_order(request)
    name = request.match_info["paper"]
    if all(row.name != name for row in await edge.backend.papers.of_order(order.number)):
        raise Problem("paper_unknown")
    return await _drawn(request, await _paper(edge, name))


async def _wording(edge: Edge, order: Order, lang: str, wanted: NewInvoice) -> Wording:
    shown = await showings(edge, order)
    settings = [showing.entry.settings for showing in shown.values()]
    names = Names(
        tuple(
            Shown(number, text_in(showing.entry.titles, lang), showing.entry.starts_ms)
            for number, showing in sorted(shown.items())
        ),
        {one.id: text_in(one.names, lang) for rules in settings for one in rules.price_types},
        {one.id: text_in(one.names, lang) for rules in settings for one in rules.fees},
    )
    client = Client(wanted.name or order.buyer.name, wanted.address, order.buyer.email)
    places = {line.number: place_words(shown[line.performance].plan, line) for line in order.lines}
    return Wording(lang, client, names, places)


# Of the house ----------------------------------------------------------------------------


@routes.get("/api/papers")
async def get_papers(request: web.Request) -> web.Response:
    """What was issued, the first first: after the one of a name, and of one kind."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    kind, after = (request.query.get(name, "") for name in ("series", "after_name"))
    if kind and kind not in list(PaperKind):
        raise Problem("invalid", f"series: {', '.join(PaperKind)}", field="series")
    if after and read_name(after) is None:
        raise Problem("invalid", "after_name: such as F2026-000123", field="after_name")
    house = await edge.programme.house()
    rows = await edge.backend.papers.issued(
        house.id,
        kind=PaperKind(kind) if kind else None,
        after=after,
        limit=rows_wanted(request, DEFAULT_ROWS_PER_PAGE),
    )
    return answer(rows)


@routes.get("/api/papers/{paper}")
async def get_paper(request: web.Request) -> web.Response:
    """A paper by its name: as a PDF, or what it says as JSON."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    found = await _paper(edge, request.match_info["paper"])
    if request.query.get("format") == "json":
        return answer(found)
    return await _drawn(request, found)


@routes.get("/api/settlement")
async def get_settlement(request: web.Request) -> web.Response:
    """What a period comes to, as it stands: as JSON, CSV or PDF."""
    edge = request.app[EDGE]
    await operator(request, *_READING)
    form = request.query.get("format", "json")
    if form not in ("json", "csv", "pdf"):
        raise Problem("invalid", "format: json, csv or pdf", field="format")
    from_day, to_day = (request.query.get(name, "") for name in ("from", "to"))
    _check_days(from_day, to_day, ("from", "to"))
    performance = query_number(request, "performance", 0)
    house = await edge.programme.house()
    found = await edge.backend.papers.settlement(house.id, from_day, to_day, performance)
    if isinstance(found, PaperRefused):
        raise Problem(found.code.value, found.detail)
    if form == "json":
        return answer(found)
    if form == "pdf":
        return await _drawn(request, found)
    t = i18n.translator(_spoken(request))
    name = f'attachment; filename="{_file_name(found)}.csv"'
    headers = {"Cache-Control": "no-store", "Content-Disposition": name}
    body = settlement_csv(found, t)
    return web.Response(body=body, content_type="text/csv", charset="utf-8", headers=headers)


@routes.post("/api/settlements")
async def post_settlement(request: web.Request) -> web.Response:
    """The settlement of a period whose days are closed: issued when it is first asked for."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, NewSettlement)
    _check_days(wanted.from_day, wanted.to_day, ("$.from_day", "$.to_day"))
    house = await edge.programme.house()
    row = _issued(
        await edge.backend.papers.issue_settlement(
            house.id, wanted.from_day, wanted.to_day, wanted.performance
        )
    )
    edge.auditor.note(principal, "issue_settlement", row.name)
    return answer(row)


def _check_days(from_day: str, to_day: str, fields: tuple[str, str]) -> None:
    for day, field in zip((from_day, to_day), fields, strict=True):
        try:
            known = re.fullmatch(DATE, day) and date.fromisoformat(day)
        except ValueError:
            known = None
        if not known or not _FIRST_DAY <= day <= _LAST_DAY:
            raise Problem("invalid", "a day such as 2026-11-21", field=field)
    if from_day > to_day:
        raise Problem("invalid", "the last day is before the first", field=fields[1])


def _issued(found: PaperRow | PaperRefused) -> PaperRow:
    if isinstance(found, PaperRefused):
        raise Problem(found.code.value, found.detail)
    return found


async def _paper(edge: Edge, name: str) -> Paper | Settlement:
    house = await edge.programme.house()
    found = await edge.backend.papers.get(house.id, name)
    if found is None:
        raise Problem("paper_unknown")
    return found


async def _drawn(request: web.Request, found: Paper | Settlement) -> web.Response:
    edge = request.app[EDGE]
    style = await edge.programme.house_style()
    lang = _spoken(request)

    def draw() -> bytes:
        if isinstance(found, Settlement):
            return settlement_pdf(found, style, lang)
        return invoice_pdf(found, style)

    return pdf(await edge.paper.draw(draw), f"{_file_name(found)}.pdf")


def _file_name(found: Paper | Settlement) -> str:
    if isinstance(found, Settlement) and not found.name:
        return f"settlement-{found.from_day}-{found.to_day}"
    return found.name


def _spoken(request: web.Request) -> str:
    wanted = i18n.match(request.query.get("lang"))
    return wanted or i18n.preferred(request.headers.get("Accept-Language"))
