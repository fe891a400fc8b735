"""Logs of the edge: structured, one line an event, and never a secret in them.

Owns the setting up of structlog and the masking of its events. Whatever a handler logs goes
through `mask`, at any depth: values under telling keys are dropped, texts are masked by
`engine.masking` (an exception's message too), and bytes are counted.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Final, TextIO

import structlog

from engine.masking import MASK, masked

_DROPPED_KEYS: Final = frozenset(
    {"token", "secret", "password", "email", "authorization", "cookie", "payload", "signature"}
)


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
    return {key: _hidden(key, value) for key, value in event.items()}


def _hidden(key: object, value: Any) -> Any:
    if isinstance(key, str) and key.lower() in _DROPPED_KEYS:
        return MASK
    if isinstance(value, str):
        return masked(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, Mapping):
        return {masked(str(name)): _hidden(name, one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_hidden("", one) for one in value]
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{len(value)} bytes"
    # It would be shown as this, and later than here.
    return masked(repr(value))
