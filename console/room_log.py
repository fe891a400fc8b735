"""The public log of a waiting room: read, and held against itself.

Owns the log's JSON (docs/protocol.md) and what is said of one. The rules are those of
`engine.waiting_room`, the same that made the log; whoever trusts neither finds the draw
described in the protocol, in a few lines.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from engine.waiting import Admitted, Arrived, Closed, Drawn, Opened, RoomEvent
from engine.waiting_room import RoomEventInvalid, WaitingRoom, rebuild


class LogUnreadable(ValueError):
    """Not the log of a waiting room; the text says where it is not."""


class VisitorStanding(Struct, frozen=True):
    """`place` is -1 before the draw; `admitted_ms` and `expires_ms` are 0 while waiting."""

    visitor: str
    number: int
    place: int
    admitted_ms: int
    expires_ms: int


class Verdict(Struct, frozen=True):
    """What a log says, and what does not agree in it: nothing in a good one.

    `drawn` is how many took part in the draw, -1 before it; `away` how many were passed over
    because they were not there. `visitor` is who was asked for, when they are in it.
    """

    performance: int
    commitment: str
    seed: str
    events: int
    arrived: int
    drawn: int
    admitted: int
    away: int
    closed: bool
    disagreements: tuple[str, ...]
    visitor: VisitorStanding | None = None


class _Log(Struct):
    performance: int
    opens_ms: int
    on_sale_ms: int
    commitment: str
    seed: str | None
    events: list[list[Any]]


class RoomLog(Struct, frozen=True):
    """The events of a room, and the seed that stands above them, empty before the draw."""

    events: tuple[RoomEvent, ...]
    seed: bytes


def read_log(data: bytes) -> RoomLog:
    """Raises LogUnreadable."""
    try:
        log = msgspec.json.decode(data, type=_Log)
        opened = Opened(
            log.performance, log.opens_ms, log.on_sale_ms, bytes.fromhex(log.commitment)
        )
        seed = bytes.fromhex(log.seed or "")
    except (msgspec.DecodeError, ValueError) as error:
        raise LogUnreadable(str(error)) from None
    events: list[RoomEvent] = [opened]
    for row in log.events:
        try:
            events.append(_event(row))
        except (msgspec.ValidationError, ValueError, TypeError, IndexError) as error:
            raise LogUnreadable(f"event {len(events) + 1}: {error}") from None
    return RoomLog(tuple(events), seed)


def verdict_of(log: RoomLog, visitor: bytes = b"") -> Verdict:
    """Hold a log against itself, and look a visitor up in it."""
    room: WaitingRoom | None = None
    wrong: list[str] = []
    admitted_ms = 0
    try:
        room = rebuild(log.events[:1])
        for event in log.events[1:]:
            room.apply(event)
            if isinstance(event, Admitted) and visitor in event.visitors:
                admitted_ms = event.at_ms
            elif isinstance(event, Arrived) and visitor in event.visitors:
                admitted_ms = 0
    except RoomEventInvalid as error:
        wrong.append(str(error))
    opened = log.events[0]
    assert isinstance(opened, Opened)
    if room is None:
        return Verdict(
            opened.performance, opened.commitment.hex(), "", len(log.events), 0, -1, 0, 0, False,
            tuple(wrong),
        )  # fmt: skip
    if not wrong and log.seed != room.seed:
        wrong.append("the seed above the events is not the one of the draw")
    standing = room.standing(visitor)
    return Verdict(
        opened.performance,
        opened.commitment.hex(),
        room.seed.hex(),
        len(log.events),
        room.arrived,
        room.drawn,
        room.admitted,
        max(0, room.front - room.admitted),
        room.closed,
        tuple(wrong),
        None
        if standing is None
        else VisitorStanding(
            visitor.hex(), standing.number, standing.place, admitted_ms, standing.expires_ms
        ),
    )


def _event(row: Sequence[Any]) -> RoomEvent:
    kind, at_ms, *rest = row
    match kind:
        case "arrived":
            return msgspec.convert((kind, at_ms, _names(*rest)), Arrived)
        case "drawn":
            return msgspec.convert((kind, at_ms, *map(bytes.fromhex, rest)), Drawn)
        case "admitted":
            expires_ms, names = rest
            return msgspec.convert((kind, at_ms, expires_ms, _names(names)), Admitted)
        case "closed":
            return msgspec.convert((kind, at_ms), Closed)
    raise ValueError(f"{kind!r} is no event of a waiting room")


def _names(names: list[str]) -> tuple[bytes, ...]:
    return tuple([bytes.fromhex(name) for name in names])
