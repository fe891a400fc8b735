"""The devices of the doors: made, enrolled by a code, seen, revoked; and what they must know.

Owns these routes and the life of an enrolment: a token that is good once, for
ENROLMENT_LIFE_S, and becomes a device's own token. How the code looks that
carries it is `renderers.enrolment`'s.
"""

import asyncio
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import replace

from engine.commands import TicketState
from engine.door_list import DoorGate, DoorList, Use
from engine.limits import MAX_TEXT_CHARS
from engine.plan import Plan
from gateway.http import (
    EDGE,
    address_key,
    address_of,
    answer,
    number_in,
    operator,
    query_number,
    read_json,
    somebody,
)
from gateway.limits import ENROLMENT_LIFE_S
from gateway.problems import Problem, too_many
from gateway.programme import Entry
from gateway.session import Role, digest_of, new_token, now_ms

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
_SUPERVISING: Final = (Role.ADMIN, Role.SUPERVISOR)
_AT_DOORS: Final = (Role.ADMIN, Role.SUPERVISOR, Role.DOOR, Role.DEVICE)

routes = web.RouteTableDef()


class NewDevice(Struct, frozen=True):
    """`performances`: those it may scan for, empty for any."""

    name: Name
    gate: Text = ""
    performances: tuple[Number, ...] = ()


class Enrolment(Struct, frozen=True):
    token: Text


@routes.get("/api/devices")
async def get_devices(request: web.Request) -> web.Response:
    await operator(request, *_SUPERVISING)
    devices = await request.app[EDGE].backend.access.list_devices()
    return answer([_told(device) for device in devices])


@routes.post("/api/devices")
async def post_device(request: web.Request) -> web.Response:
    """A device, its token, and a code to enrol a machine with instead; each is shown this once."""
    edge = request.app[EDGE]
    principal = await operator(request, *_SUPERVISING)
    wanted = await read_json(request, NewDevice)
    house = await edge.programme.house()
    token, enrolment, expires_ms = new_token("d"), new_token("e"), _expiry_ms()
    made = await edge.backend.access.create_device(
        house.id,
        name=wanted.name,
        token_hash=digest_of(token),
        gate=wanted.gate,
        performances=tuple(sorted(set(wanted.performances))),
        now_ms=now_ms(),
        enrolment_hash=digest_of(enrolment),
        enrolment_expires_ms=expires_ms,
    )
    edge.auditor.note(principal, "add_device", made.id, name=made.name, gate=made.gate)
    told = {"token": token, "enrolment": enrolment, "enrolment_expires_ms": expires_ms}
    return answer(_told(made) | told, status=201)


@routes.post("/api/devices/{device}/enrolment")
async def post_enrolment(request: web.Request) -> web.Response:
    """Another code for a device: the first was not used in time, or the machine is a new one."""
    edge = request.app[EDGE]
    principal = await operator(request, *_SUPERVISING)
    number = number_in(request, "device")
    enrolment, expires_ms = new_token("e"), _expiry_ms()
    device = await edge.backend.access.offer_enrolment(
        number, enrolment_hash=digest_of(enrolment), expires_ms=expires_ms
    )
    if device is None:
        raise Problem("not_found", "there is no such device, or it is revoked")
    edge.auditor.note(principal, "offer_enrolment", number)
    told = {"enrolment": enrolment, "enrolment_expires_ms": expires_ms}
    return answer(_told(device) | told, status=201)


@routes.post("/api/enrol")
async def post_enrol(request: web.Request) -> web.Response:
    """A machine shows the code it was given, and is a device from now on."""
    edge = request.app[EDGE]
    wanted = await read_json(request, Enrolment)
    key, now_s = address_key(request), asyncio.get_running_loop().time()
    wait_s = edge.enrolments.wait_s(key, now_s)
    if wait_s > 0:
        raise too_many(wait_s, "attempts")
    # Counted before it is known: many who guess at once must not all pass before the first.
    edge.enrolments.failed(key, now_s)
    token = new_token("d")
    device = await edge.backend.access.enrol_device(
        digest_of(wanted.token), token_hash=digest_of(token), now_ms=now_ms()
    )
    if device is None:
        raise Problem("enrolment_failed", "it was used, is too old, or never was: ask for another")
    edge.enrolments.forgive(key)
    # Whoever had the device's token before has none now.
    await edge.hub.check_tokens_now()
    principal = await edge.identities.identify(token)
    if principal is not None:
        edge.auditor.note(
            principal, "enrol", device.id, name=device.name, address=address_of(request)
        )
    return answer(
        {
            "token": token,
            "name": device.name,
            "gate": device.gate,
            "performances": device.performances,
        }
    )


@routes.delete("/api/devices/{device}")
async def delete_device(request: web.Request) -> web.Response:
    """Revoke a device, at once."""
    edge = request.app[EDGE]
    principal = await operator(request, *_SUPERVISING)
    number = number_in(request, "device")
    if not await edge.backend.access.revoke_device(number, now_ms()):
        raise Problem("not_found", "there is no such device, or it is revoked")
    await edge.hub.check_tokens_now()
    edge.auditor.note(principal, "revoke_device", number)
    return answer({})


# What they must know ------------------------------------------------------------------


@routes.get("/api/performances/{performance}/door-list")
async def get_door_list(request: web.Request) -> web.Response:
    """What a device judges by while nobody answers it."""
    edge = request.app[EDGE]
    principal = await somebody(request)
    if not principal.has(*_AT_DOORS):
        raise Problem("forbidden", "this is for those who stand at doors")
    performance = number_in(request, "performance")
    if not principal.may_serve(performance):
        raise Problem("forbidden", f"this device does not serve performance {performance}")
    since = query_number(request, "since", 0, most=2**62)
    first = query_number(request, "first", 1, least=1)
    entry = await edge.programme.entry(performance)
    rows = await edge.backend.door_lists.read(performance, since=since, first=first)
    if rows is None:
        raise Problem("performance_unknown", f"there is no performance {performance}")
    if principal.kind == "device":
        kept = query_number(request, "kept", 0)
        await edge.backend.access.device_seen(principal.digest, now_ms=now_ms(), kept_scans=kept)
    plan = await edge.plans.plan(entry.plan)
    listed = await asyncio.to_thread(_listed, entry, plan, edge.hub.secrets.public, rows, first)
    # A seq of before the database was restored says nothing about what comes after it.
    return answer(replace(listed, whole=not 0 < since <= rows.seq))


def _listed(entry: Entry, plan: Plan, public: bytes, rows: Any, first: int) -> DoorList:
    settings = entry.settings
    seat_section = [plan.rows[seat.row].section for seat in plan.seats]
    used: dict[int, Use | None] = dict.fromkeys(rows.unused)
    used |= {number: Use(at_ms, gate, inside) for number, at_ms, gate, inside in rows.used}
    return DoorList(
        performance=entry.id,
        public_key=public.hex(),
        plan=entry.plan,
        opens_ms=settings.doors_open_ms,
        closes_ms=settings.doors_close_ms,
        re_entry=settings.re_entry,
        gates=tuple(DoorGate(gate.id, gate.name, gate.sections) for gate in settings.gates),
        seq=rows.seq,
        tickets=rows.tickets,
        states={number: TicketState(state) for number, state in rows.states.items()},
        versions=rows.versions,
        used=used,
        whole=True,
        first=first,
        places=tuple(rows.places),
        sections=tuple(
            seat_section[place] if place >= 0 else plan.areas[-1 - place].section
            for place in rows.places
        ),
    )


def _expiry_ms() -> int:
    return now_ms() + ENROLMENT_LIFE_S * 1000


def _told(device: Any) -> dict[str, Any]:
    return {
        "id": device.id,
        "name": device.name,
        "gate": device.gate,
        "performances": device.performances,
        "created_ms": device.created_ms,
        "revoked_ms": device.revoked_ms,
        "seen_ms": device.seen_ms,
        "kept_scans": device.kept_scans,
    }
