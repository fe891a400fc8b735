"""An audience for a picture: parties who buy where people like to sit, and some still choosing.

Speaks as any buyer does, over HTTP and the websocket. The same seed buys the same seats.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import hypot
from typing import NamedTuple

from console.client import Client
from console.link import Link
from console.till import new_id
from engine.commands import Held, Line
from engine.orders import Buyer, OrderHold, PlaceOrder
from engine.plan import Plan
from gateway.wire import AskHold
from tests.integration.server import ServedHouse

BUYING = 6
"""Sessions that buy at the same time."""
CHOOSING = 10
"""Parties that have seats in their basket when the picture is taken."""
KINDS = ("adult", "adult", "adult", "reduced", "child")
NAMES = ("Camille Dupont", "Inès Moreau", "Hugo Lambert", "Zoé Girard", "Malik Benali", "Anna Roux")


class Party(NamedTuple):
    """People who come together: on neighbouring seats, or on places of an area."""

    seats: tuple[int, ...]
    places: tuple[tuple[int, int], ...] = ()
    """(area, quantity)"""


def parties(plan: Plan, share: float, chance: random.Random) -> list[Party]:
    """About `share` of the house, more of them near the stage, in any order."""
    far = hypot(plan.width, plan.height)
    found = []
    for run in plan.runs:
        at = chance.randrange(2)
        while at < len(run):
            size = chance.choice((2, 2, 2, 3, 4))
            seat = plan.seats[run[at]]
            near = 1 - hypot(seat.x - plan.focal[0], seat.y - plan.focal[1]) / far
            if chance.random() < share * 2 * near:
                found.append(Party(tuple(run[at : at + size])))
                at += size
            else:
                at += 2
    for area, standing in enumerate(plan.areas):
        left = standing.capacity * share
        while left > 0:
            size = chance.randint(1, 5)
            found.append(Party((), ((area, size),)))
            left -= size
    chance.shuffle(found)
    return found


class Visitor:
    """One buyer's session, with its connection open."""

    def __init__(self, client: Client, link: Link, performance: int) -> None:
        self._client = client
        self._link = link
        self._performance = performance

    async def hold(self, party: Party) -> bytes:
        """The hold's token; empty where the engine refuses, as it does when a seat stays alone."""
        token = new_id()
        outcome = await self._link.ask(AskHold(new_id(), self._performance, token, *party))
        return token if isinstance(outcome, Held) else b""

    async def buy(self, party: Party, kind: str, name: str) -> None:
        token = await self.hold(party)
        if not token:
            return
        lines = tuple(Line(seat, -1, kind) for seat in party.seats)
        lines += tuple(Line(-1, area, kind, quantity) for area, quantity in party.places)
        hold = OrderHold(self._performance, token.hex(), lines)
        order = PlaceOrder(new_id().hex(), (hold,), buyer=Buyer(name, "camille@example.org", "fr"))
        await self._client.place(order)
        await self._client.pay(order.id, "test_card", "1", None, "")


@asynccontextmanager
async def visitor(house: ServedHouse, performance: int) -> AsyncIterator[Visitor]:
    session = await house.ask("/api/session", {})
    link = Link(house.url, session["token"])
    running = asyncio.create_task(link.run())
    try:
        yield Visitor(Client(house.url, session["token"]), link, performance)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def fill(house: ServedHouse, performance: int, plan: Plan, share: float, seed: int) -> None:
    """Sells about `share` of the house; a few more parties are choosing still."""
    chance = random.Random(seed)
    coming = parties(plan, share, chance)

    async def buy_on() -> None:
        async with visitor(house, performance) as buyer:
            while len(coming) > CHOOSING:
                await buyer.buy(coming.pop(), chance.choice(KINDS), chance.choice(NAMES))

    async def choose() -> None:
        async with visitor(house, performance) as buyer:
            await buyer.hold(coming.pop())

    await asyncio.gather(*(buy_on() for _ in range(BUYING)))
    for _ in range(CHOOSING):
        await choose()
