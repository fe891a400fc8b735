"""What `bench edge` asks of a gateway: good holds, doomed ones, and both at once.

Owns the shapes of those loads. The first performance is empty and takes the
good holds; of the second, the first half of the seats is sold.
"""

from typing import Final

import msgspec

from bench.durable import Submits
from bench.figures import Rate
from bench.sockets import closed_loop, doomed, open_loop, spread
from engine.commands import Channel, Checkout, Hold, Line, Sell

CLIENTS: Final = 500
PACED_CLIENTS: Final = 100
"""Fewer connections are enough where each may have many questions under way."""
ALONE_PER_S: Final = 100.0
GOOD_PER_S: Final = 200.0
DOOMED_PER_GOOD: Final = 20
_SEATS_AN_ORDER: Final = 50
_ORDERS_A_BATCH: Final = 20


class Edge:
    """The measurements; `number` is the round's. Of the two performances one is for `sell_half`."""

    def __init__(self, url: str, token: str, performances: tuple[int, ...], seats: int) -> None:
        self._url = url
        self._token = token
        self._empty, self._half_sold = performances
        self._seats = range(seats)
        self._sold = range(seats // 2)
        self._left = range(seats // 2, seats)

    async def sell_half(self, performances: Submits) -> None:
        """Sell what `refusals` will ask for."""
        commands: list[object] = []
        for number, first in enumerate(range(0, len(self._sold), _SEATS_AN_ORDER)):
            token, order = number.to_bytes(16, "big"), f"{number:032x}"
            seats = tuple(range(first, first + _SEATS_AN_ORDER))
            lines = tuple([Line(seat, -1, "adult") for seat in seats])
            ids = [(1 << 96 | number << 2 | step).to_bytes(16, "big") for step in range(3)]
            commands += (
                Hold(ids[0], token, "bench", Channel.BOX_OFFICE, seats),
                Checkout(ids[1], token, order, "", lines),
                Sell(ids[2], token, order),
            )
        step = 3 * _ORDERS_A_BATCH
        for at in range(0, len(commands), step):
            batch = msgspec.msgpack.encode(commands[at : at + step])
            reply = await performances.submit(self._half_sold, batch)
            told = [outcome[0] for outcome in msgspec.msgpack.decode(reply)]
            assert told == ["held", "quoted", "sold"] * (len(told) // 3), told

    async def closed(self, seconds: float, number: int) -> Rate:
        """As many holds as CLIENTS clients can have, one under way each."""
        scripts = spread(self._empty, self._seats, CLIENTS, _ids(number, 0))
        return await closed_loop(self._url, self._token, scripts, seconds)

    async def open(self, seconds: float, number: int, per_s: float) -> Rate:
        """Holds at a rate, whatever comes back."""
        scripts = spread(self._empty, self._seats, CLIENTS, _ids(number, 1))
        return await open_loop(self._url, self._token, scripts, seconds, per_s)

    async def alone(self, seconds: float, number: int) -> Rate:
        """One client that asks now and then, with nobody else there."""
        scripts = spread(self._empty, self._seats, 1, _ids(number, 2))
        return await open_loop(self._url, self._token, scripts, seconds, ALONE_PER_S)

    async def refusals(self, seconds: float, number: int) -> Rate:
        """Refusals that CLIENTS clients get who ask for sold seats only."""
        scripts = [
            doomed(self._half_sold, self._sold, _ids(number, 3) + client * 10_000_000)
            for client in range(CLIENTS)
        ]
        return await closed_loop(
            self._url, self._token, scripts, seconds, "refused", self._half_sold
        )

    async def beside_refusals(self, seconds: float, number: int) -> tuple[Rate, Rate]:
        """Holds at GOOD_PER_S, alone and beside DOOMED_PER_GOOD times as many doomed ones."""

        async def measure(part: int, doomed_per_s: float) -> Rate:
            first_id = _ids(number, part)
            good = spread(self._half_sold, self._left, PACED_CLIENTS, first_id)
            bad = [
                doomed(self._half_sold, self._sold, (1 << 60 | client << 40) + first_id)
                for client in range(PACED_CLIENTS if doomed_per_s else 0)
            ]
            return await open_loop(
                self._url, self._token, good, seconds, GOOD_PER_S, bad, doomed_per_s
            )

        return await measure(4, 0.0), await measure(5, DOOMED_PER_GOOD * GOOD_PER_S)


def _ids(number: int, part: int) -> int:
    """Where the ids of a measurement begin: no two meet."""
    return (number * 16 + part) << 64
