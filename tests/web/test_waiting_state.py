"""The waiting room's own modules, run in the browser: stages, waits, words, what is said aloud."""

from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.web.stand import Stand
from tests.web.test_modules import run

pytestmark = pytest.mark.asyncio(loop_scope="module")

OPENS_MS = 1_800_000_000_000
ON_SALE_MS = OPENS_MS + 1_800_000
MINUTE_MS = 60_000


def room(
    phase: str,
    server_ms: int = ON_SALE_MS + 5 * MINUTE_MS,
    front: int = 0,
    per_min: int = 0,
    available: int = -1,
    on_sale_ms: int = ON_SALE_MS,
) -> list[Any]:
    return ["room", 1, phase, server_ms, OPENS_MS, on_sale_ms, 900, front, per_min, available]


def placed(number: int, place: int) -> list[Any]:
    return ["placed", 1, "ab" * 16, number, place]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(stand: Stand, browser: Browser) -> Page:
    """A page of the house, and the English words: a place to run modules in."""
    page = await browser.new_page()
    await page.goto(f"{stand.url}/")
    await run(
        page,
        "i18n",
        "m.setLanguage('en', await (await fetch('/api/messages/en')).json(), 'Europe/Paris');",
    )
    return page


STANDING = """
const standing = new m.Standing(null);
const hear = (frame) => (frame[0] === "room" ? standing.hear(frame) : standing.put(frame));
"""


@pytest.mark.parametrize(
    ("frames", "now_ms", "stage"),
    [
        ([], OPENS_MS, "joining"),
        ([room("scheduled")], OPENS_MS - 1, "scheduled"),
        ([room("scheduled")], OPENS_MS, "joining"),
        ([room("gathering")], OPENS_MS + 1, "joining"),
        ([room("gathering"), placed(5, -1)], OPENS_MS + 1, "gathering"),
        ([room("gathering"), placed(5, -1)], ON_SALE_MS, "drawing"),
        ([room("admitting"), placed(5, -1)], ON_SALE_MS + 1, "drawing"),
        ([room("admitting"), placed(5, 7)], ON_SALE_MS + 1, "waiting"),
        # What the server says counts, not what this clock makes of it.
        ([room("admitting"), placed(5, 7)], ON_SALE_MS - 1, "waiting"),
        ([room("full"), placed(5, 7)], ON_SALE_MS + 1, "full"),
        ([room("sold_out"), placed(5, 7)], ON_SALE_MS + 1, "sold_out"),
        ([room("sold_out")], ON_SALE_MS + 1, "sold_out"),
        # Another sale of the same performance: the place in the first one's line is worth nothing.
        ([room("admitting"), placed(5, 7), room("gathering", on_sale_ms=1)], 0, "joining"),
    ],
)
async def test_the_stage_follows_what_the_server_tells(
    page: Page, frames: list[Any], now_ms: int, stage: str
) -> None:
    body = STANDING + "argument[0].forEach(hear); return standing.stage(argument[1]);"
    assert await run(page, "waiting_state", body, [frames, now_ms]) == stage


@pytest.mark.parametrize(
    ("frames", "ahead", "share", "scarce"),
    [
        ([room("gathering"), placed(5, -1)], None, 1, False),
        ([room("admitting", front=250), placed(5, 1_000)], 750, 0.25, False),
        ([room("admitting", front=250, available=751), placed(5, 1_000)], 750, 0.25, False),
        ([room("admitting", front=250, available=750), placed(5, 1_000)], 750, 0.25, True),
        # Passed over while away: nobody is before them any more.
        ([room("admitting", front=1_200), placed(5, 1_000)], 0, 1, False),
        ([room("admitting"), placed(5, 0)], 0, 1, False),
        # Frames of an earlier coming arrive late.
        ([room("admitting"), placed(950, 949), placed(5, 7)], 949, 0, False),
    ],
)
async def test_the_people_before_and_the_places_left(
    page: Page, frames: list[Any], ahead: int | None, share: float, scarce: bool
) -> None:
    body = STANDING + (
        "argument.forEach(hear); return [standing.ahead, standing.share, standing.scarce];"
    )
    assert await run(page, "waiting_state", body, frames) == [ahead, share, scarce]


async def test_a_place_that_was_given_up_does_not_come_back(page: Page) -> None:
    body = STANDING + (
        "hear(argument[0]); standing.leave(standing.number); hear(argument[0]);"
        "const before = standing.place; hear(argument[1]); return [before, standing.place];"
    )
    frames = [placed(5, 7), placed(901, 900)]
    assert await run(page, "waiting_state", body, frames) == [-1, 900]


@pytest.mark.parametrize(
    ("minutes", "said"),
    [(0, 0), (0.9, 0), (1, 1), (4.1, 5), (10, 10), (10.5, 15), (31, 35), (61, 90), (400, None)],
)
async def test_waits_are_rounded_to_what_can_be_said(
    page: Page, minutes: float, said: int | None
) -> None:
    body = "const said = m.roundWait(argument); return said === Infinity ? null : said;"
    assert await run(page, "waiting_state", body, minutes) == said


async def waits(page: Page, frames: list[Any]) -> list[int | None]:
    """The minutes told after each frame."""
    body = STANDING + "return argument.map((one) => { hear(one); return standing.waitMinutes; });"
    told: list[int | None] = await run(page, "waiting_state", body, frames)
    return told


async def test_the_wait_follows_the_pace(page: Page) -> None:
    place = placed(5, 600)
    assert await waits(page, [place, room("admitting", per_min=120)]) == [None, 5]
    # Of the first minute only ten seconds are counted: 20 in them are 120 a minute.
    begun = room("admitting", ON_SALE_MS + 10_000, per_min=20)
    assert await waits(page, [place, begun]) == [None, 5]
    # No pace yet, no promise.
    hasty = room("admitting", ON_SALE_MS + 2_000, per_min=20)
    assert await waits(page, [place, hasty]) == [None, None]
    assert await waits(page, [place, room("admitting", per_min=0)]) == [None, None]


async def test_the_wait_does_not_flicker_and_does_not_lag(page: Page) -> None:
    start_ms = ON_SALE_MS + 5 * MINUTE_MS
    restless = [
        room("admitting", start_ms + second * 1_000, per_min=120 + (9 if second % 2 else -9))
        for second in range(30)
    ]
    assert len(set((await waits(page, [placed(5, 595), *restless]))[1:])) == 1
    slower = [
        room("admitting", start_ms + second * 1_000, per_min=120 if second < 5 else 30)
        for second in range(90)
    ]
    assert (await waits(page, [placed(5, 600), *slower]))[-1] == 20


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (0, "0:00"),
        (999, "0:01"),
        (61_000, "1:01"),
        (3_600_000, "1:00:00"),
        (7_265_000, "2:01:05"),
        (4 * 86_400_000, "4 days"),
    ],
)
async def test_countdowns(page: Page, ms: int, text: str) -> None:
    assert await run(page, "waiting_words", "return m.countdownText(argument);", ms) == text


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (None, "How long it takes cannot be told yet"),
        (0, "Less than a minute to wait"),
        (1, "About 1 minute to wait"),
        (35, "About 35 minutes to wait"),
        (60, "About 1 hour to wait"),
        (90, "About 1.5 hours to wait"),
    ],
)
async def test_waits_in_words(page: Page, minutes: int | None, text: str) -> None:
    assert await run(page, "waiting_words", "return m.waitText(argument);", minutes) == text


ALOUD = """
const { Standing } = await import("/static/js/waiting_state.js");
const heard = [];
const live = document.getElementById("live");
const ear = new MutationObserver(() => { if (live.textContent) heard.push(live.textContent); });
ear.observe(live, { childList: true });
const herald = new m.Herald();
const standing = new Standing(null);
for (const [second, frame] of argument.frames.entries()) {
  if (frame[0] === "room") standing.hear(frame); else standing.put(frame);
  const nowMs = argument.nowMs + second * 1000;
  herald.tell(standing, standing.stage(nowMs), `${standing.ahead} before`, nowMs);
  await new Promise((drawn) => requestAnimationFrame(() => setTimeout(drawn)));
}
ear.disconnect();
return heard;
"""


async def test_a_moving_place_is_said_at_its_marks_and_not_each_second(page: Page) -> None:
    now_ms = ON_SALE_MS + 5 * MINUTE_MS
    frames = [placed(5, 560)] + [room("admitting", front=10 * second) for second in range(57)]
    told = await run(page, "waiting_words", ALOUD, {"frames": frames, "nowMs": now_ms})
    # A mark that is passed soon after something was said waits until that is a while ago.
    assert told == ["560 before", "370 before", "170 before", "0 before"]


async def test_the_draw_is_counted_down_aloud_at_few_marks(page: Page) -> None:
    frames = [room("gathering"), placed(5, -1)] + [room("gathering")] * 118
    started_ms = ON_SALE_MS - 2 * MINUTE_MS
    told = await run(page, "waiting_words", ALOUD, {"frames": frames, "nowMs": started_ms})
    assert told == ["null before", "null before", "The draw is in 1 minute."]
