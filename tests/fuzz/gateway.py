"""Nonsense for a whole running house, over its sockets, while somebody buys and is let in.

    python -m tests.fuzz.gateway --frames 1000000 [--seed N]

Starts a house of its own (all actors, its own Postgres), sends it that many frames as buyers, as
every kind of staff and as nobody, damaged and random, whole and broken, and looks at four things:
the gateway is the same process as before and logged no fault; its memory has not grown beyond a
bound; a customer who buys and comes to the door all the while gets right answers; and the
database agrees with what that customer was told. The exit code is 1 when one of them fails.
"""

import argparse
import asyncio
import contextlib
import itertools
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import SystemRandom
from typing import Any, Final

import aiohttp
import msgpack
import psutil

from tests.fuzz.mutate import Mutator
from tests.fuzz.seeds import seeds
from tests.integration.server import ServedHouse

MAX_GROWTH_BYTES: Final = 96 * 1024 * 1024
"""From when a tenth of the frames was sent to a while after the last."""
ATTACKERS: Final = 8
CONTROL: Final = 4
"""The performance of the customer; no frame of the others names it."""
ANSWER_S: Final = 120.0
START_S: Final = 600.0
"""Patience with a machine that has more to do: how fast it is, others measure."""
SETTLE_S: Final = 5.0
MAX_SALES: Final = 300
"""The house has more seats than that; afterwards the customer only looks on."""
SAY_EVERY_S: Final = 10.0
BURST_S: Final = 5.0
BURST: Final = 20
"""Frames that are counted together, once the ping behind them was answered."""
LAST: Final = 2**40 + 7
_PING: Final = bytes(msgpack.packb(["ping", LAST]))


class WrongOutcome(Exception):
    """The customer was told what cannot be."""


class Attack:
    """Frames for one kind of client after another, until as many as wanted were sent."""

    def __init__(self, house: ServedHouse, frames: int, seed: int, tokens: list[str]) -> None:
        self._house = house
        self._wanted = frames
        self._seed = seed
        self._tokens = tokens
        self.sent = 0  # and served: what a closed connection swallowed is not counted
        self.connections = 0
        self.closes: Counter[Any] = Counter()
        self.warm = asyncio.Event()

    async def run(self) -> None:
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
            await asyncio.gather(*(self._attack(http, number) for number in range(ATTACKERS)))

    async def _attack(self, http: aiohttp.ClientSession, number: int) -> None:
        dice = random.Random(f"{self._seed}:{number}")
        mutator = Mutator(dice.randrange(2**32), seeds("client_frame"))
        for turn in itertools.count(number):
            if self.sent >= self._wanted:
                return
            token = self._tokens[turn % len(self._tokens)]
            # What a server that is too busy to accept says is no fault of anybody's.
            with contextlib.suppress(aiohttp.ClientError, ConnectionError, TimeoutError):
                await self._connection(http, dice, mutator, token)

    async def _connection(
        self, http: aiohttp.ClientSession, dice: random.Random, mutator: Mutator, token: str
    ) -> None:
        self.connections += 1
        async with http.ws_connect(f"{self._house.url}/ws", max_msg_size=0) as socket:
            if token:
                await socket.send_bytes(msgpack.packb(["hello", token, "en"]))
            answered = asyncio.Event()
            reading = asyncio.create_task(self._read(socket, answered))
            try:
                while self.sent < self._wanted and not reading.done():
                    for _ in range(BURST):
                        await self._send(socket, dice, mutator)
                    answered.clear()
                    await socket.send_bytes(_PING)
                    # Noise may be the head of a frame, and the ping a part of it.
                    await asyncio.wait_for(answered.wait(), BURST_S)
                    if reading.done():
                        break  # the connection was ended: nobody knows at which of them
                    self.sent += BURST
                    if self.sent * 10 >= self._wanted:
                        self.warm.set()
            finally:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(socket.close(), ANSWER_S)
                reading.cancel()
                self.closes[socket.close_code] += 1

    async def _send(
        self, socket: aiohttp.ClientWebSocketResponse, dice: random.Random, mutator: Mutator
    ) -> None:
        match dice.randrange(200):
            case 0:  # bytes that are no websocket
                transport = socket._conn.transport if socket._conn else None  # type: ignore[attr-defined]
                if transport is not None:
                    transport.write(dice.randbytes(dice.choice((1, 9, 70))))
            case 1:
                await socket.send_str("text")
            case 2:
                await socket.ping(dice.randbytes(dice.randrange(126)))
            case int(kind):
                data = mutator.damaged() if kind < 120 else self._sensible(dice)
                if not _names_control(data):
                    await socket.send_bytes(data[:17_000])

    def _sensible(self, dice: random.Random) -> bytes:
        """A frame that is right, so that there is a state for the others to meet."""
        id, token = dice.randbytes(16), dice.randbytes(1) * 16
        performance = dice.choice((1, 2, 3, 99))
        seats = [dice.randrange(400) for _ in range(dice.randrange(4))]
        return bytes(
            msgpack.packb(
                dice.choice(
                    (
                        ["watch", performance, dice.randrange(3), dice.randrange(9)],
                        ["hold", id, performance, token, seats],
                        ["best", id, performance, token, dice.randrange(-1, 9)],
                        ["release", id, performance, token, []],
                        ["basket", id, performance, token],
                        ["block", id, performance, seats, [], "x"],
                        ["unblock", id, performance, seats],
                        ["scan", id, performance, "ST1" + "0" * 117, "main"],
                        ["queue", performance],
                        ["unwatch", performance],
                    )
                )
            )
        )

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, answered: asyncio.Event) -> None:
        try:
            async for message in socket:
                if message.type is aiohttp.WSMsgType.BINARY:
                    # Every answer is MessagePack, whatever was asked.
                    frame = msgpack.unpackb(message.data, strict_map_key=False)
                    if frame[:2] == ["pong", LAST]:
                        answered.set()
        finally:
            answered.set()


def _names_control(data: bytes) -> bool:
    try:
        frame = msgpack.unpackb(data, strict_map_key=False)
    except Exception:
        return False
    return isinstance(frame, list) and CONTROL in frame[:4]


class Customer:
    """Buys a place, comes to the door twice, and knows what has to be answered."""

    def __init__(self, house: ServedHouse, door: str) -> None:
        self._house = house
        self._door = door
        self.orders: dict[str, int] = {}  # id -> seat
        self.slowest_s = 0.0

    async def shop(self, until: asyncio.Event) -> None:
        async with aiohttp.ClientSession(self._house.url) as http:
            async with http.post("/api/session", json={}) as answer:
                session = (await answer.json())["token"]
            async with (
                http.ws_connect("/ws") as shop,
                http.ws_connect("/ws") as gate,
            ):
                await _hello(shop, session)
                await _hello(gate, self._door)
                while not until.is_set():
                    began_s = time.monotonic()
                    if len(self.orders) < MAX_SALES:
                        await self._buy(http, shop, gate, session)
                    self.slowest_s = max(self.slowest_s, time.monotonic() - began_s)
                    await asyncio.sleep(0.5)

    async def _buy(
        self,
        http: aiohttp.ClientSession,
        shop: aiohttp.ClientWebSocketResponse,
        gate: aiohttp.ClientWebSocketResponse,
        session: str,
    ) -> None:
        token, order = secrets.token_bytes(16), secrets.token_hex(16)
        held = await _ask(shop, "best", CONTROL, token, 1)
        _expect(held[0] == "held" and len(held[2]) == 1, held)
        (seat,) = held[2]
        _expect(seat not in self.orders.values(), f"seat {seat} was sold to us before")
        kinds = await self._json(http, "GET", f"/api/performances/{CONTROL}", None, "")
        line = [seat, -1, kinds["price_types"][0]["id"], 1]
        baskets = [{"performance": CONTROL, "token": token.hex(), "lines": [line]}]
        placed = await self._json(
            http, "POST", "/api/orders", {"id": order, "baskets": baskets}, session
        )
        _expect(placed["state"] == "open" and placed["total"] > 0, placed)
        pay = {"method": "test_card", "attempt": "1"}
        paid = await self._json(http, "POST", f"/api/orders/{order}/pay", pay, "")
        _expect(paid["order"]["state"] == "paid", paid)
        self.orders[order] = seat
        shown = await self._json(http, "GET", f"/api/orders/{order}", None, "")
        (ticket,) = shown["tickets"]
        for result in ("ADMITTED", "ALREADY_USED"):
            scanned = await _ask(gate, "scan", CONTROL, ticket["secret"])
            _expect(scanned[:2] == ["scanned", result], scanned)
        forged = ticket["secret"][:-2] + ("00" if ticket["secret"][-2:] != "00" else "11")
        scanned = await _ask(gate, "scan", CONTROL, forged)
        _expect(scanned[:2] == ["scanned", "UNKNOWN"], scanned)

    async def _json(
        self, http: aiohttp.ClientSession, method: str, path: str, body: Any, token: str
    ) -> Any:
        """The answer; what is not reachable just now is asked again, as a page would."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        ends_s = time.monotonic() + ANSWER_S
        while True:
            async with http.request(method, path, json=body, headers=headers) as answer:
                told = await answer.json(content_type=None)
            if answer.status == 503 and time.monotonic() < ends_s:
                await asyncio.sleep(1.0)
                continue
            _expect(answer.status in (200, 201), f"{answer.status} {told}")
            return told


async def _hello(socket: aiohttp.ClientWebSocketResponse, token: str) -> None:
    await socket.send_bytes(msgpack.packb(["hello", token, "en"]))
    welcome = msgpack.unpackb(await socket.receive_bytes(timeout=ANSWER_S))
    _expect(welcome[0] == "welcome", welcome)


async def _ask(socket: aiohttp.ClientWebSocketResponse, kind: str, *rest: Any) -> Any:
    """The outcome; what is shed is asked again with the same id."""
    id = secrets.token_bytes(16)
    async with asyncio.timeout(ANSWER_S):
        while True:
            await socket.send_bytes(msgpack.packb([kind, id, *rest]))
            frame = msgpack.unpackb(await socket.receive_bytes())
            if frame[0] == "shed":
                await asyncio.sleep(frame[3] / 1000)
                continue
            _expect(frame[0] == "reply" and frame[1] == id, frame)
            return frame[2]


def _expect(true: bool, told: object) -> None:
    if not true:
        raise WrongOutcome(str(told))


async def bombard(house: ServedHouse, frames: int, seed: int) -> list[str]:
    """What went wrong, one line each; prints how it goes."""
    tokens = await _tokens(house)
    (gateway,) = house.processes("GatewayProcess")
    attack = Attack(house, frames, seed, [*tokens.values(), ""])
    customer = Customer(house, house.logins["scanner"])
    over = asyncio.Event()
    shopping = asyncio.create_task(customer.shop(over))
    attacking = asyncio.create_task(attack.run())
    began_s = said_s = time.monotonic()
    warm_rss = 0
    while not attacking.done():
        await asyncio.sleep(0.2)
        if attack.warm.is_set() and not warm_rss:
            warm_rss = gateway.memory_info().rss
        if shopping.done():
            break
        if time.monotonic() - said_s > SAY_EVERY_S:
            said_s = time.monotonic()
            print(f"{attack.sent:,} frames, {len(customer.orders)} sales", flush=True)
    if shopping.done():
        attacking.cancel()
    attacked = await asyncio.gather(attacking, return_exceptions=True)
    over.set()
    shopped = await asyncio.gather(shopping, return_exceptions=True)
    took_s = time.monotonic() - began_s
    wrong = [f"the customer: {error!r}" for error in shopped if isinstance(error, Exception)]
    wrong += [f"the attack: {error!r}" for error in attacked if isinstance(error, Exception)]
    await asyncio.sleep(SETTLE_S)
    wrong += _crash(house, gateway)
    growth = 0
    if gateway.is_running():
        growth = gateway.memory_info().rss - (warm_rss or gateway.memory_info().rss)
        if growth > MAX_GROWTH_BYTES:
            wrong.append(f"the gateway grew by {growth / 2**20:.0f} MiB")
    wrong += await _disagreements(house, customer, tokens["admin"])
    print(
        f"seed {seed}: {attack.sent:,} frames on {attack.connections:,} connections in"
        f" {took_s:.0f} s; {len(customer.orders)} sales and {3 * len(customer.orders)} scans"
        f" meanwhile, all right but {len(wrong)}; slowest sale {customer.slowest_s:.2f} s;"
        f" memory {growth / 2**20:+.1f} MiB; closed {dict(attack.closes)}"
    )
    return wrong


async def _tokens(house: ServedHouse) -> dict[str, str]:
    logins = house.logins
    found = {"device": logins["scanner"]}
    for name, login in (("admin", "admin"), ("cashier", "caisse"), ("door", "porte")):
        body = {"name": login, "password": logins[name]}
        found[name] = (await house.ask("/api/login", body))["token"]
    for number in range(3):
        found[f"buyer {number}"] = (await house.ask("/api/session", {}))["token"]
    return found


def _crash(house: ServedHouse, gateway: psutil.Process) -> list[str]:
    wrong = []
    if [one.pid for one in house.processes("GatewayProcess")] != [gateway.pid]:
        wrong.append("the gateway is another process than before")
    for path in _logs_of(gateway):
        text = path.read_text(errors="replace")
        for sign in (
            "Traceback",
            "request failed",
            "connection failed",
            "batch failed",
            "feed fails",
        ):
            if sign in text:
                at = text.index(sign)
                wrong.append(f"{path.name}: {text[max(0, at - 200) : at + 1_500]}")
                break
    return wrong


def _logs_of(process: psutil.Process) -> list[Path]:
    """The files that a process writes its output to."""
    if not process.is_running():
        return []
    found = set()
    for number in (1, 2):
        with contextlib.suppress(OSError):
            path = Path(f"/proc/{process.pid}/fd/{number}").resolve()
            if path.is_file():
                found.add(path)
    return sorted(found)


async def _disagreements(house: ServedHouse, customer: Customer, admin: str) -> list[str]:
    """Where the database says something else than the customer was told."""
    sold: dict[str, Any] = {}
    before = ""
    while True:
        page = await house.ask(f"/api/sales?performance={CONTROL}&limit=200{before}", token=admin)
        sold |= {order["id"]: order for order in page}
        if len(page) < 200:
            break
        before = f"&before={page[-1]['number']}"
    wrong = []
    for id, seat in customer.orders.items():
        order = sold.pop(id, None)
        if order is None or order["state"] != "paid":
            wrong.append(f"the sale of seat {seat} is lost")
        elif [line["seat"] for line in order["lines"]] != [seat]:
            wrong.append(f"the sale of seat {seat} is another: {order['lines']}")
        elif order["paid"] != order["total"]:
            wrong.append(f"the money for seat {seat} does not agree")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.gateway")
    parser.add_argument("--frames", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(2**32))
    given = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="strapontin-fuzz-"))
    home.chmod(0o755)
    try:
        with ServedHouse(home / "data", module="tests.fuzz.fast_server", start_s=START_S) as house:
            wrong = asyncio.run(bombard(house, given.frames, given.seed))
    finally:
        shutil.rmtree(home, ignore_errors=True)
    for line in wrong:
        print("WRONG", line)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
