"""The report: invariants first, a code that tells, two languages; and the command's refusals."""

import io
import json
import re
from html import escape, unescape
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.console import Console

from bench.rehearsal import cli, live, page, report
from bench.rehearsal.bots import End
from bench.rehearsal.cli import check_server
from bench.rehearsal.cli import rehearse as command
from bench.rehearsal.history import Book, Kill, Ticket, Turn, Weighing
from bench.rehearsal.installation import CannotBegin
from bench.rehearsal.invariants import Evidence, Finding, judge
from bench.rehearsal.play import explained
from bench.rehearsal.scenario import Thresholds, Victim, find, load
from bench.rehearsal.thresholds import figures
from engine.commands import Refusal
from engine.orders import DeskRefusal
from renderers.i18n import LOCALE_DIR, languages, read_catalogue, translator

ROOT = Path(__file__).parents[2]


def book() -> Book:
    found = Book()
    for number in range(200):
        found.holds.add(number / 100, 0.004)
        found.held.append(number / 100)
    found.sell("a", 1, (Ticket(1, 1, -1, 500),))
    found.refusals["seat_taken"] += 3
    found.refusals[""] += 1
    found.ends["buyer", End.BOUGHT] += 7
    found.turns.append(Turn(1, 0.0, 1, 0, 1.0))
    found.waiting.append((0.5, 12))
    found.kills += [Kill("desk", (7,), 0.5, 1.5), Kill("journal", (), 0.7)]
    found.weighed = [Weighing(at, {("desk", 7): 50.0 + at}) for at in (0.0, 1.0)]
    found.failed("<lost>")
    return found


def made(*thresholds: Finding, kept: int = 500) -> report.Report:
    evidence = Evidence("database", (), kept, {}, frozenset())
    return report.Report(
        scenario=replace(load(find("doors")), seconds=40.0),
        name="doors",
        seed=3,
        seconds=41.0,
        url="http://127.0.0.1:1",
        performance=7,
        source="database",
        invariants=tuple(judge([], [], {}, evidence)),
        thresholds=thresholds,
        figures=figures(book(), frozenset()),
        lag_ms=80.0,
    )


GOOD = Finding("hold_p99_ms", 4.0, 10.0, True)
MISSED = Finding("honest_success", 0.5, 0.9, False, at_least=True)
UNMEASURED = Finding("fairness", None, 0.9, False, at_least=True)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (made(GOOD, kept=0), 0),
        (made(GOOD, MISSED, kept=0), 99),
        (made(UNMEASURED, kept=0), 99),
        (made(GOOD, kept=1), 99),
    ],
)
def test_one_miss_of_either_sort_is_99(found: report.Report, code: int) -> None:
    assert found.exit_code == code
    told = report.as_json(found, book())
    assert told["passed"] is (code == 0)
    assert list(told)[:3] == ["passed", "invariants", "thresholds"]


def test_the_json_is_json_and_has_the_figures_and_the_whole_scenario() -> None:
    told = json.loads(msgspec.json.encode(report.as_json(made(GOOD), book())))
    assert told["time_factor"] == 60 and told["seed"] == 3
    assert told["latencies"]["holds"]["p99_ms"] == 4
    assert told["refusals"] == {"seat_taken": 3, "": 1}
    assert told["format"]["kinds"][0]["wants"] == "enter"
    [weighed] = told["memory"]
    assert (weighed["process"], weighed["start_mib"], weighed["most_mib"]) == ("desk", 50, 51)
    assert told["kills"][0] == {"victim": "desk", "pids": [7], "at_s": 0.5, "good_s": 1.5}


@pytest.mark.parametrize("language", languages())
def test_table_and_page_say_it_in_both_languages_with_invariants_first(language: str) -> None:
    t = translator(language)
    found = made(GOOD, MISSED, UNMEASURED)
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(report.table(found, book(), t))
    shown = page.html(found, book(), t)
    for text in (console.export_text(), unescape(shown)):
        places = [text.index(t(f"rehearse.judged.{one.key}")) for one in found.invariants]
        assert places == sorted(places)
        assert places[-1] < text.index(t("rehearse.judged.hold_p99_ms"))
        assert t("rehearse.report.not_measured") in text
        assert t("rehearse.no_reason") in text
    assert escape(t("rehearse.report.lag", ms="80")) in shown
    assert t("rehearse.report.factor", factor="60", real="40", seconds="40") in shown
    victim, at = t("rehearse.victim.journal"), "0,7" if language == "fr" else "0.7"
    assert escape(t("rehearse.report.not_there", victim=victim, at=at)) in shown
    assert shown.count("<figure") == 5 and "&lt;lost&gt;" in shown and "<lost>" not in shown
    assert escape(t.plural("rehearse.report.failed", 3, all=8)) in shown
    assert not re.search(r"src=|<script|@import|>None<", shown)


@pytest.mark.parametrize(
    ("found", "word"), [(made(GOOD, kept=0), "held"), (made(MISSED, kept=0), "not_held")]
)
def test_the_verdict_is_the_first_thing_said(found: report.Report, word: str) -> None:
    t = translator("en")
    main = page.html(found, book(), t).partition("<main>")[2]
    assert f"<strong>{t(f'rehearse.report.{word}')}</strong>" in main[:500]


def test_an_invariant_that_is_broken_says_so_in_word_and_shape_with_its_examples() -> None:
    shown = page.html(made(GOOD, kept=500), book(), translator("en"))
    musts = shown.partition('<section class="musts">')[2].partition("</section>")[0]
    rows = musts.split("<li>")[1:]
    assert [("broken" in row, "<small>500 kept, 0 sold" in row) for row in rows] == [
        (False, False),
        (False, False),
        (True, True),
        (False, False),
        (False, False),
    ]
    shapes = {re.findall(r"<svg.*?</svg>", row)[0] for row in rows}
    assert len(shapes) == 2


def test_codes_are_explained_in_the_words_that_people_get() -> None:
    t = translator("en")
    shown = page.html(made(GOOD), book(), t)
    assert f'{escape(t("refusal.seat_taken"))}<span class="code">seat_taken</span>' in shown


def test_a_kill_is_on_every_plot_over_time_until_the_next_hold_and_a_miss_is_not() -> None:
    t = translator("en")
    shown = page.html(made(GOOD), book(), t)
    spans = re.findall(r'<rect class="span" x="([\d.]+)" width="([\d.]+)"', shown)
    assert spans == [("12.2", "24.4")] * 4, "0.5 to 1.5 of 41 seconds, in thousandths"
    assert escape(t("rehearse.plot.killed", victim=t("rehearse.victim.desk"))) in shown


def test_where_nothing_was_answered_the_page_says_so() -> None:
    t = translator("en")
    shown = page.html(made(), Book(), t)
    assert t("rehearse.plot.nothing") in shown and "<figure" not in shown


@pytest.mark.parametrize("lasts", [1.0, 26.98, 3_600.0, 86_400.0])
def test_what_happened_is_counted_once_however_long_it_took(lasts: float) -> None:
    many, slice_s = page._slices(lasts)
    assert 1 <= many <= page.MAX_SLICES + 1 and many * slice_s == pytest.approx(lasts)
    moments = [0.0, lasts / 3, lasts / 2, lasts]
    assert sum(page._per_s(moments, lasts)) * slice_s == pytest.approx(len(moments))


@pytest.mark.parametrize(
    ("key", "value", "language", "text"),
    [
        ("hold_p99_ms", 1_500, "en", "1,500 ms"),
        ("hold_p99_ms", 1_500, "fr", "1\u202f500 ms"),
        ("shed_share", 0.0373, "fr", "3,73 %"),
        ("recovery_s", 2.5, "en", "2.5 s"),
        ("fairness", 0.98, "fr", "0,98"),
    ],
)
def test_values_have_their_unit_and_the_numbers_of_the_language(
    key: str, value: float, language: str, text: str
) -> None:
    assert report.written(key, value, translator(language)) == text


def test_every_word_that_is_said_is_in_the_catalogue_and_no_other() -> None:
    sources = [*(ROOT / "bench" / "rehearsal").glob("*.py"), ROOT / "console" / "cli.py"]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    said = set(re.findall(r"[\"'](rehearse\.[a-z0-9_.]+[a-z0-9_])[\"']", text))
    families = set(re.findall(r"[\"'](rehearse\.[a-z_.]+[._])\{", text))
    known = read_catalogue(LOCALE_DIR / "en" / "rehearse.po").keys()
    assert said - known == set()
    assert [key for key in known - said if not key.startswith(tuple(families))] == []


@pytest.mark.parametrize("language", languages())
def test_every_end_state_judgement_and_phase_has_words(language: str) -> None:
    t = translator(language)
    judged = [*Thresholds.__struct_fields__, *(one.key for one in made().invariants)]
    wanted = [f"rehearse.judged.{key}" for key in judged]
    wanted += [f"rehearse.end.{end}" for end in End]
    wanted += [f"rehearse.state.{state}" for state in live.STATES]
    wanted += [f"rehearse.victim.{victim}" for victim in Victim]
    assert [key for key in wanted if key not in t] == []


def test_refusals_that_people_get_words_for_are_explained() -> None:
    codes = explained()
    assert {"seat_taken", "order_closed", "ALREADY_USED"} <= codes
    assert {code.value for code in (*Refusal, *DeskRefusal)} <= codes
    assert "" not in codes and "hello_missing_reason" not in codes


@pytest.mark.parametrize("language", languages())
def test_the_live_view_shows_the_moment(language: str) -> None:
    t = translator(language)
    seen = book()
    seen.states.update({"waiting": 12, "holding": 5})
    console = Console(width=120, record=True, file=io.StringIO())
    view = live.View(t, "Spike", console)
    view.phase("rehearse.phase.bots")
    console.print(view.picture(seen, 40.0))
    view.show(seen, 40.0)
    text = console.export_text()
    for words in ("seat_taken", t("rehearse.state.waiting"), t("rehearse.phase.bots"), "12"):
        assert words in text
    victims = {one: t(f"rehearse.victim.{one}") for one in ("desk", "journal")}
    assert t("rehearse.live.killed", victim=victims["desk"], seconds="0.5") in text
    assert t("rehearse.live.killed", victim=victims["journal"], seconds="0.7") not in text


# The command ---------------------------------------------------------------------------


@pytest.mark.parametrize("server", ["http://127.0.0.1:80", "http://localhost:1", "http://[::1]:1"])
def test_this_machine_may_be_loaded(server: str) -> None:
    check_server(server, is_mine=False)


@pytest.mark.parametrize(
    "server", ["http://10.0.0.1:80", "http://tickets.example", "http://0.0.0.0"]
)
def test_another_machine_may_not_unless_its_owner_says_so(server: str) -> None:
    with pytest.raises(CannotBegin, match="--this-server-is-mine"):
        check_server(server, is_mine=False)
    check_server(server, is_mine=True)


@pytest.mark.parametrize("server", ["tickets.example", "https://tickets.example", "ftp://x"])
def test_an_address_that_bots_cannot_speak_to_is_refused(server: str) -> None:
    with pytest.raises(CannotBegin, match="http://"):
        check_server(server, is_mine=True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scenario": ""}, "spike"),
        ({"scenario": "none"}, "--copy"),
        ({"scenario": "spike", "login": "ada"}, "--server"),
        ({"scenario": "spike", "server": "http://10.1.1.1"}, "--this-server-is-mine"),
        ({"scenario": "spike", "server": "http://127.0.0.1:1"}, "--login"),
        ({"scenario": "crash", "server": "http://127.0.0.1:1", "login": "a"}, "--server"),
        ({"scenario": "spike", "bots": -1}, "--bots"),
        ({"scenario": "spike", "bots": 10**9}, "--bots"),
        ({"scenario": "spike", "json_file": Path("/nowhere/at/all.json")}, "/nowhere"),
        ({"scenario": "spike", "copy": True}, "--copy"),
    ],
)
def test_what_cannot_begin_is_2_and_one_line_with_a_way_out(
    arguments: dict[str, object],
    words: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def never(*_: object) -> int:
        raise AssertionError("it began")

    monkeypatch.setattr(cli, "_run", never)
    scenario = str(arguments.pop("scenario"))
    assert command(scenario, **arguments) == 2  # type: ignore[arg-type]
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1


def test_no_server_there_is_a_line_and_not_a_trace(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STRAPONTIN_PASSWORD", "x")
    code = command("spike", server="http://127.0.0.1:9", login="ada")
    assert code == 2
    assert "http://127.0.0.1:9 does not answer" in capsys.readouterr().err


def test_a_copy_is_the_scenario_and_overwrites_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine.toml"
    assert command("herd", mine, copy=True) == 0
    assert load(mine) == load(find("herd"))
    mine.write_text("mine")
    assert command("herd", mine, copy=True) == 2
    assert mine.read_text() == "mine" and str(mine) in capsys.readouterr().err


def test_the_list_names_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert command(list_them=True) == 0
    told = capsys.readouterr().out
    assert "spike" in told and load(find("spike")).title["en"] in told
