"""Latest sales and the search through them: by number, name, seat or ticket."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import DataTable, Input

from console.client import ClientError
from console.screens.base import TillScreen
from console.screens.order import OrderScreen
from console.widgets.chrome import Notice
from console.words import error_words
from engine.orders import RESERVED_STATES, LineState, Order

LIMIT = 50
"""Orders listed at once: beyond that one searches."""
TYPING_S = 0.3


class SalesScreen(TillScreen):
    """Of one performance, or of all (-1)."""

    BINDINGS: ClassVar = [
        Binding("enter", "open", "console.key.open", priority=True),
        Binding("slash", "search", "console.key.search"),
        Binding("w", "waiting", "console.key.waiting"),
        Binding("r", "reload", "console.key.reload"),
        Binding("escape", "back", "console.key.back"),
    ]
    DEFAULT_CSS = """
    SalesScreen Input { margin: 0 1; }
    SalesScreen DataTable { height: 1fr; padding: 0 1; background: $background; }
    """

    def __init__(self, performance: int) -> None:
        super().__init__()
        self.performance = performance
        self._orders: list[Order] = []
        self._state = ""  # of those that are shown alone

    def compose_body(self) -> ComposeResult:
        yield Input(id="search")
        yield DataTable(cursor_type="row")
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(DataTable).focus()
        self.action_reload()

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.action_reload()

    def place_words(self) -> str:
        title = self.t("console.sales.title")
        if not self._state:
            return title
        return f"{title} · {self.t(f'console.order_state.{self._state}')}"

    def speak(self) -> None:
        super().speak()
        self.query_one(Input).placeholder = self.t("console.sales.search")
        self._fill()

    def _fill(self) -> None:
        t, table = self.t, self.query_one(DataTable)
        chosen = table.cursor_row
        table.clear(columns=True)
        for key in ("number", "when", "places", "total", "state", "buyer", "operator"):
            table.add_column(t(f"console.sales.{key}"), key=key)
        for order in self._orders:
            kept = [line for line in order.lines if line.state is not LineState.REFUNDED]
            table.add_row(
                str(order.number),
                self.when(order.created_ms),
                str(len(kept)),
                self.money(order.total, order.currency),
                t(f"console.order_state.{order.state.value}"),
                order.buyer.name or order.buyer.email,
                order.operator or t(f"console.channel.{order.channel.value}"),
            )
        if self._orders:
            table.move_cursor(row=min(chosen, len(self._orders) - 1))

    @on(Input.Changed)
    def _typing(self) -> None:
        self.run_worker(self._load(TYPING_S), group="load", exclusive=True)

    def action_reload(self) -> None:
        self.run_worker(self._load(0), group="load", exclusive=True)

    async def _load(self, wait_s: float) -> None:
        import asyncio

        await asyncio.sleep(wait_s)
        notice, text = self.query_one(Notice), self.query_one(Input).value.strip()
        try:
            self._orders = await self.console.client.sales(
                self.performance, text, LIMIT, "" if text else self._state
            )
        except ClientError as error:
            notice.say(error_words(self.t, error), "bad")
            return
        if not self.query(DataTable):
            return  # the screen was left meanwhile
        self._fill()
        if self._orders:
            notice.say(self.t("console.sales.hint"))
        else:
            key = "none" if text else "none_wait" if self._state else "empty"
            notice.say(self.t(f"console.sales.{key}"), "warn")

    def action_waiting(self) -> None:
        """Those that somebody has to approve, those that are to be paid, and all again."""
        states = ("", *RESERVED_STATES)
        self._state = states[(states.index(self._state) + 1) % len(states)]
        self.show_status()
        self.action_reload()

    def action_search(self) -> None:
        self.query_one(Input).focus()

    def action_open(self) -> None:
        row = self.query_one(DataTable).cursor_row
        if 0 <= row < len(self._orders):
            self.app.push_screen(OrderScreen(self._orders[row]))

    def action_back(self) -> None:
        field = self.query_one(Input)
        if field.has_focus and field.value:
            field.value = ""
            self.query_one(DataTable).focus()
        else:
            self.dismiss()
