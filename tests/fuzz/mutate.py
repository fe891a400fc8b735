"""Bytes that are nearly right: made from right ones by small and large damage.

Owns the damage alone. One seed, one sequence. Knows MessagePack and JSON as far as it takes to
damage a value and leave the rest whole, so that what is behind the first check is reached too.
"""

import json
import random
from typing import Any, Final

import msgpack

MAX_BYTES: Final = 65_536
_NUMBERS: Final = (0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, 2**32)
_HUGE: Final = (2**53, 2**62, 2**63 - 1, 2**63, 2**64 - 1, -(2**31) - 1, -(2**63))
_TEXTS: Final = ("", "\0", "a" * 201, "é☃😀", "\u202e", "'\"<&>{{}}%s", "admit", "hold", "ST1", "-")
_BYTES: Final = (
    b"\x00",
    b"\xff",
    b"\x80",
    b"\xc1",
    b"\x91" * 64,
    b"\xdd\xff\xff\xff\xff",
    b'{"a":',
)


class Mutator:
    """Damages inputs; `pool` is what it splices from."""

    def __init__(self, seed: int, pool: list[bytes]) -> None:
        self.dice = random.Random(seed)
        self.pool = pool

    def damaged(self) -> bytes:
        """One of the pool, damaged once or several times; sometimes only noise."""
        dice = self.dice
        if dice.random() < 0.03:
            return dice.randbytes(dice.choice((0, 1, 7, 60, 400)))
        data = dice.choice(self.pool)
        for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
            data = dice.choice(_WAYS)(self, data)
        return data[:MAX_BYTES]

    def flipped(self, data: bytes) -> bytes:
        if not data:
            return b"\x00"
        found = bytearray(data)
        found[self.dice.randrange(len(found))] ^= 1 << self.dice.randrange(8)
        return bytes(found)

    def cut(self, data: bytes) -> bytes:
        begin, end = sorted(self.dice.randrange(len(data) + 1) for _ in range(2))
        return self.dice.choice((data[:begin], data[end:], data[:begin] + data[end:]))

    def doubled(self, data: bytes) -> bytes:
        begin, end = sorted(self.dice.randrange(len(data) + 1) for _ in range(2))
        return data[:end] + data[begin:end] * self.dice.choice((1, 2, 30)) + data[end:]

    def spliced(self, data: bytes) -> bytes:
        other = self.dice.choice(self.pool)
        return (
            data[: self.dice.randrange(len(data) + 1)]
            + other[self.dice.randrange(len(other) + 1) :]
        )

    def stuffed(self, data: bytes) -> bytes:
        at = self.dice.randrange(len(data) + 1)
        return data[:at] + self.dice.choice(_BYTES) + data[at + self.dice.randrange(3) :]

    def digits(self, data: bytes) -> bytes:
        """Another number where one is written out."""
        places = [at for at, byte in enumerate(data) if 0x30 <= byte <= 0x39]
        if not places:
            return self.flipped(data)
        at = self.dice.choice(places)
        number = str(self.dice.choice((*_NUMBERS, *_HUGE, "1e999", "-0.0", "0x1"))).encode()
        return data[:at] + number + data[at + 1 :]

    def value(self, data: bytes) -> bytes:
        """The same structure with one value replaced, dropped or added."""
        try:
            return bytes(msgpack.packb(self._other(msgpack.unpackb(data, strict_map_key=False))))
        except Exception:  # not MessagePack, or no longer
            pass
        try:
            return json.dumps(self._other(json.loads(data))).encode()
        except Exception:
            return self.flipped(data)

    def _other(self, value: Any, depth: int = 0) -> Any:
        dice = self.dice
        if depth and dice.random() < 0.15:
            return self.junk()
        if isinstance(value, list) and value:
            found = list(value)
            at = dice.randrange(len(found))
            match dice.randrange(6):
                case 0:
                    del found[at]
                case 1:
                    found.insert(at, self.junk())
                case 2:
                    found.append(found[at])
                case _:
                    found[at] = self._other(found[at], depth + 1)
            return found
        if isinstance(value, dict) and value:
            found_map = dict(value)
            key = dice.choice(list(found_map))
            match dice.randrange(5):
                case 0:
                    del found_map[key]
                case 1:
                    found_map[dice.choice(_TEXTS)] = self.junk()
                case _:
                    found_map[key] = self._other(found_map[key], depth + 1)
            return found_map
        if isinstance(value, bytes) and value and dice.random() < 0.5:
            return self.flipped(value)
        if isinstance(value, int) and dice.random() < 0.5:
            return value + dice.choice((-1, 1, 7))
        return self.junk()

    def junk(self, depth: int = 0) -> Any:
        """Any value, leaning to those that lie on an edge."""
        dice = self.dice
        match dice.randrange(8 if depth < 2 else 6):
            case 0:
                return dice.choice(_NUMBERS)
            case 1:
                return dice.choice(_HUGE)
            case 2:
                return dice.choice(_TEXTS)
            case 3:
                return dice.randbytes(dice.choice((0, 15, 16, 16, 17)))
            case 4:
                return dice.choice((None, True, False, 0.5, -0.0, float("inf"), float("nan")))
            case 5:
                return dice.randrange(200)
            case 6:
                return [self.junk(depth + 1) for _ in range(dice.randrange(4))]
            case _:
                return {dice.choice(_TEXTS): self.junk(depth + 1) for _ in range(dice.randrange(3))}


_WAYS: Final = (
    Mutator.flipped,
    Mutator.cut,
    Mutator.doubled,
    Mutator.spliced,
    Mutator.stuffed,
    Mutator.digits,
    Mutator.value,
    Mutator.value,
    Mutator.value,
    Mutator.value,
)
