"""Customers who want two evenings: orders over two performances, paid, exchanged and given up.

Owns what each does and what it was told. They come one after the other for as long as the house
is broken, hold a place or two in each of two performances, order them together and pay: a cashier
in cash, a buyer by card. Some exchange places of one evening for the other, some reserve first,
some give up (before they pay, while they pay, instead of paying what an exchange costs more, or
after all), and some are never seen again.
"""

import asyncio
import contextlib
import secrets
from random import Random
from typing import Any, Final

from msgspec import Struct

from bench.rehearsal.crowd import Stage, now_ms
from bench.rehearsal.line import Http, Line
from tests.soak.ledger import EVENING, Ledger, NotingCrowd

COMES_S: Final = 0.7
MAX_THERE: Final = 60
LEAVES_S: Final = 90.0
"""For those who are still there when the last fault is recovered from."""
LOOKS_S: Final = 0.1
DAY_MS: Final = 86_400_000
AT_REST: Final = frozenset(
    {"paid", "exchanged", "part_refunded", "refunded", "cancelled", "awaiting_payment"}
)

Told = dict[str, Any]


class Visit(Struct):
    """An order over two performances, as whoever placed it knows it.

    `places` are those of both together; `told` is the newest answer, None before the first;
    `asking` how many questions have no answer.
    """

    order: str
    places: int
    told: Told | None = None
    asking: int = 0
    exchanges: int = 0

    @property
    def tickets(self) -> set[tuple[int, int]] | None:
        """What its buyer has in hand, each (performance, ticket); None where that is not known."""
        if self.told is None or self.asking or self.told["state"] not in AT_REST:
            return None
        return {
            (line["performance"], line["ticket"])
            for line in self.told["lines"]
            if line["state"] in ("sold", "reserved")
        }


class Evenings:
    """Two performances, and everybody who buys for both."""

    def __init__(
        self, crowd: NotingCrowd, both: tuple[Stage, Stage], ledger: Ledger, seed: int
    ) -> None:
        self.performances = tuple(one.performance for one in both)
        self.visits: list[Visit] = []
        self.paying = 0
        """How many orders are just being paid or exchanged."""
        self._stages = {one.performance: one for one in both}
        self._crowd = crowd
        self._http: Http = crowd.http
        self._ledger = ledger
        self._seed = seed
        self._over = False
        self._there: set[asyncio.Task[None]] = set()
        self._line: Line
        self._moments: list[asyncio.Future[None]] = []

    async def open(self) -> None:
        self._line = self._crowd.line(self._operator, watch=False)
        await self._line.open()

    async def play(self) -> None:
        """They come, until `leave`."""
        number = 0
        while not self._over:
            await asyncio.sleep(COMES_S)
            gone = {one for one in self._there if one.done()}
            for one in gone:
                one.result()  # nobody leaves by an exception
            self._there -= gone
            if len(self._there) < MAX_THERE:
                number += 1
                chance = Random(f"{self._seed}/evenings/{number}")
                self._there.add(asyncio.create_task(self._come(chance)))

    async def leave(self) -> None:
        """Nobody comes any more; those who are there may end what they began."""
        self._over = True
        if self._there:
            _, late = await asyncio.wait(self._there, timeout=LEAVES_S)
            for one in late:
                one.cancel()
        for done in await asyncio.gather(*self._there, return_exceptions=True):
            if isinstance(done, Exception):
                raise done
        self._line.close()

    async def moment(self) -> None:
        """Until somebody pays for two evenings, or exchanges."""
        self._moments.append(asyncio.get_running_loop().create_future())
        await self._moments[-1]

    @property
    def _operator(self) -> str:
        return self._crowd.stage.operator

    # One customer ----------------------------------------------------------------------

    async def _come(self, chance: Random) -> None:
        if chance.random() < 0.5:
            await self._want(chance, self._line, self._operator)
            return
        _, session = await self._http.ask("POST", "/api/session", {})
        line = self._crowd.line(session["token"], watch=False)
        await line.open()
        try:
            await self._want(chance, line, session["token"])
        finally:
            line.close()

    async def _want(self, chance: Random, line: Line, token: str) -> None:
        many = chance.choice((1, 1, 2))
        baskets = [await self._hold(line, one, many, chance) for one in self.performances]
        if None in baskets:
            return
        visit = Visit(secrets.token_hex(16), 2 * many)
        self.visits.append(visit)
        body = {"id": visit.order, "baskets": baskets}
        if await self._ask(visit, "POST", "/api/orders", body, token) != 201:
            return
        draw = chance.random()
        if draw < 0.08:
            return  # never seen again
        if draw < 0.16:
            await self._change(visit, "cancel", {}, token)
            return
        if token == self._operator and draw < 0.3 and not await self._reserve(visit, chance):
            return
        await self._pay(visit, chance, token)
        if visit.told and visit.told["state"] == "paid" and chance.random() < 0.55:
            await self._exchange(visit, chance)
        if visit.told and visit.told["state"] in ("paid", "exchanged") and chance.random() < 0.15:
            await self._give_back(visit)

    async def _reserve(self, visit: Visit, chance: Random) -> bool:
        """Kept until tomorrow; whether it is to be paid now after all."""
        self._is_the_moment()
        wanted = {"kind": "pick_up", "until_ms": now_ms() + DAY_MS}
        await self._change(visit, "reserve", wanted, self._operator)
        await self._until(visit, "awaiting_payment")
        draw = chance.random()
        if draw < 0.3:
            await self._change(visit, "cancel", {}, self._operator)
            await self._look(visit)
        return draw > 0.5

    async def _pay(self, visit: Visit, chance: Random, token: str) -> None:
        gives_up = chance.random() < 0.08
        self._is_the_moment()
        self.paying += 1
        asked_s = self._ledger.now_s
        try:
            async with asyncio.TaskGroup() as windows:
                windows.create_task(self._pay_all(visit, token))
                if gives_up:  # in another window
                    windows.create_task(self._change(visit, "cancel", {}, token))
        finally:
            self.paying -= 1
        await self._look(visit)
        if visit.told and visit.told["state"] == "paid":
            self._ledger.good(EVENING, asked_s)

    async def _pay_all(self, visit: Visit, token: str) -> None:
        """Until it is paid, or refused."""
        assert visit.told is not None
        attempt = secrets.token_hex(8)
        method = "cash" if token == self._operator else "test_card"
        pay = {"method": method, "attempt": attempt}
        if method == "cash":
            pay["given"] = visit.told["total"]
        before = visit.told["state"]
        while await self._change(visit, "pay", pay, token) == 200:
            if visit.told["state"] not in (before, "selling"):
                return
            await asyncio.sleep(LOOKS_S)

    async def _exchange(self, visit: Visit, chance: Random) -> None:
        """A place of one evening for one of the other."""
        assert visit.told is not None
        line = chance.choice(visit.told["lines"])
        (other,) = {*self.performances} - {line["performance"]}
        basket = await self._hold(self._line, other, 1, chance)
        if basket is None:
            return
        wanted = {"id": secrets.token_hex(8), "lines": [line["number"]], "basket": basket}
        visit.exchanges += 1
        self._is_the_moment()
        self.paying += 1
        try:
            await self._change(visit, "exchange", wanted, self._operator)
            if visit.told["state"] == "exchanging" and visit.told["due"]:
                if chance.random() < 0.3:
                    this = f"cancel?exchange={wanted['id']}"
                    await self._change(visit, this, {}, self._operator)
                else:
                    await self._pay_all(visit, self._operator)
            await self._until(visit, "paid", "exchanged", "part_refunded")
        finally:
            self.paying -= 1

    async def _give_back(self, visit: Visit) -> None:
        assert visit.told is not None
        lines = [one["number"] for one in visit.told["lines"] if one["state"] == "sold"]
        wanted = {"id": secrets.token_hex(8), "lines": lines, "reason": "given up"}
        self._is_the_moment()
        if await self._change(visit, "refund", wanted, self._operator) == 200:
            await self._until(visit, "refunded")

    # Asking ----------------------------------------------------------------------------

    async def _hold(self, line: Line, performance: int, many: int, chance: Random) -> Told | None:
        """The best places, or one anywhere, of whatever price."""
        token, stage = secrets.token_bytes(16), self._stages[performance]
        asked = [secrets.token_bytes(16), performance, token]
        if many == 1 and chance.random() < 0.5:
            frame = ["hold", *asked, [chance.randrange(stage.seats)], []]
        else:
            frame = ["best", *asked, many]
        outcome = await line.ask(frame)
        if outcome[0] != "held":
            return None
        lines = [[seat, -1, stage.price_types[stage.categories[seat]], 1] for seat in outcome[2]]
        return {"performance": performance, "token": token.hex(), "lines": lines}

    async def _change(self, visit: Visit, what: str, body: Told, token: str) -> int:
        return await self._ask(visit, "POST", f"/api/orders/{visit.order}/{what}", body, token)

    async def _look(self, visit: Visit) -> None:
        await self._ask(visit, "GET", f"/api/orders/{visit.order}", None, self._operator)

    async def _until(self, visit: Visit, *states: str) -> None:
        """Look until it is in one of these, and nothing of it is under way; not for ever."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LEAVES_S):
                while True:
                    await self._look(visit)
                    assert visit.told is not None
                    if visit.told["state"] in {*states, "failed", "expired", "cancelled"}:
                        return
                    await asyncio.sleep(LOOKS_S)

    async def _ask(self, visit: Visit, method: str, path: str, body: Any, token: str) -> int:
        visit.asking += 1
        status, told = await self._http.ask(method, path, body, token)
        visit.asking -= 1
        if status in (200, 201):
            told = told.get("order", told)
            if visit.told is None or told["revision"] >= visit.told["revision"]:
                visit.told = told
        else:
            self._ledger.refused(str(told.get("code", status)))
        return status

    def _is_the_moment(self) -> None:
        for waiting in self._moments:
            if not waiting.done():
                waiting.set_result(None)
        self._moments.clear()
