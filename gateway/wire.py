"""The websocket messages, as types: one msgpack array per binary frame, tag first.

Owns the shapes that docs/protocol.md describes. Knows no socket and no rule.
Client frames name a performance and a caller-made 16-byte id where they ask
for something; the reply carries the same id. Seat feed frames ("snapshot" and
"delta") are made by `engine.feed` and pass through untouched.
"""

from typing import Annotated, Final

from msgspec import Meta, Raw, Struct

from engine.commands import ID_BYTES, Channel, Line, Outcome, ScanMode, ScanOutcome
from engine.limits import MAX_TEXT_CHARS

PROTOCOL_VERSION: Final = 1

Id = Annotated[bytes, Meta(min_length=ID_BYTES, max_length=ID_BYTES)]
"""A command's id or a hold's token, made by the caller from a good source of randomness."""

MAX_TOKEN_CHARS: Final = 512
PerformanceId = Annotated[int, Meta(ge=0, le=2**31 - 1)]
TicketNumber = Annotated[int, Meta(ge=0, le=2**31 - 1)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Text = Annotated[str, Meta(max_length=MAX_TEXT_CHARS, pattern=r"^[^\x00]*\Z")]
"""Without a zero character, which no column of the database can keep."""


class _Frame(Struct, array_like=True, frozen=True, gc=False):
    pass


# From clients ---------------------------------------------------------------


class Hello(_Frame, tag="hello", frozen=True):
    """First frame of every connection: who is there. `token` is from /api/session or /api/login."""

    token: Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)]
    language: Text = "en"


class Watch(_Frame, tag="watch", frozen=True):
    """Send me this performance's seat feed; resume after (epoch, seq), or 0, 0 for a snapshot."""

    performance: PerformanceId
    epoch: int = 0
    seq: int = 0


class Unwatch(_Frame, tag="unwatch", frozen=True):
    performance: PerformanceId


class AskHold(_Frame, tag="hold", frozen=True):
    """Claim these places. `channel`: an operator's "phone"; else it follows from who asks."""

    id: Id
    performance: PerformanceId
    token: Id
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()
    channel: Channel | None = None


class AskBest(_Frame, tag="best", frozen=True):
    id: Id
    performance: PerformanceId
    token: Id
    size: int
    categories: tuple[int, ...] = ()
    sections: tuple[int, ...] = ()
    area: int = -1
    accessible: int = 0
    max_amount: int = -1
    channel: Channel | None = None


class AskRelease(_Frame, tag="release", frozen=True):
    """Give back what is named; nothing named: the whole hold."""

    id: Id
    performance: PerformanceId
    token: Id
    seats: tuple[int, ...] = ()
    areas: tuple[tuple[int, int], ...] = ()


class AskBasket(_Frame, tag="basket", frozen=True):
    """What does this hold contain, and until when? Also subscribes to its end ("lost")."""

    id: Id
    performance: PerformanceId
    token: Id


class Basket(_Frame, frozen=True):
    """A hold to buy. Each line is (seat, area, price type, quantity), as in an order."""

    performance: PerformanceId
    token: Id
    lines: tuple[Line, ...]


class AskBuy(_Frame, tag="buy", frozen=True):
    """Sell these places for cash, now; those that are not held yet are claimed first.

    `id` is the order's; `given` is what was handed over, in minor units.
    """

    id: Id
    baskets: tuple[Basket, ...]
    given: Count
    name: Text = ""
    email: Text = ""
    language: Text = "en"
    channel: Channel | None = None


class AskBlock(_Frame, tag="block", frozen=True):
    id: Id
    performance: PerformanceId
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()
    reason: Text = ""


class AskUnblock(_Frame, tag="unblock", frozen=True):
    id: Id
    performance: PerformanceId
    seats: tuple[int, ...]
    areas: tuple[tuple[int, int], ...] = ()


class AskScan(_Frame, tag="scan", frozen=True):
    """`secret` is what the scanner read: the QR's text or the readable number.

    A `reason` makes an admission an override.
    """

    id: Id
    performance: PerformanceId
    secret: Text
    gate: Text = ""
    mode: ScanMode = ScanMode.ADMIT
    reason: Text = ""


class AskUndoScan(_Frame, tag="undo_scan", frozen=True):
    """The turnstile did not turn: take back this ticket's last admission or exit."""

    id: Id
    performance: PerformanceId
    ticket: TicketNumber
    gate: Text = ""


class AskKeptScan(_Frame, tag="kept_scan", frozen=True):
    """What this device decided while it was alone: `result` is what it showed, by its clock.

    `sequence` numbers the device's scans and never comes twice; `id` follows from it.
    """

    id: Id
    performance: PerformanceId
    secret: Text
    gate: Text
    mode: ScanMode
    sequence: Count
    scanned_ms: Count
    result: ScanOutcome


class AskQueue(_Frame, tag="queue", frozen=True):
    """Let me into this performance's waiting room, or back to my place in it.

    `admission` is the token of an `Admitted` that is not over, to be let in at once on
    another connection. Harmless when repeated; answered by "room" frames from then on.
    """

    performance: PerformanceId
    admission: Annotated[str, Meta(max_length=MAX_TOKEN_CHARS)] = ""


class Ping(_Frame, tag="ping", frozen=True):
    number: int


ClientFrame = (
    Hello
    | Watch
    | Unwatch
    | AskHold
    | AskBest
    | AskRelease
    | AskBasket
    | AskBuy
    | AskBlock
    | AskUnblock
    | AskScan
    | AskUndoScan
    | AskKeptScan
    | AskQueue
    | Ping
)


# From the server -------------------------------------------------------------


class Welcome(_Frame, tag="welcome", frozen=True):
    """`may` lists the client frames this token allows; `who` is the session, operator or device."""

    protocol: int
    who: str
    may: tuple[str, ...]
    server_ms: int


class Reply(_Frame, tag="reply", frozen=True):
    id: bytes
    outcome: Outcome


class Bought(_Frame, tag="bought", frozen=True):
    """The order is paid and sold. Each ticket is (performance, number, seat, area, price type,
    amount); `number` is the order's, `change` what is handed back."""

    id: bytes
    number: int
    total: int
    change: int
    tickets: tuple[tuple[int, int, int, int, str, int], ...]


class NotBought(_Frame, tag="not_bought", frozen=True):
    """Nothing was bought; `code` is one of orders', payments' or the engine's refusals."""

    id: bytes
    code: str
    detail: str
    performance: int
    seats: tuple[int, ...]


class Shed(_Frame, tag="shed", frozen=True):
    """Not decided: the edge is over a bound. Ask again, with the same id, after `retry_ms`."""

    id: bytes
    reason: str  # "busy" | "rate" | "unavailable"
    retry_ms: int


class Lost(_Frame, tag="lost", frozen=True):
    """A hold of this connection ended without being asked to."""

    performance: int
    token: bytes


class Room(_Frame, tag="room", frozen=True):
    """A waiting room as everybody in it sees it: the same bytes for all, about once a second.

    `phase` is an `engine.waiting.Phase`; `arrived` how many ever came; `front` the first place
    of the line that is not admitted yet: who has place P has P - front before them. `per_min`
    were admitted in the last minute; `available` places are free (-1: not known now).
    """

    performance: int
    phase: str
    server_ms: int
    opens_ms: int
    on_sale_ms: int
    arrived: int
    front: int
    per_min: int
    available: int


class Placed(_Frame, tag="placed", frozen=True):
    """Where this session stands. `visitor` is its name in the public log, in hex.

    `number` counts arrivals from 1; `place` counts from 0 in the order of admission, -1 until
    the draw.
    """

    performance: int
    visitor: str
    number: int
    place: int


class Admitted(_Frame, tag="admitted", frozen=True):
    """This session may hold and buy until then; show `admission` on any further connection."""

    performance: int
    admission: str
    expires_ms: int


class Pong(_Frame, tag="pong", frozen=True):
    number: int
    server_ms: int


class Error(_Frame, tag="error", frozen=True):
    """A frame could not be served; `code` is stable, `id` is the frame's where it had one."""

    code: str
    detail: str
    id: bytes = b""


ServerFrame = (
    Welcome | Reply | Bought | NotBought | Shed | Lost | Room | Placed | Admitted | Pong | Error
)


# The hot path ----------------------------------------------------------------

_REPLY_HEAD: Final = b"\x93\xa5reply\xc4\x10"
_HELD_HEAD: Final = b"\x96\xa4held"
_NAMED_BY_THEIR_CODE: Final = frozenset({"refused", "scanned", "kept"})


def reply_frame(id: bytes, outcome: Raw | bytes) -> bytes:
    """Reply(id, outcome) as bytes, from an outcome that is encoded already. `id` has 16 bytes."""
    return b"".join((_REPLY_HEAD, id, outcome))


def outcome_name(outcome: Raw | bytes) -> str:
    """What an encoded outcome is called: its tag ("held"), or its code ("seat_taken", "ADMITTED").

    Relies on what outcomes look like: a short array whose tag, and for refusals and scans the
    code after it, are strings under 32 bytes.
    """
    view = memoryview(outcome)
    if bytes(view[:6]) == _HELD_HEAD:  # nearly all of them, in a good hour
        return "held"
    head = bytes(view[:72])
    end = 2 + (head[1] & 31)
    tag = head[2:end].decode("ascii")
    if tag in _NAMED_BY_THEIR_CODE:
        return head[end + 1 : end + 1 + (head[end] & 31)].decode("ascii")
    return tag
