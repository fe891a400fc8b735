"""From the basket to the tickets: once, whatever is clicked twice, lost on the way or reloaded."""

import re

import pytest
from msgspec.structs import replace
from playwright.async_api import expect

from engine.commands import Channel, SeatStatus
from engine.credit import CODE_BYTES, code_of, credits_of, spaced
from engine.orders import LineState, Order, OrderState, PlaceOrder
from engine.papers import Paper
from engine.settings import Fee, FeeKind, FeePer, Price, Returns, ReturnWay, SaleStatus
from tests.web.buyer import (
    basket_line,
    click_seat,
    find_best,
    give_details,
    go_to_payment,
    list_seat,
    notes,
    pay,
    show_row,
)
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import Stand, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROW = next(run for run in THEATRE.runs if len(run) >= 8)


@pytest.fixture
def performance(stand: Stand) -> int:
    return stand.add(THEATRE)


def orders_of(stand: Stand, performance: int) -> list[Order]:
    found = stand.fake.desk.orders.by_id.values()
    return [order for order in found if order.seller == performance]


async def test_two_seats_are_bought_and_their_tickets_fetched(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    watcher = await open_page(f"{stand.url}/p/{performance}")
    await show_row(watcher, THEATRE, ROW[0])
    for seat in ROW[:2]:
        await click_seat(page, THEATRE, seat)
    await expect(basket_line(page, ROW[1])).to_be_visible()
    await page.locator("select.line-type").first.select_option("child")
    await give_details(page)
    await expect(page.locator("#equal-places")).not_to_be_checked()
    await page.locator("#equal-places").check()
    await page.locator("#place").click()
    await expect(page.locator(".pay-card")).to_contain_text("No money moves")
    await expect(page.locator(".stub-line")).to_have_count(2)
    order = await pay(page)
    await expect(page.locator("h1")).to_have_text("Enjoy the show")
    for seat in ROW[:2]:
        await expect(list_seat(watcher, seat)).to_contain_text("Taken")
        assert stand.statuses(performance)[seat] == SeatStatus.SOLD

    [made] = orders_of(stand, performance)
    assert (made.id, made.state) == (order, OrderState.PAID)
    assert made.equal_places and not made.equal
    assert made.buyer.name == "Camille Dupont"
    assert {line.seat: line.price_type for line in made.lines} == {ROW[0]: "child", ROW[1]: "full"}
    amounts = [f"€{line.amount / 100:.2f}" for line in made.lines]
    assert await page.locator(".stub-amount").all_inner_texts() == amounts
    link = await page.locator("#tickets").get_attribute("href")
    fetched = await page.request.get(f"{stand.url}{link}")
    assert fetched.headers["content-type"] == "application/pdf"
    assert (await fetched.body()).startswith(b"%PDF")

    # The basket is gone from this browser, and a new one can be begun.
    await page.goto(f"{stand.url}/p/{performance}")
    await expect(page.locator(".basket-empty")).to_be_visible()
    await find_best(page, 1)


async def test_a_purchase_by_keyboard_alone(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")

    async def tab_to(selector: str, most: int = 80) -> None:
        for _ in range(most):
            await page.keyboard.press("Tab")
            if await page.evaluate("(wanted) => document.activeElement.matches(wanted)", selector):
                ring = await page.evaluate("() => getComputedStyle(document.activeElement).outline")
                assert "none" not in ring, f"{selector} shows no focus"
                return
        raise AssertionError(f"{selector} is not reached by Tab")

    await tab_to("#skip")
    await page.keyboard.press("Enter")
    await expect(page.locator("#list-title")).to_be_focused()
    await tab_to("#list-section")
    await page.keyboard.press("ArrowDown")
    await tab_to("#list-row")
    await page.keyboard.press("ArrowDown")
    await tab_to(".list-seat.free")
    await page.keyboard.press("Enter")
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(1)
    await expect(page.locator("#live")).to_contain_text("yours for now")
    assert "Yours" in (await page.evaluate("() => document.activeElement.ariaLabel"))
    await tab_to("#to-checkout")
    await page.keyboard.press("Enter")
    await expect(page.locator("#checkout h1")).to_be_focused()
    await tab_to("#buyer-name")
    await page.keyboard.type("Ada Byron")
    await tab_to("#buyer-email")
    await page.keyboard.type("ada@example.org")
    await tab_to("#place")
    await page.keyboard.press("Enter")
    await expect(page.locator("#pay")).to_be_visible()
    await tab_to("#pay")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Enjoy the show")).to_be_visible()
    await tab_to("#tickets")
    [made] = orders_of(stand, performance)
    assert made.state is OrderState.PAID
    section = THEATRE.seat_sections[made.lines[0].seat]
    assert THEATRE.sections[section].name == THEATRE.sections[1].name


async def test_double_clicks_order_and_pay_once(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 1)
    await give_details(page)
    stand.fake.performances.delay_s = 0.2
    try:
        await page.locator("#place").dblclick()
        await expect(page.locator("#pay")).to_be_visible()
        await page.locator("#pay").dblclick()
        await expect(page.locator("#tickets")).to_be_visible()
    finally:
        stand.fake.performances.delay_s = 0
    [made] = orders_of(stand, performance)
    assert len(made.payments) == 1
    assert made.paid == made.total


async def test_a_lost_answer_is_asked_for_again_and_nothing_is_doubled(
    stand: Stand, performance: int, open_page: OpenPage, faults: list[str]
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 1)
    await give_details(page)
    stand.fake.desk.down = True
    await page.locator("#place").click()
    await expect(page.locator(".problem")).to_contain_text("you will not pay twice")
    stand.fake.desk.down = False
    await page.locator("#place").click()
    await expect(page.locator("#pay")).to_be_visible()

    # Paid, and the answer gets lost on its way back.
    async def lose(route):  # type: ignore[no-untyped-def]
        await route.fetch()
        await route.abort()

    await page.route("**/pay", lose)
    await page.locator("#pay").click()
    await expect(page.locator(".problem")).to_contain_text("you will not pay twice")
    await page.unroute("**/pay")
    await pay(page)
    [made] = orders_of(stand, performance)
    assert len(made.payments) == 1
    faults.clear()  # the browser logs requests that fail


async def test_an_order_whose_answer_was_lost_gives_way_to_a_changed_basket(
    stand: Stand, performance: int, open_page: OpenPage, faults: list[str]
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await page.locator("#best-category").select_option("0")
    await find_best(page, 1)
    await give_details(page)

    async def lose(route):  # type: ignore[no-untyped-def]
        await route.fetch()
        await route.abort()

    await page.route("**/api/orders", lose)
    await page.locator("#place").click()
    await expect(page.locator(".problem")).to_contain_text("you will not pay twice")
    await page.unroute("**/api/orders")
    await page.locator("#back").click()
    await page.locator("select.line-type").select_option("child")
    await go_to_payment(page)
    await expect(page.locator(".pay-amount")).to_have_text("€34.00")
    await pay(page)
    states = sorted(order.state for order in orders_of(stand, performance))
    assert states == [OrderState.CANCELLED, OrderState.PAID]
    faults.clear()


async def test_going_back_from_the_payment_reopens_the_basket(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await go_to_payment(page)
    await page.locator("#back").click()
    await expect(page.locator(".basket-line")).to_have_count(2)
    await page.locator(".line-remove").first.click()
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(1)
    await go_to_payment(page)
    # The browser's own way back does the same.
    await page.go_back()
    await expect(page.locator("#to-checkout")).to_be_enabled()
    await go_to_payment(page)
    await pay(page)
    confirmed = [one for one in orders_of(stand, performance) if one.state == "paid"]
    assert [len(order.lines) for order in confirmed] == [1]


async def test_a_reload_in_the_middle_of_the_payment_goes_on_with_it(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await go_to_payment(page)
    await page.reload()
    await expect(page.locator("#pay")).to_be_visible()
    await expect(page.locator(".checkout-time")).to_contain_text("Kept for 31:")
    await page.goto(f"{stand.url}/p/{performance}")
    await expect(page.locator("#pay")).to_be_visible()
    await pay(page)
    assert len(orders_of(stand, performance)) == 1


async def test_seats_lost_before_the_order_are_said_and_nothing_is_ordered(
    stand: Stand, performance: int, open_page: OpenPage, faults: list[str]
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await give_details(page)
    stand.pass_time(16 * 60_000)
    try:
        await expect(notes(page).last).to_contain_text("Time ran out")
        await expect(page.locator("#seats")).to_be_visible()
        await expect(page.locator(".basket-empty")).to_be_visible()
    finally:
        stand.fake.performances.ahead_ms = 0
    assert orders_of(stand, performance) == []


async def test_papers_open_beside_the_order_or_are_saved(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 1)
    await go_to_payment(page)
    await pay(page)
    address = page.url
    for paper in ("#tickets", "#receipt"):
        link = page.locator(paper)
        assert await link.get_attribute("target") == "_blank"
        assert await link.get_attribute("rel") == "noopener"
        async with page.context.expect_page() as opened:
            await link.click()
        await (await opened.value).close()
        assert page.url == address
        await expect(page.get_by_role("heading", name="Enjoy the show")).to_be_visible()
        async with page.expect_download() as saved:
            await link.click(modifiers=["Alt"])
        assert (await saved.value).suggested_filename.endswith(".pdf")


async def test_an_invoice_is_issued_for_whom_the_buyer_says_and_shown_again(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await go_to_payment(page)
    await pay(page)
    await page.locator("#invoice").click()
    name = page.get_by_label("Name, or company")
    await expect(name).to_be_focused()
    await name.fill("Chaises SA")
    await page.get_by_label("Billing address").fill("4 bis, boulevard Long\n\n86000 Poitiers\n")
    await page.locator("#invoice-now").click()
    link = page.get_by_role("link", name="Invoice F2026-000001")
    await expect(link).to_be_focused()
    [issued] = stand.fake.papers.kept.values()
    assert isinstance(issued, Paper)
    assert issued.client.name == "Chaises SA"
    assert issued.client.address == ("4 bis, boulevard Long", "86000 Poitiers")
    async with page.expect_download() as saved:
        await link.click(modifiers=["Alt"])
    assert (await saved.value).suggested_filename == "F2026-000001.pdf"
    await page.reload()
    await page.locator("#invoice").click()
    await expect(link).to_be_visible()
    await expect(page.locator("#invoice-now")).to_have_count(0)


async def test_an_order_that_costs_nothing_is_never_asked_to_be_paid(
    stand: Stand, open_page: OpenPage
) -> None:
    free = tuple(Price(category, "full", 0) for category in range(len(THEATRE.categories)))
    performance = stand.add(THEATRE, replace(settings_for(THEATRE), prices=free))
    page = await open_page(f"{stand.url}/p/{performance}")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await find_best(page, 2)
    await give_details(page)
    await page.locator("#place").dblclick()
    await expect(page.get_by_role("heading", name="Enjoy the show")).to_be_visible()
    await expect(page.locator("#tickets")).to_be_visible()
    [made] = orders_of(stand, performance)
    assert page.url == f"{stand.url}/o/{made.id}"
    assert (made.state, made.total, made.payments) == (OrderState.PAID, 0, ())
    assert not [url for url in asked if url.endswith("/pay")]
    await page.goto(f"{stand.url}/p/{performance}")
    await expect(page.locator(".basket-empty")).to_be_visible()


@pytest.mark.parametrize(
    ("state", "title", "text"),
    [
        (OrderState.OPEN, "Almost there", "waiting for your payment"),
        (OrderState.SELLING, "Making your tickets", "Your tickets follow in a moment"),
        (OrderState.FAILED, "We are paying you back", "The money goes back the way it came"),
        (OrderState.CANCELLED, "This order was not completed", "Nothing was charged"),
        (OrderState.EXPIRED, "The time to pay is over", "Nothing was charged"),
        (OrderState.PART_REFUNDED, "Part of your order is refunded", "that is left stays good"),
        (OrderState.AWAITING_APPROVAL, "We have your request", "You need not pay yet"),
        (OrderState.REFUNDED, "This order has been refunded", "no longer open any door"),
        ("repaid", "Your money is on its way back", "came too late for the seats"),
    ],
)
async def test_the_order_page_says_where_an_order_stands(
    stand: Stand,
    performance: int,
    open_page: OpenPage,
    monkeypatch: pytest.MonkeyPatch,
    state: str,
    title: str,
    text: str,
) -> None:
    """And follows by itself what is still under way."""
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await go_to_payment(page)
    confirmed = stand.fake.desk.orders.by_id[await pay(page)]
    lines = confirmed.lines
    if state is OrderState.REFUNDED:
        lines = tuple(replace(line, state=LineState.REFUNDED) for line in lines)
    if state is OrderState.PART_REFUNDED:
        lines = (replace(lines[0], state=LineState.REFUNDED), *lines[1:])
    if state == "repaid":
        state = OrderState.REFUNDED
        lines = tuple(replace(line, state=LineState.CANCELLED) for line in lines)
    shown = replace(confirmed, state=state, lines=lines)

    async def get(order: str) -> Order:
        return shown

    monkeypatch.setattr(stand.fake.desk, "get", get)
    await page.reload()
    await expect(page.locator("h1")).to_have_text(title)
    await expect(page.locator(".lead")).to_contain_text(text)
    assert await page.locator("#tickets").count() == (state == OrderState.PART_REFUNDED)
    if state in (OrderState.OPEN, OrderState.SELLING):
        shown = confirmed
        await expect(page.locator("h1")).to_have_text("Enjoy the show")
        await expect(page.locator("#tickets")).to_be_visible()
    if state == OrderState.REFUNDED:
        await expect(page.locator(".stub-line.gone")).to_have_count(2)


async def test_an_order_on_an_invoice_is_approved_and_paid_from_its_page(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    with stand.house(invoice={"first_days": 10, "interval_days": 7, "reminders": 2}):
        page = await open_page(f"{stand.url}/p/{performance}")
        await find_best(page, 2)
        await go_to_payment(page)
        await expect(page.locator("#later-on_site")).to_have_count(0)
        await page.locator("#later-invoice").click()
        await expect(page.locator("#order h1")).to_have_text("We have your request")
        order = page.url.rpartition("/")[2]
        approved = await stand.fake.desk.approve(order)
        assert isinstance(approved, Order)
        await page.reload()
        await expect(page.locator("#order h1")).to_have_text("Your order is reserved")
        await expect(page.locator(".order-facts")).to_contain_text("To pay until")
        await page.locator("#pay-now").click()
        await expect(page.locator("#order h1")).to_have_text("Enjoy the show")
        await expect(page.locator("#tickets")).to_be_visible()


async def test_the_order_page_says_that_its_performance_is_cancelled(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await go_to_payment(page)
    await pay(page)
    await expect(page.locator(".stub")).not_to_contain_text("Cancelled")
    stand.tell(performance, status=SaleStatus.CANCELLED)
    await page.reload()
    await expect(page.locator(".stub")).to_contain_text("Cancelled: it will not take place")


async def test_the_page_of_a_gift_card_has_its_code_once_it_is_paid(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    wanted = PlaceOrder(
        f"{performance:032x}", (), Channel.BOX_OFFICE, operator="ada",
        gift_cards=(5_000,), performance=performance, currency="EUR",
    )  # fmt: skip
    desk = stand.fake.desk
    order = await desk.place(wanted)
    assert isinstance(order, Order)
    page = await open_page(f"{stand.url}/o/{order.id}")
    code = spaced(order.charges[0].card)
    await expect(page.locator(".order-facts")).to_contain_text("Gift card")
    await expect(page.locator(".order-facts")).not_to_contain_text(code)
    paid = await desk.pay(order.id, "cash", "a", 5_000, "", "ada")
    assert isinstance(paid, tuple) and paid[0].state is OrderState.PAID
    await expect(page.locator("h1")).to_have_text("A present is ready")
    await expect(page.locator(".order-facts")).to_contain_text(code)
    await expect(page.locator("#gift-cards")).to_be_visible()
    assert "0" not in (await page.locator("#order").inner_text()).split("\n"), "nothing is no word"
    await expect(page.locator("#tickets")).to_have_count(0)


async def test_an_unknown_order_is_told(
    stand: Stand, open_page: OpenPage, faults: list[str]
) -> None:
    page = await open_page(f"{stand.url}/o/{'0' * 32}", ready=False)
    await expect(page.locator("h1")).to_have_text("There is nothing at this address")
    assert any(re.search("404", fault) for fault in faults)
    faults.clear()


async def test_a_credit_pays_a_part_and_the_card_the_rest(
    stand: Stand, performance: int, open_page: OpenPage, faults: list[str]
) -> None:
    code = code_of(bytes(range(CODE_BYTES)))
    credits = stand.fake.desk.orders.credits
    credits.balances[code], credits.currencies[code] = 500, "EUR"
    page = await open_page(f"{stand.url}/p/{performance}")
    await click_seat(page, THEATRE, ROW[4])
    await go_to_payment(page)
    await page.locator(".pay-credit summary").click()
    await page.locator("#credit").fill("0000-0000-0000-0001")
    await page.locator("#use-credit").click()
    await expect(page.locator(".problem")).to_contain_text("no such credit")
    faults.clear()  # the browser logs requests that fail
    await page.locator("#credit").fill(spaced(code).lower())
    await page.locator("#use-credit").click()
    await expect(page.locator(".pay-taken")).to_contain_text("5.00")
    [waiting] = [one for one in orders_of(stand, performance) if one.payments]
    rest = waiting.total - 500
    assert waiting.due == rest > 0 and credits.balances[code] == 0
    await expect(page.locator(".pay-amount")).to_contain_text(f"{rest / 100:.2f}")
    made = stand.fake.desk.orders.by_id[await pay(page)]
    assert made.state is OrderState.PAID
    assert [one.captured for one in made.payments] == [500, rest]


async def test_fees_are_shown_before_anything_is_ordered(stand: Stand, open_page: OpenPage) -> None:
    fees = (
        Fee("service", {"en": "Booking fee"}, fixed=150),
        Fee("card", {"en": "Card fee"}, FeeKind.PAYMENT, 80, per=FeePer.ORDER, ways=("test_card",)),
    )
    performance = stand.add(THEATRE, settings_for(THEATRE, fees=fees))
    page = await open_page(f"{stand.url}/p/{performance}")
    for seat in ROW[:2]:
        await click_seat(page, THEATRE, seat)
    await give_details(page)
    await expect(page.locator(".stub-line")).to_have_count(4)
    shown = await page.locator(".stub-line").all_inner_texts()
    assert any("Booking fee" in one and "€3.00" in one for one in shown), shown
    assert any("Card fee" in one and "€0.80" in one for one in shown), shown
    told = await page.locator(".stub-total strong").inner_text()
    assert orders_of(stand, performance) == []
    # And that is what it costs, at every step.
    await page.locator("#place").click()
    await expect(page.locator(".pay-amount")).to_have_text(told)
    await expect(page.locator(".stub-total strong")).to_have_text(told)
    await expect(page.locator(".stub-line")).to_have_count(4)
    paid = stand.fake.desk.orders.by_id[await pay(page)]
    assert told == f"€{paid.paid / 100:.2f}"


async def test_a_buyer_gives_a_place_back_for_a_credit(stand: Stand, open_page: OpenPage) -> None:
    returns = Returns(before_ms=3_600_000, fee=200, way=ReturnWay.EITHER)
    performance = stand.add(THEATRE, settings_for(THEATRE, returns=returns))
    page = await open_page(f"{stand.url}/p/{performance}")
    for seat in ROW[:2]:
        await click_seat(page, THEATRE, seat)
    await go_to_payment(page)
    id = await pay(page)
    paid = stand.fake.desk.orders.by_id[id]
    await page.locator("#give-back").click()
    price = paid.lines[0].amount
    await expect(page.locator(".return-sum")).to_contain_text(f"{(2 * price - 400) / 100:.2f}")
    await page.locator(".return-line input").nth(1).uncheck()
    await expect(page.locator(".return-sum")).to_contain_text(f"{(price - 200) / 100:.2f}")
    await page.locator(".return-way input[value=credit]").check()
    await page.locator("#give-back-now").click()
    await expect(page.locator(".order-facts")).to_contain_text("code")
    back = stand.fake.desk.orders.by_id[id]
    assert [line.state for line in back.lines] == [LineState.REFUNDED, LineState.SOLD]
    [(code, amount)] = credits_of(back)
    assert amount == price - 200 and (back.due, back.state) == (0, OrderState.PART_REFUNDED)
    await expect(page.locator(".order-facts")).to_contain_text(spaced(code))
    await expect(page.locator("#give-back")).to_be_visible()  # the other place may still go


async def test_a_buyer_exchanges_a_place_and_pays_what_it_costs(
    stand: Stand, open_page: OpenPage
) -> None:
    exchanges = Returns(before_ms=3_600_000, fee=150, way=ReturnWay.CREDIT)
    performance = stand.add(THEATRE, settings_for(THEATRE, exchanges=exchanges))
    page = await open_page(f"{stand.url}/p/{performance}")
    for seat in ROW[:2]:
        await click_seat(page, THEATRE, seat)
    await go_to_payment(page)
    id = await pay(page)
    await page.locator("#exchange").click()
    await page.locator(".return-line input").nth(1).check()
    await expect(page.locator(".return-sum")).to_contain_text("1.50")
    await page.locator("#exchange-now").click()
    await expect(page.locator(".exchange-strip")).to_contain_text("a place of order")
    await click_seat(page, THEATRE, ROW[5])
    await page.locator("#to-checkout").click()
    await expect(page.locator(".exchange-sum")).to_contain_text("1.50 are to be paid next")
    await page.locator("#exchange-places").click()
    await page.wait_for_url("**/o/*")
    await expect(page.locator("h1")).to_have_text("Your exchange waits for its payment")
    await expect(page.locator(".stub-line.gone")).to_have_count(1)
    asked = stand.fake.desk.orders.by_id[id]
    assert (asked.state, asked.due) == (OrderState.EXCHANGING, 150)
    assert stand.statuses(performance)[ROW[1]] == SeatStatus.SOLD
    await expect(page.locator("#tickets")).to_be_visible()  # what was bought is good until then
    await page.locator("#pay-now").click()
    await expect(page.locator("h1")).to_have_text("Your places are exchanged")
    await expect(page.locator(".stub-line")).to_have_count(3)  # two places, and the fee
    assert stand.fake.desk.orders.by_id[id].state is OrderState.EXCHANGED
    assert stand.statuses(performance)[ROW[1]] == SeatStatus.AVAILABLE
    assert stand.statuses(performance)[ROW[5]] == SeatStatus.SOLD
    # The next visit is a visit again.
    await page.goto(f"{stand.url}/p/{performance}")
    await click_seat(page, THEATRE, ROW[7])
    await expect(page.locator(".exchange-strip")).to_have_count(0)


async def test_a_buyer_keeps_what_was_bought_after_all(stand: Stand, open_page: OpenPage) -> None:
    exchanges = Returns(before_ms=3_600_000, fee=150, way=ReturnWay.CREDIT)
    performance = stand.add(THEATRE, settings_for(THEATRE, exchanges=exchanges))
    page = await open_page(f"{stand.url}/p/{performance}")
    await click_seat(page, THEATRE, ROW[0])
    await go_to_payment(page)
    id = await pay(page)
    await page.locator("#exchange").click()
    await page.locator(".return-line input").check()
    await page.locator("#exchange-now").click()
    await click_seat(page, THEATRE, ROW[5])
    await page.locator("#to-checkout").click()
    await page.locator("#exchange-places").click()
    await page.wait_for_url("**/o/*")
    await page.locator("#no-exchange").click()
    await expect(page.locator("h1")).to_have_text("Enjoy the show")
    kept = stand.fake.desk.orders.by_id[id]
    assert (kept.state, kept.exchanges[0].refused) == (OrderState.PAID, "cancelled")
    await expect(page.locator(".stub-line")).to_have_count(1)
