"""For everyone: every control has a name, every text can be read, in both lights, on every page."""

from typing import Any

import pytest
from playwright.async_api import Page

from engine.demo_houses import club
from renderers.palette import AA_TEXT
from tests.web.buyer import find_best, go_to_payment, pay
from tests.web.conftest import OpenPage
from tests.web.stand import Stand, settings_for

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAMELESS = """() => {
  const named = (one) => one.getAttribute('aria-label') || one.innerText?.trim() || one.title
    || [...(one.labels ?? [])].some((label) => label.innerText.trim());
  return [...document.querySelectorAll('button, a, input, select, summary, [tabindex="0"]')]
    .filter((one) => one.checkVisibility() && !named(one)).map((one) => one.outerHTML);
}"""

PALE = """(least) => {
  const parse = (color) => (color.match(/[\\d.]+/g) ?? []).map(Number);
  const luminance = ([r, g, b]) => [r, g, b].map((value) => value / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, n) => sum + v * [0.2126, 0.7152, 0.0722][n], 0);
  const ground = (one) => {
    for (let at = one; at; at = at.parentElement) {
      const style = getComputedStyle(at);
      if (style.backgroundImage.includes('gradient') && !at.matches('select')) return null;
      const [r, g, b, alpha = 1] = parse(style.backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const pale = [];
  for (const one of document.querySelectorAll('body *')) {
    const words = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!words || !one.checkVisibility({ opacityProperty: true }) || one.disabled) continue;
    if (one.closest('.unseen, :disabled, option, .list-page .top')) continue;
    const behind = ground(one);
    if (!behind) continue; // over a picture: looked at by people
    const style = getComputedStyle(one);
    const [light, dark] = [luminance(parse(style.color)), luminance(behind)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    const large = parseFloat(style.fontSize) >= 24;
    if (ratio < (large ? 3 : least)) pale.push([one.className, one.textContent, ratio]);
  }
  return pale;
}"""

LANDMARKS = """() => ({ h1: document.querySelectorAll('h1:not([hidden] *)').length,
  main: document.querySelectorAll('main').length,
  header: document.querySelectorAll('header').length,
  ids: [...document.querySelectorAll('[id]')].map(({ id }) => id)
    .filter((id, n, all) => all.indexOf(id) !== n),
  pointed: [...document.querySelectorAll('[aria-labelledby], [aria-describedby], label[for]')]
    .flatMap((one) => [one.getAttribute('aria-labelledby'), one.getAttribute('aria-describedby'),
      one.getAttribute('for')]).filter((id) => id && !document.getElementById(id)) })"""


async def look(page: Page, where: str) -> None:
    """Holds the page as it stands against what must be true everywhere."""
    await page.wait_for_timeout(400)  # notes slide in
    assert await page.evaluate(NAMELESS) == [], where
    assert await page.evaluate(PALE, AA_TEXT) == [], where
    found: dict[str, Any] = await page.evaluate(LANDMARKS)
    assert found == {"h1": 1, "main": 1, "header": 1, "ids": [], "pointed": []}, where


@pytest.mark.parametrize("light", ["light", "dark"])
async def test_every_step_can_be_read_and_named(
    stand: Stand, open_page: OpenPage, light: str
) -> None:
    house = club()
    performance = stand.add(house, settings_for(house, "CHF"))
    whole = {seat for table in house.tables if table.whole for seat in table.seats}
    await stand.hold(performance, next(n for n in range(len(house.seats)) if n not in whole))
    options = {"color_scheme": light, "reduced_motion": "reduce"}
    page = await open_page(f"{stand.url}/", **options)
    await page.locator(".date").first.wait_for()
    await look(page, "list of performances")
    await page.goto(f"{stand.url}/p/{performance}")
    await page.locator("#map[data-ready]").wait_for()
    await page.locator(".price").first.click()
    await find_best(page, 2)
    await look(page, "map")
    await page.locator("#view-list").click()
    await look(page, "list of seats")
    await page.locator("#to-checkout").click()
    await look(page, "checkout")
    await page.locator("#back").click()
    await go_to_payment(page)
    await look(page, "payment")
    await pay(page)
    await look(page, "order")
