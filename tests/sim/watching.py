"""Browsers that watch the feed, and the pictures that they were shown.

A browser keeps its picture by `engine.feed.Replica`, from frames that its gateway's real `Feeds`
sends it; it changes gateways when one dies, and frames of the old connection may still come.
"""

from typing import Any, NamedTuple

from engine.feed import Applied, Replica
from tests.sim.installation import GATEWAYS
from tests.sim.loop import Simulation
from tests.sim.net import Net

LOOKS_S = 0.5
"""A browser looks after its connection this often."""


class Picture(NamedTuple):
    """What somebody saw, and how long the journal was then."""

    epoch: int
    seq: int
    statuses: bytes
    areas: tuple[int, ...]
    batches: int


class Browser:
    """Watches one performance. To `Feeds` it is a watcher, and its own way out."""

    def __init__(
        self, simulation: Simulation, net: Net, luck: Any, house: Any, size: tuple[int, int, int]
    ) -> None:
        self._simulation = simulation
        self._net = net
        self._luck = luck
        self._house = house
        self.performance, seats, areas = size
        self.replica = Replica(self.performance, seats, areas)
        self.pictures: list[Picture] = []
        self.broken: list[str] = []
        self._gateway: Any = None  # (process, host) of its connection
        self.watches: set[int] = set()
        self.followed: dict[tuple[int, bytes], None] = {}
        self.out = self
        self.stopped = False
        simulation.after(0.0, self._look)

    def _look(self) -> None:
        """Connect where there is no connection; ask again from where the picture stands."""
        if self.stopped:
            return
        draw = self._simulation.draw
        if self._gateway is None or self._gateway[0].dead or draw() < 0.1:
            self._connect(self._net.actors.get(GATEWAYS[int(draw() * len(GATEWAYS))]))
        self._simulation.after(LOOKS_S, self._look)

    def _connect(self, gateway: Any) -> None:
        old, self._gateway = self._gateway, gateway
        if old is not None and not old[0].dead and old is not gateway:
            old[0].call_soon(old[1].feeds.forget, self)
        if gateway is not None and not gateway[0].dead:
            where = self.performance, self.replica.epoch, self.replica.seq
            gateway[0].call_soon(gateway[1].feeds.watch, self, *where)

    # What `Feeds` asks of a connection ------------------------------------------------

    def post(self, frame: bytes) -> bool:
        self.send_framed(frame)
        return True

    def send_framed(self, frame: bytes) -> None:
        draw, luck = self._simulation.draw, self._luck
        copies = 2 if draw() < luck.doubles else 1
        for _ in range(copies):
            late_s = 0.3 if draw() < luck.delays else 0.002
            self._simulation.after(late_s * draw(), self._receive, frame)

    def unsent_bytes(self) -> int:
        return 0

    def lost(self, performance: int, token: bytes) -> None:
        pass

    def error(self, code: str, detail: str) -> None:
        self.broken.append(f"a watcher was told {code}: {detail}")

    # The browser's side ---------------------------------------------------------------

    def _receive(self, frame: bytes) -> None:
        replica = self.replica
        before = replica.epoch, replica.seq
        applied = replica.apply(_payload(frame))
        if applied is Applied.GAP:
            self._connect(self._gateway)
        if (replica.epoch, replica.seq) < before:
            self.broken.append(f"a picture went from {before} to {(replica.epoch, replica.seq)}")
        if applied in (Applied.SNAPSHOT, Applied.DELTA):
            picture = Picture(
                replica.epoch,
                replica.seq,
                bytes(replica.statuses),
                tuple(replica.areas),
                len(self._house.journal),
            )
            self.pictures.append(picture)


def _payload(frame: bytes) -> bytes:
    """Out of `outbound.framed`'s frame."""
    length = frame[1]
    return frame[2:] if length < 126 else frame[4:] if length == 126 else frame[10:]
