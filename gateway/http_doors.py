"""What operators ask about the doors: who is inside, who came in twice, who is expected.

Owns these routes and their roles, and the words for a ticket's place. Counts and
conflicts are the performance actor's, asked as questions among its scans; the guest
list is the database's.
"""

import asyncio
import secrets
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct

from engine.commands import (
    ID_BYTES,
    Alarm,
    ConflictsAre,
    CountInside,
    InsideIs,
    ListConflicts,
    Outcome,
    Refused,
    Scan,
    ScanMode,
    Scanned,
    TicketState,
)
from engine.limits import MAX_TEXT_CHARS
from engine.passages import NOT_KEPT
from engine.plan import Plan
from gateway.asking import ask
from gateway.http import (
    EDGE,
    Edge,
    answer,
    number_in,
    operator,
    query_number,
    read_json,
    rows_wanted,
    somebody,
)
from gateway.limits import (
    DEFAULT_ROWS_PER_PAGE,
    MAX_GUESTS_IN_SHEET,
    MAX_GUESTS_ON_PAPER,
    MAX_MARKED_TICKETS,
)
from gateway.problems import Problem
from gateway.programme import Entry, style_of, text_in
from gateway.session import Principal, Role
from renderers import i18n
from renderers.guest_list import GuestList, GuestRow, guests_csv, guests_pdf, guests_xlsx
from renderers.house_style import HouseStyle

DOOR_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR, Role.DOOR)
GUEST_ROLES: Final = (*DOOR_ROLES, Role.CASHIER)
_FORMATS: Final[dict[str, tuple[int, str, Callable[[GuestList, HouseStyle, str], bytes]]]] = {
    "csv": (MAX_GUESTS_IN_SHEET, "text/csv", lambda guests, _, lang: guests_csv(guests, lang)),
    "xlsx": (
        MAX_GUESTS_IN_SHEET,
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        lambda guests, _, lang: guests_xlsx(guests, lang),
    ),
    "pdf": (MAX_GUESTS_ON_PAPER, "application/pdf", guests_pdf),
}
"""Format: (most guests, content type, who draws it)."""

routes = web.RouteTableDef()


class Mark(Struct, frozen=True):
    """`tickets` by their numbers, as they stand on the guest list."""

    tickets: Annotated[
        tuple[Annotated[int, Meta(ge=1, le=2**31 - 1)], ...],
        Meta(min_length=1, max_length=MAX_MARKED_TICKETS),
    ]
    gate: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] = ""


@routes.get("/api/performances/{performance}/inside")
async def inside(request: web.Request) -> web.Response:
    """How many are inside, by gate and by section, and which capacities are near."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await somebody(request)
    if not (principal.has(*DOOR_ROLES, Role.DEVICE) and principal.may_serve(performance)):
        raise Problem("forbidden", "this is for the doors of this performance")
    entry = await edge.programme.entry(performance)
    told = await _ask(edge, performance, "inside", CountInside(_id()), InsideIs)
    plan = await edge.plans.plan(entry.plan)
    names = {gate.id: (gate.name, gate.sections) for gate in entry.settings.gates}
    gates = []
    for gate in told.gates:
        name, sections = names.get(gate.gate, (gate.gate, ()))
        gates.append(
            {
                "id": gate.gate,
                "name": name,
                "sections": sections,
                "inside": gate.inside,
                "zone": gate.zone,
                "capacity": gate.capacity,
                "alarm": gate.alarm,
            }
        )
    return answer(
        {
            "total": told.total,
            "gates": gates,
            "sections": [
                {"section": section, "name": plan.sections[section].name, "inside": count}
                for section, count in told.sections
            ],
            "alarms": [gate.gate for gate in told.gates if gate.alarm is not Alarm.NONE],
        }
    )


@routes.get("/api/performances/{performance}/conflicts")
async def conflicts(request: web.Request) -> web.Response:
    """The tickets after `?after=` that let two people in because a device was alone."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    await operator(request, *DOOR_ROLES)
    after = query_number(request, "after", 0, most=2**53)
    entry = await edge.programme.entry(performance)
    told = await _ask(edge, performance, "conflicts", ListConflicts(_id(), after), ConflictsAre)
    plan = await edge.plans.plan(entry.plan)
    return answer(
        [
            {
                "ticket": one.ticket,
                "label": place_label(plan, one.seat, one.area),
                "scans": [
                    {
                        "device": device,
                        "gate": gate,
                        "at_ms": at_ms,
                        "kept": sequence != NOT_KEPT,
                        "winner": position == 0,
                    }
                    for position, (device, gate, at_ms, sequence) in enumerate(one.entries)
                ],
            }
            for one in told.conflicts
        ]
    )


@routes.post("/api/performances/{performance}/mark")
async def mark(request: web.Request) -> web.Response:
    """Guests ticked off on paper have arrived. Marking them again changes nothing."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *DOOR_ROLES)
    wanted = await read_json(request, Mark)
    await edge.programme.entry(performance)
    numbers = list(dict.fromkeys(wanted.tickets))
    batcher = edge.hub.batcher
    scans = [_mark(principal, performance, number, wanted.gate) for number in numbers]
    outcomes = await asyncio.gather(
        *(ask(batcher, performance, "scan", scan) for scan in scans), return_exceptions=True
    )
    edge.auditor.note(principal, "mark", performance, tickets=numbers, gate=wanted.gate)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return answer(
        [
            {"ticket": number, "result": _result(outcome)}
            for number, outcome in zip(numbers, outcomes, strict=True)
        ]
    )


def _mark(principal: Principal, performance: int, number: int, gate: str) -> Scan:
    return Scan(_id(), gate, principal.who, performance, number, 0, ScanMode.MARK)


def _result(outcome: Outcome | BaseException) -> str:
    if isinstance(outcome, Refused):
        return outcome.code.value
    assert isinstance(outcome, Scanned)
    return outcome.result.value


@routes.get("/api/performances/{performance}/guests")
async def guests(request: web.Request) -> web.Response:
    """The guest list, or of it who has a name like `?q=`: JSON, CSV, XLSX or PDF."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *GUEST_ROLES)
    kind = request.query.get("format", "json")
    if kind != "json" and kind not in _FORMATS:
        raise Problem("invalid", f"format: json, {', '.join(_FORMATS)}", field="format")
    text = request.query.get("q", "").strip()[:MAX_TEXT_CHARS]
    entry = await edge.programme.entry(performance)
    plan = await edge.plans.plan(entry.plan)
    queries = edge.backend.guests
    if kind == "json":
        limit = rows_wanted(request, DEFAULT_ROWS_PER_PAGE)
        found = await queries.guests(performance, text=text, limit=limit)
        return answer([_shown(plan, guest) for guest in found])
    most, content_type, draw = _FORMATS[kind]
    found = await queries.guests(performance, text=text, limit=most + 1)
    if len(found) > most:
        raise Problem("too_many_guests", f"{most} at most as {kind}: ask for a name, or for csv")
    house = await edge.programme.house()
    language = (
        i18n.match(request.query.get("lang"))
        or i18n.match(principal.language)
        or i18n.preferred(request.headers.get("Accept-Language"))
    )
    body = await edge.paper.draw(
        lambda: draw(
            _list(entry, plan, found, house.time_zone, language), style_of(house), language
        )
    )
    edge.auditor.note(principal, "export_guests", performance, format=kind, guests=len(found))
    name = f"guests-{performance}.{kind}"
    headers = {"Cache-Control": "no-store", "Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, content_type=content_type, headers=headers)


def _shown(plan: Plan, guest: Any) -> dict[str, Any]:
    return {
        "ticket": guest.ticket,
        "name": guest.name,
        "label": place_label(plan, guest.seat, guest.area),
        "price_type": guest.price_type,
        "order": guest.order_number,
        "state": guest.state,
        "arrived_ms": guest.arrived_ms,
    }


def _list(
    entry: Entry, plan: Plan, found: Sequence[Any], time_zone: str, language: str
) -> GuestList:
    kinds = {kind.id: text_in(kind.names, language) for kind in entry.settings.price_types}
    rows = [
        GuestRow(
            name=guest.name,
            place=place_label(plan, guest.seat, guest.area),
            ticket=guest.ticket,
            price_type=kinds.get(guest.price_type, guest.price_type),
            order=guest.order_number,
            state="" if guest.state == TicketState.VALID else guest.state,
            arrived_ms=guest.arrived_ms,
        )
        for guest in found
    ]
    return GuestList(
        production=text_in(entry.titles, language),
        starts_at_ms=entry.starts_ms,
        timezone=time_zone,
        rows=tuple(rows),
    )


def place_label(plan: Plan, seat: int, area: int) -> str:
    """ "Circle, B, 12": section, row and seat, or an area's name."""
    if seat < 0:
        return plan.areas[area].name
    label = plan.seat_label(seat)
    return ", ".join(word for word in (label.section, label.row, label.seat) if word)


async def _ask(
    edge: Edge, performance: int, kind: str, command: CountInside | ListConflicts, expected: Any
) -> Any:
    outcome = await ask(edge.hub.batcher, performance, kind, command)
    assert isinstance(outcome, expected), f"{kind} was answered by {outcome}"
    return outcome


def _id() -> bytes:
    return secrets.token_bytes(ID_BYTES)
