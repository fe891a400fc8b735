"""The page's files agree with the catalogue, the palette, the engine's words and each other."""

import re
from pathlib import Path

import pytest

from engine.commands import Refusal, Rung
from engine.orders import DeskRefusal, OrderState
from engine.payments import PaymentRefusal
from engine.sale import Standing
from gateway.pages import WEB_DIR
from renderers import i18n, palette

SCRIPTS = sorted((WEB_DIR / "js").glob("*.js"))
PAGES = sorted(WEB_DIR.glob("*.html"))
CATALOGUES = {language: i18n.export(language, "web") for language in ("en", "fr")}
FAMILIES = ("web.refusal.", "web.rung.", "web.order.", "web.status.", "web.state.", "web.legend.")
SCANNING = ("mode_", "ready_", "state_", "trouble.", "undone_")
FAMILIES += tuple(f"web.scan.{family}" for family in SCANNING)
"""Keys that are put together from a code."""
MOST_LINES = 600
MOST_COLUMNS = 120


def used_keys() -> set[str]:
    found: set[str] = set()
    for path in (*SCRIPTS, *PAGES):
        found |= set(re.findall(r"""["'`](web\.[a-z_.]+[a-z_])["'`]""", path.read_text()))
    return found


def test_every_word_the_page_uses_is_in_the_catalogue_and_every_word_there_is_used() -> None:
    keys = set(CATALOGUES["en"])
    assert used_keys() - keys == set()
    unused = {key for key in keys - used_keys() if not key.startswith((*FAMILIES, "web.choose."))}
    assert unused == set()


@pytest.mark.parametrize("language", CATALOGUES)
def test_every_code_has_its_words(language: str) -> None:
    words = CATALOGUES[language]
    codes = {code.value for code in (*Refusal, *DeskRefusal)}
    # These answer operators, terminals and doors, which no buyer is.
    codes -= {"ticket_unknown", "ticket_used", "ticket_state"}
    codes -= {"nothing_to_refund", "line_not_sold", "operator_missing", "give_money_back"}
    codes -= {code.value for code in PaymentRefusal}
    shared = i18n.export(language, "refusal")  # what the console says does for the page too
    wanted = {f"web.refusal.{code}" for code in codes if f"refusal.{code}" not in shared}
    wanted |= {f"web.rung.{rung.value}" for rung in Rung}
    wanted |= {f"web.status.{status.value}" for status in Standing}
    wanted |= {
        f"web.order.{state}.{part}"
        for state in (*OrderState, "repaid")
        for part in ("state", "title", "text")
    }
    assert wanted - words.keys() == set()


def test_the_last_words_of_a_house_that_does_not_answer_are_the_catalogues() -> None:
    script = (WEB_DIR / "js" / "chrome.js").read_text()
    kept = re.findall(r'"(web\.failure\.[a-z]+)": "([^"]+)"', script.partition("LAST_WORDS = {")[2])
    assert len(kept) == 6
    for (key, text), language in zip(kept, ["fr"] * 3 + ["en"] * 3, strict=True):
        assert CATALOGUES[language][key] == text


def test_the_style_sheet_of_colours_is_the_palettes() -> None:
    assert (WEB_DIR / "css" / "palette.css").read_text() == palette.stylesheet()


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_preloads_just_the_modules_it_needs(path: Path) -> None:
    page = path.read_text()
    [entry] = re.findall(r'<script type="module" src="/static/js/(\w+\.js)">', page)
    needed, found = [entry], set()
    while needed:
        module = needed.pop()
        if module not in found:
            found.add(module)
            script = (WEB_DIR / "js" / module).read_text()
            needed += re.findall(r'^import[^;]*?"\./(\w+\.js)"', script, re.MULTILINE)
    preloaded = re.findall(r'<link rel="modulepreload" href="/static/js/(\w+\.js)">', page)
    assert sorted(preloaded) == sorted(found - {entry})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_holds_nothing_that_the_content_policy_forbids(path: Path) -> None:
    page = path.read_text()
    assert not re.search(r"\sstyle=|\son[a-z]+=|<style|javascript:", page)
    assert all(re.search(r"\ssrc=", tag) for tag in re.findall(r"<script[^>]*>", page))
    assert re.findall(r'(?:src|href)="(?!/static/|/"|#)[^"]*"', page) == []


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_small_says_what_it_owns_and_parses_no_markup(path: Path) -> None:
    script = path.read_text()
    assert script.startswith("// ")
    lines = script.splitlines()
    assert len(lines) < MOST_LINES
    assert max(map(len, lines)) <= MOST_COLUMNS
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", script)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", script)


def test_every_icon_that_is_asked_for_is_drawn() -> None:
    drawn = set(re.findall(r'<symbol id="([a-z-]+)"', (WEB_DIR / "icons.svg").read_text()))
    asked = set()
    for path in SCRIPTS:
        script = path.read_text()
        asked |= set(re.findall(r'icon\("([a-z-]+)"\)', script))
    for path in PAGES:
        asked |= set(re.findall(r'data-icon="([a-z-]+)"', path.read_text()))
    assert asked - drawn == set()


def test_the_scanners_worker_keeps_just_what_its_page_names() -> None:
    page, worker = ((WEB_DIR / name).read_text() for name in ("scan.html", "scan-worker.js"))
    named = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page))
    kept = set(re.findall(r'"(/static/[^"]+)"', worker))
    vendored = {path for path in kept if path.startswith("/static/vendor/")}
    assert kept - vendored == named | {"/static/icons.svg"}
    assert vendored == {
        f"/static/vendor/zxing/{path.name}"
        for path in (WEB_DIR / "vendor" / "zxing").iterdir()
        if path.suffix in (".js", ".wasm")
    }
