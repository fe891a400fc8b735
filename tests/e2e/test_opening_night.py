"""Opening night: buyers in a browser, a till and a door, on one served house, from end to end."""

import asyncio
import json
import os
import re
import sys
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image
from playwright.async_api import Page, expect

from console.looks import Mark
from console.screens.order import OrderScreen, RefundDialog
from console.screens.sale import SaleScreen
from console.screens.sales import SalesScreen
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
EVERYBODY_S = 30.0


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


async def tickets_of(page: Page) -> bytes:
    """The PDF behind the order page's button, fetched by the page itself."""
    address = await page.locator("#tickets").get_attribute("href")
    octets = await page.evaluate(
        "async (address) => Array.from(new Uint8Array(await (await fetch(address)).arrayBuffer()))",
        address,
    )
    return bytes(octets)


def read_ticket(pdf: bytes, number: int, folder: Path) -> tuple[str, Path]:
    """A page of the PDF, looked at with both readers: its secret, and the picture it was read in."""
    picture = paper.picture(pdf, number, dpi=150)
    path = folder / f"ticket-{number}.png"
    picture.save(path)
    secret, short = codes.decode(path.read_bytes())
    with Image.open(BytesIO(path.read_bytes())) as image:
        assert {code.text for code in zxingcpp.read_barcodes(image)} == {secret, short}
    return secret, path


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

        for seat in (used, unused):
            await click_seat(page, THEATRE, seat)
            await expect(basket_line(page, seat)).to_be_visible()
        await go_to_payment(page)
        await pay(page)
        await sees(other, THEATRE, unused, SeatState.SOLD)
        await clerk.sees(Mark.SOLD)

        pdf = await tickets_of(page)
        assert paper.pages(pdf) == 2
        (first, picture), (second, _) = (read_ticket(pdf, at, tmp_path) for at in (0, 1))
        from_ms = time.time() * 1000
        admitted = await scan(house, performance, str(picture))
        until_ms = time.time() * 1000
        assert (admitted["result"], admitted["secret"]) == ("ADMITTED", first)
        again = await scan(house, performance, typed=f"{first}\n")
        assert (again["result"], again["used_gate"]) == ("ALREADY_USED", "main")
        assert from_ms <= again["used_at_ms"] <= until_ms

        # What the web sold is not the till's to refund.
        await clerk.open_latest_order()
        assert await clerk.refund_line(1, "ill") == clerk.app.t("refusal.forbidden")
        await clerk.press("escape")
        await clerk.arrive(OrderScreen)
        await clerk.press("escape")
        await clerk.arrive(SalesScreen)
        await clerk.press("escape")
        await clerk.arrive(SaleScreen)
        await clerk.sees(Mark.SOLD)
        await clerk.log_out()

        await clerk.log_in("admin", house.logins["admin"])
        await clerk.open_sale(performance - 1)
        await clerk.look_at(unused)
        await clerk.sees(Mark.SOLD)
        await clerk.open_latest_order()
        refunded = clerk.app.t("console.order.was_refunded")
        assert await clerk.refund_line(1, "ill") == refunded
        assert (await scan(house, performance, typed=f"{second}\n"))["result"] == "REFUNDED"
        await clerk.press("escape", "escape")
        await clerk.arrive(SaleScreen)
        await clerk.sees(Mark.FREE)
        await sees(other, THEATRE, unused, SeatState.AVAILABLE)
        await page.reload()
        await expect(page.locator("#order .gone")).to_have_count(1)
        assert (await scan(house, performance, typed=f"{first}\n"))["result"] == "ALREADY_USED"
