"""A performance as an entry of a calendar: iCalendar, RFC 5545. Values in, text out."""

import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

MAX_LINE_BYTES: Final = 75
"""RFC 5545, 3.1; longer lines are folded."""


class CalendarEntry(Struct, frozen=True):
    """`uid` is the same in every edition of an entry: the calendar then shows it once.

    How long a performance lasts nobody has told us: it has a beginning only.
    """

    uid: str
    starts_ms: int
    title: str
    place: str = ""
    description: str = ""
    url: str = ""


def calendar(entries: Sequence[CalendarEntry], now_ms: int) -> str:
    """One VEVENT an entry, in UTC, which every calendar shows in its reader's own time."""
    lines = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//Strapontin//EN", "METHOD:PUBLISH"]
    for entry in entries:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{_text(entry.uid)}",
            f"DTSTAMP:{_utc(now_ms)}",
            f"DTSTART:{_utc(entry.starts_ms)}",
            f"SUMMARY:{_text(entry.title)}",
        ]
        lines += [f"LOCATION:{_text(entry.place)}"] if entry.place else []
        lines += [f"DESCRIPTION:{_text(entry.description)}"] if entry.description else []
        lines += [f"URL:{entry.url}"] if entry.url else []
        lines.append("END:VEVENT")
    lines.append("END:VCALENDAR")
    return "".join(f"{_folded(line)}\r\n" for line in lines)


def _utc(ms: int) -> str:
    return f"{datetime.fromtimestamp(ms / 1_000, UTC):%Y%m%dT%H%M%SZ}"


def _text(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,")
    escaped = "\\n".join(escaped.splitlines())
    return "".join(char for char in escaped if unicodedata.category(char) not in ("Cc", "Cs"))


def _folded(line: str) -> str:
    """Without a line of more bytes than MAX_LINE_BYTES, and without a character in two."""
    parts, part, size = [], "", 0
    for char in line:
        width = len(char.encode())
        if size + width > MAX_LINE_BYTES:
            parts.append(part)
            part, size = "", 1  # the space that a folded line begins with
        part, size = part + char, size + width
    return "\r\n ".join([*parts, part])
