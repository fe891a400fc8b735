"""The places of one performance: what stands at every seat, what is kept for whom, what is left.

Owns the codes at the positions, the allocations, the surplus and the places of areas, and the few
ways in which they change. Decides nothing: a change here trusts that its rule has refused
everything refusable, and cannot fail. Knows no hold, price or ticket.
"""

from collections.abc import Iterable
from itertools import count
from typing import Final

from msgspec import Struct

from engine.commands import Channel
from engine.house import (
    AVAILABLE,
    FIRST_ALLOCATION,
    LAST_ALLOCATION,
    SCATTERED,
    SURPLUS,
    House,
    Layout,
)
from engine.limits import MAX_ALLOCATIONS, MAX_PLACES_PER_HOLD
from engine.plan import Plan
from engine.pricing import is_till
from engine.sale import FOREVER
from engine.settings import KeptSeats, Surplus

Places = tuple[tuple[int, int], ...]
"""(area, quantity) pairs."""

FILLED: Final = tuple(
    tuple(bytearray([code]) * count for count in range(MAX_PLACES_PER_HOLD + 1))
    for code in range(4)
)
"""FILLED[code][count]: `count` positions that all hold `code`. Not to be changed: bytearrays only
because one is put into another without a copy between."""

_UNKEPT: Final = frozenset({AVAILABLE, SURPLUS})
"""What a seat may go back to that no allocation has."""


class Allocation(Struct, array_like=True, gc=False):
    """Seats kept under a name: the code that stands at them while free, for whom, until when."""

    code: int
    channels: tuple[Channel, ...]
    release_ms: int = 0


class Stock:
    """What there is to be sold.

    Attributes:
        codes, home: Per position of the house what stands there, and what it goes
            back to when it comes free (AVAILABLE, SURPLUS or an allocation's code).
        base: Per position what it is when no allocation has it, by the settings.
        area_free, area_blocked: Places per area on sale and left, and taken off sale.
        sights: Per channel that may take seats that others may not: see `sight`.
        releases_ms: When the next allocation is released by itself; FOREVER: none is.
        touched, touched_areas: Seats and areas that may stand otherwise than the feed says.
    """

    __slots__ = (
        "allocations",
        "area_blocked",
        "area_free",
        "base",
        "codes",
        "home",
        "house",
        "releases_ms",
        "sights",
        "surplus_areas",
        "touched",
        "touched_areas",
    )

    def __init__(self, plan: Plan | Layout) -> None:
        self.house = House(plan)
        self.codes = self.house.empty()
        self.home = self.codes.copy()
        self.base = self.codes.copy()
        self.area_free = [area.capacity for area in self.house.outline.areas]
        self.area_blocked = [0] * self.house.area_count
        self.allocations: dict[str, Allocation] = {}
        self.sights: dict[Channel, bytes] = {}
        self.releases_ms = FOREVER
        self.surplus_areas: frozenset[int] = frozenset()
        self.touched: list[tuple[int, ...]] = []
        self.touched_areas: set[int] = set()

    def sight(self, channel: Channel) -> bytes | None:
        """What turns codes into this channel's view (0: it could take the seat), if anything must.

        None when no allocation is open to the channel: then the codes are its view.
        """
        return self.sights.get(channel)

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
        """What is kept has changed: who sees what follows, and when the next of it is released."""
        self.sights = {}
        allocations = self.allocations.values()
        surplus = SURPLUS in self.base
        for channel in Channel:
            codes = [one.code for one in allocations if channel in one.channels]
            if surplus and is_till(channel):
                codes.append(SURPLUS)
            if codes:
                table = bytearray(range(256))
                for code in codes:
                    table[code] = AVAILABLE
                self.sights[channel] = bytes(table)
        self.releases_ms = min([one.release_ms or FOREVER for one in allocations], default=FOREVER)

    def lay_surplus(self, surplus: Surplus) -> None:
        """These seats and areas are the tills', and no others."""
        house, wanted = self.house, frozenset(surplus.categories)
        areas = frozenset(
            [
                index
                for index, area in enumerate(house.outline.areas)
                if index in surplus.areas or area.category in wanted
            ]
        )
        self.touched_areas |= areas ^ self.surplus_areas
        self.surplus_areas = areas
        if not wanted and SURPLUS not in self.base:
            return
        codes, home, base = self.codes, self.home, self.base
        for seat, position in enumerate(house.positions):
            base[position] = code = SURPLUS if house.categories[seat] in wanted else AVAILABLE
            # Seats of an allocation stay its own until it ends.
            if home[position] != code and home[position] in _UNKEPT:
                home[position] = code
                if codes[position] in _UNKEPT:
                    codes[position] = code
                    self.touched.append((seat,))
        self._look_again()

    def lay_allocations(self, before: tuple[KeptSeats, ...], after: tuple[KeptSeats, ...]) -> None:
        """What the settings keep, where they say otherwise than before.

        What was kept or released by hand since stays so while its allocation is said as it was.
        Seats of another allocation stay that one's, and one more than MAX_ALLOCATIONS keeps none.
        """
        said = {one.id: one for one in before}
        for one in after:
            if said.pop(one.id, None) == one:
                continue
            seats = self._seats_of(one)
            if gone := self.kept_under(one.id).difference(seats):
                self.give_back(one.id, sorted(gone))
            channels = tuple([Channel(name) for name in one.channels])
            if one.id in self.allocations or len(self.allocations) < MAX_ALLOCATIONS:
                self._keep(one.id, channels, seats, one.release_ms)
        for name in [name for name in said if name in self.allocations]:
            self.give_back(name, sorted(self.kept_under(name)))

    def _seats_of(self, one: KeptSeats) -> list[int]:
        house, named = self.house, frozenset(one.seats)
        categories, sections = frozenset(one.categories), frozenset(one.sections)
        return [
            seat
            for seat in range(house.seat_count)
            if seat in named
            or house.categories[seat] in categories
            or house.sections[seat] in sections
        ]

    def _keep(
        self, name: str, channels: tuple[Channel, ...], seats: list[int], release_ms: int
    ) -> None:
        """Keep seats that no other allocation has: those that are taken once they come free."""
        code = self._named(name, channels, release_ms).code
        codes, home, positions = self.codes, self.home, self.house.positions
        for seat in seats:
            position = positions[seat]
            if home[position] in _UNKEPT:
                home[position] = code
                if codes[position] in _UNKEPT:
                    codes[position] = code
                    self.touched.append((seat,))
        if code not in home:
            del self.allocations[name]
            self._look_again()

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

    def allocate(
        self, name: str, channels: tuple[Channel, ...], seats: tuple[int, ...], release_ms: int
    ) -> None:
        """Keep these seats, free or kept so already, for the channels under the name."""
        allocation = self._named(name, channels, release_ms)
        for seat in seats:
            position = self.house.positions[seat]
            if self.home[position] != allocation.code:
                self.codes[position] = self.home[position] = allocation.code
        self.touched.append(seats)

    def _named(self, name: str, channels: tuple[Channel, ...], release_ms: int) -> Allocation:
        """The allocation of this name, for these channels until then."""
        allocation = self.allocations.get(name)
        if allocation is None:
            used = {one.code for one in self.allocations.values()}
            code = next(code for code in count(FIRST_ALLOCATION) if code not in used)
            assert code <= LAST_ALLOCATION, "there are no more than MAX_ALLOCATIONS"
            allocation = self.allocations[name] = Allocation(code, channels)
        allocation.channels, allocation.release_ms = channels, release_ms
        self._look_again()
        return allocation

    def kept_under(self, name: str) -> frozenset[int]:
        """All seats of an allocation, whatever became of them; none when there is no such one."""
        allocation = self.allocations.get(name)
        if allocation is None:
            return frozenset()
        code, seat_at = allocation.code, self.house.seat_at
        return frozenset(
            [seat_at[position] for position, home in enumerate(self.home) if home == code]
        )

    def give_back(self, name: str, seats: Iterable[int]) -> None:
        """Put these seats of an allocation on sale again; held and sold ones stay so.

        It ends with its last seat.
        """
        code, positions = self.allocations[name].code, self.house.positions
        for seat in seats:
            position = positions[seat]
            self.home[position] = self.base[position]
            if self.codes[position] == code:
                self.codes[position] = self.base[position]
                self.touched.append((seat,))
        if code not in self.home:
            del self.allocations[name]
        self._look_again()

    def to_release(self, at_ms: int) -> tuple[str, ...]:
        """The allocations whose time is over, by name."""
        if at_ms < self.releases_ms:
            return ()
        return tuple(
            [name for name, one in sorted(self.allocations.items()) if 0 < one.release_ms <= at_ms]
        )

    def public_left(self, area: int) -> int:
        """Places of an area that the public may take."""
        return 0 if area in self.surplus_areas else self.area_free[area]

    def move_places(self, areas: Places, sign: int) -> None:
        """Take places of areas (`sign` -1), or give them back (+1)."""
        for area, quantity in areas:
            self.area_free[area] += sign * quantity
            self.touched_areas.add(area)
