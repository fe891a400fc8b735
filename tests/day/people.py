"""Buyers, cashiers and a supervisor through one day: what each did, as they would tell it.

Everybody speaks HTTP and the websocket to a served house, as the page and the till do. What they
were told about money is written down here as it is told, and nowhere looked up.
"""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp

from tests.fakes.stripe_server import FakeStripe
from tests.gateway.client import Socket, new_id
from tests.integration.server import ServedHouse

PATIENCE_S: Final = 30.0
BUSY: Final = (503, 429)


class Refused(Exception):
    """The house said no; `code` says why."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(f"{status} {code}")
        self.status, self.code = status, code


class Person:
    """Somebody with a token, and a connection to hold seats by."""

    def __init__(self, day: "Day", token: str) -> None:
        self.day, self.token = day, token
        self._socket: Socket | None = None
        self._holding = asyncio.Lock()

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """JSON in, JSON out; asked again while the house is busy."""
        headers = {"Authorization": f"Bearer {self.token}"}
        url = self.day.house.url + path
        async with asyncio.timeout(PATIENCE_S):
            while True:
                async with self.day.http.request(method, url, json=body, headers=headers) as told:
                    answer = await told.json(content_type=None)
                if told.status < 400:
                    return answer
                if told.status not in BUSY:
                    raise Refused(told.status, answer["code"])
                await asyncio.sleep(0.2)

    async def basket(self, performance: int, places: int, price: str = "") -> dict[str, Any]:
        """The best places there are, held and priced as a basket."""
        token = new_id()
        async with self._holding:
            if self._socket is None:
                url = f"{self.day.house.url}/ws"
                self._socket = Socket(await self.day.http.ws_connect(url, max_msg_size=0))
                await self._socket.hello(self.token)
            held = await self._socket.ask("best", performance, token, places)
        if held[0] != "held":
            raise Refused(409, held[1])
        price = price or self.day.chance.choice(self.day.prices[performance])
        lines = [[seat, -1, price, 1] for seat in held[2]]
        lines += [[-1, area, price, many] for area, many in held[3]]
        return {"performance": performance, "token": token.hex(), "lines": lines}

    async def place(
        self, *baskets: dict[str, Any], email: str = "", **more: object
    ) -> dict[str, Any]:
        buyer = {"name": f"Buyer {self.day.number()}", "email": email, "language": "fr"}
        body = {"id": secrets.token_hex(16), "baskets": list(baskets), "buyer": buyer}
        body |= more
        order: dict[str, Any] = await self.ask("POST", "/api/orders", body)
        return order

    async def order(self, order: dict[str, Any], what: str, body: Any = None) -> dict[str, Any]:
        """Ask for a change of an order."""
        path = f"/api/orders/{order['id']}/{what}"
        changed: dict[str, Any] = await self.ask("POST", path, body or {})
        return changed

    async def leave(self) -> None:
        if self._socket is not None:
            await self._socket.websocket.close()


class Buyer(Person):
    """Buys on the pages, and pays on the provider's."""

    async def pay(self, order: dict[str, Any]) -> None:
        """On the provider's page; the notice comes by itself."""
        session = await self._page(order)
        self.day.stripe.pay(session)
        self.day.told["stripe"] += int(self.day.stripe.sessions[session]["amount_total"])
        await self.day.until(order, "paid", "exchanged", "refunded")

    async def _page(self, order: dict[str, Any]) -> str:
        wanted = {"method": "stripe", "attempt": secrets.token_hex(8)}
        told = await self.order(order, "pay", wanted)
        return str(told["redirect_url"]).rpartition("/")[2]

    async def pay_too_late(self, order: dict[str, Any]) -> None:
        """The order was given up while its page was open."""
        session = await self._page(order)
        await self.order(order, "cancel")
        if self.day.stripe.sessions[session]["status"] == "open":
            self.day.stripe.pay(session)


class Cashier(Person):
    """Takes money by hand, and knows what should be in the drawer."""

    async def pay(
        self, order: dict[str, Any], method: str, amount: int = 0, code: str = ""
    ) -> dict[str, Any]:
        """All that is due, or a part: in cash with more than is due, sometimes."""
        wanted: dict[str, Any] = {"method": method, "attempt": secrets.token_hex(8)}
        if method == "cash":
            due = in_coins(amount or order["due"], order["currency"])
            wanted["given"] = due + self.day.chance.choice([0, 0, 500, 35])
        elif method == "store_credit":
            wanted["reference"] = code
        elif method == "stripe_terminal":
            wanted["reference"] = self.day.reader
        else:
            wanted["reference"] = f"R{self.day.number()}"
        if amount:
            wanted["amount"] = amount
        told = (await self.order(order, "pay", wanted))["order"]
        if method == "stripe_terminal":
            async with asyncio.timeout(PATIENCE_S):
                while not self.day.stripe.terminal.shows(self.day.reader):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            self.day.stripe.terminal.present(self.day.reader)
            told = await self.day.until(order, "paid", "exchanged")
        payment = told["payments"][-1]
        self.day.told[method] += payment["captured"]
        if method == "cash":
            self.day.drawers[told["currency"]] += payment["given"] - payment["change"]
        changed: dict[str, Any] = told
        return changed

    async def give_back(self, order: dict[str, Any], what: str, body: Any) -> dict[str, Any]:
        """A refund, an exchange or an undone sale, with what it moves noted."""
        body = {"id": secrets.token_hex(8)} | body
        changed = await self.order(order, what, body)
        self.day.note_back(order, changed)
        return changed


class Day:
    """One house, its people, and what they were told."""

    def __init__(
        self, house: ServedHouse, stripe: FakeStripe, http: aiohttp.ClientSession, seed: int
    ) -> None:
        self.house, self.stripe, self.http = house, stripe, http
        self.chance = random.Random(seed)
        self.reader = stripe.terminal.add_reader("Foyer")
        self.prices: dict[int, list[str]] = {}
        self.told: Counter[str] = Counter()  # by method: what came less what went
        self.drawers: Counter[str] = Counter()  # by currency: what cash there is, beside the float
        self.codes: list[tuple[str, str]] = []  # of credits, with their currencies
        self.orders: list[str] = []
        self.stories: Counter[str] = Counter()
        self._number = 0

    def number(self) -> int:
        self._number += 1
        return self._number

    async def look(self, order: dict[str, Any]) -> dict[str, Any]:
        async with self.http.get(f"{self.house.url}/api/orders/{order['id']}") as told:
            found: dict[str, Any] = await told.json()
        return found

    async def until(self, order: dict[str, Any], *states: str) -> dict[str, Any]:
        """The order once it is in one of these states."""
        found = order
        async with asyncio.timeout(PATIENCE_S):
            while True:
                found = await self.look(order)
                if found["state"] in states:
                    return found
                await asyncio.sleep(0.05)

    def note_back(self, before: dict[str, Any], after: dict[str, Any]) -> None:
        """What a change gave back by hand or to credits, as the cashier is told it."""
        known = {
            (payment["id"], back["key"])
            for payment in before["payments"]
            for back in payment["refunds"]
        }
        for payment in after["payments"]:
            for back in payment["refunds"]:
                if (payment["id"], back["key"]) in known:
                    continue
                if payment["method"] in ("stripe", "stripe_terminal"):
                    continue  # the provider's account tells
                self.told[payment["method"]] -= back["amount"]
                if payment["method"] == "cash":
                    self.drawers[after["currency"]] -= in_coins(back["amount"], after["currency"])
        known_cards = {one["card"] for one in before["charges"]}
        for charge in after["charges"]:
            if charge["card"] and charge["card"] not in known_cards:
                self.codes.append((charge["card"], after["currency"]))


def in_coins(amount: int, currency: str) -> int:
    """What is handed over: francs have no coin below five centimes."""
    return (amount + 2) // 5 * 5 if currency == "CHF" else amount


Story = Callable[[], Awaitable[dict[str, Any] | None]]
