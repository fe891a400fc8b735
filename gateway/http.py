"""What every HTTP handler shares: the edge it serves, bodies in, answers out, who asks.

Owns reading a bounded body into a type, the bearer token of a request, and the
middleware that turns whatever happens into an answer, a metric and a log line.
Knows no route.
"""

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
import structlog
from aiohttp import hdrs, web

from gateway.addresses import Addresses, Allowance
from gateway.audit import Auditor
from gateway.backend import Backend
from gateway.config import Config
from gateway.exports import Exports
from gateway.hub import Hub
from gateway.limits import BODY_TIMEOUT_S, MAX_JSON_BYTES, MAX_JSON_NUMBER, MAX_ROWS_PER_PAGE
from gateway.login import Passwords, Throttle
from gateway.metrics import Metrics
from gateway.paper import Paper
from gateway.plans import Plans
from gateway.problems import Problem, of_http_error, of_validation, performance_unknown
from gateway.programme import Entry, Programme
from gateway.room_log import RoomLogs
from gateway.session import BuyerTokens, Identities, Principal, Role
from gateway.vitals import Vitals

log = structlog.get_logger("gateway.http")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
T = TypeVar("T")

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")
API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Edge:
    """Everything a handler may need."""

    backend: Backend
    config: Config
    metrics: Metrics
    buyers: BuyerTokens
    identities: Identities
    passwords: Passwords
    auditor: Auditor
    hub: Hub
    programme: Programme
    plans: Plans
    paper: Paper
    exports: Exports
    vitals: Vitals
    room_logs: RoomLogs
    addresses: Addresses
    sessions: Allowance
    """New anonymous sessions, by address."""
    enrolments: Throttle


EDGE: Final = web.AppKey("edge", Edge)


# In ------------------------------------------------------------------------------


async def read_body(request: web.Request, most_bytes: int = MAX_JSON_BYTES) -> bytes:
    """The body, whole. Raises Problem for one that is too large, too slow, or compressed."""
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity") != "identity":
        raise Problem("encoded_body", headers={"Connection": "close"})
    if (request.content_length or 0) > most_bytes:
        raise _too_large(most_bytes)
    parts = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for part in request.content.iter_any():
                parts += part
                if len(parts) > most_bytes:
                    raise _too_large(most_bytes)
    except TimeoutError:
        raise Problem("timeout") from None
    return bytes(parts)


async def read_json(request: web.Request, kind: type[T], most_bytes: int = MAX_JSON_BYTES) -> T:
    """The body as a value of `kind`. Raises Problem naming what is wrong with it."""
    body = await read_body(request, most_bytes)
    try:
        value = msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise of_validation(error) from None
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise Problem("malformed_json", str(error)) from None
    _check_storable(msgspec.to_builtins(value), "$")
    return value


def _check_storable(value: Any, path: str) -> None:
    """Raises Problem for what JSON allows and no column can keep: it would fail far from here."""
    if isinstance(value, str):
        if "\0" in value:
            raise Problem("invalid", "a text must not contain a zero character", field=path)
    elif isinstance(value, int):
        if abs(value) > MAX_JSON_NUMBER:
            raise Problem("invalid", f"numbers are {MAX_JSON_NUMBER} at most", field=path)
    elif isinstance(value, dict):
        for key, one in value.items():
            _check_storable(key, path)
            _check_storable(one, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for at, one in enumerate(value):
            _check_storable(one, f"{path}[{at}]")


def _too_large(most_bytes: int) -> Problem:
    # What is left of the body is not read: the connection cannot be used again.
    return Problem("too_large", f"{most_bytes} bytes at most", headers={"Connection": "close"})


def number_in(request: web.Request, name: str) -> int:
    """A number of the path. Raises Problem("not_found") for anything else."""
    text = request.match_info[name]
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Problem("not_found")
    return int(text)


def query_number(
    request: web.Request, name: str, default: int, most: int = 2**31 - 1, least: int = 0
) -> int:
    text = request.query.get(name)
    return default if not text else _number(name, text, most, least)


def query_numbers(request: web.Request, name: str, most: int = 2**31 - 1) -> set[int]:
    """All numbers that are given under a name."""
    return {_number(name, text, most, 0) for text in request.query.getall(name, [])}


def _number(name: str, text: str, most: int, least: int) -> int:
    if not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
        raise Problem("invalid", f"{name}: a number from {least} to {most}", field=name)
    return int(text[:20])


def rows_wanted(request: web.Request, default: int) -> int:
    return query_number(request, "limit", default, MAX_ROWS_PER_PAGE, least=1)


# Who asks ------------------------------------------------------------------------


def address_of(request: web.Request) -> str:
    """The client's address, as far as it can be known."""
    return request.app[EDGE].addresses.of(request)


def address_key(request: web.Request) -> str:
    """Under which its address is counted; "" for one that has no bounds."""
    return request.app[EDGE].addresses.key(address_of(request))


def bearer(request: web.Request) -> str:
    """The token of the Authorization header; empty for none."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def who(request: web.Request) -> Principal | None:
    """Whose request this is; None without a token. Raises Problem for a token that is no good."""
    token = bearer(request)
    if not token:
        return None
    principal = await request.app[EDGE].identities.identify(token, address_key(request))
    if principal is None:
        raise Problem(
            "unauthenticated",
            "the token is unknown, expired or revoked",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return principal


async def somebody(request: web.Request) -> Principal:
    """Whose request this is. Raises Problem without a good token."""
    principal = await who(request)
    if principal is None:
        raise Problem("unauthenticated", headers={"WWW-Authenticate": "Bearer"})
    return principal


async def operator(request: web.Request, *roles: Role) -> Principal:
    """The operator who asks. Raises Problem unless they have one of the roles (none: any)."""
    principal = await somebody(request)
    if not principal.is_operator or (roles and not principal.has(*roles)):
        wanted = ", ".join(roles) or "any operator"
        raise Problem("forbidden", f"this needs one of these roles: {wanted}")
    return principal


async def shown_entry(request: web.Request, principal: Principal | None) -> Entry:
    """The performance of the path, for who asks. Raises Problem for one that is hidden from them.

    Hidden from the public are those that the house has hidden: no answer tells them from those
    that do not exist. A device sees, beside the public ones, those that it serves.
    """
    entry = await request.app[EDGE].programme.entry(number_in(request, "performance"))
    if not may_see(principal, entry):
        raise performance_unknown(entry.id)
    return entry


def may_see(principal: Principal | None, entry: Entry) -> bool:
    if entry.is_public:
        return True
    return principal is not None and not principal.is_outsider and principal.may_serve(entry.id)


# Out -----------------------------------------------------------------------------


def answer(
    value: Any, status: int = 200, *, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A JSON answer, never stored by anyone on its way unless `headers` say otherwise."""
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={hdrs.CACHE_CONTROL: "no-store", **(headers or {})},
    )


async def add_safe_headers(_request: web.Request, response: web.StreamResponse) -> None:
    make_safe(response)


def make_safe(response: web.StreamResponse) -> None:
    """What every answer carries; a page brings its own content policy."""
    headers = response.headers
    headers[hdrs.SERVER] = "strapontin"
    headers["X-Content-Type-Options"] = "nosniff"
    # The address of an order page opens it: it must not travel to other sites.
    headers["Referrer-Policy"] = "no-referrer"
    headers.setdefault("Content-Security-Policy", API_POLICY)


@web.middleware
async def every_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Number the request, answer whatever it raises, count it, log it."""
    loop = asyncio.get_running_loop()
    begun_s = loop.time()
    given = request.headers.get("X-Request-ID", "")
    request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
    with structlog.contextvars.bound_contextvars(request=request_id):
        response = await _answered(request, handler, request_id)
        took_s = loop.time() - begun_s
        # The route, not the path: an order's path is its key.
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "none"
        metrics = request.app[EDGE].metrics
        metrics.http.labels(request.method, route, response.status).inc()
        if route != "/ws":
            metrics.http_seconds.labels(route).observe(took_s)
        log.info(
            "http",
            method=request.method,
            route=route,
            status=response.status,
            ms=round(took_s * 1000, 1),
            address=address_of(request),
        )
    if not response.prepared:
        response.headers["X-Request-ID"] = request_id
    return response


async def _answered(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        if "%00" in request.raw_path:
            raise Problem("bad_request", "an address must not contain a zero character")
        return await handler(request)
    except Problem as problem:
        return problem.response()
    except web.HTTPException as error:
        if error.status < 400:
            raise
        return of_http_error(error).response()
    except request.app[EDGE].backend.outages as error:
        log.warning("unavailable", why=repr(error))
        return Problem("unavailable", headers={hdrs.RETRY_AFTER: "1"}).response()
    except Exception:
        log.exception("request failed")
        return Problem("internal", f"request {request_id}").response()
