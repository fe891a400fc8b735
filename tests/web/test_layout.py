"""Nothing lies over a control: not the basket, not a note, on any usual screen."""

import pytest
from playwright.async_api import Page, expect

from engine.demo_houses import club
from engine.plan import Plan
from tests.web.buyer import basket_line, find_best, list_seat, notes, show_row
from tests.web.conftest import THEATRE, OpenPage
from tests.web.stand import Stand, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

CLUB = club()

COVERED = """(within) => {
  const scrolledAway = (element, x, y) => {
    for (let box = element.parentElement; box; box = box.parentElement) {
      if (getComputedStyle(box).overflowY === 'visible') continue;
      const { left, right, top, bottom } = box.getBoundingClientRect();
      if (x < left + 2 || x > right - 2 || y < top + 2 || y > bottom - 2) return true;
    }
    return false;
  };
  const found = { seen: 0, covered: [] };
  for (const element of document.querySelectorAll('a[href], button, input, select, summary')) {
    if (!element.checkVisibility() || element.closest('.skip, [inert]')) continue;
    if (!element.closest(within)) continue;
    const { x: left, y: top, width, height } = element.getBoundingClientRect();
    const [x, y] = [left + width / 2, top + height / 2];
    if (x < 0 || y < 0 || x > innerWidth || y > innerHeight) continue;
    if (scrolledAway(element, x, y)) continue;
    found.seen += 1;
    const hit = document.elementFromPoint(x, y);
    if (hit && (element.contains(hit) || hit.contains(element))) continue;
    found.covered.push(`${element.id || element.className} by ${hit?.className}`);
  }
  return found;
}"""
"""Controls in sight within a selector whose middle is not theirs to be clicked."""


async def nothing_is_covered(page: Page, within: str = "body") -> None:
    await page.wait_for_timeout(450)  # sheet and notes have come to rest
    found = await page.evaluate(COVERED, within)
    assert found["covered"] == []
    assert found["seen"] > 5


async def a_full_basket(page: Page) -> None:
    await find_best(page, 6)
    await expect(notes(page)).to_have_count(1)


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("plan", [THEATRE, CLUB], ids=["theatre", "club"])
@pytest.mark.parametrize(("width", "height"), [(1280, 800), (1440, 900)])
async def test_nothing_covers_a_control_beside_the_map(
    stand: Stand, open_page: OpenPage, width: int, height: int, plan: Plan, language: str
) -> None:
    performance = stand.add(plan, settings_for(plan), subtitles=("A play", "Une pièce"))
    page = await open_page(f"{stand.url}/p/{performance}", language=language)
    await page.set_viewport_size({"width": width, "height": height})
    await a_full_basket(page)
    for control in ("#best button[type=submit]", "#view-list", "#to-checkout", "#zoom-fit"):
        await expect(page.locator(control)).to_be_in_viewport(ratio=1)
    await nothing_is_covered(page)
    await page.locator("#view-list").click()
    await nothing_is_covered(page)
    # However much was said, and wherever the list was scrolled to.
    await page.evaluate(
        "async () => { const { note } = await import('/static/js/announce.js');"
        " for (let n = 0; n < 3; n += 1) note('Something long is to be said here. '.repeat(5)); }"
    )
    await page.locator("#list-view").evaluate("(list) => list.scrollTo(0, 90)")
    await expect(notes(page)).to_have_count(3)
    await nothing_is_covered(page)


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_nothing_covers_a_control_on_a_phone(
    stand: Stand, open_page: OpenPage, language: str
) -> None:
    performance = stand.add(CLUB, settings_for(CLUB))
    page = await open_page(f"{stand.url}/p/{performance}", language=language, phone=True)
    await page.locator("#sheet-toggle").tap()
    await a_full_basket(page)
    await nothing_is_covered(page, "#panel, #notes")
    await page.locator("#panel-body").evaluate("(body) => body.scrollTo(0, 1e6)")
    await expect(page.locator("#area-1 .button")).to_be_in_viewport(ratio=1)
    await nothing_is_covered(page, "#panel, #notes")
    await page.locator("#sheet-toggle").tap()
    await nothing_is_covered(page)
    await page.locator("#view-list").tap()
    await page.locator("#list-view").evaluate("(list) => list.scrollTo(0, 90)")
    await expect(notes(page)).to_have_count(1)
    await nothing_is_covered(page)


async def test_what_finds_seats_stays_within_reach_of_a_low_window(
    stand: Stand, open_page: OpenPage
) -> None:
    performance = stand.add(CLUB, settings_for(CLUB))
    page = await open_page(f"{stand.url}/p/{performance}")
    await page.set_viewport_size({"width": 1280, "height": 560})
    await a_full_basket(page)
    await page.locator("#area-1 .button").click()
    await expect(page.locator(".basket-line:not(.busy)")).to_have_count(7)
    await page.locator("#to-checkout").scroll_into_view_if_needed()
    await nothing_is_covered(page)
    await page.locator("#to-checkout").click()
    await expect(page.locator("#buyer-name")).to_be_visible()


@pytest.mark.parametrize(
    ("language", "one", "whole"),
    [
        ("en", "Table {}, seat {}", "Table {}, seats {}, {}, {} and {}"),
        ("fr", "Table {}, place {}", "Table {}, places {}, {}, {} et {}"),
    ],
)
async def test_notes_name_chairs_in_words(
    stand: Stand, open_page: OpenPage, language: str, one: str, whole: str
) -> None:
    performance = stand.add(CLUB, settings_for(CLUB))
    page = await open_page(f"{stand.url}/p/{performance}", language=language)
    table = next(table for table in CLUB.tables if not table.whole)
    labels = [CLUB.seats[seat].label for seat in table.seats]
    await show_row(page, CLUB, table.seats[0])
    await stand.hold(performance, table.seats[0])
    await expect(list_seat(page, table.seats[0])).to_have_attribute("aria-disabled", "true")
    await list_seat(page, table.seats[0]).click(force=True)
    name = one.format(table.label, labels[0])
    await expect(notes(page)).to_contain_text(name)
    await expect(list_seat(page, table.seats[0])).to_contain_text(name)

    full = next(table for table in CLUB.tables if table.whole and len(table.seats) == 4)
    await show_row(page, CLUB, full.seats[0])
    await list_seat(page, full.seats[0]).click()
    await expect(basket_line(page, full.seats[0])).to_be_visible()
    labels = [CLUB.seats[seat].label for seat in full.seats]
    await expect(page.locator("#live")).to_contain_text(whole.format(full.label, *labels))
