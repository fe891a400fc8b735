"""The catalogues agree with each other, and the reader refuses what it does not understand."""

from __future__ import annotations

import re
import string
import time
from pathlib import Path

import pytest

from renderers import i18n

ENGLISH = i18n.translator("en")
FRENCH = i18n.translator("fr")
CATALOGUES = sorted(i18n.LOCALE_DIR.glob("*/*.po"))


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def forms(message: i18n.Message) -> tuple[str, ...]:
    return (message,) if isinstance(message, str) else message


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_the_catalogues_of_both_languages_have_the_same_files() -> None:
    english, french = (
        {path.name for path in CATALOGUES if path.parent.name == language}
        for language in ("en", "fr")
    )
    assert english == french
    assert "ticket.po" in english


@pytest.mark.parametrize("name", sorted({path.name for path in CATALOGUES}))
def test_a_file_has_the_same_messages_in_both_languages(name: str) -> None:
    english, french = (
        i18n.read_catalogue(i18n.LOCALE_DIR / language / name) for language in ("en", "fr")
    )
    assert english.keys() == french.keys()
    for key in english:
        assert isinstance(english[key], str) == isinstance(french[key], str), key
        names = [placeholders(form) for form in (*forms(english[key]), *forms(french[key]))]
        # A singular may spell its count out ("one seat"), so {count} is compared without.
        assert all(one - {"count"} == names[0] - {"count"} for one in names), (key, names)


@pytest.mark.parametrize("path", CATALOGUES, ids=lambda p: f"{p.parent.name}/{p.name}")
def test_a_file_holds_no_empty_text_and_only_plain_placeholders(path: Path) -> None:
    header = path.read_text(encoding="utf-8")
    assert f'"Language: {path.parent.name}\\n"' in header
    for key, message in i18n.read_catalogue(path).items():
        assert re.fullmatch(r"[a-z0-9_]+(\.[A-Za-z0-9_-]+)+", key), key
        for text in forms(message):
            assert text.strip(), f"{key} is empty"
            for _, name, spec, conversion in string.Formatter().parse(text):
                # The page fills placeholders with its own few lines of script.
                assert name is None or (re.fullmatch(r"[a-z_]+", name) and not spec), key
                assert conversion is None, key


def test_a_message_is_filled_by_name_and_a_missing_name_or_key_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for language, word in (("en", "Row"), ("fr", "Rang")):
        (tmp_path / language).mkdir()
        write(tmp_path / language / "a.po", f'msgid "a.row"\nmsgstr "{word} {{row}}"\n')
    monkeypatch.setattr(i18n, "LOCALE_DIR", tmp_path)
    t = i18n._load.__wrapped__("fr")
    assert t("a.row", row="{x}") == "Rang {x}"
    with pytest.raises(KeyError, match="row"):
        t("a.row")
    with pytest.raises(KeyError, match=r"a\.none"):
        t("a.none")
    with pytest.raises(TypeError, match="not a counted"):
        t.plural("a.row", 2)
    assert "a.row" in t and "a.none" not in t


@pytest.mark.parametrize(
    ("language", "count", "text"),
    [
        ("en", 0, "0 seats"),
        ("en", 1, "1 seat"),
        ("en", 2, "2 seats"),
        ("fr", 0, "0 place"),
        ("fr", 1, "1 place"),
        ("fr", 1.5, "1.5 place"),
        ("fr", 2, "2 places"),
    ],
)
def test_plurals_follow_the_language(language: str, count: float, text: str) -> None:
    words = {"en": ("{count} seat", "{count} seats"), "fr": ("{count} place", "{count} places")}
    t = i18n.Translator(language, {"a.seats": words[language]})
    assert t.plural("a.seats", count) == text
    with pytest.raises(TypeError, match="plural"):
        t("a.seats")
    assert t.plural("a.seats", 39616, count="39,616").startswith("39,616 ")


def test_export_gives_the_asked_part_as_plain_values() -> None:
    t = i18n.Translator("en", {"web.a": "A", "web.n": ("one", "{count}"), "webby.b": "B"})
    assert t.export("web") == {"web.a": "A", "web.n": {"one": "one", "other": "{count}"}}
    assert t.export("webby", "web.") == t.export("web") | {"webby.b": "B"}
    assert i18n.export("fr-CH", "ticket")["ticket.row"] == FRENCH("ticket.row")


@pytest.mark.parametrize(
    ("tag", "language"),
    [("fr", "fr"), ("fr-CH", "fr"), ("fr_FR.UTF-8", "fr"), ("FR", "fr"), ("de", "en"), ("", "en"),
     (None, "en"), ("frr", "en"), ("C.UTF-8", "en")],
)  # fmt: skip
def test_an_unknown_language_falls_back_to_english(tag: str | None, language: str) -> None:
    assert i18n.translator(tag).language == language


@pytest.mark.parametrize(
    ("header", "language"),
    [
        (None, "en"),
        ("", "en"),
        ("fr", "fr"),
        ("de-CH, fr-CH;q=0.9, en;q=0.8", "fr"),
        ("en;q=0.5, fr;q=0.7", "fr"),
        ("fr;q=0, en;q=0.1", "en"),
        ("fr;q=nonsense, en;q=0.1", "en"),
        ("en, fr", "en"),
        ("*", "en"),
        (";;,,;q=", "en"),
    ],
)
def test_a_browser_gets_the_language_it_prefers(header: str | None, language: str) -> None:
    assert i18n.preferred(header) == language


def test_a_terminal_gets_the_language_of_its_environment() -> None:
    assert i18n.preferred_by_environment({"LANG": "fr_CH.UTF-8"}) == "fr"
    assert i18n.preferred_by_environment({"LANG": "fr_CH.UTF-8", "LC_ALL": "C"}) == "en"
    assert i18n.preferred_by_environment({"LC_ALL": "", "LC_MESSAGES": "fr", "LANG": "en"}) == "fr"
    assert i18n.preferred_by_environment({}) == "en"
    assert set(i18n.languages()) == {"en", "fr"}


def test_the_reader_joins_lines_and_reads_escapes(tmp_path: Path) -> None:
    path = write(
        tmp_path / "x.po",
        'msgid ""\nmsgstr ""\n"Language: en\\n"\n\n# why\nmsgid "a.b"\nmsgstr "one "\n'
        '"two\\n\\"three\\" \\\\"\n\nmsgid "a.n"\nmsgid_plural "a.n"\n'
        'msgstr[0] "é"\nmsgstr[1] "è"\n',
    )
    assert i18n.read_catalogue(path) == {"a.b": 'one two\n"three" \\', "a.n": ("é", "è")}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("hello", "1: not a line"),
        ('msgctxt "x"', "1: not a line"),
        ('"lost"', "1: text before"),
        ('msgstr "lost"', "1: msgstr is out of place"),
        ('msgid "a.b"\nmsgstr "x"\nmsgstr "y"', "3: msgstr is out of place"),
        ('msgid "a.b"\nmsgstr "x"\nmsgid "a.b"\nmsgstr "y"', "3: a.b is defined twice"),
        ('msgid "a.b"', "1: a.b needs exactly one msgstr"),
        ('msgid "a.b"\nmsgid_plural "a.b"\nmsgstr[0] "x"', r"1: a.b needs msgstr\[0\]"),
        ('msgid "a.b"\nmsgid_plural "a.c"\nmsgstr[0] "x"\nmsgstr[1] "y"', "1: msgid_plural"),
        ('msgid "a.b"\nmsgstr "\\x"', "2: unknown escape"),
        ('msgid "a.b"\nmsgstr "x', "2: not a line"),
    ],
)
def test_a_malformed_catalogue_is_refused_with_its_place(
    tmp_path: Path, text: str, fault: str
) -> None:
    path = write(tmp_path / "x.po", text)
    with pytest.raises(i18n.CatalogueError, match=r"x\.po:" + fault):
        i18n.read_catalogue(path)


def test_a_key_in_two_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "en").mkdir()
    for name in ("a.po", "b.po"):
        write(tmp_path / "en" / name, 'msgid "a.b"\nmsgstr "x"\n')
    monkeypatch.setattr(i18n, "LOCALE_DIR", tmp_path)
    with pytest.raises(i18n.CatalogueError, match=r"b\.po: a\.b is already defined"):
        i18n._load.__wrapped__("en")


def test_a_thousand_messages_load_well_inside_the_consoles_second(tmp_path: Path) -> None:
    path = write(
        tmp_path / "big.po",
        "".join(f'msgid "a.k{n}"\nmsgstr "Some text about {{seats}} {n}"\n\n' for n in range(1000)),
    )
    spent_s = []
    for _ in range(5):
        started = time.process_time()
        assert len(i18n.read_catalogue(path)) == 1000
        spent_s.append(time.process_time() - started)
    assert min(spent_s) < 0.03
