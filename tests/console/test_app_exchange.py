"""Exchanges at the till: dearer, cheaper, for another evening, given up, and after a crash."""

from pathlib import Path

from textual.widgets import Static

from console.screens.ask import AskDialog
from console.screens.pay import PayDialog
from console.screens.programme import ProgrammeScreen
from console.screens.sale import SaleScreen
from engine.commands import SeatStatus
from engine.orders import LineState, Order, OrderState
from tests.console.driving import Cashier, a_sold_order, cashier, open_order
from tests.console.server import House
from tests.console.waiting import until


def stored(house: House, order: Order) -> Order:
    return house.fake.desk.orders.by_id[order.id]


def statuses(house: House) -> list[SeatStatus]:
    return [SeatStatus(code) for code in house.fake.performances.live[1].core.statuses()]


async def begin(me: Cashier, fee: str, *, mark: bool = True) -> None:
    """From the order's screen to its seats, the first line marked."""
    await open_order(me)
    if mark:
        await me.press("space")
    await me.press("c")
    await me.sees(AskDialog)
    await me.press("ctrl+u")
    await me.type(fee)
    await me.press("enter")
    await me.sees(SaleScreen)


async def test_a_place_is_given_for_another_against_a_fee(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=2)
        await begin(me, "5")
        title = me.app.screen.query_one("#basket-title", Static)
        assert str(order.number) in str(title.content)
        await me.press("1", "b")
        await until(lambda: me.house.sale.size == 1)
        await me.press("p")
        await me.sees(PayDialog)
        await until(lambda: stored(house, order).state is OrderState.EXCHANGING)
        due = stored(house, order).due
        assert due > 0
        await me.press("c", "enter")
        sold = await me.sold()
        done = stored(house, order)
        assert (done.state, done.due, done.payments[-1].captured) == (OrderState.EXCHANGED, 0, due)
        assert [line.state for line in done.lines].count(LineState.SOLD) == 2
        assert sold.change == 0, "of this payment, and not of the one before"
        assert [line.number for line in done.lines if line.state is LineState.SOLD] != [1, 2]
        # Only the new ticket is printed.
        assert sold._lines == (3,)
        await me.press("enter")
        await me.sees(SaleScreen)
        assert me.app.till is not None and me.app.till.exchange is None


async def test_what_costs_no_more_is_exchanged_by_one_more_key(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=3)
        await begin(me, "0", mark=False)
        await me.press("1", "b")
        await until(lambda: me.house.sale.size == 1)
        await me.press("p")
        await me.sees(PayDialog)
        assert stored(house, order).state is OrderState.PAID
        await me.press("enter")
        sold = await me.sold()
        done = stored(house, order)
        assert done.state is OrderState.EXCHANGED
        assert done.paid == done.lines[3].price
        # The screen says what is to be handed back.
        assert sold.back == order.total - done.paid > 0


async def test_an_exchange_is_given_up_and_the_seats_are_chosen_anew(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=2)
        await begin(me, "5")
        await me.press("1", "b")
        await until(lambda: me.house.sale.size == 1)
        await me.press("p")
        await me.sees(PayDialog)
        await until(lambda: stored(house, order).state is OrderState.EXCHANGING)
        await me.press("escape")
        await me.sees(SaleScreen)
        await until(lambda: stored(house, order).state is OrderState.PAID)
        assert me.house.sale.size == 1 and me.app.till is not None
        # Paid after all: it is another exchange.
        await me.press("p")
        await me.sees(PayDialog)
        await until(lambda: stored(house, order).state is OrderState.EXCHANGING)
        await me.press("c", "enter")
        await me.sold()
        assert [bool(one.refused) for one in stored(house, order).exchanges] == [True, False]


async def test_the_programme_says_that_an_exchange_is_meant_and_ends_it(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=2)
        await begin(me, "0")
        await me.press("escape")
        await me.sees(ProgrammeScreen)
        await me.told(str(order.number))
        await me.press("x", "enter")
        await me.sees(SaleScreen)
        await me.press("1", "b", "p", "c", "enter")
        other = (await me.sold()).order
        assert other.number != order.number
        assert stored(house, order).state is OrderState.PAID


async def test_a_console_that_dies_in_the_middle_goes_on_with_the_exchange(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=2)
        await begin(me, "5")
        await me.press("1", "b")
        await until(lambda: me.house.sale.size == 1)
        await me.press("p")
        await me.sees(PayDialog)
        await until(lambda: stored(house, order).state is OrderState.EXCHANGING)
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(PayDialog)
        await until(lambda: bool(me.app.screen.query_one("#ways", Static).display))
        await me.press("c", "enter")
        sold = await me.sold()
        assert stored(house, order).state is OrderState.EXCHANGED
        assert sold._lines == (3,)


async def reprice(me: Cashier, kind: str, fee: str) -> None:
    await open_order(me)
    await me.press("space", "k")
    await me.sees(AskDialog)
    await me.type(kind)
    await me.press("enter")
    await until(lambda: bool(me.app.screen.query("#answer")))
    await me.press("ctrl+u")
    await me.type(fee)
    await me.press("enter")


async def test_the_same_place_gets_another_price(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=2)
        await reprice(me, "Child", "1")
        await until(lambda: stored(house, order).state is OrderState.EXCHANGED)
        done = stored(house, order)
        assert [line.price_type for line in done.lines] == ["full", "full", "child"]
        assert done.lines[2].ticket == order.lines[0].ticket
        assert done.paid == done.worth < order.total


async def test_a_dearer_price_is_paid_or_given_up(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        order = await a_sold_order(me, seats=1)
        await reprice(me, "senior", "20")
        await me.sees(PayDialog)
        await until(lambda: stored(house, order).state is OrderState.EXCHANGING)
        await me.press("escape")
        await until(lambda: stored(house, order).state is OrderState.PAID)
        assert me.app.till is not None
        await until(lambda: me.app.till is not None and me.app.till.exchange is None)
        assert me.app.till.slip is None
