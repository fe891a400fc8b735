"""Holds a second over the websocket: many clients, each one hold at a time, to COMMIT and back.

Owns the clients and their count. The clients are tills (the box office may send
more per second than a buyer), speak the documented protocol over `websockets`,
and share the machine with the server. Each picks ten seats, one hold command
after the other, then gives its basket back with one release, and so on. A hold
is counted when its "held" reply has arrived; releases are not counted.
"""

import asyncio
import json
import time
import urllib.request
from itertools import count
from typing import Any, Final

import msgpack
from websockets.asyncio.client import connect

from bench.durable import WARM_UP_S, Rate

CLIENTS: Final = 200
SEATS_A_BASKET: Final = 10


async def websocket_holds(
    url: str, token: str, performance: int, seats: int, seconds: float, first_id: int
) -> Rate:
    """`CLIENTS` clients, closed loop, for `seconds` after a warm-up."""
    latencies_s: list[float] = []
    begins_s = time.perf_counter() + WARM_UP_S + 1.0
    ends_s = begins_s + seconds
    each = seats // CLIENTS

    async def client(number: int) -> None:
        address = url.replace("http", "ws", 1) + "/ws"
        async with connect(address, compression=None, max_queue=None) as socket:
            await socket.send(msgpack.packb(["hello", token, "en"]))
            welcome = msgpack.unpackb(await socket.recv())
            assert welcome[0] == "welcome", welcome
            ids = count(first_id + number * 10_000_000)

            async def ask(*frame: object) -> list[Any]:
                await socket.send(msgpack.packb(frame))
                reply: list[Any] = msgpack.unpackb(await socket.recv())
                return reply

            while time.perf_counter() < ends_s:
                basket = next(ids).to_bytes(16, "big")
                for pick in range(SEATS_A_BASKET):
                    id, seat = next(ids).to_bytes(16, "big"), number * each + pick
                    sent_s = time.perf_counter()
                    reply = await ask("hold", id, performance, basket, [seat], [])
                    done_s = time.perf_counter()
                    if reply[0] != "reply" or reply[2][0] != "held":
                        raise RuntimeError(f"a hold was answered by {reply!r}")
                    if begins_s <= done_s <= ends_s:
                        latencies_s.append(done_s - sent_s)
                await ask("release", next(ids).to_bytes(16, "big"), performance, basket, [], [])

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    latencies_s.sort()
    return Rate(
        len(latencies_s) / seconds,
        latencies_s[len(latencies_s) // 2] * 1_000,
        latencies_s[int(len(latencies_s) * 0.99)] * 1_000,
    )


def login(url: str, name: str, password: str) -> str:
    """An operator's token."""
    request = urllib.request.Request(
        f"{url}/api/login",
        json.dumps({"name": name, "password": password}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        token: str = json.load(answer)["token"]
        return token
