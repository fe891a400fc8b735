"""What a buyer does in the page, in the words of the tests."""

import re

from playwright.async_api import Locator, Page, expect

from engine.plan import Plan

MAP_INSET_PX = {"top": 64, "right": 20, "bottom": 28, "left": 20}
"""What the page leaves free around a fitted house on a wide screen, besides its legend."""


async def seat_point(page: Page, plan: Plan, seat: int) -> tuple[float, float]:
    """Where a seat lies on the screen while the whole house is shown."""
    box = await page.locator("#map").bounding_box()
    legend = await page.locator("#legend").bounding_box()
    assert box is not None
    assert legend is not None
    inset = MAP_INSET_PX | {"bottom": MAP_INSET_PX["bottom"] + legend["height"]}
    wide = box["width"] - inset["left"] - inset["right"]
    high = box["height"] - inset["top"] - inset["bottom"]
    scale = min(wide / plan.width, high / plan.height)
    here = plan.seats[seat]
    return (
        box["x"] + inset["left"] + wide / 2 + (here.x - plan.width / 2) * scale,
        box["y"] + inset["top"] + high / 2 + (here.y - plan.height / 2) * scale,
    )


async def click_seat(page: Page, plan: Plan, seat: int) -> None:
    """Points at the seat on the map, reads that it is the one, and clicks."""
    x, y = await seat_point(page, plan, seat)
    await page.mouse.move(x, y)
    label = plan.seat_label(seat)
    await expect(page.locator("#tip .tip-seat")).to_have_text(f"Row {label.row}, seat {label.seat}")
    await page.mouse.click(x, y)


async def show_row(page: Page, plan: Plan, seat: int) -> None:
    """Opens the list at a seat's row."""
    if await page.locator("#view-list").get_attribute("aria-pressed") == "false":
        await page.locator("#view-list").click()
    row = plan.seats[seat].row
    await page.locator("#list-section").select_option(str(plan.rows[row].section))
    await page.locator("#list-row").select_option(str(row))


def list_seat(page: Page, seat: int) -> Locator:
    return page.locator(f'.list-seat[data-seat="{seat}"]')


def basket_line(page: Page, seat: int) -> Locator:
    return page.locator(f'.basket-line[data-place="s{seat}"]:not(.busy)')


def notes(page: Page) -> Locator:
    return page.locator("#notes .note")


async def find_best(page: Page, size: int = 2) -> None:
    party = page.locator("#best .stepper-value").first
    await party.fill(str(size))
    await party.press("Tab")
    await page.locator("#best button[type=submit]").click()
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(size)


async def give_details(page: Page, name: str = "Camille Dupont") -> None:
    """From the basket to a form that is filled in and not sent."""
    await page.locator("#to-checkout").click()
    await page.locator("#buyer-name").fill(name)
    await page.locator("#buyer-email").fill("camille@example.org")


async def go_to_payment(page: Page, name: str = "Camille Dupont") -> None:
    await give_details(page, name)
    await page.locator("#place").click()
    await expect(page.locator("#pay")).to_be_visible()


async def pay(page: Page) -> str:
    """Pays with the test card; answers the order's id once its tickets are there."""
    await page.locator("#pay").click()
    await expect(page.locator("#tickets")).to_be_visible()
    found = re.search(r"/o/([0-9a-f]{32})$", page.url)
    assert found is not None
    return found[1]
