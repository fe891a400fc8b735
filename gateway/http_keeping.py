"""What is kept for whom, and how full the quotas are: asked for, kept and given back.

Owns these routes and their roles. Who sells may look; what is kept is a supervisor's.
"""

import secrets
from typing import Annotated, Any, Final

from aiohttp import web
from msgspec import Meta, Struct

from engine.commands import (
    ID_BYTES,
    Allocate,
    Allocated,
    AllocationsAre,
    AllocationUse,
    Channel,
    CountQuotas,
    ListAllocations,
    QuotasAre,
    Refused,
)
from engine.limits import MAX_TEXT_CHARS
from gateway.asking import ask
from gateway.http import EDGE, Edge, answer, number_in, operator, read_json, shown_entry
from gateway.limits import MAX_SEATS_KEPT_AT_ONCE
from gateway.problems import Problem
from gateway.session import Principal, Role, now_ms

KEEPING_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR)
SELLING_ROLES: Final = (*KEEPING_ROLES, Role.CASHIER)

Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
Seats = Annotated[tuple[int, ...], Meta(max_length=MAX_SEATS_KEPT_AT_ONCE)]

routes = web.RouteTableDef()


class NewAllocation(Struct, frozen=True):
    """Seats for these channels alone, until `release_ms` where that is not 0."""

    name: Name
    channels: Annotated[tuple[Channel, ...], Meta(min_length=1)]
    seats: Annotated[Seats, Meta(min_length=1)]
    release_ms: Annotated[int, Meta(ge=0, le=2**53)] = 0


class GivenBack(Struct, frozen=True):
    """These seats of the allocation, or all of them when none is named."""

    name: Name
    seats: Seats = ()
    reason: Annotated[str, Meta(max_length=MAX_TEXT_CHARS)] = ""


@routes.get("/api/performances/{performance}/allocations")
async def get_allocations(request: web.Request) -> web.Response:
    """What is kept for whom, and how much of it is left; of `?name=` with its seats.

    A reseller is told of what is kept for resellers.
    """
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *SELLING_ROLES, Role.RESELLER)
    name = request.query.get("name", "")[:MAX_TEXT_CHARS]
    if principal.is_reseller:
        await shown_entry(request, principal)
        told = await _told(edge, performance, name)
        mine = [one for one in told.allocations if principal.channel in one.channels]
        return answer({"allocations": [_use(one) for one in mine]})
    return answer(await _allocations(edge, performance, name))


@routes.post("/api/performances/{performance}/allocations")
async def post_allocation(request: web.Request) -> web.Response:
    """Keep seats; named again, they give their allocation these channels and this time."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *KEEPING_ROLES)
    wanted = await read_json(request, NewAllocation)
    if 0 < wanted.release_ms <= now_ms():
        raise Problem("invalid", "the time of release is over", field="$.release_ms")
    command = Allocate(
        secrets.token_bytes(ID_BYTES), wanted.name, wanted.channels, wanted.seats, wanted.release_ms
    )
    told = {"channels": list(wanted.channels), "release_ms": wanted.release_ms}
    return await _change(edge, principal, performance, command, told)


@routes.post("/api/performances/{performance}/allocations/release")
async def release_allocation(request: web.Request) -> web.Response:
    """Put an allocation's seats, or some of them, on sale for everybody."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    principal = await operator(request, *KEEPING_ROLES)
    wanted = await read_json(request, GivenBack)
    id = secrets.token_bytes(ID_BYTES)
    command = Allocate(id, wanted.name, (), wanted.seats, back=bool(wanted.seats))
    return await _change(edge, principal, performance, command, {"reason": wanted.reason})


@routes.get("/api/performances/{performance}/quotas")
async def get_quotas(request: web.Request) -> web.Response:
    """The quotas, and how many places count for each."""
    edge, performance = request.app[EDGE], number_in(request, "performance")
    await operator(request, *SELLING_ROLES)
    entry = await edge.programme.entry(performance)
    command = CountQuotas(secrets.token_bytes(ID_BYTES))
    told = await ask(edge.hub.batcher, performance, "quotas", command)
    assert isinstance(told, QuotasAre), f"a question was answered by {told}"
    quotas = {quota.id: quota for quota in entry.settings.quotas}
    return answer(
        [
            {
                "id": one.id,
                "names": quotas[one.id].names if one.id in quotas else {},
                "limit": one.limit,
                "used": one.used,
                "left": max(0, one.limit - one.used),
            }
            for one in told.quotas
        ]
    )


async def _change(
    edge: Edge, principal: Principal, performance: int, command: Allocate, told: dict[str, Any]
) -> web.Response:
    await edge.programme.entry(performance)
    outcome = await ask(edge.hub.batcher, performance, "allocate", command)
    if isinstance(outcome, Refused):
        raise Problem(outcome.code, outcome.detail, status=409, seats=outcome.seats)
    assert isinstance(outcome, Allocated), f"an allocation was answered by {outcome}"
    act = "allocate" if command.channels else "release_allocation"
    seats = len(outcome.seats)
    edge.auditor.note(principal, act, performance, name=command.name, seats=seats, **told)
    return answer(await _allocations(edge, performance, command.name))


async def _allocations(edge: Edge, performance: int, name: str) -> dict[str, Any]:
    entry = await edge.programme.entry(performance)
    told = await _told(edge, performance, name)
    plan = await edge.plans.plan(entry.plan)
    return {
        "allocations": [_use(one) for one in told.allocations],
        "surplus": _use(told.surplus)
        | {
            "areas": [
                {"area": area, "name": plan.areas[area].name, "left": left}
                for area, left in told.areas
            ]
        },
    }


async def _told(edge: Edge, performance: int, name: str) -> AllocationsAre:
    command = ListAllocations(secrets.token_bytes(ID_BYTES), name)
    told = await ask(edge.hub.batcher, performance, "allocations", command)
    assert isinstance(told, AllocationsAre), f"a question was answered by {told}"
    return told


def _use(one: AllocationUse) -> dict[str, Any]:
    told = {name: getattr(one, name) for name in one.__struct_fields__ if name != "named"}
    return told | ({"indices": one.named} if one.named else {})
