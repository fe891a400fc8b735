"""The README's pictures, taken from a served house in the middle of its sale.

    python -m tests.e2e.pictures

The page is photographed in the browser, the console through the drawing that Textual exports,
the ticket from the PDF that the buyer in the first picture gets.
"""

import asyncio
import re
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.async_api import Browser, Page, ViewportSize, async_playwright
from pypdfium2 import PdfDocument

from engine.demo_houses import club
from renderers import codes
from renderers.enrolment import Offer, link_of
from renderers.palette import DARK, LIGHT, SEATS
from renderers.secret import PREFIX
from tests.e2e.crowd import fill
from tests.e2e.house import demo_house
from tests.e2e.till import console_at
from tests.integration.server import CHECKOUT, ServedHouse
from tests.integration.visitors import Visitor
from tests.renderers import paper
from tests.web.buyer import find_best, go_to_payment, notes, pay
from tests.web.conftest import ARGUMENTS, CHROMIUM, PHONE, THEATRE

IMAGES = CHECKOUT / "docs" / "images"
COMEDY, AWAITED, QUARTET = 1, 2, 5
"""Performances of the demo house: the theatre's first two evenings, the club's first night."""
WAITING = 60
"""Visitors of the waiting room, beside the one in the picture."""
SHARE_SOLD = 0.42
SEED = 7
DESK = {"width": 1440, "height": 900}
POSTER = {"width": 1440, "height": 1150}
SETTLES_S = 6.0
"""The figures of the engine come after those of the sale."""
DRAW_MS = 20 * 60_000
RINGS_S = 4.0
"""The rings around seats that were just found are gone after this, their words are not."""
COLOURS = 256
TICKET_DPI = 110
GAP = 40
"""Between phones."""
TERMINAL_FONT = "DejaVu Sans Mono"


class Album:
    """Where pictures go, as small PNGs."""

    def __init__(self, folder: Path, browser: Browser) -> None:
        self._folder = folder
        self._browser = browser

    @asynccontextmanager
    async def page(
        self, url: str, viewport: ViewportSize = DESK, *, dark: bool = False
    ) -> AsyncIterator[Page]:
        """A buyer's page, in English."""
        phone = viewport is PHONE
        context = await self._browser.new_context(
            viewport=viewport,
            locale="en-GB",
            color_scheme="dark" if dark else "light",
            has_touch=phone,
            is_mobile=phone,
            device_scale_factor=2 if phone else 4 / 3,
            reduced_motion="reduce",
        )
        page = await context.new_page()
        await page.goto(url)
        yield page
        await context.close()

    async def photograph(self, page: Page, name: str) -> None:
        self.keep(Image.open(BytesIO(await page.screenshot())), name)

    async def screen(self, drawing: str, name: str) -> None:
        """A terminal, as Textual draws it; its font is this machine's, not one from afar."""
        drawing = re.sub(r"@font-face\s*{[^}]*}", "", drawing).replace("Fira Code", TERMINAL_FONT)
        context = await self._browser.new_context(device_scale_factor=1)
        page = await context.new_page()
        await page.set_content(f"<style>body{{margin:0}}</style>{drawing}")
        picture = await page.locator("svg").first.screenshot(omit_background=True)
        await context.close()
        self.keep(Image.open(BytesIO(picture)), name)

    def keep(self, picture: Image.Image, name: str) -> None:
        path = self._folder / f"{name}.png"
        few = _few_colours(picture.convert("RGB"))
        few.save(path, optimize=True)
        print(f"{path}  {path.stat().st_size // 1024} KiB, {few.width} x {few.height}", flush=True)


def _few_colours(picture: Image.Image) -> Image.Image:
    """A quarter of the bytes. What is small and matters keeps its colours whatever else goes."""
    small = [look.fill for look in SEATS.values()] + [theme.focus for theme in (LIGHT, DARK)]
    kept = [int(colour[at : at + 2], 16) for colour in small for at in (1, 3, 5)]
    usual = picture.quantize(COLOURS - len(kept) // 3).getpalette()
    assert usual is not None
    palette = Image.new("P", (1, 1))
    palette.putpalette(kept + usual)
    return picture.quantize(palette=palette, dither=Image.Dither.NONE)


@asynccontextmanager
async def seat_page(
    album: Album, house: ServedHouse, performance: int, *looks: ViewportSize, dark: bool = False
) -> AsyncIterator[Page]:
    async with album.page(f"{house.url}/p/{performance}", *looks, dark=dark) as page:
        await page.locator("#map[data-ready]").wait_for(state="attached")
        yield page


async def programme(album: Album, house: ServedHouse) -> None:
    async with album.page(house.url, POSTER) as page:
        await page.locator("a.date").first.wait_for()
        await page.wait_for_load_state("networkidle")
        await album.photograph(page, "programme")


async def seats(album: Album, house: ServedHouse) -> bytes:
    """A buyer with three good seats, who then pays for them; the tickets."""
    async with seat_page(album, house, COMEDY) as page:
        await find_best(page, 3)
        await page.locator("select.line-type").last.select_option("child")
        await asyncio.sleep(RINGS_S)
        await album.photograph(page, "seats")
        await go_to_payment(page)
        order = await pay(page)
        answer = await page.context.request.get(
            f"{house.url}/api/orders/{order}/tickets.pdf?lang=en"
        )
        return await answer.body()


async def seats_dark(album: Album, house: ServedHouse) -> None:
    async with seat_page(album, house, QUARTET, dark=True) as page:
        await page.locator("#best-category").select_option("0")
        await find_best(page, 2)
        await page.locator("#best-category").select_option("-1")
        await asyncio.sleep(RINGS_S)
        await album.photograph(page, "seats-dark")


async def seats_phone(album: Album, house: ServedHouse) -> None:
    async with seat_page(album, house, COMEDY, PHONE) as page:
        await page.locator("#sheet-toggle").click()
        await find_best(page, 2)
        await page.locator("#sheet-toggle").click()
        await notes(page).get_by_role("button").last.click()
        await page.locator("#zoom-fit").click()
        await asyncio.sleep(RINGS_S)
        await album.photograph(page, "seats-phone")


def ticket(album: Album, pdf: bytes) -> None:
    document = PdfDocument(pdf)
    album.keep(document[0].render(scale=TICKET_DPI / 72).to_pil(), "ticket")
    document.close()


async def console(album: Album, house: ServedHouse, pdf: bytes) -> None:
    """The till in the middle of a sale, then the door as it admits a ticket."""
    with BytesIO() as file:
        paper.picture(pdf).save(file, "PNG")
        _, code = codes.decode(file.getvalue())
    with tempfile.TemporaryDirectory() as folder:
        async with console_at(house.url, Path(folder), THEATRE) as clerk:
            await clerk.log_in("caisse", house.logins["cashier"])
            await clerk.open_sale(COMEDY - 1)
            await clerk.press("minus", "3", "b")
            await clerk.until(lambda: clerk.basket() == 3, "a basket")
            await album.screen(clerk.app.export_screenshot(), "console-sale")
            await clerk.press("x")
            await clerk.until(lambda: clerk.basket() == 0, "an empty basket")
            await clerk.log_out()
            await clerk.log_in("porte", house.logins["door"])
            await clerk.open_door(COMEDY - 1)
            assert (await clerk.present(code))[0] == "ADMITTED"
            await album.screen(clerk.app.export_screenshot(), "console-door")


def qr_code(pdf: bytes, page: int) -> str:
    with BytesIO() as file:
        paper.picture(pdf, page).save(file, "PNG")
        return next(text for text in codes.decode(file.getvalue()) if text.startswith(PREFIX))


async def scan_phone(album: Album, house: ServedHouse, pdf: bytes) -> None:
    """A phone that lets in, refuses, and lets in without the network, side by side."""
    login = {"name": "admin", "password": house.logins["admin"]}
    admin = (await house.ask("/api/login", login))["token"]
    wanted = {"name": "Door 3", "performances": [COMEDY]}
    made = await house.ask("/api/devices", wanted, admin)
    link = link_of(Offer(house.url, made["enrolment"], "en", performances=(COMEDY,)))
    shots = []

    async def present(page: Page, text: str, result: str) -> None:
        await page.locator("#number").fill(text)
        await page.locator("#number").press("Enter")
        await page.locator(f"#result[data-result={result}]").wait_for()
        await page.locator("#number").blur()
        shots.append(Image.open(BytesIO(await page.screenshot())))

    async with album.page(link, PHONE) as page:
        await page.locator("#state.online").wait_for()
        await present(page, qr_code(pdf, 1), "ADMITTED")
        await present(page, qr_code(pdf, 1), "ALREADY_USED")
        await page.context.set_offline(True)
        await page.locator("#state.alone").wait_for()
        await present(page, qr_code(pdf, 2), "ADMITTED")
    wide = Image.new("RGB", (sum(shot.width for shot in shots) + 2 * GAP, shots[0].height), "white")
    for place, shot in enumerate(shots):
        wide.paste(shot, (place * (shot.width + GAP), 0))
    album.keep(wide.resize((wide.width // 2, wide.height // 2)), "scan-phone")


async def waiting(album: Album, house: ServedHouse) -> None:
    """A waiting room before its draw."""
    login = {"name": "admin", "password": house.logins["admin"]}
    admin = (await house.ask("/api/login", login))["token"]
    now_ms = time.time_ns() // 1_000_000
    times = {"opens_ms": now_ms, "on_sale_ms": now_ms + DRAW_MS}
    await house.ask(f"/api/performances/{AWAITED}/queue", times, admin)
    tokens = [(await house.ask("/api/session", {}))["token"] for _ in range(WAITING)]
    crowd = [Visitor(house, AWAITED, token) for token in tokens]
    async with album.page(f"{house.url}/p/{AWAITED}") as page:
        await page.locator("#waiting[data-stage=gathering]").wait_for()
        await page.locator("#waiting-label", has_text=str(WAITING)).wait_for()
        await album.photograph(page, "waiting-room")
    for one in crowd:
        await one.leave()


async def supervisor(album: Album, house: ServedHouse) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with console_at(house.url, Path(folder), THEATRE) as clerk:
            await clerk.log_in("admin", house.logins["admin"])
            await clerk.open_supervisor(COMEDY - 1)
            await asyncio.sleep(SETTLES_S)
            await album.screen(clerk.app.export_screenshot(), "console-supervisor")


async def take(house: ServedHouse, folder: Path) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        album = Album(folder, browser)
        pdf = await seats(album, house)
        ticket(album, pdf)
        await programme(album, house)
        await seats_dark(album, house)
        await seats_phone(album, house)
        await console(album, house, pdf)
        await scan_phone(album, house, pdf)
        await supervisor(album, house)
        await waiting(album, house)
        await browser.close()


async def main(folder: Path) -> None:
    with demo_house() as house:
        await fill(house, COMEDY, THEATRE, SHARE_SOLD, SEED)
        await fill(house, QUARTET, club(), SHARE_SOLD, SEED)
        await take(house, folder)


if __name__ == "__main__":
    IMAGES.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(IMAGES))
