"""The waiting room as a buyer lives it: before it, in it, called in, and when it is over."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientSession
from playwright.async_api import Page, expect

from engine.limits import ADMISSION_MS
from engine.settings import SaleStatus
from engine.waiting_room import visitor_of
from tests.web.buyer import find_best, list_seat, notes, show_row
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import MINUTE_MS, Stand
from tests.web.test_layout import nothing_is_covered

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROW = next(run for run in THEATRE.runs if len(run) >= 8)
STANDING_STILL = (-1, -1)
"""Places (available, held) that nobody knows: nobody is let in."""
SHORT_MS = 6_000
"""A turn that is soon over."""


@pytest_asyncio.fixture(loop_scope="module")
async def performance(stand: Stand) -> AsyncIterator[int]:
    """A theatre of its own for each test; its room is closed behind it."""
    number = stand.add(THEATRE, titles=("The Would-be Gentleman", "Le Bourgeois gentilhomme"))
    yield number
    stand.fake.rooms.places = None
    await stand.close_room(number)
    stand.fake.rooms.offset_ms = 0


async def is_at(page: Page, stage: str) -> None:
    """The waiting room is shown, at this stage, and no seat is."""
    await expect(page.locator("#waiting")).to_be_visible()
    await expect(page.locator("#waiting")).to_have_attribute("data-stage", stage)
    await expect(page.locator("#seats")).to_be_hidden()


async def is_inside(page: Page) -> None:
    await expect(page.locator("#waiting")).to_be_hidden()
    await page.locator("#map[data-ready]").wait_for()


async def enter(stand: Stand, performance: int, open_page: OpenPage, **options: Any) -> Page:
    """A buyer at the performance's address, wherever that leads."""
    return await open_page(f"{stand.url}/p/{performance}", ready=False, **options)


async def on_sale(stand: Stand, performance: int, places: tuple[int, int] | None) -> None:
    """A room whose draw was just made, in front of a house with these places."""
    stand.fake.rooms.places = places
    await stand.open_room(performance)
    stand.fake.rooms.advance(MINUTE_MS)


async def visitor_in(stand: Stand, page: Page, performance: int) -> str:
    """The buyer's name in the public log."""
    token = await page.evaluate("() => localStorage.getItem('strapontin.session')")
    async with ClientSession(stand.url) as http:
        bearer = {"Authorization": f"Bearer {token}"}
        async with http.post("/api/session", json={}, headers=bearer) as answer:
            session = (await answer.json())["session"]
    return visitor_of(performance, session).hex()


# From the announcement to the seats ---------------------------------------------------------


async def test_from_the_announcement_to_the_seats(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    await stand.open_room(performance, 30 * MINUTE_MS, 60 * MINUTE_MS)
    page = await enter(stand, performance, open_page)
    await is_at(page, "scheduled")
    await expect(page.locator("#waiting-kicker")).to_have_text("The waiting room opens in")
    await expect(page.locator("#waiting-figure")).to_contain_text("29:")
    await expect(page.locator("#waiting-caption")).to_contain_text(
        "Tickets go on sale "
    )  # at a time, or on a day
    await expect(page.locator("#waiting h1")).to_have_text("The Would-be Gentleman")
    await expect(page).to_have_title("Waiting room · The Would-be Gentleman")

    # It opens, and takes in whoever looks on.
    stand.fake.rooms.advance(30 * MINUTE_MS)
    await is_at(page, "gathering")
    await expect(page.locator("#waiting-kicker")).to_contain_text("You are in")
    await expect(page.locator("#waiting-caption")).to_contain_text("Arriving earlier or later")
    await expect(page).to_have_title("Draw in 60 minutes · The Would-be Gentleman")
    async with stand.crowd(performance, 2):
        await expect(page.locator("#waiting-label")).to_have_text("you and 2 others")
    assert stand.watched(performance) == 0, "who waits does not load the seat feed"

    # The draw, and a turn.
    stand.fake.rooms.advance(30 * MINUTE_MS)
    await is_inside(page)
    await expect(notes(page)).to_contain_text("It is your turn: 70 minutes")
    await expect(page.locator("#live")).to_contain_text("It is your turn")
    await expect(page.locator("#turn")).to_contain_text("left to choose")
    await expect(page.locator("h1:visible")).to_be_focused()
    await expect(page.locator(".drape")).to_have_count(0)
    await nothing_is_covered(page)
    await find_best(page, 2)


@pytest.mark.parametrize(
    ("language", "opens", "gathers", "admits", "go"),
    [
        (
            *("en", r"Waiting room opens .*\d\d:\d\d · tickets on sale from .*\d\d:\d\d$"),
            *("The waiting room is open · tickets on sale", "one after another"),
            "Waiting room",
        ),
        (
            *(
                "fr",
                r"Ouverture de la file d’attente : .*\d\d:\d\d · vente à partir de .*\d\d:\d\d$",
            ),
            *("La file d’attente est ouverte · vente à partir de", "à tour de rôle"),
            "File d’attente",
        ),
    ],
)
async def test_the_programme_says_when_a_waiting_room_opens_and_that_it_is_open(
    stand: Stand,
    performance: int,
    open_page: OpenPage,
    language: str,
    opens: str,
    gathers: str,
    admits: str,
    go: str,
) -> None:
    page = await open_page(f"{stand.url}/", language=language)
    date = page.locator(f"a.date[href='/p/{performance}']")
    await expect(date).to_be_visible()
    await expect(date.locator(".date-room")).to_have_count(0)
    stand.set_status(performance, SaleStatus.CLOSED)
    await stand.open_room(performance, 30 * MINUTE_MS, 60 * MINUTE_MS)
    for words in (opens, gathers, admits):
        await page.reload()
        await expect(date.locator(".date-room")).to_have_text(re.compile(words))
        await expect(date.locator(".date-go")).to_have_text(go)
        await expect(date).not_to_have_class(re.compile("closed"))
        await stand.put_forward(30 * MINUTE_MS)
    await date.click()
    await expect(page).to_have_url(f"{stand.url}/p/{performance}")
    await stand.close_room(performance)
    await page.goto(f"{stand.url}/")
    await expect(date).to_be_visible()
    await expect(date.locator(".date-room")).to_have_count(0)


async def test_the_draw_can_be_checked_with_what_the_page_shows(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    await stand.open_room(performance)
    page = await enter(stand, performance, open_page)
    await is_at(page, "gathering")
    await expect(page.locator("#waiting-commitment")).to_be_hidden()
    await page.locator("#waiting-check summary").focus()
    await page.keyboard.press("Enter")
    visitor = await visitor_in(stand, page, performance)
    await expect(page.locator("#waiting-visitor")).to_have_text(visitor)
    log = page.locator("#waiting-check a")
    await expect(page.locator("#waiting-check")).to_contain_text(
        f"strapontin queue verify {stand.url}/api/performances/{performance}/queue/log"
        f" --visitor {visitor}"
    )
    async with ClientSession() as http, http.get(await log.get_attribute("href") or "") as answer:
        told = await answer.json()
    await expect(page.locator("#waiting-commitment")).to_have_text(told["commitment"])
    assert visitor in str(told["events"])


async def test_a_place_survives_reload_second_tab_and_lost_line(
    stand: Stand, performance: int, open_page: OpenPage, faults: list[str]
) -> None:
    await on_sale(stand, performance, STANDING_STILL)
    async with stand.crowd(performance, 3):
        page = await enter(stand, performance, open_page)
        await is_at(page, "waiting")
        await expect(page.locator("#waiting-figure")).to_have_text("3")
        await expect(page.locator("#waiting-label")).to_have_text("people before you")
        await expect(page.locator("#waiting-caption")).to_contain_text("cannot be told yet")
        await expect(page).to_have_title("3 before you · The Would-be Gentleman")
        async with stand.crowd(performance, 1):
            await page.reload()
            await expect(page.locator("#waiting-figure")).to_have_text("3")
            tab = await page.context.new_page()
            await tab.goto(page.url)
            await expect(tab.locator("#waiting-figure")).to_have_text("3")
            await page.context.set_offline(True)
            stand.cut_lines()
            banner = page.locator("#line")
            await expect(banner).to_have_text("Connection lost, retrying. Your place is kept.")
            await page.context.set_offline(False)
            await expect(banner).to_be_hidden()
            # The browser may log the attempts that it made without a network.
            faults[:] = [fault for fault in faults if "ERR_INTERNET_DISCONNECTED" not in fault]
            await expect(page.locator("#waiting-figure")).to_have_text("3")
            # The turn comes in all tabs, and lasts over a reload.
            stand.fake.rooms.places = (100, 0)
            await is_inside(page)
            await is_inside(tab)
            await tab.reload()
            await is_inside(tab)
            await expect(tab.locator("#turn")).to_contain_text("left to choose")
            assert await notes(tab).count() == 0, "whoever was called in is not called again"


async def test_a_line_that_stands_still_and_a_house_that_sold_out_say_so(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    await on_sale(stand, performance, (0, 5))
    async with stand.crowd(performance, 2):
        page = await enter(stand, performance, open_page)
        await is_at(page, "full")
        await expect(page.locator("#waiting-kicker")).to_have_text("The line stands still")
        await expect(page.locator("#waiting-figure")).to_have_text("2")
        await expect(page.locator("#waiting-caption")).to_contain_text("in somebody’s basket")
        stand.fake.rooms.places = (0, 0)
        await is_at(page, "sold_out")
        await expect(page.locator("#waiting-figure")).to_have_text("Sold out")
        await expect(page.locator("#live")).to_contain_text("Sold out")
        await expect(page.locator("#waiting-caption")).to_contain_text("your place in it is kept")
        await expect(page.get_by_role("link", name="See what else is on")).to_be_visible()
        await expect(page).to_have_title("Sold out · The Would-be Gentleman")
        stand.fake.rooms.places = (6, 0)
        await is_inside(page)


async def test_a_closed_room_lets_everybody_in(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    await stand.open_room(performance)
    page = await enter(stand, performance, open_page)
    await is_at(page, "gathering")
    await stand.close_room(performance)
    await is_inside(page)
    await expect(notes(page)).to_contain_text("everyone may choose now")
    await expect(page.locator("#turn")).to_be_hidden()
    await find_best(page, 1)


async def test_a_sale_that_began_meanwhile_is_on(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    stand.set_status(performance, SaleStatus.CLOSED)
    await stand.open_room(performance)
    page = await enter(stand, performance, open_page)
    await is_at(page, "gathering")
    stand.set_status(performance, SaleStatus.ON_SALE)
    stand.fake.rooms.advance(MINUTE_MS)
    await is_inside(page)
    await expect(page.locator("#closed")).to_be_hidden()
    await find_best(page, 1)


async def test_who_looks_elsewhere_is_called_by_the_tab(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    await on_sale(stand, performance, STANDING_STILL)
    page = await enter(stand, performance, open_page, reduced_motion="reduce")
    await is_at(page, "waiting")
    await expect(page.locator("#waiting-figure")).to_have_text("You are next")
    looking = "(away) => Object.defineProperty(document, 'hidden', { value: away, writable: true })"
    await page.evaluate(looking, True)
    stand.fake.rooms.places = (100, 0)
    await expect(page).to_have_title("Your turn!")
    await expect(page).to_have_title("The Would-be Gentleman")
    await page.evaluate(looking, False)
    await expect(page).to_have_title(re.compile("^The Would-be Gentleman · .* 20"))


# The turn is over ---------------------------------------------------------------------------


async def a_short_turn(stand: Stand, performance: int, open_page: OpenPage) -> Page:
    """Let in, with a turn that ends within seconds: the rooms' clock goes behind."""
    stand.fake.rooms.offset_ms = SHORT_MS - ADMISSION_MS
    await stand.open_room(performance, on_sale_in_ms=100)
    page = await enter(stand, performance, open_page)
    await is_inside(page)
    return page


async def test_a_turn_that_passed_leads_back_to_the_line(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await a_short_turn(stand, performance, open_page)
    stand.fake.rooms.places = STANDING_STILL
    await is_at(page, "lapsed")
    await expect(page.locator("#waiting-figure")).to_have_text("Your time to choose is over")
    await expect(page.locator("#waiting-kicker")).to_be_focused()
    assert stand.watched(performance) == 0
    # A reload neither queues again by itself nor lets in.
    tab = await page.context.new_page()
    await tab.goto(page.url)
    await is_at(tab, "lapsed")
    assert await notes(tab).count() == 0
    stand.fake.rooms.offset_ms = 0
    async with stand.crowd(performance, 2):
        await page.get_by_role("button", name="Queue again").click()
        await is_at(page, "waiting")
        await expect(page.locator("#waiting-figure")).to_have_text("2")
        await expect(tab.locator("#waiting-figure")).to_have_text("2")
        stand.fake.rooms.places = None
        await is_inside(page)
        await expect(page.locator("#turn")).to_contain_text("left to choose")


async def test_what_is_in_the_basket_outlasts_the_turn(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await a_short_turn(stand, performance, open_page)
    await find_best(page, 1)
    await expect(page.locator("#turn")).to_contain_text("What is in your basket stays yours")
    await page.locator("#best button[type=submit]").click()
    words = "seats are chosen one after another. What is in your basket stays yours."
    await expect(notes(page).last).to_contain_text(words)
    await page.reload()
    await is_inside(page)
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(1)
    await page.locator(".line-remove").click()
    await is_at(page, "lapsed")


# Not let in ---------------------------------------------------------------------------------


async def test_a_hold_before_the_turn_leads_to_the_line(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await enter(stand, performance, open_page)
    await is_inside(page)
    await show_row(page, THEATRE, ROW[0])
    await stand.open_room(performance)
    await list_seat(page, ROW[0]).click()
    await is_at(page, "gathering")
    await expect(page.locator("#waiting-kicker")).to_be_focused()
    assert stand.watched(performance) == 0
    assert await notes(page).count() == 0
    stand.fake.rooms.advance(MINUTE_MS)
    await is_inside_list(page)
    await list_seat(page, ROW[0]).click()
    await expect(list_seat(page, ROW[0])).to_contain_text("Yours")


async def is_inside_list(page: Page) -> None:
    await expect(page.locator("#waiting")).to_be_hidden()
    await expect(list_seat(page, ROW[0])).to_contain_text("Free")


async def test_a_room_that_opens_takes_no_basket_away(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await enter(stand, performance, open_page)
    await is_inside(page)
    await find_best(page, 1)
    await stand.open_room(performance)
    await page.locator("#best button[type=submit]").click()
    await expect(notes(page).last).to_contain_text("A waiting room is open")
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(1)
    await expect(page.locator("#to-checkout")).to_be_visible()
    await page.locator(".line-remove").click()
    await is_at(page, "gathering")


# The page itself ----------------------------------------------------------------------------


async def test_without_a_room_nothing_of_it_is_loaded(
    stand: Stand, performance: int, open_page: OpenPage
) -> None:
    page = await open_page(f"{stand.url}/p/{performance}")
    loaded = await page.evaluate(
        "() => performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert any(name.endswith("/js/page_seat.js") for name in loaded)
    assert [name for name in loaded if "waiting" in name or "/queue" in name] == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_a_phone_shows_it_whole_in_french(
    stand: Stand, performance: int, open_page: OpenPage, theme: str
) -> None:
    await on_sale(stand, performance, STANDING_STILL)
    async with stand.crowd(performance, 1):
        page = await enter(
            stand,
            performance,
            open_page,
            language="fr",
            phone=True,
            color_scheme=theme,
            reduced_motion="reduce",
        )
        await is_at(page, "waiting")
        await expect(page.locator("#waiting-label")).to_have_text("personne avant vous")
        await expect(page).to_have_title("1 avant vous · Le Bourgeois gentilhomme")
        await expect(page.locator(".foyer")).to_be_in_viewport(ratio=1)
        wide = "() => document.documentElement.scrollWidth - innerWidth"
        assert await page.evaluate(wide) <= 0
        await page.locator("#waiting-check summary").tap()
        assert await page.evaluate(wide) <= 0
        await expect(page.locator("#waiting-check")).to_contain_text("queue verify")
        await expect(page.locator("#skip")).to_be_hidden()
        stand.fake.rooms.places = (100, 0)
        await is_inside(page)
        await expect(page.locator("#turn")).to_contain_text("pour choisir")
