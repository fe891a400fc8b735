"""A house to try the pages in: the real gateway, engine and order desk, all in memory.

`Stand` serves it from a thread of its own, so that a browser test can be plain and synchronous,
and does what no buyer can: another buyer's deeds, a clock put forward, every line cut, a
command shed. Run as a program it serves houses for looking at:

    python -m tests.web.stand [--port N] [PLAN.json...]
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import WSCloseCode
from msgspec.structs import replace

from engine.commands import Block, Channel, Checkout, Hold, Line, Release, Sell
from engine.demo_houses import club, italian_theatre
from engine.plan import Plan
from engine.plan_io import load_plan
from engine.settings import Price, PriceType, SaleStatus, Settings
from gateway.app import build, serve
from gateway.config import Config
from gateway.http import EDGE
from gateway.session import now_ms
from tests.fakes.backend import FakeBackend

T = TypeVar("T")
DAY_MS = 24 * 3600 * 1000
FULL = PriceType("full", {"en": "Full price", "fr": "Plein tarif"})
CHILD = PriceType("child", {"en": "Under 18", "fr": "Moins de 18 ans"})


def settings_for(plan: Plan, currency: str = "EUR", **changes: Any) -> Settings:
    """A full and a child price for every category, the first category dearest."""
    prices = []
    for category in range(len(plan.categories)):
        full = max(1_400, 6_800 - 1_200 * category)
        prices += [Price(category, "full", full), Price(category, "child", full // 2)]
    return Settings(currency, (FULL, CHILD), tuple(prices), **changes)


class Stand:
    """A served house. Every method but the constructor may be called from any thread."""

    def __init__(self, port: int = 0, config: dict[str, Any] | None = None) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._run(self._start(port, config or {}))

    async def _start(self, port: int, config: dict[str, Any]) -> None:
        self.fake = FakeBackend()
        keys = {"session_key": secrets.token_bytes(32), "ticket_key": self.fake.ticket_key}
        self.app = build(self.fake.backend, Config(**keys | config))
        self._server = await serve(self.app, "127.0.0.1", port)
        self.url = f"http://127.0.0.1:{self._server.port}"

    def close(self) -> None:
        self._run(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _stop(self) -> None:
        await self._server.stop()
        await self.fake.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    def _call(self, work: Callable[[], T]) -> T:
        async def called() -> T:
            return work()

        return self._run(called())

    # The programme ---------------------------------------------------------------

    def add(
        self,
        plan: Plan,
        settings: Settings | None = None,
        titles: tuple[str, str] = ("The Test", "L’Essai"),
        subtitles: tuple[str, str] = ("", ""),
        days: float = 12,
    ) -> int:
        """A performance on sale; titles in English and French. Answers its number."""
        settings = settings or settings_for(plan)

        def add() -> int:
            starts_ms = (now_ms() // DAY_MS + int(days)) * DAY_MS + 19 * 3600 * 1000
            doors = replace(settings, doors_open_ms=starts_ms - 3600 * 1000)
            catalogue = self.fake.catalogue
            number = catalogue.add(plan, doors, starts_ms)
            texts = [dict(zip(("en", "fr"), pair, strict=True)) for pair in (titles, subtitles)]
            shown = replace(
                catalogue.performances[number].production, titles=texts[0], subtitles=texts[1]
            )
            catalogue.performances[number].production = shown
            self.fake.performances.add(number, plan, doors)
            return number

        return self._call(add)

    # What others do ---------------------------------------------------------------

    def hold(self, performance: int, *seats: int) -> bytes:
        """Somebody else takes these seats into a basket; answers its token."""
        token = secrets.token_bytes(16)
        self._ask(performance, Hold(token, token, "somebody", Channel.BOX_OFFICE, seats))
        return token

    def release(self, performance: int, token: bytes) -> None:
        self._ask(performance, Release(secrets.token_bytes(16), token))

    def sell(self, performance: int, *seats: int) -> None:
        """Somebody else buys these seats, many at a time."""
        for first in range(0, len(seats), 100):
            some = seats[first : first + 100]
            token = self.hold(performance, *some)
            lines = tuple(Line(seat, -1, "full") for seat in some)
            order = token.hex()
            self._ask(performance, Checkout(secrets.token_bytes(16), token, order, "", lines))
            self._ask(performance, Sell(secrets.token_bytes(16), token, order))

    def block(self, performance: int, *seats: int) -> None:
        self._ask(performance, Block(secrets.token_bytes(16), seats, (), "a camera stands there"))

    def statuses(self, performance: int) -> bytes:
        return self._call(self.fake.performances.live[performance].core.statuses)

    def _ask(self, performance: int, command: Any) -> None:
        outcome = self._run(self.fake.performances.ask(performance, command))
        assert type(outcome).__name__ != "Refused", outcome

    # What goes wrong ---------------------------------------------------------------

    def pass_time(self, ms: int) -> None:
        """The engine's clock goes forward, and every feed hears what ended."""

        def forward() -> None:
            self.fake.performances.ahead_ms += ms
            self.fake.performances.wake()

        self._call(forward)

    def cut_lines(self) -> None:
        """Every websocket is closed, as when a gateway dies."""

        def cut() -> None:
            for connection in list(self.app[EDGE].hub._connections):
                connection.close(WSCloseCode.GOING_AWAY, "cut")

        self._call(cut)

    def set_down(self, down: bool) -> None:
        """Performances and desk do not answer while down."""

        def switch() -> None:
            self.fake.performances.down = self.fake.desk.down = down

        self._call(switch)

    def restart(self, performance: int) -> None:
        """The performance's actor begins a new reign."""
        self._call(lambda: self.fake.performances.restart(performance))

    def configure(self, performance: int, status: SaleStatus) -> None:
        """The public page's sale status changes (the engine's own stays)."""

        def change() -> None:
            import msgspec

            entry = self.fake.catalogue.performances[performance]
            settings = msgspec.json.decode(entry.settings, type=Settings)
            entry.settings = msgspec.json.encode(replace(settings, status=status))
            self.app[EDGE].programme.changed()

        self._call(change)


def _sell_some(stand: Stand, performance: int, plan: Plan, share: int) -> None:
    """A house in the middle of its sale: whole groups gone, some in baskets, a few blocked."""
    core = stand.fake.performances.live[performance].core
    core.orphan_rule = False
    tables = {seat for table in plan.tables if table.whole for seat in table.seats}
    seats = [seat for seat in range(len(plan.seats)) if seat not in tables]
    runs = [run for run in plan.runs if len(run) > 3 and not tables.intersection(run)]
    sold = [seat for n, run in enumerate(runs) for seat in run[n % 5 : n % 5 + 6] if n % share == 0]
    stand.sell(performance, *sorted(set(sold)))
    left = [seat for seat in seats if stand.statuses(performance)[seat] == 0]
    stand.block(performance, *left[:: max(2, len(left) // 12)][:12])
    left = [seat for seat in seats if stand.statuses(performance)[seat] == 0]
    for seat in left[:: max(2, len(left) // 9)][:9]:
        stand.hold(performance, seat)
    core.orphan_rule = True


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.web.stand")
    parser.add_argument("--port", type=int, default=8620)
    parser.add_argument("plans", nargs="*", type=Path)
    arguments = parser.parse_args()
    stand = Stand(arguments.port)
    theatre, cabaret = italian_theatre(), club()
    houses = [
        (theatre, ("The Would-be Gentleman", "Le Bourgeois gentilhomme"), "EUR"),
        (theatre, ("The Would-be Gentleman", "Le Bourgeois gentilhomme"), "EUR"),
        (cabaret, ("Midnight Quartet", "Quartet de minuit"), "CHF"),
    ]
    for path in arguments.plans:
        plan = load_plan(path.read_bytes())
        houses.append((plan, (plan.name, plan.name), "EUR"))
    subtitles = ("A comedy-ballet by Molière and Lully", "Comédie-ballet de Molière et Lully")
    for day, (plan, titles, currency) in enumerate(houses):
        number = stand.add(plan, settings_for(plan, currency), titles, subtitles, days=6 + 2 * day)
        _sell_some(stand, number, plan, share=3)
        print(f"{stand.url}/p/{number}  {titles[0]}", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
