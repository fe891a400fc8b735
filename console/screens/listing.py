"""The list of places: every one that was ordered, by any filter, with totals, and into a file.

Owns the table, which grows while somebody reads on, and the file on its way. The form for the
filters is `console.screens.list_filter`'s.
"""

import time
from pathlib import Path
from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Static

from console.client import ClientError, Problem
from console.listing import KINDS, Filters, Listing, Place
from console.programme import text_in
from console.screens.ask import AskDialog
from console.screens.base import TillScreen
from console.screens.list_filter import FilterDialog, field_of, told
from console.screens.order import OrderScreen
from console.widgets.chrome import Notice
from console.words import error_words
from engine.listing import ListTotals
from renderers.money import format_date, format_number, format_time

PAGE: Final = 100
"""Lines asked for at once."""
AHEAD: Final = 20
"""So many lines before the end the next page is asked for."""
MOST: Final = 5_000
"""Lines on the screen; nobody reads more of them, and a file has all."""
WIDTHS: Final = {"order": 7, "when": 10, "place": 15, "price": 9, "status": 10, "buyer": 13}
"""Of the columns, in 80; what a wider terminal has more is for the place and the buyer."""
MORE_WIDTHS: Final = {"when": 16, "status": 12, "ticket": 11, "channel": 13, "scanned": 16}
"""And of those that a wide terminal has."""
FRAME_COLUMNS: Final = 4
GAP_COLUMNS: Final = 2
DRAW_S: Final = 0.25


class Stopped(OSError):
    """Somebody did not want the file any more."""


class _Export:
    """A file on its way; `heard` is called by another thread."""

    def __init__(self, of: int) -> None:
        self.of = of
        self.begun_s = time.monotonic()
        self.rows = self.size = 0
        self.stopped = False

    def heard(self, rows: int, size: int) -> None:
        if self.stopped:
            raise Stopped
        self.rows, self.size = rows, size


class ListScreen(TillScreen):
    """Of one performance to begin with, or of all (-1)."""

    BINDINGS: ClassVar = [
        Binding("enter", "open", "console.key.open", priority=True),
        Binding("f,slash", "filter", "console.key.filter"),
        Binding("x", "everything", "console.key.everything"),
        Binding("e", "export", "console.key.export"),
        Binding("r", "reload", "console.key.reload"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    ListScreen #asked { padding: 0 1; height: auto; max-height: 2; color: $brass-text; }
    ListScreen DataTable { height: 1fr; padding: 0 1; background: $background; }
    ListScreen #totals { padding: 0 1; height: auto; max-height: 3; }
    """

    def __init__(self, performance: int) -> None:
        super().__init__()
        self.filters: Filters = [("performance", str(performance))] if performance >= 0 else []
        self._titles: dict[str, str] = {}
        self._places: list[Place] = []
        self._next = ""
        self._totals: ListTotals | None = None
        self._export: _Export | None = None

    def compose_body(self) -> ComposeResult:
        yield Static(id="asked", markup=False)
        yield DataTable(cursor_type="row")
        yield Static(id="totals", markup=False)
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        table = self.query_one(DataTable)
        table.focus()
        self.watch(table, "scroll_y", self._scrolled, init=False)
        self.set_interval(DRAW_S, self._draw_export)
        self.action_reload()

    def place_words(self) -> str:
        return self.t("console.list.title")

    def speak(self) -> None:
        super().speak()
        self._draw()

    def on_resize(self) -> None:
        super().on_resize()
        self._draw()

    # What is seen --------------------------------------------------------------

    def _draw(self) -> None:
        self.query_one("#asked", Static).update(told(self.t, self.filters, self._titles))
        table = self.query_one(DataTable)
        chosen = table.cursor_row
        table.clear(columns=True)
        for key, width in self._widths().items():
            table.add_column(self.t(f"console.list.column.{key}"), key=key, width=width)
        self._add(self._places)
        if self._places:
            table.move_cursor(row=min(chosen, len(self._places) - 1))
        self._draw_totals()

    def _widths(self) -> dict[str, int]:
        """Fixed ones: rows of later pages may be longer, and columns must not jump."""
        for widths in (WIDTHS | MORE_WIDTHS, WIDTHS):
            room = self.app.size.width - FRAME_COLUMNS - GAP_COLUMNS * len(widths)
            more = room - sum(widths.values())
            if more >= 0:
                break
        more = max(more, 0)
        return widths | {
            "place": widths["place"] + more // 2,
            "buyer": widths["buyer"] + more - more // 2,
        }

    def _add(self, places: list[Place]) -> None:
        table, widths = self.query_one(DataTable), self._widths()
        wide = "scanned" in widths
        for place in places:
            cells = {
                "order": str(place.order),
                "when": self._day(place.ordered_ms, with_time=wide),
                "place": place.label,
                "price": self.money(place.amount, place.currency),
                "status": self._status(place),
                "buyer": place.buyer_name or place.buyer_email,
                "ticket": f"{place.performance}-{place.ticket}" if place.ticket else "",
                "channel": place.operator or self.t(f"list.channel.{place.channel}"),
                "scanned": self._day(place.scanned_ms) if place.scanned_ms else "",
            }
            table.add_row(*(_cut(cells[key], width) for key, width in widths.items()))

    def _day(self, at_ms: int, *, with_time: bool = True) -> str:
        """With its year: the list goes back for years."""
        zone, language = self.console.time_zone, self.t.language
        day = format_date(at_ms, zone, language, "short")
        return f"{day} {format_time(at_ms, zone, language)}" if with_time else day

    def _status(self, place: Place) -> str:
        sign = "✓ " if place.scanned_ms else ""
        return f"{sign}{self.t(f'list.status.{place.status}')}"

    def _draw_totals(self) -> None:
        totals = self._totals
        words = "" if totals is None else self._sums(totals)
        self.query_one("#totals", Static).update(words)

    def _sums(self, totals: ListTotals) -> str:
        parts = []
        for name in ("places", "sold", "paid", "refunded", "cancelled", "scanned", "inside"):
            count = format_number(getattr(totals, name), self.t.language)
            amounts = [
                self.money(getattr(one, name), one.currency)
                for one in totals.money
                if getattr(one, name, 0)
            ]
            amount = f" ({' + '.join(amounts)})" if amounts else ""
            parts.append(f"{count} {self.t(f'list.total.{name}')}{amount}")
        return " · ".join(parts)

    # What is asked ---------------------------------------------------------------

    def action_reload(self) -> None:
        self.run_worker(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        notice = self.query_one(Notice)
        notice.say(self.t("console.list.loading"), "wait")
        listing = Listing(self.console.client)
        try:
            page = await listing.page(self.filters, PAGE)
            self._places, self._next = page.places, page.next
            self._totals = None
            self._titles |= {str(one.id): self._title(one.title) for one in page.performances}
            self._draw()
            self._hint()
            # After the page: they may take longer.
            self._totals = await listing.totals(self.filters)
        except ClientError as error:
            self._refused(error)
            return
        self._draw_totals()

    def _title(self, titles: dict[str, str]) -> str:
        return text_in(titles, self.t.language)

    def _refused(self, error: ClientError) -> None:
        if isinstance(error, Problem) and field_of(error.detail):
            why = self.t("tickets.cli.invalid", why=error.detail)
            self._ask_again(field_of(error.detail), why)
        else:
            self.query_one(Notice).say(error_words(self.t, error), "bad")

    def _hint(self) -> None:
        key = "console.list.hint_line" if self._places else "console.list.none"
        self.query_one(Notice).say(self.t(key), "info" if self._places else "warn")

    @on(DataTable.RowHighlighted)
    def _moved(self, event: DataTable.RowHighlighted) -> None:
        self._read_on(event.cursor_row)

    def _scrolled(self, top: float) -> None:
        self._read_on(int(top) + self.query_one(DataTable).size.height)

    def _read_on(self, row: int) -> None:
        if self._next and row >= len(self._places) - AHEAD:
            self.run_worker(self._more(self._next), group="load")
            self._next = ""

    async def _more(self, after: str) -> None:
        if len(self._places) >= MOST:
            most = format_number(MOST, self.t.language)
            self.query_one(Notice).say(self.t("console.list.most", most=most), "warn")
            return
        filters = self.filters
        try:
            page = await Listing(self.console.client).page(filters, PAGE, after)
        except ClientError as error:
            self._next = after
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            return
        if filters is self.filters:
            self._places += page.places
            self._next = page.next
            self._add(page.places)

    # Keys ------------------------------------------------------------------------

    def action_filter(self) -> None:
        self._ask_again("", "")

    def _ask_again(self, wrong: str, why: str) -> None:
        def asked(filters: Filters | None) -> None:
            if filters is not None:
                self.filters = filters
                self.action_reload()

        self.app.push_screen(FilterDialog(self.filters, wrong, why), asked)

    def action_everything(self) -> None:
        self.filters = []
        self.action_reload()

    def action_open(self) -> None:
        row = self.query_one(DataTable).cursor_row
        if 0 <= row < len(self._places) and self.console.sells:
            self.run_worker(self._open(self._places[row].order), group="open", exclusive=True)

    async def _open(self, number: int) -> None:
        try:
            found = await self.console.client.sales(-1, f"#{number}", 1)
        except ClientError as error:
            self.query_one(Notice).say(error_words(self.t, error), "bad")
            return
        if found:
            self.app.push_screen(OrderScreen(found[0]))

    def action_export(self) -> None:
        if self._export is None:
            self.run_worker(self._ask_file(), group="export", exclusive=True)

    async def _ask_file(self) -> None:
        day = time.strftime("%Y-%m-%d")
        question = AskDialog("console.list.ask_export", str(Path.home() / f"tickets-{day}.csv"))
        given = await self.app.push_screen_wait(question)
        if given is None:
            return
        path = _path(given)
        if path.suffix.removeprefix(".").lower() not in KINDS:
            words = self.t("tickets.cli.which_kind", file=given)
            self.query_one(Notice).say(words, "bad")
            return
        if _is_there(path):
            sure = AskDialog("console.list.ask_replace", confirm=True, file=path.name)
            if await self.app.push_screen_wait(sure) is None:
                return
        await self._write(path)

    async def _write(self, path: Path) -> None:
        notice, listing = self.query_one(Notice), Listing(self.console.client)
        kind = path.suffix.removeprefix(".").lower()
        try:
            of = (self._totals or await listing.totals(self.filters)).places
            self._export = _Export(of)
            heard = self._export.heard
            await listing.export(self.filters, path, kind, self.t.language, heard)
        except Stopped:
            notice.say(self.t("console.list.stopped"), "warn")
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
        except OSError as error:
            notice.say(f"{path}: {error.strerror}", "bad")
        else:
            notice.say(self.t("tickets.cli.written", file=str(path)), "good")
        finally:
            self._export = None

    def _draw_export(self) -> None:
        export = self._export
        if export is None:
            return
        language = self.t.language
        size = format_number(export.size // 2**20, language)
        if export.rows:
            percent = min(100, 100 * export.rows // max(export.of, 1))
            rows = format_number(export.rows, language)
            words = self.t("tickets.cli.progress", rows=rows, percent=percent, size=size)
        elif export.size:
            words = self.t("tickets.cli.progress_file", size=size)
        else:
            words = self.t("tickets.cli.waiting", rows=format_number(export.of, language))
        seconds = int(time.monotonic() - export.begun_s)
        stop = self.t("console.list.stop_hint")
        self.query_one(Notice).say(f"{words} · {seconds} s · {stop}", "wait")

    def action_back(self) -> None:
        if self._export is not None:
            self._export.stopped = True
        else:
            self.dismiss()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        return self.console.sells if action == "open" else True


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else f"{text[: width - 1]}…"


def _path(text: str) -> Path:
    return Path(text).expanduser()


def _is_there(path: Path) -> bool:
    return path.exists()
