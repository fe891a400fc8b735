"""All that a performance knows while it is live, and the few ways in which it changes.

Owns the mutable values (codes at the positions, holds, places left, tickets,
counts) and the mutations that several rules share. Decides nothing: a mutation
here trusts that its rule has refused everything refusable, and cannot fail.
"""

from bisect import insort
from collections import Counter
from itertools import count
from typing import Final

from msgspec import Struct

from engine.commands import Channel, Checkout, Ticket, TicketState
from engine.house import (
    AVAILABLE,
    FIRST_ALLOCATION,
    LAST_ALLOCATION,
    SCATTERED,
    House,
    Layout,
)
from engine.limits import MAX_PLACES_PER_HOLD
from engine.passages import Passage, insert, is_inside
from engine.plan import Plan
from engine.pricing import PriceList
from engine.settings import SaleStatus, Settings

Places = tuple[tuple[int, int], ...]
"""(area, quantity) pairs."""

FILLED: Final = tuple(
    tuple(bytearray([code]) * count for count in range(MAX_PLACES_PER_HOLD + 1))
    for code in range(4)
)
"""FILLED[code][count]: `count` positions that all hold `code`. Not to be changed: bytearrays only
because one is put into another without a copy between."""

_LOOK_AHEAD_MS: Final = 5_000
"""Holds that end within this time are queued; the others are looked at when it is over."""

_WEB: Final = Channel.WEB


class HoldState(Struct, array_like=True, gc=False):
    """A live hold.

    `paying` is the checkout that holds while it is in payment, `amounts` what a
    place of each of its lines costs; `extended` says that it ever was in payment.
    `first` is `House.straight(seats)`: not SCATTERED when they are one slice of the house.
    """

    token: bytes
    holder: str
    channel: Channel
    seats: tuple[int, ...]
    areas: Places
    first_ms: int
    expires_ms: int
    first: int
    paying: Checkout | None = None
    amounts: tuple[int, ...] = ()
    extended: bool = False


class Allocation(Struct, array_like=True, gc=False):
    """Seats kept under a name: the code that stands at them while free, and for whom."""

    code: int
    channels: tuple[Channel, ...]


def places_in(seats: tuple[int, ...], areas: Places) -> int:
    """How many people that is."""
    return len(seats) + sum([quantity for _, quantity in areas]) if areas else len(seats)


def add_places(one: Places, other: Places, sign: int = 1) -> Places:
    """The sum (or with `sign` -1 the difference) of two baskets of area places."""
    if not other:
        return one
    total = dict(one)
    for area, quantity in other:
        total[area] = total.get(area, 0) + sign * quantity
    return tuple(sorted([pair for pair in total.items() if pair[1]]))


class State:
    """Everything live of one performance.

    Attributes:
        codes, home: Per position of the house what stands there, and what it goes
            back to when it comes free (AVAILABLE or an allocation's code).
        area_free, area_blocked: Places per area on sale and left, and taken off sale.
        tickets: The ticket with number n stands at n - 1, and so do its order and buyer
            in `ticket_sales`. Sparse and by number are `ticket_states` (else VALID),
            `ticket_versions` (else 0) and `ticket_uses` (who went in and out, in order).
        inside_gates, inside_sections: Tickets inside by the gate that they came in at, and by
            the section of their place.
        disputed: Tickets with more than one passage, one of which a device decided alone.
        kept: Scans that devices kept, when by the device's clock, by device and sequence.
        ending: The holds that end before `looked_to_ms`, first ended first. A hold alone
            says when it ends; what stands here may be out of date.
        buyer_places: Live tickets and places in payment by buyer, for per-buyer limits.
        touched, touched_areas: Seats and areas that may stand otherwise than the feed says.
    """

    __slots__ = (
        "_sights",
        "allocations",
        "area_blocked",
        "area_free",
        "buyer_places",
        "codes",
        "disputed",
        "ending",
        "gates",
        "hold_ms",
        "holds",
        "home",
        "house",
        "inside_gates",
        "inside_sections",
        "kept",
        "kept_scans",
        "limited_types",
        "looked_to_ms",
        "max_per_order",
        "open_at_tills",
        "open_online",
        "orphan_rule",
        "performance",
        "prices",
        "quick_lines",
        "quick_places",
        "settings",
        "ticket_sales",
        "ticket_states",
        "ticket_uses",
        "ticket_versions",
        "tickets",
        "touched",
        "touched_areas",
        "web_holds",
    )

    def __init__(self, performance: int, plan: Plan | Layout, settings: Settings) -> None:
        self.performance = performance
        self.house = House(plan)
        self.codes = self.house.empty()
        self.home = self.codes.copy()
        self.area_free = [area.capacity for area in self.house.outline.areas]
        self.area_blocked = [0] * self.house.area_count
        self.holds: dict[bytes, HoldState] = {}
        self.web_holds: dict[str, int] = {}
        self.buyer_places: dict[str, int] = {}
        self.allocations: dict[str, Allocation] = {}
        self._sights: dict[Channel, bytes] = {}
        self.tickets: list[Ticket] = []
        self.ticket_sales: list[tuple[str, str]] = []
        self.ticket_states: dict[int, TicketState] = {}
        self.ticket_versions: dict[int, int] = {}
        self.ticket_uses: dict[int, list[Passage]] = {}
        self.inside_gates: Counter[str] = Counter()
        self.inside_sections: Counter[int] = Counter()
        self.disputed: set[int] = set()
        self.kept: dict[str, dict[int, int]] = {}
        self.kept_scans = 0
        self.touched: list[tuple[int, ...]] = []
        self.touched_areas: set[int] = set()
        self.ending: list[tuple[int, bytes]] = []
        self.looked_to_ms = 0
        self.configure(settings)

    def configure(self, settings: Settings) -> None:
        """Take these settings, and prepare what the rules ask of them at every command."""
        self.settings = settings
        self.prices = PriceList(settings)
        self.gates = {gate.id: frozenset(gate.sections) for gate in settings.gates}
        self.open_online = settings.status is SaleStatus.ON_SALE
        self.open_at_tills = self.open_online or settings.status is SaleStatus.BOX_OFFICE
        self.orphan_rule = settings.orphan_rule
        self.max_per_order = min(settings.max_per_order or MAX_PLACES_PER_HOLD, MAX_PLACES_PER_HOLD)
        self.limited_types = [kind for kind in settings.price_types if kind.max_per_order]
        # Up to this many seats a hold may be judged quickly: no sale status, limit or table
        # can be in its way on any channel.
        self.quick_places = self.max_per_order
        if not self.open_online or self.house.whole_tables:
            self.quick_places = 0
        # And up to this many lines a checkout may be priced quickly: no limit counts them.
        self.quick_lines = self.max_per_order
        if self.limited_types or settings.max_per_buyer:
            self.quick_lines = 0
        self.hold_ms = min(settings.hold_ms, settings.hold_cap_ms)

    # Seats ------------------------------------------------------------------

    def sight(self, channel: Channel) -> bytes | None:
        """What turns codes into this channel's view (0: it could take the seat), if anything must.

        None when no allocation is open to the channel: then the codes are its view.
        """
        return self._sights.get(channel)

    def view(self, channel: Channel) -> bytearray:
        """The codes as this channel sees them: 0 exactly where it could take the seat.

        Often that is `codes` itself: not a copy, and not to be changed.
        """
        table = self.sight(channel)
        return self.codes if table is None else self.codes.translate(table)

    def set_allocations(self, allocations: dict[str, Allocation]) -> None:
        """These are all the allocations; the seats know of theirs already."""
        self.allocations = allocations
        self._look_again()

    def _look_again(self) -> None:
        """The allocations have changed: who sees what follows."""
        self._sights = {}
        for channel in Channel:
            codes = [one.code for one in self.allocations.values() if channel in one.channels]
            if codes:
                table = bytearray(range(256))
                for code in codes:
                    table[code] = AVAILABLE
                self._sights[channel] = bytes(table)

    def put(self, seats: tuple[int, ...], first: int, status: int) -> None:
        """These seats are now HELD, SOLD or BLOCKED; `first` as in `HoldState`."""
        self.touched.append(seats)
        if first != SCATTERED:
            many = len(seats)
            self.codes[first : first + many] = FILLED[status][many]
            return
        codes, positions = self.codes, self.house.positions
        for seat in seats:
            codes[positions[seat]] = status

    def free(self, seats: tuple[int, ...], first: int) -> None:
        """These seats come free: on sale again, or back to their allocation."""
        self.touched.append(seats)
        codes, home = self.codes, self.home
        if first != SCATTERED:
            end = first + len(seats)
            codes[first:end] = home[first:end]
            return
        positions = self.house.positions
        for seat in seats:
            position = positions[seat]
            codes[position] = home[position]

    def allocate(self, name: str, channels: tuple[Channel, ...], seats: tuple[int, ...]) -> None:
        """Keep these free seats for the channels under the name."""
        allocation = self.allocations.get(name)
        if allocation is None:
            used = {one.code for one in self.allocations.values()}
            code = next(code for code in count(FIRST_ALLOCATION) if code not in used)
            assert code <= LAST_ALLOCATION, "there are no more than MAX_ALLOCATIONS"
            allocation = self.allocations[name] = Allocation(code, channels)
        allocation.channels = channels
        self._look_again()
        for seat in seats:
            position = self.house.positions[seat]
            self.codes[position] = self.home[position] = allocation.code
        self.touched.append(seats)

    def end_allocation(self, name: str) -> None:
        """Put what the allocation kept on sale for everybody; held and sold seats stay so."""
        code = self.allocations.pop(name).code
        self._look_again()
        seat_at = self.house.seat_at
        for position, home in enumerate(self.home):
            if home == code:
                self.home[position] = AVAILABLE
                if self.codes[position] == code:
                    self.codes[position] = AVAILABLE
                    self.touched.append((seat_at[position],))

    def move_places(self, areas: Places, sign: int) -> None:
        """Take places of areas (`sign` -1), or give them back (+1)."""
        for area, quantity in areas:
            self.area_free[area] += sign * quantity
            self.touched_areas.add(area)

    # Holds ------------------------------------------------------------------

    def open_hold(self, hold: HoldState) -> None:
        """A new hold lives."""
        self.holds[hold.token] = hold
        if hold.channel is _WEB:
            holder = hold.holder
            self.web_holds[holder] = self.web_holds.get(holder, 0) + 1
        self.expect(hold.token, hold.expires_ms)

    def expect(self, token: bytes, expires_ms: int) -> None:
        """A hold ends then: note it, unless it will be looked at in time."""
        if expires_ms <= self.looked_to_ms:
            ending, entry = self.ending, (expires_ms, token)
            # Holds begin one after the other and live equally long: nearly always the last.
            if not ending or entry > ending[-1]:
                ending.append(entry)
            else:
                insort(ending, entry)

    def any_expired(self, at_ms: int) -> bool:
        """Is the time of some hold over?"""
        if at_ms > self.looked_to_ms:
            # Every hold is looked at once in a while, so that making one costs next to nothing.
            self.looked_to_ms = to_ms = at_ms + _LOOK_AHEAD_MS
            self.ending = sorted(
                [
                    (hold.expires_ms, hold.token)
                    for hold in self.holds.values()
                    if hold.expires_ms <= to_ms
                ]
            )
        past = 0
        for entry in self.ending:
            if entry[0] > at_ms or self._is_current(entry):
                break
            past += 1
        del self.ending[:past]
        return bool(self.ending) and self.ending[0][0] <= at_ms

    def expired(self, at_ms: int, most: int) -> tuple[bytes, ...]:
        """The holds whose time is over, first ended first, `most` at most."""
        if not self.any_expired(at_ms):
            return ()
        due: list[tuple[int, bytes]] = []
        for entry in self.ending:
            if entry[0] > at_ms or len(due) == most:
                break
            # A token used again within its millisecond is noted twice.
            if self._is_current(entry) and (not due or due[-1] != entry):
                due.append(entry)
        return tuple([token for _, token in due])

    def _is_current(self, entry: tuple[int, bytes]) -> bool:
        hold = self.holds.get(entry[1])
        return hold is not None and hold.expires_ms == entry[0]

    def end_hold(self, token: bytes) -> HoldState:
        """The hold lives no more; what becomes of its places is the caller's business."""
        hold = self.holds.pop(token)
        if hold.channel is _WEB:
            left = self.web_holds.pop(hold.holder) - 1
            if left:
                self.web_holds[hold.holder] = left
        return hold

    def drop_hold(self, token: bytes) -> None:
        """The hold ends with nothing sold: all of it comes free."""
        hold = self.end_hold(token)
        self.free(hold.seats, hold.first)
        if hold.areas:
            self.move_places(hold.areas, +1)
        if hold.paying is not None:
            self.count_buyer(hold.paying.buyer, -places_in(hold.seats, hold.areas))

    def count_buyer(self, buyer: str, change: int) -> None:
        """Keep the buyer's places; nobody in particular ("") is not counted."""
        if buyer:
            places = self.buyer_places.get(buyer, 0) + change
            if places:
                self.buyer_places[buyer] = places
            else:
                self.buyer_places.pop(buyer, None)

    # Doors ------------------------------------------------------------------

    def section_of(self, number: int) -> int:
        """The section of the plan that the ticket's place is in."""
        ticket = self.tickets[number - 1]
        if ticket.seat >= 0:
            return self.house.sections[ticket.seat]
        return self.house.outline.areas[ticket.area].section

    def pass_through(self, number: int, passage: Passage) -> None:
        """Somebody went in or out with this ticket."""
        uses = self.ticket_uses.setdefault(number, [])
        self._count_inside(number, uses, -1)
        insert(uses, passage)
        self._settle(number, uses)

    def take_back(self, number: int) -> None:
        """The ticket's last passage did not happen."""
        uses = self.ticket_uses[number]
        self._count_inside(number, uses, -1)
        uses.pop()
        if not uses:
            del self.ticket_uses[number]
        self._settle(number, uses)

    def remember_passages(self, number: int, passages: list[Passage]) -> None:
        """This is all that ever happened with the ticket."""
        self.ticket_uses[number] = passages
        self._settle(number, passages)

    def _settle(self, number: int, uses: list[Passage]) -> None:
        """What follows from a ticket's passages, which have changed."""
        self._count_inside(number, uses, +1)
        if len(uses) > 1 and any(one.kept for one in uses):
            self.disputed.add(number)
        else:
            self.disputed.discard(number)

    def _count_inside(self, number: int, uses: list[Passage], change: int) -> None:
        if is_inside(uses):
            gate, gates = uses[-1].gate, self.inside_gates
            gates[gate] += change
            if not gates[gate]:
                del gates[gate]  # a gate may be any text
            self.inside_sections[self.section_of(number)] += change

    def remember_kept(self, device: str, sequence: int, scanned_ms: int) -> None:
        """The device's kept scan of this number is recorded."""
        self.kept.setdefault(device, {})[sequence] = scanned_ms
        self.kept_scans += 1
