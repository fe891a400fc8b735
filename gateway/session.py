"""Who is there, and what they may do.

Owns tokens and rights. A buyer is an anonymous session whose token carries its
own proof (an HMAC and an expiry), so that it costs no storage; an operator's
or a device's token is random, and the database keeps only its SHA-256. Knows
neither HTTP nor sockets, and no password: that is `gateway.login`.

Tokens begin with the kind of their bearer: "b." buyer, "o." operator, "d." device.
"""

import asyncio
import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Iterable
from enum import StrEnum
from functools import cache
from hashlib import sha256
from typing import Final

from msgspec import Struct

from engine.commands import Channel
from gateway import wire
from gateway.addresses import Allowance
from gateway.backend import Access
from gateway.limits import (
    BAD_TOKENS_PER_ADDRESS,
    BAD_TOKENS_PER_ADDRESS_PER_S,
    IDENTITY_CACHE_S,
    MAX_CACHED_IDENTITIES,
    SESSION_LIFE_S,
)
from gateway.problems import too_many

_SESSION_BYTES: Final = 16
_EXPIRY_BYTES: Final = 6
_MAC_BYTES: Final = 16
_MAC_CONTEXT: Final = b"strapontin session 1\0"


class Role(StrEnum):
    """What an operator may do; one may have several. BUYER and DEVICE are never given by hand.

    RESELLER stands alone: an account of another business, which sells in a channel of its own.
    """

    ADMIN = "admin"
    SUPERVISOR = "supervisor"
    CASHIER = "cashier"
    REFUND = "refund"
    DOOR = "door"
    REPORT = "report"
    RESELLER = "reseller"
    BUYER = "buyer"
    DEVICE = "device"


OVERRIDE_ROLES: Final = (Role.ADMIN, Role.SUPERVISOR)
"""Who may let in against the rules, and take back what was scanned elsewhere."""
OPERATOR_ROLES: Final = (
    Role.ADMIN,
    Role.SUPERVISOR,
    Role.CASHIER,
    Role.REFUND,
    Role.DOOR,
    Role.REPORT,
    Role.RESELLER,
)

_WATCHING: Final = frozenset({wire.Watch, wire.Unwatch, wire.Ping})
_HOLDING: Final = frozenset({wire.AskHold, wire.AskBest, wire.AskRelease, wire.AskBasket})
_QUEUEING: Final = frozenset({wire.AskQueue})
_SELLING: Final = frozenset({wire.AskBuy, wire.AskBlock, wire.AskUnblock})
_SCANNING: Final = frozenset({wire.AskScan, wire.AskUndoScan, wire.AskKeptScan})

FRAMES: Final[dict[Role, frozenset[type]]] = {
    Role.ADMIN: _WATCHING | _HOLDING | _SELLING | _SCANNING,
    Role.SUPERVISOR: _WATCHING | _HOLDING | _SELLING | _SCANNING,
    Role.CASHIER: _WATCHING | _HOLDING | _SELLING,
    Role.REFUND: _WATCHING,
    Role.DOOR: _WATCHING | _SCANNING,
    Role.REPORT: _WATCHING,
    Role.RESELLER: _WATCHING | _HOLDING,
    Role.BUYER: _WATCHING | _HOLDING | _QUEUEING,
    Role.DEVICE: _WATCHING | _SCANNING,
}
"""Which websocket frames each role may send."""


class Principal(Struct, frozen=True):
    """Someone whose token was checked.

    `who` is the session (32 hex), the operator's or the device's name. `gate` and
    `performances` (empty: any) bind a device. `digest` is the SHA-256 under which the
    database knows the token, empty for buyers.
    """

    who: str
    roles: frozenset[Role]
    expires_ms: int = 0  # 0: until revoked
    language: str = ""
    gate: str = ""
    performances: frozenset[int] = frozenset()
    digest: bytes = b""

    @property
    def is_buyer(self) -> bool:
        return Role.BUYER in self.roles

    @property
    def is_operator(self) -> bool:
        return not self.roles & {Role.BUYER, Role.DEVICE}

    @property
    def is_reseller(self) -> bool:
        return Role.RESELLER in self.roles

    @property
    def is_outsider(self) -> bool:
        """Not of the house: hidden performances are hidden from them."""
        return self.is_buyer or self.is_reseller

    @property
    def kind(self) -> str:
        """What the metrics call this kind of client."""
        if self.is_buyer:
            return "buyer"
        return "operator" if self.is_operator else "device"

    @property
    def holder(self) -> str:
        """The name that holds are kept under; operators' and sessions' never coincide."""
        return self.who if self.is_buyer else f"operator:{self.who}"

    @property
    def channel(self) -> Channel:
        """Where they sell, or buy, unless they say otherwise."""
        if self.is_reseller:
            return Channel.RESELLER
        return Channel.WEB if self.is_buyer else Channel.BOX_OFFICE

    def may_sell_in(self, channel: Channel) -> bool:
        """Their own channel; the house's people also take orders by phone."""
        if channel is Channel.PHONE:
            return self.is_operator and not self.is_reseller
        return channel is self.channel

    @property
    def frames(self) -> frozenset[type]:
        return _frames_of(self.roles)

    def has(self, *roles: Role) -> bool:
        return not self.roles.isdisjoint(roles)

    def may_serve(self, performance: int) -> bool:
        return not self.performances or performance in self.performances


@cache
def _frames_of(roles: frozenset[Role]) -> frozenset[type]:
    """One set for everybody of the same roles: ten thousand connections share it."""
    return frozenset().union(*(FRAMES[role] for role in roles))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def new_token(kind: str) -> str:
    """A random token; `kind` is "o", "d", or "e" for one that a device enrols with."""
    return f"{kind}.{secrets.token_urlsafe(32)}"


def digest_of(token: str) -> bytes:
    """What the database keeps of a token. Tokens are random: no salt is needed."""
    return sha256(token.encode()).digest()


class BuyerTokens:
    """Makes and checks the tokens of anonymous buyers."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def new(self, at_ms: int) -> tuple[str, Principal]:
        return self._token(secrets.token_bytes(_SESSION_BYTES), at_ms)

    def renewed(self, token: str, at_ms: int) -> tuple[str, Principal] | None:
        """The token itself, or past half of its life a younger one for the same session."""
        buyer = self.check(token, at_ms)
        if buyer is None:
            return None
        if buyer.expires_ms - at_ms > SESSION_LIFE_S * 1000 // 2:
            return token, buyer
        return self._token(bytes.fromhex(buyer.who), at_ms)

    def check(self, token: str, at_ms: int) -> Principal | None:
        """Whose token this is; None when it is forged, malformed or too old."""
        try:
            raw = base64.urlsafe_b64decode(token.removeprefix("b.").encode("ascii"))
        except (UnicodeEncodeError, binascii.Error):
            return None
        body, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if len(body) != _SESSION_BYTES + _EXPIRY_BYTES:
            return None
        if not hmac.compare_digest(mac, self._mac(body)):
            return None
        expires_ms = int.from_bytes(body[_SESSION_BYTES:], "big")
        return _buyer(body[:_SESSION_BYTES], expires_ms) if at_ms < expires_ms else None

    def _token(self, session: bytes, at_ms: int) -> tuple[str, Principal]:
        expires_ms = at_ms + SESSION_LIFE_S * 1000
        body = session + expires_ms.to_bytes(_EXPIRY_BYTES, "big")
        token = base64.urlsafe_b64encode(body + self._mac(body)).decode("ascii")
        return f"b.{token}", _buyer(session, expires_ms)

    def _mac(self, body: bytes) -> bytes:
        return hmac.digest(self._key, _MAC_CONTEXT + body, sha256)[:_MAC_BYTES]


def _buyer(session: bytes, expires_ms: int) -> Principal:
    return Principal(session.hex(), frozenset({Role.BUYER}), expires_ms)


class Identities:
    """Whose token is this? Asks the database at most every IDENTITY_CACHE_S per token."""

    def __init__(self, access: Access, buyers: BuyerTokens) -> None:
        self._access = access
        self._buyers = buyers
        self._cache: dict[bytes, tuple[float, Principal | None]] = {}
        self._guesses = Allowance(BAD_TOKENS_PER_ADDRESS, BAD_TOKENS_PER_ADDRESS_PER_S)

    async def identify(self, token: str, address: str = "") -> Principal | None:
        """None for a token that is unknown, expired or revoked.

        `address` is a key of `gateway.addresses`, "" for one without bounds. Raises one of
        `Backend.outages` when only the database could tell and it is silent, and
        Problem("too_many_attempts") where it would have to be asked for an address that has
        shown too many tokens that are no good.
        """
        at_ms = now_ms()
        if token.startswith("b."):
            return self._buyers.check(token, at_ms)
        if not token.startswith(("o.", "d.")):
            return None
        digest = digest_of(token)
        loop_s = asyncio.get_running_loop().time()
        until_s, principal = self._cache.get(digest, (0.0, None))
        if loop_s >= until_s:
            known_good = principal is not None
            wait_s = self._guesses.wait_s(address, loop_s)
            if wait_s > 0 and not known_good:
                raise too_many(wait_s, "tokens from this address that are no good")
            principal = await self._look_up(digest, at_ms)
            if principal is None:
                self._guesses.take(address, loop_s)
            if len(self._cache) >= MAX_CACHED_IDENTITIES:
                self._cache.clear()
            self._cache[digest] = (loop_s + IDENTITY_CACHE_S, principal)
        if principal is not None and 0 < principal.expires_ms <= at_ms:
            return None
        return principal

    async def still_valid(self, principals: Iterable[Principal]) -> set[Principal]:
        """Those whose token is good now, asked of the database for all but buyers."""
        at_ms = now_ms()
        good: set[Principal] = set()
        for principal in principals:
            if principal.is_buyer:
                fresh = at_ms < principal.expires_ms
            else:
                fresh = await self._look_up(principal.digest, at_ms) == principal
            if fresh:
                good.add(principal)
        return good

    def forget(self, digest: bytes) -> None:
        """A token was revoked here: believe it no longer."""
        self._cache.pop(digest, None)

    def forget_all(self) -> None:
        self._cache.clear()

    async def _look_up(self, digest: bytes, at_ms: int) -> Principal | None:
        if session := await self._access.find_session(digest, at_ms):
            operator, expires_ms = session
            return Principal(
                operator.name,
                frozenset(Role(role) for role in operator.roles),
                expires_ms,
                language=operator.language,
                digest=digest,
            )
        if device := await self._access.find_device(digest):
            return Principal(
                device.name,
                frozenset({Role.DEVICE}),
                gate=device.gate,
                performances=frozenset(device.performances),
                digest=digest,
            )
        return None
