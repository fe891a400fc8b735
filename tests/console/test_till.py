"""A sale against a real gateway: whatever crashes or is lost, it is sold once or not at all."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from console import client as client_module
from console.client import Client, Problem
from console.link import Link, LinkState
from console.slip import Slip, SlipFile
from console.till import NotSaved, Resumed, Till
from engine.commands import Held, Refusal, Refused, Released, SeatStatus
from engine.orders import OrderState
from engine.payments import PaymentMethod
from engine.settings import Price
from tests.console.houses import settings
from tests.console.server import CASHIER, House, Tangle, running_house
from tests.console.waiting import until


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_WAITS_S", (0.02, 0.02))


@asynccontextmanager
async def at_till(url: str, token: str, state: Path) -> AsyncIterator[Till]:
    """A till without a screen. Leaving it is a crash: nothing is given back or tidied."""
    client = Client(url, token)
    slips = SlipFile(state, "server", CASHIER)
    lost: list[bytes] = []

    def on_lost(performance: int, hold: bytes) -> None:
        lost.append(hold)
        till.lost(performance, hold)

    link = Link(
        url, token, on_feed=lambda frame: till.feed(frame), on_lost=on_lost, backoff_s=(0.02,)
    )
    till = Till(client, link, slips)
    running = asyncio.create_task(link.run())
    try:
        await until(lambda: link.state is LinkState.OPEN)
        yield till
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        slips.close()


@pytest.fixture
async def token(house: House) -> str:
    return await house.operator("paul", "cashier")


async def a_sale(till: Till, size: int = 2) -> Held:
    house = await till.open(1)
    held = await till.best(size, (), (), 0)
    assert isinstance(held, Held)
    assert house.sale.size == size
    return held


async def sold_in(house: House) -> int:
    """Tickets that exist, whoever asks."""
    client = Client(house.url, await house.operator("audit", "admin"))
    return sum(
        1 for order in await client.sales(1, "", 50) for line in order.lines if line.ticket >= 0
    )


async def test_a_sale_from_the_first_seat_to_the_tickets(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await a_sale(till)
        order = await till.place("en")
        assert order.state is OrderState.OPEN and order.total == 9_600
        order = await till.pay(PaymentMethod.CASH, 10_000, "")
        assert order.state is OrderState.PAID
        assert order.payments[0].change == 400
        assert (await till.client.tickets_pdf(order.id, "en")).startswith(b"%PDF")
        assert till.slip is not None and till.slip.paid
        till.next_sale()
        assert till.slips.load() is None
    assert await sold_in(house) == 2


async def test_the_map_shows_what_another_till_does(
    house: House, token: str, tmp_path: Path
) -> None:
    other = await house.operator("lea", "cashier")
    async with (
        at_till(house.url, token, tmp_path / "1") as mine,
        at_till(house.url, other, tmp_path / "2") as theirs,
    ):
        view = await mine.open(1)
        held = await a_sale(theirs)
        await until(lambda: view.replica.statuses[held.seats[0]] == SeatStatus.HELD)
        refused = await mine.hold(held.seats, ())
        assert isinstance(refused, Refused) and refused.code is Refusal.SEAT_TAKEN
        assert isinstance(await theirs.release(), Released)
        await until(lambda: view.replica.statuses[held.seats[0]] == SeatStatus.AVAILABLE)


async def test_going_back_from_payment_keeps_the_seats(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        held = await a_sale(till)
        await till.place("en")
        await till.back_to_basket()
        assert not till.in_payment
        released = await till.release(held.seats[:1])
        assert isinstance(released, Released)
        order = await till.place("en")
        assert len(order.lines) == 1


async def test_an_emptied_basket_leaves_no_slip_and_a_fresh_hold(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        held = await a_sale(till)
        assert till.slips.load() is not None
        await till.release()
        assert till.slips.load() is None
        assert till.house is not None and till.house.sale.token != held.token
        assert isinstance(await till.hold(held.seats, ()), Held)


# Crashes --------------------------------------------------------------------------


async def resumed(house: House, token: str, state: Path, expect: Resumed) -> Till:
    async with at_till(house.url, token, state) as till:
        assert await till.resume() is expect
        return till


async def test_after_a_crash_with_seats_held_the_basket_is_back(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        held = await a_sale(till)
        assert till.house is not None
        till.house.sale.next_price(till.house.sale.lines()[1], 0)
        till.details_changed()
    async with at_till(house.url, token, tmp_path) as till:
        assert await till.resume() is Resumed.BASKET
        assert till.house is not None
        assert tuple(till.house.sale.seats) == held.seats
        assert list(till.house.sale.seats.values()) == ["full", "child"]
        await till.place("en")
        order = await till.pay(PaymentMethod.CASH, 7_200, "")
        assert order.state is OrderState.PAID


async def test_after_a_crash_before_the_hold_was_answered_nothing_is_lost(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await till.open(1)
        ask = asyncio.create_task(till.best(3, (), (), 0))
        await asyncio.sleep(0)  # sent, and the console dies before the answer
        await asyncio.sleep(0)
        ask.cancel()
    async with at_till(house.url, token, tmp_path) as till:
        # The seats are held, or the command never arrived: either way no seat is stuck.
        outcome = await till.resume()
        assert outcome in (Resumed.BASKET, Resumed.GONE)
        assert till.house is not None
        assert till.house.sale.size == (3 if outcome is Resumed.BASKET else 0)


async def test_after_a_crash_with_an_order_placed_it_waits_for_its_money(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await a_sale(till)
        placed = await till.place("en")
    async with at_till(house.url, token, tmp_path) as till:
        assert await till.resume() is Resumed.TO_PAY
        assert till.order is not None and till.order.id == placed.id
        assert till.house is not None and till.house.sale.size == 2
        order = await till.pay(PaymentMethod.CARD_TERMINAL, 0, "V-1")
        assert order.state is OrderState.PAID
    assert await sold_in(house) == 2


async def test_after_a_crash_with_a_free_order_placed_its_tickets_are_left_to_print(
    tmp_path: Path,
) -> None:
    free = settings(prices=tuple(Price(number, "full", 0) for number in range(3)))
    async with running_house(rules=free) as house:
        token = await house.operator("paul", "cashier")
        async with at_till(house.url, token, tmp_path) as till:
            await a_sale(till)
            placed = await till.place("en")
            assert (placed.state, placed.total) == (OrderState.PAID, 0)
            assert till.slip is not None and till.slip.paid
        async with at_till(house.url, token, tmp_path) as till:
            assert await till.resume() is Resumed.SOLD
            assert till.order is not None and till.order.id == placed.id
        assert await sold_in(house) == 2


async def test_after_a_crash_before_the_order_arrived_the_basket_is_back(
    house: House, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await a_sale(till)

        async def dies(*_: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(till.client, "place", dies)
        with pytest.raises(KeyboardInterrupt):
            await till.place("en")
        saved = till.slips.load()
        assert saved is not None and saved.order  # written down before it was sent
    async with at_till(house.url, token, tmp_path) as till:
        assert await till.resume() is Resumed.BASKET
        assert not till.in_payment


@pytest.mark.parametrize("arrived", [True, False])
async def test_after_a_crash_while_paying_the_payment_counts_once(
    house: House, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arrived: bool
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await a_sale(till)
        await till.place("en")
        real = till.client.pay

        async def dies(*told: object) -> None:
            if arrived:
                await real(*told)  # type: ignore[arg-type]
            raise KeyboardInterrupt

        monkeypatch.setattr(till.client, "pay", dies)
        with pytest.raises(KeyboardInterrupt):
            await till.pay(PaymentMethod.CASH, 10_000, "")
        saved = till.slips.load()
    assert saved is not None and saved.payment is not None
    async with at_till(house.url, token, tmp_path) as till:
        expected = Resumed.SOLD if arrived else Resumed.TO_PAY
        assert await till.resume() is expected
        assert till.order is not None
        if not arrived:
            order = await till.pay(PaymentMethod.CASH, 10_000, "")
            assert till.slip is not None and till.slip.payment is not None
            assert till.slip.payment.attempt == saved.payment.attempt
        order = till.order
        assert order.state is OrderState.PAID
        assert [payment.captured for payment in order.payments] == [9_600]
    assert await sold_in(house) == 2


async def test_after_a_crash_with_the_tickets_not_printed_they_can_be(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await a_sale(till)
        await till.place("en")
        sold = await till.pay(PaymentMethod.CASH, 9_600, "")
    async with at_till(house.url, token, tmp_path) as till:
        assert await till.resume() is Resumed.SOLD
        assert till.order is not None and till.order.id == sold.id


async def test_after_a_crash_with_the_hold_gone_the_till_is_empty(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        held = await a_sale(till)
        saved = till.slips.load()
        await till.release()
        assert saved is not None
        till.slips.save(saved)
    async with at_till(house.url, token, tmp_path) as till:
        assert await till.resume() is Resumed.GONE
        assert till.slips.load() is None
        assert till.house is not None and till.house.sale.token != held.token
        assert await till.resume() is Resumed.NOTHING


async def test_a_slip_of_a_performance_that_is_no_more_locks_nobody_out(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        till.slips.save(Slip(99, "ab" * 16))
        assert await till.resume() is Resumed.GONE
        assert till.slips.load() is None


async def test_what_cannot_be_written_down_is_not_asked(
    house: House, token: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        view = await till.open(1)

        def full(slip: Slip) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(till.slips, "save", full)
        with pytest.raises(NotSaved, match="No space left"):
            await till.best(2, (), (), 0)
        assert view.sale.size == 0 and till.link.unanswered == 0
        assert SeatStatus.HELD not in view.replica.statuses


# A bad network --------------------------------------------------------------------


@pytest.mark.parametrize(
    "lost", [b"POST /api/orders ", b"/pay "], ids=["answer to the order", "answer to the payment"]
)
async def test_a_lost_answer_is_asked_for_again_and_counts_once(
    house: House, tangle: Tangle, token: str, tmp_path: Path, lost: bytes
) -> None:
    async with at_till(tangle.url, token, tmp_path) as till:
        await a_sale(till)
        tangle.drop_answer_after = lost
        await till.place("en")
        order = await till.pay(PaymentMethod.CASH, 10_000, "")
        assert tangle.drop_answer_after is None, "the fault was not hit"
        assert order.state is OrderState.PAID
        assert len(order.payments) == 1
    assert await sold_in(house) == 2


async def test_a_cut_connection_does_not_lose_a_hold_or_make_two(
    house: House, tangle: Tangle, token: str, tmp_path: Path
) -> None:
    async with at_till(tangle.url, token, tmp_path) as till:
        view = await till.open(1)
        for _ in range(5):
            ask = asyncio.create_task(till.best(2, (), (), 0))
            await asyncio.sleep(0.002)
            tangle.cut()
            held = await asyncio.wait_for(ask, 10)
            assert isinstance(held, Held) and len(held.seats) == 2
        assert view.sale.size == 10
        await until(lambda: list(view.replica.statuses).count(SeatStatus.HELD) == 10)


async def test_the_picture_catches_up_after_a_cut(
    house: House, tangle: Tangle, token: str, tmp_path: Path
) -> None:
    other = await house.operator("lea", "cashier")
    async with (
        at_till(tangle.url, token, tmp_path / "1") as mine,
        at_till(house.url, other, tmp_path / "2") as theirs,
    ):
        view = await mine.open(1)
        tangle.accepting = False
        tangle.cut()
        held = await a_sale(theirs, 6)
        tangle.accepting = True
        await until(
            lambda: all(view.replica.statuses[seat] == SeatStatus.HELD for seat in held.seats)
        )


async def test_a_hold_that_runs_out_empties_the_till(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        held = await a_sale(till)
        assert not till.lost(1, b"another hold....")
        assert not till.lost(2, held.token)
        assert till.lost(1, held.token)
        assert till.house is not None and till.house.sale.size == 0
        assert till.slips.load() is None


async def test_a_hold_in_payment_is_not_given_up_by_a_rumour(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        held = await a_sale(till)
        await till.place("en")
        assert not till.lost(1, held.token)
        assert till.in_payment


async def test_a_refused_payment_leaves_the_order_to_be_paid(
    house: House, token: str, tmp_path: Path
) -> None:
    async with at_till(house.url, token, tmp_path) as till:
        await a_sale(till)
        await till.place("en")
        with pytest.raises(Problem) as raised:
            await till.pay(PaymentMethod.CASH, 100, "")
        assert raised.value.code == "given_too_little"
        assert till.slip is not None and till.slip.payment is None
        order = await till.pay(PaymentMethod.CASH, 9_600, "")
        assert order.state is OrderState.PAID


async def test_seats_are_blocked_and_put_back(house: House, tmp_path: Path) -> None:
    token = await house.operator("chief", "admin")
    async with at_till(house.url, token, tmp_path) as till:
        view = await till.open(1)
        seats = view.seating.find_seats("stalls h 1-4")
        await till.block(seats, "camera")
        refused = await till.hold(seats[:1], ())
        assert isinstance(refused, Refused) and refused.code is Refusal.SEAT_BLOCKED
        await till.unblock(seats)
        assert isinstance(await till.hold(seats[:4], ()), Held)
