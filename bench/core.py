"""How many decisions a second the seat engine alone takes, on one core.

Owns the seeded mix and its measurement: no actor, no journal, no socket. One
decision is one `Performance.apply`, refused or not. Commands come in batches of
bytes and are decoded outside the timed loop; facts and colours are taken out of
the performance once a batch, inside it, as its actor does.

The mix, on a house of 20,000 seats filled to four fifths: holds of one to four
seats side by side, one in four of them on seats that are taken, one in twenty
leaving a single seat alone; of the holds that succeed, half are released and half
checked out and sold.
"""

from random import Random
from time import perf_counter, process_time
from typing import Final

import msgspec

from engine.commands import (
    Channel,
    Checkout,
    Command,
    Held,
    Hold,
    Line,
    Quoted,
    Refused,
    Release,
    Released,
    Sell,
    Sold,
    TicketState,
)
from engine.orphans import leaves_alone
from engine.performance import Performance
from engine.plan import Category, Plan, Row, Seat, Section
from engine.settings import Price, PriceType, Settings

SECTIONS: Final = 10
ROWS: Final = 50
SEATS_A_ROW: Final = 40
FILLED: Final = 0.8
COMMANDS_A_BATCH: Final = 500
START_MS: Final = 1_800_000_000_000
SEED: Final = 20_261_121

SETTINGS: Final = Settings(
    currency="EUR",
    price_types=(PriceType("adult", {"en": "Adult"}), PriceType("child", {"en": "Child"})),
    prices=tuple(
        Price(category, kind, amount - 100 * category)
        for kind, amount in (("adult", 3_000), ("child", 1_500))
        for category in range(SECTIONS)
    ),
)


def large_house(rows_a_section: int = ROWS) -> Plan:
    """20,000 seats: ten sections side by side, straight rows, one category a section.

    With more rows in each section there are more seats: four times as many make a stadium.
    """
    sections = tuple(Section(f"s{number}", f"Section {number}") for number in range(SECTIONS))
    categories = tuple(Category(f"Category {number}", "#808080") for number in range(SECTIONS))
    rows, seats = [], []
    for section in range(SECTIONS):
        left = (section % 5) * (SEATS_A_ROW + 4)
        front = (section // 5) * (rows_a_section + 4)
        for row in range(rows_a_section):
            rows.append(Row(section, str(row + 1), len(seats), SEATS_A_ROW))
            for place in range(SEATS_A_ROW):
                x, y = float(left + place), float(front + row + 5)
                seats.append(
                    Seat(f"{section}-{row}-{place}", len(rows) - 1, str(place + 1), x, y, section)
                )
    width, height = float(5 * (SEATS_A_ROW + 4)), float(2 * (rows_a_section + 4) + 5)
    return Plan(
        "large", "Large", width, height, (width / 2, 0.0), categories, sections, tuple(rows),
        tuple(seats),
    )  # fmt: skip


class Script:
    """Writes the commands by playing them on a performance of its own."""

    def __init__(self, plan: Plan, seed: int) -> None:
        self.random = Random(seed)
        self.plan = plan
        self.live = Performance(1, plan, SETTINGS)
        self.commands: list[Command] = []
        self.taken: list[int] = []

    def write(self) -> list[Command]:
        goal = int(len(self.plan.seats) * FILLED)
        while len(self.live.tickets) < goal:
            self._visit()
        return self.commands

    def _play(self, command: Command) -> object:
        self.commands.append(command)
        return self.live.apply(command, START_MS)

    def _visit(self) -> None:
        bytes_of, size = self.random.randbytes, self.random.randint(1, 4)
        first = self.random.choice(self.taken) if self.taken and self.random.random() < 0.25 else -1
        if first < 0:
            first, size = self._free_block(size)
        seats = tuple(range(first, first + size))
        token = bytes_of(16)
        held = self._play(Hold(bytes_of(16), token, bytes_of(8).hex(), Channel.WEB, seats))
        if not isinstance(held, Held):
            return
        if self.random.random() < 0.5:
            assert isinstance(self._play(Release(bytes_of(16), token)), Released)
            return
        order = bytes_of(16).hex()
        kinds = self.random.choices(("adult", "child"), (4, 1), k=size)
        lines = tuple(Line(seat, -1, kind) for seat, kind in zip(seats, kinds, strict=True))
        checkout = Checkout(bytes_of(16), token, order, order[:12], lines)
        assert isinstance(self._play(checkout), Quoted)
        assert isinstance(self._play(Sell(bytes_of(16), token, order)), Sold)
        self.taken.append(first)

    def _free_block(self, most: int) -> tuple[int, int]:
        """First seat and number of free seats side by side; fewer than `most` when rare."""
        codes, positions = self.live.codes, self.live.house.positions
        careless = self.random.random() < 0.05
        while True:
            for _ in range(200):
                row = self.random.choice(self.plan.rows)
                first = row.first + self.random.randint(0, row.count - most)
                place = positions[first]
                if any(codes[place : place + most]):
                    continue
                if careless or not leaves_alone(codes, place, place + most):
                    return first, most
            most = max(1, most - 1)
            careless = most == 1


def check(performance: Performance) -> None:
    """No seat has two live tickets, and every seat's colour agrees with its tickets.

    Raises:
        AssertionError: It is so.
    """
    live = [
        ticket.seat
        for ticket in performance.tickets
        if performance.ticket_states.get(ticket.number) is not TicketState.REFUNDED
    ]
    assert len(live) == len(set(live)), "a seat has two live tickets"
    sold = [seat for seat, status in enumerate(performance.statuses()) if status == 2]
    assert sorted(live) == sold, "seats sold and tickets differ"


def core_decisions_per_s(seconds: float, seed: int = SEED) -> float:
    """Decisions a second of wall time over rounds that last `seconds` together."""
    return _measure(seconds, seed)[0]


def _measure(seconds: float, seed: int) -> tuple[float, float, int, int]:
    """Decisions per second of wall time and of this process's time; decisions; refusals."""
    plan = large_house()
    commands = Script(plan, seed).write()
    encode, decoder = msgspec.msgpack.encode, msgspec.msgpack.Decoder(list[Command])
    batches = [
        encode(commands[start : start + COMMANDS_A_BATCH])
        for start in range(0, len(commands), COMMANDS_A_BATCH)
    ]
    wall = spent = 0.0
    decisions = refused = 0
    while wall < seconds:
        performance = Performance(1, plan, SETTINGS)
        apply = performance.apply
        events = 0
        for batch in batches:
            arrived = decoder.decode(batch)
            wall_start, spent_start = perf_counter(), process_time()
            for command in arrived:
                apply(command, START_MS)
            facts, _, _ = performance.take()
            wall += perf_counter() - wall_start
            spent += process_time() - spent_start
            events += len(facts)
        decisions += len(commands)
        assert events == len(commands), "a decision left no fact"
        refused = sum([type(one.outcome) is Refused for one in performance._known.values()])
        check(performance)
    return decisions / wall, decisions / spent, decisions, refused


if __name__ == "__main__":
    per_wall, per_process, decided, refusals = _measure(5.0, SEED)
    print(f"{per_wall:,.0f} decisions/s ({per_process:,.0f} per second of its own process time)")
    print(f"{decided:,} decisions, {refusals:,} refusals a round")
