"""A websocket connection before anybody knows whose it is: the upgrade, and the hello.

Owns the server's half of the handshake, and the wait for the first frame. After the handshake
the connection is no longer aiohttp's: its HTTP half is told that it is over and forgets it, so
that ten thousand connections that only watch do not each carry a parser and two tasks.
"""

import asyncio
import base64
import binascii
from collections.abc import Callable
from hashlib import sha1
from typing import Final

import msgspec
from aiohttp import WSCloseCode, hdrs, web

from gateway import wire
from gateway.inbound import Peer
from gateway.metrics import Metrics
from gateway.problems import Problem

_decode = msgspec.msgpack.Decoder(wire.Hello).decode
_encode = msgspec.msgpack.Encoder().encode

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_VERSION: Final = "13"
_KEY_BYTES: Final = 16


class Upgrade(web.StreamResponse):
    """The answer to a websocket's handshake."""

    def __init__(self, request: web.Request) -> None:
        """Raises Problem for a request that is none."""
        headers = request.headers
        connection = headers.get(hdrs.CONNECTION, "").lower()
        if headers.get(hdrs.UPGRADE, "").lower() != "websocket" or "upgrade" not in connection:
            raise Problem("bad_request", "this address speaks websocket only")
        if headers.get(hdrs.SEC_WEBSOCKET_VERSION) != _VERSION:
            raise Problem("bad_request", f"only version {_VERSION} of websocket is spoken here")
        key = headers.get(hdrs.SEC_WEBSOCKET_KEY, "").encode()
        if not _is_key(key):
            raise Problem("bad_request", "the websocket's key is not 16 bytes in base64")
        accept = base64.b64encode(sha1(key + _GUID, usedforsecurity=False).digest()).decode()
        super().__init__(
            status=101,
            headers={
                hdrs.UPGRADE: "websocket",
                hdrs.CONNECTION: "Upgrade",
                hdrs.SEC_WEBSOCKET_ACCEPT: accept,
            },
        )
        self._length_check = False


def _is_key(key: bytes) -> bool:
    try:
        return len(base64.b64decode(key, validate=True)) == _KEY_BYTES
    except binascii.Error:
        return False


def take_over(request: web.Request) -> asyncio.Transport | None:
    """The transport of an answered upgrade, ours alone from now on; None when the peer has gone."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return None
    http = request.protocol
    http.transport = None  # or it would close it
    http.connection_lost(None)
    return transport


class Arrival(Peer):
    """A client that has not said who it is."""

    __slots__ = ("_gone", "_heard", "_late", "_metrics")

    def __init__(
        self,
        transport: asyncio.Transport,
        loop: asyncio.AbstractEventLoop,
        metrics: Metrics,
        within_s: float,
        heard: Callable[["Arrival", str], None],
        gone: Callable[["Arrival"], None],
    ) -> None:
        """`heard` gets the token, at most once; `gone` hears of the connection's end."""
        super().__init__(transport, loop)
        self._metrics = metrics
        self._heard = heard
        self._gone = gone
        self._late = loop.call_later(
            within_s, self.refuse, "hello_missing", "no hello came in time"
        )
        transport.set_protocol(self)

    def message(self, data: bytes) -> None:
        self._late.cancel()
        try:
            token = _decode(data).token
        except (msgspec.MsgspecError, ValueError, RecursionError):
            self.refuse("hello_missing", "the first frame is hello")
            return
        self.halt()
        self._heard(self, token)

    def refuse(self, code: str, detail: str) -> None:
        """Say why, and hang up."""
        if not self.closing:
            self._metrics.frames_refused[code] += 1
            self.out.send(_encode(wire.Error(code, detail)))
            self.close(WSCloseCode.POLICY_VIOLATION, code)

    def ends(self, why: str) -> None:
        self._late.cancel()
        self._metrics.closed[why] += 1

    def connection_lost(self, error: Exception | None) -> None:
        self.closing = True
        self._late.cancel()
        self._gone(self)
