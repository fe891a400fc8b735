"""The basket at the till: what is in it, at which price, until when.

Owns its drawing and which line is selected. Reads a Sale, never changes it.
"""

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual.binding import Binding
from textual.message import Message
from textual.widgets import Static

from console.sale import BasketLine, Sale
from renderers.i18n import Translator
from renderers.money import format_money


class BasketView(Static, can_focus=True):
    """Call `show` after every change. Up and down select a line when it has the focus."""

    DEFAULT_CSS = """
    BasketView { width: 1fr; height: 1fr; padding: 0 1; }
    BasketView:focus { background: $surface; }
    """
    BINDINGS: ClassVar = [
        Binding("up", "select(-1)", show=False),
        Binding("down", "select(1)", show=False),
    ]

    class Selected(Message):
        """Another line is selected; `spot` is its place."""

        def __init__(self, spot: int) -> None:
            super().__init__()
            self.spot = spot

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._sale: Sale | None = None
        self.selected = 0

    def show(self, sale: Sale) -> None:
        self._sale = sale
        self.selected = min(self.selected, max(0, len(sale.lines()) - 1))
        self.refresh()

    def line(self) -> BasketLine | None:
        """The selected line."""
        lines = self._sale.lines() if self._sale else []
        return lines[self.selected] if lines else None

    def select_spot(self, spot: int) -> None:
        for number, line in enumerate(self._sale.lines() if self._sale else []):
            if line.spot == spot:
                self.selected = number
                self.refresh()

    def action_select(self, step: int) -> None:
        lines = self._sale.lines() if self._sale else []
        if lines:
            self.selected = (self.selected + step) % len(lines)
            self.refresh()
            self.post_message(self.Selected(lines[self.selected].spot))

    def render(self) -> Text:
        t: Translator = self.app.t  # type: ignore[attr-defined]
        sale, text = self._sale, Text(no_wrap=True, overflow="ellipsis")
        if sale is None:
            return text
        lines = sale.lines()
        if not lines:
            return Text(t("console.sale.basket_empty"), style="dim italic")
        room = max(1, self.size.height)
        first = min(max(0, self.selected - room + 1), max(0, len(lines) - room))
        shown = lines[first : first + room]
        places = self._places(shown, sale)
        label = max(map(len, places))
        for number, (line, place) in enumerate(zip(shown, places, strict=True), first):
            if number > first:
                text.append("\n")
            words = self._line(line, place.ljust(label), sale, number == self.selected, t)
            text.append_text(words)
        return text

    def _places(self, lines: Sequence[BasketLine], sale: Sale) -> list[str]:
        """The places in words: with their sections where all of those have room."""
        room = self.size.width // 2 - 3
        for name in (sale.seating.brief, sale.seating.short):
            found = [
                f"{line.quantity}× {name(line.spot)}" if line.quantity > 1 else name(line.spot)
                for line in lines
            ]
            if max(map(len, found)) <= room:
                break
        return [place[:room] for place in found]

    def _line(
        self, line: BasketLine, place: str, sale: Sale, selected: bool, t: Translator
    ) -> Text:
        language, currency = t.language, sale.performance.currency
        kind = sale.performance.price_name(line.price_type, language)
        amount = "—"
        if line.amount is not None:
            amount = format_money(line.amount * line.quantity, currency, language)
        room = max(0, self.size.width - len(place) - len(amount) - 5)
        words = f"{'▸' if selected else ' '} {place}  {kind[:room].ljust(room)} {amount}"
        return Text(words, style=Style(bold=selected, reverse=selected and self.has_focus))
