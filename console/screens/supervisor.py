"""A performance watched: what is sold, held, refused and admitted, and how the engine is.

Live, or replayed from its journal at any speed: the same screen over the same figures. Owns
the pacing and which figure stands where; what they are is `console.supervisor`'s.
"""

import asyncio
import re
import time
from collections.abc import Mapping
from math import inf
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from console.client import ClientError
from console.looks import GLYPHS, Mark
from console.programme import Performance, text_in
from console.screens.base import TillScreen
from console.supervisor import POLL_S, SPEEDS, Pulse, Status, Watching, last_minutes, whole_sale
from console.widgets.big_text import BigText
from console.widgets.figures import Curve, HouseBar, Panel, Row, Slice, line, spark, track
from console.words import error_words
from engine.commands import ScanOutcome
from engine.tally import MINUTE_MS, OTHER, Figures, Share
from renderers.money import format_number, format_percent, format_time, format_weekday_date

TICK_S: Final = 0.25
"""How often the figures are drawn, and how long a replay sleeps between steps."""
HOUR_MINUTES: Final = 60
WIDE_COLUMNS: Final = 120
TALL_LINES: Final = 36
DAY_MS: Final = 24 * 60 * MINUTE_MS
PROGRESS_COLUMNS: Final = 24
TENTHS: Final = 10
_NOT_A_FIGURE: Final = re.compile(r"[^\d.,’'\s-]")


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
        if not self.is_mounted or not self.query("#actors"):
            return
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

    def number(self, count: int) -> str:
        return format_number(count, self.t.language)

    def percent(self, share: float) -> str:
        return format_percent(100 * round(100 * share), self.t.language)

    def short_money(self, minor: int) -> str:
        """An amount without its currency, for a table of them."""
        return _NOT_A_FIGURE.sub("", self.money(minor, self.performance.currency)).strip()

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
        events = t.plural("console.watch.events", watching.seq, count=self.number(watching.seq))
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
                (f" {self.percent(share):>5}  {events}", ""),
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
                (f" {self.percent(share):>5}  {events if wide else ''}", ""),
            ]
        mode = self.query_one("#mode", Static)
        width = max(mode.content_size.width, 1)
        if not self.has_class("-wide"):
            total = figures.total
            sold = t.plural("console.watch.tickets", total.sold, count=self.number(total.sold))
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
                    t(f"console.watch.house.{name}", count=self.number(places)),
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
                title = t("console.watch.by_stretch", minutes=self.number(minutes))
        else:
            # An hour and what there is room for, or as much of it.
            column = max(1, room // HOUR_MINUTES)
            told = last_minutes(self.watching.tally, until_ms, room // column)
            title = t("console.watch.last_minutes", minutes=self.number(len(told.counts)))
        peak = ""
        if figures.peak_sold:
            when = self._time_words(figures.peak_minute_ms, DAY_MS if self.whole else 0)
            peak = t("console.watch.peak", count=self.number(figures.peak_sold), time=when)
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

    def _show_sales(self, figures: Figures) -> None:
        t, total = self.t, figures.total
        this_minute = self.watching.tally.last_minutes(self.moment_ms(), 2)
        rows = [
            Row(t("console.watch.sold"), self.number(total.sold)),
            Row(t("console.watch.money"), self.short_money(total.amount)),
            Row(t("console.watch.this_minute"), self.number(this_minute[1].sold)),
            Row(t("console.watch.minute_before"), self.number(this_minute[0].sold)),
        ]
        if total.refunded:
            rows.append(Row(t("console.watch.refunded"), self.number(total.refunded)))
            rows.append(
                Row(t("console.watch.refunded_money"), self.short_money(total.refunded_amount))
            )
        self.query_one("#big", BigText).say(self.number(total.sold))
        self.query_one("#totals", Panel).say(
            t("console.watch.total"), rows, self.performance.currency
        )
        names = {
            kind: self.performance.price_name(kind, t.language) for kind in figures.price_types
        }
        names[OTHER] = t("console.watch.others")
        self._say_shares("types", t("console.watch.by_type"), figures.price_types, names)
        channels = {name: t(f"console.channel.{name}") for name in figures.channels}
        self._say_shares("channels", t("console.watch.by_channel"), figures.channels, channels)

    def _say_shares(
        self, id: str, title: str, shares: Mapping[str, Share], names: Mapping[str, str]
    ) -> None:
        most = max((share.sold for share in shares.values()), default=0)
        ranked = sorted(shares.items(), key=lambda item: (-item[1].sold, item[0]))
        money = [self.short_money(share.amount) for _, share in ranked]
        counts = [self.number(share.sold) for _, share in ranked]
        width = max((len(text) for text in money), default=0)
        digits = max((len(count) for count in counts), default=0)
        rows = [
            Row(
                names[name],
                f"{count:>{digits}}  {text:>{width}}",
                share.sold / most if most else 0.0,
            )
            for (name, share), count, text in zip(ranked, counts, money, strict=True)
        ]
        self.query_one(f"#{id}", Panel).say(title, rows or self._nothing())

    def _nothing(self) -> list[Row]:
        return [Row(self.t("console.watch.none_yet"), "", style="$muted")]

    def _show_holds(self, figures: Figures) -> None:
        t, holds, number = self.t, figures.holds, self.number
        self.query_one("#holds", Panel).say(
            t("console.watch.holds"),
            [
                Row(t("console.watch.alive"), number(holds.alive)),
                Row(t("console.watch.in_payment"), number(holds.in_payment)),
                Row(t("console.watch.expired"), number(holds.expired)),
                Row(t("console.watch.released"), number(holds.released)),
                Row(t("console.watch.became_sales"), number(holds.sold)),
                Row(t("console.watch.opened"), number(holds.opened)),
            ],
        )
        refused = sorted(figures.refusals.items(), key=lambda item: (-item[1], item[0]))
        most = refused[0][1] if refused else 0
        rows = [Row(self._reason(code), number(count), count / most) for code, count in refused]
        self.query_one("#refusals", Panel).say(
            t("console.watch.refused"), rows or self._nothing(),
            number(sum(figures.refusals.values())),
        )  # fmt: skip

    def _reason(self, code: str) -> str:
        """A refusal in two or three words; a code that is newer than this console as it is."""
        key = f"console.watch.why.{code}"
        return self.t(key) if key in self.t else code.replace("_", " ")

    def _show_doors(self, figures: Figures) -> None:
        t, number = self.t, self.number
        names = {gate.id: gate.name for gate in self.performance.gates}
        names |= {OTHER: t("console.watch.others"), "": t("console.watch.no_gate")}
        rows = []
        for gate, outcomes in sorted(figures.gates.items(), key=lambda item: item[0]):
            admitted = outcomes.get(ScanOutcome.ADMITTED.value, 0)
            refused = sum(outcomes.values()) - admitted - outcomes.get(ScanOutcome.EXITED.value, 0)
            rows.append(Row(names.get(gate, gate), f"{number(admitted)} ✓ {number(refused):>4} ×"))
        turned: dict[str, int] = {}
        for outcomes in figures.gates.values():
            for outcome, count in outcomes.items():
                if outcome not in (ScanOutcome.ADMITTED, ScanOutcome.EXITED):
                    turned[outcome] = turned.get(outcome, 0) + count
        rows += [
            Row(f"× {t(f'outcome.scan.{outcome}').capitalize()}", number(count), style="$error")
            for outcome, count in sorted(turned.items(), key=lambda item: -item[1])
        ]
        inside = ""
        if figures.total.sold:
            share = figures.inside / figures.total.sold
            inside = t("console.watch.inside", share=self.percent(share))
        self.query_one("#doors", Panel).say(
            t("console.watch.doors"), rows or self._nothing(), inside
        )

    # How the engine is ---------------------------------------------------------------------

    def _show_pulse(self) -> None:
        t, pulse, number = self.t, self.pulse, self.number
        panel = self.query_one("#latency", Panel)
        p50, p95, p99 = (self._ms(pulse.percentile_ms(share)) for share in (0.5, 0.95, 0.99))
        width = max(panel.content_size.width, 1)
        panel.say(
            t("console.watch.latency"),
            [
                Row("p50", p50),
                Row("p95", p95),
                Row("p99", p99),
                Row(spark(pulse.p95_ms, width), "", style="$brass-text"),
                Row(t("console.watch.per_s"), number(round(pulse.per_s))),
            ],
            "ms",
        )
        status = pulse.status
        if status is None:
            for id in ("edge", "brief"):
                self.query_one(f"#{id}", Panel).say(t("console.watch.queue"), self._nothing())
            return
        now = {name: round(value) for name, value in status.now.items()}
        people = [
            Row(t("console.watch.sockets"), number(now.get("sockets", 0))),
            Row(t("console.watch.watchers"), number(now.get("watchers", 0))),
            Row(t("console.watch.commands_waiting"), number(now.get("commands_waiting", 0))),
        ]
        edge = [*self._room_rows(status), *people]
        edge.append(Row(t("console.watch.retries"), number(status.batch_retries)))
        edge += [
            Row(f"× {self._shed_words(code)}", number(count), style="$error")
            for code, count in pulse.turned_back.most_common()
        ]
        self.query_one("#edge", Panel).say(t("console.watch.queue"), edge)
        room = self._room_rows(status) if status.room else people
        self.query_one("#brief", Panel).say(t("console.watch.queue"), room)

    def _shed_words(self, code: str) -> str:
        key = f"console.watch.shed.{code}"
        return self.t(key) if key in self.t else code.replace("_", " ")

    def _room_rows(self, status: Status) -> list[Row]:
        t, room, number = self.t, status.room, self.number
        if room is None:
            return [Row(t("console.watch.no_room"), "", style="$muted")]
        key = f"console.watch.phase.{room.phase}"
        phase = t(key) if key in t else room.phase
        return [
            Row(t("console.watch.room"), phase),
            Row(t("console.watch.in_line"), number(max(room.arrived - room.front, 0))),
            Row(t("console.watch.admitted_per_min"), number(room.per_min)),
            Row(t("console.watch.arrived"), number(room.arrived)),
        ]

    def _ms(self, value: float | None) -> str:
        if value is None:
            return "–"
        return f"{value:.1f}" if value < 10 else f"{value:.0f}"

    def _show_no_pulse(self) -> None:
        """What a journal does not have is said to be missing, not shown as of now."""
        t = self.t
        missing = [Row(t("console.watch.not_recorded"), "", style="$muted")]
        self.query_one("#latency", Panel).say(t("console.watch.latency"), missing)
        self.query_one("#edge", Panel).say(t("console.watch.queue"), missing)
        self.query_one("#brief", Panel).say(t("console.watch.reigns"), self._reign_rows())

    def _reign_rows(self) -> list[Row]:
        t, zone, language = self.t, self.console.time_zone, self.t.language
        return [
            Row(
                t("console.watch.epoch", epoch=reign.epoch),
                t("console.watch.since", time=format_time(reign.at_ms, zone, language)),
            )
            for reign in reversed(self.watching.reigns)
        ] or self._nothing()

    def _show_actors(self) -> None:
        t, number = self.t, self.number
        panel = self.query_one("#actors", Panel)
        if self.watching.replay:
            panel.say(t("console.watch.reigns"), self._reign_rows())
            return
        engine = self.pulse.status.engine if self.pulse.status else None
        if engine is None:
            silent = t("console.watch.silent")
            panel.say(t("console.watch.actors"), [Row(silent, "", style="$warning")])
            return
        # Whoever is silent comes first: a small screen has no room for all.
        rows = [
            Row(name, f"× {t('console.watch.down')}", style="$error")
            for name, up in engine.up.items()
            if not up
        ]
        told = engine.directory.performances if engine.directory else ()
        ours = [one for one in told if one.performance == self.performance.id]
        for one in ours:
            rows += [
                Row(
                    t("console.watch.epoch", epoch=one.epoch),
                    t.plural("console.watch.events", one.seq, count=number(one.seq)),
                ),
                Row(t("console.watch.uncommitted"), number(one.uncommitted)),
                Row(t("console.watch.commits"), number(one.commits)),
                Row(t("console.watch.recoveries"), number(one.recoveries)),
            ]
            if not one.ready:
                rows.append(Row(f"▲ {t('console.watch.recovering')}", "", style="bold $warning"))
        if not ours:
            rows.append(Row(t("console.watch.asleep"), "", style="$muted"))
        rows += [Row(name, "✓") for name, up in engine.up.items() if up]
        if engine.directory:
            rows.append(Row(t("console.watch.active"), number(engine.directory.active)))
        panel.say(t("console.watch.actors"), rows)

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
