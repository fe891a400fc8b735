"""The house of the day, its programme and its tills, and the stories that people live there."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import pytest

from engine.currency import DENOMINATIONS
from tests.day.people import Buyer, Cashier, Day, Person, Refused, Story
from tests.fakes.stripe_server import FakeStripe
from tests.integration.server import ServedHouse

EUROS: Final = (1, 2, 3, 4)
FRANCS: Final = (5, 6)
CANCELLED: Final = 2
FLOAT: Final = 20_000
AT_ONCE: Final = 6
"""Stories that go on at the same time."""
SETTLES_S: Final = 120.0


@asynccontextmanager
async def a_day(
    data: Path, orders: int, seed: int, *, say: Callable[[str], object] = lambda words: None
) -> AsyncIterator[Day]:
    """Live through a day; the house still stands while the books are looked at."""
    house = ServedHouse(data)
    async with (
        FakeStripe(webhook_url=f"{house.url}/api/stripe/webhook") as stripe,
        aiohttp.ClientSession() as http,
    ):
        with pytest.MonkeyPatch.context() as surroundings:
            surroundings.setenv("STRAPONTIN_STRIPE_KEY", stripe.api_key)
            surroundings.setenv("STRAPONTIN_STRIPE_WEBHOOK_SECRET", stripe.webhook_secret)
            surroundings.setenv("STRAPONTIN_STRIPE_API_BASE", stripe.url)
            await asyncio.to_thread(house.start)
        try:
            day = Day(house, stripe, http, seed)
            people = await _People.come(day)
            say(f"{orders} orders")
            await people.live(orders, say)
            say("cancelling a performance")
            await people.cancel_a_performance()
            await stripe.drained()
            say("closing the tills")
            await people.close_tills()
            yield day
            await people.leave()
        finally:
            await asyncio.to_thread(house.stop)


class _People:
    """Everybody of the day, and what they do."""

    def __init__(self, day: Day) -> None:
        self.day = day
        self._one_card = asyncio.Lock()
        self.admin = Person(day, "")
        self.tills: dict[str, Cashier] = {}

    @classmethod
    async def come(cls, day: Day) -> "_People":
        people = cls(day)
        logins = day.house.logins
        people.admin = Person(day, await people._log_in("admin", logins["admin"]))
        await people._set_up()
        password = secrets.token_hex(12)
        wanted = {"name": "guichet", "password": password, "roles": ["cashier", "refund"]}
        await people.admin.ask("POST", "/api/operators", wanted)
        for currency, name, word in (
            ("EUR", "caisse", logins["cashier"]),
            ("CHF", "guichet", password),
        ):
            cashier = people.tills[currency] = Cashier(day, await people._log_in(name, word))
            shift = {"id": secrets.token_hex(16), "till": f"Till {currency}",
                     "currency": currency, "opening_float": FLOAT}  # fmt: skip
            await cashier.ask("POST", "/api/tills", shift)
        return people

    async def _log_in(self, name: str, password: str) -> str:
        told = await self.day.house.ask("/api/login", {"name": name, "password": password})
        return str(told["token"])

    async def _set_up(self) -> None:
        """Fees, what buyers may do by themselves, and terms to pay later."""
        terms = {"first_days": 7, "interval_days": 7, "reminders": 2}
        look = {"name": "House", "time_zone": "Europe/Paris", "languages": ["fr", "en"],
                "vat_bp": 550, "invoice": terms, "till_sessions_required": True}  # fmt: skip
        await self.admin.ask("PUT", "/api/house", look)
        for performance in (*EUROS, *FRANCS):
            path = f"/api/performances/{performance}/settings"
            settings = await self.admin.ask("GET", path)
            settings |= {
                "fees": [
                    {"id": "booking", "names": {"en": "Booking"}, "fixed": 120, "per": "place",
                     "channels": ["web"], "refundable": False, "vat_bp": 2_000},
                    {"id": "order", "names": {"en": "Order"}, "fixed": 99, "per": "order"},
                    {"id": "borne", "names": {"en": "Borne"}, "percent_bp": 250, "absorbed": True},
                ],
                "returns": {"before_ms": 0, "fee": 250, "way": "either"},
                "exchanges": {"before_ms": 0, "fee": 150, "way": "credit"},
                "orphan_rule": False,
            }  # fmt: skip
            # One price in two has a rate of its own, one performance in two too.
            for price in settings["prices"][::2]:
                price["vat_bp"] = 210
            settings["vat_bp"] = 0 if performance % 2 else None
            guest = {"id": "guest", "names": {"en": "Guest"}, "box_office_only": True}
            settings["price_types"].append(guest)
            settings["prices"] += [
                {"category": category, "price_type": "guest", "amount": 0}
                for category in {one["category"] for one in settings["prices"]}
            ]
            await self.admin.ask("PUT", path, settings)
            self.day.prices[performance] = [
                one["id"]
                for one in settings["price_types"]
                if not one.get("until_ms") and one["id"] != "guest"
            ]

    async def leave(self) -> None:
        for person in (self.admin, *self.tills.values()):
            await person.leave()

    # The day -----------------------------------------------------------------

    async def live(self, orders: int, say: Callable[[str], object]) -> None:
        stories: list[tuple[int, Story]] = [
            (30, self.on_the_page), (6, self.two_evenings), (5, self.given_up), (4, self.too_late),
            (4, self.returned), (4, self.exchanged_by_its_buyer), (3, self.on_an_invoice),
            (20, self.in_cash), (8, self.by_card), (3, self.by_cheque), (6, self.at_the_reader),
            (4, self.in_parts), (4, self.picked_up), (2, self.never_fetched), (4, self.refunded),
            (3, self.an_amount_back), (5, self.to_a_credit), (5, self.by_credit), (3, self.undone),
            (6, self.exchanged_at_the_till), (2, self.reissued), (3, self.free),
            (4, self.gift_cards),
        ]  # fmt: skip
        weights = [weight for weight, _ in stories]
        left = asyncio.Semaphore(AT_ONCE)
        done = 0

        async def one(story: Story) -> None:
            nonlocal done
            async with left:
                try:
                    await story()
                except Refused as refused:
                    if refused.code not in ("none_left", "credit_too_small"):
                        raise
                    self.day.stories["refused"] += 1
            self.day.stories[story.__name__] += 1
            done += 1
            if done % 50 == 0:
                say(f"{done} of {orders}")

        chosen = [story for _, story in stories]
        if orders > len(chosen):
            more = [one for _, one in stories]
            chosen += self.day.chance.choices(more, weights, k=orders - len(chosen))
        self.day.chance.shuffle(chosen)
        async with asyncio.TaskGroup() as group:
            for story in chosen[:orders]:
                group.create_task(one(story))

    def _anywhere(self) -> tuple[Cashier, int]:
        currency = self.day.chance.choice(["EUR", "EUR", "CHF"])
        return self.tills[currency], self.day.chance.choice(EUROS if currency == "EUR" else FRANCS)

    async def _buyer(self) -> Buyer:
        told = await self.day.house.ask("/api/session", {})
        return Buyer(self.day, str(told["token"]))

    async def _bought(self, places: int = 2) -> tuple[Buyer, dict[str, Any]]:
        buyer = await self._buyer()
        performance = self.day.chance.choice((*EUROS, *FRANCS))
        order = await buyer.place(
            await buyer.basket(performance, places, "adult"), email="a@b.example"
        )
        await buyer.pay(order)
        return buyer, await self.day.look(order)

    async def _sold(
        self, method: str = "cash", places: int = 2, price: str = "adult"
    ) -> tuple[Cashier, dict[str, Any]]:
        cashier, performance = self._anywhere()
        basket = await cashier.basket(performance, places, price)
        email = self.day.chance.choice(["", "a@b.example"])
        order = await cashier.place(basket, email=email)
        return cashier, await cashier.pay(order, method)

    # On the pages ------------------------------------------------------------

    async def on_the_page(self) -> None:
        buyer, _ = await self._bought(self.day.chance.randint(1, 4))
        await buyer.leave()

    async def two_evenings(self) -> None:
        buyer = await self._buyer()
        one, other = self.day.chance.sample(EUROS, 2)
        baskets = [await buyer.basket(performance, 2) for performance in (one, other)]
        await buyer.pay(await buyer.place(*baskets))
        await buyer.leave()

    async def given_up(self) -> None:
        buyer = await self._buyer()
        order = await buyer.place(await buyer.basket(1, 2))
        await buyer.order(order, "cancel")
        await buyer.leave()

    async def too_late(self) -> None:
        buyer = await self._buyer()
        order = await buyer.place(await buyer.basket(3, 2))
        await buyer.pay_too_late(order)
        await buyer.leave()

    async def returned(self) -> None:
        buyer, order = await self._bought()
        to_credit = self.day.chance.random() < 0.5
        wanted = {"id": secrets.token_hex(8), "lines": [1], "to_credit": to_credit}
        changed = await buyer.order(order, "return", wanted)
        self.day.note_back(order, changed)
        await buyer.leave()

    async def exchanged_by_its_buyer(self) -> None:
        buyer, order = await self._bought()
        performance = order["lines"][0]["performance"]
        basket = await buyer.basket(performance, self.day.chance.randint(1, 3), "adult")
        wanted = {"id": secrets.token_hex(8), "lines": [1], "basket": basket}
        changed = await buyer.order(order, "exchange", wanted)
        self.day.note_back(order, changed)
        if changed["due"] and self.day.chance.random() < 0.7:
            await buyer.pay(changed)
        elif changed["due"]:
            await buyer.order(changed, f"cancel?exchange={wanted['id']}")
        await buyer.leave()

    async def on_an_invoice(self) -> None:
        buyer = await self._buyer()
        order = await buyer.place(await buyer.basket(4, 3))
        await buyer.order(order, "reserve", {"kind": "invoice"})
        if self.day.chance.random() < 0.3:
            await self.admin.order(order, "cancel")
        else:
            await self.admin.order(order, "approve")
            await self.tills["EUR"].pay(await self.day.look(order), "bank_transfer")
        await buyer.leave()

    # At the tills ------------------------------------------------------------

    async def in_cash(self) -> None:
        await self._sold("cash", self.day.chance.randint(1, 4))

    async def by_card(self) -> None:
        await self._sold("card_terminal")

    async def by_cheque(self) -> None:
        await self._sold("cheque", 1)

    async def at_the_reader(self) -> None:
        async with self._one_card:
            await self._sold("stripe_terminal", 1)

    async def in_parts(self) -> None:
        cashier, performance = self._anywhere()
        order = await cashier.place(await cashier.basket(performance, 2, "adult"))
        order = await cashier.pay(order, "cash", 1_005)
        await cashier.pay(order, "card_terminal")

    async def picked_up(self) -> None:
        cashier, performance = self._anywhere()
        order = await cashier.place(await cashier.basket(performance, 2, "adult"))
        until = {"kind": "pick_up", "until_ms": order["created_ms"] + 86_400_000}
        await cashier.pay(await cashier.order(order, "reserve", until), "cash")

    async def never_fetched(self) -> None:
        cashier, performance = self._anywhere()
        order = await cashier.place(await cashier.basket(performance, 2, "adult"))
        until = {"kind": "pick_up", "until_ms": order["created_ms"] + 86_400_000}
        await cashier.order(await cashier.order(order, "reserve", until), "cancel")

    async def refunded(self) -> None:
        cashier, order = await self._sold(places=3)
        await cashier.give_back(order, "refund", {"lines": [1, 3], "reason": "ill"})

    async def an_amount_back(self) -> None:
        cashier, order = await self._sold()
        await cashier.give_back(order, "refund", {"amount": 333, "reason": "a cold evening"})

    async def to_a_credit(self) -> None:
        cashier, order = await self._sold()
        await cashier.give_back(order, "refund", {"lines": [2], "to_credit": True})

    async def by_credit(self) -> None:
        """With a code that somebody has by now; two may come with the same."""
        mine = [code for code, currency in self.day.codes if currency == "EUR"]
        if not mine:
            return await self.in_cash()
        cashier = self.tills["EUR"]
        order = await cashier.place(await cashier.basket(1, 2, "adult"))
        try:
            order = await cashier.pay(order, "store_credit", 0, self.day.chance.choice(mine))
        except Refused as refused:
            if refused.code != "credit_too_small":
                raise
        if order["due"]:
            await cashier.pay(await self.day.look(order), "cash")
        return None

    async def undone(self) -> None:
        cashier, order = await self._sold()
        await cashier.give_back(order, "undo", {})

    async def exchanged_at_the_till(self) -> None:
        cashier, order = await self._sold()
        there = EUROS if order["currency"] == "EUR" else FRANCS
        basket = await cashier.basket(self.day.chance.choice(there), 1)
        wanted = {"lines": [1], "basket": basket, "fee": self.day.chance.choice([0, 200]),
                  "to_credit": self.day.chance.random() < 0.3}  # fmt: skip
        changed = await cashier.give_back(order, "exchange", wanted)
        if changed["due"]:
            await cashier.pay(changed, self.day.chance.choice(["cash", "card_terminal"]))

    async def reissued(self) -> None:
        cashier, order = await self._sold()
        await cashier.order(order, "reissue", {"id": secrets.token_hex(8), "lines": [1]})

    async def free(self) -> None:
        """A guest's place, by which the order is sold."""
        cashier, performance = self._anywhere()
        order = await cashier.place(await cashier.basket(performance, 1, "guest"))
        assert order["state"] == "paid" and not order["payments"]

    async def gift_cards(self) -> None:
        """Two, perhaps with a place: one may be spent by who pays from a credit, one goes back."""
        cashier, performance = self._anywhere()
        with_place = self.day.chance.random() < 0.5
        baskets = [await cashier.basket(performance, 1, "adult")] if with_place else []
        cards = {"gift_cards": [3_000, 2_000], "performance": performance}
        order = await cashier.place(*baskets, email="a@b.example", **cards)
        order = await cashier.pay(order, self.day.chance.choice(["cash", "card_terminal"]))
        first, second = [one for one in order["charges"] if one["kind"] == "gift_card"]
        self.day.codes.append((first["card"], order["currency"]))
        changed = await cashier.give_back(order, "refund", {"gift_cards": [second["number"]]})
        assert changed["state"] == "part_refunded"

    # The evening -------------------------------------------------------------

    async def cancel_a_performance(self) -> None:
        path = f"/api/performances/{CANCELLED}/cancellation"
        await self.admin.ask("POST", path, {"reason": "The singer is ill."})
        async with asyncio.timeout(SETTLES_S):
            while True:
                told = await self.admin.ask("GET", path)
                if told["ended_ms"]:
                    break
                await asyncio.sleep(0.3)
        # What only a person can hand back.
        left = await self.admin.ask("GET", f"{path}/orders")
        for one in left["orders"]:
            if one["progress"] != "left":
                continue
            [order] = await self.admin.ask("GET", f"/api/sales?q={one['number']}")
            lines = [
                line["number"]
                for line in order["lines"]
                if line["performance"] == CANCELLED and line["state"] == "sold"
            ]
            order = await self.day.look(order)
            wanted = {"lines": lines, "reason": "cancelled"}
            await self.tills[order["currency"]].give_back(order, "refund", wanted)
            self.day.stories["left to a person"] += 1

    async def close_tills(self) -> None:
        for currency, cashier in self.tills.items():
            told = (await cashier.ask("GET", "/api/tills/mine"))["report"]
            counted = FLOAT + self.day.drawers[currency]
            closing = {"id": secrets.token_hex(8), "pieces": pieces(counted, currency),
                       "explanation": "what the books say"}  # fmt: skip
            path = f"/api/tills/{told['session']['id']}/close"
            await cashier.ask("POST", path, closing)


def pieces(amount: int, currency: str) -> list[tuple[int, int]]:
    """Notes and coins that are this much."""
    found = []
    for one in DENOMINATIONS[currency]:
        found.append((one, amount // one))
        amount %= one
    assert not amount, "francs that no coin is of"
    return [(one, many) for one, many in found if many]
