"""The performance that a rehearsal plays on: one that it creates, or one that the operator names.

Owns what is prepared before the bots come and undone when they have gone, all of it
over HTTP and the websocket with an operator's rights: a plan, a performance, seats
sold beforehand, a waiting room. Touches no other performance.
"""

import asyncio
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final

import aiohttp

from bench.rehearsal.bots import Bot, Hall
from bench.rehearsal.crowd import Admission, Stage, admissions_of, now_ms, tickets_of
from bench.rehearsal.history import Book
from bench.rehearsal.installation import CannotBegin
from bench.rehearsal.line import Http, Line
from bench.rehearsal.scenario import House, Scenario, Wants
from engine.plan import Plan

ANSWER_S: Final = 60.0
"""A server that is silent for this long is not there any more."""
SEATS_AN_ORDER: Final = 60
ORDERS_AT_ONCE: Final = 4
LEAD_MS: Final = 24 * 3_600_000
"""A performance of ours begins this long after its rehearsal."""
CURRENCY: Final = "EUR"
FIRST_AMOUNT: Final = 2_000
AMOUNT_STEP: Final = 700
_PLAN_SUFFIXES: Final = (".json", ".csv")


class Theatre:
    """The server, seen by an operator: prepares a performance, and tidies up."""

    def __init__(self, url: str, http: Http, book: Book) -> None:
        self._url = url
        self._http = http
        self._book = book
        self._token = ""
        self._roles: frozenset[str] = frozenset()
        self._settings: dict[str, Any] = {}
        self._ours = 0
        self._room = False
        self.performance = 0

    async def log_in(self, name: str, password: str) -> None:
        """Raises CannotBegin: no server, a wrong password, or one that takes real money."""
        try:
            # Once: a server that is not there, and a password that is wrong, stay so.
            status, told = await self._http.once(
                "POST", "/api/login", {"name": name, "password": password}
            )
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            raise CannotBegin(f"{self._url} does not answer: {error}") from None
        if status != 200:
            code = told.get("code", status) if isinstance(told, dict) else status
            raise CannotBegin(f"{self._url}: {name} cannot log in: {code}")
        self._token = told["token"]
        self._roles = frozenset(told["operator"]["roles"])
        house = await self._do("GET", "/api/house")
        if "test_card" not in house["payment_methods"]:
            raise CannotBegin(
                f"{self._url} takes real money ({', '.join(house['payment_methods'])}):"
                " rehearse on a server that runs without Stripe's keys"
            )

    # Before ------------------------------------------------------------------------

    def check_rights(self, scenario: Scenario, *, creates: bool) -> None:
        """Raises CannotBegin where the operator may not do what the scenario needs."""
        selling = {"cashier", "supervisor", "admin"}
        ruling = {"supervisor", "admin"}
        enters = any(kind.wants is Wants.ENTER or kind.enter for kind in scenario.kinds)
        sells = any(kind.wants is Wants.ENTER for kind in scenario.kinds)
        for needed, roles, what in (
            (True, selling | {"refund"}, "read the sales"),
            (creates, {"admin"}, "create a performance (or name one with --performance)"),
            (scenario.room is not None, ruling, "open a waiting room"),
            (enters, ruling | {"door"}, "scan tickets"),
            (sells, selling, "sell tickets beforehand"),
        ):
            if needed and not self._roles & roles:
                raise CannotBegin(
                    f"this operator is {', '.join(sorted(self._roles))}, and to {what} it takes"
                    f" {' or '.join(sorted(roles))}: log in as one"
                )

    async def create(self, house: House, title: dict[str, str], beside: Path) -> None:
        """A performance of the rehearsal's own. Raises CannotBegin."""
        plan = await self._do("POST", "/api/plans", await asyncio.to_thread(_plan, house, beside))
        production = await self._do(
            "POST", "/api/productions", {"titles": title, "currency": CURRENCY}
        )
        view = await self._do("GET", f"/api/plans/{plan['hash']}")
        self._settings = _settings(house, len(view["categories"]))
        body = {
            "production": production["id"],
            "plan": plan["hash"],
            "starts_ms": now_ms() + LEAD_MS,
            "settings": self._settings,
        }
        self._ours = (await self._do("POST", "/api/performances", body))["id"]
        self.performance = self._ours

    async def dress(self, scenario: Scenario, cast: list[Bot], seed: int, run: bytes) -> Stage:
        """The stage, with what is to be sold beforehand sold. Raises CannotBegin."""
        number = self.performance
        details = await self._do("GET", f"/api/performances/{number}")
        view = await self._do("GET", f"/api/plans/{details['plan']}")
        stage = Stage(
            url=self._url,
            performance=number,
            hall=Hall(view["runs"], view["x"], view["y"], view["focal"]),
            seats=len(view["x"]),
            areas=len(view["areas"]),
            categories=tuple(view["category"]),
            area_categories=tuple(area[3] for area in view["areas"]),
            price_types=_price_types(details),
            operator=self._token,
            run=run,
        )
        entering = sum(bot.kind.wants is Wants.ENTER for bot in cast)
        wanted = max(entering, round(scenario.house.sold * stage.seats) if self._ours else 0)
        if wanted > stage.seats:
            raise CannotBegin(
                f"{entering} bots want to enter a house of {stage.seats} seats: fewer --bots,"
                " or another plan under [house]"
            )
        if wanted:
            stage.tickets = await self._sell(stage, wanted, seed)
        return stage

    async def _sell(self, stage: Stage, wanted: int, seed: int) -> tuple[Admission, ...]:
        """Sell about `wanted` seats at the till, whole rows at random; their tickets, shuffled."""
        chance = Random(f"{seed}/sold")
        line = Line(
            self._url,
            self._token,
            stage.performance,
            watch=False,
            book=self._book,
            chance=chance,
        )
        await line.open()
        batches: list[list[int]] = [[]]
        for run in chance.sample(stage.hall.runs, len(stage.hall.runs)):
            if sum(map(len, batches)) >= wanted:
                break
            if len(batches[-1]) + len(run) > SEATS_AN_ORDER:
                batches.append([])
            batches[-1] += run
        gate = asyncio.Semaphore(ORDERS_AT_ONCE)
        try:
            sold = await asyncio.gather(
                *(self._sell_one(gate, line, stage, seats) for seats in batches if seats)
            )
        finally:
            line.close()
        tickets = [ticket for order in sold for ticket in order]
        if len(tickets) < wanted * 0.9:
            raise CannotBegin(
                f"performance {stage.performance} has no {wanted} seats left to sell beforehand:"
                " take another one, or fewer --bots"
            )
        chance.shuffle(tickets)
        return tuple(tickets)

    async def _sell_one(
        self, gate: asyncio.Semaphore, line: Line, stage: Stage, seats: list[int]
    ) -> list[Admission]:
        async with gate:
            token, id = secrets.token_bytes(16), secrets.token_hex(16)
            outcome = await line.ask(
                ["hold", secrets.token_bytes(16), stage.performance, token, seats, []]
            )
            if outcome[0] != "held":
                return []  # a row that is sold already
            lines = [
                [seat, -1, stage.price_types[stage.categories[seat]], 1] for seat in outcome[2]
            ]
            basket = {"performance": stage.performance, "token": token.hex(), "lines": lines}
            order = await self._do("POST", "/api/orders", {"id": id, "baskets": [basket]})
            pay = {"method": "cash", "given": order["total"], "attempt": "1"}
            paid = await self._do("POST", f"/api/orders/{id}/pay", pay)
            self._book.sell(id, 0, tickets_of(paid["order"]))
            shown = await self._do("GET", f"/api/orders/{id}")
            return admissions_of(shown)

    async def open_room(self, opens_ms: int, on_sale_ms: int) -> None:
        """Raises CannotBegin where the server has none."""
        path = f"/api/performances/{self.performance}/queue"
        await self._do("POST", path, {"opens_ms": opens_ms, "on_sale_ms": on_sale_ms})
        self._room = True

    # After ---------------------------------------------------------------------------

    async def tidy(self) -> None:
        """Close the room, and hide a performance of ours from the public."""
        path = f"/api/performances/{self.performance}"
        if self._room:
            await self._do("DELETE", f"{path}/queue")
        if self._ours:
            await self._do("PUT", f"{path}/settings", self._settings | {"status": "hidden"})

    async def orders(self) -> list[dict[str, Any]]:
        """All orders of the performance, the latest first."""
        found: list[dict[str, Any]] = []
        path = f"/api/sales?performance={self.performance}&limit=200"
        before = ""
        while True:
            page = await self._do("GET", f"{path}{before}")
            found += page
            if len(page) < 200:
                return found
            before = f"&before={page[-1]['number']}"

    async def scans(self, ticket: int) -> list[dict[str, Any]]:
        """The scans of one ticket."""
        path = f"/api/tickets?performance={self.performance}&q={self.performance}-{ticket}"
        found: list[dict[str, Any]] = (await self._do("GET", path))["scans"]
        return found

    async def _do(self, method: str, path: str, body: Any = None) -> Any:
        try:
            async with asyncio.timeout(ANSWER_S):
                status, told = await self._http.ask(method, path, body, self._token)
        except TimeoutError:
            raise CannotBegin(f"{self._url} does not answer: {method} {path}") from None
        if status >= 400:
            code = told.get("code", status) if isinstance(told, dict) else status
            detail = told.get("detail", "") if isinstance(told, dict) else ""
            raise CannotBegin(f"{method} {path}: {code}{f': {detail}' if detail else ''}")
        return told


def sale_times(seconds: float, on_sale: float) -> tuple[int, int]:
    """(opens_ms, on_sale_ms) of a room that opens now."""
    opens_ms = time.time_ns() // 1_000_000
    return opens_ms, opens_ms + round(1_000 * seconds * on_sale)


def _price_types(details: dict[str, Any]) -> dict[int, str]:
    """The first public price type of each category."""
    public = [kind["id"] for kind in details["price_types"]]
    found: dict[int, str] = {}
    for kind in public:
        for category, name, _ in details["prices"]:
            if name == kind:
                found.setdefault(category, kind)
    return found


def _plan(house: House, beside: Path) -> bytes:
    """The file of a plan: one of ours by its name, else found from the scenario's folder."""
    from bench.core import large_house
    from engine.demo_houses import club, italian_theatre
    from engine.plan_io import dump_plan

    ours: dict[str, Callable[[], Plan]] = {
        "theatre": italian_theatre,
        "club": club,
        "large": large_house,
    }
    if house.plan in ours:
        return dump_plan(ours[house.plan]())
    path = beside / house.plan
    if path.suffix not in _PLAN_SUFFIXES:
        raise CannotBegin(
            f"plan: {house.plan}: is neither one of {', '.join(ours)} nor a .json or .csv file"
        )
    try:
        return path.read_bytes()
    except OSError as error:
        raise CannotBegin(f"plan: {path}: {error.strerror}") from None


def _settings(house: House, categories: int) -> dict[str, Any]:
    return {
        "currency": CURRENCY,
        "price_types": [{"id": "adult", "names": {"en": "Adult", "fr": "Adulte"}}],
        "prices": [
            {
                "category": number,
                "price_type": "adult",
                "amount": FIRST_AMOUNT + AMOUNT_STEP * (categories - number),
            }
            for number in range(categories)
        ],
        "hold_ms": round(1_000 * house.hold_s),
        "hold_cap_ms": round(1_000 * house.hold_cap_s),
        "max_per_order": house.max_per_order,
        "max_per_buyer": house.max_per_buyer,
        "orphan_rule": house.orphan_rule,
    }
