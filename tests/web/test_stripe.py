"""To Stripe's page and back: paid, given up, noticed late, never twice."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from engine.commands import SeatStatus
from engine.orders import Order, OrderState
from tests.fakes.stripe_server import FakeStripe
from tests.web.buyer import find_best, go_to_payment
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import Stand

pytestmark = pytest.mark.asyncio(loop_scope="module")

READY = "Enjoy the show"


@pytest_asyncio.fixture(loop_scope="module")
async def stripe() -> AsyncIterator[FakeStripe]:
    async with FakeStripe() as server:
        yield server


@pytest_asyncio.fixture(loop_scope="module")
async def house(stripe: FakeStripe) -> AsyncIterator[Stand]:
    served = await Stand.open_with_stripe(stripe)
    yield served
    await served.close()


async def at_stripe(page: Page, house: Stand, stripe: FakeStripe) -> int:
    """A buyer of two seats stands on Stripe's page; answers the performance."""
    performance = house.add(THEATRE)
    await page.goto(f"{house.url}/p/{performance}")
    await find_best(page, 2)
    await go_to_payment(page)
    await expect(page.locator(".pay-card")).to_contain_text("our payment partner")
    await page.locator("#pay").click()
    await page.wait_for_url(f"{stripe.url}/pay/**")
    return performance


def the_order(house: Stand) -> Order:
    [order] = house.fake.desk.orders.by_id.values()
    return order


async def kept(page: Page) -> list[str]:
    """What this browser still keeps to repeat an order or a basket."""
    keys: list[str] = await page.evaluate("() => Object.keys(localStorage)")
    return [key for key in keys if key.startswith(("strapontin.order.", "strapontin.basket."))]


async def test_a_buyer_who_paid_comes_back_to_tickets(
    house: Stand, stripe: FakeStripe, open_page: OpenPage
) -> None:
    page = await open_page(f"{house.url}/")
    performance = await at_stripe(page, house, stripe)
    await page.locator("#pay").click()
    await expect(page.get_by_role("heading", name=READY)).to_be_visible()
    await expect(page.locator("#tickets")).to_be_visible()
    order = the_order(house)
    assert page.url == f"{house.url}/o/{order.id}"
    assert (order.state, order.paid, len(order.payments)) == (
        OrderState.PAID,
        order.total,
        1,
    )
    assert await kept(page) == []
    assert house.statuses(performance).count(SeatStatus.SOLD) == 2


async def test_a_payment_whose_notice_is_lost_is_seen_when_the_buyer_comes_back(
    house: Stand, stripe: FakeStripe, open_page: OpenPage
) -> None:
    stripe.webhooks.url = None
    page = await open_page(f"{house.url}/")
    await at_stripe(page, house, stripe)
    await page.locator("#pay").click()
    await expect(page.get_by_role("heading", name=READY)).to_be_visible()
    await expect(page.locator("#tickets")).to_be_visible()
    assert len(the_order(house).payments) == len(stripe.sessions) == len(stripe.charges) == 1


async def test_the_order_page_waits_for_a_late_notice_and_follows_it(
    house: Stand, stripe: FakeStripe, open_page: OpenPage, faults: list[str]
) -> None:
    page = await open_page(f"{house.url}/")
    await at_stripe(page, house, stripe)
    stripe.webhooks.held = True
    stripe.fail_next(500, path="/v1/checkout/sessions/", times=20)
    await page.locator("#pay").click()
    await expect(page.get_by_role("heading", name="Almost there")).to_be_visible()
    assert await page.locator("#tickets").count() == 0
    stripe.release()
    await expect(page.get_by_role("heading", name=READY)).to_be_visible()
    await expect(page.locator("#tickets")).to_be_visible()
    faults.clear()  # the browser logs that the desk could not look


@pytest.mark.parametrize("way", ["cancel", "back"])
async def test_a_buyer_who_gave_up_pays_the_same_order_on_the_same_page(
    house: Stand, stripe: FakeStripe, open_page: OpenPage, way: str
) -> None:
    page = await open_page(f"{house.url}/")
    performance = await at_stripe(page, house, stripe)
    asked = page.url
    if way == "cancel":
        await page.locator("#cancel").click()
    else:
        await page.go_back()
    await page.wait_for_url(f"{house.url}/p/{performance}#checkout")
    await expect(page.locator("#checkout .lead")).to_contain_text(f"{the_order(house).number}")
    await expect(page.locator(".stub-line")).to_have_count(2)
    await expect(page.locator(".checkout-time")).to_contain_text("Kept for 3")
    await page.locator("#pay").click()
    await page.wait_for_url(asked)
    await page.locator("#pay").click()
    await expect(page.get_by_role("heading", name=READY)).to_be_visible()
    order = the_order(house)
    assert order.paid == order.total
    assert len(order.payments) == len(stripe.sessions) == len(stripe.charges) == 1


async def test_a_page_that_timed_out_gives_way_to_a_new_one(
    house: Stand, stripe: FakeStripe, open_page: OpenPage, faults: list[str]
) -> None:
    stripe.webhooks.url = None
    page = await open_page(f"{house.url}/")
    await at_stripe(page, house, stripe)
    first = page.url
    await page.locator("#cancel").click()
    stripe.time_out(first.rpartition("/")[2])
    await page.locator("#pay").click()
    await page.wait_for_url(f"{stripe.url}/pay/**")
    assert page.url != first
    await page.locator("#pay").click()
    await expect(page.get_by_role("heading", name=READY)).to_be_visible()
    assert [payment.state for payment in the_order(house).payments] == ["expired", "paid"]
    assert len(stripe.charges) == 1
    faults.clear()  # the browser logs that the first attempt was over


async def test_what_was_paid_meanwhile_is_shown_instead_of_the_seats(
    house: Stand, stripe: FakeStripe, open_page: OpenPage
) -> None:
    page = await open_page(f"{house.url}/")
    performance = await at_stripe(page, house, stripe)
    [session] = stripe.sessions
    stripe.pay(session)
    await stripe.drained()
    await page.goto(f"{house.url}/p/{performance}")
    await expect(page.get_by_role("heading", name=READY)).to_be_visible()
    assert page.url == f"{house.url}/o/{the_order(house).id}"
    # Told once: the seats can be looked at again afterwards, with an empty basket.
    await page.goto(f"{house.url}/p/{performance}")
    await expect(page.locator(".basket-empty")).to_be_visible()
