"""Where a client comes from, and how much one address may take.

Owns the reading of addresses, a proxy's word included where that proxy is configured, and the
two bounds that are kept per address: so many of a thing at once (`Crowd`), so many in a while
(`Allowance`). Both are generous, because a school, a company or a telephone network buys
through one address; what stops who comes from many is elsewhere (the waiting room, holds per
session, rates per connection).

An address that stands for nobody in particular has no key and no bound: this machine's own,
because what comes from there is a proxy that nobody told us of, or the house itself.
"""

from collections import Counter, OrderedDict
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from aiohttp import web
from msgspec import Struct

from gateway.limits import MAX_REMEMBERED_ADDRESSES

FORWARDED = "X-Forwarded-For"
_MAX_HOPS = 16
"""Addresses of the header that are looked at, from its end."""


class Addresses:
    """Reads the address of a request. Raises ValueError for a network that is none."""

    def __init__(self, trusted_proxies: Iterable[str] = ()) -> None:
        self._trusted: list[IPv4Network | IPv6Network] = [
            ip_network(text) for text in trusted_proxies
        ]

    def of(self, request: web.BaseRequest) -> str:
        """The client's address; of a peer that is no trusted proxy nothing is believed."""
        address = request.remote or ""
        if not self.is_proxy(address):
            return address
        # Each proxy adds whom it heard at the end; what stands before the last one that we do not
        # know was written by the client.
        hops = ",".join(request.headers.getall(FORWARDED, ())).split(",")
        for hop in reversed(hops[-_MAX_HOPS:]):
            if not _is_address(hop.strip()):
                break
            address = hop.strip()
            if not self.is_proxy(address):
                break
        return address

    def is_proxy(self, address: str) -> bool:
        if not self._trusted or not _is_address(address):
            return False
        found = ip_address(address)
        return any(found in network for network in self._trusted)

    def key(self, address: str) -> str:
        """Under which an address is counted; "" for one without bounds."""
        return "" if self.is_proxy(address) else key_of(address)


@lru_cache(maxsize=4_096)
def key_of(address: str) -> str:
    """An IPv4 address itself, of an IPv6 one its /64, which is one household; "" for our own."""
    try:
        found = ip_address(address)
    except ValueError:
        return ""
    if isinstance(found, IPv6Address):
        mapped = found.ipv4_mapped
        if mapped is not None:
            return key_of(str(mapped))
        if not found.is_loopback:
            return str(IPv6Network((int(found) >> 64 << 64, 64)))
    return "" if found.is_loopback else str(found)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


class Crowd:
    """How many of a thing each address has now, at most `most`."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._there: Counter[str] = Counter()

    def enter(self, key: str) -> bool:
        """False, and not counted, when this address has its fill."""
        if key:
            if self._there[key] >= self._most:
                return False
            self._there[key] += 1
        return True

    def leave(self, key: str) -> None:
        if key:
            self._there[key] -= 1
            if not self._there[key]:
                del self._there[key]

    def __len__(self) -> int:
        return len(self._there)


class _Left(Struct):
    tokens: float
    at_s: float


class Allowance:
    """So many at once and so many more a second, for each address.

    Remembers MAX_REMEMBERED_ADDRESSES; whoever was not seen for longest is forgotten first.
    """

    def __init__(self, burst: float, per_s: float) -> None:
        self._burst = burst
        self._per_s = per_s
        self._left: OrderedDict[str, _Left] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """How long until this address may have another one; 0.0 for not at all."""
        known = self._left.get(key)
        if known is None:
            return 0.0
        tokens = known.tokens + (now_s - known.at_s) * self._per_s
        return max(0.0, (1.0 - tokens) / self._per_s)

    def take(self, key: str, now_s: float) -> None:
        """Count one, allowed or not."""
        if not key:
            return
        known = self._left.setdefault(key, _Left(self._burst, now_s))
        refilled = known.tokens + (now_s - known.at_s) * self._per_s
        known.tokens = max(0.0, min(refilled, self._burst) - 1.0)
        known.at_s = now_s
        self._left.move_to_end(key)
        if len(self._left) > MAX_REMEMBERED_ADDRESSES:
            self._left.popitem(last=False)

    def __len__(self) -> int:
        return len(self._left)
