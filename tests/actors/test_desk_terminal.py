"""Orders paid at a card reader: every way in which the reader, its news or the desk can fail."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator

import pytest

from engine.actors import NotReady, order_keeper
from engine.actors import desk as desk_module
from engine.actors.payments import StripeGateway
from engine.commands import Channel
from engine.orders import (
    DeskRefusal,
    ExchangeRequest,
    Order,
    OrderRefused,
    OrderState,
    RefundRequest,
)
from engine.payments import (
    READER_WAIT_MS,
    TIMED_OUT,
    CardReader,
    Payment,
    PaymentRefusal,
    PaymentState,
    ProviderEvent,
    ProviderEventKind,
    RefundState,
    Standing,
)
from engine.tills import AtTill
from tests.actors.desks import ADULT, CHILD, World, paid, placed, request
from tests.actors.shops import Shop, shop_of
from tests.fakes.stripe_server import FakeStripe

TILL = Channel.BOX_OFFICE
METHOD = "stripe_terminal"
PATIENCE_S = order_keeper.PATIENCE_MS / 1_000


@pytest.fixture(autouse=True)
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "SWEEP_S", 0.005)
    monkeypatch.setattr("stripe._http_client.HTTPClient.INITIAL_DELAY", 0.01)
    monkeypatch.setattr("stripe._http_client.HTTPClient.MAX_DELAY", 0.01)


class Counter(Shop):
    """A cashier, and a reader in front of the customer."""

    reader: str

    async def sale(self, *seats: int) -> Order:
        hold = await self.world.hold(1, *seats or (0,), channel=TILL)
        return placed(await self.desk.place(request(hold, channel=TILL)))

    async def ask(self, order: Order, attempt: str = "a", **how: object) -> object:
        given = {"reference": self.reader, "operator": "ada"} | how
        return await self.desk.pay(order.id, METHOD, attempt, **given)  # type: ignore[arg-type]

    async def asked(self, order: Order, attempt: str = "a", **how: object) -> str:
        """The PaymentIntent that the reader shows."""
        waiting = paid(await self.ask(order, attempt, **how))
        assert waiting.payments[-1].at_reader
        shown = self.server.terminal.shows(self.reader)
        assert shown == waiting.payments[-1].intent
        return shown

    async def stored(self, order: Order) -> Payment:
        """The order's last payment as it was saved."""
        found = await self.world.orders.get(order.id)
        assert found is not None
        return found.payments[-1]

    async def ended(self, order: Order) -> Payment:
        """The last payment, once nothing is waited for."""
        async with asyncio.timeout(20):
            while True:
                payment = await self.stored(order)
                if not payment.at_reader:
                    return payment
                await asyncio.sleep(0.002)

    def kept_of(self, intent: str) -> int:
        """What Stripe says the house has of a PaymentIntent's money."""
        charge = self.server.charges.get(intent, {"amount_captured": 0, "amount_refunded": 0})
        return int(charge["amount_captured"] - charge["amount_refunded"])


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    yield world
    await world.close()


@pytest.fixture
async def counter(world: World) -> AsyncIterator[Counter]:
    async with shop_of(world, Counter) as counter:
        counter.reader = counter.server.terminal.add_reader()
        yield counter
        live = [one for one in counter.server.terminal.intents.values() if waits(one)]
        assert not live, "a card could still be charged for what nobody waits for"
        taken = sum(counter.kept_of(intent) for intent in counter.server.terminal.intents)
        booked = [one for order in world.orders.all for one in order.payments if one.intent]
        assert taken == sum(one.captured - one.refunded for one in booked)


def waits(intent: dict[str, object]) -> bool:
    return intent["status"] not in ("succeeded", "canceled")


# Paying ----------------------------------------------------------------------------


async def test_the_amount_is_shown_a_card_is_presented_and_the_seats_are_sold(
    counter: Counter,
) -> None:
    order = await counter.sale(0, 1)
    intent = await counter.asked(order)
    made = counter.server.terminal.intents[intent]
    assert (made["amount"], made["currency"], made["capture_method"]) == (
        *(2 * ADULT, "eur"),
        "automatic",
    )
    config = counter.server.terminal.readers[counter.reader]["action"]["process_payment_intent"]
    assert config["process_config"] == {
        "enable_customer_cancellation": "true",
        "skip_tipping": "true",
    }
    counter.server.terminal.present(counter.reader)
    sold = await counter.until(order, OrderState.PAID)
    assert sold.payments[0].standing is Standing.CONFIRMED
    assert (sold.paid, counter.kept_of(intent)) == (2 * ADULT, 2 * ADULT)
    assert paid(await counter.ask(order)).state is OrderState.PAID


async def test_asking_again_shows_nothing_a_second_time(counter: Counter) -> None:
    order = await counter.sale()
    assert await counter.asked(order) == await counter.asked(order)
    assert len(counter.server.terminal.intents) == 1
    posts = [path for method, path, _ in counter.server.requests if method == "POST"]
    assert len(posts) == 2, "a PaymentIntent and a reader that shows it"
    counter.server.terminal.present(counter.reader)
    await counter.until(order, OrderState.PAID)


async def test_every_call_has_its_key(counter: Counter) -> None:
    order = await counter.sale()
    await counter.asked(order)
    placed(await counter.desk.stop(order.id, "a"))
    posts = [(path, key) for method, path, key in counter.server.requests if method == "POST"]
    assert all(key for _, key in posts)
    assert [key for _, key in posts[:2]] == [f"terminal-{order.id}-1", f"process-{order.id}-a"]
    placed(await counter.desk.cancel(order.id))


async def test_news_that_is_lost_is_found_by_asking_again(counter: Counter) -> None:
    counter.server.webhooks.url = None
    order = await counter.sale()
    await counter.asked(order)
    counter.server.terminal.present(counter.reader)
    assert paid(await counter.ask(order)).state is OrderState.PAID


async def test_news_that_is_lost_is_found_though_nobody_asks(
    world: World, counter: Counter
) -> None:
    counter.server.webhooks.url = None
    order = await counter.sale()
    await counter.asked(order)
    counter.server.terminal.present(counter.reader)
    world.pass_s(PATIENCE_S)
    await counter.until(order, OrderState.PAID)


async def test_a_desk_that_dies_is_followed_by_one_that_finishes(
    world: World, counter: Counter
) -> None:
    counter.server.webhooks.url = None
    order = await counter.sale()
    await counter.asked(order)
    await counter.desk.close()
    counter.server.terminal.present(counter.reader)
    world.pass_s(PATIENCE_S)
    await counter.restart()
    await counter.until(order, OrderState.PAID)


async def test_a_reader_that_loses_its_connection_while_the_card_is_charged(
    counter: Counter,
) -> None:
    """What it tells is a failure; the money is there."""
    order = await counter.sale()
    await counter.asked(order)
    counter.server.webhooks.dropped = {"payment_intent.succeeded"}
    counter.server.terminal.present(counter.reader, told=False)
    sold = await counter.until(order, OrderState.PAID)
    assert len(sold.payments) == 1


@pytest.mark.parametrize(
    ("fault", "path"),
    [
        ("cut", "/v1/payment_intents"),
        ("cut", "process_payment_intent"),
        ("away", "/v1/payment_intents"),
        ("away", "/v1/terminal/readers/"),
        ("away", "process_payment_intent"),
    ],
)
async def test_an_answer_that_is_lost_is_asked_again_and_charges_once(
    counter: Counter, fault: str, path: str
) -> None:
    order = await counter.sale()
    if fault == "cut":
        counter.server.cut_next(path=path, times=3)
    else:
        counter.server.fail_next(503, path=path, times=3)
    with pytest.raises(NotReady):
        await counter.ask(order)
    await counter.asked(order)
    assert len(counter.server.terminal.intents) == 1
    counter.server.terminal.present(counter.reader)
    await counter.until(order, OrderState.PAID)


async def test_a_part_at_the_reader_and_the_rest_in_cash(counter: Counter) -> None:
    order = await counter.sale(0, 1)
    await counter.asked(order, amount=1_500)
    counter.server.terminal.present(counter.reader)
    await counter.ended(order)
    part = await counter.until(order, OrderState.OPEN)
    assert (part.paid, part.due) == (1_500, 2 * ADULT - 1_500)
    await counter.desk.pay(order.id, "cash", "b", 2 * ADULT - 1_500, "", "ada")
    sold = await counter.until(order, OrderState.PAID)
    assert sold.paid == 2 * ADULT


# What is declined, or cannot be asked ------------------------------------------------


async def test_a_card_that_is_declined_says_why_and_another_is_tried(counter: Counter) -> None:
    order = await counter.sale()
    first = await counter.asked(order)
    counter.server.terminal.present(counter.reader, "insufficient_funds")
    await counter.ended(order)
    refused = await counter.ask(order)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "insufficient_funds")
    assert counter.server.terminal.intents[first]["status"] == "canceled"
    await counter.asked(order, "b")
    counter.server.terminal.present(counter.reader)
    sold = await counter.until(order, OrderState.PAID)
    assert [one.state for one in sold.payments] == [PaymentState.FAILED, PaymentState.PAID]


async def test_a_reader_that_is_offline_is_said_so_and_shows_nothing(counter: Counter) -> None:
    order = await counter.sale()
    counter.server.terminal.unplug(counter.reader)
    refused = await counter.ask(order)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "terminal_reader_offline")
    assert counter.server.terminal.shows(counter.reader) == ""
    await counter.desk.pay(order.id, "cash", "b", ADULT, "", "ada")
    await counter.until(order, OrderState.PAID)


async def test_a_reader_that_does_not_answer_in_time_charges_nothing(counter: Counter) -> None:
    """Perhaps it heard: the PaymentIntent is cancelled, so that no card is charged for it."""
    order = await counter.sale()
    fault = "process_payment_intent"
    counter.server.fail_next(400, path=fault, code="terminal_reader_timeout")
    refused = await counter.ask(order)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "terminal_reader_timeout")
    [intent] = counter.server.terminal.intents.values()
    assert intent["status"] == "canceled"
    await counter.asked(order, "b")
    counter.server.terminal.present(counter.reader)
    await counter.until(order, OrderState.PAID)


async def test_a_reader_that_nobody_knows(counter: Counter) -> None:
    order = await counter.sale()
    refused = await counter.ask(order, reference="tmr_of_another")
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "resource_missing")
    refused = await counter.ask(order, "b", reference=" ")
    assert refused == OrderRefused(PaymentRefusal.REFERENCE_MISSING)
    refused = await counter.ask(order, "b", reference="t" * 65)
    assert refused == OrderRefused(PaymentRefusal.REFERENCE_TOO_LONG)
    placed(await counter.desk.cancel(order.id))


async def test_a_sum_that_stripe_does_not_take_ends_the_attempt(counter: Counter) -> None:
    order = await counter.sale()
    refused = await counter.ask(order, amount=49)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "amount_too_small")
    assert (await counter.stored(order)).state is PaymentState.FAILED
    placed(await counter.desk.cancel(order.id))


async def test_a_reader_where_somebody_else_pays_is_left_alone(counter: Counter) -> None:
    first, second = await counter.sale(0), await counter.sale(1)
    shown = await counter.asked(first)
    refused = await counter.ask(second)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "terminal_reader_busy")
    assert counter.server.terminal.shows(counter.reader) == shown
    counter.server.terminal.present(counter.reader)
    await counter.until(first, OrderState.PAID)
    await counter.asked(second, "b")
    counter.server.terminal.present(counter.reader)
    await counter.until(second, OrderState.PAID)


async def test_a_reader_that_still_shows_what_is_over_is_freed(counter: Counter) -> None:
    first, second = await counter.sale(0), await counter.sale(1)
    await counter.asked(first)
    counter.server.fail_next(400, path="cancel_action", code="terminal_reader_busy")
    placed(await counter.desk.stop(first.id, "a"))
    assert counter.server.terminal.shows(counter.reader), "it did not hear that it is over"
    await counter.asked(second)
    counter.server.terminal.present(counter.reader)
    await counter.until(second, OrderState.PAID)
    placed(await counter.desk.cancel(first.id))


async def test_a_reader_that_is_at_something_else_is_not_disturbed(counter: Counter) -> None:
    order = await counter.sale()
    reader = counter.server.terminal.readers[counter.reader]
    reader["action"] = {"type": "set_reader_display", "status": "in_progress"}
    refused = await counter.ask(order)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "terminal_reader_busy")
    placed(await counter.desk.cancel(order.id))


async def test_a_customer_who_presses_cancel(counter: Counter) -> None:
    order = await counter.sale()
    await counter.asked(order)
    counter.server.terminal.give_up(counter.reader)
    assert (await counter.ended(order)).why == "customer_canceled"
    refused = await counter.ask(order)
    assert refused == OrderRefused(DeskRefusal.PAYMENT_REFUSED, "customer_canceled")
    placed(await counter.desk.cancel(order.id))


async def test_a_card_that_nobody_presents_times_out(world: World, counter: Counter) -> None:
    order = await counter.sale()
    intent = await counter.asked(order)
    world.pass_s(READER_WAIT_MS / 1_000)
    assert (await counter.ended(order)).why == TIMED_OUT
    assert counter.server.terminal.shows(counter.reader) == ""
    assert counter.server.terminal.intents[intent]["status"] == "canceled"
    placed(await counter.desk.cancel(order.id))


# Stopping ----------------------------------------------------------------------------


async def test_a_cashier_who_stops_it_clears_the_reader(counter: Counter) -> None:
    order = await counter.sale()
    intent = await counter.asked(order)
    stopped = placed(await counter.desk.stop(order.id, "a"))
    assert stopped.state is OrderState.OPEN
    assert stopped.payments[0].state is PaymentState.EXPIRED
    assert counter.server.terminal.shows(counter.reader) == ""
    assert counter.server.terminal.intents[intent]["status"] == "canceled"
    assert placed(await counter.desk.stop(order.id, "a")) == stopped
    assert await counter.desk.stop("f" * 32, "a") == OrderRefused(DeskRefusal.ORDER_UNKNOWN)
    assert await counter.ask(order) == OrderRefused(DeskRefusal.ATTEMPT_OVER)
    placed(await counter.desk.cancel(order.id))


async def test_a_stop_that_comes_after_the_card_finds_it_paid(counter: Counter) -> None:
    counter.server.webhooks.url = None
    order = await counter.sale()
    await counter.asked(order)
    counter.server.terminal.present(counter.reader)
    assert placed(await counter.desk.stop(order.id, "a")).state is OrderState.PAID


async def test_a_stop_before_stripe_was_heard_of(counter: Counter) -> None:
    order = await counter.sale()
    counter.server.cut_next(path="/v1/payment_intents", times=3)
    with pytest.raises(NotReady):
        await counter.ask(order)
    stopped = placed(await counter.desk.stop(order.id, "a"))
    assert stopped.payments[0].standing is Standing.CLOSED
    [made] = counter.server.terminal.intents.values()
    made["status"] = "canceled"  # no reader was asked to show it; Stripe forgets it
    placed(await counter.desk.cancel(order.id))


async def test_a_card_that_cannot_be_stopped_is_waited_for(
    world: World, counter: Counter, caplog: pytest.LogCaptureFixture
) -> None:
    """It can neither be cancelled nor is it paid: the cashier may go on, what comes goes back."""
    order = await counter.sale()
    intent = await counter.asked(order)
    counter.server.fail_next(400, path=f"{intent}/cancel", code="strange")
    placed(await counter.desk.stop(order.id, "a"))
    assert "stays open" in caplog.text
    counter.server.terminal.present(counter.reader)
    await counter.server.drained()
    assert counter.kept_of(intent) == 0
    assert (await counter.stored(order)).state is PaymentState.REFUNDED
    placed(await counter.desk.cancel(order.id))


@pytest.mark.parametrize("way", ["cancel", "another way to pay", "time"])
async def test_an_order_that_goes_on_without_it_charges_no_card(
    world: World, counter: Counter, way: str
) -> None:
    order = await counter.sale()
    intent = await counter.asked(order)
    if way == "cancel":
        placed(await counter.desk.cancel(order.id))
    elif way == "time":
        world.now_ms = order.expires_ms
        await counter.until(order, OrderState.EXPIRED)
    else:
        await counter.desk.pay(order.id, "cash", "b", ADULT, "", "ada")
        await counter.until(order, OrderState.PAID)
    assert counter.server.terminal.shows(counter.reader) == ""
    assert counter.server.terminal.intents[intent]["status"] == "canceled"


async def test_a_card_presented_as_the_order_ends_buys_it(world: World, counter: Counter) -> None:
    counter.server.webhooks.url = None
    order = await counter.sale()
    await counter.asked(order)
    world.now_ms = order.expires_ms - 1
    counter.server.terminal.present(counter.reader)
    world.now_ms = order.expires_ms
    await counter.until(order, OrderState.PAID)


async def test_seats_that_were_lost_meanwhile_give_the_money_back(
    world: World, counter: Counter
) -> None:
    order = await counter.sale()
    intent = await counter.asked(order)
    await world.lose(order, order.holds[0])
    counter.server.terminal.present(counter.reader)
    await counter.until(order, OrderState.REFUNDED)
    assert counter.kept_of(intent) == 0
    assert await counter.ask(order) == OrderRefused(DeskRefusal.SEATS_LOST)


# Exchanges ---------------------------------------------------------------------------


async def exchanging(counter: Counter) -> Order:
    """A child's seat, paid in cash, to be given for an adult's in performance 2."""
    hold = await counter.world.hold(1, 0, kind="child", channel=TILL)
    order = placed(await counter.desk.place(request(hold, channel=TILL)))
    await counter.desk.pay(order.id, "cash", "c", 2_000, "", "ada")
    better = await counter.world.hold(2, 0, channel=TILL)
    asked = ExchangeRequest("x", (1,), better, "ada")
    return placed(await counter.desk.exchange(order.id, asked))


async def test_the_difference_of_an_exchange_is_paid_at_the_reader(counter: Counter) -> None:
    order = await exchanging(counter)
    intent = await counter.asked(order)
    assert counter.server.terminal.intents[intent]["amount"] == order.due == ADULT - CHILD
    counter.server.terminal.present(counter.reader)
    changed = await counter.until(order, OrderState.EXCHANGED)
    assert changed.paid == changed.worth == ADULT


@pytest.mark.parametrize("way", ["cancel", "time"])
async def test_an_exchange_that_is_given_up_stops_the_reader(
    world: World, counter: Counter, way: str
) -> None:
    order = await exchanging(counter)
    intent = await counter.asked(order)
    assert order.exchange is not None
    if way == "cancel":
        placed(await counter.desk.cancel(order.id, order.exchange.id))
    else:
        world.now_ms = order.exchange.expires_ms
    kept = await counter.until(order, OrderState.PAID)
    assert kept.paid == CHILD
    assert counter.server.terminal.intents[intent]["status"] == "canceled"


# Afterwards --------------------------------------------------------------------------


async def test_a_refund_goes_back_to_the_card_by_itself(counter: Counter) -> None:
    order = await counter.sale(0, 1)
    intent = await counter.asked(order)
    counter.server.terminal.present(counter.reader)
    await counter.until(order, OrderState.PAID)
    part = placed(await counter.desk.refund(order.id, RefundRequest("r1", (2,), "ill", "ada")))
    assert (part.paid, counter.kept_of(intent)) == (ADULT, ADULT)
    assert part.payments[0].refunds[0].state is RefundState.SUCCEEDED
    rest = placed(await counter.desk.refund(order.id, RefundRequest("r2", (), "ill", "ada")))
    assert (rest.state, rest.paid, counter.kept_of(intent)) == (OrderState.REFUNDED, 0, 0)


async def test_it_belongs_to_the_till_session_of_who_takes_it(counter: Counter) -> None:
    order = await counter.sale()
    till = AtTill("e" * 32, "EUR", required=True)
    refused = await counter.ask(order, at_till=AtTill(required=True))
    assert refused == OrderRefused(DeskRefusal.TILL_CLOSED)
    refused = await counter.ask(order, operator="")
    assert refused == OrderRefused(DeskRefusal.OPERATOR_MISSING)
    await counter.asked(order, at_till=till)
    assert (await counter.until(order, OrderState.OPEN)).till == till.session, (
        "it is not closed now"
    )
    counter.server.terminal.present(counter.reader)
    sold = await counter.until(order, OrderState.PAID)
    assert (sold.payments[0].till, sold.till) == (till.session, "")


async def test_the_readers_of_the_account_and_a_card_for_a_simulated_one(counter: Counter) -> None:
    told = await counter.desk.readers()
    assert told == [CardReader(counter.reader, "Till 1", "simulated_wisepos_e", True)]
    refused = await counter.desk.present(counter.reader, "")
    assert isinstance(refused, OrderRefused) and refused.code == DeskRefusal.PAYMENT_REFUSED
    order = await counter.sale()
    await counter.asked(order)
    assert await counter.desk.present(counter.reader, "4000000000000002") is None
    assert (await counter.ended(order)).why == "generic_decline"
    await counter.asked(order, "b")
    assert await counter.desk.present(counter.reader, "") is None
    await counter.until(order, OrderState.PAID)
    counter.server.fail_next(503, path="/v1/", times=9)
    for call in (counter.desk.readers(), counter.desk.present(counter.reader, "")):
        with pytest.raises(NotReady):
            await call


async def test_a_house_without_stripe_has_no_readers(world: World) -> None:
    desk = world.desk()
    hold = await world.hold(1, 0, channel=TILL)
    order = placed(await desk.place(request(hold, channel=TILL)))
    none = OrderRefused(DeskRefusal.METHOD_NOT_OFFERED, METHOD)
    assert await desk.pay(order.id, METHOD, "a", 0, "tmr_1", "ada") == none
    assert await desk.readers() == none
    assert await desk.present("tmr_1", "") == none


async def test_all_orders_of_the_notices_of_two_attempts_come_to_one_sale() -> None:
    """One card is declined and another pays; nobody asks meanwhile. Every notice comes twice."""
    ends = set()
    for order_told in itertools.permutations(range(5)):
        world = World()
        async with shop_of(world, Counter) as counter:
            terminal = counter.server.terminal
            counter.reader = terminal.add_reader()
            counter.server.webhooks.held = True
            order = await counter.sale()
            await counter.asked(order)
            terminal.present(counter.reader, "expired_card")
            await counter.ask(order)
            await counter.asked(order, "b")
            terminal.present(counter.reader)
            counter.server.release(
                lambda events, told=order_told: [events[at] for at in told for _ in range(2)]
            )
            await counter.server.drained()
            stored = await counter.until(order, OrderState.PAID)
            ends.add(tuple((one.state, one.standing, one.why, one.kept) for one in stored.payments))
            assert len(world.orders.events) == 5
        await world.close()
    assert ends == {
        (
            (PaymentState.FAILED, Standing.CLOSED, "expired_card", 0),
            (PaymentState.PAID, Standing.CONFIRMED, "", ADULT),
        )
    }


class Credulous(StripeGateway):
    """Believes what a reader tells, and not the PaymentIntent."""

    async def collect(self, payment: Payment) -> ProviderEvent:
        event = await super().collect(payment)
        if event.kind is ProviderEventKind.PAID:
            told = (await self._reader(payment)).action
            if told is not None and told.status == "failed":
                return ProviderEvent(
                    ProviderEventKind.FAILED, "told", payment.currency, intent=payment.intent
                )
        return event


async def test_a_desk_that_believed_the_reader_would_take_money_for_nothing(world: World) -> None:
    """So these tests can see it."""
    async with FakeStripe(now_s=lambda: world.now_ms // 1_000) as server:
        stripe = Credulous(server.api_key, server.webhook_secret, server.url)
        desk = world.desk(stripe=stripe)
        reader = server.terminal.add_reader()
        hold = await world.hold(1, 0, channel=TILL)
        order = placed(await desk.place(request(hold, channel=TILL)))
        paid(await desk.pay(order.id, METHOD, "a", 0, reader, "ada"))
        server.terminal.present(reader, told=False)
        refused = await desk.pay(order.id, METHOD, "a", 0, reader, "ada")
        assert refused == OrderRefused(DeskRefusal.ATTEMPT_OVER)
        [charge] = server.charges.values()
        assert charge["amount_captured"] == ADULT, "and nobody here knows"
        await stripe.close()


@pytest.mark.parametrize("seed", range(12))
async def test_a_whole_life_told_in_any_order_ends_the_same(counter: Counter, seed: int) -> None:
    """Declined, then paid, then a part refunded: doubled, mixed up and late."""
    counter.server.webhooks.held = True
    counter.server.refund_status = "pending"
    order = await counter.sale(0, 1)
    await counter.asked(order)
    counter.server.terminal.present(counter.reader, "insufficient_funds")
    await counter.ask(order)
    intent = await counter.asked(order, "b")
    counter.server.terminal.present(counter.reader)
    paid(await counter.ask(order, "b"))
    placed(await counter.desk.refund(order.id, RefundRequest("r", (1,), "", "ada")))
    [refund] = counter.server.refunds
    counter.server.move_refund(refund, "succeeded")
    told = random.Random(seed)
    counter.server.release(lambda events: told.sample(events * 2, len(events) * 2))
    await counter.server.drained()
    stored = await counter.until(order, OrderState.PART_REFUNDED)
    assert stored.paid == ADULT == counter.kept_of(intent)
    assert {status for _, status in counter.server.deliveries} == {200}
