"""A sale at the till, from the first seat to the order: what is in it and what it costs.

Owns the basket as the server's outcomes tell it, and which price type each place gets. Decides
nothing: seats are held, priced and sold by the server, and amounts shown before that are the
price list's. Knows no socket, no widget and no clock: times are arguments.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from console.programme import Performance, PriceChoice
from console.seating import Seating
from engine.commands import BasketIs, Channel, Held, Line, Released
from engine.orders import Buyer, OrderHold, PlaceOrder


@dataclass(frozen=True, slots=True)
class BasketLine:
    """One line of the basket: a seat, or `quantity` places of an area at one price.

    `amount` is per place in minor units; None where no price is known for it.
    """

    spot: int
    price_type: str
    quantity: int
    amount: int | None


class Sale:
    """One hold on one performance, growing towards an order."""

    def __init__(self, performance: Performance, seating: Seating, token: bytes) -> None:
        self.performance = performance
        self.seating = seating
        self.token = token
        self.expires_ms = 0
        self.buyer = ""
        self.by_phone = False
        self.seats: dict[int, str] = {}  # seat -> price type, in the order they came
        self.places: dict[tuple[int, str], int] = {}  # (area, price type) -> quantity

    # What the server said ----------------------------------------------------

    def held(self, outcome: Held, now_ms: int) -> None:
        """Seats and places were added."""
        for seat in outcome.seats:
            self.seats.setdefault(seat, self._usual(self.seating.category_of(seat), now_ms))
        for area, quantity in outcome.areas:
            key = (area, self._usual(self.seating.plan.areas[area].category, now_ms))
            self.places[key] = self.places.get(key, 0) + quantity
        self.expires_ms = outcome.expires_ms

    def released(self, outcome: Released) -> None:
        """Seats and places were given back."""
        for seat in outcome.seats:
            self.seats.pop(seat, None)
        for area, quantity in outcome.areas:
            self._take_places(area, quantity)

    def is_now(self, outcome: BasketIs, now_ms: int) -> None:
        """The whole hold as it is: price types chosen for what is still there are kept."""
        seats, places = set(outcome.seats), dict(outcome.areas)
        self.seats = {seat: kind for seat, kind in self.seats.items() if seat in seats}
        for area in {area for area, _ in self.places}:
            surplus = self.quantity(area) - places.get(area, 0)
            if surplus > 0:
                self._take_places(area, surplus)
        missing = [
            (area, quantity - self.quantity(area))
            for area, quantity in places.items()
            if quantity > self.quantity(area)
        ]
        self.held(Held(outcome.token, outcome.seats, tuple(missing), outcome.expires_ms), now_ms)

    def price(self, lines: Iterable[Line]) -> None:
        """Take over the price types of saved lines, for places that are in the hold."""
        for line in lines:
            if line.area < 0:
                if line.seat in self.seats:
                    self.seats[line.seat] = line.price_type
                continue
            for (area, kind), quantity in list(self.places.items()):
                if area == line.area and kind != line.price_type:
                    moved = min(
                        quantity, line.quantity - self.places.get((area, line.price_type), 0)
                    )
                    self._move_places(area, kind, line.price_type, max(0, moved))

    def clear(self, token: bytes) -> None:
        """Begin again with a new hold."""
        self.token, self.expires_ms, self.buyer, self.by_phone = token, 0, "", False
        self.seats.clear()
        self.places.clear()

    # What the cashier decides ------------------------------------------------

    def next_price(self, line: BasketLine, now_ms: int) -> None:
        """Give a seat, or one place of an area, the next price type sold for it."""
        kinds = [choice.id for choice, _ in self._choices(line.spot, now_ms)]
        if not kinds:
            return
        at = kinds.index(line.price_type) + 1 if line.price_type in kinds else 0
        kind = kinds[at % len(kinds)]
        area = self.seating.area_of(line.spot)
        if area < 0:
            self.seats[line.spot] = kind
        else:
            self._move_places(area, line.price_type, kind, 1)

    def next_price_for_all(self, now_ms: int) -> None:
        """Give every place the price type that follows the first line's."""
        lines = self.lines()
        if not lines:
            return
        kinds = [choice.id for choice, _ in self._choices(lines[0].spot, now_ms)]
        if not kinds:
            return
        at = kinds.index(lines[0].price_type) + 1 if lines[0].price_type in kinds else 0
        kind = kinds[at % len(kinds)]
        for line in lines:
            if all(choice.id != kind for choice, _ in self._choices(line.spot, now_ms)):
                continue
            area = self.seating.area_of(line.spot)
            if area < 0:
                self.seats[line.spot] = kind
            else:
                self._move_places(area, line.price_type, kind, line.quantity)

    # What is in it -----------------------------------------------------------

    def lines(self) -> list[BasketLine]:
        """Seats in the order they came, then places."""
        return [
            BasketLine(seat, kind, 1, self._amount(self.seating.category_of(seat), kind))
            for seat, kind in self.seats.items()
        ] + [
            BasketLine(
                self.seating.seat_count + area,
                kind,
                quantity,
                self._amount(self.seating.plan.areas[area].category, kind),
            )
            for (area, kind), quantity in sorted(self.places.items())
        ]

    def quantity(self, area: int) -> int:
        """Places of an area in the basket."""
        return sum(quantity for (a, _), quantity in self.places.items() if a == area)

    @property
    def channel(self) -> Channel | None:
        """The one to ask for; None: that of whoever sells."""
        return Channel.PHONE if self.by_phone else None

    @property
    def size(self) -> int:
        """Seats and places in the basket."""
        return len(self.seats) + sum(self.places.values())

    @property
    def total(self) -> int:
        """By the price list, in minor units; the order's own total is the server's."""
        return sum((line.amount or 0) * line.quantity for line in self.lines())

    @property
    def is_free(self) -> bool:
        """By the price list there is nothing to pay for what is in the basket."""
        lines = self.lines()
        return bool(lines) and all(line.amount == 0 for line in lines)

    def order(self, id: str, language: str) -> PlaceOrder:
        """What to ask the order desk for; the papers will be in `language`."""
        hold = OrderHold(self.performance.id, self.token.hex(), self.order_lines())
        buyer = Buyer(self.buyer, language=language)
        return PlaceOrder(id, (hold,), self.channel or Channel.BOX_OFFICE, buyer=buyer)

    def order_lines(self) -> tuple[Line, ...]:
        return tuple(
            Line(
                line.spot if self.seating.area_of(line.spot) < 0 else -1,
                self.seating.area_of(line.spot),
                line.price_type,
                line.quantity,
            )
            for line in self.lines()
        )

    def amount_of(self, line: Line, price_type: str) -> int | None:
        """What a place of a line costs at a price type; None where it is not sold so."""
        spot = line.seat if line.area < 0 else self.seating.seat_count + line.area
        return self._amount(self.seating.category_of(spot), price_type)

    # -------------------------------------------------------------------------

    def _choices(self, spot: int, now_ms: int) -> list[tuple[PriceChoice, int]]:
        return self.performance.choices(self.seating.category_of(spot), now_ms)

    def _usual(self, category: int, now_ms: int) -> str:
        choices = self.performance.choices(category, now_ms)
        return choices[0][0].id if choices else ""

    def _amount(self, category: int, kind: str) -> int | None:
        return self.performance.amount(category, kind)

    def _take_places(self, area: int, quantity: int) -> None:
        for key in [key for key in reversed(self.places) if key[0] == area]:
            taken = min(quantity, self.places[key])
            quantity -= taken
            self.places[key] -= taken
            if not self.places[key]:
                del self.places[key]

    def _move_places(self, area: int, kind: str, other: str, quantity: int) -> None:
        if not quantity or kind == other:
            return
        self.places[area, kind] -= quantity
        self.places[area, other] = self.places.get((area, other), 0) + quantity
        if not self.places[area, kind]:
            del self.places[area, kind]


def places_by_area(sale: Sale) -> Mapping[int, int]:
    """Quantity per area in the basket."""
    return {area: sale.quantity(area) for area in {area for area, _ in sale.places}}
