"""Logs of the edge: structured, one line an event, and never a secret in them.

Owns the setting up of structlog and the masking. Whatever a handler logs goes
through `mask`: values under telling keys are dropped, and texts that look like
a token, an order's key, a ticket secret or an e-mail address are shortened,
wherever they stand (an exception's message too).
"""

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

_DROPPED_KEYS: Final = frozenset(
    {"token", "secret", "password", "email", "authorization", "cookie", "payload", "signature"}
)
_TELLING: Final = re.compile(
    r"(?P<email>[\w.+-]+@[\w-]+(?:\.[\w-]+)+)"
    r"|(?P<ticket>ST1[0-9A-Z]{8})[0-9A-Z]+"
    r"|(?P<number>\b\d{1,10}-\d{6,10}-)[0-9A-Z]{12}\b"
    r"|(?P<token>\b[bod]\.[\w-]{4})[\w.-]{12,}"
    r"|(?P<order>\b[0-9a-f]{6})[0-9a-f]{26,}\b"
)
_MASK: Final = "…"


def configure(*, as_json: bool, stream: TextIO | None = None, level: int = logging.INFO) -> None:
    """Set structlog up for this process: JSON for machines, key=value for people."""
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=True)
        if as_json
        else structlog.processors.KeyValueRenderer(
            key_order=["timestamp", "level", "event"], drop_missing=True
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            mask,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )


def mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
    """A structlog processor: nothing that opens a door stays in the line."""
    for key, value in event.items():
        if key in _DROPPED_KEYS:
            event[key] = _MASK
        elif isinstance(value, str):
            event[key] = masked(value)
    return event


def masked(text: str) -> str:
    """The text with everything secret in it cut to a recognisable beginning."""
    return _TELLING.sub(_shortened, text)


def _shortened(found: re.Match[str]) -> str:
    group = found.lastgroup or ""
    return _MASK if group == "email" else found[group] + _MASK
