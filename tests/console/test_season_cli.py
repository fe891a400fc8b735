"""The programme commands over a real gateway: look, apply, look again; refusals; the house back."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from console import operating
from console.season import asking, cli
from renderers.i18n import translator
from tests.console.seasons import write_example
from tests.console.server import CASHIER, House
from tests.console.test_queue_cli import told

OLD = "{ amount = 40,"
Run = Callable[..., int]


@pytest.fixture
def run(served: House, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, asked of the served house in English."""
    for module in (cli, operating):
        monkeypatch.setattr(module, "t", translator("en"))

    def command(*arguments: object) -> int:
        where = ("--server", served.url, "--login", CASHIER)
        words = [str(one) for one in (*arguments, *where)]
        code: int = cli.app(words, result_action="return_value")
        return code

    return command


@pytest.fixture
def season(tmp_path: Path) -> Path:
    return write_example(tmp_path)


def out(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was printed, without the log of the server in this process."""
    return [line for line in capsys.readouterr().out.splitlines() if "gateway." not in line]


def change(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert text.count(old) == 1
    file.write_text(text.replace(old, new))


def sell_one(served: House, performance: int) -> None:
    """A ticket of this performance, as the engine keeps it."""
    core = served.fake.performances.live[performance].core
    core.tickets.append(core.tickets[0] if core.tickets else None)  # type: ignore[arg-type]


def test_the_example_is_applied_and_is_no_difference_then(
    run: Run, season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", season, "--dry-run") == cli.DIFFERS
    shown = out(capsys)
    assert "+ Hamlet (hamlet), new" in shown
    assert any("Tue 12 Jan 2027 20:30" in line for line in shown)
    assert "Performances: 44 added, 0 changed, 0 taken off." in shown
    assert run("apply", season, "--yes") == 0
    assert "Applied: 44 added, 0 changed, 0 taken off." in out(capsys)
    assert run("apply", season, "--dry-run") == 0
    assert "The house is as the file says." in out(capsys)
    # The house writes it back, with what it had before.
    written = tmp_path / "written.toml"
    assert run("export", written) == 0
    assert "[production.hamlet]" in written.read_text()
    assert '[production."#1"]' in written.read_text()
    assert run("apply", written, "--dry-run") == 0
    assert run("export") == 0
    assert written.read_text().splitlines()[0] in out(capsys)


def test_a_change_is_shown_with_what_was_and_what_will_be(
    run: Run, season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", season, "--yes") == 0
    change(season, OLD, "{ amount = 45,")
    change(season, "2027-03-04T22:00:00", "2027-03-04T21:00:00")
    change(season, "dates = [2027-03-05T23:00:00, ", "dates = [")
    out(capsys)
    assert run("apply", season, "--yes") == 0
    shown = [line.strip() for line in out(capsys)]
    assert any(line.startswith("prices.Fauteuil.full: ") and "€45.00" in line for line in shown)
    assert "start: Thu 4 Mar 2027 22:00 → Thu 4 Mar 2027 21:00" in shown
    assert "- Fri 5 Mar 2027 23:00: taken off the programme" in shown
    assert "Applied: 0 added, 2 changed, 1 taken off." in shown
    assert run("list", "--json") == 0
    listed = {one["key"]: one["performances"] for one in told(capsys)}
    assert [one["key"] for one in listed["cabaret"]] == ["premiere", "2027-03-06T23:00"]
    assert {one["status"] for one in listed["hamlet"]} == {"on_sale", "box_office"}
    assert run("list") == 0
    assert any("premiere" in line and "0 of " in line for line in out(capsys))
    assert run("apply", season, "--json", "--dry-run") == 0
    assert told(capsys) == []


def test_what_is_sold_is_not_removed(
    run: Run, served: House, season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", season, "--yes") == 0
    assert run("list", "--json") == 0
    (cabaret,) = [one for one in told(capsys) if one["key"] == "cabaret"]
    first, second, _ = (one["id"] for one in cabaret["performances"])
    for number in (first, second):
        sell_one(served, number)
    change(season, "2027-03-04T22:00:00", "2027-03-04T21:00:00")
    change(season, "dates = [2027-03-05T23:00:00, ", "dates = [")
    assert run("apply", season, "--dry-run", "--json") == cli.DIFFERS
    (said,) = told(capsys)
    assert [(one["act"], one["sold"]) for one in said["performances"]] == [
        ("change", 1),
        ("withdraw", 1),
    ]
    assert run("apply", season, "--yes") == 0
    shown = "\n".join(out(capsys))
    assert "One ticket carries the old time" in shown
    assert "It is not removed: the sale is closed" in shown
    status = served.fake.performances.live[second].core.settings.status
    assert status == "closed"
    # Another plan for what is sold is refused as a whole.
    plan = json.loads((season.parent / "petite-salle.json").read_text())
    plan["name"] = "Autre salle"
    (season.parent / "petite-salle.json").write_text(json.dumps(plan))
    assert run("apply", season, "--yes") == 1
    told_why = capsys.readouterr().err
    assert "production.cabaret.performance[1]" in told_why and "keeps its seating plan" in told_why


def test_every_mistake_is_told_and_nothing_is_done(
    run: Run, served: House, season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = len(served.fake.catalogue.performances)
    change(season, 'surplus = { areas = ["Debout"] }', 'prices.Balcon.full = "forty"')
    change(season, 'hold = "15 min"', "hold = 15")
    assert run("apply", season, "--yes") == 1
    told_why = capsys.readouterr().err
    assert "production.hamlet.performance[1].prices.Balcon: Balcon is not in the plan" in told_why
    assert "defaults.hold: 15 is no length of time" in told_why
    assert "2 problems: nothing was changed." in told_why
    assert len(served.fake.catalogue.performances) == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('file = "petite-salle.json"', 'file = "none.json"', "none.json: No such file"),
        ('file = "petite-salle.json"', f'hash = "{"0" * 64}"', "the house has no plan 000"),
        ('file = "petite-salle.json"', 'file = "season.toml"', "plan.petite.file: season.toml"),
        ("[production.hamlet]", "[production.hamlet", "this is not TOML"),
        ('[production.cabaret]', '[production."#77"]', "is a number of the house"),
    ],
)  # fmt: skip
def test_what_cannot_be_looked_up_is_a_mistake(
    run: Run, season: Path, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    text = (
        season.read_text().replace("production.cabaret.", 'production."#77".')
        if ("77" in new)
        else season.read_text()
    )
    season.write_text(text.replace(old, new))
    assert run("apply", season, "--yes") == 1
    assert words in capsys.readouterr().err


def test_nothing_is_applied_that_nobody_agreed_to(
    run: Run, served: House, season: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run("apply", season) == 2
    assert "--yes" in capsys.readouterr().err
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    answers = iter(["n", "yes"])
    monkeypatch.setattr("builtins.input", lambda _: next(answers))
    assert run("apply", season) == cli.DIFFERS
    assert len(served.fake.catalogue.productions) == 1
    assert run("apply", season) == 0
    assert len(served.fake.catalogue.productions) == 3


def test_a_house_that_changes_meanwhile_is_shown_again(
    run: Run, served: House, season: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run("apply", season, "--yes") == 0
    change(season, OLD, "{ amount = 45,")
    add_plan = asking.add_plan
    meddled: list[Any] = []

    async def meddle(*arguments: Any) -> str:
        if not meddled:
            meddled.append(served.fake.catalogue.performances[44])
            meddled[0].starts_ms += 60_000
        return await add_plan(*arguments)

    monkeypatch.setattr(asking, "add_plan", meddle)
    assert run("apply", season, "--yes") == 1
    assert "changed while you looked" in capsys.readouterr().err
    meddled.clear()
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _: "y")
    assert run("apply", season) == 0
    assert "changed while you looked" in capsys.readouterr().err
    assert run("apply", season, "--dry-run") == 0


def test_who_is_no_admin_looks_only(
    run: Run, served: House, season: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import asyncio

    asyncio.run(served.operator("sam", "cashier"))
    assert (
        cli.app(["list", "--server", served.url, "--login", "sam"], result_action="return_value")
        == 1
    )
    capsys.readouterr()


def test_files_that_cannot_be_read_or_written_say_so(
    run: Run, season: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("apply", tmp_path / "none.toml") == 2
    assert "none.toml: No such file" in capsys.readouterr().err
    assert run("export", tmp_path) == 2
    assert "Is a directory" in capsys.readouterr().err


def test_both_languages_show_the_same_changes(
    run: Run, season: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = {}
    for language in ("en", "fr"):
        monkeypatch.setattr(cli, "t", translator(language))
        assert run("apply", season, "--dry-run") == cli.DIFFERS
        shown[language] = out(capsys)
    assert len(shown["en"]) == len(shown["fr"])
    assert any("mar. 12 janv. 2027 20:30" in line for line in shown["fr"])
    assert any("10,00 € – 32,00 €" in line.replace("\xa0", " ") for line in shown["fr"])
