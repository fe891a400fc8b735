"""A million scans from twenty lanes, and not one ticket that lets two people in.

    python -m tests.doors_proof --scans 1000000

The engine decides on what the lanes read; in ten of a hundred scans somebody shows a ticket that
was shown before. Afterwards what was admitted is counted by ticket, from the recorded events and
not from the engine's memory. Then the same with the guard off: that used tickets are forgotten
every now and then must be found out. Beforehand the check of a signature is measured. Ends with 1
when something is wrong.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from statistics import median

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.commands import (
    Channel,
    Checkout,
    Hold,
    Line,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
)
from engine.performance import Performance
from gateway.doors import Secrets
from renderers.secret import generate_key, sign
from tests.engine.small import NOW_MS, house, settings

LANES = 20
DUPLICATES_PERCENT = 10
BATCH = 50
PERFORMANCE = 7
AREA_PLACES = 100
MOST_PER_CHECK_US = 200.0
CHECKS_PER_ROUND = 200
ROUNDS = 40


@dataclass(frozen=True)
class Proof:
    """What came of it. `twice` are tickets that let in more than once; `lost` those never."""

    scans: int
    tickets: int
    admitted: int
    refused: int
    twice: int
    lost: int
    wrong: int
    seconds: float

    @property
    def holds(self) -> bool:
        return not (self.twice or self.lost or self.wrong)


def sold_out(tickets: int) -> Performance:
    """A performance whose tickets 1 to `tickets` are sold, places of one standing area."""
    plan = house(["a"], areas=[(min(tickets, 200_000), "c")] * -(-tickets // 200_000))
    live = Performance(PERFORMANCE, plan, settings(max_per_order=0, orphan_rule=False))
    left = tickets
    for number in range(-(-tickets // AREA_PLACES)):
        many = min(AREA_PLACES, left)
        area, token = number * AREA_PLACES // 200_000, number.to_bytes(16, "big")
        places = ((area, many),)
        live.apply(Hold(b"h" + token[1:], token, "", Channel.BOX_OFFICE, (), places), NOW_MS)
        lines = (Line(-1, area, "full", many),)
        live.apply(Checkout(b"c" + token[1:], token, "o", "", lines), NOW_MS)
        live.apply(Sell(b"s" + token[1:], token, "o"), NOW_MS)
        live.take()
        left -= many
    assert len(live.tickets) == tickets
    return live


def presented(scans: int, random: Random) -> Iterator[tuple[int, bool]]:
    """(ticket, was it shown before) of each scan."""
    tickets, shown = scans - scans * DUPLICATES_PERCENT // 100, 0
    for number in range(scans):
        left = scans - number
        if shown and random.randrange(left) >= tickets - shown:
            yield random.randint(1, shown), True
        else:
            shown += 1
            yield shown, False


def prove(scans: int, seed: int = 1, forget_every: int = 0) -> Proof:
    """Scan. `forget_every` switches the guard off: so often the used tickets are forgotten."""
    random = Random(seed)
    tickets = scans - scans * DUPLICATES_PERCENT // 100
    live = sold_out(tickets)
    lanes = [f"lane {number}" for number in range(LANES)]
    admitted: Counter[int] = Counter()
    refused = wrong = done = 0
    begun_s = time.perf_counter()
    for number, (ticket, again) in enumerate(presented(scans, random)):
        lane = random.choice(lanes)
        id = (1 << 120 | number).to_bytes(16, "big")
        scan = Scan(id, "", lane, PERFORMANCE, ticket, 0, ScanMode.ADMIT)
        outcome = live.apply(scan, NOW_MS + number)
        assert isinstance(outcome, Scanned)
        expected = ScanOutcome.ALREADY_USED if again else ScanOutcome.ADMITTED
        wrong += outcome.result is not expected
        done += 1
        if forget_every and done % forget_every == 0:
            live.ticket_uses.clear()
        if done % BATCH == 0 or done == scans:
            for event in live.take()[0]:
                assert isinstance(event.outcome, Scanned)
                if event.outcome.result is ScanOutcome.ADMITTED:
                    admitted[event.outcome.ticket] += 1
                else:
                    refused += 1
    seconds = time.perf_counter() - begun_s
    return Proof(
        scans,
        tickets,
        admitted.total(),
        refused,
        sum(count > 1 for count in admitted.values()),
        tickets - len(admitted),
        wrong,
        seconds,
    )


@dataclass(frozen=True)
class Check:
    """One signature check: as the gateway makes it, from the text that was read to the claim, and
    the bare verification of 64 bytes, in microseconds.

    Both are medians of the quietest round; `times` is how much the one is of the other, the
    median of all rounds.
    """

    whole_us: float
    bare_us: float
    times: float


def checked(rounds: int = ROUNDS) -> Check:
    """Measure. The two take turns, check by check, so that a busy machine is busy for both."""
    key = generate_key()
    doors = Secrets(key)
    private = Ed25519PrivateKey.from_private_bytes(key)
    public, message = private.public_key(), b"as long as what a ticket signs"
    signature = private.sign(message)
    medians = []
    for number in range(1, rounds + 1):
        text = sign(key, PERFORMANCE, number, 0)
        wholes, bares = [], []
        for _ in range(CHECKS_PER_ROUND):
            begun_ns = time.perf_counter_ns()
            claim = doors.claim(text)
            between_ns = time.perf_counter_ns()
            public.verify(signature, message)
            wholes.append(between_ns - begun_ns)
            bares.append(time.perf_counter_ns() - between_ns)
            assert claim == (PERFORMANCE, number, 0)
        medians.append((median(wholes) / 1_000, median(bares) / 1_000))
    whole_us, bare_us = (min(column) for column in zip(*medians, strict=True))
    return Check(whole_us, bare_us, median(whole / bare for whole, bare in medians))


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("--scans", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    check = checked()
    print(
        f"one signature check: {check.whole_us:.1f} us, {check.times:.2f} times that of Ed25519"
        f" alone ({check.bare_us:.1f} us)"
    )
    proof = prove(asked.scans, asked.seed)
    print(
        f"{proof.scans:,} scans from {LANES} lanes, {proof.tickets:,} tickets: "
        f"{proof.admitted:,} admitted, {proof.refused:,} refused, {proof.twice} twice, "
        f"{proof.lost} never, {proof.wrong} wrong answers; {proof.scans / proof.seconds:,.0f}/s"
    )
    few = min(asked.scans, 20_000)
    control = prove(few, asked.seed, forget_every=max(few // 20, 1))
    print(f"with the guard off: {control.twice} of {control.tickets:,} tickets let in twice")
    good = proof.holds and control.twice > 0 and check.whole_us < MOST_PER_CHECK_US
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
