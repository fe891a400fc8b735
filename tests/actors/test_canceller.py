"""A cancelled performance: every order in it is given back once, whatever fails, whoever dies."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Self

import pytest

from engine.actors import NotReady, order_keeper
from engine.actors import canceller as canceller_module
from engine.actors import desk as desk_module
from engine.actors.canceller import Canceller
from engine.actors.payments import StripeGateway
from engine.cancellation import Left, Progress, refund_id
from engine.commands import Channel, Scan, ScanMode, Scanned, ScanOutcome
from engine.mails import Mail, MailKind
from engine.orders import (
    Buyer,
    ExchangeRequest,
    LineState,
    Order,
    OrderRefused,
    OrderState,
    RefundRequest,
    Terms,
    TermsKind,
)
from engine.payments import Payment, ProviderEvent, RefundState
from engine.settings import SaleStatus
from tests.actors.desks import ADULT, World, id_of, paid, placed, request
from tests.actors.test_desk_crash import Cut, Life, Port, T
from tests.console.waiting import until
from tests.fakes.cancellations import FakeCancellations
from tests.fakes.stripe_server import FakeStripe

TILL, PHONE = Channel.BOX_OFFICE, Channel.PHONE
PATIENCE_S = order_keeper.PATIENCE_MS / 1_000
ZOE = Buyer("Zoé", "zoe@example.org", "fr")
MOST_LOOKS = 2_000
REFUNDS = "POST /v1/refunds"
CALLED_OFF = Mail(MailKind.CALLED_OFF, refund_id(1))


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "SWEEP_S", 0.001)
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    monkeypatch.setattr("stripe._http_client.HTTPClient.MAX_DELAY", 0.01)


class House:
    """A world with a desk, and performance 1 that may be cancelled."""

    def __init__(self, **ports: Any) -> None:
        self.world = World()
        self.book = FakeCancellations(lambda: self.world.orders.all)
        self.desk = self.world.desk(**ports)
        self.rooms: set[int] = set()
        self.silent = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.world.close()

    def canceller(self, kind: type[Canceller] = Canceller, **ports: Any) -> Canceller:
        given = {
            "book": self.book,
            "desk": self.desk,
            "ask": self.world.ask,
            "close_room": self.close_room,
        } | ports
        clock = self.world.clock_ms
        return kind(**given, settings=self.rules, clock_ms=clock, look_s=0.001, pace_s=0)

    async def close_room(self, performance: int) -> bool:
        """Once it answers, after `silent` calls."""
        if self.silent:
            self.silent -= 1
            raise NotReady("the waiting rooms are being read")
        closed = performance in self.rooms
        self.rooms.discard(performance)
        return closed

    async def rules(self, performance: int) -> Any:
        return self.world.cores[performance].settings

    async def cancel(self, *cancellers: Canceller) -> None:
        """Until it has ended; time passes for what waits for it."""
        await self.book.begin(1, "ada", "ill")
        at_it = cancellers or (self.canceller(),)
        await self.ended()
        for one in at_it:
            await one.close()

    async def ended(self) -> None:
        async with asyncio.timeout(20):
            while not self.book.asked[1].ended_ms:
                await asyncio.sleep(0.005)
                self.world.pass_s(1)

    async def buy(self, *seats: int, method: str = "test_card", **wanted: Any) -> Order:
        """Paid places in performance 1, and one in 2 if `also` says which."""
        also, kind = wanted.pop("also", None), wanted.pop("kind", "adult")
        channel = TILL if method == "cash" else Channel.WEB
        holds = [await self.world.hold(1, *seats, kind=kind, channel=channel)]
        if also is not None:
            holds.append(await self.world.hold(2, also, channel=channel))
        order = placed(await self.desk.place(request(*holds, channel=channel, **wanted)))
        if order.state is OrderState.PAID:
            return order
        given = order.total if method == "cash" else 0
        return paid(await self.desk.pay(order.id, method, "a", given, "", "ada"))

    async def now(self, order: Order) -> Order:
        stored = await self.world.orders.get(order.id)
        assert stored is not None
        return stored

    def row(self, order: Order) -> tuple[Progress, str, int, bool]:
        row = self.book.rows[1][order.number]
        return row.progress, row.why, row.amount, row.told


async def test_every_order_is_given_back_as_it_was_paid() -> None:
    async with House() as house:
        card = await house.buy(0, also=0, buyer=ZOE)
        free = await house.buy(1, kind="guest", buyer=ZOE)
        cash = await house.buy(2, method="cash", buyer=ZOE)
        nobody = await house.buy(3, method="cash", buyer=Buyer())
        other = placed(
            await house.desk.place(request(await house.world.hold(2, 5), buyer=ZOE)),
        )
        opened = placed(await house.desk.place(request(await house.world.hold(1, 4), buyer=ZOE)))
        await house.cancel()

        card = await house.now(card)
        assert (card.state, card.paid) == (OrderState.PART_REFUNDED, ADULT)
        assert [line.state for line in card.lines] == [LineState.REFUNDED, LineState.SOLD]
        assert (await house.now(free)).state is OrderState.REFUNDED
        cash = await house.now(cash)
        assert cash.state is OrderState.REFUNDED and cash.paid == ADULT
        assert house.world.orders.credits.balances[cash.refunds[0].card] == ADULT
        assert (await house.now(nobody)).state is OrderState.PAID
        assert (await house.now(opened)).state is OrderState.CANCELLED
        assert (await house.now(other)).state is OrderState.OPEN, "in another performance"
        assert {one.number: house.row(one) for one in (card, free, cash, nobody, opened)} == {
            card.number: (Progress.DONE, "", ADULT, True),
            free.number: (Progress.DONE, "", 0, True),
            cash.number: (Progress.DONE, "", ADULT, True),
            nobody.number: (Progress.LEFT, Left.BY_HAND, 0, False),
            opened.number: (Progress.DONE, "", 0, True),
        }
        assert set(house.book.rows[1]) == {
            *(one.number for one in (card, free, cash, nobody, opened)),
        }
        for one in (card, free, cash):
            assert house.world.mails(one.id).count(CALLED_OFF) == 1
        assert house.book.mails == {}, "who has no address is sent nothing"
        await house.desk.cancel(other.id)
        assert await house.world.violations() == []


async def test_nothing_is_sold_after_it_and_doors_are_shut() -> None:
    async with House() as house:
        sold = await house.buy(0, method="cash", buyer=Buyer())
        await house.cancel()
        assert house.world.cores[1].settings.status is SaleStatus.CANCELLED
        with pytest.raises(AssertionError, match="NOT_ON_SALE"):
            await house.world.hold(1, 5)
        [line] = sold.lines
        scan = Scan(id_of(9), "", "", 1, line.ticket, line.version, ScanMode.ADMIT)
        seen = await house.world.ask(1, scan)
        assert isinstance(seen, Scanned) and seen.result is ScanOutcome.TOO_LATE


async def test_reservations_are_given_up_and_told_but_for_a_deposit() -> None:
    async with House() as house:
        terms = Terms(TermsKind.PICK_UP, until_ms=house.world.now_ms + 10**9)
        orders = []
        for seat in (0, 1):
            hold = await house.world.hold(1, seat, channel=PHONE)
            order = placed(await house.desk.place(request(hold, channel=PHONE, buyer=ZOE)))
            orders.append(placed(await house.desk.reserve(order.id, terms, "ada")))
        holds = (
            await house.world.hold(1, 2, channel=PHONE),
            await house.world.hold(2, 3, channel=PHONE),
        )
        both = placed(await house.desk.place(request(*holds, channel=PHONE, buyer=ZOE)))
        both = placed(await house.desk.reserve(both.id, terms, "ada"))
        alone, deposit = orders
        paid(await house.desk.pay(deposit.id, "cash", "a", 500, "", "ada", 500))
        await house.cancel()

        alone, both = await house.now(alone), await house.now(both)
        assert alone.state is OrderState.CANCELLED and alone.finished
        assert (both.state, both.due) == (OrderState.AWAITING_PAYMENT, ADULT)
        assert [line.state for line in both.lines] == [LineState.CANCELLED, LineState.RESERVED]
        assert house.row(deposit)[:2] == (Progress.LEFT, Left.DEPOSIT)
        assert house.book.mails == {deposit.number: {CALLED_OFF}}
        for one in (alone, both):
            kinds = [mail.kind for mail in house.world.mails(one.id)]
            assert kinds == [MailKind.RESERVED, MailKind.CALLED_OFF]
        # What is left of it is bought as ever.
        order = paid(await house.desk.pay(both.id, "cash", "b", ADULT, "", "ada"))
        assert (order.state, order.paid) == (OrderState.PAID, ADULT)
        # A person hands the deposit back; then nothing is left.
        placed(await house.desk.cancel(deposit.id))
        await house.cancel()
        assert house.row(deposit)[0] is Progress.DONE
        assert await house.world.violations() == []


async def test_used_tickets_are_left_and_the_others_of_their_order_given_back() -> None:
    async with House() as house:
        part, whole = await house.buy(0, 1, buyer=ZOE), await house.buy(2, buyer=ZOE)
        for line in (part.lines[1], whole.lines[0]):
            scan = Scan(id_of(line.ticket), "", "", 1, line.ticket, line.version, ScanMode.ADMIT)
            seen = await house.world.ask(1, scan)
            assert isinstance(seen, Scanned) and seen.result is ScanOutcome.ADMITTED
        await house.cancel()
        assert house.row(part) == (Progress.LEFT, Left.TICKET_USED, ADULT, True)
        assert house.row(whole) == (Progress.LEFT, Left.TICKET_USED, 0, True)
        assert (await house.now(part)).state is OrderState.PART_REFUNDED
        await house.cancel()  # again changes nothing
        assert house.row(part) == (Progress.LEFT, Left.TICKET_USED, ADULT, True)
        assert len((await house.now(part)).refunds) == 1
        assert await house.world.violations() == []


async def test_an_exchange_for_it_is_given_up_and_any_other_waited_for() -> None:
    async with House() as house:
        world, desk = house.world, house.desk
        into = placed(await desk.place(request(await world.hold(2, 0), buyer=ZOE)))
        paid(await desk.pay(into.id, "test_card", "a"))
        out = await house.buy(1, buyer=ZOE)
        for order, to in ((into, 1), (out, 2)):
            wanted = ExchangeRequest("x", (1,), await world.hold(to, 3, 4))
            asked = placed(await desk.exchange(order.id, wanted))
            assert asked.state is OrderState.EXCHANGING and asked.due == ADULT
        await house.book.begin(1, "ada", "ill")
        canceller = house.canceller()
        await until(lambda: house.book.rows[1].get(into.number) is not None
                    and house.row(into)[0] is Progress.DONE)  # fmt: skip
        into = await house.now(into)
        assert (into.state, into.paid, into.refunds) == (OrderState.PAID, ADULT, ())
        assert house.row(out)[0] is Progress.TODO, "it may still become another place"
        paid(await desk.pay(out.id, "test_card", "b"))
        await house.ended()
        await canceller.close()
        out = await house.now(out)
        assert (out.state, out.paid, out.refunds) == (OrderState.EXCHANGED, 2 * ADULT, ())
        assert house.row(out) == (Progress.DONE, "", 0, True)
        assert await world.violations() == []


async def test_an_exchange_that_comes_to_nothing_is_refunded_then() -> None:
    async with House() as house:
        order = await house.buy(1, buyer=ZOE)
        wanted = ExchangeRequest("x", (1,), await house.world.hold(2, 3, 4))
        order = placed(await house.desk.exchange(order.id, wanted))
        assert order.exchange is not None
        house.world.now_ms = order.exchange.expires_ms
        await house.cancel()
        order = await house.now(order)
        assert (order.state, order.paid) == (OrderState.REFUNDED, 0)
        assert house.row(order) == (Progress.DONE, "", ADULT, True)
        assert await house.world.violations() == []


async def test_a_refund_that_somebody_made_under_its_id_is_left_to_a_person() -> None:
    async with House() as house:
        order = await house.buy(0, 1, buyer=ZOE)
        placed(await house.desk.refund(order.id, RefundRequest(refund_id(1), (1,))))
        await house.cancel()
        assert house.row(order)[:2] == (Progress.LEFT, "id_reused")
        assert (await house.now(order)).paid == ADULT


# At the same time ----------------------------------------------------------------------


async def test_two_leaders_at_once_give_back_once() -> None:
    async with House() as house:
        sold = [
            await house.buy(seat, also=seat, method=method, buyer=ZOE)
            for seat, method in zip(range(8), itertools.cycle(("cash", "test_card")), strict=False)
        ]
        other = house.canceller(desk=house.world.desk())
        await house.cancel(house.canceller(), other)
        for order in sold:
            order = await house.now(order)
            assert [one.id for one in order.refunds] == [refund_id(1)]
            assert house.world.mails(order.id).count(CALLED_OFF) == 1
            assert house.row(order) == (Progress.DONE, "", ADULT, True)
        assert await house.world.violations() == []


class Meanwhile(Cut):
    """A cut, and the moment (a call of the desk) in which the performance is cancelled."""

    def __init__(self, when: int, at: int = 0, moment: str = "before", fate: str = "fails") -> None:
        super().__init__(at, moment, fate)
        self._when = when
        self.begin: Callable[[], Awaitable[None]] | None = None

    async def through(self, name: str, call: Callable[[], Awaitable[T]], error: Exception) -> T:
        if self.calls + 1 >= self._when and self.begin is not None:
            begin, self.begin = self.begin, None
            await begin()
            for _ in range(100):  # it comes as far as it can while this call is on its way
                await asyncio.sleep(0)
        return await super().through(name, call, error)


class Racing(Life):
    """A life while performance 1 is cancelled, by whoever lives beside the desk."""

    canceller: Canceller | None = None
    cancels: type[Canceller] = Canceller

    def _start(self, cut: Cut) -> None:
        super()._start(cut)
        if self.canceller is None:
            self.book = FakeCancellations(lambda: self.world.orders.all)
        else:
            self.canceller._working.cancel()  # it dies with the desk
        lost, away = ConnectionError("cut"), NotReady("cut")
        book = Port(self.book, cut, lost)
        # Looking for work in vain is no step.
        book.unfinished = self.book.unfinished  # type: ignore[attr-defined]
        self.canceller = self.cancels(
            book,  # type: ignore[arg-type]
            self.desk,
            Port(self.world, cut, away).ask,
            self._rules,
            self._no_room,
            self.world.clock_ms,
            look_s=0.001,
            pace_s=0,
        )
        if isinstance(cut, Meanwhile):
            cut.begin = self.begin

    async def begin(self) -> None:
        await self.book.begin(1, "ada", "ill")

    async def _no_room(self, performance: int) -> bool:
        return False

    async def _rules(self, performance: int) -> Any:
        return self.world.cores[performance].settings

    async def to_the_end(self) -> list[str]:
        if 1 not in self.book.asked:
            await self.begin()
        for count in itertools.count():
            if self.cut.died.is_set():
                await self.desk.close()
                self._start(Cut())
            if self.book.asked[1].ended_ms:
                break
            assert count < MOST_LOOKS, "it never ends"
            if count % 20 == 19:
                self.world.pass_s(PATIENCE_S)
            await asyncio.sleep(0.001)
        return [*await super().to_the_end(), *await self._wrong_cancelling()]

    async def _wrong_cancelling(self) -> list[str]:
        found = []
        for order in self.world.orders.all:
            live = [one for one in order.lines if one.performance == 1]
            if any(one.state in (LineState.SOLD, LineState.RESERVED) for one in live):
                found.append(f"order {order.number} is still in the performance")
            told = self.world.mails(order.id).count(CALLED_OFF)
            undone = sum(bool(one.undone) for one in order.refunds if one.called_off)
            if told != undone or undone > 1:
                found.append(f"order {order.number} was told {told} times of {undone} refunds")
            row = self.book.rows[1].get(order.number)
            if undone and (row is None or row.progress is not Progress.DONE):
                found.append(f"order {order.number} is not counted: {row}")
        return found

    async def close(self) -> None:
        assert self.canceller is not None
        await self.canceller.close()
        await super().close()


async def bought(life: Life) -> None:
    """Two performances are bought by card; what is refused by then is given up."""
    world = life.world
    with contextlib.suppress(AssertionError):  # there is no hold to be had any more
        holds = (await world.hold(1, 0, 1), await world.hold(2, 3))
        wanted = request(*holds, buyer=ZOE)
        order = await life.ask(lambda desk: desk.place(wanted))
        if isinstance(order, OrderRefused):
            return
        id = order.id
        await life.ask(lambda desk: desk.pay(id, "test_card", "a"))


async def for_nothing(life: Life) -> None:
    """Free places of two performances."""
    world = life.world
    holds = [await world.hold(number, 0, kind="guest") for number in (1, 2)]
    await life.ask(lambda desk: desk.place(request(*holds, buyer=ZOE)))


async def raced(
    story: Callable[[Life], Awaitable[None]], cut: Cut, cancels: type[Canceller] = Canceller
) -> list[str]:
    life = type("Life", (Racing,), {"cancels": cancels})(cut)
    try:
        await story(life)
        wrong: list[str] = await life.to_the_end()
        return wrong
    finally:
        await life.close()


@pytest.mark.parametrize("story", [bought, for_nothing])
async def test_a_sale_in_the_moment_of_cancelling_ends_refunded(
    story: Callable[[Life], Awaitable[None]],
) -> None:
    whole = Cut()
    assert await raced(story, whole) == []
    assert whole.calls > 8
    for when in range(1, whole.calls + 1):
        assert await raced(story, Meanwhile(when)) == [], f"cancelled in call {when}"


async def test_wherever_the_process_dies_all_is_given_back_once() -> None:
    """The desk and who cancels are cut at every call of theirs, in every way."""
    whole = Meanwhile(8)
    assert await raced(bought, whole) == []
    for at in range(1, whole.calls + 1):
        for moment, fate in itertools.product(("before", "after"), ("fails", "dies")):
            wrong = await raced(bought, Meanwhile(8, at, moment, fate))
            name = whole.names[at - 1] if at <= len(whole.names) else "never called"
            assert wrong == [], f"call {at} ({name}) {fate} {moment} its effect"


class Hasty(Canceller):
    """Gives back what it finds, and lets the sale go on."""

    async def _end_sale(self, performance: int) -> None:
        return


async def test_cancelling_without_an_end_of_the_sale_is_caught() -> None:
    """The positive control: there must be moments in which a sale slips through."""
    whole = Cut()
    await raced(bought, whole)
    found = [await raced(bought, Meanwhile(when), Hasty) for when in range(1, whole.calls + 1)]
    assert any("still in the performance" in one for wrong in found for one in wrong), found


class Forgetful(FakeCancellations):
    """Finds its orders by their places each time, and writes down nothing before."""

    async def work(self, performance: int, after: int, most: int) -> list[Order]:
        return await self.page(performance, after, most)


async def test_a_book_that_forgets_who_was_given_back_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The positive control of writing orders down before anything is done about them."""
    monkeypatch.setattr(FakeCancellations, "work", Forgetful.work)
    whole = Meanwhile(12)
    await raced(bought, whole)
    for at in range(12, whole.calls + 1):
        try:
            wrong = await raced(bought, Meanwhile(12, at, "before", "fails"))
        except AssertionError as error:
            assert "it never ends" in str(error)
            return
        if any("is not counted" in one for one in wrong):
            return
    raise AssertionError("nobody was lost")


# The provider ----------------------------------------------------------------------------


@pytest.fixture
async def stripe() -> AsyncIterator[tuple[FakeStripe, StripeGateway]]:
    async with FakeStripe() as server:
        gateway = StripeGateway(server.api_key, server.webhook_secret, server.url)
        yield server, gateway
        await gateway.close()


async def on_the_page(house: House, server: FakeStripe, seats: int) -> list[Order]:
    """Orders of one place in each of performances 1 and 2, paid on Stripe's page."""
    server.now_s = lambda: house.world.now_ms // 1_000
    orders = []
    for seat in range(seats):
        holds = (await house.world.hold(1, seat), await house.world.hold(2, seat))
        order = placed(await house.desk.place(request(*holds, buyer=ZOE)))
        answer = await house.desk.pay(order.id, "stripe", "a")
        assert isinstance(answer, tuple)
        server.pay(answer[1].rpartition("/")[2])
        # The page is looked at: no notice is needed.
        orders.append(paid(await house.desk.pay(order.id, "stripe", "a")))
    return orders


def kept(server: FakeStripe) -> list[int]:
    """What Stripe says the house has of each payment."""
    return [
        charge["amount_captured"] - charge["amount_refunded"] for charge in server.charges.values()
    ]


async def test_a_provider_that_loses_its_answers_gives_back_once(
    stripe: tuple[FakeStripe, StripeGateway],
) -> None:
    server, gateway = stripe
    async with House(stripe=gateway) as house:
        orders = await on_the_page(house, server, 4)
        server.cut_next(path=REFUNDS, times=7)  # carried out, and the answer is lost
        server.fail_next(500, path=REFUNDS, times=5)
        await house.cancel()
        assert kept(server) == [ADULT] * len(orders)
        for order in orders:
            order = await house.now(order)
            [refund] = order.payments[0].refunds
            assert (refund.key, refund.state) == (refund_id(1), RefundState.SUCCEEDED)
            assert house.row(order) == (Progress.DONE, "", ADULT, True)
        assert await house.world.violations() == []


class Careless(StripeGateway):
    """Asks for each refund as if for the first time."""

    tries = itertools.count()

    async def refund(self, payment: Payment, key: str, amount: int) -> ProviderEvent:
        # What it hears of it is told under the key that the order knows.
        event = await super().refund(payment, f"{key}-{next(self.tries)}", amount)
        return type(event)(**{name: getattr(event, name) for name in event.__struct_fields__}
                           | {"refund": key})  # fmt: skip


async def test_a_gateway_without_keys_gives_back_twice() -> None:
    """The positive control: this provider does what it is asked as often as it is asked."""
    async with FakeStripe() as server, contextlib.AsyncExitStack() as stack:
        gateway = Careless(server.api_key, server.webhook_secret, server.url)
        stack.push_async_callback(gateway.close)
        async with House(stripe=gateway) as house:
            await on_the_page(house, server, 2)
            server.cut_next(path=REFUNDS, times=8)
            await house.cancel()
            assert any(left < ADULT for left in kept(server)), kept(server)


async def test_a_provider_that_is_away_is_waited_for_and_a_refusal_left_to_people(
    stripe: tuple[FakeStripe, StripeGateway],
) -> None:
    server, gateway = stripe
    async with House(stripe=gateway) as house:
        [late] = await on_the_page(house, server, 1)
        server.fail_next(503, path=REFUNDS, times=400)
        await house.book.begin(1, "ada", "ill")
        canceller = house.canceller()
        await until(lambda: house.book.rows[1].get(late.number) is not None
                    and house.row(late)[0] is Progress.WAITING)  # fmt: skip
        assert not house.book.asked[1].ended_ms, "it goes on"
        server._faults.clear()
        server.fail_next(400, path=REFUNDS, code="charge_disputed")
        await house.ended()
        await canceller.close()
        assert house.row(late)[:2] == (Progress.LEFT, Left.REFUND_FAILED)
        assert kept(server) == [2 * ADULT]


async def test_no_more_is_begun_while_the_provider_has_enough(
    stripe: tuple[FakeStripe, StripeGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canceller_module, "PAGE", 1)
    monkeypatch.setattr(canceller_module, "MAX_WAITING", 2)
    server, gateway = stripe
    async with House(stripe=gateway) as house:
        orders = await on_the_page(house, server, 5)
        server.fail_next(503, path=REFUNDS, times=4_000)
        await house.book.begin(1, "ada", "ill")
        canceller = house.canceller()
        first, second, *rest = orders
        await until(lambda: house.book.rows[1].get(second.number) is not None
                    and house.row(second)[0] is Progress.WAITING)  # fmt: skip
        for _ in range(200):  # it looks again and again
            await asyncio.sleep(0.001)
        assert house.row(first)[0] is Progress.WAITING
        for order in rest:
            assert house.row(order)[0] is Progress.TODO and not (await house.now(order)).refunds
        server._faults.clear()
        await house.ended()
        await canceller.close()
        assert kept(server) == [ADULT] * 5
        assert await house.world.violations() == []


async def test_many_orders_while_everything_fails_now_and_then() -> None:
    told = random.Random(5)

    class Restless:
        """Fails about every fifth call, before or after its effect."""

        def __init__(self, port: Any) -> None:
            self._port = port

        def __getattr__(self, name: str) -> Any:
            method = getattr(self._port, name)
            if name not in ("save", "settle", "gather", "work", "ask", "end"):
                return method

            async def call(*args: Any) -> Any:
                fate = told.random()
                if fate < 0.1:
                    raise NotReady("before")
                answer = await method(*args)
                if fate > 0.9:
                    raise NotReady("after")
                return answer

            return call

    async with House() as house:
        sold = [await house.buy(seat, also=seat, buyer=ZOE) for seat in range(8)]
        await house.desk.close()
        house.desk = house.world.desk(orders=Restless(house.world.orders))
        world = Restless(house.world)
        await house.cancel(house.canceller(book=Restless(house.book), ask=world.ask))
        for order in sold:
            assert house.row(order) == (Progress.DONE, "", ADULT, True)
            assert house.world.mails(order.id).count(CALLED_OFF) == 1
        assert await house.world.violations() == []


async def test_what_a_person_gave_back_meanwhile_is_not_given_back_again() -> None:
    async with House() as house:
        order = await house.buy(0, also=1, method="cash", buyer=Buyer())
        await house.cancel()
        assert house.row(order)[:2] == (Progress.LEFT, Left.BY_HAND)
        wanted = RefundRequest("r1", (1,), "cancelled", "ada")
        assert placed(await house.desk.refund(order.id, wanted)).paid == ADULT
        await house.cancel()
        assert house.row(order)[:2] == (Progress.DONE, "")
        assert (await house.now(order)).paid == ADULT


def placed_in(house: House, order: Order) -> Order:
    return next(one for one in house.world.orders.all if one.id == order.id)


async def test_the_waiting_room_is_closed_and_no_money_waits_for_that() -> None:
    async with House() as house:
        house.rooms, house.silent = {1, 2}, 60
        wanted = request(await house.world.hold(1, 0))
        order = placed(await house.desk.place(wanted))
        paid(await house.desk.pay(order.id, "test_card", "a"))
        await house.book.begin(1, "ada", "ill")
        canceller = house.canceller()
        await until(lambda: placed_in(house, order).state is OrderState.REFUNDED)
        assert house.silent and house.rooms == {1, 2} and not house.book.asked[1].ended_ms
        await until(lambda: bool(house.book.asked[1].ended_ms))
        await canceller.close()
        assert house.rooms == {2}, "that of the cancelled performance alone"
        assert placed(await house.desk.get(order.id)).state is OrderState.REFUNDED
