"""What a gateway says of itself while it is measured: its gauges, read now and then.

Owns the reading, in a thread that asks for one family of the metrics over one connection. All
of them take the gateway several milliseconds, and would be seen in what is measured meanwhile.
"""

import contextlib
import http.client
import re
import threading
import time
from collections.abc import Sequence
from typing import Final, Self
from urllib.parse import urlsplit

from bench.figures import Rate

EVERY_S: Final = 0.25
MAX_SAMPLES: Final = 4_000
"""Once there are more, every other one is given up and half as many are taken."""
WAITING: Final = "strapontin_commands_waiting"
_ANSWER_S: Final = 5.0


class Samples:
    """Moments with a value, the latest last."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.every_s = every_s
        self.taken: list[tuple[float, float]] = []

    def add(self, at_s: float, value: float) -> None:
        self.taken.append((at_s, value))
        if len(self.taken) > MAX_SAMPLES:
            del self.taken[1::2]
            self.every_s *= 2

    def steps(self, begins_s: float, ends_s: float) -> list[float | None]:
        """At equal steps of about `every_s`, the nearest value; None where there is none near."""
        many = max(1, round((ends_s - begins_s) / self.every_s))
        step_s = (ends_s - begins_s) / many
        found: list[float | None] = []
        next_ = 0
        for number in range(many):
            middle_s = begins_s + (number + 0.5) * step_s
            while next_ < len(self.taken) and self.taken[next_][0] < middle_s:
                next_ += 1
            near = self.taken[max(0, next_ - 1) : next_ + 1]
            at_s, value = min(near, key=lambda one: abs(one[0] - middle_s), default=(0.0, 0.0))
            found.append(value if near and abs(at_s - middle_s) <= self.every_s else None)
        return found


class Gauge:
    """Reads one gauge for as long as the block, every EVERY_S."""

    def __init__(self, url: str, name: str) -> None:
        self.samples = Samples()
        self._host = urlsplit(url).netloc
        self._path = f"/metrics?name[]={name}"
        self._line = re.compile(rf"^{re.escape(name)} (\S+)$".encode(), re.MULTILINE)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def during(self, rate: Rate) -> Sequence[float | None]:
        """Its values while that was measured."""
        return self.samples.steps(rate.begins_s, rate.begins_s + rate.lasts_s)

    def _read(self) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=_ANSWER_S)
        due_s = time.perf_counter()
        with contextlib.closing(connection):
            while not self._over.wait(max(0.0, due_s - time.perf_counter())):
                due_s = max(due_s, time.perf_counter() - self.samples.every_s)
                due_s += self.samples.every_s
                try:
                    connection.request("GET", self._path)
                    found = self._line.search(connection.getresponse().read())
                except (OSError, http.client.HTTPException):
                    connection.close()  # a gap; the next question opens it again
                    continue
                if found:
                    self.samples.add(time.perf_counter(), float(found[1]))
