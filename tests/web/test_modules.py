"""The page's own modules, run in the browser: codec, feed rules, connection, geometry, words."""

import json
from typing import Any

import msgpack
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from engine.demo_houses import club
from engine.feed import Applied, Feed, Replica
from gateway.plan_view import plan_view
from tests.web.conftest import THEATRE
from tests.web.stand import Stand

pytestmark = pytest.mark.asyncio(loop_scope="module")

VALUES = [
    None,
    True,
    False,
    0,
    127,
    128,
    255,
    256,
    65_535,
    65_536,
    2**32 - 1,
    2**32,
    2**53 - 1,
    -1,
    -32,
    -33,
    -128,
    -129,
    -32_768,
    -32_769,
    -(2**31),
    -(2**31) - 1,
    -(2**53) + 1,
    1.5,
    -0.25,
    "",
    "é" * 15,
    "x" * 16,
    "Théâtre 舞台 🎭",
    "x" * 300,
    "x" * 70_000,
    b"",
    b"\x00\xff" * 8,
    bytes(300),
    bytes(70_000),
    [],
    [1, [2, ["three", None]]],
    list(range(16)),
    list(range(70_000)),
    {},
    {"a": 1, "__proto__": {"b": [b"c"]}},
    {f"key{n}": n for n in range(20)},
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def page(stand: Stand, browser: Browser) -> Page:
    """A page of the house with nothing of interest on it: a place to run modules in."""
    page = await browser.new_page()
    await page.goto(f"{stand.url}/")
    return page


async def run(page: Page, module: str, body: str, argument: Any = None) -> Any:
    """What `body` (of an async function of `m`, the module, and `argument`) returns."""
    return await page.evaluate(
        f"async (argument) => {{ const m = await import('/static/js/{module}.js'); {body} }}",
        argument,
    )


BYTES = """
const bytes = (text) => Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
const text = (found) => Array.from(found, (byte) => byte.toString(16).padStart(2, '0')).join('');
"""


async def test_what_python_packs_the_page_unpacks_and_packs_again(page: Page) -> None:
    packed = [msgpack.packb(value, use_bin_type=True).hex() for value in VALUES]
    again = await run(
        page,
        "msgpack",
        BYTES + "return argument.map((one) => text(m.encode(m.decode(bytes(one)))));",
        packed,
    )
    for value, one in zip(VALUES, again, strict=True):
        assert msgpack.unpackb(bytes.fromhex(one)) == value


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        ("", "cut short"),
        ("92c0", "cut short"),
        ("a3c3a9", "cut short"),
        ("a1ff", "not UTF-8"),
        ("c0c0", "bytes after"),
        ("d40100", "not used here"),
        ("dd7fffffff", "cut short"),
        ("cfffffffffffffffff", "over 2"),
        ("8101c0", "keys must be text"),
        ("91" * 20 + "c0", "nested too deeply"),
    ],
)
async def test_malformed_frames_are_refused_with_a_reason(
    page: Page, packed: str, why: str
) -> None:
    told = await run(
        page,
        "msgpack",
        BYTES + "try { m.decode(bytes(argument)); return 'nothing'; }"
        " catch (error) { return `${error.name}: ${error.message}`; }",
        packed,
    )
    assert told.startswith("RangeError: msgpack: ")
    assert why in told


async def test_the_page_keeps_the_same_picture_as_the_engines_own_replica(page: Page) -> None:
    """Frames in, out of order, doubled, of an older reign: each judged as engine.feed judges it."""
    feed = Feed(7, 2, bytes(10), [5, 9])
    first = feed.snapshot_frame()
    frames = [first]
    for step, changes in enumerate([[0 << 2 | 1], [0 << 2 | 2, 9 << 2 | 3], [4 << 2 | 1]]):
        feed.publish(changes, [(1, 8 - step)] if step else [])
        frames.append(feed.since(2, step) or b"")
    later = Feed(7, 3, bytes([2] * 10), [0, 0])
    shuffled = [
        frames[1],  # before any snapshot: a gap
        frames[0],
        frames[2],  # from_seq 1 after seq 0: a gap
        frames[1],
        frames[1],
        feed.since(2, 0) or b"",  # all three steps as one
        frames[3],
        first,
        later.snapshot_frame(),
        feed.snapshot_frame(),  # of the older reign
        frames[3],
    ]
    replica = Replica(7, 10, 2)
    wanted = []
    for frame in shuffled:
        did = replica.apply(frame)
        seats = [*replica.statuses] if (replica.epoch, replica.seq) != (0, 0) else None
        wanted.append([did.value, seats, [*replica.areas] if seats else None])
    told = await run(
        page,
        "feed",
        BYTES
        + """
        const { decode } = await import('/static/js/msgpack.js');
        const feed = new m.Feed(10, 2);
        return argument.map((frame) => {
          const { did } = feed.apply(decode(bytes(frame)));
          return [did === m.Applied.STALE ? 'old' : did,
            feed.known ? [...feed.statuses] : null, feed.known ? [...feed.areasFree] : null];
        });""",
        [frame.hex() for frame in shuffled],
    )
    assert told == wanted
    assert [did for did, _, _ in wanted].count(Applied.OLD.value) >= 4


SOCKET = """
class FakeSocket {
  static all = [];
  constructor() { FakeSocket.all.push(this); this.sent = []; }
  send(bytes) { this.sent.push(decode(bytes)); }
  close() { this.closed = true; }
  open() { this.onopen(); }
  tell(...frame) { this.onmessage({ data: encode(frame).slice().buffer }); }
  drop() { this.onclose(); }
}
const { encode, decode } = await import('/static/js/msgpack.js');
const timers = [];
let clock = 1_000_000;
const tokens = [];
const connection = new m.Connection('ws://nowhere', async (refused) => {
  tokens.push(refused);
  return refused ? 'fresh' : 'first';
}, 'fr', {
  makeSocket: () => new FakeSocket(), random: () => 0.5, now: () => clock,
  setTimer: (work, ms) => timers.push({ work, ms }),
  clearTimer: (n) => { if (n) timers[n - 1] = null; },
});
const soon = () => new Promise((resolve) => setTimeout(resolve, 0));
const last = () => FakeSocket.all.at(-1);
const due = (least, most) => timers.find((timer) => timer && timer.ms >= least && timer.ms <= most);
const fire = async (timer) => { timers[timers.indexOf(timer)] = null; timer.work(); await soon(); };
const welcome = (at) => last().tell('welcome', 1, 'me', [], at);
const states = [];
connection.addEventListener('state', ({ detail }) => states.push(detail));
"""


async def test_unanswered_commands_go_out_again_with_the_same_id(page: Page) -> None:
    told = await run(
        page,
        "socket",
        SOCKET
        + """
        connection.start(); await soon();
        last().open();
        connection.watch(4, () => [2, 17]);
        const answer = connection.ask('hold', 4, new Uint8Array(16), [1], []);
        const before = [...last().sent];
        welcome(1_000_500);
        const firstLine = last().sent.slice(1);
        last().drop();
        await fire(due(100, 400));
        last().open(); welcome(1_000_600);
        const secondLine = last().sent.slice(1);
        last().tell('reply', secondLine[1][1], ['held', new Uint8Array(16), [1], [], 99, null]);
        const outcome = await answer;
        return {
          before: before.map((frame) => frame[0]), hello: before[0],
          kinds: secondLine.map((frame) => frame[0]), watch: firstLine[0],
          same: m.hex(firstLine[1][1]) === m.hex(secondLine[1][1]),
          outcome: outcome[0], states, now: connection.serverNow(),
        };""",
    )
    assert told["before"] == ["hello"], "nothing is asked before the welcome"
    assert told["hello"] == ["hello", "first", "fr"]
    assert told["watch"] == ["watch", 4, 2, 17]
    assert told["kinds"] == ["watch", "hold"]
    assert told["same"] is True
    assert told["outcome"] == "held"
    assert told["states"] == ["open", "retrying", "open"]
    assert told["now"] == 1_000_600


async def test_shed_commands_wait_and_a_refused_token_is_renewed(page: Page) -> None:
    told = await run(
        page,
        "socket",
        SOCKET
        + """
        connection.start(); await soon();
        last().open();
        last().tell('error', 'unauthenticated', 'too old', new Uint8Array(0));
        const retry = due(100, 400);
        await fire(retry);
        last().open(); welcome(clock);
        const answer = connection.ask('best', 4, new Uint8Array(16), 2);
        const id = last().sent.at(-1)[1];
        last().tell('shed', id, 'busy', 700);
        const count = last().sent.length;
        const wait = due(700, 1400);
        await fire(wait);
        const again = last().sent.at(-1);
        last().tell('error', 'malformed', 'no', id);
        const code = await answer.catch((error) => error.code);
        return { tokens, hello: last().sent[0][1], waitMs: wait.ms, code,
          again: last().sent.length === count + 1 && m.hex(again[1]) === m.hex(id) };""",
    )
    assert told["tokens"] == [False, True]
    assert told["hello"] == "fresh"
    assert told["waitMs"] == 875
    assert told["again"] is True
    assert told["code"] == "malformed"


async def test_retries_back_off_to_a_bound_and_a_silent_line_is_dropped(page: Page) -> None:
    told = await run(
        page,
        "socket",
        SOCKET
        + """
        connection.start(); await soon();
        const waits = [];
        for (let n = 0; n < 9; n += 1) {
          last().drop();
          const timer = timers.findLast(Boolean);
          waits.push(timer.ms);
          await fire(timer);
        }
        const unheard = last();
        await fire(due(m.PONG_WITHIN_MS, m.PONG_WITHIN_MS));
        const givenUp = unheard.closed && connection.state === 'retrying';
        await fire(timers.findLast(Boolean));
        last().open(); welcome(clock);
        const welcomed = !due(m.PONG_WITHIN_MS, m.PONG_WITHIN_MS);
        await fire(due(m.PING_EVERY_MS, m.PING_EVERY_MS));
        const ping = last().sent.at(-1);
        clock += 40; last().tell('pong', ping[1], clock + 1000);
        const offset = connection.serverNow() - clock;
        const silentAfterPong = Boolean(due(m.PONG_WITHIN_MS, m.PONG_WITHIN_MS));
        await fire(due(m.PING_EVERY_MS, m.PING_EVERY_MS));
        const socket = last();
        await fire(due(m.PONG_WITHIN_MS, m.PONG_WITHIN_MS));
        return { waits, givenUp, welcomed, ping: ping[0], offset, silentAfterPong,
          closed: socket.closed, state: connection.state, most: m.RETRY_MOST_MS };""",
    )
    waits = told["waits"]
    assert waits == sorted(waits)
    assert waits[0] == 225
    assert waits[-1] == told["most"] * 0.75
    assert told["givenUp"] is True, "whose address does not answer at all"
    assert told["welcomed"] is True
    assert told["ping"] == "ping"
    assert told["offset"] == 1020, "half of the way there and back is taken off"
    assert told["silentAfterPong"] is False
    assert told["closed"] is True
    assert told["state"] == "retrying"


async def test_a_person_cannot_ask_for_more_than_a_bound(page: Page) -> None:
    told = await run(
        page,
        "socket",
        SOCKET
        + """
        connection.start(); await soon(); last().open();
        const ask = () => connection.ask('basket', 4, new Uint8Array(16));
        for (let n = 0; n < m.MAX_UNANSWERED; n += 1) ask();
        return ask().catch((error) => error instanceof m.TooManyUnanswered);""",
    )
    assert told is True


async def test_the_grid_finds_what_a_search_of_every_seat_finds(page: Page) -> None:
    seats = [(seat.x, seat.y) for seat in THEATRE.seats]
    points = [(x + 3.3, y - 2.1) for x, y in seats[::37]] + [(-500, -500), (700, 700)]
    told = await run(
        page,
        "grid",
        """
        const [xs, ys] = [argument.seats.map(([x]) => x), argument.seats.map(([, y]) => y)];
        const grid = new m.Grid(xs, ys, 70);
        const inside = [];
        grid.within(300, 300, 520, 610, (seat) => inside.push(seat));
        return { near: argument.points.map(([x, y]) => grid.nearest(x, y, 30)),
          inside: inside.sort((a, b) => a - b), empty: new m.Grid([], [], 5).nearest(0, 0, 9) };""",
        {"seats": seats, "points": points},
    )

    def nearest(x: float, y: float) -> int:
        far = [((sx - x) ** 2 + (sy - y) ** 2, n) for n, (sx, sy) in enumerate(seats)]
        distance, seat = min(far)
        return seat if distance <= 900 else -1

    assert told["near"] == [nearest(x, y) for x, y in points]
    assert told["near"][-2] == -1
    assert told["inside"] == [
        n for n, (x, y) in enumerate(seats) if 300 <= x <= 520 and 300 <= y <= 610
    ]
    assert told["empty"] == -1


async def test_zooming_keeps_the_point_under_the_finger_and_stays_in_bounds(page: Page) -> None:
    told = await run(
        page,
        "map_view",
        """
        const view = new m.View({ width: 1000, height: 600, largestRadius: 10 });
        view.resize(800, 600, { top: 20, right: 20, bottom: 20, left: 20 });
        const fitted = view.scale;
        const before = view.toPlan(200, 150);
        view.zoom(1.7, 200, 150);
        const after = view.toPlan(200, 150);
        view.zoom(1000, 0, 0);
        const closest = view.scale;
        view.zoom(1e-6, 0, 0);
        const farthest = view.scale;
        view.pan(1e6, -1e6);
        const corner = [view.x, view.y];
        view.glideTo({ ...view.fit(), fitted: true }, 0, false);
        view.step(160);
        const between = view.scale;
        view.step(5000);
        return { fitted, before, after, closest, farthest, corner, between, end: view.scale };""",
    )
    assert told["fitted"] == pytest.approx(0.76)
    assert told["after"] == pytest.approx(told["before"])
    assert told["closest"] == 3
    assert told["farthest"] == pytest.approx(0.76 * 0.85)
    assert told["corner"] == [0, 600]
    assert told["farthest"] < told["between"] < told["end"] == pytest.approx(0.76)


async def test_a_plan_names_its_places_and_leaves_the_tables_room(page: Page) -> None:
    house = club()
    told = await run(
        page,
        "plan",
        """
        const plan = new m.Plan(JSON.parse(argument));
        const whole = plan.tables.find((table) => table.whole);
        return { names: [...plan.x.keys()].map((seat) => plan.seatName(seat)),
          radius: [...plan.radius], area: plan.areaAt(...m.middle(plan.areas[0].polygon)),
          outside: plan.areaAt(-5, -5), together: whole && plan.together(whole.seats[1]),
          whole: whole?.seats };""",
        plan_view(house).decode(),
    )
    for index, name in enumerate(told["names"]):
        label = house.seat_label(index)
        assert (name["section"], name["seat"]) == (label.section, label.seat)
    assert told["area"] == 0
    assert told["outside"] == -1
    assert told["together"] == told["whole"]
    for table in house.tables:
        for seat in table.seats:
            if table.shape == "round":
                here = house.seats[seat]
                off = ((here.x - table.x) ** 2 + (here.y - table.y) ** 2) ** 0.5 - table.width / 2
                assert told["radius"][seat] <= max(off, house.pitch * 0.2) + 1e-3


async def test_money_and_dates_are_written_as_in_the_readers_language(page: Page) -> None:
    told = await run(
        page,
        "i18n",
        """
        const starts = Date.UTC(2026, 11, 1, 19, 0);
        const said = {};
        for (const language of ['fr', 'en']) {
          m.setLanguage(language, { places: { one: '{count} place', other: '{count} places' },
            hello: 'x {name} {other}' }, 'Europe/Paris');
          said[language] = [m.money(4500, 'EUR'), m.money(4550, 'EUR'), m.moneyExact(4500, 'CHF'),
            m.money(900, 'JPY'), m.longDate(starts), m.clock(starts), m.plural('places', 0),
            m.plural('places', 39616), m.t('hello', { name: 'Ann' }), m.t('missing.key'),
            document.documentElement.lang];
        }
        return said;""",
    )
    plain = {
        language: [text.replace("\u202f", " ").replace("\xa0", " ") for text in texts]
        for language, texts in told.items()
    }
    assert plain["fr"] == [
        "45 €",
        "45,50 €",
        "45,00 CHF",
        "900 JPY",
        "mardi 1er décembre 2026",
        "20:00",
        "0 place",
        "39 616 places",
        "x Ann {other}",
        "missing.key",
        "fr",
    ]
    assert plain["en"] == [
        "€45",
        "€45.50",
        "CHF 45.00",
        "JP¥900",
        "Tuesday, 1 December 2026",
        "20:00",
        "0 places",
        "39,616 places",
        "x Ann {other}",
        "missing.key",
        "en",
    ]


async def test_the_plan_json_is_read_whole(page: Page) -> None:
    """Every column the page reads is one that the server writes."""
    view = json.loads(plan_view(THEATRE))
    told = await run(
        page,
        "plan",
        "const plan = new m.Plan(argument);"
        "return [plan.count, plan.sections.length, plan.rows.length, plan.boxes.length];",
        view,
    )
    sections = len(THEATRE.sections)
    assert told == [len(THEATRE.seats), sections, len(THEATRE.rows), sections]


async def test_the_time_left_is_said_at_five_minutes_and_at_one(page: Page) -> None:
    told = await run(
        page,
        "countdown",
        """
        const { setLanguage } = await import('/static/js/i18n.js');
        const words = { one: '{count} minute', other: '{count} minutes' };
        setLanguage('en', { 'web.countdown.left': words }, 'UTC');
        const live = document.getElementById('live');
        const said = [];
        new MutationObserver(() => live.textContent && said.push(live.textContent))
          .observe(live, { childList: true });
        const shown = [];
        const start = Date.now();
        let skew = 0;
        const countdown = new m.Countdown(() => Date.now() + skew, (...seen) => shown.push(seen));
        countdown.until(start + 900_000);
        const second = () => new Promise((resolve) => setTimeout(resolve, 1_200));
        for (const passed of [599_000, 600_500, 750_000, 840_500, 880_000]) {
          skew = passed;
          await second();
        }
        countdown.until(0);
        return { said, shown };""",
    )
    assert told["said"] == ["5 minutes", "1 minute"]
    texts = [text for text, _, _ in told["shown"]]
    assert texts[0] in ("15:00", "14:59")
    assert texts[-1] == ""
    seconds = [int(text[:-3]) * 60 + int(text[-2:]) for text in texts[:-1]]
    assert seconds == sorted(seconds, reverse=True)
    assert [urgent for _, _, urgent in told["shown"][:-1]] == [left < 60 for left in seconds]
    shares = [share for _, share, _ in told["shown"]]
    assert shares[0] == pytest.approx(1, abs=0.01)
    assert shares == sorted(shares, reverse=True)
