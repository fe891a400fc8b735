"""What a phone says to a ticket: to eyes, ears and hands, in both languages; and taking it back."""

import re

import pytest
from msgspec.structs import replace
from playwright.async_api import Page, expect

from engine.commands import ScanOutcome, TicketState
from gateway.session import now_ms
from renderers import i18n, secret
from tests.web.conftest import OpenPage
from tests.web.doors import Doors, at_the_door, closed, doors, scan

__all__ = ["doors"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

HOUR_MS = 3_600_000
SENSES = """() => {
  globalThis.felt = { shakes: [], tones: [] };
  navigator.vibrate = (shake) => felt.shakes.push(shake.join(" "));
  const { start } = OscillatorNode.prototype;
  OscillatorNode.prototype.start = function (...when) {
    felt.tones.push(`${this.type} ${this.frequency.value}`);
    return start.apply(this, when);
  };
}"""
GOOD, WARN, BAD = "good", "warn", "bad"
LOOKS = {
    "ADMITTED": GOOD, "EXITED": GOOD, "ALREADY_USED": WARN, "WRONG_GATE": WARN, "TOO_EARLY": WARN,
    "TOO_LATE": WARN, "UNPAID": WARN, "UNKNOWN": BAD, "REVOKED": BAD, "REFUNDED": BAD,
    "BLOCKED": BAD, "WRONG_PERFORMANCE": BAD,
}  # fmt: skip


async def seen(page: Page) -> dict[str, str]:
    """Colour, shape, words, vibration and sound of the answer that is shown."""
    told: dict[str, str] = await page.evaluate(
        """() => {
          const panel = document.getElementById("result");
          const felt = globalThis.felt;
          globalThis.felt = { shakes: [], tones: [] };
          return {
            look: panel.className,
            colour: getComputedStyle(panel).backgroundColor,
            shape: panel.querySelector(".sign-ground").getAttribute("d"),
            words: panel.innerText,
            shake: felt.shakes.join("; "),
            tones: felt.tones.join("; "),
          };
        }"""
    )
    return told


async def every_answer(doors: Doors, page: Page) -> dict[str, dict[str, str]]:
    """How each outcome looks, from the ticket to the screen."""
    tickets = await doors.sell(*range(8))
    core, found = doors.core, {}

    async def show(text: str, result: str) -> None:
        await scan(page, text, result)
        found[result] = await seen(page)

    await show(tickets[0], "ADMITTED")
    await show(tickets[0], "ALREADY_USED")
    await page.locator('[data-mode="exit"]').click()
    await show(tickets[0], "EXITED")
    await page.locator('[data-mode="admit"]').click()
    await doors.refund(2)
    await doors.set_tickets(TicketState.REVOKED, 3)
    await doors.set_tickets(TicketState.BLOCKED, 4)
    await doors.set_tickets(TicketState.UNPAID, 5)
    for number, result in ((2, "REFUNDED"), (3, "REVOKED"), (4, "BLOCKED"), (5, "UNPAID")):
        await show(tickets[number - 1], result)
    await show("ST1" + tickets[0][3:][::-1], "UNKNOWN")
    await show(secret.sign(doors.stand.fake.ticket_key, 999, 1, 0), "WRONG_PERFORMANCE")
    settings = core.settings
    elsewhere = tuple(replace(gate, sections=(99,)) for gate in settings.gates)
    for result, changed in (
        ("WRONG_GATE", {"gates": elsewhere}),
        ("TOO_EARLY", {"doors_open_ms": now_ms() + HOUR_MS}),
        ("TOO_LATE", {"doors_open_ms": 1, "doors_close_ms": 2}),
    ):
        core.configure(replace(settings, **changed))
        await show(tickets[5], result)
    core.configure(settings)
    return found


@pytest.mark.parametrize("language", ["en", "fr"])
async def test_every_answer_is_told_in_colour_shape_words_sound_and_vibration(
    doors: Doors, open_page: OpenPage, language: str
) -> None:
    page = await at_the_door(open_page, doors, language=language)
    await page.evaluate(SENSES)
    await page.locator("#result").click()  # a browser is silent until it is touched
    found = await every_answer(doors, page)
    assert set(found) == set(ScanOutcome) == set(LOOKS)
    words = i18n.export(language, "outcome")
    by_look: dict[str, set[tuple[str, ...]]] = {GOOD: set(), WARN: set(), BAD: set()}
    for result, told in found.items():
        assert told["look"] == f"result look-{LOOKS[result]}"
        assert str(words[f"outcome.scan.{result}"]) in told["words"]
        if result != "ALREADY_USED":  # which tells when and where instead
            assert str(words[f"outcome.scan_why.{result}"]) in told["words"]
        signs = tuple(told[sense] for sense in ("colour", "shape", "shake", "tones"))
        assert all(signs), result
        by_look[LOOKS[result]].add(signs)
    # Each look has signs of its own, to every sense.
    for look in by_look.values():
        assert len(look) == 1
    for sense in range(4):
        assert len({next(iter(look))[sense] for look in by_look.values()}) == 3
    assert len({told["words"].splitlines()[0] for told in found.values()}) == len(LOOKS)
    used = found["ALREADY_USED"]["words"]
    assert "Main door" in used and re.search(r"\d\d:\d\d", used)


async def test_looking_up_never_looks_like_letting_in(doors: Doors, open_page: OpenPage) -> None:
    [ticket] = await doors.sell(0)
    page = await at_the_door(open_page, doors)
    await page.evaluate(SENSES)
    await page.locator('[data-mode="look_up"]').click()
    await scan(page, ticket, "ADMITTED")
    looked_up = await seen(page)
    assert "not let in" in looked_up["words"] and "ADMITTED" not in looked_up["words"]
    await page.locator('[data-mode="admit"]').click()
    await scan(page, ticket, "ADMITTED")
    assert (await seen(page))["colour"] != looked_up["colour"]


async def test_what_did_not_turn_is_taken_back(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    first, second = await doors.sell(0, 1)
    page = await at_the_door(open_page, doors)
    undo, result = page.locator("#undo"), page.locator("#result")
    await expect(undo).to_be_hidden()
    await scan(page, first, "ADMITTED")
    await undo.click()
    await expect(result).to_have_attribute("data-result", "undone")
    await expect(undo).to_be_hidden()
    assert doors.admissions(1) == []
    await scan(page, first, "ADMITTED")
    # An answer that is lost: asked again, it is taken back once, and the one before it stays.
    await scan(page, second, "ADMITTED")
    doors.stand.fake.performances.delay_s = 4.0
    await undo.click()
    await expect(result).to_have_attribute("data-result", "network")
    doors.stand.fake.performances.delay_s = 0.0
    await undo.click()
    await expect(result).to_have_attribute("data-result", "undone")
    assert (doors.admissions(1), doors.admissions(2)) == ([("main", -1)], [])
    # Nobody who was refused, looked up, or let in alone can be taken back here.
    await scan(page, first, "ALREADY_USED")
    await expect(undo).to_be_hidden()
    await doors.stand.stop_serving()
    await expect(page.locator("#state")).to_have_class("pill alone")
    await scan(page, second, "ADMITTED")
    await expect(undo).to_be_hidden()
    await closed(page, faults=faults)


async def test_a_phone_on_its_side_shows_the_whole_answer(
    doors: Doors, open_page: OpenPage
) -> None:
    [ticket] = await doors.sell(0)
    page = await at_the_door(open_page, doors)
    for size in ({"width": 844, "height": 390}, {"width": 390, "height": 844}):
        await page.set_viewport_size(size)
        await scan(page, ticket, "ADMITTED" if size["width"] > size["height"] else "ALREADY_USED")
        box = await page.locator("#result .words").bounding_box()
        assert box is not None
        assert box["x"] >= 0 and box["x"] + box["width"] <= size["width"]
        assert box["y"] >= 0 and box["y"] + box["height"] <= size["height"]
