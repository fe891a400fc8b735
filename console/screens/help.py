"""Every key of the screen one comes from, with a sentence each."""

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static

from console.looks import DENSITY, GLYPHS, Mark
from console.screens.base import Dialog
from console.widgets.chrome import key_name, shown_bindings
from console.widgets.seat_map import SeatMap


class HelpDialog(Dialog):
    BINDINGS: ClassVar = [Binding("escape,f1,question_mark,enter,q", "close", "console.key.back")]
    DEFAULT_CSS = """
    HelpDialog > #box { width: 76; }
    HelpDialog VerticalScroll { height: auto; max-height: 100%; }
    """

    def __init__(self, about: Screen[object]) -> None:
        super().__init__()
        self._described = [binding for binding, _ in shown_bindings(about)]
        self._map = bool(about.query(SeatMap))

    def compose_body(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(id="text")

    def on_mount(self) -> None:
        super().on_mount()
        self.query_one(VerticalScroll).focus()

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t("console.help.title"))
        parts: list[tuple[str, str]] = []
        for binding in self._described:
            longer = binding.description.replace(".key.", ".help.")
            words = self.t(longer if longer in self.t else binding.description)
            parts += [(f"{key_name(binding, self.t):>8}  ", "bold $brass-text"), (f"{words}\n", "")]
        if self._map:
            parts.append((f"\n{self.t('console.help.map')}\n", "bold"))
            for mark in Mark:
                words = self.t(f"console.seat.{mark.name.lower()}")
                parts += [(f"{GLYPHS[mark]:>8}  ", "bold"), (f"{words}\n", "")]
            parts += [(f"{DENSITY:>8}  ", "bold"), (self.t("console.help.density"), "")]
        self.query_one("#text", Static).update(Content.assemble(*parts))

    def action_close(self) -> None:
        self.dismiss(None)
