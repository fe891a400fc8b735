"""A seeded forger: alters real secrets in every way we can think of and counts what passes.

Mutated, truncated and spliced ones (with others of this house, of other performances, versions
and organisers) have to fail at the signature. Replayed ones are genuine: used before, reissued
since, refunded, of another performance or house. Those pass the signature, or belong to another
key, and the engine has to say no. Everything is shown to the door's own check and, where that
lets it through, to a real performance.

Run it by itself for the long count::

    python -m tests.renderers.forge --count 10_000_000 --seed 1
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor

from engine.commands import (
    Channel,
    Checkout,
    Command,
    Hold,
    Line,
    Outcome,
    Refund,
    Refused,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
    SetTickets,
    TicketState,
)
from engine.performance import Performance
from gateway.doors import Secrets
from renderers import secret
from tests.actors.houses import settings, small_plan

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
DIGITS = str.maketrans(ALPHABET, "0123456789ABCDEFGHIJKLMNOPQRSTUV")
# The order of Ed25519's group: S + L is the classic second form of a signature.
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
IDENTITY_BYTES = 9
TICKETS = 500
REPLAYED = 0.1
"""Of all that is tried: genuine secrets that must not let anybody in any more, or not here."""
PER_TURN = 250_000
HERE = 7
TICKETS_HERE = 80
ORDER = "0" * 32
AT_MS = 1_800_000_000_000


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
        self.foreign_key = self.random.randbytes(32)
        self.foreign_texts = [secret.sign(self.foreign_key, *claim) for claim in self.claims]
        self.known = set(self.issued)
        self.known_shorts = {secret.parse_short(short) for short in self.shorts}
        self.ways: list[Callable[[str], str]] = [
            self.one_letter,
            self.several_letters,
            self.swapped,
            self.one_bit,
            self.other_identity,
            self.truncated,
            self.spliced,
            self.spliced_with_a_foreign_one,
            self.anothers_signature,
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

    def spliced_with_a_foreign_one(self, text: str) -> str:
        cut = self.random.randrange(4, len(text))
        pieces = (text, self.random.choice(self.foreign_texts))
        first, second = self.random.sample(pieces, 2)
        return first[:cut] + second[cut:]

    def anothers_signature(self, text: str) -> str:
        """The identity of one ticket over the signature of another, or of its other version."""
        other = self.random.choice(self.random.choice((self.issued, self.foreign_texts)))
        return encode(decode(text) >> 513 << 513 | decode(other) & (1 << 513) - 1)

    def truncated(self, text: str) -> str:
        begin, end = sorted(self.random.sample(range(len(text) + 1), 2))
        return self.random.choice((text[:begin], text[begin:], text[begin:end]))

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
            # Readers end a code with Enter or Tab, and the door takes that off.
            if text.strip() not in self.known:
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


class Door:
    """The gate of one performance, with tickets that must not be let in a second time."""

    def __init__(self, key: bytes, foreign_key: bytes) -> None:
        self._secrets = Secrets(key)
        self._performance = Performance(HERE, small_plan(), settings(max_per_order=TICKETS_HERE))
        self._scans = 0
        self._sell()
        each = TICKETS_HERE // 4
        used, reissued, refunded, fresh = (
            range(1 + part * each, 1 + (part + 1) * each) for part in range(4)
        )
        sign, short = secret.sign, secret.short_code
        self.replays: list[tuple[str, ScanOutcome]] = []
        for ticket in used:
            assert self.judged(sign(key, HERE, ticket, 0), ScanMode.ADMIT) is ScanOutcome.ADMITTED
            for make in (sign, short):
                self.replays.append((make(key, HERE, ticket, 0), ScanOutcome.ALREADY_USED))
        self._apply(SetTickets(self._id(), tuple(reissued), TicketState.REVOKED, "lost"))
        for ticket in reissued:
            self.replays.append((sign(key, HERE, ticket, 0), ScanOutcome.REVOKED))
        self._apply(Refund(self._id(), ORDER, tuple(refunded)))
        for ticket in refunded:
            self.replays.append((sign(key, HERE, ticket, 0), ScanOutcome.REFUNDED))
        for ticket in fresh:
            elsewhere = sign(key, HERE + 1, ticket, 0)
            self.replays.append((elsewhere, ScanOutcome.WRONG_PERFORMANCE))
            self.replays.append((sign(foreign_key, HERE, ticket, 0), ScanOutcome.UNKNOWN))
            self.replays.append((short(foreign_key, HERE, ticket, 0), ScanOutcome.UNKNOWN))
            assert self.judged(sign(key, HERE, ticket, 0)) is ScanOutcome.ADMITTED

    def judged(self, text: str, mode: ScanMode = ScanMode.LOOK_UP) -> ScanOutcome:
        """What the door says. A look-up is judged alike, and burns and remembers nothing."""
        claim = self._secrets.claim(text)
        scanned = self._apply(
            Scan(
                id=self._id(),
                gate="main",
                device="door",
                performance=claim.performance,
                ticket=claim.ticket,
                version=claim.version,
                mode=mode,
            )
        )
        assert isinstance(scanned, Scanned), scanned
        return scanned.result

    def _sell(self) -> None:
        token, seats = self._id(), tuple(range(TICKETS_HERE))
        lines = tuple(Line(seat, -1, "adult", 1) for seat in seats)
        self._apply(Hold(self._id(), token, "till", Channel.BOX_OFFICE, seats))
        self._apply(Checkout(self._id(), token, ORDER, "till", lines))
        self._apply(Sell(self._id(), token, ORDER))

    def _apply(self, command: Command) -> Outcome:
        outcome = self._performance.apply(command, AT_MS)
        assert not isinstance(outcome, Refused), outcome
        return outcome

    def _id(self) -> bytes:
        self._scans += 1
        return self._scans.to_bytes(16, "big")


def encode(number: int) -> str:
    """The 117 letters after the prefix, from 585 bits: identity, signature, spare bit."""
    number %= 1 << 585
    pairs = [PAIRS[number >> shift & 1023] for shift in range(575, 4, -10)]
    return "ST1" + "".join(pairs) + ALPHABET[number & 31]


def decode(text: str) -> int:
    return int(text[3:].translate(DIGITS), 32)


def run(count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """Tries ``count`` forgeries and replays; how many each way made, and those accepted."""
    forger = Forger(seed)
    door = Door(forger.key, forger.foreign_key)
    for claim, text in zip(forger.claims, forger.issued, strict=True):
        assert secret.verify(forger.public, text) == claim
    tried: Counter[str] = Counter()
    accepted: list[str] = []
    for _ in range(count):
        if forger.random.random() < REPLAYED:
            text, result = forger.random.choice(door.replays)
            tried[f"replayed: {result}"] += 1
            if door.judged(text) is not result:
                accepted.append(text)
            continue
        way, text = forger.forged()
        tried[way] += 1
        if door.judged(text) is not ScanOutcome.UNKNOWN:
            accepted.append(text)
    return tried, accepted


def run_in(processes: int, count: int, seed: int) -> tuple[Counter[str], list[str]]:
    """The same in several processes and many turns, each with a seed, a key and a door of its own.

    Says how far it is: on a busy machine millions take hours.
    """
    turns = -(-count // PER_TURN)
    each = [count // turns + (one < count % turns) for one in range(turns)]
    tried: Counter[str] = Counter()
    accepted: list[str] = []
    with ProcessPoolExecutor(processes) as pool:
        for some, passed in pool.map(run, each, range(seed, seed + turns)):
            tried += some
            accepted += passed
            print(f"{tried.total():,} tried, {len(accepted)} accepted", flush=True)
    return tried, accepted


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    started = time.monotonic()
    tried, accepted = run_in(options.processes, options.count, options.seed)
    made = f"{sum(tried.values()):,} mutated, truncated, spliced and replayed secrets"
    print(f"seed {options.seed}: {made}, {len(accepted)} accepted")
    print(f"{time.monotonic() - started:.0f} s; by way: {dict(tried.most_common())}")
    for text in accepted[:10]:
        print("ACCEPTED", text)
    raise SystemExit(1 if accepted else 0)


if __name__ == "__main__":
    main()
