"""Choosing seats: on the map, from the list, by party size, under the eyes of others."""

from collections.abc import Callable

import msgpack
import pytest
from playwright.async_api import WebSocketRoute, expect

from engine.commands import SeatStatus
from engine.demo_houses import club
from engine.settings import SaleStatus, Surplus
from gateway.session import now_ms
from tests.web.buyer import (
    basket_line,
    click_seat,
    find_best,
    list_seat,
    notes,
    seat_point,
    show_row,
)
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import Stand, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROW = next(run for run in THEATRE.runs if len(run) >= 8)
"""A free row with room for choices."""


@pytest.fixture
def performance(stand: Stand) -> int:
    """A theatre of its own for each test, all seats free."""
    return stand.add(THEATRE, titles=("The Would-be Gentleman", "Le Bourgeois gentilhomme"))


async def test_the_list_leads_to_a_house_that_says_what_it_is(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/")
    await expect(page.locator("h1")).to_have_text("Théâtre du Test")
    link = page.locator(f'a.date[href="/p/{performance}"]')
    await expect(link).to_contain_text("at 20:00")
    await expect(link).to_contain_text("doors 19:00 · from €10")
    await link.click()
    await page.locator("#map[data-ready]").wait_for()
    await expect(page.locator("h1")).to_have_text("The Would-be Gentleman")
    await expect(page.locator("#venue")).to_have_text(THEATRE.name)
    await expect(page.locator(".legend-item")).to_have_count(7)
    free = sum(1 for seat in THEATRE.seats if seat.category == 0)
    await expect(page.locator(".price").first).to_contain_text(f"{free} places left")


async def test_a_click_on_the_map_takes_a_seat_and_another_gives_it_back(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    seat = ROW[3]
    await click_seat(page, THEATRE, seat)
    await expect(basket_line(page, seat)).to_be_visible()
    assert stand.statuses(performance)[seat] == SeatStatus.HELD
    await expect(page.locator(".basket-time")).to_contain_text("Kept for 14:5")
    await click_seat(page, THEATRE, seat)
    await expect(page.locator(".basket-line")).to_have_count(0)  # not even on its way out
    assert stand.statuses(performance)[seat] == SeatStatus.AVAILABLE


async def test_two_buyers_see_each_others_seats(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    one = await open_page(f"{stand.url}/p/{performance}")
    other = await open_page(f"{stand.url}/p/{performance}")
    seat = ROW[0]
    await show_row(one, THEATRE, seat)
    await show_row(other, THEATRE, seat)
    await list_seat(one, seat).click()
    await expect(list_seat(one, seat)).to_contain_text("Yours")
    await expect(list_seat(other, seat)).to_contain_text("In someone’s basket")
    await expect(list_seat(other, seat)).to_have_attribute("aria-disabled", "true")
    await list_seat(other, seat).click(force=True)
    await expect(notes(other)).to_contain_text("is in someone else’s basket")
    assert await other.locator(".basket-line").count() == 0
    await one.locator(".line-remove").click()
    await expect(list_seat(other, seat)).to_contain_text("Free")
    await list_seat(other, seat).click()
    await expect(list_seat(one, seat)).to_contain_text("In someone’s basket")


async def test_a_seat_lost_in_the_same_moment_is_named(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    seat = ROW[0]
    await show_row(page, THEATRE, seat)
    stand.fake.performances.delay_s = 0.4
    try:
        await list_seat(page, seat).click()
        await expect(list_seat(page, seat)).to_contain_text("One moment")
        stand.fake.performances.delay_s = 0
        await stand.hold(performance, seat)
    finally:
        stand.fake.performances.delay_s = 0
    label = THEATRE.seat_label(seat)
    words = f"{label.row} {label.seat} has just been taken. Nothing was added."
    await expect(notes(page)).to_contain_text(words)
    await expect(page.locator("#live")).to_contain_text(words)
    await expect(page.locator(".basket-line")).to_have_count(0)


async def test_a_seat_left_alone_is_explained_and_can_be_taken_too(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    lonely, seat = ROW[0], ROW[1]
    await show_row(page, THEATRE, seat)
    await list_seat(page, seat).click()
    label = THEATRE.seat_label(lonely)
    name = f"{label.row} {label.seat}"
    await expect(notes(page)).to_contain_text(f"This would leave {name} alone")
    assert stand.statuses(performance)[seat] == SeatStatus.AVAILABLE
    await page.get_by_role("button", name=f"Take {name} too").click()
    await expect(basket_line(page, seat)).to_be_visible()
    await expect(basket_line(page, lonely)).to_be_visible()
    await expect(notes(page)).to_have_count(0)


async def test_the_best_seats_are_found_with_their_reason(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await page.locator("#best-category").select_option("2")
    await find_best(page, 4)
    await expect(notes(page)).to_contain_text("4 seats side by side, the best free")
    held = [seat for seat, status in enumerate(stand.statuses(performance)) if status]
    assert len(held) == 4
    assert {THEATRE.seats[seat].category for seat in held} == {2}
    await expect(page.locator('.price[aria-pressed="true"]')).to_contain_text(
        THEATRE.categories[2].name
    )


async def test_nothing_that_fits_is_said(stand: Stand, open_page: OpenPage) -> None:
    performance = stand.add(THEATRE, settings_for(THEATRE, max_per_order=4))
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 4)
    await page.locator("#best button[type=submit]").click()
    await expect(notes(page).last).to_contain_text("One order takes 4 places at most.")


async def test_the_price_type_of_each_seat_makes_the_total(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await page.locator("#best-category").select_option("0")
    await find_best(page, 2)
    total = page.locator(".basket-total")
    await expect(total).to_have_text("€136.00")
    await page.locator("select.line-type").first.select_option("child")
    await expect(total).to_have_text("€102.00")
    await page.reload()
    await expect(total).to_have_text("€102.00")


async def test_areas_are_sold_by_quantity(stand: Stand, open_page: OpenPage) -> None:
    house = club()
    performance = stand.add(house, settings_for(house, "CHF"))
    page = await open_page(f"{stand.url}/p/{performance}")
    other = await open_page(f"{stand.url}/p/{performance}")
    card, seen = page.locator("#area-0"), other.locator("#area-0")
    capacity = house.areas[0].capacity
    await expect(seen).to_contain_text(f"{capacity} places left")
    await card.get_by_role("button", name="one more").click()
    await card.get_by_role("button", name="one more").click()
    await card.get_by_role("button", name="Add").click()
    await expect(page.locator(".basket-line")).to_have_count(3)
    await expect(seen).to_contain_text(f"{capacity - 3} places left")
    await page.locator("select.line-type").last.select_option("child")
    await page.locator(".line-remove").first.click()
    await expect(page.locator(".basket-line")).to_have_count(2)
    await expect(seen).to_contain_text(f"{capacity - 2} places left")
    # The child's price stays with the place it was chosen for.
    assert await page.locator("select.line-type").evaluate_all(
        "(selects) => selects.map((select) => select.value)"
    ) == ["full", "child"]


async def test_a_table_sold_as_a_whole_is_taken_as_a_whole(
    stand: Stand, open_page: OpenPage
) -> None:
    house = club()
    table = next(table for table in house.tables if table.whole)
    performance = stand.add(house, settings_for(house, "CHF"))
    page = await open_page(f"{stand.url}/p/{performance}")
    await show_row(page, house, table.seats[0])
    await list_seat(page, table.seats[1]).click()
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(len(table.seats))
    await page.locator(".line-remove").first.click()
    await expect(page.locator(".basket-line")).to_have_count(0)


async def test_a_hold_that_ran_out_is_announced(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    stand.pass_time(16 * 60_000)
    try:
        words = "Time ran out: your 2 places have gone back on sale."
        await expect(notes(page).last).to_contain_text(words)
        await expect(page.locator("#live")).to_contain_text(words)
        await expect(page.locator(".basket-line")).to_have_count(0)
        # The page starts over: the next seat is a new hold.
        await find_best(page, 1)
    finally:
        stand.fake.performances.ahead_ms = 0


async def test_a_lost_line_is_told_and_nothing_is_missed(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    mine, theirs = ROW[0], ROW[4]
    await show_row(page, THEATRE, mine)
    await list_seat(page, mine).click()
    await expect(basket_line(page, mine)).to_be_visible()
    banner = page.locator("#line")
    await page.context.set_offline(True)
    stand.cut_lines()
    await expect(banner).to_contain_text("Connection lost, retrying")
    await stand.hold(performance, theirs)
    await page.context.set_offline(False)
    await expect(banner).to_be_hidden()
    await expect(list_seat(page, theirs)).to_contain_text("In someone’s basket")
    await expect(basket_line(page, mine)).to_be_visible()
    # A new reign of the writer is followed too.
    stand.restart(performance)
    token = await stand.hold(performance, ROW[3])
    await expect(list_seat(page, ROW[3])).to_contain_text("In someone’s basket")
    await stand.release(performance, token)
    await expect(list_seat(page, ROW[3])).to_contain_text("Free")


async def test_a_basket_survives_a_reload_and_shows_in_another_tab(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    await find_best(page, 2)
    await page.reload()
    await expect(page.locator(".basket-line")).to_have_count(2)
    tab = await page.context.new_page()
    await tab.goto(page.url)
    await expect(tab.locator(".basket-line")).to_have_count(2)
    held = [status for status in stand.statuses(performance) if status]
    assert len(held) == 2


async def test_a_house_that_is_not_on_sale_is_shown_and_sells_nothing(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    stand.set_status(performance, SaleStatus.CLOSED)
    page = await open_page(f"{stand.url}/p/{performance}")
    await expect(page.locator("#closed")).to_have_text("Not on sale at the moment")
    await page.mouse.click(*await seat_point(page, THEATRE, ROW[0]))
    await expect(notes(page)).to_contain_text("not on sale at the moment")
    assert set(stand.statuses(performance)) == {SeatStatus.AVAILABLE}
    await expect(page.locator(".price-left").first).to_have_text("Not on sale")
    await expect(page.locator("#panel")).not_to_contain_text("one left")


async def test_a_cancelled_performance_says_so(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    stand.set_status(performance, SaleStatus.CANCELLED)
    page = await open_page(f"{stand.url}/p/{performance}")
    await expect(page.locator("#closed")).to_have_text("Cancelled: it will not take place")
    await expect(page.locator(".price-left").first).to_have_text("Not on sale")
    await page.goto(f"{stand.url}/")
    await expect(page.locator(f"a[href='/p/{performance}']")).to_contain_text("Cancelled")


async def test_a_sale_that_begins_by_itself_opens_the_page_by_itself(
    stand: Stand, open_page: OpenPage
) -> None:
    house = club()
    opens_ms = now_ms() + 3_600_000
    performance = stand.add(house, settings_for(house))
    stand.tell(performance, sale_opens_ms=opens_ms)
    page = await open_page(f"{stand.url}/")
    await page.clock.install()
    await page.goto(f"{stand.url}/p/{performance}")
    await expect(page.locator("#closed")).to_contain_text("on sale here from")
    await expect(page.locator(".price-left").first).to_have_text("Not on sale")
    stand.tell(performance, sale_opens_ms=0)
    await page.clock.fast_forward("01:00:01")
    await expect(page.locator(".price-left").first).to_contain_text("left")
    await expect(page.locator("#closed")).to_be_hidden()


async def test_places_that_tills_alone_sell_are_not_the_publics(
    stand: Stand, open_page: OpenPage
) -> None:
    house = club()
    everything = tuple(range(len(house.categories)))
    performance = stand.add(house, settings_for(house, surplus=Surplus(everything)))
    page = await open_page(f"{stand.url}/p/{performance}")
    await expect(page.locator(".price-left").first).to_have_text("None left")
    assert set(stand.statuses(performance)) == {SeatStatus.BLOCKED}


async def test_nothing_is_said_to_be_gone_before_the_first_colours_are_there(
    stand: Stand, open_page: OpenPage
) -> None:
    house = club()
    performance = stand.add(house, settings_for(house))
    page = await open_page(f"{stand.url}/")
    late: list[bytes | str] = []
    deliver: list[Callable[[bytes | str], None]] = []

    def hold_pictures_back(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        deliver.append(socket.send)

        def told(frame: bytes | str) -> None:
            picture = isinstance(frame, bytes) and msgpack.unpackb(frame)[0] == "snapshot"
            late.append(frame) if picture else socket.send(frame)

        server.on_message(told)

    await page.route_web_socket("**/ws", hold_pictures_back)
    await page.goto(f"{stand.url}/p/{performance}")
    find = page.locator("#best button[type=submit]")
    wait = "One moment…"
    await expect(page.locator(".price-left").first).to_have_text(wait)
    await page.locator("#view-list").click()
    await page.wait_for_timeout(1_000)  # longer than the map waits for its colours
    assert await page.locator(".price-left").all_inner_texts() == [wait] * 5
    assert await page.locator(".area-left").all_inner_texts() == [wait] * 2
    assert await page.locator(".price.gone").count() == 0
    assert await page.locator("#best-category option:disabled").count() == 0
    await expect(list_seat(page, 0)).to_contain_text(wait)
    await expect(find).to_be_disabled()
    await expect(page.locator("#area-0 .button")).to_be_disabled()
    for words in ("None left", "none left", "Not on sale", "0 free"):
        await expect(page.locator("#list")).not_to_contain_text(words)
        await expect(page.locator("#panel")).not_to_contain_text(words)

    deliver[-1](late[-1])
    free = house.areas[0].capacity
    await expect(page.locator("#area-0 .area-left")).to_have_text(f"{free} places left")
    await expect(page.locator(".price-left").first).to_contain_text("places left")
    await expect(list_seat(page, 0)).to_contain_text("Free")
    await expect(find).to_be_enabled()
    await expect(page.locator("#area-0 .button")).to_be_enabled()


async def test_an_address_that_leads_nowhere_says_so(
    stand: Stand, open_page: OpenPage, faults: list[str]
) -> None:
    page = await open_page(f"{stand.url}/p/99999", ready=False)
    await expect(page.locator("h1")).to_have_text("There is nothing at this address")
    await expect(page.get_by_role("link", name="See what is on")).to_be_visible()
    faults.clear()  # the browser logs every 404


async def test_french_and_english(stand: Stand, performance: int, open_page: OpenPage) -> None:
    page = await open_page(f"{stand.url}/p/{performance}", language="fr")
    await expect(page.locator("html")).to_have_attribute("lang", "fr")
    await expect(page.locator("h1")).to_have_text("Le Bourgeois gentilhomme")
    await expect(page.locator("#when")).to_contain_text("à 20:00")
    await expect(page.locator(".price").first).to_contain_text("68 €")
    await page.get_by_role("button", name="English").click()
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator("h1")).to_have_text("The Would-be Gentleman")
    await page.goto(f"{stand.url}/")
    await expect(page.locator("html")).to_have_attribute("lang", "en")
    await expect(page.locator(".curtain-kicker")).to_have_text("Now playing")


async def test_the_lights_go_down_and_stay_down(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}", color_scheme="light")
    root = page.locator("html")
    ground = "() => getComputedStyle(document.body).backgroundColor"
    assert await page.evaluate(ground) == "rgb(250, 246, 238)"
    await page.get_by_role("button", name="Turn the house lights down").click()
    await expect(root).to_have_attribute("data-theme", "dark")
    assert await page.evaluate(ground) == "rgb(22, 17, 19)"
    await page.reload()
    await expect(root).to_have_attribute("data-theme", "dark")


async def test_the_map_answers_the_keyboard(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}", reduced_motion="reduce")
    x, y = await seat_point(page, THEATRE, ROW[3])
    tip = page.locator("#tip")
    await page.locator("#map").focus()
    for key in ("+", "+", "ArrowLeft", "ArrowUp"):
        await page.keyboard.press(key)
    await page.mouse.move(x - 2, y)
    await page.mouse.move(x, y)
    label = THEATRE.seat_label(ROW[3])
    name = f"Row {label.row}, seat {label.seat}"
    assert await tip.is_hidden() or name != await tip.locator(".tip-seat").inner_text()
    await page.keyboard.press("0")
    await page.mouse.move(x - 2, y)
    await page.mouse.move(x, y)
    await expect(tip.locator(".tip-seat")).to_have_text(name)


async def test_the_content_policy_is_on_and_its_breach_is_heard(
    stand: Stand, performance: int, open_page: OpenPage, faults: list[str]
) -> None:
    """The positive control of what every other test relies on."""
    page = await open_page(f"{stand.url}/p/{performance}")
    assert faults == []
    await page.evaluate(
        "() => document.body.append(Object.assign(document.createElement('script'),"
        " { textContent: 'window.broken = true' }))"
    )
    assert await page.evaluate("() => window.broken") is None
    await page.evaluate("() => document.body.setAttribute('style', 'color: red')")
    heard = ("policy: script-src-elem inline", "policy: style-src-attr inline")
    for _ in range(100):
        if set(heard) <= set(faults):
            break
        await page.wait_for_timeout(50)
    assert set(heard) <= set(faults)
    faults.clear()
