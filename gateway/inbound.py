"""One websocket connection after its upgrade: frames out of the bytes that come, and its end.

Owns the framing of RFC 6455 as far as a server that negotiates no extension meets it, and the
closing handshake. A message is served in the turn of the loop in which its last byte arrives:
aiohttp hands each one through a queue to a waiting task, which for small commands costs more
than serving them (docs/adr/0004). Knows no frame of ours: `gateway.arrival` and
`gateway.socket` do.
"""

import asyncio
from typing import Final

import structlog
from aiohttp import WSCloseCode

from engine.limits import MAX_FRAME_BYTES
from gateway.limits import CLOSE_S
from gateway.outbound import Outbound, close_frame, pong_frame

log = structlog.get_logger("gateway.inbound")

_WHOLE_BINARY: Final = 0x82
"""The first byte of a message that is one binary frame."""
_FIN: Final = 0x80
_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_MIN_FRAME_BYTES: Final = 6
"""Of a client's frame: two bytes of head, and the mask."""
_MAX_CONTROL_BYTES: Final = 125


class Peer(asyncio.Protocol):
    """A client's connection. Subclasses say what a message does."""

    __slots__ = (
        "_buffer",
        "_deaf",
        "_fragments",
        "_gathered",
        "_halted",
        "_kind",
        "_loop",
        "_needed",
        "address",
        "closing",
        "out",
        "transport",
    )

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self.transport = transport
        self.out = Outbound(transport, loop)
        self.address = ""
        """Under which it is counted; see `gateway.addresses`."""
        self.closing = False
        """The close frame is sent, or the connection is gone: nothing is served any more."""
        self._loop = loop
        self._buffer = b""
        """What came of frames that are not whole."""
        self._needed = _MIN_FRAME_BYTES
        """With fewer bytes than these in it, the next frame is not whole."""
        self._fragments: list[bytes] | None = None
        self._gathered = 0  # bytes in them, and one for each: empty parts take room too
        self._kind = _BINARY  # of the message that `_fragments` are
        self._halted = False
        self._deaf = False

    # For subclasses to say --------------------------------------------------------------

    def message(self, data: bytes) -> None:
        """A binary message."""
        raise NotImplementedError

    def heard(self) -> None:
        """A control frame: the peer is there."""

    def ends(self, why: str) -> None:
        """We close the connection, because of `why`; called once, and never after the peer did."""

    # The end ----------------------------------------------------------------------------

    def close(self, code: int, why: str) -> None:
        """Send what is pending and the close frame; the peer has CLOSE_S to answer it."""
        if self.closing:
            return
        self.ends(why)
        self._say_goodbye(code, why)
        self._halted = False
        self.transport.resume_reading()

    def _on_close_frame(self) -> None:
        if not self.closing:
            self._say_goodbye(WSCloseCode.OK, "")
        self._deaf = True
        self.transport.close()  # what is pending is sent first

    def _say_goodbye(self, code: int, why: str) -> None:
        """The last frame; a peer that has not taken it, or not answered, by CLOSE_S is dropped."""
        self.closing = True
        self.out.send_framed(close_frame(code, why))
        self.out.end()
        self._loop.call_later(CLOSE_S, self.transport.abort)

    def _break_off(self, code: int, why: str) -> None:
        """What comes cannot be read, its close frame least of all."""
        self._deaf = True
        self.close(code, why)

    # Bytes into frames ------------------------------------------------------------------

    def halt(self) -> None:
        """Read no further frame until `go_on`."""
        self._halted = True
        self.transport.pause_reading()

    def go_on(self) -> None:
        """Read again, first what had come already."""
        self._halted = False
        self.transport.resume_reading()
        if self._buffer:
            self.data_received(b"")

    def hand_over(self, to: "Peer") -> None:
        """Let another read on, from the first frame that was not read here."""
        self.transport.set_protocol(to)
        to._buffer = self._buffer
        to.go_on()

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._buffer:
            data = self._buffer + data
            if len(data) < self._needed:
                self._buffer = data
                return
        try:
            read = self._read(data)
        except Exception:
            log.exception("connection failed")
            self._break_off(WSCloseCode.INTERNAL_ERROR, "internal")
            read = len(data)
        self._buffer = data[read:]

    def _read(self, data: bytes) -> int:
        """Serve every whole frame; how many bytes they were."""
        at, end = 0, len(data)
        self._needed = _MIN_FRAME_BYTES
        while end - at >= _MIN_FRAME_BYTES and not self._halted:
            length = data[at + 1] - 0x80
            if length < 0:
                self._break_off(WSCloseCode.PROTOCOL_ERROR, "not_masked")
                return end
            begins = at + 6
            if length > _MAX_CONTROL_BYTES:
                begins += 2 if length == 126 else 8
                if begins > end:
                    self._needed = begins - at
                    return at
                length = int.from_bytes(data[at + 2 : begins - 4])
                if length > MAX_FRAME_BYTES:
                    self._break_off(WSCloseCode.MESSAGE_TOO_BIG, "frame_too_big")
                    return end
            ends = begins + length
            if ends > end:
                self._needed = ends - at
                return at
            payload = _unmasked(data[begins - 4 : begins], data[begins:ends])
            if data[at] == _WHOLE_BINARY and self._fragments is None:
                if not self.closing:
                    self.message(payload)
            else:
                self._unusual(data[at], payload)
                if self._deaf:
                    return end
            at = ends
        return at

    def _unusual(self, head: int, payload: bytes) -> None:
        """A control frame, a text, a part of a message, or nonsense."""
        kind, whole = head & 0x0F, head >= _FIN
        if head & 0x70:
            self._break_off(WSCloseCode.PROTOCOL_ERROR, "reserved_bits")
        elif kind in (_CLOSE, _PING, _PONG) and whole and len(payload) <= _MAX_CONTROL_BYTES:
            if kind == _CLOSE:
                self._on_close_frame()
            elif not self.closing:
                self.heard()
                if kind == _PING:
                    self.out.send_framed(pong_frame(payload))
        elif kind > _BINARY or (kind == _CONTINUATION) is (self._fragments is None):
            self._break_off(WSCloseCode.PROTOCOL_ERROR, "opcode")
        else:
            self._part(kind, whole, payload)

    def _part(self, kind: int, whole: bool, payload: bytes) -> None:
        if self._fragments is None:
            self._kind, self._fragments, self._gathered = kind, [], 0
        self._fragments.append(payload)
        self._gathered += len(payload) + 1
        if self._gathered > MAX_FRAME_BYTES:
            self._break_off(WSCloseCode.MESSAGE_TOO_BIG, "frame_too_big")
        elif whole:
            message, self._fragments = b"".join(self._fragments), None
            if self._kind == _TEXT:
                self.close(WSCloseCode.UNSUPPORTED_DATA, "binary_frames_only")
            elif not self.closing:
                self.message(message)


def _unmasked(mask: bytes, payload: bytes) -> bytes:
    """Every byte of the payload XORed with the mask's four, over and over (RFC 6455, 5.3)."""
    length = len(payload)
    key = int.from_bytes((mask * (length // 4 + 1))[:length])
    return (int.from_bytes(payload) ^ key).to_bytes(length)
