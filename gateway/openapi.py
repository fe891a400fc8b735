"""The OpenAPI document of the HTTP API, made from the routes and the types that handlers read.

Owns what a route does not say of itself: the type of its body, of its answer where there is
one, its query, and how it may refuse. A route without an entry in OPERATIONS is in the document
all the same, as one that takes a token and no body. Knows nothing of what handlers do.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import Struct

from engine.cancellation import Cancellation, Preview
from engine.commands import Channel
from engine.credit import CreditView
from engine.door_list import DoorList
from engine.listing import ListedStatus, ListTotals, PlaceKind
from engine.mails import MailRow
from engine.orders import Order, PlaceOrder
from engine.papers import PAPER_NAME, PaperKind, PaperRow
from engine.settings import Settings
from engine.tills import TillReport, TillSession
from gateway.http_admin import HouseLook, NewOperator, NewPerformance, NewProduction
from gateway.http_cancellation import CancelledPage, CancelPerformance
from gateway.http_devices import Enrolment, NewDevice
from gateway.http_doors import Mark
from gateway.http_keeping import GivenBack, NewAllocation
from gateway.http_ledger import Close
from gateway.http_list import ListPage
from gateway.http_mails import SendTickets
from gateway.http_operators import GiveBack, Login, NewTickets
from gateway.http_orders import Exchange, Pay, Reserve, Return
from gateway.http_papers import NewInvoice, NewSettlement
from gateway.http_public import SessionRequest
from gateway.http_quotes import AskQuote
from gateway.http_readers import Card, StandsAt, Stop
from gateway.http_rooms import NewRoom
from gateway.http_season import NamedProductions, SeasonChange, SeasonState
from gateway.http_tills import NewTillEntry, NewTillSession, TillClosing
from gateway.limits import MAX_ROWS_PER_PAGE
from gateway.list_query import DATE, FILTERS, PRICE, TIME
from gateway.problems import CODES

REF: Final = "#/components/schemas/{name}"
_OF_BODIES: Final = (408, 413, 415, 422)
_OF_TOKENS: Final = (401, 403, 429)
_NAME_IN_PATH: Final = re.compile(r"\{(\w+)\}")
_JSON: Final = "application/json"


class Operation(Struct, frozen=True):
    """`body` is a type; `answers` are types, or None for any JSON, by status.

    `media` is the answer's type where it is not JSON, `body_media` the body's. `refuses` are
    statuses of problems beside those of its path, query, body and token.
    """

    body: Any = None
    body_media: str = _JSON
    optional_body: bool = False
    answers: Mapping[int, Any] = msgspec.field(default_factory=lambda: {200: None})
    media: str = _JSON
    query: tuple[str, ...] = ()
    refuses: tuple[int, ...] = ()
    token: bool = True


_MADE: Final = {201: None}
_PAGE: Final = Operation(media="text/html", token=False)
_PDF: Final = Operation(media="application/pdf", token=False, query=("lang",), refuses=(409, 422))

OPERATIONS: Final[dict[str, Operation]] = {
    "GET /": _PAGE,
    "GET /p/{performance}": _PAGE,
    "GET /o/{order}": _PAGE,
    "GET /static/{name}": Operation(media="*/*", token=False),
    "GET /healthz": Operation(token=False),
    "GET /readyz": Operation(token=False, answers={200: None, 503: None}),
    "GET /metrics": Operation(media="text/plain", token=False, query=("name[]",)),
    "GET /ws": Operation(answers={101: None}, media="", token=False, refuses=(400, 403)),
    "GET /api/openapi.json": Operation(token=False),
    "GET /api/asyncapi.json": Operation(token=False),
    "GET /api/house": Operation(token=False),
    "GET /api/messages/{language}": Operation(token=False),
    "POST /api/session": Operation(SessionRequest, optional_body=True, refuses=(429,), token=False),
    "GET /api/plans/{hash}": Operation(token=False),
    "POST /api/login": Operation(Login, refuses=(401, 429), token=False),
    "POST /api/stripe/webhook": Operation(Any, token=False, refuses=(409,)),
    "POST /api/quote": Operation(AskQuote, refuses=(404, 409)),
    "POST /api/orders": Operation(PlaceOrder, answers={201: Order}, refuses=(404, 409)),
    "GET /api/orders/{order}": Operation(answers={200: Order}, token=False),
    "POST /api/orders/{order}/pay": Operation(Pay, refuses=(409,)),
    "POST /api/orders/{order}/stop": Operation(Stop, answers={200: Order}, refuses=(409,)),
    "POST /api/orders/{order}/reserve": Operation(
        Reserve, answers={200: Order}, refuses=(401, 409)
    ),
    "POST /api/orders/{order}/approve": Operation(answers={200: Order}, refuses=(409,)),
    "POST /api/orders/{order}/cancel": Operation(
        answers={200: Order}, query=("exchange",), refuses=(409,)
    ),
    "GET /api/orders/{order}/tickets.pdf": msgspec.structs.replace(_PDF, query=("lang", "line")),
    "GET /api/orders/{order}/gift-cards.pdf": _PDF,
    "GET /api/orders/{order}/receipt.pdf": _PDF,
    "GET /api/orders/{order}/papers": Operation(answers={200: list[PaperRow]}, token=False),
    "POST /api/orders/{order}/invoice": Operation(
        NewInvoice, answers={200: PaperRow}, token=False, query=("lang",), refuses=(409,)
    ),
    "GET /api/orders/{order}/papers/{paper}": _PDF,
    "GET /api/papers": Operation(
        answers={200: list[PaperRow]}, query=("series", "after_name", "limit")
    ),
    "GET /api/papers/{paper}": Operation(media="*/*", query=("format", "lang")),
    "GET /api/settlement": Operation(
        media="*/*", query=("from", "to", "performance", "format", "lang"), refuses=(409,)
    ),
    "POST /api/settlements": Operation(NewSettlement, answers={200: PaperRow}, refuses=(409,)),
    "POST /api/orders/{order}/refund": Operation(GiveBack, answers={200: Order}, refuses=(409,)),
    "POST /api/orders/{order}/return": Operation(
        Return, answers={200: Order}, token=False, refuses=(409,)
    ),
    "POST /api/orders/{order}/undo": Operation(NewTickets, answers={200: Order}, refuses=(409,)),
    "POST /api/orders/{order}/print": Operation(
        NewTickets, media="application/pdf", query=("lang",), refuses=(409,)
    ),
    "POST /api/orders/{order}/exchange": Operation(
        Exchange, answers={200: Order}, refuses=(401, 404, 409)
    ),
    "POST /api/orders/{order}/reissue": Operation(NewTickets, answers={200: Order}, refuses=(409,)),
    "GET /api/sales": Operation(
        query=("performance", "q", "state", "limit", "before"), refuses=(404,)
    ),
    "GET /api/ticket-list": Operation(answers={200: ListPage}, query=(*FILTERS, "limit", "next")),
    "GET /api/ticket-list/totals": Operation(answers={200: ListTotals}, query=FILTERS),
    "GET /api/ticket-list/export": Operation(
        media="*/*", query=(*FILTERS, "format", "lang"), refuses=(409,)
    ),
    "GET /api/tickets": Operation(query=("performance", "q", "limit"), refuses=(404,)),
    "GET /api/status": Operation(query=("performance",)),
    "GET /api/tills": Operation(
        answers={200: list[TillSession]}, query=("operator", "open", "limit", "before")
    ),
    "POST /api/tills": Operation(NewTillSession, answers={201: TillReport}, refuses=(409,)),
    "GET /api/tills/mine": Operation(),
    "GET /api/tills/{till}": Operation(answers={200: TillReport}),
    "GET /api/tills/{till}/report.pdf": Operation(media="application/pdf", query=("lang",)),
    "POST /api/tills/{till}/entries": Operation(
        NewTillEntry, answers={200: TillReport}, refuses=(409,)
    ),
    "POST /api/tills/{till}/close": Operation(
        TillClosing, answers={200: TillReport}, refuses=(409,)
    ),
    "GET /api/readers": Operation(refuses=(409,)),
    "PUT /api/readers/{reader}": Operation(StandsAt, refuses=(404, 409)),
    "POST /api/readers/{reader}/present": Operation(Card, refuses=(409,)),
    "GET /api/performances/{performance}/journal": Operation(
        media="application/msgpack", query=("after",)
    ),
    "GET /api/performances/{performance}/guests": Operation(
        query=("q", "format", "limit", "lang"), refuses=(409,)
    ),
    "GET /api/performances/{performance}/conflicts": Operation(query=("after",)),
    "POST /api/performances/{performance}/mark": Operation(Mark),
    "PUT /api/house": Operation(HouseLook),
    "POST /api/plans": Operation(
        Any, answers={200: None, 201: None}, query=("name",), refuses=(409,)
    ),
    "POST /api/productions": Operation(NewProduction, answers=_MADE),
    "POST /api/performances": Operation(NewPerformance, answers=_MADE, refuses=(404,)),
    "GET /api/programme": Operation(answers={200: SeasonState}),
    "POST /api/programme/named": Operation(NamedProductions, answers={200: SeasonState}),
    "POST /api/programme": Operation(SeasonChange, refuses=(404, 409)),
    "GET /api/performances/{performance}/settings": Operation(answers={200: Settings}),
    "PUT /api/performances/{performance}/settings": Operation(
        Settings, answers={200: Settings}, refuses=(409,)
    ),
    "GET /api/performances/{performance}/allocations": Operation(query=("name",)),
    "POST /api/performances/{performance}/allocations": Operation(NewAllocation, refuses=(409,)),
    "POST /api/performances/{performance}/allocations/release": Operation(
        GivenBack, refuses=(409,)
    ),
    "GET /api/performances/{performance}/cancellation": Operation(answers={200: Cancellation}),
    "POST /api/performances/{performance}/cancellation": Operation(
        CancelPerformance, answers={202: Cancellation}
    ),
    "GET /api/performances/{performance}/cancellation/preview": Operation(answers={200: Preview}),
    "GET /api/performances/{performance}/cancellation/orders": Operation(
        answers={200: CancelledPage}, query=("after",)
    ),
    "POST /api/performances/{performance}/queue": Operation(NewRoom, answers=_MADE, refuses=(409,)),
    "POST /api/operators": Operation(NewOperator, answers=_MADE, refuses=(409,)),
    "POST /api/devices": Operation(NewDevice, answers=_MADE),
    "POST /api/devices/{device}/enrolment": Operation(answers=_MADE),
    "POST /api/enrol": Operation(Enrolment, refuses=(401, 429), token=False),
    "GET /api/performances/{performance}/door-list": Operation(
        answers={200: DoorList}, query=("since", "first", "kept")
    ),
    "GET /scan": _PAGE,
    "GET /scan-worker.js": Operation(media="text/javascript", token=False),
    "GET /api/ledger/records": Operation(query=("after", "limit")),
    "GET /api/ledger/periods": Operation(query=("after", "limit")),
    "GET /api/ledger/periods/{period}/export": Operation(media="application/x-ndjson"),
    "POST /api/ledger/close": Operation(Close),
    "GET /api/ledger/journals": Operation(query=("after",)),
    "GET /api/ledger/journals/{performance}": Operation(query=("at",)),
    "GET /api/credits/{code}": Operation(answers={200: CreditView}, refuses=(404,)),
    "GET /api/mails": Operation(query=("order", "state", "limit", "before")),
    "GET /api/mails/{mail}": Operation(answers={200: MailRow}),
    "POST /api/mails/{mail}/retry": Operation(answers={200: MailRow}, refuses=(409,)),
    "POST /api/orders/{order}/mail": Operation(SendTickets, answers={200: MailRow}, refuses=(409,)),
    "GET /api/audit": Operation(query=("limit", "before")),
}

_NUMBER: Final = {"type": "integer", "minimum": 0, "maximum": 999_999_999}
_IN_PATH: Final[dict[str, dict[str, Any]]] = {
    "performance": _NUMBER,
    "operator": _NUMBER,
    "period": _NUMBER,
    "device": _NUMBER,
    "mail": _NUMBER,
    "paper": {"type": "string", "pattern": PAPER_NAME},
    "till": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "order": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
    "hash": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
    "language": {"type": "string", "pattern": "^[a-z]{2}$"},
}
_IN_QUERY: Final[dict[str, dict[str, Any]]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": MAX_ROWS_PER_PAGE},
    "before": {"type": "integer", "minimum": 0, "maximum": 2**62},
    "order": {"type": "integer", "minimum": 0, "maximum": 2**53},
    "after": {"type": "integer", "minimum": 0, "maximum": 2**53},
    "since": {"type": "integer", "minimum": 0, "maximum": 2**62},
    "first": {"type": "integer", "minimum": 1, "maximum": 2**31 - 1},
    "kept": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "performance": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "line": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "at": {"type": "array", "items": {"type": "integer", "minimum": 0}},
    "name[]": {"type": "array", "items": {"type": "string"}},
    "production": {"type": "integer", "minimum": 0, "maximum": 2**31 - 1},
    "channel": {"type": "array", "items": {"enum": [one.value for one in Channel]}},
    "kind": {"enum": [one.value for one in PlaceKind]},
    "status": {"type": "array", "items": {"enum": [one.value for one in ListedStatus]}},
    "used": {"enum": ["yes", "no"]},
    "series": {"enum": [one.value for one in PaperKind]},
    "after_name": {"type": "string", "pattern": PAPER_NAME},
    **{name: {"type": "string", "pattern": DATE} for name in ("from", "to")},
    **{
        name: {"type": "array", "items": {"type": "string"}}
        for name in ("price_type", "category", "operator")
    },
    **{name: {"type": "string", "pattern": PRICE} for name in ("price_from", "price_to")},
    **{
        f"{what}_{end}": {"type": "string", "pattern": f"{DATE}|{TIME}"}
        for what in ("ordered", "scanned")
        for end in ("from", "until")
    },
}
_TEXT: Final = {"type": "string"}


def document(app: web.Application) -> dict[str, Any]:
    """OpenAPI 3.1 of everything that the application routes."""
    types = {
        kind
        for operation in OPERATIONS.values()
        for kind in (operation.body, *operation.answers.values())
        if kind not in (None, Any)
    }
    ordered = sorted(types, key=lambda kind: str(kind.__name__))
    _, components = msgspec.json.schema_components(ordered, ref_template=REF)
    paths: dict[str, dict[str, Any]] = {}
    for route in app.router.routes():
        if route.resource is not None and route.method != "HEAD":
            path = route.resource.canonical
            operation = OPERATIONS.get(f"{route.method} {path}", Operation())
            told = _operation(path, route, operation)
            paths.setdefault(path, {})[route.method.lower()] = told
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Strapontin",
            "version": "1",
            "description": "The HTTP API; docs/protocol.md says what it means. Readers ignore"
            " members that they do not know.",
        },
        "paths": paths,
        "components": {
            "schemas": {**components, "Problem": PROBLEM},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


PROBLEM: Final = {
    "title": "Problem",
    "description": "What went wrong, as RFC 9457 has it.",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"const": "about:blank"},
        "title": _TEXT,
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {
            "description": f"{', '.join(CODES)}, or why the engine or the order desk refused",
            **_TEXT,
        },
        "detail": _TEXT,
    },
}


def _operation(path: str, route: web.AbstractRoute, operation: Operation) -> dict[str, Any]:
    in_path = _NAME_IN_PATH.findall(path)
    doc = (route.handler.__doc__ or "").strip()
    told: dict[str, Any] = {
        "operationId": f"{route.method.lower()} {path}",
        "summary": doc.splitlines()[0] if doc else f"{route.method} {path}",
        "parameters": [
            *(_parameter(name, "path", _IN_PATH.get(name, _TEXT)) for name in in_path),
            *(_parameter(name, "query", _IN_QUERY.get(name, _TEXT)) for name in operation.query),
        ],
        "responses": _responses(operation, _refusals(operation, in_path)),
    }
    if operation.token:
        told["security"] = [{"token": []}, {}]
    if operation.body is not None:
        told["requestBody"] = {
            "required": not operation.optional_body,
            "content": {operation.body_media: {"schema": _schema(operation.body)}},
        }
    return told


def _parameter(name: str, where: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": where, "required": where == "path", "schema": schema}


def _refusals(operation: Operation, in_path: list[str]) -> set[int]:
    found = {400, 503, *operation.refuses}
    if in_path:
        found.add(404)
    if operation.query:
        found.add(422)
    if operation.body is not None:
        found.update(_OF_BODIES)
    if operation.token:
        found.update(_OF_TOKENS)
    return found.difference(operation.answers)


def _responses(operation: Operation, refusals: Iterable[int]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for status, kind in operation.answers.items():
        told[str(status)] = {"description": "done" if status < 400 else "not now"}
        if operation.media:
            content = {} if operation.media != _JSON else {"schema": _schema(kind)}
            told[str(status)]["content"] = {operation.media: content}
    for status in sorted(refusals):
        told[str(status)] = {
            "description": ", ".join(code for code, (known, _) in CODES.items() if known == status),
            "content": {
                "application/problem+json": {"schema": {"$ref": REF.format(name="Problem")}}
            },
        }
    return told


def _schema(kind: Any) -> dict[str, Any]:
    if kind in (None, Any):
        return {}
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF)
    return schema
