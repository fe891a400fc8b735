"""Errors of the HTTP API as problem+json (RFC 9457), each with a stable `code`.

Owns the table of codes and the shape of a problem. Knows no route. Everything
that leaves the API with a status of 400 or more is made here, aiohttp's own
errors included.
"""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

CODES: Final[dict[str, tuple[int, str]]] = {
    "malformed_json": (400, "The body is not JSON"),
    "invalid": (422, "The request does not have the expected shape"),
    "plan_invalid": (422, "The seating plan has problems"),
    "bad_request": (400, "The request cannot be understood"),
    "signature_invalid": (400, "The signature does not match"),
    "unauthenticated": (401, "A valid token is needed"),
    "login_failed": (401, "The name or the password is wrong"),
    "enrolment_failed": (401, "This code enrols no device"),
    "forbidden": (403, "This token may not do that"),
    "not_found": (404, "There is nothing here"),
    "performance_unknown": (404, "There is no such performance"),
    "plan_unknown": (404, "There is no such seating plan"),
    "order_unknown": (404, "There is no such order"),
    "till_unknown": (404, "There is no such till session"),
    "reader_unknown": (404, "There is no such card reader"),
    "period_unknown": (404, "There is no such closed period"),
    "paper_unknown": (404, "There is no such paper"),
    "mail_unknown": (404, "There is no such mail"),
    "no_room": (404, "There is no waiting room"),
    "room_open": (409, "There is a waiting room already"),
    "room_times": (422, "A waiting room cannot be open at these times"),
    "too_many_rooms": (409, "Too many waiting rooms are open"),
    "too_many_guests": (409, "The guest list is too long for this"),
    "too_many_rows": (409, "The list is too long for this"),
    "tickets_not_ready": (409, "The order has no tickets"),
    "receipt_not_ready": (409, "The order was not paid"),
    "invoice_not_ready": (409, "There is nothing to invoice"),
    "period_open": (409, "A day of the period is not closed"),
    "period_too_large": (409, "The period has too much to tell apart"),
    "no_address": (409, "The order has no address that a mail could be sent to"),
    "mail_not_retried": (409, "The mail is sent, or being sent, or no longer true"),
    "not_exchangeable": (409, "These places are not exchanged"),
    "not_returnable": (409, "These places are not taken back"),
    "terms_not_offered": (409, "The house does not let this be paid later"),
    "refused": (409, "The engine refused"),
    "programme_changed": (409, "The house is not as it was when the programme was compared"),
    "programme_faulty": (409, "The programme contradicts the house, or itself"),
    "conflict": (409, "This would contradict what is there"),
    "method_not_allowed": (405, "The method is not allowed here"),
    "timeout": (408, "The body did not arrive in time"),
    "too_large": (413, "The body is too large"),
    "encoded_body": (415, "The body is compressed: send it plain"),
    "origin_not_allowed": (403, "Pages of this origin may not connect"),
    "too_many_attempts": (429, "Too many attempts"),
    "busy": (503, "Too much is waiting already"),
    "unavailable": (503, "The part that answers this is not reachable"),
    "internal": (500, "Something broke here"),
}
"""code -> (HTTP status, title). A refusal keeps its own code and the status of "refused"."""

_STATUS_CODES: Final = {
    400: "bad_request",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    413: "too_large",
    415: "encoded_body",
    429: "too_many_attempts",
    503: "unavailable",
}


class Problem(Exception):
    """Raised by a handler, answered as problem+json.

    `code` is one of CODES, or of the engine's and the desk's refusals together with a
    `status`; `extra` are further members of the document (`field`, `seats`...).
    """

    def __init__(
        self,
        code: str,
        detail: str = "",
        *,
        status: int = 0,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(code, detail)
        known_status, title = CODES.get(code, CODES["refused"])
        self.code = code
        self.status = status or known_status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def response(self) -> web.Response:
        document = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "code": self.code,
            "detail": self.detail or self.title,
            **self.extra,
        }
        return web.Response(
            body=msgspec.json.encode(document),
            status=self.status,
            content_type="application/problem+json",
            headers=self.headers,
        )


def performance_unknown(performance: int) -> Problem:
    return Problem("performance_unknown", f"there is no performance {performance}")


def too_many(wait_s: float, what: str) -> Problem:
    """Over a bound that goes away with time."""
    return Problem(
        "too_many_attempts",
        f"too many {what}: wait {wait_s:.0f} s before the next",
        headers={"Retry-After": str(int(wait_s) + 1)},
    )


def of_http_error(error: web.HTTPException) -> Problem:
    """aiohttp's own refusals (no route, wrong method, too large) in our form."""
    code = _STATUS_CODES.get(error.status, "bad_request" if error.status < 500 else "internal")
    headers = {name: error.headers[name] for name in ("Allow",) if name in error.headers}
    return Problem(code, error.reason, status=error.status, headers=headers)


def of_validation(error: msgspec.ValidationError) -> Problem:
    """A body of the wrong shape; `field` says where, as "$.lines[2].quantity"."""
    text = str(error)
    detail, marker, path = text.rpartition(" - at `")
    if not marker:
        return Problem("invalid", text, field="$")
    return Problem("invalid", detail, field=path.rstrip("`"))
