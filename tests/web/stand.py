"""A house to try the pages in: the real gateway, engine and order desk, all in memory.

`Stand` serves it in the running loop and does what no buyer can: other buyers' deeds, a clock put
forward, every line cut, a part that does not answer. Run as a program it serves houses to look at:

    python -m tests.web.stand [--port N] [PLAN.json...]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import WSCloseCode
from msgspec.structs import replace

from engine.actors.desk import Shop
from engine.actors.payments import StripeGateway
from engine.commands import Block, Channel, Checkout, Command, Hold, Line, Refused, Release, Sell
from engine.demo_houses import club, italian_theatre
from engine.plan import Plan
from engine.plan_io import load_plan
from engine.settings import Price, PriceType, SaleStatus, Settings
from gateway.app import build, serve
from gateway.config import Config
from gateway.http import EDGE
from gateway.session import now_ms
from tests.fakes.backend import FakeBackend
from tests.fakes.stripe_server import FakeStripe
from tests.gateway.client import Socket

MINUTE_MS = 60 * 1000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
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
    """A served house. Make it with `await Stand.open()`; `close` it in the same loop."""

    fake: FakeBackend
    url: str

    @classmethod
    async def open(cls, port: int = 0, **config: Any) -> Stand:
        stand = cls()
        stand.fake = FakeBackend()
        keys = {"session_key": secrets.token_bytes(32), "ticket_key": stand.fake.ticket_key}
        stand._app = build(stand.fake.backend, Config(**keys, **config))
        stand._server = await serve(stand._app, "127.0.0.1", port)
        stand.url = f"http://127.0.0.1:{stand._server.port}"
        stand._config = config | keys
        return stand

    @classmethod
    async def open_with_stripe(cls, stripe: FakeStripe) -> Stand:
        """The same, paid by card on Stripe's page; its webhooks come here."""
        stand = await cls.open(payment_methods=("stripe",))

        async def title(performance: int) -> str:
            return f"Performance {performance}"

        gateway = StripeGateway(stripe.api_key, stripe.webhook_secret, stripe.url)
        await stand.fake.desk.take_cards(gateway, Shop(stand.url, title))
        stripe.webhooks.url = f"{stand.url}/api/stripe/webhook"
        return stand

    async def close(self) -> None:
        await self._server.stop()
        await self.fake.close()

    def add(
        self,
        plan: Plan,
        settings: Settings | None = None,
        titles: tuple[str, str] = ("The Test", "L’Essai"),
        subtitles: tuple[str, str] = ("", ""),
        days: int = 12,
    ) -> int:
        """A performance on sale, texts in English and French. Answers its number."""
        starts_ms = (now_ms() // DAY_MS + days) * DAY_MS + 19 * HOUR_MS
        settings = replace(settings or settings_for(plan), doors_open_ms=starts_ms - HOUR_MS)
        number = self.fake.catalogue.add(plan, settings, starts_ms)
        entry = self.fake.catalogue.performances[number]
        shown = [dict(zip(("en", "fr"), texts, strict=True)) for texts in (titles, subtitles)]
        entry.production = replace(entry.production, titles=shown[0], subtitles=shown[1])
        self.fake.performances.add(number, plan, settings)
        self.fake.rooms.store.performances.append(number)
        # As whoever adds one through the edge: a page that is opened now lists it.
        self._app[EDGE].programme.changed()
        return number

    @contextlib.contextmanager
    def house(self, **settings: Any) -> Iterator[None]:
        """The house has these settings too for a while."""
        catalogue = self.fake.catalogue
        before = catalogue.the_house
        assert before is not None
        catalogue.the_house = replace(before, settings=before.settings | settings)
        self._app[EDGE].programme.house_changed()
        try:
            yield
        finally:
            catalogue.the_house = before
            self._app[EDGE].programme.house_changed()

    # What others do ---------------------------------------------------------------

    async def hold(self, performance: int, *seats: int) -> bytes:
        """Somebody else takes these seats into a basket; answers its token."""
        token = secrets.token_bytes(16)
        await self._ask(performance, Hold(token, token, "somebody", Channel.BOX_OFFICE, seats))
        return token

    async def release(self, performance: int, token: bytes) -> None:
        await self._ask(performance, Release(secrets.token_bytes(16), token))

    async def sell(self, performance: int, *seats: int) -> None:
        """Somebody else buys these seats, many at a time."""
        for first in range(0, len(seats), 100):
            some = seats[first : first + 100]
            token = await self.hold(performance, *some)
            lines = tuple(Line(seat, -1, "full") for seat in some)
            order = token.hex()
            await self._ask(performance, Checkout(secrets.token_bytes(16), token, order, "", lines))
            await self._ask(performance, Sell(secrets.token_bytes(16), token, order))

    async def block(self, performance: int, *seats: int) -> None:
        await self._ask(performance, Block(secrets.token_bytes(16), seats, (), "a camera"))

    def statuses(self, performance: int) -> bytes:
        """The feed's status of every seat now."""
        return self.fake.performances.live[performance].core.statuses()

    async def _ask(self, performance: int, command: Command) -> None:
        outcome = await self.fake.performances.ask(performance, command)
        assert not isinstance(outcome, Refused), outcome

    # The waiting room ------------------------------------------------------------

    async def open_room(
        self, performance: int, opens_in_ms: int = -1_000, on_sale_in_ms: int = MINUTE_MS
    ) -> None:
        """By the clock of the rooms' writer, which `fake.rooms.advance` puts forward."""
        at_ms = self.fake.rooms.clock_ms()
        opened = await self.fake.rooms.open(performance, at_ms + opens_in_ms, at_ms + on_sale_in_ms)
        assert opened == ""
        await self._app[EDGE].hub.rooms.refresh()

    async def close_room(self, performance: int) -> None:
        await self.fake.rooms.close(performance)
        await self._app[EDGE].hub.rooms.refresh()

    async def put_forward(self, ms: int) -> None:
        """The clock of the rooms' writer; the gateway has heard of what that changes."""
        self.fake.rooms.advance(ms)
        await self.fake.rooms.tick()
        await self._app[EDGE].hub.rooms.refresh()

    @contextlib.asynccontextmanager
    async def crowd(self, performance: int, count: int) -> AsyncIterator[list[Socket]]:
        """So many other buyers, one after the other in the line."""
        async with aiohttp.ClientSession(self.url) as http:
            people = []
            for _ in range(count):
                async with http.post("/api/session", json={}) as answer:
                    token = (await answer.json())["token"]
                one = Socket(await http.ws_connect("/ws"))
                await one.hello(token)
                await one.send("queue", performance)
                await one.next("placed")
                people.append(one)
            yield people

    def watched(self, performance: int) -> int:
        """How many connections watch the performance's seats."""
        connections = self._app[EDGE].hub._connections
        return sum(1 for connection in connections if performance in connection.watches)

    # What goes wrong ---------------------------------------------------------------

    def pass_time(self, ms: int) -> None:
        """The engine's clock goes forward, and every feed hears what ended."""
        self.fake.performances.ahead_ms += ms
        self.fake.performances.wake()

    async def stop_serving(self) -> None:
        """The gateway is gone; what is behind it stays."""
        await self._server.stop()

    async def serve_again(self) -> None:
        """A gateway at the same address."""
        port = int(self.url.rsplit(":", 1)[1])
        self._app = build(self.fake.backend, Config(**self._config))
        self._server = await serve(self._app, "127.0.0.1", port)

    def cut_lines(self) -> None:
        """Every websocket is closed, as when a gateway dies."""
        for connection in list(self._app[EDGE].hub._connections):
            connection.close(WSCloseCode.GOING_AWAY, "cut")

    def restart(self, performance: int) -> None:
        """The performance's actor begins a new reign."""
        self.fake.performances.restart(performance)

    def set_down(self, down: bool) -> None:
        """The performances and the desk do not answer while down."""
        self.fake.performances.down = self.fake.desk.down = down

    def set_status(self, performance: int, status: SaleStatus) -> None:
        """What the pages are told of the sale (the engine's own settings stay)."""
        self.tell(performance, status=status)

    def tell(self, performance: int, **changes: Any) -> None:
        """The pages are told of these settings (the engine's own stay)."""
        entry = self.fake.catalogue.performances[performance]
        settings = msgspec.json.decode(entry.settings, type=Settings)
        entry.settings = msgspec.json.encode(replace(settings, **changes))
        self._app[EDGE].programme.changed()


async def _sell_some(stand: Stand, performance: int, plan: Plan, share: int) -> None:
    """A house in the middle of its sale: whole groups gone, some in baskets, a few blocked."""
    core = stand.fake.performances.live[performance].core
    core.orphan_rule = False
    tables = {seat for table in plan.tables if table.whole for seat in table.seats}
    seats = [seat for seat in range(len(plan.seats)) if seat not in tables]
    runs = [run for run in plan.runs if len(run) > 3 and not tables.intersection(run)]
    sold = {seat for n, run in enumerate(runs) for seat in run[n % 5 : n % 5 + 6] if n % share == 0}
    await stand.sell(performance, *sorted(sold))
    left = [seat for seat in seats if seat not in sold]
    blocked, held = left[:: max(2, len(left) // 12)], left[1 :: max(2, len(left) // 9)]
    await stand.block(performance, *blocked)
    for seat in held:
        await stand.hold(performance, seat)
    core.orphan_rule = True


async def _serve(port: int, plans: list[Path]) -> None:
    stand = await Stand.open(port)
    theatre, cabaret = italian_theatre(), club()
    gentleman = ("The Would-be Gentleman", "Le Bourgeois gentilhomme")
    houses = [
        (theatre, gentleman, "EUR"),
        (theatre, gentleman, "EUR"),
        (cabaret, ("Midnight Quartet", "Quartet de minuit"), "CHF"),
    ]
    for path in plans:
        plan = load_plan(path.read_bytes())
        houses.append((plan, (plan.name, plan.name), "EUR"))
    subtitles = ("A comedy-ballet by Molière and Lully", "Comédie-ballet de Molière et Lully")
    for day, (plan, titles, currency) in enumerate(houses):
        number = stand.add(plan, settings_for(plan, currency), titles, subtitles, days=6 + 2 * day)
        await _sell_some(stand, number, plan, share=3)
        print(f"{stand.url}/p/{number}  {titles[0]}", flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.web.stand")
    parser.add_argument("--port", type=int, default=8620)
    parser.add_argument("plans", nargs="*", type=Path)
    arguments = parser.parse_args()
    asyncio.run(_serve(arguments.port, arguments.plans))


if __name__ == "__main__":
    main()
