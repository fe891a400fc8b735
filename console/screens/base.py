"""What every screen of the console has: the line above, the keys below, the language.

Owns the frame and the way failures become a sentence. Screens say what is theirs in `speak`.
"""

import re
from typing import TYPE_CHECKING, Any, Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen, Screen

from console.link import LinkState
from console.widgets.chrome import KeyBar, StatusBar
from renderers.i18n import Translator
from renderers.money import format_money, format_time, format_weekday_date

if TYPE_CHECKING:
    from console.app import ConsoleApp

CLOCK_S: Final = 5.0


class Spoken:
    """The part that full screens and dialogs share."""

    @property
    def console(self) -> "ConsoleApp":
        return self.app  # type: ignore[attr-defined,no-any-return]

    @property
    def t(self) -> Translator:
        return self.console.t

    def speak(self) -> None:
        """Write every word of the screen, in the language of now."""

    def money(self, minor: int, currency: str) -> str:
        return format_money(minor, currency, self.t.language)

    def figures(self, minor: int, currency: str) -> str:
        """An amount without its currency, to be drawn large."""
        return re.sub(r"[^\d.,]", "", self.money(minor, currency).replace("\u202f", " ").strip())

    def when(self, at_ms: int) -> str:
        """A date and a time of day in the house's zone: "Fri 11 Dec 20:00"."""
        zone, language = self.console.time_zone, self.t.language
        date = format_weekday_date(at_ms, zone, language)
        return f"{date} {format_time(at_ms, zone, language)}"


class TillScreen(Spoken, Screen[Any]):
    """A full screen."""

    def compose(self) -> ComposeResult:
        yield StatusBar(id="status")
        with Vertical(id="body"):
            yield from self.compose_body()
        yield KeyBar(id="keys")

    def compose_body(self) -> ComposeResult:
        raise NotImplementedError

    def place_words(self) -> str:
        """What the line above calls this screen."""
        return self.t("console.name")

    def on_mount(self) -> None:
        self.set_interval(CLOCK_S, self.show_status)
        self.speak()
        self.show_status()

    def on_screen_resume(self) -> None:
        self.show_status()

    def speak(self) -> None:
        self.query_one(KeyBar).refresh()
        self.show_status()

    def on_resize(self) -> None:
        self.show_status()

    def show_status(self) -> None:
        console = self.console
        alarm = ""
        if console.link_state is LinkState.LOST:
            alarm = self.t("console.status.lost")
        live = (
            ""
            if console.link is None
            else {
                LinkState.OPEN: f"● {self.t('console.status.live')}",
                LinkState.CONNECTING: f"○ {self.t('console.status.connecting')}",
            }.get(console.link_state, "")
        )
        right = "  ".join(
            filter(None, (live, console.till_words(), console.operator_name, console.clock()))
        )
        for bar in self.query(StatusBar):
            bar.say(self.place_words(), f"{right} ", alarm)


class Dialog(Spoken, ModalScreen[Any]):
    """A question over a screen, with its own keys below."""

    DEFAULT_CSS = """
    Dialog { align: center middle; background: $background 70%; }
    Dialog > #box {
        width: 66; max-width: 100%; height: auto; max-height: 100%;
        border: round $brass; background: $surface; padding: 0 2;
        border-title-color: $brass-text; border-title-style: bold;
    }
    """

    def compose(self) -> ComposeResult:
        with Vertical(id="box"):
            yield from self.compose_body()
        yield KeyBar(id="keys")

    def compose_body(self) -> ComposeResult:
        raise NotImplementedError

    def on_mount(self) -> None:
        self.speak()

    def speak(self) -> None:
        self.query_one(KeyBar).refresh()

    def entitle(self, title: str) -> None:
        self.query_one("#box").border_title = title
