"""A performance watched: the same figures live, replayed and moved about in, and how they look."""

import asyncio
import json
import os
import random
import subprocess
import sys
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import settings as checks
from hypothesis import strategies as st
from syrupy.assertion import SnapshotAssertion

from console.app import ConsoleApp
from console.client import Client, Problem, Unreachable
from console.screens import supervisor as screen_module
from console.screens.base import Spoken
from console.screens.programme import ProgrammeScreen
from console.screens.supervisor import SupervisorScreen
from console.supervisor import (
    MAX_EVENTS_PER_STEP,
    POLL_S,
    SPEEDS,
    Latency,
    Pulse,
    Room,
    Status,
    Watching,
    last_minutes,
    percentile_s,
    whole_sale,
)
from console.widgets.chrome import KeyBar
from console.widgets.figures import (
    Panel,
    columns_of,
    grow,
    shared_out,
    spark,
    stretched,
)
from engine.commands import (
    Block,
    Channel,
    Checkout,
    Command,
    Held,
    Hold,
    HoldBest,
    Line,
    Refund,
    Scan,
    ScanMode,
    Sell,
)
from engine.journal import Page, Recorded
from engine.status import DirectoryStatus, EngineStatus, PerformanceStatus, Use
from engine.tally import MINUTE_MS
from tests.console.driving import Cashier, cashier
from tests.console.server import House
from tests.console.svg import SvgExtension, tidy
from tests.console.waiting import until
from tests.engine.small import NOW_MS, Play, house, settings
from tests.fakes.performances import FakePerformances

ROOT = Path(__file__).resolve().parents[2]
MINUTES = 30


class Journal:
    """A sale of half an hour, a ticket or two a minute, with a change of writer in the middle."""

    def __init__(self, minutes: int = MINUTES) -> None:
        self.batches: list[Recorded] = []
        self.asked: list[int] = []
        self.per_page = 4
        self.failing = False
        self._play = Play(house(["a" * 40] * 4), settings(orphan_rule=False))
        for minute in range(minutes):
            for number in range(1 + minute % 3):
                self.sell(f"{minute}-{number}")
            self.commit(1 if minute < minutes // 2 else 2)
            self._play.at_ms += MINUTE_MS

    def sell(self, who: str) -> None:
        self._play.best(1, by=who)
        self._play.checkout(by=who, order=who)
        self._play.sell(by=who, order=who)

    def commit(self, epoch: int) -> None:
        facts, _, _ = self._play.live.take()
        before = self.head_seq
        events = msgspec.msgpack.encode(facts)
        self.batches.append(Recorded(before + len(facts), before, epoch, facts[-1].at_ms, events))

    @property
    def head_seq(self) -> int:
        return self.batches[-1].seq if self.batches else 0

    async def ask(self, after_seq: int) -> Page:
        if self.failing:
            raise Unreachable("http://box:8000", "Connection refused")
        self.asked.append(after_seq)
        found = tuple(one for one in self.batches if one.seq > after_seq)[: self.per_page]
        first, last = self.batches[0], self.batches[-1]
        return Page(self.head_seq, first.at_ms, last.at_ms, found)


async def settled(watching: Watching, now_s: float = 0.0) -> None:
    """Until nothing more is due at this moment."""
    for _ in range(10_000):
        if not await watching.step(now_s):
            return
    raise AssertionError("it never ends")


def told(watching: Watching) -> Any:
    return watching.tally.figures(), watching.tally.minutes, watching.tally.sales.counts


async def live(journal: Journal) -> Watching:
    watching = Watching(journal.ask)
    await settled(watching)
    return watching


# Live ------------------------------------------------------------------------------------


async def test_live_reads_the_past_and_then_asks_once_a_second() -> None:
    journal = Journal()
    watching = Watching(journal.ask)
    assert not watching.known and watching.catching_up
    await watching.step(0.0)
    assert watching.known and watching.catching_up and watching.progress == 0.0
    await settled(watching)
    assert watching.at_end and not watching.catching_up and watching.progress == 1.0
    assert watching.seq == journal.head_seq == watching.tally.figures().events
    asked = len(journal.asked)
    await settled(watching, 0.9 * POLL_S)
    assert len(journal.asked) == asked
    journal.sell("late")
    journal.commit(2)
    await settled(watching, 1.1 * POLL_S)
    assert journal.asked[asked:] == [watching.seq - 3]
    assert watching.seq == journal.head_seq and not watching.catching_up


async def test_a_long_journal_is_folded_step_by_step() -> None:
    journal = Journal()
    journal.per_page = 1_000
    decoded = Watching(journal.ask)
    await decoded.step(0.0)
    steps = 0
    while await decoded.step(0.0):
        steps += 1
        assert decoded.seq <= steps * MAX_EVENTS_PER_STEP
    assert decoded.at_end


async def test_what_fails_is_tried_again_and_loses_nothing() -> None:
    journal, expected = Journal(), told(await live(Journal()))
    watching = Watching(journal.ask)
    for _ in range(3):
        await watching.step(0.0)
    journal.failing = True
    with pytest.raises(Unreachable):
        await settled(watching)
    journal.failing = False
    await settled(watching)
    assert told(watching) == expected


async def test_a_journal_with_a_hole_or_with_nonsense_is_not_shown_as_if_it_were_whole() -> None:
    journal = Journal()
    del journal.batches[2]
    with pytest.raises(Problem, match="after event"):
        await settled(Watching(journal.ask))
    journal = Journal()
    journal.batches[2] = msgspec.structs.replace(journal.batches[2], events=b"\x91\x93")
    with pytest.raises(Problem, match="event 10"):
        await settled(Watching(journal.ask))


async def test_it_is_told_who_wrote_and_since_when() -> None:
    watching = await live(Journal())
    assert [(one.epoch, one.seq) for one in watching.reigns] == [(1, 1), (2, 91)]
    assert watching.reigns[1].at_ms == NOW_MS + MINUTES // 2 * MINUTE_MS


# Replay ------------------------------------------------------------------------------------


async def test_who_goes_back_while_a_page_is_on_its_way_arrives() -> None:
    journal = Journal()
    watching = await live(journal)
    middle_ms = (watching.first_ms + watching.last_ms) / 2
    expected = await live(journal)
    expected.seek(middle_ms)
    await settled(expected)

    async def ask(after_seq: int) -> Page:
        page = await journal.ask(after_seq)
        if len(journal.asked) == asked + 1:
            watching.seek(middle_ms)
        return page

    for news in (False, True):
        watching.go_live()
        await settled(watching, 100.0 + news)
        if news:
            journal.sell("a late one")
            journal.commit(2)
        asked = len(journal.asked)
        watching._ask = ask
        await settled(watching, 200.0 + 100 * news)
        assert watching.replay and not watching.catching_up
        assert (watching.seq, told(watching)) == (expected.seq, told(expected))


@pytest.mark.parametrize("speed", SPEEDS)
async def test_a_replay_ends_where_live_is(speed: float) -> None:
    journal, expected = Journal(), told(await live(Journal()))
    watching = Watching(journal.ask, replay=True, speed=speed)
    now_s = 0.0
    for _ in range(100_000):
        if not await watching.step(now_s):
            if watching.at_end:
                break
            now_s += 60.0 / min(speed, 60.0)
    assert told(watching) == expected
    assert watching.clock_ms == watching.last_ms and watching.time_progress == 1.0
    asked = len(journal.asked)
    await settled(watching, now_s + 100 * POLL_S)
    assert len(journal.asked) == asked, "a replay that is over asks for nothing more"


async def test_a_replay_follows_its_clock() -> None:
    watching = Watching(Journal().ask, replay=True, speed=10.0)
    await settled(watching, 0.0)
    first_minute = watching.seq
    await settled(watching, 5.0)
    assert watching.seq == first_minute and watching.clock_ms == NOW_MS + 50_000
    await settled(watching, 6.5)
    assert watching.clock_ms == NOW_MS + 65_000
    assert watching.tally.last_ms == NOW_MS + MINUTE_MS
    assert 0 < watching.time_progress < 0.1
    watching.paused = True
    before = watching.seq
    await settled(watching, 500.0)
    assert (watching.seq, watching.clock_ms) == (before, NOW_MS + 65_000)
    watching.paused, watching.speed = False, 60.0
    await settled(watching, 501.0)
    assert watching.clock_ms == NOW_MS + 125_000


@given(
    st.lists(st.floats(-1.2, 1.5) | st.sampled_from(["live", "again", "pause"]), max_size=6),
    st.integers(1, 50),
)
@checks(deadline=None, max_examples=40)
def test_wherever_one_goes_the_figures_are_those_of_the_moment(
    moves: list[float | str], per_page: int
) -> None:
    async def run() -> None:
        journal = Journal(12)
        journal.per_page = per_page
        watching = await live(journal)
        now_s = 0.0
        for move in moves:
            now_s += 0.1
            if move == "live":
                watching.go_live()
            elif move == "again":
                watching.play_again()
            elif move == "pause":
                watching.paused = not watching.paused
            else:
                span_ms = watching.last_ms - watching.first_ms
                watching.seek(watching.first_ms + float(move) * span_ms)
            await settled(watching, now_s)
            await settled(watching, now_s)
        if watching.replay:
            until_ms = watching.clock_ms
            assert watching.first_ms <= until_ms <= watching.last_ms
        else:
            until_ms = inf
            watching.paused = False
            await settled(watching, now_s + 10)
        fresh = Journal(12)
        fresh.per_page = 1_000
        events = [
            event
            for batch in fresh.batches
            for event in msgspec.msgpack.decode(batch.events)
            if event[0] <= until_ms
        ]
        assert watching.seq == watching.tally.events == len(events)

    asyncio.run(run())


async def test_moving_back_shows_what_was_then_and_stands_still() -> None:
    watching = await live(Journal())
    whole = watching.tally.figures()
    watching.seek(NOW_MS + 3 * MINUTE_MS + 1)
    assert watching.catching_up
    await settled(watching, 1.0)
    assert watching.replay and watching.paused and not watching.catching_up
    assert watching.tally.figures().total.sold == 1 + 2 + 3 + 1
    watching.go_live()
    await settled(watching, 2.0)
    assert watching.tally.figures() == whole


# The status over time ------------------------------------------------------------------------

EDGES_S = (0.001, 0.01, 0.1)


def status(at_ms: int, *counts: int, gateway: str = "one", **more: Any) -> Status:
    values: dict[str, Any] = {
        "gateway": gateway,
        "at_ms": at_ms,
        "now": {"sockets": 3, "watchers": 2, "commands_waiting": 0},
        "outcomes": {"held": sum(counts)},
        "sheds": {},
        "frames_refused": {},
        "batch_retries": 0,
        "latency": Latency(EDGES_S, counts),
    }
    return Status(**(values | more))


def test_percentiles_are_read_between_the_edges() -> None:
    assert percentile_s(EDGES_S, [0, 0, 0, 0], 0.5) is None
    assert percentile_s(EDGES_S, [10, 0, 0, 0], 0.5) == pytest.approx(0.0005)
    assert percentile_s(EDGES_S, [50, 50, 0, 0], 0.5) == pytest.approx(0.001)
    assert percentile_s(EDGES_S, [50, 50, 0, 0], 0.75) == pytest.approx(0.0055)
    assert percentile_s(EDGES_S, [0, 0, 0, 9], 0.5) == pytest.approx(0.1)


@given(st.lists(st.integers(0, 50), min_size=4, max_size=4), st.floats(0.01, 0.99))
def test_percentiles_rise_and_stay_within_the_edges(counts: list[int], share: float) -> None:
    low, high = percentile_s(EDGES_S, counts, share), percentile_s(EDGES_S, counts, 1.0)
    if sum(counts):
        assert low is not None and high is not None and 0 <= low <= high <= EDGES_S[-1]


def test_a_pulse_is_the_difference_of_two_statuses_of_one_gateway() -> None:
    pulse = Pulse()
    pulse.take(status(1_000, 1_000, 0, 0, 0))
    assert pulse.percentile_ms(0.5) is None and pulse.per_s == 0
    pulse.take(status(3_000, 1_000, 10, 0, 0, sheds={"busy": 4}))
    assert pulse.per_s == 5.0
    assert pulse.percentile_ms(0.5) == pytest.approx(5.5)
    assert pulse.turned_back == {"busy": 4}
    # Another gateway on the same address has counters of its own.
    pulse.take(status(4_000, 7, 7, 7, 7, gateway="other", sheds={"busy": 900}))
    assert pulse.per_s == 5.0 and pulse.turned_back == {"busy": 4}
    outcomes = {"held": 1_014, "seat_taken_from_feed": 6}
    pulse.take(status(5_000, 1_000, 10, 10, 0, sheds={"busy": 5}, outcomes=outcomes))
    assert pulse.per_s == 5.0
    assert pulse.turned_back == {"busy": 5, "seat_taken_from_feed": 6}
    assert len(pulse.p95_ms) == 2 and pulse.p95_ms[1] > 10


# Curves and their drawing --------------------------------------------------------------------


async def test_curves_over_an_hour_and_over_the_whole_sale() -> None:
    watching = await live(Journal())
    end_ms = NOW_MS + (MINUTES - 1) * MINUTE_MS
    hour = last_minutes(watching.tally, end_ms, 60)
    assert (len(hour.counts), hour.counts[-3:], sum(hour.counts)) == (60, (1, 2, 3), 60)
    assert hour.end_ms == end_ms - end_ms % MINUTE_MS + MINUTE_MS
    whole = whole_sale(watching.tally, end_ms, 10)
    assert whole.counts == (6,) * 10 and whole.width_ms == 3 * MINUTE_MS
    assert whole_sale(watching.tally, end_ms, 100).counts == (1, 2, 3) * 10
    assert whole_sale(Watching(Journal().ask).tally, end_ms, 10).counts == ()
    # Years later, the sale still fills most of the picture.
    late = whole_sale(watching.tally, end_ms + 10**11, 100)
    assert len(late.counts) == 34 and sum(late.counts) == 60


def test_a_plot_draws_what_it_is_given() -> None:
    assert columns_of([0, 1, 4, 8, 16], 2, 16) == ["    █", " ▁▄██"]
    assert columns_of([0, 1], 1, 1_000) == [" ▁"]  # anything above nothing can be seen
    assert spark([0.0, 2.0, 4.0], 8) == "▁▄█" and spark([1.0] * 9, 4) == "████"
    assert grow(0.5, 4) == "██  " and grow(0.001, 4).strip() and grow(7, 2) == "██"
    assert stretched([1, 2], 4) == [1, 1, 2, 2] and stretched([], 4) == []


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=6), st.integers(0, 200))
def test_a_house_is_shared_out_without_a_cell_too_many(amounts: list[int], cells: int) -> None:
    shares = shared_out(amounts, cells)
    assert sum(shares) == (cells if sum(amounts) else 0)
    if cells >= len(amounts):
        assert all(
            share > 0 for share, amount in zip(shares, amounts, strict=True) if amount and cells
        )


# The screen ------------------------------------------------------------------------------------

OPENING_MS = 1_795_600_800_000


async def sale(house: House, clock: list[int]) -> None:
    """Forty minutes in the small theatre, the same every time."""
    fake, chance = house.fake.performances, random.Random(7)
    made = iter(range(1, 100_000))

    def new_id() -> bytes:
        return (2**64 + next(made)).to_bytes(16, "big")

    async def ask(command: Command) -> Any:
        return await fake.ask(1, command)

    orders: list[str] = []
    for minute in range(40):
        if minute == 25:
            fake.restart(1)
        for _ in range(max(1, 8 - abs(minute - 8))):
            token, order = new_id(), f"o{next(made)}"
            channel = chance.choice([Channel.WEB, Channel.WEB, Channel.BOX_OFFICE, Channel.PHONE])
            held = await ask(HoldBest(new_id(), token, order, channel, chance.choice([1, 2, 2, 4])))
            if chance.random() < 0.4:
                await ask(Hold(new_id(), new_id(), f"late{order}", Channel.WEB, (0, 1)))
            if not isinstance(held, Held) or chance.random() < 0.25:
                continue
            kinds = ("full", "full", "child", "full" if channel is Channel.WEB else "senior")
            lines = [Line(seat, -1, chance.choice(kinds)) for seat in held.seats]
            lines += [Line(-1, area, "full", quantity) for area, quantity in held.areas]
            await ask(Checkout(new_id(), token, order, "buyer", tuple(lines)))
            await ask(Sell(new_id(), token, order))
            orders.append(order)
        clock[0] += MINUTE_MS
    core = fake.live[1].core
    await ask(Refund(new_id(), core.ticket_sales[3][0], (4,)))
    positions, codes = core.house.positions, core.codes
    free = [seat for seat in range(200) if codes[positions[seat]] == 0]
    await ask(Block(new_id(), tuple(free[:3]), (), "camera"))
    for number in range(1, 31):
        gate = "side" if number % 4 == 0 else "main"
        await ask(Scan(new_id(), gate, "d", 1, chance.randint(1, 60), 0, ScanMode.ADMIT))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The one moment of the house and of the screen."""
    moment = [OPENING_MS]
    monkeypatch.setattr(FakePerformances, "clock_ms", lambda self: moment[0])
    monkeypatch.setattr(screen_module, "now_ms", lambda: moment[0])
    monkeypatch.setattr(ConsoleApp, "clock", lambda self: "19:45")
    monkeypatch.setattr(Spoken, "when", lambda self, at_ms: "11.12. 20:00")
    return moment


@pytest.fixture
def vitals(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that always answers as fast, and an engine that is always as well."""
    polls = iter(range(1, 1_000))
    use = Use(50_000_000, 1.0)

    def now(poll: int) -> Status:
        room = Room("admitting", OPENING_MS, OPENING_MS, 9_800, 2_450, 120, 40, 310)
        actor = PerformanceStatus(1, 2, 414, 0, 0, 1, 88, 2, "", True, use)
        engine = EngineStatus(
            {"directory": True, "journal": True, "desk": False},
            {},
            DirectoryStatus(3, (actor,), use),
            None,
            1,
            0,
        )
        poll = min(poll, 12)
        return status(
            1_000 * poll,
            *(10 * poll, 60 * poll, 2 * poll * poll, 0),
            outcomes={"held": 72 * poll},
            now={"sockets": 812, "watchers": 790, "commands_waiting": 14},
            sheds={"busy": 6 * poll, "rate": 3 * poll},
            batch_retries=2,
            room=room,
            engine=engine,
        )

    async def asked(self: Client, performance: int, kind: type) -> Status:
        return now(next(polls))

    monkeypatch.setattr(Client, "status", asked)
    monkeypatch.setattr(screen_module, "POLL_S", 0.02)


async def open_screen(me: Cashier, house: House) -> SupervisorScreen:
    await me.log_in(house.password)
    await me.sees(ProgrammeScreen)
    await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
    await me.press("w")
    await me.sees(SupervisorScreen)
    screen = me.app.screen
    assert isinstance(screen, SupervisorScreen)
    await until(lambda: screen.watching.at_end and screen.pulse.status is not None)
    return screen


def value(screen: SupervisorScreen, panel: str, label: str) -> str:
    rows = {row.label: row.value for row in screen.query_one(f"#{panel}", Panel).rows}
    return rows[screen.t(label)]


async def test_a_supervisor_sees_a_sale_as_it_is_made(house: House, tmp_path: Path) -> None:
    await house.operator("sup", "supervisor")
    async with cashier(house, tmp_path, name="sup", size=(160, 45)) as me:
        screen = await open_screen(me, house)
        assert value(screen, "totals", "console.watch.sold") == "0"
        token = b"t" * 16
        fake = house.fake.performances
        assert isinstance(
            await fake.ask(1, Hold(b"1" * 16, token, "a", Channel.PHONE, (0, 1))), Held
        )
        await until(lambda: value(screen, "holds", "console.watch.alive") == "1")
        lines = (Line(0, -1, "full"), Line(1, -1, "child"))
        await fake.ask(1, Checkout(b"2" * 16, token, "o", "", lines))
        await fake.ask(1, Sell(b"3" * 16, token, "o"))
        await until(lambda: value(screen, "totals", "console.watch.sold") == "2")
        assert value(screen, "channels", "console.channel.phone").split() == ["2", "72.00"]
        assert value(screen, "holds", "console.watch.became_sales") == "1"
        assert value(screen, "edge", "console.watch.sockets") == "1"
        changes = str(fake.live[1].feed.seq)
        await until(lambda: value(screen, "actors", "console.watch.commits") == changes != "0")


@pytest.mark.usefixtures("vitals")
async def test_keys_move_through_the_sale(
    house: House, tmp_path: Path, clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    await sale(house, clock)
    async with cashier(house, tmp_path) as me:
        screen = await open_screen(me, house)
        watching = screen.watching
        whole = watching.seq
        await me.press("5")
        await until(lambda: watching.replay and not watching.catching_up)
        half = watching.seq
        assert 0 < half < whole and watching.paused
        await me.press("left")
        await until(lambda: watching.seq < half)
        await me.press("right")
        await until(lambda: watching.seq == half)
        assert "live" in me.keys and "faster" in me.keys
        await me.press("plus", "plus", "plus", "space")
        assert watching.speed == inf
        await until(lambda: watching.at_end)
        await me.press("minus")
        assert watching.speed == SPEEDS[-2]
        await me.press("r")
        await until(lambda: 0 < watching.seq < whole and not watching.paused)
        await me.press("l")
        await until(lambda: watching.at_end and not watching.replay)
        await me.press("w")
        assert screen.whole
        await me.press("tab")
        assert screen.has_class("-more")
        assert screen.query_one("#edge", Panel).region.width > 0
        await me.press("escape")
        await me.sees(ProgrammeScreen)


async def test_only_who_supervises_is_offered_the_screen(house: House, tmp_path: Path) -> None:
    await house.operator("ben", "cashier")
    async with cashier(house, tmp_path, name="ben") as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        await until(lambda: bool(me.app.screen._performances))  # type: ignore[attr-defined]
        assert "watch" not in me.app.screen.query_one(KeyBar).render().plain
        await me.press("w")
        await me.pilot.pause()
        assert isinstance(me.app.screen, ProgrammeScreen)
    async with cashier(house, tmp_path / "other", size=(140, 45)) as me:
        await me.log_in(house.password)
        await me.sees(ProgrammeScreen)
        assert "watch" in me.keys
        commands = {one.title for one in me.app.get_system_commands(me.app.screen)}
        assert "Watch" in commands


async def test_a_server_that_is_away_is_said_and_survived(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with cashier(house, tmp_path) as me:
        screen = await open_screen(me, house)
        asked = Client.journal

        async def away(self: Client, performance: int, after_seq: int) -> Page:
            raise Unreachable(self.server, "Connection refused")

        def mode() -> str:
            return str(screen.query_one("#mode").render())

        monkeypatch.setattr(Client, "journal", away)
        await until(lambda: "Connection refused" in mode())
        monkeypatch.setattr(Client, "journal", asked)
        await until(lambda: me.app.t("console.watch.live") in mode())


SIZES = ((80, 24), (160, 45))


@pytest.mark.usefixtures("vitals")
@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_how_it_looks(
    house: House,
    tmp_path: Path,
    clock: list[int],
    snapshot: SnapshotAssertion,
    size: tuple[int, int],
    language: str,
) -> None:
    picture = snapshot.use_extension(SvgExtension)
    await sale(house, clock)
    async with cashier(house, tmp_path, size=size, language=language) as me:
        screen = await open_screen(me, house)
        await until(lambda: len(screen.pulse.p95_ms) >= 11)
        await me.pilot.pause(0.4)
        screen.workers.cancel_group(screen, "status")
        assert await seen(me) == picture(name="live")
        await me.press("4")
        await until(lambda: screen.watching.replay and not screen.watching.catching_up)
        await until(lambda: screen.watching.tally.figures().total.sold > 0)
        await me.press("w")
        await me.pilot.pause(0.4)
        assert await seen(me) == picture(name="replay")


async def seen(me: Cashier) -> str:
    await me.pilot.pause()
    await me.pilot.pause()
    return tidy(me.app.export_screenshot())


# The command -------------------------------------------------------------------------------------


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "console", "watch", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )


async def test_the_command_tells_a_whole_sale_in_one_line(house: House, clock: list[int]) -> None:
    await sale(house, clock)
    token = await house.operator("sup", "supervisor")
    where = ("--server", house.url, "--token", token)
    done = await asyncio.to_thread(run, "1", "--replay", "--json", *where)
    assert done.returncode == 0, done.stderr
    last = json.loads(done.stdout.splitlines()[-1])
    core = house.fake.performances.live[1].core
    assert last["seq"] == last["head_seq"] == house.fake.performances.live[1].seq
    assert last["figures"]["total"]["sold"] == len(core.tickets) - 1
    assert last["figures"]["admitted"] == len(core.ticket_uses)
    assert last["currency"] == "CHF" and "status" not in last
    words = await asyncio.to_thread(run, "1", "--replay", *where, "--language", "fr")
    assert f"{len(core.tickets) - 1} vendues" in words.stdout


async def test_the_command_says_why_it_cannot(house: House) -> None:
    door = await house.operator("bo", "door")
    done = await asyncio.to_thread(run, "1", "--replay", "--server", house.url, "--token", door)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
    done = await asyncio.to_thread(run, "1", "--server", house.url)
    assert done.returncode == 2 and "--login" in done.stderr
