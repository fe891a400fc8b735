"""Whose turn it is among those who are there.

Owns who is connected to which gateway, and the line of those of them who still wait, by place.
Whoever is away when their turn comes is passed over and keeps the turn: back again, they stand
at the head of the line. What was recorded of them is the room's.
"""

from collections.abc import Collection, Iterable
from heapq import heapify, heappop, heappush
from itertools import chain
from typing import TypeAlias

from engine.waiting_room import WaitingRoom

Gateway: TypeAlias = bytes


class Turns:
    """Each change costs what it names, never the whole line."""

    def __init__(self, room: WaitingRoom) -> None:
        self._room = room
        self._there: dict[Gateway, set[bytes]] = {}
        self._line: list[tuple[int, bytes]] = []  # (place, visitor): who is gone is still in it
        self._in_line: set[bytes] = set()

    def is_there(self, visitor: bytes) -> bool:
        return any(visitor in there for there in self._there.values())

    def came(self, gateway: Gateway, visitors: Collection[bytes]) -> None:
        """They are connected to this gateway."""
        self._there.setdefault(gateway, set()).update(visitors)
        self.line_up(visitors)

    def left(self, gateway: Gateway, visitors: Collection[bytes]) -> None:
        """They are not connected to this gateway any more."""
        self._there.get(gateway, set()).difference_update(visitors)

    def only(self, gateway: Gateway, visitors: Collection[bytes]) -> None:
        """They, and nobody else, are connected to this gateway."""
        self._there[gateway] = set()
        self.came(gateway, visitors)

    def forget(self, gateway: Gateway) -> None:
        """The gateway is gone, and everybody's connection to it."""
        self._there.pop(gateway, None)

    def line_up(self, visitors: Iterable[bytes]) -> None:
        """They are there, and may have got a place."""
        room, line, in_line = self._room, self._line, self._in_line
        if room.drawn < 0:
            return
        for visitor in visitors:
            if visitor not in in_line and room.waits(visitor):
                in_line.add(visitor)
                heappush(line, (room.place(visitor), visitor))

    def line_up_again(self) -> None:
        """Make the line anew, as after the draw, or when some who were taken stayed outside."""
        room = self._room
        if room.drawn < 0:
            return
        self._in_line = set(filter(room.waits, chain.from_iterable(self._there.values())))
        self._line = [(room.place(visitor), visitor) for visitor in self._in_line]
        heapify(self._line)

    def take(self, count: int) -> list[bytes]:
        """The next who wait and are there, off the line, by place; `count` at most."""
        taken: list[bytes] = []
        while self._line and len(taken) < count:
            _, visitor = heappop(self._line)
            self._in_line.discard(visitor)
            if self._room.waits(visitor) and self.is_there(visitor):
                taken.append(visitor)
        return taken
