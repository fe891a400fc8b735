"""What a phone at a door keeps: through death, before it is alone, and for who was alone elsewhere.

Each way to lose a scan or to let two in is also tried with the page's guard taken out.
"""

import contextlib
import re
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from playwright.async_api import BrowserContext, Page, Playwright, Route, async_playwright, expect

from engine.commands import TicketState
from gateway.pages import WEB_DIR
from tests.console.server import Tangle
from tests.gateway.client import until
from tests.web.conftest import ARGUMENTS, CHROMIUM, HAS_CHROMIUM, PHONE, OpenPage
from tests.web.doors import Doors, at_the_door, closed, doors, kept_by_worker, scan

__all__ = ["doors"]

pytestmark = pytest.mark.asyncio(loop_scope="module")

Changes = dict[str, tuple[tuple[str, str], ...]]
"""By script: what of it is replaced, and by what."""

KEEPS_NOTHING: Changes = {"scan_store.js": (("put(scan);", "get(0);"),)}
"""The scan is judged and shown, and is not written down."""
NUMBERS_ANEW: Changes = {
    "scan_desk.js": (
        (
            "const id = this.#idOf(scan.sequence);",
            "const number = await this.#store.nextSequence(); const id = this.#idOf(number);",
        ),
        ("...asked, scan.sequence, scan.scanned_ms", "...asked, number, scan.scanned_ms"),
    )
}
"""A scan gets its number when it is sent: sent twice, it is two."""


class Phone:
    """A browser with a memory on the disk, that can be killed. `changed`: its page, careless."""

    def __init__(self, playwright: Playwright, folder: Path, changed: Changes) -> None:
        self._playwright = playwright
        self._folder = folder
        self._changed = changed
        self._context: BrowserContext | None = None

    async def open(self, url: str) -> Page:
        self._context = await self._playwright.chromium.launch_persistent_context(
            self._folder, executable_path=CHROMIUM, args=ARGUMENTS, viewport=PHONE, locale="en-GB",
            service_workers="block" if self._changed else "allow",
        )  # fmt: skip
        for name, changes in self._changed.items():
            body = (WEB_DIR / "js" / name).read_text()
            for old, new in changes:
                assert old in body
                body = body.replace(old, new)
            careless = partial(Route.fulfill, body=body, content_type="text/javascript")
            await self._context.route(re.compile(rf"/{re.escape(name)}(\?|$)"), careless)
        page = self._context.pages[0]
        await page.goto(url)
        await page.locator("body[data-ready]").wait_for(state="attached")
        return page

    async def kill(self) -> None:
        """kill -9 of the whole browser."""
        place = f"--user-data-dir={self._folder}"
        all_ = psutil.process_iter(["cmdline"])
        ours = [one for one in all_ if place in (one.info["cmdline"] or ())]
        assert ours
        for one in ours:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(signal.SIGKILL)
        psutil.wait_procs(ours, 10)

    async def close(self) -> None:
        if self._context is not None:
            with contextlib.suppress(Exception):
                await self._context.close()


@asynccontextmanager
async def a_phone(folder: Path, changed: Changes) -> AsyncIterator[Phone]:
    if not HAS_CHROMIUM:
        pytest.skip(f"{CHROMIUM} is not installed: the page is not tried in a browser")
    async with async_playwright() as playwright:
        phone = Phone(playwright, folder, changed)
        try:
            yield phone
        finally:
            await phone.close()


async def an_evening(doors: Doors, folder: Path, changed: Changes) -> list[str]:
    """What went wrong with a phone whose browser dies before it told, and before it heard."""
    first, second = await doors.sell(0, 1)
    performances = doors.stand.fake.performances
    async with a_phone(folder, changed) as phone:
        page = await phone.open(await doors.link())
        await expect(page.locator("#state")).to_have_class("pill online")
        await doors.stand.stop_serving()
        await expect(page.locator("#state")).to_have_class("pill alone")
        for text, result in ((first, "ADMITTED"), (first, "ALREADY_USED"), (second, "ADMITTED")):
            await scan(page, text, result)
        await phone.kill()
        # The house decides what it is told, and no answer reaches the phone.
        await doors.stand.serve_again()
        performances.lose = 10_000
        page = await phone.open(f"{doors.stand.url}/scan")
        with contextlib.suppress(AssertionError):
            await until(lambda: bool(doors.core.kept_scans >= 3))
        await phone.kill()
        performances.lose = 0
        page = await phone.open(f"{doors.stand.url}/scan")
        await expect(page.locator("#state")).to_have_class("pill online")
        await expect(page.locator("#kept")).to_be_hidden()
    wrong = [
        f"{number} came in as {known}"
        for number in (1, 2)
        if len(known := doors.admissions(number)) != 1
    ]
    return wrong + ([] if doors.core.kept_scans == 3 else [f"{doors.core.kept_scans} were told"])


async def test_a_browser_that_is_killed_loses_no_scan_and_tells_each_once(
    doors: Doors, tmp_path: Path
) -> None:
    assert await an_evening(doors, tmp_path, {}) == []


@pytest.mark.soak
async def test_a_page_that_keeps_nothing_would_be_noticed(doors: Doors, tmp_path: Path) -> None:
    wrong = await an_evening(doors, tmp_path, KEEPS_NOTHING)
    assert wrong == ["1 came in as []", "2 came in as []", "0 were told"]


@pytest.mark.soak
async def test_a_page_that_numbers_when_it_sends_would_be_noticed(
    doors: Doors, tmp_path: Path
) -> None:
    wrong = await an_evening(doors, tmp_path, NUMBERS_ANEW)
    assert len(wrong) == 3 and wrong[-1] == "6 were told"


# Before the doors open ---------------------------------------------------------------


async def test_what_is_refunded_replaced_or_used_before_the_doors_is_known_without_a_network(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    tickets = await doors.sell(*range(6))
    # A phone whose list is of before all this shows that it is the list that tells.
    early = await at_the_door(open_page, doors, name="Early")
    await early.evaluate(
        "() => { globalThis.fetch = () => Promise.reject(new TypeError('gone')); }"
    )
    await doors.refund(1)
    await doors.set_tickets(TicketState.REVOKED, 2)
    await doors.set_tickets(TicketState.BLOCKED, 3)
    await doors.set_tickets(TicketState.UNPAID, 4)
    await doors.scanned_elsewhere(5)
    late = await at_the_door(open_page, doors, name="Late")
    await doors.stand.stop_serving()
    results = ["REFUNDED", "REVOKED", "BLOCKED", "UNPAID", "ALREADY_USED", "ADMITTED"]
    await expect(late.locator("#state")).to_have_class("pill alone")
    await expect(late.locator("#list-age")).to_contain_text("list of")
    for text, result in zip(tickets, results, strict=True):
        await scan(late, text, result)
        if result == "ALREADY_USED":
            await expect(late.locator("#result")).to_contain_text("gate Side door")
    await expect(early.locator("#state")).to_have_class("pill alone")
    for text in tickets:
        await scan(early, text, "ADMITTED")
    await closed(early, late, faults=faults)


async def test_who_came_in_while_the_list_was_on_its_way_is_not_forgotten(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    """A relay tells its whole list every time; here the house does, and late."""
    first, second = await doors.sell(0, 1)
    page = await at_the_door(open_page, doors)
    await kept_by_worker(page)
    await page.evaluate(
        """() => {
          const { fetch } = globalThis;
          const late = new Promise((resolve) => { globalThis.letCome = resolve; });
          let begun;
          globalThis.isOnItsWay = new Promise((resolve) => { begun = resolve; });
          globalThis.fetch = async (url, ...rest) => {
            if (!url.includes("door-list")) return fetch(url, ...rest);
            const answer = await fetch(url.replace(/since=\\d+/, "since=0"), ...rest);
            begun();
            await late;
            return answer;
          };
        }"""
    )
    doors.stand.cut_lines()
    await page.evaluate("isOnItsWay")
    await expect(page.locator("#state")).to_have_class("pill online")
    await scan(page, first, "ADMITTED")
    await page.evaluate("letCome()")
    await scan(page, second, "ADMITTED")
    await doors.stand.stop_serving()
    await expect(page.locator("#state")).to_have_class("pill alone")
    for text in (first, second):
        await scan(page, text, "ALREADY_USED")
    # Switched off and on too.
    await page.reload()
    await page.locator("body[data-ready]").wait_for(state="attached")
    for text in (first, second):
        await scan(page, text, "ALREADY_USED")
    await closed(page, faults=faults)


# Two that were alone ----------------------------------------------------------------


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
async def test_two_phones_that_were_alone_are_both_listed_and_the_earlier_has_won(
    doors: Doors, open_page: OpenPage, faults: list[str], order: tuple[int, int]
) -> None:
    [ticket] = await doors.sell(0)
    async with Tangle(doors.stand.url) as one, Tangle(doors.stand.url) as other:
        ways = (one, other)
        pages = [
            await at_the_door(open_page, doors, name=name, gate=gate, url=way.url)
            for way, name, gate in ((one, "North", "main"), (other, "South", "side"))
        ]
        for way, page in zip(ways, pages, strict=True):
            way.accepting = False
            way.cut()
            await expect(page.locator("#state")).to_have_class("pill alone")
        for page in pages:
            await scan(page, ticket, "ADMITTED")
        for place in order:
            ways[place].accepting = True
            await expect(pages[place].locator("#kept")).to_be_hidden()
            await expect(pages[place].locator("#state")).to_have_class("pill online")
        # Who is heard last hears of it; both are told the same from then on.
        await expect(pages[order[0]].locator("#conflict")).to_be_hidden()
        await expect(pages[order[1]].locator("#conflict")).to_be_visible()
    path = f"/api/performances/{doors.number}/conflicts"
    [conflict] = await doors.staff("GET", path)
    assert [
        (one["device"], one["gate"], one["kept"], one["winner"]) for one in conflict["scans"]
    ] == [("North", "main", True, True), ("South", "side", True, False)]
    first, second = (one["at_ms"] for one in conflict["scans"])
    assert first < second < doors.stand.fake.performances.clock_ms()
    assert (conflict["ticket"], await doors.staff("GET", f"{path}?after=1")) == (1, [])
    await closed(*pages, faults=faults)


# One browser, one memory -----------------------------------------------------------


async def two_windows(doors: Doors, open_page: OpenPage, script: str) -> tuple[Page, Page]:
    """The same browser's, the second one opened later."""
    first = await at_the_door(open_page, doors)
    await first.context.add_init_script(script)
    await first.reload()
    await first.locator("body[data-ready]").wait_for(state="attached")
    second = await first.context.new_page()
    await second.goto(f"{doors.stand.url}/scan")
    return first, second


async def test_of_two_windows_one_has_the_doors(doors: Doors, open_page: OpenPage) -> None:
    first, second = await two_windows(doors, open_page, "")
    await expect(second.locator("#here")).to_be_visible()
    await expect(second.locator("#result")).to_be_hidden()
    await second.locator("#here").click()
    await second.locator("body[data-ready]").wait_for(state="attached")
    await expect(second.locator("#result")).to_be_visible()
    await expect(first.locator("#here")).to_be_visible()
    await expect(first.locator("#result")).to_be_hidden()
    # Switched off and on, it has them still.
    await second.reload()
    await expect(second.locator("#result")).to_be_visible()


async def test_two_windows_that_both_had_them_would_let_a_ticket_in_twice(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    [ticket] = await doors.sell(0)
    pages = await two_windows(doors, open_page, "Object.defineProperty(navigator, 'locks', {})")
    await pages[1].locator("body[data-ready]").wait_for(state="attached")
    await doors.stand.stop_serving()
    for page in pages:
        await expect(page.locator("#state")).to_have_class("pill alone")
        await scan(page, ticket, "ADMITTED")
    await closed(*pages, faults=faults)


async def test_what_cannot_be_kept_lets_nobody_in(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    [ticket] = await doors.sell(0)
    page = await at_the_door(open_page, doors)
    await doors.stand.stop_serving()
    await expect(page.locator("#state")).to_have_class("pill alone")
    await page.evaluate(
        """() => {
          const { put } = IDBObjectStore.prototype;
          IDBObjectStore.prototype.put = function (...given) {
            const request = put.apply(this, given);
            if (globalThis.full && this.name === "kept") this.transaction.abort();
            return request;
          };
          globalThis.full = true;
        }"""
    )
    await scan(page, ticket, "memory")
    await expect(page.locator("#result")).to_contain_text("Nobody was let in")
    await expect(page.locator("#kept")).to_be_hidden()
    await page.evaluate("globalThis.full = false")
    await scan(page, ticket, "ADMITTED")
    await scan(page, ticket, "ALREADY_USED")
    await closed(page, faults=faults)
