"""The page on a phone, and the largest house there is."""

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageChops
from playwright.async_api import Page, expect

from engine.plan_io import load_plan
from renderers.palette import SEATS, SeatState, rgb
from tests.web.buyer import basket_line, pay
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import Stand, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

VENUES = Path(__file__).resolve().parents[3] / "shared" / "venues"
STADIUM = VENUES / "stadium-metalist-39k.json"
STADIUM_BYTES = STADIUM.read_bytes() if STADIUM.exists() else b""


async def share_of(page: Page, state: SeatState, tolerance: int = 8) -> float:
    """How much of the map's picture has the colour of a seat state, 0 to 1."""
    picture = Image.open(io.BytesIO(await page.locator("#map").screenshot())).convert("RGB")
    wanted = Image.new("RGB", picture.size, rgb(SEATS[state].fill))
    off = ImageChops.difference(picture, wanted).split()
    near = [band.point([255 * (value <= tolerance) for value in range(256)]) for band in off]
    both = ImageChops.multiply(ImageChops.multiply(near[0], near[1]), near[2])
    return both.histogram()[255] / (picture.width * picture.height)


async def test_a_house_fits_a_phone_and_a_finger_finds_its_seat(
    stand: Stand, open_page: OpenPage
) -> None:
    performance = stand.add(THEATRE)
    await stand.block(performance, *range(0, 40))
    page = await open_page(f"{stand.url}/p/{performance}", phone=True, reduced_motion="reduce")
    assert await page.evaluate("() => document.documentElement.scrollWidth") == 390
    assert await share_of(page, SeatState.AVAILABLE) > 0.03
    box = await page.locator("#map").bounding_box()
    bar = await page.locator("#sheet-bar").bounding_box()
    assert box is not None
    assert bar is not None
    assert box["height"] > 500
    assert bar["y"] + bar["height"] == pytest.approx(844, abs=1)

    # Seats are too small to be meant by a finger: the first tap comes closer, the second chooses.
    x, y = box["x"] + box["width"] / 2 + 20, box["y"] + box["height"] / 2
    await page.touchscreen.tap(x, y)
    await page.wait_for_timeout(400)
    assert await page.locator(".basket-line").count() == 0
    await page.touchscreen.tap(x, y)
    await expect(page.locator("#sheet-brief")).to_contain_text("1 place, €")
    assert await share_of(page, SeatState.MINE) > 0.001

    toggle = page.locator("#sheet-toggle")
    await toggle.tap()
    await expect(toggle).to_have_attribute("aria-expanded", "true")
    await page.locator("select.line-type").select_option("child")
    await page.locator("#to-checkout").tap()
    await page.locator("#buyer-name").fill("Camille")
    await page.locator("#buyer-email").fill("camille@example.org")
    await page.locator("#place").tap()
    await pay(page)
    assert await page.evaluate("() => document.documentElement.scrollWidth") == 390


async def test_two_fingers_zoom_about_their_middle(stand: Stand, open_page: OpenPage) -> None:
    performance = stand.add(THEATRE)
    page = await open_page(f"{stand.url}/p/{performance}", phone=True)
    before = await share_of(page, SeatState.AVAILABLE)
    client = await page.context.new_cdp_session(page)

    async def touch(kind: str, *points: tuple[float, float]) -> None:
        told = [{"x": x, "y": y, "id": n} for n, (x, y) in enumerate(points)]
        await client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": told})

    await touch("touchStart", (175, 400), (215, 400))
    for spread in range(20, 160, 14):
        await touch("touchMove", (195 - spread, 400), (195 + spread, 400))
    await touch("touchEnd")
    await page.wait_for_timeout(500)
    assert await share_of(page, SeatState.AVAILABLE) > 1.5 * before
    assert await page.locator(".basket-line").count() == 0, "a pinch chooses nothing"


@pytest.mark.skipif(not STADIUM_BYTES, reason="the stadium of ../shared/venues is not there")
async def test_a_stadium_opens_and_sells(
    stand: Stand, open_page: OpenPage, record_property: Callable[[str, object], None]
) -> None:
    plan = load_plan(STADIUM_BYTES)
    performance = stand.add(plan, settings_for(plan))
    await open_page(f"{stand.url}/p/{performance}")  # the gateway has made its JSON
    page = await open_page(f"{stand.url}/p/{performance}")
    opened_ms = await page.evaluate(
        "() => Math.round(performance.getEntriesByName('map-ready')[0].startTime)"
    )
    record_property("stadium_open_ms", opened_ms)
    print(f"the stadium of {len(plan.seats)} seats opened in {opened_ms} ms")
    # Its seats are smaller than a pixel there: their colour is mixed with what is around.
    assert await share_of(page, SeatState.AVAILABLE, tolerance=60) > 0.015
    await page.locator("#view-list").click()
    await page.locator("#list-section").select_option("20")
    seat = int(await page.locator(".list-seat.free").first.get_attribute("data-seat") or -1)
    await page.locator(".list-seat.free").first.click()
    await expect(basket_line(page, seat)).to_be_visible()
    await basket_line(page, seat).locator(".line-name").click()
    await page.wait_for_timeout(1_200)
    assert await share_of(page, SeatState.MINE) > 0.0002, "the seat is shown on the map"
