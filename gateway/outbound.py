"""The sending half of one websocket connection: synchronous, coalescing, bounded.

Owns the bytes on their way to one peer. aiohttp's own send is a coroutine per
frame; replies and colours leave here from plain callbacks instead, many frames
in one write, and a frame that goes to ten thousand watchers is framed once.
That is possible because a server's frames are not masked and we negotiate no
compression: a frame is a short header and its payload (RFC 6455, 5.2).
"""

import asyncio
from typing import Final

from gateway.limits import LAG_BYTES, MAX_UNSENT_BYTES

PING: Final = b"\x89\x00"
"""A framed, empty ping."""
_SHORT: Final = [bytes((0x82, length)) for length in range(126)]


def framed(payload: bytes) -> bytes:
    """One unfragmented, unmasked binary frame."""
    length = len(payload)
    if length < 126:
        return _SHORT[length] + payload
    if length < 2**16:
        return b"\x82\x7e" + length.to_bytes(2, "big") + payload
    return b"\x82\x7f" + length.to_bytes(8, "big") + payload


def close_frame(code: int, why: str) -> bytes:
    """A framed close; `why` is at most 123 bytes."""
    body = code.to_bytes(2, "big") + why.encode()
    return bytes((0x88, len(body))) + body


def pong_frame(payload: bytes) -> bytes:
    """The framed answer to a ping; `payload` is the ping's, at most 125 bytes."""
    return bytes((0x8A, len(payload))) + payload


class Outbound:
    """Writes to `transport` until closed. Everything sent in one turn of the loop is one write."""

    __slots__ = ("_closed", "_loop", "_pending", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._pending: list[bytes] = []
        self._closed = False

    def send(self, payload: bytes) -> None:
        self.send_framed(framed(payload))

    def send_framed(self, frame: bytes) -> None:
        """Send bytes that `framed` made, now or at the end of this turn of the loop."""
        if self._closed:
            return
        self._pending.append(frame)
        if len(self._pending) == 1:
            self._loop.call_soon(self.flush)

    def post(self, frame: bytes) -> bool:
        """Send a frame of many readers at once; False, and nothing sent, when this one lags.

        A reader lags when it is more than LAG_BYTES behind.
        """
        transport = self._transport
        if transport.get_write_buffer_size() > LAG_BYTES:
            return False
        if self._pending or self._closed or transport.is_closing():
            self.send_framed(frame)
        else:
            transport.write(frame)
        return True

    def flush(self) -> None:
        """Hand what is pending to the transport; drop a peer that is MAX_UNSENT_BYTES behind."""
        pending = self._pending
        if pending and not self._closed:
            self._pending = []
            # A transport that is closing complains of every write: its peer is gone anyway.
            if not self._transport.is_closing():
                self._transport.write(pending[0] if len(pending) == 1 else b"".join(pending))
                if self._transport.get_write_buffer_size() > MAX_UNSENT_BYTES:
                    self.abort()

    def unsent_bytes(self) -> int:
        """What the peer has not taken yet, beyond what the kernel buffers."""
        return self._transport.get_write_buffer_size()

    def end(self) -> None:
        """Flush, and send nothing more: the close frame is the last one of a connection."""
        self.flush()
        self._closed = True
        self._pending.clear()

    def abort(self) -> None:
        """Drop the connection with everything unsent: for a peer that does not read."""
        self._closed = True
        self._pending.clear()
        self._transport.abort()
