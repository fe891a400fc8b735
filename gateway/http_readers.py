"""Card readers over HTTP: which there are, at which tills they stand, and a payment stopped.

Owns these routes and their roles. A reader is asked for a card by paying (`http_orders`); what it
does is the order desk's and the provider's. At which tills one stands is in the house's settings.
"""

from typing import Annotated, Final

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from engine.tills import MAX_TILL_CHARS, till_key
from gateway.http import EDGE, answer, operator, read_json
from gateway.http_orders import SELLERS, decided, order_id, order_view
from gateway.problems import Problem
from gateway.session import Role

MAX_TILLS_WITH_READER: Final = 200
_SETTING: Final = (Role.ADMIN, Role.SUPERVISOR)

routes = web.RouteTableDef()


class Stop(Struct, frozen=True):
    attempt: Annotated[str, Meta(min_length=1, max_length=64)]


class StandsAt(Struct, frozen=True):
    """The tills where a reader stands, by name; none: at no till."""

    tills: Annotated[
        tuple[Annotated[str, Meta(min_length=1, max_length=MAX_TILL_CHARS)], ...],
        Meta(max_length=MAX_TILLS_WITH_READER),
    ]


class Card(Struct, frozen=True):
    """A test card for a simulated reader, "" for one that pays."""

    number: Annotated[str, Meta(pattern="^[0-9]{0,19}$")] = ""


@routes.get("/api/readers")
async def get_readers(request: web.Request) -> web.Response:
    """The readers of the provider's account, each with the tills where it stands."""
    edge = request.app[EDGE]
    await operator(request, *SELLERS)
    found = decided(await edge.backend.desk.readers())
    bound = (await edge.programme.house()).settings.get("readers", {})
    return answer(
        [
            msgspec.structs.asdict(one)
            | {"tills": sorted(till for till, reader in bound.items() if reader == one.id)}
            for one in found
        ]
    )


@routes.put("/api/readers/{reader}")
async def put_reader(request: web.Request) -> web.Response:
    """Say at which tills a reader stands, and at no others. A till has one reader."""
    edge = request.app[EDGE]
    principal = await operator(request, *_SETTING)
    wanted = await read_json(request, StandsAt)
    reader = request.match_info["reader"]
    if all(one.id != reader for one in decided(await edge.backend.desk.readers())):
        raise Problem("reader_unknown", status=404)
    house = await edge.programme.house()
    tills = {till_key(till): till.strip() for till in wanted.tills}
    bound = {
        till: other
        for till, other in house.settings.get("readers", {}).items()
        if other != reader and till_key(till) not in tills
    }
    bound |= dict.fromkeys(tills.values(), reader)
    if len(bound) > MAX_TILLS_WITH_READER:
        raise Problem("invalid", f"{MAX_TILLS_WITH_READER} tills at most", field="$.tills")
    await edge.backend.catalogue.change_house(
        house.id,
        name=house.name,
        time_zone=house.time_zone,
        languages=house.languages,
        settings=house.settings | {"readers": bound},
    )
    edge.programme.house_changed()
    edge.auditor.note(principal, "bind_reader", reader, tills=sorted(tills.values()))
    return answer({"id": reader, "tills": sorted(tills.values())})


@routes.post("/api/readers/{reader}/present")
async def present(request: web.Request) -> web.Response:
    """Present a test card to a simulated reader, as somebody who pays would."""
    edge = request.app[EDGE]
    await operator(request, *_SETTING)
    wanted = await read_json(request, Card)
    decided(await edge.backend.desk.present(request.match_info["reader"], wanted.number))
    return answer({"presented": True})


@routes.post("/api/orders/{order}/stop")
async def stop(request: web.Request) -> web.Response:
    """Wait no longer for the card of an attempt. The order may turn out to be paid."""
    edge = request.app[EDGE]
    seller = await operator(request, *SELLERS)
    wanted = await read_json(request, Stop)
    stopped = decided(await edge.backend.desk.stop(order_id(request), wanted.attempt))
    edge.auditor.note(seller, "stop_payment", stopped.number)
    return answer(await order_view(edge, stopped))
