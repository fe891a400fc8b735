"""The words people read: gettext catalogues, French and English, by dotted key.

Owns the reading of ``renderers/locale/<language>/*.po``, the choice of a language and the
plural rule. Each part of the product keeps its own file in every language (``ticket.po``,
``console.po``, ``web.po``...); all files of a language are merged, so a key is unique across
them. Knows nothing of money, dates or where a text is shown: values arrive already formatted.

A message is a ``msgid`` such as ``basket.empty``; its ``msgstr`` may hold placeholders in
braces, ``{seats}``, filled by name. A counted message repeats its key as ``msgid_plural``
and has ``msgstr[0]`` and ``msgstr[1]``; the count itself is always available as ``{count}``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import TypeAlias

LOCALE_DIR = Path(__file__).parent / "locale"
FALLBACK = "en"

# Index into msgstr[...] for a count. French counts zero and one and a half as singular.
_PLURAL_INDEX: dict[str, Callable[[float], int]] = {
    "en": lambda n: 0 if n == 1 else 1,
    "fr": lambda n: 0 if abs(n) < 2 else 1,
}

_LINE = re.compile(r'(?:(msgid|msgid_plural|msgstr|msgstr\[[01]\])\s+)?"((?:[^"\\]|\\.)*)"\s*')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}

Message: TypeAlias = str | tuple[str, str]


class CatalogueError(Exception):
    """A catalogue file that cannot be read; the text names the file, the line and the fault."""


class Translator:
    """The messages of one language. Get one from :func:`translator`."""

    def __init__(self, language: str, messages: Mapping[str, Message]) -> None:
        self.language = language
        self._messages = messages
        self._plural_index = _PLURAL_INDEX[language]

    def __call__(self, key: str, /, **values: object) -> str:
        """The message of ``key`` with its placeholders filled.

        Raises:
            KeyError: no such message, or a placeholder without a value.
            TypeError: the message is counted: use :meth:`plural`.
        """
        message = self._messages[key]
        if not isinstance(message, str):
            raise TypeError(f"{key} is a counted message: use plural(key, count)")
        return message.format_map(values)

    def plural(self, key: str, count: float, /, **values: object) -> str:
        """The form of ``key`` for ``count``; ``{count}`` stands for the count itself.

        Pass ``count=`` by name as well to show it formatted otherwise ("39,616").

        Raises:
            KeyError: no such message, or a placeholder without a value.
            TypeError: the message is not counted: call the translator itself.
        """
        forms = self._messages[key]
        if isinstance(forms, str):
            raise TypeError(f"{key} is not a counted message: call the translator itself")
        return forms[self._plural_index(count)].format_map({"count": count, **values})

    def __contains__(self, key: str) -> bool:
        return key in self._messages

    def keys(self) -> frozenset[str]:
        """Every key of the language."""
        return frozenset(self._messages)

    def export(self, *prefixes: str) -> dict[str, str | dict[str, str]]:
        """The messages under any of ``prefixes`` ("web" gives "web.title"...), as plain JSON.

        Counted messages become ``{"one": ..., "other": ...}``; placeholders stay in braces.
        """
        heads = tuple(prefix.rstrip(".") + "." for prefix in prefixes)
        return {
            key: message if isinstance(message, str) else {"one": message[0], "other": message[1]}
            for key, message in self._messages.items()
            if key.startswith(heads)
        }


def languages() -> tuple[str, ...]:
    """The languages there are catalogues for, the fallback first."""
    return tuple(sorted(_PLURAL_INDEX, key=lambda language: (language != FALLBACK, language)))


def translator(lang: str | None) -> Translator:
    """The translator for a language tag ("fr", "fr-CH", "fr_FR.UTF-8"); English if unknown.

    Loaded once per language and process.

    Raises:
        CatalogueError: a catalogue file of the language is malformed.
    """
    return _load(match(lang) or FALLBACK)


def export(lang: str | None, *prefixes: str) -> dict[str, str | dict[str, str]]:
    """:meth:`Translator.export` of the language for ``lang``."""
    return translator(lang).export(*prefixes)


def match(tag: str | None) -> str | None:
    """The catalogue language that a tag asks for, or None if there is none."""
    primary = re.split(r"[-_.@]", (tag or "").strip().lower(), maxsplit=1)[0]
    return primary if primary in _PLURAL_INDEX else None


def preferred(accept_language: str | None) -> str:
    """The best language for an HTTP ``Accept-Language`` value; English where none fits."""
    ranked: list[tuple[float, int, str]] = []
    for position, item in enumerate((accept_language or "").split(",")):
        tag, _, parameter = item.partition(";")
        language = match(tag)
        name, _, value = parameter.strip().partition("=")
        quality = 1.0
        if name.strip().lower() == "q":
            # A quality that does not parse is a client's mistake: its language is ignored.
            quality = float(value) if re.fullmatch(r"\s*[01](\.\d{0,3})?\s*", value) else 0.0
        if language and quality > 0:
            ranked.append((-quality, position, language))
    return min(ranked)[2] if ranked else FALLBACK


def preferred_by_environment(environ: Mapping[str, str]) -> str:
    """The language of a terminal user, from LC_ALL, LC_MESSAGES or LANG as POSIX orders them."""
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if environ.get(name):
            return match(environ[name]) or FALLBACK
    return FALLBACK


@cache
def _load(language: str) -> Translator:
    messages: dict[str, Message] = {}
    for path in sorted((LOCALE_DIR / language).glob("*.po")):
        for key, message in read_catalogue(path).items():
            if key in messages:
                raise CatalogueError(f"{path}: {key} is already defined by another file")
            messages[key] = message
    return Translator(language, messages)


def read_catalogue(path: Path) -> dict[str, Message]:
    """The messages of one .po file.

    Reads the part of the format that our catalogues use, and refuses the rest: Babel's reader
    is complete, and too slow for a console that starts in under a second.

    Raises:
        CatalogueError: malformed, duplicate or half-finished entry, with file and line.
    """
    messages: dict[str, Message] = {}
    for place, entry in _entries(path):
        key = entry["msgid"]
        if key in messages:
            raise CatalogueError(f"{place}: {key} is defined twice")
        messages[key] = _message(entry, place)
    messages.pop("", None)  # the header entry
    return messages


def _entries(path: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each entry's fields, with the place of its msgid as "file:line"."""
    entry: dict[str, str] = {}
    entry_place = field = ""
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line or line[0] == "#" or line.isspace():
            continue
        place = f"{path}:{number}"
        parsed = _LINE.fullmatch(line)
        if parsed is None:
            raise CatalogueError(f"{place}: not a line of a catalogue: {line!r}")
        keyword, text = parsed.groups()
        if keyword == "msgid":
            if entry:
                yield entry_place, entry
            entry, entry_place = {}, place
        if keyword:
            field = keyword
            if field in entry or (field != "msgid" and not entry):
                raise CatalogueError(f"{place}: {field} is out of place")
            entry[field] = ""
        elif not entry:
            raise CatalogueError(f"{place}: text before the first msgid")
        entry[field] += _unescaped(text, place)
    if entry:
        yield entry_place, entry


def _message(entry: Mapping[str, str], place: str) -> Message:
    key = entry["msgid"]
    if "msgid_plural" not in entry:
        if entry.keys() != {"msgid", "msgstr"}:
            raise CatalogueError(f"{place}: {key} needs exactly one msgstr")
        return entry["msgstr"]
    if entry["msgid_plural"] != key:
        raise CatalogueError(f"{place}: msgid_plural of {key} must repeat its key")
    if entry.keys() != {"msgid", "msgid_plural", "msgstr[0]", "msgstr[1]"}:
        raise CatalogueError(f"{place}: {key} needs msgstr[0] and msgstr[1]")
    return entry["msgstr[0]"], entry["msgstr[1]"]


def _unescaped(text: str, place: str) -> str:
    if "\\" not in text:
        return text
    unknown = {letter for letter in _ESCAPE.findall(text) if letter not in _ESCAPED}
    if unknown:
        raise CatalogueError(f"{place}: unknown escape \\{min(unknown)}")
    return _ESCAPE.sub(lambda found: _ESCAPED[found[1]], text)
