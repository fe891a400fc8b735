"""`strapontin bench`: measurements that anyone can repeat on a machine of their own.

Owns the rounds, the progress, the table and the JSON; the measurements are in
their own modules. Rounds are interleaved, and the figure of a key is the median
of its rounds.
"""

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Annotated

import msgspec
import uvloop
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from bench.core import core_decisions_per_s, large_house
from bench.durable import HOLD_MS, durable_holds
from engine.settings import Price, PriceType, Settings

app = App(name="bench", help="Measure this installation on this machine.")

FLOORS = {
    "core_decisions_per_s": 300_000,
    "durable_holds_per_s": 60_000,
    "websocket_holds_per_s": 10_000,
}


@app.command
def smoke(
    *,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    rounds: int = 5,
    seconds: float = 3.0,
) -> int:
    """Three figures in about a minute: the core alone, durable holds, holds over websockets.

    Parameters
    ----------
    json_file
        Write the figures here too.
    rounds
        Rounds of each measurement, interleaved; the median counts.
    seconds
        Length of one measurement.
    """
    figures: dict[str, list[float]] = {key: [] for key in FLOORS}
    latencies: dict[str, float] = {}
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True),
    )
    with bar:
        task = bar.add_task("starting", total=rounds * len(FLOORS))
        for key, value, p50_ms, p99_ms in _measured(
            rounds, seconds, lambda text: bar.update(task, description=text)
        ):
            figures[key].append(value)
            if p99_ms:
                latencies[key.replace("per_s", "p50_ms")] = round(p50_ms, 2)
                latencies[key.replace("per_s", "p99_ms")] = round(p99_ms, 2)
            bar.advance(task)
    report = _report(figures, latencies, rounds, seconds)
    if json_file is not None:
        json_file.write_text(json.dumps(report, indent=2) + "\n")
    _show(figures, latencies)
    return 0


def _measured(
    rounds: int, seconds: float, say: Callable[[str], None]
) -> Iterator[tuple[str, float, float, float]]:
    from bench.sockets import CLIENTS, login, websocket_holds
    from bench.throwaway import PASSWORD, ground

    plan = large_house()
    usual = Settings(
        currency="EUR",
        price_types=(PriceType("adult", {"en": "Adult", "fr": "Adulte"}),),
        prices=(Price(0, "adult", 2_000),),
        orphan_rule=False,
    )
    fleeting = msgspec.structs.replace(usual, hold_ms=HOLD_MS, hold_cap_ms=HOLD_MS)
    say("starting Postgres and Ray")
    with ground([(plan, fleeting), (plan, usual)]) as on:
        token = login(on.url, "bench", PASSWORD)
        for number in on.performances:  # their first use starts their actors
            performances = on.installation.performances()
            uvloop.run(performances.submit(number, msgspec.msgpack.encode([])))
        for number in range(rounds):
            of = f"round {number + 1} of {rounds}"
            say(f"{of}: the core")
            yield "core_decisions_per_s", core_decisions_per_s(seconds), 0.0, 0.0
            say(f"{of}: driver to COMMIT")
            first_id = (number + 1) << 64
            performances = on.installation.performances()
            rate = uvloop.run(
                durable_holds(performances, on.performances[0], len(plan.seats), seconds, first_id)
            )
            yield "durable_holds_per_s", rate.per_s, rate.p50_ms, rate.p99_ms
            say(f"{of}: {CLIENTS} websocket clients")
            rate = uvloop.run(
                websocket_holds(
                    on.url, token, on.performances[1], len(plan.seats), seconds, first_id
                )
            )
            yield "websocket_holds_per_s", rate.per_s, rate.p50_ms, rate.p99_ms


def _report(
    figures: dict[str, list[float]], latencies: dict[str, float], rounds: int, seconds: float
) -> dict[str, object]:
    return {
        **{key: round(median(values)) for key, values in figures.items()},
        **latencies,
        "rounds": {key: [round(value) for value in values] for key, values in figures.items()},
        "settings": {"rounds": rounds, "seconds": seconds},
        "machine": {
            "cores": os.cpu_count(),
            "processor": platform.processor() or platform.machine(),
            "system": platform.platform(),
            "python": sys.version.split()[0],
        },
    }


def _show(figures: dict[str, list[float]], latencies: dict[str, float]) -> None:
    table = Table("measured", "median", "lowest", "highest", "floor", "p99 ms")
    for key, values in figures.items():
        p99 = latencies.get(key.replace("per_s", "p99_ms"))
        table.add_row(
            key,
            f"{median(values):,.0f}",
            f"{min(values):,.0f}",
            f"{max(values):,.0f}",
            f"{FLOORS[key]:,}",
            "" if p99 is None else f"{p99:.1f}",
        )
    Console().print(table)
