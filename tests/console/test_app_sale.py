"""Selling with keys alone: counted, typed ahead, interrupted, and taken up again."""

from pathlib import Path

import pytest

from console import client as client_module
from console.screens.ask import AskDialog
from console.screens.pay import PayDialog
from console.screens.sale import SaleScreen
from console.widgets.seat_map import SeatMap
from engine.commands import SeatStatus
from engine.payments import PaymentMethod
from tests.console.driving import LoginScreen, ProgrammeScreen, cashier
from tests.console.server import House, Tangle
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
