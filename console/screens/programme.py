"""The performances one may sell or admit to, the next one first under the cursor."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable

from console.client import ClientError
from console.programme import Performance, text_in
from console.screens.base import TillScreen
from console.till import now_ms
from console.widgets.chrome import Notice
from console.words import error_words

PAST_MS = 6 * 3_600_000
"""A performance that began longer ago than this is not where the cursor starts."""


SOLD_COLUMNS = 90
"""A terminal narrower than this has no room for what is sold."""
VENUE_COLUMNS = 110
"""Nor, narrower than this, for the venue."""


class ProgrammeScreen(TillScreen):
    BINDINGS: ClassVar = [
        Binding("enter", "choose", "console.key.sell", priority=True),
        Binding("d", "door", "console.key.door"),
        Binding("s", "sales", "console.key.sales"),
        Binding("t", "list", "console.key.list"),
        Binding("w", "watch", "console.key.watch"),
        Binding("m", "devices", "console.key.devices"),
        Binding("r", "reload", "console.key.reload"),
        Binding("x", "no_exchange", "console.key.no_exchange"),
        Binding("l", "log_out", "console.key.log_out"),
    ]
    DEFAULT_CSS = """
    ProgrammeScreen DataTable { height: 1fr; padding: 1 1 0 1; background: $background; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._performances: list[Performance] = []

    def compose_body(self) -> ComposeResult:
        yield DataTable(cursor_type="row", zebra_stripes=False)
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.action_reload()

    def place_words(self) -> str:
        return f"{self.console.house_name} · {self.t('console.programme.title')}"

    def speak(self) -> None:
        super().speak()
        self._fill()

    def on_resize(self) -> None:
        super().on_resize()
        self._fill()

    def _fill(self) -> None:
        t, table = self.t, self.query_one(DataTable)
        chosen = table.cursor_row
        table.clear(columns=True)
        columns = ["when", "title_column", "status", "price"]
        if self.app.size.width >= SOLD_COLUMNS:
            columns.append("sold")
        if self.app.size.width >= VENUE_COLUMNS:
            columns.append("venue")
        for key in columns:
            table.add_column(t(f"console.programme.{key}"), key=key)
        for one in self._performances:
            price = ""
            if one.price_from is not None:
                amount = self.money(one.price_from, one.currency)
                price = t("console.programme.from", amount=amount)
            title = text_in(one.title, t.language)
            cells = (
                self.when(one.starts_ms),
                title,
                self._sale_words(one),
                price,
                "" if one.sold is None else f"{one.sold} / {one.places}",
                one.venue,
            )
            table.add_row(*cells[: len(columns)])
        if self._performances:
            table.move_cursor(row=min(chosen, len(self._performances) - 1))

    def _sale_words(self, one: Performance) -> str:
        """How its sale stands for the public, and until when; or from when it is sold."""
        t = self.t

        def words(status: str) -> str:
            key = f"console.sale_status.{status}"
            return t(key) if key in t else status

        if not one.changes_ms:
            return words(one.status)
        if one.changes_ms <= now_ms():
            return words(one.then)
        begins = one.then in ("on_sale", "box_office") and one.status != "on_sale"
        when = self.when(one.changes_ms)
        if self.app.size.width < VENUE_COLUMNS:
            return t("console.sale_status.begins", when=when) if begins else words(one.status)
        key = "console.sale_status.from" if begins else "console.sale_status.until"
        return t(key, status=words(one.then if begins else one.status), when=when)

    def action_reload(self) -> None:
        self.run_worker(self._load(), exclusive=True)

    async def _load(self) -> None:
        notice = self.query_one(Notice)
        try:
            self._performances = await self.console.client.performances()
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        self._fill()
        coming = [
            number
            for number, one in enumerate(self._performances)
            if one.starts_ms > now_ms() - PAST_MS
        ]
        table = self.query_one(DataTable)
        table.move_cursor(row=coming[0] if coming else 0)
        table.focus()
        key = "console.programme.hint" if self._performances else "console.programme.empty"
        notice.say(self.t(key))
        till = self.console.till
        if till is not None and till.exchange is not None:
            words = self.t("console.exchange.where", number=till.exchange.number)
            notice.say(words, "warn")

    def _chosen(self) -> Performance | None:
        row = self.query_one(DataTable).cursor_row
        return self._performances[row] if 0 <= row < len(self._performances) else None

    async def action_choose(self) -> None:
        chosen = self._chosen()
        if chosen is None:
            return
        if "hold" in self.console.may:
            await self._enter(self.console.open_sale(chosen.id))
        elif "scan" in self.console.may:
            self.action_door()
        else:
            self.action_sales()

    async def _enter(self, opening) -> None:  # type: ignore[no-untyped-def]
        notice = self.query_one(Notice)
        notice.say(self.t("console.programme.opening"), "wait")
        try:
            await opening
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
        else:
            notice.say(self.t("console.programme.hint"))

    def action_door(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.console.open_door(chosen.id)

    def action_watch(self) -> None:
        chosen = self._chosen()
        if chosen is not None:
            self.console.open_supervisor(chosen.id)

    def action_sales(self) -> None:
        self.console.open_sales(-1)

    def action_list(self) -> None:
        chosen = self._chosen()
        self.console.open_list(-1 if chosen is None else chosen.id)

    def action_devices(self) -> None:
        self.console.open_devices()

    async def action_log_out(self) -> None:
        await self.console.log_out()

    def action_no_exchange(self) -> None:
        """What is sold from here on is a sale again."""
        assert self.console.till is not None
        self.console.till.end_exchange()
        self.refresh_bindings()
        self.query_one(Notice).say(self.t("console.programme.hint"))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool:
        if action == "no_exchange":
            till = self.console.till
            return till is not None and till.exchange is not None
        if action == "door":
            return "scan" in self.console.may
        if action == "sales":
            return self.console.sells
        if action == "list":
            return self.console.lists
        if action in ("watch", "devices"):
            return self.console.supervises
        return True
