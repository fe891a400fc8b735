"""Days as a house has them: which one a moment is in, and when one begins in its time zone.

A day begins when its clocks first show it, so days of 23 and 25 hours are what they are. Where
the clocks skip midnight, the day begins at the skip.
"""

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo


def day_of(at_ms: int, zone: ZoneInfo) -> str:
    """The local day of a moment, as 2026-11-21."""
    return datetime.fromtimestamp(at_ms // 1_000, zone).date().isoformat()


def begin_ms(day: str, zone: ZoneInfo) -> int:
    local = datetime.fromisoformat(day).replace(tzinfo=zone)
    return int(local.timestamp()) * 1_000


def day_after(day: str) -> str:
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()


def day_before(day: str) -> str:
    return (date.fromisoformat(day) - timedelta(days=1)).isoformat()
