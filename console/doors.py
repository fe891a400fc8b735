"""The doors as the server tells of them: who is inside, who came in twice, who is expected.

Owns the shapes of those answers and the requests for them. Knows no widget.
"""

from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from console.client import Client
from engine.commands import Alarm


class GateInside(msgspec.Struct, frozen=True):
    """Who came in by this gate and is inside, and everybody in the sections that it admits."""

    id: str
    name: str
    inside: int
    zone: int
    capacity: int = 0
    alarm: Alarm = Alarm.NONE


class SectionInside(msgspec.Struct, frozen=True):
    section: int
    name: str
    inside: int


class Inside(msgspec.Struct, frozen=True):
    total: int
    gates: tuple[GateInside, ...]
    sections: tuple[SectionInside, ...]
    alarms: tuple[str, ...] = ()


class DoorScan(msgspec.Struct, frozen=True):
    """One admission of two. `kept` by a device that was alone; the `winner` had a right to be."""

    device: str
    gate: str
    at_ms: int
    kept: bool
    winner: bool


class Conflict(msgspec.Struct, frozen=True):
    """A ticket that let two people in."""

    ticket: int
    label: str
    scans: tuple[DoorScan, ...]


class Guest(msgspec.Struct, frozen=True):
    """A ticket and whose it is; `arrived_ms` 0: has not come."""

    ticket: int
    name: str
    label: str
    price_type: str
    order: int
    state: str
    arrived_ms: int


class Marked(msgspec.Struct, frozen=True):
    """`result` is a scan outcome, or a refusal."""

    ticket: int
    result: str


class Doors:
    """The doors of one performance. Everything raises `console.client.ClientError`."""

    def __init__(self, client: Client, performance: int) -> None:
        self._client = client
        self._path = f"/api/performances/{performance}"

    async def inside(self) -> Inside:
        return await self._client.ask(Inside, "GET", f"{self._path}/inside")

    async def conflicts(self) -> list[Conflict]:
        """All of them, however many pages they are."""
        found: list[Conflict] = []
        while True:
            after = found[-1].ticket if found else 0
            path = f"{self._path}/conflicts?{urlencode({'after': after})}"
            page = await self._client.ask(list[Conflict], "GET", path)
            if not page:
                return found
            found += page

    async def guests(self, text: str, limit: int) -> list[Guest]:
        query = urlencode({"q": text, "limit": limit})
        return await self._client.ask(list[Guest], "GET", f"{self._path}/guests?{query}")

    async def guest_file(self, kind: str, text: str, language: str) -> bytes:
        """The whole list as "csv", "xlsx" or "pdf"."""
        query = urlencode({"format": kind, "q": text, "lang": language})
        return await self._client.get(f"{self._path}/guests?{query}")

    async def mark(self, tickets: Sequence[int], gate: str) -> list[Marked]:
        body = {"tickets": list(tickets), "gate": gate}
        return await self._client.ask(list[Marked], "POST", f"{self._path}/mark", body)
