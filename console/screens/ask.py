"""A small question over the screen: one line of text, or yes and no."""

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from console.screens.base import Dialog


class AskDialog(Dialog):
    """Returns the text, "" for a plain yes, or None for Esc.

    `key` is the head of the messages: `<key>.title`, `<key>.text`, and for a line of text
    `<key>.placeholder`. `words` are what the first two name.
    """

    BINDINGS: ClassVar = [
        Binding("escape", "no", "console.key.no"),
        Binding("enter", "yes", "console.key.yes"),
    ]

    def __init__(self, key: str, value: str = "", confirm: bool = False, **words: object) -> None:
        super().__init__()
        self._key = key
        self._words = words
        self._value = value
        self._confirm = confirm

    def compose_body(self) -> ComposeResult:
        yield Static(id="text")
        if not self._confirm:
            yield Input(self._value, id="answer")

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t(f"{self._key}.title", **self._words))
        self.query_one("#text", Static).update(self.t(f"{self._key}.text", **self._words))
        for field in self.query(Input):
            field.placeholder = self.t(f"{self._key}.placeholder")

    @on(Input.Submitted)
    def action_yes(self) -> None:
        if self._confirm:
            self.dismiss("")
        else:
            self.dismiss(self.query_one(Input).value.strip() or None)

    def action_no(self) -> None:
        self.dismiss(None)
