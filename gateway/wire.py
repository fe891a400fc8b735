"""The websocket messages, as types: one msgpack array per binary frame, tag first.

Owns the shapes that docs/protocol.md describes. Knows no socket and no rule.
Client frames name a performance and a caller-made 16-byte id where they ask
for something; the reply carries the same id. Seat feed frames ("snapshot" and
"delta") are made by `engine.feed` and pass through untouched.
"""

from typing import Final

from msgspec import Struct

from engine.commands import Outcome, ScanMode

PROTOCOL_VERSION: Final = 1


class _Frame(Struct, array_like=True, frozen=True, gc=False):
    pass


# From clients ---------------------------------------------------------------


class Hello(_Frame, tag="hello"):
    """First frame of every connection: who is there. `token` from POST /api/session or /api/login."""

    token: str
    language: str = "en"


class Watch(_Frame, tag="watch"):
    """Send me this performance's seat feed; resume after (epoch, seq), or 0, 0 for a snapshot."""

    performance: int
    epoch: int = 0
    seq: int = 0


class Unwatch(_Frame, tag="unwatch"):
    performance: int


class AskHold(_Frame, tag="hold"):
    id: bytes
    performance: int
    token: bytes
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()


class AskBest(_Frame, tag="best"):
    id: bytes
    performance: int
    token: bytes
    size: int
    categories: tuple[int, ...] = ()
    sections: tuple[int, ...] = ()
    area: int = -1
    accessible: int = 0
    max_amount: int = -1


class AskRelease(_Frame, tag="release"):
    """Give back what is named; nothing named: the whole hold."""

    id: bytes
    performance: int
    token: bytes
    seats: tuple[int, ...] = ()
    areas: tuple[tuple[int, int], ...] = ()


class AskBasket(_Frame, tag="basket"):
    """What does this hold contain, and until when? Also subscribes to its end ("lost")."""

    id: bytes
    performance: int
    token: bytes


class AskBlock(_Frame, tag="block"):
    id: bytes
    performance: int
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()
    reason: str = ""


class AskUnblock(_Frame, tag="unblock"):
    id: bytes
    performance: int
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()


class AskScan(_Frame, tag="scan"):
    """`secret` is what the scanner read: the QR's text or the readable number."""

    id: bytes
    performance: int
    secret: str
    gate: str = ""
    mode: ScanMode = ScanMode.ADMIT


class Ping(_Frame, tag="ping"):
    number: int


ClientFrame = (
    Hello
    | Watch
    | Unwatch
    | AskHold
    | AskBest
    | AskRelease
    | AskBasket
    | AskBlock
    | AskUnblock
    | AskScan
    | Ping
)


# From the server -------------------------------------------------------------


class Welcome(_Frame, tag="welcome"):
    """`may` lists the client frames this token allows; `who` is the session, operator or device."""

    protocol: int
    who: str
    may: tuple[str, ...]
    server_ms: int


class Reply(_Frame, tag="reply"):
    id: bytes
    outcome: Outcome


class Shed(_Frame, tag="shed"):
    """Not decided: the edge is over a bound. Ask again, with the same id, after `retry_ms`."""

    id: bytes
    reason: str  # "busy" | "rate" | "unavailable"
    retry_ms: int


class Lost(_Frame, tag="lost"):
    """A hold of this connection ended without being asked to."""

    performance: int
    token: bytes


class Pong(_Frame, tag="pong"):
    number: int
    server_ms: int


class Error(_Frame, tag="error"):
    """The frame before this could not be served; `code` is stable, see docs/protocol.md."""

    code: str
    detail: str


ServerFrame = Welcome | Reply | Shed | Lost | Pong | Error
