"""Buyers, doors and the house: they ask, and ask again with the same id until they are answered.

Each plans its next command from what it was told, and from nothing else. What carries their
messages to a gateway may lose them, double them, delay them, and let later ones pass. A client
may vanish in the middle: its last command is then never repeated.
"""

import asyncio
from typing import Any, Final

import msgspec

from engine.commands import (
    Allocate,
    Basket,
    BasketIs,
    Block,
    Channel,
    Checkout,
    Command,
    Configure,
    Held,
    Hold,
    HoldBest,
    KeptScan,
    Line,
    Outcome,
    Quoted,
    Refund,
    Refusal,
    Refused,
    Release,
    Reopen,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
    SetTickets,
    Sold,
    TicketState,
    Unblock,
    Undone,
    UndoScan,
)
from tests.engine.small import NOW_MS
from tests.sim.history import Asked
from tests.sim.installation import GATEWAYS
from tests.sim.loop import Process
from tests.sim.net import QUICK_S, SLOW_S, Net

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Outcome).decode

WAVES_S: Final = (0.3, 0.3, 0.3, 0.6)
"""Between two commands a client loses no time, or it waits for the next full so many: then many
come at once, as they do in life."""
PATIENCE_S: Final = (0.05, 0.4, 0.4, 1.0, 1.0, 3.0)
"""A client that waited this long for an answer connects again and asks again."""
AGAIN_S: Final = 0.2


class Luck:
    """What the way between clients and gateways does to their messages."""

    def __init__(self, loses: float, doubles: float, delays: float) -> None:
        self.loses = loses
        self.doubles = doubles
        self.delays = delays

    def settle(self) -> None:
        self.loses = self.doubles = self.delays = 0.0


class Crowd:
    """What clients share: the way to the gateways, the record, and the tickets that they know."""

    def __init__(self, outside: Process, net: Net, luck: Luck, performances: list[int]) -> None:
        self.outside = outside
        self.simulation = outside.simulation
        self.net = net
        self.luck = luck
        self.performances = performances
        self.asked: list[Asked] = []
        self.issued: list[tuple[int, str, int]] = []  # (performance, order, ticket)
        self.shown = self.issued
        """The tickets that are brought to the doors."""
        self.broken: list[str] = []
        self.busy = 0
        self.answers = 0
        self.note: Any = None

    def carry(self, deliver: Any, *args: Any) -> None:
        """A message between a client and a gateway, either way."""
        luck, draw, after = self.luck, self.simulation.draw, self.simulation.after
        copies = 1
        if luck.doubles and draw() < luck.doubles:
            copies = 2
        for _ in range(copies):
            if luck.loses and draw() < luck.loses:
                continue
            late = SLOW_S[int(draw() * 4)] if draw() < luck.delays else QUICK_S[int(draw() * 8)]
            after(late, deliver, *args)

    def send(self, asked: Asked, encoded: bytes, client: "Client", engaged: bool) -> None:
        gateway = GATEWAYS[self.simulation.draw() < 0.2]  # most come in by one of them
        self.carry(self._arrive, gateway, asked, encoded, client, engaged)

    def _arrive(
        self, gateway: str, asked: Asked, encoded: bytes, client: "Client", engaged: bool
    ) -> None:
        entry = self.net.actors.get(gateway)
        if entry is None or entry[0].dead:
            return  # nobody answers: the client loses patience
        process, host = entry
        kind = _DOORS_SAY.get(type(asked.command), "command")
        receiver = Receiver(self, process, asked, client)
        offer = host.batcher.offer
        process.call_soon(
            offer, asked.performance, receiver, asked.command.id, kind, encoded, engaged
        )


class Receiver:
    """`batcher.Receiver`: the gateway's end of one client's connection."""

    __slots__ = ("_asked", "_client", "_crowd", "_process")

    def __init__(self, crowd: Crowd, process: Process, asked: Asked, client: "Client") -> None:
        self._crowd = crowd
        self._process = process
        self._asked = asked
        self._client = client

    def answer(self, id: bytes, kind: str, outcome: str, raw: Any) -> None:
        if not self._process.dead:
            self._crowd.carry(self._client.hear, self._asked, bytes(raw))

    def shed(self, id: bytes, reason: str, retry_ms: int) -> None:
        if not self._process.dead:
            self._crowd.carry(self._client.turned_away, self._asked)


class Client:
    """One of the crowd. Subclasses say what it asks, and what it makes of an answer."""

    def __init__(self, crowd: Crowd, name: str, commands: int, vanishes: bool) -> None:
        self.crowd = crowd
        self.name = name
        self.simulation = crowd.simulation
        self.performance = crowd.performances[int(self.draw() * len(crowd.performances))]
        self._left = commands
        self._vanishes = vanishes
        self._waiting: asyncio.Future[bool] | None = None
        crowd.busy += 1

    def draw(self) -> float:
        return self.crowd.simulation.draw()

    def pick(self, choices: Any) -> Any:
        return choices[int(self.draw() * len(choices))]

    def id(self) -> bytes:
        return self.simulation.random.randbytes(16)

    async def live(self) -> None:
        while self._left:
            if self.draw() < 0.95:
                wave_s = self.pick(WAVES_S)
                await self._until((int(self.simulation.now_s / wave_s) + 1) * wave_s)
            self._left -= 1
            command = self.next()
            if command is None:
                continue
            asked = Asked(self.name, self.performance, command, self.simulation.now_s)
            self.crowd.asked.append(asked)
            if self._vanishes and not self._left:
                self.crowd.send(asked, _encode(command), self, False)
                break
            await self._ask(asked)
            assert asked.outcome is not None
            self.told(command, asked.outcome)
        self.crowd.busy -= 1

    async def _ask(self, asked: Asked) -> None:
        encoded = _encode(asked.command)
        loop = self.crowd.outside
        while asked.outcome is None:
            self._waiting = waiting = loop.create_future()
            self.crowd.send(asked, encoded, self, type(asked.command) in _ENGAGED)
            patience = loop.call_later(self.pick(PATIENCE_S), self._wake, waiting)
            again = await waiting
            patience.cancel()
            if again:
                await asyncio.sleep(AGAIN_S)

    async def _until(self, when_s: float) -> None:
        loop = self.crowd.outside
        waiting = loop.create_future()
        loop.call_at(when_s, self._wake, waiting)
        await waiting

    def _wake(self, waiting: "asyncio.Future[bool]") -> None:
        if not waiting.done():
            waiting.set_result(False)

    def turned_away(self, asked: Asked) -> None:
        """The edge has shed it: undecided, as far as the edge knows."""
        waiting = self._waiting
        if asked.outcome is None and waiting is not None and not waiting.done():
            waiting.set_result(True)

    def hear(self, asked: Asked, raw: bytes) -> None:
        if asked.raw:
            if asked.raw != raw and not asked.is_question:
                self.crowd.broken.append(
                    f"one id, two answers: {asked.command} is {asked.outcome} and {_decode(raw)}"
                )
            return
        asked.raw = raw
        asked.answered_s = self.simulation.now_s
        asked.outcome = _decode(raw)
        self.crowd.answers += 1
        self.crowd.note(asked)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(False)

    def next(self) -> Command | None:
        raise NotImplementedError

    def told(self, command: Command, outcome: Outcome) -> None:
        pass


_DOORS_SAY = {Scan: "scan", UndoScan: "undo_scan", KeptScan: "kept_scan"}
_ENGAGED = frozenset({Checkout, Sell, Release, Reopen})


class Buyer(Client):
    """Holds, pays, gives back, and changes its mind."""

    def __init__(self, crowd: Crowd, name: str, commands: int, vanishes: bool, seats: int) -> None:
        super().__init__(crowd, name, commands, vanishes)
        self._seats = seats
        self._channel = Channel.BOX_OFFICE if self.draw() < 0.4 else Channel.WEB
        self._token = b""
        self._held: tuple[int, ...] = ()
        self._areas: tuple[tuple[int, int], ...] = ()
        self._order = ""

    def next(self) -> Command | None:
        draw, id = self.draw(), self.id()
        if self._order:
            if draw < 0.06:
                return Reopen(id, self._token, self._order)
            return Sell(id, self._token, self._order, draw < 0.95)
        if self._held or self._areas:
            if draw < 0.12:
                return Release(id, self._token, self._held[:1] if draw < 0.06 else ())
            if draw < 0.2:
                return Basket(id, self._token)
            if draw < 0.27 and len(self._held) < 3:
                return self._hold(id)
            lines = [Line(seat, -1, "full") for seat in self._held]
            lines += [Line(-1, area, "full", many) for area, many in self._areas]
            order = f"{self.name}-{self._left}"
            return Checkout(id, self._token, order, self.name, tuple(lines))
        if draw < 0.04:
            # Seconds after its answer, or after its hold has ended: the old token once more.
            return Basket(id, self._token or bytes(16))
        self._token = self.id()
        if draw < 0.3:
            area = 0 if draw < 0.1 else -1
            size = 1 + int(self.draw() * 2)
            return HoldBest(id, self._token, self.name, self._channel, size, area=area)
        return self._hold(id)

    def _hold(self, id: bytes) -> Command:
        first, size = int(self.draw() * self._seats), 1 + int(self.draw() * 2)
        seats = tuple(range(first, min(first + size, self._seats)))
        areas = ((0, 1),) if self.draw() < 0.1 else ()
        return Hold(id, self._token, self.name, self._channel, seats, areas)

    def told(self, command: Command, outcome: Outcome) -> None:
        if isinstance(outcome, Held):
            self._held += outcome.seats
            areas = dict(self._areas)
            for area, places in outcome.areas:
                areas[area] = areas.get(area, 0) + places
            self._areas = tuple(areas.items())
        elif isinstance(outcome, BasketIs):
            self._held, self._areas = outcome.seats, outcome.areas
        elif isinstance(outcome, Quoted):
            self._order = outcome.order
        elif isinstance(command, Reopen):
            self._order = ""
        elif isinstance(outcome, Sold):
            self.crowd.issued += [
                (self.performance, outcome.order, one.number) for one in outcome.tickets
            ]
            self._forget()
        elif isinstance(command, Release):
            gone = command.seats or self._held
            self._held = tuple([seat for seat in self._held if seat not in gone])
            if not command.seats:
                self._forget()
        elif not isinstance(outcome, Refused) or outcome.code not in _HOLD_GOES_ON:
            self._forget()

    def _forget(self) -> None:
        self._held, self._areas, self._order = (), (), ""


_HOLD_GOES_ON = frozenset({Refusal.SEAT_TAKEN, Refusal.SEAT_BLOCKED, Refusal.ORPHAN})


class Door(Client):
    """Lets people in and out: several doors are shown the same tickets.

    Now and then it was alone, decided by what it knew, and tells of it afterwards; not always
    once only.
    """

    def __init__(self, crowd: Crowd, name: str, commands: int, vanishes: bool) -> None:
        super().__init__(crowd, name, commands, vanishes)
        self._gate = self.pick(("", "north", "south"))
        self._kept: list[KeptScan] = []
        self._inside: dict[int, bool] = {}  # by ticket, as far as this door knows

    def next(self) -> Command | None:
        mine = [one for one in self.crowd.shown if one[0] == self.performance]
        if not mine:
            self._left += self.draw() < 0.8  # nobody has come yet
            return None
        # Shown now and again: the newest, so that two doors see it at once.
        ticket = (mine[-1] if self.draw() < 0.5 else self.pick(mine))[2]
        draw, id = self.draw(), self.id()
        version = 1 if self.draw() < 0.05 else 0
        at = self._gate, self.name, self.performance, ticket, version
        if draw < 0.1:
            return UndoScan(id, ticket, self._gate, self.name)
        if draw < 0.18 and self._kept:
            return msgspec.structs.replace(self.pick(self._kept), id=id)
        if draw < 0.36:
            return self._keeps(id, ticket, version)
        if draw < 0.42:
            return Scan(id, *at, ScanMode.ADMIT, "a child with its mother")
        mode = ScanMode.LOOK_UP if draw < 0.54 else ScanMode.EXIT if draw < 0.66 else ScanMode.ADMIT
        return Scan(id, *at, mode)

    def _keeps(self, id: bytes, ticket: int, version: int) -> Command:
        inside = self._inside.get(ticket, False)
        leaves = inside and self.draw() < 0.5
        mode = ScanMode.EXIT if leaves else ScanMode.ADMIT
        shown = ScanOutcome.EXITED if leaves else ScanOutcome.ADMITTED
        if inside and not leaves:
            shown = ScanOutcome.ALREADY_USED
        self._inside[ticket] = not leaves
        scanned_ms = NOW_MS + int(1000 * self.simulation.now_s - 3_000 * self.draw())
        at = self._gate, self.name, self.performance, ticket, version, mode
        kept = KeptScan(id, *at, len(self._kept), scanned_ms, shown)
        self._kept.append(kept)
        return kept

    def told(self, command: Command, outcome: Outcome) -> None:
        if isinstance(outcome, Scanned) and outcome.result is ScanOutcome.ADMITTED:
            self._inside[outcome.ticket] = True
        elif isinstance(outcome, Undone):
            self._inside[outcome.ticket] = outcome.inside


class House(Client):
    """Blocks seats, gives money back, and revokes tickets; if it `keeps`, keeps some too."""

    def __init__(
        self,
        crowd: Crowd,
        name: str,
        commands: int,
        seats: int,
        settings: Any,
        keeps: bool = False,
    ) -> None:
        super().__init__(crowd, name, commands, False)
        self._seats = seats
        self._settings = settings
        self._keeps = keeps
        self.others: tuple[Any, ...] = ()
        """Settings that it changes to now and then, where it has any."""

    def next(self) -> Command | None:
        if self._keeps and self.draw() < 0.5:
            return self._allocate(self.id())
        if self.others and self.draw() < 0.4:
            return Configure(self.id(), self.pick(self.others))
        draw, id = self.draw(), self.id()
        mine = [one for one in self.crowd.issued if one[0] == self.performance]
        if draw < 0.2 or not mine:
            seats = (int(self.draw() * self._seats),)
            return Block(id, seats, (), "") if self.draw() < 0.5 else Unblock(id, seats, ())
        if draw < 0.25:
            return Configure(id, self._settings)
        _, order, number = mine[-1] if self.draw() < 0.3 else self.pick(mine)
        if draw < 0.8:
            return Refund(id, order, (number,))
        state = self.pick((TicketState.BLOCKED, TicketState.VALID, TicketState.REVOKED))
        return SetTickets(id, (number,), state, "")

    def _allocate(self, id: bytes) -> Command:
        """Mostly for a while: what is kept comes back by itself in the middle of everything."""
        name, draw = self.pick(("press", "guests")), self.draw()
        if draw < 0.1:
            return Allocate(id, name, (), ())
        seats = (int(self.draw() * self._seats),)
        if draw < 0.25:
            return Allocate(id, name, (), seats, back=True)
        channels = (self.pick((Channel.BOX_OFFICE, Channel.WEB)),)
        release_ms = NOW_MS + int(1000 * (self.simulation.now_s + 3 * self.draw()))
        return Allocate(id, name, channels, seats, release_ms if draw < 0.9 else 0)
