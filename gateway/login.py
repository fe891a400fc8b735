"""Passwords: argon2id, verified in threads, a few at once, and slower for who guesses.

Owns the hashing, the bound on how many verifications wait, and the memory of
failures per name and per address. A wrong name costs as much time as a wrong
password. Knows no token: who passes gets one from `gateway.session`.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct

from gateway.limits import (
    FREE_LOGIN_FAILURES_PER_ADDRESS,
    FREE_LOGIN_FAILURES_PER_NAME,
    LOGIN_MEMORY_S,
    LOGIN_PENALTY_S,
    MAX_LOGIN_PENALTY_S,
    MAX_REMEMBERED_LOGINS,
    MAX_WAITING_LOGINS,
    PASSWORD_THREADS,
)
from gateway.problems import Problem, too_many

T = TypeVar("T")

_HASHER: Final = PasswordHasher()  # argon2id with the library's parameters (RFC 9106, low memory)


def hash_password(password: str) -> str:
    """The argon2id hash to keep of a password; about 50 ms of a core."""
    return _HASHER.hash(password)


NOBODY: Final = ""
"""Stands for an unknown operator's hash. Something is verified all the same, so that names cannot
be told by the clock."""


@cache
def _decoy() -> str:
    return hash_password("nobody has this password")


def _verify(password_hash: str, password: str) -> bool:
    try:
        if password_hash == NOBODY:
            _HASHER.verify(_decoy(), password)
            return False
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


class Failures(Struct):
    count: int
    last_s: float
    wait_until_s: float


class Throttle:
    """Failures of one kind of key; past `free` of them each one doubles the wait."""

    def __init__(self, free: int) -> None:
        self._free = free
        self._failures: OrderedDict[str, Failures] = OrderedDict()

    def wait_s(self, key: str, now_s: float) -> float:
        """How long this key has to wait before its next attempt; 0.0 for not at all."""
        known = self._failures.get(key)
        if known is None:
            return 0.0
        if now_s - known.last_s > LOGIN_MEMORY_S:
            del self._failures[key]
            return 0.0
        return max(0.0, known.wait_until_s - now_s)

    def failed(self, key: str, now_s: float) -> None:
        if not key:
            return
        known = self._failures.setdefault(key, Failures(0, now_s, 0.0))
        known.count += 1
        known.last_s = now_s
        beyond = known.count - self._free
        if beyond > 0:
            # The exponent is kept small: past the longest wait, a larger one changes nothing.
            penalty_s = min(MAX_LOGIN_PENALTY_S, LOGIN_PENALTY_S * 2 ** min(beyond - 1, 16))
            known.wait_until_s = now_s + penalty_s
        self._failures.move_to_end(key)
        if len(self._failures) > MAX_REMEMBERED_LOGINS:
            self._failures.popitem(last=False)

    def forgive(self, key: str) -> None:
        """One failure was none."""
        known = self._failures.get(key)
        if known is not None:
            known.count -= 1
            if known.count <= self._free:
                known.wait_until_s = 0.0

    def passed(self, key: str) -> None:
        self._failures.pop(key, None)


class Passwords:
    """Checks and hashes passwords for one gateway."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(PASSWORD_THREADS, "password")
        self._waiting = 0
        self._by_name = Throttle(FREE_LOGIN_FAILURES_PER_NAME)
        self._by_address = Throttle(FREE_LOGIN_FAILURES_PER_ADDRESS)

    async def check(self, name: str, address: str, password_hash: str, password: str) -> bool:
        """Whether the password is right. `password_hash` is NOBODY for an unknown name.

        `address` is a key of `gateway.addresses`, "" for one without bounds. Raises
        Problem("too_many_attempts") for who has failed too often lately.
        """
        name = name.lower()
        self._count(name, address)
        try:
            right = await self._in_thread(lambda: _verify(password_hash, password))
        except BaseException:
            # Nobody looked at this password.
            self._by_name.forgive(name)
            self._by_address.forgive(address)
            raise
        if right:
            self._by_name.passed(name)
            self._by_address.forgive(address)
        return right

    def _count(self, name: str, address: str) -> None:
        """Count an attempt as failed before it is: many at once must not all be the first."""
        now_s = asyncio.get_running_loop().time()
        wait_s = max(self._by_name.wait_s(name, now_s), self._by_address.wait_s(address, now_s))
        if wait_s > 0:
            raise too_many(wait_s, "attempts")
        self._by_name.failed(name, now_s)
        self._by_address.failed(address, now_s)

    async def hash(self, password: str) -> str:
        return await self._in_thread(lambda: hash_password(password))

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._waiting >= MAX_WAITING_LOGINS:
            raise Problem("busy", "too many logins at once", headers={"Retry-After": "2"})
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1
