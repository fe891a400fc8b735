"""`strapontin watch`: a performance's figures as lines, live or out of its journal.

The supervisor's screen for programs and pipes: the same folding, one line a second, and in the
end of a replay one with its final figures.
"""

import asyncio
import sys
import time
from math import inf
from typing import Any, Final

import msgspec

from console.client import Client
from console.programme import Performance
from console.supervisor import Pulse, Status, Watching
from engine.tally import Figures
from renderers.i18n import Translator
from renderers.money import format_money, format_number, format_time

LINE_S: Final = 1.0
STEP_S: Final = 0.1


async def run_watch(
    client: Client, t: Translator, performance: int, replay: bool, speed: float, as_json: bool
) -> int:
    """Print until the replay is over, or for ever; answers the exit code.

    `speed` counts in times of the real one; 0 is as fast as the journal can be read.

    Raises:
        ClientError: Refused, or no answer.
    """
    found = await client.performance(performance)
    zone = (await client.house()).time_zone

    async def ask(after_seq: int) -> Any:
        return await client.journal(performance, after_seq)

    watching = Watching(ask, replay=replay, speed=speed if speed > 0 else inf)
    pulse = Pulse()
    printed_s = time.monotonic()
    while True:
        busy = await watching.step(time.monotonic())
        over = replay and watching.at_end
        # Live, the first line comes when the past is read.
        ready = replay or not watching.catching_up
        if over or (ready and time.monotonic() - printed_s >= LINE_S):
            printed_s = time.monotonic()
            if not replay:
                pulse.take(await client.status(performance, Status))
            _tell(t, found, zone, watching, pulse, as_json)
        if over:
            return 0
        await asyncio.sleep(0 if busy else STEP_S)


def _tell(
    t: Translator,
    performance: Performance,
    zone: str,
    watching: Watching,
    pulse: Pulse,
    as_json: bool,
) -> None:
    figures = watching.tally.figures()
    at_ms = int(watching.clock_ms) if watching.replay else time.time_ns() // 1_000_000
    if as_json:
        text = msgspec.json.encode(_values(performance, watching, pulse, figures, at_ms)).decode()
    else:
        text = t(
            "console.watch_command.line",
            time=format_time(at_ms, zone, t.language),
            sold=format_number(figures.total.sold, t.language),
            money=format_money(figures.total.amount, performance.currency, t.language),
            held=format_number(figures.holds.places, t.language),
            refused=format_number(sum(figures.refusals.values()), t.language),
            admitted=format_number(figures.admitted, t.language),
        )
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _values(
    performance: Performance, watching: Watching, pulse: Pulse, figures: Figures, at_ms: int
) -> dict[str, Any]:
    """One line for programs. Amounts in minor units, times in Unix milliseconds."""
    values: dict[str, Any] = {
        "performance": performance.id,
        "currency": performance.currency,
        "at_ms": at_ms,
        "seq": watching.seq,
        "head_seq": watching.head_seq,
        "minute": watching.tally.last_minutes(at_ms, 1)[0],
        "figures": figures,
    }
    if pulse.status is not None:
        percentiles = {f"p{share:.0%}".rstrip("%"): share for share in (0.5, 0.95, 0.99)}
        values["latency_ms"] = {
            name: pulse.percentile_ms(share) for name, share in percentiles.items()
        }
        values["commands_per_s"] = round(pulse.per_s, 1)
        values["status"] = pulse.status
    return values
