"""A browser and a house for the page's tests.

Everything of one module runs in one event loop: the gateway, the engine and the browser's driver.
A page that breaks its content policy, throws, or logs an error fails the test that opened it.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from engine.demo_houses import italian_theatre
from tests.web.stand import Stand

CHROMIUM = Path("/usr/bin/chromium")
HAS_CHROMIUM = CHROMIUM.exists()
UNWANTED = [
    # The address bar of each window is two pages of its own, made before anybody types: that is
    # more work than the page that is tested.
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "WebUIOmniboxFullPopup",
    "AimEnabled",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    # The last such list counts, so what Playwright's says of networks is repeated here.
    "--disable-features=" + ",".join(UNWANTED),
]
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
THEATRE = italian_theatre()

expect.set_options(timeout=15_000)  # a busy machine is slow, not wrong

OpenPage = Callable[..., Awaitable[Page]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    if not HAS_CHROMIUM:
        pytest.skip(f"{CHROMIUM} is not installed: the page is not tried in a browser")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        await chromium.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stand() -> AsyncIterator[Stand]:
    served = await Stand.open()
    yield served
    await served.close()


@pytest_asyncio.fixture(loop_scope="module")
async def faults() -> AsyncIterator[list[str]]:
    """What pages complained of; a test that causes a complaint on purpose clears it."""
    found: list[str] = []
    yield found
    assert found == []


@pytest_asyncio.fixture(loop_scope="module")
async def open_page(browser: Browser, faults: list[str]) -> AsyncIterator[OpenPage]:
    """Opens an address in a browser of its own: a buyer with an empty memory."""
    contexts = []

    async def open_page(
        url: str, *, language: str = "en", phone: bool = False, ready: bool = True, **options: Any
    ) -> Page:
        context = await browser.new_context(
            viewport=PHONE if phone else DESKTOP,
            locale={"en": "en-GB", "fr": "fr-FR"}[language],
            has_touch=phone,
            is_mobile=phone,
            device_scale_factor=2 if phone else 1,
            **options,
        )
        context.set_default_timeout(15_000)
        contexts.append(context)
        page = await context.new_page()
        await page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) =>"
            " console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI))"
        )
        page.on("pageerror", lambda error: faults.append(f"error: {error}"))
        page.on("console", lambda told: told.type == "error" and faults.append(told.text))
        await page.goto(url)
        if ready and re.search(r"/p/\d+$", url):
            await page.locator("#map[data-ready]").wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        await context.close()
