"""The plan commands: exit codes, what is said where, and that nothing is half-written."""

import json
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from console import plan_cli
from engine.demo_houses import club
from engine.plan_io import dump_plan, dump_pretix, load_plan

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments) -> int:
    return plan_cli.app([str(argument) for argument in arguments], result_action="return_value")


@pytest.fixture
def plan_file(tmp_path):
    path = tmp_path / "club.json"
    path.write_bytes(dump_plan(club()))
    return path


@pytest.fixture
def bad_file(tmp_path):
    path = tmp_path / "bad.csv"
    path.write_text("section,row,seat,x,y,category\nA,1,1,0,0,c\nA,1,1,9,0,c\nA,1,2,oops,0,c\n")
    return path


def test_a_good_plan_passes_the_check(plan_file, capsys):
    assert run("check", plan_file) == 0
    out, err = capsys.readouterr()
    assert "La Sourdine" in out
    assert club().content_hash() in out
    assert err == ""


def test_a_bad_plan_fails_with_every_problem_and_its_place_on_stderr(bad_file, capsys):
    assert run("check", bad_file) == 1
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert plan_cli.t("plan.place.line", line=3) in lines[1]
    assert plan_cli.t("plan.place.line", line=4) in lines[0]
    assert "oops" in lines[0]
    assert str(bad_file) in lines[-1]


@pytest.mark.parametrize("command", ["import", "export", "render"])
def test_nothing_is_written_for_a_bad_plan(command, bad_file, tmp_path, capsys):
    output = tmp_path / "out.svg"
    output.write_text("what was there before")
    assert run(command, bad_file, "--output", output) == 1
    assert output.read_text() == "what was there before"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.csv", "out.svg"]


def test_import_writes_our_format(tmp_path, plan_file, capsys):
    pretix = tmp_path / "pretix.json"
    pretix.write_bytes(dump_pretix(club())[0])
    output = tmp_path / "own.json"
    assert run("import", pretix, "-o", output) == 0
    plan = load_plan(output.read_bytes())
    assert len(plan.tables) == 18
    assert output.read_bytes() == dump_plan(plan)
    assert str(output) in capsys.readouterr().out


def test_import_names_a_csv_by_its_file_or_as_told(tmp_path, capsys):
    source = tmp_path / "Petite salle.csv"
    source.write_text("section,row,seat,x,y,category\nA,1,1,9,9,c\n")
    output = tmp_path / "own.json"
    assert run("import", source, "--output", output) == 0
    assert load_plan(output.read_bytes()).name == "Petite salle"
    assert run("import", source, "--output", output, "--name", "Grande salle") == 0
    assert load_plan(output.read_bytes()).name == "Grande salle"


def test_export_writes_pretix_and_says_what_is_lost(plan_file, tmp_path, capsys):
    output = tmp_path / "pretix.json"
    assert run("export", plan_file, "--output", output) == 0
    raw = json.loads(output.read_bytes())
    assert [zone["name"] for zone in raw["zones"]][:2] == ["Salle", "Comptoir"]
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 4
    assert plan_cli.t("plan.problem.export-areas", count=2) in err


def test_render_writes_svg_and_png_by_the_ending(plan_file, tmp_path, capsys):
    svg, png = tmp_path / "house.svg", tmp_path / "house.PNG"
    assert run("render", plan_file, "--output", svg, "--title", "Ce soir") == 0
    assert "Ce soir" in "".join(ET.parse(svg).getroot().itertext())
    assert run("render", plan_file, "--output", png, "--theme", "dark", "--width", "300") == 0
    assert png.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("output", "options"), [("house.gif", []), ("house.png", ["--width", "20"])]
)
def test_a_picture_that_cannot_be_is_refused(plan_file, tmp_path, output, options, capsys):
    assert run("render", plan_file, "--output", tmp_path / output, *options) == 1
    assert not (tmp_path / output).exists()
    assert capsys.readouterr().err


def test_files_that_cannot_be_read_or_written_are_named(plan_file, tmp_path, capsys):
    missing = tmp_path / "missing.json"
    assert run("check", missing) == 1
    assert str(missing) in capsys.readouterr().err
    assert run("check", tmp_path) == 1
    capsys.readouterr()
    nowhere = tmp_path / "nowhere" / "own.json"
    assert run("import", plan_file, "--output", nowhere) == 1
    assert str(nowhere) in capsys.readouterr().err


def test_a_directory_is_never_replaced(plan_file, tmp_path, capsys):
    output = tmp_path / "taken"
    output.mkdir()
    assert run("import", plan_file, "--output", output) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["club.json", "taken"]


def test_a_written_file_has_the_usual_permissions(plan_file, tmp_path, capsys):
    output = tmp_path / "own.json"
    assert run("import", plan_file, "--output", output) == 0
    plain = tmp_path / "plain"
    plain.touch()
    assert output.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize(("lang", "word"), [("fr_FR.UTF-8", "erreur"), ("C", "error")])
def test_the_module_runs_by_itself_in_the_language_of_the_terminal(bad_file, lang, word):
    done = subprocess.run(
        [sys.executable, "-m", "console.plan_cli", "check", str(bad_file)],
        cwd=ROOT,
        env={**os.environ, "LC_ALL": lang, "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith(word)


def test_checking_a_plan_imports_no_picture_library():
    code = "import sys, console.plan_cli; print('PIL' in sys.modules, 'reportlab' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.split() == ["False", "False"]
