"""Till sessions over HTTP: opened, moved in, counted, closed, and their reports.

Owns these routes, and who may use them: a cashier one's own session, supervisors and admins any.
Which session money belongs to is found out here too (`at_till`), from who asks. What may be done
with a session is the store's to say.
"""

import re
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct

from engine.limits import MAX_TEXT_CHARS
from engine.tills import (
    MAX_TILL_CHARS,
    AddEntry,
    AtTill,
    CloseTill,
    EntryKind,
    OpenTill,
    TillRefused,
    TillReport,
    till_key,
)
from gateway.counter import till_of
from gateway.http import EDGE, Edge, answer, operator, query_number, read_json, rows_wanted
from gateway.limits import DEFAULT_ROWS_PER_PAGE
from gateway.problems import Problem
from gateway.programme import style_of
from gateway.session import Principal, Role, now_ms
from renderers import i18n
from renderers.till_report import till_report_pdf

TILL_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR, Role.CASHIER, Role.REFUND)
"""Who takes money by hand, or hands it back."""
_OF_ANY: Final = (Role.ADMIN, Role.SUPERVISOR)
_READING: Final = (*TILL_ROLES, Role.REPORT)
_READING_ANY: Final = (*_OF_ANY, Role.REPORT)
_ID: Final = re.compile(r"[0-9a-f]{32}")
_REFUSAL_STATUS: Final = {"till_unknown": 404, "malformed": 422}

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Amount = Annotated[int, Meta(ge=0, le=2**53)]
Piece = tuple[Amount, Amount]
Id = Annotated[str, Meta(min_length=1, max_length=64)]

routes = web.RouteTableDef()


class NewTillSession(Struct, frozen=True):
    """`id` is 32 hexadecimal digits made by the caller; `till` what the house calls the desk."""

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    till: Annotated[str, Meta(min_length=1, max_length=MAX_TILL_CHARS)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    opening_float: Amount = 0


class NewTillEntry(Struct, frozen=True):
    """Cash in or out by `amount` for a `reason`; a count as the closing has it."""

    id: Id
    kind: EntryKind
    amount: Amount = 0
    reason: Text = ""
    pieces: Annotated[tuple[Piece, ...], Meta(max_length=32)] = ()


class TillClosing(Struct, frozen=True):
    """What was counted: `pieces` are pairs of a denomination and how many of it.

    `amount` instead where the currency's coins are not known here; a difference wants an
    `explanation`.
    """

    id: Id
    amount: Amount = 0
    pieces: Annotated[tuple[Piece, ...], Meta(max_length=32)] = ()
    explanation: Text = ""


async def at_till(edge: Edge, principal: Principal) -> AtTill:
    """Where an operator takes money by hand, or hands it back."""
    return await till_of(edge.programme, edge.backend.tills, principal.who)


@routes.get("/api/tills")
async def get_tills(request: web.Request) -> web.Response:
    """Sessions, the latest first: one's own, or those of all for whoever supervises."""
    principal = await operator(request, *_READING)
    own = not principal.has(*_READING_ANY)
    found = await request.app[EDGE].backend.tills.list(
        operator=principal.who if own else request.query.get("operator", "")[:MAX_TEXT_CHARS],
        open_only=request.query.get("open", "") == "1",
        before=query_number(request, "before", 0),
        limit=rows_wanted(request, DEFAULT_ROWS_PER_PAGE),
    )
    return answer(found)


@routes.post("/api/tills")
async def post_till(request: web.Request) -> web.Response:
    """Begin one's shift at a till that nobody else has open."""
    edge = request.app[EDGE]
    principal = await operator(request, *TILL_ROLES)
    wanted = await read_json(request, NewTillSession)
    command = OpenTill(wanted.id, wanted.till, wanted.currency, wanted.opening_float, principal.who)
    report = _decided(await edge.backend.tills.open(command, now_ms()))
    edge.auditor.note(
        principal,
        "open_till",
        report.session.number,
        till=report.session.till,
        opening_float=wanted.opening_float,
    )
    return answer(report, status=201)


@routes.get("/api/tills/mine")
async def get_own_till(request: web.Request) -> web.Response:
    """The session that one has open, null for none; whether the house asks for one; and the card
    reader at its till."""
    edge = request.app[EDGE]
    principal = await operator(request, *TILL_ROLES)
    found = await at_till(edge, principal)
    report = await edge.backend.tills.report(found.session) if found.session else None
    bound = readers_of(await edge.programme.house())
    reader = bound.get(till_key(report.session.till), "") if report is not None else ""
    return answer({"required": found.required, "report": report, "reader": reader})


def readers_of(house: Any) -> dict[str, str]:
    """The card reader at each till that has one, by the key of the till's name."""
    return {till_key(till): reader for till, reader in house.settings.get("readers", {}).items()}


@routes.get("/api/tills/{till}")
async def get_till(request: web.Request) -> web.Response:
    """The report of a session: as it stands, or as it was closed."""
    return answer(await _of(request, _READING, _READING_ANY))


@routes.get("/api/tills/{till}/report.pdf")
async def get_report(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    report = await _of(request, _READING, _READING_ANY)
    house = await edge.programme.house()
    wanted = i18n.match(request.query.get("lang"))
    lang = wanted or i18n.preferred(request.headers.get("Accept-Language"))
    body = await edge.paper.draw(
        lambda: till_report_pdf(report, style_of(house), house.time_zone, lang, now_ms())
    )
    name = f"till-{report.session.number}.pdf"
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'inline; filename="{name}"'}
    return web.Response(body=body, content_type="application/pdf", headers=headers)


@routes.post("/api/tills/{till}/entries")
async def post_entry(request: web.Request) -> web.Response:
    """Put cash in or take it out, or count it and go on."""
    edge = request.app[EDGE]
    principal = await operator(request, *TILL_ROLES)
    session = (await _of(request, TILL_ROLES, _OF_ANY)).session
    wanted = await read_json(request, NewTillEntry)
    command = AddEntry(
        wanted.id, wanted.kind, principal.who, wanted.amount, wanted.reason, wanted.pieces
    )
    report = _decided(await edge.backend.tills.enter(session.id, command, now_ms()))
    entry = next(one for one in report.entries if one.id == wanted.id)
    edge.auditor.note(
        principal, f"till_{entry.kind.value}", session.number, amount=entry.amount,
        reason=entry.reason,
    )  # fmt: skip
    return answer(report)


@routes.post("/api/tills/{till}/close")
async def post_closing(request: web.Request) -> web.Response:
    """End a shift with its count: from then on the session is never changed."""
    edge = request.app[EDGE]
    principal = await operator(request, *TILL_ROLES)
    session = (await _of(request, TILL_ROLES, _OF_ANY)).session
    wanted = await read_json(request, TillClosing)
    command = CloseTill(wanted.id, principal.who, wanted.amount, wanted.pieces, wanted.explanation)
    report = _decided(await edge.backend.tills.close(session.id, command, now_ms()))
    closing = report.session.closing
    assert closing is not None
    edge.auditor.note(
        principal,
        "close_till",
        session.number,
        counted=closing.amount,
        difference=closing.difference,
        explanation=closing.explanation,
    )
    return answer(report)


async def _of(
    request: web.Request, roles: tuple[Role, ...], of_any: tuple[Role, ...]
) -> TillReport:
    """The session of the path, for its operator and whoever may have any."""
    principal = await operator(request, *roles)
    id = request.match_info["till"]
    report = None
    if _ID.fullmatch(id):
        report = await request.app[EDGE].backend.tills.report(id)
    if report is None:
        raise Problem("till_unknown")
    if report.session.operator != principal.who and not principal.has(*of_any):
        raise Problem("forbidden", "this is another operator's till session")
    return report


def _decided(found: TillReport | TillRefused) -> TillReport:
    if isinstance(found, TillRefused):
        code = found.code.value
        raise Problem(code, found.detail, status=_REFUSAL_STATUS.get(code, 409))
    return found
