"""The scanner page in a real browser: with the house, without it, and when it is back."""

import random
import time
from io import BytesIO
from pathlib import Path

import msgspec
import pytest
from PIL import Image
from playwright.async_api import async_playwright, expect

from engine.commands import ScanMode, ScanOutcome, TicketState
from engine.door_list import DoorGate, DoorList, Use
from engine.door_list import Doors as Machine
from engine.settings import ReEntry
from gateway.session import now_ms
from renderers import enrolment, secret
from tests.web.conftest import ARGUMENTS, CHROMIUM, PHONE, OpenPage
from tests.web.doors import Doors, at_the_door, doors, kept_by_worker, scan

__all__ = ["doors"]

AT_ONCE_S = 3.0
"""On a busy machine; nobody waits for the half minute at which a page asks by itself."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_code_enrols_the_phone_and_tickets_are_admitted_once(
    doors: Doors, open_page: OpenPage
) -> None:
    first, second = await doors.sell(0, 1)
    page = await at_the_door(open_page, doors)
    assert "#" not in page.url
    await expect(page.locator("#device-name")).to_have_text("Door 3")
    await expect(page.locator("#gate")).to_be_disabled()
    await scan(page, first, "ADMITTED")
    result = page.locator("#result")
    await expect(result).to_have_class("result look-good")
    await expect(result).to_contain_text("ADMITTED")
    await expect(result).to_contain_text("seat")
    await scan(page, first, "ALREADY_USED")
    await expect(result).to_contain_text("gate Main door")
    await page.locator('[data-mode="look_up"]').click()
    await scan(page, second, "ADMITTED")
    await expect(result).to_contain_text("not let in")
    assert doors.admissions(2) == []
    await page.locator('[data-mode="admit"]').click()
    # A reader that types, while the cursor stands nowhere.
    await page.locator("#result").click()
    await page.keyboard.type(second + "\n")
    await expect(result).not_to_contain_text("not let in")
    await expect(result).to_have_attribute("data-result", "ADMITTED")
    assert doors.admissions(1) == doors.admissions(2) == [("main", -1)]
    await scan(page, "ST1FORGED", "UNKNOWN")
    number = secret.short_code(doors.stand.fake.ticket_key, doors.number, 2, 0)
    await scan(page, number, "ALREADY_USED")


async def test_a_code_that_was_used_enrols_nobody(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    link = await doors.link()
    first = await open_page(link, phone=True, ready=False)
    await first.locator("body[data-ready]").wait_for(state="attached")
    page = await open_page(link, phone=True, ready=False)
    await expect(page.locator("#stranger-text")).to_contain_text("Ask for another")
    faults.clear()  # the browser tells of every refusal


async def test_alone_it_judges_keeps_and_delivers_exactly_once(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    first, second, third = await doors.sell(0, 1, 2)
    page = await at_the_door(open_page, doors)
    await kept_by_worker(page)
    await scan(page, first, "ADMITTED")
    await doors.stand.stop_serving()
    await expect(page.locator("#state")).to_have_class("pill alone")
    await scan(page, first, "ALREADY_USED")
    await scan(page, second, "ADMITTED")
    await expect(page.locator("#result")).to_contain_text("without the network")
    await scan(page, second, "ALREADY_USED")
    await scan(page, "ST1" + second[3:][::-1], "UNKNOWN")
    await scan(page, secret.short_code(doors.stand.fake.ticket_key, doors.number, 3, 0), "network")
    await expect(page.locator("#kept")).to_have_attribute("data-count", "4")
    # The phone was switched off and on: the page, the doors and the queue are still there.
    await page.reload()
    await page.locator("body[data-ready]").wait_for(state="attached")
    await expect(page.locator("#kept")).to_have_attribute("data-count", "4")
    await scan(page, second, "ALREADY_USED")
    await scan(page, third, "ADMITTED")
    await expect(page.locator("#kept")).to_have_attribute("data-count", "6")
    # Back, and the first answers are lost on their way.
    doors.stand.fake.performances.lose = 3
    await doors.stand.serve_again()
    await expect(page.locator("#state")).to_have_class("pill online")
    await expect(page.locator("#kept")).to_be_hidden()
    [(gate, sequence)] = doors.admissions(2)
    assert gate == "main" and sequence > 0
    assert len(doors.admissions(1)) == len(doors.admissions(3)) == 1
    assert doors.core.kept_scans == 6
    assert not doors.core.disputed
    await scan(page, third, "ALREADY_USED")
    faults.clear()  # the browser tells of every connection that was refused


async def test_a_scan_whose_answer_is_lost_counts_once(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    [first] = await doors.sell(0)
    page = await at_the_door(open_page, doors)
    # It is decided, and nobody hears of it: the phone goes on alone, and tells later.
    doors.stand.fake.performances.delay_s = 4.0
    await scan(page, first, "ADMITTED")
    await expect(page.locator("#kept")).to_have_attribute("data-count", "1")
    doors.stand.fake.performances.delay_s = 0.0
    await expect(page.locator("#kept")).to_be_hidden()
    assert doors.admissions(1) == [("main", -1)]
    assert doors.core.kept_scans == 0
    faults.clear()


async def test_revoking_a_device_closes_its_page_and_loses_nothing(
    doors: Doors, open_page: OpenPage, faults: list[str]
) -> None:
    [first] = await doors.sell(0)
    page = await at_the_door(open_page, doors)
    # It keeps a scan that it has not sent when it is revoked.
    await doors.stand.stop_serving()
    await expect(page.locator("#state")).to_have_class("pill alone")
    await scan(page, first, "ADMITTED")
    [device] = await doors.stand.fake.access.list_devices()
    await doors.stand.fake.access.revoke_device(device.id, now_ms())
    await doors.stand.serve_again()
    await expect(page.locator("#stranger-text")).to_contain_text("revoked")
    assert doors.admissions(1) == []
    # Another code, and what was kept is told.
    await page.locator("#code").fill(await doors.link())
    await page.locator("#code").press("Enter")
    await page.locator("body[data-ready]").wait_for(state="attached")
    await expect(page.locator("#kept")).to_be_hidden()
    assert [gate for gate, _ in doors.admissions(1)] == ["main"]
    # Open as it is, its line is cut at once: the page knows without being used.
    [other] = [one for one in await doors.staff("GET", "/api/devices") if not one["revoked_ms"]]
    begun_s = time.monotonic()
    await doors.staff("DELETE", f"/api/devices/{other['id']}")
    await expect(page.locator("#stranger-text")).to_contain_text("revoked")
    assert time.monotonic() - begun_s < AT_ONCE_S
    faults.clear()


def qr(text: str) -> bytes:
    out = BytesIO()
    Image.open(BytesIO(enrolment.png(text))).convert("RGB").save(out, "PNG")
    return out.getvalue()


async def test_a_picture_file_is_read(doors: Doors, open_page: OpenPage, tmp_path: Path) -> None:
    first, _ = await doors.sell(0, 1)
    page = await at_the_door(open_page, doors)
    path = tmp_path / "ticket.png"
    path.write_bytes(qr(first))
    await page.locator(".doors input[type=file]").set_input_files(path)
    await expect(page.locator("#result")).to_have_attribute("data-result", "ADMITTED")
    blank = BytesIO()
    Image.new("RGB", (200, 200), "white").save(blank, "PNG")
    path.write_bytes(blank.getvalue())
    await page.locator(".doors input[type=file]").set_input_files(path)
    await expect(page.locator("#result")).to_contain_text("no code")


def film(text: str, path: Path) -> None:
    """What a camera sees that somebody shows a ticket: a few still frames, as Y4M."""
    picture = Image.open(BytesIO(enrolment.png(text))).convert("L").resize((400, 400))
    frame = Image.new("L", (640, 480), 90)
    frame.paste(picture, (120, 40))
    chroma = bytes([128]) * (320 * 240)
    with path.open("wb") as out:
        out.write(b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n")
        for _ in range(5):
            out.write(b"FRAME\n" + frame.tobytes() + chroma * 2)


async def test_the_camera_reads_a_ticket_once(doors: Doors, tmp_path: Path) -> None:
    [first] = await doors.sell(0)
    film(first, tmp_path / "ticket.y4m")
    seen = [
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={tmp_path / 'ticket.y4m'}",
    ]
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=[*ARGUMENTS, *seen]
        )
        page = await chromium.new_page(viewport=PHONE)
        complaints: list[str] = []
        page.on("console", lambda told: told.type == "error" and complaints.append(told.text))
        await page.goto(await doors.link())
        await page.locator("body[data-ready]").wait_for(state="attached")
        await page.locator(".doors .camera-switch").click()
        result = page.locator("#result")
        await expect(result).to_have_attribute("data-result", "ADMITTED")
        # It is still held there: that is one presentation.
        await page.wait_for_timeout(1_500)
        await expect(result).to_have_attribute("data-result", "ADMITTED")
        await chromium.close()
    assert doors.admissions(1) == [("main", -1)]
    assert complaints == []


async def test_the_page_reads_secrets_as_the_house_makes_them(
    doors: Doors, open_page: OpenPage
) -> None:
    key = doors.stand.fake.ticket_key
    page = await open_page(f"{doors.stand.url}/scan", ready=False)
    chance = random.Random("secrets")
    good = [
        (secret.sign(key, *claim), claim)
        for claim in [(0, 0, 0), (2**32 - 1, 2**32 - 1, 255)]
        + [(chance.randrange(2**32), chance.randrange(2**32), chance.randrange(256))
           for _ in range(20)]
    ]  # fmt: skip
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    bad = [good[2][0].lower(), good[2][0] + "0", good[2][0][:-1], " " + good[2][0], "", "ST1"]
    # The spare bit: the same claim and signature, and another text.
    bad.append(good[2][0][:-1] + letters[letters.index(good[2][0][-1]) + 1])
    for text, _ in good:
        at = chance.randrange(3, len(text))
        bad.append(text[:at] + chance.choice(letters.replace(text[at], "")) + text[at + 1 :])
    bad += [secret.sign(secret.generate_key(), *claim) for _, claim in good[:5]]
    found = await page.evaluate(
        """async ([key, texts, module]) => {
          const { publicKey, proves, readSecret } = await import(module);
          const house = await publicKey(key);
          return Promise.all(texts.map(async (text) => {
            const claim = readSecret(text);
            if (claim === null || !(await proves(house, claim))) return null;
            return [claim.performance, claim.ticket, claim.version];
          }));
        }""",
        [
            secret.public_key(key).hex(),
            [text for text, _ in good] + bad,
            "/static/js/scan_secret.js",
        ],
    )
    assert found == [list(claim) for _, claim in good] + [None] * len(bad)


@pytest.mark.parametrize("policy", ReEntry)
async def test_the_page_judges_as_the_machine_does(
    doors: Doors, open_page: OpenPage, policy: ReEntry
) -> None:
    """The two implementations of the rule at doors that are alone, over the same random steps."""
    chance = random.Random(f"judge {policy}")
    numbers = range(1, 9)
    listed = DoorList(
        performance=7, public_key="", plan="", opens_ms=100, closes_ms=900, re_entry=policy,
        gates=(DoorGate("all", "All"), DoorGate("left", "Left", (0,))), seq=1, tickets=8,
        states={3: TicketState.UNPAID, 4: TicketState.REFUNDED, 5: TicketState.BLOCKED,
                6: TicketState.REVOKED}, versions={6: 1, 7: 2},
        used={1: Use(50, "all", True), 2: Use(60, "left", False)},
        whole=True, first=1, places=(0, 1, 2, 3, 4, -1, 6, 7), sections=(0, 1, 0, 0, 0, 1, 0, 0),
    )  # fmt: skip
    machine = Machine(listed)
    steps, told = [], []
    for _ in range(400):
        step = (
            chance.choice((7, 7, 7, 7, 8)), chance.choice((*numbers, 20)), chance.randrange(3),
            chance.choice(("", "all", "left", "none")), chance.choice(("admit", "exit", "look_up")),
            chance.choice((99, *range(100, 900, 50), 900)),
        )  # fmt: skip
        performance, number, version, gate, mode, at_ms = step
        judged = machine.judge(performance, number, version, gate, ScanMode(mode), at_ms)
        if mode != "look_up" and judged.result in ("ADMITTED", "EXITED"):
            machine.note(number, judged.result == "ADMITTED", at_ms, gate)
        steps.append(step)
        told.append([judged.result, judged.ticket, judged.seat, judged.area, judged.used_at_ms,
                     judged.used_gate])  # fmt: skip
    assert {one[0] for one in told} >= set(ScanOutcome) - {"UNKNOWN"}
    page = await open_page(f"{doors.stand.url}/scan", ready=False)
    found = await page.evaluate(
        """async ([listed, steps, module]) => {
          const { Doors } = await import(module);
          const doors = new Doors(listed);
          return steps.map(([performance, ticket, version, gate, mode, atMs]) => {
            const told = doors.judge({ performance, ticket, version }, gate, mode, atMs);
            if (mode !== "look_up" && (told.result === "ADMITTED" || told.result === "EXITED")) {
              doors.note(ticket, told.result === "ADMITTED", atMs, gate);
            }
            return [told.result, told.ticket, told.seat, told.area, told.usedAtMs, told.usedGate];
          });
        }""",
        [msgspec.to_builtins(listed, str_keys=True), steps, "/static/js/scan_judge.js"],
    )
    assert found == told
