"""All that a performance knows while it is live, and the few ways in which it changes.

Owns the mutable values (beyond `engine.stock`: holds, tickets, counts) and the mutations that
several rules share. Decides nothing: a mutation here trusts that its rule has refused everything
refusable, and cannot fail.
"""

from bisect import insort
from collections import Counter
from collections.abc import Iterable
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from engine.commands import Channel, Checkout, Line, Ticket, TicketState
from engine.house import Layout
from engine.limits import MAX_PLACES_PER_HOLD
from engine.passages import Passage, insert, is_inside
from engine.plan import Plan
from engine.pricing import PriceList
from engine.quotas import Counted, Quotas
from engine.sale import FOREVER, opening
from engine.settings import SaleStatus, Settings
from engine.stock import Places, Stock

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


class State(Stock):
    """Everything live of one performance.

    Attributes (beyond those of `Stock`):
        tickets: The ticket with number n stands at n - 1, and so do its order and buyer
            in `ticket_sales`. Sparse and by number are `ticket_states` (else VALID),
            `ticket_versions` (else 0) and `ticket_uses` (who went in and out, in order).
        inside_gates, inside_sections: Tickets inside by the gate that they came in at, and by
            the section of their place.
        disputed: Tickets with more than one passage, one of which a device decided alone.
        kept: Scans that devices kept, when by the device's clock, by device and sequence.
        ending: The holds that end before `looked_to_ms`, first ended first. A hold alone
            says when it ends; what stands here may be out of date.
        cancelled: It will not take place: nothing is sold, whatever is held.
        buyer_places: Live tickets and places in payment by buyer, for per-buyer limits.
    """

    __slots__ = (
        "buyer_places",
        "cancelled",
        "disputed",
        "ending",
        "gates",
        "hold_ms",
        "holds",
        "inside_gates",
        "inside_sections",
        "kept",
        "kept_scans",
        "limited_types",
        "looked_to_ms",
        "max_per_order",
        "online_times",
        "orphan_rule",
        "performance",
        "prices",
        "quick_from_ms",
        "quick_lines",
        "quick_places",
        "quick_until_ms",
        "quotas",
        "settings",
        "ticket_sales",
        "ticket_states",
        "ticket_uses",
        "ticket_versions",
        "tickets",
        "till_times",
        "timed_places",
        "web_holds",
    )

    def __init__(self, performance: int, plan: Plan | Layout, settings: Settings) -> None:
        super().__init__(plan)
        self.performance = performance
        self.holds: dict[bytes, HoldState] = {}
        self.web_holds: dict[str, int] = {}
        self.buyer_places: dict[str, int] = {}
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
        self.ending: list[tuple[int, bytes]] = []
        self.looked_to_ms = 0
        self.settings = replace(settings, allocations=())
        self.configure(settings)
        # Nobody watched before.
        self.touched.clear()
        self.touched_areas.clear()

    def configure(self, settings: Settings) -> None:
        """Take these settings, and prepare what the rules ask of them at every command."""
        before, self.settings = self.settings, settings
        self.prices = PriceList(settings)
        self.gates = {gate.id: frozenset(gate.sections) for gate in settings.gates}
        self.online_times = opening(settings, tills=False)
        self.till_times = opening(settings, tills=True)
        self.orphan_rule = settings.orphan_rule
        self.max_per_order = min(settings.max_per_order or MAX_PLACES_PER_HOLD, MAX_PLACES_PER_HOLD)
        self.limited_types = [kind for kind in settings.price_types if kind.max_per_order]
        # Up to this many seats a hold may be judged quickly: no sale status, time, limit or table
        # can be in its way on any channel. Or else up to so many, but between these times only.
        quickly = 0 if self.house.whole_tables else self.max_per_order
        self.quick_from_ms = max(self.online_times[0], self.till_times[0])
        self.quick_until_ms = min(self.online_times[1], self.till_times[1])
        always = (self.quick_from_ms, self.quick_until_ms) == (0, FOREVER)
        self.quick_places, self.timed_places = (quickly, 0) if always else (0, quickly)
        # And up to this many lines a checkout may be priced quickly: no limit counts them.
        self.quick_lines = self.max_per_order
        self.cancelled = settings.status is SaleStatus.CANCELLED
        if self.limited_types or settings.max_per_buyer or settings.quotas or self.cancelled:
            self.quick_lines = 0
        self.hold_ms = min(settings.hold_ms, settings.hold_cap_ms)
        self.recount_quotas()
        self.lay_surplus(settings.surplus)
        self.lay_allocations(before.allocations, settings.allocations)

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

    def end_all_holds(self, at_ms: int) -> None:
        """The time of every hold is over: the next expiries take them."""
        for hold in self.holds.values():
            hold.expires_ms = min(hold.expires_ms, at_ms)
        self.looked_to_ms = 0

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
            self.count_quotas(hold.paying, -1)

    def count_buyer(self, buyer: str, change: int) -> None:
        """Keep the buyer's places; nobody in particular ("") is not counted."""
        if buyer:
            places = self.buyer_places.get(buyer, 0) + change
            if places:
                self.buyer_places[buyer] = places
            else:
                self.buyer_places.pop(buyer, None)

    def counted(self, lines: Iterable[Line]) -> list[Counted]:
        """What quotas count of these lines."""
        categories, areas = self.house.categories, self.house.outline.areas
        return [
            (
                categories[line.seat] if line.seat >= 0 else areas[line.area].category,
                line.price_type,
                line.quantity,
            )
            for line in lines
        ]

    def counted_ticket(self, ticket: Ticket) -> Counted:
        """What quotas count of a ticket."""
        return self.counted((Line(ticket.seat, ticket.area, ticket.price_type),))[0]

    def count_quotas(self, paying: Checkout | None, sign: int) -> None:
        """The places of a payment count for quotas from now on, or no longer."""
        if self.quotas is not None and paying is not None:
            self.quotas.count(self.counted(paying.lines), sign)

    def recount_quotas(self) -> None:
        """Count anew, from nothing, all that is in payment or sold."""
        self.quotas = Quotas(self.settings.quotas) if self.settings.quotas else None
        if self.quotas is None:
            return
        for hold in self.holds.values():
            self.count_quotas(hold.paying, +1)
        states = self.ticket_states
        self.quotas.count(
            [
                self.counted_ticket(ticket)
                for ticket in self.tickets
                if states.get(ticket.number) is not TicketState.REFUNDED
            ],
            +1,
        )

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
