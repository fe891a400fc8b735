"""The list of places as the server tells it: pages, totals, and files on their way to a disk.

Owns the shapes of those answers, the requests for them, and that a file is there whole or not at
all. Knows no widget.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast
from urllib.parse import urlencode

import msgspec

from console.client import Client
from engine.listing import ListTotals

Filters = Sequence[tuple[str, str]]
"""Names and values as the server has them; a name may come several times."""

FILE_TIMEOUT_S: Final = 1_800.0
"""A spreadsheet of a million lines is written whole before its first byte is sent."""
KINDS: Final = ("csv", "xlsx")


class Place(msgspec.Struct, frozen=True):
    """A place of an order; amounts in minor units, times in Unix milliseconds or 0."""

    order: int
    line: int
    performance: int
    ticket: int
    label: str
    category: str
    price_type: str
    amount: int
    currency: str
    status: str
    channel: str
    operator: str
    buyer_name: str
    buyer_email: str
    ordered_ms: int
    scanned_ms: int
    inside: bool


class Showing(msgspec.Struct, frozen=True):
    id: int
    title: dict[str, str]
    starts_ms: int


class ListPage(msgspec.Struct, frozen=True):
    """`next` asks for what follows; "" on the last page."""

    places: list[Place]
    performances: list[Showing]
    next: str = ""


class Listing:
    """The list of a house. Everything raises `console.client.ClientError`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def page(self, filters: Filters, limit: int, after: str = "") -> ListPage:
        query = [*filters, ("limit", str(limit)), *([("next", after)] if after else [])]
        return await self._client.ask(ListPage, "GET", f"/api/ticket-list?{urlencode(query)}")

    async def totals(self, filters: Filters) -> ListTotals:
        path = f"/api/ticket-list/totals?{urlencode(filters)}"
        return await self._client.as_patient(FILE_TIMEOUT_S).ask(ListTotals, "GET", path)

    async def export(
        self,
        filters: Filters,
        path: Path,
        kind: str,
        language: str,
        heard: Callable[[int, int], None] = lambda rows, size: None,
    ) -> int:
        """Write all of the list into a file; how many lines it has of a CSV, else 0.

        `heard` is told, in another thread, how many lines (of a CSV) and bytes have come. An
        earlier file of that name stays as it is until this one is whole.

        Raises:
            OSError: It cannot be written there.
        """
        query = urlencode([*filters, ("format", kind), ("lang", language)])
        part = path.with_name(f"{path.name}.part")
        patient = self._client.as_patient(FILE_TIMEOUT_S)
        try:
            with await asyncio.to_thread(part.open, "wb") as file:
                counted = _Counted(file, kind, heard)
                await patient.download(f"/api/ticket-list/export?{query}", cast(IO[bytes], counted))
            await asyncio.to_thread(os.replace, part, path)
        except BaseException:
            with suppress(OSError):
                part.unlink(missing_ok=True)
            raise
        return counted.rows


class _Counted:
    """A file that tells what was written to it."""

    def __init__(self, file: IO[bytes], kind: str, heard: Callable[[int, int], None]) -> None:
        self._file = file
        self._csv = kind == "csv"
        self._heard = heard
        self._lines = self._size = 0

    @property
    def rows(self) -> int:
        """Lines but the headings: in this list's CSV no cell has a break."""
        return max(self._lines - 1, 0)

    def write(self, part: bytes) -> int:
        written = self._file.write(part)
        self._size += len(part)
        if self._csv:
            self._lines += part.count(b"\n")
        self._heard(self.rows, self._size)
        return written
