"""The rehearsal while it goes on, in the terminal.

Owns the look of the moment; the figures are the book's. Where standard error is no
terminal, a line is printed now and then instead.
"""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from bench.figures import shown
from bench.rehearsal.history import RECENT_S, Book, Timing
from renderers.i18n import Translator

PICTURES_PER_S: Final = 4
LINE_EVERY_S: Final = 5.0
MAX_REASONS: Final = 6
STATES: Final = (
    "to_come",
    "arriving",
    "waiting",
    "choosing",
    "holding",
    "paying",
    "at_the_doors",
)


class View:
    """What is shown; `phase` is said with a key of the catalogue."""

    def __init__(self, t: Translator, title: str, console: Console) -> None:
        self._t = t
        self._title = title
        self._console = console
        self._live: Live | None = None
        self._phase = ""
        self._last_line_s = float("-inf")

    def phase(self, key: str, **values: object) -> None:
        """What is being done now."""
        self._phase = self._t(key, **values)
        if self._live is not None:
            self._live.update(Text(f"{self._title}: {self._phase}"), refresh=True)
        else:
            self._console.print(self._phase, highlight=False)

    async def follow(self, book: Book, seconds: float) -> None:
        """Show the book until cancelled."""
        while True:
            self.show(book, seconds)
            await asyncio.sleep(1 / PICTURES_PER_S)

    def show(self, book: Book, seconds: float) -> None:
        if self._live is not None:
            self._live.update(self.picture(book, seconds), refresh=True)
        elif book.now_s >= self._last_line_s + LINE_EVERY_S:
            self._last_line_s = book.now_s
            self._console.print(self._line(book), highlight=False)

    def _line(self, book: Book) -> str:
        return self._t(
            "rehearse.live.line",
            seconds=f"{book.now_s:.0f}",
            here=sum(book.states[state] for state in STATES[1:]),
            sales=len(bot_sales(book)),
            holds=_per_s(book.held, book.now_s),
            refused=sum(book.refusals.values()),
            failures=sum(book.failures.values()),
        )

    def picture(self, book: Book, seconds: float) -> Group:
        t = self._t
        now_s = book.now_s
        head = Text(f"{self._title}: {self._phase}  {now_s:.0f} / {seconds:.0f} s", style="bold")
        people = Table.grid(padding=(0, 2))
        for state in STATES:
            people.add_row(t(f"rehearse.state.{state}"), str(book.states[state]))
        speed = Table.grid(padding=(0, 2))
        speed.add_row(t("rehearse.live.holds"), _per_s(book.held, now_s))
        speed.add_row(t("rehearse.live.sales"), str(len(bot_sales(book))))
        for key, timing in (
            ("hold", book.holds),
            ("order", book.orders),
            ("scan", book.scans),
        ):
            speed.add_row(t(f"rehearse.live.{key}_ms"), _latency(timing, now_s))
        speed.add_row(t("rehearse.live.queue"), str(book.states["waiting"]))
        speed.add_row(t("rehearse.live.failures"), str(sum(book.failures.values())))
        trouble = Table.grid(padding=(0, 2))
        trouble.add_row(t("rehearse.live.refused"), str(sum(book.refusals.values())))
        for code, many in book.refusals.most_common(MAX_REASONS):
            trouble.add_row(f"  {code or t('rehearse.no_reason')}", str(many))
        trouble.add_row(t("rehearse.live.shed"), str(sum(book.sheds.values())))
        columns = Table.grid(padding=(0, 4))
        columns.add_row(people, speed, trouble)
        killed = [
            Text(
                t(
                    "rehearse.live.killed",
                    victim=t(f"rehearse.victim.{kill.victim}"),
                    seconds=f"{kill.at_s:.1f}",
                )
            )
            for kill in book.kills
            if kill.pids
        ]
        return Group(head, columns, *killed)


@contextmanager
def view(t: Translator, title: str) -> Iterator[View]:
    """The view for as long as the block."""
    console = Console(stderr=True)
    seen = View(t, title, console)
    if not console.is_terminal:
        yield seen
        return
    with Live(console=console, auto_refresh=False, transient=True) as live:
        seen._live = live
        yield seen


def bot_sales(book: Book) -> list[str]:
    """Orders that bots bought; what was sold before they came is left out."""
    return [sale.order for sale in book.sales if sale.bot]


def ends_of(book: Book) -> Counter[str]:
    """How many visits ended how, all kinds of bots together."""
    found: Counter[str] = Counter()
    for (_, end), many in book.ends.items():
        found[end] += many
    return found


def _per_s(moments: list[float], now_s: float) -> str:
    recent = sum(1 for at in reversed(moments[-100_000:]) if at >= now_s - RECENT_S)
    return shown(recent / max(0.1, min(RECENT_S, now_s)))


def _latency(timing: Timing, now_s: float) -> str:
    taken = sorted(timing.now(now_s))
    if not taken:
        return "–"
    half, most = taken[len(taken) // 2], taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    return f"{1_000 * half:.0f} / {1_000 * most:.0f}"
