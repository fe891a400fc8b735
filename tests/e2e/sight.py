"""What a buyer sees of a seat: its colour among the pixels of the map, and the words beside it."""

import asyncio
from io import BytesIO

from PIL import Image
from playwright.async_api import Page, expect

from engine.plan import Plan
from renderers.palette import SEATS, SeatState
from tests.web.buyer import seat_point

PATIENCE_S = 30.0
WORDS = {
    SeatState.AVAILABLE: "Free",
    SeatState.HELD: "In someone’s basket",
    SeatState.SOLD: "Taken",
    SeatState.MINE: "Yours",
}
HALF_SEAT_PX = 5
NEAR = 100
"""Sum of the differences of red, green and blue up to which two colours are one: a thin line is
mixed with what it is drawn on."""
FEWEST_PIXELS = 8


async def sees(page: Page, plan: Plan, seat: int, state: SeatState) -> None:
    """Waits until the seat is painted in the state's colour and called by its words."""
    x, y = await seat_point(page, plan, seat)
    seen = ""
    await page.mouse.move(1, 1)  # nothing pointed at: a ring would cover the seat
    try:
        async with asyncio.timeout(PATIENCE_S):
            while True:
                seen = await _colour(page, x, y)
                if seen == SEATS[state].fill:
                    break
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"seat {seat} is painted {seen}, never {state.name}") from None
    await page.mouse.move(x, y)
    await expect(page.locator("#tip .tip-state")).to_have_text(WORDS[state])


async def _colour(page: Page, x: float, y: float) -> str:
    """The seat colour that most pixels around a point have; "" for none."""
    size = 2 * HALF_SEAT_PX
    clip = {"x": x - HALF_SEAT_PX, "y": y - HALF_SEAT_PX, "width": size, "height": size}
    with Image.open(BytesIO(await page.screenshot(clip=clip))) as picture:
        pixels = picture.convert("RGB").get_flattened_data()
    counts = {
        fill: sum(_apart(pixel, fill) <= NEAR for pixel in pixels)
        for fill in {SEATS[state].fill for state in WORDS}
    }
    most = max(counts, key=lambda fill: counts[fill])
    return most if counts[most] >= FEWEST_PIXELS else ""


def _apart(pixel: tuple[int, int, int], colour: str) -> int:
    parts = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return sum(abs(one - other) for one, other in zip(pixel, parts, strict=True))
