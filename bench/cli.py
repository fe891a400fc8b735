"""`strapontin bench`: measurements that anyone can repeat on a machine of their own.

Owns the rounds, the progress and what is written at the end; the measurements
are in their own modules. Rounds are interleaved: each of them measures
everything once, ours beside its peers, so that a machine that changes its mind
changes it for all. The figure of a key is the median of its rounds.
"""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
import uvloop
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench.best import best_available_ms
from bench.core import SEED, SETTINGS, core_decisions_per_s, large_house
from bench.durable import HOLD_MS, durable_holds
from bench.figures import QUANTILES, Figures, Goal, Rate, commit_ms, quantiles_ms, shown
from bench.gauges import WAITING, Gauge
from bench.page import page
from engine.settings import Price, PriceType, Settings

if TYPE_CHECKING:
    from bench.search import Kind
    from bench.throwaway import Ground

app = App(name="bench", help="Measure this installation on this machine.")


@Parameter(name="*")
@dataclass(frozen=True)
class Run:
    """What each of the measurements takes.

    Attributes:
        json_file: Write the figures here too.
        html_file: Write a page with plots here.
        rounds: Rounds of each measurement, interleaved; the median counts.
        seconds: Length of one measurement.
    """

    json_file: Annotated[Path | None, Parameter(name="--json")] = None
    html_file: Annotated[Path | None, Parameter(name="--html")] = None
    rounds: int = 5
    seconds: float = 3.0


AS_USUAL: Final = Run()

SMOKE: Final = (
    Goal("core_decisions_per_s", 300_000),
    Goal("durable_holds_per_s", 60_000),
    Goal("websocket_holds_per_s", 10_000),
)
UNCHAINED: Final = 3
"""The number of a new installation's third performance, whose journal is not chained."""
ENGINE: Final = (
    Goal("core_decisions_per_s", 500_000),
    Goal("durable_holds_per_s", 100_000),
    Goal("ratio_vs_postgres_row_lock", 15),
    Goal("ratio_vs_postgres_batched", 2),
    Goal("ratio_vs_redis_lua", 7),
    Goal("ratio_vs_ray_per_command", 50),
    Goal("best_available_p99_ms", 1, at_most=True),
    Goal("chain_cost_percent", 3, at_most=True),
)

EDGE: Final = (
    Goal("websocket_holds_per_s", 30_000),
    Goal("websocket_p99_ms", 30, at_most=True),
    Goal("idle_ack_p50_ms", 3.5, at_most=True),
    Goal("refusals_per_s", 40_000),
    Goal("hold_p99_growth", 1.1, at_most=True),
)

FANOUT: Final = (
    Goal("delivery_p99_ms", 250, at_most=True),
    Goal("cpu_vs_raw_send", 1.5, at_most=True),
    Goal("kib_per_idle_watcher", 16, at_most=True),
    Goal("rss_growth", 1.05, at_most=True),
    Goal("p99_growth", 1.1, at_most=True),
    Goal("snapshot_bytes", 20_000, at_most=True),
    Goal("bytes_per_change", 6, at_most=True),
)

DOORS: Final = (Goal("scan_p999_ms", 10, at_most=True),)
ON_SALE_SHARE: Final = 0.5
"""Of what the machine can do, beside the scans."""
HOUSES: Final = (
    Goal("memory_ratio", 1.1, at_most=True),
    Goal("activation_ms", 1_000, at_most=True),
)
RECOVERY: Final = (
    Goal("recovery_ms", 1_000, at_most=True),
    Goal("rebuild_ms", 1_000, at_most=True),
)

ORDERS: Final = (Goal("paid_orders_per_s", 3_000), Goal("ratio_vs_by_hand", 2))
SEARCH: Final = (Goal("search_p99_ms", 100, at_most=True),)
SOLD_ROWS: Final = 5
"""In each section of the houses that were sold: 2,000 seats."""

USUAL: Final = Settings(
    currency="EUR",
    price_types=(PriceType("adult", {"en": "Adult", "fr": "Adulte"}),),
    prices=(Price(0, "adult", 2_000),),
    orphan_rule=False,
)
FLEETING: Final = msgspec.structs.replace(USUAL, hold_ms=HOLD_MS, hold_cap_ms=HOLD_MS)

Measure = Callable[[int], None]


@app.command
def smoke(*, run: Run = AS_USUAL) -> int:
    """Three figures in about a minute: the core alone, durable holds, holds over websockets."""
    from bench.sockets import CLIENTS, closed_loop, login, spread
    from bench.throwaway import PASSWORD, ground

    plan = large_house()
    with (
        _measured("smoke", SMOKE, run) as rounds,
        ground([(plan, FLEETING), (plan, USUAL)]) as on,
    ):
        figures, seconds = rounds.figures, run.seconds
        _activate(on)
        token = login(on.url, "bench", PASSWORD)

        def websockets(number: int) -> None:
            seats = range(len(plan.seats))
            scripts = spread(on.performances[1], seats, CLIENTS, number << 64)
            with Gauge(on.url, WAITING) as queue:
                rate = uvloop.run(closed_loop(on.url, token, scripts, seconds))
            figures.add_rate("websocket_holds_per_s", rate)
            _add_queue(figures, "websocket_holds_per_s", rate, queue)

        rounds.run(
            {
                "the core": _core(figures, seconds),
                "driver to COMMIT": _durable(figures, on, len(plan.seats), seconds),
                f"{CLIENTS} websocket clients": websockets,
            }
        )
    return 0


@app.command
def engine(*, run: Run = AS_USUAL) -> int:
    """The engine without its edge, side by side with other ways to hold a seat.

    And with itself less its books: without the chain of the journal, and without the ledger.
    """
    from bench import books, peers
    from bench.throwaway import ground

    plan = large_house()
    seats = len(plan.seats)
    with (
        _measured("engine", ENGINE, run) as rounds,
        ground([(plan, FLEETING)] * 3, books.half_chained(UNCHAINED)) as on,
    ):
        figures, seconds = rounds.figures, run.seconds
        _activate(on)
        figures.machine["commit_ms"] = round(commit_ms(on.folder), 3)
        url = on.database_url

        def best(number: int) -> None:
            at = best_available_ms(seconds, SEED + number)
            figures.add("best_available_p99_ms", at[QUANTILES.index(0.99)])

        def peer(name: str, hold: Callable[[int], Rate]) -> Measure:
            def measure(number: int) -> None:
                key = f"{name}_per_s"
                try:
                    figures.add_rate(key, hold(number))
                except peers.PeerMissing as error:
                    figures.lacks(key, str(error))
                figures.add_ratio(f"ratio_vs_{name}", "durable_holds_per_s", key)

            return measure

        def through_ray(number: int) -> Rate:
            performance = on.performances[1]
            return uvloop.run(peers.ray_per_command(performance, seats, seconds, number << 64))

        def unchained(number: int) -> None:
            _durable(figures, on, seats, seconds, "durable_holds_unchained_per_s", 2)(number)
            with_it = figures.values["durable_holds_per_s"][-1]
            without = figures.values["durable_holds_unchained_per_s"][-1]
            figures.add("chain_cost_percent", 100 * (1 - with_it / without))

        def saved(number: int) -> None:
            performance = on.performances[0]
            kept, bare = [
                uvloop.run(books.saves(url, performance, seconds, books=with_books))
                for with_books in (True, False)
            ]
            figures.add_rate("order_saves_per_s", kept)
            figures.add_rate("order_saves_without_books_per_s", bare)
            figures.add("books_us_per_save", 1e6 * (1 / kept.per_s - 1 / bare.per_s))

        rounds.run(
            {
                "the core": _core(figures, seconds),
                "best available": best,
                "driver to COMMIT": _durable(figures, on, seats, seconds),
                "the same without the chain": unchained,
                "orders with the books and without": saved,
                "Postgres row locks": peer(
                    "postgres_row_lock",
                    lambda _: uvloop.run(peers.postgres_row_lock(url, seats, seconds)),
                ),
                "Postgres in batches": peer(
                    "postgres_batched",
                    lambda _: uvloop.run(peers.postgres_batched(url, seats, seconds)),
                ),
                "Redis with a script": peer(
                    "redis_lua",
                    lambda _: uvloop.run(peers.redis_lua(on.folder, seats, seconds)),
                ),
                "one Ray call per command": peer("ray_per_command", through_ray),
            }
        )
    return 0


@app.command
def edge(*, run: Run = AS_USUAL) -> int:
    """The whole way from a websocket to COMMIT and back, and how well the edge refuses."""
    from bench.edge import CLIENTS, Edge
    from bench.sockets import login
    from bench.throwaway import PASSWORD, ground

    plan = large_house()
    selling = msgspec.structs.replace(SETTINGS, orphan_rule=False)
    with (
        _measured("edge", EDGE, run) as rounds,
        ground([(plan, USUAL), (plan, selling)]) as on,
    ):
        figures, seconds = rounds.figures, run.seconds
        _activate(on)
        figures.machine["commit_ms"] = round(commit_ms(on.folder), 3)
        measured = Edge(on.url, login(on.url, "bench", PASSWORD), on.performances, len(plan.seats))
        uvloop.run(measured.sell_half(on.installation.performances()))

        def watched(key: str, load: Coroutine[None, None, Rate]) -> Rate:
            with Gauge(on.url, WAITING) as queue:
                rate = uvloop.run(load)
            figures.add_rate(key, rate)
            _add_queue(figures, key, rate, queue)
            return rate

        def closed(number: int) -> None:
            watched("websocket_holds_per_s", measured.closed(seconds, number))

        def waiting(number: int) -> None:
            per_s = 0.7 * figures.values["websocket_holds_per_s"][-1]
            rate = watched("paced_holds_per_s", measured.open(seconds, number, per_s))
            figures.add("websocket_p99_ms", rate.ms(0.99))

        def alone(number: int) -> None:
            rate = uvloop.run(measured.alone(seconds, number))
            figures.add("idle_ack_p50_ms", rate.ms(0.5))
            figures.add_rate("idle_holds_per_s", rate)

        def refusals(number: int) -> None:
            watched("refusals_per_s", measured.refusals(seconds, number))

        def growth(number: int) -> None:
            quiet, crowded = uvloop.run(measured.beside_refusals(seconds, number))
            figures.add("hold_p99_growth", crowded.ms(0.99) / quiet.ms(0.99))
            figures.add_rate("quiet_holds_per_s", quiet)
            figures.add_rate("crowded_holds_per_s", crowded)

        rounds.run(
            {
                f"{CLIENTS} websocket clients": closed,
                "the same at 70 % of their rate": waiting,
                "one client alone": alone,
                "a sold-out house": refusals,
                "20 refused for one good": growth,
            }
        )
    return 0


@app.command
def fanout(*, run: Run = AS_USUAL, watchers: int = 10_000) -> int:
    """Ten thousand watch a house while a thousand seats a second change.

    Parameters
    ----------
    watchers
        How many watch.
    """
    from bench.fanout import Show
    from bench.sockets import login
    from bench.throwaway import PASSWORD, ground

    plan = large_house()
    with (
        _measured("fanout", FANOUT, run) as rounds,
        ground([(plan, USUAL)]) as on,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        figures, seconds = rounds.figures, run.seconds
        _activate(on)
        token = login(on.url, "bench", PASSWORD)
        show = Show(figures, on.url, token, on.performances[0], len(plan.seats), seconds)
        runner.run(show.open(watchers, lambda here: rounds.say(f"{here:,} watchers are there")))
        rounds.run(
            {
                "1,000 changes a second": lambda _: runner.run(show.changes()),
                "a bare loop that sends as much": lambda _: runner.run(show.bare()),
                "1,000 watchers who do not read": lambda _: runner.run(show.stalled()),
            },
        )
        show.close()
    return 0


@app.command
def doors(*, run: Run = AS_USUAL) -> int:
    """Two hundred scans a second while another performance is sold on the same machine."""
    from bench.doors import Doors
    from bench.edge import Edge
    from bench.sockets import login
    from bench.throwaway import PASSWORD, ground

    plan = large_house()
    selling = msgspec.structs.replace(SETTINGS, orphan_rule=False)
    with (
        _measured("doors", DOORS, run) as rounds,
        ground([(plan, USUAL), (plan, selling)]) as on,
    ):
        figures, seconds = rounds.figures, run.seconds
        _activate(on)
        figures.machine["commit_ms"] = round(commit_ms(on.folder), 3)
        token, seats = login(on.url, "bench", PASSWORD), len(plan.seats)
        on_sale, played = on.performances
        sale = Edge(on.url, token, on.performances, seats)
        uvloop.run(sale.sell_half(on.installation.performances()))
        doors = Doors(on.url, token, on.ticket_key, played, seats // 2, on_sale)

        def closed(number: int) -> None:
            figures.add_rate("websocket_holds_per_s", uvloop.run(sale.closed(seconds, number)))

        def scans(number: int) -> None:
            per_s = ON_SALE_SHARE * figures.values["websocket_holds_per_s"][-1]
            rate = uvloop.run(doors.scans(seconds, number, seats, per_s))
            figures.add("scan_p999_ms", rate.ms(0.999))
            figures.add("scan_p50_ms", rate.ms(0.5))
            figures.add_rate("scans_per_s", rate)

        rounds.run({"what the on-sale can do": closed, "scans beside half of that": scans})
    return 0


@app.command
def houses(*, run: Run = AS_USUAL, performances: int = 1_000) -> int:
    """A thousand performances on sale, ten of them busy: memory, and how fast a cold one is.

    Parameters
    ----------
    performances
        How many are on sale.
    """
    from bench.houses import ACTIVATED, HOT, activation_ms, busy, memory_mib
    from bench.throwaway import ground

    plan = large_house()

    with _measured("houses", HOUSES, run) as rounds:
        figures, seconds = rounds.figures, run.seconds

        def weighed(key: str, many: int) -> Measure:
            def measure(number: int) -> None:
                with ground([(plan, FLEETING)] * many) as on:
                    hot, cold = on.performances[:HOT], on.performances[HOT : HOT + ACTIVATED]
                    load = busy(on.installation.performances(), hot, len(plan.seats), seconds)
                    uvloop.run(load)
                    figures.add(key, memory_mib(on))
                    if cold:
                        lanes = on.installation.performances()
                        figures.add("activation_ms", uvloop.run(activation_ms(lanes, cold)))

            return measure

        def ratio(number: int) -> None:
            figures.add_ratio("memory_ratio", "all_mib", "hot_mib")

        rounds.run(
            {
                f"{HOT} performances alone": weighed("hot_mib", HOT),
                f"{HOT} busy ones of {performances:,}": weighed("all_mib", performances),
                "their ratio": ratio,
            }
        )
    return 0


@app.command
def recovery(*, run: Run = AS_USUAL, restarts: int = 25) -> int:
    """The process of a stadium's performance is killed again and again: how soon does it serve?

    Parameters
    ----------
    restarts
        Kills in each round. The figures are the 99th percentile of those of all rounds.
    """
    from bench.recovery import STADIUM_ROWS, answered, restart, sell_half
    from bench.throwaway import ground

    plan = large_house(STADIUM_ROWS)
    selling = msgspec.structs.replace(SETTINGS, orphan_rule=False)
    with _measured("recovery", RECOVERY, run) as rounds, ground([(plan, selling)]) as on:
        figures, number = rounds.figures, on.performances[0]
        uvloop.run(answered(on.installation.performances(), number))
        figures.machine["commit_ms"] = round(commit_ms(on.folder), 3)
        taken: list[tuple[float, float]] = []

        async def killed(times: int, *, spare: bool = True) -> list[tuple[float, float]]:
            performances = on.installation.performances()
            await answered(performances, number)  # its lane is open when the other end dies
            return [await restart(performances, number, on.url, spare=spare) for _ in range(times)]

        def restarted(_: int) -> None:
            of_this = uvloop.run(killed(restarts))
            taken.extend(of_this)
            for key, values_ms in _named(("first_answer_ms", "ready_ms"), of_this):
                figures.add(key, median(values_ms))
                figures.add_latencies(key, quantiles_ms([one / 1_000 for one in values_ms]))

        def cold(_: int) -> None:
            ((seen_ms, _ready_ms),) = uvloop.run(killed(1, spare=False))
            figures.add("without_spare_ms", seen_ms)

        rounds.say("half a stadium is sold")
        performances = on.installation.performances()
        uvloop.run(sell_half(performances, on, number, len(plan.seats)))
        rounds.run({f"{restarts} kills": restarted, "a kill of the spare process too": cold})
        for key, values_ms in _named(("recovery_ms", "rebuild_ms"), taken):
            at_ms = quantiles_ms([one / 1_000 for one in values_ms])
            figures.add(key, at_ms[QUANTILES.index(0.99)])
        figures.machine["restarts"] = len(taken)
    return 0


@app.command
def orders(*, run: Run = AS_USUAL) -> int:
    """Orders of two seats paid in cash over 500 websockets, beside the same written by hand."""
    from bench.orders import CLIENTS, by_hand, check_paid, open_till, paid_orders, rows_for
    from bench.sockets import login
    from bench.throwaway import PASSWORD, ground

    plan = large_house(rows_for(run.seconds))
    selling = msgspec.structs.replace(SETTINGS, orphan_rule=False)
    seats = len(plan.seats)
    with (
        _measured("orders", ORDERS, run) as rounds,
        ground([(plan, selling)] * run.rounds) as on,
    ):
        figures, seconds = rounds.figures, run.seconds
        _activate(on)
        figures.machine["commit_ms"] = round(commit_ms(on.folder), 3)
        token = login(on.url, "bench", PASSWORD)
        open_till(on.url, token, 1)
        answered = 0

        def ours(number: int) -> None:
            nonlocal answered
            performance = on.performances[number - 1]
            rate, all_ = uvloop.run(
                paid_orders(on.url, token, performance, seats, seconds, number << 64)
            )
            answered += all_
            uvloop.run(check_paid(on.database_url, answered))
            figures.add_rate("paid_orders_per_s", rate)

        def theirs(number: int) -> None:
            rate = uvloop.run(by_hand(on.database_url, seats, seconds))
            figures.add_rate("orders_by_hand_per_s", rate)
            figures.add_ratio("ratio_vs_by_hand", "paid_orders_per_s", "orders_by_hand_per_s")

        rounds.run({f"{CLIENTS} tills": ours, "a transaction an order": theirs})
    return 0


@app.command
def search(
    *,
    orders: int = 1_000_000,
    answers: int = 100,
    json_file: Annotated[Path | None, Parameter(name="--json")] = None,
    plans_file: Annotated[Path | None, Parameter(name="--plans")] = None,
) -> int:
    """Latest sales, searches and the list of places, over HTTP, in a house that sold a million.

    Parameters
    ----------
    orders
        How many are in the database.
    answers
        How many of each kind are asked for.
    json_file
        Write the figures here too.
    plans_file
        Write the query plans of what took longer than 100 ms here.
    """
    from bench.search import (
        TOO_LONG_MS,
        explained,
        exported,
        gateway_of,
        keep_plans,
        kinds,
        measured,
    )
    from bench.sockets import login
    from bench.sold import performances_for, sell
    from bench.throwaway import PASSWORD, ground

    plan = large_house(SOLD_ROWS)
    seats = len(plan.seats)
    many = performances_for(orders, seats)
    run = Run(json_file=json_file, rounds=1, seconds=0)
    with (
        _measured("search", SEARCH, run) as rounds,
        ground([(plan, SETTINGS)] * many, roles=("cashier", "report")) as on,
    ):
        figures = rounds.figures

        def progress(count: int) -> None:
            rounds.say(f"{count:,} orders are there")

        until_ms = time.time_ns() // 1_000_000
        begun_s = time.perf_counter()
        sold = uvloop.run(sell(on.database_url, orders, on.performances, seats, until_ms, progress))
        figures.add("seed_s", time.perf_counter() - begun_s)
        figures.machine |= {"orders": sold.orders, "tickets": sold.tickets, "performances": many}
        token = login(on.url, "bench", PASSWORD)
        asked = kinds(sold, on.performances, plan)
        slow = {}

        def measure(kind: "Kind") -> Measure:
            def ask(_: int) -> None:
                at_ms = quantiles_ms(uvloop.run(measured(on.url, token, kind, answers)))
                figures.add(f"{kind.key}_p50_ms", at_ms[QUANTILES.index(0.5)])
                figures.add(f"{kind.key}_p99_ms", at_ms[QUANTILES.index(0.99)])
                figures.add_latencies(f"{kind.key}_p50_ms", at_ms)
                if at_ms[QUANTILES.index(0.99)] > TOO_LONG_MS:
                    slow[kind.key] = uvloop.run(explained(on.database_url, kind))

            return ask

        def export(_: int) -> None:
            told = uvloop.run(exported(on.url, token, gateway_of(on)))
            at_ms = quantiles_ms(told.others_s)
            figures.add("export_rows_per_s", told.rows_per_s)
            figures.add("beside_export_p99_ms", at_ms[QUANTILES.index(0.99)])
            figures.add_latencies("beside_export_p99_ms", at_ms)
            figures.add("export_gateway_mib", told.more_mib)

        rounds.run({kind.key: measure(kind) for kind in asked} | {"a file of all": export})
        searches = [f"{kind.key}_p99_ms" for kind in asked if kind.search]
        figures.add("search_p99_ms", max(figures[key] for key in searches))
    if plans_file is not None:
        keep_plans(plans_file, slow)
    for key, statements in slow.items():
        longest = max(statements, key=lambda one: one.took_ms)
        print(f"{key}: {longest.took_ms} ms of the database", *longest.plan, sep="\n  ")
    return 0


def _named(
    keys: Sequence[str], rows: Sequence[Sequence[float]]
) -> Iterator[tuple[str, tuple[float, ...]]]:
    """Each key with its column."""
    return zip(keys, zip(*rows, strict=True), strict=True)


def _core(figures: Figures, seconds: float) -> Measure:
    def measure(number: int) -> None:
        figures.add("core_decisions_per_s", core_decisions_per_s(seconds))

    return measure


def _durable(
    figures: Figures,
    on: "Ground",
    seats: int,
    seconds: float,
    key: str = "durable_holds_per_s",
    which: int = 0,
) -> Measure:
    def measure(number: int) -> None:
        # Lanes belong to an event loop, and each measurement has its own.
        performances = on.installation.performances()
        rate = uvloop.run(
            durable_holds(performances, on.performances[which], seats, seconds, number << 64)
        )
        figures.add_rate(key, rate)

    return measure


def _add_queue(figures: Figures, key: str, rate: Rate, queue: Gauge) -> None:
    """What waited at the gateway while that rate was measured."""
    lines = {"waiting": queue.during(rate)}
    figures.add_series(f"waiting_during_{key}", "commands", rate.lasts_s, lines, beside=key)


def _activate(on: "Ground") -> None:
    """The first use of a performance starts its actor."""
    for number in on.performances:
        performances = on.installation.performances()
        uvloop.run(performances.submit(number, msgspec.msgpack.encode([])))


class _Rounds:
    """Interleaved rounds into `figures`, as a bar with what is being done and the last figure."""

    def __init__(self, bar: Progress, figures: Figures, rounds: int) -> None:
        self.figures = figures
        self._bar = bar
        self._rounds = rounds
        self._task = bar.add_task("starting Postgres and Ray", total=None)

    def say(self, what: str) -> None:
        self._bar.update(self._task, description=what)

    def run(self, measures: dict[str, Measure]) -> None:
        figures = self.figures
        self._bar.update(self._task, total=self._rounds * len(measures))
        last = ""
        for number in range(1, self._rounds + 1):
            for name, measure in measures.items():
                self.say(f"round {number} of {self._rounds}: {name}{last}")
                known = {key: len(values) for key, values in figures.values.items()}
                measure(number)
                new = [key for key, got in figures.values.items() if len(got) != known.get(key, 0)]
                if new:
                    last = f" (before: {new[0]} {shown(figures.values[new[0]][-1])})"
                self._bar.advance(self._task)
            figures.end_round()


@contextmanager
def _measured(bench: str, goals: Sequence[Goal], run: Run) -> Iterator[_Rounds]:
    """Shows the progress of what is done inside, and tells its figures at the end."""
    figures = Figures(goals, run.rounds, run.seconds, bench)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True)) as bar:
        yield _Rounds(bar, figures, run.rounds)
    if run.json_file is not None:
        run.json_file.write_text(json.dumps(figures.as_json(), indent=2) + "\n")
    if run.html_file is not None:
        run.html_file.write_text(page(figures))
    console = Console()
    console.print(figures.table())
    told = figures.machine
    console.print(
        f"This machine decoded one small message in {told['turn_ns']:.0f} ns; "
        f"its host gave {told['stolen_percent']:.0f} % of its processor time to others."
    )
