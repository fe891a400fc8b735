"""What surrounds every screen: the line above, the keys below, the line that speaks.

Owns their drawing. What they say is given to them; the keys come from the screen's own
bindings, whose descriptions are message keys.
"""

from collections.abc import Iterator
from typing import Final

from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from renderers.i18n import Translator

KEY_NAMES: Final = {
    "enter": "⏎",
    "escape": "Esc",
    "backspace": "⌫",
    "tab": "⇥",
    "plus": "+",
    "slash": "/",
    "question_mark": "?",
    "ctrl+q": "^Q",
    "ctrl+p": "^P",
}
HELP: Final = "console.key.help"
OURS: Final = "console."
"""Descriptions of bindings that are ours begin so; Textual's own stay out of sight."""


def key_name(binding: Binding, t: Translator) -> str:
    """How a key is written on the screen."""
    if binding.key_display:
        return binding.key_display
    key = binding.key.split(",")[0]
    if key == "space":
        return t("console.key.space")
    return KEY_NAMES.get(key, key.upper() if len(key) > 1 else key)


def shown_bindings(screen: Screen[object]) -> Iterator[tuple[Binding, object]]:
    """The bindings a person may use now and the node they belong to, each description once."""
    seen = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        described = binding.description.startswith(OURS) and binding.description not in seen
        if described and active.enabled:
            seen.add(binding.description)
            yield binding, active.node


class StatusBar(Static):
    """One line: where one is, the connection, who, and the time."""

    DEFAULT_CSS = """
    StatusBar { dock: top; height: 1; width: 1fr; background: $velvet; color: $on-velvet; }
    StatusBar.-lost { background: $warning; color: $background; text-style: bold; }
    """

    def say(self, left: str, right: str, alarm: str = "") -> None:
        """`alarm` takes the whole line."""
        self.set_class(bool(alarm), "-lost")
        width = max(self.app.size.width, 1)
        if alarm:
            self.update(Content(f" ▲ {alarm}"[:width]))
            return
        room = width - len(right) - 2
        left = left if len(left) < room else left[: max(0, room - 2)] + "…"
        text = f" {left}".ljust(width - len(right) - 1) + right
        self.update(Content.assemble((text[: len(left) + 1], "bold"), text[len(left) + 1 :]))


class KeyBar(Widget):
    """The keys that work now, the most needed first, as many as fit."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; width: 1fr; background: $bar; color: $bar-text; }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda _: self.refresh())

    def render(self) -> Content:
        t: Translator = self.app.t  # type: ignore[attr-defined]
        parts: list[tuple[str, str]] = []
        room = self.size.width
        shown = [binding for binding, _ in shown_bindings(self.screen) if binding.show]
        order = getattr(self.screen, "KEY_ORDER", ())
        # Help comes last in order and is never the one left out.
        shown.sort(
            key=lambda binding: (
                binding.description == HELP,
                order.index(binding.description) if binding.description in order else len(order),
            )
        )
        last = f" F1 {t(HELP)} "
        for binding in shown:
            key, words = f" {key_name(binding, t)} ", f"{t(binding.description)} "
            is_last = binding is shown[-1]
            if not is_last and len(key) + len(words) + len(last) > room:
                continue
            parts += [(key, "bold $bar-key"), (words, "")]
            room -= len(key) + len(words)
        return Content.assemble(*parts)


class Notice(Static):
    """One line that tells what just happened. Each kind has its sign, not only its colour."""

    SIGNS: Final = {"good": "✓", "info": "·", "wait": "…", "warn": "!", "bad": "×"}
    DEFAULT_CSS = """
    Notice { height: auto; max-height: 3; width: 1fr; padding: 0 1; color: $muted; }
    Notice.-good { color: $success; text-style: bold; }
    Notice.-warn { color: $warning; text-style: bold; }
    Notice.-bad { color: $background; background: $error; text-style: bold; }
    """

    def say(self, text: str, kind: str = "info") -> None:
        """`kind` is one of SIGNS; an empty text clears the line."""
        for other in self.SIGNS:
            self.set_class(other == kind and bool(text), f"-{other}")
        self.update(Content(f"{self.SIGNS[kind]} {text}" if text else ""))
        self.said = text

    said = ""
