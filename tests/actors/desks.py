"""Everything around an order desk: real performances, orders in memory, a clock that is moved."""

import itertools
from collections.abc import Callable

import msgspec
from msgspec.json import encode

from engine.actors.desk import OrderDesk, Shop
from engine.actors.payments import StripeGateway
from engine.commands import (
    Channel,
    Command,
    Expire,
    Held,
    Hold,
    Line,
    Outcome,
    Release,
    Reopen,
    Scan,
    ScanMode,
    Scanned,
    ScanOutcome,
)
from engine.mails import Mail, MailKind, mails_of
from engine.orders import (
    RESERVED_STATES,
    SOLD_STATES,
    Buyer,
    LineState,
    Order,
    OrderHold,
    OrderLine,
    OrderState,
    PlaceOrder,
)
from engine.payments import PaymentMethod
from engine.performance import Performance
from engine.plan import Plan
from engine.plan_io import load_plan
from engine.settings import Price, PriceType, Settings
from tests.fakes.orders import MemoryOrders

START_MS = 1_800_000_000_000
SEATS, CAPACITY = 8, 30
ADULT, CHILD, GUEST = 2_000, 1_050, 0
TICKETED = (LineState.RESERVED, LineState.SOLD)
_numbers = itertools.count(1)


def plan() -> Plan:
    """A row of seats, and an area to stand in."""
    square = [{"x": x, "y": y} for x, y in ((0, 50), (90, 50), (90, 90), (0, 90))]
    seats = [
        {"id": f"a{seat}", "label": str(seat), "x": 10.0 * seat, "y": 10.0, "category": "Stalls"}
        for seat in range(1, SEATS + 1)
    ]
    area = {"id": "pit", "name": "Pit", "capacity": CAPACITY, "category": "Stalls"}
    return load_plan(
        encode(
            {
                "format": "strapontin-plan/1",
                "name": "Hall",
                "width": 100,
                "height": 100,
                "categories": [{"name": "Stalls", "color": "#7f3c8d"}],
                "sections": [
                    {
                        "id": "st",
                        "name": "Stalls",
                        "rows": [{"label": "A", "seats": seats}],
                        "areas": [area | {"polygon": square}],
                    }
                ],
            }
        )
    )


def settings(**changes: object) -> Settings:
    kinds = {"adult": ADULT, "child": CHILD, "guest": GUEST}
    values: dict[str, object] = {
        "currency": "EUR",
        "price_types": tuple(PriceType(kind, {"en": kind}) for kind in kinds),
        "prices": tuple(Price(0, kind, amount) for kind, amount in kinds.items()),
        "orphan_rule": False,
    } | changes
    return Settings(**values)  # type: ignore[arg-type]


PLAN = plan()


class World:
    """Performances 1 and 2 in euros, 3 in francs; what desks share, and outlives them."""

    def __init__(self) -> None:
        self.now_ms = START_MS
        self.orders = MemoryOrders()
        self.cores = {
            1: Performance(1, PLAN, settings()),
            2: Performance(2, PLAN, settings()),
            3: Performance(3, PLAN, settings(currency="CHF")),
        }
        self.asked: list[tuple[int, Command, Outcome]] = []
        self._desks: list[OrderDesk] = []

    def clock_ms(self) -> int:
        return self.now_ms

    def pass_s(self, seconds: float) -> None:
        self.now_ms += int(seconds * 1_000)

    def desk(
        self,
        kind: Callable[..., OrderDesk] = OrderDesk,
        stripe: StripeGateway | None = None,
        **ports: object,
    ) -> OrderDesk:
        """A new desk over these stores, ended by `close`."""
        shop = Shop("http://127.0.0.1:8080", self.title) if stripe else None
        given = {"orders": self.orders, "ask": self.ask, "stripe": stripe, "shop": shop} | ports
        desk = kind(**given, clock_ms=self.clock_ms)
        self._desks.append(desk)
        return desk

    async def close(self) -> None:
        for desk in self._desks:
            await desk.close()

    async def title(self, performance: int) -> str:
        return f"Performance {performance}"

    async def ask(self, performance: int, command: Command) -> Outcome:
        """As the real way does: expire what is due, decide, encode and decode."""
        core = self.cores[performance]
        if core.due(self.now_ms):
            core.apply(Expire(id_of(next(_numbers))), self.now_ms)
        outcome = core.apply(
            msgspec.msgpack.decode(msgspec.msgpack.encode(command), type=Command), self.now_ms
        )
        core.take()
        told = msgspec.msgpack.decode(msgspec.msgpack.encode(outcome), type=Outcome)
        self.asked.append((performance, command, told))
        return told

    async def hold(
        self,
        performance: int,
        *seats: int,
        places: int = 0,
        kind: str = "adult",
        channel: Channel = Channel.WEB,
    ) -> OrderHold:
        """Seats and places held, and how they would be bought."""
        token = id_of(next(_numbers))
        areas = ((0, places),) if places else ()
        held = await self.ask(performance, Hold(token, token, token.hex(), channel, seats, areas))
        assert isinstance(held, Held), held
        lines = [Line(seat, -1, kind) for seat in seats]
        lines += [Line(-1, 0, "child", places)] if places else []
        return OrderHold(performance, token.hex(), tuple(lines))

    async def lose(self, order: Order, hold: OrderHold, *, taken: bool = True) -> None:
        """The hold ends behind the desk's back, and somebody else has its seats."""
        token = bytes.fromhex(hold.token)
        other = id_of(next(_numbers))
        await self.ask(hold.performance, Reopen(other, token, order.id))
        await self.ask(hold.performance, Release(id_of(next(_numbers)), token))
        if taken:
            seats = tuple(line.seat for line in hold.lines if line.seat >= 0)
            asked = Hold(id_of(next(_numbers)), other, other.hex(), Channel.WEB, seats)
            assert isinstance(await self.ask(hold.performance, asked), Held)

    # What is true at the end -----------------------------------------------------

    async def tickets(self) -> dict[str, list[tuple[int, int, int, int, bool]]]:
        """Per order its live tickets: (performance, number, seat, area, is it paid)."""
        live: dict[str, list[tuple[int, int, int, int, bool]]] = {}
        for performance in self.cores:
            for number in itertools.count(1):
                version = self.cores[performance].ticket_versions.get(number, 0)
                scan = Scan(id_of(0), "", "", performance, number, version, ScanMode.LOOK_UP)
                seen = await self.ask(performance, scan)
                assert isinstance(seen, Scanned)
                if seen.result is ScanOutcome.UNKNOWN:
                    break
                if seen.result is not ScanOutcome.REFUNDED:
                    is_paid = seen.result is not ScanOutcome.UNPAID
                    ticket = (performance, number, seen.seat, seen.area, is_paid)
                    live.setdefault(seen.order, []).append(ticket)
        return live

    async def violations(self) -> list[str]:
        """What must never be: money without seats, seats without money, an order that is stuck."""
        found: list[str] = []
        live = await self.tickets()
        for order in self.orders.all:
            name = f"order {order.number} ({order.state})"
            is_reserved = order.state in RESERVED_STATES
            if not order.finished and not is_reserved:
                found.append(f"{name} is stuck")
            lines = [line for line in order.lines if line.state in TICKETED]
            due = sum(line.price for line in lines if line.state is LineState.SOLD)
            standing = [one for one in order.charges if one.state is LineState.SOLD]
            due += sum(one.amount for one in standing if not one.absorbed)
            most = order.total - 1 if is_reserved else due
            if not due <= order.paid <= most:
                found.append(f"{name} has {order.paid} for lines of {due}")
            sold = [
                (one.performance, one.ticket, one.seat, one.area, one.state is LineState.SOLD)
                for one in lines
            ]
            if sorted(sold) != sorted(live.pop(order.id, [])):
                found.append(f"{name}: its lines are not its tickets")
        found += [f"tickets of order {id}, which does not exist" for id in live]
        all_ = [one for each in (await self.tickets()).values() for one in each]
        for order in self.orders.all:
            for line in order.lines:
                if line.state in TICKETED and line.version != self.version(line):
                    found.append(f"order {order.number}: its ticket {line.ticket} is void")
                if line.state in TICKETED and (line.price_type, line.amount) != self.price(line):
                    found.append(f"order {order.number}: ticket {line.ticket} has another price")
        seats = [(performance, seat) for performance, _, seat, area, _ in all_ if area < 0]
        if len(set(seats)) != len(seats):
            found.append(f"(performance, seat) sold twice among {sorted(seats)}")
        found += self._wrong_credits()
        found += self._wrong_mails()
        return found

    def _wrong_mails(self) -> list[str]:
        """What buyers and the house are told twice, or not at all, of orders as they were saved."""
        found = []
        for order in self.orders.all:
            told = self.mails(order.id)
            name = f"order {order.number} ({order.state})"
            if len(set(told)) != len(told):
                found.append(f"{name} tells something twice: {told}")
            states = {one.state for one in self.orders.history(order.id)}
            was_sold = bool(states.intersection(SOLD_STATES))
            wanted = [Mail(MailKind.SALE)] if was_sold else []
            if order.buyer.email:
                wanted += [Mail(MailKind.PAID)] if was_sold else []
                wanted += [
                    Mail(MailKind.CALLED_OFF if one.called_off else MailKind.REFUNDED, one.id)
                    for one in order.refunds
                    if one.undone
                ]
                wanted += [Mail(MailKind.FAILED)] if OrderState.FAILED in states else []
            found += [f"{name} does not tell of {mail}" for mail in wanted if mail not in told]
        return found

    def mails(self, order: str) -> list[Mail]:
        """All that an order's savings have told, in their order."""
        history = self.orders.history(order)
        steps = zip([None, *history], history, strict=False)
        return [mail for before, after in steps for mail in mails_of(before, after)]

    def version(self, line: OrderLine) -> int:
        """The version that a line's ticket has at the door."""
        return self.cores[line.performance].ticket_versions.get(line.ticket, 0)

    def price(self, line: OrderLine) -> tuple[str, int]:
        """The price type and the amount of a line's ticket."""
        ticket = self.cores[line.performance].tickets[line.ticket - 1]
        return ticket.price_type, ticket.amount

    def _wrong_credits(self) -> list[str]:
        """Credits that are not what orders brought to them and took."""
        come = dict.fromkeys(self.orders.credits.balances, 0)
        for order in self.orders.all:
            for charge in order.charges:
                if charge.card and charge.state is LineState.SOLD:
                    come[charge.card] += charge.amount
            for payment in order.payments:
                if payment.method is PaymentMethod.STORE_CREDIT:
                    come[payment.reference] -= payment.captured - payment.refunded
        return [
            f"credit {code} has {there}, and {come[code]} came"
            for code, there in self.orders.credits.balances.items()
            if there != come[code] or there < 0
        ]


def id_of(number: int) -> bytes:
    return number.to_bytes(16, "big")


def request(*holds: OrderHold, channel: Channel = Channel.WEB, **changes: object) -> PlaceOrder:
    """A new order for these holds, of a buyer or, in the other channels, of operator ada."""
    web = channel is Channel.WEB
    values: dict[str, object] = {
        "id": f"{next(_numbers):032x}",
        "baskets": holds,
        "channel": channel,
        "session": "a session" if web else "",
        "operator": "" if web else "ada",
        "buyer": Buyer("Zoé", "zoe@example.org", "fr") if web else Buyer(),
    } | changes
    return PlaceOrder(**values)  # type: ignore[arg-type]


def gift_cards(*amounts: int, **changes: object) -> PlaceOrder:
    """A new order of gift cards alone, in euros, by operator ada."""
    values: dict[str, object] = {
        "channel": Channel.BOX_OFFICE, "gift_cards": amounts, "performance": 1, "currency": "EUR",
    }  # fmt: skip
    return request(**values | changes)  # type: ignore[arg-type]


def placed(answer: object) -> Order:
    assert isinstance(answer, Order), answer
    return answer


def paid(answer: object) -> Order:
    assert isinstance(answer, tuple), answer
    order, url = answer
    assert isinstance(order, Order) and url == ""
    return order
