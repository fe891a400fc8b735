"""Setting a house up: its look, plans, productions, performances, people; the audit log.

Owns these routes; all but reading the plans' list are an admin's. What runs is
changed through its performance actor (`Configure`), so that a sale under way
sees every change in order; the rest is the database's.
"""

import asyncio
import secrets
from typing import Annotated, Any, Final
from zoneinfo import available_timezones

import msgspec
from aiohttp import web
from msgspec import Meta, Struct
from msgspec.structs import asdict

from engine.commands import ID_BYTES, Configure, Refused
from engine.currency import checked_currency
from engine.limits import MAX_HTTP_BODY_BYTES, MAX_TEXT_CHARS
from engine.mails import is_address
from engine.plan_check import PlanError
from engine.plan_io import dump_plan, load_plan
from engine.settings import SaleStatus, Settings
from engine.settings_check import first_flaw
from gateway.asking import ask
from gateway.http import (
    EDGE,
    Edge,
    answer,
    number_in,
    operator,
    query_number,
    read_body,
    read_json,
    rows_wanted,
)
from gateway.limits import (
    DEFAULT_ROWS_PER_PAGE,
    MAX_HOUSE_BYTES,
    MAX_PASSWORD_CHARS,
    MIN_PASSWORD_CHARS,
)
from gateway.problems import Problem
from gateway.programme import OfferedTerms, SalesMail
from gateway.session import OPERATOR_ROLES, Role, now_ms
from renderers import i18n
from renderers.codes import is_picture
from renderers.house_style import HouseStyle
from renderers.palette import BRASS, VELVET

Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS)]
Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
Texts = Annotated[dict[str, Name], Meta(min_length=1, max_length=10)]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]
"""Of something that the database numbers."""
_SUPERVISING: Final = (Role.ADMIN, Role.SUPERVISOR)

routes = web.RouteTableDef()


class NewProduction(Struct, frozen=True):
    """`titles` and `subtitles` by language; `info` is shown nowhere yet, and kept."""

    titles: Texts
    currency: str
    subtitles: dict[str, Text] = {}
    info: dict[str, Any] = {}


class NewPerformance(Struct, frozen=True):
    production: Number
    plan: str
    starts_ms: Annotated[int, Meta(ge=0, le=2**53)]
    settings: Settings


class NewOperator(Struct, frozen=True):
    name: Name
    password: Annotated[str, Meta(min_length=MIN_PASSWORD_CHARS, max_length=MAX_PASSWORD_CHARS)]
    roles: Annotated[tuple[Role, ...], Meta(min_length=1)]
    language: str = "fr"


Colour = Annotated[str, Meta(pattern="^#[0-9a-f]{6}$")]


class HouseLook(HouseStyle, frozen=True, kw_only=True):
    """The house as pages, tickets and receipts show it. `logo` is base64, `vat_bp` basis points.

    `invoice` and `on_site` let buyers pay later, on these terms; `bank_account` is where an
    invoice is paid. `legal_name` is who bills, where that is not the house's name, `no_vat` why no
    VAT is charged, and `late_payment` what a professional owes who pays late. `sales_mail` says
    who of the house is told of sales. With `till_sessions_required` nobody takes money by hand, or
    hands it back, without a till session that is open.
    """

    name: Name
    time_zone: str
    languages: Annotated[tuple[str, ...], Meta(min_length=1)]
    accent: Colour = VELVET
    trim: Colour = BRASS
    vat_bp: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    bank_account: Text = ""
    legal_name: Text = ""
    no_vat: Text = ""
    late_payment: Text = ""
    invoice: OfferedTerms | None = None
    on_site: OfferedTerms | None = None
    sales_mail: SalesMail | None = None
    till_sessions_required: bool = False


# The house ---------------------------------------------------------------------------


@routes.put("/api/house")
async def put_house(request: web.Request) -> web.Response:
    """Name, address, colours and legal words of the house; a demo becomes a house of one's own."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, HouseLook, MAX_HOUSE_BYTES)
    if wanted.time_zone not in available_timezones():
        raise Problem("invalid", f"there is no time zone {wanted.time_zone}", field="$.time_zone")
    unknown = [language for language in wanted.languages if language not in i18n.languages()]
    if unknown:
        raise Problem("invalid", f"there are no texts in {unknown[0]}", field="$.languages")
    if wanted.logo and not await asyncio.to_thread(is_picture, wanted.logo):
        raise Problem("invalid", "the logo is not a PNG or JPEG picture", field="$.logo")
    for address in wanted.sales_mail.to if wanted.sales_mail is not None else ():
        if not is_address(address):
            detail = f"{address} is no e-mail address"
            raise Problem("invalid", detail, field="$.sales_mail.to")
    house = await edge.programme.house()
    look = msgspec.to_builtins(wanted)
    for column in ("name", "time_zone", "languages"):
        del look[column]
    if readers := house.settings.get("readers"):  # which have a route of their own
        look["readers"] = readers
    await edge.backend.catalogue.change_house(
        house.id,
        name=wanted.name,
        time_zone=wanted.time_zone,
        languages=wanted.languages,
        settings=look,
    )
    edge.programme.house_changed()
    edge.auditor.note(principal, "change_house", house.id, name=wanted.name)
    return answer({"name": wanted.name})


# Plans, productions, performances ------------------------------------------------------


@routes.post("/api/plans")
async def post_plan(request: web.Request) -> web.Response:
    """Keep a plan: our own format, pretix JSON or CSV. With problems nothing is kept."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    body = await read_body(request, MAX_HTTP_BODY_BYTES)
    name = request.query.get("name", "")[:MAX_TEXT_CHARS]
    try:
        plan = await asyncio.to_thread(load_plan, body, name)
    except PlanError as error:
        problems = msgspec.to_builtins(error.problems)
        raise Problem("plan_invalid", str(error), problems=problems) from None
    kept, plan_hash = await asyncio.to_thread(lambda: (dump_plan(plan), plan.content_hash()))
    places = len(plan.seats) + sum(area.capacity for area in plan.areas)
    added = await edge.backend.catalogue.add_plan(
        plan_hash=plan_hash,
        name=plan.name,
        seats=len(plan.seats),
        places=places,
        body=kept,
        now_ms=now_ms(),
    )
    edge.auditor.note(principal, "add_plan", plan_hash, name=plan.name)
    told = {"hash": plan_hash, "name": plan.name, "seats": len(plan.seats), "places": places}
    return answer(told | {"added": added, "problems": []}, status=201 if added else 200)


@routes.get("/api/plans")
async def get_plans(request: web.Request) -> web.Response:
    await operator(request, *_SUPERVISING)
    return answer(await request.app[EDGE].backend.catalogue.list_plans())


@routes.get("/api/productions")
async def get_productions(request: web.Request) -> web.Response:
    await operator(request, *_SUPERVISING)
    return answer(await request.app[EDGE].backend.catalogue.list_productions())


@routes.post("/api/productions")
async def post_production(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, NewProduction)
    try:
        currency = checked_currency(wanted.currency)
    except ValueError as error:
        raise Problem("invalid", str(error), field="$.currency") from None
    house = await edge.programme.house()
    made = await edge.backend.catalogue.create_production(
        house.id,
        titles=wanted.titles,
        subtitles=wanted.subtitles,
        currency=currency,
        info=wanted.info,
        now_ms=now_ms(),
    )
    edge.auditor.note(principal, "add_production", made.id)
    return answer(made, status=201)


@routes.post("/api/performances")
async def post_performance(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, NewPerformance)
    production = await edge.backend.catalogue.production(wanted.production)
    if production is None:
        raise Problem("invalid", "there is no such production", field="$.production")
    if production.currency != wanted.settings.currency:
        raise Problem(
            "invalid", f"the production is in {production.currency}", field="$.settings.currency"
        )
    _check_status(wanted.settings, SaleStatus.CLOSED, "$.settings.status")
    await _check_settings(edge, wanted.settings, wanted.plan, "$.settings.")
    try:
        number = await edge.backend.catalogue.create_performance(
            wanted.production,
            plan_hash=wanted.plan,
            starts_ms=wanted.starts_ms,
            settings=msgspec.json.encode(wanted.settings),
            now_ms=now_ms(),
        )
    except LookupError as error:
        raise Problem("plan_unknown", str(error)) from None
    edge.programme.changed()
    edge.auditor.note(principal, "add_performance", number)
    return answer({"id": number}, status=201)


@routes.get("/api/performances/{performance}/settings")
async def get_settings(request: web.Request) -> web.Response:
    await operator(request, *_SUPERVISING)
    entry = await request.app[EDGE].programme.entry(number_in(request, "performance"))
    return answer(entry.settings)


@routes.put("/api/performances/{performance}/settings")
async def put_settings(request: web.Request) -> web.Response:
    """Replace a performance's settings, in order with its sales."""
    edge = request.app[EDGE]
    principal = await operator(request, *_SUPERVISING)
    performance = number_in(request, "performance")
    settings = await read_json(request, Settings)
    entry = await edge.programme.entry(performance)
    _check_status(settings, entry.settings.status, "$.status")
    await _check_settings(edge, settings, entry.plan, "$.")
    configure = Configure(secrets.token_bytes(ID_BYTES), settings)
    outcome = await ask(edge.hub.batcher, performance, "configure", configure)
    if isinstance(outcome, Refused):
        raise Problem(outcome.code, outcome.detail, status=409)
    edge.programme.changed()
    edge.auditor.note(principal, "configure", performance)
    return answer(settings)


def _check_status(settings: Settings, was: SaleStatus, field: str) -> None:
    """Raises Problem("invalid"): settings cancel nothing, because cancelling gives money back."""
    if (settings.status is SaleStatus.CANCELLED) is not (was is SaleStatus.CANCELLED):
        raise Problem(
            "invalid", "a performance is cancelled by its own command, for good", field=field
        )


async def _check_settings(edge: Edge, settings: Settings, plan_hash: str, at: str) -> None:
    """Raises Problem("invalid") that names the field, or Problem("plan_unknown")."""
    flaw = first_flaw(settings, await edge.plans.plan(plan_hash))
    if flaw is not None:
        raise Problem("invalid", flaw.why, field=at + flaw.field)


# People --------------------------------------------------------------------------------


@routes.get("/api/operators")
async def get_operators(request: web.Request) -> web.Response:
    await operator(request, Role.ADMIN)
    people = await request.app[EDGE].backend.access.list_operators()
    return answer(
        [
            {
                "id": person.id,
                "name": person.name,
                "roles": person.roles,
                "language": person.language,
                "active": person.active,
            }
            for person in people
        ]
    )


@routes.post("/api/operators")
async def post_operator(request: web.Request) -> web.Response:
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    wanted = await read_json(request, NewOperator)
    if not set(wanted.roles) <= set(OPERATOR_ROLES):
        raise Problem("invalid", f"roles are {', '.join(OPERATOR_ROLES)}", field="$.roles")
    if Role.RESELLER in wanted.roles and len(set(wanted.roles)) > 1:
        raise Problem("invalid", "a reseller has no other role", field="$.roles")
    if i18n.match(wanted.language) is None:
        known = ", ".join(i18n.languages())
        raise Problem("invalid", f"languages are {known}", field="$.language")
    house = await edge.programme.house()
    password_hash = await edge.passwords.hash(wanted.password)
    try:
        made = await edge.backend.access.create_operator(
            house.id,
            name=wanted.name,
            password_hash=password_hash,
            roles=tuple(sorted({role.value for role in wanted.roles})),
            language=wanted.language,
            now_ms=now_ms(),
        )
    except edge.backend.conflicts:
        raise Problem("conflict", "an operator has, or had, this name", field="$.name") from None
    edge.auditor.note(principal, "add_operator", made.name, roles=sorted(wanted.roles))
    return answer({"id": made.id, "name": made.name, "roles": made.roles}, status=201)


@routes.delete("/api/operators/{operator}")
async def delete_operator(request: web.Request) -> web.Response:
    """Take an operator's rights away, at once."""
    edge = request.app[EDGE]
    principal = await operator(request, Role.ADMIN)
    number = number_in(request, "operator")
    if not await edge.backend.access.disable_operator(number):
        raise Problem("not_found", "there is no such active operator")
    await edge.hub.check_tokens_now()
    edge.auditor.note(principal, "remove_operator", number)
    return answer({})


@routes.get("/api/audit")
async def get_audit(request: web.Request) -> web.Response:
    """Who did what, the latest first."""
    edge = request.app[EDGE]
    await operator(request, Role.ADMIN)
    before = query_number(request, "before", 0, most=2**62) or None
    limit = rows_wanted(request, DEFAULT_ROWS_PER_PAGE)
    rows = await edge.backend.access.list_audit(before=before, limit=limit)
    return answer([asdict(row) for row in rows])
