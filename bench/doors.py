"""How long a scanner waits while a house is sold on the same machine.

Owns the scanners and the tickets they read. Every scan is a first one and must
be admitted; the tickets are signed beforehand. Beside them clients of another
performance hold seats at a rate of their own.
"""

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from bench.client import Frame, connect
from bench.durable import WARM_UP_S
from bench.figures import Rate
from bench.sockets import Till, pace, spread
from renderers.secret import sign

SCANNERS: Final = 20
SCANS_PER_S: Final = 200.0
BUYERS: Final = 100
_GATE: Final = ""


class Scanner(Till):
    """Presents tickets; each must be admitted."""

    def is_good(self, outcome: list[object]) -> bool:
        return outcome[:2] == ["scanned", "ADMITTED"]


class Doors:
    """The measurements. `tickets` of the performance are sold, with numbers from 1."""

    def __init__(
        self, url: str, token: str, key: bytes, performance: int, tickets: int, on_sale: int
    ) -> None:
        self._url = url
        self._token = token
        self._on_sale = on_sale
        self._performance = performance
        self._secrets = iter(
            [sign(key, performance, number, 0) for number in range(1, tickets + 1)]
        )
        self._ids = itertools.count(1 << 100)

    def _presented(self) -> Iterator[Frame]:
        for secret in self._secrets:
            id = next(self._ids).to_bytes(16, "big")
            yield ["scan", id, self._performance, secret, _GATE]

    async def scans(self, seconds: float, number: int, seats: int, holds_per_s: float) -> Rate:
        """Scans at SCANS_PER_S beside holds at `holds_per_s`.

        Raises:
            RuntimeError: A ticket was not admitted.
        """
        host = urlsplit(self._url).netloc
        asks = self._presented()
        scanners = [Scanner(host, self._token, asks, "scanned") for _ in range(SCANNERS)]
        holds = spread(self._on_sale, range(seats), BUYERS, (number * 16 + 9) << 64)
        buyers = [Till(host, self._token, ask, "held") for ask in holds]
        for client in (*scanners, *buyers):
            await connect(client, self._url)
        begins_s = time.perf_counter() + WARM_UP_S
        ends_s = begins_s + seconds
        await asyncio.gather(pace(scanners, SCANS_PER_S, ends_s), pace(buyers, holds_per_s, ends_s))
        await asyncio.gather(*(client.settled() for client in (*scanners, *buyers)))
        for buyer in buyers:
            await buyer.give_back()
        for client in (*scanners, *buyers):
            client.finish()
        answers = [answer for scanner in scanners for answer in scanner.answers]
        return Rate.of(answers, begins_s, ends_s)
