"""Small houses drawn as text, and a hand that plays commands on a performance of one."""

from collections.abc import Iterable, Sequence
from math import cos, pi, sin

import msgspec

from engine.commands import (
    Allocate,
    AllocationsAre,
    Basket,
    Block,
    Channel,
    Checkout,
    Command,
    Configure,
    ConflictsAre,
    CountInside,
    CountQuotas,
    Expire,
    Hold,
    HoldBest,
    InsideIs,
    KeptScan,
    Line,
    ListAllocations,
    ListConflicts,
    Outcome,
    QuotasAre,
    QuotaUse,
    Quoted,
    Refund,
    Reissue,
    Release,
    Reopen,
    Reprice,
    Scan,
    ScanMode,
    ScanOutcome,
    Sell,
    SetTickets,
    TicketState,
    Unblock,
    UndoScan,
)
from engine.performance import Performance
from engine.plan import Area, Category, Plan, Row, Seat, SeatFlag, Section, Table
from engine.settings import Price, PriceType, Settings

CATEGORIES = "abcd"
NOW_MS = 1_800_000_000_000


def house(
    *sections: Sequence[str],
    tables: Iterable[tuple[int, bool]] = (),
    areas: Iterable[tuple[int, str]] = (),
    focal: tuple[float, float] | None = None,
) -> Plan:
    """A plan from drawings.

    Each section is a list of rows, front to back; in a row a letter is a seat of
    that category, a capital one a wheelchair place, a space an aisle of a seat's
    width. Sections stand side by side. `tables` are (chairs, sold as a whole), each in
    one more section behind them; `areas` are (capacity, category letter).
    """
    seats: list[Seat] = []
    rows: list[Row] = []
    left = 0.0
    for number, drawing in enumerate(sections):
        for depth, drawn in enumerate(drawing):
            first = len(seats)
            for place, letter in enumerate(drawn):
                if letter == " ":
                    continue
                flags = SeatFlag.WHEELCHAIR if letter.isupper() else SeatFlag(0)
                label = str(len(seats) - first + 1)
                seats.append(
                    Seat(
                        f"{number}-{depth}-{label}",
                        len(rows),
                        label,
                        left + place,
                        float(depth),
                        CATEGORIES.index(letter.lower()),
                        flags=int(flags),
                    )
                )
            rows.append(Row(number, str(depth + 1), first, len(seats) - first))
        left += max(len(drawn) for drawn in drawing) + 5.0
    names = [Section(f"s{number}", f"Section {number}") for number in range(len(sections))]
    width = max(left - 5.0, 1.0)
    stood = _tables(tables, seats, rows, names)
    places = tuple(
        Area(
            f"area{number}", 0, f"Area {number}", capacity, CATEGORIES.index(letter), _square(width)
        )
        for number, (capacity, letter) in enumerate(areas)
    )
    return Plan(
        "small",
        "Small",
        width,
        50.0,
        focal or ((width - 1) / 2, -3.0),
        tuple(Category(letter, "#808080") for letter in CATEGORIES),
        tuple(names or [Section("s0", "Section 0")]),
        tuple(rows),
        tuple(seats),
        stood,
        places,
    )


def _square(width: float) -> tuple[tuple[float, float], ...]:
    return ((0.0, 30.0), (width, 30.0), (width, 40.0), (0.0, 40.0))


def _tables(
    wanted: Iterable[tuple[int, bool]], seats: list[Seat], rows: list[Row], names: list[Section]
) -> tuple[Table, ...]:
    found = []
    for number, (chairs, whole) in enumerate(wanted):
        if not found:
            names.append(Section("tables", "Tables"))
        first, x, y = len(seats), 10.0 * number, 20.0
        radius = chairs / 5
        for chair in range(chairs):
            turn = 2 * pi * chair / chairs
            seats.append(
                Seat(
                    f"t{number}-{chair}",
                    len(rows),
                    str(chair + 1),
                    x + radius * cos(turn),
                    y + radius * sin(turn),
                    0,
                    table=number,
                )
            )
        rows.append(Row(len(names) - 1, f"T{number}", first, chairs))
        found.append(
            Table(
                f"t{number}",
                len(names) - 1,
                f"T{number}",
                x,
                y,
                "round",
                radius,
                radius,
                seats=tuple(range(first, first + chairs)),
                whole=whole,
            )
        )
    return tuple(found)


def settings(**changes: object) -> Settings:
    """Every category costs 10.00 (a), 9.00 (b)... for "full", half for "half"."""
    values: dict[str, object] = {
        "currency": "EUR",
        "price_types": (PriceType("full", {"en": "Full"}), PriceType("half", {"en": "Half"})),
        "prices": tuple(
            Price(category, kind, (1_000 - 100 * category) // share)
            for category in range(len(CATEGORIES))
            for kind, share in (("full", 1), ("half", 2))
        ),
    }
    return Settings(**(values | changes))  # type: ignore[arg-type]


def token(name: str) -> bytes:
    """Sixteen bytes for a name."""
    return name.encode().ljust(16, b".")


class Play:
    """Plays commands, each with a fresh id, at `at_ms`; every method returns the outcome."""

    def __init__(self, plan: Plan, rules: Settings | None = None, performance: int = 7) -> None:
        self.plan = plan
        self.live = Performance(performance, plan, rules or settings())
        self.at_ms = NOW_MS
        self._ids = 0

    def id(self) -> bytes:
        self._ids += 1
        return self._ids.to_bytes(16, "big")

    def apply(self, command: Command) -> Outcome:
        return self.live.apply(command, self.at_ms)

    def hold(
        self,
        *seats: int,
        by: str = "ann",
        channel: Channel = Channel.WEB,
        areas: tuple[tuple[int, int], ...] = (),
    ) -> Outcome:
        return self.apply(Hold(self.id(), token(by), by, channel, seats, areas))

    def best(
        self, size: int, by: str = "ann", channel: Channel = Channel.WEB, **more: object
    ) -> Outcome:
        return self.apply(HoldBest(self.id(), token(by), by, channel, size, **more))  # type: ignore[arg-type]

    def release(
        self, *seats: int, by: str = "ann", areas: tuple[tuple[int, int], ...] = ()
    ) -> Outcome:
        return self.apply(Release(self.id(), token(by), seats, areas))

    def basket(self, by: str = "ann") -> Outcome:
        return self.apply(Basket(self.id(), token(by)))

    def checkout(
        self, *lines: Line, by: str = "ann", order: str = "o1", buyer: str = ""
    ) -> Outcome:
        """Without lines: one full line for each place of the hold."""
        if not lines:
            mine = self.live.holds[token(by)]
            lines = (
                *(Line(seat, -1, "full") for seat in mine.seats),
                *(Line(-1, area, "full", quantity) for area, quantity in mine.areas),
            )
        return self.apply(Checkout(self.id(), token(by), order, buyer or by, lines))

    def reopen(self, by: str = "ann", order: str = "o1") -> Outcome:
        return self.apply(Reopen(self.id(), token(by), order))

    def sell(self, by: str = "ann", order: str = "o1", paid: bool = True) -> Outcome:
        return self.apply(Sell(self.id(), token(by), order, paid))

    def buy(self, *seats: int, by: str = "ann", order: str = "o1", **more: object) -> Outcome:
        """Hold, check out and sell; the outcome of the sale."""
        self.hold(*seats, by=by, **more)  # type: ignore[arg-type]
        self.checkout(by=by, order=order)
        return self.sell(by=by, order=order)

    def refund(self, *tickets: int, order: str = "o1") -> Outcome:
        return self.apply(Refund(self.id(), order, tickets))

    def reissue(self, *tickets: int, order: str = "o1") -> Outcome:
        return self.apply(Reissue(self.id(), order, tickets))

    def reprice(
        self, *tickets: tuple[int, str], order: str = "o1", channel: Channel = Channel.BOX_OFFICE
    ) -> Outcome:
        """Asked what it comes to, and done at that; the refusal of either."""
        asked = Reprice(self.id(), order, channel, tickets, self.at_ms)
        quoted = self.apply(asked)
        if not isinstance(quoted, Quoted):
            return quoted
        return self.apply(msgspec.structs.replace(asked, id=self.id(), amounts=quoted.amounts))

    def set_tickets(self, *tickets: int, state: TicketState) -> Outcome:
        return self.apply(SetTickets(self.id(), tickets, state, "because"))

    def block(self, *seats: int, areas: tuple[tuple[int, int], ...] = ()) -> Outcome:
        return self.apply(Block(self.id(), seats, areas, "because"))

    def unblock(self, *seats: int, areas: tuple[tuple[int, int], ...] = ()) -> Outcome:
        return self.apply(Unblock(self.id(), seats, areas))

    def allocate(
        self,
        name: str,
        *seats: int,
        channels: Sequence[Channel] = (),
        release_ms: int = 0,
        back: bool = False,
    ) -> Outcome:
        return self.apply(Allocate(self.id(), name, tuple(channels), seats, release_ms, back))

    def configure(self, **changes: object) -> Outcome:
        return self.apply(Configure(self.id(), settings(**changes)))

    def scan(
        self,
        ticket: int,
        gate: str = "",
        version: int = 0,
        performance: int = 7,
        mode: ScanMode = ScanMode.ADMIT,
        reason: str = "",
        device: str = "device",
    ) -> Outcome:
        return self.apply(Scan(self.id(), gate, device, performance, ticket, version, mode, reason))

    def undo(
        self, ticket: int, gate: str = "", device: str = "device", anywhere: bool = False
    ) -> Outcome:
        return self.apply(UndoScan(self.id(), ticket, gate, device, anywhere))

    def kept(
        self,
        ticket: int,
        sequence: int,
        scanned_ms: int = 0,
        shown: ScanOutcome = ScanOutcome.ADMITTED,
        device: str = "lane",
        gate: str = "",
        mode: ScanMode | None = None,
        version: int = 0,
        performance: int = 7,
    ) -> Outcome:
        """What a device says that it showed while it was alone; not given: now, an admission."""
        way = mode or (ScanMode.EXIT if shown is ScanOutcome.EXITED else ScanMode.ADMIT)
        return self.apply(
            KeptScan(
                self.id(),
                gate,
                device,
                performance,
                ticket,
                version,
                way,
                sequence,
                scanned_ms or self.at_ms,
                shown,
            )
        )

    def inside(self) -> InsideIs:
        told = self.apply(CountInside(self.id()))
        assert isinstance(told, InsideIs)
        return told

    def conflicts(self, after: int = 0) -> ConflictsAre:
        told = self.apply(ListConflicts(self.id(), after))
        assert isinstance(told, ConflictsAre)
        return told

    def allocations(self, name: str = "") -> AllocationsAre:
        told = self.apply(ListAllocations(self.id(), name))
        assert isinstance(told, AllocationsAre)
        return told

    def quotas(self) -> tuple[QuotaUse, ...]:
        told = self.apply(CountQuotas(self.id()))
        assert isinstance(told, QuotasAre)
        return told.quotas

    def expire(self) -> Outcome:
        return self.apply(Expire(self.id()))

    def picture(self) -> str:
        """The public statuses: `.` available, `h` held, `s` sold, `x` blocked."""
        return "".join(".hsx"[status] for status in self.live.statuses())
