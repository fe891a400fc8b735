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
from collections.abc import Callable, Iterator
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
CHECKS_PER_ROUND = 500
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


def check_us(rounds: int = ROUNDS) -> tuple[float, float]:
    """Microseconds of one signature check, and of the library's own part of it.

    The median of the quietest round, so that a busy machine does not decide: the whole check as
    the gateway makes it, from the text that was read to the claim, and the bare verification of
    64 bytes.
    """
    key = generate_key()
    secrets = Secrets(key)
    texts = [sign(key, PERFORMANCE, number, 0) for number in range(1, CHECKS_PER_ROUND + 1)]
    claims = [(PERFORMANCE, number, 0) for number in range(1, CHECKS_PER_ROUND + 1)]
    assert [secrets.claim(text) for text in texts] == claims
    private = Ed25519PrivateKey.generate()
    signature, public = private.sign(b"x" * 16), private.public_key()
    whole = min(_median_us(secrets.claim, texts) for _ in range(rounds))
    bare = min(
        _median_us(lambda _: public.verify(signature, b"x" * 16), texts) for _ in range(rounds)
    )
    return whole, bare


def _median_us(check: Callable[[str], object], texts: list[str]) -> float:
    took = []
    for text in texts:
        begun_ns = time.perf_counter_ns()
        check(text)
        took.append(time.perf_counter_ns() - begun_ns)
    return median(took) / 1_000


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])  # type: ignore[union-attr]
    arguments.add_argument("--scans", type=int, default=1_000_000)
    arguments.add_argument("--seed", type=int, default=1)
    asked = arguments.parse_args()
    check, bare = check_us()
    print(f"one signature check: {check:.0f} us, of which Ed25519 alone {bare:.0f} us")
    proof = prove(asked.scans, asked.seed)
    print(
        f"{proof.scans:,} scans from {LANES} lanes, {proof.tickets:,} tickets: "
        f"{proof.admitted:,} admitted, {proof.refused:,} refused, {proof.twice} twice, "
        f"{proof.lost} never, {proof.wrong} wrong answers; {proof.scans / proof.seconds:,.0f}/s"
    )
    control = prove(min(asked.scans, 20_000), asked.seed, forget_every=1_000)
    print(f"with the guard off: {control.twice} of {control.tickets:,} tickets let in twice")
    good = proof.holds and control.twice > 0 and check < MOST_PER_CHECK_US
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
