"""Stubborn buyers: they buy one seat after another, whatever dies, always with the same ids.

Owns the stream of sales and the list of what was acknowledged. Speaks the
documented protocol over HTTP and the websocket.
"""

import asyncio
import contextlib
import os
import urllib.error
from typing import Any, NamedTuple

import msgpack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.integration.server import ServedHouse

ANSWER_S = 20.0
PAUSE_S = 0.1


class Sale(NamedTuple):
    """An order that the server has said is confirmed: its tickets as (number, seat)."""

    order: str
    tickets: tuple[tuple[int, int], ...]


class Buyers:
    """A crowd buying in one performance until told to stop."""

    def __init__(self, house: ServedHouse, performance: int, count: int) -> None:
        self._house = house
        self._performance = performance
        self._stop = asyncio.Event()
        self.sales: list[Sale] = []
        self.refused: list[Any] = []
        self.reconnects = 0
        self._tasks = [asyncio.create_task(self._buy_forever()) for _ in range(count)]

    async def until(self, sales: int, within_s: float) -> None:
        """Returns at this many acknowledged sales; raises TimeoutError, or what a buyer met."""
        async with asyncio.timeout(within_s):
            while len(self.sales) < sales:
                await asyncio.sleep(0.02)
                for task in self._tasks:
                    if task.done():
                        task.result()

    async def stop(self) -> None:
        """Everyone finishes the purchase under way."""
        self._stop.set()
        await asyncio.gather(*self._tasks)

    async def _buy_forever(self) -> None:
        session = await self._patiently("/api/session", {})
        while not self._stop.is_set():
            async with contextlib.AsyncExitStack() as stack:
                with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                    socket = await stack.enter_async_context(self._connected(session["token"]))
                    while not self._stop.is_set():
                        await self._buy(socket, session["token"])
            self.reconnects += 1
            await asyncio.sleep(PAUSE_S)

    @contextlib.asynccontextmanager
    async def _connected(self, token: str):  # type: ignore[no-untyped-def]
        address = self._house.url.replace("http", "ws", 1) + "/ws"
        async with connect(address, compression=None, open_timeout=5) as socket:
            await socket.send(msgpack.packb(["hello", token, "en"]))
            assert msgpack.unpackb(await socket.recv())[0] == "welcome"
            yield socket

    async def _buy(self, socket: ClientConnection, session: str) -> None:
        token, order = os.urandom(16), os.urandom(16).hex()
        outcome = await self._hold(socket, token)
        if outcome[0] != "held":
            self.refused.append(outcome)
            return
        lines = [[seat, -1, "adult"] for seat in outcome[2]]
        basket = {"performance": self._performance, "token": token.hex(), "lines": lines}
        placed = await self._patiently(
            "/api/orders", {"id": order, "baskets": [basket]}, session, refusable=True
        )
        if "code" in placed:
            self.refused.append(placed)
            return
        pay = {"method": "test_card", "attempt": "1"}
        path = f"/api/orders/{order}/pay"
        for _ in range(200):
            paid = await self._patiently(path, pay, session, refusable=True)
            state = paid.get("order", {}).get("state")
            if state == "paid":
                tickets = tuple((line["ticket"], line["seat"]) for line in paid["order"]["lines"])
                self.sales.append(Sale(order, tickets))
                return
            if "code" in paid:
                self.refused.append(paid)
                return
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"order {order} is never confirmed: {paid}")

    async def _hold(self, socket: ClientConnection, token: bytes) -> Any:
        """Held or refused; the same id again while the server sheds it."""
        id = os.urandom(16)
        frame = msgpack.packb(["best", id, self._performance, token, 1])
        while True:
            await socket.send(frame)
            async with asyncio.timeout(ANSWER_S):
                while True:
                    reply = msgpack.unpackb(await socket.recv())
                    if reply[0] in ("reply", "shed") and reply[1] == id:
                        break
            if reply[0] == "reply":
                return reply[2]
            await asyncio.sleep(reply[3] / 1_000)

    async def _patiently(
        self, path: str, body: Any, token: str = "", *, refusable: bool = False
    ) -> Any:
        """The answer, asked for again while the server is away or unwell."""
        for _ in range(300):
            try:
                return await self._house.ask(path, body, token)
            except urllib.error.HTTPError as error:
                if error.code < 500 and error.code != 429:
                    if refusable:
                        return {"code": error.code, "said": error.read().decode()}
                    raise
            except OSError:
                pass
            await asyncio.sleep(PAUSE_S)
        raise AssertionError(f"{path} is never answered")
