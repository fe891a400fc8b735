"""A seeded forger: alters real secrets in every way we can think of and counts what passes.

Run it by itself for the long count::

    python -m tests.renderers.forge --count 10_000_000 --seed 1
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from collections.abc import Callable

from renderers import secret

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
# The order of Ed25519's group: S + L is the classic second form of a signature.
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY_BYTES = 9
TICKETS = 500


class Forger:
    """Makes texts that were never issued, from texts that were. One seed, one sequence."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.key = self.random.randbytes(32)
        self.public = secret.public_key(self.key)
        self.claims = [
            secret.Claim(self.random.randrange(2**12), self.random.randrange(2**20), version)
            for version in range(4)
            for _ in range(TICKETS // 4)
        ]
        self.issued = [secret.sign(self.key, *claim) for claim in self.claims]
        self.shorts = [secret.short_code(self.key, *claim) for claim in self.claims]
        other_key = self.random.randbytes(32)
        self.foreign_texts = [secret.sign(other_key, *claim) for claim in self.claims]
        self.known = set(self.issued)
        self.known_shorts = {secret.parse_short(short) for short in self.shorts}
        self.ways: list[Callable[[str], str]] = [
            self.one_letter,
            self.several_letters,
            self.swapped,
            self.one_bit,
            self.other_identity,
            self.spliced,
            self.second_form,
            self.spare_bit,
            self.foreign,
            self.random_signature,
            self.reshaped,
        ]

    def one_letter(self, text: str) -> str:
        at = self.random.randrange(len(text))
        return text[:at] + self.random.choice(ALPHABET) + text[at + 1 :]

    def several_letters(self, text: str) -> str:
        for _ in range(self.random.randrange(2, 9)):
            text = self.one_letter(text)
        return text

    def swapped(self, text: str) -> str:
        letters = list(text)
        one, other = self.random.sample(range(3, len(letters)), 2)
        letters[one], letters[other] = letters[other], letters[one]
        return "".join(letters)

    def one_bit(self, text: str) -> str:
        return encode(decode(text) ^ 1 << self.random.randrange(1, 585))

    def other_identity(self, text: str) -> str:
        identity = self.random.getrandbits(8 * IDENTITY_BYTES)
        return encode(decode(text) & (1 << 513) - 1 | identity << 513)

    def spliced(self, text: str) -> str:
        cut = self.random.randrange(4, len(text))
        return text[:cut] + self.random.choice(self.issued)[cut:]

    def second_form(self, text: str) -> str:
        number = decode(text) >> 1
        scalar = int.from_bytes((number & (1 << 256) - 1).to_bytes(32, "big"), "little")
        scalar += GROUP_ORDER * self.random.randrange(1, 8)
        low = int.from_bytes(scalar.to_bytes(32, "little"), "big")
        return encode((number >> 256 << 256 | low) << 1)

    def spare_bit(self, text: str) -> str:
        return encode(decode(text) | 1)

    def foreign(self, text: str) -> str:
        return self.foreign_texts[self.issued.index(text)]

    def random_signature(self, text: str) -> str:
        return encode(decode(text) >> 513 << 513 | self.random.getrandbits(512) << 1)

    def reshaped(self, text: str) -> str:
        at = self.random.randrange(len(text) + 1)
        extra = self.random.choice(" \n\t-=0A\u0660\uff21é")
        return self.random.choice(
            [
                text.lower(),
                text[:at] + text[at:].lower(),
                text[:at] + extra + text[at:],
                text[:at] + text[at + 1 :],
                text + extra,
                text[:at],
                text[:at] + text,
                text.replace("0", "O"),
                text.replace("1", "I"),
            ]
        )

    def forged(self) -> tuple[str, str]:
        """The name of a way and a text that nobody issued."""
        while True:
            way = self.random.choice(self.ways)
            text = way(self.random.choice(self.issued))
            if text not in self.known:
                return way.__name__, text

    def forged_short(self) -> str:
        """A short number that says something else than every issued one."""
        while True:
            text = self.random.choice(self.shorts)
            for _ in range(self.random.choice((1, 1, 2, 5))):
                at = self.random.randrange(len(text))
                text = text[:at] + self.random.choice(ALPHABET) + text[at + 1 :]
            try:
                if secret.parse_short(text) not in self.known_shorts:
                    return text
            except secret.ForgedSecret:
                return text


def encode(number: int) -> str:
    """The 117 letters after the prefix, from 585 bits: identity, signature, spare bit."""
    number %= 1 << 585
    return "ST1" + "".join(ALPHABET[number >> shift & 31] for shift in range(580, -1, -5))


def decode(text: str) -> int:
    number = 0
    for letter in text[3:]:
        number = number << 5 | ALPHABET.index(letter)
    return number


def run(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Tries ``count`` forgeries; returns how many each way made, and those accepted."""
    forger = Forger(seed)
    for claim, text in zip(forger.claims, forger.issued, strict=True):
        assert secret.verify(forger.public, text) == claim
    tried: Counter[str] = Counter()
    accepted: list[str] = []
    for _ in range(count):
        way, text = forger.forged()
        tried[way] += 1
        try:
            secret.verify(forger.public, text)
        except secret.ForgedSecret:
            continue
        accepted.append(text)
    return tried, accepted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    started = time.monotonic()
    tried, accepted = run(options.count, options.seed)
    print(f"seed {options.seed}: {sum(tried.values()):,} forgeries, {len(accepted)} accepted")
    print(f"{time.monotonic() - started:.0f} s; by way: {dict(tried.most_common())}")
    for text in accepted[:10]:
        print("ACCEPTED", text)
    raise SystemExit(1 if accepted else 0)


if __name__ == "__main__":
    main()
