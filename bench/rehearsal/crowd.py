"""The bots on their feet: real frames, real requests, real time.

Owns ids, waiting and what is written into the book. What a bot does next is
`bench.rehearsal.bots`; how it is carried over is `bench.rehearsal.line`. Arrivals
are an open loop: a bot comes when it is due, however the server is, and an answer
counts from when its question was due.
"""

import asyncio
import contextlib
import time
from hashlib import blake2b
from random import Random
from typing import Any, Final

import msgspec
from msgspec import Struct

from bench.client import Frame
from bench.rehearsal import bots as does
from bench.rehearsal.bots import Bot, Clicks, End, Hall, Heard
from bench.rehearsal.history import Book, Ticket, Turn
from bench.rehearsal.line import Http, Line
from bench.rehearsal.scenario import Wants
from engine.commands import ID_BYTES
from engine.feed import Applied, Replica
from renderers.secret import parse_short

BEAT_S: Final = 0.1
"""How often it is looked at how late the bots' own machine is."""
CONFIRM_PAUSE_S: Final = 0.2


class Admission(Struct, frozen=True):
    """A ticket that a bot has in its hand."""

    number: int
    secret: str


class Stage(Struct):
    """The performance that is rehearsed, and who may scan there.

    `price_types` is the first public price type of each category; `tickets` were sold
    beforehand, for bots that enter. `run` is what this run's ids are made of.
    """

    url: str
    performance: int
    hall: Hall
    seats: int
    areas: int
    categories: tuple[int, ...]
    area_categories: tuple[int, ...]
    price_types: dict[int, str]
    operator: str
    run: bytes
    room: bool = False
    tickets: tuple[Admission, ...] = ()


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class Crowd:
    """All bots of a rehearsal, the picture of the house that they look at, and the scanners."""

    def __init__(
        self, stage: Stage, cast: list[Bot], book: Book, http: Http, factor: float, scanners: int
    ) -> None:
        self.stage = stage
        self.book = book
        self.http = http
        self.factor = factor
        self.replica = Replica(stage.performance, stage.seats, stage.areas)
        self._cast = cast
        self._chance = Random()  # pauses only: nothing that a bot decides
        self._window: Line
        scan = any(bot.kind.wants is Wants.ENTER or bot.kind.enter for bot in cast)
        self._scanners = [
            self.line(stage.operator, watch=False) for _ in range(scanners if scan else 0)
        ]
        self._scanned = 0
        self._seen = asyncio.Event()

    def line(self, token: str, *, watch: bool) -> Line:
        stage = self.stage
        return Line(
            stage.url, token, stage.performance, watch=watch, book=self.book, chance=self._chance
        )

    async def open(self) -> None:
        """Look at the house, and open the doors."""
        _, session = await self.http.ask("POST", "/api/session", {})
        self._window = self.line(session["token"], watch=True)
        self._window.also = self._see
        await asyncio.gather(self._window.open(), *(line.open() for line in self._scanners))
        await self._seen.wait()

    async def play(self, seconds: float, grace_s: float) -> None:
        """Everybody comes, and goes; who is still there after `grace_s` is unfinished."""
        book = self.book
        tickets = iter(self.stage.tickets)
        visits = []
        for bot in self._cast:
            ticket = next(tickets) if bot.kind.wants is Wants.ENTER else None
            visits.append(asyncio.create_task(_Visit(self, bot, ticket).run(seconds)))
        book.states["to_come"] = len(visits)
        beat = asyncio.create_task(self._beat())
        try:
            _, late = await asyncio.wait(visits, timeout=seconds + grace_s)
            for visit in late:
                visit.cancel()
            for done in await asyncio.gather(*visits, return_exceptions=True):
                if isinstance(done, Exception):
                    raise done
        finally:
            beat.cancel()
            for visit in visits:
                visit.cancel()

    def close(self) -> None:
        self._window.close()
        for line in self._scanners:
            line.close()

    async def scan(self, secret: str, id: bytes) -> list[Any]:
        """Present a ticket at the next scanner."""
        self._scanned += 1
        scanner = self._scanners[self._scanned % len(self._scanners)]
        return await scanner.ask(["scan", id, self.stage.performance, secret, ""])

    def _see(self, frame: Frame) -> None:
        if frame[0] in ("snapshot", "delta"):
            applied = self.replica.apply(msgspec.msgpack.encode(frame))
            self._seen.set()
            if applied is Applied.GAP:
                self._window.send(
                    ["watch", self.stage.performance, self.replica.epoch, self.replica.seq]
                )

    async def _beat(self) -> None:
        while True:
            due_s = self.book.now_s + BEAT_S
            await asyncio.sleep(BEAT_S)
            self.book.lags_s.append(max(0.0, self.book.now_s - due_s))
            self.book.waiting.append((due_s, self.book.states["waiting"]))


class _Visit:
    """One bot's visit."""

    def __init__(self, crowd: Crowd, bot: Bot, ticket: Admission | None) -> None:
        self._crowd = crowd
        self._stage = crowd.stage
        self._book = crowd.book
        self._bot = bot
        self._ticket = ticket
        self._line: Line
        self._session = ""
        self._asked = 0
        self._state = "to_come"
        self._due_s = 0.0
        self._has_seats = False
        self._bought: set[str] = set()
        self._turn: Turn | None = None
        self._let_in: asyncio.Future[str] | None = None
        self._admission = ""

    async def run(self, seconds: float) -> None:
        book, bot = self._book, self._bot
        self._due_s = bot.due * seconds
        end = End.UNFINISHED
        try:
            await asyncio.sleep(max(0.0, self._due_s - book.now_s))
            self._be("arriving")
            if bot.kind.wants is not Wants.ENTER:
                await self._arrive()
            end = await self._play()
        except asyncio.CancelledError:
            pass  # the rehearsal is over for this bot
        finally:
            if hasattr(self, "_line"):
                self._line.close()
            self._leave(end)

    async def _arrive(self) -> None:
        _, session = await self._crowd.http.ask("POST", "/api/session", {})
        self._session = session["token"]
        self._line = self._crowd.line(self._session, watch=self._bot.kind.watch)
        self._line.also = self._hear
        await self._line.open()

    async def _play(self) -> End:
        script = self._bot.visit(self._stage.hall)
        try:
            action = next(script)
            while True:
                action = script.send(await self._do(action))
        except StopIteration as done:
            end: End = done.value
            return end

    def _leave(self, end: End) -> None:
        book, bot = self._book, self._bot
        self._be("")
        book.ends[bot.kind.name, end] += 1
        book.surprises.update(bot.surprises)
        # Nobody is served badly by a house that is full, or came for something else.
        if bot.means_to_buy and end is not End.SOLD_OUT:
            book.wanted += 1
            book.served += end is End.BOUGHT

    def _be(self, state: str) -> None:
        self._book.states[self._state] -= 1
        self._state = state
        self._book.states[state] += 1

    def _id(self) -> bytes:
        self._asked += 1
        return self._named(f"command {self._asked}")

    def _named(self, what: str) -> bytes:
        """The real id of something that the bot names by a number."""
        text = f"{self._bot.number} {what}".encode()
        return blake2b(text, key=self._stage.run, digest_size=ID_BYTES).digest()

    # Actions ----------------------------------------------------------------------

    async def _do(self, action: does.Action) -> Heard:
        match action:
            case does.Think():
                self._be("holding" if self._has_seats else "choosing")
                await self._wait(action.seconds / self._crowd.factor)
            case does.StayUntil():
                self._be("holding")
                await self._wait(max(0, action.at_ms - now_ms()) / 1_000)
            case does.Queue():
                return await self._queue(action)
            case does.Look():
                return Heard("seen", statuses=self._crowd.replica.statuses)
            case does.Choose():
                frame = ["hold", b"", self._stage.performance, b"", list(action.seats), []]
                return await self._hold(frame, action.hold, action.clicks)
            case does.TakeBest():
                frame = ["best", b"", self._stage.performance, b"", action.size]
                return await self._hold(frame, action.hold, action.clicks)
            case does.Release():
                return await self._about("release", action.hold)
            case does.Basket():
                return await self._about("basket", action.hold)
            case does.Reload():
                await self._reload()
            case does.Reconnect():
                await self._come_back()
            case does.Place():
                return await self._place(action)
            case does.Pay():
                return await self._pay(action)
            case does.Enter():
                return await self._enter(action)
        return Heard("here", at_ms=now_ms())

    async def _wait(self, seconds: float) -> None:
        # The next question is due when the thought is over, not when this machine gets to it.
        self._due_s = self._book.now_s + seconds
        await asyncio.sleep(seconds)

    async def _hold(self, frame: Frame, hold: int, clicks: Clicks) -> Heard:
        self._be("choosing")
        frame[3] = self._named(f"hold {hold}")
        asks = []
        for _ in range(2 if clicks is Clicks.AGAIN else 1):
            again = [frame[0], self._id(), *frame[2:]]
            asks.append(self._line.ask(again, twice=clicks is Clicks.TWICE))
        outcomes = await asyncio.gather(*asks)
        self._book.answered(self._book.holds, self._due_s, honest=self._bot.kind.honest)
        for outcome in outcomes:
            if outcome[0] == "held":
                self._book.hold(self._due_s)
            else:
                self._book.refused(outcome[1])
        good = [outcome for outcome in outcomes if outcome[0] == "held"]
        if not good:
            return Heard("refused", outcomes[0][1], at_ms=now_ms())
        self._has_seats = True
        seats = tuple(seat for outcome in good for seat in outcome[2])
        areas: dict[int, int] = {}
        for outcome in good:
            for area, quantity in outcome[3]:
                areas[area] = areas.get(area, 0) + quantity
        return Heard(
            "held",
            seats=seats,
            areas=tuple(areas.items()),
            expires_ms=min(outcome[4] for outcome in good),
            at_ms=now_ms(),
        )

    async def _about(self, verb: str, hold: int) -> Heard:
        token = self._named(f"hold {hold}")
        outcome = await self._line.ask([verb, self._id(), self._stage.performance, token])
        if outcome[0] == "refused":
            self._book.refused(outcome[1])
            return Heard("refused", outcome[1], at_ms=now_ms())
        if verb == "release":
            self._has_seats = False
        areas = tuple((area, quantity) for area, quantity in outcome[3])
        return Heard(verb, seats=tuple(outcome[2]), areas=areas, at_ms=now_ms())

    async def _reload(self) -> None:
        """The page, its data, and a new connection with the same session."""
        http, number = self._crowd.http, self._stage.performance
        for path in (f"/p/{number}", f"/api/performances/{number}"):
            await http.ask("GET", path)
        self._line.position = (0, 0)
        await self._come_back()

    async def _come_back(self) -> None:
        if self._turn is not None:
            self._turn.present = False
        await self._line.come_back()

    # The waiting room --------------------------------------------------------------

    async def _queue(self, action: does.Queue) -> Heard:
        self._be("waiting")
        if self._turn is None:
            self._turn = Turn(self._bot.number, self._book.now_s)
            self._book.turns.append(self._turn)
        self._let_in = asyncio.get_running_loop().create_future()
        self._admission = ""
        self._line.opened = self._stand
        self._stand()
        for pause_s in action.losses:
            await asyncio.wait((self._let_in,), timeout=pause_s / self._crowd.factor)
            if self._let_in.done():
                break
            await self._come_back()
        return Heard(await self._let_in, at_ms=now_ms())

    def _stand(self) -> None:
        """Say that this bot is in the line, or let in already."""
        self._line.send(["queue", self._stage.performance, self._admission])

    def _hear(self, frame: Frame) -> None:
        let_in, turn = self._let_in, self._turn
        if let_in is None or turn is None:
            return
        told = ""
        if frame[0] == "placed":
            # A reload or a lost connection neither loses nor gains a place.
            if turn.number not in (0, frame[3]) or turn.place not in (-1, frame[4]):
                self._book.surprises["place_changed"] += 1
            turn.number, turn.place = frame[3], frame[4]
        elif frame[0] == "admitted":
            self._admission = frame[2]
            if turn.admitted_s < 0:
                turn.admitted_s = self._book.now_s
            told = "admitted"
        elif frame[0] == "room" and frame[2] in ("closed", "sold_out"):
            told = "admitted" if frame[2] == "closed" else "sold_out"
        elif frame[0] == "error" and frame[1] == "no_room":
            told = "admitted"
        if told and not let_in.done():
            self._due_s = self._book.now_s
            let_in.set_result(told)

    # Orders --------------------------------------------------------------------------

    async def _place(self, action: does.Place) -> Heard:
        self._be("paying")
        stage = self._stage
        lines: list[list[Any]] = [
            [seat, -1, stage.price_types[stage.categories[seat]], 1] for seat in action.seats
        ]
        lines += [
            [-1, area, stage.price_types[stage.area_categories[area]], quantity]
            for area, quantity in action.areas
        ]
        token = self._named(f"hold {action.hold}").hex()
        basket = {"performance": stage.performance, "token": token, "lines": lines}
        number = self._bot.number
        buyer = {
            "name": f"Bot {number}",
            "email": f"bot-{number}@rehearsal.example",
            "language": "en",
        }
        body = {"id": self._order(action.order), "baskets": [basket], "buyer": buyer}
        status, told = await self._crowd.http.ask("POST", "/api/orders", body, self._session)
        self._book.answered(self._book.orders, self._due_s, honest=self._bot.kind.honest)
        if status != 201:
            self._book.refused(_code(told))
            return Heard("refused", _code(told), at_ms=now_ms())
        self._due_s = self._book.now_s
        return Heard("placed", expires_ms=told["expires_ms"], at_ms=now_ms())

    async def _pay(self, action: does.Pay) -> Heard:
        self._be("paying")
        attempts = [str(action.attempt)]
        if action.clicks is Clicks.TWICE:
            attempts *= 2
        elif action.clicks is Clicks.AGAIN:
            attempts.append(f"{action.attempt}-again")
        path = f"/api/orders/{self._order(action.order)}/pay"
        told = await asyncio.gather(
            *(self._pay_once(path, attempt, action.declined) for attempt in attempts)
        )
        self._book.answered(self._book.orders, self._due_s, honest=self._bot.kind.honest)
        self._due_s = self._book.now_s
        refused = [code for code in told if code]
        for code in refused:
            self._book.refused(code)
        if len(refused) == len(told):
            return Heard("refused", refused[0], at_ms=now_ms())
        self._has_seats = False
        return Heard("sold", at_ms=now_ms())

    async def _pay_once(self, path: str, attempt: str, declined: bool) -> str:
        """The code of a refusal, "" when the order is paid."""
        body = {"method": "test_card", "attempt": attempt}
        if declined:
            body["reference"] = "declined"
        while True:
            status, told = await self._crowd.http.ask("POST", path, body, self._session)
            if status != 200:
                return _code(told)
            if told["order"]["state"] == "paid":
                break
            await asyncio.sleep(CONFIRM_PAUSE_S)
        order = told["order"]
        if order["id"] not in self._bought:  # who clicks twice hears of the same sale twice
            self._bought.add(order["id"])
            self._book.sell(order["id"], self._bot.number, tickets_of(order), self._due_s)
        return ""

    def _order(self, number: int) -> str:
        return self._named(f"order {number}").hex()

    # Doors -----------------------------------------------------------------------------

    async def _enter(self, action: does.Enter) -> Heard:
        self._be("at_the_doors")
        hand = [self._ticket] if self._ticket is not None else []
        if action.order >= 0:
            path = f"/api/orders/{self._order(action.order)}"
            _, order = await self._crowd.http.ask("GET", path)
            hand = admissions_of(order)
            self._due_s = self._book.now_s
        scans = [self._scan(ticket) for ticket in hand for _ in range(action.copies)]
        admitted = sum(await asyncio.gather(*scans))
        return Heard("scanned", admitted=admitted, at_ms=now_ms())

    async def _scan(self, ticket: Admission) -> bool:
        outcome = await self._crowd.scan(ticket.secret, self._id())
        self._book.answered(self._book.scans, self._due_s, honest=True)
        if outcome[1] != "ADMITTED":
            self._book.refused(outcome[1])
            return False
        self._book.admissions.append((ticket.number, self._book.now_s))
        return True


def tickets_of(order: dict[str, Any]) -> tuple[Ticket, ...]:
    """Those of a confirmed order, as it says."""
    return tuple(
        Ticket(line["ticket"], line["seat"], line["area"], line["amount"])
        for line in order["lines"]
        if line["state"] == "sold"
    )


def admissions_of(order: dict[str, Any]) -> list[Admission]:
    """The tickets of a confirmed order, as it shows them: what people read is the short number."""
    return [
        Admission(parse_short(one["number"]).claim.ticket, one["secret"])
        for one in order["tickets"]
    ]


def _code(told: Any) -> str:
    """The reason of a refusal; empty where it gave none."""
    with contextlib.suppress(TypeError, KeyError):
        return str(told["code"])
    return ""
