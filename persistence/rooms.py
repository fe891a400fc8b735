"""Waiting rooms as they are kept: the seed of each draw, and every event, one a row.

Owns that an event has one successor: its number is the primary key, so that of two writers
one is refused. What events mean is the engine's.
"""

from collections.abc import Sequence
from typing import Final

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.limits import MAX_ROOMS
from engine.waiting import Closed, Opened, RoomEvent, StoredRoom
from persistence.schema import room_events, rooms

# The event before must be there: a gap would be a room that nobody can rebuild.
_APPEND: Final = sa.text("""
INSERT INTO room_events (performance, room, seq, at_ms, event)
SELECT :performance, :room, e.seq, e.at_ms, e.event
FROM unnest(CAST(:seq AS int4[]), CAST(:at_ms AS int8[]), CAST(:event AS bytea[]))
    AS e (seq, at_ms, event)
WHERE :after_seq = 0 OR EXISTS (
    SELECT FROM room_events
    WHERE performance = :performance AND room = :room AND seq = :after_seq)
""").bindparams(
    sa.bindparam("performance", type_=sa.Integer),
    sa.bindparam("room", type_=sa.Integer),
    sa.bindparam("after_seq", type_=sa.Integer),
)


class RoomCorrupt(Exception):
    """An event is missing. Needs a person: nothing is repaired by itself."""


class Rooms:
    """Every method is one transaction.

    All raise sqlalchemy.exc.SQLAlchemyError or OSError when the database fails; what was to be
    written may be there all the same: read again.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode: msgspec.msgpack.Decoder[RoomEvent] = msgspec.msgpack.Decoder(RoomEvent)

    async def open_rooms(self) -> list[StoredRoom]:
        """Those that are not closed, at most MAX_ROOMS; a performance has one at most."""
        query = (
            sa.select(rooms.c.performance, rooms.c.number, rooms.c.seed)
            .where(~rooms.c.closed)
            .order_by(rooms.c.performance)
            .limit(MAX_ROOMS)
        )
        async with self._engine.connect() as connection:
            return [StoredRoom(*row) for row in await connection.execute(query)]

    async def add(self, opened: Opened, seed: bytes) -> int | None:
        """Keep a new room; its number among those of the performance, from 1.

        0 when the performance has an open room, None when there is no such performance.
        """
        number = (
            sa.select(sa.func.coalesce(sa.func.max(rooms.c.number), 0) + 1)
            .where(rooms.c.performance == opened.performance)
            .scalar_subquery()
        )
        room = rooms.insert().values(
            performance=opened.performance,
            number=number,
            seed=seed,
            commitment=opened.commitment,
            closed=False,
        )
        try:
            async with self._engine.begin() as connection:
                made: int = (await connection.execute(room.returning(rooms.c.number))).scalar_one()
                await self._insert(connection, opened.performance, made, 0, [opened])
        except IntegrityError as error:
            why = str(error.orig)
            if "fk_rooms_performance" in why:
                return None
            if "uq_rooms_open" in why or "pk_rooms" in why:
                return 0
            raise
        return made

    async def append(
        self, performance: int, number: int, after_seq: int, events: Sequence[RoomEvent]
    ) -> bool:
        """Keep events right after the first `after_seq`: all of them, or none.

        False when that is not the end of what is there: somebody else writes too.
        """
        try:
            async with self._engine.begin() as connection:
                if not await self._insert(connection, performance, number, after_seq, events):
                    return False
                if isinstance(events[-1], Closed):
                    which = (rooms.c.performance == performance) & (rooms.c.number == number)
                    await connection.execute(rooms.update().where(which).values(closed=True))
        except IntegrityError as error:
            if "pk_room_events" in str(error.orig):
                return False
            raise
        return True

    async def events(self, performance: int, number: int, after_seq: int = 0) -> list[RoomEvent]:
        """A room's events after the first `after_seq`, in order. Raises RoomCorrupt."""
        query = (
            sa.select(room_events.c.seq, room_events.c.event)
            .where(
                room_events.c.performance == performance,
                room_events.c.room == number,
                room_events.c.seq > after_seq,
            )
            .order_by(room_events.c.seq)
        )
        async with self._engine.connect() as connection:
            rows = (await connection.execute(query)).all()
        for expected, row in enumerate(rows, after_seq + 1):
            if row.seq != expected:
                raise RoomCorrupt(
                    f"room {number} of performance {performance}: event {expected} is missing"
                )
        return [self._decode.decode(row.event) for row in rows]

    async def latest(self, performance: int) -> int:
        """The number of the performance's latest room, closed or not; 0: there was none."""
        query = sa.select(sa.func.coalesce(sa.func.max(rooms.c.number), 0)).where(
            rooms.c.performance == performance
        )
        async with self._engine.connect() as connection:
            number: int = (await connection.execute(query)).scalar_one()
        return number

    async def _insert(
        self,
        connection: AsyncConnection,
        performance: int,
        number: int,
        after_seq: int,
        events: Sequence[RoomEvent],
    ) -> bool:
        inserted = await connection.execute(
            _APPEND,
            {
                "performance": performance,
                "room": number,
                "after_seq": after_seq,
                "seq": list(range(after_seq + 1, after_seq + 1 + len(events))),
                # An opening is announced, not timed: it is of the time that it announces.
                "at_ms": [
                    event.opens_ms if isinstance(event, Opened) else event.at_ms for event in events
                ],
                "event": [self._encode(event) for event in events],
            },
        )
        return inserted.rowcount == len(events)
