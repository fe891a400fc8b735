"""A seeded world around the engine: buyers, doors, a journal, and crashes at every point.

One writer decides batches, commits them to a journal and only then answers.
While one batch commits, the next is decided on top of it. A crash may come
before a commit, after it, or between commit and answers; memory is lost then,
and a new writer starts from the last snapshot and the journal's tail. Whoever
got no answer asks again, with the same command.

Everything follows from the seed. `Faults` switches off, one by one, what makes
it safe: a world with a fault must be found out by `Broken`.
"""

from collections import deque
from dataclasses import dataclass, field
from random import Random

import msgspec

from engine.commands import (
    Basket,
    BasketIs,
    Channel,
    Checkout,
    Command,
    Event,
    Expire,
    Held,
    Hold,
    HoldBest,
    Line,
    Outcome,
    Quoted,
    Refund,
    Refunded,
    Release,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
    Sell,
    Sold,
    TicketState,
)
from engine.feed import Applied, Feed, Replica
from engine.performance import Performance
from tests.engine.small import NOW_MS, house, settings

PLAN = house(["a" * 12] * 4, ["b" * 10] * 4, tables=[(4, True), (6, False)], areas=[(20, "c")])
RULES = settings(hold_ms=20_000, max_per_order=8)
PERFORMANCE = 7


class Broken(AssertionError):
    """Something that must never happen has happened; the message names the seed."""


@dataclass(frozen=True)
class Faults:
    """What is switched off. All False: the real thing."""

    answers_before_commit: bool = False
    forgets_the_tail: bool = False
    forgets_ids: bool = False


@dataclass
class Buyer:
    """Somebody with a basket, a plan, and at most one question open."""

    name: str
    token: bytes = b""
    asked: Command | None = None
    seats: tuple[int, ...] = ()
    areas: tuple[tuple[int, int], ...] = ()
    order: str = ""
    tickets: list[int] = field(default_factory=list)


@dataclass
class Batch:
    facts: bytes
    count: int
    answers: list[tuple[Buyer | None, Command, Outcome]]
    changes: list[int]
    areas: list[tuple[int, int]]


class World:
    def __init__(self, seed: int, faults: Faults | None = None, buyers: int = 12) -> None:
        self.seed = seed
        self.random = Random(seed)
        self.faults = faults or Faults()
        self.at_ms = NOW_MS
        self.buyers = [Buyer(f"b{number}") for number in range(buyers)]
        self.journal: list[Event] = []
        self.snapshot = (0, Performance(PERFORMANCE, PLAN, RULES).snapshot())
        self.epoch = 0
        self.crashes = 0
        self.answered: dict[bytes, tuple[Command, Outcome]] = {}
        self.pipeline: deque[Batch] = deque()
        self.replica = Replica(PERFORMANCE, len(PLAN.seats), len(PLAN.areas))
        self.recover()

    def broken(self, why: str) -> Broken:
        return Broken(f"seed {self.seed}: {why}")

    # The writer -----------------------------------------------------------------

    def recover(self) -> None:
        """A new writer, from what is durable."""
        self.epoch += 1
        seq, data = self.snapshot
        self.live = Performance.restore(PERFORMANCE, PLAN, data)
        if not self.faults.forgets_the_tail:
            for event in self.journal[seq:]:
                self.live.replay(event)
        if self.faults.forgets_ids:
            self.live._known.clear()
            self.live._accepted.clear()
            self.live._refused.clear()
        self.pipeline.clear()
        self.feed = Feed(PERFORMANCE, self.epoch, self.live.statuses(), self.live.area_free)

    def decide(self) -> None:
        """One batch: the expiry first, then what the buyers ask."""
        answers: list[tuple[Buyer | None, Command, Outcome]] = []
        if self.live.due(self.at_ms):
            expire = Expire(self.random.randbytes(16))
            answers.append((None, expire, self.live.apply(expire, self.at_ms)))
        for buyer in self.random.sample(self.buyers, self.random.randint(1, len(self.buyers))):
            if buyer.asked is None:
                buyer.asked = self.next_question(buyer)
            elif any(buyer is one for batch in self.pipeline for one, _, _ in batch.answers):
                continue
            outcome = self.live.apply(buyer.asked, self.at_ms)
            answers.append((buyer, buyer.asked, outcome))
            if self.random.random() < 0.1 and not isinstance(buyer.asked, Basket):
                if self.live.apply(buyer.asked, self.at_ms) != outcome:
                    raise self.broken("a doubled command got another outcome")
        facts, changes, areas = self.live.take()
        encoded = msgspec.msgpack.encode(facts)
        self.pipeline.append(Batch(encoded, len(facts), answers, changes, areas))
        if self.faults.answers_before_commit:
            self.answer(self.pipeline[-1])

    def commit(self) -> Batch:
        batch = self.pipeline.popleft()
        self.journal += msgspec.msgpack.decode(batch.facts, type=list[Event])
        return batch

    def answer(self, batch: Batch) -> None:
        for buyer, command, outcome in batch.answers:
            self.remember(command, outcome)
            if buyer is not None:
                self.hear(buyer, command, outcome)

    def show(self, batch: Batch) -> None:
        self.feed.publish(batch.changes, batch.areas)
        frame = self.feed.since(self.replica.epoch, self.replica.seq)
        if frame is not None and self.random.random() < 0.7:
            if self.replica.apply(frame) not in (Applied.SNAPSHOT, Applied.DELTA):
                raise self.broken("a watcher could not follow")

    def step(self) -> None:
        self.at_ms += self.random.choice([1, 5, 50, 500, 3_000])
        self.decide()
        if self.random.random() < 0.5 and len(self.pipeline) < 2:
            return  # the next batch is decided while this one commits
        while self.pipeline:
            if self.random.random() < 0.05:
                self.crash()
                return
            batch = self.commit()
            if self.random.random() < 0.05:
                self.crash()
                return
            if not self.faults.answers_before_commit:
                self.answer(batch)
            self.show(batch)
        if self.random.random() < 0.1:
            self.snapshot = (len(self.journal), self.live.snapshot())

    def crash(self) -> None:
        self.crashes += 1
        self.recover()
        self.check_ids()
        self.check_tickets()

    # The buyers -------------------------------------------------------------------

    def next_question(self, buyer: Buyer) -> Command:
        draw, id = self.random, self.random.randbytes(16)
        if buyer.order:
            return Sell(id, buyer.token, buyer.order)
        if buyer.seats or buyer.areas:
            kind = draw.random()
            if kind < 0.2:
                return Release(id, buyer.token, buyer.seats[:1])
            if kind < 0.3:
                return Basket(id, buyer.token)
            lines = [Line(seat, -1, draw.choice(["full", "half"])) for seat in buyer.seats]
            lines += [Line(-1, area, "full", many) for area, many in buyer.areas]
            return Checkout(id, buyer.token, draw.randbytes(4).hex(), buyer.name, tuple(lines))
        if buyer.tickets and draw.random() < 0.4:
            ticket = draw.choice(buyer.tickets)
            if draw.random() < 0.6:
                order = self.live.ticket_sales[ticket - 1][0]
                return Refund(id, order, (ticket,))
            return Scan(id, "", "door", PERFORMANCE, ticket, 0, ScanMode.ADMIT)
        buyer.token = draw.randbytes(16)
        channel = draw.choice([Channel.WEB, Channel.BOX_OFFICE])
        if draw.random() < 0.5:
            size, area = draw.randint(1, 5), draw.choice([-1, -1, 0])
            return HoldBest(id, buyer.token, buyer.name, channel, size, area=area)
        first, size = draw.randrange(len(PLAN.seats)), draw.randint(1, 4)
        seats = tuple(range(first, min(first + size, len(PLAN.seats))))
        return Hold(id, buyer.token, buyer.name, channel, seats)

    def hear(self, buyer: Buyer, command: Command, outcome: Outcome) -> None:
        """The buyer acts on an answer, and never before."""
        buyer.asked = None
        if isinstance(outcome, Held):
            buyer.seats, buyer.areas = outcome.seats, outcome.areas
        elif isinstance(outcome, Quoted):
            buyer.order = outcome.order
        elif isinstance(outcome, BasketIs):
            buyer.seats, buyer.areas = outcome.seats, outcome.areas
        elif isinstance(outcome, Sold):
            buyer.tickets += [ticket.number for ticket in outcome.tickets]
            buyer.seats, buyer.areas, buyer.order = (), (), ""
        elif isinstance(outcome, Refunded) or (
            isinstance(outcome, Scanned) and outcome.result is not ScanOutcome.ADMITTED
        ):
            asked = command.tickets if isinstance(command, Refund) else (command.ticket,)  # type: ignore[union-attr]
            buyer.tickets = [one for one in buyer.tickets if one not in asked]
        elif isinstance(command, Refund):
            buyer.tickets = [one for one in buyer.tickets if one not in command.tickets]
        elif not isinstance(outcome, Scanned):
            buyer.seats, buyer.areas, buyer.order = (), (), ""

    # What must never happen ---------------------------------------------------------

    def remember(self, command: Command, outcome: Outcome) -> None:
        if isinstance(command, Basket) or (isinstance(command, Expire) and not outcome.tokens):  # type: ignore[union-attr]
            return
        before = self.answered.setdefault(command.id, (command, outcome))
        if before != (command, outcome):
            raise self.broken(f"one id, two answers: {before[1]} and {outcome}")

    def check_ids(self) -> None:
        """The answers given last are given again."""
        for id in list(self.answered)[-30:]:
            command, outcome = self.answered[id]
            if self.live.apply(command, self.at_ms) != outcome:
                raise self.broken(f"after a crash {command} is no longer {outcome}")
        if self.live.take()[0]:
            raise self.broken("an answered command left a second fact")

    def check_tickets(self) -> None:
        """Every sale that was answered stands, and no seat is sold twice."""
        refunded: set[int] = set()
        sold: dict[int, tuple[int, str]] = {}
        for _, outcome in self.answered.values():
            if isinstance(outcome, Refunded):
                refunded.update(outcome.tickets)
            elif isinstance(outcome, Sold):
                sold.update({one.number: (one.seat, outcome.order) for one in outcome.tickets})
        for number, (seat, order) in sold.items():
            if number > len(self.live.tickets):
                raise self.broken(f"ticket {number} was sold and is lost")
            kept = self.live.tickets[number - 1].seat, self.live.ticket_sales[number - 1][0]
            if kept != (seat, order):
                raise self.broken(f"ticket {number} was sold as {(seat, order)} and is {kept}")
            state = self.live.ticket_states.get(number)
            if number in refunded and state is not TicketState.REFUNDED:
                raise self.broken(f"the refund of ticket {number} is lost")
        live = [
            ticket.seat
            for ticket in self.live.tickets
            if ticket.seat >= 0
            and self.live.ticket_states.get(ticket.number) is not TicketState.REFUNDED
        ]
        if len(live) != len(set(live)):
            raise self.broken("a seat has two live tickets")

    def finish(self) -> None:
        """Everything is committed and looked at as a whole."""
        while self.pipeline:
            batch = self.commit()
            self.answer(batch)
            self.show(batch)
        self.check_ids()
        self.check_tickets()
        fresh = Performance(PERFORMANCE, PLAN, RULES)
        for event in self.journal:
            fresh.replay(event)
        if fresh.snapshot() != self.live.snapshot():
            raise self.broken("the journal replayed is not the state")
        frame = self.feed.since(self.replica.epoch, self.replica.seq)
        if frame is not None:
            self.replica.apply(frame)
        seen = bytes(self.replica.statuses), self.replica.areas
        if seen != (self.live.statuses(), self.live.area_free):
            raise self.broken("the watcher's picture is not the house")


def run(seed: int, steps: int, faults: Faults | None = None) -> World:
    """Let a world live for so many batches, and look at it.

    Raises:
        Broken: Something happened that must never happen.
    """
    world = World(seed, faults)
    for _ in range(steps):
        world.step()
    world.finish()
    return world
