"""Customers: they order places in several performances, pay in every way, and want things undone.

Each goes by what it was told. It asks again, under the same id, until it is answered; asks twice
at once; comes back after a while and asks what became of its order; or vanishes in the middle.
What it pays on the provider's page it may pay late, or in a second window while it cancels in
the first. A customer at the till is a cashier, with money in hand.
"""

import asyncio
from collections.abc import Callable
from math import inf
from typing import Any, Final

from engine.commands import Channel, Command, Held, Hold, HoldBest, Line, Outcome, Release, Reopen
from engine.orders import (
    RESERVED_STATES,
    SOLD_STATES,
    Bought,
    Buyer,
    Delivery,
    ExchangeRequest,
    LineState,
    Order,
    OrderHold,
    OrderRefused,
    OrderState,
    PlaceOrder,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.payments import TILL_METHODS, PaymentMethod
from gateway.backend import BackendUnavailable
from tests.engine.small import NOW_MS
from tests.sim.clients import AGAIN_S, Client, Crowd
from tests.sim.history import Asked
from tests.sim.installation import GATEWAYS
from tests.sim.provider import READERS, Account
from tests.sim.shifts import CASHIERS, TAKES_A_TILL, Shifts

PATIENCE_S: Final = (0.1, 0.6, 1.5, 4.0, 4.0)
ACTS: Final = 5
LATEST_VISIT_S: Final = 15.0
"""A page is paid so late at the latest."""
PRICE_TYPES: Final = ("full", "full", "full", "half", "guest")


class Call:
    """A call to the desk, from when it was first made; `answers` are all that came, with when.

    `operator` is who makes it at a till, "" for nobody.
    """

    __slots__ = (
        "answered_s", "answers", "args", "client", "invoked_s", "method", "operator", "waiting"
    )  # fmt: skip

    def __init__(
        self, client: str, operator: str, method: str, args: tuple[Any, ...], invoked_s: float
    ) -> None:
        self.client = client
        self.operator = operator
        self.method = method
        self.args = args
        self.invoked_s = invoked_s
        self.answered_s = inf
        self.answers: list[tuple[float, Any]] = []
        self.waiting: asyncio.Future[bool] | None = None

    @property
    def answer(self) -> Any:
        return self.answers[0][1] if self.answers else None

    @property
    def is_done(self) -> bool:
        """It was not refused."""
        return order_in(self.answer) is not None or isinstance(self.answer, Bought)


def order_in(answer: Any) -> Order | None:
    if isinstance(answer, tuple):
        answer = answer[0]
    return answer if isinstance(answer, Order) else None


class Counter:
    """What customers share: the way to the desk, the record of their calls, and credits."""

    def __init__(self, crowd: Crowd, account: Account, shifts: Shifts) -> None:
        self.shifts = shifts
        self.crowd = crowd
        self.account = account
        self.simulation = crowd.simulation
        self.calls: list[Call] = []
        self.credits: list[str] = []
        self.busy = 0
        self.tell: Callable[[str], None] = lambda _: None

    def begin(self, client: str, operator: str, method: str, *args: Any) -> Call:
        """Ask, and do not wait."""
        call = Call(client, operator, method, args, self.simulation.now_s)
        self.calls.append(call)
        self.send(call)
        return call

    async def ask(self, call: Call) -> None:
        """Until it is answered, again and again."""
        loop, draw = self.crowd.outside, self.simulation.draw
        self.busy += 1
        while not call.answers:
            waiting = call.waiting = loop.create_future()
            patience_s = PATIENCE_S[int(draw() * len(PATIENCE_S))]
            patience = loop.call_later(patience_s, _settle, waiting, False)
            again = await waiting
            patience.cancel()
            if again:
                await asyncio.sleep(AGAIN_S)
            if not call.answers:
                self.send(call)
        self.busy -= 1

    def send(self, call: Call) -> None:
        gateway = GATEWAYS[self.simulation.draw() < 0.3]
        self.crowd.carry(self._arrive, gateway, call)

    def _arrive(self, gateway: str, call: Call) -> None:
        entry = self.crowd.net.actors.get(gateway)
        if entry is None or entry[0].dead:
            return
        process, host = entry

        async def ask() -> None:
            where = {"at_till": self.shifts.at_till(call.operator)} if _at_a_till(call) else {}
            try:
                answer = await getattr(host.desk, call.method)(*call.args, **where)
            except BackendUnavailable:
                self.crowd.carry(self._turned_away, call)
            else:
                self.crowd.carry(self._hear, call, answer)

        process.begin(ask)

    def _hear(self, call: Call, answer: Any) -> None:
        now_s = self.simulation.now_s
        if not call.answers:
            call.answered_s = now_s
            self.tell(f"{call.client} hears of {call.method}: {_told(answer)}")
            self.crowd.answers += 1
        call.answers.append((now_s, answer))
        _settle(call.waiting, False)

    def _turned_away(self, call: Call) -> None:
        if not call.answers:
            _settle(call.waiting, True)

    def deliver(self, payload: bytes, signature: str, taken: Callable[[], None]) -> None:
        """A notice of the provider, to a gateway."""
        gateway = GATEWAYS[self.simulation.draw() < 0.3]
        entry = self.crowd.net.actors.get(gateway)
        if entry is None or entry[0].dead:
            return
        process, host = entry

        async def post() -> None:
            try:
                await host.desk.webhook(payload, signature)
            except BackendUnavailable:
                return
            if not process.dead:
                self.simulation.after(0.01, taken)

        process.begin(post)


def _at_a_till(call: Call) -> bool:
    """Whether a gateway passes it on with the till session of whoever is asking."""
    if call.method == "pay":
        return call.args[1] in (*TILL_METHODS, PaymentMethod.STRIPE_TERMINAL)
    return call.method in TAKES_A_TILL


def _told(answer: Any) -> str:
    order = order_in(answer)
    if order is None:
        return repr(answer)
    url = f", {answer[1]}" if isinstance(answer, tuple) and answer[1] else ""
    return f"order {order.number} is {order.state}, revision {order.revision}{url}"


def _settle(waiting: "asyncio.Future[bool] | None", again: bool) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(again)


def _at_one(order: Order) -> tuple[int, ...]:
    """The places in its first performance that there are tickets for."""
    lines = [line for line in order.lines if line.state in (LineState.SOLD, LineState.RESERVED)]
    return tuple(line.number for line in lines if line.performance == lines[0].performance)


def _exchange_of(order: Order) -> str:
    return "" if order.exchange is None else order.exchange.id


class Gone(Exception):
    """The customer is never seen again."""


class Customer(Client):
    def __init__(self, crowd: Crowd, counter: Counter, name: str, vanishes: bool) -> None:
        super().__init__(crowd, name, 0, vanishes)
        self._counter = counter
        self._channel = self.pick(
            (Channel.WEB, Channel.WEB, Channel.WEB, Channel.BOX_OFFICE, Channel.BOX_OFFICE,
             Channel.PHONE)
        )  # fmt: skip
        self._teller = CASHIERS[int(name[1:]) % len(CASHIERS)]
        """Of the house: who sells to this one, or at least gives back and exchanges."""
        self._operator = "" if self._channel is Channel.WEB else self._teller
        self._attempts = 0

    async def live(self) -> None:
        try:
            await self._pause(2.0)
            for _ in range(2):
                holds = await self._hold_some()
                if holds:
                    await self._buy(holds)
        except Gone:
            pass
        self.crowd.busy -= 1

    # Asking ------------------------------------------------------------------------------

    async def _say(self, performance: int, command: Command) -> Outcome:
        asked = Asked(self.name, performance, command, self.simulation.now_s)
        self.crowd.asked.append(asked)
        await self._ask(asked)
        assert asked.outcome is not None
        return asked.outcome

    async def _call(self, method: str, *args: Any) -> Any:
        """The desk's answer; now and then asked for once more after that."""
        call = await self._told(method, *args)
        if self.draw() < 0.1:
            await self._told(method, *args)
        if self.draw() < 0.1:
            await self._pause(5.0)
        return call.answer

    async def _told(self, method: str, *args: Any) -> Call:
        call = self._begin(method, *args)
        if self._vanishes and self.draw() < 0.25:
            raise Gone
        await self._counter.ask(call)
        return call

    def _begin(self, method: str, *args: Any) -> Call:
        """Ask, and do not wait."""
        operator = self._operator if method == "cancel" else self._teller
        return self._counter.begin(self.name, operator, method, *args)

    async def _pause(self, at_most_s: float) -> None:
        await self._until(self.simulation.now_s + at_most_s * self.draw())

    # Holding -----------------------------------------------------------------------------

    async def _hold_some(self) -> list[OrderHold]:
        numbers = list(self.crowd.performances)
        many = self.pick((1, 2, 2, 3))
        holds = []
        claims = self._channel is Channel.BOX_OFFICE and self.draw() < 0.15
        while numbers and len(holds) < many:
            performance = numbers.pop(int(self.draw() * len(numbers)))
            hold = self._claim(performance) if claims else await self._hold(performance)
            if hold is not None:
                holds.append(hold)
        return holds

    def _claim(self, performance: int) -> OrderHold:
        """What is not held yet, for who buys at once."""
        seat = int(self.draw() * 6)
        lines = (Line(seat, -1, self.pick(PRICE_TYPES)),)
        if self.draw() < 0.2:
            lines += (Line(-1, 0, "full", 1 + int(self.draw() * 2)),)
        return OrderHold(performance, self.id().hex(), lines)

    async def _hold(self, performance: int) -> OrderHold | None:
        id, token, draw = self.id(), self.id(), self.draw()
        kind, size = self.pick(PRICE_TYPES), 1 + (self.draw() < 0.4)
        if draw < 0.4:
            first = int(self.draw() * 6)
            seats, areas = tuple(range(first, first + size)), ((0, 1),) * (draw < 0.1)
            wanted: Command = Hold(id, token, self.name, self._channel, seats, areas)
        else:
            area = 0 if draw < 0.5 else -1
            wanted = HoldBest(id, token, self.name, self._channel, size, area=area)
        outcome = await self._say(performance, wanted)
        if not isinstance(outcome, Held):
            return None
        lines = [Line(seat, -1, kind) for seat in outcome.seats]
        lines += [Line(-1, area, kind, places) for area, places in outcome.areas]
        return OrderHold(performance, token.hex(), tuple(lines))

    async def _lose(self, order: str, hold: OrderHold) -> None:
        """Let a hold go that is in an order: it might as well have ended."""
        token = bytes.fromhex(hold.token)
        await self._say(hold.performance, Reopen(self.id(), token, order))
        await self._say(hold.performance, Release(self.id(), token))

    # Buying ------------------------------------------------------------------------------

    async def _buy(self, holds: list[OrderHold]) -> None:
        id = self.id().hex()
        request = PlaceOrder(
            id,
            tuple(holds),
            self._channel,
            "" if self._operator else self.name,
            self._operator,
            Buyer(self.name, self.pick(("", f"{self.name}@example.org"))),
            self.pick((Delivery.E_TICKET, Delivery.POST)),
            equal_places=id[0] < "8",
            gift_cards=(700,) if id[1] == "7" else (),
        )
        order: Order | None
        if self._channel is Channel.BOX_OFFICE and self.draw() < 0.3:
            await self._call("buy", request, 50_000)
            order = await self._call("get", request.id)
        else:
            order = order_in(await self._call("place", request))
        if order is None:
            return
        if self.draw() < 0.2:
            await self._lose(request.id, self.pick(holds))
        for _ in range(ACTS):
            if order is None:
                return
            if order.waits:
                order = await self._pay_or_not(order)
            elif order.state in SOLD_STATES:
                self._show(order)
                order = await self._undo(order)
            else:
                return

    async def _pay_or_not(self, order: Order) -> Order | None:
        draw = self.draw()
        if draw < 0.08:
            return self._after(order, await self._call("cancel", order.id, _exchange_of(order)))
        if draw < 0.2 and order.state is OrderState.OPEN:
            return await self._reserve(order)
        if draw < 0.3:
            await self._pause(6.0)
            return self._after(order, await self._call("get", order.id))
        if draw < 0.34:
            return None
        if draw < 0.38 and order.state in RESERVED_STATES and _at_one(order):
            called_off = RefundRequest(self.id().hex(), _at_one(order), called_off=True)
            return self._after(order, await self._call("refund", order.id, called_off))
        if order.state is OrderState.AWAITING_APPROVAL and draw < 0.9:
            return self._after(order, await self._call("approve", order.id))
        self._attempts += 1
        attempt = f"p{self._attempts}"
        if self._counter.credits and draw < 0.5:
            code = self.pick(self._counter.credits)
            part = 0 if self.draw() < 0.7 else 100
            paid = await self._call("pay", order.id, "store_credit", attempt, 0, code, "", part)
            return self._after(order, paid)
        if self._operator and (self._channel is Channel.BOX_OFFICE or draw < 0.7):
            if self.draw() < 0.25:
                return await self._pay_at_a_reader(order, attempt)
            return await self._pay_by_hand(order, attempt)
        return await self._pay_on_the_page(order, attempt)

    async def _pay_by_hand(self, order: Order, attempt: str) -> Order | None:
        part = 300 if self.draw() < 0.3 else 0
        method = self.pick(("cash", "cash", "cheque", "card_terminal"))
        given = 20_000 if method == "cash" else 0
        reference = "" if given else f"{self.name} {attempt}"
        if self.draw() < 0.08:
            self._begin("cancel", order.id, _exchange_of(order))
        asked = "pay", order.id, method, attempt, given, reference, self._teller, part
        paid = await self._call(*asked)
        return self._after(order, paid)

    async def _pay_on_the_page(self, order: Order, attempt: str) -> Order | None:
        answer = await self._call("pay", order.id, "stripe", attempt)
        if isinstance(answer, tuple) and answer[1]:
            self._visit(answer[1].rpartition("/")[2])
            if self.draw() < 0.12:
                self._begin("cancel", order.id, _exchange_of(order))
            for _ in range(1 + int(self.draw() * 3)):
                await self._pause(1.5)
                again = self.draw() < 0.3
                asked = ("pay", order.id, "stripe", attempt) if again else ("get", order.id)
                known = self._after(order, await self._call(*asked))
                if known is None or not known.waits:
                    return known
        return self._after(order, answer)

    async def _pay_at_a_reader(self, order: Order, attempt: str) -> Order | None:
        """A card that is presented at once, late or never, and may be declined first."""
        account, reader = self._counter.account, self.pick(READERS)
        asked = "pay", order.id, "stripe_terminal", attempt, 0, reader, self._teller
        known = self._after(order, await self._call(*asked))
        why = "insufficient_funds" if self.draw() < 0.2 else ""
        if self.draw() < 0.85:
            later_s = 0.2 if self.draw() < 0.7 else LATEST_VISIT_S * self.draw()
            self.simulation.after(later_s, account.present, reader, why)
        if self.draw() < 0.12:
            self._begin("cancel", order.id, _exchange_of(order))
        for _ in range(1 + int(self.draw() * 3)):
            if not known.waits:
                break
            await self._pause(1.5)
            again = asked if self.draw() < 0.5 else ("get", order.id)
            known = self._after(known, await self._call(*again))
        if known.waits and self.draw() < 0.5:
            known = self._after(known, await self._call("stop", order.id, attempt))
        return known

    def _visit(self, session: str) -> None:
        """Pay there: at once, later, or not at all."""
        draw = self.draw()
        if draw < 0.88:
            later_s = 0.2 if draw < 0.6 else LATEST_VISIT_S * self.draw()
            self.simulation.after(later_s, self._counter.account.pay, session)

    async def _reserve(self, order: Order) -> Order | None:
        until_ms = NOW_MS + int(1_000 * (self.simulation.now_s + self.pick((2, 6, 15, 5_000))))
        if self._operator:
            terms = Terms(TermsKind.PICK_UP, until_ms=until_ms)
        else:
            terms = Terms(TermsKind.INVOICE, False, first_ms=1_500, interval_ms=2_000, reminders=2)
        return self._after(order, await self._call("reserve", order.id, terms, self._operator))

    # And after ---------------------------------------------------------------------------

    def _show(self, order: Order) -> None:
        """At the doors, some of it."""
        sold = [line for line in order.lines if line.state is LineState.SOLD]
        if sold and self.draw() < 0.3:
            line = self.pick(sold)
            self.crowd.shown.append((line.performance, order.id, line.ticket))

    async def _undo(self, order: Order) -> Order | None:
        draw, id = self.draw(), self.id().hex()
        sold = [line.number for line in order.lines if line.state is LineState.SOLD]
        fee = 150 if self.draw() < 0.2 else 0
        to_credit = self.draw() < 0.3
        if not sold:  # gift cards are left, or were spent
            wanted = RefundRequest(id, (), "", self._teller)
            return self._refunded(order, await self._call("refund", order.id, wanted))
        if draw < 0.3:
            lines = (self.pick(sold),)
        elif draw < 0.42:
            lines = ()
        elif draw < 0.55:
            amount = self.pick((1, 150, 700))
            wanted = RefundRequest(id, (), "cold", self._teller, amount, 0, to_credit)
            return self._refunded(order, await self._call("refund", order.id, wanted))
        elif draw < 0.6:
            wanted = RefundRequest(id, _at_one(order), "called off", self._teller, called_off=True)
            return self._refunded(order, await self._call("refund", order.id, wanted))
        elif draw < 0.65:
            return self._after(
                order, await self._call("print_tickets", order.id, id, (), self._teller)
            )
        elif draw < 0.7:
            return await self._reprice(order, self.pick(sold), fee, to_credit)
        elif draw < 0.85:
            return await self._exchange(order, self.pick(sold), fee, to_credit)
        elif draw < 0.92:
            some = (self.pick(sold),) if self.draw() < 0.5 else ()
            return self._after(order, await self._call("reissue", order.id, id, some, self._teller))
        else:
            return None
        unprinted = not lines and self.draw() < 0.5
        wanted = RefundRequest(id, lines, "", self._teller, 0, fee, to_credit, unprinted=unprinted)
        if self.draw() < 0.1:
            self._begin("refund", order.id, RefundRequest(self.id().hex(), (), "", self._teller))
        return self._refunded(order, await self._call("refund", order.id, wanted))

    async def _exchange(self, order: Order, line: int, fee: int, to_credit: bool) -> Order:
        """A place for others, here or in another performance."""
        hold = await self._hold(self.pick(self.crowd.performances))
        if hold is None:
            return order
        wanted = ExchangeRequest(self.id().hex(), (line,), hold, self._teller, fee, to_credit)
        order = self._refunded(order, await self._call("exchange", order.id, wanted))
        if self.draw() < 0.1:
            await self._lose(order.id, hold)
        return order

    async def _reprice(self, order: Order, line: int, fee: int, to_credit: bool) -> Order:
        """The same place for another price."""
        [place] = [one for one in order.lines if one.number == line]
        kinds = Line(place.seat, place.area, self.pick(PRICE_TYPES))
        hold = OrderHold(place.performance, "", (kinds,))
        wanted = ExchangeRequest(self.id().hex(), (line,), hold, self._teller, fee, to_credit)
        return self._refunded(order, await self._call("exchange", order.id, wanted))

    def _refunded(self, order: Order, answer: Any) -> Order:
        known = self._after(order, answer)
        known_codes = self._counter.credits
        known_codes += [
            one.card for one in known.charges if one.card and one.card not in known_codes
        ]
        return known

    def _after(self, order: Order, answer: Any) -> Order:
        """What this customer knows of its order now."""
        assert answer is not None, f"order {order.number} is there no more"
        known = order_in(answer)
        if known is None:
            assert isinstance(answer, OrderRefused)
            return order
        return known if known.revision > order.revision else order
