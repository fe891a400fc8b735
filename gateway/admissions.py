"""The tokens of who was let in from a waiting room.

Owns their making and checking: an HMAC over the room, the session and the expiry, under
the key that all gateways of a house share, so that each of them can tell without asking.
A token is of use to its own session only. Knows no room but by its commitment, which is
different for each.
"""

import base64
import binascii
import hmac
from hashlib import sha256
from typing import Final

_EXPIRY_BYTES: Final = 6
_MAC_BYTES: Final = 16
_MAC_CONTEXT: Final = b"strapontin admission 1\0"


class AdmissionTokens:
    """Makes and checks them."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def token(self, performance: int, commitment: bytes, session: str, expires_ms: int) -> str:
        expiry = expires_ms.to_bytes(_EXPIRY_BYTES, "big")
        mac = self._mac(performance, commitment, session, expiry)
        return base64.urlsafe_b64encode(expiry + mac).decode("ascii")

    def check(
        self, token: str, performance: int, commitment: bytes, session: str, at_ms: int
    ) -> int:
        """When this session's admission ends; 0 for a token that is forged, foreign or over."""
        try:
            raw = base64.urlsafe_b64decode(token.encode("ascii"))
        except (UnicodeEncodeError, binascii.Error):
            return 0
        expiry, mac = raw[:_EXPIRY_BYTES], raw[_EXPIRY_BYTES:]
        if not hmac.compare_digest(mac, self._mac(performance, commitment, session, expiry)):
            return 0
        expires_ms = int.from_bytes(expiry, "big")
        return expires_ms if expires_ms > at_ms else 0

    def _mac(self, performance: int, commitment: bytes, session: str, expiry: bytes) -> bytes:
        # Every part but the session has a fixed length, so no two texts run together.
        body = performance.to_bytes(4, "big") + commitment + expiry + session.encode()
        return hmac.digest(self._key, _MAC_CONTEXT + body, sha256)[:_MAC_BYTES]
