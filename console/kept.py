"""What a scanner or a relay remembers through restarts: door lists, used tickets, scans not sent.

Owns one SQLite file and its durability: what must not be lost is on the disk before anybody is
shown an answer. Knows no rule and no network. One process at a time has the file.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from console.till import now_ms
from engine.commands import ScanMode, Scanned, ScanOutcome
from engine.door_list import DoorList, Doors, Use

T = TypeVar("T")

MAX_KEPT: Final = 200_000
"""Scans not sent yet; beyond, nobody is judged while alone."""
MAX_SENT: Final = 20_000
"""Scans that were sent and are still remembered, for who asks again under the same id."""
LANE_BYTES: Final = 8

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS notes (key TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS lists (performance INTEGER PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS used (
    performance INTEGER, ticket INTEGER, at_ms INTEGER NOT NULL, gate TEXT NOT NULL,
    inside INTEGER NOT NULL, PRIMARY KEY (performance, ticket)
);
CREATE TABLE IF NOT EXISTS scans (
    sequence INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, body BLOB NOT NULL,
    sent INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS scans_by_sent ON scans (sent, sequence);
"""


class MemoryInUse(Exception):
    """Another process has this memory."""


class CannotKeep(Exception):
    """The disk is full, or broken."""


class KeptScan(Struct, frozen=True):
    """A scan that was judged here. `asked`: the house was asked before, and did not answer."""

    id: bytes
    sequence: int
    performance: int
    secret: str
    gate: str
    mode: ScanMode
    scanned_ms: int
    result: ScanOutcome
    asked: bool
    told: Scanned


class Memory:
    """Open it with `Memory(path)`; a second process is refused.

    Raises:
        MemoryInUse: Another process has the file.
        OSError, sqlite3.Error: It cannot be written.

    Afterwards whatever writes raises CannotKeep, and has changed nothing then.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = sqlite3.connect(path, timeout=0, isolation_level=None)
        try:
            self._file.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._file.execute("PRAGMA journal_mode = WAL")
            self._file.execute("PRAGMA synchronous = FULL")
            self._file.executescript(_TABLES)
        except sqlite3.OperationalError as error:
            self._file.close()
            if "locked" in str(error):
                raise MemoryInUse(str(path)) from error
            raise
        path.chmod(0o600)
        lane = self.note("lane", bytes)
        if lane is None:
            lane = secrets.token_bytes(LANE_BYTES)
            self.write("lane", lane)
        self._lane = lane
        (self.kept_count,) = self._file.execute(
            "SELECT count(*) FROM scans WHERE NOT sent"
        ).fetchone()

    def close(self) -> None:
        self._file.close()

    # Notes -----------------------------------------------------------------------

    def note(self, key: str, kind: type[T]) -> T | None:
        row = self._file.execute("SELECT body FROM notes WHERE key = ?", (key,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=kind)

    def write(self, key: str, value: object) -> None:
        body = msgspec.msgpack.encode(value)
        with self._whole():
            self._file.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (key, body))

    def forget(self, key: str) -> None:
        with self._whole():
            self._file.execute("DELETE FROM notes WHERE key = ?", (key,))

    # Numbers and ids ---------------------------------------------------------------

    def next_sequence(self) -> int:
        """A number never given before.

        The first is the time of day in milliseconds: a memory that was wiped goes on above what
        it had used.
        """
        number = (self.note("sequence", int) or now_ms()) + 1
        self.write("sequence", number)
        return number

    def id_of(self, sequence: int) -> bytes:
        """Sixteen bytes: half of them this memory's own, half the scan's number."""
        return self._lane + sequence.to_bytes(8, "big")

    # Doors -------------------------------------------------------------------------

    def doors(self, performance: int) -> Doors | None:
        """The doors of a performance as they were known last."""
        row = self._file.execute(
            "SELECT body FROM lists WHERE performance = ?", (performance,)
        ).fetchone()
        if row is None:
            return None
        doors = Doors(msgspec.msgpack.decode(row[0], type=DoorList))
        for ticket, at_ms, gate, inside in self._file.execute(
            "SELECT ticket, at_ms, gate, inside FROM used WHERE performance = ?", (performance,)
        ):
            doors.used[ticket] = Use(at_ms, gate, bool(inside))
        return doors

    def keep_doors(self, doors: Doors, changed: Iterable[int], whole: bool) -> None:
        """Keep a newer list; `changed` are the tickets whose use is another now."""
        performance = doors.listed.performance
        body = msgspec.msgpack.encode(
            msgspec.structs.replace(doors.whole_list(), used={}, whole=False)
        )
        with self._whole():
            self._file.execute("INSERT OR REPLACE INTO lists VALUES (?, ?)", (performance, body))
            if whole:
                self._file.execute("DELETE FROM used WHERE performance = ?", (performance,))
            for ticket in changed:
                self._put_use(performance, ticket, doors.used.get(ticket))

    def keep_use(self, performance: int, ticket: int, use: Use) -> None:
        with self._whole():
            self._put_use(performance, ticket, use)

    def _put_use(self, performance: int, ticket: int, use: Use | None) -> None:
        if use is None:
            self._file.execute(
                "DELETE FROM used WHERE performance = ? AND ticket = ?", (performance, ticket)
            )
        else:
            row = (performance, ticket, use.at_ms, use.gate, use.inside)
            self._file.execute("INSERT OR REPLACE INTO used VALUES (?, ?, ?, ?, ?)", row)

    # Scans -------------------------------------------------------------------------

    def keep(self, scan: KeptScan, use: Use | None) -> None:
        """A scan to be sent, and how its ticket is used now: both or neither."""
        with self._whole():
            body = msgspec.msgpack.encode(scan)
            row = (scan.sequence, scan.id, body)
            self._file.execute("INSERT INTO scans (sequence, id, body) VALUES (?, ?, ?)", row)
            if use is not None:
                self._put_use(scan.performance, scan.told.ticket, use)
        self.kept_count += 1

    def kept(self, most: int) -> list[KeptScan]:
        """Scans not sent yet, the oldest first."""
        rows = self._file.execute(
            "SELECT body FROM scans WHERE NOT sent ORDER BY sequence LIMIT ?", (most,)
        )
        return [msgspec.msgpack.decode(body, type=KeptScan) for (body,) in rows]

    def scan_of(self, id: bytes) -> KeptScan | None:
        """What was judged here under an id, sent or not."""
        row = self._file.execute("SELECT body FROM scans WHERE id = ?", (id,)).fetchone()
        return None if row is None else msgspec.msgpack.decode(row[0], type=KeptScan)

    def settle(self, sequence: int) -> None:
        """A scan was sent."""
        with self._whole():
            self._file.execute("UPDATE scans SET sent = 1 WHERE sequence = ?", (sequence,))
            self._file.execute(
                "DELETE FROM scans WHERE sent AND sequence <= (SELECT sequence FROM scans"
                " WHERE sent ORDER BY sequence DESC LIMIT 1 OFFSET ?)",
                (MAX_SENT,),
            )
        self.kept_count -= 1

    def number_anew(self, scan: KeptScan) -> None:
        """Send it as another scan: its number or id belongs to something else."""
        sequence = self.next_sequence()
        other = msgspec.structs.replace(
            scan, sequence=sequence, id=self.id_of(sequence), asked=False
        )
        with self._whole():
            self._file.execute("DELETE FROM scans WHERE sequence = ?", (scan.sequence,))
            row = (sequence, other.id, msgspec.msgpack.encode(other))
            self._file.execute("INSERT INTO scans (sequence, id, body) VALUES (?, ?, ?)", row)

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """All that is written within, or nothing of it and CannotKeep."""
        try:
            self._file.execute("BEGIN IMMEDIATE")
            yield
            self._file.execute("COMMIT")
        except BaseException as error:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            if isinstance(error, sqlite3.Error):
                raise CannotKeep(str(error)) from error
            raise
