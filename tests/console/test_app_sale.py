"""Selling with keys alone: counted, typed ahead, interrupted, and taken up again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace
from textual.widgets import DataTable, Input

from console import client as client_module
from console.client import Client, Problem, Unreachable
from console.screens.ask import AskDialog
from console.screens.order import OrderScreen
from console.screens.pay import PayDialog
from console.screens.sale import SaleScreen
from console.screens.sales import SalesScreen
from console.till import new_id
from console.widgets.chrome import shown_bindings
from console.widgets.seat_map import SeatMap
from engine.commands import Allocate, Channel, SeatStatus
from engine.orders import OrderState
from engine.payments import PaymentMethod
from engine.settings import Fee, Price, PriceType, Settings
from tests.console.driving import LoginScreen, ProgrammeScreen, cashier
from tests.console.houses import settings
from tests.console.server import House, Tangle, running_house
from tests.console.waiting import until


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RETRY_WAITS_S", (0.02, 0.02))


async def test_two_seats_for_exact_cash_in_under_ten_keys(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
        me.pressed = 0
        await me.press("enter")  # the performance
        await me.sees(SaleScreen)
        await me.press("2", "b", "p", "c", "enter")
        sold = await me.sold()
        await me.press("enter")  # on to the next sale
        await me.sees(SaleScreen)
        assert me.pressed == 7 < 10
        assert sold.order.total == 9_600
        assert sold.order.payments[0].method is PaymentMethod.CASH
        (ticket,) = (tmp_path / "papers").glob(f"{sold.order.number}-tickets.pdf")
        assert ticket.read_bytes().startswith(b"%PDF")
        assert f"{sold.order.number}" in me.notice


async def test_a_gift_card_is_sold_printed_and_given_back(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("G")
        await me.sees(AskDialog)
        await me.press(*"50", "enter")
        await me.sees(PayDialog)
        await me.press("c", "enter")
        sold = await me.sold()
        assert (sold.order.total, sold.order.lines) == (5_000, ())
        await me.press("enter")
        await me.sees(SaleScreen)
        papers = tmp_path / "papers"
        await until(lambda: bool(list(papers.glob(f"{sold.order.number}-tickets.pdf"))))
        assert me.app.till is not None and me.app.till.slip is None
        # What is asked wrongly, or given up, is no sale.
        await me.press("G", *"4", "enter")
        await until(lambda: "5" in me.notice)
        await me.press("G", *"60", "enter")
        await me.sees(PayDialog)
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.press("escape")
        await me.sees(SaleScreen)
        await until(lambda: me.app.till is not None and me.app.till.slip is None)
        states = [order.state for order in house.fake.desk.orders.by_id.values()]
        assert sorted(states) == [OrderState.CANCELLED, OrderState.PAID]


async def test_a_sale_by_phone_takes_what_is_kept_for_the_phone(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        till = me.app.till
        assert till is not None and till.house is not None
        spot = me.app.screen.query_one(SeatMap).cursor
        await house.fake.performances.ask(
            till.house.performance.id, Allocate(new_id(), "calls", (Channel.PHONE,), (spot,))
        )
        await me.press("enter")
        await me.told("kept for")
        await me.press("f")
        await me.told("by phone")
        await me.press("enter", "p", "c", "enter")
        sold = await me.sold()
        assert sold.order.channel is Channel.PHONE and len(sold.order.lines) == 1
        await me.press("enter")
        await me.sees(SaleScreen)
        assert not till.house.sale.by_phone, "the next sale is one at the desk"


async def test_a_reseller_is_told_where_to_sell(house: House, tmp_path: Path) -> None:
    await house.operator("agency", "reseller")
    async with cashier(house, tmp_path, name="agency") as me:
        await me.log_in(house.password)
        await me.told("strapontin order")
        await me.sees(LoginScreen)
        assert me.app.operator_name == ""


async def test_the_total_has_its_fees_before_it_is_asked_for(tmp_path: Path) -> None:
    fees = (
        Fee("service", {"en": "Fee"}, fixed=150, channels=("box_office",)),
        Fee("phone", {"en": "By phone"}, fixed=200, channels=("phone",)),
    )
    async with running_house(rules=replace(settings(), fees=fees)) as running:
        async with cashier(running, tmp_path) as me:
            await me.open_sale(running.password)

            def total() -> str:
                return str(me.app.screen.query_one("#total").render())

            await me.press("2", "b")
            await until(lambda: "3.00" in total() and "99.00" in total())
            await me.press("f")
            await until(lambda: "4.00" in total() and "100.00" in total())
            await me.press("p", "c", "enter")
            assert (await me.sold()).order.total == 10_000


async def test_the_change_is_shown_large(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        me.pressed = 0
        await me.press("2", "b", "p", "c")
        await me.type("100")
        await me.press("enter")
        sold = await me.sold()
        assert me.pressed == 8
        assert sold.change == 400
        assert sold.query_one("#big").text == "4.00"  # type: ignore[attr-defined]
        await me.press("enter")
        await me.told("4.00")


async def test_keys_may_be_typed_faster_than_the_server_answers(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import asyncio

    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        assert me.app.till is not None
        real = me.app.till.client.place

        async def slow(*told):  # type: ignore[no-untyped-def]
            await asyncio.sleep(0.5)
            return await real(*told)

        monkeypatch.setattr(me.app.till.client, "place", slow)
        # All of it before the order exists: nothing is lost, nothing lands elsewhere.
        for key in ("3", "b", "p", "c", "2", "0", "0", "enter"):
            await me.pilot._app._press_keys([key])  # type: ignore[attr-defined]
        sold = await me.sold()
        assert len(sold.order.lines) == 3
        assert sold.change == 20_000 - 3 * 4_800


async def test_too_little_money_is_not_taken(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "c")
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.type("20.50")
        await me.press("enter")
        dialog = me.app.screen
        assert isinstance(dialog, PayDialog)
        assert "27.50" in str(dialog.query_one("#change").render())
        await me.press("ctrl+u")
        await me.type("x")
        await me.press("enter")
        await me.told("Not an amount")
        assert isinstance(me.app.screen, PayDialog)
        await me.press("backspace", "enter")
        assert (await me.sold()).change == 0


async def test_a_card_terminal_needs_its_reference(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "t", "enter")
        await me.told("reference")
        await me.type("V-4711")
        await me.press("enter")
        sold = await me.sold()
        (payment,) = sold.order.payments
        assert (payment.method, payment.reference) == (PaymentMethod.CARD_TERMINAL, "V-4711")
        assert sold.change == -1


# In parts, and later -------------------------------------------------------------


async def test_a_sale_is_paid_in_parts_and_each_part_is_told(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b", "p")
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.press("p")
        for wrong in ("x", "0", "96"):
            await me.type(wrong)
            await me.press("enter")
            await me.told("Not an amount" if wrong == "x" else "less than")
            await me.press("ctrl+u")
        await me.type("40")
        await me.press("enter", "c")
        await me.type("50")
        await me.press("enter")
        await me.told("56.00")  # still to pay
        assert "10.00" in me.notice  # and the change of this part
        await me.press("p")
        await me.type("6")
        await me.press("enter", "k", "enter")
        await me.told("number of the cheque")
        await me.type("77")
        await me.press("enter")
        await me.told("50.00")
        await me.press("v")
        await me.type("SEPA 5")
        await me.press("enter")
        sold = await me.sold()
        assert [(one.method, one.amount) for one in sold.order.payments] == [
            (PaymentMethod.CASH, 4_000),
            (PaymentMethod.CHEQUE, 600),
            (PaymentMethod.BANK_TRANSFER, 5_000),
        ]


async def test_a_console_that_died_between_two_parts_asks_for_the_rest(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b", "p")
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.press("p")
        await me.type("40")
        await me.press("enter", "c", "enter")
        await me.told("56.00")
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(PayDialog)
        assert me.app.till is not None and me.app.till.order is not None
        assert me.app.till.order.due == 5_600
        await me.press("c", "enter")
        assert (await me.sold()).order.state is OrderState.PAID


async def test_an_order_for_later_is_found_paid_and_given_up(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        for _ in range(2):
            await me.press("2", "b", "p")
            await until(lambda: me.app.till is not None and me.app.till.order is not None)
            await me.press("l")
            await me.sees(SaleScreen)
            await me.told("stays reserved")
        await me.press("s")
        await me.sees(SalesScreen)
        await until(lambda: me.app.screen.query_one(DataTable).row_count == 2)
        await me.press("enter")
        await me.sees(OrderScreen)
        screen = me.app.screen
        assert isinstance(screen, OrderScreen)
        await until(lambda: bool(screen._houses))
        assert "96.00 to pay" in str(screen.query_one("#facts").render())
        await me.press("p", "c", "enter")
        await me.sold()
        await me.press("enter")
        await me.sees(OrderScreen)
        await until(lambda: screen.order.state is OrderState.PAID)
        await me.press("escape", "down", "enter")
        await me.sees(OrderScreen)
        other = me.app.screen
        assert isinstance(other, OrderScreen)
        await until(lambda: bool(other._houses))
        await me.press("x")
        await me.sees(AskDialog)
        await me.press("enter")
        await until(lambda: other.order.state is OrderState.CANCELLED)


# For nothing ---------------------------------------------------------------------


def with_guests(**amounts: int) -> Settings:
    """The usual prices, and before them those of `amounts` for every category."""
    usual = settings()
    return settings(
        price_types=(*(PriceType(kind, {"en": kind}) for kind in amounts), *usual.price_types),
        prices=(
            *(
                Price(number, kind, amount)
                for kind, amount in amounts.items()
                for number in range(3)
            ),
            *usual.prices,
        ),
    )


@pytest.fixture
async def free_house() -> AsyncIterator[House]:
    async with running_house(rules=with_guests(guest=0)) as running:
        yield running


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_free_seats_are_sold_with_one_key_and_have_their_papers(
    free_house: House, tmp_path: Path, language: str
) -> None:
    words = {"en": ("Nothing to pay", "Free"), "fr": ("Rien à payer", "Gratuit")}[language]
    async with cashier(free_house, tmp_path, language=language) as me:
        await me.open_sale(free_house.password)
        await me.press("2", "b", "p")
        await me.sees(PayDialog)
        dialog = me.app.screen
        await until(lambda: words[0] in str(dialog.query_one("#ways").render()))
        assert me.app.till is not None and me.app.till.order is None, "not sold before the key"
        assert not {"c", "t"} & {binding.key for binding, _ in shown_bindings(dialog)}
        await me.press("c", "t")
        assert not dialog.query_one(Input).display, "nobody is asked for money"
        await me.press("enter")
        sold = await me.sold()
        assert (sold.order.state, sold.order.payments) == (OrderState.PAID, ())
        assert words[1] in str(sold.query_one("#label").render())
        await me.press("e")
        for what in ("tickets", "receipt"):
            paper = tmp_path / f"papers/{sold.order.number}-{what}.pdf"
            await until(paper.exists)
        await me.press("enter")
        await me.sees(SaleScreen)
        assert me.house.sale.size == 0


async def test_enter_may_be_typed_before_it_is_known_that_nothing_is_due(
    free_house: House, tmp_path: Path
) -> None:
    async with cashier(free_house, tmp_path) as me:
        await me.open_sale(free_house.password)
        for key in ("1", "b", "p", "enter"):
            await me.pilot._app._press_keys([key])  # type: ignore[attr-defined]
        assert (await me.sold()).order.total == 0


async def test_enter_before_the_total_takes_no_money(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        for key in ("1", "b", "p", "enter", "c"):
            await me.pilot._app._press_keys([key])  # type: ignore[attr-defined]
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.pilot.pause()
        order = await Client(house.url, me.app.client.token).order(me.app.till.order.id)  # type: ignore[union-attr]
        assert order.state is OrderState.OPEN


async def test_back_from_a_free_sale_nothing_was_sold(free_house: House, tmp_path: Path) -> None:
    async with cashier(free_house, tmp_path) as me:
        await me.open_sale(free_house.password)
        await me.press("1", "b", "p")
        await me.sees(PayDialog)
        dialog = me.app.screen
        await until(lambda: "Nothing" in str(dialog.query_one("#ways").render()))
        await me.press("escape")
        await me.sees(SaleScreen)
        assert me.house.sale.size == 1
        assert await me.app.client.sales(-1, "", 9) == []


async def test_a_free_sale_whose_answer_is_lost_is_sold_once(
    free_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cashier(free_house, tmp_path) as me:
        await me.open_sale(free_house.password)
        client = me.app.client
        real, answers = client.place, [Problem(503, "unavailable", ""), Unreachable("box", "gone")]

        async def lost(*told):  # type: ignore[no-untyped-def]
            order = await real(*told)
            if answers:
                raise answers.pop(0)
            return order

        monkeypatch.setattr(client, "place", lost)
        await me.press("1", "b", "p", "enter")
        await me.told("Press Enter")
        await me.press("enter")
        await me.told("box")
        await me.press("enter")
        sold = await me.sold()
        assert [order.id for order in await client.sales(-1, "", 9)] == [sold.order.id]


async def test_back_after_a_lost_answer_finds_the_free_order_sold(
    free_house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cashier(free_house, tmp_path) as me:
        await me.open_sale(free_house.password)
        real = me.app.client.place

        async def lost(*told):  # type: ignore[no-untyped-def]
            await real(*told)
            raise Unreachable("box", "gone")

        monkeypatch.setattr(me.app.client, "place", lost)
        await me.press("1", "b", "p", "enter")
        await me.told("box")
        await me.press("escape")
        assert (await me.sold()).order.state is OrderState.PAID


async def test_a_price_that_is_no_longer_free_is_asked_for(
    free_house: House, tmp_path: Path
) -> None:
    async with cashier(free_house, tmp_path) as me:
        await me.open_sale(free_house.password)
        free_house.fake.performances.live[1].core.configure(with_guests(guest=500))
        await me.press("1", "b", "p", "enter")
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        dialog = me.app.screen
        await until(lambda: "Cash" in str(dialog.query_one("#ways").render()))
        assert dialog.query_one("#total").text == "5.00"  # type: ignore[attr-defined]
        await me.press("c", "enter")
        assert (await me.sold()).order.payments[0].captured == 500


async def test_seats_are_chosen_with_the_cursor_and_given_back(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        seating = me.house.seating
        await me.press("g")
        await me.sees(AskDialog)
        await me.type("stalls c 5")
        await me.press("enter")
        await me.sees(SaleScreen)
        await me.press("enter", "right", "enter")
        await until(lambda: me.house.sale.size == 2)
        assert [seating.short(seat) for seat in me.house.sale.seats] == ["C 5", "C 6"]
        await me.press("enter")  # again: give back
        await until(lambda: me.house.sale.size == 1)
        await me.press("backspace")
        await until(lambda: me.house.sale.size == 0)
        taken = house.fake.performances
        assert taken is not None
        await until(lambda: set(me.house.replica.statuses) == {SeatStatus.AVAILABLE})


async def test_price_types_are_changed_quickly(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b")
        await until(lambda: me.house.sale.size == 2)
        await me.press("t")
        await until(lambda: list(me.house.sale.seats.values()) == ["child", "full"])
        await me.press("tab", "down", "t", "t")
        await until(lambda: list(me.house.sale.seats.values()) == ["child", "senior"])
        await me.press("T")
        await until(lambda: list(me.house.sale.seats.values()) == ["senior", "senior"])
        await me.press("p", "c", "enter")
        assert (await me.sold()).order.total == 2 * 4_000


async def test_places_of_an_area_are_sold_by_quantity(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("g")
        await me.sees(AskDialog)
        await me.type("prom")
        await me.press("enter")
        await me.sees(SaleScreen)
        await me.press("4", "enter")
        await until(lambda: me.house.sale.quantity(0) == 4)
        await until(lambda: me.house.replica.areas == [56])
        await me.press("backspace")
        await until(lambda: me.house.sale.quantity(0) == 3)
        await me.press("p", "c", "enter")
        sold = await me.sold()
        assert [line.area for line in sold.order.lines] == [0, 0, 0]
        # Swiss coins: 60.30 is paid as it is, no rounding needed.
        assert sold.order.total == 3 * 2_010


async def test_a_whole_table_is_taken_whole(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("g")
        await me.sees(AskDialog)
        await me.type("t1 2")
        await me.press("enter")
        await me.sees(SaleScreen)
        await me.press("enter")
        await until(lambda: me.house.sale.size == 4)
        await me.press("enter")
        await until(lambda: me.house.sale.size == 0)


async def test_a_refusal_names_the_seats_and_says_what_to_do(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        seating = me.house.seating
        taken = seating.find_seats("stalls c 5")
        other = await house.operator("lea", "cashier")
        async with _till(house, other, tmp_path) as lea:
            await lea.open(1)
            await lea.hold(taken, ())
            me.app.screen.query_one(SeatMap).go_to(taken[0])
            await until(lambda: me.house.replica.statuses[taken[0]] == SeatStatus.HELD)
            await me.press("enter")
            await me.told("C 5: Just taken")
        # The orphan rule is the engine's, and is told in words too.
        me.app.screen.query_one(SeatMap).go_to(seating.find_seats("stalls d 2")[0])
        await me.press("enter")
        await me.told("D 1")


def _till(house: House, token: str, tmp: Path):  # type: ignore[no-untyped-def]
    from tests.console.test_till import at_till

    return at_till(house.url, token, tmp / "lea")


async def test_an_empty_basket_cannot_be_paid(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("p")
        await me.told("basket is empty")
        assert isinstance(me.app.screen, SaleScreen)


async def test_back_from_paying_the_seats_are_still_held(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b", "p")
        await me.sees(PayDialog)
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.press("escape")
        await me.sees(SaleScreen)
        assert me.house.sale.size == 2
        await me.press("x")
        await until(lambda: me.house.sale.size == 0)


async def test_leaving_gives_the_seats_back_after_asking(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b")
        await until(lambda: me.house.sale.size == 2)
        replica = me.house.replica
        await me.press("escape")
        await me.sees(AskDialog)
        await me.press("escape")
        await me.sees(SaleScreen)
        assert me.house.sale.size == 2
        await until(lambda: list(replica.statuses).count(SeatStatus.HELD) == 2)
        await me.press("escape", "enter")
        await me.sees(ProgrammeScreen)
        assert me.app.till is not None and me.app.till.slips.load() is None


async def test_a_console_that_died_in_mid_sale_goes_on(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b")
        await until(lambda: me.house.sale.size == 2)
        seats = dict(me.house.sale.seats)
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(SaleScreen)
        await me.told("stopped in mid-sale")
        assert me.house.sale.seats == seats
        await me.press("p")
        await me.sees(PayDialog)
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
    async with cashier(house, tmp_path) as me:
        await me.log_in(house.password)
        await me.sees(PayDialog)
        await until(lambda: me.app.till is not None and me.app.till.order is not None)
        await me.press("c", "enter")
        sold = await me.sold()
        assert len(sold.order.lines) == 2
    async with cashier(house, tmp_path) as me:
        # It died again, before anybody saw the tickets: they are shown again.
        await me.log_in(house.password)
        again = await me.sold()
        assert again.order.id == sold.order.id
        await me.press("enter")
        await me.sees(SaleScreen)
        assert me.house.sale.size == 0


async def test_a_lost_connection_is_told_and_what_was_asked_is_done_afterwards(
    house: House, tangle: Tangle, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path, url=tangle.url) as me:
        await me.open_sale(house.password)
        await me.press("2", "b")
        await until(lambda: me.house.sale.size == 2)
        tangle.accepting = False
        tangle.cut()
        status = me.app.screen.query_one("#status")
        await until(lambda: "CONNECTION LOST" in str(status.render()))
        assert status.has_class("-lost")
        await me.press("1", "b")
        await me.told("No connection")
        tangle.accepting = True
        await until(lambda: me.house.sale.size == 3)
        await until(lambda: "live" in str(status.render()))
        await me.press("p", "c", "enter")
        assert len((await me.sold()).order.lines) == 3


async def test_a_session_that_ended_asks_to_log_in_and_keeps_the_sale(
    house: House, tmp_path: Path
) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        await me.press("2", "b")
        await until(lambda: me.house.sale.size == 2)
        other = client_module.Client(house.url, me.app.client.token)
        await other.logout()
        await me.sees(LoginScreen)
        await me.told("session has ended")
        await me.log_in(house.password)
        await me.sees(SaleScreen)
        assert me.house.sale.size == 2


async def test_seats_are_taken_off_sale_and_put_back_by_name(house: House, tmp_path: Path) -> None:
    async with cashier(house, tmp_path) as me:
        await me.open_sale(house.password)
        seats = me.house.seating.find_seats("stalls h 1-4")
        await me.press("k")
        await me.sees(AskDialog)
        await me.type("h 1-4: camera")
        await me.press("enter")
        await me.told("4 seats taken off sale")
        await until(lambda: all(me.house.replica.statuses[s] == SeatStatus.BLOCKED for s in seats))
        await me.press("u")
        await me.sees(AskDialog)
        await me.type("h 1-4")
        await me.press("enter")
        await me.told("4 seats put back")
        await me.press("k")
        await me.sees(AskDialog)
        await me.type("z 9")
        await me.press("enter")
        await me.told("No such place: z 9")


async def test_a_printer_command_gets_the_file(house: House, tmp_path: Path) -> None:
    script = tmp_path / "lp"
    script.write_text(f'#!/bin/sh\ncp "$2" {tmp_path}/printed.pdf\n')
    script.chmod(0o755)
    async with cashier(house, tmp_path, printer=f"{script} -dticket") as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "c", "enter")
        await me.sold()
        await me.told("Sent to the printer")
        assert (tmp_path / "printed.pdf").read_bytes().startswith(b"%PDF")


async def test_a_printer_that_fails_says_why_and_the_sale_stands(
    house: House, tmp_path: Path
) -> None:
    script = tmp_path / "lp"
    script.write_text("#!/bin/sh\necho 'lp: no paper' >&2\nexit 3\n")
    script.chmod(0o755)
    async with cashier(house, tmp_path, printer=str(script)) as me:
        await me.open_sale(house.password)
        await me.press("1", "b", "p", "c", "enter")
        sold = await me.sold()
        await me.told("no paper")
        script.write_text("#!/bin/sh\nexit 0\n")
        await me.press("r")
        await me.told("Sent to the printer")
        await me.press("e")
        await until(lambda: (tmp_path / f"papers/{sold.order.number}-receipt.pdf").exists())
