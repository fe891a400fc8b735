"""Opening night: buyers in a browser, a till and a door, on one served house, from end to end."""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import zxingcpp
from playwright.async_api import Page, expect

from console.looks import Mark
from console.screens.order import OrderScreen
from console.screens.sale import SaleScreen
from renderers import codes
from renderers.palette import SeatState
from tests.e2e.sight import sees
from tests.e2e.till import console_at
from tests.integration.server import ServedHouse
from tests.renderers import paper
from tests.web.buyer import basket_line, click_seat, go_to_payment, pay
from tests.web.conftest import THEATRE, OpenPage

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

ROW = next(run for run in THEATRE.runs if len(run) >= 8)


async def scan(house: ServedHouse, performance: int, *more: str, typed: str = "") -> dict[str, Any]:
    """One ticket at the door, by the command that is handed to the people there."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).with_name("strapontin")),
        *("scan", *more, "--json", "--server", house.url, "--performance", str(performance)),
        env=os.environ | {"STRAPONTIN_TOKEN": house.logins["scanner"]},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(60):
        told, complaints = await process.communicate(typed.encode())
    assert complaints == b""
    found: dict[str, Any] = json.loads(told)
    return found


async def buy(page: Page, *seats: int) -> bytes:
    """These seats on the map, paid by the test card; the tickets as the browser saves them."""
    for seat in seats:
        await click_seat(page, THEATRE, seat)
        await expect(basket_line(page, seat)).to_be_visible()
    await go_to_payment(page)
    await pay(page)
    async with page.expect_download() as saving:
        await page.locator("#tickets").click(modifiers=["Alt"])  # "save", not "look at"
    return (await (await saving.value).path()).read_bytes()


class Printed(NamedTuple):
    """What a scanner reads from a ticket: its QR code, its Code 128, or a picture of it."""

    secret: str
    short: str
    picture: Path


def read_tickets(pdf: bytes, folder: Path) -> list[Printed]:
    """Every page, as both readers see it at 150 dpi."""
    found = []
    for number in range(paper.pages(pdf)):
        path = folder / f"ticket-{number}.png"
        picture = paper.picture(pdf, number, dpi=150)
        picture.save(path)
        secret, short = codes.decode(path.read_bytes())
        assert {code.text for code in zxingcpp.read_barcodes(picture)} == {secret, short}
        found.append(Printed(secret, short, path))
    return found


async def test_two_buyers_and_a_till_see_each_others_seats(
    house: ServedHouse, open_page: OpenPage, tmp_path: Path
) -> None:
    one = await open_page(f"{house.url}/p/1")
    other = await open_page(f"{house.url}/p/1")
    bought, held = ROW[0], ROW[-1]
    async with console_at(house.url, tmp_path, THEATRE) as cashier:
        await cashier.log_in("caisse", house.logins["cashier"])
        await cashier.open_sale(0)
        await cashier.look_at(bought)
        await cashier.sees(Mark.FREE)
        await sees(other, THEATRE, bought, SeatState.AVAILABLE)

        await click_seat(one, THEATRE, bought)
        await expect(basket_line(one, bought)).to_be_visible()
        await sees(one, THEATRE, bought, SeatState.MINE)
        await sees(other, THEATRE, bought, SeatState.HELD)
        await cashier.sees(Mark.HELD)

        await cashier.look_at(held)
        await cashier.press("enter")
        await cashier.sees(Mark.MINE)
        await sees(one, THEATRE, held, SeatState.HELD)
        await sees(other, THEATRE, held, SeatState.HELD)

        await cashier.press("x")
        await cashier.sees(Mark.FREE)
        await sees(one, THEATRE, held, SeatState.AVAILABLE)
        await sees(other, THEATRE, held, SeatState.AVAILABLE)


async def test_a_seat_is_sold_admitted_once_refunded_and_green_again(
    house: ServedHouse, open_page: OpenPage, tmp_path: Path
) -> None:
    performance, used, unused = 2, ROW[0], ROW[1]
    page = await open_page(f"{house.url}/p/{performance}")
    other = await open_page(f"{house.url}/p/{performance}")
    async with console_at(house.url, tmp_path, THEATRE) as clerk:
        await clerk.log_in("caisse", house.logins["cashier"])
        await clerk.open_sale(performance - 1)
        await clerk.look_at(unused)

        pdf = await buy(page, used, unused)
        await sees(other, THEATRE, unused, SeatState.SOLD)
        await clerk.sees(Mark.SOLD)

        first, second = read_tickets(pdf, tmp_path)
        await scan_twice(house, performance, first)

        # What the web sold is not the till's to refund.
        await clerk.open_latest_order()
        web = clerk.app.t("console.channel.web")
        assert clerk.why_no_refund() == clerk.app.t("console.order.not_your_sale", seller=web)
        await clerk.press("down", "space", "r")
        assert isinstance(clerk.app.screen, OrderScreen)
        await clerk.back_to_sale()
        await clerk.sees(Mark.SOLD)
        await clerk.log_out()

        await clerk.log_in("admin", house.logins["admin"])
        await clerk.open_sale(performance - 1)
        await clerk.look_at(unused)
        await clerk.sees(Mark.SOLD)
        await clerk.open_latest_order()
        by_itself = clerk.words_around("console.money_back.by_itself", "amount")
        assert by_itself in await clerk.refund_line(1, "ill")
        await clerk.back_to_sale()
        assert (await scan(house, performance, typed=f"{second.secret}\n"))["result"] == "REFUNDED"

        await clerk.sees(Mark.FREE)
        await sees(other, THEATRE, unused, SeatState.AVAILABLE)
        await sees(other, THEATRE, used, SeatState.SOLD)
        await page.reload()
        await expect(page.locator("#order .gone")).to_have_count(1)


async def scan_twice(house: ServedHouse, performance: int, ticket: Printed) -> None:
    """Admitted from its picture, once; then whoever reads it is told where and when that was."""
    from_ms = time.time() * 1000
    admitted = await scan(house, performance, str(ticket.picture))
    until_ms = time.time() * 1000
    assert (admitted["result"], admitted["secret"]) == ("ADMITTED", ticket.secret)
    again = await scan(house, performance, typed=f"{ticket.secret}\n")
    assert (again["result"], again["used_gate"]) == ("ALREADY_USED", "main")
    assert from_ms <= again["used_at_ms"] <= until_ms


async def test_the_till_sells_for_cash_and_its_ticket_passes_the_door_screen(
    house: ServedHouse, tmp_path: Path
) -> None:
    evening = 0  # the first of the programme
    async with console_at(house.url, tmp_path, THEATRE) as clerk:
        await clerk.log_in("caisse", house.logins["cashier"])
        await clerk.open_sale(evening)
        sold = await clerk.sell_for_cash(2, "200")
        assert sold.change == 20_000 - sold.order.total > 0
        printed = tmp_path / "papers" / f"{sold.order.number}-tickets.pdf"
        await clerk.until(lambda: clerk.notice().endswith(str(printed)), "the tickets on paper")
        first, second = read_tickets(printed.read_bytes(), tmp_path)
        await clerk.press("enter")
        await clerk.arrive(SaleScreen)
        await clerk.open_latest_order()
        hand_back = clerk.words_around("console.money_back.cash", "amount")
        assert hand_back in await clerk.refund_line(1, "changed their mind")
        await clerk.back_to_sale()
        await clerk.log_out()

        await clerk.log_in("porte", house.logins["door"])
        await clerk.open_door(evening)
        await clerk.press("f4")
        looked_up, words = await clerk.present(first.short)
        assert looked_up == "VALID" and clerk.app.t("console.door.not_admitted") in words
        await clerk.press("f4")
        assert (await clerk.present(first.short))[0] == "ADMITTED"
        used, words = await clerk.present(first.short)
        assert used == "ALREADY USED" and "Entrée principale" in words
        assert (await clerk.present(second.short))[0] == "REFUNDED"
