"""A performance watched: what is sold, held, refused and admitted, and how the engine is.

Live, or replayed from its journal at any speed: the same screen over the same figures. Owns
the pacing and which figure stands where; what they are is `console.supervisor`'s, what is said
of them `supervisor_rows`'.
"""

import asyncio
import contextlib
import time
from math import inf
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.css.query import NoMatches
from textual.widgets import Static

from console.client import ClientError
from console.looks import GLYPHS, Mark
from console.programme import Performance, text_in
from console.screens.base import TillScreen
from console.screens.supervisor_rows import SupervisorRows
from console.supervisor import POLL_S, SPEEDS, Pulse, Status, Watching, last_minutes, whole_sale
from console.widgets.big_text import BigText
from console.widgets.figures import Curve, HouseBar, Panel, Row, Slice, line, track
from console.words import error_words
from engine.tally import MINUTE_MS, Figures
from renderers.money import format_time, format_weekday_date

TICK_S: Final = 0.25
"""How often the figures are drawn, and how long a replay sleeps between steps."""
HOUR_MINUTES: Final = 60
WIDE_COLUMNS: Final = 120
TALL_LINES: Final = 36
DAY_MS: Final = 24 * 60 * MINUTE_MS
PROGRESS_COLUMNS: Final = 24
TENTHS: Final = 10


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class SupervisorScreen(TillScreen):
    """One performance; `places` is how many seats and places its plan has."""

    BINDINGS: ClassVar = [
        Binding("r", "replay", "console.key.replay"),
        Binding("l", "live", "console.key.live"),
        Binding("space", "pause", "console.key.pause"),
        Binding("plus,equals_sign", "faster", "console.key.faster", key_display="+"),
        Binding("minus", "slower", "console.key.slower", key_display="-"),
        Binding("left", "seek(-60000)", "console.key.seek", key_display="←→"),
        Binding("right", "seek(60000)", show=False),
        Binding("pageup", "seek(-3600000)", show=False),
        Binding("pagedown", "seek(3600000)", show=False),
        *[Binding(str(tenth), f"seek_tenth({tenth})", show=False) for tenth in range(TENTHS)],
        Binding("w", "whole", "console.key.whole"),
        Binding("tab", "more", "console.key.more", priority=True),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    SupervisorScreen #mode { height: 1; padding: 0 1; color: $muted; }
    SupervisorScreen #sales { height: 1fr; min-height: 6; padding: 0 1; }
    SupervisorScreen #side { width: 36; display: none; padding: 0 0 0 3; }
    SupervisorScreen #big { height: 8; color: $brass-text; display: none; }
    SupervisorScreen #panels { height: 12; }
    SupervisorScreen #panels > Vertical { width: 1fr; }
    SupervisorScreen #holds, SupervisorScreen #latency { height: 5; }
    SupervisorScreen #doors { height: 4; }
    SupervisorScreen #engine { display: none; }
    SupervisorScreen.-more #what, SupervisorScreen.-more #brief { display: none; }
    SupervisorScreen.-more #doors { height: 1fr; }
    SupervisorScreen.-more #engine { display: block; }
    SupervisorScreen.-wide #side { display: block; }
    SupervisorScreen.-wide #brief { display: none; }
    SupervisorScreen.-wide #doors { height: 1fr; }
    SupervisorScreen.-wide #engine, SupervisorScreen.-wide #what { display: block; }
    SupervisorScreen.-tall #mode { margin: 1 0; }
    SupervisorScreen.-tall #sales { margin: 1 0; }
    SupervisorScreen.-wide.-tall #big { display: block; }
    SupervisorScreen.-tall #panels { height: 22; }
    SupervisorScreen.-tall #types, SupervisorScreen.-tall #holds,
    SupervisorScreen.-tall #latency, SupervisorScreen.-tall #edge { height: 11; }
    """

    def __init__(self, performance: Performance, places: int) -> None:
        super().__init__()
        self.performance = performance
        self.places = places
        self.watching = Watching(self._journal)
        self.pulse = Pulse()
        self.whole = False
        self._trouble = ""

    def compose_body(self) -> ComposeResult:
        yield Static(id="mode")
        yield HouseBar()
        with Horizontal(id="sales"):
            yield Curve(id="curve")
            with Vertical(id="side"):
                yield BigText(id="big")
                yield Panel(id="totals")
        with Horizontal(id="panels"):
            with Vertical(id="what"):
                yield Panel(id="types")
                yield Panel(id="channels")
            with Vertical():
                yield Panel(id="holds")
                yield Panel(id="refusals")
            with Vertical():
                yield Panel(id="latency")
                yield Panel(id="doors")
                yield Panel(id="brief")
            with Vertical(id="engine"):
                yield Panel(id="edge")
                yield Panel(id="actors")

    def on_mount(self) -> None:
        super().on_mount()
        self.run_worker(self._follow(), group="journal", exclusive=True)
        self.run_worker(self._ask_status(), group="status", exclusive=True)

    def place_words(self) -> str:
        title = text_in(self.performance.title, self.t.language)
        return f"{title} · {self.when(self.performance.starts_ms)}"

    def on_resize(self) -> None:
        super().on_resize()
        size = self.app.size
        self.set_class(size.width >= WIDE_COLUMNS, "-wide")
        self.set_class(size.height >= TALL_LINES, "-tall")
        self.call_after_refresh(self.show)

    def speak(self) -> None:
        super().speak()
        self.show()

    # Following -----------------------------------------------------------------------

    async def _journal(self, after_seq: int):  # type: ignore[no-untyped-def]
        return await self.console.client.journal(self.performance.id, after_seq)

    async def _follow(self) -> None:
        """Step through the journal, and draw a few times a second whatever is to be done."""
        drawn_s = 0.0
        while True:
            try:
                busy = await self.watching.step(time.monotonic())
                self._trouble = ""
            except ClientError as error:
                busy, self._trouble = False, error_words(self.t, error)
            if not busy or time.monotonic() - drawn_s >= TICK_S:
                self.show()
                drawn_s = time.monotonic()
            await asyncio.sleep(0 if busy else TICK_S)

    async def _ask_status(self) -> None:
        while True:
            try:
                self.pulse.take(await self.console.client.status(self.performance.id, Status))
            except ClientError as error:
                self._trouble = error_words(self.t, error)
            await asyncio.sleep(POLL_S)

    def moment_ms(self) -> int:
        """The moment that the screen shows."""
        return int(self.watching.clock_ms) if self.watching.replay else now_ms()

    # Drawing -------------------------------------------------------------------------

    def show(self) -> None:
        # While the screen is put together and while it is taken down some parts are not there.
        with contextlib.suppress(NoMatches):
            self._show_all()

    def _show_all(self) -> None:
        figures = self.watching.tally.figures()
        self._show_mode(figures)
        self._show_house(figures)
        self._show_curve(figures)
        self._show_sales(figures)
        self._show_holds(figures)
        self._show_doors(figures)
        if self.watching.replay:
            self._show_no_pulse()
        else:
            self._show_pulse()
        self._show_actors()

    @property
    def rows(self) -> SupervisorRows:
        """What is said, in the language of now."""
        return SupervisorRows(self.performance, self.t, self.console.time_zone)

    def exact_time(self, at_ms: int) -> str:
        """The time of day in the house, to the second; with its day where the sale has several."""
        seconds = f"{format_time(at_ms, self.console.time_zone, self.t.language)}:" + (
            f"{at_ms // 1_000 % 60:02}"
        )
        if self.watching.last_ms - self.watching.first_ms < DAY_MS:
            return seconds
        date = format_weekday_date(at_ms, self.console.time_zone, self.t.language)
        return f"{date} {seconds}"

    def _show_mode(self, figures: Figures) -> None:
        t, watching = self.t, self.watching
        events = t.plural(
            "console.watch.events", watching.seq, count=self.rows.number(watching.seq)
        )
        parts: list[tuple[str, str]]
        if self._trouble:
            parts = [(f"× {self._trouble}", "bold $error")]
        elif not watching.known:
            parts = [(f"… {t('console.watch.asking')}", "bold $warning")]
        elif watching.catching_up:
            share = watching.progress
            parts = [
                (f"… {t('console.watch.reading')} ", "bold $warning"),
                *track(share, PROGRESS_COLUMNS),
                (f" {self.rows.percent(share):>5}  {events}", ""),
            ]
        elif not watching.replay:
            parts = [(f"● {t('console.watch.live')}  ", "bold $success"), (events, "")]
            if watching.paused:
                parts = [(f"‖ {t('console.watch.paused')}  ", "bold $warning"), (events, "")]
        else:
            share = watching.time_progress
            sign = "‖" if watching.paused else "▶"
            speed = t("console.watch.fastest")
            if watching.speed != inf:
                speed = t("console.watch.speed", times=f"{watching.speed:.0f}")
            if watching.at_end:
                sign, speed = "■", t("console.watch.ended")
            when, wide = self.exact_time(self.moment_ms()), self.has_class("-wide")
            parts = [
                (f"{sign} {t('console.watch.replay')} {speed}  ", "bold $brass-text"),
                (f"{when}  ", "bold"),
                *track(share, PROGRESS_COLUMNS if wide else PROGRESS_COLUMNS // 2),
                (f" {self.rows.percent(share):>5}  {events if wide else ''}", ""),
            ]
        mode = self.query_one("#mode", Static)
        width = max(mode.content_size.width, 1)
        if not self.has_class("-wide"):
            total = figures.total
            sold = t.plural("console.watch.tickets", total.sold, count=self.rows.number(total.sold))
            words = f"{sold}  {self.money(total.amount, self.performance.currency)}"
            room = width - sum(len(text) for text, _ in parts) - len(words)
            if room > 0:
                parts += [(" " * room, ""), (words, "bold")]
        mode.update(line(parts, width))

    def _show_house(self, figures: Figures) -> None:
        t = self.t
        sold, held, off = figures.total.sold, figures.holds.places, figures.blocked
        free = max(self.places - sold - held - off, 0)
        looks = (
            (sold, "sold", Mark.SOLD, "█", "$error"),
            (held, "held", Mark.HELD, "▓", "$warning"),
            (off, "off", Mark.OFF, "×", "$muted"),
            (free, "free", Mark.FREE, "░", "$success"),
        )
        self.query_one(HouseBar).say(
            [
                Slice(
                    places,
                    t(f"console.watch.house.{name}", count=self.rows.number(places)),
                    GLYPHS[mark],
                    fill,
                    style,
                )
                for places, name, mark, fill, style in looks
            ]
        )

    def _show_curve(self, figures: Figures) -> None:
        t, curve, until_ms = self.t, self.query_one(Curve), self.moment_ms()
        room = curve.room
        if self.whole:
            told = whole_sale(self.watching.tally, until_ms, room)
            minutes = told.width_ms // MINUTE_MS
            title = t("console.watch.by_minute")
            if minutes > 1:
                title = t("console.watch.by_stretch", minutes=self.rows.number(minutes))
        else:
            # An hour and what there is room for, or as much of it.
            column = max(1, room // HOUR_MINUTES)
            told = last_minutes(self.watching.tally, until_ms, room // column)
            title = t("console.watch.last_minutes", minutes=self.rows.number(len(told.counts)))
        peak = ""
        if figures.peak_sold:
            when = self._time_words(figures.peak_minute_ms, DAY_MS if self.whole else 0)
            peak = t("console.watch.peak", count=self.rows.number(figures.peak_sold), time=when)
        middle_ms = (told.start_ms + told.end_ms) // 2
        span_ms = told.end_ms - told.start_ms
        times = [self._time_words(at, span_ms) for at in (told.start_ms, middle_ms, told.end_ms)]
        if not told.counts:
            times = ["", "", ""]
        curve.say(
            title,
            peak,
            told.counts,
            (times[0], times[1], times[2]),
            t("console.watch.nothing_sold"),
        )

    def _time_words(self, at_ms: int, span_ms: int) -> str:
        zone, language = self.console.time_zone, self.t.language
        if span_ms > DAY_MS:
            return format_weekday_date(at_ms, zone, language)
        return format_time(at_ms, zone, language)

    def _say(self, panel: str, title: str, rows: list[Row], note: str = "") -> None:
        self.query_one(f"#{panel}", Panel).say(self.t(f"console.watch.{title}"), rows, note)

    def _show_sales(self, figures: Figures) -> None:
        rows, total = self.rows, figures.total
        before, now = self.watching.tally.last_minutes(self.moment_ms(), 2)
        self.query_one("#big", BigText).say(rows.number(total.sold))
        self._say("totals", "total", rows.totals(total, before, now), self.performance.currency)
        self._say("types", "by_type", rows.price_types(figures.price_types))
        self._say("channels", "by_channel", rows.channels(figures.channels))

    def _show_holds(self, figures: Figures) -> None:
        rows, refused = self.rows, sum(figures.refusals.values())
        self._say("holds", "holds", rows.holds(figures.holds))
        self._say("refusals", "refused", rows.refusals(figures.refusals), rows.number(refused))

    def _show_doors(self, figures: Figures) -> None:
        inside = ""
        if figures.total.sold:
            share = self.rows.percent(figures.inside / figures.total.sold)
            inside = self.t("console.watch.inside", share=share)
        self._say("doors", "doors", self.rows.doors(figures), inside)

    def _show_pulse(self) -> None:
        rows, pulse = self.rows, self.pulse
        width = max(self.query_one("#latency", Panel).content_size.width, 1)
        self._say("latency", "latency", rows.latency(pulse, width), "ms")
        status = pulse.status
        edge = rows.edge(status, pulse) if status else rows.nothing()
        self._say("edge", "queue", edge)
        self._say("brief", "queue", rows.brief(status) if status else edge)

    def _show_no_pulse(self) -> None:
        """What a journal does not have is said to be missing, not shown as of now."""
        missing = self.rows.muted("console.watch.not_recorded")
        self._say("latency", "latency", missing)
        self._say("edge", "queue", missing)
        self._say("brief", "reigns", self.rows.reigns(self.watching.reigns))

    def _show_actors(self) -> None:
        if self.watching.replay:
            self._say("actors", "reigns", self.rows.reigns(self.watching.reigns))
            return
        status = self.pulse.status
        self._say("actors", "actors", self.rows.actors(status.engine if status else None))

    # Keys ----------------------------------------------------------------------------

    def action_replay(self) -> None:
        """From the beginning."""
        self.watching.play_again()
        self._after_key()

    def action_live(self) -> None:
        self.watching.go_live()
        self._after_key()

    def action_pause(self) -> None:
        self.watching.paused = not self.watching.paused
        self._after_key()

    def action_faster(self) -> None:
        self._change_speed(+1)

    def action_slower(self) -> None:
        self._change_speed(-1)

    def _change_speed(self, by: int) -> None:
        at = SPEEDS.index(self.watching.speed) + by
        self.watching.speed = SPEEDS[min(max(at, 0), len(SPEEDS) - 1)]
        self._after_key()

    def action_seek(self, by_ms: int) -> None:
        self._seek(self.moment_ms() + by_ms)

    def action_seek_tenth(self, tenth: int) -> None:
        first_ms, last_ms = self.watching.first_ms, self.watching.last_ms
        self._seek(first_ms + (last_ms - first_ms) * tenth / TENTHS)

    def _seek(self, at_ms: float) -> None:
        if self.watching.known:
            self.watching.seek(at_ms)
            self._after_key()

    def action_whole(self) -> None:
        self.whole = not self.whole
        self._after_key()

    def action_more(self) -> None:
        self.toggle_class("-more")
        self.call_after_refresh(self.show)

    def action_back(self) -> None:
        self.dismiss()

    def _after_key(self) -> None:
        self.refresh_bindings()
        self.show()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        if action in ("faster", "slower"):
            return self.watching.replay
        if action == "live":
            return self.watching.replay
        if action == "more":
            return not self.has_class("-wide")
        return True
