"""The programme as a whole: read to be compared with a season file, and changed as one says.

Owns these routes, and telling the performance actors what a change left to tell. The change itself
is one transaction of the database, which notes whom to tell; from then on it can only be finished:
by the request that made it, by the next one of any kind here, or by a gateway that starts. An actor
is told with an id that follows from the change, so that it hears of it once.
"""

import asyncio
from hashlib import sha256
from typing import Annotated, Final

import msgspec
import structlog
from aiohttp import web
from msgspec import Meta, Struct

from engine.commands import ID_BYTES, Configure, Refused
from engine.limits import MAX_HTTP_BODY_BYTES
from engine.season import (
    Changed,
    Key,
    ProductionFound,
    Programme,
    Reason,
    Todo,
    Unchanged,
    fingerprint,
)
from engine.settings_check import first_flaw
from gateway.asking import ask
from gateway.backend import BackendUnavailable
from gateway.http import EDGE, Edge, answer, operator, read_json
from gateway.limits import MAX_TOLD_AT_ONCE, STAFF_PAST_S
from gateway.problems import Problem
from gateway.session import Role, now_ms

log = structlog.get_logger("gateway.season")

MAX_NAMED: Final = 500

routes = web.RouteTableDef()


class SeasonState(Struct, frozen=True):
    """The house as it is; `fingerprint` stands for it when a change is asked for."""

    fingerprint: str
    now_ms: int
    productions: list[ProductionFound]


class SeasonChange(Struct, frozen=True):
    """A programme to apply to the house as it was found. `id` is made by who asks: 32 hex digits.

    The same id with the same programme is applied once, however often it is sent.
    """

    id: Annotated[str, Meta(pattern="^[0-9a-f]{32}$")]
    fingerprint: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]
    programme: Programme


class NamedProductions(Struct, frozen=True):
    """The keys of productions that may be in the house or not."""

    keys: Annotated[tuple[Key, ...], Meta(max_length=MAX_NAMED)]


@routes.get("/api/programme")
async def get_programme(request: web.Request) -> web.Response:
    """What is on, and what was in the last month, by production, with what is sold."""
    edge = request.app[EDGE]
    await operator(request, Role.ADMIN, Role.SUPERVISOR)
    at_ms = now_ms()
    return _state(await edge.backend.season.coming(at_ms - STAFF_PAST_S * 1000), at_ms)


@routes.post("/api/programme/named")
async def post_named(request: web.Request) -> web.Response:
    """The productions of some keys, whole, to compare a programme with them. Changes nothing."""
    edge = request.app[EDGE]
    await operator(request, Role.ADMIN, Role.SUPERVISOR)
    wanted = await read_json(request, NamedProductions)
    await finish(edge)
    return _state(await edge.backend.season.named(wanted.keys), now_ms())


@routes.post("/api/programme")
async def post_programme(request: web.Request) -> web.Response:
    """Make the house as a programme says, all of it or nothing, in order with its sales."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, SeasonChange, MAX_HTTP_BODY_BYTES)
    await finish(edge)
    await _check(edge, wanted.programme)
    house = await edge.programme.house()
    encoded = await asyncio.to_thread(msgspec.json.encode, wanted, order="sorted")
    outcome = await edge.backend.season.apply(
        house.id,
        wanted.programme,
        id=bytes.fromhex(wanted.id),
        compared_with=wanted.fingerprint,
        digest=sha256(encoded).digest(),
        now_ms=now_ms(),
    )
    if isinstance(outcome, Unchanged):
        raise _problem(outcome)
    if not outcome.again:
        edge.auditor.note(principal, "apply_programme", wanted.id, **_counts(outcome))
    edge.programme.changed()
    await finish(edge)
    edge.programme.changed()
    return answer(_counts(outcome))


async def finish(edge: Edge) -> None:
    """Tell whoever is still to be told of changes that are written. Raises BackendUnavailable."""
    for change in await edge.backend.season.pending():
        turns = asyncio.Semaphore(MAX_TOLD_AT_ONCE)

        async def tell(todo: Todo, id: bytes = change.id, turns: asyncio.Semaphore = turns) -> None:
            async with turns:
                await _tell(edge, id, todo)

        # All are waited for, also when one fails: who is told is told.
        ends = await asyncio.gather(*map(tell, change.todo), return_exceptions=True)
        failed = [end for end in ends if isinstance(end, BaseException)]
        if failed:
            raise failed[0]
        await edge.backend.season.told(change.number)


async def _check(edge: Edge, programme: Programme) -> None:
    """Raises Problem("invalid") that names the field, or Problem("plan_unknown")."""
    for at, production in enumerate(programme.productions):
        for number, one in enumerate(production.performances):
            flaw = first_flaw(one.settings, await edge.plans.plan(one.plan))
            if flaw is not None:
                where = f"$.programme.productions[{at}].performances[{number}].settings"
                raise Problem("invalid", flaw.why, field=f"{where}.{flaw.field}")


async def finish_at_start(edge: Edge) -> None:
    """What a gateway left that ended in the middle; where that fails, the next request does it."""
    try:
        await finish(edge)
    except Exception as error:
        log.warning("a programme is not finished", why=repr(error))


async def _tell(edge: Edge, change: bytes, todo: Todo) -> None:
    number = todo.performance
    id = sha256(change + number.to_bytes(4, "big")).digest()[:ID_BYTES]
    outcome = await ask(edge.hub.batcher, number, "configure", Configure(id, todo.after))
    if isinstance(outcome, Refused):
        raise BackendUnavailable(f"performance {number}: {outcome.code}")


def _state(found: list[ProductionFound], at_ms: int) -> web.Response:
    return answer(SeasonState(fingerprint(found), at_ms, found))


def _counts(changed: Changed) -> dict[str, int]:
    return {"added": changed.added, "changed": changed.changed, "withdrawn": changed.withdrawn}


def _problem(unchanged: Unchanged) -> Problem:
    if unchanged.reason is Reason.PLAN_UNKNOWN:
        return Problem("plan_unknown", f"there is no plan {unchanged.plan}")
    if unchanged.reason is Reason.STALE:
        return Problem("programme_changed", "compare the programme with the house again")
    if unchanged.reason is Reason.OTHER_CONTENT:
        return Problem("conflict", "another programme was applied under this id", field="$.id")
    faults = msgspec.to_builtins(unchanged.faults)
    first = unchanged.faults[0]
    where = " ".join(filter(None, (first.production, first.performance, first.what)))
    return Problem("programme_faulty", f"{first.flaw}: {where}", faults=faults)
