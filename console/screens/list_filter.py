"""What is asked of the list of places: one form for every filter, and its words above the list.

Owns the form and the words for choices, which are typed by their beginnings. What the other filters
mean is the server's: it refuses by name, and the form says so.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar, Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Grid
from textual.events import DescendantFocus
from textual.widgets import Input, Label

from console.listing import Filters
from console.screens.base import Dialog
from console.widgets.chrome import Notice
from renderers.i18n import Translator

CHOICES: Final[dict[str, tuple[tuple[str, str], ...]]] = {
    "channel": tuple(
        (one, f"list.channel.{one}") for one in ("web", "box_office", "phone", "reseller")
    ),
    "status": tuple(
        (one, f"list.status.{one}")
        for one in (
            *("pending", "unpaid", "valid", "blocked"),
            *("revoked", "refunded", "cancelled"),
        )
    ),
    "kind": tuple((one, f"console.list.kind.{one}") for one in ("seat", "area")),
    "used": tuple((one, f"console.list.used.{one}") for one in ("yes", "no")),
}
"""Values of the server, each with the key of its word."""
FIELDS: Final = (
    *("q", "status", "performance", "used", "production", "kind", "ordered_from", "channel"),
    *("ordered_until", "operator", "scanned_from", "price_type", "scanned_until", "category"),
    *("price_from", "price_to"),
)
"""By rows of two."""
SEVERAL: Final = frozenset(
    {"performance", "status", "channel", "operator", "price_type", "category"}
)


class Unknown(NamedTuple):
    """A typed word that is none of a field's choices, or of several."""

    field: str
    word: str


def typed(t: Translator, filters: Filters) -> dict[str, str]:
    """The form's texts for these filters."""
    found: dict[str, list[str]] = {}
    for name, value in filters:
        words = dict(CHOICES.get(name, ()))
        found.setdefault(name, []).append(t(words[value]) if value in words else value)
    return {name: ", ".join(values) for name, values in found.items()}


def asked(t: Translator, texts: Mapping[str, str]) -> list[tuple[str, str]] | Unknown:
    """The filters of the form's texts."""
    found: list[tuple[str, str]] = []
    for name in FIELDS:
        for text in _values(name, texts.get(name, "")):
            value = text
            if name in CHOICES:
                meant = _meant(t, name, text)
                if meant is None:
                    return Unknown(name, text)
                value = meant
            found.append((name, value))
    return found


def _values(name: str, text: str) -> Iterator[str]:
    for value in text.split(",") if name in SEVERAL else (text,):
        if value.strip():
            yield value.strip()


def _meant(t: Translator, name: str, text: str) -> str | None:
    """The one choice whose word is this, or the only one whose word begins so."""
    words = {value: t(key).casefold() for value, key in CHOICES[name]}
    same = [value for value, word in words.items() if word == text.casefold()]
    begins = [value for value, word in words.items() if word.startswith(text.casefold())]
    found = same or begins
    return found[0] if len(found) == 1 else None


def told(t: Translator, filters: Filters, titles: Mapping[str, str]) -> str:
    """In one line: which filters there are. `titles` are those of performances, by number."""
    if not filters:
        return t("console.list.everything")
    parts = []
    for name, text in typed(t, filters).items():
        shown = titles.get(text, text) if name == "performance" else text
        parts.append(t("console.list.told", field=t(f"console.list.field.{name}"), value=shown))
    return " · ".join(parts)


class FilterDialog(Dialog):
    """Ends with the filters, or with None."""

    BINDINGS: ClassVar = [
        Binding("enter", "apply", "console.key.apply", priority=True),
        Binding("tab", "app.focus_next", "console.key.next_field"),
        Binding("ctrl+x", "empty", "console.key.empty_form", key_display="^X", priority=True),
        Binding("escape", "leave", "console.key.back"),
    ]
    DEFAULT_CSS = """
    FilterDialog > #box { width: 80; padding: 0 1; }
    FilterDialog Grid {
        grid-size: 4; grid-columns: 14 1fr 14 1fr; grid-gutter: 0 1; height: auto;
        padding: 1 0;
    }
    FilterDialog Label { color: $muted; width: 14; text-align: right; }
    FilterDialog Notice { padding: 0; height: 3; }
    """

    def __init__(self, filters: Filters, wrong: str = "", why: str = "") -> None:
        """`wrong` is the field that the server did not take, and `why`."""
        super().__init__()
        self._filters = filters
        self._wrong = wrong
        self._why = why

    def compose_body(self) -> ComposeResult:
        texts = typed(self.t, self._filters)
        with Grid():
            for name in FIELDS:
                yield Label(id=f"{name}-label")
                yield Input(texts.get(name, ""), id=name)
        yield Notice()

    def on_mount(self) -> None:
        super().on_mount()
        if self._wrong:
            self.query_one(f"#{self._wrong}", Input).focus()

    def speak(self) -> None:
        super().speak()
        self.entitle(self.t("console.list.filter_title"))
        for name in FIELDS:
            words = self.t(f"console.list.field.{name}")
            self.query_one(f"#{name}-label", Label).update(words)
        self._hint()

    @on(DescendantFocus)
    def _hint(self) -> None:
        """What may stand in the field, or why what stands there may not."""
        name = self.focused.id if self.focused is not None else None
        if name not in FIELDS:
            return
        if name == self._wrong:
            self.query_one(Notice).say(self._why, "bad")
            return
        t = self.t
        if name in CHOICES:
            may_be = ", ".join(t(key) for _, key in CHOICES[name])
        else:
            may_be = t(f"console.list.hint.{name}")
        words = t("console.list.told", field=t(f"console.list.field.{name}"), value=may_be)
        if name in SEVERAL:
            words += f" · {t('console.list.several')}"
        self.query_one(Notice).say(words)

    def action_apply(self) -> None:
        found = asked(self.t, {name: self.query_one(f"#{name}", Input).value for name in FIELDS})
        if isinstance(found, Unknown):
            choices = ", ".join(self.t(key) for _, key in CHOICES[found.field])
            self._wrong = found.field
            self._why = self.t("console.list.unknown_word", word=found.word, choices=choices)
            self.query_one(f"#{found.field}", Input).focus()
            self._hint()
            return
        self.dismiss(found)

    def action_empty(self) -> None:
        for name in FIELDS:
            self.query_one(f"#{name}", Input).value = ""

    def action_leave(self) -> None:
        self.dismiss(None)


def field_of(detail: str, names: Sequence[str] = FIELDS) -> str:
    """The filter that a refusal names; "" for none of them."""
    name = detail.partition(":")[0]
    return name if name in names else ""
