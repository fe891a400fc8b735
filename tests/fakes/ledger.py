"""A ledger in memory, written and closed by the same pure rules as the real one.

Its days are named one after the other: what matters to whoever reads it is the chain.
"""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.ledger import GENESIS, NO_TAX, Fact, Head, Record, write
from engine.ledger_periods import (
    Closed,
    OpenDay,
    Period,
    Standing,
    body_hash,
    body_of,
    close_day,
    close_longer,
    totals_of,
)
from gateway.backend import BackendUnavailable
from persistence.ledger_days import day_after

BEGAN_MS = 1_795_172_400_000


class FakeLedger:
    """Implements `gateway.backend.Ledger`. While `down` is set, every call fails."""

    def __init__(self) -> None:
        self.all: list[Record] = []
        self.closed: list[Closed] = []
        self.down = False
        self._key = Ed25519PrivateKey.generate()
        self._standing = Standing()
        self._label = "2026-11-20"
        self._at_ms = BEGAN_MS

    def add(self, *facts: Fact) -> None:
        self._at_ms += 1_000
        before = self.all[-1].hash if self.all else GENESIS
        self.all += write(1, len(self.all), before, self._at_ms, [(one, NO_TAX) for one in facts])

    async def head(self, organiser: int) -> Head | None:
        if self.down:
            raise BackendUnavailable("no database")
        if not self.all:
            return None
        day = self._standing.day
        return Head(
            organiser,
            len(self.all),
            self.all[-1].hash,
            self.all[-1].at_ms,
            0 if day is None else day.until_ms,
            self._standing.number,
            self._standing.hash,
            self._public,
        )

    async def records(
        self, organiser: int, after: int, limit: int = 5_000
    ) -> tuple[Head | None, list[Record]]:
        found = [one for one in self.all if one.number > after][:limit]
        return await self.head(organiser), found

    async def periods(
        self, organiser: int, after: int, limit: int = 400
    ) -> tuple[Head | None, list[Closed]]:
        found = [one for one in self.closed if one.number > after][:limit]
        return await self.head(organiser), found

    async def period(self, organiser: int, number: int) -> Closed | None:
        return next((one for one in self.closed if one.number == number), None)

    async def close(self, organiser: int, *, early: bool = False) -> list[Closed]:
        if not early or not self.all:
            return []
        before = self._standing.day
        begun_ms = BEGAN_MS if before is None else before.until_ms
        day = OpenDay(
            self._label,
            "Europe/Paris",
            begun_ms,
            self._at_ms + 1,
            len(self.all),
            self.all[-1].hash,
            totals_of(self.all[0 if before is None else before.last :]),
        )
        self._label = day_after(self._label)
        closed = []
        period: Period | None = close_day(organiser, self._standing, day, self._at_ms, self._public)
        while period is not None:
            body = body_of(period)
            hash = body_hash(body)
            signature = self._key.sign(bytes.fromhex(hash)).hex()
            closed.append(Closed(period.number, body, hash, signature))
            self._standing = self._standing.after(period, hash)
            period = close_longer(self._standing, self._label, self._at_ms, self._public)
        self.closed += closed
        return closed

    @property
    def _public(self) -> str:
        return self._key.public_key().public_bytes_raw().hex()
