"""Everything the console may have to say exists in both languages, and nothing else does."""

import re
from pathlib import Path

import pytest

from console.client import BadAddress, ClientError, Problem, Unreachable
from console.link import NotServed
from console.map_layout import Zoom
from console.words import error_words, outcome_words, refusal_words
from engine.commands import Refusal, Refused, Rung, ScanOutcome
from engine.orders import DeskRefusal
from engine.payments import PaymentRefusal
from engine.tills import TillRefusal
from gateway.problems import CODES
from renderers.i18n import LOCALE_DIR, Translator, read_catalogue, translator

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted((ROOT / "console").rglob("*.py"))
LANGUAGES = ("en", "fr")


@pytest.fixture(params=LANGUAGES)
def t(request: pytest.FixtureRequest) -> Translator:
    return translator(request.param)


@pytest.mark.parametrize(
    "code",
    sorted({*Refusal, *PaymentRefusal, *DeskRefusal, *TillRefusal, *CODES, "unexpected"}),
    ids=str,
)
def test_every_refusal_has_a_sentence(t: Translator, code: str) -> None:
    assert f"refusal.{code}" in t
    assert refusal_words(t, str(code)).endswith(".")


def test_every_outcome_of_a_scan_has_big_and_small_words(t: Translator) -> None:
    for outcome in ScanOutcome:
        assert t(f"outcome.scan.{outcome.value}").isupper()
        assert t(f"outcome.scan_why.{outcome.value}")


def test_no_two_scan_outcomes_look_alike(t: Translator) -> None:
    assert len({t(f"outcome.scan.{outcome.value}") for outcome in ScanOutcome}) == len(ScanOutcome)


def test_every_rung_of_the_ladder_has_a_reason(t: Translator) -> None:
    assert len({t(f"outcome.rung.{rung.value}") for rung in Rung}) == len(Rung)


def test_a_code_from_a_newer_server_is_shown_with_its_detail(t: Translator) -> None:
    assert "not_invented: too new" in refusal_words(t, "not_invented", "too new").replace(
        "(not_invented) : ", "not_invented: "
    ).replace("(not_invented): ", "not_invented: ")


def test_failures_say_what_happened_to_which_thing(t: Translator) -> None:
    words = error_words(t, Unreachable("http://box:8000", "Connection refused"))
    assert "http://box:8000" in words and "Connection refused" in words
    assert "ftp://x" in error_words(t, BadAddress("ftp://x"))
    assert error_words(t, Problem(403, "forbidden", "")) == t("refusal.forbidden")
    assert error_words(t, NotServed("forbidden", "")) == t("refusal.forbidden")
    assert error_words(t, ClientError("as it is")) == "as it is"
    assert outcome_words(t, Refused(Refusal.ORPHAN)) == t("refusal.orphan")


def used_keys() -> set[str]:
    found = set()
    for path in SOURCES:
        text = path.read_text()
        found |= set(re.findall(r"[\"']((?:console|cli|order)\.[a-z_.]+)[\"'{]", text))
    return found


def test_every_message_that_the_console_names_exists(t: Translator) -> None:
    keys = t.keys()
    dialogs = {f"{key}.{part}" for key in used_keys() for part in ("title", "text")}
    missing = [
        key
        for key in used_keys()
        if key not in keys and not any(known.startswith(key) for known in keys | dialogs)
    ]
    assert not missing


def test_no_message_is_left_over() -> None:
    source = "\n".join(path.read_text() for path in SOURCES)
    used = used_keys()
    for name in ("console", "cli"):
        for key in read_catalogue(LOCALE_DIR / "en" / f"{name}.po"):
            stem, _, last = key.rpartition(".")
            made_up = any(use.endswith((".", "_")) and key.startswith(use) for use in used)
            asked = stem in used and last in ("title", "text", "placeholder")
            helped = key.startswith("console.help.") and f"console.key.{last}" in source
            assert key in used or made_up or asked or helped, f"{key} is used nowhere"


def test_zooms_are_three() -> None:
    assert [zoom.name for zoom in Zoom] == ["OVERVIEW", "ROWS", "CLOSE"]
